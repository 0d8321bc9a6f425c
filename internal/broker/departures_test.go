package broker

import (
	"fmt"
	"strings"
	"testing"
)

func TestDeparturesAreBounded(t *testing.T) {
	var d departures
	for i := range maxDepartures {
		d.note(fmt.Sprint(i), Departure{Reason: "first"})
	}
	d.note("0", Departure{Reason: "again"}) // now 1 left longest ago
	d.note("new", Departure{Reason: strings.Repeat("ä", maxReason)})
	if n := len(d.byID); n != maxDepartures || d.order.Len() != n {
		t.Errorf("%d departures in %d places, want %d", n, d.order.Len(), maxDepartures)
	}
	if left := d.of("1"); left != nil {
		t.Errorf("the client that left longest ago is remembered: %+v", left)
	}
	if left := d.of("0"); left == nil || left.Reason != "again" {
		t.Errorf("the client that left again: %+v", left)
	}
	if left := d.of("new"); left == nil || left.Reason != strings.Repeat("ä", maxReason/2) {
		t.Errorf("a long reason: %+v", left)
	}
}
