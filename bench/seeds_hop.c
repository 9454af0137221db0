/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeds_hop.c - how long it takes to tell the other process something: a cache line, a small
 * message by each kind of IPC, and messages in batches.
 *
 * Latency is half a round trip. Each side waits for the exact number that it expects.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tarn/ring.h>

#include "seeds_path.h"

/* --- one cache line ------------------------------------------------------------------------ */

enum { HOPS = 200000, SYSCALLS = 100000 };

/* What the kernel had to do for this process: page faults, and sleeps. */
static long kernel_entries(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt + usage.ru_nvcsw;
}

static double bounce(struct seeds_pair *pair, uint64_t *number, uint64_t count)
{
	int64_t began = tarn_now();

	for (uint64_t i = 0; i < count; i++) {
		++*number;
		if (pair->side == 0)
			atomic_store_explicit(&pair->shm->word[0][0], *number,
					      memory_order_release);
		seeds_until(&pair->shm->word[pair->side == 0][0], *number);
		if (pair->side == 1)
			atomic_store_explicit(&pair->shm->word[1][0], *number,
					      memory_order_release);
	}
	return (double)(tarn_now() - began) / (double)count;
}

static double bare_call(void)
{
	int64_t began = tarn_now();
	long sum = 0;

	for (int i = 0; i < SYSCALLS; i++)
		sum += syscall(SYS_getppid);
	seeds_keep((uint64_t)sum);
	return (double)(tarn_now() - began) / SYSCALLS;
}

static void hop_side(struct seeds_pair *pair)
{
	uint64_t number = 0, count = pair->run->quick ? HOPS / 4 : HOPS;

	for (uint32_t round = 0; round < pair->run->rounds; round++) {
		seeds_meet(pair);
		(void)bounce(pair, &number, count / 10);
		long before = kernel_entries();
		double ns = bounce(pair, &number, count);
		long entered = kernel_entries() - before;

		if (pair->side != 0)
			continue;
		seeds_put(pair->run, SEEDS_FIG_HOP, ns / 2);
		seeds_put(pair->run, SEEDS_FIG_HOP_KERNEL, (double)entered);
		seeds_put(pair->run, SEEDS_FIG_SYSCALL, bare_call());
	}
}

void seeds_hop(struct seeds_run *run)
{
	seeds_pair(run, hop_side, NULL);
}

/* --- small messages ------------------------------------------------------------------------ */

enum { SMALL = 256, KINDS = 3, BUSY = 5000, WAITING = 400 };

static const enum seeds_path_kind kinds[KINDS] = { SEEDS_PATH_RING, SEEDS_PATH_PIPE,
						   SEEDS_PATH_MQ };

struct small {
	struct seeds_path paths[2][KINDS][2]; /* spinning or not, kind, there or back */
	bool there[KINDS];
};

static double round_trips(struct seeds_pair *pair, struct seeds_path paths[2],
			  struct seeds_message *message, uint64_t count)
{
	int64_t began = 0;

	seeds_meet(pair);
	for (uint64_t i = 0; i < count + count / 10; i++) {
		if (i == count / 10)
			began = tarn_now();
		if (pair->side == 0)
			seeds_path_send(&paths[0], seeds_message_make(message, i), SMALL);
		seeds_message_check(message, seeds_path_recv(&paths[pair->side == 0], SMALL), i);
		seeds_path_done(&paths[pair->side == 0]);
		if (pair->side == 1)
			seeds_path_send(&paths[1], seeds_message_make(message, i), SMALL);
	}
	return (double)(tarn_now() - began) / (double)count;
}

static void put_small(struct seeds_run *run, const double busy[KINDS], const double waiting[KINDS])
{
	seeds_put(run, SEEDS_FIG_SMALL_RING, busy[0] / 2);
	seeds_put(run, SEEDS_FIG_SMALL_PIPE, busy[1] / 2);
	seeds_put(run, SEEDS_FIG_SMALL_RATE, 1e9 / busy[0]);
	seeds_put(run, SEEDS_FIG_SMALL_PIPE_TO_RING, busy[1] / busy[0]);
	seeds_put(run, SEEDS_FIG_ASLEEP_RING, waiting[0] / 2);
	seeds_put(run, SEEDS_FIG_ASLEEP_PIPE_TO_RING, waiting[1] / waiting[0]);
	if (busy[2] > 0) {
		seeds_put(run, SEEDS_FIG_SMALL_MQ, busy[2] / 2);
		seeds_put(run, SEEDS_FIG_SMALL_MQ_TO_RING, busy[2] / busy[0]);
		seeds_put(run, SEEDS_FIG_ASLEEP_MQ_TO_RING, waiting[2] / waiting[0]);
	}
}

static void small_side(struct seeds_pair *pair)
{
	struct small *small = pair->arg;
	struct seeds_message message;

	seeds_message_init(&message, SMALL);
	for (int spins = 0; spins < 2; spins++)
		for (int kind = 0; kind < KINDS; kind++)
			for (int back = 0; back < 2 && small->there[kind]; back++)
				seeds_path_attach(&small->paths[spins][kind][back],
						  pair->side == back, SMALL);
	for (uint32_t round = 0; round < pair->run->rounds; round++) {
		double busy[KINDS] = { 0 }, waiting[KINDS] = { 0 };

		for (int kind = 0; kind < KINDS; kind++) {
			if (!small->there[kind])
				continue;
			busy[kind] = round_trips(pair, small->paths[1][kind], &message,
						 kind == 0 ? 8 * BUSY : BUSY);
			waiting[kind] = round_trips(pair, small->paths[0][kind], &message, WAITING);
		}
		if (pair->side == 0)
			put_small(pair->run, busy, waiting);
	}
	seeds_message_free(&message);
}

static bool open_small(struct small *small, int kind, char lack[SEEDS_TEXT])
{
	for (int i = 0; i < 4; i++) {
		struct seeds_path *path = &small->paths[i / 2][kind][i % 2];

		if (!seeds_path_open(kinds[kind], i / 2 == 1, path)) {
			memcpy(lack, path->lack, SEEDS_TEXT);
			return false;
		}
	}
	return true;
}

void seeds_small(struct seeds_run *run)
{
	static const enum seeds_fig of_queue[] = {
		SEEDS_FIG_SMALL_MQ,
		SEEDS_FIG_SMALL_MQ_TO_RING,
		SEEDS_FIG_ASLEEP_MQ_TO_RING,
	};
	static struct small small;
	char lack[SEEDS_TEXT] = "";

	for (int kind = 0; kind < KINDS; kind++)
		small.there[kind] = open_small(&small, kind, lack);
	if (!small.there[0] || !small.there[1])
		seeds_die(lack, 0);
	for (int i = 0; i < 3 && !small.there[2]; i++)
		seeds_lack(run, of_queue[i], "%s", lack);
	seeds_pair(run, small_side, &small);
}

/* --- batches ------------------------------------------------------------------------------- */

enum { RECORD = 64, BATCH = 64, RECORDS = 1 << 20 };

struct record {
	uint64_t words[RECORD / 8];
};

static void fill(struct record *record, uint64_t number)
{
	record->words[0] = number;
	record->words[RECORD / 8 - 1] = ~number;
}

static void check(const void *data, size_t size, uint64_t number)
{
	struct record record;

	if (size != RECORD)
		seeds_die("a record of another size", 0);
	memcpy(&record, data, RECORD);
	if (record.words[0] != number || record.words[RECORD / 8 - 1] != ~number)
		seeds_die("what arrived is not what was sent", 0);
}

static void push_records(struct tarn_ring *ring, size_t batch)
{
	static struct record records[BATCH];
	struct tarn_buf bufs[BATCH];
	uint64_t number = 0;

	for (size_t i = 0; i < BATCH; i++)
		bufs[i] = (struct tarn_buf){ &records[i], RECORD };
	while (number < RECORDS) {
		size_t done = 0;
		int r;

		for (size_t i = 0; i < batch; i++)
			fill(&records[i], number + i);
		for (size_t at = 0; at < batch; at += done) {
			done = 0;
			if (batch == 1)
				r = tarn_ring_push_wait(ring, &records[0], RECORD, TARN_FOREVER);
			else
				r = tarn_ring_push_batch(ring, bufs + at, batch - at, &done);
			if (r < 0 && r != -EAGAIN)
				seeds_die("a push to the ring", r);
			done = batch == 1 ? 1 : r < 0 ? 0 : done;
		}
		number += batch;
	}
}

static void pop_records(struct tarn_ring *ring, size_t batch)
{
	struct tarn_buf bufs[BATCH];
	uint64_t number = 0;

	while (number < RECORDS) {
		size_t count = 0;
		int r = tarn_ring_peek_batch(ring, bufs, batch, &count);

		if (r == -EAGAIN)
			continue;
		if (r < 0)
			seeds_die("a record of the ring", r);
		for (size_t i = 0; i < count; i++)
			check(bufs[i].data, bufs[i].size, number++);
		if (tarn_ring_release(ring, count) < 0)
			seeds_die("a release to the ring", 0);
	}
}

/* Records a second. */
static double records(struct seeds_pair *pair, struct tarn_ring *ring, size_t batch)
{
	seeds_meet(pair);
	int64_t began = tarn_now();

	if (pair->side == 0)
		push_records(ring, batch);
	else
		pop_records(ring, batch);
	seeds_meet(pair);
	return RECORDS * 1e9 / (double)(tarn_now() - began);
}

static void batch_side(struct seeds_pair *pair)
{
	struct seeds_path *path = pair->arg;

	seeds_path_attach(path, pair->side == 0, RECORD);
	for (uint32_t round = 0; round < pair->run->rounds; round++) {
		double one = records(pair, path->ring, 1);
		double many = records(pair, path->ring, BATCH);

		if (pair->side != 0)
			continue;
		seeds_put(pair->run, SEEDS_FIG_BATCH_ONE, one);
		seeds_put(pair->run, SEEDS_FIG_BATCH_MANY, many);
		seeds_put(pair->run, SEEDS_FIG_BATCH_RATIO, many / one);
	}
}

void seeds_batch(struct seeds_run *run)
{
	struct seeds_path path;

	if (!seeds_path_open(SEEDS_PATH_RING, true, &path))
		seeds_die(path.lack, 0);
	seeds_pair(run, batch_side, &path);
}
