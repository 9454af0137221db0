/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boost.cpp - Boost.Interprocess: message_queue; a ring of slots under interprocess_mutex and
 * interprocess_condition; the mutex alone. Boost.Lockfree: spsc_queue.
 *
 * spsc_queue: messages of 8 and 64 bytes are its elements, pushed by copying and looked at in place
 * (consume_one), as busy; in place and zero copy its elements are indices of slots beside it.
 */
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/sync/interprocess_condition.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <new>
#include <string>
#include <unistd.h>

#include "slots.h"

namespace ipc = boost::interprocess;
namespace lockfree = boost::lockfree;

static void fail(struct bench *b, const std::exception &what)
{
	bench_fail(b, what.what(), 0);
}

/* --- message_queue --------------------------------------------------------------------------- */

static ipc::message_queue *queues[PEERS_CHANNELS];

static void mq_open(struct bench *b)
{
	size_t size = b->cell->size < 8 ? 8 : b->cell->size;

	try {
		for (unsigned k = 0; k < bench_channels(b); k++) {
			std::string name = "tarn-bench-boost-" + std::to_string(getpid()) + "-" +
					   std::to_string(k);

			queues[k] = new ipc::message_queue(ipc::create_only, name.c_str(),
							   bench_depth(size), size);
			ipc::message_queue::remove(name.c_str()); /* mapped: inherited */
		}
	} catch (const std::exception &what) {
		fail(b, what);
	}
}

static void mq_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	const void *message = bench_message(b, size, number);

	if (bench_blocks(b))
		queues[channel]->send(message, size, 0);
	else
		while (!queues[channel]->try_send(message, size, 0))
			bench_pause(b);
}

static void mq_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	void *to = bench_sink(b, size, number);
	ipc::message_queue::size_type got;
	size_t room = size < 8 ? 8 : size;
	unsigned priority;

	if (bench_blocks(b))
		queues[channel]->receive(to, room, got, priority);
	else
		while (!queues[channel]->try_receive(to, room, got, priority))
			bench_pause(b);
	if (got != size)
		bench_fail(b, "a message of another size", EBADMSG);
	bench_check(b, to, size, number);
}

PEERS_LOOPS_LARGE(mq_run, mq_send, mq_recv)

static const struct bench_variant mq_variants[] = {
	{ BENCH_BUSY, PEERS_POLLED, 0, PEERS_SIZE_MAX, mq_run },
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 0, PEERS_SIZE_MAX, mq_run },
	{},
};

extern const struct bench_contestant bench_boost_mq = {
	"Boost message_queue", BENCH_PEER, "Boost.Interprocess, message_queue", mq_variants,
	mq_open, nullptr, nullptr, nullptr, nullptr, 0, 0,
};

/* --- mutex and condition --------------------------------------------------------------------- */

/* Slots follow. Counts are of messages since the beginning. */
struct guarded {
	ipc::interprocess_mutex mutex;
	ipc::interprocess_condition not_empty, not_full;
	uint64_t sent, received;
};

typedef ipc::scoped_lock<ipc::interprocess_mutex> guard;

static struct guarded *guarded[PEERS_CHANNELS];
static unsigned char *guarded_slots[PEERS_CHANNELS];
static unsigned depth;

static void cond_open(struct bench *b)
{
	depth = bench_depth(b->cell->size);
	for (unsigned k = 0; k < bench_channels(b); k++) {
		guarded[k] = new (bench_memory(b, sizeof(struct guarded))) struct guarded();
		guarded_slots[k] = static_cast<unsigned char *>(
			bench_memory(b, b->cell->size * depth + 64));
	}
}

/* With @lock held: is there room, or with @wait, now? */
BENCH_INLINE bool has_room(struct guarded *q, guard &lock, bool wait)
{
	while (wait && q->sent - q->received >= depth)
		q->not_full.wait(lock);
	return q->sent - q->received < depth;
}

BENCH_INLINE bool has_message(struct guarded *q, guard &lock, bool wait)
{
	while (wait && q->sent == q->received)
		q->not_empty.wait(lock);
	return q->sent != q->received;
}

static void cond_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct guarded *q = guarded[channel];

	for (;; bench_pause(b)) {
		guard lock(q->mutex);

		if (!has_room(q, lock, bench_blocks(b)))
			continue;
		bench_fill(b, guarded_slots[channel] + q->sent % depth * size, size, number);
		q->sent++;
		if (bench_blocks(b))
			q->not_empty.notify_one();
		return;
	}
}

static void cond_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct guarded *q = guarded[channel];

	for (;; bench_pause(b)) {
		guard lock(q->mutex);

		if (!has_message(q, lock, bench_blocks(b)))
			continue;
		bench_check(b, guarded_slots[channel] + q->received % depth * size, size, number);
		q->received++;
		if (bench_blocks(b))
			q->not_full.notify_one();
		return;
	}
}

PEERS_LOOPS_LARGE(cond_run, cond_send, cond_recv)

static const struct bench_variant cond_variants[] = {
	{ BENCH_BUSY, PEERS_POLLED, 0, PEERS_SIZE_MAX, cond_run },
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 0, PEERS_SIZE_MAX, cond_run },
	{},
};

extern const struct bench_contestant bench_boost_cond = {
	"Boost mutex+condition", BENCH_PEER,
	"Boost.Interprocess, a ring of slots under interprocess_mutex and interprocess_condition",
	cond_variants, cond_open, nullptr, nullptr, nullptr, nullptr,
	BENCH_BIT(BENCH_4K) | BENCH_BIT(BENCH_THP) | BENCH_BIT(BENCH_2M), 0,
};

/* --- the mutex alone ------------------------------------------------------------------------- */

static ipc::interprocess_mutex *mutex;

static void mutex_open(struct bench *b)
{
	mutex = new (bench_memory(b, sizeof(*mutex))) ipc::interprocess_mutex;
}

BENCH_INLINE void mutex_lock(struct bench *b, size_t size, uint64_t number)
{
	mutex->lock();
	b->shm->word = number;
	(void)size;
}

BENCH_INLINE void mutex_unlock(struct bench *b, size_t size, uint64_t number)
{
	(void)b;
	(void)size;
	(void)number;
	mutex->unlock();
}

BENCH_LOCK_LOOPS(mutex_run, mutex_lock, mutex_unlock)

static const struct bench_variant mutex_variants[] = {
	{ BENCH_BLOCKING, BENCH_ALL_OF_LOCKS, 0, 0, mutex_run },
	{},
};

extern const struct bench_contestant bench_boost_mutex = {
	"Boost mutex", BENCH_PEER, "Boost.Interprocess, interprocess_mutex", mutex_variants,
	mutex_open, nullptr, nullptr, nullptr, nullptr, 0, 0,
};

/* --- spsc_queue ------------------------------------------------------------------------------ */

static const size_t SPSC_DEPTH = 1024, SPSC_BURST = 64;

template <size_t N> struct bytes {
	unsigned char at[N];
};
template <typename T, size_t D> using spsc = lockfree::spsc_queue<T, lockfree::capacity<D>>;

static void *rings[PEERS_CHANNELS];
static struct slots slots[PEERS_CHANNELS];

template <typename T, size_t D> static spsc<T, D> *ring_of(unsigned channel)
{
	return static_cast<spsc<T, D> *>(rings[channel]);
}

template <typename T, size_t D> static void make_rings(struct bench *b)
{
	for (unsigned k = 0; k < bench_channels(b); k++)
		rings[k] = new (bench_memory(b, sizeof(spsc<T, D>))) spsc<T, D>;
}

static bool has_slots(const struct bench *b)
{
	return b->cell->variant->mode == BENCH_IN_PLACE ||
	       b->cell->variant->mode == BENCH_ZERO_COPY;
}

static void spsc_open(struct bench *b)
{
	unsigned room = bench_depth(b->cell->size);

	if (!has_slots(b)) {
		b->cell->size == 8 ? make_rings<bytes<8>, SPSC_DEPTH>(b)
				   : make_rings<bytes<64>, SPSC_DEPTH>(b);
		return;
	}
	if (room > 64)
		make_rings<uint32_t, 1024>(b);
	else if (room > 8)
		make_rings<uint32_t, 64>(b);
	else
		make_rings<uint32_t, 8>(b);
	for (unsigned k = 0; k < bench_channels(b); k++)
		slots_make(b, &slots[k], room);
}

template <size_t N> BENCH_INLINE void push_bytes(struct bench *b, unsigned channel, uint64_t number)
{
	const void *message = bench_message(b, N, number);

	while (!ring_of<bytes<N>, SPSC_DEPTH>(channel)->push(
		*static_cast<const bytes<N> *>(message)))
		bench_pause(b);
}

template <size_t N> BENCH_INLINE void take_bytes(struct bench *b, unsigned channel, uint64_t number)
{
	auto look = [&](const bytes<N> &message) { bench_check(b, &message, N, number); };

	while (!ring_of<bytes<N>, SPSC_DEPTH>(channel)->consume_one(look))
		bench_pause(b);
}

BENCH_INLINE void spsc_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	if (size == 8)
		push_bytes<8>(b, channel, number);
	else
		push_bytes<64>(b, channel, number);
}

BENCH_INLINE void spsc_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	if (size == 8)
		take_bytes<8>(b, channel, number);
	else
		take_bytes<64>(b, channel, number);
}

template <size_t N>
BENCH_INLINE uint64_t push_many(struct bench *b, unsigned channel, uint64_t number, uint64_t count)
{
	static bytes<N> made[SPSC_BURST];
	size_t want = count < SPSC_BURST ? count : SPSC_BURST, done;

	for (size_t i = 0; i < want; i++)
		memcpy(&made[i], bench_message_of_batch(b, N, number + i), N);
	while ((done = ring_of<bytes<N>, SPSC_DEPTH>(channel)->push(made, want)) == 0)
		bench_pause(b);
	return done;
}

/* All that is there, looked at in place. */
template <size_t N>
BENCH_INLINE uint64_t take_many(struct bench *b, unsigned channel, uint64_t number)
{
	uint64_t next = number;
	auto look = [&](const bytes<N> &message) { bench_check(b, &message, N, next++); };

	while (ring_of<bytes<N>, SPSC_DEPTH>(channel)->consume_all(look) == 0)
		bench_pause(b);
	return next - number;
}

BENCH_INLINE uint64_t spsc_send_many(struct bench *b, unsigned channel, size_t size,
				     uint64_t number, uint64_t count)
{
	return size == 8 ? push_many<8>(b, channel, number, count)
			 : push_many<64>(b, channel, number, count);
}

BENCH_INLINE uint64_t spsc_recv_many(struct bench *b, unsigned channel, size_t size,
				     uint64_t number, uint64_t count)
{
	(void)count; /* no more are ever sent */
	return size == 8 ? take_many<8>(b, channel, number) : take_many<64>(b, channel, number);
}

BENCH_INLINE bool push_index(unsigned channel, size_t size, uint32_t index)
{
	if (size <= 4096)
		return ring_of<uint32_t, 1024>(channel)->push(index);
	if (size <= 65536)
		return ring_of<uint32_t, 64>(channel)->push(index);
	return ring_of<uint32_t, 8>(channel)->push(index);
}

template <typename F> BENCH_INLINE bool take_index(unsigned channel, size_t size, const F &look)
{
	if (size <= 4096)
		return ring_of<uint32_t, 1024>(channel)->consume_one(look);
	if (size <= 65536)
		return ring_of<uint32_t, 64>(channel)->consume_one(look);
	return ring_of<uint32_t, 8>(channel)->consume_one(look);
}

BENCH_INLINE void slot_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	uint32_t index = slots_take(&slots[channel]);

	bench_fill(b, slots_at(&slots[channel], index), size, number);
	while (!push_index(channel, size, index))
		bench_pause(b);
}

BENCH_INLINE void slot_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	auto look = [&](uint32_t index) {
		bench_check(b, slots_at(&slots[channel], index), size, number);
	};

	while (!take_index(channel, size, look))
		bench_pause(b);
}

BENCH_INLINE void mark_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	uint32_t index = slots_take(&slots[channel]);

	bench_mark(slots_at(&slots[channel], index), size, number);
	while (!push_index(channel, size, index))
		bench_pause(b);
}

BENCH_INLINE void mark_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	auto look = [&](uint32_t index) {
		bench_check_mark(b, slots_at(&slots[channel], index), size, number);
	};

	while (!take_index(channel, size, look))
		bench_pause(b);
}

PEERS_LOOPS_SMALL(spsc_run, spsc_send, spsc_recv)
BENCH_BATCH_LOOPS(spsc_batch_run, spsc_send_many, spsc_recv_many)
PEERS_LOOPS_LARGE(slot_run, slot_send, slot_recv)
PEERS_LOOP_ROUND_TRIP(mark_run, mark_send, mark_recv)

static const struct bench_variant spsc_variants[] = {
	{ BENCH_BUSY, PEERS_POLLED, 8, 8, spsc_run },
	{ BENCH_BUSY, PEERS_POLLED, 64, 64, spsc_run },
	{ BENCH_BATCH, BENCH_ALL_OF_BATCHES, 8, 8, spsc_batch_run },
	{ BENCH_BATCH, BENCH_ALL_OF_BATCHES, 64, 64, spsc_batch_run },
	{ BENCH_IN_PLACE, PEERS_POLLED, 8, PEERS_SIZE_MAX, slot_run },
	{ BENCH_ZERO_COPY, BENCH_BIT(BENCH_ROUND_TRIP), 16, PEERS_SIZE_MAX, mark_run },
	{},
};

extern const struct bench_contestant bench_boost_spsc = {
	"Boost spsc_queue", BENCH_PEER, "Boost.Lockfree, spsc_queue in shared memory", spsc_variants,
	spsc_open, nullptr, nullptr, nullptr, nullptr,
	BENCH_BIT(BENCH_4K) | BENCH_BIT(BENCH_THP) | BENCH_BIT(BENCH_2M), 0,
};
