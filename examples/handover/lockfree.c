/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lockfree - a ring of one producer and one consumer without locks, in C11; and as it is often
 * shown.
 *
 *     lockfree            prints "sent 1000000, received 1000000, lost 0"
 *     lockfree shown      prints "sent 1000000, received 213772, lost 786228" or the like
 *
 * What is wrong with rings as they are usually shown, and what is done here:
 *   - "if full, return": the item is dropped, and nobody told. Here push() says so.
 *   - the capacity stands in shared memory and is used from there: a peer that changes it makes the
 *     other write anywhere. Here it is a constant, and an index is masked when it is used.
 *   - both indices in one cache line, which then wanders back and forth (../memory/sharing.c).
 *   - (head + 1) % capacity: one slot is never used, and a capacity that is no power of two
 *     breaks the other form, free-running counts, when they overflow. Here: counts, a power of two.
 *   - the function that makes the ring also "opens" it: O_CREAT without O_EXCL and two stores of 0,
 *     so a second caller empties a ring in use, and the consumer reads it half made.
 *   - size_t in shared memory: 32- and 64-bit programs disagree. Here uint32_t.
 *   - nobody can wait, nor learn that the other side died. Here neither: tarn's ring does both
 *     (ring.c), with records of any size.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 256, ITEMS = 1000000 }; /* SLOTS is a power of two */

struct ring {
	_Alignas(64) _Atomic uint32_t head; /* pushed since the beginning; the producer's */
	_Alignas(64) _Atomic uint32_t tail; /* popped since the beginning; the consumer's */
	_Alignas(64) uint32_t slots[SLOTS];
	_Atomic uint32_t done;
};

static bool push(struct ring *ring, uint32_t item)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	/* acquire: the consumer has read the slot before it is written anew */
	if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) >= SLOTS)
		return false;
	ring->slots[head % SLOTS] = item;
	/* release: the slot is written before the count that says so */
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}

static bool pop(struct ring *ring, uint32_t *ret_item)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	/* acquire: meets the release of push() */
	if (atomic_load_explicit(&ring->head, memory_order_acquire) == tail)
		return false;
	*ret_item = ring->slots[tail % SLOTS];
	/* release: meets the acquire of push() */
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return true;
}

static int produce(struct ring *ring, bool shown)
{
	for (uint32_t i = 0; i < ITEMS; i++)
		while (!push(ring, i) && !shown)
			sched_yield(); /* full: let the consumer run */
	return atomic_exchange(&ring->done, 1) != 0;
}

int main(int argc, char **argv)
{
	bool shown = argc > 1 && strcmp(argv[1], "shown") == 0;
	uint32_t item, received = 0, last = 0, wrong = 0;
	struct ring *ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (ring == MAP_FAILED || (pid = fork()) < 0)
		return 1;
	if (pid == 0)
		return produce(ring, shown);
	for (bool done = false;;) {
		while (pop(ring, &item)) {
			wrong += received++ != 0 && item <= last;
			last = item;
		}
		if (done)
			break; /* it was done before the ring was found empty */
		done = atomic_load(&ring->done) != 0 || waitpid(pid, NULL, WNOHANG) == pid;
		sched_yield();
	}
	printf("sent %d, received %u, lost %u\n", ITEMS, received, ITEMS - received);
	return wrong != 0 || (!shown && received != ITEMS);
}
