package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Telemetry is where a node sends what it sees of flows, peers and drops, by OTLP. Only a
// wgnode.toml can say so.
type Telemetry struct {
	// Endpoint is the URL of what receives it, "" for none.
	Endpoint string
	// Protocol is ProtocolHTTP or ProtocolGRPC; "" is the first.
	Protocol string
	// Headers go with every request, as OTEL_EXPORTER_OTLP_HEADERS has them: NAME=VALUE,NAME=VALUE.
	// They are secret: a token is among them as a rule.
	Headers Password
	// HeadersFrom is where Headers are kept, if not in the file.
	HeadersFrom Source
	// CAFile has the certificates that the receiver's is to be of, "" for the system's.
	CAFile string
	// Sample is the part of flows that are traced, "" for [DefaultSample]: see [Telemetry.Ratio].
	Sample string
	// Anonymize keeps inner addresses and names out of what is sent.
	Anonymize bool

	line int // of its table; 0 if it came from no file
}

// The protocols, by the names that OpenTelemetry has for them.
const (
	ProtocolHTTP = "http/protobuf"
	ProtocolGRPC = "grpc"
)

// DefaultSample is the part of flows that are traced unless the configuration says otherwise.
const DefaultSample = "1%"

// Ratio is the part of flows that are traced, from 0 to 1.
func (t *Telemetry) Ratio() float64 {
	r, err := parseRatio(t.Sample)
	if err != nil {
		r, _ = parseRatio(DefaultSample)
	}
	return r
}

// Same reports whether t and other ask for the same, wherever they are written.
func (t Telemetry) Same(other Telemetry) bool {
	t.line, other.line = 0, 0
	return t == other
}

var telemetryTable = tomlTable{
	name: "telemetry", stack: StackUses, reload: ReloadService,
	begin: func(p *parser) {
		p.section = inUnknown
		p.cfg.Telemetry.line = p.lineNo
	},
	keys: []tomlKey{
		{name: "endpoint", kind: aString, set: (*parser).setTelemetryEndpoint},
		{name: "protocol", kind: aString, set: (*parser).setTelemetryProtocol},
		{name: "headers", kind: aString, set: func(p *parser, v string) (err error) {
			p.cfg.Telemetry.Headers, err = parseHeaders(v)
			return err
		}},
		{name: "headers_file", kind: aString, set: headersFrom(SourceFile)},
		{name: "headers_command", kind: aString, set: headersFrom(SourceCommand)},
		{name: "headers_credential", kind: aString, set: headersFrom(SourceCredential)},
		{name: "ca_file", kind: aString, set: func(p *parser, v string) error {
			if v == "" {
				return errEmpty
			}
			p.cfg.Telemetry.CAFile = p.resolvePath(v)
			return nil
		}},
		{name: "sample", kind: aString, set: func(p *parser, v string) error {
			p.cfg.Telemetry.Sample = v
			_, err := parseRatio(v)
			return err
		}},
		{name: "anonymize", kind: aBool, set: func(p *parser, v string) (err error) {
			p.cfg.Telemetry.Anonymize, err = parseBool(v)
			return err
		}},
	},
	required: []string{"endpoint"},
	oneOf:    [][]string{secretKeys("headers")},
}

func headersFrom(kind SourceKind) func(*parser, string) error {
	return func(p *parser, v string) (err error) {
		p.cfg.Telemetry.HeadersFrom, err = p.source(kind, v)
		return err
	}
}

// errNoReceiver says nothing of what is there instead: it may hold a password or a token.
var errNoReceiver = errors.New("is neither http://HOST:PORT nor https://HOST:PORT")

func (p *parser) setTelemetryEndpoint(v string) error {
	u, err := url.Parse(v)
	switch {
	case err != nil:
		return errNoReceiver
	case u.User != nil:
		return errors.New("holds a user: what proves who sends belongs under headers")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return errNoReceiver
	}
	p.cfg.Telemetry.Endpoint = v
	return nil
}

func (p *parser) setTelemetryProtocol(v string) error {
	if v != ProtocolHTTP && v != ProtocolGRPC {
		return fmt.Errorf("%s is neither %s nor %s", quote(v), ProtocolHTTP, ProtocolGRPC)
	}
	p.cfg.Telemetry.Protocol = v
	return nil
}

// parseRatio reads "1%" or "0.01".
func parseRatio(v string) (float64, error) {
	number, percent := strings.CutSuffix(v, "%")
	r, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		r /= 100
	}
	if err != nil || !(r >= 0 && r <= 1) {
		return 0, fmt.Errorf("%s is not a part of all, such as 1%% or 0.01", quote(v))
	}
	return r, nil
}

// parseHeaders reads headers. Of what is wrong it says nothing: it is secret.
func parseHeaders(text string) (Password, error) {
	if _, err := splitHeaders(text); err != nil {
		return "", err
	}
	return Password(text), nil
}

// HeaderMap are the headers by their names.
func (t *Telemetry) HeaderMap() map[string]string {
	headers, err := splitHeaders(string(t.Headers))
	if err != nil { // made in code
		return nil
	}
	return headers
}

func splitHeaders(text string) (map[string]string, error) {
	headers := make(map[string]string)
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || name == "" || err != nil || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) ||
			strings.ContainsAny(value, "\r\n\x00") {
			return nil, errors.New("is not NAME=VALUE,NAME=VALUE")
		}
		headers[strings.ToLower(name)] = value
	}
	return headers, nil
}

func (t tomlWriter) telemetry(c *Telemetry) {
	if c.Endpoint == "" {
		return
	}
	t.line("\n[telemetry]")
	t.text("endpoint", c.Endpoint)
	t.text("protocol", c.Protocol)
	t.secret("headers", c.HeadersFrom, c.Headers == "", func() string { return string(c.Headers) })
	t.text("ca_file", c.CAFile)
	t.text("sample", c.Sample)
	t.flag("anonymize", c.Anonymize)
}
