package auth

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// pass sends requests of a source until one is refused.
func pass(t *testing.T, throttle *Throttle, remote string) (passed int) {
	t.Helper()
	for ; passed < 10_000; passed++ {
		if err := throttle.Allow(&http.Request{RemoteAddr: remote}); err != nil {
			if !errors.Is(err, iot.ErrLimit) {
				t.Fatal(err)
			}
			return passed
		}
	}
	return passed
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := make(map[string]int)
		throttle, err := NewThrottle(ThrottleConfig{Kind: "connect", Rate: 50, Burst: 100, Throttled: func(kind string) { counted[kind]++ }})
		if err != nil {
			t.Fatal(err)
		}
		wants := func(remote string, want int) {
			t.Helper()
			if got := pass(t, throttle, remote); got != want {
				t.Errorf("%s: %d pass, want %d", remote, got, want)
			}
		}
		wants("192.0.2.1:1", 20) // a fifth of the burst
		wants("192.0.2.1:2", 0)  // another port is the same source
		wants("[::ffff:192.0.2.1]:3", 0)
		wants("[2001:db8::1]:1", 20)
		wants("[2001:db8::2:2]:1", 0) // the same network
		wants("[2001:db8:0:1::1]:1", 20)
		if counted["connect_source"] != 5+1 || counted["connect"] != 0 { // each ended with a refusal
			t.Errorf("counted %v", counted)
		}
		wants("127.0.0.1:1", 40) // what is left to all
		wants("198.51.100.1:1", 0)
		if counted["connect"] != 2 {
			t.Errorf("counted %v", counted)
		}
		time.Sleep(time.Second)
		wants("192.0.2.1:1", 10) // a fifth of the rate
		wants("[::1]:1", 40)
	})
}

// TestThrottleForgetsSources has one source among ever new ones: those are
// forgotten, it is not.
func TestThrottleForgetsSources(t *testing.T) {
	var refused string
	throttle, err := NewThrottle(ThrottleConfig{
		Kind: "request", Rate: 1 << 20, Burst: 5, Now: atNoon, Throttled: func(kind string) { refused = kind },
	})
	if err != nil {
		t.Fatal(err)
	}
	const source = "192.0.2.1:1"
	if n := pass(t, throttle, source); n != 1 {
		t.Fatalf("%d pass, want the source's whole burst of 1", n)
	}
	for n := range 5 * maxSources {
		stranger := &http.Request{RemoteAddr: fmt.Sprintf("10.%d.%d.%d:1", n>>16, n>>8&255, n&255)}
		_ = throttle.Allow(stranger) // soon refused, as nothing is left to all
		if n%1000 != 0 {
			continue
		}
		if pass(t, throttle, source); refused != "request_source" {
			t.Fatalf("after %d strangers the source has a new burst: refused as %s", n, refused)
		}
	}
	if n := len(throttle.young) + len(throttle.old); n > 2*maxSources {
		t.Errorf("%d sources are remembered", n)
	}
}

func TestThrottleThatIsOff(t *testing.T) {
	throttle, err := NewThrottle(ThrottleConfig{Kind: "connect"})
	if err != nil {
		t.Fatal(err)
	}
	if n := pass(t, throttle, "192.0.2.1:1"); n != 10_000 {
		t.Errorf("%d pass", n)
	}
	for _, cfg := range []ThrottleConfig{{Rate: -1}, {Rate: 1}, {Rate: 1, Burst: -1}} {
		if _, err := NewThrottle(cfg); !errors.Is(err, iot.ErrInvalid) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
