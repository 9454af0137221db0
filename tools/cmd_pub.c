/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn pub REGION/TOPIC [TEXT...] - publish messages: texts, a file, or what comes from standard
 * input, by lines or in frames of one size. Region and topic are made if they are absent.
 *
 * On a topic that has a type each text or line is a JSON object, from which the message is made.
 * All TEXTs are read before the first is published.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tarn/latest.h>
#include <tarn/topic.h>
#include <tarn/type.h>

#include "apart.h"
#include "cli.h"
#include "cmds.h"
#include "compose.h"
#include "look.h"
#include "payload.h"
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
	{ 'l', "lane", "SIZE",
	  "bytes of the publisher's lane, a power of two; 1M, or what a message needs" },
	{ 'f', "frames", "SIZE", "standard input is frames of so many bytes, not lines" },
	{ 0, "file", "FILE", "the bytes of FILE are the message; - is standard input" },
	{ 0, "raw", NULL, "of a topic with a type: TEXTs and lines are its bytes, and no JSON" },
	{ 0, "type", "REGION/OBJECT",
	  "make the topic of the type that this struct, latest value or topic has" },
	APART_PEERS,
	{ 0, "patience", "SECONDS",
	  "of unix:DIR/TOPIC: for how long a slow subscriber may hold this one up; 0 if not "
	  "given" },
	{ 0 },
};

struct pub {
	struct cli *cli;
	const char *name;
	struct tarn_region *region;
	struct tarn_publisher *publisher;
	int64_t timeout_ns; /* -1: none */
	struct pace pace;
	uint64_t lane, frame, subscribers, count;
	bool told;              /* who is in the way */
	struct tarn_type *type; /* NULL: bytes, or taken as such */
	struct tarn_type *like; /* of --type */
	uint32_t type_size;     /* bytes of each message; 0: any */
	bool sockets;           /* the topic is in a directory of sockets */
	struct apart apart;
	int64_t patience_ns;
	struct payload *messages; /* what is published again and again */
	size_t message_count;
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

static int wrong_size(struct pub *pub, size_t size)
{
	struct tarn_diag diag = { .what = "" };

	tarn_publisher_explain(pub->publisher, -EMSGSIZE, size, &diag);
	cli_error(pub->cli, "%s: %s", pub->name, diag.what);
	if (pub->type_size != 0 && size != pub->type_size)
		cli_hint("tarn topics %s names the type; without --raw, --file and --frames "
			 "messages are JSON objects",
			 pub->name);
	else
		cli_hint("--lane: a lane of more than twice that, and a name that no topic has yet "
			 "or a lane of that size");
	return CLI_FAILURE;
}

/* The region may have been made for less. False: it does not grow. */
static bool make_room(struct pub *pub, uint64_t more)
{
	struct tarn_region_stat stat;

	return pub->region != NULL && tarn_region_stat(pub->region, &stat) == 0 &&
	       tarn_region_grow(pub->region, stat.size + more, NULL) == 0;
}

/* The lane was not asked for: go on in a larger one, and again, if others took what the region grew
 * by. -1: done. */
static int grow(struct pub *pub, size_t size)
{
	int r = -ENOSPC;

	for (int tries = 0; tries < 100; tries++) {
		r = tarn_publisher_grow(pub->publisher, size, &pub->cli->diag);
		if (r != -ENOSPC || !make_room(pub, BESIDE + 8 * (uint64_t)size))
			break;
	}
	if (r < 0)
		return cli_fail(pub->cli, pub->name, r);
	pub->cli->diag = (struct tarn_diag){ 0 };
	return -1;
}

/* -1: go on; else the exit code. */
static int publish(struct pub *pub, const void *data, size_t size)
{
	int64_t began, deadline;

	pace_keep(&pub->pace);
	began = tarn_now();
	deadline = deadline_of(pub, began);
	while (stream_signal() == 0) {
		int r = tarn_publisher_publish_wait(pub->publisher, data, size,
						    slice_until(deadline));

		if (r == 0)
			return -1;
		if (r == -EMSGSIZE && pub->lane == 0 && pub->type_size == 0) {
			int code = grow(pub, size);

			if (code >= 0)
				return code;
			continue;
		}
		if (r == -EMSGSIZE)
			return wrong_size(pub, size);
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

/* --- messages ------------------------------------------------------------------------------ */

static int add_message(struct pub *pub, unsigned char *bytes, size_t size)
{
	struct payload *grown = realloc(pub->messages, (pub->message_count + 1) * sizeof(*grown));

	if (grown == NULL || bytes == NULL) {
		free(bytes);
		pub->messages = grown != NULL ? grown : pub->messages;
		return cli_fail(pub->cli, pub->name, -ENOMEM);
	}
	grown[pub->message_count++] = (struct payload){ bytes, size };
	pub->messages = grown;
	return CLI_OK;
}

/* All TEXTs, as they are published. */
static int read_texts(struct pub *pub)
{
	const struct cli *cli = pub->cli;
	int code = CLI_OK;

	for (int k = 1; k < cli->argc && code == CLI_OK; k++) {
		size_t size = strlen(cli->argv[k]);
		unsigned char *bytes = malloc((pub->type != NULL ? pub->type->size : size) + 1);

		if (bytes != NULL && pub->type != NULL)
			code = compose_json(pub->cli, pub->name, pub->type, cli->argv[k], size,
					    bytes);
		else if (bytes != NULL)
			memcpy(bytes, cli->argv[k], size);
		if (code != CLI_OK)
			free(bytes);
		else
			code = add_message(pub, bytes, pub->type != NULL ? pub->type->size : size);
	}
	return code;
}

static int read_file(struct pub *pub, const char *path)
{
	struct payload payload;
	int code = payload_read(pub->cli, path, &payload);

	return code == CLI_OK ? add_message(pub, payload.bytes, payload.size) : code;
}

static int publish_messages(struct pub *pub)
{
	int code = -1;

	for (uint64_t i = 0; (pub->count == 0 || i < pub->count) && code < 0; i++)
		for (size_t k = 0; k < pub->message_count && code < 0; k++)
			code = publish(pub, pub->messages[k].bytes, pub->messages[k].size);
	return code < 0 ? CLI_OK : code;
}

/* A line of a topic that has a type; an empty one is none. */
static int publish_object(struct pub *pub, uint64_t number, const char *line, size_t size,
			  unsigned char *bytes)
{
	char name[4400];
	int code;

	if (strspn(line, " \t\r") == size)
		return -1;
	snprintf(name, sizeof(name), "%s: line %" PRIu64, pub->name, number);
	code = compose_json(pub->cli, name, pub->type, line, size, bytes);
	return code == CLI_OK ? publish(pub, bytes, pub->type->size) : code;
}

static int publish_lines(struct pub *pub)
{
	unsigned char *bytes = pub->type != NULL ? malloc(pub->type->size) : NULL;
	uint64_t number = 0;
	char *line = NULL;
	size_t room = 0;
	ssize_t got;
	int code = -1;

	if (pub->type != NULL && bytes == NULL)
		return cli_fail(pub->cli, pub->name, -ENOMEM);
	while (code < 0 && (got = getline(&line, &room, stdin)) >= 0) {
		size_t size = (size_t)got - (got > 0 && line[got - 1] == '\n' ? 1 : 0);

		line[size] = '\0';
		code = pub->type != NULL ? publish_object(pub, ++number, line, size, bytes)
					 : publish(pub, line, size);
	}
	free(line);
	free(bytes);
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
	const struct tarn_topic_opts opts = { .lane_size = pub->lane,
					      .type = pub->like,
					      .diag = &pub->cli->diag };
	int r = -ENOSPC;

	for (int tries = 0; tries < 100; tries++) {
		r = tarn_publisher_open(pub->region, topic, &opts, &pub->publisher);
		if (r != -ENOSPC ||
		    !make_room(pub, BESIDE + (pub->lane != 0 ? pub->lane : LANE_DEFAULT)))
			break;
	}
	if (r == 0)
		r = tarn_topic_describe(pub->region, topic, &pub->type);
	if (r == -ENOSPC && pub->lane == 0)
		snprintf(pub->cli->diag.hint, sizeof(pub->cli->diag.hint),
			 "--lane takes less than 1M; or grow the region, or remove objects");
	if (r < 0 && (r != -ENOENT || pub->publisher == NULL))
		return cli_fail(pub->cli, pub->name, r);
	pub->cli->diag = (struct tarn_diag){ 0 };
	pub->type_size = pub->type != NULL ? pub->type->size : 0;
	if (cli_given(pub->cli, "raw")) {
		tarn_type_free(pub->type);
		pub->type = NULL;
	}
	return -1;
}

/* In a directory of sockets: no region, and the type is what --type says. */
static int open_apart(struct pub *pub, const struct look_name *name)
{
	struct tarn_topic_opts opts = { .lane_size = pub->lane,
					.type = pub->like,
					.socket_dir = name->region,
					.patience_ns = pub->patience_ns,
					.diag = &pub->cli->diag };
	int r;

	if (!apart_peers(pub->cli, &pub->apart, &opts))
		return CLI_USAGE;
	r = tarn_publisher_open(NULL, name->object, &opts, &pub->publisher);
	if (r < 0)
		return cli_fail(pub->cli, pub->name, r);
	pub->type_size = pub->like != NULL ? pub->like->size : 0;
	if (!cli_given(pub->cli, "raw")) {
		pub->type = pub->like;
		pub->like = NULL;
	}
	return -1;
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

/* -1: go on; else the exit code. */
static int read_messages(struct pub *pub)
{
	const char *file = cli_value(pub->cli, "file");
	int code = file != NULL ? read_file(pub, file) : read_texts(pub);

	return code == CLI_OK ? -1 : code;
}

static int open_in_region(struct pub *pub, const struct look_name *name)
{
	struct tarn_region_opts opts = { 0 };
	int r;

	if (cli_given(pub->cli, "peers") || cli_given(pub->cli, "patience"))
		return cli_usage(pub->cli, "--peers and --patience are of topics named "
					   "unix:DIR/TOPIC");
	if (!cli_open_opts(pub->cli, &opts))
		return CLI_USAGE;
	r = open_region(pub, name->region, &opts);
	return r < 0 ? cli_fail(pub->cli, name->region, r) : open_publisher(pub, name->object);
}

static int run_open(struct pub *pub, const struct look_name *name)
{
	int code = pub->sockets ? open_apart(pub, name) : open_in_region(pub, name);

	if (code < 0)
		code = read_messages(pub);
	if (code < 0)
		code = wait_subscribers(pub);
	pace_begin(&pub->pace);
	if (code < 0)
		code = pub->message_count > 0 ? publish_messages(pub)
		       : pub->frame != 0      ? publish_frames(pub)
					      : publish_lines(pub);
	tarn_publisher_close(pub->publisher);
	tarn_region_close(pub->region);
	return code;
}

/* The type of whatever @text names. */
static int find_type(struct pub *pub, const char *text)
{
	struct tarn_latest *latest = NULL;
	struct tarn_region *region = NULL;
	struct tarn_region_opts opts;
	struct look_name name;
	int r;

	if (text == NULL)
		return CLI_OK;
	if (!look_opts(pub->cli, &opts))
		return CLI_USAGE;
	if (!look_name(text, &name) || name.object == NULL)
		return cli_usage(pub->cli, "'%s' is no value for --type: REGION/OBJECT", text);
	r = tarn_region_open(name.region, &opts, &region);
	if (r < 0)
		return look_fail(pub->cli, name.region, r);
	r = tarn_struct_describe(region, name.object, &pub->like, NULL, NULL);
	if (r == -EPROTO)
		r = tarn_topic_describe(region, name.object, &pub->like);
	if (r == -EPROTO)
		r = tarn_latest_open(region, name.object, NULL, &latest);
	if (r == 0 && latest != NULL)
		r = tarn_latest_describe(latest, &pub->like);
	tarn_latest_close(latest);
	tarn_region_close(region);
	if (r == -EPROTO || r == -ENOENT) {
		snprintf(pub->cli->diag.what, sizeof(pub->cli->diag.what),
			 r == -EPROTO ? "it has no type"
				      : "there is no such object, or it has no type");
		snprintf(pub->cli->diag.hint, sizeof(pub->cli->diag.hint),
			 "a struct, latest value or topic with a type is wanted: tarn get and tarn "
			 "topics list them");
	}
	return r < 0 ? cli_fail(pub->cli, text, r) : CLI_OK;
}

static int pub_run(struct cli *cli)
{
	struct pub pub = { .cli = cli, .name = cli->argv[0], .timeout_ns = -1, .count = 1 };
	struct look_name name;
	int code;

	if (!cli_seconds(cli, "patience", &pub.patience_ns) ||
	    !cli_seconds(cli, "timeout", &pub.timeout_ns) || !cli_size(cli, "lane", &pub.lane) ||
	    !cli_size(cli, "frames", &pub.frame) ||
	    !cli_number(cli, "count", 0, UINT64_MAX, &pub.count) ||
	    !cli_number(cli, "wait-subscribers", 0, TARN_TOPIC_SUBSCRIBERS_MAX, &pub.subscribers) ||
	    !pace_take(cli, &pub.pace))
		return CLI_USAGE;
	if ((cli->argc > 1) + (pub.frame != 0) + cli_given(cli, "file") > 1)
		return cli_usage(cli, "messages are TEXTs, a --file or --frames: one of these");
	pub.sockets = apart_name(cli->argv[0], &name);
	if (!pub.sockets && (!look_name(cli->argv[0], &name) || name.object == NULL))
		return cli_usage(cli, "%s: a topic is named REGION/TOPIC, or unix:DIR/TOPIC",
				 cli->argv[0]);
	stream_signals_watch();
	code = find_type(&pub, cli_value(cli, "type"));
	if (code == CLI_OK)
		code = run_open(&pub, &name);
	for (size_t i = 0; i < pub.message_count; i++)
		free(pub.messages[i].bytes);
	free(pub.messages);
	tarn_type_free(pub.type);
	tarn_type_free(pub.like);
	return code;
}

static const struct cli_example pub_examples[] = {
	{ "tarn pub house/news 'the kettle boils'", "one message" },
	{ "dmesg -w | tarn pub house/log", "each line is one" },
	{ "tarn pub -w 2 -r 10 -c 0 house/tick tick",
	  "ten a second, once two subscribers are there" },
	{ "tarn pub shop/orders '{\"price\": 12.5, \"side\": \"buy\"}'",
	  "of a topic with a type: its fields by name" },
	{ "tarn pub --type shop/last shop/orders <orders.jsonl",
	  "make it of the type of another object; each line is an object" },
	{ "tarn pub -f 6220800 -l 64M house/frames <video.rgb", "frames of 1920 x 1080 pixels" },
	{ "tarn pub -l 64M --file picture.png house/pictures", "a file is one message" },
	{ "tarn pub --peers @traders -w 1 unix:/run/market/prices 101.5",
	  "for another user's processes, which need not be trusted" },
	{ 0 },
};

static const struct cli_exit_note pub_exits[] = {
	{ 1, "a message is too large for the lane, or not of the size of its type; the last frame "
	     "is not whole; or the file cannot be read" },
	{ 2, "a message is no JSON object, or a value does not fit its field" },
	{ 3, "the type has no such field; there is no such file, or nothing of the name that "
	     "--type has" },
	{ 4, "permission denied" },
	{ 5, "a subscriber was in the way, or too few were there, in the time allowed" },
	{ 6, "damaged, or the topic is of another version or type" },
	{ 0 },
};

const struct cli_cmd cmd_pub = {
	.name = "pub",
	.args = "REGION/TOPIC [TEXT...]",
	.summary = "publish messages to a topic",
	.about =
		"Each TEXT is a message; without one each line of standard input is, or, with "
		"--frames, each so many bytes of it; or, with --file, all that a file has. Region "
		"and topic are made if they are absent, and stay: tarn rm removes them.\n\n"
		"Where the topic has a type each TEXT or line is a JSON object: keys are fields, "
		"or "
		"paths to them, as legs[1].price; what is not named is 0, and so are the elements "
		"that a shorter array leaves. Values of enumerations and flags are texts, as tarn "
		"put takes them. All TEXTs are read before the first is published; of lines the "
		"first that does not fit ends it, and is told. Empty lines are passed over. --raw "
		"takes the bytes as they are; they, frames and files are as many as the type "
		"has.\n\n"
		"Who subscribes gets what is published from then on; --wait-subscribers waits for "
		"them first. The newest messages stay in the lane for who comes later (tarn echo "
		"--history). A subscriber that is lossless and does not take its messages holds "
		"this one up: after a second it is said who it is. A message for which the lane "
		"is too small has it go on in a larger one, and the region grow, unless --lane "
		"says how large it is.\n\n"
		"unix:DIR/TOPIC is a topic in no region, for peers that need not trust each "
		"other: this one has a socket in the directory DIR, which must be there, and hands "
		"its memory out over it, to be read, to those whom --peers names. Its messages go "
		"with it; a subscriber that is slow loses some, but for --patience.",
	.operand = "region",
	.opts = pub_opts,
	.examples = pub_examples,
	.exits = pub_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = -1,
	.run = pub_run,
};
