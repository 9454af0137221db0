/* SPDX-License-Identifier: BSD-2-Clause */
/* tracee.c - single steps and kills by ptrace. See tracee.h. */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
	t->was_call = t->asleep = t->looked = t->guarded = false;
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

/* --- store by store ------------------------------------------------------------------------ */

extern const char kill_call_stub[];

/* Never called: where system calls are made that the child does not know of. */
__attribute__((used)) static ONE_COPY void call_stub(void)
{
	__asm__ volatile(".globl kill_call_stub\nkill_call_stub:\n\tsyscall\n\tint3" ::: "memory");
}

/* Have the child, which stands outside the kernel, make a system call. False: it is gone. */
static bool inject(struct tracee *t, long number, uintptr_t a, size_t b, unsigned long c)
{
	struct user_regs_struct regs, call;
	int status = 0;

	ptrace(PTRACE_GETREGS, t->pid, NULL, &regs);
	call = regs;
	call.rip = (uintptr_t)kill_call_stub;
	call.rax = (unsigned long)number;
	call.orig_rax = (unsigned long)-1; /* nothing is to be restarted */
	call.rdi = a;
	call.rsi = b;
	call.rdx = c;
	ptrace(PTRACE_SETREGS, t->pid, NULL, &call);
	ptrace(PTRACE_CONT, t->pid, NULL, NULL);
	if (!wait_stop(t, &status))
		return false;
	ptrace(PTRACE_SETREGS, t->pid, NULL, &regs);
	return WSTOPSIG(status) == SIGTRAP;
}

/* All that is mapped shared and writable, but what the harness shares with it. */
static void look_at_maps(struct tracee *t)
{
	char path[32], line[512];

	snprintf(path, sizeof(path), "/proc/%d/maps", t->pid);
	t->range_count = 0;
	t->looked = true;

	FILE *maps = fopen(path, "re");

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		unsigned long start, end;
		char rights[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) != 3 || rights[1] != 'w' ||
		    rights[3] != 's' || strstr(line, "/dev/zero (deleted)") != NULL)
			continue;
		if (t->range_count == TRACEE_RANGES) {
			fprintf(stderr, "kill: more than %d shared mappings\n", TRACEE_RANGES);
			exit(2);
		}
		t->ranges[t->range_count++] = (struct tracee_range){ start, end - start };
	}
	if (maps != NULL)
		fclose(maps);
}

static bool guard(struct tracee *t, bool on)
{
	if (t->guarded == on)
		return true;
	if (on && !t->looked)
		look_at_maps(t);
	for (int i = 0; i < t->range_count; i++)
		if (!inject(t, SYS_mprotect, t->ranges[i].at, t->ranges[i].size,
			    on ? PROT_READ : PROT_READ | PROT_WRITE))
			return false;
	t->guarded = on;
	return true;
}

/* It has stopped for a signal: since it stores where it must not? */
static bool at_store(const struct tracee *t)
{
	siginfo_t info = { 0 };

	if (ptrace(PTRACE_GETSIGINFO, t->pid, NULL, &info) < 0 || info.si_signo != SIGSEGV ||
	    info.si_code <= 0)
		return false;
	for (int i = 0; i < t->range_count; i++)
		if ((uintptr_t)info.si_addr - t->ranges[i].at < t->ranges[i].size)
			return true;
	return false;
}

/* It stands at the entry of a system call: take it back to in front of it. */
static bool before_call(struct tracee *t)
{
	struct user_regs_struct regs;
	int status = 0;

	ptrace(PTRACE_GETREGS, t->pid, NULL, &regs);

	unsigned long number = regs.orig_rax;

	regs.orig_rax = (unsigned long)-1; /* no such call: the kernel does nothing */
	ptrace(PTRACE_SETREGS, t->pid, NULL, &regs);
	ptrace(PTRACE_SYSCALL, t->pid, NULL, NULL);
	if (!wait_stop(t, &status))
		return false;
	regs.rip -= 2;
	regs.rax = number;
	ptrace(PTRACE_SETREGS, t->pid, NULL, &regs);
	t->ip = (uintptr_t)regs.rip;
	t->looked = false; /* it may map */
	return true;
}

enum tracee_event tracee_store(struct tracee *t)
{
	int64_t deadline = harness_now() + (int64_t)STUCK_MS * 1000000;
	int status = 0;

	if (t->asleep)
		return tracee_step(t);
	if (!guard(t, true))
		return gone(t, status);
	for (;;) {
		ptrace(PTRACE_SYSCALL, t->pid, NULL, (void *)(intptr_t)t->signal);
		t->signal = 0;
		if (!wait_stop_until(t, deadline, &status))
			return gone(t, status);

		int sig = WSTOPSIG(status);

		if (sig == SIGTRAP && ip_of(t->pid) == (uintptr_t)kill_mark_end + 1) {
			t->step++;
			t->rest++;
			t->ip = (uintptr_t)kill_mark_end;
			return guard(t, false) ? TRACEE_ENDED : gone(t, status);
		}
		if (sig == CALL_STOP && !before_call(t))
			return gone(t, status);
		if (sig == CALL_STOP || at_store(t)) {
			if (!guard(t, false))
				return gone(t, status);
			t->ip = ip_of(t->pid);
			return tracee_step(t);
		}
		t->signal = sig == SIGTRAP ? 0 : sig;
	}
}

/* --- to a place ---------------------------------------------------------------------------- */

/* Step over the breakpoint, where @code stands otherwise. */
static bool step_over(struct tracee *t, uintptr_t ip, long code)
{
	enum tracee_event e;

	ptrace(PTRACE_POKETEXT, t->pid, (void *)ip, (void *)code);
	e = tracee_step(t);
	return e == TRACEE_STEPPED;
}

bool tracee_run_to(struct tracee *t, uintptr_t ip, uint64_t hits)
{
	int64_t deadline = harness_now() + (int64_t)STUCK_MS * 1000000;
	int status = 0;
	long code;

	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, t->pid, (void *)ip, NULL);
	if (errno != 0)
		return false;

	long trap = (long)(((unsigned long)code & ~0xfful) | 0xcc);

	if (ptrace(PTRACE_POKETEXT, t->pid, (void *)ip, (void *)trap) < 0)
		return false;
	/* where it stands now does not count */
	if (t->ip == ip && (!step_over(t, ip, code) ||
			    ptrace(PTRACE_POKETEXT, t->pid, (void *)ip, (void *)trap) < 0))
		return true;
	while (hits > 0) {
		ptrace(PTRACE_SYSCALL, t->pid, NULL, (void *)(intptr_t)t->signal);
		t->signal = 0;
		if (!wait_stop_until(t, deadline, &status)) {
			t->pid = -1;
			return true;
		}

		int sig = WSTOPSIG(status);

		if (sig == SIGTRAP && ip_of(t->pid) == ip + 1) {
			ptrace(PTRACE_POKEUSER, t->pid,
			       (void *)offsetof(struct user_regs_struct, rip), (void *)ip);
			t->ip = ip;
			if (--hits > 0 &&
			    (!step_over(t, ip, code) ||
			     ptrace(PTRACE_POKETEXT, t->pid, (void *)ip, (void *)trap) < 0))
				return true;
		} else if (sig == SIGTRAP || sig == CALL_STOP) {
			break; /* it came another way */
		} else {
			t->signal = sig;
		}
	}
	ptrace(PTRACE_POKETEXT, t->pid, (void *)ip, (void *)code);
	return true;
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

enum tracee_event tracee_store(struct tracee *t)
{
	(void)t;
	return TRACEE_DIED;
}

bool tracee_run_to(struct tracee *t, uintptr_t ip, uint64_t hits)
{
	(void)t, (void)ip, (void)hits;
	return false;
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
