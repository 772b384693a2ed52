"""A slow link between two network namespaces of its own: rate, delay, a queue that drops what does not fit, and loss.

    python3 link.py MBIT_PER_S DELAY_MS QUEUE_MS [LOSS]

Of all packets the share LOSS is lost, the same ones in every run.

Makes the namespaces `tombolo-a` (10.77.0.1) and `tombolo-b` (10.77.0.2), joined by two TUN devices whose packets it carries itself.
First {"ready": true}, then every second {"udp", "tcp": bytes that came out towards b, "queue_ms": mean wait in that queue}. Ends, and
removes both, at the end of stdin or by SIGTERM.
"""

import fcntl
import heapq
import json
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
TCP, UDP = 6, 17
SIDES = {"a": "10.77.0.1", "b": "10.77.0.2"}


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def end(side):
    """The file of a new TUN device, which is then in a namespace of its own."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", f"tombolo-{side}".encode(), IFF_TUN | IFF_NO_PI))
    name = f"tombolo-{side}"
    ip("netns", "add", name)
    ip("link", "set", name, "netns", name)
    ip("-n", name, "addr", "add", f"{SIDES[side]}/24", "dev", name)
    ip("-n", name, "link", "set", name, "up", "mtu", "1400")
    ip("-n", name, "link", "set", "lo", "up")
    return device


class Direction:
    """One way through the link. Packets leave the queue at its rate and arrive a delay later."""

    def __init__(self, target, rate, delay, queue, loss):
        self.target, self.rate, self.delay, self.queue, self.loss = target, rate, delay, queue, loss
        self.luck = random.Random(1)
        self.free = 0.0
        self.under_way = []
        self.bytes = {TCP: 0, UDP: 0}
        self.waits = []

    def take(self, packet, now):
        wait = max(0.0, self.free - now)
        if wait > self.queue or self.luck.random() < self.loss:
            return
        self.waits.append(wait)
        self.free = max(self.free, now) + len(packet) / self.rate
        heapq.heappush(self.under_way, (self.free + self.delay, len(self.waits), packet))

    def deliver(self, now):
        while self.under_way and self.under_way[0][0] <= now:
            packet = heapq.heappop(self.under_way)[2]
            protocol = packet[9]
            if protocol in self.bytes:
                self.bytes[protocol] += len(packet)
            try:
                os.write(self.target, packet)
            except BlockingIOError:
                pass

    def report(self):
        waits = self.waits or [0.0]
        found = {"udp": self.bytes[UDP], "tcp": self.bytes[TCP], "queue_ms": 1000 * sum(waits) / len(waits)}
        self.bytes = {TCP: 0, UDP: 0}
        self.waits = []
        return found


def carry(ends, directions):
    tick = time.monotonic() + 1
    while True:
        due = [direction.under_way[0][0] for direction in directions if direction.under_way]
        wait = max(0.0, min([tick, *due]) - time.monotonic())
        readable = select.select([*ends, sys.stdin], [], [], wait)[0]
        if sys.stdin in readable and not sys.stdin.readline():
            return
        for device, direction in zip(ends, directions):
            while device in readable:
                try:
                    packet = os.read(device, 2048)
                except BlockingIOError:
                    break
                if packet[0] >> 4 == 4:
                    direction.take(packet, time.monotonic())
        for direction in directions:
            direction.deliver(time.monotonic())
        if time.monotonic() >= tick:
            tick += 1
            print(json.dumps(directions[0].report()), flush=True)
            directions[1].report()


def main():
    rate, delay, queue, loss = (float(word) for word in [*sys.argv[1:], "0"][:4])
    # So that what follows `finally` is done then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        a, b = end("a"), end("b")
        settings = (rate * 1e6 / 8, delay / 1e3, queue / 1e3, loss)
        print(json.dumps({"ready": True}), flush=True)
        carry([a, b], [Direction(b, *settings), Direction(a, *settings)])
    finally:
        for side in SIDES:
            subprocess.run(["ip", "netns", "del", f"tombolo-{side}"], check=False)


main()
