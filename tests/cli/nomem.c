/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nomem.c - preloaded into tarn, this makes allocation number TARN_NOMEM fail, and that one alone:
 * 0 is the first that the program makes. By the second names that glibc has for its allocator,
 * since looking up the first ones would allocate.
 */
#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static int fails(void)
{
	static long left = -2; /* until it is read; -1 = never */
	const char *wanted;

	if (left == -2) {
		wanted = getenv("TARN_NOMEM");
		left = wanted != NULL ? strtol(wanted, NULL, 10) : -1;
	}
	if (left < 0)
		return 0;
	if (left-- > 0)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

/* That of glibc 2.36 follows a null pointer where it runs out of memory, which is not tarn's. */
struct passwd *getpwuid(uid_t uid)
{
	(void)uid;
	return NULL;
}
