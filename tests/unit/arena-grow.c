/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arena: growth and what is given back, removal, what an operation costs in the journal, poison,
 * and those who look on. The rest of the contract is in arena.c.
 */
#include "arena.h"

/* --- growth ---------------------------------------------------------------------------------- */

static void it_grows_to_max_size_and_gives_back(void **state)
{
	tarn_ref refs[40];
	struct tarn_arena_stat st;
	struct tarn_region_stat before, after;
	uint64_t back = 0;
	int count = 0, r;

	(void)state;
	assert_int_equal(tarn_region_stat(region, &before), 0);
	for (;;) {
		enter();
		r = tarn_arena_alloc(arena, tx, 120 * KIB, 0, 0, &refs[count]);
		leave();
		if (r < 0)
			break;
		memset(tarn_arena_at(arena, refs[count], 120 * KIB), count, 120 * KIB);
		count++;
	}
	assert_int_equal(r, -ENOMEM);
	st = stat_now();
	assert_int_equal(st.size, 4 << 20);
	assert_true(st.extents > 1 && st.extents < 10);
	assert_true(count >= 30);
	whole();
	assert_int_equal(tarn_region_check(region, print_finding, NULL), 0);
	for (int i = 0; i < count; i++) {
		enter();
		assert_int_equal(((unsigned char *)tarn_arena_at(arena, refs[i], 1))[0], i);
		assert_int_equal(tarn_arena_free(arena, tx, refs[i]), 0);
		leave();
	}
	assert_int_equal(tarn_arena_trim(arena, section, TARN_FOREVER, &back), 0);
	assert_true(back > 3 << 20);
	st = stat_now();
	assert_int_equal(st.size, 256 * KIB);
	assert_int_equal(st.extents, 1);
	assert_int_equal(st.free, 256 * KIB);
	assert_int_equal(st.largest, 256 * KIB);
	assert_int_equal(tarn_region_stat(region, &after), 0);
	assert_int_equal(after.used, before.used);
	assert_int_equal(after.object_count, before.object_count);
	whole();
}

static void what_it_grew_by_survives_an_abort(void **state)
{
	struct tarn_region_stat before, after;
	struct tarn_arena_stat st;
	tarn_ref ref;

	(void)state;
	assert_int_equal(tarn_region_stat(region, &before), 0);
	for (int i = 0; i < 20; i++) {
		enter();
		ref = alloc(300 * KIB);
		assert_non_null(tarn_arena_at(arena, ref, 300 * KIB));
		abort_tx();
		assert_null(tarn_arena_at(arena, ref, 300 * KIB) == NULL ? NULL : NULL);
		st = stat_now();
		assert_int_equal(st.used, 0);
		assert_int_equal(st.extents, 1);
		assert_null(tarn_arena_at(arena, ref, 300 * KIB));
		whole();
		assert_int_equal(tarn_region_check(region, print_finding, NULL), 0);
	}
	assert_int_equal(tarn_region_stat(region, &after), 0);
	assert_int_equal(after.object_count, before.object_count + 1); /* one spare, used again */
	enter();
	ref = alloc(300 * KIB);
	leave();
	assert_int_equal(tarn_region_stat(region, &after), 0);
	assert_int_equal(after.object_count, before.object_count + 1);
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, ref), 0);
	leave();
	assert_int_equal(tarn_arena_trim(arena, section, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_region_stat(region, &after), 0);
	assert_int_equal(after.object_count, before.object_count);
	assert_int_equal(after.used, before.used);
}

static void another_handle_sees_the_growth(void **state)
{
	struct tarn_arena *other;
	tarn_ref ref;

	(void)state;
	assert_int_equal(tarn_arena_open(region, "a", NULL, &other), 0);
	enter();
	ref = alloc(300 * KIB);
	leave();
	assert_ptr_equal(tarn_arena_at(other, ref, 300 * KIB), tarn_arena_at(arena, ref, 1));
	assert_int_equal(tarn_arena_ref(other, tarn_arena_at(arena, ref, 1)), ref);
	enter();
	assert_int_equal(tarn_arena_free(other, tx, ref), 0);
	leave();
	assert_int_equal(tarn_arena_trim(other, section, TARN_FOREVER, NULL), 0);
	assert_int_equal(stat_now().extents, 1);
	assert_null(tarn_arena_at(other, ref, 1));
	enter();
	assert_int_equal(tarn_arena_grow(arena, tx, 1 << 20), 0);
	assert_int_equal(tarn_arena_grow(arena, tx, 1 << 20), 0); /* there is room already */
	assert_int_equal(tarn_arena_grow(arena, tx, 5 << 20), -EINVAL);
	assert_int_equal(tarn_arena_grow(arena, tx, 4 << 20), -ENOMEM);
	leave();
	assert_int_equal(stat_now().extents, 2);
	tarn_arena_close(other);
	whole();
}

static void names_that_are_taken_do_not_stop_it(void **state)
{
	void *data;
	tarn_ref ref;

	(void)state;
	assert_int_equal(tarn_object_create(region, "a.1", 64, &data, NULL), 0);
	enter();
	ref = alloc(300 * KIB);
	leave();
	whole();
	assert_int_equal(tarn_region_check(region, print_finding, NULL), 0);
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, ref), 0);
	leave();
	assert_int_equal(tarn_arena_trim(arena, section, TARN_FOREVER, NULL), 0);
	tarn_object_close(region, data);
	assert_int_equal(tarn_object_open(region, "a.1", &data, NULL), 0);
	tarn_object_close(region, data);
}

/* --- remove ---------------------------------------------------------------------------------- */

static void removed_is_removed_with_all_it_grew_by(void **state)
{
	const struct tarn_arena_opts opts = { .section = section };
	struct tarn_region_stat before, after;
	struct tarn_arena *b;
	tarn_ref ref = 0;

	(void)state;
	assert_int_equal(tarn_region_stat(region, &before), 0);
	assert_int_equal(tarn_arena_open(region, "b", &opts, &b), 0);
	tarn_arena_close(b);
	assert_int_equal(tarn_arena_remove(region, "b", TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_arena_remove(region, "b", TARN_FOREVER, NULL), -ENOENT);
	assert_int_equal(tarn_region_stat(region, &after), 0);
	assert_int_equal(after.used, before.used);
	/* while it is open, and has grown */
	enter();
	ref = alloc(300 * KIB);
	assert_int_equal(tarn_arena_remove(region, "a", TARN_FOREVER, NULL), -EDEADLK);
	leave();
	assert_int_equal(tarn_arena_remove(region, "a", TARN_FOREVER, NULL), 0);
	enter();
	assert_int_equal(tarn_arena_alloc(arena, tx, 64, 0, 0, &ref), -ENOENT);
	assert_int_equal(tarn_arena_free(arena, tx, ref), -ENOENT);
	leave();
	tarn_arena_close(arena);
	arena = NULL;
	assert_int_equal(tarn_region_gc(region, NULL), 0);
	assert_int_equal(tarn_region_stat(region, &after), 0);
	assert_int_equal(after.object_count, 1); /* the section */
	assert_int_equal(tarn_region_check(region, print_finding, NULL), 0);
}

/* --- journal --------------------------------------------------------------------------------- */

static uint64_t units_used(void)
{
	struct tarn_section_stat st;

	assert_int_equal(tarn_section_stat(section, &st), 0);
	return st.journal_used / 16;
}

/* Alone in its tx: what one operation takes. */
static void an_operation_takes_few_units(void **state)
{
	tarn_ref refs[2000];
	uint64_t most_alloc = 0, most_free = 0, sum = 0, n;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		enter();
		refs[i] = alloc(64);
		n = units_used();
		leave();
		sum += n;
		most_alloc = n > most_alloc ? n : most_alloc;
	}
	print_message("# alloc of 64 bytes: %.2f units, at most %d\n", (double)sum / 1000,
		      (int)most_alloc);
	/* the bit, the tag of a block that never had one, and what a slab of 63 costs */
	assert_true(sum <= 1000 * 2);
	assert_true(most_alloc <= TARN_ARENA_UNITS);
	sum = 0;
	for (int i = 0; i < 1000; i++) {
		enter();
		assert_int_equal(tarn_arena_free(arena, tx, refs[i * 7 % 1000]), 0);
		n = units_used();
		leave();
		sum += n;
		most_free = n > most_free ? n : most_free;
	}
	print_message("# free of 64 bytes: %.2f units, at most %d\n", (double)sum / 1000,
		      (int)most_free);
	assert_true(sum <= 1000 * 2);
	/* once tagged, one unit */
	enter();
	refs[0] = alloc(64);
	leave();
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, refs[0]), 0);
	assert_int_equal(units_used(), 1);
	leave();
	enter();
	refs[0] = alloc(64);
	assert_int_equal(units_used(), 1);
	leave();
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, refs[0]), 0);
	leave();
	whole();
}

static void in_any_state_too(void **state)
{
	tarn_ref refs[200];
	uint64_t most_alloc = 0, most_free = 0, most_realloc = 0, n;
	uint32_t seed = 3;

	(void)state;
	memset(refs, 0, sizeof(refs));
	for (int i = 0; i < 60000; i++) {
		uint32_t at, size;

		seed = seed * 1103515245u + 12345u;
		at = (seed >> 8) % 200;
		seed = seed * 1103515245u + 12345u;
		size = 1 + (seed >> 8) % (seed % 5 == 0 ? 30000 : 600);
		enter();
		if (refs[at] == 0) {
			if (tarn_arena_alloc(arena, tx, size, 0, seed % 3, &refs[at]) < 0)
				fail();
			n = units_used();
			most_alloc = n > most_alloc ? n : most_alloc;
		} else if (seed % 7 == 0) {
			assert_int_equal(
				tarn_arena_realloc(arena, tx, refs[at], size, 0, &refs[at]), 0);
			n = units_used();
			most_realloc = n > most_realloc ? n : most_realloc;
		} else {
			assert_int_equal(tarn_arena_free(arena, tx, refs[at]), 0);
			refs[at] = 0;
			n = units_used();
			most_free = n > most_free ? n : most_free;
		}
		leave();
	}
	print_message("# at most: alloc %d, free %d, realloc %d units\n", (int)most_alloc,
		      (int)most_free, (int)most_realloc);
	assert_true(most_alloc <= TARN_ARENA_UNITS);
	assert_true(most_free <= TARN_ARENA_UNITS);
	assert_true(most_realloc <= TARN_ARENA_UNITS);
	whole();
}

static void a_full_journal_undoes_the_tx_whole(void **state)
{
	const struct tarn_section_opts sopts = { .journal_size = 64 };
	struct tarn_arena_opts opts = { .size = 64 * KIB };
	struct tarn_section *s;
	struct tarn_arena *a;
	struct tarn_tx *t;
	tarn_ref ref;
	int r = 0;

	(void)state;
	assert_int_equal(tarn_section_open(region, "small", &sopts, &s), 0);
	opts.section = s;
	assert_int_equal(tarn_arena_open(region, "b", &opts, &a), 0);
	assert_int_equal(tarn_section_enter(s, TARN_FOREVER, &t, NULL), 0);
	r = tarn_arena_alloc(a, t, 64, 0, 0, &ref); /* needs a slab: more than 4 units */
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(tarn_arena_alloc(a, t, 64, 0, 0, &ref), -ENOSPC);
	assert_int_equal(tarn_section_leave(s), -ENOSPC);
	assert_int_equal(tarn_arena_check(a, print_finding, NULL), 0);
	tarn_arena_close(a);
	tarn_section_close(s);
}

/* --- debug ----------------------------------------------------------------------------------- */

static void use_after_free_is_found(void **state)
{
	tarn_ref ref;
	unsigned char *p;

	(void)state;
	enter();
	ref = alloc(64);
	(void)alloc(64);
	p = tarn_arena_at(arena, ref, 64);
	memset(p, 'x', 64);
	leave();
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, ref), 0);
	assert_int_equal(p[0], 0xdb);
	assert_int_equal(p[63], 0xdb);
	abort_tx();
	assert_int_equal(p[0], 'x'); /* the poison is undone, too */
	enter();
	assert_int_equal(tarn_arena_free(arena, tx, ref), 0);
	leave();
	enter();
	assert_int_equal(alloc(64), ref); /* untouched: well */
	assert_int_equal(tarn_arena_free(arena, tx, ref), 0);
	leave();
	p[40] = 'y';
	enter();
	assert_int_equal(tarn_arena_alloc(arena, tx, 64, 0, 0, &ref), -EUCLEAN);
	assert_int_equal(tarn_section_leave(section), -EUCLEAN);
}

/* --- looking on ------------------------------------------------------------------------------ */

struct seen {
	tarn_ref refs[8];
	uint64_t bytes;
	int count;
};

static int see(const struct tarn_block *block, void *arg)
{
	struct seen *seen = arg;

	assert_true(seen->count < 8);
	seen->refs[seen->count++] = block->ref;
	seen->bytes += block->size;
	return 0;
}

static void walk_meets_each_block_once(void **state)
{
	tarn_ref a, b, c;
	struct seen seen = { .count = 0 };

	(void)state;
	enter();
	a = alloc(64);
	b = alloc(20000);
	c = alloc(300 * KIB);
	/* inside, and after */
	assert_int_equal(tarn_arena_walk(arena, see, &seen), 0);
	assert_int_equal(seen.count, 3);
	leave();
	seen = (struct seen){ .count = 0 };
	assert_int_equal(tarn_arena_walk(arena, see, &seen), 0);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.bytes, stat_now().used);
	for (int i = 0; i < 3; i++)
		assert_true(seen.refs[i] == a || seen.refs[i] == b || seen.refs[i] == c);
}

static void an_observer_sees_the_arena(void **state)
{
	const struct tarn_region_opts look = { .flags = TARN_REGION_OBSERVE };
	const struct tarn_region_opts ropts = { .size = 1 << 20, .max_size = 8 << 20 };
	const struct tarn_section_opts sopts = { 0 };
	struct tarn_arena_opts opts = { .max_size = 4 << 20 };
	struct tarn_region *own, *other;
	struct tarn_section *s;
	struct tarn_arena *mine, *theirs;
	struct tarn_arena_stat st;
	struct tarn_tx *t;
	char addr[64];
	tarn_ref ref, grown;

	(void)state;
	snprintf(addr, sizeof(addr), "tarn-unit-%d-arena", (int)getpid());
	assert_int_equal(tarn_region_create(addr, &ropts, &own), 0);
	assert_int_equal(tarn_section_open(own, "s", &sopts, &s), 0);
	opts.section = s;
	assert_int_equal(tarn_arena_open(own, "a", &opts, &mine), 0);
	assert_int_equal(tarn_region_open(addr, &look, &other), 0);
	assert_int_equal(tarn_arena_open(other, "a", NULL, &theirs), 0);
	assert_int_equal(tarn_section_enter(s, TARN_FOREVER, &t, NULL), 0);
	assert_int_equal(tarn_arena_alloc(mine, t, 64, 0, 3, &ref), 0);
	memcpy(tarn_arena_at(mine, ref, 6), "hello", 6);
	assert_int_equal(tarn_arena_alloc(mine, t, 1 << 20, 0, 4, &grown), 0);
	memcpy(tarn_arena_at(mine, grown, 6), "there", 6);
	assert_int_equal(tarn_arena_stat(theirs, &st), -EAGAIN); /* somebody is inside */
	assert_int_equal(tarn_section_leave(s), 0);
	assert_string_equal(tarn_arena_at(theirs, ref, 6), "hello");
	assert_string_equal(tarn_arena_at(theirs, grown, 6), "there");
	assert_int_equal(tarn_arena_stat(theirs, &st), 0);
	assert_int_equal(st.tags[4].used_bytes, 1 << 20);
	assert_int_equal(tarn_arena_check(theirs, print_finding, NULL), 0);
	assert_int_equal(tarn_arena_remove(other, "a", 0, NULL), -EPERM);
	/* refs from nowhere */
	for (uint64_t bits = 0; bits < 64; bits++) {
		assert_null(tarn_arena_at(theirs, UINT64_MAX << bits, 8));
		assert_null(tarn_arena_at(
			theirs, ref, SIZE_MAX >> bits > 1 << 20 ? SIZE_MAX >> bits : SIZE_MAX));
	}
	tarn_arena_close(theirs);
	tarn_region_close(other);
	tarn_arena_close(mine);
	tarn_section_close(s);
	tarn_region_close(own);
	assert_int_equal(tarn_region_remove(addr, NULL), 0);
}

static void a_child_goes_on_with_the_handle(void **state)
{
	tarn_ref ref = 0;
	int status;
	pid_t pid;

	(void)state;
	enter();
	ref = alloc(300 * KIB);
	leave();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);

		if (r == 0)
			r = tarn_arena_free(arena, tx, ref);
		if (r == 0)
			r = tarn_arena_alloc(arena, tx, 64, 0, 0, &ref);
		if (r == 0)
			r = tarn_section_leave(section);
		_exit(r == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stat_now().used, 64);
	whole();
}

/* As the next one finds it that was stopped in the middle of making an object. */
static pid_t keep_the_directory(void)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (tarn__region_enter_member(region) < 0 || tarn__region_lock(region) < 0)
			_exit(1);
		(void)!write(ready[1], &byte, 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void that_another_keeps_the_directory_is_not_called_full(void **state)
{
	tarn_ref ref = 0, first;
	pid_t pid;

	(void)state;
	enter();
	first = alloc(300 * KIB);
	pid = keep_the_directory();
	assert_int_equal(tarn_arena_alloc(arena, tx, 400 * KIB, 0, 0, &ref), -ETIMEDOUT);
	assert_int_equal(tarn_arena_grow(arena, tx, 400 * KIB), -ETIMEDOUT);
	assert_int_equal(ref, 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* the tx goes on */
	assert_int_equal(tarn_arena_alloc(arena, tx, 400 * KIB, 0, 0, &ref), 0);
	assert_int_equal(tarn_arena_free(arena, tx, first), 0);
	leave();
	assert_int_equal(stat_now().used, 400 * KIB);
	whole();
}

/* A small block wants a slab, and takes a larger slot where none can be made. */
static void nor_is_it_for_a_small_block(void **state)
{
	tarn_ref ref = 0;
	pid_t pid;
	int r = 0;

	(void)state;
	enter();
	for (uint64_t room = stat_now().free; room >= 4 * KIB; room -= 4 * KIB)
		(void)alloc(4 * KIB);
	pid = keep_the_directory();
	for (int i = 0; r == 0 && i < 1000; i++)
		r = tarn_arena_alloc(arena, tx, 64, 0, 0, &ref);
	assert_int_equal(r, -ETIMEDOUT);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(tarn_arena_alloc(arena, tx, 64, 0, 0, &ref), 0);
	leave();
	whole();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_grows_to_max_size_and_gives_back, usual, drop),
		cmocka_unit_test_setup_teardown(what_it_grew_by_survives_an_abort, usual, drop),
		cmocka_unit_test_setup_teardown(another_handle_sees_the_growth, usual, drop),
		cmocka_unit_test_setup_teardown(names_that_are_taken_do_not_stop_it, usual, drop),
		cmocka_unit_test_setup_teardown(removed_is_removed_with_all_it_grew_by, usual,
						drop),
		cmocka_unit_test_setup_teardown(an_operation_takes_few_units, usual, drop),
		cmocka_unit_test_setup_teardown(in_any_state_too, usual, drop),
		cmocka_unit_test_setup_teardown(a_full_journal_undoes_the_tx_whole, usual, drop),
		cmocka_unit_test_setup_teardown(use_after_free_is_found, poisoned, drop),
		cmocka_unit_test_setup_teardown(walk_meets_each_block_once, usual, drop),
		cmocka_unit_test_setup_teardown(an_observer_sees_the_arena, usual, drop),
		cmocka_unit_test_setup_teardown(a_child_goes_on_with_the_handle, usual, drop),
		cmocka_unit_test_setup_teardown(that_another_keeps_the_directory_is_not_called_full,
						usual, drop),
		cmocka_unit_test_setup_teardown(nor_is_it_for_a_small_block, usual, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
