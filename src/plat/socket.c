/* SPDX-License-Identifier: BSD-2-Clause */
/* socket.c - descriptors over UNIX sockets, and who is at the other end. See plat.h. */
#include <string.h>
#include <sys/socket.h>

#include "plat/plat.h"
#include "plat/seam.h"

enum { FDS_MAX = 16 }; /* descriptors taken in one message; the kernel drops the rest */

union fd_control {
	char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

ssize_t tarn__plat_send_fd(int sock, const void *buf, size_t size, int fd)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union fd_control control;

	SEAM(SENDMSG);
	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));

		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}

	ssize_t n;

	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? last_error() : n;
}

static void keep_first_fd(struct msghdr *msg, int *ret_fd)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;

		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*ret_fd < 0)
				*ret_fd = above_stdio(fd);
			else
				close(fd);
		}
	}
}

ssize_t tarn__plat_recv_fd(int sock, void *buf, size_t size, int *ret_fd)
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

	SEAM(RECVMSG);
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return last_error();
	*ret_fd = -1;
	keep_first_fd(&msg, ret_fd);
	if (*ret_fd < -1)
		return *ret_fd;
	/* the kernel drops descriptors that find no free number, and says no more than this */
	if (*ret_fd < 0 && (msg.msg_flags & MSG_CTRUNC) != 0)
		return -EMFILE;
	return n;
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
