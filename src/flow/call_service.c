/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_service.c - a server comes, takes requests, and leaves. See call.h.
 *
 * It keeps, side by side, the address of the word that the next request of each client changes, so
 * that a look at 50 of them touches 50 lines that only change when there is one, and few others.
 * The word of a client whose request is still in use is one that never changes.
 */
#include <errno.h>
#include <stdlib.h>

#include "flow/call_service.h"

enum { ROUNDS_SURE = 8 }; /* for who waits, and whose deadline may have passed meanwhile */

const _Atomic uint32_t tarn__never;

/* --- clients ------------------------------------------------------------------------------- */

/* Look for requests of @conn from now on. */
static void enlist(struct tarn_service *service, struct conn *conn)
{
	if (conn->index == UINT32_MAX) {
		conn->index = service->count++;
		service->list[conn->index] = conn;
	}
	conn_watch(service, conn);
}

/* Its client is gone. What is held of it stays where it is. */
static void dismiss(struct tarn_service *service, struct conn *conn)
{
	uint32_t index = conn->index;

	conn->peer.came = 0;
	conn->index = UINT32_MAX;
	if (index == UINT32_MAX)
		return;
	service->count--;
	if (index == service->count)
		return;
	service->list[index] = service->list[service->count];
	service->list[index]->index = index;
	service->words[index] = service->words[service->count];
}

/* What these rings say contradicts itself: the client is not served, and told so. */
void tarn__conn_damaged(struct tarn_service *service, struct conn *conn)
{
	struct pair_shm *pair = conn->wires.pair;

	conn->damaged = true;
	service->stat.damaged++;
	/* seq_cst: before the client is woken */
	atomic_store_explicit(&pair->server.state, SIDE_FINISHED, memory_order_seq_cst);
	tarn__ring_wake(&conn->peer.place->side);
	dismiss(service, conn);
}

/* Rings with the client at place @at. 0, and why there are none. */
static int wire(struct tarn_service *service, uint32_t at)
{
	struct conn *conn = service->conns[at];
	int r;

	if (conn == NULL) {
		conn = calloc(1, sizeof(*conn));
		if (conn == NULL)
			return -ENOMEM;
		conn->index = UINT32_MAX;
		r = tarn__wires_open(&service->party, service->party.place, at, false,
				     &conn->wires);
		if (r < 0) {
			free(conn);
			return r;
		}
		service->conns[at] = conn;
		conn->damaged = true; /* until the positions are known */
	}
	if (!conn->damaged)
		return 0;
	/* Of rings that were damaged: what was held is shown no more. */
	conn->held = false;
	r = tarn__wires_take(&service->party, &conn->wires);
	conn->damaged = r < 0;
	return r;
}

static bool same(const struct conn *conn, const struct peer *peer)
{
	return conn != NULL && !conn->damaged && conn->peer.came == peer->came &&
	       conn->peer.id == peer->id;
}

/* Look at the client's place @at. 0, and why it cannot be served. */
static int look_at(struct tarn_service *service, uint32_t at)
{
	struct party_shm *place = client_place(&service->party, at);
	uint64_t mine = UINT64_C(1) << service->party.place;
	struct conn *conn = service->conns[at];
	struct peer peer;
	int r;

	/* relaxed: Q4 <- Q3 was the look at callers */
	if ((atomic_load_explicit(&place->connected, memory_order_relaxed) & mine) == 0 ||
	    !tarn__peer_at(&service->party, place, &peer)) {
		if (conn != NULL && conn->peer.came != 0)
			dismiss(service, conn);
		return 0;
	}
	if (same(conn, &peer))
		return 0;
	r = wire(service, at);
	conn = service->conns[at];
	if (conn == NULL)
		return r;
	tarn_ring_abort(&conn->wires.responses); /* it was for who was there before */
	conn->peer = peer;
	if (r == -EUCLEAN)
		tarn__conn_damaged(service, conn);
	else if (r == 0)
		enlist(service, conn);
	return r == -EUCLEAN ? 0 : r;
}

/* Clients have come, or left. */
static void look_around(struct tarn_service *service)
{
	struct party *party = &service->party;
	/* Q4 <- Q3 in tell() */
	uint32_t callers = atomic_load_explicit(&party->me->callers, memory_order_acquire);
	/* acquire: a place that counts was raised before it was taken */
	uint32_t places = atomic_load_explicit(&party->shm->client_places, memory_order_acquire);

	service->callers = callers;
	service->behind = false;
	for (uint32_t i = 0; i < places && i < party->clients; i++)
		if (look_at(service, i) == -ENOMEM)
			service->behind = true; /* the next one looks again */
}

static inline bool somebody_came(const struct tarn_service *service)
{
	/* relaxed: look_around() loads it again, with acquire */
	return atomic_load_explicit(&service->party.me->callers, memory_order_relaxed) !=
	       service->callers;
}

/* --- open and close ------------------------------------------------------------------------ */

int tarn_service_open(struct tarn_region *region, const char *name,
		      const struct tarn_call_opts *opts, struct tarn_service **ret_service)
{
	struct tarn_service *service;
	struct party *party;
	int r = tarn__party_open(region, name, sizeof(*service), true, opts, &party);

	if (r < 0)
		return r;
	service = (struct tarn_service *)party;
	service->conns = calloc(party->clients, sizeof(*service->conns));
	service->list = calloc(party->clients, sizeof(*service->list));
	service->words = calloc(party->clients, sizeof(*service->words));
	if (service->conns == NULL || service->list == NULL || service->words == NULL) {
		tarn_service_close(service);
		return tarn__diag(opts != NULL ? opts->diag : NULL, -ENOMEM,
				  "service %s: no memory", name);
	}
	tarn__party_say(party);
	*ret_service = service;
	return 0;
}

static void leave(struct tarn_service *service, struct conn *conn)
{
	struct pair_shm *pair = conn->wires.pair;

	if (!service->party.stale && conn->peer.came != 0) {
		/* seq_cst: before the client is woken */
		atomic_store_explicit(&pair->server.state, SIDE_LEFT, memory_order_seq_cst);
		tarn__ring_wake(&conn->peer.place->side);
		tarn__ring_wake(&pair->client.side);
	}
	tarn__wires_close(&service->party, &conn->wires);
	free(conn);
}

void tarn_service_close(struct tarn_service *service)
{
	struct party *party;

	if (service == NULL)
		return;
	party = &service->party;
	if (!party->stale) /* seq_cst: before clients are woken */
		atomic_store_explicit(&party->me->side.state, SIDE_LEFT, memory_order_seq_cst);
	for (uint32_t i = 0; i < party->clients && service->conns != NULL; i++)
		if (service->conns[i] != NULL)
			leave(service, service->conns[i]);
	free(service->conns);
	free(service->list);
	free((void *)service->words);
	tarn__party_close(party);
}

/* --- take ---------------------------------------------------------------------------------- */

/* Is the record at hand a request for us? 0; -ECANCELED: not, or not any more; -EUCLEAN. */
static inline int read_request(struct tarn_service *service, struct conn *conn, const void *data,
			       size_t size, struct tarn_request *ret_request)
{
	struct frame frame;

	if (size < RING_FRAME)
		return -EUCLEAN;
	frame = frame_at(data);
	if (TARN__UNLIKELY(frame.from != conn->peer.came) && somebody_came(service))
		return -EAGAIN; /* it may be one of who has just come */
	if (TARN__UNLIKELY(frame.from != conn->peer.came) ||
	    TARN__UNLIKELY(frame.to != service->party.came) ||
	    TARN__UNLIKELY(kind_of(&frame) != KIND_REQUEST) || number_of(&frame) == 0 ||
	    TARN__UNLIKELY(conn_cancelled(conn, number_of(&frame))) ||
	    (TARN__UNLIKELY(!seems_there(&conn->peer)) &&
	     !tarn__peer_there(&service->party, &conn->peer, true)))
		return -ECANCELED;
	/* one by one, as tarn__ring_push_framed() */
	ret_request->data = (const char *)data + RING_FRAME;
	ret_request->size = size - RING_FRAME;
	ret_request->number = number_of(&frame);
	ret_request->deadline = (int64_t)frame.value;
	ret_request->client = (uint32_t)(conn->peer.place - client_place(&service->party, 0));
	ret_request->came = frame.from;
	return 0;
}

/* The next request of @conn. 0; -EAGAIN: there is none, or it is to be looked who is there. */
static inline int take_from(struct tarn_service *service, struct conn *conn,
			    struct tarn_request *ret_request)
{
	struct tarn_ring *ring = &conn->wires.requests;

	for (int tries = 0; tries < PART_TRIES && has_record(ring); tries++) {
		const void *data;
		size_t size;
		int r = tarn_ring_peek(ring, &data, &size);

		if (r == 0)
			r = read_request(service, conn, data, size, ret_request);
		if (TARN__LIKELY(r == 0)) {
			conn->held = true;
			conn->held_number = ret_request->number;
			conn->held_came = ret_request->came;
			service->words[conn->index] = &tarn__never;
			service->stat.taken++;
			return 0;
		}
		if (r == -EUCLEAN)
			tarn__conn_damaged(service, conn);
		if (r != -ECANCELED)
			return -EAGAIN;
		service->stat.dropped++;
		release_one(ring);
		conn_watch(service, conn);
	}
	return -EAGAIN;
}

static inline int take_any(struct tarn_service *service, struct tarn_request *ret_request)
{
	uint32_t at = service->turn;

	for (uint32_t i = 0; i < service->count; i++, at++) {
		if (at >= service->count)
			at = 0;
		if (TARN__LIKELY(!begins_record(service->words[at])))
			continue;
		if (take_from(service, service->list[at], ret_request) == 0) {
			service->turn = at + 1;
			return 0;
		}
	}
	return -EAGAIN;
}

int tarn_service_take(struct tarn_service *service, struct tarn_request *ret_request)
{
	if (TARN__UNLIKELY(service->party.stale))
		return -EBUSY;
	for (int looks = 0; looks < 2; looks++) {
		if (TARN__UNLIKELY(somebody_came(service)) || TARN__UNLIKELY(service->behind))
			look_around(service);
		if (TARN__LIKELY(take_any(service, ret_request) == 0))
			return 0;
		if (TARN__LIKELY(!somebody_came(service)))
			break;
	}
	return TARN__UNLIKELY(tarn_segment_damaged(service->party.region->seg)) ? -EIO : -EAGAIN;
}

/* --- waiting ------------------------------------------------------------------------------- */

static bool has_any(void *arg)
{
	const struct tarn_service *service = arg;

	for (uint32_t i = 0; i < service->count; i++)
		if (begins_record(service->words[i]))
			return true;
	return somebody_came(service);
}

bool tarn__service_there(struct tarn_service *service)
{
	return service->party.stale || service->behind || has_any(service) ||
	       TARN__UNLIKELY(tarn_segment_damaged(service->party.region->seg));
}

int tarn_service_take_wait(struct tarn_service *service, int64_t deadline,
			   struct tarn_request *ret_request)
{
	for (int rounds = 0;; rounds++) {
		int r = tarn_service_take(service, ret_request);

		if (r != -EAGAIN)
			return r;
		if (!tarn__party_spin(&service->party, has_any, service, deadline))
			r = tarn__party_sleep(&service->party, has_any, service, 0, deadline);
		else
			r = 0;
		if (r < 0)
			return r;
		/* a peer could show for ever what is for nobody */
		if (rounds >= ROUNDS_SURE && tarn__plat_now() >= deadline)
			return -ETIMEDOUT;
	}
}

void tarn_service_stat(struct tarn_service *service, struct tarn_service_stat *ret_stat)
{
	struct tarn_service_stat stat = service->stat;

	stat.server = service->party.place;
	stat.clients = service->count;
	stat.held = 0;
	for (uint32_t i = 0; i < service->party.clients; i++)
		stat.held += service->conns[i] != NULL && service->conns[i]->held;
	stat.request_max = service->party.request_max;
	stat.response_max = service->party.response_max;
	*ret_stat = stat;
}
