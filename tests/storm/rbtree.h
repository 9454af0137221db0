/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rbtree.h - a red-black tree in shared memory, changed inside a section, its nodes from an arena.
 *
 * Nothing in it knows of death: each store is a logged one of the caller's tx. It is here because
 * one insertion or removal changes a dozen words in half a dozen nodes, so that what a lost or
 * half-done store leaves is seen at once by rb_check().
 *
 * The head has the count of the nodes, and a hash of what is in them, kept in the same tx: a reader
 * that never entered can tell by them whether what it walked through was ever there.
 */
#ifndef TESTS_STORM_RBTREE_H
#define TESTS_STORM_RBTREE_H

#include <tarn/arena.h>

struct rb_node {
	tarn_ref child[2]; /* smaller, larger */
	tarn_ref parent;
	uint64_t key;
	uint64_t value;
	uint32_t red;
	uint32_t pad;
};

struct rb_head {
	tarn_ref root;
	uint64_t count;
	uint64_t hash;
};

/* Faults of a program that uses sections, for the storm to find. */
enum rb_fault {
	RB_SOUND,
	RB_UNLOGGED_PARENT, /* a rotation forgets to log one parent */
	RB_UNLOGGED_RED,    /* colours are stored without a log */
	RB_UNLOGGED_HASH,
	RB_UNBALANCED, /* a removal forgets to mend the tree */
	RB_LEAK,       /* a removal forgets the block, now and then */
};

/* One thread's way into a tree; @tx while it is inside of the arena's section. */
struct rb {
	struct rb_head *head;
	struct tarn_arena *arena;
	struct tarn_tx *tx;
	enum rb_fault fault;
};

/* The node of @key, or NULL. */
struct rb_node *rb_find(const struct rb *rb, uint64_t key);
/* 1; 0 where the key is there already, or is not there; or the arena's error. */
int rb_insert(struct rb *rb, uint64_t key, uint64_t value);
int rb_update(struct rb *rb, uint64_t key, uint64_t value);
int rb_remove(struct rb *rb, uint64_t key);

/* What is wrong with the tree, or NULL: colours, black heights, order, parents, count, hash, and
 * that it has what @values says: of key k in [k - 1], 0 for none; @key_max of them. */
const char *rb_check(const struct rb *rb, const uint64_t *values, uint64_t key_max);

/* Walk without being inside, with @section of a region that may be read-only. 1: it was a version
 * that was made final, and whole; 0: it changed meanwhile; or an error. @blind: do not ask whether
 * it changed. In *@ret_torn what was wrong with a version that is said to be whole. */
int rb_look(struct tarn_section *section, struct tarn_arena *arena, const struct rb_head *head,
	    uint64_t node_max, bool blind, const char **ret_torn);

#endif /* TESTS_STORM_RBTREE_H */
