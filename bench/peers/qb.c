/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qb.c - libqb's ring buffer between processes: chunk_write and chunk_read copy, alloc and commit,
 * peek and reclaim lend. It has no sender that sleeps: one that finds it full looks again.
 */
#include <qb/qbrb.h>

#include <stdio.h>
#include <unistd.h>

#include "peers.h"

enum { QB_CHUNK_HEADER = 16, QB_LEAST = 64 << 10 };

static qb_ringbuffer_t *rings[PEERS_CHANNELS];

/* Both sides have it mapped; no name is to outlive them. */
static void forget_name(const char *name)
{
	static const char *const forms[] = { "/dev/shm/qb-%s-header", "/dev/shm/qb-%s-data" };
	char path[128];

	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), forms[i], name);
		(void)unlink(path);
	}
}

static void qb_open(struct bench *b)
{
	size_t size = (b->cell->size + QB_CHUNK_HEADER) * bench_depth(b->cell->size);
	uint32_t flags = QB_RB_FLAG_CREATE | QB_RB_FLAG_SHARED_PROCESS;
	char name[64];

	if (!bench_blocks(b))
		flags |= QB_RB_FLAG_NO_SEMAPHORE;
	for (unsigned k = 0; k < bench_channels(b); k++) {
		snprintf(name, sizeof(name), "tarn-bench-%d-%u", (int)getpid(), k);
		rings[k] = qb_rb_open(name, size < QB_LEAST ? QB_LEAST : size, flags, 0);
		if (rings[k] == NULL)
			bench_fail(b, "qb_rb_open", errno);
		forget_name(name);
	}
}

/* Full or empty is no error; anything else is. */
static void again(struct bench *b, const char *what, int error)
{
	if (error != EAGAIN && error != ETIMEDOUT && error != EINTR && error != 0)
		bench_fail(b, what, error);
	bench_pause(b);
}

BENCH_INLINE void copy_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	void *message = bench_message(b, size, number);
	ssize_t r;

	while ((r = qb_rb_chunk_write(rings[channel], message, size)) < 0)
		again(b, "qb_rb_chunk_write", (int)-r);
}

BENCH_INLINE void copy_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	void *to = bench_sink(b, size, number);
	int timeout = bench_blocks(b) ? -1 : 0;
	ssize_t r;

	while ((r = qb_rb_chunk_read(rings[channel], to, size, timeout)) <= 0)
		again(b, "qb_rb_chunk_read", (int)-r);
	bench_check(b, to, size, number);
}

BENCH_INLINE void *lent(struct bench *b, unsigned channel, size_t size)
{
	void *to;

	while ((to = qb_rb_chunk_alloc(rings[channel], size)) == NULL)
		again(b, "qb_rb_chunk_alloc", EAGAIN);
	return to;
}

BENCH_INLINE void commit(struct bench *b, unsigned channel, size_t size)
{
	int r = qb_rb_chunk_commit(rings[channel], size);

	if (r < 0)
		bench_fail(b, "qb_rb_chunk_commit", r);
}

BENCH_INLINE const void *peek(struct bench *b, unsigned channel)
{
	void *data;
	ssize_t r;

	/* without its semaphores it says of an empty ring that there is no chunk in it: EBADMSG */
	while ((r = qb_rb_chunk_peek(rings[channel], &data, 0)) <= 0)
		again(b, "qb_rb_chunk_peek", r == -EBADMSG ? EAGAIN : (int)-r);
	return data;
}

BENCH_INLINE void place_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_fill(b, lent(b, channel, size), size, number);
	commit(b, channel, size);
}

BENCH_INLINE void place_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_check(b, peek(b, channel), size, number);
	qb_rb_chunk_reclaim(rings[channel]);
}

BENCH_INLINE void mark_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_mark(lent(b, channel, size), size, number);
	commit(b, channel, size);
}

BENCH_INLINE void mark_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_check_mark(b, peek(b, channel), size, number);
	qb_rb_chunk_reclaim(rings[channel]);
}

PEERS_LOOPS_LARGE(copy_run, copy_send, copy_recv)
PEERS_LOOPS_LARGE(place_run, place_send, place_recv)
PEERS_LOOP_ROUND_TRIP(mark_run, mark_send, mark_recv)

static const struct bench_variant variants[] = {
	{ BENCH_BUSY, PEERS_POLLED, 1, PEERS_SIZE_MAX, copy_run },
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 1, PEERS_SIZE_MAX, copy_run },
	{ BENCH_IN_PLACE, PEERS_POLLED, 1, PEERS_SIZE_MAX, place_run },
	{ BENCH_ZERO_COPY, BENCH_BIT(BENCH_ROUND_TRIP), 16, PEERS_SIZE_MAX, mark_run },
	{ 0 },
};

const struct bench_contestant bench_qb = {
	.name = "libqb ring",
	.group = BENCH_PEER,
	.what = "libqb, qb_rb between processes",
	.variants = variants,
	.open = qb_open,
};
