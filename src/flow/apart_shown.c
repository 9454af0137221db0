/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_shown.c - what a publisher shows to whom it lets in: looked at, checked and mapped, before
 * anything of it is believed. See apart.h.
 */
#include <errno.h>
#include <sys/mman.h>

#include "flow/apart.h"

struct apart_where tarn__topic_meets(const struct tarn_topic_opts *opts)
{
	return (struct apart_where){
		.what = "topic", .dir = opts->socket_dir, .peers = opts->peers, .diag = opts->diag
	};
}

uint64_t tarn__apart_lane_bytes(uint64_t capacity, uint32_t type_size)
{
	return sizeof(struct lane_shm) + capacity + type_size;
}

void tarn__shown_forget(struct shown *shown)
{
	if (shown->lane != NULL)
		tarn__plat_munmap(shown->lane, (size_t)shown->lane_bytes);
	if (shown->ack != NULL)
		tarn__plat_munmap(shown->ack, APART_PAGE);
	*shown = (struct shown){ .lane = NULL };
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
static int map_all(const int *fds, struct bell_shm *at, struct shown *ret_shown)
{
	uint64_t bell_size, ack_size;
	void *lane, *bell, *ack;
	int r;

	if (!tarn__apart_is_sealed(fds[0], true, &ret_shown->lane_bytes) ||
	    !tarn__apart_is_sealed(fds[1], true, &bell_size) ||
	    !tarn__apart_is_sealed(fds[2], false, &ack_size) || bell_size != APART_PAGE ||
	    ack_size != APART_PAGE)
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

int tarn__shown_hear(int sock, const char *name, uint64_t token, const struct tarn_type *type,
		     struct bell_shm *bell, struct shown *ret_shown)
{
	struct packet packet = { .hello.magic = HELLO_MAGIC,
				 .size = sizeof(packet.hello),
				 .fd_count = APART_FDS };
	int r = tarn__packet_peek(sock, name, token, &packet);

	if (r < 0)
		return r;
	ret_shown->type_size = packet.hello.type_size;
	r = map_all(packet.fds, bell, ret_shown);
	if (r == 0)
		r = check_shown(type, ret_shown);
	r = tarn__packet_take(sock, &packet, r);
	if (r < 0)
		tarn__shown_forget(ret_shown);
	return r;
}
