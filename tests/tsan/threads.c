/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Producer and consumer as threads; and objects made and removed.
 *
 * Records hold their number in every byte; each case moves COUNT of them through a ring so small
 * that it wraps, fills and runs empty all the time.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "duet.h"

enum { COUNT = 20000, RECORD_MAX = 40, CAPACITY = 256, LEGS = 20 };

static size_t size_of(unsigned n)
{
	return n * 7 % (RECORD_MAX + 1);
}

static void check(unsigned n, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	if (size != size_of(n))
		die("size", (int)size);
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != (unsigned char)n)
			die("byte", bytes[i]);
}

static struct tarn_ring *open_ring(enum tarn_ring_role role)
{
	const struct tarn_ring_opts opts = { .capacity = CAPACITY };
	struct tarn_ring *ring = NULL;
	int r;

	/* The one who had the role before may not have given it back yet. */
	while ((r = tarn_ring_open(region, "records", role, &opts, &ring)) == -EBUSY)
		sched_yield();
	must("open", r);
	return ring;
}

/* No room, no record, or nobody on the other side yet: come again. */
static bool again(int r)
{
	if (r != -EAGAIN && r != -EPIPE)
		return false;
	sched_yield();
	return true;
}

/* --- copying, without and with sleep ------------------------------------------------------- */

static void *push_busy(void *arg)
{
	struct tarn_ring *ring = open_ring(TARN_RING_PRODUCER);
	unsigned char bytes[RECORD_MAX];
	int r;

	for (unsigned n = 0; n < COUNT; n++) {
		memset(bytes, (int)n, sizeof(bytes));
		while (again(r = tarn_ring_push(ring, bytes, size_of(n))))
			;
		must("push", r);
	}
	tarn_ring_close(ring);
	return arg;
}

static void *pop_busy(void *arg)
{
	struct tarn_ring *ring = open_ring(TARN_RING_CONSUMER);
	unsigned char bytes[RECORD_MAX];
	size_t size = 0;
	int r;

	for (unsigned n = 0; n < COUNT; n++) {
		while (again(r = tarn_ring_pop(ring, bytes, sizeof(bytes), &size)))
			;
		must("pop", r);
		check(n, bytes, size);
	}
	tarn_ring_close(ring);
	return arg;
}

static void *push_wait(void *arg)
{
	struct tarn_ring *ring = open_ring(TARN_RING_PRODUCER);
	unsigned char bytes[RECORD_MAX];
	int r;

	must("wait_peer", tarn_ring_wait_peer(ring, TARN_FOREVER));
	for (unsigned n = 0; n < COUNT; n++) {
		memset(bytes, (int)n, sizeof(bytes));
		r = tarn_ring_push_wait(ring, bytes, size_of(n), TARN_FOREVER);
		must("push_wait", r);
	}
	must("finish", tarn_ring_finish(ring));
	tarn_ring_close(ring);
	return arg;
}

static void *pop_wait(void *arg)
{
	struct tarn_ring *ring = open_ring(TARN_RING_CONSUMER);
	unsigned char bytes[RECORD_MAX];
	size_t size = 0;
	unsigned n = 0;
	int r;

	must("wait_peer", tarn_ring_wait_peer(ring, TARN_FOREVER));
	while ((r = tarn_ring_pop_wait(ring, bytes, sizeof(bytes), TARN_FOREVER, &size)) == 0)
		check(n++, bytes, size);
	if (r != -ENODATA || n != COUNT)
		die("pop_wait", r);
	tarn_ring_close(ring);
	return arg;
}

/* --- in place and in batches --------------------------------------------------------------- */

static void *fill_in_place(void *arg)
{
	struct tarn_ring *ring = open_ring(TARN_RING_PRODUCER);
	void *data;
	int r;

	for (unsigned n = 0; n < COUNT; n++) {
		while (again(r = tarn_ring_reserve(ring, RECORD_MAX, &data)))
			;
		must("reserve", r);
		memset(data, (int)n, size_of(n));
		must("commit", tarn_ring_commit(ring, size_of(n)));
	}
	tarn_ring_close(ring);
	return arg;
}

static void *read_in_place(void *arg)
{
	struct tarn_ring *ring = open_ring(TARN_RING_CONSUMER);
	const void *data;
	size_t size;
	int r;

	for (unsigned n = 0; n < COUNT; n++) {
		while (again(r = tarn_ring_peek(ring, &data, &size)))
			;
		must("peek", r);
		check(n, data, size);
		must("release", tarn_ring_release(ring, 1));
	}
	tarn_ring_close(ring);
	return arg;
}

static void *push_batches(void *arg)
{
	struct tarn_ring *ring = open_ring(TARN_RING_PRODUCER);
	unsigned char bytes[3][RECORD_MAX];
	struct tarn_buf bufs[3];
	size_t done;
	int r;

	for (unsigned n = 0; n < COUNT; n += (unsigned)done) {
		size_t count = COUNT - n < 3 ? COUNT - n : 3;

		for (unsigned i = 0; i < count; i++) {
			memset(bytes[i], (int)(n + i), RECORD_MAX);
			bufs[i] = (struct tarn_buf){ bytes[i], size_of(n + i) };
		}
		while (again(r = tarn_ring_push_batch(ring, bufs, count, &done)))
			;
		must("push_batch", r);
	}
	tarn_ring_close(ring);
	return arg;
}

static void *read_batches(void *arg)
{
	struct tarn_ring *ring = open_ring(TARN_RING_CONSUMER);
	struct tarn_buf bufs[4];
	size_t count;
	int r;

	for (unsigned n = 0; n < COUNT;) {
		while (again(r = tarn_ring_peek_batch(ring, bufs, 4, &count)))
			;
		must("peek_batch", r);
		for (size_t i = 0; i < count; i++)
			check(n++, bufs[i].data, bufs[i].size);
		must("release", tarn_ring_release(ring, count));
	}
	tarn_ring_close(ring);
	return arg;
}

/* --- successors ---------------------------------------------------------------------------- */

/* A relay: each of LEGS producers, threads of their own, sends its part and leaves. */
static void *push_leg(void *arg)
{
	unsigned first = *(unsigned *)arg;
	struct tarn_ring *ring = open_ring(TARN_RING_PRODUCER);
	unsigned char bytes[RECORD_MAX];
	int r;

	for (unsigned n = first; n < first + COUNT / LEGS; n++) {
		memset(bytes, (int)n, sizeof(bytes));
		while (again(r = tarn_ring_push(ring, bytes, size_of(n))))
			;
		must("push", r);
	}
	tarn_ring_close(ring);
	return NULL;
}

static void *push_relay(void *arg)
{
	for (unsigned first = 0; first < COUNT; first += COUNT / LEGS) {
		pthread_t thread;

		must("thread", pthread_create(&thread, NULL, push_leg, &first));
		pthread_join(thread, NULL);
	}
	return arg;
}

/* --- the directory ------------------------------------------------------------------------- */

/* Two threads make, open and remove objects of the same names through one handle. */
static void *churn_objects(void *arg)
{
	for (unsigned n = 0; n < COUNT / 20; n++) {
		char name[] = "object-0";
		void *data = NULL;
		int r;

		name[7] = (char)('0' + n % 3);
		r = tarn_object_create(region, name, 100, &data, NULL);
		if (r == -EEXIST)
			r = tarn_object_open(region, name, &data, NULL);
		if (r != 0 && r != -ENOENT)
			die("object", r);
		if (r == 0)
			tarn_object_close(region, data);
		r = tarn_object_remove(region, name);
		if (r != 0 && r != -ENOENT)
			die("remove", r);
	}
	return arg;
}

static const struct duet cases[] = {
	{ "push and pop", push_busy, pop_busy },
	{ "push and pop, sleeping", push_wait, pop_wait },
	{ "reserve and peek, in place", fill_in_place, read_in_place },
	{ "batches", push_batches, read_batches },
	{ "producers that follow each other", push_relay, pop_busy },
	{ "objects made and removed", churn_objects, churn_objects },
};

int main(int argc, char **argv)
{
	size_t i = duet_begin(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));

	duet_run(&cases[i]);
	duet_end();
	return 0;
}
