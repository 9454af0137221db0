/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * type_values.c - the list of an enumeration or of flags: "off=0 on=1 broken=0x2".
 *
 * Whoever reads a list later trusts it: that each name has one number and each number one name, and
 * that every number fits its field, so that none is cut when it is stored.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "region/type.h"

/* One name=number. */
struct pair {
	const char *text;
	size_t length;      /* of all of it */
	size_t name_length; /* before the '=' */
	uint64_t number;
};

/* The next one of *@list, which is moved behind it. False: there is none. */
static bool next_pair(const char **list, struct pair *ret)
{
	const char *p = *list + strspn(*list, " ");

	*ret = (struct pair){ .text = p, .length = strcspn(p, " ") };
	ret->name_length = strcspn(p, "= ");
	*list = p + ret->length;
	return ret->length > 0;
}

/* Decimal, or hexadecimal after 0x; no sign, and no 0 in front. False: it is no such number. */
static bool read_number(const char *text, size_t length, uint64_t *ret_number)
{
	bool hex = length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = "0123456789abcdef";
	uint64_t number = 0;

	if (length == 0 || (!hex && length > 1 && *text == '0'))
		return false;
	for (size_t i = hex ? 2 : 0; i < length; i++) {
		char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];
		const char *digit = c != '\0' ? strchr(digits, c) : NULL;

		if (digit == NULL || (!hex && digit - digits > 9) ||
		    __builtin_mul_overflow(number, hex ? 16u : 10u, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(digit - digits), &number))
			return false;
	}
	*ret_number = number;
	return true;
}

/* What is wrong with one pair alone: what would be right; NULL: nothing. */
static const char *pair_fault(const struct tarn_field *field, struct pair *pair)
{
	unsigned bits = field->size * 8;
	bool is_signed = field->kind % 2 == 1; /* I8, I16, I32, I64 */
	const char *name = pair->text;
	size_t used = pair->name_length + 1;

	if (pair->name_length > TARN_TYPE_NAME_MAX || !tarn__type_identifier(name, used - 1))
		return "a value is name=number, and the name an identifier of 1 to 47 bytes";
	if (used > pair->length || !read_number(name + used, pair->length - used, &pair->number))
		return "a value is name=number: 10 or 0xa, no sign, and no 0 in front";
	if (pair->number > UINT64_MAX >> (64 - bits + (is_signed ? 1 : 0)))
		return "the number is beyond what the field's type holds";
	if (field->look == TARN_LOOK_FLAGS && __builtin_popcountll(pair->number) != 1)
		return "a flag is one bit: 1, 2, 4, 8 ..";
	return NULL;
}

/* The same name or number before @pair. */
static const char *double_fault(const struct tarn_field *field, const struct pair *pair)
{
	const char *list = field->values;
	struct pair before;

	while (next_pair(&list, &before) && before.text != pair->text) {
		(void)pair_fault(field, &before); /* for its number */
		if (before.name_length == pair->name_length &&
		    memcmp(before.text, pair->text, pair->name_length) == 0)
			return "the name is there before, and each has one number";
		if (before.number == pair->number)
			return "the number is there before, and each has one name";
	}
	return NULL;
}

bool tarn__type_values_fault(const struct tarn_field *field, char *buf, size_t size)
{
	const char *list = field->values, *fault = NULL;
	struct pair pair;

	if (field->look == TARN_LOOK_NUMBER)
		return false;
	if (!next_pair(&list, &pair)) {
		snprintf(buf, size, "its values '' are none; as in \"off=0 on=1\", one at least");
		return true;
	}
	do {
		fault = pair_fault(field, &pair);
		if (fault == NULL)
			fault = double_fault(field, &pair);
	} while (fault == NULL && next_pair(&list, &pair));
	if (fault != NULL)
		snprintf(buf, size, "its values have '%.*s': %s",
			 pair.length < 56 ? (int)pair.length : 56, pair.text, fault);
	return fault != NULL;
}
