/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * room.h - each limit between a segment and the memory it wants, one question a limit.
 *
 * Creating asks before it takes memory, and stops at the first limit that is short; the host layer
 * asks to tell all of them. Nothing here reserves anything: others may take the memory meanwhile.
 */
#ifndef TARN_SEGMENT_ROOM_H
#define TARN_SEGMENT_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/base.h>

#include "plat/plat.h"

#define TARN__ROOT_MAX 1024 /* bytes of a root, its NUL included */

/* A limit that was looked at. */
struct tarn__room {
	const char *limit; /* a word for it: "file-system" */
	uint64_t need;     /* bytes wanted of it; of what is counted, how many */
	uint64_t left;     /* what it has */
	int error;         /* 0 = that suffices; else what creating fails with */
	bool unknown;      /* it could not be read; only who is told hears of it */
	struct tarn_diag words;
};

/* Who asks. */
struct tarn__rooms {
	const char *root; /* before /proc, /sys and /dev; "" = this host's own */
	/* told each limit until it returns non-zero; NULL: the first that is short ends it */
	int (*fn)(const struct tarn__room *room, void *arg);
	void *arg;
	struct tarn_diag *diag; /* of that first one */
};

/* All return 0, the error of the first limit that is short where nobody is told, or what fn
 * returned. */

/* A file of file system @fd that ends at @end and takes @bytes more; @bytes may be 0. */
int tarn__room_in_file(const struct tarn__rooms *ask, int fd, uint64_t bytes, uint64_t end);
/* Memory without a file system: the host, its promises (overcommit), the memory cgroups. */
int tarn__room_in_memory(const struct tarn__rooms *ask, uint64_t bytes);
/* Huge pages: the pool, the hugetlb cgroups. */
int tarn__room_in_pool(const struct tarn__rooms *ask, uint64_t bytes, uint64_t page_size);
/* RLIMIT_FSIZE, the file ending at @end. */
int tarn__room_in_file_size(const struct tarn__rooms *ask, uint64_t end);
/* System V: kernel.shmmax, shmmni and shmall. */
int tarn__room_in_shmmax(const struct tarn__rooms *ask, uint64_t size);
int tarn__room_in_shmmni(const struct tarn__rooms *ask);
int tarn__room_in_shmall(const struct tarn__rooms *ask, uint64_t size);

/* For questions that only others ask: begin with what is needed and left; false: it suffices, and
 * nobody wants to hear that. Then the words, to which what is short is added in @unit
 * ("bytes", NULL = not at all), a hint where room->error is set, and tell. */
bool tarn__room_begin(struct tarn__room *room, const struct tarn__rooms *ask, const char *limit,
		      int error, uint64_t need, uint64_t left);
void tarn__room_say(struct tarn__room *room, const char *unit, const char *what, ...)
	__attribute__((format(printf, 3, 4)));
int tarn__room_tell(const struct tarn__rooms *ask, const struct tarn__room *room);

/* --- cgroup.c -------------------------------------------------------------------------------- */

/* A cgroup of this process in the hierarchy that has a controller. */
struct tarn__cgroup {
	const char *dir;  /* to read, the root in front of it */
	const char *name; /* the same as its users see it */
	unsigned up;      /* 0 = the process's own, 1 = its parent ... */
	bool v2;
};

/* Call @fn with this process's cgroup of @controller and each above it, until it returns non-zero,
 * and return that. No such hierarchy is no error. */
int tarn__each_cgroup(const char *root, const char *controller, bool v2,
		      int (*fn)(const struct tarn__cgroup *cgroup, void *arg), void *arg);

/* Memory of a cgroup, each in bytes. */
struct tarn__cgroup_memory {
	const char *limit_file;
	uint64_t limit;      /* UINT64_MAX = none */
	uint64_t usage;      /* less page cache that can go */
	uint64_t swap_limit; /* version 2; 0 where it cannot be told */
	uint64_t swap_usage;
};
/* False where the cgroup does not say; the root of version 2 has no limit. */
bool tarn__cgroup_memory(const struct tarn__cgroup *cgroup, struct tarn__cgroup_memory *ret_memory);
/* Of huge pages; "2MB". */
bool tarn__cgroup_huge(const struct tarn__cgroup *cgroup, uint64_t page_size, char file[48],
		       uint64_t *ret_limit, uint64_t *ret_usage);

/* --- what the host layer shares besides ------------------------------------------------------ */

/* System V segments in use, by /proc/sysvipc/shm. */
struct tarn__sysv_usage {
	uint64_t count;
	uint64_t page_count;
};
int tarn__sysv_usage(const char *root, struct tarn__sysv_usage *ret_usage);

#endif /* TARN_SEGMENT_ROOM_H */
