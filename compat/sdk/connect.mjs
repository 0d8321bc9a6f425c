// The guide's step 13 in a real browser and with AWS's signer: who may connect to a
// gateway with an issuer. TOKEN and EXPIRED are tokens of it, PAGE is a page of
// another origin that may connect.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { SignatureV4 } from "@smithy/signature-v4";
import { chromium } from "playwright-core";

const { CHROMIUM, TOKEN, EXPIRED, PAGE, WEBSOCKET_URL, AWS_REGION, AWS_SHARED_CREDENTIALS_FILE } = process.env;
const http = WEBSOCKET_URL.replace("ws", "http");

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

/** Presigns a URL as the SDKs do. */
async function presign(url, { service = "execute-api", sessionToken } = {}) {
  const { protocol, host, hostname, port, pathname } = new URL(url);
  const signer = new SignatureV4({ credentials: { ...credentials, sessionToken }, region: AWS_REGION, service, sha256: Sha256 });
  const signed = await signer.presign({ method: "GET", protocol, hostname, port: Number(port), path: pathname, headers: { host }, query: {} }, { expiresIn: 60 });
  return `${url}?${new URLSearchParams(signed.query)}`;
}

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  await page.goto(PAGE);
  /** Opens a WebSocket in the page: the protocol that was agreed on, or "refused". */
  const open = (url, protocols = []) =>
    page.evaluate(
      ([url, protocols]) =>
        new Promise((resolve) => {
          const socket = new WebSocket(url, protocols);
          socket.onopen = () => resolve(`open ${socket.protocol}`);
          socket.onerror = () => resolve("refused");
        }),
      [url, protocols],
    );
  assert.equal(await open(WEBSOCKET_URL), "refused");
  assert.equal(await open(WEBSOCKET_URL, ["access_token", EXPIRED]), "refused");
  assert.equal(await open(WEBSOCKET_URL, ["access_token", TOKEN]), "open access_token");
  console.log("ok a page connects with the token as subprotocol");
  assert.equal(await open(`${WEBSOCKET_URL}?access_token=${EXPIRED}`), "refused");
  assert.equal(await open(`${WEBSOCKET_URL}?access_token=${TOKEN}`), "open ");
  console.log("ok a page connects with the token in the query");
  assert.equal(await open(await presign(WEBSOCKET_URL)), "open ");
  assert.equal(await open(await presign(WEBSOCKET_URL, { sessionToken: "a/b+c==" })), "open ");
  assert.equal(await open(`${await presign(WEBSOCKET_URL)}&X-Amz-Security-Token=a%2Fb`), "open ");
  assert.equal(await open(await presign(WEBSOCKET_URL, { service: "iotdevicegateway" })), "refused");
  console.log("ok a page connects with a presigned URL");

  /** Reads the HTTP API from the page, after the preflight that the header causes. */
  const read = (token) =>
    page.evaluate(async ([url, token]) => (await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).status, [`${http}/iotdata`, token]);
  assert.equal(await read(TOKEN), 200);
  assert.equal(await read(EXPIRED), 401);
  console.log("ok a page of another origin reads the HTTP API with its token");
} finally {
  await browser.close();
}
