/* SPDX-License-Identifier: BSD-2-Clause */
/* out_parts.h - what the files of the renderer share. */
#ifndef TARN_TOOLS_OUT_PARTS_H
#define TARN_TOOLS_OUT_PARTS_H

#include <stddef.h>

#include "out.h"
#include "rows.h"

/* out_cols.c: the index of the column that is called @word, by key or heading; -1 = none. */
int out_col_find(const struct out_list *list, const char *word, size_t length);
/* The columns of out->list that its table shows, into out->order. */
void out_cols_choose(struct out *out);
/* Those of -s that out->list has; returns how many. */
int out_cols_sort(const struct out *out, struct rows_key ret_keys[OUT_COL_MAX]);

/* out_table.c: a number as tables have it. @out may be NULL: then sizes have units. */
const char *out_number_text(const struct out *out, enum out_type type, uint64_t number,
			    char buf[40]);
const char *out_cell_text(const struct out *out, enum out_type type, const struct rows_cell *cell,
			  char buf[40]);
/* A number of type OUT_REAL or OUT_NS, as JSON has it. */
const char *out_real_text(uint64_t bits, char buf[40]);
void out_table(struct out *out);

/* out_csv.c: the rows of out->list as comma-separated values. */
void out_csv(struct out *out);

#endif /* TARN_TOOLS_OUT_PARTS_H */
