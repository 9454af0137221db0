/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters that one thread adds to, leaves and comes to, while another reads, folds, or adds too:
 * each by its own handle, as handles are. */
#include <errno.h>

#include "duet.h"

enum { ROUNDS = 3000, HITS = 0, BUSY, TOOK, METRICS };

static const struct tarn_metric metrics[METRICS] = {
	[HITS] = { "hits_total", "", "", TARN_METRIC_COUNTER, 0, 0 },
	[BUSY] = { "busy", "", "", TARN_METRIC_GAUGE, 0, 0 },
	[TOOK] = { "took_ns", "ns", "", TARN_METRIC_HISTOGRAM, 2, 1 << 20 },
};

/* Of the first and of the second thread. */
static struct tarn_counters *handles[2];

static void add(struct tarn_counters *counters, uint64_t n)
{
	tarn_counter_add(counters, HITS, 1);
	tarn_gauge_set(counters, BUSY, (int64_t)n);
	tarn_histogram_record(counters, TOOK, n * 77);
}

static void *add_first(void *arg)
{
	for (uint64_t n = 0; n < ROUNDS; n++)
		add(handles[0], n);
	return arg;
}

static void *add_second(void *arg)
{
	for (uint64_t n = 0; n < ROUNDS; n++)
		add(handles[1], n);
	return arg;
}

/* A slot for each add, which is folded then. */
static void *come_and_leave(void *arg)
{
	struct tarn_counters *counters = NULL;

	for (uint64_t n = 0; n < ROUNDS / 4; n++) {
		must("open", tarn_counters_open(region, "web", NULL, &counters));
		add(counters, n);
		tarn_counters_close(counters);
	}
	return arg;
}

static void *read_second(void *arg)
{
	uint64_t values[METRICS], last = 0, took = 0;

	for (int n = 0; n < ROUNDS; n++) {
		int r = tarn_counters_read(handles[1], values, METRICS);

		if (r == -EAGAIN)
			continue;
		must("read", r);
		expect("no sum goes back", values[HITS] >= last && values[TOOK] >= took);
		last = values[HITS];
		took = values[TOOK];
	}
	return arg;
}

static void *fold_second(void *arg)
{
	for (int n = 0; n < ROUNDS / 4; n++) {
		int r = tarn_counters_fold(handles[1], NULL, NULL);

		if (r != -ETIMEDOUT)
			must("fold", r);
	}
	return arg;
}

static const struct duet cases[] = {
	{ "counters that two add to", add_first, add_second },
	{ "counters that one adds to, and one reads", add_first, read_second },
	{ "counters that one comes to and leaves, and one reads", come_and_leave, read_second },
	{ "counters that one comes to and leaves, and one folds", come_and_leave, fold_second },
};

int main(int argc, char **argv)
{
	const struct tarn_counters_opts opts = { .metrics = metrics, .count = METRICS, .slots = 3 };
	size_t i = duet_begin(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));

	for (int t = 0; t < 2; t++)
		must("open", tarn_counters_open(region, "web", &opts, &handles[t]));
	duet_run(&cases[i]);
	for (int t = 0; t < 2; t++)
		tarn_counters_close(handles[t]);
	duet_end();
	return 0;
}
