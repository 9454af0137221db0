/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread.c - what a thread knows of itself, and what becomes of its tx when it ends.
 *
 * A thread that ends, by returning, pthread_exit() or cancellation, while it is inside aborts: the
 * destructor of a key that its first enter sets does that. What it held of primitives, others get
 * as from the dead. The end of a process needs nothing: the kernel drops the member's lock, and
 * the next one rolls back. A thread that is ended by the bare system call, with no destructor run,
 * leaves its section held by a member that lives.
 *
 * In a child of fork() the one thread that is left is inside of nothing: handles are told by
 * region/fork.c, the thread by a handler of its own here.
 */
#include <errno.h>
#include <pthread.h>

#include "sync/prim.h"

_Thread_local struct thread tarn__self TARN__TLS;
struct prim tarn__held_none;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int once_result;

static void thread_ends(void *arg)
{
	struct thread *me = arg;

	while (me->open != NULL)
		(void)tarn__tx_abort(me->open);
	tarn__prims_thread_ends(me);
	/* Another destructor may enter yet: then this one is called once more. */
	me->tid = 0;
	me->held = NULL;
	me->seat = 0;
}

static void in_child(void)
{
	tarn__self.tid = 0;
	tarn__self.open = NULL;
	tarn__self.held = NULL;
	tarn__self.seated = false;
	tarn__self.seat = 0;
}

static void make_key(void)
{
	once_result = -pthread_key_create(&key, thread_ends);
	if (once_result == 0)
		once_result = -pthread_atfork(NULL, NULL, in_child);
}

/* The library is unloaded: no thread that ends later may call into it. */
__attribute__((destructor)) static void drop_key(void)
{
	if (once_result == 0 && tarn__self.token != 0)
		(void)pthread_key_delete(key);
}

int tarn__thread_begin(void)
{
	struct thread *me = &tarn__self;

	if (me->tid != 0)
		return 0;
	pthread_once(&once, make_key);
	if (once_result < 0 || pthread_setspecific(key, me) != 0)
		return -ENOMEM;
	/* Drawn anew after a fork: the parent's thread goes on with its own. */
	if (tarn__plat_random(&me->token, sizeof(me->token)) < 0)
		me->token = (uint32_t)tarn__plat_now();
	me->token |= 1; /* 0 is none */
	me->held = &tarn__held_none;
	me->tid = (uint32_t)tarn__plat_tid();
	return 0;
}
