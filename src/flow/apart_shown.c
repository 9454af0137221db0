/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_shown.c - what a publisher shows to whom it lets in: looked at, checked and mapped, before
 * anything of it is believed. See apart.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "flow/apart.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define TMPFS UINT64_C(0x01021994) /* f_type of memfds that have no huge pages */

void tarn__shown_forget(struct shown *shown)
{
	if (shown->lane != NULL)
		tarn__plat_munmap(shown->lane, (size_t)shown->lane_bytes);
	if (shown->ack != NULL)
		tarn__plat_munmap(shown->ack, APART_PAGE);
	*shown = (struct shown){ .lane = NULL };
}

/* Is @fd memory that can neither shrink nor grow, and all of it there? A hole would be filled at
 * our expense when we read it. Nothing but that is mapped. */
static bool is_sealed(int fd, unsigned also, uint64_t *ret_size)
{
	const unsigned wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | also;
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

static int map(int fd, uint64_t size, int prot, void **ret_at)
{
	*ret_at = NULL;
	return size > SIZE_MAX / 2
		       ? -ENOMEM
		       : tarn__plat_mmap(NULL, (size_t)size, prot, MAP_SHARED, fd, 0, ret_at);
}

/* Map what was sent; the bell at @at, if that is not NULL. 0, or why not; what was mapped by then
 * is in @ret_shown. */
static int map_all(const int fds[APART_FDS], struct bell_shm *at, struct shown *ret_shown)
{
	uint64_t bell_size, ack_size;
	void *lane, *bell, *ack;
	int r;

	if (!is_sealed(fds[0], F_SEAL_FUTURE_WRITE, &ret_shown->lane_bytes) ||
	    !is_sealed(fds[1], F_SEAL_FUTURE_WRITE, &bell_size) ||
	    !is_sealed(fds[2], 0, &ack_size) || bell_size != APART_PAGE || ack_size != APART_PAGE)
		return -EPROTO;
	r = map(fds[0], ret_shown->lane_bytes, PROT_READ, &lane);
	ret_shown->lane = lane;
	if (r == 0) {
		r = map(fds[2], APART_PAGE, PROT_READ | PROT_WRITE, &ack);
		ret_shown->ack = ack;
	}
	return r < 0 || at == NULL ? r
				   : tarn__plat_mmap(at, APART_PAGE, PROT_READ,
						     MAP_SHARED | MAP_FIXED, fds[1], 0, &bell);
}

int tarn__shown_describe(const struct shown *shown, struct tarn_type **ret_type)
{
	const unsigned char *behind =
		(const unsigned char *)shown->lane + shown->lane_bytes - shown->type_size;
	const char *fault;

	return shown->type_size == 0 ? -ENOENT
				     : tarn__type_read(behind, shown->type_size, ret_type, &fault);
}

/* Is it a lane, and of the type that is wanted? */
static int check_shown(const struct tarn_type *wanted, struct shown *shown)
{
	const struct tarn__object object = { .base = (unsigned char *)shown->lane,
					     .size = shown->lane_bytes };
	struct tarn_type *type;
	int r = tarn__lane_at(&object, &shown->geometry);

	if (r < 0)
		return r;
	if (shown->type_size > TARN__TYPE_SIZE_MAX ||
	    tarn__apart_lane_bytes(shown->geometry.capacity, shown->type_size) != shown->lane_bytes)
		return -EUCLEAN;
	if (wanted == NULL)
		return 0;
	r = tarn__shown_describe(shown, &type);
	if (r < 0)
		return r == -ENOENT ? -EPROTO : r;
	r = tarn_type_compare(wanted, type, NULL);
	tarn_type_free(type);
	return r;
}

/* Is it what the socket that was asked has to say? */
static bool is_hello(const char *name, uint64_t token, const struct hello_shm *hello)
{
	return hello->magic == HELLO_MAGIC && hello->check == tarn__hello_check(hello) &&
	       hello->version == HELLO_VERSION && hello->token == token &&
	       strncmp(hello->name, name, sizeof(hello->name)) == 0;
}

/* It is left where it is until all of it was looked at: what is not as it should be goes with the
 * socket, aside if need be. */
int tarn__shown_hear(int sock, const char *name, uint64_t token, const struct tarn_type *type,
		     struct bell_shm *bell, struct shown *ret_shown)
{
	struct hello_shm hello;
	int fds[TARN__FDS_MAX];
	unsigned count;
	ssize_t n = tarn__plat_peek_fds(sock, &hello, sizeof(hello), fds, &count);
	int r = n < 0 ? (int)n : n == 0 ? -EPIPE : -EPROTO;

	if (n == (ssize_t)sizeof(hello) && is_hello(name, token, &hello) && count == APART_FDS) {
		ret_shown->type_size = hello.type_size;
		r = map_all(fds, bell, ret_shown);
		if (r == 0)
			r = check_shown(type, ret_shown);
		if (r == 0 && tarn__plat_skip(sock, sizeof(hello)) != (ssize_t)n)
			r = -EPROTO;
		if (r < 0)
			tarn__shown_forget(ret_shown);
	}
	for (unsigned i = 0; i < count; i++)
		tarn__plat_close(fds[i]); /* not the last ones: see plat.h */
	return r;
}
