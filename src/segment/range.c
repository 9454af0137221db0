/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * range.c - what can be done to a part of a mapping: advise, lock, sync, protect.
 *
 * Ranges begin at a page. What concerns the contents reaches to the object's end as it is now,
 * what concerns the mapping to the end of the address space kept for growth.
 */
#include <errno.h>
#include <sys/mman.h>

#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif

static const struct advice {
	int kernel;
	bool mapping; /* concerns the mapping, not the contents */
	bool write;   /* changes the object */
} advices[] = {
	[TARN_ADVICE_NORMAL] = { MADV_NORMAL, true, false },
	[TARN_ADVICE_RANDOM] = { MADV_RANDOM, true, false },
	[TARN_ADVICE_SEQUENTIAL] = { MADV_SEQUENTIAL, true, false },
	[TARN_ADVICE_WILLNEED] = { MADV_WILLNEED, false, false },
	[TARN_ADVICE_DONTNEED] = { MADV_DONTNEED, false, false },
	[TARN_ADVICE_HUGEPAGE] = { MADV_HUGEPAGE, true, false },
	[TARN_ADVICE_NOHUGEPAGE] = { MADV_NOHUGEPAGE, true, false },
	[TARN_ADVICE_POPULATE_READ] = { MADV_POPULATE_READ, false, false },
	[TARN_ADVICE_POPULATE_WRITE] = { MADV_POPULATE_WRITE, false, true },
	[TARN_ADVICE_DONTFORK] = { MADV_DONTFORK, true, false },
	[TARN_ADVICE_DOFORK] = { MADV_DOFORK, true, false },
	[TARN_ADVICE_DONTDUMP] = { MADV_DONTDUMP, true, false },
	[TARN_ADVICE_DODUMP] = { MADV_DODUMP, true, false },
	[TARN_ADVICE_REMOVE] = { MADV_REMOVE, false, true },
	[TARN_ADVICE_COLD] = { MADV_COLD, false, false },
	[TARN_ADVICE_PAGEOUT] = { MADV_PAGEOUT, false, false },
};

/* Check a range of the contents. */
static int contents(struct tarn_segment *seg, uint64_t off, uint64_t *size)
{
	uint64_t now;
	int r = tarn__guard_check(seg);

	if (r == 0)
		r = tarn__size_now(seg, &now);
	return r < 0 ? r : tarn__range(seg, off, size, now);
}

static int whole(struct tarn_segment *seg, uint64_t off, uint64_t *size)
{
	int r = tarn__guard_check(seg);

	return r < 0 ? r : tarn__range(seg, off, size, seg->map_size);
}

int tarn_segment_advise(struct tarn_segment *seg, uint64_t off, uint64_t size,
			enum tarn_segment_advice advice)
{
	const struct advice *row;
	int r;

	if ((unsigned)advice >= sizeof(advices) / sizeof(advices[0]))
		return -EINVAL;
	row = &advices[advice];
	if (row->write && seg->read_only)
		return -EACCES;
	r = row->mapping ? whole(seg, off, &size) : contents(seg, off, &size);
	if (r < 0)
		return r;
	if (advice == TARN_ADVICE_POPULATE_READ || advice == TARN_ADVICE_POPULATE_WRITE)
		return tarn__map_populate(seg, off, size, row->write, NULL);
	return tarn__plat_madvise(seg->base + off, (size_t)size, row->kernel);
}

int tarn_segment_lock(struct tarn_segment *seg, uint64_t off, uint64_t size, struct tarn_diag *diag)
{
	int r = contents(seg, off, &size);

	if (r < 0)
		return tarn__diag(diag, r,
				  "the range to be locked is not within the segment, or "
				  "does not begin at a page");
	return tarn__map_lock(seg, off, size, diag);
}

int tarn_segment_unlock(struct tarn_segment *seg, uint64_t off, uint64_t size)
{
	int r = whole(seg, off, &size);

	if (r == 0)
		r = tarn__plat_munlock(seg->base + off, (size_t)size);
	if (r == 0 && off == 0 && size >= seg->size)
		seg->locked = false;
	return r;
}

int tarn_segment_sync(struct tarn_segment *seg, uint64_t off, uint64_t size,
		      enum tarn_segment_sync how)
{
	static const int flags[] = {
		[TARN_SYNC_WAIT] = MS_SYNC,
		[TARN_SYNC_ASYNC] = MS_ASYNC,
		[TARN_SYNC_INVALIDATE] = MS_SYNC | MS_INVALIDATE,
	};
	int r;

	if ((unsigned)how >= sizeof(flags) / sizeof(flags[0]))
		return -EINVAL;
	r = contents(seg, off, &size);
	return r < 0 ? r : tarn__plat_msync(seg->base + off, (size_t)size, flags[how]);
}

int tarn_segment_protect(struct tarn_segment *seg, uint64_t off, uint64_t size, bool writable)
{
	int r = whole(seg, off, &size);

	if (r < 0)
		return r;
	if (writable && seg->read_only)
		return -EACCES;
	return tarn__plat_mprotect(seg->base + off, (size_t)size,
				   writable ? PROT_READ | PROT_WRITE : PROT_READ);
}
