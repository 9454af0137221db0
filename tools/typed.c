/* SPDX-License-Identifier: BSD-2-Clause */
/* typed.c - see typed.h. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/segment.h>

#include "typed.h"
#include "value.h"

/* --- names --------------------------------------------------------------------------------- */

struct search {
	const char *wanted;                  /* OBJECT.FIELD */
	char best[TARN_OBJECT_NAME_MAX + 1]; /* longest that fits */
	char only[TARN_OBJECT_NAME_MAX + 1]; /* the first struct */
	char near_name[TARN_OBJECT_NAME_MAX + 1];
	struct cli_near near;
	uint32_t structs, counters, others;
};

static int look_at(const struct tarn_object_stat *stat, void *arg)
{
	struct search *s = arg;
	size_t n = strlen(stat->name);
	const char *best = s->near.best;

	if (stat->removed)
		return 0;
	if (typed_is_kind(stat->kind) && s->structs++ == 0)
		memcpy(s->only, stat->name, sizeof(s->only));
	s->others += !typed_is_kind(stat->kind);
	s->counters += stat->kind == TARN_OBJECT_COUNTERS;
	if (strncmp(s->wanted, stat->name, n) == 0 && strchr(".[", s->wanted[n]) != NULL &&
	    n > strlen(s->best))
		memcpy(s->best, stat->name, sizeof(s->best));
	cli_near_offer(&s->near, stat->name);
	if (s->near.best != best) {
		memcpy(s->near_name, stat->name, sizeof(s->near_name));
		s->near.best = s->near_name;
	}
	return 0;
}

/* What follows the object's or the region's name, without the dot that parts them. */
static bool take_path(struct typed_at *at, const char *rest)
{
	int n = snprintf(at->path, sizeof(at->path), "%s", rest + (*rest == '.'));

	return n >= 0 && (size_t)n < sizeof(at->path);
}

/* --- a dot where a slash is wanted, and the reverse ------------------------------------------- */

/* Does @path lead to a field of the struct or latest value @object? */
static bool has_field(struct tarn_region *region, const char *object, const char *path)
{
	struct tarn_latest *latest = NULL;
	struct tarn_type *type = NULL;
	struct tarn_place place;
	int r = tarn_struct_describe(region, object, &type, NULL, NULL);

	if (r == -EPROTO && tarn_latest_open(region, object, NULL, &latest) == 0)
		r = tarn_latest_describe(latest, &type);
	if (r == 0) {
		r = tarn_type_find(type, path, &place, NULL);
		tarn_type_free(type);
	}
	tarn_latest_close(latest);
	return r == 0;
}

struct owner_search {
	struct tarn_region *region;
	const char *path;
	char name[TARN_OBJECT_NAME_MAX + 1];
};

static int owns_field(const struct tarn_object_stat *stat, void *arg)
{
	struct owner_search *s = arg;

	if (stat->removed || !typed_is_kind(stat->kind) ||
	    !has_field(s->region, stat->name, s->path))
		return 0;
	memcpy(s->name, stat->name, sizeof(s->name));
	return 1;
}

/* REGION/OBJECT/FIELD: the object whose name is before one of the slashes. */
static bool hint_dot(struct cli *cli, const struct typed_at *at, const char *rest)
{
	char dotted[sizeof(at->path)], *slash;
	int n = snprintf(dotted, sizeof(dotted), "%s", rest);

	if (n < 0 || (size_t)n >= sizeof(dotted) || strchr(dotted, '/') == NULL)
		return false;
	while ((slash = strchr(dotted, '/')) != NULL)
		*slash = '.';

	struct search s = { .wanted = dotted, .near = { .word = "" } };

	if (tarn_region_objects(at->region, look_at, &s) < 0 || s.best[0] == '\0' ||
	    !has_field(at->region, s.best, dotted + strlen(s.best) + 1))
		return false;
	snprintf(cli->diag.hint, sizeof(cli->diag.hint),
		 "a field stands behind a dot: did you mean '%.60s/%.110s'?", at->name.region,
		 dotted);
	return true;
}

/* REGION/FIELD: the first object that has it. */
static bool hint_owner(struct cli *cli, const struct typed_at *at, const char *rest)
{
	struct owner_search s = { .region = at->region, .path = rest };

	if (tarn_region_objects(at->region, owns_field, &s) != 1)
		return false;
	snprintf(cli->diag.hint, sizeof(cli->diag.hint),
		 "that is a field: did you mean '%.60s/%s.%.80s'?", at->name.region, s.name, rest);
	return true;
}

/* REGION.OBJECT.FIELD, where @object begins what follows the region's name: and it is no field of
 * the only struct. */
static int no_slash(struct cli *cli, const char *text, const struct typed_at *at, const char *rest)
{
	snprintf(cli->diag.what, sizeof(cli->diag.what), "there is no such field");
	snprintf(cli->diag.hint, sizeof(cli->diag.hint),
		 "an object stands behind a slash: did you mean '%.60s/%.110s'?", at->name.region,
		 rest + 1);
	return cli_fail(cli, text, -ENOENT);
}

static int no_object(struct cli *cli, const char *text, const struct typed_at *at,
		     const struct search *s)
{
	snprintf(cli->diag.what, sizeof(cli->diag.what), "there is no such object");
	if (hint_dot(cli, at, s->wanted) || hint_owner(cli, at, s->wanted))
		return cli_fail(cli, text, -ENOENT);
	if (s->near.best != NULL)
		snprintf(cli->diag.hint, sizeof(cli->diag.hint), "did you mean '%s'?",
			 s->near_name);
	else
		snprintf(cli->diag.hint, sizeof(cli->diag.hint), "tarn get %.200s lists them",
			 at->name.region);
	return cli_fail(cli, text, -ENOENT);
}

static int no_struct(struct cli *cli, const struct typed_at *at, const struct search *s)
{
	cli_error(cli, "%s: it has no object with a type, and %" PRIu32 " of other kinds",
		  at->name.region, s->others);
	cli_hint("tarn info %s lists them, tarn hexdump %s shows bytes", at->name.region,
		 at->name.region);
	return CLI_FAILURE;
}

/* @rest: OBJECT.FIELD; or .FIELD, or nothing, of the only struct that there is. */
static int find_object(struct cli *cli, const char *text, struct typed_at *at, const char *rest,
		       bool named)
{
	/* Where only a region was named, what follows its dot may still begin with an object. */
	struct search s = { .wanted = rest + (!named && *rest == '.') };
	char first[TARN_OBJECT_NAME_MAX + 1];
	int r;

	snprintf(first, sizeof(first), "%.*s", (int)strcspn(rest, ".["), rest);
	s.near.word = first;
	r = tarn_region_objects(at->region, look_at, &s);
	if (r < 0)
		return cli_fail(cli, text, r);
	at->struct_count = s.structs;
	if (named && s.best[0] == '\0')
		return no_object(cli, text, at, &s);
	if (named) {
		memcpy(at->object, s.best, sizeof(at->object));
		rest += strlen(s.best);
	} else if (s.structs == 0 && (s.counters == 0 || *rest != '\0')) {
		return no_struct(cli, at, &s);
	} else if (s.structs == 1) {
		if (s.best[0] != '\0' && !has_field(at->region, s.only, s.wanted))
			return no_slash(cli, text, at, rest);
		memcpy(at->object, s.only, sizeof(at->object));
	} else if (*rest != '\0') {
		cli_error(cli, "%s: region %s has %" PRIu32 " structs", text, at->name.region,
			  s.structs);
		if (s.best[0] != '\0')
			cli_hint("an object stands behind a slash: did you mean '%s/%s'?",
				 at->name.region, s.wanted);
		else
			cli_hint("say which: %s/%s%s", at->name.region, s.only, rest);
		return CLI_USAGE;
	}
	if (!take_path(at, rest))
		return cli_fail(cli, text, -ENAMETOOLONG);
	return CLI_OK;
}

/* REGION.FIELD: the longest part before a dot that is a region. */
static int open_shorter(const char *text, const struct tarn_region_opts *opts, struct typed_at *at,
			const char **ret_rest)
{
	struct tarn_region_opts quiet = *opts;
	int r = -ENOENT;

	quiet.diag = NULL;
	for (size_t n = strlen(text); n > 1 && (r == -ENOENT || r == -EINVAL);) {
		n--;
		if (text[n] != '.' && text[n] != '[')
			continue;
		snprintf(at->name.region, sizeof(at->name.region), "%.*s", (int)n, text);
		r = tarn_region_open(at->name.region, &quiet, &at->region);
		*ret_rest = text + n;
	}
	return r;
}

int typed_find(struct cli *cli, const char *text, const struct tarn_region_opts *opts,
	       struct typed_at *ret_at)
{
	const char *rest = "";
	bool named;
	int code, r;

	*ret_at = (struct typed_at){ .region = NULL };
	if (!look_name(text, &ret_at->name))
		return cli_fail(cli, text, -ENAMETOOLONG);
	named = ret_at->name.object != NULL && *ret_at->name.object != '\0';
	if (named)
		rest = ret_at->name.object;
	r = tarn_region_open(ret_at->name.region, opts, &ret_at->region);
	if (!named && (r == -ENOENT || r == -EINVAL) && strpbrk(text, ".[") != NULL) {
		char whole[sizeof(ret_at->name.region)];

		memcpy(whole, ret_at->name.region, sizeof(whole));
		if (open_shorter(whole, opts, ret_at, &rest) == 0) {
			r = 0;
			rest = text + (rest - whole);
		} else {
			memcpy(ret_at->name.region, whole, sizeof(whole));
		}
	}
	if (r < 0)
		return look_fail(cli, ret_at->name.region, r);
	cli->diag = (struct tarn_diag){ 0 };
	code = find_object(cli, text, ret_at, rest, named);
	if (code != CLI_OK) {
		tarn_region_close(ret_at->region);
		ret_at->region = NULL;
	}
	return code;
}

/* --- open ---------------------------------------------------------------------------------- */

static int kind_of(const struct tarn_object_stat *stat, void *arg)
{
	const char **name = arg;

	if (stat->removed || strcmp(stat->name, name[0]) != 0)
		return 0;
	name[1] = look_kind(stat->kind);
	return 1;
}

static int describe_fail(struct cli *cli, struct tarn_region *region, const char *object,
			 const char *name, int error)
{
	const char *found[2] = { object, NULL };

	if (error == -EPROTO && tarn_region_objects(region, kind_of, found) == 1 &&
	    strcmp(found[1], "struct") != 0) {
		cli_error(cli, "%s: it has no type: it is of kind %s", name, found[1]);
		cli_hint("tarn hexdump %s shows its bytes", name);
		return CLI_FAILURE;
	}
	if (error == -EUCLEAN) {
		snprintf(cli->diag.what, sizeof(cli->diag.what),
			 "its header or its description is damaged");
		snprintf(cli->diag.hint, sizeof(cli->diag.hint), "tarn check %.*s says what of it",
			 (int)(strlen(name) - strlen(object) - 1), name);
	}
	return cli_fail(cli, name, error);
}

static int offset_of(const struct tarn_object_stat *stat, void *arg)
{
	struct typed *typed = arg;

	if (stat->removed || strcmp(stat->name, typed->object) != 0)
		return 0;
	typed->stat.off = stat->off;
	return 1;
}

static int open_latest(struct typed *typed)
{
	struct tarn_latest_stat stat;
	int r = tarn_latest_open(typed->region, typed->object, NULL, &typed->latest);

	if (r == 0)
		r = tarn_latest_stat(typed->latest, &stat);
	if (r == 0)
		r = tarn_latest_describe(typed->latest, &typed->type);
	if (r < 0 && r != -ENOENT) {
		tarn_latest_close(typed->latest);
		return r;
	}
	if (r == 0) {
		snprintf(typed->stat.type, sizeof(typed->stat.type), "%s", typed->type->name);
		typed->stat.version = typed->type->version;
	}
	typed->stat.size = stat.size_max;
	(void)!tarn_region_objects(typed->region, offset_of, typed);
	return 0;
}

int typed_open(struct cli *cli, struct tarn_region *region, const char *object, const char *name,
	       struct typed *ret_typed)
{
	struct typed typed = { .region = region };
	int r = tarn_struct_describe(region, object, &typed.type, &typed.stat, &typed.data);

	snprintf(typed.object, sizeof(typed.object), "%s", object);
	if (r == -EPROTO)
		r = open_latest(&typed);
	if (r < 0)
		return describe_fail(cli, region, object, name, r);
	typed.copy = malloc(typed.stat.size);
	if (typed.copy == NULL) {
		typed_close(&typed);
		return cli_fail(cli, name, -ENOMEM);
	}
	if (typed.stat.section[0] != '\0')
		typed.section_error =
			tarn_section_open(region, typed.stat.section, NULL, &typed.section);
	*ret_typed = typed;
	return CLI_OK;
}

void typed_close(struct typed *typed)
{
	tarn_section_close(typed->section);
	tarn_latest_close(typed->latest);
	tarn_struct_close(typed->region, typed->data);
	tarn_type_free(typed->type);
	free(typed->copy);
	*typed = (struct typed){ .region = NULL };
}

int typed_need_fields(struct cli *cli, const struct typed *typed, const char *name)
{
	if (typed->type != NULL)
		return CLI_OK;
	cli_error(cli, "%s: it is a latest value without a type, and has no fields", name);
	cli_hint("tarn get prints its bytes");
	return CLI_FAILURE;
}

bool typed_is_there(const struct typed *typed)
{
	struct typed now = *typed;
	struct tarn_struct_stat stat;
	struct tarn_type *type;

	if (typed->latest != NULL)
		return tarn_region_objects(typed->region, offset_of, &now) == 1 &&
		       now.stat.off == typed->stat.off;
	if (tarn_struct_describe(typed->region, typed->object, &type, &stat, NULL) < 0)
		return false;
	tarn_type_free(type);
	return stat.off == typed->stat.off;
}

/* Again and again, where its writer is faster. */
static int read_latest(struct typed *typed, int64_t deadline)
{
	int r;

	typed->size = 0;
	typed->number = 0;
	do
		r = tarn_latest_read(typed->latest, typed->copy, typed->stat.size, &typed->size,
				     &typed->number);
	while (r == -EAGAIN && tarn_now() < deadline);
	if (r == 0 || r == -ENODATA)
		memset(typed->copy + typed->size, 0, typed->stat.size - typed->size);
	return r == -ENODATA ? 0 : r == -EAGAIN ? -ETIMEDOUT : r;
}

int typed_read(struct typed *typed, bool guarded, int64_t deadline)
{
	int r = 0;

	if (typed->latest != NULL)
		return read_latest(typed, deadline);
	if (guarded && typed->section != NULL)
		r = tarn_section_read(typed->section, typed->copy, typed->data, typed->stat.size,
				      deadline);
	else
		memcpy(typed->copy, typed->data, typed->stat.size);
	if (tarn_segment_damaged(tarn_region_segment(typed->region)))
		r = -EIO;
	return r;
}

int typed_read_fail(struct cli *cli, const struct typed *typed, const char *name,
		    const char *region, int error)
{
	struct tarn_section_stat stat;
	char *what = cli->diag.what, *hint = cli->diag.hint;
	const size_t size = sizeof(cli->diag.what);
	bool told = typed->section != NULL && tarn_section_stat(typed->section, &stat) == 0;

	if (error == -ETIMEDOUT && typed->latest != NULL) {
		snprintf(what, size, "its writers were faster than it could be read");
	} else if (error == -EOWNERDEAD) {
		snprintf(what, size,
			 "whoever changed it last was killed inside of section %s, and what it "
			 "left is not undone yet",
			 typed->stat.section);
		snprintf(hint, size,
			 "the next to enter undoes it; so does: tarn recover %.160s --yes", region);
	} else if (error == -ETIMEDOUT && told && stat.held && stat.owner.alive) {
		snprintf(what, size, "section %s is held by process %d, thread %d, which lives",
			 typed->stat.section, stat.owner.pid, stat.owner.tid);
		snprintf(hint, size,
			 "tarn locks %.100s shows who has it; --timeout waits longer, --unguarded "
			 "shows it as it stands, perhaps half changed",
			 region);
	} else if (error == -ETIMEDOUT) {
		snprintf(what, size, "section %s never stood still long enough to read it whole",
			 typed->stat.section);
		snprintf(hint, size, "--timeout waits longer; --unguarded shows it as it stands");
	} else if (error == -ENOTRECOVERABLE) {
		snprintf(hint, size, "see tarn recover %.200s", region);
	}
	return cli_fail(cli, name, error);
}

/* --- fields -------------------------------------------------------------------------------- */

struct walk {
	char path[2048];
	bool each;
	uint32_t some;
	int (*fn)(const struct typed_leaf *leaf, void *arg);
	void *arg;
};

static int walk_type(struct walk *w, const struct tarn_type *type, uint64_t offset, size_t used);

/* One that is no array, or all of it. */
static int walk_one(struct walk *w, const struct tarn_field *field, uint64_t offset,
		    uint32_t length, size_t used)
{
	const struct typed_leaf leaf = { field, w->path, offset, length };
	const struct tarn_type *type = tarn_field_type(field);

	if (field->kind != TARN_FIELD_STRUCT)
		return w->fn(&leaf, w->arg);
	return type != NULL ? walk_type(w, type, offset, used) : 0;
}

static int walk_place(struct walk *w, const struct tarn_field *field, uint64_t offset,
		      uint32_t length, size_t used)
{
	bool structs = field->kind == TARN_FIELD_STRUCT;
	uint32_t count = structs && w->some < length ? w->some : length;
	int r = 0;

	if (length == 0 || (!w->each && !structs))
		return walk_one(w, field, offset, length, used);
	for (uint32_t i = 0; i < count && r == 0; i++) {
		int n = snprintf(w->path + used, sizeof(w->path) - used, "[%" PRIu32 "]", i);

		r = walk_one(w, field, offset + (uint64_t)i * field->size, 0, used + (size_t)n);
	}
	w->path[used] = '\0';
	return r;
}

static int walk_type(struct walk *w, const struct tarn_type *type, uint64_t offset, size_t used)
{
	int r = 0;

	for (uint32_t i = 0; i < type->field_count && r == 0; i++) {
		const struct tarn_field *field = &type->fields[i];
		int n = snprintf(w->path + used, sizeof(w->path) - used, "%s%s",
				 used > 0 ? "." : "", field->name);

		/* Types nest 32 deep at most, and names have 47 bytes: what is longer is no path
		 * that anybody could give. */
		if (used + (size_t)n + 16 > sizeof(w->path))
			return -ENAMETOOLONG;
		r = walk_place(w, field, offset + field->offset, field->length, used + (size_t)n);
	}
	w->path[used] = '\0';
	return r;
}

int typed_walk(const struct tarn_type *type, const char *path, bool each, uint32_t some,
	       int (*fn)(const struct typed_leaf *leaf, void *arg), void *arg,
	       struct tarn_diag *diag)
{
	struct walk w = { .each = each, .some = some, .fn = fn, .arg = arg };
	struct tarn_place place;
	int r;

	if (*path == '\0')
		return walk_type(&w, type, 0, 0);
	r = tarn_type_find(type, path, &place, diag);
	if (r < 0)
		return r;
	snprintf(w.path, sizeof(w.path), "%s", path);
	return walk_place(&w, place.field, place.offset, place.length, strlen(w.path));
}

void typed_json(struct json *json, const struct typed_leaf *leaf, const unsigned char *at)
{
	const struct tarn_field *field = leaf->field;
	char *text = value_text(field, at, 0, 1, true);

	json_open(json, NULL, '{');
	json_text(json, "field", leaf->path);
	if (text != NULL && value_is_number(field, at))
		json_verbatim(json, "value", text);
	else
		json_text(json, "value", text);
	json_text(json, "unit", field->unit[0] != '\0' ? field->unit : NULL);
	json_close(json, '}');
	free(text);
}
