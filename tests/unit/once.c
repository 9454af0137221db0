/* SPDX-License-Identifier: BSD-2-Clause */
/* Once: the contract of once.h line by line; who dies, fails, ends in the middle; damage. */
#include <tarn/once.h>

#include "prim.h"

static struct tarn_once *once;

static int make_once(void **state)
{
	const struct tarn_once_opts opts = { 0 };

	return make_region(state) < 0 || tarn_once_open(region, "once", &opts, &once) < 0 ? -1 : 0;
}

static int drop_once(void **state)
{
	tarn_once_close(once);
	return drop_region(state);
}

/* Flag 0: how often it was begun; flag 1: how often it was done; flag 2: again. */
static int do_it(void *arg, bool again)
{
	int r = arg != NULL ? *(const int *)arg : 0;

	atomic_fetch_add(&flags[0], 1);
	atomic_store(&flags[2], again);
	if (r >= 0)
		atomic_fetch_add(&flags[1], 1);
	return r;
}

static int begin_and_die(void *arg, bool again)
{
	(void)arg, (void)again;
	atomic_fetch_add(&flags[0], 1);
	raise(SIGKILL);
	return 0;
}

static int begin_and_stay(void *arg, bool again)
{
	(void)arg, (void)again;
	atomic_fetch_add(&flags[0], 1);
	for (;;)
		pause();
	return 0;
}

static int run(void *arg)
{
	return tarn_once_run(arg, tarn_deadline_after(SURELY_NS), do_it, NULL, NULL);
}

static int run_and_die(void *arg)
{
	return tarn_once_run(arg, TARN_FOREVER, begin_and_die, NULL, NULL);
}

static int run_and_stay(void *arg)
{
	return tarn_once_run(arg, TARN_FOREVER, begin_and_stay, NULL, NULL);
}

static void it_is_done_once_by_all_processes(void **state)
{
	struct tarn_lock_stat stat;
	pid_t pids[3];

	(void)state;
	assert_false(tarn_once_is_done(once));
	for (int i = 0; i < 3; i++)
		pids[i] = start(run, once);
	assert_int_equal(run(once), 0);
	for (int i = 0; i < 3; i++)
		await_death(pids[i]);
	assert_int_equal(atomic_load(&flags[0]), 1);
	assert_int_equal(atomic_load(&flags[2]), 0);
	assert_true(tarn_once_is_done(once));
	assert_int_equal(tarn_once_begin(once, TARN_FOREVER, NULL), TARN_ONCE_DONE);
	assert_int_equal(tarn_lock_stat(region, "once", &stat, NULL, 0), 0);
	assert_int_equal(stat.value, 1);
}

static void who_dies_in_the_middle_leaves_it_to_the_next(void **state)
{
	(void)state;
	run_dead(run_and_die, once);
	assert_false(tarn_once_is_done(once));
	assert_int_equal(run(once), 0);
	assert_int_equal(atomic_load(&flags[0]), 2);
	assert_int_equal(atomic_load(&flags[2]), 1);
	assert_true(tarn_once_is_done(once));
	assert_int_equal(run(once), 0);
	assert_int_equal(atomic_load(&flags[0]), 2);
}

static void sleepers_wake_when_it_is_done_or_left(void **state)
{
	pid_t owner = start(run_and_stay, once), pids[2];
	struct tarn_diag diag;

	(void)state;
	await_flag(0);
	assert_int_equal(tarn_once_run(once, tarn_deadline_after(SOON_NS), do_it, NULL, &diag),
			 -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "once once is held by process"));
	for (int i = 0; i < 2; i++)
		pids[i] = start(run, once);
	await_waiters("once", 2);
	end(owner);
	for (int i = 0; i < 2; i++)
		await_death(pids[i]);
	assert_int_equal(atomic_load(&flags[0]), 2); /* one of the two */
	assert_true(tarn_once_is_done(once));
}

static void who_fails_leaves_it_to_the_next_too(void **state)
{
	int failure = -ENODATA;

	(void)state;
	assert_int_equal(tarn_once_run(once, TARN_FOREVER, do_it, &failure, NULL), -ENODATA);
	assert_false(tarn_once_is_done(once));
	assert_int_equal(run(once), 0);
	assert_int_equal(atomic_load(&flags[2]), 0); /* nobody has died */
	assert_int_equal(atomic_load(&flags[1]), 1);
}

static int begin_and_end_process(void *arg)
{
	return tarn_once_begin(arg, TARN_FOREVER, NULL) == TARN_ONCE_FIRST ? 0 : 1;
}

static void it_can_be_begun_and_ended_in_steps(void **state)
{
	struct tarn_once *again;

	(void)state;
	assert_int_equal(tarn_once_done(once), -EPERM);
	assert_int_equal(tarn_once_begin(once, TARN_FOREVER, NULL), TARN_ONCE_FIRST);
	assert_int_equal(tarn_once_begin(once, TARN_FOREVER, NULL), -EDEADLK);
	assert_int_equal(tarn_once_run(once, TARN_FOREVER, do_it, NULL, NULL), -EDEADLK);
	assert_int_equal(tarn_once_fail(once), 0);
	assert_int_equal(tarn_once_fail(once), -EPERM);
	run_dead(begin_and_end_process, once);
	assert_int_equal(tarn_once_begin(once, TARN_FOREVER, NULL), TARN_ONCE_AGAIN);
	assert_int_equal(tarn_once_fail(once), 0); /* it may be half done still */
	assert_int_equal(tarn_once_open(region, "once", NULL, &again), 0);
	assert_int_equal(tarn_once_begin(again, TARN_FOREVER, NULL), TARN_ONCE_AGAIN);
	tarn_once_close(again);
	assert_int_equal(tarn_once_begin(once, TARN_FOREVER, NULL), TARN_ONCE_AGAIN);
	assert_int_equal(tarn_once_done(once), 0);
	assert_true(tarn_once_is_done(once));
	assert_int_equal(atomic_load(&flags[0]), 0);
}

static void *begin_and_end(void *arg)
{
	assert_int_equal(tarn_once_begin(arg, TARN_FOREVER, NULL), TARN_ONCE_FIRST);
	return NULL;
}

static void a_thread_that_ends_counts_as_dead(void **state)
{
	(void)state;
	run_thread(begin_and_end, once);
	assert_int_equal(run(once), 0);
	assert_int_equal(atomic_load(&flags[2]), 1);
}

static int child_does_nothing(void *arg)
{
	return tarn_once_done(arg) == -EPERM && tarn_once_begin(arg, tarn_deadline_after(SOON_NS),
								NULL) == -ETIMEDOUT
		       ? 0
		       : 1;
}

static void a_child_does_nothing_of_its_parents(void **state)
{
	(void)state;
	assert_int_equal(tarn_once_begin(once, TARN_FOREVER, NULL), TARN_ONCE_FIRST);
	run_dead(child_does_nothing, once);
	assert_int_equal(tarn_once_done(once), 0);
	run_dead(run, once);
	assert_int_equal(atomic_load(&flags[0]), 0);
}

static void options_and_damage(void **state)
{
	struct section_shm *shm = ((struct prim *)once)->sec.shm;
	struct tarn_diag diag;
	struct tarn_once_opts wrong = { .reserved = { 0, 1 }, .diag = &diag };
	struct tarn_once *o = once;

	(void)state;
	assert_int_equal(tarn_once_open(region, "new", &wrong, &o), -EINVAL);
	assert_non_null(strstr(diag.what, "reserved"));
	assert_int_equal(tarn_once_open(region, "none", NULL, &o), -ENOENT);
	assert_int_equal(tarn_once_open(region, "flags", NULL, &o), -EPROTO);
	assert_ptr_equal(o, once);
	tarn_once_close(NULL);
	atomic_store(&shm->seq, 7);
	assert_int_equal(run(once), -EUCLEAN);
	assert_int_equal(run(once), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_recover(region, "once", 0, NULL), 0);
	assert_int_equal(run(once), 0);
	assert_int_equal(atomic_load(&flags[2]), 1);
}

#define ONCE_TEST(name) cmocka_unit_test_setup_teardown(name, make_once, drop_once)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE_TEST(it_is_done_once_by_all_processes),
		ONCE_TEST(who_dies_in_the_middle_leaves_it_to_the_next),
		ONCE_TEST(sleepers_wake_when_it_is_done_or_left),
		ONCE_TEST(who_fails_leaves_it_to_the_next_too),
		ONCE_TEST(it_can_be_begun_and_ended_in_steps),
		ONCE_TEST(a_thread_that_ends_counts_as_dead),
		ONCE_TEST(a_child_does_nothing_of_its_parents),
		ONCE_TEST(options_and_damage),
	};

	return cmocka_run_group_tests_name("once", tests, NULL, NULL);
}
