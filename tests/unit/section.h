/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * section.h - what the unit tests of sections at their edges share: a region with two sections, and
 * words that they guard. An alarm ends what a fault would make last for ever.
 */
#ifndef TESTS_UNIT_SECTION_H
#define TESTS_UNIT_SECTION_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "child.h"
#include "sync/section.h"

static struct tarn_region *region;
static struct tarn_tx *tx;
static uint64_t *words;
static _Atomic uint32_t *flag; /* in the region, beside them */

/* @one comes before @two in the order of their offsets, and of the directory. */
static inline int make_two(const char *one, struct tarn_section **ret_one, const char *two,
			   struct tarn_section **ret_two)
{
	const struct tarn_section_opts opts = { .journal_size = 256 };
	void *p;

	tx = NULL;
	alarm(60);
	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_section_open(region, one, &opts, ret_one) < 0 ||
	    tarn_section_open(region, two, &opts, ret_two) < 0 ||
	    tarn_object_create(region, "data", 4096, &p, NULL) < 0)
		return -1;
	words = p;
	flag = (_Atomic uint32_t *)&words[500];
	return 0;
}

static inline void drop_two(struct tarn_section *one, struct tarn_section *two)
{
	tarn_section_close(one);
	tarn_section_close(two);
	tarn_region_close(region);
	alarm(0);
}

#endif /* TESTS_UNIT_SECTION_H */
