/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn autopsy REGION|FILE - what was going on in a region when those in it died, from the region
 * or from a copy of its file.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "autopsy.h"
#include "cmds.h"
#include "info.h"
#include "look.h"

enum { EVENTS = 20 };

static const struct cli_opt autopsy_opts[] = {
	{ 'n', "last", "N", "the last N events of the trace; 20 if not given" },
	{ 0 },
};

static const struct out_col fact_cols[] = {
	{ "name", NULL, OUT_TEXT, "what was named", false },
	{ "state", NULL, OUT_TEXT, "in use, or nobody has it open", false },
	{ "created_ns", NULL, OUT_TIME, "when the region was made", false },
	{ "other_boot", NULL, OUT_BOOL, "it was made before this host was booted, or on another",
	  false },
	{ "size_bytes", NULL, OUT_SIZE, "of the whole of it", false },
	{ "missing_bytes", NULL, OUT_SIZE, "that the copy lacks at its end", false },
	{ "alive", NULL, OUT_COUNT, "members that live", false },
	{ "dead", NULL, OUT_COUNT, "members that have died, and have their slots still", false },
	{ 0 },
};
static const struct out_list fact_list = { "items", fact_cols };

static const struct out_col finding_cols[] = {
	{ "where", "WHERE", OUT_TEXT, "region, a member or an object", false },
	{ "what", "FINDING", OUT_LONG, "what was found there", false },
	{ "next", "NEXT", OUT_LONG, "what whoever comes next does about it; null: nobody does",
	  false },
	{ "command", "COMMAND", OUT_TEXT, "what does it now; null: nothing needs to", OUT_IF_ROOM },
	{ 0 },
};
const struct out_list autopsy_finding_list = { "findings", finding_cols };

static const struct out_list *const autopsy_lists[] = {
	&fact_list,           &autopsy_finding_list,
	&autopsy_member_list, &info_object_list,
	&autopsy_lock_list,   &autopsy_topic_list,
	&info_party_list,     &autopsy_figure_list,
	&autopsy_event_list,  NULL,
};

/* --- findings ------------------------------------------------------------------------------ */

static void put_finding(struct autopsy *a, const char *where, const char *what, const char *next,
			const char *command)
{
	struct out *out = &a->out;

	a->finding_count++;
	out_row(out);
	out_text(out, "where", where);
	out_text(out, "what", what);
	out_text(out, "next", next);
	out_text(out, "command", command);
}

/* "pid 4711 (sensor)", from a row that has both. */
static const char *who_is(const struct rows *rows, size_t row, char buf[64])
{
	const char *command = rows_text(rows, row, "command");
	int32_t pid = (int32_t)rows_number(rows, row, "pid");

	if (command != NULL)
		snprintf(buf, 64, "pid %" PRId32 " (%.32s)", pid, command);
	else
		snprintf(buf, 64, "pid %" PRId32, pid);
	return buf;
}

static bool is_text(const struct rows *rows, size_t row, const char *key, const char *text)
{
	const char *found = rows_text(rows, row, key);

	return found != NULL && strcmp(found, text) == 0;
}

/* What a row of tarn check says, in words. */
static void say_check(const struct rows *rows, size_t i, char *buf, size_t size)
{
	const char *field = rows_text(rows, i, "field"), *rule = rows_text(rows, i, "rule");
	int64_t found = (int64_t)rows_number(rows, i, "found");
	bool repairable = rows_number(rows, i, "repairable") != 0;

	field = field != NULL ? field : "state";
	rule = rule != NULL ? rule : "holds";
	if (rows_number(rows, i, "note") != 0 && strcmp(field, "owner") != 0)
		snprintf(buf, size, "inconsistent: an owner has died");
	else if (rows_number(rows, i, "note") != 0)
		snprintf(buf, size, "its owner, pid %" PRId64 ", is dead", found);
	else if (rows_number(rows, i, "unseen") != 0 && repairable)
		snprintf(buf, size, "not looked at: dead owner %" PRId64 " left its section",
			 found);
	else if (rows_number(rows, i, "unseen") != 0)
		snprintf(buf, size, "not looked at: its %s not so that it %s", field, rule);
	else if (rows_cell(rows, i, "found")->known)
		snprintf(buf, size, "damaged: %s %s: found %" PRIu64 ", expected %" PRIu64, field,
			 rule, (uint64_t)found, rows_number(rows, i, "expected"));
	else
		snprintf(buf, size, "damaged: %s", rule);
}

/* Rules that do not hold, and what dead owners left. */
static void put_checks(struct autopsy *a)
{
	const struct rows *rows = a->check;
	char what[320], command[320];

	snprintf(command, sizeof(command), "tarn recover %.280s --yes", a->name);
	for (size_t i = 0; rows != NULL && i < rows->count; i++) {
		bool repairable = rows_number(rows, i, "repairable") != 0;
		const char *next = repairable ? "the next to open puts it right" : NULL;

		if (rows_number(rows, i, "note") != 0)
			next = rows_text(rows, i, "rule");
		say_check(rows, i, what, sizeof(what));
		put_finding(a, rows_text(rows, i, "where"), what, next,
			    repairable && strcmp(a->addr, a->name) == 0 ? command : NULL);
	}
}

/* Who waits for whom, as those who live say it. */
static void put_waits(struct autopsy *a)
{
	const struct rows *rows = a->locks;
	char where[160], what[160], who[64], holder[64];

	for (size_t i = 0; rows != NULL && i < rows->count; i++) {
		const struct rows *threads = rows_cell(rows, i, "threads")->inner;
		const char *name = rows_text(rows, i, "name");
		const char *slash = name != NULL ? strrchr(name, '/') : NULL;

		if (!rows_cell(rows, i, "pid")->known)
			continue; /* for what comes, as for messages */
		snprintf(where, sizeof(where), "%.30s %.120s", rows_text(rows, i, "kind"),
			 slash != NULL ? slash + 1 : "?");
		for (size_t k = 0; threads != NULL && k < threads->count; k++) {
			if (!is_text(threads, k, "role", "waits"))
				continue;
			snprintf(what, sizeof(what), "%s waits for it, which %s has",
				 who_is(threads, k, who), who_is(rows, i, holder));
			put_finding(a, where, what, "it has it when that one leaves, or dies",
				    NULL);
		}
	}
}

/* The same of the dead: what the trace has last of them. */
static int put_dead(const struct tarn_member_stat *stat, void *arg)
{
	struct autopsy *a = arg;
	char where[32], what[TOLD_SIZE + 64], words[TOLD_SIZE];
	struct autopsy_last last;

	if (stat->alive || !autopsy_last(a, stat, words, &last) ||
	    last.event.kind != TARN_TRACE_WAIT)
		return 0;
	snprintf(where, sizeof(where), "member %" PRIu32, stat->slot);
	snprintf(what, sizeof(what), "died while it waited: pid %" PRId32 " (%s) %s", stat->pid,
		 stat->comm, words);
	put_finding(a, where, what, "its place is for the next one", NULL);
	return 0;
}

static void put_publishers(struct autopsy *a, const char *where, const struct rows *rows)
{
	char what[256], who[64];

	for (size_t i = 0; rows != NULL && i < rows->count; i++) {
		const char *by = rows_text(rows, i, "held_up_by");

		if (by != NULL) {
			snprintf(what, sizeof(what), "publisher %s has no room, for %.120s",
				 who_is(rows, i, who), by);
			put_finding(a, where, what,
				    "what a dead subscriber needs is freed by the publisher", NULL);
		}
		if (!is_text(rows, i, "state", "dead"))
			continue;
		snprintf(what, sizeof(what),
			 "publisher %s died after message %" PRIu64 "; %" PRIu64 " are there",
			 who_is(rows, i, who), rows_number(rows, i, "message_count"),
			 rows_number(rows, i, "kept"));
		put_finding(a, where, what, "the next publisher goes on behind it", NULL);
	}
}

static void put_subscribers(struct autopsy *a, const char *where, const struct rows *rows)
{
	char what[256], who[64];

	for (size_t i = 0; rows != NULL && i < rows->count; i++) {
		if (!is_text(rows, i, "state", "dead"))
			continue;
		snprintf(what, sizeof(what),
			 "subscriber %s died; %" PRIu64 " messages stay for it, %" PRIu64 " missed",
			 who_is(rows, i, who), rows_number(rows, i, "kept"),
			 rows_number(rows, i, "missed"));
		put_finding(a, where, what, "the publisher that needs the room frees it", NULL);
	}
}

static void put_topics(struct autopsy *a)
{
	const struct rows *rows = a->topics;
	char where[160];

	for (size_t i = 0; rows != NULL && i < rows->count; i++) {
		snprintf(where, sizeof(where), "topic %.150s", rows_text(rows, i, "topic"));
		put_publishers(a, where, rows_cell(rows, i, "publishers")->inner);
		put_subscribers(a, where, rows_cell(rows, i, "subscribers")->inner);
	}
}

static void put_calls(struct autopsy *a)
{
	const struct rows *rows = a->parties;
	char where[160], what[256], who[64];

	for (size_t i = 0; rows != NULL && i < rows->count; i++) {
		bool server = is_text(rows, i, "role", "server");

		if (!is_text(rows, i, "state", "dead"))
			continue;
		snprintf(where, sizeof(where), "service %.140s", rows_text(rows, i, "service"));
		snprintf(what, sizeof(what),
			 "%s %s died; requests not taken: %" PRIu64 ", answers not taken: %" PRIu64,
			 server ? "server" : "client", who_is(rows, i, who),
			 rows_number(rows, i, "requests"), rows_number(rows, i, "responses"));
		put_finding(a, where, what,
			    server ? "its callers are told -EPIPE; a successor drops what it left"
				   : "its servers drop what it asked",
			    NULL);
	}
}

void autopsy_put_findings(struct autopsy *a)
{
	char what[160];

	out_list(&a->out, &autopsy_finding_list);
	if (a->missing > 0) {
		snprintf(what, sizeof(what),
			 "the copy ends %" PRIu64 " bytes early; what was there is shown as zero",
			 a->missing);
		put_finding(a, "region", what, NULL, NULL);
		a->worst = cli_worse(a->worst, CLI_CORRUPT);
	}
	put_checks(a);
	put_waits(a);
	(void)!tarn_region_members(a->region, put_dead, a);
	put_topics(a);
	put_calls(a);
}

/* --- one of them --------------------------------------------------------------------------- */

static bool is_other_boot(const struct tarn_region_stat *stat)
{
	char text[40] = "", digits[33] = "", id[33];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	if (fd >= 0)
		close(fd);
	for (const char *at = text; *at != '\0' && n < 32; at++)
		if (*at != '-' && *at != '\n')
			digits[n++] = *at;
	for (int i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", stat->boot_id[i]);
	return strcmp(digits, id) != 0;
}

static int count_dead(const struct tarn_member_stat *stat, void *arg)
{
	*(uint64_t *)arg += !stat->alive;
	return 0;
}

static void put_facts(struct autopsy *a)
{
	struct out *out = &a->out;
	bool other = is_other_boot(&a->stat);
	uint64_t dead = 0;

	(void)!tarn_region_members(a->region, count_dead, &dead);
	out_fact_text(out, "name", "name", a->name);
	out_fact_text(out, "state", "state",
		      a->stat.member_count > 0 ? "in use" : "nobody has it open");
	out_fact_number(out, "created_ns", "created", OUT_TIME, (uint64_t)a->stat.created_ns);
	out_fact_number(out, "other_boot", other ? "other boot" : NULL, OUT_BOOL, other);
	out_fact_number(out, "size_bytes", "size", OUT_SIZE, a->stat.total_size);
	out_fact_number(out, "missing_bytes", a->missing > 0 ? "missing" : NULL, OUT_SIZE,
			a->missing);
	out_fact_number(out, "alive", "alive", OUT_COUNT, a->stat.member_count);
	out_fact_number(out, "dead", "dead", OUT_COUNT, dead);
}

static void put_taken(struct autopsy *a, struct rows **rows)
{
	if (*rows != NULL)
		out_rows(&a->out, *rows);
	*rows = NULL; /* it is freed */
}

static int autopsy_one(struct autopsy *a, const char *name)
{
	struct out *out = &a->out;
	int code;

	a->name = name;
	code = autopsy_open(a);
	if (code != CLI_OK)
		return code;
	autopsy_look(a);
	out_item(out);
	put_facts(a);
	autopsy_put_findings(a);
	autopsy_put_members(a);
	put_taken(a, &a->objects);
	autopsy_put_locks(a);
	autopsy_put_topics(a);
	put_taken(a, &a->parties);
	autopsy_put_figures(a);
	autopsy_put_events(a);
	out_item_end(out);
	return a->finding_count > 0 ? cli_worse(a->worst, CLI_FAILURE) : a->worst;
}

static int autopsy_run(struct cli *cli)
{
	struct autopsy a = { .cli = cli, .copy = -1, .events = EVENTS };
	int code;

	if (!look_opts(cli, &a.opts) || !cli_number(cli, "last", 0, UINT64_MAX, &a.events))
		return CLI_USAGE;
	code = out_begin(&a.out, cli);
	if (code >= 0)
		return code;
	code = autopsy_one(&a, cli->argv[0]);
	code = out_end(&a.out, code);
	autopsy_close(&a);
	return code;
}

static const struct cli_example autopsy_examples[] = {
	{ "tarn autopsy frames", "of a region whose processes are dead, or hang" },
	{ "cp /dev/shm/frames /tmp/frames.copy; tarn autopsy /tmp/frames.copy",
	  "keep what there was, and look at it later, or elsewhere" },
	{ "tarn autopsy -J frames | jq -r '.items[0].findings[].what'", "for a report" },
	{ 0 },
};

static const struct cli_exit_note autopsy_exits[] = {
	{ 0, "there are no findings" },
	{ 1, "there are findings" },
	{ 3, "there is no such region or file" },
	{ 4, "permission denied" },
	{ 6, "it is damaged, cut off, or no region" },
	{ 0 },
};

const struct cli_cmd cmd_autopsy = {
	.name = "autopsy",
	.args = "REGION|FILE",
	.summary = "tell what was going on in a region when its processes died",
	.about =
		"Shows all at once what other verbs show of a region, and first what was found: "
		"owners that died inside of sections and locks, and what the next one will meet; "
		"who waited for whom; publishers, subscribers, servers and clients that died, with "
		"what they had not taken; broken rules. Then members with the last that the trace "
		"has of each, objects, locks, topics, services, what objects count of themselves, "
		"and the last events of the trace (tarn-trace(1)), where it was on.\n\n"
		"FILE is a copy of a region's file, also of another boot or host. In a copy nobody "
		"lives: those who were at it are shown as dead, as if all had been killed when it "
		"was copied. One that was cut off is shown as if zeros followed.\n\n"
		"It looks on: no member joins, and neither region nor copy is changed. A name that "
		"is both a region's and a file's is the region's; ./NAME is the file.",
	.operand = "region",
	.opts = autopsy_opts,
	.schema = "tarn.autopsy/1",
	.lists = autopsy_lists,
	.examples = autopsy_examples,
	.exits = autopsy_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST,
	.arg_min = 1,
	.arg_max = 1,
	.run = autopsy_run,
};
