/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_answer.c - a server answers. See call.h.
 *
 * Who it answers is known by the place of the client and by when it came: whoever has that place
 * since is another one, to whom nothing of this goes.
 */
#include <errno.h>

#include "flow/call_service.h"

/* --- whose answer it is -------------------------------------------------------------------- */

static struct conn *conn_of(const struct tarn_service *service, const struct tarn_request *request)
{
	return request->client < service->party.clients ? service->conns[request->client] : NULL;
}

/* Its bytes are in use no more. */
static inline void let_go(struct tarn_service *service, struct conn *conn,
			  const struct tarn_request *request)
{
	if (conn == NULL || !conn->held || conn->held_number != request->number ||
	    conn->held_came != request->came)
		return;
	conn->held = false;
	release_one(&conn->wires.requests);
	conn_watch(service, conn);
}

void tarn_service_release(struct tarn_service *service, const struct tarn_request *request)
{
	if (!service->party.stale)
		let_go(service, conn_of(service, request), request);
}

/* Has it left, or has another come in its place? As far as is known without asking the kernel. */
static inline bool is_gone(const struct conn *conn)
{
	const struct party_shm *place = conn->peer.place;

	/* relaxed, all: what goes to who is not there is dropped */
	return atomic_load_explicit(&place->came, memory_order_relaxed) != conn->peer.came ||
	       atomic_load_explicit(&place->side.owner, memory_order_relaxed) != conn->peer.id ||
	       atomic_load_explicit(&place->side.state, memory_order_relaxed) != SIDE_ACTIVE;
}

/* Where to answer. 0, -EBUSY, -EPIPE, -ECANCELED. */
static inline int find(struct tarn_service *service, const struct tarn_request *request,
		       struct conn **ret_conn)
{
	struct conn *conn = conn_of(service, request);
	int r = 0;

	if (TARN__UNLIKELY(service->party.stale))
		return -EBUSY;
	if (TARN__UNLIKELY(conn == NULL) || TARN__UNLIKELY(conn->damaged) ||
	    TARN__UNLIKELY(conn->peer.came != request->came) || TARN__UNLIKELY(is_gone(conn)))
		r = -EPIPE;
	else if (TARN__UNLIKELY(conn_cancelled(conn, request->number)))
		r = -ECANCELED;
	if (TARN__UNLIKELY(r < 0))
		let_go(service, conn, request);
	*ret_conn = conn;
	return r;
}

/* It cannot be answered: if that will not change, it is over. */
static int give_up(struct tarn_service *service, struct conn *conn,
		   const struct tarn_request *request, int r)
{
	if (r == -EUCLEAN)
		tarn__conn_damaged(service, conn);
	if (r == -EUCLEAN || r == -EPIPE)
		let_go(service, conn, request);
	return r;
}

/* --- answer -------------------------------------------------------------------------------- */

/* It was sent. */
static inline void sent(struct tarn_service *service, struct conn *conn,
			const struct tarn_request *request, enum tarn_response_kind kind)
{
	if (kind == TARN_RESPONSE_MORE)
		return;
	service->stat.answered++;
	let_go(service, conn, request);
}

static inline int send(struct tarn_service *service, const struct tarn_request *request,
		       enum tarn_response_kind kind, int32_t code, const void *data, size_t size)
{
	struct conn *conn;
	int r = size > service->party.response_max ? -EMSGSIZE : find(service, request, &conn);

	if (r < 0)
		return r;
	r = tarn__ring_push_framed(&conn->wires.responses, tag_of(request->number, kind),
				   from_to(service->party.came, request->came), (uint32_t)code,
				   data, size);
	if (TARN__UNLIKELY(r < 0))
		return give_up(service, conn, request, r);
	sent(service, conn, request, kind);
	return 0;
}

int tarn_service_respond(struct tarn_service *service, const struct tarn_request *request,
			 const void *data, size_t size)
{
	return send(service, request, TARN_RESPONSE_LAST, 0, data, size);
}

int tarn_service_more(struct tarn_service *service, const struct tarn_request *request,
		      const void *data, size_t size)
{
	return send(service, request, TARN_RESPONSE_MORE, 0, data, size);
}

int tarn_service_fail(struct tarn_service *service, const struct tarn_request *request,
		      int32_t code, const void *data, size_t size)
{
	return code == 0 ? -EINVAL : send(service, request, TARN_RESPONSE_ERROR, code, data, size);
}

/* --- in place ------------------------------------------------------------------------------ */

int tarn_service_reserve(struct tarn_service *service, const struct tarn_request *request,
			 size_t size, void **ret_data)
{
	struct conn *conn;
	void *room;
	int r = size > service->party.response_max ? -EMSGSIZE : find(service, request, &conn);

	if (r < 0)
		return r;
	r = tarn_ring_reserve(&conn->wires.responses, RING_FRAME + size, &room);
	if (r < 0)
		return give_up(service, conn, request, r);
	*ret_data = (char *)room + RING_FRAME;
	return 0;
}

/* Is there room, or nobody any more who wants it? */
static bool room_or_not(struct tarn_ring *ring)
{
	struct conn *conn =
		(struct conn *)(void *)((char *)ring - offsetof(struct conn, wires.responses));

	return tarn__ring_room_there(ring) || is_gone(conn) ||
	       conn_cancelled(conn, conn->waiting_for);
}

int tarn_service_reserve_wait(struct tarn_service *service, const struct tarn_request *request,
			      size_t size, int64_t deadline, void **ret_data)
{
	for (;;) {
		int r = tarn_service_reserve(service, request, size, ret_data);
		struct conn *conn = conn_of(service, request);

		if (r != -EAGAIN)
			return r;
		conn->waiting_for = request->number;
		r = tarn__ring_wait_room(&conn->wires.responses, RING_FRAME + size, room_or_not,
					 deadline);
		if (r < 0)
			return r;
	}
}

int tarn_service_commit(struct tarn_service *service, const struct tarn_request *request,
			size_t size, enum tarn_response_kind kind, int32_t code)
{
	struct conn *conn = conn_of(service, request);
	struct tarn_ring *ring;
	int r;

	if (service->party.stale)
		return -EBUSY;
	if (kind - TARN_RESPONSE_LAST > TARN_RESPONSE_ERROR - TARN_RESPONSE_LAST ||
	    (kind == TARN_RESPONSE_ERROR) != (code != 0))
		return -EINVAL;
	if (conn == NULL || conn->damaged || conn->peer.came != request->came) {
		let_go(service, conn, request);
		return -EPIPE;
	}
	ring = &conn->wires.responses;
	if (!ring->reserved)
		return -EINVAL;
	if (size > service->party.response_max)
		return -EMSGSIZE;
	write_frame(record_at(ring, ring->reserve_pos)->payload, tag_of(request->number, kind),
		    from_to(service->party.came, request->came), (uint32_t)code);
	r = tarn_ring_commit(ring, RING_FRAME + size);
	if (r == 0)
		sent(service, conn, request, kind);
	return r;
}

int tarn_service_respond_wait(struct tarn_service *service, const struct tarn_request *request,
			      const void *data, size_t size, int64_t deadline)
{
	int r = tarn_service_respond(service, request, data, size);
	void *room;

	if (r != -EAGAIN)
		return r;
	r = tarn_service_reserve_wait(service, request, size, deadline, &room);
	if (r < 0)
		return r;
	copy(room, data, size);
	return tarn_service_commit(service, request, size, TARN_RESPONSE_LAST, 0);
}

void tarn_service_abort(struct tarn_service *service, const struct tarn_request *request)
{
	struct conn *conn = conn_of(service, request);

	if (conn != NULL && conn->peer.came == request->came)
		tarn_ring_abort(&conn->wires.responses);
}

/* --- who has called ------------------------------------------------------------------------ */

bool tarn_service_cancelled(struct tarn_service *service, const struct tarn_request *request)
{
	struct conn *conn = conn_of(service, request);

	return service->party.stale || conn == NULL || conn->damaged ||
	       conn->peer.came != request->came ||
	       !tarn__peer_there(&service->party, &conn->peer, false) ||
	       conn_cancelled(conn, request->number) ||
	       (request->deadline != TARN_FOREVER && tarn__plat_now() >= request->deadline);
}

int tarn_service_peer(struct tarn_service *service, const struct tarn_request *request,
		      struct tarn_call_peer *ret_peer)
{
	struct conn *conn = conn_of(service, request);

	return conn == NULL || conn->peer.came != request->came
		       ? -EPIPE
		       : tarn__peer_who(&service->party, &conn->peer, ret_peer);
}
