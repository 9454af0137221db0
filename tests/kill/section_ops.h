/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * section_ops.h - a pool of nodes in two lists, each list under a section of its own, and what is
 * done to it; section.c has the survivors and the table.
 *
 * Nodes are taken from and given back to a free list, which belongs to section "one". A node has a
 * key and a filling in fields of every size that follows from it. So a survivor can tell a list
 * that was changed whole from one that was not, and a node that was lost.
 */
#ifndef TESTS_KILL_SECTION_OPS_H
#define TESTS_KILL_SECTION_OPS_H

#include <stdatomic.h>

#include <tarn/section.h>

#include "survivor.h"

enum {
	NODES = 8, /* node 0 is none */
	NOTE = 40,
	JOURNAL = 512,
	OBJECTS = 4, /* keep, one, two, pool */
};

struct node {
	uint64_t next, prev; /* indices */
	uint64_t key;
	uint32_t fill32;
	uint16_t fill16;
	uint8_t fill8;
	uint8_t pad;
};

struct list {
	uint64_t head, tail, count;
};

struct pool {
	struct list one; /* under section "one", as are free and note */
	struct list two; /* under section "two" */
	uint64_t free, free_count;
	unsigned char note[NOTE];
	struct node nodes[NODES + 1];
};

/* What a pool holds: bit n: key n is there. */
struct content {
	unsigned one;
	unsigned two;
	unsigned char note;
};

extern const struct content at_first; /* 2, 4, 6 in one; 3 in two */
extern struct tarn_region *region;    /* of this process */
extern struct tarn_section *one, *two;
extern struct tarn_tx *tx;
extern struct pool *pool;

/* Kept in the page that all processes of a sweep share. */
struct state {
	_Atomic uint32_t held;     /* the holder is inside */
	_Atomic uint32_t go;       /* it is to leave */
	_Atomic uint32_t finished; /* the peer has done its work */
	_Atomic int32_t peer;      /* its process id */
	_Atomic int32_t holder;    /* the holder's */
	_Atomic uint32_t inside;   /* section_pairs.c: who is stopped has entered, and not left */
};

struct state *state_of(const struct kill_world *world);
/* The holder dies with its parent, a little later: wait until all it had is let go of. */
void await_holder_end(const struct kill_world *world);
/* Open the region and what is in it. */
int open_pool(struct kill_world *world, struct harness_report *report);
void close_pool(void);
int insert(struct list *list, uint64_t key);
int take_out(struct list *list, uint64_t key);
/* Key 4 from list one to list two. */
int move(void);
/* Walk list two alone, which section "two" guards. */
int second_content(struct content *ret, struct harness_report *report);
/* Walk both lists and the free list. 0, or KILL_VIOLATION with the reason. */
int pool_content(struct content *ret, struct harness_report *report);

/* --- section_judge.c ----------------------------------------------------------------------- */

bool same_content(const struct content *a, const struct content *b);
int enter_patiently(struct tarn_section *section, struct harness_report *report);
/* What the pool holds, to one who enters; @second: the second section first, by itself. */
int pool_look(struct kill_world *world, bool second, struct content *ret,
	      struct harness_report *report);
/* Both sections still do what they are for; then everything around them. @outcome, or
 * KILL_VIOLATION. */
int pool_wind_up(struct kill_world *world, int outcome, struct harness_report *report);

/* --- section_ops.c ------------------------------------------------------------------------- */

/* worlds before, what is prepared, operations, wakers and peers */
kill_fn no_sections, join_its_slot, fresh, left_changed, left_changed_two, left_aside, join, ready,
	prepared, inside_changed, inside_two, inside_beside_sleeper, beside_holder, open_creating,
	enter_leave, try_leave, op_insert, op_remove, op_write, op_set, op_log, op_move,
	op_move_nested, op_abort, op_abort_two, op_abort_inside, op_full, op_read, op_leave,
	op_leave_two, op_close_inside, op_recover, op_recover_force, op_section_remove,
	enter_second, enter_timed_out, let_holder_go, sleeping_enterer;

#endif /* TESTS_KILL_SECTION_OPS_H */
