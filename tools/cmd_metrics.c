/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn metrics REGION[/OBJECT]... - counters, and what objects count of themselves, as text that
 * Prometheus reads.
 *
 * Names and units are put as it wants them: times in seconds, the unit at the end of the name,
 * _total behind what counts. All of one name stand together, whichever object or region they are
 * of.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmds.h"
#include "figures.h"

enum { NAME_SIZE = 2 * (TARN_METRIC_NAME_MAX + TARN_METRIC_UNIT_MAX) + 32 };

static const struct cli_opt metrics_opts[] = {
	{ 0, "openmetrics", NULL,
	  "the text format of OpenMetrics 1.0, with units; not that of Prometheus, 0.0.4" },
	{ 'p', "prefix", "TEXT", "begin each name with TEXT and _" },
	{ 'c', "counters", NULL,
	  "the counters of programs alone, not what objects count of themselves" },
	{ 0 },
};

/* One metric of one object. */
struct series {
	char name[NAME_SIZE]; /* of its family, without _total */
	char unit[TARN_METRIC_UNIT_MAX + 8];
	double scale;
	const struct figures *of;
	const struct figures_set *set;
	uint32_t metric;
};

struct exposition {
	struct cli *cli;
	struct figures *figures; /* one an operand */
	struct series *series;
	int figures_count, count;
	const char *prefix;
	bool openmetrics;
};

static const struct tarn_metric *metric_of(const struct series *s)
{
	return tarn_counters_describe(s->set->counters, s->metric);
}

/* --- names --------------------------------------------------------------------------------- */

static const struct {
	const char *unit;
	double scale;
} times[] = { { "ns", 1e-9 }, { "us", 1e-6 }, { "ms", 1e-3 }, { "s", 1 } };

/* Cut "_WORD" off the end of @name, if it stands there. */
static bool cut(char *name, const char *word)
{
	size_t length = strlen(name), of = strlen(word);

	if (of == 0 || length <= of + 1 || strcmp(name + length - of, word) != 0 ||
	    name[length - of - 1] != '_')
		return false;
	name[length - of - 1] = '\0';
	return true;
}

/* What stands before what an object counts of itself: "tarn_ring_". */
static void name_owner(const struct figures_set *set, char owner[32])
{
	*owner = '\0';
	if (set->kind != TARN_OBJECT_COUNTERS)
		snprintf(owner, 32, "tarn_%.20s_",
			 set->kind != 0 ? look_kind(set->kind) : "region");
}

static void name_series(const struct exposition *e, struct series *s)
{
	const struct tarn_metric *metric = metric_of(s);
	char name[NAME_SIZE], owner[32];

	snprintf(name, sizeof(name), "%.63s", metric->name);
	s->scale = 1;
	snprintf(s->unit, sizeof(s->unit), "%s", metric->unit);
	(void)cut(name, "total"); /* only what counts may have it, and gets it */
	(void)cut(name, metric->unit);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		if (strcmp(metric->unit, times[i].unit) != 0)
			continue;
		s->scale = times[i].scale;
		snprintf(s->unit, sizeof(s->unit), "seconds");
	}
	(void)cut(name, s->unit);
	name_owner(s->set, owner);
	if (strcmp(name, s->unit) == 0) /* "bytes_total": the unit is all of it */
		snprintf(s->name, sizeof(s->name), "%s%s%s%.63s", e->prefix, *e->prefix ? "_" : "",
			 owner, name);
	else
		snprintf(s->name, sizeof(s->name), "%s%s%s%.63s%s%.38s", e->prefix,
			 *e->prefix ? "_" : "", owner, name, *s->unit ? "_" : "", s->unit);
}

/* --- text ---------------------------------------------------------------------------------- */

static void put_escaped(const char *text, bool quotes)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || (quotes && *text == '"'))
			putchar('\\');
		putchar(*text);
	}
}

/* "{region=...,object=...", for more to follow. A region itself has no object. */
static void put_labels(const struct series *s)
{
	printf("{region=\"");
	put_escaped(s->of->name.region, true);
	putchar('"');
	if (s->set->object[0] == '\0')
		return;
	printf(",object=\"");
	put_escaped(s->set->object, true);
	putchar('"');
}

static void put_number(double number)
{
	printf("%.17g\n", number);
}

static void put_histogram(const struct series *s)
{
	const struct tarn_sample *sample = s->set->now;
	uint64_t seen = 0, total = tarn_sample_value(sample, s->metric);
	struct tarn_bucket bucket;

	/* One a doubling; always the same, whatever has been seen. */
	for (uint32_t at = 0; tarn_sample_bucket(sample, s->metric, at, &bucket) == 0; at++) {
		seen += bucket.count;
		if ((bucket.high & (bucket.high + 1)) != 0)
			continue;
		printf("%s_bucket", s->name);
		put_labels(s);
		printf(",le=\"%.15g\"} %" PRIu64 "\n", (double)bucket.high * s->scale, seen);
	}
	printf("%s_bucket", s->name);
	put_labels(s);
	printf(",le=\"+Inf\"} %" PRIu64 "\n%s_sum", total, s->name);
	put_labels(s);
	printf("} ");
	put_number(tarn_sample_mean(sample, s->metric) * (double)total * s->scale);
	printf("%s_count", s->name);
	put_labels(s);
	printf("} %" PRIu64 "\n", total);
}

static void put_series(const struct series *s)
{
	const struct tarn_metric *metric = metric_of(s);
	uint64_t value = tarn_sample_value(s->set->now, s->metric);

	if (metric->kind == TARN_METRIC_HISTOGRAM) {
		put_histogram(s);
		return;
	}
	printf("%s%s", s->name, metric->kind == TARN_METRIC_COUNTER ? "_total" : "");
	put_labels(s);
	printf("} ");
	if (s->scale != 1)
		put_number((metric->kind == TARN_METRIC_GAUGE ? (double)(int64_t)value
							      : (double)value) *
			   s->scale);
	else if (metric->kind == TARN_METRIC_GAUGE)
		printf("%" PRId64 "\n", (int64_t)value);
	else
		printf("%" PRIu64 "\n", value);
}

static void put_family(const struct exposition *e, const struct series *s)
{
	const struct tarn_metric *metric = metric_of(s);
	const char *total = metric->kind == TARN_METRIC_COUNTER && !e->openmetrics ? "_total" : "";

	printf("# HELP %s%s ", s->name, total);
	put_escaped(metric->help[0] != '\0' ? metric->help : metric->name, e->openmetrics);
	printf("\n# TYPE %s%s %s\n", s->name, total, figures_kind(metric));
	if (e->openmetrics && s->unit[0] != '\0')
		printf("# UNIT %s %s\n", s->name, s->unit);
}

/* --- all of them --------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct series *one = a, *other = b;
	int r = strcmp(one->name, other->name);

	if (r == 0) /* of one name and two kinds the second is left out */
		r = (int)metric_of(one)->kind - (int)metric_of(other)->kind;
	if (r == 0)
		r = strcmp(one->of->name.region, other->of->name.region);
	return r != 0 ? r : strcmp(one->set->object, other->set->object);
}

static int put_all(struct exposition *e)
{
	const struct series *family = NULL;
	int code = CLI_OK;

	qsort(e->series, (size_t)e->count, sizeof(*e->series), by_name);
	for (int i = 0; i < e->count; i++) {
		const struct series *s = &e->series[i];

		if (family == NULL || strcmp(family->name, s->name) != 0) {
			family = s;
			put_family(e, s);
		} else if (metric_of(s)->kind != metric_of(family)->kind) {
			cli_error(e->cli, "%s/%s: %s is a %s here, and a %s in %s/%s: left out",
				  s->of->name.region, s->set->object, s->name,
				  figures_kind(metric_of(s)), figures_kind(metric_of(family)),
				  family->of->name.region, family->set->object);
			code = CLI_FAILURE;
			continue;
		}
		put_series(s);
	}
	if (e->openmetrics)
		puts("# EOF");
	return code;
}

static int collect(struct exposition *e, const struct figures *f)
{
	for (int i = 0; i < f->count; i++) {
		uint32_t count = f->sets[i].lost ? 0 : tarn_counters_count(f->sets[i].counters);
		struct series *series =
			realloc(e->series, ((size_t)e->count + count + 1) * sizeof(*series));

		if (series == NULL)
			return cli_error(e->cli, "out of memory");
		e->series = series;
		for (uint32_t metric = 0; metric < count; metric++) {
			struct series *s = &series[e->count++];

			*s = (struct series){ .of = f, .set = &f->sets[i], .metric = metric };
			name_series(e, s);
		}
	}
	return CLI_OK;
}

static bool is_prefix(const char *text)
{
	return strlen(text) <= 60 && !(*text >= '0' && *text <= '9') &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
		       strlen(text);
}

static int metrics_run(struct cli *cli)
{
	struct exposition e = { .cli = cli,
				.prefix = cli_given(cli, "prefix") ? cli_value(cli, "prefix") : "",
				.openmetrics = cli_given(cli, "openmetrics") };
	struct tarn_region_opts opts;
	int code = CLI_OK;

	if (!look_opts(cli, &opts))
		return CLI_USAGE;
	if (!is_prefix(e.prefix))
		return cli_usage(cli,
				 "'%s' is no value for --prefix: wanted are up to 60 letters, "
				 "digits and _, no digit first",
				 e.prefix);
	e.figures = calloc((size_t)cli->argc, sizeof(*e.figures));
	if (e.figures == NULL)
		return cli_error(cli, "out of memory");
	for (int i = 0; i < cli->argc; i++) {
		struct figures *f = &e.figures[e.figures_count];
		int one = figures_open(cli, cli->argv[i], &opts, !cli_given(cli, "counters"), f);

		if (one == CLI_OK) {
			e.figures_count++;
			one = figures_take(f);
		}
		if (one == CLI_OK)
			one = collect(&e, f);
		if (e.figures_count > 0 && f == &e.figures[e.figures_count - 1])
			one = cli_worse(one, f->worst);
		code = cli_worse(code, one);
	}
	if (e.count > 0)
		code = cli_worse(code, put_all(&e));
	for (int i = 0; i < e.figures_count; i++)
		figures_close(&e.figures[i]);
	free(e.figures);
	free(e.series);
	return code;
}

static const struct cli_example metrics_examples[] = {
	{ "tarn metrics web", "all counters of a region, and what its objects count" },
	{ "tarn metrics -p shop web/front web/back > /var/lib/node_exporter/shop.prom.new",
	  "two objects, for the node exporter's textfile collector" },
	{ "tarn metrics web | promtool check metrics", "is it as Prometheus wants it?" },
	{ 0 },
};

static const struct cli_exit_note metrics_exits[] = {
	{ 1, "two metrics have one name and are of different kinds; one was left out" },
	{ 3, "there is no such region or object; with --counters: it has none" },
	{ 4, "permission denied" },
	{ 6, "damaged, or of another version" },
	{ 0 },
};

const struct cli_cmd cmd_metrics = {
	.name = "metrics",
	.args = "REGION[/OBJECT]...",
	.summary = "print counters, and what objects count, as text for Prometheus",
	.about = "Prints all metrics of the counters (tarn/counters.h) of a region, and what its "
		 "objects and itself count (tarn/figures.h), or those of one object, in "
		 "the text format of Prometheus: what each is, and how much it is now. Regions "
		 "and objects are labels. What objects count begins with tarn_ and their kind: "
		 "tarn_ring_written_bytes_total.\n\n"
		 "Names are as Prometheus wants them: times are in seconds, the unit is the end of "
		 "the name, and _total stands behind what counts: took_ns of unit ns is "
		 "took_seconds. A histogram has a bucket for each doubling of the value; sums are "
		 "as exact as a double is.\n\n"
		 "It looks on: nothing is written, and nobody who adds waits. Sums include what "
		 "those have added who are dead.",
	.operand = "region",
	.opts = metrics_opts,
	.examples = metrics_examples,
	.exits = metrics_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = -1,
	.run = metrics_run,
};
