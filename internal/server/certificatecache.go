package server

import (
	"encoding/json"
	"sync"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// certificateCache keeps the certificates of clients that connect, between their
// handshake and their CONNECT, and has what they have in common once: the names
// of their issuer, mostly. A nil one keeps nothing. It may be used concurrently.
type certificateCache struct {
	mu         sync.Mutex
	generation uint64 // of the registry when those in byID were read
	byID       map[string]*iot.Certificate
	names      map[string]map[string][]string // by their JSON
}

// cacheSize bounds each part of the cache; a full one starts anew.
const cacheSize = 1024

// get returns a certificate as it is in a generation of the registry, if it is here.
func (c *certificateCache) get(id string, generation uint64) (cert *iot.Certificate, ok bool) {
	if c == nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		return nil, false
	}
	cert, ok = c.byID[id]
	return cert, ok
}

// put takes a certificate as it was read in a generation, or after it, and slims
// it: its PEM, which no policy asks for, is left out. It must not be changed from
// then on.
func (c *certificateCache) put(cert *iot.Certificate, generation uint64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cert.PEM = ""
	cert.Subject, cert.Issuer = c.only(cert.Subject), c.only(cert.Issuer)
	if c.generation != generation || len(c.byID) >= cacheSize || c.byID == nil {
		c.generation, c.byID = generation, make(map[string]*iot.Certificate)
	}
	c.byID[cert.ID] = cert
}

// only returns the one copy of names that are the same.
func (c *certificateCache) only(names map[string][]string) map[string][]string {
	key, err := json.Marshal(names)
	if err != nil {
		return names // texts always encode
	}
	if same, ok := c.names[string(key)]; ok {
		return same
	}
	if len(c.names) >= cacheSize || c.names == nil {
		c.names = make(map[string]map[string][]string)
	}
	c.names[string(key)] = names
	return names
}
