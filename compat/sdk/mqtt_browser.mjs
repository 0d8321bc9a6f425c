// mqtt.js in Chromium over WebSocket with presigned URLs, as web pages connect to AWS
// IoT: MQTT 3.1.1 and 5, with and without session token, and who is refused. MQTT_URL is the
// endpoint without query, ID what client ids and topics begin with. With PEER=1, for a
// broker that checks no signatures, nothing is expected to be refused.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SignatureV4 } from "@smithy/signature-v4";
import { chromium } from "playwright-core";

const { CHROMIUM, MQTT_URL, ID, PEER, AWS_REGION, AWS_SHARED_CREDENTIALS_FILE } = process.env;

class Sha256 {
  constructor(secret) {
    this.hash = secret === undefined ? createHash("sha256") : createHmac("sha256", secret);
  }
  update(data) {
    this.hash.update(data);
  }
  async digest() {
    return new Uint8Array(this.hash.digest());
  }
}

const stored = (name) => new RegExp(`${name} *= *(\\S+)`).exec(readFileSync(AWS_SHARED_CREDENTIALS_FILE, "utf8"))[1];
const credentials = { accessKeyId: stored("aws_access_key_id"), secretAccessKey: stored("aws_secret_access_key") };

/** Presigns the URL; AWS IoT takes a session token that is appended afterwards. */
async function presign({ service = "iotdevicegateway", secret = credentials.secretAccessKey, sessionToken } = {}) {
  const { protocol, host, hostname, port, pathname } = new URL(MQTT_URL);
  const signer = new SignatureV4({ credentials: { ...credentials, secretAccessKey: secret }, region: AWS_REGION, service, sha256: Sha256 });
  const request = { method: "GET", protocol, hostname, port: Number(port), path: pathname, headers: { host }, query: {} };
  const signed = await signer.presign(request, { expiresIn: 60 });
  const token = sessionToken ? `&X-Amz-Security-Token=${encodeURIComponent(sessionToken)}` : "";
  return `${MQTT_URL}?${new URLSearchParams(signed.query)}${token}`;
}

/** In the page: connects, and remembers the client and its messages under a name. */
function connectInPage([name, url, options]) {
  return new Promise((resolve) => {
    globalThis.clients ??= {};
    const client = globalThis.mqtt.connect(url, { reconnectPeriod: 0, connectTimeout: 10_000, ...options });
    const messages = [];
    client.on("message", (topic, payload, packet) => messages.push({ topic, payload: payload.toString(), qos: packet.qos }));
    client.on("connect", (packet) => resolve(packet.sessionPresent ? "resumed" : "connected"));
    client.on("error", (error) => resolve(`refused: ${error.message}`));
    client.on("close", () => resolve("refused"));
    globalThis.clients[name] = { client, messages };
  });
}

/** In the page: waits for the number of messages of a client. */
async function messagesInPage([name, count]) {
  const { messages } = globalThis.clients[name];
  for (let n = 0; messages.length < count && n < 600; n++) await new Promise((next) => setTimeout(next, 50));
  return messages.splice(0);
}

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  await page.setContent("<!doctype html><title>app</title>");
  await page.addScriptTag({ path: fileURLToPath(import.meta.resolve("mqtt/dist/mqtt.min")) });
  const connect = (name, url, options) => page.evaluate(connectInPage, [name, url, options]);
  const messages = (name, count) => page.evaluate(messagesInPage, [name, count]);
  const subscribe = (name, filter, qos) =>
    page.evaluate(([name, filter, qos]) => globalThis.clients[name].client.subscribeAsync(filter, { qos }), [name, filter, qos]);
  const publish = (name, topic, payload, qos) =>
    page.evaluate(
      async ([name, topic, payload, qos]) => {
        await globalThis.clients[name].client.publishAsync(topic, payload, { qos });
      },
      [name, topic, payload, qos],
    );
  const end = (name) => page.evaluate((name) => globalThis.clients[name].client.endAsync(), name);

  for (const protocolVersion of [4, 5]) {
    const id = `${ID}-${protocolVersion}`;
    const keep = { protocolVersion, clientId: `${id}-kept`, clean: false, ...(protocolVersion === 5 && { properties: { sessionExpiryInterval: 300 } }) };
    assert.equal(await connect("pub", await presign({ sessionToken: "a/b+c==" }), { protocolVersion, clientId: `${id}-pub` }), "connected");
    assert.equal(await connect("kept", await presign(), keep), "connected");
    await subscribe("kept", `${id}/#`, 2);
    for (const qos of [0, 1, 2]) {
      await publish("pub", `${id}/data`, `at ${qos}`, qos);
      assert.deepEqual(await messages("kept", 1), [{ topic: `${id}/data`, payload: `at ${qos}`, qos }]);
    }
    console.log(`ok a page publishes and subscribes with MQTT version ${protocolVersion}`);
    await end("kept");
    for (const qos of [1, 2]) await publish("pub", `${id}/data`, `away ${qos}`, qos);
    assert.equal(await connect("kept", await presign(), keep), "resumed", "the session was lost");
    assert.deepEqual(
      (await messages("kept", 2)).map((m) => m.payload),
      ["away 1", "away 2"],
    );
    console.log(`ok a page resumes its session with MQTT version ${protocolVersion}`);
    await end("kept");
    await end("pub");
  }

  if (!PEER) {
    for (const [what, url] of [
      ["without a signature", MQTT_URL],
      ["signed with another secret", await presign({ secret: "another" })],
      ["signed for another service", await presign({ service: "execute-api" })],
      ["with another path than the signed", (await presign()).replace("/mqtt?", "/mqtt2?")],
    ]) {
      assert.match(await connect("refused", url, { clientId: `${ID}-refused` }), /^refused/, `a URL ${what} was let in`);
    }
    console.log("ok URLs that are not signed for it are refused");
  }
} finally {
  await browser.close();
}
