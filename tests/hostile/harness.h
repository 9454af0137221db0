/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harness.h - victims that work on a region, a peer that attacks it, and a verdict.
 *
 * All of them are processes. The peer maps the region's file by itself and keeps no rule; victims
 * know nothing of it. What they share with the judge (the parent) lies in an anonymous mapping
 * that the peer does not have: each victim counts its calls there and says which one it is in, so
 * the judge sees one that no longer comes back.
 *
 * A victim may find only errors that the headers name, must not die of a signal, and must not
 * stay in one call for longer than STUCK_SECONDS. Nothing else is asked: the data are lost.
 */
#ifndef HOSTILE_HARNESS_H
#define HOSTILE_HARNESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	HOSTILE_VICTIM_MAX = 4,
	STUCK_SECONDS = 20,    /* far beyond every bound of the library; a loaded host is slow */
	HOSTILE_WORDS_AT = 64, /* single words, behind the beginning of what is found so */
	HOSTILE_WORDS_SIZE = 192,
};

enum hostile_verdict {
	HOSTILE_CALM = 0, /* every victim ended well when told to */
	HOSTILE_DIED = 1, /* one died of a signal, or of its sanitizer */
	HOSTILE_STUCK = 2,
	HOSTILE_LIED = 3, /* one met an error that the header does not name, or a false success */
};

struct hostile_shared {
	_Atomic uint32_t stop;
	_Atomic uint64_t attacks; /* stores, and other acts, of the peer */
	struct {
		_Atomic uint64_t calls;
		_Atomic uint64_t errors;
		_Atomic(const char *) op; /* a literal: the same address in every process */
	} victim[HOSTILE_VICTIM_MAX];
	_Atomic uint32_t said; /* text is taken */
	char text[200];
};

/* What victims and peer work on. */
struct hostile_arena {
	struct hostile_shared *shared;
	int fd;                     /* the region's file, open for writing */
	size_t size;                /* bytes, at the beginning */
	const unsigned char *image; /* its bytes at the beginning */
	uint64_t seed;
};

/* Works until shared->stop. Returns; what it opened it has closed. */
typedef void hostile_victim_fn(struct hostile_arena *arena, unsigned index);
/* Attacks until killed. */
typedef void hostile_attack_fn(struct hostile_arena *arena);

struct hostile_plan {
	const char *name;
	hostile_victim_fn *victims[HOSTILE_VICTIM_MAX]; /* NULL: none */
	hostile_attack_fn *attack;
	bool listened; /* the sections have listeners */
	bool topics;   /* there is a topic, and room for more lanes */
	double seconds;
	double stuck_seconds; /* 0 = STUCK_SECONDS */
	uint64_t seed;
};

struct hostile_result {
	enum hostile_verdict verdict;
	uint64_t calls, errors, attacks;
	char text[300]; /* what happened, where it was not calm */
};

void hostile_run(const struct hostile_plan *plan, struct hostile_result *ret_result);

/* Fork a process that dies with this one, and of a signal as any other would. Returns 0 in it. */
pid_t hostile_fork(void);

/* A victim calls these around every call of the library. leave() judges @r: 0 and positive numbers
 * are well, errors must be among @allowed (ends with 0), or the victim ends. Returns @r. */
void hostile_enter(struct hostile_arena *arena, unsigned index, const char *op);
int hostile_leave(struct hostile_arena *arena, unsigned index, int r, const int *allowed);
/* Say what is wrong and end this victim. */
void hostile_lie(struct hostile_arena *arena, const char *op, const char *what, int64_t number);
bool hostile_over(const struct hostile_arena *arena);

/* xorshift: the same numbers for the same seed. */
static inline uint64_t hostile_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* --- victims.c: each walks through the public calls of one part ------------------------------ */

hostile_victim_fn victim_producer, victim_consumer, victim_manager, victim_newcomer;
hostile_victim_fn victim_changer, victim_onlooker; /* of what sections guard */
/* The same behind tarn_segment_guard(). */
hostile_victim_fn guarded_producer, guarded_consumer, guarded_manager, guarded_newcomer;
hostile_victim_fn guarded_changer, guarded_onlooker;
/* One waits for ever for what the other pushes now and then. */
hostile_victim_fn waiting_consumer, feeding_producer;
/* --- arenas.c: users of an arena; naive_popper has one fault */
hostile_victim_fn victim_locker, guarded_locker;
/* --- topics.c: of topics, in a region that has one */
hostile_victim_fn victim_messenger, guarded_messenger;
/* --- counters.c: of counters, which they make, in a region with room for them */
hostile_victim_fn victim_tallier, guarded_tallier;
/* --- calls.c: of a service, which they make, in a region with room for it */
hostile_victim_fn victim_caller, guarded_caller;
hostile_victim_fn victim_allocator, victim_surveyor, guarded_allocator, guarded_surveyor;
hostile_victim_fn naive_popper;
/* --- listeners.c: of change log and dirty map, in a region that is listened to */
hostile_victim_fn victim_follower, victim_copier, guarded_follower, guarded_copier;
/* --- words.c: of single words */
hostile_victim_fn victim_sleeper, victim_counter, guarded_sleeper, guarded_counter;
/* Make the region that they all expect; returns its descriptor. */
int victims_region(bool listened, bool topics, size_t *ret_size);

/* Where the ring's header lies in the image: it begins with a word of its own. */
size_t hostile_find_ring(const struct hostile_arena *arena);
/* The same for the first section; two others lie behind it. */
size_t hostile_find_section(const struct hostile_arena *arena);
/* The same for the arena, and for what it grew by. */
size_t hostile_find_arena(const struct hostile_arena *arena);
size_t hostile_find_struct(const struct hostile_arena *arena);
size_t hostile_find_extent(const struct hostile_arena *arena);
/* The same for the change log, and for the dirty map; 0: nobody listens. */
size_t hostile_find_log(const struct hostile_arena *arena);
size_t hostile_find_map(const struct hostile_arena *arena);
/* The same for the single words. */
size_t hostile_find_words(const struct hostile_arena *arena);

/* --- attacks.c ------------------------------------------------------------------------------- */

hostile_attack_fn attack_scribble, attack_listeners, attack_truncate, attack_punch, attack_requeue,
	attack_words, attack_calls;

/* --- naive.c: victims with one fault each, to see that the harness sees it ------------------- */

hostile_victim_fn naive_truster, naive_follower, naive_liar, naive_waiter, naive_waker;

#endif /* HOSTILE_HARNESS_H */
