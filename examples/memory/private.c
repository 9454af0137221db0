/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * private - a parent and its child share a System V segment without a key (IPC_PRIVATE).
 *
 *     private
 *
 * prints
 *
 *     Child read: Hello from parent!
 *
 * In two things this is not as it is usually shown. The child waits for a semaphore in the segment,
 * not for a second to pass: sleep(1) is too long, or too short when it matters. And the segment is
 * marked for removal as soon as it is attached: it goes when the last process detaches or dies,
 * so that nothing is left (ipcs -m), whoever is killed. Removing it at the end would leave it
 * after every kill. The mode is 0600: with 0666 every user of the host may read and write it.
 *
 * Plain System V. Of Tarn: tarn_segment_create("sysv:private"), or a region "anon:".
 */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
	sem_t written;
	char text[1024];
};

static int child(struct shared *shared)
{
	struct timespec until;
	int r;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10; /* a parent that was killed posts nothing */
	while ((r = sem_timedwait(&shared->written, &until)) < 0 && errno == EINTR)
		continue;
	if (r < 0)
		return 1;
	printf("Child read: %s\n", shared->text);
	return shmdt(shared) < 0;
}

int main(void)
{
	struct shared *shared = (void *)-1;
	int id = shmget(IPC_PRIVATE, sizeof(*shared), IPC_CREAT | 0600), status = 1;
	pid_t pid;

	if (id >= 0) {
		shared = shmat(id, NULL, 0);
		shmctl(id, IPC_RMID, NULL);
	}
	if (shared == (void *)-1 || sem_init(&shared->written, 1, 0) < 0 || (pid = fork()) < 0) {
		perror("private");
		return 1;
	}
	if (pid == 0)
		return child(shared);
	snprintf(shared->text, sizeof(shared->text), "Hello from parent!");
	sem_post(&shared->written);
	return wait(&status) != pid || status != 0 || shmdt(shared) < 0;
}
