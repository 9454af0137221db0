/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn echo REGION/TOPIC - print the messages of a topic as they come. It waits for a region or
 * topic that is not there yet.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cmds.h"
#include "out.h"
#include "payload.h"
#include "stream.h"
#include "taking.h"
#include "typed.h"
#include "value.h"

static const struct cli_opt echo_opts[] = {
	{ '1', "once", NULL, "print one message, and end" },
	{ 'c', "count", "N", "end after N messages, 0 = never" },
	{ 't', "timeout", "SECONDS", "end with exit code 5 when none has come for so long" },
	{ 'H', "history", "N", "begin with so many of each publisher that are there, or all" },
	{ 0, "lossless", NULL, "hold publishers up rather than miss a message" },
	APART_PEERS,
	{ 0, "look", NULL, "only look: change nothing, and be counted by nobody" },
	{ 'f', "fields", "FIELDS",
	  "of a message that has a type only these, apart by commas: names, or paths as "
	  "legs[1].price; the value alone, where it is one" },
	{ 0, "csv", NULL,
	  "of messages that have a type: a line of the fields' paths, then a line a message" },
	{ 'x', "hex", NULL, "in hexadecimal" },
	{ 0, "raw", NULL, "the bytes alone, and nothing between messages" },
	{ 'J', "json", NULL, "one JSON object a line, see tarn-json(5)" },
	{ 0 },
};

static const struct out_col line_cols[] = {
	{ "schema", NULL, OUT_TEXT, "of this line", false },
	{ "name", NULL, OUT_TEXT, "REGION/TOPIC", false },
	{ "publisher", NULL, OUT_COUNT, "its place", false },
	{ "number", NULL, OUT_COUNT, "of this publisher's messages, counted from 1", false },
	{ "missed", NULL, OUT_COUNT, "how many of them were lost before this one", false },
	{ "time_ns", NULL, OUT_COUNT, "when it was published, CLOCK_MONOTONIC; 0: not said",
	  false },
	{ "size_bytes", NULL, OUT_SIZE, "of the message", false },
	{ "text", NULL, OUT_TEXT, "the message, where it is printable and has no type", false },
	{ "hex", NULL, OUT_TEXT, "the message, where it is not, and has no type", false },
	{ "fields", NULL, OUT_LIST, "of a message that has a type", false },
	{ 0 },
};
static const struct out_list line_list = { "each line", line_cols };
static const struct out_col field_cols[] = {
	{ "field", "FIELD", OUT_TEXT, "its path", false },
	{ "value", "VALUE", OUT_VALUE, "what it is", false },
	{ "unit", "UNIT", OUT_TEXT, "of the number", false },
	{ 0 },
};
static const struct out_list field_list = { "fields", field_cols };
static const struct out_list *const echo_lists[] = { &line_list, &field_list, NULL };

struct echo {
	struct taking t;
	struct cli *cli;
	uint64_t count, history;
	char *fields; /* of --fields, each ended by a zero byte; NULL: all */
	int field_count;
	bool alone; /* one field, and nothing else */
	bool csv, as_json;
	struct json json;
	const char *between;
};

/* --- fields -------------------------------------------------------------------------------- */

/* Call @fn for all that are wanted. Negative, with a diag: there is no such field. */
static int walk(struct echo *e, int (*fn)(const struct typed_leaf *leaf, void *arg))
{
	const char *field = e->fields != NULL ? e->fields : "";
	int r = 0;

	for (int i = 0; i < e->field_count && r >= 0; i++, field += strlen(field) + 1)
		r = typed_walk(e->t.type, field, true, UINT32_MAX, fn, e, &e->cli->diag);
	return r;
}

/* A type of which this is an earlier version may have more of them. */
static bool is_there(const struct echo *e, const struct typed_leaf *leaf)
{
	return leaf->offset + leaf->field->size <= e->t.message.size;
}

static int count_leaf(const struct typed_leaf *leaf, void *arg)
{
	struct echo *e = arg;

	(void)leaf;
	e->alone = e->between == NULL; /* the first */
	e->between = "";
	return 0;
}

static int head_leaf(const struct typed_leaf *leaf, void *arg)
{
	struct echo *e = arg;

	fputs(e->between, stdout);
	out_csv_text(stdout, leaf->path);
	e->between = ",";
	return 0;
}

/* Are there such fields? -1: go on; else the exit code. */
static int begin_fields(struct echo *e)
{
	int r;

	if (e->fields == NULL && !e->csv)
		return -1;
	if (e->t.type == NULL) {
		cli_error(e->cli, "%s: its messages have no type, and so no fields", e->t.name);
		cli_hint("-J prints text or bytes with number and time");
		return CLI_FAILURE;
	}
	e->between = NULL;
	r = walk(e, count_leaf);
	if (r < 0)
		return cli_fail(e->cli, e->t.name, r);
	e->alone = e->alone && e->fields != NULL;
	if (!e->csv)
		return -1;
	e->between = "";
	(void)walk(e, head_leaf);
	putchar('\n');
	return cli_flush() ? -1 : CLI_OK;
}

/* --- printing ------------------------------------------------------------------------------ */

static int line_leaf(const struct typed_leaf *leaf, void *arg)
{
	bool is_text = leaf->field->kind == TARN_FIELD_TEXT;
	struct echo *e = arg;
	char *text;

	if (!is_there(e, leaf))
		return 0;
	text = value_text(leaf->field, e->t.bytes + leaf->offset, 0, 1, false);
	if (!e->alone)
		printf("%s%s=", e->between, leaf->path);
	if (text != NULL && is_text && !e->alone)
		value_quote(stdout, text);
	else if (text != NULL)
		payload_put_text((const unsigned char *)text, strlen(text));
	e->between = " ";
	free(text);
	return 0;
}

static int csv_leaf(const struct typed_leaf *leaf, void *arg)
{
	struct echo *e = arg;
	char *text = NULL;

	fputs(e->between, stdout);
	e->between = ",";
	if (is_there(e, leaf))
		text = value_text(leaf->field, e->t.bytes + leaf->offset, 0, 1, true);
	if (text != NULL)
		out_csv_text(stdout, text);
	free(text);
	return 0;
}

static int json_leaf(const struct typed_leaf *leaf, void *arg)
{
	struct echo *e = arg;

	if (is_there(e, leaf))
		typed_json(&e->json, leaf, e->t.bytes + leaf->offset);
	return 0;
}

static void put_json(struct echo *e)
{
	bool text = e->t.type == NULL && payload_printable(e->t.bytes, e->t.message.size);
	char *hex = e->t.type == NULL && !text ? payload_hex(e->t.bytes, e->t.message.size) : NULL;

	e->t.bytes[e->t.message.size] = '\0'; /* there is room */
	e->json = out_line_begin(stdout, "tarn.echo/1");
	json_text(&e->json, "name", e->t.name);
	json_u64(&e->json, "publisher", e->t.message.publisher);
	json_u64(&e->json, "number", e->t.message.number);
	json_u64(&e->json, "missed", e->t.message.missed);
	json_i64(&e->json, "time_ns", e->t.message.time_ns);
	json_u64(&e->json, "size_bytes", e->t.message.size);
	json_text(&e->json, "text", text ? (const char *)e->t.bytes : NULL);
	json_text(&e->json, "hex", hex);
	json_open(&e->json, "fields", '[');
	if (e->t.type != NULL)
		(void)walk(e, json_leaf);
	json_close(&e->json, ']');
	out_line_end(&e->json);
	free(hex);
}

static void put_message(struct echo *e)
{
	struct cli *cli = e->cli;

	if (e->t.message.missed != 0)
		cli_note(cli, "%s: %" PRIu64 " messages of publisher %" PRIu32 " were missed",
			 e->t.name, e->t.message.missed, e->t.message.publisher);
	if (e->as_json) {
		put_json(e);
	} else if (cli_given(cli, "raw")) {
		fwrite(e->t.bytes, 1, e->t.message.size, stdout);
	} else if (cli_given(cli, "hex")) {
		payload_put_hex(e->t.bytes, e->t.message.size);
		putchar('\n');
	} else {
		e->between = "";
		if (e->t.type == NULL)
			payload_put_text(e->t.bytes, e->t.message.size);
		else
			(void)walk(e, e->csv ? csv_leaf : line_leaf);
		putchar('\n');
	}
}

/* --- taking -------------------------------------------------------------------------------- */

static int echo_all(struct echo *e)
{
	int64_t last = tarn_now();
	uint64_t printed = 0;

	while (stream_signal() == 0) {
		int64_t deadline = e->t.timeout_ns < 0 ? INT64_MAX : last + e->t.timeout_ns;
		int r = taking_take(&e->t, deadline, false);

		if (r == 0) {
			put_message(e);
			if (!cli_flush() || ++printed == e->count)
				return CLI_OK;
			last = tarn_now();
		} else if (r != -ETIMEDOUT) {
			return taking_fail(&e->t, r);
		} else if (tarn_now() >= deadline) {
			cli_error(e->cli, "%s: no message has come in the time allowed", e->t.name);
			return CLI_TIMEOUT;
		}
	}
	return CLI_OK;
}

/* "a,b.c" */
static bool take_fields(struct echo *e)
{
	const char *text = cli_value(e->cli, "fields");

	e->field_count = 1;
	if (text == NULL)
		return true;
	if (*text == '\0' || *text == ',' || strstr(text, ",,") != NULL ||
	    text[strlen(text) - 1] == ',') {
		cli_usage(e->cli, "'%s' is no value for --fields: FIELD,FIELD", text);
		return false;
	}
	e->fields = strdup(text);
	if (e->fields == NULL) {
		cli_fail(e->cli, e->t.name, -ENOMEM);
		return false;
	}
	for (char *p = e->fields; (p = strchr(p, ',')) != NULL; e->field_count++)
		*p++ = '\0';
	return true;
}

static bool take_form(struct echo *e)
{
	const struct cli *cli = e->cli;
	bool bytes = cli_given(cli, "hex") || cli_given(cli, "raw");

	e->csv = cli_given(cli, "csv");
	e->as_json = cli_given(cli, "json");
	if (e->csv + e->as_json + cli_given(cli, "hex") + cli_given(cli, "raw") > 1) {
		cli_usage(cli, "--csv, --json, --hex and --raw: one of these");
		return false;
	}
	if (bytes && cli_given(cli, "fields")) {
		cli_usage(cli, "--hex and --raw print all bytes of a message, and no --fields");
		return false;
	}
	return take_fields(e);
}

static bool take_options(struct echo *e)
{
	struct cli *cli = e->cli;
	const char *history = cli_value(cli, "history");
	bool lossless = cli_given(cli, "lossless");

	if (!taking_begin(&e->t, cli, cli_given(cli, "look")) ||
	    !cli_number(cli, "count", 0, UINT64_MAX, &e->count))
		return false;
	if (history != NULL && strcmp(history, "all") == 0)
		e->history = UINT32_MAX;
	else if (!cli_number(cli, "history", 0, UINT32_MAX, &e->history))
		return false;
	if (cli_given(cli, "once"))
		e->count = 1;
	if (cli_given(cli, "look") && lossless) {
		cli_usage(cli, "--look changes nothing, so it cannot be --lossless");
		return false;
	}
	if (!take_form(e))
		return false;
	e->t.topic_opts.history = (uint32_t)e->history;
	if (lossless)
		e->t.topic_opts.flags &= ~(uint32_t)TARN_TOPIC_LOSSY;
	return true;
}

static int echo_run(struct cli *cli)
{
	struct echo e = { .cli = cli };
	int code;

	if (!take_options(&e)) {
		free(e.fields);
		return CLI_USAGE;
	}
	stream_signals_watch();
	code = taking_open(&e.t);
	if (code < 0)
		code = begin_fields(&e);
	if (code < 0)
		code = echo_all(&e);
	taking_end(&e.t);
	free(e.fields);
	return code;
}

static const struct cli_example echo_examples[] = {
	{ "tarn echo house/news", "each message as it comes; in either order with tarn pub" },
	{ "tarn echo -1 -H 1 house/news", "the newest one that is there" },
	{ "tarn echo -J house/news | jq .text", "as JSON, a line each" },
	{ "tarn echo -f price,side shop/orders", "of each message two fields" },
	{ "tarn echo --csv -H all shop/orders >orders.csv", "for a spreadsheet" },
	{ "tarn echo --peers exchange unix:/run/market/prices", "of another user, not trusted" },
	{ "tarn echo --raw house/frames | ffplay -f rawvideo -", "the bytes alone" },
	{ 0 },
};

static const struct cli_exit_note echo_exits[] = {
	{ 0, "ended by --count, --once or a signal" },
	{ 1, "fields are asked for, and messages have no type" },
	{ 3, "its type has no such field; or the topic was removed meanwhile" },
	{ 4, "permission denied" },
	{ 5, "no message, or no such topic, in the time allowed" },
	{ 6, "damaged, or of another version" },
	{ 0 },
};

const struct cli_cmd cmd_echo = {
	.name = "echo",
	.args = "REGION/TOPIC",
	.summary = "print the messages of a topic as they come",
	.about =
		"Prints each message in a line: of a type as FIELD=VALUE, else as text, with what "
		"is not printable as \\xNN. A region or topic that is not there yet is waited "
		"for. A text field is in quotes, unless it is all that is printed.\n\n"
		"It is lossy, unless told otherwise: it holds no publisher up, and if it is too "
		"slow "
		"it says how many messages it has missed. With --look it does not become a member "
		"of the region either, needs no permission to write, and does not count for tarn "
		"pub --wait-subscribers.\n\n"
		"unix:DIR/TOPIC is a topic in a directory of sockets (tarn pub), which need not be "
		"there yet. Whose messages are believed --peers says; their type is that of the "
		"first publisher there is.",
	.operand = "region",
	.opts = echo_opts,
	.schema = "tarn.echo/1",
	.lists = echo_lists,
	.examples = echo_examples,
	.exits = echo_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = 1,
	.run = echo_run,
};
