/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trees in a storm: processes of two threads each change two red-black trees, and are killed at
 * random. Each tree is under a section of its own, with its nodes in an arena of its own.
 *
 * A tx inserts, updates and removes some keys of one tree, or moves some from one tree to the other
 * inside of both sections; some tx are aborted. Each change is made in a plain copy too, in the
 * same tx: an array of what value each key has in each tree. TOKENS of the keys are only ever
 * moved, so each of them is in one tree and not in both.
 *
 * Who enters looks whether somebody's changes were undone since it was there last, and if so goes
 * through the whole tree: colours, black heights, order, parents, count and hash, the copy, and the
 * arena's figures. Others walk through the trees without entering, on a mapping that is read-only:
 * what they are told was whole must have the count and the hash that were made final with it.
 */
#include <errno.h>

#include "crowd.h"
#include "rbtree.h"

enum { KEYS = 160, TOKENS = 12, TREES = 2, TRIES = 16 };

enum mutant {
	/* the first ones are enum rb_fault */
	COPY_APART = RB_LEAK + 1,
	EARLY,     /* the tree is final before the copy */
	HALF_MOVE, /* a removal is final before its insertion */
	BLIND,     /* readers take for whole whatever they saw */
};
static const char *const mutant_names[] = {
	"none",       "unlogged-parent", "unlogged-red", "unlogged-hash", "unbalanced", "leak",
	"copy-apart", "early",           "half-move",    "blind",         NULL
};

struct pool {
	struct rb_head heads[TREES];
	uint64_t values[TREES][KEYS]; /* of key k in [k - 1]; 0: it is not there */
	uint64_t changes[TREES][BOOKS];
};

static const char *const section_names[TREES] = { "a", "b" };
static const char *const arena_names[TREES] = { "nodes-a", "nodes-b" };

/* A way to the region. */
struct view {
	struct tarn_region *region;
	struct tarn_section *sections[TREES];
	struct tarn_arena *arenas[TREES];
	struct pool *pool;
};

static struct view member, observer;

static uint64_t undone[BOOKS][TREES]; /* what a thread knows of, and one more */

static struct rb tree_of(int t, struct tarn_tx *tx)
{
	return (struct rb){ .head = &member.pool->heads[t],
			    .arena = member.arenas[t],
			    .tx = tx,
			    .fault = crowd->mutant <= RB_LEAK ? (enum rb_fault)crowd->mutant
							      : RB_SOUND };
}

/* --- what must hold ------------------------------------------------------------------------ */

static void check_tree(int t)
{
	struct rb rb = tree_of(t, NULL);
	const char *wrong = rb_check(&rb, member.pool->values[t], KEYS);

	if (wrong != NULL)
		crowd_violation(wrong, t, (int64_t)rb.head->count);
}

static void check_tokens(void)
{
	for (int key = 1; key <= TOKENS; key++)
		if ((member.pool->values[0][key - 1] != 0) ==
		    (member.pool->values[1][key - 1] != 0))
			crowd_violation("a key that is moved is in both trees or in none", key, 0);
}

/* Were changes undone, of this tree or of a tx that led over the other? */
static bool somebody_died(int n, int t)
{
	struct tarn_section_stat st;
	uint64_t sum = 1;

	for (int i = 0; i < TREES; i++) {
		crowd_must("stat", tarn_section_stat(member.sections[i], &st));
		sum += st.recover_count;
	}
	if (undone[n][t] == sum)
		return false;
	undone[n][t] = sum;
	return true;
}

static struct tarn_tx *enter(int n, int t)
{
	struct tarn_tx *tx = crowd_enter(member.sections[t]);

	if (somebody_died(n, t))
		check_tree(t);
	return tx;
}

/* --- changes: 1 done, 0 nothing to do, or an error ----------------------------------------- */

static void set_copy(struct tarn_tx *tx, int t, uint64_t key, uint64_t value)
{
	uint64_t *copy = &member.pool->values[t][key - 1];

	if (crowd->mutant == COPY_APART)
		*copy = value;
	else
		tarn_tx_set64(tx, copy, value);
}

/* A mutant's: what was done is final, what is to come is not. */
static void leave_and_enter(int leave, int again)
{
	crowd_must("leave", tarn_section_leave(member.sections[leave]));
	harness_sleep_us(50); /* time to die in */
	(void)crowd_enter(member.sections[again]);
}

static int change_key(int t, struct tarn_tx *tx, uint64_t draw)
{
	struct rb rb = tree_of(t, tx);
	uint64_t key = TOKENS + 1 + draw / 64 % (KEYS - TOKENS);
	uint64_t value = (draw & 7) < 3 ? 0 : draw | 1;
	int r;

	if (value == 0)
		r = rb_remove(&rb, key);
	else if (rb_find(&rb, key) != NULL)
		r = rb_update(&rb, key, value);
	else
		r = rb_insert(&rb, key, value);
	if (r <= 0)
		return r;
	if (crowd->mutant == EARLY)
		leave_and_enter(t, t);
	set_copy(tx, t, key, value);
	return 1;
}

static int move_key(struct tarn_tx *tx, uint64_t draw)
{
	uint64_t key = 1 + draw / 64 % (draw % 2 == 0 ? TOKENS : KEYS);
	int from = member.pool->values[0][key - 1] == 0, to = !from;
	uint64_t value = member.pool->values[from][key - 1];
	struct rb source = tree_of(from, tx), target = tree_of(to, tx);
	int r;

	if (value == 0 || member.pool->values[to][key - 1] != 0)
		return 0;
	r = rb_remove(&source, key);
	set_copy(tx, from, key, 0);
	if (r < 0)
		return r;
	if (crowd->mutant == HALF_MOVE) {
		crowd_must("leave", tarn_section_leave(member.sections[1]));
		leave_and_enter(0, 0);
		(void)crowd_enter(member.sections[1]);
	}
	r = rb_insert(&target, key, value);
	set_copy(tx, to, key, value);
	return r;
}

/* End the tx over @count sections, the last of them @t. @r: the error, or how much was done. */
static void end(int n, int t, int count, struct tarn_tx *tx, int r, bool in_vain)
{
	int book = count > 1 ? 0 : t;

	if (r < 0 && r != -ENOMEM)
		crowd_must("a change", r);
	if (r <= 0 || in_vain) {
		crowd_must("abort", tarn_section_abort(member.sections[t]));
		return;
	}
	tarn_tx_set64(tx, &member.pool->changes[book][n], member.pool->changes[book][n] + 1);
	crowd_begun(n);
	for (; count > 0; count--, t = 0)
		crowd_must("leave", tarn_section_leave(member.sections[t]));
	crowd_final(n);
}

static void change(int n, int t, uint64_t *seed)
{
	struct tarn_tx *tx = enter(n, t);
	uint64_t draw = storm_random(seed);
	int done = 0, r = 0;

	for (uint64_t i = 1 + draw % 4; i > 0 && r >= 0; i--) {
		r = change_key(t, tx, storm_random(seed));
		done += r > 0;
	}
	end(n, t, 1, tx, r < 0 ? r : done, draw / 4 % 8 == 0);
}

static void move(int n, uint64_t *seed)
{
	struct tarn_tx *tx = enter(n, 0);
	uint64_t draw = storm_random(seed);
	int done = 0, r = 0;

	(void)enter(n, 1);
	if (draw / 64 % 16 == 0)
		check_tokens();
	for (uint64_t i = 1 + draw % 3; i > 0 && r >= 0; i--) {
		r = move_key(tx, storm_random(seed));
		done += r > 0;
	}
	end(n, 1, 2, tx, r < 0 ? r : done, draw / 4 % 8 == 0);
}

/* Walk without entering, until a walk was whole, or some were not. */
static void look(int t)
{
	for (int i = 0; i < TRIES; i++) {
		const char *torn = NULL;
		int r = rb_look(observer.sections[t], observer.arenas[t], &observer.pool->heads[t],
				KEYS, crowd->mutant == BLIND, &torn);

		if (r < 0)
			crowd_must("look", r);
		if (r == 0)
			continue;
		if (torn != NULL)
			crowd_violation(torn, t, -1);
		atomic_fetch_add(&crowd->counted, 1);
		return;
	}
}

static void act(int n, uint64_t *seed)
{
	uint64_t draw = storm_random(seed), t = draw / 512 % TREES;

	if (draw % 512 == 0)
		crowd_must("trim",
			   tarn_arena_trim(member.arenas[t], member.sections[t],
					   tarn_deadline_after(INT64_C(60000000000)), NULL));
	else if (draw % 8 == 0)
		look((int)t);
	else if (draw % 8 < 3)
		move(n, seed);
	else
		change(n, (int)t, seed);
}

/* --- processes ----------------------------------------------------------------------------- */

static void open_view(struct view *view, const struct tarn_region_opts *opts)
{
	void *data;

	crowd_must("open", tarn_region_open(crowd->addr, opts, &view->region));
	for (int t = 0; t < TREES; t++) {
		crowd_must("section", tarn_section_open(view->region, section_names[t], NULL,
							&view->sections[t]));
		crowd_must("arena",
			   tarn_arena_open(view->region, arena_names[t], NULL, &view->arenas[t]));
	}
	crowd_must("pool", tarn_object_open(view->region, "pool", &data, NULL));
	view->pool = data;
}

static void close_view(struct view *view)
{
	for (int t = 0; t < TREES; t++) {
		tarn_arena_close(view->arenas[t]);
		tarn_section_close(view->sections[t]);
	}
	tarn_object_close(view->region, view->pool);
	tarn_region_close(view->region);
}

static void join(void)
{
	const struct tarn_region_opts look_on = { .flags = TARN_REGION_OBSERVE };

	open_view(&member, NULL);
	open_view(&observer, &look_on);
}

static void make(void)
{
	const struct tarn_region_opts opts = { .size = 256 << 10,
					       .max_size = 2 << 20,
					       .member_max = 32 };
	const struct tarn_section_opts journal = { .journal_size = 32 << 10 };
	struct tarn_arena_opts aopts = { .size = 4 << 10, .max_size = 32 << 10 };
	void *data;

	crowd_must("create", tarn_region_create(crowd->addr, &opts, &member.region));
	for (int t = 0; t < TREES; t++) {
		crowd_must("section", tarn_section_open(member.region, section_names[t], &journal,
							&member.sections[t]));
		aopts.section = member.sections[t];
		crowd_must("arena", tarn_arena_open(member.region, arena_names[t], &aopts,
						    &member.arenas[t]));
	}
	crowd_must("pool",
		   tarn_object_create(member.region, "pool", sizeof(*member.pool), &data, NULL));
	member.pool = data;
	for (uint64_t key = 1; key <= TOKENS; key++) {
		struct tarn_tx *tx = crowd_enter(member.sections[0]);
		struct rb rb = tree_of(0, tx);

		if (rb_insert(&rb, key, key) != 1)
			crowd_must("make", -EINVAL);
		tarn_tx_set64(tx, &member.pool->values[0][key - 1], key);
		crowd_must("leave", tarn_section_leave(member.sections[0]));
	}
	close_view(&member);
}

/* --- the account --------------------------------------------------------------------------- */

/* Everything is removed: then every byte is there, in one piece. */
static void clear(int t)
{
	struct tarn_arena_stat st;

	for (uint64_t key = 1; key <= KEYS; key++) {
		struct rb rb = tree_of(t, crowd_enter(member.sections[t]));

		if (rb_remove(&rb, key) < 0)
			crowd_violation("a removal", (int64_t)key, 0);
		set_copy(rb.tx, t, key, 0);
		if (key % 16 == 0)
			check_tree(t);
		crowd_must("leave", tarn_section_leave(member.sections[t]));
	}
	crowd_must("trim",
		   tarn_arena_trim(member.arenas[t], member.sections[t], TARN_FOREVER, NULL));
	crowd_must("stat", tarn_arena_stat(member.arenas[t], &st));
	if (st.used != 0 || st.extents != 1 || st.free != st.size || st.largest != st.size)
		crowd_violation("bytes are lost", (int64_t)st.used,
				(int64_t)(st.size - st.largest));
}

static uint64_t settle(void)
{
	uint64_t sum = 0;

	join();
	for (int t = 0; t < TREES; t++) {
		(void)crowd_enter(member.sections[t]);
		check_tree(t);
	}
	check_tokens();
	for (int n = 0; n < BOOKS; n++) {
		uint64_t changes = member.pool->changes[0][n] + member.pool->changes[1][n];

		crowd_book(n, changes);
		sum += changes;
	}
	for (int t = TREES; t > 0; t--)
		crowd_must("leave", tarn_section_leave(member.sections[t - 1]));
	crowd_check(member.region);
	if (crowd->counted == 0)
		crowd_violation("no reader ever saw a whole tree", 0, 0);
	for (int t = 0; t < TREES && crowd->log_count == 0; t++)
		clear(t);
	close_view(&observer);
	close_view(&member);
	return sum;
}

static const struct crowd_plan the_plan = {
	.name = "trees",
	.mutants = mutant_names,
	.counts = "whole looks",
	.make = make,
	.join = join,
	.act = act,
	.settle = settle,
};

int main(int argc, char **argv)
{
	return crowd_main(argc, argv, &the_plan);
}
