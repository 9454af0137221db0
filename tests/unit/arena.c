/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arena: the contract of arena.h line by line, and the size classes. Growth and what looks on are
 * in arena-grow.c, random operations in arena-model.c, damage in arena-edge.c; death is the
 * business of tests/kill and tests/storm.
 */
#include "arena.h"

/* --- classes --------------------------------------------------------------------------------- */

static void classes_hold_what_they_say(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < CLASSES; i++) {
		const struct size_class *c = &tarn__classes[i];
		uint32_t bytes = (uint32_t)c->pages * PAGE, used = (uint32_t)c->size * c->slots;
		uint32_t tags = i < IN_SLAB_CLASSES ? c->slots : 0;

		assert_true(c->size % 16 == 0 && c->slots >= 2);
		assert_true(used + tags <= bytes);
		assert_true(i < IN_SLAB_CLASSES || c->slots <= 32);
		assert_true(i == 0 || tarn__classes[i - 1].size < c->size);
		/* lost: below 4 in 100 */
		assert_true((bytes - used - tags) * 100 < bytes * 4);
		for (uint32_t off = 0; off < bytes; off++)
			assert_int_equal((uint64_t)off * c->inverse >> 32, off / c->size);
	}
	for (uint64_t size = 1; size <= 7168; size++)
		for (uint32_t align = 16; align <= PAGE; align *= 2) {
			uint32_t class = tarn__class_of(size, align);

			if (class == CLASSES)
				continue;
			assert_true(tarn__classes[class].size >= size);
			assert_int_equal(tarn__classes[class].size % align, 0);
			if (align == 16 && class > 0)
				assert_true(tarn__classes[class - 1].size < size);
			if (align == 16 && size > 128 && size <= 2720)
				assert_true(tarn__classes[class].size - size <= size / 8);
		}
	assert_int_equal(tarn__class_of(7169, 16), CLASSES);
	assert_int_equal(tarn__class_of(4096, 16), CLASSES);
	assert_int_equal(tarn__class_of(3265, 16), CLASSES);
	assert_int_equal(tarn__class_of(4097, 16), 45);
}

static void bins_are_in_order(void **state)
{
	(void)state;
	assert_int_equal(tarn__bin_of(1), 0);
	assert_int_equal(tarn__bin_of(32), 31);
	for (uint32_t len = 1; len < 1u << 20; len++)
		assert_true(tarn__bin_of(len) <= tarn__bin_of(len + 1) &&
			    tarn__bin_of(len + 1) <= tarn__bin_of(len) + 1);
	assert_int_equal(tarn__bin_of(PAGES_MAX), BINS - 1);
}

/* --- the contract ---------------------------------------------------------------------------- */

static void a_block_is_there_when_the_tx_is_final(void **state)
{
	struct tarn_arena_stat st;
	uint64_t size = 0;
	tarn_ref ref;

	(void)state;
	enter();
	assert_int_equal(tarn_arena_alloc(arena, tx, 100, 0, 7, &ref), 0);
	memset(tarn_arena_at(arena, ref, 100), 'x', 100);
	leave();
	assert_int_equal(tarn_arena_usable_size(arena, ref, &size), 0);
	assert_int_equal(size, 112);
	st = stat_now();
	assert_int_equal(st.used, 112);
	assert_int_equal(st.used_count, 1);
	assert_int_equal(st.tags[7].used, 1);
	assert_int_equal(st.tags[7].used_bytes, 112);
	assert_int_equal(st.classes[6].size, 112);
	assert_int_equal(st.classes[6].used, 1);
	whole();
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, ref), 0);
	leave();
	assert_int_equal(stat_now().used, 0);
	assert_int_equal(tarn_arena_usable_size(arena, ref, &size), -EINVAL);
	whole();
}

static void an_abort_undoes_alloc_and_free(void **state)
{
	unsigned char seen[112];
	tarn_ref ref, other;

	(void)state;
	enter();
	ref = alloc(112);
	memset(tarn_arena_at(arena, ref, 112), 'a', 112);
	leave();
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, ref), 0);
	/* the same block again, and stored over without a log */
	other = alloc(112);
	assert_int_equal(other, ref);
	memset(tarn_arena_at(arena, other, 112), 'b', 112);
	(void)alloc(5000);
	(void)alloc(100000);
	abort_tx();
	assert_int_equal(stat_now().used, 112);
	assert_int_equal(tarn_arena_usable_size(arena, ref, &(uint64_t){ 0 }), 0);
	memset(seen, 'a', sizeof(seen));
	assert_memory_equal(tarn_arena_at(arena, ref, 112), seen, 112);
	whole();
}

static void a_freed_large_block_keeps_its_bytes_until_the_tx_is_final(void **state)
{
	static unsigned char seen[100000];
	tarn_ref ref, other;

	(void)state;
	enter();
	ref = alloc(sizeof(seen));
	memset(tarn_arena_at(arena, ref, sizeof(seen)), 'a', sizeof(seen));
	leave();
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, ref), 0);
	other = alloc(sizeof(seen));
	memset(tarn_arena_at(arena, other, sizeof(seen)), 'b', sizeof(seen));
	abort_tx();
	memset(seen, 'a', sizeof(seen));
	assert_memory_equal(tarn_arena_at(arena, ref, sizeof(seen)), seen, sizeof(seen));
	whole();
}

static void what_is_no_block_is_not_freed(void **state)
{
	tarn_ref ref, large;
	struct tarn_arena_stat before;

	(void)state;
	enter();
	ref = alloc(64);
	large = alloc(20000);
	leave();
	before = stat_now();
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, 0), 0);
	assert_int_equal(tarn_arena_free(arena, tx, ref + 16), -EINVAL);
	assert_int_equal(tarn_arena_free(arena, tx, ref + 1), -EINVAL);
	assert_int_equal(tarn_arena_free(arena, tx, ref + 64), -EINVAL);
	assert_int_equal(tarn_arena_free(arena, tx, large + 16), -EINVAL);
	assert_int_equal(tarn_arena_free(arena, tx, large + 4096), -EINVAL);
	assert_int_equal(tarn_arena_free(arena, tx, 64), -EINVAL);
	assert_int_equal(tarn_arena_free(arena, tx, UINT64_MAX), -EINVAL);
	assert_int_equal(tarn_arena_free(arena, tx, UINT64_C(1) << 45), -EINVAL);
	for (tarn_ref r = 0; r < 512 * KIB; r += 8)
		if (r != ref && r != large && r != 0)
			assert_int_equal(tarn_arena_free(arena, tx, r), -EINVAL);
	/* the tx goes on, and nothing was changed */
	leave();
	assert_memory_equal(&before, (struct tarn_arena_stat[1]){ stat_now() }, sizeof(before));
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, ref), 0);
	assert_int_equal(tarn_arena_free(arena, tx, ref), -EINVAL);
	assert_int_equal(tarn_arena_free(arena, tx, large), 0);
	assert_int_equal(tarn_arena_free(arena, tx, large), -EINVAL);
	leave();
	assert_int_equal(stat_now().used, 0);
	whole();
}

static void every_alignment_up_to_a_page(void **state)
{
	tarn_ref ref, untouched = 77;

	(void)state;
	enter();
	for (uint32_t align = 1; align <= 4096; align *= 2)
		for (uint64_t size = 1; size <= 9000; size = size * 3 / 2 + 1) {
			assert_int_equal(tarn_arena_alloc(arena, tx, size, align, 0, &ref), 0);
			assert_int_equal(ref % align, 0);
			assert_int_equal((uintptr_t)tarn_arena_at(arena, ref, size) % align, 0);
		}
	assert_int_equal(tarn_arena_alloc(arena, tx, 1, 8192, 0, &untouched), -EINVAL);
	assert_int_equal(tarn_arena_alloc(arena, tx, 1, 24, 0, &untouched), -EINVAL);
	assert_int_equal(tarn_arena_alloc(arena, tx, 0, 0, 0, &untouched), -EINVAL);
	assert_int_equal(tarn_arena_alloc(arena, tx, 1, 0, 255, &untouched), -EINVAL);
	assert_int_equal(tarn_arena_alloc(arena, tx, (4 << 20) + 1, 0, 0, &untouched), -EINVAL);
	assert_int_equal(tarn_arena_alloc(arena, tx, UINT64_MAX, 0, 0, &untouched), -EINVAL);
	assert_int_equal(untouched, 77);
	leave();
	whole();
}

static void only_its_section_lets_one_in(void **state)
{
	const struct tarn_section_opts opts = { .journal_size = 65536 };
	struct tarn_section *other;
	struct tarn_tx *foreign;
	tarn_ref ref = 0;

	(void)state;
	assert_int_equal(tarn_section_open(region, "t", &opts, &other), 0);
	assert_int_equal(tarn_arena_alloc(arena, NULL, 64, 0, 0, &ref), -EPERM);
	assert_int_equal(tarn_section_enter(other, TARN_FOREVER, &foreign, NULL), 0);
	assert_int_equal(tarn_arena_alloc(arena, foreign, 64, 0, 0, &ref), -EPERM);
	assert_int_equal(tarn_arena_free(arena, foreign, 4096), -EPERM);
	assert_int_equal(tarn_section_leave(other), 0);
	/* as one of several */
	enter();
	assert_int_equal(tarn_section_enter(other, TARN_FOREVER, &foreign, NULL), 0);
	assert_ptr_equal(foreign, tx);
	assert_int_equal(tarn_arena_alloc(arena, tx, 64, 0, 0, &ref), 0);
	assert_int_equal(tarn_section_leave(other), 0);
	leave();
	/* the other way round: ours is not the leader */
	assert_int_equal(tarn_section_enter(other, TARN_FOREVER, &foreign, NULL), 0);
	assert_int_equal(tarn_section_try(section, &tx, NULL), 0);
	assert_int_equal(tarn_arena_free(arena, tx, ref), 0);
	assert_int_equal(tarn_section_leave(section), 0);
	assert_int_equal(tarn_section_leave(other), 0);
	/* and over */
	assert_int_equal(tarn_arena_alloc(arena, tx, 64, 0, 0, &ref), -EPERM);
	assert_int_equal(stat_now().used, 0);
	tarn_section_close(other);
	whole();
}

static void opening_again_says_what_differs(void **state)
{
	struct tarn_diag diag = { "", "" };
	struct tarn_arena *other = NULL;
	struct tarn_arena_opts opts = { .max_size = 1 << 20, .diag = &diag };
	struct tarn_section *t;
	const struct tarn_section_opts sopts = { 0 };
	char name[80];
	void *data;

	(void)state;
	assert_int_equal(tarn_arena_open(region, "a", NULL, &other), 0);
	tarn_arena_close(other);
	assert_int_equal(tarn_arena_open(region, "none", NULL, &other), -ENOENT);
	assert_int_equal(tarn_arena_open(region, "a", &opts, &other), -EEXIST);
	assert_non_null(strstr(diag.what, "max_size"));
	assert_int_equal(tarn_section_open(region, "t", &sopts, &t), 0);
	opts = (struct tarn_arena_opts){ .section = t, .diag = &diag };
	assert_int_equal(tarn_arena_open(region, "a", &opts, &other), -EEXIST);
	assert_non_null(strstr(diag.what, "section"));
	opts = (struct tarn_arena_opts){ .flags = TARN_ARENA_POISON, .diag = &diag };
	assert_int_equal(tarn_arena_open(region, "a", &opts, &other), -EEXIST);
	assert_non_null(strstr(diag.what, "made without TARN_ARENA_POISON; asked was one with it"));
	opts = (struct tarn_arena_opts){ .diag = &diag };
	assert_int_equal(tarn_arena_open(region, "b", &opts, &other), -EINVAL);
	assert_non_null(strstr(diag.what, "section"));
	opts = (struct tarn_arena_opts){ .section = t, .size = 2, .max_size = 1, .diag = &diag };
	assert_int_equal(tarn_arena_open(region, "b", &opts, &other), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[61] = '\0';
	opts = (struct tarn_arena_opts){ .section = t, .diag = &diag };
	assert_int_equal(tarn_arena_open(region, name, &opts, &other), -EINVAL);
	assert_int_equal(tarn_object_create(region, "o", 64, &data, NULL), 0);
	assert_int_equal(tarn_arena_open(region, "o", NULL, &other), -EPROTO);
	tarn_object_close(region, data);
	tarn_section_close(t);
}

static void realloc_keeps_what_is_in_the_block(void **state)
{
	uint64_t size = 0;
	tarn_ref ref = 0, was;
	uint32_t have = 0;

	(void)state;
	enter();
	assert_int_equal(tarn_arena_realloc(arena, tx, 0, 10, 0, &ref), 0);
	leave();
	for (uint32_t i = 0; i < 400; i++) {
		uint32_t want = 1 + (i * 7919u) % (i % 3 == 0 ? 60000 : 3000);
		unsigned char *p;

		enter();
		assert_int_equal(tarn_arena_realloc(arena, tx, ref, want, 0, &ref), 0);
		p = tarn_arena_at(arena, ref, want);
		for (uint32_t n = 0; n < (have < want ? have : want); n++)
			assert_int_equal(p[n], (unsigned char)(n * 31));
		for (uint32_t n = 0; n < want; n++)
			p[n] = (unsigned char)(n * 31);
		leave();
		have = want;
		assert_int_equal(tarn_arena_usable_size(arena, ref, &size), 0);
		assert_true(size >= want);
		assert_int_equal(stat_now().used, size);
		assert_int_equal(stat_now().used_count, 1);
	}
	whole();
	/* undone: the block is where it was, with what it had */
	was = ref;
	for (uint32_t i = 0; i < 60; i++) {
		unsigned char *p;

		enter();
		assert_int_equal(tarn_arena_realloc(arena, tx, ref, 1 + i * 977 % 70000, 0, &ref),
				 0);
		abort_tx();
		ref = was;
		p = tarn_arena_at(arena, ref, have);
		for (uint32_t n = 0; n < have; n++)
			assert_int_equal(p[n], (unsigned char)(n * 31));
		assert_int_equal(stat_now().used, size);
	}
	enter();
	assert_int_equal(tarn_arena_realloc(arena, tx, ref + 16, 10, 0, &ref), -EINVAL);
	assert_int_equal(tarn_arena_realloc(arena, tx, ref, 0, 0, &ref), -EINVAL);
	leave();
	whole();
}

static void realloc_of_pages_stays_in_place_where_it_can(void **state)
{
	tarn_ref ref, to;

	(void)state;
	enter();
	ref = alloc(64 * KIB);
	leave();
	enter();
	assert_int_equal(tarn_arena_realloc(arena, tx, ref, 32 * KIB, 0, &to), 0);
	assert_int_equal(to, ref);
	leave();
	whole();
	enter();
	assert_int_equal(tarn_arena_realloc(arena, tx, ref, 60 * KIB, 0, &to), 0);
	assert_int_equal(to, ref);
	leave();
	assert_int_equal(stat_now().used, 60 * KIB);
	whole();
}

/* --- full ------------------------------------------------------------------------------------ */

static void full_is_an_error_that_changes_nothing(void **state)
{
	tarn_ref refs[4096], ref = 99;
	struct tarn_arena_stat st;
	int count = 0, r;

	(void)state;
	for (;;) {
		enter();
		r = tarn_arena_alloc(arena, tx, 64, 0, 1, &ref);
		leave();
		if (r != 0)
			break;
		refs[count++] = ref;
	}
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(count, 4 * 63); /* four pages, each of them in use to the last block */
	st = stat_now();
	assert_int_equal(st.used_count, count);
	assert_int_equal(st.free, 0);
	whole();
	/* a block of any other size is not to be had, and one freed is */
	enter();
	assert_int_equal(tarn_arena_alloc(arena, tx, 1, 0, 0, &ref), -ENOMEM);
	assert_int_equal(tarn_arena_alloc(arena, tx, 4096, 0, 0, &ref), -ENOMEM);
	assert_int_equal(tarn_arena_free(arena, tx, refs[100]), 0);
	assert_int_equal(tarn_arena_alloc(arena, tx, 1, 0, 0, &ref), 0); /* a larger one */
	assert_int_equal(ref, refs[100]);
	leave();
	for (int i = 0; i < count; i++) {
		enter();
		assert_int_equal(tarn_arena_free(arena, tx, refs[i]), 0);
		leave();
	}
	whole();
	/* what is empty is given back when something else wants it */
	enter();
	assert_int_equal(tarn_arena_alloc(arena, tx, 16 * KIB, 0, 0, &ref), 0);
	leave();
	assert_int_equal(stat_now().used, 16 * KIB);
	whole();
}

static void every_page_can_be_had_whatever_went_before(void **state)
{
	tarn_ref refs[64];
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		int count = 0;

		for (; count < 40; count++) {
			seed = seed * 1103515245u + 12345u;
			enter();
			if (tarn_arena_alloc(arena, tx, 1 + (seed >> 16) % 8000, 0, 0,
					     &refs[count]) < 0) {
				leave();
				break;
			}
			leave();
		}
		assert_true(count > 0);
		while (count > 0) {
			seed = seed * 1103515245u + 12345u;

			int i = (int)((seed >> 16) % (unsigned)count);

			enter();
			assert_int_equal(tarn_arena_free(arena, tx, refs[i]), 0);
			leave();
			refs[i] = refs[--count];
		}
		enter();
		assert_int_equal(tarn_arena_alloc(arena, tx, 16 * KIB, 0, 0, &refs[0]), 0);
		assert_int_equal(tarn_arena_free(arena, tx, refs[0]), 0);
		leave();
		whole();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_hold_what_they_say),
		cmocka_unit_test(bins_are_in_order),
		cmocka_unit_test_setup_teardown(a_block_is_there_when_the_tx_is_final, usual, drop),
		cmocka_unit_test_setup_teardown(an_abort_undoes_alloc_and_free, usual, drop),
		cmocka_unit_test_setup_teardown(
			a_freed_large_block_keeps_its_bytes_until_the_tx_is_final, usual, drop),
		cmocka_unit_test_setup_teardown(what_is_no_block_is_not_freed, usual, drop),
		cmocka_unit_test_setup_teardown(every_alignment_up_to_a_page, usual, drop),
		cmocka_unit_test_setup_teardown(only_its_section_lets_one_in, usual, drop),
		cmocka_unit_test_setup_teardown(opening_again_says_what_differs, usual, drop),
		cmocka_unit_test_setup_teardown(realloc_keeps_what_is_in_the_block, usual, drop),
		cmocka_unit_test_setup_teardown(realloc_of_pages_stays_in_place_where_it_can, usual,
						drop),
		cmocka_unit_test_setup_teardown(full_is_an_error_that_changes_nothing, tiny, drop),
		cmocka_unit_test_setup_teardown(every_page_can_be_had_whatever_went_before, tiny,
						drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
