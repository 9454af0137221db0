/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * storm.c - start the workers, kill them at random, and settle the account. See storm.h.
 *
 * usage: storm [--seconds=N] [--seed=N] [--mutant=NAME]
 *
 * Exit status 0 without violations; with a mutant, if it was found.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storm.h"

enum { LAST_MS = 60000 }; /* for the end to be told and all to leave */

struct worker {
	pid_t pid;
	int kind; /* index: 0 .. RINGS-1 producers, then consumers, then churners */
};

static struct worker workers[WORKERS];

static const char *const mutants[] = {
	[MUTANT_NONE] = "none",
	[MUTANT_RELEASE_FIRST] = "release-first",
	[MUTANT_COUNT_FIRST] = "count-first",
	[MUTANT_LEAK_OBJECT] = "leak-object",
	[MUTANT_TORN] = "torn",
};

void storm_violation(struct storm *storm, const char *format, ...)
{
	uint32_t line = atomic_fetch_add(&storm->log_count, 1);
	va_list ap;

	if (line >= LOG_LINES)
		return;
	va_start(ap, format);
	vsnprintf(storm->log[line], sizeof(storm->log[line]), format, ap);
	va_end(ap);
}

struct tarn_region_opts storm_opts(struct tarn_diag *diag)
{
	const struct tarn_region_opts opts = {
		.size = 32768,
		.flags = TARN_REGION_CREATE,
		.member_max = 32,
		.object_max = 32,
		.diag = diag,
	};

	return opts;
}

struct tarn_region *storm_join(struct storm *storm)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_region_opts opts = storm_opts(&diag);
	struct tarn_region *region;
	int r = tarn_region_open(storm->addr, &opts, &region);

	if (r < 0) {
		storm_violation(storm, "join: %s: %s", strerror(-r), diag.what);
		_exit(1);
	}
	return region;
}

/* --- workers ------------------------------------------------------------------------------- */

static void start(struct storm *storm, int kind, uint64_t seed)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0) {
		storm_violation(storm, "fork: %s", strerror(errno));
		return;
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		if (kind < RINGS)
			storm_produce(storm, kind, seed);
		else if (kind < 2 * RINGS)
			storm_consume(storm, kind - RINGS, seed);
		else
			storm_churn(storm, kind, seed);
		_exit(0);
	}
	workers[kind].pid = pid;
	workers[kind].kind = kind;
}

/* A worker must not end by itself while the storm lasts. */
static void look_after(struct storm *storm, int kind)
{
	int status;

	if (waitpid(workers[kind].pid, &status, WNOHANG) != workers[kind].pid)
		return;
	if (WIFSIGNALED(status))
		storm_violation(storm, "worker %d crashed: %s", kind, strsignal(WTERMSIG(status)));
	else if (storm->log_count == 0)
		storm_violation(storm, "worker %d left with status %d", kind, WEXITSTATUS(status));
	workers[kind].pid = 0;
}

static uint64_t rage(struct storm *storm, int64_t until, uint64_t *rng)
{
	uint64_t kills = 0;

	while (harness_now() < until && storm->log_count == 0) {
		int kind = (int)(storm_random(rng) % WORKERS);
		int status;

		harness_sleep_us(100 + (int64_t)(storm_random(rng) % 2000));
		for (int i = 0; i < WORKERS; i++)
			look_after(storm, i);
		if (storm->log_count != 0 || workers[kind].pid == 0)
			break;
		kill(workers[kind].pid, SIGKILL);
		while (waitpid(workers[kind].pid, &status, 0) < 0 && errno == EINTR)
			;
		kills++;
		start(storm, kind, storm_random(rng));
	}
	return kills;
}

/* Let all come to their end; who does not is hanging. */
static void calm(struct storm *storm)
{
	int64_t deadline = harness_now() + (int64_t)LAST_MS * 1000000;

	storm->stop = 1;
	for (int i = 0; i < WORKERS; i++) {
		int64_t left = (deadline - harness_now()) / 1000000;
		int status = 0;

		if (workers[i].pid == 0)
			continue;
		if (storm->log_count == 0 && harness_reap(workers[i].pid, left, &status) == 0) {
			if (status != 0)
				storm_violation(storm, "worker %d ended with status %x", i,
						(unsigned)status);
			continue;
		}
		if (storm->log_count == 0)
			storm_violation(storm, "worker %d hangs", i);
		kill(workers[i].pid, SIGKILL);
		waitpid(workers[i].pid, &status, 0);
	}
}

/* --- the account --------------------------------------------------------------------------- */

static void settle_rings(struct storm *storm)
{
	for (int i = 0; i < RINGS; i++) {
		const struct ring_ledger *l = &storm->rings[i];
		const struct storm_note *note = &l->notes[l->current];
		uint64_t seen = note->last.incarnation != 0 ? note->last.n + 1 : 0;

		/* one call may have written more than its producer lived to count, and no
		 * successor wrote after it */
		if (seen < l->written || seen > l->written + l->intent)
			storm_violation(storm, "ring %d: %llu records written, %llu seen", i,
					(unsigned long long)l->written, (unsigned long long)seen);
	}
}

static int is_left(const struct tarn_object_stat *stat, void *arg)
{
	struct storm *storm = arg;

	if (strncmp(stat->name, "churn-", 6) != 0 && strncmp(stat->name, "ring-", 5) != 0)
		storm_violation(storm, "object %s is left", stat->name);
	return 0;
}

static void remove_all(struct storm *storm, struct tarn_region *region)
{
	char name[24];

	for (int i = 0; i < RINGS; i++) {
		snprintf(name, sizeof(name), "ring-%d", i);
		if (tarn_object_remove(region, name) < 0)
			storm_violation(storm, "%s is not there", name);
	}
	for (int i = 0; i < 32; i++) {
		snprintf(name, sizeof(name), "churn-%d", i);
		(void)!tarn_object_remove(region, name);
	}
}

static void take_finding(const struct tarn_finding *finding, void *arg)
{
	storm_violation(arg, "at the end: %s: %s %s", finding->where, finding->field,
			finding->rule);
}

/* After gc everything is as at the start: no slot, entry or byte is missing. */
static void settle_region(struct storm *storm)
{
	struct tarn_region *region = storm_join(storm);
	struct tarn_region_stat st;
	struct tarn_diag diag = { .what = "" };
	void *data;

	if (tarn_region_objects(region, is_left, storm) < 0)
		storm_violation(storm, "the directory is damaged");
	remove_all(storm, region);
	if (tarn_region_gc(region, NULL) < 0 ||
	    tarn_region_check(region, take_finding, storm) < 0 || tarn_region_stat(region, &st) < 0)
		storm_violation(storm, "gc or check fails at the end");
	else if (st.member_count != 1 || st.object_count != 0 || st.used != 0)
		storm_violation(storm, "at the end: %u members, %u objects, %llu bytes",
				st.member_count, st.object_count, (unsigned long long)st.used);
	else if (tarn_object_create(region, "all", st.size, &data, &diag) < 0)
		storm_violation(storm, "not all bytes can be had: %s", diag.what);
	else
		tarn_object_close(region, data);
	tarn_region_close(region);
	if (tarn_region_remove(storm->addr, NULL) < 0)
		storm_violation(storm, "the region cannot be removed");
}

/* A region whose last member was killed is there until somebody comes and leaves. */
static void settle_side(struct storm *storm, const char *addr)
{
	struct tarn_region *region;
	int r = tarn_region_open(addr, NULL, &region);

	if (r == 0)
		tarn_region_close(region);
	else if (r != -ENOENT)
		storm_violation(storm, "%s: %s", addr, strerror(-r));
}

static void add_name(const char *name, void *arg)
{
	storm_violation(arg, "left in /dev/shm: %s", name);
}

static void settle(struct storm *storm)
{
	int ids[8];
	int r;

	settle_rings(storm);
	settle_region(storm);
	settle_side(storm, storm->side_posix);
	settle_side(storm, storm->side_sysv);
	r = tarn_leftovers(TARN_LEFTOVER_REMOVE, NULL, NULL);
	if (r < 0)
		storm_violation(storm, "tarn_leftovers: %s", strerror(-r));
	harness_names("/dev/shm", add_name, storm);
	if (harness_sysv_ids(harness_sysv_key(9), ids, 8) != 0)
		storm_violation(storm, "a System V segment is left");
}

/* --- main ---------------------------------------------------------------------------------- */

struct options {
	int64_t seconds;
	uint64_t seed;
	enum storm_mutant mutant;
};

static bool parse(int argc, char **argv, struct options *o)
{
	o->seconds = 5;
	o->seed = (uint64_t)harness_now();
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--seconds=", 10) == 0) {
			o->seconds = strtol(argv[i] + 10, NULL, 10);
		} else if (strncmp(argv[i], "--seed=", 7) == 0) {
			o->seed = strtoull(argv[i] + 7, NULL, 0);
		} else if (strncmp(argv[i], "--mutant=", 9) == 0) {
			int m = MUTANT_TORN;

			while (m > 0 && strcmp(mutants[m], argv[i] + 9) != 0)
				m--;
			o->mutant = (enum storm_mutant)m;
			if (m == 0)
				return false;
		} else {
			return false;
		}
	}
	return o->seconds > 0;
}

static void report(const struct storm *storm, uint64_t kills)
{
	uint64_t seen = 0, again = 0, repeated = 0;
	uint32_t lines = storm->log_count < LOG_LINES ? storm->log_count : LOG_LINES;

	for (int i = 0; i < RINGS; i++) {
		seen += storm->rings[i].seen;
		again += storm->rings[i].seen_again;
		repeated += storm->rings[i].repeated;
	}
	for (uint32_t i = 0; i < lines; i++)
		printf("# violation: %s\n", storm->log[i]);
	printf("storm: %llu kills, %llu records, %llu written again after a producer's death, %llu "
	       "consumers saw one again, %llu other calls, %u violations\n",
	       (unsigned long long)kills, (unsigned long long)seen, (unsigned long long)repeated,
	       (unsigned long long)again, (unsigned long long)storm->rounds, storm->log_count);
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct storm *storm;
	uint64_t kills;

	if (!parse(argc, argv, &o)) {
		fprintf(stderr,
			"usage: %s [--seconds=N] [--seed=N] [--mutant=release-first|"
			"count-first|leak-object|torn]\n",
			argv[0]);
		return 2;
	}
	if (!harness_isolate())
		printf("# no private /dev/shm here: only names of this run are looked at\n");
	storm = harness_shared(sizeof(*storm));
	storm->mutant = o.mutant;
	storm->seed = o.seed;
	snprintf(storm->addr, sizeof(storm->addr), "%sstorm", harness_prefix());
	snprintf(storm->side_posix, sizeof(storm->side_posix), "%sside", harness_prefix());
	snprintf(storm->side_sysv, sizeof(storm->side_sysv), "sysv:0x%x",
		 (unsigned)harness_sysv_key(9));
	printf("# storm: seed %llu, %lld s\n", (unsigned long long)o.seed, (long long)o.seconds);
	fflush(stdout);
	for (int i = 0; i < WORKERS; i++)
		start(storm, i, storm_random(&o.seed));
	kills = rage(storm, harness_now() + o.seconds * INT64_C(1000000000), &o.seed);
	calm(storm);
	if (storm->log_count == 0)
		settle(storm);
	report(storm, kills);
	harness_sweep_away(harness_isolated() ? "/dev/shm" : NULL, harness_sysv_key(9));
	if (storm->mutant != MUTANT_NONE) {
		printf("# the mutant was %s\n", storm->log_count != 0 ? "found" : "missed");
		return storm->log_count == 0;
	}
	return storm->log_count != 0 || kills == 0;
}
