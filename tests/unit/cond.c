/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Condition variable: the contract of cond.h line by line; waiters that die asleep, signalled, and
 * with the lock; broadcasters that die; what the C library's hang on (experiments: a killed
 * waiter, many killed waiters, signals and broadcasts after that).
 */
#include <tarn/cond.h>

#include "prim.h"

static struct tarn_cond *cond;
static struct tarn_mutex *mutex;
static struct tarn_section *section;

static int make_cond(void **state)
{
	const struct tarn_cond_opts eight = { .waiters = 8 };
	const struct tarn_mutex_opts normal = { .type = TARN_MUTEX_NORMAL };
	const struct tarn_section_opts plain = { .journal_size = 0 };

	if (make_region(state) < 0 || tarn_cond_open(region, "cond", &eight, &cond) < 0 ||
	    tarn_mutex_open(region, "mutex", &normal, &mutex) < 0 ||
	    tarn_section_open(region, "section", &plain, &section) < 0)
		return -1;
	return 0;
}

static int drop_cond(void **state)
{
	tarn_cond_close(cond);
	tarn_mutex_close(mutex);
	tarn_section_close(section);
	return drop_region(state);
}

static void lock(void)
{
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), 0);
}

static void unlock_it(void)
{
	assert_int_equal(tarn_mutex_unlock(mutex), 0);
}

static void signal_it(void)
{
	assert_int_equal(tarn_cond_signal(cond), 0);
}

/* Waits once; flags[arg] says what came of it, plus 1, and flags[100] counts those. */
static int wait_once(void *arg)
{
	int n = *(int *)arg, r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	if (r == -EOWNERDEAD)
		r = tarn_mutex_consistent(mutex);
	if (r == 0)
		r = tarn_cond_wait(cond, mutex, tarn_deadline_after(SURELY_NS), NULL);
	atomic_store(&flags[n], (uint32_t)(1 - r));
	atomic_fetch_add(&flags[100], 1);
	if (r == -EOWNERDEAD)
		(void)tarn_mutex_consistent(mutex);
	return r == 0 || r == -EOWNERDEAD ? tarn_mutex_unlock(mutex) : r;
}

/* Until @n have sat down, and have let go of the mutex since: only then can they be signalled. */
static void await_seated(uint32_t n)
{
	int r;

	await_waiters("cond", n);
	r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
	assert_true(r == 0 || r == -EOWNERDEAD);
	assert_int_equal(tarn_mutex_consistent(mutex), 0);
	unlock_it();
}

/* So many processes that wait, each after the one before. */
static void start_waiters(pid_t *pids, int count)
{
	for (int i = 0; i < count; i++) {
		pids[i] = start(wait_once, &i);
		await_seated((uint32_t)i + 1);
	}
}

static void await_woken(uint32_t n)
{
	while (atomic_load(&flags[100]) < n)
		pause_us(200);
}

static void nobody_else_woke(uint32_t n)
{
	pause_us(30000); /* three slices */
	assert_int_equal(atomic_load(&flags[100]), n);
}

static void a_signal_wakes_the_one_who_has_waited_longest(void **state)
{
	pid_t pids[3];

	(void)state;
	start_waiters(pids, 3);
	for (uint32_t i = 0; i < 3; i++) {
		signal_it();
		await_woken(i + 1);
		assert_int_equal(atomic_load(&flags[i]), 1);
		nobody_else_woke(i + 1);
		await_death(pids[i]);
	}
	assert_int_equal(count_role("cond", TARN_LOCK_WAITS), 0);
}

static void tickets_may_begin_anew(void **state)
{
	struct section_shm *shm = ((struct prim *)cond)->sec.shm;

	atomic_store(&shm->state, UINT32_MAX - 1);
	atomic_store(&shm->bell, UINT32_MAX - 1);
	a_signal_wakes_the_one_who_has_waited_longest(state);
	/* A broadcast so long ago that it would look new wakes nobody. */
	atomic_store(&shm->state, (1u << 29) + 5);
	atomic_store(&shm->bell, 0);
	lock();
	assert_int_equal(tarn_cond_wait(cond, mutex, tarn_deadline_after(SOON_NS), NULL),
			 -ETIMEDOUT);
	unlock_it();
}

static void a_broadcast_wakes_all(void **state)
{
	pid_t pids[5];

	(void)state;
	start_waiters(pids, 5);
	lock();
	assert_int_equal(tarn_cond_broadcast(cond), 0);
	assert_int_equal(atomic_load(&flags[100]), 0); /* they want the mutex */
	unlock_it();
	for (int i = 0; i < 5; i++)
		await_death(pids[i]);
	assert_int_equal(atomic_load(&flags[100]), 5);
}

static void nothing_is_kept_for_those_who_come_later(void **state)
{
	struct tarn_diag diag;

	(void)state;
	signal_it();
	assert_int_equal(tarn_cond_broadcast(cond), 0);
	lock();
	assert_int_equal(tarn_cond_wait(cond, mutex, tarn_deadline_after(SOON_NS), &diag),
			 -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "no signal until the deadline"));
	/* It is locked again. */
	unlock_it();
	lock();
	assert_int_equal(tarn_cond_wait(cond, mutex, INT64_MIN, NULL), -ETIMEDOUT);
	unlock_it();
}

static void waiting_without_the_lock_is_refused(void **state)
{
	const struct tarn_mutex_opts recursive = { .type = TARN_MUTEX_RECURSIVE };
	struct tarn_mutex *deep;
	struct tarn_diag diag;

	(void)state;
	assert_int_equal(tarn_cond_wait(cond, mutex, TARN_FOREVER, &diag), -EPERM);
	assert_non_null(strstr(diag.what, "has not locked mutex mutex"));
	assert_int_equal(tarn_mutex_open(region, "deep", &recursive, &deep), 0);
	assert_int_equal(tarn_mutex_lock(deep, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_cond_wait(cond, deep, INT64_MIN, NULL), -ETIMEDOUT);
	assert_int_equal(tarn_mutex_lock(deep, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_cond_wait(cond, deep, TARN_FOREVER, &diag), -EINVAL);
	assert_non_null(strstr(diag.what, "locked 2 times"));
	assert_int_equal(tarn_mutex_unlock(deep), 0);
	assert_int_equal(tarn_mutex_unlock(deep), 0);
	tarn_mutex_close(deep);
}

static int lock_and_die(void *arg)
{
	(void)arg;
	return tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
}

static int lock_signal_and_die(void *arg)
{
	int r = lock_and_die(arg);

	return r == 0 ? tarn_cond_signal(cond) : r;
}

static void the_death_of_an_owner_is_told_with_the_signal(void **state)
{
	pid_t waiter;

	(void)state;
	start_waiters(&waiter, 1);
	run_dead(lock_signal_and_die, NULL);
	await_death(waiter);
	assert_int_equal(atomic_load(&flags[0]), 1 + EOWNERDEAD);
	lock();
	unlock_it();
}

static void *die_while_it_waits(void *arg)
{
	(void)arg;
	run_dead(lock_and_die, NULL);
	return NULL;
}

static void the_death_of_an_owner_is_told_without_a_signal(void **state)
{
	struct tarn_diag diag = { .what = "" };
	pthread_t thread;

	(void)state;
	lock();
	assert_int_equal(pthread_create(&thread, NULL, die_while_it_waits, NULL), 0);
	/* It may need longer than the deadline to die: then once more. */
	while (tarn_cond_wait(cond, mutex, tarn_deadline_after(2 * SOON_NS), &diag) == -ETIMEDOUT)
		;
	assert_non_null(strstr(diag.what, "one who had it died"));
	assert_non_null(strstr(diag.hint, "without a signal"));
	assert_int_equal(tarn_mutex_consistent(mutex), 0);
	unlock_it();
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* pthread_cond_signal() hangs here after the first few, and pthread_cond_broadcast() too. */
static void signals_go_on_whoever_was_killed_while_waiting(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		pid_t waiter, living;

		atomic_store(&flags[100], 0);
		start_waiters(&waiter, 1);
		end(waiter);
		living = start(wait_once, &i);
		await_seated(1);
		if (i % 2 == 0)
			signal_it();
		else
			assert_int_equal(tarn_cond_broadcast(cond), 0);
		await_death(living);
		assert_int_equal(atomic_load(&flags[i]), 1);
	}
}

static void the_dead_are_passed_over(void **state)
{
	pid_t pids[6];

	(void)state;
	start_waiters(pids, 6);
	for (int i = 0; i < 6; i += 2)
		end(pids[i]);
	for (uint32_t i = 0; i < 3; i++) {
		signal_it();
		await_woken(i + 1);
		assert_int_equal(atomic_load(&flags[2 * i + 1]), 1);
		await_death(pids[2 * i + 1]);
	}
}

static void what_the_dead_were_signalled_one_other_gets(void **state)
{
	pid_t pids[3];

	(void)state;
	start_waiters(pids, 3);
	lock();
	signal_it();
	end(pids[0]); /* it has been signalled, and did not have the mutex yet */
	unlock_it();
	await_woken(1);
	nobody_else_woke(1);
	assert_int_equal(atomic_load(&flags[0]), 0);
	signal_it();
	await_woken(2);
	await_death(pids[1]);
	await_death(pids[2]);
}

static void it_goes_on_as_often_as_they_die(void **state)
{
	pid_t pids[4];

	(void)state;
	start_waiters(pids, 4);
	lock();
	signal_it();
	signal_it();
	end(pids[0]);
	end(pids[1]);
	pause_us(30000); /* the other two have the signals by now */
	end(pids[2]);
	pause_us(30000);
	unlock_it();
	await_death(pids[3]);
	assert_int_equal(atomic_load(&flags[100]), 1);
	assert_int_equal(count_role("cond", TARN_LOCK_WAITS), 0);
}

static void a_signal_of_the_dead_is_not_for_those_who_came_later(void **state)
{
	pid_t pid;

	(void)state;
	start_waiters(&pid, 1);
	lock();
	signal_it();
	end(pid);
	assert_int_equal(tarn_cond_wait(cond, mutex, tarn_deadline_after(2 * SOON_NS), NULL),
			 -ETIMEDOUT);
	unlock_it();
}

/* As one that is killed after the store that decides. */
static void a_broadcast_reaches_all_whatever_becomes_of_who_gave_it(void **state)
{
	struct section_shm *shm = ((struct prim *)cond)->sec.shm;
	pid_t pids[3];

	(void)state;
	start_waiters(pids, 3);
	atomic_store(&shm->bell, atomic_load(&shm->state));
	for (int i = 0; i < 3; i++)
		await_death(pids[i]);
	assert_int_equal(atomic_load(&flags[100]), 3);
}

static void a_signal_after_a_broadcast_is_for_somebody_else(void **state)
{
	struct section_shm *shm = ((struct prim *)cond)->sec.shm;
	pid_t pids[2];

	(void)state;
	start_waiters(pids, 1);
	lock(); /* the first one is signalled by a broadcast, and not yet up */
	atomic_store(&shm->bell, atomic_load(&shm->state));
	unlock_it();
	int one = 1;
	pids[1] = start(wait_once, &one);
	while (atomic_load(&shm->state) < 2)
		pause_us(200);
	lock();
	signal_it();
	unlock_it();
	await_death(pids[0]);
	await_death(pids[1]);
}

static void there_is_room_for_so_many(void **state)
{
	struct tarn_diag diag;
	pid_t pids[8];

	(void)state;
	start_waiters(pids, 8);
	lock();
	assert_int_equal(tarn_cond_wait(cond, mutex, TARN_FOREVER, &diag), -EUSERS);
	assert_non_null(strstr(diag.what, "8 wait, and there is room for no more"));
	unlock_it(); /* nothing was let go */
	end(pids[3]);
	lock();
	assert_int_equal(tarn_cond_wait(cond, mutex, tarn_deadline_after(SOON_NS), &diag),
			 -ETIMEDOUT);
	unlock_it();
	assert_int_equal(tarn_cond_broadcast(cond), 0);
	for (int i = 0; i < 8; i++)
		if (i != 3)
			await_death(pids[i]);
}

enum { ITEMS = 3000, ROOM = 4 };

/* flags[1]: what is there; flags[2]: what was taken. */
static int consume(void *arg)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	(void)arg;
	while (r == 0 && atomic_load(&flags[2]) < ITEMS) {
		if (atomic_load(&flags[1]) == 0) {
			r = tarn_cond_wait(cond, mutex, TARN_FOREVER, NULL);
			continue;
		}
		atomic_fetch_sub(&flags[1], 1);
		atomic_fetch_add(&flags[2], 1);
		r = tarn_cond_broadcast(cond);
	}
	return r == 0 ? tarn_mutex_unlock(mutex) : r;
}

static void no_signal_is_lost_between_living_processes(void **state)
{
	pid_t pids[3];
	int r;

	(void)state;
	for (int i = 0; i < 3; i++)
		pids[i] = start(consume, NULL);
	for (int i = 0; i < ITEMS; i++) {
		lock();
		while (atomic_load(&flags[1]) >= ROOM) {
			r = tarn_cond_wait(cond, mutex, TARN_FOREVER, NULL);
			assert_int_equal(r, 0);
		}
		atomic_fetch_add(&flags[1], 1);
		assert_int_equal(tarn_cond_broadcast(cond), 0);
		unlock_it();
	}
	for (int i = 0; i < 3; i++)
		await_death(pids[i]);
	assert_int_equal(atomic_load(&flags[2]), ITEMS);
}

/* One signal for one waiter, each time. */
static void *ping(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < ITEMS; i++) {
		lock();
		while (atomic_load(&flags[3]) == i)
			assert_int_equal(tarn_cond_wait(cond, mutex, TARN_FOREVER, NULL), 0);
		atomic_fetch_add(&flags[4], 1);
		signal_it();
		unlock_it();
	}
	return NULL;
}

static void threads_that_share_a_handle_take_turns(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, ping, NULL), 0);
	for (uint32_t i = 0; i < ITEMS; i++) {
		lock();
		atomic_fetch_add(&flags[3], 1);
		signal_it();
		while (atomic_load(&flags[4]) == i)
			assert_int_equal(tarn_cond_wait(cond, mutex, TARN_FOREVER, NULL), 0);
		unlock_it();
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static int wait_for_ever(void *arg)
{
	(void)arg;
	for (;;) {
		int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

		if (r == -EOWNERDEAD)
			r = tarn_mutex_consistent(mutex);
		while (r == 0 || r == -EOWNERDEAD) {
			if (r == -EOWNERDEAD)
				(void)tarn_mutex_consistent(mutex);
			r = tarn_cond_wait(cond, mutex, TARN_FOREVER, NULL);
		}
		return r;
	}
}

/* Wherever they are killed, the next signal reaches the one who lives. */
static void many_killed_anywhere_leave_the_others_their_signals(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++) {
		pid_t victims[2], living;
		int r;

		atomic_store(&flags[100], 0);
		for (int v = 0; v < 2; v++)
			victims[v] = start(wait_for_ever, NULL);
		pause_us(100 * (i % 20));
		signal_it();
		for (int v = 0; v < 2; v++)
			end(victims[v]);
		living = start(wait_once, &i);
		while (atomic_load(&flags[100]) == 0) {
			r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
			if (r == -EOWNERDEAD)
				r = tarn_mutex_consistent(mutex);
			assert_int_equal(r, 0);
			signal_it();
			unlock_it();
			pause_us(500);
		}
		await_death(living);
	}
}

static int wait_in_section(void *arg)
{
	struct tarn_tx *tx;
	int r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);

	(void)arg;
	if (r < 0 || tarn_tx_set32(tx, (uint32_t *)(void *)&flags[1], 1) < 0)
		return 1;
	while (r == 0 && atomic_load(&flags[2]) == 0)
		r = tarn_cond_wait_in(cond, section, TARN_FOREVER, &tx, NULL);
	if (r < 0 || tarn_tx_set32(tx, (uint32_t *)(void *)&flags[3], 1) < 0)
		return 1;
	return tarn_section_leave(section);
}

static void in_a_section_the_tx_is_final_before_the_sleep(void **state)
{
	struct tarn_tx *tx;
	pid_t pid = start(wait_in_section, NULL);

	(void)state;
	await_seated(1);
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	assert_int_equal(atomic_load(&flags[1]), 1);
	assert_int_equal(tarn_tx_set32(tx, (uint32_t *)(void *)&flags[2], 1), 0);
	signal_it();
	assert_int_equal(tarn_section_leave(section), 0);
	await_death(pid);
	assert_int_equal(atomic_load(&flags[3]), 1);
	/* the deadline of the sleep, inside again */
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	assert_int_equal(tarn_cond_wait_in(cond, section, tarn_deadline_after(SOON_NS), &tx, NULL),
			 -ETIMEDOUT);
	assert_int_equal(tarn_tx_set32(tx, (uint32_t *)(void *)&flags[4], 1), 0);
	assert_int_equal(tarn_section_leave(section), 0);
	assert_int_equal(atomic_load(&flags[4]), 1);
}

static void of_sections_it_takes_the_only_one(void **state)
{
	const struct tarn_section_opts plain = { .journal_size = 64 };
	struct tarn_section *second;
	struct tarn_tx *tx, *old;

	(void)state;
	assert_int_equal(tarn_cond_wait_in(cond, section, TARN_FOREVER, &tx, NULL), -EPERM);
	assert_int_equal(tarn_section_open(region, "second", &plain, &second), 0);
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	assert_int_equal(tarn_section_enter(second, TARN_FOREVER, &tx, NULL), 0);
	old = tx;
	assert_int_equal(tarn_cond_wait_in(cond, section, TARN_FOREVER, &tx, NULL), -EINVAL);
	assert_int_equal(tarn_cond_wait_in(cond, second, TARN_FOREVER, &tx, NULL), -EINVAL);
	assert_ptr_equal(tx, old);
	assert_int_equal(tarn_section_leave(section), 0);
	assert_int_equal(tarn_section_leave(second), 0);
	/* a tx that is to be undone is, and nothing waited for */
	assert_int_equal(tarn_section_enter(second, TARN_FOREVER, &tx, NULL), 0);
	for (int i = 0; i < 10; i++)
		(void)tarn_tx_set32(tx, (uint32_t *)(void *)&flags[i], 7);
	assert_int_equal(tarn_cond_wait_in(cond, second, TARN_FOREVER, &tx, NULL), -ENOSPC);
	assert_int_equal(atomic_load(&flags[0]), 0);
	assert_int_equal(tarn_section_leave(second), -EPERM);
	assert_int_equal(count_role("cond", TARN_LOCK_WAITS), 0);
	tarn_section_close(second);
}

static int child_waits(void *arg)
{
	if (tarn_cond_wait(cond, arg, TARN_FOREVER, NULL) != -EPERM ||
	    tarn_mutex_lock(mutex, TARN_FOREVER, NULL) != 0)
		return 1;
	if (tarn_cond_signal(cond) != 0 ||
	    tarn_cond_wait(cond, mutex, tarn_deadline_after(SOON_NS), NULL) != -ETIMEDOUT)
		return 1;
	return tarn_mutex_unlock(mutex);
}

static void a_child_is_a_waiter_of_its_own(void **state)
{
	(void)state;
	lock();
	pid_t pid = start(child_waits, mutex);

	assert_int_equal(tarn_cond_wait(cond, mutex, tarn_deadline_after(2 * SOON_NS), NULL) == 0,
			 true);
	unlock_it();
	await_death(pid);
}

static void options_and_names_are_checked(void **state)
{
	struct tarn_diag diag;
	struct tarn_cond_opts wrong = { .waiters = 4097, .diag = &diag };
	const struct tarn_cond_opts nine = { .waiters = 9, .diag = &diag };
	const struct tarn_cond_opts any = { .waiters = 0 };
	struct tarn_lock_stat stat;
	struct tarn_cond *c = cond;

	(void)state;
	assert_int_equal(tarn_cond_open(region, "new", &wrong, &c), -EINVAL);
	assert_non_null(strstr(diag.what, "4097 waiters"));
	wrong = (struct tarn_cond_opts){ .pad = 1 };
	assert_int_equal(tarn_cond_open(region, "new", &wrong, &c), -EINVAL);
	assert_int_equal(tarn_cond_open(region, "cond", &nine, &c), -EEXIST);
	assert_non_null(strstr(diag.what, "has room for 8 waiters; asked was 9"));
	assert_int_equal(tarn_cond_open(region, "none", NULL, &c), -ENOENT);
	assert_int_equal(tarn_cond_open(region, "mutex", NULL, &c), -EPROTO);
	assert_ptr_equal(c, cond);
	assert_int_equal(tarn_cond_open(region, "cond", &any, &c), 0);
	tarn_cond_close(c);
	assert_int_equal(tarn_cond_open(region, "new", &any, &c), 0);
	assert_int_equal(tarn_lock_stat(region, "new", &stat, NULL, 0), 0);
	assert_int_equal(stat.seats, 64);
	tarn_cond_close(c);
	tarn_cond_close(NULL);
}

static void *scribble(void *arg)
{
	struct prim *prim = arg;

	await_seated(1);
	atomic_store(&prim->seats[0].value, 0x55555557);
	(void)tarn__plat_futex_wake(&prim->seats[0].value, 1);
	return NULL;
}

static void damage_is_told_and_ends_with_the_wait(void **state)
{
	struct prim *prim = (struct prim *)cond;
	pthread_t thread;

	(void)state;
	lock();
	assert_int_equal(pthread_create(&thread, NULL, scribble, cond), 0);
	assert_int_equal(tarn_cond_wait(cond, mutex, TARN_FOREVER, NULL), -EUCLEAN);
	unlock_it();
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* seats of nobody are taken for those of the dead */
	for (uint32_t at = 0; at < 8; at++)
		atomic_store(&prim->seats[at].id, 999u << 1);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	lock();
	assert_int_equal(tarn_cond_wait(cond, mutex, tarn_deadline_after(SOON_NS), NULL),
			 -ETIMEDOUT);
	unlock_it();
	for (uint32_t at = 0; at < 8; at++)
		atomic_store(&prim->seats[at].id, 0);
	/* somebody waits who is nobody */
	atomic_store(&prim->seats[5].value, 3);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	atomic_store(&prim->seats[5].value, 0);
}

static int wakes;

static int count_wakes(enum tarn_plat_call call)
{
	wakes += call == TARN_PLAT_FUTEX_WAKE;
	return 0;
}

static void a_signal_for_nobody_makes_no_system_call(void **state)
{
	(void)state;
	lock();
	assert_int_equal(tarn_cond_wait(cond, mutex, INT64_MIN, NULL), -ETIMEDOUT);
	unlock_it();
	tarn__plat_fault = count_wakes;
	for (int i = 0; i < 10; i++)
		signal_it();
	assert_int_equal(tarn_cond_broadcast(cond), 0);
	tarn__plat_fault = NULL;
	assert_int_equal(wakes, 0);
}

#define COND_TEST(name) cmocka_unit_test_setup_teardown(name, make_cond, drop_cond)

int main(void)
{
	const struct CMUnitTest tests[] = {
		COND_TEST(a_signal_wakes_the_one_who_has_waited_longest),
		COND_TEST(tickets_may_begin_anew),
		COND_TEST(a_broadcast_wakes_all),
		COND_TEST(nothing_is_kept_for_those_who_come_later),
		COND_TEST(waiting_without_the_lock_is_refused),
		COND_TEST(the_death_of_an_owner_is_told_with_the_signal),
		COND_TEST(the_death_of_an_owner_is_told_without_a_signal),
		COND_TEST(signals_go_on_whoever_was_killed_while_waiting),
		COND_TEST(the_dead_are_passed_over),
		COND_TEST(what_the_dead_were_signalled_one_other_gets),
		COND_TEST(it_goes_on_as_often_as_they_die),
		COND_TEST(a_signal_of_the_dead_is_not_for_those_who_came_later),
		COND_TEST(a_broadcast_reaches_all_whatever_becomes_of_who_gave_it),
		COND_TEST(a_signal_after_a_broadcast_is_for_somebody_else),
		COND_TEST(there_is_room_for_so_many),
		COND_TEST(no_signal_is_lost_between_living_processes),
		COND_TEST(threads_that_share_a_handle_take_turns),
		COND_TEST(many_killed_anywhere_leave_the_others_their_signals),
		COND_TEST(in_a_section_the_tx_is_final_before_the_sleep),
		COND_TEST(of_sections_it_takes_the_only_one),
		COND_TEST(a_child_is_a_waiter_of_its_own),
		COND_TEST(options_and_names_are_checked),
		COND_TEST(damage_is_told_and_ends_with_the_wait),
		COND_TEST(a_signal_for_nobody_makes_no_system_call),
	};

	return cmocka_run_group_tests_name("cond", tests, NULL, NULL);
}
