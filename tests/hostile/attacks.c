/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attacks.c - what a peer with write access can do to the file under a region.
 *
 * Scribbling is biased to where it hurts: words that are looked at in every call (locks, states,
 * indices, record headers) are a small part of the bytes. Values are what breaks arithmetic:
 * 0, all ones, neighbours of what is there, powers of two, and words copied from elsewhere in the
 * region, which are valid in the wrong place; at times the checksum is made to fit. Every now and
 * then the first image is put back, so that victims get past their first check again.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

enum {
	PAGE = 4096,
	HOT_AREAS = 11,
	STRUCT_WORDS = 128 + 128 + 800,         /* header, struct, description */
	SECTIONS = 2 * (384 + 320) + 384 + 512, /* the third one's journal is longer */
	ARENA_TABLES = 1216 + 64 + 4 * 64,      /* headers, lists, heads, metas of four pages */
	EXTENT_TABLES = 64 + 64 + 4 * 64,
	LOG_HEADER = 192,
	LOG_WORDS = LOG_HEADER + 1024,
	MAP_WORDS = 128,
	RING_HEADER = 320,
	ENTRY_SIZE = 128,
	LINE = 64,
	CALL_CLIENTS = 64 * LINE, /* from the places of servers to those of clients */
	CALL_RECORDS = 2432,      /* in a pair; its rings have 1 KiB each */
	CALL_PAIR = CALL_RECORDS + 2048
};

struct peer {
	struct hostile_arena *arena;
	unsigned char *map;
	uint64_t random;
};

static void pause_ns(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

static unsigned char *map_file(struct hostile_arena *arena)
{
	void *map = mmap(NULL, arena->size, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);

	if (map == MAP_FAILED)
		_exit(1);
	return map;
}

/* An offset in one of the areas, each as likely as the others: superblock, its changing words,
 * directory and members, the heap's first bytes with the ring's header, the sections, the arena's
 * tables, those of what it grew by, what listens, the struct with its description, anywhere. */
static size_t choose_offset(struct peer *peer)
{
	uint64_t r = hostile_random(&peer->random);
	size_t size = peer->arena->size, heap = 3 * PAGE;

	switch (r % HOT_AREAS) {
	case 0:
		return (size_t)(r >> 8) % 192;
	case 1:
		return (128 + (size_t)(r >> 8) % 20) & ~(size_t)3;
	case 2:
		return PAGE + (size_t)(r >> 8) % (2 * PAGE);
	case 3:
		return (heap + (size_t)(r >> 8) % PAGE) & ~(size_t)3;
	case 4:
		return hostile_find_section(peer->arena) + ((size_t)(r >> 8) % SECTIONS);
	case 5:
		return hostile_find_arena(peer->arena) + ((size_t)(r >> 8) % ARENA_TABLES);
	case 6:
		return hostile_find_extent(peer->arena) + ((size_t)(r >> 8) % EXTENT_TABLES);
	case 7: /* without listeners this is the superblock again */
		return hostile_find_log(peer->arena) + ((size_t)(r >> 8) % LOG_WORDS);
	case 8:
		return hostile_find_map(peer->arena) + ((size_t)(r >> 8) % MAP_WORDS);
	case 9:
		return hostile_find_struct(peer->arena) + ((size_t)(r >> 8) % STRUCT_WORDS);
	default:
		return (size_t)(r >> 8) % size;
	}
}

static uint64_t load_word(const struct peer *peer, size_t off)
{
	uint64_t word = 0;
	size_t left = peer->arena->size - off;

	memcpy(&word, peer->map + off, left < 8 ? left : 8);
	return word;
}

static uint64_t choose_value(struct peer *peer, size_t off)
{
	uint64_t r = hostile_random(&peer->random);

	switch (r % 9) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return load_word(peer, off) + 1;
	case 3:
		return load_word(peer, off) - 1;
	case 4:
		return UINT64_C(1) << ((r >> 8) % 64);
	case 5:
		return load_word(peer, off) ^ UINT64_C(1) << ((r >> 8) % 64);
	case 6:
		return load_word(peer, choose_offset(peer));
	case 7:
		return (r >> 8) % 4096;
	default:
		return r;
	}
}

static void scribble_at(struct peer *peer, size_t off)
{
	size_t left;
	uint64_t value = choose_value(peer, off);
	uint64_t r = hostile_random(&peer->random);
	size_t width = (size_t)1 << (r % 4); /* 1, 2, 4 or 8 bytes */

	if (width > 2)
		off &= ~(width - 1);
	left = peer->arena->size - off;
	memcpy(peer->map + off, &value, width < left ? width : left);
}

/* FNV-1a, as design/format.md has it. */
static uint32_t checksum(const unsigned char *bytes, size_t size)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

/* Words that a checksum covers, and where it stands. */
struct covered {
	size_t first, last, check;
};

static struct covered choose_covered(struct peer *peer)
{
	uint64_t r = hostile_random(&peer->random);
	size_t base;

	switch (r % 8) {
	case 0:
		base = hostile_find_ring(peer->arena);
		return (struct covered){ base, base + 20, base + 20 };
	case 1:
		base = hostile_find_arena(peer->arena);
		return (struct covered){ base, base + 36, base + 36 };
	case 2:
		base = hostile_find_extent(peer->arena);
		return (struct covered){ base, base + 24, base + 24 };
	default:
		base = PAGE + (r >> 8) % 16 * ENTRY_SIZE;
		return (struct covered){ base + 8, base + ENTRY_SIZE, base + 4 };
	}
}

/* Change a directory entry or a header, and make its checksum fit, as one who knows the format
 * can. */
static void forge(struct peer *peer, struct covered covered)
{
	size_t words = (covered.last - covered.first) / 4;
	size_t off = covered.first + hostile_random(&peer->random) % (words < 8 ? words : 8) * 4;
	uint32_t value = (uint32_t)choose_value(peer, off), sum;

	memcpy(peer->map + off, &value, sizeof(value));
	sum = checksum(peer->map + covered.first, covered.last - covered.first);
	memcpy(peer->map + covered.check, &sum, sizeof(sum));
}

/* Put back the first image, whole or one page of it. */
static void restore(struct peer *peer, bool whole)
{
	size_t size = peer->arena->size, off = 0;

	if (!whole) {
		off = hostile_random(&peer->random) % (size / PAGE) * PAGE;
		size = size - off < PAGE ? size - off : PAGE;
	}
	memcpy(peer->map + off, peer->arena->image + off, size);
}

void attack_scribble(struct hostile_arena *arena)
{
	struct peer peer = { arena, map_file(arena), arena->seed * 2654435761u + 1 };

	for (;;) {
		uint64_t r = hostile_random(&peer.random);
		unsigned burst = 1u << (r % 8);

		for (unsigned i = 0; i < burst; i++)
			scribble_at(&peer, choose_offset(&peer));
		if ((r >> 50) % 4 == 0)
			forge(&peer, choose_covered(&peer));
		atomic_fetch_add(&arena->shared->attacks, burst);
		if ((r >> 8) % 4 == 0)
			pause_ns((long)((r >> 16) % 200000));
		if ((r >> 40) % 16 == 0)
			restore(&peer, (r >> 44) % 4 != 0);
	}
}

/* Where a service or its rings lie now, for whoever has made them last; 0: nowhere. */
static size_t find_calls(struct peer *peer, bool *ret_service)
{
	size_t lines = peer->arena->size / LINE;
	size_t at = hostile_random(&peer->random) % lines;

	for (size_t i = 0; i < lines; i++, at = at + 1 < lines ? at + 1 : 0) {
		const unsigned char *found = peer->map + at * LINE;

		*ret_service = memcmp(found, "Serv", 4) == 0;
		if (*ret_service || memcmp(found, "Bund", 4) == 0)
			return at * LINE;
	}
	return 0;
}

/* Of a service mostly the first places, of rings mostly sides, positions and what is cancelled of
 * each pair; of both at times anything. */
static size_t choose_call(struct peer *peer, size_t base, bool service)
{
	uint64_t r = hostile_random(&peer->random);
	size_t off = base + LINE;

	if (r % 8 == 0)
		off += (r >> 8) % (CALL_PAIR * 4);
	else if (service)
		off += (r >> 8) % 3 * CALL_CLIENTS / 2 + (r >> 20) % (6 * LINE);
	else
		off += (r >> 8) % 4 * CALL_PAIR +
		       (r % 8 < 5 ? (r >> 20) % 400 : CALL_RECORDS + (r >> 20) % 2048);
	return off < peer->arena->size ? off : base + LINE;
}

/* Services and their rings alone, wherever they are, so that there is somebody to call. */
void attack_calls(struct hostile_arena *arena)
{
	struct peer peer = { arena, map_file(arena), arena->seed * 2654435761u + 1 };

	for (;;) {
		uint64_t r = hostile_random(&peer.random);
		bool service;
		size_t base = find_calls(&peer, &service);

		for (unsigned i = 0; base != 0 && i < 1u << (r % 4); i++)
			scribble_at(&peer, choose_call(&peer, base, service));
		if (base != 0 && (r >> 50) % 256 == 0)
			forge(&peer, (struct covered){ base, base + (service ? 24 : 16),
						       base + (service ? 24 : 16) });
		atomic_fetch_add(&arena->shared->attacks, 1);
		pause_ns((long)((r >> 16) % 100000));
	}
}

/* Mostly what is logged; at times the words before it, and the map. */
static size_t choose_listener(struct peer *peer, size_t log, size_t map)
{
	uint64_t r = hostile_random(&peer->random);

	switch (r % 64) {
	case 0:
		return log + (r >> 8) % LOG_HEADER;
	case 1:
		return map + (r >> 8) % MAP_WORDS;
	default:
		return log + LOG_HEADER + (r >> 8) % (LOG_WORDS - LOG_HEADER);
	}
}

/* What listens alone, so that sections are left often and there is something to follow. */
void attack_listeners(struct hostile_arena *arena)
{
	struct peer peer = { arena, map_file(arena), arena->seed * 2654435761u + 1 };
	size_t log = hostile_find_log(arena), map = hostile_find_map(arena);

	for (;;) {
		uint64_t r = hostile_random(&peer.random), burst = 1 + r % 32;

		for (uint64_t i = 0; i < burst; i++)
			scribble_at(&peer, choose_listener(&peer, log, map));
		if ((r >> 8) % 64 == 0)
			forge(&peer, (struct covered){ log, log + 16, log + 16 });
		if ((r >> 8) % 64 == 1)
			forge(&peer, (struct covered){ map, map + 12, map + 12 });
		atomic_fetch_add(&arena->shared->attacks, burst);
		pause_ns((long)((r >> 16) % 100000));
		if ((r >> 40) % 8 == 0) {
			memcpy(peer.map + log, arena->image + log, LOG_HEADER);
			memcpy(peer.map + map, arena->image + map, MAP_WORDS);
		}
	}
}

void attack_truncate(struct hostile_arena *arena)
{
	uint64_t random = arena->seed * 2654435761u + 1;
	const off_t full = (off_t)arena->size;

	for (;;) {
		uint64_t r = hostile_random(&random);
		off_t to = r % 3 == 0 ? 0 : (off_t)((r >> 8) % (uint64_t)full);

		(void)!ftruncate(arena->fd, to);
		atomic_fetch_add(&arena->shared->attacks, 1);
		pause_ns((long)((r >> 24) % 2000000));
		(void)!ftruncate(arena->fd, full);
		(void)!pwrite(arena->fd, arena->image, arena->size, 0);
		pause_ns((long)((r >> 44) % 1000000));
	}
}

void attack_punch(struct hostile_arena *arena)
{
	uint64_t random = arena->seed * 2654435761u + 1;

	for (;;) {
		uint64_t r = hostile_random(&random);
		off_t page = (off_t)((r >> 8) % (arena->size / PAGE));

		(void)fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE,
				PAGE);
		atomic_fetch_add(&arena->shared->attacks, 1);
		pause_ns((long)((r >> 24) % 500000));
		if ((r >> 44) % 4 == 0)
			(void)!pwrite(arena->fd, arena->image, arena->size, 0);
	}
}

/*
 * With read access alone: move everybody who sleeps on a word of the ring's header over to a word
 * where nobody will ever wake them.
 */
void attack_requeue(struct hostile_arena *arena)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", arena->fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char *map = mmap(NULL, arena->size, PROT_READ, MAP_SHARED, fd, 0);

	if (fd < 0 || map == MAP_FAILED)
		_exit(1);
	uint32_t *words = (uint32_t *)(void *)(map + hostile_find_ring(arena));
	uint32_t *nowhere = (uint32_t *)(void *)(map + arena->size - 4);

	for (;;) {
		for (size_t i = 0; i < RING_HEADER / 4; i++)
			(void)syscall(SYS_futex, &words[i], FUTEX_REQUEUE, 0, (long)INT_MAX,
				      nowhere, 0);
		atomic_fetch_add(&arena->shared->attacks, RING_HEADER / 4);
		sched_yield();
	}
}

/* Single words, and those who sleep on them: woken for nothing, or moved away. */
void attack_words(struct hostile_arena *arena)
{
	struct peer peer = { arena, map_file(arena), arena->seed * 2654435761u + 1 };
	size_t first = hostile_find_words(arena) + HOSTILE_WORDS_AT, last = arena->size - 4;
	uint32_t *words = (uint32_t *)(void *)(peer.map + first);
	uint32_t *nowhere = (uint32_t *)(void *)(peer.map + last);

	for (;;) {
		uint64_t r = hostile_random(&peer.random), burst = 1 + r % 16;

		for (uint64_t i = 0; i < burst; i++)
			scribble_at(&peer, first + hostile_random(&peer.random) %
							   (HOSTILE_WORDS_SIZE - 8));
		if ((r >> 8) % 4 == 0)
			(void)syscall(SYS_futex, &words[(r >> 16) % 16], FUTEX_WAKE, 1, NULL, NULL,
				      0);
		if ((r >> 8) % 4 == 1)
			(void)syscall(SYS_futex, &words[(r >> 16) % 16], FUTEX_REQUEUE, 0,
				      (long)INT_MAX, nowhere, 0);
		atomic_fetch_add(&arena->shared->attacks, burst);
		pause_ns((long)((r >> 24) % 300000));
	}
}
