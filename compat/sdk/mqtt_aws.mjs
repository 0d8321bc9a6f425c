// The AWS IoT Device SDK for Node plays the cases of mqtt_cases.mjs, MQTT 3.1.1 and 5,
// over mutual TLS or, with --websocket, over WebSocket with SigV4.

import assert from "node:assert/strict";
import { once } from "node:events";
import sdk from "aws-iot-device-sdk-v2";
import { Inbox, main, within } from "./mqtt_cases.mjs";

const { auth, iot, mqtt, mqtt5 } = sdk;

// An empty payload comes as a detached buffer.
const bytes = (payload) => (payload?.byteLength ? Buffer.from(payload) : Buffer.alloc(0));

/** MQTT 3.1.1. */
class Three {
  inbox = new Inbox();
  sessions = [];

  constructor(args, clientId, { clean = true, will }) {
    const { AwsIotMqttConnectionConfigBuilder: Builder } = iot;
    const builder = args.websocket
      ? Builder.new_with_websockets({ region: args.region, credentials_provider: auth.AwsCredentialsProvider.newDefault() })
      : Builder.new_mtls_builder_from_path(args.cert, args.key);
    builder
      .with_certificate_authority_from_path(undefined, args.ca)
      .with_endpoint(args.host)
      .with_port(args.port)
      .with_client_id(clientId)
      .with_clean_session(clean)
      .with_keep_alive_seconds(30)
      .with_reconnect_min_sec(1)
      .with_reconnect_max_sec(1);
    if (will) builder.with_will(new mqtt.MqttWill(will.topic, will.qos, will.payload, will.retain));
    this.client = new mqtt.MqttClient().new_connection(builder.build());
    this.client.on("message", (topic, payload, _dup, qos, retain) => this.inbox.add({ topic, payload: bytes(payload), qos, retain, properties: {} }));
    this.client.on("resume", (_code, present) => this.sessions.push(present));
    this.client.on("error", (error) => console.log(`the library reports: ${error}`));
  }

  async connect() {
    this.sessions.push(await within(this.client.connect(), "CONNACK"));
    return this.sessions.at(-1);
  }

  async subscribe(filter, qos) {
    const granted = await within(this.client.subscribe(filter, qos), `SUBACK for ${filter}`);
    assert.deepEqual([granted.error_code ?? 0, granted.qos], [0, qos], `SUBACK for ${filter} at QoS ${qos}`);
  }

  unsubscribe(filter) {
    return within(this.client.unsubscribe(filter), `UNSUBACK for ${filter}`);
  }

  start(topic, payload, qos, { retain = false } = {}) {
    return this.client.publish(topic, payload, qos, retain);
  }

  publish(topic, payload, qos, options) {
    return within(this.start(topic, payload, qos, options), `PUBACK for ${topic}`);
  }

  disconnect() {
    return within(this.client.disconnect(), "the end of the connection");
  }
}

const pairs = (user) => user.map(([name, value]) => ({ name, value }));

/** An object without the members that are undefined. */
const defined = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));

/** A PUBLISH of the library. */
const packet = (topicName, payload, qos, { retain = false, user, responseTopic, correlation, contentType, expiry, utf8 } = {}) =>
  defined({
    topicName,
    payload,
    qos,
    retain,
    responseTopic,
    contentType,
    correlationData: correlation,
    messageExpiryIntervalSeconds: expiry,
    payloadFormat: utf8 ? mqtt5.PayloadFormatIndicator.Utf8 : undefined,
    userProperties: user && pairs(user),
  });

/** What a PUBLISH of the library says, as the cases name it. */
function unpack(m) {
  const properties = defined({
    user: m.userProperties?.length ? m.userProperties.map(({ name, value }) => [name, value]) : undefined,
    responseTopic: m.responseTopic,
    correlation: m.correlationData && bytes(m.correlationData),
    contentType: m.contentType,
    expiry: m.messageExpiryIntervalSeconds,
    utf8: m.payloadFormat === undefined ? undefined : m.payloadFormat === mqtt5.PayloadFormatIndicator.Utf8,
    identifiers: m.subscriptionIdentifiers?.length ? [...m.subscriptionIdentifiers] : undefined,
  });
  return { topic: m.topicName, payload: bytes(m.payload), qos: m.qos, retain: m.retain, properties };
}

/** MQTT 5. */
class Five {
  inbox = new Inbox();
  sessions = [];
  offered = 0;

  constructor(args, clientId, { clean = true, will, aliases = 0 }) {
    const { AwsIotMqtt5ClientConfigBuilder: Builder } = iot;
    const builder = args.websocket
      ? Builder.newWebsocketMqttBuilderWithSigv4Auth(args.host, { region: args.region, credentialsProvider: auth.AwsCredentialsProvider.newDefault() })
      : Builder.newDirectMqttBuilderWithMtlsFromPath(args.host, args.cert, args.key);
    builder
      .withCertificateAuthorityFromPath(undefined, args.ca)
      .withPort(args.port)
      .withSessionBehavior(clean ? mqtt5.ClientSessionBehavior.Clean : mqtt5.ClientSessionBehavior.RejoinAlways)
      .withOfflineQueueBehavior(mqtt5.ClientOperationQueueBehavior.FailNonQos1PublishOnDisconnect)
      .withMinReconnectDelayMs(200)
      .withMaxReconnectDelayMs(1000)
      .withConnectProperties({
        clientId,
        keepAliveIntervalSeconds: 30,
        ...(clean ? {} : { sessionExpiryIntervalSeconds: 300 }),
        ...(will && { will: packet(will.topic, will.payload, will.qos, { ...will.properties, retain: will.retain }), willDelayIntervalSeconds: will.delay }),
      });
    if (aliases) {
      builder.withTopicAliasingOptions({
        outboundBehavior: mqtt5.OutboundTopicAliasBehaviorType.LRU,
        outboundCacheMaxSize: aliases,
        inboundBehavior: mqtt5.InboundTopicAliasBehaviorType.Enabled,
        inboundCacheMaxSize: aliases,
      });
    }
    this.client = new mqtt5.Mqtt5Client(builder.build());
    this.client.on("messageReceived", ({ message }) => this.inbox.add(unpack(message)));
    this.client.on("connectionSuccess", ({ settings }) => {
      this.sessions.push(settings.rejoinedSession);
      this.offered = settings.topicAliasMaximumToServer;
    });
    this.client.on("error", (error) => console.log(`the library reports: ${error}`));
  }

  async connect() {
    const refused = once(this.client, "connectionFailure").then(([{ error, connack }]) =>
      assert.fail(`the broker refused the connection: ${error} ${connack ? JSON.stringify(connack) : ""}`),
    );
    refused.catch(() => {});
    const success = once(this.client, "connectionSuccess");
    this.client.start();
    await within(Promise.race([success, refused]), "CONNACK");
    return this.sessions.at(-1);
  }

  async subscribe(topicFilter, qos, { identifier, retainHandling = 0, retainAsPublished = false } = {}) {
    const suback = await within(
      this.client.subscribe(
        defined({ subscriptions: [{ topicFilter, qos, retainAsPublished, retainHandlingType: retainHandling }], subscriptionIdentifier: identifier }),
      ),
      `SUBACK for ${topicFilter}`,
    );
    assert.deepEqual(suback.reasonCodes, [qos], `SUBACK for ${topicFilter} at QoS ${qos}`);
  }

  async unsubscribe(filter) {
    const unsuback = await within(this.client.unsubscribe({ topicFilters: [filter] }), `UNSUBACK for ${filter}`);
    assert.deepEqual(unsuback.reasonCodes, [0], `UNSUBACK for ${filter}`);
  }

  async start(topic, payload, qos, options) {
    const puback = await this.client.publish(packet(topic, payload, qos, options));
    if (qos) assert.ok([0, 16].includes(puback.reasonCode), `PUBACK for ${topic} says ${puback.reasonCode}`);
  }

  publish(topic, payload, qos, options) {
    return within(this.start(topic, payload, qos, options), `PUBACK for ${topic}`);
  }

  async disconnect(withWill = false) {
    const stopped = once(this.client, "stopped");
    const { DisconnectWithWillMessage, NormalDisconnection } = mqtt5.DisconnectReasonCode;
    this.client.stop({ reasonCode: withWill ? DisconnectWithWillMessage : NormalDisconnection });
    await within(stopped, "the end of the connection");
  }
}

await main((args, clientId, options) => new (args.version === 3 ? Three : Five)(args, clientId, options));
