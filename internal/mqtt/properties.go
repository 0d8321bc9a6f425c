package mqtt

import (
	"encoding/binary"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// propertyID identifies a property (MQTT 5.0 §2.2.2.2). All are below 64.
type propertyID byte

const (
	payloadFormat         propertyID = 1
	messageExpiry         propertyID = 2
	contentType           propertyID = 3
	responseTopic         propertyID = 8
	correlationData       propertyID = 9
	subscriptionID        propertyID = 11
	sessionExpiry         propertyID = 17
	assignedClientID      propertyID = 18
	serverKeepAlive       propertyID = 19
	authMethod            propertyID = 21
	authData              propertyID = 22
	requestProblem        propertyID = 23
	willDelay             propertyID = 24
	requestResponse       propertyID = 25
	responseInformation   propertyID = 26
	serverReference       propertyID = 28
	reasonString          propertyID = 31
	receiveMaximum        propertyID = 33
	topicAliasMaximum     propertyID = 34
	topicAlias            propertyID = 35
	maximumQoS            propertyID = 36
	retainAvailable       propertyID = 37
	userProperty          propertyID = 38
	maximumPacketSize     propertyID = 39
	wildcardsAvailable    propertyID = 40
	identifiersAvailable  propertyID = 41
	sharedSubscrAvailable propertyID = 42
)

// limits are the values of numeric properties that the type alone does not
// forbid. Breaking them is a protocol error, or what code says. It is never
// written to.
var limits = [64]struct {
	least, most uint32
	code        ReasonCode
}{
	payloadFormat:         {0, 1, ProtocolError},
	subscriptionID:        {1, maxVarint, ProtocolError},
	requestProblem:        {0, 1, ProtocolError},
	requestResponse:       {0, 1, ProtocolError},
	receiveMaximum:        {1, 1<<16 - 1, ProtocolError},
	topicAlias:            {1, 1<<16 - 1, TopicAliasInvalid}, // [MQTT-3.3.2-8]
	maximumQoS:            {0, 1, ProtocolError},
	retainAvailable:       {0, 1, ProtocolError},
	maximumPacketSize:     {1, 1<<32 - 1, ProtocolError},
	wildcardsAvailable:    {0, 1, ProtocolError},
	identifiersAvailable:  {0, 1, ProtocolError},
	sharedSubscrAvailable: {0, 1, ProtocolError},
}

// field binds a property to the place in a packet where its value is. A packet
// type's list of fields says at once what may occur in it, how it is decoded and
// how it is encoded; the type that value points to is the property's type:
//
//	*uint16 *uint32 *variableInt   absent when the number sent would be field.absent
//	*bool *denial                  sent as 0 or 1; likewise
//	**uint8 **uint16 **uint32      absent when nil
//	*string                        absent when empty
//	*[]byte                        absent when nil
//	*[]uint32                      variable byte integers, any number of times
//	*[]iot.UserProperty            any number of times
type field struct {
	id     propertyID
	value  any
	absent uint32 // the number that absence stands for
}

// variableInt is a number that is sent as a variable byte integer (§1.5.5).
type variableInt uint32

// denial is a property of value 0 or 1 under the name of its opposite: true is
// sent as 0. So Go's zero value is what the standard takes absence for.
type denial bool

// properties decodes the property block that comes next into the fields.
func (r *reader) properties(fields []field) {
	length := r.varint()
	block := reader{rest: r.take(int(length))}
	var seen uint64
	for len(block.rest) > 0 {
		id := block.varint()
		f := findField(fields, id)
		switch {
		case block.err != nil:
		case f == nil:
			block.fail(MalformedPacket, fmt.Sprintf("property %d does not belong to the packet type (§2.2.2.2)", id))
		case seen&(1<<f.id) != 0 && !f.repeats():
			block.fail(ProtocolError, fmt.Sprintf("property %d occurs twice (§2.2.2.2)", id))
		default:
			seen |= 1 << f.id
			f.decode(&block)
		}
	}
	if block.err != nil {
		r.err, r.rest = block.err, nil
	}
}

func findField(fields []field, id uint32) *field {
	for i := range fields {
		if uint32(fields[i].id) == id {
			return &fields[i]
		}
	}
	return nil
}

// repeats reports whether the property may occur more than once.
func (f *field) repeats() bool {
	switch f.value.(type) {
	case *[]uint32, *[]iot.UserProperty:
		return true
	}
	return false
}

// decode reads the property's value. What is kept is copied from the packet.
func (f *field) decode(r *reader) {
	switch v := f.value.(type) {
	case *uint16:
		*v = uint16(f.check(r, uint32(r.uint16())))
	case *uint32:
		*v = f.check(r, r.uint32())
	case *variableInt:
		*v = variableInt(f.check(r, r.varint()))
	case *bool:
		*v = f.check(r, uint32(r.uint8())) != 0
	case *denial:
		*v = f.check(r, uint32(r.uint8())) == 0
	case **uint8:
		n := uint8(f.check(r, uint32(r.uint8())))
		*v = &n
	case **uint16:
		n := uint16(f.check(r, uint32(r.uint16())))
		*v = &n
	case **uint32:
		n := f.check(r, r.uint32())
		*v = &n
	case *string:
		*v = string(r.text())
	case *[]byte:
		*v = append([]byte{}, r.binary()...)
	case *[]uint32:
		*v = append(*v, f.check(r, r.varint()))
	case *[]iot.UserProperty:
		*v = append(*v, iot.UserProperty{Key: string(r.text()), Value: string(r.text())})
	}
}

// check returns n, having refused it when it is out of the property's limits.
func (f *field) check(r *reader, n uint32) uint32 {
	if l := limits[f.id]; l.most != 0 && (n < l.least || n > l.most) {
		r.fail(l.code, fmt.Sprintf("property %d is %d, out of its range (§2.2.2.2)", f.id, n))
	}
	return n
}

// appendProperties appends the property block of the fields that are not absent.
func appendProperties(dst []byte, fields []field) []byte {
	start := len(dst)
	for i := range fields {
		dst = fields[i].append(dst)
	}
	return insertVarint(dst, start, len(dst)-start)
}

// append appends the property, unless it is absent.
func (f *field) append(dst []byte) []byte {
	switch v := f.value.(type) {
	case *uint16:
		return f.appendUnlessAbsent(dst, uint32(*v), 2)
	case *uint32:
		return f.appendUnlessAbsent(dst, *v, 4)
	case *variableInt:
		return f.appendUnlessAbsent(dst, uint32(*v), variableWidth)
	case *bool:
		return f.appendUnlessAbsent(dst, uint32(bit(*v, 1)), 1)
	case *denial:
		return f.appendUnlessAbsent(dst, uint32(bit(!bool(*v), 1)), 1)
	case **uint8:
		return appendUnlessNil(dst, f, *v, 1)
	case **uint16:
		return appendUnlessNil(dst, f, *v, 2)
	case **uint32:
		return appendUnlessNil(dst, f, *v, 4)
	case *string:
		if *v != "" {
			return appendBytes(append(dst, byte(f.id)), *v)
		}
	case *[]byte:
		if *v != nil {
			return appendBytes(append(dst, byte(f.id)), *v)
		}
	case *[]uint32:
		for _, n := range *v {
			dst = f.appendNumber(dst, n, variableWidth)
		}
	case *[]iot.UserProperty:
		for _, p := range *v {
			dst = appendBytes(appendBytes(append(dst, byte(f.id)), p.Key), p.Value)
		}
	}
	return dst
}

// appendUnlessAbsent appends a number that absence does not stand for. A zero
// that the standard forbids is taken as absent too.
func (f *field) appendUnlessAbsent(dst []byte, n uint32, width int) []byte {
	if n == f.absent || n < limits[f.id].least {
		return dst
	}
	return f.appendNumber(dst, n, width)
}

func appendUnlessNil[N uint8 | uint16 | uint32](dst []byte, f *field, n *N, width int) []byte {
	if n == nil {
		return dst
	}
	return f.appendNumber(dst, uint32(*n), width)
}

// variableWidth marks a number that is sent as a variable byte integer.
const variableWidth = 0

// appendNumber appends the property with a number of width bytes.
func (f *field) appendNumber(dst []byte, n uint32, width int) []byte {
	dst = append(dst, byte(f.id))
	switch width {
	case 1:
		return append(dst, byte(n))
	case 2:
		return binary.BigEndian.AppendUint16(dst, uint16(n))
	case 4:
		return binary.BigEndian.AppendUint32(dst, n)
	}
	return appendVarint(dst, n)
}
