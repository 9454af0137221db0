/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * turns - writer and reader take turns with two semaphores, in place of the flag of flag.c.
 *
 *     turns [COUNT]       messages; 3 if not said
 *     turns die           the writer is killed after the second
 *
 * prints
 *
 *     Reader: counter 1, Message #1 from Writer
 *     Reader: counter 2, Message #2 from Writer
 *     Reader: counter 3, Message #3 from Writer
 *
 * and with "die", after two messages:
 *
 *     Reader: no message came: Connection timed out
 *
 * filled says that a message is there, emptied that there is room for one. Who waits sleeps in the
 * kernel and needs no turn of the processor; waiting and posting also order what was written before
 * the post before what is read after the wait. Each wait has a deadline, so no side hangs on a dead
 * one. To learn at once that the other side died, and not at a deadline: ring.c.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

struct shared {
	uint32_t counter;
	char message[100];
};

static struct tarn_sem *filled, *emptied;

static int writer(struct shared *shared, uint32_t count, bool dies)
{
	for (uint32_t i = 1; i <= count; i++) {
		if (tarn_sem_wait(emptied, tarn_deadline_after(10000000000), NULL) < 0)
			return 1;
		if (dies && i == 3)
			raise(SIGKILL);
		shared->counter = i;
		snprintf(shared->message, sizeof(shared->message), "Message #%u from Writer", i);
		if (tarn_sem_post(filled) < 0)
			return 1;
	}
	return 0;
}

static int reader(const struct shared *shared, uint32_t count, int64_t patience)
{
	for (uint32_t i = 1; i <= count; i++) {
		int r = tarn_sem_wait(filled, tarn_deadline_after(patience), NULL);

		if (r < 0) {
			printf("Reader: no message came: %s\n", strerror(-r));
			return 1;
		}
		printf("Reader: counter %u, %s\n", shared->counter, shared->message);
		if (tarn_sem_post(emptied) < 0)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	bool dies = argc > 1 && strcmp(argv[1], "die") == 0;
	uint32_t count = argc > 1 && !dies ? (uint32_t)strtoul(argv[1], NULL, 10) : 3;
	const struct tarn_sem_opts none = { .value = 0 }, one = { .value = 1 };
	struct tarn_region *region = NULL;
	void *shared = NULL;

	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_sem_open(region, "filled", &none, &filled) < 0 ||
	    tarn_sem_open(region, "emptied", &one, &emptied) < 0 ||
	    tarn_object_create(region, "shared", sizeof(struct shared), &shared, NULL) < 0)
		return 1;
	pid_t pid = fork();

	if (pid == 0)
		return writer(shared, count, dies);
	int r = pid < 0 || reader(shared, count, dies ? 1000000000 : 10000000000);

	wait(NULL);
	return r;
}
