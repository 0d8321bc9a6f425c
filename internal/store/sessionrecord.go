package store

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

func sessionKey(table byte, session uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{table}, session)
}

func bodyKey(number uint64) []byte { return binary.BigEndian.AppendUint64([]byte{tableBody}, number) }

func subscriptionKey(session uint64, filter string) []byte {
	return append(sessionKey(tableSubscription, session), filter...)
}

func receivedKey(session uint64, packetID uint16) []byte {
	return binary.BigEndian.AppendUint16(sessionKey(tableReceived, session), packetID)
}

// appendQueueKey appends the key of a reference. The same key with queueReleased
// behind it says that the client has the message.
func appendQueueKey(dst []byte, session, number uint64) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, tableQueue), session)
	return binary.BigEndian.AppendUint64(dst, number)
}

const queueReleased byte = 'r'

// cutQueueKey undoes appendQueueKey.
func cutQueueKey(key []byte) (session, number uint64, released bool, err error) {
	if len(key) != 17 && (len(key) != 18 || key[17] != queueReleased) {
		return 0, 0, false, errKey
	}
	return binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[9:]), len(key) == 18, nil
}

// appendSession encodes what a session's record holds beside its key.
func appendSession(dst []byte, s *iot.Session) []byte {
	dst = appendBytes(appendBytes(dst, s.ClientID), s.Certificate)
	dst = appendTime(appendTime(dst, s.Created), s.Ended)
	dst = binary.AppendVarint(dst, int64(s.Expiry))
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, s.Dropped), s.Sent)
	dst = binary.AppendUvarint(dst, uint64(len(s.Policies)))
	for _, name := range s.Policies {
		dst = appendBytes(dst, name)
	}
	if s.Will == nil {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(append(dst, 1), int64(s.Will.Delay))
	return appendBytes(dst, appendMessage(nil, s.Will.Message))
}

func decodeSession(id uint64, value []byte) (s iot.Session, err error) {
	r := reader{rest: string(value)}
	s = iot.Session{ID: id, ClientID: r.text(), Certificate: r.text(), Created: r.time(), Ended: r.time()}
	s.Expiry = time.Duration(r.signed())
	s.Dropped, s.Sent = r.number(math.MaxUint64), r.number(math.MaxUint64)
	for range r.number(uint64(len(r.rest))) {
		s.Policies = append(s.Policies, r.text())
	}
	if r.byte() == 1 {
		s.Will = &iot.Will{Delay: time.Duration(r.signed())}
		if s.Will.Message, err = decodeMessage([]byte(r.text())); err != nil {
			return s, err
		}
	}
	return s, r.end()
}

// The first byte of a subscription and of a reference.
const (
	flagQoS     byte = 3 // mask
	flagNoLocal byte = 1 << 2
	flagAsIs    byte = 1 << 3 // retain as published
	flagRetain  byte = 1 << 2
	flagShared  byte = 1 << 3 // the message is in the table of bodies
)

func appendSubscription(dst []byte, s *iot.Subscription) []byte {
	flags := s.QoS & flagQoS
	if s.NoLocal {
		flags |= flagNoLocal
	}
	if s.RetainAsPublished {
		flags |= flagAsIs
	}
	return binary.AppendUvarint(append(dst, flags, s.RetainHandling), uint64(s.ID))
}

func decodeSubscription(filter string, value []byte) (iot.Subscription, error) {
	r := reader{rest: string(value)}
	flags := r.byte()
	s := iot.Subscription{
		Filter: filter, QoS: flags & flagQoS, NoLocal: flags&flagNoLocal != 0, RetainAsPublished: flags&flagAsIs != 0,
		RetainHandling: r.byte(),
	}
	s.ID = uint32(r.number(math.MaxUint32))
	return s, r.end()
}

// reference is how one session gets a message.
type reference struct {
	iot.Target
	body uint64 // where the message is; 0: in the reference itself
	size uint32 // of topic and payload
}

// appendReference encodes all of r but what the key says. With body 0, the
// message follows.
func appendReference(dst []byte, t *iot.Target, body uint64, size uint32) []byte {
	flags := t.QoS & flagQoS
	if t.Retain {
		flags |= flagRetain
	}
	if body != 0 {
		flags |= flagShared
	}
	dst = binary.AppendUvarint(append(dst, flags), uint64(size))
	if body != 0 {
		dst = binary.AppendUvarint(dst, body)
	}
	dst = appendBytes(dst, t.Share)
	dst = binary.AppendUvarint(dst, uint64(len(t.SubscriptionIDs)))
	for _, id := range t.SubscriptionIDs {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	return dst
}

// decodeReference undoes appendReference. message is what follows it, aliasing
// value; it is empty when the message is shared.
func decodeReference(value []byte) (ref reference, message []byte, err error) {
	place, rest, err := decodePlace(value)
	if err != nil {
		return place, nil, err
	}
	share, rest, err := cutBytes(rest)
	if err != nil {
		return place, nil, err
	}
	place.Share = string(share)
	count, n := binary.Uvarint(rest)
	if n <= 0 || count > uint64(len(rest)-n) {
		return place, nil, errKey
	}
	rest = rest[n:]
	for range count {
		id, n := binary.Uvarint(rest)
		if n <= 0 || id > math.MaxUint32 {
			return place, nil, errKey
		}
		place.SubscriptionIDs = append(place.SubscriptionIDs, uint32(id))
		rest = rest[n:]
	}
	if place.body != 0 && len(rest) > 0 {
		return place, nil, errKey
	}
	return place, rest, nil
}

// decodePlace reads the front of a reference, without allocating: where the
// message is and how large.
func decodePlace(value []byte) (ref reference, rest []byte, err error) {
	if len(value) == 0 {
		return ref, nil, errKey
	}
	flags := value[0]
	ref.QoS, ref.Retain = flags&flagQoS, flags&flagRetain != 0
	size, n := binary.Uvarint(value[1:])
	if n <= 0 || size > math.MaxUint32 {
		return ref, nil, errKey
	}
	ref.size, rest = uint32(size), value[1+n:]
	if flags&flagShared != 0 {
		if ref.body, n = binary.Uvarint(rest); n <= 0 || ref.body == 0 {
			return ref, nil, errKey
		}
		rest = rest[n:]
	}
	return ref, rest, nil
}
