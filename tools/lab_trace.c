/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab_trace.c - what a traced task stops for: births, ends, signals, and system calls.
 *
 * Writes to the terminal are let through one at a time, so that each line is known to be of the
 * process that printed it, and the order of the lines is the order of the writes.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

enum { AFTER_CRASH_MS = 3000 };

/* --- tasks --------------------------------------------------------------------------------- */

struct lab_task *lab_task(struct lab_run *run, pid_t tid)
{
	for (int i = run->task_count; i-- > 0;) {
		if (run->tasks[i].tid == tid && tid > 0)
			return &run->tasks[i];
	}
	return NULL;
}

static pid_t process_of(pid_t tid)
{
	char path[64], line[128];
	int pid = tid;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);

	FILE *file = fopen(path, "re");

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "Tgid: %d", &pid) == 1)
			break;
	}
	if (file != NULL)
		fclose(file);
	return pid;
}

struct lab_task *lab_task_add(struct lab_run *run, pid_t tid, pid_t parent)
{
	struct lab_task *task = lab_task(run, tid);

	if (task != NULL && task->alive) {
		if (parent != 0)
			task->parent = parent;
		return task;
	}
	if (run->task_count == LAB_TASKS) {
		run->bomb = true;
		return NULL;
	}
	task = &run->tasks[run->task_count++];
	*task = (struct lab_task){ .tid = tid, .parent = parent, .alive = true, .call = -1 };
	task->pid = process_of(tid);
	run->alive_count++;
	if (task->pid == tid)
		run->process_count++;
	else
		run->thread_count++;
	if (run->alive_count > LAB_ALIVE)
		run->bomb = true;
	return task;
}

char lab_state(pid_t tid)
{
	char path[64], text[256];
	char state = '?';

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	if (fd >= 0)
		close(fd);
	if (got > 0) {
		text[got] = '\0';

		const char *end = strrchr(text, ')');

		if (end != NULL && end[1] == ' ')
			state = end[2];
	}
	return state;
}

/* The number of the call that it is in; -1 = none. */
long lab_call(pid_t tid)
{
	char path[64];
	long call = -1;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);

	FILE *file = fopen(path, "re");

	if (file != NULL && fscanf(file, "%ld", &call) != 1)
		call = -1; /* "running" */
	if (file != NULL)
		fclose(file);
	return call;
}

const char *lab_call_words(const struct lab_task *task)
{
	switch (lab_call(task->tid)) {
	case SYS_futex:
		return "waits for a semaphore, mutex or condition (futex)";
#ifdef SYS_semop
	case SYS_semop:
#endif
#ifdef SYS_semtimedop
	case SYS_semtimedop:
#endif
		return "waits for a System V semaphore (semop)";
	case SYS_wait4:
	case SYS_waitid:
		return "waits for a child to end";
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
		return "sleeps";
	case SYS_read:
		return "waits for something to read";
	case SYS_write:
		return "is printing";
#ifdef SYS_pause
	case SYS_pause:
#endif
	case SYS_rt_sigtimedwait:
	case SYS_rt_sigsuspend:
		return "waits for a signal";
	case -1:
		return task->held ? "was held by this check" : "computes, or turns in a loop";
	default:
		return "waits in the kernel";
	}
}

/* --- going on ------------------------------------------------------------------------------ */

void lab_resume(struct lab_run *run, struct lab_task *task)
{
	int signal = task->signal;

	if (!task->stopped || (task->held && !run->killing))
		return;
	if (run->stepping && task->call < 0 && !run->killing) {
		task->stepping = true; /* lab_step() moves it */
		return;
	}
	task->stepping = false;
	task->signal = 0;
	task->stopped = false;
	ptrace(run->filtered && task->call < 0 ? PTRACE_CONT : PTRACE_SYSCALL, task->tid, 0,
	       signal);
}

static void gone(struct lab_run *run, struct lab_task *task, int status)
{
	if (!task->alive)
		return;
	task->alive = task->stopped = false;
	run->alive_count--;
	task->queued = false;
	if (run->writer == task->tid) {
		run->writer = 0;
		lab_next_writer(run);
	}
	if (run->paused == task)
		run->paused = NULL;
	if (run->held == task)
		run->held = NULL;
	if (WIFSIGNALED(status) && !run->killing && run->crashed == NULL &&
	    (task->tid == task->pid)) {
		run->crashed = task;
		run->crash_signal = WTERMSIG(status);
		/* those who wait for it, wait in vain */
		if (run->deadline_ns > lab_now() + AFTER_CRASH_MS * INT64_C(1000000))
			run->deadline_ns = lab_now() + AFTER_CRASH_MS * INT64_C(1000000);
	}
	if (task->tid == run->main_pid) {
		run->status = status;
		run->ended = true;
	}
}

/* --- system calls -------------------------------------------------------------------------- */

static void read_path(struct lab_task *task, uint64_t address)
{
	struct iovec to = { task->path, sizeof(task->path) - 1 };

	task->path[0] = '\0';
	/* A string may end before a page that is not there. */
	while (to.iov_len > 0) {
		struct iovec from = { (void *)(uintptr_t)address, to.iov_len };
		ssize_t got = process_vm_readv(task->tid, &to, 1, &from, 1, 0);

		if (got > 0) {
			task->path[got] = '\0';
			return;
		}
		to.iov_len /= 2;
	}
}

static bool is_terminal(const struct lab_run *run, const struct lab_task *task, uint64_t fd)
{
	char path[64], target[128];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", task->tid, (int)fd);

	ssize_t got = readlink(path, target, sizeof(target) - 1);

	target[got > 0 ? got : 0] = '\0';
	return strcmp(target, run->tty_name) == 0;
}

static bool is_write(int64_t call)
{
	return call == SYS_write || call == SYS_writev;
}

/* False: the task has to wait for its turn. */
static bool enter(struct lab_run *run, struct lab_task *task)
{
	switch (task->call) {
	case SYS_munmap:
		if (lab_shared_at(run, task->args[0], task->args[1]))
			lab_look(run, task, true);
		break;
#ifdef SYS_shmdt
	case SYS_shmdt:
		lab_look(run, task, true);
		break;
#endif
#ifdef SYS_open
	case SYS_open:
#endif
#ifdef SYS_creat
	case SYS_creat:
#endif
		read_path(task, task->args[0]);
		break;
#ifdef SYS_link
	case SYS_link:
#endif
#ifdef SYS_rename
	case SYS_rename:
#endif
	case SYS_openat:
		read_path(task, task->args[1]);
		break;
	case SYS_linkat:
#ifdef SYS_renameat
	case SYS_renameat:
#endif
	case SYS_renameat2:
		read_path(task, task->args[3]);
		break;
	default:
		break;
	}
	if (!is_write(task->call) || !is_terminal(run, task, task->args[0]))
		return true;
	task->queued = task->held || (run->writer != 0 && run->writer != task->tid);
	if (!task->queued)
		run->writer = task->tid;
	return !task->queued;
}

static void note_name(struct lab_run *run, const struct lab_task *task)
{
	static const char shm[] = "/dev/shm/";
	const char *name = task->path + strlen(shm);

	if (strncmp(task->path, shm, strlen(shm)) != 0 || strchr(name, '/') != NULL)
		return;
	for (int i = 0; i < run->name_count; i++) {
		if (strcmp(run->names[i], name) == 0)
			return;
	}
	if (run->name_count < LAB_NAMES)
		snprintf(run->names[run->name_count++], sizeof(run->names[0]), "%s", name);
}

static void note_id(struct lab_run *run, char kind, int64_t id)
{
	if (run->id_count < LAB_NAMES)
		run->ids[run->id_count++] = (struct lab_id){ kind, (int)id };
}

/* The next that waits to print. */
void lab_next_writer(struct lab_run *run)
{
	for (int i = 0; i < run->task_count && run->writer == 0; i++) {
		struct lab_task *task = &run->tasks[i];

		if (task->alive && task->queued && !task->held) {
			run->writer = task->tid;
			task->queued = false;
			lab_resume(run, task);
		}
	}
}

static void leave(struct lab_run *run, struct lab_task *task, int64_t result)
{
	int64_t call = task->call;

	task->call = -1;
	if (run->writer == task->tid && is_write(call)) {
		lab_drain(run);
		lab_write_ended(run, task);
		run->writer = 0;
		lab_next_writer(run);
		return;
	}
	if (result < 0 && result > -4096)
		return;
	switch (call) {
	case SYS_mmap:
		if ((task->args[3] & MAP_TYPE) != MAP_PRIVATE && (task->args[2] & PROT_WRITE))
			lab_look(run, task, false);
		break;
#ifdef SYS_shmat
	case SYS_shmat:
		lab_look(run, task, false);
		break;
	case SYS_shmget:
		note_id(run, 'm', result);
		break;
	case SYS_semget:
		note_id(run, 's', result);
		break;
	case SYS_msgget:
		note_id(run, 'q', result);
		break;
#endif
	case SYS_openat:
#ifdef SYS_open
	case SYS_open:
	case SYS_creat:
	case SYS_link:
	case SYS_rename:
#endif
	case SYS_linkat:
	case SYS_renameat2:
		note_name(run, task);
		break;
	default:
		break;
	}
}

static bool on_call(struct lab_run *run, struct lab_task *task)
{
	struct __ptrace_syscall_info info;

	memset(&info, 0, sizeof(info));
	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof(info), &info) <= 0)
		return true;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY || info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
		bool entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;

		task->call = (int64_t)(entry ? info.entry.nr : info.seccomp.nr);
		for (int i = 0; i < 6; i++)
			task->args[i] = entry ? info.entry.args[i] : info.seccomp.args[i];
		return enter(run, task);
	}
	if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		leave(run, task, (int64_t)info.exit.rval);
	return true;
}

/* --- stops --------------------------------------------------------------------------------- */

static void on_birth(struct lab_run *run, struct lab_task *task)
{
	unsigned long child = 0;

	ptrace(PTRACE_GETEVENTMSG, task->tid, 0, &child);

	struct lab_task *born = lab_task_add(run, (pid_t)child, task->pid);

	if (born == NULL || born->pid != born->tid)
		return;
	lab_look(run, task, false);
	if (run->mode == LAB_STEP)
		lab_step_begin(run);
	/* Children start together, so that they do the same at the same time. */
	if (run->mode == LAB_POLL && run->held == NULL && run->start_held_ns == 0) {
		run->start_held_ns = lab_now();
		born->held = true;
	} else if (run->mode == LAB_POLL && run->start_held_ns > 0) {
		run->start_held_ns = 1; /* long ago */
	}
}

static bool has_shared(const struct lab_run *run, pid_t pid)
{
	for (int i = 0; i < run->segment_count; i++) {
		for (int user = 0; user < run->segments[i].user_count; user++) {
			if (run->segments[i].users[user] == pid && !run->segments[i].semaphore)
				return true;
		}
	}
	return false;
}

/* The program ends: which of its children did it leave, alive or as zombies? */
static void count_children(struct lab_run *run)
{
	for (int i = 0; i < run->task_count; i++) {
		const struct lab_task *task = &run->tasks[i];

		if (task->tid != task->pid || task->parent != run->main_pid)
			continue;
		if (task->alive)
			lab_look(run, task, false);
		if ((task->alive || lab_state(task->tid) == 'Z') && has_shared(run, task->pid))
			run->not_waited++;
	}
}

static void on_event(struct lab_run *run, struct lab_task *task, int event)
{
	switch (event) {
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		on_birth(run, task);
		break;
	case PTRACE_EVENT_EXIT:
		task->call = -1;
		if (task->tid == task->pid)
			lab_look(run, task, true);
		if (task->tid == run->main_pid)
			count_children(run);
		break;
	default: /* EXEC, and the first stop of a new task */
		task->call = -1;
		break;
	}
}

static void note_fault(struct lab_run *run, const struct lab_task *task, int signal)
{
	siginfo_t info;

	if ((signal != SIGSEGV && signal != SIGBUS) ||
	    ptrace(PTRACE_GETSIGINFO, task->tid, 0, &info) != 0)
		return;
	run->fault_signal = signal;
	run->fault_pid = task->pid;
	run->fault_address = (uint64_t)(uintptr_t)info.si_addr;
}

static bool is_stop_signal(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void on_stop(struct lab_run *run, struct lab_task *task, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	bool go = true;

	task->stopped = true;
	if (event == PTRACE_EVENT_STOP && is_stop_signal(signal)) {
		task->stopped = false; /* it stopped itself, and waits for SIGCONT */
		ptrace(PTRACE_LISTEN, task->tid, 0, 0);
		return;
	}
	if (event == PTRACE_EVENT_SECCOMP) {
		go = on_call(run, task);
	} else if (event != 0) {
		on_event(run, task, event);
	} else if (signal == (SIGTRAP | 0x80)) {
		go = on_call(run, task);
	} else if (signal != SIGTRAP) {
		note_fault(run, task, signal);
		task->signal = signal;
	}
	if (go)
		lab_resume(run, task);
}

void lab_on_status(struct lab_run *run, pid_t tid, int status)
{
	struct lab_task *task = lab_task(run, tid);

	if (task == NULL || (!task->alive && WIFSTOPPED(status)))
		task = lab_task_add(run, tid, 0);
	if (task == NULL) {
		kill(tid, SIGKILL);
		return;
	}
	if (run->killing) /* it may be new, and is not to go on */
		kill(task->pid, SIGKILL);
	if (WIFSTOPPED(status))
		on_stop(run, task, status);
	else
		gone(run, task, status);
}
