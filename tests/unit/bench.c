/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine of `tarn bench`: what it makes of samples and rounds, and that what a contestant does
 * wrong ends its cell, with a row that says so, and nothing else.
 *
 * Method: contestants of our own, over a pipe; the wrong ones flip a bit, lose a message, hang,
 * die. No test looks at how long anything takes.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine.h"

static void assert_near(double found, double wanted)
{
	if (found < wanted * 0.999 || found > wanted * 1.001)
		fail_msg("%g, not %g", found, wanted);
}

/* --- statistics ------------------------------------------------------------------------------- */

static void a_percentile_is_what_so_many_samples_do_not_exceed(void **state)
{
	uint32_t samples[1000], one[] = { 7 };

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		samples[i] = 1000 - i; /* 1000 .. 1 */
	bench_sort(samples, 1000);
	assert_near(bench_percentile(samples, 1000, 0.5), 500);
	assert_near(bench_percentile(samples, 1000, 0.9), 900);
	assert_near(bench_percentile(samples, 1000, 0.99), 990);
	assert_near(bench_percentile(samples, 1000, 0.999), 999);
	assert_near(bench_percentile(samples, 1000, 1), 1000);
	assert_near(bench_percentile(one, 1, 0.5), 7);
	assert_true(bench_percentile(one, 0, 0.5) == 0);
}

static void a_spread_is_of_the_rounds_in_which_it_was_measured(void **state)
{
	double odd[] = { 5, 1, 3 }, even[] = { 4, 1, 3, 2 }, gaps[] = { 0, 9, 0, 7 },
	       none[] = { 0 };
	struct bench_spread spread = bench_spread_of(odd, 3);

	(void)state;
	assert_near(spread.median, 3);
	assert_near(spread.min, 1);
	assert_near(spread.max, 5);
	assert_near(bench_spread_of(even, 4).median, 2.5);
	assert_near(bench_spread_of(gaps, 4).median, 8);
	assert_true(bench_spread_of(none, 1).max == 0);
}

static void a_round_is_discarded_where_the_bounces_differ_and_only_there(void **state)
{
	(void)state;
	assert_false(bench_moved(130, 130));
	assert_false(bench_moved(130, 150));
	assert_false(bench_moved(150, 130));
	assert_true(bench_moved(130, 75)); /* threads of one core, and two cores */
	assert_true(bench_moved(75, 130));
	assert_true(bench_moved(130, 480)); /* two third-level caches */
	assert_false(bench_moved(0, 130));  /* one was not taken */
}

static void a_place_is_the_nearest_that_is_no_freak(void **state)
{
	static const double one[] = { 500 }, two[] = { 140, 500 }, mixed[] = { 138, 142, 490, 505 },
			    far[] = { 480, 500, 520 },
			    freak[] = { 60, 480, 490, 495, 500, 505, 510 },
			    pair[] = { 60,  62,  130, 131, 132, 133, 134, 135, 136, 137, 138,
				       139, 140, 141, 142, 143, 144, 145, 146, 147, 148 },
			    apart[] = { 75, 300, 320, 700 };

	(void)state;
	assert_true(bench_place_of(NULL, 0, 2) == 0);
	assert_near(bench_place_of(one, 1, 2), 500);
	assert_near(bench_place_of(two, 2, 2), 140); /* none is confirmed: the nearer one */
	assert_near(bench_place_of(mixed, 4, bench_place_least(4)), 138);
	assert_near(bench_place_of(far, 3, bench_place_least(3)), 500);
	assert_near(bench_place_of(freak, 7, bench_place_least(7)), 495);
	assert_int_equal(bench_place_least(21), 7);
	assert_near(bench_place_of(pair, 21, bench_place_least(21)), 139);
	assert_near(bench_place_of(pair, 21, 2), 60);
	assert_near(bench_place_of(apart, 4, 4), 300); /* where most of them are */
}

static void a_round_is_at_a_place_that_its_bounce_is_within_half_as_much_of(void **state)
{
	(void)state;
	assert_true(bench_is_at(140, 140));
	assert_true(bench_is_at(120, 150));
	assert_true(bench_is_at(190, 140));
	assert_false(bench_is_at(500, 140));
	assert_false(bench_is_at(140, 500));
	assert_false(bench_is_at(80, 135));
	assert_true(bench_is_at(0, 140)); /* it was not taken */
	assert_true(bench_is_at(140, 0));
}

/* --- contestants that do wrong ---------------------------------------------------------------- */

static int there[2], back[2];
static enum { RIGHT, FLIP, LOSE, HANG, DIE, REFUSE } fault;
static size_t flip_at;

static void test_open(struct bench *b)
{
	if (fault == REFUSE)
		bench_fail(b, "there is no room for it", ENOSPC);
	if (pipe(there) != 0 || pipe(back) != 0)
		bench_fail(b, "pipe", errno);
}

static void test_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	unsigned char *from = bench_message(b, size, number);
	bool now = b->side == 0 && number == 20;

	if (now && fault == HANG)
		pause();
	if (now && fault == DIE)
		raise(SIGKILL);
	if (now && fault == LOSE)
		from = bench_message(b, size, number + 1);
	if (now && fault == FLIP)
		from[flip_at] ^= 0x10;
	if (write(channel == 0 ? there[1] : back[1], from, size) != (ssize_t)size)
		bench_fail(b, "write", errno);
}

static void test_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	void *to = bench_sink(b, size, number);

	if (read(channel == 0 ? there[0] : back[0], to, size) != (ssize_t)size)
		bench_fail(b, "read", errno);
	bench_check(b, to, size, number);
}

BENCH_LOOPS(test_run, test_send, test_recv)

static const struct bench_variant variants[] = {
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_FAN_OUT), 1, 4096, test_run },
	{ 0 },
};
static const struct bench_contestant contestant = {
	.name = "test",
	.group = BENCH_HAND,
	.what = "a pipe",
	.variants = variants,
	.open = test_open,
};
static const struct bench_contestant *const table[] = { &contestant, NULL };

/* Every cell of one round; the caller frees it. */
static struct bench_run *run_all(const char *only, size_t size)
{
	const struct bench_contestant *const *lists[] = { table, NULL };
	struct bench_settings settings = {
		.rounds = 1,
		.slice_ns = 500000,
		.only = only,
		.sizes = &size,
		.size_count = 1,
		.patience_ns = fault == HANG ? INT64_C(500000000) : 0,
	};
	struct bench_run *run = NULL;

	assert_int_equal(bench_plan(&settings, lists, &run), 0);
	bench_go(run);
	return run;
}

static void nobody_is_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void every_measure_has_figures(void **state)
{
	struct bench_run *run;

	(void)state;
	fault = RIGHT;
	run = run_all(NULL, 200);
	assert_int_equal(run->row_count, 5);
	for (unsigned i = 0; i < run->row_count; i++) {
		const struct bench_row *row = &run->rows[i];

		if (row->discarded > 0) /* a loaded machine */
			continue;
		assert_string_equal(row->failed, "");
		assert_true(row->rounds >= 1); /* more, where it was never near again */
		if (bench_is_rate(row->cell.measure)) {
			assert_true(row->figures[0].rate > 0);
			continue;
		}
		assert_true(row->figures[0].p50 > 0);
		assert_true(row->figures[0].p50 <= row->figures[0].p90);
		assert_true(row->figures[0].p90 <= row->figures[0].p99);
		assert_true(row->figures[0].p99 <= row->figures[0].p99_9);
		assert_true(row->figures[0].p99_9 <= row->figures[0].max);
	}
	bench_run_free(run);
	nobody_is_left();
}

static void fails_with(const char *only, size_t size, const char *why)
{
	struct bench_run *run = run_all(only, size);

	assert_int_equal(run->row_count, 1);
	assert_int_equal(run->rows[0].rounds, 0);
	if (strstr(run->rows[0].failed, why) == NULL)
		fail_msg("failed: '%s', not '%s'", run->rows[0].failed, why);
	bench_run_free(run);
	nobody_is_left();
}

/* In the number, in word 1 of a line, in the last word. */
static void a_flipped_bit_ends_the_cell_and_names_the_message(void **state)
{
	static const size_t sizes[] = { 8, 64, 1000, 4096 };

	(void)state;
	fault = FLIP;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		flip_at = 0;
		fails_with("round-trip", sizes[i], "message 20 of");
		flip_at = sizes[i] - 8;
		fails_with("one-way", sizes[i], "message 20 of");
		flip_at = sizes[i] / 64 / 2 * 64 + 8;
		if (sizes[i] > 8)
			fails_with("open-loop", sizes[i], "message 20 of");
	}
}

static void a_lost_message_a_death_and_a_refusal_say_what_they_are(void **state)
{
	(void)state;
	fault = LOSE;
	fails_with("one-way", 64, "message 20 of 64 bytes: number 21 came");
	fault = DIE;
	fails_with("one-way", 64, "signal 9");
	fault = REFUSE;
	fails_with("one-way", 64, "there is no room for it: No space left on device");
	fault = HANG;
	fails_with("one-way", 64, "it hangs");
}

static void what_cannot_be_measured_is_no_row_and_nothing_at_all_is_an_error(void **state)
{
	const struct bench_contestant *const *lists[] = { table, NULL };
	struct bench_settings settings = { .only = "one-way/nobody" };
	size_t size = 8192;
	struct bench_run *run = NULL;

	(void)state;
	assert_int_equal(bench_plan(&settings, lists, &run), -ENOENT);
	settings = (struct bench_settings){ .sizes = &size, .size_count = 1 };
	assert_int_equal(bench_plan(&settings, lists, &run), -ENOENT);
	assert_null(run);
}

static void a_short_run_leaves_out_what_is_of_full_runs_alone(void **state)
{
	static const struct bench_variant both[] = {
		{ BENCH_BLOCKING, BENCH_BIT(BENCH_ROUND_TRIP), 1, 4096, test_run },
		{ BENCH_BLOCKING, BENCH_BIT(BENCH_WAKE_UP) | BENCH_FULL_RUN, 1, 4096, test_run },
		{ 0 },
	};
	static const struct bench_contestant of_both = {
		.name = "both",
		.group = BENCH_TARN,
		.what = "a pipe",
		.variants = both,
	};
	static const struct bench_contestant *const list[] = { &of_both, NULL };
	const struct bench_contestant *const *lists[] = { list, NULL };
	size_t size = 8;
	struct bench_settings settings = { .sizes = &size, .size_count = 1 };
	struct bench_run *run = NULL;

	(void)state;
	assert_int_equal(bench_plan(&settings, lists, &run), 0);
	assert_int_equal(run->row_count, 2);
	bench_run_free(run);
	settings.quick = true;
	assert_int_equal(bench_plan(&settings, lists, &run), 0);
	assert_int_equal(run->row_count, 1);
	assert_int_equal(run->rows[0].cell.measure, BENCH_ROUND_TRIP);
	bench_run_free(run);
	settings.only = "wake-up"; /* who asks for it gets it */
	assert_int_equal(bench_plan(&settings, lists, &run), 0);
	assert_int_equal(run->row_count, 1);
	bench_run_free(run);
}

static void what_was_measured_is_the_limit_times_the_ratio(void **state)
{
	struct bench_run *run;

	(void)state;
	fault = RIGHT;
	run = run_all("round-trip", 64);
	if (run->rows[0].rounds == 1) {
		const struct bench_figures *f = &run->rows[0].figures[0];

		assert_near(f->ratio * f->limit, f->p50);
		assert_near(bench_over_rounds(&run->rows[0], offsetof(struct bench_figures, ratio))
				    .median,
			    f->ratio);
	}
	bench_run_free(run);
}

/* --- the host moves the processors ------------------------------------------------------------ *
 *
 * What a team has left is overwritten once it has ended: the bounce by the next of a list, and
 * the samples by twice as much where that is near, by five times as much where it is not. So the
 * ratio tells which rounds a row is of.
 */

enum { MOVES_MAX = 64, NEAR = 140, FAR = 500, FREAK = 60 };

static double moves[MOVES_MAX]; /* the last one goes on */
static unsigned move_count, moves_made;
static bool was_tried[8];
static unsigned stop_at; /* moves; 0: it is never stopped */
static int64_t budget_ns = INT64_C(100000000000), pause_ns = 1;

static void planted_clean(struct bench *b)
{
	struct bench_shm *shm = b->shm;

	if (!was_tried[b->cell->index]) { /* no round yet */
		was_tried[b->cell->index] = true;
		return;
	}
	double bounce = moves[moves_made < move_count ? moves_made : move_count - 1];
	struct bench_limits limits = { bounce, bounce, bounce };

	moves_made++;
	shm->before = shm->after = limits;
	shm->block_count = 0;
	shm->sample_count = shm->per_sample = 1;
	shm->samples[0] = (uint32_t)(bounce * (bounce < 200 ? 2 : 5) / shm->tick_ns);
}

static void nothing(struct bench *b, size_t size, uint64_t number)
{
	(void)b;
	(void)size;
	(void)number;
}

BENCH_LOCK_LOOPS(planted_lock_run, nothing, nothing)

static const struct bench_variant planted_variants[] = {
	{ BENCH_BLOCKING, BENCH_BIT(BENCH_ROUND_TRIP), 1, 4096, test_run },
	{ BENCH_BLOCKING, BENCH_BIT(BENCH_WRITE), 0, 0, planted_lock_run },
	{ 0 },
};
static const struct bench_contestant planted_contestant = {
	.name = "planted",
	.group = BENCH_HAND,
	.what = "a pipe, or nothing",
	.variants = planted_variants,
	.open = test_open,
	.clean = planted_clean,
};
static const struct bench_contestant *const planted_table[] = { &planted_contestant, NULL };

static bool is_stopped(const struct bench_run *run, void *arg)
{
	(void)run;
	(void)arg;
	return stop_at > 0 && moves_made >= stop_at;
}

/* @rows round trips, or the lock alone; the sides are on one processor, and take no bounce. */
static struct bench_run *run_moved(const double *list, unsigned count, unsigned rounds,
				   unsigned rows, unsigned pins)
{
	static const size_t sizes[] = { 8, 16, 32, 64 };
	const struct bench_contestant *const *lists[] = { planted_table, NULL };
	struct bench_settings settings = {
		.rounds = rounds,
		.slice_ns = 100000,
		.only = rows > 0 ? "round-trip" : "write",
		.sizes = sizes,
		.size_count = rows,
		.pins = pins,
		.budget_ns = budget_ns,
		.pause_ns = pause_ns,
		.progress = is_stopped,
	};
	struct bench_run *run = NULL;

	fault = RIGHT;
	memcpy(moves, list, count * sizeof(*moves));
	move_count = count;
	moves_made = 0;
	memset(was_tried, 0, sizeof(was_tried));
	assert_int_equal(bench_plan(&settings, lists, &run), 0);
	run->cpu_count = 1;
	bench_go(run);
	nobody_is_left();
	return run;
}

#define MOVED(rounds, rows, ...)                                                                   \
	run_moved((const double[]){ __VA_ARGS__ },                                                 \
		  sizeof((const double[]){ __VA_ARGS__ }) / sizeof(double), rounds, rows, 1)

/* Row @i is of @rounds rounds, all of them at @place, and @set_aside were not. */
static void assert_row(const struct bench_run *run, unsigned i, unsigned rounds,
		       enum bench_place place, unsigned set_aside)
{
	const struct bench_row *row = &run->rows[i];
	struct bench_spread ratio = bench_over_rounds(row, offsetof(struct bench_figures, ratio));
	struct bench_spread bounce = bench_over_rounds(row, offsetof(struct bench_figures, bounce));

	assert_string_equal(row->failed, "");
	assert_int_equal(row->rounds, rounds);
	assert_int_equal(row->set_aside, set_aside);
	assert_int_equal(row->place, place);
	if (place == BENCH_ANYWHERE)
		return;
	assert_true(bounce.max <= bounce.min * 1.5);
	if (ratio.max > ratio.min * 1.05) /* whole ticks */
		fail_msg("row %u mixes ratios of %g and %g", i, ratio.min, ratio.max);
}

static void rounds_that_are_all_near_or_all_far_all_count_and_none_is_tried_again(void **state)
{
	struct bench_run *run = MOVED(3, 2, NEAR);

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_row(run, i, 3, BENCH_NEAR, 0);
	assert_int_equal(moves_made, 6);
	bench_run_free(run);
	run = MOVED(3, 2, FAR, FAR + 15, FAR - 15, FAR);
	for (unsigned i = 0; i < 2; i++) /* nobody can tell that there is anything nearer */
		assert_row(run, i, 3, BENCH_NEAR, 0);
	assert_int_equal(moves_made, 6);
	assert_near(run->near, FAR);
	assert_int_equal(run->set_aside, 0);
	bench_run_free(run);
}

static void far_rounds_are_set_aside_and_tried_again_until_there_are_enough_near_ones(void **state)
{
	struct bench_run *run = MOVED(5, 2, NEAR, FAR, NEAR, NEAR, FAR, FAR, NEAR, NEAR, NEAR, NEAR,
				      /* again: row 0, 1, 1; row 1 found it far once more */
				      NEAR, FAR, NEAR, NEAR);

	(void)state;
	assert_row(run, 0, 5, BENCH_NEAR, 1);
	assert_row(run, 1, 5, BENCH_NEAR, 3);
	assert_int_equal(moves_made, 14);
	assert_int_equal(run->set_aside, 4);
	assert_int_equal(run->other_rows, 0);
	assert_false(run->out_of_time);
	bench_run_free(run);
}

static void rows_measured_before_a_nearer_place_was_seen_are_taken_again(void **state)
{
	struct bench_run *run = MOVED(3, 3, FAR, FAR, FAR, FAR, FAR, FAR, NEAR);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_row(run, i, 3, BENCH_NEAR, 2);
	assert_int_equal(moves_made, 9 + 6);
	bench_run_free(run);
}

static void a_row_of_too_few_near_rounds_is_of_the_others_and_says_so_and_the_run_ends(void **state)
{
	struct bench_run *run = MOVED(3, 3, NEAR, NEAR, NEAR, NEAR, FAR, FAR, FAR, FAR, FAR);
	unsigned again = BENCH_AGAIN;

	(void)state;
	assert_row(run, 0, 2, BENCH_NEAR, 1 + again); /* two of three */
	for (unsigned i = 1; i < 3; i++)
		assert_row(run, i, 2 + again, BENCH_FAR, 1);
	assert_int_equal(run->other_rows, 2);
	assert_int_equal(moves_made, 9 + 3 * again);
	assert_false(run->out_of_time);
	bench_run_free(run);
}

/* All of the tries would take ten seconds. */
static void trying_again_ends_with_the_time(void **state)
{
	struct bench_run *run;

	(void)state;
	budget_ns = 300000000;
	pause_ns = 160000000;
	run = MOVED(3, 1, NEAR, NEAR, FAR);
	assert_true(moves_made < 3 + BENCH_AGAIN);
	assert_false(run->stopped);
	bench_run_free(run);
	budget_ns = 0; /* as long again, and two seconds */
	run = MOVED(3, 1, NEAR, NEAR, FAR);
	assert_true(moves_made > 3 && moves_made < 3 + BENCH_AGAIN);
	assert_false(run->stopped || run->out_of_time);
	bench_run_free(run);
	budget_ns = INT64_C(100000000000);
	pause_ns = 1;
}

static void one_freak_is_no_place_that_others_are_held_against(void **state)
{
	struct bench_run *run = MOVED(4, 2, NEAR, NEAR, FREAK, NEAR, NEAR);

	(void)state;
	assert_row(run, 0, 4, BENCH_NEAR, 1);
	assert_row(run, 1, 4, BENCH_NEAR, 0);
	assert_near(run->near, NEAR);
	assert_int_equal(moves_made, 9);
	bench_run_free(run);
	stop_at = 4; /* nothing is tried again */
	run = MOVED(1, 4, FAR, FAR, FREAK, FAR);
	stop_at = 0;
	assert_row(run, 2, 1, BENCH_NEARER, 0);
	assert_int_equal(run->other_rows, 1);
	bench_run_free(run);
}

static void what_one_process_does_alone_or_wherever_it_may_is_of_all_rounds(void **state)
{
	static const double list[] = { NEAR, FAR, NEAR, FAR };
	struct bench_run *run = run_moved(list, 4, 4, 0, 1);

	(void)state;
	assert_row(run, 0, 4, BENCH_ANYWHERE, 0);
	assert_int_equal(moves_made, 4);
	bench_run_free(run);
	run = run_moved(list, 4, 2, 1, 3); /* by turns pinned, and not */
	assert_row(run, 0, 2, BENCH_NEAR, 0);
	assert_row(run, 1, 2, BENCH_ANYWHERE, 0);
	assert_int_equal(moves_made, 4);
	bench_run_free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_percentile_is_what_so_many_samples_do_not_exceed),
		cmocka_unit_test(a_spread_is_of_the_rounds_in_which_it_was_measured),
		cmocka_unit_test(a_round_is_discarded_where_the_bounces_differ_and_only_there),
		cmocka_unit_test(every_measure_has_figures),
		cmocka_unit_test(a_flipped_bit_ends_the_cell_and_names_the_message),
		cmocka_unit_test(a_lost_message_a_death_and_a_refusal_say_what_they_are),
		cmocka_unit_test(what_cannot_be_measured_is_no_row_and_nothing_at_all_is_an_error),
		cmocka_unit_test(a_short_run_leaves_out_what_is_of_full_runs_alone),
		cmocka_unit_test(what_was_measured_is_the_limit_times_the_ratio),
		cmocka_unit_test(a_place_is_the_nearest_that_is_no_freak),
		cmocka_unit_test(a_round_is_at_a_place_that_its_bounce_is_within_half_as_much_of),
		cmocka_unit_test(
			rounds_that_are_all_near_or_all_far_all_count_and_none_is_tried_again),
		cmocka_unit_test(
			far_rounds_are_set_aside_and_tried_again_until_there_are_enough_near_ones),
		cmocka_unit_test(rows_measured_before_a_nearer_place_was_seen_are_taken_again),
		cmocka_unit_test(
			a_row_of_too_few_near_rounds_is_of_the_others_and_says_so_and_the_run_ends),
		cmocka_unit_test(trying_again_ends_with_the_time),
		cmocka_unit_test(one_freak_is_no_place_that_others_are_held_against),
		cmocka_unit_test(what_one_process_does_alone_or_wherever_it_may_is_of_all_rounds),
	};

	return cmocka_run_group_tests_name("bench", tests, NULL, NULL);
}
