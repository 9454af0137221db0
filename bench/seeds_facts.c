/* SPDX-License-Identifier: BSD-2-Clause */
/* seeds_facts.c - numbers that are looked up rather than timed: limits, a key, a layout, sizes that
 * do not fit; and what memory of another NUMA node costs. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/host.h>
#include <tarn/segment.h>

#include "seeds_cache.h"

/* --- limits -------------------------------------------------------------------------------- */

struct limits {
	uint64_t shm, memory, shmmax;
};

static int take_limit(const struct tarn_host_limit *limit, void *arg)
{
	struct limits *limits = arg;

	if (strcmp(limit->name, "shm.size") == 0)
		limits->shm = limit->value;
	else if (strcmp(limit->name, "memory.total") == 0)
		limits->memory = limit->value;
	else if (strcmp(limit->name, "sysv.shmmax") == 0)
		limits->shmmax = limit->value;
	return 0;
}

static void put_limits(struct seeds_run *run)
{
	struct limits limits = { 0 };

	if (tarn_host_limits(NULL, take_limit, &limits, NULL) < 0)
		limits = (struct limits){ 0 };
	if (limits.shm == UINT64_MAX)
		seeds_lack(run, SEEDS_FIG_FACT_SHM_PART, "/dev/shm has no limit here");
	else if (limits.shm > 0 && limits.memory > 0)
		seeds_put(run, SEEDS_FIG_FACT_SHM_PART, (double)limits.shm / (double)limits.memory);
	else
		seeds_lack(run, SEEDS_FIG_FACT_SHM_PART, "there is no /dev/shm here");
	if (limits.shmmax > 0)
		seeds_put(run, SEEDS_FIG_FACT_SHMMAX, (double)limits.shmmax);
	else
		seeds_lack(run, SEEDS_FIG_FACT_SHMMAX, "the kernel has no System V shared memory");
}

/* --- System V ------------------------------------------------------------------------------ */

/* The text's segment of 100 bytes. Signals wait until it is marked for removal, after which who
 * has it attached keeps it. Returns whether shmget() with 200 bytes found it, or -errno. */
static int get_larger(void **ret_data)
{
	uint64_t state = (uint64_t)tarn_now() ^ (uint64_t)getpid() << 20;
	sigset_t all, old;
	int id = -1, r;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	key_t key = IPC_PRIVATE;

	for (int i = 0; i < 100 && id < 0; i++) {
		key = (key_t)(seeds_random(&state) | 1);
		id = shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600);
		if (id < 0 && errno != EEXIST)
			break;
	}
	r = id < 0 ? -errno : shmget(key, 200, 0) >= 0;
	*ret_data = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
	if (id >= 0)
		shmctl(id, IPC_RMID, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

/* Is a process that writes bytes 100 to 199 killed? */
static bool crashes_beyond(unsigned char *data)
{
	pid_t child = seeds_fork();
	int status = 0;

	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		memset(data, 7, 200);
		_exit(0);
	}
	while (waitpid(child, &status, 0) != child)
		continue;
	return WIFSIGNALED(status);
}

static void put_sysv(struct seeds_run *run)
{
	void *data = (void *)-1;
	int larger = get_larger(&data);

	if (larger < 0 || data == (void *)-1) {
		const char *why = strerror(larger < 0 ? -larger : EIO);

		seeds_lack(run, SEEDS_FIG_FACT_LARGER_GET, "shmget: %s", why);
		seeds_lack(run, SEEDS_FIG_FACT_BEYOND, "shmget: %s", why);
		return;
	}
	seeds_put(run, SEEDS_FIG_FACT_LARGER_GET, larger);
	seeds_put(run, SEEDS_FIG_FACT_BEYOND, crashes_beyond(data));
	shmdt(data);
}

/* The text's struct, by its own types. */
struct shared_data {
	int counter;
	char message[100];
	bool ready;
};

void seeds_facts(struct seeds_run *run)
{
	key_t key = ftok("/tmp", 65);

	put_limits(run);
	put_sysv(run);
	seeds_put(run, SEEDS_FIG_FACT_LAYOUT,
		  offsetof(struct shared_data, message) == 4 &&
				  offsetof(struct shared_data, ready) == 0x68
			  ? (double)sizeof(struct shared_data)
			  : 0);
	if (key == -1)
		seeds_lack(run, SEEDS_FIG_FACT_FTOK, "ftok: %s", strerror(errno));
	else
		seeds_put(run, SEEDS_FIG_FACT_FTOK, (double)(uint32_t)key);
}

/* --- NUMA ---------------------------------------------------------------------------------- */

/* Nodes that have memory, at most 64 of them; bit n: node n. */
static uint64_t memory_nodes(void)
{
	char word[SEEDS_WORD];
	uint64_t nodes = 0;

	if (!seeds_read_word("/sys/devices/system/node/has_memory", word))
		return 0;
	for (char *at = word; *at >= '0' && *at <= '9';) {
		unsigned long from = strtoul(at, &at, 10), to = from;

		if (*at == '-')
			to = strtoul(at + 1, &at, 10);
		for (unsigned long node = from; node <= to && node < 64; node++)
			nodes |= UINT64_C(1) << node;
		if (*at == ',')
			at++;
	}
	return nodes;
}

/* The node that the processor at hand belongs to; -1: not known. */
static int own_node(unsigned cpu)
{
	for (int node = 0; node < 64; node++) {
		char path[96];

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpu%u", node, cpu);
		if (access(path, F_OK) == 0)
			return node;
	}
	return -1;
}

/* A chase through memory of one node; 0 = there is none to be had. */
static void chase_node(struct seeds_run *run, enum seeds_fig fig, int node)
{
	size_t size = seeds_size(run, 128 << 20, 0.1);
	const struct tarn_segment_opts opts = {
		.size = size,
		.numa = TARN_NUMA_BIND,
		.numa_nodes = UINT64_C(1) << node,
	};
	struct tarn_segment *seg = NULL;
	int r = tarn_segment_create("anon:", &opts, &seg);

	if (r < 0) {
		seeds_lack(run, fig, "memory of node %d: %s", node, strerror(-r));
		return;
	}
	seeds_chase_make(tarn_segment_data(seg), size);
	for (uint32_t round = 0; round < run->rounds; round++)
		seeds_put(run, fig, seeds_chase(tarn_segment_data(seg), size, 200000));
	tarn_segment_close(seg);
}

void seeds_numa(struct seeds_run *run)
{
	uint64_t nodes = memory_nodes();
	int own = run->cpu_count > 0 ? own_node(run->cpus[0]) : -1, other = -1;

	seeds_pin(run, 0);
	for (int node = 0; node < 64; node++)
		if ((nodes >> node & 1) != 0 && node != own)
			other = node;
	if (own < 0 || (nodes >> own & 1) == 0)
		seeds_lack(run, SEEDS_FIG_NUMA_LOCAL, "the kernel does not say which node this is");
	else
		chase_node(run, SEEDS_FIG_NUMA_LOCAL, own);
	if (own < 0 || other < 0)
		seeds_lack(run, SEEDS_FIG_NUMA_REMOTE, "all memory here is of one NUMA node");
	else
		chase_node(run, SEEDS_FIG_NUMA_REMOTE, other);
}
