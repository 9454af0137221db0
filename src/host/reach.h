/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reach.h - the ways to the memory of a segment that is another's.
 *
 * In this order, since each later one tells less or leaves more of a trace:
 *
 *     a descriptor   by its name, by the descriptor of a process that has it open, or by the link
 *                    of a mapping in /proc/PID/map_files
 *     its views      the mappings that processes have of it, as they are now
 *     an attachment  System V: for the time of one call, which its last-attach time shows
 *
 * All that a picture says may be out of date: what is opened is compared with the segment by
 * (device, inode), and views are read anew.
 */
#ifndef TARN_HOST_REACH_H
#define TARN_HOST_REACH_H

#include <errno.h>
#include <string.h>

#include "host/host.h"

/* A descriptor of the object itself. */
struct tarn__object {
	int fd;
	bool owned; /* by this user, or this user may do what an owner may: mincore() is true */
	struct stat st;
};
/* @ret_object: close its fd. Return: 0, -ENOENT (gone, or nobody has it any more), -EACCES (rights
 * are missing for what may lead to it), -EAGAIN (a lease on it is being taken back), -EMFILE,
 * -ENOMEM. */
int tarn__reach(const struct tarn_host *host, const struct tarn_host_segment *segment,
		struct tarn__object *ret_object);
/* The same for @path, which may be a magic link of /proc with @follow. */
int tarn__reach_path(const struct tarn_host_segment *segment, const char *path, bool follow,
		     struct tarn__object *ret_object);

/* One mapping. */
struct tarn__view {
	const struct tarn_host_process *process;
	uint64_t address, size, off;
	uint32_t rights;
};
struct tarn__views {
	struct tarn__view *at; /* by process, then address */
	uint32_t count, room;
	uint32_t denied; /* processes that may not be looked into */
};
/* All mappings of @segment by those that used it in the picture, as they are now.
 * tarn__views_free() them also after an error. Return: 0, -ENOMEM, -EMFILE. */
int tarn__views(const struct tarn_host *host, const struct tarn_host_segment *segment,
		struct tarn__views *ret_views);
void tarn__views_free(struct tarn__views *views);

/* System V: attach for reading; tarn__plat_shmdt() it. Only where no other way leads there.
 * Return: 0, -ENOENT (gone), -EACCES, -ENOMEM, -EOPNOTSUPP (none of this IPC namespace's). */
int tarn__reach_attach(const struct tarn_host *host, const struct tarn_host_segment *segment,
		       void **ret_addr);
/* The descriptor that leads to an attachment of one's own; needs rights. As tarn__reach(). */
int tarn__reach_attached(const struct tarn_host_segment *segment, const void *addr,
			 struct tarn__object *ret_object);

/* /proc/PID/pagemap */
struct tarn__pagemap {
	int fd;
	int32_t pid; /* whose; 0 = none open */
};
/* The entries of @count pages from @addr on; 0 where nothing is. Return: 0, -ENOENT (gone),
 * -EACCES, -EMFILE. tarn__pagemap_close() it in the end. */
int tarn__pagemap(const struct tarn_host *host, struct tarn__pagemap *pagemap, int32_t pid,
		  uint64_t addr, uint32_t count, uint64_t *ret_entries);
void tarn__pagemap_close(struct tarn__pagemap *pagemap);

/* Bits of an entry: admin-guide/mm/pagemap of the kernel. */
#define TARN__PAGE_PRESENT (UINT64_C(1) << 63)
#define TARN__PAGE_SWAPPED (UINT64_C(1) << 62)
#define TARN__PAGE_FILE    (UINT64_C(1) << 61) /* or of shared memory: no private copy */
#define TARN__PAGE_FRAME   ((UINT64_C(1) << 55) - 1)

/* secretmem, which nobody but its processes can read. */
static inline bool tarn__is_secret(const struct tarn_host_segment *segment)
{
	const struct tarn__seg *seg = tarn__seg_of(segment);

	return seg->name != NULL && seg->path == NULL &&
	       strncmp(seg->name, "/secretmem", strlen("/secretmem")) == 0;
}

/* Of two errors the one that says more: rights are missing, then all but "gone". */
static inline int tarn__graver(int a, int b)
{
	return a == -EACCES || b == -EACCES ? -EACCES : a != -ENOENT ? a : b;
}

#endif /* TARN_HOST_REACH_H */
