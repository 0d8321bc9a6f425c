package iot

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestAsyncInvocationKeepsEveryByteOfItsEvent(t *testing.T) {
	for _, event := range []string{" { \"n\" : 1.50,\n\"s\":\"<&>\\/\\u00e9\" } ", `21.50`, "\"\xff\""} {
		later := AsyncInvocation{Function: "f", Event: []byte(event)}
		e, err := later.Enqueue("d")
		if err != nil {
			t.Fatal(err)
		}
		var back AsyncInvocation
		if err := json.Unmarshal(e.Body, &back); err != nil {
			t.Fatalf("%s: %v", e.Body, err)
		}
		if back.Function != "f" || string(back.Event) != event {
			t.Errorf("%q comes back as %q of %q", event, back.Event, back.Function)
		}
	}
	later := AsyncInvocation{Function: "f", Event: []byte(`{"n":`)}
	if _, err := later.Enqueue("d"); !errors.Is(err, ErrInvalid) {
		t.Errorf("what is not JSON is enqueued: %v", err)
	}
}
