/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn trace REGION - what happened last in a region, in words; and the switch of it.
 *
 * It looks on, and reads all rings of the trace, in order of time; only --on and --off become a
 * member for the moment that takes.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "out.h"
#include "told.h"

#define INTERVAL_NS INT64_C(100000000)

static const struct cli_opt trace_opts[] = {
	{ 0, "on", NULL, "log from now on, in all processes that have the region open" },
	{ 0, "off", NULL, "log no more; what there is stays" },
	{ 'e', "events", "N",
	  "with --on: keep the last N of each ring, a power of two from 8; 128 if not given" },
	{ 'r', "rings", "N",
	  "with --on: N rings, which members share by their slots; 16 if not given" },
	{ 'n', "last", "N", "the last N only, of those that are asked for" },
	{ 'f', "follow", NULL, "go on, with what happens from now on" },
	{ 'c', "count", "N", "end after N events" },
	{ 's', "since", "DURATION", "what is not older than that: 90, 1.5h, 2d" },
	{ 'm', "member", "PID", "what process PID did, or others with it" },
	{ 'o', "object", "NAME", "what happened to object NAME" },
	{ 'J', "json", NULL, "one JSON object a line, see tarn-json(5)" },
	{ 0 },
};

static const struct out_col line_cols[] = {
	{ "schema", NULL, OUT_TEXT, "of this line", false },
	{ "name", NULL, OUT_TEXT, "the region", false },
	{ "time_ns", NULL, OUT_TIME, "when it happened, by the clock as of when it was switched on",
	  false },
	{ "monotonic_ns", NULL, OUT_COUNT, "the same, of CLOCK_MONOTONIC", false },
	{ "kind", NULL, OUT_TEXT,
	  "note, on, off, join, leave, death, create, open, close, remove, grow, wait, got, "
	  "timeout, "
	  "owner-dead, rollback, aside, come, go, gone, missed or damaged",
	  false },
	{ "slot", NULL, OUT_COUNT, "of the member that says so", false },
	{ "generation", NULL, OUT_COUNT, "how many had that slot before it", false },
	{ "pid", NULL, OUT_SIGNED, "its process, in its PID namespace; null: not known any more",
	  false },
	{ "comm", NULL, OUT_TEXT, "its program; null: not known any more", false },
	{ "tid", NULL, OUT_SIGNED, "its thread", false },
	{ "object", NULL, OUT_TEXT, "what it happened to; null: nothing, or it is gone", false },
	{ "object_kind", NULL, OUT_TEXT, "what that is", false },
	{ "whom_pid", NULL, OUT_SIGNED, "the process that it is about, such as who has a lock",
	  false },
	{ "code", NULL, OUT_COUNT, "of a note", false },
	{ "a", NULL, OUT_COUNT, "of a note; else as tarn/trace.h says", false },
	{ "b", NULL, OUT_COUNT, "the same", false },
	{ "text", NULL, OUT_TEXT, "the same", false },
	{ "words", NULL, OUT_TEXT, "what happened", false },
	{ 0 },
};
static const struct out_list line_list = { "each line", line_cols };
static const struct out_list *const trace_lists[] = { &line_list, NULL };

struct tracing {
	struct cli *cli;
	const char *name;
	struct tarn_region *region;
	struct tarn_trace *trace;
	struct told told;
	const char *object; /* NULL: of all */
	uint64_t pid;       /* 0: of all */
	uint64_t last;      /* UINT64_MAX: all */
	uint64_t count;     /* 0: no end */
	uint64_t shown;
	int64_t since_ns; /* of CLOCK_MONOTONIC */
	bool json;
	uint64_t skip; /* of what is read at first */
	uint64_t fit;
};

/* --- one event ----------------------------------------------------------------------------- */

static bool is_pid(const struct tracing *t, uint32_t slot, uint32_t generation)
{
	const struct told_who *who = told_find(&t->told, slot, generation);

	return who != NULL && (uint64_t)who->pid == t->pid;
}

static bool fits(const struct tracing *t, const struct tarn_trace_event *event)
{
	uint32_t slot, generation;

	if (event->time_ns < t->since_ns)
		return false;
	if (t->object != NULL && strcmp(event->object, t->object) != 0 &&
	    (event->object[0] != '\0' || strncmp(event->text, t->object, TARN_TRACE_TEXT_MAX) != 0))
		return false;
	return t->pid == 0 || is_pid(t, event->slot, event->generation) ||
	       (told_whom(event, &slot, &generation) && is_pid(t, slot, generation));
}

static void put_who(struct json *json, const struct told_who *who)
{
	if (who == NULL) {
		json_null(json, "pid");
		json_null(json, "comm");
		return;
	}
	json_i64(json, "pid", who->pid);
	json_text(json, "comm", who->comm);
}

static void put_json(const struct tracing *t, const struct tarn_trace_event *event,
		     const char *words)
{
	struct json json = out_line_begin(stdout, "tarn.trace/1");
	const struct told_who *whom = NULL;
	uint32_t slot, generation;

	if (told_whom(event, &slot, &generation))
		whom = told_find(&t->told, slot, generation);
	json_text(&json, "name", t->name);
	json_i64(&json, "time_ns", event->wall_ns);
	json_i64(&json, "monotonic_ns", event->time_ns);
	json_text(&json, "kind", told_kind(event->kind));
	json_u64(&json, "slot", event->slot);
	json_u64(&json, "generation", event->generation);
	put_who(&json, told_find(&t->told, event->slot, event->generation));
	json_i64(&json, "tid", event->tid);
	json_text(&json, "object", event->object[0] != '\0' ? event->object : NULL);
	json_text(&json, "object_kind",
		  event->object_kind != 0 ? look_kind(event->object_kind) : NULL);
	if (whom != NULL)
		json_i64(&json, "whom_pid", whom->pid);
	else
		json_null(&json, "whom_pid");
	json_u64(&json, "code", event->code);
	json_u64(&json, "a", event->a);
	json_u64(&json, "b", event->b);
	json_text(&json, "text", event->text);
	json_text(&json, "words", words);
	out_line_end(&json);
}

static void put_text(const struct tracing *t, const struct tarn_trace_event *event,
		     const char *words)
{
	time_t second = (time_t)(event->wall_ns / 1000000000);
	char clock[32] = "?", who[64];
	struct tm tm;

	if (event->wall_ns > 0 && localtime_r(&second, &tm) != NULL)
		(void)strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	printf("%s.%06u %s, thread %" PRId32 ": %s\n", clock,
	       (unsigned)((uint64_t)event->wall_ns % 1000000000 / 1000),
	       told_name(&t->told, event->slot, event->generation, who), event->tid, words);
}

/* How many there are; and who everybody is, from events that come later, too. */
static int count_one(const struct tarn_trace_event *event, void *arg)
{
	struct tracing *t = arg;

	told_learn(&t->told, event);
	t->fit += fits(t, event);
	return 0;
}

static int put_one(const struct tarn_trace_event *event, void *arg)
{
	struct tracing *t = arg;
	char words[TOLD_SIZE];

	told_learn(&t->told, event);
	if (!fits(t, event))
		return 0;
	if (t->skip > 0) {
		t->skip--;
		return 0;
	}
	told_words(&t->told, event, words);
	if (t->json)
		put_json(t, event, words);
	else
		put_text(t, event, words);
	return ++t->shown == t->count;
}

/* --- reading ------------------------------------------------------------------------------- */

/* A first pass by a reader of its own says how many to leave out. */
static int count_all(struct tracing *t)
{
	struct tarn_trace *trace = NULL;
	int r = tarn_trace_open(t->region, &trace, &t->cli->diag);

	if (r == 0)
		r = tarn_trace_read(trace, count_one, t);
	tarn_trace_close(trace);
	if (t->fit > t->last)
		t->skip = t->fit - t->last;
	return r;
}

static int read_open(struct tracing *t)
{
	int r = tarn_trace_open(t->region, &t->trace, &t->cli->diag);

	if (r < 0 && t->cli->diag.hint[0] != '\0' && r == -ENOENT)
		snprintf(t->cli->diag.hint, sizeof(t->cli->diag.hint), "tarn trace %.200s --on",
			 t->name);
	return r;
}

static void say_lapped(struct tracing *t, uint64_t *lapped)
{
	struct tarn_trace_stat stat;

	if (tarn_trace_stat(t->trace, &stat) < 0 || stat.lapped == *lapped)
		return;
	cli_note(t->cli, "%s: %" PRIu64 " events were written over before they could be read",
		 t->name, stat.lapped - *lapped);
	*lapped = stat.lapped;
}

static void nap(int64_t ns)
{
	struct timespec time = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	(void)nanosleep(&time, NULL);
}

static int follow(struct tracing *t)
{
	uint64_t lapped = 0;
	int r = 0;

	while (r == 0) {
		if (!cli_flush())
			return 1;
		nap(INTERVAL_NS);
		r = tarn_trace_read(t->trace, put_one, t);
		if (r == 0)
			say_lapped(t, &lapped);
		if (r == -ENOENT) { /* removed; made anew? */
			tarn_trace_close(t->trace);
			t->trace = NULL;
			r = read_open(t);
		}
	}
	return r;
}

static int print(struct tracing *t)
{
	struct tarn_trace_stat stat;
	int r;

	told_members(&t->told, t->region);
	r = read_open(t);
	if (r == 0)
		r = count_all(t);
	if (r == 0)
		r = tarn_trace_read(t->trace, put_one, t);
	if (r == 0 && tarn_trace_stat(t->trace, &stat) == 0 && !stat.on)
		cli_note(t->cli, "%s: the trace is off", t->name);
	if (r == 0 && cli_given(t->cli, "follow"))
		r = follow(t);
	tarn_trace_close(t->trace);
	return r < 0 ? cli_fail(t->cli, t->name, r) : CLI_OK;
}

/* --- the switch ---------------------------------------------------------------------------- */

static int set(struct tracing *t, struct tarn_region_opts *opts, bool on)
{
	struct tarn_trace_opts with = { .diag = &t->cli->diag };
	struct tarn_trace_stat stat;
	uint64_t events = 0, rings = 0;
	char size[24];
	int r;

	if (!cli_number(t->cli, "events", 8, TARN_TRACE_EVENTS_MAX, &events) ||
	    !cli_number(t->cli, "rings", 1, 1000, &rings))
		return CLI_USAGE;
	with.events = (uint32_t)events;
	with.rings = (uint32_t)rings;
	opts->flags &= ~TARN_REGION_OBSERVE;
	r = tarn_region_open(t->name, opts, &t->region);
	if (r < 0)
		return look_fail(t->cli, t->name, r);
	r = on ? tarn_trace_on(t->region, &with) : tarn_trace_off(t->region);
	if (r == 0 && on)
		r = read_open(t);
	if (r == 0 && on)
		r = tarn_trace_stat(t->trace, &stat);
	tarn_trace_close(t->trace);
	tarn_region_close(t->region);
	if (r < 0)
		return cli_fail(t->cli, t->name, r);
	if (on)
		printf("%s: the trace is on: the last %" PRIu32 " events of %" PRIu32
		       " rings, %s\n",
		       t->name, stat.events, stat.rings, text_size(stat.size, size));
	else
		printf("%s: the trace is off\n", t->name);
	return CLI_OK;
}

static bool take_options(struct tracing *t)
{
	struct cli *cli = t->cli;
	int64_t since = 0;

	if (!cli_number(cli, "last", 0, UINT64_MAX, &t->last) ||
	    !cli_number(cli, "count", 0, UINT64_MAX, &t->count) ||
	    !cli_number(cli, "member", 1, INT32_MAX, &t->pid) ||
	    !cli_duration(cli, "since", &since))
		return false;
	t->object = cli_value(cli, "object");
	t->json = cli_given(cli, "json");
	if (cli_given(cli, "since"))
		t->since_ns = tarn_now() - since;
	return true;
}

static int trace_run(struct cli *cli)
{
	struct tracing t = {
		.cli = cli, .name = cli->argv[0], .last = UINT64_MAX, .since_ns = INT64_MIN
	};
	bool on = cli_given(cli, "on"), off = cli_given(cli, "off");
	struct tarn_region_opts opts;
	int code, r;

	if (!look_opts(cli, &opts) || !take_options(&t))
		return CLI_USAGE;
	if (on && off)
		return cli_usage(cli, "--on and --off exclude each other");
	if (!on && (cli_given(cli, "events") || cli_given(cli, "rings")))
		return cli_usage(cli, "--events and --rings go with --on");
	if (on || off)
		return set(&t, &opts, on);
	r = tarn_region_open(t.name, &opts, &t.region);
	if (r < 0)
		return look_fail(cli, t.name, r);
	code = print(&t);
	told_free(&t.told);
	tarn_region_close(t.region);
	return code;
}

static const struct cli_example trace_examples[] = {
	{ "tarn trace frames --on", "begin to log" },
	{ "tarn trace frames -n 20", "what happened last" },
	{ "tarn trace frames -f -o lock", "who waits for a lock, while it happens" },
	{ "tarn trace frames -J | jq -c 'select(.kind == \"wait\") | [.pid, .whom_pid]'",
	  "who waited for whom" },
	{ 0 },
};

static const struct cli_exit_note trace_exits[] = {
	{ 1, "with --on: there is a trace with other numbers, or no room for one" },
	{ 3, "there is no such region, or its trace was never switched on, or was removed" },
	{ 4, "permission denied" },
	{ 6, "damaged, or of another version" },
	{ 0 },
};

const struct cli_cmd cmd_trace = {
	.name = "trace",
	.args = "REGION",
	.summary = "print what happened last in a region, or switch that on",
	.about =
		"Prints the events that the members of a region have logged (tarn/trace.h), in "
		"order of time: who joined, left and was found dead; objects that were made, "
		"opened, closed and removed; who waited for which lock, for whom and how long; "
		"owners found dead and what of theirs was undone; publishers, subscribers, servers "
		"and clients that came and went; messages missed; and the program's own notes. "
		"Fast paths log nothing: neither a message, nor a lock that was free.\n\n"
		"It is off until --on, which makes object .trace of the region; each process sees "
		"the switch with the next thing that it has to log. Members write to the ring of "
		"their slot, and the newest events of each are kept, those of the dead too. "
		"--off keeps them; tarn rm REGION/.trace removes them.\n\n"
		"To print it looks on, and nobody waits for it. What is written over while it "
		"follows is told. Names of objects are those of now: of one that is gone only "
		"what removed it tells the name.",
	.operand = "region",
	.opts = trace_opts,
	.schema = "tarn.trace/1",
	.lists = trace_lists,
	.examples = trace_examples,
	.exits = trace_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = 1,
	.run = trace_run,
};
