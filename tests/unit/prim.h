/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prim.h - what the tests of primitives share: a region, processes that do one thing and die or
 * wait to be killed, and what tarn_lock_stat() says. An alarm ends what a fault would make last for
 * ever.
 */
#ifndef TESTS_UNIT_PRIM_H
#define TESTS_UNIT_PRIM_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <tarn/lock.h>

#include "sync/prim.h"

#define SOON_NS   INT64_C(20000000) /* too short for anything to happen by itself */
#define SURELY_NS INT64_C(20000000000)

static struct tarn_region *region;
static _Atomic uint32_t *flags; /* 1024 words in the region, zero at first */

static inline int make_region(void **state)
{
	void *p;

	(void)state;
	alarm(60);
	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_object_create(region, "flags", 4096, &p, NULL) < 0)
		return -1;
	flags = p;
	return 0;
}

static inline int drop_region(void **state)
{
	(void)state;
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	tarn_region_close(region);
	alarm(0);
	return 0;
}

static inline void pause_us(int64_t us)
{
	_Atomic uint32_t word = 0;

	(void)tarn__plat_futex_wait(&word, 0, tarn_deadline_after(us * 1000));
}

static inline void await_flag(int n)
{
	while (atomic_load(&flags[n]) == 0)
		pause_us(200);
}

/* A process that runs @fn, which returns 0, and ends by SIGKILL. */
static inline pid_t start(int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(60);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fn(arg) != 0)
			_exit(1);
		raise(SIGKILL);
	}
	return pid;
}

/* It ended by SIGKILL, by itself or ours. */
static inline void await_death(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static inline void end(pid_t pid)
{
	kill(pid, SIGKILL);
	await_death(pid);
}

/* Run @fn in a process that dies then. */
static inline void run_dead(int (*fn)(void *arg), void *arg)
{
	await_death(start(fn, arg));
}

/* How many of @role have or want @name. */
static inline uint32_t count_role(const char *name, uint32_t role)
{
	struct tarn_lock_who who[64];
	struct tarn_lock_stat stat;
	uint32_t count = 0;

	assert_int_equal(tarn_lock_stat(region, name, &stat, who, 64), 0);
	assert_true(stat.who_count <= 64);
	for (uint32_t i = 0; i < stat.who_count; i++)
		count += who[i].role == role && who[i].alive;
	return count;
}

/* Until @n wait there, and are told as waiting. */
static inline void await_waiters(const char *name, uint32_t n)
{
	int64_t end = tarn_deadline_after(SURELY_NS);

	while (count_role(name, TARN_LOCK_WAITS) < n) {
		assert_true(tarn_deadline_after(0) < end);
		pause_us(200);
	}
}

static inline void run_thread(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

#endif /* TESTS_UNIT_PRIM_H */
