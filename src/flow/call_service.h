/* SPDX-License-Identifier: BSD-2-Clause */
/* call_service.h - the handle of a server, for call_service.c and call_answer.c. */
#ifndef TARN_FLOW_CALL_SERVICE_H
#define TARN_FLOW_CALL_SERVICE_H

#include "flow/call.h"

/* With the client at one place. */
struct conn {
	struct wires wires;
	struct peer peer; /* came 0: nobody is served there */
	uint32_t index;   /* in the list; UINT32_MAX: not */
	bool damaged;
	bool held; /* the oldest request in the ring is in use */
	uint32_t held_came;
	uint64_t held_number;
	uint64_t waiting_for; /* while it waits for room: to answer this call */
};

struct tarn_service {
	struct party party;             /* comes first */
	struct conn **conns;            /* by place of the client */
	struct conn **list;             /* those that are served */
	const _Atomic uint32_t **words; /* of each of these, where its next request shows */
	uint32_t count;
	uint32_t turn;
	uint32_t callers; /* of its place, as of when clients were looked up last */
	bool behind;      /* one could not be served for want of memory */
	struct tarn_service_stat stat;
};

/* --- call_service.c ------------------------------------------------------------------------ */

extern const _Atomic uint32_t tarn__never; /* 0 */
void tarn__conn_damaged(struct tarn_service *service, struct conn *conn);

/* Where the next request of @conn shows, if it may be taken. */
static inline void conn_watch(struct tarn_service *service, const struct conn *conn)
{
	if (conn->index < service->count)
		service->words[conn->index] =
			conn->held ? &tarn__never : next_word(&conn->wires.requests);
}

/* Does its caller want no answer to @number any more? */
static inline bool conn_cancelled(const struct conn *conn, uint64_t number)
{
	const struct pair_shm *pair = conn->wires.pair;

	/* Q6 <- Q5 in tell_cancelled() */
	if (TARN__LIKELY(atomic_load_explicit(&pair->client.cancels, memory_order_acquire) == 0))
		return false;
	/* relaxed: counted before */
	return atomic_load_explicit(&pair->cancelled[number % TARN_CLIENT_CALLS_MAX],
				    memory_order_relaxed) >= number;
}

#endif /* TARN_FLOW_CALL_SERVICE_H */
