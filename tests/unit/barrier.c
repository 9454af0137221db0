/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Barrier: the contract of barrier.h line by line; parties that die, end and leave before and after
 * they arrive, and replacements; the words that a party leaves where it is killed.
 */
#include <tarn/barrier.h>

#include "prim.h"

static struct tarn_barrier *two, *three;

static int make_barriers(void **state)
{
	const struct tarn_barrier_opts of2 = { .count = 2 }, of3 = { .count = 3 };

	if (make_region(state) < 0 || tarn_barrier_open(region, "two", &of2, &two) < 0 ||
	    tarn_barrier_open(region, "three", &of3, &three) < 0)
		return -1;
	return 0;
}

static int drop_barriers(void **state)
{
	tarn_barrier_close(two);
	tarn_barrier_close(three);
	return drop_region(state);
}

static struct seat_shm *seat_of(struct tarn_barrier *barrier, int at)
{
	return &((struct prim *)barrier)->seats[at];
}

static int wait_surely(struct tarn_barrier *barrier)
{
	return tarn_barrier_wait(barrier, tarn_deadline_after(SURELY_NS), NULL);
}

/* Pass flags[50] rounds; flags[100 + r] counts those who were told r, less 0 to 200. */
static int pass_rounds(void *arg)
{
	for (uint32_t i = 0; i < atomic_load(&flags[50]); i++) {
		int r = wait_surely(arg);

		atomic_fetch_add(&flags[r == 0             ? 100
					: r == 1           ? 101
					: r == -EOWNERDEAD ? 102
							   : 103],
				 1);
	}
	return 0;
}

static void each_round_ends_when_all_have_arrived(void **state)
{
	pid_t pids[3];

	(void)state;
	atomic_store(&flags[50], 300);
	for (int i = 0; i < 3; i++)
		pids[i] = start(pass_rounds, three);
	for (int i = 0; i < 3; i++)
		await_death(pids[i]);
	/* One that is through with the last round may die before another has looked again. */
	assert_int_equal(atomic_load(&flags[101]), 300);
	assert_int_equal(atomic_load(&flags[100]), 600);
	assert_int_equal(atomic_load(&flags[102]) + atomic_load(&flags[103]), 0);
}

static void *pass_with_threads(void *arg)
{
	for (int i = 0; i < 500; i++) {
		int r;

		atomic_fetch_add(&flags[60], 1);
		r = wait_surely(arg);
		/* all have counted, and nobody counts on before all have looked */
		assert_true(r == 0 || r == 1);
		assert_int_equal(atomic_load(&flags[60]), 2 * i + 2);
		assert_true(wait_surely(arg) >= 0);
	}
	assert_int_equal(tarn_barrier_leave(arg), 0);
	return NULL;
}

static void threads_that_share_a_handle_are_parties_each(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, pass_with_threads, two), 0);
	(void)pass_with_threads(two);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(count_role("two", TARN_LOCK_SITS), 0);
}

static void rounds_may_begin_anew(void **state)
{
	struct tarn_lock_stat stat;

	atomic_store(&((struct prim *)two)->sec.shm->state, UINT32_MAX << 12);
	threads_that_share_a_handle_are_parties_each(state);
	assert_int_equal(tarn_lock_stat(region, "two", &stat, NULL, 0), 0);
	assert_int_equal(stat.value, 999);
}

static int arrive(void *arg)
{
	int r = wait_surely(arg);

	atomic_store(&flags[1], (uint32_t)(r < 0 ? -r : 1000 + r));
	return r == -EOWNERDEAD || r >= 0 ? 0 : 1;
}

static int join_and_die(void *arg)
{
	return tarn_barrier_join(arg, NULL);
}

static int join_and_stay(void *arg)
{
	int r = tarn_barrier_join(arg, NULL);

	atomic_store(&flags[0], 1);
	for (;;)
		pause();
	return r;
}

static void a_death_before_the_arrival_is_told_to_who_waits(void **state)
{
	pid_t missing = start(join_and_stay, two), waiter;

	(void)state;
	await_flag(0);
	waiter = start(arrive, two);
	await_waiters("two", 1);
	assert_int_equal(count_role("two", TARN_LOCK_SITS), 1);
	end(missing);
	await_death(waiter);
	assert_int_equal(atomic_load(&flags[1]), EOWNERDEAD);
}

static void and_to_who_arrives_later_in_that_round(void **state)
{
	struct tarn_diag diag;
	pid_t pid;

	(void)state;
	assert_int_equal(tarn_barrier_join(three, NULL), 0);
	run_dead(join_and_die, three);
	pid = start(arrive, three);
	await_death(pid); /* told at once, though we are not there */
	assert_int_equal(atomic_load(&flags[1]), EOWNERDEAD);
	/* and so are we, once */
	assert_int_equal(tarn_barrier_wait(three, TARN_FOREVER, &diag), -EOWNERDEAD);
	assert_non_null(strstr(diag.what, "died before it arrived"));
	/* The next round is broken by the second death, which is told for itself. */
	assert_int_equal(wait_surely(three), -EOWNERDEAD);
	/* Then nobody is told anything until others come. */
	assert_int_equal(tarn_barrier_wait(three, tarn_deadline_after(SOON_NS), NULL), -ETIMEDOUT);
}

static void after_a_death_the_seat_is_for_another_and_rounds_go_on(void **state)
{
	pid_t pid;
	int r;

	(void)state;
	run_dead(join_and_die, two);
	assert_int_equal(wait_surely(two), -EOWNERDEAD);
	pid = start(arrive, two);
	r = wait_surely(two);
	assert_true(r == 0 || r == 1);
	await_death(pid);
	assert_int_equal(atomic_load(&flags[1]), 1001 - (uint32_t)r);
}

static void who_takes_a_dead_partys_seat_first_tells_the_others_too(void **state)
{
	pid_t waiter, other;

	(void)state;
	assert_int_equal(tarn_barrier_join(two, NULL), 0);
	run_dead(join_and_die, two);
	/* It finds no seat but that of the dead: this round is broken by that, and it is for the
	 * next one. */
	waiter = start(arrive, two);
	await_waiters("two", 1);
	assert_int_equal(wait_surely(two), -EOWNERDEAD);
	assert_true(wait_surely(two) >= 0);
	await_death(waiter);
	assert_true(atomic_load(&flags[1]) >= 1000);
	/* and that one has died by now, before it arrived again */
	assert_int_equal(wait_surely(two), -EOWNERDEAD);
	other = start(arrive, two);
	assert_true(wait_surely(two) >= 0);
	await_death(other);
}

static int arrive_and_be_killed(void *arg)
{
	return tarn_barrier_wait(arg, tarn_deadline_after(SOON_NS), NULL) == -ETIMEDOUT ? 0 : 1;
}

static void a_death_after_the_arrival_does_not_break_the_round(void **state)
{
	(void)state;
	run_dead(arrive_and_be_killed, two);
	assert_int_equal(wait_surely(two), 1);
	/* but the next one, where it does not arrive */
	assert_int_equal(wait_surely(two), -EOWNERDEAD);
	assert_int_equal(tarn_barrier_wait(two, tarn_deadline_after(SOON_NS), NULL), -ETIMEDOUT);
}

static void the_seat_of_one_that_arrived_and_died_can_be_taken(void **state)
{
	pid_t pid;

	(void)state;
	run_dead(arrive_and_be_killed, three);
	assert_int_equal(tarn_barrier_join(three, NULL), 0);
	pid = start(arrive, three); /* arrives in the first round */
	await_waiters("three", 1);
	pid_t next = start(arrive, three); /* sits where the dead did: for the second round */
	while (count_role("three", TARN_LOCK_SITS) + count_role("three", TARN_LOCK_WAITS) < 3)
		pause_us(200);
	assert_true(wait_surely(three) >= 0);
	await_death(pid);
	/* the second one: that one has died, and says so to those who are left */
	assert_int_equal(wait_surely(three), -EOWNERDEAD);
	await_death(next);
}

/* As of one that is killed after it has written the last arrival, before it has looked. */
static void a_last_arrival_counts_whoever_sees_it(void **state)
{
	pid_t pid;

	(void)state;
	assert_int_equal(tarn_barrier_join(two, NULL), 0);
	pid = start(arrive, two);
	await_waiters("two", 1);
	for (int at = 0; at < 2; at++)
		atomic_fetch_or(&seat_of(two, at)->value, 2);
	await_death(pid);
	assert_int_equal(atomic_load(&flags[1]), 1001);
	assert_int_equal(tarn_barrier_wait(two, INT64_MIN, NULL), 0);
}

static void *join_it(void *arg)
{
	assert_int_equal(tarn_barrier_join(arg, NULL), 0);
	return NULL;
}

static void a_thread_that_ends_counts_as_dead(void **state)
{
	(void)state;
	run_thread(join_it, two);
	assert_int_equal(wait_surely(two), -EOWNERDEAD);
	assert_int_equal(tarn_barrier_wait(two, tarn_deadline_after(SOON_NS), NULL), -ETIMEDOUT);
}

static void who_leaves_is_waited_for_until_another_comes(void **state)
{
	pid_t pid;

	(void)state;
	assert_int_equal(tarn_barrier_leave(two), -EPERM);
	assert_int_equal(tarn_barrier_join(two, NULL), 0);
	assert_int_equal(tarn_barrier_join(two, NULL), 0); /* it has one */
	assert_int_equal(count_role("two", TARN_LOCK_SITS), 1);
	assert_int_equal(tarn_barrier_leave(two), 0);
	assert_int_equal(tarn_barrier_leave(two), -EPERM);
	assert_int_equal(count_role("two", TARN_LOCK_SITS), 0);
	pid = start(arrive, two);
	await_waiters("two", 1);
	assert_true(wait_surely(two) >= 0);
	await_death(pid);
}

static void an_arrival_stands_when_the_deadline_passes(void **state)
{
	struct tarn_diag diag;
	pid_t pid;
	int r;

	(void)state;
	assert_int_equal(tarn_barrier_wait(two, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "1 of 2 have arrived"));
	assert_int_equal(tarn_barrier_wait(two, INT64_MIN, &diag), -ETIMEDOUT);
	pid = start(arrive, two);
	await_death(pid); /* it need not wait for us: we have arrived */
	assert_int_equal(atomic_load(&flags[1]), 1001);
	r = tarn_barrier_wait(two, INT64_MIN, NULL);
	assert_int_equal(r, 0);
}

static void words_say_who_is_missing(void **state)
{
	pid_t pid = start(join_and_stay, two);
	struct tarn_diag diag;

	(void)state;
	await_flag(0);
	assert_int_equal(tarn_barrier_wait(two, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.hint, "is not there yet"));
	end(pid);
	assert_int_equal(wait_surely(two), -EOWNERDEAD);
}

static void more_threads_than_seats_are_refused(void **state)
{
	pid_t pids[2];
	struct tarn_diag diag;

	(void)state;
	pids[0] = start(join_and_stay, two);
	await_flag(0);
	atomic_store(&flags[0], 0);
	pids[1] = start(join_and_stay, two);
	await_flag(0);
	assert_int_equal(tarn_barrier_wait(two, TARN_FOREVER, &diag), -EUSERS);
	assert_non_null(strstr(diag.what, "all of its 2 seats"));
	assert_int_equal(tarn_barrier_join(two, NULL), -EUSERS);
	end(pids[0]);
	assert_int_equal(tarn_barrier_join(two, NULL), 0);
	end(pids[1]);
}

static int child_has_none(void *arg)
{
	return tarn_barrier_leave(arg) == -EPERM && tarn_barrier_join(arg, NULL) == 0 &&
			       tarn_barrier_leave(arg) == 0
		       ? 0
		       : 1;
}

static void a_child_has_no_seat_of_its_parent(void **state)
{
	(void)state;
	assert_int_equal(tarn_barrier_join(two, NULL), 0);
	run_dead(child_has_none, two);
	assert_int_equal(tarn_barrier_leave(two), 0);
}

/* Dying and coming anew, for ever: no round that is told whole lacks an arrival. */
static int come_and_go(void *arg)
{
	for (int i = 0; i < 400; i++) {
		int r = wait_surely(arg);

		if (r != 0 && r != 1 && r != -EOWNERDEAD)
			return 1;
	}
	return 0;
}

static void killed_anywhere_they_leave_no_party_waiting(void **state)
{
	pid_t steady = start(come_and_go, two);

	(void)state;
	for (int i = 0; i < 40; i++) {
		pid_t pid = start(come_and_go, two);

		pause_us(200 + 137 * (i % 9));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	kill(steady, SIGKILL);
	assert_int_equal(waitpid(steady, NULL, 0), steady);
	/* A death or two are to be told, and an arrival of the dead may count. */
	int r = wait_surely(two);
	for (int i = 0; i < 4 && r != -ETIMEDOUT; i++)
		r = tarn_barrier_wait(two, tarn_deadline_after(SOON_NS), NULL);
	assert_int_equal(r, -ETIMEDOUT);
	assert_int_equal(tarn_barrier_leave(two), 0);
}

static void options_and_names_are_checked(void **state)
{
	struct tarn_diag diag;
	struct tarn_barrier_opts wrong = { .count = 0, .diag = &diag };
	const struct tarn_barrier_opts of3 = { .count = 3, .diag = &diag };
	struct tarn_barrier *b = two;

	(void)state;
	assert_int_equal(tarn_barrier_open(region, "new", &wrong, &b), -EINVAL);
	assert_non_null(strstr(diag.what, "0 parties"));
	wrong.count = 4097;
	assert_int_equal(tarn_barrier_open(region, "new", &wrong, &b), -EINVAL);
	assert_int_equal(tarn_barrier_open(region, "two", &of3, &b), -EEXIST);
	assert_int_equal(tarn_barrier_open(region, "none", NULL, &b), -ENOENT);
	assert_int_equal(tarn_barrier_open(region, "flags", NULL, &b), -EPROTO);
	assert_ptr_equal(b, two);
	assert_int_equal(tarn_barrier_open(region, "two", NULL, &b), 0);
	tarn_barrier_close(b);
	tarn_barrier_close(NULL);
}

static void what_was_written_over_is_told_or_begun_anew(void **state)
{
	struct tarn_lock_stat stat;

	(void)state;
	assert_int_equal(tarn_barrier_join(two, NULL), 0);
	atomic_store(&seat_of(two, 0)->value, 0xff8);
	atomic_store(&seat_of(two, 1)->value, 0xff8);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	atomic_store(&seat_of(two, 0)->value, 0);
	atomic_store(&seat_of(two, 1)->value, 0);
	assert_int_equal(tarn_barrier_wait(two, tarn_deadline_after(SOON_NS), NULL), -ETIMEDOUT);
	assert_int_equal(tarn_barrier_leave(two), 0);
	/* a seat of nobody: free, though nobody was a party */
	atomic_store(&seat_of(two, 0)->id, 999u << 1);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	assert_int_equal(tarn_barrier_wait(two, tarn_deadline_after(SOON_NS), NULL), -ETIMEDOUT);
	assert_int_equal(tarn_lock_stat(region, "two", &stat, NULL, 0), 0);
	assert_int_equal(stat.seats, 2);
	assert_int_equal(stat.value, 0);
}

#define BARRIER_TEST(name) cmocka_unit_test_setup_teardown(name, make_barriers, drop_barriers)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARRIER_TEST(each_round_ends_when_all_have_arrived),
		BARRIER_TEST(threads_that_share_a_handle_are_parties_each),
		BARRIER_TEST(rounds_may_begin_anew),
		BARRIER_TEST(a_death_before_the_arrival_is_told_to_who_waits),
		BARRIER_TEST(and_to_who_arrives_later_in_that_round),
		BARRIER_TEST(after_a_death_the_seat_is_for_another_and_rounds_go_on),
		BARRIER_TEST(who_takes_a_dead_partys_seat_first_tells_the_others_too),
		BARRIER_TEST(a_death_after_the_arrival_does_not_break_the_round),
		BARRIER_TEST(the_seat_of_one_that_arrived_and_died_can_be_taken),
		BARRIER_TEST(a_last_arrival_counts_whoever_sees_it),
		BARRIER_TEST(a_thread_that_ends_counts_as_dead),
		BARRIER_TEST(who_leaves_is_waited_for_until_another_comes),
		BARRIER_TEST(an_arrival_stands_when_the_deadline_passes),
		BARRIER_TEST(words_say_who_is_missing),
		BARRIER_TEST(more_threads_than_seats_are_refused),
		BARRIER_TEST(a_child_has_no_seat_of_its_parent),
		BARRIER_TEST(killed_anywhere_they_leave_no_party_waiting),
		BARRIER_TEST(options_and_names_are_checked),
		BARRIER_TEST(what_was_written_over_is_told_or_begun_anew),
	};

	return cmocka_run_group_tests_name("barrier", tests, NULL, NULL);
}
