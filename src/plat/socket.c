/* SPDX-License-Identifier: BSD-2-Clause */
/* socket.c - descriptors over UNIX sockets, and who is at the other end. See plat.h. */
#include <assert.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "plat/plat.h"
#include "plat/seam.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

enum { BACKLOG = 64 }; /* who is let in one by one, and at once */

union fd_control {
	char buf[CMSG_SPACE(TARN__FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

ssize_t tarn__plat_send_fds(int sock, const void *buf, size_t size, const int *fds, unsigned count)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union fd_control control;

	SEAM(SENDMSG);
	if (count > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));

		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}

	ssize_t n;

	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? last_error() : n;
}

/* 0, or -EMFILE: one could not be moved up; those before it are there. */
static int keep_fds(struct msghdr *msg, int ret_fds[TARN__FDS_MAX], unsigned *ret_count)
{
	int r = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;

		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < count && *ret_count < TARN__FDS_MAX; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			fd = above_stdio(fd);
			if (fd >= 0)
				ret_fds[(*ret_count)++] = fd;
			else
				r = fd;
		}
	}
	return r;
}

static ssize_t recv_fds(int sock, void *buf, size_t size, int flags, int ret_fds[TARN__FDS_MAX],
			unsigned *ret_count)
{
	union fd_control control;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;
	int r;

	*ret_count = 0;
	SEAM(RECVMSG);
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | flags);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return last_error();
	r = keep_fds(&msg, ret_fds, ret_count);
	/* the kernel drops descriptors that find no free number, and says no more than this */
	if ((*ret_count == 0 || (flags & MSG_PEEK) != 0) && (msg.msg_flags & MSG_CTRUNC) != 0)
		r = -EMFILE;
	return (*ret_count == 0 || (flags & MSG_PEEK) != 0) && r < 0 ? r : n;
}

ssize_t tarn__plat_recv_fds(int sock, void *buf, size_t size, int ret_fds[TARN__FDS_MAX],
			    unsigned *ret_count)
{
	return recv_fds(sock, buf, size, 0, ret_fds, ret_count);
}

ssize_t tarn__plat_peek_fds(int sock, void *buf, size_t size, int ret_fds[TARN__FDS_MAX],
			    unsigned *ret_count)
{
	return recv_fds(sock, buf, size, MSG_PEEK, ret_fds, ret_count);
}

ssize_t tarn__plat_skip(int sock, size_t size)
{
	char bytes[128];
	ssize_t n;

	SEAM(RECVMSG);
	n = recv(sock, bytes, size < sizeof(bytes) ? size : sizeof(bytes), MSG_DONTWAIT);
	return n < 0 ? last_error() : n;
}

int tarn__plat_peercred(int sock, int32_t *ret_pid, uint32_t *ret_uid, uint32_t *ret_gid)
{
	/* struct ucred, spelled out: libc hides it behind a feature macro of its own */
	struct {
		int32_t pid;
		uint32_t uid;
		uint32_t gid;
	} cred;
	socklen_t size = sizeof(cred);

	SEAM(PEERCRED);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return last_error();
	*ret_pid = cred.pid;
	*ret_uid = cred.uid;
	*ret_gid = cred.gid;
	return 0;
}

int tarn__plat_in_group(int sock, uint32_t gid)
{
	gid_t few[64], *groups = few;
	socklen_t size = sizeof(few);
	int r, found = 0;

	SEAM(PEERGROUPS);
	r = getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
	if (r < 0 && errno == ERANGE) {
		groups = malloc(size);
		if (groups == NULL)
			return -ENOMEM;
		r = getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
	}
	r = result(r);
	for (size_t i = 0; r == 0 && i < size / sizeof(*groups); i++)
		found |= groups[i] == gid;
	if (groups != few)
		free(groups);
	return r < 0 ? r : found;
}

static int address_of(const char *path, struct sockaddr_un *ret_addr)
{
	size_t size = strlen(path);

	if (size >= sizeof(ret_addr->sun_path))
		return -ENAMETOOLONG;
	*ret_addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_addr->sun_path, path, size);
	return 0;
}

static int new_socket(void)
{
	SEAM(SOCKET);
	return above_stdio(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

static int bind_to(int sock, const struct sockaddr_un *addr)
{
	SEAM(BIND);
	return result(bind(sock, (const struct sockaddr *)addr, sizeof(*addr)));
}

/* Of the socket that has the name now, and of nothing that it may lead to. */
static int set_mode(const char *path, uint32_t mode)
{
	char same[40];
	struct stat st;
	int fd, r;

	SEAM(CHMOD);
	fd = above_stdio(open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0)
		return fd;
	r = result(fstat(fd, &st));
	if (r == 0 && (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid()))
		r = -EEXIST; /* another has put something there */
	snprintf(same, sizeof(same), "/proc/self/fd/%d", fd);
	if (r == 0)
		r = result(chmod(same, mode));
	close(fd);
	return r;
}

static int begin_to_listen(int sock)
{
	SEAM(LISTEN);
	return result(listen(sock, BACKLOG));
}

int tarn__plat_listen(const char *path, uint32_t mode)
{
	struct sockaddr_un addr;
	int r = address_of(path, &addr), sock = r < 0 ? r : new_socket();

	if (sock < 0)
		return sock;
	r = bind_to(sock, &addr);
	if (r == 0) {
		r = set_mode(path, mode);
		if (r == 0)
			r = begin_to_listen(sock);
		if (r < 0)
			(void)tarn__plat_unlink(path);
	}
	if (r == 0)
		return sock;
	close(sock);
	return r;
}

int tarn__plat_accept(int sock)
{
	SEAM(ACCEPT);
	return above_stdio(accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

static int connect_to(int sock, const struct sockaddr_un *addr)
{
	SEAM(CONNECT);
	return result(connect(sock, (const struct sockaddr *)addr, sizeof(*addr)));
}

int tarn__plat_connect(const char *path)
{
	struct sockaddr_un addr;
	int r = address_of(path, &addr), sock = r < 0 ? r : new_socket();

	if (sock < 0)
		return sock;
	r = connect_to(sock, &addr);
	if (r == 0)
		return sock;
	close(sock);
	return r;
}

int tarn__plat_shut(int sock, bool both)
{
	SEAM(SHUTDOWN);
	return result(shutdown(sock, both ? SHUT_RDWR : SHUT_RD));
}

int tarn__plat_unsent(int sock)
{
	int bytes = 0;

	SEAM(UNREAD);
	return ioctl(sock, SIOCOUTQ, &bytes) < 0 ? last_error() : bytes > 0;
}

void tarn__plat_no_fds(int sock)
{
	const int none = 0;

	(void)setsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &none, sizeof(none));
}

int tarn__plat_unread(int sock)
{
	int bytes = 0;

	SEAM(UNREAD);
	return ioctl(sock, SIOCINQ, &bytes) < 0 ? last_error() : bytes;
}

int tarn__plat_poll(struct tarn__poll *polls, unsigned count, int64_t deadline)
{
	static_assert(sizeof(struct tarn__poll) == sizeof(struct pollfd) &&
			      offsetof(struct tarn__poll, found) ==
				      offsetof(struct pollfd, revents),
		      "the kernel's");
	int64_t left = deadline - tarn__plat_now();
	int ms = left <= 0                         ? 0
		 : left / 1000000 >= INT32_MAX - 1 ? -1
						   : (int)(left / 1000000) + 1,
	    r;

	SEAM(POLL);
	r = poll((struct pollfd *)(void *)polls, count, ms);
	return r < 0 && errno == EINTR ? 0 : r < 0 ? last_error() : r;
}

static int watch(int fd, const char *path)
{
	SEAM(WATCH);
	return result(inotify_add_watch(fd, path, IN_MOVED_TO | IN_CREATE | IN_ONLYDIR));
}

int tarn__plat_watch_names(const char *path)
{
	int fd, r;

	SEAM(INOTIFY);
	fd = above_stdio(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
	if (fd < 0)
		return fd;
	r = watch(fd, path);
	if (r >= 0)
		return fd;
	close(fd);
	return r;
}

void tarn__plat_watch_clear(int fd)
{
	char events[4096];

	while (read(fd, events, sizeof(events)) > 0)
		;
}
