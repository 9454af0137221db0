#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Exercise 1 in Python: right, or wrong in one way: counter.py right | unlocked | leak | copy"""
import struct
import sys
from multiprocessing import Lock, Process, resource_tracker
from multiprocessing.shared_memory import SharedMemory

HOW = sys.argv[1] if len(sys.argv) > 1 else "right"
COPY = [0]


def add(memory):
    struct.pack_into("i", memory.buf, 0, struct.unpack_from("i", memory.buf, 0)[0] + 1)


def work(memory, lock):
    for _ in range(1000):
        if HOW == "copy":
            COPY[0] += 1
        elif HOW == "unlocked":
            add(memory)
        else:
            with lock:
                add(memory)


def main():
    memory = SharedMemory(create=True, size=16)
    lock = Lock()
    workers = [Process(target=work, args=(memory, lock)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    value = struct.unpack_from("i", memory.buf, 0)[0]
    print("Final counter:", COPY[0] if HOW == "copy" else value)
    if HOW == "leak":
        resource_tracker.unregister(memory._name, "shared_memory")
    memory.close()
    if HOW != "leak":
        memory.unlink()


main()
