/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * storm.h - what the processes of a storm share beside the region they torment: who is to do what,
 * and the ledger by which it is known afterwards that nothing was lost.
 *
 * One region; RINGS rings, each with a process that produces and one that consumes; CHURNERS
 * processes that come and go, make, open and remove objects, run gc and the checker, and
 * create-or-open regions that vanish with their last member. A killer ends random ones with
 * SIGKILL and starts their successors.
 *
 * The ledger is memory outside every region. A producer says what it is about to write before
 * the call, and that it is written after it; a consumer writes down what it has seen before it
 * lets go of it. So a death leaves a doubt of one call, and no more:
 *
 *   a producer's   its successor writes again from the last number that is certain; the records
 *                  of one call may so be there twice, under two incarnations
 *   a consumer's   its successor may see again what was seen and not let go of: one batch
 *
 * Everything beyond that is a violation: a gap, a torn record, another order.
 */
#ifndef TESTS_STORM_H
#define TESTS_STORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tarn/region.h>
#include <tarn/ring.h>

#include "harness.h"

enum {
	RINGS = 3,
	CHURNERS = 2,
	WORKERS = 2 * RINGS + CHURNERS,
	BATCH_MAX = 6,
	FILL_MAX = 56,
	LOG_LINES = 16,
};

/* Faults to be found: --mutant=NAME. */
enum storm_mutant {
	MUTANT_NONE,
	MUTANT_RELEASE_FIRST, /* the consumer lets go of a record before it has noted it */
	MUTANT_COUNT_FIRST,   /* the producer takes a record for written before it is */
	MUTANT_LEAK_OBJECT,   /* an object is never removed */
	MUTANT_TORN,          /* a record is filled after it was published */
};

struct storm_record {
	uint64_t n;     /* its number in its ring */
	uint64_t base;  /* the first number of this incarnation of the producer */
	uint32_t maybe; /* how many records the one before may have written from there */
	uint32_t incarnation;
	uint32_t size;
	uint32_t sum; /* of the filling */
	unsigned char filling[FILL_MAX];
};

struct storm_seen {
	uint64_t n;
	uint32_t incarnation;
};

/* What a consumer has seen: written whole into the slot that is not current, then made current. */
struct storm_note {
	struct storm_seen last; /* incarnation 0: nothing yet */
	uint32_t count;
	struct storm_seen batch[BATCH_MAX]; /* seen together, perhaps not let go of */
};

struct ring_ledger {
	_Atomic uint64_t written; /* numbers below are certain */
	_Atomic uint32_t intent;  /* records of the call in progress */
	_Atomic uint32_t incarnation;
	_Atomic uint32_t ended; /* finish() was called for good */
	_Atomic uint32_t current;
	struct storm_note notes[2];
	_Atomic uint64_t repeated;   /* records written again by a successor */
	_Atomic uint64_t seen_again; /* records seen again by a successor */
	_Atomic uint64_t seen;
};

struct storm {
	char addr[96];
	char side_posix[96];
	char side_sysv[40];
	enum storm_mutant mutant;
	uint64_t seed;
	_Atomic uint32_t stop; /* producers: say that it is over; others: leave */
	struct ring_ledger rings[RINGS];
	_Atomic uint64_t rounds; /* of the churners */
	_Atomic uint32_t log_count;
	char log[LOG_LINES][240];
};

/* One worker; returns when it is over. */
void storm_produce(struct storm *storm, int ring, uint64_t seed);
void storm_consume(struct storm *storm, int ring, uint64_t seed);
void storm_churn(struct storm *storm, int worker, uint64_t seed);

/* Write a violation down. */
void storm_violation(struct storm *storm, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The options of the one region. */
struct tarn_region_opts storm_opts(struct tarn_diag *diag);
/* Become a member, or say why not and leave the process. */
struct tarn_region *storm_join(struct storm *storm);

/* splitmix64 (Steele, Lea, Flood) */
static inline uint64_t storm_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

#endif /* TESTS_STORM_H */
