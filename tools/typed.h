/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * typed.h - structs that carry a description, as get, put and watch see them.
 *
 * REGION/OBJECT.FIELD: names of objects may have dots, and then the longest that there is counts.
 * In a region with one such struct REGION.FIELD will do, if no region has all of it for its name.
 *
 * A struct that names a section is read by that section's version, whole, without entering; a tx of
 * its writer is in what is read, or not, all of it.
 *
 * A latest value is read whole by itself, as what was newest; it may have no type, and is bytes
 * then.
 */
#ifndef TARN_TOOLS_TYPED_H
#define TARN_TOOLS_TYPED_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/latest.h>
#include <tarn/section.h>
#include <tarn/type.h>

#include "cli.h"
#include "json.h"
#include "look.h"

/* Where REGION/OBJECT.FIELD leads. */
struct typed_at {
	struct look_name name; /* region; its object is not used */
	struct tarn_region *region;
	char object[TARN_OBJECT_NAME_MAX + 1]; /* "": the region was named alone */
	char path[512];                        /* "": all fields */
	uint32_t struct_count;                 /* in the region, latest values included */
};

/* CLI_OK, or an exit code with a message. Where the region has one struct, that is the object. */
int typed_find(struct cli *cli, const char *text, const struct tarn_region_opts *opts,
	       struct typed_at *ret_at);

struct typed {
	char object[TARN_OBJECT_NAME_MAX + 1];
	struct tarn_region *region;
	struct tarn_type *type;       /* NULL: a latest value of none */
	struct tarn_struct_stat stat; /* of a latest value too; off is the object's */
	void *data;                   /* in the region */
	struct tarn_section *section; /* NULL: not guarded */
	int section_error;            /* why not, where one is named */
	struct tarn_latest *latest;   /* NULL: a struct */
	uint64_t number;              /* of the value in copy; 0: none was written yet */
	size_t size;                  /* bytes of it */
	unsigned char *copy;
};

/* @name: as it was given, for messages. CLI_OK, or an exit code with a message. */
int typed_open(struct cli *cli, struct tarn_region *region, const char *object, const char *name,
	       struct typed *ret_typed);
void typed_close(struct typed *typed);
/* A latest value without a type has no fields: CLI_OK, or an exit code with a message. */
int typed_need_fields(struct cli *cli, const struct typed *typed, const char *name);
/* Is it there, by that name, and the same one? */
bool typed_is_there(const struct typed *typed);
/* Into typed->copy; zero, where no latest value was written yet. @guarded false: as it stands, even
 * if it is being changed. 0 or -errno. */
int typed_read(struct typed *typed, bool guarded, int64_t deadline);
/* cli_fail() for what typed_read() returned. */
int typed_read_fail(struct cli *cli, const struct typed *typed, const char *name,
		    const char *region, int error);
static inline bool typed_guarded(const struct typed *typed)
{
	return typed->section != NULL || typed->latest != NULL;
}
/* Structs and latest values */
static inline bool typed_is_kind(uint32_t kind)
{
	return kind == TARN_OBJECT_STRUCT || kind == TARN_OBJECT_LATEST;
}

/* A field that is no struct. */
struct typed_leaf {
	const struct tarn_field *field;
	const char *path;
	uint64_t offset;
	uint32_t length; /* elements, 0 = it is no array */
};

/* Call @fn for each of @type, or of what @path leads to, until it returns non-zero; return that.
 * @each: for each element of an array, not once for all. @some: of arrays of structs so many
 * elements at most. Negative with @diag: there is no such field. */
int typed_walk(const struct tarn_type *type, const char *path, bool each, uint32_t some,
	       int (*fn)(const struct typed_leaf *leaf, void *arg), void *arg,
	       struct tarn_diag *diag);

/* { "field": PATH, "value": what is at @at, "unit": ... }, for verbs that print a line a change. */
void typed_json(struct json *json, const struct typed_leaf *leaf, const unsigned char *at);

#endif /* TARN_TOOLS_TYPED_H */
