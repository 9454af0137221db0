/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plat.c - the system calls, and the fault seam in front of them. See plat.h.
 *
 * Nothing here knows what a segment or a region is. Calls that libc wraps go through libc;
 * those that it does not (futex, membarrier, mbind ...) through syscall(). Time is 64 bits
 * wide on every architecture, hence futex_time64 where time_t of the kernel is not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plat/plat.h"
#include "plat/seam.h"

#ifndef SYS_futex_time64
#define SYS_futex_time64 SYS_futex
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum { NO_REPLACE = 1 << 0 }; /* RENAME_NOREPLACE of <linux/fs.h> */

enum {
	MEMBARRIER_QUERY = 0,
	MEMBARRIER_GLOBAL = 1 << 0,
	MEMBARRIER_GLOBAL_EXPEDITED = 1 << 1,
	MEMBARRIER_REGISTER_GLOBAL_EXPEDITED = 1 << 2,
};

int (*tarn__plat_fault)(enum tarn_plat_call call);

static const char *const call_names[] = {
#define ROW(name, text) text,
	TARN_PLAT_CALLS(ROW)
#undef ROW
};

const char *tarn__plat_call_name(enum tarn_plat_call call)
{
	return (unsigned)call < TARN_PLAT_CALL_COUNT ? call_names[call] : "?";
}

/* --- files --------------------------------------------------------------------------------- */

int tarn__plat_open(const char *path, int flags, uint32_t mode)
{
	int fd;

	SEAM(OPEN);
	do {
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY, (mode_t)mode);
	} while (fd < 0 && errno == EINTR);
	return above_stdio(fd);
}

void tarn__plat_close(int fd)
{
	if (fd < 0)
		return;
	SEAM_COUNT(CLOSE);
	close(fd);
}

int tarn__plat_reopen(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return tarn__plat_open(path, flags, 0);
}

int tarn__plat_dup(int fd)
{
	SEAM(DUP);
	return result(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

int tarn__plat_fstat(int fd, struct stat *ret_st)
{
	SEAM(FSTAT);
	return result(fstat(fd, ret_st));
}

int tarn__plat_stat(const char *path, bool follow, struct stat *ret_st)
{
	SEAM(STAT);
	return result(fstatat(AT_FDCWD, path, ret_st, follow ? 0 : AT_SYMLINK_NOFOLLOW));
}

int tarn__plat_fstatfs(int fd, struct tarn_plat_fs *ret_fs)
{
	struct statfs fs;

	SEAM(FSTATFS);
	if (fstatfs(fd, &fs) < 0)
		return last_error();
	ret_fs->type = (uint64_t)(unsigned long)fs.f_type;
	ret_fs->block_size = (uint64_t)fs.f_bsize;
	ret_fs->size = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
	ret_fs->avail = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	ret_fs->files = (uint64_t)fs.f_files;
	ret_fs->files_free = (uint64_t)fs.f_ffree;
	ret_fs->read_only = ((unsigned long)fs.f_flags & ST_RDONLY) != 0;
	return 0;
}

int tarn__plat_ftruncate(int fd, uint64_t size)
{
	SEAM(FTRUNCATE);
	return result(ftruncate(fd, (off_t)size));
}

/* A signal makes tmpfs undo all it has reserved, and a timer that fires faster than the whole can
 * be had would make that go on for ever: so the second try is made with signals held back. */
static int fallocate_in_peace(int fd, uint64_t off, uint64_t size)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	do {
		r = result(fallocate(fd, 0, (off_t)off, (off_t)size));
	} while (r == -EINTR);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int tarn__plat_fallocate(int fd, uint64_t off, uint64_t size)
{
	uint64_t file_max = 0;
	int r;

	SEAM(FALLOCATE);
	r = tarn__plat_rlimit(RLIMIT_FSIZE, &file_max);
	if (r < 0)
		return r;
	if (off + size < off || off + size > file_max)
		return -EFBIG;
	r = result(fallocate(fd, 0, (off_t)off, (off_t)size));
	return r == -EINTR ? fallocate_in_peace(fd, off, size) : r;
}

int tarn__plat_link(int fd, const char *path)
{
	char from[32];

	SEAM(LINK);
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	return result(linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

int tarn__plat_unlink(const char *path)
{
	SEAM(UNLINK);
	return result(unlink(path));
}

int tarn__plat_rename(const char *from, const char *to)
{
	SEAM(RENAME);
	return result(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, NO_REPLACE));
}

int tarn__plat_readlink(const char *path, char *buf, size_t size)
{
	SEAM(READLINK);
	if (size == 0)
		return -EINVAL;

	ssize_t n = readlink(path, buf, size - 1);

	if (n < 0)
		return last_error();
	buf[n] = '\0';
	return (int)n;
}

ssize_t tarn__plat_pread(int fd, void *buf, size_t size, uint64_t off)
{
	ssize_t n;

	SEAM(PREAD);
	do {
		n = pread(fd, buf, size, (off_t)off);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? last_error() : n;
}

ssize_t tarn__plat_pwrite(int fd, const void *buf, size_t size, uint64_t off)
{
	ssize_t n;

	SEAM(PWRITE);
	do {
		n = pwrite(fd, buf, size, (off_t)off);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? last_error() : n;
}

ssize_t tarn__plat_read_text(const char *path, char *buf, size_t size)
{
	/* never waiting: under a root of the caller's choice a pipe may stand there */
	int fd = tarn__plat_open(path, O_RDONLY | O_NONBLOCK, 0);

	if (fd < 0)
		return fd;

	size_t used = 0;
	ssize_t n = 0;

	while (used + 1 < size) {
		n = read(fd, buf + used, size - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	buf[used] = '\0';
	int err = errno;

	tarn__plat_close(fd);
	return n < 0 ? -err : (ssize_t)used;
}

int tarn__plat_listdir(const char *path, int (*fn)(const char *name, void *arg), void *arg)
{
	SEAM(LISTDIR);
	DIR *dir = opendir(path);

	if (dir == NULL)
		return last_error();

	struct dirent *entry;
	int r = 0;

	errno = 0;
	while (r == 0 && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = fn(entry->d_name, arg);
		errno = 0;
	}
	if (r == 0 && errno != 0)
		r = -errno;
	closedir(dir);
	return r;
}

int tarn__plat_fchmod(int fd, uint32_t mode)
{
	SEAM(FCHMOD);
	return result(fchmod(fd, (mode_t)mode));
}

int tarn__plat_fchown(int fd, uint32_t uid, uint32_t gid)
{
	SEAM(FCHOWN);
	return result(fchown(fd, (uid_t)uid, (gid_t)gid));
}

/* --- memory -------------------------------------------------------------------------------- */

size_t tarn__plat_page_size(void)
{
	static _Atomic size_t cached;
	/* relaxed: every thread that misses computes the same number */
	size_t size = atomic_load_explicit(&cached, memory_order_relaxed);

	if (size == 0) {
		size = (size_t)sysconf(_SC_PAGESIZE);
		atomic_store_explicit(&cached, size, memory_order_relaxed);
	}
	return size;
}

int tarn__plat_mmap(void *addr, size_t size, int prot, int flags, int fd, uint64_t off,
		    void **ret_addr)
{
	SEAM(MMAP);
	void *p = mmap(addr, size, prot, flags, fd, (off_t)off);

	if (p == MAP_FAILED)
		return last_error();
	*ret_addr = p;
	return 0;
}

void tarn__plat_munmap(void *addr, size_t size)
{
	SEAM_COUNT(MUNMAP);
	munmap(addr, size);
}

int tarn__plat_mirror(void *from, size_t size, void *to)
{
	SEAM(MREMAP);
	/* an old size of 0 leaves the old mapping and makes another of the same pages */
	void *p = mremap(from, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	return p == MAP_FAILED ? last_error() : 0;
}

int tarn__plat_mprotect(void *addr, size_t size, int prot)
{
	SEAM(MPROTECT);
	return result(mprotect(addr, size, prot));
}

int tarn__plat_madvise(void *addr, size_t size, int advice)
{
	SEAM(MADVISE);
	return result(madvise(addr, size, advice));
}

int tarn__plat_msync(void *addr, size_t size, int flags)
{
	SEAM(MSYNC);
	return result(msync(addr, size, flags));
}

int tarn__plat_mlock(void *addr, size_t size)
{
	SEAM(MLOCK);
	return result(mlock(addr, size));
}

int tarn__plat_munlock(void *addr, size_t size)
{
	SEAM(MUNLOCK);
	return result(munlock(addr, size));
}

int tarn__plat_mbind(void *addr, size_t size, int mode, uint64_t nodes, unsigned flags)
{
	/* two longs where a long has 32 bits; the kernel reads maxnode - 1 bits */
	unsigned long mask[2] = { (unsigned long)nodes, (unsigned long)(nodes >> 32) };

	SEAM(MBIND);
	if (sizeof(unsigned long) == 8)
		mask[1] = 0;
	return result(syscall(SYS_mbind, addr, (unsigned long)size, mode, mask, 65ul, flags));
}

int tarn__plat_nodes_of(void *addr, size_t page_size, uint32_t page_count, int32_t *ret_nodes)
{
	enum { CHUNK = 128 };
	void *pages[CHUNK];

	SEAM(MOVE_PAGES);
	for (uint32_t done = 0; done < page_count;) {
		uint32_t n = page_count - done < CHUNK ? page_count - done : CHUNK;

		for (uint32_t i = 0; i < n; i++)
			pages[i] = (char *)addr + (size_t)(done + i) * page_size;
		if (syscall(SYS_move_pages, 0, (unsigned long)n, pages, NULL, ret_nodes + done, 0) <
		    0)
			return last_error();
		done += n;
	}
	return 0;
}

int tarn__plat_memfd(const char *name, unsigned flags)
{
	SEAM(MEMFD);
	/* Linux before 6.3 refuses the flag that newer ones warn about when it is absent. */
	int fd = memfd_create(name, flags | MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags | MFD_CLOEXEC);
	return above_stdio(fd);
}

int tarn__plat_seals_add(int fd, unsigned seals)
{
	SEAM(SEALS_ADD);
	return result(fcntl(fd, F_ADD_SEALS, seals));
}

int tarn__plat_seals_get(int fd, unsigned *ret_seals)
{
	SEAM(SEALS_GET);
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0)
		return last_error();
	*ret_seals = (unsigned)seals;
	return 0;
}

/* --- System V ------------------------------------------------------------------------------ */

int tarn__plat_shmget(int key, uint64_t size, int flags)
{
	SEAM(SHMGET);
	if (size > SIZE_MAX)
		return -ENOMEM;
	return result(shmget((key_t)key, (size_t)size, flags));
}

int tarn__plat_shmat(int id, void *addr, int flags, void **ret_addr)
{
	SEAM(SHMAT);
	void *p = shmat(id, addr, flags);

	if (p == (void *)-1)
		return last_error();
	*ret_addr = p;
	return 0;
}

int tarn__plat_shmdt(void *addr)
{
	SEAM(SHMDT);
	return result(shmdt(addr));
}

int tarn__plat_shm_stat(int id, struct shmid_ds *ret_ds)
{
	SEAM(SHM_STAT);
	return result(shmctl(id, IPC_STAT, ret_ds));
}

int tarn__plat_shm_set(int id, const struct shmid_ds *ds)
{
	struct shmid_ds copy = *ds;

	SEAM(SHM_SET);
	return result(shmctl(id, IPC_SET, &copy));
}

int tarn__plat_shm_rmid(int id)
{
	SEAM(SHM_RMID);
	return result(shmctl(id, IPC_RMID, NULL));
}

/* --- liveness ------------------------------------------------------------------------------ */

static struct flock byte_of(short type, uint64_t off)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)off, .l_len = 1
	};

	return lock;
}

int tarn__plat_lock(int fd, uint64_t off)
{
	struct flock lock = byte_of(F_WRLCK, off);

	SEAM(LOCK_SET);
	int r = result(fcntl(fd, F_OFD_SETLK, &lock));

	return r == -EACCES ? -EAGAIN : r;
}

int tarn__plat_unlock(int fd, uint64_t off)
{
	struct flock lock = byte_of(F_UNLCK, off);

	SEAM(LOCK_SET);
	return result(fcntl(fd, F_OFD_SETLK, &lock));
}

/* The kernel tells of who wants the file by SIGIO, which ends a process that has not said
 * otherwise. So another signal is named, one that is ignored unless somebody wants it (and is never
 * queued, for where a queue is full SIGIO comes instead), and then nobody to send it to. Each call
 * of F_SETLEASE names this process again. */
static int set_lease(int fd)
{
	if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return last_error();
	(void)fcntl(fd, F_SETOWN, 0);
	return 0;
}

/* Who looks at /proc/PID/fd just when a file is closed keeps it open for a moment, so a refusal is
 * believed only when it lasts. */
int tarn__plat_lease(int fd)
{
	enum { TRIES = 5, PAUSE_NS = 2000000 };
	_Atomic uint32_t word = 0;
	int r;

	SEAM(LEASE);
	r = set_lease(fd);
	for (int i = 1; i < TRIES && r == -EAGAIN; i++) {
		(void)tarn__plat_futex_wait(&word, 0, tarn__plat_now() + PAUSE_NS);
		r = set_lease(fd);
	}
	return r;
}

void tarn__plat_unlease(int fd)
{
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
}

/* Who opens a file is counted first, which makes F_SETLEASE fail; then the lease is marked as to be
 * given back, and stays so if the other went away again. Asked in this order nobody is missed. */
bool tarn__plat_lease_wanted(int fd)
{
	if (tarn__plat_fault != NULL && tarn__plat_fault(TARN_PLAT_LEASE_GET) != 0)
		return true;
	return set_lease(fd) < 0 || fcntl(fd, F_GETLEASE) != F_WRLCK;
}

bool tarn__plat_leased(int fd)
{
	if (tarn__plat_fault != NULL && tarn__plat_fault(TARN_PLAT_LEASE) != 0)
		return false;
	if (set_lease(fd) < 0)
		return false;
	tarn__plat_unlease(fd);
	return true;
}

int tarn__plat_locked(int fd, uint64_t off)
{
	struct flock lock = byte_of(F_RDLCK, off);

	SEAM(LOCK_GET);
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return last_error();
	return lock.l_type == F_UNLCK ? 0 : 1;
}

/* --- waiting ------------------------------------------------------------------------------- */

/* The kernel's 64-bit time, whatever time_t is here. */
struct time64 {
	int64_t sec;
	int64_t nsec;
};

static struct time64 *time64_of(int64_t deadline, struct time64 *t)
{
	if (deadline == INT64_MAX)
		return NULL;
	if (deadline < 0)
		deadline = 0;
	t->sec = deadline / 1000000000;
	t->nsec = deadline % 1000000000;
	return t;
}

static int wait_result(long r)
{
	if (r >= 0 || errno == EINTR)
		return 0;
	return last_error();
}

int tarn__plat_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
	struct time64 t;

	SEAM(FUTEX_WAIT);
	/* WAIT_BITSET takes an absolute time, WAIT a span */
	return wait_result(syscall(SYS_futex_time64, word, FUTEX_WAIT_BITSET, value,
				   time64_of(deadline, &t), NULL, FUTEX_BITSET_MATCH_ANY));
}

int tarn__plat_futex_waitv(const struct tarn__futex *words, unsigned count, int64_t deadline)
{
	struct time64 t;

	SEAM(FUTEX_WAITV);
	return wait_result(syscall(SYS_futex_waitv, words, count, 0u, time64_of(deadline, &t),
				   CLOCK_MONOTONIC));
}

int tarn__plat_futex_wake(_Atomic uint32_t *word, int count)
{
	SEAM(FUTEX_WAKE);
	return result(syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0));
}

int tarn__plat_membarrier_register(void)
{
	SEAM(MEMBARRIER);
	return result(syscall(SYS_membarrier, MEMBARRIER_REGISTER_GLOBAL_EXPEDITED, 0u, 0));
}

int tarn__plat_membarrier_sync(void)
{
	SEAM(MEMBARRIER);
	return result(syscall(SYS_membarrier, MEMBARRIER_GLOBAL_EXPEDITED, 0u, 0));
}

bool tarn__plat_membarrier_there(void)
{
	const long both = MEMBARRIER_GLOBAL_EXPEDITED | MEMBARRIER_REGISTER_GLOBAL_EXPEDITED;

	if (tarn__plat_fault != NULL && tarn__plat_fault(TARN_PLAT_MEMBARRIER) != 0)
		return false;

	long known = syscall(SYS_membarrier, MEMBARRIER_QUERY, 0u, 0);

	return known >= 0 && (known & both) == both;
}

int tarn__plat_grace(void)
{
	SEAM(MEMBARRIER);
	return result(syscall(SYS_membarrier, MEMBARRIER_GLOBAL, 0u, 0));
}

void tarn__plat_yield(void)
{
	sched_yield();
}

int tarn__plat_robust_list(struct tarn_plat_robust *ret_list)
{
	void **head = NULL;
	size_t size = 0;

	SEAM(ROBUST_LIST);
	if (syscall(SYS_get_robust_list, 0, &head, &size) < 0)
		return last_error();
	if (head == NULL || size != 3 * sizeof(void *))
		return -ENOSYS;
	ret_list->head = head;
	ret_list->offset = (intptr_t)head[1];
	return 0;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t tarn__plat_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t tarn__plat_realtime(void)
{
	return clock_ns(CLOCK_REALTIME);
}

/* --- identity ------------------------------------------------------------------------------ */

int32_t tarn__plat_pid(void)
{
	return (int32_t)getpid();
}

int32_t tarn__plat_tid(void)
{
	return (int32_t)syscall(SYS_gettid);
}

uint32_t tarn__plat_euid(void)
{
	return (uint32_t)geteuid();
}

uint32_t tarn__plat_egid(void)
{
	return (uint32_t)getegid();
}

int tarn__plat_random(void *buf, size_t size)
{
	SEAM(RANDOM);
	ssize_t n;

	do {
		n = getrandom(buf, size, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return last_error();
	return (size_t)n == size ? 0 : -EIO;
}

int tarn__plat_rlimit(int resource, uint64_t *ret_soft)
{
	struct {
		uint64_t soft;
		uint64_t hard;
	} limit; /* struct rlimit64; no limit is all ones */

	SEAM(RLIMIT);
	if (syscall(SYS_prlimit64, 0, resource, NULL, &limit) < 0)
		return last_error();
	*ret_soft = limit.soft;
	return 0;
}

/* --- signals ------------------------------------------------------------------------------- */

int tarn__plat_sigaction(int sig, const struct sigaction *act, struct sigaction *ret_old)
{
	SEAM(SIGACTION);
	return result(sigaction(sig, act, ret_old));
}

void tarn__plat_raise(int sig)
{
	SEAM_COUNT(RAISE);
	raise(sig);
}
