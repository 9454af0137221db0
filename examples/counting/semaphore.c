/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * semaphore - the race of race.c, mended with a POSIX semaphore.
 *
 *     semaphore [TIMES]   each process adds 1 that often; 1000 if not said
 *
 * prints
 *
 *     Expected final value: 2000
 *     Final counter value: 2000
 *     Lost updates: 0
 *
 * The semaphore lies in the shared memory itself, so that there is no second name to clean up, and
 * its count of 1 makes it a lock. sem_wait() is asked whether it worked: a signal interrupts it,
 * and whoever goes on without looking is inside without the lock.
 *
 * What it does not do: a process that is killed between sem_wait() and sem_post() takes the permit
 * with it, and the others wait for ever (see ../death/holder.c). Not so in
 * section.c, nor in exercise1.c, whose semaphore is Tarn's.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
	sem_t lock;
	int counter;
};

static int add(struct shared *shared, int times)
{
	for (int i = 0; i < times; i++) {
		while (sem_wait(&shared->lock) < 0)
			if (errno != EINTR)
				return 1;
		shared->counter++;
		sem_post(&shared->lock);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1000;
	int status, failed = 0;

	/* Children inherit it; it needs no name and is gone with the last of them. */
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED || sem_init(&shared->lock, /* pshared= */ 1, 1) < 0) {
		perror("semaphore");
		return 1;
	}
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0)
			return add(shared, times);
		failed |= pid < 0;
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	printf("Expected final value: %d\n", 2 * times);
	printf("Final counter value: %d\n", shared->counter);
	printf("Lost updates: %d\n", 2 * times - shared->counter);
	return failed || shared->counter != 2 * times;
}
