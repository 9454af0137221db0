/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arena against a model: every sequence of operations on a small arena, and random ones, many,
 * on a larger one that grows and is trimmed. After each tx the books must agree to the byte, and
 * after an abort the arena's tables must be what they were.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arena/arena.h"

static struct tarn_region *region;
static struct tarn_section *section;
static struct tarn_arena *arena;
static struct tarn_tx *tx;

static void print_finding(const struct tarn_finding *f, void *arg)
{
	(void)arg;
	print_message("# %s: %s %s: found %llx, expected %llx\n", f->where, f->field, f->rule,
		      (unsigned long long)f->found, (unsigned long long)f->expected);
}

static void open_arena(uint64_t size, uint64_t max_size, uint32_t flags)
{
	const struct tarn_region_opts ropts = { .size = size * 2 + (1 << 20),
						.max_size = max_size * 2 + (4 << 20),
						.member_max = 4,
						.object_max = 128 };
	const struct tarn_section_opts sopts = { .journal_size = 1 << 20 };
	struct tarn_arena_opts opts = { .size = size, .max_size = max_size, .flags = flags };

	assert_int_equal(tarn_region_create("anon:", &ropts, &region), 0);
	assert_int_equal(tarn_section_open(region, "s", &sopts, &section), 0);
	opts.section = section;
	assert_int_equal(tarn_arena_open(region, "a", &opts, &arena), 0);
}

static void close_arena(void)
{
	tarn_arena_close(arena);
	tarn_section_close(section);
	tarn_region_close(region);
}

/* --- the model ------------------------------------------------------------------------------- */

struct block {
	tarn_ref ref;
	uint64_t size; /* asked for */
	uint64_t usable;
	uint32_t tag;
	uint32_t seed; /* of its bytes */
};

enum { BLOCKS = 3000 };

struct model {
	struct block blocks[BLOCKS];
	int count;
	uint64_t used;
};

static struct model now, before;
static uint64_t ops, aborts, fulls;

static uint64_t rng;

static uint64_t draw(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % below;
}

/* The first 512 bytes, and some of the rest. */
static void fill(const struct block *b)
{
	unsigned char *p = tarn_arena_at(arena, b->ref, b->usable);

	assert_non_null(p);
	for (uint64_t i = 0; i < b->usable; i += i < 512 ? 1 : 61)
		p[i] = (unsigned char)(b->seed + i * 7);
}

static void verify(const struct block *b, uint64_t size)
{
	const unsigned char *p = tarn_arena_at(arena, b->ref, b->usable);

	assert_non_null(p);
	for (uint64_t i = 0; i < b->usable; i += i < 512 ? 1 : 61)
		if (i < size && p[i] != (unsigned char)(b->seed + i * 7))
			fail_msg("block %llx of %llu: byte %llu", (unsigned long long)b->ref,
				 (unsigned long long)b->size, (unsigned long long)i);
}

static uint64_t draw_size(void)
{
	switch (draw(16)) {
	case 0:
		return 1 + draw(60000);
	case 1:
	case 2:
		return 1 + draw(9000);
	default:
		return 1 + draw(300);
	}
}

static void do_alloc(void)
{
	struct block *b = &now.blocks[now.count];
	uint32_t align = draw(8) == 0 ? 1u << draw(13) : 0;
	int r;

	if (now.count == BLOCKS)
		return;
	*b = (struct block){ .size = draw_size(),
			     .tag = (uint32_t)draw(5),
			     .seed = (uint32_t)draw(1 << 20) };
	r = tarn_arena_alloc(arena, tx, b->size, align, b->tag, &b->ref);
	if (r == -ENOMEM) {
		fulls++;
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(b->ref % (align != 0 ? align : 16), 0);
	assert_int_equal(tarn_arena_usable_size(arena, b->ref, &b->usable), 0);
	assert_true(b->usable >= b->size);
	fill(b);
	now.used += b->usable;
	now.count++;
}

static void do_free(void)
{
	int i;

	if (now.count == 0)
		return;
	i = (int)draw((uint64_t)now.count);
	verify(&now.blocks[i], UINT64_MAX);
	assert_int_equal(tarn_arena_free(arena, tx, now.blocks[i].ref), 0);
	if (draw(8) == 0)
		assert_int_equal(tarn_arena_free(arena, tx, now.blocks[i].ref), -EINVAL);
	now.used -= now.blocks[i].usable;
	now.blocks[i] = now.blocks[--now.count];
}

static void do_realloc(void)
{
	struct block *b, old;
	int r;

	if (now.count == 0)
		return;
	b = &now.blocks[draw((uint64_t)now.count)];
	old = *b;
	b->size = draw_size();
	/* what it holds may be stored over later in the tx: a log that an abort needs */
	if (tarn_tx_log(tx, tarn_arena_at(arena, b->ref, b->usable), (size_t)b->usable) < 0)
		return;
	r = tarn_arena_realloc(arena, tx, b->ref, b->size, 0, &b->ref);
	if (r == -ENOMEM) {
		*b = old;
		fulls++;
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(tarn_arena_usable_size(arena, b->ref, &b->usable), 0);
	verify(b, old.usable < b->size ? old.usable : b->size);
	now.used += b->usable - old.usable;
	fill(b);
}

static void agree(void)
{
	struct tarn_arena_stat st;
	uint64_t tags[5] = { 0 };

	if (tarn_arena_check(arena, print_finding, NULL) != 0)
		fail_msg("after %llu operations", (unsigned long long)ops);
	assert_int_equal(tarn_arena_stat(arena, &st), 0);
	assert_int_equal(st.used, now.used);
	assert_int_equal(st.used_count, now.count);
	for (int i = 0; i < now.count; i++) {
		verify(&now.blocks[i], UINT64_MAX);
		tags[now.blocks[i].tag] += now.blocks[i].usable;
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(st.tags[i].used_bytes, tags[i]);
}

static void one_tx(uint64_t length, uint64_t bias)
{
	int r;

	before = now;
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	for (uint64_t n = 1 + draw(length); n > 0; n--, ops++) {
		uint64_t what = draw(100);

		if (what < bias)
			do_alloc();
		else if (what < 94)
			do_free();
		else
			do_realloc();
	}
	if (draw(4) == 0) {
		aborts++;
		assert_int_equal(tarn_section_abort(section), 0);
		now = before;
		return;
	}
	r = tarn_section_leave(section);
	if (r == -ENOSPC) /* the journal: undone, whole */
		now = before;
	else
		assert_int_equal(r, 0);
}

static void random_operations(uint64_t count, uint32_t flags)
{
	uint64_t next = 0;

	memset(&now, 0, sizeof(now));
	ops = aborts = fulls = 0;
	open_arena(256 << 10, 6 << 20, flags);
	while (ops < count) {
		/* it fills, and empties */
		uint64_t bias = ops / 20000 % 2 == 0 ? 60 : 35;

		one_tx(draw(3) == 0 ? 40 : 4, bias);
		if (ops >= next) {
			next = ops + 1 + draw(20000);
			agree();
			if (draw(4) == 0)
				assert_int_equal(
					tarn_arena_trim(arena, section, TARN_FOREVER, NULL), 0);
			agree();
		}
	}
	agree();
	print_message("# %llu operations, %llu aborts, %llu times full, %d blocks left\n",
		      (unsigned long long)ops, (unsigned long long)aborts,
		      (unsigned long long)fulls, now.count);
	while (now.count > 0) {
		assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
		do_free();
		assert_int_equal(tarn_section_leave(section), 0);
	}
	assert_int_equal(tarn_arena_trim(arena, section, TARN_FOREVER, NULL), 0);
	agree();
	struct tarn_arena_stat st;

	assert_int_equal(tarn_arena_stat(arena, &st), 0);
	assert_int_equal(st.used, 0);
	assert_int_equal(st.size, 256 << 10);
	assert_int_equal(st.free, st.size);
	assert_int_equal(st.largest, st.size); /* all joined again: not one byte is lost */
	assert_int_equal(tarn_region_check(region, print_finding, NULL), 0);
	close_arena();
}

static uint64_t many(void)
{
	const char *text = getenv("TARN_ARENA_OPS");

	return text != NULL ? strtoull(text, NULL, 10) : 1000000;
}

static void random_operations_agree_with_the_books(void **state)
{
	(void)state;
	rng = 0x9e3779b97f4a7c15u;
	random_operations(many(), 0);
}

static void and_with_poison(void **state)
{
	(void)state;
	rng = 0x2545f4914f6cdd1du;
	random_operations(many() / 4, TARN_ARENA_POISON);
}

/* --- every sequence -------------------------------------------------------------------------- */

enum { DEPTH = 6, SIZES = 5, FREES = 3, PAGES = 5 };

static const uint64_t sizes[SIZES] = { 2048, 1024, 4096, 8192, 12288 };
static uint64_t sequences;
static unsigned char *image;
static size_t image_size;

/* All tables, without the words that are not undone. */
static void take_image(unsigned char *to)
{
	const struct arena_shm *shm = arena->shm;
	struct arena_shm *copy = (struct arena_shm *)(void *)to;
	struct meta_shm *metas = (struct meta_shm *)(void *)(to + sizeof(*shm) + 64);

	memcpy(to, shm, image_size);
	copy->ticket = 0;
	for (int i = 0; i < PAGES; i++)
		metas[i].mark = 0;
}

/* Do op @n with the blocks that are there. False: there is nothing to free. */
static bool step(int n, tarn_ref *refs, uint64_t *have, int *count)
{
	int r, i;

	if (n < SIZES) {
		r = tarn_arena_alloc(arena, tx, sizes[n], 0, 0, &refs[*count]);
		assert_true(r == 0 || r == -ENOMEM);
		if (r == 0)
			have[(*count)++] = sizes[n];
		return true;
	}
	/* the oldest, the one before the last, the last */
	i = n == SIZES ? 0 : *count - 1 - (n - SIZES - 1);
	if (i < 0 || i >= *count || (n > SIZES && i == 0))
		return false;
	assert_int_equal(tarn_arena_free(arena, tx, refs[i]), 0);
	memmove(&refs[i], &refs[i + 1], (size_t)(*count - i - 1) * sizeof(*refs));
	memmove(&have[i], &have[i + 1], (size_t)(*count - i - 1) * sizeof(*have));
	--*count;
	return true;
}

static void no_two_overlap(const tarn_ref *refs, const uint64_t *have, int count)
{
	for (int i = 0; i < count; i++)
		for (int k = 0; k < i; k++)
			assert_true(refs[i] + have[i] <= refs[k] || refs[k] + have[k] <= refs[i]);
}

static void run_sequence(const int *sequence, int length)
{
	tarn_ref refs[DEPTH + 2];
	uint64_t have[DEPTH + 2], sum = 0;
	struct tarn_arena_stat st;
	unsigned char *after = image + image_size;
	int count = 0;
	bool ran = true;

	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	for (int i = 0; i < length && ran; i++)
		ran = step(sequence[i], refs, have, &count);
	if (ran) {
		sequences++;
		no_two_overlap(refs, have, count);
		for (int i = 0; i < count; i++)
			sum += have[i];
		if (tarn_arena_check(arena, print_finding, NULL) != 0)
			fail_msg("a sequence of %d: %d %d %d %d %d %d", length, sequence[0],
				 sequence[1], sequence[2], sequence[3], sequence[4], sequence[5]);
		assert_int_equal(tarn_arena_stat(arena, &st), 0);
		assert_true(st.used >= sum && st.used_count == (uint64_t)count);
	}
	assert_int_equal(tarn_section_abort(section), 0);
	take_image(after);
	assert_memory_equal(image, after, image_size);
}

static void every_short_sequence_and_its_abort(void **state)
{
	int sequence[DEPTH] = { 0 };
	uint64_t total = 1;

	(void)state;
	open_arena(PAGES * 4096, PAGES * 4096, 0);
	image_size = sizeof(struct arena_shm) + 64 + PAGES * 64;
	image = malloc(2 * image_size);
	assert_non_null(image);
	take_image(image);
	sequences = 0;
	for (int i = 0; i < DEPTH; i++)
		total *= SIZES + FREES;
	for (uint64_t n = 0; n < total; n++) {
		uint64_t rest = n;

		for (int i = 0; i < DEPTH; i++) {
			sequence[i] = (int)(rest % (SIZES + FREES));
			rest /= SIZES + FREES;
		}
		run_sequence(sequence, DEPTH);
	}
	print_message("# %llu sequences of %d operations\n", (unsigned long long)sequences, DEPTH);
	assert_true(sequences > 50000);
	free(image);
	close_arena();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_short_sequence_and_its_abort),
		cmocka_unit_test(random_operations_agree_with_the_books),
		cmocka_unit_test(and_with_poison),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
