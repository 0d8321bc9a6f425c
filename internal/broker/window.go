package broker

// maxSpan is how far the numbers of unfinished deliveries may be apart: below
// half the packet identifiers, and a power of two.
const maxSpan = 32768

// window holds the deliveries of QoS 1 and 2 that were sent to a client and are
// not finished, by their numbers. Numbers rise; a delivery's packet identifier
// follows from its number, so that it is the same however often it is sent
// [MQTT-4.4.0-1], and nothing more needs to be kept than how far it has come.
type window struct {
	base, next uint64 // numbers from base on, and before next, have slots
	open       int    // unfinished ones
	slots      []slot // number n is at n % len(slots)
}

// slot is the state of one delivery.
type slot struct {
	stage stage
	size  uint32 // of the message, in bytes, as its session's queue counts it
}

// stage is how far a delivery has come.
type stage uint8

const (
	finished  stage = iota
	sentOnce        // QoS 1, PUBACK is awaited
	sentTwice       // QoS 2, PUBREC is awaited
	received        // QoS 2, PUBREC came and is being made durable
	released        // QoS 2, PUBREL has been sent
)

// packetID is the identifier of the delivery of a number. It is never zero
// [MQTT-2.2.1-3].
func packetID(number uint64) uint16 { return uint16(number%65535) + 1 }

// fits reports whether a delivery of a number may be added without two having
// one identifier.
func (w *window) fits(number uint64) bool { return w.open == 0 || number-w.base < maxSpan }

// add notes a delivery. Its number is above all that were added before.
func (w *window) add(number uint64, to stage, size uint32) {
	if w.open == 0 {
		w.base, w.next = number, number
	}
	w.grow(number + 1 - w.base)
	for ; w.next < number; w.next++ {
		*w.slot(w.next) = slot{} // it was finished before, or is not queued any more
	}
	*w.slot(number) = slot{to, size}
	w.next = number + 1
	w.open++
}

func (w *window) slot(number uint64) *slot { return &w.slots[number%uint64(len(w.slots))] }

// grow makes room for a span of numbers.
func (w *window) grow(span uint64) {
	size := max(8, len(w.slots))
	for uint64(size) < span {
		size *= 2
	}
	if size == len(w.slots) {
		return
	}
	grown := window{base: w.base, next: w.next, open: w.open, slots: make([]slot, size)}
	for n := w.base; n < w.next; n++ {
		*grown.slot(n) = *w.slot(n)
	}
	*w = grown
}

// find returns the number of the unfinished delivery with a packet identifier.
func (w *window) find(id uint16) (number uint64, at *slot, ok bool) {
	if w.open == 0 || id == 0 {
		return 0, nil, false
	}
	number = w.base + (uint64(id-1)+65535-w.base%65535)%65535
	if number >= w.next {
		return 0, nil, false
	}
	at = w.slot(number)
	return number, at, at.stage != finished
}

// finish ends a delivery that find has found.
func (w *window) finish(at *slot) {
	at.stage = finished
	w.open--
	for w.base < w.next && w.slot(w.base).stage == finished {
		w.base++
	}
	if w.open == 0 && len(w.slots) > keepWindow {
		w.slots = nil
	}
}

// keepWindow is how many slots are kept while none is in use.
const keepWindow = 1024
