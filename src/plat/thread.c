/* SPDX-License-Identifier: BSD-2-Clause */
/* thread.c - a thread of the library's own, and a descriptor that it speaks through. */
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "plat/seam.h"

int tarn__plat_eventfd(void)
{
	SEAM(EVENTFD);
	return above_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int tarn__plat_eventfd_raise(int fd)
{
	SEAM_COUNT(EVENTFD);
	return result(eventfd_write(fd, 1));
}

int tarn__plat_eventfd_clear(int fd)
{
	eventfd_t value;

	SEAM_COUNT(EVENTFD);
	return result(eventfd_read(fd, &value));
}

static int start(void *(*run)(void *arg), void *arg, pthread_t *ret_thread)
{
	static const int faults[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	sigset_t all, before;
	int r;

	SEAM(THREAD);
	/* Those of faults are its own: blocked, they would end the process past every handler. */
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(ret_thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int tarn__plat_thread_start(void *(*run)(void *arg), void *arg, uintptr_t *ret_thread)
{
	pthread_t thread;
	int r = start(run, arg, &thread);

	if (r == 0)
		*ret_thread = (uintptr_t)thread;
	return r;
}

int tarn__plat_thread_leave(void *(*run)(void *arg), void *arg)
{
	pthread_t thread;
	int r = start(run, arg, &thread);

	return r == 0 ? -pthread_detach(thread) : r;
}

void tarn__plat_thread_join(uintptr_t thread)
{
	SEAM_COUNT(THREAD);
	(void)pthread_join((pthread_t)thread, NULL);
}
