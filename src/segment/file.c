/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.c - segments with a name in a file system: POSIX, file and huge.
 *
 * A file is made without a name (O_TMPFILE) in the directory that the name will stand in, and
 * linked to its name once complete. Where the file system has no O_TMPFILE (overlayfs before
 * Linux 6.3, NFS, FAT) it is made under a passing name, ".tarn-tmp." and 16 hex digits, and
 * renamed without replacing; such a name whose file nobody has open is a leftover of a process
 * that was killed in between.
 *
 * O_CREAT is never used on a name that may exist. What exists is opened with O_NOFOLLOW and
 * O_NONBLOCK, after a look that it is a regular file: a fifo would block, a device might act.
 *
 * After a crash: an unnamed file is freed by the kernel; a passing name stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The directory part of @path, "." where it has none; @buf is as large as an address's path. */
static void dir_name(const char *path, char *buf, size_t size)
{
	size_t len = (size_t)(base_name(path) - path);

	if (len == 0) {
		snprintf(buf, size, ".");
		return;
	}
	if (len > 1)
		len--; /* the slash, except of "/" */
	memcpy(buf, path, len);
	buf[len] = '\0';
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a fifo";
	case S_IFSOCK:
		return "a socket";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	default:
		return "no regular file";
	}
}

/* What stands at @path, if it is a regular file. */
static int stat_regular(const char *path, struct stat *ret_st, struct tarn_diag *diag)
{
	int r = tarn__plat_stat(path, false, ret_st);

	if (r < 0)
		return tarn__refused(diag, r, "opening", path);
	if (!S_ISREG(ret_st->st_mode))
		return tarn__diag(diag, -EINVAL, "%.180s is %s, not shared memory", path,
				  type_name(ret_st->st_mode));
	return 0;
}

/* --- making ---------------------------------------------------------------------------------- */

static int exists(const char *path, struct tarn_diag *diag)
{
	tarn__diag(diag, -EEXIST, "%.180s exists already; it was not touched", path);
	tarn__diag_hint(diag, "open it, or remove it first if nobody needs it");
	return -EEXIST;
}

/* A file under a passing name, which no other process makes by chance. */
static int make_named_temp(struct tarn_segment *seg, const char *dir)
{
	uint64_t random;
	int r = tarn__plat_random(&random, sizeof(random));
	int n;

	if (r < 0)
		return r;
	n = snprintf(seg->temp_path, sizeof(seg->temp_path), "%.4000s/%s%016" PRIx64, dir,
		     TARN__TEMP_PREFIX, random);
	if (n < 0 || (size_t)n >= sizeof(seg->temp_path))
		r = -ENAMETOOLONG;
	else
		r = tarn__plat_open(seg->temp_path,
				    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (r < 0)
		seg->temp_path[0] = '\0';
	return r;
}

static int make_unnamed(struct tarn_segment *seg, struct tarn_diag *diag)
{
	char dir[sizeof(seg->addr.path)];
	int fd;

	dir_name(seg->addr.path, dir, sizeof(dir));
	fd = tarn__plat_open(dir, O_RDWR | O_TMPFILE, 0600);
	/* EISDIR and EINVAL are what kernels and file systems without it say */
	if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL)
		fd = make_named_temp(seg, dir);
	if (fd < 0)
		return tarn__refused(diag, fd, "creating", seg->addr.path);
	seg->fd = fd;
	return 0;
}

/* huge: with a page size asked for: the mount that has it. */
static int choose_mount(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	bool must = (want->flags & TARN_SEGMENT_PAGES_MUST) != 0;
	uint64_t size = tarn__huge_size(want->pages);
	char path[sizeof(seg->addr.path)];
	int r;

	if (seg->addr.kind != TARN_SEGMENT_HUGE || size == 0)
		return 0;
	r = tarn__huge_path(base_name(seg->addr.path), size, path, sizeof(path),
			    must ? want->diag : NULL);
	if (r < 0)
		return must ? r : 0;
	memcpy(seg->addr.path, path, sizeof(path));
	return 0;
}

int tarn__file_make(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	struct stat st;
	int r = choose_mount(seg, want);

	if (r < 0)
		return r;
	/* Publishing decides; this spares the work where the answer is known. */
	r = tarn__plat_stat(seg->addr.path, false, &st);
	if (r == 0)
		return exists(seg->addr.path, want->diag);
	if (r != -ENOENT)
		return tarn__refused(want->diag, r, "creating", seg->addr.path);
	r = make_unnamed(seg, want->diag);
	if (r < 0)
		return r;
	r = tarn__plat_fchmod(seg->fd, want->mode);
	if (r < 0)
		return tarn__refused(want->diag, r, "setting the mode of", seg->addr.path);
	return 0;
}

static int publish_temp(struct tarn_segment *seg)
{
	int r = tarn__plat_rename(seg->temp_path, seg->addr.path);

	/* EINVAL: a file system that cannot rename without replacing; link cannot replace either */
	if (r == -EINVAL || r == -ENOSYS) {
		r = tarn__plat_link(seg->fd, seg->addr.path);
		if (r == 0)
			(void)tarn__plat_unlink(seg->temp_path);
	}
	if (r == 0)
		seg->temp_path[0] = '\0';
	return r;
}

int tarn__file_publish(struct tarn_segment *seg, struct tarn_diag *diag)
{
	int r = seg->temp_path[0] != '\0' ? publish_temp(seg)
					  : tarn__plat_link(seg->fd, seg->addr.path);

	if (r == -EEXIST)
		return exists(seg->addr.path, diag);
	if (r < 0) {
		tarn__refused(diag, r, "naming", seg->addr.path);
		if (r == -ENOENT)
			tarn__diag_hint(diag, "/proc must be mounted, and the directory be there");
		return r;
	}
	return 0;
}

void tarn__file_discard(struct tarn_segment *seg)
{
	if (seg->temp_path[0] != '\0')
		(void)tarn__plat_unlink(seg->temp_path);
	seg->temp_path[0] = '\0';
}

/* --- opening and removing -------------------------------------------------------------------- */

int tarn__file_open(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	bool write = (want->flags & (TARN_SEGMENT_READ_ONLY | TARN_SEGMENT_PRIVATE)) == 0;
	struct stat st;
	int r = stat_regular(seg->addr.path, &st, want->diag);

	if (r < 0)
		return r;
	/* before open(): "whose it is" says more than "permission denied" */
	r = tarn__check_owner(st.st_uid, st.st_mode, want, seg->addr.path);
	if (r < 0)
		return r;
	r = tarn__plat_open(seg->addr.path, (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK,
			    0);
	if (r == -ELOOP)
		return tarn__diag(want->diag, -EINVAL,
				  "%.180s is a symbolic link, not shared memory", seg->addr.path);
	if (r < 0)
		return tarn__refused(want->diag, r, "opening", seg->addr.path);
	seg->fd = r;
	return tarn__map_existing(seg, want, seg->addr.path);
}

int tarn__file_remove(const struct tarn__addr *addr, const struct tarn_segment_opts *want)
{
	struct stat st;
	int r = stat_regular(addr->path, &st, want->diag);

	if (r < 0)
		return r;
	r = tarn__check_owner(st.st_uid, st.st_mode, want, addr->path);
	if (r < 0)
		return r;
	r = tarn__plat_unlink(addr->path);
	return r < 0 ? tarn__refused(want->diag, r, "removing", addr->path) : 0;
}

/* The kernel has no unlink by descriptor: between the look and the unlink another process that may
 * write to the directory could put its own file there. Callers hold what keeps Tarn's out. */
int tarn__file_unname(struct tarn_segment *seg)
{
	struct stat named, ours;
	int r;

	if (seg->addr.path[0] == '\0')
		return -ENOENT;
	r = tarn__plat_stat(seg->addr.path, false, &named);
	if (r < 0)
		return r;
	r = tarn__plat_fstat(seg->fd, &ours);
	if (r < 0)
		return r;
	if (named.st_dev != ours.st_dev || named.st_ino != ours.st_ino)
		return -ENOENT;
	return tarn__plat_unlink(seg->addr.path);
}
