"""What the cases of mqtt_cases.py and the clients that play them share."""

import argparse
import collections
import threading
import time

PATIENCE = 30  # seconds that any one wait may take; no figure of speed
QUIET = 0.3  # seconds in which what must not come would have come

Message = collections.namedtuple("Message", "topic payload qos retain properties")


class Failure(Exception):
    """A sentence that says what was not as the standard has it."""


def check(holds, sentence):
    if not holds:
        raise Failure(sentence)


def ok(sentence):
    print("ok", sentence, flush=True)


def payloads(messages):
    return [m.payload for m in messages]


class Inbox:
    """The messages of one client, in the order in which they came."""

    def __init__(self):
        self.changed = threading.Condition()
        self.messages = []

    def add(self, message):
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def wait(self, holds, what):
        """Waits until holds(messages), and returns them."""
        with self.changed:
            if not self.changed.wait_for(lambda: holds(self.messages), PATIENCE):
                raise Failure(f"waited in vain for {what}; {len(self.messages)} messages came, the last: {self.messages[-3:]}")
            return list(self.messages)

    def take(self, count, what):
        """Waits for a number of messages, and removes all that came."""
        taken = self.wait(lambda messages: len(messages) >= count, what)
        check(len(taken) == count, f"{what}: {len(taken)} messages came instead of {count}: {taken}")
        with self.changed:
            del self.messages[: len(taken)]
        return taken

    def settle(self):
        """Lets the library acknowledge what it has told us, before we disconnect."""
        time.sleep(QUIET)

    def nothing(self, what):
        time.sleep(QUIET)
        check(not self.messages, f"{what}, but there came {self.messages}")


def arguments(cases):
    """The command line of a script that plays one case."""
    parser = argparse.ArgumentParser(description="Plays one case of mqtt_cases.py with a client.")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", help="root certificate; without it the connection is plain")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--websocket", action="store_true", help="MQTT over WebSocket at /mqtt, signed with AWS's default credentials")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--version", type=int, choices=(3, 5), required=True)
    parser.add_argument("--id", required=True, help="what client ids and topics begin with")
    parser.add_argument("--server-aliases", action="store_true", help="fail if the broker itself uses no topic alias")
    parser.add_argument("--case", choices=cases, required=True)
    parser.add_argument("--doomed", help=argparse.SUPPRESS)
    return parser.parse_args()
