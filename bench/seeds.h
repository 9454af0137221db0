/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeds.h - what the texts that people learn shared memory from claim, held against this machine.
 *
 *     claim   what a text says, and under which heading; with up to SEEDS_BOUND_MAX bounds
 *     bound   one figure, the range that the claim gives it, and why it may lie elsewhere
 *     figure  what is measured, once a round; several claims may speak of the same figure
 *     probe   the program that measures some figures: a process of its own (seeds_run.c), so that
 *             one that fails or hangs costs its figures only, and leaves nothing behind
 *
 * The tables are in seeds_claims.c, the rules of the verdict in seeds_judge.c, the probes in the
 * other seeds_*.c.
 */
#ifndef BENCH_SEEDS_H
#define BENCH_SEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEEDS_ROUND_MAX = 64, SEEDS_BOUND_MAX = 8, SEEDS_TEXT = 320, SEEDS_WHY = 1400 };

/* One word for each program that measures. */
enum seeds_probe_id {
	SEEDS_PROBE_STREAM,
	SEEDS_PROBE_MEGABYTE,
	SEEDS_PROBE_FRAME,
	SEEDS_PROBE_COPIES,
	SEEDS_PROBE_HOP,
	SEEDS_PROBE_SMALL,
	SEEDS_PROBE_BATCH,
	SEEDS_PROBE_CACHES,
	SEEDS_PROBE_ORDER,
	SEEDS_PROBE_PAGES,
	SEEDS_PROBE_SHARING,
	SEEDS_PROBE_SYNC,
	SEEDS_PROBE_RACE,
	SEEDS_PROBE_EXERCISE2,
	SEEDS_PROBE_MATRIX,
	SEEDS_PROBE_FLAG,
	SEEDS_PROBE_PAGING,
	SEEDS_PROBE_SINGLE,
	SEEDS_PROBE_COW,
	SEEDS_PROBE_DISK,
	SEEDS_PROBE_FACTS,
	SEEDS_PROBE_NUMA,
	SEEDS_PROBE_COUNT,
};

enum seeds_unit {
	SEEDS_GBS,   /* bytes per nanosecond */
	SEEDS_NS,    /* nanoseconds */
	SEEDS_RATIO, /* of two figures of the same round */
	SEEDS_BYTES,
	SEEDS_COUNT,
	SEEDS_PART, /* of a whole: 1 = all of it */
};

/* F(what it is called here, who measures it, its unit) */
#define SEEDS_FIGURES(F)                                                                           \
	F(STREAM_SHM, STREAM, GBS)                                                                 \
	F(STREAM_PIPE, STREAM, GBS)                                                                \
	F(STREAM_UNIX, STREAM, GBS)                                                                \
	F(STREAM_MQ, STREAM, GBS)                                                                  \
	F(STREAM_MEMCPY, STREAM, GBS)                                                              \
	F(STREAM_SHM_TO_PIPE, STREAM, RATIO)                                                       \
	F(STREAM_PIPE_TO_UNIX, STREAM, RATIO)                                                      \
	F(STREAM_UNIX_TO_MQ, STREAM, RATIO)                                                        \
	F(STREAM_SHM_TO_MQ, STREAM, RATIO)                                                         \
	F(STREAM_SHM_TO_UNIX, STREAM, RATIO)                                                       \
	F(MB_PLACE, MEGABYTE, NS)                                                                  \
	F(MB_COPY, MEGABYTE, NS)                                                                   \
	F(MB_PIPE, MEGABYTE, NS)                                                                   \
	F(MB_MQ, MEGABYTE, NS)                                                                     \
	F(MB_UNIX, MEGABYTE, NS)                                                                   \
	F(MB_TCP, MEGABYTE, NS)                                                                    \
	F(MB_PIPE_TO_PLACE, MEGABYTE, RATIO)                                                       \
	F(MB_PIPE_TO_COPY, MEGABYTE, RATIO)                                                        \
	F(MB_TCP_TO_COPY, MEGABYTE, RATIO)                                                         \
	F(FRAME_SOCKET, FRAME, NS)                                                                 \
	F(FRAME_SHM, FRAME, NS)                                                                    \
	F(FRAME_RATIO, FRAME, RATIO)                                                               \
	F(COPIES_PIPE, COPIES, COUNT)                                                              \
	F(COPIES_MQ, COPIES, COUNT)                                                                \
	F(COPIES_SHM, COPIES, COUNT)                                                               \
	F(HOP, HOP, NS)                                                                            \
	F(HOP_KERNEL, HOP, COUNT)                                                                  \
	F(SYSCALL, HOP, NS)                                                                        \
	F(SMALL_RING, SMALL, NS)                                                                   \
	F(SMALL_PIPE, SMALL, NS)                                                                   \
	F(SMALL_MQ, SMALL, NS)                                                                     \
	F(SMALL_RATE, SMALL, COUNT)                                                                \
	F(SMALL_MQ_TO_RING, SMALL, RATIO)                                                          \
	F(SMALL_PIPE_TO_RING, SMALL, RATIO)                                                        \
	F(ASLEEP_RING, SMALL, NS)                                                                  \
	F(ASLEEP_MQ_TO_RING, SMALL, RATIO)                                                         \
	F(ASLEEP_PIPE_TO_RING, SMALL, RATIO)                                                       \
	F(BATCH_ONE, BATCH, COUNT)                                                                 \
	F(BATCH_MANY, BATCH, COUNT)                                                                \
	F(BATCH_RATIO, BATCH, RATIO)                                                               \
	F(L1_NS, CACHES, NS)                                                                       \
	F(L2_NS, CACHES, NS)                                                                       \
	F(L3_NS, CACHES, NS)                                                                       \
	F(RAM_NS, CACHES, NS)                                                                      \
	F(RAM_HUGE_NS, CACHES, NS)                                                                 \
	F(L1_BYTES, CACHES, BYTES)                                                                 \
	F(L2_BYTES, CACHES, BYTES)                                                                 \
	F(L3_BYTES, CACHES, BYTES)                                                                 \
	F(ORDER_SEQUENTIAL, ORDER, NS)                                                             \
	F(ORDER_RANDOM, ORDER, NS)                                                                 \
	F(ORDER_RATIO, ORDER, RATIO)                                                               \
	F(ORDER_LARGE, ORDER, RATIO)                                                               \
	F(PAGES_READ_4K, PAGES, NS)                                                                \
	F(PAGES_READ_2M, PAGES, NS)                                                                \
	F(PAGES_READ_RATIO, PAGES, RATIO)                                                          \
	F(PAGES_FAULT_RATIO, PAGES, RATIO)                                                         \
	F(PAGES_TOUCH_4K, PAGES, NS)                                                               \
	F(PAGES_TOUCH_2M, PAGES, NS)                                                               \
	F(PAGES_TOUCH_RATIO, PAGES, RATIO)                                                         \
	F(TLB_4K, PAGES, COUNT)                                                                    \
	F(TLB_2M, PAGES, COUNT)                                                                    \
	F(SHARING_NEAR, SHARING, NS)                                                               \
	F(SHARING_FAR, SHARING, NS)                                                                \
	F(SHARING_RATIO, SHARING, RATIO)                                                           \
	F(LINE_BYTES, SHARING, BYTES)                                                              \
	F(SYNC_PLAIN, SYNC, NS)                                                                    \
	F(SYNC_ATOMIC, SYNC, NS)                                                                   \
	F(SYNC_SEM, SYNC, NS)                                                                      \
	F(SYNC_SEM_TO_PLAIN, SYNC, RATIO)                                                          \
	F(SYNC_ATOMIC_2, SYNC, NS)                                                                 \
	F(SYNC_SEM_2, SYNC, NS)                                                                    \
	F(SYNC_CROWD_ATOMIC, SYNC, RATIO)                                                          \
	F(SYNC_CROWD_SEM, SYNC, RATIO)                                                             \
	F(SYNC_SEM_TO_ATOMIC_2, SYNC, RATIO)                                                       \
	F(RACE_SHOWN, RACE, COUNT)                                                                 \
	F(RACE_TOGETHER, RACE, COUNT)                                                              \
	F(RACE_LONG, RACE, PART)                                                                   \
	F(RACE_SEM, RACE, COUNT)                                                                   \
	F(RACE_SEM_LONG, RACE, COUNT)                                                              \
	F(RACE_ATOMIC_LONG, RACE, COUNT)                                                           \
	F(EXERCISE2_ORDER, EXERCISE2, PART)                                                        \
	F(EXERCISE2_TURNS, EXERCISE2, PART)                                                        \
	F(MATRIX_WALL, MATRIX, NS)                                                                 \
	F(MATRIX_CLOCK, MATRIX, NS)                                                                \
	F(FLAG_NS, FLAG, NS)                                                                       \
	F(FLAG_CPU, FLAG, PART)                                                                    \
	F(FLAG_SEM, FLAG, NS)                                                                      \
	F(FLAG_RATIO, FLAG, RATIO)                                                                 \
	F(PAGING_MADE, PAGING, BYTES)                                                              \
	F(PAGING_ONE, PAGING, BYTES)                                                               \
	F(PAGING_TWO, PAGING, BYTES)                                                               \
	F(PAGING_LAZY_FAULTS, PAGING, COUNT)                                                       \
	F(PAGING_FULL_FAULTS, PAGING, COUNT)                                                       \
	F(PAGING_FULL_HELD, PAGING, PART)                                                          \
	F(PAGING_LAZY_NS, PAGING, NS)                                                              \
	F(PAGING_FULL_NS, PAGING, NS)                                                              \
	F(PAGING_NS_RATIO, PAGING, RATIO)                                                          \
	F(PAGING_WILLNEED, PAGING, COUNT)                                                          \
	F(SINGLE_SHARED, SINGLE, RATIO)                                                            \
	F(SINGLE_PRIVATE, SINGLE, RATIO)                                                           \
	F(COW_BEFORE, COW, RATIO)                                                                  \
	F(COW_WITH, COW, RATIO)                                                                    \
	F(COW_WITHOUT, COW, RATIO)                                                                 \
	F(COW_TOTAL_RATIO, COW, RATIO)                                                             \
	F(COW_EXTRA_RATIO, COW, RATIO)                                                             \
	F(COW_BYTES, COW, BYTES)                                                                   \
	F(DISK_SHM, DISK, NS)                                                                      \
	F(DISK_FILE, DISK, NS)                                                                     \
	F(DISK_RATIO, DISK, RATIO)                                                                 \
	F(FACT_SHM_PART, FACTS, PART)                                                              \
	F(FACT_SHMMAX, FACTS, BYTES)                                                               \
	F(FACT_FTOK, FACTS, COUNT)                                                                 \
	F(FACT_LAYOUT, FACTS, BYTES)                                                               \
	F(FACT_LARGER_GET, FACTS, COUNT)                                                           \
	F(FACT_BEYOND, FACTS, COUNT)                                                               \
	F(NUMA_LOCAL, NUMA, NS)                                                                    \
	F(NUMA_REMOTE, NUMA, NS)

enum seeds_fig {
#define SEEDS_FIG(name, probe, unit) SEEDS_FIG_##name,
	SEEDS_FIGURES(SEEDS_FIG)
#undef SEEDS_FIG
		SEEDS_FIG_COUNT,
};

/* What was measured; lies in memory that the probe's processes share with who asked. */
struct seeds_figure {
	uint32_t count; /* values so far */
	double values[SEEDS_ROUND_MAX];
	char lack[SEEDS_TEXT]; /* why it could not be measured */
	char note[SEEDS_TEXT]; /* what is to be said of it: scaled down, got otherwise */
};

struct seeds_stat {
	uint32_t count; /* 0: nothing was measured, the others mean nothing */
	double median, min, max;
};

/* --- claims -------------------------------------------------------------------------------- */

#define SEEDS_ANY   (-1.0) /* no bound on this side */
#define SEEDS_ABOUT 1.5    /* how far what is said with a "~" may be off and still hold */

struct seeds_bound {
	enum seeds_fig fig;
	const char *what;   /* NULL ends the list */
	double least, most; /* what the text says; both SEEDS_ANY: shown beside the others only */
	bool about;
	const char *below, *above; /* why it may lie there */
};

struct seeds_claim {
	const char *name; /* a short word, which stays */
	const char *guide, *heading;
	const char *claim;
	const char *lack; /* why nothing of it can be measured on one machine by one program */
	struct seeds_bound bounds[SEEDS_BOUND_MAX];
};

extern const struct seeds_claim seeds_claims[]; /* ends without a name */

/* --- verdicts: seeds_judge.c, which calls nothing ------------------------------------------- */

enum seeds_verdict { SEEDS_HOLDS, SEEDS_PARTLY, SEEDS_FAILS, SEEDS_UNKNOWN };

/* Where the figure of a bound lies. */
enum seeds_place {
	SEEDS_MET,     /* the median is in the range */
	SEEDS_TOUCHED, /* some rounds are, the median is not */
	SEEDS_BELOW,
	SEEDS_ABOVE,
	SEEDS_BESIDE, /* the claim gives no range */
	SEEDS_LACKING,
};

struct seeds_stat seeds_stat(const struct seeds_figure *figure);
enum seeds_place seeds_place(const struct seeds_bound *bound, const struct seeds_stat *stat);
/* Every figure of @claim judged: where each lies, and what follows for all. */
enum seeds_verdict seeds_judge(const struct seeds_claim *claim, const struct seeds_figure *figures,
			       enum seeds_place ret_places[SEEDS_BOUND_MAX]);
/* Why a claim does not hold, or not all of it; empty where it does and nothing is to be said. */
void seeds_why(const struct seeds_claim *claim, const struct seeds_figure *figures,
	       char ret_text[SEEDS_WHY]);
const char *seeds_verdict_text(enum seeds_verdict verdict);
/* "12.3 GB/s" */
void seeds_value_text(enum seeds_unit unit, double value, char ret_text[32]);
const char *seeds_unit_text(enum seeds_unit unit); /* for JSON: "bytes_per_ns" */
enum seeds_unit seeds_fig_unit(enum seeds_fig fig);
enum seeds_probe_id seeds_fig_probe(enum seeds_fig fig);

/* --- measuring: seeds_run.c ------------------------------------------------------------------ */

struct seeds_opts {
	uint32_t rounds;       /* 3 .. SEEDS_ROUND_MAX */
	bool quick;            /* less of everything */
	uint32_t timeout_s;    /* for one probe; 0 = 60 */
	bool (*stopped)(void); /* asked now and then; NULL = never */
	/* Before each probe, which measures @what, and at the end (NULL): @done of @total, in parts
	 * of about the same time. */
	void (*progress)(uint32_t done, uint32_t total, const char *what, void *arg);
	void *arg;
};

/* Run the probes that @claims (NULL-terminated) need. @ret_figures: SEEDS_FIG_COUNT of them, which
 * seeds_free() gives back. Returns 0, -ENOMEM, or -EINTR when stopped; nothing that it started
 * is alive then, and none of its memory, names or queues is left. */
int seeds_measure(const struct seeds_claim *const *claims, const struct seeds_opts *opts,
		  struct seeds_figure **ret_figures);
void seeds_free(struct seeds_figure *figures);

#endif /* BENCH_SEEDS_H */
