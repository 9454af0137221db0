/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ring, at its edges: waits whose deadline is past, or that a peer would make last for ever (each
 * runs in a child, which SIGALRM ends if it does), and the words that go with errors.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "flow/ring.h"
#include "child.h"

static struct tarn_region *region;
static struct tarn_ring *producer, *consumer;
static const struct tarn_ring_opts small = { .capacity = 256 };

static int make_region(void **state)
{
	(void)state;
	producer = consumer = NULL;
	return tarn_region_create("anon:", NULL, &region);
}

static int drop_region(void **state)
{
	(void)state;
	tarn_ring_close(producer);
	tarn_ring_close(consumer);
	tarn_region_close(region);
	return 0;
}

static int join_and_die(void)
{
	struct tarn_region_stat stat;

	if (tarn_region_stat(region, &stat) != 0)
		return 1;
	raise(SIGKILL);
	return 2;
}

static int find_dead(const struct tarn_member_stat *stat, void *arg)
{
	if (!stat->alive)
		*(uint32_t *)arg = tarn__id_of(stat->slot, stat->generation);
	return 0;
}

/* The peer says "nobody sleeps", whenever it can. */
static int unsleep(enum tarn_plat_call call)
{
	if (call == TARN_PLAT_LOCK_GET)
		atomic_store_explicit(&consumer->mine->waiting, 0, memory_order_relaxed);
	return 0;
}

static int wait_under_fire(void)
{
	uint32_t dead = 0;

	if (in_child(join_and_die) != 1000 + SIGKILL ||
	    tarn_region_members(region, find_dead, &dead) != 0 || dead == 0)
		return 3;
	if (tarn_ring_open(region, "r", TARN_RING_CONSUMER, &small, &consumer) != 0)
		return 1;
	/* to see that a member is dead takes a call: time enough for the peer */
	atomic_store_explicit(&consumer->theirs->owner, dead, memory_order_relaxed);
	tarn__plat_fault = unsleep;
	return tarn_ring_wait_peer(consumer, tarn_deadline_after(20000000)) == -ETIMEDOUT ? 0 : 2;
}

static void a_scribbled_sleep_mark_does_not_outlast_the_deadline(void **state)
{
	(void)state;
	assert_int_equal(in_child(wait_under_fire), 0);
}

static int pop_once(void)
{
	char record[56] = { 0 };
	size_t size;

	if (tarn_ring_open(region, "r", TARN_RING_CONSUMER, &small, &consumer) != 0)
		return 1;
	if (tarn_ring_pop_wait(consumer, record, sizeof(record), 0, &size) != -ETIMEDOUT)
		return 2;
	return tarn_ring_pop_wait(consumer, record, sizeof(record), INT64_MIN, &size) == -ETIMEDOUT
		       ? 0
		       : 3;
}

static void a_past_deadline_tries_once(void **state)
{
	(void)state;
	assert_int_equal(in_child(pop_once), 0);
}

static void words_are_for_failures_alone(void **state)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_ring_opts opts = { .capacity = 256, .diag = &diag };
	struct tarn_ring *second = NULL;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, &opts, &producer), 0);
	assert_string_equal(diag.what, "");
	/* a header whose own numbers contradict each other, with a checksum that fits */
	producer->shm->record_max -= 8;
	producer->shm->check = tarn__ring_header_check(producer->shm);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, &opts, &second), -EUCLEAN);
	assert_string_not_equal(diag.what, "");
	assert_null(second);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_region, drop_region)
	const struct CMUnitTest tests[] = {
		TEST(a_scribbled_sleep_mark_does_not_outlast_the_deadline),
		TEST(a_past_deadline_tries_once),
		TEST(words_are_for_failures_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
