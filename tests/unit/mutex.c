/* SPDX-License-Identifier: BSD-2-Clause */
/* Mutex: the contract of mutex.h line by line; owners that die, end, fork; circles; damage. */
#include <tarn/mutex.h>

#include <tarn/section.h>

#include "prim.h"

static struct tarn_mutex *mutex, *other;

static int make_mutexes(void **state)
{
	const struct tarn_mutex_opts opts = { .type = TARN_MUTEX_NORMAL };

	if (make_region(state) < 0 || tarn_mutex_open(region, "mutex", &opts, &mutex) < 0 ||
	    tarn_mutex_open(region, "other", &opts, &other) < 0)
		return -1;
	return 0;
}

static int drop_mutexes(void **state)
{
	tarn_mutex_close(mutex);
	tarn_mutex_close(other);
	return drop_region(state);
}

static void lock(struct tarn_mutex *m)
{
	assert_int_equal(tarn_mutex_lock(m, TARN_FOREVER, NULL), 0);
}

static void unlock_it(struct tarn_mutex *m)
{
	assert_int_equal(tarn_mutex_unlock(m), 0);
}

static int lock_and_die(void *arg)
{
	return tarn_mutex_lock(arg, TARN_FOREVER, NULL);
}

static int lock_and_stay(void *arg)
{
	int r = tarn_mutex_lock(arg, TARN_FOREVER, NULL);

	atomic_store(&flags[0], 1);
	for (;;)
		pause();
	return r;
}

static void one_at_a_time_has_it(void **state)
{
	struct tarn_diag diag;
	pid_t pid = start(lock_and_stay, mutex);

	(void)state;
	await_flag(0);
	assert_int_equal(tarn_mutex_try(mutex, &diag), -EAGAIN);
	assert_int_equal(tarn_mutex_lock(mutex, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "mutex mutex is held by process"));
	assert_int_equal(count_role("mutex", TARN_LOCK_HOLDS), 1);
	assert_int_equal(tarn_mutex_unlock(mutex), -EPERM);
	assert_int_equal(tarn_mutex_consistent(mutex), -EPERM);
	end(pid);
}

static void a_dead_owner_leaves_it_and_a_word(void **state)
{
	struct tarn_lock_stat stat;
	struct tarn_diag diag;

	(void)state;
	run_dead(lock_and_die, mutex);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, &diag), -EOWNERDEAD);
	assert_non_null(strstr(diag.what, "one who had it died"));
	unlock_it(mutex);
	/* nobody said that it is consistent */
	assert_int_equal(tarn_lock_stat(region, "mutex", &stat, NULL, 0), 0);
	assert_true(stat.owner_died);
	assert_int_equal(tarn_mutex_try(mutex, &diag), -EOWNERDEAD);
	assert_int_equal(tarn_mutex_consistent(mutex), 0);
	unlock_it(mutex);
	lock(mutex);
	unlock_it(mutex);
	assert_int_equal(tarn_lock_stat(region, "mutex", &stat, NULL, 0), 0);
	assert_false(stat.owner_died);
	assert_int_equal(stat.recover_count, 1);
}

static int lock_in_time(void *arg)
{
	atomic_store(&flags[1], 1);
	return tarn_mutex_lock(arg, tarn_deadline_after(SURELY_NS), NULL) == -EOWNERDEAD ? 0 : 1;
}

static void a_sleeper_wakes_when_the_owner_dies(void **state)
{
	pid_t owner = start(lock_and_stay, mutex), waiter;

	(void)state;
	await_flag(0);
	waiter = start(lock_in_time, mutex);
	await_waiters("mutex", 1);
	end(owner);
	await_death(waiter);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_mutex_consistent(mutex), 0);
	unlock_it(mutex);
}

static void *lock_and_end(void *arg)
{
	assert_int_equal(tarn_mutex_lock(arg, TARN_FOREVER, NULL), 0);
	return NULL;
}

static void a_thread_that_ends_counts_as_dead(void **state)
{
	(void)state;
	run_thread(lock_and_end, mutex);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_mutex_consistent(mutex), 0);
	unlock_it(mutex);
	lock(mutex);
	unlock_it(mutex);
}

static void one_that_is_closed_locked_is_left_as_by_the_dead(void **state)
{
	struct tarn_mutex *again;

	(void)state;
	assert_int_equal(tarn_mutex_open(region, "mutex", NULL, &again), 0);
	lock(again);
	tarn_mutex_close(again);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), -EOWNERDEAD);
	unlock_it(mutex);
}

static int child_has_nothing(void *arg)
{
	if (tarn_mutex_unlock(arg) != -EPERM || tarn_mutex_try(arg, NULL) != -EAGAIN)
		return 1;
	return tarn_mutex_unlock(other) == -EPERM &&
			       tarn_mutex_lock(other, TARN_FOREVER, NULL) == 0 &&
			       tarn_mutex_unlock(other) == 0
		       ? 0
		       : 1;
}

static void a_child_has_nothing_of_its_parent(void **state)
{
	(void)state;
	lock(mutex);
	run_dead(child_has_nothing, mutex);
	unlock_it(mutex);
}

static void locking_twice_is_refused_or_counted(void **state)
{
	const struct tarn_mutex_opts recursive = { .type = TARN_MUTEX_RECURSIVE };
	struct tarn_mutex *deep, *again;
	struct tarn_diag diag;
	pid_t pid;

	(void)state;
	lock(mutex);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, &diag), -EDEADLK);
	assert_non_null(strstr(diag.what, "has mutex mutex already"));
	/* by another handle, too */
	assert_int_equal(tarn_mutex_open(region, "mutex", NULL, &again), 0);
	assert_int_equal(tarn_mutex_lock(again, TARN_FOREVER, NULL), -EDEADLK);
	tarn_mutex_close(again);
	unlock_it(mutex);

	assert_int_equal(tarn_mutex_open(region, "deep", &recursive, &deep), 0);
	lock(deep);
	lock(deep);
	assert_int_equal(tarn_mutex_try(deep, NULL), 0);
	unlock_it(deep);
	unlock_it(deep);
	pid = fork();
	if (pid == 0) /* not free yet */
		_exit(tarn_mutex_try(deep, NULL) == -EAGAIN ? 0 : 1);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unlock_it(deep);
	assert_int_equal(tarn_mutex_unlock(deep), -EPERM);
	run_dead(lock_and_die, deep);
	assert_int_equal(tarn_mutex_lock(deep, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_mutex_lock(deep, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_mutex_consistent(deep), 0);
	unlock_it(deep);
	unlock_it(deep);
	tarn_mutex_close(deep);
}

static int other_then_mutex(void *arg)
{
	int r = tarn_mutex_lock(other, TARN_FOREVER, NULL);

	(void)arg;
	atomic_store(&flags[0], 1);
	await_flag(1);
	r = r == 0 ? tarn_mutex_lock(mutex, tarn_deadline_after(SURELY_NS), NULL) : r;
	return r == 0 || r == -EDEADLK ? 0 : 1;
}

static void a_circle_is_told(void **state)
{
	struct tarn_diag diag;
	pid_t pid = start(other_then_mutex, NULL);
	int r;

	(void)state;
	await_flag(0);
	lock(mutex);
	atomic_store(&flags[1], 1);
	r = tarn_mutex_lock(other, tarn_deadline_after(SURELY_NS), &diag);
	/* one of the two was told, and dies or lets go; then the other one has both */
	if (r == -EDEADLK)
		assert_non_null(strstr(diag.what, "which waits in mutex for this one"));
	else
		assert_int_equal(r, -EOWNERDEAD);
	unlock_it(mutex);
	await_death(pid);
	if (r == -EOWNERDEAD)
		unlock_it(other);
}

static void options_and_names_are_checked(void **state)
{
	struct tarn_diag diag;
	const struct tarn_mutex_opts recursive = { .type = TARN_MUTEX_RECURSIVE, .diag = &diag };
	struct tarn_mutex_opts wrong = { .type = 7, .diag = &diag };
	struct tarn_section_opts sopts = { .diag = &diag };
	struct tarn_section *section;
	struct tarn_mutex *m = mutex;

	(void)state;
	assert_int_equal(tarn_mutex_open(region, "new", &wrong, &m), -EINVAL);
	assert_non_null(strstr(diag.what, "type 7"));
	assert_int_equal(tarn_mutex_open(region, "mutex", &recursive, &m), -EEXIST);
	assert_string_equal(diag.what, "mutex mutex is one that is not recursive; wanted was one "
				       "that is recursive (TARN_MUTEX_RECURSIVE)");
	assert_int_equal(tarn_mutex_open(region, "none", NULL, &m), -ENOENT);
	assert_int_equal(tarn_mutex_open(region, "flags", NULL, &m), -EPROTO);
	assert_int_equal(tarn_section_open(region, "mutex", &sopts, &section), -EPROTO);
	assert_string_equal(diag.what, "object mutex is a mutex; wanted was a section");
	assert_ptr_equal(m, mutex);
	tarn_mutex_close(NULL);
}

static void damage_sets_it_aside_until_it_is_recovered(void **state)
{
	struct section_shm *shm = ((struct prim *)mutex)->sec.shm;

	(void)state;
	atomic_store(&shm->seq, 7);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), -EUCLEAN);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), -ENOTRECOVERABLE);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	assert_int_equal(tarn_section_recover(region, "mutex", 0, NULL), 0);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_mutex_consistent(mutex), 0);
	unlock_it(mutex);
	atomic_store(&shm->lock, 999u << 1);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), -EUCLEAN);
	assert_int_equal(tarn_section_recover(region, NULL, 0, NULL), 0);
	lock(mutex);
	unlock_it(mutex);
}

static void a_region_that_is_looked_on_shows_it(void **state)
{
	(void)state;
	lock(mutex);
	assert_int_equal(count_role("mutex", TARN_LOCK_HOLDS), 1);
	assert_int_equal(count_role("other", TARN_LOCK_HOLDS), 0);
	unlock_it(mutex);
	assert_int_equal(count_role("mutex", TARN_LOCK_HOLDS), 0);
	assert_int_equal(tarn_lock_stat(region, "flags", &(struct tarn_lock_stat){ 0 }, NULL, 0),
			 -EPROTO);
	assert_int_equal(tarn_lock_stat(region, "none", &(struct tarn_lock_stat){ 0 }, NULL, 0),
			 -ENOENT);
}

#define MUTEX_TEST(name) cmocka_unit_test_setup_teardown(name, make_mutexes, drop_mutexes)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MUTEX_TEST(one_at_a_time_has_it),
		MUTEX_TEST(a_dead_owner_leaves_it_and_a_word),
		MUTEX_TEST(a_sleeper_wakes_when_the_owner_dies),
		MUTEX_TEST(a_thread_that_ends_counts_as_dead),
		MUTEX_TEST(one_that_is_closed_locked_is_left_as_by_the_dead),
		MUTEX_TEST(a_child_has_nothing_of_its_parent),
		MUTEX_TEST(locking_twice_is_refused_or_counted),
		MUTEX_TEST(a_circle_is_told),
		MUTEX_TEST(options_and_names_are_checked),
		MUTEX_TEST(damage_sets_it_aside_until_it_is_recovered),
		MUTEX_TEST(a_region_that_is_looked_on_shows_it),
	};

	return cmocka_run_group_tests_name("mutex", tests, NULL, NULL);
}
