/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_out.c - what `tarn bench` prints: its columns, and how figures become cells. */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#include "bench_machine.h"
#include "bench_parts.h"

static const struct out_col item_cols[] = {
	{ "cpu", NULL, OUT_TEXT, "the processor's name", false },
	{ "machine", NULL, OUT_TEXT, "its kind, as uname(2) says it", false },
	{ "kernel", NULL, OUT_TEXT, "the release of the kernel", false },
	{ "cpus", NULL, OUT_TEXT,
	  "numbers of the processors that were used, the first the sender's, apart by commas",
	  false },
	{ "quick", NULL, OUT_BOOL, "with --quick: fewer cells, in shorter loops", false },
	{ "round_count", NULL, OUT_COUNT, "rounds that were asked for", false },
	{ "slice_ns", NULL, OUT_AGE, "how long a loop is to take", false },
	{ "elapsed_ns", NULL, OUT_AGE, "how long the run took", false },
	{ "discarded_count", NULL, OUT_COUNT,
	  "measurements discarded, since the host moved the processors meanwhile", false },
	{ "set_aside_count", NULL, OUT_COUNT,
	  "rounds set aside, since the host had the processors at another distance than in those "
	  "that count",
	  false },
	{ "near_ns", NULL, OUT_NS,
	  "round trip of a cache line where the processors were nearest, median of those rounds",
	  false },
	{ "stopped", NULL, OUT_BOOL, "it was interrupted: rounds are missing", false },
	{ "bounce_ns", NULL, OUT_NS, "round trip of a cache line, median of all teams", false },
	{ "bounce_ns_min", NULL, OUT_NS, "the least of it", false },
	{ "bounce_ns_max", NULL, OUT_NS, "the most of it", false },
	{ 0 },
};
const struct out_list bench_items = { "items", item_cols };

static const struct out_col row_cols[] = {
	{ "measure", "MEASURE", OUT_TEXT,
	  "round-trip, one-way, fan-out, wake-up, open-loop, write or hand-over", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "of a message; of a lock, what is changed inside",
	  false },
	{ "contestant", "CONTESTANT", OUT_TEXT, "who is measured", false },
	{ "group", "GROUP", OUT_TEXT, "limit, kernel, tarn, hand or peer", true },
	{ "mode", "MODE", OUT_TEXT, "busy, blocking, batch, in-place or zero-copy", false },
	{ "pages", "PAGES", OUT_TEXT, "4k, thp or 2m: of the contestant's shared memory", true },
	{ "heat", "HEAT", OUT_TEXT, "hot, or cold: messages come from and go to memory in no cache",
	  true },
	{ "pinned", "PINNED", OUT_BOOL, "each process on a processor of its own", true },
	{ "subscribers", NULL, OUT_COUNT, "of a fan-out", false },
	{ "rate_per_s", NULL, OUT_COUNT, "messages that were due a second, in the open loop",
	  false },
	{ "rounds", "ROUNDS", OUT_COUNT, "that count", true },
	{ "discarded", "DISCARDED", OUT_COUNT,
	  "that do not: the host moved the processors meanwhile", true },
	{ "set_aside", "SET-ASIDE", OUT_COUNT,
	  "that do not: the processors were at another distance than in those that count", true },
	{ "p50_ns", "P50", OUT_NS, "half of the latencies are not above it; median of the rounds",
	  false },
	{ "p50_ns_min", "P50-MIN", OUT_NS, "the least of the rounds", true },
	{ "p50_ns_max", "P50-MAX", OUT_NS, "the most of the rounds", true },
	{ "p90_ns", "P90", OUT_NS, "the same of nine in ten", true },
	{ "p99_ns", "P99", OUT_NS, "of 99 in 100", false },
	{ "p99_9_ns", "P99.9", OUT_NS, "of 999 in 1000", OUT_IF_ROOM },
	{ "max_ns", "MAX", OUT_NS, "of all", OUT_IF_ROOM },
	{ "block_ns", "BLOCK", OUT_NS,
	  "a round trip of 64 timed in one piece: finer than p50 where the clock ticks coarsely",
	  true },
	{ "messages_per_s", "MSG/S", OUT_REAL, "messages, or to each subscriber, a second", false },
	{ "messages_per_s_min", "MSG/S-MIN", OUT_REAL, "the least of the rounds", true },
	{ "messages_per_s_max", "MSG/S-MAX", OUT_REAL, "the most of the rounds", true },
	{ "bytes_per_ns", "GB/S", OUT_REAL, "the same in bytes a nanosecond, which are GB a second",
	  false },
	{ "bytes_per_ns_min", NULL, OUT_REAL, "the least of the rounds", false },
	{ "bytes_per_ns_max", NULL, OUT_REAL, "the most of the rounds", false },
	{ "ratio", "RATIO", OUT_REAL,
	  "latencies: so many times the limit. Rates: this part of it, or messages in the time "
	  "that "
	  "a cache line takes one way",
	  false },
	{ "ratio_min", "MIN", OUT_REAL, "the least ratio of the rounds", OUT_IF_ROOM },
	{ "ratio_max", "MAX-RATIO", OUT_REAL, "the largest ratio of the rounds", OUT_IF_ROOM },
	{ "limit", "LIMIT", OUT_TEXT, "what the ratio is to, measured in the same processes",
	  false },
	{ "limit_ns", "LIMIT-NS", OUT_NS, "the limit, where it is a time", true },
	{ "limit_bytes_per_ns", "LIMIT-GB/S", OUT_REAL, "the limit, where it is a rate", true },
	{ "bounce_ns", "BOUNCE", OUT_NS,
	  "round trip of a cache line, in the same processes and rounds", true },
	{ "bounce_ns_min", "BOUNCE-MIN", OUT_NS, "the least of the rounds", true },
	{ "bounce_ns_max", "BOUNCE-MAX", OUT_NS, "the most of the rounds", true },
	{ "place", "PLACE", OUT_TEXT,
	  "where the processors were in the rounds that count: near, as the nearest of the run; "
	  "far, or nearer than nearly all others, for want of near ones; any: it does not matter, "
	  "or is not known",
	  false },
	{ "failed", "FAILED", OUT_LONG, "why it could not be measured; null: it was", false },
	{ 0 },
};
const struct out_list bench_rows = { "rows", row_cols };

static const struct out_col contestant_cols[] = {
	{ "name", "NAME", OUT_TEXT, "what --only finds", false },
	{ "group", "GROUP", OUT_TEXT, "kernel, tarn, hand or peer", false },
	{ "modes", "MODES", OUT_TEXT, "what it can be measured in, apart by commas", false },
	{ "measures", "MEASURES", OUT_LONG, "what can be measured of it, apart by commas", false },
	{ "size_min_bytes", NULL, OUT_SIZE, "the smallest message", false },
	{ "size_max_bytes", NULL, OUT_SIZE, "the largest message; 0: it carries none", false },
	{ "what", "WHAT", OUT_LONG, "what it is", false },
	{ "missing", "MISSING", OUT_LONG, "why it cannot be had here; null: it can", false },
	{ 0 },
};
const struct out_list bench_contestant_list = { "contestants", contestant_cols };

/* --- rows ------------------------------------------------------------------------------------- */

#define FIELD(name) offsetof(struct bench_figures, name)

static void put_known(struct out *out, const char *key, double value)
{
	if (value > 0)
		out_real(out, key, value);
}

static void put_spread(struct out *out, const char *key, const char *min, const char *max,
		       struct bench_spread spread, double scale)
{
	put_known(out, key, spread.median * scale);
	put_known(out, min, spread.min * scale);
	put_known(out, max, spread.max * scale);
}

static void put_latencies(struct out *out, const struct bench_row *row)
{
	put_spread(out, "p50_ns", "p50_ns_min", "p50_ns_max", bench_over_rounds(row, FIELD(p50)),
		   1);
	put_known(out, "p90_ns", bench_over_rounds(row, FIELD(p90)).median);
	put_known(out, "p99_ns", bench_over_rounds(row, FIELD(p99)).median);
	put_known(out, "p99_9_ns", bench_over_rounds(row, FIELD(p99_9)).median);
	put_known(out, "max_ns", bench_over_rounds(row, FIELD(max)).median);
	put_known(out, "block_ns", bench_over_rounds(row, FIELD(block)).median);
}

static void put_rates(struct out *out, const struct bench_row *row)
{
	struct bench_spread rate = bench_over_rounds(row, FIELD(rate));

	put_spread(out, "messages_per_s", "messages_per_s_min", "messages_per_s_max", rate, 1e9);
	put_spread(out, "bytes_per_ns", "bytes_per_ns_min", "bytes_per_ns_max", rate,
		   (double)row->cell.size);
}

static void put_limit(struct out *out, const struct bench_row *row)
{
	double limit = bench_over_rounds(row, FIELD(limit)).median;

	out_text(out, "limit", limit > 0 ? bench_limit_name(row->limit) : NULL);
	put_known(out, row->limit == BENCH_LIMIT_MEMCPY ? "limit_bytes_per_ns" : "limit_ns", limit);
	put_spread(out, "ratio", "ratio_min", "ratio_max", bench_over_rounds(row, FIELD(ratio)), 1);
	put_spread(out, "bounce_ns", "bounce_ns_min", "bounce_ns_max",
		   bench_over_rounds(row, FIELD(bounce)), 1);
	out_text(out, "place", bench_place_name(row->place));
}

static void put_row(struct out *out, const struct bench_row *row)
{
	const struct bench_cell *cell = &row->cell;

	out_row(out);
	out_text(out, "measure", bench_measure_name(cell->measure));
	out_number(out, "size_bytes", cell->size);
	out_text(out, "contestant", cell->contestant->name);
	out_text(out, "group", bench_group_name(cell->contestant->group));
	out_text(out, "mode", bench_mode_name(cell->variant->mode));
	out_text(out, "pages", bench_pages_name(cell->pages));
	out_text(out, "heat", cell->cold ? "cold" : "hot");
	out_bool(out, "pinned", cell->pinned);
	out_number_if(out, "subscribers", cell->sides - 1, cell->measure == BENCH_FAN_OUT);
	out_number_if(out, "rate_per_s", cell->rate, cell->measure == BENCH_OPEN_LOOP);
	out_number(out, "rounds", row->rounds);
	out_number(out, "discarded", row->discarded);
	out_number(out, "set_aside", row->set_aside);
	out_text(out, "failed", row->failed[0] != '\0' ? row->failed : NULL);
	if (row->rounds == 0)
		return;
	if (bench_is_rate(cell->measure))
		put_rates(out, row);
	else
		put_latencies(out, row);
	put_limit(out, row);
}

static struct bench_spread bounces(const struct bench_run *run)
{
	struct bench_spread all = { 0 };
	double *values = calloc(run->row_count, sizeof(*values));

	for (unsigned i = 0; values != NULL && i < run->row_count; i++)
		values[i] = bench_over_rounds(&run->rows[i], FIELD(bounce)).median;
	if (values != NULL)
		all = bench_spread_of(values, run->row_count);
	free(values);
	return all;
}

static void put_real_fact(struct out *out, const char *key, const char *label, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	if (value > 0)
		out_fact_number(out, key, label, OUT_NS, bits);
	else
		out_fact_text(out, key, NULL, NULL);
}

void bench_put_no_facts(struct out *out)
{
	out_item(out);
	for (const struct out_col *col = item_cols; col->key != NULL; col++)
		out_fact_text(out, col->key, NULL, NULL);
}

static void put_machine(struct out *out, const struct bench_machine *m)
{
	out_fact_text(out, "cpu", "Processor", bench_machine_fact(m, "cpu"));
	out_fact_text(out, "machine", NULL, bench_machine_fact(m, "machine"));
	out_fact_text(out, "kernel", "Kernel", bench_machine_fact(m, "kernel"));
	out_fact_text(out, "cpus", "Used", bench_machine_fact(m, "cpus"));
}

static void put_run(struct out *out, const struct bench_run *run)
{
	struct bench_spread bounce = bounces(run);

	out_fact_number(out, "quick", NULL, OUT_BOOL, run->settings.quick);
	out_fact_number(out, "round_count", "Rounds", OUT_COUNT, run->settings.rounds);
	out_fact_number(out, "slice_ns", NULL, OUT_AGE, (uint64_t)run->settings.slice_ns);
	out_fact_number(out, "elapsed_ns", NULL, OUT_AGE, (uint64_t)run->elapsed_ns);
	out_fact_number(out, "discarded_count", "Discarded", OUT_COUNT, run->discarded);
	out_fact_number(out, "set_aside_count", "Set aside", OUT_COUNT, run->set_aside);
	put_real_fact(out, "near_ns", NULL, run->near);
	out_fact_number(out, "stopped", NULL, OUT_BOOL, run->stopped || run->out_of_time);
	put_real_fact(out, "bounce_ns", "Bounce", bounce.median);
	put_real_fact(out, "bounce_ns_min", NULL, bounce.min);
	put_real_fact(out, "bounce_ns_max", NULL, bounce.max);
}

void bench_put_rows(struct out *out, const struct bench_run *run, const struct bench_machine *m)
{
	out_item(out);
	put_machine(out, m);
	put_run(out, run);
	out_list(out, &bench_rows);
	for (unsigned i = 0; i < run->row_count; i++)
		put_row(out, &run->rows[i]);
}

/* --- contestants ------------------------------------------------------------------------------ */

static void add_word(char *text, size_t size, const char *word)
{
	size_t used = strlen(text);

	if (strstr(text, word) == NULL)
		snprintf(text + used, size - used, "%s%s", used > 0 ? "," : "", word);
}

static void put_contestant(struct out *out, const struct bench_contestant *c)
{
	size_t least = BENCH_SIZE_MAX, most = 0;
	char modes[96] = "", measures[96] = "";

	for (const struct bench_variant *v = c->variants; v->run != NULL; v++) {
		add_word(modes, sizeof(modes), bench_mode_name(v->mode));
		for (int m = 0; m < BENCH_MEASURE_COUNT; m++)
			if (v->measures & BENCH_BIT(m))
				add_word(measures, sizeof(measures),
					 bench_measure_name((enum bench_measure)m));
		least = v->size_min < least ? v->size_min : least;
		most = v->size_max > most ? v->size_max : most;
	}
	out_row(out);
	out_text(out, "name", c->name);
	out_text(out, "group", bench_group_name(c->group));
	out_text(out, "modes", modes);
	out_text(out, "measures", measures);
	out_number(out, "size_min_bytes", least);
	out_number(out, "size_max_bytes", most);
	out_text(out, "what", c->what);
	out_text(out, "missing", c->missing != NULL ? c->missing() : NULL);
}

void bench_put_contestants(struct out *out)
{
	bench_put_no_facts(out);
	out_list(out, &bench_contestant_list);
	for (const struct bench_contestant *const *c = bench_contestants; *c != NULL; c++)
		put_contestant(out, *c);
	for (const struct bench_contestant *const *c = bench_more; *c != NULL; c++)
		put_contestant(out, *c);
}
