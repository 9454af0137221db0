/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arenas in a storm: processes of two threads each change a sorted list and a hash table, whose
 * nodes and values they allocate from an arena that grows and is trimmed; they are killed at
 * random, and at the end everything must agree to the byte.
 *
 * Beside them, in the same tx, each change is made in a plain copy: an array that says for each key
 * whether it is in the list, and of what size and filling its value in the table is. So at any time
 * the structs must say what the copy says, and the arena must have what the structs need, and
 * nothing else. Each thread counts its changes in the region, in the same tx, and outside of it
 * what it began and what leave has confirmed: a death leaves a doubt of one change.
 *
 * Some tx are aborted half way, after blocks were freed, allocated again and stored over.
 */
#include <errno.h>

#include <tarn/arena.h>

#include "crowd.h"

enum { KEYS = 120, BUCKETS = 16 };

enum mutant { NO_MUTANT, UNLOGGED, LEAK, COPY_APART };
static const char *const mutant_names[] = { "none", "unlogged", "leak", "copy-apart", NULL };

struct node {
	tarn_ref next;
	uint64_t key;
	tarn_ref value; /* in the table */
	uint32_t size;
	uint32_t fill;
};

struct copy {
	uint8_t listed;
	uint8_t pad[3];
	uint32_t size; /* of the value; 0: not in the table */
	uint32_t fill;
};

struct pool {
	tarn_ref list;
	tarn_ref buckets[BUCKETS];
	struct copy copies[KEYS];
	uint64_t changes[BOOKS];
};

static struct tarn_region *region;
static struct tarn_section *section;
static struct tarn_arena *arena;
static struct pool *pool;

static struct node *node_at(tarn_ref ref)
{
	struct node *node = tarn_arena_at(arena, ref, sizeof(*node));

	if (node == NULL)
		crowd_must("a ref leads astray", (int)(ref >> 12));
	return node;
}

static tarn_ref *link_before(tarn_ref *head, uint64_t key)
{
	tarn_ref *link = head;

	for (int steps = 0; *link != 0; steps++) {
		if (steps > KEYS)
			crowd_must("a list that does not end", steps);
		if (node_at(*link)->key >= key)
			break;
		link = &node_at(*link)->next;
	}
	return link;
}

static struct node *found(tarn_ref *link, uint64_t key)
{
	return *link != 0 && node_at(*link)->key == key ? node_at(*link) : NULL;
}

static void set_link(struct tarn_tx *tx, tarn_ref *link, tarn_ref to)
{
	if (crowd->mutant == UNLOGGED)
		*link = to;
	else
		tarn_tx_set64(tx, link, to);
}

/* A new node before *@link; its words are nobody else's yet, so they are stored plainly. */
static int add_node(struct tarn_tx *tx, tarn_ref *link, uint64_t key, struct node **ret_node)
{
	tarn_ref ref;
	int r = tarn_arena_alloc(arena, tx, sizeof(struct node), 0, 1, &ref);

	if (r < 0)
		return r;
	*ret_node = node_at(ref);
	**ret_node = (struct node){ .next = *link, .key = key };
	set_link(tx, link, ref);
	return 0;
}

static int drop_node(struct tarn_tx *tx, tarn_ref *link)
{
	tarn_ref ref = *link;
	const struct node *node = node_at(ref);
	int r = node->value != 0 ? tarn_arena_free(arena, tx, node->value) : 0;

	set_link(tx, link, node->next);
	if (crowd->mutant == LEAK && ref % 5 == 0)
		return r;
	return r == 0 ? tarn_arena_free(arena, tx, ref) : r;
}

/* --- changes: 1 done, 0 nothing to do, or an error ------------------------------------------ */

static int toggle_listed(struct tarn_tx *tx, uint64_t key)
{
	tarn_ref *link = link_before(&pool->list, key);
	struct node *node = found(link, key);
	int r = node != NULL ? drop_node(tx, link) : add_node(tx, link, key, &node);

	if (r == 0)
		r = tarn_tx_set8(tx, &pool->copies[key - 1].listed, !pool->copies[key - 1].listed);
	return r < 0 ? r : 1;
}

static void fill_value(tarn_ref ref, uint32_t size, uint32_t fill)
{
	unsigned char *p = tarn_arena_at(arena, ref, size);

	for (uint32_t i = 0; i < size; i += i < 64 ? 1 : 97)
		p[i] = (unsigned char)(fill + i);
}

static bool value_filled(tarn_ref ref, uint32_t size, uint32_t fill)
{
	const unsigned char *p = tarn_arena_at(arena, ref, size);

	for (uint32_t i = 0; p != NULL && i < size; i += i < 64 ? 1 : 97)
		if (p[i] != (unsigned char)(fill + i))
			return false;
	return p != NULL;
}

/* A value of another size, in a new block; the old one is freed before or after. */
static int new_value(struct tarn_tx *tx, struct node *node, uint32_t size, uint32_t fill,
		     bool free_first)
{
	tarn_ref old = node->value, ref = 0;
	int r = free_first ? tarn_arena_free(arena, tx, old) : 0;

	if (r == 0)
		r = tarn_arena_alloc(arena, tx, size, 0, 2, &ref);
	if (r < 0)
		return r;
	fill_value(ref, size, fill);
	if (!free_first)
		r = tarn_arena_free(arena, tx, old);
	tarn_tx_set64(tx, &node->value, ref);
	tarn_tx_set32(tx, &node->size, size);
	tarn_tx_set32(tx, &node->fill, fill);
	return r;
}

static int set_value(struct tarn_tx *tx, uint64_t key, uint32_t size, uint32_t fill, bool first)
{
	tarn_ref *link = link_before(&pool->buckets[key % BUCKETS], key);
	struct node *node = found(link, key);
	struct copy now = { .listed = pool->copies[key - 1].listed, .size = size, .fill = fill };
	int r = 0;

	if (size == 0 && node == NULL)
		return 0;
	if (size == 0) {
		r = drop_node(tx, link);
		now.fill = 0;
	} else {
		if (node == NULL)
			r = add_node(tx, link, key, &node);
		if (r == 0)
			r = new_value(tx, node, size, fill, first);
	}
	if (r < 0)
		return r;
	if (crowd->mutant == COPY_APART)
		pool->copies[key - 1] = now;
	else
		r = tarn_tx_write(tx, &pool->copies[key - 1], &now, sizeof(now));
	return r < 0 ? r : 1;
}

static int resize_value(struct tarn_tx *tx, uint64_t key, uint32_t size)
{
	struct node *node = found(link_before(&pool->buckets[key % BUCKETS], key), key);
	tarn_ref ref;
	int r;

	if (node == NULL || size > node->size || size == 0)
		return 0;
	r = tarn_arena_realloc(arena, tx, node->value, size, 0, &ref);
	if (r < 0)
		return r;
	tarn_tx_set64(tx, &node->value, ref);
	tarn_tx_set32(tx, &node->size, size);
	r = tarn_tx_set32(tx, &pool->copies[key - 1].size, size);
	return r < 0 ? r : 1;
}

static uint32_t draw_size(uint64_t draw)
{
	if (draw % 5 == 0)
		return 0;
	return 1 + (uint32_t)(draw >> 8) % (draw % 7 == 0 ? 30000 : 500);
}

/* One to four changes in one tx; now and then undone. */
static void change(int n, uint64_t *seed)
{
	struct tarn_tx *tx = crowd_enter(section);
	uint64_t draw = storm_random(seed);
	int done = 0, r = 0;

	for (uint64_t i = 1 + draw % 4; i > 0 && r >= 0; i--) {
		uint64_t what = storm_random(seed), key = what / 64 % KEYS + 1;

		if (what % 4 == 0)
			r = toggle_listed(tx, key);
		else if (what % 4 == 1)
			r = resize_value(tx, key, draw_size(storm_random(seed)));
		else
			r = set_value(tx, key, draw_size(storm_random(seed)), (uint32_t)what,
				      what % 8 == 3);
		done += r > 0;
	}
	if (r == -ENOMEM || r == -ENOSPC)
		atomic_fetch_add(&crowd->counted, 1);
	else if (r < 0)
		crowd_must("a change", r);
	if (r < 0 || done == 0 || draw / 4 % 8 == 0) {
		crowd_must("abort", tarn_section_abort(section));
		return;
	}
	tarn_tx_set64(tx, &pool->changes[n], pool->changes[n] + 1);
	crowd_begun(n);
	r = tarn_section_leave(section);
	if (r == -ENOSPC)
		crowd_must("a store was refused and nobody noticed", r);
	crowd_must("leave", r);
	crowd_final(n);
}

static void act(int n, uint64_t *seed)
{
	if (storm_random(seed) % 200 == 0)
		crowd_must("trim",
			   tarn_arena_trim(arena, section,
					   tarn_deadline_after(INT64_C(60000000000)), NULL));
	else
		change(n, seed);
}

/* --- the region ----------------------------------------------------------------------------- */

static void join(void)
{
	void *data;

	crowd_must("open", tarn_region_open(crowd->addr, NULL, &region));
	crowd_must("section", tarn_section_open(region, "s", NULL, &section));
	crowd_must("arena", tarn_arena_open(region, "arena", NULL, &arena));
	crowd_must("pool", tarn_object_open(region, "pool", &data, NULL));
	pool = data;
}

static void part(void)
{
	tarn_arena_close(arena);
	tarn_section_close(section);
	tarn_object_close(region, pool);
	tarn_region_close(region);
}

static void make(void)
{
	const struct tarn_region_opts opts = { .size = 256 << 10,
					       .max_size = 6 << 20,
					       .member_max = 32 };
	const struct tarn_section_opts journal = { .journal_size = 64 << 10 };
	struct tarn_arena_opts aopts = { .size = 64 << 10, .max_size = 320 << 10 };
	void *data;

	crowd_must("create", tarn_region_create(crowd->addr, &opts, &region));
	crowd_must("section", tarn_section_open(region, "s", &journal, &section));
	aopts.section = section;
	crowd_must("arena", tarn_arena_open(region, "arena", &aopts, &arena));
	crowd_must("pool", tarn_object_create(region, "pool", sizeof(*pool), &data, NULL));
	pool = data;
	part();
}

/* --- the account --------------------------------------------------------------------------- */

static uint64_t bytes_of(tarn_ref ref)
{
	uint64_t size = 0;

	if (tarn_arena_usable_size(arena, ref, &size) < 0)
		crowd_violation("a block is not there", (int64_t)ref, 0);
	return size;
}

/* Does the list say what the copy says? Bytes that it needs. */
static uint64_t settle_list(void)
{
	uint64_t bytes = 0, last = 0;
	bool seen[KEYS + 1] = { false };

	for (tarn_ref ref = pool->list; ref != 0; ref = node_at(ref)->next) {
		uint64_t key = node_at(ref)->key;

		if (key <= last || key > KEYS) {
			crowd_violation("the list is not in order", (int64_t)key, (int64_t)last);
			return bytes;
		}
		seen[key] = true;
		last = key;
		bytes += bytes_of(ref);
	}
	for (int key = 1; key <= KEYS; key++)
		if (seen[key] != (pool->copies[key - 1].listed != 0))
			crowd_violation("the list is not what the copy says", key, seen[key]);
	return bytes;
}

static uint64_t settle_table(void)
{
	uint64_t bytes = 0;

	for (uint64_t key = 1; key <= KEYS; key++) {
		const struct copy *copy = &pool->copies[key - 1];
		tarn_ref *link = link_before(&pool->buckets[key % BUCKETS], key);
		const struct node *node = found(link, key);

		if ((node != NULL) != (copy->size != 0)) {
			crowd_violation("the table is not what the copy says", (int64_t)key,
					copy->size);
			continue;
		}
		if (node == NULL)
			continue;
		if (node->size != copy->size || node->fill != copy->fill ||
		    !value_filled(node->value, node->size, node->fill))
			crowd_violation("a value is not what the copy says", (int64_t)key,
					copy->size);
		bytes += bytes_of(*link) + bytes_of(node->value);
	}
	return bytes;
}

/* Everything is freed: then every byte is there, in one piece. */
static void free_all(void)
{
	struct tarn_arena_stat st;

	for (int i = -1; i < BUCKETS; i++) {
		tarn_ref *head = i < 0 ? &pool->list : &pool->buckets[i];

		while (*head != 0) {
			struct tarn_tx *tx = crowd_enter(section);

			crowd_must("free", drop_node(tx, head));
			crowd_must("leave", tarn_section_leave(section));
		}
	}
	crowd_must("trim", tarn_arena_trim(arena, section, TARN_FOREVER, NULL));
	crowd_must("stat", tarn_arena_stat(arena, &st));
	if (st.used != 0 || st.extents != 1 || st.free != st.size || st.largest != st.size)
		crowd_violation("bytes are lost", (int64_t)st.used,
				(int64_t)(st.size - st.largest));
}

static uint64_t settle(void)
{
	struct tarn_arena_stat st;
	uint64_t bytes, changes = 0;

	join();
	(void)crowd_enter(section);
	for (int i = 0; i < BOOKS; i++) {
		crowd_book(i, pool->changes[i]);
		changes += pool->changes[i];
	}
	bytes = settle_list() + settle_table();
	crowd_must("stat", tarn_arena_stat(arena, &st));
	if (st.used != bytes)
		crowd_violation("the arena has other bytes than the structs need", (int64_t)st.used,
				(int64_t)bytes);
	crowd_must("leave", tarn_section_leave(section));
	crowd_check(region);
	if (crowd->log_count == 0)
		free_all();
	part();
	return changes;
}

static const struct crowd_plan the_plan = {
	.name = "arenas",
	.mutants = mutant_names,
	.counts = "times full",
	.make = make,
	.join = join,
	.act = act,
	.settle = settle,
};

int main(int argc, char **argv)
{
	return crowd_main(argc, argv, &the_plan);
}
