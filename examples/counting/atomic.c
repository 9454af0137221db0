/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * atomic - the race of race.c, mended with one atomic addition; the first choice for a counter.
 *
 *     atomic [TIMES]      each process adds 1 that often; 1000000 if not said
 *
 * prints
 *
 *     Expected final value: 2000000
 *     Final counter value: 2000000
 *     Lost updates: 0
 *
 * There is no lock, so nobody waits, and a process that is killed has added or has not. It works
 * across processes where the type is lock-free, since else the C library would take a lock of this
 * process alone: hence the static assertion. Relaxed is enough: nothing but the counter itself is
 * told by it, and wait() comes before it is read. Two counters that belong together need a section.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a counter that is not lock-free is not shared");

int main(int argc, char **argv)
{
	uint32_t times = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	const struct tarn_segment_opts opts = { .size = sizeof(uint32_t) };
	struct tarn_segment *seg = NULL;
	int status, failed = 0;

	if (tarn_segment_create("anon:", &opts, &seg) < 0)
		return 1;
	_Atomic uint32_t *counter = tarn_segment_data(seg);

	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (uint32_t n = 0; n < times; n++)
				atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
			return 0;
		}
		failed |= pid < 0;
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	uint32_t total = *counter;

	printf("Expected final value: %u\n", 2 * times);
	printf("Final counter value: %u\n", total);
	printf("Lost updates: %u\n", 2 * times - total);
	tarn_segment_close(seg);
	return failed || total != 2 * times;
}
