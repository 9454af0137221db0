/* SPDX-License-Identifier: BSD-2-Clause */
/* apart.h - what the tests of topics in a directory of sockets share. */
#ifndef TESTS_UNIT_APART_H
#define TESTS_UNIT_APART_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#include "child.h"
#include "plat/plat.h"

#define SOON_NS INT64_C(5000000000)

static char dir[64];
static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static struct tarn_topic_opts opts;

static inline int make_dir(void **state)
{
	(void)state;
	alarm(60);
	snprintf(dir, sizeof(dir), "/tmp/tarn-apart.XXXXXX");
	publisher = NULL;
	subscriber = NULL;
	opts = (struct tarn_topic_opts){ .socket_dir = dir, .lane_size = 4096 };
	return mkdtemp(dir) == NULL || chmod(dir, 0777) < 0 ? -1 : 0;
}

/* How many names are in the directory. */
static inline int names(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int count = 0;

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(d);
	return count;
}

static inline int drop_dir(void **state)
{
	(void)state;
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	return rmdir(dir); /* nothing is left behind */
}

static inline void open_publisher(void)
{
	publisher = NULL; /* the one before is closed */
	assert_int_equal(tarn_publisher_open(NULL, "news", &opts, &publisher), 0);
}

static inline void open_subscriber(uint32_t how, uint32_t history)
{
	struct tarn_topic_opts want = opts;

	want.flags = how;
	want.history = history;
	subscriber = NULL; /* as above */
	assert_int_equal(tarn_subscriber_open(NULL, "news", &want, &subscriber), 0);
}

static inline int publish(uint64_t n)
{
	return tarn_publisher_publish(publisher, &n, sizeof(n));
}

/* The next message is value @n, with @number, after @missed. */
static inline struct tarn_message expect(uint64_t n, uint64_t number, uint64_t missed)
{
	struct tarn_message message;
	uint64_t got = 0;

	assert_int_equal(tarn_subscriber_take_wait(subscriber, &got, sizeof(got),
						   tarn_deadline_after(SOON_NS), &message),
			 0);
	assert_int_equal(got, n);
	assert_int_equal(message.size, sizeof(got));
	assert_int_equal(message.number, number);
	assert_int_equal(message.missed, missed);
	assert_null(message.data);
	return message;
}

static inline void expect_none(void)
{
	struct tarn_message message;
	char byte;

	assert_int_equal(tarn_subscriber_take(subscriber, &byte, 1, &message), -EAGAIN);
}

static inline void wait_subscribers(uint32_t count)
{
	assert_int_equal(
		tarn_publisher_wait_subscribers(publisher, count, tarn_deadline_after(SOON_NS)), 0);
}

/* Until the subscriber knows of @count publishers. */
static inline void wait_publishers(uint32_t count)
{
	int64_t deadline = tarn_deadline_after(SOON_NS);
	struct tarn_subscriber_stat stat;

	do {
		assert_int_equal(tarn_subscriber_stat(subscriber, &stat), 0);
	} while (stat.publishers != count && tarn_now() < deadline && sched_yield() == 0);
	assert_int_equal(stat.publishers, count);
}

#endif /* TESTS_UNIT_APART_H */
