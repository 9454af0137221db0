/* SPDX-License-Identifier: BSD-2-Clause */
/* value.c - see value.h. */

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "value.h"

static const char *const kind_names[] = {
	[TARN_FIELD_I8] = "int8_t",       [TARN_FIELD_U8] = "uint8_t",
	[TARN_FIELD_I16] = "int16_t",     [TARN_FIELD_U16] = "uint16_t",
	[TARN_FIELD_I32] = "int32_t",     [TARN_FIELD_U32] = "uint32_t",
	[TARN_FIELD_I64] = "int64_t",     [TARN_FIELD_U64] = "uint64_t",
	[TARN_FIELD_F32] = "float",       [TARN_FIELD_F64] = "double",
	[TARN_FIELD_TEXT] = "text",       [TARN_FIELD_REF] = "ref",
	[TARN_FIELD_STRUCT] = "a struct",
};

const char *value_kind(const struct tarn_field *field, uint32_t length, char buf[96])
{
	const struct tarn_type *type = tarn_field_type(field);
	const char *look = field->look == TARN_LOOK_ENUM    ? "enum "
			   : field->look == TARN_LOOK_FLAGS ? "flags "
							    : "";
	int n;

	if (field->kind == TARN_FIELD_TEXT)
		n = snprintf(buf, 96, "text of %" PRIu32, field->size);
	else
		n = snprintf(buf, 96, "%s%s", look,
			     type != NULL ? type->name : kind_names[field->kind]);
	if (length != 0)
		snprintf(buf + n, 96 - (size_t)n, "[%" PRIu32 "]", length);
	return buf;
}

/* --- names of numbers ---------------------------------------------------------------------- */

/* One "name=number" of the list *@list, which is moved behind it. */
struct named {
	const char *name;
	int length;
	uint64_t number;
};

static bool named_next(const char **list, struct named *ret)
{
	const char *p = *list + strspn(*list, " ");
	const char *equals = p + strcspn(p, "= ");

	if (*p == '\0')
		return false;
	*ret = (struct named){ .name = p, .length = (int)(equals - p) };
	if (*equals == '=')
		ret->number = strtoull(equals + 1, NULL, 0);
	*list = equals + strcspn(equals, " ");
	return true;
}

static bool is_named(const struct tarn_field *field)
{
	return field->look != TARN_LOOK_NUMBER;
}

/* --- out ----------------------------------------------------------------------------------- */

/* A whole number; sign-extended. */
static uint64_t load(const struct tarn_field *field, const unsigned char *at)
{
	uint64_t number = 0;
	unsigned bits = field->size * 8;

	memcpy(&number, at, field->size); /* little end first: such regions alone are opened */
	if ((field->kind == TARN_FIELD_I8 || field->kind == TARN_FIELD_I16 ||
	     field->kind == TARN_FIELD_I32) &&
	    (number >> (bits - 1) & 1) != 0)
		number |= UINT64_MAX << bits;
	return number;
}

static double load_floating(const struct tarn_field *field, const unsigned char *at)
{
	float narrow;
	double wide;

	if (field->kind == TARN_FIELD_F64) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return (double)narrow;
}

static bool is_floating(const struct tarn_field *field)
{
	return field->kind == TARN_FIELD_F32 || field->kind == TARN_FIELD_F64;
}

static void print_floating(FILE *to, const struct tarn_field *field, double number)
{
	bool plain = fabs(number) >= 1e-4 && fabs(number) < 1e15; /* without an exponent */
	char text[40];

	if (isnan(number) || isinf(number)) {
		fputs(isnan(number) ? "nan" : number < 0 ? "-inf" : "inf", to);
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, number);
		if (plain && strchr(text, 'e') != NULL)
			continue;
		if (field->kind == TARN_FIELD_F32 ? strtof(text, NULL) == (float)number
						  : strtod(text, NULL) == number)
			break;
	}
	fputs(text, to);
}

/* False: it has no name. */
static bool print_enum(FILE *to, const struct tarn_field *field, uint64_t number)
{
	const char *list = field->values;
	struct named named;

	while (named_next(&list, &named))
		if (named.number == number) {
			fprintf(to, "%.*s", named.length, named.name);
			return true;
		}
	return false;
}

static void print_flags(FILE *to, const struct tarn_field *field, uint64_t number)
{
	const char *list = field->values, *between = "";
	struct named named;

	while (named_next(&list, &named))
		if (named.number != 0 && (number & named.number) == named.number) {
			fprintf(to, "%s%.*s", between, named.length, named.name);
			number &= ~named.number;
			between = "|";
		}
	if (number != 0)
		fprintf(to, "%s0x%" PRIx64, between, number);
	else if (*between == '\0')
		putc('0', to);
}

static bool has_name(const struct tarn_field *field, uint64_t number)
{
	const char *list = field->values;
	struct named named;

	while (named_next(&list, &named))
		if (named.number == number)
			return true;
	return false;
}

bool value_is_number(const struct tarn_field *field, const unsigned char *at)
{
	if (is_floating(field))
		return isfinite(load_floating(field, at));
	if (field->kind == TARN_FIELD_TEXT || field->look == TARN_LOOK_FLAGS)
		return false;
	return field->look != TARN_LOOK_ENUM || !has_name(field, load(field, at));
}

bool value_behind(const struct tarn_field *field, const unsigned char *at, uint64_t *ret_number)
{
	if (!is_named(field))
		return false;
	*ret_number = load(field, at);
	return true;
}

void value_print(FILE *to, const struct tarn_field *field, const unsigned char *at, bool json)
{
	uint64_t number;

	if (field->kind == TARN_FIELD_TEXT) {
		fwrite(at, 1, strnlen((const char *)at, field->size), to);
		return;
	}
	if (is_floating(field)) {
		print_floating(to, field, load_floating(field, at));
		return;
	}
	number = load(field, at);
	if (field->look == TARN_LOOK_FLAGS)
		print_flags(to, field, number);
	else if (field->look == TARN_LOOK_ENUM && print_enum(to, field, number))
		return;
	else if (field->kind == TARN_FIELD_REF && !json && number != 0)
		fprintf(to, "0x%" PRIx64, number);
	else if (field->kind == TARN_FIELD_U64 || field->kind == TARN_FIELD_REF)
		fprintf(to, "%" PRIu64, number);
	else
		fprintf(to, "%" PRId64, (int64_t)number);
}

char *value_text(const struct tarn_field *field, const unsigned char *at, uint32_t length,
		 uint32_t max, bool json)
{
	struct buffer buffer = { 0 };
	uint32_t count = length != 0 ? length : 1;
	FILE *to = buffer_open(&buffer);

	if (to == NULL)
		return NULL;
	for (uint32_t i = 0; i < count && i < max; i++) {
		if (i > 0)
			putc(' ', to);
		value_print(to, field, at + (size_t)i * field->size, json);
	}
	if (count > max)
		fprintf(to, " ... %" PRIu32 " in all", count);
	putc('\0', to);
	if (!buffer_close(&buffer, to))
		buffer_free(&buffer);
	return buffer.text;
}

void value_quote(FILE *to, const char *text)
{
	putc('"', to);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			fprintf(to, "\\x%02x", c);
		else
			fprintf(to, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	putc('"', to);
}

/* --- in ------------------------------------------------------------------------------------ */

static int refuse(const struct cli *cli, const char *name, const char *text, const char *why)
{
	cli_error(cli, "%s: '%s' %s", name, text, why);
	return CLI_USAGE;
}

static int parse_text(const struct cli *cli, const char *name, const struct tarn_field *field,
		      const char *text, unsigned char *to)
{
	size_t length = strlen(text);

	if (length > field->size) {
		cli_error(cli, "%s: %zu bytes are given, and it has room for %" PRIu32, name,
			  length, field->size);
		cli_hint("a text is counted in bytes of UTF-8");
		return CLI_USAGE;
	}
	memset(to, 0, field->size);
	memcpy(to, text, length);
	return CLI_OK;
}

static int parse_floating(const struct cli *cli, const char *name, const struct tarn_field *field,
			  const char *text, unsigned char *to)
{
	char *end;
	double wide = strtod(text, &end);
	float narrow = strtof(text, NULL);

	if (end == text || *end != '\0')
		return refuse(cli, name, text, "is no number, as 21.5, -3e-6 or nan");
	if (field->kind == TARN_FIELD_F64) {
		if (isinf(wide) && strpbrk(text, "iI") == NULL)
			return refuse(cli, name, text, "is beyond what a double holds");
		memcpy(to, &wide, sizeof(wide));
		return CLI_OK;
	}
	if (isinf(narrow) && strpbrk(text, "iI") == NULL)
		return refuse(cli, name, text, "is beyond what a float holds");
	memcpy(to, &narrow, sizeof(narrow));
	return CLI_OK;
}

static bool is_signed(const struct tarn_field *field)
{
	return field->kind == TARN_FIELD_I8 || field->kind == TARN_FIELD_I16 ||
	       field->kind == TARN_FIELD_I32 || field->kind == TARN_FIELD_I64;
}

/* 010 is eight to C programs, and ten to everybody else: it is refused. */
static bool has_leading_zero(const char *text)
{
	const char *digits = text + (*text == '-' || *text == '+');

	return digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
}

/* Does all of @text say a whole number? Whether it fits is in *@ret_fits. */
static bool read_whole(const struct tarn_field *field, const char *text, uint64_t *ret_number,
		       bool *ret_fits)
{
	unsigned bits = field->size * 8;
	char *end;

	if (*text == '\0' || strchr(" \t\n", *text) != NULL)
		return false;
	errno = 0;
	if (is_signed(field)) {
		int64_t number = strtoll(text, &end, 0);
		int64_t max = (int64_t)(UINT64_MAX >> (65 - bits));

		*ret_fits = errno == 0 && number >= -max - 1 && number <= max;
		*ret_number = (uint64_t)number;
	} else {
		*ret_number = strtoull(text, &end, 0);
		*ret_fits = errno == 0 && *text != '-' && *ret_number <= UINT64_MAX >> (64 - bits);
	}
	return end != text && *end == '\0';
}

static int beyond(const struct cli *cli, const char *name, const struct tarn_field *field,
		  const char *text)
{
	unsigned bits = field->size * 8;
	const char *kind = field->kind == TARN_FIELD_REF ? "ref" : kind_names[field->kind];
	int64_t max = (int64_t)(UINT64_MAX >> (65 - bits));

	if (is_signed(field))
		cli_error(cli, "%s: %s is beyond what its %s holds, %" PRId64 " to %" PRId64, name,
			  text, kind, -max - 1, max);
	else
		cli_error(cli, "%s: %s is beyond what its %s holds, 0 to %" PRIu64, name, text,
			  kind, UINT64_MAX >> (64 - bits));
	return CLI_USAGE;
}

/* One name, or a number that has one, of the @length bytes at @text. */
static bool find_name(const struct tarn_field *field, const char *text, size_t length,
		      uint64_t *ret_number)
{
	const char *list = field->values;
	struct named named;

	while (named_next(&list, &named))
		if ((size_t)named.length == length && memcmp(named.name, text, length) == 0) {
			*ret_number = named.number;
			return true;
		}
	return false;
}

/* "hot|wet" */
static bool read_flags(const struct tarn_field *field, const char *text, uint64_t *ret_number)
{
	uint64_t flag;

	*ret_number = 0;
	for (;; text++) {
		size_t length = strcspn(text, "|");

		if (!find_name(field, text, length, &flag))
			return false;
		*ret_number |= flag;
		text += length;
		if (*text == '\0')
			return true;
	}
}

static uint64_t all_flags(const struct tarn_field *field)
{
	const char *list = field->values;
	struct named named;
	uint64_t all = 0;

	while (named_next(&list, &named))
		all |= named.number;
	return all;
}

static int parse_named(const struct cli *cli, const char *name, const struct tarn_field *field,
		       const char *text, uint64_t *ret_number)
{
	bool fits, flags = field->look == TARN_LOOK_FLAGS;

	if (flags ? read_flags(field, text, ret_number)
		  : find_name(field, text, strlen(text), ret_number))
		return CLI_OK;
	if (read_whole(field, text, ret_number, &fits) && fits &&
	    (flags ? (*ret_number & ~all_flags(field)) == 0 : has_name(field, *ret_number)))
		return CLI_OK;
	cli_error(cli, "%s: '%s' is none of its %s", name, text, flags ? "flags" : "values");
	cli_hint(flags ? "it takes these, apart by |, or 0: %s" : "it takes one of these: %s",
		 field->values);
	return CLI_USAGE;
}

int value_parse(const struct cli *cli, const char *name, const struct tarn_field *field,
		const char *text, unsigned char *ret_to)
{
	uint64_t number = 0;
	bool fits = true;
	int code = CLI_OK;

	if (field->kind == TARN_FIELD_TEXT)
		return parse_text(cli, name, field, text, ret_to);
	if (is_floating(field))
		return parse_floating(cli, name, field, text, ret_to);
	if (has_leading_zero(text))
		return refuse(cli, name, text,
			      "begins with 0, which some read as octal: leave it out, or begin "
			      "with 0x");
	if (is_named(field)) {
		code = parse_named(cli, name, field, text, &number);
		fits = number <= UINT64_MAX >> (64 - field->size * 8);
	} else if (!read_whole(field, text, &number, &fits))
		return refuse(cli, name, text, "is no whole number, as 17, -3 or 0x1f");
	if (code == CLI_OK && !fits)
		code = beyond(cli, name, field, text);
	if (code == CLI_OK)
		memcpy(ret_to, &number, field->size);
	return code;
}
