package shipper

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Secret is a password or the like. As a file it is read each time it is
// needed, so that a change needs no restart. It prints as ***.
type Secret struct {
	// Value is the secret itself, where File is empty.
	Value string
	// File holds it; blank lines at its end do not count. See LocateFile.
	File string
	// Key is what the user calls it, for messages: kafka.sasl.password_file.
	Key string
}

const hiddenSecret = "***"

// String hides the secret.
func (Secret) String() string { return hiddenSecret }

// GoString hides the secret.
func (Secret) GoString() string { return hiddenSecret }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(hiddenSecret), nil }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(hiddenSecret) }

func (s Secret) isSet() bool { return s.Value != "" || s.File != "" }

// read returns the secret of now.
func (s Secret) read() (string, error) {
	if s.File == "" {
		return s.Value, nil
	}
	b, err := readFile(s.Key, s.File)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s %s is empty: write the secret into it", s.Key, LocateFile(s.File))
	}
	return text, nil
}

// LocateFile returns where a certificate or secret is that a configuration
// names. A relative name is one of the credentials that systemd gives to the
// service, in $CREDENTIALS_DIRECTORY (systemd.exec(5), LoadCredential=), where
// there is one of that name, and else relative to the working directory.
func LocateFile(name string) string {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" || filepath.IsAbs(name) {
		return name
	}
	full := filepath.Join(dir, name)
	if _, err := os.Stat(full); errors.Is(err, os.ErrNotExist) {
		return name
	}
	return full
}

// maxSecretFile bounds what is read of a file that should hold a secret or
// certificates; bundles of all public authorities have some 250 KB.
const maxSecretFile = 4 << 20

// readFile reads a small file; key is what the user calls it.
func readFile(key, name string) ([]byte, error) {
	path := LocateFile(name)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", key, err)
	case len(b) > maxSecretFile:
		return nil, fmt.Errorf("%s: %s has more than %d bytes: name another file", key, path, maxSecretFile)
	}
	return b, nil
}

// ExposedFile tells, for the file of a secret that everyone on this host may
// read, what to do about it; "" where all is well, and where the file cannot be
// looked at, which reading it will tell. key is what the user calls it.
func ExposedFile(key, name string) string {
	if name == "" {
		return ""
	}
	path := LocateFile(name)
	mode, ok := readableByAll(path)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s: %s can be read by everyone on this host (mode %04o): chmod o-rwx %s [secret-exposed]", key, path, mode, path)
}
