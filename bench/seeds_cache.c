/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeds_cache.c - what a load costs: by how much memory is walked, in which order, and on which
 * pages.
 *
 * A chase goes through all lines of some memory in one random cycle, where each line says which is
 * the next: no load can begin before the one before it has ended, and no prefetcher guesses it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include <tarn/segment.h>

#include "seeds_cache.h"

enum { LINE = 64, SMALL_PAGE = 4096, LARGE_PAGE = 2 << 20 };

uint64_t seeds_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* --- chases -------------------------------------------------------------------------------- */

void seeds_chase_make(void *data, size_t size)
{
	uint32_t count = (uint32_t)(size / LINE);
	unsigned char *lines = data;
	uint64_t state = 1;

	for (uint32_t i = 0; i < count; i++)
		memcpy(lines + (uint64_t)i * LINE, &i, 4);
	/* Sattolo's shuffle: one cycle through all of them. */
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(seeds_random(&state) % i), a, b;

		memcpy(&a, lines + (uint64_t)i * LINE, 4);
		memcpy(&b, lines + (uint64_t)j * LINE, 4);
		memcpy(lines + (uint64_t)i * LINE, &b, 4);
		memcpy(lines + (uint64_t)j * LINE, &a, 4);
	}
}

double seeds_chase(const void *data, size_t size, uint64_t steps)
{
	const unsigned char *lines = data;
	uint64_t count = size / LINE;
	uint32_t at = 0;

	/* Small memory is walked once before, and in whole turns: it must end where it began. */
	if (count <= steps) {
		steps -= steps % count;
		for (uint64_t i = 0; i < count; i++)
			memcpy(&at, lines + (uint64_t)at * LINE, 4);
		if (at != 0)
			seeds_die("the cycle of a chase is broken", 0);
	}
	int64_t began = tarn_now();

	for (uint64_t i = 0; i < steps; i++)
		memcpy(&at, lines + (uint64_t)at * LINE, 4);
	seeds_keep(at);
	int64_t took = tarn_now() - began;

	if (at >= count || (count <= steps && at != 0))
		seeds_die("the cycle of a chase is broken", 0);
	return (double)took / (double)steps;
}

/* --- caches -------------------------------------------------------------------------------- */

bool seeds_read_word(const char *path, char ret_word[SEEDS_WORD])
{
	FILE *file = fopen(path, "re");
	int got = file != NULL ? fscanf(file, "%31s", ret_word) : 0;

	if (file != NULL)
		fclose(file);
	return got == 1;
}

/* Bytes of the data or unified cache of @level of processor 0; 0: the kernel does not say. */
static uint64_t cache_bytes(unsigned long level)
{
	for (int i = 0; i < 8; i++) {
		static const char *const names[] = { "level", "type", "size" };
		char path[96], words[3][SEEDS_WORD], *unit;
		bool known = true;

		for (int k = 0; k < 3; k++) {
			snprintf(path, sizeof(path),
				 "/sys/devices/system/cpu/cpu0/cache/index%d/%s", i, names[k]);
			known = known && seeds_read_word(path, words[k]);
		}
		if (!known || strtoul(words[0], NULL, 10) != level ||
		    strcmp(words[1], "Instruction") == 0)
			continue;
		uint64_t size = strtoull(words[2], &unit, 10);

		return *unit == 'M' ? size << 20 : *unit == 'K' ? size << 10 : size;
	}
	return 0;
}

struct level {
	enum seeds_fig ns, bytes;
	size_t size; /* of what is walked; 0 = unknown cache */
	uint64_t steps;
	void *data;
};

static void *map_walk(size_t size, bool huge)
{
	void *data = huge ? seeds_map_thp(size) : seeds_map(size);

	if (data != NULL)
		seeds_chase_make(data, size);
	return data;
}

static void find_levels(struct seeds_run *run, struct level levels[4], size_t *ret_memory)
{
	uint64_t sizes[3];

	for (int i = 0; i < 3; i++) {
		sizes[i] = cache_bytes((unsigned long)i + 1);
		levels[i].size = (size_t)(sizes[i] / 2);
		if (sizes[i] == 0) {
			seeds_lack(run, levels[i].ns, "the kernel does not say how large it is");
			seeds_lack(run, levels[i].bytes, "the kernel does not say how large it is");
		} else {
			seeds_put(run, levels[i].bytes, (double)sizes[i]);
		}
	}
	*ret_memory = seeds_size(run, run->quick ? 128 << 20 : 256 << 20, 0.125);
	if (sizes[2] > 0 && *ret_memory < 2 * sizes[2])
		seeds_note(
			run, SEEDS_FIG_RAM_NS,
			"scaled down: only %u MiB of memory were walked, for want of free memory",
			(unsigned)(*ret_memory >> 20));
}

void seeds_caches(struct seeds_run *run)
{
	struct level levels[] = {
		{ SEEDS_FIG_L1_NS, SEEDS_FIG_L1_BYTES, 0, 1000000, NULL },
		{ SEEDS_FIG_L2_NS, SEEDS_FIG_L2_BYTES, 0, 1000000, NULL },
		{ SEEDS_FIG_L3_NS, SEEDS_FIG_L3_BYTES, 0, 500000, NULL },
		{ SEEDS_FIG_RAM_NS, SEEDS_FIG_COUNT, 0, 200000, NULL },
	};
	size_t memory;

	seeds_pin(run, 0);
	find_levels(run, levels, &memory);
	levels[3].size = memory;
	for (int i = 0; i < 4; i++)
		if (levels[i].size > 0)
			levels[i].data = map_walk(levels[i].size, false);
	void *huge = map_walk(memory, true);

	if (huge == NULL)
		seeds_lack(run, SEEDS_FIG_RAM_HUGE_NS,
			   "the kernel gives no transparent huge pages");
	for (uint32_t round = 0; round < run->rounds; round++) {
		for (int i = 0; i < 4; i++)
			if (levels[i].data != NULL)
				seeds_put(run, levels[i].ns,
					  seeds_chase(levels[i].data, levels[i].size,
						      levels[i].steps));
		if (huge != NULL)
			seeds_put(run, SEEDS_FIG_RAM_HUGE_NS, seeds_chase(huge, memory, 200000));
	}
}

/* --- order --------------------------------------------------------------------------------- */

/* Sum of one word of each of 2^@bits lines, in order or each once in an order that looks random;
 * ns a line. */
static double sum_lines(const unsigned char *lines, unsigned bits, bool random, uint64_t *ret_sum)
{
	uint64_t count = UINT64_C(1) << bits, mask = count - 1, at = 0, sum = 0;
	int64_t began = tarn_now();

	for (uint64_t i = 0; i < count; i++) {
		uint64_t word;

		/* Full period for any power of two. */
		at = random ? (at * 1664525 + 1013904223) & mask : i;
		memcpy(&word, lines + at * LINE, 8);
		sum += word;
	}
	*ret_sum = sum;
	return (double)(tarn_now() - began) / (double)count;
}

void seeds_order(struct seeds_run *run)
{
	enum { BITS = 20, SMALL_BITS = 8 }; /* 64 MB, and 16 KB */
	unsigned bits = seeds_size(run, (uint64_t)LINE << BITS, 0.25) < (uint64_t)LINE << BITS
				? BITS - 3
				: BITS;
	unsigned char *lines = seeds_map((uint64_t)LINE << bits);
	uint64_t sums[2], ignored;

	seeds_pin(run, 0);
	if (bits < BITS)
		seeds_note(run, SEEDS_FIG_ORDER_RANDOM, "scaled down to 8 MiB");
	for (uint64_t i = 0; i < UINT64_C(1) << bits; i++)
		memcpy(lines + i * LINE, &i, 8);
	for (uint32_t round = 0; round < run->rounds; round++) {
		double sequential = sum_lines(lines, bits, false, &sums[0]);
		double random = sum_lines(lines, bits, true, &sums[1]);
		double small = 0;

		if (sums[0] != sums[1])
			seeds_die("the same lines have another sum", 0);
		for (int i = 0; i < 200; i++)
			small += sum_lines(lines, SMALL_BITS, true, &ignored) / 200;
		seeds_keep(ignored);
		seeds_put(run, SEEDS_FIG_ORDER_SEQUENTIAL, sequential);
		seeds_put(run, SEEDS_FIG_ORDER_RANDOM, random);
		seeds_put(run, SEEDS_FIG_ORDER_RATIO, random / sequential);
		seeds_put(run, SEEDS_FIG_ORDER_LARGE, random / small);
	}
}

/* --- pages --------------------------------------------------------------------------------- */

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* What is touched is one byte of each 4 KB. */
static long touch(unsigned char *data, size_t size, double *ret_ns)
{
	long before = faults();
	int64_t began = tarn_now();

	for (uint64_t at = 0; at < size; at += SMALL_PAGE)
		data[at] = 1;
	seeds_keep(0);
	*ret_ns = (double)(tarn_now() - began) / (double)(size / SMALL_PAGE);
	return faults() - before;
}

void *seeds_map_thp(size_t size)
{
	size_t all = size + LARGE_PAGE;
	double ns;
	unsigned char *data = mmap(NULL, all, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (data == MAP_FAILED)
		return NULL;
	data += (LARGE_PAGE - (uintptr_t)data % LARGE_PAGE) % LARGE_PAGE;
	if (madvise(data, size, MADV_HUGEPAGE) != 0)
		return NULL;
	return (uint64_t)touch(data, size, &ns) <= 8 * (size / LARGE_PAGE) ? data : NULL;
}

/* Each address depends on what was read before; all bytes but the first of a page are 0. */
static double random_reads(const unsigned char *data, size_t size)
{
	enum { READS = 300000 };
	uint64_t state = 1, last = 0;
	int64_t began = tarn_now();

	for (int i = 0; i < READS; i++) {
		state += last;
		last = data[(seeds_random(&state) * SMALL_PAGE + 64) % size];
	}
	seeds_keep(last);
	if (last != 0)
		seeds_die("what was read is not what was written", 0);
	return (double)(tarn_now() - began) / READS;
}

struct pages {
	double touch_ns, read_ns;
	long faults;
};

static struct pages measure(unsigned char *data, size_t size)
{
	struct pages pages;

	pages.faults = touch(data, size, &pages.touch_ns);
	pages.read_ns = random_reads(data, size);
	return pages;
}

static bool with_segment(size_t size, uint32_t kind, struct pages *ret_pages)
{
	const struct tarn_segment_opts opts = {
		.size = size,
		.pages = kind,
		.flags = (kind == TARN_PAGES_2M ? 0 : TARN_SEGMENT_LAZY) | TARN_SEGMENT_PAGES_MUST,
	};
	struct tarn_segment *seg = NULL;

	if (tarn_segment_create("anon:", &opts, &seg) < 0)
		return false;
	*ret_pages = measure(tarn_segment_data(seg), size);
	tarn_segment_close(seg);
	return true;
}

/* What the kernel takes for pages of 2 MB when none are set aside and shared memory may have none:
 * private memory, whose pages a translation covers just the same. */
static bool with_private(size_t size, struct pages *ret_pages)
{
	size_t all = size + LARGE_PAGE;
	unsigned char *map =
		mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return false;
	unsigned char *data = map + (LARGE_PAGE - (uintptr_t)map % LARGE_PAGE) % LARGE_PAGE;
	bool got = madvise(data, size, MADV_HUGEPAGE) == 0;

	if (got)
		*ret_pages = measure(data, size);
	munmap(map, all);
	return got && (uint64_t)ret_pages->faults <= 8 * (size / LARGE_PAGE);
}

/* The best that can be had without a change to the host: 2 = set aside, 1 = transparent, shared,
 * 0 = transparent, private; -1 = none. */
static int large_kind(size_t size)
{
	struct pages ignored;

	if (with_segment(size, TARN_PAGES_2M, &ignored))
		return 2;
	if (with_segment(size, TARN_PAGES_THP, &ignored) &&
	    (uint64_t)ignored.faults <= 8 * (size / LARGE_PAGE))
		return 1;
	return with_private(size, &ignored) ? 0 : -1;
}

static bool large(size_t size, int kind, struct pages *ret_pages)
{
	if (kind == 0)
		return with_private(size, ret_pages);
	return with_segment(size, kind == 2 ? TARN_PAGES_2M : TARN_PAGES_THP, ret_pages);
}

static void put_pages(struct seeds_run *run, const struct pages *small, const struct pages *big)
{
	seeds_put(run, SEEDS_FIG_PAGES_READ_4K, small->read_ns);
	seeds_put(run, SEEDS_FIG_PAGES_TOUCH_4K, small->touch_ns);
	if (big == NULL)
		return;
	seeds_put(run, SEEDS_FIG_PAGES_READ_2M, big->read_ns);
	seeds_put(run, SEEDS_FIG_PAGES_READ_RATIO, small->read_ns / big->read_ns);
	seeds_put(run, SEEDS_FIG_PAGES_TOUCH_2M, big->touch_ns);
	seeds_put(run, SEEDS_FIG_PAGES_TOUCH_RATIO, small->touch_ns / big->touch_ns);
	if (big->faults > 0)
		seeds_put(run, SEEDS_FIG_PAGES_FAULT_RATIO,
			  (double)small->faults / (double)big->faults);
}

static void say_kind(struct seeds_run *run, int kind, size_t size)
{
	static const enum seeds_fig of_large[] = {
		SEEDS_FIG_PAGES_READ_2M,     SEEDS_FIG_PAGES_READ_RATIO,  SEEDS_FIG_PAGES_TOUCH_2M,
		SEEDS_FIG_PAGES_TOUCH_RATIO, SEEDS_FIG_PAGES_FAULT_RATIO,
	};
	static const char *const notes[] = {
		"no huge pages are set aside (vm.nr_hugepages), and shared memory may have no "
		"transparent ones: transparent huge pages of private memory were measured",
		"no huge pages are set aside (vm.nr_hugepages): transparent ones were measured",
	};

	for (size_t i = 0; i < sizeof(of_large) / sizeof(of_large[0]); i++) {
		if (kind < 0)
			seeds_lack(run, of_large[i],
				   "no pages of 2 MB can be had: none are set aside "
				   "(vm.nr_hugepages), and the kernel makes none");
		else if (kind < 2)
			seeds_note(run, of_large[i], "%s", notes[kind]);
	}
	if (size < 1 << 30)
		seeds_note(run, SEEDS_FIG_PAGES_TOUCH_4K, "scaled down to %u MiB in place of 1 GB",
			   (unsigned)(size >> 20));
}

#if defined(__x86_64__) || defined(__i386__)
/* Entries of the largest TLB for data: AMD says so in one leaf, Intel lists them. */
static void find_tlb(unsigned *ret_small, unsigned *ret_large)
{
	unsigned a = 0, b = 0, c = 0, d = 0;

	*ret_small = *ret_large = 0;
	if (__get_cpuid(0x80000006, &a, &b, &c, &d) && (b >> 16 & 0xfff) != 0) {
		*ret_small = b >> 16 & 0xfff;
		*ret_large = a >> 16 & 0xfff;
		return;
	}
	for (unsigned i = 0; i < 16 && __get_cpuid_count(0x18, i, &a, &b, &c, &d); i++) {
		unsigned type = d & 0x1f, entries = (b >> 16) * c;

		if (type != 1 && type != 3 && type != 4)
			continue;
		if ((b & 1) != 0 && entries > *ret_small)
			*ret_small = entries;
		if ((b & 2) != 0 && entries > *ret_large)
			*ret_large = entries;
	}
}
#else
static void find_tlb(unsigned *ret_small, unsigned *ret_large)
{
	*ret_small = *ret_large = 0;
}
#endif

static void put_tlb(struct seeds_run *run)
{
	static const enum seeds_fig figs[] = { SEEDS_FIG_TLB_4K, SEEDS_FIG_TLB_2M };
	unsigned entries[2];

	find_tlb(&entries[0], &entries[1]);
	for (int i = 0; i < 2; i++) {
		if (entries[i] > 0)
			seeds_put(run, figs[i], entries[i]);
		else
			seeds_lack(run, figs[i], "this processor does not say how many it has");
	}
}

void seeds_pages(struct seeds_run *run)
{
	size_t size = seeds_size(run, run->quick ? 64 << 20 : 256 << 20, 0.125);
	int kind = large_kind(32 << 20);
	uint32_t rounds = run->rounds < 3 ? run->rounds : 3;

	seeds_pin(run, 0);
	say_kind(run, kind, size);
	put_tlb(run);
	for (uint32_t round = 0; round < rounds; round++) {
		struct pages small, big;

		if (!with_segment(size, TARN_PAGES_DEFAULT, &small))
			seeds_die("no shared memory", ENOMEM);
		put_pages(run, &small, kind >= 0 && large(size, kind, &big) ? &big : NULL);
	}
}
