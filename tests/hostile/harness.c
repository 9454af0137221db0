/* SPDX-License-Identifier: BSD-2-Clause */
/* harness.c - start victims and peer, watch, and judge. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

static void give_up(const char *what)
{
	perror(what);
	abort();
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void hostile_enter(struct hostile_arena *arena, unsigned index, const char *op)
{
	atomic_store_explicit(&arena->shared->victim[index].op, op, memory_order_relaxed);
	atomic_fetch_add_explicit(&arena->shared->victim[index].calls, 1, memory_order_relaxed);
}

void hostile_lie(struct hostile_arena *arena, const char *op, const char *what, int64_t number)
{
	struct hostile_shared *shared = arena->shared;

	if (atomic_exchange(&shared->said, 1) == 0)
		snprintf(shared->text, sizeof(shared->text), "%s: %s (%lld)", op, what,
			 (long long)number);
	_exit(3);
}

int hostile_leave(struct hostile_arena *arena, unsigned index, int r, const int *allowed)
{
	if (r >= 0)
		return r;
	atomic_fetch_add_explicit(&arena->shared->victim[index].errors, 1, memory_order_relaxed);
	for (; *allowed != 0; allowed++) {
		if (-r == *allowed)
			return r;
	}
	hostile_lie(arena, atomic_load(&arena->shared->victim[index].op),
		    "an error that its header does not name", r);
	return r;
}

bool hostile_over(const struct hostile_arena *arena)
{
	return atomic_load_explicit(&arena->shared->stop, memory_order_relaxed) != 0;
}

/* --- the judge ------------------------------------------------------------------------------- */

struct watch {
	struct hostile_arena arena;
	const struct hostile_plan *plan;
	struct hostile_result *result;
	pid_t victims[HOSTILE_VICTIM_MAX], peer;
	uint64_t calls_seen[HOSTILE_VICTIM_MAX];
	double moved[HOSTILE_VICTIM_MAX];
};

/* cmocka takes a crash for a failed test and goes on with the next, in this child too. */
static void die_as_usual(void)
{
	static const int signals[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		(void)signal(signals[i], SIG_DFL);
}

/* Fork a process that dies with this one, and as any other would. Returns 0 in the child. */
pid_t hostile_fork(void)
{
	pid_t parent = getpid(), child;

	fflush(NULL);
	child = fork();
	if (child < 0)
		give_up("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		die_as_usual();
	}
	return child;
}

static void start_all(struct watch *w)
{
	for (unsigned i = 0; i < HOSTILE_VICTIM_MAX; i++) {
		if (w->plan->victims[i] == NULL)
			continue;
		w->moved[i] = now();
		w->victims[i] = hostile_fork();
		if (w->victims[i] == 0) {
			w->plan->victims[i](&w->arena, i);
			exit(0); /* by exit(), so that what leaked is found too */
		}
	}
	w->peer = hostile_fork();
	if (w->peer == 0) {
		w->plan->attack(&w->arena);
		_exit(0);
	}
}

static const char *op_of(const struct watch *w, unsigned i)
{
	const char *op = atomic_load(&w->arena.shared->victim[i].op);

	return op != NULL ? op : "its beginning";
}

static void judge_end(struct watch *w, unsigned i, int status)
{
	struct hostile_result *result = w->result;

	w->victims[i] = 0;
	if (status == 0 || result->verdict != HOSTILE_CALM)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
		result->verdict = HOSTILE_LIED;
		snprintf(result->text, sizeof(result->text), "%s", w->arena.shared->text);
		return;
	}
	result->verdict = HOSTILE_DIED;
	snprintf(result->text, sizeof(result->text), "victim %u ended in %s by %s %d (seed %llu)",
		 i, op_of(w, i), WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		 (unsigned long long)w->plan->seed);
}

static void judge_progress(struct watch *w, unsigned i)
{
	uint64_t calls = atomic_load(&w->arena.shared->victim[i].calls);
	double patience = w->plan->stuck_seconds > 0 ? w->plan->stuck_seconds : STUCK_SECONDS;

	if (calls != w->calls_seen[i]) {
		w->calls_seen[i] = calls;
		w->moved[i] = now();
	} else if (now() - w->moved[i] > patience && w->result->verdict == HOSTILE_CALM) {
		w->result->verdict = HOSTILE_STUCK;
		snprintf(w->result->text, sizeof(w->result->text),
			 "victim %u did not come back from %s for %.0f s (seed %llu)", i,
			 op_of(w, i), patience, (unsigned long long)w->plan->seed);
	}
}

/* How many victims still run. */
static unsigned look(struct watch *w)
{
	unsigned running = 0;

	for (unsigned i = 0; i < HOSTILE_VICTIM_MAX; i++) {
		int status = 0;

		if (w->victims[i] <= 0)
			continue;
		if (waitpid(w->victims[i], &status, WNOHANG) == w->victims[i]) {
			judge_end(w, i, status);
			continue;
		}
		judge_progress(w, i);
		running++;
	}
	return running;
}

static void end_all(struct watch *w)
{
	for (unsigned i = 0; i < HOSTILE_VICTIM_MAX; i++) {
		if (w->victims[i] <= 0)
			continue;
		kill(w->victims[i], SIGKILL);
		waitpid(w->victims[i], NULL, 0);
	}
	kill(w->peer, SIGKILL);
	waitpid(w->peer, NULL, 0);
}

static void sum_up(struct watch *w)
{
	struct hostile_shared *shared = w->arena.shared;

	w->result->attacks = atomic_load(&shared->attacks);
	for (unsigned i = 0; i < HOSTILE_VICTIM_MAX; i++) {
		w->result->calls += atomic_load(&shared->victim[i].calls);
		w->result->errors += atomic_load(&shared->victim[i].errors);
	}
}

static void prepare(struct watch *w)
{
	struct hostile_arena *arena = &w->arena;
	unsigned char *image;

	arena->seed = w->plan->seed;
	arena->shared = mmap(NULL, sizeof(*arena->shared), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (arena->shared == MAP_FAILED)
		give_up("mmap");
	arena->fd = victims_region(w->plan->listened, w->plan->topics, &arena->size);
	image = malloc(arena->size);
	if (image == NULL || pread(arena->fd, image, arena->size, 0) != (ssize_t)arena->size)
		give_up("image");
	arena->image = image;
}

void hostile_run(const struct hostile_plan *plan, struct hostile_result *ret_result)
{
	struct watch w = { .plan = plan, .result = ret_result };
	double end = now() + plan->seconds;
	unsigned running;

	memset(ret_result, 0, sizeof(*ret_result));
	prepare(&w);
	start_all(&w);
	do {
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
		if (now() >= end)
			atomic_store(&w.arena.shared->stop, 1);
		running = look(&w);
	} while (running > 0 && ret_result->verdict == HOSTILE_CALM);
	end_all(&w);
	sum_up(&w);
	free((void *)(uintptr_t)w.arena.image);
	close(w.arena.fd);
	munmap(w.arena.shared, sizeof(*w.arena.shared));
}
