package rule

import (
	"sync"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func TestAMessageMeetsOneVersionOfARuleThatMoves(t *testing.T) {
	e := newEngine(t, functions{evaluate: stores}, nil)
	moves := func(sql string) iot.Rule {
		return iot.Rule{Name: "moves", SQL: sql, Actions: []iot.Action{lambdaTo("ProcessIoTData")}}
	}
	if err := e.Create(moves("SELECT 1 AS v FROM 'a/+'")); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			m := message("a/b", `{}`)
			for {
				select {
				case <-done:
					return
				default:
				}
				if effects := e.Evaluate(nil, m); len(effects) != 1 {
					t.Errorf("a message met %d versions", len(effects))
					return
				}
			}
		})
	}
	for n := range 3000 {
		sql := []string{"SELECT 1 AS v FROM 'a/+'", "SELECT 2 AS v FROM '+/b'", "SELECT 3 AS v FROM '+/b'", "SELECT 4 AS v FROM 'a/#'"}[n%4]
		if err := e.Replace(moves(sql)); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	readers.Wait()
}

func TestWhatIsInForceFollowsChanges(t *testing.T) {
	compiledOf := func(name, sql string) *compiled {
		c, err := newEngine(t, functions{}, nil).compile(iot.Rule{Name: name, SQL: sql})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	f := newInForce()
	first, second, bare := compiledOf("r", "SELECT * FROM 'a'"), compiledOf("r", "SELECT * FROM 'b'"), compiledOf("r", "SELECT *")
	for _, step := range []struct {
		name      string
		old, next *compiled
		a, b      int // rules that match these topics
	}{
		{"a new rule", nil, first, 1, 0},
		{"the same filter", first, first, 1, 0},
		{"another filter", first, second, 0, 1},
		{"no filter", second, bare, 0, 0},
		{"a filter again", bare, first, 1, 0},
		{"deleted", first, nil, 0, 0},
	} {
		f.change(step.old, step.next)
		if a, b := len(f.match(nil, "a")), len(f.match(nil, "b")); a != step.a || b != step.b {
			t.Errorf("%s: %d and %d match, want %d and %d", step.name, a, b, step.a, step.b)
		}
		if got := f.named("r"); got != step.next {
			t.Errorf("%s: the rule of that name is %v", step.name, got)
		}
	}
}
