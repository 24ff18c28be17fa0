package telemetry

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/wgnode/wgnode/probe/flowtrace"
	"github.com/wgnode/wgnode/probe/key"
)

// Node is who sends.
type Node struct {
	Interface string
	PublicKey key.Public
	Version   string // of wgnode; "" if not known
	// Anonymize keeps the names of host and interface out.
	Anonymize bool
}

// Resource says who sends, in OpenTelemetry's words. OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME
// come last, so that a user can say otherwise.
func (n Node) Resource(ctx context.Context) (*resource.Resource, error) {
	attrs := []attribute.KeyValue{
		attribute.String("service.name", "wgnode"),
		attribute.String("service.instance.id", n.InstanceID()),
	}
	if n.Version != "" {
		attrs = append(attrs, attribute.String("service.version", n.Version))
	}
	if !n.Anonymize {
		attrs = append(attrs, attribute.String("wgnode.interface", n.Interface))
		if host, err := os.Hostname(); err == nil {
			attrs = append(attrs, attribute.String("host.name", host))
		}
	}
	r, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attrs...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe this node for telemetry: %w", err)
	}
	return r, nil
}

// InstanceID is a UUID that is the node's own and stays the same as long as its key does. Peers name
// it by the same.
func (n Node) InstanceID() string { return flowtrace.Instance(n.PublicKey) }
