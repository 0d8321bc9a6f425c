package iotsql

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/javaregexp"
	"github.com/fieldline-iot/fieldline/internal/javatime"
)

// evaluator is the eval of a function.
type evaluator func(st *state, args []value) value

// preparation is what a function with a pattern does at parse.
type preparation struct {
	pattern int // the argument that is the pattern
	// prepare returns the eval of one call. The constant is nil unless the pattern is
	// a String constant. The error is of one that is not supported.
	prepare func(constant *string) (evaluator, error)
}

// prepare gives a call the eval that holds its compiled pattern, or refuses the
// pattern by name.
func (p *parser) prepare(n *call) {
	var constant *string
	where := n.from
	if i := n.fn.preparation.pattern; i < len(n.args) {
		if arg, ok := n.args[i].(*literal); ok && arg.val.kind == kindText {
			constant, where = &arg.val.text, arg.from
		}
	}
	eval, err := n.fn.preparation.prepare(constant)
	if construct := refusedConstruct(err); construct != "" {
		p.refuse(where, construct)
	}
	n.fn.eval = eval
}

// refusedConstruct is what a pattern has that is not supported; "" when there is
// nothing.
func refusedConstruct(err error) string {
	if e, ok := errors.AsType[*javaregexp.UnsupportedError](err); ok {
		return e.Construct + " in a regular expression"
	}
	if e, ok := errors.AsType[*javatime.UnsupportedError](err); ok {
		return e.Construct + " in a time pattern"
	}
	return ""
}

// memo makes something of texts and remembers the last ones, whatever came of them. It
// is safe for concurrent use.
type memo[V any] struct {
	make func(string) (V, error)
	mu   sync.Mutex
	kept []made[V] // at most maxKept
	next int       // the one that is forgotten next
}

type made[V any] struct {
	text string
	v    V
	err  error
}

const (
	maxKept     = 8
	maxKeptText = 4 << 10 // a longer text is not remembered
)

func newMemo[V any](make func(string) (V, error)) *memo[V] { return &memo[V]{make: make} }

// of is what is made of a text. Making it costs steps, of which a state has a bounded
// number.
func (m *memo[V]) of(st *state, text string) (v V, err error) {
	if kept := m.find(text); kept != nil {
		return kept.v, kept.err
	}
	const units = 16 // for a byte
	if !st.spend(units * (len(text) + 16)) {
		return v, st.err
	}
	v, err = m.make(text)
	if len(text) > maxKeptText {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) < maxKept {
		m.kept = append(m.kept, made[V]{text, v, err})
		return v, err
	}
	m.kept[m.next] = made[V]{text, v, err}
	m.next = (m.next + 1) % maxKept
	return v, err
}

func (m *memo[V]) find(text string) *made[V] {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.kept {
		if m.kept[i].text == text {
			kept := m.kept[i]
			return &kept
		}
	}
	return nil
}

// compiled is the pattern of a call: made once when it is a constant, and otherwise
// from a memo.
type compiled[V any] struct {
	constant *made[V]
	memo     *memo[V]
}

func compile[V any](constant *string, make func(string) (V, error)) (compiled[V], error) {
	if constant == nil {
		return compiled[V]{memo: newMemo(make)}, nil
	}
	v, err := make(*constant)
	return compiled[V]{constant: &made[V]{*constant, v, err}}, err
}

// of is the pattern, and whether there is one: what Java does not take for a pattern
// is Undefined. One that is not supported fails the rule; so does, for the call that
// compiled it, a budget that is used up.
func (c compiled[V]) of(st *state, arg value) (v V, ok bool) {
	text, ok := st.toText(arg)
	if !ok {
		return v, false
	}
	var err error
	if c.constant != nil {
		v, err = c.constant.v, c.constant.err
	} else {
		v, err = c.memo.of(st, text)
	}
	if construct := refusedConstruct(err); construct != "" {
		st.fail(fmt.Errorf("%s (%.80q): %w", construct, text, iot.ErrUnsupported))
	}
	return v, err == nil
}

// spendTime takes a step for each microsecond since began, so that one evaluation
// cannot run for ever by many calls that each are within their limit.
func (st *state) spendTime(began time.Time) bool {
	return st.spend(1 + int(time.Since(began)/time.Microsecond))
}
