/* SPDX-License-Identifier: BSD-2-Clause */
/* Single words: the contract of atomic.h line by line, of 32 and 64 bits; sleepers and deaths. */
#include <sys/mman.h>

#include <tarn/atomic.h>

#include "prim.h"

struct words {
	uint32_t narrow;
	uint64_t wide TARN_ATOMIC_ALIGNED;
};

static struct words *words;

static int make_words(void **state)
{
	if (make_region(state) < 0)
		return -1;
	words = (struct words *)(void *)flags;
	return 0;
}

#define EACH(n, word, big)                                                                         \
	do {                                                                                       \
		uint##n##_t expected = 4;                                                          \
                                                                                                   \
		tarn_atomic_store##n(word, 5);                                                     \
		assert_int_equal(tarn_atomic_load##n(word), 5);                                    \
		assert_int_equal(tarn_atomic_load_relaxed##n(word), 5);                            \
		assert_false(tarn_atomic_compare_exchange##n(word, &expected, 6));                 \
		assert_int_equal(expected, 5);                                                     \
		assert_true(tarn_atomic_compare_exchange##n(word, &expected, 6));                  \
		assert_int_equal(tarn_atomic_exchange##n(word, 7), 6);                             \
		assert_int_equal(tarn_atomic_fetch_add##n(word, 3), 7);                            \
		assert_int_equal(tarn_atomic_fetch_sub##n(word, 1), 10);                           \
		assert_int_equal(tarn_atomic_fetch_max##n(word, 8), 9);                            \
		assert_int_equal(tarn_atomic_fetch_max##n(word, 12), 9);                           \
		assert_int_equal(tarn_atomic_fetch_min##n(word, 13), 12);                          \
		assert_int_equal(tarn_atomic_fetch_min##n(word, 6), 12);                           \
		assert_int_equal(tarn_atomic_fetch_or##n(word, 9), 6);                             \
		assert_int_equal(tarn_atomic_fetch_and##n(word, 12), 15);                          \
		assert_int_equal(tarn_atomic_load##n(word), 12);                                   \
		tarn_atomic_store_relaxed##n(word, (big));                                         \
		tarn_atomic_count##n(word, 1);                                                     \
		assert_true(tarn_atomic_load##n(word) == (big) + 1);                               \
		tarn_atomic_store##n(word, 0);                                                     \
		assert_false(tarn_atomic_bit_set##n(word, n - 1));                                 \
		assert_true(tarn_atomic_bit_set##n(word, n - 1));                                  \
		assert_true(tarn_atomic_bit##n(word, n - 1));                                      \
		assert_false(tarn_atomic_bit##n(word, 0));                                         \
		assert_true(tarn_atomic_bit_clear##n(word, n - 1));                                \
		assert_false(tarn_atomic_bit_clear##n(word, n - 1));                               \
		assert_true(tarn_atomic_load##n(word) == 0);                                       \
		tarn_atomic_store##n(word, 0xff);                                                  \
		assert_false(tarn_atomic_bit_set##n(word, n - 2));                                 \
		assert_true(tarn_atomic_bit_clear##n(word, 3));                                    \
		assert_false(tarn_atomic_bit_set##n(word, 3) || tarn_atomic_bit##n(word, 8));      \
		assert_true(tarn_atomic_load##n(word) == (0xff | (uint##n##_t)1 << (n - 2)));      \
	} while (0)

static void each_does_what_it_says(void **state)
{
	(void)state;
	EACH(32, &words->narrow, UINT32_C(0xfffffff0));
	EACH(64, &words->wide, UINT64_C(0xfffffffffffffff0));
}

static void words_need_no_lock(void **state)
{
	(void)state;
	assert_true(__atomic_always_lock_free(4, 0));
	assert_true(__atomic_always_lock_free(8, 0));
	assert_int_equal(offsetof(struct words, wide), 8);
}

enum { ADDS = 20000, ADDERS = 3 };

static int add(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < ADDS; i++) {
		tarn_atomic_count64(&words->wide, UINT64_C(0x100000001));
		(void)tarn_atomic_fetch_max32(&words->narrow, i);
	}
	return 0;
}

static void no_change_of_another_process_is_lost(void **state)
{
	pid_t pids[ADDERS];

	(void)state;
	for (int i = 0; i < ADDERS; i++)
		pids[i] = start(add, NULL);
	for (int i = 0; i < ADDERS; i++)
		await_death(pids[i]);
	assert_true(tarn_atomic_load64(&words->wide) == UINT64_C(0x100000001) * ADDS * ADDERS);
	assert_int_equal(tarn_atomic_load32(&words->narrow), ADDS - 1);
}

static int sleep_on_it(void *arg)
{
	(void)arg;
	atomic_store(&flags[8], 1);
	return tarn_atomic_wait(&words->narrow, 0, tarn_deadline_after(SURELY_NS));
}

static void sleepers_are_woken(void **state)
{
	pid_t pid = start(sleep_on_it, NULL);

	(void)state;
	await_flag(8);
	tarn_atomic_store32(&words->narrow, 1);
	assert_true(tarn_atomic_wake(&words->narrow, INT32_MAX) >= 0);
	await_death(pid);
}

static void or_see_for_themselves_that_nobody_has_woken_them(void **state)
{
	pid_t pid = start(sleep_on_it, NULL);

	(void)state;
	await_flag(8);
	pause_us(20000);
	tarn_atomic_store32(&words->narrow, 1); /* by one who dies then */
	await_death(pid);
}

static void a_deadline_ends_it_and_a_bad_word_is_refused(void **state)
{
	const uint32_t *askew = (const uint32_t *)(const void *)((const char *)words + 1);

	(void)state;
	assert_int_equal(tarn_atomic_wait(&words->narrow, 0, tarn_deadline_after(SOON_NS)),
			 -ETIMEDOUT);
	assert_int_equal(tarn_atomic_wait(&words->narrow, 0, INT64_MIN), -ETIMEDOUT);
	assert_int_equal(tarn_atomic_wait(&words->narrow, 0, -1), -ETIMEDOUT);
	assert_int_equal(tarn_atomic_wait(&words->narrow, 1, INT64_MIN), 0);
	assert_int_equal(tarn_atomic_wait(askew, 0, TARN_FOREVER), -EINVAL);
	assert_int_equal(tarn_atomic_wait(askew, 1, TARN_FOREVER), -EINVAL);
	assert_int_equal(tarn_atomic_wake(askew, 1), -EINVAL);
}

static int no_memory(enum tarn_plat_call call)
{
	return call == TARN_PLAT_FUTEX_WAIT ? EFAULT : 0;
}

static void memory_that_has_gone_is_said(void **state)
{
	uint32_t *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r;

	(void)state;
	assert_true(page != MAP_FAILED);
	assert_int_equal(tarn_atomic_wake(page, 1), 0);
	munmap(page, 4096);
	assert_int_equal(tarn_atomic_wake(page, 1), -EFAULT);
	tarn__plat_fault = no_memory; /* as between a look and a sleep */
	r = tarn_atomic_wait(&words->narrow, 0, TARN_FOREVER);
	tarn__plat_fault = NULL;
	assert_int_equal(r, -EFAULT);
}

#define ATOMIC_TEST(name) cmocka_unit_test_setup_teardown(name, make_words, drop_region)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ATOMIC_TEST(each_does_what_it_says),
		ATOMIC_TEST(words_need_no_lock),
		ATOMIC_TEST(no_change_of_another_process_is_lost),
		ATOMIC_TEST(sleepers_are_woken),
		ATOMIC_TEST(or_see_for_themselves_that_nobody_has_woken_them),
		ATOMIC_TEST(a_deadline_ends_it_and_a_bad_word_is_refused),
		ATOMIC_TEST(memory_that_has_gone_is_said),
	};

	return cmocka_run_group_tests_name("atomic", tests, NULL, NULL);
}
