/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab_judge.c - verdicts in words that a learner understands.
 *
 * A verdict is "wrong" only for what was seen. What was looked for and not seen is said to be just
 * that.
 */

#include <ctype.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "lab.h"

enum { TOTAL = 2000 };

struct lab_check *lab_say(struct lab_report *report, const char *name, enum lab_verdict verdict,
			  const char *format, ...)
{
	static struct lab_check spare;
	struct lab_check *check =
		report->count < LAB_CHECKS ? &report->checks[report->count++] : &spare;
	va_list ap;

	*check = (struct lab_check){ .name = name, .verdict = verdict };
	va_start(ap, format);
	vsnprintf(check->found, sizeof(check->found), format, ap);
	va_end(ap);
	report->wrong += verdict == LAB_WRONG;
	return check;
}

void lab_why(struct lab_check *check, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(check->why, sizeof(check->why), format, ap);
	va_end(ap);
}

void lab_fix(struct lab_check *check, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(check->fix, sizeof(check->fix), format, ap);
	va_end(ap);
}

const char *lab_line(const struct lab_run *run, int n, char buf[200])
{
	if (n >= run->line_count)
		return NULL;

	size_t size = run->lines[n].size < 199 ? run->lines[n].size : 199;

	memcpy(buf, run->output + run->lines[n].off, size);
	buf[size] = '\0';
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)buf[i] < 0x20 || buf[i] == 0x7f)
			buf[i] = buf[i] == '\t' ? ' ' : '?';
	}
	buf[buf[0] != '\0' && buf[strlen(buf) - 1] == '?' ? strlen(buf) - 1 : strlen(buf)] = '\0';
	return buf;
}

bool lab_number_after(const char *line, const char *word, long long *ret_value)
{
	const char *at = strcasestr(line, word);

	if (at == NULL)
		return false;
	at += strlen(word);
	while (*at != '\0' && !isdigit((unsigned char)*at) && *at != '-')
		at++;
	if (*at == '\0')
		return false;
	*ret_value = strtoll(at, NULL, 10);
	return true;
}

int lab_guess(const struct lab_run *run)
{
	char line[200];
	long long value;

	for (int i = 0; lab_line(run, i, line) != NULL; i++) {
		if (lab_number_after(line, "final counter", &value))
			return 1;
		if (lab_number_after(line, "produced", &value) ||
		    lab_number_after(line, "consumed", &value))
			return 2;
		if (strcasestr(line, "matrix") != NULL || lab_number_after(line, "rows", &value))
			return 3;
	}
	return 0;
}

/* --- the end ------------------------------------------------------------------------------- */

static void say_crash(struct lab_report *report, const struct lab_run *run)
{
	struct lab_check *check =
		lab_say(report, "end", LAB_WRONG, "process %d%s was killed by signal %d (%s)",
			run->crashed->pid,
			run->crashed->pid == run->main_pid ? ", the program itself," : ", a child,",
			run->crash_signal, strsignal(run->crash_signal));

	if (run->crash_signal == SIGBUS)
		lab_why(check,
			"it touched address 0x%llx, where it has a mapping with no memory behind "
			"it: "
			"most often a segment that was never given its size, or is shorter than "
			"what "
			"was mapped of it",
			(unsigned long long)run->fault_address);
	else if (run->crash_signal == SIGSEGV)
		lab_why(check,
			"it touched address 0x%llx, which is not its own or not writable: most "
			"often a "
			"call that maps memory failed and its result was used unchecked, a pointer "
			"of "
			"another process, or an index beyond the end",
			(unsigned long long)run->fault_address);
	else if (run->crash_signal == SIGABRT)
		lab_why(check,
			"the program gave itself up: an assertion, or a check of the library");
	if (run->crash_signal == SIGBUS)
		lab_fix(check,
			"call ftruncate() after shm_open(), before mmap(), with the same size");
	else
		lab_fix(check, "test the result of each call that makes or maps memory");
}

static void say_stuck(struct lab_report *report, const struct lab_run *run)
{
	struct lab_check *check =
		lab_say(report, "end", LAB_WRONG, "never ended: after %.1f s it was killed. %s",
			(double)run->limit_ns / 1e9, run->stuck);

	if (strstr(run->stuck, "futex") != NULL || strstr(run->stuck, "semop") != NULL) {
		lab_why(check,
			"somebody waits for what nobody will give: a lock that its holder never "
			"let go of (left by a return in between, taken twice, taken by one that "
			"ended), two locks taken in different orders, or a semaphore that is "
			"waited for more often than it is posted or begins with too little");
		lab_fix(check, "for every way through the code count waits and posts of each "
			       "semaphore; never wait for room or items while holding the mutex");
	} else if (strstr(run->stuck, "computes") != NULL) {
		lab_why(check,
			"a loop waits for something that does not come, or a flag is read once "
			"and kept in a register");
		lab_fix(check, "wait with a semaphore instead of a loop, or make the flag atomic");
	} else if (strstr(run->stuck, "to read") != NULL) {
		lab_why(check,
			"it waits for input: standard input is empty here, so it reads from a "
			"pipe or socket of its own whose other end stays open");
	}
}

static void say_code(struct lab_report *report, const struct lab_run *run)
{
	char first[200];

	snprintf(first, sizeof(first), "%s", run->errors);
	first[strcspn(first, "\n")] = '\0';

	struct lab_check *check =
		lab_say(report, "end", LAB_WRONG, "ended with code %d%s%s",
			WEXITSTATUS(run->status), first[0] != '\0' ? ": " : "", first);

	lab_why(check, "a code other than 0 says that something failed");
}

bool lab_judge_end(struct lab_report *report, const struct lab_run *run)
{
	struct lab_check *check;

	if (run->bomb) {
		check = lab_say(
			report, "end", LAB_WRONG,
			"made more than %d processes and threads at a time, or %d in all, and "
			"was ended",
			LAB_ALIVE, LAB_TASKS);
		lab_why(check,
			"most often children that do not end where their work ends, and fork "
			"again in the parent's loop");
		lab_fix(check, "leave the child with _exit() when its work is done");
	} else if (run->flooded) {
		lab_say(report, "end", LAB_WRONG,
			"printed more than %d lines, or %d KiB, and was ended", LAB_LINES,
			LAB_OUTPUT >> 10);
	} else if (run->crashed != NULL) {
		say_crash(report, run);
	} else if (run->timed_out) {
		say_stuck(report, run);
	} else if (run->left_running > 0) {
		check = lab_say(
			report, "end", LAB_WRONG,
			"the program ended, and %d of its processes ran on and were killed: %s",
			run->left_running, run->stuck);
		lab_fix(check, "wait() for every child before the program ends");
	} else if (run->not_waited > 0) {
		check = lab_say(report, "end", LAB_WRONG,
				"ended without having waited for %d of its children",
				run->not_waited);
		lab_why(check,
			"what it printed last it may have read before they were done; a child "
			"that ended and is not waited for stays as a zombie");
		lab_fix(check, "wait() for every child, then read the result");
	} else if (!WIFEXITED(run->status) || WEXITSTATUS(run->status) != 0) {
		say_code(report, run);
		return true;
	} else {
		lab_say(report, "end", LAB_RIGHT, "ended by itself after %.2f s, all children too",
			(double)run->took_ns / 1e9);
	}
	return !run->bomb && !run->flooded && !run->timed_out && run->crashed == NULL;
}

/* --- shared memory ------------------------------------------------------------------------- */

const struct lab_segment *lab_shared(const struct lab_run *run)
{
	const struct lab_segment *best = NULL;

	for (int i = 0; i < run->segment_count; i++) {
		const struct lab_segment *segment = &run->segments[i];

		if (!segment->semaphore &&
		    (best == NULL || segment->user_count > best->user_count ||
		     (segment->user_count == best->user_count && segment->size > best->size)))
			best = segment;
	}
	return best;
}

static const char *kind_words(uint32_t kind)
{
	switch (kind) {
	case TARN_SEGMENT_POSIX:
		return "POSIX";
	case TARN_SEGMENT_SYSV:
		return "System V";
	case TARN_SEGMENT_MEMFD:
		return "memfd";
	case TARN_SEGMENT_FILE:
		return "mapped file";
	case TARN_SEGMENT_HUGE:
		return "huge pages";
	default:
		return "anonymous";
	}
}

static void say_unshared(struct lab_report *report, const struct lab_run *run,
			 const struct lab_segment *segment)
{
	struct lab_check *check;

	if (segment != NULL) {
		check = lab_say(report, "memory", LAB_WRONG,
				"only %d process had the shared memory mapped (%s)",
				segment->user_count, segment->addr);
		lab_why(check, "the others work on memory of their own, if there are others");
		lab_fix(check, "map it before fork(), or in each process by the same name");
	} else if (run->process_count < 2 && run->thread_count > 0) {
		check = lab_say(report, "memory", LAB_WRONG,
				"no shared memory: one process with %d threads", run->thread_count);
		lab_why(check,
			"threads share all memory of their process without being asked; the "
			"exercise is about processes, which share nothing unless they map it");
		lab_fix(check,
			"use fork(), and shm_open() with mmap(), mmap(MAP_SHARED) or shmget()");
	} else if (run->process_count < 2) {
		check = lab_say(report, "memory", LAB_WRONG,
				"no shared memory, and one process only");
		lab_fix(check, "start the workers with fork(), and let them share memory");
	} else {
		check = lab_say(
			report, "memory", LAB_WRONG,
			"no shared memory: %d processes, and nothing writable that two of them "
			"had mapped",
			run->process_count);
		lab_why(check,
			"after fork() each process has a copy of all variables, and what one "
			"changes the others never see; a pipe or file carries copies too");
		lab_fix(check,
			"use shm_open() with mmap(), mmap(MAP_SHARED | MAP_ANONYMOUS) before "
			"fork(), or shmget()");
	}
}

void lab_judge_memory(struct lab_report *report, const struct lab_run *run, int processes)
{
	const struct lab_segment *segment = lab_shared(run);

	if (segment == NULL || segment->user_count < 2) {
		say_unshared(report, run, segment);
		return;
	}
	if (segment->user_count < processes) {
		lab_say(report, "memory", LAB_WRONG,
			"only %d processes had %s mapped; with the %d workers it should be %d at "
			"least",
			segment->user_count, segment->addr, processes, processes);
		return;
	}
	/* What has no name has an address, which means nothing any more. */
	bool named =
		strncmp(segment->addr, "map:", 4) != 0 && strncmp(segment->addr, "memfd:", 6) != 0;

	lab_say(report, "memory", LAB_RIGHT,
		"%d processes had the same memory mapped: %s%s%s, %llu bytes", segment->user_count,
		kind_words(segment->kind), named ? " " : "",
		named ? segment->addr : " without a name", (unsigned long long)segment->size);
}

void lab_judge_left(struct lab_report *report, const struct lab_run *run, bool clean)
{
	char list[640] = "", remove[400] = "";
	size_t at = 0, at_remove = 0;

	for (int i = 0; i < run->left_count; i++) {
		const struct lab_left *left = &run->left[i];

		if (at + 100 < sizeof(list))
			at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s %.80s",
					       i > 0 ? ", " : "", left->what, left->addr);
		if (at_remove + 120 < sizeof(remove) && !left->removed)
			at_remove += (size_t)snprintf(remove + at_remove,
						      sizeof(remove) - at_remove, "%s%.100s",
						      at_remove > 0 ? "; " : "", left->remove);
	}
	for (int i = 0; i < run->segment_count; i++) {
		const struct lab_segment *segment = &run->segments[i];

		if (!segment->before || strchr(segment->addr, ':') == NULL)
			continue;

		struct lab_check *old =
			lab_say(report, "leftovers", LAB_OPEN,
				"%s was there before, and was used as it was", segment->addr);

		lab_why(old, "an earlier run left it, or it is somebody else's");
		lab_fix(old, "if it is yours: tarn rm --foreign --yes '%.270s'", segment->addr);
		return;
	}
	if (run->left_count == 0) {
		lab_say(report, "leftovers", LAB_RIGHT,
			"nothing is left of what it made: no segment, semaphore or queue");
		return;
	}

	bool killed = run->timed_out || run->bomb || run->flooded || run->crashed != NULL;
	struct lab_check *check =
		lab_say(report, "leftovers", killed ? LAB_OPEN : LAB_WRONG, "left behind: %s%s",
			list, clean && remove[0] == '\0' ? " (now removed)" : "");

	if (killed)
		lab_why(check, "it had no chance to remove it, being ended before");
	else
		lab_why(check,
			"what has a name or key stays when its last user ends, and takes memory "
			"until the next boot; the next run finds it with the old contents. In "
			"the program: shm_unlink(), sem_unlink(), or shmctl() and semctl() with "
			"IPC_RMID, once, at the end");
	if (remove[0] != '\0')
		lab_fix(check, "now: %s", remove);
}

/* --- exercise 1 ---------------------------------------------------------------------------- */

bool lab_counter_printed(const struct lab_run *run, long long *ret_value)
{
	char line[200];
	bool found = false;

	for (int i = 0; lab_line(run, i, line) != NULL; i++)
		found |= lab_number_after(line, "final counter", ret_value);
	return found;
}

struct lab_word lab_counter_find(const struct lab_run *run, long long value)
{
	int32_t wanted = (int32_t)value;

	for (int i = 0; i < run->segment_count; i++) {
		const struct lab_segment *segment = &run->segments[i];

		for (uint64_t off = 0; !segment->semaphore && off + 4 <= segment->byte_count;
		     off += 4) {
			if (memcmp(segment->bytes + off, &wanted, 4) == 0)
				return (struct lab_word){ i, off, true };
		}
	}
	return (struct lab_word){ 0 };
}

/* As a number of any type, or as digits. */
static bool holds_value(const struct lab_run *run, long long value)
{
	double real = (double)value;
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", value);
	if (lab_counter_find(run, value).known)
		return true;
	for (int i = 0; i < run->segment_count; i++) {
		const struct lab_segment *segment = &run->segments[i];

		if (segment->bytes != NULL &&
		    (memmem(segment->bytes, segment->byte_count, &real, sizeof(real)) != NULL ||
		     memmem(segment->bytes, segment->byte_count, digits, strlen(digits)) != NULL))
			return true;
	}
	return false;
}

void lab_why_first(const struct lab_run *run, struct lab_check *check)
{
	char line[200];

	if (lab_line(run, 0, line) != NULL)
		lab_why(check, "the first line that it printed is: %.120s", line);
	else if (run->printed_size > 0)
		lab_why(check, "what it printed ends in no line feed");
	else
		lab_why(check, "it printed nothing at all");
}

static const char lost_why[] = "to add one is to read, add and write; where two processes read the "
			       "same value and both write "
			       "one more, one of the two is lost";
static const char lost_fix[] =
	"make reading and writing one step for the others: sem_wait() before, sem_post() after, on "
	"a "
	"semaphore that both share and that begins with 1; or an atomic addition";

bool lab_judge_counter(struct lab_report *report, const struct lab_run *run)
{
	const struct lab_segment *segment = lab_shared(run);
	bool shared = segment != NULL && segment->user_count > 1;
	long long value = 0;
	struct lab_check *check;

	if (!lab_counter_printed(run, &value)) {
		check = lab_say(report, "output", LAB_WRONG, "no line \"Final counter: %d\"",
				TOTAL);
		lab_why_first(run, check);
		return false;
	}
	if (value == TOTAL && shared && holds_value(run, value)) {
		lab_say(report, "value", LAB_RIGHT, "printed %d, and the shared memory held it",
			TOTAL);
		return true;
	}
	if (value == TOTAL && !shared) {
		lab_say(report, "value", LAB_OPEN, "printed %d, but did not count in shared memory",
			TOTAL);
	} else if (value == TOTAL) {
		check = lab_say(report, "value", LAB_WRONG,
				"printed %d, but nothing in shared memory held that value", TOTAL);
		lab_why(check, "so the counter does not lie in memory that the processes share");
	} else if (value > TOTAL || value < 0) {
		check = lab_say(report, "value", LAB_WRONG, "printed %lld instead of %d", value,
				TOTAL);
		lab_why(check,
			"it counts too often, or began with what an earlier run left: a segment "
			"that was there already keeps its contents");
		lab_fix(check,
			"set the counter to 0 before the children start, remove it at the end");
	} else if (value == 0) {
		check = lab_say(report, "value", LAB_WRONG, "printed 0 instead of %d", TOTAL);
		lab_why(check,
			"nothing was counted where the value was read: the children count in "
			"copies of their own, or it is read before they are done");
		lab_fix(check,
			"put the counter itself into the shared memory, and wait() for both");
	} else if (run->not_waited + run->left_running > 0) {
		lab_say(report, "value", LAB_WRONG,
			"printed %lld instead of %d, as it did not wait until both were done",
			value, TOTAL);
	} else {
		check = lab_say(
			report, "lost-updates", LAB_WRONG,
			"%lld of %d updates were lost: it printed %lld, in a run that was not "
			"disturbed",
			TOTAL - value, TOTAL, value);
		lab_why(check, "%s", lost_why);
		lab_fix(check, "%s", lost_fix);
	}
	return false;
}

void lab_judge_race(struct lab_report *report, const struct lab_race *race)
{
	struct lab_check *check;

	if (race->stuck[0] != '\0') {
		check = lab_say(
			report, "lost-updates", LAB_WRONG,
			"never ended in run %d, in which the processes were moved on by turns. %s",
			race->run, race->stuck);
		lab_why(check, "a deadlock that shows with some orders of events only");
	} else if (race->lost) {
		check = lab_say(report, "lost-updates", LAB_WRONG,
				"%lld of %d updates were lost in run %d, in which the processes "
				"were %s: it "
				"printed %lld",
				TOTAL - race->value, TOTAL, race->run,
				race->is_stepped ? "moved on by turns, some instructions each"
						 : "held for moments",
				race->value);
		lab_why(check,
			"%s. By itself the program may be right a thousand times: one process is "
			"mostly done before the other begins",
			lost_why);
		lab_fix(check, "%s", lost_fix);
	} else if (race->odd) {
		check = lab_say(
			report, "lost-updates", LAB_WRONG,
			"in run %d, in which the processes were disturbed, it printed %lld or "
			"failed",
			race->run, race->value);
		lab_why(check, "it works only with some orders of events");
	} else if (race->overlaps > 0) {
		check = lab_say(
			report, "lost-updates", LAB_WRONG,
			"%llu times one process changed the counter while the other one stood "
			"right behind its own change: no lock is held there, and the addition is "
			"not atomic",
			(unsigned long long)race->overlaps);
		lab_why(check,
			"%s. Here the compiler made it one instruction, which two processors "
			"still do in three steps; so the sum was right this time",
			lost_why);
		lab_fix(check, "%s", lost_fix);
	} else {
		check = lab_say(report, "lost-updates", LAB_RIGHT,
				"none in %d disturbed runs (%d by turns, %llu single steps; %d "
				"with holds); "
				"that is no proof",
				race->stepped + race->polled, race->stepped,
				(unsigned long long)race->steps, race->polled);
	}
}
