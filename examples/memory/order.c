/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * order - what two processes may see of each other's stores: two small tests of the memory model.
 *
 *     order mp relaxed|release [ROUNDS]     message passing
 *     order sb relaxed|seq_cst [ROUNDS]     store buffering
 *
 * each prints "mp release: 0 of 200000 rounds out of order" or the like.
 * mp: one process stores data, then a flag; the other loads the flag, then the data. May it see
 * the flag and not the data? With a release store and an acquire load of the flag never, and so
 * every hand-over in these programs does it. Relaxed, or with plain variables, ARM and POWER may,
 * and any compiler; the processors of x86 do not, so there a wrong program passes its tests.
 *
 * sb: each process stores to its own word, then loads the other's. May both see 0? Release and
 * acquire allow it, and x86 does it: a store waits in a buffer while the load goes ahead. Only
 * seq_cst, or a full fence, forbids it. So "I announce myself, then look whether you are there"
 * needs seq_cst on both sides.
 *
 * A fence stands between the two accesses that it orders: one before and one behind a single store,
 * as is sometimes shown, order nothing with each other.
 *
 * What is not seen here is not thereby impossible: emulated on x86 (qemu-aarch64) an ARM program
 * meets the order of x86 or a stronger one. For proof there are tools that try every execution.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct round { /* every word in a line of its own */
	_Alignas(64) _Atomic uint32_t x;
	_Alignas(64) _Atomic uint32_t y;
	_Alignas(64) uint32_t saw[2];
};
struct shared {
	_Alignas(64) _Atomic uint32_t at[2]; /* the round that each side is in */
	struct round rounds[];
};

#define LOAD(strong, from, order)                                                                  \
	((strong) ? atomic_load_explicit(from, order)                                              \
		  : atomic_load_explicit(from, memory_order_relaxed))
#define STORE(strong, to, order)                                                                   \
	((strong) ? atomic_store_explicit(to, 1, order)                                            \
		  : atomic_store_explicit(to, 1, memory_order_relaxed))

static void play(struct shared *s, uint32_t count, int side, int mp, int strong)
{
	for (uint32_t i = 0; i < count; i++) {
		struct round *r = &s->rounds[i];

		atomic_store(&s->at[side], i + 1);
		for (int spins = 0; atomic_load(&s->at[!side]) < i + 1; spins++)
			if (spins > 1000)
				sched_yield();
		if (mp && side == 0) {
			atomic_store_explicit(&r->x, 1, memory_order_relaxed);
			STORE(strong, &r->y, memory_order_release);
		} else if (mp) {
			r->saw[0] = LOAD(strong, &r->y, memory_order_acquire);
			r->saw[1] = atomic_load_explicit(&r->x, memory_order_relaxed);
		} else {
			STORE(strong, side == 0 ? &r->x : &r->y, memory_order_seq_cst);
			r->saw[side] =
				LOAD(strong, side == 0 ? &r->y : &r->x, memory_order_seq_cst);
		}
	}
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 200000, bad = 0;
	size_t size = sizeof(struct shared) + count * sizeof(struct round);

	if (argc < 3)
		return fprintf(stderr, "usage: order mp|sb ORDER [ROUNDS]\n"), 2;
	int mp = strcmp(argv[1], "mp") == 0, strong = strcmp(argv[2], "relaxed") != 0;
	struct shared *s =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = s == MAP_FAILED ? -1 : fork();

	if (pid < 0)
		return 1;
	play(s, count, pid == 0, mp, strong);
	if (pid == 0)
		return 0;
	wait(NULL);
	for (uint32_t i = 0; i < count; i++) {
		bad += s->rounds[i].saw[0] == (uint32_t)mp && s->rounds[i].saw[1] == 0;
	}
	printf("%s %s: %u of %u rounds out of order\n", argv[1], argv[2], bad, count);
	return strong && bad != 0;
}
