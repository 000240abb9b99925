package emailproxy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

// The iteration counts that email-oauth2-proxy uses: oldRounds if the file names none,
// and newRounds since 2025. No real file has more than maxRounds, which takes seconds.
const (
	oldRounds = 100_000
	newRounds = 1_200_000
	maxRounds = 10_000_000
)

// fernetVersion is the first byte of every token.
const fernetVersion = 0x80

var errSeal = errors.New("not a Fernet token made with this key")

// deriveKey derives the key from a password with PBKDF2 (RFC 8018 section 5.2) and
// HMAC-SHA-256.
func deriveKey(password string, salt []byte, rounds int) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, salt, rounds, 32)
}

// unseal decrypts a Fernet token (github.com/fernet/spec): base64url of a version
// byte, a time, an IV, AES-128-CBC text with PKCS #7 padding, and the HMAC-SHA-256 of
// everything before it. The key's first half signs and its second half encrypts. The
// token's age does not matter here.
func unseal(key []byte, token string) ([]byte, error) {
	const head = 1 + 8 + aes.BlockSize
	raw, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(key) != 32 || len(raw) < head+aes.BlockSize+sha256.Size || raw[0] != fernetVersion {
		return nil, errSeal
	}
	signed, sum := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	mac := hmac.New(sha256.New, key[:16])
	mac.Write(signed)
	text := signed[head:]
	if !hmac.Equal(mac.Sum(nil), sum) || len(text)%aes.BlockSize != 0 {
		return nil, errSeal
	}
	block, err := aes.NewCipher(key[16:])
	if err != nil {
		return nil, errSeal
	}
	cipher.NewCBCDecrypter(block, signed[head-aes.BlockSize:head]).CryptBlocks(text, text)
	pad := int(text[len(text)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, errSeal
	}
	for _, b := range text[len(text)-pad:] {
		if int(b) != pad {
			return nil, errSeal
		}
	}
	return text[:len(text)-pad], nil
}
