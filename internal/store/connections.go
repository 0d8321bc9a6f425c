package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// connections is the table WebsocketConnections. A connection lives no longer
// than the process that holds its socket, so the table is kept in memory: every
// start finds it empty, as it has to be.
type connections struct {
	mu   sync.RWMutex
	byID map[string]iot.Connection
}

// PutConnection records a WebSocket client, replacing one of the same id.
func (s *Store) PutConnection(c iot.Connection) error {
	if c.ID == "" {
		return fmt.Errorf("connection without an id: %w", iot.ErrInvalid)
	}
	s.connections.mu.Lock()
	defer s.connections.mu.Unlock()
	s.connections.byID[c.ID] = c
	return nil
}

// DeleteConnection forgets a WebSocket client; iot.ErrNotFound when it is not known.
func (s *Store) DeleteConnection(id string) error {
	s.connections.mu.Lock()
	defer s.connections.mu.Unlock()
	if _, ok := s.connections.byID[id]; !ok {
		return fmt.Errorf("connection %q: %w", id, iot.ErrNotFound)
	}
	delete(s.connections.byID, id)
	return nil
}

// Connection returns a WebSocket client, or iot.ErrNotFound.
func (s *Store) Connection(id string) (iot.Connection, error) {
	s.connections.mu.RLock()
	defer s.connections.mu.RUnlock()
	c, ok := s.connections.byID[id]
	if !ok {
		return c, fmt.Errorf("connection %q: %w", id, iot.ErrNotFound)
	}
	return c, nil
}

// Connections returns every WebSocket client, by id.
func (s *Store) Connections() ([]iot.Connection, error) {
	s.connections.mu.RLock()
	defer s.connections.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.connections.byID), func(a, b iot.Connection) int {
		return cmp.Compare(a.ID, b.ID)
	}), nil
}
