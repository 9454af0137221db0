/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Topics in a directory of sockets, between peers that behave: messages, who is slow, late, gone or
 * dead. Who may be there at all: apart-who.c; peers that misbehave: apart-hostile.c.
 */
#include "apart.h"

/* --- messages ------------------------------------------------------------------------------ */

static void what_is_published_is_taken(void **state)
{
	struct tarn_publisher_stat stat;
	struct tarn_subscriber_stat seen;
	struct tarn_message message;
	struct tarn_peer who;
	int64_t before = tarn__plat_now();
	char buf[8];

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	expect_none();
	assert_int_equal(tarn_publisher_publish(publisher, "", 0), 0);
	assert_int_equal(tarn_publisher_publish(publisher, "hello", 6), 0);
	assert_int_equal(tarn_subscriber_take(subscriber, NULL, 0, &message), 0);
	assert_int_equal(message.number, 1);
	assert_int_equal(tarn_subscriber_take(subscriber, buf, 5, &message), -ENOBUFS);
	assert_int_equal(message.size, 6);
	assert_int_equal(tarn_subscriber_take(subscriber, buf, sizeof(buf), &message), 0);
	assert_string_equal(buf, "hello");
	assert_int_equal(message.number, 2);
	assert_int_equal(message.member, 0);
	assert_in_range(message.time_ns, before, tarn__plat_now());
	expect_none();
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	assert_int_equal(stat.number, 2);
	assert_int_equal(stat.lane_size, 4096);
	assert_int_equal(stat.subscribers, 1);
	assert_int_equal(stat.publishers, 1);
	assert_int_equal(tarn_subscriber_stat(subscriber, &seen), 0);
	assert_int_equal(seen.taken, 2);
	assert_int_equal(seen.missed, 0);
	assert_int_equal(seen.publishers, 1);
	assert_int_equal(tarn_subscriber_peer(subscriber, message.publisher, &who), 0);
	assert_int_equal(who.pid, getpid());
	assert_int_equal(who.uid, geteuid());
	assert_int_equal(tarn_subscriber_peer(subscriber, 7, &who), -ENOENT);
	assert_int_equal(tarn_subscriber_peer(subscriber, 7000, &who), -ENOENT);
}

static void who_comes_first_gets_the_first_message(void **state)
{
	(void)state;
	open_subscriber(0, 0);
	expect_none();
	open_publisher();
	for (uint64_t n = 0; n < 5; n++)
		assert_int_equal(publish(n), 0);
	for (uint64_t n = 0; n < 5; n++)
		expect(n, n + 1, 0);
}

static void who_comes_late_gets_history(void **state)
{
	(void)state;
	open_publisher();
	for (uint64_t n = 0; n < 10; n++)
		assert_int_equal(publish(n), 0);
	open_subscriber(0, 3);
	expect(7, 8, 0);
	expect(8, 9, 0);
	expect(9, 10, 0);
	expect_none();
	tarn_subscriber_close(subscriber);
	open_subscriber(0, 0);
	expect_none();
	tarn_subscriber_close(subscriber);
	open_subscriber(TARN_TOPIC_LOSSY, UINT32_MAX);
	expect(0, 1, 0);
}

static void many_publishers_many_subscribers(void **state)
{
	enum { PUBLISHERS = 5, SUBSCRIBERS = 4, MESSAGES = 40 };
	struct tarn_publisher *publishers[PUBLISHERS];
	struct tarn_subscriber *subscribers[SUBSCRIBERS];

	(void)state;
	for (int i = 0; i < PUBLISHERS; i++)
		assert_int_equal(tarn_publisher_open(NULL, "news", &opts, &publishers[i]), 0);
	for (int i = 0; i < SUBSCRIBERS; i++)
		assert_int_equal(tarn_subscriber_open(NULL, "news", &opts, &subscribers[i]), 0);
	for (uint64_t n = 0; n < MESSAGES; n++)
		for (int i = 0; i < PUBLISHERS; i++)
			assert_int_equal(tarn_publisher_publish(publishers[i], &n, sizeof(n)), 0);
	for (int i = 0; i < SUBSCRIBERS; i++) {
		uint64_t next[PUBLISHERS] = { 0 };

		for (int k = 0; k < PUBLISHERS * MESSAGES; k++) {
			struct tarn_message message;
			uint64_t got;

			assert_int_equal(
				tarn_subscriber_take(subscribers[i], &got, sizeof(got), &message),
				0);
			assert_in_range(message.publisher, 0, PUBLISHERS - 1);
			assert_int_equal(got, next[message.publisher]++);
			assert_int_equal(message.number, got + 1);
			assert_int_equal(message.missed, 0);
		}
		tarn_subscriber_close(subscribers[i]);
	}
	for (int i = 0; i < PUBLISHERS; i++)
		tarn_publisher_close(publishers[i]);
}

static void large_messages_and_batches(void **state)
{
	struct tarn_buf bufs[20];
	uint64_t values[20];
	struct tarn_message message;
	unsigned char *large, *got;
	size_t count, size = 300000;
	void *loan;

	(void)state;
	opts.lane_size = 1 << 20;
	large = malloc(size);
	got = malloc(size);
	assert_true(large != NULL && got != NULL);
	for (size_t i = 0; i < size; i++)
		large[i] = (unsigned char)(i * 7 + i / 251);
	open_publisher();
	open_subscriber(0, 0);
	for (int lap = 0; lap < 10; lap++) {
		assert_int_equal(tarn_publisher_publish(publisher, large, size), 0);
		assert_int_equal(tarn_subscriber_take(subscriber, got, size, &message), 0);
		assert_memory_equal(got, large, size);
	}
	for (uint64_t i = 0; i < 20; i++) {
		values[i] = i;
		bufs[i] = (struct tarn_buf){ .data = &values[i], .size = sizeof(values[i]) };
	}
	assert_int_equal(tarn_publisher_publish_batch(publisher, bufs, 20, &count), 0);
	assert_int_equal(count, 20);
	for (uint64_t i = 0; i < 20; i++)
		expect(i, 11 + i, 0);
	assert_int_equal(tarn_publisher_loan(publisher, size, &loan), 0);
	memcpy(loan, large, size);
	assert_int_equal(tarn_publisher_commit(publisher, size), 0);
	assert_int_equal(tarn_subscriber_hold(subscriber, &message), 0);
	assert_memory_equal(message.data, large, size);
	assert_int_equal(tarn_subscriber_release(subscriber, &message), 0);
	assert_int_equal(tarn_subscriber_release(subscriber, &message), -EINVAL);
	free(large);
	free(got);
}

/* --- who is slow --------------------------------------------------------------------------- */

static void nobody_is_waited_for_unless_wanted(void **state)
{
	struct tarn_subscriber_stat stat;
	struct tarn_message message;
	uint64_t got, taken = 0, missed = 0;

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	for (uint64_t n = 0; n < 1000; n++)
		assert_int_equal(publish(n), 0);
	while (tarn_subscriber_take(subscriber, &got, sizeof(got), &message) == 0) {
		assert_int_equal(got + 1, message.number);
		taken++;
		missed += message.missed;
		assert_int_equal(taken + missed, message.number);
	}
	assert_int_equal(taken + missed, 1000);
	assert_true(missed > 0);
	assert_int_equal(tarn_subscriber_stat(subscriber, &stat), 0);
	assert_int_equal(stat.taken, taken);
	assert_int_equal(stat.missed, missed);
}

static void with_patience_the_publisher_waits(void **state)
{
	struct tarn_topic_blocker blocker;
	struct tarn_diag diag = { .what = "" };
	uint64_t n = 0, value = 77;
	int r;

	(void)state;
	opts.patience_ns = TARN_FOREVER;
	open_publisher();
	open_subscriber(0, 0);
	while ((r = publish(n)) == 0)
		n++;
	assert_int_equal(r, -EAGAIN);
	assert_in_range(n, 20, 100);
	assert_int_equal(tarn_publisher_blocker(publisher, &blocker), 0);
	assert_int_equal(blocker.pid, getpid());
	assert_int_equal(blocker.lossy, 0);
	assert_int_equal(tarn_publisher_explain(publisher, r, 8, &diag), -EAGAIN);
	assert_non_null(strstr(diag.what, "has not taken"));
	assert_int_equal(tarn_publisher_publish_wait(publisher, &value, sizeof(value),
						     tarn_deadline_after(20000000)),
			 -ETIMEDOUT);
	for (uint64_t k = 0; k < n; k++)
		expect(k, k + 1, 0);
	expect_none();
	assert_int_equal(publish(value), 0);
	expect(value, n + 1, 0);
}

static void patience_comes_to_an_end(void **state)
{
	uint64_t n = 0, got;
	struct tarn_message message;
	int64_t before;

	(void)state;
	opts.patience_ns = 50000000;
	open_publisher();
	open_subscriber(0, 0);
	while (publish(n) == 0)
		n++;
	before = tarn_now();
	assert_int_equal(
		tarn_publisher_publish_wait(publisher, &n, sizeof(n), tarn_deadline_after(SOON_NS)),
		0);
	assert_true(tarn_now() - before >= 30000000);
	/* It is lossy from now on ... */
	for (uint64_t k = 0; k < 1000; k++)
		assert_int_equal(publish(++n), 0);
	assert_int_equal(tarn_subscriber_take(subscriber, &got, sizeof(got), &message), 0);
	assert_true(message.missed > 0);
	assert_int_equal(got, message.missed);
	/* ... and who comes anew of the same user is not waited for at once. */
	tarn_subscriber_close(subscriber);
	open_subscriber(0, 0);
	for (uint64_t k = 0; k < 1000; k++)
		assert_int_equal(publish(++n), 0);
}

static void what_is_held_is_kept_if_there_is_patience(void **state)
{
	struct tarn_message message;
	uint64_t n = 1;

	(void)state;
	opts.patience_ns = TARN_FOREVER;
	open_publisher();
	open_subscriber(TARN_TOPIC_LOSSY, 0);
	assert_int_equal(publish(0), 0);
	assert_int_equal(tarn_subscriber_hold(subscriber, &message), 0);
	while (publish(n) == 0)
		n++;
	assert_in_range(n, 20, 100);
	assert_int_equal(*(const uint64_t *)message.data, 0);
	assert_int_equal(tarn_subscriber_release(subscriber, &message), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(publish(n++), 0);
}

static void what_was_held_for_too_long_is_told(void **state)
{
	struct tarn_message message;

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	assert_int_equal(publish(0), 0);
	assert_int_equal(tarn_subscriber_hold(subscriber, &message), 0);
	assert_int_equal(tarn_subscriber_release(subscriber, &message), 0);
	assert_int_equal(publish(1), 0);
	assert_int_equal(tarn_subscriber_hold(subscriber, &message), 0);
	for (uint64_t n = 2; n < 1000; n++)
		assert_int_equal(publish(n), 0);
	assert_int_equal(tarn_subscriber_release(subscriber, &message), -ESTALE);
	assert_int_equal(tarn_subscriber_release(subscriber, &message), -EINVAL);
}

/* A lap later another lies where the first one was: each is told apart by its number. */
static void what_lies_where_another_was_held_is_told_apart(void **state)
{
	struct tarn_message first, other;
	uint64_t n = 0;

	(void)state;
	open_publisher();
	open_subscriber(TARN_TOPIC_LOSSY, 0);
	assert_int_equal(publish(n++), 0);
	assert_int_equal(tarn_subscriber_hold(subscriber, &first), 0);
	for (;;) {
		assert_in_range(n, 0, 1000);
		assert_int_equal(publish(n++), 0);
		assert_int_equal(tarn_subscriber_hold(subscriber, &other), 0);
		if (other.data == first.data)
			break;
		assert_int_equal(tarn_subscriber_release(subscriber, &other), 0);
	}
	assert_int_equal(tarn_subscriber_release(subscriber, &other), 0);
	assert_int_equal(tarn_subscriber_release(subscriber, &other), -EINVAL);
	assert_int_equal(tarn_subscriber_release(subscriber, &first), -ESTALE);
	assert_int_equal(tarn_subscriber_release(subscriber, &first), -EINVAL);
}

static void latest_alone(void **state)
{
	(void)state;
	open_publisher();
	open_subscriber(TARN_TOPIC_LATEST, 0);
	for (uint64_t n = 0; n < 500; n++)
		assert_int_equal(publish(n), 0);
	expect(499, 500, 499);
	expect_none();
	assert_int_equal(publish(500), 0);
	expect(500, 501, 0);
}

/* --- who comes and goes -------------------------------------------------------------------- */

static void who_leaves_leaves_its_messages(void **state)
{
	struct tarn_subscriber_stat stat;

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	for (uint64_t n = 0; n < 10; n++)
		assert_int_equal(publish(n), 0);
	tarn_publisher_close(publisher);
	assert_int_equal(names(), 0);
	wait_publishers(0);
	for (uint64_t n = 0; n < 10; n++)
		expect(n, n + 1, 0);
	expect_none();
	open_publisher();
	assert_int_equal(publish(100), 0);
	expect(100, 1, 0);
	assert_int_equal(tarn_subscriber_stat(subscriber, &stat), 0);
	assert_int_equal(stat.taken, 11);
	assert_int_equal(stat.missed, 0);
	assert_int_equal(stat.lanes, 1); /* the place was used again */
}

static void publishers_come_and_go_for_long(void **state)
{
	(void)state;
	open_subscriber(0, 0);
	for (uint64_t n = 0; n < 40; n++) {
		open_publisher();
		assert_int_equal(publish(n), 0);
		expect(n, 1, 0);
		tarn_publisher_close(publisher);
		publisher = NULL;
	}
	wait_publishers(0);
}

static void *take_forty_two(void *arg)
{
	struct tarn_message message;
	uint64_t got = 0;
	int r = tarn_subscriber_take_wait(subscriber, &got, sizeof(got),
					  tarn_deadline_after(2 * SOON_NS), &message);

	return r == 0 && got == 42 ? NULL : arg;
}

/* More of them than a user may have places, and no take meanwhile. */
static void publishers_come_and_go_beside_one_that_sleeps(void **state)
{
	pthread_t thread;
	void *result;
	int heard = 0;

	(void)state;
	open_subscriber(0, 0);
	assert_int_equal(pthread_create(&thread, NULL, take_forty_two, &subscriber), 0);
	for (int i = 0; i < 140 && heard == i; i++) {
		open_publisher();
		heard += tarn_publisher_wait_subscribers(publisher, 1,
							 tarn_deadline_after(SOON_NS)) == 0;
		if (i == 139)
			assert_int_equal(publish(42), 0);
		tarn_publisher_close(publisher);
	}
	publisher = NULL;
	pthread_join(thread, &result);
	assert_int_equal(heard, 140);
	assert_null(result);
}

static void subscribers_come_and_go_for_long(void **state)
{
	struct tarn_publisher_stat stat;

	(void)state;
	opts.patience_ns = TARN_FOREVER;
	open_publisher();
	for (uint64_t n = 0; n < 40; n++) {
		open_subscriber(0, 0);
		assert_int_equal(publish(n), 0);
		expect(n, n + 1, 0);
		tarn_subscriber_close(subscriber);
		subscriber = NULL;
	}
	for (uint64_t n = 0; n < 200; n++) /* nobody is in the way for long */
		assert_int_equal(tarn_publisher_publish_wait(publisher, &n, sizeof(n),
							     tarn_deadline_after(SOON_NS)),
				 0);
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	assert_int_equal(stat.subscribers, 0);
}

static void waits_for_subscribers(void **state)
{
	(void)state;
	open_publisher();
	assert_int_equal(tarn_publisher_wait_subscribers(publisher, 0, 0), 0);
	assert_int_equal(
		tarn_publisher_wait_subscribers(publisher, 1, tarn_deadline_after(20000000)),
		-ETIMEDOUT);
	open_subscriber(0, 0);
	wait_subscribers(1);
}

/* A child that subscribes, says so, and is gone in the way of @ends. */
static pid_t subscribe_in_child(int *ret_pipe)
{
	int fds[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct tarn_subscriber *own;

		alarm(30);
		if (tarn_subscriber_open(NULL, "news", &opts, &own) == 0 &&
		    write(fds[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	*ret_pipe = fds[0];
	return pid;
}

static void the_dead_hold_nobody_up(void **state)
{
	uint64_t n = 0;
	int pipe_fd, status;
	pid_t pid;

	(void)state;
	opts.patience_ns = TARN_FOREVER;
	open_publisher();
	pid = subscribe_in_child(&pipe_fd);
	wait_subscribers(1);
	while (publish(n) == 0)
		n++;
	assert_in_range(n, 20, 100);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(pipe_fd);
	for (int i = 0; i < 200; i++)
		assert_int_equal(tarn_publisher_publish_wait(publisher, &n, sizeof(n),
							     tarn_deadline_after(SOON_NS)),
				 0);
}

static int publish_and_die(void)
{
	struct tarn_publisher *own;
	uint64_t n = 5;

	if (tarn_publisher_open(NULL, "news", &opts, &own) < 0 ||
	    tarn_publisher_wait_subscribers(own, 1, tarn_deadline_after(SOON_NS)) < 0 ||
	    tarn_publisher_publish(own, &n, sizeof(n)) < 0)
		return 1;
	kill(getpid(), SIGKILL);
	return 2;
}

static void of_the_dead_all_is_taken(void **state)
{
	(void)state;
	open_subscriber(0, 0);
	assert_int_equal(in_child(publish_and_die), 1000 + SIGKILL);
	expect(5, 1, 0);
	expect_none();
	wait_publishers(0);
	assert_int_equal(names(), 1); /* its socket, until somebody finds that nobody listens */
	tarn_subscriber_close(subscriber);
	open_subscriber(0, 0);
	assert_int_equal(names(), 0);
}

static void *publish_later(void *arg)
{
	const struct timespec nap = { .tv_nsec = 50000000 };
	uint64_t n = 42;

	(void)arg;
	nanosleep(&nap, NULL);
	return (void *)(intptr_t)tarn_publisher_publish(publisher, &n, sizeof(n));
}

static void who_sleeps_is_woken(void **state)
{
	pthread_t thread;
	void *result;

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_create(&thread, NULL, publish_later, NULL), 0);
		expect(42, (uint64_t)i + 1, 0);
		pthread_join(thread, &result);
		assert_null(result);
	}
	assert_int_equal(
		tarn_subscriber_take_wait(subscriber, NULL, 0, tarn_deadline_after(20000000), NULL),
		-ETIMEDOUT);
}

static void a_waiter_waits_for_it_too(void **state)
{
	struct tarn_waiter *waiter;
	struct pollfd poll_fd = { .events = POLLIN };
	pthread_t thread;
	size_t count;
	void *tag;

	(void)state;
	open_subscriber(0, 0);
	assert_int_equal(tarn_waiter_open(NULL, &waiter), 0);
	assert_int_equal(tarn_waiter_add_subscriber(waiter, subscriber, NULL), 0);
	assert_int_equal(tarn_waiter_wait(waiter, tarn_deadline_after(20000000), &tag, 1, &count),
			 -ETIMEDOUT);
	open_publisher(); /* who comes while it is waited for is waited for */
	assert_int_equal(pthread_create(&thread, NULL, publish_later, NULL), 0);
	do {
		assert_int_equal(
			tarn_waiter_wait(waiter, tarn_deadline_after(SOON_NS), &tag, 1, &count), 0);
		assert_ptr_equal(tag, subscriber);
	} while (tarn_subscriber_take(subscriber, &count, sizeof(count),
				      &(struct tarn_message){ .size = 0 }) == -EAGAIN);
	assert_int_equal(count, 42);
	pthread_join(thread, NULL);
	assert_int_equal(tarn_waiter_fd(waiter, &poll_fd.fd), 0);
	assert_int_equal(tarn_waiter_wait(waiter, 0, &tag, 1, &count), -ETIMEDOUT);
	assert_int_equal(pthread_create(&thread, NULL, publish_later, NULL), 0);
	assert_int_equal(poll(&poll_fd, 1, 3000), 1);
	pthread_join(thread, NULL);
	assert_int_equal(tarn_waiter_wait(waiter, tarn_deadline_after(SOON_NS), &tag, 1, &count),
			 0);
	expect(42, 2, 0);
	/* Its words stay while its publisher goes. */
	assert_int_equal(tarn_waiter_wait(waiter, 0, &tag, 1, &count), -ETIMEDOUT);
	tarn_publisher_close(publisher);
	publisher = NULL;
	wait_publishers(0);
	expect_none();
	assert_int_equal(tarn_waiter_remove(waiter, subscriber), 0);
	tarn_waiter_close(waiter);
}

/* --- fork ---------------------------------------------------------------------------------- */

static int use_parents(void)
{
	struct tarn_message message;
	uint64_t n = 1;

	if (tarn_publisher_publish(publisher, &n, sizeof(n)) != -EBUSY ||
	    tarn_subscriber_take(subscriber, &n, sizeof(n), &message) != -EBUSY ||
	    tarn_publisher_wait_subscribers(publisher, 1, 0) != -EBUSY)
		return 1;
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	if (tarn_subscriber_open(NULL, "news", &opts, &subscriber) < 0)
		return 2;
	tarn_subscriber_close(subscriber);
	return 0;
}

static void a_child_has_nothing_of_its_parents(void **state)
{
	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	assert_int_equal(in_child(use_parents), 0);
	assert_int_equal(names(), 1);
	assert_int_equal(publish(3), 0);
	expect(3, 1, 0);
}

/* In a lane of its own, under the same name, with the same peers; its subscriber comes over. */
static void who_grows_keeps_the_order(void **state)
{
	const size_t size = 100000;
	unsigned char *large = malloc(size), *got = malloc(size);
	struct tarn_publisher_stat stat;
	struct tarn_message message;

	(void)state;
	assert_non_null(large);
	assert_non_null(got);
	memset(large, 7, size);
	open_publisher();
	open_subscriber(0, 0);
	wait_subscribers(1);
	for (uint64_t n = 1; n <= 3; n++)
		assert_int_equal(publish(n), 0);
	assert_int_equal(tarn_publisher_publish(publisher, large, size), -EMSGSIZE);
	assert_int_equal(tarn_publisher_grow(publisher, size, NULL), 0);
	assert_int_equal(names(), 1);
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	assert_int_equal(stat.lane_size, 524288);
	assert_int_equal(tarn_publisher_publish(publisher, large, size), 0);
	assert_int_equal(publish(4), 0);
	for (uint64_t n = 1; n <= 3; n++)
		expect(n, n, 0);
	assert_int_equal(tarn_subscriber_take_wait(subscriber, got, size,
						   tarn_deadline_after(SOON_NS), &message),
			 0);
	assert_memory_equal(got, large, size);
	expect(4, 2, 0);
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	assert_int_equal(stat.subscribers, 1);
	wait_publishers(1);
	assert_int_equal(tarn_publisher_grow(publisher, (size_t)2 << 30, NULL), -EMSGSIZE);
	assert_int_equal(publish(5), 0);
	expect(5, 3, 0);
	free(large);
	free(got);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		TEST(what_is_published_is_taken),
		TEST(who_comes_first_gets_the_first_message),
		TEST(who_comes_late_gets_history),
		TEST(many_publishers_many_subscribers),
		TEST(large_messages_and_batches),
		TEST(nobody_is_waited_for_unless_wanted),
		TEST(with_patience_the_publisher_waits),
		TEST(patience_comes_to_an_end),
		TEST(what_is_held_is_kept_if_there_is_patience),
		TEST(what_was_held_for_too_long_is_told),
		TEST(what_lies_where_another_was_held_is_told_apart),
		TEST(latest_alone),
		TEST(who_leaves_leaves_its_messages),
		TEST(publishers_come_and_go_for_long),
		TEST(publishers_come_and_go_beside_one_that_sleeps),
		TEST(subscribers_come_and_go_for_long),
		TEST(waits_for_subscribers),
		TEST(the_dead_hold_nobody_up),
		TEST(of_the_dead_all_is_taken),
		TEST(who_sleeps_is_woken),
		TEST(a_waiter_waits_for_it_too),
		TEST(a_child_has_nothing_of_its_parents),
		TEST(who_grows_keeps_the_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
