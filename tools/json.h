/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.h - write JSON to a stream, one value after the other.
 *
 * Why not a library: libsmartcols can write neither an object around its table nor one object
 * a line, and jansson has no number beyond 2^63 and refuses text that is not UTF-8; words of
 * a damaged region may be both.
 */
#ifndef TARN_TOOLS_JSON_H
#define TARN_TOOLS_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *to;
	unsigned depth;
	bool begun; /* something stands before the next value at this depth */
	bool lines; /* NDJSON: everything in one line */
};

/* @key is NULL inside an array and at the top. */
void json_open(struct json *json, const char *key, char bracket);     /* '{' or '[' */
void json_close(struct json *json, char bracket);                     /* '}' or ']' */
void json_text(struct json *json, const char *key, const char *text); /* NULL text: null */
void json_u64(struct json *json, const char *key, uint64_t number);
void json_i64(struct json *json, const char *key, int64_t number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);
/* Text that is JSON already. */
void json_verbatim(struct json *json, const char *key, const char *text);

#endif /* TARN_TOOLS_JSON_H */
