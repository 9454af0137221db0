/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab.h - exercises, and a learner's program that is run and judged.
 *
 * A program is judged by what it prints and by the shared memory that it uses, never by its
 * source. Every process and thread of it is traced (ptrace) from the first instruction on: none is
 * missed however short it lives, each call that makes, maps, unmaps or writes is seen, and any of
 * them can be held or moved on by single instructions, which is how races are made to show.
 *
 *   cmd_lab.c    the verb: list, show, check; printing
 *   lab_tasks.c  the exercises in words
 *   lab_run.c    one run: start, main loop, output, time limit, the end of all processes
 *   lab_filter.c which system calls it stops for
 *   lab_trace.c  what a traced task stops for
 *   lab_step.c   single steps, and holding a task while the others go on
 *   lab_look.c   the host view: what is mapped, what it holds, what is left, removing it
 *   lab_judge.c  verdicts of all exercises, of 1 and 2;  lab_matrix.c  of 3
 *
 * Limits: LAB_ALIVE tasks at a time (more is a fork bomb, and ends the run), LAB_OUTPUT bytes of
 * output, the time limit; each is told. When a run ends nothing of it is alive.
 */
#ifndef TARN_TOOLS_LAB_H
#define TARN_TOOLS_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <tarn/host.h>

enum {
	LAB_ALIVE = 64,    /* tasks at a time */
	LAB_TASKS = 1024,  /* tasks in all */
	LAB_SEGMENTS = 32, /* segments of which the contents are kept */
	LAB_USERS = 16,
	LAB_NAMES = 64,
	LAB_OUTPUT = 1 << 20, /* bytes that the program may print */
	LAB_LINES = 4096,
	LAB_BYTES = 8 << 20, /* of one segment that are looked at */
	LAB_CHECKS = 16,
};

/* --- exercises: lab_tasks.c ---------------------------------------------------------------- */

struct lab_rule {
	const char *name; /* of the check: stable, for scripts; NULL ends the table */
	const char *asks; /* what is asked, in one line */
};

struct lab_exercise {
	int number; /* 0 ends the table */
	const char *title;
	const char *task;   /* in one line */
	const char *text;   /* in full: paragraphs, apart by an empty line */
	const char *sample; /* what a right program prints */
	const char *not_judged;
	struct lab_rule rules[LAB_CHECKS];
};

extern const struct lab_exercise lab_exercises[];
const struct lab_exercise *lab_exercise(int number); /* NULL: there is none */

/* --- one run -------------------------------------------------------------------------------- */

enum lab_mode {
	LAB_WATCH, /* let it run, and look */
	LAB_STEP,  /* processes by turns, some instructions each; see lab_step.c */
	LAB_POLL,  /* stop processes for a moment while the counter grows */
	LAB_HOLD,  /* stop the consumer, then the producer, until the other one stands still */
};

struct lab_part { /* of a line that is not ended yet; what is too long is cut */
	char text[240];
	size_t size;
};

enum lab_item { LAB_NO_ITEM, LAB_CONSUMED, LAB_PRODUCED };

struct lab_task {
	struct lab_part part;
	pid_t tid, pid, parent; /* pid: of its process */
	bool alive, stopped, held;
	bool queued;        /* waits for its turn to print */
	bool stepping;      /* single steps are due to it */
	int signal;         /* to be delivered with the next resumption */
	int64_t call;       /* the system call it is in; -1 = none */
	uint64_t args[6];   /* of that */
	char path[256];     /* that it names, of open, link and rename */
	enum lab_item item; /* what the last line told that it is printing just now */
};

struct lab_segment {
	uint64_t dev, inode, size;
	uint32_t kind;
	char addr[280];
	pid_t users[LAB_USERS]; /* processes that had it mapped, writable */
	uint64_t at[LAB_USERS]; /* where */
	int user_count;
	bool before;          /* was there before the program */
	bool semaphore;       /* a named one: no memory to put data into */
	unsigned char *bytes; /* as they were when somebody last unmapped it or ended */
	uint64_t byte_count;
};

struct lab_line {
	pid_t pid; /* of the process that printed it; 0 = not known */
	size_t off, size;
};

struct lab_word { /* a place in shared memory */
	int segment;
	uint64_t off;
	bool known;
};

struct lab_id { /* System V: 'm' memory, 's' semaphores, 'q' messages */
	char kind;
	int id;
};

struct lab_left {
	char what[24];  /* "segment", "semaphore" ... */
	char addr[280]; /* for the eye */
	char remove[340];
	char kind; /* as of struct lab_id; 'p' = a file in /dev/shm */
	int id;
	uint64_t inode;
	bool removed;
};

struct lab_before; /* lab_look.c */

struct lab_run {
	/* given */
	char **argv;
	enum lab_mode mode;
	int64_t limit_ns;
	uint64_t seed;
	struct lab_word counter; /* for LAB_STEP, LAB_POLL */

	/* found */
	int error; /* negative errno: could not be run at all */
	bool exec_failed, trace_failed;
	bool timed_out, bomb, flooded;
	int status; /* of the program, as wait() has it */
	int fault_signal;
	uint64_t fault_address;
	pid_t fault_pid;
	struct lab_task *crashed; /* that died of a signal, other than by us */
	int crash_signal;
	char stuck[512]; /* what each task was at when time was up */
	int left_running;
	int not_waited; /* children with the shared memory that its end came before */
	struct lab_task tasks[LAB_TASKS];
	int task_count, alive_count, process_count, thread_count;
	struct lab_segment segments[LAB_SEGMENTS];
	int segment_count;
	char names[LAB_NAMES][256]; /* in /dev/shm, made by it */
	int name_count;
	struct lab_id ids[LAB_NAMES];
	int id_count;
	char *output, *errors;
	size_t output_size, error_size;
	struct lab_line lines[LAB_LINES];
	int line_count;
	struct lab_left left[LAB_NAMES];
	int left_count;
	int64_t took_ns;
	uint64_t steps, turns, overlaps; /* overlaps: see lab_step.c */
	uint64_t holds;

	/* at work */
	pid_t main_pid;
	struct lab_before *before;
	int64_t began_ns, deadline_ns;
	int tty, err_fd, signal_fd;
	char tty_name[64];
	bool ended, killing;
	bool filtered; /* calls that do not matter are not stopped at */
	size_t printed_size;
	struct lab_part part; /* of what nobody is known to have printed */
	pid_t writer;         /* task whose write() to the terminal is under way */
	bool stepping;
	int64_t step_until_ns;
	uint64_t value; /* of the counter */
	struct lab_task *paused, *held;
	int pause_left;
	bool paused_locked;
	int64_t held_ns, quiet_ns, printed_ns, start_held_ns;
	int64_t tight_until_ns; /* LAB_POLL: look without a rest until then */
	size_t held_output;
	int next_hold;
	int looks;
};

int64_t lab_now(void);
uint64_t lab_random(struct lab_run *run, uint64_t below);
/* Runs it to its end. */
void lab_run(struct lab_run *run);
void lab_run_free(struct lab_run *run);
void lab_kill(struct lab_run *run);
void lab_drain(struct lab_run *run);

struct lab_task *lab_task(struct lab_run *run, pid_t tid);
struct lab_task *lab_task_add(struct lab_run *run, pid_t tid, pid_t parent);
void lab_on_status(struct lab_run *run, pid_t tid, int status);
void lab_resume(struct lab_run *run, struct lab_task *task);
void lab_next_writer(struct lab_run *run);
char lab_state(pid_t tid); /* as /proc has it: 'R', 'S', 't' ...; '?' = gone */
long lab_call(pid_t tid);
const char *lab_call_words(const struct lab_task *task);

void lab_step(struct lab_run *run); /* some instructions of one task */
bool lab_step_ready(const struct lab_run *run);
void lab_step_begin(struct lab_run *run);
void lab_line_printed(struct lab_run *run, const struct lab_line *line);
void lab_write_ended(struct lab_run *run, struct lab_task *task);
void lab_hold_look(struct lab_run *run); /* is it time to let go? */
bool lab_step_one(struct lab_run *run, struct lab_task *task);

/* Can calls be filtered here? Set it up in the child: 0, or a negative errno. */
bool lab_filter_there(void);
int lab_filter_set(void);

int lab_before(struct lab_run *run); /* 0, or a negative errno */
void lab_look(struct lab_run *run, const struct lab_task *task, bool contents);
void lab_after(struct lab_run *run);
void lab_clean(struct lab_run *run);
bool lab_shared_at(const struct lab_run *run, uint64_t address, uint64_t size);
bool lab_counter_at(const struct lab_run *run, const struct lab_task *task, uint64_t *ret_address);
void lab_look_free(struct lab_run *run);

/* --- verdicts ------------------------------------------------------------------------------- */

enum lab_verdict { LAB_RIGHT, LAB_WRONG, LAB_OPEN };

struct lab_check {
	const char *name;
	enum lab_verdict verdict;
	char found[640], why[640], fix[400];
};

struct lab_report {
	struct lab_check checks[LAB_CHECKS];
	int count;
	int wrong;
	int runs;
};

struct lab_check *lab_say(struct lab_report *report, const char *name, enum lab_verdict verdict,
			  const char *format, ...) __attribute__((format(printf, 4, 5)));
void lab_why(struct lab_check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void lab_fix(struct lab_check *check, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The n-th line printed, cut where it is long; NULL = no more. */
const char *lab_line(const struct lab_run *run, int n, char buf[200]);
/* "Word 17" or "Word: 17" in @line, whatever the case. */
bool lab_number_after(const char *line, const char *word, long long *ret_value);
/* What it printed first, as the reason why a line is missing. */
void lab_why_first(const struct lab_run *run, struct lab_check *check);
int lab_guess(const struct lab_run *run); /* which exercise this is; 0 = cannot be told */

/* The segment that most processes had; NULL = none. */
const struct lab_segment *lab_shared(const struct lab_run *run);
/* What every exercise asks for. False: nothing more can be said about this program. */
bool lab_judge_end(struct lab_report *report, const struct lab_run *run);
void lab_judge_memory(struct lab_report *report, const struct lab_run *run, int processes);
void lab_judge_left(struct lab_report *report, const struct lab_run *run, bool clean);
/* Exercise 1: the undisturbed run. True: it is right, and others can be looked at. */
bool lab_judge_counter(struct lab_report *report, const struct lab_run *run);
bool lab_counter_printed(const struct lab_run *run, long long *ret_value);
struct lab_word lab_counter_find(const struct lab_run *run, long long value);
/* The runs in which races were looked for. */
struct lab_race {
	int stepped, polled;
	uint64_t steps, turns, overlaps;
	bool lost, odd;
	long long value; /* that was printed where it was not 2000 */
	int run;         /* which it was, from 1 */
	bool is_stepped;
	char stuck[600];
};
void lab_judge_race(struct lab_report *report, const struct lab_race *race);
/* Exercise 2: adds what this run shows; the verdicts come at the end. */
enum lab_items {
	LAB_ITEMS_RIGHT,
	LAB_ITEMS_FEW,  /* lines are missing */
	LAB_ITEMS_MANY, /* there are too many */
	LAB_ITEMS_LOST, /* as many as there should be, and some are others */
	LAB_ITEMS_ORDER,
};
struct lab_queue {
	int most, least; /* produced less consumed, by the lines printed */
	int most_line, runs, holds;
	enum lab_items items; /* of the first run in which they were wrong */
	char fault[400];      /* in words */
	int due, came;        /* the first item that another one came out for; equal: none */
};
void lab_queue_look(struct lab_queue *queue, const struct lab_run *run);
void lab_judge_queue(struct lab_report *report, const struct lab_run *first,
		     const struct lab_queue *queue);
void lab_judge_matrix(struct lab_report *report, const struct lab_run *run);

#endif /* TARN_TOOLS_LAB_H */
