/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes: the contract of changes.h about logs, in one process. The log says what was committed
 * and nothing else, from stores of every kind and new blocks; readers fall behind and are
 * told so, sleep and are woken. Maps, removal and damage are in changes-edge.c; death in the
 * middle of a call is the business of tests/kill.
 */
#include "changes.h"

/* --- the log ------------------------------------------------------------------------------- */

static void a_commit_is_logged_whole_with_its_version(void **state)
{
	struct tarn_changes_tx last = { 0 };
	struct tarn_section_stat stat;
	unsigned char bytes[300];

	(void)state;
	memset(bytes, 0x3c, sizeof(bytes));
	assert_int_equal(follow(NULL), 0);
	enter(first);
	tarn_tx_set8(tx, data + 1, 0x11);
	tarn_tx_set16(tx, (uint16_t *)(void *)(data + 2), 0x2222);
	tarn_tx_set32(tx, (uint32_t *)(void *)(data + 4), 0x33333333);
	tarn_tx_set64(tx, word(1), 0x4444);
	tarn_tx_set64(tx, word(1), 0x5555);
	tarn_tx_write(tx, data + 51, bytes, 77);
	assert_int_equal(tarn_tx_log(tx, data + 4090, 300), 0);
	memset(data + 4090, 0x77, 300);
	assert_int_equal(follow(NULL), 0); /* not before the commit */
	leave(first);
	assert_int_equal(follow(&last), 1);
	assert_int_equal(tarn_section_stat(first, &stat), 0);
	assert_int_equal(last.version, stat.version);
	assert_int_equal(last.count, 7);
	same(data, DATA);
}

static void what_was_undone_is_not_logged(void **state)
{
	(void)state;
	enter(first);
	tarn_tx_set64(tx, word(0), 1);
	assert_int_equal(tarn_section_abort(first), 0);
	enter(first);
	tarn_tx_set64(tx, word(0), 1);
	(void)tarn_tx_store(tx, data + 1, 1, 8);
	assert_int_equal(tarn_section_leave(first), -EINVAL);
	enter(first);
	leave(first); /* nor is nothing */
	assert_int_equal(follow(NULL), 0);
	change_something(first, 7);
	assert_int_equal(follow(NULL), 1);
	same(data, DATA);
}

static void txs_come_in_order_round_and_round_the_ring(void **state)
{
	struct tarn_changes_tx one;
	uint32_t version = 0;

	(void)state;
	for (uint64_t i = 1; i < 2000; i++) {
		enter(first);
		tarn_tx_set64(tx, word(i % 100), i);
		tarn_tx_write(tx, data + 1000 + i % 7, &i, 1 + i % 8);
		leave(first);
		if (i % 20 != 0)
			continue;
		for (int k = 0; k < 20; k++) {
			assert_int_equal(tarn_changes_next(changes, &one), 0);
			assert_true((int32_t)(one.version - version) > 0);
			version = one.version;
			apply();
		}
		assert_int_equal(tarn_changes_next(changes, &one), -EAGAIN);
		same(data, DATA);
	}
}

static void who_falls_behind_is_told_so_and_goes_on(void **state)
{
	struct tarn_changes_stat stat;
	struct tarn_changes_tx one;

	(void)state;
	for (uint64_t i = 0; i < 500; i++)
		change_something(first, i);
	assert_int_equal(tarn_changes_wait(changes, INT64_MIN), 0);
	assert_int_equal(tarn_changes_next(changes, &one), -EOVERFLOW);
	assert_int_equal(tarn_changes_next(changes, &one), -EAGAIN);
	copy_all();
	change_something(first, 77);
	assert_int_equal(follow(NULL), 1);
	same(data, DATA);
	assert_int_equal(tarn_changes_stat(changes, &stat), 0);
	assert_int_equal(stat.overrun_count, 1);
	assert_int_equal(stat.tx_count, 501);
	assert_int_equal(stat.lost_count, 1); /* that it was bound */
	assert_int_equal(stat.position, stat.logged);
	assert_true(stat.attached);
	assert_string_equal(stat.section, "first");
}

/* Each position of a reader: it has the tx as it was, or is told. */
static void an_overrun_reader_never_gets_a_wrong_byte(void **state)
{
	struct tarn_changes_tx one;
	struct tarn_change change;
	unsigned got = 0, lost = 0;

	(void)state;
	for (uint64_t i = 1; i < 3000; i++) {
		unsigned char bytes[200];

		memset(bytes, (int)(i & 0xff), sizeof(bytes));
		enter(first);
		tarn_tx_write(tx, data, bytes, 1 + i % 200);
		leave(first);
		if (i % 37 > 3)
			continue;
		int r = tarn_changes_next(changes, &one);

		lost += r == -EOVERFLOW;
		if (r < 0)
			continue;
		got++;
		assert_true(tarn_changes_each(changes, &change));
		assert_int_equal(change.off, data - region->base);
		for (size_t k = 1; k < change.size; k++)
			assert_int_equal(((const unsigned char *)change.data)[k],
					 ((const unsigned char *)change.data)[0]);
		assert_false(tarn_changes_each(changes, &change));
	}
	assert_true(got > 100 && lost > 50);
}

static void a_tx_larger_than_the_log_is_committed_and_lost(void **state)
{
	struct tarn_changes_tx one;

	(void)state;
	enter(first);
	assert_int_equal(tarn_tx_log(tx, data, LOG), 0);
	memset(data, 1, LOG);
	leave(first);
	assert_int_equal(tarn_changes_next(changes, &one), -EOVERFLOW);
	copy_all();
	change_something(first, 5);
	enter(first); /* as large as can be */
	assert_int_equal(tarn_tx_log(tx, data, LOG - 32 - 16), 0);
	memset(data, 2, LOG - 32 - 16);
	leave(first);
	assert_int_equal(tarn_changes_next(changes, &one), -EOVERFLOW);
	copy_all();
	enter(first);
	assert_int_equal(tarn_tx_log(tx, data, LOG - 32 - 16), 0);
	memset(data, 3, LOG - 32 - 16);
	leave(first);
	assert_int_equal(follow(NULL), 1);
	same(data, DATA);
}

static void every_section_of_a_tx_has_it_in_its_log(void **state)
{
	struct tarn_changes_opts opts = { .size = LOG, .section = second };
	struct tarn_changes *others;
	struct tarn_changes_tx one, two;
	struct tarn_section_stat stat;

	(void)state;
	assert_int_equal(tarn_changes_open(region, "log-2", &opts, &others), 0);
	enter(first);
	tarn_tx_set64(tx, word(0), 1);
	enter(second);
	tarn_tx_set64(tx, word(1), 2);
	leave(first);
	assert_int_equal(tarn_changes_next(others, &two), -EAGAIN);
	leave(second);
	assert_int_equal(tarn_changes_next(changes, &one), 0);
	apply();
	same(data, DATA);
	assert_int_equal(tarn_changes_next(others, &two), 0);
	assert_int_equal(two.count, 2);
	assert_int_equal(tarn_section_stat(second, &stat), 0);
	assert_int_equal(two.version, stat.version);
	enter(first);
	tarn_tx_set64(tx, word(0), 3);
	enter(second);
	assert_int_equal(tarn_section_abort(second), 0);
	assert_int_equal(tarn_changes_next(others, &two), -EAGAIN);
	assert_int_equal(follow(NULL), 0);
	tarn_changes_close(others);
}

static void what_is_stored_into_new_blocks_is_logged(void **state)
{
	const struct tarn_arena_opts opts = { .size = 8192, .max_size = 1 << 20, .section = first };
	struct tarn_changes_opts log_opts = { .size = 1 << 20, .section = first };
	struct tarn_arena *arena;
	tarn_ref ref[3] = { 0 };

	(void)state;
	tarn_changes_close(changes);
	assert_int_equal(tarn_object_remove(region, "log"), 0);
	assert_int_equal(tarn_changes_open(region, "big", &log_opts, &changes), 0);
	assert_int_equal(tarn_arena_open(region, "arena", &opts, &arena), 0);
	copy_all();
	for (unsigned round = 0; round < 60; round++) {
		unsigned n = round % 3;
		uint64_t bytes = round % 5 == 4 ? 20000 + 1000 * round : 10 + 20 * round;

		enter(first);
		if (round % 7 == 6) {
			assert_int_equal(tarn_arena_realloc(arena, tx, ref[n], bytes, 0, &ref[n]),
					 0);
		} else {
			assert_int_equal(tarn_arena_free(arena, tx, ref[n]), 0);
			assert_int_equal(tarn_arena_alloc(arena, tx, bytes, 0, 3, &ref[n]), 0);
		}
		memset(region->base + ref[n], (int)round + 1, bytes); /* no log: it is new */
		leave(first);
		assert_int_equal(follow(NULL), 1);
		for (unsigned k = 0; k < 3; k++)
			if (ref[k] != 0)
				same(region->base + ref[k], 10);
		same(region->base + ref[n], bytes);
	}
	/* what an arena goes by, too, but for hints */
	struct arena_shm *theirs = (void *)(copy + arena->object.off);

	assert_memory_equal(theirs, arena->shm, offsetof(struct arena_shm, first));
	tarn_arena_close(arena);
	assert_int_equal(tarn_arena_remove(region, "arena", TARN_FOREVER, NULL), 0);
}

static void an_aborted_block_puts_nothing_back(void **state)
{
	const struct tarn_arena_opts opts = { .size = 8192, .section = first };
	struct tarn_arena *arena;
	tarn_ref ref;

	(void)state;
	assert_int_equal(tarn_arena_open(region, "arena", &opts, &arena), 0);
	enter(first);
	assert_int_equal(tarn_arena_alloc(arena, tx, 100, 0, 0, &ref), 0);
	memset(region->base + ref, 9, 100);
	assert_int_equal(tarn_section_abort(first), 0);
	assert_int_equal(region->base[ref], 9);
	assert_int_equal(follow(NULL), 0);
	tarn_arena_close(arena);
	assert_int_equal(tarn_arena_remove(region, "arena", TARN_FOREVER, NULL), 0);
}

/* --- waiting ------------------------------------------------------------------------------- */

static void *commit_later(void *arg)
{
	(void)arg;
	while (atomic_load(&log_of(&first->log)->asleep) == 0)
		tarn__plat_yield();
	change_something(first, 99);
	return NULL;
}

static void a_reader_sleeps_until_a_commit(void **state)
{
	struct tarn_changes_tx one;
	pthread_t thread;

	(void)state;
	assert_int_equal(tarn_changes_wait(changes, tarn_now()), -ETIMEDOUT);
	assert_int_equal(tarn_changes_wait(changes, tarn_deadline_after(15000000)), -ETIMEDOUT);
	change_something(first, 98); /* so that the handle knows the log */
	assert_int_equal(tarn_changes_next(changes, &one), 0);
	assert_int_equal(atomic_load(&log_of(&first->log)->asleep), 0);
	assert_int_equal(pthread_create(&thread, NULL, commit_later, NULL), 0);
	assert_int_equal(tarn_changes_wait(changes, TARN_FOREVER), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(tarn_changes_next(changes, &one), 0);
}

static void who_looks_on_reads_as_well(void **state)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_OBSERVE };
	const struct tarn_region_opts create = { .size = 1 << 20 };
	const struct tarn_section_opts section_opts = { .journal_size = 1024 };
	struct tarn_changes_opts log_opts = { .size = LOG };
	struct tarn_region *made, *seen;
	struct tarn_section *section;
	struct tarn_changes *maker, *reader;
	struct tarn_changes_tx one;
	struct tarn_change change;
	struct tarn_dirty *map;
	void *p;

	(void)state;
	(void)!tarn_region_remove("tarn-unit-changes", NULL);
	assert_int_equal(tarn_region_create("tarn-unit-changes", &create, &made), 0);
	assert_int_equal(tarn_section_open(made, NULL, &section_opts, &section), 0);
	assert_int_equal(tarn_object_create(made, "d", 64, &p, NULL), 0);
	log_opts.section = section;
	assert_int_equal(tarn_changes_open(made, "log", &log_opts, &maker), 0);
	assert_int_equal(tarn_region_open("tarn-unit-changes", &opts, &seen), 0);
	assert_int_equal(tarn_changes_open(seen, "log", NULL, &reader), 0);
	assert_int_equal(tarn_changes_next(reader, &one), -EAGAIN);
	assert_int_equal(tarn_changes_wait(reader, tarn_deadline_after(1000000)), -ETIMEDOUT);
	enter(section);
	tarn_tx_set64(tx, p, 123);
	leave(section);
	assert_int_equal(tarn_changes_wait(reader, TARN_FOREVER), 0);
	assert_int_equal(tarn_changes_next(reader, &one), 0);
	assert_true(tarn_changes_each(reader, &change));
	assert_int_equal(change.off, (unsigned char *)p - made->base);
	assert_int_equal(*(const uint64_t *)change.data, 123);
	assert_int_equal(tarn_changes_open(seen, "log", &log_opts, &maker), -EPERM);
	assert_int_equal(tarn_dirty_open(seen, TARN_FOREVER, &map, NULL), -EPERM);
	assert_int_equal(tarn_object_remove(made, "log"), 0);
	tarn_changes_close(maker);
	tarn_section_close(section);
	assert_int_equal(tarn_region_gc(made, NULL), 0);
	assert_int_equal(tarn_changes_next(reader, &one), -ENODATA);
	tarn_changes_close(reader);
	tarn_region_close(seen);
	tarn_object_close(made, p);
	tarn_region_close(made);
	assert_int_equal(tarn_region_remove("tarn-unit-changes", NULL), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_log, drop_log)
	const struct CMUnitTest tests[] = {
		TEST(a_commit_is_logged_whole_with_its_version),
		TEST(what_was_undone_is_not_logged),
		TEST(txs_come_in_order_round_and_round_the_ring),
		TEST(who_falls_behind_is_told_so_and_goes_on),
		TEST(an_overrun_reader_never_gets_a_wrong_byte),
		TEST(a_tx_larger_than_the_log_is_committed_and_lost),
		TEST(every_section_of_a_tx_has_it_in_its_log),
		TEST(what_is_stored_into_new_blocks_is_logged),
		TEST(an_aborted_block_puts_nothing_back),
		TEST(a_reader_sleeps_until_a_commit),
		TEST(who_looks_on_reads_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
