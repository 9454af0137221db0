/* SPDX-License-Identifier: BSD-2-Clause */
/* image.c - make the image, and walk through the calls. See image.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "image.h"

enum { RING_CAPACITY = 4096, ROUNDS = 64 };

static void must(const char *what, int r)
{
	if (r < 0) {
		fprintf(stderr, "fuzz: %s: %s\n", what, strerror(-r));
		abort();
	}
}

/* --- the image ------------------------------------------------------------------------------- */

#define POINT(ROW) ROW(VALUE, int32_t, x, "mm", "to the right") ROW(VALUE, int64_t, y, "mm", "up")
TARN_TYPE(point, 1, POINT);
#define TYPED(ROW)                                                                                 \
	ROW(STRUCTS, point, corners, 2, "of it")                                                   \
	ROW(ENUM, uint8_t, state, "off=0 on=1", "")                                                \
	ROW(TEXT, name, 8, "")
TARN_TYPE(typed, 2, TYPED);

/* Blocks of several kinds are made final; then it dies in the middle of freeing and making more. */
static void fill_guarded(struct tarn_region *region)
{
	const struct tarn_section_opts opts = { .journal_size = 8192 };
	struct tarn_arena_opts arena_opts = { .size = 40 << 10 };
	struct tarn_section *section;
	struct tarn_arena *arena;
	struct tarn_tx *tx;
	tarn_ref refs[8], ref;
	void *data;

	must("typed", tarn_struct_open(region, "typed", typed_type(),
				       &(struct tarn_struct_opts){ .section = "section" }, &data));
	must("section", tarn_section_open(region, "section", &opts, &section));
	arena_opts.section = section;
	must("arena", tarn_arena_open(region, "arena", &arena_opts, &arena));
	must("enter", tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
	for (uint32_t i = 0; i < 8; i++)
		must("alloc",
		     tarn_arena_alloc(arena, tx, i < 7 ? 40 + 30 * i : 4096, 0, i, &refs[i]));
	must("leave", tarn_section_leave(section));
	must("enter", tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
	must("free", tarn_arena_free(arena, tx, refs[2]));
	must("free", tarn_arena_free(arena, tx, refs[7]));
	must("alloc", tarn_arena_alloc(arena, tx, 2000, 0, 0, &ref));
	must("write", tarn_tx_write(tx, data, "changed", 7));
}

enum { ASKED, BUSY, TOOK, METRICS };

static const struct tarn_metric metrics[METRICS] = {
	[ASKED] = { "asked_total", "", "how often", TARN_METRIC_COUNTER, 0, 0 },
	[BUSY] = { "busy", "", "now", TARN_METRIC_GAUGE, 0, 0 },
	[TOOK] = { "took_ns", "ns", "", TARN_METRIC_HISTOGRAM, 1, 1 << 10 },
};

/* One slot is that of who has left, one of who dies. */
static void fill_counters(struct tarn_region *region)
{
	const struct tarn_counters_opts opts = { .metrics = metrics, .count = METRICS, .slots = 2 };
	struct tarn_counters *counters;

	for (int i = 0; i < 2; i++) {
		must("counters", tarn_counters_open(region, "counters", &opts, &counters));
		tarn_counter_add(counters, ASKED, 5);
		tarn_gauge_set(counters, BUSY, -1);
		tarn_histogram_record(counters, TOOK, 77);
		if (i == 0)
			tarn_counters_close(counters);
	}
}

static void fill(struct tarn_region *region)
{
	const struct tarn_ring_opts opts = { .capacity = RING_CAPACITY };
	struct tarn_ring *ring;
	void *data;

	must("ring", tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &opts, &ring));
	for (size_t i = 0; i < 30; i++)
		must("push", tarn_ring_push(ring, "0123456789abcdefghijklmnopqrstuvwxyz", i));
	tarn_ring_close(ring);
	must("bytes", tarn_object_create(region, "bytes", 100, &data, NULL));
	memset(data, 'x', 100);
	tarn_object_close(region, data);
	must("gone", tarn_object_create(region, "gone", 200, &data, NULL));
	must("gone", tarn_object_remove(region, "gone")); /* held until this process ends */
	fill_guarded(region);
	fill_counters(region);
}

/* Filled by a process that dies in the middle of its membership. */
static int make_file(void)
{
	const struct tarn_region_opts opts = {
		.size = IMAGE_HEAP,
		.member_max = IMAGE_MEMBERS,
		.object_max = IMAGE_OBJECTS,
	};
	struct tarn_region *region;
	int fd, status;

	must("region", tarn_region_create("memfd:fuzz", &opts, &region));
	fd = dup(tarn_segment_fd(tarn_region_segment(region)));
	tarn_region_close(region);

	pid_t child = fork();

	if (child == 0) {
		must("join", tarn_region_open_fd(fd, NULL, &region));
		fill(region);
		kill(getpid(), SIGKILL);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		abort();
	return fd;
}

static size_t find_object(const unsigned char *bytes, const char magic[5])
{
	for (size_t off = IMAGE_HEAP_OFF; off < IMAGE_SIZE; off += 64) {
		if (memcmp(bytes + off, magic, 4) == 0)
			return off;
	}
	abort();
}

void image_make(struct image *ret_image)
{
	int fd = make_file();

	if (lseek(fd, 0, SEEK_END) != IMAGE_SIZE ||
	    pread(fd, ret_image->bytes, IMAGE_SIZE, 0) != IMAGE_SIZE)
		abort();
	close(fd);
	ret_image->ring_off = find_object(ret_image->bytes, "Ring");
	ret_image->section_off = find_object(ret_image->bytes, "Sect");
	ret_image->arena_off = find_object(ret_image->bytes, "Aren");
	ret_image->struct_off = find_object(ret_image->bytes, "Stru");
	ret_image->counters_off = find_object(ret_image->bytes, "Cntr");
	ret_image->entry_used = 7;
}

int image_file(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || fchmod(fd, 0600) != 0 || ftruncate(fd, IMAGE_SIZE) != 0)
		abort();
	return fd;
}

void image_store(int fd, const void *bytes, size_t size)
{
	if (ftruncate(fd, (off_t)size) != 0 || pwrite(fd, bytes, size, 0) != (ssize_t)size)
		abort();
}

/* --- the walk -------------------------------------------------------------------------------- */

static const int documented[] = { ENOENT,     EINVAL,         EEXIST, EBUSY,      EPROTO,
				  ENOSPC,     ENFILE,         EPERM,  EUCLEAN,    EUSERS,
				  EMSGSIZE,   EAGAIN,         EPIPE,  ENODATA,    ENOBUFS,
				  ENOMEM,     ETIMEDOUT,      EIO,    EOPNOTSUPP, EDEADLK,
				  EOWNERDEAD, ENOTRECOVERABLE };

/* Any other error ends the test where it is. */
static int judge(int r)
{
	if (r >= 0)
		return r;
	for (size_t i = 0; i < sizeof(documented) / sizeof(*documented); i++) {
		if (-r == documented[i])
			return r;
	}
	fprintf(stderr, "fuzz: error %d, which no header names\n", r);
	abort();
}

static uint64_t sink;

static void read_all(const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		sink += bytes[i];
}

static int see_member(const struct tarn_member_stat *stat, void *arg)
{
	(void)arg;
	sink += strlen(stat->comm);
	return 0;
}

static int see_object(const struct tarn_object_stat *stat, void *arg)
{
	(void)arg;
	sink += strlen(stat->name);
	return 0;
}

/* What an object counts of itself, of whatever kind it says it is. */
static int see_figures(const struct tarn_object_stat *stat, void *arg)
{
	uint64_t values[TARN_FIGURES_MAX];
	struct tarn_counters *figures;
	struct tarn_sample *sample;
	const char *name = stat != NULL ? stat->name : NULL;

	if (judge(tarn_figures_open(arg, name, NULL, &figures)) < 0)
		return 0;
	(void)judge(tarn_counters_read(figures, values, TARN_FIGURES_MAX));
	for (uint32_t i = 0; i < tarn_counters_count(figures); i++)
		sink += strlen(tarn_counters_describe(figures, i)->name);
	if (judge(tarn_sample_new(figures, &sample)) == 0) {
		(void)judge(tarn_sample_take(sample, figures));
		tarn_sample_free(sample);
	}
	tarn_counters_close(figures);
	return 0;
}

static void use_counters(struct tarn_region *region)
{
	struct tarn_counters *counters;
	uint32_t count;

	if (judge(tarn_counters_open(region, "counters", NULL, &counters)) < 0)
		return;
	for (uint32_t i = 0; i < tarn_counters_count(counters); i++)
		if (tarn_counters_describe(counters, i)->kind == TARN_METRIC_HISTOGRAM)
			tarn_histogram_record(counters, i, UINT64_MAX >> i % 60);
		else
			tarn_counter_add(counters, i, 1);
	(void)judge(tarn_counters_fold(counters, &count, NULL));
	tarn_counters_close(counters);
}

static void see_finding(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	sink += strlen(finding->where) + strlen(finding->field) + strlen(finding->rule);
}

static void consume(struct tarn_region *region)
{
	struct tarn_ring *ring;
	struct tarn_buf bufs[4];
	char buf[64];
	size_t size, count;

	if (judge(tarn_ring_open(region, "ring", TARN_RING_CONSUMER, NULL, &ring)) < 0)
		return;
	if (judge(tarn_ring_peek_batch(ring, bufs, 4, &count)) == 0) {
		for (size_t i = 0; i < count; i++)
			read_all(bufs[i].data, bufs[i].size);
		(void)judge(tarn_ring_release(ring, 1));
	}
	for (int i = 0; i < ROUNDS; i++) {
		if (judge(tarn_ring_pop(ring, buf, sizeof(buf), &size)) < 0)
			break;
		read_all(buf, size);
	}
	(void)judge(tarn_ring_pop_wait(ring, buf, sizeof(buf), 0, &size));
	tarn_ring_close(ring);
}

static int produce(struct tarn_region *region)
{
	struct tarn_ring_stat stat;
	struct tarn_ring *ring;
	void *data;
	int r = judge(tarn_ring_open(region, "ring", TARN_RING_PRODUCER, NULL, &ring));

	if (r < 0)
		return r;
	for (int i = 0; i < ROUNDS; i++) {
		if (judge(tarn_ring_push(ring, "a record for the ring", 21)) < 0)
			break;
	}
	if (judge(tarn_ring_reserve(ring, 300, &data)) == 0) {
		memset(data, 'r', 300);
		(void)judge(tarn_ring_commit(ring, 150));
	}
	(void)judge(tarn_ring_push_wait(ring, "late", 4, 0));
	(void)judge(tarn_ring_stat(ring, &stat));
	tarn_ring_close(ring);
	return 0;
}

static void use_bytes(struct tarn_region *region)
{
	struct tarn_diag diag;
	uint64_t size;
	void *data;

	if (judge(tarn_object_open(region, "bytes", &data, &size)) == 0) {
		read_all(data, size);
		memset(data, 'y', size);
		tarn_object_close(region, data);
	}
	if (judge(tarn_object_create(region, "new", 500, &data, &diag)) == 0) {
		read_all(data, 500);
		tarn_object_close(region, data);
	}
	(void)judge(tarn_object_remove(region, "bytes"));
}

static int see_block(const struct tarn_block *block, void *arg)
{
	(void)arg;
	sink += block->ref + block->size;
	return 0;
}

static void look_at_guarded(struct tarn_region *region)
{
	struct tarn_section_stat section_stat;
	struct tarn_arena_stat arena_stat;
	struct tarn_struct_stat struct_stat;
	struct tarn_section *section;
	struct tarn_arena *arena;
	struct tarn_type *type;
	uint32_t version;

	if (judge(tarn_struct_describe(region, "typed", &type, &struct_stat, NULL)) == 0) {
		(void)judge(tarn_type_compare(typed_type(), type, NULL));
		tarn_type_free(type);
	}
	if (judge(tarn_section_open(region, "section", NULL, &section)) == 0) {
		(void)judge(tarn_section_stat(section, &section_stat));
		(void)judge(tarn_section_read_begin(section, &version));
		tarn_section_close(section);
	}
	if (judge(tarn_arena_open(region, "arena", NULL, &arena)) == 0) {
		(void)judge(tarn_arena_stat(arena, &arena_stat));
		(void)judge(tarn_arena_walk(arena, see_block, NULL));
		tarn_arena_close(arena);
	}
}

/* Enter as soon as that can be, and change blocks. */
static void use_arena(struct tarn_section *section, struct tarn_arena *arena)
{
	struct tarn_tx *tx;
	tarn_ref refs[12] = { 0 };
	void *at;

	if (judge(tarn_section_enter(section, 0, &tx, NULL)) < 0)
		return;
	for (uint32_t i = 0; i < 12; i++) {
		uint64_t size = i % 4 == 3 ? 3000 + 2000 * i : 20 + 35 * i;

		if (judge(tarn_arena_alloc(arena, tx, size, 0, i, &refs[i])) < 0)
			continue;
		at = tarn_arena_at(arena, refs[i], size);
		if (at == NULL)
			abort(); /* what was just given lies in the arena */
		memset(at, 'b', size);
	}
	for (uint32_t i = 0; i < 12; i += 2)
		(void)judge(tarn_arena_free(arena, tx, refs[i]));
	(void)judge(tarn_arena_realloc(arena, tx, refs[1], 900, 0, &refs[1]));
	(void)judge(tarn_section_leave(section));
}

static void use_guarded(struct tarn_region *region)
{
	struct tarn_section *section;
	struct tarn_arena *arena;
	struct tarn_diag diag;
	void *data;

	(void)judge(tarn_section_recover(region, "section", 0, &diag));
	(void)judge(tarn_section_recover(region, NULL, TARN_SECTION_FORCE, &diag));
	if (judge(tarn_struct_open(region, "typed", typed_type(), NULL, &data)) == 0) {
		read_all(data, sizeof(struct typed));
		tarn_struct_close(region, data);
	}
	if (judge(tarn_section_open(region, "section", NULL, &section)) < 0)
		return;
	if (judge(tarn_arena_open(region, "arena", NULL, &arena)) == 0) {
		use_arena(section, arena);
		(void)judge(tarn_arena_trim(arena, section, 0, NULL));
		tarn_arena_close(arena);
	}
	tarn_section_close(section);
	(void)judge(tarn_arena_remove(region, "arena", 0, &diag));
	(void)judge(tarn_section_remove(region, "section", &diag));
}

static void look_round(struct tarn_region *region)
{
	struct tarn_region_stat stat;

	(void)judge(tarn_region_stat(region, &stat));
	(void)judge(tarn_region_members(region, see_member, NULL));
	(void)judge(tarn_region_objects(region, see_object, NULL));
}

int image_open(int fd, bool observe, struct tarn_diag *diag)
{
	const struct tarn_region_opts opts = {
		.flags = observe ? TARN_REGION_OBSERVE : 0,
		.diag = diag,
	};
	struct tarn_region *region;
	int r = judge(tarn_region_open_fd(fd, &opts, &region));

	if (r == 0)
		tarn_region_close(region);
	return r;
}

static void observe(int fd, struct walk *walk)
{
	const struct tarn_region_opts opts = {
		.flags = TARN_REGION_OBSERVE,
		.diag = &walk->diag,
	};
	struct tarn_region *region;
	struct tarn_ring_stat stat;
	struct tarn_ring *ring;

	walk->observed = judge(tarn_region_open_fd(fd, &opts, &region));
	if (walk->observed < 0)
		return;
	look_round(region);
	(void)judge(tarn_region_check(region, see_finding, NULL));
	look_at_guarded(region);
	(void)see_figures(NULL, region);
	(void)judge(tarn_region_objects(region, see_figures, region));
	if (judge(tarn_ring_open(region, "ring", TARN_RING_OBSERVER, NULL, &ring)) == 0) {
		(void)judge(tarn_ring_stat(ring, &stat));
		tarn_ring_close(ring);
	}
	tarn_region_close(region);
}

void image_walk(int fd, struct walk *ret_walk)
{
	const struct tarn_region_opts opts = { .diag = &ret_walk->diag };
	struct tarn_region *region;

	memset(ret_walk, 0, sizeof(*ret_walk));
	observe(fd, ret_walk);
	ret_walk->opened = judge(tarn_region_open_fd(fd, &opts, &region));
	if (ret_walk->opened < 0)
		return;
	ret_walk->checked = judge(tarn_region_check(region, see_finding, NULL));
	look_round(region);
	use_bytes(region);
	ret_walk->ring_opened = produce(region);
	consume(region);
	use_counters(region);
	look_at_guarded(region);
	use_guarded(region);
	(void)judge(tarn_region_gc(region, NULL));
	(void)judge(tarn_region_grow(region, IMAGE_HEAP + 4096, NULL));
	(void)judge(tarn_region_check(region, see_finding, NULL));
	tarn_region_close(region);
}
