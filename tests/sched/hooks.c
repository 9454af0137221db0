/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hooks.c - what code compiled with -fsanitize=thread calls at each access, in place of the
 * sanitizer's runtime: tell the scheduler, then do it, all orders taken as the strongest.
 *
 * A plain load or store is made by the caller after the hook has returned. memcpy() and the like
 * are called as functions where they are large, by one compiler under names of its own; a copy
 * into or out of shared memory is made in two halves, so that it can be seen torn.
 */
#include <stdint.h>
#include <string.h>

#include "schedule.h"

void *__real_memcpy(void *to, const void *from, size_t size);
void *__real_memmove(void *to, const void *from, size_t size);
void *__real_memset(void *to, int byte, size_t size);

/* No header declares what compilers call. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void)
{
}

#define PLAIN(size)                                                                                \
	void __tsan_read##size(void *at)                                                           \
	{                                                                                          \
		sched_access(at, size, SCHED_LOAD);                                                \
	}                                                                                          \
	void __tsan_write##size(void *at)                                                          \
	{                                                                                          \
		sched_access(at, size, SCHED_STORE);                                               \
	}                                                                                          \
	void __tsan_unaligned_read##size(void *at)                                                 \
	{                                                                                          \
		sched_access(at, size, SCHED_LOAD);                                                \
	}                                                                                          \
	void __tsan_unaligned_write##size(void *at)                                                \
	{                                                                                          \
		sched_access(at, size, SCHED_STORE);                                               \
	}

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *at, size_t size)
{
	sched_access(at, size, SCHED_LOAD);
}

void __tsan_write_range(void *at, size_t size)
{
	sched_access(at, size, SCHED_STORE);
}

#define FETCH(bits, type, op)                                                                      \
	type __tsan_atomic##bits##_fetch_##op(type *at, type value, int order)                     \
	{                                                                                          \
		(void)order;                                                                       \
		sched_access(at, sizeof(type), SCHED_CHANGE);                                      \
		return __atomic_fetch_##op(at, value, __ATOMIC_SEQ_CST);                           \
	}

/* One that is bound to fail is a load; but others may run before it. */
#define COMPARE(bits, type, strength)                                                              \
	int __tsan_atomic##bits##_compare_exchange_##strength(type *at, type *expected,            \
							      type value, int order, int failed)   \
	{                                                                                          \
		(void)order;                                                                       \
		(void)failed;                                                                      \
		sched_access(at, sizeof(type), *at == *expected ? SCHED_CHANGE : SCHED_ATTEMPT);   \
		return __atomic_compare_exchange_n(at, expected, value, 0, __ATOMIC_SEQ_CST,       \
						   __ATOMIC_SEQ_CST);                              \
	}

/* The form that clang calls: the value found is what it returns. */
#define COMPARE_VALUE(bits, type)                                                                  \
	type __tsan_atomic##bits##_compare_exchange_val(type *at, type expected, type value,       \
							int order, int failed)                     \
	{                                                                                          \
		(void)order;                                                                       \
		(void)failed;                                                                      \
		sched_access(at, sizeof(type), *at == expected ? SCHED_CHANGE : SCHED_ATTEMPT);    \
		(void)__atomic_compare_exchange_n(at, &expected, value, 0, __ATOMIC_SEQ_CST,       \
						  __ATOMIC_SEQ_CST);                               \
		return expected;                                                                   \
	}

#define ATOMIC(bits, type)                                                                         \
	type __tsan_atomic##bits##_load(const type *at, int order)                                 \
	{                                                                                          \
		(void)order;                                                                       \
		sched_access(at, sizeof(type), SCHED_LOAD);                                        \
		return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                      \
	}                                                                                          \
	void __tsan_atomic##bits##_store(type *at, type value, int order)                          \
	{                                                                                          \
		(void)order;                                                                       \
		sched_access(at, sizeof(type), SCHED_STORE);                                       \
		__atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                     \
	}                                                                                          \
	type __tsan_atomic##bits##_exchange(type *at, type value, int order)                       \
	{                                                                                          \
		(void)order;                                                                       \
		sched_access(at, sizeof(type), SCHED_CHANGE);                                      \
		return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                           \
	}                                                                                          \
	FETCH(bits, type, add)                                                                     \
	FETCH(bits, type, sub)                                                                     \
	FETCH(bits, type, and)                                                                     \
	FETCH(bits, type, or)                                                                      \
	FETCH(bits, type, xor)                                                                     \
	COMPARE(bits, type, strong)                                                                \
	COMPARE(bits, type, weak)                                                                  \
	COMPARE_VALUE(bits, type)

ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order)
{
	(void)order;
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

/* --- copies -------------------------------------------------------------------------------- */

void *__wrap_memcpy(void *to, const void *from, size_t size)
{
	size_t half = size > 8 ? (size / 2 + 7) & ~(size_t)7 : size;

	if (!sched_running())
		return __real_memcpy(to, from, size);
	for (size_t at = 0, n = half; at < size; at += n, n = size - at) {
		sched_access((const char *)from + at, n, SCHED_LOAD);
		sched_access((char *)to + at, n, SCHED_STORE);
		__real_memcpy((char *)to + at, (const char *)from + at, n);
	}
	return to;
}

void *__wrap_memmove(void *to, const void *from, size_t size)
{
	if (sched_running()) {
		sched_access(from, size, SCHED_LOAD);
		sched_access(to, size, SCHED_STORE);
	}
	return __real_memmove(to, from, size);
}

void *__wrap_memset(void *to, int byte, size_t size)
{
	if (sched_running())
		sched_access(to, size, SCHED_STORE);
	return __real_memset(to, byte, size);
}

void *__tsan_memcpy(void *to, const void *from, size_t size)
{
	return __wrap_memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, size_t size)
{
	return __wrap_memmove(to, from, size);
}

void *__tsan_memset(void *to, int byte, size_t size)
{
	return __wrap_memset(to, byte, size);
}
