/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exercise1 - two processes add 1 to one counter 1000 times each, with a semaphore.
 *
 *     exercise1 [KILL]
 *
 * prints
 *
 *     Final counter: 2000
 *
 * With KILL a third process takes the semaphore first, and is killed while it has it. The output is
 * the same: an owned semaphore knows who has its permits, and those of the dead are free again.
 * With a POSIX semaphore (semaphore.c) both would wait for ever. What the dead one had half changed
 * is still so; where that matters, use a section, which undoes it (section.c).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { TIMES = 1000 };

static struct tarn_sem *sem;

static int add(uint64_t *counter)
{
	for (int i = 0; i < TIMES; i++) {
		if (tarn_sem_wait(sem, TARN_FOREVER, NULL) < 0)
			return 1;
		++*counter;
		if (tarn_sem_post(sem) < 0)
			return 1;
	}
	return 0;
}

/* A process that dies with the permit. */
static int die(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0 && tarn_sem_wait(sem, TARN_FOREVER, NULL) == 0)
		raise(SIGKILL);
	if (pid == 0)
		_exit(1);
	return pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status);
}

int main(int argc, char **argv)
{
	const struct tarn_sem_opts opts = { .value = 1, .flags = TARN_SEM_OWNED };
	struct tarn_region *region = NULL;
	void *counter = NULL;
	int status, failed = 0;

	(void)argv;
	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_sem_open(region, "lock", &opts, &sem) < 0 ||
	    tarn_object_create(region, "counter", sizeof(uint64_t), &counter, NULL) < 0 ||
	    (argc > 1 && die() != 0))
		return 1;
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0)
			return add(counter);
		failed |= pid < 0;
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	printf("Final counter: %d\n", (int)*(uint64_t *)counter);
	failed |= *(uint64_t *)counter != 2 * TIMES;
	tarn_sem_close(sem);
	tarn_region_close(region);
	return failed;
}
