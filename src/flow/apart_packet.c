/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_packet.c - what peers that do not trust each other show each other: memory that is made,
 * sealed and looked at, and the one packet that hands it over. See apart_meet.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "flow/apart_meet.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define TMPFS UINT64_C(0x01021994) /* f_type of memfds that have no huge pages */

/* --- memory -------------------------------------------------------------------------------- */

static unsigned seals_of(bool theirs)
{
	const unsigned seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	return theirs ? seals : seals | F_SEAL_FUTURE_WRITE;
}

int tarn__apart_make(const char *name, void *at, uint64_t size, bool theirs, int *ret_fd,
		     void **ret_at)
{
	const int prot = theirs ? PROT_READ : PROT_READ | PROT_WRITE;
	int flags = at != NULL ? MAP_SHARED | MAP_FIXED : MAP_SHARED;
	int fd = tarn__plat_memfd(name, MFD_ALLOW_SEALING), r;

	if (fd < 0)
		return fd;
	r = size > SIZE_MAX / 2 ? -ENOMEM : tarn__plat_fallocate(fd, 0, size);
	if (r == 0)
		r = tarn__plat_mmap(at, (size_t)size, prot, flags, fd, 0, ret_at);
	if (r < 0)
		tarn__plat_close(fd);
	else
		*ret_fd = fd;
	return r;
}

int tarn__apart_seal(int fd, bool theirs)
{
	return tarn__plat_seals_add(fd, seals_of(theirs));
}

bool tarn__apart_is_sealed(int fd, bool theirs, uint64_t *ret_size)
{
	const unsigned wanted = seals_of(!theirs);
	struct tarn_plat_fs fs;
	struct stat st;
	unsigned seals;

	if (tarn__plat_seals_get(fd, &seals) < 0 || (seals & wanted) != wanted ||
	    tarn__plat_fstatfs(fd, &fs) < 0 || fs.type != TMPFS || tarn__plat_fstat(fd, &st) < 0 ||
	    st.st_size < 0 || (uint64_t)st.st_blocks * 512 < (uint64_t)st.st_size)
		return false;
	*ret_size = (uint64_t)st.st_size;
	return true;
}

/* --- the packet ---------------------------------------------------------------------------- */

uint32_t tarn__packet_check(const struct packet *packet)
{
	const size_t behind = offsetof(struct hello_shm, token);
	uint32_t hash =
		tarn__fnv32(packet->bytes, offsetof(struct hello_shm, check), TARN__FNV32_BASIS);

	return tarn__fnv32(packet->bytes + behind, packet->size - behind, hash);
}

int tarn__packet_send(int sock, struct packet *packet)
{
	ssize_t n;

	packet->hello.version = HELLO_VERSION;
	packet->hello.check = tarn__packet_check(packet);
	n = tarn__plat_send_fds(sock, packet->bytes, packet->size, packet->fds, packet->fd_count);
	return n == (ssize_t)packet->size ? 0 : n < 0 ? (int)n : -EPIPE;
}

/* Is it what the socket that was asked has to say? */
static bool is_hello(const char *name, uint64_t token, uint32_t magic, const struct packet *packet)
{
	const struct hello_shm *hello = &packet->hello;

	return hello->magic == magic && hello->check == tarn__packet_check(packet) &&
	       hello->version == HELLO_VERSION && hello->token == token &&
	       strncmp(hello->name, name, sizeof(hello->name)) == 0;
}

static void drop(struct packet *packet)
{
	for (unsigned i = 0; i < packet->fd_count; i++)
		tarn__plat_close(packet->fds[i]); /* not the last ones: see plat.h */
	packet->fd_count = 0;
}

/* It is left where it is until all of it was looked at: what is not as it should be goes with the
 * socket, aside if need be. */
int tarn__packet_peek(int sock, const char *name, uint64_t token, struct packet *packet)
{
	const uint32_t magic = packet->hello.magic;
	const unsigned wanted = packet->fd_count;
	ssize_t n = tarn__plat_peek_fds(sock, packet->bytes, packet->size, packet->fds,
					&packet->fd_count);

	if (n == (ssize_t)packet->size && is_hello(name, token, magic, packet) &&
	    packet->fd_count == wanted)
		return 0;
	drop(packet);
	return n < 0 ? (int)n : n == 0 ? -EPIPE : -EPROTO;
}

int tarn__packet_take(int sock, struct packet *packet, int r)
{
	if (r == 0 && tarn__plat_skip(sock, packet->size) != (ssize_t)packet->size)
		r = -EPROTO;
	drop(packet);
	return r;
}
