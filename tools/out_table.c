/* SPDX-License-Identifier: BSD-2-Clause */
/* out_table.c - a list as a table, by libsmartcols. */

#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "cli.h"
#include "out_parts.h"

static double real_of(uint64_t bits)
{
	double number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}

const char *out_real_text(uint64_t bits, char buf[40])
{
	snprintf(buf, 40, "%.6g", real_of(bits));
	return buf;
}

/* Three digits, and a unit. */
static const char *scaled_text(double number, const char *const units[4], char buf[40])
{
	int unit = 0;

	while (unit < 3 && number >= 999.5) {
		number /= 1000;
		unit++;
	}
	snprintf(buf, 40, "%.*f%s",
		 number < 9.995   ? 2
		 : number < 99.95 ? 1
				  : 0,
		 number, units[unit]);
	return buf;
}

static const char *table_real(enum out_type type, uint64_t bits, char buf[40])
{
	static const char *const times[4] = { " ns", " us", " ms", " s" };
	static const char *const counts[4] = { "", " k", " M", " G" };

	return scaled_text(real_of(bits), type == OUT_NS ? times : counts, buf);
}

const char *out_number_text(const struct out *out, enum out_type type, uint64_t number,
			    char buf[40])
{
	if (type == OUT_SIZE && (out == NULL || !out->bytes))
		return text_size(number, buf);
	if (type == OUT_TIME)
		return text_time((int64_t)number, buf);
	if (type == OUT_AGE)
		return text_age((int64_t)number, buf);
	if (type == OUT_REAL || type == OUT_NS)
		return table_real(type, number, buf);
	if (type == OUT_BOOL)
		return number != 0 ? "yes" : "no";
	if (type == OUT_OFFSET || type == OUT_HEX || (type == OUT_WORD && number >> 32 != 0))
		snprintf(buf, 40, "0x%" PRIx64, number);
	else if (type == OUT_SIGNED)
		snprintf(buf, 40, "%" PRId64, (int64_t)number);
	else
		snprintf(buf, 40, "%" PRIu64, number);
	return buf;
}

const char *out_cell_text(const struct out *out, enum out_type type, const struct rows_cell *cell,
			  char buf[40])
{
	if (!cell->known)
		return "-";
	if (type == OUT_TEXT || type == OUT_LONG || type == OUT_VALUE || type == OUT_LIST)
		return cell->text != NULL && *cell->text != '\0' ? cell->text : "-";
	return out_number_text(out, type, cell->number, buf);
}

/* Only for the eye is a table cut to what the terminal can show. */
static bool is_cut(const struct out *out)
{
	return !out->raw && !out->notruncate && isatty(STDOUT_FILENO);
}

/* --- columns that fit ---------------------------------------------------------------------- */

enum { LONG_WIDTH = 24 }; /* of text that may be cut this much is wanted at least */

static size_t terminal_width(void)
{
	struct winsize size;
	const char *columns = getenv("COLUMNS");
	long wanted = columns != NULL ? strtol(columns, NULL, 10) : 0;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return wanted > 0 ? (size_t)wanted : 80;
}

static size_t text_width(const char *text)
{
	wchar_t wide[256];
	size_t length = mbstowcs(wide, text, 256);
	int width = length < 256 ? wcswidth(wide, length) : -1;

	return width >= 0 ? (size_t)width : strlen(text);
}

static size_t column_width(const struct out *out, int col)
{
	enum out_type type = out->list->cols[col].type;
	size_t widest = 0;
	char buf[40];

	for (size_t row = 0; row < out->rows->count; row++) {
		const struct rows_cell *cell = &out->rows->records[row].cells[col];
		size_t width = text_width(out_cell_text(out, type, cell, buf));

		widest = width > widest ? width : widest;
	}
	if ((type == OUT_LONG || type == OUT_VALUE || type == OUT_LIST) && widest > LONG_WIDTH)
		widest = LONG_WIDTH;

	size_t head = out->noheadings ? 0 : strlen(out->list->cols[col].head);

	return head > widest ? head : widest;
}

/* Leave columns out, the last first, until the others fit. */
static void columns_fit(struct out *out)
{
	size_t room = terminal_width(), sum = 0;

	for (int i = 0; i < out->order_count; i++)
		sum += column_width(out, out->order[i]) + (i > 0);
	for (int i = out->order_count - 1; i >= 0 && sum > room; i--) {
		if (out->list->cols[out->order[i]].extra != OUT_IF_ROOM)
			continue;
		sum -= column_width(out, out->order[i]) + (i > 0);
		memmove(&out->order[i], &out->order[i + 1],
			(size_t)(--out->order_count - i) * sizeof(out->order[0]));
	}
}

/* --- the table ----------------------------------------------------------------------------- */

static int column_flags(const struct out *out, int col)
{
	bool cut = is_cut(out);
	int flags = col == out->tree ? SCOLS_FL_TREE : 0;

	switch (out->list->cols[col].type) {
	case OUT_TEXT:
	case OUT_TIME:
	case OUT_BOOL:
		return flags;
	case OUT_LONG:
	case OUT_VALUE:
	case OUT_LIST:
		return flags | (cut ? SCOLS_FL_TRUNC : 0);
	case OUT_COUNT:
	case OUT_SIZE:
	case OUT_WORD:
	case OUT_SIGNED:
	case OUT_OFFSET:
	case OUT_HEX:
	case OUT_AGE:
	case OUT_REAL:
	case OUT_NS:
		break;
	}
	return flags | SCOLS_FL_RIGHT;
}

static bool columns_add(const struct out *out, struct libscols_table *table)
{
	for (int i = 0; i < out->order_count; i++) {
		int col = out->order[i];

		struct libscols_column *column = scols_table_new_column(
			table, out->list->cols[col].head, 0, column_flags(out, col));

		/* Where it has no memory for the heading it makes a column without one. */
		if (column == NULL || scols_cell_get_data(scols_column_get_header(column)) == NULL)
			return false;
	}
	return true;
}

static bool lines_add(const struct out *out, struct libscols_table *table)
{
	struct libscols_line *parent = NULL;
	char buf[40];

	for (size_t row = 0; row < out->rows->count; row++) {
		const struct rows_record *record = &out->rows->records[row];
		struct libscols_line *line =
			scols_table_new_line(table, record->child ? parent : NULL);

		if (line == NULL)
			return false;
		if (!record->child)
			parent = line;
		for (int i = 0; i < out->order_count; i++) {
			int col = out->order[i];
			/* What stands below another leaves out what does not concern it. */
			const struct rows_cell *cell = &record->cells[col];
			const char *text =
				record->child && !cell->known
					? ""
					: out_cell_text(out, out->list->cols[col].type, cell, buf);

			if (scols_line_set_data(line, (size_t)i, text) != 0)
				return false;
		}
	}
	return true;
}

void out_table(struct out *out)
{
	struct libscols_table *table;

	if (is_cut(out) && cli_value_if(out->cli, "output") == NULL)
		columns_fit(out);
	scols_init_debug(0);
	table = scols_new_table();
	if (table == NULL) {
		out->failed = true;
		return;
	}
	scols_table_set_stream(table, out->to);
	scols_table_enable_noheadings(table, out->noheadings);
	scols_table_enable_raw(table, out->raw);
	if (!columns_add(out, table) || !lines_add(out, table) || scols_print_table(table) < 0)
		out->failed = true;
	scols_unref_table(table);
}
