/* SPDX-License-Identifier: BSD-2-Clause */
/* seen.h - a set of states, and with how much of the bound used each was reached. */
#ifndef TESTS_SCHED_SEEN_H
#define TESTS_SCHED_SEEN_H

#include <stdbool.h>
#include <stdint.h>

struct seen {
	uint64_t *keys; /* 0 free */
	uint16_t *used; /* bit 3 * preemptions + kills */
	uint64_t room;  /* a power of two */
	uint64_t count;
};

/* Was @key reached with no more used than that? If not, it is now. A set that is full forgets
 * nothing and takes in nothing: then more is gone through than need be. */
bool seen_before(struct seen *seen, uint64_t key, int preemptions, int kills);
void seen_free(struct seen *seen);

#endif /* TESTS_SCHED_SEEN_H */
