/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * victims.c - programs that use the library as anybody would, by public calls alone, on a region
 * that a peer is spoiling. Each opens the region, works for some hundred calls, closes and begins
 * again; whatever it is told that the header names is well.
 *
 * What comes back is looked at as a user would: every byte of a record or object is read, and
 * facts are read to the end of their strings. So a pointer or a size from nowhere is a signal or
 * a sanitizer's report.
 */
#include <time.h>
#include <unistd.h>

#include "victims.h"

enum {
	REGION_SIZE = 128 << 10,
	RING_CAPACITY = 8 << 10,
	JOURNAL = 320,
	CELLS = 64,
};

#define POINT(ROW)                                                                                 \
	ROW(VALUE, int32_t, x, "mm", "to the right")                                               \
	ROW(VALUE, int64_t, y, "mm", "up")
TARN_TYPE(point, 1, POINT);

#define THING(ROW)                                                                                 \
	ROW(VALUE, double, heat, "degC", "of the air")                                             \
	ROW(ENUM, uint8_t, state, "off=0 on=1", "is it measuring")                                 \
	ROW(TEXT, place, 20, "where it stands")                                                    \
	ROW(STRUCTS, point, corners, 3, "of the room")
TARN_TYPE(thing, 1, THING);

/* --- the region they expect ------------------------------------------------------------------ */

static void fill_ring(struct tarn_region *region)
{
	const struct tarn_ring_opts opts = { .capacity = RING_CAPACITY };
	struct tarn_ring *ring;

	must("ring", tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &opts, &ring));
	for (int i = 0; i < 20; i++)
		must("push", tarn_ring_push(ring, "a record of some length", 8 + (size_t)i % 16));
	tarn_ring_close(ring);
}

static void make_sections(struct tarn_region *region)
{
	const struct tarn_section_opts opts = { .journal_size = JOURNAL };
	struct tarn_section *section;
	void *data;

	for (int i = 0; i < 2; i++) {
		must("section",
		     tarn_section_open(region, i == 0 ? "left" : "right", &opts, &section));
		tarn_section_close(section);
	}
	must("cells", tarn_object_create(region, "cells", CELLS * 8, &data, NULL));
	tarn_object_close(region, data);
	must("thing", tarn_struct_open(region, "thing", thing_type(),
				       &(struct tarn_struct_opts){ .section = "left" }, &data));
	tarn_struct_close(region, data);
}

int victims_region(bool listened, bool topics, size_t *ret_size)
{
	const struct tarn_region_opts opts = {
		.size = topics ? 2 * REGION_SIZE : REGION_SIZE,
		.max_size = 4 * REGION_SIZE,
		.member_max = 4,
		.object_max = 32,
	};
	struct tarn_region *region;
	void *data;
	int fd;

	must("region", tarn_region_create("memfd:hostile", &opts, &region));
	fill_ring(region);
	make_sections(region);
	victims_make_arena(region);
	victims_make_prims(region);
	victims_make_words(region);
	for (int i = 0; i < 4; i++) {
		char name[24];

		snprintf(name, sizeof(name), "bytes-%d", i);
		must("object", tarn_object_create(region, name, 1000, &data, NULL));
		tarn_object_close(region, data);
	}
	if (listened)
		victims_make_listeners(region);
	if (topics)
		victims_make_topics(region);
	*ret_size = tarn_segment_size(tarn_region_segment(region));
	fd = dup(tarn_segment_fd(tarn_region_segment(region)));
	tarn_region_close(region);
	return fd;
}

/* 0: there is none. */
static size_t seek_magic(const struct hostile_arena *arena, const char *magic, size_t off)
{
	for (; off + 64 <= arena->size; off += 64) {
		if (memcmp(arena->image + off, magic, 4) == 0)
			return off;
	}
	return 0;
}

static size_t find_magic(const struct hostile_arena *arena, const char *magic, size_t from)
{
	size_t off = seek_magic(arena, magic, from);

	if (off == 0)
		abort();
	return off;
}

size_t hostile_find_ring(const struct hostile_arena *arena)
{
	return find_magic(arena, "Ring", 0);
}

size_t hostile_find_section(const struct hostile_arena *arena)
{
	return find_magic(arena, "Sect", 0);
}

size_t hostile_find_struct(const struct hostile_arena *arena)
{
	return find_magic(arena, "Stru", 0);
}

size_t hostile_find_arena(const struct hostile_arena *arena)
{
	return find_magic(arena, "Aren", 0);
}

/* The first extent lies inside of the arena. */
size_t hostile_find_extent(const struct hostile_arena *arena)
{
	return find_magic(arena, "Extn", hostile_find_arena(arena) + 1216);
}

size_t hostile_find_log(const struct hostile_arena *arena)
{
	return seek_magic(arena, "Chng", 0);
}

size_t hostile_find_map(const struct hostile_arena *arena)
{
	return seek_magic(arena, "Dirt", 0);
}

size_t hostile_find_words(const struct hostile_arena *arena)
{
	return find_magic(arena, "Wrds", 0);
}

/* --- producer -------------------------------------------------------------------------------- */

static const unsigned char payload[4096];

static void push_some(struct victim *v)
{
	struct tarn_buf bufs[8];
	uint64_t r = hostile_random(&v->random);
	size_t size = (r >> 8) % 600, count;
	int64_t soon = tarn_deadline_after(SLICE_NS);
	void *data;

	switch (r % 7) {
	case 0:
		(void)CALL(v, tarn_ring_push(v->ring, payload, size), ring_errors);
		break;
	case 1:
		(void)CALL(v, tarn_ring_push_wait(v->ring, payload, size, soon), ring_errors);
		break;
	case 2:
		for (size_t i = 0; i < 8; i++)
			bufs[i] = (struct tarn_buf){ (void *)(uintptr_t)payload, (size + i) % 64 };
		if (CALL(v, tarn_ring_push_batch(v->ring, bufs, 8, &count), ring_errors) == 0 &&
		    (count == 0 || count > 8))
			hostile_lie(v->arena, "tarn_ring_push_batch", "count", (int64_t)count);
		break;
	case 3:
	case 4:
		if (CALL(v, tarn_ring_reserve_wait(v->ring, size, soon, &data), ring_errors) < 0)
			break;
		memset(data, 7, size);
		(void)CALL(v, tarn_ring_commit(v->ring, size / 2), ring_errors);
		break;
	case 5:
		if (CALL(v, tarn_ring_reserve(v->ring, size, &data), ring_errors) == 0)
			memset(data, 9, size);
		tarn_ring_abort(v->ring);
		break;
	default:
		if (r % 64 == 6)
			(void)CALL(v, tarn_ring_finish(v->ring), ring_errors);
		else
			(void)CALL(v, tarn_ring_wait_peer(v->ring, soon), ring_errors);
		break;
	}
}

/* --- consumer -------------------------------------------------------------------------------- */

static void peek_some(struct victim *v, size_t max)
{
	struct tarn_buf bufs[16];
	size_t count;

	if (CALL(v, tarn_ring_peek_batch(v->ring, bufs, max, &count), ring_errors) < 0)
		return;
	if (count == 0 || count > max)
		hostile_lie(v->arena, "tarn_ring_peek_batch", "count", (int64_t)count);
	for (size_t i = 0; i < count; i++)
		read_all(v, bufs[i].data, bufs[i].size);
	(void)CALL(v, tarn_ring_release(v->ring, count > 1 ? count / 2 : 1), ring_errors);
}

static void pop_some(struct victim *v)
{
	static unsigned char buf[1024];
	uint64_t r = hostile_random(&v->random);
	int64_t soon = tarn_deadline_after(SLICE_NS);
	const void *data;
	size_t size = 0;

	switch (r % 6) {
	case 0:
		if (CALL(v, tarn_ring_pop(v->ring, buf, sizeof(buf), &size), ring_errors) == 0 &&
		    size > sizeof(buf))
			hostile_lie(v->arena, "tarn_ring_pop", "size", (int64_t)size);
		break;
	case 1:
		(void)CALL(v, tarn_ring_pop_wait(v->ring, buf, sizeof(buf), soon, &size),
			   ring_errors);
		break;
	case 2:
		if (CALL(v, tarn_ring_peek(v->ring, &data, &size), ring_errors) < 0)
			break;
		read_all(v, data, size);
		(void)CALL(v, tarn_ring_release(v->ring, 1), ring_errors);
		break;
	case 3:
		if (CALL(v, tarn_ring_peek_wait(v->ring, soon, &data, &size), ring_errors) == 0)
			read_all(v, data, size);
		break;
	case 4:
		peek_some(v, 1 + (r >> 8) % 16);
		break;
	default:
		(void)CALL(v, tarn_ring_wait_peer(v->ring, soon), ring_errors);
		break;
	}
}

/* --- one who takes a role, again and again --------------------------------------------------- */

static void stat_ring(struct victim *v)
{
	struct tarn_ring_stat stat;

	if (CALL(v, tarn_ring_stat(v->ring, &stat), ring_errors) == 0 && stat.used > stat.capacity)
		hostile_lie(v->arena, "tarn_ring_stat", "used", (int64_t)stat.used);
}

static void play_role(struct hostile_arena *arena, unsigned index, enum tarn_ring_role role,
		      void (*act)(struct victim *))
{
	struct victim v = { .arena = arena, .index = index };
	const struct tarn_ring_opts opts = { .capacity = RING_CAPACITY };

	v.random = arena->seed * 31 + index + 1;
	while (!hostile_over(arena)) {
		if (enter_region(&v, 0) < 0)
			continue;
		uint64_t r = hostile_random(&v.random);

		if (CALL(&v, tarn_ring_open(v.region, "ring", role, r % 2 ? &opts : NULL, &v.ring),
			 ring_open_errors) == 0) {
			v.last = 0;
			for (int i = 0; i < ROUND_CALLS && v.last != -EUCLEAN; i++)
				act(&v);
			stat_ring(&v);
			hostile_enter(arena, index, "tarn_ring_close");
			tarn_ring_close(v.ring);
		}
		/* As a user would: what is damaged is removed and made anew. */
		if (v.last == -EUCLEAN)
			(void)CALL(&v, tarn_object_remove(v.region, "ring"), object_errors);
		leave_region(&v);
	}
}

void victim_producer(struct hostile_arena *arena, unsigned index)
{
	play_role(arena, index, TARN_RING_PRODUCER, push_some);
}

void victim_consumer(struct hostile_arena *arena, unsigned index)
{
	play_role(arena, index, TARN_RING_CONSUMER, pop_some);
}

/* --- one who looks after the region ---------------------------------------------------------- */

static int see_member(const struct tarn_member_stat *stat, void *arg)
{
	struct victim *v = arg;

	if (memchr(stat->comm, 0, sizeof(stat->comm)) == NULL)
		hostile_lie(v->arena, "tarn_region_members", "comm does not end", 0);
	return 0;
}

static int see_object(const struct tarn_object_stat *stat, void *arg)
{
	struct victim *v = arg;

	if (memchr(stat->name, 0, sizeof(stat->name)) == NULL)
		hostile_lie(v->arena, "tarn_region_objects", "name does not end", 0);
	return 0;
}

static void use_objects(struct victim *v)
{
	uint64_t r = hostile_random(&v->random), size = 0;
	struct tarn_diag diag;
	char name[16];
	void *data;

	snprintf(name, sizeof(name), "bytes-%u", (unsigned)(r >> 8) % 6);
	switch (r % 4) {
	case 0:
		size = (r >> 16) % 4000;
		if (CALL(v, tarn_object_create(v->region, name, size, &data, &diag),
			 object_errors) < 0)
			return;
		break;
	case 1:
		(void)CALL(v, tarn_object_remove(v->region, name), object_errors);
		return;
	default:
		if (CALL(v, tarn_object_open(v->region, name, &data, &size), object_errors) < 0)
			return;
		break;
	}
	read_all(v, data, size);
	if (size > 0)
		memset(data, 5, size);
	hostile_enter(v->arena, v->index, "tarn_object_close");
	tarn_object_close(v->region, data);
}

static void manage(struct victim *v)
{
	uint64_t r = hostile_random(&v->random);
	struct tarn_region_stat stat;
	struct tarn_diag diag;
	uint32_t count;

	switch (r % 8) {
	case 0:
		(void)CALL(v, tarn_region_stat(v->region, &stat), look_errors);
		break;
	case 1:
		(void)CALL(v, tarn_region_members(v->region, see_member, v), look_errors);
		break;
	case 2:
		(void)CALL(v, tarn_region_objects(v->region, see_object, v), look_errors);
		break;
	case 3:
		(void)CALL(v, tarn_region_check(v->region, see_finding, v), look_errors);
		break;
	case 4:
		(void)CALL(v, tarn_region_gc(v->region, &count), look_errors);
		break;
	case 5:
		(void)CALL(v,
			   tarn_region_grow(v->region, REGION_SIZE + (r >> 8) % REGION_SIZE, &diag),
			   look_errors);
		break;
	default:
		use_objects(v);
		break;
	}
}

void victim_manager(struct hostile_arena *arena, unsigned index)
{
	struct victim v = { .arena = arena, .index = index };

	v.random = arena->seed * 37 + index + 1;
	while (!hostile_over(arena)) {
		if (enter_region(&v, 0) < 0)
			continue;
		for (int i = 0; i < ROUND_CALLS && !hostile_over(arena); i++)
			manage(&v);
		leave_region(&v);
	}
}

/* --- one who only comes, looks round and goes ------------------------------------------------ */

static void look_round(struct victim *v)
{

	(void)CALL(v, tarn_region_members(v->region, see_member, v), look_errors);
	(void)CALL(v, tarn_region_objects(v->region, see_object, v), look_errors);
	(void)CALL(v, tarn_region_check(v->region, see_finding, v), look_errors);
	if (CALL(v, tarn_ring_open(v->region, "ring", TARN_RING_OBSERVER, NULL, &v->ring),
		 ring_open_errors) < 0)
		return;
	stat_ring(v);
	tarn_ring_close(v->ring);
}

void victim_newcomer(struct hostile_arena *arena, unsigned index)
{
	struct victim v = { .arena = arena, .index = index };

	v.random = arena->seed * 41 + index + 1;
	while (!hostile_over(arena)) {
		bool observe = hostile_random(&v.random) % 2 == 0;

		if (enter_region(&v, observe ? TARN_REGION_OBSERVE : 0) < 0)
			continue;
		look_round(&v);
		leave_region(&v);
	}
}

/* --- those who use sections ------------------------------------------------------------------ */

struct guarded {
	struct tarn_section *left, *right;
	uint64_t *cells;
	uint64_t count;
};

static bool open_guarded(struct victim *v, struct guarded *g)
{
	const struct tarn_section_opts opts = { .journal_size = JOURNAL };
	uint64_t size = 0;
	void *data;

	memset(g, 0, sizeof(*g));
	if (CALL(v, tarn_section_open(v->region, "left", &opts, &g->left), section_open_errors) <
		    0 ||
	    CALL(v, tarn_section_open(v->region, "right", NULL, &g->right), section_open_errors) <
		    0 ||
	    CALL(v, tarn_object_open(v->region, "cells", &data, &size), object_errors) < 0)
		return false;
	g->cells = data;
	g->count = size / 8;
	return true;
}

static void close_guarded(struct victim *v, struct guarded *g)
{
	hostile_enter(v->arena, v->index, "tarn_section_close");
	tarn_section_close(g->left);
	tarn_section_close(g->right);
	if (g->cells != NULL)
		tarn_object_close(v->region, g->cells);
}

static void store_some(struct victim *v, struct guarded *g, struct tarn_tx *tx)
{
	uint64_t r = hostile_random(&v->random);

	for (uint64_t i = 0; i < r % 24; i++) { /* at times more than the journal takes */
		uint64_t *cell = &g->cells[(r >> 8) * (i + 1) % g->count];

		v->sink += *cell;
		if (i % 5 == 4)
			(void)CALL(v, tarn_tx_write(tx, cell, "a payload", 8), section_errors);
		else
			(void)CALL(v, tarn_tx_set64(tx, cell, r), section_errors);
	}
}

static int enter_one(struct victim *v, struct tarn_section *section, struct tarn_tx **ret_tx)
{
	struct tarn_diag diag = { 0 };
	int r = CALL(v, tarn_section_enter(section, tarn_deadline_after(SLICE_NS), ret_tx, &diag),
		     section_errors);

	if (r < 0 && diag.what[0] == '\0')
		hostile_lie(v->arena, "tarn_section_enter", "refused without a word", r);
	return r;
}

static void change_guarded(struct victim *v, struct guarded *g)
{
	uint64_t r = hostile_random(&v->random);
	struct tarn_section *section = r % 3 == 0 ? g->right : g->left;
	struct tarn_tx *tx;

	if (g->count == 0 || enter_one(v, section, &tx) < 0)
		return;
	store_some(v, g, tx);
	if (r % 3 == 1 && enter_one(v, g->right, &tx) == 0) {
		store_some(v, g, tx);
		if (r % 2 == 0)
			(void)CALL(v, tarn_section_leave(g->right), section_errors);
	}
	if ((r >> 8) % 4 == 0)
		(void)CALL(v, tarn_section_abort(section), section_errors);
	else
		(void)CALL(v, tarn_section_leave(section), section_errors);
	if (r % 3 == 1) /* if it is inside still */
		(void)CALL(v, tarn_section_leave(g->right), section_errors);
}

/* Every string of a description is read, and every field that it speaks of. */
static void read_type(struct victim *v, const struct tarn_type *type, const unsigned char *data)
{
	v->sink += strlen(type->name);
	for (uint32_t i = 0; i < type->field_count; i++) {
		const struct tarn_field *field = &type->fields[i];
		const struct tarn_type *inner = tarn_field_type(field);
		uint64_t length = field->length != 0 ? field->length : 1;

		v->sink += strlen(field->name) + strlen(field->unit) + strlen(field->help) +
			   strlen(field->values);
		for (uint64_t k = 0; inner != NULL && k < length; k++)
			read_type(v, inner, data + field->offset + k * field->size);
		if (inner == NULL)
			read_all(v, data + field->offset, field->size * length);
	}
}

/* As tarn get does it, beside one who scribbles over the description. */
static void look_at_struct(struct victim *v, struct guarded *g)
{
	struct tarn_struct_stat stat;
	struct tarn_type *type;
	struct tarn_place place;
	unsigned char *copy;
	void *data;

	if (CALL(v, tarn_struct_describe(v->region, "thing", &type, &stat, &data), struct_errors) <
	    0)
		return;
	copy = malloc(stat.size);
	if (memchr(stat.section, '\0', sizeof(stat.section)) == NULL || type->size != stat.size)
		hostile_lie(v->arena, "tarn_struct_describe", "its facts do not fit", 0);
	if (copy != NULL &&
	    CALL(v,
		 tarn_section_read(g->left, copy, data, stat.size, tarn_deadline_after(SLICE_NS)),
		 section_errors) == 0)
		read_type(v, type, copy);
	(void)!tarn_type_find(type, "corners[2].y", &place, NULL);
	free(copy);
	tarn_type_free(type);
	tarn_struct_close(v->region, data);
}

static void look_at_guarded(struct victim *v, struct guarded *g)
{
	struct tarn_section_stat stat;
	unsigned char buf[64];
	uint32_t version;

	if (g->count >= 8)
		(void)CALL(v,
			   tarn_section_read(g->left, buf, g->cells, sizeof(buf),
					     tarn_deadline_after(SLICE_NS)),
			   section_errors);
	read_all(v, buf, 0);
	if (CALL(v, tarn_section_read_begin(g->right, &version), section_errors) == 0 &&
	    CALL(v, tarn_section_load(g->right, buf, (void *)(uintptr_t)v->random, 64),
		 section_errors) == 0)
		hostile_lie(v->arena, "tarn_section_load", "a wild address was read", 0);
	(void)CALL(v, tarn_section_stat(g->left, &stat), section_errors);
	v->sink += stat.waiter_count;
	look_at_struct(v, g);
}

/* As a user would: mended, by force if need be; else removed and made anew. */
static void mend_guarded(struct victim *v)
{
	static const char *const names[] = { "left", "right" };

	for (int i = 0; i < 2; i++) {
		struct tarn_diag diag = { 0 };
		int r = CALL(v, tarn_section_recover(v->region, names[i], 0, &diag), mend_errors);

		if (r == -ENOTRECOVERABLE)
			r = CALL(v,
				 tarn_section_recover(v->region, names[i], TARN_SECTION_FORCE,
						      &diag),
				 mend_errors);
		if (r < 0 && diag.what[0] == '\0')
			hostile_lie(v->arena, "tarn_section_recover", "refused without a word", r);
		if (r == -EUCLEAN || r == -EPROTO)
			(void)CALL(v, tarn_object_remove(v->region, names[i]), object_errors);
	}
}

static void use_guarded(struct hostile_arena *arena, unsigned index, uint32_t flags,
			void (*act)(struct victim *, struct guarded *))
{
	struct victim v = { .arena = arena, .index = index };
	struct guarded g;

	v.random = arena->seed * 43 + index + 1;
	while (!hostile_over(arena)) {
		if (enter_region(&v, flags) < 0)
			continue;
		if (open_guarded(&v, &g))
			for (int i = 0; i < ROUND_CALLS / 4 && !hostile_over(arena); i++)
				act(&v, &g);
		close_guarded(&v, &g);
		if (flags == 0)
			mend_guarded(&v);
		leave_region(&v);
	}
}

void victim_changer(struct hostile_arena *arena, unsigned index)
{
	use_guarded(arena, index, 0, change_guarded);
}

void victim_onlooker(struct hostile_arena *arena, unsigned index)
{
	use_guarded(arena, index, index % 2 == 0 ? TARN_REGION_OBSERVE : 0, look_at_guarded);
}

/* --- behind the guard ------------------------------------------------------------------------ */

BEHIND_GUARD(producer)
BEHIND_GUARD(consumer)
BEHIND_GUARD(manager)
BEHIND_GUARD(newcomer)
BEHIND_GUARD(changer)
BEHIND_GUARD(onlooker)

/* --- waiters --------------------------------------------------------------------------------- */

static const int none[] = { 0 }, finished[] = { ENODATA, 0 };

static void open_quietly(struct victim *v, enum tarn_ring_role role)
{
	must("region", tarn_region_open_fd(v->arena->fd, NULL, &v->region));
	must("ring", tarn_ring_open(v->region, "ring", role, NULL, &v->ring));
}

void waiting_consumer(struct hostile_arena *arena, unsigned index)
{
	struct victim v = { .arena = arena, .index = index };
	char buf[256];
	size_t size;
	int r = 0;

	open_quietly(&v, TARN_RING_CONSUMER);
	while (r == 0)
		r = CALL(&v, tarn_ring_pop_wait(v.ring, buf, sizeof(buf), TARN_FOREVER, &size),
			 finished);
	tarn_ring_close(v.ring);
	leave_region(&v);
}

void feeding_producer(struct hostile_arena *arena, unsigned index)
{
	struct victim v = { .arena = arena, .index = index };

	open_quietly(&v, TARN_RING_PRODUCER);
	while (!hostile_over(arena)) {
		nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
		(void)CALL(&v, tarn_ring_push_wait(v.ring, "news", 4, TARN_FOREVER), none);
	}
	(void)CALL(&v, tarn_ring_finish(v.ring), none);
	tarn_ring_close(v.ring);
	leave_region(&v);
}
