/* SPDX-License-Identifier: BSD-2-Clause */
/* A wait for many words that the kernel does by itself (plat/uring.c): what tells by its eventfd,
 * and what is left when it is over. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "failing.h"

enum { LONG_MS = 20000, WORDS = 128 };

static const int64_t hour = INT64_C(3600000000000), moment = INT64_C(5000000);

static struct tarn__uring ring = { .fd = -1 };
static int eventfd = -1;
static _Atomic uint32_t words[WORDS];
static struct tarn__futex all[WORDS];

static int open_ring(void **state)
{
	int r;

	(void)state;
	eventfd = tarn__plat_eventfd();
	r = tarn__plat_uring_open(eventfd, &ring);
	for (int i = 0; i < WORDS; i++)
		all[i] = tarn__futex_of(&words[i], atomic_load(&words[i]));
	(void)tarn__plat_eventfd_clear(eventfd);
	return eventfd < 0 || (r < 0 && r != -ENOSYS && r != -EPERM) ? -1 : 0;
}

static int close_ring(void **state)
{
	(void)state;
	tarn__plat_uring_close(&ring, true);
	tarn__plat_close(eventfd);
	return 0;
}

static void or_skip(void)
{
	if (ring.fd < 0) {
		print_message("# skip: no io_uring here, or one without FUTEX_WAITV\n");
		skip();
	}
}

static bool is_readable(int ms)
{
	struct pollfd poller = { .fd = eventfd, .events = POLLIN };

	return poll(&poller, 1, ms) == 1;
}

/* Over: nothing is pending, nothing is queued, and nothing is told any more. */
static void end(void)
{
	assert_int_equal(tarn__plat_uring_cancel(&ring), 0);
	assert_int_equal(ring.pending, 0);
	(void)tarn__plat_eventfd_clear(eventfd);
	for (int i = 0; i < WORDS; i++)
		assert_int_equal(tarn__plat_futex_wake(&words[i], 1), 0);
	assert_false(is_readable(0));
}

static void each_word_wakes(void **state)
{
	(void)state;
	or_skip();
	for (int i = 0; i < WORDS; i++) {
		assert_int_equal(tarn__plat_uring_wait(&ring, all, WORDS, hour), 0);
		assert_false(is_readable(0));
		assert_int_equal(tarn__plat_futex_wake(&words[i], 1), 1);
		assert_true(is_readable(LONG_MS));
		end();
	}
}

static void another_value_is_told_at_once(void **state)
{
	(void)state;
	or_skip();
	all[WORDS - 1].value++;
	assert_int_equal(tarn__plat_uring_wait(&ring, all, WORDS, hour), 0);
	assert_true(is_readable(0));
	end();
}

static void a_wait_ends_by_itself(void **state)
{
	(void)state;
	or_skip();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tarn__plat_uring_wait(&ring, all, 2, moment), 0);
		assert_true(is_readable(LONG_MS));
		end();
	}
}

static void a_wait_may_be_ended(void **state)
{
	(void)state;
	or_skip();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(tarn__plat_uring_wait(&ring, all, WORDS, hour), 0);
		end();
	}
	end(); /* of nothing */
}

/* A word whose memory has gone, and words that cannot be read. */
static void bad_addresses_are_told(void **state)
{
	void *page;

	(void)state;
	or_skip();
	assert_int_equal(tarn__plat_mmap(NULL, tarn__plat_page_size(), 3, 0x22, -1, 0, &page), 0);
	tarn__plat_munmap(page, tarn__plat_page_size());
	all[1].word = (uintptr_t)page;
	assert_int_equal(tarn__plat_uring_wait(&ring, all, 2, hour), 0);
	assert_true(is_readable(0));
	end();
	assert_int_equal(tarn__plat_uring_wait(&ring, page, 2, hour), 0);
	assert_true(is_readable(0));
	end();
	assert_int_equal(tarn__plat_uring_wait(&ring, all, 1, hour), 0);
	assert_int_equal(tarn__plat_futex_wake(&words[0], 1), 1);
	assert_true(is_readable(LONG_MS));
	end();
}

static void *wait_elsewhere(void *arg)
{
	*(int *)arg = tarn__plat_uring_wait(&ring, all, 2, hour);
	return NULL;
}

static void *cancel_elsewhere(void *arg)
{
	*(int *)arg = tarn__plat_uring_cancel(&ring);
	return NULL;
}

static int in_a_thread(void *(*run)(void *arg))
{
	pthread_t thread;
	int r = 0;

	assert_int_equal(pthread_create(&thread, NULL, run, &r), 0);
	pthread_join(thread, NULL);
	return r;
}

/* And what it was asked is told all the same. */
static void it_is_one_threads(void **state)
{
	(void)state;
	or_skip();
	assert_int_equal(tarn__plat_uring_wait(&ring, all, 2, hour), 0);
	assert_int_equal(in_a_thread(cancel_elsewhere), -EEXIST);
	assert_int_equal(tarn__plat_futex_wake(&words[1], 1), 1);
	assert_true(is_readable(LONG_MS));
	tarn__plat_uring_close(&ring, true);
	assert_int_equal(tarn__plat_uring_open(eventfd, &ring), 0);
	assert_int_equal(in_a_thread(wait_elsewhere), -EEXIST);
}

static void *open_and_wait(void *arg)
{
	int *r = arg;

	*r = tarn__plat_uring_open(eventfd, &ring);
	if (*r == 0) {
		(void)tarn__plat_eventfd_clear(eventfd);
		*r = tarn__plat_uring_wait(&ring, all, 2, hour);
	}
	return NULL;
}

/* Told when its thread ends, or when a word is woken then: both will do. */
static void a_wait_outlives_its_thread(void **state)
{
	(void)state;
	or_skip();
	tarn__plat_uring_close(&ring, true);
	assert_int_equal(in_a_thread(open_and_wait), 0);
	(void)tarn__plat_futex_wake(&words[1], 1);
	assert_true(is_readable(LONG_MS));
}

/* Each call fails in turn: it is not opened, and nothing is left of it. */
static void what_is_refused_leaves_nothing(void **state)
{
	const int errors[] = { ENOSYS, EPERM, ENOMEM };
	struct tarn__uring other = { .fd = 77 };
	int before, r;

	(void)state;
	or_skip();
	before = descriptors();
	for (int i = 0; i < 3; i++) {
		failing.at = 0;
		do {
			failing.calls = 0;
			failing.with = errors[i];
			tarn__plat_fault = fail_one;
			r = tarn__plat_uring_open(eventfd, &other);
			tarn__plat_fault = NULL;
			if (r == 0)
				break;
			assert_int_equal(other.fd, 77);
			assert_int_equal(descriptors(), before);
			failing.at++;
		} while (failing.at < 100);
		assert_in_range(failing.at, 5, 99);
		tarn__plat_uring_close(&other, true);
		tarn__plat_uring_close(&other, true);
		assert_int_equal(descriptors(), before);
		assert_int_equal(tarn__plat_uring_wait(&other, all, 2, hour), -EBADF);
		other.fd = 77;
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_ring, close_ring)
	const struct CMUnitTest tests[] = {
		TEST(each_word_wakes),
		TEST(another_value_is_told_at_once),
		TEST(a_wait_ends_by_itself),
		TEST(a_wait_may_be_ended),
		TEST(bad_addresses_are_told),
		TEST(it_is_one_threads),
		TEST(a_wait_outlives_its_thread),
		TEST(what_is_refused_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
