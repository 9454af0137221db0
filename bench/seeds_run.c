/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeds_run.c - run probes, each in a process of its own, and end what they leave.
 *
 * The process of a probe is told to end (SIGTERM), and killed half a second later, when its time is
 * over or the user interrupts; the kernel kills its children with it (PR_SET_PDEATHSIG), and this
 * process adopts and reaps them (PR_SET_CHILD_SUBREAPER), so that none is alive when it returns.
 * It waits for every child that it has: nobody else may have any meanwhile.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/host.h>

#include "seeds_probe.h"
#include "seeds_run.h"

struct probe {
	const char *what; /* for progress */
	seeds_probe_fn *run;
	bool pair;   /* means nothing on one processor */
	bool alone;  /* times mean little where others want the processors */
	uint32_t ms; /* about what it takes, for the time left */
};

static const struct probe probes[SEEDS_PROBE_COUNT] = {
	[SEEDS_PROBE_STREAM] = { "throughput of each kind of IPC", seeds_stream, true, true, 2500 },
	[SEEDS_PROBE_MEGABYTE] = { "1 MB handed over", seeds_megabyte, true, true, 1500 },
	[SEEDS_PROBE_FRAME] = { "frames of 1920x1080", seeds_frame, true, true, 600 },
	[SEEDS_PROBE_COPIES] = { "copies made", seeds_copies, false, false, 20 },
	[SEEDS_PROBE_HOP] = { "one cache line handed over", seeds_hop, true, true, 500 },
	[SEEDS_PROBE_SMALL] = { "small messages", seeds_small, true, true, 2500 },
	[SEEDS_PROBE_BATCH] = { "batches", seeds_batch, true, true, 1200 },
	[SEEDS_PROBE_CACHES] = { "caches and memory", seeds_caches, false, true, 3500 },
	[SEEDS_PROBE_ORDER] = { "memory in order and at random", seeds_order, false, true, 400 },
	[SEEDS_PROBE_PAGES] = { "pages of 4 KB and 2 MB", seeds_pages, false, true, 5000 },
	[SEEDS_PROBE_SHARING] = { "false sharing", seeds_sharing, true, true, 100 },
	[SEEDS_PROBE_SYNC] = { "what locks cost", seeds_sync, true, true, 200 },
	[SEEDS_PROBE_RACE] = { "lost updates", seeds_race, false, false, 300 },
	[SEEDS_PROBE_EXERCISE2] = { "bounded buffer", seeds_exercise2, false, false, 30 },
	[SEEDS_PROBE_MATRIX] = { "matrices", seeds_matrix, false, false, 100 },
	[SEEDS_PROBE_FLAG] = { "a flag polled with sleeps", seeds_flag, false, false, 700 },
	[SEEDS_PROBE_PAGING] = { "demand paging", seeds_paging, false, true, 2500 },
	[SEEDS_PROBE_SINGLE] = { "one copy in memory", seeds_single, false, false, 800 },
	[SEEDS_PROBE_COW] = { "copy on write", seeds_cow, false, false, 7000 },
	[SEEDS_PROBE_DISK] = { "a file beside shared memory", seeds_disk, false, false, 200 },
	[SEEDS_PROBE_FACTS] = { "limits and layouts", seeds_facts, false, false, 20 },
	[SEEDS_PROBE_NUMA] = { "NUMA nodes", seeds_numa, false, true, 900 },
};

struct shared {
	struct seeds_figure figures[SEEDS_FIG_COUNT];
	char death[SEEDS_TEXT];
	_Atomic uint64_t waited_ns; /* of the probe's processes, for a processor */
};

/* --- the machine --------------------------------------------------------------------------- */

static void find_cpus(struct seeds_run *run)
{
	cpu_set_t set;

	run->cpu_count = 0;
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		if (run->cpu_count < 2)
			run->cpus[run->cpu_count] = cpu;
		run->cpu_count++;
	}
}

/* What the host has, and what each memory cgroup leaves. */
static int take_memory(const struct tarn_host_limit *limit, void *arg)
{
	uint64_t *free = arg;
	size_t size = strlen(limit->name);
	bool cgroup = strncmp(limit->name, "cgroup", 6) == 0 && size > 7 &&
		      strcmp(limit->name + size - 7, ".memory") == 0;

	if ((!cgroup && strcmp(limit->name, "memory.total") != 0) || limit->value == UINT64_MAX ||
	    limit->used == TARN_HOST_UNKNOWN)
		return 0;

	uint64_t left = limit->value > limit->used ? limit->value - limit->used : 0;

	*free = left < *free ? left : *free;
	return 0;
}

static uint64_t find_memory(void)
{
	uint64_t free = UINT64_MAX;

	if (tarn_host_limits(NULL, take_memory, &free, NULL) < 0 || free == UINT64_MAX)
		return UINT64_C(512) << 20;
	return free;
}

/* --- one probe ----------------------------------------------------------------------------- */

static void become_probe(const struct probe *probe, struct seeds_run *run, pid_t parent)
{
	struct sigaction end = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGCHLD, &end, NULL);
	/* An interrupt goes to all processes of a terminal: who asked ends the others. */
	end.sa_handler = SIG_IGN;
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	probe->run(run);
	seeds_count_wait();
	_exit(0);
}

static void nap(long ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

/* Children of the probe whose parent has gone: each has been killed, and is waited for however long
 * a busy machine takes to end it. */
static void reap_all(void)
{
	int64_t until = tarn_deadline_after(INT64_C(60000000000));

	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 || tarn_now() > until)
			return;
		if (pid == 0)
			nap(1000000);
	}
}

static void end_probe(pid_t pid)
{
	int64_t until = tarn_deadline_after(500000000);

	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (tarn_now() > until)
			kill(pid, SIGKILL);
		nap(1000000);
	}
}

/* Returns 0 (it ended well), -EINTR, -ETIMEDOUT, -EIO (it failed). */
static int watch_probe(pid_t pid, const struct seeds_opts *opts)
{
	int64_t until = tarn_deadline_after((opts->timeout_s > 0 ? opts->timeout_s : 60) *
					    INT64_C(1000000000));
	int status = 0;

	for (int i = 0;; i++) {
		pid_t ended = waitpid(pid, &status, WNOHANG);

		if (ended == pid)
			return status == 0 ? 0 : -EIO;
		bool stopped = opts->stopped != NULL && opts->stopped();

		if (stopped || tarn_now() > until) {
			end_probe(pid);
			return stopped ? -EINTR : -ETIMEDOUT;
		}
		nap(i < 20 ? 1000000 : 20000000);
	}
}

/* None of the probe's figures means anything. */
static void void_figures(struct shared *shared, enum seeds_probe_id id, const char *why)
{
	for (unsigned fig = 0; fig < SEEDS_FIG_COUNT; fig++) {
		struct seeds_figure *figure = &shared->figures[fig];

		if (seeds_fig_probe(fig) != id)
			continue;
		figure->count = 0;
		figure->note[0] = '\0';
		snprintf(figure->lack, SEEDS_TEXT, "%s", why);
	}
}

/* How much of the time of a probe that has a processor for each process they waited for one all the
 * same. From a fiftieth on its times say so; from a half on they are not the machine's. */
static void judge_wait(struct shared *shared, enum seeds_probe_id id, double ns)
{
	double part = (double)atomic_load(&shared->waited_ns) / ns / (probes[id].pair ? 2 : 1);

	char others[80];

	if (part < 0.02 || !probes[id].alone)
		return;
	snprintf(others, sizeof(others), "%.0f %% of the time other work had the processors",
		 100 * part);
	for (unsigned fig = 0; fig < SEEDS_FIG_COUNT; fig++) {
		struct seeds_figure *figure = &shared->figures[fig];
		enum seeds_unit unit = seeds_fig_unit(fig);
		size_t used = strlen(figure->note);

		if (seeds_fig_probe(fig) != id || unit == SEEDS_COUNT || unit == SEEDS_BYTES ||
		    figure->count == 0)
			continue;
		snprintf(figure->note + used, SEEDS_TEXT - used, "%s%s", used > 0 ? "; " : "",
			 others);
		if (part < 0.5)
			continue;
		figure->count = 0;
		snprintf(figure->lack, SEEDS_TEXT, "%s: repeat it when they are idle", others);
	}
}

static int run_probe(enum seeds_probe_id id, struct shared *shared, struct seeds_run *run,
		     const struct seeds_opts *opts)
{
	pid_t parent = getpid();

	if (probes[id].pair && run->cpu_count < 2) {
		void_figures(shared, id, "it needs two processors, and this process may use one");
		return 0;
	}
	shared->death[0] = '\0';
	atomic_store(&shared->waited_ns, 0);
	run->memory_free = find_memory();

	int64_t began = tarn_now();
	pid_t pid = fork();

	if (pid < 0) {
		void_figures(shared, id, strerror(errno));
		return 0;
	}
	if (pid == 0)
		become_probe(&probes[id], run, parent);

	int r = watch_probe(pid, opts);

	reap_all();
	if (r == 0)
		judge_wait(shared, id, (double)(tarn_now() - began));
	if (r == -ETIMEDOUT)
		void_figures(shared, id, "it did not end in time");
	else if (r < 0)
		void_figures(shared, id,
			     shared->death[0] != '\0' ? shared->death : "the probe failed");
	return r == -EINTR ? r : 0;
}

/* --- all of them --------------------------------------------------------------------------- */

static uint32_t choose(const struct seeds_claim *const *claims, bool wanted[SEEDS_PROBE_COUNT])
{
	uint32_t total = 0;

	for (; *claims != NULL; claims++)
		for (int i = 0; i < SEEDS_BOUND_MAX && (*claims)->bounds[i].what != NULL; i++)
			wanted[seeds_fig_probe((*claims)->bounds[i].fig)] = true;
	for (int id = 0; id < SEEDS_PROBE_COUNT; id++)
		total += wanted[id] ? probes[id].ms : 0;
	return total;
}

static int run_all(const bool wanted[SEEDS_PROBE_COUNT], uint32_t total, struct shared *shared,
		   const struct seeds_opts *opts)
{
	struct seeds_run run = {
		.figures = shared->figures,
		.rounds = opts->rounds,
		.quick = opts->quick,
	};
	uint32_t done = 0;
	int r = 0;

	find_cpus(&run);
	for (unsigned id = 0; id < SEEDS_PROBE_COUNT && r == 0; id++) {
		if (!wanted[id])
			continue;
		if (opts->progress != NULL)
			opts->progress(done, total, probes[id].what, opts->arg);
		r = run_probe(id, shared, &run, opts);
		done += probes[id].ms;
	}
	if (r == 0 && opts->progress != NULL)
		opts->progress(total, total, NULL, opts->arg);
	return r;
}

int seeds_measure(const struct seeds_claim *const *claims, const struct seeds_opts *opts,
		  struct seeds_figure **ret_figures)
{
	bool wanted[SEEDS_PROBE_COUNT] = { false };
	uint32_t total = choose(claims, wanted);
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int adopts = 0;

	if (shared == MAP_FAILED)
		return -ENOMEM;
	seeds_death = shared->death;
	seeds_waited = &shared->waited_ns;
	prctl(PR_GET_CHILD_SUBREAPER, &adopts);
	prctl(PR_SET_CHILD_SUBREAPER, 1);

	int r = run_all(wanted, total, shared, opts);

	prctl(PR_SET_CHILD_SUBREAPER, (unsigned long)adopts);
	seeds_death = NULL;
	seeds_waited = NULL;
	if (r < 0)
		munmap(shared, sizeof(*shared));
	else
		*ret_figures = shared->figures;
	return r;
}

void seeds_free(struct seeds_figure *figures)
{
	if (figures != NULL)
		munmap(figures, sizeof(struct shared));
}
