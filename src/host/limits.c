/* SPDX-License-Identifier: BSD-2-Clause */
/* limits.c - the table of limits, and what its groups share. See limits.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "host/host.h"
#include "host/limits.h"
#include "plat/lines.h"
#include "plat/plat.h"

/* --- rows ------------------------------------------------------------------------------------ */

static struct tarn__limit *new_row(struct tarn__limits *limits)
{
	struct tarn__limit *limit = calloc(1, sizeof(*limit));

	if (limit != NULL && limits->count == limits->room) {
		uint32_t room = limits->room == 0 ? 64 : limits->room * 2;
		struct tarn__limit **rows = realloc(limits->rows, room * sizeof(*rows));

		if (rows == NULL) {
			free(limit);
			limit = NULL;
		} else {
			limits->rows = rows;
			limits->room = room;
		}
	}
	if (limit == NULL) {
		limits->failed = true;
		return &limits->spare;
	}
	limits->rows[limits->count++] = limit;
	return limit;
}

/* Names of cgroups and mounts are other people's. */
static void put_words(char *buf, size_t size, const char *format, va_list ap)
{
	vsnprintf(buf, size, format, ap);
	tarn__plain(buf);
}

struct tarn__limit *tarn__limit_add(struct tarn__limits *limits, enum tarn_host_unit unit,
				    const char *what, const char *name, ...)
{
	struct tarn__limit *limit = new_row(limits);
	va_list ap;

	va_start(ap, name);
	put_words(limit->name, sizeof(limit->name), name, ap);
	va_end(ap);
	snprintf(limit->what, sizeof(limit->what), "%s", what);
	limit->pub = (struct tarn_host_limit){
		.name = limit->name,
		.what = limit->what,
		.source = limit->source,
		.unit = unit,
		.used = TARN_HOST_UNKNOWN,
	};
	limit->error = 0;
	return limit;
}

void tarn__limit_source(struct tarn__limit *limit, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_words(limit->source, sizeof(limit->source), format, ap);
	va_end(ap);
}

void tarn__limit_raise(struct tarn__limit *limit, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_words(limit->raise, sizeof(limit->raise), format, ap);
	va_end(ap);
	limit->pub.raise = limit->raise;
}

void tarn__limit_text(struct tarn__limit *limit, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_words(limit->text, sizeof(limit->text), format, ap);
	va_end(ap);
	limit->pub.text = limit->text;
}

const struct tarn__limit *tarn__limit_find(const struct tarn__limits *limits, const char *format,
					   ...)
{
	char name[64];
	va_list ap;

	va_start(ap, format);
	vsnprintf(name, sizeof(name), format, ap);
	va_end(ap);
	for (uint32_t i = 0; i < limits->count; i++)
		if (strcmp(limits->rows[i]->name, name) == 0)
			return limits->rows[i];
	return NULL;
}

/* --- reading --------------------------------------------------------------------------------- */

const char *tarn__under(const struct tarn__limits *limits, tarn__path buf, const char *format, ...)
{
	size_t used = strlen(limits->root);
	va_list ap;

	memcpy(buf, limits->root, used);
	va_start(ap, format);
	vsnprintf(buf + used, sizeof(tarn__path) - used, format, ap);
	va_end(ap);
	return buf;
}

struct tarn__limit *tarn__limit_sysctl(struct tarn__limits *limits, enum tarn_host_unit unit,
				       const char *name, const char *file, const char *what)
{
	struct tarn__limit *limit;
	tarn__path path;
	uint64_t value = 0;
	char dotted[64];
	int r = tarn__read_number(tarn__under(limits, path, "/proc/sys/%s", file), &value);

	if (r == -ENOENT && !limits->no_sysctl)
		return NULL;
	limit = tarn__limit_add(limits, unit, what, "%s", name);
	limit->pub.value = value;
	limit->error = r;
	tarn__limit_source(limit, "/proc/sys/%s", file);
	snprintf(dotted, sizeof(dotted), "%s", file);
	for (char *slash = dotted; (slash = strchr(slash, '/')) != NULL;)
		*slash = '.';
	tarn__limit_raise(limit, "sysctl -w %s=N", dotted);
	return limit;
}

int tarn__first_line(const char *path, char *buf, size_t size)
{
	ssize_t n = tarn__plat_read_text(path, buf, size);

	if (n < 0)
		return (int)n;
	buf[strcspn(buf, "\n")] = '\0';
	tarn__plain(buf);
	return 0;
}

static int count_line(char *line, void *arg)
{
	(void)line;
	++*(uint64_t *)arg;
	return 0;
}

int tarn__count_lines(const char *path, uint64_t *ret_count)
{
	uint64_t count = 0;
	int r = tarn__each_line(path, count_line, &count);

	if (r == 0)
		*ret_count = count;
	return r;
}

const char *tarn__page_word(uint64_t page_size, char buf[24])
{
	uint64_t kib = page_size >> 10;

	if (kib != 0 && kib % (1u << 20) == 0)
		snprintf(buf, 24, "%" PRIu64 "G", kib >> 20);
	else if (kib != 0 && kib % (1u << 10) == 0)
		snprintf(buf, 24, "%" PRIu64 "M", kib >> 10);
	else
		snprintf(buf, 24, "%" PRIu64 "K", kib);
	return buf;
}

static int match_capabilities(char *line, void *arg)
{
	return sscanf(line, "CapEff: %" SCNx64, (uint64_t *)arg) == 1 ? 1 : 0;
}

bool tarn__capable(const struct tarn__limits *limits, unsigned bit)
{
	uint64_t mask = 0;
	tarn__path path;

	(void)tarn__each_line(tarn__under(limits, path, "/proc/self/status"), match_capabilities,
			      &mask);
	return (mask >> bit & 1) != 0;
}

/* --- the whole table ------------------------------------------------------------------------- */

int tarn__root_of(const struct tarn_host_opts *opts, char root[TARN__ROOT_MAX])
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	const char *given = opts != NULL && opts->root != NULL ? opts->root : "";
	size_t size = strlen(given);

	if (opts != NULL && opts->root != NULL && size == 0)
		return tarn__diag(diag, -EINVAL, "the root is empty");
	if (size >= TARN__ROOT_MAX)
		return tarn__diag(diag, -EINVAL, "the root has %zu bytes, at most %d fit", size,
				  TARN__ROOT_MAX - 1);
	while (size > 0 && given[size - 1] == '/')
		size--;
	memcpy(root, given, size);
	root[size] = '\0';
	return 0;
}

static void (*const groups[])(struct tarn__limits *limits) = {
	tarn__limits_of_shm,        tarn__limits_of_sysv,    tarn__limits_of_process,
	tarn__limits_of_memory,     tarn__limits_of_cgroups, tarn__limits_of_huge_pages,
	tarn__limits_of_nodes,      tarn__limits_of_logind,  tarn__limits_of_kernel,
	tarn__limits_of_namespaces,
};

int tarn__limits_read(const struct tarn_host_opts *opts, struct tarn__limits *ret_limits)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct tarn__limits limits = { .count = 0 };
	tarn__path path;
	struct stat st;
	int r = tarn__root_of(opts, limits.root);

	if (r < 0)
		return r;
	r = tarn__plat_stat(tarn__under(&limits, path, "/proc"), true, &st);
	if (r < 0 || !S_ISDIR(st.st_mode)) {
		tarn__diag(diag, -ENOENT, "there is no %.200s/proc", limits.root);
		tarn__diag_hint(diag,
				"mount -t proc proc /proc, or name the directory that has it");
		return -ENOENT;
	}
	limits.no_sysctl = tarn__plat_stat(tarn__under(&limits, path, "/proc/sys"), true, &st) < 0;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		groups[i](&limits);
	if (limits.failed) {
		tarn__limits_free(&limits);
		return tarn__diag(diag, -ENOMEM, "no memory for the table of limits");
	}
	*ret_limits = limits;
	return 0;
}

void tarn__limits_free(struct tarn__limits *limits)
{
	for (uint32_t i = 0; i < limits->count; i++)
		free(limits->rows[i]);
	free(limits->rows);
	limits->rows = NULL;
	limits->count = limits->room = 0;
}

int tarn_host_limits(const struct tarn_host_opts *opts,
		     int (*fn)(const struct tarn_host_limit *limit, void *arg), void *arg,
		     uint32_t *ret_unreadable)
{
	struct tarn__limits limits;
	uint32_t unreadable = 0;
	int r = tarn__limits_read(opts, &limits);

	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < limits.count; i++) {
		if (limits.rows[i]->error != 0)
			unreadable++;
		else
			r = fn(&limits.rows[i]->pub, arg);
	}
	tarn__limits_free(&limits);
	if (r == 0 && ret_unreadable != NULL)
		*ret_unreadable = unreadable;
	return r;
}
