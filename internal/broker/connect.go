package broker

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/policy"
)

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
	if err := c.authorizeConnect(&connect); err != nil {
		return err
	}
	if err := c.b.checkConnectRate(time.Now(), c.clientID); err != nil {
		return err
	}
	c.since = time.Now()
	if err := c.b.clients.claim(c, c.due); err != nil {
		return err
	}
	present, err := c.open(&connect)
	if err != nil {
		return err
	}
	// Now that a revocation finds the connection, look again: one that came since
	// the first look has not been missed.
	if _, err := c.identify(); err != nil {
		return err
	}
	return c.welcome(&connect, present, assigned)
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
	c.out.limit = min(int(connect.ReceiveMaximum), c.b.limits.Window)
	c.out.aliasMax = min(int(connect.TopicAliasMaximum), c.b.limits.TopicAliases)
	if persistent(connect) {
		c.attributes = append(c.attributes, "PersistentConnect")
	}
	if connect.Will != nil {
		c.attributes = append(c.attributes, "LastWill")
	}
	if connect.AuthMethod != "" {
		return "", &mqtt.Error{Code: mqtt.BadAuthenticationMethod, Reason: "extended authentication is not supported"}
	}
	if c.clientID == "" {
		c.clientID = "auto-" + uuid.NewString()
		assigned = c.clientID
	}
	c.keepAlive = time.Duration(c.b.ways.keepAlive(connect.KeepAlive)) * time.Second
	c.visit = visit{clientID: c.clientID, session: uuid.NewString(), certificate: c.peer.principal(), source: c.peer.Source}
	return assigned, c.checkConnect(connect)
}

// checkConnect refuses what the broker does not do.
func (c *conn) checkConnect(connect *mqtt.Connect) error {
	if err := c.b.ways.checkClientID(connect.ClientID); err != nil {
		return err
	}
	if w := connect.Will; w != nil {
		if err := c.b.ways.checkQoS(w.QoS); err != nil {
			return err
		}
		return c.b.ways.checkTopic(w.Topic)
	}
	return nil
}

// persistent reports whether the client asks for a session that outlives the
// connection.
func persistent(connect *mqtt.Connect) bool {
	if connect.Version == mqtt.V5 {
		return connect.SessionExpiry > 0
	}
	return !connect.CleanStart
}

// authorizeConnect finds out who the client is and whether it may connect, with
// its will.
func (c *conn) authorizeConnect(connect *mqtt.Connect) error {
	who, err := c.refresh()
	if err != nil {
		return err
	}
	decision := c.b.cfg.Authorizer.Authorize(&who.principal, policy.Connect, c.clientID)
	if !decision.Allowed {
		c.b.metrics.deny(policy.Connect)
		return &mqtt.Error{Code: mqtt.NotAuthorized, Reason: fmt.Sprintf("client %q may not connect: %s", c.clientID, decision.Reason)}
	}
	if w := c.will(connect); w != nil {
		return c.b.checkWill(&who.principal, w.Message)
	}
	return nil
}

// welcome sends CONNACK and opens the connection for what follows. It fails when
// the client takes no packet as large as CONNACK.
func (c *conn) welcome(connect *mqtt.Connect, present bool, assigned string) error {
	connack := c.connack(connect, assigned)
	connack.SessionPresent = present // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
	if dropped := c.session.dropped.Swap(0); dropped > 0 {
		connack.ReasonString = c.reason(fmt.Sprintf("%d messages were dropped, for the session's queue was full", dropped))
	}
	packet := mqtt.AppendConnack(nil, c.version, connack)
	if c.maxPacket > 0 && len(packet) > c.maxPacket {
		return fmt.Errorf("CONNACK has %d bytes and the client takes %d at most [MQTT-3.1.2-24]", len(packet), c.maxPacket)
	}
	c.out.send(func(dst []byte) []byte { return append(dst, packet...) })
	c.connected, c.inherited = true, c.session.unreleased()
	c.b.tell(c.session.lane, c.b.presence.connected(&c.visit, time.Now()))
	c.session.attach(c)
	c.out.send(func(dst []byte) []byte { return dst }) // what waits in the session's queue
	c.b.metrics.connections.Inc()
	c.b.online.Add(1)
	if c.peer.Certificate != "" {
		c.b.cfg.Connected(c.peer.Certificate, c.clientID)
	}
	who := slog.String("certificate", c.peer.Certificate)
	if c.peer.Principal != "" {
		who = slog.String("access_key", c.peer.Principal)
	}
	c.log("client connected", slog.String("version", c.version.String()), who,
		slog.Duration("keep_alive", c.keepAlive), slog.Bool("resumed", present))
	return nil
}

// connack says what the client gets of what it asked for. All but the code is
// for MQTT 5 only.
func (c *conn) connack(connect *mqtt.Connect, assigned string) *mqtt.Connack {
	connack := &mqtt.Connack{AssignedClientID: assigned}
	c.b.ways.announce(connack)
	if granted := expirySeconds(c.expiry); granted != connect.SessionExpiry {
		connack.SessionExpiry = &granted
	}
	if granted := uint16(c.keepAlive / time.Second); granted != connect.KeepAlive {
		connack.ServerKeepAlive = &granted
	}
	return connack
}

// expirySeconds is a session's expiry as MQTT 5 writes it.
func expirySeconds(expiry time.Duration) uint32 {
	if expiry < 0 {
		return forever
	}
	return uint32(min(expiry/time.Second, forever-1))
}
