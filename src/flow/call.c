/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call.c - make and open services and their rings, take and give back places, and what servers and
 * clients have in common. The bytes, their owners and the ordering are drawn in call.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/call.h"
#include "flow/topic.h"
#include "region/trace.h"

#define CAPACITY_DEFAULT UINT64_C(16384)
#define CAPACITY_MIN     UINT64_C(1024)
#define CAPACITY_MAX     (UINT64_C(1) << 31)
#define SPIN_FIRST_NS    INT64_C(20000)
#define SPIN_MIN_NS      INT64_C(1000)
#define SPIN_MAX_NS      INT64_C(50000) /* about what a sleep and a wake cost */

enum { PAUSES = 16 /* between two looks at the clock */ };

/* --- the service --------------------------------------------------------------------------- */

/* What a new one has, or one that exists is to have; 0: any. */
struct wish {
	uint64_t request_capacity;
	uint64_t response_capacity;
	uint32_t clients;
};

static uint64_t or_else(uint64_t value, uint64_t other)
{
	return value != 0 ? value : other;
}

static void init_service(unsigned char *base, uint64_t size, void *arg)
{
	const struct wish *wish = arg;
	struct service_shm *shm = (struct service_shm *)(void *)base;

	memset(shm, 0, (size_t)size);
	shm->magic = SERVICE_MAGIC;
	shm->version = SERVICE_VERSION;
	shm->servers = TARN_SERVICE_SERVERS_MAX;
	shm->clients = wish->clients;
	shm->request_capacity = (uint32_t)wish->request_capacity;
	shm->response_capacity = (uint32_t)wish->response_capacity;
	shm->check = tarn__service_header_check(shm);
}

static int check_capacity(const char *name, const char *what, uint64_t capacity,
			  struct tarn_diag *diag)
{
	if (capacity == 0 ||
	    (tarn__is_pow2(capacity) && capacity >= CAPACITY_MIN && capacity <= CAPACITY_MAX))
		return 0;
	return tarn__diag(diag, -EINVAL,
			  "service %s: %s_capacity %" PRIu64 ": it is a power of two, %" PRIu64
			  " to %" PRIu64,
			  name, what, capacity, CAPACITY_MIN, CAPACITY_MAX);
}

static int check_opts(const char *name, const struct tarn_call_opts *opts)
{
	int r = check_capacity(name, "request", opts->request_capacity, opts->diag);

	if (r == 0)
		r = check_capacity(name, "response", opts->response_capacity, opts->diag);
	if (r < 0)
		return r;
	if (opts->clients > TARN_SERVICE_CLIENTS_MAX)
		return tarn__diag(opts->diag, -EINVAL,
				  "service %s: places for %" PRIu32
				  " clients: there are %u at most",
				  name, opts->clients, TARN_SERVICE_CLIENTS_MAX);
	if ((opts->flags & ~(uint32_t)(TARN_CALL_EXISTING | TARN_CALL_NO_SPIN)) != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "service %s: flags 0x%" PRIx32
				  ": TARN_CALL_EXISTING (1) and TARN_CALL_NO_SPIN (2) are possible",
				  name, opts->flags);
	if (opts->reserved[0] != 0 || opts->reserved[1] != 0)
		return tarn__diag(opts->diag, -EINVAL, "service %s: reserved options are not zero",
				  name);
	return 0;
}

static int check_name(const char *name, struct tarn_diag *diag)
{
	if (name != NULL && strnlen(name, TARN_OBJECT_NAME_MAX + 1) > TARN_SERVICE_NAME_MAX)
		return tarn__diag(
			diag, -EINVAL,
			"a service's name has 1 to %d bytes, since those of its rings are "
			"longer; this one more",
			TARN_SERVICE_NAME_MAX);
	if (name != NULL && strchr(name, ':') != NULL)
		return tarn__diag(
			diag, -EINVAL,
			"service %s: ':' is not possible in its name, since its rings are "
			"named SERVICE:SERVER.GROUP",
			name);
	return tarn__object_name_check(name, diag);
}

/* Its geometry, read once. */
static int read_header(struct party *party, struct tarn_diag *diag)
{
	const struct service_shm *shm = party->shm;
	const char *fault = party->object.size < sizeof(*shm)
				    ? "size"
				    : tarn__service_fault(shm, party->object.size);

	if (fault != NULL && strcmp(fault, "version") == 0)
		return tarn__diag(diag, -EPROTO, "service %s: its version is not %u", party->name,
				  SERVICE_VERSION);
	if (fault == NULL) {
		party->clients = shm->clients;
		party->request_capacity = shm->request_capacity;
		party->response_capacity = shm->response_capacity;
		/* Read twice, by the check and here: these are what counts. */
		if (party->clients > TARN_SERVICE_CLIENTS_MAX ||
		    tarn__service_size(party->clients) > party->object.size ||
		    !tarn__is_pow2(party->request_capacity) ||
		    party->request_capacity < CAPACITY_MIN ||
		    !tarn__is_pow2(party->response_capacity) ||
		    party->response_capacity < CAPACITY_MIN)
			fault = "size";
	}
	if (fault != NULL)
		return tarn__diag(diag, -EUCLEAN, "service %s: its header is damaged (%s)",
				  party->name, fault);
	party->request_max = tarn__ring_record_max(party->request_capacity) - RING_FRAME;
	party->response_max = tarn__ring_record_max(party->response_capacity) - RING_FRAME;
	return 0;
}

static int check_same(const struct party *party, const struct tarn_call_opts *opts)
{
	if (opts == NULL ||
	    ((opts->request_capacity == 0 || opts->request_capacity == party->request_capacity) &&
	     (opts->response_capacity == 0 ||
	      opts->response_capacity == party->response_capacity) &&
	     (opts->clients == 0 || opts->clients == party->clients)))
		return 0;
	return tarn__diag(opts->diag, -EEXIST,
			  "service %s has rings of %" PRIu32 " and %" PRIu32 " bytes for %" PRIu32
			  " clients; asked were %" PRIu64 ", %" PRIu64 " and %" PRIu32,
			  party->name, party->request_capacity, party->response_capacity,
			  party->clients, opts->request_capacity, opts->response_capacity,
			  opts->clients);
}

static int find_or_make(struct party *party, const struct tarn_call_opts *opts,
			struct tarn_diag *diag)
{
	struct tarn_region *region = party->region;
	struct wish wish = {
		.request_capacity =
			or_else(opts != NULL ? opts->request_capacity : 0, CAPACITY_DEFAULT),
		.response_capacity =
			or_else(opts != NULL ? opts->response_capacity : 0, CAPACITY_DEFAULT),
		.clients = (uint32_t)or_else(opts != NULL ? opts->clients : 0, region->member_max),
	};
	const struct tarn__object_want want = { .kind = TARN_OBJECT_SERVICE,
						.size = tarn__service_size(wish.clients),
						.init = init_service,
						.arg = &wish };
	bool make = opts != NULL && (opts->flags & TARN_CALL_EXISTING) == 0;
	int r = tarn__object_find_or_make(region, party->name, &want, make, &party->object, diag);

	if (r < 0)
		return r;
	party->shm = (struct service_shm *)(void *)party->object.base;
	r = read_header(party, diag);
	if (r == 0)
		r = check_same(party, opts);
	if (r < 0)
		tarn__object_drop(region, &party->object);
	return r;
}

/* --- places -------------------------------------------------------------------------------- */

/* Take the place, if it is free or its owner dead. */
static bool take_owner(struct party *party, struct party_shm *place)
{
	/* relaxed: decided by the exchange */
	uint32_t owner = atomic_load_explicit(&place->side.owner, memory_order_relaxed);

	if (owner != 0 && tarn__member_alive(party->region, owner))
		return false;
	/* acq_rel: what the last one did there is seen, which left, or the kernel says it died */
	if (!atomic_compare_exchange_strong_explicit(&place->side.owner, &owner, party->region->id,
						     memory_order_acq_rel, memory_order_relaxed))
		return false;
	if (owner != 0)
		tarn__count_one(&place->side.deaths);
	return true;
}

/* The place is ours: say who we are. */
static void settle_in(struct party *party, struct party_shm *place)
{
	/* seq_cst: whoever goes by what the last one said finds that it is no more */
	atomic_store_explicit(&place->side.state, SIDE_NONE, memory_order_seq_cst);
	/* relaxed, all: published by state */
	atomic_store_explicit(&place->side.waiting, 0, memory_order_relaxed);
	atomic_store_explicit(&place->connected, 0, memory_order_relaxed);
	atomic_store_explicit(&place->pid, (uint32_t)tarn__plat_pid(), memory_order_relaxed);
	atomic_store_explicit(&place->uid, tarn__plat_euid(), memory_order_relaxed);
	atomic_store_explicit(&place->gid, tarn__plat_egid(), memory_order_relaxed);
	do /* relaxed: only that no two have the same */
		party->came =
			atomic_fetch_add_explicit(&party->shm->comings, 1, memory_order_relaxed) +
			1;
	while (party->came == 0);
	atomic_store_explicit(&place->came, party->came, memory_order_relaxed);
	party->me = place;
	party->id = party->region->id;
	/* Q1 -> Q2 in tarn__peer_at() and tarn__peer_there() */
	atomic_store_explicit(&place->side.state, SIDE_ACTIVE, memory_order_release);
}

static int take_place(struct party *party, struct tarn_diag *diag)
{
	struct service_shm *shm = party->shm;
	uint32_t count = party->server ? TARN_SERVICE_SERVERS_MAX : party->clients;
	_Atomic uint32_t *taken = party->server ? &shm->server_places : &shm->client_places;

	for (uint32_t i = 0; i < count; i++) {
		struct party_shm *place =
			party->server ? server_place(party, i) : client_place(party, i);

		if (!take_owner(party, place))
			continue;
		party->place = i;
		tarn__raise32(taken, i + 1);
		settle_in(party, place);
		return 0;
	}
	tarn__diag(diag, -EUSERS, "service %s: all of its %" PRIu32 " places for %s are taken",
		   party->name, count, party->server ? "servers" : "clients");
	if (!party->server)
		tarn__diag_hint(diag, "make it with more (tarn_call_opts.clients)");
	return -EUSERS;
}

void tarn__party_say(struct party *party)
{
	/* Q7 <> Q8 in tarn_client_wait_server(): seq_cst, the place says so before */
	atomic_fetch_add_explicit(&party->shm->servings, 1, memory_order_seq_cst);
	(void)tarn__plat_futex_wake(&party->shm->servings, INT32_MAX);
}

static void leave_place(struct party *party)
{
	uint32_t id = party->id;

	/* seq_cst: before who hears of it looks */
	atomic_store_explicit(&party->me->side.state, SIDE_LEFT, memory_order_seq_cst);
	/* By exchange: what a hostile peer put there is not ours to clear.
	 * release: what this handle did is visible to whoever takes the place next */
	(void)atomic_compare_exchange_strong_explicit(&party->me->side.owner, &id, 0,
						      memory_order_release, memory_order_relaxed);
}

bool tarn__peer_at(const struct party *party, struct party_shm *place, struct peer *ret_peer)
{
	/* Q2 <- Q1 in settle_in() */
	uint32_t state = atomic_load_explicit(&place->side.state, memory_order_acquire);

	/* relaxed, both: of a successor that is just coming they are looked at again */
	*ret_peer = (struct peer){
		.place = place,
		.id = atomic_load_explicit(&place->side.owner, memory_order_relaxed),
		.came = atomic_load_explicit(&place->came, memory_order_relaxed),
	};
	if (state != SIDE_ACTIVE || ret_peer->id == 0 || ret_peer->came == 0 ||
	    !tarn__member_alive(party->region, ret_peer->id))
		return false;
	/* who lives has a slot */
	ret_peer->slot_state = &tarn__member_at(party->region, tarn__id_slot(ret_peer->id))->state;
	ret_peer->beacon = tarn__member_beacon(party->region, tarn__id_slot(ret_peer->id));
	return true;
}

bool tarn__peer_there(const struct party *party, struct peer *peer, bool probe)
{
	const struct party_shm *place = peer->place;
	/* Q2 <- Q1 in settle_in() */
	uint32_t state = atomic_load_explicit(&place->side.state, memory_order_acquire);

	/* relaxed, both: they stay as they are while it is there */
	if (state != SIDE_ACTIVE ||
	    atomic_load_explicit(&place->came, memory_order_relaxed) != peer->came ||
	    atomic_load_explicit(&place->side.owner, memory_order_relaxed) != peer->id)
		return false;
	if (!probe && !tarn__ring_worth_probing(party->region, peer->id, &peer->looks))
		return true;
	return tarn__member_alive(party->region, peer->id);
}

int tarn__peer_who(const struct party *party, struct peer *peer, struct tarn_call_peer *ret_who)
{
	const struct party_shm *place = peer->place;
	struct tarn_call_peer who;

	/* relaxed, all: it is looked afterwards whether they are those of who is meant */
	who = (struct tarn_call_peer){
		.member = peer->id,
		.pid = (int32_t)atomic_load_explicit(&place->pid, memory_order_relaxed),
		.uid = atomic_load_explicit(&place->uid, memory_order_relaxed),
		.gid = atomic_load_explicit(&place->gid, memory_order_relaxed),
	};
	if (peer->came == 0 || !tarn__peer_there(party, peer, true))
		return -EPIPE;
	*ret_who = who;
	return 0;
}

/* --- open and close ------------------------------------------------------------------------ */

static void party_forked(struct tarn__forkable *self)
{
	struct party *party =
		(struct party *)(void *)((char *)self - offsetof(struct party, forkable));

	party->stale = true;
}

static int open_entered(struct party *party, const struct tarn_call_opts *opts,
			struct tarn_diag *diag)
{
	int r = find_or_make(party, opts, diag);

	if (r < 0)
		return r;
	r = take_place(party, diag);
	if (r < 0) {
		tarn__object_drop(party->region, &party->object);
		return r;
	}
	party->forkable.forked = party_forked;
	tarn__fork_add(party->region, &party->forkable);
	return 0;
}

static int open_party(struct party *party, const char *name, const struct tarn_call_opts *opts,
		      struct tarn_diag *diag)
{
	int r = check_name(name, diag);

	if (r == 0 && opts != NULL)
		r = check_opts(name, opts);
	if (r < 0)
		return r;
	snprintf(party->name, sizeof(party->name), "%s", name);
	r = tarn__region_enter_member(party->region);
	if (r < 0)
		return tarn__diag(diag, r,
				  r == -EPERM ? "the region was opened to look on"
					      : "the region cannot be used");
	r = open_entered(party, opts, diag);
	tarn__region_leave(party->region);
	return r;
}

static void say_part(const struct party *party, uint32_t kind)
{
	tarn__trace(party->region, kind, &party->object,
		    party->server ? TARN_TRACE_SERVER : TARN_TRACE_CLIENT, party->place);
}

int tarn__party_open(struct tarn_region *region, const char *name, size_t handle, bool server,
		     const struct tarn_call_opts *opts, struct party **ret_party)
{
	struct tarn_diag words = { .what = "" }; /* not finding it, for one, may yet end well */
	struct tarn_call_opts with = { .diag = &words };
	struct party *party = calloc(1, handle);
	int r = -ENOMEM;

	if (opts != NULL) {
		with = *opts;
		with.diag = &words;
	}
	if (party != NULL) {
		party->region = region;
		party->server = server;
		party->place = UINT32_MAX;
		party->spin_ns = (with.flags & TARN_CALL_NO_SPIN) != 0 ? 0 : SPIN_FIRST_NS;
		r = open_party(party, name, opts != NULL ? &with : NULL, &words);
	}
	if (r < 0) {
		free(party);
		return tarn__diag_pass(opts != NULL ? opts->diag : NULL, &words, r);
	}
	say_part(party, TARN_TRACE_COME);
	*ret_party = party;
	return 0;
}

int tarn__party_look(struct tarn_region *region, const char *name, struct party *ret_party)
{
	struct party party = { .region = region, .place = UINT32_MAX };
	int r = check_name(name, NULL);

	if (r < 0)
		return r;
	snprintf(party.name, sizeof(party.name), "%s", name);
	r = tarn__region_enter(region);
	if (r < 0)
		return r;
	r = find_or_make(&party, NULL, NULL);
	tarn__region_leave(region);
	if (r == 0)
		*ret_party = party;
	return r;
}

void tarn__party_unlook(struct party *party)
{
	tarn__region_enter_to_leave(party->region);
	tarn__object_drop(party->region, &party->object);
	tarn__region_leave(party->region);
}

void tarn__party_close(struct party *party)
{
	if (!party->stale)
		say_part(party, TARN_TRACE_GO);
	struct tarn_region *region = party->region;

	tarn__region_enter_to_leave(region);
	tarn__fork_remove(region, &party->forkable);
	if (!party->stale)
		leave_place(party);
	tarn__region_leave(region);
	if (!party->stale && party->server)
		tarn__party_say(party);
	tarn__party_unlook(party);
	free(party);
}

/* --- rings --------------------------------------------------------------------------------- */

static uint64_t pair_size(const struct party *party)
{
	return tarn__pair_size(party->request_capacity, party->response_capacity);
}

static struct pair_shm *pair_at(const struct party *party, unsigned char *base, uint32_t client)
{
	struct bundle_shm *shm = (struct bundle_shm *)(void *)base;

	return (struct pair_shm *)(void *)(shm->pairs +
					   (client % BUNDLE_PAIRS) * (size_t)pair_size(party));
}

static void init_bundle(unsigned char *base, uint64_t size, void *arg)
{
	const struct party *party = arg;
	struct bundle_shm *shm = (struct bundle_shm *)(void *)base;

	(void)size;
	memset(shm, 0, sizeof(*shm));
	shm->magic = BUNDLE_MAGIC;
	shm->version = SERVICE_VERSION;
	shm->request_capacity = party->request_capacity;
	shm->response_capacity = party->response_capacity;
	shm->check = tarn__bundle_header_check(shm);
	for (uint32_t i = 0; i < BUNDLE_PAIRS; i++) {
		struct pair_shm *pair = pair_at(party, base, i);

		/* and the words of the first records */
		memset(pair, 0, sizeof(*pair) + RING_UNIT);
		memset(pair->records + party->request_capacity, 0, RING_UNIT);
	}
}

/* Has it still the name that its rings go by? If not, they may be those of another. */
static bool is_named(const struct party *party)
{
	/* seq_cst: behind the lookup of the rings, as D5 in directory.c */
	return atomic_load_explicit(&party->region->directory[party->object.index].state,
				    memory_order_seq_cst) == party->object.state;
}

static int find_bundle(struct party *party, uint32_t server, uint32_t client, bool make,
		       struct tarn__object *ret_object)
{
	const struct tarn__object_want want = {
		.kind = TARN_OBJECT_BUNDLE,
		.size = sizeof(struct bundle_shm) + BUNDLE_PAIRS * pair_size(party),
		.init = init_bundle,
		.arg = party,
	};
	struct tarn__object object;
	const struct bundle_shm *shm;
	char name[sizeof(party->name) + 24];
	int r;

	snprintf(name, sizeof(name), "%s:%" PRIu32 ".%" PRIu32, party->name, server,
		 client / BUNDLE_PAIRS);
	r = tarn__object_find_or_make(party->region, name, &want, make && is_named(party), &object,
				      NULL);
	if (r < 0)
		return r;
	shm = (const struct bundle_shm *)(const void *)object.base;
	if (!is_named(party))
		r = -ENOENT;
	else if (object.size < want.size || tarn__bundle_fault(shm, object.size) != NULL ||
		 shm->request_capacity != party->request_capacity ||
		 shm->response_capacity != party->response_capacity)
		r = -EUCLEAN;
	if (r < 0)
		tarn__object_drop(party->region, &object);
	else
		*ret_object = object;
	return r;
}

int tarn__wires_open(struct party *party, uint32_t server, uint32_t client, bool make,
		     struct wires *ret_wires)
{
	struct ring_parts requests, responses;
	struct wires *w = ret_wires;
	int r = tarn__region_enter(party->region);

	if (r < 0)
		return r;
	r = find_bundle(party, server, client, make, &w->object);
	tarn__region_leave(party->region);
	if (r < 0)
		return r;
	w->pair = pair_at(party, w->object.base, client);
	tarn__pair_parts(w->pair, party->request_capacity, party->response_capacity, &requests,
			 &responses);
	requests.consumer = &server_place(party, server)->side;
	responses.consumer = &client_place(party, client)->side;
	tarn__ring_of(&w->requests, party->region, &requests,
		      party->server ? TARN_RING_CONSUMER : TARN_RING_PRODUCER);
	tarn__ring_of(&w->responses, party->region, &responses,
		      party->server ? TARN_RING_PRODUCER : TARN_RING_CONSUMER);
	if (party->spin_ns == 0)
		w->requests.spin_ns = w->responses.spin_ns = 0;
	return 0;
}

int tarn__wires_take(struct party *party, struct wires *wires)
{
	struct ring_side_shm *mine =
		party->server ? &wires->pair->server : &wires->pair->client.side;
	int r;

	tarn__ring_set_fence(&wires->requests);
	tarn__ring_set_fence(&wires->responses);
	/* relaxed, both: whoever sleeps on it has the place; published by state */
	atomic_store_explicit(&mine->waiting, 0, memory_order_relaxed);
	atomic_store_explicit(&mine->owner, party->id, memory_order_relaxed);
	/* W3 -> R3 in tarn__ring_peer() */
	atomic_store_explicit(&mine->state, SIDE_ACTIVE, memory_order_release);
	r = tarn__ring_go_on(&wires->requests);
	if (r == 0)
		r = tarn__ring_go_on(&wires->responses);
	return r;
}

void tarn__wires_close(struct party *party, struct wires *wires)
{
	if (wires->pair == NULL)
		return;
	tarn__region_enter_to_leave(party->region);
	tarn__object_drop(party->region, &wires->object);
	tarn__region_leave(party->region);
	wires->pair = NULL;
}

/* --- waiting ------------------------------------------------------------------------------- */

bool tarn__party_spin(struct party *party, tarn__party_ready_fn *ready, void *arg, int64_t deadline)
{
	int64_t end;

	if (party->spin_ns == 0)
		return false;
	end = tarn__plat_now() + party->spin_ns;
	if (end > deadline)
		end = deadline;
	do {
		for (int i = 0; i < PAUSES; i++) {
			if (ready(arg)) {
				if (party->spin_ns < SPIN_MAX_NS)
					party->spin_ns *= 2;
				return true;
			}
			tarn__plat_pause();
		}
	} while (tarn__plat_now() < end);
	if (party->spin_ns > SPIN_MIN_NS)
		party->spin_ns /= 2;
	return false;
}

int tarn__party_sleep(struct party *party, tarn__party_ready_fn *ready, void *arg, uint32_t peer,
		      int64_t deadline)
{
	struct ring_side_shm *side = &party->me->side;
	uint32_t value = WAIT_ASLEEP;
	int r = 0;

	if (TARN__UNLIKELY(tarn_segment_damaged(party->region->seg)))
		return -EIO;
	tarn__side_sleeps(side, 0);
	if (tarn__plat_membarrier_sync() < 0)
		value = tarn__side_fence(side);
	if (!ready(arg))
		r = tarn__region_sleep(party->region, &side->waiting, value, peer, deadline);
	tarn__side_awake(side);
	return r;
}
