package shipper

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TopicNames returns the names of the topics that this user may see, sorted,
// without Kafka's own. Of o it needs what the connection needs.
func TopicNames(ctx context.Context, o ScanOptions) ([]string, error) {
	if o.ClientID == "" {
		o.ClientID = DefaultClientID
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &scanner{o: o, brokers: brokers{log: o.Log, tls: o.TLS, sasl: o.SASL}}
	client, err := connection{o.Brokers, o.ClientID, &s.brokers}.client(o.Network)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ask, cancel := context.WithTimeout(ctx, 4*askTimeout)
	defer cancel()
	listed, err := kadm.NewClient(client).ListTopics(ask)
	if err != nil {
		return nil, fmt.Errorf("list the topics: %w", s.asked(ctx, "ask for them", err))
	}
	names := listed.Names()
	slices.Sort(names)
	return names, nil
}
