package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"kisibridge/internal/fault"
)

// A Sealer locks secrets with AES-256-GCM before they are stored. It holds one
// key, or two while one takes the place of the other: the first locks, both
// unlock.
type Sealer struct {
	keys []sealKey
}

type sealKey struct {
	name string // tells which key locked a text, and nothing else
	aead cipher.AEAD
}

// SealKeySize is the size of a key in bytes.
const SealKeySize = 32

// NewSealer makes a sealer of one or two keys; none makes one that says what
// setting is missing.
func NewSealer(keys ...[]byte) (*Sealer, error) {
	s := &Sealer{}
	for _, k := range keys {
		if len(k) != SealKeySize {
			return nil, fmt.Errorf("a key of %d bytes, want %d", len(k), SealKeySize)
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte("kisibridge seal key"), k...))
		s.keys = append(s.keys, sealKey{hex.EncodeToString(sum[:4]), aead})
	}
	return s, nil
}

func (s *Sealer) missing() error {
	return &fault.Error{
		Class: fault.Invalid, Op: "seal a secret", Err: errors.New("KISIBRIDGE_SECRET_KEY is not set"),
		Hint: "set it to 32 random bytes in base64, as `openssl rand -base64 32` prints",
	}
}

// Seal locks a secret for what is named: it opens for nothing else.
func (s *Sealer) Seal(what, secret string) (string, error) {
	if len(s.keys) == 0 {
		return "", s.missing()
	}
	k := s.keys[0]
	nonce := make([]byte, k.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	text := k.aead.Seal(nonce, nonce, []byte(secret), []byte(what))
	return "1:" + k.name + ":" + base64.RawStdEncoding.EncodeToString(text), nil
}

// Open unlocks what Seal locked.
func (s *Sealer) Open(what, sealed string) (string, error) {
	if len(s.keys) == 0 {
		return "", s.missing()
	}
	parts := strings.Split(sealed, ":")
	if len(parts) == 3 && parts[0] == "1" {
		text, err := base64.RawStdEncoding.DecodeString(parts[2])
		for _, k := range s.keys {
			if err != nil || k.name != parts[1] || len(text) < k.aead.NonceSize() {
				continue
			}
			n := k.aead.NonceSize()
			if plain, err := k.aead.Open(nil, text[:n], text[n:], []byte(what)); err == nil {
				return string(plain), nil
			}
		}
	}
	return "", &fault.Error{
		Class: fault.Denied, Op: "open the secret of " + what, Err: errors.New("no key that is set opens it"),
		Hint: "set KISIBRIDGE_SECRET_KEY to the key that sealed it, beside the new one",
	}
}

// Fresh tells whether a text was locked with the first key.
func (s *Sealer) Fresh(sealed string) bool {
	return len(s.keys) > 0 && strings.HasPrefix(sealed, "1:"+s.keys[0].name+":")
}
