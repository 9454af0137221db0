/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn topics [REGION[/TOPIC]...] - topics, their publishers and subscribers, and who holds whom
 * up. It looks only. Those of directories of sockets: topics_apart.c.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tarn/topic.h>
#include <tarn/type.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "out.h"
#include "scan.h"
#include "topics_apart.h"
#include "watch.h"

enum { USERS_MAX = TARN_TOPIC_PUBLISHERS_MAX + TARN_TOPIC_SUBSCRIBERS_MAX, MEMBERS_MAX = 1024 };

static const struct cli_opt topics_opts[] = {
	{ 'v', "verbose", NULL,
	  "of each topic its publishers and subscribers; also without it where one topic is "
	  "named" },
	{ 0, "held-up", NULL, "only those where a publisher is held up; exit 1 if there is any" },
	{ 0, "csv", NULL, "as comma-separated values, a line a topic" },
	{ 0, "peers", "WHO,...",
	  "of unix:DIR: users, @groups or all, whose publishers are looked at, beside this "
	  "user's" },
	{ 0, "remove-dead", NULL,
	  "of unix:DIR: remove the names that publishers have left that were killed" },
	{ 0 },
};

static const struct out_col topics_cols[] = {
	{ "name", "NAME", OUT_LONG, "REGION/TOPIC, or unix:DIR/TOPIC", false },
	{ "type", "TYPE", OUT_TEXT,
	  "of its messages; none: they are bytes. In a directory of sockets each publisher has its "
	  "own, and there may be several",
	  false },
	{ "publisher_count", "PUBS", OUT_COUNT, "publishers that are alive", false },
	{ "subscriber_count", "SUBS", OUT_COUNT,
	  "subscribers that are alive; who only looks is seen by nobody. In a directory of sockets "
	  "a publisher alone knows of its own",
	  false },
	{ "message_count", "MESSAGES", OUT_COUNT, "messages that were published, by all", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "memory of the topic and of its lanes", false },
	{ "held_up", "HELD-UP", OUT_LONG,
	  "which publisher has no room, and the subscriber that has not taken what is in the way",
	  false },
	{ "publishers", "PUBLISHERS", OUT_LIST,
	  "each lane: its publisher, and what it holds; in text the processes", true },
	{ "subscribers", "SUBSCRIBERS", OUT_LIST, "each of them; in text the processes", true },
	{ "sockets", NULL, OUT_LIST, "each socket of a topic in a directory of sockets", true },
	{ "region", "REGION", OUT_LONG, "the region, or unix:DIR", true },
	{ "topic", "TOPIC", OUT_TEXT, "the topic", true },
	{ "type_size_bytes", "TYPESIZE", OUT_SIZE, "of a message that has a type", true },
	{ "lane_count", "LANES", OUT_COUNT, "lanes, also those whose publisher is gone", true },
	{ "missed_count", "MISSED", OUT_COUNT, "messages that its subscribers have missed", true },
	{ 0 },
};
static const struct out_list topics_list = { "items", topics_cols };

static const struct out_col publisher_cols[] = {
	{ "place", "PUBLISHER", OUT_COUNT, "its place, as messages name it", false },
	{ "pid", "PID", OUT_SIGNED, "its process, in its own PID namespace", false },
	{ "tid", NULL, OUT_SIGNED, "the thread that opened it", false },
	{ "command", "COMMAND", OUT_TEXT, "the name of its program", false },
	{ "state", "STATE", OUT_TEXT,
	  "alive, waits (it sleeps until there is room), dead, or gone: it has left its lane to "
	  "the "
	  "next one",
	  false },
	{ "message_count", "MESSAGES", OUT_COUNT, "the number of its last message", false },
	{ "kept", "KEPT", OUT_COUNT, "messages that are still there, for who comes late", false },
	{ "lane_bytes", "LANE", OUT_SIZE, "room for messages", false },
	{ "held_up_by", "HELD-UP-BY", OUT_TEXT,
	  "the subscriber that has not taken what its next message would be written over", false },
	{ "held_up_by_pid", NULL, OUT_SIGNED, "its process", false },
	{ 0 },
};
static const struct out_list publisher_list = { "publishers", publisher_cols };

static const struct out_col subscriber_cols[] = {
	{ "place", "SUBSCRIBER", OUT_COUNT, "its place", false },
	{ "pid", "PID", OUT_SIGNED, "its process, in its own PID namespace", false },
	{ "tid", NULL, OUT_SIGNED, "the thread that opened it", false },
	{ "command", "COMMAND", OUT_TEXT, "the name of its program", false },
	{ "state", "STATE", OUT_TEXT, "alive or dead", false },
	{ "policy", "POLICY", OUT_TEXT,
	  "lossless; lossy, which holds nobody up but by what it holds in place; latest, which is "
	  "lossy, and takes of each publisher the newest alone; or coming: it is just opening",
	  false },
	{ "kept", "HELD", OUT_COUNT,
	  "messages that are kept for it: not taken yet, or held in place; counted by "
	  "thirty-seconds of a lane",
	  false },
	{ "missed", "MISSED", OUT_COUNT, "messages that it has missed since it was opened", false },
	{ 0 },
};
static const struct out_list subscriber_list = { "subscribers", subscriber_cols };
static const struct out_list *const topics_lists[] = { &topics_list, &publisher_list,
						       &subscriber_list, &socket_list, NULL };

struct topics {
	struct cli *cli;
	struct out out;
	struct topics_apart apart;
	struct tarn_region_opts opts;
	bool verbose; /* of each topic all, in text */
	int worst;
	uint64_t found, held_up;
	/* of the region at hand */
	struct look_name name;
	struct tarn_region *region;
	char (*comms)[16]; /* by slot */
	/* of the topic at hand */
	struct tarn_topic_user *users;
	uint32_t user_count;
	struct tarn_topic_stat stat;
	struct tarn_type *type; /* NULL: bytes */
};

/* --- collect ------------------------------------------------------------------------------- */

static int remember_comm(const struct tarn_member_stat *stat, void *arg)
{
	struct topics *t = arg;

	if (stat->slot < MEMBERS_MAX)
		memcpy(t->comms[stat->slot], stat->comm, sizeof(stat->comm));
	return 0;
}

static int remember_user(const struct tarn_topic_user *user, void *arg)
{
	struct topics *t = arg;

	if (t->user_count < USERS_MAX)
		t->users[t->user_count++] = *user;
	return 0;
}

static const char *comm_of(const struct topics *t, const struct tarn_topic_user *user)
{
	return user->slot < MEMBERS_MAX && t->comms[user->slot][0] != '\0' ? t->comms[user->slot]
									   : NULL;
}

/* NULL: nobody holds @publisher up. */
static const struct tarn_topic_user *blocker_of(const struct topics *t,
						const struct tarn_topic_user *publisher)
{
	for (uint32_t i = 0; i < t->user_count; i++)
		if (t->users[i].role != TARN_TOPIC_PUBLISHES &&
		    t->users[i].place == publisher->held_up_by)
			return &t->users[i];
	return NULL;
}

static const char *who_text(const struct topics *t, const struct tarn_topic_user *user,
			    char buf[64])
{
	const char *comm = comm_of(t, user);

	snprintf(buf, 64, comm != NULL ? "%" PRId32 " (%s)" : "%" PRId32, user->pid, comm);
	return buf;
}

/* "17 (tarn) by 23 (robot), and 2 more"; NULL: none is. */
static char *held_up_text(const struct topics *t)
{
	char publisher[64], blocker[64], *text = NULL;
	const struct tarn_topic_user *first = NULL;
	uint32_t count = 0;

	for (uint32_t i = 0; i < t->user_count; i++)
		if (blocker_of(t, &t->users[i]) != NULL && count++ == 0)
			first = &t->users[i];
	if (first == NULL)
		return NULL;
	who_text(t, first, publisher);
	who_text(t, blocker_of(t, first), blocker);
	if (count > 1)
		(void)!asprintf(&text, "%s by %s, and %" PRIu32 " more", publisher, blocker,
				count - 1);
	else
		(void)!asprintf(&text, "%s by %s", publisher, blocker);
	return text;
}

/* --- show ---------------------------------------------------------------------------------- */

static void put_who(struct topics *t, const struct tarn_topic_user *user)
{
	bool gone = user->slot == UINT32_MAX;

	out_row(&t->out);
	out_number(&t->out, "place", user->place);
	out_number_if(&t->out, "pid", (uint64_t)(int64_t)user->pid, !gone);
	out_number_if(&t->out, "tid", (uint64_t)(int64_t)user->tid, !gone);
	out_text(&t->out, "command", gone ? NULL : comm_of(t, user));
}

static void put_publisher(struct topics *t, const struct tarn_topic_user *user)
{
	const struct tarn_topic_user *blocker = blocker_of(t, user);
	char buf[64];

	put_who(t, user);
	out_text(&t->out, "state",
		 user->slot == UINT32_MAX ? "gone"
		 : !user->alive           ? "dead"
		 : user->waits            ? "waits"
					  : "alive");
	out_number(&t->out, "message_count", user->number);
	out_number(&t->out, "kept", user->kept);
	out_number(&t->out, "lane_bytes", user->lane_size);
	out_text(&t->out, "held_up_by", blocker != NULL ? who_text(t, blocker, buf) : NULL);
	if (blocker != NULL)
		out_number(&t->out, "held_up_by_pid", (uint64_t)(int64_t)blocker->pid);
}

static void put_subscriber(struct topics *t, const struct tarn_topic_user *user)
{
	put_who(t, user);
	out_text(&t->out, "state", user->alive ? "alive" : "dead");
	out_text(&t->out, "policy",
		 user->role == TARN_TOPIC_TAKES_ALL      ? "lossless"
		 : user->role == TARN_TOPIC_TAKES_LOSSY  ? "lossy"
		 : user->role == TARN_TOPIC_TAKES_LATEST ? "latest"
							 : "coming");
	out_number(&t->out, "kept", user->kept);
	out_number(&t->out, "missed", user->missed);
}

static bool is_publisher(const struct tarn_topic_user *user)
{
	return user->role == TARN_TOPIC_PUBLISHES;
}

static void put_users(struct topics *t, bool publishers)
{
	for (uint32_t i = 0; i < t->user_count; i++) {
		const struct tarn_topic_user *user = &t->users[i];

		if (is_publisher(user) && publishers)
			put_publisher(t, user);
		else if (!is_publisher(user) && !publishers)
			put_subscriber(t, user);
	}
}

/* A list in a row; in text the processes, apart by commas. */
static void put_inner(struct topics *t, const char *key, bool publishers)
{
	char pids[1024] = "";
	size_t used = 0;

	out_inner(&t->out, key);
	put_users(t, publishers);
	for (uint32_t i = 0; i < t->user_count && used < sizeof(pids) - 16; i++)
		if (is_publisher(&t->users[i]) == publishers && t->users[i].alive)
			used += (size_t)snprintf(pids + used, sizeof(pids) - used, "%s%" PRId32,
						 used > 0 ? "," : "", t->users[i].pid);
	out_inner_end(&t->out, pids);
}

static void put_row(struct topics *t, const char *name, const char *topic, const char *held_up)
{
	struct out *out = &t->out;
	uint64_t missed = 0;

	for (uint32_t i = 0; i < t->user_count; i++)
		missed += t->users[i].missed;
	out_row(out);
	out_text(out, "name", name);
	out_text(out, "region", t->name.region);
	out_text(out, "topic", topic);
	out_text(out, "type", t->type != NULL ? t->type->name : NULL);
	out_number_if(out, "type_size_bytes", t->type != NULL ? t->type->size : 0, t->type != NULL);
	out_number(out, "publisher_count", t->stat.publishers);
	out_number(out, "subscriber_count", t->stat.subscribers);
	out_number(out, "message_count", t->stat.number);
	out_number(out, "size_bytes", t->stat.size);
	out_number(out, "lane_count", t->stat.lanes);
	out_number(out, "missed_count", missed);
	out_text(out, "held_up", held_up);
	put_inner(t, "publishers", true);
	put_inner(t, "subscribers", false);
	out_inner(out, "sockets");
	out_inner_end(out, "");
}

static void put_all(struct topics *t, const char *name, const char *held_up)
{
	struct out *out = &t->out;

	out_item(out);
	out_fact_text(out, "name", "topic", name);
	if (t->type != NULL)
		out_fact_text(out, "type", "type", t->type->name);
	if (t->type != NULL)
		out_fact_number(out, "type_size_bytes", "message", OUT_SIZE, t->type->size);
	out_fact_number(out, "message_count", "messages", OUT_COUNT, t->stat.number);
	out_fact_number(out, "size_bytes", "size", OUT_SIZE, t->stat.size);
	if (held_up != NULL)
		out_fact_text(out, "held_up", "held up", held_up);
	if (t->stat.lanes != 0) {
		out_list(out, &publisher_list);
		put_users(t, true);
	}
	if (t->user_count > t->stat.lanes) {
		out_list(out, &subscriber_list);
		put_users(t, false);
	}
	out_item_end(out);
}

static void put_topic(struct topics *t, const char *name, const char *topic)
{
	char *held_up = held_up_text(t);

	t->held_up += held_up != NULL;
	if (held_up == NULL && cli_given(t->cli, "held-up"))
		return;
	t->found++;
	if (t->verbose) {
		put_all(t, name, held_up);
	} else {
		put_row(t, name, topic, held_up);
	}
	free(held_up);
}

/* --- which topics -------------------------------------------------------------------------- */

static int look_at(struct topics *t, const char *topic)
{
	char name[sizeof(t->name.region) + TARN_OBJECT_NAME_MAX + 2];
	int r;

	snprintf(name, sizeof(name), "%s/%s", t->name.region, topic);
	t->user_count = 0;
	t->type = NULL;
	r = tarn_topic_stat(t->region, topic, &t->stat);
	if (r == 0)
		r = tarn_topic_users(t->region, topic, remember_user, t);
	if (r == 0)
		r = tarn_topic_describe(t->region, topic, &t->type);
	if (r == 0 || r == -ENOENT) /* bytes */
		put_topic(t, name, topic);
	else
		t->worst = cli_worse(t->worst, cli_fail(t->cli, name, r));
	tarn_type_free(t->type);
	return 0;
}

struct search {
	struct topics *topics;
	const char *wanted; /* NULL: all */
	uint32_t kind;      /* of what has that name */
	struct cli_near near;
	char near_name[TARN_OBJECT_NAME_MAX + 1];
};

static int each_object(const struct tarn_object_stat *object, void *arg)
{
	struct search *s = arg;
	const char *best = s->near.best;

	if (object->removed)
		return 0;
	if (s->wanted != NULL && strcmp(s->wanted, object->name) == 0)
		s->kind = object->kind;
	if (object->kind != TARN_OBJECT_TOPIC)
		return 0;
	if (s->wanted == NULL || strcmp(s->wanted, object->name) == 0)
		return look_at(s->topics, object->name);
	cli_near_offer(&s->near, object->name);
	if (s->near.best != best) {
		memcpy(s->near_name, object->name, sizeof(s->near_name));
		s->near.best = s->near_name;
	}
	return 0;
}

static int no_topic(struct topics *t, const char *text, const struct search *s)
{
	if (s->kind != 0) {
		cli_error(t->cli, "%s: it is of kind %s, and no topic", text, look_kind(s->kind));
		cli_hint("tarn topics %s lists those that are there", t->name.region);
		return CLI_FAILURE;
	}
	snprintf(t->cli->diag.what, sizeof(t->cli->diag.what), "there is no such topic");
	if (s->near.best != NULL)
		snprintf(t->cli->diag.hint, sizeof(t->cli->diag.hint), "did you mean '%.100s/%s'?",
			 t->name.region, s->near_name);
	return cli_fail(t->cli, text, -ENOENT);
}

static int look_in_region(struct topics *t, struct search *s)
{
	int r;

	memset(t->comms, 0, MEMBERS_MAX * sizeof(*t->comms));
	r = tarn_region_members(t->region, remember_comm, t);
	if (r == 0)
		r = tarn_region_objects(t->region, each_object, s);
	tarn_region_close(t->region);
	t->region = NULL;
	return r;
}

static int look_in(struct topics *t, const char *text)
{
	struct search s = { .topics = t };
	int r;

	if (!look_name(text, &t->name))
		return cli_fail(t->cli, text, -ENAMETOOLONG);
	s.wanted = s.near.word = t->name.object;
	r = tarn_region_open(t->name.region, &t->opts, &t->region);
	if (r < 0) {
		if (r == -EACCES || r == -EPERM)
			out_unreadable(&t->out);
		return look_fail(t->cli, t->name.region, r);
	}
	if (t->name.object == NULL)
		s.near.word = "";
	r = look_in_region(t, &s);
	if (r == 0 && s.wanted != NULL && s.kind != TARN_OBJECT_TOPIC)
		return no_topic(t, text, &s);
	return r < 0 ? cli_fail(t->cli, text, r) : CLI_OK;
}

/* One that vanished since it was found is no failure; nor is one that may not be read, which is
 * counted. */
static int each_region(const char *addr, void *arg)
{
	struct topics *t = arg;
	struct search s = { .topics = t, .near = { .word = "" } };
	int r;

	if (!look_name(addr, &t->name))
		return 0;
	r = tarn_region_open(t->name.region, &t->opts, &t->region);
	t->cli->diag = (struct tarn_diag){ 0 };
	if (r == -EACCES || r == -EPERM)
		out_unreadable(&t->out);
	if (r == 0)
		(void)look_in_region(t, &s);
	return 0;
}

/* --- the verb ------------------------------------------------------------------------------ */

/* One topic was named, and nothing is asked of a table that would show it in a line. */
static bool names_one(const struct cli *cli)
{
	struct look_name name;

	return cli->argc == 1 &&
	       (topics_apart_name(cli->argv[0], &name) || look_name(cli->argv[0], &name)) &&
	       name.object != NULL && !cli_given(cli, "output") && !cli_given(cli, "sort");
}

static int look_at_name(struct topics *t, const char *text)
{
	struct look_name name;
	int code;

	if (!topics_apart_name(text, &name))
		return look_in(t, text);
	t->apart.verbose = t->verbose;
	t->apart.shown = t->apart.held_up = 0;
	code = topics_apart_look(&t->apart, text);
	t->found += t->apart.shown;
	t->held_up += t->apart.held_up;
	return code;
}

static int look(struct cli *cli, void *arg)
{
	struct topics *t = arg;
	uint64_t unreadable = 0;
	int code = out_begin(&t->out, cli);

	if (code >= 0)
		return code;
	t->verbose = (cli_given(cli, "verbose") || names_one(cli)) && !cli_given(cli, "json") &&
		     !cli_given(cli, "csv");
	t->found = t->held_up = 0;
	t->worst = code = CLI_OK;
	if (!t->verbose)
		out_list(&t->out, &topics_list);
	for (int i = 0; i < cli->argc; i++)
		code = cli_worse(code, look_at_name(t, cli->argv[i]));
	if (cli->argc == 0)
		(void)scan_regions(each_region, t, &unreadable);
	if (unreadable != 0)
		out_partial(&t->out, unreadable, NULL);
	code = cli_worse(code, t->worst);
	if (t->found == 0 && code == CLI_OK && !t->out.as_json && cli->take == NULL &&
	    isatty(STDERR_FILENO))
		cli_note(cli, cli_given(cli, "held-up") ? "no publisher is held up"
							: "there is no topic");
	if (t->held_up != 0 && cli_given(cli, "held-up"))
		code = cli_worse(code, CLI_FAILURE);
	return out_end(&t->out, code);
}

static int topics_run(struct cli *cli)
{
	struct topics t = { .cli = cli, .apart = { .cli = cli } };
	int code;

	t.apart.out = &t.out;
	if (!look_opts(cli, &t.opts) || !topics_apart_opts(&t.apart))
		return CLI_USAGE;
	if (cli->argc == 0) /* looking at others' is not to be refused for that */
		t.opts.flags |= TARN_SEGMENT_ANY_MODE;
	if (cli_given(cli, "csv") && cli_given(cli, "json"))
		return cli_usage(cli, "either --csv or --json");
	t.comms = calloc(MEMBERS_MAX, sizeof(*t.comms));
	t.users = calloc(USERS_MAX, sizeof(*t.users));
	code = t.comms != NULL && t.users != NULL ? watch_run(cli, look, &t)
						  : cli_error(cli, "out of memory");
	free(t.comms);
	free(t.users);
	return code;
}

static const struct cli_example topics_examples[] = {
	{ "tarn topics", "all topics of the host" },
	{ "tarn topics house/news", "one topic, with its publishers and subscribers" },
	{ "tarn topics -w -s -message_count house", "again and again, the busiest first" },
	{ "tarn topics --held-up || alert", "for a script: exit 1 if a publisher has no room" },
	{ "tarn topics --peers all unix:/run/market",
	  "those of a directory of sockets, whoever publishes" },
	{ "tarn topics -J | jq '.items[].subscribers[] | select(.missed > 0)'",
	  "who misses messages" },
	{ 0 },
};

static const struct cli_exit_note topics_exits[] = {
	{ 1, "with --held-up: a publisher is held up; or what was named is no topic" },
	{ 3, "there is no such region, directory or topic" },
	{ 4, "permission denied, or not all regions or publishers could be looked at for want of "
	     "it" },
	{ 6, "damaged" },
	{ 0 },
};

const struct cli_cmd cmd_topics = {
	.name = "topics",
	.args = "[REGION[/TOPIC]|unix:DIR[/TOPIC]...]",
	.summary = "list topics, who publishes and subscribes, and who is held up",
	.about =
		"Lists the topics of all regions of the host, or of those that are named; of one "
		"topic, or with --verbose, each publisher and each subscriber.\n\n"
		"A publisher has no room, and is held up, while a lossless subscriber has not "
		"taken what its next message would be written over, or any subscriber holds that "
		"in place. HELD-UP names the first that is, and by whom. What a lossless "
		"subscriber "
		"has taken is counted a thirty-second of the lane at a time while it is busy. What "
		"a lossy one has missed is known when it has taken the message behind.\n\n"
		"It looks only: no region is written to, nobody is held up, and who only looks, as "
		"this verb and tarn echo --look, is not seen by others.\n\n"
		"unix:DIR is a directory of sockets, where topics are in no region, and "
		"unix:DIR/TOPIC one of them: each socket is a publisher, or a name that one has "
		"left that was killed. To look at one is to connect, to say at once that nothing "
		"is "
		"subscribed to, and to leave: it costs the publisher one of this user's places for "
		"that long, and the time of a thread that is not the one which publishes; none of "
		"its messages is taken or kept. Only publishers of this user are looked at, and of "
		"those that --peers names. Names of the dead stay but for --remove-dead; who "
		"subscribes removes those of its topic anyhow. Who subscribes is known to each "
		"publisher alone.",
	.operand = "region",
	.opts = topics_opts,
	.schema = "tarn.topics/1",
	.lists = topics_lists,
	.examples = topics_examples,
	.exits = topics_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST | CLI_GROUP_WATCH,
	.arg_min = 0,
	.arg_max = -1,
	.run = topics_run,
};
