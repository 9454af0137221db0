/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn pub REGION/TOPIC [TEXT...] - publish messages: texts, or what comes from standard input, by
 * lines or in frames of one size. Region and topic are made if they are absent.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tarn/topic.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "stream.h"

#define LANE_DEFAULT (UINT64_C(1) << 20)
#define BESIDE       (UINT64_C(128) << 10) /* a topic, and what a lane has beside its messages */
#define GROWS_TO     (UINT64_C(1) << 30)
#define SLOW_NS      INT64_C(1000000000) /* then it is said who is in the way */

static const struct cli_opt pub_opts[] = {
	{ 'r', "rate", "HZ", "so many messages a second; else as fast as they come" },
	{ 'c', "count", "N", "publish the TEXTs N times, 0 = until a signal; 1 if not given" },
	{ 'w', "wait-subscribers", "N", "before anything, wait until so many are there" },
	{ 't', "timeout", "SECONDS",
	  "give up with exit code 5 after so long in the way of others" },
	{ 'l', "lane", "SIZE", "bytes of the publisher's lane, a power of two; 1M if not given" },
	{ 'f', "frames", "SIZE", "standard input is frames of so many bytes, not lines" },
	{ 0 },
};

struct pub {
	struct cli *cli;
	const char *name;
	struct tarn_region *region;
	struct tarn_publisher *publisher;
	int64_t timeout_ns; /* -1: none */
	int64_t step_ns;    /* of --rate; 0: none */
	int64_t next_ns;    /* when the next message is due */
	uint64_t lane, frame, subscribers, count;
	bool told; /* who is in the way */
};

static int64_t deadline_of(const struct pub *pub, int64_t began)
{
	return pub->timeout_ns < 0 ? INT64_MAX : began + pub->timeout_ns;
}

static int64_t slice_until(int64_t deadline)
{
	int64_t slice = tarn_deadline_after(STREAM_SLICE_NS);

	return slice < deadline ? slice : deadline;
}

/* --- publishing ---------------------------------------------------------------------------- */

static void say_blocker(struct pub *pub, bool error)
{
	struct tarn_topic_blocker blocker;
	char words[160] = "its lane is full";

	if (tarn_publisher_blocker(pub->publisher, &blocker) == 0)
		snprintf(words, sizeof(words),
			 "process %" PRId32 " has not taken what fills the lane%s", blocker.pid,
			 blocker.lossy ? ": it holds a message" : "");
	if (error)
		cli_error(pub->cli, "%s: %s, in the time allowed", pub->name, words);
	else
		cli_note(pub->cli, "%s: waiting: %s", pub->name, words);
}

static int too_large(struct pub *pub, size_t size)
{
	struct tarn_publisher_stat stat;

	if (tarn_publisher_stat(pub->publisher, &stat) < 0)
		return cli_fail(pub->cli, pub->name, -EMSGSIZE);
	cli_error(pub->cli, "%s: a message of %zu bytes; the largest has %" PRIu64, pub->name, size,
		  stat.size_max);
	cli_hint("--lane: a lane of more than twice that, and a name that no topic has yet or a "
		 "lane of that size");
	return CLI_FAILURE;
}

/* Until the next message is due. */
static void keep_pace(struct pub *pub)
{
	if (pub->step_ns == 0)
		return;
	while (stream_signal() == 0) {
		int64_t left = pub->next_ns - tarn_now();
		struct timespec nap = { .tv_sec = left / 1000000000, .tv_nsec = left % 1000000000 };

		if (left <= 0)
			break;
		nanosleep(&nap, NULL);
	}
	pub->next_ns += pub->step_ns;
}

/* -1: go on; else the exit code. */
static int publish(struct pub *pub, const void *data, size_t size)
{
	int64_t began, deadline;

	keep_pace(pub);
	began = tarn_now();
	deadline = deadline_of(pub, began);
	while (stream_signal() == 0) {
		int r = tarn_publisher_publish_wait(pub->publisher, data, size,
						    slice_until(deadline));

		if (r == 0)
			return -1;
		if (r == -EMSGSIZE)
			return too_large(pub, size);
		if (r != -ETIMEDOUT)
			return cli_fail(pub->cli, pub->name, r);
		if (tarn_now() >= deadline) {
			say_blocker(pub, true);
			return CLI_TIMEOUT;
		}
		if (!pub->told && tarn_now() - began > SLOW_NS) {
			pub->told = true;
			say_blocker(pub, false);
		}
	}
	return CLI_SIGNAL + stream_signal();
}

static int publish_texts(struct pub *pub)
{
	int code = -1;

	for (uint64_t i = 0; (pub->count == 0 || i < pub->count) && code < 0; i++)
		for (int k = 1; k < pub->cli->argc && code < 0; k++)
			code = publish(pub, pub->cli->argv[k], strlen(pub->cli->argv[k]));
	return code < 0 ? CLI_OK : code;
}

static int publish_lines(struct pub *pub)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;
	int code = -1;

	while (code < 0 && (size = getline(&line, &room, stdin)) >= 0)
		code = publish(pub, line,
			       (size_t)size - (size > 0 && line[size - 1] == '\n' ? 1 : 0));
	free(line);
	if (code < 0 && ferror(stdin) && stream_signal() == 0)
		return cli_fail(pub->cli, "standard input", -EIO);
	return code >= 0 ? code : stream_signal() != 0 ? CLI_SIGNAL + stream_signal() : CLI_OK;
}

static int publish_frames(struct pub *pub)
{
	unsigned char *frame = malloc(pub->frame);
	int code = frame == NULL ? cli_fail(pub->cli, pub->name, -ENOMEM) : -1;

	while (code < 0) {
		size_t got = fread(frame, 1, pub->frame, stdin);

		if (got == pub->frame) {
			code = publish(pub, frame, got);
			continue;
		}
		if (stream_signal() != 0)
			code = CLI_SIGNAL + stream_signal();
		else if (got != 0)
			code = cli_error(pub->cli,
					 "standard input: it ends with %zu bytes, and a frame has "
					 "%" PRIu64,
					 got, pub->frame);
		else
			code = CLI_OK;
	}
	free(frame);
	return code;
}

/* --- opening ------------------------------------------------------------------------------- */

/* The region may have been made for less: it grows where it may; and again, if others took what it
 * grew by. */
static int open_publisher(struct pub *pub, const char *topic)
{
	const struct tarn_topic_opts opts = { .lane_size = pub->lane, .diag = &pub->cli->diag };
	const uint64_t more = BESIDE + (pub->lane != 0 ? pub->lane : LANE_DEFAULT);
	struct tarn_region_stat stat;
	int r;

	for (int tries = 0; tries < 100; tries++) {
		r = tarn_publisher_open(pub->region, topic, &opts, &pub->publisher);
		if (r != -ENOSPC || tarn_region_stat(pub->region, &stat) < 0 ||
		    tarn_region_grow(pub->region, stat.size + more, NULL) < 0)
			break;
	}
	return r < 0 ? cli_fail(pub->cli, pub->name, r) : -1;
}

static int wait_subscribers(struct pub *pub)
{
	int64_t deadline = deadline_of(pub, tarn_now());
	int r = 0;

	if (pub->subscribers == 0)
		return -1;
	while (stream_signal() == 0) {
		r = tarn_publisher_wait_subscribers(pub->publisher, (uint32_t)pub->subscribers,
						    slice_until(deadline));
		if (r == 0)
			return -1;
		if (r != -ETIMEDOUT)
			return cli_fail(pub->cli, pub->name, r);
		if (tarn_now() >= deadline)
			break;
	}
	if (stream_signal() != 0)
		return CLI_SIGNAL + stream_signal();
	cli_error(pub->cli, "%s: there are not %" PRIu64 " subscribers in the time allowed",
		  pub->name, pub->subscribers);
	return CLI_TIMEOUT;
}

/* Of whatever size it is; if it is absent it is made. 0 or -errno. */
static int open_region(struct pub *pub, const char *name, const struct tarn_region_opts *opts)
{
	struct tarn_region_opts make = *opts;
	int r = -ENOENT;

	make.size = BESIDE + (pub->lane != 0 ? pub->lane : LANE_DEFAULT);
	make.max_size = make.size > GROWS_TO ? make.size : GROWS_TO;
	for (int lost = 0; lost < 100 && stream_signal() == 0; lost++) {
		const struct timespec nap = { .tv_nsec = 1000000 };

		r = tarn_region_open(name, opts, &pub->region);
		if (r == -ENOENT)
			r = tarn_region_create(name, &make, &pub->region);
		/* Another was faster, and made it for itself; or is just about to. */
		if (r != -EEXIST && r != -EAGAIN)
			break;
		nanosleep(&nap, NULL);
	}
	return r;
}

static int run_open(struct pub *pub, const struct look_name *name)
{
	struct tarn_region_opts opts = { 0 };
	int r, code;

	if (!cli_open_opts(pub->cli, &opts))
		return CLI_USAGE;
	r = open_region(pub, name->region, &opts);
	if (r < 0)
		return cli_fail(pub->cli, name->region, r);
	code = open_publisher(pub, name->object);
	if (code < 0)
		code = wait_subscribers(pub);
	pub->next_ns = tarn_now();
	if (code < 0)
		code = pub->cli->argc > 1 ? publish_texts(pub)
		       : pub->frame != 0  ? publish_frames(pub)
					  : publish_lines(pub);
	tarn_publisher_close(pub->publisher);
	tarn_region_close(pub->region);
	return code;
}

static int pub_run(struct cli *cli)
{
	struct pub pub = { .cli = cli, .name = cli->argv[0], .timeout_ns = -1, .count = 1 };
	struct look_name name;
	const char *rate = cli_value(cli, "rate");
	char *end = NULL;
	double hz = rate != NULL ? strtod(rate, &end) : 0;

	if (!cli_seconds(cli, "timeout", &pub.timeout_ns) || !cli_size(cli, "lane", &pub.lane) ||
	    !cli_size(cli, "frames", &pub.frame) ||
	    !cli_number(cli, "count", 0, UINT64_MAX, &pub.count) ||
	    !cli_number(cli, "wait-subscribers", 0, TARN_TOPIC_SUBSCRIBERS_MAX, &pub.subscribers))
		return CLI_USAGE;
	if (rate != NULL && (*end != '\0' || !(hz >= 1e-3) || hz > 1e9))
		return cli_usage(cli, "'%s' is no value for --rate: 0.001 to 1000000000", rate);
	pub.step_ns = rate != NULL ? (int64_t)(1e9 / hz) : 0;
	if (pub.frame != 0 && cli->argc > 1)
		return cli_usage(cli, "--frames is for standard input, and there are TEXTs");
	if (!look_name(cli->argv[0], &name) || name.object == NULL)
		return cli_usage(cli, "%s: a topic is named REGION/TOPIC", cli->argv[0]);
	stream_signals_watch();
	return run_open(&pub, &name);
}

static const struct cli_example pub_examples[] = {
	{ "tarn pub house/news 'the kettle boils'", "one message" },
	{ "dmesg -w | tarn pub house/log", "each line is one" },
	{ "tarn pub -w 2 -r 10 -c 0 house/tick tick",
	  "ten a second, once two subscribers are there" },
	{ "tarn pub -f 6220800 -l 64M house/frames <video.rgb", "frames of 1920 x 1080 pixels" },
	{ 0 },
};

static const struct cli_exit_note pub_exits[] = {
	{ 1, "a message is too large for the lane, or the last frame is not whole" },
	{ 4, "permission denied" },
	{ 5, "a subscriber was in the way, or too few were there, in the time allowed" },
	{ 6, "damaged, or the topic is of another version or type" },
	{ 0 },
};

const struct cli_cmd cmd_pub = {
	.name = "pub",
	.args = "REGION/TOPIC [TEXT...]",
	.summary = "publish messages to a topic",
	.about = "Each TEXT is a message; without one each line of standard input is, or, with "
		 "--frames, each so many bytes of it. Region and topic are made if they are "
		 "absent, and stay: tarn rm removes them.\n\n"
		 "Who subscribes gets what is published from then on; --wait-subscribers waits for "
		 "them first. The newest messages stay in the lane for who comes later (tarn echo "
		 "--history). A subscriber that is lossless and does not take its messages holds "
		 "this one up: after a second it is said who it is.",
	.operand = "region",
	.opts = pub_opts,
	.examples = pub_examples,
	.exits = pub_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = -1,
	.run = pub_run,
};
