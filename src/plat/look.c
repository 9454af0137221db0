/* SPDX-License-Identifier: BSD-2-Clause */
/* look.c - system calls that look at the host and change nothing. See plat.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

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

int64_t tarn__plat_seek_data(int fd, uint64_t off)
{
	SEAM(LSEEK);
	off_t at = lseek(fd, (off_t)off, SEEK_DATA);

	return at < 0 ? last_error() : (int64_t)at;
}

int64_t tarn__plat_seek_hole(int fd, uint64_t off)
{
	SEAM(LSEEK);
	off_t at = lseek(fd, (off_t)off, SEEK_HOLE);

	return at < 0 ? last_error() : (int64_t)at;
}

int tarn__plat_mincore(void *addr, size_t size, unsigned char *ret_pages)
{
	SEAM(MINCORE);
	return result(mincore(addr, size, ret_pages));
}

int tarn__plat_cachestat(int fd, uint64_t off, uint64_t size, uint64_t *ret_pages)
{
	/* struct cachestat_range and struct cachestat of <linux/mman.h> */
	uint64_t range[2] = { off, size };
	struct {
		uint64_t cached, dirty, writeback, evicted, recently_evicted;
	} stat;

	SEAM(CACHESTAT);
	if (syscall(SYS_cachestat, fd, range, &stat, 0) < 0)
		return last_error();
	*ret_pages = stat.cached;
	return 0;
}

int tarn__plat_nodes_in(int32_t pid, uint64_t addr, uint64_t page_size, uint32_t page_count,
			int32_t *ret_nodes)
{
	enum { CHUNK = 128 };
	void *pages[CHUNK];

	SEAM(MOVE_PAGES);
	for (uint32_t done = 0; done < page_count;) {
		uint32_t n = page_count - done < CHUNK ? page_count - done : CHUNK;

		for (uint32_t i = 0; i < n; i++)
			pages[i] = (void *)(uintptr_t)(addr + (done + i) * page_size);
		if (syscall(SYS_move_pages, pid, (unsigned long)n, pages, NULL, ret_nodes + done,
			    0) < 0)
			return last_error();
		done += n;
	}
	return 0;
}

ssize_t tarn__plat_copy(void *to, const void *from, size_t size)
{
	struct iovec local = { .iov_base = to, .iov_len = size };
	struct iovec remote = { .iov_base = (void *)(uintptr_t)from, .iov_len = size };
	ssize_t n;

	SEAM(VM_READ);
	n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
	return n < 0 ? last_error() : n;
}
