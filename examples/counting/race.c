/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * race - two processes add to one counter without a lock, and updates get lost.
 *
 *     race [TIMES]        each process adds 1 that often; 10000000 if not said
 *
 * prints, with another number each time:
 *
 *     Expected final value: 20000000
 *     Final counter value: 12948613
 *     Lost updates: 7051387
 *
 * counter++ is a load, an addition and a store. What the other process stores between the load and
 * the store is overwritten. Here load and store stand apart: of counter++ on a plain int an
 * optimising compiler makes one addition of TIMES, or what else it likes, since a data race has no
 * meaning in C; then a test sees nothing lost, and the user does.
 *
 * The same program made right: semaphore.c, atomic.c, section.c and exercise1.c beside this one.
 * Plain POSIX.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
	_Atomic int here; /* so that neither is done before the other begins */
	_Atomic int counter;
};

static int add(struct shared *shared, int times)
{
	atomic_fetch_add(&shared->here, 1);
	while (atomic_load(&shared->here) < 2)
		sched_yield();
	for (int i = 0; i < times; i++) {
		int value = atomic_load_explicit(&shared->counter, memory_order_relaxed);

		atomic_store_explicit(&shared->counter, value + 1, memory_order_relaxed);
	}
	return 0;
}

/* Shared memory that has no name any more when this returns: nobody has to clean up. */
static struct shared *make_shared(void)
{
	char name[64];
	void *at = MAP_FAILED;

	snprintf(name, sizeof(name), "/race-%ld", (long)getpid());
	int fd = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);

	if (fd < 0)
		return NULL;
	if (shm_unlink(name) == 0 && ftruncate(fd, sizeof(struct shared)) == 0)
		at = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 10000000;
	struct shared *shared = make_shared();

	if (shared == NULL) {
		perror("race");
		return 1;
	}
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0)
			return add(shared, times);
		if (pid < 0) {
			perror("fork");
			atomic_store(&shared->here, 2);
			return 1;
		}
	}
	while (wait(NULL) > 0)
		continue;
	printf("Expected final value: %d\n", 2 * times);
	printf("Final counter value: %d\n", shared->counter);
	printf("Lost updates: %d\n", 2 * times - shared->counter);
	return 0;
}
