/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type.h - the bytes of a struct object, and of the description that it carries.
 *
 *     0 +---------------------------------------------+
 *       | magic version size type_size                |
 *       | section, the name of the one that guards it |
 *       | check                                       |
 *   128 +---------------------------------------------+
 *       | the struct, size bytes                      |  the users'
 *       +---------------------------------------------+  a multiple of 64
 *       | description, type_size bytes                |
 *       +---------------------------------------------+
 *
 * A description:
 *
 *     0 | magic types fields text check zero hash     |  32 bytes
 *    32 | types: 32 bytes each, the outermost last    |
 *       | fields: 40 bytes each                       |
 *       | text: NUL-terminated strings                |
 *
 * All of it but the struct itself is written by the creator before the object has a name, and then
 * constant. A type comes after those that its fields are of, so that no type can contain itself.
 * Strings are offsets into text.
 *
 * Invariants (tarn__struct_check() tests them):
 *   T1  check is the checksum of the words before it; of a description of all of it but check
 *   T2  types, fields and text lie in the object; each string ends in text
 *   T3  the fields of a type lie in it, aligned to their elements, and their names are identifiers
 *   T4  a struct field is of an earlier type, and has its size
 *   T5  the values of an enumeration or of flags are name=number each; no name and no number is
 *       there twice, every number fits the field, and a flag is one bit
 *   T6  versions count from 1
 *   T7  hash is tarn_type_hash() of the outermost
 */
#ifndef TARN_REGION_TYPE_H
#define TARN_REGION_TYPE_H

#include <tarn/type.h>

#include "region/region.h"

#define STRUCT_MAGIC   0x75727453u /* "Stru" */
#define STRUCT_VERSION 1u
#define TYPE_MAGIC     0x65707954u /* "Type" */

struct struct_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t size;      /* bytes of the struct */
	uint32_t type_size; /* bytes of the description */
	char section[64];   /* NUL-padded; empty: none */
	uint32_t check;     /* FNV-1a of what is before it */
	uint8_t zero[44];
};

static_assert(offsetof(struct struct_shm, version) == 4, "layout");
static_assert(offsetof(struct struct_shm, size) == 8, "layout");
static_assert(offsetof(struct struct_shm, type_size) == 12, "layout");
static_assert(offsetof(struct struct_shm, section) == 16, "layout");
static_assert(offsetof(struct struct_shm, check) == 80, "layout");
static_assert(sizeof(struct struct_shm) == 128, "layout");

struct description_shm {
	uint32_t magic;
	uint32_t type_count;
	uint32_t field_count;
	uint32_t text_size;
	uint32_t check; /* FNV-1a of all of the description but this word */
	uint32_t zero;
	uint64_t hash; /* tarn_type_hash() */
};

static_assert(offsetof(struct description_shm, check) == 16, "layout");
static_assert(offsetof(struct description_shm, hash) == 24, "layout");
static_assert(sizeof(struct description_shm) == 32, "layout");

struct type_shm {
	uint32_t name; /* in text */
	uint32_t version;
	uint32_t size;
	uint32_t align;
	uint32_t first_field;
	uint32_t field_count;
	uint32_t zero[2];
};

static_assert(offsetof(struct type_shm, first_field) == 16, "layout");
static_assert(sizeof(struct type_shm) == 32, "layout");

struct field_shm {
	uint32_t name; /* these four in text */
	uint32_t unit;
	uint32_t help;
	uint32_t values;
	uint32_t kind;
	uint32_t look;
	uint32_t offset;
	uint32_t size;
	uint32_t length;
	uint32_t type; /* index of an earlier type; UINT32_MAX: none */
};

static_assert(offsetof(struct field_shm, kind) == 16, "layout");
static_assert(offsetof(struct field_shm, type) == 36, "layout");
static_assert(sizeof(struct field_shm) == 40, "layout");

/* --- type.c -------------------------------------------------------------------------------- */

#define TARN__TYPE_SIZE_MAX (1u << 20) /* bytes of a description */

/* Is @type as the rules of tarn/type.h want it? 0 and the bytes of its description, or -EINVAL. */
int tarn__type_measure(const struct tarn_type *type, uint32_t *ret_size, struct tarn_diag *diag);
/* Write the description, @size bytes as measured. */
void tarn__type_write(const struct tarn_type *type, unsigned char *to, uint32_t size);
/* A checked copy of the description of @size bytes at @from, which may change meanwhile. 0,
 * -EUCLEAN with @ret_fault, or -ENOMEM. */
int tarn__type_read(const unsigned char *from, uint32_t size, struct tarn_type **ret_type,
		    const char **ret_fault);
/* Is what the @size bytes at @there describe of @hash, and whole? The short way to see that two
 * types are one; where it is false, only a comparison tells why. */
bool tarn__type_same(const unsigned char *there, uint32_t size, uint64_t hash);

/* Are the @n bytes at @name a C identifier of at most TARN_TYPE_NAME_MAX? */
bool tarn__type_identifier(const char *name, size_t n);

/* --- type_values.c ------------------------------------------------------------------------- */

/* T5: true, and what was found and what is possible in @buf, if @field breaks it. */
bool tarn__type_values_fault(const struct tarn_field *field, char *buf, size_t size);

/* --- struct.c ------------------------------------------------------------------------------ */

int tarn__struct_check(struct tarn_region *region, const struct tarn__object *object,
		       const char *where, tarn_report_fn *fn, void *arg);

#endif /* TARN_REGION_TYPE_H */
