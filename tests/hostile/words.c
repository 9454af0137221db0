/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * words.c - victims that sleep on single words and change them, while a peer stores into them,
 * wakes who sleeps there, and moves sleepers away to where nobody will wake them. What the words
 * say is worth nothing then; but nobody sleeps on after its deadline, or gives up before, and who
 * sleeps without one sees that the word has changed, though it was not woken.
 */
#include <assert.h>
#include <stddef.h>
#include <time.h>

#include "victims.h"

enum { WORDS = 16 };

/* -EFAULT: the page has gone under who sleeps there. */
static const int wait_errors[] = { ETIMEDOUT, 0 }, cut_errors[] = { ETIMEDOUT, EFAULT, 0 };
static const int wake_errors[] = { 0 }, cut_wake_errors[] = { EFAULT, 0 };

struct words {
	char magic[64]; /* hostile_find_words() looks for it */
	uint32_t narrow[WORDS];
	uint64_t wide[WORDS];
};

static_assert(offsetof(struct words, narrow) == HOSTILE_WORDS_AT, "where the peer stores");
static_assert(sizeof(struct words) == HOSTILE_WORDS_AT + HOSTILE_WORDS_SIZE, "as far as that");

void victims_make_words(struct tarn_region *region)
{
	struct words *words;
	void *data;

	must("words", tarn_object_create(region, "words", sizeof(*words), &data, NULL));
	words = data;
	memcpy(words->magic, "Wrds", 4);
	tarn_object_close(region, data);
}

/* @cut: the file is cut off under it. Then the words may stay as they are for ever. */
static void sleep_on(struct victim *v, struct words *words, bool cut)
{
	uint64_t r = hostile_random(&v->random);
	const uint32_t *word = &words->narrow[r % WORDS];
	int64_t span = (int64_t)((r >> 8) % 64 == 0 ? 50 * SLICE_NS : SLICE_NS);
	bool forever = !cut && (r >> 16) % 64 == 0;
	int64_t deadline = forever ? TARN_FOREVER : tarn_deadline_after(span);
	uint32_t value = tarn_atomic_load32(word);

	if (CALL(v, tarn_atomic_wait(word, value, deadline), cut ? cut_errors : wait_errors) ==
		    -ETIMEDOUT &&
	    tarn_deadline_after(0) < deadline)
		hostile_lie(v->arena, "tarn_atomic_wait", "it gave up too early", deadline);
	v->sink += value;
}

#define CHANGE(n, which)                                                                           \
	static void change##n(struct victim *v, struct words *w)                                   \
	{                                                                                          \
		uint64_t r = hostile_random(&v->random);                                           \
		uint##n##_t *word = &w->which[r % WORDS], value = (uint##n##_t)(r >> 16);          \
		uint##n##_t seen = tarn_atomic_load##n(word);                                      \
		unsigned bit = (unsigned)(r >> 8) % n;                                             \
                                                                                                   \
		hostile_enter(v->arena, v->index, "changing a word");                              \
		tarn_atomic_count##n(word, value);                                                 \
		v->sink += tarn_atomic_fetch_sub##n(word, value / 2);                              \
		v->sink += tarn_atomic_fetch_max##n(word, value);                                  \
		v->sink += tarn_atomic_fetch_min##n(word, value);                                  \
		v->sink += tarn_atomic_exchange##n(word, value);                                   \
		v->sink += tarn_atomic_bit_set##n(word, bit);                                      \
		v->sink += tarn_atomic_bit_clear##n(word, bit);                                    \
		while (!tarn_atomic_compare_exchange##n(word, &seen, seen + 1))                    \
			;                                                                          \
	}

CHANGE(32, narrow)
CHANGE(64, wide)

static void change_some(struct victim *v, struct words *words, bool cut)
{
	uint64_t r = hostile_random(&v->random);

	if (r % 8 == 1) /* let them fall asleep */
		nanosleep(&(struct timespec){ .tv_nsec = (long)((r >> 8) % 500000) }, NULL);
	change32(v, words);
	change64(v, words);
	if (r % 8 == 0)
		(void)CALL(v,
			   tarn_atomic_wake(&words->narrow[(r >> 8) % WORDS], 1 + (int)(r >> 60)),
			   cut ? cut_wake_errors : wake_errors);
}

static void use_words(struct hostile_arena *arena, unsigned index, bool cut,
		      void (*act)(struct victim *v, struct words *words, bool cut))
{
	struct victim v = { .arena = arena, .index = index };
	void *data;

	v.random = arena->seed * 59 + index + 1;
	while (!hostile_over(arena)) {
		if (enter_region(&v, 0) < 0)
			continue;
		if (CALL(&v, tarn_object_open(v.region, "words", &data, NULL), object_errors) ==
		    0) {
			for (int i = 0; i < ROUND_CALLS && !hostile_over(arena); i++)
				act(&v, data, cut);
			tarn_object_close(v.region, data);
		}
		leave_region(&v);
	}
}

void victim_sleeper(struct hostile_arena *arena, unsigned index)
{
	use_words(arena, index, false, sleep_on);
}

void victim_counter(struct hostile_arena *arena, unsigned index)
{
	use_words(arena, index, false, change_some);
}

void guarded_sleeper(struct hostile_arena *arena, unsigned index)
{
	must("tarn_segment_guard", tarn_segment_guard());
	use_words(arena, index, true, sleep_on);
}

void guarded_counter(struct hostile_arena *arena, unsigned index)
{
	must("tarn_segment_guard", tarn_segment_guard());
	use_words(arena, index, true, change_some);
}
