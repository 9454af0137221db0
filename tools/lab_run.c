/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab_run.c - one run of a learner's program, from its start to the end of its last process.
 *
 * Its standard output is a pseudo-terminal, so that lines come when they are printed and not when
 * the buffer of the C library is full; standard error is a pipe; standard input is empty.
 *
 * After a crash: if this process dies the kernel ends all that is traced (PTRACE_O_EXITKILL). What
 * gets out of tracing falls to this process as its subreaper, and is ended with the others.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"

enum { GRACE_MS = 1500 };

int64_t lab_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* xorshift64: a run can be had again by its seed. */
uint64_t lab_random(struct lab_run *run, uint64_t below)
{
	uint64_t x = run->seed != 0 ? run->seed : 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	run->seed = x;
	return below > 0 ? (x >> 11) % below : 0;
}

/* --- output -------------------------------------------------------------------------------- */

/* A line is whole when its process has ended it: what others print meanwhile is theirs. */
static void end_line(struct lab_run *run, struct lab_part *part, pid_t pid)
{
	if (run->line_count == LAB_LINES || run->output_size + part->size + 1 > LAB_OUTPUT) {
		run->flooded = true;
		return;
	}

	struct lab_line *line = &run->lines[run->line_count++];

	*line = (struct lab_line){ pid, run->output_size, part->size };
	memcpy(run->output + run->output_size, part->text, part->size);
	run->output_size += part->size + 1;
	part->size = 0;
	lab_line_printed(run, line);
}

static void take_bytes(struct lab_run *run, const char *bytes, size_t size)
{
	struct lab_task *task = lab_task(run, run->writer);
	struct lab_part *part = task != NULL ? &task->part : &run->part;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n')
			end_line(run, part, task != NULL ? task->pid : 0);
		else if (part->size < sizeof(part->text))
			part->text[part->size++] = bytes[i];
	}
}

void lab_drain(struct lab_run *run)
{
	char bytes[4096];
	ssize_t got;

	while ((got = read(run->tty, bytes, sizeof(bytes))) > 0) {
		run->printed_size += (size_t)got;
		run->flooded |= run->printed_size > LAB_OUTPUT;
		if (!run->flooded)
			take_bytes(run, bytes, (size_t)got);
	}
	while ((got = read(run->err_fd, bytes, sizeof(bytes))) > 0) {
		size_t room = 4096 - run->error_size;
		size_t take = (size_t)got < room ? (size_t)got : room;

		memcpy(run->errors + run->error_size, bytes, take);
		run->error_size += take;
	}
}

/* --- start --------------------------------------------------------------------------------- */

static int open_terminal(struct lab_run *run)
{
	struct termios raw;
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;

	if (fd < 0)
		return -errno;
	if (grantpt(fd) != 0 || unlockpt(fd) != 0 ||
	    ptsname_r(fd, run->tty_name, sizeof(run->tty_name)) != 0 ||
	    (slave = open(run->tty_name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	run->tty = fd;
	return slave;
}

/* In the child: never returns. */
static void become(struct lab_run *run, int slave, int err, int go, int failed)
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);
	char byte;

	setsid();
	dup2(null, 0);
	dup2(slave, 1);
	dup2(err, 2);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	if (read(go, &byte, 1) != 1)
		_exit(127);

	int error = run->filtered ? -lab_filter_set() : 0;

	if (error == 0) {
		execvp(run->argv[0], run->argv);
		error = errno;
	}

	if (write(failed, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

static const long trace_options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
				  PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT |
				  PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL;

static int start_child(struct lab_run *run, int slave, int failed[2])
{
	int err[2], go[2];

	if (pipe2(err, O_CLOEXEC) != 0)
		return -errno;
	if (pipe2(go, O_CLOEXEC) != 0) {
		close(err[0]);
		close(err[1]);
		return -errno;
	}
	fflush(NULL);

	pid_t pid = fork();

	if (pid == 0)
		become(run, slave, err[1], go[0], failed[1]);
	close(err[1]);
	close(go[0]);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	run->err_fd = err[0];
	run->main_pid = pid;
	if (pid > 0 && ptrace(PTRACE_SEIZE, pid, 0, trace_options) != 0) {
		run->error = -errno;
		run->trace_failed = true;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	} else if (pid > 0) {
		lab_task_add(run, pid, getpid());
		if (write(go[1], "", 1) != 1)
			kill(pid, SIGKILL);
	} else {
		run->error = -errno;
	}
	close(go[1]);
	return run->error;
}

/* --- the end ------------------------------------------------------------------------------- */

void lab_kill(struct lab_run *run)
{
	run->killing = true;
	run->stepping = false;
	for (int i = 0; i < run->task_count; i++) {
		if (run->tasks[i].alive)
			kill(run->tasks[i].pid, SIGKILL);
	}
}

/* What is a child of this process and is no task: it got out of tracing. */
static bool kill_children(const struct lab_run *run)
{
	char path[64];
	FILE *file;
	int pid;
	bool any = false;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	file = fopen(path, "re");
	while (file != NULL && fscanf(file, "%d", &pid) == 1) {
		kill(pid, SIGKILL);
		any = true;
	}
	if (file != NULL)
		fclose(file);
	(void)run;
	return any;
}

/* Nothing of the program lives when this returns. */
static void end_all(struct lab_run *run)
{
	int64_t until = lab_now() + 5 * INT64_C(1000000000);

	lab_kill(run);
	while (lab_now() < until) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);

		if (tid > 0) {
			lab_on_status(run, tid, status);
			continue;
		}
		if (tid < 0 && errno == ECHILD)
			return;
		lab_kill(run);
		kill_children(run);
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
}

static void note_stuck(struct lab_run *run)
{
	size_t at = 0;

	for (int i = 0; i < run->task_count && at + 100 < sizeof(run->stuck); i++) {
		const struct lab_task *task = &run->tasks[i];

		if (task->alive)
			at += (size_t)snprintf(run->stuck + at, sizeof(run->stuck) - at,
					       "%s%s %d %s", at > 0 ? "; " : "",
					       task->pid == run->main_pid ? "the program, process"
									  : "process",
					       task->tid, lab_call_words(task));
	}
}

/* --- the loop ------------------------------------------------------------------------------ */

static void wait_for_news(struct lab_run *run)
{
	struct pollfd fds[] = { { .fd = run->tty, .events = POLLIN },
				{ .fd = run->err_fd, .events = POLLIN },
				{ .fd = run->signal_fd, .events = POLLIN } };
	struct signalfd_siginfo news;

	/* Ends that are closed would be news for ever. */
	for (int i = 0; i < 2; i++) {
		struct pollfd one = { .fd = fds[i].fd, .events = POLLIN };

		if (poll(&one, 1, 0) == 1 && (one.revents & POLLIN) == 0)
			fds[i].fd = -1;
	}
	poll(fds, 3, lab_now() < run->tight_until_ns ? 0 : run->mode == LAB_WATCH ? 20 : 2);
	while (read(run->signal_fd, &news, sizeof(news)) > 0)
		continue;
}

/* False: there was nothing to take. */
static bool take_one(struct lab_run *run)
{
	int status;
	pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);

	if (tid > 0)
		lab_on_status(run, tid, status);
	else if (tid < 0 && errno == ECHILD)
		run->alive_count = 0;
	return tid > 0;
}

static bool limits_reached(struct lab_run *run)
{
	if (lab_now() > run->deadline_ns) {
		run->timed_out = true;
		note_stuck(run);
	}
	return run->timed_out || run->bomb || run->flooded;
}

static bool all_sleep(const struct lab_run *run)
{
	for (int i = 0; i < run->task_count; i++) {
		if (run->tasks[i].alive && lab_state(run->tasks[i].tid) != 'S')
			return false;
	}
	return true;
}

static void loop(struct lab_run *run)
{
	int64_t grace = 0;

	while (run->alive_count > 0 && !limits_reached(run)) {
		bool took = take_one(run);

		lab_drain(run);
		lab_hold_look(run);
		if (lab_step_ready(run))
			lab_step(run);
		else if (!took)
			wait_for_news(run);
		if (!run->ended)
			continue;
		/* Helpers of a language's library end a moment after the program. */
		grace = grace != 0 ? grace : lab_now() + GRACE_MS * INT64_C(1000000);
		if (lab_now() > grace &&
		    (lab_now() > 6 * GRACE_MS * INT64_C(1000000) + grace || all_sleep(run))) {
			run->left_running = run->alive_count;
			note_stuck(run);
			return;
		}
	}
}

static void on_tick(int sig)
{
	(void)sig;
}

struct host_state {
	sigset_t mask;
	struct sigaction alarm;
	cpu_set_t cpus;
	bool pinned;
};

/* By turns on one processor: a step then costs a switch, and not a wake-up from afar. */
static void prepare(struct lab_run *run, struct host_state *ret_state)
{
	struct sigaction tick = { .sa_handler = on_tick };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &ret_state->mask);
	run->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigaction(SIGALRM, &tick, &ret_state->alarm);
	setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 2000 }, { 0, 2000 } }, NULL);
	ret_state->pinned = run->mode == LAB_STEP &&
			    sched_getaffinity(0, sizeof(cpu_set_t), &ret_state->cpus) == 0;
	if (!ret_state->pinned)
		return;

	cpu_set_t one;
	int cpu = sched_getcpu();

	CPU_ZERO(&one);
	CPU_SET((unsigned)(cpu >= 0 ? cpu : 0), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void restore(struct lab_run *run, const struct host_state *state)
{
	struct signalfd_siginfo news;

	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	if (state->pinned)
		sched_setaffinity(0, sizeof(cpu_set_t), &state->cpus);
	while (read(run->signal_fd, &news, sizeof(news)) > 0)
		continue;
	sigaction(SIGALRM, &state->alarm, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	close(run->signal_fd);
	sigprocmask(SIG_SETMASK, &state->mask, NULL);
}

static void run_traced(struct lab_run *run, int slave)
{
	int failed[2], error;

	if (pipe2(failed, O_CLOEXEC | O_NONBLOCK) != 0) {
		run->error = -errno;
		close(slave);
		return;
	}
	start_child(run, slave, failed);
	close(slave);
	close(failed[1]);
	run->began_ns = lab_now();
	run->deadline_ns = run->began_ns + run->limit_ns;
	if (run->error == 0)
		loop(run);
	lab_drain(run);
	end_all(run);
	lab_drain(run);
	run->took_ns = lab_now() - run->began_ns;
	if (read(failed[0], &error, sizeof(error)) == (ssize_t)sizeof(error)) {
		run->error = -error;
		run->exec_failed = true;
	}
	close(failed[0]);
	close(run->err_fd);
}

void lab_run(struct lab_run *run)
{
	struct host_state state;

	run->err_fd = -1;
	run->output = calloc(1, LAB_OUTPUT + 1);
	run->errors = calloc(1, 4097);
	run->error = run->output == NULL || run->errors == NULL ? -ENOMEM : lab_before(run);
	if (run->error < 0)
		return;

	run->filtered = lab_filter_there();
	int slave = open_terminal(run);

	if (slave < 0) {
		run->error = slave;
		return;
	}
	prepare(run, &state);
	run_traced(run, slave);
	restore(run, &state);
	close(run->tty);
	if (run->error == 0)
		lab_after(run);
}

void lab_run_free(struct lab_run *run)
{
	if (run == NULL)
		return;
	lab_look_free(run);
	free(run->output);
	free(run->errors);
	free(run);
}
