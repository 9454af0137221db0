/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace_read.c - a trace is read: see trace.h.
 *
 * A reader goes through all places of all rings, and shows what it has not shown: what next says
 * selects nothing, since a peer may have written it. It takes an event that is whole, whose check
 * fits, and whose number belongs where it stands.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "region/trace.h"

struct tarn_trace {
	struct tarn_region *region;
	struct tarn__object object;
	struct trace_shm *shm;
	uint32_t rings, events;
	uint32_t *next;     /* [rings], at the last read */
	uint64_t *seen;     /* [rings * events]: check and number of what was shown of each place */
	struct found *last; /* [rings * events]: what a read has found */
	uint64_t lapped;
	bool again; /* it has been read before */
};

struct found {
	struct event event;
	uint32_t ring;
};

/* A copy of @shm. False: none is there, or it is torn. */
static bool get(struct event_shm *shm, struct event *ret)
{
	uint32_t words[TRACE_WORDS];

	/* G4 <- G3 in put(): the words are complete. */
	words[0] = atomic_load_explicit(&shm->words[0], memory_order_acquire);
	if (words[0] == 0)
		return false;
	for (uint32_t i = 1; i < TRACE_WORDS; i++)
		/* G6 <- G5 in put(): one of the next event's shows that check has changed. */
		words[i] = atomic_load_explicit(&shm->words[i], memory_order_acquire);
	memcpy(ret, words, sizeof(*ret));
	/* relaxed: ordered behind the acquire loads above */
	return atomic_load_explicit(&shm->words[0], memory_order_relaxed) == words[0] &&
	       tarn__trace_check_of(ret) == words[0];
}

static int by_time(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->event.time_ns != y->event.time_ns)
		return x->event.time_ns < y->event.time_ns ? -1 : 1;
	if (x->ring != y->ring)
		return x->ring < y->ring ? -1 : 1;
	return (int32_t)(x->event.number - y->event.number);
}

/* --- open ---------------------------------------------------------------------------------- */

static int open_entered(struct tarn_trace *trace, struct tarn_diag *diag)
{
	struct tarn_region *region = trace->region;
	const char *field;
	int r = tarn__object_find(region, TARN_TRACE_OBJECT, TARN_OBJECT_TRACE, &trace->object,
				  diag);

	if (r < 0) {
		if (r == -ENOENT)
			tarn__diag_hint(diag, "switch it on: tarn_trace_on(), tarn trace --on");
		return r;
	}
	r = tarn__trace_geometry(&trace->object, &trace->rings, &trace->events, &field);
	if (r < 0) {
		tarn__diag(diag, r, "object %s: its header is damaged (%s)", TARN_TRACE_OBJECT,
			   field);
	} else {
		size_t count = (size_t)trace->rings * trace->events;

		trace->shm = (struct trace_shm *)(void *)trace->object.base;
		trace->next = calloc(trace->rings, sizeof(*trace->next));
		trace->seen = calloc(count, sizeof(*trace->seen));
		trace->last = calloc(count, sizeof(*trace->last));
		if (trace->next == NULL || trace->seen == NULL || trace->last == NULL)
			r = tarn__diag(diag, -ENOMEM, "no memory for %zu events", count);
	}
	if (r < 0)
		tarn__object_drop(region, &trace->object);
	return r;
}

static void free_trace(struct tarn_trace *trace)
{
	free(trace->next);
	free(trace->seen);
	free(trace->last);
	free(trace);
}

int tarn_trace_open(struct tarn_region *region, struct tarn_trace **ret_trace,
		    struct tarn_diag *diag)
{
	struct tarn_trace *trace = calloc(1, sizeof(*trace));
	int r;

	if (trace == NULL)
		return tarn__diag(diag, -ENOMEM, "no memory for a reader");
	trace->region = region;
	r = tarn__region_enter(region);
	if (r < 0) {
		free_trace(trace);
		return tarn__diag(diag, r, "the region cannot be used");
	}
	r = open_entered(trace, diag);
	tarn__region_leave(region);
	if (r < 0)
		free_trace(trace);
	else
		*ret_trace = trace;
	return r;
}

void tarn_trace_close(struct tarn_trace *trace)
{
	if (trace == NULL)
		return;
	tarn__region_enter_to_leave(trace->region);
	tarn__object_drop(trace->region, &trace->object);
	tarn__region_leave(trace->region);
	free_trace(trace);
}

/* --- read ---------------------------------------------------------------------------------- */

/* Was it lapped since the last read, by how many? */
static void count_lapped(struct tarn_trace *trace, uint32_t ring, uint32_t next)
{
	uint32_t more = next - trace->next[ring];

	if (trace->again && more > trace->events && (int32_t)more > 0)
		trace->lapped += more - trace->events;
	trace->next[ring] = next;
}

static size_t collect(struct tarn_trace *trace)
{
	unsigned char *first = trace->object.base + sizeof(struct trace_shm);
	size_t count = 0;

	for (uint32_t ring = 0; ring < trace->rings; ring++) {
		struct trace_ring_shm *shm = tarn__trace_ring(first, trace->events, ring);

		/* relaxed: for the eye */
		count_lapped(trace, ring, atomic_load_explicit(&shm->next, memory_order_relaxed));
		for (uint32_t i = 0; i < trace->events; i++) {
			uint64_t *seen = &trace->seen[(size_t)ring * trace->events + i];
			struct found *found = &trace->last[count];
			struct event *event = &found->event;

			if (!get(&shm->events[i], event) ||
			    (event->number & (trace->events - 1)) != i ||
			    *seen == ((uint64_t)event->check << 32 | event->number))
				continue;
			*seen = (uint64_t)event->check << 32 | event->number;
			found->ring = ring;
			count++;
		}
	}
	trace->again = true;
	qsort(trace->last, count, sizeof(*trace->last), by_time);
	return count;
}

/* Name and kind of what @word names, if it is still there. */
static void tell_object(const struct tarn_region *region, uint32_t word,
			struct tarn_trace_event *event)
{
	uint32_t index = (word & TRACE_INDEX_MASK) - 1, state;
	struct entry entry;

	if (word == 0 || index >= region->object_max)
		return;
	state = tarn__entry_read(region, index, &entry);
	if (state == TARN__ENTRY_FREE || tarn__trace_name(index, state) != word ||
	    tarn__entry_fault(region, index, &entry) != NULL)
		return;
	event->object_kind = entry.kind;
	memcpy(event->object, entry.name, sizeof(event->object) - 1);
}

static void tell(const struct tarn_trace *trace, const struct found *found,
		 struct tarn_trace_event *ret)
{
	const struct event *event = &found->event;
	/* relaxed: for the eye */
	uint64_t offset = atomic_load_explicit(&trace->shm->offset, memory_order_relaxed);

	memset(ret, 0, sizeof(*ret));
	ret->time_ns = event->time_ns;
	ret->wall_ns = (int64_t)((uint64_t)event->time_ns + offset);
	ret->kind = event->kind & ((1u << TRACE_KIND_BITS) - 1);
	ret->code = event->kind >> TRACE_KIND_BITS;
	ret->number = event->number;
	ret->ring = found->ring;
	ret->slot = tarn__id_slot(event->who);
	ret->generation = tarn__id_generation(event->who);
	ret->tid = (int32_t)event->tid;
	ret->a = event->a;
	ret->b = event->b;
	memcpy(ret->text, event->text, sizeof(event->text));
	tell_object(trace->region, event->object, ret);
}

int tarn_trace_read(struct tarn_trace *trace,
		    int (*fn)(const struct tarn_trace_event *event, void *arg), void *arg)
{
	struct entry entry;
	uint32_t state = tarn__entry_read(trace->region, trace->object.index, &entry);
	size_t count;
	int r = 0;

	if (state != trace->object.state)
		return -ENOENT;
	count = collect(trace);
	for (size_t i = 0; i < count && r == 0; i++) {
		struct tarn_trace_event event;

		tell(trace, &trace->last[i], &event);
		r = fn(&event, arg);
	}
	return r != 0 ? r : tarn_segment_damaged(trace->region->seg) ? -EIO : 0;
}

int tarn_trace_stat(struct tarn_trace *trace, struct tarn_trace_stat *ret_stat)
{
	unsigned char *first = trace->object.base + sizeof(struct trace_shm);
	/* relaxed: for the eye */
	uint32_t word = atomic_load_explicit(&trace->region->super->trace, memory_order_relaxed);
	struct tarn_trace_stat stat = { .events = trace->events,
					.rings = trace->rings,
					.size = trace->object.size,
					.lapped = trace->lapped };

	stat.on = word == tarn__trace_name(trace->object.index, trace->object.state);
	for (uint32_t ring = 0; ring < trace->rings; ring++) {
		struct trace_ring_shm *shm = tarn__trace_ring(first, trace->events, ring);
		/* relaxed: for the eye */
		uint32_t next = atomic_load_explicit(&shm->next, memory_order_relaxed);

		stat.written += next;
		for (uint32_t i = 0; i < trace->events; i++) {
			struct event event;

			stat.kept += get(&shm->events[i], &event) &&
				     (event.number & (trace->events - 1)) == i;
		}
	}
	*ret_stat = stat;
	return 0;
}

void tarn_trace_member(uint64_t a, uint32_t *ret_slot, uint32_t *ret_generation)
{
	*ret_slot = tarn__id_slot((uint32_t)a);
	*ret_generation = tarn__id_generation((uint32_t)a);
}
