"""One TCP flow at full speed.

    serve ADDRESS PORT           swallows what comes
    send ADDRESS PORT CONTROL    sends until it is ended, with that congestion control
"""

import socket
import sys


def serve(address, port):
    listener = socket.create_server((address, int(port)))
    print('{"ready": true}', flush=True)
    stream, _ = listener.accept()
    while stream.recv(1 << 18):
        pass


def send(address, port, control):
    stream = socket.socket()
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
    stream.connect((address, int(port)))
    block = bytes(1 << 16)
    while True:
        stream.sendall(block)


{"serve": serve, "send": send}[sys.argv[1]](*sys.argv[2:])
