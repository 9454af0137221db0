/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.c - from a descriptor to memory.
 *
 * Order of creation: look for room, map, say how the pages are to be (NUMA, huge), allocate them
 * all, fault in and lock if asked. The mapping comes before the allocation since the kernel places
 * pages by the policy that the mapping sets.
 *
 * Address space for max_size is mapped at once, beyond the end of the file: when the file grows,
 * by whomever, the new bytes are there without another call. hugetlbfs would extend a file to the
 * length of a writable mapping, so there the mapping is made for reading and widened after.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* --- checks ---------------------------------------------------------------------------------- */

int tarn__check_owner(uint32_t uid, uint32_t mode, const struct tarn_segment_opts *want,
		      const char *name)
{
	bool given = (want->flags & TARN_SEGMENT_OWNER) != 0;
	uint32_t expected = given ? want->owner : tarn__plat_euid();
	uint32_t wider = mode & 07777u & ~want->mode;

	if (uid != expected) {
		tarn__diag(want->diag, -EPERM, "%.160s belongs to user %u, user %u was expected",
			   name, uid, expected);
		tarn__diag_hint(want->diag, "if that is right, name user %u as its owner", uid);
		return -EPERM;
	}
	if (wider != 0 && (want->flags & TARN_SEGMENT_ANY_MODE) == 0) {
		tarn__diag(want->diag, -EPERM, "%.160s has mode %04o, %04o at most was expected",
			   name, mode & 07777u, want->mode);
		tarn__diag_hint(want->diag, "chmod it to %04o, or accept mode %04o",
				mode & want->mode, mode & 07777u);
		return -EPERM;
	}
	return 0;
}

int tarn__range(const struct tarn_segment *seg, uint64_t off, uint64_t *size, uint64_t limit)
{
	if (!tarn__round_up(limit, seg->page_size, &limit) || limit > seg->map_size)
		limit = seg->map_size;
	if (off % seg->page_size != 0 || off >= limit)
		return -EINVAL;
	if (*size == 0)
		*size = limit - off;
	return tarn__inside(off, *size, limit) ? 0 : -EINVAL;
}

int tarn__size_now(const struct tarn_segment *seg, uint64_t *ret_size)
{
	struct stat st;
	int r;

	if (seg->fd < 0) {
		*ret_size = seg->size;
		return 0;
	}
	r = tarn__plat_fstat(seg->fd, &st);
	if (r == 0)
		*ret_size = st.st_size < 0 ? 0 : (uint64_t)st.st_size;
	return r;
}

/* --- mapping --------------------------------------------------------------------------------- */

static int too_large(uint64_t size, struct tarn_diag *diag)
{
	char a[24];

	return tarn__diag(diag, -ENOMEM, "%s do not fit the address space of this process",
			  tarn__size_text(size, a));
}

/* Learn the page size of seg->fd's file system. */
static int learn_pages(struct tarn_segment *seg, bool *ret_huge, struct tarn_diag *diag)
{
	struct tarn_plat_fs fs;
	int r = tarn__plat_fstatfs(seg->fd, &fs);

	if (r < 0)
		return tarn__refused(diag, r, "asking", "for the page size");
	*ret_huge = fs.type == TARN__HUGETLBFS_MAGIC;
	seg->page_size = (uint32_t)(*ret_huge ? fs.block_size : tarn__plat_page_size());
	seg->pages = tarn__pages_of(seg->page_size);
	return 0;
}

static int map_failed(int r, uint64_t size, bool write, struct tarn_diag *diag)
{
	char a[24];
	char what[48];

	if (write && r == -EACCES) {
		tarn__diag(diag, r, "the descriptor is not open for writing");
		tarn__diag_hint(diag, "map it for reading only");
		return r;
	}
	if (write && r == -EPERM) {
		tarn__diag(diag, r, "it is sealed against writing");
		tarn__diag_hint(diag, "map it for reading only");
		return r;
	}
	snprintf(what, sizeof(what), "%s", tarn__size_text(size, a));
	return tarn__refused(diag, r, "mapping", what);
}

static int map(struct tarn_segment *seg, const struct tarn_segment_opts *want, uint64_t size,
	       bool huge)
{
	bool private = (want->flags & TARN_SEGMENT_PRIVATE) != 0;
	int flags = private ? MAP_PRIVATE : MAP_SHARED;
	int prot = seg->read_only ? PROT_READ : PROT_READ | PROT_WRITE;
	bool widen = huge && !seg->read_only;
	void *base;
	int r;

	if (!tarn__round_up(size, seg->page_size, &size) || size > SIZE_MAX / 2)
		return too_large(size, want->diag);
	/* pages come from fallocate(): a reservation for the whole mapping would take max_size */
	if (huge && !private)
		flags |= MAP_NORESERVE;
	r = tarn__plat_mmap(NULL, (size_t)size, widen ? PROT_READ : prot, flags, seg->fd, 0, &base);
	if (r < 0)
		return map_failed(r, size, prot != PROT_READ && !private, want->diag);
	seg->base = base;
	seg->map_size = size;
	if (widen)
		r = tarn__plat_mprotect(base, (size_t)size, prot);
	if (r < 0)
		return map_failed(r, size, true, want->diag);
	r = tarn__guard_add(seg);
	return r < 0 ? tarn__diag(want->diag, r, "no memory for the list of mappings") : 0;
}

int tarn__map_dress(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	size_t size = (size_t)seg->map_size;
	int r = 0;

	if ((want->flags & TARN_SEGMENT_DUMP) == 0)
		r = tarn__plat_madvise(seg->base, size, MADV_DONTDUMP);
	if (r == 0 && (want->flags & TARN_SEGMENT_NO_FORK) != 0)
		r = tarn__plat_madvise(seg->base, size, MADV_DONTFORK);
	if (r < 0)
		return tarn__refused(want->diag, r, "advising", "the kernel of the mapping");
	if (want->numa != TARN_NUMA_DEFAULT)
		r = tarn__numa_set(seg->base, size, want->numa, want->numa_nodes, false,
				   want->diag);
	if (r == 0 && want->pages == TARN_PAGES_THP)
		r = tarn__thp_ask(seg, (want->flags & TARN_SEGMENT_PAGES_MUST) != 0, want->diag);
	return r;
}

/* --- faulting in and locking ----------------------------------------------------------------- */

/* Linux before 5.14 has no MADV_POPULATE_*. Reading allocates too, in shared memory. */
static void touch(const struct tarn_segment *seg, uint64_t off, uint64_t size)
{
	for (uint64_t at = off; at < off + size; at += seg->page_size)
		/* relaxed: the value does not matter, only that the access is made */
		(void)atomic_load_explicit((_Atomic unsigned char *)(seg->base + at),
					   memory_order_relaxed);
}

int tarn__map_populate(struct tarn_segment *seg, uint64_t off, uint64_t size, bool write,
		       struct tarn_diag *diag)
{
	char a[24];
	int r;

	do {
		r = tarn__plat_madvise(seg->base + off, (size_t)size,
				       write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	} while (r == -EINTR);
	if (r == -EINVAL || r == -ENOSYS) {
		touch(seg, off, size);
		return 0;
	}
	/* EFAULT: where a touch would have raised SIGBUS */
	if (r == -EFAULT || r == -ENOMEM)
		return tarn__diag(diag, -ENOSPC, "the memory ran out while %s were faulted in",
				  tarn__size_text(size, a));
	return r < 0 ? tarn__refused(diag, r, "faulting in", "the segment") : 0;
}

int tarn__map_lock(struct tarn_segment *seg, uint64_t off, uint64_t size, struct tarn_diag *diag)
{
	uint64_t limit = UINT64_MAX;
	char a[24], b[24];
	int r = tarn__plat_mlock(seg->base + off, (size_t)size);

	if (r == 0) {
		seg->locked = true;
		return 0;
	}
	/* the kernel marks the range before it finds that a page cannot be had */
	if (!seg->locked)
		(void)tarn__plat_munlock(seg->base + off, (size_t)size);
	(void)tarn__plat_rlimit(RLIMIT_MEMLOCK, &limit);
	if (limit == UINT64_MAX)
		return tarn__refused(diag, -ENOMEM, "locking", "the segment in memory");
	tarn__diag(diag, -ENOMEM, "%s to be locked, this process may lock %s (RLIMIT_MEMLOCK)",
		   tarn__size_text(size, a), tarn__size_text(limit, b));
	tarn__diag_hint(diag, "ulimit -l %" PRIu64 " or more, or CAP_IPC_LOCK",
			size / 1024 + (size % 1024 != 0));
	return -ENOMEM;
}

int tarn__map_settle(struct tarn_segment *seg, uint64_t off, uint64_t size, struct tarn_diag *diag)
{
	/* faulted in for writing, every page of a file on disk would be written back */
	bool write = !seg->read_only && (seg->flags & TARN_SEGMENT_PRIVATE) == 0 &&
		     seg->addr.kind != TARN_SEGMENT_FILE;
	uint64_t end;
	int r = 0;

	if (!tarn__round_up(off + size, seg->page_size, &end) || end > seg->map_size)
		end = seg->map_size;
	off -= off % seg->page_size;
	if ((seg->flags & TARN_SEGMENT_POPULATE) != 0)
		r = tarn__map_populate(seg, off, end - off, write, diag);
	if (r == 0 && (seg->flags & TARN_SEGMENT_LOCK) != 0)
		r = tarn__map_lock(seg, off, end - off, diag);
	return r;
}

/* --- a new file ------------------------------------------------------------------------------ */

/* For file systems without fallocate(). */
static int write_zeros(int fd, uint64_t size)
{
	static const unsigned char zeros[64 << 10];

	for (uint64_t off = 0; off < size;) {
		uint64_t left = size - off;
		ssize_t n = tarn__plat_pwrite(
			fd, zeros, (size_t)(left < sizeof(zeros) ? left : sizeof(zeros)), off);

		if (n < 0)
			return (int)n;
		off += (uint64_t)n;
	}
	return 0;
}

static int allocate(struct tarn_segment *seg, const struct tarn_segment_opts *want, uint64_t size)
{
	bool lazy = (want->flags & TARN_SEGMENT_LAZY) != 0;
	bool thp = seg->pages == TARN_PAGES_THP;
	int r = 0;

	/* fallocate() takes small pages; a fault in the advised mapping takes huge ones */
	if (lazy || thp)
		r = tarn__plat_ftruncate(seg->fd, size);
	if (r == 0 && thp && !lazy)
		r = tarn__map_populate(seg, 0, seg->map_size < size ? seg->map_size : size, true,
				       want->diag);
	if (r == 0 && !lazy) {
		r = tarn__plat_fallocate(seg->fd, 0, size);
		if (r == -EOPNOTSUPP || r == -ENOSYS)
			r = write_zeros(seg->fd, size);
	}
	if (r == -EDQUOT || r == -ENOMEM)
		r = -ENOSPC;
	return r;
}

int tarn__map_new(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	bool lazy = (want->flags & TARN_SEGMENT_LAZY) != 0;
	uint64_t size = want->size, max_size = want->max_size;
	char a[24];
	bool huge = false;
	int r = learn_pages(seg, &huge, want->diag);

	if (r < 0)
		return r;
	if (huge && (!tarn__round_up(size, seg->page_size, &size) ||
		     !tarn__round_up(max_size, seg->page_size, &max_size)))
		return too_large(size, want->diag);
	r = tarn__room_for_file(seg->fd, lazy ? 0 : size, size, want->diag);
	if (r == 0)
		r = map(seg, want, max_size, huge);
	if (r == 0)
		r = tarn__map_dress(seg, want);
	if (r < 0)
		return r;
	r = allocate(seg, want, size);
	if (r < 0) {
		tarn__refused(want->diag, r, "reserving", tarn__size_text(size, a));
		/* the pool was looked at; this is what is not seen from here */
		if (huge && r == -ENOSPC)
			tarn__diag_hint(want->diag,
					"see the limit of this process's hugetlb cgroup");
		return r;
	}
	seg->size = size;
	return tarn__map_settle(seg, 0, size, want->diag);
}

/* --- a file that is there -------------------------------------------------------------------- */

static int check_size(uint64_t size, const struct tarn_segment_opts *want, const char *name)
{
	char a[24], b[24];

	if (size == 0)
		return tarn__diag(want->diag, -EMSGSIZE,
				  "%.160s is empty: it was never sized, or has been truncated",
				  name);
	if (size < want->size)
		return tarn__diag(want->diag, -EMSGSIZE, "%.160s has %s, at least %s was asked",
				  name, tarn__size_text(size, a), tarn__size_text(want->size, b));
	if (size > TARN__SEGMENT_SIZE_MAX)
		return too_large(size, want->diag);
	return 0;
}

static int check_seals(int fd, uint32_t wanted, const char *name, struct tarn_diag *diag)
{
	unsigned seals = 0;
	int r;

	if (wanted == 0)
		return 0;
	r = tarn__plat_seals_get(fd, &seals);
	if (r < 0 && r != -EINVAL)
		return tarn__refused(diag, r, "asking for the seals of", name);
	if ((seals & wanted) == wanted)
		return 0;
	return tarn__diag(diag, -EPERM, "%.160s has the seals 0x%x, 0x%x were expected", name,
			  seals, wanted);
}

static int check_page_size(const struct tarn_segment *seg, const struct tarn_segment_opts *want,
			   const char *name)
{
	uint64_t wanted = tarn__huge_size(want->pages);
	char a[24], b[24];

	if (wanted == 0 || wanted == seg->page_size || (want->flags & TARN_SEGMENT_PAGES_MUST) == 0)
		return 0;
	return tarn__diag(want->diag, -EOPNOTSUPP, "%.120s has pages of %s, pages of %s were asked",
			  name, tarn__size_text(seg->page_size, a), tarn__size_text(wanted, b));
}

int tarn__map_existing(struct tarn_segment *seg, const struct tarn_segment_opts *want,
		       const char *name)
{
	uint64_t size, held;
	struct stat st;
	bool huge = false;
	int r = tarn__plat_fstat(seg->fd, &st);

	if (r < 0)
		return tarn__refused(want->diag, r, "looking at", name);
	if (!S_ISREG(st.st_mode))
		return tarn__diag(want->diag, -EINVAL, "%.180s is not shared memory", name);
	size = st.st_size < 0 ? 0 : (uint64_t)st.st_size;
	r = tarn__check_owner(st.st_uid, st.st_mode, want, name);
	if (r == 0)
		r = check_size(size, want, name);
	if (r == 0)
		r = check_seals(seg->fd, want->seals, name, want->diag);
	if (r == 0)
		r = learn_pages(seg, &huge, want->diag);
	if (r == 0)
		r = check_page_size(seg, want, name);
	/* a sparse segment will be filled now */
	held = (uint64_t)st.st_blocks * 512;
	if (r == 0 && (want->flags & (TARN_SEGMENT_POPULATE | TARN_SEGMENT_LOCK)) != 0 &&
	    held < size && seg->addr.kind != TARN_SEGMENT_FILE)
		r = tarn__room_for_file(seg->fd, size - held, 0, want->diag);
	seg->read_only = (want->flags & TARN_SEGMENT_READ_ONLY) != 0;
	if (r == 0)
		r = map(seg, want, want->max_size > size ? want->max_size : size, huge);
	if (r == 0)
		r = tarn__map_dress(seg, want);
	if (r < 0)
		return r;
	seg->size = size;
	return tarn__map_settle(seg, 0, size, want->diag);
}

int tarn__segment_remap(struct tarn_segment *seg, uint64_t max_size, struct tarn_diag *diag)
{
	const struct tarn_segment_opts want = { .flags = seg->flags,
						.pages = seg->pages == TARN_PAGES_THP
								 ? TARN_PAGES_THP
								 : TARN_PAGES_DEFAULT,
						.diag = diag };
	int r;

	tarn__guard_remove(seg);
	tarn__plat_munmap(seg->base, (size_t)seg->map_size);
	seg->base = NULL;
	r = map(seg, &want, max_size, tarn__huge_size(seg->pages) != 0);
	if (r == 0)
		r = tarn__map_dress(seg, &want);
	return r < 0 ? r : tarn__map_settle(seg, 0, seg->size, diag);
}
