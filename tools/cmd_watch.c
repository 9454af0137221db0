/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn watch REGION/OBJECT[.FIELD] - a shared struct or latest value each time that it changes.
 *
 * While nothing happens the version of the section that guards it is looked at, one word, or the
 * number of the latest value, and nothing else. What was changed and changed back between two looks
 * is not seen.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "cmds.h"
#include "out.h"
#include "typed.h"
#include "value.h"
#include "watch.h"

#define INTERVAL_NS INT64_C(100000000)
#define THERE_NS    INT64_C(1000000000) /* is it still there? */
#define READ_NS     INT64_C(5000000000)

static const struct cli_opt watch_opts[] = {
	{ 'i', "interval", "SECONDS", "time from one look to the next; 0.1 if not given" },
	{ 'c', "count", "N", "end after N of them, 0 = never" },
	{ '1', "once", NULL, "wait for the next change, print it, and end" },
	{ 't', "timeout", "SECONDS", "end with exit code 5 when nothing changes for so long" },
	{ 'J', "json", NULL, "one JSON object a line, see tarn-json(5)" },
	{ 0 },
};

static const struct out_col line_cols[] = {
	{ "schema", NULL, OUT_TEXT, "of this line", false },
	{ "event", NULL, OUT_TEXT, "first, with all fields; or changed", false },
	{ "name", NULL, OUT_TEXT, "REGION/OBJECT", false },
	{ "time_ns", NULL, OUT_TIME, "when it was seen", false },
	{ "guarded", NULL, OUT_BOOL, "was it read whole, by the section that guards it?", false },
	{ "number", NULL, OUT_COUNT, "of a latest value: which one it is, counted from 1", false },
	{ "hex", NULL, OUT_TEXT, "the bytes of a latest value that has no type", false },
	{ "fields", NULL, OUT_LIST, "those that have changed since the last line", false },
	{ 0 },
};
static const struct out_list line_list = { "each line", line_cols };

static const struct out_col field_cols[] = {
	{ "field", "FIELD", OUT_TEXT, "its path", false },
	{ "value", "VALUE", OUT_VALUE, "what it is now", false },
	{ "unit", "UNIT", OUT_TEXT, "of the number", false },
	{ 0 },
};
static const struct out_list field_list = { "fields", field_cols };
static const struct out_list *const watch_lists[] = { &line_list, &field_list, NULL };

struct watched {
	struct cli *cli;
	struct typed_at at;
	struct typed typed;
	char name[4300];
	unsigned char *before; /* what was printed last */
	size_t before_size;    /* of a latest value */
	bool begun;            /* something was */
	uint32_t version;      /* of the section, when it was read last */
	int64_t timeout_ns;    /* -1: none */
	int64_t changed_ns, there_ns;
	int count; /* fields that are watched */
	int code;
	struct out *out;
	struct json json;
	const char *between;
};

/* --- looking ------------------------------------------------------------------------------- */

static bool leaf_changed(const struct watched *w, const struct typed_leaf *leaf)
{
	size_t size = (size_t)leaf->field->size * (leaf->length != 0 ? leaf->length : 1);

	return !w->begun ||
	       memcmp(w->before + leaf->offset, w->typed.copy + leaf->offset, size) != 0;
}

static int find_change(const struct typed_leaf *leaf, void *arg)
{
	return leaf_changed(arg, leaf);
}

static int count_leaf(const struct typed_leaf *leaf, void *arg)
{
	struct watched *w = arg;

	(void)leaf;
	return ++w->count > 1;
}

static bool has_changed(struct watched *w)
{
	const struct typed *typed = &w->typed;

	if (typed->latest != NULL && typed->number == 0)
		return false; /* none was written yet */
	if (typed->type == NULL)
		return !w->begun || typed->size != w->before_size ||
		       memcmp(w->before, typed->copy, typed->size) != 0;
	return typed_walk(w->typed.type, w->at.path, false, UINT32_MAX, find_change, w, NULL) > 0;
}

/* It may have been removed, and made anew elsewhere. */
static bool is_there(struct watched *w)
{
	struct tarn_region_stat region;

	return tarn_region_stat(w->at.region, &region) == 0 && !region.removed &&
	       typed_is_there(&w->typed);
}

static enum watch_next end(struct watched *w, int code)
{
	w->code = code;
	return WATCH_END;
}

/* Is there another version to be read? Its number is taken before. */
static bool is_new(struct watched *w)
{
	uint32_t version;

	if (!typed_guarded(&w->typed))
		return true;
	if (w->typed.latest != NULL)
		return tarn_latest_number(w->typed.latest) != w->typed.number &&
		       typed_read(&w->typed, true, tarn_deadline_after(INTERVAL_NS)) == 0;
	if (tarn_section_read_begin(w->typed.section, &version) < 0 || version == w->version)
		return false;
	if (typed_read(&w->typed, true, tarn_deadline_after(INTERVAL_NS)) < 0)
		return false;
	w->version = version;
	return true;
}

static enum watch_next ready(void *arg)
{
	struct watched *w = arg;
	int64_t now = tarn_now();

	if (now - w->there_ns >= THERE_NS) {
		w->there_ns = now;
		if (!is_there(w)) {
			cli_error(w->cli, "%s: it was removed", w->name);
			return end(w, CLI_ABSENT);
		}
	}
	if (is_new(w) && !typed_guarded(&w->typed) && typed_read(&w->typed, false, 0) < 0)
		return end(w, cli_fail(w->cli, w->name, -EIO));
	if (has_changed(w)) {
		w->changed_ns = now;
		return WATCH_LOOK;
	}
	if (w->timeout_ns >= 0 && now - w->changed_ns >= w->timeout_ns) {
		cli_error(w->cli, "%s: nothing has changed in the time allowed", w->name);
		return end(w, CLI_TIMEOUT);
	}
	return WATCH_WAIT;
}

/* --- printing ------------------------------------------------------------------------------ */

static int row_leaf(const struct typed_leaf *leaf, void *arg)
{
	struct watched *w = arg;
	const unsigned char *at = w->typed.copy + leaf->offset;
	char *text = value_text(leaf->field, at, leaf->length, 16, false);

	out_row(w->out);
	out_text(w->out, "field", leaf->path);
	out_value(w->out, "value", text, false);
	out_text(w->out, "unit", leaf->field->unit[0] != '\0' ? leaf->field->unit : NULL);
	free(text);
	return 0;
}

static void put_hex(FILE *to, const struct typed *typed)
{
	for (size_t i = 0; i < typed->size; i++)
		fprintf(to, "%02x", typed->copy[i]);
}

static char *hex_text(const struct typed *typed)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (to == NULL)
		return NULL;
	put_hex(to, typed);
	return fclose(to) == 0 ? text : NULL;
}

/* All of a latest value without a type. */
static void row_bytes(struct watched *w)
{
	char *text = hex_text(&w->typed);

	out_row(w->out);
	out_value(w->out, "value", text, false);
	free(text);
}

static int screen(struct watched *w)
{
	struct out out;
	int code = out_begin(&out, w->cli);

	if (code >= 0)
		return code;
	w->out = &out;
	out_list(&out, &field_list);
	if (w->typed.type == NULL)
		row_bytes(w);
	else
		(void)typed_walk(w->typed.type, w->at.path, false, 16, row_leaf, w, NULL);
	return out_end(&out, CLI_OK);
}

static int line_leaf(const struct typed_leaf *leaf, void *arg)
{
	struct watched *w = arg;
	char *text;

	if (!leaf_changed(w, leaf))
		return 0;
	text = value_text(leaf->field, w->typed.copy + leaf->offset, 0, 1, false);
	if (w->count == 1 && *w->at.path != '\0' && leaf->field->kind != TARN_FIELD_TEXT) {
		printf("%s%s", w->between, text != NULL ? text : "");
	} else {
		printf("%s%s=", w->between, leaf->path);
		if (leaf->field->kind == TARN_FIELD_TEXT)
			value_quote(stdout, text != NULL ? text : "");
		else
			fputs(text != NULL ? text : "", stdout);
	}
	w->between = " ";
	free(text);
	return 0;
}

static int json_leaf(const struct typed_leaf *leaf, void *arg)
{
	struct watched *w = arg;

	if (leaf_changed(w, leaf))
		typed_json(&w->json, leaf, w->typed.copy + leaf->offset);
	return 0;
}

static void json_line(struct watched *w)
{
	struct timespec now;
	char *hex;

	clock_gettime(CLOCK_REALTIME, &now);
	w->json = out_line_begin(stdout, "tarn.watch/1");
	json_text(&w->json, "event", w->begun ? "changed" : "first");
	json_text(&w->json, "name", w->name);
	json_i64(&w->json, "time_ns", (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	json_bool(&w->json, "guarded", typed_guarded(&w->typed));
	if (w->typed.latest != NULL)
		json_u64(&w->json, "number", w->typed.number);
	else
		json_text(&w->json, "number", NULL);
	hex = w->typed.type == NULL ? hex_text(&w->typed) : NULL;
	json_text(&w->json, "hex", hex);
	free(hex);
	json_open(&w->json, "fields", '[');
	if (w->typed.type != NULL)
		(void)typed_walk(w->typed.type, w->at.path, true, UINT32_MAX, json_leaf, w, NULL);
	json_close(&w->json, ']');
	out_line_end(&w->json);
}

static int look(struct cli *cli, void *arg)
{
	struct watched *w = arg;
	int code = CLI_OK;

	w->between = "";
	if (cli->to != NULL) {
		code = screen(w);
	} else if (cli_given(cli, "json")) {
		json_line(w);
	} else {
		if (w->typed.type == NULL)
			put_hex(stdout, &w->typed);
		else
			(void)typed_walk(w->typed.type, w->at.path, true, UINT32_MAX, line_leaf, w,
					 NULL);
		putchar('\n');
	}
	w->before_size = w->typed.size;
	memcpy(w->before, w->typed.copy, w->typed.stat.size);
	w->begun = true;
	return code;
}

/* --- the verb ------------------------------------------------------------------------------ */

static int begin(struct watched *w)
{
	int r, code;

	if (w->at.object[0] == '\0') {
		cli_error(w->cli, "%s: region %s has %" PRIu32 " structs", w->cli->argv[0],
			  w->at.name.region, w->at.struct_count);
		cli_hint("tarn get %s lists them", w->at.name.region);
		return CLI_USAGE;
	}
	snprintf(w->name, sizeof(w->name), "%s/%s", w->at.name.region, w->at.object);
	code = typed_open(w->cli, w->at.region, w->at.object, w->name, &w->typed);
	if (code != CLI_OK)
		return code;
	if (w->typed.type == NULL && w->at.path[0] != '\0')
		return typed_need_fields(w->cli, &w->typed, w->name);
	r = w->typed.type == NULL ? 0
				  : typed_walk(w->typed.type, w->at.path, true, UINT32_MAX,
					       count_leaf, w, &w->cli->diag);
	if (r < 0)
		return cli_fail(w->cli, w->name, r);
	w->before = malloc(w->typed.stat.size);
	if (w->before == NULL)
		return cli_fail(w->cli, w->name, -ENOMEM);
	r = typed_read(&w->typed, true, tarn_deadline_after(READ_NS));
	if (r < 0)
		return typed_read_fail(w->cli, &w->typed, w->name, w->at.name.region, r);
	w->changed_ns = w->there_ns = tarn_now();
	return CLI_OK;
}

static int watch_cmd_run(struct cli *cli)
{
	struct watched w = { .cli = cli, .timeout_ns = -1 };
	struct watch_source source = {
		.interval_ns = INTERVAL_NS, .ready = ready, .look = look, .arg = &w
	};
	struct tarn_region_opts opts;
	int code;

	if (!look_opts(cli, &opts) || !cli_seconds(cli, "timeout", &w.timeout_ns))
		return CLI_USAGE;
	code = typed_find(cli, cli->argv[0], &opts, &w.at);
	if (code != CLI_OK)
		return code;
	code = begin(&w);
	if (code == CLI_OK) {
		bool none = w.typed.latest != NULL && w.typed.number == 0; /* yet */

		source.once = cli_given(cli, "once");
		source.later = source.once || none;
		if (source.once && !none) { /* what is there now counts as printed */
			memcpy(w.before, w.typed.copy, w.typed.stat.size);
			w.before_size = w.typed.size;
			w.begun = true;
		}
		code = watch_events(cli, &source);
	}
	typed_close(&w.typed);
	tarn_region_close(w.at.region);
	free(w.before);
	return cli_worse(code, w.code);
}

static const struct cli_example watch_examples[] = {
	{ "tarn watch sensors/kitchen", "a terminal shows the fields as they change" },
	{ "tarn watch sensors/kitchen.temperature | while read -r t; do ...; done",
	  "each value in a line" },
	{ "tarn watch -1 sensors/kitchen.state --timeout 60", "wait for it to change" },
	{ "tarn watch sensors/kitchen -J | jq -c .fields", "what has changed, as JSON" },
	{ 0 },
};

static const struct cli_exit_note watch_exits[] = {
	{ 0, "ended by --count, --once or a signal" },
	{ 1,
	  "the object has no type; or, at its beginning, whoever changed it last had died inside "
	  "of its section, and nobody had undone that yet" },
	{ 3, "there is no such region, object or field; or it was removed meanwhile" },
	{ 4, "permission denied" },
	{ 5,
	  "nothing has changed in the time allowed; or, at its beginning, somebody was inside of "
	  "the section all the time" },
	{ 6, "damaged, or its section is set aside" },
	{ 0 },
};

const struct cli_cmd cmd_watch = {
	.name = "watch",
	.args = "REGION[/OBJECT][.FIELD]",
	.summary = "print a shared struct or latest value each time that it changes",
	.about = "Prints what there is, and then, each time that something has changed, what has: "
		 "on "
		 "a terminal all fields, drawn anew; else one line a change, of FIELD=VALUE, or of "
		 "the value alone where one field was named; with -J one object a line.\n\n"
		 "It looks on, like tarn get, and is cheap: as long as the version of the section "
		 "that guards the struct stays the same nothing else is read. What changes more "
		 "often than --interval is seen as it is then, whole. A struct that no section "
		 "guards is compared at each look, and may be seen half changed. A latest value is "
		 "always whole; one without a type is printed in hexadecimal.",
	.operand = "region",
	.opts = watch_opts,
	.schema = "tarn.watch/1",
	.lists = watch_lists,
	.examples = watch_examples,
	.exits = watch_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = 1,
	.run = watch_cmd_run,
};
