/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_publish.c - a publisher publishes, and finds room. See topic.h.
 *
 * A message is written from the back: the header behind it gets number 0, payload and header are
 * stored, and last its number, which publishes it. If it does not fit before the end of the lane it
 * goes to place 0, and is complete there before the number of the skip in front of it is stored. A
 * batch is the same: all but the first number, then the first.
 *
 * limit is where thought begins again: the end of what is free, of a part of the lane, or of the
 * lane. For each part the publisher keeps where the first message of it starts, so that it can say
 * at once which message is the oldest one when memory is used again.
 */
#include <errno.h>
#include <inttypes.h>

#include "flow/apart.h"

enum { SMALL = 256 }; /* bytes of a payload that lossy subscribers copy without a hold */

/* --- room ---------------------------------------------------------------------------------- */

/* Is it in the way of whoever wants to write over all below @oldest? */
static bool needs_below(struct tarn_publisher *publisher, uint32_t i, uint64_t oldest)
{
	/* T4 <> T3 in take_seat() and take_hold(); T6 <- T5 */
	uint32_t how = atomic_load_explicit(&subscriber_seat(&publisher->topic, i)->value,
					    memory_order_seq_cst);
	uint64_t low =
		atomic_load_explicit(&publisher->lane.shm->lows[i].pos, memory_order_seq_cst);

	if (how == COMING)
		return true;
	return low < oldest && (how == LOSSLESS || (is_lossy(how) && low != 0));
}

/* Who is lossless, and sits there, only ever raises its low. */
static void note_floor(struct tarn_publisher *publisher, uint32_t seats, uint32_t sittings)
{
	uint64_t floor = UINT64_MAX;

	for (uint32_t i = 0; i < seats && i < TARN_TOPIC_SUBSCRIBERS_MAX; i++) {
		struct seat_shm *seat = subscriber_seat(&publisher->topic, i);
		uint64_t low;

		/* acquire: who comes from now on counts, and is seen by that */
		if (atomic_load_explicit(&seat->id, memory_order_acquire) == 0)
			continue;
		/* acquire: T6 <- T5, behind what it says of itself */
		if (atomic_load_explicit(&seat->value, memory_order_acquire) != LOSSLESS) {
			floor = 0;
			break;
		}
		low = atomic_load_explicit(&publisher->lane.shm->lows[i].pos, memory_order_acquire);
		floor = low < floor ? low : floor;
	}
	publisher->floor = floor;
	publisher->sittings = sittings;
}

/* Is it known that nobody needs what lies below @oldest? The line that a subscriber writes is left
 * to it. */
static inline bool below_floor(const struct tarn_publisher *publisher, uint64_t oldest)
{
	/* T4 <> T3 in take_seat(); with no region the floor is 0 */
	return TARN__LIKELY(oldest <= publisher->floor) &&
	       TARN__LIKELY(atomic_load_explicit(&publisher->topic.shm->sittings,
						 memory_order_seq_cst) == publisher->sittings);
}

/* Does nobody need what lies below @oldest? Who is dead is got up from his seat. */
static bool nobody_needs(struct tarn_publisher *publisher, uint64_t oldest)
{
	struct topic *topic = &publisher->topic;

	if (publisher->door != NULL)
		return tarn__door_nobody_needs(publisher, oldest);

	/* T4 <> T3 in take_seat() */
	uint32_t sittings = atomic_load_explicit(&topic->shm->sittings, memory_order_seq_cst);
	/* T4 <> T3: raised before the seat is taken */
	uint32_t seats = atomic_load_explicit(&topic->shm->seats, memory_order_seq_cst);
	int tries = 0;

	for (uint32_t i = 0; i < seats && i < TARN_TOPIC_SUBSCRIBERS_MAX; i++) {
		struct seat_shm *seat = subscriber_seat(topic, i);
		/* T4 <> T3 */
		uint32_t id = atomic_load_explicit(&seat->id, memory_order_seq_cst);

		if (id == 0 || !needs_below(publisher, i, oldest))
			continue;
		if (++tries > PRIM_TRIES || !tarn__seat_dead(&topic->prim, id, true)) {
			publisher->blocker = i;
			return false;
		}
		/* seq_cst: if another has sat down meanwhile it stays */
		if (atomic_compare_exchange_strong_explicit(&seat->id, &id, 0, memory_order_seq_cst,
							    memory_order_relaxed))
			tarn__prim_freed(&topic->prim);
		i--; /* and look at the seat again */
	}
	publisher->blocker = UINT32_MAX;
	note_floor(publisher, seats, sittings);
	return true;
}

/* Have all below @end. 0, -EAGAIN. */
static int claim(struct tarn_publisher *publisher, uint64_t end)
{
	struct lane *lane = &publisher->lane;
	uint64_t part_size = UINT64_C(1) << lane->part_shift;
	uint64_t to = (end + part_size - 1) & ~(part_size - 1), pos = publisher->pos;
	uint64_t gone, part, oldest = publisher->oldest;

	to = to - pos > lane->capacity ? pos + lane->capacity : to;
	gone = to - lane->capacity;
	part = gone >> lane->part_shift;
	/* At pos the header says 0, so whoever comes there waits. */
	if (gone > oldest)
		oldest = gone == pos || part > publisher->part ? pos
							       : publisher->starts[part % PARTS];
	if (oldest != publisher->oldest) {
		if (!below_floor(publisher, oldest) && !nobody_needs(publisher, oldest))
			return -EAGAIN;
		/* T3 <> T4, T7 -> T8 */
		atomic_store_explicit(&lane->shm->oldest, oldest, memory_order_seq_cst);
		publisher->oldest = oldest;
	}
	/* The second look: who has come since the first, or has taken hold of something. */
	if (gone > lane->capacity && !below_floor(publisher, oldest) &&
	    !nobody_needs(publisher, oldest))
		return -EAGAIN;
	publisher->free_to = to;
	return 0;
}

/* Where a message of @bytes goes. 0, -EAGAIN, -EBUSY, -EIO. */
__attribute__((noinline)) static int find_room(struct tarn_publisher *publisher, uint64_t bytes,
					       uint64_t *ret_start)
{
	struct lane *lane = &publisher->lane;
	uint64_t pos = publisher->pos, left = lane->capacity - (pos & lane->mask);
	uint64_t start = bytes > left ? pos + left : pos;
	uint64_t end = start + bytes + sizeof(struct message_shm);
	int r;

	if (publisher->topic.stale)
		return -EBUSY;
	if (topic_damaged(&publisher->topic))
		return -EIO;
	tarn__note_start(publisher, pos);
	if (end > publisher->free_to) {
		r = claim(publisher, end);
		if (r < 0)
			return r;
	}
	*ret_start = start;
	return 0;
}

/* From @pos on: up to where is no other thought needed? */
static void set_limit(struct tarn_publisher *publisher)
{
	uint32_t shift = publisher->lane.part_shift;
	uint64_t part = publisher->pos >> shift, part_end = (part + 1) << shift;

	publisher->topic.limit = part_end < publisher->free_to ? part_end : publisher->free_to;
	if (part != publisher->part)
		publisher->topic.limit = publisher->pos; /* its start is to be noted */
}

/* --- publish ------------------------------------------------------------------------------- */

static TARN__ALWAYS_INLINE void store_word(unsigned char *to, const unsigned char *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	tarn__store_word(to, /* code= */ 3, word);
}

/* What is small by whole words, and over what it is padded with. */
static TARN__ALWAYS_INLINE void store_words(unsigned char *to, const unsigned char *from,
					    size_t size)
{
	uint64_t word;

	for (; size >= 4 * sizeof(word); size -= 4 * sizeof(word)) {
		store_word(to, from);
		store_word(to + 8, from + 8);
		store_word(to + 16, from + 16);
		store_word(to + 24, from + 24);
		to += 4 * sizeof(word);
		from += 4 * sizeof(word);
	}
	for (; size >= sizeof(word); size -= sizeof(word)) {
		store_word(to, from);
		to += sizeof(word);
		from += sizeof(word);
	}
	if (size == 0)
		return;
	word = 0;
	memcpy(&word, from, size);
	tarn__store_word(to, /* code= */ 3, word);
}

static inline void store_payload(void *to, const void *from, size_t size)
{
	/* Who copies without a hold copies small ones alone, and looks afterwards. */
	if (size <= SMALL)
		store_words(to, from, size);
	else
		memcpy(to, from, size);
}

/* All of the header at @pos but its number. */
static inline void store_header(struct tarn_publisher *publisher, struct message_shm *message,
				uint32_t size, int64_t time)
{
	/* relaxed, all: published by the number */
	atomic_store_explicit(&message->size, size, memory_order_relaxed);
	atomic_store_explicit(&message->back, publisher->back, memory_order_relaxed);
	atomic_store_explicit(&message->time, (uint64_t)time, memory_order_relaxed);
	atomic_store_explicit(&message->member, publisher->id, memory_order_relaxed);
	atomic_store_explicit(&message->came, publisher->came, memory_order_relaxed);
}

void tarn__publisher_fence(struct tarn_publisher *publisher)
{
	_Atomic uint64_t *last = &publisher->lane.shm->last;

	uint64_t same = atomic_load_explicit(last, memory_order_relaxed); /* relaxed: its own */

	/* seq_cst: a full barrier, as an exchange that tools understand */
	(void)atomic_exchange_explicit(last, same, memory_order_seq_cst);
}

/* Somebody sleeps, perhaps: T10 <> T9 in try_message(). */
static inline void notify(struct tarn_publisher *publisher)
{
	struct topic *topic = &publisher->topic;

	if (TARN__UNLIKELY(topic->special) && publisher->door != NULL) {
		tarn__door_notify(publisher);
		return;
	}
	/* relaxed: set seldom, and found at the next message */
	if (TARN__UNLIKELY(topic->special) ||
	    TARN__UNLIKELY(atomic_load_explicit(&topic->shm->fence, memory_order_relaxed) != 0))
		tarn__publisher_fence(publisher);
	(void)tarn__prim_ring(&topic->prim, INT32_MAX);
}

/* Have the lines come in which the next message will end, if it is as large as the last one, while
 * nobody waits for it: there the subscriber has read what lay there a lap ago. */
static inline void fetch_next(const struct tarn_publisher *publisher)
{
	const unsigned char *end =
		publisher->lane.messages +
		(size_t)((publisher->pos + publisher->back) & publisher->lane.mask);

	__builtin_prefetch(end, /* to be written: */ 1);
	__builtin_prefetch(end - TARN__CACHE_LINE, 1);
}

/* What was written from @start to @end is whole: publish it. */
static TARN__ALWAYS_INLINE void make_visible(struct tarn_publisher *publisher, uint64_t start,
					     uint64_t last, uint64_t end, uint64_t number)
{
	struct lane *lane = &publisher->lane;
	uint64_t pos = publisher->pos;

	/* relaxed: published by the next store */
	if (TARN__UNLIKELY(start != pos)) {
		struct message_shm *skip = message_at(lane, pos);

		tarn__note_start(publisher, start); /* now that it will be there */
		atomic_store_explicit(&message_at(lane, start)->number, number,
				      memory_order_relaxed);
		atomic_store_explicit(&skip->size, 0, memory_order_relaxed);
		atomic_store_explicit(&skip->came, publisher->came, memory_order_relaxed);
		number |= NUMBER_SKIP;
	}
	/* T1 -> T2 in tarn__message_see() */
	atomic_store_explicit(&message_at(lane, pos)->number, number, memory_order_release);
	publisher->pos = end;
	tarn__note_last(publisher, last, publisher->number - 1);
	if (TARN__UNLIKELY(end + sizeof(struct message_shm) >= publisher->topic.limit))
		set_limit(publisher);
	notify(publisher);
	fetch_next(publisher);
}

/* The header behind @end has number 0 before anything in front of it is published. */
static inline void terminate(struct tarn_publisher *publisher, uint64_t end)
{
	/* relaxed: published by a number */
	atomic_store_explicit(&message_at(&publisher->lane, end)->number, 0, memory_order_relaxed);
}

static inline bool takes_size(const struct tarn_publisher *publisher, size_t size)
{
	return size <= publisher->size_max && size >= publisher->topic.least;
}

static inline int64_t stamp(const struct tarn_publisher *publisher)
{
	return publisher->timed ? tarn__plat_now() : 0;
}

/* What lies between the last message and @start, if it is not at pos, is a skip. */
static inline void step_back(struct tarn_publisher *publisher, uint64_t start)
{
	if (TARN__UNLIKELY(start != publisher->pos))
		publisher->back += (uint32_t)(start - publisher->pos);
}

static TARN__ALWAYS_INLINE int find_start(struct tarn_publisher *publisher, size_t size,
					  uint64_t *ret_start)
{
	uint64_t bytes = bytes_of(size);

	if (TARN__UNLIKELY(!takes_size(publisher, size)))
		return -EMSGSIZE;
	*ret_start = publisher->pos;
	return TARN__LIKELY(publisher->pos + bytes + sizeof(struct message_shm) <=
			    publisher->topic.limit)
		       ? 0
		       : find_room(publisher, bytes, ret_start);
}

int tarn_publisher_publish(struct tarn_publisher *publisher, const void *data, size_t size)
{
	struct message_shm *message;
	uint64_t start, end;
	int r = find_start(publisher, size, &start);

	if (TARN__UNLIKELY(r < 0))
		return r;
	message = message_at(&publisher->lane, start);
	end = start + bytes_of(size);
	terminate(publisher, end);
	store_payload(message->payload, data, size);
	step_back(publisher, start);
	store_header(publisher, message, (uint32_t)size, stamp(publisher));
	publisher->lent = false;
	publisher->back = (uint32_t)(end - start);
	make_visible(publisher, start, start, end, publisher->number++);
	return 0;
}

/* Is there room at @end for one more of a batch, of @bytes? A batch lies in one piece. */
static inline bool room_for_more(struct tarn_publisher *publisher, uint64_t end, uint64_t bytes)
{
	struct lane *lane = &publisher->lane;
	uint64_t need = end + bytes + sizeof(struct message_shm);

	if (TARN__LIKELY(need <= publisher->topic.limit))
		return true;
	if ((end & lane->mask) + bytes + sizeof(struct message_shm) > lane->capacity ||
	    need - publisher->pos > lane->capacity ||
	    (need > publisher->free_to && claim(publisher, need) < 0))
		return false;
	tarn__note_start(publisher, end);
	return true;
}

int tarn_publisher_publish_batch(struct tarn_publisher *publisher, const struct tarn_buf *bufs,
				 size_t count, size_t *ret_count)
{
	uint64_t start, end, last, number = publisher->number;
	int64_t time;
	size_t done = 1;
	int r = count == 0 ? -EINVAL : find_start(publisher, bufs[0].size, &start);

	if (r < 0)
		return r;
	time = stamp(publisher);
	step_back(publisher, start);
	store_payload(message_at(&publisher->lane, start)->payload, bufs[0].data, bufs[0].size);
	store_header(publisher, message_at(&publisher->lane, start), (uint32_t)bufs[0].size, time);
	last = start;
	end = start + bytes_of(bufs[0].size);
	if (TARN__UNLIKELY(publisher->topic.limit <= publisher->pos))
		set_limit(publisher);
	if (TARN__UNLIKELY(start != publisher->pos))
		tarn__note_start(publisher, start);
	publisher->back = (uint32_t)(end - start);
	/* the rest, as far as it needs no thought */
	for (; done < count && takes_size(publisher, bufs[done].size); done++) {
		uint64_t bytes = bytes_of(bufs[done].size);
		struct message_shm *message = message_at(&publisher->lane, end);

		if (!room_for_more(publisher, end, bytes))
			break;
		store_payload(message->payload, bufs[done].data, bufs[done].size);
		store_header(publisher, message, (uint32_t)bufs[done].size, time);
		/* relaxed: published by the number of the first */
		atomic_store_explicit(&message->number, number + done, memory_order_relaxed);
		publisher->back = (uint32_t)bytes;
		last = end;
		end += bytes;
	}
	terminate(publisher, end);
	publisher->lent = false;
	publisher->number += done;
	make_visible(publisher, start, last, end, number);
	*ret_count = done;
	return 0;
}

int tarn_publisher_loan(struct tarn_publisher *publisher, size_t size, void **ret_data)
{
	uint64_t start;
	int r;

	publisher->lent = false;
	if (size < publisher->topic.least)
		size = publisher->topic.least;
	r = find_start(publisher, size, &start);
	if (r < 0)
		return r;
	publisher->lent = true;
	publisher->lent_pos = start;
	publisher->lent_size = (uint32_t)size;
	*ret_data = message_at(&publisher->lane, start)->payload;
	return 0;
}

int tarn_publisher_commit(struct tarn_publisher *publisher, size_t size)
{
	uint64_t start = publisher->lent_pos, end;

	if (publisher->topic.stale)
		return -EBUSY;
	if (!publisher->lent)
		return -EINVAL;
	if (size > publisher->lent_size || !takes_size(publisher, size))
		return -EMSGSIZE;
	end = start + bytes_of(size);
	terminate(publisher, end);
	step_back(publisher, start);
	store_header(publisher, message_at(&publisher->lane, start), (uint32_t)size,
		     stamp(publisher));
	publisher->lent = false;
	publisher->back = (uint32_t)(end - start);
	make_visible(publisher, start, start, end, publisher->number++);
	return 0;
}

void tarn_publisher_abort(struct tarn_publisher *publisher)
{
	publisher->lent = false;
}

/* --- waiting ------------------------------------------------------------------------------- */

/* All of the lane is needed, by the blocker. Sleep until it has raised its low. 0, -ETIMEDOUT,
 * -EIO. */
static int wait_room(struct tarn_publisher *publisher, size_t size, int64_t deadline)
{
	struct lane_shm *shm = publisher->lane.shm;
	uint32_t blocker = publisher->blocker, id = 0;
	struct seat_shm *seat = subscriber_seat(&publisher->topic, blocker);
	_Atomic uint32_t *token =
		publisher->door != NULL ? tarn__door_token(publisher) : &seat->token;
	/* acquire: before it is looked again */
	uint32_t turn = atomic_load_explicit(token, memory_order_acquire);
	uint64_t start;
	int r;

	if (publisher->door == NULL) /* relaxed: a hint */
		id = atomic_load_explicit(&seat->id, memory_order_relaxed);
	tarn__count_one(&shm->slept);
	/* T9 <> T10 in raise_low() */
	atomic_store_explicit(&shm->waits, 1, memory_order_seq_cst);
	(void)tarn__plat_membarrier_sync(); /* without it the slice ends the wait */
	r = find_start(publisher, size, &start);
	if (r == -EAGAIN && publisher->blocker != blocker)
		r = 0;
	else if (r == -EAGAIN && publisher->door != NULL)
		r = tarn__door_sleep(publisher, turn, deadline);
	else if (r == -EAGAIN)
		r = tarn__region_sleep(publisher->topic.prim.sec.region, token, turn, id, deadline);
	/* relaxed: at worst it is woken in vain */
	atomic_store_explicit(&shm->waits, 0, memory_order_relaxed);
	return r;
}

int tarn_publisher_publish_wait(struct tarn_publisher *publisher, const void *data, size_t size,
				int64_t deadline)
{
	for (;;) {
		int r = tarn_publisher_publish(publisher, data, size);

		if (r != -EAGAIN)
			return r;
		r = wait_room(publisher, size, deadline);
		if (r < 0)
			return r;
	}
}

int tarn_publisher_loan_wait(struct tarn_publisher *publisher, size_t size, int64_t deadline,
			     void **ret_data)
{
	if (size < publisher->topic.least)
		size = publisher->topic.least;
	for (;;) {
		int r = tarn_publisher_loan(publisher, size, ret_data);

		if (r != -EAGAIN)
			return r;
		r = wait_room(publisher, size, deadline);
		if (r < 0)
			return r;
	}
}

static int try_subscribers(struct prim *prim, struct await *w, void *arg)
{
	const uint32_t *count = arg;

	(void)w;
	return tarn__topic_subscribers((struct topic *)prim) >= *count;
}

int tarn_publisher_wait_subscribers(struct tarn_publisher *publisher, uint32_t count,
				    int64_t deadline)
{
	if (publisher->topic.stale)
		return -EBUSY;
	if (publisher->door != NULL)
		return tarn__door_wait_subscribers(publisher, count, true, deadline);
	return tarn__prim_await(&publisher->topic.prim, deadline, try_subscribers, &count);
}

static int blocker_apart(const struct tarn_publisher *publisher,
			 struct tarn_topic_blocker *ret_blocker)
{
	struct tarn_peer who;
	uint32_t how;
	int r = tarn__door_who(publisher, publisher->blocker, &who, &how);

	if (r == 0)
		*ret_blocker = (struct tarn_topic_blocker){ .subscriber = publisher->blocker,
							    .pid = who.pid,
							    .lossy = how == LOSSY };
	return r;
}

int tarn_publisher_blocker(struct tarn_publisher *publisher, struct tarn_topic_blocker *ret_blocker)
{
	struct tarn_section_who who;
	struct seat_shm *seat;
	uint32_t id;

	if (publisher->blocker == UINT32_MAX)
		return -ENOENT;
	if (publisher->door != NULL)
		return blocker_apart(publisher, ret_blocker);
	seat = subscriber_seat(&publisher->topic, publisher->blocker);
	/* relaxed, both: for the eye */
	id = atomic_load_explicit(&seat->id, memory_order_relaxed);
	if (id == 0)
		return -ENOENT;
	tarn__section_who(&publisher->topic.prim.sec, id, 0, &who);
	*ret_blocker = (struct tarn_topic_blocker){
		.subscriber = publisher->blocker,
		.member = id,
		.pid = who.pid,
		.lossy = is_lossy(atomic_load_explicit(&seat->value, memory_order_relaxed)),
	};
	return 0;
}

static int explain_size(const struct tarn_publisher *publisher, size_t size, struct tarn_diag *diag)
{
	const struct topic *topic = &publisher->topic;
	uint64_t enough = LANE_SIZE_MIN;

	if (size < topic->least || size > topic->most) {
		tarn__diag(diag, -EMSGSIZE,
			   "topic %s: a message of %zu bytes; those of its type have %" PRIu32,
			   topic->prim.sec.name, size, topic->most);
		return -EMSGSIZE;
	}
	while (size_max_of(enough) < size && enough < LANE_SIZE_MAX)
		enough *= 2;
	tarn__diag(diag, -EMSGSIZE,
		   "topic %s: a message of %zu bytes; the largest has %" PRIu32
		   ", since the lane has %" PRIu64,
		   topic->prim.sec.name, size, publisher->size_max, publisher->lane.capacity);
	if (size_max_of(enough) >= size)
		tarn__diag_hint(diag, "open another publisher, with lane_size %" PRIu64, enough);
	else
		tarn__diag_hint(diag, "no lane takes that: publish it in parts");
	return -EMSGSIZE;
}

int tarn_publisher_explain(struct tarn_publisher *publisher, int error, size_t size,
			   struct tarn_diag *diag)
{
	const char *name = publisher->topic.prim.sec.name;
	struct tarn_topic_blocker blocker;

	if (error == -EMSGSIZE)
		return explain_size(publisher, size, diag);
	if (error != -EAGAIN && error != -ETIMEDOUT)
		return tarn__diag(diag, error, "topic %s: %s", name, strerror(-error));
	if (tarn_publisher_blocker(publisher, &blocker) < 0)
		return tarn__diag(diag, error, "topic %s: nobody is in the way any more", name);
	tarn__diag(diag, error, "topic %s: process %" PRId32 " %s", name, blocker.pid,
		   blocker.lossy != 0 ? "holds a message that would be written over"
				      : "has not taken what fills the lane");
	tarn__diag_hint(diag,
			"wait for it, let it subscribe as a lossy one, or make the lane larger");
	return error;
}

int tarn_publisher_stat(struct tarn_publisher *publisher, struct tarn_publisher_stat *ret_stat)
{
	bool apart = publisher->door != NULL;
	uint32_t coming;

	*ret_stat = (struct tarn_publisher_stat){
		.lane_size = publisher->lane.capacity,
		.size_max = publisher->size_max,
		.number = publisher->number - 1,
		.publisher = apart ? 0 : publisher->topic.seat,
		.subscribers = apart ? tarn__door_subscribers(publisher, &coming)
				     : tarn__topic_subscribers(&publisher->topic),
		.publishers = apart ? 1 : tarn__topic_publishers(&publisher->topic),
	};
	return 0;
}
