/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * calls.c - victims that serve and call, each other and themselves, while a peer spoils places,
 * rings and records. Nobody is promised an answer that is right; but each call comes back with an
 * error that its header names, within its deadline, and what is shown lies in the rings.
 */
#include <tarn/call.h>

#include "victims.h"

enum { MOST = 400, LATER = 4 };

static const int open_call_errors[] = { ENOENT,  EEXIST, EPROTO,    ENOSPC, ENFILE, EINVAL,
					EUCLEAN, EIO,    ETIMEDOUT, EUSERS, ENOMEM, 0 };
static const int call_errors[] = { EAGAIN,   EPIPE,     ENOTCONN, EREMOTEIO, ENOBUFS, EPROTO,
				   EMSGSIZE, EMFILE,    EUCLEAN,  ENOSPC,    ENFILE,  ENOMEM,
				   EIO,      ETIMEDOUT, ENOENT,   ECANCELED, EINVAL,  0 };

struct calls {
	struct tarn_service *service;
	struct tarn_client *client;
	struct tarn_request later[LATER]; /* number 0: none */
	uint64_t call;                    /* the last one that was begun */
	size_t request_max, response_max;
};

/* --- a server -------------------------------------------------------------------------------- */

static void stream(struct victim *v, struct calls *c, const struct tarn_request *request,
		   uint64_t random)
{
	size_t size = (random >> 8) % c->response_max;
	void *data;

	if (CALL(v,
		 tarn_service_reserve_wait(c->service, request, size, tarn_deadline_after(SLICE_NS),
					   &data),
		 call_errors) < 0)
		return;
	memset(data, (int)random, size);
	if ((random >> 5) % 8 == 0)
		tarn_service_abort(c->service, request);
	else
		(void)CALL(v,
			   tarn_service_commit(
				   c->service, request, size / 2,
				   (random & 1) != 0 ? TARN_RESPONSE_MORE : TARN_RESPONSE_LAST, 0),
			   call_errors);
}

static void answer(struct victim *v, struct calls *c, const struct tarn_request *request,
		   uint64_t random)
{
	static unsigned char bytes[MOST];
	size_t size = (random >> 8) % MOST;

	switch (random % 6) {
	case 0:
		(void)CALL(v, tarn_service_more(c->service, request, bytes, size), call_errors);
		break;
	case 1:
		(void)CALL(v, tarn_service_fail(c->service, request, 7, bytes, size), call_errors);
		break;
	case 2:
		stream(v, c, request, random >> 16);
		break;
	case 3:
		(void)CALL(v,
			   tarn_service_respond_wait(c->service, request, bytes, size,
						     tarn_deadline_after(SLICE_NS)),
			   call_errors);
		break;
	default:
		(void)CALL(v, tarn_service_respond(c->service, request, bytes, size), call_errors);
	}
}

static void serve(struct victim *v, struct calls *c, uint64_t random)
{
	struct tarn_request *later = &c->later[(random >> 20) % LATER], request;
	struct tarn_service_stat stat;
	struct tarn_call_peer peer;
	int r = (random >> 30) % 4 == 0
			? CALL(v,
			       tarn_service_take_wait(c->service, tarn_deadline_after(SLICE_NS),
						      &request),
			       call_errors)
			: CALL(v, tarn_service_take(c->service, &request), call_errors);

	if (r == 0) {
		if (request.size > c->request_max)
			hostile_lie(v->arena, "take", "larger than any", (int64_t)request.size);
		read_all(v, request.data, request.size);
		if (CALL(v, tarn_service_peer(c->service, &request, &peer), call_errors) == 0)
			v->sink += peer.member;
		v->sink += tarn_service_cancelled(c->service, &request);
		if ((random >> 33) % 3 == 0) {
			tarn_service_release(c->service, &request);
			*later = request;
		} else {
			answer(v, c, &request, hostile_random(&v->random));
			tarn_service_release(c->service, &request);
		}
	} else if (later->number != 0) {
		answer(v, c, later, hostile_random(&v->random));
		later->number = 0;
	}
	tarn_service_stat(c->service, &stat);
	v->sink += stat.taken;
}

/* --- a client -------------------------------------------------------------------------------- */

static void begin(struct victim *v, struct calls *c, uint64_t random)
{
	static unsigned char bytes[MOST];
	size_t size = (random >> 8) % MOST;
	void *data;

	if (random % 3 != 0) {
		(void)CALL(v, tarn_client_begin(c->client, bytes, size, (int64_t)random, &c->call),
			   call_errors);
		return;
	}
	if (CALL(v, tarn_client_reserve_wait(c->client, size, tarn_deadline_after(SLICE_NS), &data),
		 call_errors) < 0)
		return;
	memset(data, (int)random, size);
	if ((random >> 5) % 8 == 0)
		tarn_client_abort(c->client);
	else
		(void)CALL(v, tarn_client_commit(c->client, size / 2, TARN_FOREVER, &c->call),
			   call_errors);
}

static void take(struct victim *v, struct calls *c, uint64_t random)
{
	uint64_t call = random % 2 == 0 ? 0 : c->call;
	struct tarn_response response;
	int r = (random >> 30) % 4 == 0
			? CALL(v,
			       tarn_client_take_wait(c->client, call, tarn_deadline_after(SLICE_NS),
						     &response),
			       call_errors)
			: CALL(v, tarn_client_take(c->client, call, &response), call_errors);

	if (r < 0)
		return;
	if (response.size > c->response_max || response.server >= TARN_SERVICE_SERVERS_MAX)
		hostile_lie(v->arena, "take", "larger than any, or of no server",
			    (int64_t)response.size);
	read_all(v, response.data, response.size);
	if ((random >> 33) % 2 == 0)
		tarn_client_release(c->client);
}

static void ask(struct victim *v, struct calls *c, uint64_t random)
{
	static unsigned char bytes[MOST];
	struct tarn_client_stat stat;
	struct tarn_call_peer peer;
	size_t size = 0;

	switch (random % 10) {
	case 0:
		if (CALL(v,
			 tarn_client_call(c->client, bytes, (random >> 8) % MOST, bytes,
					  (random >> 20) % MOST, tarn_deadline_after(SLICE_NS),
					  &size),
			 call_errors) == 0 &&
		    size > (random >> 20) % MOST)
			hostile_lie(v->arena, "call", "past the buffer", (int64_t)size);
		break;
	case 1:
		(void)CALL(v, tarn_client_cancel(c->client, c->call), call_errors);
		break;
	case 2:
		if (CALL(v, tarn_client_peer(c->client, c->call, &peer), call_errors) == 0)
			v->sink += peer.member;
		tarn_client_stat(c->client, &stat);
		v->sink += stat.begun;
		break;
	case 3:
		(void)CALL(v, tarn_client_wait_server(c->client, tarn_deadline_after(SLICE_NS)),
			   call_errors);
		break;
	case 4:
	case 5:
	case 6:
		begin(v, c, random >> 8);
		break;
	default:
		take(v, c, random >> 8);
	}
}

/* --- coming and going ------------------------------------------------------------------------ */

static void come(struct victim *v, struct calls *c)
{
	const struct tarn_call_opts opts = { .request_capacity = 1024,
					     .response_capacity = 1024,
					     .clients = 8 };
	struct tarn_service_stat stat;

	memset(c, 0, sizeof(*c));
	if (CALL(v, tarn_service_open(v->region, "squares", &opts, &c->service),
		 open_call_errors) == 0) {
		tarn_service_stat(c->service, &stat);
		c->request_max = stat.request_max;
		c->response_max = stat.response_max;
		(void)CALL(v, tarn_client_open(v->region, "squares", &opts, &c->client),
			   open_call_errors);
	} else if (hostile_random(&v->random) % 4 == 0) { /* it is damaged: another one */
		(void)CALL(v, tarn_object_remove(v->region, "squares"), object_errors);
	}
}

static int add_user(const struct tarn_call_user *user, void *arg)
{
	struct victim *v = arg;

	v->sink += user->requests + user->responses + user->peers;
	return 0;
}

void victim_caller(struct hostile_arena *arena, unsigned index)
{
	struct victim v = { .arena = arena, .index = index };
	struct calls c;

	v.random = arena->seed * 67 + index + 1;
	while (!hostile_over(arena)) {
		if (enter_region(&v, 0) < 0)
			continue;
		come(&v, &c);
		for (int i = 0; i < ROUND_CALLS / 2 && !hostile_over(arena); i++) {
			uint64_t random = hostile_random(&v.random);

			if (c.service != NULL && random >> 63 != 0)
				serve(&v, &c, random);
			else if (c.client != NULL)
				ask(&v, &c, random);
		}
		(void)CALL(&v, tarn_service_users(v.region, "squares", add_user, &v), call_errors);
		(void)CALL(&v, tarn_region_check(v.region, NULL, NULL), look_errors);
		hostile_enter(arena, index, "closing calls");
		tarn_client_close(c.client);
		tarn_service_close(c.service);
		leave_region(&v);
	}
}

BEHIND_GUARD(caller)
