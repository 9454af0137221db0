/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bounded - exercise 2: producer and consumer around a buffer of 10, with three POSIX semaphores.
 *
 *     bounded             the producer makes an item when the one before it was consumed
 *     bounded free        both go as fast as they can
 *
 * Without an argument it prints, for 0 to 49:
 *
 *     Produced: 0
 *     Consumed: 0
 *     Produced: 1
 *     Consumed: 1
 *     ...
 *
 * Three semaphores alone do not give this order, whatever naps are put between: while the buffer
 * has room, the producer may go on. So a fourth one, wanted, is what makes them alternate. With
 * "free" the order is another each time, always one that a buffer of 10 can have: the producer is
 * at most 10 ahead, and blocks there; the indices wrap around five times. empty and full are
 * waited for before mutex: the other way round a full buffer is a deadlock. A process that dies
 * between wait and post takes the permit with it; the waits here have a deadline, so the other one
 * ends with an error. exercise2.c is the same with Tarn's semaphores.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 10, ITEMS = 50 };

struct buffer {
	sem_t mutex, empty, full, wanted;
	int slots[SLOTS];
	int head, tail; /* where is written, where is read */
};

static bool down(sem_t *sem)
{
	struct timespec until;
	int r;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	while ((r = sem_timedwait(sem, &until)) < 0 && errno == EINTR)
		continue;
	return r == 0;
}

static int produce(struct buffer *b, bool paced)
{
	for (int item = 0; item < ITEMS; item++) {
		if ((paced && !down(&b->wanted)) || !down(&b->empty) || !down(&b->mutex))
			return 1;
		b->slots[b->head] = item;
		b->head = (b->head + 1) % SLOTS;
		printf("Produced: %d\n", item);
		sem_post(&b->mutex);
		sem_post(&b->full);
	}
	return 0;
}

static int consume(struct buffer *b)
{
	for (int n = 0; n < ITEMS; n++) {
		if (!down(&b->full) || !down(&b->mutex))
			return 1;
		printf("Consumed: %d\n", b->slots[b->tail]);
		b->tail = (b->tail + 1) % SLOTS;
		sem_post(&b->mutex);
		sem_post(&b->empty);
		sem_post(&b->wanted);
	}
	return 0;
}

int main(int argc, char **argv)
{
	bool paced = argc < 2 || strcmp(argv[1], "free") != 0;
	struct buffer *b =
		mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 1;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0); /* a line is out before the other one prints */
	if (b == MAP_FAILED || sem_init(&b->mutex, 1, 1) < 0 || sem_init(&b->empty, 1, SLOTS) < 0 ||
	    sem_init(&b->full, 1, 0) < 0 || sem_init(&b->wanted, 1, 1) < 0 || (pid = fork()) < 0)
		return 1;
	if (pid == 0)
		return consume(b);
	int r = produce(b, paced);

	return r || wait(&status) != pid || status != 0;
}
