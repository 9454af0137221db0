/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn.c - the ring, by its public calls alone: a ring each way in a region on a memfd, which
 * both sides open for themselves, so that nothing is left behind however this ends.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "bench.h"

enum { BATCH = 64, REGION_SIZE = 12 << 20, DEATH_COUNT = 5 };

static struct tarn_region *region;
/* Channels 0 and 1: there and back, small, so that what they touch stays near both processors.
 * Channel 2: one way, of the default size, which suits a stream. */
enum { CHANNEL_COUNT = 3, BULK = 2, SMALL_RING = 16 << 10 };
static struct tarn_ring *sender[CHANNEL_COUNT], *receiver[CHANNEL_COUNT];
static const char *const ring_names[CHANNEL_COUNT] = { "there", "back", "bulk" };
static int region_fd = -1;
static unsigned char block[BENCH_MESSAGE_MAX];

static void check(const char *what, int r)
{
	if (r < 0)
		duo_die(what, r);
}

/* Before the fork: make it, keep the descriptor, leave. */
void tarn_open(void)
{
	struct tarn_diag diag = { 0 };
	struct tarn_region_opts opts = {
		.size = REGION_SIZE,
		.flags = TARN_SEGMENT_POPULATE,
		.diag = &diag,
	};
	struct tarn_region *made;
	int r = tarn_region_create("memfd:bench", &opts, &made);

	if (r < 0)
		duo_die(diag.what, r);
	region_fd = dup(tarn_segment_fd(tarn_region_segment(made)));
	if (region_fd < 0)
		duo_die("dup", errno);
	tarn_region_close(made);
}

static struct tarn_ring *open_ring(struct tarn_region *in, const char *name, uint64_t capacity,
				   enum tarn_ring_role role)
{
	const struct tarn_ring_opts opts = { .capacity = capacity };
	struct tarn_ring *ring;

	check(name, tarn_ring_open(in, name, role, &opts, &ring));
	return ring;
}

void tarn_attach(struct duo *duo)
{
	struct tarn_region_opts opts = { .flags = TARN_SEGMENT_POPULATE };

	check("tarn_region_open_fd", tarn_region_open_fd(region_fd, &opts, &region));
	for (unsigned i = 0; i < CHANNEL_COUNT; i++) {
		uint64_t capacity = i == BULK ? 0 : SMALL_RING;

		if ((i == 1) == (duo->side == DUO_B))
			sender[i] = open_ring(region, ring_names[i], capacity, TARN_RING_PRODUCER);
		else
			receiver[i] =
				open_ring(region, ring_names[i], capacity, TARN_RING_CONSUMER);
	}
}

void tarn_detach(struct duo *duo)
{
	duo_meet(duo);
	for (int i = 0; i < CHANNEL_COUNT; i++) {
		tarn_ring_close(sender[i]);
		tarn_ring_close(receiver[i]);
	}
	tarn_region_close(region);
	close(region_fd);
}

/* --- one record at a time ------------------------------------------------------------------- */

BENCH_INLINE void push(unsigned channel, size_t size, uint64_t number)
{
	int r;

	message_make(block, size, number);
	while ((r = tarn_ring_push(sender[channel], block, size)) == -EAGAIN)
		;
	check("tarn_ring_push", r);
}

BENCH_INLINE void pop(unsigned channel, size_t size, uint64_t number)
{
	size_t got;
	int r;

	while ((r = tarn_ring_pop(receiver[channel], block, sizeof(block), &got)) == -EAGAIN)
		;
	check("tarn_ring_pop", r);
	message_check(block, size, number);
}

BENCH_INLINE void push_wait(unsigned channel, size_t size, uint64_t number)
{
	message_make(block, size, number);
	check("tarn_ring_push_wait",
	      tarn_ring_push_wait(sender[channel], block, size, TARN_FOREVER));
}

BENCH_INLINE void pop_wait(unsigned channel, size_t size, uint64_t number)
{
	size_t got;

	check("tarn_ring_pop_wait",
	      tarn_ring_pop_wait(receiver[channel], block, sizeof(block), TARN_FOREVER, &got));
	message_check(block, size, number);
}

/* In place: the sender copies its message into the ring, as one who has it elsewhere must; the
 * receiver looks at it where it lies, and loads one word of each cache line. */
BENCH_INLINE void reserve_commit(unsigned channel, size_t size, uint64_t number)
{
	void *data;
	int r;

	message_make(block, size, number);
	while ((r = tarn_ring_reserve(sender[channel], size, &data)) == -EAGAIN)
		;
	check("tarn_ring_reserve", r);
	memcpy(data, block, size);
	check("tarn_ring_commit", tarn_ring_commit(sender[channel], size));
}

BENCH_INLINE void look_at(const void *data, size_t size, uint64_t number)
{
	uint64_t sum = 0;

	message_check(data, size, number);
	for (size_t i = 0; i + 64 < size; i += 64)
		sum += *(const unsigned char *)((const char *)data + i);
	__asm__ volatile("" ::"r"(sum));
}

BENCH_INLINE void peek_release(unsigned channel, size_t size, uint64_t number)
{
	const void *data;
	size_t got;
	int r;

	while ((r = tarn_ring_peek(receiver[channel], &data, &got)) == -EAGAIN)
		;
	check("tarn_ring_peek", r);
	look_at(data, size, number);
	check("tarn_ring_release", tarn_ring_release(receiver[channel], 1));
}

static void copy_round_trip(struct duo *duo, const struct bench_case *c)
{
	BENCH_BY_SIZE(loop_round_trip, duo, c, push, pop)
}

static void place_round_trip(struct duo *duo, const struct bench_case *c){
	BENCH_BY_SIZE(loop_round_trip, duo, c, reserve_commit, peek_release)
}

BENCH_INLINE void bulk_push(unsigned channel, size_t size, uint64_t number)
{
	push(channel + BULK, size, number);
}

BENCH_INLINE void bulk_pop(unsigned channel, size_t size, uint64_t number)
{
	pop(channel + BULK, size, number);
}

BENCH_INLINE void bulk_reserve_commit(unsigned channel, size_t size, uint64_t number)
{
	reserve_commit(channel + BULK, size, number);
}

BENCH_INLINE void bulk_peek_release(unsigned channel, size_t size, uint64_t number)
{
	peek_release(channel + BULK, size, number);
}

static void copy_one_way(struct duo *duo, const struct bench_case *c)
{
	BENCH_BY_SIZE(loop_one_way, duo, c, bulk_push, bulk_pop)
}

static void place_one_way(struct duo *duo, const struct bench_case *c)
{
	BENCH_BY_SIZE(loop_one_way, duo, c, bulk_reserve_commit, bulk_peek_release)
}

static void blocking_round_trip(struct duo *duo, const struct bench_case *c)
{
	loop_round_trip(duo, c->count, c->size, push_wait, pop_wait);
}

static void wake(struct duo *duo, const struct bench_case *c)
{
	loop_wake(duo, c->count, push_wait, pop_wait);
}

/* --- batches -------------------------------------------------------------------------------- */

static void push_batches(uint64_t count, size_t size)
{
	static unsigned char blocks[BATCH][4096];
	struct tarn_buf bufs[BATCH];

	for (uint64_t i = 0; i < count;) {
		size_t want = count - i < BATCH ? count - i : BATCH, done;
		int r;

		for (size_t k = 0; k < want; k++) {
			message_make(blocks[k], size, i + k);
			bufs[k] = (struct tarn_buf){ blocks[k], size };
		}
		while ((r = tarn_ring_push_batch(sender[BULK], bufs, want, &done)) == -EAGAIN)
			;
		check("tarn_ring_push_batch", r);
		i += done;
	}
}

static void peek_batches(struct duo *duo, uint64_t warm, uint64_t count, size_t size)
{
	struct tarn_buf bufs[BATCH];

	for (uint64_t i = 0; i < count;) {
		size_t done;
		int r;

		while ((r = tarn_ring_peek_batch(receiver[BULK], bufs, BATCH, &done)) == -EAGAIN)
			;
		check("tarn_ring_peek_batch", r);
		if (i < warm && i + done >= warm)
			duo->shm->t_start = duo_ticks();
		for (size_t k = 0; k < done; k++)
			look_at(bufs[k].data, size, i + k);
		check("tarn_ring_release", tarn_ring_release(receiver[BULK], done));
		i += done;
	}
	duo->shm->t_end = duo_ticks();
}

static void batch_one_way(struct duo *duo, const struct bench_case *c)
{
	uint64_t warm = c->count / 10 + 1;

	if (duo->side == DUO_A)
		push_batches(warm + c->count, c->size);
	else
		peek_batches(duo, warm, warm + c->count, c->size);
}

/* --- opening -------------------------------------------------------------------------------- */

static void open_close(struct duo *duo, const struct bench_case *c, uint32_t flags)
{
	const struct tarn_region_opts opts = { .flags = flags };

	if (duo->side != DUO_A)
		return;
	for (uint64_t i = 0; i < c->count; i++) {
		struct tarn_region *again;
		uint64_t start = duo_ticks();

		check("tarn_region_open_fd", tarn_region_open_fd(region_fd, &opts, &again));
		tarn_region_close(again);
		duo_sample(duo, i, duo_ticks() - start);
	}
}

static void join_leave(struct duo *duo, const struct bench_case *c)
{
	open_close(duo, c, 0);
}

static void look_on(struct duo *duo, const struct bench_case *c)
{
	open_close(duo, c, TARN_REGION_OBSERVE);
}

/* --- death ---------------------------------------------------------------------------------- */

static void victim_main(struct duo *duo)
{
	struct tarn_region *mine;

	check("tarn_region_open_fd", tarn_region_open_fd(region_fd, NULL, &mine));
	open_ring(mine, "death", SMALL_RING, TARN_RING_PRODUCER);
	atomic_store(&duo->shm->victim, getpid());
	for (;;)
		pause();
}

/* B waits for a record of a producer that A kills. */
static void death_wait(struct duo *duo, struct tarn_ring *ring, uint64_t i)
{
	size_t got;

	atomic_store(&duo->shm->victim, 0);
	pid_t victim = duo_fork();

	if (victim == 0)
		victim_main(duo);
	while (atomic_load(&duo->shm->victim) == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	duo_meet(duo);
	int r = tarn_ring_pop_wait(ring, block, sizeof(block), TARN_FOREVER, &got);

	duo_sample(duo, i, duo_ticks() - atomic_load(&duo->shm->stamp));
	if (r != -EPIPE)
		duo_die("tarn_ring_pop_wait on a dead producer", r);
	waitpid(victim, NULL, 0);
}

static void death(struct duo *duo, const struct bench_case *c)
{
	struct tarn_ring *ring = NULL;

	if (duo->side == DUO_B)
		ring = open_ring(region, "death", SMALL_RING, TARN_RING_CONSUMER);
	for (uint64_t i = 0; i < c->count; i++) {
		duo_meet(duo);
		if (duo->side == DUO_B) {
			death_wait(duo, ring, i);
			continue;
		}
		duo_meet(duo);
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		atomic_store(&duo->shm->stamp, duo_ticks());
		kill(atomic_load(&duo->shm->victim), SIGKILL);
	}
	tarn_ring_close(ring);
}

const struct bench_case tarn_cases[] = {
	{ "round trip, busy", "ring", 8, 100000, BENCH_LATENCY, &bench_bounce, copy_round_trip },
	{ "round trip, busy", "ring in place", 8, 100000, BENCH_LATENCY, &bench_bounce,
	  place_round_trip },
	{ "round trip, busy", "ring", 64, 100000, BENCH_LATENCY, &bench_bounce, copy_round_trip },
	{ "round trip, busy", "ring in place", 64, 100000, BENCH_LATENCY, &bench_bounce,
	  place_round_trip },
	{ "one way", "ring", 8, 1000000, BENCH_RATE, &bench_memcpy, copy_one_way },
	{ "one way", "ring in place", 8, 1000000, BENCH_RATE, &bench_memcpy, place_one_way },
	{ "one way", "ring in batches", 8, 2000000, BENCH_RATE, &bench_memcpy, batch_one_way },
	{ "one way", "ring", 64, 1000000, BENCH_RATE, &bench_memcpy, copy_one_way },
	{ "one way", "ring in place", 64, 1000000, BENCH_RATE, &bench_memcpy, place_one_way },
	{ "one way", "ring in batches", 64, 1000000, BENCH_RATE, &bench_memcpy, batch_one_way },
	{ "one way", "ring", 4096, 40000, BENCH_RATE, &bench_memcpy, copy_one_way },
	{ "one way", "ring in place", 4096, 40000, BENCH_RATE, &bench_memcpy, place_one_way },
	{ "one way", "ring in batches", 4096, 40000, BENCH_RATE, &bench_memcpy, batch_one_way },
	{ "round trip, blocking", "ring", 8, 1000, BENCH_LATENCY, &bench_futex,
	  blocking_round_trip },
	{ "wake a sleeper", "ring", 8, 20, BENCH_LATENCY, &bench_futex_wake, wake },
	{ "open and close", "member", 0, 1000, BENCH_LATENCY, &bench_mmap, join_leave },
	{ "open and close", "observer", 0, 1000, BENCH_LATENCY, &bench_mmap, look_on },
	{ "peer's death seen", "ring", 0, DEATH_COUNT, BENCH_LATENCY, NULL, death },
	{ 0 },
};
