package telemetry

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/wgnode/wgnode/node/config"
	"github.com/wgnode/wgnode/node/safefile"
)

// Signal is one of the kinds of telemetry, by the name that OTLP's paths and variables have for it.
type Signal string

// The signals.
const (
	Traces  Signal = "traces"
	Logs    Signal = "logs"
	Metrics Signal = "metrics"
)

// Destination is where a signal is sent. What is zero is left to the variables of the environment,
// which OTLP's exporters read themselves.
type Destination struct {
	GRPC    bool
	URL     string            // with the path of the signal, of HTTP
	Headers map[string]string // secret
	TLS     *tls.Config
	Gzip    bool // the environment does not say how to pack
}

// maxCAFile bounds a file of certificates, in bytes.
const maxCAFile = 1 << 20

// Wanted reports whether something is to be sent: c or the environment says where to.
func Wanted(c *config.Telemetry) bool { return wanted(c, os.Getenv) }

func wanted(c *config.Telemetry, getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if c.Endpoint != "" {
		return true
	}
	for _, s := range []Signal{Traces, Logs, Metrics} {
		if signalVariable(getenv, s, "ENDPOINT") != "" {
			return true
		}
	}
	return false
}

// Sends reports whether a signal is to be sent, which the environment can refuse for each.
func Sends(c *config.Telemetry, s Signal) bool { return sends(c, s, os.Getenv) }

func sends(c *config.Telemetry, s Signal, getenv func(string) string) bool {
	return wanted(c, getenv) && getenv("OTEL_"+strings.ToUpper(string(s))+"_EXPORTER") != "none" &&
		(c.Endpoint != "" || signalVariable(getenv, s, "ENDPOINT") != "")
}

// signalVariable is the value of OTLP's variable of a name for a signal, or for all of them.
func signalVariable(getenv func(string) string, s Signal, name string) string {
	return cmp.Or(getenv("OTEL_EXPORTER_OTLP_"+strings.ToUpper(string(s))+"_"+name), getenv("OTEL_EXPORTER_OTLP_"+name))
}

// To is where a signal is sent.
func To(c *config.Telemetry, s Signal) (Destination, error) { return destination(c, s, os.Getenv) }

func destination(c *config.Telemetry, s Signal, getenv func(string) string) (Destination, error) {
	protocol := cmp.Or(c.Protocol, signalVariable(getenv, s, "PROTOCOL"), config.ProtocolHTTP)
	d := Destination{GRPC: protocol == config.ProtocolGRPC, Headers: c.HeaderMap(),
		Gzip: signalVariable(getenv, s, "COMPRESSION") == ""}
	if !d.GRPC && protocol != config.ProtocolHTTP {
		return d, fmt.Errorf("telemetry protocol %q: want %s or %s", protocol, config.ProtocolHTTP, config.ProtocolGRPC)
	}
	if d.URL = c.Endpoint; d.URL != "" && !d.GRPC {
		d.URL = strings.TrimSuffix(d.URL, "/") + "/v1/" + string(s)
	}
	if c.CAFile != "" {
		pool, err := readCertificates(c.CAFile)
		if err != nil {
			return d, err
		}
		d.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return d, nil
}

// Check says what is wrong about where telemetry is sent, if it is to be.
func Check(c *config.Telemetry) error {
	if !Wanted(c) {
		return nil
	}
	if _, err := Ratio(c); err != nil {
		return err
	}
	_, err := To(c, Traces)
	return err
}

// readCertificates reads a file that only this user, or root, may have written.
func readCertificates(path string) (*x509.CertPool, error) {
	f, err := safefile.Open(path, safefile.Self())
	if err != nil {
		return nil, fmt.Errorf("certificates for telemetry: %w", err)
	}
	defer f.Close() // nothing was written: its error says nothing
	text, err := readAll(f, maxCAFile)
	if err != nil {
		return nil, fmt.Errorf("certificates for telemetry: read %s: %w", path, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("certificates for telemetry: %s has none in PEM", path)
	}
	return pool, nil
}

// Ratio is the part of flows that are traced: the configuration's, or that of the environment
// (OTEL_TRACES_SAMPLER_ARG), where the configuration says nothing.
func Ratio(c *config.Telemetry) (float64, error) { return ratio(c, os.Getenv) }

func ratio(c *config.Telemetry, getenv func(string) string) (float64, error) {
	if c.Sample != "" {
		return c.Ratio(), nil
	}
	switch sampler := strings.TrimPrefix(getenv("OTEL_TRACES_SAMPLER"), "parentbased_"); sampler {
	case "always_on":
		return 1, nil
	case "always_off":
		return 0, nil
	case "traceidratio":
		arg := cmp.Or(getenv("OTEL_TRACES_SAMPLER_ARG"), "1")
		r, err := strconv.ParseFloat(arg, 64)
		if err != nil || !(r >= 0 && r <= 1) {
			return 0, errors.New("OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1")
		}
		return r, nil
	}
	return c.Ratio(), nil
}
