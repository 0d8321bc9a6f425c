package broker

import (
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

// maxClientID is the longest client identifier, in bytes, as AWS IoT has it.
const maxClientID = 128

// admit takes the connection from its first byte to CONNACK. An error refuses it.
func (c *conn) admit() error {
	connect, err := c.readConnect()
	if err != nil {
		return err
	}
	assigned, err := c.adopt(&connect)
	if err != nil {
		return err
	}
	if err := c.authorizeConnect(); err != nil {
		return err
	}
	c.log = c.b.cfg.Log.With("client", c.clientID, "remote", c.peer.remote)
	c.since = time.Now()
	if err := c.b.clients.add(c, c.connectBy); err != nil {
		return err
	}
	// Now that a revocation finds the connection, look again: one that came since
	// the first look has not been missed.
	if _, err := c.refresh(); err != nil {
		return err
	}
	c.welcome(&connect, assigned)
	return nil
}

// readConnect reads the first packet, which must be CONNECT [MQTT-3.1.0-1].
func (c *conn) readConnect() (mqtt.Connect, error) {
	packet, err := c.next()
	if err != nil {
		return mqtt.Connect{}, err
	}
	if kind := mqtt.PacketType(packet); kind != mqtt.ConnectPacket {
		return mqtt.Connect{}, fmt.Errorf("the first packet is %s, not CONNECT [MQTT-3.1.0-1]", kind)
	}
	connect, err := mqtt.DecodeConnect(packet)
	c.version, c.problem = connect.Version, connect.RequestProblem
	return connect, err
}

// adopt takes over what CONNECT says, or refuses what cannot be had. It returns
// the client identifier that it had to assign, or "".
func (c *conn) adopt(connect *mqtt.Connect) (assigned string, err error) {
	c.clientID = connect.ClientID
	c.maxPacket = int(connect.MaximumPacketSize)
	c.keepAlive = time.Duration(connect.KeepAlive) * time.Second
	c.out.limit = min(int(connect.ReceiveMaximum), c.b.limits.Window)
	if persistent(connect) {
		c.attributes = []string{"PersistentConnect"}
	}
	switch id := connect.ClientID; {
	case connect.AuthMethod != "":
		return "", &mqtt.Error{Code: mqtt.BadAuthenticationMethod, Reason: "extended authentication is not supported"}
	case connect.Will != nil:
		return "", &mqtt.Error{Code: mqtt.ImplementationSpecificError, Reason: "a will is not supported yet: connect without one"}
	case id == "":
		c.clientID = "auto-" + uuid.NewString()
		assigned = c.clientID
	case len(id) > maxClientID:
		return "", &mqtt.Error{Code: mqtt.ClientIdentifierNotValid, Reason: fmt.Sprintf("the client identifier is longer than %d bytes", maxClientID)}
	case id[0] == '$':
		return "", &mqtt.Error{Code: mqtt.ClientIdentifierNotValid, Reason: "the client identifier begins with $"}
	case strings.ContainsRune(id, 0):
		return "", &mqtt.Error{Code: mqtt.ClientIdentifierNotValid, Reason: "the client identifier contains U+0000"}
	}
	if most := c.b.limits.KeepAliveMax; c.version == mqtt.V5 && most > 0 && (connect.KeepAlive == 0 || connect.KeepAlive > most) {
		c.keepAlive = time.Duration(most) * time.Second
	}
	return assigned, nil
}

// persistent reports whether the client asks for a session that outlives the
// connection.
func persistent(connect *mqtt.Connect) bool {
	if connect.Version == mqtt.V5 {
		return connect.SessionExpiry > 0
	}
	return !connect.CleanStart
}

// authorizeConnect finds out who the client is and whether it may connect.
func (c *conn) authorizeConnect() error {
	who, err := c.refresh()
	if err != nil {
		return err
	}
	decision := c.b.cfg.Authorizer.Authorize(&who.principal, policy.Connect, c.clientID)
	if !decision.Allowed {
		c.b.metrics.denied.WithLabelValues(string(policy.Connect)).Inc()
		return &mqtt.Error{Code: mqtt.NotAuthorized, Reason: fmt.Sprintf("client %q may not connect: %s", c.clientID, decision.Reason)}
	}
	return nil
}

// welcome sends CONNACK and opens the connection for what follows.
func (c *conn) welcome(connect *mqtt.Connect, assigned string) {
	if c.lane == nil {
		// Connections of one client share the committer's queue, so that what it
		// sends after reconnecting does not overtake what it sent before.
		c.lane = &iot.Lane{ID: maphash.String(c.b.order, c.clientID)}
	}
	connack := c.connack(connect, assigned)
	c.out.send(func(dst []byte) []byte { return mqtt.AppendConnack(dst, c.version, connack) })
	c.connected = true
	c.b.metrics.connections.Inc()
	c.log.Info("client connected", slog.String("version", c.version.String()),
		slog.String("certificate", c.peer.certificate), slog.Duration("keep_alive", c.keepAlive))
}

// connack says what the client gets of what it asked for, and what it cannot
// have. All but the code is for MQTT 5 only.
func (c *conn) connack(connect *mqtt.Connect, assigned string) *mqtt.Connack {
	atMost := byte(1)
	connack := &mqtt.Connack{
		ReceiveMaximum:    uint16(c.b.limits.InFlight),
		MaximumQoS:        &atMost,
		MaximumPacketSize: uint32(c.b.maxPacket),
		AssignedClientID:  assigned,
		TopicAliasMaximum: uint16(c.b.limits.TopicAliases),
		NoRetain:          true,
		NoSubscriptionIDs: true,
		NoShared:          true,
	}
	if connect.SessionExpiry > 0 {
		connack.SessionExpiry = new(uint32)
	}
	if granted := uint16(c.keepAlive / time.Second); granted != connect.KeepAlive {
		connack.ServerKeepAlive = &granted
	}
	return connack
}
