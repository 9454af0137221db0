/* SPDX-License-Identifier: BSD-2-Clause */
/* out_csv.c - a list as comma-separated values (RFC 4180): keys, then a line a row; what is not
 * known is empty, numbers are as in JSON. */

#include <inttypes.h>
#include <string.h>

#include "out_parts.h"

void out_csv_text(FILE *to, const char *text)
{
	if (strpbrk(text, ",\"\r\n") == NULL) {
		fputs(text, to);
		return;
	}
	putc('"', to);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			putc('"', to);
		putc(*text, to);
	}
	putc('"', to);
}

static void put_cell(FILE *to, enum out_type type, const struct rows_cell *cell)
{
	char buf[40];

	if (!cell->known)
		return;
	if (type == OUT_REAL || type == OUT_NS)
		fputs(out_real_text(cell->number, buf), to);
	else if (type == OUT_BOOL)
		fputs(cell->number != 0 ? "true" : "false", to);
	else if (type == OUT_SIGNED || type == OUT_TIME || type == OUT_AGE)
		fprintf(to, "%" PRId64, (int64_t)cell->number);
	else if (type == OUT_TEXT || type == OUT_LONG || type == OUT_VALUE || type == OUT_LIST)
		out_csv_text(to, cell->text != NULL ? cell->text : "");
	else
		fprintf(to, "%" PRIu64, cell->number);
}

void out_csv(struct out *out)
{
	const struct out_col *cols = out->list->cols;

	for (int i = 0; i < out->rows->col_count; i++)
		fprintf(out->to, "%s%s", i > 0 ? "," : "", cols[i].key);
	putc('\n', out->to);
	for (size_t row = 0; row < out->rows->count; row++) {
		for (int i = 0; i < out->rows->col_count; i++) {
			if (i > 0)
				putc(',', out->to);
			put_cell(out->to, cols[i].type, &out->rows->records[row].cells[i]);
		}
		putc('\n', out->to);
	}
}
