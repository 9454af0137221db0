/* SPDX-License-Identifier: BSD-2-Clause */
/* seam.h - how each function of plat begins (the fault seam) and ends (a negative errno). */
#ifndef TARN_PLAT_SEAM_H
#define TARN_PLAT_SEAM_H

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "plat/plat.h"

#define SEAM(name)                                                                                 \
	do {                                                                                       \
		if (__builtin_expect(tarn__plat_fault != NULL, 0)) {                               \
			int fault_ = tarn__plat_fault(TARN_PLAT_##name);                           \
			if (fault_ != 0)                                                           \
				return fault_ > 0 ? -fault_ : fault_;                              \
		}                                                                                  \
	} while (0)

/* For calls that cannot fail: the plan is told, its answer has no effect. */
#define SEAM_COUNT(name)                                                                           \
	do {                                                                                       \
		if (__builtin_expect(tarn__plat_fault != NULL, 0))                                 \
			(void)tarn__plat_fault(TARN_PLAT_##name);                                  \
	} while (0)

/* -errno, of which the compiler knows that it is negative. */
static inline int last_error(void)
{
	return errno > 0 ? -errno : -EIO;
}

static inline int result(long r)
{
	return r < 0 ? last_error() : (int)r;
}

/* A descriptor of 0, 1 or 2 would be written to by whoever prints: move it up. */
static inline int above_stdio(int fd)
{
	if (fd < 0)
		return last_error();
	if (fd > 2)
		return fd;

	int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int err = errno;

	close(fd);
	return moved < 0 ? -err : moved;
}

#endif /* TARN_PLAT_SEAM_H */
