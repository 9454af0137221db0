/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * value.h - the value of a field, to and from text.
 *
 * What is printed is taken back: enumerations and flags by name, floating-point numbers with as
 * many digits as tell them from their neighbours, refs as offsets.
 */
#ifndef TARN_TOOLS_VALUE_H
#define TARN_TOOLS_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <tarn/type.h>

#include "cli.h"

/* "double", "text of 32", "enum uint8_t", "point[4]" */
const char *value_kind(const struct tarn_field *field, uint32_t length, char buf[96]);
/* One element at @at. @json: as JSON has it, where value_is_number() says so a number. */
void value_print(FILE *to, const struct tarn_field *field, const unsigned char *at, bool json);
/* @length elements (0 = one), @max of them at most, apart by blanks. free() it; NULL: no memory. */
char *value_text(const struct tarn_field *field, const unsigned char *at, uint32_t length,
		 uint32_t max, bool json);
/* A text in quotes, with what would end a line, or change a terminal, as \xNN. */
void value_quote(FILE *to, const char *text);
bool value_is_number(const struct tarn_field *field, const unsigned char *at);
/* The number behind the name of an enumeration or of flags. False: it has none. */
bool value_behind(const struct tarn_field *field, const unsigned char *at, uint64_t *ret_number);

/* One element from @text, to @ret_to, which has room for it. CLI_OK, or CLI_USAGE with a message
 * that says what is wanted; @name is what it is for. */
int value_parse(const struct cli *cli, const char *name, const struct tarn_field *field,
		const char *text, unsigned char *ret_to);

#endif /* TARN_TOOLS_VALUE_H */
