/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiter: what is ready is told until it is not; who sleeps, or polls, is woken by any of it. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>

#include <tarn/waiter.h>

#include "prim.h"

enum { LONG_NS = 2000000000, MANY = 200 };

static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static struct tarn_latest *latest;
static struct tarn_ring *producer, *consumer;
static struct tarn_event *manual, *automatic;
static struct tarn_waiter *waiter;
static uint64_t seen;

static const struct tarn_topic_opts topic_opts = { .lane_size = 4096 };
static const struct tarn_latest_opts latest_opts = { .size = 8 };
static const struct tarn_ring_opts ring_opts = { .capacity = 256 };
static const struct tarn_event_opts manual_opts = { .flags = 0 };
static const struct tarn_event_opts auto_opts = { .flags = TARN_EVENT_AUTO };

static int make_sources(void **state)
{
	seen = 0;
	if (make_region(state) < 0 ||
	    tarn_publisher_open(region, "news", &topic_opts, &publisher) < 0 ||
	    tarn_subscriber_open(region, "news", &topic_opts, &subscriber) < 0 ||
	    tarn_latest_open(region, "state", &latest_opts, &latest) < 0 ||
	    tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &ring_opts, &producer) < 0 ||
	    tarn_ring_open(region, "ring", TARN_RING_CONSUMER, &ring_opts, &consumer) < 0 ||
	    tarn_event_open(region, "manual", &manual_opts, &manual) < 0 ||
	    tarn_event_open(region, "auto", &auto_opts, &automatic) < 0)
		return -1;
	return tarn_waiter_open(NULL, &waiter);
}

static void add_all(void)
{
	assert_int_equal(tarn_waiter_add_subscriber(waiter, subscriber, NULL), 0);
	assert_int_equal(tarn_waiter_add_latest(waiter, latest, &seen, NULL), 0);
	assert_int_equal(tarn_waiter_add_ring(waiter, consumer, NULL), 0);
	assert_int_equal(tarn_waiter_add_event(waiter, manual, NULL), 0);
	assert_int_equal(tarn_waiter_add_event(waiter, automatic, NULL), 0);
}

static int drop_sources(void **state)
{
	tarn_waiter_close(waiter);
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	tarn_latest_close(latest);
	tarn_ring_close(producer);
	tarn_ring_close(consumer);
	tarn_event_close(manual);
	tarn_event_close(automatic);
	return drop_region(state);
}

/* --- what may happen, and how it is taken --------------------------------------------------- */

enum { NEWS, STATE, RECORD, SET, GO, KINDS };

static const void *handle_of(int kind)
{
	const void *const handles[KINDS] = { subscriber, latest, consumer, manual, automatic };

	return handles[kind];
}

static int happen(int kind)
{
	uint64_t value = 7;

	switch (kind) {
	case NEWS:
		return tarn_publisher_publish(publisher, &value, sizeof(value));
	case STATE:
		return tarn_latest_write(latest, &value, sizeof(value), TARN_FOREVER, NULL);
	case RECORD:
		return tarn_ring_push(producer, &value, sizeof(value));
	case SET:
		return tarn_event_set(manual);
	default:
		return tarn_event_set(automatic);
	}
}

static int consume(int kind)
{
	struct tarn_message message;
	uint64_t value;
	size_t size;

	switch (kind) {
	case NEWS:
		return tarn_subscriber_take(subscriber, &value, sizeof(value), &message);
	case STATE:
		return tarn_latest_read(latest, &value, sizeof(value), &size, &seen);
	case RECORD:
		return tarn_ring_pop(consumer, &value, sizeof(value), &size);
	case SET:
		return tarn_event_reset(manual);
	default:
		return tarn_event_try(automatic);
	}
}

/* What is ready, one of them; NULL: nothing. */
static const void *wait_for_one(int64_t deadline)
{
	void *tag = NULL;
	size_t count;
	int r = tarn_waiter_wait(waiter, deadline, &tag, 1, &count);

	assert_true(r == 0 || r == -ETIMEDOUT);
	assert_int_equal(count, r == 0);
	return tag;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void what_is_ready_is_told_until_it_is_not(void **state)
{
	void *tags[KINDS + 1];
	size_t count;

	(void)state;
	add_all();
	for (int kind = 0; kind < KINDS; kind++) {
		assert_null(wait_for_one(0));
		assert_int_equal(happen(kind), 0);
		assert_ptr_equal(wait_for_one(TARN_FOREVER), handle_of(kind));
		assert_ptr_equal(wait_for_one(0), handle_of(kind));
		assert_int_equal(consume(kind), 0);
		assert_null(wait_for_one(tarn_deadline_after(100000)));
	}
	for (int kind = 0; kind < KINDS; kind++)
		assert_int_equal(happen(kind), 0);
	assert_int_equal(tarn_waiter_wait(waiter, 0, tags, KINDS + 1, &count), 0);
	assert_int_equal(count, KINDS);
	for (int kind = 0; kind < KINDS; kind++)
		assert_int_equal(consume(kind), 0);
	assert_null(wait_for_one(0));
}

/* However few are asked for at a time, each is told once a turn. */
static void all_get_their_turn(void **state)
{
	unsigned told[KINDS] = { 0 };

	(void)state;
	add_all();
	for (int kind = 0; kind < KINDS; kind++)
		assert_int_equal(happen(kind), 0);
	for (int i = 0; i < 3 * KINDS; i++) {
		const void *tag = wait_for_one(0);

		for (int kind = 0; kind < KINDS; kind++)
			told[kind] += tag == handle_of(kind);
	}
	for (int kind = 0; kind < KINDS; kind++)
		assert_int_equal(told[kind], 3);
}

static void bad_calls_are_refused(void **state)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_waiter_opts unknown = { .flags = 2, .diag = &diag };
	struct tarn_waiter *second = NULL;
	struct tarn_ring *observer;
	void *tag;
	size_t count;

	(void)state;
	assert_int_equal(tarn_waiter_open(&unknown, &second), -EINVAL);
	assert_non_null(strstr(diag.what, "0x2"));
	assert_null(second);
	add_all();
	assert_int_equal(tarn_waiter_add_event(waiter, manual, NULL), -EEXIST);
	assert_int_equal(tarn_ring_open(region, "ring", TARN_RING_OBSERVER, NULL, &observer), 0);
	assert_int_equal(tarn_waiter_add_ring(waiter, observer, NULL), -EINVAL);
	tarn_ring_close(observer);
	assert_int_equal(tarn_waiter_remove(waiter, &diag), -ENOENT);
	assert_int_equal(tarn_waiter_wait(waiter, 0, &tag, 0, &count), -EINVAL);
	assert_int_equal(tarn_waiter_remove(waiter, manual), 0);
	assert_int_equal(happen(SET), 0);
	assert_null(wait_for_one(0));
	assert_int_equal(tarn_waiter_add_event(waiter, manual, &diag), 0);
	assert_ptr_equal(wait_for_one(0), &diag); /* the tag it was added with */
}

/* A process of its own makes it happen, once the waiter may well sleep. */
static pid_t soon(int kind)
{
	pid_t pid = fork();

	if (pid == 0) {
		tarn_publisher_close(publisher);
		pause_us(kind * 700);
		if (kind == NEWS &&
		    tarn_publisher_open(region, "news", &topic_opts, &publisher) < 0)
			_exit(1);
		_exit(happen(kind) == 0 ? 0 : 2);
	}
	return pid;
}

static void ended_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void who_sleeps_is_woken_by_any(void **state)
{
	static const struct tarn_waiter_opts asleep = { .flags = TARN_WAITER_NO_SPIN };

	(void)state;
	tarn_ring_close(producer); /* the child's turn */
	producer = NULL;
	tarn_waiter_close(waiter);
	assert_int_equal(tarn_waiter_open(&asleep, &waiter), 0);
	add_all();
	for (int i = 0; i < 3 * KINDS; i++) {
		int kind = i % KINDS;
		pid_t pid;

		if (kind == RECORD)
			continue;
		pid = soon(kind);
		assert_ptr_equal(wait_for_one(tarn_deadline_after(LONG_NS)), handle_of(kind));
		if (consume(kind) < 0) /* a publisher came, and its message did not yet */
			assert_int_equal(wait_for_one(TARN_FOREVER) != NULL ? consume(kind) : -1,
					 0);
		ended_well(pid);
	}
}

/* The other side of a ring, in a process that dies with its role. */
static void a_death_is_told(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	tarn_ring_close(producer);
	producer = NULL;
	add_all();
	pid = fork();
	if (pid == 0) {
		const uint64_t value = 1;

		if (tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &ring_opts, &producer) < 0 ||
		    tarn_ring_push(producer, &value, sizeof(value)) < 0)
			_exit(1);
		pause_us(2000);
		raise(SIGKILL);
	}
	assert_ptr_equal(wait_for_one(TARN_FOREVER), consumer);
	assert_int_equal(consume(RECORD), 0);
	assert_ptr_equal(wait_for_one(TARN_FOREVER), consumer);
	assert_int_equal(consume(RECORD), -EPIPE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static bool is_readable(int fd, int ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, ms) == 1 && (poller.revents & POLLIN) != 0;
}

static void a_descriptor_tells_it_too(void **state)
{
	int fd, same;

	(void)state;
	add_all();
	assert_int_equal(tarn_waiter_fd(waiter, &fd), 0);
	assert_int_equal(tarn_waiter_fd(waiter, &same), 0);
	assert_int_equal(fd, same);
	assert_true(is_readable(fd, 0)); /* nobody has looked yet */
	for (int i = 0; i < 10 * KINDS; i++) {
		int kind = i % KINDS;

		assert_null(wait_for_one(0));
		assert_false(is_readable(fd, 0));
		assert_int_equal(happen(kind), 0);
		assert_true(is_readable(fd, 5000));
		assert_ptr_equal(wait_for_one(0), handle_of(kind));
		assert_true(is_readable(fd, 0)); /* until nothing was found */
		assert_int_equal(consume(kind), 0);
	}
	assert_null(wait_for_one(0));
	assert_int_equal(tarn_waiter_remove(waiter, automatic), 0);
	assert_true(is_readable(fd, 0)); /* somebody has to look at what is left */
	assert_null(wait_for_one(0));
	assert_int_equal(happen(GO), 0);
	assert_false(is_readable(fd, 30));
	assert_int_equal(tarn_waiter_add_event(waiter, automatic, NULL), 0);
	assert_true(is_readable(fd, 0));
	assert_ptr_equal(wait_for_one(0), automatic);
}

/* Behind the first look, and before the second. */
static int set_behind_the_barrier(enum tarn_plat_call call)
{
	if (call == TARN_PLAT_MEMBARRIER) {
		tarn__plat_fault = NULL;
		(void)tarn_event_set(manual);
	}
	return 0;
}

static void what_the_last_look_finds_is_told_too(void **state)
{
	int fd;

	(void)state;
	add_all();
	assert_int_equal(tarn_waiter_fd(waiter, &fd), 0);
	assert_null(wait_for_one(0));
	assert_false(is_readable(fd, 0));
	tarn__plat_fault = set_behind_the_barrier;
	assert_ptr_equal(wait_for_one(0), manual);
	assert_true(is_readable(fd, 0));
	assert_null(tarn__plat_fault);
}

static enum tarn_plat_call refused;

static int refuse(enum tarn_plat_call call)
{
	return call != refused ? 0 : call == TARN_PLAT_THREAD ? EAGAIN : EMFILE;
}

static int descriptors(void)
{
	int fd = dup(0), lowest = fd; /* the lowest that is free */

	close(fd);
	return lowest;
}

static void a_descriptor_that_cannot_be_had_leaves_it_as_it_was(void **state)
{
	int before, fd = -1;

	(void)state;
	add_all();
	before = descriptors();
	tarn__plat_fault = refuse;
	refused = TARN_PLAT_EVENTFD;
	assert_int_equal(tarn_waiter_fd(waiter, &fd), -EMFILE);
	refused = TARN_PLAT_THREAD;
	assert_int_equal(tarn_waiter_fd(waiter, &fd), -EAGAIN);
	assert_int_equal(fd, -1);
	assert_int_equal(descriptors(), before);
	refused = TARN_PLAT_FUTEX_WAITV; /* an older kernel */
	assert_null(wait_for_one(tarn_deadline_after(3000000)));
	assert_int_equal(happen(SET), 0);
	assert_ptr_equal(wait_for_one(TARN_FOREVER), manual);
	tarn__plat_fault = NULL;
	assert_int_equal(tarn_waiter_fd(waiter, &fd), 0);
	assert_true(is_readable(fd, 0));
}

/* A setter that was killed before it told anybody. */
static void a_descriptor_does_not_believe_for_ever_that_all_is_told(void **state)
{
	_Atomic uint32_t *word = &((struct prim *)manual)->sec.shm->state;
	int fd;

	(void)state;
	add_all();
	assert_int_equal(tarn_waiter_fd(waiter, &fd), 0);
	assert_null(wait_for_one(0));
	assert_false(is_readable(fd, 0));
	atomic_store_explicit(word, 3, memory_order_seq_cst); /* set, and counted */
	assert_true(is_readable(fd, 5000));
	assert_ptr_equal(wait_for_one(0), manual);
}

static void who_only_looks_does_not_say_that_it_sleeps(void **state)
{
	const struct section_shm *shm = ((struct prim *)manual)->sec.shm;

	(void)state;
	add_all();
	assert_null(wait_for_one(0)); /* relaxed: one thread */
	assert_int_equal(atomic_load_explicit(&shm->sleep, memory_order_relaxed) & 1, 0);
	assert_null(wait_for_one(tarn_deadline_after(30000000))); /* longer than it spins */
	assert_int_equal(atomic_load_explicit(&shm->sleep, memory_order_relaxed) & 1, 1);
}

/* Whoever has a guard survives that a file is truncated, and so does the descriptor's thread. */
static int truncate_below(void)
{
	const struct tarn_region_opts opts = { .size = 65536 };
	char path[64];
	struct tarn_region *other;
	struct tarn_event *event;
	size_t count;
	void *tag;
	int fd, r;

	snprintf(path, sizeof(path), "file:/tmp/tarn-waiter-%d", (int)getpid());
	if (tarn_segment_guard() < 0 || tarn_waiter_open(NULL, &waiter) < 0 ||
	    tarn_region_create(path, &opts, &other) < 0 ||
	    tarn_event_open(other, "event", &manual_opts, &event) < 0 ||
	    tarn_waiter_add_event(waiter, event, NULL) < 0 || tarn_waiter_fd(waiter, &fd) < 0)
		return 1;
	r = tarn_waiter_wait(waiter, 0, &tag, 1, &count);
	pause_us(3000); /* it sleeps */
	if (r != -ETIMEDOUT || truncate(path + 5, 0) < 0)
		return 2;
	pause_us(50000); /* some slices */
	r = tarn_waiter_wait(waiter, 0, &tag, 1, &count);
	unlink(path + 5);
	return r == -EIO ? 0 : 3;
}

static void a_truncated_file_ends_nobody(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(truncate_below());
	ended_well(pid);
}

/* Its memory, too, while the descriptor's thread sleeps. */
static void what_was_removed_may_go(void **state)
{
	struct tarn_region *other;
	struct tarn_event *event;
	int fd;

	(void)state;
	assert_int_equal(tarn_region_create("anon:", NULL, &other), 0);
	assert_int_equal(tarn_event_open(other, "event", &manual_opts, &event), 0);
	assert_int_equal(tarn_waiter_add_event(waiter, event, NULL), 0);
	assert_int_equal(tarn_waiter_add_event(waiter, manual, NULL), 0);
	assert_int_equal(tarn_waiter_fd(waiter, &fd), 0);
	assert_null(wait_for_one(0));
	assert_int_equal(tarn_waiter_remove(waiter, event), 0);
	tarn_event_close(event);
	tarn_region_close(other);
	pause_us(30000); /* some slices */
	assert_null(wait_for_one(0));
	assert_int_equal(happen(SET), 0);
	assert_true(is_readable(fd, 5000));
}

/* As an event loop does, and by other processes. */
static void a_loop_may_poll_it(void **state)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd, loop = epoll_create1(EPOLL_CLOEXEC);

	(void)state;
	add_all();
	assert_int_equal(tarn_waiter_fd(waiter, &fd), 0);
	assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0);
	for (int i = 0; i < 3 * KINDS; i++) {
		int kind = i % KINDS;
		bool taken = false;
		pid_t pid;

		if (kind == RECORD)
			continue;
		pid = soon(kind);
		while (!taken) {
			const void *tag;

			assert_int_equal(epoll_wait(loop, &event, 1, 5000), 1);
			tag = wait_for_one(0);
			assert_true(tag == NULL || tag == handle_of(kind));
			taken = tag != NULL && consume(kind) == 0;
		}
		ended_well(pid);
	}
	close(loop);
}

static void *interrupt_soon(void *arg)
{
	pause_us(2000);
	tarn_waiter_interrupt(arg);
	return NULL;
}

static void others_may_interrupt_it(void **state)
{
	pthread_t thread;
	size_t count;
	void *tag;
	int fd;

	(void)state;
	add_all();
	assert_int_equal(happen(SET), 0);
	tarn_waiter_interrupt(waiter);
	assert_int_equal(tarn_waiter_wait(waiter, 0, &tag, 1, &count), -EINTR);
	assert_int_equal(count, 0);
	assert_ptr_equal(wait_for_one(0), manual);
	assert_int_equal(consume(SET), 0);
	assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, waiter), 0);
	assert_int_equal(tarn_waiter_wait(waiter, TARN_FOREVER, &tag, 1, &count), -EINTR);
	pthread_join(thread, NULL);
	assert_int_equal(tarn_waiter_fd(waiter, &fd), 0);
	assert_null(wait_for_one(0));
	assert_false(is_readable(fd, 0));
	tarn_waiter_interrupt(waiter);
	assert_true(is_readable(fd, 5000));
	assert_int_equal(tarn_waiter_wait(waiter, 0, &tag, 1, &count), -EINTR);
}

static void a_child_may_only_close_it(void **state)
{
	pid_t pid;
	int fd;

	(void)state;
	add_all();
	assert_int_equal(tarn_waiter_fd(waiter, &fd), 0);
	assert_null(wait_for_one(0));
	pid = fork();
	if (pid == 0) {
		size_t count;
		void *tag;

		if (tarn_waiter_wait(waiter, 0, &tag, 1, &count) != -EBUSY ||
		    tarn_waiter_fd(waiter, &fd) != -EBUSY ||
		    tarn_waiter_add_event(waiter, manual, NULL) != -EBUSY)
			_exit(1);
		tarn_waiter_close(waiter);
		_exit(0);
	}
	ended_well(pid);
	assert_int_equal(happen(SET), 0);
	assert_true(is_readable(fd, 5000));
}

/* More than the kernel lets one sleep on. */
static void there_may_be_many(void **state)
{
	static struct tarn_event *events[MANY];
	char name[24];
	int fd;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "event%d", i);
		assert_int_equal(tarn_event_open(region, name, &manual_opts, &events[i]), 0);
		assert_int_equal(tarn_waiter_add_event(waiter, events[i], NULL), 0);
	}
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < MANY; i += 33) {
			assert_null(wait_for_one(tarn_deadline_after(100000)));
			assert_int_equal(tarn_event_set(events[i]), 0);
			if (pass == 1)
				assert_true(is_readable(fd, 5000));
			assert_ptr_equal(wait_for_one(TARN_FOREVER), events[i]);
			assert_int_equal(tarn_event_reset(events[i]), 0);
		}
		assert_int_equal(tarn_waiter_fd(waiter, &fd), 0);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(tarn_waiter_remove(waiter, events[i]), 0);
		tarn_event_close(events[i]);
	}
}

/* Its room is what a subscriber has taken, which only sleeps in a waiter. */
static int publish_large(void)
{
	char bytes[1900];

	memset(bytes, 1, sizeof(bytes));
	if (tarn_publisher_open(region, "large", &topic_opts, &publisher) < 0 ||
	    tarn_publisher_wait_subscribers(publisher, 1, tarn_deadline_after(LONG_NS)) < 0)
		return 1;
	for (int i = 0; i < 20; i++)
		if (tarn_publisher_publish_wait(publisher, bytes, sizeof(bytes), TARN_FOREVER) < 0)
			return 2;
	return 0;
}

static void who_waits_for_room_gets_it(void **state)
{
	struct tarn_subscriber *mine;
	struct tarn_message message;
	char bytes[2000];
	pid_t pid;

	(void)state;
	assert_int_equal(tarn_subscriber_open(region, "large", &topic_opts, &mine), 0);
	assert_int_equal(tarn_waiter_add_subscriber(waiter, mine, NULL), 0);
	pid = fork();
	if (pid == 0) {
		tarn_publisher_close(publisher);
		_exit(publish_large());
	}
	for (int taken = 0; taken < 20;) {
		assert_ptr_equal(wait_for_one(TARN_FOREVER), mine);
		/* one at a time: nobody is told -EAGAIN */
		taken += tarn_subscriber_take(mine, bytes, sizeof(bytes), &message) == 0;
	}
	ended_well(pid);
	assert_int_equal(tarn_waiter_remove(waiter, mine), 0);
	tarn_subscriber_close(mine);
}

static void producers_wait_for_a_quarter(void **state)
{
	uint64_t record = 1;
	size_t size;

	(void)state;
	assert_int_equal(tarn_waiter_add_ring(waiter, producer, NULL), 0);
	assert_ptr_equal(wait_for_one(0), producer);
	while (tarn_ring_push(producer, &record, sizeof(record)) == 0)
		;
	assert_null(wait_for_one(tarn_deadline_after(100000)));
	assert_int_equal(tarn_ring_pop(consumer, &record, sizeof(record), &size), 0);
	assert_null(wait_for_one(0));
	for (int i = 0; i < 4; i++)
		assert_int_equal(tarn_ring_pop(consumer, &record, sizeof(record), &size), 0);
	assert_ptr_equal(wait_for_one(TARN_FOREVER), producer);

	/* more than a quarter, which there was no room for: not before there is some */
	char large[100] = { 0 };

	while (tarn_ring_push(producer, large, 8) == 0)
		;
	assert_int_equal(tarn_ring_push(producer, large, sizeof(large)), -EAGAIN);
	for (int i = 0; i < 5; i++)
		assert_int_equal(tarn_ring_pop(consumer, large, sizeof(large), &size), 0);
	assert_null(wait_for_one(0));
	for (int i = 0; wait_for_one(0) == NULL; i++) {
		assert_in_range(i, 0, 20);
		assert_int_equal(tarn_ring_pop(consumer, large, sizeof(large), &size), 0);
	}
	assert_int_equal(tarn_ring_push(producer, large, sizeof(large)), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_sources, drop_sources)
	const struct CMUnitTest tests[] = {
		TEST(what_is_ready_is_told_until_it_is_not),
		TEST(all_get_their_turn),
		TEST(bad_calls_are_refused),
		TEST(who_sleeps_is_woken_by_any),
		TEST(a_death_is_told),
		TEST(a_descriptor_tells_it_too),
		TEST(what_the_last_look_finds_is_told_too),
		TEST(a_descriptor_that_cannot_be_had_leaves_it_as_it_was),
		TEST(a_descriptor_does_not_believe_for_ever_that_all_is_told),
		TEST(who_only_looks_does_not_say_that_it_sleeps),
		TEST(a_truncated_file_ends_nobody),
		TEST(what_was_removed_may_go),
		TEST(a_loop_may_poll_it),
		TEST(others_may_interrupt_it),
		TEST(a_child_may_only_close_it),
		TEST(there_may_be_many),
		TEST(who_waits_for_room_gets_it),
		TEST(producers_wait_for_a_quarter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
