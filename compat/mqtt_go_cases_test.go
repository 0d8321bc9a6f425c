package compat

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// exchange: publishes reach the subscriber unchanged, in order, at the lower QoS.
func (c *mqttCase) exchange() {
	players := c.clean("sub", "pub")
	sub, pub := players[0], players[1]
	for level := range byte(3) {
		sub.subscribes(mqttSubscription{filter: fmt.Sprintf("%s/%d/+", c.id, level), qos: level})
	}
	bodies := []string{"", "\x00\xff°C", strings.Repeat("x", 100_000)}
	for n := range 20 {
		bodies = append(bodies, strconv.Itoa(n))
	}
	for level := range byte(3) {
		for qos := range byte(3) {
			topic := fmt.Sprintf("%s/%d/%d", c.id, level, qos)
			for _, body := range bodies {
				pub.publishes(mqttMessage{topic: topic, payload: body, qos: qos})
			}
			for i, m := range sub.take(len(bodies), topic) {
				if m.topic != topic || m.payload != bodies[i] || m.qos != min(level, qos) {
					c.t.Fatalf("message %d to %s at QoS %d, subscribed at %d, came to %s at QoS %d with %d bytes", i, topic, qos, level, m.topic, m.qos, len(m.payload))
				}
			}
		}
	}
	sub.leaves()
	pub.leaves()
}

// testament is the will of a client. Of a will's properties paho.golang 0.23 sends
// only the delay and the user properties; sdk/mqtt_cases.py has the others.
func (c *mqttCase) testament(name string) *mqttMessage {
	m := &mqttMessage{topic: c.id + "/" + name, payload: "I was " + name, qos: 1}
	if c.library.version == 5 {
		m.user = "why=power\nwhy=again"
	}
	return m
}

// wills: a will is published when a client vanishes, and not when it says goodbye.
func (c *mqttCase) wills() {
	sub := c.clean("watch")[0]
	sub.subscribes(mqttSubscription{filter: c.id + "/#", qos: 1})
	want := c.testament("gone")
	gone, _ := c.connects(mqttOptions{id: "gone", will: want})
	gone.vanish()
	if got := sub.take(1, "the will of a client that vanished")[0]; got != *want {
		c.t.Errorf("the will came as %+v, want %+v", got, *want)
	}
	polite, _ := c.connects(mqttOptions{id: "polite", will: c.testament("polite")})
	polite.leaves()
	sub.nothing("a client that disconnects takes its will back")
	if c.library.version == 5 {
		parting, _ := c.connects(mqttOptions{id: "parting", will: c.testament("parting")})
		parting.must(parting.disconnect(true), "disconnect with the will")
		if got := sub.take(1, "the will of DISCONNECT with reason 4")[0]; got != *c.testament("parting") {
			c.t.Errorf("the will came as %+v", got)
		}
		late := mqttOptions{id: "late", will: c.testament("late"), delay: 2, keep: true}
		client, _ := c.connects(late)
		client.vanish()
		back, session := c.connects(mqttOptions{id: "late", keep: true})
		if !session {
			c.t.Error("the session of the client that vanished is not there")
		}
		time.Sleep(2500 * time.Millisecond)
		sub.nothing("the client came back before its will's delay of 2 s was over")
		back.leaves()
		client, _ = c.connects(late)
		client.vanish()
		sub.take(1, "the will after its delay of 2 s")
	}
	sub.leaves()
}

// retained: the last retained message of a topic is there for those who come later.
func (c *mqttCase) retained() {
	players := c.clean("pub", "live", "late", "after")
	pub, live, late, after := players[0], players[1], players[2], players[3]
	state := mqttMessage{topic: c.id + "/state", payload: "new", qos: 2, retain: true}
	live.subscribes(mqttSubscription{filter: state.topic, qos: 1})
	pub.publishes(mqttMessage{topic: state.topic, payload: "old", qos: 1, retain: true})
	pub.publishes(state)
	for _, m := range live.take(2, "the live copies") {
		if m.retain {
			c.t.Errorf("to a subscription that was there a retained message came as %+v", m)
		}
	}
	late.subscribes(mqttSubscription{filter: c.id + "/+", qos: 2})
	if got := late.take(1, "the retained message")[0]; got != state {
		c.t.Errorf("the retained message came as %+v, want %+v", got, state)
	}
	if c.library.version == 5 {
		choosy := c.clean("choosy")[0]
		choosy.subscribes(mqttSubscription{filter: state.topic, qos: 2, retainHandling: 2, retainAsPublished: true})
		choosy.nothing("Retain Handling 2 asks for no retained message")
		pub.publishes(state)
		if got := choosy.take(1, "the live copy")[0]; !got.retain {
			c.t.Error("Retain As Published lost the RETAIN flag")
		}
		choosy.leaves()
	}
	pub.publishes(mqttMessage{topic: state.topic, qos: 1, retain: true})
	after.subscribes(mqttSubscription{filter: state.topic, qos: 1})
	after.nothing("the retained message was cleared")
	for _, p := range players {
		p.leaves()
	}
}

// shared: the members of a group share its messages; others get their own.
func (c *mqttCase) shared() {
	players := c.clean("one", "two", "own", "pub")
	one, two, own, pub := players[0], players[1], players[2], players[3]
	for _, member := range []*mqttPlayer{one, two} {
		member.subscribes(mqttSubscription{filter: "$share/group/" + c.id + "/#", qos: 1})
	}
	own.subscribes(mqttSubscription{filter: c.id + "/#", qos: 1})
	var want []string
	for n := range 60 {
		body := fmt.Sprintf("%02d", n)
		want = append(want, body)
		pub.publishes(mqttMessage{topic: c.id + "/" + body, payload: body, qos: 1})
	}
	if got := bodiesOf(own.take(60, "the messages of an ordinary subscription")); !slices.Equal(got, want) {
		c.t.Errorf("an ordinary subscription got %v", got)
	}
	c.eventually("the group's 60 messages", func() bool { return len(one.all())+len(two.all()) >= 60 })
	one.settle()
	first, second := bodiesOf(one.all()), bodiesOf(two.all())
	if got := slices.Sorted(slices.Values(slices.Concat(first, second))); !slices.Equal(got, want) {
		c.t.Errorf("the members got %v and %v, not each message once", first, second)
	}
	if len(first) == 0 || len(second) == 0 {
		c.t.Errorf("one member of the group got everything: %d and %d", len(first), len(second))
	}
	for _, p := range players {
		p.leaves()
	}
}

func bodiesOf(messages []mqttMessage) (bodies []string) {
	for _, m := range messages {
		bodies = append(bodies, m.payload)
	}
	return bodies
}

// session: a session keeps subscriptions and messages while its client is away.
func (c *mqttCase) session() {
	pub := c.clean("pub")[0]
	kept := mqttOptions{id: "kept", keep: true}
	sub, session := c.connects(kept)
	if session {
		c.t.Error("the first connection found a session")
	}
	sub.subscribes(mqttSubscription{filter: c.id + "/#", qos: 2})
	sub.leaves()
	var want []mqttMessage
	for n := range 20 {
		want = append(want, mqttMessage{topic: c.id + "/data", payload: strconv.Itoa(n), qos: byte(1 + n/10)})
		pub.publishes(want[n])
	}
	if sub, session = c.connects(kept); !session {
		c.t.Error("CONNACK says that there is no session (Session Present 0)")
	}
	if got := sub.take(20, "what was published while the client was away"); !slices.Equal(got, want) {
		c.t.Errorf("what was published while the client was away came as %+v", got)
	}
	pub.publishes(mqttMessage{topic: c.id + "/data", payload: "live", qos: 1})
	sub.take(1, "a message after the session was resumed, without subscribing again")
	sub.leaves()
	if sub, session = c.connects(kept); !session {
		c.t.Error("the session was lost")
	}
	sub.nothing("everything had been acknowledged")
	sub.leaves()
	if sub, session = c.connects(mqttOptions{id: "kept"}); session {
		c.t.Error("a clean connection found a session")
	}
	pub.publishes(mqttMessage{topic: c.id + "/data", payload: "unheard", qos: 1})
	sub.nothing("a clean connection has no subscriptions")
	sub.leaves()
	pub.leaves()
}

// acrossRestart: the broker is killed and started again under traffic: nothing that
// was acknowledged is lost, and at QoS 2 nothing comes twice.
func (c *mqttCase) acrossRestart() {
	live, _ := c.connects(mqttOptions{id: "live", keep: true})
	away, _ := c.connects(mqttOptions{id: "away", keep: true})
	for _, sub := range []*mqttPlayer{live, away} {
		sub.subscribes(mqttSubscription{filter: c.id + "/+/+", qos: 2})
	}
	away.leaves()
	pub, _ := c.connects(mqttOptions{id: "pub", keep: true})
	pub.publishes(mqttMessage{topic: c.id + "/kept", payload: "kept", qos: 1, retain: true})

	sent := c.stream(pub)
	c.complete(pub, live, sent, "the subscriber that was connected")
	away, session := c.connects(mqttOptions{id: "away", keep: true})
	if !session || !live.resumed() || !pub.resumed() {
		c.t.Errorf("after the restart the sessions are there: of the absent subscriber %v, of the connected one %v, of the publisher %v", session, live.resumed(), pub.resumed())
	}
	c.complete(pub, away, sent, "the subscriber that was away")
	late := c.clean("late")[0]
	late.subscribes(mqttSubscription{filter: c.id + "/kept", qos: 1})
	if got := late.take(1, "the retained message after the restart")[0]; got.payload != "kept" || !got.retain {
		c.t.Errorf("the retained message came as %+v", got)
	}
	for _, p := range []*mqttPlayer{live, away, pub, late} {
		p.leaves()
	}
}

// stream publishes on topics of QoS 1 and 2 and restarts the broker meanwhile. It
// returns the number that were acknowledged on each.
func (c *mqttCase) stream(pub *mqttPlayer) map[string]int {
	var (
		work   sync.WaitGroup
		mu     sync.Mutex
		sent   = make(map[string]int)
		stop   = make(chan struct{})
		failed = make(chan error, 8)
	)
	total := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, k := range sent {
			n += k
		}
		return n
	}
	for lane := range 8 {
		topic, qos := fmt.Sprintf("%s/%d/%d", c.id, 1+lane%2, lane), byte(1+lane%2)
		work.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if err := pub.publish(mqttMessage{topic: topic, payload: strconv.Itoa(n), qos: qos}); err != nil {
					failed <- fmt.Errorf("publication %d to %s: %w", n, topic, err)
					return
				}
				mu.Lock()
				sent[topic]++
				mu.Unlock()
			}
		})
	}
	c.eventually("200 acknowledgements", func() bool { return total() >= 200 || len(failed) > 0 })
	before := total()
	c.restart()
	c.eventually("200 acknowledgements after the restart", func() bool { return total() >= before+200 || len(failed) > 0 })
	close(stop)
	work.Wait()
	close(failed)
	var errs []error
	for err := range failed {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		c.t.Fatal(err)
	}
	return sent
}

// complete checks that a subscriber has everything that was sent, on each topic in
// order, and at QoS 2 once.
func (c *mqttCase) complete(pub, sub *mqttPlayer, sent map[string]int, who string) {
	c.t.Helper()
	for topic, count := range sent {
		var got []string
		c.eventually(fmt.Sprintf("%s to have %d messages on %s", who, count, topic), func() bool {
			got = nil
			for _, m := range sub.all() {
				if m.topic == topic {
					got = append(got, m.payload)
				}
			}
			return len(got) > 0 && got[len(got)-1] == strconv.Itoa(count-1)
		})
		first, next := 0, 0 // copies that came first, and what the next of them is
		for _, body := range got {
			n, err := strconv.Atoi(body)
			switch {
			case err != nil || n > next:
				c.t.Fatalf("%s lacks message %d of %d on %s; there came %v", who, next, count, topic, got)
			case n == next:
				first, next = first+1, next+1
			case strings.HasPrefix(topic, c.id+"/2/") && !pub.doubtful(topic, body):
				c.t.Errorf("%s got message %d on %s, at QoS 2, more than once", who, n, topic)
			}
		}
		c.t.Logf("%s has all %d messages on %s, %d came again", who, first, topic, len(got)-first)
	}
}

// properties: the properties of MQTT 5 come through, aliases are resolved.
func (c *mqttCase) properties() {
	sub, _ := c.connects(mqttOptions{id: "sub", aliases: 4})
	pub := c.clean("pub")[0]
	request := mqttMessage{
		topic: c.id + "/request", payload: "{}", qos: 1, responseTopic: c.id + "/answer", contentType: "application/json",
		answer: "\x00\xff", expiry: 100, user: "unit=°C\nunit=K\n=empty", utf8: true,
	}
	sub.subscribes(mqttSubscription{filter: request.topic, qos: 1, identifier: 77})
	pub.subscribes(mqttSubscription{filter: request.responseTopic, qos: 1})
	pub.publishes(request)
	got := sub.take(1, "the request")[0]
	if got.expiry == 0 || got.expiry > 100 {
		c.t.Errorf("the Message Expiry Interval of 100 came as %d", got.expiry)
	}
	want := request
	want.identifier, want.expiry = 77, got.expiry
	if got != want {
		c.t.Errorf("the request came as %+v, want %+v", got, want)
	}
	sub.publishes(mqttMessage{topic: got.responseTopic, payload: "pong", answer: got.answer, qos: 1})
	if got := pub.take(1, "the answer")[0]; got.answer != request.answer {
		c.t.Errorf("the answer came as %+v", got)
	}
	sub.subscribes(mqttSubscription{filter: c.id + "/alias/#", qos: 1})
	for n := range 20 {
		m := mqttMessage{topic: fmt.Sprintf("%s/alias/%d", c.id, n%2), payload: strconv.Itoa(n), qos: 1, alias: 1 + n%2}
		if n > 1 {
			m.topic = ""
		}
		pub.publishes(m)
	}
	for n, m := range sub.take(20, "messages on aliased topics") {
		if m.topic != fmt.Sprintf("%s/alias/%d", c.id, n%2) || m.payload != strconv.Itoa(n) {
			c.t.Errorf("message %d on an aliased topic came as %+v", n, m)
		}
	}
	c.expire(pub)
	sub.leaves()
	pub.leaves()
}

// expire: a message whose time is over is not delivered; another says what is left.
func (c *mqttCase) expire(pub *mqttPlayer) {
	kept := mqttOptions{id: "away", keep: true}
	away, _ := c.connects(kept)
	topic := c.id + "/expire"
	away.subscribes(mqttSubscription{filter: topic, qos: 1})
	away.leaves()
	away.settle() // what is on its way when it leaves is sent again, however late
	pub.publishes(mqttMessage{topic: topic, payload: "short", qos: 1, expiry: 1})
	pub.publishes(mqttMessage{topic: topic, payload: "long", qos: 1, expiry: 600})
	time.Sleep(2200 * time.Millisecond)
	away, _ = c.connects(kept)
	if got := away.take(1, "the message that has not expired")[0]; got.payload != "long" || got.expiry == 0 || got.expiry >= 600 {
		c.t.Errorf("after 2 s in the queue there came %+v", got)
	}
	away.leaves()
}
