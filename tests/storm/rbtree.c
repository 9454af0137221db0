/* SPDX-License-Identifier: BSD-2-Clause */
/* rbtree.c - insertion and removal from the bottom up, with parents. See rbtree.h. */
#include <errno.h>
#include <string.h>

#include "crowd.h"
#include "rbtree.h"

enum { DEPTH_MAX = 64 };

/* The node at @ref; NULL for 0. */
static struct rb_node *node_at(const struct rb *rb, tarn_ref ref)
{
	struct rb_node *node = tarn_arena_at(rb->arena, ref, sizeof(*node));

	if (node == NULL && ref != 0)
		crowd_must("a tree leads astray", (int)(ref >> 12));
	return node;
}

static bool is_red(const struct rb *rb, tarn_ref ref)
{
	return ref != 0 && node_at(rb, ref)->red != 0;
}

static void set_red(const struct rb *rb, tarn_ref ref, uint32_t red)
{
	struct rb_node *node = node_at(rb, ref);

	if (node->red == red)
		return;
	if (rb->fault == RB_UNLOGGED_RED)
		node->red = red;
	else
		tarn_tx_set32(rb->tx, &node->red, red);
}

static void set_parent(const struct rb *rb, tarn_ref ref, tarn_ref parent)
{
	if (ref != 0)
		tarn_tx_set64(rb->tx, &node_at(rb, ref)->parent, parent);
}

static int side_of(const struct rb *rb, tarn_ref parent, tarn_ref child)
{
	return node_at(rb, parent)->child[1] == child;
}

/* The word that leads to @ref, whose parent is @parent. */
static tarn_ref *link_to(const struct rb *rb, tarn_ref parent, tarn_ref ref)
{
	if (parent == 0)
		return &rb->head->root;
	return &node_at(rb, parent)->child[side_of(rb, parent, ref)];
}

/* Splitmix64's mixing, so that no two contents have one sum by chance. */
static uint64_t mix(uint64_t key, uint64_t value)
{
	uint64_t state = key * 0x100000001b3u ^ value;

	return storm_random(&state);
}

static void count(const struct rb *rb, uint64_t nodes, uint64_t sum)
{
	if (nodes != 0)
		tarn_tx_set64(rb->tx, &rb->head->count, rb->head->count + nodes);
	if (rb->fault == RB_UNLOGGED_HASH)
		rb->head->hash += sum;
	else
		tarn_tx_set64(rb->tx, &rb->head->hash, rb->head->hash + sum);
}

struct rb_node *rb_find(const struct rb *rb, uint64_t key)
{
	struct rb_node *node = node_at(rb, rb->head->root);

	for (int depth = 0; node != NULL && node->key != key; depth++) {
		if (depth > DEPTH_MAX)
			crowd_must("a tree that does not end", depth);
		node = node_at(rb, node->child[node->key < key]);
	}
	return node;
}

/* @x goes down to side @side, its other child up. */
static void rotate(const struct rb *rb, tarn_ref x, int side)
{
	struct rb_node *down = node_at(rb, x);
	tarn_ref y = down->child[!side], parent = down->parent;
	struct rb_node *up = node_at(rb, y);
	tarn_ref between = up->child[side];

	tarn_tx_set64(rb->tx, link_to(rb, parent, x), y);
	tarn_tx_set64(rb->tx, &down->child[!side], between);
	set_parent(rb, between, x);
	tarn_tx_set64(rb->tx, &up->child[side], x);
	if (rb->fault == RB_UNLOGGED_PARENT)
		up->parent = parent;
	else
		set_parent(rb, y, parent);
	set_parent(rb, x, y);
}

/* --- insertion ----------------------------------------------------------------------------- */

static void mend_inserted(const struct rb *rb, tarn_ref x)
{
	tarn_ref parent;

	while (is_red(rb, parent = node_at(rb, x)->parent)) {
		tarn_ref grand = node_at(rb, parent)->parent;
		int side = side_of(rb, grand, parent);
		tarn_ref uncle = node_at(rb, grand)->child[!side];

		if (is_red(rb, uncle)) {
			set_red(rb, parent, 0);
			set_red(rb, uncle, 0);
			set_red(rb, grand, 1);
			x = grand;
			continue;
		}
		if (side_of(rb, parent, x) != side) {
			rotate(rb, parent, side);
			parent = x;
		}
		set_red(rb, parent, 0);
		set_red(rb, grand, 1);
		rotate(rb, grand, !side);
		break;
	}
	set_red(rb, rb->head->root, 0);
}

int rb_insert(struct rb *rb, uint64_t key, uint64_t value)
{
	tarn_ref parent = 0, ref, *link = &rb->head->root;
	int r;

	for (int depth = 0; *link != 0; depth++) {
		struct rb_node *node = node_at(rb, *link);

		if (depth > DEPTH_MAX)
			crowd_must("a tree that does not end", depth);
		if (node->key == key)
			return 0;
		parent = *link;
		link = &node->child[node->key < key];
	}
	r = tarn_arena_alloc(rb->arena, rb->tx, sizeof(struct rb_node), 0, 1, &ref);
	if (r < 0)
		return r;
	*node_at(rb, ref) =
		(struct rb_node){ .parent = parent, .key = key, .value = value, .red = 1 };
	tarn_tx_set64(rb->tx, link, ref);
	count(rb, 1, mix(key, value));
	mend_inserted(rb, ref);
	return 1;
}

int rb_update(struct rb *rb, uint64_t key, uint64_t value)
{
	struct rb_node *node = rb_find(rb, key);

	if (node == NULL)
		return 0;
	count(rb, 0, mix(key, value) - mix(key, node->value));
	tarn_tx_set64(rb->tx, &node->value, value);
	return 1;
}

/* --- removal ------------------------------------------------------------------------------- */

/* The subtree at @side of @parent lacks a black node: what its sibling, black, can do about it.
 * True: done. */
static bool mend_from_sibling(const struct rb *rb, tarn_ref parent, int side)
{
	tarn_ref sibling = node_at(rb, parent)->child[!side];
	const struct rb_node *node = node_at(rb, sibling);

	if (!is_red(rb, node->child[0]) && !is_red(rb, node->child[1])) {
		set_red(rb, sibling, 1);
		return false;
	}
	if (!is_red(rb, node->child[!side])) {
		set_red(rb, node->child[side], 0);
		set_red(rb, sibling, 1);
		rotate(rb, sibling, !side);
		sibling = node_at(rb, parent)->child[!side];
	}
	set_red(rb, sibling, node_at(rb, parent)->red);
	set_red(rb, parent, 0);
	set_red(rb, node_at(rb, sibling)->child[!side], 0);
	rotate(rb, parent, side);
	return true;
}

static void mend_removed(const struct rb *rb, tarn_ref parent, int side)
{
	while (parent != 0) {
		tarn_ref x = node_at(rb, parent)->child[side];
		tarn_ref sibling = node_at(rb, parent)->child[!side];

		if (is_red(rb, x)) {
			set_red(rb, x, 0);
			return;
		}
		if (is_red(rb, sibling)) {
			set_red(rb, sibling, 0);
			set_red(rb, parent, 1);
			rotate(rb, parent, side);
		}
		if (mend_from_sibling(rb, parent, side))
			return;
		if (is_red(rb, parent)) {
			set_red(rb, parent, 0);
			return;
		}
		x = parent;
		parent = node_at(rb, x)->parent;
		side = parent != 0 ? side_of(rb, parent, x) : 0;
	}
}

/* Take @x out, which has one child at most. */
static int unlink_node(const struct rb *rb, tarn_ref x)
{
	const struct rb_node *node = node_at(rb, x);
	tarn_ref child = node->child[node->child[0] == 0], parent = node->parent;
	int side = parent != 0 ? side_of(rb, parent, x) : 0;
	bool black = node->red == 0;

	tarn_tx_set64(rb->tx, link_to(rb, parent, x), child);
	set_parent(rb, child, parent);
	if (child != 0)
		set_red(rb, child, 0);
	else if (black && rb->fault != RB_UNBALANCED)
		mend_removed(rb, parent, side);
	if (rb->fault == RB_LEAK && x % 5 == 0)
		return 0;
	return tarn_arena_free(rb->arena, rb->tx, x);
}

int rb_remove(struct rb *rb, uint64_t key)
{
	struct rb_node *node = rb_find(rb, key);
	tarn_ref x;
	int r;

	if (node == NULL)
		return 0;
	count(rb, UINT64_MAX, 0 - mix(key, node->value));
	x = tarn_arena_ref(rb->arena, node);
	if (node->child[0] != 0 && node->child[1] != 0) { /* the next larger takes its place */
		const struct rb_node *next;

		for (x = node->child[1]; (next = node_at(rb, x))->child[0] != 0; x = next->child[0])
			;
		tarn_tx_set64(rb->tx, &node->key, next->key);
		tarn_tx_set64(rb->tx, &node->value, next->value);
	}
	r = unlink_node(rb, x);
	return r < 0 ? r : 1;
}

/* --- looking at all of it ------------------------------------------------------------------ */

struct walk {
	/* how to get at a node: false, it is not there */
	bool (*load)(void *from, tarn_ref ref, struct rb_node *ret_node);
	void *from;
	uint64_t last; /* key */
	uint64_t count;
	uint64_t hash;
	uint64_t count_max;
	const uint64_t *values; /* NULL: not known */
	const char *wrong;
};

static int wrong(struct walk *walk, const char *what)
{
	if (walk->wrong == NULL)
		walk->wrong = what;
	return -1;
}

static void meet(struct walk *walk, const struct rb_node *node)
{
	if (node->key <= walk->last)
		wrong(walk, "a tree is not in order");
	else if (walk->values != NULL && walk->values[node->key - 1] != node->value)
		wrong(walk, "a tree is not what the copy says");
	walk->last = node->key;
	walk->hash += mix(node->key, node->value);
}

/* The black height of the tree at @ref, or -1. */
static int go_through(struct walk *walk, tarn_ref ref, tarn_ref parent, bool under_red, int depth)
{
	struct rb_node node;
	int left, right;

	if (ref == 0)
		return 0;
	if (depth > DEPTH_MAX || ++walk->count > walk->count_max)
		return wrong(walk, "a tree that does not end");
	if (!walk->load(walk->from, ref, &node))
		return wrong(walk, "a tree leads astray");
	if (node.parent != parent)
		return wrong(walk, "a parent");
	if (node.red > 1 || (under_red && node.red != 0))
		return wrong(walk, "a red node under a red one");
	if (node.key == 0 || node.key > walk->count_max)
		return wrong(walk, "a key");
	left = go_through(walk, node.child[0], ref, node.red != 0, depth + 1);
	if (left < 0)
		return left;
	meet(walk, &node);
	right = go_through(walk, node.child[1], ref, node.red != 0, depth + 1);
	if (right < 0)
		return right;
	return left == right ? left + (node.red == 0) : wrong(walk, "black heights");
}

static const char *verdict(struct walk *walk, const struct rb_head *head)
{
	(void)go_through(walk, head->root, 0, true, 0);
	if (walk->wrong == NULL && walk->count != head->count)
		wrong(walk, "a count");
	if (walk->wrong == NULL && walk->hash != head->hash)
		wrong(walk, "a hash");
	return walk->wrong;
}

static bool load_inside(void *from, tarn_ref ref, struct rb_node *ret_node)
{
	const struct rb *rb = from;
	const struct rb_node *node = tarn_arena_at(rb->arena, ref, sizeof(*node));

	if (node != NULL)
		*ret_node = *node;
	return node != NULL;
}

const char *rb_check(const struct rb *rb, const uint64_t *values, uint64_t key_max)
{
	struct rb copy = *rb;
	struct walk walk = {
		.load = load_inside, .from = &copy, .count_max = key_max, .values = values
	};
	struct tarn_arena_stat st;
	uint64_t there = 0;

	if (verdict(&walk, rb->head) != NULL)
		return walk.wrong;
	for (uint64_t key = 1; key <= key_max; key++)
		there += values[key - 1] != 0;
	if (there != walk.count)
		return "a tree lacks what the copy has";
	if (tarn_arena_stat(rb->arena, &st) < 0 || st.used_count != walk.count)
		return "an arena has other blocks than the tree has nodes";
	return NULL;
}

/* --- without being inside ------------------------------------------------------------------ */

struct outside {
	struct tarn_section *section;
	struct tarn_arena *arena;
};

/* Any ref may come along here: it is asked where it leads, and then the copy is checked again. */
static bool load_outside(void *from, tarn_ref ref, struct rb_node *ret_node)
{
	const struct outside *outside = from;
	const void *at = tarn_arena_at(outside->arena, ref, sizeof(*ret_node));

	return at != NULL &&
	       tarn_section_load(outside->section, ret_node, at, sizeof(*ret_node)) == 0;
}

int rb_look(struct tarn_section *section, struct tarn_arena *arena, const struct rb_head *head,
	    uint64_t node_max, bool blind, const char **ret_torn)
{
	struct outside outside = { section, arena };
	struct walk walk = { .load = load_outside, .from = &outside, .count_max = node_max };
	struct rb_head seen;
	uint32_t version;
	int r = tarn_section_read_begin(section, &version);

	if (r == 0)
		r = tarn_section_load(section, &seen, head, sizeof(seen));
	if (r < 0)
		return r == -EAGAIN || r == -EOWNERDEAD ? 0 : r;
	(void)verdict(&walk, &seen);
	if (!blind && !tarn_section_read_valid(section, version))
		return 0;
	*ret_torn = walk.wrong;
	return 1;
}
