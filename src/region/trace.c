/* SPDX-License-Identifier: BSD-2-Clause */
/* trace.c - a trace is switched on and off, and events are logged: see trace.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "region/trace.h"

/* --- bytes --------------------------------------------------------------------------------- */

uint32_t tarn__trace_check_of(const struct event *event)
{
	const unsigned char *words = (const unsigned char *)event + sizeof(event->check);

	return tarn__fnv32(words, sizeof(*event) - sizeof(event->check), TARN__FNV32_BASIS) | 1;
}

static uint32_t header_check(const struct trace_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct trace_shm, check), TARN__FNV32_BASIS);
}

static bool fits(uint32_t rings, uint32_t events)
{
	return rings >= 1 && rings <= TARN__MEMBERS_MAX && events >= TRACE_EVENTS_MIN &&
	       events <= TARN_TRACE_EVENTS_MAX && tarn__is_pow2(events);
}

static uint64_t bytes_of(uint32_t rings, uint32_t events)
{
	return sizeof(struct trace_shm) + rings * tarn__trace_ring_bytes(events);
}

int tarn__trace_geometry(const struct tarn__object *object, uint32_t *ret_rings,
			 uint32_t *ret_events, const char **ret_field)
{
	struct trace_shm copy;

	*ret_field = "size";
	if (object->size < sizeof(copy))
		return -EUCLEAN;
	memcpy(&copy, object->base, offsetof(struct trace_shm, pad0));
	*ret_field = "magic";
	if (copy.magic != TRACE_MAGIC)
		return -EUCLEAN;
	*ret_field = "check";
	if (copy.check != header_check(&copy))
		return -EUCLEAN;
	*ret_field = "version";
	if (copy.version != TRACE_VERSION)
		return -EPROTO;
	*ret_field = "events";
	if (!fits(copy.rings, copy.events) || bytes_of(copy.rings, copy.events) > object->size)
		return -EUCLEAN; /* I1 */
	*ret_rings = copy.rings;
	*ret_events = copy.events;
	return 0;
}

/* --- logging ------------------------------------------------------------------------------- */

/* The entry that @word names, if it is whole and a trace. */
static bool find_named(const struct tarn_region *region, uint32_t word,
		       struct tarn__object *ret_object)
{
	uint32_t index = (word & TRACE_INDEX_MASK) - 1, state;
	struct entry entry;

	if (index >= region->object_max)
		return false;
	state = tarn__entry_read(region, index, &entry);
	if (state == TARN__ENTRY_FREE || tarn__trace_name(index, state) != word ||
	    entry.kind != TARN_OBJECT_TRACE || tarn__entry_fault(region, index, &entry) != NULL)
		return false;
	*ret_object = (struct tarn__object){ .index = index,
					     .state = state,
					     .off = entry.off,
					     .size = entry.size,
					     .base = region->base + entry.off };
	return true;
}

/* The mutex is ours. What there was stays: another thread may be writing to it. */
static struct trace_at *attach(struct tarn_region *region, uint32_t word)
{
	struct tarn__object object;
	struct trace_at *at;
	const char *field;

	if (region->me == NULL || region->trace_count >= TRACE_AT_MAX ||
	    !find_named(region, word, &object))
		return NULL;
	at = malloc(sizeof(*at));
	if (at == NULL)
		return NULL;
	if (!tarn__object_hold(region, &object) ||
	    tarn__trace_geometry(&object, &at->rings, &at->events, &field) < 0) {
		free(at);
		return NULL;
	}
	at->word = word;
	at->first = object.base + sizeof(struct trace_shm);
	/* relaxed: changed with the mutex held */
	at->older = atomic_load_explicit(&region->trace, memory_order_relaxed);
	region->trace_count++;
	/* release: whoever finds it finds what is in it */
	atomic_store_explicit(&region->trace, at, memory_order_release);
	return at;
}

/* NULL: off, or not now. */
static const struct trace_at *where_to(struct tarn_region *region, bool *ret_first)
{
	/* G2 <- G1 in tarn_trace_on(): the object is there. */
	uint32_t word = atomic_load_explicit(&region->super->trace, memory_order_acquire);
	/* acquire: with what is in it */
	struct trace_at *at = atomic_load_explicit(&region->trace, memory_order_acquire);

	if (word == 0 || (at != NULL && at->word == word))
		return word != 0 ? at : NULL;
	/* Who is logging is inside of anything, and waits for nobody. */
	if (region->observer || pthread_mutex_trylock(&region->mutex) != 0)
		return NULL;
	/* relaxed: changed with the mutex held */
	at = atomic_load_explicit(&region->trace, memory_order_relaxed);
	if (at == NULL || at->word != word) {
		at = attach(region, word);
		*ret_first = at != NULL;
	}
	pthread_mutex_unlock(&region->mutex);
	return at;
}

static void put(struct event_shm *shm, struct event *event)
{
	uint32_t words[TRACE_WORDS];

	event->check = tarn__trace_check_of(event);
	memcpy(words, event, sizeof(words));
	/* relaxed: the words behind it are released */
	atomic_store_explicit(&shm->words[0], 0, memory_order_relaxed);
	for (uint32_t i = 1; i < TRACE_WORDS; i++)
		/* G5 -> G6 in get() */
		atomic_store_explicit(&shm->words[i], words[i], memory_order_release);
	/* G3 -> G4 in get(): all of it is there. */
	atomic_store_explicit(&shm->words[0], words[0], memory_order_release);
}

static void log_to(const struct trace_at *at, struct event *event)
{
	struct trace_ring_shm *ring =
		tarn__trace_ring(at->first, at->events, tarn__id_slot(event->who) % at->rings);

	event->tid = (uint32_t)tarn__plat_tid();
	event->time_ns = tarn__plat_now();
	/* relaxed: it only makes numbers differ */
	event->number = atomic_fetch_add_explicit(&ring->next, 1, memory_order_relaxed);
	put(&ring->events[event->number & (at->events - 1)], event);
}

/* Who joined before it was on says so with its first event: the dead cannot be asked. */
static void introduce(struct tarn_region *region, const struct trace_at *at)
{
	struct tarn_member_stat who;
	struct event event = { .kind = TARN_TRACE_JOIN, .who = region->id, .b = 1 };

	tarn__member_read(region, tarn__id_slot(region->id), &who);
	event.a = (uint32_t)who.pid;
	memcpy(event.text, who.comm, sizeof(who.comm));
	log_to(at, &event);
}

void tarn__trace_log(struct tarn_region *region, uint32_t kind, const struct tarn__object *object,
		     uint64_t a, uint64_t b, const char *text)
{
	bool first = false;
	const struct trace_at *at = where_to(region, &first);
	struct event event = { .kind = kind, .who = region->id, .a = a, .b = b };

	if (at == NULL || event.who == 0)
		return; /* a child that has not joined yet is nobody */
	if (object != NULL)
		event.object = tarn__trace_name(object->index, object->state);
	/* A reader is no event: who reads all the time would push out the rest. */
	if (event.object == at->word && (kind == TARN_TRACE_OPEN || kind == TARN_TRACE_CLOSE))
		return;
	if (text != NULL)
		memcpy(event.text, text, strnlen(text, sizeof(event.text)));
	if (first && kind != TARN_TRACE_JOIN)
		introduce(region, at);
	log_to(at, &event);
}

int tarn_trace_note(struct tarn_region *region, uint32_t code, uint64_t a, uint64_t b,
		    const char *text)
{
	if (region->observer)
		return -EPERM;
	if (code > TARN_TRACE_CODE_MAX)
		return -EINVAL;
	if (!tarn__trace_is_on(region))
		return 0;
	if (TARN__UNLIKELY(region->forked)) {
		int r = tarn__region_enter(region); /* join anew */

		if (r < 0)
			return r;
		tarn__region_leave(region);
	}
	tarn__trace_log(region, TARN_TRACE_NOTE | code << TRACE_KIND_BITS, NULL, a, b, text);
	return 0;
}

void tarn__trace_free(struct tarn_region *region)
{
	/* relaxed: nobody else has the handle any more */
	struct trace_at *at = atomic_load_explicit(&region->trace, memory_order_relaxed);

	while (at != NULL) {
		struct trace_at *older = at->older;

		free(at);
		at = older;
	}
}

/* --- on and off ---------------------------------------------------------------------------- */

static void init_trace(unsigned char *base, uint64_t size, void *arg)
{
	struct trace_shm *shm = (struct trace_shm *)(void *)base;
	const struct trace_shm *fresh = arg;

	(void)size;
	memcpy(shm, fresh, offsetof(struct trace_shm, check));
	shm->check = header_check(shm);
}

/* The region is entered; the object is held. */
static int open_object(struct tarn_region *region, const struct tarn_trace_opts *opts,
		       struct tarn__object *ret_object)
{
	struct trace_shm fresh = { .magic = TRACE_MAGIC,
				   .version = TRACE_VERSION,
				   .rings = opts->rings != 0 ? opts->rings : TRACE_RINGS,
				   .events = opts->events != 0 ? opts->events : TRACE_EVENTS };
	const struct tarn__object_want want = { .kind = TARN_OBJECT_TRACE,
						.size = bytes_of(fresh.rings, fresh.events),
						.zeroed = true,
						.init = init_trace,
						.arg = &fresh };
	uint32_t rings, events;
	const char *field;
	int r;

	if (!fits(fresh.rings, fresh.events) ||
	    (opts->reserved[0] | opts->reserved[1] | opts->reserved[2] | opts->reserved[3]) != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "%" PRIu32 " rings of %" PRIu32 " events: wanted are 1 to %u, a "
				  "power of two from %d to %u, and reserved options that are zero",
				  fresh.rings, fresh.events, TARN__MEMBERS_MAX, TRACE_EVENTS_MIN,
				  TARN_TRACE_EVENTS_MAX);
	r = tarn__object_find_or_make(region, TARN_TRACE_OBJECT, &want, true, ret_object,
				      opts->diag);
	if (r < 0)
		return r;
	r = tarn__trace_geometry(ret_object, &rings, &events, &field);
	if (r < 0)
		tarn__diag(opts->diag, r, "object %s: its header is damaged (%s)",
			   TARN_TRACE_OBJECT, field);
	else if ((opts->rings != 0 && rings != opts->rings) ||
		 (opts->events != 0 && events != opts->events))
		r = tarn__diag(opts->diag, -EEXIST,
			       "there is a trace of %" PRIu32 " rings of %" PRIu32
			       " events; wanted were %" PRIu32 " of %" PRIu32,
			       rings, events, fresh.rings, fresh.events);
	if (r < 0) {
		tarn__diag_hint(opts->diag, "remove " TARN_TRACE_OBJECT " of the region first");
		tarn__object_drop(region, ret_object);
	}
	return r;
}

/* Under the region lock: -EAGAIN, it was removed meanwhile. */
static int switch_on(struct tarn_region *region, const struct tarn__object *object)
{
	struct trace_shm *shm = (struct trace_shm *)(void *)object->base;
	/* relaxed: written under the lock, which is ours */
	uint32_t state =
		atomic_load_explicit(&region->directory[object->index].state, memory_order_relaxed);

	if (state != object->state)
		return -EAGAIN;
	/* relaxed: published by what follows */
	atomic_store_explicit(&shm->offset, (uint64_t)(tarn__plat_realtime() - tarn__plat_now()),
			      memory_order_relaxed);
	/* G1 -> G2 in where_to(): what it names is there. */
	atomic_store_explicit(&region->super->trace, tarn__trace_name(object->index, state),
			      memory_order_release);
	return 0;
}

static int on_entered(struct tarn_region *region, const struct tarn_trace_opts *opts)
{
	enum { TRIES = 100 };
	struct tarn__object object;
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		r = open_object(region, opts, &object);
		if (r < 0)
			return r;
		r = tarn__region_lock(region);
		if (r == 0) {
			r = switch_on(region, &object);
			tarn__region_unlock(region);
		}
		if (r == 0)
			tarn__trace(region, TARN_TRACE_ON, &object, 0, 0);
		tarn__object_drop(region, &object);
	}
	return r == 0 ? 0
		      : tarn__diag(opts->diag, r, "the trace cannot be switched: %s", strerror(-r));
}

int tarn_trace_on(struct tarn_region *region, const struct tarn_trace_opts *opts)
{
	static const struct tarn_trace_opts none;
	struct tarn_diag words = { .what = "" }; /* not finding it, for one, may yet end well */
	struct tarn_trace_opts with = opts != NULL ? *opts : none;
	struct tarn_diag *diag = with.diag;
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return tarn__diag(diag, r,
				  r == -EPERM ? "the region was opened to look on"
					      : "the region cannot be used");
	with.diag = &words;
	r = on_entered(region, &with);
	tarn__region_leave(region);
	return tarn__diag_pass(diag, &words, r);
}

int tarn_trace_off(struct tarn_region *region)
{
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return r;
	r = tarn__region_lock(region);
	if (r == 0) {
		tarn__trace(region, TARN_TRACE_OFF, NULL, 0, 0);
		/* relaxed: nothing is read with it */
		atomic_store_explicit(&region->super->trace, 0, memory_order_relaxed);
		tarn__region_unlock(region);
	}
	tarn__region_leave(region);
	return r;
}

void tarn__trace_unname(struct tarn_region *region, uint32_t index)
{
	/* relaxed, both: written under the lock, which is ours */
	uint32_t word = atomic_load_explicit(&region->super->trace, memory_order_relaxed);

	if ((word & TRACE_INDEX_MASK) == index + 1)
		atomic_store_explicit(&region->super->trace, 0, memory_order_relaxed);
}

/* --- check --------------------------------------------------------------------------------- */

int tarn__trace_check(struct tarn_region *region, const struct tarn__object *object,
		      const char *where, tarn_report_fn *fn, void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	uint32_t rings, events;
	const char *field;

	(void)region;
	if (tarn__trace_geometry(object, &rings, &events, &field) < 0) /* I1 */
		tarn__audit_report(&audit, field, "is as the creator wrote it", 1, 0);
	return audit.r;
}

void tarn__trace_check_word(struct tarn__audit *audit, struct tarn_region *region)
{
	/* acquire: as in where_to() */
	uint32_t word = atomic_load_explicit(&region->super->trace, memory_order_acquire);
	struct tarn__object object;

	/* relaxed: it may have been switched since */
	if (word != 0 && !find_named(region, word, &object) &&
	    atomic_load_explicit(&region->super->trace, memory_order_relaxed) == word)
		tarn__audit_mendable(audit, "trace", "is 0, or names a trace", word, 0); /* I2 */
}
