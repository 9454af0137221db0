/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call_look.c - who serves and who calls, and what lies in their rings, seen from outside: nothing
 * is written, and nobody waits. What is read may be of different moments; each value is checked
 * before it is used.
 */
#include <errno.h>
#include <stdlib.h>

#include "flow/call.h"

/* Everybody: servers, then clients, by place. id 0: nobody sits there. */
struct view {
	struct party party;
	struct tarn_call_user *users;
	uint32_t *ids;
	uint32_t *came;
};

static uint32_t load(const _Atomic uint32_t *word)
{
	/* acquire: loads stay in the order written */
	return atomic_load_explicit(word, memory_order_acquire);
}

static uint32_t count_of(const struct view *view)
{
	return TARN_SERVICE_SERVERS_MAX + view->party.clients;
}

/* --- who is there -------------------------------------------------------------------------- */

static void see(struct view *view, uint32_t at)
{
	struct party_shm *place = &view->party.shm->places[at];
	struct tarn_region *region = view->party.region;
	struct tarn_call_user *user = &view->users[at];
	bool client = at >= TARN_SERVICE_SERVERS_MAX;
	/* Q2 <- Q1 in settle_in() */
	bool active = load(&place->side.state) == SIDE_ACTIVE;
	uint32_t id = load(&place->side.owner);

	view->came[at] = load(&place->came);
	if (!active || id == 0 || tarn__id_slot(id) >= region->member_max)
		return;
	view->ids[at] = id;
	*user = (struct tarn_call_user){
		.role = client ? TARN_CALL_ASKS : TARN_CALL_SERVES,
		.place = client ? at - TARN_SERVICE_SERVERS_MAX : at,
		.slot = tarn__id_slot(id),
		.pid = (int32_t)load(&place->pid),
		.uid = load(&place->uid),
		.gid = load(&place->gid),
		.alive = tarn__member_alive(region, id),
	};
}

/* --- what lies in a ring ------------------------------------------------------------------- */

/* Is the record at hand of who is there now, to who is there now, and of a call that is not
 * cancelled? */
static bool counts(const struct pair_shm *pair, const struct record_shm *record, uint32_t size,
		   uint32_t from, uint32_t to)
{
	struct frame frame;

	if (size < RING_FRAME)
		return false;
	frame = frame_at(record->payload);
	/* Q6 <- Q5 in tell_cancelled() */
	return frame.from == from && frame.to == to &&
	       (load(&pair->client.cancels) == 0 ||
		/* relaxed: counted before */
		atomic_load_explicit(&pair->cancelled[number_of(&frame) % TARN_CLIENT_CALLS_MAX],
				     memory_order_relaxed) < number_of(&frame));
}

/* How many such lie in @ring, from the head of its reader on. */
static uint64_t lying(const struct pair_shm *pair, const struct tarn_ring *ring,
		      const struct ring_pos_shm *head, uint32_t from, uint32_t to)
{
	uint32_t first = load(&head->pos);
	uint64_t count = 0;

	for (uint32_t pos = first; pos - first < ring->capacity;) {
		const struct record_shm *record = record_at(ring, pos);
		uint32_t mark, word = load_header(record, &mark);
		uint32_t left = ring->capacity - (pos & ring->mask);
		uint32_t kind = word & 3u, units = units_at(pos, word);

		/* the end; or the reader has gone on, and others write here */
		if ((kind != RECORD_DATA && kind != RECORD_SKIP) || mark != pos || units > left)
			break;
		count += kind == RECORD_DATA && counts(pair, record, word >> 2, from, to);
		pos += units;
	}
	return count;
}

/* What the server and the client at these indices have with each other. */
static int see_pair(struct view *view, uint32_t server, uint32_t client)
{
	struct tarn_call_user *serves = &view->users[server], *asks = &view->users[client];
	struct wires wires = { .pair = NULL };
	uint64_t requests, responses;
	int r = tarn__wires_open(&view->party, server, client - TARN_SERVICE_SERVERS_MAX, false,
				 &wires);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	requests = lying(wires.pair, &wires.requests, &wires.pair->request_head, view->came[client],
			 view->came[server]);
	responses = lying(wires.pair, &wires.responses, &wires.pair->response_head,
			  view->came[server], view->came[client]);
	tarn__wires_close(&view->party, &wires);
	serves->peers += asks->alive;
	asks->peers++;
	/* of the dead nobody waits for an answer */
	serves->requests += asks->alive ? requests : 0;
	serves->responses += asks->alive ? responses : 0;
	asks->requests += requests;
	asks->responses += responses;
	return 0;
}

static int see_all(struct view *view)
{
	uint32_t count = count_of(view);
	int r = 0;

	for (uint32_t i = 0; i < count; i++)
		see(view, i);
	for (uint32_t c = TARN_SERVICE_SERVERS_MAX; c < count && r == 0; c++) {
		/* relaxed: for the eye */
		uint64_t connected = atomic_load_explicit(&view->party.shm->places[c].connected,
							  memory_order_relaxed);

		for (uint32_t s = 0; s < TARN_SERVICE_SERVERS_MAX && r == 0; s++)
			if (view->ids[c] != 0 && view->ids[s] != 0 && (connected >> s & 1) != 0)
				r = see_pair(view, s, c);
	}
	if (r == 0 && tarn_segment_damaged(view->party.region->seg))
		r = -EIO;
	return r;
}

/* --- looking ------------------------------------------------------------------------------- */

static int open_view(struct tarn_region *region, const char *name, struct view *view)
{
	uint32_t count;
	int r = tarn__party_look(region, name, &view->party);

	if (r < 0)
		return r;
	count = count_of(view);
	view->users = calloc(count, sizeof(*view->users));
	view->ids = calloc(count, sizeof(*view->ids));
	view->came = calloc(count, sizeof(*view->came));
	return view->users != NULL && view->ids != NULL && view->came != NULL ? see_all(view)
									      : -ENOMEM;
}

int tarn_service_users(struct tarn_region *region, const char *name,
		       int (*fn)(const struct tarn_call_user *user, void *arg), void *arg)
{
	struct view view = { .users = NULL };
	int r = open_view(region, name, &view);

	for (uint32_t i = 0; r == 0 && i < count_of(&view); i++)
		if (view.ids[i] != 0)
			r = fn(&view.users[i], arg);
	if (view.party.shm != NULL)
		tarn__party_unlook(&view.party);
	free(view.users);
	free(view.ids);
	free(view.came);
	return r;
}
