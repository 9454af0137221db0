/* SPDX-License-Identifier: BSD-2-Clause */
/* A trace: the contract of trace.h line by line; who dies, forks, laps, removes it; damage. */
#include <stdio.h>
#include <stdlib.h>

#include <tarn/mutex.h>
#include <tarn/section.h>
#include <tarn/set.h>
#include <tarn/topic.h>
#include <tarn/trace.h>

#include "region/trace.h" /* before a region by that name */

#include "prim.h"

enum { ROOM = 8192 };

static struct tarn_trace_event seen[ROOM];
static uint32_t seen_count;

static int keep(const struct tarn_trace_event *event, void *arg)
{
	(void)arg;
	assert_true(seen_count < ROOM);
	seen[seen_count++] = *event;
	return 0;
}

/* All of it, by a new reader that takes nothing away. */
static uint32_t read_all(void)
{
	struct tarn_trace *trace = NULL;

	seen_count = 0;
	assert_int_equal(tarn_trace_open(region, &trace, NULL), 0);
	assert_int_equal(tarn_trace_read(trace, keep, NULL), 0);
	tarn_trace_close(trace);
	return seen_count;
}

static const struct tarn_trace_event *find(uint32_t kind, const char *object)
{
	for (uint32_t i = seen_count; i > 0; i--)
		if (seen[i - 1].kind == kind &&
		    (object == NULL || strcmp(seen[i - 1].object, object) == 0))
			return &seen[i - 1];
	return NULL;
}

static uint32_t count_kind(uint32_t kind)
{
	uint32_t count = 0;

	(void)read_all();
	for (uint32_t i = 0; i < seen_count; i++)
		count += seen[i].kind == kind;
	return count;
}

static int make_traced(void **state)
{
	return make_region(state) < 0 || tarn_trace_on(region, NULL) < 0 ? -1 : 0;
}

static struct trace_shm *bytes(void)
{
	struct tarn__object object;

	assert_int_equal(tarn__region_enter(region), 0);
	assert_int_equal(
		tarn__object_find(region, TARN_TRACE_OBJECT, TARN_OBJECT_TRACE, &object, NULL), 0);
	tarn__object_drop(region, &object);
	tarn__region_leave(region);
	return (struct trace_shm *)(void *)object.base;
}

/* --- on and off ---------------------------------------------------------------------------- */

static void off_nothing_is_there(void **state)
{
	struct tarn_trace *trace = (struct tarn_trace *)1;
	struct tarn_diag diag = { .what = "" };

	(void)state;
	assert_int_equal(tarn_trace_note(region, 1, 2, 3, "four"), 0);
	assert_int_equal(tarn_trace_open(region, &trace, &diag), -ENOENT);
	assert_ptr_equal(trace, (struct tarn_trace *)1);
	assert_non_null(strstr(diag.hint, "tarn trace --on"));
	assert_int_equal(tarn_trace_off(region), 0);
}

static void notes_are_read_as_written(void **state)
{
	const struct tarn_trace_event *note;
	int64_t before = tarn_now();

	(void)state;
	assert_int_equal(
		tarn_trace_note(region, TARN_TRACE_CODE_MAX, UINT64_MAX, 3, "0123456789abcdefgh"),
		0);
	assert_int_equal(tarn_trace_note(region, TARN_TRACE_CODE_MAX + 1, 0, 0, NULL), -EINVAL);
	assert_int_equal(tarn_trace_note(region, 7, 0, 0, NULL), 0);
	assert_int_equal(read_all(), 4); /* who it is, ON, and two */
	assert_int_equal(seen[0].kind, TARN_TRACE_JOIN);
	assert_true(seen[0].a == (uint64_t)getpid() && seen[0].b == 1);
	assert_string_equal(seen[0].text, "unit-trace");
	assert_int_equal(seen[1].kind, TARN_TRACE_ON);
	assert_string_equal(seen[1].object, TARN_TRACE_OBJECT);
	note = &seen[2];
	assert_int_equal(note->kind, TARN_TRACE_NOTE);
	assert_int_equal(note->code, TARN_TRACE_CODE_MAX);
	assert_true(note->a == UINT64_MAX && note->b == 3);
	assert_string_equal(note->text, "0123456789abcdef");
	assert_true(note->time_ns >= before && note->time_ns <= tarn_now());
	assert_true(llabs(note->wall_ns - tarn__plat_realtime()) < INT64_C(60000000000));
	assert_int_equal(note->tid, tarn__plat_tid());
	assert_int_equal(note->slot, tarn__id_slot(region->id));
	assert_int_equal(note->generation, tarn__id_generation(region->id));
	assert_int_equal(seen[3].code, 7);
	assert_string_equal(seen[3].text, "");
}

static void off_nothing_is_logged_and_what_there_was_stays(void **state)
{
	struct tarn_trace_stat stat;
	struct tarn_trace *trace = NULL;

	(void)state;
	(void)tarn_trace_note(region, 1, 0, 0, NULL);
	assert_int_equal(tarn_trace_off(region), 0);
	(void)tarn_trace_note(region, 2, 0, 0, NULL);
	assert_int_equal(read_all(), 4);
	assert_int_equal(seen[3].kind, TARN_TRACE_OFF);
	assert_int_equal(tarn_trace_open(region, &trace, NULL), 0);
	assert_int_equal(tarn_trace_stat(trace, &stat), 0);
	assert_true(!stat.on && stat.events == 128 && stat.rings == 16 && stat.written == 4 &&
		    stat.kept == 4 && stat.size == 128 + 16 * (64 + 128 * 64));
	assert_int_equal(tarn_trace_on(region, NULL), 0);
	assert_int_equal(tarn_trace_stat(trace, &stat), 0);
	assert_true(stat.on && stat.written == 5);
	tarn_trace_close(trace);
}

static void other_numbers_are_refused(void **state)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_trace_opts opts = { .events = 256, .diag = &diag };

	(void)state;
	assert_int_equal(tarn_trace_on(region, &opts), -EEXIST);
	assert_non_null(strstr(diag.what, "16 rings of 128 events"));
	opts = (struct tarn_trace_opts){ .events = 100, .diag = &diag };
	assert_int_equal(tarn_trace_on(region, &opts), -EINVAL);
	assert_non_null(strstr(diag.what, "16 rings of 100 events"));
	opts = (struct tarn_trace_opts){ .rings = 1001 };
	assert_int_equal(tarn_trace_on(region, &opts), -EINVAL);
	opts = (struct tarn_trace_opts){ .reserved = { 0, 0, 0, 1 } };
	assert_int_equal(tarn_trace_on(region, &opts), -EINVAL);
	opts = (struct tarn_trace_opts){ .events = 128, .rings = 16 };
	assert_int_equal(tarn_trace_on(region, &opts), 0);
}

static void removed_it_is_off_and_may_be_made_anew(void **state)
{
	const struct tarn_trace_opts opts = { .events = 8, .rings = 1 };
	struct tarn_trace *trace = NULL;

	(void)state;
	assert_int_equal(tarn_trace_open(region, &trace, NULL), 0);
	assert_int_equal(tarn_object_remove(region, TARN_TRACE_OBJECT), 0);
	assert_int_equal(atomic_load(&region->super->trace), 0);
	assert_int_equal(tarn_trace_note(region, 1, 0, 0, NULL), 0);
	assert_int_equal(tarn_trace_read(trace, keep, NULL), -ENOENT);
	tarn_trace_close(trace);
	assert_int_equal(tarn_trace_on(region, &opts), 0);
	for (uint64_t n = 0; n < 20; n++)
		(void)tarn_trace_note(region, 1, n, 0, NULL);
	assert_int_equal(read_all(), 8);
	for (uint64_t n = 0; n < 8; n++)
		assert_true(seen[n].a == 12 + n);
	/* What this handle wrote to is kept until it is closed, and no more of them than it may. */
	for (int i = 0; i < 2 * TRACE_AT_MAX; i++) {
		assert_int_equal(tarn_object_remove(region, TARN_TRACE_OBJECT), 0);
		assert_int_equal(tarn_trace_on(region, &opts), 0);
	}
	assert_true(region->trace_count <= TRACE_AT_MAX);
}

/* --- readers ------------------------------------------------------------------------------- */

static void a_reader_shows_each_event_once(void **state)
{
	struct tarn_trace *trace = NULL;
	struct tarn_trace_stat stat;

	(void)state;
	assert_int_equal(tarn_trace_open(region, &trace, NULL), 0);
	seen_count = 0;
	for (uint64_t n = 0; n < 1000; n++) {
		(void)tarn_trace_note(region, 1, n, 0, NULL);
		assert_int_equal(tarn_trace_read(trace, keep, NULL), 0);
	}
	for (uint32_t i = 0, n = 0; i < seen_count; i++)
		if (seen[i].kind == TARN_TRACE_NOTE)
			assert_true(seen[i].a == n++);
	seen_count = 0;
	for (uint64_t n = 0; n < 500; n++)
		(void)tarn_trace_note(region, 2, n, 0, NULL);
	assert_int_equal(tarn_trace_read(trace, keep, NULL), 0);
	assert_int_equal(seen_count, 128);
	assert_true(seen[0].a == 372 && seen[127].a == 499);
	assert_int_equal(tarn_trace_stat(trace, &stat), 0);
	assert_true(stat.lapped == 372);
	tarn_trace_close(trace);
}

static void *note_a_lot(void *arg)
{
	for (uint64_t n = 0; n < 20000; n++)
		(void)tarn_trace_note(region, (uint32_t)(uintptr_t)arg, n, ~n, "whole");
	return NULL;
}

static int check_whole(const struct tarn_trace_event *event, void *arg)
{
	(void)arg;
	if (event->kind == TARN_TRACE_NOTE) {
		assert_true(event->a == ~event->b);
		assert_string_equal(event->text, "whole");
	}
	return 0;
}

/* Two threads that lap each other and a reader, in a ring of eight. */
static void what_is_shown_is_whole(void **state)
{
	const struct tarn_trace_opts opts = { .events = 8, .rings = 1 };
	struct tarn_trace *trace = NULL;
	pthread_t threads[2];

	(void)state;
	assert_int_equal(tarn_object_remove(region, TARN_TRACE_OBJECT), 0);
	assert_int_equal(tarn_trace_on(region, &opts), 0);
	assert_int_equal(tarn_trace_open(region, &trace, NULL), 0);
	for (uintptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, note_a_lot, (void *)i), 0);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(tarn_trace_read(trace, check_whole, NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	tarn_trace_close(trace);
}

/* --- what is logged ------------------------------------------------------------------------ */

static void objects_come_and_go(void **state)
{
	void *data;

	(void)state;
	assert_int_equal(tarn_object_create(region, "frames", 4096, &data, NULL), 0);
	tarn_object_close(region, data);
	assert_int_equal(tarn_object_open(region, "frames", &data, NULL), 0);
	(void)read_all();
	assert_true(find(TARN_TRACE_CREATE, "frames")->a == 4096);
	assert_true(find(TARN_TRACE_CREATE, "frames")->b == TARN_OBJECT_BYTES);
	assert_non_null(find(TARN_TRACE_OPEN, "frames"));
	assert_non_null(find(TARN_TRACE_CLOSE, "frames"));
	tarn_object_close(region, data);
	assert_int_equal(tarn_object_remove(region, "frames"), 0);
	(void)read_all();
	assert_null(find(TARN_TRACE_CREATE, "frames")); /* its entry is no more */
	assert_string_equal(find(TARN_TRACE_REMOVE, NULL)->text, "frames");
}

static int note_and_die(void *arg)
{
	(void)arg;
	return tarn_trace_note(region, 5, 0, 0, "last words");
}

static void a_child_joins_and_its_death_is_told(void **state)
{
	const struct tarn_trace_event *event;
	pid_t child = start(note_and_die, NULL);
	uint32_t slot, generation;

	(void)state;
	await_death(child);
	(void)read_all();
	event = find(TARN_TRACE_JOIN, NULL);
	assert_true(event->a == (uint64_t)child);
	assert_string_equal(event->text, "unit-trace");
	assert_string_equal(find(TARN_TRACE_NOTE, NULL)->text, "last words");
	slot = event->slot;
	assert_int_equal(tarn_region_gc(region, NULL), 0);
	(void)read_all();
	event = find(TARN_TRACE_DEATH, NULL);
	tarn_trace_member(event->a, &slot, &generation);
	assert_int_equal(slot, find(TARN_TRACE_JOIN, NULL)->slot);
	assert_int_equal(generation, find(TARN_TRACE_JOIN, NULL)->generation);
	assert_true(event->b == (uint64_t)child);
	assert_string_equal(event->text, "unit-trace");
}

static int die_inside(void *arg)
{
	struct tarn_section *section = NULL;
	struct tarn_tx *tx;

	(void)arg;
	if (tarn_section_open(region, "lock", NULL, &section) < 0 ||
	    tarn_section_enter(section, TARN_FOREVER, &tx, NULL) < 0)
		return -1;
	return tarn_tx_set32(tx, (uint32_t *)(void *)&flags[1], 7);
}

static void a_rollback_is_told(void **state)
{
	const struct tarn_section_opts opts = { .journal_size = 4096 };
	struct tarn_section *section = NULL;
	struct tarn_tx *tx = NULL;
	uint32_t slot, generation;

	(void)state;
	assert_int_equal(tarn_section_open(region, "lock", &opts, &section), 0);
	run_dead(die_inside, NULL);
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	assert_int_equal(tarn_section_abort(section), 0);
	tarn_section_close(section);
	(void)read_all();
	assert_non_null(find(TARN_TRACE_ROLLBACK, "lock"));
	assert_true(find(TARN_TRACE_ROLLBACK, "lock")->b >= 1);
	tarn_trace_member(find(TARN_TRACE_OWNER_DEAD, "lock")->a, &slot, &generation);
	assert_int_equal(slot, find(TARN_TRACE_JOIN, NULL)->slot);
}

static int hold_it(void *arg)
{
	struct tarn_mutex *mutex = NULL;

	(void)arg;
	if (tarn_mutex_open(region, "door", NULL, &mutex) < 0 ||
	    tarn_mutex_lock(mutex, TARN_FOREVER, NULL) < 0)
		return -1;
	atomic_store(&flags[0], 1);
	await_flag(2);
	tarn_mutex_unlock(mutex);
	atomic_store(&flags[3], 1);
	await_flag(4);
	return 0;
}

static void waits_are_told_with_whom(void **state)
{
	const struct tarn_mutex_opts opts = { .type = 0 };
	const struct tarn_trace_event *event;
	struct tarn_mutex *mutex = NULL;
	uint32_t slot, generation;
	pid_t child;

	(void)state;
	assert_int_equal(tarn_mutex_open(region, "door", &opts, &mutex), 0);
	child = start(hold_it, NULL);
	await_flag(0);
	assert_int_equal(tarn_mutex_lock(mutex, tarn_deadline_after(SOON_NS), NULL), -ETIMEDOUT);
	(void)read_all();
	event = find(TARN_TRACE_WAIT, "door");
	tarn_trace_member(event->a, &slot, &generation);
	assert_int_equal(slot, find(TARN_TRACE_JOIN, NULL)->slot);
	assert_non_null(find(TARN_TRACE_TIMEOUT, "door"));
	assert_null(find(TARN_TRACE_GOT, "door"));
	atomic_store(&flags[2], 1);
	await_flag(3);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), 0);
	tarn_mutex_unlock(mutex);
	assert_int_equal(count_kind(TARN_TRACE_WAIT), 1); /* it was free */
	atomic_store(&flags[4], 1);
	await_death(child);
	tarn_mutex_close(mutex);
}

static void who_publishes_and_misses_is_told(void **state)
{
	const struct tarn_topic_opts lossy = { .flags = TARN_TOPIC_LOSSY, .lane_size = 4096 };
	const struct tarn_topic_opts small = { .lane_size = 4096 };
	struct tarn_publisher *publisher = NULL;
	struct tarn_subscriber *subscriber = NULL;
	struct tarn_message message;
	uint32_t before;
	char buf[64];

	(void)state;
	assert_int_equal(tarn_publisher_open(region, "news", &small, &publisher), 0);
	assert_int_equal(tarn_subscriber_open(region, "news", &lossy, &subscriber), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(tarn_publisher_publish(publisher, "12345678", 8), 0);
	(void)read_all();
	before = seen_count;
	while (tarn_subscriber_take(subscriber, buf, sizeof(buf), &message) == 0)
		;
	tarn_subscriber_close(subscriber);
	tarn_publisher_close(publisher);
	(void)read_all();
	assert_true(seen_count < before + 10); /* nothing of a message */
	assert_true(find(TARN_TRACE_COME, "news")->a == TARN_TRACE_SUBSCRIBER);
	assert_true(find(TARN_TRACE_GO, "news")->a == TARN_TRACE_PUBLISHER);
	assert_true(find(TARN_TRACE_MISSED, "news")->b > 100);
}

/* --- others -------------------------------------------------------------------------------- */

static void who_looks_on_reads_and_switches_nothing(void **state)
{
	struct tarn_region *look = NULL;
	const struct tarn_region_opts opts = { .flags = TARN_REGION_OBSERVE };
	struct tarn_trace *trace = NULL;
	int fd = tarn_segment_fd(tarn_region_segment(region));

	(void)state;
	assert_int_equal(tarn_region_open_fd(fd, &opts, &look), 0);
	assert_int_equal(tarn_trace_on(look, NULL), -EPERM);
	assert_int_equal(tarn_trace_off(look), -EPERM);
	assert_int_equal(tarn_trace_note(look, 1, 0, 0, NULL), -EPERM);
	assert_int_equal(tarn_trace_open(look, &trace, NULL), 0);
	seen_count = 0;
	assert_int_equal(tarn_trace_read(trace, keep, NULL), 0);
	assert_int_equal(seen_count, 2);
	tarn_trace_close(trace);
	tarn_region_close(look);
}

static int findings;

static void count_finding(const struct tarn_finding *finding, void *arg)
{
	const char *field = arg;

	findings += strcmp(finding->field, field) == 0;
}

static int check_for(const char *field)
{
	findings = 0;
	(void)!tarn_region_check(region, count_finding, (void *)(uintptr_t)field);
	return findings;
}

static void damage_is_told_and_led_nobody_astray(void **state)
{
	struct trace_shm *shm = bytes(), was = *shm;
	struct tarn_trace *trace = NULL;
	uint32_t word = atomic_load(&region->super->trace);

	(void)state;
	shm->events = 1u << 20;
	assert_int_equal(check_for("check"), 1);
	assert_int_equal(tarn_trace_open(region, &trace, NULL), -EUCLEAN);
	shm->check = tarn__fnv32(shm, 16, TARN__FNV32_BASIS);
	assert_int_equal(check_for("events"), 1);
	assert_int_equal(tarn_trace_open(region, &trace, NULL), -EUCLEAN);
	assert_int_equal(tarn_trace_on(region, NULL), -EUCLEAN);
	shm->version = 2;
	shm->check = tarn__fnv32(shm, 16, TARN__FNV32_BASIS);
	assert_int_equal(tarn_trace_open(region, &trace, NULL), -EPROTO);
	memcpy(shm, &was, offsetof(struct trace_shm, pad0));
	for (uint32_t i = 1; i < 4000; i++) { /* whatever the word says */
		atomic_store(&region->super->trace, i != word ? i * 2654435761u : 0);
		(void)tarn_trace_note(region, 1, 0, 0, NULL);
	}
	atomic_store(&region->super->trace, 0x7f);
	assert_int_equal(check_for("trace"), 1);
	atomic_store(&region->super->trace, word);
	memset(shm + 1, 0x5a, 4096);
	assert_int_equal(read_all(), 0);
	(void)tarn_trace_note(region, 1, 0, 0, NULL);
	assert_int_equal(read_all(), 1);
	assert_int_equal(check_for("check"), 0);
}

static void a_gap_is_one_event(void **state)
{
	struct trace_ring_shm *ring;

	(void)state;
	for (uint64_t n = 0; n < 5; n++)
		(void)tarn_trace_note(region, 1, n, 0, NULL);
	ring = tarn__trace_ring((unsigned char *)(bytes() + 1), 128,
				tarn__id_slot(region->id) % 16);
	assert_int_equal(atomic_load(&ring->next), 7);
	atomic_store(&ring->events[3].words[0], 0); /* as if its writer had died */
	assert_int_equal(read_all(), 6);
	atomic_fetch_add(&ring->events[4].words[8], 1); /* mixed with another's */
	assert_int_equal(read_all(), 5);
	ring->events[9] = ring->events[5]; /* where it does not belong */
	assert_int_equal(read_all(), 5);
}

#define OFF(name)  cmocka_unit_test_setup_teardown(name, make_region, drop_region)
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_traced, drop_region)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OFF(off_nothing_is_there),
		TEST(notes_are_read_as_written),
		TEST(off_nothing_is_logged_and_what_there_was_stays),
		TEST(other_numbers_are_refused),
		TEST(removed_it_is_off_and_may_be_made_anew),
		TEST(a_reader_shows_each_event_once),
		TEST(what_is_shown_is_whole),
		TEST(objects_come_and_go),
		TEST(a_child_joins_and_its_death_is_told),
		TEST(a_rollback_is_told),
		TEST(waits_are_told_with_whom),
		TEST(who_publishes_and_misses_is_told),
		TEST(who_looks_on_reads_and_switches_nothing),
		TEST(damage_is_told_and_led_nobody_astray),
		TEST(a_gap_is_one_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
