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
		assert_int_equal(row->rounds, 1);
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
		cmocka_unit_test(what_was_measured_is_the_limit_times_the_ratio),
	};

	return cmocka_run_group_tests_name("bench", tests, NULL, NULL);
}
