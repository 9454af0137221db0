/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeds_judge.c - from figures to a verdict, by these rules:
 *
 *  1. Of a figure the median of its rounds counts. It is met when that lies in the range the
 *     claim gives; what is said with a "~" may be off by SEEDS_ABOUT, other ranges by nothing.
 *  2. Where only some rounds lie in the range it is touched.
 *  3. A claim holds when every figure that has a range is met; it does not hold when none of them
 *     is met or touched; in between it holds partly, so also when some could not be measured.
 *  4. When none could be measured, the claim cannot be measured here.
 *
 * The reason names each figure that is not met, and says why it may lie on that side.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seeds.h"

static const enum seeds_unit units[] = {
#define SEEDS_FIG(name, probe, unit) [SEEDS_FIG_##name] = SEEDS_##unit,
	SEEDS_FIGURES(SEEDS_FIG)
#undef SEEDS_FIG
};

static const enum seeds_probe_id probes[] = {
#define SEEDS_FIG(name, probe, unit) [SEEDS_FIG_##name] = SEEDS_PROBE_##probe,
	SEEDS_FIGURES(SEEDS_FIG)
#undef SEEDS_FIG
};

enum seeds_unit seeds_fig_unit(enum seeds_fig fig)
{
	return units[fig];
}

enum seeds_probe_id seeds_fig_probe(enum seeds_fig fig)
{
	return probes[fig];
}

/* --- one figure ---------------------------------------------------------------------------- */

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct seeds_stat seeds_stat(const struct seeds_figure *figure)
{
	double sorted[SEEDS_ROUND_MAX];
	uint32_t count = figure->count < SEEDS_ROUND_MAX ? figure->count : SEEDS_ROUND_MAX;

	if (count == 0)
		return (struct seeds_stat){ 0 };
	memcpy(sorted, figure->values, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), order);

	double high = sorted[count / 2], low = sorted[(count - 1) / 2];

	return (struct seeds_stat){
		.count = count,
		.median = (low + high) / 2,
		.min = sorted[0],
		.max = sorted[count - 1],
	};
}

enum seeds_place seeds_place(const struct seeds_bound *bound, const struct seeds_stat *stat)
{
	double off = bound->about ? SEEDS_ABOUT : 1;
	double least = bound->least < 0 ? -HUGE_VAL : bound->least / off;
	double most = bound->most < 0 ? HUGE_VAL : bound->most * off;

	if (stat->count == 0)
		return SEEDS_LACKING;
	if (bound->least < 0 && bound->most < 0)
		return SEEDS_BESIDE;
	if (stat->median >= least && stat->median <= most)
		return SEEDS_MET;
	if (stat->max >= least && stat->min <= most)
		return SEEDS_TOUCHED;
	return stat->median < least ? SEEDS_BELOW : SEEDS_ABOVE;
}

/* --- a claim ------------------------------------------------------------------------------- */

static bool has_range(const struct seeds_bound *bound)
{
	return bound->least >= 0 || bound->most >= 0;
}

enum seeds_verdict seeds_judge(const struct seeds_claim *claim, const struct seeds_figure *figures,
			       enum seeds_place ret_places[SEEDS_BOUND_MAX])
{
	unsigned ranges = 0, met = 0, touched = 0, lacking = 0;

	for (int i = 0; i < SEEDS_BOUND_MAX && claim->bounds[i].what != NULL; i++) {
		const struct seeds_bound *bound = &claim->bounds[i];
		struct seeds_stat stat = seeds_stat(&figures[bound->fig]);

		ret_places[i] = seeds_place(bound, &stat);
		if (!has_range(bound))
			continue;
		ranges++;
		met += ret_places[i] == SEEDS_MET;
		touched += ret_places[i] == SEEDS_TOUCHED;
		lacking += ret_places[i] == SEEDS_LACKING;
	}
	if (lacking == ranges)
		return SEEDS_UNKNOWN;
	if (met == ranges)
		return SEEDS_HOLDS;
	return met + touched == 0 ? SEEDS_FAILS : SEEDS_PARTLY;
}

/* Add @what and @text, once: several figures may have the same reason. */
static void say(char text[SEEDS_WHY], const char *what, const char *reason)
{
	size_t used = strlen(text);

	if (reason == NULL || strstr(text, reason) != NULL)
		return;
	snprintf(text + used, SEEDS_WHY - used, "%s%s%s%s", used > 0 ? "; " : "",
		 what != NULL ? what : "", what != NULL ? ": " : "", reason);
}

static const char *reason_of(const struct seeds_bound *bound, enum seeds_place place,
			     const struct seeds_stat *stat, const struct seeds_figure *figure)
{
	double off = bound->about ? SEEDS_ABOUT : 1;
	bool below = bound->least >= 0 && stat->median < bound->least / off;

	switch (place) {
	case SEEDS_BELOW:
	case SEEDS_ABOVE:
	case SEEDS_TOUCHED:
		return below ? bound->below : bound->above;
	case SEEDS_LACKING:
		return figure->lack[0] != '\0' ? figure->lack : "it was not measured";
	case SEEDS_MET:
	case SEEDS_BESIDE:
		break;
	}
	return NULL;
}

void seeds_why(const struct seeds_claim *claim, const struct seeds_figure *figures,
	       char ret_text[SEEDS_WHY])
{
	enum seeds_place places[SEEDS_BOUND_MAX];

	ret_text[0] = '\0';
	(void)seeds_judge(claim, figures, places);
	say(ret_text, NULL, claim->lack);
	for (int i = 0; i < SEEDS_BOUND_MAX && claim->bounds[i].what != NULL; i++) {
		const struct seeds_bound *bound = &claim->bounds[i];
		const struct seeds_figure *figure = &figures[bound->fig];
		struct seeds_stat stat = seeds_stat(figure);

		say(ret_text, bound->what, reason_of(bound, places[i], &stat, figure));
	}
	for (int i = 0; i < SEEDS_BOUND_MAX && claim->bounds[i].what != NULL; i++) {
		const struct seeds_figure *figure = &figures[claim->bounds[i].fig];

		if (places[i] != SEEDS_LACKING && figure->note[0] != '\0')
			say(ret_text, NULL, figure->note);
	}
}

const char *seeds_verdict_text(enum seeds_verdict verdict)
{
	static const char *const texts[] = {
		[SEEDS_HOLDS] = "holds",
		[SEEDS_PARTLY] = "holds partly",
		[SEEDS_FAILS] = "does not hold",
		[SEEDS_UNKNOWN] = "cannot be measured here",
	};

	return texts[verdict];
}

/* --- for the eye --------------------------------------------------------------------------- */

static void scaled_text(double value, const char *const *names, int count, double step, char *text)
{
	int i = 0;

	while (i < count - 1 && value >= step * 0.9995) {
		value /= step;
		i++;
	}
	snprintf(text, 32, "%.3g%s", value >= 999.5 ? floor(value + 0.5) : value, names[i]);
	if (value >= 999.5)
		snprintf(text, 32, "%.0f%s", value, names[i]);
}

void seeds_value_text(enum seeds_unit unit, double value, char ret_text[32])
{
	static const char *const times[] = { " ns", " us", " ms", " s" };
	static const char *const sizes[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };
	static const char *const counts[] = { "", " k", " M", " G" };

	switch (unit) {
	case SEEDS_GBS:
		snprintf(ret_text, 32, "%.3g GB/s", value);
		return;
	case SEEDS_NS:
		scaled_text(value, times, 4, 1000, ret_text);
		return;
	case SEEDS_RATIO:
		snprintf(ret_text, 32, value >= 999.5 ? "%.0fx" : "%.3gx", value);
		return;
	case SEEDS_BYTES:
		scaled_text(value, sizes, 7, 1024, ret_text);
		return;
	case SEEDS_COUNT:
		if (value < 1e6 || value == floor(value))
			snprintf(ret_text, 32,
				 value == floor(value) || value >= 999.5 ? "%.0f" : "%.3g", value);
		else
			scaled_text(value, counts, 4, 1000, ret_text);
		return;
	case SEEDS_PART:
		snprintf(ret_text, 32, "%.3g %%", value * 100);
		return;
	}
}

const char *seeds_unit_text(enum seeds_unit unit)
{
	static const char *const texts[] = {
		[SEEDS_GBS] = "bytes_per_ns", [SEEDS_NS] = "ns",       [SEEDS_RATIO] = "ratio",
		[SEEDS_BYTES] = "bytes",      [SEEDS_COUNT] = "count", [SEEDS_PART] = "part",
	};

	return texts[unit];
}
