/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan.h - what of Tarn's lies in /dev/shm: regions, control files of System V regions, and the
 * passing names that a process killed while creating may have left.
 *
 * A file is known by its first bytes, or by its name; nothing is mapped and nothing is changed.
 */
#ifndef TARN_TOOLS_SCAN_H
#define TARN_TOOLS_SCAN_H

#include <stdbool.h>
#include <stdint.h>

enum scan_kind {
	SCAN_REGION = 1,  /* addr is its address */
	SCAN_CONTROL = 2, /* of a System V region of this IPC namespace; addr is that, or empty */
	SCAN_TEMP = 3,    /* a file that was to become a segment */
};

struct scan_found {
	enum scan_kind kind;
	char addr[280];
	char path[300];
	uint32_t uid;  /* owner */
	uint64_t size; /* bytes */
};

/* Call @fn for each until it returns non-zero, and return that. @ret_unreadable: files that may
 * be Tarn's, and may not be read; may be NULL. -errno if /dev/shm cannot be read. */
int scan_shm(int (*fn)(const struct scan_found *found, void *arg), void *arg,
	     uint64_t *ret_unreadable);

/* The addresses of all regions, in order. */
int scan_regions(int (*fn)(const char *addr, void *arg), void *arg);

/* Is nobody using the file at @path? For SCAN_TEMP the kernel's word that nobody has it open for
 * writing (a lease), for SCAN_CONTROL that nobody holds a lock on it. */
bool scan_unused(const struct scan_found *found);

#endif /* TARN_TOOLS_SCAN_H */
