/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exercise2 - producer and consumer around a buffer of 10, with Tarn's semaphores.
 *
 *     exercise2           the producer makes an item when the one before it was consumed
 *     exercise2 free      both go as fast as they can
 *
 * prints, for 0 to 49, and with "free" in another order that a buffer of 10 can have:
 *
 *     Produced: 0
 *     Consumed: 0
 *     ...
 *
 * As bounded.c, which tells why the order needs a fourth semaphore. empty, full and wanted count
 * what one makes and the other uses, so nobody owns them. mutex has an owner: the permit of a
 * process that dies between its wait and its post is free at once. What is in the buffer survives
 * both.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { SLOTS = 10, ITEMS = 50 };

struct buffer {
	uint32_t slots[SLOTS];
	uint32_t head, tail; /* where is written, where is read */
};

static struct tarn_sem *mutex, *empty, *full, *wanted;

/* 10 s at most: nothing here takes so long, unless the other side is gone. */
static bool down(struct tarn_sem *sem)
{
	return tarn_sem_wait(sem, tarn_deadline_after(10000000000), NULL) == 0;
}

static int produce(struct buffer *b, bool paced)
{
	for (uint32_t item = 0; item < ITEMS; item++) {
		if ((paced && !down(wanted)) || !down(empty) || !down(mutex))
			return 1;
		b->slots[b->head] = item;
		b->head = (b->head + 1) % SLOTS;
		printf("Produced: %u\n", item);
		if (tarn_sem_post(mutex) < 0 || tarn_sem_post(full) < 0)
			return 1;
	}
	return 0;
}

static int consume(struct buffer *b)
{
	for (int n = 0; n < ITEMS; n++) {
		if (!down(full) || !down(mutex))
			return 1;
		printf("Consumed: %u\n", b->slots[b->tail]);
		b->tail = (b->tail + 1) % SLOTS;
		if (tarn_sem_post(mutex) < 0 || tarn_sem_post(empty) < 0 ||
		    tarn_sem_post(wanted) < 0)
			return 1;
	}
	return 0;
}

static int open_sem(struct tarn_region *region, const char *name, uint32_t value, uint32_t flags,
		    struct tarn_sem **ret_sem)
{
	const struct tarn_sem_opts opts = { .value = value, .flags = flags };

	return tarn_sem_open(region, name, &opts, ret_sem);
}

int main(int argc, char **argv)
{
	bool paced = argc < 2 || strcmp(argv[1], "free") != 0;
	struct tarn_region *region = NULL;
	void *b = NULL;
	int status = 1;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0); /* a line is out before the other one prints */
	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_object_create(region, "buffer", sizeof(struct buffer), &b, NULL) < 0 ||
	    open_sem(region, "mutex", 1, TARN_SEM_OWNED, &mutex) < 0 ||
	    open_sem(region, "empty", SLOTS, 0, &empty) < 0 ||
	    open_sem(region, "full", 0, 0, &full) < 0 ||
	    open_sem(region, "wanted", 1, 0, &wanted) < 0 || (pid = fork()) < 0)
		return 1;
	if (pid == 0)
		return consume(b);
	int r = produce(b, paced);

	return r || wait(&status) != pid || status != 0;
}
