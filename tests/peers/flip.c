/* SPDX-License-Identifier: BSD-2-Clause */
/* flip.c - put before libqb: a ring that flips a bit of the 10th chunk that is written to it. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

typedef ssize_t write_fn(void *ring, const void *data, size_t size);

ssize_t qb_rb_chunk_write(void *ring, const void *data, size_t size);

ssize_t qb_rb_chunk_write(void *ring, const void *data, size_t size)
{
	static unsigned char copy[4096];
	static unsigned written;
	static write_fn *next;

	if (next == NULL) {
		void *found = dlsym(RTLD_NEXT, "qb_rb_chunk_write");

		memcpy(&next, &found, sizeof(next));
	}
	if (size > sizeof(copy) || size < 64 || ++written != 10)
		return next(ring, data, size);
	memcpy(copy, data, size);
	copy[size / 2 + 8] ^= 0x10; /* word 1 of a line in its middle */
	return next(ring, copy, size);
}
