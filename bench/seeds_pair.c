/* SPDX-License-Identifier: BSD-2-Clause */
/* seeds_pair.c - what a probe is made of; see seeds_probe.h. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "seeds_probe.h"
#include "seeds_run.h"

/* --- figures ------------------------------------------------------------------------------- */

void seeds_put(struct seeds_run *run, enum seeds_fig fig, double value)
{
	struct seeds_figure *figure = &run->figures[fig];

	if (figure->count < SEEDS_ROUND_MAX)
		figure->values[figure->count++] = value;
}

void seeds_lack(struct seeds_run *run, enum seeds_fig fig, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(run->figures[fig].lack, SEEDS_TEXT, format, args);
	va_end(args);
}

void seeds_note(struct seeds_run *run, enum seeds_fig fig, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(run->figures[fig].note, SEEDS_TEXT, format, args);
	va_end(args);
}

char *seeds_death; /* shared with who asked; SEEDS_TEXT bytes */

_Atomic uint64_t *seeds_waited;

void seeds_count_wait(void)
{
	unsigned long long ran, waited;
	FILE *file = fopen("/proc/self/schedstat", "re"); /* some kernels have none */

	if (file != NULL && fscanf(file, "%llu %llu", &ran, &waited) == 2 && seeds_waited != NULL)
		atomic_fetch_add(seeds_waited, waited);
	if (file != NULL)
		fclose(file);
}

void seeds_die(const char *what, int error)
{
	if (seeds_death != NULL && seeds_death[0] == '\0')
		snprintf(seeds_death, SEEDS_TEXT, "%s%s%s", what, error != 0 ? ": " : "",
			 error != 0 ? strerror(error < 0 ? -error : error) : "");
	_exit(1);
}

size_t seeds_size(const struct seeds_run *run, size_t size, double part)
{
	double most = (double)run->memory_free * part;

	if ((double)size > most)
		size = (size_t)most;
	size &= ~(((size_t)2 << 20) - 1);
	return size < 8 << 20 ? 8 << 20 : size;
}

/* --- memory and processes ------------------------------------------------------------------ */

void *seeds_map(size_t size)
{
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (data == MAP_FAILED)
		seeds_die("mmap", errno);
	return data;
}

pid_t seeds_fork(void)
{
	pid_t parent = getpid(), child = fork();

	if (child < 0)
		seeds_die("fork", errno);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return child;
}

void seeds_wait(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) != child)
		if (errno != EINTR)
			seeds_die("waitpid", errno);
	if (status != 0)
		seeds_die("a process of the probe failed", 0);
}

void seeds_pin(const struct seeds_run *run, int side)
{
	cpu_set_t set;

	if (run->cpu_count < 2)
		return;
	CPU_ZERO(&set);
	CPU_SET(run->cpus[side], &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		seeds_die("sched_setaffinity", errno);
}

void seeds_yield(void)
{
	sched_yield();
}

/* --- two of them ---------------------------------------------------------------------------- */

static _Atomic pid_t partner; /* 0: none, or it has ended well */

/* The first of a pair may stand in a call that only its partner can end: if that fails, it ends,
 * too. The reason is in seeds_death by then. */
static void on_child(int number)
{
	int status = 0, saved = errno;
	pid_t pid = atomic_load(&partner);

	(void)number;
	if (pid > 0 && waitpid(pid, &status, WNOHANG) == pid) {
		if (status != 0)
			_exit(1);
		atomic_store(&partner, 0);
	}
	errno = saved;
}

void seeds_pair(struct seeds_run *run, seeds_side_fn *side, void *arg)
{
	const struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_RESTART };
	struct seeds_pair pair = { .run = run, .arg = arg };
	sigset_t child, old;

	pair.shm = seeds_map(sizeof(*pair.shm));
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &old);
	sigaction(SIGCHLD, &action, NULL);

	pid_t pid = seeds_fork();

	if (pid == 0) {
		signal(SIGCHLD, SIG_DFL);
		sigprocmask(SIG_SETMASK, &old, NULL);
		pair.side = 1;
		seeds_pin(run, 1);
		side(&pair);
		seeds_count_wait();
		_exit(0);
	}
	atomic_store(&partner, pid);
	sigprocmask(SIG_SETMASK, &old, NULL);
	seeds_pin(run, 0);
	side(&pair);
	sigprocmask(SIG_BLOCK, &child, &old);
	while (atomic_load(&partner) != 0)
		sigsuspend(&old);
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	munmap(pair.shm, sizeof(*pair.shm));
}

void seeds_meet(struct seeds_pair *pair)
{
	_Atomic uint32_t *mine = &pair->shm->arrived[pair->side][0];
	_Atomic uint32_t *other = &pair->shm->arrived[!pair->side][0];
	uint32_t turn = atomic_load(mine) + 1;

	atomic_store(mine, turn);
	while ((int32_t)(atomic_load(other) - turn) < 0)
		sched_yield();
}

/* --- messages ------------------------------------------------------------------------------- */

enum { LINE = 64 };

/* The second word of a line. */
static uint64_t pattern(uint64_t line, uint64_t odd)
{
	return (line + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ odd << 17;
}

void seeds_message_init(struct seeds_message *message, size_t size)
{
	*message = (struct seeds_message){ .size = size };
	for (unsigned odd = 0; odd < 2; odd++) {
		message->data[odd] = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);
		if (message->data[odd] == NULL)
			seeds_die("aligned_alloc", ENOMEM);
		memset(message->data[odd], 0x5a, size);
		for (size_t at = 0; at < size; at += LINE) {
			uint64_t word = pattern(at / LINE, odd);

			memcpy(message->data[odd] + at + 8, &word, 8);
			message->sum[odd] += word;
		}
	}
}

void seeds_message_free(struct seeds_message *message)
{
	free(message->data[0]);
	free(message->data[1]);
}

const void *seeds_message_make(struct seeds_message *message, uint64_t number)
{
	unsigned char *data = message->data[number & 1];
	uint64_t last = ~number;

	memcpy(data, &number, 8);
	memcpy(data + message->size - 8, &last, 8);
	return data;
}

void seeds_message_check(const struct seeds_message *message, const void *data, uint64_t number)
{
	const unsigned char *bytes = data;
	uint64_t first, last, sum = 0;

	memcpy(&first, bytes, 8);
	memcpy(&last, bytes + message->size - 8, 8);
	for (size_t at = 0; at < message->size; at += LINE) {
		uint64_t word;

		memcpy(&word, bytes + at + 8, 8);
		sum += word;
	}
	if (first != number || last != ~number || sum != message->sum[number & 1])
		seeds_die("what arrived is not what was sent", 0);
}
