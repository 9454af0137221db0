/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mutants.c - preloaded into tarn, this seeds the fault that TARN_MUTANT names, to show that
 * dev/killpairs sees it:
 *
 *   drop    write fewer bytes to standard output than are said to be written
 *   blind   tarn sees nothing in any directory, so that gc finds nothing
 *   lie     take a dead peer for one that finished: recv ends with 0 in the middle of a stream
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <tarn/ring.h>

static int is(const char *name)
{
	const char *wanted = getenv("TARN_MUTANT");

	return wanted != NULL && strcmp(wanted, name) == 0;
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	ssize_t (*real)(int, const struct iovec *, int);
	struct iovec copy[64];
	ssize_t n;

	*(void **)&real = next("writev");
	if (!is("drop") || fd != 1 || count < 1 || count > 64 || parts[0].iov_len < 2)
		return real(fd, parts, count);
	memcpy(copy, parts, (size_t)count * sizeof(copy[0]));
	copy[0].iov_len--;
	n = real(fd, copy, 1);
	return n < 0 ? n : n + 1;
}

/* The name under which programs of 64-bit offsets call readdir(). */
struct dirent64 *readdir64(DIR *dir)
{
	struct dirent64 *(*real)(DIR *);

	*(void **)&real = next("readdir64");
	/* it is preloaded into the script as well */
	return is("blind") && strcmp(program_invocation_short_name, "tarn") == 0 ? NULL : real(dir);
}

int tarn_ring_peek_wait(struct tarn_ring *ring, int64_t deadline, const void **ret_data,
			size_t *ret)
{
	int (*real)(struct tarn_ring *, int64_t, const void **, size_t *);

	*(void **)&real = next("tarn_ring_peek_wait");

	int r = real(ring, deadline, ret_data, ret);

	if (is("lie") && r == -EPIPE)
		_exit(0);
	return r;
}
