/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_json.h - a result file of `tarn bench run -J`, read and checked.
 *
 * Such a file may come from anywhere: whatever is missing, of another type, out of range or too
 * large is an error that names the row. Keys that are not known are passed over, since a version
 * of the schema may be added to.
 */
#ifndef TARN_TOOLS_BENCH_JSON_H
#define TARN_TOOLS_BENCH_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_SCHEMA        "tarn.bench"
#define BENCH_SCHEMA_NUMBER 2

struct cli;
struct json_t;

/* A figure with its spread over the rounds; 0 where it was not measured. */
struct bench_span {
	double median, min, max;
};

/* One cell: what its key is, and what was measured. Texts are never NULL but where it says so. */
struct bench_result {
	const char *measure, *contestant, *group, *mode, *pages, *heat;
	uint64_t size; /* bytes of a message */
	bool pinned;
	uint64_t subscribers; /* of a fan-out, else 0 */
	uint64_t rate;        /* of the open loop, else 0 */
	uint64_t rounds;
	const char *failed; /* why there is no figure; NULL: there is */
	/* Of a latency ns is set, of a rate the other two. */
	struct bench_span ns, messages_per_s, bytes_per_ns;
	const char *limit;                   /* its name; NULL: none */
	double limit_ns, limit_bytes_per_ns; /* one of them, or neither: 0 */
	struct bench_span ratio;
	double bounce_ns;  /* a cache line there and back, in the same processes; 0: not known */
	const char *place; /* near, far, nearer or any; "" = not known */
};

struct bench_fact_read {
	const char *name, *value;
};

struct bench_file {
	const char *path; /* for messages */
	struct json_t *root;
	const char *host; /* "" if not known */
	int64_t time_ns;  /* 0 likewise */
	struct bench_result *rows;
	size_t row_count;
	struct bench_fact_read *facts;
	size_t fact_count;
	char (*numbers)[32]; /* facts that are numbers, as text */
};

/* Returns 0, or prints what is wrong and returns the exit code. */
int bench_file_read(struct cli *cli, const char *path, struct bench_file *ret_file);
/* The same of @size bytes at @text. */
int bench_file_parse(struct cli *cli, const char *path, const char *text, size_t size,
		     struct bench_file *ret_file);
void bench_file_free(struct bench_file *file);
const char *bench_file_fact(const struct bench_file *file, const char *name); /* or NULL */

/* Is a smaller figure a better one? */
static inline bool bench_result_is_time(const struct bench_result *row)
{
	return row->ns.median > 0;
}

#endif /* TARN_TOOLS_BENCH_JSON_H */
