/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * autopsy_look.c - what is found in a region, put into lists. See autopsy.h.
 *
 * Locks, topics, services and broken rules are those of the verbs that show them, which run here
 * with their lists taken; nothing is gathered a second way.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "autopsy.h"
#include "cmds.h"
#include "figures.h"
#include "info.h"
#include "look.h"

static const struct out_col member_cols[] = {
	{ "slot", "SLOT", OUT_COUNT, "its slot in the region", false },
	{ "pid", "PID", OUT_SIGNED, "process, in its own PID namespace", false },
	{ "command", "COMMAND", OUT_TEXT, "name of the program", false },
	{ "uid", "UID", OUT_COUNT, "user", false },
	{ "state", "STATE", OUT_TEXT, "alive or dead, by the kernel's lock; in a copy all are dead",
	  false },
	{ "joined_ns", "JOINED", OUT_TIME, "when it opened the region", false },
	{ "last_ns", "AT", OUT_TIME, "when its last event of the trace was", OUT_IF_ROOM },
	{ "last", "LAST", OUT_LONG, "what it did then; null: the trace has nothing of it", false },
	{ 0 },
};
const struct out_list autopsy_member_list = { "members", member_cols };

static const struct out_col lock_cols[] = {
	{ "lock", "LOCK", OUT_TEXT, "its name", false },
	{ "kind", "KIND", OUT_TEXT, "section, mutex, topic ...", false },
	{ "state", "STATE", OUT_TEXT, "as tarn locks says it", false },
	{ "role", "ROLE", OUT_TEXT, "holds, shares, waits or sits", false },
	{ "pid", "PID", OUT_SIGNED, "process", false },
	{ "tid", NULL, OUT_SIGNED, "its thread; null where it is not known", false },
	{ "command", "COMMAND", OUT_TEXT, "name of the program", false },
	{ "alive", "ALIVE", OUT_BOOL, "by the kernel's lock", false },
	{ "held_ns", "HELD", OUT_AGE, "for how long at least, where somebody wrote it down",
	  false },
	{ 0 },
};
const struct out_list autopsy_lock_list = { "locks", lock_cols };

static const struct out_col topic_cols[] = {
	{ "topic", "TOPIC", OUT_LONG, "its name", false },
	{ "role", "ROLE", OUT_TEXT, "publisher or subscriber", false },
	{ "pid", "PID", OUT_SIGNED, "process", false },
	{ "command", "COMMAND", OUT_TEXT, "name of the program", false },
	{ "state", "STATE", OUT_TEXT, "as tarn topics says it", false },
	{ "messages", "MESSAGES", OUT_COUNT, "of a publisher the number of its last message",
	  false },
	{ "kept", "KEPT", OUT_COUNT,
	  "of a publisher messages that are there; of a subscriber those that stay for it", false },
	{ "missed", "MISSED", OUT_COUNT, "of a subscriber", false },
	{ "held_up_by", "HELD-UP-BY", OUT_TEXT, "of a publisher that has no room: for whom",
	  OUT_IF_ROOM },
	{ 0 },
};
const struct out_list autopsy_topic_list = { "topics", topic_cols };

static const struct out_col figure_cols[] = {
	{ "object", "OBJECT", OUT_TEXT, "its name; null: the region", false },
	{ "object_kind", "KIND", OUT_TEXT, "what it is", false },
	{ "metric", "METRIC", OUT_TEXT, "what was counted; those that are 0 are left out", false },
	{ "value", "VALUE", OUT_SIGNED, "the sum; of a histogram how many values", false },
	{ "unit", "UNIT", OUT_TEXT, "of the value; null: a number", false },
	{ 0 },
};
const struct out_list autopsy_figure_list = { "figures", figure_cols };

static const struct out_col event_cols[] = {
	{ "time_ns", "TIME", OUT_TIME, "when it happened", false },
	{ "pid", "PID", OUT_SIGNED, "process; null: not known any more", false },
	{ "command", "COMMAND", OUT_TEXT, "name of the program", false },
	{ "kind", NULL, OUT_TEXT, "as tarn trace says it", false },
	{ "object", NULL, OUT_TEXT, "what it happened to; null: nothing, or it is gone", false },
	{ "words", "EVENT", OUT_LONG, "what happened", false },
	{ 0 },
};
const struct out_list autopsy_event_list = { "events", event_cols };

/* --- through the eyes of other verbs ------------------------------------------------------- */

static void ask(struct autopsy *a, const struct cli_cmd *cmd, struct rows **ret_rows)
{
	char *argv[] = { a->addr, NULL };
	int code = look_through(a->cli, cmd, NULL, 1, argv, ret_rows);

	/* a finding, which is shown; so is what could not be looked at for what the dead left */
	if (code != CLI_FAILURE && !(cmd == &cmd_check && code == CLI_DENIED))
		a->worst = cli_worse(a->worst, code);
}

/* Of all that tarn info would show. */
static void take_info(struct rows *rows, void *arg)
{
	struct autopsy *a = arg;

	if (rows->list == &info_object_list)
		look_take(rows, &a->objects);
	else if (rows->list == &info_party_list)
		look_take(rows, &a->parties);
	else
		rows_free(rows);
}

static void ask_info(struct autopsy *a)
{
	struct cli cli;
	struct info info = { .cli = &cli, .name = a->name, .region = a->region };
	int r;

	cli_borrow(&cli, &cmd_info, a->cli);
	cli.take = take_info;
	cli.take_arg = a;
	if (out_begin(&info.out, &cli) >= 0)
		return;
	(void)info_region(&info);
	r = info_objects(&info); /* what is damaged is found by tarn check, too */
	if (r < 0 && r != -EUCLEAN && r != -EPROTO)
		a->worst = cli_worse(a->worst, cli_fail(a->cli, a->name, r));
	(void)out_end(&info.out, CLI_OK);
}

static int learn(const struct tarn_trace_event *event, void *arg)
{
	told_learn(arg, event);
	return 0;
}

/* Who is whom is said by events, too. */
static void read_trace(struct autopsy *a,
		       int (*fn)(const struct tarn_trace_event *event, void *arg), void *arg)
{
	struct tarn_trace *trace;

	if (tarn_trace_open(a->region, &trace, NULL) < 0)
		return; /* there is none */
	(void)!tarn_trace_read(trace, fn, arg);
	tarn_trace_close(trace);
}

void autopsy_look(struct autopsy *a)
{
	ask(a, &cmd_check, &a->check);
	ask(a, &cmd_locks, &a->locks);
	ask(a, &cmd_topics, &a->topics);
	ask_info(a);
	told_members(&a->told, a->region);
	read_trace(a, learn, &a->told);
}

/* --- members ------------------------------------------------------------------------------- */

static int find_last(const struct tarn_trace_event *event, void *arg)
{
	struct autopsy_last *last = arg;

	if (event->slot == last->slot && event->generation == last->generation)
		last->event = *event;
	return 0;
}

bool autopsy_last(struct autopsy *a, const struct tarn_member_stat *stat, char words[TOLD_SIZE],
		  struct autopsy_last *ret_last)
{
	*ret_last = (struct autopsy_last){ .slot = stat->slot, .generation = stat->generation };
	read_trace(a, find_last, ret_last);
	if (ret_last->event.kind == 0)
		return false;
	told_words(&a->told, &ret_last->event, words);
	return true;
}

static int put_member(const struct tarn_member_stat *stat, void *arg)
{
	struct autopsy *a = arg;
	struct out *out = &a->out;
	struct autopsy_last last;
	char words[TOLD_SIZE];
	bool known = autopsy_last(a, stat, words, &last);

	out_row(out);
	out_number(out, "slot", stat->slot);
	out_number(out, "pid", (uint64_t)(int64_t)stat->pid);
	out_text(out, "command", stat->comm);
	out_number(out, "uid", stat->uid);
	out_text(out, "state", stat->alive ? "alive" : "dead");
	out_number(out, "joined_ns", (uint64_t)stat->joined_ns);
	if (known) {
		out_number(out, "last_ns", (uint64_t)last.event.wall_ns);
		out_text(out, "last", words);
	}
	return 0;
}

void autopsy_put_members(struct autopsy *a)
{
	out_list(&a->out, &autopsy_member_list);
	(void)!tarn_region_members(a->region, put_member, a);
}

/* --- locks and topics ---------------------------------------------------------------------- */

/* REGION/OBJECT without the region. */
static const char *object_of(const struct autopsy *a, const char *name)
{
	size_t length = strlen(a->addr);

	return name != NULL && strncmp(name, a->addr, length) == 0 && name[length] == '/'
		       ? name + length + 1
		       : name;
}

/* The same cell of another list's row, if it is known there. */
static void copy_cell(struct out *out, const char *key, const struct rows *rows, size_t row,
		      const char *from)
{
	const struct rows_cell *cell = rows_cell(rows, row, from);

	if (!cell->known)
		return;
	if (cell->text != NULL)
		out_text(out, key, cell->text);
	else
		out_number(out, key, cell->number);
}

void autopsy_put_locks(struct autopsy *a)
{
	struct out *out = &a->out;

	out_list(out, &autopsy_lock_list);
	for (size_t i = 0; a->locks != NULL && i < a->locks->count; i++) {
		const struct rows *threads = rows_cell(a->locks, i, "threads")->inner;

		for (size_t k = 0; threads != NULL && k < threads->count; k++) {
			out_row(out);
			out_text(out, "lock", object_of(a, rows_text(a->locks, i, "name")));
			copy_cell(out, "kind", a->locks, i, "kind");
			copy_cell(out, "state", a->locks, i, "state");
			copy_cell(out, "role", threads, k, "role");
			copy_cell(out, "pid", threads, k, "pid");
			copy_cell(out, "tid", threads, k, "tid");
			copy_cell(out, "command", threads, k, "command");
			out_bool(out, "alive", rows_number(threads, k, "alive") != 0);
			if (strcmp(rows_text(threads, k, "role"), "holds") == 0)
				copy_cell(out, "held_ns", a->locks, i, "held_ns");
		}
	}
}

static void put_users(struct autopsy *a, size_t topic, const char *list, const char *role)
{
	const struct rows *users = rows_cell(a->topics, topic, list)->inner;
	bool publisher = strcmp(role, "publisher") == 0;
	struct out *out = &a->out;

	for (size_t k = 0; users != NULL && k < users->count; k++) {
		out_row(out);
		out_text(out, "topic", rows_text(a->topics, topic, "topic"));
		out_text(out, "role", role);
		copy_cell(out, "pid", users, k, "pid");
		copy_cell(out, "command", users, k, "command");
		copy_cell(out, "state", users, k, "state");
		copy_cell(out, "kept", users, k, "kept");
		if (publisher) {
			copy_cell(out, "messages", users, k, "message_count");
			copy_cell(out, "held_up_by", users, k, "held_up_by");
		} else {
			copy_cell(out, "missed", users, k, "missed");
		}
	}
}

void autopsy_put_topics(struct autopsy *a)
{
	out_list(&a->out, &autopsy_topic_list);
	for (size_t i = 0; a->topics != NULL && i < a->topics->count; i++) {
		put_users(a, i, "publishers", "publisher");
		put_users(a, i, "subscribers", "subscriber");
	}
}

/* --- figures and events -------------------------------------------------------------------- */

static void put_set(struct out *out, const struct figures_set *set)
{
	for (uint32_t i = 0; i < tarn_counters_count(set->counters); i++) {
		const struct tarn_metric *metric = tarn_counters_describe(set->counters, i);
		uint64_t value = tarn_sample_value(set->now, i);

		if (value == 0)
			continue;
		out_row(out);
		out_text(out, "object", set->object[0] != '\0' ? set->object : NULL);
		out_text(out, "object_kind", set->kind != 0 ? look_kind(set->kind) : "region");
		out_text(out, "metric", metric->name);
		out_number(out, "value", value);
		out_text(out, "unit",
			 metric->unit != NULL && metric->unit[0] != '\0' ? metric->unit : NULL);
	}
}

void autopsy_put_figures(struct autopsy *a)
{
	struct figures figures;
	int code = figures_open(a->cli, a->addr, &a->opts, true, &figures);

	out_list(&a->out, &autopsy_figure_list);
	if (code == CLI_OK) {
		code = figures_take(&figures);
		for (int i = 0; code == CLI_OK && i < figures.count; i++)
			if (!figures.sets[i].lost)
				put_set(&a->out, &figures.sets[i]);
		code = cli_worse(code, figures.worst);
		figures_close(&figures);
	}
	a->worst = cli_worse(a->worst, code);
}

struct events {
	struct autopsy *a;
	uint64_t count, skip;
};

static int count_event(const struct tarn_trace_event *event, void *arg)
{
	struct events *events = arg;

	(void)event;
	events->count++;
	return 0;
}

static int put_event(const struct tarn_trace_event *event, void *arg)
{
	struct events *events = arg;
	struct autopsy *a = events->a;
	struct out *out = &a->out;
	const struct told_who *who = told_find(&a->told, event->slot, event->generation);
	char words[TOLD_SIZE];

	if (events->skip > 0) {
		events->skip--;
		return 0;
	}
	told_words(&a->told, event, words);
	out_row(out);
	out_number(out, "time_ns", (uint64_t)event->wall_ns);
	if (who != NULL) {
		out_number(out, "pid", (uint64_t)(int64_t)who->pid);
		out_text(out, "command", who->comm);
	}
	out_text(out, "kind", told_kind(event->kind));
	out_text(out, "object", event->object[0] != '\0' ? event->object : NULL);
	out_text(out, "words", words);
	return 0;
}

void autopsy_put_events(struct autopsy *a)
{
	struct events events = { .a = a };

	out_list(&a->out, &autopsy_event_list);
	read_trace(a, count_event, &events);
	events.skip = events.count > a->events ? events.count - a->events : 0;
	read_trace(a, put_event, &events);
}
