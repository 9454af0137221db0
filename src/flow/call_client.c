/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_client.c - a client comes, finds servers, asks, cancels and leaves. See call.h.
 *
 * It has rings with each server that is there, and looks for others when servings says that some
 * have come or left. What is asked goes to the server that owes the fewest answers, by turns.
 */
#include <errno.h>
#include <stdlib.h>

#include "flow/call_client.h"

#define GLANCE_NS INT64_C(1000000) /* for room with one server, while others may have some */

/* --- open and close ------------------------------------------------------------------------ */

int tarn_client_open(struct tarn_region *region, const char *name,
		     const struct tarn_call_opts *opts, struct tarn_client **ret_client)
{
	struct tarn_client *client;
	struct party *party;
	int r = tarn__party_open(region, name, sizeof(*client), false, opts, &party);

	if (r < 0)
		return r;
	client = (struct tarn_client *)party;
	client->kept_end = &client->kept;
	*ret_client = client;
	return 0;
}

/* Its server is to look who is there. */
static void tell(struct link *link)
{
	struct party_shm *place = link->peer.place;

	/* Q3 -> Q4 in take_any(): seq_cst, and before it is looked who sleeps */
	atomic_fetch_add_explicit(&place->callers, 1, memory_order_seq_cst);
	tarn__ring_wake(&place->side);
}

static void leave(struct tarn_client *client, struct link *link)
{
	struct pair_shm *pair = link->wires.pair;

	if (!client->party.stale && link->peer.came != 0) {
		/* seq_cst: before who waits for room is woken */
		atomic_store_explicit(&pair->client.side.state, SIDE_LEFT, memory_order_seq_cst);
		tell(link);
		tarn__ring_wake(&pair->server);
	}
	tarn__wires_close(&client->party, &link->wires);
	free(link);
}

void tarn_client_close(struct tarn_client *client)
{
	struct party *party;

	if (client == NULL)
		return;
	party = &client->party;
	if (!party->stale) /* seq_cst: before servers are told */
		atomic_store_explicit(&party->me->side.state, SIDE_LEFT, memory_order_seq_cst);
	for (uint32_t i = 0; i < TARN_SERVICE_SERVERS_MAX; i++)
		if (client->links[i] != NULL)
			leave(client, client->links[i]);
	tarn__kept_drop(client, 0);
	free(client->kept_shown);
	free(client->words);
	tarn__party_close(party);
}

/* --- servers ------------------------------------------------------------------------------- */

/* Nothing of a predecessor is cancelled any more. */
static void forget_cancelled(struct pair_shm *pair)
{
	/* relaxed, all: before the server is told that we are there */
	atomic_store_explicit(&pair->client.cancels, 0, memory_order_relaxed);
	for (uint32_t i = 0; i < TARN_CLIENT_CALLS_MAX; i++)
		atomic_store_explicit(&pair->cancelled[i], 0, memory_order_relaxed);
}

/* Rings with the server at @at, for the first time or after damage. */
static int wire(struct tarn_client *client, uint32_t at)
{
	struct party *party = &client->party;
	struct link *link = client->links[at];
	int r;

	if (link == NULL) {
		link = calloc(1, sizeof(*link));
		if (link == NULL)
			return -ENOMEM;
		link->at = at;
		r = tarn__wires_open(party, at, party->place, true, &link->wires);
		if (r < 0) {
			free(link);
			return r;
		}
		forget_cancelled(link->wires.pair);
		link->damaged = true; /* until the positions are known */
		client->links[at] = link;
	}
	if (link->damaged) {
		r = tarn__wires_take(party, &link->wires);
		if (r < 0)
			return r;
		link->damaged = false;
	}
	return 0;
}

/* What lies there was answered to others, or by others: room for who is to answer. */
static int empty(struct link *link)
{
	struct tarn_ring *ring = &link->wires.responses;

	for (uint32_t i = 0; i < ring->capacity && has_record(ring); i++) {
		const void *data;
		size_t size;
		int r = tarn_ring_peek(ring, &data, &size);

		if (r < 0)
			return r == -EUCLEAN ? r : 0;
		release_one(ring);
	}
	return 0;
}

/* Calls may go to @peer, who is at place @at. */
static int connect_to(struct tarn_client *client, uint32_t at, const struct peer *peer)
{
	int r = wire(client, at);

	if (r == 0)
		r = empty(client->links[at]);
	if (r < 0)
		return r;
	client->links[at]->peer = *peer;
	/* relaxed: only this handle writes it; release: by tell() */
	atomic_fetch_or_explicit(&client->party.me->connected, UINT64_C(1) << at,
				 memory_order_relaxed);
	tell(client->links[at]);
	return 0;
}

/* Look at place @at. */
static int look_at(struct tarn_client *client, uint32_t at)
{
	struct party *party = &client->party;
	struct link *link = client->links[at];
	struct peer peer;
	bool there = tarn__peer_at(party, server_place(party, at), &peer);
	int r = 0;

	if (has_server(link) && there && peer.came == link->peer.came && peer.id == link->peer.id)
		return 0;
	if (has_server(link))
		r = tarn__link_lose(client, link);
	return r == 0 && there ? connect_to(client, at, &peer) : r;
}

static struct link *only_one(const struct tarn_client *client)
{
	struct link *one = NULL;

	for (uint32_t i = 0; i < client->link_count; i++) {
		if (!has_server(client->links[i]))
			continue;
		if (one != NULL)
			return NULL;
		one = client->links[i];
	}
	return one;
}

/* Servers have come, or left. 0, -ENOMEM. */
static int look_around(struct tarn_client *client)
{
	struct service_shm *shm = client->party.shm;
	/* Q8 <> Q7 in tarn__party_say(): seq_cst, then the places are looked at */
	uint32_t servings = atomic_load_explicit(&shm->servings, memory_order_seq_cst);
	/* acquire: a place that counts was raised before it was taken */
	uint32_t places = atomic_load_explicit(&shm->server_places, memory_order_acquire);

	client->why_not = 0;
	client->link_count = places < TARN_SERVICE_SERVERS_MAX ? places : TARN_SERVICE_SERVERS_MAX;
	for (uint32_t i = 0; i < client->link_count; i++) {
		int r = look_at(client, i);

		if (r < 0)
			client->why_not = r; /* another one may do */
	}
	client->servings = servings;
	client->looked = client->why_not == 0; /* else the next one looks again */
	client->only = only_one(client);
	return 0;
}

static TARN__ALWAYS_INLINE int enter(struct tarn_client *client)
{
	/* relaxed: who comes before this call began is seen */
	uint32_t servings =
		atomic_load_explicit(&client->party.shm->servings, memory_order_relaxed);

	if (TARN__UNLIKELY(client->party.stale))
		return -EBUSY;
	tarn__client_settle(client);
	if (TARN__UNLIKELY(servings != client->servings) || TARN__UNLIKELY(!client->looked))
		return look_around(client);
	return 0;
}

int tarn__client_enter(struct tarn_client *client)
{
	return enter(client);
}

/* The server that owes the fewest answers, of those that @but leaves; by turns. NULL: none. */
static inline struct link *choose(struct tarn_client *client, uint64_t but)
{
	struct link *best = NULL;
	uint32_t at = client->turn;

	for (uint32_t i = 0; i < client->link_count; i++, at++) {
		struct link *link;

		if (at >= client->link_count)
			at = 0;
		link = client->links[at];
		if (has_server(link) && (but >> at & 1) == 0 &&
		    (best == NULL || link->calls < best->calls))
			best = link;
	}
	return best;
}

/* The same, and it lives as far as is known. 0; -ENOTCONN: there is none. */
static int choose_alive(struct tarn_client *client, uint64_t but, struct link **ret_link)
{
	struct link *link;

	while ((link = choose(client, but)) != NULL) {
		int r;

		if (TARN__LIKELY(seems_there(&link->peer)) ||
		    !tarn__link_gone(client, link, true)) {
			*ret_link = link;
			return 0;
		}
		r = tarn__link_lose(client, link);
		if (r < 0)
			return r;
	}
	return but != 0 ? -EAGAIN : client->why_not < 0 ? client->why_not : -ENOTCONN;
}

struct seek {
	struct tarn_client *client;
	uint32_t servings;
};

int tarn_client_wait_server(struct tarn_client *client, int64_t deadline)
{
	struct party *party = &client->party;
	_Atomic uint32_t *servings = &party->shm->servings;

	for (;;) {
		/* Q8 <> Q7 in tarn__party_say() */
		uint32_t seen = atomic_load_explicit(servings, memory_order_seq_cst);
		struct link *link;
		int r = tarn__client_enter(client);

		if (r == 0)
			r = choose_alive(client, 0, &link);
		if (r != -ENOTCONN)
			return r;
		if (tarn_segment_damaged(party->region->seg))
			return -EIO;
		r = tarn__region_sleep(party->region, servings, seen, 0, deadline);
		if (r < 0)
			return r;
	}
}

/* --- ask ----------------------------------------------------------------------------------- */

/* The number of the next call: its place among calls is free. 0: there is none. */
static inline uint64_t next_number(const struct tarn_client *client)
{
	uint64_t number = client->number;

	for (uint32_t i = 0; i < TARN_CLIENT_CALLS_MAX; i++) {
		number++;
		if (client->calls[number % TARN_CLIENT_CALLS_MAX].state == CALL_NONE)
			return number;
	}
	return 0;
}

/* It was sent. */
static void begun(struct tarn_client *client, struct link *link, uint64_t number)
{
	struct call *call = &client->calls[number % TARN_CLIENT_CALLS_MAX];

	call->number = number;
	call->link = link->at;
	call->state = CALL_OUT;
	client->number = number;
	client->call_count++;
	client->stat.begun++;
	client->turn = link->at + 1;
	link->calls++;
}

/* The rings with a server contradict themselves: fail what it owes, and call it no more. */
static int forsake(struct tarn_client *client, struct link *link)
{
	link->damaged = true;
	(void)tarn__link_lose(client, link);
	return -EUCLEAN;
}

/* Try one server after another: @try, which is given @arg. 0, -EAGAIN, and why not. */
typedef int try_fn(struct tarn_client *client, struct link *link, void *arg);

static inline int try_servers(struct tarn_client *client, try_fn *try, void *arg)
{
	uint64_t but = 0;

	for (;;) {
		struct link *link;
		int r = choose_alive(client, but, &link);

		if (r == 0)
			r = try(client, link, arg);
		else
			return r;
		if (r == -EUCLEAN)
			return forsake(client, link);
		if (r != -EAGAIN && r != -EPIPE)
			return r;
		but |= UINT64_C(1) << link->at;
	}
}

struct ask {
	const void *data;
	size_t size;
	int64_t deadline;
	uint64_t number;
	void *room;
};

static int try_push(struct tarn_client *client, struct link *link, void *arg)
{
	const struct ask *ask = arg;
	int r = tarn__ring_push_framed(&link->wires.requests, tag_of(ask->number, KIND_REQUEST),
				       from_to(client->party.came, link->peer.came),
				       (uint64_t)ask->deadline, ask->data, ask->size);

	if (r == 0)
		begun(client, link, ask->number);
	return r;
}

/* All but that servers are looked for. */
static inline int begin(struct tarn_client *client, const void *data, size_t size, int64_t deadline,
			uint64_t *ret_call)
{
	struct ask ask = {
		.data = data, .size = size, .deadline = deadline, .number = next_number(client)
	};
	int r;

	if (size > client->party.request_max)
		return -EMSGSIZE;
	if (TARN__UNLIKELY(ask.number == 0))
		return -EMFILE;
	if (TARN__UNLIKELY(client->reserved != NULL))
		tarn_client_abort(client);
	r = try_servers(client, try_push, &ask);
	if (r == 0)
		*ret_call = ask.number;
	return r;
}

/* To the only server, which has room, behind what was just taken: 0. False: the long way. */
static TARN__ALWAYS_INLINE bool begin_shortly(struct tarn_client *client, const void *data,
					      size_t size, int64_t deadline, uint64_t *ret_call)
{
	const struct party *party = &client->party;
	uint64_t number = client->number + 1;
	struct link *link = client->only;

	/* relaxed: who comes before this call began is seen */
	if (link == NULL || party->stale || !client->looked || client->reserved != NULL ||
	    atomic_load_explicit(&party->shm->servings, memory_order_relaxed) != client->servings ||
	    client->calls[number % TARN_CLIENT_CALLS_MAX].state != CALL_NONE ||
	    size > party->request_max || !seems_there(&link->peer) ||
	    tarn__ring_push_framed(&link->wires.requests, tag_of(number, KIND_REQUEST),
				   from_to(party->came, link->peer.came), (uint64_t)deadline, data,
				   size) < 0)
		return false;
	begun(client, link, number);
	*ret_call = number;
	tarn__client_settle(client);
	return true;
}

int tarn_client_begin(struct tarn_client *client, const void *data, size_t size, int64_t deadline,
		      uint64_t *ret_call)
{
	int r;

	if (TARN__LIKELY(begin_shortly(client, data, size, deadline, ret_call)))
		return 0;
	r = enter(client);
	return r < 0 ? r : begin(client, data, size, deadline, ret_call);
}

static int try_reserve(struct tarn_client *client, struct link *link, void *arg)
{
	struct ask *ask = arg;
	int r = tarn_ring_reserve(&link->wires.requests, RING_FRAME + ask->size, &ask->room);

	if (r == 0)
		client->reserved = link;
	return r;
}

int tarn_client_reserve(struct tarn_client *client, size_t size, void **ret_data)
{
	struct ask ask = { .size = size };
	int r = tarn__client_enter(client);

	if (r < 0)
		return r;
	if (size > client->party.request_max)
		return -EMSGSIZE;
	if (next_number(client) == 0)
		return -EMFILE;
	tarn_client_abort(client);
	r = try_servers(client, try_reserve, &ask);
	if (r == 0)
		*ret_data = (char *)ask.room + RING_FRAME;
	return r;
}

/* No server has room, or there is none: wait once. */
static int wait_room(struct tarn_client *client, size_t size, int why, int64_t deadline)
{
	struct link *link = choose(client, 0);
	int64_t glance;

	if (why != -EAGAIN || link == NULL)
		return why == -ENOTCONN ? tarn_client_wait_server(client, deadline) : why;
	if (tarn__plat_now() >= deadline)
		return -ETIMEDOUT;
	glance = tarn_deadline_after(GLANCE_NS);
	(void)tarn__ring_wait_room(&link->wires.requests, RING_FRAME + size, tarn__ring_room_there,
				   glance < deadline ? glance : deadline);
	return tarn_segment_damaged(client->party.region->seg) ? -EIO : 0;
}

int tarn_client_reserve_wait(struct tarn_client *client, size_t size, int64_t deadline,
			     void **ret_data)
{
	for (;;) {
		int r = tarn_client_reserve(client, size, ret_data);

		if (r != -EAGAIN && r != -ENOTCONN)
			return r;
		r = wait_room(client, size, r, deadline);
		if (r < 0)
			return r;
	}
}

int tarn_client_commit(struct tarn_client *client, size_t size, int64_t deadline,
		       uint64_t *ret_call)
{
	struct link *link = client->reserved;
	struct tarn_ring *ring;
	uint64_t number = next_number(client);
	int r;

	if (client->party.stale)
		return -EBUSY;
	if (link == NULL)
		return -EINVAL;
	if (size > client->party.request_max)
		return -EMSGSIZE;
	if (!has_server(link) ||
	    (!seems_there(&link->peer) && tarn__link_gone(client, link, true))) {
		tarn_client_abort(client);
		return -EPIPE;
	}
	ring = &link->wires.requests;
	write_frame(record_at(ring, ring->reserve_pos)->payload, tag_of(number, KIND_REQUEST),
		    from_to(client->party.came, link->peer.came), (uint64_t)deadline);
	r = tarn_ring_commit(ring, RING_FRAME + size);
	if (r < 0)
		return r;
	client->reserved = NULL;
	begun(client, link, number);
	*ret_call = number;
	return 0;
}

void tarn_client_abort(struct tarn_client *client)
{
	if (client->reserved != NULL)
		tarn_ring_abort(&client->reserved->wires.requests);
	client->reserved = NULL;
}

/* --- cancel -------------------------------------------------------------------------------- */

/* Its server is told when it asks, or waits for room. */
static void tell_cancelled(struct link *link, uint64_t number)
{
	struct pair_shm *pair = link->wires.pair;

	/* relaxed: published by cancels */
	atomic_store_explicit(&pair->cancelled[number % TARN_CLIENT_CALLS_MAX], number,
			      memory_order_relaxed);
	/* Q5 -> Q6 in is_cancelled(): release; only this handle writes it, and never 0 */
	atomic_store_explicit(
		&pair->client.cancels,
		(atomic_load_explicit(&pair->client.cancels, memory_order_relaxed) + 1) | 1,
		memory_order_release);
	tarn__ring_wake(&pair->server);
}

int tarn_client_cancel(struct tarn_client *client, uint64_t number)
{
	struct call *call = call_of(client, number);

	if (client->party.stale)
		return -EBUSY;
	tarn__client_settle(client);
	if (call == NULL)
		return -ENOENT;
	if (call->state == CALL_OUT) {
		struct link *link = client->links[call->link];

		link->calls--;
		tell_cancelled(link, number);
	}
	tarn__call_end(client, call);
	tarn__kept_drop(client, number);
	return 0;
}

/* --- ask and wait -------------------------------------------------------------------------- */

/* Where there is no room at once. */
static int begin_wait(struct tarn_client *client, const void *data, size_t size, int64_t deadline,
		      uint64_t *ret_call)
{
	for (;;) {
		int r = tarn_client_begin(client, data, size, deadline, ret_call);

		if (TARN__LIKELY(r != -EAGAIN))
			return r;
		r = wait_room(client, size, r, deadline);
		if (r < 0)
			return r;
	}
}

/* An answer has come. */
static int copy_out(struct tarn_client *client, const struct tarn_response *response, void *buf,
		    size_t buf_size, size_t *ret_size)
{
	size_t some = response->size < buf_size ? response->size : buf_size;

	if (TARN__UNLIKELY(response->kind == TARN_RESPONSE_MORE)) {
		(void)tarn_client_cancel(client, response->call);
		return -EPROTO;
	}
	if (response->kind == TARN_RESPONSE_LAST && some == response->size)
		copy(buf, response->data, some);
	else if (response->kind == TARN_RESPONSE_ERROR && some != 0)
		memcpy(buf, response->data, some);
	*ret_size = response->size;
	tarn__client_settle(client);
	if (response->kind == TARN_RESPONSE_ERROR) {
		client->code = response->code;
		return -EREMOTEIO;
	}
	return some < *ret_size ? -ENOBUFS : 0;
}

int tarn_client_call(struct tarn_client *client, const void *data, size_t size, void *buf,
		     size_t buf_size, int64_t deadline, size_t *ret_size)
{
	struct tarn_response response;
	uint64_t number;
	int r = begin_wait(client, data, size, deadline, &number);

	if (r < 0)
		return r;
	r = tarn_client_take_wait(client, number, deadline, &response);
	if (r == 0)
		return copy_out(client, &response, buf, buf_size, ret_size);
	if (call_of(client, number) != NULL)
		(void)tarn_client_cancel(client, number);
	return r;
}

int32_t tarn_client_code(const struct tarn_client *client)
{
	return client->code;
}

/* --- who is there -------------------------------------------------------------------------- */

int tarn_client_peer(struct tarn_client *client, uint64_t number, struct tarn_call_peer *ret_peer)
{
	const struct call *call = call_of(client, number);

	if (call == NULL)
		return -ENOENT;
	return tarn__peer_who(&client->party, &client->links[call->link]->peer, ret_peer);
}

void tarn_client_stat(struct tarn_client *client, struct tarn_client_stat *ret_stat)
{
	const struct party *party = &client->party;
	struct tarn_client_stat stat = client->stat;

	stat.client = party->place;
	stat.servers = 0;
	for (uint32_t i = 0; i < client->link_count; i++)
		stat.servers += has_server(client->links[i]) &&
				!tarn__link_gone(client, client->links[i], true);
	stat.calls = client->call_count;
	stat.request_max = party->request_max;
	stat.response_max = party->response_max;
	*ret_stat = stat;
}
