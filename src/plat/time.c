/* SPDX-License-Identifier: BSD-2-Clause */
/* time.c - deadlines. See <tarn/base.h>. */
#include <tarn/base.h>

#include "plat/plat.h"

int64_t tarn_now(void)
{
	return tarn__plat_now();
}

int64_t tarn_deadline_after(int64_t wait_ns)
{
	int64_t deadline;

	if (wait_ns < 0)
		wait_ns = 0;
	if (__builtin_add_overflow(tarn__plat_now(), wait_ns, &deadline))
		return TARN_FOREVER;
	return deadline;
}
