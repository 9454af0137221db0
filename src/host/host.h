/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.h - the picture, and what the files of this folder owe each other.
 *
 * A picture is four tables in private memory: segments, processes, mappings, uses. They are filled
 * in this order, each step by one file:
 *
 *     names.c   what has a name: /dev/shm, hugetlbfs, /proc/sysvipc/shm
 *     procs.c   what processes have mapped or open, which adds what has no name
 *     usage.c   on demand: how much of it, on which NUMA node
 *     judge.c   sums, addresses, and the state of each segment with its proof
 *     order.c   what leads from a segment or a process to its uses and mappings
 *
 * Identity of a segment: (domain, dev, inode). The domain is 0, and for System V the inode of the
 * IPC namespace: there the inode is the identifier, which each namespace counts for itself.
 *
 * Segments and processes are allocated one by one and never move: the public structs point at them.
 */
#ifndef TARN_HOST_INTERNAL_H
#define TARN_HOST_INTERNAL_H

#include <sys/stat.h>

#include <tarn/host.h>

#include "base/bits.h"
#include "base/diag.h"
#include "plat/lines.h"
#include "plat/plat.h"

#define TARN__HOST_PATH 4352 /* root, a path of the kernel's, and what is put in between */

struct tarn__seg {
	struct tarn_host_segment pub;
	struct tarn__seg *next; /* in its hash chain */
	uint64_t domain;
	char *path;           /* how to get at it by name, root included; NULL = no name */
	char *name;           /* raw, as the kernel gives it; NULL = none */
	bool fact;            /* size, owner and so on are the kernel's own word */
	bool stray;           /* in a folder below /dev/shm, or in a second hugetlbfs */
	bool listed;          /* System V: in /proc/sysvipc/shm */
	int32_t member_count; /* of a region of Tarn's: alive by the kernel's lock; -1 = no word */
	bool ephemeral;       /* region */
	int32_t open_pid, open_fd; /* a descriptor of it; pid 0 = none seen */
	int32_t map_pid;           /* a mapping of it; 0 = none seen */
	uint64_t map_start, map_end;
	uint64_t reach;                /* how far its mappings go, bytes */
	uint32_t use_first, use_count; /* in uses */
	uint32_t use_last;             /* while processes are read: the last of its uses */
};

struct tarn__proc {
	struct tarn_host_process pub;
	uint64_t ipc;                  /* inode of its IPC namespace; 0 = cannot be read */
	uint32_t use_first;            /* in by_proc; as many as pub.segment_count */
	uint32_t map_first, map_count; /* in maps */
};

/* A file system whose files are shared memory. */
struct tarn__fs {
	uint64_t dev;
	uint64_t page_size; /* bytes; 0 = the base page */
	bool internal;      /* the kernel's own: nothing in it has a name */
	bool home;          /* the one in which huge:NAME lives */
	char *dir;          /* without root; NULL = internal */
};

#define TARN__FS_MAX 32

struct tarn_host {
	uint32_t flags;
	int32_t only_pid;
	char *root; /* "" for "/" */
	struct tarn_host_stat stat;

	struct tarn__seg **segs;
	uint32_t seg_count, seg_room;
	struct tarn__seg **chains; /* chain_count of them, a power of two */
	uint32_t chain_count;
	struct tarn__proc **procs;
	uint32_t proc_count, proc_room;
	struct tarn_host_mapping *maps; /* by process, then address */
	uint32_t map_count, map_room;
	struct tarn_host_use *uses; /* by segment, then process */
	uint32_t use_count, use_room;
	uint32_t *by_use, *by_use_first, *by_proc; /* see order.c */

	struct tarn__fs fs[TARN__FS_MAX];
	uint32_t fs_count;
	uint64_t shm_dev;    /* st_dev of /dev/shm; 0 = there is none */
	uint64_t anon_dev;   /* st_dev of the kernel's own tmpfs: memfd, System V, anonymous */
	uint64_t ipc;        /* inode of this process's IPC namespace */
	int64_t boot_ns;     /* CLOCK_REALTIME at boot */
	uint64_t huge_pages; /* in all pools: with none, nothing is of huge pages */
	bool pids_foreign;   /* /proc is of another PID namespace than this process */
	bool no_swap;        /* none of the host's swap is used */
	char path[TARN__HOST_PATH]; /* scratch */
};

/* --- host.c: the tables ---------------------------------------------------------------------- */

/* The segment of that identity, made if it is not there; NULL = out of memory. */
struct tarn__seg *tarn__seg_get(struct tarn_host *host, uint64_t domain, uint64_t dev,
				uint64_t inode);
struct tarn__seg *tarn__seg_find(const struct tarn_host *host, uint64_t domain, uint64_t dev,
				 uint64_t inode);
void tarn__seg_chain(struct tarn_host *host, struct tarn__seg *seg);
/* Open the file of @seg, which has a path, if that still leads to it. */
int tarn__seg_open(const struct tarn__seg *seg, int flags);
struct tarn__proc *tarn__proc_new(struct tarn_host *host, int32_t pid);
struct tarn_host_mapping *tarn__mapping_new(struct tarn_host *host);
/* The use of @seg by @proc, which is the process being read; made if it is not there. */
struct tarn_host_use *tarn__use_get(struct tarn_host *host, struct tarn__seg *seg,
				    struct tarn__proc *proc);
static inline struct tarn__seg *tarn__seg_of(const struct tarn_host_segment *segment)
{
	return (struct tarn__seg *)(uintptr_t)segment; /* pub comes first */
}
/* A copy; with @plain what is no printable text becomes '?'. NULL = out of memory. */
char *tarn__copy(const char *text, bool plain);
/* root + printf(@format) in host->path; -ENAMETOOLONG. */
int tarn__host_path(struct tarn_host *host, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* That a thing could not be read for want of rights; other errors mean that it is gone. */
void tarn__unreadable(struct tarn_host *host, int error);
/* Facts of a file that stat() gives. */
void tarn__seg_fill(struct tarn_host *host, struct tarn__seg *seg, const struct stat *st,
		    const char *path);

/* The latest of its three times, CLOCK_REALTIME ns. */
int64_t tarn__latest_time(const struct stat *st);

/* --- names.c, procs.c, usage.c, judge.c ---------------------------------------------------- */

/* Return: 0 or -ENOMEM, -EMFILE. What cannot be read is counted. */
int tarn__host_names(struct tarn_host *host);
int tarn__host_procs(struct tarn_host *host);
int tarn__host_usage(struct tarn_host *host);
int tarn__host_judge(struct tarn_host *host);
/* order.c: the lists of indices, once the tables are sorted. -ENOMEM. */
int tarn__host_index(struct tarn_host *host);
/* What the file @seg, called @base in its folder, holds. */
void tarn__seg_inside(struct tarn_host *host, struct tarn__seg *seg, const char *base);
/* addr, label, times of @seg, once all is known. */
int tarn__seg_dress(struct tarn_host *host, struct tarn__seg *seg);
/* Is no process @pid alive? */
bool tarn__pid_dead(struct tarn_host *host, int32_t pid);
/* The file system with @dev; NULL = none of shared memory. */
const struct tarn__fs *tarn__fs_of(const struct tarn_host *host, uint64_t dev);

/* --- parse.c: lines of /proc ----------------------------------------------------------------- */

/* A line of /proc/PID/maps. */
struct tarn__map_line {
	uint64_t start, end, off, dev, inode;
	uint32_t rights;
	const char *path; /* in the line; "" = none */
};
bool tarn__parse_map(const char *line, struct tarn__map_line *ret_map);
/* The number at *@text, of @base 10 or 16; moves *@text behind it. False if there is none, or if
 * it does not fit. */
bool tarn__parse_number(const char **text, unsigned base, uint64_t *ret_number);
/* What stands in /proc/PID/stat. */
struct tarn__stat_line {
	char comm[16];
	char state;       /* of the first thread: 'Z' ... */
	uint64_t flags;   /* PF_* of the kernel */
	uint64_t threads; /* with the first one, even if that ended before the others */
	uint64_t start;   /* ticks since boot */
};
#define TARN__PF_KTHREAD UINT64_C(0x200000)
bool tarn__parse_stat(const char *text, struct tarn__stat_line *ret_stat);
/* Has every thread of it ended? A first thread that did is a zombie while others go on. */
bool tarn__stat_ended(const struct tarn__stat_line *stat);
/* What replaces control characters and what is no UTF-8: text for the eye. In place. */
void tarn__plain(char *text);

#endif /* TARN_HOST_INTERNAL_H */
