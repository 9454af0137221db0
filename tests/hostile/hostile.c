/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile peers: what a process that may write to a region, or only read it, can do to those who
 * use it by the library's rules. Under ASan and UBSan (dev/test builds this suite so) every stray
 * access is seen; in a plain build only those that end in a signal.
 *
 *     hostile-hostile [SECONDS [CASE]]     20 by default, shared out among the attacks; the cases
 *                                          of that name alone, as *calls*; the seed is
 *                                          HOSTILE_SEED, else 1
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#include "harness.h"

static double seconds_all = 20;
static uint64_t seed = 1;

static const char *const verdicts[] = { "calm", "died", "stuck", "lied" };

static void run(const struct hostile_plan *plan, struct hostile_result *ret_result)
{
	hostile_run(plan, ret_result);
	print_message("# %s: %s; %llu calls, %llu of them refused, %llu attacks%s%s\n", plan->name,
		      verdicts[ret_result->verdict], (unsigned long long)ret_result->calls,
		      (unsigned long long)ret_result->errors,
		      (unsigned long long)ret_result->attacks,
		      ret_result->text[0] != '\0' ? ": " : "", ret_result->text);
}

static void expect(const struct hostile_plan *plan, enum hostile_verdict verdict)
{
	struct hostile_result result;

	run(plan, &result);
	assert_string_equal(verdicts[result.verdict], verdicts[verdict]);
	if (verdict == HOSTILE_CALM) {
		assert_true(result.calls > 100);
		assert_true(result.attacks > 10);
	}
}

/* --- writing peers --------------------------------------------------------------------------- */

static void a_scribbling_peer_costs_errors_only(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "ring under scribbling",
				       .victims = { victim_producer, victim_consumer },
				       .attack = attack_scribble,
				       .seconds = seconds_all * 0.3,
				       .seed = seed },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "region under scribbling",
				       .victims = { victim_manager, victim_newcomer },
				       .attack = attack_scribble,
				       .seconds = seconds_all * 0.25,
				       .seed = seed + 1 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "all at once under scribbling",
				       .victims = { victim_producer, victim_consumer,
						    victim_manager, victim_newcomer },
				       .attack = attack_scribble,
				       .seconds = seconds_all * 0.2,
				       .seed = seed + 2 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "sections under scribbling",
				       .victims = { victim_changer, victim_changer, victim_onlooker,
						    victim_onlooker },
				       .attack = attack_scribble,
				       .seconds = seconds_all * 0.3,
				       .seed = seed + 3 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "arena under scribbling",
				       .victims = { victim_allocator, victim_allocator,
						    victim_surveyor, victim_surveyor },
				       .attack = attack_scribble,
				       .seconds = seconds_all * 0.3,
				       .seed = seed + 4 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "topics under scribbling",
				       .victims = { victim_messenger, victim_messenger,
						    victim_messenger },
				       .attack = attack_scribble,
				       .topics = true,
				       .seconds = seconds_all * 0.2,
				       .seed = seed + 10 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "counters under scribbling",
				       .victims = { victim_tallier, victim_tallier,
						    victim_tallier },
				       .attack = attack_scribble,
				       .topics = true,
				       .seconds = seconds_all * 0.15,
				       .seed = seed + 12 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "primitives under scribbling",
				       .victims = { victim_locker, victim_locker, victim_locker },
				       .attack = attack_scribble,
				       .seconds = seconds_all * 0.3,
				       .seed = seed + 8 },
	       HOSTILE_CALM);
}

static void who_sleeps_on_a_word_wakes_in_time(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "words under scribbling",
				       .victims = { victim_sleeper, victim_sleeper, victim_sleeper,
						    victim_counter },
				       .attack = attack_words,
				       .seconds = seconds_all * 0.15,
				       .seed = seed + 9 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "words that nobody else changes, under scribbling",
				       .victims = { victim_sleeper, victim_sleeper },
				       .attack = attack_words,
				       .seconds = seconds_all * 0.1,
				       .seed = seed + 10 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "truncation under words",
				       .victims = { guarded_sleeper, guarded_sleeper,
						    guarded_counter },
				       .attack = attack_truncate,
				       .seconds = seconds_all * 0.1,
				       .seed = seed },
	       HOSTILE_CALM);
}

static void those_who_listen_are_told_errors_only(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "listeners under scribbling",
				       .victims = { victim_changer, victim_follower,
						    victim_follower, victim_copier },
				       .attack = attack_scribble,
				       .listened = true,
				       .seconds = seconds_all * 0.15,
				       .seed = seed + 5 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "listeners, where they alone are scribbled on",
				       .victims = { victim_copier, victim_follower, victim_follower,
						    victim_follower },
				       .attack = attack_listeners,
				       .listened = true,
				       .seconds = seconds_all * 0.15,
				       .seed = seed + 7 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "allocating while listened to, under scribbling",
				       .victims = { victim_allocator, victim_copier,
						    victim_manager },
				       .attack = attack_scribble,
				       .listened = true,
				       .seconds = seconds_all * 0.1,
				       .seed = seed + 6 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "truncation under listeners",
				       .victims = { guarded_changer, guarded_follower,
						    guarded_follower, guarded_copier },
				       .attack = attack_truncate,
				       .listened = true,
				       .seconds = seconds_all * 0.1,
				       .seed = seed },
	       HOSTILE_CALM);
}

static void a_truncating_peer_is_an_error_with_the_guard(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "truncation",
				       .victims = { guarded_producer, guarded_consumer,
						    guarded_manager, guarded_newcomer },
				       .attack = attack_truncate,
				       .seconds = seconds_all * 0.15,
				       .seed = seed },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "truncation under sections",
				       .victims = { guarded_changer, guarded_onlooker,
						    guarded_changer },
				       .attack = attack_truncate,
				       .seconds = seconds_all * 0.1,
				       .seed = seed },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "truncation under counters",
				       .victims = { guarded_tallier, guarded_tallier },
				       .attack = attack_truncate,
				       .topics = true,
				       .seconds = seconds_all * 0.1,
				       .seed = seed + 13 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "truncation under topics",
				       .victims = { guarded_messenger, guarded_messenger },
				       .attack = attack_truncate,
				       .topics = true,
				       .seconds = seconds_all * 0.1,
				       .seed = seed },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "truncation under primitives",
				       .victims = { guarded_locker, guarded_locker },
				       .attack = attack_truncate,
				       .seconds = seconds_all * 0.1,
				       .seed = seed },
	       HOSTILE_CALM);
}

static void an_arena_that_is_cut_off_is_an_error_with_the_guard(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "truncation under an arena",
				       .victims = { guarded_allocator, guarded_surveyor,
						    guarded_surveyor },
				       .attack = attack_truncate,
				       .seconds = seconds_all * 0.1,
				       .seed = seed },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "punched holes in an arena",
				       .victims = { victim_allocator, victim_surveyor },
				       .attack = attack_punch,
				       .seconds = seconds_all * 0.1,
				       .seed = seed },
	       HOSTILE_CALM);
}

static void a_hole_punching_peer_costs_errors_only(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "punched holes",
				       .victims = { victim_producer, victim_consumer,
						    victim_manager },
				       .attack = attack_punch,
				       .seconds = seconds_all * 0.1,
				       .seed = seed },
	       HOSTILE_CALM);
}

/* --- reading peers --------------------------------------------------------------------------- */

static void a_reader_who_moves_waiters_away_delays_them_only(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "requeued waiters",
				       .victims = { waiting_consumer, feeding_producer },
				       .attack = attack_requeue,
				       .seconds = 2,
				       .seed = seed },
	       HOSTILE_CALM);
}

#define LOCK_BASE (UINT64_C(1) << 62) /* design/format.md: the byte that slot 0 locks */

/* A member dies while a stranger holds a read lock on every byte of the file. */
static pid_t start_member(int fd, const char *ring_name)
{
	struct tarn_region *region;
	struct tarn_ring *ring;
	int pipe_fds[2];
	char byte = 0;

	assert_int_equal(pipe(pipe_fds), 0);
	pid_t child = hostile_fork();

	if (child == 0) {
		if (tarn_region_open_fd(fd, NULL, &region) < 0 ||
		    tarn_ring_open(region, ring_name, TARN_RING_PRODUCER, NULL, &ring) < 0)
			_exit(1);
		(void)!write(pipe_fds[1], &byte, 1);
		for (;;)
			pause();
	}
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	close(pipe_fds[0]);
	return child;
}

static int read_lock(int fd, uint64_t from, uint64_t size)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	lock.l_start = (off_t)from;
	lock.l_len = (off_t)size;
	return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : -errno;
}

/* Read locks on every byte that nobody alive has locked. */
static int squat(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int reader = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(reader >= 0);
	assert_int_equal(read_lock(reader, 0, LOCK_BASE), 0);
	for (uint64_t i = 0; i < 1000; i++)
		(void)read_lock(reader, LOCK_BASE + i, 1);
	return reader;
}

static int count_living_others(const struct tarn_member_stat *stat, void *arg)
{
	if (stat->alive && !stat->self)
		++*(int *)arg;
	return 0;
}

/* What a naive probe says, which asks as a writer would. */
static bool naive_probe_sees_life(int fd, uint64_t off)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	lock.l_start = (off_t)off;
	assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
	return lock.l_type != F_UNLCK;
}

static void a_squatted_read_lock_is_no_life(void **state)
{
	struct tarn_region *region, *newcomer;
	struct tarn_ring *ring;
	char buf[256];
	size_t size, size_all;
	int living = 0, squatter, r;
	int fd = victims_region(false, false, &size_all);

	(void)state;
	pid_t member = start_member(fd, "ring");

	assert_int_equal(tarn_region_open_fd(fd, NULL, &region), 0);
	assert_int_equal(tarn_ring_open(region, "ring", TARN_RING_CONSUMER, NULL, &ring), 0);
	assert_int_equal(tarn_region_members(region, count_living_others, &living), 0);
	assert_int_equal(living, 1);
	kill(member, SIGKILL);
	waitpid(member, NULL, 0);
	squatter = squat(fd);
	assert_true(naive_probe_sees_life(fd, LOCK_BASE)); /* the mutant is fooled */

	living = 0;
	assert_int_equal(tarn_region_members(region, count_living_others, &living), 0);
	assert_int_equal(living, 0);
	while ((r = tarn_ring_pop_wait(ring, buf, sizeof(buf), TARN_FOREVER, &size)) == 0)
		;
	assert_int_equal(r, -EPIPE);
	assert_int_equal(tarn_region_gc(region, NULL), 0);

	/* Who wants to join may be kept out, with an error, while it lasts. */
	r = tarn_region_open_fd(fd, NULL, &newcomer);
	assert_true(r == 0 || r == -EUSERS);
	if (r == 0)
		tarn_region_close(newcomer);
	close(squatter);
	assert_int_equal(tarn_region_open_fd(fd, NULL, &newcomer), 0);
	tarn_region_close(newcomer);
	tarn_ring_close(ring);
	tarn_region_close(region);
	close(fd);
}

/* --- faults that the harness must see -------------------------------------------------------- */

static void a_trusting_reader_is_seen_to_die(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "seeded: trusts an offset",
				       .victims = { naive_truster },
				       .attack = attack_scribble,
				       .seconds = 30,
				       .seed = seed },
	       HOSTILE_DIED);
}

static void a_trusting_allocator_is_seen_to_die(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "seeded: trusts a list of pages",
				       .victims = { naive_popper },
				       .attack = attack_scribble,
				       .seconds = 30,
				       .seed = seed },
	       HOSTILE_DIED);
}

static void an_endless_reader_is_seen_to_be_stuck(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "seeded: follows a chain",
				       .victims = { naive_follower },
				       .attack = attack_scribble,
				       .seconds = 30,
				       .stuck_seconds = 0.5,
				       .seed = seed },
	       HOSTILE_STUCK);
}

static void an_undocumented_error_is_seen(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "seeded: passes bytes on as errors",
				       .victims = { naive_liar },
				       .attack = attack_scribble,
				       .seconds = 30,
				       .seed = seed },
	       HOSTILE_LIED);
}

static void a_program_without_the_guard_is_seen_to_die(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "seeded: truncation without the guard",
				       .victims = { victim_manager, victim_consumer },
				       .attack = attack_truncate,
				       .seconds = 30,
				       .seed = seed },
	       HOSTILE_DIED);
}

static void a_waiter_without_slices_is_seen_to_be_stuck(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "seeded: waits without a bound",
				       .victims = { naive_waiter, naive_waker },
				       .attack = attack_requeue,
				       .seconds = 30,
				       .stuck_seconds = 1,
				       .seed = seed },
	       HOSTILE_STUCK);
}

static void a_peer_that_spoils_calls_costs_errors_only(void **state)
{
	(void)state;
	expect(&(struct hostile_plan){ .name = "calls under scribbling",
				       .victims = { victim_caller, victim_caller, victim_caller },
				       .attack = attack_calls,
				       .topics = true,
				       .seconds = seconds_all * 0.2,
				       .seed = seed + 14 },
	       HOSTILE_CALM);
	expect(&(struct hostile_plan){ .name = "truncation under calls",
				       .victims = { guarded_caller, guarded_caller },
				       .attack = attack_truncate,
				       .topics = true,
				       .seconds = seconds_all * 0.1,
				       .seed = seed + 15 },
	       HOSTILE_CALM);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trusting_reader_is_seen_to_die),
		cmocka_unit_test(a_trusting_allocator_is_seen_to_die),
		cmocka_unit_test(an_endless_reader_is_seen_to_be_stuck),
		cmocka_unit_test(an_undocumented_error_is_seen),
		cmocka_unit_test(a_program_without_the_guard_is_seen_to_die),
		cmocka_unit_test(a_waiter_without_slices_is_seen_to_be_stuck),
		cmocka_unit_test(a_scribbling_peer_costs_errors_only),
		cmocka_unit_test(a_peer_that_spoils_calls_costs_errors_only),
		cmocka_unit_test(who_sleeps_on_a_word_wakes_in_time),
		cmocka_unit_test(those_who_listen_are_told_errors_only),
		cmocka_unit_test(a_truncating_peer_is_an_error_with_the_guard),
		cmocka_unit_test(an_arena_that_is_cut_off_is_an_error_with_the_guard),
		cmocka_unit_test(a_hole_punching_peer_costs_errors_only),
		cmocka_unit_test(a_reader_who_moves_waiters_away_delays_them_only),
		cmocka_unit_test(a_squatted_read_lock_is_no_life),
	};
	const char *text = getenv("HOSTILE_SEED");

	if (argc > 1)
		seconds_all = strtod(argv[1], NULL);
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	if (text != NULL)
		seed = strtoull(text, NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
