# SPDX-License-Identifier: MIT
import os
import socket
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

AT_ONCE = int(sys.argv[1])


def ask(n):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((os.environ["LATE_DNS"], 53))
    s.settimeout(2)
    s.send(struct.pack(">HHHHHH", n, 0x100, 1, 0, 0, 0) + b"\x01a\x04test\x00\x00\x01\x00\x01")
    s.recv(512)
    s.close()


if AT_ONCE == 1:
    for n in range(50):
        ask(n)
else:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(ask, range(50)))
