"""Serves moto, an implementation of AWS's services that is not ours, in memory on a
free loopback port. Prints its address, and ends with its standard input, so that it
never outlives the program that started it."""

import logging
import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server.start()
host, port = server.get_host_and_port()
print(f"http://{host}:{port}", flush=True)
sys.stdin.read()
server.stop()
