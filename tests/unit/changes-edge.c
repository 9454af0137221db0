/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes: dirty maps; logs and maps that are removed while others write to them; words, positions
 * and journals that a peer has spoilt. Logs as they should be are in changes.c.
 */
#include "changes.h"

/* --- open, bind, remove -------------------------------------------------------------------- */

static void opening_keeps_the_contract(void **state)
{
	struct tarn_diag diag;
	struct tarn_changes_opts opts = { .diag = &diag };
	struct tarn_changes *other = NULL;
	struct tarn_region *region2;

	(void)state;
	assert_int_equal(tarn_changes_open(region, "none", NULL, &other), -ENOENT);
	assert_int_equal(tarn_changes_open(region, "none", &opts, &other), -ENOENT);
	assert_int_equal(tarn_changes_open(region, "data", NULL, &other), -EPROTO);
	assert_int_equal(tarn_changes_open(region, "a/b", NULL, &other), -EINVAL);
	opts.size = 100;
	assert_int_equal(tarn_changes_open(region, "x", &opts, &other), -EINVAL);
	opts.size = LOG;
	opts.pad = 1;
	assert_int_equal(tarn_changes_open(region, "x", &opts, &other), -EINVAL);
	opts.pad = 0;
	opts.section = second;
	assert_int_equal(tarn_changes_open(region, "log", &opts, &other), -EEXIST);
	opts.section = first;
	assert_int_equal(tarn_changes_open(region, "log-b", &opts, &other), -EEXIST);
	assert_non_null(strstr(diag.what, "has another change log"));
	assert_int_equal(tarn_object_remove(region, "log-b"), 0);
	opts.size = 2 * LOG;
	assert_int_equal(tarn_changes_open(region, "log", &opts, &other), -EEXIST);
	opts.size = LOG - 1; /* rounded up */
	assert_int_equal(tarn_changes_open(region, "log", &opts, &other), 0);
	tarn_changes_close(other);
	enter(second);
	assert_int_equal(tarn_changes_open(region, "log", &opts, &other), -EDEADLK);
	assert_int_equal(tarn_changes_open(region, "log", NULL, &other), 0); /* only reads */
	leave(second);
	tarn_changes_close(other);
	assert_int_equal(tarn_region_create("anon:", NULL, &region2), 0);
	assert_int_equal(tarn_changes_open(region2, "log", &opts, &other), -EINVAL);
	tarn_region_close(region2);
	tarn_changes_close(NULL);
}

static void a_log_may_be_removed_at_any_time(void **state)
{
	struct tarn_changes_opts opts = { .size = LOG, .section = first };
	struct tarn_region_stat before, after;
	struct tarn_changes_tx one;
	struct tarn_changes_stat stat;

	(void)state;
	assert_int_equal(tarn_region_stat(region, &before), 0);
	change_something(first, 1);
	enter(first);
	tarn_tx_set64(tx, word(0), 2);
	assert_int_equal(tarn_object_remove(region, "log"), 0);
	leave(first);
	assert_int_equal(atomic_load(&first->shm->log), 0);
	assert_int_equal(tarn_changes_next(changes, &one), 0); /* what was logged before */
	assert_int_equal(tarn_changes_next(changes, &one), -ENODATA);
	assert_int_equal(tarn_changes_wait(changes, TARN_FOREVER), -ENODATA);
	assert_int_equal(tarn_changes_stat(changes, &stat), 0);
	assert_false(stat.attached);
	tarn_changes_close(changes);
	assert_int_equal(tarn_region_gc(region, NULL), 0);
	assert_int_equal(tarn_region_stat(region, &after), 0);
	assert_true(after.used <= before.used - LOG);
	/* another one of the same name, perhaps in the same place */
	assert_int_equal(tarn_changes_open(region, "log", &opts, &changes), 0);
	copy_all();
	change_something(first, 3);
	assert_int_equal(follow(NULL), 1);
	same(data, DATA);
}

static void a_section_may_be_removed_before_its_log(void **state)
{
	const struct tarn_section_opts opts = { .journal_size = 16384 };
	struct tarn_changes_tx one;
	struct tarn_changes_stat stat;

	(void)state;
	tarn_section_close(first);
	assert_int_equal(tarn_section_remove(region, "first", NULL), 0);
	assert_int_equal(tarn_section_open(region, "first", &opts, &first), 0); /* in its place */
	change_something(first, 1);
	assert_int_equal(tarn_changes_next(changes, &one), -ENODATA);
	assert_int_equal(tarn_changes_stat(changes, &stat), 0);
	assert_false(stat.attached);
}

static void what_was_not_logged_for_a_while_is_a_gap(void **state)
{
	struct tarn_changes_opts opts = { .section = first };
	struct tarn_changes *other;
	struct tarn_changes_tx one;

	(void)state;
	atomic_store(&first->shm->log, 0);
	change_something(first, 1);
	assert_int_equal(tarn_changes_next(changes, &one), -ENODATA);
	assert_int_equal(tarn_changes_open(region, "log", &opts, &other), 0);
	assert_int_equal(tarn_changes_next(other, &one), -EAGAIN);
	assert_int_equal(tarn_changes_next(changes, &one), -EOVERFLOW);
	change_something(first, 2);
	assert_int_equal(tarn_changes_next(changes, &one), 0);
	tarn_changes_close(other);
}

/* --- the dirty map ------------------------------------------------------------------------- */

static void pages_are_marked_by_commits_and_by_aborts(void **state)
{
	uint64_t first_page = (uint64_t)(data - region->base) / 4096, off, bytes;
	unsigned char *page2 = region->base + (first_page + 2) * 4096;

	(void)state;
	open_dirty();
	assert_int_equal(count_dirty(), 0);
	enter(first);
	tarn_tx_set64(tx, (uint64_t *)(void *)page2, 5);
	assert_int_equal(count_dirty(), 0); /* after the stores: when they are all made */
	leave(first);
	assert_int_equal(tarn_dirty_take(dirty, 0, UINT64_MAX, &off, &bytes), 0);
	assert_int_equal(off, (first_page + 2) * 4096);
	assert_int_equal(bytes, 4096);
	assert_int_equal(count_dirty(), 0);
	enter(second);
	tarn_tx_set64(tx, (uint64_t *)(void *)page2, 6);
	assert_int_equal(tarn_section_abort(second), 0);
	assert_int_equal(count_dirty(), 1);
	enter(first);
	assert_int_equal(tarn_tx_log(tx, page2 - 1, 4098), 0); /* three pages */
	leave(first);
	assert_int_equal(count_dirty(), 3);
	assert_int_equal(tarn_dirty_take(dirty, off, off + 1, &off, &bytes), 0);
	assert_int_equal(bytes, 4096); /* no page beyond */
	assert_int_equal(count_dirty(), 2);
	assert_int_equal(tarn_dirty_take(dirty, 0, (first_page + 1) * 4096, &off, &bytes), -EAGAIN);
	assert_int_equal(follow_pages(), 2);
}

static void a_copy_of_the_marked_pages_is_the_whole(void **state)
{
	const struct tarn_arena_opts opts = { .size = 8192,
					      .max_size = 1 << 20,
					      .section = second };
	const struct tarn_section_opts small = { .journal_size = 4096 };
	struct tarn_section *third;
	struct tarn_arena *arena;
	tarn_ref ref[4] = { 0 };

	(void)state;
	open_dirty();
	assert_int_equal(tarn_section_open(region, "third", &small, &third), 0);
	assert_int_equal(atomic_load(&third->shm->dirty), dirty->map.place);
	assert_int_equal(tarn_arena_open(region, "arena", &opts, &arena), 0);
	copy_all();
	for (uint64_t i = 0; i < 300; i++) {
		struct tarn_section *section = i % 3 == 0 ? first : i % 3 == 1 ? second : third;

		enter(section);
		tarn_tx_set64(tx, word(i * 37 % (DATA / 8)), i + 1);
		if (section == second) {
			tarn_ref *r = &ref[i / 3 % 4];

			assert_int_equal(tarn_arena_free(arena, tx, *r), 0);
			assert_int_equal(tarn_arena_alloc(arena, tx, 50 * i, 0, 0, r), 0);
			memset(region->base + *r, (int)i, 50 * i);
		}
		if (i % 4 == 3)
			assert_int_equal(tarn_section_abort(section), 0);
		else
			leave(section);
		if (i % 4 == 3 && section == second)
			memset(ref, 0, sizeof(ref)); /* leaks, here */
		if (i % 10 == 0)
			(void)follow_pages();
	}
	(void)follow_pages();
	same(data, DATA);
	for (int k = 0; k < 4; k++)
		if (ref[k] != 0)
			same(region->base + ref[k], 50);
	same(arena->shm, offsetof(struct arena_shm, first));
	tarn_arena_close(arena);
	tarn_section_close(third);
	assert_int_equal(tarn_arena_remove(region, "arena", TARN_FOREVER, NULL), 0);
}

static void a_map_may_be_removed_at_any_time(void **state)
{
	uint64_t off, bytes;

	(void)state;
	open_dirty();
	enter(first);
	assert_int_equal(tarn_dirty_open(region, TARN_FOREVER, &dirty, NULL), -EDEADLK);
	tarn_tx_set64(tx, word(0), 2);
	assert_int_equal(tarn_object_remove(region, TARN_DIRTY_NAME), 0);
	leave(first);
	assert_int_equal(atomic_load(&first->shm->dirty), 0);
	assert_int_equal(tarn_dirty_take(dirty, 0, UINT64_MAX, &off, &bytes), -ENODATA);
	tarn_dirty_close(dirty);
	open_dirty();
	change_something(first, 1);
	change_something(second, 1);
	assert_int_equal(count_dirty(), 1);
	tarn_dirty_close(NULL);
}

/* --- damage -------------------------------------------------------------------------------- */

static unsigned found;

static void count_finding(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	(void)finding;
	found++;
}

static unsigned findings(void)
{
	found = 0;
	(void)!tarn_region_check(region, count_finding, NULL);
	return found;
}

static void words_that_name_nothing_are_ignored(void **state)
{
	static const uint32_t wrong[] = { 1, 0xffffffff, 0x80000000, 0x1234 };

	(void)state;
	open_dirty();
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]) + 2; i++) {
		uint32_t w = i < 4 ? wrong[i] : i == 4 ? place_of(first) : place_of(second);

		atomic_store(&second->shm->log, w);
		atomic_store(&second->shm->dirty, w);
		change_something(second, i);
		assert_int_equal(atomic_load(&second->shm->log), 0);
		assert_int_equal(atomic_load(&second->shm->dirty), 0);
	}
	atomic_store(&second->shm->log, changes->log.place); /* another section's */
	atomic_store(&second->shm->dirty, changes->log.place);
	change_something(second, 1);
	assert_int_equal(atomic_load(&second->shm->log), 0);
	assert_int_equal(atomic_load(&second->shm->dirty), 0);
	assert_int_equal(follow(NULL), 0);
}

static void wild_positions_choose_no_address(void **state)
{
	struct changes_shm *shm = changes->shm;
	struct tarn_changes_tx one;
	uint32_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		_Atomic uint32_t *words = &shm->reserve.lo;

		seed = seed * 1664525 + 1013904223;
		atomic_store(&words[seed >> 8 & 7], i % 3 == 0 ? seed : (seed >> 20) & ~7u);
		if (i % 5 == 0)
			((unsigned char *)shm->ring)[seed >> 3 & (LOG - 1)] = (unsigned char)i;
		change_something(first, i);
		for (int k = 0; k < 3; k++) {
			int r = tarn_changes_next(changes, &one);

			assert_true(r == 0 || r == -EAGAIN || r == -EOVERFLOW || r == -EUCLEAN);
			if (r == 0)
				for (struct tarn_change c; tarn_changes_each(changes, &c);)
					assert_true(c.off + c.size <= region->max_size);
		}
	}
	/* and it mends itself */
	change_something(first, 1);
	(void)!tarn_changes_next(changes, &one);
	memset(shm->ring, 0, LOG);
	for (int i = 0; i < 3; i++)
		(void)!tarn_changes_next(changes, &one);
	copy_all();
	change_something(first, 2);
	change_something(first, 3);
	assert_int_equal(follow(NULL), 2);
	same(data, DATA);
}

/* What the ring says of a tx, spoilt by a peer: each is told, and none is followed. */
static void a_tx_that_lies_is_told(void **state)
{
	static const struct {
		size_t at; /* behind the tx's position */
		uint32_t value;
	} lies[] = {
		{ 0, 8 },   { 4, 1 },           { 8, 0x7ffffff8 },  { 8, 0 },           { 8, 24 },
		{ 8, LOG }, { 8, 55 },          { 16, 0 },          { 16, UINT32_MAX }, { 16, 2 },
		{ 32, 0 },  { 36, 0x7fffffff }, { 40, UINT32_MAX }, { 40, 0x7ffffff8 }, { 40, 16 },
	};
	struct tarn_changes_tx one;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		size_t pos = (size_t)changes->pos & (LOG - 1);

		change_something(first, i);
		memcpy(&changes->shm->ring[(pos + lies[i].at) & (LOG - 1)], &lies[i].value, 4);
		assert_int_equal(tarn_changes_next(changes, &one), -EUCLEAN);
		assert_int_equal(tarn_changes_next(changes, &one), -EAGAIN);
	}
	change_something(first, 1);
	assert_int_equal(follow(NULL), 1);
}

static void a_journal_spoilt_by_another_is_logged_as_lost(void **state)
{
	struct tarn_changes_tx one;
	uint32_t count;

	(void)state;
	open_dirty();
	for (int i = 0; i < 4; i++) {
		enter(first);
		tarn_tx_set64(tx, word(0), 1);
		tarn_tx_set64(tx, word(600), 2);
		count = atomic_load(&first->shm->count);
		if (i == 0)
			first->shm->journal[0].where ^= 1u << 4;
		else if (i == 1)
			first->shm->journal[1].where |= UINT64_C(1) << 60;
		else if (i == 2)
			atomic_store(&first->shm->count, UINT32_MAX);
		else
			atomic_store(&first->shm->count, first->units + 1);
		leave(first);
		assert_int_equal(tarn_changes_next(changes, &one), -EOVERFLOW);
		assert_int_equal(count_dirty(), size / 4096); /* all */
		(void)follow_pages();
		assert_int_equal(count, 2);
	}
}

static void damage_is_found_by_the_checker(void **state)
{
	struct changes_shm *shm = changes->shm;
	struct tarn_changes *other;
	uint64_t head = place_load(&shm->head);

	(void)state;
	open_dirty();
	assert_int_equal(findings(), 0);
	atomic_store(&shm->reserve.lo, (uint32_t)head + LOG + 8); /* C2 */
	assert_int_equal(findings(), 1);
	atomic_store(&shm->reserve.lo, (uint32_t)head);
	atomic_store(&shm->pending_seq, atomic_load(&first->shm->seq)); /* C3 */
	atomic_store(&shm->pending.lo, (uint32_t)head + 8);
	assert_int_equal(findings(), 1);
	atomic_store(&shm->pending_seq, PENDING_NONE);
	assert_int_equal(findings(), 0);
	shm->size *= 2; /* C1 */
	assert_int_equal(findings(), 1);
	assert_int_equal(tarn_changes_open(region, "log", NULL, &other), -EUCLEAN);
	change_something(first, 1); /* whoever knows it goes on by what was checked */
	shm->check = tarn__changes_header_check(shm);
	assert_int_equal(findings(), 1);
	assert_int_equal(tarn_changes_open(region, "log", NULL, &other), -EUCLEAN);
	shm->size /= 2;
	shm->check = tarn__changes_header_check(shm);
	shm->version++;
	shm->check = tarn__changes_header_check(shm);
	assert_int_equal(tarn_changes_open(region, "log", NULL, &other), -EPROTO);
	shm->version--;
	shm->check = tarn__changes_header_check(shm);
	atomic_store(&dirty->shm->marks[3], 2); /* C4 */
	assert_int_equal(findings(), 1);
	atomic_store(&dirty->shm->marks[3], 0);
	dirty->shm->pages--;
	assert_int_equal(findings(), 1);
	assert_int_equal(
		tarn_dirty_open(region, TARN_FOREVER, &(struct tarn_dirty *){ NULL }, NULL),
		-EUCLEAN);
	dirty->shm->pages++;
	assert_int_equal(findings(), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_log, drop_log)
	const struct CMUnitTest tests[] = {
		TEST(opening_keeps_the_contract),
		TEST(a_log_may_be_removed_at_any_time),
		TEST(a_section_may_be_removed_before_its_log),
		TEST(what_was_not_logged_for_a_while_is_a_gap),
		TEST(pages_are_marked_by_commits_and_by_aborts),
		TEST(a_copy_of_the_marked_pages_is_the_whole),
		TEST(a_map_may_be_removed_at_any_time),
		TEST(words_that_name_nothing_are_ignored),
		TEST(wild_positions_choose_no_address),
		TEST(a_tx_that_lies_is_told),
		TEST(a_journal_spoilt_by_another_is_logged_as_lost),
		TEST(damage_is_found_by_the_checker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
