/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bytes.c - copy into and out of a region beside optimistic readers.
 *
 * A reader that does not enter reads what others are storing, and finds out afterwards. So both
 * sides use atomic accesses, as wide as a place allows; a copy of many words is torn only
 * between words, and the version tells. See V3 and V4 in section.h.
 */
#include "sync/section.h"

/* The widest word that every supported machine stores in one access without a library call. */
#if UINTPTR_MAX > 0xffffffffu
typedef uint64_t word_t;
#else
typedef uint32_t word_t;
#endif

static void store_byte(unsigned char *to, unsigned char value)
{
	/* V3 -> V4 in load_byte() */
	atomic_store_explicit((_Atomic unsigned char *)to, value, memory_order_release);
}

static unsigned char load_byte(const unsigned char *from)
{
	/* V4 <- V3 in store_byte(): a byte of a tx comes with its odd seq */
	return atomic_load_explicit((const _Atomic unsigned char *)from, memory_order_acquire);
}

static bool aligned(const void *p)
{
	return (uintptr_t)p % sizeof(word_t) == 0;
}

void tarn__store_bytes(void *to, const void *from, size_t size)
{
	unsigned char *out = to;
	const unsigned char *in = from;

	for (; size > 0 && !aligned(out); size--)
		store_byte(out++, *in++);
	for (; size >= sizeof(word_t); size -= sizeof(word_t)) {
		word_t word;

		memcpy(&word, in, sizeof(word));
		/* V3 -> V4 in tarn__load_bytes() */
		atomic_store_explicit((_Atomic word_t *)(void *)out, word, memory_order_release);
		in += sizeof(word);
		out += sizeof(word);
	}
	for (; size > 0; size--)
		store_byte(out++, *in++);
}

void tarn__load_bytes(void *to, const void *from, size_t size)
{
	unsigned char *out = to;
	const unsigned char *in = from;

	for (; size > 0 && !aligned(in); size--)
		*out++ = load_byte(in++);
	for (; size >= sizeof(word_t); size -= sizeof(word_t)) {
		/* V4 <- V3 in tarn__store_bytes() and the stores of <tarn/section.h> */
		word_t word = atomic_load_explicit((const _Atomic word_t *)(const void *)in,
						   memory_order_acquire);

		memcpy(out, &word, sizeof(word));
		in += sizeof(word);
		out += sizeof(word);
	}
	for (; size > 0; size--)
		*out++ = load_byte(in++);
}

struct tarn_tx_entry tarn__load_unit(const struct tarn_tx_entry *unit)
{
	const _Atomic uint32_t *words = (const _Atomic uint32_t *)(const void *)unit;
	uint32_t copy[SECTION_UNIT / 4];
	struct tarn_tx_entry entry;

	for (size_t i = 0; i < SECTION_UNIT / 4; i++) /* relaxed: nobody writes, or a hostile one */
		copy[i] = atomic_load_explicit(&words[i], memory_order_relaxed);
	memcpy(&entry, copy, sizeof(entry));
	return entry;
}
