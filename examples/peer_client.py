"""A client of the peers' protocol in one file: it sends prompts, and prints the roster and what became of each prompt.

    python examples/peer_client.py 127.0.0.1:7474 "red ripples" "blue rain"

It needs msgpack and nothing of neverblink: net/README.md describes all that it does.
"""

import os
import socket
import struct
import sys
import time

import msgpack

FRAME = struct.Struct(">BHI")  # version, size of the head, size of the payload
EVERY_S = 3.0  # between two prompts
ENDS = ("flip", "replaced", "lost")


def send(connection, kind, **fields):
    head = msgpack.packb({"kind": kind, **fields})
    connection.sendall(FRAME.pack(1, len(head), 0) + head)


def receive(connection):
    """The next message; this client follows nothing, so no message has a payload."""
    version, head, payload = FRAME.unpack(receive_exactly(connection, FRAME.size))
    if version != 1:
        sys.exit(f"the host speaks version {version}")
    message = msgpack.unpackb(receive_exactly(connection, head))
    receive_exactly(connection, payload)
    return message


def receive_exactly(connection, size):
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            sys.exit("the host has closed the connection")
        received += piece
    return received


def plain(text):
    """A text of somebody else's without characters that a terminal would obey."""
    return "".join(filter(str.isprintable, text))


def join(connection):
    """Say who we are; the host's welcome."""
    if receive(connection)["needs_key"]:
        sys.exit("this host has a key: prove it as net/README.md says")
    about = {"world": "", "weights": "", "identity": os.urandom(16), "name": "example", "role": "player"}
    send(connection, "hello", **about, follow="nothing", proof=b"", port=0)
    answer = receive(connection)
    if answer["kind"] != "welcome":
        sys.exit(f"refused: {plain(answer['why'])}")
    return answer


def main():
    address, _, port = sys.argv[1].rpartition(":")
    prompts = sys.argv[2:]
    with socket.create_connection((address, int(port))) as connection:
        welcome = join(connection)
        print(f"guest {welcome['number']} of the world {plain(welcome['world'])}, {welcome['fps']:g} frames a second")
        sent, ended, next_s = 0, 0, time.monotonic()
        while ended < len(prompts):
            if sent < len(prompts) and time.monotonic() >= next_s:
                event = {"type": "prompt", "text": prompts[sent]}
                sent, next_s = sent + 1, time.monotonic() + EVERY_S
                send(connection, "events", events=[{"number": sent, "event": event, "age_ns": 0}])
                send(connection, "clock", asked_ns=time.monotonic_ns())  # a sign of life, as often as this
            message = receive(connection)  # the host says many times a second which frame is due
            if message["kind"] == "roster":
                print("here:", ", ".join(f"{plain(seat['name'])} ({seat['role']})" for seat in message["seats"]))
            elif message["kind"] == "receipt":
                block = f" for block {message['block']}" if message["block"] is not None else ""
                why = plain(message.get("why", ""))
                print(f"{prompts[message['number'] - 1]!r} {message['state']}{block} {why}".rstrip())
                ended += message["state"] in ENDS
        send(connection, "bye", why="all is said")


if __name__ == "__main__":
    main()
