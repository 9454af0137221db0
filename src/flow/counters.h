/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.h - the bytes of counters, behind those of their primitive (sync/prim.h), and their
 * handle. The primitive's lock is that of who folds; its seats are the slots' owners. Behind the
 * seats, at the next line:
 *
 *     0 +---------------------------------------------+
 *       | magic version count cells check             |  set by the creator, then constant
 *    64 +---------------------------------------------+
 *       | flip                                        |  which departed counts, what it stands for
 *   128 +---------------------------------------------+
 *       | metrics of 256 bytes                        |  the creator's, constant
 *       +---------------------------------------------+
 *       | departed 0, departed 1                      |  cells words of 8 bytes each, and
 *       +---------------------------------------------+  padded to a multiple of 128
 *       | slots, one for each seat                    |  the same
 *       +---------------------------------------------+
 *
 *     flip   bit 0: which departed counts; bits 1 to 13: 1 + the slot that is in it already, 0
 *            none; the rest counts its changes
 *     cells  word N is that of metric N: what was counted, what the gauge is, or of a histogram
 *            what its values are above the least of their buckets, summed up; then the buckets
 *     seat   id: the owner of the slot; with bit 0 set: it has closed its handle
 *
 * A sum is that of the departed that counts and of the slots that have an owner, but for the one
 * that flip names. A slot whose owner is dead, or has left, goes on to count where it is. Who folds
 * it, so that another can have it, has the lock and
 *
 *     1  stores departed + slot in the other departed, which does not count
 *     2  stores flip: the other one counts, and this slot is in it
 *     3  stores 0 in all of the slot
 *     4  stores flip: no slot is in it any more
 *     5  frees the seat
 *
 * Each sum is the same before and after each step. Killed before 2 it has done nothing; after that
 * flip says what is left to do, and who has the lock next does that first; after 4 the slot is
 * zero, and is folded once more.
 *
 * A gauge is not folded, and what the dead say of it does not count: readers ask who lives.
 *
 * Who writes what:
 *   magic .. metrics  the creator, before the object has a name
 *   flip, departed    who has the lock
 *   a slot            its owner; where that is dead or has left, who has the lock
 *   seat.id           0 -> own, own -> own with bit 0, by its owner; to 0 by who has the lock
 *
 * Ordering, besides that of prim.h:
 *   K1 -> K2  what a fold stores in cells, behind the flip that took them out of sight; who has
 *             read it sees that flip has changed
 *   K3 -> K4  a flip, behind the cells that it brings into sight, or that are zero by then
 *   K5 -> K6  a seat is freed behind the last flip of its fold; who finds it free, and passes over
 *             its slot, sees that flip has changed
 *   K7 -> K8  an owner leaves behind its last add; who folds has all of them. Of the dead the
 *             kernel says so
 *
 * Invariants (tarn__counters_check() tests them):
 *   I1  the object has room for all that its header says, and check is that of header and metrics
 *   I2  flip names a slot that there is, or none
 *   I3  a slot without an owner is zero, but where flip names it
 *   I4  gauges of departed are zero
 */
#ifndef TARN_FLOW_COUNTERS_H
#define TARN_FLOW_COUNTERS_H

#include <tarn/counters.h>

#include "sync/prim.h"

#define COUNTERS_MAGIC   0x72746e43u /* "Cntr" */
#define COUNTERS_VERSION 1u

enum {
	CELL_ALIGN = 128, /* two lines: processors fetch them by pairs */
	FLIP_SLOT = 1,    /* where its bits begin */
	FLIP_COUNT = 16,
	FLIP_SLOT_MASK = 0x1fff,
};

struct metric_shm {
	char name[TARN_METRIC_NAME_MAX + 1];
	char unit[TARN_METRIC_UNIT_MAX + 1];
	char help[TARN_METRIC_HELP_MAX + 1];
	uint32_t kind;
	uint32_t bits; /* of a histogram, else 0 */
	uint64_t most;
	uint32_t cell;    /* where its buckets begin */
	uint32_t buckets; /* how many */
};

struct counters_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t count; /* metrics */
	uint32_t cells; /* of a slot */
	uint32_t check; /* FNV-1a of the four words before it and of the metrics */
	uint8_t pad0[44];
	_Atomic uint64_t flip;
	uint8_t pad1[56];
	struct metric_shm metrics[];
};

static_assert(offsetof(struct metric_shm, unit) == 64, "layout");
static_assert(offsetof(struct metric_shm, help) == 96, "layout");
static_assert(offsetof(struct metric_shm, kind) == 232, "layout");
static_assert(offsetof(struct metric_shm, bits) == 236, "layout");
static_assert(offsetof(struct metric_shm, most) == 240, "layout");
static_assert(offsetof(struct metric_shm, cell) == 248, "layout");
static_assert(offsetof(struct metric_shm, buckets) == 252, "layout");
static_assert(sizeof(struct metric_shm) == 256, "layout");
static_assert(offsetof(struct counters_shm, version) == 4, "layout");
static_assert(offsetof(struct counters_shm, count) == 8, "layout");
static_assert(offsetof(struct counters_shm, cells) == 12, "layout");
static_assert(offsetof(struct counters_shm, check) == 16, "layout");
static_assert(offsetof(struct counters_shm, flip) == 64, "layout");
static_assert(offsetof(struct counters_shm, metrics) == 128, "layout");
static_assert(sizeof(struct counters_shm) == 128, "layout");
static_assert(TARN_COUNTERS_SLOTS_MAX == PRIM_SEATS, "as documented");
static_assert(TARN_COUNTERS_SLOTS_MAX <= FLIP_SLOT_MASK, "flip has room for all of them");

/* The metrics of a handle or a sample, checked copies; one block with what they point to. */
struct metrics {
	struct tarn_metric *list;
	struct tarn_counters_place *places;
	uint32_t *buckets; /* of each; 0: no histogram */
	uint32_t count, cells, gauges;
};

struct counters {
	struct prim prim;
	struct tarn_counters pub;
	struct counters_shm *shm;
	unsigned char *departed; /* the first of two; then the slots */
	uint64_t stride;         /* bytes from one to the next */
	struct metrics of;
	struct tarn__forkable forkable;
	uint64_t dropped;
	uint32_t slot; /* of this handle, where it is seated */
	bool seated;
	bool looks; /* it takes no slot */
	bool own;   /* no counters: what an object of another kind keeps of itself, figures.h */
};

static inline struct counters *counters_of(const struct tarn_counters *pub)
{
	return (struct counters *)(void *)((char *)(uintptr_t)pub - offsetof(struct counters, pub));
}

static inline _Atomic uint64_t *departed_at(const struct counters *c, uint64_t which)
{
	return (_Atomic uint64_t *)(void *)(c->departed + which * c->stride);
}

static inline _Atomic uint64_t *slot_at(const struct counters *c, uint32_t at)
{
	return (_Atomic uint64_t *)(void *)(c->departed + (UINT64_C(2) + at) * c->stride);
}

/* 1 + the slot that @flip names, 0 none. */
static inline uint32_t named_by(uint64_t flip)
{
	return (uint32_t)(flip >> FLIP_SLOT) & FLIP_SLOT_MASK;
}

/* Is it an owner's id that has closed its handle? */
static inline bool has_left(uint32_t id)
{
	return (id & TARN__ID_FLAG) != 0;
}

static inline bool is_gauge(const struct metrics *of, uint32_t cell)
{
	return cell < of->count && of->list[cell].kind == TARN_METRIC_GAUGE;
}

/* The bucket that counts @value, of a histogram of 2^@bits a doubling, and the least value of
 * one. */
static inline uint32_t bucket_of(uint32_t bits, uint64_t value)
{
	uint32_t exponent = 63u - (uint32_t)__builtin_clzll(value | 1);
	uint32_t shift = exponent > bits ? exponent - bits : 0;

	return (shift << bits) + (uint32_t)(value >> shift);
}

static inline uint64_t least_of(uint32_t bits, uint32_t bucket)
{
	uint32_t shift = bucket >> bits;

	return shift <= 1 ? bucket
			  : (uint64_t)((bucket & ((1u << bits) - 1)) | 1u << bits) << (shift - 1);
}

/* --- counters_metrics.c -------------------------------------------------------------------- */

/* check, of a header with these and of @count metrics. */
uint32_t tarn__counters_sum(uint32_t count, uint32_t cells, const struct metric_shm *metrics);
/* Bytes behind the seats. */
uint64_t tarn__counters_bytes(uint32_t count, uint32_t cells, uint32_t slots);
/* Are those fit to be made, and how many cells have they? -EINVAL with @diag. */
int tarn__metrics_check(const char *name, const struct tarn_metric *list, uint32_t count,
			uint32_t *ret_cells, struct tarn_diag *diag);
void tarn__metrics_write(struct metric_shm *to, const struct tarn_metric *list, uint32_t count);
/* A copy of @list, which is fit and has no histograms. 0, -ENOMEM. */
int tarn__metrics_of(const struct tarn_metric *list, uint32_t count, struct metrics *ret);
/* A checked copy of what @shm has, which geometry was taken from. 0, -EUCLEAN, -ENOMEM. */
int tarn__metrics_read(const struct counters_shm *shm, uint32_t count, uint32_t cells,
		       struct metrics *ret);
int tarn__metrics_copy(const struct metrics *of, struct metrics *ret);
void tarn__metrics_free(struct metrics *of);
/* -EEXIST: @name has not those, and @diag says which one differs. */
int tarn__metrics_compare(const char *name, const struct metrics *of,
			  const struct tarn_metric *list, uint32_t count, struct tarn_diag *diag);
bool tarn__metrics_same(const struct metrics *a, const struct metrics *b);

/* --- counters.c ---------------------------------------------------------------------------- */

/* What the header says, read once, and checked as it was read (I1); the metrics are not. */
int tarn__counters_geometry(struct counters *c, struct tarn_diag *diag);
/* Give the slot of this handle to whoever folds it, and do that if nobody is at it. */
void tarn__counters_leave(struct counters *c);

/* --- counters_fold.c ----------------------------------------------------------------------- */

/* Fold what is to be folded, and finish what another began. @wait: for who is at it, 100 ms. How
 * many slots; -EAGAIN: somebody is at it; -ETIMEDOUT and as tarn__prim_lock(). */
int tarn__counters_fold_all(struct counters *c, bool wait, struct tarn_diag *diag);

/* --- counters_read.c ----------------------------------------------------------------------- */

/* The sums of all cells. As tarn_counters_read(). */
int tarn__counters_read_all(const struct counters *c, uint64_t *cells);

/* --- counters_check.c ---------------------------------------------------------------------- */

int tarn__counters_check(struct tarn_region *region, const struct tarn__object *object,
			 const char *where, tarn_report_fn *fn, void *arg);

#endif /* TARN_FLOW_COUNTERS_H */
