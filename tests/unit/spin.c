/* SPDX-License-Identifier: BSD-2-Clause */
/* Spin lock: the contract of spin.h line by line; owners that die, end, fork; damage. */
#include <tarn/spin.h>

#include <tarn/section.h>

#include "prim.h"

static struct tarn_spin *spin, *other;

static int make_spins(void **state)
{
	const struct tarn_spin_opts opts = { 0 };

	if (make_region(state) < 0 || tarn_spin_open(region, "spin", &opts, &spin) < 0 ||
	    tarn_spin_open(region, "other", &opts, &other) < 0)
		return -1;
	return 0;
}

static int drop_spins(void **state)
{
	tarn_spin_close(spin);
	tarn_spin_close(other);
	return drop_region(state);
}

static void lock(struct tarn_spin *s)
{
	assert_int_equal(tarn_spin_lock(s, TARN_FOREVER, NULL), 0);
}

static void unlock_it(struct tarn_spin *s)
{
	assert_int_equal(tarn_spin_unlock(s), 0);
}

static int lock_and_die(void *arg)
{
	return tarn_spin_lock(arg, TARN_FOREVER, NULL);
}

static int lock_and_stay(void *arg)
{
	int r = tarn_spin_lock(arg, TARN_FOREVER, NULL);

	atomic_store(&flags[0], 1);
	for (;;)
		pause();
	return r;
}

static void one_at_a_time_has_it(void **state)
{
	struct tarn_diag diag;
	pid_t pid = start(lock_and_stay, spin);

	(void)state;
	await_flag(0);
	assert_int_equal(tarn_spin_try(spin, &diag), -EAGAIN);
	assert_non_null(strstr(diag.what, "spin lock spin: a thread of process"));
	assert_int_equal(tarn_spin_lock(spin, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "has it"));
	assert_int_equal(count_role("spin", TARN_LOCK_HOLDS), 1);
	assert_int_equal(count_role("spin", TARN_LOCK_WAITS), 0); /* not any more */
	assert_int_equal(tarn_spin_unlock(spin), -EPERM);
	assert_int_equal(tarn_spin_consistent(spin), -EPERM);
	end(pid);
}

static void a_dead_owner_leaves_it_and_a_word(void **state)
{
	struct tarn_lock_stat stat;
	struct tarn_diag diag;

	(void)state;
	run_dead(lock_and_die, spin);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, &diag), -EOWNERDEAD);
	assert_non_null(strstr(diag.what, "one who had it died"));
	unlock_it(spin);
	assert_int_equal(tarn_lock_stat(region, "spin", &stat, NULL, 0), 0);
	assert_true(stat.owner_died);
	assert_int_equal(tarn_spin_try(spin, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_spin_consistent(spin), 0);
	unlock_it(spin);
	lock(spin);
	unlock_it(spin);
	assert_int_equal(tarn_lock_stat(region, "spin", &stat, NULL, 0), 0);
	assert_false(stat.owner_died);
	assert_int_equal(stat.recover_count, 1);
	run_dead(lock_and_die, spin);
	assert_int_equal(tarn_spin_try(spin, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_spin_consistent(spin), 0);
	unlock_it(spin);
}

static int lock_in_time(void *arg)
{
	atomic_store(&flags[1], 1);
	return tarn_spin_lock(arg, tarn_deadline_after(SURELY_NS), NULL) == -EOWNERDEAD ? 0 : 1;
}

static void who_spins_gets_it_when_the_owner_dies(void **state)
{
	pid_t owner = start(lock_and_stay, spin), waiter;

	(void)state;
	await_flag(0);
	waiter = start(lock_in_time, spin);
	await_flag(1);
	pause_us(2000);
	end(owner);
	await_death(waiter);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, NULL), -EOWNERDEAD);
	unlock_it(spin);
}

static void recovering_tells_the_next_one_too(void **state)
{
	(void)state;
	run_dead(lock_and_die, spin);
	assert_int_equal(tarn_section_recover(region, "spin", 0, NULL), 0);
	assert_int_equal(count_role("spin", TARN_LOCK_HOLDS), 0);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_section_recover(region, "spin", 0, NULL), -EBUSY);
	unlock_it(spin);
}

static void *lock_and_end(void *arg)
{
	assert_int_equal(tarn_spin_lock(arg, TARN_FOREVER, NULL), 0);
	return NULL;
}

static void a_thread_that_ends_counts_as_dead(void **state)
{
	(void)state;
	run_thread(lock_and_end, spin);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_spin_consistent(spin), 0);
	unlock_it(spin);
}

static void one_that_is_closed_locked_is_left_as_by_the_dead(void **state)
{
	struct tarn_spin *again;

	(void)state;
	assert_int_equal(tarn_spin_open(region, "spin", NULL, &again), 0);
	lock(other);
	lock(again);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, NULL), -EDEADLK);
	tarn_spin_close(again);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, NULL), -EOWNERDEAD);
	unlock_it(other); /* not the last one locked */
	unlock_it(spin);
	assert_int_equal(tarn_spin_unlock(other), -EPERM);
}

static int child_has_nothing(void *arg)
{
	return tarn_spin_unlock(arg) == -EPERM && tarn_spin_try(arg, NULL) == -EAGAIN &&
			       tarn_spin_lock(other, TARN_FOREVER, NULL) == 0 &&
			       tarn_spin_unlock(other) == 0
		       ? 0
		       : 1;
}

static void a_child_has_nothing_of_its_parent(void **state)
{
	(void)state;
	lock(spin);
	run_dead(child_has_nothing, spin);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, NULL), -EDEADLK);
	unlock_it(spin);
}

static void options_and_damage(void **state)
{
	struct section_shm *shm = ((struct prim *)spin)->sec.shm;
	struct tarn_diag diag;
	struct tarn_spin_opts wrong = { .reserved = { 1, 0 }, .diag = &diag };
	struct tarn_spin *s = spin;

	(void)state;
	assert_int_equal(tarn_spin_open(region, "new", &wrong, &s), -EINVAL);
	assert_non_null(strstr(diag.what, "reserved"));
	assert_int_equal(tarn_spin_open(region, "none", NULL, &s), -ENOENT);
	assert_int_equal(tarn_spin_open(region, "flags", NULL, &s), -EPROTO);
	assert_ptr_equal(s, spin);
	tarn_spin_close(NULL);

	atomic_store(&shm->lock, 999u << 1);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, &diag), -EUCLEAN);
	assert_non_null(strstr(diag.what, "names nobody"));
	assert_int_equal(tarn_section_recover(region, "spin", 0, NULL), 0);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_spin_consistent(spin), 0);
	unlock_it(spin);
	atomic_store(&shm->lock, LOCK_ASIDE);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, NULL), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_recover(region, "spin", 0, NULL), 0);
}

enum { ROUNDS = 2000 };

/* Flag 8 is no atomic counter: it is the lock that makes it right. */
static int in_turns(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t count;

		if (tarn_spin_lock(arg, TARN_FOREVER, NULL) < 0)
			return 1;
		count = atomic_load_explicit(&flags[8], memory_order_relaxed);
		atomic_store_explicit(&flags[8], count + 1, memory_order_relaxed);
		if (tarn_spin_unlock(arg) < 0)
			return 2;
	}
	return 0;
}

static void *in_turns_too(void *arg)
{
	assert_int_equal(in_turns(arg), 0);
	return NULL;
}

static void nothing_is_lost_between_threads_and_processes(void **state)
{
	pthread_t thread;
	pid_t pid = start(in_turns, spin);

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, in_turns_too, spin), 0);
	assert_int_equal(in_turns(spin), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	await_death(pid);
	assert_int_equal(atomic_load(&flags[8]), 3 * ROUNDS);
}

static void who_spins_for_long_is_told_as_waiting(void **state)
{
	pid_t waiter;

	(void)state;
	lock(spin);
	waiter = start(lock_in_time, spin);
	await_waiters("spin", 1);
	end(waiter);
	assert_int_equal(count_role("spin", TARN_LOCK_WAITS), 0);
	assert_int_equal(count_role("spin", TARN_LOCK_HOLDS), 1);
	unlock_it(spin);
}

static void places_of_dead_spinners_are_taken(void **state)
{
	pid_t waiter;

	(void)state;
	lock(spin);
	for (int i = 0; i <= TARN_SECTION_WAITERS; i++) {
		waiter = start(lock_in_time, spin);
		await_waiters("spin", 1);
		end(waiter);
	}
	unlock_it(spin);
}

#define SPIN_TEST(name) cmocka_unit_test_setup_teardown(name, make_spins, drop_spins)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPIN_TEST(who_spins_for_long_is_told_as_waiting),
		SPIN_TEST(places_of_dead_spinners_are_taken),
		SPIN_TEST(one_at_a_time_has_it),
		SPIN_TEST(a_dead_owner_leaves_it_and_a_word),
		SPIN_TEST(who_spins_gets_it_when_the_owner_dies),
		SPIN_TEST(recovering_tells_the_next_one_too),
		SPIN_TEST(a_thread_that_ends_counts_as_dead),
		SPIN_TEST(one_that_is_closed_locked_is_left_as_by_the_dead),
		SPIN_TEST(a_child_has_nothing_of_its_parent),
		SPIN_TEST(options_and_damage),
		SPIN_TEST(nothing_is_lost_between_threads_and_processes),
	};

	return cmocka_run_group_tests_name("spin", tests, NULL, NULL);
}
