/* SPDX-License-Identifier: BSD-2-Clause */
/* figures.c - see figures.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "figures.h"

const char *figures_kind(const struct tarn_metric *metric)
{
	return metric->kind == TARN_METRIC_COUNTER ? "counter"
	       : metric->kind == TARN_METRIC_GAUGE ? "gauge"
						   : "histogram";
}

static int kind_of(const struct tarn_object_stat *stat, void *arg)
{
	return !stat->removed && strcmp(stat->name, arg) == 0 ? (int)stat->kind : 0;
}

/* @object NULL: the region itself. */
static int add(struct figures *f, const char *object)
{
	struct figures_set *sets = realloc(f->sets, (size_t)(f->count + 1) * sizeof(*sets));
	struct figures_set *set;
	int r, kind;

	if (sets == NULL)
		return -ENOMEM;
	f->sets = sets;
	set = &sets[f->count];
	memset(set, 0, sizeof(*set));
	r = tarn_figures_open(f->region, object, &f->cli->diag, &set->counters);
	if (r < 0)
		return r;
	f->count++;
	if (object != NULL) {
		memcpy(set->object, object, strnlen(object, TARN_OBJECT_NAME_MAX));
		kind = tarn_region_objects(f->region, kind_of, set->object);
		set->kind = kind > 0 ? (uint32_t)kind : 0;
	}
	r = tarn_sample_new(set->counters, &set->now);
	return r < 0 ? r : tarn_sample_new(set->counters, &set->before);
}

/* One that is damaged, or gone by now, does not keep the others from being shown. */
static int each_object(const struct tarn_object_stat *object, void *arg)
{
	struct figures *f = arg;
	char name[sizeof(f->name.region) + TARN_OBJECT_NAME_MAX + 2];
	int r;

	if (object->removed || (!f->all && object->kind != TARN_OBJECT_COUNTERS))
		return 0;
	r = add(f, object->name);
	if (r < 0 && r != -ENOENT) {
		snprintf(name, sizeof(name), "%s/%s", f->name.region, object->name);
		f->worst = cli_worse(f->worst, cli_fail(f->cli, name, r));
	}
	return r == -ENOMEM ? r : 0;
}

static int add_region(struct figures *f)
{
	int r = f->all ? add(f, NULL) : 0;

	return r < 0 ? r : tarn_region_objects(f->region, each_object, f);
}

int figures_open_in(struct cli *cli, struct tarn_region *region, const char *name,
		    const char *object, struct figures *ret_figures)
{
	struct figures f = { .cli = cli, .region = region };
	int r = look_name(name, &f.name) ? add(&f, object) : -ENAMETOOLONG;

	if (r < 0) {
		f.region = NULL;
		figures_close(&f);
		return cli_fail(cli, name, r);
	}
	*ret_figures = f;
	return CLI_OK;
}

int figures_open(struct cli *cli, const char *text, const struct tarn_region_opts *opts, bool all,
		 struct figures *ret_figures)
{
	struct figures f = { .cli = cli, .all = all };
	int r, code;

	if (!look_name(text, &f.name))
		return cli_fail(cli, text, -ENAMETOOLONG);
	r = tarn_region_open(f.name.region, opts, &f.region);
	if (r < 0)
		return look_fail(cli, f.name.region, r);
	r = f.name.object != NULL ? add(&f, f.name.object) : add_region(&f);
	if (r < 0 || f.count == 0) {
		code = r < 0 ? cli_fail(cli, text, r) : f.worst != CLI_OK ? f.worst : CLI_ABSENT;
		if (code == CLI_ABSENT && r == 0) {
			cli_error(cli, "%s: it has no counters", text);
			cli_hint("--all shows what its objects count of themselves");
		}
		figures_close(&f);
		return code;
	}
	*ret_figures = f;
	return CLI_OK;
}

void figures_close(struct figures *figures)
{
	for (int i = 0; i < figures->count; i++) {
		tarn_sample_free(figures->sets[i].now);
		tarn_sample_free(figures->sets[i].before);
		tarn_counters_close(figures->sets[i].counters);
	}
	free(figures->sets);
	tarn_region_close(figures->region);
	*figures = (struct figures){ .sets = NULL };
}

/* Of several one is left out. What was removed is nobody's fault. */
static void lose(struct figures *figures, struct figures_set *set, int error)
{
	char name[sizeof(figures->name.region) + TARN_OBJECT_NAME_MAX + 2];

	set->lost = true;
	if (error == -ENOENT)
		return;
	snprintf(name, sizeof(name), "%s/%s", figures->name.region, set->object);
	figures->worst = cli_worse(figures->worst, cli_fail(figures->cli, name, error));
}

int figures_take(struct figures *figures)
{
	for (int i = 0; i < figures->count; i++) {
		struct figures_set *set = &figures->sets[i];
		struct tarn_sample *last = set->before;
		int r = set->lost ? 0 : tarn_sample_take(last, set->counters);

		if (r < 0 && !figures->all)
			return cli_fail(figures->cli, figures->name.region, r);
		if (r < 0)
			lose(figures, set, r);
		if (set->lost)
			continue;
		set->before = set->now;
		set->now = last;
	}
	return CLI_OK;
}

bool figures_has(struct tarn_region *region, const char *object, const char *metric)
{
	struct tarn_counters *figures;
	bool has;

	if (tarn_figures_open(region, object, NULL, &figures) < 0)
		return false;
	has = tarn_counters_find(figures, metric) >= 0;
	tarn_counters_close(figures);
	return has;
}
