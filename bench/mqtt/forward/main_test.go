package main

import (
	"io"
	"net"
	"testing"
)

func TestEverySubscriberGetsWhatIsPublishedAndThePublisherItsAcknowledgements(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go new(forwarder).serve(ln)
	const connect, connack = "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a", "\x20\x02\x00\x00"
	one, two, publisher := client(t, ln), client(t, ln), client(t, ln)
	for _, c := range []net.Conn{one, two, publisher} {
		exchange(t, c, connect, connack)
	}
	for _, c := range []net.Conn{one, two} {
		exchange(t, c, "\x82\x06\x00\x09\x00\x01t\x01", "\x90\x03\x00\x09\x01")
	}
	const first, second, dropped = "\x32\x06\x00\x01t\x00\x07x", "\x32\x07\x00\x01t\x01\x08yy", "\xc0\x00"
	exchange(t, publisher, first+dropped+second[:3], "\x40\x02\x00\x07\xd0\x00")
	exchange(t, publisher, second[3:], "\x40\x02\x01\x08")
	for _, c := range []net.Conn{one, two} {
		exchange(t, c, "\x40\x02\x00\x07", first+second) // its own PUBACK goes no further
		exchange(t, c, "\xc0\x00", "\xd0\x00")
	}
}

func client(t *testing.T, ln net.Listener) net.Conn {
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func exchange(t *testing.T, conn net.Conn, send, want string) {
	t.Helper()
	if _, err := io.WriteString(conn, send); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("% x was answered % x, %v; want % x", send, got, err, want)
	}
}
