/* SPDX-License-Identifier: BSD-2-Clause */
/* call_client.h - the handle of a client, for call_client.c and call_take.c. */
#ifndef TARN_FLOW_CALL_CLIENT_H
#define TARN_FLOW_CALL_CLIENT_H

#include "flow/call.h"
#include "flow/waiter.h"

/* To one server. */
struct link {
	struct wires wires;
	struct peer peer; /* came 0: no server that calls may go to */
	uint32_t at;      /* its place */
	uint32_t calls;   /* that it owes answers to */
	int64_t slice;    /* for how long to sleep, where its beacon has fired in vain */
	bool damaged;
};

enum call_state {
	CALL_NONE = 0,
	CALL_OUT,     /* it is to be answered */
	CALL_KEPT,    /* its last response is among those that were kept */
	CALL_LOST,    /* its server is gone */
	CALL_DAMAGED, /* so are the rings */
};

struct call {
	uint64_t number;
	uint32_t link; /* place of the server */
	enum call_state state;
};

/* A response that was copied, since another one was asked for. */
struct kept {
	struct kept *next;
	struct tarn_response response;
	unsigned char data[];
};

struct tarn_client {
	struct party party; /* comes first */
	struct link *links[TARN_SERVICE_SERVERS_MAX];
	uint32_t link_count; /* places that may have one */
	struct link *only;   /* the one with a server; NULL: none, or several */
	uint32_t servings;   /* of the service, as of when links were looked up last */
	uint32_t turn;       /* the link to begin with */
	bool looked;         /* servings is one that was seen */
	int why_not;         /* no rings with a server that is there: what opening returned */
	uint64_t number;     /* of the call that was begun last */
	struct call calls[TARN_CLIENT_CALLS_MAX];
	uint32_t call_count; /* not over */
	uint32_t over_count; /* of these LOST or DAMAGED */
	struct link *shown;  /* the oldest response of this one is in use */
	struct link *reserved;
	struct kept *kept, **kept_end;
	struct kept *kept_shown; /* to be freed */
	size_t kept_bytes;
	int32_t code;
	struct tarn_client_stat stat;
	struct waiter_words *words; /* to sleep on more than one server's death */
};

static inline struct call *call_of(struct tarn_client *client, uint64_t number)
{
	struct call *call = &client->calls[number % TARN_CLIENT_CALLS_MAX];

	return call->state != CALL_NONE && call->number == number ? call : NULL;
}

/* --- call_client.c ------------------------------------------------------------------------- */

/* Is there a server that calls of @link may go to, or answers come from? */
static inline bool has_server(const struct link *link)
{
	return link != NULL && link->peer.came != 0;
}
/* Before all else a call does. 0, -EBUSY. */
int tarn__client_enter(struct tarn_client *client);

/* --- call_take.c --------------------------------------------------------------------------- */

/* What was shown is not in use any more. */
void tarn__client_settle(struct tarn_client *client);
/* Is the server of @link gone? @probe: ask the kernel. */
bool tarn__link_gone(struct tarn_client *client, struct link *link, bool probe);
/* It is: keep what it answered, and fail what it did not. 0, -ENOMEM. */
int tarn__link_lose(struct tarn_client *client, struct link *link);
/* The call is over. */
void tarn__call_end(struct tarn_client *client, struct call *call);
/* Free what was kept of @number; 0: of all. */
void tarn__kept_drop(struct tarn_client *client, uint64_t number);

#endif /* TARN_FLOW_CALL_CLIENT_H */
