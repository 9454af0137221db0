/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits.h - the limits of the host as a table that is read once, then printed or judged.
 *
 * Findings are judged from the same rows that tarn_host_limits() gives, so that what `tarn doctor`
 * complains of stands in `tarn limits` with the same figure. A row that should be there and could
 * not be read is kept, with the error in it.
 */
#ifndef TARN_HOST_LIMITS_H
#define TARN_HOST_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/host.h>

#include "segment/room.h"

struct tarn__limit {
	struct tarn_host_limit pub; /* its words are those below */
	int error;                  /* 0, or why there is no value */
	char name[64];
	char what[112];
	char source[400];
	char raise[400];
	char text[160];
};

struct tarn__limits {
	char root[TARN__ROOT_MAX]; /* "" = this host's own */
	struct tarn__limit **rows;
	uint32_t count, room;
	bool no_sysctl;           /* there is no proc/sys: what is missing in it should be there */
	bool failed;              /* out of memory */
	struct tarn__limit spare; /* written to then */
};

typedef char tarn__path[TARN__ROOT_MAX + 512];

/* --- limits.c -------------------------------------------------------------------------------- */

/* Return: 0, -ENOENT (no proc under the root), -EINVAL (the root), -ENOMEM. */
int tarn__limits_read(const struct tarn_host_opts *opts, struct tarn__limits *ret_limits);
void tarn__limits_free(struct tarn__limits *limits);
/* The row called that, readable or not; NULL = it does not concern this host. */
const struct tarn__limit *tarn__limit_find(const struct tarn__limits *limits, const char *format,
					   ...) __attribute__((format(printf, 2, 3)));
/* opts->root made canonical; -EINVAL. */
int tarn__root_of(const struct tarn_host_opts *opts, char root[TARN__ROOT_MAX]);

/* A new row; never NULL. @name as printf. */
struct tarn__limit *tarn__limit_add(struct tarn__limits *limits, enum tarn_host_unit unit,
				    const char *what, const char *name, ...)
	__attribute__((format(printf, 4, 5)));
void tarn__limit_source(struct tarn__limit *limit, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void tarn__limit_raise(struct tarn__limit *limit, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void tarn__limit_text(struct tarn__limit *limit, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A row for the number in proc/sys/@file; NULL where this kernel has no such file. */
struct tarn__limit *tarn__limit_sysctl(struct tarn__limits *limits, enum tarn_host_unit unit,
				       const char *name, const char *file, const char *what);
/* Root and printf(@format). */
const char *tarn__under(const struct tarn__limits *limits, tarn__path buf, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The first line of a file, control characters replaced; 0 or the error. */
int tarn__first_line(const char *path, char *buf, size_t size);
/* Lines of a file; 0 or the error. */
int tarn__count_lines(const char *path, uint64_t *ret_count);
/* "2M", "1G", "64K" for names. */
const char *tarn__page_word(uint64_t page_size, char buf[24]);
/* Capability number @bit of this process, by proc/self/status. */
bool tarn__capable(const struct tarn__limits *limits, unsigned bit);
enum { TARN__CAP_IPC_LOCK = 14, TARN__CAP_SYS_PTRACE = 19 };

/* --- one function a group -------------------------------------------------------------------- */

void tarn__limits_of_shm(struct tarn__limits *limits);
void tarn__limits_of_sysv(struct tarn__limits *limits);
void tarn__limits_of_process(struct tarn__limits *limits);
void tarn__limits_of_memory(struct tarn__limits *limits);
void tarn__limits_of_huge_pages(struct tarn__limits *limits);
void tarn__limits_of_nodes(struct tarn__limits *limits);
void tarn__limits_of_cgroups(struct tarn__limits *limits);
void tarn__limits_of_logind(struct tarn__limits *limits);
void tarn__limits_of_namespaces(struct tarn__limits *limits);
void tarn__limits_of_kernel(struct tarn__limits *limits);

#endif /* TARN_HOST_LIMITS_H */
