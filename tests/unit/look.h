/* SPDX-License-Identifier: BSD-2-Clause */
/* look.h - what the tests that look at one segment share: objects, their extents, another user. */
#ifndef TESTS_UNIT_LOOK_H
#define TESTS_UNIT_LOOK_H

#include <grp.h>
#include <sys/prctl.h>

#include "host.h"

enum { PAGE = 4096 }; /* checked in main() */

enum { NOBODY = 65534 };

#define SKIP_BECAUSE(reason)                                                                       \
	do {                                                                                       \
		printf("# skip: %s\n", reason);                                                    \
		fflush(stdout);                                                                    \
		skip();                                                                            \
	} while (0)
#define NEED_ROOT()                                                                                \
	do {                                                                                       \
		if (geteuid() != 0)                                                                \
			SKIP_BECAUSE("needs root, to look into others or to be another");          \
	} while (0)

/* --- objects --------------------------------------------------------------------------------- */

static inline const char *object_path(const char *tail)
{
	static char path[64];

	snprintf(path, sizeof(path), "/dev/shm/hostlook%s", tail);
	return path;
}

static inline const char *object_addr(const char *tail)
{
	static char addr[2][64];
	char *at = addr[tail[0] == 'b'];

	snprintf(at, 64, "shm:hostlook%s", tail);
	return at;
}

static inline int object(const char *tail, off_t size)
{
	int fd;

	unlink(object_path(tail));
	fd = open(object_path(tail), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static inline void close_object(const char *tail, int fd)
{
	close(fd);
	unlink(object_path(tail));
}

/* Write to pages, in no page table of anybody. */
static inline void touch_file(int fd, off_t page, int count)
{
	char one = 1;

	for (int i = 0; i < count; i++)
		for (int k = 0; k < 2; k++)
			assert_int_equal(
				pwrite(fd, &one, 1, (page + i) * PAGE + (k == 0 ? 0 : PAGE - 1)),
				1);
}

/* --- extents --------------------------------------------------------------------------------- */

/* "hole 0-3 resident 3-5", in pages. */
struct survey {
	char text[4096];
	size_t used;
	uint64_t end;
	unsigned count;
	int32_t node[16];
};

static inline int add_extent(const struct tarn_host_extent *extent, void *arg)
{
	static const char *const words[] = { "?",    "resident", "swapped", "reserved",
					     "hole", "touched",  "unknown" };
	struct survey *survey = arg;
	uint64_t page = (uint64_t)PAGE;

	assert_int_equal(extent->off, survey->end); /* in order, without gaps */
	assert_true(extent->size > 0 && extent->kind >= 1 && extent->kind <= 6);
	survey->end = extent->off + extent->size;
	if (survey->count < 16)
		survey->node[survey->count] = extent->node;
	survey->used += (size_t)snprintf(
		survey->text + survey->used, sizeof(survey->text) - survey->used,
		"%s%s %" PRIu64 "-%" PRIu64, survey->count++ > 0 ? " " : "", words[extent->kind],
		extent->off / page, (survey->end + page - 1) / page);
	return 0;
}

static inline const char *extents_of(const char *addr)
{
	static struct survey survey;
	struct tarn_host *host = picture(TARN_HOST_FILES);
	struct tarn_diag diag = { "", "" };
	int r;

	memset(&survey, 0, sizeof(survey));
	r = tarn_host_extents(host, found(host, addr), add_extent, &survey, &diag);
	if (r != 0)
		fail_msg("extents of %s: %d %s", addr, r, diag.what);
	tarn_host_free(host);
	return survey.text;
}

static inline void assert_extents(const char *addr, const char *want)
{
	assert_string_equal(extents_of(addr), want);
}

/* What a test starts does not outlive it, even if it fails. */
static inline void die_with_parent(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* --- another user ---------------------------------------------------------------------------- */

static inline bool expect_text(const char *got, const char *want)
{
	if (strcmp(got, want) == 0)
		return true;
	fprintf(stderr, "# got: %s\n# not: %s\n", got, want);
	return false;
}

static inline void become_nobody(void)
{
	if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		_exit(77);
	(void)prctl(PR_SET_DUMPABLE,
		    1); /* its own may look into it, as with any process of theirs */
}

/* What @fn says as the user nobody. It must not fail by an assertion. */
static inline bool as_nobody(bool (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		become_nobody();
		_exit(fn() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#endif /* TESTS_UNIT_LOOK_H */
