/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hand.c - a queue written by hand for one purpose, as a yardstick: slots of one size, one
 * producer, one consumer, no check of anything, no death, no wake-up, no variable size.
 *
 * A slot begins with a word that tells which message it holds, so a small message travels
 * with its flag in one cache line. The consumer's count is published every quarter of the ring.
 */
#include "bench.h"

enum { RING_MAX = 4 << 20, RING_SMALL = 16 << 10 };

struct hand_shm {
	alignas(128) _Atomic uint64_t head;
	alignas(128) unsigned char slots[RING_MAX];
};

static struct hand_shm *hand[2];

/* This process's own counts, one of each channel. */
static struct {
	uint64_t sent, head_seen, received;
} own[2];

static uint64_t slot_mask;

void hand_open(void)
{
	for (int i = 0; i < 2; i++)
		hand[i] = duo_map_shared(sizeof(struct hand_shm));
}

/* Empty both queues: sizes differ from case to case, and old flags must not be taken for new. */
static void hand_reset(struct duo *duo, size_t ring_size, size_t size)
{
	for (slot_mask = 1; (slot_mask + 1) * 2 * (size + 8) <= ring_size;)
		slot_mask = slot_mask * 2 + 1;
	duo_meet(duo);
	memset(own, 0, sizeof(own));
	if (duo->side == DUO_A) {
		memset(hand[0], 0, sizeof(*hand[0]));
		memset(hand[1], 0, sizeof(*hand[1]));
	}
	duo_touch(hand[0], sizeof(*hand[0]));
	duo_touch(hand[1], sizeof(*hand[1]));
	duo_meet(duo);
}

BENCH_INLINE unsigned char *slot_at(struct hand_shm *shm, size_t size, uint64_t number)
{
	return shm->slots + (number & slot_mask) * (size + 8);
}

BENCH_INLINE void hand_send(unsigned channel, size_t size, uint64_t number)
{
	struct hand_shm *shm = hand[channel];
	static unsigned char from[BENCH_MESSAGE_MAX];
	uint64_t sent = own[channel].sent;
	unsigned char *slot = slot_at(shm, size, sent);

	while (sent - own[channel].head_seen > slot_mask)
		own[channel].head_seen = atomic_load_explicit(&shm->head, memory_order_acquire);
	message_make(from, size, number);
	memcpy(slot + 8, from, size);
	own[channel].sent = sent + 1;
	atomic_store_explicit((_Atomic uint64_t *)(void *)slot, sent + 1, memory_order_release);
}

BENCH_INLINE void hand_recv(unsigned channel, size_t size, uint64_t number)
{
	struct hand_shm *shm = hand[channel];
	static unsigned char to[BENCH_MESSAGE_MAX];
	uint64_t received = own[channel].received;
	unsigned char *slot = slot_at(shm, size, received);

	while (atomic_load_explicit((_Atomic uint64_t *)(void *)slot, memory_order_acquire) !=
	       received + 1)
		;
	memcpy(to, slot + 8, size);
	message_check(to, size, number);
	own[channel].received = ++received;
	if ((received & (slot_mask / 4)) == 0)
		atomic_store_explicit(&shm->head, received, memory_order_release);
}

static void round_trip_run(struct duo *duo, const struct bench_case *c)
{
	hand_reset(duo, RING_SMALL, c->size);
	BENCH_BY_SIZE(loop_round_trip, duo, c, hand_send, hand_recv)
}

static void one_way_run(struct duo *duo, const struct bench_case *c)
{
	hand_reset(duo, RING_MAX, c->size);
	BENCH_BY_SIZE(loop_one_way, duo, c, hand_send, hand_recv)
}

const struct bench_case hand_cases[] = {
	{ "round trip, busy", "by hand", 8, 100000, BENCH_LATENCY, &bench_bounce, round_trip_run },
	{ "round trip, busy", "by hand", 64, 100000, BENCH_LATENCY, &bench_bounce, round_trip_run },
	{ "one way", "by hand", 8, 2000000, BENCH_RATE, &bench_memcpy, one_way_run },
	{ "one way", "by hand", 64, 1000000, BENCH_RATE, &bench_memcpy, one_way_run },
	{ "one way", "by hand", 4096, 40000, BENCH_RATE, &bench_memcpy, one_way_run },
	{ 0 },
};
