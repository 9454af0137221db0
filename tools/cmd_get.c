/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn get REGION/OBJECT[.FIELD]... - the fields of a shared struct by name, as one moment had
 * them. It looks on: nothing is entered, and no writer waits.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cmds.h"
#include "out.h"
#include "typed.h"
#include "value.h"

enum { SHOWN = 16 }; /* elements of an array in a table, without --all */

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
	{ "size_bytes", "SIZE", OUT_SIZE, "of the struct", false },
	{ "section", "SECTION", OUT_TEXT, "name of the section that guards it, if one does",
	  false },
	{ "guarded", NULL, OUT_BOOL,
	  "was it read whole by that section's version? Else its fields may be of different "
	  "moments",
	  false },
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

static void put_facts(struct get *get, const char *name, const struct typed *typed)
{
	struct out *out = &get->out;
	bool many = get->cli->argc > 1;

	out_fact_text(out, "name", many ? "name" : NULL, name);
	out_fact_text(out, "type", NULL, typed->stat.type);
	out_fact_number(out, "version", NULL, OUT_COUNT, typed->stat.version);
	out_fact_number(out, "size_bytes", NULL, OUT_SIZE, typed->stat.size);
	out_fact_text(out, "section", NULL,
		      typed->stat.section[0] != '\0' ? typed->stat.section : NULL);
	out_fact_number(out, "guarded", NULL, OUT_BOOL, typed_guarded(typed) && !get->unguarded);
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
	int code, r;

	snprintf(name, sizeof(name), "%s/%s", at->name.region, object);
	code = typed_open(get->cli, at->region, object, name, &typed);
	if (code != CLI_OK)
		return code;
	tell_unguarded(get, name, &typed);
	get->typed = &typed;
	r = typed_read(&typed, !get->unguarded, tarn_deadline_after(get->timeout_ns));
	code = r < 0 ? typed_read_fail(get->cli, &typed, name, at->name.region, r)
		     : put_fields(get, name, path);
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

	if (stat->removed || stat->kind != TARN_OBJECT_STRUCT)
		return 0;
	if (out->as_json) {
		code = get_struct(get, listing->at, stat->name, "");
		listing->worst = cli_worse(listing->worst, code);
		return 0;
	}
	snprintf(name, sizeof(name), "%s/%s", listing->at->name.region, stat->name);
	code = typed_open(get->cli, listing->at->region, stat->name, name, &typed);
	listing->worst = cli_worse(listing->worst, code);
	if (code != CLI_OK)
		return 0;
	out_row(out);
	out_text(out, "name", name);
	out_text(out, "type", typed.stat.type);
	out_number(out, "version", typed.stat.version);
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
	r = tarn_region_objects(at->region, list_one, &listing);
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
	{ "tarn get sensors -J | jq '.items[0].fields[] | {field, value}'", "the same as JSON" },
	{ 0 },
};

static const struct cli_exit_note get_exits[] = {
	{ 1, "the object has no type" },
	{ 2, "the region has several structs, and a field was named" },
	{ 3, "there is no such region, object or field" },
	{ 4, "permission denied" },
	{ 5, "somebody was inside of the section all the time" },
	{ 6, "damaged" },
	{ 0 },
};

const struct cli_cmd cmd_get = {
	.name = "get",
	.args = "REGION[/OBJECT][.FIELD]...",
	.summary = "print the fields of shared structs by name",
	.about =
		"Shows what a struct holds that a program has put into a region with its "
		"description, in whichever language: names, values, units. FIELD may be a path, as "
		"corners[3].x. Where nothing but a field is named, and the output is no terminal, "
		"its value is printed alone. A region with one struct needs no OBJECT.\n\n"
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
