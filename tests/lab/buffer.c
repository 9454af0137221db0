/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise 2 as learners write it: right, and wrong in one way that the argument names.
 *
 *     buffer right | unbounded | eager | no-wrap | order | deadlock | one-process | short |
 *            eleven | skip | repeat | more | swap
 */

#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ITEMS = 50, PLACES = 10 };

struct shared {
	sem_t mutex, empty, full;
	int in, out;
	int places[PLACES];
};

static struct shared *shared;
static const char *how;

static int is(const char *word)
{
	return strcmp(how, word) == 0;
}

/* What the producer puts in as the @n-th, in place of n. */
static int item_of(int n)
{
	if (is("skip"))
		return n < 25 ? n : n + 1;
	if (is("repeat"))
		return n < 25 ? n : n - 1;
	if (is("swap") && (n == 25 || n == 26))
		return 51 - n;
	return n;
}

static int items(void)
{
	return is("skip") ? ITEMS - 1 : is("repeat") || is("more") ? ITEMS + 1 : ITEMS;
}

static void produce(void)
{
	for (int n = 0; n < items(); n++) {
		int i = item_of(n);

		if (is("deadlock"))
			sem_wait(&shared->mutex);
		if (!is("unbounded"))
			sem_wait(&shared->empty);
		if (!is("deadlock"))
			sem_wait(&shared->mutex);
		shared->places[shared->in] = i;
		shared->in = (shared->in + 1) % PLACES;
		printf("Produced: %d\n", i);
		sem_post(&shared->mutex);
		sem_post(&shared->full);
	}
}

static void consume(void)
{
	int count = is("short") ? ITEMS - 1 : items();

	for (int i = 0; i < count; i++) {
		if (!is("eager"))
			sem_wait(&shared->full);
		sem_wait(&shared->mutex);

		int place = is("order") ? PLACES - 1 - shared->out : shared->out;
		int item = shared->places[place];

		shared->out = (shared->out + 1) % (is("no-wrap") ? PLACES - 1 : PLACES);
		sem_post(&shared->mutex);
		sem_post(&shared->empty);
		printf("Consumed: %d\n", item);
	}
}

/* Both in one process, and each prints what is due. */
static void by_oneself(void)
{
	for (int i = 0; i < ITEMS; i++)
		printf("Produced: %d\nConsumed: %d\n", i, i);
}

int main(int argc, char **argv)
{
	how = argc > 1 ? argv[1] : "right";
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	sem_init(&shared->mutex, 1, 1);
	sem_init(&shared->empty, 1, is("eleven") ? PLACES + 1 : PLACES);
	sem_init(&shared->full, 1, 0);
	if (fork() == 0) {
		if (!is("one-process"))
			consume();
		fflush(stdout);
		_exit(0);
	}
	if (is("one-process"))
		by_oneself();
	else
		produce();
	wait(NULL);
	return 0;
}
