/* SPDX-License-Identifier: BSD-2-Clause */
/* Arenas used by two threads: blocks come, go and move, while they are counted, walked, grown. */
#include <errno.h>

#include "duet.h"

enum { ROUNDS = 3000, SLOTS = 32 };

static struct tarn_section *section, *second;
static struct tarn_arena *arena, *other;
static tarn_ref *slots; /* in the region, under the first section; a block starts with its slot */

static struct tarn_tx *enter(struct tarn_section *which)
{
	struct tarn_tx *tx;

	must("enter", tarn_section_enter(which, TARN_FOREVER, &tx, NULL));
	return tx;
}

static uint64_t next(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return *state >> 33;
}

/* By atomic bytes: who counts without being inside may look at what was the arena's a moment ago,
 * and throws away what came of it, which ThreadSanitizer cannot know. */
static void fill(void *block, uint64_t size)
{
	unsigned char *bytes = block;

	for (uint64_t n = 0; n < size; n++)
		__atomic_store_n(&bytes[n], 0x5a, __ATOMIC_RELAXED);
}

/* A block of another size in slot @i, or none: filled without a log, since it is new. */
static void change_slot(struct tarn_arena *where, struct tarn_tx *tx, uint64_t i, uint64_t size)
{
	tarn_ref ref = slots[i];
	uint64_t *block = tarn_arena_at(where, ref, sizeof(*block));

	expect("whose", (block != NULL) == (ref != 0) && (block == NULL || *block == i));
	must("free", tarn_arena_free(where, tx, ref));
	ref = 0;
	if (size >= 8) {
		int r = tarn_arena_alloc(where, tx, size, 0, (uint32_t)i, &ref);

		expect("alloc", r == 0 || r == -ENOMEM);
		if (r == 0) {
			block = tarn_arena_at(where, ref, size);
			fill(block, size);
			__atomic_store_n(block, i, __ATOMIC_RELAXED);
		}
	}
	must("set", tarn_tx_set64(tx, &slots[i], ref));
}

static void change_by(struct tarn_section *by, struct tarn_arena *where, uint64_t seed, bool abort)
{
	for (int n = 0; n < ROUNDS; n++) {
		struct tarn_tx *tx = enter(by);

		for (uint64_t i = next(&seed) % 3 + 1; i > 0; i--)
			change_slot(where, tx, next(&seed) % SLOTS,
				    next(&seed) % 8 == 0 ? 5000 : next(&seed) % 300);
		must("leave",
		     abort && n % 2 == 0 ? tarn_section_abort(by) : tarn_section_leave(by));
	}
}

static void *change(void *arg)
{
	change_by(section, arena, 1, false);
	return arg;
}

static void *change_and_abort(void *arg)
{
	change_by(section, arena, 2, true);
	return arg;
}

/* By handles of its own, which learn by themselves what the others let it grow by. */
static void *change_by_another(void *arg)
{
	struct tarn_section *my_section;
	struct tarn_arena *my_arena;

	must("section", tarn_section_open(region, "first", NULL, &my_section));
	must("arena", tarn_arena_open(region, "arena", NULL, &my_arena));
	change_by(my_section, my_arena, 3, false);
	tarn_arena_close(my_arena);
	tarn_section_close(my_section);
	return arg;
}

/* Another arena under another section: they have nothing to do with each other. */
static void *change_the_other(void *arg)
{
	for (int n = 0; n < ROUNDS; n++) {
		struct tarn_tx *tx = enter(second);
		tarn_ref ref;

		must("alloc", tarn_arena_alloc(other, tx, 100, 0, 0, &ref));
		must("free", tarn_arena_free(other, tx, ref));
		must("leave", tarn_section_leave(second));
	}
	return arg;
}

static void *grow_and_trim(void *arg)
{
	for (int n = 0; n < ROUNDS / 10; n++) {
		struct tarn_tx *tx = enter(section);
		int r = tarn_arena_grow(arena, tx, 40000);

		expect("grow", r == 0 || r == -ENOMEM);
		must("leave", tarn_section_leave(section));
		must("trim", tarn_arena_trim(arena, section, TARN_FOREVER, NULL));
	}
	return arg;
}

/* --- without being inside ------------------------------------------------------------------ */

static void *count(void *arg)
{
	struct tarn_arena_stat st;

	for (int n = 0; n < ROUNDS / 5; n++) {
		must("stat", tarn_arena_stat(arena, &st));
		expect("figures", st.used_count <= SLOTS && st.used + st.free <= st.size);
	}
	return arg;
}

static int see(const struct tarn_block *block, void *arg)
{
	*(uint64_t *)arg += block->size;
	return 0;
}

static void *walk(void *arg)
{
	for (int n = 0; n < ROUNDS / 5; n++) {
		uint64_t bytes = 0;
		int r = tarn_arena_walk(arena, see, &bytes);

		/* torn while it changes, so what it met may be anything: never damage it alone */
		expect("walk", r == 0 || r == -EAGAIN || r == -EUCLEAN);
	}
	return arg;
}

static void *check(void *arg)
{
	for (int n = 0; n < ROUNDS / 20; n++)
		must("check", tarn_arena_check(arena, NULL, NULL));
	return arg;
}

/* Refs from nowhere, beside a handle whose extents come and go. */
static void *follow(void *arg)
{
	uint64_t seed = 4;

	for (int n = 0; n < ROUNDS * 10; n++) {
		tarn_ref ref = next(&seed) % (1 << 20);
		void *at = tarn_arena_at(arena, ref, 16);

		expect("ref", at == NULL || tarn_arena_ref(arena, at) == ref ||
				      tarn_arena_at(arena, ref, 16) == NULL);
	}
	return arg;
}

static const struct duet cases[] = {
	{ "two that allocate", change, change },
	{ "two that allocate, by two handles", change, change_by_another },
	{ "two arenas", change, change_the_other },
	{ "aborts beside allocations", change_and_abort, change },
	{ "growth and trimming", change, grow_and_trim },
	{ "figures", change, count },
	{ "figures beside aborts and growth", change_and_abort, count },
	{ "walks", change, walk },
	{ "checks", change, check },
	{ "refs beside growth", grow_and_trim, follow },
};

int main(int argc, char **argv)
{
	const struct tarn_section_opts opts = { .journal_size = 32 << 10 };
	struct tarn_arena_opts aopts = { .size = 8 << 10, .max_size = 128 << 10 };
	size_t i = duet_begin(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
	void *data;

	must("first", tarn_section_open(region, "first", &opts, &section));
	must("second", tarn_section_open(region, "second", &opts, &second));
	aopts.section = section;
	must("arena", tarn_arena_open(region, "arena", &aopts, &arena));
	aopts.section = second;
	must("other", tarn_arena_open(region, "other", &aopts, &other));
	must("slots", tarn_object_create(region, "slots", SLOTS * 8, &data, NULL));
	slots = data;
	duet_run(&cases[i]);
	tarn_arena_close(arena);
	tarn_arena_close(other);
	tarn_section_close(section);
	tarn_section_close(second);
	duet_end();
	return 0;
}
