/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic.c - make, open and close topics and lanes, and what publishers and subscribers have in
 * common. The bytes, their owners and the ordering are drawn in topic.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/topic.h"
#include "region/trace.h"

/* --- the topic ----------------------------------------------------------------------------- */

static uint32_t check_of(const struct topic_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct topic_shm, check), TARN__FNV32_BASIS);
}

struct fresh {
	const struct tarn_type *type; /* NULL: none */
	uint32_t type_size;
};

static void init_topic(void *behind, uint64_t size, void *arg)
{
	const struct fresh *fresh = arg;
	struct topic_shm *shm = behind;

	(void)size;
	memset(shm, 0, sizeof(*shm));
	shm->magic = TOPIC_MAGIC;
	shm->type_size = fresh->type_size;
	shm->check = check_of(shm);
	if (fresh->type != NULL)
		tarn__type_write(fresh->type, (unsigned char *)(shm + 1), fresh->type_size);
}

static int check_opts(const char *name, const struct tarn_topic_opts *opts)
{
	const uint32_t flags =
		TARN_TOPIC_LOSSY | TARN_TOPIC_LATEST | TARN_TOPIC_NO_TIME | TARN_TOPIC_EXISTING;

	if (opts->lane_size != 0 &&
	    (!tarn__is_pow2(opts->lane_size) || opts->lane_size < LANE_SIZE_MIN ||
	     opts->lane_size > LANE_SIZE_MAX))
		return tarn__diag(opts->diag, -EINVAL,
				  "topic %s: a lane of %" PRIu64
				  " bytes: it is a power of two, %" PRIu64 " to %" PRIu64,
				  name, opts->lane_size, LANE_SIZE_MIN, LANE_SIZE_MAX);
	if ((opts->flags & ~flags) != 0)
		return tarn__diag(
			opts->diag, -EINVAL,
			"topic %s: flags 0x%" PRIx32
			": TARN_TOPIC_LOSSY (1), LATEST (2), NO_TIME (4) and EXISTING (8) are "
			"possible",
			name, opts->flags);
	if (opts->patience_ns < 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "topic %s: a patience of %" PRId64 " ns: it is 0 or more", name,
				  opts->patience_ns);
	if (opts->reserved[0] != 0 || opts->reserved[1] != 0)
		return tarn__diag(opts->diag, -EINVAL, "topic %s: reserved options are not zero",
				  name);
	return 0;
}

static int check_name(const char *name, struct tarn_diag *diag)
{
	if (name != NULL && strnlen(name, TARN_OBJECT_NAME_MAX + 1) > TARN_TOPIC_NAME_MAX)
		return tarn__diag(diag, -EINVAL,
				  "a topic's name has 1 to %d bytes, since those of its lanes are "
				  "longer; this one more",
				  TARN_TOPIC_NAME_MAX);
	if (name != NULL && strchr(name, ':') != NULL)
		return tarn__diag(diag, -EINVAL,
				  "topic %s: ':' is not possible in its name, since its lanes are "
				  "named TOPIC:NUMBER",
				  name);
	return 0;
}

int tarn__topic_header(struct topic *topic, struct tarn_diag *diag)
{
	struct prim *prim = &topic->prim;
	uint64_t off = sizeof(struct section_shm) + (uint64_t)TOPIC_SEATS * SECTION_UNIT;

	static_assert(
		(sizeof(struct section_shm) + TOPIC_SEATS * SECTION_UNIT) % TARN__CACHE_LINE == 0,
		"the header is at a line");
	if (prim->seat_count != TOPIC_SEATS ||
	    off + sizeof(struct topic_shm) > prim->sec.object.size)
		return tarn__diag(diag, -EUCLEAN, "topic %s: its header is damaged (units)",
				  prim->sec.name);
	topic->shm = (struct topic_shm *)(void *)((unsigned char *)prim->sec.shm + off);
	topic->type_size = topic->shm->type_size;
	if (topic->shm->magic != TOPIC_MAGIC || topic->shm->check != check_of(topic->shm) ||
	    topic->type_size > TARN__TYPE_SIZE_MAX ||
	    off + sizeof(struct topic_shm) + topic->type_size > prim->sec.object.size)
		return tarn__diag(diag, -EUCLEAN, "topic %s: its header is damaged (type_size)",
				  prim->sec.name);
	return 0;
}

int tarn__topic_describe(const struct topic *topic, struct tarn_type **ret_type)
{
	const char *fault;

	return topic->type_size == 0 ? -ENOENT
				     : tarn__type_read((const unsigned char *)(topic->shm + 1),
						       topic->type_size, ret_type, &fault);
}

/* How large messages are as a handle knows them that wants them to be of @type (NULL: any). */
static int fit(struct topic *topic, const struct tarn_type *type, struct tarn_diag *diag)
{
	const char *name = topic->prim.sec.name;
	struct tarn_type *there;
	int r = tarn__topic_describe(topic, &there);

	topic->least = 0;
	topic->most = UINT32_MAX;
	if (r == -ENOENT && type == NULL)
		return 0;
	if (r == -ENOENT) {
		tarn__diag(diag, -EPROTO, "topic %s has no type; asked was %s", name, type->name);
		tarn__diag_hint(diag, "open it without a type, or remove it and create it anew");
		return -EPROTO;
	}
	if (r < 0)
		return tarn__diag(diag, r,
				  r == -EUCLEAN ? "topic %s: its description is damaged"
						: "topic %s: no memory for its description",
				  name);
	topic->least = topic->most = there->size;
	if (type != NULL) {
		r = tarn_type_compare(type, there, diag);
		topic->least = topic->most = type->size;
	}
	tarn_type_free(there);
	return r < 0 ? r : 0;
}

static void topic_forked(struct tarn__forkable *self)
{
	struct topic *topic =
		(struct topic *)(void *)((char *)self - offsetof(struct topic, forkable));

	topic->stale = true;
	topic->limit = 0;
}

int tarn__topic_open(struct tarn_region *region, const char *name, size_t handle,
		     const struct tarn_topic_opts *opts, struct topic **ret_topic)
{
	struct fresh fresh = { .type = opts != NULL ? opts->type : NULL };
	struct prim_want want = {
		.kind = TARN_OBJECT_TOPIC,
		.seats = TOPIC_SEATS,
		.make = opts != NULL && (opts->flags & TARN_TOPIC_EXISTING) == 0,
		.any = true,
		.handle = handle,
		.init_behind = init_topic,
		.arg = &fresh,
		.diag = opts != NULL ? opts->diag : NULL,
	};
	struct topic *topic;
	struct prim *prim;
	int r = check_name(name, want.diag);

	if (r == 0 && opts != NULL)
		r = check_opts(name, opts);
	if (r == 0 && fresh.type != NULL)
		r = tarn__type_measure(fresh.type, &fresh.type_size, want.diag);
	if (r < 0)
		return r;
	want.behind = sizeof(struct topic_shm) + fresh.type_size;
	r = tarn__prim_open(region, name, &want, &prim);
	if (r < 0)
		return r;
	topic = (struct topic *)prim;
	topic->seat = UINT32_MAX;
	r = tarn__topic_header(topic, want.diag);
	if (r == 0)
		r = fit(topic, fresh.type, want.diag);
	if (r < 0) {
		tarn__prim_close(prim);
		return r;
	}
	topic->special = topic->fence = tarn__plat_membarrier_register() < 0;
	topic->comings = &topic->shm->comings;
	topic->forkable.forked = topic_forked;
	tarn__region_enter_to_leave(region);
	tarn__fork_add(region, &topic->forkable);
	tarn__region_leave(region);
	*ret_topic = topic;
	return 0;
}

int tarn__topic_where(const struct tarn_region *region, const char *name,
		      const struct tarn_topic_opts *opts)
{
	bool apart = opts != NULL && opts->socket_dir != NULL;

	if (apart != (region != NULL))
		return apart;
	return tarn__diag(opts != NULL ? opts->diag : NULL, -EINVAL,
			  apart ? "topic %s: it is either in a region or in a directory of sockets"
				: "topic %s: neither a region nor a directory of sockets is given",
			  name != NULL ? name : "");
}

int tarn__topic_apart(const char *name, size_t handle, const struct tarn_topic_opts *opts,
		      struct topic **ret_topic)
{
	struct topic *topic;
	int r = check_name(name, opts->diag);

	if (r == 0)
		r = check_opts(name, opts);
	if (r < 0)
		return r;
	topic = calloc(1, handle);
	if (topic == NULL)
		return tarn__diag(opts->diag, -ENOMEM, "topic %s: no memory", name);
	topic->seat = UINT32_MAX;
	topic->least = 0;
	topic->most = UINT32_MAX;
	if (opts->type != NULL)
		topic->least = topic->most = opts->type->size;
	topic->fence = tarn__plat_membarrier_register() < 0;
	topic->special = true;
	snprintf(topic->prim.sec.name, sizeof(topic->prim.sec.name), "%s", name);
	*ret_topic = topic;
	return 0;
}

static void say_gone(struct topic *topic)
{
	bool publishes = topic->seat < TARN_TOPIC_PUBLISHERS_MAX;

	tarn__trace(topic->prim.sec.region, TARN_TRACE_GO, &topic->prim.sec.object,
		    publishes ? TARN_TRACE_PUBLISHER : TARN_TRACE_SUBSCRIBER,
		    publishes ? topic->seat : topic->seat - TARN_TOPIC_PUBLISHERS_MAX);
}

void tarn__topic_close(struct topic *topic)
{
	struct tarn_region *region = topic->prim.sec.region;

	if (region == NULL) {
		free(topic);
		return;
	}
	if (topic->seat != UINT32_MAX && !topic->stale) {
		(void)tarn__seat_give(&topic->prim, &topic->prim.seats[topic->seat]);
		tarn__prim_ring(&topic->prim, INT32_MAX);
		say_gone(topic);
	}
	tarn__region_enter_to_leave(region);
	tarn__fork_remove(region, &topic->forkable);
	tarn__region_leave(region);
	tarn__prim_close(&topic->prim);
}

int tarn_topic_describe(struct tarn_region *region, const char *name, struct tarn_type **ret_type)
{
	struct topic *topic;
	int r = tarn__topic_open(region, name, sizeof(*topic), NULL, &topic);

	if (r < 0)
		return r;
	r = tarn__topic_describe(topic, ret_type);
	tarn__topic_close(topic);
	return r;
}

/* --- lanes --------------------------------------------------------------------------------- */

static uint32_t lane_check_of(const struct lane_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct lane_shm, check), TARN__FNV32_BASIS);
}

void tarn__lane_init(unsigned char *base, uint64_t capacity)
{
	struct lane_shm *shm = (struct lane_shm *)(void *)base;

	memset(shm, 0, sizeof(*shm) + sizeof(struct message_shm)); /* and the first header */
	shm->magic = LANE_MAGIC;
	shm->version = LANE_VERSION;
	shm->capacity = capacity;
	shm->check = lane_check_of(shm);
	atomic_init(&shm->oldest, capacity);
}

static void init_lane(unsigned char *base, uint64_t size, void *arg)
{
	const uint64_t *capacity = arg;

	(void)size;
	tarn__lane_init(base, *capacity);
}

int tarn__lane_at(const struct tarn__object *object, struct lane *ret_lane)
{
	struct lane_shm *shm = (struct lane_shm *)(void *)object->base;
	uint64_t capacity;

	if (object->size < sizeof(*shm))
		return -EUCLEAN;
	capacity = shm->capacity;
	if (shm->magic != LANE_MAGIC || shm->check != lane_check_of(shm))
		return -EUCLEAN;
	if (shm->version != LANE_VERSION)
		return -EPROTO;
	if (!tarn__is_pow2(capacity) || capacity < LANE_SIZE_MIN || capacity > LANE_SIZE_MAX ||
	    sizeof(*shm) + capacity > object->size) /* I1 */
		return -EUCLEAN;
	*ret_lane = (struct lane){ .shm = shm,
				   .messages = shm->messages,
				   .capacity = capacity,
				   .mask = capacity - 1,
				   .part_shift = (uint32_t)__builtin_ctzll(capacity) - PART_BITS,
				   .object = *object };
	return 0;
}

static int open_entered(struct topic *topic, uint32_t place, uint64_t capacity,
			struct lane *ret_lane, struct tarn_diag *diag)
{
	struct tarn_region *region = topic->prim.sec.region;
	const struct tarn__object_want want = {
		.kind = TARN_OBJECT_LANE,
		.size = sizeof(struct lane_shm) + capacity,
		.init = init_lane,
		.arg = &capacity,
	};
	struct tarn__object object;
	char name[sizeof(topic->prim.sec.name) + 12];
	int r;

	snprintf(name, sizeof(name), "%s:%" PRIu32, topic->prim.sec.name, place);
	r = tarn__object_find_or_make(region, name, &want, capacity != 0, &object, diag);
	if (r < 0)
		return r;
	r = tarn__lane_at(&object, ret_lane);
	if (r < 0) {
		tarn__object_drop(region, &object);
		if (r == -EPROTO)
			return tarn__diag(diag, r, "lane %s: its version is not %u", name,
					  LANE_VERSION);
		return tarn__diag(diag, r, "lane %s: its header is damaged", name);
	}
	return 0;
}

/* Has it still the name that its lanes go by? If not, they may be those of another. */
static bool is_named(const struct topic *topic)
{
	const struct tarn__object *object = &topic->prim.sec.object;

	/* seq_cst: behind the lookup of the lane, as D5 in directory.c */
	return atomic_load_explicit(&topic->prim.sec.region->directory[object->index].state,
				    memory_order_seq_cst) == object->state;
}

int tarn__lane_open(struct topic *topic, uint32_t place, uint64_t capacity, struct lane *ret_lane,
		    struct tarn_diag *diag)
{
	struct tarn_region *region = topic->prim.sec.region;
	struct tarn_diag words = { .what = "" }; /* not finding it may yet end well */
	int r = tarn__region_enter(region);

	if (r < 0)
		return r;
	r = open_entered(topic, place, capacity, ret_lane, &words);
	if (r == 0 && !is_named(topic)) {
		tarn__object_drop(region, &ret_lane->object);
		memset(ret_lane, 0, sizeof(*ret_lane));
		r = tarn__diag(&words, -ENOENT, "topic %s: it was removed meanwhile",
			       topic->prim.sec.name);
		tarn__diag_hint(&words, "open it again, if it has been made anew");
	}
	tarn__region_leave(region);
	return tarn__diag_pass(diag, &words, r);
}

void tarn__lane_close(struct topic *topic, struct lane *lane)
{
	struct tarn_region *region = topic->prim.sec.region;

	if (lane->shm == NULL)
		return;
	tarn__region_enter_to_leave(region);
	tarn__object_drop(region, &lane->object);
	tarn__region_leave(region);
	lane->shm = NULL;
}

/* --- who is there -------------------------------------------------------------------------- */

void tarn__raise32(_Atomic uint32_t *word, uint32_t value)
{
	/* relaxed: decided by the exchange */
	uint32_t now = atomic_load_explicit(word, memory_order_relaxed);

	/* seq_cst: before the seat, or the lane, that it is about */
	for (int tries = 0; tries < PRIM_TRIES && now < value; tries++)
		if (atomic_compare_exchange_strong_explicit(word, &now, value, memory_order_seq_cst,
							    memory_order_relaxed))
			return;
}

static bool sits(struct topic *topic, struct seat_shm *seat)
{
	/* seq_cst: who waits for somebody has said so before */
	uint32_t id = atomic_load_explicit(&seat->id, memory_order_seq_cst);

	return id != 0 && !tarn__seat_dead(&topic->prim, id, true);
}

uint32_t tarn__topic_subscribers(struct topic *topic)
{
	/* acquire: the seats that it counts were there before */
	uint32_t seats = atomic_load_explicit(&topic->shm->seats, memory_order_acquire), count = 0;

	for (uint32_t i = 0; i < seats && i < TARN_TOPIC_SUBSCRIBERS_MAX; i++) {
		struct seat_shm *seat = subscriber_seat(topic, i);

		if (sits(topic, seat)) {
			/* acquire: where it begins was stored before that it has come */
			uint32_t how = atomic_load_explicit(&seat->value, memory_order_acquire);

			count += how == LOSSLESS || is_lossy(how);
		}
	}
	return count;
}

uint32_t tarn__topic_publishers(struct topic *topic)
{
	/* acquire: as above */
	uint32_t lanes = atomic_load_explicit(&topic->shm->lanes, memory_order_acquire), count = 0;

	for (uint32_t i = 0; i < lanes && i < TARN_TOPIC_PUBLISHERS_MAX; i++)
		count += sits(topic, publisher_seat(topic, i));
	return count;
}
