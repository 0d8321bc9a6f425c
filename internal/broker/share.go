package broker

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fieldline-iot/fieldline/internal/topic"
)

// shareOf splits a shared subscription's filter, $share/NAME/FILTER, into its name
// and the filter that topics are matched with [MQTT-4.8.2-1]. ok is false for any
// other filter, which is its own.
func shareOf(filter string) (name, own string, ok bool) {
	rest, ok := strings.CutPrefix(filter, "$share/")
	if !ok {
		return "", filter, false
	}
	name, own, _ = strings.Cut(rest, "/")
	return name, own, true
}

// validShare reports whether a shared subscription's filter is well formed: its
// name has at least one character and no wildcards, and a filter follows
// [MQTT-4.8.2-2].
func validShare(filter string) bool {
	name, own, ok := shareOf(filter)
	return !ok || name != "" && own != "" && !strings.ContainsAny(name, "+#")
}

// shares are the shared subscriptions: groups of sessions, each message to one
// of them. Reads take no lock.
type shares struct {
	mu   sync.Mutex  // held by writers
	some atomic.Bool // there was a group once
	tree *topic.Tree[string, *group]
	all  map[string]*group // by NAME/FILTER
}

// match visits the groups whose filters match a topic.
func (s *shares) match(name string, visit func(string, *group)) {
	if s.some.Load() {
		s.tree.Match(name, visit)
	}
}

// group is one shared subscription.
type group struct {
	key     string // NAME/FILTER
	members atomic.Pointer[[]member]
}

// member is a session's part in a group.
type member struct {
	session *session
	subscription
}

// queues reports whether messages of a QoS are kept for the member while it is
// not connected.
func (m member) queues(qos byte) bool { return m.session.durable && min(qos, m.qos) > 0 }

func (s *shares) join(name, filter string, m member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := name + "/" + filter
	g := s.all[key]
	if g == nil {
		g = &group{key: key}
		g.members.Store(new([]member))
		s.all[key] = g
		s.some.Store(true)
		s.tree.Set(filter, name, g)
	}
	members := append(g.without(m.session), m)
	g.members.Store(&members)
}

func (s *shares) leave(name, filter string, who *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := name + "/" + filter
	g := s.all[key]
	if g == nil {
		return
	}
	members := g.without(who)
	g.members.Store(&members)
	if len(members) == 0 {
		delete(s.all, key)
		s.tree.Delete(filter, name)
	}
}

// without returns a copy of the members less one.
func (g *group) without(who *session) []member {
	return slices.DeleteFunc(slices.Clone(*g.members.Load()), func(m member) bool { return m.session == who })
}

// choose returns a random one of the members that may, one of those that are
// preferred if there are any.
func (g *group) choose(may, prefer func(member) bool) (chosen member, ok bool) {
	members := *g.members.Load()
	if len(members) == 0 {
		return member{}, false
	}
	from := rand.IntN(len(members))
	for i := range members {
		m := members[(from+i)%len(members)]
		switch {
		case !may(m):
		case prefer(m):
			return m, true
		case !ok:
			chosen, ok = m, true
		}
	}
	return chosen, ok
}

// ready reports whether the member takes messages without a wait.
func ready(m member) bool {
	c := m.session.conn.Load()
	return c != nil && c.out.roomy()
}

func connected(m member) bool { return m.session.conn.Load() != nil }
