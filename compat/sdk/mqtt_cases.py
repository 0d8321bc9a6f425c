"""What every MQTT client in Python plays here, whatever its library.

A script gives main() a class for its library, with these members:

    Client(args, name, clean=True, will=None, aliases=0)   args.version is 3 or 5
    connect() -> whether the broker had a session
    subscribe(filter, qos, **options), unsubscribe(filter)
    publish(topic, payload, qos, retain=False, **properties)   waits for the acknowledgement
    start(topic, payload, qos) -> an object whose done() says whether it is acknowledged
    disconnect(with_will=False)
    inbox, sessions            what came, and what each connection found
    FEATURES                   of "qos2", "identifiers", "server aliases"

Properties and Message.properties are a dict of user (pairs), response_topic,
correlation, content_type, expiry, utf8, and identifiers (received only). A will is a
dict of topic, payload, qos, retain, delay and properties. With clean=False a session
lasts for five minutes.
"""

import collections
import subprocess
import sys
import threading
import time
import traceback

from mqtt_play import PATIENCE, QUIET, Failure, arguments, check, ok, payloads


def exchange(make, args):
    """Publishes reach the subscriber unchanged, in order, at the lower QoS."""
    top = f"{args.id}/exchange"
    sub, pub = make("sub"), make("pub")
    check(not sub.connect(), "a clean connection found a session")
    pub.connect()
    levels = [0, 1, 2] if "qos2" in make.features else [0, 1]
    for level in levels:
        sub.subscribe(f"{top}/{level}/+", level)
    for level in levels:
        for qos in levels:
            bodies = [b"", bytes(range(256)), "°C".encode(), b"x" * 100_000] + [b"%d" % n for n in range(20)]
            for body in bodies:
                pub.publish(f"{top}/{level}/{qos}", body, qos)
            got = sub.inbox.take(len(bodies), f"what was published at QoS {qos} to a subscription at QoS {level}")
            check(payloads(got) == bodies, f"at QoS {qos} to {level} the payloads or their order differ")
            check({m.qos for m in got} == {min(level, qos)}, f"published at {qos} to a subscription at {level} came at {[m.qos for m in got]}")
            check({m.topic for m in got} == {f"{top}/{level}/{qos}"}, f"other topics came: {got}")
    ok(f"publish and subscribe at QoS {levels}")
    sub.unsubscribe(f"{top}/1/+")
    pub.publish(f"{top}/1/1", b"unheard", 1)
    sub.inbox.nothing("the subscription had been ended")
    ok("unsubscribe")
    sub.disconnect()
    pub.disconnect()


def will(make, args):
    """A will is published when a client vanishes, and not when it says goodbye."""
    top = f"{args.id}/will"
    sub = make("watch")
    sub.connect()
    sub.subscribe(f"{top}/#", 1)
    vanish(args, "gone")
    (got,) = sub.inbox.take(1, "the will of a client that was killed")
    check((got.topic, got.payload, got.qos, got.retain) == (f"{top}/gone", b"I was gone", 1, False), f"the will came as {got}")
    if args.version == 5:
        properties = {k: v for k, v in got.properties.items() if k in WILL}
        check(properties == WILL, f"the will's properties came as {got.properties}")
    ok("the will of a client that was killed")
    polite = make("polite", will=testament(args, "polite"))
    polite.connect()
    polite.disconnect()
    sub.inbox.nothing("a client that disconnects takes its will back")
    ok("no will after DISCONNECT")
    if args.version == 5:
        parting = make("parting", will=testament(args, "parting"))
        parting.connect()
        parting.disconnect(with_will=True)
        (got,) = sub.inbox.take(1, "the will of DISCONNECT with reason 4")
        check(got.topic == f"{top}/parting", f"the will came as {got}")
        ok("the will after DISCONNECT with Will Message")
        vanish(args, "late")
        back = make("late", clean=False)
        check(back.connect(), "the killed client's session is not there")
        time.sleep(2.5)
        sub.inbox.nothing("the client came back before its will's delay of 2 s was over")
        back.disconnect()
        ok("no will when the client is back within the Will Delay Interval")
        vanish(args, "later")
        (got,) = sub.inbox.take(1, "the will after its delay of 2 s")
        check(got.topic == f"{top}/later", f"the will came as {got}")
        ok("the will after the Will Delay Interval")
    sub.disconnect()


WILL = {"user": [("why", "power"), ("why", "again")], "response_topic": "re/will", "correlation": b"\x00\x01", "content_type": "text/plain"}


def testament(args, name, delay=0):
    properties = WILL if args.version == 5 else {}
    return {"topic": f"{args.id}/will/{name}", "payload": b"I was " + name.encode(), "qos": 1, "retain": False, "delay": delay, "properties": properties}


def vanish(args, name):
    """Has a process connect with a will, and kills it."""
    child = subprocess.Popen([sys.executable, *sys.argv, "--doomed", name], stdout=subprocess.PIPE, text=True)
    try:
        line = child.stdout.readline()
        check(line == "connected\n", f"the client that is to vanish said {line!r}")
    finally:
        child.kill()
        child.wait()


def doomed(make, args):
    late = args.doomed.startswith("late")
    client = make(args.doomed, clean=not late, will=testament(args, args.doomed, delay=2 if late else 0))
    client.connect()
    print("connected", flush=True)
    time.sleep(4 * PATIENCE)


def retained(make, args):
    """The last retained message of a topic is there for those who come later."""
    topic = f"{args.id}/retained/state"
    pub, live = make("pub"), make("live")
    pub.connect()
    live.connect()
    live.subscribe(topic, 1)
    pub.publish(topic, b"old", 1, retain=True)
    pub.publish(topic, b"new", 1, retain=True)
    got = live.inbox.take(2, "the live copies")
    check([m.retain for m in got] == [False, False], f"to a subscription that was there a retained message came as {got}")
    late = make("late")
    late.connect()
    late.subscribe(topic, 1)
    (got,) = late.inbox.take(1, "the retained message")
    check((got.payload, got.retain, got.qos) == (b"new", True, 1), f"the retained message came as {got}")
    late.subscribe(f"{args.id}/retained/+", 0)
    (got,) = late.inbox.take(1, "the retained message through a wildcard")
    check((got.payload, got.retain, got.qos) == (b"new", True, 0), f"through a wildcard at QoS 0 it came as {got}")
    ok("a retained message for those who come later")
    if args.version == 5:
        choosy = make("choosy")
        choosy.connect()
        choosy.subscribe(topic, 1, retain_handling=2)
        choosy.inbox.nothing("Retain Handling 2 asks for no retained message")
        choosy.subscribe(topic, 1, retain_handling=1)
        choosy.inbox.nothing("Retain Handling 1 asks for none when the subscription exists")
        choosy.disconnect()
        faithful = make("faithful")
        faithful.connect()
        faithful.subscribe(topic, 1, retain_as_published=True, retain_handling=2)
        pub.publish(topic, b"newer", 1, retain=True)
        (got,) = faithful.inbox.take(1, "the live copy")
        check(got.retain, "Retain As Published lost the RETAIN flag")
        faithful.disconnect()
        ok("Retain Handling and Retain As Published")
    pub.publish(topic, b"", 1, retain=True)
    after = make("after")
    after.connect()
    after.subscribe(topic, 1)
    after.inbox.nothing("the retained message was cleared")
    ok("an empty payload clears it")
    for client in (pub, live, late, after):
        client.disconnect()


def shared(make, args):
    """The members of a group share its messages; others get their own."""
    top = f"{args.id}/shared"
    one, two, own, pub = make("one"), make("two"), make("own"), make("pub")
    for client in (one, two, own, pub):
        client.connect()
    one.subscribe(f"$share/group/{top}/#", 1)
    two.subscribe(f"$share/group/{top}/#", 1)
    own.subscribe(f"{top}/#", 1)
    bodies = [b"%d" % n for n in range(60)]
    for body in bodies:
        pub.publish(f"{top}/{body.decode()}", body, 1)
    check(payloads(own.inbox.take(60, "the messages of an ordinary subscription")) == bodies, "an ordinary subscription lost messages or their order")
    deadline = time.monotonic() + PATIENCE
    while len(one.inbox.messages) + len(two.inbox.messages) < 60 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(QUIET)
    first, second = payloads(one.inbox.messages), payloads(two.inbox.messages)
    check(sorted(first + second, key=int) == bodies, f"the group got {len(first)} and {len(second)} of 60 messages, not each once")
    check(first and second, "one member of the group got everything")
    ok("shared subscriptions")
    one.disconnect()
    rest = [b"%d" % n for n in range(60, 80)]
    del two.inbox.messages[:]
    for body in rest:
        pub.publish(f"{top}/{body.decode()}", body, 1)
    check(sorted(payloads(two.inbox.take(20, "the messages of the member who is left")), key=int) == rest, "the member who is left did not get all")
    ok("a member leaves its group")
    for client in (two, own, pub):
        client.disconnect()


def properties(make, args):
    """The properties of MQTT 5 come through, aliases are resolved."""
    top = f"{args.id}/properties"
    sub, pub = make("sub", aliases=4), make("pub", aliases=4)
    sub.connect()
    pub.connect()
    identify = {"identifier": 77} if "identifiers" in make.features else {}
    sub.subscribe(f"{top}/request", 1, **identify)
    sent = {
        "user": [("unit", "°C"), ("unit", "K"), ("", "empty")],
        "response_topic": f"{top}/answer",
        "correlation": bytes(range(64)),
        "content_type": "application/json",
        "utf8": True,
    }
    pub.subscribe(f"{top}/answer", 1)
    pub.publish(f"{top}/request", b"{}", 1, expiry=100, **sent)
    (got,) = sub.inbox.take(1, "the request")
    expiry = got.properties.pop("expiry", None)
    check(expiry is not None and 0 < expiry <= 100, f"the Message Expiry Interval came as {expiry}")
    identifiers = got.properties.pop("identifiers", [])
    check(identifiers == ([77] if identify else []), f"the Subscription Identifiers came as {identifiers}")
    check(got.properties == sent, f"the properties came as {got.properties}")
    ok("user properties, content type, format and message expiry" + (", subscription identifier" if identify else ""))
    sub.publish(got.properties["response_topic"], b"pong", 1, correlation=got.properties["correlation"])
    (answer,) = pub.inbox.take(1, "the answer")
    check(answer.properties.get("correlation") == sent["correlation"], "the answer has other correlation data")
    ok("request and response")
    if identify:
        overlap(make, args, sub, pub)
    sub.subscribe(f"{top}/alias/#", 1)
    bodies = [b"%d" % n for n in range(30)]
    for n, body in enumerate(bodies):
        pub.publish(f"{top}/alias/{n % 6}", body, n % 2)
    got = sub.inbox.take(30, "messages on aliased topics")
    check([(m.topic, m.payload) for m in got] == [(f"{top}/alias/{n % 6}", b) for n, b in enumerate(bodies)], f"aliases were mixed up: {got}")
    check(pub.aliased() > 0, "the publisher used no alias: the broker offered none")
    ok("topic aliases from the client")
    if "server aliases" in make.features:
        print(f"the broker used an alias in {sub.aliases_received} messages")
        check(sub.aliases_received > 0 or not args.server_aliases, "the broker used no topic alias though the client takes four")
    expire(make, args, pub)
    sub.disconnect()
    pub.disconnect()


def overlap(make, args, sub, pub):
    """A message that matches two subscriptions carries the identifiers of both."""
    topic = f"{args.id}/properties/both"
    sub.subscribe(topic, 1, identifier=1)
    sub.subscribe(f"{args.id}/+/both", 1, identifier=268435455)
    pub.publish(topic, b"both", 1)
    got = sub.inbox.wait(lambda messages: sum(len(m.properties.get("identifiers", [])) for m in messages) >= 2, "the identifiers of two subscriptions")
    check(sorted(i for m in got for i in m.properties["identifiers"]) == [1, 268435455], f"overlapping subscriptions brought {got}")
    time.sleep(QUIET)
    del sub.inbox.messages[:]
    ok("identifiers of overlapping subscriptions")


def expire(make, args, pub):
    """A message whose time is over is not delivered; another says what is left."""
    topic = f"{args.id}/properties/expire"
    away = make("away", clean=False)
    away.connect()
    away.subscribe(topic, 1)
    away.disconnect()
    away.inbox.settle()  # what is on its way when it leaves is sent again, however late
    pub.publish(topic, b"short", 1, expiry=1)
    pub.publish(topic, b"long", 1, expiry=600)
    pub.publish(topic, b"ever", 1)
    time.sleep(2.2)
    away = make("away", clean=False)
    away.connect()
    got = away.inbox.take(2, "the messages that have not expired")
    check(payloads(got) == [b"long", b"ever"], f"after the expiry came {got}")
    left = got[0].properties.get("expiry")
    check(left is not None and 0 < left < 600, f"after 2 s in the queue the Message Expiry Interval of 600 came as {left}")
    check("expiry" not in got[1].properties, "a message without expiry got one")
    away.disconnect()
    ok("message expiry of an offline session")


def session(make, args):
    """A session keeps subscriptions and messages while its client is away."""
    topic = f"{args.id}/session/data"
    levels = [1, 2] if "qos2" in make.features else [1]
    pub = make("pub")
    pub.connect()
    sub = make("kept", clean=False)
    check(not sub.connect(), "the first connection found a session")
    sub.subscribe(f"{args.id}/session/#", max(levels))
    sub.disconnect()
    bodies = []
    for qos in levels:
        for n in range(10):
            bodies.append(b"%d at %d" % (n, qos))
            pub.publish(topic, bodies[-1], qos)
    sub = make("kept", clean=False)
    check(sub.connect(), "CONNACK says that there is no session (Session Present 0)")
    got = sub.inbox.take(len(bodies), "what was published while the client was away")
    check(payloads(got) == bodies, f"what was published while the client was away came as {payloads(got)}")
    check([m.qos for m in got] == [q for q in levels for _ in range(10)], f"it came at QoS {[m.qos for m in got]}")
    pub.publish(topic, b"live", 1)
    sub.inbox.take(1, "a message after the session was resumed, without subscribing again")
    sub.inbox.settle()
    sub.disconnect()
    ok("what was published while the client was away")
    sub = make("kept", clean=False)
    check(sub.connect(), "the session was lost")
    sub.inbox.nothing("everything had been acknowledged")
    sub.disconnect()
    ok("acknowledged messages do not come again")
    sub = make("kept", clean=True)
    check(not sub.connect(), "a clean connection found a session")
    pub.publish(topic, b"unheard", 1)
    sub.inbox.nothing("a clean connection has no subscriptions")
    sub.disconnect()
    pub.disconnect()
    ok("a clean connection ends the session")


def restart(make, args):
    """The broker is killed and started again under traffic: nothing acknowledged is lost."""
    top = f"{args.id}/restart"
    qos = 2 if "qos2" in make.features else 1
    live, away, pub = make("live", clean=False), make("away", clean=False), make("pub", clean=False)
    for client in (live, away, pub):
        check(not client.connect(), "the first connection found a session")
    for client in (live, away):
        client.subscribe(f"{top}/one", 1)
        client.subscribe(f"{top}/two", qos)
    away.disconnect()
    pub.publish(f"{args.id}/kept", b"kept", 1, retain=True)

    go_on = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), go_on.set()), daemon=True).start()
    started, announced, more = [], False, 100
    while more:
        level = 1 if len(started) % 2 else qos
        name = "two" if len(started) % 2 == 0 else "one"
        body = b"%d" % len(started)
        started.append((name, body, pub.start(f"{top}/{name}", body, level)))
        time.sleep(0.004)
        if len(started) > 100 and not announced:
            print("ready for the restart", flush=True)
            announced = True
        if go_on.is_set():
            more -= 1
        elif len(started) > 2000:
            time.sleep(0.1)
    deadline = time.monotonic() + 2 * PATIENCE
    while not all(p.done() for _, _, p in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    late = [body for _, body, p in started if not p.done()]
    check(not late, f"{len(late)} of {len(started)} publications are not acknowledged: {late[:5]}")
    ok(f"{len(started)} publications acknowledged over the restart")
    check(pub.sessions[-1], "the publisher's session was lost in the restart (Session Present 0)")

    complete(live, started, top, qos, "the subscriber that was connected")
    check(live.sessions[-1], "the subscriber's session was lost in the restart (Session Present 0)")
    away = make("away", clean=False)
    check(away.connect(), "the absent subscriber's session was lost in the restart (Session Present 0)")
    complete(away, started, top, qos, "the subscriber that was away")
    late = make("late")
    late.connect()
    late.subscribe(f"{args.id}/kept", 1)
    (got,) = late.inbox.take(1, "the retained message after the restart")
    check((got.payload, got.retain) == (b"kept", True), f"the retained message came as {got}")
    ok("the retained message after the restart")
    for client in (live, away, pub, late):
        client.disconnect()


def complete(client, started, top, qos, who):
    """Everything is there; at QoS 2 once. The libraries do not keep the order when they send again."""
    for name, level in (("one", 1), ("two", qos)):
        want = [body for n, body, _ in started if n == name]
        topic = f"{top}/{name}"
        all_of_them = lambda messages: set(want) <= {m.payload for m in messages if m.topic == topic}
        try:
            client.inbox.wait(all_of_them, "")
        except Failure:
            missing = sorted(set(want) - {m.payload for m in client.inbox.messages if m.topic == topic}, key=int)
            raise Failure(f"{who} lacks {len(missing)} of {len(want)} acknowledged messages at QoS {level}: {missing[:10]}") from None
        time.sleep(QUIET)
        got = [m.payload for m in client.inbox.messages if m.topic == topic]
        twice = [body for body, n in collections.Counter(got).items() if n > 1]
        if level == 2:
            check(not twice, f"{who} got {len(twice)} messages at QoS 2 more than once: {twice[:10]}")
        ok(f"{who} has all {len(want)} at QoS {level}, {len(twice)} of them more than once")


CASES = {f.__name__: f for f in (exchange, will, retained, shared, properties, session, restart)}


def main(client):
    """Plays one case with a library's Client."""
    args = arguments(CASES)

    def make(name, **options):
        return client(args, f"{args.id}-{name}", **options)

    make.features = client.FEATURES[args.version]
    try:
        doomed(make, args) if args.doomed else CASES[args.case](make, args)
    except Failure as failure:
        sys.exit(str(failure))
    except Exception as error:  # a library's own, which does not say what was done
        here = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__][-1]
        sys.exit(f"{type(error).__name__} in line {here.lineno}, {here.line}: {error}")
