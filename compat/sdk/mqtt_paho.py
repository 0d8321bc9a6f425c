"""paho-mqtt 2 plays the cases of mqtt_cases.py, MQTT 3.1.1 and 5."""

import ssl
import threading

import mqtt_cases
import paho.mqtt.client as paho
from mqtt_play import PATIENCE, Failure, Inbox, Message, check
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

NAMES = {
    "user": "UserProperty",
    "response_topic": "ResponseTopic",
    "correlation": "CorrelationData",
    "content_type": "ContentType",
    "expiry": "MessageExpiryInterval",
    "utf8": "PayloadFormatIndicator",
    "identifiers": "SubscriptionIdentifier",
}


def pack(packet, properties):
    packed = Properties(packet)
    for name, value in properties.items():
        setattr(packed, NAMES[name], int(value) if name == "utf8" else value)
    return packed


def unpack(properties):
    if properties is None:
        return {}
    known = {short: getattr(properties, name) for short, name in NAMES.items() if hasattr(properties, name)}
    if "utf8" in known:
        known["utf8"] = bool(known["utf8"])
    return known


class Published:
    """A publication; on_publish alone tells the truth of one that was made while offline."""

    def __init__(self, client, mid):
        self.client, self.mid = client, mid

    def done(self):
        return self.mid in self.client.published


class Client:
    FEATURES = {3: {"qos2"}, 5: {"qos2", "identifiers", "server aliases"}}

    def __init__(self, args, client_id, clean=True, will=None, aliases=0):
        self.args, self.clean, self.aliases = args, clean, aliases
        self.inbox, self.sessions = Inbox(), []
        self.changed = threading.Condition()
        self.answers, self.published = {}, set()
        self.offered = self.aliases_received = 0
        self.outbound, self.inbound, self.aliased_sent = {}, {}, 0
        five = args.version == 5
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5 if five else paho.MQTTv311, **({} if five else {"clean_session": clean})
        )
        if args.ca:
            self.client.tls_set(args.ca, args.cert, args.key, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        if will:
            properties = pack(PacketTypes.WILLMESSAGE, will["properties"]) if five else None
            if five and will["delay"]:
                properties.WillDelayInterval = will["delay"]
            self.client.will_set(will["topic"], will["payload"], will["qos"], will["retain"], properties)
        self.client.reconnect_delay_set(1, 1)
        self.client.max_queued_messages_set(0)
        self.client.on_connect = self.on_connect
        self.client.on_disconnect = lambda *_: self.answer("disconnect", True)
        self.client.on_subscribe = lambda _c, _u, mid, codes, _p: self.answer(mid, codes)
        self.client.on_unsubscribe = lambda _c, _u, mid, codes, _p: self.answer(mid, codes)
        self.client.on_publish = self.on_publish
        self.client.on_message = self.on_message

    def answer(self, key, value):
        with self.changed:
            self.answers[key] = value
            self.changed.notify_all()

    def wait(self, key, what):
        with self.changed:
            if not self.changed.wait_for(lambda: key in self.answers, PATIENCE):
                raise Failure(f"waited in vain for {what}")
            return self.answers.pop(key)

    def on_connect(self, _client, _user, flags, code, properties):
        self.inbound, self.outbound = {}, {}
        self.offered = getattr(properties, "TopicAliasMaximum", 0)
        self.sessions.append(flags.session_present)
        self.answer("connect", code)

    def on_publish(self, _client, _user, mid, code, _properties):
        if code.is_failure and code.value != 0x92:  # of a PUBREL that was sent again: no error during recovery
            print(f"publication {mid} was refused: {code}", flush=True)
            return
        with self.changed:
            self.published.add(mid)
            self.changed.notify_all()

    def on_message(self, _client, _user, message):
        topic = message.topic
        alias = getattr(message.properties, "TopicAlias", None)
        if alias is not None:
            check(1 <= alias <= self.aliases, f"the broker used alias {alias} of {self.aliases}")
            self.aliases_received += 1
            topic = self.inbound.setdefault(alias, topic) if not topic else topic
            self.inbound[alias] = topic
        self.inbox.add(Message(topic, message.payload, message.qos, message.retain, unpack(message.properties)))

    def connect(self):
        options = {}
        if self.args.version == 5:
            options = {"clean_start": self.clean, "properties": Properties(PacketTypes.CONNECT)}
            if not self.clean:
                options["properties"].SessionExpiryInterval = 300
            if self.aliases:
                options["properties"].TopicAliasMaximum = self.aliases
        self.client.connect(self.args.host, self.args.port, 30, **options)
        self.client.loop_start()
        code = self.wait("connect", "CONNACK")
        check(not code.is_failure, f"the broker refused the connection: {code}")
        return self.sessions[-1]

    def subscribe(self, pattern, qos, identifier=None, retain_handling=0, retain_as_published=False):
        if self.args.version == 5:
            properties = Properties(PacketTypes.SUBSCRIBE)
            if identifier:
                properties.SubscriptionIdentifier = identifier
            options = SubscribeOptions(qos, retainAsPublished=retain_as_published, retainHandling=retain_handling)
            _, mid = self.client.subscribe(pattern, options=options, properties=properties)
        else:
            _, mid = self.client.subscribe(pattern, qos)
        (code,) = self.wait(mid, f"SUBACK for {pattern}")
        check(code.value == qos, f"SUBACK for {pattern} at QoS {qos} says {code}")

    def unsubscribe(self, pattern):
        _, mid = self.client.unsubscribe(pattern)
        self.wait(mid, f"UNSUBACK for {pattern}")

    def start(self, topic, payload, qos, retain=False, **properties):
        packed = None
        if self.args.version == 5:
            packed = pack(PacketTypes.PUBLISH, properties)
            if self.aliases and topic in self.outbound:
                packed.TopicAlias, topic = self.outbound[topic], ""
                self.aliased_sent += 1
            elif self.aliases and len(self.outbound) < min(self.aliases, self.offered):
                self.outbound[topic] = packed.TopicAlias = len(self.outbound) + 1
        return Published(self, self.client.publish(topic, payload, qos, retain, packed).mid)

    def publish(self, topic, payload, qos, retain=False, **properties):
        published = self.start(topic, payload, qos, retain, **properties)
        with self.changed:
            done = self.changed.wait_for(published.done, PATIENCE)
        check(done, f"waited in vain for the acknowledgement of a message at QoS {qos} to {topic}")

    def aliased(self):
        return self.aliased_sent

    def disconnect(self, with_will=False):
        self.answers.pop("disconnect", None)
        self.client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message") if with_will else None)
        self.wait("disconnect", "the end of the connection")
        self.client.loop_stop()


if __name__ == "__main__":
    mqtt_cases.main(Client)
