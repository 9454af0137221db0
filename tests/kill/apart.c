/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart.c - topics in a directory of sockets: a peer killed at every instruction of an operation.
 *
 * There is no region whose image could be handed to a survivor, and no repair: what a death leaves
 * is mapped by the other side alone. So each kill is a real one: a child opens its side, is stepped
 * so many instructions into the operation, and killed; then this process, which has the other side
 * open, goes on.
 *
 * A publisher that died: its messages come whole and in order up to some point within the
 * operation, a batch as one, and none is missed where the lane had room; then its successor's.
 * A subscriber that died: it holds its publisher up no longer, whatever it had not taken or held.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tarn/topic.h>

#include "tracee.h"

#define WAIT_NS INT64_C(10000000000)

enum { BEFORE = 3, BATCH = 3, LANE = 4096, LONG = 900, DONE = 1 };

struct op {
	const char *name;
	bool publishes; /* the child does; else it subscribes */
	bool laps;      /* the lane is full of older messages, which are written over */
	uint64_t most;  /* messages that it publishes */
	kill_fn *fn;
};

static char dir[64];
static struct tarn_topic_opts opts;
static const struct op *op;
static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static struct tarn_message held;
static char lines[BATCH][LONG];

/* --- messages: the number, and bytes that follow from it ------------------------------------- */

static size_t size_of(uint64_t n)
{
	return 8 + n * 37 % 200;
}

static void fill(unsigned char *buf, uint64_t n, size_t size)
{
	memcpy(buf, &n, sizeof(n));
	for (size_t i = sizeof(n); i < size; i++)
		buf[i] = (unsigned char)(n * 31 + i);
}

static bool is_whole(const unsigned char *buf, size_t size, uint64_t n)
{
	unsigned char want[LONG];

	fill(want, n, size_of(n));
	return size == size_of(n) && memcmp(buf, want, size) == 0;
}

static int publish(uint64_t n)
{
	unsigned char buf[LONG];

	fill(buf, n, size_of(n));
	return tarn_publisher_publish(publisher, buf, size_of(n));
}

/* --- the child ----------------------------------------------------------------------------- */

static int publish_one(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return publish(op->laps ? 201 : BEFORE + 1);
}

static int publish_batch(struct kill_world *world, struct harness_report *report)
{
	struct tarn_buf bufs[BATCH];
	size_t count;

	(void)world, (void)report;
	for (uint64_t i = 0; i < BATCH; i++)
		bufs[i] = (struct tarn_buf){ lines[i], size_of(BEFORE + 1 + i) };
	return tarn_publisher_publish_batch(publisher, bufs, BATCH, &count);
}

static int commit(struct kill_world *world, struct harness_report *report)
{
	void *loan;
	int r = tarn_publisher_loan(publisher, size_of(BEFORE + 1), &loan);

	(void)world, (void)report;
	if (r < 0)
		return r;
	fill(loan, BEFORE + 1, size_of(BEFORE + 1));
	return tarn_publisher_commit(publisher, size_of(BEFORE + 1));
}

static int grow(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_publisher_grow(publisher, LANE, NULL);
}

static int take(struct kill_world *world, struct harness_report *report)
{
	struct tarn_message message;
	char buf[LONG];

	(void)world, (void)report;
	return tarn_subscriber_take(subscriber, buf, sizeof(buf), &message);
}

static int take_batch(struct kill_world *world, struct harness_report *report)
{
	struct tarn_message messages[BATCH];
	char buf[BATCH * LONG];
	size_t count;

	(void)world, (void)report;
	return tarn_subscriber_take_batch(subscriber, buf, sizeof(buf), messages, BATCH, &count);
}

static int hold(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_subscriber_hold(subscriber, &held);
}

static int release(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_subscriber_release(subscriber, &held);
}

static int take_all(struct kill_world *world, struct harness_report *report)
{
	int r;

	do
		r = take(world, report);
	while (r == 0);
	return r == -EAGAIN ? 0 : r;
}

static int wait_in_vain(struct kill_world *world, struct harness_report *report)
{
	struct tarn_message message;
	char byte;
	int r = tarn_subscriber_take_wait(subscriber, &byte, 1, tarn_now(), &message);

	(void)world, (void)report;
	return r == -ETIMEDOUT ? 0 : r;
}

static const struct op ops[] = {
	{ "publish", true, false, 1, publish_one },
	{ "publish-over-older", true, true, 1, publish_one },
	{ "publish-batch", true, false, BATCH, publish_batch },
	{ "commit", true, false, 1, commit },
	{ "grow", true, false, 0, grow },
	{ "take", false, false, 0, take },
	{ "take-all", false, false, 0, take_all },
	{ "take-batch", false, false, 0, take_batch },
	{ "take-wait", false, false, 0, wait_in_vain },
	{ "hold", false, false, 0, hold },
	{ "release", false, false, 0, release },
};

static int prepare_publisher(struct harness_report *report)
{
	uint64_t before = op->laps ? 200 : BEFORE;

	if (tarn_publisher_open(NULL, "news", &opts, &publisher) < 0 ||
	    tarn_publisher_wait_subscribers(publisher, 1, tarn_deadline_after(WAIT_NS)) < 0)
		return harness_say(report, -1, "setup: no publisher with a subscriber");
	for (uint64_t n = 1; n <= before; n++)
		if (publish(n) < 0)
			return harness_say(report, -1, "setup: message %d is not published",
					   (int)n);
	for (uint64_t i = 0; i < BATCH; i++)
		fill((unsigned char *)lines[i], BEFORE + 1 + i, size_of(BEFORE + 1 + i));
	return 0;
}

static int prepare(struct kill_world *world, struct harness_report *report)
{
	struct tarn_topic_opts want = opts;

	alarm(60);
	if (op->publishes)
		return prepare_publisher(report);
	want.history = UINT32_MAX;
	if (op->fn == hold || op->fn == release)
		want.flags = TARN_TOPIC_LOSSY;
	if (tarn_subscriber_open(NULL, "news", &want, &subscriber) < 0)
		return harness_say(report, -1, "setup: no subscriber");
	if (op->fn == release && hold(world, report) < 0)
		return harness_say(report, -1, "setup: nothing to hold");
	if (op->fn == wait_in_vain && take_all(world, report) < 0)
		return harness_say(report, -1, "setup: something to take");
	return 0;
}

/* --- who survives -------------------------------------------------------------------------- */

/* Take all of the dead one's; @done: the operation was through. NULL, or what is wrong. */
static const char *take_what_is_there(bool done)
{
	uint64_t before = op->laps ? 200 : BEFORE, last = 0;
	unsigned char buf[LONG];
	struct tarn_message message;
	int r;

	while ((r = tarn_subscriber_take(subscriber, buf, sizeof(buf), &message)) == 0) {
		if (message.number != last + 1 + message.missed)
			return "a number is out of order, or the missed are not counted";
		if (message.missed != 0 && !op->laps)
			return "a message is missed";
		if (!is_whole(buf, message.size, message.number))
			return "a message is torn";
		last = message.number;
	}
	if (r != -EAGAIN)
		return "taking failed";
	if (last != before && last != before + op->most)
		return "half of the operation is there";
	return done && last != before + op->most ? "what was published is not there" : NULL;
}

static bool wait_publishers(uint32_t count)
{
	int64_t deadline = tarn_deadline_after(WAIT_NS);
	struct tarn_subscriber_stat stat;

	do {
		if (tarn_subscriber_stat(subscriber, &stat) < 0)
			return false;
	} while (stat.publishers != count && tarn_now() < deadline && sched_yield() == 0);
	return stat.publishers == count;
}

static const char *go_on_without_publisher(bool done)
{
	struct tarn_message message;
	unsigned char buf[LONG];
	const char *wrong = take_what_is_there(done);

	if (wrong != NULL)
		return wrong;
	if (!wait_publishers(0))
		return "the dead one is not told";
	if (tarn_publisher_open(NULL, "news", &opts, &publisher) < 0)
		return "nobody can follow it";
	if (tarn_publisher_wait_subscribers(publisher, 1, tarn_deadline_after(WAIT_NS)) < 0 ||
	    publish(1) < 0)
		return "its successor finds no subscriber";
	if (tarn_subscriber_take_wait(subscriber, buf, sizeof(buf), tarn_deadline_after(WAIT_NS),
				      &message) < 0 ||
	    !is_whole(buf, message.size, 1))
		return "its successor's message does not come";
	tarn_publisher_close(publisher);
	return NULL;
}

static const char *go_on_without_subscriber(uint64_t *n)
{
	unsigned char buf[LONG];

	for (int i = 0; i < 100; i++) { /* some laps */
		(*n)++;
		fill(buf, *n, size_of(*n));
		if (tarn_publisher_publish_wait(publisher, buf, size_of(*n),
						tarn_deadline_after(WAIT_NS)) < 0)
			return "the dead one is in the way";
	}
	return NULL;
}

/* --- the sweep ----------------------------------------------------------------------------- */

struct sums {
	uint64_t operations, boundaries, kills, violations;
};

static uint64_t stepped; /* instructions of the last one */

/* One kill, @steps into the operation. *@ret_done: it was through by then. NULL, or what is
 * wrong. */
static const char *kill_at(uint64_t steps, uint64_t *n, bool *ret_done)
{
	struct kill_world world = { .key = 0 };
	static struct harness_report *report;
	const char *wrong = NULL;
	struct tracee t = { .on_sleep = NULL };

	if (report == NULL)
		report = harness_shared(sizeof(*report));
	memset(report, 0, sizeof(*report));
	*ret_done = false;
	if (op->publishes && tarn_subscriber_open(NULL, "news", &opts, &subscriber) < 0)
		return "no subscriber";
	if (tracee_start(&t, &world, prepare, op->fn, report) < 0)
		return report->text;
	for (stepped = 0; stepped < steps && !*ret_done && wrong == NULL; stepped++) {
		enum tracee_event event = tracee_step(&t);

		*ret_done = event == TRACEE_ENDED;
		wrong = event == TRACEE_DIED ? report->text : NULL;
	}
	if (*ret_done && report->code < 0)
		wrong = "the operation failed";
	tracee_kill(&t);
	if (wrong == NULL)
		wrong = op->publishes ? go_on_without_publisher(*ret_done)
				      : go_on_without_subscriber(n);
	if (op->publishes) {
		tarn_subscriber_close(subscriber);
		subscriber = NULL;
	}
	return wrong;
}

/* All boundaries, or as many as @most of them, spread evenly from @phase on. */
static void sweep(struct sums *sums, uint64_t most, uint64_t phase)
{
	uint64_t n = 0, length = 0, kills = 0, violations = 0;
	bool done = false;

	if (most != 0 && op->fn == grow) /* which takes a hundred times as long */
		most = most / 10 + 1;
	opts.patience_ns = op->publishes ? 0 : TARN_FOREVER;
	if (!op->publishes) {
		struct tarn_topic_opts quick = opts;

		if (tarn_publisher_open(NULL, "news", &quick, &publisher) < 0)
			return;
		while (n < 10 && publish(++n) == 0)
			;
	}
	/* how long it is */
	const char *wrong = kill_at(UINT64_MAX, &n, &done);
	uint64_t step;

	length = stepped;
	step = most == 0 || length <= most ? 1 : length / most;
	done = false;
	for (uint64_t at = phase % step; wrong == NULL && !done; at += step, kills++)
		wrong = kill_at(at, &n, &done);
	if (wrong != NULL) {
		printf("# violation: %s, after %llu kills: %s\n", op->name,
		       (unsigned long long)kills, wrong);
		violations++;
	}
	printf("op name=%s kills=%llu violations=%llu\n", op->name, (unsigned long long)kills,
	       (unsigned long long)violations);
	fflush(stdout);
	if (!op->publishes)
		tarn_publisher_close(publisher);
	sums->operations++;
	sums->boundaries += kills;
	sums->violations += violations;
}

int main(int argc, char **argv)
{
	struct sums sums = { .operations = 0 };
	const char *only = "";
	uint64_t most = 25;
	bool list = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--full") == 0)
			most = 0;
		else if (strcmp(argv[i], "--quick") == 0)
			most = 400;
		else if (strncmp(argv[i], "--only=", 7) == 0)
			only = argv[i] + 7; /* ==NAME: that alone */
		else if (strcmp(argv[i], "--list") == 0)
			list = true;
	}
	if (!KILL_CAN_STEP) {
		printf("1..0 # SKIP no single step on this machine\n");
		return 77;
	}
	for (size_t i = 0; list && i < sizeof(ops) / sizeof(ops[0]); i++)
		puts(ops[i].name);
	if (list)
		return 0;
	snprintf(dir, sizeof(dir), "/tmp/tarn-kill-apart.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	opts = (struct tarn_topic_opts){ .socket_dir = dir, .lane_size = LANE };
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		op = &ops[i];
		if (only[0] == '=' ? strcmp(op->name, only + 1) == 0
				   : strstr(op->name, only) != NULL)
			sweep(&sums, most, (uint64_t)getpid());
	}
	printf("kill: %llu operations, %llu instruction boundaries, 0 distinct states, 0 double "
	       "kills, %llu real kills, 0 pairs, %llu violations\n",
	       (unsigned long long)sums.operations, (unsigned long long)sums.boundaries,
	       (unsigned long long)sums.boundaries, (unsigned long long)sums.violations);
	rmdir(dir);
	return sums.violations != 0;
}
