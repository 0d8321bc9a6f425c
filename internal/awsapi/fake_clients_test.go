package awsapi

import (
	"context"
	"fmt"
	"time"
)

// clients are MyDevice001, which is connected, and a/b, which is not.
func (m *memory) clients() Clients {
	device := Client{
		ClientID: "MyDevice001", Connected: true, Thing: "MyDevice001", CertificateID: "c0ffee", Remote: "127.0.0.1:5000",
		Since: testNow(), Version: "3.1.1", KeepAlive: 30, Subscriptions: []Subscription{{Filter: "to/MyDevice001", QoS: 1}},
		Queue: Queue{2, 200}, InFlight: 1, Received: Traffic{12, 1200, 0.5, 50},
	}
	away := Client{
		ClientID: "a/b", Persistent: true, Expires: testNow().Add(time.Hour), Subscriptions: []Subscription{},
		Stored: Queue{3, 300}, Dropped: 1, Left: &Departure{At: testNow(), Since: testNow().Add(-time.Hour), Reason: "EOF", Remote: "127.0.0.1:5001"},
	}
	return Clients{
		List: func(after string, limit int, connected, waiting bool) (list []Client) {
			m.asked = append(m.asked, fmt.Sprint("list ", after, " ", limit, connected, waiting))
			if connected {
				list = append(list, device)
			}
			if waiting {
				list = append(list, away)
			}
			return list
		},
		Get: func(id string) (Client, error) {
			return fetch(map[string]Client{device.ClientID: device, away.ClientID: away}, "client", id)
		},
		Kick: func(_ context.Context, id string, cleanSession, preventWill bool) (Kicked, error) {
			m.asked = append(m.asked, fmt.Sprint("kick ", id, " ", cleanSession, preventWill))
			_, err := fetch(map[string]bool{device.ClientID: true, away.ClientID: true}, "client", id)
			return Kicked{Connection: id == device.ClientID, Session: cleanSession}, err
		},
	}
}
