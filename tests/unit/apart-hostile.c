/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topics in a directory of sockets, with peers that do whatever a process may: subscribers that
 * write, map, truncate, requeue, flood and send what nobody asked for; publishers that lie. Those
 * that behave get all their messages whole and in order, in the time of others.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#include "child.h"

#include "flow/apart.h"

#define SOON_NS INT64_C(5000000000)

static char dir[64];
static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static struct tarn_topic_opts opts;

static int make_dir(void **state)
{
	(void)state;
	alarm(60);
	snprintf(dir, sizeof(dir), "/tmp/tarn-hostile.XXXXXX");
	publisher = NULL;
	subscriber = NULL;
	opts = (struct tarn_topic_opts){ .socket_dir = dir, .lane_size = 4096 };
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int drop_dir(void **state)
{
	(void)state;
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	return rmdir(dir);
}

static void open_publisher(void)
{
	publisher = NULL;
	assert_int_equal(tarn_publisher_open(NULL, "news", &opts, &publisher), 0);
}

static void open_subscriber(void)
{
	subscriber = NULL;
	assert_int_equal(tarn_subscriber_open(NULL, "news", &opts, &subscriber), 0);
}

static int find_name(const char *entry, void *arg)
{
	uint64_t token;

	if (!tarn__apart_token(entry, "news", &token))
		return 0;
	snprintf(arg, 128, "%s/%s", dir, entry);
	return 1;
}

/* A bare connection to the publisher. */
static int connect_bare(void)
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

static void take_bare(struct given *given)
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

static void drop_bare(struct given *given)
{
	munmap(given->lane, sizeof(struct lane_shm) + 4096);
	munmap(given->bell, APART_PAGE);
	munmap(given->ack, APART_PAGE);
	for (unsigned i = 0; i < given->count; i++)
		close(given->fds[i]);
	close(given->sock);
}

/* @count messages go through, one by one. */
static void all_is_well(uint64_t from, uint64_t count)
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

/* --- subscribers --------------------------------------------------------------------------- */

static void what_is_given_cannot_be_changed(void **state)
{
	struct given given;

	(void)state;
	open_publisher();
	open_subscriber();
	take_bare(&given);
	for (int i = 0; i < 2; i++) { /* lane, bell */
		char path[64];
		int again;

		assert_ptr_equal(
			mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, given.fds[i], 0),
			MAP_FAILED);
		assert_int_equal(errno, EPERM);
		assert_int_equal(pwrite(given.fds[i], "x", 1, 0), -1);
		assert_int_equal(ftruncate(given.fds[i], 0), -1);
		assert_int_equal(ftruncate(given.fds[i], 1 << 20), -1);
		assert_int_equal(
			fallocate(given.fds[i], 3 /* punch a hole, keep the size */, 0, 4096), -1);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", given.fds[i]);
		again = open(path, O_RDWR);
		if (again >= 0) {
			assert_int_equal(pwrite(again, "x", 1, 0), -1);
			close(again);
		}
	}
	assert_int_equal(mprotect(given.lane, 4096, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(ftruncate(given.fds[2], 0), -1);
	/* of the ack it may punch out what it likes */
	assert_int_equal(fallocate(given.fds[2], 3, 0, 4096), 0);
	all_is_well(0, 500);
	drop_bare(&given);
}

static _Atomic bool stop;

/* Write all over the ack, and move sleepers about. */
static void *scribble(void *arg)
{
	struct given *given = arg;
	_Atomic uint32_t *words = (_Atomic uint32_t *)(void *)given->ack;
	uint32_t seed = 1;

	while (!atomic_load(&stop)) {
		for (unsigned i = 0; i < sizeof(*given->ack) / 4; i++) {
			seed = seed * 1664525 + 1013904223;
			atomic_store(&words[i], seed % 3 == 0 ? seed : seed >> 30);
		}
		syscall(SYS_futex, &given->bell->bell, FUTEX_CMP_REQUEUE, 0, INT32_MAX, &words[40],
			atomic_load(&given->bell->bell));
		syscall(SYS_futex, &given->lane->last, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	}
	return NULL;
}

static void what_a_subscriber_writes_harms_nobody(void **state)
{
	struct given given[2];
	pthread_t threads[2];

	(void)state;
	open_publisher();
	open_subscriber();
	atomic_store(&stop, false);
	for (int i = 0; i < 2; i++) {
		take_bare(&given[i]);
		assert_int_equal(pthread_create(&threads[i], NULL, scribble, &given[i]), 0);
	}
	all_is_well(0, 20000);
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		drop_bare(&given[i]);
	}
	all_is_well(20000, 10);
}

static void who_says_that_it_sleeps_costs_little(void **state)
{
	struct given given;
	uint32_t first, bells;

	(void)state;
	open_publisher();
	open_subscriber();
	take_bare(&given);
	first = atomic_load(&given.bell->bell);
	for (uint64_t n = 0; n < 10000; n++) {
		/* it does not: each message finds another announcement */
		atomic_store(&given.ack->sleep, SLEEPS | (uint32_t)n * SLEEP_STEP);
		all_is_well(n, 1);
	}
	bells = atomic_load(&given.bell->bell) - first;
	assert_in_range(bells, 1, 9000); /* 64 in vain, then none for 10 ms */
	drop_bare(&given);
}

static void who_never_takes_is_left_behind(void **state)
{
	struct given given;
	uint64_t n = 0;
	int64_t before;

	(void)state;
	opts.patience_ns = 20000000;
	open_publisher();
	take_bare(&given); /* it says COMING for ever */
	before = tarn_now();
	for (int i = 0; i < 2000; i++)
		assert_int_equal(tarn_publisher_publish_wait(publisher, &n, sizeof(n),
							     tarn_deadline_after(SOON_NS)),
				 0);
	assert_true(tarn_now() - before < 2000000000); /* once, not once a lap */
	drop_bare(&given);
	take_bare(&given); /* nor by coming again */
	atomic_store(&given.ack->low.pos, 1);
	atomic_store(&given.ack->how, LOSSLESS);
	for (int i = 0; i < 500; i++)
		assert_int_equal(tarn_publisher_publish(publisher, &n, sizeof(n)), 0);
	drop_bare(&given);
}

/* A connection whose last close would wait for a minute: it lingers, with something unsent. */
static int lingering(int *ret_listener)
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

/* A subscriber that sends what may not be closed, before it is let in perhaps, and ends: who closes
 * it then closes the last one. */
static int connect_lingering(void)
{
	int other, fd = lingering(&other), sock = connect_bare();

	(void)tarn__plat_send_fds(sock, "x", 1, &fd, 1);
	return 0; /* who ends waits for nothing */
}

static void what_a_subscriber_sends_is_not_taken(void **state)
{
	struct given given;
	int64_t before = tarn_now();

	(void)state;
	open_publisher();
	for (uint64_t round = 0; round < 5; round++) {
		assert_int_equal(in_child(connect_lingering), 0);
		open_subscriber(); /* the door is open to others all the same */
		all_is_well(round * 100, 100);
		tarn_subscriber_close(subscriber);
		subscriber = NULL;
	}
	take_bare(&given);
	assert_int_equal(send(given.sock, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	drop_bare(&given);
	tarn_publisher_close(publisher);
	publisher = NULL;
	assert_true(tarn_now() - before < SOON_NS);
}

static void who_floods_keeps_only_itself_out(void **state)
{
	enum { MORE = APART_PER_USER + 40 };
	struct tarn_publisher_stat stat;
	int socks[MORE], refused = 0;
	char byte;

	(void)state;
	open_publisher();
	open_subscriber(); /* one of the user's places */
	for (int i = 0; i < MORE; i++)
		socks[i] = connect_bare();
	for (int i = 0; i < MORE; i++) {
		ssize_t n = recv(socks[i], &byte, 1, 0);

		refused += n == 0 || (n < 0 && errno == ECONNRESET);
	}
	assert_int_equal(refused, MORE - APART_PER_USER + 1);
	all_is_well(0, 100);
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	assert_int_equal(stat.subscribers, 1);
	for (int i = 0; i < MORE; i++)
		close(socks[i]);
}

/* --- publishers ---------------------------------------------------------------------------- */

static int listener;
static char liar_path[128];

/* A socket where subscribers will look. */
static void listen_bare(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(liar_path, sizeof(liar_path), "%s/news:00000000deadbeef", dir);
	memcpy(addr.sun_path, liar_path, strlen(liar_path) + 1);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 64), 0);
}

static void unlisten(void)
{
	close(listener);
	unlink(liar_path);
}

static int sealed(uint64_t size, unsigned seals)
{
	int fd = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, (int)seals), 0);
	return fd;
}

enum { SIZE_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, FUTURE = 0x10 };

/* Let one subscriber in, with @hello, and @fds. */
static int lie_to_one(const struct hello_shm *hello, size_t size, const int *fds, unsigned count)
{
	int sock = accept(listener, NULL, NULL);

	assert_true(sock >= 0);
	(void)tarn__plat_send_fds(sock, hello, size, fds, count);
	return sock;
}

static struct hello_shm proper(uint32_t type_size)
{
	struct hello_shm hello = { .magic = HELLO_MAGIC,
				   .version = HELLO_VERSION,
				   .type_size = type_size };

	hello.check = tarn__fnv32(&hello, offsetof(struct hello_shm, check), TARN__FNV32_BASIS);
	return hello;
}

struct lie {
	struct hello_shm hello;
	size_t size;
	int fds[4];
	unsigned count;
};

static void *tell_lie(void *arg)
{
	const struct lie *lie = arg;

	return (void *)(intptr_t)lie_to_one(&lie->hello, lie->size, lie->fds, lie->count);
}

static void what_is_no_lane_is_not_believed(void **state)
{
	const uint64_t lane = sizeof(struct lane_shm) + 4096;
	struct tarn_subscriber_stat stat;
	struct lie lies[12];
	int pipes[2], n = 0;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		lies[i] = (struct lie){ .hello = proper(0),
					.size = sizeof(struct hello_shm),
					.fds = { sealed(lane, SIZE_SEALS | FUTURE),
						 sealed(4096, SIZE_SEALS | FUTURE),
						 sealed(4096, SIZE_SEALS) },
					.count = 3 };
	lies[n++].count = 0;       /* nothing */
	lies[n++].count = 2;       /* too little */
	lies[n++].size = 5;        /* half a packet */
	lies[n++].hello.magic++;   /* another */
	lies[n++].hello.version++; /* and its check does not fit */
	lies[n].hello = (struct hello_shm){ .magic = HELLO_MAGIC, .version = 2 };
	lies[n].hello.check = tarn__fnv32(&lies[n].hello, 12, TARN__FNV32_BASIS);
	n++;
	lies[n++].fds[0] = pipes[0];                    /* no memory at all */
	lies[n++].fds[0] = sealed(lane, SIZE_SEALS);    /* it may be written */
	lies[n++].fds[1] = sealed(4096, F_SEAL_SHRINK); /* it may grow */
	lies[n++].fds[2] = sealed(8192, SIZE_SEALS);    /* of another size */
	lies[n++].hello = proper(UINT32_MAX);           /* a type that is larger than all */
	lies[n++].hello = proper(0);                    /* a lane full of zeros */
	for (int i = 0; i < n; i++) {
		pthread_t thread;
		void *sock;

		listen_bare();
		assert_int_equal(pthread_create(&thread, NULL, tell_lie, &lies[i]), 0);
		open_subscriber();
		assert_int_equal(pthread_join(thread, &sock), 0);
		assert_int_equal(tarn_subscriber_stat(subscriber, &stat), 0);
		assert_int_equal(stat.publishers, 0);
		tarn_subscriber_close(subscriber);
		subscriber = NULL;
		close((int)(intptr_t)sock);
		unlisten();
	}
	for (int i = 0; i < n; i++)
		for (int k = 0; k < 3; k++)
			if (lies[i].fds[k] != pipes[0])
				close(lies[i].fds[k]);
	close(pipes[0]);
	close(pipes[1]);
}

static void who_does_not_answer_is_not_waited_for(void **state)
{
	int64_t before;

	(void)state;
	listen_bare(); /* and says nothing */
	open_publisher();
	before = tarn_now();
	open_subscriber();
	assert_true(tarn_now() - before < SOON_NS);
	all_is_well(0, 100);
	unlisten();
}

/* A publisher that sends what may not be closed, and ends. */
static int send_lingering(void)
{
	const struct hello_shm hello = proper(0);
	int other, fd = lingering(&other);

	(void)lie_to_one(&hello, sizeof(hello), &fd, 1);
	return 0; /* who ends waits for nothing */
}

static void what_a_publisher_sends_along_keeps_nobody(void **state)
{
	int64_t before = tarn_now();

	(void)state;
	open_publisher();
	for (uint64_t round = 0; round < 5; round++) {
		pid_t pid;
		int status;

		listen_bare();
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(send_lingering());
		open_subscriber();
		all_is_well(round * 100, 100);
		tarn_subscriber_close(subscriber);
		subscriber = NULL;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		unlisten();
	}
	assert_true(tarn_now() - before < SOON_NS);
}

/* Write all over a lane that was sound. */
static void *rewrite(void *arg)
{
	unsigned char *lane = arg;
	uint32_t seed = 7;

	while (!atomic_load(&stop)) {
		_Atomic uint64_t *words = (_Atomic uint64_t *)(void *)(lane + 64);
		size_t count = (sizeof(struct lane_shm) + 4096 - 64) / 8;

		seed = seed * 1664525 + 1013904223;
		atomic_store(&words[seed / 7 % count], (uint64_t)seed << (seed % 33));
		seed = seed * 1664525 + 1013904223;
		/* oldest and last, as if it were sound */
		atomic_store(&words[8], 4096 + seed % 128 * 32);
		atomic_store(&words[0], 4096 + seed / 128 % 128 * 32);
	}
	return NULL;
}

/* What is published honestly comes, whatever else does. */
static void comes_beside_lies(uint64_t n, bool hold)
{
	struct tarn_message message;
	bool found = false;
	uint64_t got[512];
	int r;

	assert_int_equal(tarn_publisher_publish(publisher, &n, sizeof(n)), 0);
	do {
		r = hold ? tarn_subscriber_hold(subscriber, &message)
			 : tarn_subscriber_take(subscriber, got, sizeof(got), &message);
		if (r == 0 && hold) {
			memcpy(got, message.data, message.size < 8 ? message.size : 8);
			(void)!tarn_subscriber_release(subscriber, &message);
		}
		assert_true(r == 0 || r == -EAGAIN || r == -EUCLEAN);
		found |= r == 0 && message.size == 8 && got[0] == n;
	} while (r != -EAGAIN && !found);
	assert_true(found);
}

static void what_a_publisher_writes_harms_itself(void **state)
{
	const size_t bytes = sizeof(struct lane_shm) + 4096;
	struct lie lie = { .hello = proper(0), .size = sizeof(struct hello_shm), .count = 3 };
	unsigned char *lane;
	pthread_t teller, writer;
	void *sock;
	uint64_t next = 0;

	(void)state;
	lie.fds[0] = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(lie.fds[0], (off_t)bytes), 0);
	lane = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, lie.fds[0], 0);
	assert_true(lane != MAP_FAILED);
	tarn__lane_init(lane, 4096);
	assert_int_equal(fcntl(lie.fds[0], F_ADD_SEALS, SIZE_SEALS | FUTURE), 0);
	lie.fds[1] = sealed(4096, SIZE_SEALS | FUTURE);
	lie.fds[2] = sealed(4096, SIZE_SEALS);
	atomic_store(&stop, false);
	open_publisher();
	for (int round = 0; round < 20; round++) {
		int64_t until;

		listen_bare();
		memset(lane + 64, 0, bytes - 64);
		((struct lane_shm *)(void *)lane)->oldest = 4096;
		assert_int_equal(pthread_create(&teller, NULL, tell_lie, &lie), 0);
		atomic_store(&stop, false);
		assert_int_equal(pthread_create(&writer, NULL, rewrite, lane), 0);
		open_subscriber();
		pthread_join(teller, &sock);
		until = tarn_deadline_after(20000000);
		for (uint64_t n = 0; tarn_now() < until; n++, next++)
			comes_beside_lies(next, n % 2 == 1);
		atomic_store(&stop, true);
		pthread_join(writer, NULL);
		tarn_subscriber_close(subscriber);
		subscriber = NULL;
		close((int)(intptr_t)sock);
		unlisten();
	}
	open_subscriber();
	all_is_well(next, 100);
	munmap(lane, bytes);
	for (int i = 0; i < 3; i++)
		close(lie.fds[i]);
}

static void a_directory_full_of_names_is_no_matter(void **state)
{
	char path[128];

	(void)state;
	open_publisher();
	for (unsigned i = 0; i < 6000; i++) {
		snprintf(path, sizeof(path), "%s/news:%016x", dir, i);
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
	open_subscriber();
	all_is_well(0, 100);
	for (unsigned i = 0; i < 6000; i++) {
		snprintf(path, sizeof(path), "%s/news:%016x", dir, i);
		unlink(path);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		TEST(what_is_given_cannot_be_changed),
		TEST(what_a_subscriber_writes_harms_nobody),
		TEST(who_says_that_it_sleeps_costs_little),
		TEST(who_never_takes_is_left_behind),
		TEST(what_a_subscriber_sends_is_not_taken),
		TEST(who_floods_keeps_only_itself_out),
		TEST(what_is_no_lane_is_not_believed),
		TEST(who_does_not_answer_is_not_waited_for),
		TEST(what_a_publisher_sends_along_keeps_nobody),
		TEST(what_a_publisher_writes_harms_itself),
		TEST(a_directory_full_of_names_is_no_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
