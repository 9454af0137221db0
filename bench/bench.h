/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.h - one measurement, and the loops that all transports share.
 *
 * A case is a row of the table. Both sides call run(); what it measures it leaves in the shared
 * samples (latency) or between t_start and t_end (rate). Its limit is measured by both sides
 * right before it, in every round, and the ratio is taken within the round.
 *
 * The loops are inlined with the transport's send and receive, so that a call through a
 * pointer is not part of what is measured. Every message carries its number, which the
 * receiver checks: a transport that lost or doubled one would end the run.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <errno.h>
#include <string.h>

#include "duo.h"

enum { BENCH_ROUND_MAX = 32, BENCH_MESSAGE_MAX = 65536 };

enum bench_kind {
	BENCH_LATENCY, /* ns, less is better */
	BENCH_RATE,    /* messages a second, more is better */
};

struct bench_case;

/* What was measured of one case in one round. */
struct bench_value {
	double p50, p99; /* ns; of a rate p50 is bytes per ns and p99 is 0 */
	/* ns of one of DUO_BLOCK round trips in a row, median of such blocks; 0 where they were not
	 * taken. Finer than p50: clocks may tick in steps of 10 ns. */
	double block;
};

/* What a case is held against. measure() is called on both sides, and A's answer counts. */
struct bench_limit {
	const char *name;
	struct bench_value (*measure)(struct duo *duo, const struct bench_case *c);
};

struct bench_case {
	const char *test;
	const char *transport;
	uint32_t size;  /* bytes of a message */
	uint64_t count; /* messages, or samples */
	enum bench_kind kind;
	const struct bench_limit *limit; /* NULL: none */
	void (*run)(struct duo *duo, const struct bench_case *c);
};

extern const struct bench_limit bench_bounce; /* limit.c */
extern const struct bench_limit bench_memcpy;
extern const struct bench_limit bench_futex; /* kernel.c */
extern const struct bench_limit bench_futex_wake;
extern const struct bench_limit bench_mmap;

/* Lists end with a case without a name. open() is called before the fork, attach() after it. */
extern const struct bench_case limit_cases[], kernel_cases[], hand_cases[], tarn_cases[];
void kernel_open(void);
void hand_open(void);
void tarn_open(void);
void tarn_attach(struct duo *duo);
void tarn_detach(struct duo *duo);

/* A: what the samples say; both sides call it, so that B does not overwrite them. */
struct bench_value bench_collect(struct duo *duo, uint64_t count);

/* --- messages ------------------------------------------------------------------------------ */

BENCH_INLINE void message_make(void *data, size_t size, uint64_t number)
{
	memcpy(data, &number, 8);
	if (size > 8) {
		uint64_t last = ~number;

		memcpy((char *)data + size - 8, &last, 8);
	}
}

BENCH_INLINE void message_check(const void *data, size_t size, uint64_t number)
{
	uint64_t first, last = ~number;

	memcpy(&first, data, 8);
	if (size > 8)
		memcpy(&last, (const char *)data + size - 8, 8);
	if (__builtin_expect(first != number || last != ~number, 0))
		duo_die("a message is not the one expected", EBADMSG);
}

/* --- loops: channel 0 leads from A to B, channel 1 back ------------------------------------- */

typedef void bench_send_fn(unsigned channel, size_t size, uint64_t number);
typedef void bench_recv_fn(unsigned channel, size_t size, uint64_t number);

/* Round trips: a tenth to warm up, then @count with a stamp each (chained, so that each costs
 * one reading), then @count with a stamp after each block. */
BENCH_INLINE void loop_round_trip(struct duo *duo, uint64_t count, size_t size, bench_send_fn *send,
				  bench_recv_fn *recv)
{
	uint64_t warm = count / 10 + 1, i = 0;

	if (duo->side == DUO_B) {
		for (; i < warm + 2 * count; i++) {
			recv(0, size, i);
			send(1, size, i);
		}
		return;
	}
	for (; i < warm; i++) {
		send(0, size, i);
		recv(1, size, i);
	}
	uint64_t before = duo_ticks();

	for (; i < warm + count; i++) {
		send(0, size, i);
		recv(1, size, i);
		uint64_t now = duo_ticks();

		duo_sample(duo, i - warm, now - before);
		before = now;
	}
	for (; i < warm + 2 * count; i++) {
		send(0, size, i);
		recv(1, size, i);
		if ((i - warm - count) % DUO_BLOCK == DUO_BLOCK - 1)
			before = duo_block(duo, before);
	}
}

/* One way. B starts its clock when the first tenth is through. */
BENCH_INLINE void loop_one_way(struct duo *duo, uint64_t count, size_t size, bench_send_fn *send,
			       bench_recv_fn *recv)
{
	uint64_t warm = count / 10 + 1;

	if (duo->side == DUO_A) {
		for (uint64_t i = 0; i < warm + count; i++)
			send(0, size, i);
		return;
	}
	for (uint64_t i = 0; i < warm; i++)
		recv(0, size, i);
	duo->shm->t_start = duo_ticks();
	for (uint64_t i = 0; i < count; i++)
		recv(0, size, warm + i);
	duo->shm->t_end = duo_ticks();
}

/* A waits until B must be asleep, stamps, sends; B stamps when it has the message. */
BENCH_INLINE void loop_wake(struct duo *duo, uint64_t count, bench_send_fn *send,
			    bench_recv_fn *recv)
{
	for (uint64_t i = 0; i < count; i++) {
		duo_meet(duo);
		if (duo->side == DUO_A) {
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
			atomic_store(&duo->shm->stamp, duo_ticks());
			send(0, 8, i);
		} else {
			recv(0, 8, i);
			duo_sample(duo, i, duo_ticks() - atomic_load(&duo->shm->stamp));
		}
	}
}

/* A loop of each size that the cases use, so that the compiler sees it as a constant. */
#define BENCH_BY_SIZE(LOOP, duo, c, send, recv)                                                    \
	switch ((c)->size) {                                                                       \
	case 8:                                                                                    \
		LOOP(duo, (c)->count, 8, send, recv);                                              \
		break;                                                                             \
	case 64:                                                                                   \
		LOOP(duo, (c)->count, 64, send, recv);                                             \
		break;                                                                             \
	default:                                                                                   \
		LOOP(duo, (c)->count, (c)->size, send, recv);                                      \
		break;                                                                             \
	}

#endif /* BENCH_BENCH_H */
