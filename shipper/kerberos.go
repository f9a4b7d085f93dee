package shipper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jcmturner/gokrb5/v8/client"
	krbconfig "github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/kerberos"
)

// Kerberos says how GSSAPI has its tickets. Its files are read for each
// connection; see LocateFile.
type Kerberos struct {
	// KeytabFile holds the keys of SASL.Username; else SASL.Password is used.
	KeytabFile string
	// Service is the first part of the brokers' principals; "" is kafka, which
	// their sasl.kerberos.service.name mostly is. The second is the broker's
	// host as it is dialled.
	Service string
	// Realm is that of SASL.Username; "" is what stands there after an @, else
	// the default_realm of ConfigFile.
	Realm string
	// ConfigFile is krb5.conf; "" is $KRB5_CONFIG, else /etc/krb5.conf.
	ConfigFile string
	// NoFAST leaves out the negotiation of RFC 6806, section 11, which some
	// versions of Active Directory do not take.
	NoFAST bool
}

const (
	defaultKerberosService = "kafka"
	defaultKrb5Conf        = "/etc/krb5.conf"
)

func (k *Kerberos) check(user string, password Secret) error {
	switch {
	case user == "":
		return errors.New("SASL GSSAPI needs a user name, the principal")
	case (k.KeytabFile == "") == !password.isSet():
		return errors.New("SASL GSSAPI needs a keytab, or a password: one of the two")
	}
	return nil
}

// kerberosLogin is the mechanism GSSAPI. For each login it has a client of its
// own, so that a renewed keytab is used, and nothing stays behind.
type kerberosLogin struct{ s *SASL }

// Name implements sasl.Mechanism.
func (kerberosLogin) Name() string { return saslGSSAPI }

// Authenticate implements sasl.Mechanism.
func (l kerberosLogin) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	c, err := l.client()
	if err != nil {
		return nil, nil, err
	}
	defer c.Destroy() // the session has its keys from here on
	service := l.s.Kerberos.Service
	if service == "" {
		service = defaultKerberosService
	}
	session, first, err := kerberos.Kerberos(func(context.Context) (kerberos.Auth, error) {
		return kerberos.Auth{Client: c, Service: service, PersistAfterAuth: true}, nil
	}).Authenticate(ctx, host)
	if err != nil {
		return nil, nil, fmt.Errorf("no ticket for %s/%s as %s: check the principal, its keys, the realm's KDC in krb5.conf and the clocks: %w",
			service, host, l.s.Username, err)
	}
	return session, first, nil
}

// client makes one from the files of now.
func (l kerberosLogin) client() (_ *client.Client, err error) {
	k := &l.s.Kerberos
	conf, err := k.config()
	if err != nil {
		return nil, err
	}
	user, realm, _ := strings.Cut(l.s.Username, "@")
	if k.Realm != "" {
		realm = k.Realm
	}
	if realm == "" {
		realm = conf.LibDefaults.DefaultRealm
	}
	if realm == "" {
		return nil, fmt.Errorf("no realm for %s: set kafka.sasl.kerberos.realm, or default_realm in krb5.conf", user)
	}
	set := client.DisablePAFXFAST(k.NoFAST)
	if k.KeytabFile == "" {
		password, err := l.s.secret(l.s.Password)
		if err != nil {
			return nil, err
		}
		return client.NewWithPassword(user, realm, password, conf, set), nil
	}
	keys, err := k.keytab()
	if err != nil {
		return nil, err
	}
	return client.NewWithKeytab(user, realm, keys, conf, set), nil
}

func (k *Kerberos) config() (*krbconfig.Config, error) {
	name := k.ConfigFile
	if name == "" {
		name = os.Getenv("KRB5_CONFIG")
	}
	if name == "" {
		name = defaultKrb5Conf
	}
	b, err := readFile("kafka.sasl.kerberos.krb5_conf", name)
	if err != nil {
		return nil, err
	}
	conf, err := krbconfig.NewFromString(string(b))
	if _, unsupported := errors.AsType[krbconfig.UnsupportedDirective](err); err != nil && !unsupported { // include: the rest of the file counts
		return nil, fmt.Errorf("kafka.sasl.kerberos.krb5_conf %s: %w", LocateFile(name), err)
	}
	return conf, nil
}

// keytab reads the keys. The library may fail on a damaged file with a panic.
func (k *Kerberos) keytab() (keys *keytab.Keytab, err error) {
	b, err := readFile("kafka.sasl.kerberos.keytab_file", k.KeytabFile)
	if err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("kafka.sasl.kerberos.keytab_file %s is no keytab, or is damaged", LocateFile(k.KeytabFile))
		}
	}()
	keys = keytab.New()
	if err := keys.Unmarshal(b); err != nil {
		return nil, fmt.Errorf("kafka.sasl.kerberos.keytab_file %s is no keytab, or is damaged: %w", LocateFile(k.KeytabFile), err)
	}
	if len(keys.Entries) == 0 {
		return nil, fmt.Errorf("kafka.sasl.kerberos.keytab_file %s holds no keys", LocateFile(k.KeytabFile))
	}
	return keys, nil
}
