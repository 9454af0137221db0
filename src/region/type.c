/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type.c - descriptions of structs: written from a program's field list, read back from a region as
 * a checked copy, compared, and asked for the place of a field. The bytes are drawn in type.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/type.h"

#define NO_TYPE UINT32_MAX

static bool is_identifier(const char *name)
{
	size_t n = strnlen(name, TARN_TYPE_NAME_MAX + 1);

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
					  .text_size = plan.text_size };
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
	unsigned char bytes[];
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
	return field_fault(to, size);
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
	if (fault != NULL) {
		tarn_type_free(&d->type);
		*ret_fault = fault;
		return -EUCLEAN;
	}
	d->type = d->types[rd.head->type_count - 1];
	*ret_type = &d->type;
	return 0;
}

void tarn_type_free(struct tarn_type *type)
{
	struct description *d = (struct description *)(void *)type;

	if (type == NULL)
		return;
	free(d->fields);
	free(d);
}

/* --- comparing ----------------------------------------------------------------------------- */

static int differ(struct tarn_diag *diag, const struct tarn_type *type,
		  const struct tarn_field *field, const char *what, uint64_t here, uint64_t there)
{
	tarn__diag(diag, -EPROTO, "type %s, field %s: %s %" PRIu64 " here, %" PRIu64 " there",
		   type->name, field->name, what, here, there);
	tarn__diag_hint(diag, "build both programs with the same fields, or remove it and create "
			      "it anew");
	return -EPROTO;
}

static int differ_in_words(struct tarn_diag *diag, const struct tarn_type *type,
			   const struct tarn_field *field, const char *what, const char *here,
			   const char *there)
{
	tarn__diag(diag, -EPROTO, "type %s, field %s: %s '%s' here, '%s' there", type->name,
		   field->name, what, here, there);
	tarn__diag_hint(diag, "build both programs with the same fields, or remove it and create "
			      "it anew");
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

/* One more value may have been added at the end. */
static bool values_fit(const char *here, const char *there)
{
	size_t n = strlen(here);

	return strncmp(here, there, n) == 0 && (there[n] == '\0' || there[n] == ' ' || n == 0);
}

static int compare_types(const struct tarn_type *here, const struct tarn_type *there,
			 bool outermost, int depth, struct tarn_diag *diag);

static int compare_fields(const struct tarn_type *type, const struct tarn_field *here,
			  const struct tarn_field *there, int depth, struct tarn_diag *diag)
{
	const struct tarn_type *a = tarn_field_type(here), *b = tarn_field_type(there);

	if (strcmp(here->name, there->name) != 0)
		return differ_in_words(diag, type, here, "named", here->name, there->name);
	if (here->kind != there->kind)
		return differ_in_words(diag, type, here, "of kind", kind_name(here->kind),
				       kind_name(there->kind));
	if (here->offset != there->offset)
		return differ(diag, type, here, "offset", here->offset, there->offset);
	if (here->size != there->size)
		return differ(diag, type, here, "size", here->size, there->size);
	if (here->length != there->length)
		return differ(diag, type, here, "length", here->length, there->length);
	if (here->look != there->look || !values_fit(here->values, there->values))
		return differ_in_words(diag, type, here, "values", here->values, there->values);
	if (strcmp(here->unit, there->unit) != 0)
		return differ_in_words(diag, type, here, "unit", here->unit, there->unit);
	if (a == NULL || b == NULL)
		return 0;
	return compare_types(a, b, false, depth + 1, diag);
}

/* Only at the end of the outermost struct can a later version have more. */
static int compare_types(const struct tarn_type *here, const struct tarn_type *there,
			 bool outermost, int depth, struct tarn_diag *diag)
{
	uint32_t both =
		here->field_count < there->field_count ? here->field_count : there->field_count;
	int r = 0;

	if (strcmp(here->name, there->name) != 0)
		return tarn__diag(diag, -EPROTO, "type %s here, %s there", here->name, there->name);
	if (depth > TARN_TYPE_NESTED)
		return tarn__diag(diag, -EPROTO, "type %s contains itself", here->name);
	for (uint32_t i = 0; i < both && r == 0; i++)
		r = compare_fields(here, &here->fields[i], &there->fields[i], depth, diag);
	if (r < 0)
		return r;
	if (here->field_count > both)
		return tarn__diag(diag, -EPROTO,
				  "type %s, field %s: here, in version %" PRIu32
				  ", not there, in version %" PRIu32,
				  here->name, here->fields[both].name, here->version,
				  there->version);
	if (there->field_count > both && !(outermost && there->version > here->version))
		return tarn__diag(diag, -EPROTO,
				  "type %s, field %s: there, in version %" PRIu32
				  ", not here, in version %" PRIu32 "%s",
				  here->name, there->fields[both].name, there->version,
				  here->version,
				  outermost ? ", which is not earlier" : ", and it is nested");
	if (there->field_count == both && here->size != there->size)
		return tarn__diag(diag, -EPROTO,
				  "type %s: %" PRIu32 " bytes here, %" PRIu32 " there", here->name,
				  here->size, there->size);
	if (there->field_count == both)
		return 0;
	tarn__diag(diag, 1, "type %s: version %" PRIu32 " there has more fields, from %s on",
		   here->name, there->version, there->fields[both].name);
	return 1;
}

int tarn_type_compare(const struct tarn_type *here, const struct tarn_type *there,
		      struct tarn_diag *diag)
{
	return compare_types(here, there, true, 0, diag);
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

/* One "name" or "name[3]" at *@path. */
static int step_into(const struct tarn_type *type, const char **path, struct tarn_place *place,
		     struct tarn_diag *diag)
{
	size_t n = strcspn(*path, ".[");
	const struct tarn_field *field = field_named(type, *path, n);
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
	r = field->length != 0 ? read_index(path, &index) : -EINVAL;
	if (r == 0 && index >= field->length)
		r = -ERANGE;
	if (r < 0)
		return tarn__diag(diag, r, "field %s: %s, found %.40s", field->name,
				  field->length == 0 ? "it is no array"
						     : "[0] .. [length - 1] wanted",
				  *path);
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
