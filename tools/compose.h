/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compose.h - the bytes of a struct from a JSON object: { "price": 12.5, "legs": [{ "x": 1 }],
 * "legs[1].y": 2 }.
 *
 * A key is a field, or a path to one. What is not named is 0. Values are as JSON has them, or as
 * text what tarn put takes: names of enumerations and flags, "0x1f", "nan".
 */
#ifndef TARN_TOOLS_COMPOSE_H
#define TARN_TOOLS_COMPOSE_H

#include <stddef.h>

#include <tarn/type.h>

#include "cli.h"

/* @to has room for a struct of @type. CLI_OK, or an exit code with a message that names the field,
 * what is wanted and what was found; @name is what it is for. */
int compose_json(struct cli *cli, const char *name, const struct tarn_type *type, const char *text,
		 size_t size, unsigned char *to);

#endif /* TARN_TOOLS_COMPOSE_H */
