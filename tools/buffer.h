/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buffer.h - a stream that collects text in memory.
 *
 * Why not open_memstream(): that of glibc drops what it has no memory for, and tells nobody.
 */
#ifndef TARN_TOOLS_BUFFER_H
#define TARN_TOOLS_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct buffer {
	char *text; /* complete once the stream is closed; NULL = empty */
	size_t size, room;
	bool failed; /* out of memory: something is missing */
};

/* @buffer is all zero, and stays where it is until the stream is closed. NULL = out of memory. */
FILE *buffer_open(struct buffer *buffer);
/* Accepts NULL for @stream. Returns whether everything was kept. */
bool buffer_close(struct buffer *buffer, FILE *stream);
void buffer_free(struct buffer *buffer);

#endif /* TARN_TOOLS_BUFFER_H */
