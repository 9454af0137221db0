/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * holder - a process is killed while it has the lock: who gets in after it?
 *
 *     holder
 *
 * prints
 *
 *     semaphore:    still locked after 0.5 s
 *     robust mutex: got it; the data is half changed
 *     section:      got it; the data is whole
 *
 * The holder stores 1 in the first of two words, and is killed before the second. Mutexes that are
 * not robust, spinlocks and read locks stay locked like the semaphore. A robust mutex tells the
 * next one (EOWNERDEAD), and leaves it to find out what was half done. A section undoes it.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum lock { SEMAPHORE, ROBUST, SECTION };
static const char *const names[] = { "semaphore:", "robust mutex:", "section:" };

struct shared {
	sem_t semaphore;
	pthread_mutex_t robust;
	uint64_t data[2];
};
static struct tarn_section *section;
static struct shared *s;

/* Take it; half a second at most. Return: 0, or an error. */
static int take(enum lock lock, struct tarn_tx **ret_tx)
{
	int64_t until = tarn_deadline_after(500000000);
	const struct timespec at = { (time_t)(until / 1000000000), (long)(until % 1000000000) };

	if (lock == SECTION)
		return tarn_section_enter(section, until, ret_tx, NULL);
	if (lock == SEMAPHORE)
		return sem_clockwait(&s->semaphore, CLOCK_MONOTONIC, &at) < 0 ? errno : 0;
	int r = pthread_mutex_clocklock(&s->robust, CLOCK_MONOTONIC, &at);

	return r == EOWNERDEAD ? pthread_mutex_consistent(&s->robust) : r;
}

/* Whether it can be had after its holder was killed. */
static int taken_after_death(enum lock lock)
{
	struct tarn_tx *tx;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0 && take(lock, &tx) == 0) {
		if (lock != SECTION || tarn_tx_set64(tx, &s->data[0], 1) < 0)
			s->data[0] = 1;
		raise(SIGKILL);
	}
	if (pid <= 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		_exit(2);
	int taken = take(lock, &tx) == 0;

	const char *data = s->data[0] == s->data[1] ? "whole" : "half changed";

	printf(taken ? "%-13s got it; the data is %s\n" : "%-13s still locked after 0.5 s\n",
	       names[lock], data);
	s->data[0] = 0;
	return taken;
}

int main(void)
{
	struct tarn_region *region = NULL;
	pthread_mutexattr_t attr;
	void *at;
	int taken = 0;

	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_section_open(region, NULL, &(struct tarn_section_opts){ 0 }, &section) < 0 ||
	    tarn_object_create(region, "shared", sizeof(struct shared), &at, NULL) < 0)
		return 1;
	s = at;
	setvbuf(stdout, NULL, _IONBF, 0); /* or a child would print it again */
	sem_init(&s->semaphore, /* pshared= */ 1, 1);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&s->robust, &attr);
	for (int lock = SEMAPHORE; lock <= SECTION; lock++)
		taken |= taken_after_death((enum lock)lock) << lock;
	return taken != (1 << ROBUST | 1 << SECTION);
}
