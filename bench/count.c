/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * count.c - each fast path often enough for its instructions to be counted: see dev/instructions.
 *
 *     bench-count            prints NAME, a tab and what it is, for each; then what built it
 *
 * Run under callgrind, which collects inside of count_NAME() alone and writes a part whenever one
 * of these returns. Each runs FEW and then MANY passes after some that warm up (first calls resolve
 * symbols, touch pages and take what is made once), so that the difference of the two is what
 * MANY - FEW passes execute, without what entering the loop costs; and count_nothing() tells what
 * of that is the loop.
 *
 * One thread, one process: nobody waits, no counter depends on time, and so the counts of two runs
 * are the same. (The time is a system call under valgrind, and code of the kernel without: of a
 * stamp Tarn's own part alone is counted, and the way into the call.)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

/* Multiples of BATCH. The ring of each size holds MANY messages: what one count leaves in it the
 * next one takes out. */
enum { WARM = 64, FEW = 512, MANY = 1024, BATCH = 64, WORDS = 12 };

static struct {
	struct tarn_region *region;
	struct tarn_ring *producer, *consumer;
	struct tarn_section *section;
	struct tarn_arena *arena;
	struct tarn_mutex *mutex;
	struct tarn_rwlock *rwlock;
	struct tarn_sem *counted, *owned;
	struct tarn_cond *cond;
	struct tarn_barrier *barrier;
	struct tarn_event *event;
	struct tarn_once *once;
	struct tarn_spin *spin;
	struct tarn_seqlock *seqlock;
	struct tarn_latest *latest;
	struct tarn_publisher *bare, *timed; /* without and with the time */
	struct tarn_subscriber *of_bare, *of_timed;
	struct tarn_publisher *narrow; /* a lane of the smallest size, without the time */
	struct tarn_subscriber *of_narrow;
	struct tarn_service *service;
	struct tarn_client *client;
	uint64_t *words; /* in the region */
} at;

static unsigned char mine[4096];

static void must(const char *what, int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench-count: %s: %s\n", what, strerror(-r));
	exit(1);
}

static inline void check(int r)
{
	if (__builtin_expect(r < 0, 0))
		must("a pass", r);
}

/* --- one pass each ---------------------------------------------------------------------- */

static inline void nothing(void)
{
	__asm__ volatile("" ::: "memory");
}

static inline void push(size_t size)
{
	check(tarn_ring_push(at.producer, mine, size));
}

static inline void pop(void)
{
	size_t size;

	check(tarn_ring_pop(at.consumer, mine, sizeof(mine), &size));
}

static inline void reserve_commit(size_t size)
{
	void *data;

	check(tarn_ring_reserve(at.producer, size, &data));
	check(tarn_ring_commit(at.producer, size));
}

static inline void peek_release(void)
{
	const void *data;
	size_t size;

	check(tarn_ring_peek(at.consumer, &data, &size));
	check(tarn_ring_release(at.consumer, 1));
}

static struct tarn_buf bufs[BATCH];

/* BATCH messages a call. */
static inline void push_batch(void)
{
	size_t done;

	check(tarn_ring_push_batch(at.producer, bufs, BATCH, &done));
	check(done == BATCH ? 0 : -EIO);
}

static inline void peek_batch(void)
{
	struct tarn_buf got[BATCH];
	size_t done;

	check(tarn_ring_peek_batch(at.consumer, got, BATCH, &done));
	check(tarn_ring_release(at.consumer, done));
	check(done == BATCH ? 0 : -EIO);
}

static inline void section(int words)
{
	struct tarn_tx *tx;

	check(tarn_section_enter(at.section, TARN_FOREVER, &tx, NULL));
	for (int i = 0; i < words; i++)
		check(tarn_tx_set64(tx, &at.words[i], (uint64_t)i));
	check(tarn_section_leave(at.section));
}

static inline void section_read(void)
{
	check(tarn_section_read(at.section, mine, at.words, 64, TARN_FOREVER));
}

static inline void alloc_free(void)
{
	struct tarn_tx *tx;
	tarn_ref ref;

	check(tarn_section_enter(at.section, TARN_FOREVER, &tx, NULL));
	check(tarn_arena_alloc(at.arena, tx, 64, 0, 0, &ref));
	check(tarn_arena_free(at.arena, tx, ref));
	check(tarn_section_leave(at.section));
}

static inline void mutex(void)
{
	check(tarn_mutex_lock(at.mutex, TARN_FOREVER, NULL));
	check(tarn_mutex_unlock(at.mutex));
}

static inline void rwlock_read(void)
{
	check(tarn_rwlock_read(at.rwlock, TARN_FOREVER, NULL));
	check(tarn_rwlock_unlock(at.rwlock));
}

static inline void rwlock_write(void)
{
	check(tarn_rwlock_write(at.rwlock, TARN_FOREVER, NULL));
	check(tarn_rwlock_unlock(at.rwlock));
}

static inline void permit(struct tarn_sem *sem)
{
	check(tarn_sem_wait(sem, TARN_FOREVER, NULL));
	check(tarn_sem_post(sem));
}

static inline void cond_signal(void)
{
	check(tarn_cond_signal(at.cond));
}

static inline void barrier(void)
{
	check(tarn_barrier_wait(at.barrier, TARN_FOREVER, NULL));
}

static inline void event(void)
{
	check(tarn_event_set(at.event));
	check(tarn_event_wait(at.event, TARN_FOREVER, NULL));
}

static int do_once(void *arg, bool again)
{
	(void)arg;
	(void)again;
	return 0;
}

static inline void once(void)
{
	check(tarn_once_run(at.once, TARN_FOREVER, do_once, NULL, NULL));
}

static inline void spin(void)
{
	check(tarn_spin_lock(at.spin, TARN_FOREVER, NULL));
	check(tarn_spin_unlock(at.spin));
}

static inline void seqlock_read(void)
{
	check(tarn_seqlock_read(at.seqlock, mine, at.words, 64, TARN_FOREVER));
}

static inline void seqlock_write(void)
{
	check(tarn_seqlock_write(at.seqlock, at.words, mine, 64, TARN_FOREVER, NULL));
}

static inline void latest_write(void)
{
	check(tarn_latest_write(at.latest, mine, 64, TARN_FOREVER, NULL));
}

static inline void latest_read(void)
{
	size_t size;

	check(tarn_latest_read(at.latest, mine, sizeof(mine), &size, NULL));
}

static inline void publish(struct tarn_publisher *publisher)
{
	check(tarn_publisher_publish(publisher, mine, 64));
}

static inline void take(struct tarn_subscriber *subscriber)
{
	struct tarn_message message;

	check(tarn_subscriber_take(subscriber, mine, sizeof(mine), &message));
}

static inline void loan_commit(struct tarn_publisher *publisher, size_t size)
{
	void *data;

	check(tarn_publisher_loan(publisher, size, &data));
	check(tarn_publisher_commit(publisher, size));
}

static inline void hold_release(struct tarn_subscriber *subscriber)
{
	struct tarn_message message;

	check(tarn_subscriber_hold(subscriber, &message));
	check(tarn_subscriber_release(subscriber, &message));
}

/* Larger than the part of the lane that is asked for at a time. */
static inline void large(void)
{
	loan_commit(at.narrow, 960);
	hold_release(at.of_narrow);
}

static struct tarn_buf values[BATCH];

static inline void publish_batch(struct tarn_publisher *publisher)
{
	size_t done;

	check(tarn_publisher_publish_batch(publisher, values, BATCH, &done));
	check(done == BATCH ? 0 : -EIO);
}

static inline void take_batch(struct tarn_subscriber *subscriber)
{
	static unsigned char room[BATCH * 64];
	struct tarn_message messages[BATCH];
	size_t done;

	check(tarn_subscriber_take_batch(subscriber, room, sizeof(room), messages, BATCH, &done));
	check(done == BATCH ? 0 : -EIO);
}

/* A call, by both sides: who asks knows of 256 at a time, so they are not counted apart. */
static inline void round_trip(void)
{
	struct tarn_response response;
	struct tarn_request request;
	uint64_t call;

	check(tarn_client_begin(at.client, mine, 64, TARN_FOREVER, &call));
	check(tarn_service_take(at.service, &request));
	check(tarn_service_respond(at.service, &request, mine, 64));
	check(tarn_client_take(at.client, call, &response));
}

static inline void round_trip_in_place(void)
{
	struct tarn_response response;
	struct tarn_request request;
	uint64_t call;
	void *data;

	check(tarn_client_reserve(at.client, 64, &data));
	check(tarn_client_commit(at.client, 64, TARN_FOREVER, &call));
	check(tarn_service_take(at.service, &request));
	check(tarn_service_reserve(at.service, &request, 64, &data));
	check(tarn_service_commit(at.service, &request, 64, TARN_RESPONSE_LAST, 0));
	check(tarn_client_take(at.client, call, &response));
}

/* --- what is counted --------------------------------------------------------------------- */

/* Name, what it is, what one pass is, messages or operations of a pass. In this order: what pushes
 * stands before what pops as many. */
#define COUNTS(ROW)                                                                                \
	ROW(nothing, "the loop itself", nothing(), 1)                                              \
	ROW(ring_push_8, "ring: push, 8 B", push(8), 1)                                            \
	ROW(ring_pop_8, "ring: pop, 8 B", pop(), 1)                                                \
	ROW(ring_push_64, "ring: push, 64 B", push(64), 1)                                         \
	ROW(ring_pop_64, "ring: pop, 64 B", pop(), 1)                                              \
	ROW(ring_push_1024, "ring: push, 1 KiB", push(1024), 1)                                    \
	ROW(ring_pop_1024, "ring: pop, 1 KiB", pop(), 1)                                           \
	ROW(ring_reserve_commit, "ring: reserve and commit in place, 64 B", reserve_commit(64), 1) \
	ROW(ring_peek_release, "ring: peek and release in place, 64 B", peek_release(), 1)         \
	ROW(ring_push_batch, "ring: push in batches of 64, 8 B, each", push_batch(), BATCH)        \
	ROW(ring_peek_batch, "ring: peek and release in batches of 64, 8 B, each", peek_batch(),   \
	    BATCH)                                                                                 \
	ROW(section, "section: enter and leave", section(0), 1)                                    \
	ROW(section_1, "section: enter, log one word, leave", section(1), 1)                       \
	ROW(section_12, "section: enter, log twelve words, leave", section(WORDS), 1)              \
	ROW(section_read, "section: read 64 B without entering", section_read(), 1)                \
	ROW(arena_64, "arena: enter, alloc 64 B, free it, leave", alloc_free(), 1)                 \
	ROW(mutex, "mutex: lock and unlock", mutex(), 1)                                           \
	ROW(rwlock_read, "rwlock: read and unlock", rwlock_read(), 1)                              \
	ROW(rwlock_write, "rwlock: write and unlock", rwlock_write(), 1)                           \
	ROW(sem_counted, "semaphore, counted: wait and post", permit(at.counted), 1)               \
	ROW(sem_owned, "semaphore, owned: wait and post", permit(at.owned), 1)                     \
	ROW(cond_signal, "condition variable: signal, nobody waits", cond_signal(), 1)             \
	ROW(barrier, "barrier of one: wait", barrier(), 1)                                         \
	ROW(event, "event: set, and wait for what is set", event(), 1)                             \
	ROW(once, "once: what was done is not done again", once(), 1)                              \
	ROW(spin, "spin lock: lock and unlock", spin(), 1)                                         \
	ROW(seqlock_read, "seqlock: read 64 B", seqlock_read(), 1)                                 \
	ROW(seqlock_write, "seqlock: write 64 B", seqlock_write(), 1)                              \
	ROW(latest_write, "latest value: write 64 B", latest_write(), 1)                           \
	ROW(latest_read, "latest value: read 64 B", latest_read(), 1)                              \
	ROW(topic_publish, "topic: publish 64 B", publish(at.bare), 1)                             \
	ROW(topic_take, "topic: take 64 B", take(at.of_bare), 1)                                   \
	ROW(topic_publish_timed, "topic: publish 64 B with the time", publish(at.timed), 1)        \
	ROW(topic_take_timed, "topic: take 64 B with the time", take(at.of_timed), 1)              \
	ROW(topic_loan_commit, "topic: loan and commit in place, 64 B", loan_commit(at.bare, 64),  \
	    1)                                                                                     \
	ROW(topic_hold_release, "topic: hold and release, 64 B", hold_release(at.of_bare), 1)      \
	ROW(topic_large, "topic: loan, commit, hold, release a quarter of the lane", large(), 1)   \
	ROW(call, "call: ask 64 B, take, answer 64 B, take that", round_trip(), 1)                 \
	ROW(call_in_place, "call: the same, filled in place both ways", round_trip_in_place(), 1)  \
	ROW(topic_publish_batch, "topic: publish in batches of 64, 64 B, each",                    \
	    publish_batch(at.bare), BATCH)                                                         \
	ROW(topic_take_batch, "topic: take in batches of 64, 64 B, each", take_batch(at.of_bare),  \
	    BATCH)

#define ROW(name, what, pass, each)                                                                \
	static __attribute__((noinline, used)) void count_##name(uint64_t n)                       \
	{                                                                                          \
		for (uint64_t i = 0; i < n; i += (each))                                           \
			pass;                                                                      \
	}
COUNTS(ROW)
#undef ROW

static const struct {
	const char *name, *what;
	void (*run)(uint64_t n);
} counts[] = {
#define ROW(name, what, pass, each) { #name, what, count_##name },
	COUNTS(ROW)
#undef ROW
};

/* --- set up ------------------------------------------------------------------------------- */

static void open_flow(struct tarn_region *region)
{
	const struct tarn_section_opts section_opts = { 0 };
	struct tarn_arena_opts arena_opts = { 0 };

	must("ring", tarn_ring_open(region, "ring", TARN_RING_PRODUCER,
				    &(struct tarn_ring_opts){ .capacity = 8 << 20 }, &at.producer));
	must("ring", tarn_ring_open(region, "ring", TARN_RING_CONSUMER, NULL, &at.consumer));
	must("section", tarn_section_open(region, "section", &section_opts, &at.section));
	arena_opts.section = at.section;
	must("arena", tarn_arena_open(region, "arena", &arena_opts, &at.arena));
}

static void open_locks(struct tarn_region *region)
{
	const struct tarn_mutex_opts mutex_opts = { 0 };
	const struct tarn_rwlock_opts rwlock_opts = { 0 };
	const struct tarn_sem_opts counted = { .value = 1 };
	const struct tarn_sem_opts owned = { .value = 1, .flags = TARN_SEM_OWNED };
	const struct tarn_cond_opts cond_opts = { 0 };
	const struct tarn_barrier_opts barrier_opts = { .count = 1 };
	const struct tarn_event_opts event_opts = { 0 };
	const struct tarn_once_opts once_opts = { 0 };
	const struct tarn_spin_opts spin_opts = { 0 };
	const struct tarn_seqlock_opts seqlock_opts = { 0 };

	must("mutex", tarn_mutex_open(region, "mutex", &mutex_opts, &at.mutex));
	must("rwlock", tarn_rwlock_open(region, "rwlock", &rwlock_opts, &at.rwlock));
	must("semaphore", tarn_sem_open(region, "counted", &counted, &at.counted));
	must("semaphore", tarn_sem_open(region, "owned", &owned, &at.owned));
	must("condition variable", tarn_cond_open(region, "cond", &cond_opts, &at.cond));
	must("barrier", tarn_barrier_open(region, "barrier", &barrier_opts, &at.barrier));
	must("barrier", tarn_barrier_join(at.barrier, NULL));
	must("event", tarn_event_open(region, "event", &event_opts, &at.event));
	must("once", tarn_once_open(region, "once", &once_opts, &at.once));
	must("spin lock", tarn_spin_open(region, "spin", &spin_opts, &at.spin));
	must("seqlock", tarn_seqlock_open(region, "seqlock", &seqlock_opts, &at.seqlock));
}

static void open_topic(struct tarn_region *region, const char *name, uint64_t lane_size,
		       uint32_t flags, struct tarn_publisher **ret_publisher,
		       struct tarn_subscriber **ret_subscriber)
{
	const struct tarn_topic_opts opts = { .lane_size = lane_size, .flags = flags };
	const struct tarn_topic_opts subscriber_opts = { 0 };

	must("publisher", tarn_publisher_open(region, name, &opts, ret_publisher));
	must("subscriber", tarn_subscriber_open(region, name, &subscriber_opts, ret_subscriber));
}

static void open_values(struct tarn_region *region)
{
	const struct tarn_latest_opts opts = { .size = 64 };

	must("latest value", tarn_latest_open(region, "latest", &opts, &at.latest));
	open_topic(region, "bare", 1 << 20, TARN_TOPIC_NO_TIME, &at.bare, &at.of_bare);
	open_topic(region, "timed", 1 << 20, 0, &at.timed, &at.of_timed);
	open_topic(region, "narrow", 4096, TARN_TOPIC_NO_TIME, &at.narrow, &at.of_narrow);
}

static void open_call(struct tarn_region *region)
{
	const struct tarn_call_opts opts = { .clients = 1 };

	must("service", tarn_service_open(region, "service", &opts, &at.service));
	must("client", tarn_client_open(region, "service", NULL, &at.client));
}

static void open_all(void)
{
	const struct tarn_region_opts opts = { .size = 16 << 20 };
	void *data;

	must("region", tarn_region_create("anon:", &opts, &at.region));
	must("words",
	     tarn_object_create(at.region, "words", WORDS * sizeof(uint64_t), &data, NULL));
	at.words = data;
	open_flow(at.region);
	open_locks(at.region);
	open_values(at.region);
	open_call(at.region);
	for (size_t i = 0; i < BATCH; i++)
		bufs[i] = (struct tarn_buf){ mine, 8 };
	for (size_t i = 0; i < BATCH; i++)
		values[i] = (struct tarn_buf){ mine, 64 };
}

int main(void)
{
	static const uint64_t passes[] = { WARM, FEW, MANY };
	const size_t count = sizeof(counts) / sizeof(*counts);

	open_all();
	for (size_t round = 0; round < sizeof(passes) / sizeof(*passes); round++) {
		for (size_t i = 0; i < count; i++)
			counts[i].run(passes[round]);
	}
	for (size_t i = 0; i < count; i++)
		printf("%s\t%s\n", counts[i].name, counts[i].what);
#ifdef __clang__
	printf("built\tclang %d.%d.%d\n", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
	printf("built\tgcc %d.%d.%d\n", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
	printf("passes\t%d\n", MANY - FEW);
	return 0;
}
