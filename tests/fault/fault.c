/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault.c - the sweep of one case. See fault.h.
 *
 * What a case may keep for the life of the process (a cache, a handler that was registered)
 * is learnt from two undisturbed runs in one process: what is still held after the first and
 * no more after the second. A disturbed run may keep that much and no more.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "errors.h"
#include "fault.h"

enum { CALLS_MAX = 4096 };

unsigned fault_seconds = 20;

static uint32_t fault_number;

int32_t fault_key(void)
{
	return harness_sysv_key(fault_number);
}

/* --- the plan: which call fails ------------------------------------------------------------ */

static struct {
	bool armed;
	bool lasting; /* this kind fails from there on */
	uint32_t at;  /* the number of the call that fails; CALLS_MAX: none */
	int error;
	uint32_t count;
	enum tarn_plat_call kind; /* of the one that failed */
	bool hit;
} plan;

/* Shared with the child of the first run: the calls it made. */
static struct {
	uint32_t count;
	uint8_t calls[CALLS_MAX];
} * trace;

static int decide(enum tarn_plat_call call)
{
	uint32_t n;

	if (!plan.armed)
		return 0;
	n = plan.count++;
	if (trace != NULL && plan.at == CALLS_MAX && n < CALLS_MAX) {
		trace->calls[n] = (uint8_t)call;
		trace->count = n + 1;
	}
	if (n == plan.at) {
		plan.hit = true;
		plan.kind = call;
		return plan.error;
	}
	return plan.hit && plan.lasting && call == plan.kind ? plan.error : 0;
}

static void arm(uint32_t at, int error, bool lasting)
{
	plan.at = at;
	plan.error = error;
	plan.lasting = lasting;
	plan.count = 0;
	plan.hit = false;
	plan.armed = true;
	tarn__plat_fault = decide;
}

static void disarm(void)
{
	plan.armed = false;
	tarn__plat_fault = NULL;
}

/* --- accounts ------------------------------------------------------------------------------ */

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_used(void)
{
	if (__sanitizer_get_current_allocated_bytes != NULL)
		return __sanitizer_get_current_allocated_bytes();

	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

struct account {
	struct harness_holdings held;
	size_t heap;
};

static void take_account(struct account *a)
{
	harness_holdings(fault_key(), &a->held);
	a->heap = heap_used();
}

/* The same with @more of what @base has less: what a case may keep. */
static void allow(struct account *base, const struct account *kept)
{
	if (kept->held.fd_count > base->held.fd_count)
		base->held.fd_count = kept->held.fd_count;
	if (kept->held.map_count > base->held.map_count)
		base->held.map_count = kept->held.map_count;
	if (kept->heap > base->heap)
		base->heap = kept->heap;
}

static bool more(const struct account *before, const struct account *after, char *buf, size_t size)
{
	if (harness_leaked(&before->held, &after->held, buf, size)[0] != '\0')
		return true;
	if (after->heap <= before->heap)
		return false;
	snprintf(buf, size, "%zu bytes of heap leaked", after->heap - before->heap);
	return true;
}

/* Is there more than @before? What a thread in the background has for a moment is none: it is
 * looked at again until that is over. */
static bool leaked(const struct account *before, char *buf, size_t size)
{
	struct account after;

	for (int look = 0; look < 100; look++) {
		take_account(&after);
		if (!more(before, &after, buf, size))
			return false;
		harness_sleep_us(5000);
	}
	return true;
}

/* --- one run ------------------------------------------------------------------------------- */

struct trial {
	const struct fault_case *c;
	uint32_t at;
	int error;
	bool lasting;
	struct account *kept; /* shared: after an undisturbed run, in the first child */
};

static int undisturbed(const struct fault_case *c, struct harness_report *report)
{
	char why[HARNESS_TEXT / 2];
	int r = c->run(report);

	snprintf(why, sizeof(why), "%.200s", r < 0 ? strerror(-r) : report->text);
	if (r != 0)
		return harness_say(report, FAULT_BROKEN, "undisturbed, it returned %d: %s", r, why);
	if (c->undo != NULL)
		c->undo();
	return 0;
}

/* Runs the case twice undisturbed, the first time recording its calls. */
static int learn(void *arg, struct harness_report *report)
{
	struct trial *t = arg;
	char what[HARNESS_TEXT - 32];
	int r;

	if (t->c->setup != NULL && t->c->setup(report) != 0)
		return FAULT_BROKEN;
	arm(CALLS_MAX, 0, false);
	r = t->c->run(report);
	disarm();
	if (r != 0)
		return harness_say(report, FAULT_BROKEN, "undisturbed, it returned %d", r);
	if (t->c->undo != NULL)
		t->c->undo();
	take_account(t->kept);
	if (undisturbed(t->c, report) != 0)
		return FAULT_BROKEN;
	if (leaked(t->kept, what, sizeof(what)))
		return harness_say(report, FAULT_BROKEN, "undisturbed, twice: %s", what);
	if (t->c->teardown != NULL)
		t->c->teardown();
	return 0;
}

/* 0: failed cleanly; 2: came through all the same; FAULT_BROKEN. */
static int disturb(void *arg, struct harness_report *report)
{
	struct trial *t = arg;
	struct account before;
	char what[HARNESS_TEXT - 32];
	int r;

	if (t->c->setup != NULL && t->c->setup(report) != 0)
		return FAULT_BROKEN;
	take_account(&before);
	allow(&before, t->kept);
	arm(t->at, t->error, t->lasting);
	r = t->c->run(report);
	disarm();
	if (r == FAULT_BROKEN)
		return FAULT_BROKEN;
	if (r > 0 || r < -4095)
		return harness_say(report, FAULT_BROKEN, "it returned %d", r);
	if (r == 0 && t->c->undo != NULL)
		t->c->undo();
	if (leaked(&before, what, sizeof(what)))
		return harness_say(report, FAULT_BROKEN, "it returned %d, and %s", r, what);
	if (t->c->sound != NULL && t->c->sound(report) != 0)
		return FAULT_BROKEN;
	if (undisturbed(t->c, report) != 0)
		return FAULT_BROKEN;
	if (leaked(&before, what, sizeof(what)))
		return harness_say(report, FAULT_BROKEN, "after the next, good run: %s", what);
	if (t->c->teardown != NULL)
		t->c->teardown();
	return r == 0 ? 2 : 0;
}

static void clean_host(void)
{
	harness_sweep_away("/dev/shm", fault_key());
}

/* --- the sweep ----------------------------------------------------------------------------- */

static struct harness_report *shared_report(void)
{
	static struct harness_report *report;

	if (report == NULL)
		report = harness_shared(sizeof(*report));
	return report;
}

static bool inject(struct trial *t, bool quiet, struct fault_total *sum)
{
	struct harness_report *report = shared_report();
	int r = harness_run(disturb, t, fault_seconds, report);

	sum->faults++;
	clean_host();
	if (r == 0 && report->code != FAULT_BROKEN) {
		sum->survived += report->code == 2;
		return true;
	}
	sum->violations++;
	if (!quiet)
		printf("# violation: %s, call %u (%s) %s with %s: %s\n", t->c->name, t->at,
		       tarn__plat_call_name(trace->calls[t->at]),
		       t->lasting ? "and all later fail" : "fails", strerrorname_np(t->error),
		       report->text);
	return false;
}

static void inject_all(struct trial *t, bool quiet, struct fault_total *sum)
{
	uint32_t count = trace->count;
	uint8_t calls[CALLS_MAX];

	memcpy(calls, trace->calls, sizeof(calls));
	for (t->at = 0; t->at < count; t->at++) {
		for (const int *e = fault_errors(calls[t->at]); *e != 0; e++) {
			t->error = *e;
			t->lasting = false;
			if (!inject(t, quiet, sum) && quiet)
				return;
			t->lasting = true;
			if (!inject(t, quiet, sum) && quiet)
				return;
		}
	}
}

uint64_t fault_sweep(const struct fault_case *c, bool quiet, struct fault_total *total)
{
	static struct account *kept;
	struct harness_report *report = shared_report();
	struct fault_total sum = { .cases = 1 };
	struct trial t = { .c = c };

	if (trace == NULL) {
		trace = harness_shared(sizeof(*trace));
		kept = harness_shared(sizeof(*kept));
	}
	t.kept = kept;
	trace->count = 0;
	fault_number++;
	clean_host();
	if (harness_run(learn, &t, fault_seconds, report) < 0 || report->code != 0) {
		sum.violations++;
		printf("# violation: %s: %s\n", c->name, report->text);
	} else {
		clean_host();
		sum.calls = trace->count;
		inject_all(&t, quiet, &sum);
	}
	clean_host();
	total->cases += sum.cases;
	total->calls += sum.calls;
	total->faults += sum.faults;
	total->survived += sum.survived;
	total->violations += sum.violations;
	return sum.violations;
}

void fault_begin(char **argv)
{
	/* glibc's per-thread cache counts what is free as used, and each thread has an arena */
	if (getenv("GLIBC_TUNABLES") == NULL) {
		setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1", 1);
		execv("/proc/self/exe", argv);
	}
	if (!harness_isolate())
		printf("# no private /dev/shm here: only names of this run are looked at\n");
}

int fault_main(int argc, char **argv, const struct fault_case *cases, int count)
{
	struct fault_total total = { 0 };

	fault_begin(argv);
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		struct fault_total one = { 0 };

		if (argc > 1 && strstr(cases[i].name, argv[1]) == NULL) {
			printf("ok %d - %s # SKIP not asked for\n", i + 1, cases[i].name);
			continue;
		}
		fault_sweep(&cases[i], false, &one);
		/* a case that makes no call proves nothing, unless it was to make none */
		printf("%sok %d - %s_%s # %llu calls, %llu faults, %llu without "
		       "effect\n",
		       one.violations == 0 && (one.calls == 0) == cases[i].no_calls ? "" : "not ",
		       i + 1, cases[i].name,
		       cases[i].no_calls ? "makes_no_system_call" : "survives_every_fault",
		       (unsigned long long)one.calls, (unsigned long long)one.faults,
		       (unsigned long long)one.survived);
		fflush(stdout);
		total.calls += one.calls;
		total.faults += one.faults;
		total.violations += one.violations;
	}
	printf("# fault: %d cases, %llu calls, %llu faults, %llu violations\n", count,
	       (unsigned long long)total.calls, (unsigned long long)total.faults,
	       (unsigned long long)total.violations);
	return total.violations != 0;
}

/* --- for the cases ------------------------------------------------------------------------- */

int fault_timed(int r, int64_t deadline, struct harness_report *report)
{
	if (r == 0)
		return harness_say(report, FAULT_BROKEN, "there was nothing to wait for");
	if (r == -ETIMEDOUT && harness_now() < deadline)
		return harness_say(report, FAULT_BROKEN, "-ETIMEDOUT before the deadline");
	if (harness_now() > deadline + INT64_C(5000000000))
		return harness_say(report, FAULT_BROKEN, "long past the deadline");
	return r == -ETIMEDOUT ? 0 : r;
}

int fault_told(int r, bool touched, const struct tarn_diag *diag, struct harness_report *report)
{
	if (r < 0 && touched)
		return harness_say(report, FAULT_BROKEN, "it failed, and the handle was touched");
	if (r < 0 && diag->what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	return r;
}

int fault_forked(struct harness_report *report)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return harness_say(report, -1, "setup: fork");
	if (pid == 0)
		return 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		abort();
	_exit(WEXITSTATUS(status));
}
