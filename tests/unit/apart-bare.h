/* SPDX-License-Identifier: BSD-2-Clause */
/* apart-bare.h - what the tests of peers that misbehave share: sockets and memory by hand. */
#ifndef TESTS_UNIT_APART_BARE_H
#define TESTS_UNIT_APART_BARE_H

#include <linux/futex.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "flow/apart.h" /* before what has names of its own that its functions use */

#include "apart.h"

static _Atomic bool stop; /* of threads that write all the while */

static inline int find_name(const char *entry, void *arg)
{
	uint64_t token;

	if (!tarn__apart_token(entry, "news", &token))
		return 0;
	snprintf(arg, 128, "%s/%s", dir, entry);
	return 1;
}

/* A bare connection to the publisher. */
static inline int connect_bare(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char path[128] = "";
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(sock >= 0);
	assert_int_equal(tarn__plat_listdir(dir, find_name, path), 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	assert_int_equal(connect(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return sock;
}

/* What is handed out to a subscriber. */
struct given {
	int sock;
	int fds[TARN__FDS_MAX];
	unsigned count;
	struct lane_shm *lane;
	struct ack_shm *ack;
	struct bell_shm *bell;
};

static inline void take_bare(struct given *given)
{
	struct hello_shm hello;

	given->sock = connect_bare();
	assert_int_equal(
		tarn__plat_recv_fds(given->sock, &hello, sizeof(hello), given->fds, &given->count),
		sizeof(hello));
	assert_int_equal(given->count, APART_FDS);
	assert_int_equal(hello.magic, HELLO_MAGIC);
	given->lane =
		mmap(NULL, sizeof(struct lane_shm) + 4096, PROT_READ, MAP_SHARED, given->fds[0], 0);
	given->bell = mmap(NULL, APART_PAGE, PROT_READ, MAP_SHARED, given->fds[1], 0);
	given->ack = mmap(NULL, APART_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, given->fds[2], 0);
	assert_true(given->lane != MAP_FAILED && given->bell != MAP_FAILED &&
		    given->ack != MAP_FAILED);
}

static inline void drop_bare(struct given *given)
{
	munmap(given->lane, sizeof(struct lane_shm) + 4096);
	munmap(given->bell, APART_PAGE);
	munmap(given->ack, APART_PAGE);
	for (unsigned i = 0; i < given->count; i++)
		close(given->fds[i]);
	close(given->sock);
}

/* @count messages go through, one by one. */
static inline void all_is_well(uint64_t from, uint64_t count)
{
	for (uint64_t n = from; n < from + count; n++) {
		struct tarn_message message;
		uint64_t got = 0;

		assert_int_equal(tarn_publisher_publish(publisher, &n, sizeof(n)), 0);
		assert_int_equal(tarn_subscriber_take_wait(subscriber, &got, sizeof(got),
							   tarn_deadline_after(SOON_NS), &message),
				 0);
		assert_int_equal(got, n);
		assert_int_equal(message.missed, 0);
	}
}

/* A connection whose last close would wait for a minute: it lingers, with something unsent. */
static inline int lingering(int *ret_listener)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct linger linger = { .l_onoff = 1, .l_linger = 60 };
	socklen_t size = sizeof(addr);
	static char much[1 << 20];
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*ret_listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(*ret_listener, 1), 0);
	assert_int_equal(getsockname(*ret_listener, (struct sockaddr *)&addr, &size), 0);
	assert_int_equal(connect(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
	while (send(sock, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return sock;
}

#endif /* TESTS_UNIT_APART_BARE_H */
