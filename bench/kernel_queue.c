/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_queue.c - queues of messages: POSIX and System V.
 *
 * Their limits are those of an IPC namespace. As root the team gets one of its own, where they are
 * raised and which takes the queues with it; others get what the host allows, and clean() removes
 * what they leave.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <unistd.h>

#include "contestant.h"

enum { SIZE_MOST = 1 << 20, QUEUE_SIZE = 4 << 20 };

static mqd_t reads[BENCH_SIDES_MAX], writes[BENCH_SIDES_MAX];
static int queues[BENCH_SIDES_MAX];
static bool polls;

static void raise_limit(const char *path, const char *value)
{
	FILE *file = fopen(path, "we");

	if (file == NULL)
		return;
	(void)fputs(value, file);
	(void)fclose(file);
}

/* True: what is made now ends with the team. */
static bool enter_own_namespace(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	(void)setrlimit(RLIMIT_MSGQUEUE, &all);
	if (unshare(CLONE_NEWIPC) != 0)
		return false;
	raise_limit("/proc/sys/kernel/msgmax", "16777216");
	raise_limit("/proc/sys/kernel/msgmnb", "16777216");
	raise_limit("/proc/sys/fs/mqueue/msg_max", "1024");
	raise_limit("/proc/sys/fs/mqueue/msgsize_max", "16777216");
	return true;
}

/* --- POSIX ------------------------------------------------------------------------------------ */

/* As many messages as the limits allow, 1024 and 4 MiB at most. */
static mqd_t make_queue(struct bench *b, const char *name, int flags)
{
	struct mq_attr attr = { .mq_msgsize = b->cell->size > 0 ? (long)b->cell->size : 1 };
	mqd_t queue;

	attr.mq_maxmsg = (long)bench_depth(b->cell->size);
	while ((queue = mq_open(name, O_RDONLY | O_CREAT | O_EXCL | flags, 0600, &attr)) ==
		       (mqd_t)-1 &&
	       (errno == EINVAL || errno == EMFILE || errno == ENOMEM) && attr.mq_maxmsg > 1)
		attr.mq_maxmsg /= 2;
	if (queue == (mqd_t)-1)
		bench_fail(b,
			   "mq_open of a queue for messages of this size "
			   "(fs.mqueue.msgsize_max, ulimit -q)",
			   errno);
	return queue;
}

static void posix_open(struct bench *b)
{
	int flags = bench_blocks(b) ? 0 : O_NONBLOCK;

	polls = !bench_blocks(b);
	(void)enter_own_namespace();
	for (unsigned i = 0; i < bench_channels(b); i++) {
		char name[40];

		snprintf(name, sizeof(name), "/tarn-bench-%d-%u", (int)getpid(), i);
		reads[i] = make_queue(b, name, flags);
		writes[i] = mq_open(name, O_WRONLY | flags);
		mq_unlink(name);
		if (writes[i] == (mqd_t)-1)
			bench_fail(b, "mq_open", errno);
	}
}

static void posix_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	const char *from = (const char *)bench_message(b, size, number);

	while (mq_send(writes[channel], from, size, 0) != 0) {
		if (errno == EAGAIN)
			bench_pause(b);
		else if (errno != EINTR)
			bench_fail(b, "mq_send", errno);
	}
}

static void posix_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	char *to = (char *)bench_sink(b, size, number);
	ssize_t n;

	while ((n = mq_receive(reads[channel], to, size > 0 ? size : 1, NULL)) < 0) {
		if (errno == EAGAIN)
			bench_pause(b);
		else if (errno != EINTR)
			bench_fail(b, "mq_receive", errno);
	}
	if ((size_t)n != size)
		bench_fail(b, "mq_receive: a message of another size", EBADMSG);
	bench_check(b, to, size, number);
}

BENCH_LOOPS(posix_run, posix_send, posix_recv)

/* --- System V --------------------------------------------------------------------------------- */

static void sysv_open(struct bench *b)
{
	bool own = enter_own_namespace();

	polls = !bench_blocks(b);
	for (unsigned i = 0; i < bench_channels(b); i++) {
		struct msqid_ds set;

		queues[i] = msgget(IPC_PRIVATE, 0600 | IPC_CREAT);
		if (queues[i] < 0)
			bench_fail(b, "msgget", errno);
		if (!own)
			b->shm->keep[i] = (uint64_t)queues[i] + 1;
		if (msgctl(queues[i], IPC_STAT, &set) != 0)
			continue;
		set.msg_qbytes = QUEUE_SIZE;
		(void)msgctl(queues[i], IPC_SET, &set); /* what is there already will do */
	}
}

static void sysv_clean(struct bench *b)
{
	for (unsigned i = 0; i < 16; i++)
		if (b->shm->keep[i] != 0)
			(void)msgctl((int)(b->shm->keep[i] - 1), IPC_RMID, NULL);
}

struct letter {
	long type;
	char text[SIZE_MOST + 1];
};

static struct letter outgoing, incoming;

/* The type stands before the text, so it is copied behind one, as a program's would be. */
static void sysv_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	outgoing.type = 1;
	bench_fill(b, outgoing.text, size, number);
	while (msgsnd(queues[channel], &outgoing, size, polls ? IPC_NOWAIT : 0) != 0) {
		if (errno == EAGAIN)
			bench_pause(b);
		else if (errno == EINVAL)
			bench_fail(b, "msgsnd of messages of this size (kernel.msgmax)", errno);
		else if (errno != EINTR)
			bench_fail(b, "msgsnd", errno);
	}
}

static void sysv_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	ssize_t n;

	while ((n = msgrcv(queues[channel], &incoming, size, 0, polls ? IPC_NOWAIT : 0)) < 0) {
		if (errno == ENOMSG)
			bench_pause(b);
		else if (errno != EINTR)
			bench_fail(b, "msgrcv", errno);
	}
	if ((size_t)n != size)
		bench_fail(b, "msgrcv: a message of another size", EBADMSG);
	bench_check(b, incoming.text, size, number);
}

BENCH_LOOPS(sysv_run, sysv_send, sysv_recv)

#define VARIANTS(run)                                                                              \
	{                                                                                          \
		{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 0, SIZE_MOST, run },                      \
			{ BENCH_BUSY, BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_WAKE_UP), 0,        \
			  SIZE_MOST, run },                                                        \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

static const struct bench_variant posix_variants[] = VARIANTS(posix_run);
static const struct bench_variant sysv_variants[] = VARIANTS(sysv_run);

const struct bench_contestant bench_mqueue = {
	.name = "mqueue",
	.group = BENCH_KERNEL,
	.what = "a POSIX message queue",
	.variants = posix_variants,
	.open = posix_open,
};

const struct bench_contestant bench_sysv = {
	.name = "sysv",
	.group = BENCH_KERNEL,
	.what = "a System V message queue",
	.variants = sysv_variants,
	.open = sysv_open,
	.clean = sysv_clean,
};
