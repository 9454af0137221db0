/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_take.c - a client takes what is answered, and finds out who answers no more. See call.h.
 *
 * A response is shown where it lies, in the ring of its server, and removed by the next call of the
 * handle. Where one call is asked for, and responses to others lie in front, these are copied, and
 * kept until somebody asks for them. So are those that a server has left which is gone: its rings
 * are its successor's then.
 */
#include <errno.h>
#include <stdlib.h>

#include "flow/call_client.h"
#include "region/trace.h"

#define LONG_SLICE_NS INT64_C(100000000) /* with beacons: against a lost or stolen wake */

enum { ROUNDS_SURE = 8 }; /* for who waits, and whose deadline may have passed meanwhile */

/* --- what was taken ------------------------------------------------------------------------ */

void tarn__client_settle(struct tarn_client *client)
{
	if (client->shown != NULL)
		release_one(&client->shown->wires.responses);
	client->shown = NULL;
	if (TARN__UNLIKELY(client->kept_shown != NULL)) {
		free(client->kept_shown);
		client->kept_shown = NULL;
	}
}

void tarn_client_release(struct tarn_client *client)
{
	if (!client->party.stale)
		tarn__client_settle(client);
}

void tarn__call_end(struct tarn_client *client, struct call *call)
{
	client->over_count -= call->state == CALL_LOST || call->state == CALL_DAMAGED;
	client->call_count--;
	call->state = CALL_NONE;
}

static bool is_final(const struct tarn_response *response)
{
	return response->kind != TARN_RESPONSE_MORE;
}

/* The last response of @call was shown. */
static void answered(struct tarn_client *client, struct call *call)
{
	client->stat.answered++;
	tarn__call_end(client, call);
}

/* --- what is kept -------------------------------------------------------------------------- */

void tarn__kept_drop(struct tarn_client *client, uint64_t number)
{
	struct kept **at = &client->kept;

	while (*at != NULL) {
		struct kept *kept = *at;

		if (number != 0 && kept->response.call != number) {
			at = &kept->next;
			continue;
		}
		*at = kept->next;
		client->kept_bytes -= kept->response.size;
		client->stat.kept--;
		free(kept);
	}
	client->kept_end = at;
}

static int keep(struct tarn_client *client, struct call *call, const struct tarn_response *response)
{
	struct kept *kept = malloc(sizeof(*kept) + response->size);

	if (kept == NULL)
		return -ENOMEM;
	*kept = (struct kept){ .response = *response };
	memcpy(kept->data, response->data, response->size);
	kept->response.data = kept->data;
	*client->kept_end = kept;
	client->kept_end = &kept->next;
	client->kept_bytes += response->size;
	client->stat.kept++;
	if (is_final(response)) {
		client->links[call->link]->calls--;
		call->state = CALL_KEPT;
	}
	return 0;
}

/* The oldest that was kept of @number, 0: of any. False: there is none. */
static bool show_kept(struct tarn_client *client, uint64_t number, struct tarn_response *ret)
{
	struct kept **at = &client->kept, *kept;

	while (*at != NULL && number != 0 && (*at)->response.call != number)
		at = &(*at)->next;
	kept = *at;
	if (kept == NULL)
		return false;
	*at = kept->next;
	if (*at == NULL)
		client->kept_end = at;
	client->kept_bytes -= kept->response.size;
	client->stat.kept--;
	client->kept_shown = kept;
	*ret = kept->response;
	if (is_final(ret))
		answered(client, call_of(client, ret->call));
	return true;
}

/* --- what lies in the ring ----------------------------------------------------------------- */

/* The call that waits for what @frame says it is; NULL: none does. */
static struct call *awaited(struct tarn_client *client, const struct link *link,
			    const struct frame *frame)
{
	struct call *call = call_of(client, number_of(frame));

	return call != NULL && call->state == CALL_OUT && call->link == link->at &&
			       frame->from == link->peer.came && frame->to == client->party.came &&
			       kind_of(frame) - TARN_RESPONSE_LAST <=
				       TARN_RESPONSE_ERROR - TARN_RESPONSE_LAST
		       ? call
		       : NULL;
}

/* A response that lies in a ring. */
struct found {
	struct call *call;
	const void *data;
	size_t size;
	struct frame frame;
};

/* The next one of @link that somebody waits for. 0, -EAGAIN, -EUCLEAN. */
static TARN__ALWAYS_INLINE int next_response(struct tarn_client *client, struct link *link,
					     struct found *found)
{
	struct tarn_ring *ring = &link->wires.responses;

	for (int tries = 0; tries < PART_TRIES; tries++) {
		int r = has_record(ring) ? tarn_ring_peek(ring, &found->data, &found->size)
					 : -EAGAIN;

		if (r < 0)
			return r == -EUCLEAN ? r : -EAGAIN;
		if (TARN__UNLIKELY(found->size < RING_FRAME))
			return -EUCLEAN;
		found->frame = frame_at(found->data);
		found->call = awaited(client, link, &found->frame);
		if (TARN__LIKELY(found->call != NULL))
			return 0;
		client->stat.stale++;
		release_one(ring);
	}
	return -EAGAIN;
}

/* One by one, as tarn__ring_push_framed(). */
static inline void describe(const struct link *link, const struct found *found,
			    struct tarn_response *ret)
{
	uint32_t kind = kind_of(&found->frame);

	ret->data = (const char *)found->data + RING_FRAME;
	ret->size = found->size - RING_FRAME;
	ret->call = number_of(&found->frame);
	ret->kind = (enum tarn_response_kind)kind;
	ret->code = kind == TARN_RESPONSE_ERROR ? (int32_t)(uint32_t)found->frame.value : 0;
	ret->server = link->at;
}

/* The next response to @number, 0: to any call. 0, -EAGAIN, -ENOBUFS, -ENOMEM, -EUCLEAN. */
static TARN__ALWAYS_INLINE int look(struct tarn_client *client, struct link *link, uint64_t number,
				    struct tarn_response *ret_response)
{
	struct tarn_response response;
	struct found found;

	for (int tries = 0; tries < PART_TRIES; tries++) {
		int r = next_response(client, link, &found);

		if (r < 0)
			return r;
		if (TARN__LIKELY(number == 0 || number == number_of(&found.frame))) {
			client->shown = link;
			describe(link, &found, ret_response);
			if (kind_of(&found.frame) != TARN_RESPONSE_MORE) {
				link->calls--;
				answered(client, found.call);
			}
			return 0;
		}
		if (client->kept_bytes + found.size > client->party.response_capacity)
			return -ENOBUFS;
		describe(link, &found, &response);
		r = keep(client, found.call, &response);
		if (r < 0)
			return r;
		release_one(&link->wires.responses);
	}
	return -EAGAIN;
}

/* --- whose server is gone ------------------------------------------------------------------ */

bool tarn__link_gone(struct tarn_client *client, struct link *link, bool probe)
{
	const struct ring_side_shm *theirs = &link->wires.pair->server;

	if (!tarn__peer_there(&client->party, &link->peer, probe))
		return true;
	/* acquire: of the owner that says so */
	if (TARN__LIKELY(atomic_load_explicit(&theirs->state, memory_order_acquire) !=
			 SIDE_FINISHED) ||
	    /* relaxed: as above */
	    atomic_load_explicit(&theirs->owner, memory_order_relaxed) != link->peer.id)
		return false;
	link->damaged = true; /* the server cannot go by these rings */
	return true;
}

/* The same for who polls: mostly a look at hints is enough. */
static inline bool is_gone(struct tarn_client *client, struct link *link)
{
	enum { EVERY = 1 << 12 };

	bool ask = ++link->peer.looks % EVERY == 0;

	if (TARN__LIKELY(!ask) && TARN__LIKELY(seems_there(&link->peer)))
		return false;
	return tarn__link_gone(client, link, ask);
}

/* All that it answered before. */
static int keep_all(struct tarn_client *client, struct link *link)
{
	struct tarn_response response;
	struct found found;
	int r = 0;

	while (r == 0 && link->calls > 0) {
		r = next_response(client, link, &found);
		if (r < 0)
			break;
		describe(link, &found, &response);
		r = keep(client, found.call, &response);
		if (r == 0)
			release_one(&link->wires.responses);
	}
	if (r == -EUCLEAN)
		link->damaged = true;
	return r == -ENOMEM ? r : 0;
}

int tarn__link_lose(struct tarn_client *client, struct link *link)
{
	int r = link->damaged ? 0 : keep_all(client, link);

	if (r < 0)
		return r;
	/* relaxed: only this handle writes it */
	atomic_fetch_and_explicit(&client->party.me->connected, ~(UINT64_C(1) << link->at),
				  memory_order_relaxed);
	for (uint32_t i = 0; i < TARN_CLIENT_CALLS_MAX && link->calls > 0; i++) {
		struct call *call = &client->calls[i];

		if (call->state != CALL_OUT || call->link != link->at)
			continue;
		call->state = link->damaged ? CALL_DAMAGED : CALL_LOST;
		client->over_count++;
		client->stat.lost++;
		link->calls--;
	}
	tarn__trace(client->party.region, TARN_TRACE_GONE, &client->party.object, TARN_TRACE_SERVER,
		    link->at);
	link->peer.came = 0;
	client->only = NULL;
	client->looked = false; /* its successor may have come before */
	return 0;
}

/* @call is over, and nothing of it is left. */
static int tell_over(struct tarn_client *client, struct call *call, struct tarn_response *ret)
{
	int r = call->state == CALL_DAMAGED ? -EUCLEAN : -EPIPE;

	*ret = (struct tarn_response){ .call = call->number, .server = call->link };
	tarn__call_end(client, call);
	return r;
}

/* --- take ---------------------------------------------------------------------------------- */

static inline int take_one(struct tarn_client *client, uint64_t number, struct tarn_response *ret)
{
	for (;;) {
		struct call *call = call_of(client, number);
		struct link *link;
		int r;

		if (TARN__UNLIKELY(call == NULL))
			return -ENOENT;
		if (TARN__UNLIKELY(client->kept != NULL) && show_kept(client, number, ret))
			return 0;
		if (TARN__UNLIKELY(call->state != CALL_OUT))
			return tell_over(client, call, ret);
		link = client->links[call->link];
		r = look(client, link, number, ret);
		if (r == -EUCLEAN)
			link->damaged = true;
		else if (TARN__LIKELY(r != -EAGAIN) || !is_gone(client, link))
			return r;
		r = tarn__link_lose(client, link);
		if (r < 0)
			return r;
	}
}

/* Any that is over. */
static int tell_any_over(struct tarn_client *client, struct tarn_response *ret)
{
	for (uint32_t i = 0; i < TARN_CLIENT_CALLS_MAX; i++)
		if (client->calls[i].state == CALL_LOST || client->calls[i].state == CALL_DAMAGED)
			return tell_over(client, &client->calls[i], ret);
	return -EAGAIN;
}

/* The servers that owe answers, by turns. 0, -EAGAIN, -EINTR (one was lost), -ENOMEM. */
static int look_all(struct tarn_client *client, struct tarn_response *ret)
{
	for (uint32_t i = 0; i < client->link_count; i++) {
		uint32_t at = (client->turn + i) % client->link_count;
		struct link *link = client->links[at];
		int r;

		if (link == NULL || link->calls == 0)
			continue;
		r = look(client, link, 0, ret);
		if (r == -EUCLEAN)
			link->damaged = true;
		if (r == 0)
			client->turn = at + 1;
		if (r == -EUCLEAN || (r == -EAGAIN && is_gone(client, link))) {
			r = tarn__link_lose(client, link);
			return r < 0 ? r : -EINTR;
		}
		if (r != -EAGAIN)
			return r;
	}
	return -EAGAIN;
}

static int take_any(struct tarn_client *client, struct tarn_response *ret)
{
	int r;

	do {
		if (client->kept != NULL && show_kept(client, 0, ret))
			return 0;
		if (client->over_count > 0)
			return tell_any_over(client, ret);
		if (client->call_count == 0)
			return -ENOENT;
		r = look_all(client, ret);
	} while (r == -EINTR);
	return r;
}

int tarn_client_take(struct tarn_client *client, uint64_t number,
		     struct tarn_response *ret_response)
{
	int r = tarn__client_enter(client);

	if (r < 0)
		return r;
	return number != 0 ? take_one(client, number, ret_response)
			   : take_any(client, ret_response);
}

/* --- waiting ------------------------------------------------------------------------------- */

/* What one waits for. */
struct want {
	struct tarn_client *client;
	struct link *one; /* of the call; NULL: all that owe answers */
};

static bool awaits(const struct want *want, const struct link *link)
{
	return want->one != NULL ? link == want->one : link != NULL && link->calls > 0;
}

static bool has_any(void *arg)
{
	const struct want *want = arg;
	const struct tarn_client *client = want->client;

	if (TARN__LIKELY(want->one != NULL))
		return has_record(&want->one->wires.responses);
	for (uint32_t i = 0; i < client->link_count; i++)
		if (awaits(want, client->links[i]) &&
		    has_record(&client->links[i]->wires.responses))
			return true;
	return false;
}

/* The same, or will none come any more? */
static bool has_news(void *arg)
{
	const struct want *want = arg;
	struct tarn_client *client = want->client;

	if (has_any(arg))
		return true;
	for (uint32_t i = 0; i < client->link_count; i++)
		if (awaits(want, client->links[i]) &&
		    tarn__link_gone(client, client->links[i], true)) {
			/* the next take is to ask the kernel, too */
			client->links[i]->peer.looks = UINT32_MAX;
			return true;
		}
	return false;
}

bool tarn__client_there(struct tarn_client *client, bool thorough)
{
	struct want want = { .client = client };

	if (client->party.stale || client->kept != NULL || client->over_count > 0 || has_any(&want))
		return true;
	for (uint32_t i = 0; i < client->link_count; i++)
		if (awaits(&want, client->links[i]) &&
		    tarn__link_gone(client, client->links[i], thorough)) {
			client->links[i]->peer.looks = UINT32_MAX; /* as above */
			return true;
		}
	return false;
}

int64_t tarn__client_words(struct tarn_client *client, uint32_t value, struct tarn__futex *words,
			   bool *beacons, unsigned room, unsigned *ret_count)
{
	struct tarn_region *region = client->party.region;
	struct want want = { .client = client };
	int64_t least = 0;
	unsigned count = 0;

	beacons[count] = false;
	words[count++] = tarn__futex_of(&client->party.me->side.waiting, value);
	for (uint32_t i = 0; i < client->link_count; i++) {
		struct link *link = client->links[i];
		_Atomic uint32_t *beacon = NULL;
		uint32_t said = 0;
		int64_t slice;

		if (!awaits(&want, link))
			continue;
		if (count < room)
			beacon = tarn__beacon_watch(region, link->peer.id, &said);
		if (beacon != NULL) {
			link->slice = 0;
			beacons[count] = true;
			words[count++] = tarn__futex_of(beacon, said);
			continue;
		}
		slice = tarn__beacon_slice(region, link->peer.id, &link->slice);
		if (least == 0 || slice < least)
			least = slice;
	}
	*ret_count = count;
	return least;
}

/* On the deaths of several servers. As tarn__party_sleep(). */
static int sleep_on_many(struct tarn_client *client, struct want *want, int64_t deadline)
{
	struct ring_side_shm *side = &client->party.me->side;
	struct waiter_words *words = client->words;
	uint32_t value = WAIT_ASLEEP;
	int r = 0;

	if (words == NULL)
		words = client->words = malloc(sizeof(*words));
	if (words == NULL)
		return -ENOMEM;
	if (tarn_segment_damaged(client->party.region->seg))
		return -EIO;
	tarn__side_sleeps(side, 0);
	if (tarn__plat_membarrier_sync() < 0)
		value = tarn__side_fence(side);
	if (!has_news(want)) {
		words->slice = tarn__client_words(client, value, words->words, words->beacon,
						  TARN__FUTEX_MAX, &words->count);
		if (words->slice == 0)
			words->slice = LONG_SLICE_NS;
		r = tarn__plat_now() >= deadline              ? -ETIMEDOUT
		    : tarn__waiter_sleep(words, deadline) < 0 ? -EIO
							      : 0;
	}
	tarn__side_awake(side);
	return r;
}

static int wait_once(struct tarn_client *client, uint64_t number, int64_t deadline)
{
	struct call *call = call_of(client, number);
	struct want want = { .client = client,
			     .one = call != NULL ? client->links[call->link] : NULL };
	uint32_t owing = 0, peer = 0;

	if (tarn__party_spin(&client->party, has_any, &want, deadline))
		return 0;
	for (uint32_t i = 0; i < client->link_count; i++)
		if (awaits(&want, client->links[i])) {
			owing++;
			peer = client->links[i]->peer.id;
		}
	if (owing > 1)
		return sleep_on_many(client, &want, deadline);
	return tarn__party_sleep(&client->party, has_news, &want, peer, deadline);
}

int tarn_client_take_wait(struct tarn_client *client, uint64_t number, int64_t deadline,
			  struct tarn_response *ret_response)
{
	for (int rounds = 0;; rounds++) {
		int r = tarn_client_take(client, number, ret_response);

		if (r != -EAGAIN)
			return r;
		r = wait_once(client, number, deadline);
		if (r < 0)
			return r;
		/* a peer could show for ever what is for nobody */
		if (rounds >= ROUNDS_SURE && tarn__plat_now() >= deadline)
			return -ETIMEDOUT;
	}
}
