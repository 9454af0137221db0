/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - every operation on rings, killed at each instruction: taking and giving back both
 * roles, push, batch, reserve and commit, pop, peek and release, finish; asleep in each _wait
 * call; and with a living peer asleep on the other side.
 *
 * Two survivors judge each state: one that reads first, and one that writes first.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ring_ops.h"

/* --- survivors ----------------------------------------------------------------------------- */

struct found {
	uint64_t first; /* number of the first record; next if there is none */
	uint64_t next;  /* behind the last one */
	int end;        /* what the consumer is told then */
};

/* Read everything; records must be whole and without a gap. */
static int drain(struct kill_world *world, struct found *ret, struct harness_report *report)
{
	struct record record = { .n = 0 };
	size_t size = 0;
	bool any = false;

	if (consume(world, report) < 0)
		return KILL_VIOLATION;
	while ((ret->end = tarn_ring_pop(ring, &record, sizeof(record), &size)) == 0) {
		if (!any)
			ret->first = ret->next = record.n;
		any = true;
		if (!record_is(&record, size, ret->next))
			return harness_say(report, KILL_VIOLATION, "record %d is torn, or a gap",
					   (int)ret->next);
		ret->next++;
	}
	if (!any)
		ret->first = ret->next = UINT64_MAX;
	if (ret->end != -EAGAIN && ret->end != -EPIPE && ret->end != -ENODATA)
		return survivor_say(report, "pop", ret->end, NULL);
	tarn_ring_close(ring);
	return 0;
}

/* A producer writes @from and the next, and a consumer finds them. */
static int goes_on(struct kill_world *world, uint64_t from, struct harness_report *report)
{
	struct found found;

	if (produce(world, report) < 0)
		return KILL_VIOLATION;
	for (uint64_t n = from; n < from + 2; n++)
		if (push(n) < 0)
			return harness_say(report, KILL_VIOLATION, "push: no room");
	tarn_ring_close(ring);
	if (drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first != from || found.next != from + 2)
		return harness_say(report, KILL_VIOLATION, "found %d to %d, not %d to %d",
				   (int)found.first, (int)found.next, (int)from, (int)from + 2);
	return 0;
}

/* The ring works; then everything around it. */
static int wind_up(struct kill_world *world, int outcome, struct harness_report *report)
{
	if (goes_on(world, 1000, report) < 0 || goes_on(world, 2000, report) < 0)
		return KILL_VIOLATION;
	if (tarn_object_remove(region, name) < 0)
		return harness_say(report, KILL_VIOLATION, "the ring cannot be removed");
	if (survivor_kept(region, report) < 0 || survivor_whole(world, region, 1, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	region = NULL;
	return outcome;
}

static int look_first(struct kill_world *world, struct harness_report *report)
{
	region = NULL;
	ring = NULL;
	if (survivor_open(world, &region, report) != 0)
		return harness_say(report, KILL_VIOLATION, "the region is gone");
	return survivor_check(region, report);
}

/* The outcome is how many records are new. */
static int produced(struct kill_world *world, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct found found;

	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first == UINT64_MAX)
		found.first = found.next = st->next;
	if (found.next < st->next || found.first > st->next ||
	    (found.first != st->first && found.first != found.next))
		return harness_say(report, KILL_VIOLATION, "found %d to %d", (int)found.first,
				   (int)found.next);
	return wind_up(world, (int)(found.next - st->next), report);
}

/* One record: there or not. */
static int check_push(struct kill_world *world, struct harness_report *report)
{
	return produced(world, report);
}

/* Three at once. */
static int check_batch(struct kill_world *world, struct harness_report *report)
{
	int there = produced(world, report);

	if (there < 0)
		return KILL_VIOLATION;
	if (there == 0 || there == 3)
		return there / 3;
	return harness_say(report, KILL_VIOLATION, "%d of a batch of 3 are there", there);
}

/* Writer first: goes on behind whatever is there, and the reader finds all of it. */
static int write_first(struct kill_world *world, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct record record = { .n = 0 };
	uint64_t expect = st->first;
	bool fits;
	size_t size;
	int r, seen = 0;

	if (look_first(world, report) < 0 || produce(world, report) < 0)
		return KILL_VIOLATION;
	r = push(5000);
	if (r != 0 && r != -EAGAIN && r != -EPIPE)
		return survivor_say(report, "the successor's push", r, NULL);
	fits = r == 0;
	tarn_ring_close(ring);
	if (consume(world, report) < 0)
		return KILL_VIOLATION;
	while ((r = tarn_ring_pop(ring, &record, sizeof(record), &size)) == 0) {
		if (record.n == 5000)
			break;
		if (seen++ == 0)
			expect = record.n;
		if (!record_is(&record, size, expect++))
			return harness_say(report, KILL_VIOLATION, "record %d is torn, or a gap",
					   (int)expect - 1);
	}
	if (fits && (r != 0 || !record_is(&record, size, 5000)))
		return harness_say(report, KILL_VIOLATION, "the successor's record is not there");
	tarn_ring_close(ring);
	return wind_up(world, 0, report);
}

/* How many of the records that were there are gone. */
static int check_pop_by(struct kill_world *world, int *ret_gone, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct found found;

	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first == UINT64_MAX)
		found.first = found.next = st->next;
	if (found.next != st->next || found.first < st->first)
		return harness_say(report, KILL_VIOLATION, "found %d to %d", (int)found.first,
				   (int)found.next);
	*ret_gone = (int)(found.first - st->first);
	return wind_up(world, 0, report);
}

static int check_popped(struct kill_world *world, struct harness_report *report)
{
	int gone = 0;

	return check_pop_by(world, &gone, report) < 0 ? KILL_VIOLATION : gone;
}

/* Two were let go, then one. */
static int check_released(struct kill_world *world, struct harness_report *report)
{
	int gone = 0;

	if (check_pop_by(world, &gone, report) < 0)
		return KILL_VIOLATION;
	if (gone == 1)
		return harness_say(report, KILL_VIOLATION, "one of two was let go");
	return gone == 0 ? 0 : gone - 1;
}

static int check_same(struct kill_world *world, struct harness_report *report)
{
	int gone = 0;

	if (check_pop_by(world, &gone, report) < 0)
		return KILL_VIOLATION;
	return gone == 0 ? 0 : harness_say(report, KILL_VIOLATION, "%d records gone", gone);
}

/* The consumer hears of the end once, and only once, all is said. */
static int check_finished(struct kill_world *world, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct found found;

	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first != st->first || found.next != st->next)
		return harness_say(report, KILL_VIOLATION, "found %d to %d", (int)found.first,
				   (int)found.next);
	return wind_up(world, found.end == -ENODATA, report);
}

/* Making a ring: it is there or it is not, and either way it can be used. */
static int check_made(struct kill_world *world, struct harness_report *report)
{
	struct tarn_ring_stat stat;
	int r;

	if (look_first(world, report) < 0)
		return KILL_VIOLATION;
	r = tarn_ring_open(region, name, TARN_RING_OBSERVER, NULL, &ring);
	if (r != 0 && r != -ENOENT)
		return survivor_say(report, "look", r, NULL);
	if (r == 0) {
		if (tarn_ring_stat(ring, &stat) < 0 || stat.capacity != CAPACITY || stat.used != 0)
			return harness_say(report, KILL_VIOLATION, "it is not as it was made");
		tarn_ring_close(ring);
	}
	return wind_up(world, r == 0, report);
}

/* A record may have been written by the waker and taken by the sleeper: 0, 1, 2. */
static int check_pop_woken(struct kill_world *world, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct found found;

	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first == UINT64_MAX) {
		/* before the record, or after it: the ring alone cannot tell */
		return wind_up(world, 0, report);
	}
	if (found.first != st->next || found.next != st->next + 1)
		return harness_say(report, KILL_VIOLATION, "found %d to %d", (int)found.first,
				   (int)found.next);
	return wind_up(world, 1, report);
}

/* Four were taken by the waker; then the sleeper's record. */
static int check_push_woken(struct kill_world *world, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct found found;

	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first < st->first || found.first > st->first + 4 ||
	    (found.next != st->next && found.next != st->next + 1))
		return harness_say(report, KILL_VIOLATION, "found %d to %d", (int)found.first,
				   (int)found.next);
	return wind_up(world, (int)(found.first - st->first) + (int)(found.next - st->next),
		       report);
}

/* Beside a sleeper that may have read, or written: nothing torn, nothing lost, nothing twice. */
static int check_beside(struct kill_world *world, struct harness_report *report)
{
	struct state *st = state_of(world);
	struct found found;
	uint64_t saw = st->peer_saw;

	st->peer_saw = 0;
	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first != UINT64_MAX && saw != 0 && found.first <= st->first &&
	    st->first == st->next)
		return harness_say(report, KILL_VIOLATION, "record %d came twice",
				   (int)found.first);
	return wind_up(world, 0, report);
}

/* --- the table ----------------------------------------------------------------------------- */

/* The successor's first steps; that joining the region survives its death is region.c's to show. */
static int recover_producer(struct kill_world *world, struct harness_report *report)
{
	if (open_producer(world, report) == 0)
		tarn_ring_close(ring);
	return 0;
}

static int recover_consumer(struct kill_world *world, struct harness_report *report)
{
	if (open_consumer(world, report) == 0)
		tarn_ring_close(ring);
	return 0;
}

/* clang-format off */
#define PUSH(nm, before, first, what, judge) \
	{ .name = "ring-" nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .check2 = write_first, .ready = join, .recover = recover_producer }
#define POP(nm, before, first, what, judge, last) \
	{ .name = "ring-" nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .check2 = write_first, .ready = join, .recover = recover_consumer, \
	  .after = last }
#define SAME(nm, before, first, what, rec) \
	{ .name = "ring-" nm, .setup = before, .prepare = first, .op = what, \
	  .check = check_same, .check2 = write_first, .ready = join, .recover = rec, \
	  .flags = KILL_UNCHANGED }
#define BESIDE(nm, before, first, what, who) \
	{ .name = "ring-" nm, .setup = before, .prepare = first, .op = what, .peer = who, \
	  .check = check_beside, .flags = KILL_NO_IMAGES }

static const struct kill_op ops[] = {
	POP("open-creating-producer", no_ring, join, open_producer, check_made, 1),
	POP("open-creating-consumer", no_ring, join, open_consumer, check_made, 1),
	SAME("open-producer", some, join, open_producer, recover_producer),
	SAME("open-consumer", some, join, open_consumer, recover_consumer),
	SAME("open-producer-after-death", orphaned, join, open_producer, recover_producer),
	SAME("open-consumer-after-death", orphaned, join, open_consumer, recover_consumer),
	SAME("close-producer", some, produce, close_ring, recover_producer),
	SAME("close-consumer", some, consume, close_ring, recover_consumer),
	SAME("close-producer-reserved", some, produce_reserved, close_ring, recover_producer),
	PUSH("push", some, produce, push_one, check_push),
	PUSH("push-wrapping", at_wrap, produce, push_one, check_push),
	PUSH("push-first", empty, produce, push_one, check_push),
	PUSH("push-again", empty, produce_again, push_one, check_push),
	PUSH("push-batch", some, produce, push_batch, check_batch),
	PUSH("push-batch-wrapping", at_wrap, produce, push_batch, check_batch),
	PUSH("reserve-commit", some, produce, reserve_commit, check_push),
	PUSH("reserve-commit-wrapping", at_wrap, produce, reserve_commit, check_push),
	PUSH("push-large", large, produce, push_one, check_push),
	PUSH("push-large-wrapping", large_at_wrap, produce, push_one, check_push),
	PUSH("push-batch-large-wrapping", large_at_wrap, produce, push_batch, check_batch),
	PUSH("reserve-commit-large", large, produce, reserve_commit, check_push),
	SAME("reserve-abort", some, produce, reserve_abort, recover_producer),
	PUSH("finish", some, produce, finish, check_finished),
	POP("pop", some, consume, pop_one, check_popped, 1),
	POP("pop-wrapping", at_skip, consume, pop_one, check_popped, 1),
	POP("pop-large-wrapping", large_at_skip, consume, pop_one, check_popped, 1),
	POP("peek-release", some, consume, peek_release, check_popped, 1),
	POP("peek-batch-release", some, consume, peek_batch_release, check_released, 2),
	PUSH("push-wait-with-room", some, produce, push_wait, check_push),
	POP("pop-wait-with-record", some, consume, pop_wait, check_popped, 1),
	{ .name = "ring-pop-wait-asleep", .setup = empty, .prepare = consume, .op = pop_wait,
	  .wake = wake_with_record, .check = check_pop_woken, .check2 = write_first,
	  .ready = join, .recover = recover_consumer, .flags = KILL_UNORDERED },
	{ .name = "ring-peek-wait-asleep", .setup = empty, .prepare = consume, .op = peek_wait,
	  .wake = wake_with_record, .check = check_pop_woken, .check2 = write_first,
	  .ready = join, .recover = recover_consumer, .flags = KILL_UNORDERED | KILL_SLOW },
	{ .name = "ring-push-wait-asleep", .setup = full, .prepare = produce, .op = push_wait,
	  .wake = wake_with_room, .check = check_push_woken, .check2 = write_first,
	  .ready = join, .recover = recover_producer, .after = 5 },
	{ .name = "ring-reserve-wait-asleep", .setup = full, .prepare = produce,
	  .op = reserve_wait, .wake = wake_with_room, .check = check_push_woken,
	  .check2 = write_first, .ready = join, .recover = recover_producer, .after = 5,
	  .flags = KILL_SLOW },
	{ .name = "ring-wait-peer-asleep", .setup = empty, .prepare = consume, .op = wait_peer,
	  .wake = wake_with_record, .check = check_pop_woken, .check2 = write_first,
	  .ready = join, .recover = recover_consumer, .flags = KILL_UNORDERED },
	{ .name = "ring-pop-wait-timed-out", .setup = empty, .prepare = consume,
	  .op = wait_short, .check = check_same, .check2 = write_first, .result = -ETIMEDOUT,
	  .flags = KILL_UNCHANGED | KILL_SLOW },
	BESIDE("push-beside-sleeping-consumer", empty, produce, push_one, woken_consumer),
	BESIDE("batch-beside-sleeping-consumer", empty, produce, push_batch, woken_consumer),
	BESIDE("commit-beside-sleeping-consumer", empty, produce, reserve_commit, woken_consumer),
	BESIDE("finish-beside-sleeping-consumer", empty, produce, finish, woken_consumer),
	{ .name = "ring-close-beside-sleeping-consumer", .setup = empty, .prepare = produce,
	  .op = close_ring, .peer = sleeping_consumer, .check = check_beside,
	  .flags = KILL_NO_IMAGES | KILL_SLOW },
	BESIDE("pop-beside-sleeping-producer", full, consume, pop_one, woken_producer),
	{ .name = "ring-close-beside-sleeping-producer", .setup = full, .prepare = consume,
	  .op = close_ring, .peer = sleeping_producer, .check = check_beside,
	  .flags = KILL_NO_IMAGES | KILL_SLOW },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
