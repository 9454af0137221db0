/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn stat REGION[/OBJECT] - the counters of a region, a line an interval: what was counted in it,
 * a second; what gauges are; of histograms how many values, and what 99 of 100 are not above. With
 * --all also what its objects count of themselves.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmds.h"
#include "figures.h"
#include "out.h"
#include "stream.h"

#define INTERVAL_NS INT64_C(1000000000)
enum { WIDTH = 9, LINES = 20 /* from one heading to the next */ };

static const struct cli_opt stat_opts[] = {
	{ 'i', "interval", "SECONDS", "time from one line to the next; 1 if not given" },
	{ 'c', "count", "N",
	  "end after N lines, 0 = never; if not given a terminal goes on until it is "
	  "interrupted, a pipe gets one" },
	{ '1', "once", NULL, "one line at once: sums since the counters were made, not rates" },
	{ 'a', "all", NULL,
	  "also what all objects count of themselves, and the region; columns are OBJECT/METRIC" },
	{ 'm', "metrics", "NAMES", "these metrics alone, apart by commas" },
	{ 0, "csv", NULL, "comma-separated values, with a heading" },
	{ 'J', "json", NULL, "one JSON object a line, see tarn-json(5)" },
	{ 0 },
};

static const struct out_col line_cols[] = {
	{ "schema", NULL, OUT_TEXT, "of this line", false },
	{ "name", NULL, OUT_TEXT, "the region", false },
	{ "time_ns", NULL, OUT_TIME, "when it was read", false },
	{ "interval_ns", NULL, OUT_COUNT, "since the line before; of --once null", false },
	{ "metrics", NULL, OUT_LIST, "all of them, or those that were asked for", false },
	{ 0 },
};
static const struct out_list line_list = { "each line", line_cols };

static const struct out_col metric_cols[] = {
	{ "object", NULL, OUT_TEXT, "the object that it is of; null = the region itself", false },
	{ "object_kind", NULL, OUT_TEXT, "counters, ring, mutex, ...; region", false },
	{ "metric", NULL, OUT_TEXT, "its name", false },
	{ "kind", NULL, OUT_TEXT, "counter, gauge or histogram", false },
	{ "unit", NULL, OUT_TEXT, "of its values; null = they are numbers", false },
	{ "value", NULL, OUT_SIGNED,
	  "of a counter the sum since it was made, of a gauge what it is, of a histogram how many "
	  "values were recorded",
	  false },
	{ "rate_hz", NULL, OUT_REAL, "of counters and histograms: in the interval, a second",
	  false },
	{ "mean", NULL, OUT_REAL, "of a histogram: of the values of the interval", false },
	{ "p50", NULL, OUT_COUNT, "half of them are not above that", false },
	{ "p99", NULL, OUT_COUNT, "99 of 100 are not above that", false },
	{ "p999", NULL, OUT_COUNT, "999 of 1000 are not above that", false },
	{ 0 },
};
static const struct out_list metric_list = { "metrics", metric_cols };
static const struct out_list *const stat_lists[] = { &line_list, &metric_list, NULL };

struct stats {
	struct cli *cli;
	struct figures figures;
	uint64_t count, lines;
	int64_t interval_ns;
	const char *wanted; /* names; NULL: all */
	bool once, csv, json, terminal;
	bool all; /* columns have names with the object */
	int code;
};

/* One metric of a line. In now are its sums, in then the sums of the line before. */
struct shown {
	const struct stats *stat;
	const struct figures_set *set;
	const struct tarn_sample *part; /* what came in the interval; of --once all */
	const struct tarn_metric *metric;
	uint32_t number;
	double seconds; /* 0: --once */
};

static bool is_wanted(const struct stats *stat, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = stat->wanted; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
			return true;
	}
	return stat->wanted == NULL;
}

/* Call @fn for each metric that is shown. @parts: one a set, NULL: none. */
static int each(const struct stats *stat, struct tarn_sample *const *parts, double seconds,
		void (*fn)(const struct shown *shown, void *arg), void *arg)
{
	int count = 0;

	for (int i = 0; i < stat->figures.count; i++) {
		const struct figures_set *set = &stat->figures.sets[i];
		struct shown shown = { .stat = stat,
				       .set = set,
				       .part = parts != NULL ? parts[i] : NULL,
				       .seconds = seconds };

		for (; shown.number < tarn_counters_count(set->counters); shown.number++) {
			shown.metric = tarn_counters_describe(set->counters, shown.number);
			if (!is_wanted(stat, shown.metric->name))
				continue;
			count++;
			if (fn != NULL)
				fn(&shown, arg);
		}
	}
	return count;
}

/* --- values -------------------------------------------------------------------------------- */

static uint64_t value_of(const struct shown *s)
{
	return tarn_sample_value(s->part, s->number);
}

/* What the column of a metric shows. */
static double figure(const struct shown *s)
{
	uint64_t value = value_of(s);

	if (s->metric->kind == TARN_METRIC_GAUGE)
		return (double)(int64_t)value;
	return s->seconds > 0 ? (double)value / s->seconds : (double)value;
}

static uint64_t quantile(const struct shown *s, double q)
{
	return tarn_sample_quantile(s->part, s->number, q);
}

static bool is_histogram(const struct shown *s)
{
	return s->metric->kind == TARN_METRIC_HISTOGRAM;
}

/* --- lines --------------------------------------------------------------------------------- */

static int width_of(const char *name, const char *more)
{
	int width = (int)(strlen(name) + strlen(more));

	return width > WIDTH ? width : WIDTH;
}

enum { COLUMN_SIZE = TARN_OBJECT_NAME_MAX + TARN_METRIC_NAME_MAX + 2 };

static const char *column_of(const struct shown *s, char column[COLUMN_SIZE])
{
	snprintf(column, COLUMN_SIZE, "%s%s%s", s->stat->all ? s->set->object : "",
		 s->stat->all ? "/" : "", s->metric->name);
	return column;
}

static void put_head(const struct shown *s, void *arg)
{
	char column[COLUMN_SIZE];

	(void)arg;
	column_of(s, column);
	printf(" %*s", width_of(column, ""), column);
	if (is_histogram(s))
		printf(" %*s.p99", width_of(column, ".p99") - 4, column);
}

static void put_figure(double value, int width)
{
	bool whole = value == (double)(int64_t)value || value >= 1000 || value <= -1000;

	printf(" %*.*f", width, whole ? 0 : 1, value);
}

static void put_cell(const struct shown *s, void *arg)
{
	char column[COLUMN_SIZE];

	(void)arg;
	column_of(s, column);
	if (s->part == NULL) {
		printf(" %*s", width_of(column, ""), "-");
		if (is_histogram(s))
			printf(" %*s", width_of(column, ".p99"), "-");
		return;
	}
	put_figure(figure(s), width_of(column, ""));
	if (is_histogram(s))
		printf(" %*" PRIu64, width_of(column, ".p99"), quantile(s, 0.99));
}

static void csv_head(const struct shown *s, void *arg)
{
	static const char *const more[] = { "", ".mean", ".p50", ".p99", ".p999" };
	int columns = is_histogram(s) ? 5 : 1;

	(void)arg;
	for (int i = 0; i < columns; i++) {
		printf(",%s", s->set->object);
		printf("/%s%s", s->metric->name, more[i]);
	}
}

static void csv_cell(const struct shown *s, void *arg)
{
	(void)arg;
	if (s->part == NULL) {
		printf("%s", is_histogram(s) ? ",,,,," : ",");
		return;
	}
	printf(",%.10g", figure(s));
	if (is_histogram(s))
		printf(",%.10g,%" PRIu64 ",%" PRIu64 ",%" PRIu64,
		       tarn_sample_mean(s->part, s->number), quantile(s, 0.5), quantile(s, 0.99),
		       quantile(s, 0.999));
}

static void json_real(struct json *json, const char *key, double number, bool known)
{
	char text[40];

	snprintf(text, sizeof(text), "%.10g", number);
	json_verbatim(json, key, known ? text : "null");
}

static void json_cell(const struct shown *s, void *arg)
{
	static const struct {
		const char *key;
		double q;
	} of[] = { { "p50", 0.5 }, { "p99", 0.99 }, { "p999", 0.999 } };
	struct json *json = arg;
	uint64_t total = tarn_sample_value(s->set->now, s->number);
	bool values;

	if (s->part == NULL)
		return;
	values = is_histogram(s) && value_of(s) != 0;
	json_open(json, NULL, '{');
	json_text(json, "object", s->set->object[0] != '\0' ? s->set->object : NULL);
	json_text(json, "object_kind", s->set->kind != 0 ? look_kind(s->set->kind) : "region");
	json_text(json, "metric", s->metric->name);
	json_text(json, "kind", figures_kind(s->metric));
	json_text(json, "unit", s->metric->unit[0] != '\0' ? s->metric->unit : NULL);
	if (s->metric->kind == TARN_METRIC_GAUGE)
		json_i64(json, "value", (int64_t)total);
	else
		json_u64(json, "value", total);
	json_real(json, "rate_hz", figure(s),
		  s->metric->kind != TARN_METRIC_GAUGE && s->seconds > 0);
	json_real(json, "mean", tarn_sample_mean(s->part, s->number), values);
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		if (values)
			json_u64(json, of[i].key, quantile(s, of[i].q));
		else
			json_null(json, of[i].key);
	}
	json_close(json, '}');
}

static void json_line(const struct stats *stat, struct tarn_sample *const *parts, int64_t now,
		      double seconds)
{
	struct json json = out_line_begin(stdout, stat->cli->cmd->schema);

	json_text(&json, "name", stat->figures.name.region);
	json_i64(&json, "time_ns", now);
	if (seconds > 0)
		json_i64(&json, "interval_ns", (int64_t)(seconds * 1e9));
	else
		json_null(&json, "interval_ns");
	json_open(&json, "metrics", '[');
	(void)each(stat, parts, seconds, json_cell, &json);
	json_close(&json, ']');
	out_line_end(&json);
}

static void put_line(struct stats *stat, struct tarn_sample *const *parts, double seconds)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (stat->json) {
		json_line(stat, parts, ns, seconds);
	} else if (stat->csv) {
		if (stat->lines == 0) {
			printf("time_s");
			(void)each(stat, NULL, 0, csv_head, NULL);
			putchar('\n');
		}
		printf("%.3f", (double)ns / 1e9);
		(void)each(stat, parts, seconds, csv_cell, NULL);
		putchar('\n');
	} else {
		if (stat->lines == 0 || (stat->terminal && stat->lines % LINES == 0)) {
			(void)each(stat, NULL, 0, put_head, NULL);
			putchar('\n');
		}
		(void)each(stat, parts, seconds, put_cell, NULL);
		putchar('\n');
	}
	stat->lines++;
}

/* --- intervals ----------------------------------------------------------------------------- */

/* What came since the line before, one a set; of --once all. CLI_OK, or an exit code. */
static int part_of(struct stats *stat, struct tarn_sample **parts)
{
	for (int i = 0; i < stat->figures.count; i++) {
		const struct figures_set *set = &stat->figures.sets[i];
		int r;

		tarn_sample_free(parts[i]);
		parts[i] = NULL;
		if (set->lost)
			continue;
		r = tarn_sample_new(set->counters, &parts[i]);
		if (r == 0)
			r = tarn_sample_merge(parts[i], set->now);
		if (r == 0 && !stat->once)
			r = tarn_sample_subtract(parts[i], set->before);
		if (r < 0)
			return cli_fail(stat->cli, stat->figures.name.region, r);
	}
	return CLI_OK;
}

static void nap_until(int64_t until)
{
	for (;;) {
		int64_t left = until - tarn_now();
		struct timespec nap = { .tv_nsec = left < 50000000 ? left : 50000000 };

		if (left <= 0 || stream_signal() != 0)
			return;
		nanosleep(&nap, NULL);
	}
}

static int go_on(struct stats *stat, struct tarn_sample **parts)
{
	int64_t last = tarn_now(), next = last;
	int code = figures_take(&stat->figures);

	while (code == CLI_OK && stream_signal() == 0) {
		int64_t now;

		next += stat->interval_ns;
		if (!stat->once)
			nap_until(next);
		if (stream_signal() != 0)
			break;
		code = stat->once ? CLI_OK : figures_take(&stat->figures);
		now = tarn_now();
		if (code == CLI_OK)
			code = part_of(stat, parts);
		if (code != CLI_OK)
			break;
		put_line(stat, parts, stat->once ? 0 : (double)(now - last) / 1e9);
		last = now;
		if (!cli_flush() || stat->once || stat->lines == stat->count)
			break;
	}
	return code;
}

static int begin(struct stats *stat)
{
	struct tarn_sample **parts;
	int code;

	if (each(stat, NULL, 0, NULL, NULL) == 0) {
		cli_error(stat->cli, "%s: it has no metric that is called %s",
			  stat->figures.name.region, stat->wanted);
		return CLI_ABSENT;
	}
	parts = calloc((size_t)stat->figures.count, sizeof(struct tarn_sample *));
	if (parts == NULL)
		return cli_error(stat->cli, "out of memory");
	code = go_on(stat, parts);
	for (int i = 0; i < stat->figures.count; i++)
		tarn_sample_free(parts[i]);
	free(parts);
	return code;
}

static int stat_run(struct cli *cli)
{
	struct stats stat = { .cli = cli,
			      .terminal = isatty(STDOUT_FILENO) != 0,
			      .count = isatty(STDOUT_FILENO) ? 0 : 1,
			      .interval_ns = INTERVAL_NS,
			      .wanted = cli_value(cli, "metrics"),
			      .once = cli_given(cli, "once"),
			      .all = cli_given(cli, "all"),
			      .csv = cli_given(cli, "csv"),
			      .json = cli_given(cli, "json") };
	struct tarn_region_opts opts;
	int code;

	if (!look_opts(cli, &opts) || !cli_number(cli, "count", 0, UINT64_MAX, &stat.count) ||
	    !cli_seconds(cli, "interval", &stat.interval_ns))
		return CLI_USAGE;
	if (stat.interval_ns < 1000000)
		return cli_usage(cli, "'%s' is no value for --interval: at least 0.001 seconds",
				 cli_value(cli, "interval"));
	if (stat.csv && stat.json)
		return cli_usage(cli, "either --csv or --json");
	stream_signals_watch();
	code = figures_open(cli, cli->argv[0], &opts, stat.all, &stat.figures);
	if (code != CLI_OK)
		return code;
	code = begin(&stat);
	code = cli_worse(code, stat.figures.worst);
	figures_close(&stat.figures);
	return code;
}

static const struct cli_example stat_examples[] = {
	{ "tarn stat web", "a line a second, until it is interrupted" },
	{ "tarn stat -i 0.1 -c 50 -m requests_total,took_ns web",
	  "two metrics, five seconds long" },
	{ "tarn stat -1 web", "the sums so far" },
	{ "tarn stat web/frames", "what a ring, a topic, a lock counts of itself" },
	{ "tarn stat -a -m waits_total,recoveries_total web",
	  "who waits, and who has died, all over the region" },
	{ "tarn stat --csv -c 60 web >minute.csv", "for a spreadsheet" },
	{ "tarn stat -J -c 0 web | jq -c '.metrics[] | {metric, rate_hz}'", "for a script" },
	{ 0 },
};

static const struct cli_exit_note stat_exits[] = {
	{ 0, "ended by --count, --once or a signal" },
	{ 3, "there is no such region, object or metric; or, without --all, no counters" },
	{ 4, "permission denied" },
	{ 6, "damaged, or of another version" },
	{ 0 },
};

const struct cli_cmd cmd_stat = {
	.name = "stat",
	.args = "REGION[/OBJECT]",
	.summary = "print how fast the counters of a region go up",
	.about =
		"Prints a line each interval, as vmstat does, with a column for each metric of the "
		"region's counters (tarn/counters.h): of a counter how much it has gone up a "
		"second, of a gauge what it is, of a histogram how many values a second were "
		"recorded, and what 99 of 100 of them are not above. JSON and --csv have the "
		"mean and other quantiles too.\n\n"
		"Every object counts something of itself (tarn/figures.h): messages, bytes, waits, "
		"owners that died. Where one is named it is that which is shown; --all shows all "
		"that there were at the beginning.\n\n"
		"It looks on: nothing is written, and nobody who adds waits. Sums include what "
		"those have added who are dead.",
	.operand = "region",
	.opts = stat_opts,
	.schema = "tarn.stat/1",
	.lists = stat_lists,
	.examples = stat_examples,
	.exits = stat_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = 1,
	.run = stat_run,
};
