/* SPDX-License-Identifier: BSD-2-Clause */
/* A waiter's descriptor: readable when something may be ready, and until nothing is. In both forms:
 * the kernel sleeps in the waiter's place, or a thread does. */
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "flow/waiter.h"
#include "waiter.h"

enum { NET_NS = 100000000, MANY = 200 };

static bool by_thread; /* who sleeps */

static int make_asleep(void **state)
{
	by_thread = false;
	return make_sources(state);
}

static int make_threaded(void **state)
{
	by_thread = true;
	return make_sources(state);
}

static int no_ring(enum tarn_plat_call call)
{
	return call == TARN_PLAT_URING ? ENOSYS : 0;
}

static int make_fd(int *ret_fd)
{
	int r;

	tarn__plat_fault = by_thread ? no_ring : NULL;
	r = tarn_waiter_fd(waiter, ret_fd);
	tarn__plat_fault = NULL;
	return r;
}

/* The descriptor, in the form that is tried. */
static int descriptor(void)
{
	int fd = -1;

	assert_int_equal(make_fd(&fd), 0);
	if (waiter->fd.threaded != by_thread) {
		print_message("# skip: no io_uring here, or one without FUTEX_WAITV\n");
		skip();
	}
	return fd;
}

static bool is_readable(int fd, int ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, ms) == 1 && (poller.revents & POLLIN) != 0;
}

static void a_descriptor_tells_it_too(void **state)
{
	int fd, same, soon[KINDS] = { 0 };

	(void)state;
	add_all();
	fd = descriptor();
	assert_int_equal(tarn_waiter_fd(waiter, &same), 0);
	assert_int_equal(fd, same);
	assert_true(is_readable(fd, 0)); /* nobody has looked yet */
	for (int i = 0; i < 10 * KINDS; i++) {
		int kind = i % KINDS;
		int64_t from;

		assert_null(wait_for_one(0));
		assert_false(is_readable(fd, 0));
		from = tarn_now();
		assert_int_equal(happen(kind), 0);
		assert_true(is_readable(fd, 5000));
		soon[kind] += tarn_now() - from < NET_NS / 2;
		assert_ptr_equal(wait_for_one(0), handle_of(kind));
		assert_true(is_readable(fd, 0)); /* until nothing was found */
		assert_int_equal(consume(kind), 0);
	}
	for (int kind = 0; kind < KINDS; kind++) /* of ten: not all by the net */
		assert_true(soon[kind] > 0);
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
	fd = descriptor();
	assert_null(wait_for_one(0));
	assert_false(is_readable(fd, 0));
	tarn__plat_fault = set_behind_the_barrier;
	assert_ptr_equal(wait_for_one(0), manual);
	assert_true(is_readable(fd, 0));
	assert_null(tarn__plat_fault);
}

static enum tarn_plat_call refused;

/* No io_uring either. */
static int refuse(enum tarn_plat_call call)
{
	return call == TARN_PLAT_URING    ? EPERM
	       : call != refused          ? 0
	       : call == TARN_PLAT_THREAD ? EAGAIN
					  : EMFILE;
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

/* What was closed may tell of it some time later. */
static bool becomes_quiet(int fd)
{
	for (int i = 0; i < 1000; i++) {
		assert_null(wait_for_one(0));
		if (!is_readable(fd, 2))
			return true;
	}
	return false;
}

/* Where the kernel does not go on, a thread does; where there is none, its owner looks at once. */
static int no_more_rings(enum tarn_plat_call call)
{
	return call == TARN_PLAT_URING || call == TARN_PLAT_URING_ENTER ? ENOMEM
	       : call == TARN_PLAT_THREAD && refused == call            ? EAGAIN
									: 0;
}

static void a_descriptor_goes_on_whatever_is_refused_later(void **state)
{
	int fd, before;

	(void)state;
	add_all();
	before = descriptors();
	fd = descriptor();
	assert_null(wait_for_one(0));
	assert_false(is_readable(fd, 0));
	tarn__plat_fault = no_more_rings;
	refused = TARN_PLAT_THREAD;
	assert_null(wait_for_one(0)); /* nobody can sleep */
	assert_true(is_readable(fd, 0));
	tarn__plat_fault = NULL;
	assert_true(becomes_quiet(fd));
	assert_false(waiter->fd.threaded);
	tarn__plat_fault = no_more_rings;
	refused = TARN_PLAT_EVENTFD;
	assert_null(wait_for_one(0));
	tarn__plat_fault = NULL;
	assert_true(waiter->fd.threaded);
	assert_true(becomes_quiet(fd));
	assert_int_equal(happen(SET), 0);
	assert_true(is_readable(fd, 5000));
	tarn_waiter_close(waiter);
	waiter = NULL;
	assert_int_equal(descriptors(), before);
}

static int rings_mapped(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		count += strstr(line, "[io_uring]") != NULL;
	if (maps != NULL)
		fclose(maps);
	return count;
}

static void nothing_is_left_of_it(void **state)
{
	int before;

	(void)state;
	add_all();
	before = descriptors();
	(void)descriptor();
	assert_null(wait_for_one(0));
	tarn_waiter_close(waiter);
	waiter = NULL;
	assert_int_equal(descriptors(), before);
	assert_int_equal(rings_mapped(), 0);
}

/* Who has been told keeps no place in anybody's queue, so that others are woken. */
static void who_was_told_sleeps_on_nothing(void **state)
{
	_Atomic uint32_t *bell = &((struct prim *)automatic)->sec.shm->bell;
	int fd;

	(void)state;
	add_all();
	fd = descriptor();
	assert_null(wait_for_one(0));
	assert_int_equal(happen(SET), 0);
	assert_true(is_readable(fd, 5000));
	for (int i = 0; i < 2; i++)
		assert_ptr_equal(wait_for_one(0), manual);
	for (int i = 0; by_thread && atomic_load(&waiter->fd.phase) != PHASE_IDLE && i < 5000; i++)
		pause_us(1000);
	assert_int_equal(tarn__plat_futex_wake(bell, 1), 0);
}

static void *look_once(void *arg)
{
	void *tag;
	size_t count;

	return tarn_waiter_wait(waiter, 0, &tag, 1, &count) == -ETIMEDOUT ? arg : NULL;
}

static void in_a_thread(void *(*run)(void *arg), void *arg)
{
	void *result = NULL;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
	pthread_join(thread, &result);
	assert_ptr_equal(result, arg);
}

/* From one thread to another, of which the first has ended. */
static void it_may_be_handed_over(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(tarn_waiter_add_event(waiter, manual, NULL), 0);
	fd = descriptor();
	for (int i = 0; i < 3; i++) {
		in_a_thread(look_once, waiter);
		assert_int_equal(happen(SET), 0);
		assert_true(is_readable(fd, 5000));
		assert_ptr_equal(wait_for_one(0), manual);
		assert_int_equal(consume(SET), 0);
		assert_true(becomes_quiet(fd));
		assert_int_equal(happen(SET), 0);
		assert_true(is_readable(fd, 5000));
		assert_int_equal(consume(SET), 0);
		assert_int_equal(waiter->fd.threaded, by_thread);
	}
}

static void *poll_elsewhere(void *arg)
{
	return is_readable(waiter->fd.fd, 5000) ? arg : NULL;
}

/* While its owner sleeps on something else. */
static void another_thread_may_poll_it(void **state)
{
	int soon = 0;

	(void)state;
	add_all();
	(void)descriptor();
	for (int i = 0; i < 10; i++) {
		int64_t from;
		pid_t pid;

		assert_null(wait_for_one(0));
		from = tarn_now();
		pid = fork();
		if (pid == 0) {
			pause_us(1000);
			_exit(happen(SET));
		}
		in_a_thread(poll_elsewhere, waiter);
		soon += tarn_now() - from < NET_NS / 2;
		ended_well(pid);
		assert_ptr_equal(wait_for_one(0), manual);
		assert_int_equal(consume(SET), 0);
	}
	assert_true(soon > 0);
}

/* A setter that was killed before it told anybody. */
static void a_descriptor_does_not_believe_for_ever_that_all_is_told(void **state)
{
	_Atomic uint32_t *word = &((struct prim *)manual)->sec.shm->state;
	int fd;

	(void)state;
	add_all();
	fd = descriptor();
	assert_null(wait_for_one(0));
	assert_false(is_readable(fd, 0));
	atomic_store_explicit(word, 3, memory_order_seq_cst); /* set, and counted */
	assert_true(is_readable(fd, 5000));
	assert_ptr_equal(wait_for_one(0), manual);
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
	    tarn_waiter_add_event(waiter, event, NULL) < 0 || make_fd(&fd) < 0)
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

/* Though nobody has told. */
static void what_is_found_by_looking_makes_it_readable(void **state)
{
	_Atomic uint32_t *word = &((struct prim *)manual)->sec.shm->state;
	int fd;

	(void)state;
	add_all();
	fd = descriptor();
	assert_null(wait_for_one(0));
	atomic_store_explicit(word, 3, memory_order_seq_cst);
	assert_ptr_equal(wait_for_one(0), manual);
	assert_true(is_readable(fd, 0));
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
	fd = descriptor();
	assert_null(wait_for_one(0));
	assert_int_equal(tarn_waiter_remove(waiter, event), 0);
	tarn_event_close(event);
	tarn_region_close(other);
	pause_us(30000); /* some slices */
	assert_null(wait_for_one(0));
	assert_int_equal(happen(SET), 0);
	assert_true(is_readable(fd, 5000));
}

/* As an event loop does, and by other processes. A ring that was closed before may end the sleep
 * of its thread once (-EINTR), one that is used never does. */
static void a_loop_may_poll_it(void **state)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd, ended = 0, loop = epoll_create1(EPOLL_CLOEXEC);

	(void)state;
	add_all();
	fd = descriptor();
	assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event), 0);
	for (int i = 0; i < 3 * KINDS; i++) {
		int kind = i % KINDS;
		bool taken = false;
		pid_t pid;

		if (kind == RECORD)
			continue;
		pid = soon(kind);
		while (!taken) {
			int r = epoll_wait(loop, &event, 1, 5000);
			const void *tag;

			ended += r < 0 && errno == EINTR;
			assert_true(r == 1 || (r < 0 && errno == EINTR));
			tag = wait_for_one(0);
			assert_true(tag == NULL || tag == handle_of(kind));
			taken = tag != NULL && consume(kind) == 0;
		}
		ended_well(pid);
	}
	assert_in_range(ended, 0, KINDS);
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
	fd = descriptor();
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
	fd = descriptor();
	assert_null(wait_for_one(0));
	pid = fork();
	if (pid == 0) {
		size_t count;
		void *tag;

		if (tarn_waiter_wait(waiter, 0, &tag, 1, &count) != -EBUSY ||
		    tarn_waiter_fd(waiter, &fd) != -EBUSY ||
		    tarn_waiter_add_event(waiter, manual, NULL) != -EBUSY)
			_exit(1);
		if (rings_mapped() != 0)
			_exit(2);
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
	int fd = -1;

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
		fd = descriptor();
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(tarn_waiter_remove(waiter, events[i]), 0);
		tarn_event_close(events[i]);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_asleep, drop_sources)
#define BOTH(f)                                                                                    \
	TEST(f),                                                                                   \
	{                                                                                          \
#f "_by_a_thread", f, make_threaded, drop_sources, NULL                            \
	}
	const struct CMUnitTest tests[] = {
		BOTH(a_descriptor_tells_it_too),
		BOTH(what_the_last_look_finds_is_told_too),
		TEST(a_descriptor_that_cannot_be_had_leaves_it_as_it_was),
		TEST(a_descriptor_goes_on_whatever_is_refused_later),
		BOTH(nothing_is_left_of_it),
		BOTH(who_was_told_sleeps_on_nothing),
		BOTH(it_may_be_handed_over),
		BOTH(another_thread_may_poll_it),
		BOTH(a_descriptor_does_not_believe_for_ever_that_all_is_told),
		BOTH(a_truncated_file_ends_nobody),
		BOTH(what_is_found_by_looking_makes_it_readable),
		BOTH(what_was_removed_may_go),
		BOTH(a_loop_may_poll_it),
		BOTH(others_may_interrupt_it),
		BOTH(a_child_may_only_close_it),
		BOTH(there_may_be_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
