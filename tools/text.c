/* SPDX-License-Identifier: BSD-2-Clause */
/* text.c - sizes, times and near misses, to and from text. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cli.h"

/* Suffixes of powers of 1024; with a B and no i ("MB") powers of 1000, as in util-linux. */
static bool unit_parse(const char *text, double *ret_factor)
{
	static const char letters[] = "KMGTPE";

	if (*text == '\0' || strcasecmp(text, "B") == 0) {
		*ret_factor = 1;
		return true;
	}

	char upper = (char)(*text & ~0x20);
	const char *found = strchr(letters, upper);

	if (found == NULL)
		return false;

	double base;

	if (text[1] == '\0' || strcasecmp(text + 1, "iB") == 0)
		base = 1024;
	else if (strcasecmp(text + 1, "B") == 0)
		base = 1000;
	else
		return false;
	*ret_factor = pow(base, (double)(found - letters + 1));
	return true;
}

bool text_size_parse(const char *text, uint64_t *ret_size)
{
	if (text[0] < '0' || text[0] > '9')
		return false;

	char *end;

	errno = 0;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		*ret_size = strtoull(text, &end, 16);
		return errno == 0 && end > text + 2 && *end == '\0';
	}
	unsigned long long whole = strtoull(text, &end, 10);
	if (errno != 0)
		return false;
	double factor;

	if (*end != '.') {
		if (!unit_parse(end, &factor))
			return false;
		return !__builtin_mul_overflow((uint64_t)whole, (uint64_t)factor, ret_size);
	}

	double value = strtod(text, &end);

	if (!unit_parse(end, &factor) || value * factor >= 0x1p63)
		return false;
	*ret_size = (uint64_t)(value * factor);
	return true;
}

const char *text_size(uint64_t size, char buf[24])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned unit = 0;
	double value = (double)size;

	while (value >= 1023.95 && unit < 6) {
		value /= 1024;
		unit++;
	}
	bool whole = unit == 0 || value >= 100 || value == floor(value);

	snprintf(buf, 24, whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return buf;
}

const char *text_duration(int64_t ns, char buf[24])
{
	double s = (double)ns / 1e9;

	if (s < 1e-3)
		snprintf(buf, 24, "%.0f us", s * 1e6);
	else if (s < 1)
		snprintf(buf, 24, "%.0f ms", s * 1e3);
	else if (s < 100)
		snprintf(buf, 24, "%.2f s", s);
	else
		snprintf(buf, 24, "%d:%02d:%02d", (int)(s / 3600), (int)(s / 60) % 60, (int)s % 60);
	return buf;
}

const char *text_age(int64_t ns, char buf[24])
{
	static const struct {
		long seconds;
		char unit;
	} steps[] = { { 2 * 86400, 'd' }, { 2 * 3600, 'h' }, { 2 * 60, 'm' }, { 0, 's' } };
	static const long units[] = { 86400, 3600, 60, 1 };
	long seconds = ns > 0 ? (long)(ns / 1000000000) : 0;
	unsigned i = 0;

	if (ns > 0 && seconds < 10) {
		snprintf(buf, 24, "%ld.%lds", seconds, (long)(ns / 100000000) % 10);
		return buf;
	}
	while (seconds < steps[i].seconds)
		i++;
	snprintf(buf, 24, "%ld%c", seconds / units[i], steps[i].unit);
	return buf;
}

const char *text_time(int64_t realtime_ns, char buf[40])
{
	time_t seconds = (time_t)(realtime_ns / 1000000000);
	struct tm tm;

	if (localtime_r(&seconds, &tm) == NULL || strftime(buf, 40, "%F %T%z", &tm) == 0)
		snprintf(buf, 40, "?");
	return buf;
}

/* Edits between two words: insert, delete, replace, or swap of neighbours (the optimal string
 * alignment distance). Words beyond 31 bytes count as far apart. */
static unsigned edits(const char *a, const char *b)
{
	enum { MAX = 32 };
	size_t n = strlen(a), m = strlen(b);
	unsigned d[MAX][MAX];

	if (n >= MAX || m >= MAX)
		return MAX;
	for (unsigned i = 0; i <= n; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= m; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			unsigned cost = a[i - 1] != b[j - 1];
			unsigned best = d[i - 1][j - 1] + cost;

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

void cli_near_offer(struct cli_near *near, const char *candidate)
{
	unsigned distance = edits(near->word, candidate);
	size_t length = strlen(near->word);
	unsigned limit = length <= 3 ? 1 : length <= 6 ? 2 : 3;

	if (strncmp(near->word, candidate, length) == 0 && length >= 2)
		distance = 1; /* the beginning of the word */
	if (distance <= limit && (near->best == NULL || distance < near->distance)) {
		near->best = candidate;
		near->distance = distance;
	}
}
