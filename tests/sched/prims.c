/* SPDX-License-Identifier: BSD-2-Clause */
/* prims.c - see prims.h. */
#include "prims.h"

struct pair *pair_of[SCHED_PROCS + 1];

void open_pair(int procs)
{
	void *at;

	sched_as(SCHED_PROCS);
	must(tarn_object_create(sched_region(SCHED_PROCS), "pair", sizeof(struct pair), &at, NULL));
	memset(at, 0, sizeof(struct pair));
	pair_of[SCHED_PROCS] = at;
	for (int p = 0; p < procs; p++) {
		sched_as(p);
		must(tarn_object_open(sched_region(p), "pair", &at, NULL));
		pair_of[p] = at;
	}
	sched_as(SCHED_PROCS);
	sched_hot("pair", pair_of[SCHED_PROCS], sizeof(struct pair));
}

void close_pair(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		if (pair_of[p] != NULL)
			tarn_object_close(sched_region(p), pair_of[p]);
	}
	memset(pair_of, 0, sizeof(pair_of));
}

void keep(void *handle)
{
	struct prim *prim = handle;

	atomic_store(&prim->sec.spins, 1);
	must(tarn__thread_begin());
	sched_private(prim, sizeof(*prim));
}

void show(void *handle)
{
	struct prim *prim = handle;
	const struct section_shm *shm = prim->sec.shm;

	sched_hot(NULL, &shm->lock,
		  sizeof(*shm) - offsetof(struct section_shm, lock) + 16 * prim->seat_count);
	sched_name("lock", &shm->lock);
	sched_name("state", &shm->state);
	sched_name("bell", &shm->bell);
	sched_name("sleep", &shm->sleep);
	sched_name("seq", &shm->seq);
	sched_name("recovered", &shm->recovered);
	sched_name("inconsistent", &shm->inconsistent);
	sched_name("waiters", &shm->waiters);
	sched_name("seats", &shm->journal);
}
