#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Exercise 3 in Python, with long integers in memory that comes from mmap()."""
import mmap
import os
import random
import time

N, WORKERS = 200, 4


def compute(a, b, c, rows):
    columns = [b[col::N] for col in range(N)]
    for row in rows:
        line = a[row * N:(row + 1) * N].tolist()
        for col in range(N):
            c[row * N + col] = sum(x * y for x, y in zip(line, columns[col]))


def main():
    memory = mmap.mmap(-1, 3 * N * N * 8)
    words = memoryview(memory).cast("q")
    a, b, c = (words[i * N * N:(i + 1) * N * N] for i in range(3))
    for i in range(N * N):
        a[i], b[i] = random.randrange(-9, 10), random.randrange(-9, 10)
    begun = time.monotonic()
    for worker in range(WORKERS):
        first = worker * N // WORKERS
        if os.fork() == 0:
            compute(a, b, c, range(first, first + N // WORKERS))
            print(f"Process {worker}: rows {first}-{first + N // WORKERS - 1} done", flush=True)
            os._exit(0)
    for _ in range(WORKERS):
        os.wait()
    print(f"Computation complete in {time.monotonic() - begun:.3f} seconds")


main()
