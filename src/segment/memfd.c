/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memfd.c - files that never have a name: memfd: and anon:, and looking at another process's.
 *
 * anon: is a memfd too, so that it can be grown, sealed and handed on like one; children inherit
 * its mapping, and its descriptor until they exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum { HUGE_SHIFT = 26 }; /* MFD_HUGE_SHIFT: log2 of the page size stands above it */

int tarn__memfd_make(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	bool anon = seg->addr.kind == TARN_SEGMENT_ANON;
	const char *name = anon ? "anon" : seg->addr.path;
	uint64_t huge = tarn__huge_size(want->pages);
	unsigned flags = MFD_ALLOW_SEALING;
	int r;

	if (seg->addr.pid != 0)
		return tarn__diag(want->diag, -EINVAL,
				  "memfd:%d:%d is another process's: it can be opened, not created",
				  seg->addr.pid, seg->addr.id);
	if (huge != 0)
		flags |= MFD_HUGETLB | (unsigned)__builtin_ctzll(huge) << HUGE_SHIFT;
	r = tarn__plat_memfd(name, flags);
	if (huge != 0 && (r == -ENODEV || r == -EINVAL || r == -ENOSYS || r == -ENOENT))
		return tarn__diag(want->diag, -EOPNOTSUPP,
				  "huge pages of %u MiB are not supported by this host",
				  (unsigned)(huge >> 20));
	if (r < 0)
		return tarn__refused(want->diag, r, "creating memfd", name);
	seg->fd = r;
	r = tarn__plat_fchmod(seg->fd, want->mode);
	return r < 0 ? tarn__refused(want->diag, r, "setting the mode of memfd", name) : 0;
}

int tarn__memfd_open(struct tarn_segment *seg, const struct tarn_segment_opts *want)
{
	struct tarn_segment_opts look = *want;
	char path[48];
	struct stat st;
	int r;

	if (seg->addr.pid == 0) {
		tarn__diag(want->diag, -EINVAL, "memfd:%.100s has no name to be opened by",
			   seg->addr.path);
		tarn__diag_hint(want->diag, "write memfd:PID:FD to look at a process's descriptor");
		return -EINVAL;
	}
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", seg->addr.pid, seg->addr.id);
	r = tarn__plat_stat(path, true, &st);
	if (r < 0)
		return tarn__refused(want->diag, r, "looking at", path);
	if (!S_ISREG(st.st_mode))
		return tarn__diag(want->diag, -EINVAL, "%s is not shared memory", path);
	r = tarn__plat_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (r < 0)
		return tarn__refused(want->diag, r, "opening", path);
	seg->fd = r;
	if ((look.flags & TARN_SEGMENT_PRIVATE) == 0)
		look.flags |= TARN_SEGMENT_READ_ONLY;
	return tarn__map_existing(seg, &look, path);
}

int tarn__memfd_seal(struct tarn_segment *seg, uint32_t seals, struct tarn_diag *diag)
{
	int r;

	if (seals == 0)
		return 0;
	if (seg->addr.kind != TARN_SEGMENT_MEMFD && seg->addr.kind != TARN_SEGMENT_ANON)
		return tarn__diag(diag, -EINVAL, "only memfd: and anon: segments can be sealed");
	r = tarn__plat_seals_add(seg->fd, seals);
	if (r == -EBUSY)
		tarn__diag(diag, r, "it is mapped for writing, which F_SEAL_WRITE excludes");
	else if (r == -EPERM)
		tarn__diag(diag, r, "it is sealed against further seals, or not open for writing");
	else if (r < 0)
		tarn__refused(diag, r, "sealing", "the memfd");
	return r;
}
