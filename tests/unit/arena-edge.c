/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arena: every word of its tables damaged, one at a time and many at once. Each call must come back
 * with an error that the header names, or well; nothing outside of the arena may be written, and
 * the checker must find what is wrong, and nothing where nothing is.
 */
#include <signal.h>

#include "arena.h"

enum { GUARD = 4096 };

static unsigned char *before_it, *behind_it;
static unsigned char *image;
static uint64_t damaged_calls, errors;

static uint64_t rng = 0x9e3779b97f4a7c15u;

static uint64_t draw(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % below;
}

/* Between two guards; with blocks of all kinds, and grown. */
static int filled(void **state)
{
	const struct tarn_region_opts ropts = { .size = 4 << 20, .max_size = 8 << 20 };
	const struct tarn_section_opts sopts = { .journal_size = 65536 };
	struct tarn_arena_opts opts = { .size = 128 * KIB, .max_size = 512 * KIB };
	tarn_ref refs[200];
	void *data;

	(void)state;
	assert_int_equal(tarn_region_create("anon:", &ropts, &region), 0);
	assert_int_equal(tarn_section_open(region, "s", &sopts, &section), 0);
	assert_int_equal(tarn_object_create(region, "before", GUARD, &data, NULL), 0);
	before_it = data;
	opts.section = section;
	assert_int_equal(tarn_arena_open(region, "a", &opts, &arena), 0);
	assert_int_equal(tarn_object_create(region, "behind", GUARD, &data, NULL), 0);
	behind_it = data;
	memset(before_it, 0x11, GUARD);
	memset(behind_it, 0x22, GUARD);
	for (int i = 0; i < 200; i++) {
		enter();
		refs[i] = alloc(1 + (uint64_t)(i * 37 % (i % 9 == 0 ? 9000 : 700)));
		leave();
	}
	for (int i = 0; i < 200; i += 2) {
		enter();
		assert_int_equal(tarn_arena_free(arena, tx, refs[i]), 0);
		leave();
	}
	assert_true(stat_now().extents > 1);
	whole();
	return 0;
}

static int drop_filled(void **state)
{
	tarn_object_close(region, before_it);
	tarn_object_close(region, behind_it);
	return drop(state);
}

/* The words of the arena's tables, by number. */
static uint32_t *table_word(uint64_t n)
{
	for (uint32_t i = 0; i < arena->span_count; i++) {
		const struct span *span = &arena->spans[i];
		uint64_t begin = (uint64_t)((unsigned char *)span->heads - region->base);
		uint64_t words = ((uint64_t)span_first(span) * PAGE - begin) / 4;

		if (n < words)
			return (uint32_t *)(void *)(region->base + begin) + n;
		n -= words;
	}
	return n * 4 < sizeof(struct arena_shm) ? (uint32_t *)(void *)arena->shm + n : NULL;
}

static uint64_t table_words(void)
{
	uint64_t n = 0;

	while (table_word(n) != NULL)
		n++;
	return n;
}

static uint32_t bad_value(uint32_t was)
{
	switch (draw(8)) {
	case 0:
		return 0;
	case 1:
		return UINT32_MAX;
	case 2:
		return was + 1;
	case 3:
		return was - 1;
	case 4:
		return was ^ 1u << draw(32);
	case 5:
		return *table_word(draw(table_words()));
	case 6:
		return (uint32_t)draw(2048);
	default:
		return (uint32_t)rng;
	}
}

static void expected(int r)
{
	static const int named[] = { 0,       -ENOMEM,          -EINVAL,   -EPERM,
				     -ENOENT, -ENOSPC,          -EUCLEAN,  -EDEADLK,
				     -EAGAIN, -ENOTRECOVERABLE, -ETIMEDOUT };
	size_t i = 0;

	while (i < sizeof(named) / sizeof(*named) && named[i] != r)
		i++;
	if (i == sizeof(named) / sizeof(*named))
		fail_msg("%d, which the header does not name", r);
	damaged_calls++;
	errors += r != 0;
}

static int ignore_block(const struct tarn_block *block, void *arg)
{
	uint64_t *count = arg;

	(void)block;
	return ++*count > 1000000 ? 1 : 0;
}

/* Some calls of every kind. The tx is aborted. */
static void use_it(void)
{
	struct tarn_arena_stat st;
	tarn_ref ref = 0, refs[4] = { 0 };
	uint64_t size, count = 0;
	int r;

	expected(tarn_arena_check(arena, NULL, NULL));
	expected(tarn_region_check(region, NULL, NULL));
	expected(tarn_arena_stat(arena, &st));
	r = tarn_arena_walk(arena, ignore_block, &count);
	expected(r > 0 ? 0 : r);
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	for (int i = 0; i < 4; i++) {
		r = tarn_arena_alloc(arena, tx, 1 + draw(draw(3) == 0 ? 20000 : 800), 0, 0,
				     &refs[i]);
		expected(r);
		if (r == 0)
			assert_non_null(tarn_arena_at(arena, refs[i], 1));
	}
	for (int i = 0; i < 12; i++) {
		ref = (uint64_t)span_first(&arena->spans[draw(arena->span_count)]) * PAGE +
		      draw(128 * KIB / 16) * 16;
		expected(draw(2) == 0
				 ? tarn_arena_free(arena, tx, ref)
				 : tarn_arena_realloc(arena, tx, ref, 1 + draw(9000), 0, &ref));
		expected(tarn_arena_usable_size(arena, ref, &size));
	}
	expected(tarn_arena_free(arena, tx, refs[draw(4)]));
	expected(tarn_arena_grow(arena, tx, 1 + draw(300 * KIB)));
	expected(tarn_section_abort(section));
}

static void save(void)
{
	uint64_t words = table_words();

	image = malloc(words * 4);
	assert_non_null(image);
	for (uint64_t n = 0; n < words; n++)
		memcpy(image + n * 4, table_word(n), 4);
}

/* The handle's copy of what it consists of may have changed with the table: put that back first. */
static void restore(uint64_t words)
{
	memcpy(arena->shm, image + (words * 4 - sizeof(struct arena_shm)),
	       sizeof(struct arena_shm));
	arena->shm->epoch += 2; /* look again */
	assert_int_equal(tarn__arena_sync(arena), 0);
	for (uint64_t n = 0; n < words; n++)
		memcpy(table_word(n), image + n * 4, 4);
	assert_int_equal(tarn__arena_sync(arena), 0);
}

static void guards_hold(void)
{
	for (int i = 0; i < GUARD; i++) {
		assert_int_equal(before_it[i], 0x11);
		assert_int_equal(behind_it[i], 0x22);
	}
}

static void damage_anywhere_is_survived(void **state)
{
	uint64_t words, rounds = getenv("TARN_ARENA_OPS") != NULL ? 200000 : 12000;

	(void)state;
	words = table_words();
	save();
	alarm(250);
	for (uint64_t i = 0; i < rounds; i++) {
		for (uint64_t n = 1 + (draw(3) == 0 ? draw(40) : 0); n > 0; n--) {
			/* the arena's own words as often as all others */
			uint64_t at = draw(2) == 0 ? draw(words)
						   : words - 1 - draw(sizeof(struct arena_shm) / 4);
			uint32_t *word = table_word(at);

			*word = bad_value(*word);
			if (table_words() != words)
				break;
		}
		use_it();
		guards_hold();
		restore(words);
		if (i % 64 == 0)
			whole();
	}
	alarm(0);
	whole();
	print_message("# %llu calls on %llu damaged arenas, %llu errors\n",
		      (unsigned long long)damaged_calls, (unsigned long long)rounds,
		      (unsigned long long)errors);
	free(image);
}

/* --- the checker finds each kind of damage -------------------------------------------------- */

static char field_found[32];

static void keep_field(const struct tarn_finding *f, void *arg)
{
	(void)arg;
	snprintf(field_found, sizeof(field_found), "%s", f->field);
}

static void finds(const char *what, void *word, uint64_t value, size_t size)
{
	uint64_t was = 0;

	memcpy(&was, word, size);
	memcpy(word, &value, size);
	field_found[0] = '\0';
	if (tarn_region_check(region, keep_field, NULL) != -EUCLEAN || field_found[0] == '\0')
		fail_msg("%s: not found", what);
	memcpy(word, &was, size);
	assert_int_equal(tarn_region_check(region, print_finding, NULL), 0);
}

static void the_checker_finds_each_kind_of_damage(void **state)
{
	struct arena_shm *shm = arena->shm;
	struct run slab = { 0 }, free_run = { 0 };
	uint32_t class = IN_SLAB_CLASSES, bin = 0; /* one word of bits */

	(void)state;
	while (shm->classes[class] == 0)
		class ++;
	while (shm->bins[bin] == 0)
		bin++;
	assert_true(run_at(arena, shm->classes[class], &slab));
	assert_true(run_at(arena, shm->bins[bin], &free_run));
	finds("magic", &shm->magic, 1, 4);
	finds("version", &shm->version, 2, 4);
	finds("flags", &shm->flags, 8, 4);
	finds("id", &shm->id, 9, 8);
	finds("section", &shm->section, 4096, 8);
	finds("max_pages", &shm->max_pages, 1, 4);
	finds("pages", &shm->pages, shm->pages - 1, 4);
	finds("an extent lost", &shm->extents[1], 0, 8);
	finds("an extent that is none", &shm->extents[5], 4096, 8);
	finds("a bin that is empty", &shm->bins[bin], 0, 4);
	finds("a bin too many", &shm->bins[60], shm->bins[bin], 4);
	finds("a class that is empty", &shm->classes[class], 0, 4);
	finds("a class too many", &shm->classes[50], 1, 4);
	finds("a slab in the wrong class", &shm->classes[class], shm->bins[bin], 4);
	finds("a free run that is large", &free_run.meta->info,
	      info_of(KIND_LARGE, 0, 0, run_len(&free_run)), 8);
	finds("a slab that is free", &slab.meta->info, info_of(KIND_FREE, 0, 0, run_len(&slab)), 8);
	finds("a run too long", &free_run.meta->info,
	      info_of(KIND_FREE, 0, 0, run_len(&free_run) + 1), 8);
	finds("a run that is nothing", &free_run.meta->info, info_of(7, 0, 0, run_len(&free_run)),
	      8);
	finds("a bit beyond the blocks", free_word(slab.meta, words_of(class) - 1), UINT64_MAX, 8);
	finds("a slab said to be full", free_word(slab.meta, 0), 0, 8);
	finds("a link that leads away", &slab.meta->link, link_of(1, 1), 8);
	finds("a head too few", &slab.span->heads[(slab.page - span_first(slab.span)) / 64], 0, 8);
	finds("heads everywhere",
	      &free_run.span->heads[(free_run.page - span_first(free_run.span)) / 64], UINT64_MAX,
	      8);
}

static void an_extent_without_an_arena_is_told(void **state)
{
	struct tarn_arena *other;
	const struct tarn_arena_opts opts = { .section = section };

	(void)state;
	/* by the wrong call: it knows nothing of extents */
	assert_int_equal(tarn_object_remove(region, "a"), 0);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	/* an arena of the name takes their place when it grows */
	assert_int_equal(tarn_arena_open(region, "a", &opts, &other), 0);
	tarn_arena_close(other);
	assert_int_equal(tarn_object_remove(region, "a.1"), 0);
}

static void without_its_section_it_cannot_be_opened(void **state)
{
	struct tarn_diag diag = { "", "" };
	struct tarn_arena_opts opts = { .diag = &diag };
	struct tarn_arena *other = NULL;

	(void)state;
	assert_int_equal(tarn_section_remove(region, "s", NULL), 0);
	tarn_arena_close(arena);
	tarn_section_close(section);
	arena = NULL;
	section = NULL;
	assert_int_equal(tarn_region_gc(region, NULL), 0);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	assert_int_equal(tarn_arena_open(region, "a", &opts, &other), -EUCLEAN);
	assert_non_null(strstr(diag.what, "section"));
	/* and can be removed */
	assert_int_equal(tarn_arena_remove(region, "a", TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_region_check(region, print_finding, NULL), 0);
}

/* --- who is inside does not hide it --------------------------------------------------------- */

static int unseen_count;

static void count_unseen(const struct tarn_finding *f, void *arg)
{
	(void)arg;
	unseen_count += f->unseen;
}

static int check_counting(void)
{
	unseen_count = 0;
	return tarn_region_check(region, count_unseen, NULL);
}

/* A child that is inside: it ends there, or says so and stays. */
static pid_t somebody_inside(bool stays)
{
	int fds[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		if (tarn_section_enter(section, TARN_FOREVER, &tx, NULL) < 0 ||
		    tarn_tx_set32(tx, &arena->shm->bins[7], 77) < 0 || write(fds[1], "i", 1) != 1)
			_exit(1);
		while (stays)
			pause();
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	if (!stays)
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void damage_is_found_whoever_was_inside(void **state)
{
	uint32_t was = arena->shm->bins[5];
	pid_t pid;

	(void)state;
	arena->shm->bins[5] = 12345;
	enter();
	assert_int_equal(check_counting(), -EUCLEAN);
	leave();
	(void)somebody_inside(false);
	assert_int_equal(check_counting(), -EUCLEAN);
	assert_int_equal(unseen_count, 0);
	arena->shm->bins[5] = was;
	(void)somebody_inside(false);
	assert_int_equal(check_counting(), 0); /* what it left is undone */
	pid = somebody_inside(true);
	assert_int_equal(check_counting(), 1); /* and not called sound */
	assert_int_equal(unseen_count, 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(check_counting(), 0);
}

/* --- what hostile words cost ---------------------------------------------------------------- */

/* A ring that never comes back to its first: as many steps as the arena has pages, whatever the
 * word says; else this would take seconds a call, and the alarm end it. */
static void a_bent_ring_is_followed_for_as_many_steps_as_there_are_pages(void **state)
{
	tarn_ref refs[24];
	struct run first = { 0 }, second = { 0 }, third = { 0 };
	int count = 0;

	(void)state;
	enter();
	while (count < 24 && tarn_arena_alloc(arena, tx, 8192, 0, 0, &refs[count]) == 0)
		count++;
	leave();
	enter();
	for (int i = 0; i < count; i += 2)
		assert_int_equal(tarn_arena_free(arena, tx, refs[i]), 0);
	leave();
	assert_true(run_at(arena, arena->shm->bins[1], &first));
	assert_true(run_at(arena, link_next(first.meta->link), &second));
	assert_true(run_at(arena, link_next(second.meta->link), &third));
	assert_true(third.page != first.page && third.page != second.page);
	third.meta->link = link_of(second.page, second.page);
	arena->shm->pages = UINT32_MAX;
	alarm(20);
	for (int i = 0; i < 300; i++) {
		enter();
		/* so none of them serves */
		first.meta->mark = second.meta->mark = third.meta->mark = mark_of(tx);
		assert_int_equal(tarn_arena_alloc(arena, tx, 8192, 0, 0, &refs[0]), -EUCLEAN);
		abort_tx();
	}
	alarm(0);
}

/* The four words of a slab of the smallest class, all 0 though it is in its list. */
static void a_slab_without_a_bit_is_no_place_to_look_behind(void **state)
{
	struct run slab = { 0 };
	tarn_ref ref = 0;

	(void)state;
	assert_true(run_at(arena, arena->shm->classes[0], &slab));
	for (uint32_t w = 0; w < words_of(0); w++)
		*free_word(slab.meta, w) = 0;
	enter();
	assert_int_equal(tarn_arena_alloc(arena, tx, 16, 0, 0, &ref), -EUCLEAN);
	abort_tx();
	assert_int_equal(ref, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_checker_finds_each_kind_of_damage, filled,
						drop_filled),
		cmocka_unit_test_setup_teardown(damage_anywhere_is_survived, filled, drop_filled),
		cmocka_unit_test_setup_teardown(damage_is_found_whoever_was_inside, filled,
						drop_filled),
		cmocka_unit_test_setup_teardown(
			a_bent_ring_is_followed_for_as_many_steps_as_there_are_pages, filled,
			drop_filled),
		cmocka_unit_test_setup_teardown(a_slab_without_a_bit_is_no_place_to_look_behind,
						filled, drop_filled),
		cmocka_unit_test_setup_teardown(an_extent_without_an_arena_is_told, filled,
						drop_filled),
		cmocka_unit_test_setup_teardown(without_its_section_it_cannot_be_opened, filled,
						drop_filled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
