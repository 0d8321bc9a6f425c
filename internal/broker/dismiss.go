package broker

import "github.com/fieldline-iot/fieldline/internal/mqtt"

// dismissal is the end of a connection that an operator asks for. To the client it
// is the *[mqtt.Error] in it.
type dismissal struct {
	told         mqtt.Error
	cleanSession bool // the session ends with the connection
	preventWill  bool // the will is not published
}

func (d *dismissal) Error() string { return d.told.Error() }
func (d *dismissal) Unwrap() error { return &d.told }

// Disconnect ends a client's connection, with cleanSession its session too, and
// reports whether there was a connection. With preventWill its will is not
// published. It does not wait for the end (AWS IoT's DeleteConnection).
func (b *Broker) Disconnect(clientID string, cleanSession, preventWill bool) bool {
	c := b.clients.find(clientID)
	if c == nil {
		return false
	}
	c.interrupt(&dismissal{
		told:         mqtt.Error{Code: mqtt.AdministrativeAction, Reason: "an operator ended the connection"},
		cleanSession: cleanSession, preventWill: preventWill,
	})
	return true
}
