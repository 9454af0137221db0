/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uring.c - a futex_waitv() that the kernel does by itself, and tells of by an eventfd (io_uring).
 *
 * Two operations are submitted at a time: IORING_OP_FUTEX_WAITV, and linked to it the time it may
 * take. Each ends with an entry of the completion queue, whatever becomes of it, and so does the
 * cancellation; pending counts those that have not been seen. What the entries say nobody asks:
 * that there is one means that somebody is to look.
 *
 * IORING_SETUP_DEFER_TASKRUN: who wakes one of the words writes the eventfd itself, within its
 * futex_wake(), whatever the thread is doing that submitted. Without it that thread would have to
 * be woken first, for work of the kernel's, and its epoll_wait() would return -EINTR each time. The
 * price: the ring is of one thread; to others its calls return -EEXIST. And the eventfd is written
 * only if no work waits already, so all that was submitted is to be seen before more is.
 *
 * That a wait is over cannot be seen without a call: its entry comes with the next one, and the
 * flag that there is work (IORING_SQ_TASKRUN) may stay behind when there is none any more.
 *
 * Who writes what: the entries and sq_tail are ours, cq_head too; cq_tail is the kernel's.
 */
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "plat/seam.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup    425
#define SYS_io_uring_enter    426
#define SYS_io_uring_register 427
#endif
#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

enum {
	OP_FUTEX_WAITV = 53, /* Linux 6.7; younger than many a header */
	ENTRIES = 4,         /* what is submitted at a time is 2, then 1 */
	WAIT = 1,            /* user_data */
};

/* A span, as IORING_OP_LINK_TIMEOUT has it. */
struct span {
	int64_t sec;
	int64_t nsec;
};

static int setup(struct io_uring_params *params)
{
	SEAM(URING);
	return above_stdio((int)syscall(SYS_io_uring_setup, ENTRIES, params));
}

static int tell_by(int fd, int eventfd)
{
	SEAM(URING_REGISTER);
	return result(syscall(SYS_io_uring_register, fd, IORING_REGISTER_EVENTFD, &eventfd, 1u));
}

/* Submit so many, do what work waits, and come back when @wanted have ended. */
static int enter(int fd, unsigned count, unsigned wanted)
{
	SEAM(URING_ENTER);
	return result(
		syscall(SYS_io_uring_enter, fd, count, wanted, IORING_ENTER_GETEVENTS, NULL, 0));
}

/* Not to be inherited: a mapping keeps the ring, and what it waits for. */
static int map(int fd, size_t size, uint64_t what, void **ret_addr)
{
	int r = tarn__plat_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, what, ret_addr);

	if (r < 0)
		return r;
	r = tarn__plat_madvise(*ret_addr, size, MADV_DONTFORK);
	if (r < 0) {
		tarn__plat_munmap(*ret_addr, size);
		*ret_addr = NULL;
	}
	return r;
}

static void name_parts(struct tarn__uring *ring, const struct io_uring_params *p)
{
	char *parts = ring->queues;
	uint32_t *order = (uint32_t *)(void *)(parts + p->sq_off.array);

	ring->sq_tail = (_Atomic uint32_t *)(void *)(parts + p->sq_off.tail);
	ring->cq_head = (_Atomic uint32_t *)(void *)(parts + p->cq_off.head);
	ring->cq_tail = (_Atomic uint32_t *)(void *)(parts + p->cq_off.tail);
	for (uint32_t i = 0; i < ENTRIES; i++)
		order[i] = i;
}

/* Whether the kernel does it shows where it is to refuse: a word that is not as was said. */
static int probe(struct tarn__uring *ring)
{
	_Atomic uint32_t word = 1;
	const struct tarn__futex other = tarn__futex_of(&word, 2);
	const struct io_uring_cqe *done = ring->done;
	int r = tarn__plat_uring_wait(ring, &other, 1, 0);

	if (r == 0)
		r = tarn__plat_uring_cancel(ring);
	if (r < 0)
		return r;
	for (int i = 0; i < 3; i++) /* the wait, its limit, its end: the queue is new */
		if (done[i].user_data == WAIT && done[i].res == -EAGAIN)
			return 0;
	return -ENOSYS; /* before Linux 6.7 it is -EINVAL */
}

int tarn__plat_uring_open(int eventfd, struct tarn__uring *ret_ring)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER |
					      IORING_SETUP_DEFER_TASKRUN |
					      IORING_SETUP_SUBMIT_ALL };
	struct tarn__uring ring = { .fd = -1 };
	size_t submitted, completed;
	int r = setup(&p);

	if (r < 0)
		return r;
	ring.fd = r;
	submitted = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
	completed = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	ring.queues_size = submitted > completed ? submitted : completed;
	ring.entries_size = p.sq_entries * sizeof(struct io_uring_sqe);
	r = (p.features & IORING_FEAT_SINGLE_MMAP) != 0 ? 0 : -ENOSYS;
	if (r == 0)
		r = map(ring.fd, ring.queues_size, IORING_OFF_SQ_RING, &ring.queues);
	if (r == 0)
		r = map(ring.fd, ring.entries_size, IORING_OFF_SQES, &ring.entries);
	if (r == 0)
		r = tell_by(ring.fd, eventfd);
	if (r == 0) {
		name_parts(&ring, &p);
		ring.done = (char *)ring.queues + p.cq_off.cqes;
		r = probe(&ring);
	}
	if (r < 0)
		tarn__plat_uring_close(&ring, true);
	else
		*ret_ring = ring;
	return r;
}

void tarn__plat_uring_close(struct tarn__uring *ring, bool here)
{
	if (ring->fd < 0)
		return;
	if (here && ring->queues != NULL)
		tarn__plat_munmap(ring->queues, ring->queues_size);
	if (here && ring->entries != NULL)
		tarn__plat_munmap(ring->entries, ring->entries_size);
	tarn__plat_close(ring->fd);
	*ring = (struct tarn__uring){ .fd = -1 };
}

/* The next entry, empty. ENTRIES are enough: each submission takes all there are. */
static struct io_uring_sqe *next_entry(struct tarn__uring *ring, unsigned ahead)
{
	/* relaxed: only we write it */
	uint32_t tail = atomic_load_explicit(ring->sq_tail, memory_order_relaxed);
	struct io_uring_sqe *entry = ring->entries;

	entry += (tail + ahead) % ENTRIES;
	memset(entry, 0, sizeof(*entry));
	return entry;
}

static int submit(struct tarn__uring *ring, unsigned count, unsigned wanted)
{
	int r;

	/* release: the entries are written; who reads them is the kernel, in the call */
	atomic_fetch_add_explicit(ring->sq_tail, count, memory_order_release);
	r = enter(ring->fd, count, wanted);
	if (r >= 0)
		ring->pending += (unsigned)r;
	return r < 0 ? r : (unsigned)r == count ? 0 : -EIO;
}

int tarn__plat_uring_wait(struct tarn__uring *ring, const struct tarn__futex *words, unsigned count,
			  int64_t span)
{
	const struct span limit = { span / 1000000000, span % 1000000000 };
	struct io_uring_sqe *entry;

	if (ring->fd < 0)
		return -EBADF;
	entry = next_entry(ring, 0);
	entry->opcode = OP_FUTEX_WAITV;
	entry->addr = (uintptr_t)words;
	entry->len = count;
	entry->flags = IOSQE_IO_LINK;
	entry->user_data = WAIT;
	entry = next_entry(ring, 1);
	entry->opcode = IORING_OP_LINK_TIMEOUT;
	entry->addr = (uintptr_t)&limit;
	entry->len = 1;
	return submit(ring, 2, 0);
}

/* The entries of the completion queue are seen. */
static void see(struct tarn__uring *ring)
{
	/* acquire: with what the kernel did before; relaxed: only we write it */
	uint32_t tail = atomic_load_explicit(ring->cq_tail, memory_order_acquire);
	uint32_t head = atomic_load_explicit(ring->cq_head, memory_order_relaxed);

	ring->pending -= tail - head;
	/* release: the kernel may use them again */
	atomic_store_explicit(ring->cq_head, tail, memory_order_release);
}

int tarn__plat_uring_cancel(struct tarn__uring *ring)
{
	struct io_uring_sqe *entry;
	int r;

	if (ring->pending == 0)
		return 0;
	entry = next_entry(ring, 0);
	entry->opcode = IORING_OP_ASYNC_CANCEL; /* too late: it ends all the same */
	entry->addr = WAIT;
	r = submit(ring, 1, ring->pending + 1);
	if (r < 0)
		return r;
	see(ring);
	while (ring->pending > 0) { /* a signal came */
		r = enter(ring->fd, 0, ring->pending);
		if (r < 0 && r != -EINTR)
			return r;
		see(ring);
	}
	return 0;
}
