/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan.h - which of Tarn's regions there are: files in /dev/shm, and System V segments by their
 * control files.
 *
 * A file is known by its first bytes, or by its name; nothing is mapped and nothing is changed.
 */
#ifndef TARN_TOOLS_SCAN_H
#define TARN_TOOLS_SCAN_H

#include <stdbool.h>
#include <stdint.h>

enum scan_kind {
	SCAN_REGION = 1,  /* addr is its address */
	SCAN_CONTROL = 2, /* of a System V region of this IPC namespace; addr is that */
};

struct scan_found {
	enum scan_kind kind;
	char addr[280];
	char path[300];
	uint32_t uid;  /* owner */
	uint64_t size; /* bytes */
};

/* Call @fn for each until it returns non-zero, and return that. @ret_unreadable: files that may
 * be Tarn's and may not be read; may be NULL. -errno if /dev/shm cannot be read. */
int scan_shm(int (*fn)(const struct scan_found *found, void *arg), void *arg,
	     uint64_t *ret_unreadable);

/* The addresses of all regions, in order. */
int scan_regions(int (*fn)(const char *addr, void *arg), void *arg, uint64_t *ret_unreadable);

#endif /* TARN_TOOLS_SCAN_H */
