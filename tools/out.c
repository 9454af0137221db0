/* SPDX-License-Identifier: BSD-2-Clause */
/* out.c - see out.h. */

#include <assert.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "out.h"

/* --- columns ------------------------------------------------------------------------------- */

static int column_find(const struct out_list *list, const char *word, size_t length)
{
	for (int i = 0; list->cols[i].key != NULL; i++) {
		const struct out_col *col = &list->cols[i];

		if (col->head != NULL && strlen(col->head) == length &&
		    strncasecmp(col->head, word, length) == 0)
			return i;
		if (strlen(col->key) == length && strncasecmp(col->key, word, length) == 0)
			return i; /* the JSON key will do as well */
	}
	return -1;
}

static void columns_default(struct out *out)
{
	out->order_count = 0;
	for (int i = 0; out->list->cols[i].key != NULL; i++) {
		if (out->list->cols[i].head != NULL && !out->list->cols[i].extra)
			out->order[out->order_count++] = i;
	}
}

static int column_unknown(const struct cli *cli, const char *word, int length)
{
	char known[512] = "";
	size_t used = 0;

	for (int i = 0; cli->cmd->lists[i] != NULL; i++) {
		for (const struct out_col *col = cli->cmd->lists[i]->cols; col->key != NULL;
		     col++) {
			if (col->head != NULL && used < sizeof(known))
				used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
							 used > 0 ? "," : "", col->head);
		}
	}
	cli_error(cli, "there is no column '%.*s'", length, word);
	cli_hint("the columns are %s", known);
	return CLI_USAGE;
}

static bool column_known(const struct cli *cli, const char *word, size_t length)
{
	for (int i = 0; cli->cmd->lists[i] != NULL; i++) {
		int at = column_find(cli->cmd->lists[i], word, length);

		if (at >= 0 && cli->cmd->lists[i]->cols[at].head != NULL)
			return true;
	}
	return false;
}

/* Every word of -o must be a column of some list of the verb. */
static int columns_check(const struct cli *cli)
{
	const char *word = cli_value_if(cli, "output");

	if (word != NULL && *word == '+')
		word++;
	while (word != NULL && *word != '\0') {
		size_t length = strcspn(word, ",");

		if (!column_known(cli, word, length))
			return column_unknown(cli, word, (int)length);
		word += length + (word[length] == ',');
	}
	return -1;
}

static void columns_choose(struct out *out)
{
	const char *word = cli_value_if(out->cli, "output");

	columns_default(out);
	if (word == NULL)
		return;
	if (*word == '+')
		word++;
	else
		out->order_count = 0;
	while (*word != '\0') {
		size_t length = strcspn(word, ",");
		int i = column_find(out->list, word, length);

		if (i >= 0 && out->list->cols[i].head != NULL && out->order_count < OUT_COL_MAX)
			out->order[out->order_count++] = i;
		word += length + (word[length] == ',');
	}
}

int out_begin(struct out *out, const struct cli *cli)
{
	int code = columns_check(cli);

	*out = (struct out){
		.cli = cli,
		.as_json = cli_value_if(cli, "json") != NULL,
		.bytes = cli_value_if(cli, "bytes") != NULL,
		.noheadings = cli_value_if(cli, "noheadings") != NULL,
		.raw = cli_value_if(cli, "raw") != NULL,
		.complete = true,
	};
	if (code >= 0 || !out->as_json)
		return code;

	FILE *to = open_memstream(&out->text, &out->text_size);

	if (to == NULL)
		return cli_error(cli, "out of memory");
	out->json = (struct json){ .to = to, .depth = 2 };
	return -1;
}

static bool right_aligned(enum out_type type)
{
	return type == OUT_COUNT || type == OUT_SIZE || type == OUT_WORD || type == OUT_SIGNED ||
	       type == OUT_OFFSET;
}

static void table_make(struct out *out)
{
	scols_init_debug(0);
	out->table = scols_new_table();
	if (out->table == NULL) {
		out->failed = true;
		return;
	}
	scols_table_enable_noheadings(out->table, out->noheadings);
	scols_table_enable_raw(out->table, out->raw);
	for (int i = 0; i < out->order_count; i++) {
		const struct out_col *col = &out->list->cols[out->order[i]];
		const char *head = col->head != NULL ? col->head : col->key;
		int flags = right_aligned(col->type) ? SCOLS_FL_RIGHT : 0;

		if (scols_table_new_column(out->table, head, 0, flags) == NULL)
			out->failed = true;
	}
}

void out_list(struct out *out, const struct out_list *list)
{
	if (out->in_list)
		out_list_end(out);
	out->list = list;
	out->in_list = true;
	out->line = NULL;
	out->row_count = 0;
	columns_choose(out);
	if (!out->as_json)
		table_make(out);
	else if (out->in_item)
		json_open(&out->json, list->key, '[');
}

static void row_end(struct out *out)
{
	if (out->in_row && out->as_json)
		json_close(&out->json, '}');
	out->in_row = false;
}

void out_list_end(struct out *out)
{
	if (!out->in_list)
		return;
	row_end(out);
	out->in_list = false;
	if (out->as_json) {
		if (out->in_item)
			json_close(&out->json, ']');
		return;
	}
	if (out->table != NULL && out->row_count > 0 && out->order_count > 0 && !out->failed) {
		if (out->in_item && !out->raw)
			putchar('\n');
		out->failed |= scols_print_table(out->table) < 0;
	}
	scols_unref_table(out->table);
	out->table = NULL;
}

/* --- rows ---------------------------------------------------------------------------------- */

void out_row(struct out *out)
{
	row_end(out);
	out->in_row = true;
	out->row_count++;
	if (out->as_json) {
		json_open(&out->json, NULL, '{');
		return;
	}
	out->line = out->table != NULL ? scols_table_new_line(out->table, NULL) : NULL;
	if (out->line == NULL) {
		out->failed = true;
		return;
	}
	for (int i = 0; i < out->order_count; i++)
		scols_line_set_data(out->line, (size_t)i, "-");
}

static const struct out_col *column_of(const struct out *out, const char *key)
{
	int i = column_find(out->list, key, strlen(key));

	assert(i >= 0);
	return &out->list->cols[i];
}

static void cell(struct out *out, const struct out_col *col, const char *text)
{
	for (int i = 0; i < out->order_count && out->line != NULL; i++) {
		if (&out->list->cols[out->order[i]] == col &&
		    scols_line_set_data(out->line, (size_t)i, text) != 0)
			out->failed = true;
	}
}

static const char *number_text(const struct out *out, enum out_type type, uint64_t number,
			       char buf[40])
{
	if (type == OUT_SIZE && !out->bytes)
		return text_size(number, buf);
	if (type == OUT_TIME)
		return text_time((int64_t)number, buf);
	if (type == OUT_OFFSET || (type == OUT_WORD && number >> 32 != 0))
		snprintf(buf, 40, "0x%" PRIx64, number);
	else if (type == OUT_SIGNED)
		snprintf(buf, 40, "%" PRId64, (int64_t)number);
	else
		snprintf(buf, 40, "%" PRIu64, number);
	return buf;
}

void out_text(struct out *out, const char *key, const char *text)
{
	const struct out_col *col = column_of(out, key);

	if (out->as_json)
		json_text(&out->json, key, text);
	else if (text != NULL)
		cell(out, col, text);
}

void out_number(struct out *out, const char *key, uint64_t number)
{
	const struct out_col *col = column_of(out, key);
	char buf[40];

	if (!out->as_json)
		cell(out, col, number_text(out, col->type, number, buf));
	else if (col->type == OUT_SIGNED || col->type == OUT_TIME)
		json_i64(&out->json, key, (int64_t)number);
	else
		json_u64(&out->json, key, number);
}

void out_bool(struct out *out, const char *key, bool value)
{
	if (out->as_json)
		json_bool(&out->json, key, value);
	else
		cell(out, column_of(out, key), value ? "yes" : "no");
}

/* --- items with facts ---------------------------------------------------------------------- */

void out_item(struct out *out)
{
	out_item_end(out);
	out->in_item = true;
	if (out->as_json)
		json_open(&out->json, NULL, '{');
	else if (out->printed)
		putchar('\n');
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
	else if (label != NULL)
		printf("%-10s %s\n", label, value != NULL ? value : "-");
}

void out_fact_number(struct out *out, const char *key, const char *label, enum out_type type,
		     uint64_t value)
{
	char buf[40];

	if (out->as_json && type == OUT_BOOL)
		json_bool(&out->json, key, value != 0);
	else if (out->as_json && (type == OUT_TIME || type == OUT_SIGNED))
		json_i64(&out->json, key, (int64_t)value);
	else if (out->as_json)
		json_u64(&out->json, key, value);
	else if (label != NULL)
		printf("%-10s %s\n", label,
		       type == OUT_BOOL ? (value ? "yes" : "no")
					: number_text(out, type, value, buf));
}

/* --- the end ------------------------------------------------------------------------------- */

void out_unreadable(struct out *out)
{
	out->complete = false;
	out->unreadable++;
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
	struct json json = { .to = stdout };
	char host[256], boot[64];

	json_open(&json, NULL, '{');
	json_text(&json, "schema", out->cli->cmd->schema);
	json_text(&json, "host", host_name(host));
	json_text(&json, "boot_id", boot_id(boot));
	json_i64(&json, "time_ns", realtime_ns());
	json_bool(&json, "complete", out->complete);
	json_u64(&json, "unreadable", out->unreadable);
	json_open(&json, "items", '[');
	if (out->text_size > 0) {
		fwrite(out->text, 1, out->text_size, stdout);
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
		out->failed |= fclose(out->json.to) != 0;
		if (!out->failed)
			put_wrapper(out);
		free(out->text);
	} else if (!out->complete) {
		cli_note(out->cli, "%" PRIu64 " not readable; the list is not complete",
			 out->unreadable);
	}
	if (!out->complete && code == CLI_OK)
		code = CLI_DENIED;
	if (out->failed)
		code = cli_worse(code, CLI_FAILURE);
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
