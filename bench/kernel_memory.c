/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_memory.c - what moves another process's bytes without a copy into the kernel:
 * process_vm_readv(2), which takes them out of the sender's memory, and vmsplice(2), which hands
 * the sender's pages to a pipe.
 *
 * process_vm_readv carries no news of a message, so there is a ring of addresses in shared memory
 * beside it, with a futex on either side for who sleeps.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "contestant.h"

enum { ADDRESSES = 1024, PAGE = 4096, PIPE_SIZE = 1 << 20 };

/* Messages lie here until they are read: slots of whole pages, by turns, of this process alone. */
static unsigned char *slots;
static size_t slot_size, slot_count;

static void make_slots(struct bench *b, size_t count)
{
	slot_size = (b->cell->size + PAGE - 1) & ~(size_t)(PAGE - 1);
	slot_size = slot_size > 0 ? slot_size : PAGE;
	slot_count = count;
	slots = (unsigned char *)mmap(NULL, slot_size * count, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (slots == MAP_FAILED)
		bench_fail(b, "mmap of the messages under way", errno);
}

/* --- process_vm_readv ------------------------------------------------------------------------- */

struct lane {
	BENCH_LINE uint32_t tail; /* messages announced; the sender's */
	BENCH_LINE uint32_t head; /* messages read; the receiver's */
	BENCH_LINE uint32_t receiver_sleeps;
	BENCH_LINE uint32_t sender_sleeps;
	int32_t pid;
	uint64_t addresses[ADDRESSES];
};

static struct lane *lanes;
static uint32_t depth;

static void readv_open(struct bench *b)
{
	lanes = (struct lane *)bench_memory(b, bench_channels(b) * sizeof(*lanes));
	depth = bench_depth(b->cell->size);
}

static void readv_attach(struct bench *b)
{
	make_slots(b, depth + 1);
	(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* where Yama restricts it */
	for (unsigned i = 0; i < bench_channels(b); i++)
		if (bench_sends(b, i))
			lanes[i].pid = getpid();
}

/* Wait a little while *@word is @value: polls, or sleeps with its flag up. */
static void linger(struct bench *b, uint32_t *word, uint32_t value, uint32_t *sleeps)
{
	if (!bench_blocks(b)) {
		bench_pause(b);
		return;
	}
	__atomic_store_n(sleeps, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value)
		syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
	/* by who slept alone: a waker that clears it may do so when we are about to sleep again */
	__atomic_store_n(sleeps, 0, __ATOMIC_SEQ_CST);
}

static void announce(struct bench *b, uint32_t *word, uint32_t value, uint32_t *sleeps)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	if (bench_blocks(b) && __atomic_load_n(sleeps, __ATOMIC_SEQ_CST) != 0)
		syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void readv_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct lane *lane = &lanes[channel];
	uint32_t tail = (uint32_t)number, head;
	unsigned char *slot = slots + number % slot_count * slot_size;

	while (tail - (head = __atomic_load_n(&lane->head, __ATOMIC_ACQUIRE)) >= depth)
		linger(b, &lane->head, head, &lane->sender_sleeps);
	bench_fill(b, slot, size, number);
	lane->addresses[tail % ADDRESSES] = (uintptr_t)slot;
	announce(b, &lane->tail, tail + 1, &lane->receiver_sleeps);
}

static void readv_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct lane *lane = &lanes[channel];
	uint32_t head = (uint32_t)number;
	void *to = bench_sink(b, size, number);

	while (__atomic_load_n(&lane->tail, __ATOMIC_ACQUIRE) == head)
		linger(b, &lane->tail, head, &lane->receiver_sleeps);

	struct iovec here = { to, size };
	struct iovec there = { (void *)(uintptr_t)lane->addresses[head % ADDRESSES], size };

	if (process_vm_readv(lane->pid, &here, 1, &there, 1, 0) != (ssize_t)size)
		bench_fail(b, "process_vm_readv", errno);
	announce(b, &lane->head, head + 1, &lane->sender_sleeps);
	bench_check(b, to, size, number);
}

BENCH_LOOPS(readv_run, readv_send, readv_recv)

/* In a fan-out one message is in one slot for all, so a slow receiver would find another one. */
#define READV_MEASURES (BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_FAN_OUT))

static const struct bench_variant readv_variants[] = {
	{ BENCH_BLOCKING, READV_MEASURES, 1, BENCH_SIZE_MAX, readv_run },
	{ BENCH_BUSY, READV_MEASURES & ~BENCH_BIT(BENCH_WAKE_UP), 1, BENCH_SIZE_MAX, readv_run },
	{ 0 },
};

const struct bench_contestant bench_vm_readv = {
	.name = "vm-readv",
	.group = BENCH_KERNEL,
	.what = "process_vm_readv(2), with a ring of addresses in shared memory",
	.variants = readv_variants,
	.open = readv_open,
	.attach = readv_attach,
};

/* --- vmsplice --------------------------------------------------------------------------------- */

static int pipes[BENCH_SIDES_MAX][2];

static void splice_open(struct bench *b)
{
	for (unsigned i = 0; i < bench_channels(b); i++) {
		if (pipe(pipes[i]) != 0)
			bench_fail(b, "pipe", errno);
		(void)fcntl(pipes[i][0], F_SETPIPE_SZ, PIPE_SIZE);
	}
}

/* More slots than the pipe has pages: one that is written again has been read. */
static void splice_attach(struct bench *b)
{
	size_t pages = (b->cell->size + PAGE - 1) / PAGE;
	int room = fcntl(pipes[0][0], F_GETPIPE_SZ);

	make_slots(b, (size_t)(room > 0 ? room : PIPE_SIZE) / PAGE / pages + 3);
}

static void splice_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	unsigned char *slot = slots + number % slot_count * slot_size;
	size_t done = 0;

	bench_fill(b, slot, size, number);
	while (done < size) {
		struct iovec part = { slot + done, size - done };
		ssize_t n = vmsplice(pipes[channel][1], &part, 1, 0);

		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			bench_fail(b, "vmsplice", errno);
	}
}

static void splice_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	char *to = (char *)bench_sink(b, size, number);
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(pipes[channel][0], to + done, size - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			bench_fail(b, "read of a pipe", n == 0 ? EPIPE : errno);
	}
	bench_check(b, to, size, number);
}

BENCH_LOOPS(splice_run, splice_send, splice_recv)

static const struct bench_variant splice_variants[] = {
	{ BENCH_BLOCKING, BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_ONE_WAY), PAGE,
	  BENCH_SIZE_MAX, splice_run },
	{ 0 },
};

const struct bench_contestant bench_vmsplice = {
	.name = "vmsplice",
	.group = BENCH_KERNEL,
	.what = "vmsplice(2) of whole pages into a pipe, read out of it",
	.variants = splice_variants,
	.open = splice_open,
	.attach = splice_attach,
};
