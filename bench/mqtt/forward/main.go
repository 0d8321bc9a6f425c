// Command forward moves MQTT packets from publishers to subscribers and does
// nothing else: the ceiling of what a broker written in Go, with one goroutine a
// connection, can reach on a machine.
//
// It looks at a packet's first byte and length only, but for the packet
// identifiers that it acknowledges. So it has no topics (every subscriber gets
// everything), no sessions, no policies, no packet identifiers of its own (the
// publisher's are passed on, and those of two publishers may collide), no change
// of QoS (a subscriber is granted what it asks for and gets what is published),
// no redelivery, no retained messages, no keep-alive, no queues (a subscriber
// that does not read stalls every publisher), no TLS, and no checks of what it is
// sent. PUBACK says no more than that the packet has been written to the
// subscribers' sockets. One filter a SUBSCRIBE is understood, of up to 127 bytes
// with its header, and CONNECT as clients of 3.1.1 send it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:1883", "where to listen")
	flag.Parse()
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "forward:", err)
		os.Exit(1)
	}
	go func() {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
		<-stop
		ln.Close()
	}()
	if err := new(forwarder).serve(ln); !errors.Is(err, net.ErrClosed) {
		fmt.Fprintln(os.Stderr, "forward:", err)
		os.Exit(1)
	}
}

// forwarder is everyone who has subscribed.
type forwarder struct {
	subscribers atomic.Pointer[[]net.Conn] // never changed, only replaced
	mu          sync.Mutex                 // of replacing
}

func (f *forwarder) serve(ln net.Listener) error {
	f.subscribers.Store(new([]net.Conn))
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if err := f.connection(conn); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				fmt.Fprintln(os.Stderr, "forward:", err)
			}
			f.change(func(all []net.Conn) []net.Conn {
				return slices.DeleteFunc(all, func(c net.Conn) bool { return c == conn })
			})
		}()
	}
}

// change replaces the subscribers by what do makes of a copy of them.
func (f *forwarder) change(do func([]net.Conn) []net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := do(slices.Clone(*f.subscribers.Load()))
	f.subscribers.Store(&all)
}

// connection passes on what one client sends, as much at once as it can, until
// the client leaves, which is an error, too.
func (f *forwarder) connection(conn net.Conn) error {
	buf := make([]byte, 64<<10)
	var answers []byte
	for rest := 0; ; {
		n, err := conn.Read(buf[rest:])
		if err != nil {
			return err
		}
		in := buf[:rest+n]
		at, from := 0, 0 // in[from:at] is PUBLISH packets to pass on
		for {
			size := packetSize(in[at:])
			if size == 0 {
				break
			}
			packet := in[at : at+size]
			if packet[0]>>4 != 3 {
				f.pass(in[from:at])
				from = at + size
			}
			answers = f.answer(answers, packet, conn)
			at += size
		}
		f.pass(in[from:at])
		if rest = copy(buf, in[at:]); rest == len(buf) {
			return errors.New("a packet is too large")
		}
		if len(answers) > 0 {
			if _, err := conn.Write(answers); err != nil {
				return err
			}
			answers = answers[:0]
		}
	}
}

// packetSize is how long the first packet of in is; 0 when it is not all there.
func packetSize(in []byte) int {
	length, shift := 0, 0
	for i := 1; i < len(in) && i < 5; i++ {
		length |= int(in[i]&0x7f) << shift
		if in[i] < 0x80 {
			if size := i + 1 + length; size <= len(in) {
				return size
			}
			return 0
		}
		shift += 7
	}
	return 0
}

// answer appends what a packet is answered with.
func (f *forwarder) answer(dst, packet []byte, conn net.Conn) []byte {
	switch packet[0] >> 4 {
	case 1: // CONNECT
		return append(dst, 0x20, 2, 0, 0)
	case 3: // PUBLISH
		if packet[0]&0x06 == 0 {
			return dst
		}
		at := 1
		for packet[at] >= 0x80 {
			at++
		}
		at += 3 + int(packet[at+1])<<8 + int(packet[at+2])
		return append(dst, 0x40, 2, packet[at], packet[at+1])
	case 8: // SUBSCRIBE
		f.change(func(all []net.Conn) []net.Conn { return append(all, conn) })
		return append(dst, 0x90, 3, packet[2], packet[3], packet[len(packet)-1])
	case 12: // PINGREQ
		return append(dst, 0xd0, 0)
	}
	return dst // DISCONNECT ends with the connection; PUBACK needs no answer
}

// pass writes packets to every subscriber, each of which gets them whole: a
// net.Conn does one Write after another.
func (f *forwarder) pass(packets []byte) {
	if len(packets) == 0 {
		return
	}
	for _, c := range *f.subscribers.Load() {
		_, _ = c.Write(packets) // one that has gone is taken out by its reader
	}
}
