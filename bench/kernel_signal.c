/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_signal.c - what wakes somebody and carries no bytes: eventfd and a bare futex word. What
 * shared memory needs besides itself where its readers are to sleep.
 */
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contestant.h"

/* No messages apart from one another: how many went through in a time would say nothing. */
#define SIGNAL_MEASURES                                                                            \
	(BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_WAKE_UP) | BENCH_BIT(BENCH_WRITE))

/* --- eventfd ---------------------------------------------------------------------------------- */

static int events[BENCH_SIDES_MAX];

static void eventfd_open(struct bench *b)
{
	for (unsigned i = 0; i < bench_channels(b); i++) {
		events[i] = eventfd(0, EFD_SEMAPHORE | (bench_blocks(b) ? 0 : EFD_NONBLOCK));
		if (events[i] < 0)
			bench_fail(b, "eventfd", errno);
	}
}

static void eventfd_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	const uint64_t one = 1;

	(void)size;
	(void)number;
	if (write(events[channel], &one, sizeof(one)) != sizeof(one))
		bench_fail(b, "write to an eventfd", errno);
}

static void eventfd_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	uint64_t one;

	(void)size;
	(void)number;
	while (read(events[channel], &one, sizeof(one)) < 0) {
		if (errno == EAGAIN)
			bench_pause(b);
		else if (errno != EINTR)
			bench_fail(b, "read of an eventfd", errno);
	}
	if (one != 1)
		bench_fail(b, "an eventfd counts otherwise than it was told to", EBADMSG);
}

BENCH_LOOPS(eventfd_run, eventfd_send, eventfd_recv)

static const struct bench_variant eventfd_variants[] = {
	{ BENCH_BLOCKING, SIGNAL_MEASURES, 0, 0, eventfd_run },
	{ BENCH_BUSY, SIGNAL_MEASURES & ~BENCH_BIT(BENCH_WAKE_UP), 0, 0, eventfd_run },
	{ 0 },
};

const struct bench_contestant bench_eventfd = {
	.name = "eventfd",
	.group = BENCH_KERNEL,
	.what = "eventfd(2) as a semaphore: wakes, carries no bytes",
	.variants = eventfd_variants,
	.open = eventfd_open,
};

/* --- futex ------------------------------------------------------------------------------------ */

static uint32_t *words;

static void futex_make(struct bench *b)
{
	words = (uint32_t *)bench_memory(b, sizeof(b->shm->futex_word));
}

static void futex_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	uint32_t *word = words + channel * 32;

	(void)b;
	(void)size;
	__atomic_store_n(word, (uint32_t)number + 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void futex_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	uint32_t *word = words + channel * 32, now;

	(void)b;
	(void)size;
	while ((int32_t)((now = __atomic_load_n(word, __ATOMIC_SEQ_CST)) - (uint32_t)number - 1) <
	       0)
		syscall(SYS_futex, word, FUTEX_WAIT, now, NULL, NULL, 0);
}

BENCH_LOOPS(futex_run, futex_send, futex_recv)

static const struct bench_variant futex_variants[] = {
	{ BENCH_BLOCKING, SIGNAL_MEASURES, 0, 0, futex_run },
	{ 0 },
};

const struct bench_contestant bench_futex = {
	.name = "futex",
	.group = BENCH_KERNEL,
	.what = "a bare futex word: wakes, carries no bytes; also the limit of what sleeps",
	.variants = futex_variants,
	.open = futex_make,
};
