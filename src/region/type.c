/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type.c - descriptions of structs: written from a program's field list, read back from a region as
 * a checked copy, and asked for the place of a field. The bytes are drawn in type.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/type.h"

#define NO_TYPE UINT32_MAX

bool tarn__type_identifier(const char *name, size_t n)
{
	if (n == 0 || n > TARN_TYPE_NAME_MAX || (*name >= '0' && *name <= '9'))
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_'))
			return false;
	}
	return true;
}

static bool is_identifier(const char *name)
{
	return tarn__type_identifier(name, strnlen(name, TARN_TYPE_NAME_MAX + 1));
}

/* Text for the eye: no control characters. */
static bool is_text(const char *text, size_t max)
{
	size_t n = strnlen(text, max + 1);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return n <= max;
}

/* Bytes of one element, 0 where the kind does not fix it. */
static uint32_t size_of_kind(uint32_t kind)
{
	static const uint8_t sizes[] = { 0, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 0, 8, 0 };

	return kind < sizeof(sizes) ? sizes[kind] : 0;
}

/* What breaks T3 in @field of a type of @size bytes, or NULL. */
static const char *field_fault(const struct tarn_field *field, uint32_t size)
{
	uint32_t wanted = size_of_kind(field->kind);
	uint64_t length = field->length != 0 ? field->length : 1;

	if (!is_identifier(field->name))
		return "its name is no identifier of 1 to 47 bytes";
	if (!is_text(field->unit, TARN_TYPE_UNIT_MAX))
		return "its unit is longer than 15 bytes, or has control characters";
	if (!is_text(field->help, TARN_TYPE_HELP_MAX) ||
	    !is_text(field->values, TARN_TYPE_HELP_MAX))
		return "its help or values are longer than 255 bytes, or have control characters";
	if (field->kind < TARN_FIELD_I8 || field->kind > TARN_FIELD_STRUCT)
		return "its kind is none";
	if (field->look > TARN_LOOK_FLAGS ||
	    (field->look != TARN_LOOK_NUMBER && field->kind > TARN_FIELD_U64))
		return "only whole numbers are enumerations or flags";
	if (field->size == 0 || (wanted != 0 && field->size != wanted))
		return "its size is not that of its kind";
	if (wanted != 0 && field->offset % wanted != 0)
		return "it is not aligned to its size";
	if (!tarn__inside(field->offset, field->size * length, size))
		return "it lies outside of the struct";
	return NULL;
}

/* --- writing ------------------------------------------------------------------------------- */

struct plan {
	const struct tarn_type *types[TARN_TYPE_NESTED];
	uint32_t type_count;
	uint32_t field_count;
	uint32_t text_size;
	struct tarn_diag *diag;
};

static uint32_t index_of(const struct plan *plan, const struct tarn_type *type)
{
	uint32_t i = 0;

	while (i < plan->type_count && plan->types[i] != type)
		i++;
	return i < plan->type_count ? i : NO_TYPE;
}

static uint32_t text_size(const char *text)
{
	return (uint32_t)strlen(text) + 1;
}

static int add_type(struct plan *plan, const struct tarn_type *type, int depth);

static int add_field(struct plan *plan, const struct tarn_type *type,
		     const struct tarn_field *field, int depth)
{
	const struct tarn_type *nested = tarn_field_type(field);
	const char *fault = field_fault(field, type->size);
	char buf[160];

	if (fault == NULL && tarn__type_values_fault(field, buf, sizeof(buf)))
		fault = buf;
	if (fault == NULL && (nested != NULL) != (field->kind == TARN_FIELD_STRUCT))
		fault = "a struct has a type, and nothing else";
	if (fault == NULL && nested != NULL &&
	    (nested->size != field->size || field->offset % nested->align != 0))
		fault = "its size is not that of its type, or it is not aligned";
	if (fault != NULL)
		return tarn__diag(plan->diag, -EINVAL, "type %.47s, field %.47s: %s", type->name,
				  field->name, fault);
	plan->text_size += text_size(field->name) + text_size(field->unit) +
			   text_size(field->help) + text_size(field->values);
	plan->field_count++;
	return nested != NULL ? add_type(plan, nested, depth + 1) : 0;
}

/* After all that it consists of: T4. */
static int add_type(struct plan *plan, const struct tarn_type *type, int depth)
{
	int r = 0;

	if (index_of(plan, type) != NO_TYPE)
		return 0;
	if (type->version == 0)
		return tarn__diag(plan->diag, -EINVAL,
				  "type %.47s: its version is 0; versions count from 1",
				  type->name);
	if (!is_identifier(type->name) || type->field_count == 0 ||
	    type->field_count > TARN_TYPE_FIELDS || type->size == 0 ||
	    !tarn__is_pow2(type->align) || type->align > TARN__CACHE_LINE ||
	    type->size % type->align != 0)
		return tarn__diag(plan->diag, -EINVAL,
				  "type %.47s: a type has a name, 1 to %d fields, and is aligned "
				  "to 1 to %u bytes",
				  type->name, TARN_TYPE_FIELDS, TARN__CACHE_LINE);
	for (uint32_t i = 0; i < type->field_count && r == 0 && depth < TARN_TYPE_NESTED; i++)
		r = add_field(plan, type, &type->fields[i], depth);
	if (r == 0 && (plan->type_count == TARN_TYPE_NESTED || depth == TARN_TYPE_NESTED))
		r = tarn__diag(plan->diag, -EINVAL, "type %.47s consists of more than %d types",
			       type->name, TARN_TYPE_NESTED);
	if (r < 0)
		return r;
	plan->text_size += text_size(type->name);
	plan->types[plan->type_count++] = type;
	return 0;
}

static uint64_t size_of(const struct plan *plan)
{
	return sizeof(struct description_shm) +
	       (uint64_t)plan->type_count * sizeof(struct type_shm) +
	       (uint64_t)plan->field_count * sizeof(struct field_shm) + plan->text_size;
}

int tarn__type_measure(const struct tarn_type *type, uint32_t *ret_size, struct tarn_diag *diag)
{
	struct plan plan = { .diag = diag };
	int r = add_type(&plan, type, 0);

	if (r == 0)
		*ret_size = (uint32_t)size_of(&plan);
	return r;
}

/* Words count as their bytes, the lowest first, so that a type has one hash on every machine. */
static uint64_t hash_word(uint64_t word, uint64_t hash)
{
	unsigned char bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)(word >> (8 * i));
	return tarn__fnv64(bytes, sizeof(bytes), hash);
}

/* With its NUL, so that no two lists of strings are one. */
static uint64_t hash_text(const char *text, uint64_t hash)
{
	return tarn__fnv64(text, text_size(text), hash);
}

/* @hashes: of the types before it in @plan. */
static uint64_t hash_type(const struct plan *plan, const struct tarn_type *type,
			  const uint64_t *hashes)
{
	uint64_t hash = hash_text(type->name, TARN__FNV64_BASIS);

	hash = hash_word(type->size, hash);
	for (uint32_t i = 0; i < type->field_count; i++) {
		const struct tarn_field *field = &type->fields[i];
		const struct tarn_type *nested = tarn_field_type(field);

		hash = hash_text(field->name, hash);
		hash = hash_text(field->unit, hash);
		hash = hash_text(field->values, hash);
		hash = hash_word(field->kind, hash);
		hash = hash_word(field->look, hash);
		hash = hash_word(field->offset, hash);
		hash = hash_word(field->size, hash);
		hash = hash_word(field->length, hash);
		hash = hash_word(nested != NULL ? hashes[index_of(plan, nested)] : 0, hash);
	}
	return hash;
}

/* Each type once, however often it is nested. */
static uint64_t hash_plan(const struct plan *plan)
{
	uint64_t hashes[TARN_TYPE_NESTED] = { 0 };

	for (uint32_t i = 0; i < plan->type_count; i++)
		hashes[i] = hash_type(plan, plan->types[i], hashes);
	return hashes[plan->type_count - 1];
}

uint64_t tarn_type_hash(const struct tarn_type *type)
{
	struct plan plan = { .diag = NULL };

	return add_type(&plan, type, 0) == 0 ? hash_plan(&plan) : 0;
}

struct writer {
	unsigned char *text;
	uint32_t used;
};

static uint32_t put_text(struct writer *w, const char *text)
{
	uint32_t at = w->used;

	memcpy(w->text + at, text, text_size(text));
	w->used += text_size(text);
	return at;
}

static void write_fields(struct writer *w, const struct plan *plan, const struct tarn_type *type,
			 struct field_shm *to)
{
	for (uint32_t i = 0; i < type->field_count; i++) {
		const struct tarn_field *field = &type->fields[i];
		const struct tarn_type *nested = tarn_field_type(field);

		to[i] = (struct field_shm){
			.name = put_text(w, field->name),
			.unit = put_text(w, field->unit),
			.help = put_text(w, field->help),
			.values = put_text(w, field->values),
			.kind = field->kind,
			.look = field->look,
			.offset = field->offset,
			.size = field->size,
			.length = field->length,
			.type = nested != NULL ? index_of(plan, nested) : NO_TYPE,
		};
	}
}

static uint32_t check_of(const unsigned char *bytes, uint32_t size)
{
	const size_t at = offsetof(struct description_shm, check), end = at + sizeof(uint32_t);

	return tarn__fnv32(bytes + end, size - end, tarn__fnv32(bytes, at, TARN__FNV32_BASIS));
}

void tarn__type_write(const struct tarn_type *type, unsigned char *to, uint32_t size)
{
	struct plan plan = { .diag = NULL };
	struct description_shm *head = (struct description_shm *)(void *)to;
	struct type_shm *types = (struct type_shm *)(void *)(head + 1);

	memset(to, 0, size);
	if (add_type(&plan, type, 0) < 0 || size_of(&plan) != size)
		return; /* it was measured; what is no description is found to be none */

	struct field_shm *fields = (struct field_shm *)(void *)(types + plan.type_count);
	struct writer w = { .text = (unsigned char *)(fields + plan.field_count) };
	uint32_t first = 0;

	*head = (struct description_shm){ .magic = TYPE_MAGIC,
					  .type_count = plan.type_count,
					  .field_count = plan.field_count,
					  .text_size = plan.text_size,
					  .hash = hash_plan(&plan) };
	for (uint32_t i = 0; i < plan.type_count; i++) {
		const struct tarn_type *one = plan.types[i];

		types[i] = (struct type_shm){ .name = put_text(&w, one->name),
					      .version = one->version,
					      .size = one->size,
					      .align = one->align,
					      .first_field = first,
					      .field_count = one->field_count };
		write_fields(&w, &plan, one, &fields[first]);
		first += one->field_count;
	}
	head->check = check_of(to, size);
}

/* --- reading ------------------------------------------------------------------------------- */

/* A copy of a description, and what is made of it; @type of the last one is what users see. */
struct description {
	struct tarn_type type; /* the outermost; first, so that it can be freed by its address */
	struct tarn_type types[TARN_TYPE_NESTED];
	struct tarn_field *fields;
	uint32_t size;
	alignas(uint64_t) unsigned char bytes[];
};

struct reader {
	struct description *d;
	const struct description_shm *head;
	const struct type_shm *types;
	const struct field_shm *fields;
	const char *text;
};

/* The string at @at, which ends in text; or NULL. T2 */
static const char *text_at(const struct reader *rd, uint32_t at)
{
	if (at >= rd->head->text_size ||
	    memchr(rd->text + at, '\0', rd->head->text_size - at) == NULL)
		return NULL;
	return rd->text + at;
}

static const char *read_field(const struct reader *rd, uint32_t index, uint32_t owner,
			      uint32_t size)
{
	const struct field_shm *from = &rd->fields[index];
	struct tarn_field *to = &rd->d->fields[index];
	const char *fault;
	char buf[160];

	*to = (struct tarn_field){
		.name = text_at(rd, from->name),
		.unit = text_at(rd, from->unit),
		.help = text_at(rd, from->help),
		.values = text_at(rd, from->values),
		.kind = from->kind,
		.look = from->look,
		.offset = from->offset,
		.size = from->size,
		.length = from->length,
	};
	if (to->name == NULL || to->unit == NULL || to->help == NULL || to->values == NULL)
		return "a string lies outside of its text";
	if ((from->kind == TARN_FIELD_STRUCT) != (from->type != NO_TYPE))
		return "a field's type";
	if (from->type != NO_TYPE) {
		if (from->type >= owner || rd->d->types[from->type].size != from->size ||
		    from->offset % rd->d->types[from->type].align != 0)
			return "a field's type"; /* T4 */
		to->type = &rd->d->types[from->type];
	}
	fault = field_fault(to, size);
	return fault == NULL && tarn__type_values_fault(to, buf, sizeof(buf)) ? "a field's values"
									      : fault;
}

static const char *read_type(const struct reader *rd, uint32_t index)
{
	const struct type_shm *from = &rd->types[index];
	struct tarn_type *to = &rd->d->types[index];
	const char *fault = NULL;

	*to = (struct tarn_type){ .name = text_at(rd, from->name),
				  .fields = rd->d->fields + from->first_field,
				  .field_count = from->field_count,
				  .version = from->version,
				  .size = from->size,
				  .align = from->align };
	if (to->name == NULL || !is_identifier(to->name))
		return "a type's name";
	if (from->version == 0)
		return "a type's version";
	if (from->field_count == 0 || from->field_count > TARN_TYPE_FIELDS ||
	    !tarn__inside(from->first_field, from->field_count, rd->head->field_count))
		return "a type's fields";
	if (from->size == 0 || !tarn__is_pow2(from->align) || from->align > TARN__CACHE_LINE ||
	    from->size % from->align != 0)
		return "a type's size";
	for (uint32_t i = 0; i < from->field_count && fault == NULL; i++)
		fault = read_field(rd, from->first_field + i, index, from->size);
	return fault;
}

/* T1, T2: of the copy. */
static const char *read_head(struct reader *rd, uint32_t size)
{
	const struct description_shm *head = rd->head;
	uint64_t types = (uint64_t)head->type_count * sizeof(struct type_shm);
	uint64_t fields = (uint64_t)head->field_count * sizeof(struct field_shm);

	if (head->magic != TYPE_MAGIC)
		return "its magic";
	if (head->check != check_of(rd->d->bytes, size))
		return "its checksum";
	if (head->type_count == 0 || head->type_count > TARN_TYPE_NESTED ||
	    head->field_count > TARN_TYPE_NESTED * TARN_TYPE_FIELDS ||
	    sizeof(*head) + types + fields + head->text_size != size)
		return "its counts";
	rd->types = (const struct type_shm *)(const void *)(head + 1);
	rd->fields = (const struct field_shm *)(const void *)(rd->types + head->type_count);
	rd->text = (const char *)(rd->fields + head->field_count);
	return NULL;
}

int tarn__type_read(const unsigned char *from, uint32_t size, struct tarn_type **ret_type,
		    const char **ret_fault)
{
	struct description *d;
	const char *fault;

	*ret_fault = "its size";
	if (size < sizeof(struct description_shm) || size > TARN__TYPE_SIZE_MAX)
		return -EUCLEAN;
	d = malloc(sizeof(*d) + size);
	if (d == NULL)
		return -ENOMEM;
	memset(d, 0, sizeof(*d));
	memcpy(d->bytes, from, size);

	struct reader rd = { .d = d, .head = (const struct description_shm *)(void *)d->bytes };

	fault = read_head(&rd, size);
	if (fault == NULL) {
		d->fields = calloc(rd.head->field_count + 1, sizeof(*d->fields));
		if (d->fields == NULL) {
			free(d);
			return -ENOMEM;
		}
	}
	for (uint32_t i = 0; fault == NULL && i < rd.head->type_count; i++)
		fault = read_type(&rd, i);
	if (fault == NULL && rd.head->hash != tarn_type_hash(&d->types[rd.head->type_count - 1]))
		fault = "its hash"; /* T7 */
	if (fault != NULL) {
		tarn_type_free(&d->type);
		*ret_fault = fault;
		return -EUCLEAN;
	}
	d->type = d->types[rd.head->type_count - 1];
	*ret_type = &d->type;
	return 0;
}

bool tarn__type_same(const unsigned char *there, uint32_t size, uint64_t hash)
{
	struct description_shm head;

	if (size < sizeof(head) || size > TARN__TYPE_SIZE_MAX)
		return false;
	memcpy(&head, there, sizeof(head));
	return head.magic == TYPE_MAGIC && head.hash == hash && head.check == check_of(there, size);
}

void tarn_type_free(struct tarn_type *type)
{
	struct description *d = (struct description *)(void *)type;

	if (type == NULL)
		return;
	free(d->fields);
	free(d);
}

/* --- finding ------------------------------------------------------------------------------- */

/* "[3]" at *@path, which is moved behind it. */
static int read_index(const char **path, uint64_t *ret_index)
{
	const char *p = *path + 1;
	uint64_t index = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(index, 10u, &index) ||
		    __builtin_add_overflow(index, (uint64_t)(*p - '0'), &index))
			return -ERANGE;
	if (*p != ']')
		return -EINVAL;
	*path = p + 1;
	*ret_index = index;
	return 0;
}

static const struct tarn_field *field_named(const struct tarn_type *type, const char *name,
					    size_t size)
{
	for (uint32_t i = 0; i < type->field_count; i++)
		if (strlen(type->fields[i].name) == size &&
		    memcmp(type->fields[i].name, name, size) == 0)
			return &type->fields[i];
	return NULL;
}

static void hint_fields(const struct tarn_type *type, struct tarn_diag *diag)
{
	char text[200] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < type->field_count && used < sizeof(text) - 60; i++) {
		int n = snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? ", " : "",
				 type->fields[i].name);

		used += (size_t)n;
	}
	tarn__diag_hint(diag, "it has %s%s", text, used < sizeof(text) - 60 ? "" : " ...");
}

/* @found: "[20].x"; its index is told, and what follows it is not. */
static int bad_index(const struct tarn_field *field, const char *found, int error,
		     struct tarn_diag *diag)
{
	size_t length = strcspn(found, "]");

	length += found[length] == ']';
	if (field->length == 0) {
		tarn__diag(diag, error, "field %s is no array: %.*s cannot follow", field->name,
			   (int)(length < 40 ? length : 40), found);
		tarn__diag_hint(diag, "name it without an index");
		return error;
	}
	tarn__diag(diag, error, "field %s has [0] to [%" PRIu32 "]; found %.*s", field->name,
		   field->length - 1, (int)(length < 40 ? length : 40), found);
	tarn__diag_hint(diag, "%s[%" PRIu32 "] is the last one", field->name, field->length - 1);
	return error;
}

/* One "name" or "name[3]" at *@path. */
static int step_into(const struct tarn_type *type, const char **path, struct tarn_place *place,
		     struct tarn_diag *diag)
{
	size_t n = strcspn(*path, ".[");
	const struct tarn_field *field = field_named(type, *path, n);
	const char *found;
	uint64_t index = 0;
	int r = 0;

	if (field == NULL) {
		tarn__diag(diag, -ENOENT, "type %s has no field %.*s", type->name,
			   (int)(n < 48 ? n : 48), *path);
		hint_fields(type, diag);
		return -ENOENT;
	}
	*path += n;
	place->field = field;
	place->offset += field->offset;
	place->length = field->length;
	if (**path != '[')
		return 0;
	found = *path;
	r = field->length != 0 ? read_index(path, &index) : -EINVAL;
	if (r == 0 && index >= field->length)
		r = -ERANGE;
	if (r < 0)
		return bad_index(field, found, r, diag);
	place->offset += index * field->size;
	place->length = 0;
	return 0;
}

int tarn_type_find(const struct tarn_type *type, const char *path, struct tarn_place *ret_place,
		   struct tarn_diag *diag)
{
	struct tarn_place place = { .offset = 0 };
	int r;

	for (;;) {
		r = step_into(type, &path, &place, diag);
		if (r < 0)
			return r;
		if (*path == '\0')
			break;
		type = tarn_field_type(place.field);
		if (*path != '.' || type == NULL || place.length != 0)
			return tarn__diag(diag, -EINVAL, "field %s: '%.40s' cannot follow",
					  place.field->name, path);
		path++;
	}
	*ret_place = place;
	return 0;
}
