/* SPDX-License-Identifier: BSD-2-Clause */
/* bits.h - checked arithmetic, alignment and hashing. No system call, no shared memory. */
#ifndef TARN_BASE_BITS_H
#define TARN_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* of a fast path, where the compiler would count its lines and think otherwise */
#define TARN__ALWAYS_INLINE inline __attribute__((always_inline))
#define TARN__LIKELY(x)     __builtin_expect(!!(x), 1)
#define TARN__UNLIKELY(x)   __builtin_expect(!!(x), 0)

#define TARN__CACHE_LINE 64u

static inline bool tarn__is_pow2(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/* Round @n up to a multiple of @align, a power of two. False if it does not fit 64 bits. */
static inline bool tarn__round_up(uint64_t n, uint64_t align, uint64_t *ret)
{
	uint64_t sum;

	if (__builtin_add_overflow(n, align - 1, &sum))
		return false;
	*ret = sum & ~(align - 1);
	return true;
}

/* Is [off, off + size) inside [0, limit)? */
static inline bool tarn__inside(uint64_t off, uint64_t size, uint64_t limit)
{
	return off <= limit && size <= limit - off;
}

/* 32-bit FNV-1a (Fowler, Noll, Vo; offset basis and prime as in RFC 9923): a checksum against
 * accidents, not against enemies. */
static inline uint32_t tarn__fnv32(const void *data, size_t size, uint32_t seed)
{
	const unsigned char *p = data;
	uint32_t h = seed;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}
#define TARN__FNV32_BASIS 2166136261u

/* The same of 64 bits, for names of what is too long to be one. */
static inline uint64_t tarn__fnv64(const void *data, size_t size, uint64_t seed)
{
	const unsigned char *p = data;
	uint64_t h = seed;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return h;
}
#define TARN__FNV64_BASIS UINT64_C(14695981039346656037)

#endif /* TARN_BASE_BITS_H */
