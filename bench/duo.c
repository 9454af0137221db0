/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * duo.c - starting, pinning, keeping in step and ending the two processes.
 *
 * Neither side can be left waiting for one that is gone: the child dies with its parent
 * (PR_SET_PDEATHSIG), and the parent looks for the child's end at each meeting, which is the
 * only place where it waits without the kernel's help for longer than a test.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "duo.h"

void duo_die(const char *what, int error)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

void *duo_map_shared(size_t size)
{
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (data == MAP_FAILED)
		duo_die("mmap", errno);
	return data;
}

void duo_touch(const void *data, size_t size)
{
	const _Atomic unsigned char *bytes = data;

	for (size_t i = 0; i < size; i += 4096)
		(void)atomic_load_explicit(&bytes[i], memory_order_relaxed);
}

static double measure_tick(void)
{
	struct timespec a, b;
	uint64_t t0, t1;
	double ns;

	clock_gettime(CLOCK_MONOTONIC, &a);
	t0 = duo_ticks();
	do {
		clock_gettime(CLOCK_MONOTONIC, &b);
		t1 = duo_ticks();
		ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
	} while (ns < 50e6);
	return ns / (double)(t1 - t0);
}

/* The first two processors that this process may use. */
static void choose_cpus(struct duo *duo)
{
	cpu_set_t set;
	unsigned found = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		duo_die("sched_getaffinity", errno);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
		if (CPU_ISSET(cpu, &set))
			duo->cpu[found++] = cpu;
	}
	duo->pinned = found == 2;
}

static void pin(const struct duo *duo)
{
	cpu_set_t set;

	if (!duo->pinned)
		return;
	CPU_ZERO(&set);
	CPU_SET(duo->cpu[duo->side], &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		duo_die("sched_setaffinity", errno);
}

pid_t duo_fork(void)
{
	pid_t parent = getpid();
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child < 0)
		duo_die("fork", errno);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return child;
}

void duo_start(struct duo *duo)
{
	*duo = (struct duo){ .shm = duo_map_shared(sizeof(struct duo_shm)) };
	choose_cpus(duo);
	duo->shm->tick_ns = measure_tick();
	duo->child = duo_fork();
	duo->side = duo->child == 0 ? DUO_B : DUO_A;
	pin(duo);
}

static void check_child(struct duo *duo)
{
	int status = 0;

	if (duo->side == DUO_A && waitpid(duo->child, &status, WNOHANG) == duo->child) {
		fprintf(stderr, "bench: the second process ended early (status 0x%x)\n",
			(unsigned)status);
		exit(1);
	}
}

void duo_meet(struct duo *duo)
{
	_Atomic uint32_t *mine = &duo->shm->arrived[duo->side][0];
	_Atomic uint32_t *other = &duo->shm->arrived[!duo->side][0];
	uint32_t turn = atomic_load(mine) + 1;

	atomic_store(mine, turn);
	for (uint32_t i = 1; (int32_t)(atomic_load(other) - turn) < 0; i++) {
		sched_yield();
		if (i % 1024 == 0)
			check_child(duo);
	}
}

void duo_end(struct duo *duo)
{
	int status = 0;

	if (duo->side == DUO_B)
		_exit(0);
	if (waitpid(duo->child, &status, 0) != duo->child || status != 0)
		duo_die("the second process failed", ECHILD);
	munmap(duo->shm, sizeof(*duo->shm));
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int duo_compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double duo_percentile(uint32_t *samples, size_t count, double part)
{
	size_t i = (size_t)(part * (double)count);

	qsort(samples, count, sizeof(*samples), compare_u32);
	return samples[i < count ? i : count - 1];
}
