/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring - Tarn's ring between a producer and consumers that are killed: nothing is lost.
 *
 *     ring [KILLS]        of the consumer, in the middle of its work; 20 if not said
 *
 * prints, with another number of those seen twice:
 *
 *     sent 300000, received 300000, lost 0, seen twice 1 (20 consumers killed)
 *
 * Who takes a dead consumer's place goes on where that one was. One record may come again: the one
 * that was taken care of, and not yet released. Either side sleeps while it has to wait. Records
 * are of any size and are read in place; see talk.c and listen.c for two programs that never met.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { ITEMS = 300000 };

struct result {
	uint64_t next, twice, wrong; /* next: the first item that was not taken care of */
};

static struct tarn_region *region;
static struct result *result;
static int consume(void)
{
	struct tarn_ring *ring;
	const void *item;
	size_t size;
	int r = tarn_ring_open(region, "items", TARN_RING_CONSUMER, NULL, &ring);

	while (r == 0 && (r = tarn_ring_peek_wait(ring, TARN_FOREVER, &item, &size)) == 0) {
		uint64_t number = *(const uint64_t *)item, next = result->next;

		result->twice += number + 1 == next;
		result->wrong += number != next && number + 1 != next;
		if (number == next)
			result->next = number + 1; /* the work; one store: done or not */
		r = tarn_ring_release(ring, 1);
	}
	return r != -ENODATA; /* the end of the stream */
}

static int produce(void)
{
	const struct tarn_ring_opts opts = { .capacity = 4096 };
	struct tarn_ring *ring;
	int r = tarn_ring_open(region, "items", TARN_RING_PRODUCER, &opts, &ring);

	for (uint64_t i = 0; r == 0 && i < ITEMS; i++)
		while ((r = tarn_ring_push_wait(ring, &i, sizeof(i), TARN_FOREVER)) == -EPIPE)
			if (tarn_ring_wait_peer(ring, TARN_FOREVER) < 0)
				return 1;
	return r < 0 || tarn_ring_finish(ring) < 0;
}

static pid_t start(int (*work)(void))
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(work());
	return pid;
}

int main(int argc, char **argv)
{
	int kills = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 20, status, failed = 0;
	struct tarn_ring *ring;
	void *data;

	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_ring_open(region, "items", TARN_RING_OBSERVER,
			   &(struct tarn_ring_opts){ .capacity = 4096 }, &ring) < 0 ||
	    tarn_object_create(region, "result", sizeof(*result), &data, NULL) < 0)
		return 1;
	result = data;
	pid_t consumer = start(consume), producer = start(produce);

	for (int n = 0; n < kills && consumer > 0; n++) {
		nanosleep(&(struct timespec){ .tv_nsec = rand() % 1000000 }, NULL);
		if (kill(consumer, SIGKILL) < 0 || waitpid(consumer, &status, 0) < 0)
			return 1;
		consumer = start(consume);
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	printf("sent %d, received %d, lost %d, seen twice %d (%d consumers killed)\n", ITEMS,
	       (int)result->next, ITEMS - (int)result->next, (int)result->twice, kills);
	return failed || producer < 0 || result->next != ITEMS || result->wrong != 0;
}
