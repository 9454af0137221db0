/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - walk the list of cases, as many rounds as asked, both sides in step; then print.
 *
 * Rounds are the outer loop, so that a slow minute of the host spreads over all rows. A row
 * shows the median of the rounds and, in brackets, the smallest and the largest; its ratios are
 * taken within each round, to the limit measured right before and to the pipe's row of the same
 * test and size, and shown the same way.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

enum { CASE_MAX = 64, WATCHDOG_SECONDS = 600, ROUND_MIN = 3 };

struct result {
	struct bench_value value[BENCH_ROUND_MAX], limit[BENCH_ROUND_MAX];
};

struct spread {
	double median, min, max;
};

static struct {
	const struct bench_case *cases[CASE_MAX];
	struct result results[CASE_MAX];
	int case_count;
	int round_count;
	bool json;
	double budget; /* seconds after which no new round is begun, once there are ROUND_MIN */
	const char *filter;
} bench = { .round_count = 7, .budget = 45 };

struct bench_value bench_collect(struct duo *duo, uint64_t count)
{
	struct bench_value value = { 0 };
	double tick_ns = duo->shm->tick_ns;

	duo_meet(duo);
	if (duo->side == DUO_A) {
		value.p50 = duo_percentile(duo->shm->samples, count, 0.5) * tick_ns;
		value.p99 = duo_percentile(duo->shm->samples, count, 0.99) * tick_ns;
		if (duo->shm->block_count > 0)
			value.block = duo_percentile(duo->shm->blocks, duo->shm->block_count, 0.5) *
				      tick_ns / DUO_BLOCK;
		duo->shm->block_count = 0;
	}
	duo_meet(duo);
	return value;
}

static struct bench_value collect_rate(struct duo *duo, const struct bench_case *c)
{
	duo_meet(duo);
	double ns = (double)(duo->shm->t_end - duo->shm->t_start) * duo->shm->tick_ns;

	duo_meet(duo);
	return (struct bench_value){ .p50 = (double)c->count * c->size / ns };
}

static void run_case(struct duo *duo, const struct bench_case *c, struct result *result, int round)
{
	if (c->limit != NULL)
		result->limit[round] = c->limit->measure(duo, c);
	duo_meet(duo);
	c->run(duo, c);
	result->value[round] =
		c->kind == BENCH_RATE ? collect_rate(duo, c) : bench_collect(duo, c->count);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Both sides: has it taken long enough? A says so, when the machine is that busy. */
static bool out_of_time(struct duo *duo, double began)
{
	duo_meet(duo);
	if (duo->side == DUO_A && now() - began > bench.budget)
		atomic_store(&duo->shm->out_of_time, 1);
	duo_meet(duo);
	return atomic_load(&duo->shm->out_of_time) != 0;
}

static void run_rounds(struct duo *duo)
{
	double began = now();

	for (int round = 0; round < bench.round_count; round++) {
		if (round >= ROUND_MIN && out_of_time(duo, began)) {
			bench.round_count = round;
			break;
		}
		if (duo->side == DUO_A && isatty(2))
			fprintf(stderr, "\rbench: round %d of %d ", round + 1, bench.round_count);
		for (int i = 0; i < bench.case_count; i++)
			run_case(duo, bench.cases[i], &bench.results[i], round);
	}
	if (duo->side == DUO_A && isatty(2))
		fprintf(stderr, "\r\033[K");
}

/* --- choosing ------------------------------------------------------------------------------ */

static void choose(const struct bench_case *list)
{
	for (const struct bench_case *c = list; c->test != NULL; c++) {
		char text[128];

		snprintf(text, sizeof(text), "%s/%s/%u", c->test, c->transport, c->size);
		if (bench.filter != NULL && strstr(text, bench.filter) == NULL)
			continue;
		if (bench.case_count == CASE_MAX)
			duo_die("too many cases", ENOSPC);
		bench.cases[bench.case_count++] = c;
	}
}

static const char *const test_order[] = {
	"round trip, busy", "one way",        "round trip, blocking",
	"wake a sleeper",   "open and close", "peer's death seen",
};

static int test_rank(const struct bench_case *c)
{
	int i = 0;

	while (i < (int)(sizeof(test_order) / sizeof(*test_order)) &&
	       strcmp(c->test, test_order[i]) != 0)
		i++;
	return i;
}

/* By test, then by size, then as listed. */
static void sort_cases(void)
{
	for (int i = 1; i < bench.case_count; i++) {
		const struct bench_case *c = bench.cases[i];
		int k = i;

		for (; k > 0; k--) {
			const struct bench_case *p = bench.cases[k - 1];
			int a = test_rank(p), b = test_rank(c);

			if (a < b || (a == b && p->size <= c->size))
				break;
			bench.cases[k] = p;
		}
		bench.cases[k] = c;
	}
}

/* --- printing ------------------------------------------------------------------------------ */

static struct spread spread_of(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), duo_compare_double);
	double median =
		count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;

	return (struct spread){ median, values[0], values[count - 1] };
}

static struct spread p50_of(const struct result *result)
{
	double values[BENCH_ROUND_MAX];

	for (int i = 0; i < bench.round_count; i++)
		values[i] = result->value[i].p50;
	return spread_of(values, bench.round_count);
}

static double median_of(const struct result *result, bool limit, size_t field)
{
	double values[BENCH_ROUND_MAX];
	const struct bench_value *from = limit ? result->limit : result->value;

	for (int i = 0; i < bench.round_count; i++)
		memcpy(&values[i], (const char *)&from[i] + field, sizeof(double));
	return spread_of(values, bench.round_count).median;
}

/* Ratio of @result to its limit or to @other, round by round; of the blocks where @block. */
static struct spread ratio_of(const struct result *result, const struct bench_value *other,
			      bool block)
{
	double values[BENCH_ROUND_MAX];

	for (int i = 0; i < bench.round_count; i++)
		values[i] = block ? result->value[i].block / other[i].block
				  : result->value[i].p50 / other[i].p50;
	return spread_of(values, bench.round_count);
}

/* Are there times of whole blocks on both sides of the ratio to the limit? */
static bool has_blocks(const struct bench_case *c, const struct result *result)
{
	return c->limit != NULL && result->value[0].block > 0 && result->limit[0].block > 0;
}

static const struct result *pipe_of(const struct bench_case *c)
{
	for (int i = 0; i < bench.case_count; i++) {
		const struct bench_case *p = bench.cases[i];

		if (strcmp(p->transport, "pipe") == 0 && strcmp(p->test, c->test) == 0 &&
		    p->size == c->size)
			return &bench.results[i];
	}
	return NULL;
}

static const char *ns_text(double ns, char buf[32])
{
	if (ns < 10e3)
		snprintf(buf, 32, "%.0f ns", ns);
	else if (ns < 10e6)
		snprintf(buf, 32, "%.1f us", ns / 1e3);
	else
		snprintf(buf, 32, "%.1f ms", ns / 1e6);
	return buf;
}

static void print_spread(struct spread s, int width)
{
	char buf[64];
	int digits = s.median < 0.1 ? 4 : s.median < 10 ? 2 : 0;

	snprintf(buf, sizeof(buf), "%.*f [%.*f..%.*f]", digits, s.median, digits, s.min, digits,
		 s.max);
	printf("  %-*s", width, buf);
}

static void print_value(const struct bench_case *c, const struct result *result)
{
	struct spread s = p50_of(result);
	char a[32], b[32], range[80];

	if (c->kind == BENCH_RATE) {
		snprintf(a, sizeof(a), "%.3f M/s", s.median * 1e3 / c->size);
		snprintf(b, sizeof(b), "%.3f GB/s", s.median);
		snprintf(range, sizeof(range), "%.3f..%.3f", s.min, s.max);
	} else {
		ns_text(s.min, a);
		ns_text(s.max, b);
		snprintf(range, sizeof(range), "%s..%s", a, b);
		ns_text(s.median, a);
		ns_text(median_of(result, false, offsetof(struct bench_value, p99)), b);
	}
	printf("  %-16s %11s %11s  %-20s", c->transport, a, b, range);
}

static void print_row(const struct bench_case *c, const struct result *result)
{
	const struct result *pipe = pipe_of(c);
	bool blocks = has_blocks(c, result);

	print_value(c, result);
	if (c->limit != NULL)
		print_spread(ratio_of(result, result->limit, blocks), 22);
	else
		printf("  %-22s", "-");
	if (pipe != NULL)
		print_spread(ratio_of(result, pipe->value, false), 0);
	else
		printf("  -");
	printf("\n");
}

static void print_heading(const struct bench_case *c, const struct result *result)
{
	bool rate = c->kind == BENCH_RATE;
	char buf[32];

	if (c->limit == NULL)
		printf("\n%s, no limit measured\n", c->test);
	else if (rate)
		printf("\n%s, %u bytes; limit: %s, %.1f GB/s\n", c->test, c->size, c->limit->name,
		       median_of(result, true, 0));
	else
		printf("\n%s, %u bytes; limit: %s, %s\n", c->test, c->size, c->limit->name,
		       ns_text(median_of(result, true, 0), buf));
	printf("  %-16s %11s %11s  %-20s  %-22s  %s\n", "", rate ? "MESSAGES" : "P50",
	       rate ? "BYTES" : "P99", rate ? "SPREAD GB/s" : "SPREAD P50", "OF LIMIT", "OF PIPE");
}

static int find_case(const char *test, const char *transport, uint32_t size)
{
	for (int i = 0; i < bench.case_count; i++) {
		const struct bench_case *c = bench.cases[i];

		if (strcmp(c->test, test) == 0 && strcmp(c->transport, transport) == 0 &&
		    c->size == size)
			return i;
	}
	return -1;
}

/* What the project has set itself, and whether this run shows it. */
static void print_goals(void)
{
	int trip = find_case("round trip, busy", "ring", 8);
	int open = find_case("open and close", "member", 0);

	printf("\n");
	if (trip >= 0) {
		const struct result *result = &bench.results[trip];
		double blocks = ratio_of(result, result->limit, true).median;

		printf("Round trip of 8 bytes, goal at most 1.20 of the bounce: %.2f by blocks, "
		       "%.2f "
		       "by p50: %s\n",
		       blocks, ratio_of(result, result->limit, false).median,
		       blocks <= 1.2 ? "held" : "missed");
	}
	if (open >= 0) {
		double ns = p50_of(&bench.results[open]).median;

		printf("Opening a region and leaving it, goal under 100 us: %.1f us: %s\n",
		       ns / 1e3, ns < 100e3 ? "held" : "missed");
	}
}

static void print_table(const struct duo *duo)
{
	const char *test = "";
	uint32_t size = UINT32_MAX;

	printf("Two processes, on processors %u and %u; median of %d rounds [smallest..largest].\n"
	       "Each ratio is taken within a round: OF LIMIT to the limit measured right before.\n",
	       duo->cpu[0], duo->cpu[1], bench.round_count);
	for (int i = 0; i < bench.case_count; i++) {
		const struct bench_case *c = bench.cases[i];

		if (strcmp(test, c->test) != 0 || size != c->size)
			print_heading(c, &bench.results[i]);
		test = c->test;
		size = c->size;
		print_row(c, &bench.results[i]);
	}
	print_goals();
}

static void json_spread(const char *key, struct spread s)
{
	printf(",\"%s\":%.4g,\"%s_min\":%.4g,\"%s_max\":%.4g", key, s.median, key, s.min, key,
	       s.max);
}

static void print_json(const struct duo *duo)
{
	for (int i = 0; i < bench.case_count; i++) {
		const struct bench_case *c = bench.cases[i];
		const struct result *result = &bench.results[i], *pipe = pipe_of(c);
		bool rate = c->kind == BENCH_RATE;

		printf("{\"schema\":\"tarn.bench\",\"version\":1,\"test\":\"%s\","
		       "\"transport\":\"%s\",\"size_bytes\":%u,\"rounds\":%d,\"cpus\":[%u,%u]",
		       c->test, c->transport, c->size, bench.round_count, duo->cpu[0], duo->cpu[1]);
		json_spread(rate ? "bytes_per_ns" : "p50_ns", p50_of(result));
		if (!rate)
			printf(",\"p99_ns\":%.4g",
			       median_of(result, false, offsetof(struct bench_value, p99)));
		if (c->limit != NULL) {
			printf(",\"limit\":\"%s\",\"limit_%s\":%.4g", c->limit->name,
			       rate ? "bytes_per_ns" : "p50_ns", median_of(result, true, 0));
			json_spread("ratio_limit", ratio_of(result, result->limit, false));
			if (has_blocks(c, result))
				json_spread("ratio_limit_blocks",
					    ratio_of(result, result->limit, true));
		}
		if (pipe != NULL)
			json_spread("ratio_pipe", ratio_of(result, pipe->value, false));
		printf("}\n");
	}
}

static void usage(void)
{
	fprintf(stderr, "usage: bench-duo [-J] [-r ROUNDS] [-t TEXT]\n"
			"  -J  one JSON object a row\n"
			"  -r  rounds, 1 .. 32 (7)\n"
			"  -t  only rows whose TEST/TRANSPORT/SIZE contains TEXT\n");
	exit(2);
}

static void parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "Jr:t:")) != -1) {
		if (opt == 'J')
			bench.json = true;
		else if (opt == 'r')
			bench.round_count = (int)strtol(optarg, NULL, 10);
		else if (opt == 't')
			bench.filter = optarg;
		else
			usage();
	}
	if (optind != argc || bench.round_count < 1 || bench.round_count > BENCH_ROUND_MAX)
		usage();
}

int main(int argc, char **argv)
{
	struct duo duo;

	parse(argc, argv);
	choose(limit_cases);
	choose(tarn_cases);
	choose(hand_cases);
	choose(kernel_cases);
	sort_cases();
	if (bench.case_count == 0)
		usage();
	kernel_open();
	hand_open();
	tarn_open();
	duo_start(&duo);
	alarm(WATCHDOG_SECONDS);
	if (!duo.pinned) {
		fprintf(stderr, "bench: one processor only: nothing here can be measured\n");
		return duo.side == DUO_A ? 77 : 0;
	}
	tarn_attach(&duo);
	duo_meet(&duo);
	run_rounds(&duo);
	tarn_detach(&duo);
	if (duo.side == DUO_A)
		bench.json ? print_json(&duo) : print_table(&duo);
	fflush(stdout);
	duo_end(&duo);
	return 0;
}
