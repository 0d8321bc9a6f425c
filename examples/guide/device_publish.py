"""The guide's device on the AWS IoT Device SDK v2: one reading every five seconds.

    pip install awsiotsdk
    IOT_ENDPOINT=localhost python device_publish.py

The folder CERTS (default: this one) holds certificate.pem.crt, private.pem.key
and AmazonRootCA1.pem. IOT_PORT is needed when the broker listens on neither 443
nor 8883; COUNT ends the script after so many readings.
"""

import json
import os
import time

from awscrt import mqtt
from awsiot import mqtt_connection_builder

ENDPOINT = os.environ.get("IOT_ENDPOINT", "localhost")
PORT = os.environ.get("IOT_PORT")
CLIENT_ID = os.environ.get("CLIENT_ID", "MyDevice001")
CERTS = os.environ.get("CERTS", os.path.dirname(os.path.abspath(__file__)))
TOPIC = os.environ.get("TOPIC", "sensor/data")
COUNT = int(os.environ.get("COUNT", "0"))
INTERVAL = float(os.environ.get("INTERVAL", "5"))


def connect():
    options = {"port": int(PORT)} if PORT else {}
    connection = mqtt_connection_builder.mtls_from_path(
        endpoint=ENDPOINT,
        cert_filepath=os.path.join(CERTS, "certificate.pem.crt"),
        pri_key_filepath=os.path.join(CERTS, "private.pem.key"),
        ca_filepath=os.path.join(CERTS, "AmazonRootCA1.pem"),
        client_id=CLIENT_ID,
        clean_session=False,
        keep_alive_secs=30,
        **options,
    )
    print("Connecting...")
    connection.connect().result(timeout=30)
    print("Connected!")
    return connection


def reading():
    now = time.time()
    return {
        "device_id": CLIENT_ID,
        "temperature": round(20 + 5 * (now % 10), 2),
        "humidity": round(40 + 3 * (now % 7), 2),
        "ts": int(now),
    }


def main():
    connection = connect()
    published = 0
    try:
        while COUNT == 0 or published < COUNT:
            payload = reading()
            done, _ = connection.publish(topic=TOPIC, payload=json.dumps(payload), qos=mqtt.QoS.AT_LEAST_ONCE)
            done.result(timeout=30)  # the PUBACK: the reading is on disk
            published += 1
            print("Published:", payload, flush=True)
            if published != COUNT:
                time.sleep(INTERVAL)
    finally:
        connection.disconnect().result(timeout=30)


if __name__ == "__main__":
    main()
