/* SPDX-License-Identifier: BSD-2-Clause */
/* out.c - see out.h. Columns are chosen in out_cols.c, tables drawn in out_table.c. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "cli.h"
#include "out_parts.h"

int out_begin(struct out *out, const struct cli *cli)
{
	int code = out_check(cli);

	*out = (struct out){
		.cli = cli,
		.to = cli->to != NULL ? cli->to : stdout,
		.as_json = cli_value_if(cli, "json") != NULL,
		.as_csv = cli_value_if(cli, "csv") != NULL,
		.bytes = cli_value_if(cli, "bytes") != NULL,
		.noheadings = cli_value_if(cli, "noheadings") != NULL,
		.raw = cli_value_if(cli, "raw") != NULL,
		.notruncate = cli_value_if(cli, "notruncate") != NULL,
		.names_only = cli_value_if(cli, "null") != NULL,
		.complete = true,
		.tree = -1,
	};
	if (code >= 0 || !out->as_json)
		return code;

	out->items = calloc(1, sizeof(*out->items));

	FILE *to = out->items != NULL ? buffer_open(out->items) : NULL;

	if (to == NULL) {
		free(out->items);
		return cli_error(cli, "out of memory");
	}
	out->json = (struct json){ .to = to, .depth = 2, .lines = cli->lines };
	return -1;
}

/* --- lists --------------------------------------------------------------------------------- */

void out_list(struct out *out, const struct out_list *list)
{
	if (out->in_list)
		out_list_end(out);
	out->list = list;
	out->in_list = true;
	out->row_count = 0;
	out->tree = -1;
	out->rows = rows_new(list);
	out->failed |= out->rows == NULL;
	out_cols_choose(out);
}

static void put_json_rows(struct json *json, const struct rows *rows);

static void put_json_cell(struct json *json, const struct out_col *col,
			  const struct rows_cell *cell)
{
	char buf[40];

	if (!cell->known) {
		json_null(json, col->key);
		return;
	}
	switch (col->type) {
	case OUT_TEXT:
	case OUT_LONG:
		json_text(json, col->key, cell->text);
		break;
	case OUT_VALUE:
		if (cell->number != 0)
			json_verbatim(json, col->key, cell->text);
		else
			json_text(json, col->key, cell->text);
		break;
	case OUT_BOOL:
		json_bool(json, col->key, cell->number != 0);
		break;
	case OUT_SIGNED:
	case OUT_TIME:
	case OUT_AGE:
		json_i64(json, col->key, (int64_t)cell->number);
		break;
	case OUT_LIST:
		json_open(json, col->key, '[');
		put_json_rows(json, cell->inner);
		json_close(json, ']');
		break;
	case OUT_REAL:
	case OUT_NS:
		json_verbatim(json, col->key, out_real_text(cell->number, buf));
		break;
	case OUT_COUNT:
	case OUT_SIZE:
	case OUT_WORD:
	case OUT_OFFSET:
	case OUT_HEX:
		json_u64(json, col->key, cell->number);
		break;
	}
}

static void put_json_rows(struct json *json, const struct rows *rows)
{
	for (size_t row = 0; row < rows->count; row++) {
		json_open(json, NULL, '{');
		for (int col = 0; col < rows->col_count; col++)
			put_json_cell(json, &rows->list->cols[col], &rows->records[row].cells[col]);
		json_close(json, '}');
	}
}

static void put_json_list(struct out *out)
{
	if (out->in_item)
		json_open(&out->json, out->list->key, '[');
	put_json_rows(&out->json, out->rows);
	if (out->in_item)
		json_close(&out->json, ']');
}

/* A tree is read from its first column. */
static void lead_with_tree(struct out *out)
{
	bool shown = false;

	for (int i = 0; i < out->order_count; i++)
		shown |= out->order[i] == out->tree;
	if (cli_value_if(out->cli, "output") != NULL) {
		out->tree = shown ? out->tree : out->order[0];
		return;
	}
	for (int i = out->order_count - 1; i > 0; i--) {
		if (out->order[i] == out->tree) {
			out->order[i] = out->order[i - 1];
			out->order[i - 1] = out->tree;
		}
	}
}

/* -0: what the column "name" holds, each ended by a zero byte. */
static void put_names(struct out *out)
{
	int col = out_col_find(out->list, "name", 4);

	assert(col >= 0);
	for (size_t row = 0; row < out->rows->count; row++) {
		const struct rows_record *record = &out->rows->records[row];

		if (!record->child && record->cells[col].known)
			fwrite(record->cells[col].text, 1, strlen(record->cells[col].text) + 1,
			       out->to);
	}
}

/* Facts and tables of one item are apart by an empty line. */
static void put_table(struct out *out)
{
	if (out->rows->count == 0 || out->order_count == 0)
		return;
	if (out->in_item && out->said && !out->raw)
		putc('\n', out->to);
	if (out->tree >= 0)
		lead_with_tree(out);
	out_table(out);
	out->said = true;
}

void out_list_end(struct out *out)
{
	struct rows_key keys[OUT_COL_MAX];

	if (!out->in_list)
		return;
	assert(out->inner == NULL);
	out->in_list = false;
	out->failed |= out->rows == NULL || out->rows->failed;
	if (!out->failed)
		out->failed = !rows_sort(out->rows, keys, out_cols_sort(out, keys));
	if (!out->failed && out->cli->take != NULL) {
		out->cli->take(out->rows, out->cli->take_arg);
		out->rows = NULL;
	} else if (!out->failed && out->as_json) {
		put_json_list(out);
	} else if (!out->failed && out->as_csv) {
		out_csv(out);
	} else if (!out->failed && out->names_only) {
		put_names(out);
	} else if (!out->failed) {
		put_table(out);
	}
	rows_free(out->rows);
	out->rows = NULL;
}

void out_rows(struct out *out, struct rows *rows)
{
	out_list(out, rows->list);
	rows_free(out->rows);
	out->rows = rows;
	out_list_end(out);
}

/* --- rows ---------------------------------------------------------------------------------- */

/* Where values go; NULL: out of memory, which out_end() tells. */
static struct rows *rows_now(const struct out *out)
{
	struct rows *rows = out->inner != NULL ? out->inner : out->rows;

	return rows == NULL || rows->failed ? NULL : rows;
}

static bool is_text(enum out_type type)
{
	return type == OUT_TEXT || type == OUT_LONG || type == OUT_VALUE;
}

static int column_of(const struct rows *rows, const char *key, bool text)
{
	int i = out_col_find(rows->list, key, strlen(key));
	enum out_type type = i >= 0 ? rows->list->cols[i].type : OUT_LIST;

	assert(i >= 0 && type != OUT_LIST && text == is_text(type));
	(void)type;
	(void)text;
	return i;
}

void out_row(struct out *out)
{
	struct rows *rows = rows_now(out);

	if (out->inner == NULL)
		out->row_count++;
	if (rows != NULL)
		rows_add(rows, false);
}

void out_child(struct out *out)
{
	assert(out->inner == NULL && out->tree >= 0);
	if (rows_now(out) != NULL)
		rows_add(out->rows, true);
}

void out_tree(struct out *out, const char *key)
{
	out->tree = out_col_find(out->list, key, strlen(key));
	assert(out->tree >= 0);
}

void out_text(struct out *out, const char *key, const char *text)
{
	struct rows *rows = rows_now(out);

	if (rows != NULL)
		rows_set_text(rows, column_of(rows, key, true), text);
}

void out_value(struct out *out, const char *key, const char *text, bool is_number)
{
	struct rows *rows = rows_now(out);

	if (rows == NULL)
		return;
	rows_set_text(rows, column_of(rows, key, true), text);
	if (text != NULL)
		rows_set_number(rows, column_of(rows, key, true), is_number);
}

void out_number(struct out *out, const char *key, uint64_t number)
{
	struct rows *rows = rows_now(out);

	if (rows != NULL)
		rows_set_number(rows, column_of(rows, key, false), number);
}

/* Of numbers not below 0 the bits are in the order of the numbers, so rows sort as they should. */
void out_real(struct out *out, const char *key, double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	out_number(out, key, bits);
}

void out_number_if(struct out *out, const char *key, uint64_t number, bool known)
{
	if (known)
		out_number(out, key, number);
}

void out_bool(struct out *out, const char *key, bool value)
{
	out_number(out, key, value);
}

static const struct out_list *list_of(const struct cli *cli, const char *key)
{
	for (int i = 0; cli->cmd->lists[i] != NULL; i++) {
		if (strcmp(cli->cmd->lists[i]->key, key) == 0)
			return cli->cmd->lists[i];
	}
	return NULL;
}

void out_inner(struct out *out, const char *key)
{
	const struct out_list *list = list_of(out->cli, key);
	int col = out_col_find(out->list, key, strlen(key));

	assert(out->inner == NULL && list != NULL && col >= 0);
	if (rows_now(out) != NULL)
		out->inner = rows_set_list(out->rows, col, list);
	out->inner_col = col;
}

void out_inner_end(struct out *out, const char *text)
{
	if (out->inner != NULL)
		rows_set_list_text(out->rows, out->inner_col, text);
	out->inner = NULL;
}

/* --- items with facts ---------------------------------------------------------------------- */

void out_item(struct out *out)
{
	out_item_end(out);
	out->in_item = true;
	out->said = false;
	if (out->as_json)
		json_open(&out->json, NULL, '{');
	else if (out->printed)
		putc('\n', out->to);
	out->printed = true;
}

void out_item_end(struct out *out)
{
	out_list_end(out);
	if (out->in_item && out->as_json)
		json_close(&out->json, '}');
	out->in_item = false;
}

void out_fact_text(struct out *out, const char *key, const char *label, const char *value)
{
	if (out->as_json)
		json_text(&out->json, key, value);
	else if (label != NULL && !out->as_csv)
		fprintf(out->to, "%-10s %s\n", label, value != NULL ? value : "-");
	out->said |= label != NULL && !out->as_csv;
}

void out_fact_number(struct out *out, const char *key, const char *label, enum out_type type,
		     uint64_t value)
{
	char buf[40];

	if (out->as_json && type == OUT_BOOL)
		json_bool(&out->json, key, value != 0);
	else if (out->as_json && (type == OUT_REAL || type == OUT_NS))
		json_verbatim(&out->json, key, out_real_text(value, buf));
	else if (out->as_json && (type == OUT_TIME || type == OUT_AGE || type == OUT_SIGNED))
		json_i64(&out->json, key, (int64_t)value);
	else if (out->as_json)
		json_u64(&out->json, key, value);
	else if (label != NULL && !out->as_csv)
		fprintf(out->to, "%-10s %s\n", label, out_number_text(out, type, value, buf));
	out->said |= label != NULL && !out->as_csv;
}

/* --- the end ------------------------------------------------------------------------------- */

void out_unreadable(struct out *out)
{
	out->complete = false;
	out->unreadable++;
}

void out_partial(struct out *out, uint64_t count, const char *note)
{
	out->complete = false;
	out->unreadable += count;
	out->note = note;
}

static int64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static const char *host_name(char buf[256])
{
	if (gethostname(buf, 255) != 0)
		return NULL;
	buf[255] = '\0';
	return buf;
}

static const char *boot_id(char buf[64])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	bool got = file != NULL && fgets(buf, 64, file) != NULL;

	if (file != NULL)
		fclose(file);
	if (got)
		buf[strcspn(buf, "\n")] = '\0';
	return got ? buf : NULL;
}

static void put_wrapper(struct out *out)
{
	struct json json = { .to = out->to, .lines = out->json.lines };
	char host[256], boot[64];

	json_open(&json, NULL, '{');
	json_text(&json, "schema", out->cli->cmd->schema);
	json_text(&json, "host", host_name(host));
	json_text(&json, "boot_id", boot_id(boot));
	json_i64(&json, "time_ns", realtime_ns());
	json_bool(&json, "complete", out->complete);
	json_u64(&json, "unreadable", out->unreadable);
	json_open(&json, "items", '[');
	if (out->items->size > 0) {
		fwrite(out->items->text, 1, out->items->size, out->to);
		json.begun = true;
	}
	json_close(&json, ']');
	json_close(&json, '}');
}

int out_end(struct out *out, int code)
{
	out_item_end(out);
	out_list_end(out);
	if (out->as_json) {
		out->failed |= !buffer_close(out->items, out->json.to);
		if (!out->failed)
			put_wrapper(out);
		buffer_free(out->items);
		free(out->items);
	} else if (out->note != NULL) {
		cli_note(out->cli, "%s", out->note);
	} else if (!out->complete) {
		cli_note(out->cli, "%" PRIu64 " not readable; the list is not complete",
			 out->unreadable);
	}
	if (!out->complete && code == CLI_OK)
		code = CLI_DENIED;
	if (out->failed) /* not "incomplete": there may be nothing at all */
		code = cli_error(out->cli, "out of memory");
	return code;
}

struct json out_line_begin(FILE *to, const char *schema)
{
	struct json json = { .to = to, .lines = true };

	json_open(&json, NULL, '{');
	json_text(&json, "schema", schema);
	return json;
}

void out_line_end(struct json *json)
{
	json_close(json, '}');
	fflush(json->to);
}
