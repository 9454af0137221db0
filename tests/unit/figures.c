/* SPDX-License-Identifier: BSD-2-Clause */
/* Figures of every kind of object, figures.h: each against what was really done, by who lives and
 * who was killed; objects that are damaged or removed; a region that is looked on. */
#include <fcntl.h>
#include <stdio.h>

#include <tarn/tarn.h>

#include "prim.h"

#include "flow/figures.h"

/* A figure of the object, by a handle of its own. */
static uint64_t figure_in(struct tarn_region *in, const char *object, const char *metric)
{
	uint64_t values[TARN_FIGURES_MAX];
	struct tarn_counters *figures = NULL;
	int r = tarn_figures_open(in, object, NULL, &figures), at;

	assert_int_equal(r, 0);
	at = tarn_counters_find(figures, metric);
	if (at < 0)
		fail_msg("%s has no %s", object != NULL ? object : "the region", metric);
	assert_int_equal(tarn_counters_read(figures, values, TARN_FIGURES_MAX), 0);
	tarn_counters_close(figures);
	return values[at];
}

static uint64_t figure(const char *object, const char *metric)
{
	return figure_in(region, object, metric);
}

static void await_figure(const char *object, const char *metric)
{
	int64_t until = tarn_deadline_after(SURELY_NS / 2);

	while (figure(object, metric) == 0) {
		assert_true(tarn_now() < until);
		pause_us(1000);
	}
}

static int open_error(const char *name, const char *says)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_counters *figures = NULL;
	int r = tarn_figures_open(region, name, &diag, &figures);

	assert_null(figures);
	if (strstr(diag.what, says) == NULL)
		assert_string_equal(diag.what, says);
	return r;
}

/* --- what is counted ----------------------------------------------------------------------- */

static void objects_have_a_size_and_holders(void **state)
{
	void *p, *again;

	(void)state;
	assert_int_equal(tarn_object_create(region, "raw", 640, &p, NULL), 0);
	assert_int_equal(figure("raw", "size_bytes"), 640);
	assert_int_equal(figure("raw", "holders"), 1);
	assert_int_equal(tarn_object_open(region, "raw", &again, NULL), 0);
	assert_int_equal(figure("raw", "holders"), 1);
	tarn_object_close(region, p);
	tarn_object_close(region, again);
}

static int join_and_die(void *arg)
{
	(void)arg;
	return figure(NULL, "members") == 2 ? 0 : 1; /* it joins by that */
}

static void a_region_counts_who_joins(void **state)
{
	uint64_t joins = figure(NULL, "joins_total"), objects = figure(NULL, "objects");
	void *p;

	(void)state;
	assert_int_equal(joins, 1);
	run_dead(join_and_die, NULL);
	assert_int_equal(figure(NULL, "joins_total"), 2);
	assert_int_equal(figure(NULL, "members"), 1);
	assert_int_equal(figure(NULL, "deaths_total"), 0); /* nobody has noticed */
	assert_int_equal(tarn_region_gc(region, NULL), 0);
	assert_int_equal(figure(NULL, "deaths_total"), 1);
	run_dead(join_and_die, NULL);
	assert_int_equal(tarn_region_gc(region, NULL), 0);
	assert_int_equal(figure(NULL, "deaths_total"), 2);
	assert_int_equal(tarn_object_create(region, "more", 64, &p, NULL), 0);
	assert_int_equal(figure(NULL, "objects"), objects + 1);
	assert_true(figure(NULL, "used_bytes") >= 4096 + 64);
	tarn_object_close(region, p);
	assert_int_equal(tarn_object_remove(region, "more"), 0);
	assert_int_equal(figure(NULL, "objects"), objects);
}

static void a_ring_counts_what_goes_through_it(void **state)
{
	const struct tarn_ring_opts opts = { .capacity = 4096 };
	struct tarn_ring *producer, *consumer;
	char text[24] = "";
	size_t size;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &opts, &producer), 0);
	assert_int_equal(tarn_ring_open(region, "ring", TARN_RING_CONSUMER, &opts, &consumer), 0);
	assert_int_equal(figure("ring", "written_bytes_total"), 0);
	for (uint64_t n = 1; n <= 10; n++) {
		assert_int_equal(tarn_ring_push(producer, text, sizeof(text)), 0);
		assert_int_equal(figure("ring", "written_bytes_total"), 32 * n);
	}
	assert_int_equal(figure("ring", "used_bytes"), 320);
	for (int n = 1; n <= 4; n++)
		assert_int_equal(tarn_ring_pop(consumer, text, sizeof(text), &size), 0);
	assert_int_equal(figure("ring", "read_bytes_total"), 128);
	assert_int_equal(figure("ring", "used_bytes"), 192);
	tarn_ring_close(producer);
	tarn_ring_close(consumer);
	assert_int_equal(figure("ring", "written_bytes_total"), 320);
}

static int push_and_die(void *arg)
{
	struct tarn_ring *producer;

	(void)arg;
	return tarn_ring_open(region, "ring", TARN_RING_PRODUCER, NULL, &producer) < 0 ||
	       tarn_ring_push(producer, "text", 5) < 0;
}

static int pop_waiting(void *arg)
{
	struct tarn_ring *consumer;
	char text[8];
	size_t size;

	(void)arg;
	return tarn_ring_open(region, "ring", TARN_RING_CONSUMER, NULL, &consumer) < 0 ||
	       tarn_ring_pop_wait(consumer, text, sizeof(text), TARN_FOREVER, &size) < 0;
}

static void a_ring_counts_waits_and_deaths_of_either_side(void **state)
{
	const struct tarn_ring_opts opts = { .capacity = 4096 };
	struct tarn_ring *producer;
	pid_t pid;
	int r;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &opts, &producer), 0);
	assert_int_equal(figure("ring", "consumer_waits_total"), 0);
	pid = start(pop_waiting, NULL);
	await_figure("ring", "consumer_waits_total");
	assert_int_equal(figure("ring", "producer_waits_total"), 0);
	assert_int_equal(tarn_ring_push(producer, "text", 5), 0);
	await_death(pid);
	assert_true(figure("ring", "consumer_waits_total") >= 1);
	do /* nobody takes it */
		r = tarn_ring_push_wait(producer, "text", 5, tarn_deadline_after(SOON_NS));
	while (r == 0);
	assert_int_equal(r, -EPIPE);
	tarn_ring_close(producer);
	assert_int_equal(figure("ring", "recoveries_total"), 0);
	assert_int_equal(tarn_object_remove(region, "ring"), 0);
	assert_int_equal(tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &opts, &producer), 0);
	do
		r = tarn_ring_push_wait(producer, "text", 5, tarn_deadline_after(SOON_NS));
	while (r == 0);
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(figure("ring", "producer_waits_total") >= 1);
	tarn_ring_close(producer);
	assert_int_equal(tarn_object_remove(region, "ring"), 0);
	assert_int_equal(tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &opts, &producer), 0);
	tarn_ring_close(producer);
	for (uint64_t n = 0; n < 3; n++) {
		assert_int_equal(figure("ring", "recoveries_total"), n != 0 ? n - 1 : 0);
		run_dead(push_and_die, NULL);
	}
	run_dead(pop_waiting, NULL);
	run_dead(pop_waiting, NULL);
	assert_int_equal(figure("ring", "recoveries_total"), 3);
}

/* A word that has come round goes on, for a handle that has seen it before. */
static void a_word_that_begins_again_goes_on(void **state)
{
	const struct tarn_ring_opts opts = { .capacity = 4096 };
	struct tarn_counters *figures;
	struct tarn_ring *producer;
	struct ring_shm *shm;
	uint64_t values[5];

	(void)state;
	assert_int_equal(tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &opts, &producer), 0);
	assert_int_equal(tarn_figures_open(region, "ring", NULL, &figures), 0);
	shm = (struct ring_shm *)(void *)figures_of(counters_of(figures))->object.base;
	for (uint64_t n = 1; n <= 9; n++) {
		uint32_t pos = (uint32_t)(n << 30);

		atomic_store(&shm->head.pos, pos);
		atomic_store(&shm->tail.pos, pos);
		assert_int_equal(tarn_counters_read(figures, values, 5), 0);
		assert_int_equal(values[tarn_counters_find(figures, "written_bytes_total")],
				 n << 33);
	}
	tarn_counters_close(figures);
	atomic_store(&shm->head.pos, 0);
	atomic_store(&shm->tail.pos, 0);
	tarn_ring_close(producer);
}

static int die_inside(void *arg)
{
	struct tarn_section *section = arg;
	struct tarn_tx *tx;

	if (tarn_section_enter(section, TARN_FOREVER, &tx, NULL) < 0)
		return 1;
	return tarn_tx_store(tx, (void *)&flags[5], 1, 4);
}

static void a_section_counts_passes_rollbacks_and_deaths(void **state)
{
	struct tarn_section *section;
	struct tarn_tx *tx;

	(void)state;
	assert_int_equal(
		tarn_section_open(region, "books", &(struct tarn_section_opts){ 0 }, &section), 0);
	for (int n = 0; n < 5; n++) {
		assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
		assert_int_equal(figure("books", "entries_total"), n + 1);
		assert_int_equal(figure("books", "busy"), 1);
		if (n == 3)
			tarn_section_abort(section);
		(void)!tarn_section_leave(section);
	}
	assert_int_equal(figure("books", "entries_total"), 5);
	assert_int_equal(figure("books", "rollbacks_total"), 1);
	assert_int_equal(figure("books", "recoveries_total"), 0);
	run_dead(die_inside, section);
	assert_int_equal(figure("books", "entries_total"), 6);
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	assert_int_equal(tarn_section_leave(section), 0);
	assert_int_equal(figure("books", "recoveries_total"), 1);
	assert_int_equal(figure("books", "busy"), 0);
	tarn_section_close(section);
}

static int die_locked(void *arg)
{
	return tarn_mutex_lock(arg, TARN_FOREVER, NULL);
}

static int lock_behind(void *arg)
{
	atomic_store(&flags[0], 1);
	if (tarn_mutex_lock(arg, TARN_FOREVER, NULL) < 0)
		return 1;
	return tarn_mutex_unlock(arg);
}

static void a_mutex_counts_locks_waits_and_deaths(void **state)
{
	struct tarn_mutex *mutex;
	pid_t pid;

	(void)state;
	assert_int_equal(tarn_mutex_open(region, "lock", &(struct tarn_mutex_opts){ 0 }, &mutex),
			 0);
	for (int n = 0; n < 7; n++) {
		assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), 0);
		assert_int_equal(tarn_mutex_unlock(mutex), 0);
	}
	assert_int_equal(figure("lock", "locks_total"), 7);
	assert_int_equal(figure("lock", "waits_total"), 0);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), 0);
	assert_int_equal(figure("lock", "busy"), 1);
	pid = start(lock_behind, mutex);
	await_flag(0);
	await_figure("lock", "waits_total");
	assert_int_equal(tarn_mutex_unlock(mutex), 0);
	await_death(pid);
	assert_int_equal(figure("lock", "waits_total"), 1);
	assert_int_equal(figure("lock", "locks_total"), 9);
	run_dead(die_locked, mutex);
	assert_int_equal(figure("lock", "recoveries_total"), 0); /* nobody has noticed */
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_mutex_consistent(mutex), 0);
	assert_int_equal(tarn_mutex_unlock(mutex), 0);
	assert_int_equal(figure("lock", "recoveries_total"), 1);
	assert_int_equal(figure("lock", "busy"), 0);
	tarn_mutex_close(mutex);
}

static int die_reading(void *arg)
{
	return tarn_rwlock_read(arg, TARN_FOREVER, NULL);
}

static void an_rwlock_counts_readers_writers_and_places_freed(void **state)
{
	const struct tarn_rwlock_opts opts = { .readers = 4 };
	struct tarn_rwlock *lock;

	(void)state;
	assert_int_equal(tarn_rwlock_open(region, "rw", &opts, &lock), 0);
	assert_int_equal(tarn_rwlock_read(lock, TARN_FOREVER, NULL), 0);
	assert_int_equal(figure("rw", "readers"), 1);
	assert_int_equal(tarn_rwlock_unlock(lock), 0);
	run_dead(die_reading, lock);
	assert_int_equal(figure("rw", "readers"), 1); /* nobody has noticed */
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, NULL), 0);
	assert_int_equal(figure("rw", "busy"), 1);
	assert_int_equal(figure("rw", "write_locks_total"), 1);
	assert_int_equal(tarn_rwlock_unlock(lock), 0);
	assert_int_equal(figure("rw", "freed_total"), 1);
	assert_int_equal(figure("rw", "readers"), 0);
	tarn_rwlock_close(lock);
}

static int die_with_a_permit(void *arg)
{
	return tarn_sem_wait(arg, TARN_FOREVER, NULL);
}

static void a_semaphore_counts_permits(void **state)
{
	const struct tarn_sem_opts owned = { .value = 3, .flags = TARN_SEM_OWNED };
	const struct tarn_sem_opts counted = { .value = 3 };
	struct tarn_sem *sem, *plain;

	(void)state;
	assert_int_equal(tarn_sem_open(region, "sem", &owned, &sem), 0);
	assert_int_equal(tarn_sem_open(region, "plain", &counted, &plain), 0);
	assert_int_equal(tarn_sem_wait(sem, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_sem_wait(plain, TARN_FOREVER, NULL), 0);
	assert_int_equal(figure("sem", "free_permits"), 2);
	assert_int_equal(figure("plain", "free_permits"), 2);
	run_dead(die_with_a_permit, sem);
	assert_int_equal(figure("sem", "free_permits"), 1);
	assert_int_equal(tarn_sem_wait(sem, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_sem_wait(sem, TARN_FOREVER, NULL), 0);
	assert_int_equal(figure("sem", "free_permits"), 0);
	assert_int_equal(figure("sem", "freed_total"), 1);
	tarn_sem_close(sem);
	tarn_sem_close(plain);
}

static void the_small_ones_count_too(void **state)
{
	struct tarn_event *event;
	struct tarn_once *once;
	struct tarn_seqlock *seqlock;
	struct tarn_spin *spin;

	(void)state;
	assert_int_equal(tarn_event_open(region, "event", &(struct tarn_event_opts){ 0 }, &event),
			 0);
	for (int n = 0; n < 3; n++) {
		assert_int_equal(tarn_event_set(event), 0);
		assert_int_equal(figure("event", "set"), 1);
		assert_int_equal(tarn_event_reset(event), 0);
	}
	assert_int_equal(figure("event", "sets_total"), 3);
	assert_int_equal(figure("event", "set"), 0);
	tarn_event_close(event);
	assert_int_equal(tarn_once_open(region, "once", &(struct tarn_once_opts){ 0 }, &once), 0);
	assert_int_equal(figure("once", "done"), 0);
	assert_int_equal(tarn_once_begin(once, TARN_FOREVER, NULL), 1);
	assert_int_equal(tarn_once_done(once), 0);
	assert_int_equal(figure("once", "done"), 1);
	tarn_once_close(once);
	assert_int_equal(
		tarn_seqlock_open(region, "seq", &(struct tarn_seqlock_opts){ 0 }, &seqlock), 0);
	for (int n = 0; n < 3; n++) {
		assert_int_equal(tarn_seqlock_lock(seqlock, TARN_FOREVER, NULL), 0);
		assert_int_equal(tarn_seqlock_unlock(seqlock), 0);
	}
	assert_int_equal(figure("seq", "writes_total"), 3);
	tarn_seqlock_close(seqlock);
	assert_int_equal(tarn_spin_open(region, "spin", &(struct tarn_spin_opts){ 0 }, &spin), 0);
	assert_int_equal(tarn_spin_lock(spin, TARN_FOREVER, NULL), 0);
	assert_int_equal(figure("spin", "busy"), 1);
	assert_int_equal(tarn_spin_unlock(spin), 0);
	assert_int_equal(figure("spin", "busy"), 0);
	tarn_spin_close(spin);
}

static void a_latest_value_counts_its_values(void **state)
{
	const struct tarn_latest_opts opts = { .size = 64, .holders = 2 };
	struct tarn_latest *latest;
	const void *data;
	char text[40] = "";
	size_t size;

	(void)state;
	assert_int_equal(tarn_latest_open(region, "pose", &opts, &latest), 0);
	assert_int_equal(figure("pose", "values_total"), 0);
	for (uint32_t n = 1; n <= 9; n++) {
		assert_int_equal(tarn_latest_write(latest, text, 4 * n, TARN_FOREVER, NULL), 0);
		assert_int_equal(figure("pose", "values_total"), n);
		assert_int_equal(figure("pose", "value_bytes"), 4 * n);
	}
	assert_int_equal(figure("pose", "held"), 0);
	assert_int_equal(tarn_latest_hold(latest, &data, &size, NULL, NULL), 0);
	assert_int_equal(figure("pose", "held"), 1);
	tarn_latest_close(latest);
}

static int publish_and_die(void *arg)
{
	const struct tarn_topic_opts opts = { .lane_size = 4096 };
	struct tarn_publisher *publisher;

	(void)arg;
	if (tarn_publisher_open(region, "news", &opts, &publisher) < 0)
		return 1;
	for (int n = 0; n < 5; n++)
		if (tarn_publisher_publish(publisher, "text", 5) < 0)
			return 2;
	return 0;
}

static void a_topic_counts_over_all_lanes(void **state)
{
	const struct tarn_topic_opts lossy = { .flags = TARN_TOPIC_LOSSY };
	const struct tarn_topic_opts opts = { .lane_size = 4096 };
	struct tarn_publisher *publisher;
	struct tarn_subscriber *subscriber;
	struct tarn_message message;
	char text[8];

	(void)state;
	assert_int_equal(tarn_publisher_open(region, "news", &opts, &publisher), 0);
	assert_int_equal(tarn_subscriber_open(region, "news", &lossy, &subscriber), 0);
	for (int n = 0; n < 3; n++)
		assert_int_equal(tarn_publisher_publish(publisher, "text", 5), 0);
	assert_int_equal(figure("news", "messages_total"), 3);
	assert_int_equal(figure("news:0", "messages_total"), 3);
	assert_int_equal(figure("news", "message_bytes_total"), 128);
	run_dead(publish_and_die, NULL);
	assert_int_equal(figure("news", "messages_total"), 8);
	assert_int_equal(figure("news:1", "messages_total"), 5);
	assert_int_equal(figure("news", "publishers"), 1);
	assert_int_equal(figure("news", "subscribers"), 1);
	assert_int_equal(figure("news", "missed"), 0);
	for (int n = 0; n < 200; n++)
		assert_int_equal(tarn_publisher_publish(publisher, "text", 5), 0);
	assert_int_equal(figure("news", "messages_total"), 208);
	assert_int_equal(tarn_subscriber_take(subscriber, text, sizeof(text), &message), 0);
	assert_true(figure("news", "missed") > 100);
	tarn_subscriber_close(subscriber);
	assert_int_equal(figure("news", "missed"), 0);
	tarn_publisher_close(publisher);
	assert_int_equal(figure("news", "publishers"), 0);
	assert_int_equal(figure("news", "messages_total"), 208);
}

static int subscribe_and_die(void *arg)
{
	struct tarn_subscriber *subscriber;

	(void)arg;
	return tarn_subscriber_open(region, "news", NULL, &subscriber);
}

static int take_waiting(void *arg)
{
	struct tarn_subscriber *subscriber;
	struct tarn_message message;
	char text[8];

	(void)arg;
	return tarn_subscriber_open(region, "news", NULL, &subscriber) < 0 ||
	       tarn_subscriber_take_wait(subscriber, text, sizeof(text), TARN_FOREVER, &message) <
		       0;
}

static void a_topic_counts_waits_and_places_of_the_dead(void **state)
{
	const struct tarn_topic_opts opts = { .lane_size = 4096 };
	struct tarn_subscriber *subscriber;
	struct tarn_publisher *publisher;
	pid_t pid;
	int r;

	(void)state;
	assert_int_equal(tarn_publisher_open(region, "news", &opts, &publisher), 0);
	pid = start(take_waiting, NULL);
	await_figure("news", "subscriber_waits_total");
	assert_int_equal(figure("news", "publisher_waits_total"), 0);
	assert_int_equal(tarn_publisher_publish(publisher, "text", 5), 0);
	await_death(pid);
	run_dead(subscribe_and_die, NULL); /* at the place of the first */
	assert_int_equal(figure("news", "freed_total"), 1);
	for (int n = 0; n < 200; n++) /* until what the dead needs is to be written over */
		assert_int_equal(tarn_publisher_publish(publisher, "text", 5), 0);
	assert_int_equal(figure("news", "freed_total"), 2);
	run_dead(publish_and_die, NULL);
	run_dead(publish_and_die, NULL); /* at the place of the first */
	assert_int_equal(figure("news", "freed_total"), 3);
	assert_int_equal(figure("news", "publisher_waits_total"), 0);
	assert_int_equal(tarn_subscriber_open(region, "news", NULL, &subscriber), 0);
	do
		r = tarn_publisher_publish_wait(publisher, "text", 5, tarn_deadline_after(SOON_NS));
	while (r == 0);
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(figure("news", "publisher_waits_total") >= 1);
	assert_int_equal(figure("news:0", "publisher_waits_total"),
			 figure("news", "publisher_waits_total"));
	tarn_subscriber_close(subscriber);
	tarn_publisher_close(publisher);
}

static void arenas_and_change_logs_count(void **state)
{
	struct tarn_section *section;
	struct tarn_changes *changes;
	struct tarn_arena *arena;
	struct tarn_tx *tx;

	(void)state;
	assert_int_equal(
		tarn_section_open(region, "heap", &(struct tarn_section_opts){ 0 }, &section), 0);

	const struct tarn_arena_opts opts = { .section = section, .size = 65536 };
	const struct tarn_changes_opts of_log = { .section = section };

	assert_int_equal(tarn_arena_open(region, "arena", &opts, &arena), 0);
	assert_int_equal(figure("arena", "pool_bytes"), 65536);
	assert_int_equal(figure("arena", "extents"), 1);
	assert_int_equal(tarn_changes_open(region, "log", &of_log, &changes), 0);

	uint64_t txs = figure("log", "txs_total"), bytes = figure("log", "logged_bytes_total");

	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	assert_int_equal(tarn_tx_store(tx, (void *)&flags[7], 1, 4), 0);
	assert_int_equal(tarn_section_leave(section), 0);
	assert_int_equal(figure("log", "txs_total"), txs + 1);
	assert_int_equal(figure("log", "logged_bytes_total"), bytes + 32 + 24);
	tarn_changes_close(changes);
	tarn_arena_close(arena);
	tarn_section_close(section);
}

static int serve_and_die(void *arg)
{
	struct tarn_service *service;
	struct tarn_request request;

	(void)arg;
	if (tarn_service_open(region, "ask", &(struct tarn_call_opts){ 0 }, &service) < 0)
		return 1;
	return tarn_service_take_wait(service, tarn_deadline_after(SOON_NS), &request) !=
	       -ETIMEDOUT;
}

static void a_service_counts_waits_and_deaths(void **state)
{
	(void)state;
	run_dead(serve_and_die, NULL);
	assert_int_equal(figure("ask", "recoveries_total"), 0); /* nobody has come since */
	assert_true(figure("ask", "server_waits_total") >= 1);
	assert_int_equal(figure("ask", "client_waits_total"), 0);
	run_dead(serve_and_die, NULL);
	assert_int_equal(figure("ask", "recoveries_total"), 1);
	assert_true(figure("ask", "server_waits_total") >= 2);
}

static void a_service_counts_who_comes(void **state)
{
	struct tarn_service *service;
	struct tarn_client *client;

	(void)state;
	assert_int_equal(tarn_service_open(region, "ask", &(struct tarn_call_opts){ 0 }, &service),
			 0);
	assert_int_equal(tarn_client_open(region, "ask", &(struct tarn_call_opts){ 0 }, &client),
			 0);
	assert_int_equal(figure("ask", "comings_total"), 2);
	assert_int_equal(figure("ask", "servers"), 1);
	assert_int_equal(figure("ask", "clients"), 1);
	tarn_client_close(client);
	assert_int_equal(figure("ask", "clients"), 0);
	assert_int_equal(figure("ask", "comings_total"), 2);
	tarn_service_close(service);
}

/* --- one way for all ----------------------------------------------------------------------- */

static void counters_have_their_own(void **state)
{
	static const struct tarn_metric metric = {
		"asked_total", "", "", TARN_METRIC_COUNTER, 0, 0
	};
	const struct tarn_counters_opts opts = { .metrics = &metric, .count = 1 };
	struct tarn_counters *web;

	(void)state;
	assert_int_equal(tarn_counters_open(region, "web", &opts, &web), 0);
	tarn_counter_add(web, 0, 5);
	assert_int_equal(figure("web", "asked_total"), 5);
	tarn_counters_close(web);
}

static void samples_are_of_any_object(void **state)
{
	struct tarn_sample *earlier, *now;
	struct tarn_counters *figures;
	struct tarn_event *event;
	struct tarn_diag diag;
	int sets;

	(void)state;
	assert_int_equal(tarn_event_open(region, "bell", &(struct tarn_event_opts){ 0 }, &event),
			 0);
	assert_int_equal(tarn_figures_open(region, "bell", NULL, &figures), 0);
	sets = tarn_counters_find(figures, "sets_total");
	assert_string_equal(tarn_counters_describe(figures, (uint32_t)sets)->unit, "");
	assert_int_equal(tarn_sample_new(figures, &earlier), 0);
	assert_int_equal(tarn_sample_new(figures, &now), 0);
	assert_int_equal(tarn_event_set(event), 0);
	assert_int_equal(tarn_sample_take(earlier, figures), 0);
	for (int n = 0; n < 4; n++)
		assert_int_equal(tarn_event_reset(event) | tarn_event_set(event), 0);
	assert_int_equal(tarn_sample_take(now, figures), 0);
	assert_int_equal(tarn_sample_value(now, (uint32_t)sets), 5);
	assert_int_equal(tarn_sample_subtract(now, earlier), 0);
	assert_int_equal(tarn_sample_value(now, (uint32_t)sets), 4);
	assert_int_equal(tarn_counters_join(figures, &diag), -EPERM);
	assert_int_equal(tarn_counters_fold(figures, NULL, &diag), -EPERM);
	tarn_sample_free(earlier);
	tarn_sample_free(now);
	tarn_counters_close(figures);
	tarn_event_close(event);
}

static void a_region_that_is_looked_on_stays_as_it_was(void **state)
{
	const struct tarn_region_opts looks = { .flags = TARN_REGION_OBSERVE };
	struct tarn_region *look;
	struct tarn_event *event;
	int fd = tarn_segment_fd(tarn_region_segment(region));

	(void)state;
	assert_int_equal(tarn_event_open(region, "bell", &(struct tarn_event_opts){ 0 }, &event),
			 0);
	assert_int_equal(tarn_event_set(event), 0);
	assert_true(fd >= 0);
	assert_int_equal(tarn_region_open_fd(fd, &looks, &look), 0);
	assert_int_equal(figure_in(look, "bell", "sets_total"), 1);
	assert_int_equal(figure_in(look, "bell", "holders"), 1);
	assert_int_equal(figure_in(look, NULL, "members"), 1);
	tarn_event_close(event);
	assert_int_equal(figure_in(look, "bell", "holders"), 0);
	tarn_region_close(look);
}

/* --- what there is not --------------------------------------------------------------------- */

static void what_there_is_not_is_told(void **state)
{
	struct tarn_counters *figures;
	uint64_t value;
	void *p;

	(void)state;
	assert_int_equal(open_error("none", "no object none in the region"), -ENOENT);
	assert_int_equal(open_error("a/b", "are not possible"), -EINVAL);
	assert_int_equal(tarn_object_create(region, "raw", 640, &p, NULL), 0);
	assert_int_equal(tarn_figures_open(region, "raw", NULL, &figures), 0);
	assert_int_equal(tarn_object_remove(region, "raw"), 0);
	assert_int_equal(tarn_counters_read(figures, &value, 1), -ENOENT);
	tarn_counters_close(figures);
	tarn_object_close(region, p);
}

/* Spoil a word of the object, which is not open, and say what opening its figures says. */
static int spoilt(const char *name, size_t offset, const char *says)
{
	struct tarn_counters *figures;
	uint32_t *word, was;
	int r;

	assert_int_equal(tarn_figures_open(region, name, NULL, &figures), 0);
	word = (uint32_t *)(void *)(figures_of(counters_of(figures))->object.base + offset);
	was = *word;
	*word ^= 0x10;
	r = open_error(name, says);
	*word = was;
	tarn_counters_close(figures);
	return r;
}

static void a_damaged_object_is_told(void **state)
{
	const struct tarn_topic_opts lane = { .lane_size = 4096 };
	struct tarn_service *service;
	struct tarn_publisher *publisher;
	struct tarn_latest *latest;
	struct tarn_mutex *mutex;
	struct tarn_ring *ring;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "ring", TARN_RING_PRODUCER,
					&(struct tarn_ring_opts){ .capacity = 4096 }, &ring),
			 0);
	assert_int_equal(tarn_mutex_open(region, "lock", &(struct tarn_mutex_opts){ 0 }, &mutex),
			 0);
	assert_int_equal(
		tarn_latest_open(region, "pose", &(struct tarn_latest_opts){ .size = 64 }, &latest),
		0);
	assert_int_equal(tarn_publisher_open(region, "news", &lane, &publisher), 0);
	assert_int_equal(tarn_service_open(region, "ask", &(struct tarn_call_opts){ 0 }, &service),
			 0);
	for (uint32_t offset = 0; offset <= 16; offset += 4) {
		assert_int_equal(spoilt("ring", offset, "ring ring: its header is damaged"),
				 -EUCLEAN);
		assert_int_equal(spoilt("lock", offset, "mutex lock: its header is damaged"),
				 -EUCLEAN);
		assert_int_equal(spoilt("pose", offset, "latest value pose: its header is damaged"),
				 -EUCLEAN);
		assert_int_equal(spoilt("news", offset, "topic news: its header is damaged"),
				 -EUCLEAN);
		assert_int_equal(spoilt("news:0", offset, "lane news:0: its header is damaged"),
				 -EUCLEAN);
		assert_int_equal(spoilt("ask", offset, "service ask: its header is damaged"),
				 -EUCLEAN);
	}
	tarn_service_close(service);
	tarn_publisher_close(publisher);
	tarn_latest_close(latest);
	tarn_mutex_close(mutex);
	tarn_ring_close(ring);
}

static void words_that_contradict_each_other_are_told(void **state)
{
	struct tarn_counters *figures;
	struct tarn_ring *ring;
	struct ring_shm *shm;
	uint64_t value = 7;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "ring", TARN_RING_PRODUCER,
					&(struct tarn_ring_opts){ .capacity = 4096 }, &ring),
			 0);
	assert_int_equal(tarn_figures_open(region, "ring", NULL, &figures), 0);
	shm = (struct ring_shm *)(void *)figures_of(counters_of(figures))->object.base;
	atomic_store(&shm->tail.pos, 512);
	assert_int_equal(tarn_counters_read(figures, &value, 1), -EUCLEAN);
	assert_int_equal(value, 7);
	atomic_store(&shm->tail.pos, 0);
	assert_int_equal(tarn_counters_read(figures, &value, 1), 0);
	tarn_counters_close(figures);
	tarn_ring_close(ring);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_region, drop_region)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(objects_have_a_size_and_holders),
		TEST(a_region_counts_who_joins),
		TEST(a_ring_counts_what_goes_through_it),
		TEST(a_ring_counts_waits_and_deaths_of_either_side),
		TEST(a_word_that_begins_again_goes_on),
		TEST(a_section_counts_passes_rollbacks_and_deaths),
		TEST(a_mutex_counts_locks_waits_and_deaths),
		TEST(an_rwlock_counts_readers_writers_and_places_freed),
		TEST(a_semaphore_counts_permits),
		TEST(the_small_ones_count_too),
		TEST(a_latest_value_counts_its_values),
		TEST(a_topic_counts_over_all_lanes),
		TEST(a_topic_counts_waits_and_places_of_the_dead),
		TEST(arenas_and_change_logs_count),
		TEST(a_service_counts_who_comes),
		TEST(a_service_counts_waits_and_deaths),
		TEST(counters_have_their_own),
		TEST(samples_are_of_any_object),
		TEST(a_region_that_is_looked_on_stays_as_it_was),
		TEST(what_there_is_not_is_told),
		TEST(a_damaged_object_is_told),
		TEST(words_that_contradict_each_other_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
