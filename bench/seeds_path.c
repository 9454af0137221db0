/* SPDX-License-Identifier: BSD-2-Clause */
/* seeds_path.c - see seeds_path.h. None of these has a name when seeds_path_open() returns. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "seeds_path.h"

enum { REGION_SIZE = 6 << 20 };

static bool lacks(struct seeds_path *path, const char *what, int error)
{
	snprintf(path->lack, SEEDS_TEXT, "%.120s: %.70s", what,
		 strerror(error < 0 ? -error : error));
	return false;
}

/* --- opening ------------------------------------------------------------------------------- */

static bool open_ring(struct seeds_path *path)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_region_opts opts = {
		.size = REGION_SIZE,
		.flags = TARN_SEGMENT_POPULATE,
		.diag = &diag,
	};
	struct tarn_region *made = NULL;
	int r = tarn_region_create("memfd:bench-seeds", &opts, &made);

	if (r < 0)
		return lacks(path, diag.what, r);
	path->fds[0] = dup(tarn_segment_fd(tarn_region_segment(made)));
	r = errno;
	tarn_region_close(made);
	return path->fds[0] >= 0 || lacks(path, "dup", r);
}

static bool open_tcp(struct seeds_path *path)
{
	struct sockaddr_in name = { .sin_family = AF_INET };
	socklen_t size = sizeof(name);
	int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	path->fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (door < 0 || path->fds[1] < 0 || bind(door, (struct sockaddr *)&name, size) != 0 ||
	    listen(door, 1) != 0 || getsockname(door, (struct sockaddr *)&name, &size) != 0 ||
	    connect(path->fds[1], (struct sockaddr *)&name, size) != 0)
		return lacks(path, "TCP on the loopback", errno);
	path->fds[0] = accept(door, NULL, NULL);
	close(door);
	if (path->fds[0] < 0)
		return lacks(path, "accept", errno);
	(void)setsockopt(path->fds[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return true;
}

/* Signals wait until the name is gone again. */
static bool open_queue(struct seeds_path *path)
{
	static unsigned number;
	struct mq_attr attr;
	sigset_t all, old;
	char name[64];
	int error;

	snprintf(name, sizeof(name), "/tarn-bench-%ld-%u", (long)getpid(), number++);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	path->queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600, NULL);
	error = errno;
	if (path->queue != (mqd_t)-1)
		mq_unlink(name);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (path->queue == (mqd_t)-1 || mq_getattr(path->queue, &attr) != 0)
		return lacks(path, "mq_open", error);
	path->piece = (size_t)attr.mq_msgsize;
	if (path->spins) {
		attr.mq_flags = O_NONBLOCK;
		mq_setattr(path->queue, &attr, NULL);
	}
	return true;
}

static bool open_pair(struct seeds_path *path)
{
	bool socket = path->kind == SEEDS_PATH_UNIX;
	int r = socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, path->fds)
		       : pipe2(path->fds, O_CLOEXEC);

	return r == 0 || lacks(path, socket ? "socketpair" : "pipe", errno);
}

bool seeds_path_open(enum seeds_path_kind kind, bool spins, struct seeds_path *ret_path)
{
	struct seeds_path *path = ret_path;
	bool opened;

	*path = (struct seeds_path){
		.kind = kind,
		.fds = { -1, -1 },
		.queue = (mqd_t)-1,
		.spins = spins,
	};
	if (kind == SEEDS_PATH_RING)
		opened = open_ring(path);
	else if (kind == SEEDS_PATH_TCP)
		opened = open_tcp(path);
	else if (kind == SEEDS_PATH_MQ)
		opened = open_queue(path);
	else
		opened = open_pair(path);
	if (!opened)
		seeds_path_close(path);
	for (int i = 0; opened && spins && kind != SEEDS_PATH_RING && i < 2; i++)
		if (path->fds[i] >= 0)
			(void)fcntl(path->fds[i], F_SETFL, O_NONBLOCK);
	return opened;
}

static void attach_ring(struct seeds_path *path, bool sends)
{
	const struct tarn_region_opts opts = { .flags = TARN_SEGMENT_POPULATE };
	const struct tarn_ring_opts as_default = { 0 };
	int r = tarn_region_open_fd(path->fds[0], &opts, &path->region);

	if (r == 0)
		r = tarn_ring_open(path->region, "path",
				   sends ? TARN_RING_PRODUCER : TARN_RING_CONSUMER, &as_default,
				   &path->ring);
	if (r < 0)
		seeds_die("opening the ring", r);
}

void seeds_path_attach(struct seeds_path *path, bool sends, size_t size)
{
	size_t most = size > path->piece ? size : path->piece;

	if (path->kind == SEEDS_PATH_RING) {
		attach_ring(path, sends);
		return;
	}
	if (sends)
		return;
	path->buf = aligned_alloc(4096, (most + 8191) & ~(size_t)4095);
	if (path->buf == NULL)
		seeds_die("aligned_alloc", ENOMEM);
	memset(path->buf, 0, most);
}

void seeds_path_close(struct seeds_path *path)
{
	tarn_ring_close(path->ring);
	if (path->region != NULL)
		tarn_region_close(path->region);
	for (int i = 0; i < 2; i++)
		if (path->fds[i] >= 0)
			close(path->fds[i]);
	if (path->queue != (mqd_t)-1)
		mq_close(path->queue);
	free(path->buf);
	path->ring = NULL;
	path->region = NULL;
	path->fds[0] = path->fds[1] = -1;
	path->queue = (mqd_t)-1;
	path->buf = NULL;
}

/* --- messages ------------------------------------------------------------------------------ */

/* What is to be tried again: nothing there yet, no room yet. */
static bool again(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void send_ring(struct seeds_path *path, const void *data, size_t size)
{
	int r;

	if (!path->spins)
		r = tarn_ring_push_wait(path->ring, data, size, TARN_FOREVER);
	else
		while ((r = tarn_ring_push(path->ring, data, size)) == -EAGAIN)
			continue;
	if (r < 0)
		seeds_die("a push to the ring", r);
}

static const void *recv_ring(struct seeds_path *path, size_t size)
{
	const void *data = NULL;
	size_t got = 0;
	int r;

	if (!path->spins)
		r = tarn_ring_peek_wait(path->ring, TARN_FOREVER, &data, &got);
	else
		while ((r = tarn_ring_peek(path->ring, &data, &got)) == -EAGAIN)
			continue;
	if (r < 0 || got != size)
		seeds_die("a record of the ring", r < 0 ? r : EBADMSG);
	return data;
}

static void send_queue(struct seeds_path *path, const char *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t piece = size - done < path->piece ? size - done : path->piece;
		int r = mq_send(path->queue, data + done, piece, 0);

		if (r == 0)
			done += piece;
		else if (!again(r))
			seeds_die("mq_send", errno);
	}
}

/* The kernel asks for room for its largest message, whatever comes: the buffer has it. */
static void recv_queue(struct seeds_path *path, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = mq_receive(path->queue, (char *)path->buf + done, path->piece, NULL);

		if (n > 0)
			done += (size_t)n;
		else if (!again(n))
			seeds_die("mq_receive", errno);
	}
}

static void send_fd(struct seeds_path *path, const char *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(path->fds[1], data + done, size - done);

		if (n >= 0)
			done += (size_t)n;
		else if (!again(n))
			seeds_die("write", errno);
	}
}

static void recv_fd(struct seeds_path *path, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(path->fds[0], path->buf + done, size - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || !again(n))
			seeds_die("read", n == 0 ? EPIPE : errno);
	}
}

void seeds_path_send(struct seeds_path *path, const void *data, size_t size)
{
	if (path->kind == SEEDS_PATH_RING)
		send_ring(path, data, size);
	else if (path->kind == SEEDS_PATH_MQ)
		send_queue(path, data, size);
	else
		send_fd(path, data, size);
}

const void *seeds_path_recv(struct seeds_path *path, size_t size)
{
	if (path->kind == SEEDS_PATH_RING)
		return recv_ring(path, size);
	if (path->kind == SEEDS_PATH_MQ)
		recv_queue(path, size);
	else
		recv_fd(path, size);
	return path->buf;
}

void seeds_path_done(struct seeds_path *path)
{
	if (path->kind == SEEDS_PATH_RING && tarn_ring_release(path->ring, 1) < 0)
		seeds_die("a release to the ring", EIO);
}
