/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deadlock.c - would waiting close a circle?
 *
 * Within a region it cannot: threads wait only for sections that lie behind all they are inside
 * of, so following "waits for" leads ever further back and never home. Over several regions it
 * can. Then each thread of the circle is inside a section of one region and has written itself
 * down among the waiters of another. Who has slept once looks: beginning with itself it collects
 * the threads that wait for a thread already collected, over all regions that this process has
 * open; if that comes upon the owner it waits for, the circle is closed.
 *
 * Of mutexes and other primitives there is no such order, so circles of those are found within a
 * region, too, in the same way.
 *
 * Threads are told apart by thread id and a token that each has drawn, since they are other
 * members in other regions. What is found is looked at a second time a slice later, word for word,
 * before it counts: what is on its way from one section to another is no circle.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "sync/section.h"

enum { THREADS = 32 };

struct node {
	uint32_t tid;
	uint32_t token;
	int waits_for;                          /* the node before it; -1: this thread */
	char section[TARN_OBJECT_NAME_MAX + 1]; /* in which it waits */
};

struct graph {
	struct node nodes[THREADS];
	int count;
	int at; /* the one whose waiters are collected */
};

static bool same(const struct node *node, uint32_t tid, uint32_t token)
{
	return node->tid == tid && node->token == token && tid != 0 && token != 0;
}

static bool known(const struct graph *g, uint32_t tid, uint32_t token)
{
	for (int i = 0; i < g->count; i++)
		if (same(&g->nodes[i], tid, token))
			return true;
	return false;
}

static void owner_of(struct tarn_section *section, uint32_t *ret_tid, uint32_t *ret_token)
{
	/* relaxed: it is looked at twice */
	uint32_t seen = atomic_load_explicit(&section->shm->lock, memory_order_relaxed);

	*ret_tid = atomic_load_explicit(&section->shm->tid, memory_order_relaxed);
	*ret_token = atomic_load_explicit(&section->shm->token, memory_order_relaxed);
	if (!tarn__section_owned(section, seen))
		*ret_tid = *ret_token = 0;
}

/* Add those who wait for @section, which node @at is inside of, and are inside of something. */
static void add_waiters(struct graph *g, int at, struct tarn_section *section)
{
	for (int i = 0; i < TARN_SECTION_WAITERS && g->count < THREADS; i++) {
		struct waiter_shm *waiter = &section->shm->waiters[i];
		/* relaxed: as above */
		uint32_t id = atomic_load_explicit(&waiter->id, memory_order_relaxed);
		uint32_t tid = atomic_load_explicit(&waiter->tid, memory_order_relaxed);
		uint32_t token = atomic_load_explicit(&waiter->token, memory_order_relaxed);
		uint32_t inside = atomic_load_explicit(&waiter->inside, memory_order_relaxed);
		struct node *node = &g->nodes[g->count];

		if (id == 0 || token == 0 || inside == 0 || known(g, tid, token) ||
		    !tarn__member_alive(section->region, id))
			continue;
		node->tid = tid;
		node->token = token;
		node->waits_for = at;
		memcpy(node->section, section->name, sizeof(node->section));
		g->count++;
	}
}

/* All sections of @region that node @g->at is inside of. */
static void add_region(struct tarn_region *region, void *arg)
{
	struct graph *g = arg;
	struct tarn__object object;
	struct tarn_section section;
	struct entry entry;
	uint32_t tid, token;

	for (uint32_t i = 0; tarn__lock_next(region, &i, &object, &entry); i++) {
		if (tarn__lock_handle(region, &object, entry.kind, entry.name, &section, NULL) < 0)
			continue;
		owner_of(&section, &tid, &token);
		if (same(&g->nodes[g->at], tid, token))
			add_waiters(g, g->at, &section);
	}
}

/* The node that @section waits for, or -1. */
static int search(struct graph *g, struct tarn_section *section)
{
	uint32_t tid, token;

	owner_of(section, &tid, &token);
	g->nodes[0] =
		(struct node){ .tid = tarn__self.tid, .token = tarn__self.token, .waits_for = -1 };
	g->count = 1;
	for (g->at = 0; g->at < g->count; g->at++) {
		if (same(&g->nodes[g->at], tid, token))
			return g->at;
		tarn__regions_each(add_region, g);
	}
	return -1;
}

static void tell(const struct graph *g, int at, const struct tarn_section *section,
		 struct tarn_diag *diag)
{
	char text[200];
	size_t used;
	int n = snprintf(text, sizeof(text), "this thread waits in %s for thread %" PRIu32,
			 section->name, g->nodes[at].tid);

	for (; n > 0 && g->nodes[at].waits_for >= 0; at = g->nodes[at].waits_for) {
		int to = g->nodes[at].waits_for;

		used = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
		if (to == 0)
			n += snprintf(text + used, sizeof(text) - used,
				      ", which waits in %s for this one", g->nodes[at].section);
		else
			n += snprintf(text + used, sizeof(text) - used,
				      ", which waits in %s for thread %" PRIu32,
				      g->nodes[at].section, g->nodes[to].tid);
	}
	tarn__diag(diag, -EDEADLK, "%s", text);
	tarn__diag_hint(diag,
			"let go of what this thread has, and take locks in one order everywhere");
}

int tarn__section_deadlock(struct tarn_section *section, struct graph_seen *seen,
			   struct tarn_diag *diag)
{
	struct graph g;
	int at;

	if (!tarn__thread_holds())
		return 0; /* who is inside of nothing is waited for by nobody */
	at = search(&g, section);
	if (at < 0) {
		seen->sum = 0;
		return 0;
	}

	uint32_t sum =
		tarn__fnv32(g.nodes, (size_t)g.count * sizeof(g.nodes[0]), TARN__FNV32_BASIS) | 1;

	if (seen->sum != sum) {
		seen->sum = sum;
		return 0;
	}
	tell(&g, at, section, diag);
	return -EDEADLK;
}
