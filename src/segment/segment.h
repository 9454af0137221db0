/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segment.h - what the region layer needs of a segment beyond <tarn/segment.h>.
 *
 * Creation comes in two halves, so that a region can write its superblock before anybody can
 * find it: tarn__segment_prepare() makes and maps the memory, tarn__segment_publish() gives it
 * its name. For System V, where the kernel names first, prepare does all and publish nothing;
 * for memfd and anon publish only adds the seals.
 */
#ifndef TARN_SEGMENT_INTERNAL_H
#define TARN_SEGMENT_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tarn/segment.h>

/* An address taken apart. */
struct tarn__addr {
	enum tarn_segment_kind kind;
	char path
		[4096]; /* POSIX, FILE, HUGE: the file; SYSV with ftok: its path; MEMFD: its name */
	int32_t key;    /* SYSV: the key, 0 = private */
	int32_t id;     /* SYSV: identifier, -1 = by key; memfd:PID:FD: FD */
	int32_t pid;    /* memfd:PID:FD: PID, else 0 */
};

/* Return: 0, or -EINVAL with @diag, or the error of ftok() or of finding hugetlbfs. */
int tarn__addr_parse(const char *text, struct tarn__addr *ret_addr, struct tarn_diag *diag);
/* The same of something that is to exist: -ENOENT where no file system is that could hold it. */
int tarn__addr_parse_there(const char *text, struct tarn__addr *ret_addr, struct tarn_diag *diag);

/* @opts, NULL for all defaults, checked and completed. */
int tarn__want(const struct tarn_segment_opts *opts, bool creating,
	       struct tarn_segment_opts *ret_want);
/* The kernel's refusal in words: @doing is a verb ("creating"), @what the address or path. Returns
 * @error. */
int tarn__refused(struct tarn_diag *diag, int error, const char *doing, const char *what);
/* Bytes of @pages, 0 for those that are no explicit huge pages. */
uint64_t tarn__huge_size(uint32_t pages);

struct tarn_segment {
	struct tarn__addr addr; /* kind, and where the name is or is to be; path empty for fds */
	int fd;                 /* -1 for System V; carries no lock: children may inherit it */
	int shmid;              /* -1 unless System V */
	unsigned char *base;    /* first byte */
	uint64_t map_size;      /* bytes of address space from base; >= size */
	uint64_t size;          /* bytes of the object when last looked at */
	uint32_t page_size;     /* bytes, as got */
	uint32_t flags;         /* TARN_SEGMENT_* as asked */
	uint32_t pages;         /* enum tarn_segment_pages as got */
	uint32_t seals;         /* to be added by publish */
	bool read_only;         /* stores fault, and calls that change the object are refused */
	bool published;         /* false only between prepare and publish: close undoes the rest */
	bool locked;            /* mlock()ed by this handle */
	char temp_path[4096];   /* its passing name where O_TMPFILE is not supported; else empty */
	struct tarn__watch *watch;    /* where the SIGBUS guard finds the mapping; NULL unmapped */
	_Atomic uint32_t fault_count; /* times the SIGBUS guard stepped in */
};

int tarn__segment_prepare(const char *addr, const struct tarn_segment_opts *opts,
			  struct tarn_segment **ret_seg);
/* Return: 0; -EEXIST if the name was taken meanwhile, then @seg is still whole and unnamed. */
int tarn__segment_publish(struct tarn_segment *seg, struct tarn_diag *diag);

/* Remove the name of @seg only if it still leads to this very object; 0, -ENOENT if it does not. */
int tarn__segment_unname(struct tarn_segment *seg);
/* The object's bytes now, by the kernel's word, whatever of it is mapped. */
int tarn__size_now(const struct tarn_segment *seg, uint64_t *ret_size);

/* Map @seg anew, over @max_size bytes of address space; its base changes. Not for System V. On
 * failure @seg has no mapping and can only be closed. */
int tarn__segment_remap(struct tarn_segment *seg, uint64_t max_size, struct tarn_diag *diag);

#endif /* TARN_SEGMENT_INTERNAL_H */
