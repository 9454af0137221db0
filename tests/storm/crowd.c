/* SPDX-License-Identifier: BSD-2-Clause */
/* crowd.c - starting, killing, succeeding and counting of processes. See crowd.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crowd.h"

struct crowd *crowd;
static const struct crowd_plan *plan;
static bool settling; /* in the parent, at the end */

/* --- violations ---------------------------------------------------------------------------- */

void crowd_violation(const char *what, int64_t one, int64_t other)
{
	uint32_t line = atomic_fetch_add(&crowd->log_count, 1);

	if (line < LOG_LINES)
		snprintf(crowd->log[line], sizeof(crowd->log[line]), "%s (%lld, %lld)", what,
			 (long long)one, (long long)other);
}

/* Print the account; the exit status. */
static int tell(uint64_t kills, uint64_t changes)
{
	for (uint32_t i = 0; i < crowd->log_count && i < LOG_LINES; i++)
		printf("# violation: %s\n", crowd->log[i]);
	printf("%s: %llu kills, %llu changes, %llu %s, %u violations\n", plan->name,
	       (unsigned long long)kills, (unsigned long long)changes,
	       (unsigned long long)crowd->counted, plan->counts, crowd->log_count);
	fflush(stdout);
	harness_sweep_away(harness_isolated() ? "/dev/shm" : NULL, harness_sysv_key(9));
	if (crowd->mutant != 0) {
		printf("# the mutant was %s\n", crowd->log_count != 0 ? "found" : "missed");
		fflush(stdout);
		return crowd->log_count == 0;
	}
	return crowd->log_count != 0 || kills == 0;
}

void crowd_must(const char *what, int r)
{
	if (r == 0)
		return;
	crowd_violation(what, r, 0);
	_exit(settling ? tell(0, 0) : 1);
}

struct tarn_tx *crowd_enter(struct tarn_section *section)
{
	struct tarn_tx *tx;

	crowd_must("enter", tarn_section_enter(section, tarn_deadline_after(INT64_C(60000000000)),
					       &tx, NULL));
	return tx;
}

/* --- books --------------------------------------------------------------------------------- */

void crowd_begun(int n)
{
	atomic_fetch_add(&crowd->ledgers[n].begun, 1);
}

void crowd_final(int n)
{
	atomic_fetch_add(&crowd->ledgers[n].final, 1);
}

void crowd_book(int n, uint64_t changes)
{
	uint64_t final = crowd->ledgers[n].final;

	if (changes < final || changes > crowd->ledgers[n].begun)
		crowd_violation("a book", (int64_t)changes, (int64_t) final);
}

static void take_finding(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	printf("# %s: %s %s\n", finding->where, finding->field, finding->rule);
	crowd_violation("the checker found something", (int64_t)finding->found,
			(int64_t)finding->expected);
}

void crowd_check(struct tarn_region *region)
{
	(void)!tarn_region_gc(region, NULL);
	(void)!tarn_region_check(region, take_finding, NULL);
}

/* --- processes ----------------------------------------------------------------------------- */

struct job {
	int n;
	uint64_t seed;
};

static void *work(void *arg)
{
	struct job *job = arg;

	while (atomic_load(&crowd->stop) == 0)
		plan->act(job->n, &job->seed);
	if (plan->leave != NULL)
		plan->leave(job->n);
	return NULL;
}

static int processes(void)
{
	return plan->processes != 0 ? plan->processes : PROCESSES;
}

static pid_t start(int process, uint64_t seed)
{
	const int threads = plan->processes != 0 ? 1 : THREADS;
	pid_t pid = fork();
	struct job jobs[THREADS];
	pthread_t thread;

	if (pid < 0) { /* it must never come to kill(-1) */
		atomic_store(&crowd->stop, 1);
		crowd_must("fork", -errno);
	}
	if (pid != 0)
		return pid;
	plan->join();
	for (int i = 0; i < threads; i++)
		jobs[i] = (struct job){ .n = process * threads + i, .seed = seed + (uint64_t)i };
	if (threads > 1)
		crowd_must("thread", pthread_create(&thread, NULL, work, &jobs[1]));
	work(&jobs[0]);
	if (threads > 1)
		pthread_join(thread, NULL);
	_exit(0);
}

static uint64_t rage(pid_t *pids, int64_t end, uint64_t *seed)
{
	const uint64_t pause_us = plan->pause_us != 0 ? (uint64_t)plan->pause_us : 3000;
	uint64_t kills = 0;

	while (harness_now() < end && crowd->log_count == 0) {
		int i = (int)(storm_random(seed) % (uint64_t)processes()), status;

		harness_sleep_us((int64_t)(storm_random(seed) % pause_us));
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			crowd_violation("a process ended by itself", status, i);
		kills++;
		pids[i] = start(i, storm_random(seed));
	}
	return kills;
}

static void calm(pid_t *pids)
{
	atomic_store(&crowd->stop, 1);
	for (int i = 0; i < processes(); i++) {
		int status = 0;

		if (harness_reap(pids[i], 30000, &status) == 0 && status == 0)
			continue;
		crowd_violation("a process hangs or failed", i, status);
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
	}
}

/* --- main ---------------------------------------------------------------------------------- */

static bool parse_mutant(const char *name)
{
	for (int i = 1; plan->mutants[i] != NULL; i++)
		if (strcmp(plan->mutants[i], name) == 0)
			crowd->mutant = i;
	return crowd->mutant != 0;
}

static bool parse(int argc, char **argv, int64_t *seconds, uint64_t *seed)
{
	*seconds = 5;
	*seed = (uint64_t)harness_now();
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--seconds=", 10) == 0)
			*seconds = strtol(argv[i] + 10, NULL, 10);
		else if (strncmp(argv[i], "--seed=", 7) == 0)
			*seed = strtoull(argv[i] + 7, NULL, 0);
		else if (strncmp(argv[i], "--mutant=", 9) != 0 || !parse_mutant(argv[i] + 9))
			return false;
	}
	return *seconds > 0;
}

static int usage(const char *program)
{
	fprintf(stderr, "usage: %s [--seconds=N] [--seed=N] [--mutant=NAME]\nmutants:", program);
	for (int i = 1; plan->mutants[i] != NULL; i++)
		fprintf(stderr, " %s", plan->mutants[i]);
	fprintf(stderr, "\n");
	return 2;
}

int crowd_main(int argc, char **argv, const struct crowd_plan *the_plan)
{
	pid_t pids[PROCESSES_MAX];
	int64_t seconds;
	uint64_t seed, kills, changes;

	plan = the_plan;
	crowd = harness_shared(sizeof(*crowd));
	if (!parse(argc, argv, &seconds, &seed))
		return usage(argv[0]);
	if (!harness_isolate())
		printf("# no private /dev/shm here: only names of this run are looked at\n");
	snprintf(crowd->addr, sizeof(crowd->addr), "%s%s", harness_prefix(), plan->name);
	printf("# %s: seed %llu, %lld s\n", plan->name, (unsigned long long)seed,
	       (long long)seconds);
	fflush(stdout);
	plan->make();
	for (int i = 0; i < processes(); i++)
		pids[i] = start(i, storm_random(&seed));
	kills = rage(pids, harness_now() + seconds * INT64_C(1000000000), &seed);
	calm(pids);
	settling = true;
	changes = plan->settle();
	return tell(kills, changes);
}
