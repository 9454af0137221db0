/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pass.c - segments handed over UNIX sockets.
 *
 * A message is one byte, 'T', with the descriptor beside it: a plain program can send or take it
 * too, and on a stream nothing of what follows is ever read along. The sender is who the kernel
 * says connected the socket (SO_PEERCRED), asked before anything is taken.
 *
 * Read-only: the descriptor sent is opened anew for reading. It cannot be mapped for writing. A
 * process of the owner's own user could open the file behind it for writing all the same, through
 * /proc; against those seal it with F_SEAL_FUTURE_WRITE.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

static const char message = 'T';

int tarn_segment_send(int sock, struct tarn_segment *seg, bool read_only)
{
	int r = tarn__guard_check(seg);
	int fd = seg->fd;
	ssize_t n;

	if (r < 0)
		return r;
	if (fd < 0)
		return -EOPNOTSUPP;
	if (read_only) {
		fd = tarn__plat_reopen(seg->fd, O_RDONLY);
		if (fd < 0)
			return fd;
	}
	n = tarn__plat_send_fds(sock, &message, sizeof(message), &fd, 1);
	if (read_only)
		tarn__plat_close(fd);
	if (n == -ECONNRESET)
		return -EPIPE;
	return n < 0 ? (int)n : 0;
}

static int check_peer(int sock, const struct tarn_segment_opts *want, struct tarn_peer *ret_peer)
{
	bool given = (want->flags & TARN_SEGMENT_OWNER) != 0;
	uint32_t expected = given ? want->owner : tarn__plat_euid();
	int r = tarn__plat_peercred(sock, &ret_peer->pid, &ret_peer->uid, &ret_peer->gid);

	if (r < 0)
		return tarn__refused(want->diag, r, "asking", "who is at the other end");
	if (ret_peer->uid == expected)
		return 0;
	/* what the kernel says of a socket that is not connected, or of another family */
	if (ret_peer->uid == UINT32_MAX)
		return tarn__diag(want->diag, -EPERM,
				  "the kernel does not vouch for the other end of this socket");
	tarn__diag(want->diag, -EPERM, "the sender is user %u, user %u was expected", ret_peer->uid,
		   expected);
	tarn__diag_hint(want->diag, "if that is right, name user %u as the owner", ret_peer->uid);
	return -EPERM;
}

static int take(int sock, int *ret_fd, struct tarn_diag *diag)
{
	char byte;
	int fds[TARN__FDS_MAX];
	unsigned count;
	ssize_t n = tarn__plat_recv_fds(sock, &byte, sizeof(byte), fds, &count);

	if (n == -ECONNRESET)
		n = -EPIPE;
	if (n < 0 && n != -EPIPE)
		return tarn__refused(diag, (int)n, "receiving", "a segment");
	if (n >= 0 && count > 0) {
		*ret_fd = fds[0];
		while (--count > 0)
			tarn__plat_close(fds[count]);
		return 0;
	}
	if (n <= 0)
		return tarn__diag(diag, -EPIPE, "the other end of the socket is gone");
	return tarn__diag(diag, -EPROTO, "a message came without a descriptor");
}

int tarn_segment_recv(int sock, const struct tarn_segment_opts *opts, struct tarn_segment **ret_seg,
		      struct tarn_peer *ret_peer)
{
	struct tarn_segment_opts want;
	struct tarn_peer peer;
	int fd = -1;
	int r = tarn__want(opts, false, &want);

	if (r == 0)
		r = check_peer(sock, &want, &peer);
	if (r == 0)
		r = take(sock, &fd, want.diag);
	if (r == 0)
		r = tarn__segment_adopt(fd, &want, ret_seg);
	if (r == 0 && ret_peer != NULL)
		*ret_peer = peer;
	return r;
}
