/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/segment.h - plain shared memory of any kind, with no header of Tarn's in it.
 *
 * A segment is named by an address:
 *
 *     NAME  shm:NAME    POSIX shared memory object /NAME, as shm_open() names it
 *     sysv:0xKEY        System V segment with that key
 *     sysv:PATH,ID      System V segment with the key ftok(PATH, ID)
 *     sysv:private      a new System V segment without a key (IPC_PRIVATE); create only
 *     sysv:#SHMID       System V segment with that identifier; open only
 *     file:PATH         a file on disk, which outlives a reboot
 *     huge:NAME         a file in the host's hugetlbfs mount
 *     memfd:NAME        an unnamed, sealable file; NAME is for the eye; create only
 *     memfd:PID:FD      descriptor FD of process PID, to look on; open only, read-only
 *     anon:             memory that children of this process inherit; create only
 *
 * Programs that know nothing of Tarn share the same bytes with shm_open() and mmap(), or
 * shmget() and shmat(), under the same name or key.
 *
 * Callers:   a handle belongs to one thread at a time; the memory belongs to everyone.
 * Progress:  every call may enter the kernel; none waits for another process.
 * Crash:     create: the name is absent or complete, except System V, where the kernel gives
 *            the name first. Others: the segment is as before the call or after it.
 * Trust:     a peer that may write can change any byte; one that may truncate can make an
 *            access raise SIGBUS: seal (memfd), or see tarn_segment_guard().
 */
#ifndef TARN_SEGMENT_H
#define TARN_SEGMENT_H

#include <stdbool.h>

#include <tarn/base.h>

TARN_BEGIN_DECLS

struct tarn_segment; /* this process's handle */

enum tarn_segment_kind {
	TARN_SEGMENT_POSIX = 1,
	TARN_SEGMENT_SYSV = 2,
	TARN_SEGMENT_FILE = 3,
	TARN_SEGMENT_HUGE = 4,
	TARN_SEGMENT_MEMFD = 5,
	TARN_SEGMENT_ANON = 6,
};

/* Flags of struct tarn_segment_opts. */
#define TARN_SEGMENT_READ_ONLY  (1u << 0) /* map for reading; open only */
#define TARN_SEGMENT_PRIVATE    (1u << 1) /* copy-on-write view: stores stay in this process */
#define TARN_SEGMENT_POPULATE   (1u << 2) /* fault every page in before returning */
#define TARN_SEGMENT_LAZY       (1u << 3) /* create, grow: reserve nothing; may SIGBUS when full */
#define TARN_SEGMENT_LOCK       (1u << 4) /* mlock(): never swapped out */
#define TARN_SEGMENT_DUMP       (1u << 5) /* leave it in core dumps; default is to leave it out */
#define TARN_SEGMENT_NO_FORK    (1u << 6) /* children do not inherit the mapping */
#define TARN_SEGMENT_PAGES_MUST (1u << 7) /* fail where @pages cannot be had, else take less */
#define TARN_SEGMENT_OWNER      (1u << 8) /* @owner says whose object is expected */
#define TARN_SEGMENT_ANY_MODE   (1u << 9) /* open: accept any permission bits */

enum tarn_segment_pages {
	TARN_PAGES_DEFAULT = 0,
	TARN_PAGES_2M = 1, /* explicit huge pages: SHM_HUGETLB, MFD_HUGETLB, hugetlbfs */
	TARN_PAGES_1G = 2,
	TARN_PAGES_THP = 3, /* transparent huge pages, by MADV_HUGEPAGE */
};

enum tarn_segment_numa {
	TARN_NUMA_DEFAULT = 0, /* the node of the thread that touches a page first */
	TARN_NUMA_BIND = 1,
	TARN_NUMA_PREFERRED = 2,
	TARN_NUMA_INTERLEAVE = 3,
};

/* All zero means: the default of each. */
struct tarn_segment_opts {
	uint64_t size;     /* bytes, 1 .. 2^47; rounded up to huge pages where there are any;
	                      open: what must at least be there, 0 = any */
	uint64_t max_size; /* bytes of address space kept for growth in place; 0 = size */
	uint32_t flags;
	uint32_t mode;       /* permission bits; create: exact, whatever the umask; open: the widest
	                      accepted; 0 = 0600 */
	uint32_t owner;      /* user id, with TARN_SEGMENT_OWNER; else only one's own are opened */
	uint32_t pages;      /* enum tarn_segment_pages */
	uint32_t numa;       /* enum tarn_segment_numa */
	uint32_t seals;      /* memfd: F_SEAL_* to add once created; open: that must be in force */
	uint64_t numa_nodes; /* bit n: node n */
	struct tarn_diag *diag;
	uint64_t reserved[4]; /* zero */
};

struct tarn_segment_stat {
	uint64_t size;         /* bytes now */
	uint64_t max_size;     /* bytes of address space mapped */
	uint64_t resident;     /* bytes the object holds in memory or swap, a file on disk: on
	                         disk; kernel's count */
	uint64_t inode;        /* of the object; for System V its identifier */
	int64_t ctime;         /* seconds since 1970, last change of owner or mode */
	int64_t atime;         /* System V: last attach; 0 = none */
	int64_t dtime;         /* System V: last detach; 0 = none */
	uint32_t kind;         /* enum tarn_segment_kind */
	uint32_t page_size;    /* bytes: what was got */
	uint32_t mode;         /* permission bits */
	uint32_t uid, gid;     /* owner */
	uint32_t cuid, cgid;   /* System V: creator; else the owner */
	uint32_t attach_count; /* System V: shm_nattch; else 0 */
	int32_t creator_pid;   /* System V: shm_cpid; else 0 */
	int32_t last_pid;      /* System V: shm_lpid; else 0 */
	uint32_t seals;        /* memfd: F_SEAL_* in force */
	int32_t key;           /* System V: the key; 0 = private */
	int32_t id;            /* System V: the identifier; else -1 */
	bool removed;          /* no name leads to it any more */
	bool locked;           /* mlock()ed by this handle */
	bool thp;              /* transparent huge pages asked for and accepted */
	bool read_only;
};

/**
 * tarn_segment_create - make the segment at @addr, which must not exist.
 * @opts:    size is required
 * @ret_seg: handle on success, untouched on failure; tarn_segment_close() it
 *
 * All memory is reserved before the name appears, so that no later access runs out of it,
 * unless TARN_SEGMENT_LAZY. Contents are zero. What was got of @opts->pages is in
 * tarn_segment_stat(); with TARN_SEGMENT_PAGES_MUST less than asked is an error.
 *
 * While a POSIX or file segment is made it has no name. Only where the file system cannot do
 * that it has one that begins with ".tarn-tmp.", and a process killed then leaves it behind.
 *
 * Return: 0, or
 *   -EEXIST   something has that name or key; it was not touched
 *   -EINVAL   the address, or an option out of range
 *   -ENOSPC   not enough memory, shared memory file system, huge pages or cgroup limit
 *   -ENOMEM   not enough address space, or RLIMIT_MEMLOCK too low
 *   -EFBIG    larger than RLIMIT_FSIZE allows
 *   -EACCES, -EPERM, -EROFS, -EMFILE  the kernel's refusal; diag has the fix
 *   -EOPNOTSUPP  the kernel or file system cannot do what was asked
 * On failure nothing is left behind.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_create(const char *addr,
						const struct tarn_segment_opts *opts,
						struct tarn_segment **ret_seg);

/**
 * tarn_segment_open - map the segment at @addr, which must exist.
 * @opts: NULL for all defaults
 *
 * Return: 0, or
 *   -ENOENT   no such segment
 *   -EPERM    it belongs to another user than expected, or its mode is wider than accepted
 *   -EMSGSIZE it is smaller than @opts->size, or empty
 *   -EINVAL   the address or an option; or what is there is no shared memory (a directory,
 *             a symbolic link, a device)
 *   and what tarn_segment_create() returns for memory and descriptors
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_open(const char *addr,
					      const struct tarn_segment_opts *opts,
					      struct tarn_segment **ret_seg);

/**
 * tarn_segment_open_fd - map what descriptor @fd refers to: a memfd received from a peer, a
 * POSIX object, a file. @fd is duplicated; the caller keeps its own.
 * Return: as tarn_segment_open().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_open_fd(int fd, const struct tarn_segment_opts *opts,
						 struct tarn_segment **ret_seg);

/** tarn_segment_close - unmap. Accepts NULL. The segment itself stays. Since: 0.1 */
TARN_API void tarn_segment_close(struct tarn_segment *seg);

/**
 * tarn_segment_remove - remove the name at @addr; for System V mark for removal (IPC_RMID).
 * Those who have it mapped keep it until they close.
 * @opts: owner and mode expectations as for open; NULL for defaults
 * Return: 0, -ENOENT, -EPERM, -EACCES, -EINVAL.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_remove(const char *addr,
						const struct tarn_segment_opts *opts);

/** tarn_segment_data - first byte; page aligned; valid until close. Since: 0.1 */
TARN_API void *tarn_segment_data(const struct tarn_segment *seg);

/** tarn_segment_size - bytes now; follows growth by other processes, as far as max_size of this
 * handle. Since: 0.1 */
TARN_API uint64_t tarn_segment_size(const struct tarn_segment *seg);

/** tarn_segment_fd - the descriptor, owned by @seg; -1 for System V. Since: 0.1 */
TARN_API int tarn_segment_fd(const struct tarn_segment *seg);

/** tarn_segment_stat - facts, see the struct. Return: 0 or the kernel's error. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_segment_stat(struct tarn_segment *seg,
					      struct tarn_segment_stat *ret_stat);

/**
 * tarn_segment_grow - make it @size bytes, reserved, zero beyond the old end. Pointers stay
 * valid; other processes see the new bytes without a call if they mapped enough max_size.
 * Return: 0 (also where it is that large already), -ENOSPC, -ENOMEM (@size beyond max_size),
 *   -EPERM (sealed or read-only), -EFBIG (RLIMIT_FSIZE), -EOPNOTSUPP (System V, or a file system
 *   without fallocate()). Where a locked or populated segment grew and the new part could not be
 *   locked or populated: that error, grown all the same.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_grow(struct tarn_segment *seg, uint64_t size,
					      struct tarn_diag *diag);

/**
 * tarn_segment_chmod - change permission bits and owner: fchmod() and fchown(), or IPC_SET.
 * @uid, @gid: UINT32_MAX leaves it
 * Return: 0, -EPERM, -EINVAL.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_chmod(struct tarn_segment *seg, uint32_t mode,
					       uint32_t uid, uint32_t gid);

enum tarn_segment_advice {
	TARN_ADVICE_NORMAL = 0,
	TARN_ADVICE_RANDOM = 1,
	TARN_ADVICE_SEQUENTIAL = 2,
	TARN_ADVICE_WILLNEED = 3,
	TARN_ADVICE_DONTNEED = 4, /* this process's pages only; the contents stay */
	TARN_ADVICE_HUGEPAGE = 5,
	TARN_ADVICE_NOHUGEPAGE = 6,
	TARN_ADVICE_POPULATE_READ = 7,
	TARN_ADVICE_POPULATE_WRITE = 8,
	TARN_ADVICE_DONTFORK = 9,
	TARN_ADVICE_DOFORK = 10,
	TARN_ADVICE_DONTDUMP = 11,
	TARN_ADVICE_DODUMP = 12,
	TARN_ADVICE_REMOVE = 13, /* give the memory back; the bytes become zero for everyone */
	TARN_ADVICE_COLD = 14,
	TARN_ADVICE_PAGEOUT = 15,
};

/**
 * tarn_segment_advise - madvise() on [@off, @off + @size).
 * @off: multiple of the page size; @size: 0 means to the end: of the object for what concerns
 * its contents, of the address space kept for growth for what concerns the mapping
 * Return: 0, -EINVAL (range or advice), -EACCES (changes the object, opened read-only), or the
 *   kernel's error.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_advise(struct tarn_segment *seg, uint64_t off,
						uint64_t size, enum tarn_segment_advice advice);

/** tarn_segment_lock - mlock() the range. Return: 0, -EINVAL, -ENOMEM with @diag. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_segment_lock(struct tarn_segment *seg, uint64_t off, uint64_t size,
					      struct tarn_diag *diag);

/** tarn_segment_unlock - munlock() the range. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_segment_unlock(struct tarn_segment *seg, uint64_t off,
						uint64_t size);

enum tarn_segment_sync {
	TARN_SYNC_WAIT = 0,       /* MS_SYNC: on disk when it returns */
	TARN_SYNC_ASYNC = 1,      /* MS_ASYNC */
	TARN_SYNC_INVALIDATE = 2, /* MS_SYNC | MS_INVALIDATE */
};

/** tarn_segment_sync - msync() the range. Return: 0, -EINVAL, -EIO, -ENOSPC. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_segment_sync(struct tarn_segment *seg, uint64_t off, uint64_t size,
					      enum tarn_segment_sync how);

/** tarn_segment_protect - make this process's view of the range read-only or writable again.
 * Return: 0, -EINVAL, -EACCES (opened read-only). Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_segment_protect(struct tarn_segment *seg, uint64_t off,
						 uint64_t size, bool writable);

/** tarn_segment_seal - add F_SEAL_* of <fcntl.h>. Return: 0, -EINVAL (no memfd), -EPERM (sealed
 * against it), -EBUSY (F_SEAL_WRITE while mapped for writing). Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_segment_seal(struct tarn_segment *seg, uint32_t seals);

/**
 * tarn_segment_place - set the NUMA policy of the range, moving pages already there. Those that
 * other processes have touched too move with CAP_SYS_NICE alone.
 * @nodes: bit n: node n; one bit for TARN_NUMA_PREFERRED, none for TARN_NUMA_DEFAULT
 * Return: 0, -EINVAL (no such node), -EIO (some pages could not move), -EOPNOTSUPP.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_place(struct tarn_segment *seg, uint64_t off,
					       uint64_t size, enum tarn_segment_numa numa,
					       uint64_t nodes);

/**
 * tarn_segment_placement - on which node each page lies, without faulting any in.
 * @ret_nodes: @page_count numbers: a node, or -ENOENT for a page that this process has not touched
 * Return: 0, -EINVAL, -EOPNOTSUPP.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_placement(struct tarn_segment *seg, uint64_t off,
						   uint32_t page_count, int32_t *ret_nodes);

/* Whom tarn_segment_recv() takes a segment from. */
struct tarn_peer {
	int32_t pid; /* in this process's PID namespace; 0 = not visible */
	uint32_t uid;
	uint32_t gid;
};

/**
 * tarn_segment_send - hand the segment's descriptor over the UNIX socket @sock.
 * @read_only: send a descriptor that cannot be mapped for writing. A receiver of the owner's own
 * user can open the object anew for writing: against those seal it with F_SEAL_FUTURE_WRITE
 * Return: 0, -EOPNOTSUPP (System V), -EPIPE, -EAGAIN, or the kernel's error.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_send(int sock, struct tarn_segment *seg, bool read_only);

/**
 * tarn_segment_recv - take one segment from the UNIX socket @sock and map it.
 * @opts:       as for open; TARN_SEGMENT_OWNER checks the sender's user id against @owner,
 *              without it the sender must be this user; seals must all be in force
 * @ret_peer:   the sender as the kernel vouches for it; may be NULL
 * Descriptors beyond the first are closed. Of the message one byte is taken, whatever it is: any
 * program can send to this. From a stranger nothing is taken.
 * Return: 0, -EPERM (another user, or a seal is missing), -EPROTO (no descriptor came),
 *   -EPIPE (peer gone), -EAGAIN, and as tarn_segment_open().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_recv(int sock, const struct tarn_segment_opts *opts,
					      struct tarn_segment **ret_seg,
					      struct tarn_peer *ret_peer);

/**
 * tarn_segment_guard - survive peers that truncate: install a process-wide SIGBUS handler that
 * puts zero pages under an access beyond the end of a segment of Tarn's and passes every other
 * SIGBUS on to the handler that was there before. Opt-in, since signal handlers belong to the
 * program. Calls on the segment then fail with -EIO, see tarn_segment_damaged(). Call it once,
 * after other libraries have set theirs; again does nothing.
 * Return: 0 or the kernel's error.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_segment_guard(void);

/** tarn_segment_damaged - has the guard had to step in for @seg? Since: 0.1 */
TARN_API bool tarn_segment_damaged(const struct tarn_segment *seg);

TARN_END_DECLS

#endif /* TARN_SEGMENT_H */
