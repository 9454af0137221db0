#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Exercise 2 in Python: right, or with no bound: buffer.py right | unbounded"""
import sys
from multiprocessing import Array, Lock, Process, Semaphore

ITEMS, PLACES = 50, 10
HOW = sys.argv[1] if len(sys.argv) > 1 else "right"


def produce(places, mutex, empty, full):
    for item in range(ITEMS):
        if HOW != "unbounded":
            empty.acquire()
        with mutex:
            places[item % PLACES] = item
        print("Produced:", item)
        full.release()


def consume(places, mutex, empty, full):
    for number in range(ITEMS):
        full.acquire()
        with mutex:
            item = places[number % PLACES]
        empty.release()
        print("Consumed:", item)


def main():
    parts = Array("i", PLACES, lock=False), Lock(), Semaphore(PLACES), Semaphore(0)
    sides = [Process(target=side, args=parts) for side in (produce, consume)]
    for side in sides:
        side.start()
    for side in sides:
        side.join()


main()
