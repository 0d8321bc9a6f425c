package main

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
)

func TestClientsAreDescribedForPeople(t *testing.T) {
	at := time.Date(2026, 11, 26, 5, 17, 33, 0, time.Local)
	id := strings.Repeat("0123456789abcdef", 4)
	device := awsapi.Client{
		ClientID: "pump-07", Connected: true, Thing: "pump-07", CertificateID: id, Remote: "192.0.2.7:41048", Version: "5.0", Since: at, KeepAlive: 30,
		Persistent: true, Subscriptions: []awsapi.Subscription{
			{Filter: "to/pump-07", QoS: 1}, {Filter: "all/#", NoLocal: true, RetainAsPublished: true, RetainHandling: 2, ID: 7},
		},
		Queue: awsapi.Queue{Messages: 2, Bytes: 90}, InFlight: 1, Stored: awsapi.Queue{Messages: 3, Bytes: 84}, Dropped: 4,
		Received: awsapi.Traffic{Messages: 12, Bytes: 1340, MessageRate: 0.25, ByteRate: 22.4}, Sent: awsapi.Traffic{Messages: 1, Bytes: 60},
		Left: &awsapi.Departure{Since: at.Add(-2 * time.Hour), At: at, Reason: "EOF", Remote: "192.0.2.7:41040"},
	}
	page := awsapi.Client{ClientID: "a\x1b[2Jb", Connected: true, AccessKey: "AKIAEXAMPLE", Remote: "192.0.2.8:1", Version: "3.1.1", Since: at}
	away := awsapi.Client{ClientID: "away", Persistent: true, Expires: at, Remote: "192.0.2.9:1", CertificateID: id}
	for _, c := range []struct {
		client awsapi.Client
		row    string
		shown  string
	}{
		{
			device, "pump-07|2026-11-26 05:17:33|192.0.2.7:41048|0123456789ab…|2|0.2|0.0|2|3",
			`client        pump-07
thing         pump-07
connected     since 2026-11-26 05:17:33 from 192.0.2.7:41048, MQTT 5.0, keep-alive 30 s
certificate   ` + id + `
session       outlives the connection
received      12 messages, 1340 bytes; 0.2 messages and 22 bytes a second
sent          1 messages, 60 bytes; 0.0 messages and 0 bytes a second
queue         2 messages of 90 bytes to be sent, 1 in flight
stored        3 messages of 84 bytes, 4 dropped
subscription  to/pump-07 at QoS 1
subscription  all/# at QoS 0 (no local, retain as published, retain handling 2, identifier 7)
last left     2026-11-26 05:17:33, after 2h0m0s, from 192.0.2.7:41040
              EOF
`,
		},
		{
			page, `"a\x1b[2Jb"|2026-11-26 05:17:33|192.0.2.8:1|AKIAEXAMPLE|0|0.0|0.0|0|0`,
			`client      "a\x1b[2Jb"
connected   since 2026-11-26 05:17:33 from 192.0.2.8:1, MQTT 3.1.1, keep-alive 0 s
access key  AKIAEXAMPLE
session     ends with the connection
received    0 messages, 0 bytes; 0.0 messages and 0 bytes a second
sent        0 messages, 0 bytes; 0.0 messages and 0 bytes a second
queue       0 messages of 0 bytes to be sent, 0 in flight
`,
		},
		{
			away, "away|away|192.0.2.9:1|0123456789ab…|0|0.0|0.0|0|0",
			`client       away
connected    no
certificate  ` + id + `
session      waits, until 2026-11-26 05:17:33
stored       0 messages of 0 bytes, 0 dropped
`,
		},
	} {
		if got := strings.Join(clientCells(&c.client), "|"); got != c.row {
			t.Errorf("row %s, want %s", got, c.row)
		}
		var shown strings.Builder
		if err := describeClient(&shown, &c.client); err != nil || shown.String() != c.shown {
			t.Errorf("shown as\n%s, %v, want\n%s", &shown, err, c.shown)
		}
	}
}
