/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork.c - what becomes of handles in a child of fork().
 *
 * The child inherits the mapping, which is wanted, and the descriptor that carries the parent's
 * liveness lock, which would keep the parent alive in everybody's eyes for as long as the child
 * lives. So in the child each handle's live_fd is closed at once, before fork() returns, and the
 * handle is marked: its next call joins anew (member.c). Handles of the layers above are told
 * too, so that they claim their roles anew.
 *
 * All regions of a process are in one list under one lock. The prepare handler takes that lock and
 * every region's mutex, so that the child finds no handle in the middle of a call.
 *
 * A parent that is killed after the child exists and before the child's handler has run counts as
 * alive for that moment; no system offers descriptors that fork() does not copy.
 *
 * A child made with clone() or _Fork(), which run no handlers, keeps the parent's lock until it
 * execs or exits; it must not call on the handle.
 */
#include <errno.h>

#include "region/region.h"

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;
static int handlers_result;
static struct tarn_region *list;
static struct tarn__forkable *others; /* of no region */

static void before_fork(void)
{
	pthread_mutex_lock(&list_mutex);
	for (struct tarn_region *r = list; r != NULL; r = r->next)
		pthread_mutex_lock(&r->mutex);
}

static void in_parent(void)
{
	for (struct tarn_region *r = list; r != NULL; r = r->next)
		pthread_mutex_unlock(&r->mutex);
	pthread_mutex_unlock(&list_mutex);
}

static void in_child(void)
{
	for (struct tarn_region *r = list; r != NULL; r = r->next) {
		/* Locked by a thread that has another id here, so it cannot be unlocked. */
		(void)tarn__region_init_mutex(r);
		if (r->id == 0)
			continue;
		tarn__plat_close(r->live_fd);
		r->live_fd = -1;
		r->id = 0;
		r->me = NULL;
		r->forked = true;
		for (struct tarn__forkable *f = r->forkables; f != NULL; f = f->next)
			f->forked(f);
	}
	for (struct tarn__forkable *f = others; f != NULL; f = f->next)
		f->forked(f);
	pthread_mutex_unlock(&list_mutex);
}

static void install(void)
{
	handlers_result = -pthread_atfork(before_fork, in_parent, in_child);
}

int tarn__fork_watch(struct tarn_region *region)
{
	pthread_once(&handlers_once, install);
	if (handlers_result < 0)
		return handlers_result;
	pthread_mutex_lock(&list_mutex);
	region->next = list;
	list = region;
	pthread_mutex_unlock(&list_mutex);
	return 0;
}

void tarn__fork_unwatch(struct tarn_region *region)
{
	pthread_mutex_lock(&list_mutex);
	for (struct tarn_region **p = &list; *p != NULL; p = &(*p)->next) {
		if (*p == region) {
			*p = region->next;
			break;
		}
	}
	pthread_mutex_unlock(&list_mutex);
}

void tarn__regions_each(void (*fn)(struct tarn_region *region, void *arg), void *arg)
{
	pthread_mutex_lock(&list_mutex);
	for (struct tarn_region *r = list; r != NULL; r = r->next)
		fn(r, arg);
	pthread_mutex_unlock(&list_mutex);
}

static void add(struct tarn__forkable **items, struct tarn__forkable *item)
{
	item->next = *items;
	*items = item;
}

static void drop(struct tarn__forkable **items, const struct tarn__forkable *item)
{
	while (*items != NULL && *items != item)
		items = &(*items)->next;
	if (*items != NULL)
		*items = item->next;
}

void tarn__fork_add(struct tarn_region *region, struct tarn__forkable *item)
{
	add(&region->forkables, item);
}

void tarn__fork_remove(struct tarn_region *region, struct tarn__forkable *item)
{
	drop(&region->forkables, item);
}

int tarn__fork_add_other(struct tarn__forkable *item)
{
	pthread_once(&handlers_once, install);
	if (handlers_result < 0)
		return handlers_result;
	pthread_mutex_lock(&list_mutex);
	add(&others, item);
	pthread_mutex_unlock(&list_mutex);
	return 0;
}

void tarn__fork_remove_other(struct tarn__forkable *item)
{
	pthread_mutex_lock(&list_mutex);
	drop(&others, item);
	pthread_mutex_unlock(&list_mutex);
}
