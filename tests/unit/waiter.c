/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiter: what is ready is told until it is not; who sleeps is woken by any of it. */
#include "waiter.h"

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
		TEST(who_only_looks_does_not_say_that_it_sleeps),
		TEST(who_waits_for_room_gets_it),
		TEST(producers_wait_for_a_quarter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
