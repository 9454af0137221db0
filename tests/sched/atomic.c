/* SPDX-License-Identifier: BSD-2-Clause */
/* atomic.c - single words under the scheduler: no change is lost, and no wake-up. */
#include <tarn/atomic.h>

#include "prims.h"

#define SLICE_NS INT64_C(10000000) /* after which who sleeps looks again */

enum {
	LONG_NS = 45000000, /* several of them */
	SUM = 5,
	HIGH = 9,
};

struct words {
	uint32_t gate;   /* 0 until it is opened */
	uint32_t tokens; /* put, and not taken */
	/* one for each way to change a word, in both widths */
	uint32_t sum32, swapped32, high32, low32, bits32, turns32;
	uint64_t sum64, swapped64, high64, low64, bits64, turns64;
};

static struct words *words_of[SCHED_PROCS + 1];

static struct {
	uint32_t opened; /* 1: it is about to be; 2: it is */
	uint32_t put;    /* tokens, begun */
	uint32_t taken;
	uint32_t last; /* bit p: what P did last to turns */
} ghost;

/* --- changes ------------------------------------------------------------------------------- */

#define CHANGE(n)                                                                                  \
	static void change##n(int me)                                                              \
	{                                                                                          \
		struct words *w = words_of[me];                                                    \
		uint##n##_t seen = tarn_atomic_load##n(&w->swapped##n);                            \
		uint##n##_t mine = (uint##n##_t)(me + 1);                                          \
                                                                                                   \
		tarn_atomic_count##n(&w->sum##n, SUM);                                             \
		(void)tarn_atomic_fetch_add##n(&w->sum##n, SUM);                                   \
		(void)tarn_atomic_fetch_sub##n(&w->sum##n, 1);                                     \
		while (!tarn_atomic_compare_exchange##n(&w->swapped##n, &seen, seen + mine))       \
			;                                                                          \
		(void)tarn_atomic_fetch_max##n(&w->high##n, HIGH + mine);                          \
		(void)tarn_atomic_fetch_min##n(&w->low##n, HIGH - mine);                           \
		SCHED_CHECK(!tarn_atomic_bit_set##n(&w->bits##n, (unsigned)me + 8),                \
			    "P%d: somebody has set its bit", me);                                  \
		SCHED_CHECK(tarn_atomic_bit_clear##n(&w->bits##n, (unsigned)me),                   \
			    "P%d: somebody has cleared its bit", me);                              \
		(void)tarn_atomic_fetch_or##n(&w->bits##n, mine << 16);                            \
		(void)tarn_atomic_fetch_and##n(&w->bits##n, ~(mine << 24));                        \
		seen = tarn_atomic_exchange##n(&w->turns##n, mine);                                \
		SCHED_CHECK((ghost.last & 1u << seen) == 0, "P%d: two have had turn %d", me,       \
			    (int)seen);                                                            \
		ghost.last |= 1u << seen;                                                          \
	}                                                                                          \
                                                                                                   \
	static void verify##n(void)                                                                \
	{                                                                                          \
		const struct words *w = words_of[SCHED_PROCS];                                     \
		uint##n##_t turn = w->turns##n;                                                    \
                                                                                                   \
		check_region();                                                                    \
		SCHED_CHECK(w->sum##n == 2 * (2 * SUM - 1), "the sum is %d", (int)w->sum##n);      \
		SCHED_CHECK(w->swapped##n == 3, "exchanged to %d", (int)w->swapped##n);            \
		SCHED_CHECK(w->high##n == HIGH + 2, "the most is %d", (int)w->high##n);            \
		SCHED_CHECK(w->low##n == HIGH - 2, "the least is %d", (int)w->low##n);             \
		SCHED_CHECK(w->bits##n == (0x30300 | (uint##n##_t)0x0c << 24),                     \
			    "the bits are %llx", (unsigned long long)w->bits##n);                  \
		SCHED_CHECK(ghost.last == (7u & ~(1u << turn)), "turns: %x, then %d", ghost.last,  \
			    (int)turn);                                                            \
	}

CHANGE(32)
CHANGE(64)

/* --- sleep --------------------------------------------------------------------------------- */

/* P0 wakes for nothing, opens the gate, and wakes. */
static void open_gate(int me, int count)
{
	uint32_t *gate = &words_of[me]->gate;

	(void)tarn_atomic_wake(gate, 1);
	ghost.opened = 1;
	tarn_atomic_store32(gate, 1);
	ghost.opened = 2;
	for (int i = 0; i < 2; i += count) {
		int r = tarn_atomic_wake(gate, count);

		SCHED_CHECK(r >= 0 && r <= count, "P%d has woken %d", me, r);
	}
}

/* Until it is open. Only if P0 has died before is it not; and if P0 could not wake any more, that
 * is seen after a slice. */
static void pass_gate(int me)
{
	int64_t begin = sched_now(), until = begin + LONG_NS;
	uint32_t *gate = &words_of[me]->gate;
	int r;

	sched_deadline(until);
	r = tarn_atomic_wait(gate, 0, until);
	sched_deadline(INT64_MAX);
	SCHED_CHECK(r == 0 || r == -ETIMEDOUT, "P%d: wait: %s", me, strerror(-r));
	if (r == 0) {
		SCHED_CHECK(tarn_atomic_load32(gate) == 1, "P%d goes on, and it is closed", me);
		SCHED_CHECK(sched_now() <= begin + SLICE_NS, "P%d has slept for too long", me);
	} else {
		SCHED_CHECK(sched_dead(0) && ghost.opened < 2, "P%d gives up, and it is open", me);
		SCHED_CHECK(sched_now() == until, "P%d gives up too early, or too late", me);
	}
}

static void open_for_all(int me)
{
	if (me == 0)
		open_gate(me, 2);
	else
		pass_gate(me);
}

static void open_for_each(int me)
{
	if (me == 0)
		open_gate(me, 1);
	else
		pass_gate(me);
}

/* P0 puts two tokens, the others take one each. */
static void put_and_take(int me)
{
	uint32_t *tokens = &words_of[me]->tokens, seen;
	int64_t until = sched_now() + LONG_NS;
	int r = 0;

	for (int i = 0; i < 2 && me == 0; i++) {
		ghost.put++;
		(void)tarn_atomic_fetch_add32(tokens, 1);
		(void)tarn_atomic_wake(tokens, 1);
	}
	if (me == 0)
		return;
	sched_deadline(until);
	seen = tarn_atomic_load32(tokens);
	while (r == 0 && (seen == 0 || !tarn_atomic_compare_exchange32(tokens, &seen, seen - 1))) {
		if (seen != 0)
			continue;
		r = tarn_atomic_wait(tokens, 0, until);
		seen = tarn_atomic_load32(tokens);
	}
	sched_deadline(INT64_MAX);
	SCHED_CHECK(r == 0 || (r == -ETIMEDOUT && anybody_dead()), "P%d: wait: %s", me,
		    strerror(-r));
	if (r == 0)
		ghost.taken++;
	SCHED_CHECK(ghost.taken <= ghost.put, "P%d has what nobody has put", me);
}

/* P1 does not wait for ever, P2 does; P0 opens the gate. */
static void pass_or_give_up(int me)
{
	int64_t until = me == 1 ? sched_now() + 1000 : TARN_FOREVER;
	int r;

	if (me == 0) {
		open_gate(me, 2);
		return;
	}
	sched_deadline(me == 1 ? -1 : until);
	r = me == 1 ? tarn_atomic_wait(&words_of[me]->tokens, 0, -1) : -ETIMEDOUT;
	SCHED_CHECK(r == -ETIMEDOUT, "P%d: a deadline that has passed: %s", me, strerror(-r));
	sched_deadline(until);
	r = tarn_atomic_wait(&words_of[me]->gate, 0, until);
	SCHED_CHECK(r == 0 || (me == 1 && r == -ETIMEDOUT), "P%d: wait: %s", me, strerror(-r));
	SCHED_CHECK(r == 0 ? ghost.opened != 0 : sched_now() >= until, "P%d: %s", me,
		    r == 0 ? "goes on, and it is closed" : "gives up too early");
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void make_words(int procs)
{
	void *at;

	memset(&ghost, 0, sizeof(ghost));
	sched_as(SCHED_PROCS);
	must(tarn_object_create(sched_region(SCHED_PROCS), "words", sizeof(struct words), &at,
				NULL));
	memset(at, 0, sizeof(struct words));
	words_of[SCHED_PROCS] = at;
	words_of[SCHED_PROCS]->low32 = 2 * HIGH;
	words_of[SCHED_PROCS]->low64 = 2 * HIGH;
	words_of[SCHED_PROCS]->bits32 = UINT32_C(0x0f000003);
	words_of[SCHED_PROCS]->bits64 = UINT64_C(0x0f000003);
	for (int p = 0; p < procs; p++) {
		sched_as(p);
		must(tarn_object_open(sched_region(p), "words", &at, NULL));
		words_of[p] = at;
	}
	sched_as(SCHED_PROCS);
	sched_hot("gate", words_of[SCHED_PROCS], sizeof(struct words));
	sched_name("tokens", &words_of[SCHED_PROCS]->tokens);
	sched_name("words", &words_of[SCHED_PROCS]->sum32);
	sched_ghost(&ghost, sizeof(ghost));
}

static void two(void)
{
	make_words(2);
}

static void three(void)
{
	make_words(3);
}

static void drop_words(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		if (words_of[p] != NULL)
			tarn_object_close(sched_region(p), words_of[p]);
	}
	memset(words_of, 0, sizeof(words_of));
}

static void verify_gate(void)
{
	const struct words *w = words_of[SCHED_PROCS];

	check_region();
	SCHED_CHECK(w->gate == (ghost.opened == 2) || ghost.opened == 1, "the gate says %d",
		    (int)w->gate);
	SCHED_CHECK(w->tokens + ghost.taken <= ghost.put, "of %d tokens, %d are left and %d taken",
		    (int)ghost.put, (int)w->tokens, (int)ghost.taken);
	if (!anybody_dead())
		SCHED_CHECK(w->tokens + ghost.taken == ghost.put, "a token was lost");
}

#define GATE .verify = verify_gate, .cleanup = drop_words

const struct sched_scenario sched_atomics[] = {
	{ "atomic-32", "two change words in each way", .procs = 2, .setup = two, .body = change32,
	  .quick = { 2, 0 }, .full = { { 4, 0 } }, .verify = verify32, .cleanup = drop_words },
	{ "atomic-64", "the same, of 64 bits", .procs = 2, .setup = two, .body = change64,
	  .quick = { 2, 0 }, .full = { { 4, 0 } }, .verify = verify64, .cleanup = drop_words },
	{ "atomic-wait-2", "one stores and wakes, one waits", .procs = 2, .setup = two,
	  .body = open_for_all, .quick = { 2, 1 }, .full = { { 4, 2 } }, GATE },
	{ "atomic-wait-3", "one wakes all, two wait", .procs = 3, .setup = three,
	  .body = open_for_all, .quick = { 2, 1 }, .full = { { 4, 0 }, { 4, 1 }, { 3, 2 } }, GATE },
	{ "atomic-each", "one wakes each of two", .procs = 3, .setup = three, .body = open_for_each,
	  .quick = { 2, 1 }, .full = { { 4, 0 }, { 4, 1 }, { 3, 2 } }, GATE },
	{ "atomic-token", "one puts two tokens, two take one each", .procs = 3, .setup = three,
	  .body = put_and_take, .quick = { 2, 1 }, .full = { { 4, 0 }, { 4, 1 } }, GATE },
	{ "atomic-late", "one of two does not wait for ever", .procs = 3, .setup = three,
	  .body = pass_or_give_up, .timers = true, .quick = { 2, 0 }, .full = { { 4, 0 } }, GATE },
	{ 0 },
};
