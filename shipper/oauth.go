package shipper

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// OAuth says where OAUTHBEARER has its tokens from: the client credentials
// grant of RFC 6749, section 4.4.
type OAuth struct {
	// TokenEndpoint is the URL that gives tokens.
	TokenEndpoint string
	// ClientID and ClientSecret are the client's.
	ClientID     string
	ClientSecret Secret
	// Scope is asked for, names with blanks between; it may be empty.
	Scope string
	// Audience is sent as parameter of that name, where not empty, as some
	// endpoints want it.
	Audience string
	// CAFile holds, as PEM, the authorities that the endpoint's certificate is
	// checked against; "" is those of the system.
	CAFile string
	// Extensions are sent to the brokers with the token (KIP-342).
	Extensions map[string]string
}

func (o *OAuth) check() error {
	if o.TokenEndpoint == "" || o.ClientID == "" || !o.ClientSecret.isSet() {
		return errors.New("SASL OAUTHBEARER needs a token endpoint, a client id and a client secret")
	}
	return nil
}

// endpoint is the URL for messages.
func (o *OAuth) endpoint() string {
	u, err := url.Parse(o.TokenEndpoint)
	if err != nil {
		return "the token endpoint"
	}
	return u.Redacted()
}

// warning tells that the secret is sent in the clear.
func (o *OAuth) warning() string {
	u, err := url.Parse(o.TokenEndpoint)
	if err != nil || u.Scheme != "http" {
		return ""
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return ""
	}
	return "kafka.sasl.oauth.token_endpoint: " + u.Redacted() + " is not encrypted, and gets the client's secret: use https [config-doubtful]"
}

const (
	// tokenTimeout bounds a request for a token.
	tokenTimeout = 20 * time.Second
	// tokenMargin is how long before its end a token is replaced, but never more
	// than a tenth of its life. kgo logs in anew at 95 to 98 % of a session's life,
	// which is the token's: it has to get another one then.
	tokenMargin = 5 * time.Minute
)

// tokens keeps the token until near its end.
type tokens struct {
	mu     sync.Mutex // held while a token is asked for: others want the same one
	token  string
	secret string // by which it was had
	until  time.Time
	ends   time.Time
}

func (s *SASL) oauthAuth(ctx context.Context) (oauth.Auth, error) {
	token, err := s.token(ctx)
	return oauth.Auth{Token: token, Extensions: s.OAuth.Extensions}, err
}

// token returns one that is good for a while.
func (s *SASL) token(ctx context.Context) (string, error) {
	secret, err := s.secret(s.OAuth.ClientSecret)
	if err != nil {
		return "", err
	}
	t := &s.tokens
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.token != "" && t.secret == secret && now.Before(t.until) {
		return t.token, nil
	}
	got, err := s.OAuth.ask(ctx, secret)
	if err != nil {
		if t.token != "" && now.Before(t.ends) {
			return t.token, nil // it has still some time, and so has the endpoint
		}
		return "", err
	}
	s.hideFromNow(got.AccessToken)
	t.token, t.secret, t.until, t.ends = got.AccessToken, secret, time.Time{}, got.Expiry
	if !got.Expiry.IsZero() { // else nobody knows for how long: it is asked for each time
		t.until = got.Expiry.Add(-min(tokenMargin, got.Expiry.Sub(now)/10))
	}
	return t.token, nil
}

// ask fetches a token. Its error shows nothing of what the endpoint answers but
// the members that RFC 6749, section 5.2, has for that.
func (o *OAuth) ask(ctx context.Context, secret string) (*oauth2.Token, error) {
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, client), tokenTimeout)
	defer cancel()
	c := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: secret, TokenURL: o.TokenEndpoint}
	if o.Scope != "" {
		c.Scopes = []string{o.Scope}
	}
	if o.Audience != "" {
		c.EndpointParams = url.Values{"audience": {o.Audience}}
	}
	token, err := c.Token(ctx)
	if err == nil {
		return token, nil
	}
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return nil, fmt.Errorf("no token from %s: %w", o.endpoint(), err)
	}
	why := refused.ErrorCode
	if refused.ErrorDescription != "" {
		why += ": " + refused.ErrorDescription
	}
	if why == "" {
		why = "without saying why"
	}
	return nil, fmt.Errorf("%s refuses a token to client %q with HTTP status %s (%.300s): check kafka.sasl.oauth, client_id, client secret and scope",
		o.endpoint(), o.ClientID, refused.Response.Status, why)
}

// client returns an HTTP client for one request.
func (o *OAuth) client() (*http.Client, error) {
	authorities, err := readAuthorities("kafka.sasl.oauth.ca_file", o.CAFile)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities}
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true},
		// A redirect would carry the secret to where nobody said it may go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
