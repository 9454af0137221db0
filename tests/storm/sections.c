/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sections in a storm: processes of two threads each change two sorted lists in one region, and are
 * killed at random; exact accounts at the end.
 *
 * List a and the free nodes are under section "a", list b under section "b". A thread inserts,
 * removes, moves from one list to the other (both sections in one tx), changes and aborts, writes
 * more than the journal takes, and reads without entering. With each change, in the same tx, it
 * counts it in its own book, which lies in the region too: so that a change and its entry are there
 * together or not at all. Outside the region it says, before leaving, what it is about to make
 * final, and that it is final once leave has returned; so a death leaves a doubt of one change:
 *
 *   the lists' lengths are what all books together say; no node is in two lists, or in none
 *   no book lacks a change that leave had confirmed, or has one that was never begun
 */
#include <errno.h>

#include "crowd.h"

enum { NODES = 48, KEYS = 96 };

enum mutant { NO_MUTANT, UNLOGGED, BOOK_APART };
static const char *const mutant_names[] = { "none", "unlogged", "book-apart", NULL };

struct node {
	uint64_t next, key;
};

struct list {
	uint64_t head, count;
};

struct book {
	uint64_t changes;
	int64_t in_a, in_b; /* what they have added up to */
};

struct pool {
	struct list a, b;
	uint64_t free, free_count;
	struct book books[BOOKS];
	struct node nodes[NODES + 1];
};

static struct tarn_region *region;
static struct tarn_section *section_a, *section_b;
static struct pool *pool;

/* --- changing ------------------------------------------------------------------------------ */

static uint64_t *link_before(struct list *list, uint64_t key)
{
	uint64_t *link = &list->head;

	for (int steps = 0; *link != 0; steps++) {
		if (*link > NODES || steps > NODES)
			crowd_must("a list leads astray", (int)*link);
		if (pool->nodes[*link].key >= key)
			break;
		link = &pool->nodes[*link].next;
	}
	return link;
}

static bool insert(struct tarn_tx *tx, struct list *list, uint64_t key)
{
	uint64_t x = pool->free, *link = link_before(list, key);

	if (x == 0 || (*link != 0 && pool->nodes[*link].key == key))
		return false;
	tarn_tx_set64(tx, &pool->free, pool->nodes[x].next);
	tarn_tx_set64(tx, &pool->free_count, pool->free_count - 1);
	tarn_tx_set64(tx, &pool->nodes[x].key, key);
	tarn_tx_set64(tx, &pool->nodes[x].next, *link);
	if (crowd->mutant == UNLOGGED)
		*link = x;
	else
		tarn_tx_set64(tx, link, x);
	tarn_tx_set64(tx, &list->count, list->count + 1);
	return true;
}

static bool take_out(struct tarn_tx *tx, struct list *list, uint64_t key)
{
	uint64_t *link = link_before(list, key), x = *link;

	if (x == 0 || pool->nodes[x].key != key)
		return false;
	tarn_tx_set64(tx, link, pool->nodes[x].next);
	tarn_tx_set64(tx, &pool->nodes[x].next, pool->free);
	tarn_tx_set64(tx, &pool->free, x);
	tarn_tx_set64(tx, &pool->free_count, pool->free_count + 1);
	tarn_tx_set64(tx, &list->count, list->count - 1);
	return true;
}

static void write_book(struct tarn_tx *tx, struct book *book, int64_t a, int64_t b)
{
	struct book now = { book->changes + 1, book->in_a + a, book->in_b + b };

	if (crowd->mutant == BOOK_APART) {
		*book = now;
		harness_sleep_us(100); /* time to die in */
	} else {
		(void)tarn_tx_write(tx, book, &now, sizeof(now));
	}
}

static void finish(struct tarn_tx *tx, int n, int64_t a, int64_t b)
{
	write_book(tx, &pool->books[n], a, b);
	crowd_begun(n);
}

static void change_one(int n, uint64_t key, bool in)
{
	struct tarn_tx *tx = crowd_enter(section_a);
	bool done = in ? insert(tx, &pool->a, key) : take_out(tx, &pool->a, key);

	if (done)
		finish(tx, n, in ? 1 : -1, 0);
	crowd_must("leave", tarn_section_leave(section_a));
	if (done)
		crowd_final(n);
}

static void move(int n, uint64_t key, bool to_b)
{
	struct tarn_tx *tx = crowd_enter(section_a);
	bool done;

	(void)crowd_enter(section_b);
	if (to_b)
		done = take_out(tx, &pool->a, key) && insert(tx, &pool->b, key);
	else
		done = take_out(tx, &pool->b, key) && insert(tx, &pool->a, key);
	if (!done) { /* half of it may be */
		crowd_must("abort", tarn_section_abort(section_b));
		return;
	}
	finish(tx, n, to_b ? -1 : 1, to_b ? 1 : -1);
	crowd_must("leave", tarn_section_leave(section_b));
	crowd_must("leave", tarn_section_leave(section_a));
	crowd_final(n);
}

static void change_in_vain(uint64_t key)
{
	struct tarn_tx *tx = crowd_enter(section_a);

	(void)insert(tx, &pool->a, key);
	(void)take_out(tx, &pool->a, (key * 7) % KEYS + 1);
	crowd_must("abort", tarn_section_abort(section_a));
}

static void overflow(void)
{
	struct tarn_tx *tx = crowd_enter(section_b);
	int r = 0;

	for (int i = 0; i < 100 && r == 0; i++)
		r = tarn_tx_set64(tx, &pool->b.count, 1000);
	if (r != -ENOSPC)
		crowd_violation("overflow", r, -ENOSPC);
	if (tarn_section_leave(section_b) != -ENOSPC)
		crowd_violation("a tx that did not fit was kept", 0, 0);
}

static void look(void)
{
	struct list seen;
	int r = tarn_section_read(section_b, &seen, &pool->b, sizeof(seen),
				  tarn_deadline_after(INT64_C(60000000000)));

	crowd_must("read", r);
	if ((seen.head == 0) != (seen.count == 0) || seen.count > NODES)
		crowd_violation("a reader saw half a change", (int64_t)seen.head,
				(int64_t)seen.count);
	atomic_fetch_add(&crowd->counted, 1);
}

/* --- a process ----------------------------------------------------------------------------- */

static void act(int n, uint64_t *seed)
{
	uint64_t draw = storm_random(seed);
	uint64_t key = draw / 16 % KEYS + 1;

	switch (draw % 16) {
	case 0:
		change_in_vain(key);
		break;
	case 1:
		overflow();
		break;
	case 2:
	case 3:
		look();
		break;
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
		move(n, key, (draw & 1u << 20) != 0);
		break;
	default:
		change_one(n, key, (draw & 1u << 21) != 0);
	}
}

static void join(void)
{
	void *data;

	crowd_must("open", tarn_region_open(crowd->addr, NULL, &region));
	crowd_must("section a", tarn_section_open(region, "a", NULL, &section_a));
	crowd_must("section b", tarn_section_open(region, "b", NULL, &section_b));
	crowd_must("pool", tarn_object_open(region, "pool", &data, NULL));
	pool = data;
}

/* --- the account --------------------------------------------------------------------------- */

static int64_t length(const struct list *list, unsigned char *seen)
{
	int64_t count = 0;
	uint64_t last = 0;

	for (uint64_t x = list->head; x != 0; x = pool->nodes[x].next) {
		if (x > NODES || seen[x]++ != 0)
			return -1;
		if (pool->nodes[x].key <= last)
			crowd_violation("a list is not in order", (int64_t)x, (int64_t)last);
		last = pool->nodes[x].key;
		count++;
	}
	if ((uint64_t)count != list->count)
		crowd_violation("a list's length", count, (int64_t)list->count);
	return count;
}

static uint64_t settle(void)
{
	unsigned char seen[NODES + 1] = { 0 };
	int64_t a = 0, b = 0, in_a, in_b, unused = 0;
	uint64_t changes = 0;

	join();
	(void)crowd_enter(section_a);
	(void)crowd_enter(section_b);
	for (int i = 0; i < BOOKS; i++) {
		const struct book *book = &pool->books[i];

		crowd_book(i, book->changes);
		changes += book->changes;
		a += book->in_a;
		b += book->in_b;
	}
	in_a = length(&pool->a, seen);
	in_b = length(&pool->b, seen);
	for (uint64_t x = pool->free; x != 0 && x <= NODES && seen[x]++ == 0;
	     x = pool->nodes[x].next)
		unused++;
	if (in_a != a || in_b != b)
		crowd_violation("the lists are not what the books say", in_a - a, in_b - b);
	if (in_a + in_b + unused != NODES || pool->free_count != (uint64_t)unused)
		crowd_violation("nodes are lost", in_a + in_b, unused);
	crowd_must("leave", tarn_section_leave(section_b));
	crowd_must("leave", tarn_section_leave(section_a));
	crowd_check(region);
	tarn_section_close(section_a);
	tarn_section_close(section_b);
	tarn_object_close(region, pool);
	tarn_region_close(region);
	return changes;
}

static void make(void)
{
	const struct tarn_region_opts opts = { .size = 64 << 10, .member_max = 32 };
	const struct tarn_section_opts small = { .journal_size = 1024 };
	void *data;

	crowd_must("create", tarn_region_create(crowd->addr, &opts, &region));
	crowd_must("a", tarn_section_open(region, "a", &small, &section_a));
	crowd_must("b", tarn_section_open(region, "b", &small, &section_b));
	crowd_must("pool", tarn_object_create(region, "pool", sizeof(*pool), &data, NULL));
	pool = data;
	for (uint64_t x = 1; x <= NODES; x++)
		pool->nodes[x].next = x < NODES ? x + 1 : 0;
	pool->free = 1;
	pool->free_count = NODES;
	tarn_section_close(section_a);
	tarn_section_close(section_b);
	tarn_object_close(region, pool);
	tarn_region_close(region);
}

static const struct crowd_plan the_plan = {
	.name = "sections",
	.mutants = mutant_names,
	.counts = "reads",
	.make = make,
	.join = join,
	.act = act,
	.settle = settle,
};

int main(int argc, char **argv)
{
	return crowd_main(argc, argv, &the_plan);
}
