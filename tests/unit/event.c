/* SPDX-License-Identifier: BSD-2-Clause */
/* Event: the contract of event.h line by line; both kinds, sleepers, deaths, generations. */
#include <tarn/event.h>

#include "prim.h"

static struct tarn_event *manual, *automatic;

static int make_events(void **state)
{
	const struct tarn_event_opts none = { .flags = 0 }, one = { .flags = TARN_EVENT_AUTO };

	if (make_region(state) < 0 || tarn_event_open(region, "manual", &none, &manual) < 0 ||
	    tarn_event_open(region, "automatic", &one, &automatic) < 0)
		return -1;
	return 0;
}

static int drop_events(void **state)
{
	tarn_event_close(manual);
	tarn_event_close(automatic);
	return drop_region(state);
}

static int wait_for(void *arg)
{
	int r = tarn_event_wait(arg, tarn_deadline_after(SURELY_NS), NULL);

	atomic_fetch_add(&flags[1], r == 0);
	return r;
}

static void a_manual_one_lets_everybody_through_until_it_is_reset(void **state)
{
	struct tarn_diag diag;

	(void)state;
	assert_int_equal(tarn_event_try(manual), -EAGAIN);
	assert_int_equal(tarn_event_wait(manual, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "not set until the deadline"));
	assert_int_equal(tarn_event_set(manual), 0);
	assert_int_equal(tarn_event_set(manual), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tarn_event_try(manual), 0);
		assert_int_equal(tarn_event_wait(manual, INT64_MIN, NULL), 0);
	}
	assert_true(tarn_event_is_set(manual));
	assert_int_equal(tarn_event_reset(manual), 0);
	assert_false(tarn_event_is_set(manual));
	assert_int_equal(tarn_event_try(manual), -EAGAIN);
}

static void an_automatic_one_lets_one_through_for_each_set(void **state)
{
	(void)state;
	assert_int_equal(tarn_event_set(automatic), 0);
	assert_int_equal(tarn_event_set(automatic), 0); /* still one */
	assert_int_equal(tarn_event_wait(automatic, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_event_try(automatic), -EAGAIN);
	assert_int_equal(tarn_event_set(automatic), 0);
	assert_int_equal(tarn_event_reset(automatic), 0);
	assert_int_equal(tarn_event_wait(automatic, tarn_deadline_after(SOON_NS), NULL),
			 -ETIMEDOUT);
}

static void all_sleepers_of_a_manual_one_get_through(void **state)
{
	pid_t pids[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pids[i] = start(wait_for, manual);
	await_waiters("manual", 4);
	/* even if nothing is left to be seen when they look */
	assert_int_equal(tarn_event_set(manual), 0);
	assert_int_equal(tarn_event_reset(manual), 0);
	for (int i = 0; i < 4; i++)
		await_death(pids[i]);
	assert_int_equal(atomic_load(&flags[1]), 4);
	assert_int_equal(tarn_event_try(manual), -EAGAIN);
}

static void one_sleeper_of_an_automatic_one_gets_through(void **state)
{
	pid_t pids[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		pids[i] = start(wait_for, automatic);
	await_waiters("automatic", 3);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(tarn_event_set(automatic), 0);
		while (atomic_load(&flags[1]) < i)
			pause_us(200);
		pause_us(20000);
		assert_int_equal(atomic_load(&flags[1]), i);
	}
	for (int i = 0; i < 3; i++)
		await_death(pids[i]);
}

static void a_sleeper_that_dies_takes_no_set_along(void **state)
{
	pid_t pids[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		pids[i] = start(wait_for, automatic);
	await_waiters("automatic", 3);
	end(pids[0]);
	end(pids[1]);
	assert_int_equal(tarn_event_set(automatic), 0);
	await_death(pids[2]);
	assert_int_equal(atomic_load(&flags[1]), 1);
}

/* As one that is killed before it rings. */
static void sleepers_see_what_nobody_has_rung_for(void **state)
{
	pid_t pid = start(wait_for, manual);

	(void)state;
	await_waiters("manual", 1);
	atomic_store(&((struct prim *)manual)->sec.shm->state, 3);
	await_death(pid);
	assert_int_equal(atomic_load(&flags[1]), 1);
}

enum { TURNS = 3000 };

static int answer(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < TURNS; i++)
		if (tarn_event_wait(automatic, TARN_FOREVER, NULL) < 0 ||
		    atomic_load(&flags[2]) != i + 1 || atomic_fetch_add(&flags[3], 1) != i ||
		    tarn_event_set(manual) < 0)
			return 1;
	return 0;
}

static void no_set_is_lost_in_taking_turns(void **state)
{
	pid_t pid = start(answer, NULL);

	(void)state;
	for (uint32_t i = 0; i < TURNS; i++) {
		atomic_fetch_add(&flags[2], 1);
		assert_int_equal(tarn_event_set(automatic), 0);
		assert_int_equal(tarn_event_wait(manual, tarn_deadline_after(SURELY_NS), NULL), 0);
		assert_int_equal(atomic_load(&flags[3]), i + 1);
		assert_int_equal(tarn_event_reset(manual), 0);
	}
	await_death(pid);
}

static int child_uses_it(void *arg)
{
	return tarn_event_set(arg) == 0 && tarn_event_try(arg) == 0 && tarn_event_set(arg) == 0 ? 0
												: 1;
}

static void a_child_may_set_it_too(void **state)
{
	(void)state;
	run_dead(child_uses_it, automatic);
	assert_int_equal(tarn_event_try(automatic), 0);
}

static int wakes;

static int count_wakes(enum tarn_plat_call call)
{
	wakes += call == TARN_PLAT_FUTEX_WAKE;
	return 0;
}

static void a_set_for_nobody_makes_no_system_call(void **state)
{
	(void)state;
	/* It may be said that somebody sleeps, once, after the last one has gone. */
	assert_int_equal(tarn_event_wait(manual, INT64_MIN, NULL), -ETIMEDOUT);
	assert_int_equal(tarn_event_set(manual), 0);
	assert_int_equal(tarn_event_reset(manual), 0);
	tarn__plat_fault = count_wakes;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(tarn_event_set(manual), 0);
		assert_int_equal(tarn_event_reset(manual), 0);
	}
	tarn__plat_fault = NULL;
	assert_int_equal(wakes, 0);
}

static void options_and_names_are_checked(void **state)
{
	struct tarn_diag diag;
	struct tarn_event_opts wrong = { .flags = 2, .diag = &diag };
	const struct tarn_event_opts set = { .set = 1 };
	struct tarn_lock_stat stat;
	struct tarn_event *e = manual;

	(void)state;
	assert_int_equal(tarn_event_open(region, "new", &wrong, &e), -EINVAL);
	assert_non_null(strstr(diag.what, "flags 0x2"));
	wrong = (struct tarn_event_opts){ .set = 2 };
	assert_int_equal(tarn_event_open(region, "new", &wrong, &e), -EINVAL);
	wrong = (struct tarn_event_opts){ .flags = TARN_EVENT_AUTO, .diag = &diag };
	assert_int_equal(tarn_event_open(region, "manual", &wrong, &e), -EEXIST);
	assert_string_equal(diag.what, "event manual is one that stays set; wanted was one that "
				       "resets itself (TARN_EVENT_AUTO)");
	assert_int_equal(tarn_event_open(region, "none", NULL, &e), -ENOENT);
	assert_int_equal(tarn_event_open(region, "flags", NULL, &e), -EPROTO);
	assert_ptr_equal(e, manual);
	assert_int_equal(tarn_event_open(region, "set", &set, &e), 0);
	assert_int_equal(tarn_event_try(e), 0);
	assert_int_equal(tarn_lock_stat(region, "set", &stat, NULL, 0), 0);
	assert_int_equal(stat.value, 1);
	tarn_event_close(e);
	tarn_event_close(NULL);
}

#define EVENT_TEST(name) cmocka_unit_test_setup_teardown(name, make_events, drop_events)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVENT_TEST(a_manual_one_lets_everybody_through_until_it_is_reset),
		EVENT_TEST(an_automatic_one_lets_one_through_for_each_set),
		EVENT_TEST(all_sleepers_of_a_manual_one_get_through),
		EVENT_TEST(one_sleeper_of_an_automatic_one_gets_through),
		EVENT_TEST(a_sleeper_that_dies_takes_no_set_along),
		EVENT_TEST(sleepers_see_what_nobody_has_rung_for),
		EVENT_TEST(no_set_is_lost_in_taking_turns),
		EVENT_TEST(a_child_may_set_it_too),
		EVENT_TEST(a_set_for_nobody_makes_no_system_call),
		EVENT_TEST(options_and_names_are_checked),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
