/* SPDX-License-Identifier: BSD-2-Clause */
/* figures.c - see figures.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "figures.h"

const char *figures_kind(const struct tarn_metric *metric)
{
	return metric->kind == TARN_METRIC_COUNTER ? "counter"
	       : metric->kind == TARN_METRIC_GAUGE ? "gauge"
						   : "histogram";
}

static int add(struct figures *f, const char *object)
{
	const struct tarn_counters_opts opts = { .flags = TARN_COUNTERS_READ,
						 .diag = &f->cli->diag };
	struct figures_set *sets = realloc(f->sets, (size_t)(f->count + 1) * sizeof(*sets));
	struct figures_set *set;
	int r;

	if (sets == NULL)
		return -ENOMEM;
	f->sets = sets;
	set = &sets[f->count];
	memset(set, 0, sizeof(*set));
	memcpy(set->object, object, strnlen(object, TARN_OBJECT_NAME_MAX));
	r = tarn_counters_open(f->region, object, &opts, &set->counters);
	if (r < 0)
		return r;
	f->count++;
	r = tarn_sample_new(set->counters, &set->now);
	return r < 0 ? r : tarn_sample_new(set->counters, &set->before);
}

static int each_object(const struct tarn_object_stat *object, void *arg)
{
	struct figures *f = arg;

	if (object->removed || object->kind != TARN_OBJECT_COUNTERS)
		return 0;
	f->error = add(f, object->name);
	return f->error;
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

int figures_open(struct cli *cli, const char *text, const struct tarn_region_opts *opts,
		 struct figures *ret_figures)
{
	struct figures f = { .cli = cli };
	int r;

	if (!look_name(text, &f.name))
		return cli_fail(cli, text, -ENAMETOOLONG);
	r = tarn_region_open(f.name.region, opts, &f.region);
	if (r < 0)
		return look_fail(cli, f.name.region, r);
	r = f.name.object != NULL ? add(&f, f.name.object)
				  : tarn_region_objects(f.region, each_object, &f);
	if (r < 0 || f.count == 0) {
		int code = r < 0 ? cli_fail(cli, text, r) : CLI_ABSENT;

		if (r == 0)
			cli_error(cli, "%s: it has no counters", text);
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

int figures_take(struct figures *figures)
{
	for (int i = 0; i < figures->count; i++) {
		struct figures_set *set = &figures->sets[i];
		struct tarn_sample *last = set->before;
		int r = tarn_sample_take(last, set->counters);

		if (r < 0)
			return cli_fail(figures->cli, figures->name.region, r);
		set->before = set->now;
		set->now = last;
	}
	return CLI_OK;
}
