package transform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"shiplog/agent/envelope"
)

// Hash replaces texts by a keyed hash: equal texts stay equal, and who has not
// the key learns nothing else.
type Hash struct {
	Fields []string
	// Key is the secret; at least 16 bytes.
	Key []byte
}

// minKey keeps a key from being guessed.
const minKey = 16

// hashLength is how many hexadecimal digits stand for a text: 128 bits.
const hashLength = 32

type hasher struct {
	fields []field
	key    []byte
}

func newHasher(h *Hash) (step, error) {
	if len(h.Fields) == 0 {
		return nil, errors.New("hash: name the fields")
	}
	if err := checkKey(h.Key); err != nil {
		return nil, fmt.Errorf("hash: %w", err)
	}
	fields, err := parseFields(h.Fields)
	return &hasher{fields, h.Key}, err
}

func checkKey(key []byte) error {
	if len(key) < minKey {
		return fmt.Errorf("the key has %d bytes; it needs at least %d, such as those of: openssl rand -hex 32", len(key), minKey)
	}
	return nil
}

// keyedHash is HMAC-SHA-256 (RFC 2104), cut to hashLength digits.
func keyedHash(dst, key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return hex.AppendEncode(dst, h.Sum(nil)[:hashLength/2])
}

func (s *hasher) apply(f *File, e *envelope.Envelope, _ int64) (Action, error) {
	for i := range s.fields {
		v := s.fields[i].get(e)
		if v.Kind == envelope.None {
			continue
		}
		f.text = appendText(f.text[:0], v)
		f.out = keyedHash(f.out[:0], s.key, f.text)
		s.fields[i].set(e, envelope.Value{Kind: envelope.Text, Bytes: e.Keep(f.out)})
	}
	f.scope.built = false
	return Ship, nil
}
