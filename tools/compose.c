/* SPDX-License-Identifier: BSD-2-Clause */
/* compose.c - see compose.h. */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "compose.h"
#include "value.h"

enum { DIGITS = 18 }; /* whole numbers that jansson takes, whatever they are */

struct compose {
	struct cli *cli;
	const char *name;
	unsigned char *to;
	char path[1024]; /* of the field at hand */
};

/* "REGION/TOPIC: legs[1].y" */
static const char *where(const struct compose *c, char buf[1400])
{
	snprintf(buf, 1400, "%.300s%s%s", c->name, c->path[0] != '\0' ? ": " : "", c->path);
	return buf;
}

/* With as many digits as tell it from its neighbours. */
static const char *real_text(double number, char buf[80])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buf, 80, "%.*g", digits, number);
		if (strtod(buf, NULL) == number)
			break;
	}
	return buf;
}

/* "an array of 3", "the text 'abc'", "12" */
static const char *found(const json_t *value, char buf[80])
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		snprintf(buf, 80, "an array of %zu", json_array_size(value));
		return buf;
	case JSON_STRING:
		snprintf(buf, 80, "the text '%.50s'", json_string_value(value));
		return buf;
	case JSON_INTEGER:
		snprintf(buf, 80, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return buf;
	case JSON_REAL:
		return real_text(json_real_value(value), buf);
	default:
		return json_is_null(value) ? "null" : json_is_true(value) ? "true" : "false";
	}
}

static int unfit(const struct compose *c, const struct tarn_place *place, const json_t *value)
{
	char kind[96], what[80], at[1400];

	cli_error(c->cli, "%s: wanted is %s, found %s", where(c, at),
		  value_kind(place->field, place->length, kind), found(value, what));
	if (json_is_null(value))
		cli_hint("a field that is left out is 0");
	else if (json_is_array(value) && place->length != 0)
		cli_hint("it has %" PRIu32 " elements, and fewer will do: the others are 0",
			 place->length);
	return CLI_USAGE;
}

/* --- one value ----------------------------------------------------------------------------- */

static int put_object(struct compose *c, const struct tarn_type *type, uint64_t offset,
		      const json_t *object);

/* A number, or a text; of a text field a text alone. */
static int put_scalar(struct compose *c, const struct tarn_place *place, uint64_t offset,
		      const json_t *value)
{
	char buf[80], at[1400];
	const char *text = json_string_value(value);

	if (json_is_number(value) && place->field->kind != TARN_FIELD_TEXT)
		text = found(value, buf);
	if (text == NULL)
		return unfit(c, place, value);
	return value_parse(c->cli, where(c, at), place->field, text, c->to + offset);
}

/* One that is no array, or an element. */
static int put_one(struct compose *c, const struct tarn_place *place, uint64_t offset,
		   const json_t *value)
{
	const struct tarn_place one = { .field = place->field, .offset = offset };

	if (place->field->kind != TARN_FIELD_STRUCT)
		return put_scalar(c, &one, offset, value);
	if (!json_is_object(value))
		return unfit(c, &one, value);
	return put_object(c, tarn_field_type(place->field), offset, value);
}

static int put_array(struct compose *c, const struct tarn_place *place, uint64_t offset,
		     const json_t *value)
{
	size_t used = strlen(c->path), count = json_array_size(value);
	int code = CLI_OK;

	if (!json_is_array(value) || count > place->length)
		return unfit(c, place, value);
	for (size_t i = 0; i < count && code == CLI_OK; i++) {
		snprintf(c->path + used, sizeof(c->path) - used, "[%zu]", i);
		code = put_one(c, place, offset + i * place->field->size, json_array_get(value, i));
	}
	c->path[used] = '\0';
	return code;
}

static int put_object(struct compose *c, const struct tarn_type *type, uint64_t offset,
		      const json_t *object)
{
	size_t used = strlen(c->path);
	struct tarn_place place;
	const char *key;
	json_t *value;
	char at[1400];

	json_object_foreach((json_t *)object, key, value)
	{
		int r, code;

		snprintf(c->path + used, sizeof(c->path) - used, "%s%s", used > 0 ? "." : "", key);
		r = tarn_type_find(type, key, &place, &c->cli->diag);
		if (r < 0)
			return cli_fail(c->cli, where(c, at), r);
		code = place.length != 0 ? put_array(c, &place, offset + place.offset, value)
					 : put_one(c, &place, offset + place.offset, value);
		if (code != CLI_OK)
			return code;
		c->path[used] = '\0';
	}
	return CLI_OK;
}

/* --- text ---------------------------------------------------------------------------------- */

/* Whole numbers of more digits than jansson is sure to take become texts, which say them exactly.
 * free() it; NULL: no memory. */
static char *quote_long(const char *text, size_t size, size_t *ret_size)
{
	char *out = malloc(2 * size + 1);
	bool in_string = false;
	size_t used = 0;

	for (size_t i = 0; out != NULL && i < size;) {
		size_t n = 1, digits = 0;

		if (!in_string && (isdigit((unsigned char)text[i]) || text[i] == '-')) {
			while (i + n < size && strchr("0123456789+-.eE", text[i + n]) != NULL &&
			       text[i + n] != '\0')
				n++;
			while (digits < n && (isdigit((unsigned char)text[i + digits]) ||
					      (digits == 0 && text[i] == '-')))
				digits++;
		} else if (text[i] == '"') {
			in_string = !in_string;
		} else if (in_string && text[i] == '\\' && i + 1 < size) {
			n = 2;
		}
		if (digits == n && n > DIGITS)
			out[used++] = '"';
		memcpy(out + used, text + i, n);
		used += n;
		if (digits == n && n > DIGITS)
			out[used++] = '"';
		i += n;
	}
	*ret_size = used;
	return out;
}

/* The first fields, as an example. */
static void hint_object(const struct tarn_type *type)
{
	char words[160] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < type->field_count && used < sizeof(words) - 60 && i < 3; i++)
		used += (size_t)snprintf(words + used, sizeof(words) - used, "%s\"%s\": ...",
					 i > 0 ? ", " : "", type->fields[i].name);
	cli_hint("messages are of type %s: '{%s}'; --raw takes bytes as they are", type->name,
		 words);
}

int compose_json(struct cli *cli, const char *name, const struct tarn_type *type, const char *text,
		 size_t size, unsigned char *to)
{
	struct compose c = { .cli = cli, .name = name, .to = to };
	size_t quoted_size;
	char *quoted = quote_long(text, size, &quoted_size);
	json_error_t error;
	json_t *object;
	int code;

	if (quoted == NULL)
		return cli_fail(cli, name, -ENOMEM);
	memset(to, 0, type->size);
	object = json_loadb(quoted, quoted_size, JSON_REJECT_DUPLICATES, &error);
	free(quoted);
	if (object == NULL || !json_is_object(object)) {
		if (object == NULL)
			cli_error(cli, "%s: it is no JSON object: %s", name, error.text);
		else
			cli_error(cli, "%s: wanted is a JSON object, found other JSON", name);
		hint_object(type);
		json_decref(object);
		return CLI_USAGE;
	}
	code = put_object(&c, type, 0, object);
	json_decref(object);
	return code;
}
