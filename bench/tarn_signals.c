/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn_signals.c - what lets another go on and carries no bytes: events, condition variables,
 * barriers. A "message" is one such signal; `write` is what it costs where nobody waits.
 *
 * That none is lost or doubled: a condition variable comes with a count under its lock, which is
 * looked at each time. An event and a barrier have none, and one of ours would be a cache line that
 * they do not need; so every TELL'th signal has its number written beside it, which who was let
 * through by one too many does not find there, then or later; and once all is over no event may be
 * set, and each round of the barrier has told one party that it is the one.
 */
#include "tarn_region.h"

enum { REGION_SIZE = 1 << 20, TELL = 64 };

static struct tarn_event *events[2]; /* by channel, as the rest */
static struct tarn_mutex *mutexes[2];
static struct tarn_section *sections[2];
static struct tarn_cond *conds[2];
static uint64_t *counts[2]; /* signals given, under the lock */
static struct tarn_barrier *barrier;
static uint64_t rounds, told; /* of this party */

static void signal_open(struct bench *b)
{
	tarn_region_make(b, REGION_SIZE);
}

BENCH_INLINE void nothing(struct bench *b, size_t size, uint64_t number)
{
	(void)b;
	(void)size;
	(void)number;
}

BENCH_INLINE void tell(struct bench *b, unsigned channel, uint64_t number)
{
	if (number % TELL == 0)
		__atomic_store_n(&b->shm->keep[channel], number + 1, __ATOMIC_RELAXED);
}

BENCH_INLINE void is_told(struct bench *b, unsigned channel, uint64_t number)
{
	if (number % TELL == 0 &&
	    __atomic_load_n(&b->shm->keep[channel], __ATOMIC_RELAXED) != number + 1)
		bench_fail(b, "was let through by what was not there yet", EBADMSG);
}

/* --- events ----------------------------------------------------------------------------------- */

static void event_open(struct bench *b, uint32_t flags)
{
	struct tarn_event_opts opts = { .flags = flags };
	struct tarn_region *region = tarn_region_join(b);

	for (unsigned i = 0; i < 2; i++)
		tarn_must(b, "tarn_event_open",
			  tarn_event_open(region, i == 0 ? "there" : "back", &opts, &events[i]));
}

static void auto_attach(struct bench *b)
{
	event_open(b, TARN_EVENT_AUTO);
}

static void manual_attach(struct bench *b)
{
	event_open(b, 0);
}

static void event_detach(struct bench *b)
{
	for (unsigned i = 0; i < 2; i++) {
		if (tarn_event_is_set(events[i]))
			bench_fail(b, "an event is set that nobody set", EBADMSG);
		tarn_event_close(events[i]);
	}
	tarn_region_leave();
}

BENCH_INLINE void event_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	(void)size;
	tarn_await_turn(b, number);
	tell(b, channel, number);
	tarn_must(b, "tarn_event_set", tarn_event_set(events[channel]));
}

BENCH_INLINE void event_await(struct bench *b, unsigned channel)
{
	int r;

	if (bench_blocks(b)) {
		tarn_must(b, "tarn_event_wait",
			  tarn_event_wait(events[channel], TARN_FOREVER, NULL));
		return;
	}
	while ((r = tarn_event_try(events[channel])) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_event_try", r);
}

BENCH_INLINE void auto_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	(void)size;
	event_await(b, channel);
	is_told(b, channel, number);
	tarn_had(b, number);
}

BENCH_INLINE void manual_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	(void)size;
	event_await(b, channel);
	tarn_must(b, "tarn_event_reset", tarn_event_reset(events[channel]));
	is_told(b, channel, number);
	tarn_had(b, number);
}

BENCH_INLINE void auto_pass(struct bench *b, size_t size, uint64_t number)
{
	(void)size;
	(void)number;
	tarn_must(b, "tarn_event_set", tarn_event_set(events[0]));
	tarn_must(b, "tarn_event_wait", tarn_event_wait(events[0], TARN_FOREVER, NULL));
}

BENCH_INLINE void manual_pass(struct bench *b, size_t size, uint64_t number)
{
	auto_pass(b, size, number);
	tarn_must(b, "tarn_event_reset", tarn_event_reset(events[0]));
}

BENCH_LOOPS(auto_run, event_send, auto_recv)
BENCH_LOOPS(manual_run, event_send, manual_recv)
BENCH_LOCK_LOOPS(auto_pass_run, auto_pass, nothing)
BENCH_LOCK_LOOPS(manual_pass_run, manual_pass, nothing)

/* --- condition variables ---------------------------------------------------------------------- */

static const struct tarn_cond_opts cond_opts = { 0 };

static struct tarn_region *cond_join(struct bench *b)
{
	struct tarn_region *region = tarn_region_join(b);

	for (unsigned i = 0; i < 2; i++) {
		const char *name = i == 0 ? "count-there" : "count-back";
		void *data = NULL;

		if (b->side == 0)
			tarn_must(b, "tarn_object_create",
				  tarn_object_create(region, name, 64, &data, NULL));
		bench_meet(b);
		tarn_must(b, "tarn_object_open", tarn_object_open(region, name, &data, NULL));
		counts[i] = (uint64_t *)data;
		tarn_must(b, "tarn_cond_open",
			  tarn_cond_open(region, i == 0 ? "cond-there" : "cond-back", &cond_opts,
					 &conds[i]));
	}
	return region;
}

static void cond_attach(struct bench *b)
{
	struct tarn_region *region = cond_join(b);
	const struct tarn_mutex_opts opts = { .type = TARN_MUTEX_NORMAL };

	for (unsigned i = 0; i < 2; i++)
		tarn_must(b, "tarn_mutex_open",
			  tarn_mutex_open(region, i == 0 ? "there" : "back", &opts, &mutexes[i]));
}

static void cond_in_attach(struct bench *b)
{
	struct tarn_region *region = cond_join(b);
	const struct tarn_section_opts opts = { .journal_size = 4096 };

	for (unsigned i = 0; i < 2; i++)
		tarn_must(
			b, "tarn_section_open",
			tarn_section_open(region, i == 0 ? "there" : "back", &opts, &sections[i]));
}

static void cond_detach(struct bench *b)
{
	(void)b;
	for (unsigned i = 0; i < 2; i++) {
		tarn_cond_close(conds[i]);
		tarn_mutex_close(mutexes[i]);
		tarn_section_close(sections[i]);
	}
	tarn_region_leave();
}

BENCH_INLINE void is_count(struct bench *b, unsigned channel, uint64_t number)
{
	if (__builtin_expect(*counts[channel] != number, 0))
		bench_fail(b, "the count under the lock is another one", EBADMSG);
}

BENCH_INLINE void cond_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	(void)size;
	tarn_await_turn(b, number);
	tarn_must(b, "tarn_mutex_lock", tarn_mutex_lock(mutexes[channel], TARN_FOREVER, NULL));
	is_count(b, channel, number);
	*counts[channel] = number + 1;
	tarn_must(b, "tarn_mutex_unlock", tarn_mutex_unlock(mutexes[channel]));
	tarn_must(b, "tarn_cond_signal", tarn_cond_signal(conds[channel]));
}

BENCH_INLINE void cond_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	(void)size;
	tarn_must(b, "tarn_mutex_lock", tarn_mutex_lock(mutexes[channel], TARN_FOREVER, NULL));
	while (*counts[channel] == number)
		tarn_must(b, "tarn_cond_wait",
			  tarn_cond_wait(conds[channel], mutexes[channel], TARN_FOREVER, NULL));
	is_count(b, channel, number + 1);
	tarn_must(b, "tarn_mutex_unlock", tarn_mutex_unlock(mutexes[channel]));
	tarn_had(b, number);
}

BENCH_INLINE void cond_in_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_tx *tx;

	(void)size;
	tarn_await_turn(b, number);
	tarn_must(b, "tarn_section_enter",
		  tarn_section_enter(sections[channel], TARN_FOREVER, &tx, NULL));
	is_count(b, channel, number);
	tarn_must(b, "tarn_tx_set64", tarn_tx_set64(tx, counts[channel], number + 1));
	tarn_must(b, "tarn_section_leave", tarn_section_leave(sections[channel]));
	tarn_must(b, "tarn_cond_signal", tarn_cond_signal(conds[channel]));
}

BENCH_INLINE void cond_in_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_tx *tx;

	(void)size;
	tarn_must(b, "tarn_section_enter",
		  tarn_section_enter(sections[channel], TARN_FOREVER, &tx, NULL));
	while (*counts[channel] == number)
		tarn_must(b, "tarn_cond_wait_in",
			  tarn_cond_wait_in(conds[channel], sections[channel], TARN_FOREVER, &tx,
					    NULL));
	is_count(b, channel, number + 1);
	tarn_must(b, "tarn_section_leave", tarn_section_leave(sections[channel]));
	tarn_had(b, number);
}

BENCH_INLINE void cond_pass(struct bench *b, size_t size, uint64_t number)
{
	(void)size;
	(void)number;
	tarn_must(b, "tarn_cond_signal", tarn_cond_signal(conds[0]));
}

BENCH_LOOPS(cond_run, cond_send, cond_recv)
BENCH_LOOPS(cond_in_run, cond_in_send, cond_in_recv)
BENCH_LOCK_LOOPS(cond_pass_run, cond_pass, nothing)

/* --- barrier ---------------------------------------------------------------------------------- */

/* Of two parties; alone of one. */
static void barrier_attach(struct bench *b)
{
	struct tarn_region *region = tarn_region_join(b);
	struct tarn_barrier_opts opts = { .count = b->cell->measure == BENCH_WRITE ? 1 : 2 };

	tarn_must(b, "tarn_barrier_open", tarn_barrier_open(region, "barrier", &opts, &barrier));
	if (b->side < opts.count)
		tarn_must(b, "tarn_barrier_join", tarn_barrier_join(barrier, NULL));
}

static void barrier_detach(struct bench *b)
{
	uint64_t *all = b->shm->keep + 2;

	all[b->side] = told;
	bench_meet(b);
	if (b->side == 0 && all[0] + all[1] != rounds)
		bench_fail(b, "a round of the barrier told none that it is the one, or both",
			   EBADMSG);
	tarn_barrier_close(barrier);
	tarn_region_leave();
}

BENCH_INLINE void arrive(struct bench *b)
{
	int r = tarn_barrier_wait(barrier, TARN_FOREVER, NULL);

	tarn_must(b, "tarn_barrier_wait", r);
	rounds++;
	told += (uint64_t)r;
}

BENCH_INLINE void barrier_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	(void)size;
	tell(b, channel, number);
	arrive(b);
}

BENCH_INLINE void barrier_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	(void)size;
	arrive(b);
	is_told(b, channel, number);
}

BENCH_INLINE void barrier_pass(struct bench *b, size_t size, uint64_t number)
{
	(void)size;
	(void)number;
	arrive(b);
}

BENCH_LOOPS(barrier_run, barrier_send, barrier_recv)
BENCH_LOCK_LOOPS(barrier_pass_run, barrier_pass, nothing)

/* --- rows ------------------------------------------------------------------------------------- */

#define ALONE  (BENCH_BIT(BENCH_WRITE) | BENCH_FULL_RUN)
#define TRIPS  (BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_FULL_RUN)
#define SLEEPS (TRIPS | BENCH_BIT(BENCH_WAKE_UP))

static const struct bench_variant auto_variants[] = {
	{ BENCH_BUSY, ALONE, 0, 0, auto_pass_run },
	{ BENCH_BUSY, TRIPS, 0, 0, auto_run },
	{ BENCH_BLOCKING, SLEEPS, 0, 0, auto_run },
	{ 0 },
};

static const struct bench_variant manual_variants[] = {
	{ BENCH_BUSY, ALONE, 0, 0, manual_pass_run },
	{ BENCH_BUSY, TRIPS, 0, 0, manual_run },
	{ BENCH_BLOCKING, SLEEPS, 0, 0, manual_run },
	{ 0 },
};

/* Who waits for these sleeps, or spins as the library has it. */
#define VARIANTS(name)                                                                             \
	static const struct bench_variant name##_variants[] = {                                    \
		{ BENCH_BUSY, ALONE, 0, 0, name##_pass_run },                                      \
		{ BENCH_BLOCKING, SLEEPS, 0, 0, name##_run },                                      \
		{ 0 },                                                                             \
	};

VARIANTS(cond)
VARIANTS(barrier)

/* Its signal alone is that of the other. */
static const struct bench_variant cond_in_variants[] = {
	{ BENCH_BLOCKING, SLEEPS, 0, 0, cond_in_run },
	{ 0 },
};

#define CONTESTANT(symbol, say, explain, list, leave)                                              \
	const struct bench_contestant symbol = {                                                   \
		.name = say,                                                                       \
		.group = BENCH_TARN,                                                               \
		.what = explain,                                                                   \
		.variants = list##_variants,                                                       \
		.open = signal_open,                                                               \
		.attach = list##_attach,                                                           \
		.detach = leave##_detach,                                                          \
	};

CONTESTANT(bench_tarn_event, "event", "an event that lets one through (tarn/event.h)", auto, event)
CONTESTANT(bench_tarn_event_manual, "event-manual", "an event that who waited for it resets",
	   manual, event)
CONTESTANT(bench_tarn_cond, "cond",
	   "a condition variable, with a count under a mutex (tarn/cond.h)", cond, cond)
CONTESTANT(bench_tarn_cond_in, "cond-section", "the same with a count in a section", cond_in, cond)
CONTESTANT(bench_tarn_barrier, "barrier",
	   "a barrier of two, each trip two rounds; alone of one (tarn/barrier.h)", barrier,
	   barrier)
