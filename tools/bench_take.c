/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_take.c - a run that has just ended, as its result file would have it. */

#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include "engine.h"

#include "bench_json.h"
#include "bench_machine.h"
#include "bench_parts.h"

#define FIELD(name) offsetof(struct bench_figures, name)

static struct bench_span span_of(const struct bench_row *row, size_t field, double scale)
{
	struct bench_spread s = bench_over_rounds(row, field);

	return (struct bench_span){ s.median * scale, s.min * scale, s.max * scale };
}

static void take_row(const struct bench_row *row, struct bench_result *to)
{
	const struct bench_cell *cell = &row->cell;
	double limit = bench_over_rounds(row, FIELD(limit)).median;

	to->measure = bench_measure_name(cell->measure);
	to->contestant = cell->contestant->name;
	to->group = bench_group_name(cell->contestant->group);
	to->mode = bench_mode_name(cell->variant->mode);
	to->pages = bench_pages_name(cell->pages);
	to->heat = cell->cold ? "cold" : "hot";
	to->size = cell->size;
	to->pinned = cell->pinned;
	to->place = "";
	to->rounds = row->rounds;
	to->failed = row->failed[0] != '\0' ? row->failed : row->rounds == 0 ? "no round" : NULL;
	if (to->failed != NULL)
		return;
	if (bench_is_rate(cell->measure)) {
		to->messages_per_s = span_of(row, FIELD(rate), 1e9);
		to->bytes_per_ns = span_of(row, FIELD(rate), (double)cell->size);
	} else {
		to->ns = span_of(row, FIELD(p50), 1);
	}
	to->limit = limit > 0 ? bench_limit_name(row->limit) : NULL;
	to->limit_ns = row->limit == BENCH_LIMIT_MEMCPY ? 0 : limit;
	to->limit_bytes_per_ns = row->limit == BENCH_LIMIT_MEMCPY ? limit : 0;
	to->bounce_ns = bench_over_rounds(row, FIELD(bounce)).median;
	to->place = bench_place_name(row->place);
	to->ratio = span_of(row, FIELD(ratio), 1);
}

bool bench_take(const struct bench_run *run, const struct bench_machine *m,
		struct bench_file *ret_file)
{
	struct bench_file file = { .path = "this run", .host = "", .row_count = run->row_count };
	struct timespec now;

	file.rows = calloc(run->row_count + 1, sizeof(*file.rows));
	file.facts = calloc((size_t)m->fact_count + 1, sizeof(*file.facts));
	if (file.rows == NULL || file.facts == NULL) {
		bench_file_free(&file);
		return false;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	file.time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	for (unsigned i = 0; i < run->row_count; i++)
		take_row(&run->rows[i], &file.rows[i]);
	for (int i = 0; i < m->fact_count; i++) {
		file.facts[i].name = m->facts[i].name;
		file.facts[i].value = m->facts[i].value;
	}
	file.fact_count = (size_t)m->fact_count;
	*ret_file = file;
	return true;
}
