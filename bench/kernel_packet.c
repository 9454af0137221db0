/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel_packet.c - UNIX sockets that keep messages apart: datagram and seqpacket. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contestant.h"

enum { SOCKET_SIZE = 4 << 20, SIZE_MOST = 1 << 20 };

static int reads[BENCH_SIDES_MAX], writes[BENCH_SIDES_MAX];

static void open_pairs(struct bench *b, int type)
{
	for (unsigned i = 0; i < bench_channels(b); i++) {
		int fds[2], size = SOCKET_SIZE;

		if (socketpair(AF_UNIX, type, 0, fds) != 0)
			bench_fail(b, "socketpair", errno);
		/* what a message may be as long as; as root more than others get */
		if (setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
			(void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		reads[i] = fds[0];
		writes[i] = fds[1];
		if (bench_blocks(b))
			continue;
		(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
		(void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
	}
}

static void datagram_open(struct bench *b)
{
	open_pairs(b, SOCK_DGRAM);
}

static void seqpacket_open(struct bench *b)
{
	open_pairs(b, SOCK_SEQPACKET);
}

static void packet_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	const void *from = bench_message(b, size, number);
	ssize_t n;

	while ((n = send(writes[channel], from, size, MSG_NOSIGNAL)) < 0) {
		if (errno == EAGAIN)
			bench_pause(b);
		else if (errno != EINTR)
			bench_fail(b, "send", errno);
	}
	if ((size_t)n != size)
		bench_fail(b, "send: a part of it", EMSGSIZE);
}

static void packet_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	void *to = bench_sink(b, size, number);
	ssize_t n;

	while ((n = recv(reads[channel], to, size + 1, 0)) < 0) {
		if (errno == EAGAIN)
			bench_pause(b);
		else if (errno != EINTR)
			bench_fail(b, "recv", errno);
	}
	if ((size_t)n != size)
		bench_fail(b, "recv: a message of another size", EBADMSG);
	bench_check(b, to, size, number);
}

BENCH_LOOPS(packet_run, packet_send, packet_recv)

/* A seqpacket of no bytes cannot be told from the end. */
static const struct bench_variant datagram_variants[] = {
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 0, SIZE_MOST, packet_run },
	{ BENCH_BUSY, BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_WAKE_UP), 0, SIZE_MOST, packet_run },
	{ 0 },
};

static const struct bench_variant seqpacket_variants[] = {
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 1, SIZE_MOST, packet_run },
	{ BENCH_BUSY, BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_WAKE_UP), 1, SIZE_MOST, packet_run },
	{ 0 },
};

const struct bench_contestant bench_unix_datagram = {
	.name = "unix-datagram",
	.group = BENCH_KERNEL,
	.what = "a pair of UNIX datagram sockets",
	.variants = datagram_variants,
	.open = datagram_open,
};

const struct bench_contestant bench_unix_seqpacket = {
	.name = "unix-seqpacket",
	.group = BENCH_KERNEL,
	.what = "a pair of UNIX seqpacket sockets",
	.variants = seqpacket_variants,
	.open = seqpacket_open,
};
