/* SPDX-License-Identifier: BSD-2-Clause */
/* lab_tasks.c - the exercises in words. */

#include "lab.h"

#define COMMON_RULES                                                                               \
	{ "end", "the program ends by itself with code 0, within the time, after waiting for all " \
		 "of its processes" },                                                             \
		{ "memory",                                                                        \
		  "its processes have the same memory mapped, writable: POSIX, System V, "         \
		  "anonymous, memfd or a file" },                                                  \
	{                                                                                          \
		"leftovers", "no segment, named semaphore, semaphore set or queue of it is left "  \
			     "when it has ended"                                                   \
	}

const struct lab_exercise lab_exercises[] = {
	{
		.number = 1,
		.title = "a counter that two processes share",
		.task = "two processes add 1 to the same counter 1000 times each, and no addition "
			"is lost",
		.text = "Write a program that starts two processes. Both have one counter in "
			"shared "
			"memory; it begins with 0, and each process adds 1 to it a thousand times, "
			"one "
			"by one. A semaphore sees to it that only one of them is adding at a time. "
			"When "
			"both are done the program prints the counter and removes what it made.\n\n"
			"Things that help: shm_open(), ftruncate() and mmap() give memory with a "
			"name; "
			"mmap() with MAP_SHARED | MAP_ANONYMOUS before fork() gives memory without "
			"one. "
			"A semaphore that begins with 1 is a lock: sem_open(), or sem_init() in "
			"the "
			"shared memory with pshared = 1. fork() starts a process, wait() waits for "
			"it.\n\n"
			"Then take the semaphore away, and see that the sum is right nearly "
			"always: one "
			"process is done before the other begins. tarn lab check moves both on by "
			"turns, "
			"a few instructions each, and shows what is lost.",
		.sample = "Final counter: 2000",
		.rules = { { "value",
			     "the line \"Final counter: 2000\", and the shared memory holds that "
			     "value at the end" },
			   { "lost-updates",
			     "the sum stays right when the processes are moved on by turns, "
			     "by single instructions, and when they are held at random" },
			   COMMON_RULES },
		.not_judged =
			"which lock is used: a semaphore, a mutex or an atomic addition are all "
			"right. That no update was lost in so many runs is no proof.",
	},
	{
		.number = 2,
		.title = "a buffer between a producer and a consumer",
		.task = "items 0 to 49 go from one process to another through a ring of 10 places",
		.text = "Write a program with two processes and a buffer of ten places in shared "
			"memory. "
			"The producer puts in the items 0 to 49, the consumer takes them out, in "
			"the same "
			"order. When all places are full the producer waits, without using the "
			"processor; when all are empty the consumer waits. Behind the tenth place "
			"comes "
			"the first again.\n\n"
			"Three semaphores do it: one counts free places and begins with 10, one "
			"counts "
			"items and begins with 0, one begins with 1 and is the lock of the buffer. "
			"The "
			"producer waits for a place, then takes the lock; the other order can hang "
			"for "
			"ever. Each process prints a line for each item when it has put it in or "
			"taken it "
			"out.\n\n"
			"The lines of the two may come in any order that the bound allows.",
		.sample = "Produced: 0\nProduced: 1\nConsumed: 0\nProduced: 2\n...",
		.rules = { { "output",
			     "the lines \"Produced: N\" and \"Consumed: N\", printed by two "
			     "processes" },
			   { "bound",
			     "never more than 10 in the buffer, also when the consumer is held; "
			     "nothing consumed that is not produced, also when the producer is" },
			   { "order", "on each side 0 to 49, each once, in order" },
			   COMMON_RULES },
		.not_judged =
			"how the buffer lies in memory, and which semaphores are used. The bound "
			"is "
			"judged by the lines, so one item in the hand of each process cannot be "
			"told "
			"from one in the buffer: 11 or 12 on their way are not counted as wrong, "
			"unless an item is written over by it.",
	},
	{
		.number = 3,
		.title = "a product of matrices by four processes",
		.task = "four processes compute 50 rows each of the product of two 200 x 200 "
			"matrices",
		.text = "Write a program that multiplies two matrices of 200 rows and 200 columns. "
			"A, B "
			"and the product C lie in shared memory. A and B are filled with random "
			"numbers "
			"before the workers start; four processes then compute 50 rows of C each, "
			"rows 0 "
			"to 49, 50 to 99, 100 to 149 and 150 to 199. Nobody writes what another "
			"one "
			"writes, so there is no need for a lock. The program waits for all four, "
			"checks a "
			"row of C by computing it again, and prints how long it took.\n\n"
			"The numbers may be int, long, float or double. Each matrix lies row by "
			"row; all "
			"three behind each other in one segment, or each in a segment of its own.",
		.sample =
			"Process 0: rows 0-49 done\nProcess 1: rows 50-99 done\nProcess 2: rows "
			"100-149 "
			"done\nProcess 3: rows 150-199 done\nComputation complete in 0.02 seconds",
		.rules = { { "output",
			     "a line \"rows A-B\" for each of the four parts, once each, and one "
			     "with the seconds" },
			   { "product",
			     "the shared memory holds A, B and C, and C is A times B in all 200 "
			     "rows, computed again by this check" },
			   COMMON_RULES },
		.not_judged = "whether the four ran at the same time, and how fast they were.",
	},
	{ 0 },
};

const struct lab_exercise *lab_exercise(int number)
{
	for (const struct lab_exercise *e = lab_exercises; e->number != 0; e++) {
		if (e->number == number)
			return e;
	}
	return NULL;
}
