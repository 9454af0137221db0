/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * duet.h - two threads of one process over one region, for ThreadSanitizer, which sees races
 * between threads only. Between processes the code and the memory are the same. What the programs
 * of this folder share; each is one C file beside it:
 *
 *   PROGRAM         the names of its cases, one a line; status 2
 *   PROGRAM CASE    by number: 0 all well, 1 something came out wrong, 66 (by TSAN_OPTIONS) a race
 */
#ifndef TESTS_TSAN_DUET_H
#define TESTS_TSAN_DUET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <tarn/tarn.h>

/* A case: what each thread does. */
struct duet {
	const char *name;
	void *(*one)(void *);
	void *(*other)(void *);
};

static struct tarn_region *region;

static inline void die(const char *what, int r)
{
	fprintf(stderr, "%s: %d\n", what, r);
	exit(1);
}

static inline void must(const char *what, int r)
{
	if (r != 0)
		die(what, r);
}

static inline void expect(const char *what, bool good)
{
	if (!good)
		die(what, 0);
}

/* The case that is asked for, with the region made. */
static inline size_t duet_begin(int argc, char **argv, const struct duet *cases, size_t count)
{
	size_t i = argc == 2 ? (size_t)strtoul(argv[1], NULL, 10) : count;

	if (i >= count) {
		for (i = 0; i < count; i++)
			puts(cases[i].name);
		exit(2);
	}
	must("region", tarn_region_create("anon:", NULL, &region));
	return i;
}

static inline void duet_run(const struct duet *duet)
{
	pthread_t one, other;

	must("thread", pthread_create(&one, NULL, duet->one, NULL));
	must("thread", pthread_create(&other, NULL, duet->other, NULL));
	pthread_join(one, NULL);
	pthread_join(other, NULL);
	must("check", tarn_region_check(region, NULL, NULL));
}

static inline void duet_end(void)
{
	tarn_region_close(region);
}

#endif /* TESTS_TSAN_DUET_H */
