/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * team.c - the processes of one cell: forked, pinned, kept in step, and ended whatever happens.
 *
 *     tool -> supervisor -> side 0, side 1, ...
 *
 * The supervisor waits for its sides and ends with the first that fails; each side is killed by the
 * kernel when the supervisor ends, and the supervisor when the tool does. So nobody is left waiting
 * for one that is gone, and what hangs is ended by killing one process. The tool is the reaper of
 * orphans meanwhile, and goes on only when the last side is gone: the next team has the same shared
 * memory.
 */
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"

enum {
	MEET_SPINS = 4000,
	COLD_SIZE = 64 << 20, /* bytes: more than a third-level cache, mostly */
	PAGE = 4096,
};

/* --- what contestants may call ---------------------------------------------------------------- */

static void say_why(struct bench_shm *shm, const char *what, int error)
{
	uint32_t none = 0;

	if (!__atomic_compare_exchange_n(&shm->has_failed, &none, 1, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return;
	if (error != 0)
		snprintf(shm->why, sizeof(shm->why), "%s: %s", what,
			 strerror(error < 0 ? -error : error));
	else
		snprintf(shm->why, sizeof(shm->why), "%s", what);
}

void bench_fail(struct bench *b, const char *what, int error)
{
	say_why(b->shm, what, error);
	_exit(1);
}

void bench_is_wrong(struct bench *b, const void *data, size_t size, uint64_t number)
{
	char why[BENCH_WHY_MAX];
	uint64_t got = 0;

	memcpy(&got, data, size < 8 ? size : 8);
	if (got == number || size < 8)
		snprintf(why, sizeof(why),
			 "message %llu of %zu bytes: what came is not what was sent",
			 (unsigned long long)number, size);
	else
		snprintf(why, sizeof(why), "message %llu of %zu bytes: number %llu came",
			 (unsigned long long)number, size, (unsigned long long)got);
	bench_fail(b, why, 0);
}

void bench_touch(const void *data, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE)
		(void)__atomic_load_n((const unsigned char *)data + i, __ATOMIC_RELAXED);
}

/* Is the mapping at @data on transparent huge pages? The kernel does not say by another way. */
static bool is_on_huge_pages(const void *data)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	char line[512];
	bool here = false, found = false;

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		unsigned long from, to;
		unsigned long long kb;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)data >= from && (uintptr_t)data < to;
		else if (here && sscanf(line, "ShmemPmdMapped: %llu", &kb) == 1)
			found = kb > 0;
	}
	fclose(file);
	return found;
}

void bench_must_be_huge(struct bench *b, const void *data)
{
	if (!is_on_huge_pages(data))
		bench_fail(b,
			   "the kernel gives no transparent huge pages to shared memory "
			   "(/sys/kernel/mm/transparent_hugepage/shmem_enabled)",
			   0);
}

void *bench_memory(struct bench *b, size_t size)
{
	const size_t huge = 2 << 20;
	int flags = MAP_SHARED | MAP_ANONYMOUS;
	enum bench_pages pages = b->cell->pages;

	if (pages == BENCH_2M)
		flags |= MAP_HUGETLB | MAP_POPULATE;
	if (pages != BENCH_4K)
		size = (size + huge - 1) & ~(huge - 1);

	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (data == MAP_FAILED)
		bench_fail(b,
			   pages == BENCH_2M ? "no free pages of 2 MiB (vm.nr_hugepages)" : "mmap",
			   errno);
	if (pages == BENCH_THP)
		(void)madvise(data, size, MADV_HUGEPAGE);
	else if (pages == BENCH_4K)
		(void)madvise(data, size, MADV_NOHUGEPAGE);
	memset(data, 0, size);
	if (pages == BENCH_THP)
		bench_must_be_huge(b, data);
	return data;
}

static void futex(uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* The last one to come lets the others go. They spin for a moment, if there is room for that. */
void bench_meet(struct bench *b)
{
	struct bench_shm *shm = b->shm;
	uint32_t turn = __atomic_load_n(&shm->met, __ATOMIC_ACQUIRE);

	if (__atomic_add_fetch(&shm->arrived, 1, __ATOMIC_ACQ_REL) == b->sides) {
		__atomic_store_n(&shm->arrived, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&shm->met, turn + 1, __ATOMIC_RELEASE);
		futex(&shm->met, FUTEX_WAKE, INT32_MAX);
		return;
	}
	for (int i = 0; i < (b->yield ? 0 : MEET_SPINS); i++)
		if (__atomic_load_n(&shm->met, __ATOMIC_ACQUIRE) != turn)
			return;
	while (__atomic_load_n(&shm->met, __ATOMIC_ACQUIRE) == turn)
		futex(&shm->met, FUTEX_WAIT, turn);
}

/* --- a side ----------------------------------------------------------------------------------- */

static void pin(const struct bench_run *run, struct bench *b)
{
	unsigned others = run->cpu_count - 1;
	unsigned turn = b->side == 0 || others == 0 ? 0 : 1 + (b->side - 1) % others;
	cpu_set_t set;

	if (!b->cell->pinned)
		return;
	CPU_ZERO(&set);
	CPU_SET(run->cpus[turn], &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		bench_fail(b, "sched_setaffinity", errno);
}

static unsigned char *own_memory(struct bench *b, size_t size)
{
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (data == MAP_FAILED)
		bench_fail(b, "mmap of the memory that messages are made in", errno);
	return (unsigned char *)data;
}

/* Where messages are made, its lines numbered from the first on, and where they are received. */
void bench_make_buffers(struct bench *b)
{
	size_t size = b->cell->size, stride = (size + 127) / 64 * 64, room;

	if (b->cell->cold)
		b->spare_lines = COLD_SIZE / 64;
	room = (b->spare_lines + 8) * 64 + stride;
	if (b->cell->variant->mode == BENCH_BATCH && room < BENCH_MANY * stride)
		room = BENCH_MANY * stride;
	b->stride = stride;
	b->source = own_memory(b, room);
	b->sink = own_memory(b, room);
	for (size_t i = 0; (i + 1) * 64 <= room; i++) {
		uint64_t word = (i + 1) * BENCH_PATTERN;

		memcpy(b->source + i * 64 + 8, &word, 8);
	}
	if (b->cell->variant->mode != BENCH_BATCH || b->cell->cold)
		return;
	for (size_t k = 0; k < BENCH_MANY; k++)
		for (size_t i = 0; i < stride / 64; i++) {
			uint64_t word = (i + k % 8 + 1) * BENCH_PATTERN;

			memcpy(b->source + k * stride + i * 64 + 8, &word, 8);
		}
}

static void play(const struct bench_run *run, struct bench *b)
{
	const struct bench_contestant *c = b->cell->contestant;

	pin(run, b);
	bench_make_buffers(b);
	if (c->attach != NULL)
		c->attach(b);
	bench_meet(b);
	bench_take_limits(b, &b->shm->before);
	bench_meet(b);
	b->cell->variant->run(b);
	bench_meet(b);
	bench_take_limits(b, &b->shm->after);
	if (c->detach != NULL)
		c->detach(b);
	_exit(0);
}

/* --- the supervisor --------------------------------------------------------------------------- */

static pid_t fork_bound(struct bench *b)
{
	pid_t parent = getpid(), child = fork();

	if (child < 0)
		bench_fail(b, "fork", errno);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return child;
}

static void say_signal(struct bench *b, int status)
{
	char why[96];

	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "a process of it was ended by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(why, sizeof(why), "a process of it ended with status %d",
			 WEXITSTATUS(status));
	bench_fail(b, why, 0);
}

static void supervise(const struct bench_run *run, struct bench *b)
{
	const struct bench_contestant *c = b->cell->contestant;

	b->shm->leader = getpid();
	if (c->open != NULL)
		c->open(b);
	for (unsigned side = 0; side < b->sides; side++) {
		if (fork_bound(b) == 0) {
			b->side = side;
			play(run, b);
		}
	}
	for (unsigned left = b->sides; left > 0;) {
		int status;

		if (wait(&status) < 0)
			bench_fail(b, "wait", errno);
		if (status != 0)
			say_signal(b, status);
		left--;
	}
	_exit(0);
}

/* --- the tool --------------------------------------------------------------------------------- */

/* 0: it ended well; 1: it did not; -1: it was killed for want of an end. */
static int await(const struct bench_run *run, pid_t leader)
{
	int fd = (int)syscall(SYS_pidfd_open, leader, 0);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int ready = 1, status = 0;

	do {
		if (fd >= 0) /* a signal says that this cell is the last one, not that it ends */
			ready = poll(&poll_fd, 1, (int)(run->settings.patience_ns / 1000000));
	} while (ready < 0 && errno == EINTR);
	if (fd >= 0)
		close(fd);
	if (ready != 1)
		kill(leader, SIGKILL);
	if (waitpid(leader, &status, 0) != leader)
		return 1;
	return ready != 1 ? -1 : status != 0;
}

/* Sides die after the supervisor, and are ours then. */
static void reap(void)
{
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

static void clear(struct bench_shm *shm, uint64_t count, double tick_ns)
{
	memset(shm, 0, offsetof(struct bench_shm, samples));
	shm->count = count;
	shm->tick_ns = tick_ns;
}

bool bench_cell_run(struct bench_run *run, const struct bench_cell *cell, uint64_t count)
{
	struct bench b = {
		.shm = run->shm,
		.cell = cell,
		.sides = cell->sides,
		.yield = cell->sides > run->cpu_count,
		.alone = run->cpu_count < 2,
		.count = count,
		.warm = count / 10 + 1,
	};
	pid_t parent = getpid();

	clear(run->shm, count, run->tick_ns);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fflush(NULL);

	pid_t leader = fork();

	if (leader == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGINT, SIG_IGN); /* a terminal sends it to all; the tool sees to it */
		signal(SIGTERM, SIG_DFL);
		if (getppid() != parent)
			_exit(1);
		supervise(run, &b);
	}
	int ended = leader < 0 ? 1 : await(run, leader);

	reap();
	if (cell->contestant->clean != NULL)
		cell->contestant->clean(&b);
	if (ended < 0)
		say_why(run->shm, "nothing more came through: it hangs, and was ended", 0);
	else if (ended > 0)
		say_why(run->shm, "its processes failed", 0);
	return run->shm->has_failed == 0;
}

double bench_measure_tick(void)
{
	struct timespec a, b;
	uint64_t t0, t1;
	double ns;

	clock_gettime(CLOCK_MONOTONIC, &a);
	t0 = bench_ticks();
	do {
		clock_gettime(CLOCK_MONOTONIC, &b);
		t1 = bench_ticks();
		ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
	} while (ns < 20e6);
	return ns / (double)(t1 - t0);
}
