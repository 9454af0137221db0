/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.c - the calls of plat.h that wait, wake, ask who lives or what time it is, answered by
 * the scheduler. The linker puts them before the library's own (--wrap). While a scenario is set
 * up, the real ones serve, but for the identity of the process that acts.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "plat/plat.h"
#include "region/format.h"
#include "schedule.h"

int __real_tarn__plat_locked(int fd, uint64_t off);
int __real_tarn__plat_futex_wake(_Atomic uint32_t *word, int count);
int __real_tarn__plat_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline);
void __real_tarn__plat_munmap(void *addr, size_t size);
int64_t __real_tarn__plat_now(void);

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

int __wrap_tarn__plat_locked(int fd, uint64_t off)
{
	if (!sched_running() && !sched_verifying())
		return __real_tarn__plat_locked(fd, off);
	return sched_locked((uint32_t)(off - TARN__LOCK_BASE));
}

int __wrap_tarn__plat_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
	const struct tarn__futex one = tarn__futex_of(word, value);

	if (!sched_running() && !sched_verifying())
		return __real_tarn__plat_futex_wait(word, value, deadline);
	return sched_sleep(&one, 1, deadline);
}

int __wrap_tarn__plat_futex_waitv(const struct tarn__futex *words, unsigned count, int64_t deadline)
{
	return sched_sleep(words, (int)count, deadline);
}

int __wrap_tarn__plat_futex_wake(_Atomic uint32_t *word, int count)
{
	if (!sched_running())
		return __real_tarn__plat_futex_wake(word, count);
	return sched_wake(word, count);
}

/* It is there again in the next execution. */
void __wrap_tarn__plat_munmap(void *addr, size_t size)
{
	if (!sched_running() && !sched_verifying())
		__real_tarn__plat_munmap(addr, size);
}

/* Each access takes effect at once here, so there is nothing to wait for. */
int __wrap_tarn__plat_membarrier_register(void)
{
	return 0;
}

int __wrap_tarn__plat_membarrier_sync(void)
{
	return 0;
}

void __wrap_tarn__plat_yield(void)
{
	if (sched_running())
		sched_yield_now();
}

int64_t __wrap_tarn__plat_now(void)
{
	return sched_running() || sched_verifying() ? sched_now() : __real_tarn__plat_now();
}

int32_t __wrap_tarn__plat_tid(void)
{
	return (int32_t)sched_tid();
}

int __wrap_tarn__plat_random(void *buf, size_t size)
{
	memset(buf, (int)sched_tid(), size); /* the same in each run */
	return 0;
}

int __wrap_tarn__plat_robust_list(struct tarn_plat_robust *ret_list)
{
	ret_list->head = sched_robust_list();
	ret_list->offset = (intptr_t)ret_list->head[1];
	return 0;
}
