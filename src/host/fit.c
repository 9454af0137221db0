/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fit.c - would a segment fit? Each question that creating asks (segment/room.h), and those that
 * the kernel answers only when it is too late: locked memory, address space, inodes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/bits.h"
#include "base/diag.h"
#include "host/limits.h"
#include "plat/lines.h"
#include "plat/plat.h"
#include "segment/segment.h"

struct fit {
	struct tarn__rooms ask;     /* told to put() */
	struct tarn__limits limits; /* for its root alone */
	int (*fn)(const struct tarn_host_finding *finding, void *arg);
	void *arg;
	struct tarn_diag *diag;
	uint32_t grave;  /* what a limit that is short is now */
	bool short_now;  /* since this was last cleared */
	bool impossible; /* a limit was short, and nothing less will do */
};

/* What goes wrong for a program that does not ask first. */
static const struct {
	const char *limit, *breaks;
} consequences[] = {
	{ "rlimit-fsize", "the program is killed by SIGXFSZ, or ftruncate() fails with EFBIG" },
	{ "file-system", "shm_open(), ftruncate() and mmap() succeed, and the first store to a "
			 "page that does not fit kills the program by SIGBUS" },
	{ "inodes", "shm_open() fails with ENOSPC" },
	{ "memory", "the kernel kills processes to make room (OOM)" },
	{ "commit", "the memory is refused with ENOMEM, or the first store is a SIGBUS" },
	{ "cgroup-memory", "the kernel kills a process of the cgroup (OOM) once the memory is "
			   "written to" },
	{ "cgroup-huge-pages", "the first store to a page beyond the limit is a SIGBUS" },
	{ "huge-pages", "mmap() or shmget() fails with ENOMEM" },
	{ "hugetlbfs", "there is no directory to make the file in" },
	{ "sysv-shmmax", "shmget() fails with EINVAL" },
	{ "sysv-shmmni", "shmget() fails with ENOSPC" },
	{ "sysv-shmall", "shmget() fails with ENOSPC" },
	{ "address-space", "mmap() fails with ENOMEM" },
	{ "memlock", "mlock() fails with ENOMEM" },
};

static const char *breaks_of(const char *limit)
{
	for (size_t i = 0; i < sizeof(consequences) / sizeof(consequences[0]); i++)
		if (strcmp(consequences[i].limit, limit) == 0)
			return consequences[i].breaks;
	return NULL;
}

static int put(const struct tarn__room *room, void *arg)
{
	struct fit *fit = arg;
	struct tarn_host_finding finding = {
		.check = room->limit,
		.severity = room->error != 0 ? fit->grave
			    : room->unknown  ? TARN_SEVERITY_UNKNOWN
					     : TARN_SEVERITY_OK,
		.what = room->words.what,
	};

	if (room->error != 0) {
		finding.breaks = breaks_of(room->limit);
		finding.fix = room->words.hint[0] != '\0' ? room->words.hint : NULL;
		finding.bytes = room->need - room->left;
		fit->short_now = true;
		if (fit->grave == TARN_SEVERITY_CRITICAL && !fit->impossible) {
			fit->impossible = true;
			if (fit->diag != NULL)
				*fit->diag = room->words;
		}
	}
	return fit->fn != NULL ? fit->fn(&finding, fit->arg) : 0;
}

/* --- what creating does not ask -------------------------------------------------------------- */

static uint64_t own_bytes(const struct fit *fit, const char *key)
{
	tarn__path path;
	uint64_t kib;

	return tarn__read_field(tarn__under(&fit->limits, path, "/proc/self/status"), key, &kib) ==
				       0 &&
			       kib < UINT64_MAX >> 10
		       ? kib << 10
		       : 0;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static int address_space(struct fit *fit, uint64_t size)
{
	uint64_t limit, used = own_bytes(fit, "VmSize:"), left;
	struct tarn__room room;
	char a[24], b[24];

	if (tarn__plat_rlimit(RLIMIT_AS, &limit) < 0)
		return 0;
	if (limit > SIZE_MAX / 2)
		limit = SIZE_MAX / 2;
	/* without a limit there is enough of it where pointers have 64 bits */
	if (limit == INT64_MAX)
		return 0;
	left = minus(limit, used);
	if (!tarn__room_begin(&room, &fit->ask, "address-space", -ENOMEM, size, left))
		return 0;
	tarn__room_say(&room, " bytes",
		       "%s wanted, %s left of this process's address space (RLIMIT_AS)",
		       tarn__size_text(size, a), tarn__size_text(left, b));
	if (room.error != 0)
		tarn__diag_hint(&room.words, "ulimit -v %" PRIu64,
				(limit + (size - left)) / 1024 + 1);
	return tarn__room_tell(&fit->ask, &room);
}

static int locked(struct fit *fit, uint64_t size)
{
	uint64_t limit, left;
	struct tarn__room room;
	char a[24], b[24], c[24];

	if (tarn__plat_rlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit == UINT64_MAX ||
	    tarn__capable(&fit->limits, TARN__CAP_IPC_LOCK))
		return 0;
	left = minus(limit, own_bytes(fit, "VmLck:"));
	if (!tarn__room_begin(&room, &fit->ask, "memlock", -ENOMEM, size, left))
		return 0;
	tarn__room_say(&room, " bytes",
		       "%s to be locked, %s left of the %s that this process may lock "
		       "(RLIMIT_MEMLOCK)",
		       tarn__size_text(size, a), tarn__size_text(left, b),
		       tarn__size_text(limit, c));
	if (room.error != 0)
		tarn__diag_hint(&room.words,
				"ulimit -l %" PRIu64 ", or systemd-run -p LimitMEMLOCK=%" PRIu64
				", or CAP_IPC_LOCK",
				(limit + (size - left)) / 1024 + 1, limit + (size - left));
	return tarn__room_tell(&fit->ask, &room);
}

/* A directory that takes no file, or no further one. */
static int takes_files(struct fit *fit, const char *dir, int fd)
{
	struct tarn_plat_fs fs = { 0 };
	struct tarn__room room;
	bool writable;

	if (fd < 0 || tarn__plat_fstatfs(fd, &fs) < 0) {
		(void)tarn__room_begin(&room, &fit->ask, "file-system", -ENOENT, 1, 0);
		tarn__room_say(&room, NULL, "there is no directory %.180s", dir);
		if (strcmp(dir, "/dev/shm") == 0)
			tarn__diag_hint(&room.words, "mkdir -p /dev/shm && mount -t tmpfs -o "
						     "mode=1777 tmpfs /dev/shm");
		return tarn__room_tell(&fit->ask, &room);
	}
	writable = !fs.read_only;
	if (!writable) {
		(void)tarn__room_begin(&room, &fit->ask, "file-system", -EROFS, 1, 0);
		tarn__room_say(&room, NULL, "%.180s is mounted read-only", dir);
		tarn__diag_hint(&room.words, "mount -o remount,rw %.180s", dir);
		return tarn__room_tell(&fit->ask, &room);
	}
	if (fs.files == 0 ||
	    !tarn__room_begin(&room, &fit->ask, "inodes", -ENOSPC, 1, fs.files_free))
		return 0;
	tarn__room_say(&room, NULL, "%.120s has %" PRIu64 " files and may have %" PRIu64, dir,
		       minus(fs.files, fs.files_free), fs.files);
	if (room.error != 0)
		tarn__diag_hint(&room.words,
				"remove some, or mount -o remount,nr_inodes=%" PRIu64 " %.120s",
				fs.files * 2, dir);
	return tarn__room_tell(&fit->ask, &room);
}

/* --- one function a kind --------------------------------------------------------------------- */

static int in_directory(struct fit *fit, const char *dir, bool rooted, uint64_t bytes, uint64_t end)
{
	tarn__path path;
	int fd, r;

	if (rooted)
		tarn__under(&fit->limits, path, "%s", dir);
	fd = tarn__plat_open(rooted ? path : dir, O_PATH | O_DIRECTORY, 0);
	if (fd == -EMFILE || fd == -ENFILE)
		return tarn__diag(fit->diag, fd, "no descriptor left to look at %.180s", dir);
	r = takes_files(fit, dir, fd);
	if (r == 0 && fd >= 0 && !fit->short_now)
		r = tarn__room_in_file(&fit->ask, fd, bytes, end);
	tarn__plat_close(fd);
	return r;
}

static int in_memory(struct fit *fit, uint64_t bytes, uint64_t end)
{
	int r = tarn__room_in_file_size(&fit->ask, end);

	return r != 0 || bytes == 0 ? r : tarn__room_in_memory(&fit->ask, bytes);
}

static int in_system_v(struct fit *fit, uint64_t bytes, uint64_t size, uint64_t huge)
{
	int r = tarn__room_in_shmmax(&fit->ask, size);

	if (r == 0)
		r = tarn__room_in_shmmni(&fit->ask);
	if (r == 0)
		r = tarn__room_in_shmall(&fit->ask, size);
	if (r == 0 && huge != 0)
		r = tarn__room_in_pool(&fit->ask, size, huge);
	else if (r == 0 && bytes != 0)
		r = tarn__room_in_memory(&fit->ask, bytes);
	return r;
}

/* Of what page sizes is hugetlbfs mounted? */
struct huge_mounts {
	uint64_t wanted; /* 0 = any */
	uint64_t usual;  /* the host's default */
	uint64_t found;  /* the best of them; 0 = none */
};

static int match_huge_mount(char *line, void *arg)
{
	struct huge_mounts *mounts = arg;
	const char *tail = strstr(line, " - hugetlbfs ");
	const char *option = tail != NULL ? strstr(tail, "pagesize=") : NULL;
	uint64_t n = mounts->usual;
	char unit = '\0';

	if (tail == NULL)
		return 0;
	if (option != NULL && sscanf(option, "pagesize=%" SCNu64 "%c", &n, &unit) >= 1)
		n <<= unit == 'G' ? 30 : unit == 'M' ? 20 : unit == 'K' ? 10 : 0;
	if (mounts->found == 0 || n == (mounts->wanted != 0 ? mounts->wanted : mounts->usual))
		mounts->found = n;
	return 0;
}

static int in_hugetlbfs(struct fit *fit, uint64_t size, uint64_t huge, bool must)
{
	struct huge_mounts mounts = { .wanted = huge };
	struct tarn__room room;
	tarn__path path;
	char words[24];

	if (tarn__read_field(tarn__under(&fit->limits, path, "/proc/meminfo"),
			     "Hugepagesize:", &mounts.usual) == 0)
		mounts.usual <<= 10;
	(void)tarn__each_line(tarn__under(&fit->limits, path, "/proc/self/mountinfo"),
			      match_huge_mount, &mounts);
	if (mounts.found != 0 && (!must || huge == 0 || mounts.found == huge)) {
		if (!tarn__round_up(size, tarn__is_pow2(mounts.found) ? mounts.found : 1, &size))
			return -EINVAL;
		return tarn__room_in_pool(&fit->ask, size, mounts.found);
	}
	(void)tarn__room_begin(&room, &fit->ask, "hugetlbfs", -EOPNOTSUPP, 1, 0);
	if (huge != 0)
		tarn__room_say(&room, NULL, "no hugetlbfs with pages of %s is mounted",
			       tarn__size_text(huge, words));
	else
		tarn__room_say(&room, NULL, "no hugetlbfs is mounted");
	tarn__diag_hint(
		&room.words,
		"mkdir -p /dev/hugepages && mount -t hugetlbfs %s%s none /dev/hugepages",
		huge == 0 ? "" : "-o pagesize=", huge == 0 ? "" : tarn__page_word(huge, words));
	return tarn__room_tell(&fit->ask, &room);
}

/* --- all of it ------------------------------------------------------------------------------- */

/* The part of a path before its last '/'. */
static void directory_of(const char *path, char dir[4096])
{
	const char *slash = strrchr(path, '/');
	size_t size = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);

	memcpy(dir, size == 0 ? "." : path, size == 0 ? 2 : size);
	if (size != 0)
		dir[size] = '\0';
}

static int by_kind(struct fit *fit, const struct tarn__addr *addr,
		   const struct tarn_segment_opts *want, uint64_t huge)
{
	bool lazy = (want->flags & TARN_SEGMENT_LAZY) != 0;
	uint64_t bytes = lazy ? 0 : want->size, size = want->size;
	char dir[4096];

	switch (addr->kind) {
	case TARN_SEGMENT_SYSV:
		return in_system_v(fit, bytes, size, huge);
	case TARN_SEGMENT_MEMFD:
	case TARN_SEGMENT_ANON:
		return huge != 0 ? tarn__room_in_pool(&fit->ask, size, huge)
				 : in_memory(fit, bytes, size);
	case TARN_SEGMENT_HUGE:
		return in_hugetlbfs(fit, size, huge, (want->flags & TARN_SEGMENT_PAGES_MUST) != 0);
	case TARN_SEGMENT_FILE:
		directory_of(addr->path, dir);
		return in_directory(fit, dir, false, bytes, size);
	case TARN_SEGMENT_POSIX:
	default:
		return in_directory(fit, "/dev/shm", true, bytes, size);
	}
}

/* Huge pages that are asked for and not insisted on: small ones will do. */
static int with_pages(struct fit *fit, const struct tarn__addr *addr,
		      const struct tarn_segment_opts *want)
{
	bool file = addr->kind == TARN_SEGMENT_POSIX || addr->kind == TARN_SEGMENT_FILE;
	bool must = (want->flags & TARN_SEGMENT_PAGES_MUST) != 0;
	uint64_t huge = file ? 0 : tarn__huge_size(want->pages);
	struct tarn_segment_opts sized = *want;
	int r;

	if (huge != 0 && (!tarn__round_up(want->size, huge, &sized.size) ||
			  !tarn__round_up(want->max_size, huge, &sized.max_size)))
		return tarn__diag(fit->diag, -EINVAL, "the size cannot be rounded up");
	if (huge != 0 && !must && addr->kind != TARN_SEGMENT_HUGE) {
		fit->grave = TARN_SEVERITY_WARNING;
		r = by_kind(fit, addr, &sized, huge);
		fit->grave = TARN_SEVERITY_CRITICAL;
		if (r != 0 || !fit->short_now)
			return r;
		fit->short_now = false;
		huge = 0;
		sized = *want;
	}
	return by_kind(fit, addr, &sized, huge);
}

/* "shm:" and the like, without a name: any of that kind. */
static int parse(const char *text, struct tarn__addr *ret_addr, struct tarn_diag *diag)
{
	static const struct {
		const char *scheme, *addr;
	} any[] = {
		{ "shm:", "shm:any" },
		{ "sysv:", "sysv:private" },
		{ "memfd:", "memfd:any" },
	};

	if (text == NULL)
		text = "shm:";
	/* where hugetlbfs is mounted is a question of the root */
	if (strncmp(text, "huge:", 5) == 0) {
		*ret_addr = (struct tarn__addr){ .kind = TARN_SEGMENT_HUGE };
		return 0;
	}
	for (size_t i = 0; i < sizeof(any) / sizeof(any[0]); i++)
		if (strcmp(text, any[i].scheme) == 0)
			text = any[i].addr;
	return tarn__addr_parse(text, ret_addr, diag);
}

static int prepare(const char *text, const struct tarn_segment_opts *given,
		   const struct tarn_host_opts *opts, struct tarn_segment_opts *want,
		   struct tarn__addr *addr)
{
	struct tarn_segment_opts with = *given;
	bool file;
	int r;

	if (opts != NULL && opts->diag != NULL)
		with.diag = opts->diag;
	r = tarn__want(&with, true, want);
	if (r == 0)
		r = parse(text, addr, with.diag);
	if (r < 0)
		return r;
	file = addr->kind == TARN_SEGMENT_POSIX || addr->kind == TARN_SEGMENT_FILE;
	if (file && tarn__huge_size(want->pages) != 0 &&
	    (want->flags & TARN_SEGMENT_PAGES_MUST) != 0) {
		tarn__diag(with.diag, -EOPNOTSUPP,
			   "this kind of segment has no explicit huge pages");
		tarn__diag_hint(with.diag, "take huge:NAME, a memfd, or System V");
		return -EOPNOTSUPP;
	}
	return 0;
}

int tarn_host_fit(const char *addr, const struct tarn_segment_opts *want,
		  const struct tarn_host_opts *opts,
		  int (*fn)(const struct tarn_host_finding *finding, void *arg), void *arg)
{
	struct fit fit = { .fn = fn, .arg = arg, .grave = TARN_SEVERITY_CRITICAL };
	struct tarn_segment_opts checked;
	struct tarn__addr parsed;
	int r = tarn__root_of(opts, fit.limits.root);

	if (want == NULL)
		return -EINVAL; /* of what size? */
	if (r == 0)
		r = prepare(addr, want, opts, &checked, &parsed);
	if (r < 0)
		return r;
	fit.diag = checked.diag;
	fit.ask = (struct tarn__rooms){
		.root = fit.limits.root, .fn = put, .arg = &fit, .diag = fit.diag
	};
	r = with_pages(&fit, &parsed, &checked);
	if (r == 0)
		r = address_space(&fit, checked.max_size);
	if (r == 0 && (checked.flags & TARN_SEGMENT_LOCK) != 0)
		r = locked(&fit, checked.size);
	if (r != 0)
		return r;
	return fit.impossible ? -ENOSPC : 0;
}
