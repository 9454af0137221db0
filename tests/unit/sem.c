/* SPDX-License-Identifier: BSD-2-Clause */
/* Semaphore: the contract of sem.h line by line; permits of the dead, waiters that die, damage. */
#include <tarn/sem.h>

#include "prim.h"

static struct tarn_sem *counted, *owned;

static int make_sems(void **state)
{
	const struct tarn_sem_opts two = { .value = 2 };
	const struct tarn_sem_opts three = { .value = 3, .flags = TARN_SEM_OWNED };

	if (make_region(state) < 0 || tarn_sem_open(region, "counted", &two, &counted) < 0 ||
	    tarn_sem_open(region, "owned", &three, &owned) < 0)
		return -1;
	return 0;
}

static int drop_sems(void **state)
{
	tarn_sem_close(counted);
	tarn_sem_close(owned);
	return drop_region(state);
}

static void take_all(struct tarn_sem *sem)
{
	while (tarn_sem_try(sem, NULL) == 0)
		;
	assert_int_equal(tarn_sem_value(sem), 0);
}

static void as_many_as_there_are_may_take_one(void **state)
{
	struct tarn_diag diag;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(tarn_sem_wait(counted, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_sem_try(counted, &diag), -EAGAIN);
	assert_int_equal(tarn_sem_wait(counted, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "nobody has posted until the deadline"));
	assert_int_equal(tarn_sem_post(counted), 0);
	assert_int_equal(tarn_sem_value(counted), 1);
	assert_int_equal(tarn_sem_try(counted, NULL), 0);

	for (int i = 0; i < 3; i++)
		assert_int_equal(tarn_sem_wait(owned, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_sem_wait(owned, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "all of its 3 permits are taken"));
	assert_non_null(strstr(diag.hint, "has one of them"));
	assert_int_equal(count_role("owned", TARN_LOCK_HOLDS), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tarn_sem_post(owned), 0);
	assert_int_equal(tarn_sem_post(owned), -EPERM);
	assert_int_equal(tarn_sem_value(owned), 3);
}

static int take_three(void *arg)
{
	for (int i = 0; i < 3; i++)
		if (tarn_sem_wait(arg, TARN_FOREVER, NULL) < 0)
			return 1;
	return 0;
}

static int take_and_stay(void *arg)
{
	int r = take_three(arg);

	atomic_store(&flags[0], 1);
	for (;;)
		pause();
	return r;
}

static void permits_of_the_dead_come_back(void **state)
{
	struct tarn_lock_stat stat;

	(void)state;
	run_dead(take_three, owned);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tarn_sem_try(owned, NULL), 0);
	assert_int_equal(tarn_sem_try(owned, NULL), -EAGAIN);
	assert_int_equal(tarn_lock_stat(region, "owned", &stat, NULL, 0), 0);
	assert_int_equal(stat.recover_count, 3);
}

static void a_sleeper_gets_what_the_dead_had(void **state)
{
	pid_t holder = start(take_and_stay, owned), waiter;

	(void)state;
	await_flag(0);
	waiter = start(take_three, owned);
	await_waiters("owned", 1);
	end(holder);
	await_death(waiter);
}

static int wait_for_one(void *arg)
{
	return tarn_sem_wait(arg, TARN_FOREVER, NULL);
}

static void a_waiter_that_dies_takes_no_post_along(void **state)
{
	pid_t waiter[4];

	(void)state;
	take_all(counted);
	for (int i = 0; i < 4; i++)
		waiter[i] = start(wait_for_one, counted);
	await_waiters("counted", 4);
	end(waiter[0]);
	end(waiter[2]);
	assert_int_equal(tarn_sem_post(counted), 0);
	assert_int_equal(tarn_sem_post(counted), 0);
	await_death(waiter[1]);
	await_death(waiter[3]);
	assert_int_equal(tarn_sem_value(counted), 0);
}

/* That a killed waiter hangs a signaller for ever is how others fail here. */
static void posts_go_on_whoever_was_killed_while_waiting(void **state)
{
	(void)state;
	take_all(counted);
	for (int i = 0; i < 20; i++) {
		pid_t waiter = start(wait_for_one, counted);

		await_waiters("counted", 1);
		end(waiter);
		assert_int_equal(tarn_sem_post(counted), 0);
		assert_int_equal(tarn_sem_wait(counted, tarn_deadline_after(SURELY_NS), NULL), 0);
	}
}

enum { PASSES = 2000 };

static int work(void *arg)
{
	for (int i = 0; i < PASSES; i++) {
		if (tarn_sem_wait(arg, TARN_FOREVER, NULL) < 0)
			return 1;
		if (atomic_fetch_add(&flags[1], 1) >= 3)
			atomic_store(&flags[2], 1); /* one too many inside */
		atomic_fetch_sub(&flags[1], 1);
		if (tarn_sem_post(arg) < 0)
			return 1;
	}
	return 0;
}

static void never_more_than_there_are_permits(void **state)
{
	pid_t pids[6];

	(void)state;
	for (int i = 0; i < 6; i++)
		pids[i] = start(work, owned);
	for (int i = 0; i < 6; i++)
		await_death(pids[i]);
	assert_int_equal(atomic_load(&flags[2]), 0);
	assert_int_equal(tarn_sem_value(owned), 3);
}

static int ping(void *arg)
{
	(void)arg;
	for (int i = 0; i < PASSES; i++)
		if (tarn_sem_wait(counted, TARN_FOREVER, NULL) < 0 ||
		    tarn_sem_post(owned) != -EPERM || atomic_fetch_add(&flags[3], 1) != (uint32_t)i)
			return 1;
	return 0;
}

static void no_post_is_lost(void **state)
{
	pid_t pid;

	(void)state;
	take_all(counted);
	pid = start(ping, NULL);
	for (int i = 0; i < PASSES; i++) {
		assert_int_equal(tarn_sem_post(counted), 0);
		if (i % 100 == 0) /* let it fall asleep */
			while (tarn_sem_value(counted) != 0)
				pause_us(100);
	}
	await_death(pid);
	assert_int_equal(atomic_load(&flags[3]), PASSES);
}

static int child_owns_nothing(void *arg)
{
	return tarn_sem_post(arg) == -EPERM && tarn_sem_try(arg, NULL) == 0 &&
			       tarn_sem_post(arg) == 0
		       ? 0
		       : 1;
}

static void a_child_owns_no_permit_of_its_parent(void **state)
{
	(void)state;
	assert_int_equal(tarn_sem_wait(owned, TARN_FOREVER, NULL), 0);
	run_dead(child_owns_nothing, owned);
	assert_int_equal(tarn_sem_post(owned), 0);
}

static void *post_it(void *arg)
{
	assert_int_equal(tarn_sem_post(arg), 0);
	return NULL;
}

static void another_thread_may_post(void **state)
{
	(void)state;
	assert_int_equal(tarn_sem_wait(owned, TARN_FOREVER, NULL), 0);
	run_thread(post_it, owned);
	assert_int_equal(tarn_sem_value(owned), 3);
}

static void options_are_checked(void **state)
{
	struct tarn_diag diag;
	struct tarn_sem_opts opts = { .value = 0, .flags = TARN_SEM_OWNED, .diag = &diag };
	struct tarn_sem *sem = owned;

	(void)state;
	assert_int_equal(tarn_sem_open(region, "new", &opts, &sem), -EINVAL);
	opts.value = TARN_SEM_OWNED_MAX + 1;
	assert_int_equal(tarn_sem_open(region, "new", &opts, &sem), -EINVAL);
	opts.value = 4;
	assert_int_equal(tarn_sem_open(region, "owned", &opts, &sem), -EEXIST);
	assert_non_null(strstr(diag.what, "room for 3 permits; asked was 4"));
	assert_int_equal(tarn_sem_open(region, "counted", &opts, &sem), -EEXIST);
	assert_string_equal(diag.what, "semaphore counted is one that counts; wanted was one whose "
				       "permits have owners (TARN_SEM_OWNED)");
	opts.flags = 2;
	assert_int_equal(tarn_sem_open(region, "new", &opts, &sem), -EINVAL);
	opts = (struct tarn_sem_opts){ .value = 9 };
	assert_int_equal(tarn_sem_open(region, "counted", &opts, &sem), 0);
	assert_int_equal(tarn_sem_value(sem), 2); /* as it was */
	tarn_sem_close(sem);
	tarn_sem_close(NULL);
}

static void a_number_that_cannot_be_is_told(void **state)
{
	struct section_shm *shm = ((struct prim *)counted)->sec.shm;

	(void)state;
	atomic_store(&shm->state, TARN_SEM_MAX);
	assert_int_equal(tarn_sem_post(counted), -EOVERFLOW);
	atomic_store(&shm->state, TARN_SEM_MAX + 1);
	assert_int_equal(tarn_sem_post(counted), -EUCLEAN);
	assert_int_equal(tarn_sem_wait(counted, TARN_FOREVER, NULL), -EUCLEAN);
	assert_int_equal(tarn_sem_try(counted, NULL), -EUCLEAN);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	atomic_store(&shm->state, 2);
	/* a seat with the name of nobody */
	shm = ((struct prim *)owned)->sec.shm;
	atomic_store(&((struct prim *)owned)->seats[1].id, 999u << 1);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tarn_sem_try(owned, NULL), 0);
}

#define SEM_TEST(name) cmocka_unit_test_setup_teardown(name, make_sems, drop_sems)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SEM_TEST(as_many_as_there_are_may_take_one),
		SEM_TEST(permits_of_the_dead_come_back),
		SEM_TEST(a_sleeper_gets_what_the_dead_had),
		SEM_TEST(a_waiter_that_dies_takes_no_post_along),
		SEM_TEST(posts_go_on_whoever_was_killed_while_waiting),
		SEM_TEST(never_more_than_there_are_permits),
		SEM_TEST(no_post_is_lost),
		SEM_TEST(a_child_owns_no_permit_of_its_parent),
		SEM_TEST(another_thread_may_post),
		SEM_TEST(options_are_checked),
		SEM_TEST(a_number_that_cannot_be_is_told),
	};

	return cmocka_run_group_tests_name("sem", tests, NULL, NULL);
}
