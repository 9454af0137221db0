/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab_queue.c - exercise 2: the buffer between a producer and a consumer, judged by the lines that
 * the two print.
 *
 * What is missing, too many or written over is said before what is out of order because of it.
 */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lab.h"

enum { ITEMS = 50, BOUND = 10, SLACK = 2 };

/* What one side printed. */
struct side {
	const char *word; /* "Produced" */
	int count;
	int seen[ITEMS]; /* how often each item */
	int strange;     /* items that are none of these */
	int first_line;  /* where another one than was due came first; 0: nowhere */
	int due;
	long long came;
	char line[64]; /* that line */
	pid_t pid;
};

static void read_side(const struct lab_run *run, const char *word, struct side *side)
{
	char line[200];
	long long item;

	*side = (struct side){ .word = word };
	for (int i = 0; lab_line(run, i, line) != NULL; i++) {
		if (!lab_number_after(line, word, &item))
			continue;
		side->pid = run->lines[i].pid;
		if (item >= 0 && item < ITEMS)
			side->seen[item]++;
		else
			side->strange++;
		if (item != side->count && side->first_line == 0) {
			side->first_line = i + 1;
			side->due = side->count;
			side->came = item;
			snprintf(side->line, sizeof(side->line), "%.60s", line);
		}
		side->count++;
	}
}

/* ", never 3, 7, 8 and 12 more": those that came @least to @most times. */
static void list_items(const struct side *side, const char *what, int least, int most, char *text,
		       size_t size)
{
	size_t used = strlen(text);
	int listed = 0, more = 0;

	for (int i = 0; i < ITEMS && used < size; i++) {
		if (side->seen[i] < least || side->seen[i] > most)
			continue;
		if (listed == 3) {
			more++;
			continue;
		}
		used += (size_t)snprintf(text + used, size - used, "%s%d",
					 listed++ == 0 ? what : ", ", i);
	}
	if (more > 0 && used < size)
		snprintf(text + used, size - used, " and %d more", more);
}

/* What is missing or too many comes before what is out of order because of it. */
static enum lab_items judge_side(const struct side *side, char *text, size_t size)
{
	enum lab_items items = LAB_ITEMS_RIGHT;
	bool all = side->strange == 0;

	for (int i = 0; i < ITEMS; i++)
		all = all && side->seen[i] == 1;
	if (side->count != ITEMS) {
		items = side->count < ITEMS ? LAB_ITEMS_FEW : LAB_ITEMS_MANY;
		snprintf(text, size, "%s: %d lines \"%s\" instead of %d",
			 side->count < ITEMS ? "items are missing" : "too many items", side->count,
			 side->word, ITEMS);
	} else if (!all) {
		items = LAB_ITEMS_LOST;
		snprintf(text, size, "items are lost: %d lines \"%s\"", side->count, side->word);
	} else if (side->first_line != 0) {
		items = LAB_ITEMS_ORDER;
		snprintf(text, size, "wrong order: each item once");
	}
	if (items == LAB_ITEMS_RIGHT)
		return items;
	list_items(side, ", never ", 0, 0, text, size);
	list_items(side, ", more than once ", 2, INT_MAX, text, size);
	if (side->first_line != 0)
		snprintf(text + strlen(text), size - strlen(text),
			 "; line %d says \"%s\" where item %d was due", side->first_line,
			 side->line, side->due);
	return items;
}

static void look_at_side(const struct lab_run *run, const char *word, struct lab_queue *queue)
{
	struct side side;

	read_side(run, word, &side);
	if (queue->items != LAB_ITEMS_RIGHT)
		return;
	queue->items = judge_side(&side, queue->fault, sizeof(queue->fault));
	if (strcmp(word, "Consumed") == 0 && side.first_line != 0 && side.came >= 0 &&
	    side.came < ITEMS) {
		queue->due = side.due;
		queue->came = (int)side.came;
	}
}

void lab_queue_look(struct lab_queue *queue, const struct lab_run *run)
{
	char line[200];
	long long item;
	int produced = 0, consumed = 0;

	queue->runs++;
	queue->holds += (int)run->holds;
	for (int i = 0; lab_line(run, i, line) != NULL; i++) {
		consumed += lab_number_after(line, "consumed", &item);
		produced += lab_number_after(line, "produced", &item);
		if (produced - consumed > queue->most) {
			queue->most = produced - consumed;
			queue->most_line = i + 1;
		}
		if (produced - consumed < queue->least)
			queue->least = produced - consumed;
	}
	look_at_side(run, "Produced", queue);
	look_at_side(run, "Consumed", queue);
}

static void judge_sides(struct lab_report *report, const struct lab_run *run)
{
	struct side in, out;
	struct lab_check *check;

	read_side(run, "Produced", &in);
	read_side(run, "Consumed", &out);
	if (in.count == 0 && out.count == 0) {
		check = lab_say(report, "output", LAB_WRONG,
				"no line \"Produced: 0\" and none \"Consumed: 0\"");
		lab_why_first(run, check);
	} else if (in.pid != 0 && in.pid == out.pid) {
		check = lab_say(report, "output", LAB_WRONG,
				"process %d printed for the producer and for the consumer", in.pid);
		lab_why(check,
			"they are to be two processes, and each to print what it did itself, when "
			"it does it");
	} else {
		lab_say(report, "output", LAB_RIGHT,
			"%d items produced by process %d, %d consumed by %d", in.count, in.pid,
			out.count, out.pid);
	}
}

static const char place_fix[] =
	"a semaphore for free places that begins with %d: the producer waits for it before each "
	"item, the consumer posts it after each";
static const char item_fix[] =
	"a semaphore for items that begins with 0: the consumer waits for it before each item, the "
	"producer posts it after each";

/* Two items of one place of the ring, and one came out for the other: by the items, then, not by
 * how many lines each side was ahead, which one or two in the hand hide. */
static bool same_place(const struct lab_queue *queue)
{
	return queue->came != queue->due && (queue->came - queue->due) % BOUND == 0;
}

static bool is_over(const struct lab_queue *queue)
{
	return queue->most > BOUND + SLACK || (same_place(queue) && queue->came > queue->due);
}

static bool is_under(const struct lab_queue *queue)
{
	return queue->least < -1 || (same_place(queue) && queue->came < queue->due);
}

static void judge_bound(struct lab_report *report, const struct lab_queue *queue)
{
	struct lab_check *check;

	if (queue->most > BOUND + SLACK) {
		check = lab_say(
			report, "bound", LAB_WRONG,
			"the buffer was over-full: %d items were produced and not yet consumed at "
			"line %d of the output, and it has room for %d",
			queue->most, queue->most_line, BOUND);
		lab_why(check,
			"the producer does not wait when the buffer is full, so it writes over "
			"items that nobody has taken");
		lab_fix(check, place_fix, BOUND);
	} else if (is_over(queue)) {
		check = lab_say(report, "bound", LAB_WRONG,
				"the buffer was over-full: item %d came out where item %d was due, "
				"and both have the same place in a ring of %d",
				queue->came, queue->due, BOUND);
		lab_why(check,
			"the producer put one item more into the buffer than it has places, over "
			"one that nobody had taken");
		lab_fix(check, place_fix, BOUND);
	} else if (queue->least < -1) {
		check = lab_say(report, "bound", LAB_WRONG,
				"%d items were consumed that had not been produced", -queue->least);
		lab_why(check, "the consumer does not wait when the buffer is empty");
		lab_fix(check, "%s", item_fix);
	} else if (is_under(queue)) {
		check = lab_say(report, "bound", LAB_WRONG,
				"the buffer was empty: item %d was taken a second time where item "
				"%d was due, and both have the same place in a ring of %d",
				queue->came, queue->due, BOUND);
		lab_why(check, "the consumer does not wait until the next item is in its place");
		lab_fix(check, "%s", item_fix);
	} else {
		lab_say(report, "bound", LAB_RIGHT,
			"at most %d produced and not yet consumed, in %d runs, in which one side "
			"was held %d times (up to %d + %d can show: one in each hand)",
			queue->most, queue->runs, queue->holds, BOUND, SLACK);
	}
}

static void judge_items(struct lab_report *report, const struct lab_queue *queue)
{
	struct lab_check *check;

	if (queue->items == LAB_ITEMS_RIGHT) {
		lab_say(report, "order", LAB_RIGHT, "0 to %d, each once, in order, on both sides",
			ITEMS - 1);
		return;
	}
	check = lab_say(report, "order", LAB_WRONG, "%s", queue->fault);
	if (is_over(queue) || is_under(queue)) {
		lab_why(check, "one side does not wait for the other one: see bound");
	} else if (queue->items == LAB_ITEMS_FEW || queue->items == LAB_ITEMS_MANY) {
		lab_why(check,
			"each of the %d items is to be put in and taken out once, and each side to "
			"print a line for it",
			ITEMS);
	} else {
		lab_why(check,
			"items 0 to %d are to go in and come out once each, in order; else places "
			"are read before they are written, written over, or counted differently "
			"on both sides",
			ITEMS - 1);
		lab_fix(check,
			"both sides: index = (index + 1) %% %d, taken and moved while the mutex is "
			"held",
			BOUND);
	}
}

void lab_judge_queue(struct lab_report *report, const struct lab_run *first,
		     const struct lab_queue *queue)
{
	judge_sides(report, first);
	if (first->line_count == 0)
		return;
	judge_bound(report, queue);
	judge_items(report, queue);
}
