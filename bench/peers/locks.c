/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * locks.c - what the C library and the kernel have to lock with between processes: pthread's
 * mutex, robust mutex, rwlock, spin lock, condition variable; semaphores of POSIX and System V.
 *
 * Each guards one word that every pass stores. The condition variable is used as it has to be, with
 * a mutex around a flag that says whether somebody is in.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include "peers.h"

struct locks {
	BENCH_LINE pthread_mutex_t mutex;
	BENCH_LINE pthread_rwlock_t rwlock; /* style: what is measured */
	BENCH_LINE pthread_spinlock_t spin;
	BENCH_LINE pthread_cond_t cond; /* style: what is measured */
	bool taken;
	BENCH_LINE sem_t sem;
};

static struct locks *locks;
static int sysv = -1;

static void must(struct bench *b, const char *what, int error)
{
	if (error != 0)
		bench_fail(b, what, error);
}

static void locks_open(struct bench *b)
{
	pthread_rwlockattr_t rwlock;
	pthread_condattr_t cond;

	locks = bench_memory(b, sizeof(*locks));
	pthread_rwlockattr_init(&rwlock);
	pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED);
	must(b, "pthread_rwlock_init", pthread_rwlock_init(&locks->rwlock, &rwlock));
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	must(b, "pthread_cond_init", pthread_cond_init(&locks->cond, &cond));
	must(b, "pthread_spin_init", pthread_spin_init(&locks->spin, PTHREAD_PROCESS_SHARED));
	must(b, "sem_init", sem_init(&locks->sem, 1, 1) == 0 ? 0 : errno);
}

static void make_mutex(struct bench *b, bool robust)
{
	pthread_mutexattr_t attr;

	locks_open(b);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (robust)
		pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	must(b, "pthread_mutex_init", pthread_mutex_init(&locks->mutex, &attr));
}

static void mutex_open(struct bench *b)
{
	make_mutex(b, false);
}

static void robust_open(struct bench *b)
{
	make_mutex(b, true);
}

static void sysv_open(struct bench *b)
{
	union {
		int val;
	} one = { 1 };

	sysv = semget(IPC_PRIVATE, 1, 0600);
	must(b, "semget", sysv >= 0 ? 0 : errno);
	b->shm->keep[0] = (uint64_t)sysv + 1;
	must(b, "semctl", semctl(sysv, 0, SETVAL, one) == 0 ? 0 : errno);
}

static void sysv_clean(struct bench *b)
{
	if (b->shm->keep[0] != 0)
		(void)semctl((int)b->shm->keep[0] - 1, 0, IPC_RMID);
}

/* --- to lock, and to unlock ------------------------------------------------------------------ */

/* A pair of functions, of a statement each; LOCK's is followed by the store. */
#define LOCKS(name, lock, unlock)                                                                  \
	BENCH_INLINE void name##_lock(struct bench *b, size_t size, uint64_t number)               \
	{                                                                                          \
		(void)size;                                                                        \
		lock;                                                                              \
		__atomic_store_n(&b->shm->word, number, __ATOMIC_RELAXED);                         \
	}                                                                                          \
	BENCH_INLINE void name##_unlock(struct bench *b, size_t size, uint64_t number)             \
	{                                                                                          \
		(void)b;                                                                           \
		(void)size;                                                                        \
		(void)number;                                                                      \
		unlock;                                                                            \
	}                                                                                          \
	BENCH_LOCK_LOOPS(name##_run, name##_lock, name##_unlock)

BENCH_INLINE void down_posix(void)
{
	while (sem_wait(&locks->sem) != 0)
		;
}

static void by_sysv(struct bench *b, short by)
{
	struct sembuf op = { .sem_op = by };

	while (semop(sysv, &op, 1) != 0)
		if (errno != EINTR)
			bench_fail(b, "semop", errno);
}

BENCH_INLINE void cond_take(void)
{
	pthread_mutex_lock(&locks->mutex);
	while (locks->taken)
		pthread_cond_wait(&locks->cond, &locks->mutex);
	locks->taken = true;
	pthread_mutex_unlock(&locks->mutex);
}

BENCH_INLINE void cond_give(void)
{
	pthread_mutex_lock(&locks->mutex);
	locks->taken = false;
	pthread_cond_signal(&locks->cond);
	pthread_mutex_unlock(&locks->mutex);
}

LOCKS(mutex, pthread_mutex_lock(&locks->mutex), pthread_mutex_unlock(&locks->mutex))
LOCKS(read, pthread_rwlock_rdlock(&locks->rwlock), pthread_rwlock_unlock(&locks->rwlock))
LOCKS(write, pthread_rwlock_wrlock(&locks->rwlock), pthread_rwlock_unlock(&locks->rwlock))
LOCKS(spin, pthread_spin_lock(&locks->spin), pthread_spin_unlock(&locks->spin))
LOCKS(cond, cond_take(), cond_give())
LOCKS(posix, down_posix(), sem_post(&locks->sem))
LOCKS(sysv, by_sysv(b, -1), by_sysv(b, 1))

#define ROW(name, mode, measures)                                                                  \
	static const struct bench_variant name##_variants[] = {                                    \
		{ mode, measures, 0, 0, name##_run },                                              \
		{ 0 },                                                                             \
	};

ROW(mutex, BENCH_BLOCKING, BENCH_ALL_OF_LOCKS)
ROW(read, BENCH_BLOCKING, BENCH_BIT(BENCH_WRITE))
ROW(write, BENCH_BLOCKING, BENCH_ALL_OF_LOCKS)
ROW(spin, BENCH_BUSY, BENCH_ALL_OF_LOCKS)
ROW(cond, BENCH_BLOCKING, BENCH_ALL_OF_LOCKS)
ROW(posix, BENCH_BLOCKING, BENCH_ALL_OF_LOCKS)
ROW(sysv, BENCH_BLOCKING, BENCH_ALL_OF_LOCKS)

const struct bench_contestant bench_pthread_mutex = {
	.name = "pthread mutex",
	.group = BENCH_PEER,
	.what = "pthread_mutex, process-shared",
	.variants = mutex_variants,
	.open = mutex_open,
};
const struct bench_contestant bench_pthread_robust = {
	.name = "pthread robust mutex",
	.group = BENCH_PEER,
	.what = "pthread_mutex, process-shared and robust",
	.variants = mutex_variants,
	.open = robust_open,
};
const struct bench_contestant bench_pthread_read = {
	.name = "pthread rwlock, reading",
	.group = BENCH_PEER,
	.what = "pthread_rwlock, process-shared",
	.variants = read_variants,
	.open = locks_open,
};
const struct bench_contestant bench_pthread_write = {
	.name = "pthread rwlock, writing",
	.group = BENCH_PEER,
	.what = "pthread_rwlock, process-shared",
	.variants = write_variants,
	.open = locks_open,
};
const struct bench_contestant bench_pthread_spin = {
	.name = "pthread spin lock",
	.group = BENCH_PEER,
	.what = "pthread_spin, process-shared",
	.variants = spin_variants,
	.open = locks_open,
};
const struct bench_contestant bench_pthread_cond = {
	.name = "pthread mutex+cond",
	.group = BENCH_PEER,
	.what = "pthread_cond around a flag, process-shared",
	.variants = cond_variants,
	.open = mutex_open,
};
const struct bench_contestant bench_posix_sem = {
	.name = "POSIX semaphore",
	.group = BENCH_PEER,
	.what = "sem_wait and sem_post, process-shared",
	.variants = posix_variants,
	.open = locks_open,
};
const struct bench_contestant bench_sysv_sem = {
	.name = "System V semaphore",
	.group = BENCH_PEER,
	.what = "semop",
	.variants = sysv_variants,
	.open = sysv_open,
	.clean = sysv_clean,
};
