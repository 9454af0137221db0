/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * contestant.h - what a means of communication says of itself to be measured: one file and one row
 * of a table (contestants.c, or peers/) for each. Compiles as C and as C++.
 *
 * A cell of the table of results is one contestant in one mode, by one measure, with messages of
 * one size. In each round each cell has a team of fresh processes, so that one that fails, hangs
 * or crashes costs its row only:
 *
 *     supervisor    open()      makes what all sides share; forks the sides; ends with them
 *       side 0      attach()    the loop of the measure    detach()
 *       side 1..    the same; two sides in all, but for fan-out: 0 sends, 1.. receive
 *     the tool      clean()     after the team has ended, however it did; mostly not needed
 *
 * Side 0 is on the first processor that may be used, the others on the others by turns. All state
 * of a contestant is in static variables: no process ever measures two cells.
 *
 * Channels: 0 leads from side 0 to side 1, 1 back; in a fan-out channel k leads from side 0 to
 * side k + 1. So open() makes bench_channels() of them.
 *
 * Messages: send() takes number @number of its channel, makes the message with bench_message() (a
 * buffer) or bench_fill() (straight into memory of its own), and returns once the channel has it.
 * recv() waits for the next one and gives it to bench_check(), which does not return if a bit of
 * it is wrong. Both poll, with bench_pause() in between, or sleep, as their mode says. They are
 * inlined in the loops, so let them be BENCH_INLINE where a call would count. Whatever goes wrong,
 * bench_fail() ends the team, and the row says why.
 *
 * A whole one:
 *
 *     static void pipe_open(struct bench *b)   { for (k = 0; k < bench_channels(b); k++) ... }
 *     BENCH_INLINE void pipe_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
 *     {
 *             write_all(b, fds[channel][1], bench_message(b, size, number), size);
 *     }
 *     BENCH_INLINE void pipe_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
 *     {
 *             void *to = bench_sink(b, size, number);
 *             read_all(b, fds[channel][0], to, size);
 *             bench_check(b, to, size, number);
 *     }
 *     BENCH_LOOPS(pipe_run, pipe_send, pipe_recv)
 *     static const struct bench_variant pipe_variants[] = {
 *             { BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 1, BENCH_SIZE_MAX, pipe_run },
 *             { 0 },
 *     };
 *     const struct bench_contestant bench_pipe = {
 *             "pipe", BENCH_KERNEL, "pipe(2)", pipe_variants, pipe_open, 0, 0, 0, 0, 0, 0,
 *     };
 *
 * Fields stand in this order also for C++, which has no designated initialisers before C++20.
 */
#ifndef BENCH_CONTESTANT_H
#define BENCH_CONTESTANT_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_INLINE   static inline __attribute__((always_inline))
#define BENCH_LINE     __attribute__((aligned(128))) /* a line, and the one fetched with it */
#define BENCH_SIZE_MAX ((size_t)64 << 20)

enum bench_group {
	BENCH_LIMIT = 0,  /* what the machine itself allows */
	BENCH_KERNEL = 1, /* what the kernel offers */
	BENCH_TARN = 2,
	BENCH_HAND = 3, /* written by hand for one purpose, as a yardstick */
	BENCH_PEER = 4, /* other people's libraries */
};

enum bench_measure {
	BENCH_ROUND_TRIP = 0, /* there and back */
	BENCH_ONE_WAY = 1,    /* as many as go through */
	BENCH_FAN_OUT = 2,    /* the same to several subscribers, each of which gets all */
	BENCH_WAKE_UP = 3,    /* of a receiver that has been idle for 1 ms */
	BENCH_OPEN_LOOP = 4,  /* at a given rate; from the time at which it was to be sent */
	BENCH_WRITE = 5, /* what it costs the sender, or who locks, while nobody is in its way */
	BENCH_HAND_OVER = 6, /* of a lock, from who unlocks it to who waits for it */
	BENCH_MEASURE_COUNT = 7,
};

#define BENCH_BIT(measure) (1u << (measure))
/* For variants that BENCH_LOOPS, BENCH_BATCH_LOOPS and BENCH_LOCK_LOOPS make. */
#define BENCH_ALL_OF_MESSAGES                                                                      \
	(BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_ONE_WAY) | BENCH_BIT(BENCH_FAN_OUT) |       \
	 BENCH_BIT(BENCH_WAKE_UP) | BENCH_BIT(BENCH_OPEN_LOOP) | BENCH_BIT(BENCH_WRITE))
#define BENCH_ALL_OF_BATCHES (BENCH_BIT(BENCH_ONE_WAY) | BENCH_BIT(BENCH_FAN_OUT))
#define BENCH_ALL_OF_LOCKS   (BENCH_BIT(BENCH_WRITE) | BENCH_BIT(BENCH_HAND_OVER))
/* Beside the measures of a variant: a short run leaves it out. */
#define BENCH_FULL_RUN (1u << 31)

enum bench_mode {
	BENCH_BUSY = 1,      /* the receiver polls */
	BENCH_BLOCKING = 2,  /* it sleeps until there is something */
	BENCH_BATCH = 3,     /* many with one call; polls */
	BENCH_IN_PLACE = 4,  /* made and read where it lies, every line of it; polls */
	BENCH_ZERO_COPY = 5, /* only its first and last word are written and read; polls */
	BENCH_MODE_COUNT = 6,
};

enum bench_pages { BENCH_4K = 0, BENCH_THP = 1, BENCH_2M = 2, BENCH_PAGES_COUNT = 3 };

struct bench;

struct bench_variant {
	enum bench_mode mode;
	unsigned measures;            /* BENCH_BIT() of each that it can do */
	size_t size_min, size_max;    /* bytes of a message; 0 and 0: it carries none */
	void (*run)(struct bench *b); /* made by BENCH_LOOPS or its like; NULL ends the list */
};

struct bench_contestant {
	const char *name; /* one word or few; with its mode unique in the table */
	enum bench_group group;
	const char *what; /* for `tarn bench list` */
	const struct bench_variant *variants;
	/* Each may be NULL. They end with bench_fail() where they cannot do what they should. */
	void (*open)(struct bench *b);   /* before the sides are forked; state is inherited */
	void (*attach)(struct bench *b); /* in each side, on its processor */
	void (*detach)(struct bench *b); /* in each side, once all are done */
	void (*clean)(struct bench *b);  /* in the tool; b->shm->keep has what open() left there */
	const char *(*missing)(void);    /* NULL, or why it cannot be had here */
	unsigned pages; /* BENCH_BIT() of enum bench_pages its shared memory can lie on; 0 = 4k */
	unsigned burst; /* messages of any size that it holds before send() waits; 0 = 4 */
};

/* What is to be measured. */
struct bench_cell {
	const struct bench_contestant *contestant;
	const struct bench_variant *variant;
	enum bench_measure measure;
	size_t size;
	enum bench_pages pages;
	bool cold;      /* the sender's and the receiver's memory in no cache, ever */
	bool pinned;    /* each side on a processor of its own */
	unsigned sides; /* 2; fan-out: 1 and the subscribers */
	uint64_t rate;  /* open loop: messages a second */
	unsigned index; /* in the table of results */
};

enum {
	BENCH_SIDES_MAX = 9,
	BENCH_SAMPLE_MAX = 1 << 16,
	BENCH_BLOCK = 64, /* round trips that are also timed in one piece: clocks tick coarsely */
	BENCH_BLOCK_MAX = 4096,
	BENCH_STAMP_MAX = 4096,
	BENCH_MANY = 64, /* messages that a batch has at most */
	BENCH_WHY_MAX = 240,
};

/* What the limits came to, before or after the loop; ns, bytes a ns; 0: not taken. */
struct bench_limits {
	double bounce; /* round trip of a cache line, p50 */
	double block;  /* the same, by blocks of BENCH_BLOCK */
	double own;    /* the limit of the cell, where it is another one */
};

/* Shared by the tool, the supervisor and the sides. Words that one side writes and another polls
 * have lines of their own. */
struct bench_shm {
	BENCH_LINE uint64_t ping;
	BENCH_LINE uint64_t pong;
	BENCH_LINE uint32_t futex_word[BENCH_SIDES_MAX][32];
	BENCH_LINE uint32_t arrived; /* sides that are at the meeting */
	BENCH_LINE uint32_t met;     /* futex word: how often all sides have met */
	BENCH_LINE uint64_t go;      /* words of loops that take turns: it is the other's */
	BENCH_LINE uint64_t ready;
	BENCH_LINE uint64_t word;                                             /* what locks guard */
	BENCH_LINE uint64_t t_start[BENCH_SIDES_MAX], t_end[BENCH_SIDES_MAX]; /* ticks */
	BENCH_LINE uint64_t stamps[BENCH_STAMP_MAX]; /* ticks: when side 0 began to send */
	BENCH_LINE uint64_t began; /* ticks: open loop, when the first one is due */
	uint64_t count;            /* of the loop: messages, or samples */
	uint64_t sent; /* meanwhile, where others than these were missed; 0: as many as count */
	double tick_ns;
	struct bench_limits before, after;
	uint32_t per_sample; /* operations in each sample */
	uint32_t sample_count, block_count;
	pid_t leader;      /* the supervisor; its end is everybody's */
	uint64_t keep[16]; /* the contestant's: what clean() needs */
	uint32_t has_failed;
	char why[BENCH_WHY_MAX];
	BENCH_LINE uint32_t samples[BENCH_SAMPLE_MAX]; /* ticks */
	uint32_t blocks[BENCH_BLOCK_MAX];              /* ticks */
};

/* A side's view. */
struct bench {
	struct bench_shm *shm;
	const struct bench_cell *cell;
	unsigned side, sides;
	bool yield; /* more sides than processors: who polls lets others run */
	bool alone; /* one processor is all there is */
	uint64_t count, warm;
	unsigned char *source, *sink; /* this side's: where messages are made, and received */
	size_t stride;                /* batch mode: bytes from one message of source to the next */
	uint64_t spare_lines;         /* cold: lines that messages walk through; hot: 0 */
};

/* --- what contestants may call ---------------------------------------------------------------- */

/* End the team; the row says "WHAT: strerror(@error)". @error may be negative, or 0 for none. */
void bench_fail(struct bench *b, const char *what, int error) __attribute__((noreturn));
/* Memory for all sides, on pages of the cell's kind, zeroed and there; in open() only. */
void *bench_memory(struct bench *b, size_t size);
/* Memory of the contestant's own making, where the cell asks for transparent huge pages: the team
 * ends if the kernel has not given any. */
void bench_must_be_huge(struct bench *b, const void *data);
/* Load a byte of each page, so that this process has them all mapped. */
void bench_touch(const void *data, size_t size);
/* Each side waits for all of them. */
void bench_meet(struct bench *b);
/* Messages of @size that a queue of the usual room has: 4 MiB, and 8 at least. */
BENCH_INLINE unsigned bench_depth(size_t size)
{
	return size <= 4096 ? 1024 : size <= 65536 ? 64 : 8;
}

BENCH_INLINE unsigned bench_channels(const struct bench *b)
{
	return b->sides > 2 ? b->sides - 1 : 2;
}

/* Does this side send in @channel? */
BENCH_INLINE bool bench_sends(const struct bench *b, unsigned channel)
{
	return (b->side == 0) == (b->cell->measure == BENCH_FAN_OUT || channel == 0);
}

/* Does this side receive in @channel? */
BENCH_INLINE bool bench_receives(const struct bench *b, unsigned channel)
{
	if (b->cell->measure == BENCH_FAN_OUT)
		return b->side == channel + 1;
	return (b->side == 0) == (channel == 1);
}

BENCH_INLINE bool bench_blocks(const struct bench *b)
{
	return b->cell->variant->mode == BENCH_BLOCKING;
}

/* Between two looks of who polls. */
BENCH_INLINE void bench_pause(const struct bench *b)
{
	if (b->yield)
		sched_yield();
}

/* Acquire and release: what one side has written before is there for who sees the word. */
BENCH_INLINE uint64_t bench_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

BENCH_INLINE void bench_store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

BENCH_INLINE uint64_t bench_ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
	unsigned cpu;

	return __builtin_ia32_rdtscp(&cpu);
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks)::"memory");
	return ticks;
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

/* --- messages -------------------------------------------------------------------------------- *
 *
 *     0        8        16                64       72                            size - 8
 *     | number | word 1 | whatever is there | ... | word 1 of each further line | ~number |
 *
 * Word 1 of a line depends on where in the sender's memory the line lies, and that on the number:
 * hot by turns on eight places a line apart, cold further on by each message. The receiver adds
 * these words up and compares the sum with what the number says, so it has loaded a word of every
 * line. Messages below 16 bytes have the number alone, below 8 its low bytes, of 0 nothing.
 */

#define BENCH_PATTERN UINT64_C(0x9e3779b97f4a7c15)

BENCH_INLINE uint64_t bench_first_line(const struct bench *b, size_t size, uint64_t number)
{
	if (b->spare_lines == 0)
		return number & 7;
	return number * ((size + 63) / 64) % b->spare_lines;
}

/* Lines whose word 1 is no part of the last word. */
BENCH_INLINE uint64_t bench_sum_lines(size_t size)
{
	return size < 24 ? 0 : (size - 24) / 64 + 1;
}

BENCH_INLINE void bench_number(void *at, size_t size, uint64_t number)
{
	uint64_t last = ~number;

	memcpy(at, &number, size < 8 ? size : 8);
	if (size >= 16)
		memcpy((char *)at + size - 8, &last, 8);
}

/* Message @number, in memory of this side; valid until the eighth message after it. */
BENCH_INLINE void *bench_message(struct bench *b, size_t size, uint64_t number)
{
	unsigned char *at =
		size <= 8 ? b->source : b->source + bench_first_line(b, size, number) * 64;

	bench_number(at, size, number);
	return at;
}

/* The same in batch mode, of 64 KiB at most: valid until BENCH_MANY messages after it. */
BENCH_INLINE void *bench_message_of_batch(struct bench *b, size_t size, uint64_t number)
{
	unsigned char *at = b->source + number % BENCH_MANY * b->stride;

	bench_number(at, size, number);
	return at;
}

/* The same into @to, as one does who has it elsewhere and is lent memory to send it in. */
BENCH_INLINE void bench_fill(struct bench *b, void *to, size_t size, uint64_t number)
{
	memcpy(to, bench_message(b, size, number), size);
}

/* Where to receive into. */
BENCH_INLINE void *bench_sink(struct bench *b, size_t size, uint64_t number)
{
	return b->spare_lines == 0 ? b->sink : b->sink + bench_first_line(b, size, number) * 64;
}

void bench_is_wrong(struct bench *b, const void *data, size_t size, uint64_t number)
	__attribute__((noreturn, cold));

BENCH_INLINE bool bench_ends_right(const void *data, size_t size, uint64_t number)
{
	uint64_t last = ~number;

	if (memcmp(data, &number, size < 8 ? size : 8) != 0)
		return false;
	if (size >= 16)
		memcpy(&last, (const char *)data + size - 8, 8);
	return last == ~number;
}

/* Is it message @number, every line of it? Else this does not return. */
BENCH_INLINE void bench_check(struct bench *b, const void *data, size_t size, uint64_t number)
{
	uint64_t lines = bench_sum_lines(size), sum = 0, word, wanted;

	if (__builtin_expect(!bench_ends_right(data, size, number), 0))
		bench_is_wrong(b, data, size, number);
	if (lines == 0)
		return;
	for (uint64_t i = 0; i < lines; i++) {
		memcpy(&word, (const char *)data + i * 64 + 8, 8);
		sum += word;
	}
	wanted = bench_first_line(b, size, number) * lines + lines * (lines + 1) / 2;
	if (__builtin_expect(sum != wanted * BENCH_PATTERN, 0))
		bench_is_wrong(b, data, size, number);
}

/* Zero copy: the first and the last word alone. */
BENCH_INLINE void bench_mark(void *to, size_t size, uint64_t number)
{
	bench_number(to, size, number);
}

BENCH_INLINE void bench_check_mark(struct bench *b, const void *data, size_t size, uint64_t number)
{
	if (__builtin_expect(!bench_ends_right(data, size, number), 0))
		bench_is_wrong(b, data, size, number);
}

typedef void bench_send_fn(struct bench *b, unsigned channel, size_t size, uint64_t number);
typedef void bench_recv_fn(struct bench *b, unsigned channel, size_t size, uint64_t number);
/* As many of @count messages as there is room for, or are there, at least 1: returns how many. */
typedef uint64_t bench_send_many_fn(struct bench *b, unsigned channel, size_t size, uint64_t number,
				    uint64_t count);
typedef uint64_t bench_recv_many_fn(struct bench *b, unsigned channel, size_t size, uint64_t number,
				    uint64_t count);
/* Whoever locks changes bench_change(@size) before it unlocks. */
typedef void bench_lock_fn(struct bench *b, size_t size, uint64_t number);

#ifdef __cplusplus
}
#endif

#include "loops.h"

#endif /* BENCH_CONTESTANT_H */
