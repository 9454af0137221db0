/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/trace.h - what happened last in a region: who came, went, died, waited, and what was made,
 * removed, rolled back or missed. Off, unless somebody switches it on, and then for all members.
 *
 *     r = tarn_trace_on(region, NULL);
 *     ...
 *     r = tarn_trace_note(region, 7, order, price, "late");
 *
 *     r = tarn_trace_open(region, &trace, NULL);
 *     r = tarn_trace_read(trace, print_event, NULL);
 *
 * Events are kept in rings, the newest of each; a member writes to the ring of its slot. What the
 * dead have written stays until later events take its place. What is logged are changes of state
 * and waits, never a message, a lock that was free, or another fast path: those do not even ask
 * whether it is on. The object is TARN_TRACE_OBJECT, of kind TARN_OBJECT_TRACE; it can be removed
 * as others can, and stays readable when it is switched off.
 *
 * Callers:   any thread. A reader belongs to one thread at a time.
 * Progress:  to log is wait-free and makes no system call but for the clock; the first event of a
 *            handle is lost where another of its threads is inside of a call on the region. Readers
 *            stop nobody. To switch takes the region's lock.
 * Crash:     who is killed while it logs leaves a gap of one event, and nothing to repair.
 * Memory:    128 bytes, and for each ring 64 and 64 for each event: 129 KiB by default. One that
 *            is removed keeps it until those who have written to it close the region.
 * Trust:     members may write what they like; a reader shows whole events or none, checks each,
 *            and is not misled beyond what they say.
 */
#ifndef TARN_TRACE_H
#define TARN_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

#define TARN_TRACE_OBJECT     ".trace"
#define TARN_TRACE_EVENTS_MAX (1u << 20)
#define TARN_TRACE_TEXT_MAX   16 /* bytes */
#define TARN_TRACE_CODE_MAX   0xffffffu

/* What happened. Those of "whom" have the member in a: tarn_trace_member() takes it apart. */
enum tarn_trace_kind {
	TARN_TRACE_NOTE = 1, /* tarn_trace_note(): code, a, b, text */
	TARN_TRACE_ON = 2,   /* it was switched on */
	TARN_TRACE_OFF = 3,  /* off */
	TARN_TRACE_JOIN =
		4, /* became a member: a its process, text its program; b 1: before it was on */
	TARN_TRACE_LEAVE = 5,       /* gave its slot back */
	TARN_TRACE_DEATH = 6,       /* found whom dead, and freed its slot: b its process, text */
	TARN_TRACE_CREATE = 7,      /* made an object: a bytes, b its kind, text its name */
	TARN_TRACE_OPEN = 8,        /* opened one that there was */
	TARN_TRACE_CLOSE = 9,       /* closed it */
	TARN_TRACE_REMOVE = 10,     /* removed its name: text */
	TARN_TRACE_GROW = 11,       /* the region: a bytes of its segment now */
	TARN_TRACE_WAIT = 12,       /* begins to sleep, for whom (0: for nobody that is known) */
	TARN_TRACE_GOT = 13,        /* has what it waited for: b nanoseconds it took */
	TARN_TRACE_TIMEOUT = 14,    /* gave up: b the same */
	TARN_TRACE_OWNER_DEAD = 15, /* found a lock whose owner, whom, is dead */
	TARN_TRACE_ROLLBACK = 16,   /* undid what whom had begun: b units of its journal */
	TARN_TRACE_ASIDE = 17,      /* could not, and has set it aside */
	TARN_TRACE_COME = 18,       /* takes part: a what as (enum tarn_trace_part), b its place */
	TARN_TRACE_GO = 19,         /* no longer */
	TARN_TRACE_GONE = 20,    /* found that one who took part is dead: a what as, b its place */
	TARN_TRACE_MISSED = 21,  /* messages were lost to a subscriber: b how many */
	TARN_TRACE_DAMAGED = 22, /* -EUCLEAN: text the field */
};

enum tarn_trace_part {
	TARN_TRACE_PUBLISHER = 1,
	TARN_TRACE_SUBSCRIBER = 2,
	TARN_TRACE_SERVER = 3,
	TARN_TRACE_CLIENT = 4,
	TARN_TRACE_PRODUCER = 5,
	TARN_TRACE_CONSUMER = 6,
};

/* All zero means: the default of each, or what there is. */
struct tarn_trace_opts {
	uint32_t events; /* of a ring: a power of two, 8 .. TARN_TRACE_EVENTS_MAX; 0 = 128 */
	uint32_t rings; /* 1 .. 1000; members whose slots are equal modulo that share one; 0 = 16 */
	struct tarn_diag *diag;
	uint64_t reserved[4]; /* zero */
};

struct tarn_trace_event {
	int64_t time_ns; /* CLOCK_MONOTONIC */
	int64_t wall_ns; /* CLOCK_REALTIME, by what the two said when it was switched on */
	uint32_t kind;   /* enum tarn_trace_kind, or of a later version */
	uint32_t code;   /* of a note */
	uint32_t number; /* of its ring */
	uint32_t ring;
	uint32_t slot; /* the member that says so, and how many had that slot before it */
	uint32_t generation;
	int32_t tid;          /* its thread, in its PID namespace; 0: not known */
	uint32_t object_kind; /* enum tarn_object_kind; 0: of no object, or it is gone */
	char object[TARN_OBJECT_NAME_MAX + 1]; /* its name where it is still there, else empty */
	uint64_t a, b;
	char text[TARN_TRACE_TEXT_MAX + 1]; /* what another has written: any bytes */
};

struct tarn_trace_stat {
	bool on;
	uint32_t events, rings;
	uint64_t size;    /* bytes of the object */
	uint64_t written; /* events in all */
	uint64_t kept;    /* that can be read now */
	uint64_t lapped;  /* lost to this reader, between two of its reads */
};

struct tarn_trace; /* a reader */

/**
 * tarn_trace_on - log from now on, in every process that has the region open.
 * @opts: NULL for what there is, or defaults
 *
 * Others begin with the next that they have to log: they look at one word of the region then.
 * Return: 0 (also where it is on), or
 *   -EINVAL  @opts is out of the ranges above
 *   -EEXIST  there is a trace with other numbers; diag says which
 *   -EPERM   the region was opened to look on
 *   -ENOSPC, -ENFILE, -ETIMEDOUT, -EUCLEAN, -EPROTO as tarn_object_create()
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_trace_on(struct tarn_region *region,
					  const struct tarn_trace_opts *opts);

/** tarn_trace_off - log no more; what there is stays. Return: 0, -EPERM, -ETIMEDOUT. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_trace_off(struct tarn_region *region);

/**
 * tarn_trace_note - log an event of the program's own, if it is on.
 * @code: up to TARN_TRACE_CODE_MAX
 * @text: NULL, or its first TARN_TRACE_TEXT_MAX bytes are logged
 * Return: 0 (also where it is off), -EPERM (observer), -EINVAL (@code), -EIO. Since: 0.1
 */
TARN_API int tarn_trace_note(struct tarn_region *region, uint32_t code, uint64_t a, uint64_t b,
			     const char *text);

/**
 * tarn_trace_open - read the trace of @region, be it on or off; an observer may.
 * Return: 0, -ENOENT (there is none), -EPROTO, -EUCLEAN, -ENOMEM. Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_trace_open(struct tarn_region *region,
					    struct tarn_trace **ret_trace, struct tarn_diag *diag);

/**
 * tarn_trace_read - call @fn for each event that this reader has not shown yet, in order of time,
 * until it returns non-zero.
 * Return: 0, what @fn returned, -ENOENT (it was removed), -ENOMEM, -EIO. Since: 0.1
 */
TARN_API TARN_NODISCARD int
tarn_trace_read(struct tarn_trace *trace,
		int (*fn)(const struct tarn_trace_event *event, void *arg), void *arg);

/** tarn_trace_stat - facts, see the struct. Return: 0. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_trace_stat(struct tarn_trace *trace,
					    struct tarn_trace_stat *ret_stat);

/** tarn_trace_member - the slot and generation of the member @a of an event. Since: 0.1 */
TARN_API void tarn_trace_member(uint64_t a, uint32_t *ret_slot, uint32_t *ret_generation);

/** tarn_trace_close - accepts NULL. Since: 0.1 */
TARN_API void tarn_trace_close(struct tarn_trace *trace);

TARN_END_DECLS

#endif /* TARN_TRACE_H */
