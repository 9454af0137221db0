/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Section: the contract of section.h line by line, in one process: entering, stores of every size,
 * commit, abort, the full journal, several sections, reading without entering. Dead owners and
 * damage are in section-edge.c, death in the middle of a call is the business of tests/kill.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/section.h"

enum { DATA = 4096 };

static struct tarn_region *region;
static struct tarn_section *first, *second;
static struct tarn_tx *tx;
static unsigned char *data;

static int make_sections(void **state)
{
	const struct tarn_region_opts region_opts = { .size = 1 << 20, .max_size = 4 << 20 };
	const struct tarn_section_opts opts = { .journal_size = 1024 };
	void *p;

	(void)state;
	tx = NULL;
	if (tarn_region_create("anon:", &region_opts, &region) < 0 ||
	    tarn_section_open(region, "first", &opts, &first) < 0 ||
	    tarn_section_open(region, "second", &opts, &second) < 0 ||
	    tarn_object_create(region, "data", DATA, &p, NULL) < 0)
		return -1;
	data = p;
	return 0;
}

static int drop_sections(void **state)
{
	(void)state;
	tarn_section_close(first);
	tarn_section_close(second);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	tarn_region_close(region);
	return 0;
}

static void enter(struct tarn_section *section)
{
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
}

static uint64_t *word(size_t n)
{
	return (uint64_t *)(void *)data + n;
}

static void what_is_left_is_final(void **state)
{
	(void)state;
	enter(first);
	assert_int_equal(tarn_tx_set64(tx, word(0), 1), 0);
	assert_int_equal(tarn_tx_set64(tx, word(0), 2), 0);
	assert_int_equal(*word(0), 2);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(*word(0), 2);
}

static void abort_undoes_stores_of_every_size(void **state)
{
	unsigned char before[DATA], from[100];

	(void)state;
	for (size_t i = 0; i < DATA; i++)
		before[i] = data[i] = (unsigned char)(i * 7);
	memset(from, 0xee, sizeof(from));
	enter(first);
	for (int round = 0; round < 2; round++) { /* the second logs what the first has stored */
		assert_int_equal(tarn_tx_set8(tx, data + 1, 0xff), 0);
		assert_int_equal(tarn_tx_set16(tx, (uint16_t *)(void *)(data + 2), 0xffff), 0);
		assert_int_equal(tarn_tx_set32(tx, (uint32_t *)(void *)(data + 4), 0xffffffff), 0);
		assert_int_equal(tarn_tx_set64(tx, word(1), UINT64_MAX), 0);
		for (size_t size = 1; size <= 8; size *= 2)
			assert_int_equal(tarn_tx_store(tx, data + 16 + size, 0xdd, 1), 0);
		assert_int_equal(tarn_tx_write(tx, data + 51, from, 77), 0);
		assert_int_equal(tarn_tx_log(tx, data + 203, 33), 0);
		memset(data + 203, 0xcc, 33);
	}
	assert_int_equal(data[51], 0xee);
	assert_int_equal(data[203], 0xcc);
	assert_int_equal(*word(1), UINT64_MAX);
	assert_int_equal(tarn_section_abort(first), 0);
	assert_memory_equal(data, before, DATA);
}

static void stores_touch_no_neighbours(void **state)
{
	(void)state;
	memset(data, 0x11, 64);
	enter(first);
	assert_int_equal(tarn_tx_store(tx, data + 9, 0x1234, 1), 0);
	assert_int_equal(tarn_tx_store(tx, data + 18, 0xabcd5678, 2), 0);
	assert_int_equal(tarn_tx_store(tx, data + 28, UINT64_C(0xffffffff9abcdef0), 4), 0);
	assert_int_equal(tarn_tx_store(tx, data + 40, UINT64_C(0x123456789abcdef0), 8), 0);
	assert_int_equal(tarn_section_leave(first), 0);
	for (size_t i = 0; i < 64; i++)
		if (i != 9 && i / 2 != 9 && i / 4 != 7 && i / 8 != 5)
			assert_int_equal(data[i], 0x11);
	assert_int_equal(data[9], 0x34);
	assert_int_equal(*(uint16_t *)(void *)(data + 18), 0x5678);
	assert_int_equal(*(uint32_t *)(void *)(data + 28), 0x9abcdef0);
	assert_int_equal(*word(5), UINT64_C(0x123456789abcdef0));
}

static void a_full_journal_fails_before_the_store_and_undoes_all(void **state)
{
	int r = 0;
	size_t n;

	(void)state;
	enter(first);
	for (n = 0; n < 100; n++) {
		r = tarn_tx_set64(tx, word(n), 7);
		if (r != 0)
			break;
	}
	assert_int_equal(n, 1024 / 16); /* a word takes 16 bytes */
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(*word(n), 0); /* not stored */
	assert_int_equal(*word(n - 1), 7);
	assert_int_equal(tarn_tx_set64(tx, word(0), 8), -ENOSPC); /* it stays so */
	assert_int_equal(tarn_tx_write(tx, data, "x", 1), -ENOSPC);
	assert_int_equal(*word(0), 7);
	assert_int_equal(tarn_section_leave(first), -ENOSPC);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(*word(i), 0);
	enter(first); /* the next one is not concerned */
	assert_int_equal(tarn_tx_set64(tx, word(0), 9), 0);
	assert_int_equal(tarn_section_leave(first), 0);
}

static void a_range_takes_what_the_header_says(void **state)
{
	unsigned char big[DATA] = { 1 };

	(void)state;
	enter(first);
	assert_int_equal(tarn_tx_write(tx, data, big, 1024 - 16), 0);
	assert_int_equal(tarn_tx_set8(tx, data, 2), -ENOSPC);
	assert_int_equal(tarn_section_leave(first), -ENOSPC);
	enter(first);
	assert_int_equal(tarn_tx_write(tx, data, big, 1024 - 15), -ENOSPC);
	assert_int_equal(data[0], 0);
	assert_int_equal(tarn_section_leave(first), -ENOSPC);
	enter(first);
	assert_int_equal(tarn_tx_write(tx, data, big, 0), 0);
	assert_int_equal(tarn_section_abort(first), 0);
}

/* Each refusal leaves the place alone, and dooms its tx. */
static void refuses(void *at, size_t size, int expect)
{
	uint64_t outside = 5;

	enter(first);
	if (at == NULL)
		at = &outside;
	assert_int_equal(tarn_tx_set64(tx, word(3), 1), 0);
	assert_int_equal(tarn_tx_store(tx, at, 77, size), expect);
	assert_int_equal(tarn_section_leave(first), expect);
	assert_int_equal(*word(3), 0);
	assert_int_equal(outside, 5);
}

static void stores_outside_or_unaligned_are_refused(void **state)
{
	unsigned char *base = tarn_segment_data(tarn_region_segment(region));
	uint64_t local = 5;

	(void)state;
	refuses(NULL, 8, -EINVAL);
	refuses(base, 8, -EINVAL);                        /* the superblock */
	refuses(base + region->heap_off - 8, 8, -EINVAL); /* the last member page */
	refuses(base + tarn__region_size(region), 8, -EINVAL);
	refuses(base + tarn__region_size(region) - 4, 8, -EINVAL);
	refuses(data + 4, 8, -EINVAL);
	refuses(data + 1, 2, -EINVAL);
	refuses(data, 3, -EINVAL);
	refuses(data, 0, -EINVAL);
	refuses(data, 16, -EINVAL);
	refuses((unsigned char *)first->shm + 128, 4, -EINVAL); /* the section itself */
	enter(first);
	assert_int_equal(tarn_tx_set64(tx, &local, 6), -EINVAL);
	assert_int_equal(tarn_tx_write(tx, data, "x", 1), -EINVAL);
	assert_int_equal(tarn_section_leave(first), -EINVAL);
	assert_int_equal(local, 5);
	enter(first);
	assert_int_equal(tarn_tx_write(tx, base + tarn__region_size(region) - 1, "xy", 2), -EINVAL);
	assert_int_equal(tarn_tx_log(tx, data, SIZE_MAX), -EINVAL);
	assert_int_equal(tarn_section_leave(first), -EINVAL);
}

static void stores_without_a_tx_are_refused(void **state)
{
	(void)state;
	assert_int_equal(tarn_tx_set64(NULL, word(0), 1), -EPERM);
	assert_int_equal(tarn_tx_write(NULL, data, "x", 1), -EPERM);
	enter(first);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(tarn_tx_set8(tx, data, 1), -EPERM); /* it is over */
	assert_int_equal(tarn_tx_set16(tx, (uint16_t *)(void *)data, 1), -EPERM);
	assert_int_equal(tarn_tx_set32(tx, (uint32_t *)(void *)data, 1), -EPERM);
	assert_int_equal(tarn_tx_set64(tx, word(0), 1), -EPERM);
	assert_int_equal(tarn_tx_log(tx, data, 1), -EPERM);
	assert_int_equal(*word(0), 0);
}

static void leaving_what_one_is_not_inside_of_is_refused(void **state)
{
	(void)state;
	assert_int_equal(tarn_section_leave(first), -EPERM);
	assert_int_equal(tarn_section_abort(first), -EPERM);
	enter(first);
	assert_int_equal(tarn_section_leave(second), -EPERM);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(tarn_section_leave(first), -EPERM);
}

static void waiting_for_oneself_is_refused(void **state)
{
	struct tarn_section *again;
	struct tarn_diag diag = { .what = "" };
	struct tarn_tx *other = NULL;

	(void)state;
	enter(first);
	assert_int_equal(tarn_section_enter(first, TARN_FOREVER, &other, &diag), -EDEADLK);
	assert_non_null(strstr(diag.what, "first"));
	assert_int_equal(tarn_section_try(first, &other, NULL), -EDEADLK);
	assert_int_equal(tarn_section_open(region, "first", NULL, &again), 0);
	assert_int_equal(tarn_section_enter(again, TARN_FOREVER, &other, NULL), -EDEADLK);
	assert_null(other);
	assert_int_equal(tarn_section_leave(again), -EPERM);
	tarn_section_close(again);
	assert_int_equal(tarn_section_leave(first), 0);
}

static void several_sections_are_one_tx(void **state)
{
	struct tarn_tx *same = NULL;

	(void)state;
	for (int commit = 0; commit < 2; commit++) {
		enter(first);
		tarn_tx_set64(tx, word(0), 1);
		assert_int_equal(tarn_section_enter(second, TARN_FOREVER, &same, NULL), 0);
		assert_ptr_equal(same, tx);
		tarn_tx_set64(tx, word(1), 2);
		assert_int_equal(tarn_section_leave(second), 0);
		assert_int_equal(tarn_section_leave(second), -EPERM);
		/* left, and still its own: it can be entered again, by this thread alone */
		assert_int_equal(atomic_load(&second->shm->lock), region->id);
		assert_int_equal(tarn_section_enter(second, TARN_FOREVER, &same, NULL), 0);
		tarn_tx_set64(tx, word(2), 3);
		assert_int_equal(tarn_section_leave(second), 0);
		if (commit)
			assert_int_equal(tarn_section_leave(first), 0);
		else
			assert_int_equal(tarn_section_abort(second), 0);
		assert_int_equal(tarn_section_leave(first), -EPERM);
		assert_int_equal(*word(0), commit ? 1 : 0);
		assert_int_equal(*word(1), commit ? 2 : 0);
		assert_int_equal(*word(2), commit ? 3 : 0);
		assert_int_equal(atomic_load(&first->shm->lock), 0);
		assert_int_equal(atomic_load(&second->shm->lock), 0);
	}
}

static void the_last_to_be_left_ends_the_tx_whichever_it_is(void **state)
{
	(void)state;
	enter(first);
	enter(second);
	tarn_tx_set64(tx, word(0), 1);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_not_equal(atomic_load(&first->shm->lock), 0);
	tarn_tx_set64(tx, word(1), 1);
	assert_int_equal(tarn_section_leave(second), 0);
	assert_int_equal(atomic_load(&first->shm->lock), 0);
	assert_int_equal(*word(1), 1);
}

static void the_order_of_sections_is_kept(void **state)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_tx *other;

	(void)state;
	enter(second);
	assert_int_equal(tarn_section_enter(first, TARN_FOREVER, &other, &diag), -EDEADLK);
	assert_non_null(strstr(diag.what, "second"));
	assert_non_null(strstr(diag.hint, "first"));
	tarn_tx_set64(tx, word(0), 1);
	/* without waiting nothing can close a circle */
	assert_int_equal(tarn_section_try(first, &other, NULL), 0);
	tarn_tx_set64(tx, word(1), 1);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(tarn_section_abort(second), 0);
	assert_int_equal(*word(0), 0);
	assert_int_equal(*word(1), 0);
}

static void a_doomed_tx_over_two_sections_is_undone_in_both(void **state)
{
	(void)state;
	enter(first);
	enter(second);
	tarn_tx_set64(tx, word(0), 1);
	assert_int_equal(tarn_tx_store(tx, data + 1, 1, 8), -EINVAL);
	assert_int_equal(tarn_section_leave(second), 0);
	assert_int_equal(tarn_section_leave(first), -EINVAL);
	assert_int_equal(*word(0), 0);
}

static void a_section_that_followed_leads_as_well(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		enter(first);
		enter(second);
		assert_int_equal(tarn_section_leave(second), 0);
		if (round == 0)
			assert_int_equal(tarn_section_leave(first), 0);
		else
			assert_int_equal(tarn_section_abort(first), 0);
		enter(second);
		assert_int_equal(tarn_tx_store(tx, data + 1, 1, 8), -EINVAL);
		assert_int_equal(tarn_section_leave(second), -EINVAL);
		enter(second);
		assert_int_equal(tarn_section_abort(second), 0);
	}
}

static void grown_memory_can_be_stored_to(void **state)
{
	void *more;

	(void)state;
	enter(first);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(tarn_region_grow(region, 3 << 20, NULL), 0);
	assert_int_equal(tarn_object_create(region, "more", 2 << 20, &more, NULL), 0);

	uint64_t *last = (uint64_t *)more + (2 << 20) / 8 - 1;

	enter(first);
	assert_int_equal(tarn_tx_set64(tx, last, 1), 0);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(tarn_section_read(first, &(uint64_t){ 0 }, last, 8, 0), 0);
}

static void readers_see_what_was_whole(void **state)
{
	uint32_t version = 0;
	uint64_t got[3] = { 9, 9, 9 };

	(void)state;
	assert_int_equal(tarn_section_read_begin(first, &version), 0);
	assert_int_equal(tarn_section_load(first, got, data, sizeof(got)), 0);
	assert_true(tarn_section_read_valid(first, version));
	assert_int_equal(got[0], 0);
	enter(first);
	tarn_tx_set64(tx, word(0), 1);
	assert_false(tarn_section_read_valid(first, version));
	version = 77;
	assert_int_equal(tarn_section_read_begin(first, &version), -EAGAIN);
	assert_int_equal(version, 77);
	/* one's own changes */
	assert_int_equal(tarn_section_read(first, got, data, 8, TARN_FOREVER), 0);
	assert_int_equal(got[0], 1);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(tarn_section_read_begin(first, &version), 0);
	assert_int_equal(tarn_section_abort(first), -EPERM);
	enter(first);
	assert_int_equal(tarn_section_abort(first), 0);
	assert_false(
		tarn_section_read_valid(first, version)); /* it may have seen what was undone */
}

static void reads_are_bounded_by_the_region(void **state)
{
	unsigned char *base = tarn_segment_data(tarn_region_segment(region));
	unsigned char got[64];

	(void)state;
	memset(got, 9, sizeof(got));
	assert_int_equal(tarn_section_load(first, got, base, 8), -EINVAL);
	assert_int_equal(tarn_section_load(first, got, base + tarn__region_size(region), 1),
			 -EINVAL);
	assert_int_equal(tarn_section_load(first, got, NULL, 8), -EINVAL);
	assert_int_equal(tarn_section_load(first, got, got, 8), -EINVAL);
	assert_int_equal(tarn_section_load(first, got, data, SIZE_MAX), -EINVAL);
	assert_int_equal(tarn_section_read(first, got, (void *)UINTPTR_MAX, 8, 0), -EINVAL);
	assert_int_equal(got[0], 9);
	for (size_t i = 0; i < 64; i++)
		data[i] = (unsigned char)i;
	for (size_t off = 0; off < 16; off++) {
		for (size_t size = 0; size < 40; size++) {
			assert_int_equal(tarn_section_read(first, got, data + off, size, 0), 0);
			assert_memory_equal(got, data + off, size);
		}
	}
}

static void opening_keeps_the_contract(void **state)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_section_opts opts = { .journal_size = 2048, .diag = &diag };
	struct tarn_section *other = first;
	void *p;

	(void)state;
	assert_int_equal(tarn_section_open(region, "first", &opts, &other), -EEXIST);
	assert_non_null(strstr(diag.what, "1024"));
	assert_int_equal(tarn_section_open(region, "none", NULL, &other), -ENOENT);
	assert_int_equal(tarn_section_open(region, "data", NULL, &other), -EPROTO);
	assert_int_equal(tarn_section_open(region, "a/b", &opts, &other), -EINVAL);
	opts.journal_size = 63;
	assert_int_equal(tarn_section_open(region, "new", &opts, &other), -EINVAL);
	opts.journal_size = 2 << 20;
	assert_int_equal(tarn_section_open(region, "new", &opts, &other), -ENOSPC);
	opts.journal_size = 0;
	opts.flags = 1;
	assert_int_equal(tarn_section_open(region, "new", &opts, &other), -EINVAL);
	assert_ptr_equal(other, first);
	opts.flags = 0;
	opts.journal_size = 100; /* rounded up */
	assert_int_equal(tarn_section_open(region, "new", &opts, &other), 0);
	assert_int_equal(other->units, 7);
	tarn_section_close(other);
	assert_int_equal(tarn_section_remove(region, "new", &diag), 0);
	assert_int_equal(tarn_section_remove(region, "new", &diag), -ENOENT);
	assert_int_equal(tarn_section_remove(region, "data", NULL), -EPROTO);
	assert_int_equal(tarn_object_open(region, "first", &p, NULL), -EPROTO);
	tarn_section_close(NULL);
}

static void the_region_has_a_section_of_its_own_for_who_wants_one(void **state)
{
	const struct tarn_section_opts opts = { .journal_size = 0 };
	struct tarn_section *own, *named;

	(void)state;
	assert_int_equal(tarn_section_open(region, NULL, NULL, &own), -ENOENT);
	assert_int_equal(tarn_section_open(region, NULL, &opts, &own), 0);
	assert_int_equal(tarn_section_open(region, TARN_SECTION_REGION, NULL, &named), 0);
	assert_int_equal(own->object.off, named->object.off);
	enter(own);
	assert_int_equal(tarn_tx_set64(tx, word(0), 1), 0);
	assert_int_equal(tarn_section_try(named, &tx, NULL), -EDEADLK);
	assert_int_equal(tarn_section_abort(own), 0);
	assert_int_equal(*word(0), 0);
	tarn_section_close(own);
	tarn_section_close(named);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	assert_int_equal(tarn_section_recover(region, TARN_SECTION_REGION, 0, NULL), 0);
	assert_int_equal(tarn_section_remove(region, TARN_SECTION_REGION, NULL), 0);
}

static void closing_inside_aborts(void **state)
{
	struct tarn_section *third;
	const struct tarn_section_opts opts = { .journal_size = 64 };

	(void)state;
	assert_int_equal(tarn_section_open(region, "third", &opts, &third), 0);
	enter(third);
	tarn_tx_set64(tx, word(0), 1);
	tarn_section_close(third);
	assert_int_equal(*word(0), 0);
}

static void two_regions_are_two_txs(void **state)
{
	const struct tarn_section_opts opts = { .journal_size = 64 };
	struct tarn_region *other_region;
	struct tarn_section *other;
	struct tarn_tx *other_tx;
	void *p;

	(void)state;
	assert_int_equal(tarn_region_create("anon:", NULL, &other_region), 0);
	assert_int_equal(tarn_section_open(other_region, "s", &opts, &other), 0);
	assert_int_equal(tarn_object_create(other_region, "d", 64, &p, NULL), 0);
	enter(first);
	assert_int_equal(tarn_section_enter(other, TARN_FOREVER, &other_tx, NULL), 0);
	assert_ptr_not_equal(tx, other_tx);
	assert_int_equal(tarn_tx_set64(tx, word(0), 1), 0);
	assert_int_equal(tarn_tx_set64(other_tx, p, 1), 0);
	assert_int_equal(tarn_tx_set64(other_tx, word(1), 1), -EINVAL); /* not of this region */
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(tarn_section_leave(other), -EINVAL);
	assert_int_equal(*word(0), 1);
	assert_int_equal(*(uint64_t *)p, 0);
	tarn_section_close(other);
	tarn_region_close(other_region);
}

static void the_facts_are_told(void **state)
{
	struct tarn_section_stat stat;

	(void)state;
	enter(first);
	tarn_tx_set64(tx, word(0), 1);
	assert_int_equal(tarn_section_stat(first, &stat), 0);
	assert_int_equal(stat.off, first->object.off);
	assert_int_equal(stat.journal_size, 1024);
	assert_int_equal(stat.journal_used, 16);
	assert_true(stat.held);
	assert_int_equal(stat.version % 2, 1);
	assert_int_equal(stat.owner.pid, tarn__plat_pid());
	assert_int_equal(stat.owner.tid, tarn__plat_tid());
	assert_true(stat.owner.alive);
	assert_int_equal(tarn_section_abort(first), 0);
	assert_int_equal(tarn_section_stat(first, &stat), 0);
	assert_false(stat.held);
	assert_int_equal(stat.version, 2);
	assert_int_equal(stat.abort_count, 1);
	assert_int_equal(stat.journal_used, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_sections, drop_sections)
	const struct CMUnitTest tests[] = {
		TEST(what_is_left_is_final),
		TEST(abort_undoes_stores_of_every_size),
		TEST(stores_touch_no_neighbours),
		TEST(a_full_journal_fails_before_the_store_and_undoes_all),
		TEST(a_range_takes_what_the_header_says),
		TEST(stores_outside_or_unaligned_are_refused),
		TEST(stores_without_a_tx_are_refused),
		TEST(leaving_what_one_is_not_inside_of_is_refused),
		TEST(waiting_for_oneself_is_refused),
		TEST(several_sections_are_one_tx),
		TEST(the_last_to_be_left_ends_the_tx_whichever_it_is),
		TEST(the_order_of_sections_is_kept),
		TEST(a_doomed_tx_over_two_sections_is_undone_in_both),
		TEST(a_section_that_followed_leads_as_well),
		TEST(grown_memory_can_be_stored_to),
		TEST(readers_see_what_was_whole),
		TEST(reads_are_bounded_by_the_region),
		TEST(opening_keeps_the_contract),
		TEST(the_region_has_a_section_of_its_own_for_who_wants_one),
		TEST(closing_inside_aborts),
		TEST(two_regions_are_two_txs),
		TEST(the_facts_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
