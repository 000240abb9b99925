package keystore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// partPrefix begins the keys of items that hold a piece of a secret.
	partPrefix = "part/"
	// headPrefix begins the value of an item that stands for several others.
	headPrefix = "waxseal-split:1:"
	maxParts   = 4096
)

// parts stores secrets that are too large for one item of a keychain.
//
// A small secret is an item of its own. A larger one is cut into items of one
// generation, "a" or "b", and the item under its key becomes a head that names
// the generation, the number of parts and the SHA-256 of the whole. A new value
// is first written as the other generation; it counts from the moment the head is
// written, and only then are the old parts deleted. So a stop at any point leaves
// either the old value or the new one, and at worst parts that no head names: the
// next write or delete of the key removes them.
type parts struct {
	items  items
	limit  int  // bytes that fit one item
	verify bool // read back each write, because the keychain may fail silently
}

// head is the value of the item that stands for several parts.
type head struct {
	generation string
	count      int
	sum        string // hex SHA-256 of the secret
}

func (h head) String() string {
	return headPrefix + h.generation + ":" + strconv.Itoa(h.count) + ":" + h.sum
}

// parseHead reads a head; ok is false for any other value, even if it begins like
// a head.
func parseHead(value string) (h head, ok bool) {
	rest, ok := strings.CutPrefix(value, headPrefix)
	if !ok {
		return head{}, false
	}
	field := strings.Split(rest, ":")
	if len(field) != 3 {
		return head{}, false
	}
	count, err := strconv.Atoi(field[1])
	h = head{field[0], count, field[2]}
	ok = err == nil && count >= 1 && count <= maxParts &&
		(h.generation == "a" || h.generation == "b") && len(h.sum) == 2*sha256.Size &&
		h.String() == value
	return h, ok
}

func (h head) next() string {
	if h.generation == "a" {
		return "b"
	}
	return "a"
}

func partKey(key, generation string, i int) string {
	return partPrefix + generation + strconv.Itoa(i) + "/" + key
}

func sum(secret string) string {
	s := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(s[:])
}

func (p parts) get(ctx context.Context, key string) (string, error) {
	value, err := p.items.get(ctx, key)
	for range 2 {
		if err != nil || !strings.HasPrefix(value, headPrefix) {
			return value, err
		}
		secret, joinErr := p.join(ctx, key, value)
		if !errors.Is(joinErr, ErrDamaged) {
			return secret, joinErr
		}
		// Another process may have stored a new value meanwhile.
		before := value
		if value, err = p.items.get(ctx, key); err == nil && value == before {
			return "", joinErr
		}
	}
	return "", fmt.Errorf("%w: the secret is changing while it is read", ErrUnavailable)
}

func (p parts) join(ctx context.Context, key, value string) (string, error) {
	h, ok := parseHead(value)
	if !ok {
		return "", fmt.Errorf("%w: the list of its parts cannot be read", ErrDamaged)
	}
	var secret strings.Builder
	for i := range h.count {
		part, err := p.items.get(ctx, partKey(key, h.generation, i))
		if errors.Is(err, ErrNotFound) {
			return "", fmt.Errorf("%w: part %d of %d is missing", ErrDamaged, i+1, h.count)
		}
		if err != nil {
			return "", err
		}
		secret.WriteString(part)
	}
	if sum(secret.String()) != h.sum {
		return "", fmt.Errorf("%w: its %d parts do not add up to the secret", ErrDamaged, h.count)
	}
	return secret.String(), nil
}

func (p parts) set(ctx context.Context, key, secret string) error {
	old, err := p.head(ctx, key)
	if err != nil && !errors.Is(err, ErrNoKeyring) { // writing may make one
		return err
	}
	value := secret
	var h head
	// A secret that begins like a head gets a head of its own, so that it is not
	// mistaken for one.
	if len(secret) > p.limit || strings.HasPrefix(secret, headPrefix) {
		h = head{generation: old.next(), sum: sum(secret)}
		for rest := secret; rest != ""; h.count++ {
			n := min(p.limit, len(rest))
			if err := p.put(ctx, partKey(key, h.generation, h.count), rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		value = h.String()
	}
	if err := p.put(ctx, key, value); err != nil {
		return err
	}
	// The new value counts from here on. Old parts that cannot be removed now are
	// removed with the next value, so this is not a failure.
	if old.count > 0 {
		_ = p.drop(ctx, key, old.generation, 0, old.count)
	}
	if h.count > 0 {
		_ = p.drop(ctx, key, h.generation, h.count, h.count)
	}
	return nil
}

func (p parts) delete(ctx context.Context, key string) error {
	old, err := p.head(ctx, key)
	if err != nil {
		return err
	}
	// The head goes first: nobody reads parts without a head, but a head without
	// its parts is a damaged secret.
	if err := p.items.delete(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for _, generation := range []string{"a", "b"} {
		known := 0
		if generation == old.generation {
			known = old.count
		}
		if err := p.drop(ctx, key, generation, 0, known); err != nil {
			return err
		}
	}
	return nil
}

// head reads the head under key. It is empty if there is nothing, or a whole
// secret, or something unreadable that will be replaced.
func (p parts) head(ctx context.Context, key string) (head, error) {
	value, err := p.items.get(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return head{}, err
	}
	if h, ok := parseHead(value); ok {
		return h, nil
	}
	return head{}, nil
}

func (p parts) put(ctx context.Context, key, value string) error {
	if err := p.items.set(ctx, key, value); err != nil || !p.verify {
		return err
	}
	back, err := p.items.get(ctx, key)
	if err == nil && back != value || errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: the keychain does not give back what was stored", ErrUnavailable)
	}
	return err
}

// drop deletes a generation's parts from number from on: those before number
// known, and any after it that an interrupted write left. The last goes first, so
// that a stop leaves no gap at which the next drop would end.
func (p parts) drop(ctx context.Context, key, generation string, from, known int) error {
	end := known
	for ; end < maxParts; end++ {
		_, err := p.items.get(ctx, partKey(key, generation, end))
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
	}
	for i := end - 1; i >= from; i-- {
		err := p.items.delete(ctx, partKey(key, generation, i))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}
