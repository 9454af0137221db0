/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * read.c - read without entering: the version before, the bytes, the version after.
 *
 * A reader stores nothing, so it can die anywhere and work on a read-only mapping. What it reads
 * may be torn until the version has said otherwise; so addresses are checked against the region
 * before each copy.
 */
#include <errno.h>

#include "sync/section.h"

enum { TRIES = 64, YIELDS = 16 };
#define NAP_NS INT64_C(1000000)

/* Why seq is odd. */
static int why_odd(struct tarn_section *section)
{
	/* relaxed: one look */
	uint32_t seen = atomic_load_explicit(&section->shm->lock, memory_order_relaxed);
	uint32_t owner = seen & ~TARN__ID_FLAG;

	if (owner == LOCK_ASIDE)
		return -ENOTRECOVERABLE;
	if (owner != 0 && tarn__id_slot(owner) >= section->region->member_max)
		return -EUCLEAN; /* I2 */
	return owner == 0 || tarn__section_owned(section, seen) ? -EAGAIN : -EOWNERDEAD;
}

static uint32_t version_of(const struct tarn_section *section)
{
	/* V2 <- V1 in settle(): an even version comes with all that was made final by it */
	return atomic_load_explicit(&section->shm->seq, memory_order_acquire);
}

int tarn_section_read_begin(struct tarn_section *section, uint32_t *ret_version)
{
	uint32_t version = version_of(section);

	if ((version & 1) != 0)
		return why_odd(section);
	*ret_version = version;
	return 0;
}

static inline bool is_still(const struct tarn_section *section, uint32_t version)
{
	/* relaxed: ordered behind the acquire loads of load() and tarn__load_bytes() */
	return atomic_load_explicit(&section->shm->seq, memory_order_relaxed) == version;
}

bool tarn_section_read_valid(struct tarn_section *section, uint32_t version)
{
	return is_still(section, version);
}

static inline bool readable(const struct tarn_section *section, const void *from, size_t size)
{
	uint64_t off = (uint64_t)((uintptr_t)from - (uintptr_t)section->tx.pub.heap);

	if (TARN__LIKELY(tarn__inside(off, size, section->heap_size)))
		return true;
	/* The region may have grown since. */
	return tarn__inside(off, size, tarn__heap_size(section->region));
}

#if UINTPTR_MAX > 0xffffffffu
static inline void load_word(char *to, const char *from)
{
	/* V4 <- V3 in tarn__store_bytes() and the stores of <tarn/section.h> */
	uint64_t word = atomic_load_explicit((const _Atomic uint64_t *)(const void *)from,
					     memory_order_acquire);

	memcpy(to, &word, sizeof(word));
}

static inline void load_line(char *to, const char *from)
{
	load_word(to, from);
	load_word(to + 8, from + 8);
	load_word(to + 16, from + 16);
	load_word(to + 24, from + 24);
	load_word(to + 32, from + 32);
	load_word(to + 40, from + 40);
	load_word(to + 48, from + 48);
	load_word(to + 56, from + 56);
}
#endif

/* What is most of what is read: a few whole words. */
static inline void load(void *to, const void *from, size_t size)
{
#if UINTPTR_MAX > 0xffffffffu
	char *out = to;
	const char *in = from;

	if (TARN__LIKELY(((uintptr_t)from | size) % 8 == 0)) {
		for (; size >= 64; size -= 64, in += 64, out += 64)
			load_line(out, in);
		for (; size > 0; size -= 8, in += 8, out += 8)
			load_word(out, in);
		return;
	}
#endif
	tarn__load_bytes(to, from, size);
}

int tarn_section_load(struct tarn_section *section, void *ret_to, const void *from, size_t size)
{
	if (TARN__UNLIKELY(!readable(section, from, size)))
		return -EINVAL;
	load(ret_to, from, size);
	return 0;
}

/* Enter, and copy at leisure. */
static int read_inside(struct tarn_section *section, void *ret_to, const void *from, size_t size,
		       int64_t deadline)
{
	struct tarn_tx *tx;
	int r;

	if (tarn__tx_inside(section)) {
		tarn__load_bytes(ret_to, from, size);
		return 0;
	}
	r = tarn_section_enter(section, deadline, &tx, NULL);
	if (r < 0)
		return r;
	tarn__load_bytes(ret_to, from, size);
	return tarn_section_leave(section);
}

/* On a word of one's own: on the lock an observer could only catch a wake that is meant for a
 * member, and not say that it sleeps. */
static void nap(int64_t until)
{
	_Atomic uint32_t word = 0;

	(void)tarn__plat_futex_wait(&word, 0, until);
}

/* An observer cannot enter: it goes on looking. What a dead owner has left is mostly undone by
 * the next member at once: for that it waits a nap, no longer, since there may be no member. */
static int keep_looking(struct tarn_section *section, void *ret_to, const void *from, size_t size,
			int64_t deadline)
{
	uint32_t version = 0;
	int r = -EAGAIN;

	for (int looks = 0;; looks++) {
		int64_t now = tarn__plat_now();

		r = tarn_section_read_begin(section, &version);
		if (r == 0) {
			tarn__load_bytes(ret_to, from, size);
			if (is_still(section, version))
				return 0;
		} else if (r != -EAGAIN && (r != -EOWNERDEAD || looks > YIELDS)) {
			return r;
		}
		if (now >= deadline)
			return r == -EOWNERDEAD ? r : -ETIMEDOUT;
		if (looks < YIELDS)
			tarn__plat_yield();
		else
			nap(now + NAP_NS < deadline ? now + NAP_NS : deadline);
	}
}

/* After a first try that failed. */
__attribute__((noinline)) static int read_again(struct tarn_section *section, void *ret_to,
						const void *from, size_t size, int64_t deadline)
{
	uint32_t version;

	for (int i = 1; i < TRIES; i++) {
		tarn__plat_pause();
		version = version_of(section);
		if ((version & 1) != 0)
			continue;
		load(ret_to, from, size);
		if (is_still(section, version))
			return 0;
	}
	if (section->region->observer)
		return keep_looking(section, ret_to, from, size, deadline);
	return read_inside(section, ret_to, from, size, deadline);
}

int tarn_section_read(struct tarn_section *section, void *ret_to, const void *from, size_t size,
		      int64_t deadline)
{
	uint32_t version;

	if (TARN__UNLIKELY(!readable(section, from, size)))
		return -EINVAL;
	version = version_of(section);
	if (TARN__LIKELY((version & 1) == 0)) {
		load(ret_to, from, size);
		if (TARN__LIKELY(is_still(section, version)))
			return 0;
	}
	return read_again(section, ret_to, from, size, deadline);
}
