/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * figures.h - what an object keeps of itself, by the handle of counters.
 *
 * There are no bytes of its own: each kind has a table of metrics and a function that loads their
 * words from where the structure has them, in the order of the table. A handle is one of counters
 * whose metrics are those, so that all that reads counters reads it.
 *
 * A word of fewer than 64 bits begins again at 0. The handle keeps what it has read last, and adds
 * what came since, modulo the word; so what it tells never goes back.
 */
#ifndef TARN_FLOW_FIGURES_H
#define TARN_FLOW_FIGURES_H

#include <tarn/figures.h>

#include "flow/call.h"
#include "flow/counters.h"
#include "flow/latest.h"
#include "flow/ring.h"
#include "flow/topic.h"

struct figure {
	struct tarn_metric metric;
	uint32_t bits; /* of its word, if it counts; 64: it never begins again */
};

struct figures;

/* A kind of objects. */
struct figures_kind {
	const struct figure *list; /* behind those that all have */
	uint32_t count;
	/* Is the header one that may be read? 0, -EUCLEAN, -EPROTO. NULL: it needs none. */
	int (*open)(struct figures *f, struct tarn_diag *diag);
	/* 0; -EUCLEAN, -EAGAIN. */
	int (*read)(struct figures *f, uint64_t *values);
};

enum { FIGURES_COMMON = 2 }; /* size_bytes, holders */

struct figures {
	struct counters c; /* of a primitive with its handle */
	const struct figures_kind *kind;
	struct tarn__object object; /* base NULL: the region itself */
	bool held;
	/* checked copies */
	uint32_t capacity; /* of a ring, units; of a service its clients; of a dirty map pages */
	struct tarn_latest latest;
	struct topic topic;
	struct lane lane;
	/* of each metric that counts */
	uint32_t bits[TARN_FIGURES_MAX];
	uint64_t word[TARN_FIGURES_MAX]; /* as it was read last */
	uint64_t told[TARN_FIGURES_MAX];
};

static inline struct figures *figures_of(const struct counters *c)
{
	return (struct figures *)(void *)(uintptr_t)c;
}

/* --- figures.c ----------------------------------------------------------------------------- */

/* Of a handle of figures, counters.h: what its functions do. */
int tarn__figures_read(const struct counters *c, uint64_t *values, uint32_t count);
void tarn__figures_close(struct counters *c);

/* --- figures_kinds.c ----------------------------------------------------------------------- */

/* NULL: a kind that this version does not know. */
const struct figures_kind *tarn__figures_kind(uint32_t kind);
extern const struct figures_kind tarn__figures_region;
extern const struct figure tarn__figures_common[FIGURES_COMMON];

#endif /* TARN_FLOW_FIGURES_H */
