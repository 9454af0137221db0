/* SPDX-License-Identifier: BSD-2-Clause */
/* look.c - system calls that look at the host and change nothing. See plat.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "plat/plat.h"
#include "plat/seam.h"

int tarn__plat_birth(const char *path, int64_t *ret_ns)
{
	struct statx stx;

	SEAM(STATX);
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_BTIME, &stx) < 0)
		return last_error();
	if ((stx.stx_mask & STATX_BTIME) == 0)
		return -EOPNOTSUPP;
	*ret_ns = (int64_t)stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
	return 0;
}

int tarn__plat_pid_there(int32_t pid)
{
	SEAM(KILL);
	if (kill((pid_t)pid, 0) == 0 || errno == EPERM)
		return 1;
	return errno == ESRCH ? 0 : last_error();
}

int64_t tarn__plat_since_boot(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t tarn__plat_ticks_per_second(void)
{
	return (int64_t)sysconf(_SC_CLK_TCK);
}
