/* SPDX-License-Identifier: BSD-2-Clause */
/* copy.h - copies of messages: small ones without a call, large ones as the processor likes them.
 * Of what is nobody's but the caller's meanwhile. */
#ifndef TARN_FLOW_COPY_H
#define TARN_FLOW_COPY_H

#include <string.h>

#include "base/bits.h"

enum { COPY_SMALL = 64 }; /* bytes that are copied without a call */

struct half_word {
	uint32_t bytes;
};
struct word {
	uint64_t bytes;
};
struct two_words {
	uint64_t bytes[2];
};

/* The first bytes and the last ones, which overlap, or are the same, where there are less than two
 * of the kind. */
#define COPY_ENDS(kind, to, from, size)                                                            \
	do {                                                                                       \
		struct kind first_, last_;                                                         \
		memcpy(&first_, (from), sizeof(first_));                                           \
		memcpy(&last_, (from) + (size) - sizeof(last_), sizeof(last_));                    \
		memcpy((to), &first_, sizeof(first_));                                             \
		memcpy((to) + (size) - sizeof(last_), &last_, sizeof(last_));                      \
	} while (0)

static TARN__ALWAYS_INLINE void copy_small(unsigned char *to, const unsigned char *from,
					   size_t size)
{
	if (size > 32) {
		COPY_ENDS(two_words, to, from, size);
		COPY_ENDS(two_words, to + 16, from + 16, size - 32);
	} else if (size >= 16) {
		COPY_ENDS(two_words, to, from, size);
	} else if (size >= 8) {
		COPY_ENDS(word, to, from, size);
	} else if (size >= 4) {
		COPY_ENDS(half_word, to, from, size);
	} else if (size > 0) {
		to[0] = from[0];
		to[size / 2] = from[size / 2];
		to[size - 1] = from[size - 1];
	}
}

/* From 2 KiB on memcpy() is one string instruction, which AMD's processors make twenty times as
 * slow where the target lies so little further on in its page than the source in its own (Zen 3
 * and 4; glibc's bug 30994). In pieces it is not. */
enum {
	COPY_BY_STRING = 2048,
	COPY_PAGE = 4096,
	COPY_SLOW_FROM = 1,
	COPY_SLOW_TO = 31,
	COPY_PIECE = 1024,
};

static inline bool copies_slowly(const void *to, const void *from, size_t size)
{
	uintptr_t ahead = ((uintptr_t)to - (uintptr_t)from) % COPY_PAGE;

	return TARN__UNLIKELY(size >= COPY_BY_STRING) &&
	       ahead - COPY_SLOW_FROM <= COPY_SLOW_TO - COPY_SLOW_FROM;
}

/* In ring.c. */
void tarn__copy_pieces(void *to, const void *from, size_t size);

static TARN__ALWAYS_INLINE void copy(void *to, const void *from, size_t size)
{
	if (TARN__LIKELY(size <= COPY_SMALL))
		copy_small(to, from, size);
	else if (TARN__LIKELY(!copies_slowly(to, from, size)))
		memcpy(to, from, size);
	else
		tarn__copy_pieces(to, from, size);
}

#endif /* TARN_FLOW_COPY_H */
