/* SPDX-License-Identifier: BSD-2-Clause */
/* arena.h - what the unit tests of arenas share: a region, a section, an arena under it. */
#ifndef TESTS_UNIT_ARENA_H
#define TESTS_UNIT_ARENA_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "arena/arena.h"

#define KIB 1024u

static struct tarn_region *region;
static struct tarn_section *section;
static struct tarn_arena *arena;
static struct tarn_tx *tx;

static inline void print_finding(const struct tarn_finding *f, void *arg)
{
	(void)arg;
	print_message("# %s: %s %s: found %llx, expected %llx\n", f->where, f->field, f->rule,
		      (unsigned long long)f->found, (unsigned long long)f->expected);
}

static inline void whole(void)
{
	assert_int_equal(tarn_arena_check(arena, print_finding, NULL), 0);
}

static inline void enter(void)
{
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
}

static inline void leave(void)
{
	assert_int_equal(tarn_section_leave(section), 0);
}

static inline void abort_tx(void)
{
	assert_int_equal(tarn_section_abort(section), 0);
}

static inline struct tarn_arena_stat stat_now(void)
{
	struct tarn_arena_stat st;

	assert_int_equal(tarn_arena_stat(arena, &st), 0);
	return st;
}

static inline int open_with(uint64_t region_max, uint64_t size, uint64_t max_size, uint64_t journal,
			    uint32_t flags)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_region_opts ropts = { .size = region_max / 4,
						.max_size = region_max,
						.member_max = 8,
						.object_max = 128,
						.diag = &diag };
	const struct tarn_section_opts sopts = { .journal_size = journal, .diag = &diag };
	struct tarn_arena_opts aopts = {
		.size = size, .max_size = max_size, .flags = flags, .diag = &diag
	};
	int r = tarn_region_create("anon:", &ropts, &region);

	arena = NULL;
	section = NULL;
	if (r == 0)
		r = tarn_section_open(region, "s", &sopts, &section);
	aopts.section = section;
	if (r == 0)
		r = tarn_arena_open(region, "a", &aopts, &arena);
	if (r < 0)
		print_message("# %s (%s)\n", diag.what, diag.hint);
	return r;
}

static inline int usual(void **state)
{
	(void)state;
	return open_with(16 << 20, 256 * KIB, 4 << 20, 65536, 0);
}

static inline int tiny(void **state)
{
	(void)state;
	return open_with(1 << 20, 16 * KIB, 16 * KIB, 65536, 0);
}

static inline int poisoned(void **state)
{
	(void)state;
	return open_with(16 << 20, 256 * KIB, 4 << 20, 65536, TARN_ARENA_POISON);
}

static inline int drop(void **state)
{
	(void)state;
	tarn_arena_close(arena);
	tarn_section_close(section);
	tarn_region_close(region);
	return 0;
}

static inline tarn_ref alloc(uint64_t size)
{
	tarn_ref ref = 0;

	assert_int_equal(tarn_arena_alloc(arena, tx, size, 0, 0, &ref), 0);
	assert_true(ref != 0 && ref % 16 == 0);
	return ref;
}

#endif /* TESTS_UNIT_ARENA_H */
