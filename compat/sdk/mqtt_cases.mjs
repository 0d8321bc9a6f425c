// The cases of mqtt_cases.py in JavaScript, where each is described. make(name, options)
// gives a client with connect, subscribe, unsubscribe, publish, start, disconnect, an
// inbox and the sessions that its connections found.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const PATIENCE = 30_000; // ms that any one wait may take; no figure of speed
const QUIET = 300; // ms in which what must not come would have come

export const ok = (sentence) => console.log(`ok ${sentence}`);

/** Gives up on what does not end. */
export async function within(promise, what) {
  const timer = new AbortController();
  const late = sleep(PATIENCE, undefined, { signal: timer.signal }).then(() => assert.fail(`waited in vain for ${what}`));
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}

/** Waits until a condition holds. */
async function until(holds, what) {
  for (const end = Date.now() + PATIENCE; !holds(); await sleep(20)) {
    if (Date.now() > end) assert.fail(`waited in vain for ${typeof what === "function" ? what() : what}`);
  }
}

/** The messages of one client, in the order in which they came. */
export class Inbox {
  messages = [];

  add(message) {
    this.messages.push(message);
  }

  /** Waits for a number of messages, and removes all that came. */
  async take(count, what) {
    await until(
      () => this.messages.length >= count,
      () => `${what}: ${this.messages.length} of ${count} came`,
    );
    const taken = this.messages.splice(0);
    assert.equal(taken.length, count, `${what}: ${taken.length} messages came instead of ${count}`);
    return taken;
  }

  /** Lets the library acknowledge what it has told us, before we disconnect. */
  settle() {
    return sleep(QUIET);
  }

  async nothing(what) {
    await sleep(QUIET);
    assert.deepEqual(this.messages, [], `${what}, but something came`);
  }
}

const texts = (messages) => messages.map((m) => m.payload.toString());

async function connected(make, ...names) {
  const clients = names.map((name) => make(name));
  for (const client of clients) assert.equal(await client.connect(), false, "a clean connection found a session");
  return clients;
}

async function exchange(make, { id }) {
  const top = `${id}/exchange`;
  const [sub, pub] = await connected(make, "sub", "pub");
  for (const level of [0, 1]) await sub.subscribe(`${top}/${level}/+`, level);
  const bodies = [Buffer.alloc(0), Buffer.from(Array.from({ length: 256 }, (_, n) => n)), Buffer.from("°C"), Buffer.alloc(100_000, "x")];
  for (let n = 0; n < 20; n++) bodies.push(Buffer.from(`${n}`));
  for (const level of [0, 1]) {
    for (const qos of [0, 1]) {
      for (const body of bodies) await pub.publish(`${top}/${level}/${qos}`, body, qos);
      const got = await sub.inbox.take(bodies.length, `what was published at QoS ${qos} to a subscription at QoS ${level}`);
      for (const [n, m] of got.entries()) {
        assert.ok(m.payload.equals(bodies[n]), `at QoS ${qos} to ${level} the payloads or their order differ at ${n}`);
        assert.equal(m.qos, Math.min(level, qos), `published at ${qos} to a subscription at ${level}`);
        assert.equal(m.topic, `${top}/${level}/${qos}`);
      }
    }
  }
  ok("publish and subscribe at QoS 0 and 1");
  await sub.unsubscribe(`${top}/1/+`);
  await pub.publish(`${top}/1/1`, "unheard", 1);
  await sub.inbox.nothing("the subscription had been ended");
  ok("unsubscribe");
  await sub.disconnect();
  await pub.disconnect();
}

const WILL = {
  user: [
    ["why", "power"],
    ["why", "again"],
  ],
  responseTopic: "re/will",
  correlation: Buffer.from([0, 1]),
  contentType: "text/plain",
};

const testament = ({ id, version }, name, delay = 0) => ({
  topic: `${id}/will/${name}`,
  payload: `I was ${name}`,
  qos: 1,
  retain: false,
  delay,
  properties: version === 5 ? WILL : {},
});

/** Has a process connect with a will, and kills it. */
async function vanish(name) {
  const child = spawn(process.execPath, [...process.argv.slice(1), "--doomed", name], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  try {
    const [line] = await within(once(child.stdout, "data"), "the client that is to vanish");
    assert.equal(line.toString(), "connected\n");
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

async function doomed(make, args) {
  const late = args.doomed.startsWith("late");
  await make(args.doomed, { clean: !late, will: testament(args, args.doomed, late ? 2 : 0) }).connect();
  console.log("connected");
  await sleep(4 * PATIENCE);
}

async function will(make, args) {
  const top = `${args.id}/will`;
  const [sub] = await connected(make, "watch");
  await sub.subscribe(`${top}/#`, 1);
  await vanish("gone");
  const [got] = await sub.inbox.take(1, "the will of a client that was killed");
  assert.deepEqual([got.topic, got.payload.toString(), got.qos, got.retain], [`${top}/gone`, "I was gone", 1, false]);
  if (args.version === 5) assert.deepEqual(got.properties, WILL, "the will's properties");
  ok("the will of a client that was killed");
  const polite = make("polite", { will: testament(args, "polite") });
  await polite.connect();
  await polite.disconnect();
  await sub.inbox.nothing("a client that disconnects takes its will back");
  ok("no will after DISCONNECT");
  if (args.version === 5) {
    const parting = make("parting", { will: testament(args, "parting") });
    await parting.connect();
    await parting.disconnect(true);
    assert.equal((await sub.inbox.take(1, "the will of DISCONNECT with reason 4"))[0].topic, `${top}/parting`);
    ok("the will after DISCONNECT with Will Message");
    await vanish("late");
    const back = make("late", { clean: false });
    assert.equal(await back.connect(), true, "the killed client's session is not there");
    await sleep(2500);
    await sub.inbox.nothing("the client came back before its will's delay of 2 s was over");
    await back.disconnect();
    ok("no will when the client is back within the Will Delay Interval");
    await vanish("later");
    assert.equal((await sub.inbox.take(1, "the will after its delay of 2 s"))[0].topic, `${top}/later`);
    ok("the will after the Will Delay Interval");
  }
  await sub.disconnect();
}

async function retained(make, { id, version }) {
  const topic = `${id}/retained/state`;
  const [pub, live, late, after] = await connected(make, "pub", "live", "late", "after");
  await live.subscribe(topic, 1);
  await pub.publish(topic, "old", 1, { retain: true });
  await pub.publish(topic, "new", 1, { retain: true });
  const copies = await live.inbox.take(2, "the live copies");
  assert.deepEqual(copies.map((m) => m.retain), [false, false], "RETAIN to a subscription that was there");
  await late.subscribe(topic, 1);
  const [got] = await late.inbox.take(1, "the retained message");
  assert.deepEqual([got.payload.toString(), got.retain, got.qos], ["new", true, 1], "the retained message");
  await late.subscribe(`${id}/retained/+`, 0);
  const [wild] = await late.inbox.take(1, "the retained message through a wildcard");
  assert.deepEqual([wild.payload.toString(), wild.retain, wild.qos], ["new", true, 0], "the retained message through a wildcard");
  ok("a retained message for those who come later");
  if (version === 5) {
    const [choosy] = await connected(make, "choosy");
    await choosy.subscribe(topic, 1, { retainHandling: 2, retainAsPublished: true });
    await choosy.inbox.nothing("Retain Handling 2 asks for no retained message");
    await choosy.subscribe(topic, 1, { retainHandling: 1, retainAsPublished: true });
    await choosy.inbox.nothing("Retain Handling 1 asks for none when the subscription exists");
    await pub.publish(topic, "newer", 1, { retain: true });
    assert.equal((await choosy.inbox.take(1, "the live copy"))[0].retain, true, "Retain As Published lost the RETAIN flag");
    await choosy.disconnect();
    ok("Retain Handling and Retain As Published");
  }
  await pub.publish(topic, "", 1, { retain: true });
  await after.subscribe(topic, 1);
  await after.inbox.nothing("the retained message was cleared");
  ok("an empty payload clears it");
  for (const client of [pub, live, late, after]) await client.disconnect();
}

async function shared(make, { id }) {
  const top = `${id}/shared`;
  const [one, two, own, pub] = await connected(make, "one", "two", "own", "pub");
  await one.subscribe(`$share/group/${top}/#`, 1);
  await two.subscribe(`$share/group/${top}/#`, 1);
  await own.subscribe(`${top}/#`, 1);
  const bodies = Array.from({ length: 60 }, (_, n) => `${n}`);
  for (const body of bodies) await pub.publish(`${top}/${body}`, body, 1);
  assert.deepEqual(texts(await own.inbox.take(60, "the messages of an ordinary subscription")), bodies);
  await until(
    () => one.inbox.messages.length + two.inbox.messages.length >= 60,
    () => `the group's 60 messages: ${one.inbox.messages.length} and ${two.inbox.messages.length} came`,
  );
  await sleep(QUIET);
  const [first, second] = [texts(one.inbox.messages), texts(two.inbox.messages)];
  assert.deepEqual([...first, ...second].sort((a, b) => a - b), bodies, "the group did not get each message once");
  assert.ok(first.length > 0 && second.length > 0, "one member of the group got everything");
  ok("shared subscriptions");
  for (const client of [one, two, own, pub]) await client.disconnect();
}

async function properties(make, args) {
  const top = `${args.id}/properties`;
  const [sub, pub] = [make("sub", { aliases: 4 }), make("pub", { aliases: 4 })];
  await sub.connect();
  await pub.connect();
  await sub.subscribe(`${top}/request`, 1, { identifier: 77 });
  await sub.subscribe(`${top}/alias/#`, 1);
  await pub.subscribe(`${top}/answer`, 1);
  const sent = {
    user: [
      ["unit", "°C"],
      ["unit", "K"],
      ["", "empty"],
    ],
    responseTopic: `${top}/answer`,
    correlation: Buffer.from(Array.from({ length: 64 }, (_, n) => n)),
    contentType: "application/json",
    utf8: true,
  };
  await pub.publish(`${top}/request`, "{}", 1, { ...sent, expiry: 100 });
  const [got] = await sub.inbox.take(1, "the request");
  const { expiry, identifiers, ...rest } = got.properties;
  assert.ok(expiry > 0 && expiry <= 100, `the Message Expiry Interval came as ${expiry}`);
  assert.deepEqual(identifiers, [77], "the Subscription Identifiers");
  assert.deepEqual(rest, sent, "the properties");
  ok("user properties, content type, format, message expiry and subscription identifier");
  await sub.publish(rest.responseTopic, "pong", 1, { correlation: rest.correlation });
  assert.deepEqual((await pub.inbox.take(1, "the answer"))[0].properties.correlation, sent.correlation);
  ok("request and response");
  for (let n = 0; n < 30; n++) await pub.publish(`${top}/alias/${n % 6}`, `${n}`, n % 2);
  const aliased = await sub.inbox.take(30, "messages on aliased topics");
  for (const [n, m] of aliased.entries()) assert.deepEqual([m.topic, m.payload.toString()], [`${top}/alias/${n % 6}`, `${n}`], "aliases were mixed up");
  assert.ok(pub.offered > 0, "the broker takes no topic alias");
  ok("topic aliases");
  await expire(make, args, pub);
  await sub.disconnect();
  await pub.disconnect();
}

async function expire(make, { id }, pub) {
  const topic = `${id}/properties/expire`;
  let away = make("away", { clean: false });
  await away.connect();
  await away.subscribe(topic, 1);
  await away.disconnect();
  await away.inbox.settle(); // what is on its way when it leaves is sent again, however late
  await pub.publish(topic, "short", 1, { expiry: 1 });
  await pub.publish(topic, "long", 1, { expiry: 600 });
  await pub.publish(topic, "ever", 1);
  await sleep(2200);
  away = make("away", { clean: false });
  await away.connect();
  const got = await away.inbox.take(2, "the messages that have not expired");
  assert.deepEqual(texts(got), ["long", "ever"]);
  const left = got[0].properties.expiry;
  assert.ok(left > 0 && left < 600, `after 2 s in the queue the Message Expiry Interval of 600 came as ${left}`);
  assert.equal(got[1].properties.expiry, undefined, "a message without expiry got one");
  await away.inbox.settle();
  await away.disconnect();
  ok("message expiry of an offline session");
}

async function session(make, { id }) {
  const topic = `${id}/session/data`;
  const [pub] = await connected(make, "pub");
  let sub = make("kept", { clean: false });
  assert.equal(await sub.connect(), false, "the first connection found a session");
  await sub.subscribe(`${id}/session/#`, 1);
  await sub.disconnect();
  const bodies = Array.from({ length: 20 }, (_, n) => `${n}`);
  for (const body of bodies) await pub.publish(topic, body, 1);
  sub = make("kept", { clean: false });
  assert.equal(await sub.connect(), true, "CONNACK says that there is no session (Session Present 0)");
  const got = await sub.inbox.take(20, "what was published while the client was away");
  assert.deepEqual(texts(got), bodies, "what was published while the client was away");
  await pub.publish(topic, "live", 1);
  await sub.inbox.take(1, "a message after the session was resumed, without subscribing again");
  await sub.inbox.settle();
  await sub.disconnect();
  ok("what was published while the client was away");
  sub = make("kept", { clean: false });
  assert.equal(await sub.connect(), true, "the session was lost");
  await sub.inbox.nothing("everything had been acknowledged");
  await sub.disconnect();
  ok("acknowledged messages do not come again");
  sub = make("kept");
  assert.equal(await sub.connect(), false, "a clean connection found a session");
  await pub.publish(topic, "unheard", 1);
  await sub.inbox.nothing("a clean connection has no subscriptions");
  await sub.disconnect();
  await pub.disconnect();
  ok("a clean connection ends the session");
}

async function restart(make, { id }) {
  const topic = `${id}/restart/one`;
  const [live, pub] = ["live", "pub"].map((name) => make(name, { clean: false }));
  let away = make("away", { clean: false });
  for (const client of [live, away, pub]) assert.equal(await client.connect(), false, "the first connection found a session");
  for (const client of [live, away]) await client.subscribe(topic, 1);
  await away.disconnect();
  await pub.publish(`${id}/kept`, "kept", 1, { retain: true });

  let goOn = false;
  process.stdin.once("data", () => (goOn = true));
  const started = [];
  for (let more = 100; more > 0; await sleep(started.length > 2000 ? 100 : 4)) {
    started.push(pub.start(topic, `${started.length}`, 1));
    if (started.length === 100) console.log("ready for the restart");
    if (goOn) more--;
  }
  process.stdin.destroy();
  await within(Promise.all(started), `the acknowledgements of ${started.length} publications`);
  ok(`${started.length} publications acknowledged over the restart`);
  assert.equal(pub.sessions.at(-1), true, "the publisher's session was lost in the restart (Session Present 0)");

  const want = started.map((_, n) => `${n}`);
  const complete = async (client, who) => {
    const missing = () => {
      const got = new Set(texts(client.inbox.messages));
      return want.filter((body) => !got.has(body));
    };
    await until(
      () => missing().length === 0,
      () => `${who}: it lacks ${missing().length} of ${want.length} acknowledged messages, ${missing().slice(0, 10)}`,
    );
    ok(`${who} has all ${want.length}, ${client.inbox.messages.length - want.length} more came again`);
  };
  await complete(live, "the subscriber that was connected");
  assert.equal(live.sessions.at(-1), true, "the subscriber's session was lost in the restart (Session Present 0)");
  away = make("away", { clean: false });
  assert.equal(await away.connect(), true, "the absent subscriber's session was lost in the restart (Session Present 0)");
  await complete(away, "the subscriber that was away");
  const [late] = await connected(make, "late");
  await late.subscribe(`${id}/kept`, 1);
  const [kept] = await late.inbox.take(1, "the retained message after the restart");
  assert.deepEqual([kept.payload.toString(), kept.retain], ["kept", true], "the retained message after the restart");
  ok("the retained message after the restart");
  for (const client of [live, away, pub, late]) await client.disconnect();
}

const CASES = { exchange, will, retained, shared, properties, session, restart };

/** Plays one case with what open(args, clientId, options) gives. */
export async function main(open) {
  const text = { type: "string" };
  const { values } = parseArgs({
    options: {
      host: { ...text, default: "localhost" },
      port: text,
      ca: text, // root certificate
      cert: text,
      key: text,
      websocket: { type: "boolean", default: false }, // MQTT over WebSocket at /mqtt, signed with AWS's default credentials
      region: { ...text, default: "us-east-1" },
      version: text, // 3 or 5
      id: text, // what client ids and topics begin with
      case: text,
      "server-aliases": { type: "boolean", default: false }, // the library hides them
      doomed: text,
    },
  });
  const args = { ...values, port: Number(values.port), version: Number(values.version) };
  const make = (name, options = {}) => open(args, `${args.id}-${name}`, options);
  try {
    await (args.doomed ? doomed(make, args) : CASES[args.case](make, args));
  } catch (error) {
    console.error(error instanceof assert.AssertionError ? error.message : error.stack);
    process.exit(1);
  }
  process.exit(0); // the libraries keep the loop alive
}
