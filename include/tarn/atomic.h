/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/atomic.h - single words of shared memory: counters, flags, bits, and sleeping on one.
 *
 * In C11 and C++17 alike, on plain uint32_t and uint64_t, which is what structs that are shared are
 * made of. A word is written by one instruction: no death leaves it half written, and there is
 * nothing to be held. More than one word that have to fit together need a section.
 *
 *     tarn_atomic_count64(&stats->sent, 1);
 *
 *     message->text = ...;                         a hand-over: what was stored before
 *     tarn_atomic_store32(&message->ready, 1);     ...
 *     while (tarn_atomic_load32(&message->ready) == 0)
 *             ...                                  is seen after
 *
 * Order: load acquires, store releases; whatever changes a word does both, and is one of a single
 * order with all others (seq_cst). Those that say relaxed, and count, order nothing else.
 *
 * Words are aligned to their size; on 32-bit x86 a struct's uint64_t is not by itself, so say
 * alignas(8), or TARN_ATOMIC_ALIGNED. That they need no lock is checked when this is compiled: on
 * 32-bit x86 it takes an i586 (-march=i586 or later), as every compiler of a distribution has it.
 *
 * Callers:   any thread of any process that maps the word.
 * Progress:  all but max, min, and wait are one instruction or a short loop that fails only where
 *            another succeeded. None makes a system call, but for wait and wake.
 * Crash:     each has happened, or has not. Who sleeps looks again every 10 ms, whoever was to wake
 *            it.
 * Trust:     members may store what they like there.
 */
#ifndef TARN_ATOMIC_H
#define TARN_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/base.h>

TARN_BEGIN_DECLS

#if !defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_4) || !defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_8)
#error "words of 32 and 64 bits need a lock here: see the head of tarn/atomic.h"
#endif

#define TARN_ATOMIC_ALIGNED __attribute__((__aligned__(8))) /* behind a uint64_t of a struct */

typedef uint32_t __attribute__((__may_alias__, __aligned__(4))) tarn__atomic32;
typedef uint64_t __attribute__((__may_alias__, __aligned__(8))) tarn__atomic64;

/* --- 32 bits ---------------------------------------------------------------------------------- */

/** tarn_atomic_load32 - the word; acquire. Since: 0.1 */
static inline uint32_t tarn_atomic_load32(const uint32_t *word)
{
	return __atomic_load_n((const tarn__atomic32 *)word, __ATOMIC_ACQUIRE);
}

/** tarn_atomic_load_relaxed32 - the word, and nothing else. Since: 0.1 */
static inline uint32_t tarn_atomic_load_relaxed32(const uint32_t *word)
{
	return __atomic_load_n((const tarn__atomic32 *)word, __ATOMIC_RELAXED);
}

/** tarn_atomic_store32 - make it @value; release. Since: 0.1 */
static inline void tarn_atomic_store32(uint32_t *word, uint32_t value)
{
	__atomic_store_n((tarn__atomic32 *)word, value, __ATOMIC_RELEASE);
}

/** tarn_atomic_store_relaxed32 - the same, and nothing else. Since: 0.1 */
static inline void tarn_atomic_store_relaxed32(uint32_t *word, uint32_t value)
{
	__atomic_store_n((tarn__atomic32 *)word, value, __ATOMIC_RELAXED);
}

/** tarn_atomic_exchange32 - make it @value. Return: what it was. Since: 0.1 */
static inline uint32_t tarn_atomic_exchange32(uint32_t *word, uint32_t value)
{
	return __atomic_exchange_n((tarn__atomic32 *)word, value, __ATOMIC_SEQ_CST);
}

/**
 * tarn_atomic_compare_exchange32 - make it @value if it is *@expected.
 * @expected: where it was not, what it was
 * Return: was it? Never false without reason. Where it was not: acquire.
 * Since: 0.1
 */
static inline bool tarn_atomic_compare_exchange32(uint32_t *word, uint32_t *expected,
						  uint32_t value)
{
	return __atomic_compare_exchange_n((tarn__atomic32 *)word, (tarn__atomic32 *)expected,
					   value, 0, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

/** tarn_atomic_fetch_add32 - add @value. Return: what it was. Since: 0.1 */
static inline uint32_t tarn_atomic_fetch_add32(uint32_t *word, uint32_t value)
{
	return __atomic_fetch_add((tarn__atomic32 *)word, value, __ATOMIC_SEQ_CST);
}

/** tarn_atomic_fetch_sub32 - take @value off. Return: what it was. Since: 0.1 */
static inline uint32_t tarn_atomic_fetch_sub32(uint32_t *word, uint32_t value)
{
	return __atomic_fetch_sub((tarn__atomic32 *)word, value, __ATOMIC_SEQ_CST);
}

/** tarn_atomic_fetch_or32 - set the bits @value. Return: what it was. Since: 0.1 */
static inline uint32_t tarn_atomic_fetch_or32(uint32_t *word, uint32_t value)
{
	return __atomic_fetch_or((tarn__atomic32 *)word, value, __ATOMIC_SEQ_CST);
}

/** tarn_atomic_fetch_and32 - leave the bits @value alone set. Return: what it was. Since: 0.1 */
static inline uint32_t tarn_atomic_fetch_and32(uint32_t *word, uint32_t value)
{
	return __atomic_fetch_and((tarn__atomic32 *)word, value, __ATOMIC_SEQ_CST);
}

/** tarn_atomic_count32 - add @value; relaxed: for figures. Since: 0.1 */
static inline void tarn_atomic_count32(uint32_t *word, uint32_t value)
{
	(void)__atomic_fetch_add((tarn__atomic32 *)word, value, __ATOMIC_RELAXED);
}

/** tarn_atomic_fetch_max32 - make it @value if that is more. Return: what it was. Since: 0.1 */
static inline uint32_t tarn_atomic_fetch_max32(uint32_t *word, uint32_t value)
{
	tarn__atomic32 old = __atomic_load_n((tarn__atomic32 *)word, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n((tarn__atomic32 *)word, &old, old < value ? value : old,
					    1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	return old;
}

/** tarn_atomic_fetch_min32 - make it @value if that is less. Return: what it was. Since: 0.1 */
static inline uint32_t tarn_atomic_fetch_min32(uint32_t *word, uint32_t value)
{
	tarn__atomic32 old = __atomic_load_n((tarn__atomic32 *)word, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n((tarn__atomic32 *)word, &old, old > value ? value : old,
					    1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	return old;
}

/** tarn_atomic_bit_set32 - set bit @bit. Return: was it set before? Since: 0.1 */
static inline bool tarn_atomic_bit_set32(uint32_t *word, unsigned bit)
{
	return (tarn_atomic_fetch_or32(word, (uint32_t)1 << bit) >> bit & 1) != 0;
}

/** tarn_atomic_bit_clear32 - clear it. Return: was it set? Since: 0.1 */
static inline bool tarn_atomic_bit_clear32(uint32_t *word, unsigned bit)
{
	return (tarn_atomic_fetch_and32(word, ~((uint32_t)1 << bit)) >> bit & 1) != 0;
}

/** tarn_atomic_bit32 - is it set? acquire. Since: 0.1 */
static inline bool tarn_atomic_bit32(const uint32_t *word, unsigned bit)
{
	return (tarn_atomic_load32(word) >> bit & 1) != 0;
}

/* --- 64 bits ---------------------------------------------------------------------------------- */

/** tarn_atomic_load64 - the word; acquire. Since: 0.1 */
static inline uint64_t tarn_atomic_load64(const uint64_t *word)
{
	return __atomic_load_n((const tarn__atomic64 *)word, __ATOMIC_ACQUIRE);
}

/** tarn_atomic_load_relaxed64 - the word, and nothing else. Since: 0.1 */
static inline uint64_t tarn_atomic_load_relaxed64(const uint64_t *word)
{
	return __atomic_load_n((const tarn__atomic64 *)word, __ATOMIC_RELAXED);
}

/** tarn_atomic_store64 - make it @value; release. Since: 0.1 */
static inline void tarn_atomic_store64(uint64_t *word, uint64_t value)
{
	__atomic_store_n((tarn__atomic64 *)word, value, __ATOMIC_RELEASE);
}

/** tarn_atomic_store_relaxed64 - the same, and nothing else. Since: 0.1 */
static inline void tarn_atomic_store_relaxed64(uint64_t *word, uint64_t value)
{
	__atomic_store_n((tarn__atomic64 *)word, value, __ATOMIC_RELAXED);
}

/** tarn_atomic_exchange64 - make it @value. Return: what it was. Since: 0.1 */
static inline uint64_t tarn_atomic_exchange64(uint64_t *word, uint64_t value)
{
	return __atomic_exchange_n((tarn__atomic64 *)word, value, __ATOMIC_SEQ_CST);
}

/**
 * tarn_atomic_compare_exchange64 - make it @value if it is *@expected.
 * @expected: where it was not, what it was
 * Return: was it? Never false without reason. Where it was not: acquire.
 * Since: 0.1
 */
static inline bool tarn_atomic_compare_exchange64(uint64_t *word, uint64_t *expected,
						  uint64_t value)
{
	return __atomic_compare_exchange_n((tarn__atomic64 *)word, (tarn__atomic64 *)expected,
					   value, 0, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

/** tarn_atomic_fetch_add64 - add @value. Return: what it was. Since: 0.1 */
static inline uint64_t tarn_atomic_fetch_add64(uint64_t *word, uint64_t value)
{
	return __atomic_fetch_add((tarn__atomic64 *)word, value, __ATOMIC_SEQ_CST);
}

/** tarn_atomic_fetch_sub64 - take @value off. Return: what it was. Since: 0.1 */
static inline uint64_t tarn_atomic_fetch_sub64(uint64_t *word, uint64_t value)
{
	return __atomic_fetch_sub((tarn__atomic64 *)word, value, __ATOMIC_SEQ_CST);
}

/** tarn_atomic_fetch_or64 - set the bits @value. Return: what it was. Since: 0.1 */
static inline uint64_t tarn_atomic_fetch_or64(uint64_t *word, uint64_t value)
{
	return __atomic_fetch_or((tarn__atomic64 *)word, value, __ATOMIC_SEQ_CST);
}

/** tarn_atomic_fetch_and64 - leave the bits @value alone set. Return: what it was. Since: 0.1 */
static inline uint64_t tarn_atomic_fetch_and64(uint64_t *word, uint64_t value)
{
	return __atomic_fetch_and((tarn__atomic64 *)word, value, __ATOMIC_SEQ_CST);
}

/** tarn_atomic_count64 - add @value; relaxed: for figures. Since: 0.1 */
static inline void tarn_atomic_count64(uint64_t *word, uint64_t value)
{
	(void)__atomic_fetch_add((tarn__atomic64 *)word, value, __ATOMIC_RELAXED);
}

/** tarn_atomic_fetch_max64 - make it @value if that is more. Return: what it was. Since: 0.1 */
static inline uint64_t tarn_atomic_fetch_max64(uint64_t *word, uint64_t value)
{
	tarn__atomic64 old = __atomic_load_n((tarn__atomic64 *)word, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n((tarn__atomic64 *)word, &old, old < value ? value : old,
					    1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	return old;
}

/** tarn_atomic_fetch_min64 - make it @value if that is less. Return: what it was. Since: 0.1 */
static inline uint64_t tarn_atomic_fetch_min64(uint64_t *word, uint64_t value)
{
	tarn__atomic64 old = __atomic_load_n((tarn__atomic64 *)word, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n((tarn__atomic64 *)word, &old, old > value ? value : old,
					    1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	return old;
}

/** tarn_atomic_bit_set64 - set bit @bit. Return: was it set before? Since: 0.1 */
static inline bool tarn_atomic_bit_set64(uint64_t *word, unsigned bit)
{
	return (tarn_atomic_fetch_or64(word, (uint64_t)1 << bit) >> bit & 1) != 0;
}

/** tarn_atomic_bit_clear64 - clear it. Return: was it set? Since: 0.1 */
static inline bool tarn_atomic_bit_clear64(uint64_t *word, unsigned bit)
{
	return (tarn_atomic_fetch_and64(word, ~((uint64_t)1 << bit)) >> bit & 1) != 0;
}

/** tarn_atomic_bit64 - is it set? acquire. Since: 0.1 */
static inline bool tarn_atomic_bit64(const uint64_t *word, unsigned bit)
{
	return (tarn_atomic_load64(word) >> bit & 1) != 0;
}

/* --- sleep ------------------------------------------------------------------------------------ */

/**
 * tarn_atomic_wait - sleep while *@word is @value. It looks at least every 10 ms, so one that was
 * to wake it and died, or never does, costs that. acquire.
 * @word: in memory of any kind; who shares it by another mapping wakes it too
 *
 * Return: 0, it is another value now, or
 *   -ETIMEDOUT  it was still @value when @deadline had passed
 *   -EINVAL     @word is not aligned
 *   -EFAULT     there is no memory any more
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_atomic_wait(const uint32_t *word, uint32_t value,
					     int64_t deadline);

/**
 * tarn_atomic_wake - wake up to @count of those who sleep on @word, after it was changed. Costs a
 * system call, whether somebody sleeps or not; where that matters see <tarn/event.h>.
 * Return: how many, or -EINVAL, -EFAULT as above.
 * Since: 0.1
 */
TARN_API int tarn_atomic_wake(const uint32_t *word, int count);

TARN_END_DECLS

#endif /* TARN_ATOMIC_H */
