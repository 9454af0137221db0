/* SPDX-License-Identifier: BSD-2-Clause */
/* host.h - what the tests of the picture of the host share. */
#ifndef TESTS_UNIT_HOST_H
#define TESTS_UNIT_HOST_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/host.h"

static inline struct tarn_host *picture(uint32_t flags)
{
	struct tarn_diag diag = { "", "" };
	struct tarn_host *host = NULL;
	int r = tarn_host_scan(&(struct tarn_host_opts){ .flags = flags, .diag = &diag }, &host);

	if (r != 0)
		fail_msg("scan: %d %s", r, diag.what);
	return host;
}

static inline const struct tarn_host_segment *found(struct tarn_host *host, const char *addr)
{
	const struct tarn_host_segment *seg = NULL;
	struct tarn_diag diag = { "", "" };
	int r = tarn_host_find(host, addr, &seg, &diag);

	if (r != 0)
		fail_msg("find %s: %d %s", addr, r, diag.what);
	return seg;
}

static inline int find_error(struct tarn_host *host, const char *addr, struct tarn_diag *diag)
{
	const struct tarn_host_segment *seg = NULL;
	int r;

	*diag = (struct tarn_diag){ "", "" };
	r = tarn_host_find(host, addr, &seg, diag);
	assert_null(seg);
	return r;
}

/* A child that runs @fn, says that it has, and stays until it is ended. */
static inline pid_t holder(void (*fn)(void *arg), void *arg)
{
	int pair[2];
	char done;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
		fn(arg);
		if (write(pair[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(pair[0], &done, 1), 1);
	close(pair[0]);
	close(pair[1]);
	return pid;
}

static inline void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* How @pid uses @seg; mapping_count 0 and fd_count 0 if it does not. */
struct use_search {
	pid_t pid;
	struct tarn_host_use use;
};

static inline int match_use(const struct tarn_host_use *use, void *arg)
{
	struct use_search *search = arg;

	if (use->process->pid != search->pid)
		return 0;
	search->use = *use;
	return 1;
}

static inline struct tarn_host_use use_of(const struct tarn_host *host,
					  const struct tarn_host_segment *seg, pid_t pid)
{
	struct use_search search = { .pid = pid, .use = { .fd = -1 } };

	(void)!tarn_host_uses(host, seg, NULL, match_use, &search);
	return search.use;
}

#endif /* TESTS_UNIT_HOST_H */
