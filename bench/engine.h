/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - libtarn-bench: plan a run, go through its rounds, and have the rows.
 *
 * Rounds are the outer loop, so that a slow minute of the host spreads over all rows. A row has
 * the figures of each round; what is shown of them is the median, with the smallest and the
 * largest. Ratios are taken within the round, to the limit measured by the same processes right
 * before and after. A round whose two bounces differ is discarded and tried again.
 *
 * A row is of rounds of one place: where the host had the two processors at the same distance, as
 * their bounces tell; of the nearest one that the run has seen, if there are enough. The others are
 * set aside, and tried again once all rounds are through (place.c has the rules).
 *
 * See contestant.h for what is measured, and how to add something to it.
 */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "contestant.h"
#include "stats.h"

enum {
	BENCH_ROUND_MAX = 64,
	BENCH_TRIES = 4,  /* of a round before it is given up */
	BENCH_AGAIN = 64, /* times at most that a row is tried again at the end */
	BENCH_TAKEN_MAX = BENCH_ROUND_MAX + BENCH_AGAIN,
};

/* How far from one another the two processors were in the rounds of a row. */
enum bench_place {
	BENCH_ANYWHERE = 0, /* it does not matter, or is not known */
	BENCH_NEAR = 1,     /* as the nearest rounds of the run */
	BENCH_FAR = 2,      /* it has too few of those */
	BENCH_NEARER = 3,   /* likewise; so near they hardly ever were */
};

/* What a row is held against. */
enum bench_limit_kind {
	BENCH_LIMIT_NONE = 0,
	BENCH_LIMIT_BOUNCE,   /* a cache line there and back */
	BENCH_LIMIT_HOP,      /* half of it */
	BENCH_LIMIT_MEMCPY,   /* bytes a ns of one processor, blocks of the message's size */
	BENCH_LIMIT_COPY,     /* ns of copying one message */
	BENCH_LIMIT_FUTEX,    /* two bare futex words, there and back */
	BENCH_LIMIT_WAKE,     /* a bare futex, after 1 ms */
	BENCH_LIMIT_SYSCALL,  /* one that does nothing */
	BENCH_LIMIT_EXCHANGE, /* of an uncontended word */
};

/* Of one round. ns; 0 where it was not measured. */
struct bench_figures {
	double p50, p90, p99, p99_9, max;
	double block;  /* round trip: median of BENCH_BLOCK in a row, a trip of them */
	double rate;   /* messages a ns */
	double bounce; /* as taken before and after */
	double limit;  /* ns, or bytes a ns */
	double ratio;  /* of a latency: so many times the limit; of a rate: this part of it */
};

struct bench_row {
	struct bench_cell cell;
	enum bench_limit_kind limit;
	unsigned rounds;    /* taken; when the run has ended: that count */
	unsigned set_aside; /* when it has ended: figures behind those, of another place */
	unsigned discarded; /* moved meanwhile: of no place */
	enum bench_place place;
	uint64_t count; /* of the next round */
	struct bench_figures figures[BENCH_TAKEN_MAX];
	char failed[BENCH_WHY_MAX]; /* why it could not be measured, or "" */
};

struct bench_run;

/* All zero means: what is usual. */
struct bench_settings {
	unsigned rounds;   /* 0 = 5 */
	int64_t slice_ns;  /* that a loop is to take; 0 = 20 ms */
	int64_t budget_ns; /* no cell begins after it; 0 = as long as it takes */
	bool quick;        /* fewer cells */
	const char
		*only; /* cells whose MEASURE/CONTESTANT/MODE/SIZE holds one of these words, apart
	                         by commas */
	const size_t *sizes; /* NULL = what suits each measure */
	unsigned size_count;
	unsigned pages;       /* BENCH_BIT() of enum bench_pages; 0 = 4k */
	unsigned heats;       /* 1 hot, 2 cold, 3 both; 0 = hot */
	unsigned pins;        /* 1 pinned, 2 not, 3 both; 0 = pinned */
	unsigned subscribers; /* 0 = 4 */
	uint64_t rate;        /* messages a second of the open loop; 0 = 100,000 */
	int64_t patience_ns;  /* after which a cell hangs; 0 = 30 s */
	int64_t pause_ns;     /* after a round that had to be set aside again; 0 = 250 ms */
	/* Called before each cell, and at the end; may be NULL. True: stop here. */
	bool (*progress)(const struct bench_run *run, void *arg);
	void *arg;
};

struct bench_run {
	struct bench_settings settings; /* with what is usual filled in */
	struct bench_row *rows;
	unsigned row_count;
	unsigned cpu_count; /* that may be used */
	unsigned cpus[BENCH_SIDES_MAX];
	unsigned done, in_all; /* cells, of all rounds */
	const struct bench_row *now;
	unsigned again; /* rows of which rounds are tried again; 0: not yet */
	unsigned discarded;
	double *bounces; /* of the rounds taken, sorted */
	size_t bounce_count;
	size_t first_count;             /* of them: before anything was tried again */
	double near;                    /* what those of the nearest place come to; 0: not known */
	unsigned set_aside, other_rows; /* when it has ended: rounds; rows that are not near */
	int64_t began_ns, elapsed_ns, left_ns; /* left: an estimate */
	bool stopped, out_of_time;
	double tick_ns;
	struct bench_shm *shm;
};

/* Contestants of the table, up to NULL; those of others may follow them. */
extern const struct bench_contestant *const bench_contestants[]; /* contestants.c */
extern const struct bench_contestant *const bench_more[];        /* peers, or none */

/* 0; -ENOENT: nothing is measured by these settings; -ENOMEM. bench_run_free() it. */
int bench_plan(const struct bench_settings *settings,
	       const struct bench_contestant *const *const *lists, struct bench_run **ret_run);
void bench_go(struct bench_run *run);
void bench_run_free(struct bench_run *run);

const char *bench_place_name(enum bench_place place);
/* Over the rounds of @row; @field: offsetof(struct bench_figures, ...). */
struct bench_spread bench_over_rounds(const struct bench_row *row, size_t field);
bool bench_is_rate(enum bench_measure measure);

const char *bench_measure_name(enum bench_measure measure);
const char *bench_mode_name(enum bench_mode mode);
const char *bench_group_name(enum bench_group group);
const char *bench_pages_name(enum bench_pages pages);
const char *bench_limit_name(enum bench_limit_kind kind);
enum bench_limit_kind bench_limit_of(const struct bench_cell *cell);

/* --- inside of the engine --------------------------------------------------------------------- */

/* Run the team of @cell once; false: it failed, and shm->why says why. */
bool bench_cell_run(struct bench_run *run, const struct bench_cell *cell, uint64_t count);
/* All sides: take the limits of the cell into @limits, which side 0 writes. */
void bench_take_limits(struct bench *b, struct bench_limits *limits);
/* A side's own: where messages are made, its lines numbered, and received. */
void bench_make_buffers(struct bench *b);
/* A round with this bounce was taken. */
void bench_note_bounce(struct bench_run *run, double bounce);
/* Are rounds missing that count, since the host moved the processors? */
bool bench_is_short(const struct bench_run *run, const struct bench_row *row);
bool bench_is_near(const struct bench_run *run, const struct bench_row *row, double bounce);
/* The end: of each row the rounds that count come first. */
void bench_settle(struct bench_run *run);
double bench_measure_tick(void);

#endif /* BENCH_ENGINE_H */
