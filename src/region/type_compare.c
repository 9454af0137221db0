/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type_compare.c - is the struct that is there the one that a program knows? If not, which field is
 * another, named by its whole path.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/diag.h"
#include "region/type.h"

#define BUILD_ANEW "build both programs with the same fields, or remove it and create it anew"

/* A comparison under way. */
struct comparison {
	const struct tarn_type *here; /* the outermost */
	struct tarn_diag *diag;
	uint32_t depth;
	char path[128]; /* of the field at hand: "at.x", "corners[].x" */
};

static int compare_types(struct comparison *c, const struct tarn_type *here,
			 const struct tarn_type *there);

/* --- saying what differs ------------------------------------------------------------------- */

static int differ(const struct comparison *c, const char *what, uint64_t here, uint64_t there)
{
	tarn__diag(c->diag, -EPROTO, "type %s, field %s: %s %" PRIu64 " here, %" PRIu64 " there",
		   c->here->name, c->path, what, here, there);
	tarn__diag_hint(c->diag, BUILD_ANEW);
	return -EPROTO;
}

static int differ_in_words(const struct comparison *c, const char *what, const char *here,
			   const char *there)
{
	tarn__diag(c->diag, -EPROTO, "type %s, field %s: %s '%s' here, '%s' there", c->here->name,
		   c->path, what, here, there);
	tarn__diag_hint(c->diag, BUILD_ANEW);
	return -EPROTO;
}

static const char *kind_name(uint32_t kind)
{
	static const char *const names[] = { "",         "int8_t",  "uint8_t",  "int16_t",
					     "uint16_t", "int32_t", "uint32_t", "int64_t",
					     "uint64_t", "float",   "double",   "text",
					     "ref",      "struct" };

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "";
}

/* Make @field of the struct that the first @used bytes of the path lead to the one at hand. A path
 * that is too long begins with "..". */
static void step(struct comparison *c, size_t used, const struct tarn_field *field)
{
	const char *dot = used > 0 ? "." : "";
	const char *array = field->kind == TARN_FIELD_STRUCT && field->length != 0 ? "[]" : "";
	size_t room = sizeof(c->path) - used;

	if ((size_t)snprintf(c->path + used, room, "%s%s%s", dot, field->name, array) >= room)
		snprintf(c->path, sizeof(c->path), "...%s%s", field->name, array);
}

/* --- comparing ----------------------------------------------------------------------------- */

/* One more value may have been added at the end. */
static bool values_fit(const char *here, const char *there)
{
	size_t n = strlen(here);

	return strncmp(here, there, n) == 0 && (there[n] == '\0' || there[n] == ' ' || n == 0);
}

/* What a struct consists of comes before its size, which follows from it. */
static int compare_fields(struct comparison *c, const struct tarn_field *here,
			  const struct tarn_field *there)
{
	const struct tarn_type *a = tarn_field_type(here), *b = tarn_field_type(there);
	int r = 0;

	if (strcmp(here->name, there->name) != 0)
		return differ_in_words(c, "named", here->name, there->name);
	if (here->kind != there->kind)
		return differ_in_words(c, "of kind", kind_name(here->kind), kind_name(there->kind));
	if (here->offset != there->offset)
		return differ(c, "offset", here->offset, there->offset);
	if (here->length != there->length)
		return differ(c, "length", here->length, there->length);
	if (a != NULL && b != NULL)
		r = compare_types(c, a, b);
	if (r < 0)
		return r;
	if (here->size != there->size)
		return differ(c, "size", here->size, there->size);
	if (here->look != there->look || !values_fit(here->values, there->values))
		return differ_in_words(c, "values", here->values, there->values);
	if (strcmp(here->unit, there->unit) != 0)
		return differ_in_words(c, "unit", here->unit, there->unit);
	return 0;
}

/* The path names the field that is on one side alone. */
static int one_has_more(const struct comparison *c, const struct tarn_type *here,
			const struct tarn_type *there)
{
	bool more_here = here->field_count > there->field_count;
	const char *why = more_here       ? ""
			  : c->depth == 0 ? ", which is not earlier"
					  : ", and it is nested";

	tarn__diag(c->diag, -EPROTO,
		   "type %s, field %s: %s, in version %" PRIu32 ", not %s, in version %" PRIu32
		   "%s",
		   c->here->name, c->path, more_here ? "here" : "there",
		   more_here ? here->version : there->version, more_here ? "there" : "here",
		   more_here ? there->version : here->version, why);
	if (c->depth > 0)
		tarn__diag_hint(c->diag,
				"fields are added to the outermost struct alone; " BUILD_ANEW);
	else if (more_here)
		tarn__diag_hint(c->diag,
				"open it with a program that knows version %" PRIu32
				", or remove it and create it anew with version %" PRIu32,
				there->version, here->version);
	else
		tarn__diag_hint(c->diag,
				"count the version up where fields are added, or " BUILD_ANEW);
	return -EPROTO;
}

static int compare_names(const struct comparison *c, const struct tarn_type *here,
			 const struct tarn_type *there)
{
	if (strcmp(here->name, there->name) == 0)
		return 0;
	if (c->depth > 0)
		return differ_in_words(c, "of type", here->name, there->name);
	tarn__diag(c->diag, -EPROTO, "type %s here, %s there", here->name, there->name);
	tarn__diag_hint(c->diag, "open it as a %s, or give this one another name", there->name);
	return -EPROTO;
}

/* All of two types, in the struct that the path leads to. Only at the end of the outermost struct
 * can a later version have more. */
static int compare_lists(struct comparison *c, const struct tarn_type *here,
			 const struct tarn_type *there)
{
	uint32_t more = here->field_count, both = there->field_count;
	size_t used = strlen(c->path);
	int r = compare_names(c, here, there);

	if (more < both) {
		more = there->field_count;
		both = here->field_count;
	}
	for (uint32_t i = 0; i < both && r == 0; i++) {
		step(c, used, &here->fields[i]);
		r = compare_fields(c, &here->fields[i], &there->fields[i]);
		c->path[used] = '\0';
	}
	if (r < 0)
		return r;
	if (more == both && here->size == there->size)
		return 0;
	if (more == both && c->depth > 0)
		return differ(c, "size", here->size, there->size);
	/* More fields in fewer bytes: who has fewer would go beyond what is there. */
	if (more == both || (both == here->field_count && here->size > there->size)) {
		tarn__diag(c->diag, -EPROTO, "type %s: %" PRIu32 " bytes here, %" PRIu32 " there",
			   here->name, here->size, there->size);
		tarn__diag_hint(c->diag, BUILD_ANEW);
		return -EPROTO;
	}
	step(c, used, here->field_count == more ? &here->fields[both] : &there->fields[both]);
	if (c->depth > 0 || here->field_count > both || there->version <= here->version)
		return one_has_more(c, here, there);
	tarn__diag(c->diag, 1, "type %s: version %" PRIu32 " there has more fields, from %s on",
		   here->name, there->version, there->fields[both].name);
	return 1;
}

static int compare_types(struct comparison *c, const struct tarn_type *here,
			 const struct tarn_type *there)
{
	int r;

	if (c->depth >= TARN_TYPE_NESTED)
		return tarn__diag(c->diag, -EPROTO, "type %s contains itself", here->name);
	c->depth++;
	r = compare_lists(c, here, there);
	c->depth--;
	return r;
}

int tarn_type_compare(const struct tarn_type *here, const struct tarn_type *there,
		      struct tarn_diag *diag)
{
	struct comparison c = { .here = here, .diag = diag };

	return compare_lists(&c, here, there);
}
