package javaregexp

import "sync"

// Cache remembers the patterns compiled last, whatever came of them. The zero value is
// ready; it is safe for concurrent use.
type Cache struct {
	mu   sync.Mutex
	kept [8]entry
	next int // the entry that is forgotten next
}

type entry struct {
	pattern string
	re      *Regexp
	err     error
}

// maxCached bounds the patterns that are worth remembering, in bytes.
const maxCached = 4 << 10

// Compile is [Compile], from memory when it can be.
func (c *Cache) Compile(pattern string) (*Regexp, error) {
	c.mu.Lock()
	for i := range c.kept {
		if e := c.kept[i]; e.pattern == pattern && (e.re != nil || e.err != nil) {
			c.mu.Unlock()
			return e.re, e.err
		}
	}
	c.mu.Unlock()
	re, err := Compile(pattern)
	if len(pattern) > maxCached {
		return re, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[c.next] = entry{pattern, re, err}
	c.next = (c.next + 1) % len(c.kept)
	return re, err
}
