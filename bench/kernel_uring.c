/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_uring.c - a pair of UNIX stream sockets through io_uring: one submission and one system
 * call a message, which also waits for it. By the bare system calls, so nothing need be installed.
 *
 * Each side has a ring of its own. Who writes what in it: sq_tail and the entries are ours, the
 * kernel reads them within io_uring_enter(); cq_tail is the kernel's, cq_head ours.
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contestant.h"

enum { ENTRIES = 4, SOCKET_SIZE = 4 << 20 };

static int reads[BENCH_SIDES_MAX], writes[BENCH_SIDES_MAX];

static struct {
	int fd;
	uint32_t *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *entries;
	struct io_uring_cqe *done;
} ring;

static const char *uring_missing(void)
{
	struct io_uring_params params = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 1, &params);

	if (fd < 0)
		return errno == EPERM
			       ? "io_uring is not allowed here (kernel.io_uring_disabled, or "
				 "a filter of system calls)"
			       : "the kernel has no io_uring";
	close(fd);
	return NULL;
}

static void uring_open(struct bench *b)
{
	for (unsigned i = 0; i < bench_channels(b); i++) {
		int fds[2], size = SOCKET_SIZE;

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
			bench_fail(b, "socketpair", errno);
		if (setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
			(void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		reads[i] = fds[0];
		writes[i] = fds[1];
	}
}

static char *map_ring(struct bench *b, size_t size, off_t what)
{
	void *data =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, what);

	if (data == MAP_FAILED)
		bench_fail(b, "mmap of an io_uring", errno);
	return (char *)data;
}

static void uring_attach(struct bench *b)
{
	struct io_uring_params p = { 0 };

	ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (ring.fd < 0)
		bench_fail(b, "io_uring_setup", errno);

	char *sq =
		map_ring(b, p.sq_off.array + p.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
	char *cq = map_ring(b, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
			    IORING_OFF_CQ_RING);

	ring.sq_tail = (uint32_t *)(void *)(sq + p.sq_off.tail);
	ring.sq_mask = (uint32_t *)(void *)(sq + p.sq_off.ring_mask);
	ring.sq_array = (uint32_t *)(void *)(sq + p.sq_off.array);
	ring.cq_head = (uint32_t *)(void *)(cq + p.cq_off.head);
	ring.cq_tail = (uint32_t *)(void *)(cq + p.cq_off.tail);
	ring.cq_mask = (uint32_t *)(void *)(cq + p.cq_off.ring_mask);
	ring.done = (struct io_uring_cqe *)(void *)(cq + p.cq_off.cqes);
	ring.entries = (struct io_uring_sqe *)(void *)map_ring(
		b, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
}

/* One operation, to its end: what it returned. */
static int submit(struct bench *b, uint8_t op, int fd, void *data, size_t size)
{
	uint32_t tail = *ring.sq_tail, at = tail & *ring.sq_mask, head = *ring.cq_head;

	memset(&ring.entries[at], 0, sizeof(ring.entries[at]));
	ring.entries[at].opcode = op;
	ring.entries[at].fd = fd;
	ring.entries[at].addr = (uintptr_t)data;
	ring.entries[at].len = (uint32_t)size;
	ring.sq_array[at] = at;
	__atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
	for (unsigned left = 1; __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE) == head;) {
		long n = syscall(SYS_io_uring_enter, ring.fd, left, 1, IORING_ENTER_GETEVENTS, NULL,
				 0);

		if (n >= 0)
			left -= (unsigned)n;
		else if (errno != EINTR)
			bench_fail(b, "io_uring_enter", errno);
	}
	int result = ring.done[head & *ring.cq_mask].res;

	__atomic_store_n(ring.cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}

static void move(struct bench *b, uint8_t op, int fd, char *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		int n = submit(b, op, fd, data + done, size - done);

		if (n > 0)
			done += (size_t)n;
		else if (n != -EINTR && n != -EAGAIN)
			bench_fail(b, "a socket through io_uring", n == 0 ? EPIPE : n);
	}
}

static void uring_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	move(b, IORING_OP_SEND, writes[channel], (char *)bench_message(b, size, number), size);
}

static void uring_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	char *to = (char *)bench_sink(b, size, number);

	move(b, IORING_OP_RECV, reads[channel], to, size);
	bench_check(b, to, size, number);
}

BENCH_LOOPS(uring_run, uring_send, uring_recv)

static const struct bench_variant uring_variants[] = {
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 1, BENCH_SIZE_MAX, uring_run },
	{ 0 },
};

const struct bench_contestant bench_io_uring = {
	.name = "io-uring",
	.group = BENCH_KERNEL,
	.what = "a pair of UNIX stream sockets through io_uring, a system call a message",
	.variants = uring_variants,
	.open = uring_open,
	.attach = uring_attach,
	.missing = uring_missing,
};
