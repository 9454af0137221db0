/* SPDX-License-Identifier: BSD-2-Clause */
/* survey.h - one tarn_host_extents(): what its files share. */
#ifndef TARN_HOST_SURVEY_H
#define TARN_HOST_SURVEY_H

#include "host/reach.h"

struct tarn__survey {
	const struct tarn_host *host;
	const struct tarn_host_segment *segment;
	int (*fn)(const struct tarn_host_extent *extent, void *arg);
	void *arg;
	uint64_t size;    /* of the segment, bytes, now */
	uint64_t granule; /* size of its pages */
	int32_t node;     /* the one with memory; -1 = there are several, or it is not known */
	bool nodes;       /* there are several: ask */
	bool viewed;      /* views were read */
	struct tarn__views views;
	struct tarn__pagemap pagemap;
	struct tarn_host_extent last; /* not yet handed over, the next may go on with it; size 0:
					 none */
};

/* [@off, @end) is of @kind: in order, without gaps. Return: 0, what fn returned. */
int tarn__survey_put(struct tarn__survey *survey, uint64_t off, uint64_t end,
		     enum tarn_host_extent_kind kind);

/* --- tables.c: by the page tables of those who map it ---------------------------------------- */

/* Put all of the segment. @in_memory: bytes of it that are, if that is known: once so many are seen
 * the rest is a hole. Return: 0, what fn returned, -EACCES, -ENOENT, -ENOMEM, -EMFILE. */
int tarn__survey_tables(struct tarn__survey *survey, uint64_t in_memory);
/* On which node each of @count granules from @off on lies; -1 = not known. */
void tarn__survey_nodes(struct tarn__survey *survey, uint64_t off, uint32_t count,
			int32_t *ret_nodes);

#endif /* TARN_HOST_SURVEY_H */
