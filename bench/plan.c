/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan.c - which cells a run has, by contestants and settings, and their names.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine.h"

enum { ROUNDS = 5, SUBSCRIBERS = 4, RATE = 100000, SIZES_MAX = 16 };
#define SLICE_NS       INT64_C(20000000)
#define QUICK_SLICE_NS INT64_C(8000000)
#define PATIENCE_NS    INT64_C(30000000000) /* other work may leave it little time */
#define PAUSE_NS       INT64_C(250000000)

/* --- names ------------------------------------------------------------------------------------ */

const char *bench_measure_name(enum bench_measure measure)
{
	static const char *const names[] = {
		"round-trip", "one-way", "fan-out", "wake-up", "open-loop", "write", "hand-over",
	};

	return names[measure];
}

const char *bench_mode_name(enum bench_mode mode)
{
	static const char *const names[] = { "-",     "busy",     "blocking",
					     "batch", "in-place", "zero-copy" };

	return names[mode];
}

const char *bench_group_name(enum bench_group group)
{
	static const char *const names[] = { "limit", "kernel", "tarn", "hand", "peer" };

	return names[group];
}

const char *bench_pages_name(enum bench_pages pages)
{
	static const char *const names[] = { "4k", "thp", "2m" };

	return names[pages];
}

const char *bench_limit_name(enum bench_limit_kind kind)
{
	static const char *const names[] = {
		NULL,         "bounce",     "hop",         "memcpy",   "copy",
		"futex pair", "futex wake", "system call", "exchange",
	};

	return names[kind];
}

const char *bench_place_name(enum bench_place place)
{
	static const char *const names[] = { "any", "near", "far", "nearer" };

	return names[place];
}

bool bench_is_rate(enum bench_measure measure)
{
	return measure == BENCH_ONE_WAY || measure == BENCH_FAN_OUT;
}

/* --- sizes ------------------------------------------------------------------------------------ */

static const size_t ladder[] = {
	0, 8, 64, 1024, 4096, 65536, 1 << 20, 16 << 20, 64 << 20, SIZE_MAX
};
static const size_t ladder_quick[] = { 8, 4096, 1 << 20, SIZE_MAX };

static const size_t *usual_sizes(enum bench_measure measure, bool quick)
{
	static const size_t fan_out[] = { 64, 65536, SIZE_MAX }, one[] = { 8, SIZE_MAX },
			    open_loop[] = { 64, SIZE_MAX }, write[] = { 8, 4096, SIZE_MAX };

	switch (measure) {
	case BENCH_FAN_OUT:
		return quick ? open_loop : fan_out;
	case BENCH_WAKE_UP:
	case BENCH_HAND_OVER:
		return one;
	case BENCH_OPEN_LOOP:
		return open_loop;
	case BENCH_WRITE:
		return quick ? one : write;
	default:
		return quick ? ladder_quick : ladder;
	}
}

/* Sizes that @variant is measured with by @measure, into @ret; returns how many. */
static unsigned sizes_of(const struct bench_settings *settings, const struct bench_variant *variant,
			 enum bench_measure measure, size_t ret[SIZES_MAX])
{
	const size_t *usual = usual_sizes(measure, settings->quick);
	unsigned count = 0;

	if (variant->size_max == 0) { /* it carries none */
		ret[0] = 0;
		return 1;
	}
	if (settings->size_count > 0) {
		for (unsigned i = 0; i < settings->size_count && count < SIZES_MAX; i++)
			if (settings->sizes[i] >= variant->size_min &&
			    settings->sizes[i] <= variant->size_max)
				ret[count++] = settings->sizes[i];
		return count;
	}
	for (; *usual != SIZE_MAX; usual++)
		if (*usual >= variant->size_min && *usual <= variant->size_max)
			ret[count++] = *usual;
	return count;
}

/* --- cells ------------------------------------------------------------------------------------ */

/* Does one of the words of --only stand in the cell's name? */
static bool is_wanted(const char *only, const struct bench_cell *cell)
{
	char name[160];

	if (only == NULL)
		return true;
	snprintf(name, sizeof(name), "%s/%s/%s/%zu", bench_measure_name(cell->measure),
		 cell->contestant->name, bench_mode_name(cell->variant->mode), cell->size);
	while (*only != '\0') {
		char word[80];
		size_t length = strcspn(only, ",");

		snprintf(word, sizeof(word), "%.*s", (int)length, only);
		if (length > 0 && strstr(name, word) != NULL)
			return true;
		only += length + (only[length] == ',');
	}
	return false;
}

/* A burst must find room while nobody takes anything out. */
static bool is_possible(const struct bench_cell *cell)
{
	size_t most = cell->contestant->group == BENCH_KERNEL ? 4096 : 65536;

	return cell->measure != BENCH_WRITE || cell->size <= most;
}

/* A short run has of the kernel what blocks, and of fan-out and the like what the ranking needs. */
static bool is_quick(const struct bench_cell *cell)
{
	enum bench_group group = cell->contestant->group;

	if (cell->variant->measures & BENCH_FULL_RUN)
		return false;
	if (cell->measure == BENCH_WRITE || cell->measure == BENCH_FAN_OUT ||
	    cell->measure == BENCH_OPEN_LOOP)
		return group == BENCH_TARN || strcmp(cell->contestant->name, "pipe") == 0;
	return group != BENCH_KERNEL || cell->variant->mode == BENCH_BLOCKING;
}

static bool add_row(struct bench_run *run, const struct bench_cell *cell)
{
	const char *missing = NULL;
	struct bench_row *row;

	if (!is_possible(cell) || !is_wanted(run->settings.only, cell) ||
	    (run->settings.quick && run->settings.only == NULL && !is_quick(cell)))
		return true;
	if (run->row_count % 64 == 0) {
		void *more = realloc(run->rows, (run->row_count + 64) * sizeof(*run->rows));

		if (more == NULL)
			return false;
		run->rows = (struct bench_row *)more;
	}
	row = &run->rows[run->row_count];
	memset(row, 0, sizeof(*row));
	row->cell = *cell;
	row->cell.index = run->row_count++;
	row->limit = bench_limit_of(cell);
	if (cell->contestant->missing != NULL)
		missing = cell->contestant->missing();
	if (missing == NULL && run->cpu_count < 2 && cell->variant->mode != BENCH_BLOCKING)
		missing = "who polls needs a processor of its own, and one is all there is";
	if (missing != NULL)
		snprintf(row->failed, sizeof(row->failed), "%s", missing);
	return true;
}

/* Hot and cold, pinned or not, by kinds of pages, as the settings have it. */
static bool add_rows(struct bench_run *run, struct bench_cell *cell)
{
	const struct bench_settings *s = &run->settings;
	unsigned has = cell->contestant->pages != 0 ? cell->contestant->pages : BENCH_BIT(BENCH_4K);

	for (unsigned pages = 0; pages < BENCH_PAGES_COUNT; pages++)
		for (unsigned heat = 0; heat < 2; heat++)
			for (unsigned pinned = 0; pinned < 2; pinned++) {
				if (!(s->pages & has & BENCH_BIT(pages)) ||
				    !(s->heats & BENCH_BIT(heat)) || !(s->pins & BENCH_BIT(pinned)))
					continue;
				if (heat == 1 &&
				    (cell->size < 64 || cell->variant->mode == BENCH_BATCH ||
				     cell->variant->mode == BENCH_ZERO_COPY))
					continue; /* nothing of it would be cold */
				cell->pages = (enum bench_pages)pages;
				cell->cold = heat == 1;
				cell->pinned = pinned == 0;
				if (!add_row(run, cell))
					return false;
			}
	return true;
}

static bool add_variant(struct bench_run *run, const struct bench_contestant *c,
			const struct bench_variant *variant, enum bench_measure measure)
{
	size_t sizes[SIZES_MAX];
	unsigned count = sizes_of(&run->settings, variant, measure, sizes);

	if (!(variant->measures & BENCH_BIT(measure)))
		return true;
	for (unsigned i = 0; i < count; i++) {
		struct bench_cell cell = {
			.contestant = c,
			.variant = variant,
			.measure = measure,
			.size = sizes[i],
			.sides = measure == BENCH_FAN_OUT ? 1 + run->settings.subscribers : 2,
			.rate = run->settings.rate,
		};

		if (!add_rows(run, &cell))
			return false;
	}
	return true;
}

static bool add_all(struct bench_run *run, const struct bench_contestant *const *list)
{
	for (; *list != NULL; list++)
		for (const struct bench_variant *v = (*list)->variants; v->run != NULL; v++)
			for (int measure = 0; measure < BENCH_MEASURE_COUNT; measure++)
				if (!add_variant(run, *list, v, (enum bench_measure)measure))
					return false;
	return true;
}

/* By measure, then by size; else as they stand in the table. */
static int compare_rows(const void *a, const void *b)
{
	const struct bench_cell *x = &((const struct bench_row *)a)->cell;
	const struct bench_cell *y = &((const struct bench_row *)b)->cell;

	if (x->measure != y->measure)
		return x->measure < y->measure ? -1 : 1;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* --- the run ---------------------------------------------------------------------------------- */

static void fill_in(struct bench_settings *s)
{
	if (s->rounds == 0)
		s->rounds = s->quick ? 3 : ROUNDS;
	if (s->slice_ns == 0)
		s->slice_ns = s->quick ? QUICK_SLICE_NS : SLICE_NS;
	if (s->subscribers == 0)
		s->subscribers = SUBSCRIBERS;
	if (s->rate == 0)
		s->rate = RATE;
	if (s->patience_ns == 0)
		s->patience_ns = PATIENCE_NS;
	if (s->pause_ns == 0)
		s->pause_ns = PAUSE_NS;
	s->pages |= s->pages == 0 ? BENCH_BIT(BENCH_4K) : 0;
	s->heats |= s->heats == 0;
	s->pins |= s->pins == 0;
}

static void find_cpus(struct bench_run *run)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && run->cpu_count < BENCH_SIDES_MAX; cpu++)
		if (CPU_ISSET(cpu, &set))
			run->cpus[run->cpu_count++] = cpu;
}

int bench_plan(const struct bench_settings *settings,
	       const struct bench_contestant *const *const *lists, struct bench_run **ret_run)
{
	struct bench_run *run = (struct bench_run *)calloc(1, sizeof(*run));
	int r = -ENOMEM;

	if (run == NULL)
		return r;
	run->settings = *settings;
	fill_in(&run->settings);
	find_cpus(run);
	run->shm = (struct bench_shm *)mmap(NULL, sizeof(*run->shm), PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run->shm == MAP_FAILED) {
		run->shm = NULL;
		goto out_free;
	}
	for (; *lists != NULL; lists++)
		if (!add_all(run, *lists))
			goto out_free;
	r = -ENOENT;
	if (run->row_count == 0)
		goto out_free;
	r = -ENOMEM;
	run->bounces =
		(double *)calloc((size_t)run->row_count * BENCH_TAKEN_MAX, sizeof(*run->bounces));
	if (run->bounces == NULL)
		goto out_free;
	qsort(run->rows, run->row_count, sizeof(*run->rows), compare_rows);
	for (unsigned i = 0; i < run->row_count; i++)
		run->rows[i].cell.index = i;
	*ret_run = run;
	return 0;

out_free:
	bench_run_free(run);
	return r;
}

void bench_run_free(struct bench_run *run)
{
	if (run == NULL)
		return;
	if (run->shm != NULL)
		munmap(run->shm, sizeof(*run->shm));
	free(run->rows);
	free(run->bounces);
	free(run);
}
