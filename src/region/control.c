/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.c - what a region in a System V segment needs beside itself.
 *
 * A System V segment has no descriptor to take locks on, and it has its name, the key, before a
 * byte of it is written. Both are mended by a small file, the control file, in /dev/shm:
 *
 *     tarn.sysv.IPCNS.KEY     IPCNS: inode of the IPC namespace, KEY: 8 hex digits
 *     tarn.sysv.IPCNS.pUUID   for segments without a key
 *
 *     0 +-------------------------+
 *       | magic "TARNCTL\n"       |
 *     8 | state u32, key i32      |  state: 1 intent, 2 done
 *    16 | id i32, creator pid u32 |
 *    24 | size u64                |
 *    32 | time i64, s since 1970  |
 *    40 | uuid 16 bytes           |
 *    56 +-------------------------+
 *
 * Members take their liveness locks on it, at the same bytes as on any region's file. The creator
 * also holds byte CREATE, from before it says what it is about to make until that is complete.
 *
 * Who writes what: the holder of byte CREATE.
 *
 * After a crash: byte CREATE is free. If the file says "intent" and there is a segment of that key
 * and size, made since, whose superblock is not open, it is the dead creator's: the next
 * creator removes it and makes its own; tarn_leftovers() just removes it. A segment that does
 * not fit the intent is a stranger's and is left alone.
 *
 * Removal takes the segment, then the file, under byte CREATE. A death between leaves a file
 * without a segment, which the next creator replaces: it is never used again, for members of the
 * removed region may still have their locks on it. An opener knows it for its region's by the uuid.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "base/diag.h"
#include "region/region.h"

#define DIR_PATH    "/dev/shm"
#define MAGIC       "TARNCTL\n"
#define CREATE_BYTE (TARN__LOCK_BASE + 4096)

enum { INTENT = 1, DONE = 2, PATH_SIZE = 128 };

struct control {
	uint8_t magic[8];
	uint32_t state;
	int32_t key;
	int32_t id;
	uint32_t pid;
	uint64_t size;
	int64_t time;
	uint8_t uuid[16];
};

static_assert(sizeof(struct control) == 56 && offsetof(struct control, size) == 24, "layout");

/* 0, or the error of asking which IPC namespace this is: by another name nobody would find it. */
static int control_path(char path[PATH_SIZE], int32_t key, const uint8_t uuid[16])
{
	struct stat st;
	int n, r = tarn__plat_stat("/proc/self/ns/ipc", true, &st);

	if (r < 0)
		return r;
	n = snprintf(path, PATH_SIZE, DIR_PATH "/" TARN__CONTROL_PREFIX "%" PRIu64 ".",
		     (uint64_t)st.st_ino);
	if (key != 0) {
		snprintf(path + n, (size_t)(PATH_SIZE - n), "%08" PRIx32, (uint32_t)key);
		return 0;
	}
	path[n++] = 'p';
	for (int i = 0; i < 16; i++, n += 2)
		snprintf(path + n, (size_t)(PATH_SIZE - n), "%02x", uuid[i]);
	return 0;
}

static int no_namespace(struct tarn_diag *diag, int error)
{
	tarn__diag(diag, error, "asking which System V namespace this is (/proc/self/ns/ipc): %s",
		   strerror(-error));
	tarn__diag_hint(diag, "mount /proc");
	return error;
}

static int control_read(int fd, struct control *ret)
{
	ssize_t n = tarn__plat_pread(fd, ret, sizeof(*ret), 0);

	if (n < 0)
		return (int)n;
	return n == (ssize_t)sizeof(*ret) && memcmp(ret->magic, MAGIC, 8) == 0 ? 0 : -EUCLEAN;
}

int tarn__control_target(int fd, int32_t *ret_id)
{
	struct control control;
	int r = control_read(fd, &control);

	if (r == 0)
		*ret_id = control.id;
	return r;
}

static int control_write(int fd, const struct control *control)
{
	ssize_t n = tarn__plat_pwrite(fd, control, sizeof(*control), 0);

	return n < 0 ? (int)n : n == (ssize_t)sizeof(*control) ? 0 : -EIO;
}

/* Does @path still lead to @fd? */
static bool same_file(int fd, const char *path)
{
	struct stat a, b;

	return tarn__plat_fstat(fd, &a) == 0 && tarn__plat_stat(path, false, &b) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* The holder of byte CREATE alone removes a control file: else it could be a successor's. */
int tarn__control_unname(struct tarn_region *region)
{
	enum { TRIES = 10000 };
	int r, locked = -EAGAIN;

	/* A creator that finds the key taken holds the byte for a moment. */
	for (int i = 0; i < TRIES && locked == -EAGAIN; i++) {
		locked = tarn__plat_lock(region->live_fd, CREATE_BYTE);
		if (locked == -EAGAIN)
			tarn__plat_yield();
	}
	r = tarn__segment_unname(region->seg);
	if (locked < 0)
		return r; /* the file stays, for the next creator or tarn_leftovers() */
	if ((r == 0 || r == -ENOENT) && same_file(region->live_fd, region->control_path))
		(void)tarn__plat_unlink(region->control_path);
	(void)tarn__plat_unlock(region->live_fd, CREATE_BYTE);
	return r;
}

/* --- create -------------------------------------------------------------------------------- */

static int make_file(const char *path, uint32_t mode, const struct control *control)
{
	int fd = tarn__plat_open(DIR_PATH, O_RDWR | O_TMPFILE, 0600);
	int r;

	if (fd < 0)
		return fd;
	r = tarn__plat_fchmod(fd, mode);
	if (r == 0)
		r = control_write(fd, control);
	if (r == 0)
		r = tarn__plat_lock(fd, CREATE_BYTE);
	if (r == 0)
		r = tarn__plat_link(fd, path);
	if (r < 0) {
		tarn__plat_close(fd);
		return r;
	}
	return fd;
}

static int open_existing(const char *path, struct tarn_diag *diag)
{
	struct stat st;
	int fd = tarn__plat_open(path, O_RDWR | O_NOFOLLOW, 0);
	int r;

	if (fd < 0)
		return fd;
	r = tarn__plat_fstat(fd, &st);
	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_uid != tarn__plat_euid())) {
		tarn__diag(diag, -EPERM, "%s belongs to user %u, expected %u", path,
			   (unsigned)st.st_uid, tarn__plat_euid());
		tarn__diag_hint(diag, "use another key, or have its owner remove it");
		r = -EPERM;
	}
	if (r == 0)
		r = tarn__plat_lock(fd, CREATE_BYTE);
	if (r == 0 && !same_file(fd, path))
		r = -ENOENT; /* removed while we came */
	if (r < 0) {
		tarn__plat_close(fd);
		return r;
	}
	return fd;
}

/* The time on a segment is that of the kernel's last tick, which may lie in the second before the
 * one that the clock tells its creator; clocks are set back a little, too. */
enum { CLOCK_SLACK = 2 };

/* May the segment @seg, which is not open, have been made by who wrote @control and died? */
static bool fits_intent(struct tarn_segment *seg, const struct control *control)
{
	static const unsigned char zero[TARN__PAGE];
	const struct super_shm *super = (const struct super_shm *)(const void *)seg->base;
	struct tarn_segment_stat stat;

	if (control->state != INTENT || seg->size < control->size || seg->size < TARN__PAGE ||
	    tarn_segment_stat(seg, &stat) < 0)
		return false;
	if (stat.ctime + CLOCK_SLACK < control->time ||
	    (stat.creator_pid != 0 && (uint32_t)stat.creator_pid != control->pid))
		return false;
	/* The magic is stored first, all else before state: a stranger's bytes show. */
	return memcmp(super->magic, TARN__MAGIC, 8) == 0 || memcmp(seg->base, zero, 8) == 0;
}

/* Is there a segment under the key? -EEXIST, or 0 once it is none, a dead creator's half-made one
 * having been removed. @mine: the intent just written to a new file, which proves nothing. */
static int clear_key(const struct tarn__addr *addr, int fd, const struct control *mine,
		     struct tarn_diag *diag)
{
	const struct tarn_segment_opts opts = { .flags = TARN_SEGMENT_READ_ONLY |
							 TARN_SEGMENT_ANY_MODE };
	struct tarn_segment *seg;
	struct control control;
	struct super_shm super;
	char text[32];

	snprintf(text, sizeof(text), "sysv:0x%08" PRIx32, (uint32_t)addr->key);
	int r = tarn_segment_open(text, &opts, &seg);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return tarn__diag(diag, -EEXIST, "a segment that is not ours has key 0x%08" PRIx32,
				  (uint32_t)addr->key);
	r = tarn__super_read(seg, &super, NULL);
	if (r == 0 && memcmp(super.magic, TARN__MAGIC, 8) == 0 &&
	    atomic_load_explicit(&super.state, memory_order_relaxed) != TARN__MAKING)
		r = tarn__diag(diag, -EEXIST, "a region has key 0x%08" PRIx32, (uint32_t)addr->key);
	else if (control_read(fd, &control) == 0 && memcmp(control.uuid, mine->uuid, 16) != 0 &&
		 fits_intent(seg, &control))
		r = tarn__plat_shm_rmid(seg->shmid);
	else
		r = tarn__diag(diag, -EEXIST, "a segment that is no region has key 0x%08" PRIx32,
			       (uint32_t)addr->key);
	tarn_segment_close(seg);
	return r;
}

/* Take away what a region left at @path that has no segment any more. 0, -EEXIST, -EAGAIN: a live
 * process is creating, -ENOENT: it went by itself. */
static int clear_path(const struct tarn__addr *addr, const char *path, const struct control *mine,
		      struct tarn_diag *diag)
{
	int fd = open_existing(path, diag);
	int r;

	if (fd < 0)
		return fd;
	r = clear_key(addr, fd, mine, diag);
	if (r == 0)
		r = tarn__plat_unlink(path);
	tarn__plat_close(fd);
	return r;
}

/*
 * A new control file at @path with byte CREATE held. One that is there is never taken over: members
 * of the region that it belonged to may be alive, and have their locks on it.
 * -EAGAIN: a live process is creating.
 */
static int acquire(const struct tarn__addr *addr, const char *path, uint32_t mode,
		   const struct control *control, struct tarn_diag *diag)
{
	enum { TRIES = 100 };
	int r = -EAGAIN;

	for (int i = 0; i < TRIES; i++) {
		int fd = make_file(path, mode, control);

		if (fd >= 0)
			return fd;
		if (fd != -EEXIST)
			return tarn__diag(diag, fd, "making control file %s: %s", path,
					  strerror(-fd));
		r = clear_path(addr, path, control, diag);
		if (r < 0 && r != -ENOENT)
			break;
		r = -EAGAIN; /* unless others make and remove it all the time */
	}
	if (r == -EAGAIN)
		return tarn__diag(diag, r, "a live process is just making or removing the region");
	if (r != -EPERM && r != -EEXIST)
		return tarn__diag(diag, r, "control file %s: %s", path, strerror(-r));
	return r;
}

/* Segment, superblock, membership; byte CREATE of @fd is held. Takes @fd over on success. */
static int build(const struct tarn__addr *addr, const struct tarn_region_opts *opts,
		 const struct geometry *geo, const struct control *control, int fd,
		 struct tarn_region **ret_region)
{
	const struct tarn_segment_opts seg_opts = {
		.size = geo->size,
		.flags = opts->flags & 0xffffu,
		.mode = opts->mode,
		.pages = opts->pages,
		.numa = opts->numa,
		.numa_nodes = opts->numa_nodes,
		.diag = opts->diag,
	};
	struct geometry got = *geo;
	struct tarn_region *region = NULL;
	struct tarn_segment *seg;
	char text[32] = "sysv:private";

	if (addr->key != 0)
		snprintf(text, sizeof(text), "sysv:0x%08" PRIx32, (uint32_t)addr->key);

	int r = tarn__segment_prepare(text, &seg_opts, &seg);

	if (r < 0)
		return r;
	got.size = got.max_size = seg->size & ~(uint64_t)(TARN__PAGE - 1);

	struct super_shm *super = (struct super_shm *)(void *)seg->base;

	r = tarn__super_init(super, &got, seg,
			     (opts->flags & TARN_REGION_EPHEMERAL) != 0 ? TARN__EPHEMERAL : 0,
			     control->uuid);
	if (r == 0)
		r = tarn__region_attach(seg, super, opts, &region);
	if (r < 0) {
		(void)tarn__plat_shm_rmid(seg->shmid);
		tarn_segment_close(seg);
		return r;
	}
	region->lock_fd = fd;
	r = tarn__fork_watch(region);
	if (r == 0)
		r = tarn__region_become_member(region, opts->diag);
	if (r < 0) {
		(void)tarn__plat_shm_rmid(seg->shmid);
		tarn__member_leave(region);
		region->lock_fd = -1; /* the caller's */
		tarn__region_free(region);
		return r;
	}
	seg->published = true;
	/* release: an opener reads state with acquire, then the rest */
	atomic_store_explicit(&super->state, TARN__OPEN, memory_order_release);
	*ret_region = region;
	return 0;
}

int tarn__control_create(const struct tarn__addr *addr, const struct tarn_region_opts *opts,
			 struct tarn_region **ret_region)
{
	struct control control = { .state = INTENT, .key = addr->key, .id = -1 };
	struct tarn_region *region = NULL;
	struct geometry geo;
	char path[PATH_SIZE];
	int fd, r = tarn__super_plan(opts, TARN__PAGE, &geo, opts->diag);

	if (r < 0)
		return r;
	if (addr->id >= 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "an identifier cannot be created; name a "
				  "key, or sysv:private");
	if (geo.max_size > geo.size)
		return tarn__diag(opts->diag, -EOPNOTSUPP,
				  "a System V segment cannot grow: max_size must be size");
	r = tarn__plat_random(control.uuid, sizeof(control.uuid));
	if (r < 0)
		return tarn__diag(opts->diag, r, "drawing an identity: %s", strerror(-r));
	memcpy(control.magic, MAGIC, 8);
	control.pid = (uint32_t)tarn__plat_pid();
	control.size = geo.size;
	control.time = tarn__plat_realtime() / 1000000000;
	r = control_path(path, addr->key, control.uuid);
	if (r < 0)
		return no_namespace(opts->diag, r);
	fd = acquire(addr, path, opts->mode != 0 ? opts->mode : 0600, &control, opts->diag);
	if (fd < 0)
		return fd;
	r = addr->key == 0 ? 0 : clear_key(addr, fd, &control, opts->diag);
	if (r == 0)
		r = build(addr, opts, &geo, &control, fd, &region);
	if (r < 0) { /* the file is the one just made */
		(void)tarn__plat_unlink(path);
		tarn__plat_close(fd);
		return r;
	}
	region->control_path = strdup(path);
	control.state = DONE;
	control.id = region->seg->shmid;
	(void)control_write(fd, &control); /* else the superblock says it as well */
	(void)tarn__plat_unlock(fd, CREATE_BYTE);
	*ret_region = region;
	return 0;
}

/* --- open ---------------------------------------------------------------------------------- */

static int open_by_key(int32_t key, const uint8_t uuid[16], bool read_only, char path[PATH_SIZE])
{
	int r = control_path(path, key, uuid);

	return r < 0 ? r : tarn__plat_open(path, (read_only ? O_RDONLY : O_RDWR) | O_NOFOLLOW, 0);
}

/* The control file that belongs to @seg cannot be had. -ENOENT: since the region was just removed;
 * -EUCLEAN: since it was lost. */
static int astray(struct tarn_segment *seg, const char *path, const char *what,
		  struct tarn_diag *diag)
{
	struct tarn_segment_stat stat;

	/* Removal takes the segment first. */
	if (tarn_segment_stat(seg, &stat) < 0 || stat.removed)
		return tarn__diag(diag, -ENOENT, "the region was removed while it was opened");
	tarn__diag(diag, -EUCLEAN, "control file %s %s", path, what);
	tarn__diag_hint(diag, "remove the segment too and create the region anew");
	return -EUCLEAN;
}

int tarn__control_open(struct tarn_segment *seg, const struct super_shm *super, bool read_only,
		       char **ret_path, struct tarn_diag *diag)
{
	struct tarn_segment_stat stat;
	struct control control;
	struct stat st;
	char path[PATH_SIZE];
	int fd, r = tarn_segment_stat(seg, &stat);

	if (r < 0)
		return tarn__diag(diag, r, "looking at the segment: %s", strerror(-r));
	path[0] = '\0';
	fd = open_by_key(stat.key, super->uuid, read_only, path);
	if (fd < 0 && path[0] == '\0')
		return no_namespace(diag, fd);
	if (fd < 0)
		return fd == -ENOENT
			       ? astray(seg, path, "is not there", diag)
			       : tarn__diag(diag, fd, "control file %s: %s", path, strerror(-fd));
	r = tarn__plat_fstat(fd, &st);
	if (r < 0)
		tarn__diag(diag, r, "looking at control file %s: %s", path, strerror(-r));
	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_uid != stat.uid))
		r = tarn__diag(diag, -EPERM,
			       "control file %s belongs to user %u, the segment to %u", path,
			       (unsigned)st.st_uid, stat.uid);
	if (r == 0 && (control_read(fd, &control) < 0 ||
		       memcmp(control.uuid, super->uuid, sizeof(control.uuid)) != 0))
		r = astray(seg, path, "is not this region's", diag);
	if (r == 0) {
		*ret_path = strdup(path);
		r = *ret_path == NULL ? -ENOMEM : 0;
	}
	if (r < 0) {
		tarn__plat_close(fd);
		return r;
	}
	return fd;
}

int tarn__control_verdict(struct tarn_segment *seg, int error)
{
	static const uint8_t no_uuid[16];
	struct tarn_segment_stat stat;
	struct control control;
	struct super_shm super;
	char path[PATH_SIZE];
	int fd, r = error;

	if (tarn_segment_stat(seg, &stat) < 0)
		return error;
	if (stat.removed)
		return -ENOENT; /* by whoever cleared it away, just now */
	if (stat.key == 0)
		return error;
	fd = open_by_key(stat.key, no_uuid, true, path);
	if (fd < 0)
		return tarn_segment_stat(seg, &stat) == 0 && stat.removed ? -ENOENT : error;
	if (tarn__plat_locked(fd, CREATE_BYTE) == 1)
		r = -EAGAIN;
	else if (control_read(fd, &control) == 0 && fits_intent(seg, &control))
		r = -ENOENT; /* made by half, and nobody is at it */
	else if (tarn__super_read(seg, &super, NULL) == 0 &&
		 tarn__super_check(&super, seg->size, NULL, NULL, NULL) == 0)
		r = -EAGAIN; /* finished while we looked */
	tarn__plat_close(fd);
	return r;
}

/* --- what the dead left -------------------------------------------------------------------- */

/* Does any other open file description hold any lock on @fd? */
static bool locked_at_all(int fd)
{
	for (uint32_t slot = 0; slot < TARN__MEMBERS_MAX; slot++)
		if (tarn__plat_locked(fd, TARN__LOCK_BASE + slot) != 0)
			return true;
	return false;
}

/* The identifier of a segment without a key that fits an intent, by the kernel's table. */
static int find_private(const struct control *control)
{
	char *text = malloc(1 << 20);
	int id = -1;

	if (text == NULL)
		return -1;
	if (tarn__plat_read_text("/proc/sysvipc/shm", text, 1 << 20) < 0)
		text[0] = '\0';
	for (char *line = strchr(text, '\n'); line != NULL && id < 0; line = strchr(line, '\n')) {
		int key, shmid, perms, cpid, lpid;
		uint64_t size, nattch;

		line++;
		/* key shmid perms size cpid lpid nattch ... */
		if (sscanf(line, "%d %d %o %" SCNu64 " %d %d %" SCNu64, &key, &shmid,
			   (unsigned *)&perms, &size, &cpid, &lpid, &nattch) == 7 &&
		    key == 0 && nattch == 0 && (uint32_t)cpid == control->pid &&
		    size >= control->size)
			id = shmid;
	}
	free(text);
	return id;
}

/* The segment that @control is about: 1 an open region, 0 made by half (@ret_id), -ENOENT none. */
static int find_segment(const struct control *control, int *ret_id, uint64_t *ret_size)
{
	const struct tarn_segment_opts opts = { .flags = TARN_SEGMENT_READ_ONLY |
							 TARN_SEGMENT_ANY_MODE };
	struct tarn_segment *seg;
	struct super_shm super;
	char text[32];
	int r, id = control->id;

	if (control->key == 0 && control->state == INTENT)
		id = find_private(control);
	if (control->key == 0 && id < 0)
		return -ENOENT;
	if (control->key != 0)
		snprintf(text, sizeof(text), "sysv:0x%08" PRIx32, (uint32_t)control->key);
	else
		snprintf(text, sizeof(text), "sysv:#%d", id);
	if (tarn_segment_open(text, &opts, &seg) < 0)
		return -ENOENT;
	r = tarn__super_read(seg, &super, NULL);
	*ret_id = seg->shmid;
	*ret_size = seg->size;
	if (r == 0 && memcmp(super.magic, TARN__MAGIC, 8) == 0 &&
	    atomic_load_explicit(&super.state, memory_order_relaxed) != TARN__MAKING)
		r = control->key != 0 || memcmp(super.uuid, control->uuid, 16) == 0 ? 1 : -ENOENT;
	else
		r = fits_intent(seg, control) ? 0 : -ENOENT;
	tarn_segment_close(seg);
	return r;
}

int tarn__control_reclaim(int fd, const char *path, bool remove, struct tarn_leftover *leftover)
{
	struct control control;
	uint64_t seg_size = 0;
	int r, id = -1;

	if (control_read(fd, &control) < 0)
		return -EBUSY; /* not ours to judge */
	r = tarn__plat_lock(fd, CREATE_BYTE);
	if (r < 0)
		return -EBUSY;
	if (!same_file(fd, path) || locked_at_all(fd)) {
		(void)tarn__plat_unlock(fd, CREATE_BYTE);
		return -EBUSY;
	}
	r = find_segment(&control, &id, &seg_size);
	leftover->id = r == 0 ? id : -1;
	leftover->size = sizeof(control) + (r == 0 ? seg_size : 0);
	snprintf(leftover->proof, sizeof(leftover->proof), "no process holds a lock on it, and %s",
		 r == 0 ? "its segment was never finished" : "it has no segment");
	if (r == 1)
		r = -EBUSY;
	else if (remove && r == 0)
		r = tarn__plat_shm_rmid(id);
	else
		r = 0;
	if (r == 0 && remove)
		r = tarn__plat_unlink(path);
	(void)tarn__plat_unlock(fd, CREATE_BYTE);
	return r;
}
