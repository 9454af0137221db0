/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sharing - two counters of two processes in one cache line, and in two: false sharing.
 *
 *     sharing [TIMES]         each process adds 1 that often; 1000000 if not said
 *
 * prints, the mean of ten, here on a busy virtual machine of two processors:
 *
 *     one line:  16.0 ns an addition
 *     two lines:  6.3 ns an addition
 *
 * Neither counter is shared, but their line is: each store takes it away from the other processor.
 * So what different processes write belongs into different lines, and what is written together
 * into one. Lines are 64 bytes on most machines; 128 keep clear of processors that fetch
 * two. Aligning the members is better than counting bytes of padding, since the compiler keeps it
 * true. On one processor, or where both processes had to share one, there is no difference.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { LINE = 128, TRIES = 10 };

struct counters {
	_Alignas(LINE) _Atomic uint64_t near[2];
	_Alignas(LINE) _Atomic uint64_t far_a;
	_Alignas(LINE) _Atomic uint64_t far_b;
	_Alignas(LINE) _Atomic uint32_t here;
};

static void add(struct counters *c, _Atomic uint64_t *counter, uint64_t times)
{
	atomic_fetch_add(&c->here, 1);
	while (atomic_load(&c->here) % 2 != 0)
		sched_yield(); /* until the other one is there, too */
	for (uint64_t n = 0; n < times; n++)
		atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Nanoseconds that an addition takes while the other process adds, too; 0: no child. */
static double measure(struct counters *c, _Atomic uint64_t *a, _Atomic uint64_t *b, uint64_t times)
{
	int status = 1;
	pid_t pid = fork();

	if (pid < 0)
		return 0;
	int64_t began = tarn_now();

	add(c, pid == 0 ? a : b, times);
	if (pid == 0)
		_exit(0);
	int64_t took = tarn_now() - began;

	if (waitpid(pid, &status, 0) != pid || status != 0)
		return 0;
	return (double)took / (double)times;
}

int main(int argc, char **argv)
{
	uint64_t times = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	const struct tarn_segment_opts opts = { .size = sizeof(struct counters) };
	struct tarn_segment *seg = NULL;
	double one = 0, two = 0;

	if (times == 0 || tarn_segment_create("anon:", &opts, &seg) < 0)
		return 1;
	struct counters *c = tarn_segment_data(seg);

	for (int i = 0; i < TRIES; i++) {
		one += measure(c, &c->near[0], &c->near[1], times) / TRIES;
		two += measure(c, &c->far_a, &c->far_b, times) / TRIES;
	}
	printf("one line:  %.1f ns an addition\n", one);
	printf("two lines: %.1f ns an addition\n", two);
	uint64_t sum = c->near[0] + c->near[1] + c->far_a + c->far_b;

	tarn_segment_close(seg);
	return sum != 4 * TRIES * times;
}
