/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segment.c - segments of every kind: options, create, open, close, grow, stat.
 *
 * What differs by kind is in file.c, memfd.c and sysv.c; this file chooses among them.
 *
 * After a crash in the middle of
 *   create  POSIX, file, huge: no name (see file.c for file systems without O_TMPFILE);
 *           memfd, anon: gone; System V: there, perhaps not yet filled
 *   grow    the size is the old one or the new one: fallocate() takes back what it has taken
 *   close   the kernel finishes it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

enum {
	FLAGS_ALL = (1u << 10) - 1,
	SEALS_ALL = 0x3f, /* F_SEAL_SEAL .. F_SEAL_EXEC */
};

/* --- options --------------------------------------------------------------------------------- */

static int check_sizes(const struct tarn_segment_opts *opts, bool creating)
{
	char a[24], b[24];

	if (creating && opts->size == 0)
		return tarn__diag(opts->diag, -EINVAL, "a segment of 0 bytes was asked");
	if (opts->size > TARN__SEGMENT_SIZE_MAX || opts->max_size > TARN__SEGMENT_SIZE_MAX)
		return tarn__diag(
			opts->diag, -EINVAL, "%s was asked, a segment can have %s",
			tarn__size_text(opts->size > opts->max_size ? opts->size : opts->max_size,
					a),
			tarn__size_text(TARN__SEGMENT_SIZE_MAX, b));
	if (opts->max_size != 0 && opts->max_size < opts->size)
		return tarn__diag(opts->diag, -EINVAL, "max_size %s is smaller than size %s",
				  tarn__size_text(opts->max_size, a),
				  tarn__size_text(opts->size, b));
	return 0;
}

static int check_flags(const struct tarn_segment_opts *opts, bool creating)
{
	uint32_t view = TARN_SEGMENT_READ_ONLY | TARN_SEGMENT_PRIVATE;
	uint32_t filling = TARN_SEGMENT_POPULATE | TARN_SEGMENT_LOCK;

	if ((opts->flags & ~(uint32_t)FLAGS_ALL) != 0)
		return tarn__diag(opts->diag, -EINVAL, "flags 0x%x are not known",
				  opts->flags & ~(uint32_t)FLAGS_ALL);
	if (creating && (opts->flags & view) != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "a new segment cannot be mapped read-only or copy-on-write: "
				  "nobody could fill it");
	if (creating && (opts->flags & TARN_SEGMENT_LAZY) != 0 && (opts->flags & filling) != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "lazy excludes populated and locked, which take all memory");
	return 0;
}

static int check_numbers(const struct tarn_segment_opts *opts)
{
	if ((opts->mode & ~0777u) != 0)
		return tarn__diag(opts->diag, -EINVAL, "mode %04o has more than permission bits",
				  opts->mode);
	if (opts->pages > TARN_PAGES_THP)
		return tarn__diag(opts->diag, -EINVAL, "%u is no choice of pages", opts->pages);
	if (opts->numa > TARN_NUMA_INTERLEAVE)
		return tarn__diag(opts->diag, -EINVAL, "%u is no NUMA policy", opts->numa);
	if (opts->numa == TARN_NUMA_DEFAULT && opts->numa_nodes != 0)
		return tarn__diag(opts->diag, -EINVAL, "NUMA nodes were given without a policy");
	if ((opts->seals & ~(uint32_t)SEALS_ALL) != 0)
		return tarn__diag(opts->diag, -EINVAL, "seals 0x%x are not known",
				  opts->seals & ~(uint32_t)SEALS_ALL);
	for (size_t i = 0; i < sizeof(opts->reserved) / sizeof(opts->reserved[0]); i++)
		if (opts->reserved[i] != 0)
			return tarn__diag(opts->diag, -EINVAL, "reserved options are not zero");
	return 0;
}

int tarn__want(const struct tarn_segment_opts *opts, bool creating,
	       struct tarn_segment_opts *ret_want)
{
	static const struct tarn_segment_opts none;
	struct tarn_segment_opts want = opts != NULL ? *opts : none;
	int r = check_sizes(&want, creating);

	if (r == 0)
		r = check_flags(&want, creating);
	if (r == 0)
		r = check_numbers(&want);
	if (r < 0)
		return r;
	if (want.mode == 0)
		want.mode = 0600;
	if (want.max_size < want.size)
		want.max_size = want.size;
	*ret_want = want;
	return 0;
}

/* --- handles --------------------------------------------------------------------------------- */

static struct tarn_segment *new_handle(uint32_t flags)
{
	struct tarn_segment *seg = calloc(1, sizeof(*seg));

	if (seg == NULL)
		return NULL;
	seg->fd = -1;
	seg->shmid = -1;
	seg->flags = flags;
	return seg;
}

/* Unmap and undo what was not published; the handle is as new then, but for its address. */
static void release(struct tarn_segment *seg)
{
	tarn__guard_remove(seg);
	if (seg->base != NULL && seg->addr.kind == TARN_SEGMENT_SYSV)
		(void)tarn__plat_shmdt(seg->base);
	else if (seg->base != NULL)
		tarn__plat_munmap(seg->base, (size_t)seg->map_size);
	seg->base = NULL;
	if (!seg->published) {
		tarn__file_discard(seg);
		tarn__sysv_discard(seg);
	}
	tarn__plat_close(seg->fd);
	seg->fd = -1;
	seg->shmid = -1;
}

void tarn_segment_close(struct tarn_segment *seg)
{
	if (seg == NULL)
		return;
	release(seg);
	free(seg);
}

/* --- create ---------------------------------------------------------------------------------- */

static int make(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	int r;

	if (want->seals != 0 && seg->addr.kind != TARN_SEGMENT_MEMFD &&
	    seg->addr.kind != TARN_SEGMENT_ANON)
		return tarn__diag(want->diag, -EINVAL,
				  "only memfd: and anon: segments can be sealed");
	switch (seg->addr.kind) {
	case TARN_SEGMENT_SYSV:
		return tarn__sysv_make(seg, want);
	case TARN_SEGMENT_MEMFD:
	case TARN_SEGMENT_ANON:
		r = tarn__memfd_make(seg, want);
		break;
	case TARN_SEGMENT_POSIX:
	case TARN_SEGMENT_FILE:
	case TARN_SEGMENT_HUGE:
	default:
		r = tarn__file_make(seg, want);
		break;
	}
	return r < 0 ? r : tarn__map_new(seg, want);
}

/* POSIX objects and files take the pages of their file system. */
static int check_pages(const struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	bool fixed = seg->addr.kind == TARN_SEGMENT_POSIX || seg->addr.kind == TARN_SEGMENT_FILE;

	if (!fixed || tarn__huge_size(want->pages) == 0 ||
	    (want->flags & TARN_SEGMENT_PAGES_MUST) == 0)
		return 0;
	tarn__diag(want->diag, -EOPNOTSUPP, "this kind of segment has no explicit huge pages");
	tarn__diag_hint(want->diag, "take huge:NAME, a memfd, or System V; or transparent ones");
	return -EOPNOTSUPP;
}

/* Huge pages that were asked for, not insisted on: small ones where they cannot be had. */
static int make_or_take_less(struct tarn_segment *seg, struct tarn_segment_opts *want)
{
	struct tarn_diag *diag = want->diag;
	struct tarn_diag first;
	int r;

	if (tarn__huge_size(want->pages) == 0 || seg->addr.kind == TARN_SEGMENT_HUGE ||
	    (want->flags & TARN_SEGMENT_PAGES_MUST) != 0)
		return make(seg, want);
	/* words of a try that is made good are not for the caller */
	want->diag = &first;
	r = make(seg, want);
	want->diag = diag;
	if (r == -ENOSPC || r == -ENOMEM || r == -EOPNOTSUPP || r == -EPERM) {
		release(seg);
		want->pages = TARN_PAGES_DEFAULT;
		return make(seg, want);
	}
	if (r < 0 && diag != NULL)
		*diag = first;
	return r;
}

int tarn__segment_prepare(const char *addr, const struct tarn_segment_opts *opts,
			  struct tarn_segment **ret_seg)
{
	struct tarn_segment_opts want;
	struct tarn_segment *seg;
	int r = tarn__want(opts, true, &want);

	if (r < 0)
		return r;
	seg = new_handle(want.flags);
	if (seg == NULL)
		return tarn__diag(want.diag, -ENOMEM, "no memory for a handle");
	r = tarn__addr_parse(addr, &seg->addr, want.diag);
	if (r == 0)
		r = check_pages(seg, &want);
	if (r == 0)
		r = make_or_take_less(seg, &want);
	if (r < 0) {
		tarn_segment_close(seg);
		return r;
	}
	seg->seals = want.seals;
	*ret_seg = seg;
	return 0;
}

int tarn__segment_publish(struct tarn_segment *seg, struct tarn_diag *diag)
{
	int r = 0;

	switch (seg->addr.kind) {
	case TARN_SEGMENT_SYSV:
		break;
	case TARN_SEGMENT_MEMFD:
	case TARN_SEGMENT_ANON:
		r = tarn__memfd_seal(seg, seg->seals, diag);
		break;
	case TARN_SEGMENT_POSIX:
	case TARN_SEGMENT_FILE:
	case TARN_SEGMENT_HUGE:
	default:
		r = tarn__file_publish(seg, diag);
		break;
	}
	if (r == 0)
		seg->published = true;
	return r;
}

int tarn_segment_create(const char *addr, const struct tarn_segment_opts *opts,
			struct tarn_segment **ret_seg)
{
	struct tarn_segment *seg = NULL;
	int r = tarn__segment_prepare(addr, opts, &seg);

	if (r < 0)
		return r;
	r = tarn__segment_publish(seg, opts->diag);
	if (r < 0) {
		tarn_segment_close(seg);
		return r;
	}
	*ret_seg = seg;
	return 0;
}

/* --- open ------------------------------------------------------------------------------------ */

static int open_kind(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	seg->read_only = (want->flags & TARN_SEGMENT_READ_ONLY) != 0;
	switch (seg->addr.kind) {
	case TARN_SEGMENT_SYSV:
		return tarn__sysv_open(seg, want);
	case TARN_SEGMENT_MEMFD:
		return tarn__memfd_open(seg, want);
	case TARN_SEGMENT_ANON:
		return tarn__diag(want->diag, -EINVAL, "anon: has no name to be opened by");
	case TARN_SEGMENT_POSIX:
	case TARN_SEGMENT_FILE:
	case TARN_SEGMENT_HUGE:
	default:
		return tarn__file_open(seg, want);
	}
}

int tarn_segment_open(const char *addr, const struct tarn_segment_opts *opts,
		      struct tarn_segment **ret_seg)
{
	struct tarn_segment_opts want;
	struct tarn_segment *seg;
	int r = tarn__want(opts, false, &want);

	if (r < 0)
		return r;
	seg = new_handle(want.flags);
	if (seg == NULL)
		return tarn__diag(want.diag, -ENOMEM, "no memory for a handle");
	seg->published = true; /* by whoever made it: close undoes nothing */
	r = tarn__addr_parse_there(addr, &seg->addr, want.diag);
	if (r == 0)
		r = open_kind(seg, &want);
	if (r < 0) {
		tarn_segment_close(seg);
		return r;
	}
	*ret_seg = seg;
	return 0;
}

/* What a descriptor that came from elsewhere is, by its file system and what /proc calls it. */
static enum tarn_segment_kind kind_of(int fd)
{
	struct tarn_plat_fs fs = { 0 };
	char path[32], name[4096];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (tarn__plat_readlink(path, name, sizeof(name)) < 0)
		name[0] = '\0';
	(void)tarn__plat_fstatfs(fd, &fs);
	if (strncmp(name, "/memfd:", 7) == 0)
		return TARN_SEGMENT_MEMFD;
	if (fs.type == TARN__HUGETLBFS_MAGIC)
		return TARN_SEGMENT_HUGE;
	if (strncmp(name, TARN__SHM_DIR "/", strlen(TARN__SHM_DIR) + 1) == 0)
		return TARN_SEGMENT_POSIX;
	return TARN_SEGMENT_FILE;
}

int tarn__segment_adopt(int fd, const struct tarn_segment_opts *want, struct tarn_segment **ret_seg)
{
	struct tarn_segment *seg = new_handle(want->flags);
	char name[32];
	int r;

	if (seg == NULL) {
		tarn__plat_close(fd);
		return tarn__diag(want->diag, -ENOMEM, "no memory for a handle");
	}
	seg->published = true;
	seg->fd = fd;
	seg->addr.id = -1;
	seg->addr.kind = kind_of(fd);
	snprintf(name, sizeof(name), "descriptor %d", fd);
	r = tarn__map_existing(seg, want, name);
	if (r < 0) {
		tarn_segment_close(seg);
		return r;
	}
	*ret_seg = seg;
	return 0;
}

int tarn_segment_open_fd(int fd, const struct tarn_segment_opts *opts,
			 struct tarn_segment **ret_seg)
{
	struct tarn_segment_opts want;
	int r = tarn__want(opts, false, &want);

	if (r < 0)
		return r;
	fd = tarn__plat_dup(fd);
	if (fd < 0)
		return tarn__refused(want.diag, fd, "duplicating", "the descriptor");
	return tarn__segment_adopt(fd, &want, ret_seg);
}

/* --- remove ---------------------------------------------------------------------------------- */

int tarn_segment_remove(const char *addr, const struct tarn_segment_opts *opts)
{
	struct tarn_segment_opts want;
	struct tarn__addr parsed;
	int r = tarn__want(opts, false, &want);

	if (r == 0)
		r = tarn__addr_parse_there(addr, &parsed, want.diag);
	if (r < 0)
		return r;
	switch (parsed.kind) {
	case TARN_SEGMENT_SYSV:
		return tarn__sysv_remove(&parsed, &want);
	case TARN_SEGMENT_MEMFD:
	case TARN_SEGMENT_ANON:
		return tarn__diag(
			want.diag, -EINVAL,
			"memfd: and anon: have no name to remove; they go with their last "
			"user");
	case TARN_SEGMENT_POSIX:
	case TARN_SEGMENT_FILE:
	case TARN_SEGMENT_HUGE:
	default:
		return tarn__file_remove(&parsed, &want);
	}
}

int tarn__segment_unname(struct tarn_segment *seg)
{
	switch (seg->addr.kind) {
	case TARN_SEGMENT_SYSV:
		return tarn__sysv_unname(seg);
	case TARN_SEGMENT_MEMFD:
	case TARN_SEGMENT_ANON:
		return -ENOENT;
	case TARN_SEGMENT_POSIX:
	case TARN_SEGMENT_FILE:
	case TARN_SEGMENT_HUGE:
	default:
		return tarn__file_unname(seg);
	}
}

/* --- facts ----------------------------------------------------------------------------------- */

void *tarn_segment_data(const struct tarn_segment *seg)
{
	return seg->base;
}

uint64_t tarn_segment_size(const struct tarn_segment *seg)
{
	uint64_t size;

	if (tarn__size_now(seg, &size) < 0)
		size = seg->size;
	/* what lies beyond the mapping cannot be reached through this handle */
	return size < seg->map_size ? size : seg->map_size;
}

int tarn_segment_fd(const struct tarn_segment *seg)
{
	return seg->fd;
}

static int file_stat(struct tarn_segment *seg, struct tarn_segment_stat *ret_stat)
{
	bool named = seg->addr.kind != TARN_SEGMENT_MEMFD && seg->addr.kind != TARN_SEGMENT_ANON;
	unsigned seals = 0;
	struct stat st;
	int r = tarn__plat_fstat(seg->fd, &st);

	if (r < 0)
		return r;
	if (!named && tarn__plat_seals_get(seg->fd, &seals) == 0)
		ret_stat->seals = seals;
	ret_stat->size = st.st_size < 0 ? 0 : (uint64_t)st.st_size;
	ret_stat->resident = (uint64_t)st.st_blocks * 512;
	ret_stat->inode = st.st_ino;
	ret_stat->ctime = st.st_ctime;
	ret_stat->mode = st.st_mode & 07777u;
	ret_stat->uid = ret_stat->cuid = st.st_uid;
	ret_stat->gid = ret_stat->cgid = st.st_gid;
	ret_stat->id = -1;
	ret_stat->removed = named && st.st_nlink == 0;
	return 0;
}

int tarn_segment_stat(struct tarn_segment *seg, struct tarn_segment_stat *ret_stat)
{
	struct tarn_segment_stat stat = { 0 };
	int r = tarn__guard_check(seg);

	if (r == 0)
		r = seg->fd >= 0 ? file_stat(seg, &stat) : tarn__sysv_stat(seg, &stat);
	if (r < 0)
		return r;
	stat.max_size = seg->map_size;
	stat.kind = seg->addr.kind;
	stat.page_size = seg->page_size;
	stat.locked = seg->locked;
	stat.thp = seg->pages == TARN_PAGES_THP;
	stat.read_only = seg->read_only;
	*ret_stat = stat;
	return 0;
}

int tarn_segment_chmod(struct tarn_segment *seg, uint32_t mode, uint32_t uid, uint32_t gid)
{
	int r = tarn__guard_check(seg);

	if (r < 0)
		return r;
	if ((mode & ~0777u) != 0)
		return -EINVAL;
	if (seg->fd < 0)
		return tarn__sysv_chmod(seg, mode, uid, gid);
	/* owner first: of the two it is the one that is refused, and nothing has changed then */
	if (uid != UINT32_MAX || gid != UINT32_MAX)
		r = tarn__plat_fchown(seg->fd, uid, gid);
	return r < 0 ? r : tarn__plat_fchmod(seg->fd, mode);
}

int tarn_segment_seal(struct tarn_segment *seg, uint32_t seals)
{
	int r = tarn__guard_check(seg);

	if (r < 0)
		return r;
	if (seals == 0 || (seals & ~(uint32_t)SEALS_ALL) != 0)
		return -EINVAL;
	return tarn__memfd_seal(seg, seals, NULL);
}

/* --- grow ------------------------------------------------------------------------------------ */

static int may_grow(struct tarn_segment *seg, uint64_t size, struct tarn_diag *diag)
{
	char a[24], b[24];

	if (tarn__guard_check(seg) < 0)
		return tarn__diag(diag, -EIO, "the segment was truncated by another process");
	if (seg->fd < 0) {
		tarn__diag(diag, -EOPNOTSUPP, "System V segments cannot grow");
		return -EOPNOTSUPP;
	}
	if (size > seg->map_size) {
		tarn__diag(diag, -ENOMEM, "%s was asked, %s of address space were kept for growth",
			   tarn__size_text(size, a), tarn__size_text(seg->map_size, b));
		tarn__diag_hint(diag, "open it with a larger max_size");
		return -ENOMEM;
	}
	return 0;
}

/* Extend the file to @size. Never ftruncate(): if another process has made it larger meanwhile,
 * that would cut it. */
static int extend(struct tarn_segment *seg, uint64_t old, uint64_t size, struct tarn_diag *diag)
{
	bool lazy = (seg->flags & TARN_SEGMENT_LAZY) != 0;
	char a[24];
	int r;

	if (seg->read_only || (seg->flags & TARN_SEGMENT_PRIVATE) != 0)
		return tarn__diag(diag, -EPERM, "it is mapped read-only or copy-on-write here");
	r = tarn__room_for_file(seg->fd, lazy ? 0 : size - old, size, diag);
	if (r < 0)
		return r;
	/* sparse: the last page alone */
	r = lazy ? tarn__plat_fallocate(seg->fd, size - 1, 1)
		 : tarn__plat_fallocate(seg->fd, old, size - old);
	if (r == -EPERM)
		return tarn__diag(diag, r, "it is sealed against growth (F_SEAL_GROW)");
	if (r == -ENOMEM || r == -EDQUOT)
		r = -ENOSPC;
	return r < 0 ? tarn__refused(diag, r, "growing to", tarn__size_text(size, a)) : 0;
}

int tarn_segment_grow(struct tarn_segment *seg, uint64_t size, struct tarn_diag *diag)
{
	bool huge = tarn__huge_size(seg->pages) != 0;
	uint64_t now, old = seg->size;
	int r = may_grow(seg, size, diag);

	if (r < 0)
		return r;
	if (!tarn__round_up(size, huge ? seg->page_size : 1, &size))
		return -EINVAL;
	r = tarn__size_now(seg, &now);
	if (r < 0)
		return tarn__refused(diag, r, "looking at", "the segment");
	if (now < size)
		r = extend(seg, now, size, diag);
	if (r < 0)
		return r;
	/* somebody else may have gone further */
	if (now > size)
		size = now < seg->map_size ? now : seg->map_size;
	if (size <= old)
		return 0;
	r = tarn__map_settle(seg, old, size - old, diag);
	/* not before: else the next call would take the new bytes for populated and locked */
	if (r == 0)
		seg->size = size;
	return r;
}
