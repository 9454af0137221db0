/* SPDX-License-Identifier: BSD-2-Clause */
/* json.c - see json.h. */

#include <inttypes.h>
#include <string.h>

#include "json.h"

static void newline(struct json *json)
{
	if (json->lines)
		return;
	putc('\n', json->to);
	for (unsigned i = 0; i < json->depth; i++)
		fputs("  ", json->to);
}

/* The length of the UTF-8 sequence at @p, or 0 if it is none: no overlong forms, no surrogates,
 * nothing past U+10FFFF (RFC 3629). */
static unsigned utf8_length(const unsigned char *p)
{
	unsigned char a = p[0], b = a != 0 ? p[1] : 0;

	if (a < 0x80)
		return 1;
	if (a < 0xc2 || a > 0xf4 || (b & 0xc0) != 0x80)
		return 0;
	if (a < 0xe0)
		return 2;
	if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) || (a == 0xf0 && b < 0x90) ||
	    (a == 0xf4 && b > 0x8f) || (p[2] & 0xc0) != 0x80)
		return 0;
	if (a < 0xf0)
		return 3;
	return (p[3] & 0xc0) == 0x80 ? 4 : 0;
}

static void put_string(struct json *json, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	putc('"', json->to);
	while (*p != '\0') {
		unsigned length = utf8_length(p);

		if (length == 0)
			fputs("\\ufffd", json->to); /* the replacement character */
		else if (*p == '"' || *p == '\\')
			fprintf(json->to, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			fprintf(json->to, "\\u%04x", *p);
		else
			fwrite(p, 1, length, json->to);
		p += length != 0 ? length : 1;
	}
	putc('"', json->to);
}

static void begin_value(struct json *json, const char *key)
{
	if (json->begun)
		putc(',', json->to);
	if (json->depth > 0)
		newline(json);
	json->begun = true;
	if (key == NULL)
		return;
	put_string(json, key);
	fputs(json->lines ? ":" : ": ", json->to);
}

void json_open(struct json *json, const char *key, char bracket)
{
	begin_value(json, key);
	putc(bracket, json->to);
	json->depth++;
	json->begun = false;
}

void json_close(struct json *json, char bracket)
{
	bool empty = !json->begun;

	json->depth--;
	if (!empty)
		newline(json);
	putc(bracket, json->to);
	json->begun = json->depth > 0;
	if (json->depth == 0)
		putc('\n', json->to);
}

void json_text(struct json *json, const char *key, const char *text)
{
	begin_value(json, key);
	if (text == NULL)
		fputs("null", json->to);
	else
		put_string(json, text);
}

void json_u64(struct json *json, const char *key, uint64_t number)
{
	begin_value(json, key);
	fprintf(json->to, "%" PRIu64, number);
}

void json_i64(struct json *json, const char *key, int64_t number)
{
	begin_value(json, key);
	fprintf(json->to, "%" PRId64, number);
}

void json_bool(struct json *json, const char *key, bool value)
{
	json_verbatim(json, key, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
	json_verbatim(json, key, "null");
}

void json_verbatim(struct json *json, const char *key, const char *text)
{
	begin_value(json, key);
	fputs(text, json->to);
}
