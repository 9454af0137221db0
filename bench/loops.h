/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loops.h - the loop of each measure, inlined with a contestant's send and receive, so that no call
 * through a pointer is part of what is measured. Included by contestant.h.
 *
 *     BENCH_LOOPS(name, send, recv)        a variant's run(), for BENCH_ALL_OF_MESSAGES
 *     BENCH_BATCH_LOOPS(name, send, recv)  the same of functions that move many at a time
 *     BENCH_LOCK_LOOPS(name, lock, unlock) for BENCH_ALL_OF_LOCKS
 *
 * All sides run the same function; what they do depends on b->side. A tenth of the messages or so
 * comes first and is not counted. Times are ticks of one clock that all processors share.
 */
#ifndef BENCH_LOOPS_H
#define BENCH_LOOPS_H

/* Keep a sample; what does not fit in 32 bits is the largest that does. */
BENCH_INLINE void bench_sample(struct bench *b, uint64_t i, uint64_t ticks)
{
	b->shm->samples[i % BENCH_SAMPLE_MAX] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

BENCH_INLINE void bench_samples_are(struct bench *b, uint64_t count, uint32_t per_sample)
{
	b->shm->sample_count = count < BENCH_SAMPLE_MAX ? (uint32_t)count : BENCH_SAMPLE_MAX;
	b->shm->per_sample = per_sample;
}

BENCH_INLINE void bench_wait_until(const struct bench *b, uint64_t ticks)
{
	while ((int64_t)(bench_ticks() - ticks) < 0)
		bench_pause(b);
}

BENCH_INLINE uint64_t bench_from_ns(const struct bench *b, double ns)
{
	return (uint64_t)(ns / b->shm->tick_ns);
}

/* --- messages --------------------------------------------------------------------------------- */

/* Keep the ticks since @before of a block of trips; returns the new stamp. */
BENCH_INLINE uint64_t bench_block(struct bench *b, uint64_t before)
{
	uint64_t now = bench_ticks(), ticks = now - before;

	if (b->shm->block_count < BENCH_BLOCK_MAX)
		b->shm->blocks[b->shm->block_count++] =
			ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
	return now;
}

/* After so long whoever waits is asleep. */
#define BENCH_ASLEEP_NS 300e3

/* Trips with a stamp each, chained, so that each costs one reading; then, where trips are short,
 * as many with a stamp after each block. Where the receivers sleep they begin asleep: two that
 * find one another awake may go on so, trip after trip, and would not be what is to be measured. */
BENCH_INLINE void bench_loop_round_trip(struct bench *b, size_t size, bench_send_fn *send,
					bench_recv_fn *recv)
{
	uint64_t warm = b->warm, count = b->count, i = 0;
	uint64_t blocks = count / BENCH_BLOCK < 8 ? 0 : count / BENCH_BLOCK * BENCH_BLOCK;

	if (b->side != 0) {
		for (; i < warm + count + blocks; i++) {
			recv(b, 0, size, i);
			send(b, 1, size, i);
		}
		return;
	}
	if (bench_blocks(b))
		bench_wait_until(b, bench_ticks() + bench_from_ns(b, BENCH_ASLEEP_NS));
	for (; i < warm; i++) {
		send(b, 0, size, i);
		recv(b, 1, size, i);
	}
	uint64_t before = b->shm->t_start[0] = bench_ticks();

	for (; i < warm + count; i++) {
		send(b, 0, size, i);
		recv(b, 1, size, i);
		uint64_t now = bench_ticks();

		bench_sample(b, i - warm, now - before);
		before = now;
	}
	for (uint64_t k = 1; k <= blocks; k++, i++) {
		send(b, 0, size, i);
		recv(b, 1, size, i);
		if (k % BENCH_BLOCK == 0)
			before = bench_block(b, before);
	}
	b->shm->t_end[0] = bench_ticks();
	bench_samples_are(b, count, 1);
}

BENCH_INLINE void bench_receive_all(struct bench *b, unsigned channel, size_t size,
				    bench_recv_fn *recv)
{
	uint64_t i = 0;

	for (; i < b->warm; i++)
		recv(b, channel, size, i);
	b->shm->t_start[b->side] = bench_ticks();
	for (; i < b->warm + b->count; i++)
		recv(b, channel, size, i);
	b->shm->t_end[b->side] = bench_ticks();
}

/* The receivers' clocks start when the warming up is through; the slowest one counts. */
BENCH_INLINE void bench_loop_one_way(struct bench *b, size_t size, bench_send_fn *send,
				     bench_recv_fn *recv)
{
	if (b->side != 0) {
		bench_receive_all(b, 0, size, recv);
		return;
	}
	for (uint64_t i = 0; i < b->warm + b->count; i++)
		send(b, 0, size, i);
}

BENCH_INLINE void bench_loop_fan_out(struct bench *b, size_t size, bench_send_fn *send,
				     bench_recv_fn *recv)
{
	if (b->side != 0) {
		bench_receive_all(b, b->side - 1, size, recv);
		return;
	}
	for (uint64_t i = 0; i < b->warm + b->count; i++)
		for (unsigned k = 0; k + 1 < b->sides; k++)
			send(b, k, size, i);
}

/* Side 0 keeps its processor awake for 1 ms, stamps, sends; side 1 stamps when it has it. */
BENCH_INLINE void bench_loop_wake_up(struct bench *b, size_t size, bench_send_fn *send,
				     bench_recv_fn *recv)
{
	uint64_t step = bench_from_ns(b, 1e6), next = bench_ticks() + step;

	b->shm->t_start[0] = bench_ticks();
	for (uint64_t i = 0; i < b->warm + b->count; i++, next += step) {
		uint64_t *stamp = &b->shm->stamps[i % BENCH_STAMP_MAX];

		if (b->side == 0) {
			bench_wait_until(b, next);
			bench_store(stamp, bench_ticks());
			send(b, 0, size, i);
			continue;
		}
		recv(b, 0, size, i);
		uint64_t now = bench_ticks();

		if (i >= b->warm)
			bench_sample(b, i - b->warm, now - bench_load(stamp));
	}
	b->shm->t_end[0] = bench_ticks();
	bench_samples_are(b, b->count, 1);
}

/* Each message is due at a time that no delay of those before it moves, and its latency runs from
 * there: a sender that is held up is late, it does not omit what it should have sent meanwhile. */
BENCH_INLINE void bench_loop_open(struct bench *b, size_t size, bench_send_fn *send,
				  bench_recv_fn *recv)
{
	double step = 1e9 / (double)b->cell->rate / b->shm->tick_ns;
	uint64_t began, all = b->warm + b->count;

	if (b->side == 0)
		b->shm->began = bench_ticks() + bench_from_ns(b, 100e3);
	bench_meet(b);
	began = b->shm->began;
	b->shm->t_start[b->side] = began;
	for (uint64_t i = 0; i < all; i++) {
		uint64_t due = began + (uint64_t)((double)i * step);

		if (b->side == 0) {
			bench_wait_until(b, due);
			send(b, 0, size, i);
			continue;
		}
		recv(b, 0, size, i);
		uint64_t late = bench_ticks() - due;

		if (i >= b->warm)
			bench_sample(b, i - b->warm, (int64_t)late < 0 ? 0 : late);
	}
	b->shm->t_end[b->side] = bench_ticks();
	bench_samples_are(b, b->count, 1);
}

/* Bursts for which there is room, while the receiver keeps away; then it takes them out. */
BENCH_INLINE void bench_loop_write(struct bench *b, size_t size, bench_send_fn *send,
				   bench_recv_fn *recv)
{
	unsigned burst = b->cell->contestant->burst != 0 ? b->cell->contestant->burst : 4;
	uint64_t turns = (b->warm + b->count) / burst + 1, cold = b->warm / burst, i = 0;

	b->shm->t_start[0] = bench_ticks();
	for (uint64_t turn = 0; turn < turns; turn++) {
		if (b->side != 0) {
			while (bench_load(&b->shm->go) != turn + 1)
				bench_pause(b);
			for (unsigned k = 0; k < burst; k++)
				recv(b, 0, size, i++);
			bench_store(&b->shm->ready, turn + 1);
			continue;
		}
		uint64_t before = bench_ticks();

		for (unsigned k = 0; k < burst; k++)
			send(b, 0, size, i++);
		uint64_t now = bench_ticks();

		if (turn >= cold)
			bench_sample(b, turn - cold, now - before);
		bench_store(&b->shm->go, turn + 1);
		while (bench_load(&b->shm->ready) != turn + 1)
			bench_pause(b);
	}
	b->shm->t_end[0] = bench_ticks();
	bench_samples_are(b, turns - cold, burst);
}

BENCH_INLINE void bench_loop(struct bench *b, size_t size, bench_send_fn *send, bench_recv_fn *recv)
{
	switch (b->cell->measure) {
	case BENCH_ROUND_TRIP:
		bench_loop_round_trip(b, size, send, recv);
		break;
	case BENCH_ONE_WAY:
		bench_loop_one_way(b, size, send, recv);
		break;
	case BENCH_FAN_OUT:
		bench_loop_fan_out(b, size, send, recv);
		break;
	case BENCH_WAKE_UP:
		bench_loop_wake_up(b, size, send, recv);
		break;
	case BENCH_OPEN_LOOP:
		bench_loop_open(b, size, send, recv);
		break;
	case BENCH_WRITE:
		bench_loop_write(b, size, send, recv);
		break;
	default:
		bench_fail(b, "this measure is not of messages", EINVAL);
	}
}

/* Small sizes are known to the compiler, as they would be in a program. */
#define BENCH_LOOPS(name, send, recv)                                                              \
	static __attribute__((noinline)) void name(struct bench *b)                                \
	{                                                                                          \
		switch (b->cell->size) {                                                           \
		case 8:                                                                            \
			bench_loop(b, 8, send, recv);                                              \
			break;                                                                     \
		case 64:                                                                           \
			bench_loop(b, 64, send, recv);                                             \
			break;                                                                     \
		default:                                                                           \
			bench_loop(b, b->cell->size, send, recv);                                  \
			break;                                                                     \
		}                                                                                  \
	}

/* --- batches ---------------------------------------------------------------------------------- */

BENCH_INLINE void bench_receive_batches(struct bench *b, unsigned channel, size_t size,
					bench_recv_many_fn *recv)
{
	uint64_t all = b->warm + b->count, i = 0, from = 0;

	while (i < all) {
		if (from == 0 && i >= b->warm) {
			b->shm->t_start[b->side] = bench_ticks();
			from = i;
		}
		i += recv(b, channel, size, i, all - i);
	}
	b->shm->t_end[b->side] = bench_ticks();
	/* what a batch had beyond the warming up is not counted */
	if (b->side == 1)
		b->shm->count = all - from;
}

BENCH_INLINE void bench_batches(struct bench *b, size_t size, bench_send_many_fn *send,
				bench_recv_many_fn *recv)
{
	uint64_t all = b->warm + b->count, sent[BENCH_SIDES_MAX] = { 0 };
	unsigned receivers = b->cell->measure == BENCH_FAN_OUT ? b->sides - 1 : 1;

	if (b->side != 0) {
		bench_receive_batches(b, b->side - 1, size, recv);
		return;
	}
	for (unsigned done = 0; done < receivers;) {
		done = 0;
		for (unsigned k = 0; k < receivers; k++) {
			if (sent[k] < all)
				sent[k] += send(b, k, size, sent[k], all - sent[k]);
			done += sent[k] == all;
		}
	}
}

#define BENCH_BATCH_LOOPS(name, send, recv)                                                        \
	static __attribute__((noinline)) void name(struct bench *b)                                \
	{                                                                                          \
		switch (b->cell->size) {                                                           \
		case 8:                                                                            \
			bench_batches(b, 8, send, recv);                                           \
			break;                                                                     \
		case 64:                                                                           \
			bench_batches(b, 64, send, recv);                                          \
			break;                                                                     \
		default:                                                                           \
			bench_batches(b, b->cell->size, send, recv);                               \
			break;                                                                     \
		}                                                                                  \
	}

/* --- locks ------------------------------------------------------------------------------------ */

/* Blocks of passes by side 0, while nobody else wants the lock. */
BENCH_INLINE void bench_loop_passes(struct bench *b, size_t size, bench_lock_fn *lock,
				    bench_lock_fn *unlock)
{
	uint64_t turns = (b->warm + b->count) / BENCH_BLOCK + 1, cold = b->warm / BENCH_BLOCK;

	if (b->side != 0)
		return;
	b->shm->t_start[0] = bench_ticks();
	for (uint64_t turn = 0; turn < turns; turn++) {
		uint64_t before = bench_ticks();

		for (unsigned k = 0; k < BENCH_BLOCK; k++) {
			lock(b, size, turn * BENCH_BLOCK + k);
			unlock(b, size, turn * BENCH_BLOCK + k);
		}
		uint64_t now = bench_ticks();

		if (turn >= cold)
			bench_sample(b, turn - cold, now - before);
	}
	b->shm->t_end[0] = bench_ticks();
	bench_samples_are(b, turns - cold, BENCH_BLOCK);
}

/* How long the lock is held before it is handed over: one that polls waits still, one that sleeps
 * is asleep. */
BENCH_INLINE double bench_hold_ns(const struct bench *b)
{
	return b->cell->variant->mode == BENCH_BLOCKING ? 300e3 : 500;
}

/* The two take turns: one has the lock, the other says that it comes, and waits for it. */
BENCH_INLINE void bench_loop_hand_over(struct bench *b, size_t size, bench_lock_fn *lock,
				       bench_lock_fn *unlock)
{
	uint64_t all = b->warm + b->count, hold = bench_from_ns(b, bench_hold_ns(b));

	if (b->side == 0)
		lock(b, size, 0);
	bench_meet(b);
	b->shm->t_start[b->side] = bench_ticks();
	for (uint64_t i = 0; i < all; i++) {
		uint64_t *stamp = &b->shm->stamps[i % BENCH_STAMP_MAX];

		if (b->side == i % 2) {
			while (bench_load(&b->shm->ready) != i + 1)
				bench_pause(b);
			bench_wait_until(b, bench_ticks() + hold);
			bench_store(stamp, bench_ticks());
			unlock(b, size, i);
			/* who has just unlocked could be first again */
			while (bench_load(&b->shm->go) != i + 1)
				bench_pause(b);
			continue;
		}
		bench_store(&b->shm->ready, i + 1);
		lock(b, size, i + 1);
		uint64_t now = bench_ticks();

		bench_store(&b->shm->go, i + 1);
		if (i >= b->warm)
			bench_sample(b, i - b->warm, now - bench_load(stamp));
	}
	if (b->side == all % 2)
		unlock(b, size, all);
	b->shm->t_end[b->side] = bench_ticks();
	bench_meet(b);
	bench_samples_are(b, b->count, 1);
}

#define BENCH_LOCK_LOOPS(name, lock, unlock)                                                       \
	static __attribute__((noinline)) void name(struct bench *b)                                \
	{                                                                                          \
		if (b->cell->measure == BENCH_HAND_OVER)                                           \
			bench_loop_hand_over(b, b->cell->size, lock, unlock);                      \
		else                                                                               \
			bench_loop_passes(b, b->cell->size, lock, unlock);                         \
	}

#endif /* BENCH_LOOPS_H */
