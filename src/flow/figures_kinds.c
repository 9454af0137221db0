/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * figures_kinds.c - of each kind of object the metrics, and where their words are. What is loaded
 * may be of different moments; each word is checked or clamped before it is used.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "flow/figures.h"
#include "sync/listen.h"

#define COUNTER(name, unit, bits, help)                                                            \
	{                                                                                          \
		{ name, unit, help, TARN_METRIC_COUNTER, 0, 0 }, bits                              \
	}
#define GAUGE(name, unit, help)                                                                    \
	{                                                                                          \
		{ name, unit, help, TARN_METRIC_GAUGE, 0, 0 }, 64                                  \
	}
#define KIND(kind, open_it)                                                                        \
	{                                                                                          \
		.list = kind##_list, .count = sizeof(kind##_list) / sizeof(*kind##_list),          \
		.open = open_it, .read = read_##kind                                               \
	}

const struct figure tarn__figures_common[FIGURES_COMMON] = {
	GAUGE("size_bytes", "bytes", "of the object"),
	GAUGE("holders", "", "members that live and have it open"),
};

static uint32_t load(const _Atomic uint32_t *word)
{
	/* acquire: in the order of the program; what it counts is of others */
	return atomic_load_explicit(word, memory_order_acquire);
}

static uint64_t load_wide(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire); /* as above */
}

static int say(const struct figures *f, const char *noun, const char *fault, uint32_t version,
	       struct tarn_diag *diag)
{
	if (fault == NULL)
		return 0;
	if (strcmp(fault, "version") == 0)
		return tarn__diag(diag, -EPROTO, "%s %s: its version is not %" PRIu32, noun,
				  f->c.prim.sec.name, version);
	return tarn__diag(diag, -EUCLEAN, "%s %s: its header is damaged (%s)", noun,
			  f->c.prim.sec.name, fault);
}

/* --- ring ---------------------------------------------------------------------------------- */

static const struct figure ring_list[] = {
	COUNTER("written_bytes_total", "bytes", 35, "of records, headers and padding; modulo 2^35"),
	COUNTER("read_bytes_total", "bytes", 35, "the same, that were removed; modulo 2^35"),
	GAUGE("used_bytes", "bytes", "of them, that were not removed yet"),
	COUNTER("producer_waits_total", "", 32, "that slept for want of room; modulo 2^32"),
	COUNTER("consumer_waits_total", "", 32, "that slept for want of records; modulo 2^32"),
	COUNTER("recoveries_total", "", 32, "of either side, whose owner had died; modulo 2^32"),
};

static int open_ring(struct figures *f, struct tarn_diag *diag)
{
	const struct ring_shm *shm = (const struct ring_shm *)(void *)f->object.base;
	const char *fault =
		f->object.size < sizeof(*shm) ? "size" : tarn__ring_fault(shm, f->object.size);

	f->capacity = fault == NULL ? shm->capacity : 0;
	if (fault == NULL && (!tarn__is_pow2(f->capacity) ||
			      f->capacity > (f->object.size - sizeof(*shm)) / RING_UNIT))
		fault = "capacity";
	return say(f, "ring", fault, RING_VERSION, diag);
}

static int read_ring(struct figures *f, uint64_t *values)
{
	struct ring_shm *shm = (struct ring_shm *)(void *)f->object.base;
	/* head first, so that the tail read after it is not behind it */
	uint32_t head = load(&shm->head.pos), tail = load(&shm->tail.pos), used = tail - head;

	/* What was published and not yet counted may have been removed. Beside who moves both, used
	 * may be anything. */
	if (used >= f->capacity && used < UINT32_MAX - f->capacity &&
	    load(&shm->head.pos) == head && load(&shm->tail.pos) == tail)
		return -EUCLEAN; /* I2 */
	if (used > UINT32_MAX / 2)
		used = 0;
	values[0] = (uint64_t)tail * RING_UNIT;
	values[1] = (uint64_t)head * RING_UNIT;
	values[2] = (uint64_t)(used < f->capacity ? used : f->capacity) * RING_UNIT;
	values[3] = load(&shm->producer.waits);
	values[4] = load(&shm->consumer.waits);
	values[5] = (uint64_t)load(&shm->producer.deaths) + load(&shm->consumer.deaths);
	return 0;
}

/* --- section, primitives ------------------------------------------------------------------- */

#define WAITS      COUNTER("waits_total", "", 32, "that slept; modulo 2^32")
#define RECOVERIES COUNTER("recoveries_total", "", 32, "owners that died; modulo 2^32")
#define FREED      COUNTER("freed_total", "", 32, "places of the dead that were freed; modulo 2^32")
#define BUSY       GAUGE("busy", "", "1: somebody has it")

static int open_section(struct figures *f, struct tarn_diag *diag)
{
	char name[TARN_OBJECT_NAME_MAX + 1];

	memcpy(name, f->c.prim.sec.name, sizeof(name)); /* it is cleared */
	return tarn__section_handle(f->c.prim.sec.region, &f->object, name, &f->c.prim.sec, diag);
}

static int open_prim(struct figures *f, struct tarn_diag *diag)
{
	char name[TARN_OBJECT_NAME_MAX + 1];

	if (f->object.size < sizeof(struct section_shm))
		return say(f, tarn__prim_noun(f->c.prim.kind), "size", PRIM_VERSION, diag);
	memcpy(name, f->c.prim.sec.name, sizeof(name)); /* it is cleared */
	return tarn__prim_handle(f->c.prim.sec.region, &f->object, f->c.prim.kind, name, &f->c.prim,
				 diag);
}

static struct section_shm *lock_of(const struct figures *f)
{
	return f->c.prim.sec.shm;
}

static uint64_t waits(const struct figures *f)
{
	return load(&lock_of(f)->waited);
}

static uint64_t recoveries(const struct figures *f)
{
	return load(&lock_of(f)->recovered);
}

static uint64_t freed(const struct figures *f)
{
	return load(&lock_of(f)->aborted);
}

/* How often it was entered: seq is odd while somebody is inside. */
static uint64_t entries(const struct figures *f)
{
	return ((uint64_t)load(&lock_of(f)->seq) + 1) / 2;
}

static uint64_t busy(const struct figures *f)
{
	return (load(&lock_of(f)->lock) & ~TARN__ID_FLAG) != 0;
}

/* Seats that are taken. */
static uint64_t seated(const struct figures *f)
{
	uint64_t count = 0;

	for (uint32_t at = 0; at < f->c.prim.seat_count; at++)
		count += load(&f->c.prim.seats[at].id) != 0;
	return count;
}

static const struct figure section_list[] = {
	COUNTER("entries_total", "", 31, "passes; modulo 2^31"),
	WAITS,
	COUNTER("rollbacks_total", "", 32, "that its owner has asked for; modulo 2^32"),
	COUNTER("recoveries_total", "", 32, "changes of the dead that were undone; modulo 2^32"),
	BUSY,
};

static int read_section(struct figures *f, uint64_t *values)
{
	values[0] = entries(f);
	values[1] = waits(f);
	values[2] = freed(f); /* the same word */
	values[3] = recoveries(f);
	values[4] = busy(f);
	return 0;
}

static const struct figure mutex_list[] = {
	COUNTER("locks_total", "", 31, "how often it was locked; modulo 2^31"),
	WAITS,
	RECOVERIES,
	BUSY,
};

static int read_mutex(struct figures *f, uint64_t *values)
{
	values[0] = entries(f);
	values[1] = waits(f);
	values[2] = recoveries(f);
	values[3] = busy(f);
	return 0;
}

static const struct figure spin_list[] = {
	WAITS,
	RECOVERIES,
	BUSY,
};

static int read_spin(struct figures *f, uint64_t *values)
{
	values[0] = waits(f);
	values[1] = recoveries(f);
	values[2] = busy(f);
	return 0;
}

static const struct figure rwlock_list[] = {
	COUNTER("write_locks_total", "", 31, "how often it was locked to write; modulo 2^31"),
	GAUGE("readers", "", "read locks that are taken"),
	WAITS,
	RECOVERIES,
	FREED,
	GAUGE("busy", "", "1: a writer has it"),
};

static int read_rwlock(struct figures *f, uint64_t *values)
{
	values[0] = entries(f);
	values[1] = seated(f);
	values[2] = waits(f);
	values[3] = recoveries(f);
	values[4] = freed(f);
	values[5] = busy(f);
	return 0;
}

static const struct figure sem_list[] = {
	GAUGE("free_permits", "", "that nobody has"),
	WAITS,
	FREED,
};

static int read_sem(struct figures *f, uint64_t *values)
{
	values[0] = f->c.prim.seat_count != 0 ? f->c.prim.seat_count - seated(f)
					      : load(&lock_of(f)->state);
	values[1] = waits(f);
	values[2] = freed(f);
	return 0;
}

static const struct figure event_list[] = {
	COUNTER("sets_total", "", 31, "how often it was set; modulo 2^31"),
	GAUGE("set", "", "1: it is"),
	WAITS,
};

static int read_event(struct figures *f, uint64_t *values)
{
	uint32_t state = load(&lock_of(f)->state);

	values[0] = state >> 1;
	values[1] = state & 1;
	values[2] = waits(f);
	return 0;
}

static const struct figure barrier_list[] = {
	COUNTER("rounds_total", "", 20, "that are over; modulo 2^20"),
	WAITS,
	FREED,
};

static int read_barrier(struct figures *f, uint64_t *values)
{
	values[0] = load(&lock_of(f)->state) >> 12;
	values[1] = waits(f);
	values[2] = freed(f);
	return 0;
}

static const struct figure cond_list[] = {
	WAITS,
	FREED,
};

static int read_cond(struct figures *f, uint64_t *values)
{
	values[0] = waits(f);
	values[1] = freed(f);
	return 0;
}

static const struct figure once_list[] = {
	GAUGE("done", "", "1: it is"),
	WAITS,
	RECOVERIES,
};

static int read_once(struct figures *f, uint64_t *values)
{
	values[0] = load(&lock_of(f)->state) == 1;
	values[1] = waits(f);
	values[2] = recoveries(f);
	return 0;
}

static const struct figure seqlock_list[] = {
	COUNTER("writes_total", "", 31, "how often it was locked to write; modulo 2^31"),
	WAITS,
	RECOVERIES,
};

static int read_seqlock(struct figures *f, uint64_t *values)
{
	values[0] = entries(f);
	values[1] = waits(f);
	values[2] = recoveries(f);
	return 0;
}

/* --- latest value -------------------------------------------------------------------------- */

static const struct figure latest_list[] = {
	COUNTER("values_total", "", 64, "that were written"),
	GAUGE("value_bytes", "bytes", "of the newest value"),
	GAUGE("held", "", "places that hold a value"),
	WAITS,
	RECOVERIES,
	FREED,
};

static int open_latest(struct figures *f, struct tarn_diag *diag)
{
	int r = open_prim(f, diag);

	if (r < 0)
		return r;
	f->latest.prim = f->c.prim;
	return tarn__latest_geometry(&f->latest, NULL, diag);
}

static int read_latest(struct figures *f, uint64_t *values)
{
	struct tarn_latest_stat stat;
	int r = tarn_latest_stat(&f->latest, &stat);

	if (r < 0)
		return r;
	values[0] = stat.number;
	values[1] = stat.size;
	values[2] = stat.holders;
	values[3] = waits(f);
	values[4] = recoveries(f);
	values[5] = freed(f);
	return 0;
}

/* --- topic --------------------------------------------------------------------------------- */

#define PUBLISHER_WAITS                                                                            \
	COUNTER("publisher_waits_total", "", 32, "that slept for want of room; modulo 2^32")

static const struct figure lane_list[] = {
	COUNTER("messages_total", "", 64, "that were published"),
	COUNTER("message_bytes_total", "bytes", 64, "up to the newest, headers and padding too"),
	PUBLISHER_WAITS,
};

static int open_lane(struct figures *f, struct tarn_diag *diag)
{
	int r = tarn__lane_at(&f->object, &f->lane);

	return r == 0 ? 0
		      : say(f, "lane", r == -EPROTO ? "version" : "capacity", LANE_VERSION, diag);
}

/* Both words only grow. */
static int add_lane(const struct lane *lane, uint64_t values[3])
{
	uint64_t last = load_wide(&lane->shm->last), counted = load_wide(&lane->shm->counted);

	if (last != 0 && (last < lane->capacity || last >= POS_MAX))
		return -EUCLEAN;
	values[0] += counted;
	values[1] += last != 0 ? last - lane->capacity : 0;
	values[2] += load(&lane->shm->slept);
	return 0;
}

static int read_lane(struct figures *f, uint64_t *values)
{
	return add_lane(&f->lane, values);
}

static const struct figure topic_list[] = {
	COUNTER("messages_total", "", 64, "that were published"),
	COUNTER("message_bytes_total", "bytes", 64, "up to the newest, headers and padding too"),
	PUBLISHER_WAITS,
	COUNTER("subscriber_waits_total", "", 32, "that slept for a message; modulo 2^32"),
	FREED,
	GAUGE("publishers", "", "that live"),
	GAUGE("subscribers", "", "that live"),
	GAUGE("missed", "", "messages that those subscribers have missed which are there"),
};

static int open_topic(struct figures *f, struct tarn_diag *diag)
{
	int r = open_prim(f, diag);

	f->topic.seat = UINT32_MAX;
	if (r < 0)
		return r;
	f->topic.prim = f->c.prim;
	return tarn__topic_header(&f->topic, diag);
}

/* What those have missed of the lane who take from it. */
static uint64_t missed_of(struct figures *f, const struct lane *lane)
{
	uint32_t seats = load(&f->topic.shm->seats);
	uint64_t missed = 0;

	for (uint32_t i = 0; i < seats && i < TARN_TOPIC_SUBSCRIBERS_MAX; i++) {
		struct seat_shm *seat = subscriber_seat(&f->topic, i);
		uint32_t how = load(&seat->value);

		if (load(&seat->id) != 0 && how != SUBSCRIBES_NOT && how != COMING)
			missed += load_wide(&lane->shm->lows[i].missed);
	}
	return missed;
}

/* The number of the lane, if the object is one of the topic's; else UINT32_MAX. */
static uint32_t place_of_lane(const struct figures *f, const struct entry *entry)
{
	const char *name = f->c.prim.sec.name;
	size_t length = strlen(name);
	char wanted[TARN__NAME_SIZE + 12];

	if (entry->kind != TARN_OBJECT_LANE || strncmp(entry->name, name, length) != 0 ||
	    entry->name[length] != ':')
		return UINT32_MAX;
	for (uint32_t i = 0; i < TARN_TOPIC_PUBLISHERS_MAX; i++) {
		snprintf(wanted, sizeof(wanted), "%s:%" PRIu32, name, i);
		if (strncmp(wanted, entry->name, TARN__NAME_SIZE) == 0)
			return i;
	}
	return UINT32_MAX;
}

static int read_topic(struct figures *f, uint64_t *values)
{
	struct tarn_region *region = f->c.prim.sec.region;
	struct entry entry;

	values[3] = waits(f);
	values[4] = freed(f);
	values[5] = tarn__topic_publishers(&f->topic);
	values[6] = tarn__topic_subscribers(&f->topic);
	for (uint32_t i = 0; i < region->object_max; i++) {
		uint32_t state = tarn__entry_read(region, i, &entry);
		struct lane lane;
		int r;

		if ((state & 3u) != TARN__ENTRY_LIVE ||
		    tarn__entry_fault(region, i, &entry) != NULL ||
		    place_of_lane(f, &entry) == UINT32_MAX)
			continue;

		const struct tarn__object object = { .off = entry.off,
						     .size = entry.size,
						     .base = region->base + entry.off };

		/* Lanes go with their topic, which is looked at behind this. */
		r = tarn__lane_at(&object, &lane);
		if (r == 0)
			r = add_lane(&lane, values);
		if (r < 0)
			return r;
		values[7] += missed_of(f, &lane);
	}
	return 0;
}

/* --- the rest ------------------------------------------------------------------------------ */

static const struct figure arena_list[] = {
	GAUGE("pool_bytes", "bytes", "for blocks, allocated or not"),
	GAUGE("extents", "", "pieces that it consists of"),
};

static int open_arena(struct figures *f, struct tarn_diag *diag)
{
	const struct arena_shm *shm = (const struct arena_shm *)(void *)f->object.base;

	return say(f, "arena",
		   f->object.size < sizeof(*shm)                 ? "size"
		   : shm->magic != ARENA_MAGIC                   ? "magic"
		   : shm->check != tarn__arena_header_check(shm) ? "check"
		   : shm->version != ARENA_VERSION               ? "version"
								 : NULL,
		   ARENA_VERSION, diag);
}

static int read_arena(struct figures *f, uint64_t *values)
{
	const struct arena_shm *shm = (const struct arena_shm *)(void *)f->object.base;

	values[0] = (uint64_t)load((const _Atomic uint32_t *)&shm->pages) << PAGE_SHIFT;
	for (int i = 0; i < EXTENTS_MAX; i++)
		values[1] += load_wide((const _Atomic uint64_t *)&shm->extents[i]) != 0;
	return 0;
}

static const struct figure service_list[] = {
	COUNTER("comings_total", "", 32, "servers and clients that have come; modulo 2^32"),
	GAUGE("servers", "", "that are there, or died there"),
	GAUGE("clients", "", "that are there, or died there"),
	COUNTER("server_waits_total", "", 32, "that slept for a request; modulo 2^32"),
	COUNTER("client_waits_total", "", 32, "that slept for an answer, or room; modulo 2^32"),
	COUNTER("recoveries_total", "", 32, "places whose owner had died; modulo 2^32"),
};

static int open_service(struct figures *f, struct tarn_diag *diag)
{
	const struct service_shm *shm = (const struct service_shm *)(void *)f->object.base;
	const char *fault =
		f->object.size < sizeof(*shm) ? "size" : tarn__service_fault(shm, f->object.size);

	f->capacity = fault == NULL ? shm->clients : 0;
	if (fault == NULL && f->capacity > TARN_SERVICE_CLIENTS_MAX)
		fault = "clients";
	if (fault == NULL && tarn__service_size(f->capacity) > f->object.size)
		fault = "clients";
	return say(f, "service", fault, SERVICE_VERSION, diag);
}

static int read_service(struct figures *f, uint64_t *values)
{
	struct service_shm *shm = (struct service_shm *)(void *)f->object.base;

	values[0] = load(&shm->comings);
	for (uint32_t i = 0; i < TARN_SERVICE_SERVERS_MAX + f->capacity; i++) {
		struct ring_side_shm *side = &shm->places[i].side;
		bool client = i >= TARN_SERVICE_SERVERS_MAX;

		values[1 + client] += load(&side->owner) != 0;
		values[3 + client] += load(&side->waits);
		values[5] += load(&side->deaths);
	}
	return 0;
}

static const struct figure bundle_list[] = {
	COUNTER("request_bytes_total", "bytes", 35, "headers and padding too; modulo 2^35"),
	COUNTER("response_bytes_total", "bytes", 35, "headers and padding too; modulo 2^35"),
};

static int open_bundle(struct figures *f, struct tarn_diag *diag)
{
	const struct bundle_shm *shm = (const struct bundle_shm *)(void *)f->object.base;
	const char *fault =
		f->object.size < sizeof(*shm) ? "size" : tarn__bundle_fault(shm, f->object.size);

	return say(f, "rings", fault, SERVICE_VERSION, diag);
}

static int read_bundle(struct figures *f, uint64_t *values)
{
	struct bundle_shm *shm = (struct bundle_shm *)(void *)f->object.base;
	uint64_t size = tarn__pair_size(shm->request_capacity, shm->response_capacity);

	if ((f->object.size - sizeof(*shm)) / BUNDLE_PAIRS < size)
		return -EUCLEAN;
	for (uint32_t i = 0; i < BUNDLE_PAIRS; i++) {
		struct pair_shm *pair = (struct pair_shm *)(void *)(shm->pairs + i * size);

		values[0] += (uint64_t)load(&pair->request_tail.pos) * RING_UNIT;
		values[1] += (uint64_t)load(&pair->response_tail.pos) * RING_UNIT;
	}
	return 0;
}

static const struct figure changes_list[] = {
	COUNTER("txs_total", "", 32, "that were logged; modulo 2^32"),
	COUNTER("lost_total", "", 32, "of them, without their changes; modulo 2^32"),
	COUNTER("logged_bytes_total", "bytes", 64, "headers and padding too"),
};

static int open_changes(struct figures *f, struct tarn_diag *diag)
{
	const struct changes_shm *shm = (const struct changes_shm *)(void *)f->object.base;

	return say(f, "change log",
		   f->object.size < sizeof(*shm) ? "size"
						 : tarn__changes_fault(shm, f->object.size),
		   CHANGES_VERSION, diag);
}

static int read_changes(struct figures *f, uint64_t *values)
{
	struct changes_shm *shm = (struct changes_shm *)(void *)f->object.base;

	values[0] = load(&shm->txs);
	values[1] = load(&shm->lost);
	values[2] = place_load(&shm->head);
	return 0;
}

static const struct figure dirty_list[] = {
	GAUGE("pages", "", "of 4096 bytes, that it has marks for"),
	GAUGE("dirty_pages", "", "of them, that were changed and not taken since"),
};

static int open_dirty(struct figures *f, struct tarn_diag *diag)
{
	const struct dirty_shm *shm = (const struct dirty_shm *)(void *)f->object.base;
	const char *fault = f->object.size < sizeof(*shm)
				    ? "size"
				    : tarn__dirty_fault(f->c.prim.sec.region, shm, f->object.size);

	f->capacity = fault == NULL ? shm->pages : 0;
	if (fault == NULL && f->capacity > f->object.size - sizeof(*shm))
		fault = "pages";
	return say(f, "dirty map", fault, DIRTY_VERSION, diag);
}

static int read_dirty(struct figures *f, uint64_t *values)
{
	struct dirty_shm *shm = (struct dirty_shm *)(void *)f->object.base;

	values[0] = f->capacity;
	for (uint32_t i = 0; i < f->capacity; i++)
		/* relaxed: for the eye */
		values[1] += atomic_load_explicit(&shm->marks[i], memory_order_relaxed) != 0;
	return 0;
}

static const struct figure region_list[] = {
	GAUGE("members", "", "that live"),
	COUNTER("joins_total", "", 21, "members that have come; modulo 2^21"),
	COUNTER("deaths_total", "", 32, "members that were found dead; modulo 2^32"),
	GAUGE("objects", "", "that it has"),
	GAUGE("size_bytes", "bytes", "for objects"),
	GAUGE("used_bytes", "bytes", "that objects have"),
};

static int read_region(struct figures *f, uint64_t *values)
{
	struct tarn_region *region = f->c.prim.sec.region;
	struct tarn_region_stat stat;
	int r = tarn_region_stat(region, &stat);

	if (r < 0)
		return r;
	values[0] = stat.member_count;
	for (uint32_t slot = 0; slot < region->member_max; slot++)
		values[1] += tarn__id_generation(load(&tarn__member_at(region, slot)->state));
	values[1] &= (1u << 21) - 1;
	values[2] = load(&region->super->deaths);
	values[3] = stat.object_count;
	values[4] = stat.size;
	values[5] = stat.used;
	return 0;
}

/* --- all of them --------------------------------------------------------------------------- */

const struct figures_kind tarn__figures_region = KIND(region, NULL);

static const struct figures_kind kinds[] = {
	[TARN_OBJECT_BYTES] = { NULL, 0, NULL, NULL },
	[TARN_OBJECT_EXTENT] = { NULL, 0, NULL, NULL },
	[TARN_OBJECT_STRUCT] = { NULL, 0, NULL, NULL },
	[TARN_OBJECT_RING] = KIND(ring, open_ring),
	[TARN_OBJECT_SECTION] = KIND(section, open_section),
	[TARN_OBJECT_ARENA] = KIND(arena, open_arena),
	[TARN_OBJECT_CHANGES] = KIND(changes, open_changes),
	[TARN_OBJECT_DIRTY] = KIND(dirty, open_dirty),
	[TARN_OBJECT_MUTEX] = KIND(mutex, open_prim),
	[TARN_OBJECT_RWLOCK] = KIND(rwlock, open_prim),
	[TARN_OBJECT_SEM] = KIND(sem, open_prim),
	[TARN_OBJECT_COND] = KIND(cond, open_prim),
	[TARN_OBJECT_BARRIER] = KIND(barrier, open_prim),
	[TARN_OBJECT_EVENT] = KIND(event, open_prim),
	[TARN_OBJECT_ONCE] = KIND(once, open_prim),
	[TARN_OBJECT_SPIN] = KIND(spin, open_prim),
	[TARN_OBJECT_SEQLOCK] = KIND(seqlock, open_prim),
	[TARN_OBJECT_LATEST] = KIND(latest, open_latest),
	[TARN_OBJECT_TOPIC] = KIND(topic, open_topic),
	[TARN_OBJECT_LANE] = KIND(lane, open_lane),
	[TARN_OBJECT_SERVICE] = KIND(service, open_service),
	[TARN_OBJECT_BUNDLE] = KIND(bundle, open_bundle),
	[TARN_OBJECT_TRACE] = { NULL, 0, NULL, NULL },
};

const struct figures_kind *tarn__figures_kind(uint32_t kind)
{
	return kind == 0 || kind == TARN_OBJECT_COUNTERS || kind >= sizeof(kinds) / sizeof(*kinds)
		       ? NULL
		       : &kinds[kind];
}
