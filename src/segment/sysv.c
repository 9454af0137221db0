/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sysv.c - System V shared memory: shmget(), shmat(), shmctl().
 *
 * The kernel names a segment when it makes it, so there is nothing to publish, and a creator that
 * dies in between leaves it half made: the region layer recognises that. The size is fixed for
 * life. Memory is faulted in at creation, since the kernel promises none.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "base/bits.h"
#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

enum {
	OWNER_MODE = 0600, /* without it the maker itself could not attach */
};

enum { HUGE_SHIFT = 26 }; /* SHM_HUGE_SHIFT: log2 of the page size stands above it */

#ifndef SHM_DEST
#define SHM_DEST 01000 /* removed, waiting for the last detach */
#endif
#ifndef SHM_HUGETLB
#define SHM_HUGETLB 04000
#endif
#ifndef SHM_NORESERVE
#define SHM_NORESERVE 010000
#endif

/* What a segment is called in messages. */
static const char *name_of(const struct tarn__addr *addr, char buf[48])
{
	if (addr->id >= 0)
		snprintf(buf, 48, "sysv:#%d", addr->id);
	else if (addr->key == IPC_PRIVATE)
		snprintf(buf, 48, "sysv:private");
	else
		snprintf(buf, 48, "sysv:0x%x", (unsigned)addr->key);
	return buf;
}

/* --- making ---------------------------------------------------------------------------------- */

/* ENOSPC of shmget(): which of the two limits was it? */
static int beyond_system_limits(uint64_t size, struct tarn_diag *diag)
{
	const struct tarn__rooms ask = { .root = "", .diag = diag };
	int r = tarn__room_in_shmmni(&ask);

	if (r == 0)
		r = tarn__room_in_shmall(&ask, size);
	/* room has been made since, or cannot be seen from here */
	return r != 0 ? r
		      : tarn__diag(diag, -ENOSPC,
				   "the kernel has no room for another System V segment "
				   "(kernel.shmmni, kernel.shmall)");
}

static int get_failed(struct tarn_segment *seg, const struct tarn_segment_opts *want, int r)
{
	uint64_t huge = tarn__huge_size(want->pages);
	char name[48];

	name_of(&seg->addr, name);
	if (r == -EEXIST) {
		tarn__diag(want->diag, r, "%s exists already; it was not touched", name);
		tarn__diag_hint(want->diag, "open it, or remove it first if nobody needs it");
		return r;
	}
	if (r == -ENOSPC)
		return beyond_system_limits(want->size, want->diag);
	if (huge != 0 && r == -EPERM) {
		tarn__diag(want->diag, r,
			   "this user may not take huge pages for System V segments");
		tarn__diag_hint(want->diag, "sysctl -w vm.hugetlb_shm_group=GID, or CAP_IPC_LOCK");
		return r;
	}
	if (huge != 0 && (r == -EINVAL || r == -ENODEV || r == -ENOENT))
		return tarn__diag(want->diag, -EOPNOTSUPP,
				  "huge pages of %u MiB are not supported by this host",
				  (unsigned)(huge >> 20));
	if (r == -ENOMEM)
		r = -ENOSPC;
	return tarn__refused(want->diag, r, "creating", name);
}

static int get_new(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	uint64_t huge = tarn__huge_size(want->pages);
	int flags = IPC_CREAT | IPC_EXCL | (int)(want->mode | OWNER_MODE);
	int r;

	if ((want->flags & TARN_SEGMENT_LAZY) != 0)
		flags |= SHM_NORESERVE;
	if (huge != 0)
		flags |= SHM_HUGETLB | (int)((unsigned)__builtin_ctzll(huge) << HUGE_SHIFT);
	r = tarn__plat_shmget(seg->addr.key, want->size, flags);
	if (r < 0)
		return get_failed(seg, want, r);
	seg->shmid = r;
	return 0;
}

/* What the kernel says of an identifier that is no more, or never was, means that there is none. */
static int gone(int r)
{
	return r == -EINVAL || r == -EIDRM ? -ENOENT : r;
}

static int attach(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	void *base;
	char name[48];
	int r = gone(tarn__plat_shmat(seg->shmid, NULL, seg->read_only ? SHM_RDONLY : 0, &base));

	if (r < 0)
		return tarn__refused(want->diag, r, "attaching", name_of(&seg->addr, name));
	seg->base = base;
	r = tarn__guard_add(seg);
	if (r < 0)
		return tarn__diag(want->diag, r, "no memory for the list of mappings");
	return 0;
}

static int room(const struct tarn_segment_opts *want)
{
	uint64_t huge = tarn__huge_size(want->pages);

	if (huge != 0)
		return tarn__room_for_huge(want->size, huge, want->diag);
	if ((want->flags & TARN_SEGMENT_LAZY) != 0)
		return 0;
	return tarn__room_for_memory(want->size, want->diag);
}

static int no_growth(const struct tarn_segment_opts *want, uint64_t size)
{
	char a[24], b[24];

	if (want->max_size <= size)
		return 0;
	tarn__diag(want->diag, -EOPNOTSUPP,
		   "System V segments cannot grow: max_size %s was asked, the size is %s",
		   tarn__size_text(want->max_size, a), tarn__size_text(size, b));
	tarn__diag_hint(want->diag, "ask for the whole size, or take another kind of segment");
	return -EOPNOTSUPP;
}

/* seg->size and what follows from it. */
static void set_size(struct tarn_segment *seg, uint64_t size, uint64_t page_size)
{
	uint64_t map_size = size;

	seg->size = size;
	seg->page_size = (uint32_t)page_size;
	seg->pages = tarn__pages_of(page_size);
	/* fits: the kernel has mapped it */
	(void)tarn__round_up(size, page_size, &map_size);
	seg->map_size = map_size;
}

/* The mode asked for, where it does not let the owner in. */
static int narrow(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	char name[48];
	int r;

	if ((want->mode & OWNER_MODE) == OWNER_MODE)
		return 0;
	r = tarn__sysv_chmod(seg, want->mode, UINT32_MAX, UINT32_MAX);
	if (r < 0)
		return tarn__refused(want->diag, r, "setting the mode of",
				     name_of(&seg->addr, name));
	return 0;
}

int tarn__sysv_make(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	uint64_t huge = tarn__huge_size(want->pages);
	struct tarn_segment_opts sized = *want;
	int r = no_growth(want, want->size);

	if (r < 0)
		return r;
	if (seg->addr.id >= 0)
		return tarn__diag(want->diag, -EINVAL,
				  "sysv:#%d is an identifier: it can be opened, not created",
				  seg->addr.id);
	if (huge != 0 && !tarn__round_up(want->size, huge, &sized.size))
		return -EINVAL;
	r = tarn__room_in_shmmax(&(struct tarn__rooms){ .root = "", .diag = want->diag },
				 sized.size);
	if (r == 0)
		r = room(&sized);
	if (r == 0)
		r = get_new(seg, &sized);
	if (r < 0)
		return r;
	set_size(seg, sized.size, huge != 0 ? huge : tarn__plat_page_size());
	r = attach(seg, want);
	if (r == 0)
		r = narrow(seg, want);
	if (r == 0)
		r = tarn__map_dress(seg, want);
	if (r == 0 && (want->flags & TARN_SEGMENT_LAZY) == 0)
		r = tarn__map_populate(seg, 0, seg->size, true, want->diag);
	if (r == 0)
		r = tarn__map_settle(seg, 0, seg->size, want->diag);
	return r;
}

void tarn__sysv_discard(struct tarn_segment *seg)
{
	if (seg->shmid >= 0)
		(void)tarn__plat_shm_rmid(seg->shmid);
}

/* --- opening and removing -------------------------------------------------------------------- */

/* Find the segment, check whose it is. */
static int find(const struct tarn__addr *addr, const struct tarn_segment_opts *want, int *ret_id,
		struct shmid_ds *ret_ds)
{
	char name[48];
	int id = addr->id;
	int r;

	name_of(addr, name);
	if (id < 0 && addr->key == IPC_PRIVATE)
		return tarn__diag(want->diag, -EINVAL, "sysv:private has no name to be found by");
	if (id < 0)
		id = tarn__plat_shmget(addr->key, 0, 0);
	if (id < 0)
		return tarn__refused(want->diag, id, "opening", name);
	r = gone(tarn__plat_shm_stat(id, ret_ds));
	if (r < 0)
		return tarn__refused(want->diag, r, "opening", name);
	r = tarn__check_owner(ret_ds->shm_perm.uid, ret_ds->shm_perm.mode & 0777u, want, name);
	if (r < 0)
		return r;
	*ret_id = id;
	return 0;
}

static int check_open(const struct tarn_segment_opts *want, uint64_t size, const char *name)
{
	char a[24], b[24];

	if ((want->flags & TARN_SEGMENT_PRIVATE) != 0)
		return tarn__diag(want->diag, -EOPNOTSUPP,
				  "System V segments have no copy-on-write views");
	if (want->seals != 0)
		return tarn__diag(want->diag, -EPERM, "%s can have no seals", name);
	if (size < want->size)
		return tarn__diag(want->diag, -EMSGSIZE, "%s has %s, at least %s was asked", name,
				  tarn__size_text(size, a), tarn__size_text(want->size, b));
	return no_growth(want, size);
}

int tarn__sysv_open(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	struct shmid_ds ds;
	uint64_t page_size;
	char name[48];
	int r = find(&seg->addr, want, &seg->shmid, &ds);

	if (r < 0)
		return r;
	r = check_open(want, ds.shm_segsz, name_of(&seg->addr, name));
	if (r < 0)
		return r;
	set_size(seg, ds.shm_segsz, tarn__plat_page_size());
	r = attach(seg, want);
	if (r < 0)
		return r;
	page_size = tarn__page_size_at(seg->base);
	if (page_size != 0)
		set_size(seg, ds.shm_segsz, page_size);
	tarn__guard_resize(seg);
	r = tarn__map_dress(seg, want);
	if (r == 0)
		r = tarn__map_settle(seg, 0, seg->size, want->diag);
	return r;
}

int tarn__sysv_remove(const struct tarn__addr *addr, const struct tarn_segment_opts *want)
{
	struct shmid_ds ds;
	char name[48];
	int id = -1;
	int r = find(addr, want, &id, &ds);

	if (r < 0)
		return r;
	r = gone(tarn__plat_shm_rmid(id));
	return r < 0 ? tarn__refused(want->diag, r, "removing", name_of(addr, name)) : 0;
}

int tarn__sysv_unname(struct tarn_segment *seg)
{
	struct shmid_ds ds;
	int r = gone(tarn__plat_shm_stat(seg->shmid, &ds));

	if (r < 0)
		return r;
	/* an identifier carries a sequence number: it leads to this object or to none */
	if ((ds.shm_perm.mode & SHM_DEST) != 0)
		return -ENOENT;
	return gone(tarn__plat_shm_rmid(seg->shmid));
}

/* --- facts ----------------------------------------------------------------------------------- */

struct resident_search {
	int id;
	uint64_t resident;
};

static int match_id(char *line, void *arg)
{
	struct resident_search *search = arg;
	uint64_t rss, swap;
	int id;

	/* key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap */
	if (sscanf(line,
		   "%*d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64,
		   &id, &rss, &swap) != 3 ||
	    id != search->id)
		return 0;
	search->resident = rss + swap;
	return 1;
}

int tarn__sysv_stat(struct tarn_segment *seg, struct tarn_segment_stat *ret_stat)
{
	struct resident_search search = { .id = seg->shmid };
	struct shmid_ds ds;
	int r = tarn__plat_shm_stat(seg->shmid, &ds);

	if (r < 0)
		return r;
	(void)tarn__each_line("/proc/sysvipc/shm", match_id, &search);
	ret_stat->size = ds.shm_segsz;
	/* kernels since 6.7 count huge pages 512-fold here */
	ret_stat->resident = search.resident < seg->map_size ? search.resident : seg->map_size;
	ret_stat->inode = (uint64_t)seg->shmid;
	ret_stat->ctime = ds.shm_ctime;
	ret_stat->atime = ds.shm_atime;
	ret_stat->dtime = ds.shm_dtime;
	ret_stat->mode = ds.shm_perm.mode & 0777u;
	ret_stat->uid = ds.shm_perm.uid;
	ret_stat->gid = ds.shm_perm.gid;
	ret_stat->cuid = ds.shm_perm.cuid;
	ret_stat->cgid = ds.shm_perm.cgid;
	ret_stat->attach_count = (uint32_t)ds.shm_nattch;
	ret_stat->creator_pid = ds.shm_cpid;
	ret_stat->last_pid = ds.shm_lpid;
	ret_stat->key = ds.shm_perm.__key;
	ret_stat->id = seg->shmid;
	ret_stat->removed = (ds.shm_perm.mode & SHM_DEST) != 0;
	return 0;
}

int tarn__sysv_chmod(struct tarn_segment *seg, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct shmid_ds ds;
	int r = tarn__plat_shm_stat(seg->shmid, &ds);

	if (r < 0)
		return r;
	ds.shm_perm.mode = (__typeof__(ds.shm_perm.mode))mode;
	if (uid != UINT32_MAX)
		ds.shm_perm.uid = uid;
	if (gid != UINT32_MAX)
		ds.shm_perm.gid = gid;
	return tarn__plat_shm_set(seg->shmid, &ds);
}
