/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parse.c - lines of /proc. See host.h.
 *
 * Names in them are other people's: a path may hold anything but NUL and '/', and comes with
 * newlines escaped by the kernel. Numbers are taken from fixed places before the path, so no path
 * can be read as a number.
 */
#include <string.h>
#include <sys/sysmacros.h>

#include "host/host.h"

/* fields of /proc/PID/stat, from 1: proc(5) */
enum { STAT_FLAGS = 9, STAT_THREADS = 20, STAT_START = 22 };

static unsigned digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	return 99;
}

bool tarn__parse_number(const char **text, unsigned base, uint64_t *ret_number)
{
	const char *p = *text;
	uint64_t n = 0;

	while (*p == ' ' || *p == '\t')
		p++;
	if (digit_of(*p) >= base)
		return false;
	for (; digit_of(*p) < base; p++) {
		if (__builtin_mul_overflow(n, (uint64_t)base, &n) ||
		    __builtin_add_overflow(n, (uint64_t)digit_of(*p), &n))
			return false;
	}
	*text = p;
	*ret_number = n;
	return true;
}

static bool skip(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

/* "rw-s" */
static bool parse_rights(const char **text, uint32_t *ret_rights)
{
	const char *p = *text;
	uint32_t rights = 0;

	for (int i = 0; i < 4; i++)
		if (p[i] == '\0')
			return false;
	rights |= p[0] == 'r' ? TARN_HOST_READ : 0;
	rights |= p[1] == 'w' ? TARN_HOST_WRITE : 0;
	rights |= p[2] == 'x' ? TARN_HOST_EXEC : 0;
	rights |= p[3] == 's' ? 0 : TARN_HOST_PRIVATE;
	*text = p + 4;
	*ret_rights = rights;
	return true;
}

/* "7f10c000-7f10d000 rw-s 00000000 00:01 2052                       /dev/zero (deleted)" */
bool tarn__parse_map(const char *line, struct tarn__map_line *ret_map)
{
	struct tarn__map_line map = { 0 };
	uint64_t major, minor;

	if (!tarn__parse_number(&line, 16, &map.start) || !skip(&line, '-') ||
	    !tarn__parse_number(&line, 16, &map.end) || !skip(&line, ' ') ||
	    !parse_rights(&line, &map.rights) || !tarn__parse_number(&line, 16, &map.off) ||
	    !tarn__parse_number(&line, 16, &major) || !skip(&line, ':') ||
	    !tarn__parse_number(&line, 16, &minor) || !tarn__parse_number(&line, 10, &map.inode) ||
	    map.end < map.start)
		return false;
	while (*line == ' ')
		line++;
	map.dev = (uint64_t)makedev((unsigned)major, (unsigned)minor);
	map.path = line;
	*ret_map = map;
	return true;
}

/* "4242 (a name (with) brackets) S 1 ...": the name ends at the last bracket. */
bool tarn__parse_stat(const char *text, struct tarn__stat_line *ret_stat)
{
	const char *open = strchr(text, '(');
	const char *close = strrchr(text, ')');
	struct tarn__stat_line stat = { 0 };

	if (open == NULL || close == NULL || close < open || close[1] != ' ' || close[2] == '\0')
		return false;
	for (size_t i = 0; i + 1 < sizeof(stat.comm) && open + 1 + i < close; i++)
		stat.comm[i] = open[1 + i];
	tarn__plain(stat.comm);
	stat.state = close[2];

	const char *p = close + 3; /* the blank before field 4, the parent */

	for (int field = 4; field <= STAT_START; field++) {
		const char *number = p + 1;

		if (field == STAT_FLAGS && !tarn__parse_number(&number, 10, &stat.flags))
			return false;
		if (field == STAT_THREADS && !tarn__parse_number(&number, 10, &stat.threads))
			return false;
		if (field == STAT_START && !tarn__parse_number(&number, 10, &stat.start))
			return false;
		p = strchr(p + 1, ' ');
		if (p == NULL && field < STAT_START)
			return false;
	}
	*ret_stat = stat;
	return true;
}

bool tarn__stat_ended(const struct tarn__stat_line *stat)
{
	return stat->state == 'X' || (stat->state == 'Z' && stat->threads <= 1);
}

/* Bytes of the UTF-8 character at @p, 0 if it is none or a control character. */
static size_t utf8_size(const unsigned char *p)
{
	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f ? 1 : 0;

	size_t size = p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;

	if (p[0] >= 0xf5)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if (size == 2 && p[0] == 0xc2 && p[1] < 0xa0)
		return 0; /* the second set of control characters */
	if (size == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0)))
		return 0; /* longer than need be, or a surrogate */
	if (p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae)
		return 0; /* U+2028 .. U+202E: line breaks, reversed text */
	if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)
		return 0; /* U+2066 .. U+2069: reversed text */
	if (size == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90)))
		return 0;
	return size;
}

void tarn__plain(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p != '\0') {
		size_t size = utf8_size(p);

		if (size == 0)
			*p = '?';
		p += size > 0 ? size : 1;
	}
}
