/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic.c - every operation on topics, killed at each instruction: publishers and subscribers that
 * come, grow and go, publish, batch, loan and commit, take, alone and in batches, hold and
 * release; asleep in each wait.
 *
 * Message n consists of n throughout, so a survivor can tell a whole one. It takes all that is
 * there, goes on where the dead publisher stopped for more than a lap, so that nothing the dead
 * held may be in the way, and removes the topic.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <tarn/topic.h>
#include <tarn/waiter.h>

#include "flow/topic.h"
#include "survivor.h"

enum { LANE = 4096, SIZE = 100, LARGE = 1000, A_LAP = LANE / 160 };

/* In the page that all share. */
struct state {
	uint64_t published; /* before the operation */
};

static struct tarn_region *region;
static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;

static const struct tarn_topic_opts lane = { .lane_size = LANE };

static struct state *state_of(const struct kill_world *world)
{
	return world->shared;
}

/* --- messages ------------------------------------------------------------------------------ */

static int publish(uint64_t n, size_t size)
{
	unsigned char bytes[LARGE];

	memset(bytes, (int)n, sizeof(bytes));
	return tarn_publisher_publish(publisher, bytes, size);
}

static bool whole(const void *data, const struct tarn_message *message, uint64_t n)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < message->size; i++)
		if (bytes[i] != (unsigned char)n)
			return false;
	return message->number == n && (message->size == SIZE || message->size == LARGE);
}

/* The next one, copied. 0, 1: it is not message @n. */
static int take_number(uint64_t n)
{
	struct tarn_message message;
	unsigned char bytes[LARGE];
	int r = tarn_subscriber_take(subscriber, bytes, sizeof(bytes), &message);

	return r == 0 ? !whole(bytes, &message, n) : r;
}

/* --- worlds before ------------------------------------------------------------------------- */

#define OP(name) static int name(struct kill_world *world, struct harness_report *report)

OP(join)
{
	return region != NULL ? 0 : survivor_open(world, &region, report);
}

OP(bare)
{
	int r = survivor_create(world, 0, &region, report);

	state_of(world)->published = 0;
	return r == 0 ? survivor_keep(region, report) : r;
}

/* @count messages of a publisher that is gone. */
static int with(struct kill_world *world, uint64_t count, struct harness_report *report)
{
	int r = bare(world, report);

	if (r == 0)
		r = tarn_publisher_open(region, "news", &lane, &publisher);
	for (uint64_t n = 1; n <= count && r == 0; n++)
		r = publish(n, SIZE);
	tarn_publisher_close(publisher);
	publisher = NULL;
	state_of(world)->published = count;
	return r == 0 ? 0 : survivor_say(report, "setup", r, NULL);
}

OP(with_two)
{
	return with(world, 2, report);
}

/* The next one does not fit in front of the end of the lane. */
OP(at_the_end)
{
	return with(world, A_LAP, report);
}

/* Some laps; the next one is at the end of a part. */
OP(laps)
{
	return with(world, 3 * A_LAP + 1, report);
}

/* One lap behind a lossless subscriber that died with its seat and what it had not taken. */
OP(left_subscribed)
{
	int r = with(world, 2, report);

	if (r == 0)
		r = tarn_subscriber_open(region, "news", NULL, &subscriber);
	if (r == 0)
		r = tarn_publisher_open(region, "news", &lane, &publisher);
	while (r == 0 && publish(state_of(world)->published + 1, SIZE) == 0)
		state_of(world)->published++;
	return r == 0 ? 0 : survivor_say(report, "setup", r, NULL);
}

/* A publisher died in the middle of a message. */
OP(left_writing)
{
	void *data;
	int r = with(world, 2, report);

	if (r == 0)
		r = tarn_publisher_open(region, "news", &lane, &publisher);
	if (r == 0)
		r = tarn_publisher_loan(publisher, LARGE, &data);
	if (r == 0)
		memset(data, 0xff, LARGE);
	return r == 0 ? 0 : survivor_say(report, "setup", r, NULL);
}

/* --- prepare ------------------------------------------------------------------------------- */

static int open_publisher(struct kill_world *world, struct harness_report *report)
{
	int r = join(world, report);

	if (r == 0 && publisher == NULL)
		r = tarn_publisher_open(region, "news", &lane, &publisher);
	return r == 0 ? 0 : survivor_say(report, "publisher", r, NULL);
}

static int subscribe(struct kill_world *world, uint32_t flags, uint32_t history,
		     struct harness_report *report)
{
	const struct tarn_topic_opts opts = { .flags = flags, .history = history };
	int r = join(world, report);

	if (r == 0)
		r = tarn_subscriber_open(region, "news", &opts, &subscriber);
	return r == 0 ? 0 : survivor_say(report, "subscriber", r, NULL);
}

OP(publishing)
{
	return open_publisher(world, report);
}

OP(publishing_on_loan)
{
	int r = open_publisher(world, report);
	void *data;

	if (r == 0)
		r = tarn_publisher_loan(publisher, SIZE, &data);
	if (r == 0)
		memset(data, (int)(state_of(world)->published + 1), SIZE);
	return r;
}

OP(subscribed)
{
	return subscribe(world, 0, UINT32_MAX, report);
}

OP(subscribed_lossy)
{
	return subscribe(world, TARN_TOPIC_LOSSY, UINT32_MAX, report);
}

OP(subscribed_latest)
{
	return subscribe(world, TARN_TOPIC_LATEST, UINT32_MAX, report);
}

OP(subscribed_in_vain)
{
	return subscribe(world, 0, 0, report);
}

static struct tarn_message held;

OP(holding)
{
	int r = subscribed(world, report);

	return r == 0 ? tarn_subscriber_hold(subscriber, &held) : r;
}

OP(holding_lossy)
{
	int r = subscribed_lossy(world, report);

	return r == 0 ? tarn_subscriber_hold(subscriber, &held) : r;
}

/* Its own subscriber takes nothing, and its lane is full. */
OP(publishing_full)
{
	int r = subscribed_in_vain(world, report);
	uint64_t n = 2;

	if (r == 0)
		r = open_publisher(world, report);
	while (r == 0 && publish(n + 1, SIZE) == 0)
		n++;
	state_of(world)->published = n;
	return r;
}

/* --- operations ---------------------------------------------------------------------------- */

OP(become_publisher)
{
	(void)world, (void)report;
	return tarn_publisher_open(region, "news", &lane, &publisher);
}

OP(become_subscriber)
{
	const struct tarn_topic_opts opts = { .history = 1 };

	(void)world, (void)report;
	return tarn_subscriber_open(region, "news", &opts, &subscriber);
}

OP(publish_one)
{
	(void)report;
	return publish(state_of(world)->published + 1, SIZE);
}

OP(publish_large)
{
	(void)report;
	return publish(state_of(world)->published + 1, LARGE);
}

OP(publish_waiting)
{
	unsigned char bytes[SIZE];

	(void)report;
	memset(bytes, (int)(state_of(world)->published + 1), sizeof(bytes));
	return tarn_publisher_publish_wait(publisher, bytes, sizeof(bytes), 0);
}

OP(loan_waiting)
{
	void *data;

	(void)world, (void)report;
	return tarn_publisher_loan_wait(publisher, SIZE, tarn_deadline_after(3000000), &data);
}

OP(publish_three)
{
	unsigned char bytes[3][SIZE];
	struct tarn_buf bufs[3];
	size_t done = 0;
	int r;

	for (unsigned i = 0; i < 3; i++) {
		memset(bytes[i], (int)(state_of(world)->published + 1 + i), SIZE);
		bufs[i] = (struct tarn_buf){ bytes[i], SIZE };
	}
	r = tarn_publisher_publish_batch(publisher, bufs, 3, &done);
	return r == 0 && done != 3 ? harness_say(report, 1, "%d of 3", (int)done) : r;
}

OP(lend)
{
	void *data;
	int r = tarn_publisher_loan(publisher, SIZE, &data);

	(void)world, (void)report;
	if (r == 0)
		memset(data, 0xff, SIZE);
	return r;
}

OP(commit)
{
	(void)world, (void)report;
	return tarn_publisher_commit(publisher, SIZE);
}

OP(abort_loan)
{
	(void)world, (void)report;
	tarn_publisher_abort(publisher);
	return 0;
}

OP(look_at_publisher)
{
	struct tarn_publisher_stat stat;
	struct tarn_topic_blocker blocker;
	int r = tarn_publisher_stat(publisher, &stat);

	(void)world, (void)report;
	return tarn_publisher_blocker(publisher, &blocker) == -ENOENT ? r : 1;
}

OP(await_subscribers)
{
	(void)world, (void)report;
	return tarn_publisher_wait_subscribers(publisher, 2, tarn_deadline_after(3000000));
}

OP(grow_larger)
{
	(void)world, (void)report;
	return tarn_publisher_grow(publisher, LANE, NULL);
}

OP(leave_publishing)
{
	(void)world, (void)report;
	tarn_publisher_close(publisher);
	publisher = NULL;
	return 0;
}

OP(take_first)
{
	(void)world, (void)report;
	return take_number(1);
}

OP(take_last)
{
	(void)report;
	return take_number(state_of(world)->published);
}

/* Both at once. */
OP(take_both)
{
	struct tarn_message messages[2];
	unsigned char bytes[2 * LARGE];
	size_t done = 0;
	int r = tarn_subscriber_take_batch(subscriber, bytes, sizeof(bytes), messages, 2, &done);

	(void)world;
	for (size_t i = 0; i < done; i++)
		if (!whole(messages[i].data, &messages[i], i + 1))
			return harness_say(report, 1, "message %d of a batch is torn", (int)i);
	return r == 0 && done != 2 ? harness_say(report, 1, "%d of 2", (int)done) : r;
}

/* Past the end of the lane; low is raised meanwhile. */
OP(take_lap)
{
	struct tarn_message messages[A_LAP + 1];
	unsigned char bytes[(A_LAP + 1) * (SIZE + 8)];
	size_t done = 0;
	int r = tarn_subscriber_take_batch(subscriber, bytes, sizeof(bytes), messages, A_LAP + 1,
					   &done);

	if (r == 0 && messages[done - 1].number != state_of(world)->published)
		return harness_say(report, 1, "%d of a lap", (int)done);
	return r;
}

OP(take_last_of_batch)
{
	struct tarn_message messages[2];
	unsigned char bytes[2 * LARGE];
	size_t done = 0;
	int r = tarn_subscriber_take_batch(subscriber, bytes, sizeof(bytes), messages, 2, &done);

	if (r == 0 && (done != 1 || messages[0].number != state_of(world)->published))
		return harness_say(report, 1, "%d, not the newest alone", (int)done);
	return r;
}

OP(take_waiting)
{
	struct tarn_message message;
	unsigned char bytes[LARGE];

	(void)world, (void)report;
	return tarn_subscriber_take_wait(subscriber, bytes, sizeof(bytes),
					 tarn_deadline_after(3000000), &message);
}

static struct tarn_waiter *waiter;

OP(subscribed_with_waiter)
{
	static const struct tarn_waiter_opts asleep = { .flags = TARN_WAITER_NO_SPIN };
	int r = subscribed_in_vain(world, report);

	if (r == 0)
		r = tarn_waiter_open(&asleep, &waiter);
	return r == 0 ? tarn_waiter_add_subscriber(waiter, subscriber, NULL) : r;
}

/* Of the region nothing but that somebody sleeps there is changed by it. */
OP(wait_by_waiter)
{
	size_t count;
	void *tag;

	(void)world, (void)report;
	return tarn_waiter_wait(waiter, tarn_deadline_after(3000000), &tag, 1, &count);
}

OP(hold_waiting)
{
	(void)world, (void)report;
	return tarn_subscriber_hold_wait(subscriber, tarn_deadline_after(3000000), &held);
}

OP(hold_and_release)
{
	int r = tarn_subscriber_hold(subscriber, &held);

	(void)world, (void)report;
	if (r == 0 && !whole(held.data, &held, 1))
		return 1;
	return r == 0 ? tarn_subscriber_release(subscriber, &held) : r;
}

OP(release)
{
	(void)world, (void)report;
	return tarn_subscriber_release(subscriber, &held);
}

OP(look_at_subscriber)
{
	struct tarn_subscriber_stat stat;

	(void)world, (void)report;
	return tarn_subscriber_stat(subscriber, &stat);
}

OP(leave_subscribing)
{
	(void)world, (void)report;
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
	return 0;
}

OP(describe)
{
	struct tarn_type *type;

	(void)world, (void)report;
	return tarn_topic_describe(region, "news", &type);
}

OP(remove_topic)
{
	(void)world, (void)report;
	return tarn_object_remove(region, "news");
}

/* --- survivors ----------------------------------------------------------------------------- */

/* What is there is whole and without a gap: *@last is the newest. */
static int take_all(uint64_t *last, struct harness_report *report)
{
	struct tarn_message message;
	unsigned char bytes[LARGE];
	uint64_t next = 0;
	int r;

	*last = 0;
	while ((r = tarn_subscriber_take(subscriber, bytes, sizeof(bytes), &message)) == 0) {
		if (message.missed != 0 || (next != 0 && message.number != next) ||
		    !whole(bytes, &message, message.number))
			return harness_say(report, KILL_VIOLATION, "message %d is torn, or a gap",
					   (int)message.number);
		*last = message.number;
		next = message.number + 1;
	}
	return r == -EAGAIN ? 0 : survivor_say(report, "take", r, NULL);
}

/* Two laps more, each message taken at once: nobody who is dead may be in the way. */
static int go_on(uint64_t last, struct harness_report *report)
{
	for (uint64_t n = last + 1; n <= last + 2 * A_LAP; n++) {
		int r = publish(n, SIZE);

		if (r < 0)
			return survivor_say(report, "publish", r, NULL);
		if (take_number(n) != 0)
			return harness_say(report, KILL_VIOLATION, "message %d is not what it was",
					   (int)n);
	}
	return 0;
}

static int wind_up(struct kill_world *world, struct harness_report *report)
{
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	publisher = NULL;
	subscriber = NULL;
	if (tarn_object_remove(region, "news") < 0)
		return harness_say(report, KILL_VIOLATION, "the topic cannot be removed");
	if (survivor_kept(region, report) < 0 || survivor_whole(world, region, 1, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	region = NULL;
	return 0;
}

/* The outcome is how many messages are new. */
static int judge(struct kill_world *world, struct harness_report *report)
{
	uint64_t last, before = state_of(world)->published;

	region = NULL;
	publisher = NULL;
	subscriber = NULL;
	if (join(world, report) != 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	if (subscribe(world, 0, UINT32_MAX, report) < 0 || take_all(&last, report) < 0)
		return KILL_VIOLATION;
	if (last < before)
		return harness_say(report, KILL_VIOLATION, "%d is the newest, and was %d",
				   (int)last, (int)before);
	if (open_publisher(world, report) < 0 || go_on(last, report) < 0 ||
	    wind_up(world, report) < 0)
		return KILL_VIOLATION;
	return (int)(last - before);
}

OP(check)
{
	return judge(world, report);
}

OP(check_batch)
{
	int there = judge(world, report);

	if (there < 0 || there % 3 != 0)
		return there < 0 ? there
				 : harness_say(report, KILL_VIOLATION, "%d of a batch of 3", there);
	return there / 3;
}

/* The topic is there, or not; made, it works. */
static int judge_presence(struct kill_world *world, struct harness_report *report, bool there_is_1)
{
	int there;

	region = NULL;
	subscriber = NULL;
	publisher = NULL;
	if (join(world, report) != 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	there = tarn_subscriber_open(region, "news", NULL, &subscriber);
	if (there < 0 && there != -ENOENT)
		return survivor_say(report, "open", there, NULL);
	if (there < 0 && subscribe(world, 0, 0, report) < 0)
		return KILL_VIOLATION;
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
	if (subscribe(world, 0, 0, report) < 0 || open_publisher(world, report) < 0)
		return KILL_VIOLATION;

	struct tarn_publisher_stat stat;

	if (tarn_publisher_stat(publisher, &stat) < 0 || go_on(stat.number, report) < 0 ||
	    wind_up(world, report) < 0)
		return KILL_VIOLATION;
	return (there == 0) == there_is_1;
}

OP(check_made)
{
	return judge_presence(world, report, true);
}

OP(check_removed)
{
	return judge_presence(world, report, false);
}

/* What the next ones do. */
OP(recover)
{
	int r = subscribe(world, 0, 0, report);
	struct tarn_publisher_stat stat;

	if (r == 0)
		r = open_publisher(world, report);

	if (r == 0)
		r = tarn_publisher_stat(publisher, &stat);
	if (r == 0)
		r = publish(stat.number + 1, SIZE);
	return r;
}

OP(check_after)
{
	int there = judge(world, report);

	return there < 0 ? there : 0;
}

/* clang-format off */
#define NEW(nm, before, first, what, judge_) \
	{ .name = "topic-" nm, .setup = before, .prepare = first, .op = what, .check = judge_, \
	  .ready = join }
#define SAME(nm, before, first, what) \
	{ .name = "topic-" nm, .setup = before, .prepare = first, .op = what, .check = check, \
	  .ready = join, .flags = KILL_UNCHANGED }
#define TWICE(nm, before, first, what) \
	{ .name = "topic-" nm, .setup = before, .prepare = first, .op = what, \
	  .check = check_after, .ready = join, .recover = recover, .flags = KILL_UNCHANGED }
#define IN_VAIN(nm, before, first, what, error) \
	{ .name = "topic-" nm, .setup = before, .prepare = first, .op = what, \
	  .check = check, .result = -error, .flags = KILL_UNCHANGED | KILL_SLOW }

static const struct kill_op ops[] = {
	NEW("open-creating", bare, join, become_publisher, check_made),
	NEW("subscriber-open-creating", bare, join, become_subscriber, check_made),
	NEW("remove", with_two, join, remove_topic, check_removed),
	SAME("publisher-open", with_two, join, become_publisher),
	SAME("publisher-open-laps", laps, join, become_publisher),
	SAME("publisher-open-after-dead", left_writing, join, become_publisher),
	TWICE("publisher-open-again", left_writing, join, become_publisher),
	NEW("publish", with_two, publishing, publish_one, check),
	NEW("publish-skipping", at_the_end, publishing, publish_one, check),
	NEW("publish-laps", laps, publishing, publish_one, check),
	NEW("publish-large", laps, publishing, publish_large, check),
	NEW("publish-past-dead-subscriber", left_subscribed, publishing, publish_one, check),
	TWICE("publish-past-dead-again", left_subscribed, publishing, publish_one),
	NEW("publish-batch", with_two, publishing, publish_three, check_batch),
	SAME("loan", laps, publishing, lend),
	NEW("commit", at_the_end, publishing_on_loan, commit, check),
	SAME("abort", with_two, publishing_on_loan, abort_loan),
	SAME("publisher-stat", with_two, publishing, look_at_publisher),
	SAME("grow", with_two, publishing, grow_larger),
	SAME("grow-on-loan", with_two, publishing_on_loan, grow_larger),
	TWICE("grow-again", with_two, publishing, grow_larger),
	SAME("publisher-close", with_two, publishing, leave_publishing),
	SAME("subscriber-open", laps, join, become_subscriber),
	TWICE("subscriber-open-again", laps, join, become_subscriber),
	SAME("take", with_two, subscribed, take_first),
	SAME("take-lossy", with_two, subscribed_lossy, take_first),
	SAME("take-latest", with_two, subscribed_latest, take_last),
	SAME("take-batch", with_two, subscribed, take_both),
	SAME("take-batch-laps", laps, subscribed, take_lap),
	SAME("take-batch-lossy", with_two, subscribed_lossy, take_both),
	SAME("take-batch-latest", with_two, subscribed_latest, take_last_of_batch),
	SAME("hold", with_two, subscribed, hold_and_release),
	SAME("hold-lossy", with_two, subscribed_lossy, hold_and_release),
	TWICE("hold-lossy-again", with_two, subscribed_lossy, hold_and_release),
	SAME("release", with_two, holding, release),
	SAME("release-lossy", with_two, holding_lossy, release),
	SAME("subscriber-stat", with_two, holding, look_at_subscriber),
	SAME("subscriber-close-holding", with_two, holding_lossy, leave_subscribing),
	IN_VAIN("describe", with_two, join, describe, ENOENT),
	IN_VAIN("publish-wait-in-vain", with_two, publishing_full, publish_waiting, ETIMEDOUT),
	IN_VAIN("loan-wait-in-vain", with_two, publishing_full, loan_waiting, ETIMEDOUT),
	IN_VAIN("wait-subscribers-in-vain", with_two, publishing, await_subscribers, ETIMEDOUT),
	IN_VAIN("take-wait-in-vain", with_two, subscribed_in_vain, take_waiting, ETIMEDOUT),
	IN_VAIN("waiter-in-vain", with_two, subscribed_with_waiter, wait_by_waiter, ETIMEDOUT),
	IN_VAIN("hold-wait-in-vain", with_two, subscribed_in_vain, hold_waiting, ETIMEDOUT),
};
/* clang-format on */

static void roomy(struct kill_world *world, const struct kill_op *op)
{
	survivor_world(world, op);
	world->heap = 131072;
	world->max = 262144;
}

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), roomy);
}
