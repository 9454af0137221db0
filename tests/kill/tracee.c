/* SPDX-License-Identifier: BSD-2-Clause */
/* tracee.c - single steps and kills by ptrace. See tracee.h. */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracee.h"

enum {
	NOT_PREPARED = 43, /* exit status: prepare() failed */
	CALL_STOP = SIGTRAP | 0x80,
	STUCK_MS = 15000, /* a system call that takes longer never ends */
};

#if KILL_CAN_STEP

extern const char kill_mark_end[]; /* the address of the second int3 */

/* One copy of each, or there would be two symbols. */
#ifdef __clang__
#define ONE_COPY __attribute__((noinline, noduplicate))
#else
#define ONE_COPY __attribute__((noinline, noclone))
#endif

static ONE_COPY void mark_begin(void)
{
	__asm__ volatile("int3" ::: "memory");
}

static ONE_COPY void mark_end(void)
{
	__asm__ volatile(".globl kill_mark_end\nkill_mark_end:\n\tint3" ::: "memory");
}

static void child_main(struct kill_world *world, kill_fn *prepare, kill_fn *op,
		       struct harness_report *report)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	report->code = prepare != NULL ? prepare(world, report) : 0;
	if (report->code != 0)
		_exit(NOT_PREPARED);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	mark_begin();
	report->code = op(world, report);
	mark_end();
	_exit(0);
}

static uintptr_t ip_of(pid_t pid)
{
	return (uintptr_t)ptrace(PTRACE_PEEKUSER, pid,
				 (void *)offsetof(struct user_regs_struct, rip), NULL);
}

/* Wait for a stop; false if the child is gone instead. */
static bool wait_stop(struct tracee *t, int *ret_status)
{
	while (waitpid(t->pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFSTOPPED(*ret_status);
}

static enum tracee_event gone(struct tracee *t, int status)
{
	t->pid = -1;
	if (WIFSIGNALED(status))
		harness_say(t->report, -1, "the operation died of %s", strsignal(WTERMSIG(status)));
	else if (t->report->text[0] == '\0')
		harness_say(t->report, -1, "the operation ended with status %d",
			    WEXITSTATUS(status));
	return TRACEE_DIED;
}

int tracee_start(struct tracee *t, struct kill_world *world, kill_fn *prepare, kill_fn *op,
		 struct harness_report *report)
{
	int status = 0;

	t->report = report;
	t->step = t->rest = 0;
	t->calls = t->waits = 0;
	t->signal = 0;
	t->was_call = t->asleep = false;
	report->code = 0;
	report->text[0] = '\0';
	t->pid = fork();
	if (t->pid == 0)
		child_main(world, prepare, op, report);
	if (t->pid < 0)
		return harness_say(report, -1, "fork: %s", strerror(errno));
	if (!wait_stop(t, &status)) {
		if (report->text[0] == '\0')
			harness_say(report, -1, "prepare returned %d (status %x)", report->code,
				    (unsigned)status);
		t->pid = -1;
		return -1;
	}
	ptrace(PTRACE_SETOPTIONS, t->pid, NULL,
	       (void *)(uintptr_t)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
	t->ip = ip_of(t->pid);
	return 0;
}

/* Is the next instruction a system call, and one that waits for a futex? */
static bool at_call(const struct tracee *t, bool *ret_sleeps)
{
	struct user_regs_struct regs;
	long code = ptrace(PTRACE_PEEKTEXT, t->pid, (void *)t->ip, NULL);

	*ret_sleeps = false;
	if ((code & 0xffff) != 0x050f) /* syscall */
		return false;
	ptrace(PTRACE_GETREGS, t->pid, NULL, &regs);

	unsigned op = (unsigned)regs.rsi & (unsigned)FUTEX_CMD_MASK;

	*ret_sleeps = regs.rax == 449 ||
		      (regs.rax == SYS_futex && (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET));
	return true;
}

/* Has it stopped, or is it asleep? 1 stopped, 0 asleep, -1 gone or stuck. */
static int stopped_or_asleep(struct tracee *t, int *ret_status)
{
	int64_t deadline = harness_now() + (int64_t)STUCK_MS * 1000000;

	for (int looks = 0; harness_now() < deadline; looks++) {
		pid_t r = waitpid(t->pid, ret_status, WNOHANG);

		if (r == t->pid)
			return WIFSTOPPED(*ret_status) ? 1 : -1;
		if (r < 0 && errno != EINTR)
			return -1;
		/* looked at twice: a wait that returns at once is no sleep */
		if (looks > 2 && harness_in_futex(t->pid))
			return 0;
		harness_sleep_us(50);
	}
	kill(t->pid, SIGKILL);
	waitpid(t->pid, ret_status, 0);
	harness_say(t->report, -1, "a system call did not come back");
	return -1;
}

/* Let it be woken, and wait until it has come out of the kernel. */
static bool wake_up(struct tracee *t, int *ret_status)
{
	int64_t deadline = harness_now() + (int64_t)STUCK_MS * 1000000;
	void (*on_sleep)(void *arg) = t->on_sleep;

	t->asleep = false;
	t->on_sleep = NULL; /* once a run */
	if (on_sleep != NULL)
		on_sleep(t->on_sleep_arg);
	while (waitpid(t->pid, ret_status, WNOHANG) != t->pid) {
		if (harness_now() >= deadline) {
			kill(t->pid, SIGKILL);
			waitpid(t->pid, ret_status, 0);
			harness_say(t->report, -1, "the operation slept for ever");
			return false;
		}
		harness_sleep_us(50);
	}
	return WIFSTOPPED(*ret_status);
}

static enum tracee_event stepped(struct tracee *t, int status, bool call)
{
	int sig = WSTOPSIG(status);

	t->signal = sig == SIGTRAP || sig == CALL_STOP ? 0 : sig;
	t->ip = ip_of(t->pid);
	t->was_call = call;
	if (t->signal == 0) {
		t->step++;
		t->rest = call ? 0 : t->rest + 1;
		t->calls += call;
	}
	return t->ip == (uintptr_t)kill_mark_end ? TRACEE_ENDED : TRACEE_STEPPED;
}

enum tracee_event tracee_step(struct tracee *t)
{
	bool sleeps = false;
	bool call = true;
	int status = 0;

	if (t->asleep) {
		if (!wake_up(t, &status))
			return gone(t, status);
		return stepped(t, status, true);
	}
	call = at_call(t, &sleeps);
	t->waits += sleeps;
	ptrace(PTRACE_SINGLESTEP, t->pid, NULL, (void *)(intptr_t)t->signal);
	if (sleeps) {
		int r = stopped_or_asleep(t, &status);

		if (r < 0)
			return gone(t, status);
		if (r == 0) {
			t->asleep = true;
			return TRACEE_ASLEEP;
		}
	} else if (!wait_stop(t, &status)) {
		return gone(t, status);
	}
	return stepped(t, status, call);
}

/* Go on to the next stop at a system call: its entry, or its exit. */
static enum tracee_event to_call_stop(struct tracee *t, int *ret_status)
{
	for (;;) {
		ptrace(PTRACE_SYSCALL, t->pid, NULL, (void *)(intptr_t)t->signal);
		if (!wait_stop(t, ret_status))
			return gone(t, *ret_status);

		int sig = WSTOPSIG(*ret_status);

		if (sig == CALL_STOP)
			return TRACEE_STEPPED;
		if (sig == SIGTRAP && ip_of(t->pid) == (uintptr_t)kill_mark_end + 1)
			return TRACEE_ENDED;
		t->signal = sig == SIGTRAP ? 0 : sig;
	}
}

/* At the entry of a system call: is it a futex wait? */
static bool entry_sleeps(const struct tracee *t)
{
	struct user_regs_struct regs;

	ptrace(PTRACE_GETREGS, t->pid, NULL, &regs);

	unsigned op = (unsigned)regs.rsi & (unsigned)FUTEX_CMD_MASK;

	return regs.orig_rax == 449 ||
	       (regs.orig_rax == SYS_futex && (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET));
}

enum tracee_event tracee_run_calls(struct tracee *t, uint32_t calls)
{
	while (t->calls < calls) {
		int status = 0;
		enum tracee_event e = to_call_stop(t, &status);

		if (e != TRACEE_STEPPED)
			return e;
		if (entry_sleeps(t)) {
			t->signal = 0;
			ptrace(PTRACE_SYSCALL, t->pid, NULL, NULL);

			int r = stopped_or_asleep(t, &status);

			if (r < 0 || (r == 0 && !wake_up(t, &status)))
				return gone(t, status);
		} else {
			e = to_call_stop(t, &status);
			if (e != TRACEE_STEPPED)
				return e;
		}
		t->calls++;
		t->rest = 0;
		t->was_call = true;
	}
	t->signal = 0;
	t->ip = ip_of(t->pid);
	return TRACEE_STEPPED;
}

enum tracee_event tracee_enter_sleep(struct tracee *t)
{
	int status = 0;
	enum tracee_event e = to_call_stop(t, &status);

	if (e != TRACEE_STEPPED)
		return e;
	ptrace(PTRACE_SYSCALL, t->pid, NULL, NULL);

	int r = stopped_or_asleep(t, &status);

	if (r < 0)
		return gone(t, status);
	t->asleep = r == 0;
	return r == 0 ? TRACEE_ASLEEP : TRACEE_STEPPED;
}

/* Wait for a stop until @deadline. False: it is gone, or was killed since it did not come. */
static bool wait_stop_until(struct tracee *t, int64_t deadline, int *ret_status)
{
	for (;;) {
		pid_t r = waitpid(t->pid, ret_status, WNOHANG);

		if (r == t->pid)
			return WIFSTOPPED(*ret_status);
		if (harness_now() >= deadline)
			break;
		harness_sleep_us(50);
	}
	kill(t->pid, SIGKILL);
	waitpid(t->pid, ret_status, 0);
	return false;
}

enum tracee_event tracee_finish(struct tracee *t, int64_t ms)
{
	int64_t deadline = harness_now() + ms * 1000000;
	int status = 0;

	/* asleep: it is under way already, and will stop when it comes out of the kernel */
	for (bool goes = t->asleep;; goes = false) {
		if (!goes && ip_of(t->pid) == (uintptr_t)kill_mark_end + 1)
			return TRACEE_ENDED;
		if (!goes)
			ptrace(PTRACE_CONT, t->pid, NULL, (void *)(intptr_t)t->signal);
		t->asleep = false;
		if (!wait_stop_until(t, deadline, &status))
			return gone(t, status);
		t->signal = WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == CALL_STOP
				    ? 0
				    : WSTOPSIG(status);
	}
}

#else /* no single step here */

int tracee_start(struct tracee *t, struct kill_world *world, kill_fn *prepare, kill_fn *op,
		 struct harness_report *report)
{
	(void)world, (void)prepare, (void)op;
	t->pid = -1;
	return harness_say(report, -1, "no single stepping on this architecture");
}

enum tracee_event tracee_step(struct tracee *t)
{
	(void)t;
	return TRACEE_DIED;
}

enum tracee_event tracee_run_calls(struct tracee *t, uint32_t calls)
{
	(void)t, (void)calls;
	return TRACEE_DIED;
}

enum tracee_event tracee_finish(struct tracee *t, int64_t ms)
{
	(void)t, (void)ms;
	return TRACEE_DIED;
}

enum tracee_event tracee_enter_sleep(struct tracee *t)
{
	(void)t;
	return TRACEE_DIED;
}

#endif

void tracee_kill(struct tracee *t)
{
	int status;

	if (t->pid <= 0)
		return;
	kill(t->pid, SIGKILL);
	while (waitpid(t->pid, &status, 0) < 0 && errno == EINTR)
		;
	t->pid = -1;
}
