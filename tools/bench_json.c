/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_json.c - see bench_json.h. */

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "bench_json.h"
#include "cli.h"

enum { FILE_SIZE_MAX = 64 << 20, ROW_MAX = 100000, FACT_MAX = 1000 };

/* Reading, and what was wrong with it. */
struct reader {
	struct cli *cli;
	struct bench_file *file;
	char where[64]; /* "row 17" */
	char what[320]; /* the first thing that is wrong; "" = nothing */
};

__attribute__((format(printf, 2, 3))) static void wrong(struct reader *r, const char *format, ...)
{
	va_list args;
	int used;

	if (r->what[0] != '\0')
		return;
	used = snprintf(r->what, sizeof(r->what), "%s%s", r->where,
			r->where[0] != '\0' ? ": " : "");
	va_start(args, format);
	vsnprintf(r->what + used, sizeof(r->what) - (size_t)used, format, args);
	va_end(args);
}

/* --- values ----------------------------------------------------------------------------- */

static const char *type_name(const json_t *value)
{
	static const char *const names[] = { "an object", "an array", "text",  "a whole number",
					     "a number",  "true",     "false", "null" };

	return value == NULL ? "nothing" : names[json_typeof(value)];
}

/* Text of @key; @fallback where it is null or not there; NULL as @fallback with @must: an error. */
static const char *text_of(struct reader *r, const json_t *object, const char *key,
			   const char *fallback, bool must)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_string(value))
		return json_string_value(value);
	if (must || (value != NULL && !json_is_null(value)))
		wrong(r, "\"%s\" is %s, not text", key, type_name(value));
	return fallback;
}

/* A number above 0 of @key; 0 where it is null or not there. */
static double number_of(struct reader *r, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	double number = json_number_value(value);

	if (value == NULL || json_is_null(value))
		return 0;
	if (!json_is_number(value))
		wrong(r, "\"%s\" is %s, not a number", key, type_name(value));
	else if (!isfinite(number) || number < 0)
		wrong(r, "\"%s\" is %g, which nothing can measure", key, number);
	return number;
}

static uint64_t count_of(struct reader *r, const json_t *object, const char *key, bool must)
{
	const json_t *value = json_object_get(object, key);
	double number;

	if (!must && (value == NULL || json_is_null(value)))
		return 0;
	number = json_number_value(value);
	if (!json_is_number(value) || number != floor(number) || number > 9e18)
		wrong(r, "\"%s\" is %s, not a whole number", key, type_name(value));
	else if (number < 0)
		wrong(r, "\"%s\" is below 0", key);
	else /* some programs write large ones as 1.7e18 */
		return json_is_integer(value) ? (uint64_t)json_integer_value(value)
					      : (uint64_t)number;
	return 0;
}

/* A median that stands alone is its own spread. */
static struct bench_span figure_of(struct reader *r, const json_t *object, const char *key)
{
	struct bench_span f = { 0 };
	char min[40], max[40];

	snprintf(min, sizeof(min), "%s_min", key);
	snprintf(max, sizeof(max), "%s_max", key);
	f.median = number_of(r, object, key);
	f.min = number_of(r, object, min);
	f.max = number_of(r, object, max);
	if (f.min == 0 && f.max == 0)
		f.min = f.max = f.median;
	if (f.min > f.median || f.median > f.max)
		wrong(r, "\"%s\" is %g, which is not between %g and %g, its smallest and largest",
		      key, f.median, f.min, f.max);
	return f;
}

/* --- rows ------------------------------------------------------------------------------- */

static void read_row(struct reader *r, const json_t *object, struct bench_result *row)
{
	const json_t *pinned = json_object_get(object, "pinned");

	row->measure = text_of(r, object, "measure", "", true);
	row->contestant = text_of(r, object, "contestant", "", true);
	row->group = text_of(r, object, "group", "", true);
	row->mode = text_of(r, object, "mode", "", false);
	row->pages = text_of(r, object, "pages", "", false);
	row->heat = text_of(r, object, "heat", "", false);
	row->size = count_of(r, object, "size_bytes", false);
	row->pinned = pinned == NULL || json_is_true(pinned);
	row->subscribers = count_of(r, object, "subscribers", false);
	row->rate = count_of(r, object, "rate_per_s", false);
	row->rounds = count_of(r, object, "rounds", false);
	row->failed = text_of(r, object, "failed", NULL, false);
	row->ns = figure_of(r, object, "p50_ns");
	row->messages_per_s = figure_of(r, object, "messages_per_s");
	row->bytes_per_ns = figure_of(r, object, "bytes_per_ns");
	row->limit = text_of(r, object, "limit", NULL, false);
	row->limit_ns = number_of(r, object, "limit_ns");
	row->limit_bytes_per_ns = number_of(r, object, "limit_bytes_per_ns");
	row->bounce_ns = number_of(r, object, "bounce_ns");
	row->place = text_of(r, object, "place", "", false);
	row->ratio = figure_of(r, object, "ratio");
	if (row->failed == NULL && row->ns.median == 0 && row->messages_per_s.median == 0 &&
	    row->bytes_per_ns.median == 0)
		wrong(r, "has neither a figure nor a reason why there is none");
}

static void read_rows(struct reader *r, const json_t *rows)
{
	size_t count = json_array_size(rows), i;
	const json_t *object;

	if (!json_is_array(rows)) {
		wrong(r, "\"rows\" is %s, not an array", type_name(rows));
		return;
	}
	if (count > ROW_MAX) {
		wrong(r, "has %zu rows; no result has more than %d", count, ROW_MAX);
		return;
	}
	r->file->rows = calloc(count + 1, sizeof(*r->file->rows));
	if (r->file->rows == NULL) {
		wrong(r, "has too many rows for the memory that there is");
		return;
	}
	r->file->row_count = count;
	json_array_foreach(rows, i, object)
	{
		snprintf(r->where, sizeof(r->where), "row %zu", i + 1);
		if (!json_is_object(object))
			wrong(r, "is %s, not an object", type_name(object));
		else
			read_row(r, object, &r->file->rows[i]);
		if (r->what[0] != '\0')
			return;
	}
	r->where[0] = '\0';
}

static void read_facts(struct reader *r, const json_t *facts)
{
	size_t count = json_array_size(facts), i;
	const json_t *object;
	struct bench_file *file = r->file;

	if (count == 0 || count > FACT_MAX)
		return;
	file->facts = calloc(count, sizeof(*file->facts));
	file->numbers = calloc(count, sizeof(*file->numbers));
	if (file->facts == NULL || file->numbers == NULL)
		return;
	json_array_foreach(facts, i, object)
	{
		const json_t *value = json_object_get(object, "value");
		struct bench_fact_read *fact = &file->facts[file->fact_count];

		fact->name = json_string_value(json_object_get(object, "name"));
		fact->value = json_string_value(value);
		if (json_is_number(value)) {
			snprintf(file->numbers[i], sizeof(file->numbers[i]), "%.15g",
				 json_number_value(value));
			fact->value = file->numbers[i];
		}
		file->fact_count += fact->name != NULL && fact->value != NULL;
	}
}

/* --- the document ----------------------------------------------------------------------- */

static void check_schema(struct reader *r, const json_t *root)
{
	const char *schema = json_string_value(json_object_get(root, "schema"));
	size_t length = strlen(BENCH_SCHEMA);

	if (!json_is_object(root))
		wrong(r, "holds %s, not a result of tarn bench run -J", type_name(root));
	else if (schema == NULL)
		wrong(r, "has no schema: it is no result of tarn bench run -J");
	else if (strncmp(schema, BENCH_SCHEMA "/", length + 1) != 0)
		wrong(r, "is of the schema %.60s, not " BENCH_SCHEMA, schema);
	else if (strtol(schema + length + 1, NULL, 10) != BENCH_SCHEMA_NUMBER)
		wrong(r,
		      "is of version %.20s of the schema " BENCH_SCHEMA "; this is for version %d",
		      schema + length + 1, BENCH_SCHEMA_NUMBER);
}

static void read_document(struct reader *r, json_t *root)
{
	const json_t *item = json_array_get(json_object_get(root, "items"), 0), *rows;

	check_schema(r, root);
	if (r->what[0] != '\0')
		return;
	r->file->host = text_of(r, root, "host", "", false);
	r->file->time_ns = (int64_t)count_of(r, root, "time_ns", false);
	rows = json_object_get(item, "rows");
	if (rows == NULL) {
		wrong(r, "has no rows: it is not what tarn bench run -J printed");
		return;
	}
	read_facts(r, json_object_get(item, "facts"));
	read_rows(r, rows);
}

int bench_file_parse(struct cli *cli, const char *path, const char *text, size_t size,
		     struct bench_file *ret_file)
{
	struct bench_file file = { .path = path };
	struct reader r = { .cli = cli, .file = &file };
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	int code;

	file.root = root;
	if (root == NULL && size == 0)
		wrong(&r, "is empty");
	else if (root == NULL && (size_t)error.position >= size)
		wrong(&r, "ends in the middle, at line %d: it was cut off", error.line);
	else if (root == NULL)
		wrong(&r, "is no JSON: line %d, column %d: %s", error.line, error.column,
		      error.text);
	else
		read_document(&r, root);
	if (r.what[0] == '\0') {
		*ret_file = file;
		return CLI_OK;
	}
	code = cli_error(cli, "%s: %s", path, r.what);
	cli_hint("tarn bench run -J >%s makes one", "FILE");
	bench_file_free(&file);
	return cli_worse(code, CLI_CORRUPT);
}

/* All of @file; NULL with errno. */
static char *read_all(FILE *file, size_t *ret_size)
{
	size_t room = 1 << 16, size = 0, got;
	char *text = malloc(room), *more;

	while (text != NULL && (got = fread(text + size, 1, room - size, file)) > 0) {
		size += got;
		if (size < room && size <= FILE_SIZE_MAX)
			continue;
		more = size > FILE_SIZE_MAX ? NULL : realloc(text, room * 2);
		if (more == NULL) {
			free(text);
			errno = size > FILE_SIZE_MAX ? EFBIG : ENOMEM;
			return NULL;
		}
		text = more;
		room *= 2;
	}
	if (text != NULL && ferror(file)) {
		free(text);
		return NULL;
	}
	*ret_size = size;
	return text;
}

int bench_file_read(struct cli *cli, const char *path, struct bench_file *ret_file)
{
	FILE *file = fopen(path, "re");
	size_t size = 0;
	char *text = file != NULL ? read_all(file, &size) : NULL;
	int error = errno, code;

	if (file != NULL)
		fclose(file);
	if (text == NULL && error == EFBIG) {
		code = cli_error(cli, "%s: is larger than %d MiB, which no result is", path,
				 FILE_SIZE_MAX >> 20);
		return cli_worse(code, CLI_CORRUPT);
	}
	if (text == NULL)
		return cli_fail(cli, path, -error);
	code = bench_file_parse(cli, path, text, size, ret_file);
	free(text);
	return code;
}

void bench_file_free(struct bench_file *file)
{
	json_decref(file->root);
	free(file->rows);
	free(file->facts);
	free(file->numbers);
	*file = (struct bench_file){ 0 };
}

const char *bench_file_fact(const struct bench_file *file, const char *name)
{
	for (size_t i = 0; i < file->fact_count; i++) {
		if (strcmp(file->facts[i].name, name) == 0)
			return file->facts[i].value;
	}
	return NULL;
}
