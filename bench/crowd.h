/* SPDX-License-Identifier: BSD-2-Clause */
/* crowd.h - processes that all do the same at once, pinned to the processors by turns. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/base.h>

enum { CROWD_MAX = 8 };

/* In shared memory. */
struct crowd {
	_Atomic uint32_t go, stop, inside;
	_Atomic uint64_t passes[CROWD_MAX];
};

typedef void crowd_pass(uint64_t i);

/* The processors by turns, of those that we might use before the first call. */
static inline void crowd_pin(int n)
{
	static cpu_set_t may;
	cpu_set_t one;
	int count, turn = 0;

	if (CPU_COUNT(&may) == 0 && sched_getaffinity(0, sizeof(may), &may) < 0)
		return;
	count = CPU_COUNT(&may);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &may) || turn++ != n % count)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		(void)sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

static inline void crowd_join(struct crowd *crowd, crowd_pass *pass, int n)
{
	uint64_t i = 0;

	crowd_pin(n);
	pass(0); /* what only the first one does */
	atomic_fetch_add(&crowd->inside, 1);
	while (atomic_load(&crowd->go) == 0)
		sched_yield();
	for (; atomic_load_explicit(&crowd->stop, memory_order_relaxed) == 0; i++)
		pass(i);
	crowd->passes[n] = i;
	_exit(0);
}

/* Passes a microsecond, of all of them together, for 30 ms. */
static inline double crowd_run(struct crowd *crowd, crowd_pass *pass, int processes)
{
	const struct timespec span = { .tv_nsec = 30000000 };
	uint64_t sum = 0;
	int64_t begin;

	atomic_store(&crowd->go, 0);
	atomic_store(&crowd->stop, 0);
	atomic_store(&crowd->inside, 0);
	for (int n = 0; n < processes; n++)
		if (fork() == 0)
			crowd_join(crowd, pass, n);
	while (atomic_load(&crowd->inside) < (uint32_t)processes)
		sched_yield();
	begin = tarn_now();
	atomic_store(&crowd->go, 1);
	nanosleep(&span, NULL);
	atomic_store(&crowd->stop, 1);
	begin = tarn_now() - begin;
	while (wait(NULL) > 0)
		;
	for (int n = 0; n < processes; n++)
		sum += crowd->passes[n];
	return (double)sum * 1e3 / (double)begin;
}

/* Processor time of this process. */
static inline int64_t crowd_processor_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* others may run here, too */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif /* BENCH_CROWD_H */
