/* SPDX-License-Identifier: BSD-2-Clause */
/* rows.c - see rows.h. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

struct rows *rows_new(const struct out_list *list)
{
	struct rows *rows = calloc(1, sizeof(*rows));

	if (rows == NULL)
		return NULL;
	rows->list = list;
	while (list->cols[rows->col_count].key != NULL)
		rows->col_count++;
	assert(rows->col_count <= OUT_COL_MAX);
	return rows;
}

static void record_free(const struct rows *rows, struct rows_record *record)
{
	for (int i = 0; i < rows->col_count; i++) {
		free(record->cells[i].text);
		rows_free(record->cells[i].inner);
	}
	free(record->cells);
}

void rows_free(struct rows *rows)
{
	if (rows == NULL)
		return;
	for (size_t i = 0; i < rows->count; i++)
		record_free(rows, &rows->records[i]);
	free(rows->records);
	free(rows);
}

static bool make_room(struct rows *rows)
{
	size_t room = rows->room > 0 ? rows->room * 2 : 16;

	if (rows->count < rows->room)
		return true;

	struct rows_record *grown = realloc(rows->records, room * sizeof(*grown));

	if (grown == NULL)
		return false;
	rows->records = grown;
	rows->room = room;
	return true;
}

void rows_add(struct rows *rows, bool child)
{
	struct rows_cell *cells = calloc((size_t)rows->col_count, sizeof(*cells));

	/* Not to fill the record before it with the values of this one. */
	if (rows->failed || cells == NULL || !make_room(rows)) {
		free(cells);
		rows->failed = true;
		return;
	}
	rows->records[rows->count++] = (struct rows_record){ .cells = cells, .child = child };
}

static struct rows_cell *cell_at(struct rows *rows, int col)
{
	if (rows->failed)
		return NULL;
	assert(rows->count > 0 && col >= 0 && col < rows->col_count);
	return &rows->records[rows->count - 1].cells[col];
}

static void keep_text(struct rows *rows, struct rows_cell *cell, const char *text)
{
	free(cell->text);
	cell->text = strdup(text);
	rows->failed |= cell->text == NULL;
}

void rows_set_text(struct rows *rows, int col, const char *text)
{
	struct rows_cell *cell = cell_at(rows, col);

	if (cell == NULL)
		return;
	cell->known = text != NULL;
	if (text != NULL)
		keep_text(rows, cell, text);
}

void rows_set_number(struct rows *rows, int col, uint64_t number)
{
	struct rows_cell *cell = cell_at(rows, col);

	if (cell == NULL)
		return;
	cell->known = true;
	cell->number = number;
}

struct rows *rows_set_list(struct rows *rows, int col, const struct out_list *list)
{
	struct rows_cell *cell = cell_at(rows, col);

	if (cell == NULL)
		return NULL;
	if (cell->inner == NULL)
		cell->inner = rows_new(list);
	cell->known = true;
	rows->failed |= cell->inner == NULL;
	return cell->inner;
}

void rows_set_list_text(struct rows *rows, int col, const char *text)
{
	struct rows_cell *cell = cell_at(rows, col);

	if (cell == NULL)
		return;
	rows->failed |= cell->inner == NULL || cell->inner->failed;
	if (text != NULL)
		keep_text(rows, cell, text);
}

const struct rows_cell *rows_cell(const struct rows *rows, size_t row, const char *key)
{
	int col = 0;

	assert(row < rows->count);
	while (strcmp(rows->list->cols[col].key, key) != 0)
		col++;
	return &rows->records[row].cells[col];
}

uint64_t rows_number(const struct rows *rows, size_t row, const char *key)
{
	const struct rows_cell *cell = rows_cell(rows, row, key);

	return cell->known ? cell->number : 0;
}

const char *rows_text(const struct rows *rows, size_t row, const char *key)
{
	const struct rows_cell *cell = rows_cell(rows, row, key);

	return cell->known ? cell->text : NULL;
}

void rows_keep(struct rows *rows, const size_t *places, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->count; i++) {
		if (kept < count && places[kept] == i)
			rows->records[kept++] = rows->records[i];
		else
			record_free(rows, &rows->records[i]);
	}
	rows->count = kept;
}

/* --- order --------------------------------------------------------------------------------- */

/* What qsort() moves: a record that is no child, and how to compare it. */
struct sorted {
	size_t at;    /* of the record */
	size_t count; /* records: itself and its children */
	const struct rows *rows;
	const struct rows_key *keys;
	int key_count;
};

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_signed(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int compare_cells(enum out_type type, const struct rows_cell *a, const struct rows_cell *b)
{
	switch (type) {
	case OUT_TEXT:
	case OUT_VALUE:
	case OUT_LONG:
		return strverscmp(a->text, b->text); /* memfd:9:3 before memfd:10:3 */
	case OUT_SIGNED:
	case OUT_TIME:
	case OUT_AGE:
		return compare_signed((int64_t)a->number, (int64_t)b->number);
	case OUT_LIST:
		return compare_numbers(a->inner->count, b->inner->count);
	case OUT_COUNT:
	case OUT_SIZE:
	case OUT_WORD:
	case OUT_BOOL:
	case OUT_OFFSET:
	case OUT_HEX:
	case OUT_REAL: /* not below 0: its bits are in order */
	case OUT_NS:
		break;
	}
	return compare_numbers(a->number, b->number);
}

static int compare(const void *x, const void *y)
{
	const struct sorted *a = x, *b = y;

	for (int i = 0; i < a->key_count; i++) {
		int col = a->keys[i].col, order;
		const struct rows_cell *p = &a->rows->records[a->at].cells[col];
		const struct rows_cell *q = &b->rows->records[b->at].cells[col];

		if (p->known != q->known)
			return p->known ? -1 : 1;
		if (!p->known)
			continue;
		order = compare_cells(a->rows->list->cols[col].type, p, q);
		if (order != 0)
			return a->keys[i].down ? -order : order;
	}
	return (a->at > b->at) - (a->at < b->at);
}

static size_t family(const struct rows *rows, size_t at)
{
	size_t count = 1;

	while (at + count < rows->count && rows->records[at + count].child)
		count++;
	return count;
}

bool rows_sort(struct rows *rows, const struct rows_key *keys, int key_count)
{
	if (rows->count < 2 || key_count == 0 || rows->failed)
		return true;

	struct sorted *sorted = calloc(rows->count, sizeof(*sorted));
	struct rows_record *records = calloc(rows->room, sizeof(*records));
	size_t count = 0, to = 0;

	if (sorted == NULL || records == NULL) {
		free(sorted);
		free(records);
		return false;
	}
	for (size_t at = 0; at < rows->count; at += sorted[count - 1].count)
		sorted[count++] = (struct sorted){ at, family(rows, at), rows, keys, key_count };
	qsort(sorted, count, sizeof(*sorted), compare);
	for (size_t i = 0; i < count; to += sorted[i++].count)
		memcpy(&records[to], &rows->records[sorted[i].at],
		       sorted[i].count * sizeof(*records));
	free(sorted);
	free(rows->records);
	rows->records = records;
	return true;
}
