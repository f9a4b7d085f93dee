package shipper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/twmb/franz-go/pkg/sasl"
	kgoaws "github.com/twmb/franz-go/pkg/sasl/aws"
)

// awsTimeout bounds how long credentials are looked for.
const awsTimeout = 20 * time.Second

// awsCredentials finds the credentials of AWS where its own tools do, in their
// order: environment, shared files, web identity, SSO, container, instance.
type awsCredentials struct {
	mu     sync.Mutex
	source aws.CredentialsProvider // nil: to be made; it keeps credentials until they expire
}

func (s *SASL) awsMechanism() sasl.Mechanism {
	return kgoaws.ManagedStreamingIAM(func(ctx context.Context) (kgoaws.Auth, error) {
		c, err := s.aws.get(ctx)
		if err != nil {
			return kgoaws.Auth{}, err
		}
		s.hideFromNow(c.SecretAccessKey, c.SessionToken)
		return kgoaws.Auth{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken, UserAgent: DefaultClientID}, nil
	})
}

// get returns the credentials of now. Those that never expire are looked for
// each time, since the file that has them may have changed.
func (a *awsCredentials) get(ctx context.Context) (aws.Credentials, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, awsTimeout)
	defer cancel()
	if a.source == nil {
		conf, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return aws.Credentials{}, fmt.Errorf("configuration of AWS: %w", err)
		}
		if conf.Credentials == nil {
			return aws.Credentials{}, errors.New("AWS has no credentials for us")
		}
		a.source = conf.Credentials
	}
	c, err := a.source.Retrieve(ctx)
	if err != nil {
		a.source = nil
		return c, fmt.Errorf("no credentials of AWS: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give this host or pod a role: %w", err)
	}
	if !c.CanExpire {
		a.source = nil
	}
	return c, nil
}
