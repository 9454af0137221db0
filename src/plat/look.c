/* SPDX-License-Identifier: BSD-2-Clause */
/* look.c - system calls that look at the host and change nothing. See plat.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plat/plat.h"
#include "plat/seam.h"

/* What statx() fills, as far as it is read; not every libc declares it. */
struct statx_abi {
	uint32_t mask;
	uint32_t skipped[19];
	int64_t birth_s;
	uint32_t birth_ns;
	int32_t reserved;
	uint64_t rest[20];
};
static_assert(offsetof(struct statx_abi, birth_s) == 80, "struct statx of the kernel");
static_assert(sizeof(struct statx_abi) == 256, "struct statx of the kernel");

enum { MASK_BIRTH = 0x800, DONT_SYNC = 0x4000 }; /* STATX_BTIME, AT_STATX_DONT_SYNC */

int tarn__plat_birth(const char *path, int64_t *ret_ns)
{
	struct statx_abi st = { 0 };

	SEAM(STATX);
	if (syscall(SYS_statx, AT_FDCWD, path, DONT_SYNC, MASK_BIRTH, &st) < 0)
		return last_error();
	if ((st.mask & MASK_BIRTH) == 0)
		return -EOPNOTSUPP;
	*ret_ns = st.birth_s * 1000000000 + st.birth_ns;
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
