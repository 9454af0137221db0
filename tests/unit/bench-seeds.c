/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules by which `tarn bench --seeds` comes to its verdicts, on figures made up for each; its
 * table; and that what is moved wrongly, or asked to stop, is noticed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "seeds_probe.h"

/* Figures 0 and 1 stand for any two. */
static const enum seeds_fig one = (enum seeds_fig)0, two = (enum seeds_fig)1;
static struct seeds_figure figures[SEEDS_FIG_COUNT];

static void rounds(enum seeds_fig fig, double a, double b, double c)
{
	figures[fig] = (struct seeds_figure){ .count = 3, .values = { a, b, c } };
}

static struct seeds_bound bound(enum seeds_fig fig, double least, double most, bool about)
{
	return (struct seeds_bound){
		fig, fig == one ? "first" : "second", least, most, about, "too little", "too much"
	};
}

static enum seeds_place place(double least, double most, bool about)
{
	const struct seeds_bound b = bound(one, least, most, about);
	struct seeds_stat stat = seeds_stat(&figures[one]);

	return seeds_place(&b, &stat);
}

static enum seeds_verdict verdict(struct seeds_bound a, struct seeds_bound b)
{
	const struct seeds_claim claim = { .name = "x", .bounds = { a, b } };
	enum seeds_place places[SEEDS_BOUND_MAX];

	return seeds_judge(&claim, figures, places);
}

static const char *why(struct seeds_bound a, struct seeds_bound b)
{
	static char text[SEEDS_WHY];
	const struct seeds_claim claim = { .name = "x", .bounds = { a, b } };

	seeds_why(&claim, figures, text);
	return text;
}

static int forget(void **state)
{
	(void)state;
	memset(figures, 0, sizeof(figures));
	return 0;
}

/* --- one figure ------------------------------------------------------------------------------ */

static void median_least_and_most_of_the_rounds(void **state)
{
	(void)state;
	rounds(one, 5, 1, 3);
	struct seeds_stat stat = seeds_stat(&figures[one]);

	assert_true(stat.median == 3 && stat.min == 1 && stat.max == 5 && stat.count == 3);
	figures[one].count = 2;
	assert_true(seeds_stat(&figures[one]).median == 3); /* of 5 and 1 */
	figures[one].count = 0;
	assert_int_equal(seeds_stat(&figures[one]).count, 0);
}

static void a_figure_is_met_when_its_median_lies_in_the_range(void **state)
{
	(void)state;
	rounds(one, 9, 10, 40);
	assert_int_equal(place(10, 20, false), SEEDS_MET);
	assert_int_equal(place(5, 10, false), SEEDS_MET);
	assert_int_equal(place(10, 10, false), SEEDS_MET);
	assert_int_equal(place(10, SEEDS_ANY, false), SEEDS_MET);
	assert_int_equal(place(SEEDS_ANY, 10, false), SEEDS_MET);
}

static void a_figure_is_touched_when_only_some_rounds_lie_in_the_range(void **state)
{
	(void)state;
	rounds(one, 9, 10, 40);
	assert_int_equal(place(11, 20, false), SEEDS_TOUCHED);
	assert_int_equal(place(11, SEEDS_ANY, false), SEEDS_TOUCHED);
	assert_int_equal(place(SEEDS_ANY, 9, false), SEEDS_TOUCHED);
	assert_int_equal(place(41, 50, false), SEEDS_BELOW);
	assert_int_equal(place(1, 8, false), SEEDS_ABOVE);
}

static void what_is_said_with_about_may_be_off_by_half(void **state)
{
	(void)state;
	rounds(one, 29, 29, 29);
	assert_int_equal(place(20, 20, true), SEEDS_MET);
	assert_int_equal(place(20, 20, false), SEEDS_ABOVE);
	rounds(one, 14, 14, 14);
	assert_int_equal(place(20, 20, true), SEEDS_MET);
	assert_int_equal(place(20, 20, false), SEEDS_BELOW);
	rounds(one, 31, 31, 31);
	assert_int_equal(place(20, 20, true), SEEDS_ABOVE);
	rounds(one, 13, 13, 13);
	assert_int_equal(place(20, 20, true), SEEDS_BELOW);
	assert_int_equal(place(SEEDS_ANY, SEEDS_ANY, true), SEEDS_BESIDE);
	figures[one].count = 0;
	assert_int_equal(place(20, 20, true), SEEDS_LACKING);
}

/* --- a claim --------------------------------------------------------------------------------- */

static void a_claim_holds_when_every_range_is_met(void **state)
{
	(void)state;
	rounds(one, 1, 2, 3);
	rounds(two, 10, 20, 30);
	assert_int_equal(verdict(bound(one, 2, 2, false), bound(two, 15, 25, false)), SEEDS_HOLDS);
	/* what has no range has no say */
	assert_int_equal(verdict(bound(one, 2, 2, false), bound(two, SEEDS_ANY, SEEDS_ANY, false)),
			 SEEDS_HOLDS);
	assert_string_equal(why(bound(one, 2, 2, false), bound(two, 15, 25, false)), "");
}

static void a_claim_holds_partly_when_some_range_is_met_or_touched(void **state)
{
	(void)state;
	rounds(one, 1, 2, 3);
	rounds(two, 10, 20, 30);
	assert_int_equal(verdict(bound(one, 2, 2, false), bound(two, 99, 99, false)), SEEDS_PARTLY);
	assert_string_equal(why(bound(one, 2, 2, false), bound(two, 99, 99, false)),
			    "second: too little");
	assert_int_equal(verdict(bound(one, 3, 9, false), bound(two, 99, 99, false)), SEEDS_PARTLY);
	assert_string_equal(why(bound(one, 3, 9, false), bound(two, 99, 99, false)),
			    "first: too little");
}

static void a_claim_does_not_hold_when_no_range_is_met(void **state)
{
	(void)state;
	rounds(one, 1, 2, 3);
	rounds(two, 10, 20, 30);
	assert_int_equal(verdict(bound(one, 8, 9, false), bound(two, 5, 6, false)), SEEDS_FAILS);
	assert_string_equal(why(bound(one, 8, 9, false), bound(two, 5, 6, false)),
			    "first: too little; second: too much");
}

static void a_claim_of_which_nothing_was_measured_cannot_be_judged(void **state)
{
	(void)state;
	snprintf(figures[one].lack, SEEDS_TEXT, "no such thing here");
	assert_int_equal(verdict(bound(one, 1, 2, false), bound(two, 1, 2, false)), SEEDS_UNKNOWN);
	assert_string_equal(why(bound(one, 1, 2, false), bound(two, 1, 2, false)),
			    "first: no such thing here; second: it was not measured");
}

static void what_could_not_be_measured_lets_a_claim_hold_partly_only(void **state)
{
	(void)state;
	rounds(one, 1, 2, 3);
	assert_int_equal(verdict(bound(one, 1, 3, false), bound(two, 1, 2, false)), SEEDS_PARTLY);
	assert_int_equal(verdict(bound(one, 8, 9, false), bound(two, 1, 2, false)), SEEDS_FAILS);
	assert_string_equal(why(bound(one, 1, 3, false), bound(two, 1, 2, false)),
			    "second: it was not measured");
}

static void the_reason_has_notes_too(void **state)
{
	(void)state;
	rounds(one, 1, 2, 3);
	rounds(two, 1, 2, 3);
	snprintf(figures[one].note, SEEDS_TEXT, "scaled down");
	assert_string_equal(why(bound(one, 1, 3, false), bound(two, 1, 3, false)), "scaled down");
	assert_string_equal(why(bound(one, 5, 6, false), bound(two, 1, 3, false)),
			    "first: too little; scaled down");
}

static void values_are_printed_with_their_unit(void **state)
{
	static const struct {
		enum seeds_unit unit;
		double value;
		const char *text;
	} rows[] = {
		{ SEEDS_GBS, 12.34, "12.3 GB/s" },   { SEEDS_NS, 0.5, "0.5 ns" },
		{ SEEDS_NS, 999.6, "1 us" },         { SEEDS_NS, 234e6, "234 ms" },
		{ SEEDS_NS, 123456e9, "123456 s" },  { SEEDS_RATIO, 1.05, "1.05x" },
		{ SEEDS_RATIO, 13629, "13629x" },    { SEEDS_BYTES, 4096, "4 KiB" },
		{ SEEDS_BYTES, 0, "0 B" },           { SEEDS_COUNT, 1093672961, "1093672961" },
		{ SEEDS_COUNT, 2500000.5, "2.5 M" }, { SEEDS_COUNT, 93800.4, "93800" },
		{ SEEDS_COUNT, 0.01, "0.01" },       { SEEDS_PART, 0.212, "21.2 %" },
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		seeds_value_text(rows[i].unit, rows[i].value, text);
		assert_string_equal(text, rows[i].text);
	}
}

/* --- the table ------------------------------------------------------------------------------- */

static void every_claim_has_its_heading_and_a_name_of_its_own(void **state)
{
	(void)state;
	for (const struct seeds_claim *c = seeds_claims; c->name != NULL; c++) {
		assert_true(c->guide[0] != '\0' && c->heading[0] != '\0' && c->claim[0] != '\0');
		assert_null(strchr(c->name, ','));
		assert_null(strstr(c->heading, ".txt"));
		/* something is measured, or it says why not */
		assert_true((c->lack != NULL) == (c->bounds[0].what == NULL));
		for (const struct seeds_claim *d = seeds_claims; d != c; d++)
			assert_string_not_equal(c->name, d->name);
	}
}

/* Nothing measured is below 0. */
static void needs_reason(const struct seeds_claim *c, const struct seeds_bound *b)
{
	if (b->least > 0 && b->below == NULL)
		fail_msg("%s: %s: no reason for less", c->name, b->what);
	if (b->most >= 0 && b->above == NULL)
		fail_msg("%s: %s: no reason for more", c->name, b->what);
}

static void every_range_has_a_reason_for_either_side(void **state)
{
	(void)state;
	for (const struct seeds_claim *c = seeds_claims; c->name != NULL; c++)
		for (int i = 0; i < SEEDS_BOUND_MAX && c->bounds[i].what != NULL; i++)
			needs_reason(c, &c->bounds[i]);
}

static void every_figure_belongs_to_a_claim(void **state)
{
	(void)state;
	for (unsigned fig = 0; fig < SEEDS_FIG_COUNT; fig++) {
		bool found = false;

		for (const struct seeds_claim *c = seeds_claims; c->name != NULL && !found; c++)
			for (int i = 0; i < SEEDS_BOUND_MAX && c->bounds[i].what != NULL; i++)
				found |= c->bounds[i].fig == fig;
		if (!found)
			fail_msg("figure %u is measured for nobody", fig);
	}
}

/* --- measuring ------------------------------------------------------------------------------- */

/* 0: the message is accepted; 1: refused. */
static int checked(size_t size, size_t flipped)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		struct seeds_message message;

		seeds_message_init(&message, size);
		unsigned char *data = (unsigned char *)(uintptr_t)seeds_message_make(&message, 6);

		if (flipped < size)
			data[flipped] ^= 1;
		seeds_message_check(&message, data, flipped == size + 1 ? 8 : 6);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_message_with_a_bit_flipped_or_another_number_is_refused(void **state)
{
	enum { SIZE = 4096 };

	(void)state;
	assert_int_equal(checked(SIZE, SIZE), 0); /* as it was sent */
	assert_int_equal(checked(SIZE, SIZE + 1), 1);
	assert_int_equal(checked(SIZE, 0), 1);
	assert_int_equal(checked(SIZE, SIZE - 1), 1);
	for (size_t line = 0; line < SIZE; line += 64)
		assert_int_equal(checked(SIZE, line + 8), 1);
}

static const struct seeds_claim *claim_named(const char *name)
{
	const struct seeds_claim *c = seeds_claims;

	while (strcmp(c->name, name) != 0)
		c++;
	return c;
}

static bool at_once(void)
{
	return true;
}

static void nothing_is_alive_when_it_was_stopped(void **state)
{
	const struct seeds_claim *claims[] = { claim_named("flag-wastes-cpu"), NULL };
	const struct seeds_opts opts = { .rounds = 5, .stopped = at_once };
	struct seeds_figure *found = NULL;

	(void)state;
	assert_int_equal(seeds_measure(claims, &opts, &found), -EINTR);
	assert_null(found);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void only_the_figures_asked_for_are_measured(void **state)
{
	const struct seeds_claim *claims[] = { claim_named("struct-108"), NULL };
	const struct seeds_opts opts = { .rounds = 3 };
	struct seeds_figure *found = NULL;

	(void)state;
	assert_int_equal(seeds_measure(claims, &opts, &found), 0);
	assert_int_equal(found[SEEDS_FIG_FACT_LAYOUT].count, 1);
	assert_int_equal(found[SEEDS_FIG_STREAM_SHM].count, 0);
	assert_int_equal(found[SEEDS_FIG_FLAG_NS].count, 0);
	seeds_free(found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(median_least_and_most_of_the_rounds, forget),
		cmocka_unit_test_setup(a_figure_is_met_when_its_median_lies_in_the_range, forget),
		cmocka_unit_test_setup(a_figure_is_touched_when_only_some_rounds_lie_in_the_range,
				       forget),
		cmocka_unit_test_setup(what_is_said_with_about_may_be_off_by_half, forget),
		cmocka_unit_test_setup(a_claim_holds_when_every_range_is_met, forget),
		cmocka_unit_test_setup(a_claim_holds_partly_when_some_range_is_met_or_touched,
				       forget),
		cmocka_unit_test_setup(a_claim_does_not_hold_when_no_range_is_met, forget),
		cmocka_unit_test_setup(a_claim_of_which_nothing_was_measured_cannot_be_judged,
				       forget),
		cmocka_unit_test_setup(what_could_not_be_measured_lets_a_claim_hold_partly_only,
				       forget),
		cmocka_unit_test_setup(the_reason_has_notes_too, forget),
		cmocka_unit_test(values_are_printed_with_their_unit),
		cmocka_unit_test(every_claim_has_its_heading_and_a_name_of_its_own),
		cmocka_unit_test(every_range_has_a_reason_for_either_side),
		cmocka_unit_test(every_figure_belongs_to_a_claim),
		cmocka_unit_test(a_message_with_a_bit_flipped_or_another_number_is_refused),
		cmocka_unit_test(nothing_is_alive_when_it_was_stopped),
		cmocka_unit_test(only_the_figures_asked_for_are_measured),
	};

	return cmocka_run_group_tests_name("bench-seeds", tests, NULL, NULL);
}
