/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plain.h - what the plain programs say and expect. Nothing here knows of Tarn.
 *
 *     PROGRAM make NAME    make the memory of 64 KiB, leave "plain" at its start
 *     PROGRAM use NAME     find it, expect "tarn" at its start, leave "plain" after 4096 bytes
 *     PROGRAM count NAME   find it, add 1 a hundred thousand times to the word after 8192 bytes
 *     PROGRAM drop NAME    find it, expect "tarn" after 4096 bytes, remove its name
 */
#ifndef TESTS_INTEROP_PLAIN_H
#define TESTS_INTEROP_PLAIN_H

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 65536, SECOND = 4096, WORD = 8192, ROUNDS = 100000 };

static inline int complain(const char *what)
{
	perror(what);
	return 1;
}

static inline int expect(const char *at, const char *text)
{
	if (strcmp(at, text) == 0)
		return 0;
	fprintf(stderr, "'%.16s' is there, not '%s'\n", at, text);
	return 1;
}

/* What each command does with the memory once it has it. */
static inline int act(const char *command, char *memory)
{
	if (strcmp(command, "make") == 0) {
		snprintf(memory, 16, "plain");
		return 0;
	}
	if (strcmp(command, "use") == 0) {
		snprintf(memory + SECOND, 16, "plain");
		return expect(memory, "tarn");
	}
	if (strcmp(command, "count") == 0) {
		for (int i = 0; i < ROUNDS; i++)
			atomic_fetch_add((_Atomic unsigned *)(memory + WORD), 1);
		return 0;
	}
	return expect(memory + SECOND, "tarn");
}

#endif /* TESTS_INTEROP_PLAIN_H */
