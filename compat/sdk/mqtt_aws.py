"""The AWS IoT Device SDK for Python plays the cases of mqtt_cases.py, MQTT 3.1.1 and 5,
over mutual TLS or, with --websocket, over WebSocket with SigV4."""

import queue

import mqtt_cases
from awscrt import auth, mqtt, mqtt5
from awsiot import mqtt5_client_builder, mqtt_connection_builder
from mqtt_play import PATIENCE, Failure, Inbox, Message, check


class Published:
    def __init__(self, future):
        self.future = future

    def done(self):
        return self.future.done() and self.future.exception() is None


class Three:
    """MQTT 3.1.1."""

    def __init__(self, args, client_id, clean=True, will=None, aliases=0):
        self.inbox, self.sessions = Inbox(), []
        options = {
            "endpoint": args.host,
            "port": args.port,
            "ca_filepath": args.ca,
            "client_id": client_id,
            "clean_session": clean,
            "keep_alive_secs": 30,
            "reconnect_min_timeout_secs": 1,
            "reconnect_max_timeout_secs": 1,
            "on_connection_resumed": lambda connection, return_code, session_present, **_: self.sessions.append(session_present),
        }
        if will:
            options["will"] = mqtt.Will(will["topic"], mqtt.QoS(will["qos"]), will["payload"], will["retain"])
        if args.websocket:
            options |= {"region": args.region, "credentials_provider": auth.AwsCredentialsProvider.new_default_chain()}
            self.client = mqtt_connection_builder.websockets_with_default_aws_signing(**options)
        else:
            self.client = mqtt_connection_builder.mtls_from_path(cert_filepath=args.cert, pri_key_filepath=args.key, **options)
        self.client.on_message(self.on_message)

    def on_message(self, topic, payload, dup, qos, retain, **_):
        self.inbox.add(Message(topic, bytes(payload), int(qos), retain, {}))

    def connect(self):
        self.sessions.append(self.client.connect().result(PATIENCE)["session_present"])
        return self.sessions[-1]

    def subscribe(self, pattern, qos):
        granted = self.client.subscribe(pattern, mqtt.QoS(qos))[0].result(PATIENCE)
        check(granted["qos"] == qos, f"SUBACK for {pattern} at QoS {qos} says {granted['qos']}")

    def unsubscribe(self, pattern):
        self.client.unsubscribe(pattern)[0].result(PATIENCE)

    def start(self, topic, payload, qos, retain=False):
        return Published(self.client.publish(topic, payload, mqtt.QoS(qos), retain)[0])

    def publish(self, topic, payload, qos, retain=False):
        self.start(topic, payload, qos, retain).future.result(PATIENCE)

    def disconnect(self):
        self.client.disconnect().result(PATIENCE)


def packet(topic, payload, qos, retain=False, properties=None):
    properties = properties or {}
    return mqtt5.PublishPacket(
        topic=topic,
        payload=payload,
        qos=mqtt5.QoS(qos),
        retain=retain,
        payload_format_indicator=mqtt5.PayloadFormatIndicator.AWS_MQTT5_PFI_UTF8 if properties.get("utf8") else None,
        message_expiry_interval_sec=properties.get("expiry"),
        response_topic=properties.get("response_topic"),
        correlation_data_bytes=properties.get("correlation"),
        content_type=properties.get("content_type"),
        user_properties=[mqtt5.UserProperty(name, value) for name, value in properties.get("user", [])],
    )


def unpack(received):
    found = {
        "user": [(p.name, p.value) for p in received.user_properties or []] or None,
        "response_topic": received.response_topic,
        "correlation": received.correlation_data_bytes,
        "content_type": received.content_type,
        "expiry": received.message_expiry_interval_sec,
        "utf8": None if received.payload_format_indicator is None else bool(received.payload_format_indicator),
        "identifiers": list(received.subscription_identifiers or []) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


class Five:
    """MQTT 5."""

    def __init__(self, args, client_id, clean=True, will=None, aliases=0):
        self.inbox, self.sessions, self.events = Inbox(), [], queue.Queue()
        self.aliases, self.offered, self.topics = aliases, 0, {}
        behaviour = mqtt5.ClientSessionBehaviorType
        connect = {"client_id": client_id, "keep_alive_interval_sec": 30}
        if not clean:
            connect["session_expiry_interval_sec"] = 300
        if will:
            connect["will"] = packet(will["topic"], will["payload"], will["qos"], will["retain"], will["properties"])
            connect["will_delay_interval_sec"] = will["delay"]
        options = {
            "endpoint": args.host,
            "port": args.port,
            "ca_filepath": args.ca,
            "connect_options": mqtt5.ConnectPacket(**connect),
            "session_behavior": behaviour.CLEAN if clean else behaviour.REJOIN_ALWAYS,
            "offline_queue_behavior": mqtt5.ClientOperationQueueBehaviorType.FAIL_NON_QOS1_PUBLISH_ON_DISCONNECT,
            "min_reconnect_delay_ms": 200,
            "max_reconnect_delay_ms": 1000,
            "on_publish_received": self.on_publish,
            "on_lifecycle_connection_success": self.on_success,
            "on_lifecycle_connection_failure": lambda data: self.events.put(data.exception),
            "on_lifecycle_stopped": lambda data: self.events.put("stopped"),
        }
        if aliases:
            options["topic_aliasing_options"] = mqtt5.TopicAliasingOptions(
                outbound_behavior=mqtt5.OutboundTopicAliasBehaviorType.LRU,
                outbound_cache_max_size=aliases,
                inbound_behavior=mqtt5.InboundTopicAliasBehaviorType.ENABLED,
                inbound_cache_max_size=aliases,
            )
        if args.websocket:
            provider = auth.AwsCredentialsProvider.new_default_chain()
            self.client = mqtt5_client_builder.websockets_with_default_aws_signing(args.region, provider, **options)
        else:
            self.client = mqtt5_client_builder.mtls_from_path(args.cert, args.key, **options)

    def on_success(self, data):
        self.offered = data.negotiated_settings.topic_alias_maximum_to_server
        self.sessions.append(data.negotiated_settings.rejoined_session)
        self.events.put("connected")

    def on_publish(self, data):
        received = data.publish_packet
        self.inbox.add(Message(received.topic, bytes(received.payload or b""), int(received.qos), received.retain, unpack(received)))

    def wait(self, event, what):
        try:
            got = self.events.get(timeout=PATIENCE)
        except queue.Empty:
            raise Failure(f"waited in vain for {what}") from None
        check(got == event, f"instead of {what} there came {got!r}")

    def connect(self):
        self.client.start()
        self.wait("connected", "CONNACK")
        return self.sessions[-1]

    def subscribe(self, pattern, qos, identifier=None, retain_handling=0, retain_as_published=False):
        one = mqtt5.Subscription(
            topic_filter=pattern, qos=mqtt5.QoS(qos), retain_as_published=retain_as_published, retain_handling_type=mqtt5.RetainHandlingType(retain_handling)
        )
        suback = self.client.subscribe(mqtt5.SubscribePacket([one], subscription_identifier=identifier)).result(PATIENCE)
        check(suback.reason_codes == [qos], f"SUBACK for {pattern} at QoS {qos} says {suback.reason_codes}")

    def unsubscribe(self, pattern):
        unsuback = self.client.unsubscribe(mqtt5.UnsubscribePacket([pattern])).result(PATIENCE)
        check(unsuback.reason_codes == [0], f"UNSUBACK for {pattern} says {unsuback.reason_codes}")

    def start(self, topic, payload, qos, retain=False, **properties):
        if self.offered:
            self.topics[topic] = self.topics.get(topic, 0) + 1
        return Published(self.client.publish(packet(topic, payload, qos, retain, properties)))

    def publish(self, topic, payload, qos, retain=False, **properties):
        done = self.start(topic, payload, qos, retain, **properties).future.result(PATIENCE)
        if qos:
            check(done.puback.reason_code in (0, 16), f"PUBACK for {topic} says {done.puback.reason_code}")

    def aliased(self):
        """How many publications went to a topic that had one before: the library's own aliases do not show."""
        return sum(n - 1 for n in self.topics.values()) if self.aliases else 0

    def disconnect(self, with_will=False):
        reason = mqtt5.DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE if with_will else mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION
        while not self.events.empty():
            self.events.get()
        self.client.stop(mqtt5.DisconnectPacket(reason_code=reason))
        self.wait("stopped", "the end of the connection")


class Client:
    FEATURES = {3: set(), 5: {"identifiers"}}

    def __new__(cls, args, client_id, **options):
        return (Three if args.version == 3 else Five)(args, client_id, **options)


if __name__ == "__main__":
    mqtt_cases.main(Client)
