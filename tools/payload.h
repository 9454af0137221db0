/* SPDX-License-Identifier: BSD-2-Clause */
/* payload.h - bytes that go into a region from the command line, and out of it to the terminal; and
 * when the next of them is due. */
#ifndef TARN_TOOLS_PAYLOAD_H
#define TARN_TOOLS_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli.h"

struct payload {
	unsigned char *bytes;
	size_t size;
};

/* All that a file has; "-" is standard input. CLI_OK, or an exit code with a message; free() the
 * bytes. */
int payload_read(struct cli *cli, const char *path, struct payload *ret_payload);
/* The bytes that pairs of hexadecimal digits are; @to has room for @size / 2. False: they are
 * none. */
bool payload_from_hex(const char *text, size_t size, unsigned char *to, size_t *ret_size);

/* To standard output. A line stays a line: what would end it, or change the terminal, is
 * escaped. */
void payload_put_text(const unsigned char *bytes, size_t size);
void payload_put_hex(const unsigned char *bytes, size_t size);
/* Is it text that needs no escapes? */
bool payload_printable(const unsigned char *bytes, size_t size);
/* free() it; NULL: no memory. */
char *payload_hex(const unsigned char *bytes, size_t size);

struct pace {
	int64_t step_ns; /* 0: as fast as they come */
	int64_t next_ns; /* when the next one is due */
};

/* The option rate. False, with a message: it is none. */
bool pace_take(struct cli *cli, struct pace *ret_pace);
/* The first one is due now. */
void pace_begin(struct pace *pace);
/* Until the next one is due, or a signal comes. */
void pace_keep(struct pace *pace);

#endif /* TARN_TOOLS_PAYLOAD_H */
