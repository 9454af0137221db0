/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/lock.h - who has what, and who waits for it: one question for sections and every primitive.
 *
 * Callers:   any thread, with any handle of the region, one that only looks on too.
 * Progress:  bounded by the number of seats; waits for nobody but the handle's mutex.
 * Crash:     changes nothing.
 * Trust:     members write what is shown here, so it is for the eye; alive is the kernel's word.
 */
#ifndef TARN_LOCK_H
#define TARN_LOCK_H

#include <stdbool.h>

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

enum tarn_lock_role {
	TARN_LOCK_HOLDS = 1,  /* a lock for itself, or a permit */
	TARN_LOCK_SHARES = 2, /* a read lock */
	TARN_LOCK_WAITS = 3,  /* has slept or spun long; is at the barrier; waits to be signalled */
	TARN_LOCK_SITS = 4,   /* is a party of the barrier, and not there yet */
};

struct tarn_lock_who {
	int32_t pid; /* in its PID namespace, for the eye */
	int32_t tid;
	uint32_t slot; /* of its member */
	uint32_t role; /* enum tarn_lock_role */
	bool alive;
};

struct tarn_lock_stat {
	uint32_t kind;  /* enum tarn_object_kind */
	uint32_t value; /* semaphore: free permits; event: 1 set; once: 1 done; barrier: rounds,
			   modulo 2^20; condition variable: waits that were begun */
	uint32_t seats; /* permits, readers, waiters or parties that there is room for; 0: none */
	uint32_t who_count;     /* of those below; more than asked for if they did not fit */
	uint32_t wait_count;    /* of those who slept; modulo 2^32, as the next one */
	uint32_t recover_count; /* deaths that were noticed */
	bool set_aside;         /* its words contradict each other: tarn_section_recover() */
	bool damaged;      /* its lock word names nobody, or contradicts its version: the same */
	bool owner_died;   /* -EOWNERDEAD until somebody says that it is consistent */
	int64_t since_ns;  /* CLOCK_MONOTONIC: seen with this owner at least since; 0 unknown */
	uint32_t version;  /* odd while owned, another one each time; 0: not owned, or not kept: of
			     spin locks, permits, readers */
	bool more_waiters; /* all places are taken where who waits is written down: others may */
};

/**
 * tarn_lock_stat - who has and who waits for @name, a section or a primitive of @region.
 * @who:     room for @who_max of them, holders first; may be NULL if @who_max is 0
 *
 * Return: 0, or
 *   -ENOENT   there is no such object
 *   -EPROTO   it is neither a section nor a primitive
 *   -EUCLEAN  its header is damaged
 *   -EIO      the file was truncated
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_lock_stat(struct tarn_region *region, const char *name,
					   struct tarn_lock_stat *ret_stat,
					   struct tarn_lock_who *who, uint32_t who_max);

TARN_END_DECLS

#endif /* TARN_LOCK_H */
