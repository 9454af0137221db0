/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * beacon.c - be woken by the kernel the moment a member dies.
 *
 * The thread that joins puts one word of its member page on its own robust list (see
 * get_robust_list(2)). When the thread ends, however it ends, the kernel finds its thread id in
 * that word, replaces it with FUTEX_OWNER_DIED and, if FUTEX_WAITERS is set, wakes one waiter,
 * who passes the wake on. Whoever waits for something that this member is to do sleeps on two
 * words at once: the thing and the beacon.
 *
 * The kernel wants a list node at a fixed distance behind the word, and a node holds pointers. So
 * the member maps its page a second time with a private page behind it:
 *
 *      pair                    pair + 4096            pair + 8192
 *       | member page, shared  | private              |
 *                   beacon[k] ^  ^ node { prev, next }
 *
 * The word lies in the last 16 bytes of the shared page, the node 24 to 40 bytes further on, in
 * private memory: a peer can neither read nor bend the pointers.
 *
 * It is an accelerator. It is absent where the C library is not glibc on a 64-bit machine (others
 * keep another list, or none), where pages are not 4096 bytes, and under emulators; and
 * it fires falsely when the thread that joined ends before its process. So a fired beacon only
 * makes the waiter look: the truth is the kernel's lock (member.c), and without a beacon a
 * waiter looks every SLICE_NS.
 *
 * Who writes what: the word, by the member (thread id), by waiters (FUTEX_WAITERS) and by the
 * kernel. A peer that scribbles over it costs speed, never safety: every sleep is a slice.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>

#include "region/region.h"

#define SLICE_NS        INT64_C(10000000)  /* without a beacon: the longest a death goes unseen */
#define SLICE_DYING_NS  INT64_C(50000)     /* the beacon fired, the lock is still held: at first */
#define SLICE_BEACON_NS INT64_C(100000000) /* with one: against a lost or stolen wake */

#if defined(__GLIBC__) && defined(__LP64__)

/* The calling thread's number in this process. Its id would not do: the kernel gives that of a
 * thread that has ended to another, whose list is another. */
static uint64_t this_thread(void)
{
	static _Atomic uint64_t last;
	static _Thread_local uint64_t number;

	if (number == 0) /* relaxed: only that no two are alike */
		number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	return number;
}

/* Two slots: prev at node[-1], next at node[0], as glibc lays them out for its own mutexes. */
static void list_insert(void **head, tarn__link *node)
{
	tarn__link *first = (tarn__link *)((uintptr_t)head[0] & ~(uintptr_t)1);

	node[0] = head[0];
	node[-1] = head - 1; /* glibc: &robust_prev, which stands before the head */
	first[-1] = node - 1;
	head[0] = node;
}

static void list_remove(tarn__link *node)
{
	tarn__link *next = (tarn__link *)((uintptr_t)node[0] & ~(uintptr_t)1);
	/* it leads to one word before its next */
	tarn__link *prev = (tarn__link *)((uintptr_t)node[-1] & ~(uintptr_t)1);

	next[-1] = node[-1];
	prev[1] = node[0];
}

/* The two pages; NULL if they cannot be had. */
static unsigned char *map_pair(struct tarn_region *region, unsigned char *page)
{
	enum { RW = PROT_READ | PROT_WRITE };
	uint64_t off = (uint64_t)(page - region->base);
	void *pair, *got;
	int r;

	if (tarn__plat_mmap(NULL, 2 * TARN__PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
			    &pair) < 0)
		return NULL;
	if (region->seg->fd >= 0)
		r = tarn__plat_mmap(pair, TARN__PAGE, RW, MAP_SHARED | MAP_FIXED, region->seg->fd,
				    off, &got);
	else
		r = tarn__plat_mirror(page, TARN__PAGE, pair);
	if (r == 0)
		r = tarn__plat_mmap((char *)pair + TARN__PAGE, TARN__PAGE, RW,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0, &got);
	if (r < 0) {
		tarn__plat_munmap(pair, 2 * TARN__PAGE);
		return NULL;
	}
	return pair;
}

void tarn__beacon_arm(struct tarn_region *region)
{
	struct tarn_plat_robust list;
	struct beacon *b = &region->beacon;
	_Atomic uint32_t *word = tarn__member_beacon(region, tarn__id_slot(region->id));
	unsigned char *page = (unsigned char *)word;

	page -= (uintptr_t)page % TARN__PAGE;
	atomic_store_explicit(word, 0, memory_order_relaxed); /* published by the slot's state */
	if (tarn__plat_page_size() != TARN__PAGE || region->seg->page_size != TARN__PAGE)
		return;
	if (tarn__plat_robust_list(&list) < 0 || list.offset > -24 || list.offset < -64 ||
	    list.offset % 8 != 0)
		return;
	b->pair = map_pair(region, page);
	if (b->pair == NULL)
		return;
	b->node = (tarn__link *)(void *)(b->pair + ((unsigned char *)word - page) - list.offset);
	b->head = list.head;
	b->thread = this_thread();
	/* The kernel also looks at the pending node, so a death between these lines counts.
	 * release: the compiler keeps the three stores in this order; the kernel sees them all */
	list.head[2] = b->node;
	/* By the mapping that the guard knows; the one in the pair is for the kernel alone. */
	atomic_store_explicit(word, (uint32_t)tarn__plat_tid(), memory_order_release);
	list_insert(list.head, b->node);
	list.head[2] = NULL;
}

void tarn__beacon_disarm(struct tarn_region *region)
{
	struct beacon *b = &region->beacon;
	void *got;

	if (b->pair == NULL)
		return;
	if (b->thread == this_thread()) {
		list_remove(b->node);
		tarn__plat_munmap(b->pair, 2 * TARN__PAGE);
	} else {
		/* The node is on another thread's list, which only that thread may change: leave
		 * the two pages to it, and put private memory where the shared page was. */
		(void)tarn__plat_mmap(b->pair, TARN__PAGE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0, &got);
	}
	memset(b, 0, sizeof(*b));
}

#else

void tarn__beacon_arm(struct tarn_region *region)
{
	/* relaxed: published by the slot's state */
	atomic_store_explicit(tarn__member_beacon(region, tarn__id_slot(region->id)), 0,
			      memory_order_relaxed);
}

void tarn__beacon_disarm(struct tarn_region *region)
{
	(void)region;
}

#endif

void tarn__beacon_forget(struct tarn_region *region)
{
	/* After fork() the child's list is empty, so nothing refers to the node. */
	if (region->beacon.pair != NULL)
		tarn__plat_munmap(region->beacon.pair, 2 * TARN__PAGE);
	memset(&region->beacon, 0, sizeof(region->beacon));
}

/* Say on @peer's beacon that somebody waits. The word to sleep on, or NULL if it has none. */
_Atomic uint32_t *tarn__beacon_watch(struct tarn_region *region, uint32_t peer, uint32_t *ret_value)
{
	uint32_t slot = tarn__id_slot(peer);

	if (peer == 0 || slot >= region->member_max || region->observer)
		return NULL;

	_Atomic uint32_t *word = tarn__member_beacon(region, slot);
	/* relaxed: the kernel compares the value again before it lets us sleep */
	uint32_t value = atomic_load_explicit(word, memory_order_relaxed);

	while ((value & FUTEX_TID_MASK) != 0 && (value & FUTEX_OWNER_DIED) == 0) {
		*ret_value = value | FUTEX_WAITERS;
		if (value == *ret_value ||
		    atomic_compare_exchange_weak_explicit(
			    word, &value, *ret_value, memory_order_relaxed, memory_order_relaxed))
			return word;
	}
	return NULL;
}

bool tarn__beacon_fired(struct tarn_region *region, uint32_t peer)
{
	uint32_t slot = tarn__id_slot(peer);

	/* relaxed: a hint; the truth is asked of the kernel's lock */
	return peer != 0 && slot < region->member_max &&
	       (atomic_load_explicit(tarn__member_beacon(region, slot), memory_order_relaxed) &
		FUTEX_OWNER_DIED) != 0;
}

/*
 * How long to sleep without a beacon. The kernel marks the beacon of a process that ends some time
 * before it drops the lock (its memory goes in between), so who looked in that moment looks
 * again soon, and then ever later, for it may be that only the thread has ended.
 */
int64_t tarn__beacon_slice(struct tarn_region *region, uint32_t peer, int64_t *slice)
{
	if (!tarn__beacon_fired(region, peer)) {
		*slice = 0;
		return SLICE_NS;
	}
	if (*slice == 0)
		*slice = SLICE_DYING_NS;
	else if (*slice < SLICE_NS)
		*slice *= 2;
	return *slice < SLICE_NS ? *slice : SLICE_NS;
}

/* The same for who waits for one thing at a time. */
static int64_t slice_of(struct tarn_region *region, uint32_t peer)
{
	static _Thread_local struct {
		const struct tarn_region *region;
		uint32_t peer;
		int64_t slice;
	} dying;

	if (dying.region != region || dying.peer != peer) {
		dying.region = region;
		dying.peer = peer;
		dying.slice = 0;
	}
	return tarn__beacon_slice(region, peer, &dying.slice);
}

int tarn__region_sleep(struct tarn_region *region, _Atomic uint32_t *word, uint32_t value,
		       uint32_t peer, int64_t deadline)
{
	static _Atomic uint32_t no_waitv; /* this kernel has no futex_waitv */
	uint32_t beacon_value = 0;
	int64_t now = tarn__plat_now();
	int r = -ENOSYS;

	if (now >= deadline)
		return -ETIMEDOUT;

	_Atomic uint32_t *beacon = NULL;

	/* relaxed: whoever misses it asks the kernel once more */
	if (atomic_load_explicit(&no_waitv, memory_order_relaxed) == 0)
		beacon = tarn__beacon_watch(region, peer, &beacon_value);
	if (beacon != NULL) {
		int64_t slice = now + SLICE_BEACON_NS;
		const struct tarn__futex both[] = { tarn__futex_of(word, value),
						    tarn__futex_of(beacon, beacon_value) };

		r = tarn__plat_futex_waitv(both, 2, slice < deadline ? slice : deadline);
		/* relaxed: a hint; the truth is asked of the kernel's lock */
		if ((atomic_load_explicit(beacon, memory_order_relaxed) & FUTEX_OWNER_DIED) != 0)
			(void)tarn__plat_futex_wake(beacon, 1);
		if (r == -ENOSYS)
			atomic_store_explicit(&no_waitv, 1, memory_order_relaxed);
	}
	if (r == -ENOSYS) {
		int64_t slice = now + slice_of(region, peer);

		r = tarn__plat_futex_wait(word, value, slice < deadline ? slice : deadline);
	}
	if (r == -EFAULT)
		r = -EIO; /* the file was truncated under the word */
	if (r == -EAGAIN || r == -ETIMEDOUT)
		r = 0; /* the caller looks again; the deadline is checked at the next sleep */
	return r;
}
