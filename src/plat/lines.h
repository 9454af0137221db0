/* SPDX-License-Identifier: BSD-2-Clause */
/* lines.h - text files of the kernel, in /proc and /sys. */
#ifndef TARN_PLAT_LINES_H
#define TARN_PLAT_LINES_H

#include <stddef.h>
#include <stdint.h>

/* Call @fn with each line of @path, its newline cut, until it returns non-zero, and return that.
 * Of a line beyond 4095 bytes the front is given. */
int tarn__each_line(const char *path, int (*fn)(char *line, void *arg), void *arg);
/* The number that @path begins with; "max" is UINT64_MAX. -EINVAL where there is none. */
int tarn__read_number(const char *path, uint64_t *ret_number);
/* The number after @key at the start of a line of @path, as "MemFree:  123 kB"; -ENOENT. */
int tarn__read_field(const char *path, const char *key, uint64_t *ret_number);
/* Field @index (from 0) of space-separated @line, octal escapes of mountinfo undone, in @buf. */
int tarn__line_field(const char *line, unsigned index, char *buf, size_t size);

#endif /* TARN_PLAT_LINES_H */
