package broker

import (
	"testing"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func TestDisconnectEndsTheConnection(t *testing.T) {
	h := start(t, nil)
	five, three := h.connect(mqtt.V5, "five"), h.connect(mqtt.V311, "three")
	if h.Disconnect("nobody", false, false) {
		t.Error("nobody was disconnected")
	}
	for _, id := range []string{"five", "three"} {
		if !h.Disconnect(id, true, true) {
			t.Errorf("%s was not found", id)
		}
	}
	if d := five.expectEnd(mqtt.AdministrativeAction); d.ReasonString == "" {
		t.Error("DISCONNECT has no reason string")
	}
	three.expectEnd(mqtt.AdministrativeAction)
	if reason, byClient := disconnectReason(&dismissal{told: mqtt.Error{Code: mqtt.AdministrativeAction}}); reason != "API_INITIATED_DISCONNECT" || byClient {
		t.Errorf("it is called %s", reason)
	}
}
