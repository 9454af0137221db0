/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * changes.h - a region with two sections, a change log of the first, and a copy of it all that is
 * kept up to date by listening alone, and compared.
 */
#ifndef TESTS_UNIT_CHANGES_H
#define TESTS_UNIT_CHANGES_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arena/arena.h"
#include "sync/listen.h"

enum { DATA = 5 * 4096, LOG = 4096 };

static struct tarn_region *region;
static struct tarn_section *first, *second;
static struct tarn_changes *changes;
static struct tarn_dirty *dirty;
static struct tarn_tx *tx;
static unsigned char *data;
static unsigned char *copy; /* of all of the region */
static uint64_t size;

static inline void copy_all(void)
{
	memcpy(copy, region->base, size);
}

static inline int make_log(void **state)
{
	const struct tarn_region_opts region_opts = { .size = 4 << 20, .max_size = 8 << 20 };
	const struct tarn_section_opts opts = { .journal_size = 1 << 18 };
	struct tarn_changes_opts log_opts = { .size = LOG };
	void *p;

	(void)state;
	if (tarn_region_create("anon:", &region_opts, &region) < 0 ||
	    tarn_section_open(region, "first", &opts, &first) < 0 ||
	    tarn_section_open(region, "second", &opts, &second) < 0 ||
	    tarn_object_create(region, "data", DATA, &p, NULL) < 0)
		return -1;
	data = p;
	size = tarn__region_size(region);
	copy = malloc(2 * size);
	log_opts.section = first;
	changes = NULL;
	dirty = NULL;
	if (tarn_changes_open(region, "log", &log_opts, &changes) < 0)
		return -1;
	copy_all();
	return 0;
}

static inline int drop_log(void **state)
{
	(void)state;
	tarn_changes_close(changes);
	tarn_dirty_close(dirty);
	tarn_section_close(first);
	tarn_section_close(second);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	tarn_region_close(region);
	free(copy);
	return 0;
}

static inline void enter(struct tarn_section *section)
{
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
}

static inline void leave(struct tarn_section *section)
{
	assert_int_equal(tarn_section_leave(section), 0);
}

static inline uint64_t *word(size_t n)
{
	return (uint64_t *)(void *)data + n;
}

static inline void apply(void)
{
	struct tarn_change change;

	while (tarn_changes_each(changes, &change))
		memcpy(copy + change.off, change.data, change.size);
}

/* Read all there is; the number of txs. */
static inline unsigned follow(struct tarn_changes_tx *ret_last)
{
	struct tarn_changes_tx one;
	unsigned n = 0;
	int r;

	while ((r = tarn_changes_next(changes, &one)) == 0) {
		apply();
		n++;
		if (ret_last != NULL)
			*ret_last = one;
	}
	assert_int_equal(r, -EAGAIN);
	return n;
}

static inline void same(const void *at, size_t bytes)
{
	assert_memory_equal(copy + ((const unsigned char *)at - region->base), at, bytes);
}

static inline void change_something(struct tarn_section *section, uint64_t value)
{
	enter(section);
	tarn_tx_set64(tx, word(0), value);
	leave(section);
}

static inline void open_dirty(void)
{
	assert_int_equal(tarn_dirty_open(region, TARN_FOREVER, &dirty, NULL), 0);
}

static inline uint64_t count_dirty(void)
{
	uint64_t pages = 77;

	assert_int_equal(tarn_dirty_count(dirty, &pages), 0);
	return pages;
}

/* Copy what is marked; how many pages. */
static inline unsigned follow_pages(void)
{
	uint64_t from = 0, off, bytes;
	unsigned n = 0;
	int r;

	while ((r = tarn_dirty_take(dirty, from, UINT64_MAX, &off, &bytes)) == 0) {
		memcpy(copy + off, region->base + off, bytes);
		n += (unsigned)(bytes / 4096);
		from = off + bytes;
	}
	assert_int_equal(r, -EAGAIN);
	return n;
}

#endif /* TESTS_UNIT_CHANGES_H */
