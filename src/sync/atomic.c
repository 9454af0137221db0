/* SPDX-License-Identifier: BSD-2-Clause */
/* atomic.c - sleep on a word of anybody's, in bounded slices; wake who sleeps there. */
#include <errno.h>

#include <tarn/atomic.h>

#include "plat/plat.h"
#include "sync/section.h"

int tarn_atomic_wait(const uint32_t *word, uint32_t value, int64_t deadline)
{
	if ((uintptr_t)word % sizeof(*word) != 0)
		return -EINVAL;
	while (tarn_atomic_load32(word) == value) {
		/* after a slice, what a wake of the dead was for is seen */
		int64_t now = tarn__plat_now(), slice = now + tarn__section_net_ns;
		int r;

		if (now >= deadline)
			return -ETIMEDOUT;
		r = tarn__plat_futex_wait((_Atomic uint32_t *)(uintptr_t)word, value,
					  slice < deadline ? slice : deadline);
		if (r < 0 && r != -ETIMEDOUT && r != -EAGAIN)
			return r;
	}
	return 0;
}

int tarn_atomic_wake(const uint32_t *word, int count)
{
	if ((uintptr_t)word % sizeof(*word) != 0)
		return -EINVAL;
	return tarn__plat_futex_wake((_Atomic uint32_t *)(uintptr_t)word, count);
}
