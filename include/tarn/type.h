/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/type.h - shared structs that say what they consist of.
 *
 * A list of fields, written once, is the struct, its description, and the check of both:
 *
 *     #define SENSOR(ROW)                                             \
 *         ROW(VALUE, double, temperature, "degC", "of the air")       \
 *         ROW(VALUE, uint64_t, time, "ns", "CLOCK_REALTIME")          \
 *         ROW(ENUM, uint32_t, state, "off=0 on=1 broken=2", "")       \
 *         ROW(TEXT, place, 32, "where it stands")
 *     TARN_TYPE(sensor, 1, SENSOR);
 *
 *     struct sensor *s;
 *     r = tarn_struct_open(region, "kitchen", sensor_type(), &opts, (void **)&s);
 *
 * The description is kept beside the struct in the region. Whoever opens it with another list is
 * refused, and told which field is where, here and there; and any tool prints its fields by name.
 *
 * Rows, of which there may be 256. Types have fixed width: int8_t .. uint64_t, float, double. What
 * is none of these is refused by the compiler; int, long and size_t may each be one of them where
 * it is compiled, and pass, so a program for other machines does not use them:
 *
 *     ROW(VALUE,   type, name, unit, help)          int8_t .. uint64_t, float, double
 *     ROW(ARRAY,   type, name, length, unit, help)
 *     ROW(TEXT,    name, size, help)                char[size], NUL-terminated unless it is full
 *     ROW(ENUM,    type, name, values, help)        values: "off=0 on=1"; unsigned types
 *     ROW(FLAGS,   type, name, values, help)        values: "hot=1 wet=2", one bit each
 *     ROW(REF,     name, what, help)                uint64_t, as tarn_ref; what it leads to
 *     ROW(STRUCT,  tag, name, help)                 another TARN_TYPE
 *     ROW(STRUCTS, tag, name, length, help)
 *
 * Values are name=number each, apart by blanks; names are identifiers, numbers as 10 or 0xa fit the
 * type, and none of either is there twice. Whoever opens a struct with others is refused: -EINVAL.
 *
 * Each field is aligned to its size, so that 32- and 64-bit programs have one layout.
 *
 * Versions count from 1. A later one may add fields at the end of a type, with a higher number.
 * Programs that know the earlier one open what the later one has made, and see their part of it.
 * The reverse is refused, for the added fields would not be there.
 *
 * Callers:   any thread.
 * Progress:  opening takes the region lock while it creates, as tarn_object_create().
 * Crash:     a struct has a name when it is whole.
 * Trust:     descriptions are copied and checked before use: -EUCLEAN. What the fields hold is as
 *            good as those who write them; enumerations may have other values than those named.
 */
#ifndef TARN_TYPE_H
#define TARN_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/base.h>
#include <tarn/region.h>

#define TARN_TYPE_FIELDS   256 /* of one type */
#define TARN_TYPE_NAME_MAX 47  /* bytes, of types and fields: C identifiers */
#define TARN_TYPE_UNIT_MAX 15  /* bytes */
#define TARN_TYPE_HELP_MAX 255 /* bytes, of help, and of values */
#define TARN_TYPE_NESTED   32  /* types that one consists of, itself included */

/* What a field consists of. Part of the format. */
enum tarn_field_kind {
	TARN_FIELD_I8 = 1,
	TARN_FIELD_U8 = 2,
	TARN_FIELD_I16 = 3,
	TARN_FIELD_U16 = 4,
	TARN_FIELD_I32 = 5,
	TARN_FIELD_U32 = 6,
	TARN_FIELD_I64 = 7,
	TARN_FIELD_U64 = 8,
	TARN_FIELD_F32 = 9,
	TARN_FIELD_F64 = 10,
	TARN_FIELD_TEXT = 11,
	TARN_FIELD_REF = 12,
	TARN_FIELD_STRUCT = 13,
};

/* How its numbers are meant. */
enum tarn_field_look {
	TARN_LOOK_NUMBER = 0,
	TARN_LOOK_ENUM = 1,
	TARN_LOOK_FLAGS = 2,
};

struct tarn_type;

struct tarn_field {
	const char *name;
	const char *unit; /* "" = none */
	const char *help;
	const char *values;           /* of enumerations and flags; of a ref what it leads to */
	const struct tarn_type *type; /* of a struct: this ... */
	const struct tarn_type *(*type_of)(void); /* ... or what this returns: tarn_field_type() */
	uint32_t kind;                            /* enum tarn_field_kind */
	uint32_t look;                            /* enum tarn_field_look */
	uint32_t offset;                          /* bytes, in the struct */
	uint32_t size;                            /* bytes of one element; of text all of it */
	uint32_t length;                          /* elements of an array; 0 = it is none */
	uint32_t pad;                             /* zero */
};

struct tarn_type {
	const char *name;
	const struct tarn_field *fields;
	uint32_t field_count;
	uint32_t version;
	uint32_t size;  /* bytes */
	uint32_t align; /* bytes, at most 64 */
};

/* --- what TARN_TYPE() is made of ------------------------------------------------------------- */

#ifdef __cplusplus
#define TARN__ASSERT(condition, words) static_assert(condition, words)
#define TARN__ALIGNOF(type)            alignof(type)
namespace tarn_detail
{
template <typename T> struct scalar {
	static constexpr uint32_t kind = 0;
};
#define TARN__KIND(type, code)                                                                     \
	template <> struct scalar<type> {                                                          \
		static constexpr uint32_t kind = code;                                             \
	};
TARN__KIND(int8_t, TARN_FIELD_I8)
TARN__KIND(uint8_t, TARN_FIELD_U8)
TARN__KIND(int16_t, TARN_FIELD_I16)
TARN__KIND(uint16_t, TARN_FIELD_U16)
TARN__KIND(int32_t, TARN_FIELD_I32)
TARN__KIND(uint32_t, TARN_FIELD_U32)
TARN__KIND(int64_t, TARN_FIELD_I64)
TARN__KIND(uint64_t, TARN_FIELD_U64)
TARN__KIND(float, TARN_FIELD_F32)
TARN__KIND(double, TARN_FIELD_F64)
#undef TARN__KIND
} // namespace tarn_detail
#define TARN__SCALAR(type) tarn_detail::scalar<type>::kind
#else
#define TARN__ASSERT(condition, words) _Static_assert(condition, words)
#define TARN__ALIGNOF(type)            _Alignof(type)
#define TARN__SCALAR(type)                                                                         \
	_Generic((type)0, int8_t                                                                   \
		 : TARN_FIELD_I8, uint8_t                                                          \
		 : TARN_FIELD_U8, int16_t                                                          \
		 : TARN_FIELD_I16, uint16_t                                                        \
		 : TARN_FIELD_U16, int32_t                                                         \
		 : TARN_FIELD_I32, uint32_t                                                        \
		 : TARN_FIELD_U32, int64_t                                                         \
		 : TARN_FIELD_I64, uint64_t                                                        \
		 : TARN_FIELD_U64, float                                                           \
		 : TARN_FIELD_F32, double                                                          \
		 : TARN_FIELD_F64, default : 0)
#endif

#define TARN__ALIGNED(type) __attribute__((aligned(sizeof(type))))

#define TARN__DECLARE(row, ...)                        TARN__DECLARE_##row(__VA_ARGS__)
#define TARN__DECLARE_VALUE(type, name, unit, help)    type name TARN__ALIGNED(type);
#define TARN__DECLARE_ARRAY(type, name, n, unit, help) type name[n] TARN__ALIGNED(type);
#define TARN__DECLARE_TEXT(name, n, help)              char name[n];
#define TARN__DECLARE_ENUM(type, name, values, help)   type name TARN__ALIGNED(type);
#define TARN__DECLARE_FLAGS(type, name, values, help)  type name TARN__ALIGNED(type);
#define TARN__DECLARE_REF(name, what, help)            uint64_t name TARN__ALIGNED(uint64_t);
#define TARN__DECLARE_STRUCT(tag, name, help)          struct tag name;
#define TARN__DECLARE_STRUCTS(tag, name, n, help)      struct tag name[n];

#define TARN__FIXED(type)                                                                          \
	TARN__ASSERT(TARN__SCALAR(type) != 0,                                                      \
		     "a field of a shared struct is an int8_t .. uint64_t, a float or a double");
#define TARN__WHOLE(type)                                                                          \
	TARN__FIXED(type)                                                                          \
	TARN__ASSERT((type)-1 > (type)0, "enumerations and flags are of unsigned types");
#define TARN__LENGTH(n) TARN__ASSERT((n) > 0, "an array has one element at least");

#define TARN__CHECK(row, ...)                        TARN__CHECK_##row(__VA_ARGS__)
#define TARN__CHECK_VALUE(type, name, unit, help)    TARN__FIXED(type)
#define TARN__CHECK_ARRAY(type, name, n, unit, help) TARN__FIXED(type) TARN__LENGTH(n)
#define TARN__CHECK_TEXT(name, n, help)              TARN__LENGTH(n)
#define TARN__CHECK_ENUM(type, name, values, help)   TARN__WHOLE(type)
#define TARN__CHECK_FLAGS(type, name, values, help)  TARN__WHOLE(type)
#define TARN__CHECK_REF(name, what, help)
#define TARN__CHECK_STRUCT(tag, name, help)
#define TARN__CHECK_STRUCTS(tag, name, n, help) TARN__LENGTH(n)

#define TARN__ROW(name, unit, help, values, type, kind, look, size, n)                             \
	{ #name,                                                                                   \
	  unit,                                                                                    \
	  help,                                                                                    \
	  values,                                                                                  \
	  NULL,                                                                                    \
	  type,                                                                                    \
	  kind,                                                                                    \
	  look,                                                                                    \
	  (uint32_t)offsetof(tarn__self_t, name),                                                  \
	  (uint32_t)(size),                                                                        \
	  (n),                                                                                     \
	  0 },

#define TARN__DESCRIBE(row, ...) TARN__DESCRIBE_##row(__VA_ARGS__)
#define TARN__DESCRIBE_VALUE(type, name, unit, help)                                               \
	TARN__ROW(name, unit, help, "", NULL, TARN__SCALAR(type), TARN_LOOK_NUMBER, sizeof(type), 0)
#define TARN__DESCRIBE_ARRAY(type, name, n, unit, help)                                            \
	TARN__ROW(name, unit, help, "", NULL, TARN__SCALAR(type), TARN_LOOK_NUMBER, sizeof(type), n)
#define TARN__DESCRIBE_TEXT(name, n, help)                                                         \
	TARN__ROW(name, "", help, "", NULL, TARN_FIELD_TEXT, TARN_LOOK_NUMBER, n, 0)
#define TARN__DESCRIBE_ENUM(type, name, values, help)                                              \
	TARN__ROW(name, "", help, values, NULL, TARN__SCALAR(type), TARN_LOOK_ENUM, sizeof(type), 0)
#define TARN__DESCRIBE_FLAGS(type, name, values, help)                                             \
	TARN__ROW(name, "", help, values, NULL, TARN__SCALAR(type), TARN_LOOK_FLAGS, sizeof(type), \
		  0)
#define TARN__DESCRIBE_REF(name, what, help)                                                       \
	TARN__ROW(name, "", help, #what, NULL, TARN_FIELD_REF, TARN_LOOK_NUMBER, sizeof(uint64_t), \
		  0)
#define TARN__DESCRIBE_STRUCT(tag, name, help)                                                     \
	TARN__ROW(name, "", help, "", tag##_type, TARN_FIELD_STRUCT, TARN_LOOK_NUMBER,             \
		  sizeof(struct tag), 0)
#define TARN__DESCRIBE_STRUCTS(tag, name, n, help)                                                 \
	TARN__ROW(name, "", help, "", tag##_type, TARN_FIELD_STRUCT, TARN_LOOK_NUMBER,             \
		  sizeof(struct tag), n)

/*
 * Define struct @tag, of version @version, with the fields @rows; and tag_type(), its description.
 * To be followed by a semicolon.
 */
#define TARN_TYPE(tag, version, rows)                                                              \
	struct tag {                                                                               \
		rows(TARN__DECLARE)                                                                \
	};                                                                                         \
	__attribute__((__unused__)) static inline const struct tarn_type *tag##_type(void)         \
	{                                                                                          \
		typedef struct tag tarn__self_t;                                                   \
		static const struct tarn_field fields[] = { rows(TARN__DESCRIBE) };                \
		static const struct tarn_type type = { #tag,                                       \
						       fields,                                     \
						       sizeof(fields) / sizeof(fields[0]),         \
						       version,                                    \
						       (uint32_t)sizeof(struct tag),               \
						       (uint32_t)TARN__ALIGNOF(struct tag) };      \
		rows(TARN__CHECK)                                                                  \
			TARN__ASSERT(sizeof(fields) / sizeof(fields[0]) <= TARN_TYPE_FIELDS,       \
				     "a type has 256 fields at most");                             \
		TARN__ASSERT((version) >= 1, "versions of a type count from 1");                   \
		return &type;                                                                      \
	}                                                                                          \
	struct tag

TARN_BEGIN_DECLS

/** tarn_field_type - the type of a struct field, else NULL. Since: 0.1 */
static inline const struct tarn_type *tarn_field_type(const struct tarn_field *field)
{
	if (field->type != NULL)
		return field->type;
	return field->type_of != NULL ? field->type_of() : NULL;
}

/**
 * tarn_type_compare - is what @there describes fit for a program that knows @here?
 * @diag: the first field that differs, here and there; where @there is newer, by which fields
 * Return: 0, 1 (@there is a later version with fields added at the end), -EPROTO.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_type_compare(const struct tarn_type *here,
					      const struct tarn_type *there,
					      struct tarn_diag *diag);

/**
 * tarn_type_hash - 64 bits that name @type: FNV-1a of all that a comparison looks at.
 *
 * Names, units, values, kinds, places, sizes, lengths, and nested types; not help, nor versions.
 * Two types with one hash are taken for one; others may still fit, see tarn_type_compare(). The
 * same on every machine.
 * Return: the hash, 0 of what is no type.
 * Since: 0.1
 */
TARN_API uint64_t tarn_type_hash(const struct tarn_type *type);

/* A field, or an element of one, of a struct or of what it contains. */
struct tarn_place {
	const struct tarn_field *field;
	uint64_t offset; /* bytes, in the outermost struct */
	uint32_t length; /* elements from there on: 0 = one that is no array */
	uint32_t pad;
};

/**
 * tarn_type_find - the place that @path names: "time", "samples[3]", "axes[1].offset".
 * @diag: what there is in place of what is not there
 * Return: 0, -ENOENT, -EINVAL (the path is none), -ERANGE (beyond an array's end).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_type_find(const struct tarn_type *type, const char *path,
					   struct tarn_place *ret_place, struct tarn_diag *diag);

/* All zero means: the default of each. */
struct tarn_struct_opts {
	const char *section;    /* that guards it: its name; NULL = as it is, and none if created */
	uint32_t flags;         /* zero */
	uint32_t pad;           /* zero */
	struct tarn_diag *diag; /* also where it is opened, and of a later version */
	uint64_t reserved[2];   /* zero */
};

struct tarn_struct_stat {
	char type[TARN_TYPE_NAME_MAX + 1];
	char section[TARN_OBJECT_NAME_MAX + 1]; /* "" = none */
	uint32_t version;                       /* of the type */
	uint32_t size;                          /* bytes */
	uint64_t off;                           /* of its first byte, in the region */
};

/**
 * tarn_struct_open - open struct @name of @region, which is of @type.
 * @opts:     it is created, all zero, with a description of @type, if it is absent. NULL: it must
 *            exist.
 * @ret_data: its first byte, 64-byte aligned; held until tarn_struct_close()
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such struct
 *   -EINVAL   name, @type or @opts out of range; diag says what
 *   -EEXIST   another section guards it than @opts names, or none; diag has both names
 *   -EPROTO   it is of another type, or of an earlier version: diag names the first field that
 *             differs; or the object is no struct
 *   -ENOSPC, -ENFILE  no room to create it
 *   -ENOMEM
 *   -EUCLEAN  its header or description is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_struct_open(struct tarn_region *region, const char *name,
					     const struct tarn_type *type,
					     const struct tarn_struct_opts *opts, void **ret_data);

/** tarn_struct_close - give up the hold that open took. Accepts NULL. Since: 0.1 */
TARN_API void tarn_struct_close(struct tarn_region *region, void *data);

/**
 * tarn_struct_describe - what struct @name of @region consists of, whoever made it.
 * @ret_type: a copy; tarn_type_free() it
 * @ret_stat: may be NULL
 * @ret_data: its first byte, held until tarn_struct_close(); may be NULL, and then it is not held
 * Return: 0, -ENOENT, -EINVAL, -EPROTO (no struct, or of another version), -EUCLEAN, -ENOMEM.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_struct_describe(struct tarn_region *region, const char *name,
						 struct tarn_type **ret_type,
						 struct tarn_struct_stat *ret_stat,
						 void **ret_data);

/** tarn_type_free - free what tarn_struct_describe() gave. Accepts NULL. Since: 0.1 */
TARN_API void tarn_type_free(struct tarn_type *type);

TARN_END_DECLS

#endif /* TARN_TYPE_H */
