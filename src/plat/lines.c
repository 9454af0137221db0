/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines.c - text files of the kernel, line by line. See lines.h.
 *
 * Files of any length are read through a buffer of one page; nothing is allocated.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "plat/lines.h"
#include "plat/plat.h"

enum { LINE_SIZE = 4096 };

/* Hand over the lines that are complete in @buf; keep the rest at its front. Of a line longer than
 * the buffer the front is handed over, and *@cutting says that the rest is to be passed over. */
static int drain(char *buf, size_t *used, bool last, bool *cutting,
		 int (*fn)(char *line, void *arg), void *arg)
{
	char *line = buf;
	char *stop = buf + *used;
	int r = 0;

	while (r == 0 && line < stop) {
		char *end = memchr(line, '\n', (size_t)(stop - line));
		bool full = line == buf && *used == LINE_SIZE - 1;
		bool cut = *cutting;

		if (end == NULL && !last && !full && !cut)
			break;
		*cutting = end == NULL && !last;
		if (end == NULL)
			end = stop;
		*end = '\0';
		if (!cut)
			r = fn(line, arg);
		line = end < stop ? end + 1 : stop;
	}
	*used = (size_t)(stop - line);
	memmove(buf, line, *used);
	return r;
}

int tarn__each_line(const char *path, int (*fn)(char *line, void *arg), void *arg)
{
	char buf[LINE_SIZE];
	size_t used = 0;
	uint64_t off = 0;
	ssize_t n;
	bool cutting = false;
	int fd = tarn__plat_open(path, O_RDONLY | O_NONBLOCK, 0);
	int r = 0;

	if (fd < 0)
		return fd;
	do {
		n = tarn__plat_pread(fd, buf + used, LINE_SIZE - 1 - used, off);
		if (n < 0)
			break;
		off += (uint64_t)n;
		used += (size_t)n;
		r = drain(buf, &used, n == 0, &cutting, fn, arg);
	} while (n > 0 && r == 0);
	tarn__plat_close(fd);
	return n < 0 ? (int)n : r;
}

/* The digits that @text begins with, after blanks. */
static bool digits(const char *text, uint64_t *ret_number)
{
	uint64_t n = 0;

	while (*text == ' ' || *text == '\t')
		text++;
	if (strncmp(text, "max", 3) == 0) {
		*ret_number = UINT64_MAX;
		return true;
	}
	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(n, UINT64_C(10), &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n)) {
			n = UINT64_MAX;
			break;
		}
	*ret_number = n;
	return true;
}

int tarn__read_number(const char *path, uint64_t *ret_number)
{
	char buf[64];
	ssize_t n = tarn__plat_read_text(path, buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	return digits(buf, ret_number) ? 0 : -EINVAL;
}

struct field_search {
	const char *key;
	size_t size;
	uint64_t number;
};

static int match_field(char *line, void *arg)
{
	struct field_search *search = arg;

	if (strncmp(line, search->key, search->size) != 0)
		return 0;
	return digits(line + search->size, &search->number) ? 1 : 0;
}

int tarn__read_field(const char *path, const char *key, uint64_t *ret_number)
{
	struct field_search search = { .key = key, .size = strlen(key) };
	int r = tarn__each_line(path, match_field, &search);

	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	*ret_number = search.number;
	return 0;
}

static bool octal(char c)
{
	return c >= '0' && c <= '7';
}

int tarn__line_field(const char *line, unsigned index, char *buf, size_t size)
{
	size_t used = 0;

	for (; index > 0; index--) {
		line = strchr(line, ' ');
		if (line == NULL)
			return -ENOENT;
		line++;
	}
	while (*line != '\0' && *line != ' ') {
		if (used + 1 >= size)
			return -ENAMETOOLONG;
		if (line[0] == '\\' && octal(line[1]) && octal(line[2]) && octal(line[3])) {
			buf[used++] = (char)((line[1] - '0') << 6 | (line[2] - '0') << 3 |
					     (line[3] - '0'));
			line += 4;
		} else {
			buf[used++] = *line++;
		}
	}
	buf[used] = '\0';
	return used > 0 ? 0 : -ENOENT;
}
