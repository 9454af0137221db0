/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/host.h - every piece of shared memory of this host, who uses it, and what is wrong.
 *
 * tarn_host_scan() takes a picture: the segments of every kind, Tarn's or not, and the
 * processes that have them open or mapped. The picture is private memory; what it shows may have
 * changed by the time it is looked at, and calls that act (tarn_host_reclaim()) look again.
 * Nothing that only looks attaches a segment, faults a page in, or leaves a trace in the times and
 * counts that others read, save where its docstring says so.
 *
 * Segments are named by addresses of <tarn/segment.h>, and where no name leads to one by
 *
 *     map:PID:0xADDRESS    what process PID has mapped at ADDRESS
 *
 * which the calls here accept, and tarn_segment_open() does not.
 *
 * Callers:   a picture belongs to one thread at a time.
 *            Files are opened and closed, which drops the POSIX record locks (F_SETLK) that
 *            the calling process itself holds on them; locks of open file descriptions stay.
 * Progress:  every call may enter the kernel; none waits for another process.
 * Crash:     only tarn_host_reclaim() changes anything; its docstring says what a death leaves.
 * Trust:     names, sizes and contents are other people's: names come with control characters
 *            replaced by '?', and a file that shrinks while it is read is a short read.
 */
#ifndef TARN_HOST_H
#define TARN_HOST_H

#include <stdbool.h>

#include <tarn/base.h>
#include <tarn/segment.h>

TARN_BEGIN_DECLS

struct tarn_host; /* one picture of the host */

#define TARN_HOST_UNKNOWN UINT64_MAX /* of counts and sizes: could not be found out */

/* Flags of struct tarn_host_opts. */
#define TARN_HOST_FILES (1u << 0) /* also shared mappings of plain files on disk */
#define TARN_HOST_USAGE (1u << 1) /* also Pss, dirty, locked and swap of each mapping; slower */
#define TARN_HOST_NODES (1u << 2) /* also NUMA nodes of each mapping; slower */

/* All zero means: the whole host, by /proc and /sys. */
struct tarn_host_opts {
	uint32_t flags;
	int32_t pid;      /* only what this process uses; 0 = all processes */
	const char *root; /* directory in which the host's proc, sys and dev lie, as a container
	                     has them mounted; NULL = "/" */
	struct tarn_diag *diag;
	uint64_t reserved[4]; /* zero */
};

/* What a segment is known to hold. */
enum tarn_host_content {
	TARN_CONTENT_UNKNOWN = 0,
	TARN_CONTENT_REGION = 1,    /* a region of Tarn's */
	TARN_CONTENT_CONTROL = 2,   /* the control file of a System V region of Tarn's */
	TARN_CONTENT_TEMPORARY = 3, /* of Tarn's: on its way to its name, or out of it */
	TARN_CONTENT_SEMAPHORE = 4, /* a named POSIX semaphore, as sem_open() makes them */
};

enum tarn_host_state {
	TARN_STATE_LIVE = 1,    /* a process has it mapped or open */
	TARN_STATE_IDLE = 2,    /* nobody has, and nothing proves that nobody will */
	TARN_STATE_ORPHAN = 3,  /* nobody has, and its creator is dead; see proof */
	TARN_STATE_DELETED = 4, /* no name leads to it; it goes with the last who has it */
	TARN_STATE_STALE = 5,   /* Tarn's own: all its members are dead; see proof */
	TARN_STATE_UNKNOWN = 6, /* nobody seen, but not every process could be read */
};

/* One segment of a picture; valid until tarn_host_free(). */
struct tarn_host_segment {
	uint32_t index;    /* in the picture, from 0 */
	uint32_t kind;     /* enum tarn_segment_kind */
	uint32_t content;  /* enum tarn_host_content */
	uint32_t state;    /* enum tarn_host_state */
	const char *addr;  /* its address: what every call and verb accepts */
	const char *label; /* the name it has for the eye: of a memfd, of a deleted file; or NULL */
	const char *proof; /* why it is known to be dead, in words; NULL if it is not */
	uint64_t size;     /* bytes; of what can only be seen mapped: to the end of its mappings */
	uint64_t touched;  /* bytes in memory or swap, kernel's count; or UNKNOWN */
	uint64_t swap;     /* bytes of these in swap; or UNKNOWN */
	uint64_t page_size;     /* bytes; 0 = not known */
	uint64_t dev;           /* st_dev; identity is dev and inode */
	uint64_t inode;         /* for System V the identifier */
	uint64_t attach_count;  /* System V: shm_nattch; else the mappings seen */
	uint32_t process_count; /* processes seen that have it mapped or open */
	uint32_t uid, gid;      /* owner; UINT32_MAX = not known */
	uint32_t cuid, cgid;    /* System V: creator; else the owner */
	uint32_t mode;          /* permission bits; UINT32_MAX = not known */
	uint32_t seals;         /* memfd: F_SEAL_* in force; UINT32_MAX = not known, or no memfd */
	int32_t key;            /* System V: the key; 0 = private */
	int32_t id;             /* System V: the identifier; else -1 */
	int32_t creator_pid;    /* System V and regions; 0 = not known, or not visible here */
	int32_t last_pid;       /* System V: last to attach or detach; else 0 */
	char creator[16];       /* its program's name if it is alive; else empty */
	int64_t created_ns;  /* CLOCK_REALTIME of creation, or of the last change of owner or mode
	                           where that is all the kernel keeps; 0 = not known */
	int64_t attached_ns; /* System V: last attach; 0 = never */
	int64_t detached_ns; /* System V: last detach; 0 = never */
	int64_t used_ns;     /* latest of all times that the kernel keeps of it; 0 = not known */
	uint64_t pss;        /* bytes, sum over all mappings, with TARN_HOST_USAGE; or UNKNOWN */
	uint64_t dirty;      /* bytes, most of any one mapping, likewise */
	uint64_t locked;     /* bytes, most of any one mapping, likewise; System V: also without */
	uint32_t node_count; /* entries of node_bytes, with TARN_HOST_NODES */
	const uint64_t *node_bytes; /* bytes on each NUMA node, as mapped by those who map it */
	bool removed;               /* no name leads to it any more */
	bool elsewhere; /* of another IPC or mount namespace: its own name means nothing here */
};

/* One process of a picture that uses a segment. */
struct tarn_host_process {
	uint32_t index; /* in the picture, from 0 */
	int32_t pid;
	uint32_t uid;           /* effective; UINT32_MAX = not known */
	uint32_t segment_count; /* segments it has mapped or open */
	int64_t started_ns;     /* CLOCK_REALTIME; 0 = not known */
	char command[16];       /* its program's name; control characters replaced */
};

/* Rights of a mapping. */
#define TARN_HOST_READ    (1u << 0)
#define TARN_HOST_WRITE   (1u << 1)
#define TARN_HOST_EXEC    (1u << 2)
#define TARN_HOST_PRIVATE (1u << 3) /* a copy-on-write view */

/* One mapping of a segment by a process. */
struct tarn_host_mapping {
	const struct tarn_host_segment *segment;
	const struct tarn_host_process *process;
	uint64_t address;                       /* virtual, of the process */
	uint64_t size;                          /* bytes */
	uint64_t off;                           /* of its first byte in the segment */
	uint32_t rights;                        /* TARN_HOST_READ | ... */
	uint64_t rss, pss, dirty, locked, swap; /* bytes, with TARN_HOST_USAGE; or UNKNOWN */
};

/* A process that uses a segment, by mappings, descriptors or both. */
struct tarn_host_use {
	const struct tarn_host_segment *segment;
	const struct tarn_host_process *process;
	uint32_t mapping_count;
	uint32_t fd_count;
	int32_t fd;      /* the lowest of its descriptors; -1 = none */
	uint32_t rights; /* of all its mappings together */
};

struct tarn_host_stat {
	int64_t taken_ns; /* CLOCK_REALTIME */
	int64_t took_ns;  /* how long the scan took */
	uint32_t segment_count;
	uint32_t process_count;    /* that use a segment */
	uint32_t seen_count;       /* processes looked at */
	uint32_t unreadable_count; /* processes and files that could not be read: what they use is
	                               missing, and counts are lower bounds */
	bool complete;             /* nothing was unreadable, and no process hidden */
	bool hidden;               /* /proc is mounted so that it hides processes from this user */
	bool enclosed; /* in a PID namespace: who uses what from outside it is not seen */
};

/**
 * tarn_host_scan - take a picture.
 * @opts:     NULL for all defaults
 * @ret_host: on success the picture; tarn_host_free() it
 * What this user may not read is counted in tarn_host_stat, and is no error.
 *
 * Return: 0, -EINVAL (an option), -ESRCH (no process @opts->pid), -ENOENT (no proc under
 *   @opts->root), -EACCES (@opts->pid may not be read), -ENOMEM, -EMFILE.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_host_scan(const struct tarn_host_opts *opts,
					   struct tarn_host **ret_host);

/** tarn_host_free - forget the picture. Accepts NULL. Since: 0.1 */
TARN_API void tarn_host_free(struct tarn_host *host);

/** tarn_host_stat - what was seen, and what could not be. Since: 0.1 */
TARN_API void tarn_host_stat(const struct tarn_host *host, struct tarn_host_stat *ret_stat);

/**
 * tarn_host_segments - call @fn for each segment, by kind and address, until it returns non-zero.
 * Return: 0, or what @fn returned.
 * Since: 0.1
 */
TARN_API int tarn_host_segments(const struct tarn_host *host,
				int (*fn)(const struct tarn_host_segment *segment, void *arg),
				void *arg);

/**
 * tarn_host_processes - call @fn for each process that uses a segment, by pid, until it returns
 * non-zero.
 * Return: 0, or what @fn returned.
 * Since: 0.1
 */
TARN_API int tarn_host_processes(const struct tarn_host *host,
				 int (*fn)(const struct tarn_host_process *process, void *arg),
				 void *arg);

/**
 * tarn_host_uses - call @fn for each pair of process and segment, until it returns non-zero.
 * @segment: only of this one; NULL = all
 * @process: only by this one; NULL = all
 * Return: 0, or what @fn returned.
 * Since: 0.1
 */
TARN_API int tarn_host_uses(const struct tarn_host *host, const struct tarn_host_segment *segment,
			    const struct tarn_host_process *process,
			    int (*fn)(const struct tarn_host_use *use, void *arg), void *arg);

/**
 * tarn_host_mappings - call @fn for each mapping, by process and address, until it returns
 * non-zero.
 * @segment, @process: as tarn_host_uses()
 * Return: 0, or what @fn returned.
 * Since: 0.1
 */
TARN_API int tarn_host_mappings(const struct tarn_host *host,
				const struct tarn_host_segment *segment,
				const struct tarn_host_process *process,
				int (*fn)(const struct tarn_host_mapping *mapping, void *arg),
				void *arg);

/**
 * tarn_host_find - the segment that @addr names.
 * @addr: any address: of <tarn/segment.h>, map:PID:ADDRESS, memfd:PID:FD of any that has it,
 *        memfd:NAME if only one memfd has that name, or a path in /dev/shm or hugetlbfs. A file on
 *        disk that nobody maps is added to the picture
 * Return: 0, -ENOENT, -EINVAL (no address), -ENOTUNIQ (several memfds have that name; diag
 *   lists them), -EACCES (it may be there, in a process or directory that cannot be read).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_host_find(struct tarn_host *host, const char *addr,
					   const struct tarn_host_segment **ret_segment,
					   struct tarn_diag *diag);

/* --- one segment, closely ------------------------------------------------------------------ */

enum tarn_host_extent_kind {
	TARN_EXTENT_RESIDENT = 1, /* in memory */
	TARN_EXTENT_SWAPPED = 2,  /* has contents, not in memory: in swap, or on disk */
	TARN_EXTENT_RESERVED = 3, /* memory is set aside, and nothing was written yet */
	TARN_EXTENT_HOLE = 4,     /* reads as zeros and takes no memory, of a file on disk: of
	                             which nothing is on disk */
	TARN_EXTENT_TOUCHED = 5,  /* has contents; whether in memory or swap cannot be told */
	TARN_EXTENT_UNKNOWN = 6,  /* in no page table that may be read: perhaps a hole */
};

struct tarn_host_extent {
	uint64_t off, size; /* bytes */
	uint32_t kind;      /* enum tarn_host_extent_kind */
	int32_t node;       /* NUMA node of a resident extent; -1 = not known */
};

/**
 * tarn_host_extents - call @fn for each stretch of @segment, in order and without gaps, until it
 * returns non-zero. Nothing is faulted in, and no access time changes. Neighbours differ in kind
 * or node. A System V segment that no readable process has attached is attached for the time of
 * the call, which its last-attach time and last pid show. Memory without a name that only
 * mappings lead to needs CAP_CHECKPOINT_RESTORE; without it, and for secret memory, page tables are
 * looked at, and what stands in none is UNKNOWN.
 * Return: 0, what @fn returned, -ENOENT (gone since the picture), -EACCES, -EAGAIN (a lease on the
 *   file is being taken back), -ENOMEM, -EMFILE.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int
tarn_host_extents(const struct tarn_host *host, const struct tarn_host_segment *segment,
		  int (*fn)(const struct tarn_host_extent *extent, void *arg), void *arg,
		  struct tarn_diag *diag);

/* One page of a segment as one process sees it. */
struct tarn_host_page {
	uint64_t off;     /* in the segment, bytes; multiple of the base page size */
	uint64_t address; /* virtual, of the process */
	uint64_t frame;   /* physical page frame number; UNKNOWN without the right to see it */
	const struct tarn_host_process *process;
	bool present; /* in this process's page table: else untouched by it, or swapped */
	bool swapped; /* a private copy that is in swap: shared pages leave the page table */
	bool copied;  /* its own copy, made by a copy-on-write mapping: none of the segment's */
};

/**
 * tarn_host_pages - call @fn for each page of [@off, @off + @size) and each process that maps
 * it, by page, until it returns non-zero. Needs the right to trace the processes; the frame
 * numbers need CAP_SYS_ADMIN besides.
 * @off:  multiple of the base page size
 * @size: 0 = to the end
 * A process that may not be looked into is left out, unless that leaves none.
 * Return: 0, what @fn returned, -EINVAL (range), -ENOENT (nobody maps it any more), -EACCES,
 *   -ENOMEM, -EMFILE.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_host_pages(const struct tarn_host *host,
					    const struct tarn_host_segment *segment, uint64_t off,
					    uint64_t size,
					    int (*fn)(const struct tarn_host_page *page, void *arg),
					    void *arg, struct tarn_diag *diag);

/* A lock on the file behind a segment, as /proc/locks shows it. */
struct tarn_host_lock {
	char type[8];   /* "POSIX", "OFDLCK", "FLOCK", "LEASE" */
	char access[8]; /* "READ", "WRITE" */
	int32_t pid;    /* 0 = the kernel does not say (OFD locks) */
	bool waiting;   /* blocked behind another */
	uint64_t start; /* bytes */
	uint64_t end;   /* last byte; UINT64_MAX = to the end */
};

/**
 * tarn_host_locks - call @fn for each lock on the file behind @segment until it returns non-zero.
 * Return: 0, what @fn returned, -ENOENT or -EACCES (/proc/locks cannot be read).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_host_locks(const struct tarn_host *host,
					    const struct tarn_host_segment *segment,
					    int (*fn)(const struct tarn_host_lock *lock, void *arg),
					    void *arg);

/**
 * tarn_host_read - copy bytes of @segment as they are now. They are read through a descriptor or
 * out of a process that maps it, so that a truncation is a short read and never a signal. A System
 * V segment that no readable process has attached is attached for the call, as for
 * tarn_host_extents(). The access time of another user's file may change. Where only a process that
 * maps it leads there, reading a hole faults it in.
 * Return: bytes copied, fewer than @size only at the end; 0 = at or beyond the end; -ENOENT,
 *   -EACCES, -EAGAIN (a lease on the file is being taken back), -EIO, -ENOMEM, -EMFILE.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int64_t tarn_host_read(const struct tarn_host *host,
					       const struct tarn_host_segment *segment,
					       uint64_t off, void *buf, uint64_t size,
					       struct tarn_diag *diag);

/* --- limits -------------------------------------------------------------------------------- */

enum tarn_host_unit {
	TARN_UNIT_COUNT = 1,
	TARN_UNIT_BYTES = 2,
	TARN_UNIT_WORD = 3, /* no number: text alone */
};

/* A limit or setting of the host that concerns shared memory. */
struct tarn_host_limit {
	const char *name;   /* "shm.size": stable, for scripts */
	const char *what;   /* "size of /dev/shm", for the eye */
	const char *source; /* the file, call or option that it was read from */
	const char *raise;  /* the command that changes it; NULL = it cannot be */
	uint32_t unit;      /* enum tarn_host_unit */
	uint64_t value;     /* UINT64_MAX = no limit */
	uint64_t used;      /* of it; TARN_HOST_UNKNOWN = not known, or not countable */
	const char *text;   /* the setting in words, or what is to be added; NULL = value says it */
};

/**
 * tarn_host_limits - call @fn for each limit that could be read, until it returns non-zero.
 * @opts: root and diag are heeded; NULL for defaults. Limits of the process and namespaces are the
 *        caller's own
 * @ret_unreadable: limits that should be there and could not be read; may be NULL
 * Return: 0, what @fn returned, -ENOENT (no proc under root).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_host_limits(const struct tarn_host_opts *opts,
					     int (*fn)(const struct tarn_host_limit *limit,
						       void *arg),
					     void *arg, uint32_t *ret_unreadable);

enum tarn_host_severity {
	TARN_SEVERITY_OK = 0,
	TARN_SEVERITY_WARNING = 1,
	TARN_SEVERITY_CRITICAL = 2,
	TARN_SEVERITY_UNKNOWN = 3, /* could not be found out */
};

/* What will hurt, or will not. */
struct tarn_host_finding {
	const char *check;  /* "shm-size": stable, for scripts */
	uint32_t severity;  /* enum tarn_host_severity */
	const char *what;   /* what was found, with its figures */
	const char *breaks; /* what goes wrong because of it; NULL where nothing does */
	const char *fix;    /* the command or change that mends it; NULL where there is none */
	uint64_t bytes;     /* of leftovers and shortages; of what is counted, how many; 0 = none */
};

/**
 * tarn_host_findings - judge the host: call @fn for each check, passed or not, until it returns
 * non-zero.
 * @host: a picture, for leftovers of the dead; NULL = these are left out
 * @opts: root and diag are heeded; NULL for defaults
 * Return: 0, what @fn returned, -ENOENT (no proc under root).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int
tarn_host_findings(const struct tarn_host *host, const struct tarn_host_opts *opts,
		   int (*fn)(const struct tarn_host_finding *finding, void *arg), void *arg);

/**
 * tarn_host_fit - would a segment of @want->size bytes at @addr fit now? Nothing is made.
 * @addr: an address as for tarn_segment_create(); "shm:", "sysv:", "memfd:" and "huge:" are any of
 *        that kind; NULL = "shm:". Whether the name is taken is not asked
 * @want: as for tarn_segment_create(): size, pages and flags are heeded
 * @fn:   called for each limit on the way, with what it leaves; may be NULL
 * Huge pages that are asked for without TARN_SEGMENT_PAGES_MUST and not there are a warning, as
 * creating then takes small ones.
 * A limit that cannot be read stands in nobody's way, and is a finding of severity UNKNOWN.
 * Return: 0 (it fits), -ENOSPC (a limit is in the way: the findings of severity CRITICAL; diag has
 *   the first), what @fn returned, -EINVAL, -EOPNOTSUPP (that kind has no such pages), -EMFILE.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int
tarn_host_fit(const char *addr, const struct tarn_segment_opts *want,
	      const struct tarn_host_opts *opts,
	      int (*fn)(const struct tarn_host_finding *finding, void *arg), void *arg);

/* --- removing ------------------------------------------------------------------------------ */

#define TARN_RECLAIM_DRY (1u << 0) /* only find out, in the same way, whether it could go now */

/**
 * tarn_host_reclaim - remove @segment, which is not Tarn's own and which nobody uses, if that
 * still holds at this moment.
 * @idle_ns: 0 = only what is provably an orphan: TARN_STATE_ORPHAN, of System V. Else also files
 *           in /dev/shm and hugetlbfs, named semaphores among them, in state TARN_STATE_IDLE and
 *           unused for so long by their own times (used_ns). The kernel notes a file's mapping or
 *           reading there at most once a day, its closing and stores into it never
 * @flags:   TARN_RECLAIM_DRY or 0
 * For Tarn's own there are tarn_region_gc(), tarn_region_remove() and tarn_leftovers(); of them
 * only a file that an earlier call was just removing when it died is taken here (".tarn-gc.*").
 *
 * What is there is compared with the picture once more, and what changed since is left alone. A
 * file nobody may have open, which a write lease proves: the kernel grants one only then, to its
 * owner and to root. The lease is held until the name is gone. Who opens the file by its name
 * meanwhile waits some milliseconds in open() (with O_NONBLOCK: gets EAGAIN) and then has it, under
 * its name: it is not removed. In System V nothing holds off who attaches between the last look and
 * the removal: those keep the segment, whole, until they detach. No signal comes of all this.
 *
 * A process killed in the middle leaves the segment whole, a file perhaps under a passing name
 * (".tarn-gc."), which tarn_leftovers() removes, or gives its name back if somebody opened it.
 *
 * Return: 0 (it is gone), 1 (its name or key is gone; who came at this very moment has it and
 *   keeps it, whole; @diag says so), or
 *   -EBUSY   somebody has it, and it is as it was; @diag says who, where that is known
 *   -ESTALE  it is no orphan and not idle for @idle_ns, or was used since the picture
 *   -ENOENT  it is gone already
 *   -EINVAL  it is Tarn's own, a file on disk, of another namespace or root, or has no name
 *   -EPERM, -EACCES  the kernel's refusal, or it could not be proven that nobody has it
 *   and the kernel's error otherwise. If a name could not be given back @diag says what it is now.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_host_reclaim(const struct tarn_host *host,
					      const struct tarn_host_segment *segment,
					      int64_t idle_ns, uint32_t flags,
					      struct tarn_diag *diag);

TARN_END_DECLS

#endif /* TARN_HOST_H */
