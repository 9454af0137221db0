/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arenas.c - victims that allocate, free and look at an arena that a peer is spoiling.
 *
 * Every byte of a block that they are given is written, and every byte of what is in a walk is
 * read; refs are kept from one tx to the next, while the peer puts old images back, so many are
 * stale or belong to somebody else. The image has a tx in it whose owner died, so that whoever
 * enters after it was put back undoes a journal that is spoiled too.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "victims.h"

enum {
	HEAP_SIZE = 4 * 4096,
	HEAP_MAX = 20 * 4096,
	HEAP_JOURNAL = 4096,
	BLOCK_MAX = 9000,
	REFS = 24,
	PAGE = 4096
};

static const int arena_open_errors[] = { ENOENT,    EEXIST, EPROTO,          ENOSPC,
					 ENFILE,    EINVAL, EUCLEAN,         EIO,
					 ETIMEDOUT, EUSERS, ENOTRECOVERABLE, 0 };
static const int alloc_errors[] = { ENOMEM, ETIMEDOUT, EINVAL, EPERM, ENOENT,
				    ENOSPC, EUCLEAN,   EIO,    0 };
static const int count_errors[] = { EAGAIN,  ENOENT, EUCLEAN,    ETIMEDOUT,       EIO,
				    EDEADLK, EPERM,  EOWNERDEAD, ENOTRECOVERABLE, 0 };
static const int trim_errors[] = { EINVAL, EDEADLK, ETIMEDOUT,       EUCLEAN, EIO,
				   ENOENT, EPERM,   ENOTRECOVERABLE, ENOSPC,  0 };
static const int remove_errors[] = { ENOENT,    EINVAL,  EPROTO, EPERM,           EDEADLK, EIO,
				     ETIMEDOUT, EUCLEAN, ENOSPC, ENOTRECOVERABLE, 0 };

/* "the error of the first store that was refused" */
static const int leave_errors[] = { ENOMEM,  EINVAL, EPERM,     ENOENT,          ENOSPC,
				    EUCLEAN, EIO,    ETIMEDOUT, ENOTRECOVERABLE, 0 };

struct heap {
	struct tarn_section *section;
	struct tarn_arena *arena;
	tarn_ref refs[REFS];
};

static const struct tarn_section_opts heap_section = { .journal_size = HEAP_JOURNAL };

static struct tarn_arena_opts heap_opts(struct tarn_section *section)
{
	return (struct tarn_arena_opts){ .section = section,
					 .size = HEAP_SIZE,
					 .max_size = HEAP_MAX };
}

/* --- the arena they expect ------------------------------------------------------------------- */

/* In a child: change much and die inside. */
static void die_inside(struct tarn_section *section, struct tarn_arena *arena, tarn_ref *refs)
{
	struct tarn_tx *tx;
	tarn_ref ref;

	must("enter", tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
	for (uint64_t i = 0; i < 6; i++) {
		must("alloc", tarn_arena_alloc(arena, tx, 40 * (i % 4 + 1), 0, 0, &ref));
		must("free", tarn_arena_free(arena, tx, refs[i]));
	}
	_exit(0);
}

void victims_make_arena(struct tarn_region *region)
{
	struct tarn_section *section;
	struct tarn_arena *arena;
	struct tarn_arena_opts opts;
	struct tarn_tx *tx;
	tarn_ref refs[12];
	pid_t child;

	must("section", tarn_section_open(region, "heap", &heap_section, &section));
	opts = heap_opts(section);
	must("arena", tarn_arena_open(region, "arena", &opts, &arena));
	for (int i = 0; i < 12; i++) {
		uint64_t size = i % 4 == 3 ? 5000 : 40 * ((uint64_t)i % 3 + 1);

		must("enter", tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
		must("alloc", tarn_arena_alloc(arena, tx, size, 0, (uint32_t)i, &refs[i]));
		must("leave", tarn_section_leave(section));
	}
	child = hostile_fork();
	if (child == 0)
		die_inside(section, arena, refs);
	waitpid(child, NULL, 0);
	tarn_arena_close(arena);
	tarn_section_close(section);
}

/* --- coming and going ------------------------------------------------------------------------ */

static bool open_heap(struct victim *v, struct heap *heap, bool make)
{
	struct tarn_diag diag = { 0 };
	struct tarn_arena_opts opts;

	heap->section = NULL;
	heap->arena = NULL;
	if (CALL(v,
		 tarn_section_open(v->region, "heap", make ? &heap_section : NULL, &heap->section),
		 section_open_errors) < 0)
		return false;
	opts = heap_opts(heap->section);
	opts.diag = &diag;
	if (CALL(v, tarn_arena_open(v->region, "arena", make ? &opts : NULL, &heap->arena),
		 arena_open_errors) == 0)
		return true;
	if (make && diag.what[0] == '\0')
		hostile_lie(v->arena, "tarn_arena_open", "refused without a word", v->last);
	return false;
}

static void close_heap(struct victim *v, struct heap *heap)
{
	hostile_enter(v->arena, v->index, "tarn_arena_close");
	tarn_arena_close(heap->arena);
	hostile_enter(v->arena, v->index, "tarn_section_close");
	tarn_section_close(heap->section);
}

/* As a user would: what is damaged is removed and made anew. */
static void mend_heap(struct victim *v)
{
	struct tarn_diag diag = { 0 };
	int r = CALL(v, tarn_section_recover(v->region, "heap", TARN_SECTION_FORCE, &diag),
		     mend_errors);

	if (hostile_random(&v->random) % 4 == 0)
		(void)CALL(
			v,
			tarn_arena_remove(v->region, "arena", tarn_deadline_after(SLICE_NS), &diag),
			remove_errors);
	if (r == -EUCLEAN || r == -EPROTO || r == -ENOTRECOVERABLE)
		(void)CALL(v, tarn_object_remove(v->region, "heap"), object_errors);
}

/* --- those who allocate ---------------------------------------------------------------------- */

/* Use a block as one may that was just given it. */
static void fill_block(struct victim *v, struct heap *heap, tarn_ref ref, uint64_t size,
		       uint32_t align)
{
	unsigned char *at;

	hostile_enter(v->arena, v->index, "tarn_arena_at");
	at = tarn_arena_at(heap->arena, ref, size);
	if (at == NULL)
		return; /* the tables have changed since */
	if (align != 0 && ref % align != 0)
		hostile_lie(v->arena, "tarn_arena_alloc", "unaligned", (int64_t)ref);
	memset(at, 0x5a, size);
	hostile_enter(v->arena, v->index, "tarn_arena_ref");
	v->sink += tarn_arena_ref(heap->arena, at);
}

static void alloc_one(struct victim *v, struct heap *heap, struct tarn_tx *tx, uint64_t r)
{
	tarn_ref *slot = &heap->refs[r % REFS];
	uint64_t size = 1 + (r >> 8) % (r >> 40 & 1 ? 200 : BLOCK_MAX);
	uint32_t align = r >> 41 & 1 ? 1u << (r >> 42) % 13 : 0;

	if (CALL(v, tarn_arena_alloc(heap->arena, tx, size, align, r >> 50 & 0xff, slot),
		 alloc_errors) == 0)
		fill_block(v, heap, *slot, size, align);
}

static void realloc_one(struct victim *v, struct heap *heap, struct tarn_tx *tx, uint64_t r)
{
	tarn_ref *slot = &heap->refs[r % REFS];
	uint64_t size = 1 + (r >> 8) % BLOCK_MAX;

	if (CALL(v, tarn_arena_realloc(heap->arena, tx, *slot, size, 0, slot), alloc_errors) == 0)
		fill_block(v, heap, *slot, size, 0);
}

static void change_heap(struct victim *v, struct heap *heap, struct tarn_tx *tx)
{
	uint64_t r = hostile_random(&v->random), size = 0;
	tarn_ref ref = heap->refs[r % REFS];

	if (r >> 60 == 0)
		ref = r >> 8; /* from nowhere */
	else if (r >> 60 == 1)
		ref += 16 * (r >> 8 & 7);
	switch ((r >> 5) % 8) {
	case 0:
	case 1:
	case 2:
		alloc_one(v, heap, tx, hostile_random(&v->random));
		break;
	case 3:
	case 4:
		(void)CALL(v, tarn_arena_free(heap->arena, tx, ref), alloc_errors);
		break;
	case 5:
		realloc_one(v, heap, tx, hostile_random(&v->random));
		break;
	case 6:
		if (CALL(v, tarn_arena_usable_size(heap->arena, ref, &size), alloc_errors) == 0)
			fill_block(v, heap, ref, size < BLOCK_MAX ? size : BLOCK_MAX, 0);
		break;
	default:
		(void)CALL(v, tarn_arena_grow(heap->arena, tx, (r >> 8) % HEAP_MAX), alloc_errors);
		break;
	}
}

static void allocate(struct victim *v, struct heap *heap)
{
	uint64_t r = hostile_random(&v->random);
	struct tarn_tx *tx;

	if (CALL(v, tarn_section_enter(heap->section, tarn_deadline_after(SLICE_NS), &tx, NULL),
		 section_errors) < 0)
		return;
	for (uint64_t i = 0; i <= r % 12; i++)
		change_heap(v, heap, tx);
	if ((r >> 8) % 4 == 0)
		(void)CALL(v, tarn_section_abort(heap->section), section_errors);
	else /* an error of any store */
		(void)CALL(v, tarn_section_leave(heap->section), leave_errors);
	if ((r >> 16) % 32 == 0)
		(void)CALL(v,
			   tarn_arena_trim(heap->arena, heap->section,
					   tarn_deadline_after(SLICE_NS), &r),
			   trim_errors);
}

/* --- those who look -------------------------------------------------------------------------- */

struct tour {
	struct victim *v;
	struct heap *heap;
};

static int see_block(const struct tarn_block *block, void *arg)
{
	struct tour *tour = arg;
	const void *at;

	hostile_enter(tour->v->arena, tour->v->index, "tarn_arena_at");
	at = tarn_arena_at(tour->heap->arena, block->ref, block->size);
	if (at != NULL)
		read_all(tour->v, at, block->size);
	return 0;
}

static void survey(struct victim *v, struct heap *heap)
{
	struct tour tour = { v, heap };
	struct tarn_arena_stat stat;

	switch (hostile_random(&v->random) % 4) {
	case 0:
		if (CALL(v, tarn_arena_stat(heap->arena, &stat), count_errors) == 0)
			read_all(v, &stat, sizeof(stat));
		break;
	case 1:
		(void)CALL(v, tarn_arena_walk(heap->arena, see_block, &tour), count_errors);
		break;
	case 2:
		(void)CALL(v, tarn_arena_check(heap->arena, see_finding, v), count_errors);
		break;
	default:
		(void)CALL(v, tarn_region_check(v->region, see_finding, v), look_errors);
		break;
	}
}

static void use_heap(struct hostile_arena *arena, unsigned index, uint32_t flags,
		     void (*act)(struct victim *, struct heap *))
{
	struct victim v = { .arena = arena, .index = index };
	struct heap heap = { 0 };

	v.random = arena->seed * 47 + index + 1;
	while (!hostile_over(arena)) {
		if (enter_region(&v, flags) < 0)
			continue;
		if (open_heap(&v, &heap, flags == 0))
			for (int i = 0; i < ROUND_CALLS / 8 && !hostile_over(arena); i++)
				act(&v, &heap);
		close_heap(&v, &heap);
		if (flags == 0)
			mend_heap(&v);
		leave_region(&v);
	}
}

void victim_allocator(struct hostile_arena *arena, unsigned index)
{
	use_heap(arena, index, 0, allocate);
}

void victim_surveyor(struct hostile_arena *arena, unsigned index)
{
	use_heap(arena, index, index % 2 == 0 ? TARN_REGION_OBSERVE : 0, survey);
}

BEHIND_GUARD(allocator)
BEHIND_GUARD(surveyor)

/* --- with one fault -------------------------------------------------------------------------- */

/* Allocates as allocators do: the list's word says where a free page is, and its first word where
 * the next one is. */
void naive_popper(struct hostile_arena *arena, unsigned index)
{
	unsigned char *map =
		mmap(NULL, arena->size, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
	size_t lists = hostile_find_arena(arena) + 640; /* design/format.md: bins, then classes */
	uint64_t random = index + 1, sink = 0;

	if (map == MAP_FAILED)
		_exit(1);
	while (!hostile_over(arena)) {
		const uint32_t *lists_at = (const uint32_t *)(const void *)(map + lists);
		uint32_t page =
			__atomic_load_n(&lists_at[hostile_random(&random) % 128], __ATOMIC_RELAXED);

		hostile_enter(arena, index, "naive_popper");
		sink += map[(uint64_t)page * PAGE];
	}
	__asm__ volatile("" ::"r"(sink)); /* style: keeps what was read */
	munmap(map, arena->size);
}
