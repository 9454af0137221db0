/* SPDX-License-Identifier: BSD-2-Clause */
/* waiter.c - the sources of a waiter, and the wait. See waiter.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "flow/apart.h"
#include "flow/call.h"
#include "flow/latest.h"
#include "flow/ring.h"
#include "flow/waiter.h"

#define SPIN_MIN_NS 1000
#define SPIN_MAX_NS 50000             /* about what a sleep and a wake cost */
#define SLICE_NS    INT64_C(10000000) /* against a lost or stolen wake */

enum { PAUSES = 16 /* between two looks at the clock */ };

/* What a source is, and how it is slept on. */
struct source_kind {
	/* Before it is slept on: 0, -EPERM (it may only be looked at), or the error of a wait. */
	int (*prepare)(const struct source *source);
	/* Is it ready? @thorough: ask the kernel, too. */
	bool (*there)(const struct source *source, bool thorough);
	/* Say that somebody sleeps, and on what: word and value, perhaps peer. */
	void (*announce)(struct source *source);
	/* The same for publishers that no barrier of ours reaches. NULL: they fence anyhow */
	void (*fence)(struct source *source);
	/* The sleep, if it was one, is over. NULL: nothing to do */
	void (*awake)(struct source *source);
	/* What to sleep on in place of word, @room words at most; how many, and which of them are
	 * beacons. How long to sleep at most; 0: until one of these changes. NULL: word it is */
	int64_t (*words)(const struct source *source, struct tarn__futex *words, bool *beacons,
			 unsigned room, unsigned *ret_count);
};

/* --- sources ------------------------------------------------------------------------------- */

static int prepare_prim(const struct source *source)
{
	struct prim *prim = source->handle;

	return TARN__LIKELY(tarn__prim_is_ready(prim)) ? 0 : tarn__prim_ready(prim, NULL);
}

static void announce_prim(struct source *source)
{
	struct prim *prim = source->handle;

	source->value = tarn__prim_announce(prim->sec.shm);
	source->word = &prim->sec.shm->bell;
}

static int prepare_subscriber(const struct source *source)
{
	const struct tarn_subscriber *subscriber = source->handle;

	if (subscriber->topic.seat == UINT32_MAX)
		return -EPERM;
	return subscriber->topic.stale ? 0 : prepare_prim(source); /* take says that it is */
}

static bool subscriber_there(const struct source *source, bool thorough)
{
	(void)thorough;
	return tarn__subscriber_there(source->handle);
}

static void fence_subscriber(struct source *source)
{
	tarn__subscriber_fence(source->handle);
}

static int prepare_apart(const struct source *source)
{
	(void)source;
	return 0;
}

static void announce_apart(struct source *source)
{
	const struct tarn_subscriber *subscriber = source->handle;

	tarn__scout_announce(source->handle);
	source->word = (_Atomic uint32_t *)(uintptr_t)subscriber->topic.comings;
}

static void awake_apart(struct source *source)
{
	tarn__scout_awake(source->handle);
}

static int64_t words_apart(const struct source *source, struct tarn__futex *words, bool *beacons,
			   unsigned room, unsigned *ret_count)
{
	bool all;

	*ret_count = tarn__scout_words(source->handle, words, room, &all);
	memset(beacons, 0, *ret_count * sizeof(*beacons));
	return all ? 0 : NAP_NS;
}

static bool latest_there(const struct source *source, bool thorough)
{
	(void)thorough;
	return tarn_latest_number(source->handle) != *source->seen;
}

static bool event_there(const struct source *source, bool thorough)
{
	(void)thorough;
	return tarn__event_there(source->handle);
}

/* An auto event wakes one sleeper: perhaps it was us, who may leave it to others. */
static void pass_on(struct source *source)
{
	struct prim *prim = source->handle;

	if ((prim->flags & TARN_EVENT_AUTO) != 0 && tarn__event_there(source->handle))
		tarn__prim_ring(prim, 1);
}

static int prepare_ring(const struct source *source)
{
	(void)source;
	return 0; /* after a fork pop and push take the role anew, or these and take say -EBUSY */
}

static bool ring_there(const struct source *source, bool thorough)
{
	return tarn__ring_there(source->handle, thorough);
}

static void announce_ring(struct source *source)
{
	source->word = tarn__ring_sleeps(source->handle, &source->value, &source->peer);
}

static void fence_ring(struct source *source)
{
	source->value = tarn__ring_fence(source->handle);
}

static void awake_ring(struct source *source)
{
	tarn__ring_awake(source->handle);
}

static bool service_there(const struct source *source, bool thorough)
{
	(void)thorough;
	return tarn__service_there(source->handle);
}

static bool client_there(const struct source *source, bool thorough)
{
	return tarn__client_there(source->handle, thorough);
}

static struct ring_side_shm *party_side(const struct source *source)
{
	const struct party *party = source->handle; /* both handles begin with it */

	return &party->me->side;
}

static void announce_party(struct source *source)
{
	const struct party *party = source->handle;

	if (party->stale)
		return; /* take says that it is */
	tarn__side_sleeps(party_side(source), 0);
	source->word = &party_side(source)->waiting;
	source->value = WAIT_ASLEEP;
}

static void fence_party(struct source *source)
{
	source->value = tarn__side_fence(party_side(source));
}

static void awake_party(struct source *source)
{
	tarn__side_awake(party_side(source));
}

static int64_t words_client(const struct source *source, struct tarn__futex *words, bool *beacons,
			    unsigned room, unsigned *ret_count)
{
	return tarn__client_words(source->handle, source->value, words, beacons, room, ret_count);
}

static const struct source_kind subscriber_kind = { .prepare = prepare_subscriber,
						    .there = subscriber_there,
						    .announce = announce_prim,
						    .fence = fence_subscriber };
static const struct source_kind apart_kind = { .prepare = prepare_apart,
					       .there = subscriber_there,
					       .announce = announce_apart,
					       .fence = fence_subscriber,
					       .awake = awake_apart,
					       .words = words_apart };
static const struct source_kind latest_kind = { .prepare = prepare_prim,
						.there = latest_there,
						.announce = announce_prim };
static const struct source_kind event_kind = {
	.prepare = prepare_prim, .there = event_there, .announce = announce_prim, .awake = pass_on
};
static const struct source_kind ring_kind = { .prepare = prepare_ring,
					      .there = ring_there,
					      .announce = announce_ring,
					      .fence = fence_ring,
					      .awake = awake_ring };

static const struct source_kind service_kind = { .prepare = prepare_ring,
						 .there = service_there,
						 .announce = announce_party,
						 .fence = fence_party,
						 .awake = awake_party };
static const struct source_kind client_kind = { .prepare = prepare_ring,
						.there = client_there,
						.announce = announce_party,
						.fence = fence_party,
						.awake = awake_party,
						.words = words_client };

static bool is_damaged(const struct source *source)
{
	return source->region != NULL && TARN__UNLIKELY(tarn_segment_damaged(source->region->seg));
}

/* --- open and close ------------------------------------------------------------------------ */

int tarn_waiter_open(const struct tarn_waiter_opts *opts, struct tarn_waiter **ret_waiter)
{
	struct tarn_waiter *waiter;

	if (opts != NULL && ((opts->flags & ~(uint32_t)TARN_WAITER_NO_SPIN) != 0 ||
			     opts->zero != 0 || opts->reserved[0] != 0 || opts->reserved[1] != 0))
		return tarn__diag(opts->diag, -EINVAL,
				  "waiter: flags 0x%" PRIx32 ": TARN_WAITER_NO_SPIN (1) is the "
				  "only one, and reserved options are zero",
				  opts->flags);
	waiter = calloc(1, sizeof(*waiter));
	if (waiter == NULL)
		return tarn__diag(opts != NULL ? opts->diag : NULL, -ENOMEM,
				  "waiter: no memory for %zu bytes", sizeof(*waiter));
	waiter->spin_ns = SPIN_MAX_NS;
	if (opts != NULL && (opts->flags & TARN_WAITER_NO_SPIN) != 0)
		waiter->spin_ns = 0;
	waiter->pid = tarn__plat_pid();
	waiter->fd.fd = -1;
	atomic_init(&waiter->fd.told, -1);
	*ret_waiter = waiter;
	return 0;
}

static bool is_ours(const struct tarn_waiter *waiter)
{
	return waiter->pid == tarn__plat_pid();
}

/* Its thread reads no word of a source any more, and no source says that somebody sleeps. */
static void withdraw(struct tarn_waiter *waiter)
{
	if (waiter->fd.fd >= 0)
		tarn__waiter_fd_disarm(&waiter->fd);
	for (size_t i = 0; i < waiter->count; i++) {
		struct source *source = &waiter->sources[i];

		if (source->word != NULL && source->kind->awake != NULL)
			source->kind->awake(source);
		source->word = NULL;
	}
}

void tarn_waiter_close(struct tarn_waiter *waiter)
{
	if (waiter == NULL)
		return;

	bool ours = is_ours(waiter);

	if (ours)
		withdraw(waiter);
	tarn__waiter_fd_close(&waiter->fd, ours);
	free(waiter->sources);
	free(waiter);
}

int tarn_waiter_fd(struct tarn_waiter *waiter, int *ret_fd)
{
	int r = 0;

	if (!is_ours(waiter))
		return -EBUSY;
	if (waiter->fd.fd < 0)
		r = tarn__waiter_fd_open(&waiter->fd);
	if (r == 0)
		*ret_fd = waiter->fd.fd;
	return r;
}

/* --- add and remove ------------------------------------------------------------------------ */

static size_t find(const struct tarn_waiter *waiter, const void *handle)
{
	size_t i = 0;

	while (i < waiter->count && waiter->sources[i].handle != handle)
		i++;
	return i;
}

static int add(struct tarn_waiter *waiter, const struct source *source)
{
	int r;

	if (!is_ours(waiter))
		return -EBUSY;
	if (find(waiter, source->handle) < waiter->count)
		return -EEXIST;
	r = source->kind->prepare(source);
	if (r < 0 && r != -EPERM)
		return r;
	if (waiter->count == waiter->room) {
		size_t room = waiter->room == 0 ? 8 : 2 * waiter->room;
		struct source *more = realloc(waiter->sources, room * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		waiter->sources = more;
		waiter->room = room;
	}
	withdraw(waiter);
	waiter->sources[waiter->count] = *source;
	if (source->tag == NULL)
		waiter->sources[waiter->count].tag = source->handle;
	waiter->count++;
	if (waiter->fd.fd >= 0)
		tarn__waiter_fd_raise(&waiter->fd); /* nobody has looked at it yet */
	return 0;
}

int tarn_waiter_add_subscriber(struct tarn_waiter *waiter, struct tarn_subscriber *subscriber,
			       void *tag)
{
	const struct source source = { .kind = subscriber->scout != NULL ? &apart_kind
									 : &subscriber_kind,
				       .handle = subscriber,
				       .tag = tag,
				       .region = subscriber->topic.prim.sec.region };

	return add(waiter, &source);
}

int tarn_waiter_add_latest(struct tarn_waiter *waiter, struct tarn_latest *latest,
			   const uint64_t *seen, void *tag)
{
	const struct source source = { .kind = &latest_kind,
				       .handle = latest,
				       .seen = seen,
				       .tag = tag,
				       .region = latest->prim.sec.region };

	return add(waiter, &source);
}

int tarn_waiter_add_ring(struct tarn_waiter *waiter, struct tarn_ring *ring, void *tag)
{
	const struct source source = {
		.kind = &ring_kind, .handle = ring, .tag = tag, .region = ring->region
	};

	return ring->role == TARN_RING_OBSERVER ? -EINVAL : add(waiter, &source);
}

int tarn_waiter_add_event(struct tarn_waiter *waiter, struct tarn_event *event, void *tag)
{
	struct prim *prim = (struct prim *)event; /* its first member */
	const struct source source = {
		.kind = &event_kind, .handle = event, .tag = tag, .region = prim->sec.region
	};

	return add(waiter, &source);
}

int tarn_waiter_add_service(struct tarn_waiter *waiter, struct tarn_service *service, void *tag)
{
	struct party *party = (struct party *)service; /* its first member */
	const struct source source = {
		.kind = &service_kind, .handle = service, .tag = tag, .region = party->region
	};

	return add(waiter, &source);
}

int tarn_waiter_add_client(struct tarn_waiter *waiter, struct tarn_client *client, void *tag)
{
	struct party *party = (struct party *)client; /* its first member */
	const struct source source = {
		.kind = &client_kind, .handle = client, .tag = tag, .region = party->region
	};

	return add(waiter, &source);
}

int tarn_waiter_remove(struct tarn_waiter *waiter, const void *handle)
{
	size_t i = find(waiter, handle);

	if (i == waiter->count)
		return -ENOENT;
	if (is_ours(waiter)) {
		withdraw(waiter);
		if (waiter->fd.fd >= 0)
			tarn__waiter_fd_raise(&waiter->fd); /* its thread sleeps on nothing now */
	}
	waiter->count--;
	memmove(waiter->sources + i, waiter->sources + i + 1,
		(waiter->count - i) * sizeof(*waiter->sources));
	return 0;
}

/* --- wait ---------------------------------------------------------------------------------- */

/* Those that are ready, from turn on. How many; @ret_tags NULL: is any? */
static size_t collect(struct tarn_waiter *waiter, void **ret_tags, size_t max, bool thorough)
{
	size_t found = 0, at = waiter->turn < waiter->count ? waiter->turn : 0;

	for (size_t i = 0; i < waiter->count && found < max; i++, at++) {
		const struct source *source;

		if (at >= waiter->count)
			at = 0;
		source = &waiter->sources[at];
		if (!source->kind->there(source, thorough))
			continue;
		if (ret_tags != NULL)
			ret_tags[found] = source->tag;
		found++;
	}
	if (found > 0 && ret_tags != NULL)
		waiter->turn = at;
	return found;
}

static bool interrupted(struct tarn_waiter *waiter)
{
	/* relaxed: it says nothing of anything else */
	uint32_t count = atomic_load_explicit(&waiter->interrupts, memory_order_relaxed);
	bool is = count != waiter->interrupted;

	waiter->interrupted = count;
	return is;
}

/* Until one is ready, or it has not helped. */
static void spin(struct tarn_waiter *waiter, int64_t deadline)
{
	int64_t end = tarn__plat_now() + waiter->spin_ns;

	if (end > deadline)
		end = deadline;
	do {
		for (int i = 0; i < PAUSES; i++) {
			if (collect(waiter, NULL, 1, false) > 0) {
				if (waiter->spin_ns < SPIN_MAX_NS)
					waiter->spin_ns *= 2;
				return;
			}
			tarn__plat_pause();
		}
	} while (tarn__plat_now() < end);
	if (waiter->spin_ns > SPIN_MIN_NS)
		waiter->spin_ns /= 2;
}

/* Say of all sources that somebody sleeps. 0, or why one cannot be waited for. */
static int announce(struct tarn_waiter *waiter)
{
	for (size_t i = 0; i < waiter->count; i++) {
		struct source *source = &waiter->sources[i];
		int r = source->kind->prepare(source);

		if (r < 0 && r != -EPERM)
			return r;
		if (is_damaged(source))
			return -EIO;
		source->peer = 0;
		if (r == 0)
			source->kind->announce(source);
	}
	if (tarn__plat_membarrier_sync() < 0)
		for (size_t i = 0; i < waiter->count; i++)
			if (waiter->sources[i].word != NULL &&
			    waiter->sources[i].kind->fence != NULL)
				waiter->sources[i].kind->fence(&waiter->sources[i]);
	return 0;
}

/* Where a source has announced itself, and there is room: its word, and its peer's beacon. How long
 * to sleep at most; 0: until one of these changes. */
static int64_t add_words(struct source *source, struct waiter_words *sleep)
{
	_Atomic uint32_t *beacon;
	uint32_t value = 0;
	unsigned count;

	if (source->word == NULL || sleep->count + 2 > TARN__FUTEX_MAX)
		return NAP_NS;
	if (source->kind->words != NULL) {
		int64_t slice = source->kind->words(source, sleep->words + sleep->count,
						    sleep->beacon + sleep->count,
						    TARN__FUTEX_MAX - sleep->count, &count);

		sleep->count += count;
		return slice;
	}
	sleep->beacon[sleep->count] = false;
	sleep->words[sleep->count++] = tarn__futex_of(source->word, source->value);
	if (source->peer == 0)
		return 0;
	beacon = tarn__beacon_watch(source->region, source->peer, &value);
	if (beacon == NULL)
		return tarn__beacon_slice(source->region, source->peer, &source->slice);
	source->slice = 0;
	sleep->beacon[sleep->count] = true;
	sleep->words[sleep->count++] = tarn__futex_of(beacon, value);
	return 0;
}

/* What to sleep on, behind the first word. */
static void gather(struct tarn_waiter *waiter, struct waiter_words *sleep)
{
	sleep->count = 1;
	sleep->slice = SLICE_NS;
	sleep->looks = false;
	for (size_t i = 0; i < waiter->count; i++) {
		int64_t slice = add_words(&waiter->sources[i], sleep);

		sleep->looks |= slice != 0;
		if (slice != 0 && slice < sleep->slice)
			sleep->slice = slice;
	}
}

/* One slice. 0: look again; -EIO. */
static int sleep_a_slice(struct tarn_waiter *waiter, int64_t deadline)
{
	gather(waiter, &waiter->sleep);
	waiter->sleep.words[0] = tarn__futex_of(&waiter->interrupts, waiter->interrupted);
	return tarn__waiter_sleep(&waiter->sleep, deadline) < 0 ? -EIO : 0;
}

/* Nothing is ready: the thread sleeps in our place until something is. */
static void hand_over(struct tarn_waiter *waiter)
{
	gather(waiter, &waiter->fd.sleep);
	tarn__waiter_fd_arm(&waiter->fd);
}

/* 0 and some, or why there are none. Where it is the deadline, and there is a descriptor, all
 * sources go on saying that somebody sleeps. */
static int wait_slowly(struct tarn_waiter *waiter, int64_t deadline, void **ret_tags, size_t max,
		       size_t *ret_count)
{
	int r;

	do {
		int64_t now;

		withdraw(waiter);
		if (waiter->fd.fd >= 0)
			tarn__waiter_fd_clear(&waiter->fd);
		r = announce(waiter);
		if (r < 0)
			break;
		*ret_count = collect(waiter, ret_tags, max, true);
		if (*ret_count > 0)
			break;
		now = tarn__plat_now();
		r = interrupted(waiter) ? -EINTR
		    : now >= deadline   ? -ETIMEDOUT
					: sleep_a_slice(waiter, deadline);
		if (r == 0)
			*ret_count = collect(waiter, ret_tags, max, false);
	} while (r == 0 && *ret_count == 0);
	if (r != -ETIMEDOUT || waiter->fd.fd < 0)
		withdraw(waiter);
	return r;
}

/* Nobody is to sleep, so nobody says so. */
static int only_look(struct tarn_waiter *waiter, void **ret_tags, size_t max, size_t *ret_count)
{
	*ret_count = collect(waiter, ret_tags, max, true);
	if (*ret_count > 0)
		return 0;
	for (size_t i = 0; i < waiter->count; i++)
		if (is_damaged(&waiter->sources[i]))
			return -EIO;
	return -ETIMEDOUT;
}

int tarn_waiter_wait(struct tarn_waiter *waiter, int64_t deadline, void **ret_tags, size_t max,
		     size_t *ret_count)
{
	int r = 0;

	*ret_count = 0;
	if (!is_ours(waiter))
		return -EBUSY;
	if (max == 0)
		return -EINVAL;
	if (interrupted(waiter))
		return -EINTR;
	*ret_count = collect(waiter, ret_tags, max, false);
	if (*ret_count == 0 && waiter->spin_ns != 0 && tarn__plat_now() < deadline) {
		spin(waiter, deadline);
		*ret_count = collect(waiter, ret_tags, max, false);
	}
	if (*ret_count == 0 && waiter->fd.fd < 0 && tarn__plat_now() >= deadline)
		r = only_look(waiter, ret_tags, max, ret_count);
	else if (*ret_count == 0)
		r = wait_slowly(waiter, deadline, ret_tags, max, ret_count);
	if (waiter->fd.fd >= 0 && r == -ETIMEDOUT)
		hand_over(waiter);
	else if (waiter->fd.fd >= 0)
		tarn__waiter_fd_raise(&waiter->fd); /* until a wait has found nothing */
	return r;
}

void tarn_waiter_interrupt(struct tarn_waiter *waiter)
{
	int fd;

	/* relaxed: it says nothing of anything else */
	atomic_fetch_add_explicit(&waiter->interrupts, 1, memory_order_relaxed);
	(void)tarn__plat_futex_wake(&waiter->interrupts, 1);
	/* acquire: see tarn__waiter_fd_open() */
	fd = atomic_load_explicit(&waiter->fd.told, memory_order_acquire);
	if (fd >= 0)
		(void)tarn__plat_eventfd_raise(fd); /* cleared before the interrupt is looked for */
}
