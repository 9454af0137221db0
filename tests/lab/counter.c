/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise 1 as learners write it: right, and wrong in one way that the argument names.
 *
 *     counter right | atomic | unlocked | single | leak | stale | sysv | sysv-leak | hang | spin
 *     counter crash | unsized | private | threads | pipe | silent | bomb | flood | run-on
 *     counter unwaited | escape
 */

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIMES = 1000 };

struct shared {
	sem_t lock;
	int counter;
	_Atomic int atomic;
};

static struct shared *shared;
static const char *how;
static char name[64], sem_name[64];
static sem_t *named;
static int sem_set = -1;

static int is(const char *word)
{
	return strcmp(how, word) == 0;
}

static void lock_named(int add)
{
	if (sem_set >= 0)
		(void)semop(sem_set, &(struct sembuf){ 0, (short)add, 0 }, 1);
	else if (add < 0)
		(void)sem_wait(named);
	else
		(void)sem_post(named);
}

/* One instruction on some machines, and yet no atomic one. */
static void add_in_one(int *counter)
{
#if defined(__x86_64__) || defined(__i386__)
	__asm__ volatile("incl %0" : "+m"(*counter));
#else
	(*counter)++;
#endif
}

static void *work(void *arg)
{
	int *nowhere = (int *)8;

	(void)arg;
	alarm(100);
	for (int i = 0; i < TIMES; i++) {
		if (is("unlocked") || is("run-on") || is("unwaited")) {
			shared->counter++;
		} else if (is("single")) {
			add_in_one(&shared->counter);
		} else if (is("atomic")) {
			atomic_fetch_add(&shared->atomic, 1);
		} else {
			lock_named(-1);
			if (is("hang") && i == 500)
				return NULL; /* and the lock is never let go of */
			if (is("crash") && i == 500)
				*nowhere = 1;
			shared->counter++;
			lock_named(1);
		}
	}
	return NULL;
}

static void *map_memory(void)
{
	if (is("sysv") || is("sysv-leak")) {
		int id = shmget(IPC_PRIVATE, sizeof(*shared), IPC_CREAT | 0600);
		void *at = shmat(id, NULL, 0);

		sem_set = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
		(void)semctl(sem_set, 0, SETVAL, 1);
		if (is("sysv"))
			(void)shmctl(id, IPC_RMID, NULL);
		return at;
	}
	if (is("private") || is("threads"))
		return calloc(1, sizeof(*shared));

	int fd = shm_open(name, O_CREAT | O_RDWR, 0600);

	if (!is("unsized") && ftruncate(fd, sizeof(*shared)) != 0)
		exit(1);
	return mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void run_workers(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++) {
		if (is("threads")) {
			pthread_create(&threads[i], NULL, work, NULL);
		} else if (fork() == 0) {
			work(NULL);
			if (is("run-on"))
				pause();
			if (is("unwaited"))
				nanosleep(&(struct timespec){ 0, 100000000 }, NULL);
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++) {
		if (is("threads"))
			pthread_join(threads[i], NULL);
		else if (!is("run-on") && !is("unwaited"))
			wait(NULL);
	}
}

static void misbehave(void)
{
	/* Bounded, if no one else bounds them. */
	alarm(100);
	for (int i = 0; i < 8 && is("bomb"); i++)
		fork();
	if (is("bomb"))
		sleep(3);
	if (is("escape")) {
		/* a child that no one traces, and that outlives its parent */
		if (syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0) == 0) {
			alarm(100);
			pause();
		}
		puts("Final counter: 2000");
		exit(0);
	}
	for (int i = 0; i < 20000 && is("flood"); i++)
		puts("Final counter: 2000, Final counter: 2000, Final counter: 2000");
	while (is("spin"))
		continue;
	if (is("pipe")) {
		int fds[2], sum = 0, part;

		if (pipe(fds) != 0)
			exit(1);
		for (int i = 0; i < 2; i++) {
			if (fork() == 0) {
				part = TIMES;
				_exit(write(fds[1], &part, sizeof(part)) < 0);
			}
		}
		for (int i = 0; i < 2; i++) {
			if (read(fds[0], &part, sizeof(part)) < 0)
				exit(1);
			sum += part;
			wait(NULL);
		}
		printf("Final counter: %d\n", sum);
		exit(0);
	}
}

int main(int argc, char **argv)
{
	how = argc > 1 ? argv[1] : "right";
	snprintf(name, sizeof(name), "/%s", argc > 2 ? argv[2] : "lab_counter");
	snprintf(sem_name, sizeof(sem_name), "%.50s_lock", name);
	misbehave();
	shared = map_memory();
	if (!is("stale"))
		shared->counter = 0;
	named = sem_open(sem_name, O_CREAT, 0600, 1);
	run_workers();
	if (!is("silent"))
		printf("Final counter: %d\n", is("atomic") ? shared->atomic : shared->counter);
	sem_close(named);
	if (!is("leak") && !is("stale")) {
		sem_unlink(sem_name);
		shm_unlink(name);
	}
	if (is("sysv"))
		(void)semctl(sem_set, 0, IPC_RMID);
	return 0;
}
