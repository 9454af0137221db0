/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plat.h - every system call of the library, each with its preconditions.
 *
 * All return 0 or a count, or a negative errno; none sets errno on purpose, none retries
 * except on EINTR where the call has not started its work. Pointers into shared memory are
 * handed to the kernel only by futex, madvise, msync, mlock, mbind and munmap calls, which
 * report a bad address and do not crash.
 *
 * The fault seam: each function first asks tarn__plat_fault, where a test has set it, whether
 * this call is to fail, and with what. Nothing else stands between a test and an error.
 */
#ifndef TARN_PLAT_H
#define TARN_PLAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* One row a call: what a fault plan names. */
#define TARN_PLAT_CALLS(ROW)                                                                       \
	ROW(OPEN, "open")                                                                          \
	ROW(CLOSE, "close")                                                                        \
	ROW(FSTAT, "fstat")                                                                        \
	ROW(STAT, "stat")                                                                          \
	ROW(FSTATFS, "fstatfs")                                                                    \
	ROW(FTRUNCATE, "ftruncate")                                                                \
	ROW(FALLOCATE, "fallocate")                                                                \
	ROW(LINK, "linkat")                                                                        \
	ROW(UNLINK, "unlink")                                                                      \
	ROW(RENAME, "renameat2")                                                                   \
	ROW(READLINK, "readlink")                                                                  \
	ROW(LISTDIR, "getdents64")                                                                 \
	ROW(PREAD, "pread")                                                                        \
	ROW(PWRITE, "pwrite")                                                                      \
	ROW(MMAP, "mmap")                                                                          \
	ROW(MUNMAP, "munmap")                                                                      \
	ROW(MREMAP, "mremap")                                                                      \
	ROW(MPROTECT, "mprotect")                                                                  \
	ROW(MADVISE, "madvise")                                                                    \
	ROW(MSYNC, "msync")                                                                        \
	ROW(MLOCK, "mlock")                                                                        \
	ROW(MUNLOCK, "munlock")                                                                    \
	ROW(MBIND, "mbind")                                                                        \
	ROW(MOVE_PAGES, "move_pages")                                                              \
	ROW(MEMFD, "memfd_create")                                                                 \
	ROW(SEALS_ADD, "fcntl(F_ADD_SEALS)")                                                       \
	ROW(SEALS_GET, "fcntl(F_GET_SEALS)")                                                       \
	ROW(DUP, "fcntl(F_DUPFD_CLOEXEC)")                                                         \
	ROW(FCHMOD, "fchmod")                                                                      \
	ROW(FCHOWN, "fchown")                                                                      \
	ROW(LOCK_SET, "fcntl(F_OFD_SETLK)")                                                        \
	ROW(LOCK_GET, "fcntl(F_OFD_GETLK)")                                                        \
	ROW(SHMGET, "shmget")                                                                      \
	ROW(SHMAT, "shmat")                                                                        \
	ROW(SHMDT, "shmdt")                                                                        \
	ROW(SHM_STAT, "shmctl(IPC_STAT)")                                                          \
	ROW(SHM_SET, "shmctl(IPC_SET)")                                                            \
	ROW(SHM_RMID, "shmctl(IPC_RMID)")                                                          \
	ROW(FUTEX_WAIT, "futex(FUTEX_WAIT)")                                                       \
	ROW(FUTEX_WAITV, "futex_waitv")                                                            \
	ROW(FUTEX_WAKE, "futex(FUTEX_WAKE)")                                                       \
	ROW(MEMBARRIER, "membarrier")                                                              \
	ROW(ROBUST_LIST, "get_robust_list")                                                        \
	ROW(RANDOM, "getrandom")                                                                   \
	ROW(RLIMIT, "getrlimit")                                                                   \
	ROW(SENDMSG, "sendmsg")                                                                    \
	ROW(RECVMSG, "recvmsg")                                                                    \
	ROW(PEERCRED, "getsockopt(SO_PEERCRED)")                                                   \
	ROW(SIGACTION, "sigaction")                                                                \
	ROW(LEASE, "fcntl(F_SETLEASE)")                                                            \
	ROW(RAISE, "raise")                                                                        \
	ROW(STATX, "statx")                                                                        \
	ROW(KILL, "kill(0)")                                                                       \
	ROW(LEASE_GET, "fcntl(F_GETLEASE)")                                                        \
	ROW(LSEEK, "lseek")                                                                        \
	ROW(MINCORE, "mincore")                                                                    \
	ROW(CACHESTAT, "cachestat")                                                                \
	ROW(VM_READ, "process_vm_readv")                                                           \
	ROW(EVENTFD, "eventfd")                                                                    \
	ROW(THREAD, "pthread_create")                                                              \
	ROW(SOCKET, "socket")                                                                      \
	ROW(BIND, "bind")                                                                          \
	ROW(CHMOD, "chmod")                                                                        \
	ROW(LISTEN, "listen")                                                                      \
	ROW(ACCEPT, "accept4")                                                                     \
	ROW(CONNECT, "connect")                                                                    \
	ROW(SHUTDOWN, "shutdown")                                                                  \
	ROW(UNREAD, "ioctl(SIOCINQ, SIOCOUTQ)")                                                    \
	ROW(PEERGROUPS, "getsockopt(SO_PEERGROUPS)")                                               \
	ROW(POLL, "poll")                                                                          \
	ROW(INOTIFY, "inotify_init1")                                                              \
	ROW(WATCH, "inotify_add_watch")                                                            \
	ROW(URING, "io_uring_setup")                                                               \
	ROW(URING_REGISTER, "io_uring_register")                                                   \
	ROW(URING_ENTER, "io_uring_enter")

enum tarn_plat_call {
#define ROW(name, text) TARN_PLAT_##name,
	TARN_PLAT_CALLS(ROW)
#undef ROW
		TARN_PLAT_CALL_COUNT
};

/* NULL outside tests. Returns 0 to let the call through, else the errno it is to fail with. */
extern int (*tarn__plat_fault)(enum tarn_plat_call call);

/** What @call is named in manuals. */
const char *tarn__plat_call_name(enum tarn_plat_call call);

/* --- files; every descriptor is close-on-exec and above 2 --------------------------------- */

int tarn__plat_open(const char *path, int flags, uint32_t mode);
void tarn__plat_close(int fd);            /* accepts -1 */
int tarn__plat_reopen(int fd, int flags); /* the same file, a new open file description */
int tarn__plat_dup(int fd);
int tarn__plat_fstat(int fd, struct stat *ret_st);
int tarn__plat_stat(const char *path, bool follow, struct stat *ret_st);
/* When the file was made, CLOCK_REALTIME ns; -EOPNOTSUPP where the file system does not keep it. */
int tarn__plat_birth(const char *path, int64_t *ret_ns);

struct tarn_plat_fs {
	uint64_t type; /* f_type: TMPFS_MAGIC, HUGETLBFS_MAGIC ... */
	uint64_t size; /* bytes; 0 = not bounded */
	uint64_t avail;
	uint64_t block_size;
	uint64_t files; /* how many it can have; 0 = not bounded */
	uint64_t files_free;
	bool read_only;
};
int tarn__plat_fstatfs(int fd, struct tarn_plat_fs *ret_fs);
int tarn__plat_ftruncate(int fd, uint64_t size);
/* Reserve [off, off+size), extending the file. Refuses, with -EFBIG, what RLIMIT_FSIZE would turn
 * into a SIGXFSZ. */
int tarn__plat_fallocate(int fd, uint64_t off, uint64_t size);
/* Give the unnamed file @fd the name @path; -EEXIST leaves what is there. Needs /proc. */
int tarn__plat_link(int fd, const char *path);
int tarn__plat_unlink(const char *path);
/* Never replaces: -EEXIST. -EINVAL where the file system cannot promise that. */
int tarn__plat_rename(const char *from, const char *to);
int tarn__plat_readlink(const char *path, char *buf, size_t size);
ssize_t tarn__plat_pread(int fd, void *buf, size_t size, uint64_t off);
ssize_t tarn__plat_pwrite(int fd, const void *buf, size_t size, uint64_t off);
/* Read a small text file whole, NUL-terminated; returns its length. */
ssize_t tarn__plat_read_text(const char *path, char *buf, size_t size);
/* Call @fn with the name of each entry of directory @path until it returns non-zero. */
int tarn__plat_listdir(const char *path, int (*fn)(const char *name, void *arg), void *arg);
int tarn__plat_fchmod(int fd, uint32_t mode);
int tarn__plat_fchown(int fd, uint32_t uid, uint32_t gid);

/* --- memory -------------------------------------------------------------------------------- */

size_t tarn__plat_page_size(void);
int tarn__plat_mmap(void *addr, size_t size, int prot, int flags, int fd, uint64_t off,
		    void **ret_addr);
void tarn__plat_munmap(void *addr, size_t size);
/* A second mapping, at @to, of the shared pages at @from; @to is replaced. */
int tarn__plat_mirror(void *from, size_t size, void *to);
int tarn__plat_mprotect(void *addr, size_t size, int prot);
int tarn__plat_madvise(void *addr, size_t size, int advice);
int tarn__plat_msync(void *addr, size_t size, int flags);
int tarn__plat_mlock(void *addr, size_t size);
int tarn__plat_munlock(void *addr, size_t size);
int tarn__plat_mbind(void *addr, size_t size, int mode, uint64_t nodes, unsigned flags);
int tarn__plat_nodes_of(void *addr, size_t page_size, uint32_t page_count, int32_t *ret_nodes);
int tarn__plat_memfd(const char *name, unsigned flags);
int tarn__plat_seals_add(int fd, unsigned seals);
int tarn__plat_seals_get(int fd, unsigned *ret_seals);

/* --- memory, looked at without touching it -------------------------------------------------- */

/* Where the next data begins at or behind @off, -ENXIO if there is none; where it ends. */
int64_t tarn__plat_seek_data(int fd, uint64_t off);
int64_t tarn__plat_seek_hole(int fd, uint64_t off);
/* Bit 0 of each byte: that page is in memory. Only for the file's owner, or who may write it, is
 * that true: for others the kernel sets all. @addr is a page's. */
int tarn__plat_mincore(void *addr, size_t size, unsigned char *ret_pages);
/* How many base pages of the range are in memory, written or only set aside. -EPERM where mincore()
 * would not be true; -ENOSYS before Linux 6.5; -EOPNOTSUPP for huge pages. @size is not 0. */
int tarn__plat_cachestat(int fd, uint64_t off, uint64_t size, uint64_t *ret_pages);
/* As tarn__plat_nodes_of(), of another process. */
int tarn__plat_nodes_in(int32_t pid, uint64_t addr, uint64_t page_size, uint32_t page_count,
			int32_t *ret_nodes);
/* Copy from this process's own memory, whatever has become of it: short, or -EFAULT, where it
 * cannot be read. */
ssize_t tarn__plat_copy(void *to, const void *from, size_t size);

/* --- System V ------------------------------------------------------------------------------ */

struct shmid_ds;
int tarn__plat_shmget(int key, uint64_t size, int flags); /* returns the identifier */
int tarn__plat_shmat(int id, void *addr, int flags, void **ret_addr);
int tarn__plat_shmdt(void *addr);
int tarn__plat_shm_stat(int id, struct shmid_ds *ret_ds);
int tarn__plat_shm_set(int id, const struct shmid_ds *ds);
int tarn__plat_shm_rmid(int id);

/* --- liveness: open file description locks on single bytes ---------------------------------- */

/* Take a write lock on byte @off of @fd, for this open file description; -EAGAIN if taken.
 * @fd is open for writing. */
int tarn__plat_lock(int fd, uint64_t off);
int tarn__plat_unlock(int fd, uint64_t off);
/* Is @fd, which is open for reading and writing, the only descriptor that the file is open by? The
 * kernel grants a write lease only then; it is given back at once. */
bool tarn__plat_leased(int fd);
/* The same, and keep the lease until tarn__plat_unlease(): whoever opens the file meanwhile waits
 * in open() (O_NONBLOCK: gets EAGAIN) until then, at most /proc/sys/fs/lease-break-time. @fd may be
 * open for reading only, and is to be used for nothing else. No signal tells of it. -EAGAIN if
 * another has the file open, -EACCES if it is another user's, -EINVAL where the file system has
 * no leases. */
int tarn__plat_lease(int fd);
/* Give it back. To close @fd would not do where another thread has forked meanwhile. */
void tarn__plat_unlease(int fd);
/* Has anybody tried to open the file since the lease was taken, or is just about to have it? */
bool tarn__plat_lease_wanted(int fd);
/* 1 if another open file description holds a write lock on byte @off, 0 if none does. Asked as a
 * reader, so that read locks of strangers do not count. Any @fd will do. */
int tarn__plat_locked(int fd, uint64_t off);

/* --- waiting ------------------------------------------------------------------------------- */

/* Sleep while *@word is @value, until woken or @deadline (CLOCK_MONOTONIC ns, TARN_FOREVER).
 * 0 woken or interrupted, -EAGAIN it was another value, -ETIMEDOUT. */
int tarn__plat_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline);
/* As the kernel has it: a word of 32 bits, shared by processes. */
struct tarn__futex {
	uint64_t value;
	uint64_t word; /* its address */
	uint32_t flags;
	uint32_t zero;
};
static inline struct tarn__futex tarn__futex_of(_Atomic uint32_t *word, uint32_t value)
{
	return (struct tarn__futex){ .value = value, .word = (uintptr_t)word, .flags = 2 };
}
/* The same on several words at once, TARN__FUTEX_MAX at most; -ENOSYS before Linux 5.16. */
#define TARN__FUTEX_MAX 128u
int tarn__plat_futex_waitv(const struct tarn__futex *words, unsigned count, int64_t deadline);
int tarn__plat_futex_wake(_Atomic uint32_t *word, int count);
/* A descriptor that poll() finds readable from raise to clear; neither waits. */
int tarn__plat_eventfd(void);
int tarn__plat_eventfd_raise(int fd);
int tarn__plat_eventfd_clear(int fd);
/* A futex_waitv() that the kernel does by itself, one at a time; uring.c. All but close() are for
 * the thread that opened it: others get -EEXIST. After any error it is of no use, but to close. */
struct tarn__uring {
	int fd;           /* -1: there is none */
	unsigned pending; /* operations whose end was not seen */
	void *queues, *entries, *done;
	size_t queues_size, entries_size;
	_Atomic uint32_t *sq_tail, *cq_head, *cq_tail;
};
/* @eventfd is written each time that something has ended. -ENOSYS before Linux 6.7, -EPERM where it
 * is not allowed, -EMFILE, -ENFILE, -ENOMEM. */
int tarn__plat_uring_open(int eventfd, struct tarn__uring *ret_ring);
/* @here: false in a child of fork(), which has its descriptor and nothing else. It need not be
 * open. */
void tarn__plat_uring_close(struct tarn__uring *ring, bool here);
/* Wait until one of @words is woken, or has another value, or @span ns have passed. Nothing is
 * pending; what is told of @words is read before this returns. -EBADF: it is not open. */
int tarn__plat_uring_wait(struct tarn__uring *ring, const struct tarn__futex *words, unsigned count,
			  int64_t span);
/* Over or not, end it: the kernel knows of no word any more, and nothing is pending. */
int tarn__plat_uring_cancel(struct tarn__uring *ring);
/* A thread of this process that gets no signals but those of its own faults. */
int tarn__plat_thread_start(void *(*run)(void *arg), void *arg, uintptr_t *ret_thread);
void tarn__plat_thread_join(uintptr_t thread);
/* The same of one that nobody waits for. */
int tarn__plat_thread_leave(void *(*run)(void *arg), void *arg);
/* Let other processes' sync() reach this one; -ENOSYS or -EPERM where it cannot be. */
int tarn__plat_membarrier_register(void);
/* A full barrier on every CPU that runs a registered process. */
int tarn__plat_membarrier_sync(void);
/* Does the kernel know what the two need? Changes nothing. */
bool tarn__plat_membarrier_there(void);
/* Until every other CPU has been out of the kernel, or changed to another task; takes some 10 ms.
 * -EINVAL on kernels that run without ticks (nohz_full). */
int tarn__plat_grace(void);
void tarn__plat_yield(void);
static inline void tarn__plat_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

/* The calling thread's robust list: its head and the offset from node to word. */
struct tarn_plat_robust {
	void **head;     /* head[0] first node, head[1] offset, head[2] operation pending */
	intptr_t offset; /* add to a node for its futex word */
};
int tarn__plat_robust_list(struct tarn_plat_robust *ret_list);

int64_t tarn__plat_now(void);      /* CLOCK_MONOTONIC, ns */
int64_t tarn__plat_realtime(void); /* CLOCK_REALTIME, ns */
int64_t
tarn__plat_since_boot(void); /* CLOCK_BOOTTIME, ns; what /proc counts a process's start in */
int64_t tarn__plat_ticks_per_second(void); /* ... in units of which this many make a second */

/* --- identity ------------------------------------------------------------------------------ */

int32_t tarn__plat_pid(void);
/* 1 if a process @pid, zombies included, is in this PID namespace, 0 if not. @pid is positive. */
int tarn__plat_pid_there(int32_t pid);
int32_t tarn__plat_tid(void);
uint32_t tarn__plat_euid(void);
uint32_t tarn__plat_egid(void);
int tarn__plat_random(void *buf, size_t size);
int tarn__plat_rlimit(int resource, uint64_t *ret_soft);

/* --- sockets ------------------------------------------------------------------------------- */

/* Send @size bytes, and with them @count descriptors, TARN__FDS_MAX at most, as one message. */
ssize_t tarn__plat_send_fds(int sock, const void *buf, size_t size, const int *fds, unsigned count);
/* Receive, and with it all descriptors that were sent, the rest of TARN__FDS_MAX dropped by the
 * kernel. -EMFILE where some came and this process could take none. */
#define TARN__FDS_MAX 16u
ssize_t tarn__plat_recv_fds(int sock, void *buf, size_t size, int ret_fds[TARN__FDS_MAX],
			    unsigned *ret_count);
/* The same, and leave all of it where it is: so none of these descriptors is a file's last, which
 * to close may wait for as long as its maker likes. -EMFILE also if there were more than this
 * process could take. */
ssize_t tarn__plat_peek_fds(int sock, void *buf, size_t size, int ret_fds[TARN__FDS_MAX],
			    unsigned *ret_count);
/* Take @size bytes, and forget what came with them. */
ssize_t tarn__plat_skip(int sock, size_t size);
int tarn__plat_peercred(int sock, int32_t *ret_pid, uint32_t *ret_uid, uint32_t *ret_gid);
/* Has who is at the other end @gid among its groups, beside its own? 0 or 1. */
int tarn__plat_in_group(int sock, uint32_t gid);

/* UNIX stream sockets whose calls never wait. @path has less than 108 bytes, and is absent. */
int tarn__plat_listen(const char *path, uint32_t mode);
int tarn__plat_accept(int sock);
int tarn__plat_connect(const char *path);
/* Nothing more comes in; @both: nor goes out, and the other end hangs up, whoever has this one open
 * besides. */
int tarn__plat_shut(int sock, bool both);
/* How many bytes have come in, and lie there still. */
int tarn__plat_unread(int sock);
/* Is something of what was sent not received yet? 0 or 1. */
int tarn__plat_unsent(int sock);
/* Who comes by it can send no descriptors, where the kernel knows of that (Linux 6.16). */
void tarn__plat_no_fds(int sock);

/* What one waits for, and what came of it, as poll() has both. */
struct tarn__poll {
	int fd; /* -1: nothing */
	short wanted;
	short found; /* errors and hanging up unasked */
};
/* Until something is there, or @deadline. How many; 0: the deadline, or a signal. */
int tarn__plat_poll(struct tarn__poll *polls, unsigned count, int64_t deadline);
/* A descriptor that is readable when a file has got a name in directory @path. */
int tarn__plat_watch_names(const char *path);
/* What makes it so is read, and forgotten. */
void tarn__plat_watch_clear(int fd);

/* --- signals ------------------------------------------------------------------------------- */

struct sigaction;
int tarn__plat_sigaction(int sig, const struct sigaction *act, struct sigaction *ret_old);
void tarn__plat_raise(int sig); /* at the calling thread */

#endif /* TARN_PLAT_H */
