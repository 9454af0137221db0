/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_compare.c - see bench_compare.h. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_compare.h"
#include "bench_parts.h"
#include "cli.h"

#define NARROW 0.7 /* so much narrower the ratios are where the limit moved */

/* --- judging ---------------------------------------------------------------------------- */

/* So that of noise one pair in ten thousand is further apart (for 3, 4 ... rounds of each). */
double bench_factor(uint64_t rounds)
{
	static const double factors[] = { 8.5, 3.4, 2.1, 1.5, 1.15, 0.75 };

	return rounds < 3 ? INFINITY : rounds < 9 ? factors[rounds - 3] : 0;
}

/* Of both spreads together, as a logarithm. */
static double width(const struct bench_span *a, const struct bench_span *b)
{
	return log(a->max / a->min) + log(b->max / b->min);
}

/* The figure that the two have in common, and its unit. Is a smaller one better? */
static bool pick(struct bench_pair *pair)
{
	const struct bench_result *a = pair->first, *b = pair->second;
	bool time = bench_result_is_time(a) && bench_result_is_time(b);

	if (time) {
		pair->unit = "ns";
		pair->a = a->ns;
		pair->b = b->ns;
	} else if (a->messages_per_s.median > 0 && b->messages_per_s.median > 0) {
		pair->unit = "messages/s";
		pair->a = a->messages_per_s;
		pair->b = b->messages_per_s;
	} else {
		pair->unit = "bytes/ns";
		pair->a = a->bytes_per_ns;
		pair->b = b->bytes_per_ns;
	}
	if (!pair->relative && pair->a.min > 0 && pair->b.min > 0 && a->ratio.min > 0 &&
	    b->ratio.min > 0)
		pair->relative = width(&a->ratio, &b->ratio) < NARROW * width(&pair->a, &pair->b);
	if (pair->relative) {
		pair->unit = "of the limit";
		pair->a = a->ratio;
		pair->b = b->ratio;
	}
	return time;
}

static struct bench_span over(struct bench_span a, struct bench_span b)
{
	return (struct bench_span){ a.median / b.median, a.min / b.max, a.max / b.min };
}

static double ratio_of(double a, double b)
{
	return a > 0 && b > 0 ? a / b : 1;
}

/* Above 1: the machine was slower for the second one. 1: not known. Of the limit of the row and
 * the cache line, on which all depends that two processes share, the one that moved further. */
static double limit_ratio(const struct bench_result *a, const struct bench_result *b)
{
	double line = ratio_of(b->bounce_ns, a->bounce_ns);
	double limit = ratio_of(b->limit_ns, a->limit_ns) *
		       ratio_of(a->limit_bytes_per_ns, b->limit_bytes_per_ns);

	return fabs(log(line)) > fabs(log(limit)) ? line : limit;
}

static bool overlap(const struct bench_span *a, const struct bench_span *b)
{
	return a->max >= b->min && b->max >= a->min;
}

static const char *doubt(const struct bench_pair *pair)
{
	const struct bench_span *a = &pair->a, *b = &pair->b;
	uint64_t rounds = pair->first->rounds < pair->second->rounds ? pair->first->rounds
								     : pair->second->rounds;
	double far = fabs(log(pair->ratio.median)), moved = fabs(log(pair->limit_ratio));

	if (overlap(a, b))
		return "the rounds overlap";
	if (moved > log(BENCH_LIMIT_MOVED) && pair->first->ratio.min > 0 &&
	    overlap(&pair->first->ratio, &pair->second->ratio))
		return "the limit moved, and beside it the rounds overlap";
	if (moved > 0 && far <= (pair->relative ? moved / 2 : moved))
		return "the limit moved as far";
	if (far < log1p(BENCH_LEAST))
		return "too small a difference";
	if (rounds < 3)
		return "too few rounds";
	if (far < bench_factor(rounds) * width(a, b) / 2)
		return "too few rounds for so wide a spread";
	return NULL;
}

/* Were the processors at one distance in the first, and at another in the second? */
static bool is_unlike(const struct bench_pair *pair, bool other_machine)
{
	const struct bench_result *a = pair->first, *b = pair->second;
	bool known = a->place[0] != '\0' && b->place[0] != '\0';

	if (strcmp(a->place, "any") == 0 || strcmp(b->place, "any") == 0)
		return false;
	if (other_machine)
		return known && strcmp(a->place, b->place) != 0;
	return fabs(log(ratio_of(a->bounce_ns, b->bounce_ns))) > log(BENCH_UNLIKE_PLACES);
}

/* Did they sleep in the one, and find each other awake in the other? Nobody who sleeps answers in
 * less than a bare sleeper does. */
static bool is_awake_in_one(const struct bench_pair *pair)
{
	const struct bench_result *a = pair->first, *b = pair->second;
	bool sleeps = a->limit != NULL && strcmp(a->limit, "futex pair") == 0 && b->limit != NULL &&
		      strcmp(b->limit, "futex pair") == 0;

	return sleeps && ((a->ratio.min >= 1 && b->ratio.min > 0 && b->ratio.max < 1) ||
			  (b->ratio.min >= 1 && a->ratio.min > 0 && a->ratio.max < 1));
}

static bool judge_absence(struct bench_pair *pair)
{
	bool first = pair->first != NULL && pair->first->failed == NULL;
	bool second = pair->second != NULL && pair->second->failed == NULL;
	const struct bench_result *without = first ? pair->second : pair->first;

	if (first && second)
		return false;
	pair->verdict = first ? BENCH_ONLY_FIRST : second ? BENCH_ONLY_SECOND : BENCH_NEITHER;
	pair->why = without != NULL ? without->failed : "there is no such row";
	return true;
}

void bench_judge(struct bench_pair *pair, bool relative)
{
	bool time;

	pair->why = "";
	if (judge_absence(pair))
		return;
	pair->relative = relative;
	time = pick(pair);
	pair->verdict = BENCH_SAME;
	if (pair->a.min <= 0 || pair->b.min <= 0) {
		pair->unit = NULL;
		pair->why = relative ? "no limit to hold it against" : "no figure in common";
		return;
	}
	pair->ratio = time ? over(pair->b, pair->a) : over(pair->a, pair->b);
	pair->limit_ratio = limit_ratio(pair->first, pair->second);
	if (is_unlike(pair, relative)) {
		pair->verdict = BENCH_UNLIKE;
		pair->why = "the processors were near one another in one, and far in the other";
		return;
	}
	if (is_awake_in_one(pair)) {
		pair->verdict = BENCH_UNLIKE;
		pair->why = "they slept in one, and found each other awake in the other";
		return;
	}
	pair->why = doubt(pair);
	if (pair->why == NULL) {
		pair->verdict = pair->ratio.median > 1 ? BENCH_SLOWER : BENCH_FASTER;
		pair->why = "";
	}
}

/* --- which rows belong together ---------------------------------------------------------- */

static bool same_key(const struct bench_result *a, const struct bench_result *b)
{
	return strcmp(a->measure, b->measure) == 0 && strcmp(a->contestant, b->contestant) == 0 &&
	       strcmp(a->mode, b->mode) == 0 && strcmp(a->pages, b->pages) == 0 &&
	       strcmp(a->heat, b->heat) == 0 && a->size == b->size && a->pinned == b->pinned &&
	       a->subscribers == b->subscribers && a->rate == b->rate;
}

struct compare {
	struct cli *cli;
	struct bench_file first, second;
	struct bench_pair *pairs;
	size_t count;
	uint64_t verdicts[BENCH_VERDICT_COUNT];
	bool same_machine;
};

/* In the order of the first, then what only the second has. Rows of one key: by their order. */
static bool match(struct compare *c)
{
	size_t rows = c->first.row_count + c->second.row_count;
	bool *taken = calloc(c->second.row_count + 1, sizeof(*taken));

	c->pairs = calloc(rows + 1, sizeof(*c->pairs));
	for (size_t i = 0; taken != NULL && c->pairs != NULL && i < c->first.row_count; i++) {
		struct bench_pair *pair = &c->pairs[c->count++];

		pair->first = &c->first.rows[i];
		for (size_t k = 0; k < c->second.row_count && pair->second == NULL; k++) {
			if (taken[k] || !same_key(pair->first, &c->second.rows[k]))
				continue;
			taken[k] = true;
			pair->second = &c->second.rows[k];
		}
	}
	for (size_t k = 0; taken != NULL && c->pairs != NULL && k < c->second.row_count; k++) {
		if (!taken[k])
			c->pairs[c->count++].second = &c->second.rows[k];
	}
	free(taken);
	return taken != NULL && c->pairs != NULL;
}

/* --- the machines ------------------------------------------------------------------------- */

/* Facts that make it another machine; others that differ are told. */
static const char *const identity[] = { "cpu",        "cpu_id",    "machine",  "cpu_count",
					"l1d_bytes",  "l2_bytes",  "l3_bytes", "memory_bytes",
					"hypervisor", "node_count" };
/* These change from minute to minute, and their warnings say so. */
static const char *const passing[] = { "load_1m", "stolen_share", "cpu_mhz", "cpus" };

static bool is_among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}
#define AMONG(name, names) is_among(name, names, sizeof(names) / sizeof(*(names)))

/* Both know it, and do not agree. */
static bool differs(const struct compare *c, size_t i, const char **ret_other)
{
	const struct bench_fact_read *fact = &c->first.facts[i];

	*ret_other = bench_file_fact(&c->second, fact->name);
	return *ret_other != NULL && strcmp(fact->value, *ret_other) != 0 &&
	       !AMONG(fact->name, passing);
}

static void compare_machines(struct compare *c)
{
	const char *other;

	c->same_machine = true;
	for (size_t i = 0; i < c->first.fact_count; i++) {
		if (differs(c, i, &other) && AMONG(c->first.facts[i].name, identity))
			c->same_machine = false;
	}
}

/* --- telling ------------------------------------------------------------------------------ */

static const struct out_col compared_cols[] = {
	{ "measure", "MEASURE", OUT_TEXT, "as in rows, like the next six", false },
	{ "contestant", "CONTESTANT", OUT_TEXT, "who", false },
	{ "mode", "MODE", OUT_TEXT, "how", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "of a message", false },
	{ "pages", "PAGES", OUT_TEXT, "of shared memory", OUT_IF_ROOM },
	{ "heat", "HEAT", OUT_TEXT, "is the memory in a cache", OUT_IF_ROOM },
	{ "pinned", "PINNED", OUT_BOOL, "is each side on a processor of its own", OUT_IF_ROOM },
	{ "unit", "UNIT", OUT_TEXT,
	  "ns, messages/s or bytes/ns; or times, or part, of the limit: between machines that "
	  "differ, "
	  "and where the host moved the limit from round to round",
	  false },
	{ "first", "FIRST", OUT_VALUE, "median of the first file's rounds", false },
	{ "first_min", NULL, OUT_VALUE, "the smallest of them", false },
	{ "first_max", NULL, OUT_VALUE, "the largest", false },
	{ "second", "SECOND", OUT_VALUE, "median of the second file's rounds", false },
	{ "second_min", NULL, OUT_VALUE, "the smallest of them", false },
	{ "second_max", NULL, OUT_VALUE, "the largest", false },
	{ "ratio", "RATIO", OUT_VALUE,
	  "how many times as long the second one takes, of a rate too: above 1 it is slower",
	  false },
	{ "ratio_min", "LEAST", OUT_VALUE, "the same of the second's best and the first's worst",
	  false },
	{ "ratio_max", "MOST", OUT_VALUE, "and of its worst and the first's best", false },
	{ "limit_ratio", "LIMIT", OUT_VALUE,
	  "the same of the limit, or of the round trip of a cache line where that moved further",
	  OUT_IF_ROOM },
	{ "verdict", "VERDICT", OUT_TEXT,
	  "slower, faster, no difference; unlike: the host had the processors near one another in "
	  "the one and far in the other; only first, only second, neither: where the other one "
	  "has "
	  "no such row or could not measure it",
	  false },
	{ "why", "WHY", OUT_LONG, "there is no difference that can be told, or no row",
	  OUT_IF_ROOM },
	{ 0 },
};
const struct out_list bench_compared_list = { "compared", compared_cols };

static const struct out_col difference_cols[] = {
	{ "name", "DIFFERENT", OUT_TEXT, "a fact of the machine", false },
	{ "first", "FIRST", OUT_TEXT, "of the first file", false },
	{ "second", "SECOND", OUT_TEXT, "of the second one", false },
	{ "identity", NULL, OUT_BOOL, "it makes them different machines", false },
	{ 0 },
};
const struct out_list bench_differences_list = { "differences", difference_cols };

static const char *const verdict_words[] = {
	"no difference", "slower", "faster", "unlike", "only first", "only second", "neither",
};

static void put_number(struct out *out, const char *key, double value)
{
	char buf[40];

	snprintf(buf, sizeof(buf), value >= 1e6 ? "%.0f" : "%.4g", value);
	if (value > 0)
		out_value(out, key, buf, true);
}

static void put_figure(struct out *out, const char *key, const struct bench_span *f)
{
	char name[40];

	put_number(out, key, f->median);
	snprintf(name, sizeof(name), "%s_min", key);
	put_number(out, name, f->min);
	snprintf(name, sizeof(name), "%s_max", key);
	put_number(out, name, f->max);
}

static void put_pair(struct out *out, const struct bench_pair *pair)
{
	const struct bench_result *row = pair->first != NULL ? pair->first : pair->second;

	out_row(out);
	out_text(out, "measure", row->measure);
	out_text(out, "contestant", row->contestant);
	out_text(out, "mode", row->mode[0] != '\0' ? row->mode : NULL);
	out_number(out, "size_bytes", row->size);
	out_text(out, "pages", row->pages[0] != '\0' ? row->pages : NULL);
	out_text(out, "heat", row->heat[0] != '\0' ? row->heat : NULL);
	out_bool(out, "pinned", row->pinned);
	out_text(out, "verdict", verdict_words[pair->verdict]);
	out_text(out, "why", pair->why[0] != '\0' ? pair->why : NULL);
	if (pair->unit == NULL)
		return;
	out_text(out, "unit", pair->unit);
	put_figure(out, "first", &pair->a);
	put_figure(out, "second", &pair->b);
	put_figure(out, "ratio", &pair->ratio);
	put_number(out, "limit_ratio", pair->limit_ratio);
}

static void put_differences(struct out *out, const struct compare *c)
{
	const char *other;

	out_list(out, &bench_differences_list);
	for (size_t i = 0; i < c->first.fact_count; i++) {
		const struct bench_fact_read *fact = &c->first.facts[i];

		if (!differs(c, i, &other))
			continue;
		out_row(out);
		out_text(out, "name", fact->name);
		out_text(out, "first", fact->value);
		out_text(out, "second", other);
		out_bool(out, "identity", AMONG(fact->name, identity));
	}
}

static void put_summary(const struct compare *c)
{
	printf("\n");
	if (!c->same_machine)
		printf("The two are of different machines: what is compared is the ratio to the "
		       "limit.\n");
	if (c->verdicts[BENCH_UNLIKE] > 0)
		printf("Rows that are unlike are not compared: the host had the processors near "
		       "one another in the one and far in the other, or those who sleep were awake "
		       "in one.\n");
	for (int v = 0; v < BENCH_VERDICT_COUNT; v++) {
		static const int order[] = { BENCH_SLOWER, BENCH_FASTER,     BENCH_SAME,
					     BENCH_UNLIKE, BENCH_ONLY_FIRST, BENCH_ONLY_SECOND,
					     BENCH_NEITHER };

		if (c->verdicts[order[v]] > 0 || order[v] < BENCH_UNLIKE)
			printf("%s%llu %s", v > 0 ? ", " : "",
			       (unsigned long long)c->verdicts[order[v]], verdict_words[order[v]]);
	}
	printf("\n");
}

static int put_all(struct compare *c)
{
	struct out out;
	int code = out_begin(&out, c->cli);

	if (code >= 0)
		return code;
	bench_put_no_facts(&out);
	put_differences(&out, c);
	out_list(&out, &bench_compared_list);
	for (size_t i = 0; i < c->count; i++)
		put_pair(&out, &c->pairs[i]);
	out_item_end(&out);
	code = out_end(&out, c->verdicts[BENCH_SLOWER] > 0 ? CLI_FAILURE : CLI_OK);
	if (!out.as_json && !cli_given(c->cli, "raw"))
		put_summary(c);
	return code;
}

static int compare_files(struct compare *c)
{
	if (!match(c))
		return cli_error(c->cli, "out of memory");
	compare_machines(c);
	for (size_t i = 0; i < c->count; i++) {
		bench_judge(&c->pairs[i], !c->same_machine);
		c->verdicts[c->pairs[i].verdict]++;
	}
	return put_all(c);
}

int bench_compare(struct cli *cli, const char *first, const char *second)
{
	struct compare c = { .cli = cli };
	int code = bench_file_read(cli, first, &c.first);

	if (code == CLI_OK)
		code = bench_file_read(cli, second, &c.second);
	if (code == CLI_OK)
		code = compare_files(&c);
	free(c.pairs);
	bench_file_free(&c.first);
	bench_file_free(&c.second);
	return code;
}
