// Package push is the WebSocket door: it upgrades browsers and other clients,
// keeps what each one follows, and delivers committed readings to it. The
// gateway's own API is at /prod; connections of the APIs that users make are
// handed to [Gateway.Serve] with the [Socket] that serves them, and follow no
// readings unless that is asked for.
//
// It stores nothing and decides nothing about who may connect: that is asked of
// Config.Authorize, Config.AllowOrigin and [Handlers], or of the Socket. What a
// client missed is read from [Readings].
//
// # Delivery
//
// Recent readings stand in one shared, bounded log, framed once; a client is a
// cursor into it and what it follows. [Gateway.Publish] appends and returns. Run
// wakes the clients whom a reading concerns, and each client's writer takes all
// that waits behind its cursor with as few writes as can be. A client that has
// fallen out of the log is served from Readings, page by page, so that a slow
// client costs neither memory nor anyone else's time. One that stops reading is
// closed; one that is too far behind, or asks for what retention has dropped, is
// told {"gap":{"from":a,"to":b}}: the first and last seq that it will not get.
// (What a since asks for is no lag, however old: it is served in full.)
//
// # Actions
//
// A client that only listens gets the payload of every reading from its
// connection on, byte for byte, a text frame each. {"action":"subscribe",
// "device_id":D} makes it follow D, "*" all devices; the first action ends the
// listening to everything. The reply {"action":"subscribed","device_id":D} comes
// before any frame that is due to it. {"action":"unsubscribe","device_id":D}
// likewise; a client that has unsubscribed everything gets nothing.
//
// "since":N in a subscribe gives exactly the readings of that subscription with
// seq > N, in the order of seq, each once. It turns the frames of the whole
// connection, from then on, into {"seq","device_id","time","payload"}. On a
// connection with several subscriptions it first replays that one alone, from N
// up to where the connection is, and then goes on with all of them together: a
// reading that two subscriptions match is sent once, unless one of them asked to
// have it replayed. An N that lies ahead of the store means from now on.
//
// What is not such an action is answered as API Gateway does a message without a
// route, {"message":"Forbidden","connectionId":…,"requestId":…}; the connection
// stays.
//
// # Concurrency
//
// Everything exported is safe for concurrent use. One goroutine reads each
// connection; a second one writes it only while there is something to write, and
// alone owns what the client follows.
//
// The protocol is RFC 6455; limits and close codes are API Gateway's.
package push
