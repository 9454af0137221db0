/* SPDX-License-Identifier: BSD-2-Clause */
/* buffer.c - see buffer.h. */

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "buffer.h"

/* What the stream passes on. 0 = it could not be kept. */
static ssize_t buffer_write(void *cookie, const char *text, size_t size)
{
	struct buffer *buffer = cookie;
	size_t room = buffer->room > 0 ? buffer->room : 4096;

	while (room - buffer->size < size)
		room *= 2;
	if (room != buffer->room) {
		char *grown = realloc(buffer->text, room);

		if (grown == NULL) {
			buffer->failed = true;
			return 0;
		}
		buffer->text = grown;
		buffer->room = room;
	}
	memcpy(buffer->text + buffer->size, text, size);
	buffer->size += size;
	return (ssize_t)size;
}

FILE *buffer_open(struct buffer *buffer)
{
	return fopencookie(buffer, "w", (cookie_io_functions_t){ .write = buffer_write });
}

bool buffer_close(struct buffer *buffer, FILE *stream)
{
	if (stream == NULL || fclose(stream) != 0)
		buffer->failed = true;
	return !buffer->failed;
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->text);
	*buffer = (struct buffer){ 0 };
}
