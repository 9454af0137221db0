/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_stream.c - streams of bytes that the kernel carries: a pipe, a UNIX stream socket, TCP
 * over the loopback. Polled they are non-blocking descriptors read again and again.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contestant.h"

enum { PIPE_SIZE = 1 << 20, SOCKET_SIZE = 4 << 20 };

static int reads[BENCH_SIDES_MAX], writes[BENCH_SIDES_MAX];

static void set_mode(const struct bench *b, unsigned channel)
{
	if (bench_blocks(b))
		return;
	(void)fcntl(reads[channel], F_SETFL, O_NONBLOCK);
	(void)fcntl(writes[channel], F_SETFL, O_NONBLOCK);
}

static void pipe_open(struct bench *b)
{
	for (unsigned i = 0; i < bench_channels(b); i++) {
		int fds[2];

		if (pipe(fds) != 0)
			bench_fail(b, "pipe", errno);
		(void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE); /* a user's best; no is no error */
		reads[i] = fds[0];
		writes[i] = fds[1];
		set_mode(b, i);
	}
}

/* As much as a user gets, and as root more. */
static void widen(int fd)
{
	int size = SOCKET_SIZE;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static void unix_open(struct bench *b)
{
	for (unsigned i = 0; i < bench_channels(b); i++) {
		int fds[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
			bench_fail(b, "socketpair", errno);
		widen(fds[1]);
		reads[i] = fds[0];
		writes[i] = fds[1];
		set_mode(b, i);
	}
}

static void connect_tcp(struct bench *b, unsigned i)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	struct sockaddr *any = (struct sockaddr *)(void *)&addr;
	socklen_t size = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, any, size) != 0 || listen(listener, 1) != 0 ||
	    getsockname(listener, any, &size) != 0)
		bench_fail(b, "a socket that listens on 127.0.0.1", errno);
	writes[i] = socket(AF_INET, SOCK_STREAM, 0);
	if (writes[i] < 0 || connect(writes[i], any, size) != 0)
		bench_fail(b, "connect to 127.0.0.1", errno);
	reads[i] = accept(listener, NULL, NULL);
	if (reads[i] < 0)
		bench_fail(b, "accept", errno);
	close(listener);
	(void)setsockopt(writes[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(reads[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	set_mode(b, i);
}

static void tcp_open(struct bench *b)
{
	for (unsigned i = 0; i < bench_channels(b); i++)
		connect_tcp(b, i);
}

static void stream_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	const char *from = (const char *)bench_message(b, size, number);
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(writes[channel], from + done, size - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			bench_pause(b);
		else if (errno != EINTR)
			bench_fail(b, "write", errno);
	}
}

static void stream_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	char *to = (char *)bench_sink(b, size, number);
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(reads[channel], to + done, size - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			bench_fail(b, "read: the end of the stream", EPIPE);
		else if (errno == EAGAIN)
			bench_pause(b);
		else if (errno != EINTR)
			bench_fail(b, "read", errno);
	}
	bench_check(b, to, size, number);
}

BENCH_LOOPS(stream_run, stream_send, stream_recv)

static const struct bench_variant stream_variants[] = {
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 1, BENCH_SIZE_MAX, stream_run },
	{ BENCH_BUSY, BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_WAKE_UP), 1, BENCH_SIZE_MAX,
	  stream_run },
	{ 0 },
};

const struct bench_contestant bench_pipe = {
	.name = "pipe",
	.group = BENCH_KERNEL,
	.what = "pipe(2), of 1 MiB",
	.variants = stream_variants,
	.open = pipe_open,
};

const struct bench_contestant bench_unix_stream = {
	.name = "unix-stream",
	.group = BENCH_KERNEL,
	.what = "a pair of UNIX stream sockets",
	.variants = stream_variants,
	.open = unix_open,
};

const struct bench_contestant bench_tcp = {
	.name = "tcp",
	.group = BENCH_KERNEL,
	.what = "TCP over the loopback, without Nagle's delay",
	.variants = stream_variants,
	.open = tcp_open,
};
