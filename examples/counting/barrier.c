/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * barrier - processes that compute in rounds, each of which needs what all did in the one before.
 *
 *     barrier [ROUNDS]        by four processes; 1000 if not said
 *     barrier die             one is killed in the middle
 *
 * prints "1000 rounds by 4 processes, all in step" or, with "die",
 *
 *     3 processes were told that one died, after 500 rounds
 *
 * In each round everybody writes its own cell, waits for all, reads the cells of all, and waits
 * again before it writes anew. There is no lock, since a cell has one writer. A barrier of pthreads
 * counts who has arrived: one that dies before it leaves the others waiting for ever.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { PARTIES = 4, IN_STEP = 0, OUT_OF_STEP = 1, TOLD = 2 };

struct shared {
	uint64_t cells[PARTIES];
	uint64_t rounds; /* that were completed; by the first process alone */
};

static struct tarn_barrier *barrier;

static int all_arrived(void)
{
	int r = tarn_barrier_wait(barrier, tarn_deadline_after(60000000000), NULL);

	return r < 0 ? r : 0; /* 1 tells one of them that it is the one */
}

static int work(struct shared *shared, int me, uint64_t rounds, uint64_t dies_at)
{
	for (uint64_t round = 1; round <= rounds; round++) {
		int r;

		shared->cells[me] = round;
		if (me == PARTIES - 1 && round == dies_at)
			raise(SIGKILL);
		r = all_arrived();
		for (int i = 0; i < PARTIES && r == 0; i++)
			if (shared->cells[i] != round)
				return OUT_OF_STEP;
		if (r == 0)
			r = all_arrived();
		if (r < 0)
			return r == -EOWNERDEAD ? TOLD : OUT_OF_STEP;
		if (me == 0)
			shared->rounds = round;
	}
	return IN_STEP;
}

int main(int argc, char **argv)
{
	bool dies = argc > 1 && strcmp(argv[1], "die") == 0;
	uint64_t rounds = argc > 1 && !dies ? strtoull(argv[1], NULL, 10) : 1000;
	const struct tarn_barrier_opts opts = { .count = PARTIES };
	struct tarn_region *region = NULL;
	int status, told = 0, in_step = 0;
	void *at = NULL;

	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_barrier_open(region, "rounds", &opts, &barrier) < 0 ||
	    tarn_object_create(region, "shared", sizeof(struct shared), &at, NULL) < 0)
		return 1;
	struct shared *shared = at;

	for (int me = 0; me < PARTIES; me++)
		if (fork() == 0)
			return work(shared, me, rounds, dies ? 501 : 0);
	while (wait(&status) > 0) {
		told += WIFEXITED(status) && WEXITSTATUS(status) == TOLD;
		in_step += WIFEXITED(status) && WEXITSTATUS(status) == IN_STEP;
	}
	if (dies)
		printf("%d processes were told that one died, after %d rounds\n", told,
		       (int)shared->rounds);
	else
		printf("%d rounds by %d processes, all in step\n", (int)shared->rounds, in_step);
	return dies ? told != PARTIES - 1 : in_step != PARTIES;
}
