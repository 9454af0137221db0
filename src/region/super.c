/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * super.c - plan, write and test the superblock. The layout is drawn in format.h.
 *
 * Who writes what: the creator, all of it, before the region has a name; afterwards only the
 * words from `lock` on change, each by the rule that lock.c, directory.c or region.c states.
 *
 * Invariants (tarn__super_check() tests them, each against numbers that this program computes
 * itself, so a flipped bit cannot vouch for itself):
 *   S1  magic, byte order, version and layout are this library's
 *   S2  the checksum covers every constant byte
 *   S3  tables follow one another without a gap, in the order directory, members, heap
 *   S4  heap_off <= size_pages * 4096 <= max_size, and the file is at least that long
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/region.h"

enum { MEMBERS_DEFAULT = 256, OBJECTS_DEFAULT = 256 };
#define SIZE_DEFAULT (UINT64_C(1) << 20)
#define SIZE_MAX_ALL (UINT64_C(1) << 43) /* size_pages has 32 bits; one is kept free */

static uint64_t directory_size(uint32_t object_max)
{
	uint64_t size = (uint64_t)object_max * sizeof(struct entry_shm);

	return (size + TARN__PAGE - 1) & ~(uint64_t)(TARN__PAGE - 1);
}

static uint64_t members_size(uint32_t member_max)
{
	return (uint64_t)(member_max / TARN__PAGE_MEMBERS) * sizeof(struct member_page_shm);
}

static void place_tables(struct geometry *geo)
{
	geo->directory_off = sizeof(struct super_shm);
	geo->member_off = geo->directory_off + directory_size(geo->object_max);
	geo->heap_off = geo->member_off + members_size(geo->member_max);
}

/* @count rounded up to a multiple of @step, or @standard for 0; 0 if it is out of range. */
static uint32_t count_of(uint32_t count, uint32_t standard, uint32_t step, uint32_t max)
{
	if (count == 0)
		return standard;
	if (count > max)
		return 0;
	return (count + step - 1) / step * step;
}

int tarn__super_plan(const struct tarn_region_opts *opts, uint64_t page_size,
		     struct geometry *ret_geo, struct tarn_diag *diag)
{
	struct geometry geo = { 0 };
	uint64_t size = opts->size != 0 ? opts->size : SIZE_DEFAULT;
	uint64_t max_size = opts->max_size != 0 ? opts->max_size : size;

	geo.member_max =
		count_of(opts->member_max, MEMBERS_DEFAULT, TARN__PAGE_MEMBERS, TARN__MEMBERS_MAX);
	geo.object_max = count_of(opts->object_max, OBJECTS_DEFAULT, 32, TARN__OBJECTS_MAX);
	if (geo.member_max == 0)
		return tarn__diag(diag, -EINVAL, "member_max %" PRIu32 ": 1 to %u are possible",
				  opts->member_max, TARN__MEMBERS_MAX);
	if (geo.object_max == 0)
		return tarn__diag(diag, -EINVAL, "object_max %" PRIu32 ": 1 to %u are possible",
				  opts->object_max, TARN__OBJECTS_MAX);
	if (max_size < size)
		return tarn__diag(diag, -EINVAL,
				  "max_size %" PRIu64 " is smaller than size %" PRIu64, max_size,
				  size);
	place_tables(&geo);
	if (page_size < TARN__PAGE)
		page_size = TARN__PAGE;
	if (max_size > SIZE_MAX_ALL || size > SIZE_MAX_ALL)
		return tarn__diag(diag, -EINVAL,
				  "size %" PRIu64 ": at most %" PRIu64 " bytes are possible",
				  max_size, SIZE_MAX_ALL);
	(void)tarn__round_up(geo.heap_off + size, page_size, &geo.size);
	(void)tarn__round_up(geo.heap_off + max_size, page_size, &geo.max_size);
	*ret_geo = geo;
	return 0;
}

uint32_t tarn__layout_hash(void)
{
	/* Every offset and size that a program of another build must agree on. */
	static const uint32_t facts[] = {
		sizeof(struct super_shm),
		offsetof(struct super_shm, lock),
		offsetof(struct super_shm, size_pages),
		sizeof(struct entry_shm),
		sizeof(struct entry),
		offsetof(struct entry, name),
		sizeof(struct member_shm),
		offsetof(struct member_shm, holds),
		sizeof(struct member_page_shm),
		offsetof(struct member_page_shm, beacon),
		TARN__PAGE_MEMBERS,
	};
	uint32_t h = TARN__FNV32_BASIS;

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		const uint8_t bytes[4] = { (uint8_t)facts[i], (uint8_t)(facts[i] >> 8),
					   (uint8_t)(facts[i] >> 16), (uint8_t)(facts[i] >> 24) };

		h = tarn__fnv32(bytes, sizeof(bytes), h);
	}
	return h;
}

uint32_t tarn__super_checksum(const struct super_shm *super)
{
	const unsigned char *p = (const unsigned char *)super;
	uint32_t h = tarn__fnv32(p, 20, TARN__FNV32_BASIS);

	return tarn__fnv32(p + 24, TARN__SUPER_STATIC - 24, h);
}

/* The host's boot, as 16 bytes; zero where /proc does not tell. */
static void read_boot_id(uint8_t id[16])
{
	char text[64];
	unsigned nibbles = 0;

	memset(id, 0, 16);
	if (tarn__plat_read_text("/proc/sys/kernel/random/boot_id", text, sizeof(text)) < 0)
		return;
	for (const char *p = text; *p != '\0' && nibbles < 32; p++) {
		unsigned digit;

		if (*p >= '0' && *p <= '9')
			digit = (unsigned)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			digit = (unsigned)(*p - 'a') + 10;
		else
			continue;
		id[nibbles / 2] = (uint8_t)((unsigned)id[nibbles / 2] << 4 | digit);
		nibbles++;
	}
}

int tarn__super_init(struct super_shm *super, const struct geometry *geo,
		     const struct tarn_segment *seg, uint32_t flags, const uint8_t uuid[16])
{
	memcpy(super->magic, TARN__MAGIC, sizeof(super->magic));
	if (uuid != NULL) {
		memcpy(super->uuid, uuid, sizeof(super->uuid));
	} else {
		int r = tarn__plat_random(super->uuid, sizeof(super->uuid));

		if (r < 0)
			return r;
	}
	super->byte_order = TARN__BYTE_ORDER;
	super->version = TARN__VERSION;
	super->layout = tarn__layout_hash();
	read_boot_id(super->boot_id);
	super->created_ns = tarn__plat_realtime();
	super->creator_pid = (uint32_t)tarn__plat_pid();
	super->creator_uid = tarn__plat_euid();
	super->flags = flags;
	super->page_size = seg->page_size;
	super->member_max = geo->member_max;
	super->object_max = geo->object_max;
	super->member_off = geo->member_off;
	super->directory_off = geo->directory_off;
	super->heap_off = geo->heap_off;
	super->max_size = geo->max_size;
	super->kind = (uint32_t)seg->addr.kind;
	super->checksum = tarn__super_checksum(super);
	/* relaxed: the store of state, or the link to the name, publishes them */
	atomic_store_explicit(&super->size_pages, (uint32_t)(geo->size / TARN__PAGE),
			      memory_order_relaxed);
	atomic_store_explicit(&super->used_pages, (uint32_t)(geo->heap_off / TARN__PAGE),
			      memory_order_relaxed);
	return 0;
}

int tarn__super_read(struct tarn_segment *seg, struct super_shm *ret_super, struct tarn_diag *diag)
{
	if (seg->fd < 0) {
		if (seg->size < sizeof(*ret_super))
			return tarn__diag(diag, -EUCLEAN,
					  "not a region: %" PRIu64 " bytes, a superblock has %zu",
					  seg->size, sizeof(*ret_super));
		memcpy(ret_super, seg->base, sizeof(*ret_super)); /* cannot be truncated */
		return 0;
	}

	ssize_t n = tarn__plat_pread(seg->fd, ret_super, sizeof(*ret_super), 0);

	if (n == -EINVAL) { /* hugetlbfs has no pread before Linux 5.1 on some mounts */
		memcpy(ret_super, seg->base, sizeof(*ret_super));
		return 0;
	}
	if (n < 0)
		return tarn__diag(diag, (int)n, "reading the superblock: %s", strerror((int)-n));
	if ((size_t)n < sizeof(*ret_super))
		return tarn__diag(diag, -EUCLEAN,
				  "not a region: %zd bytes, a superblock alone has %zu", n,
				  sizeof(*ret_super));
	return 0;
}

/* --- tests --------------------------------------------------------------------------------- */

struct verdict {
	struct tarn_diag *diag;
	tarn_report_fn *fn;
	void *arg;
	int r;
};

static void fail(struct verdict *v, int error, const char *field, const char *rule, uint64_t found,
		 uint64_t expected)
{
	struct tarn_finding finding = {
		.where = "superblock",
		.field = field,
		.rule = rule[0] == '\0'                 ? "is the value expected"
			: strcmp(rule, "at most ") == 0 ? "is at most the value expected"
							: "is at least the value expected",
		.found = found,
		.expected = expected,
	};

	if (v->fn != NULL)
		v->fn(&finding, v->arg);
	if (v->r == 0)
		v->r = tarn__diag(v->diag, error,
				  "superblock: %s is 0x%" PRIx64 ", expected %s0x%" PRIx64, field,
				  found, rule, expected);
}

/* S1: is it ours at all? Nothing else can be read if not. */
static bool check_kinship(const struct super_shm *s, struct verdict *v)
{
	uint64_t magic;

	memcpy(&magic, s->magic, sizeof(magic));
	if (memcmp(s->magic, TARN__MAGIC, sizeof(s->magic)) != 0) {
		uint64_t ours;

		memcpy(&ours, TARN__MAGIC, sizeof(ours));
		fail(v, -EUCLEAN, "magic", "", magic, ours);
		if (v->diag != NULL)
			tarn__diag_hint(v->diag, "this is no Tarn region; nothing was changed");
		return false;
	}
	if (s->byte_order != TARN__BYTE_ORDER) {
		bool swapped = s->byte_order == __builtin_bswap32(TARN__BYTE_ORDER);

		fail(v, swapped ? -EPROTO : -EUCLEAN, "byte_order", "", s->byte_order,
		     TARN__BYTE_ORDER);
		if (swapped && v->diag != NULL)
			tarn__diag_hint(v->diag, "made on a machine of the other byte order");
		return false;
	}
	/* A damaged version is damage; one whose checksum fits is another library's. */
	bool intact = s->checksum == tarn__super_checksum(s);

	if (s->version != TARN__VERSION) {
		fail(v, intact ? -EPROTO : -EUCLEAN, "version", "", s->version, TARN__VERSION);
		return false;
	}
	if (s->layout != tarn__layout_hash()) {
		fail(v, intact ? -EPROTO : -EUCLEAN, "layout", "", s->layout, tarn__layout_hash());
		return false;
	}
	return true;
}

static void check_geometry(const struct super_shm *s, uint64_t size, struct verdict *v)
{
	struct geometry geo = { .member_max = s->member_max, .object_max = s->object_max };
	/* relaxed: a copy; a size read too early is smaller, and checked again when used */
	uint64_t pages = atomic_load_explicit(&s->size_pages, memory_order_relaxed);
	uint64_t used = atomic_load_explicit(&s->used_pages, memory_order_relaxed);

	if (s->member_max == 0 || s->member_max > TARN__MEMBERS_MAX ||
	    s->member_max % TARN__PAGE_MEMBERS != 0) {
		fail(v, -EUCLEAN, "member_max", "at most ", s->member_max, TARN__MEMBERS_MAX);
		return;
	}
	if (s->object_max == 0 || s->object_max > TARN__OBJECTS_MAX || s->object_max % 32 != 0) {
		fail(v, -EUCLEAN, "object_max", "at most ", s->object_max, TARN__OBJECTS_MAX);
		return;
	}
	place_tables(&geo); /* S3 */
	if (s->directory_off != geo.directory_off)
		fail(v, -EUCLEAN, "directory_off", "", s->directory_off, geo.directory_off);
	if (s->member_off != geo.member_off)
		fail(v, -EUCLEAN, "member_off", "", s->member_off, geo.member_off);
	if (s->heap_off != geo.heap_off)
		fail(v, -EUCLEAN, "heap_off", "", s->heap_off, geo.heap_off);
	if (s->max_size > SIZE_MAX_ALL * 2 || s->max_size % TARN__PAGE != 0)
		fail(v, -EUCLEAN, "max_size", "at most ", s->max_size, SIZE_MAX_ALL);
	if (pages * TARN__PAGE < geo.heap_off) /* S4 */
		fail(v, -EUCLEAN, "size_pages", "at least ", pages, geo.heap_off / TARN__PAGE);
	if (pages * TARN__PAGE > s->max_size)
		fail(v, -EUCLEAN, "size_pages", "at most ", pages, s->max_size / TARN__PAGE);
	if (used < geo.heap_off / TARN__PAGE || used > pages)
		fail(v, -EUCLEAN, "used_pages", "at most ", used, pages);
	if (size < pages * TARN__PAGE) {
		fail(v, -EUCLEAN, "size of the file", "at least ", size, pages * TARN__PAGE);
		tarn__diag_hint(v->diag, "the file was truncated after it was created");
	}
}

int tarn__super_check(const struct super_shm *super, uint64_t size, struct tarn_diag *diag,
		      tarn_report_fn *fn, void *arg)
{
	struct verdict v = { .diag = diag, .fn = fn, .arg = arg };

	if (!check_kinship(super, &v))
		return v.r;
	check_geometry(super, size, &v);
	if (super->page_size < TARN__PAGE || !tarn__is_pow2(super->page_size))
		fail(&v, -EUCLEAN, "page_size", "at least ", super->page_size, TARN__PAGE);
	if (super->kind < TARN_SEGMENT_POSIX || super->kind > TARN_SEGMENT_ANON)
		fail(&v, -EUCLEAN, "kind", "at most ", super->kind, TARN_SEGMENT_ANON);
	if (super->zero != 0)
		fail(&v, -EUCLEAN, "zero", "", super->zero, 0);
	if (super->checksum != tarn__super_checksum(super)) /* S2 */
		fail(&v, -EUCLEAN, "checksum", "", super->checksum, tarn__super_checksum(super));
	return v.r;
}
