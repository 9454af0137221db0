/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows.h - the records of one list in memory: typed cells, each known or not.
 *
 * Records are kept until the list ends, so that they can be put in order before they are shown.
 * A cell of type OUT_LIST holds records itself. A record may stand below another (out_child()).
 */
#ifndef TARN_TOOLS_ROWS_H
#define TARN_TOOLS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "out.h"

struct rows;

struct rows_cell {
	bool known;
	uint64_t number;    /* of all types but text */
	char *text;         /* of text; for OUT_LIST what tables show */
	struct rows *inner; /* OUT_LIST */
};

struct rows_record {
	struct rows_cell *cells; /* one a column of the list */
	bool child;              /* stands below the last record before it that is none */
};

struct rows {
	const struct out_list *list;
	int col_count;
	struct rows_record *records;
	size_t count, room;
	bool failed; /* out of memory: something is missing */
};

/* NULL: out of memory. */
struct rows *rows_new(const struct out_list *list);
void rows_free(struct rows *rows); /* accepts NULL */

void rows_add(struct rows *rows, bool child);
/* Of the last record. */
void rows_set_text(struct rows *rows, int col, const char *text); /* NULL: not known */
void rows_set_number(struct rows *rows, int col, uint64_t number);
struct rows *rows_set_list(struct rows *rows, int col, const struct out_list *list);
void rows_set_list_text(struct rows *rows, int col, const char *text);

/* The cell of column @key, which the list has. */
const struct rows_cell *rows_cell(const struct rows *rows, size_t row, const char *key);
/* What it holds; 0 and NULL where that is not known. */
uint64_t rows_number(const struct rows *rows, size_t row, const char *key);
const char *rows_text(const struct rows *rows, size_t row, const char *key);

/* Keep the records at these @count places, which rise; the others are freed. */
void rows_keep(struct rows *rows, const size_t *places, size_t count);

/* One column to sort by. */
struct rows_key {
	int col;
	bool down;
};
/* Sort by @keys, the first first; what is not known comes last, what is equal keeps its order, and
 * a child stays with its parent. False: out of memory, and nothing was changed. */
bool rows_sort(struct rows *rows, const struct rows_key *keys, int key_count);

#endif /* TARN_TOOLS_ROWS_H */
