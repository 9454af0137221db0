/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parts.h - what the files of this folder owe each other. Nobody else includes it.
 *
 * "want" is always a struct tarn_segment_opts that tarn__want() has checked and completed:
 * max_size >= size, mode set, nothing unknown in it.
 */
#ifndef TARN_SEGMENT_PARTS_H
#define TARN_SEGMENT_PARTS_H

#include "plat/lines.h"
#include "segment/room.h"
#include "segment/segment.h"

#define TARN__SEGMENT_SIZE_MAX (UINT64_C(1) << 47)
#define TARN__SHM_DIR          "/dev/shm"
#define TARN__TEMP_PREFIX      ".tarn-tmp."

/* f_type of statfs(), from <linux/magic.h> */
#define TARN__TMPFS_MAGIC     0x01021994u
#define TARN__RAMFS_MAGIC     0x858458f6u
#define TARN__HUGETLBFS_MAGIC 0x958458f6u

/* --- segment.c ------------------------------------------------------------------------------- */

/* A handle for @fd, which is the handle's from now on, or closed on failure. */
int tarn__segment_adopt(int fd, const struct tarn_segment_opts *want,
			struct tarn_segment **ret_seg);

/* --- reserve.c: is there room? --------------------------------------------------------------- */

/* Will @bytes more fit into the file system of @fd, the memory and the cgroups? -ENOSPC if not,
 * -EFBIG for RLIMIT_FSIZE with the file ending at @end. Reserves nothing; @bytes may be 0. */
int tarn__room_for_file(int fd, uint64_t bytes, uint64_t end, struct tarn_diag *diag);
/* The same for memory without a file system, as System V's. */
int tarn__room_for_memory(uint64_t bytes, struct tarn_diag *diag);
/* Are @bytes of huge pages of @page_size free? */
int tarn__room_for_huge(uint64_t bytes, uint64_t page_size, struct tarn_diag *diag);

/* --- huge.c ---------------------------------------------------------------------------------- */

/* enum tarn_segment_pages of a mapping with @page_size. */
uint32_t tarn__pages_of(uint64_t page_size);
/* Where file @name of hugetlbfs is, or is to be; @page_size 0 = of any size. -EOPNOTSUPP with no
 * such mount. */
int tarn__huge_path(const char *name, uint64_t page_size, char *buf, size_t size,
		    struct tarn_diag *diag);
/* Ask for transparent huge pages on the mapping. Sets seg->pages if they can be had;
 * -EOPNOTSUPP if they cannot and @must. */
int tarn__thp_ask(struct tarn_segment *seg, bool must, struct tarn_diag *diag);
/* Bytes of the pages that back the mapping at @base, by /proc/self/smaps; 0 unknown. */
uint64_t tarn__page_size_at(const void *base);

/* --- file.c: POSIX, file, huge --------------------------------------------------------------- */

/* An unnamed file where seg->addr says, with the mode wanted, empty, in seg->fd. */
int tarn__file_make(struct tarn_segment *seg, const struct tarn_segment_opts *want);
int tarn__file_open(struct tarn_segment *seg, const struct tarn_segment_opts *want);
int tarn__file_publish(struct tarn_segment *seg, struct tarn_diag *diag);
int tarn__file_remove(const struct tarn__addr *addr, const struct tarn_segment_opts *want);
int tarn__file_unname(struct tarn_segment *seg);
/* Undo a make that was not published. */
void tarn__file_discard(struct tarn_segment *seg);

/* --- memfd.c --------------------------------------------------------------------------------- */

int tarn__memfd_make(struct tarn_segment *seg, const struct tarn_segment_opts *want);
/* memfd:PID:FD */
int tarn__memfd_open(struct tarn_segment *seg, const struct tarn_segment_opts *want);
int tarn__memfd_seal(struct tarn_segment *seg, uint32_t seals, struct tarn_diag *diag);

/* --- sysv.c ---------------------------------------------------------------------------------- */

int tarn__sysv_make(struct tarn_segment *seg, const struct tarn_segment_opts *want);
int tarn__sysv_open(struct tarn_segment *seg, const struct tarn_segment_opts *want);
int tarn__sysv_remove(const struct tarn__addr *addr, const struct tarn_segment_opts *want);
int tarn__sysv_unname(struct tarn_segment *seg);
void tarn__sysv_discard(struct tarn_segment *seg);
int tarn__sysv_stat(struct tarn_segment *seg, struct tarn_segment_stat *ret_stat);
int tarn__sysv_chmod(struct tarn_segment *seg, uint32_t mode, uint32_t uid, uint32_t gid);

/* --- map.c: from a descriptor to memory ------------------------------------------------------ */

/* Reserve, map and dress an empty file: seg->fd is set. */
int tarn__map_new(struct tarn_segment *seg, const struct tarn_segment_opts *want);
/* Check and map a file that somebody made. @name for the words. */
int tarn__map_existing(struct tarn_segment *seg, const struct tarn_segment_opts *want,
		       const char *name);
/* Dump, fork, NUMA and THP settings of a mapping; before its pages are touched. */
int tarn__map_dress(struct tarn_segment *seg, const struct tarn_segment_opts *want);
/* Fault in and lock [off, off + size), as seg->flags say. */
int tarn__map_settle(struct tarn_segment *seg, uint64_t off, uint64_t size, struct tarn_diag *diag);
int tarn__map_populate(struct tarn_segment *seg, uint64_t off, uint64_t size, bool write,
		       struct tarn_diag *diag);
int tarn__map_lock(struct tarn_segment *seg, uint64_t off, uint64_t size, struct tarn_diag *diag);
/* Whose is it, and who may touch it? -EPERM with both. */
int tarn__check_owner(uint32_t uid, uint32_t mode, const struct tarn_segment_opts *want,
		      const char *name);
/* [off, off + size) of a mapping limited to @limit bytes, @size 0 for all the rest. */
int tarn__range(const struct tarn_segment *seg, uint64_t off, uint64_t *size, uint64_t limit);

/* --- numa.c ---------------------------------------------------------------------------------- */

int tarn__numa_set(void *base, uint64_t size, uint32_t numa, uint64_t nodes, bool move,
		   struct tarn_diag *diag);

/* --- guard.c --------------------------------------------------------------------------------- */

/* Make the mapping known to the SIGBUS handler, and forget it. -ENOMEM. */
int tarn__guard_add(struct tarn_segment *seg);
void tarn__guard_remove(struct tarn_segment *seg);
/* The mapping's map_size or page_size has changed. */
void tarn__guard_resize(struct tarn_segment *seg);
/* -EIO where the guard had to step in. */
int tarn__guard_check(const struct tarn_segment *seg);

#endif /* TARN_SEGMENT_PARTS_H */
