/* SPDX-License-Identifier: BSD-2-Clause */
/* segment.h - what the unit tests of segments share: names of their own, and clean ends. */
#ifndef TESTS_UNIT_SEGMENT_H
#define TESTS_UNIT_SEGMENT_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "plat/plat.h"
#include "segment/segment.h"

#define KIB 1024ull
#define MIB (1024ull * KIB)

/* "shm:" and the like before a name that no other test process has; kept until the next 8 calls. */
static inline const char *own_name(const char *scheme, const char *tag)
{
	static char names[8][256];
	static unsigned turn;
	char *name = names[turn++ % 8];

	snprintf(name, sizeof(names[0]), "%starn-unit-%d-%s", scheme, (int)getpid(), tag);
	return name;
}

static inline const char *shm_path(const char *tag)
{
	return own_name("/dev/shm/", tag);
}

static inline struct tarn_segment *created(const char *addr, const struct tarn_segment_opts *opts)
{
	struct tarn_segment_opts with = *opts;
	struct tarn_segment *seg = NULL;
	struct tarn_diag diag = { "", "" };
	int r;

	with.diag = &diag;
	r = tarn_segment_create(addr, &with, &seg);
	if (r < 0)
		fail_msg("create %s: %d, %s (%s)", addr, r, diag.what, diag.hint);
	assert_string_equal(diag.what, ""); /* written on failure only */
	return seg;
}

static inline struct tarn_segment *opened(const char *addr, const struct tarn_segment_opts *opts)
{
	struct tarn_segment_opts with = { 0 };
	struct tarn_segment *seg = NULL;
	struct tarn_diag diag = { "", "" };
	int r;

	if (opts != NULL)
		with = *opts;
	with.diag = &diag;
	r = tarn_segment_open(addr, &with, &seg);
	if (r < 0)
		fail_msg("open %s: %d, %s (%s)", addr, r, diag.what, diag.hint);
	assert_string_equal(diag.what, "");
	return seg;
}

/* Creation must fail with @error, say @word in what or hint, and leave *ret_seg alone. */
static inline void create_fails(const char *addr, const struct tarn_segment_opts *opts, int error,
				const char *word)
{
	struct tarn_segment_opts with = *opts;
	struct tarn_segment *untouched = (void *)opts, *seg = untouched;
	struct tarn_diag diag = { "", "" };
	char both[600];
	int r;

	with.diag = &diag;
	r = tarn_segment_create(addr, &with, &seg);
	snprintf(both, sizeof(both), "%s (%s)", diag.what, diag.hint);
	if (r != error || strstr(both, word) == NULL)
		fail_msg("create %.80s: %d, not %d; %s; not '%s'", addr, r, error, both, word);
	assert_ptr_equal(seg, untouched);
}

static inline void open_fails(const char *addr, const struct tarn_segment_opts *opts, int error,
			      const char *word)
{
	struct tarn_segment_opts with = { 0 };
	struct tarn_segment *untouched = (void *)&with, *seg = untouched;
	struct tarn_diag diag = { "", "" };
	char both[600];
	int r;

	if (opts != NULL)
		with = *opts;
	with.diag = &diag;
	r = tarn_segment_open(addr, &with, &seg);
	snprintf(both, sizeof(both), "%s (%s)", diag.what, diag.hint);
	if (r != error || strstr(both, word) == NULL)
		fail_msg("open %.80s: %d, not %d; %s; not '%s'", addr, r, error, both, word);
	assert_ptr_equal(seg, untouched);
}

/* Run @body in a child. What it returns, or 128 and the signal that killed it. */
static inline int in_child(int (*body)(void *arg), void *arg)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* not the test runner's handlers */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		_exit(body(arg));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The address sanitizer makes mlock() do nothing, and maps terabytes itself. */
#if defined(__SANITIZE_ADDRESS__)
#define UNSANITIZED false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNSANITIZED false
#endif
#endif
#ifndef UNSANITIZED
#define UNSANITIZED true
#endif

#define SKIP_BECAUSE(...)                                                                          \
	do {                                                                                       \
		print_message("# skip: " __VA_ARGS__);                                             \
		print_message("\n");                                                               \
		skip();                                                                            \
	} while (0)

#endif /* TESTS_UNIT_SEGMENT_H */
