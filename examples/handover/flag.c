/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flag - a writer hands messages to a reader through a flag, and either sleeps while it waits.
 *
 *     flag [COUNT]        messages; 3 if not said
 *
 * prints
 *
 *     Reader: counter 1, Message #1 from Writer
 *     Reader: counter 2, Message #2 from Writer
 *     Reader: counter 3, Message #3 from Writer
 *
 * The usual "while (!data->ready) usleep(...)" is wrong three times. The compiler may load a plain
 * bool once and never again. Compiler and processor may let the reader see the flag before the
 * message. And it burns time or wastes it, for ever if the other side died. Here
 *   - ready is atomic; its release store comes after the message, its acquire load before it;
 *   - who waits sleeps in the kernel (futex) until the flag changes;
 *   - and no longer than a deadline: then the other side is called dead or stuck.
 * Plain Linux. For more than one message at a time, and to learn of a death at once: ring.c, and
 * talk.c with listen.c.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
	_Atomic uint32_t ready; /* 0: what follows is the writer's; 1: the reader's */
	uint32_t counter;
	char message[100];
};

/* Give what is shared to the other side. */
static void hand_over(struct shared *shared, uint32_t ready)
{
	/* release: what was read and written before is done before the other side sees this */
	atomic_store_explicit(&shared->ready, ready, memory_order_release);
	syscall(SYS_futex, &shared->ready, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Wait until it is ours; 10 s at most. */
static bool take_over(struct shared *shared, uint32_t ready)
{
	const struct timespec limit = { .tv_sec = 10 };

	/* acquire: what follows comes after the flag was seen */
	while (atomic_load_explicit(&shared->ready, memory_order_acquire) != ready) {
		/* It sleeps only if the flag still has the old value: the kernel compares. */
		long r = syscall(SYS_futex, &shared->ready, FUTEX_WAIT, !ready, &limit, NULL, 0);

		if (r < 0 && errno == ETIMEDOUT)
			return false;
	}
	return true;
}

static int reader(struct shared *shared, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!take_over(shared, 1))
			return 1;
		printf("Reader: counter %u, %s\n", shared->counter, shared->message);
		hand_over(shared, 0);
	}
	return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 3;
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 1;
	pid_t pid;

	if (shared == MAP_FAILED || (pid = fork()) < 0)
		return 1;
	if (pid == 0)
		return reader(shared, count);
	for (uint32_t i = 1; i <= count && take_over(shared, 0); i++) {
		shared->counter = i;
		snprintf(shared->message, sizeof(shared->message), "Message #%u from Writer", i);
		hand_over(shared, 1);
	}
	return wait(&status) != pid || status != 0;
}
