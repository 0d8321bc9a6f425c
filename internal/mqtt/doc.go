// Package mqtt is the packet codec of MQTT 3.1.1 and 5.0, for both the client's
// and the server's side.
//
// It knows no sockets, sessions or topic trees: it turns bytes into packets and
// packets into bytes. [Split] finds the end of the first packet in a buffer,
// [PacketType] says what it is, and a Decode function takes the whole packet,
// its fixed header included. Decoding is strict: what the standard forbids and
// a single packet shows is refused with an [*Error]. What takes knowledge of the
// connection is the caller's to check: the order of packets, who may send
// which, identifiers in use, negotiated limits.
//
// Encoding appends to a buffer of the caller's and cannot fail. It trusts its
// input: the caller validates topics and keeps packets below the peer's maximum
// packet size. What a version cannot express, such as properties in 3.1.1, is
// left out.
//
// The functions share no state and may be called concurrently. Marks such as
// [MQTT-3.1.2-3] cite the conformance statements of MQTT 5.0, and those such as
// [MQTT311-3.1.2-22] the ones of MQTT 3.1.1 that 5.0 no longer has.
package mqtt
