package sigv4

import "sync"

// maxDerived is how many derived keys are kept.
const maxDerived = 64

// derivedKeys keeps the keys of scopes that requests were signed in, for to derive
// one takes longer than the signature itself. Only the holder of a secret adds to it.
type derivedKeys struct {
	mu   sync.Mutex
	keys map[Scope]derivedKey
}

type derivedKey struct {
	secret string // that it was derived from
	key    []byte
}

func (d *derivedKeys) get(scope Scope, secret string) (key []byte, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept, ok := d.keys[scope]
	return kept.key, ok && kept.secret == secret
}

func (d *derivedKeys) put(scope Scope, secret string, key []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil || len(d.keys) >= maxDerived {
		d.keys = map[Scope]derivedKey{}
	}
	d.keys[scope] = derivedKey{secret, key}
}
