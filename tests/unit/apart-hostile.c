/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topics in a directory of sockets, with subscribers that do whatever a process may: write, map,
 * truncate, requeue, flood, and send what nobody asked for. Publishers that lie: apart-liar.c.
 * Those that behave get all their messages whole and in order, in the time of others.
 */
#include "apart-bare.h"

/* --- subscribers --------------------------------------------------------------------------- */

static void what_is_given_cannot_be_changed(void **state)
{
	struct given given;

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
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
	open_subscriber(0, 0);
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
	open_subscriber(0, 0);
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

/* A subscriber that sends what may not be closed, before it is let in perhaps, and ends: who closes
 * it then closes the last one. */
static int connect_lingering(void)
{
	int other, fd = lingering(&other), sock = connect_bare();

	(void)tarn__plat_send_fds(sock, "x", 1, &fd, 1);
	return 0; /* who ends waits for nothing */
}

/* Open, stop until others have come to the door, then publish. */
static int publish_when_told(void)
{
	struct tarn_publisher *own;

	alarm(30);
	if (tarn_publisher_open(NULL, "news", &opts, &own) < 0)
		return 1;
	raise(SIGSTOP);
	if (tarn_publisher_wait_subscribers(own, 1, tarn_deadline_after(SOON_NS)) < 0)
		return 2;
	return tarn_publisher_publish(own, "12345678", 8) < 0 ? 3 : 0;
}

static void what_a_subscriber_sends_is_not_taken(void **state)
{
	struct tarn_message message;
	struct given given;
	uint64_t got;
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(publish_when_told());
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(in_child(connect_lingering), 0);
	assert_int_equal(kill(pid, SIGCONT), 0);
	open_subscriber(0, 0); /* the door is open to others all the same */
	assert_int_equal(tarn_subscriber_take_wait(subscriber, &got, sizeof(got),
						   tarn_deadline_after(SOON_NS), &message),
			 0);
	kill(pid, SIGKILL); /* what it has put aside to be closed may take a minute */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	tarn_subscriber_close(subscriber);
	open_publisher();
	open_subscriber(0, 0);
	take_bare(&given);
	assert_int_equal(send(given.sock, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	drop_bare(&given);
}

/* Was it let in? */
static bool is_let_in(int sock)
{
	char hello[2 * sizeof(struct hello_shm)];

	return recv(sock, hello, sizeof(hello), 0) > 0;
}

static void who_floods_keeps_only_itself_out(void **state)
{
	enum { MORE = APART_PER_USER + 40 };
	struct tarn_publisher_stat stat;
	int socks[MORE];
	uint32_t let_in = 0;

	(void)state;
	open_publisher();
	open_subscriber(0, 0); /* one of the user's places */
	for (int i = 0; i < MORE; i++) {
		socks[i] = connect_bare();
		let_in += is_let_in(socks[i]);
	}
	assert_int_equal(let_in, APART_PER_USER - 1);
	all_is_well(0, 100);
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	assert_int_equal(stat.subscribers, 1);
	for (int i = 0; i < MORE; i++)
		close(socks[i]);
}

/* What is on its way to them the kernel counts as the publisher's. */
static void who_does_not_receive_is_soon_let_in_no_more(void **state)
{
	enum { MANY = 60 };
	int socks[MANY];
	uint32_t let_in = 0;

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < MANY; i++)
			socks[i] = connect_bare();
		for (int i = 0; i < MANY; i++) { /* the door hangs up, or takes it for gone */
			struct pollfd answer = { .fd = socks[i], .events = POLLIN };

			assert_int_equal(poll(&answer, 1, 5000), 1);
			shutdown(socks[i], SHUT_RD);
		}
		all_is_well((uint64_t)round * 10, 10);
		for (int i = 0; i < MANY; i++) {
			let_in += is_let_in(socks[i]);
			close(socks[i]);
		}
	}
	assert_in_range(let_in, 0, 20 * 16);
	tarn_subscriber_close(subscriber);
	for (int tries = 0; tries < 100; tries++) { /* they are gone, and all is as before */
		struct tarn_subscriber_stat stat;
		const struct timespec nap = { .tv_nsec = 10000000 };

		open_subscriber(0, 0);
		assert_int_equal(tarn_subscriber_stat(subscriber, &stat), 0);
		if (stat.publishers == 1)
			break;
		tarn_subscriber_close(subscriber);
		nanosleep(&nap, NULL);
	}
	wait_subscribers(1);
	all_is_well(1000, 10);
}

static void who_says_that_it_sleeps_is_rung_for(void **state)
{
	struct given given;
	uint32_t before;

	(void)state;
	open_publisher();
	take_bare(&given);
	before = atomic_load(&given.bell->bell);
	assert_int_equal(tarn_publisher_publish(publisher, "1", 1), 0);
	assert_int_equal(atomic_load(&given.bell->bell), before);
	for (uint32_t i = 1; i <= 5; i++) {
		atomic_store(&given.ack->sleep, SLEEPS | i * SLEEP_STEP);
		for (int k = 0; k < 3; k++) /* once for each announcement */
			assert_int_equal(tarn_publisher_publish(publisher, "1", 1), 0);
		assert_int_equal(atomic_load(&given.bell->bell), before + i);
	}
	drop_bare(&given);
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
		TEST(who_does_not_receive_is_soon_let_in_no_more),
		TEST(who_says_that_it_sleeps_is_rung_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
