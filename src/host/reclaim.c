/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reclaim.c - remove what nobody uses, while others may come at any moment.
 *
 * Files. A name is taken away by path, and between any look and that a process may open it. What
 * closes the gap is a write lease: the kernel grants it only while nobody else has the file open,
 * and from then on makes whoever opens it wait in open() until we let go. The steps:
 *
 *   1 open, lease     refused: somebody has it, nothing was done
 *   2 compare         identity, size and times with the picture, and its first bytes: no longer
 *                     what was judged, let go
 *   3 rename          to a passing name in the same folder (leftover.c); never over another
 *   4 compare         is it the leased file that moved? else it is put back
 *   5 look            did anybody knock: count as opener, or wait for the lease? then put it back
 *   6 grace           until those are through who had found the file by its name before step 3 and
 *                     had not knocked at step 5; they were on a short way inside the kernel
 *   7 look            as 5
 *   8 unlink          the passing name
 *   9 look, close     the lease ends
 *
 * What an opener by name gets, by when it finds the name:
 *
 *   before 1          the file is open: step 1 is refused
 *   before 3          it knocks, and waits; 5 or 7 sees it, the name is put back, and then it has
 *                     the file under its name. With O_NONBLOCK it gets EAGAIN, and the file stays
 *   after 3           there is no such file; or it makes a new one, which is never touched: if the
 *                     name is to be put back and is taken, the file stays without a name with
 *                     those who knocked, and the result (1) says so
 *
 * In a folder of another user's all of this goes by the open folder: see reclaim_file().
 *
 * Only one who found the name before step 3, and did not get from there to the count of openers
 * all through the grace, could still end up with a file that has no name; step 9 sees it if it
 * knocks by then. On kernels that do not preempt kernel code there is no such one.
 *
 * After a death: before 3 and after 8 nothing is half done. Between, the file is whole under its
 * passing name, and whoever waits gets it. tarn_leftovers() in /dev/shm, and this call elsewhere,
 * then removes it, or gives it back its name if it was opened. A remover that is stopped for longer
 * than the kernel lets a lease last (45 s) finds at its next look that it has lost it.
 *
 * System V. Nothing holds attachers off. The segment is compared with the picture, looked into,
 * compared again and marked for removal; then it is gone, or somebody attached it in between: it
 * stays with those, whole, its key is free, and the result is 1. After a death it is there or gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

#include "host/host.h"
#include "region/region.h"

#define SECOND_NS INT64_C(1000000000)

struct removal {
	struct tarn__seg *seg;
	const struct tarn_host_segment *pub;
	const char *path; /* of the file, by the open folder if that is another's */
	bool dry;
	struct tarn_diag *diag;
};

/* --- may it go? ------------------------------------------------------------------------------ */

/* "pid 17 (dd), pid 19 (cat)" */
static void who_has(const struct tarn_host *host, const struct tarn__seg *seg, char *buf,
		    size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (uint32_t i = seg->use_first; i < seg->use_first + seg->use_count && used < size; i++) {
		const struct tarn_host_process *process = host->uses[i].process;

		used += (size_t)snprintf(buf + used, size - used, "%spid %d (%s)",
					 used > 0 ? ", " : "", process->pid, process->command);
	}
}

static int in_use(const struct tarn_host *host, const struct removal *rm)
{
	char who[160];

	who_has(host, rm->seg, who, sizeof(who));
	return tarn__diag(rm->diag, -EBUSY, "%.100s: in use%s%s", rm->pub->addr,
			  who[0] != '\0' ? " by " : "", who);
}

static bool tarns_own(const struct tarn_host_segment *pub)
{
	return pub->content == TARN_CONTENT_REGION || pub->content == TARN_CONTENT_CONTROL ||
	       pub->content == TARN_CONTENT_TEMPORARY;
}

/* What this call is not for, whatever its state. */
static int check_kind(const struct tarn_host *host, const struct removal *rm, int64_t idle_ns)
{
	const struct tarn_host_segment *pub = rm->pub;

	if (idle_ns < 0)
		return tarn__diag(rm->diag, -EINVAL, "a negative time");
	if (host->root[0] != '\0' || pub->elsewhere)
		return tarn__diag(rm->diag, -EINVAL,
				  "%.100s: it is of another root or namespace, and can be removed "
				  "from there",
				  pub->addr);
	if (tarns_own(pub)) {
		tarn__diag(rm->diag, -EINVAL, "%.100s: it is Tarn's own", pub->addr);
		tarn__diag_hint(rm->diag, "tarn gc without --foreign, or tarn rm");
		return -EINVAL;
	}
	if (pub->removed || (pub->kind != TARN_SEGMENT_SYSV && rm->seg->path == NULL))
		return tarn__diag(rm->diag, -EINVAL,
				  "%.100s: no name leads to it; it goes with the last process that "
				  "has it",
				  pub->addr);
	if (pub->kind == TARN_SEGMENT_FILE)
		return tarn__diag(rm->diag, -EINVAL, "%.100s: it is a file on disk", pub->addr);
	return 0;
}

static int check_idle(const struct removal *rm, int64_t idle_ns)
{
	int64_t idle = tarn__plat_realtime() - rm->pub->used_ns;

	if (rm->pub->kind == TARN_SEGMENT_SYSV || idle_ns == 0) {
		tarn__diag(rm->diag, -ESTALE,
			   "%.100s: nobody has it, and nothing proves that nobody will come back "
			   "for it",
			   rm->pub->addr);
		if (rm->pub->kind != TARN_SEGMENT_SYSV)
			tarn__diag_hint(rm->diag, "say how long it has to be unused: --older 1d");
		return -ESTALE;
	}
	if (rm->pub->used_ns == 0 || idle < idle_ns)
		return tarn__diag(rm->diag, -ESTALE, "%.100s: it was used %" PRIi64 " s ago",
				  rm->pub->addr, idle / SECOND_NS);
	return 0;
}

static int check_state(const struct tarn_host *host, const struct removal *rm, int64_t idle_ns)
{
	int r = check_kind(host, rm, idle_ns);

	if (r < 0)
		return r;
	switch ((enum tarn_host_state)rm->pub->state) {
	case TARN_STATE_ORPHAN:
		return 0;
	case TARN_STATE_IDLE:
		return check_idle(rm, idle_ns);
	case TARN_STATE_UNKNOWN:
		tarn__diag(rm->diag, -EACCES, "%.100s: that nobody has it cannot be proven",
			   rm->pub->addr);
		tarn__diag_hint(rm->diag, "be root, or the user that it belongs to");
		return -EACCES;
	case TARN_STATE_LIVE:
	case TARN_STATE_DELETED:
	case TARN_STATE_STALE:
		break;
	}
	return in_use(host, rm);
}

static int changed(const struct removal *rm)
{
	return tarn__diag(rm->diag, -ESTALE, "%.100s: it was used or replaced since it was judged",
			  rm->pub->addr);
}

static int told(const struct removal *rm, int error, const char *doing)
{
	return tarn__diag(rm->diag, error, "%.100s: %s: %s", rm->pub->addr, doing,
			  strerror(-error));
}

static int came(const struct removal *rm)
{
	return tarn__diag(rm->diag, -EBUSY, "%.100s: somebody has it open, or is just opening it",
			  rm->pub->addr);
}

/* --- files ----------------------------------------------------------------------------------- */

/* Is @fd what the picture shows, untouched since? */
static int compare_file(const struct removal *rm, int fd)
{
	unsigned char magic[8];
	struct stat st;
	int r = tarn__plat_fstat(fd, &st);

	if (r < 0)
		return told(rm, r, "looking at it");
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_dev != rm->pub->dev ||
	    (uint64_t)st.st_ino != rm->pub->inode || (uint64_t)st.st_size != rm->pub->size ||
	    tarn__latest_time(&st) != rm->pub->used_ns)
		return changed(rm);
	if (tarn__plat_pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	    memcmp(magic, TARN__MAGIC, sizeof(magic)) == 0)
		return changed(rm);
	if (st.st_nlink > 1) {
		tarn__diag(rm->diag, -ESTALE, "%.100s: it has %llu names (hard links)",
			   rm->pub->addr, (unsigned long long)st.st_nlink);
		tarn__diag_hint(rm->diag, "its memory is freed with the last: remove each by name");
		return -ESTALE;
	}
	return 0;
}

static bool leads_to(const char *path, int fd)
{
	struct stat a, b;

	return tarn__plat_fstat(fd, &a) == 0 && tarn__plat_stat(path, false, &b) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* The name again, for @error; 1 if it is taken by a newer one. */
static int put_back(const struct removal *rm, const char *passing, int error)
{
	int r = tarn__plat_rename(passing, rm->path);

	if (r == -EEXIST && error == -EBUSY) {
		(void)tarn__plat_unlink(passing);
		return tarn__diag(rm->diag, 1,
				  "%.100s: who opened it at this very moment keeps it, and its "
				  "name is another's",
				  rm->pub->addr);
	}
	/* -ENOENT: a second remover put it back. */
	if (r < 0 && r != -ENOENT)
		return tarn__diag(rm->diag, error, "%.100s: it is called %.120s there now: %s",
				  rm->pub->addr, strrchr(passing, '/') + 1, strerror(-r));
	return error == -EBUSY ? came(rm) : error;
}

static int unlink_passing(const struct removal *rm, int fd, const char *passing)
{
	int r;

	if (!leads_to(passing, fd))
		return put_back(rm, passing, changed(rm));
	if (tarn__plat_lease_wanted(fd))
		return put_back(rm, passing, -EBUSY);
	tarn__plat_grace();
	if (tarn__plat_lease_wanted(fd))
		return put_back(rm, passing, -EBUSY);
	r = tarn__plat_unlink(passing);
	if (r == -ENOENT)
		return put_back(rm, passing, -EBUSY);
	if (r < 0)
		return put_back(rm, passing, told(rm, r, "removing it"));
	if (tarn__plat_lease_wanted(fd))
		return tarn__diag(rm->diag, 1,
				  "%.100s: who opened it at this very moment keeps it, and its "
				  "name is free",
				  rm->pub->addr);
	return 0;
}

/* @fd is leased. */
static int remove_leased(const struct removal *rm, int fd)
{
	enum { TRIES = 8 };
	char *passing = NULL;
	int r = -EEXIST;

	for (int i = 0; i < TRIES && r == -EEXIST; i++) {
		free(passing);
		passing = NULL;
		r = tarn__passing_path(rm->path, &passing);
		if (r == 0)
			r = tarn__plat_rename(rm->path, passing);
	}
	if (r == 0)
		r = unlink_passing(rm, fd, passing);
	else if (r == -ENOENT)
		tarn__diag(rm->diag, r, "%.100s: it is gone", rm->pub->addr);
	else
		told(rm, r, "taking its name away");
	free(passing);
	return r;
}

static int open_file(const struct removal *rm)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
	/* Its owner may look without a trace in its times. */
	int fd = tarn__plat_open(rm->path, flags | O_NOATIME, 0);

	if (fd == -EPERM)
		fd = tarn__plat_open(rm->path, flags, 0);
	if (fd == -EAGAIN)
		return came(rm);
	if (fd == -ENOENT)
		return tarn__diag(rm->diag, fd, "%.100s: it is gone", rm->pub->addr);
	if (fd == -ELOOP)
		return changed(rm);
	return fd < 0 ? told(rm, fd, "opening it") : fd;
}

static int lease_file(const struct removal *rm, int fd)
{
	int r = tarn__plat_lease(fd);

	if (r == -EAGAIN)
		return came(rm);
	if (r < 0) {
		told(rm, r, "proving that nobody has it open (F_SETLEASE)");
		if (r == -EACCES)
			tarn__diag_hint(rm->diag, "be root, or the user that it belongs to");
	}
	return r;
}

static int reclaim_at(const struct removal *rm)
{
	int r, fd = open_file(rm);

	if (fd < 0)
		return fd;
	r = lease_file(rm, fd);
	if (r == 0)
		r = compare_file(rm, fd);
	if (r == 0 && !rm->dry)
		r = remove_leased(rm, fd);
	tarn__plat_unlease(fd);
	tarn__plat_close(fd);
	return r;
}

/* A folder below /dev/shm may be another user's, who puts a link in its place at any moment; held
 * open, it stays the one in which the file is, and nothing else can be renamed or removed. */
static int reclaim_file(const struct removal *rm)
{
	struct removal inner = *rm;
	char folder[TARN__HOST_PATH], path[NAME_MAX + 48];
	const char *base = strrchr(rm->seg->path, '/');
	int r, fd;

	inner.path = rm->seg->path;
	if (!rm->seg->stray)
		return reclaim_at(&inner);
	if ((size_t)snprintf(folder, sizeof(folder), "%.*s", (int)(base - rm->seg->path),
			     rm->seg->path) >= sizeof(folder))
		return told(rm, -ENAMETOOLONG, "opening its folder");
	fd = tarn__plat_open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -ENOENT)
		return tarn__diag(rm->diag, fd, "%.100s: it is gone", rm->pub->addr);
	if (fd < 0)
		return told(rm, fd, "opening its folder");
	snprintf(path, sizeof(path), "/proc/self/fd/%d%s", fd, base);
	inner.path = path;
	r = reclaim_at(&inner);
	tarn__plat_close(fd);
	return r;
}

/* What a remover that died left in another folder than tarn_leftovers() looks through. */
static int reclaim_passing(const struct removal *rm)
{
	struct tarn_leftover leftover;
	int r = tarn__passing_reclaim(rm->seg->path, !rm->dry, &leftover);

	return r == -EBUSY ? came(rm) : r < 0 ? told(rm, r, "removing it") : 0;
}

/* --- System V -------------------------------------------------------------------------------- */

static int stat_sysv(const struct removal *rm, struct shmid_ds *ret_ds)
{
	int r = tarn__plat_shm_stat(rm->pub->id, ret_ds);

	if (r == -EINVAL || r == -EIDRM || (r == 0 && (ret_ds->shm_perm.mode & SHM_DEST) != 0))
		return tarn__diag(rm->diag, -ENOENT, "%.100s: it is gone", rm->pub->addr);
	return r < 0 ? told(rm, r, "looking at it") : 0;
}

static int attached(const struct removal *rm, int result, const struct shmid_ds *ds)
{
	return tarn__diag(rm->diag, result, "%.100s: it was just attached, last by pid %d%s%s",
			  rm->pub->addr, (int)ds->shm_lpid,
			  result > 0 ? "; who has it keeps it" : "",
			  result > 0 && rm->pub->key != 0 ? ", and its key is free" : "");
}

static bool same_segment(const struct tarn_host_segment *pub, const struct shmid_ds *ds)
{
	return (int32_t)ds->shm_perm.__key == pub->key && ds->shm_segsz == pub->size &&
	       (int64_t)ds->shm_ctime * SECOND_NS == pub->created_ns &&
	       (int32_t)ds->shm_cpid == pub->creator_pid;
}

static int compare_sysv(const struct removal *rm, const struct shmid_ds *ds)
{
	if (!same_segment(rm->pub, ds))
		return changed(rm);
	if (ds->shm_nattch != 0)
		return attached(rm, -EBUSY, ds);
	if ((int64_t)ds->shm_atime * SECOND_NS != rm->pub->attached_ns ||
	    (int64_t)ds->shm_dtime * SECOND_NS != rm->pub->detached_ns ||
	    (int32_t)ds->shm_lpid != rm->pub->last_pid)
		return changed(rm);
	return 0;
}

/* A region whose control file was lost does not show in the picture. What may not be attached is
 * none. */
static bool holds_region(const struct removal *rm)
{
	bool region;
	void *at;

	if (rm->pub->size < TARN__PAGE || tarn__plat_shmat(rm->pub->id, NULL, SHM_RDONLY, &at) < 0)
		return false;
	region = memcmp(at, TARN__MAGIC, 8) == 0;
	(void)tarn__plat_shmdt(at);
	return region;
}

static int remove_sysv(const struct removal *rm)
{
	struct shmid_ds ds;
	int r = stat_sysv(rm, &ds);

	if (r < 0)
		return r;
	/* Only to look into it may it have been attached since, and by this process. */
	if (!same_segment(rm->pub, &ds))
		return changed(rm);
	if (ds.shm_nattch != 0 ||
	    ((int32_t)ds.shm_lpid != rm->pub->last_pid && (int32_t)ds.shm_lpid != tarn__plat_pid()))
		return attached(rm, -EBUSY, &ds);
	r = tarn__plat_shm_rmid(rm->pub->id);
	if (r == -EINVAL || r == -EIDRM)
		return tarn__diag(rm->diag, -ENOENT, "%.100s: it is gone", rm->pub->addr);
	if (r < 0)
		return told(rm, r, "removing it");
	return tarn__plat_shm_stat(rm->pub->id, &ds) == 0 ? attached(rm, 1, &ds) : 0;
}

static int reclaim_sysv(const struct removal *rm)
{
	struct shmid_ds ds;
	int r = stat_sysv(rm, &ds);

	if (r == 0)
		r = compare_sysv(rm, &ds);
	if (r < 0 || rm->dry)
		return r;
	if (holds_region(rm))
		return tarn__diag(rm->diag, -EINVAL, "%.100s: it is Tarn's own", rm->pub->addr);
	return remove_sysv(rm);
}

int tarn_host_reclaim(const struct tarn_host *host, const struct tarn_host_segment *segment,
		      int64_t idle_ns, uint32_t flags, struct tarn_diag *diag)
{
	const struct removal rm = {
		.seg = tarn__seg_of(segment),
		.pub = segment,
		.dry = (flags & TARN_RECLAIM_DRY) != 0,
		.diag = diag,
	};
	int r;

	if ((flags & ~TARN_RECLAIM_DRY) != 0)
		return tarn__diag(diag, -EINVAL, "unknown flags 0x%x", flags & ~TARN_RECLAIM_DRY);
	if (segment->content == TARN_CONTENT_TEMPORARY && host->root[0] == '\0' &&
	    rm.seg->path != NULL && tarn__passing(rm.seg->path))
		return reclaim_passing(&rm);
	r = check_state(host, &rm, idle_ns);
	if (r < 0)
		return r;
	return segment->kind == TARN_SEGMENT_SYSV ? reclaim_sysv(&rm) : reclaim_file(&rm);
}
