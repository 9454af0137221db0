/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeds_memory.c - when memory is there: on demand or before, once for many processes, copied when
 * written; and what a file adds.
 *
 * Counted are the kernel's own numbers: blocks that an object holds, page faults, and the
 * proportional share (PSS) of processes, which add up to what they take together.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <tarn/base.h>

#include "seeds_probe.h"

enum { PAGE = 4096 };

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* Bytes of this process, what it shares counted by its part. */
static double share_bytes(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	double bytes = -1;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "Pss:", 4) == 0)
			bytes = strtod(line + 4, NULL) * 1024;
	if (file != NULL)
		fclose(file);
	if (bytes < 0)
		seeds_die("/proc/self/smaps_rollup cannot be read", 0);
	return bytes;
}

/* --- demand paging ------------------------------------------------------------------------- */

static int make_object(size_t size)
{
	int fd = memfd_create("bench-seeds", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		seeds_die("memfd_create", errno);
	return fd;
}

static uint64_t held(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		seeds_die("fstat", errno);
	return (uint64_t)st.st_blocks * 512;
}

static unsigned char *map_object(int fd, size_t size, int flags)
{
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);

	if (data == MAP_FAILED)
		seeds_die("mmap", errno);
	return data;
}

/* One byte of each page; returns the faults. */
static long touch(unsigned char *data, size_t size, double *ret_ns)
{
	long before = faults();
	int64_t began = tarn_now();

	for (uint64_t at = 0; at < size; at += PAGE)
		data[at] = (unsigned char)(at / PAGE + 1);
	seeds_keep(0);
	*ret_ns = (double)(tarn_now() - began) / (double)(size / PAGE);
	before = faults() - before;
	for (uint64_t at = 0; at < size; at += PAGE)
		if (data[at] != (unsigned char)(at / PAGE + 1))
			seeds_die("what was read is not what was written", 0);
	return before;
}

/* The text's own steps: 1 MB, two bytes. */
static void step_by_step(struct seeds_run *run)
{
	const size_t size = 1 << 20;
	int fd = make_object(size);
	unsigned char *data = map_object(fd, size, 0);

	seeds_put(run, SEEDS_FIG_PAGING_MADE, (double)held(fd));
	data[0] = 'A';
	seeds_keep(0);
	seeds_put(run, SEEDS_FIG_PAGING_ONE, (double)held(fd));
	data[4096] = 'B';
	seeds_keep(0);
	seeds_put(run, SEEDS_FIG_PAGING_TWO, (double)held(fd));
	if (data[0] != 'A' || data[4096] != 'B')
		seeds_die("what was read is not what was written", 0);
	munmap(data, size);
	close(fd);
}

/* Faults a page when each page of an object is touched, and ns; advised or populated before. */
static double touched(size_t size, int flags, bool will_need, double *ret_ns, double *ret_held)
{
	int fd = make_object(size);
	unsigned char *data = map_object(fd, size, flags);

	if (will_need && madvise(data, size, MADV_WILLNEED) != 0)
		seeds_die("madvise", errno);
	*ret_held = (double)held(fd) / (double)size;

	double count = (double)touch(data, size, ret_ns);

	munmap(data, size);
	close(fd);
	return count / (double)(size / PAGE);
}

void seeds_paging(struct seeds_run *run)
{
	size_t size = seeds_size(run, run->quick ? 16 << 20 : 64 << 20, 0.125);
	uint32_t rounds = run->rounds < 5 ? run->rounds : 5;

	for (uint32_t round = 0; round < rounds; round++) {
		double lazy_ns, full_ns, ns, part;

		step_by_step(run);
		seeds_put(run, SEEDS_FIG_PAGING_LAZY_FAULTS,
			  touched(size, 0, false, &lazy_ns, &part));
		seeds_put(run, SEEDS_FIG_PAGING_FULL_FAULTS,
			  touched(size, MAP_POPULATE, false, &full_ns, &part));
		seeds_put(run, SEEDS_FIG_PAGING_FULL_HELD, part);
		seeds_put(run, SEEDS_FIG_PAGING_WILLNEED, touched(size, 0, true, &ns, &part));
		seeds_put(run, SEEDS_FIG_PAGING_LAZY_NS, lazy_ns);
		seeds_put(run, SEEDS_FIG_PAGING_FULL_NS, full_ns);
		seeds_put(run, SEEDS_FIG_PAGING_NS_RATIO, lazy_ns / full_ns);
	}
}

/* --- one copy for two processes ------------------------------------------------------------ */

struct single {
	_Atomic uint64_t *bytes; /* what each process takes more than before; shared */
	size_t size;
};

/* Both have all of it mapped and touched when they count. */
static double both_take(struct seeds_pair *pair, unsigned char *data)
{
	struct single *single = pair->arg;
	double before = share_bytes(), ns, sum;

	seeds_meet(pair);
	(void)touch(data, single->size, &ns);
	seeds_meet(pair);
	double more = share_bytes() - before;

	atomic_store(&single->bytes[pair->side], more > 0 ? (uint64_t)more : 0);
	seeds_meet(pair);
	sum = (double)(atomic_load(&single->bytes[0]) + atomic_load(&single->bytes[1]));
	return sum / (double)single->size;
}

static void single_side(struct seeds_pair *pair)
{
	struct single *single = pair->arg;
	uint32_t rounds = pair->run->rounds < 3 ? pair->run->rounds : 3;

	for (uint32_t round = 0; round < rounds; round++) {
		char path[64];
		/* The second opens what the first has made, by its descriptor in /proc. */
		_Atomic uint64_t *where = &pair->shm->word[0][0];
		int fd = pair->side == 0 ? make_object(single->size) : -1;

		if (pair->side == 0)
			atomic_store(where, (uint64_t)fd << 32 | (uint32_t)getpid());
		seeds_meet(pair);
		if (fd < 0) {
			snprintf(path, sizeof(path), "/proc/%u/fd/%u",
				 (unsigned)(atomic_load(where) & UINT32_MAX),
				 (unsigned)(atomic_load(where) >> 32));
			fd = open(path, O_RDWR | O_CLOEXEC);
		}
		if (fd < 0)
			seeds_die("open", errno);
		unsigned char *shared = map_object(fd, single->size, 0);
		double once = both_take(pair, shared);

		munmap(shared, single->size);
		close(fd);
		unsigned char *own = mmap(NULL, single->size, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (own == MAP_FAILED)
			seeds_die("mmap", errno);
		double twice = both_take(pair, own);

		munmap(own, single->size);
		if (pair->side == 0) {
			seeds_put(pair->run, SEEDS_FIG_SINGLE_SHARED, once);
			seeds_put(pair->run, SEEDS_FIG_SINGLE_PRIVATE, twice);
		}
	}
}

void seeds_single(struct seeds_run *run)
{
	struct single single = {
		.bytes = seeds_map(2 * sizeof(uint64_t)),
		.size = seeds_size(run, 32 << 20, 0.1),
	};

	seeds_pair(run, single_side, &single);
}

/* --- copy on write ------------------------------------------------------------------------- */

struct cow {
	unsigned char *data; /* private, and so copied on write */
	uint64_t pages;
	_Atomic uint64_t *bytes; /* of each process, at each step */
	_Atomic uint32_t *step;
};

static void store(struct cow *cow, uint64_t page, uint64_t value)
{
	memcpy(cow->data + page * PAGE, &value, 8);
}

static uint64_t load(const struct cow *cow, uint64_t page)
{
	uint64_t value;

	memcpy(&value, cow->data + page * PAGE, 8);
	return value;
}

/* The parent changes 1 of 20 pages: 50 MB of 1 GB, spread over all of it. */
static bool is_changed(uint64_t page)
{
	return page % 20 == page / 20 % 20;
}

static void await_step(struct cow *cow, uint32_t step)
{
	while (atomic_load(cow->step) < step)
		seeds_yield();
}

/* The child: the snapshot. It sees nothing of what the parent changes; in the end it has a copy of
 * its own of everything, as without copy on write from the beginning. */
static void snapshot(struct cow *cow)
{
	atomic_store(&cow->bytes[1], (uint64_t)share_bytes());
	atomic_store(cow->step, 1);
	await_step(cow, 2);
	for (uint64_t page = 0; page < cow->pages; page++)
		if (load(cow, page) != page + 1)
			seeds_die("the child sees what the parent changed", 0);
	atomic_store(&cow->bytes[1], (uint64_t)share_bytes());
	atomic_store(cow->step, 3);
	await_step(cow, 4);
	for (uint64_t page = 0; page < cow->pages; page++)
		store(cow, page, ~page);
	atomic_store(&cow->bytes[1], (uint64_t)share_bytes());
	atomic_store(cow->step, 5);
	await_step(cow, 6);
	_exit(0);
}

/* Both together, for each byte of the data. */
static double together(struct cow *cow, double base)
{
	double all = share_bytes() + (double)atomic_load(&cow->bytes[1]) - base;

	return all / ((double)cow->pages * PAGE);
}

static void cow_round(struct seeds_run *run, struct cow *cow, double base)
{
	pid_t child;

	for (uint64_t page = 0; page < cow->pages; page++)
		store(cow, page, page + 1);
	atomic_store(cow->step, 0);
	child = seeds_fork();
	if (child == 0)
		snapshot(cow);
	await_step(cow, 1);
	double before = together(cow, base);

	for (uint64_t page = 0; page < cow->pages; page++)
		if (is_changed(page))
			store(cow, page, 0);
	atomic_store(cow->step, 2);
	await_step(cow, 3);
	double with = together(cow, base);

	atomic_store(cow->step, 4);
	await_step(cow, 5);
	double without = together(cow, base);

	atomic_store(cow->step, 6);
	seeds_wait(child);
	for (uint64_t page = 0; page < cow->pages; page++)
		if (load(cow, page) != (is_changed(page) ? 0 : page + 1))
			seeds_die("the parent sees what the child changed", 0);
	seeds_put(run, SEEDS_FIG_COW_BEFORE, before);
	seeds_put(run, SEEDS_FIG_COW_WITH, with);
	seeds_put(run, SEEDS_FIG_COW_WITHOUT, without);
	seeds_put(run, SEEDS_FIG_COW_TOTAL_RATIO, without / with);
	seeds_put(run, SEEDS_FIG_COW_EXTRA_RATIO, (without - before) / (with - before));
}

/* The whole gigabyte once at least; again while there is time. */
void seeds_cow(struct seeds_run *run)
{
	const size_t wanted = run->quick ? 128 << 20 : 1 << 30;
	size_t size = seeds_size(run, wanted, 0.3);
	double base = share_bytes();
	int64_t until = tarn_deadline_after(INT64_C(4000000000));
	struct cow cow = {
		.data = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
		.pages = size / PAGE,
		.bytes = seeds_map(2 * sizeof(uint64_t)),
		.step = seeds_map(sizeof(uint32_t)),
	};

	if (cow.data == MAP_FAILED)
		seeds_die("mmap", errno);
	(void)madvise(cow.data, size, MADV_NOHUGEPAGE);
	seeds_put(run, SEEDS_FIG_COW_BYTES, (double)size);
	if (size < 1 << 30)
		seeds_note(run, SEEDS_FIG_COW_BYTES, "scaled down to %u MiB in place of 1 GB%s",
			   (unsigned)(size >> 20),
			   size < wanted ? ", for want of free memory" : "");
	for (uint32_t round = 0; round < 3 && (round == 0 || tarn_now() < until); round++)
		cow_round(run, &cow, base);
}

/* --- a file beside shared memory ----------------------------------------------------------- */

enum { WRITTEN = 8 << 20 };
#define TMPFS UINT32_C(0x01021994) /* what the kernel calls them in statfs() */
#define RAMFS UINT32_C(0x858458f6)

/* A file without a name, on a file system that is not memory; -1: none. */
static int file_on_disk(void)
{
	const char *places[] = { getenv("TMPDIR"), "/var/tmp", "/tmp", "." };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct statfs fs;
		int fd = places[i] != NULL ? open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
					   : -1;

		if (fd < 0)
			continue;
		if (fstatfs(fd, &fs) == 0 && (uint32_t)fs.f_type != TMPFS &&
		    (uint32_t)fs.f_type != RAMFS && ftruncate(fd, WRITTEN) == 0)
			return fd;
		close(fd);
	}
	return -1;
}

/* ns to change every page and have it written back. */
static double write_back(unsigned char *data, unsigned char value)
{
	int64_t began = tarn_now();

	for (size_t at = 0; at < WRITTEN; at += PAGE)
		data[at] = value;
	if (msync(data, WRITTEN, MS_SYNC) != 0)
		seeds_die("msync", errno);
	double took = (double)(tarn_now() - began);

	for (size_t at = 0; at < WRITTEN; at += PAGE)
		if (data[at] != value)
			seeds_die("what was read is not what was written", 0);
	return took;
}

void seeds_disk(struct seeds_run *run)
{
	uint32_t rounds = run->rounds < 5 ? run->rounds : 5;
	unsigned char *memory = map_object(make_object(WRITTEN), WRITTEN, MAP_POPULATE);
	int fd = file_on_disk();
	unsigned char *file = fd >= 0 ? map_object(fd, WRITTEN, MAP_POPULATE) : NULL;

	if (fd < 0) {
		seeds_lack(run, SEEDS_FIG_DISK_FILE, "no file on a disk could be made");
		seeds_lack(run, SEEDS_FIG_DISK_RATIO,
			   "no file on a disk could be made: every place for one is in memory");
	}
	for (uint32_t round = 0; round < rounds; round++) {
		double in_memory = write_back(memory, (unsigned char)(round + 1));

		seeds_put(run, SEEDS_FIG_DISK_SHM, in_memory);
		if (file == NULL)
			continue;
		double on_disk = write_back(file, (unsigned char)(round + 1));

		seeds_put(run, SEEDS_FIG_DISK_FILE, on_disk);
		seeds_put(run, SEEDS_FIG_DISK_RATIO, on_disk / in_memory);
	}
}
