/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn put REGION/OBJECT.FIELD=VALUE... - set fields of shared structs, all of them or none; or of
 * a latest value, as a new one whose other fields are as before.
 *
 * Every value is read and checked before anything is opened to be changed. Then the sections that
 * guard the structs are entered, in the order of their offsets, and one tx has all stores. What
 * there was before is read inside of them, too: so it is what this change replaced. All waiting is
 * the library's, where tarn locks sees it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cmds.h"
#include "out.h"
#include "typed.h"
#include "value.h"

enum { ELEMENTS = 1 << 20 }; /* of an array that is set whole */

static const struct cli_opt put_opts[] = {
	{ 'w', "write", NULL, "do it; without this only show what would be set" },
	{ 't', "timeout", "SECONDS",
	  "how long to wait for the section that guards it; 5 if not given" },
	{ 0, "unguarded", NULL,
	  "set also what no section guards: readers and writers may see some fields of it and not "
	  "yet others" },
	{ 0 },
};

static const struct out_col put_cols[] = {
	{ "name", "NAME", OUT_TEXT, "REGION/OBJECT.FIELD", false },
	{ "before", "BEFORE", OUT_VALUE,
	  "what it was; null where none was written yet, where it failed before that was read, and "
	  "in a dry run where what a dead owner left is not undone yet",
	  false },
	{ "after", "AFTER", OUT_VALUE, "what it was set to", false },
	{ "unit", "UNIT", OUT_TEXT, "of the number", false },
	{ "action", "ACTION", OUT_TEXT, "set, would set or failed", false },
	{ "section", "SECTION", OUT_TEXT, "in which it was set; null: in none", true },
	{ 0 },
};
static const struct out_list put_list = { "items", put_cols };
static const struct out_list *const put_lists[] = { &put_list, NULL };

/* One FIELD=VALUE. */
struct setting {
	char *name; /* REGION/OBJECT.FIELD */
	char *text; /* VALUE */
	struct typed_at at;
	struct typed typed; /* as it is looked at; its copy is what there was before */
	bool seen;          /* that was read */
	struct tarn_place place;
	unsigned char *bytes;
	size_t size;
	void *data; /* of the struct, to be written */
	struct tarn_section *section;
	uint64_t section_off;
};

struct put {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
	int64_t deadline;
	bool write, unguarded;
	struct setting *settings;
	int count;
	struct tarn_region *region; /* as a member of it */
	struct tarn_tx *tx;
};

/* --- what is to be set --------------------------------------------------------------------- */

/* REGION/OBJECT.FIELD=VALUE; the value may have a '=', too. */
static int split(struct put *put, struct setting *s, const char *operand)
{
	const char *equals = strchr(operand, '=');

	if (equals == NULL)
		return cli_usage(put->cli, "'%s' has no value: REGION/OBJECT.FIELD=VALUE", operand);
	s->name = strndup(operand, (size_t)(equals - operand));
	s->text = strdup(equals + 1);
	return s->name != NULL && s->text != NULL ? CLI_OK : cli_error(put->cli, "out of memory");
}

/* All elements of an array, apart by commas or blanks. */
static int parse_array(struct put *put, struct setting *s)
{
	const struct tarn_field *field = s->place.field;
	uint32_t count = 0;
	char *rest = s->text, *word;
	int code = CLI_OK;

	while (code == CLI_OK && (word = strtok_r(NULL, ", ", &rest)) != NULL) {
		if (count < s->place.length)
			code = value_parse(put->cli, s->name, field, word,
					   s->bytes + (size_t)count * field->size);
		count++;
	}
	if (code != CLI_OK || count == s->place.length)
		return code;
	cli_error(put->cli, "%s: %u values are given, and it has %u elements", s->name, count,
		  s->place.length);
	cli_hint("one element is set by its index: %s[0]=VALUE", s->name);
	return CLI_USAGE;
}

static int parse(struct put *put, struct setting *s)
{
	const struct tarn_field *field = s->place.field;
	uint32_t length = s->place.length != 0 ? s->place.length : 1;

	if (field->kind == TARN_FIELD_STRUCT || length > ELEMENTS) {
		cli_error(put->cli, "%s: it consists of fields", s->name);
		cli_hint("tarn get %s lists them; say which is to be set", s->name);
		return CLI_USAGE;
	}
	s->size = (size_t)field->size * length;
	s->bytes = calloc(1, s->size);
	if (s->bytes == NULL)
		return cli_error(put->cli, "out of memory");
	return s->place.length != 0 ? parse_array(put, s)
				    : value_parse(put->cli, s->name, field, s->text, s->bytes);
}

static int check_guard(struct put *put, const struct setting *s)
{
	const char *section = s->typed.stat.section;

	if (typed_guarded(&s->typed) || put->unguarded)
		return CLI_OK;
	if (section[0] == '\0')
		cli_error(put->cli, "%s: no section guards it", s->name);
	else
		cli_error(put->cli, "%s: section %s, which guards it, cannot be opened (%s)",
			  s->name, section, strerror(-s->typed.section_error));
	cli_hint("--unguarded sets it all the same, beside whoever else does");
	return CLI_FAILURE;
}

/* By whatever name it is called. A copy of a file has its uuid, too, but not its inode. */
static bool one_region(const struct setting *a, const struct setting *b)
{
	struct tarn_segment_stat p, q;
	struct tarn_region_stat x, y;

	return strcmp(a->at.name.region, b->at.name.region) == 0 ||
	       (tarn_region_stat(a->at.region, &x) == 0 &&
		tarn_region_stat(b->at.region, &y) == 0 &&
		memcmp(x.uuid, y.uuid, sizeof(x.uuid)) == 0 &&
		tarn_segment_stat(tarn_region_segment(a->at.region), &p) == 0 &&
		tarn_segment_stat(tarn_region_segment(b->at.region), &q) == 0 && p.kind == q.kind &&
		p.inode == q.inode);
}

/* Against those before it: one change has one value for each byte. */
static int check_others(struct put *put, const struct setting *s)
{
	if (!one_region(s, &put->settings[0]))
		return cli_usage(put->cli,
				 "'%s' is of another region than '%s': one change is "
				 "made in one region",
				 s->name, put->settings[0].name);
	for (const struct setting *other = put->settings; other < s; other++) {
		if (strcmp(s->at.object, other->at.object) != 0 ||
		    s->place.offset >= other->place.offset + other->size ||
		    other->place.offset >= s->place.offset + s->size)
			continue;
		return cli_usage(put->cli, "'%s' is set twice, as '%s' before", s->name,
				 other->name);
	}
	return CLI_OK;
}

static int prepare(struct put *put, struct setting *s)
{
	char object[sizeof(s->at.name.region) + TARN_OBJECT_NAME_MAX + 2];
	int r, code = typed_find(put->cli, s->name, &put->opts, &s->at);

	if (code != CLI_OK)
		return code;
	if (s->at.object[0] == '\0' || s->at.path[0] == '\0') {
		cli_error(put->cli, "%s: it names no field", s->name);
		cli_hint("tarn get %s shows what there is", s->name);
		return CLI_USAGE;
	}
	snprintf(object, sizeof(object), "%s/%s", s->at.name.region, s->at.object);
	code = typed_open(put->cli, s->at.region, s->at.object, object, &s->typed);
	if (code == CLI_OK)
		code = typed_need_fields(put->cli, &s->typed, object);
	if (code != CLI_OK)
		return code;
	r = tarn_type_find(s->typed.type, s->at.path, &s->place, &put->cli->diag);
	if (r < 0)
		return cli_fail(put->cli, s->name, r);
	code = parse(put, s);
	if (code == CLI_OK)
		code = check_guard(put, s);
	if (code == CLI_OK)
		code = check_others(put, s);
	if (code == CLI_OK && (s->typed.latest != NULL || put->settings[0].typed.latest != NULL) &&
	    strcmp(s->at.object, put->settings[0].at.object) != 0)
		code = cli_usage(put->cli,
				 "'%s' is of another object than '%s': a latest value is "
				 "written by itself",
				 s->name, put->settings[0].name);
	return code;
}

/* --- setting ------------------------------------------------------------------------------- */

/* The struct may have been made anew, of another type, since it was looked at. */
static int open_to_write(struct put *put, struct setting *s)
{
	struct tarn_section_stat stat;
	int r = tarn_struct_open(put->region, s->at.object, s->typed.type, NULL, &s->data);

	if (r == 0 && s->typed.section != NULL && !put->unguarded)
		r = tarn_section_open(put->region, s->typed.stat.section, NULL, &s->section);
	if (r == 0 && s->section != NULL)
		r = tarn_section_stat(s->section, &stat);
	if (r < 0)
		return cli_fail(put->cli, s->name, r);
	s->section_off = s->section != NULL ? stat.off : 0;
	return CLI_OK;
}

static int by_section(const void *a, const void *b)
{
	const struct setting *const *x = a, *const *y = b;
	uint64_t m = (*x)->section_off, n = (*y)->section_off;

	return (m > n) - (m < n);
}

static int enter_fail(struct put *put, const struct setting *s, int error)
{
	struct tarn_diag *diag = &put->cli->diag;

	if (error == -ETIMEDOUT)
		snprintf(diag->hint, sizeof(diag->hint),
			 "--timeout waits longer; tarn locks %.160s shows who has it and who waits",
			 s->at.name.region);
	return cli_fail(put->cli, s->name, error);
}

/* Each section once: who is inside already is where its offset is that of the one before. */
static int enter_all(struct put *put, struct setting **sorted)
{
	uint64_t last = 0;

	qsort(sorted, (size_t)put->count, sizeof(*sorted), by_section);
	for (int i = 0; i < put->count; i++) {
		struct setting *s = sorted[i];
		int r;

		if (s->section_off == last)
			continue;
		last = s->section_off;
		r = tarn_section_enter(s->section, put->deadline, &put->tx, &put->cli->diag);
		if (r < 0)
			return enter_fail(put, s, r);
	}
	return CLI_OK;
}

/* The sections are entered; or nothing guards it. */
static int read_before(struct put *put, struct setting *s)
{
	memcpy(s->typed.copy, s->data, s->typed.stat.size);
	if (tarn_segment_damaged(tarn_region_segment(put->region)))
		return cli_fail(put->cli, s->name, -EIO);
	s->seen = true;
	return CLI_OK;
}

/* The results are told when the last section is left. */
static void store(struct put *put, const struct setting *s)
{
	const struct tarn_field *field = s->place.field;
	unsigned char *to = (unsigned char *)s->data + s->place.offset;
	bool word = field->kind != TARN_FIELD_TEXT;

	if (s->section == NULL) {
		memcpy(to, s->bytes, s->size);
		return;
	}
	for (size_t at = 0; word && at < s->size; at += field->size) {
		uint64_t value = 0;

		memcpy(&value, s->bytes + at, field->size);
		(void)tarn_tx_store(put->tx, to + at, value, field->size);
	}
	if (!word)
		(void)tarn_tx_write(put->tx, to, s->bytes, s->size);
}

static int leave_all(struct put *put, struct setting **sorted)
{
	uint64_t last = 0;
	int r = 0;

	for (int i = 0; i < put->count; i++) {
		if (sorted[i]->section_off == last)
			continue;
		last = sorted[i]->section_off;
		r = tarn_section_leave(sorted[i]->section);
	}
	if (r == -ENOSPC) {
		snprintf(put->cli->diag.what, sizeof(put->cli->diag.what),
			 "the section's journal has no room for so much; nothing was set");
		snprintf(put->cli->diag.hint, sizeof(put->cli->diag.hint), "set less at once");
	}
	return r < 0 ? cli_fail(put->cli, put->settings[0].name, r) : CLI_OK;
}

static int become_member(struct put *put)
{
	const char *name = put->settings[0].at.name.region;
	struct tarn_region_opts opts = put->opts;
	int r;

	opts.flags &= ~TARN_REGION_OBSERVE;
	r = tarn_region_open(name, &opts, &put->region);
	return r < 0 ? cli_fail(put->cli, name, r) : CLI_OK;
}

static int set_structs(struct put *put)
{
	struct setting **sorted = calloc((size_t)put->count, sizeof(struct setting *));
	int code = CLI_OK;

	if (sorted == NULL)
		return cli_error(put->cli, "out of memory");
	for (int i = 0; i < put->count && code == CLI_OK; i++) {
		sorted[i] = &put->settings[i];
		code = open_to_write(put, sorted[i]);
	}
	if (code == CLI_OK)
		code = enter_all(put, sorted);
	/* Closing a section that was entered undoes the tx. */
	for (int i = 0; i < put->count && code == CLI_OK; i++)
		code = read_before(put, &put->settings[i]);
	if (code == CLI_OK) {
		for (int i = 0; i < put->count; i++)
			store(put, &put->settings[i]);
		code = leave_all(put, sorted);
	}
	free(sorted);
	return code;
}

/* As it was looked at: it may have been made anew since. */
static int open_latest(struct put *put, struct tarn_latest **ret_latest)
{
	const struct setting *s = &put->settings[0];
	struct tarn_type *type;
	int r = tarn_latest_open(put->region, s->at.object, NULL, ret_latest);

	if (r < 0)
		return r;
	r = tarn_latest_describe(*ret_latest, &type);
	if (r == 0) {
		r = tarn_type_compare(s->typed.type, type, &put->cli->diag) == 0 ? 0 : -EPROTO;
		tarn_type_free(type);
	}
	if (r < 0)
		tarn_latest_close(*ret_latest);
	return r;
}

/* @value: what is to be the newest next. */
static int read_latest(struct put *put, struct tarn_latest *latest, unsigned char *value)
{
	size_t all = put->settings[0].typed.stat.size, size;
	uint64_t number = 0;
	int r;

	memset(value, 0, all);
	r = tarn_latest_read(latest, value, all, &size, &number);
	if (r < 0 && r != -ENODATA)
		return r;
	for (int i = 0; i < put->count; i++) {
		struct setting *s = &put->settings[i];

		memcpy(s->typed.copy, value, all);
		s->typed.number = number;
		s->seen = true;
	}
	for (int i = 0; i < put->count; i++)
		memcpy(value + put->settings[i].place.offset, put->settings[i].bytes,
		       put->settings[i].size);
	return 0;
}

/* The newest with what is to be set, if it still is the newest then: else once more. */
static int write_latest(struct put *put, struct tarn_latest *latest, unsigned char *value)
{
	const struct setting *first = &put->settings[0];
	struct tarn_diag *diag = &put->cli->diag;
	int r;

	do {
		r = read_latest(put, latest, value);
		if (r == 0)
			r = tarn_latest_write_if(latest, value, first->typed.stat.size,
						 first->typed.number, put->deadline, diag);
	} while (r == -EAGAIN && tarn_now() < put->deadline);
	if (r != -EAGAIN)
		return r;
	snprintf(diag->what, sizeof(diag->what),
		 "other writers were faster each time until the timeout; nothing was set");
	return -ETIMEDOUT;
}

static int set_latest(struct put *put)
{
	struct tarn_latest *latest;
	unsigned char *value = malloc(put->settings[0].typed.stat.size);
	int r = value != NULL ? open_latest(put, &latest) : -ENOMEM;

	if (r == 0) {
		r = write_latest(put, latest, value);
		tarn_latest_close(latest);
	}
	free(value);
	return r < 0 ? enter_fail(put, &put->settings[0], r) : CLI_OK;
}

static int set_all(struct put *put)
{
	int code = become_member(put);

	if (code != CLI_OK)
		return code;
	return put->settings[0].typed.latest != NULL ? set_latest(put) : set_structs(put);
}

/* --- the verb ------------------------------------------------------------------------------ */

static void put_row(struct put *put, const struct setting *s, const char *action)
{
	const struct tarn_field *field = s->place.field;
	const unsigned char *old = s->typed.copy + s->place.offset;
	bool json = put->out.as_json, one = s->place.length == 0;
	bool none = !s->seen || (s->typed.latest != NULL && s->typed.number == 0);
	char *before = none ? NULL : value_text(field, old, s->place.length, 16, json);
	char *after = value_text(field, s->bytes, s->place.length, 16, json);

	out_row(&put->out);
	out_text(&put->out, "name", s->name);
	out_value(&put->out, "before", before, !none && one && value_is_number(field, old));
	out_value(&put->out, "after", after, one && value_is_number(field, s->bytes));
	out_text(&put->out, "unit", field->unit[0] != '\0' ? field->unit : NULL);
	out_text(&put->out, "action", action);
	out_text(&put->out, "section",
		 s->typed.section != NULL && !put->unguarded ? s->typed.stat.section : NULL);
	free(before);
	free(after);
}

/* For a dry run. What a dead owner left is undone when the section is entered: it is not what would
 * be there then. */
static int look_before(struct put *put, struct setting *s)
{
	int r = typed_read(&s->typed, !put->unguarded, put->deadline);

	s->seen = r == 0;
	return r < 0 && r != -EOWNERDEAD
		       ? typed_read_fail(put->cli, &s->typed, s->name, s->at.name.region, r)
		       : CLI_OK;
}

static void put_end(struct put *put)
{
	for (int i = 0; i < put->count; i++) {
		struct setting *s = &put->settings[i];

		tarn_section_close(s->section);
		if (put->region != NULL)
			tarn_struct_close(put->region, s->data);
		typed_close(&s->typed);
		tarn_region_close(s->at.region);
		free(s->bytes);
		free(s->name);
		free(s->text);
	}
	tarn_region_close(put->region);
	free(put->settings);
}

static int put_all(struct put *put)
{
	struct cli *cli = put->cli;
	const char *action = put->write ? "set" : "would set";
	int code = CLI_OK;

	for (int i = 0; i < cli->argc && code == CLI_OK; i++) {
		put->count = i + 1;
		code = split(put, &put->settings[i], cli->argv[i]);
		if (code == CLI_OK)
			code = prepare(put, &put->settings[i]);
	}
	for (int i = 0; i < put->count && code == CLI_OK && !put->write; i++)
		code = look_before(put, &put->settings[i]);
	if (code != CLI_OK)
		return code;
	if (put->write)
		code = set_all(put);
	for (int i = 0; i < put->count; i++)
		put_row(put, &put->settings[i], code == CLI_OK ? action : "failed");
	return code;
}

static int put_run(struct cli *cli)
{
	struct put put = { .cli = cli,
			   .write = cli_given(cli, "write"),
			   .unguarded = cli_given(cli, "unguarded") };
	int64_t timeout = INT64_C(5000000000);

	if (!look_opts(cli, &put.opts) || !cli_seconds(cli, "timeout", &timeout))
		return CLI_USAGE;
	put.deadline = tarn_deadline_after(timeout);

	int code = out_begin(&put.out, cli);

	if (code >= 0)
		return code;
	put.settings = calloc((size_t)cli->argc, sizeof(struct setting));
	out_list(&put.out, &put_list);
	code = put.settings != NULL ? put_all(&put) : cli_error(cli, "out of memory");
	put_end(&put);
	code = out_end(&put.out, code);
	if (code == CLI_OK && !put.write && !put.out.as_json)
		cli_hint("this was a dry run; --write sets");
	return code;
}

static const struct cli_example put_examples[] = {
	{ "tarn put sensors/kitchen.state=off", "what would be set, and what it is" },
	{ "tarn put sensors/kitchen.state=off sensors/kitchen.temperature=20.5 --write",
	  "set both at once" },
	{ "tarn put 'room/desk.alarms=hot|wet' 'room/desk.corners[1].x=-7' --write",
	  "flags, and a field of an element" },
	{ 0 },
};

static const struct cli_exit_note put_exits[] = {
	{ 1, "no section guards it, or not all could be set; then none was" },
	{ 2, "a value does not fit its field" },
	{ 3, "there is no such region, object, field or element" },
	{ 4, "permission denied" },
	{ 5, "somebody was inside of the section, or wrote the latest value, all the time" },
	{ 6, "damaged, or its section is set aside" },
	{ 0 },
};

const struct cli_cmd cmd_put = {
	.name = "put",
	.args = "REGION[/OBJECT].FIELD=VALUE...",
	.summary = "set fields of structs and latest values; a dry run without --write",
	.about =
		"Sets fields of structs that a program has put into a region with their "
		"description. Values are read as their fields' types want them: numbers in their "
		"range, enumerations by name, flags by names apart by |, texts no longer than "
		"there "
		"is room for, all elements of an array apart by commas.\n\n"
		"It enters the section that guards the struct, and makes one change of all that is "
		"named: nobody sees some of it, and if anything fails, or it is killed, nothing is "
		"set. Several structs of one region may be named, and their sections are entered "
		"in their order. BEFORE is read inside of them, too: it is what this change "
		"replaced. While it waits to enter, tarn locks shows it. What no section guards is "
		"refused without --unguarded.\n\n"
		"Of a latest value a new one is written, whose other fields are those of the "
		"newest: if "
		"another writer is faster, its value is taken, and never lost. It is written by "
		"itself.",
	.operand = "region",
	.opts = put_opts,
	.schema = "tarn.put/1",
	.lists = put_lists,
	.examples = put_examples,
	.exits = put_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST,
	.arg_min = 1,
	.arg_max = -1,
	.run = put_run,
};
