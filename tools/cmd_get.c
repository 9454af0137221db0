/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn get REGION/OBJECT[.FIELD]... - the fields of a shared struct or latest value by name, as one
 * moment had them. It looks on: nothing is entered, and no writer waits.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cmds.h"
#include "figures.h"
#include "out.h"
#include "typed.h"
#include "value.h"

enum { SHOWN = 16 }; /* elements of an array, or lines of bytes, in a table, without --all */

static const struct cli_opt get_opts[] = {
	{ 'a', "all", NULL, "all elements of arrays, one a row; not the first 16" },
	{ 't', "timeout", "SECONDS",
	  "how long to try while somebody is inside of the section that guards it; 5 if not "
	  "given" },
	{ 0, "unguarded", NULL,
	  "read it as it stands, even while it is being changed: what is shown may be half a "
	  "change" },
	{ 0 },
};

static const struct out_col get_item_cols[] = {
	{ "name", "NAME", OUT_TEXT, "REGION/OBJECT", false },
	{ "type", "TYPE", OUT_TEXT, "name of its type", false },
	{ "version", "VERSION", OUT_COUNT, "of the type", false },
	{ "type_hash", NULL, OUT_TEXT,
	  "of the type, hexadecimal: programs with the same one have the same struct", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "of the struct, or of the newest value", false },
	{ "section", "SECTION", OUT_TEXT, "name of the section that guards it, if one does",
	  false },
	{ "guarded", NULL, OUT_BOOL,
	  "was it read whole by that section's version? Else its fields may be of different "
	  "moments",
	  false },
	{ "number", NULL, OUT_COUNT, "of a latest value: which one it is, counted from 1", false },
	{ "hex", NULL, OUT_TEXT, "the bytes of a latest value that has no type", false },
	{ "fields", NULL, OUT_LIST, "its fields, or those that were asked for", false },
	{ 0 },
};
static const struct out_list get_item_list = { "items", get_item_cols };

static const struct out_col get_field_cols[] = {
	{ "field", "FIELD", OUT_TEXT, "its name; of nested structs and arrays its path", false },
	{ "value", "VALUE", OUT_VALUE,
	  "a number, or a text: of texts, of flags, and of values of an enumeration that have a "
	  "name",
	  false },
	{ "unit", "UNIT", OUT_TEXT, "of the number", false },
	{ "help", "HELP", OUT_LONG, "what it is", OUT_IF_ROOM },
	{ "kind", "KIND", OUT_TEXT, "its type", true },
	{ "offset_bytes", "OFFSET", OUT_OFFSET, "where it is in the struct", true },
	{ "number", NULL, OUT_SIGNED, "the number behind flags and enumerations", false },
	{ 0 },
};
static const struct out_list get_field_list = { "fields", get_field_cols };
static const struct out_list *const get_lists[] = { &get_item_list, &get_field_list, NULL };

struct get {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
	int64_t timeout_ns;
	bool all, unguarded;
	bool listing;              /* all that a region has */
	bool plain;                /* a field alone is printed as it is, for scripts */
	const struct typed *typed; /* at hand */
	bool failed;
};

/* --- a struct ------------------------------------------------------------------------------ */

static int put_leaf(const struct typed_leaf *leaf, void *arg)
{
	struct get *get = arg;
	struct out *out = &get->out;
	const unsigned char *at = get->typed->copy + leaf->offset;
	char *text = value_text(leaf->field, at, leaf->length, SHOWN, out->as_json);
	char kind[96];
	uint64_t number;

	get->failed |= text == NULL;
	out_row(out);
	out_text(out, "field", leaf->path);
	out_value(out, "value", text, leaf->length == 0 && value_is_number(leaf->field, at));
	out_text(out, "unit", leaf->field->unit[0] != '\0' ? leaf->field->unit : NULL);
	out_text(out, "help", leaf->field->help[0] != '\0' ? leaf->field->help : NULL);
	out_text(out, "kind", value_kind(leaf->field, leaf->length, kind));
	out_number(out, "offset_bytes", leaf->offset);
	if (leaf->length == 0 && value_behind(leaf->field, at, &number))
		out_number(out, "number", number);
	free(text);
	return 0;
}

static int put_plain(const struct typed_leaf *leaf, void *arg)
{
	struct get *get = arg;
	const unsigned char *at = get->typed->copy + leaf->offset;
	char *text = value_text(leaf->field, at, leaf->length, UINT32_MAX, false);

	if (text != NULL)
		fprintf(get->out.to, "%s\n", text);
	get->failed |= text == NULL;
	free(text);
	return 0;
}

static int count_leaf(const struct typed_leaf *leaf, void *arg)
{
	(void)leaf;
	++*(int *)arg;
	return 0;
}

static char *hex_of(const unsigned char *at, size_t size, const char *between)
{
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	if (to == NULL)
		return NULL;
	for (size_t i = 0; i < size; i++)
		fprintf(to, "%s%02x", i > 0 ? between : "", at[i]);
	return fclose(to) == 0 ? text : NULL;
}

static void put_facts(struct get *get, const char *name, const struct typed *typed)
{
	struct out *out = &get->out;
	bool many = get->cli->argc > 1;
	char hash[24];
	char *hex = NULL; /* without memory: null, as if it had a type */

	out_fact_text(out, "name", many ? "name" : NULL, name);
	out_fact_text(out, "type", NULL, typed->type != NULL ? typed->stat.type : NULL);
	if (typed->type != NULL)
		out_fact_number(out, "version", NULL, OUT_COUNT, typed->stat.version);
	else
		out_fact_text(out, "version", NULL, NULL);
	if (typed->type != NULL)
		snprintf(hash, sizeof(hash), "%016" PRIx64, tarn_type_hash(typed->type));
	out_fact_text(out, "type_hash", NULL, typed->type != NULL ? hash : NULL);
	if (typed->latest != NULL) {
		out_fact_number(out, "size_bytes", "size", OUT_SIZE, typed->size);
		out_fact_number(out, "number", "number", OUT_COUNT, typed->number);
	} else {
		out_fact_number(out, "size_bytes", NULL, OUT_SIZE, typed->stat.size);
		out_fact_text(out, "number", NULL, NULL);
	}
	out_fact_text(out, "section", NULL,
		      typed->stat.section[0] != '\0' ? typed->stat.section : NULL);
	out_fact_number(out, "guarded", NULL, OUT_BOOL, typed_guarded(typed) && !get->unguarded);
	if (out->as_json && typed->type == NULL)
		hex = hex_of(typed->copy, typed->size, "");
	out_fact_text(out, "hex", NULL, hex);
	free(hex);
}

/* --- bytes --------------------------------------------------------------------------------- */

static void put_lines(struct get *get)
{
	const struct typed *typed = get->typed;
	char field[24];

	for (size_t at = 0; at < typed->size; at += 16) {
		size_t n = typed->size - at < 16 ? typed->size - at : 16;
		char *hex = hex_of(typed->copy + at, n, " ");
		bool more = !get->all && at / 16 == SHOWN;

		snprintf(field, sizeof(field), "%04zx", at);
		out_row(&get->out);
		out_text(&get->out, "field", more ? "..." : field);
		out_value(&get->out, "value", more ? NULL : hex, false);
		get->failed |= hex == NULL;
		free(hex);
		if (more)
			break;
	}
}

/* A latest value without a type. To a pipe as it is. */
static int put_bytes(struct get *get, const char *name, const char *path)
{
	const struct typed *typed = get->typed;

	if (*path != '\0')
		return typed_need_fields(get->cli, typed, name);
	if (get->plain) {
		fwrite(typed->copy, 1, typed->size, get->out.to);
		return CLI_OK;
	}
	out_item(&get->out);
	put_facts(get, name, typed);
	out_list(&get->out, &get_field_list);
	if (!get->out.as_json)
		put_lines(get);
	out_item_end(&get->out);
	return CLI_OK;
}

static int put_fields(struct get *get, const char *name, const char *path)
{
	const struct typed *typed = get->typed;
	bool all = get->all || get->out.as_json;
	struct tarn_diag *diag = &get->cli->diag;
	int count = 0;
	int r = typed_walk(typed->type, path, false, UINT32_MAX, count_leaf, &count, diag);

	if (r < 0)
		return cli_fail(get->cli, name, r);
	if (get->plain && count == 1 && *path != '\0') {
		r = typed_walk(typed->type, path, false, UINT32_MAX, put_plain, get, diag);
		return r < 0 ? cli_fail(get->cli, name, r) : CLI_OK;
	}
	out_item(&get->out);
	put_facts(get, name, typed);
	out_list(&get->out, &get_field_list);
	/* An array alone is shown element by element. */
	all = all || (count == 1 && *path != '\0');
	r = typed_walk(typed->type, path, all, all ? UINT32_MAX : SHOWN, put_leaf, get, diag);
	out_item_end(&get->out);
	return r < 0 ? cli_fail(get->cli, name, r) : CLI_OK;
}

/* --- counters ------------------------------------------------------------------------------ */

struct figure {
	struct get *get;
	const char *path; /* "": all */
	int count;
	bool rows;
};

/* Is FIELD, of metric @name with @more behind it, asked for? */
static bool is_asked(const struct figure *f, const char *name, const char *more)
{
	size_t length = strlen(name);

	return *f->path == '\0' ||
	       (strncmp(f->path, name, length) == 0 &&
		(f->path[length] == '\0' || strcmp(f->path + length, more) == 0));
}

static void put_figure(struct figure *f, const struct tarn_metric *metric, const char *more,
		       const char *unit, const char *value)
{
	char field[TARN_METRIC_NAME_MAX + 8];
	struct out *out = &f->get->out;

	if (!is_asked(f, metric->name, more))
		return;
	f->count++;
	snprintf(field, sizeof(field), "%.63s%.7s", metric->name, more);
	if (!f->rows) {
		if (f->get->plain)
			fprintf(out->to, "%s\n", value);
		return;
	}
	out_row(out);
	out_text(out, "field", field);
	out_value(out, "value", value, true);
	out_text(out, "unit", unit[0] != '\0' ? unit : NULL);
	out_text(out, "help", metric->help[0] != '\0' ? metric->help : NULL);
	out_text(out, "kind", figures_kind(metric));
}

static void put_metric(struct figure *f, const struct figures_set *set, uint32_t number)
{
	static const struct {
		const char *more;
		double q;
	} quantiles[] = { { ".p50", 0.5 }, { ".p99", 0.99 }, { ".p999", 0.999 }, { ".max", 1 } };
	const struct tarn_metric *metric = tarn_counters_describe(set->counters, number);
	uint64_t value = tarn_sample_value(set->now, number);
	char text[40];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	if (metric->kind == TARN_METRIC_GAUGE)
		snprintf(text, sizeof(text), "%" PRId64, (int64_t)value);
	if (metric->kind != TARN_METRIC_HISTOGRAM) {
		put_figure(f, metric, "", metric->unit, text);
		return;
	}
	put_figure(f, metric, ".count", "", text);
	snprintf(text, sizeof(text), "%" PRIu64, tarn_sample_sum(set->now, number));
	put_figure(f, metric, ".sum", metric->unit, text);
	snprintf(text, sizeof(text), "%.10g", tarn_sample_mean(set->now, number));
	put_figure(f, metric, ".mean", metric->unit, text);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		snprintf(text, sizeof(text), "%" PRIu64,
			 tarn_sample_quantile(set->now, number, quantiles[i].q));
		put_figure(f, metric, quantiles[i].more, metric->unit, text);
	}
}

static void put_metrics(struct figure *f, const struct figures_set *set, bool rows)
{
	f->rows = rows;
	f->count = 0;
	for (uint32_t i = 0; i < tarn_counters_count(set->counters); i++)
		put_metric(f, set, i);
}

/* Also of what an object counts of itself. */
static int put_counters(struct get *get, const struct figures_set *set, const char *name,
			const char *path)
{
	static const char *const unknown[] = { "version", "type_hash", "size_bytes", "section",
					       "guarded", "number",    "hex" };
	struct figure f = { .get = get, .path = path };
	bool plain = get->plain;

	get->plain = false;
	put_metrics(&f, set, false);
	get->plain = plain;
	if (f.count == 0) {
		snprintf(get->cli->diag.what, sizeof(get->cli->diag.what),
			 "there is no metric %.100s", path);
		snprintf(get->cli->diag.hint, sizeof(get->cli->diag.hint),
			 "tarn get %.200s lists them", name);
		return cli_fail(get->cli, name, -ENOENT);
	}
	if (get->plain && f.count == 1) {
		put_metrics(&f, set, false);
		return CLI_OK;
	}
	out_item(&get->out);
	out_fact_text(&get->out, "name", get->cli->argc > 1 ? "name" : NULL, name);
	out_fact_text(&get->out, "type", NULL, look_kind(set->kind));
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		out_fact_text(&get->out, unknown[i], NULL, NULL);
	out_list(&get->out, &get_field_list);
	put_metrics(&f, set, true);
	out_item_end(&get->out);
	return CLI_OK;
}

static int kind_of(const struct tarn_object_stat *stat, void *arg)
{
	const char *name = arg;

	return !stat->removed && strcmp(stat->name, name) == 0 ? (int)stat->kind : 0;
}

static uint32_t kind_at(const struct typed_at *at, const char *object)
{
	int kind = tarn_region_objects(at->region, kind_of, (void *)(uintptr_t)object);

	return kind > 0 ? (uint32_t)kind : 0;
}

static int no_field(const struct typed_leaf *leaf, void *arg)
{
	(void)leaf, (void)arg;
	return 0;
}

/* Is it shown by what it counts? Not what has fields, or bytes to be shown, unless a metric is
 * named, and no field has that name. */
static bool is_counters(const struct typed_at *at, const char *object, const char *path)
{
	uint32_t kind = kind_at(at, object);

	if (kind == 0)
		return false;
	if (typed_is_kind(kind) || kind == TARN_OBJECT_BYTES)
		return *path != '\0' && figures_has(at->region, object, path);
	return true;
}

static bool is_field(const struct typed *typed, const char *path)
{
	struct tarn_diag diag;

	return typed->type != NULL &&
	       typed_walk(typed->type, path, false, 1, no_field, NULL, &diag) >= 0;
}

static int get_counters(struct get *get, const struct typed_at *at, const char *object,
			const char *name, const char *path)
{
	struct figures figures;
	int code = figures_open_in(get->cli, at->region, name, object, &figures);

	if (code != CLI_OK)
		return code;
	code = figures_take(&figures);
	if (code == CLI_OK)
		code = put_counters(get, &figures.sets[0], name, path);
	figures.region = NULL; /* it is the caller's */
	figures_close(&figures);
	return code;
}

/* --- either -------------------------------------------------------------------------------- */

/* Where it was asked for that is an answer to a script: absent. A region's is one of many. */
static int put_none(struct get *get, const char *name)
{
	if (get->listing) {
		out_item(&get->out);
		put_facts(get, name, get->typed);
		out_list(&get->out, &get_field_list);
		out_item_end(&get->out);
		return CLI_OK;
	}
	cli_error(get->cli, "%s: nothing was written yet", name);
	return CLI_ABSENT;
}

static int put_value(struct get *get, const char *name, const char *path)
{
	if (get->typed->latest != NULL && get->typed->number == 0)
		return put_none(get, name);
	return get->typed->type != NULL ? put_fields(get, name, path) : put_bytes(get, name, path);
}

/* A section that is named and not there guards nothing: that is told. */
static void tell_unguarded(struct get *get, const char *name, const struct typed *typed)
{
	if (typed->section_error < 0 && !get->unguarded)
		cli_note(
			get->cli,
			"%s: section %s, which guards it, cannot be opened (%s); read as it stands",
			name, typed->stat.section, strerror(-typed->section_error));
}

static int get_struct(struct get *get, const struct typed_at *at, const char *object,
		      const char *path)
{
	char name[sizeof(at->name.region) + TARN_OBJECT_NAME_MAX + 2];
	struct typed typed;
	bool counts;
	int code, r;

	snprintf(name, sizeof(name), "%s/%s", at->name.region, object);
	counts = is_counters(at, object, path);
	if (counts && !typed_is_kind(kind_at(at, object)))
		return get_counters(get, at, object, name, path);
	code = typed_open(get->cli, at->region, object, name, &typed);
	if (code != CLI_OK)
		return code;
	if (counts && !is_field(&typed, path)) {
		typed_close(&typed);
		return get_counters(get, at, object, name, path);
	}
	tell_unguarded(get, name, &typed);
	get->typed = &typed;
	r = typed_read(&typed, !get->unguarded, tarn_deadline_after(get->timeout_ns));
	code = r < 0 ? typed_read_fail(get->cli, &typed, name, at->name.region, r)
		     : put_value(get, name, path);
	typed_close(&typed);
	return code;
}

/* --- a region ------------------------------------------------------------------------------ */

struct listing {
	struct get *get;
	const struct typed_at *at;
	int worst;
};

static int list_one(const struct tarn_object_stat *stat, void *arg)
{
	struct listing *listing = arg;
	struct get *get = listing->get;
	struct out *out = &get->out;
	char name[sizeof(listing->at->name.region) + TARN_OBJECT_NAME_MAX + 2];
	struct typed typed;
	int code;

	if (stat->removed || (!typed_is_kind(stat->kind) && stat->kind != TARN_OBJECT_COUNTERS))
		return 0;
	if (out->as_json) {
		code = get_struct(get, listing->at, stat->name, "");
		listing->worst = cli_worse(listing->worst, code);
		return 0;
	}
	snprintf(name, sizeof(name), "%s/%s", listing->at->name.region, stat->name);
	if (stat->kind == TARN_OBJECT_COUNTERS) {
		out_row(out);
		out_text(out, "name", name);
		out_text(out, "type", "counters");
		out_number(out, "size_bytes", stat->size);
		return 0;
	}
	code = typed_open(get->cli, listing->at->region, stat->name, name, &typed);
	listing->worst = cli_worse(listing->worst, code);
	if (code != CLI_OK)
		return 0;
	out_row(out);
	out_text(out, "name", name);
	if (typed.type != NULL) {
		out_text(out, "type", typed.stat.type);
		out_number(out, "version", typed.stat.version);
	}
	out_number(out, "size_bytes", typed.stat.size);
	out_text(out, "section", typed.stat.section[0] != '\0' ? typed.stat.section : NULL);
	typed_close(&typed);
	return 0;
}

static int get_region(struct get *get, const struct typed_at *at)
{
	struct listing listing = { .get = get, .at = at };
	int r;

	if (!get->out.as_json)
		out_list(&get->out, &get_item_list);
	get->listing = true;
	r = tarn_region_objects(at->region, list_one, &listing);
	get->listing = false;
	if (!get->out.as_json)
		out_list_end(&get->out);
	return r < 0 ? cli_fail(get->cli, at->name.region, r) : listing.worst;
}

static int get_one(struct get *get, const char *text)
{
	struct typed_at at;
	int code = typed_find(get->cli, text, &get->opts, &at);

	if (code == CLI_DENIED)
		out_unreadable(&get->out);
	if (code != CLI_OK)
		return code;
	code = at.object[0] != '\0' ? get_struct(get, &at, at.object, at.path)
				    : get_region(get, &at);
	tarn_region_close(at.region);
	return code;
}

static int get_run(struct cli *cli)
{
	struct get get = {
		.cli = cli,
		.timeout_ns = INT64_C(5000000000),
		.all = cli_given(cli, "all"),
		.unguarded = cli_given(cli, "unguarded"),
		.plain = !isatty(STDOUT_FILENO) && !cli_given(cli, "json") &&
			 !cli_given(cli, "output") && !cli_given(cli, "all"),
	};
	int worst = CLI_OK;

	if (!look_opts(cli, &get.opts) || !cli_seconds(cli, "timeout", &get.timeout_ns))
		return CLI_USAGE;

	int code = out_begin(&get.out, cli);

	if (code >= 0)
		return code;
	for (int i = 0; i < cli->argc; i++)
		worst = cli_worse(worst, get_one(&get, cli->argv[i]));
	if (get.failed)
		worst = cli_worse(worst, cli_error(cli, "out of memory"));
	return out_end(&get.out, worst);
}

static const struct cli_example get_examples[] = {
	{ "tarn get sensors", "the only struct of a region; or what structs it has" },
	{ "tarn get sensors/kitchen", "all fields, with units" },
	{ "heat=$(tarn get sensors/kitchen.temperature)", "one value, for a script" },
	{ "tarn get 'room/desk.corners[3].x' room/desk.name", "two values, one a line" },
	{ "tarn get robot/pose.x", "a field of the newest value" },
	{ "tarn get shop/web.requests_total", "one of the counters of an object" },
	{ "tarn get shop/lock.waits_total", "how often somebody slept for that lock" },
	{ "tarn get sensors -J | jq '.items[0].fields[] | {field, value}'", "the same as JSON" },
	{ 0 },
};

static const struct cli_exit_note get_exits[] = {
	{ 1, "the object has no type; or whoever changed it last died inside of its section, and "
	     "nobody has undone that yet" },
	{ 2, "the region has several structs, and a field was named" },
	{ 3,
	  "there is no such region, object, field or element; or no latest value was written yet" },
	{ 4, "permission denied" },
	{ 5, "somebody was inside of the section all the time, or writers were too fast" },
	{ 6, "damaged, or its section is set aside" },
	{ 0 },
};

const struct cli_cmd cmd_get = {
	.name = "get",
	.args = "REGION[/OBJECT][.FIELD]...",
	.summary = "print the fields of shared structs and latest values by name",
	.about =
		"Shows what a struct holds that a program has put into a region with its "
		"description, in whichever language: names, values, units. FIELD may be a path, as "
		"corners[3].x. Where nothing but a field is named, and the output is no terminal, "
		"its value is printed alone. A region with one struct needs no OBJECT.\n\n"
		"Of a latest value (tarn/latest.h) the newest is shown, with its number and size; "
		"one "
		"that has no type is bytes, which go to a pipe as they are, and else are shown in "
		"hexadecimal.\n\n"
		"Counters (tarn/counters.h) are shown by their metrics: took_ns.p99 is what 99 of "
		"100 values of the histogram took_ns are not above. What any other object counts "
		"of itself (tarn/figures.h) is shown the same way: REGION/OBJECT.waits_total; of "
		"structs, latest values and plain bytes it has to be named.\n\n"
		"It looks on: the region is mapped to be read only, no section is entered, and no "
		"writer waits. What a section guards is read whole by that section's version, "
		"again "
		"and again until nobody has changed it meanwhile; so a change that is under way is "
		"never seen by half. A struct that names no section is read as it stands, and JSON "
		"says that it is not guarded.\n\n"
		"Sizes and places of fields are the same for programs of 32 and 64 bits and of all "
		"compilers. A region of the other byte order is not opened.",
	.operand = "region",
	.opts = get_opts,
	.schema = "tarn.get/1",
	.lists = get_lists,
	.examples = get_examples,
	.exits = get_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST,
	.arg_min = 1,
	.arg_max = -1,
	.run = get_run,
};
