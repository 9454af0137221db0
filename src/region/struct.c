/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * struct.c - typed objects: made with a description, opened by who has the same one, described to
 * anybody. The bytes are drawn in type.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/type.h"

static uint32_t header_check(const struct struct_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct struct_shm, check), TARN__FNV32_BASIS);
}

/* Where the description begins. */
static uint64_t type_at(uint32_t size)
{
	return sizeof(struct struct_shm) +
	       (((uint64_t)size + TARN__CACHE_LINE - 1) & ~(uint64_t)(TARN__CACHE_LINE - 1));
}

/* What breaks T1 or T2 in the header, a private copy, or NULL. */
static const char *header_fault(const struct struct_shm *copy, uint64_t object_size)
{
	if (copy->magic != STRUCT_MAGIC)
		return "magic";
	if (copy->check != header_check(copy))
		return "check";
	if (copy->version != STRUCT_VERSION)
		return "version";
	if (copy->size == 0 || copy->type_size == 0 ||
	    !tarn__inside(type_at(copy->size), copy->type_size, object_size))
		return "size";
	if (memchr(copy->section, '\0', sizeof(copy->section)) == NULL)
		return "section";
	return NULL;
}

/* --- make ---------------------------------------------------------------------------------- */

struct new_struct {
	const struct tarn_type *type;
	const char *section;
	uint32_t type_size;
};

static void init_struct(unsigned char *base, uint64_t size, void *arg)
{
	struct struct_shm *shm = (struct struct_shm *)(void *)base;
	const struct new_struct *want = arg;

	(void)size; /* zeroed before */
	shm->magic = STRUCT_MAGIC;
	shm->version = STRUCT_VERSION;
	shm->size = want->type->size;
	shm->type_size = want->type_size;
	if (want->section != NULL)
		memcpy(shm->section, want->section, strlen(want->section));
	shm->check = header_check(shm);
	tarn__type_write(want->type, base + type_at(shm->size), shm->type_size);
}

static int check_opts(const struct tarn_struct_opts *opts)
{
	if (opts->flags != 0 || opts->pad != 0 || opts->reserved[0] != 0 || opts->reserved[1] != 0)
		return tarn__diag(opts->diag, -EINVAL, "flags and reserved options are not zero");
	return opts->section != NULL ? tarn__object_name_check(opts->section, opts->diag) : 0;
}

static int find_or_make(struct tarn_region *region, const char *name, const struct tarn_type *type,
			const struct tarn_struct_opts *opts, struct tarn_diag *diag,
			struct tarn__object *ret_object)
{
	struct new_struct new = { .type = type };
	int r = opts != NULL ? check_opts(opts) : 0;

	if (r == 0)
		r = tarn__type_measure(type, &new.type_size, diag);
	if (r < 0)
		return r;
	new.section = opts != NULL ? opts->section : NULL;

	const struct tarn__object_want want = {
		.kind = TARN_OBJECT_STRUCT,
		.size = type_at(type->size) + new.type_size,
		.zeroed = true,
		.init = init_struct,
		.arg = &new,
	};

	return tarn__object_find_or_make(region, name, &want, opts != NULL, ret_object, diag);
}

/* --- open ---------------------------------------------------------------------------------- */

/* A checked copy of the header. @diag: what is wrong with it. */
static int read_header(const struct tarn__object *object, const char *name,
		       struct struct_shm *ret_head, struct tarn_diag *diag)
{
	const char *fault = "size";
	int r = -EUCLEAN;

	if (object->size >= sizeof(*ret_head)) {
		memcpy(ret_head, object->base, sizeof(*ret_head));
		fault = header_fault(ret_head, object->size);
	}
	if (fault != NULL && strcmp(fault, "version") == 0)
		return tarn__diag(diag, -EPROTO, "struct %s: its version is not %u", name,
				  STRUCT_VERSION);
	if (fault != NULL)
		return tarn__diag(diag, r, "struct %s: its header is damaged (%s)", name, fault);
	return 0;
}

/* And of the description. */
static int read_struct(const struct tarn__object *object, const char *name,
		       struct struct_shm *ret_head, struct tarn_type **ret_type,
		       struct tarn_diag *diag)
{
	const char *fault;
	int r = read_header(object, name, ret_head, diag);

	if (r < 0)
		return r;
	r = tarn__type_read(object->base + type_at(ret_head->size), ret_head->type_size, ret_type,
			    &fault);
	if (r == 0 && (*ret_type)->size != ret_head->size) {
		tarn_type_free(*ret_type);
		fault = "its size";
		r = -EUCLEAN;
	}
	if (r == -EUCLEAN)
		return tarn__diag(diag, r, "struct %s: its description is damaged (%s)", name,
				  fault);
	return r;
}

/* One struct that two programs guard by two sections is guarded by none. */
static int check_section(const char *name, const struct struct_shm *head, const char *wanted,
			 struct tarn_diag *diag)
{
	const char *there = head->section;

	if (wanted == NULL || strcmp(wanted, there) == 0)
		return 0;
	if (*there != '\0') {
		tarn__diag(diag, -EEXIST, "struct %s: section %s guards it; asked was %s", name,
			   there, wanted);
		tarn__diag_hint(diag, "name section %s, or none", there);
	} else {
		tarn__diag(diag, -EEXIST, "struct %s: no section guards it; asked was %s", name,
			   wanted);
		tarn__diag_hint(diag, "name none, or remove it and create it anew");
	}
	return -EEXIST;
}

/* Is it what a program with @type wants? 0, 1, or -errno, as tarn_type_compare(). */
static int check_type(const struct tarn__object *object, const char *name,
		      const struct tarn_type *type, struct struct_shm *ret_head,
		      struct tarn_diag *diag)
{
	struct tarn_type *there;
	int r = read_header(object, name, ret_head, diag);

	if (r < 0)
		return r;
	if (ret_head->size == type->size &&
	    tarn__type_same(object->base + type_at(ret_head->size), ret_head->type_size,
			    tarn_type_hash(type)))
		return 0;
	r = read_struct(object, name, ret_head, &there, diag);
	if (r < 0)
		return r;
	r = tarn_type_compare(type, there, diag);
	tarn_type_free(there);
	return r;
}

static int open_entered(struct tarn_region *region, const char *name, const struct tarn_type *type,
			const struct tarn_struct_opts *opts, struct tarn_diag *diag,
			void **ret_data)
{
	struct tarn__object object;
	struct struct_shm head;
	int r = find_or_make(region, name, type, opts, diag, &object);

	if (r < 0)
		return r;
	diag->what[0] = '\0'; /* that it was not there, at first */
	diag->hint[0] = '\0';
	r = check_type(&object, name, type, &head, diag);
	if (r >= 0 && opts != NULL) {
		int other = check_section(name, &head, opts->section, diag);

		r = other < 0 ? other : r;
	}
	if (r < 0) {
		tarn__object_drop(region, &object);
		return r;
	}
	*ret_data = object.base + sizeof(struct struct_shm);
	return 0;
}

int tarn_struct_open(struct tarn_region *region, const char *name, const struct tarn_type *type,
		     const struct tarn_struct_opts *opts, void **ret_data)
{
	struct tarn_diag words = { .what = "" };
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct tarn_struct_opts with;
	int r = tarn__region_enter(region);

	if (r < 0)
		return tarn__diag(diag, r, "the region cannot be used");
	if (opts != NULL) {
		with = *opts;
		with.diag = &words;
	}
	r = open_entered(region, name, type, opts != NULL ? &with : NULL, &words, ret_data);
	tarn__region_leave(region);
	if (r == 0 && diag != NULL)
		*diag = words; /* of a later version, or nothing */
	return tarn__diag_pass(diag, &words, r);
}

void tarn_struct_close(struct tarn_region *region, void *data)
{
	if (data != NULL)
		tarn_object_close(region, (unsigned char *)data - sizeof(struct struct_shm));
}

/* --- describe ------------------------------------------------------------------------------ */

static void fill_stat(const struct tarn__object *object, const struct struct_shm *head,
		      const struct tarn_type *type, struct tarn_struct_stat *stat)
{
	memset(stat, 0, sizeof(*stat));
	memcpy(stat->type, type->name, strlen(type->name));
	memcpy(stat->section, head->section, sizeof(stat->section));
	stat->version = type->version;
	stat->size = type->size;
	stat->off = object->off + sizeof(struct struct_shm);
}

int tarn_struct_describe(struct tarn_region *region, const char *name, struct tarn_type **ret_type,
			 struct tarn_struct_stat *ret_stat, void **ret_data)
{
	struct tarn__object object;
	struct struct_shm head;
	struct tarn_type *type;
	int r = tarn__region_enter(region);

	if (r < 0)
		return r;
	r = tarn__object_find(region, name, TARN_OBJECT_STRUCT, &object, NULL);
	if (r == 0) {
		r = read_struct(&object, name, &head, &type, NULL);
		if (r < 0 || ret_data == NULL)
			tarn__object_drop(region, &object);
	}
	tarn__region_leave(region);
	if (r < 0)
		return r;
	if (ret_stat != NULL)
		fill_stat(&object, &head, type, ret_stat);
	if (ret_data != NULL)
		*ret_data = object.base + sizeof(struct struct_shm);
	*ret_type = type;
	return 0;
}

/* --- check --------------------------------------------------------------------------------- */

int tarn__struct_check(struct tarn_region *region, const struct tarn__object *object,
		       const char *where, tarn_report_fn *fn, void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	struct tarn_type *type = NULL;
	const char *fault = "size";
	struct struct_shm head;

	(void)region;
	if (object->size >= sizeof(head)) {
		memcpy(&head, object->base, sizeof(head));
		fault = header_fault(&head, object->size);
	}
	if (fault != NULL) {
		tarn__audit_report(&audit, fault, "is as the creator wrote it", 1, 0);
		return audit.r;
	}
	if (tarn__type_read(object->base + type_at(head.size), head.type_size, &type, &fault) ==
	    -EUCLEAN)
		tarn__audit_report(&audit, "description", fault, 1, 0);
	else if (type != NULL && type->size != head.size)
		tarn__audit_report(&audit, "size", "is that of the type", head.size, type->size);
	tarn_type_free(type);
	return audit.r;
}
