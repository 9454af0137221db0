/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab_step.c - how races are made to show.
 *
 * LAB_STEP: from the first fork() on no process runs by itself. One at a time is moved on by a few
 * instructions (PTRACE_SINGLESTEP), by turns and at random, so that the increments of two
 * processes interleave between any two instructions, however short they are. A program that
 * takes two microseconds for its loop would else have ended one process before the other begins.
 *
 * Where the counter lies is known from an earlier run. A process that has just changed it is now
 * and then kept standing behind that instruction, while the others go on for some thousand. Whoever
 * holds a lock keeps it while he stands there: if another process changes the counter meanwhile
 * there is no lock between them. Unless both changed it by instructions that are atomic between
 * processors, this is an overlap: an update can be lost, even if none was lost this time. What is
 * atomic can be told on x86-64 alone; elsewhere overlaps are not counted.
 *
 * LAB_HOLD: who has just printed "Consumed" or "Produced" is held, at once or some instructions
 * later, until all others stand still. A producer that keeps to the bound then stands at the bound.
 *
 * LAB_POLL: for interpreters, which need millions of instructions before their loop begins. The
 * program runs by itself; when the counter grows one process is held for a moment.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "lab.h"

enum {
	STEP_MS = 1500,    /* of stepping in a run; more where that is */
	STEP_LEAST = 6000, /* less than so many, */
	STEP_MOST_MS = 5000,
	PAUSE_STEPS = 3000, /* that the others make while one stands */
	HOLD_MS = 400,      /* that one is held while nobody prints, */
	HOLD_MOST_MS = 2000,
	QUIET_MS = 40,  /* for so long the others stand still */
	HOLDS = 8,      /* in a run */
	TIGHT_MS = 400, /* of looking at the counter without a rest */
};

/* --- the instruction ahead ----------------------------------------------------------------- */

enum insn { INSN_PLAIN, INSN_ATOMIC, INSN_CALL };

#ifdef __x86_64__
static const bool knows_atomic = true;

static enum insn insn_ahead(const struct lab_task *task)
{
	errno = 0;

	long at = ptrace(PTRACE_PEEKUSER, task->tid, offsetof(struct user_regs_struct, rip), 0);
	long word = errno == 0 ? ptrace(PTRACE_PEEKTEXT, task->tid, at, 0) : 0;
	unsigned char code[sizeof(word)];
	size_t i = 0;

	memcpy(code, &word, sizeof(word));
	if (code[0] == 0x0f && code[1] == 0x05)
		return INSN_CALL;
	for (; i < sizeof(code) - 1; i++) {
		if (code[i] == 0xf0)
			return INSN_ATOMIC; /* LOCK */
		if (strchr("\x66\x67\xf2\xf3\x2e\x36\x3e\x26\x64\x65", code[i]) == NULL)
			break;
	}
	if ((code[i] & 0xf0) == 0x40 && i < sizeof(code) - 1)
		i++;                                                          /* REX */
	return code[i] == 0x86 || code[i] == 0x87 ? INSN_ATOMIC : INSN_PLAIN; /* XCHG */
}
#else
static const bool knows_atomic = false;

static enum insn insn_ahead(const struct lab_task *task)
{
	(void)task;
	return INSN_PLAIN;
}
#endif

/* --- one step ------------------------------------------------------------------------------ */

/* A timer interrupts the wait, for tasks that went to sleep in the kernel. False: @task is not
 * stopped after one instruction; what it stopped for instead has been seen to. */
static bool wait_step(struct lab_run *run, struct lab_task *task)
{
	int status;

	for (;;) {
		pid_t tid = waitpid(task->tid, &status, __WALL);

		if (tid == task->tid && WIFSTOPPED(status) && status >> 16 == 0 &&
		    WSTOPSIG(status) == SIGTRAP) {
			task->stopped = true;
			return true;
		}
		if (tid == task->tid) {
			lab_on_status(run, tid, status);
			return false;
		}
		if (tid < 0 && errno != EINTR)
			return false;
		char state = lab_state(task->tid);

		if (state == 'S' || state == 'D' || lab_now() > run->deadline_ns)
			return false; /* its stop comes to the main loop */
	}
}

bool lab_step_one(struct lab_run *run, struct lab_task *task)
{
	enum insn ahead = insn_ahead(task);
	int signal = task->signal;

	task->signal = 0;
	task->stopped = task->stepping = false;
	if (ahead == INSN_CALL) { /* that may take long: its stop comes to the main loop */
		ptrace(run->filtered ? PTRACE_SINGLESTEP : PTRACE_SYSCALL, task->tid, 0, signal);
		return false;
	}
	if (ptrace(PTRACE_SINGLESTEP, task->tid, 0, signal) != 0)
		return false;
	run->steps++;
	return wait_step(run, task);
}

/* --- by turns ------------------------------------------------------------------------------ */

bool lab_step_ready(const struct lab_run *run)
{
	if (!run->stepping)
		return false;
	for (int i = 0; i < run->task_count; i++) {
		if (run->tasks[i].stepping)
			return true;
	}
	return false;
}

void lab_step_begin(struct lab_run *run)
{
	if (run->stepping || run->step_until_ns != 0)
		return;
	run->stepping = true;
	run->step_until_ns = lab_now() + STEP_MS * INT64_C(1000000);
}

static void step_end(struct lab_run *run)
{
	run->stepping = false;
	run->paused = NULL;
	for (int i = 0; i < run->task_count; i++) {
		if (run->tasks[i].stepping)
			lab_resume(run, &run->tasks[i]);
	}
}

/* One that is ready, and not made to stand if there is another. */
static struct lab_task *choose(struct lab_run *run)
{
	struct lab_task *ready[LAB_ALIVE + 1];
	uint64_t count = 0;

	for (int i = 0; i < run->task_count && count < LAB_ALIVE; i++) {
		if (run->tasks[i].stepping && &run->tasks[i] != run->paused)
			ready[count++] = &run->tasks[i];
	}
	if (count > 0)
		return ready[lab_random(run, count)];
	run->paused = NULL;
	for (int i = 0; i < run->task_count; i++) {
		if (run->tasks[i].stepping)
			return &run->tasks[i];
	}
	return NULL;
}

static bool read_counter(const struct lab_run *run, const struct lab_task *task,
			 uint64_t *ret_value)
{
	uint64_t address;
	uint32_t value;
	struct iovec to = { &value, sizeof(value) };

	if (!run->counter.known || !lab_counter_at(run, task, &address))
		return false;

	struct iovec from = { (void *)(uintptr_t)address, sizeof(value) };

	if (process_vm_readv(task->tid, &to, 1, &from, 1, 0) != (ssize_t)sizeof(value))
		return false;
	*ret_value = value;
	return true;
}

static void counter_changed(struct lab_run *run, struct lab_task *task, bool atomic)
{
	run->turns++;
	if (run->paused != NULL && run->paused != task) {
		if (knows_atomic && !(atomic && run->paused_locked))
			run->overlaps++;
		run->paused = NULL;
	} else if (lab_random(run, 3) == 0) {
		run->paused = task;
		run->paused_locked = atomic;
		run->pause_left = PAUSE_STEPS;
	}
}

/* Nothing is left to interleave, or time is up. */
static bool steps_done(const struct lab_run *run)
{
	int64_t over = lab_now() - run->step_until_ns;

	if (run->alive_count < 2 && run->process_count > 2)
		return true;
	return over > 0 &&
	       (run->steps > STEP_LEAST || over > (STEP_MOST_MS - STEP_MS) * INT64_C(1000000));
}

void lab_step(struct lab_run *run)
{
	struct lab_task *task = choose(run);
	uint64_t count = 1 + lab_random(run, lab_random(run, 8) == 0 ? 100 : 12), value;

	if (steps_done(run)) {
		step_end(run);
		return;
	}
	for (uint64_t i = 0; i < count && task != NULL; i++) {
		bool atomic = insn_ahead(task) == INSN_ATOMIC;

		if (!lab_step_one(run, task))
			break;
		if (run->paused != NULL && --run->pause_left <= 0)
			run->paused = NULL;
		if (read_counter(run, task, &value) && value != run->value) {
			run->value = value;
			counter_changed(run, task, atomic);
			if (run->paused == task)
				break;
		}
	}
	if (task != NULL && task->alive && task->stopped)
		task->stepping = true;
}

/* --- holding ------------------------------------------------------------------------------- */

static void hold(struct lab_run *run, struct lab_task *task)
{
	task->held = true;
	run->held = task;
	run->held_ns = run->quiet_ns = run->printed_ns = lab_now();
	run->held_output = run->output_size;
	run->holds++;
}

static void let_go(struct lab_run *run)
{
	struct lab_task *task = run->held;

	run->held = NULL;
	task->held = false;
	if (!task->queued)
		lab_resume(run, task);
	lab_next_writer(run);
}

static bool sleeps(const struct lab_task *task)
{
	long call = lab_call(task->tid);

	return lab_state(task->tid) == 'S' && call != SYS_nanosleep && call != SYS_clock_nanosleep;
}

static bool others_still(const struct lab_run *run)
{
	for (int i = 0; i < run->task_count; i++) {
		const struct lab_task *task = &run->tasks[i];

		if (task->alive && task != run->held && !sleeps(task))
			return false;
	}
	return true;
}

static void poll_counter(struct lab_run *run)
{
	struct lab_task *tasks[LAB_ALIVE];
	uint64_t count = 0, value;

	for (int i = 0; i < run->task_count && count < LAB_ALIVE; i++) {
		if (run->tasks[i].alive && run->tasks[i].tid != run->main_pid)
			tasks[count++] = &run->tasks[i];
	}
	if (count < 2 || run->holds > 100 || !read_counter(run, tasks[0], &value) ||
	    value == run->value)
		return;
	run->value = value;

	struct lab_task *task = tasks[lab_random(run, count)];

	if (!task->stopped && ptrace(PTRACE_INTERRUPT, task->tid, 0, 0) == 0)
		hold(run, task);
}

static void start_together(struct lab_run *run)
{
	if (run->start_held_ns == 0 || lab_now() < run->start_held_ns + 50 * INT64_C(1000000))
		return;
	run->start_held_ns = -1;
	run->tight_until_ns = lab_now() + TIGHT_MS * INT64_C(1000000);
	for (int i = 0; i < run->task_count; i++) {
		if (run->tasks[i].held && &run->tasks[i] != run->held) {
			run->tasks[i].held = false;
			lab_resume(run, &run->tasks[i]);
		}
	}
}

void lab_hold_look(struct lab_run *run)
{
	int64_t now = lab_now();

	if (run->mode == LAB_POLL && run->start_held_ns >= 0)
		start_together(run);
	if (run->mode == LAB_POLL && run->held == NULL)
		poll_counter(run);
	if (run->held == NULL)
		return;
	if (run->mode == LAB_POLL) {
		if (now > run->held_ns + 2 * INT64_C(1000000))
			let_go(run);
		return;
	}
	if (run->output_size != run->held_output)
		run->printed_ns = now;
	if (run->output_size != run->held_output || !others_still(run))
		run->quiet_ns = now;
	run->held_output = run->output_size;
	if (now > run->quiet_ns + QUIET_MS * INT64_C(1000000) ||
	    now > run->printed_ns + HOLD_MS * INT64_C(1000000) ||
	    now > run->held_ns + HOLD_MOST_MS * INT64_C(1000000))
		let_go(run);
}

/* --- who is held in exercise 2 ------------------------------------------------------------- */

/* What is printed may be seen before the write() that prints it has ended. */
void lab_line_printed(struct lab_run *run, const struct lab_line *line)
{
	const char *text = run->output + line->off;
	struct lab_task *task = lab_task(run, run->writer);

	if (task == NULL)
		return;
	if (memmem(text, line->size, "onsum", 5) != NULL)
		task->item = LAB_CONSUMED;
	else if (memmem(text, line->size, "roduc", 5) != NULL)
		task->item = LAB_PRODUCED;
}

void lab_write_ended(struct lab_run *run, struct lab_task *task)
{
	enum lab_item item = task->item;

	task->item = LAB_NO_ITEM;
	if (item == LAB_NO_ITEM || run->mode != LAB_HOLD || run->held != NULL || !task->stopped ||
	    run->holds >= HOLDS)
		return;
	/* The consumer first, then the producer, by turns, some items apart. */
	if ((item == LAB_CONSUMED) != (run->holds % 2 == 0) || run->next_hold-- > 0)
		return;
	run->next_hold = (int)lab_random(run, 5);

	uint64_t steps = lab_random(run, 3) == 0 ? 0 : lab_random(run, 400);

	while (steps-- > 0 && lab_step_one(run, task))
		continue;
	if (!task->alive)
		return;
	hold(run, task);
}
