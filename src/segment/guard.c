/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard.c - the SIGBUS guard, and the list of mappings by which it knows its own.
 *
 * The list is a chain of chunks of slots that is only ever appended to: a signal handler may walk
 * it at any moment, in any thread. A slot is claimed by one thread (compare and exchange of
 * "taken"), then filled and emptied by it under a sequence number that is odd while the slot
 * changes; the handler skips what is odd or changed while it looked.
 *
 * Ordering:
 *   G0 -> G1  fill() has made the sequence odd    the handler sees it odd, or changed, if it saw
 *                                                 any store of this filling
 *   G2 -> G3  fill() is done                      the handler reads what was filled
 *   G4 -> G5  grow_list() links a chunk           whoever walks reads its zeroed slots
 *   G6 -> G7  release frees a slot                the next claimer fills it
 *   G8 -> G9  the guard stored the old handler    the handler calls it
 *
 * Invariant: while a thread accesses a mapping, its slot is stable, since the handle is not closed
 * under it; so a match is always right, and the segment it points to is alive.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "plat/plat.h"
#include "segment/parts.h"

enum { CHUNK_SLOTS = 64 };

struct tarn__watch {
	_Atomic uint32_t taken;
	_Atomic uint32_t seq;
	_Atomic uintptr_t base; /* 0: empty */
	_Atomic uintptr_t size;
	_Atomic uintptr_t page_size;
	_Atomic uintptr_t seg;
};

struct chunk {
	struct tarn__watch slots[CHUNK_SLOTS];
	_Atomic(struct chunk *) next;
};

static struct chunk first_chunk;

/* --- the list -------------------------------------------------------------------------------- */

static void fill(struct tarn__watch *slot, const struct tarn_segment *seg)
{
	/* relaxed: only the thread that has claimed the slot writes seq */
	uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);

	/* relaxed: G0 is carried by the release of each store that follows */
	atomic_store_explicit(&slot->seq, seq + 1, memory_order_relaxed);
	/* G0 -> G1 in copy_slot(), each of the four */
	atomic_store_explicit(&slot->base, seg != NULL ? (uintptr_t)seg->base : 0,
			      memory_order_release);
	atomic_store_explicit(&slot->size, seg != NULL ? (uintptr_t)seg->map_size : 0,
			      memory_order_release);
	atomic_store_explicit(&slot->page_size, seg != NULL ? seg->page_size : 0,
			      memory_order_release);
	atomic_store_explicit(&slot->seg, (uintptr_t)seg, memory_order_release);
	/* G2 -> G3 in copy_slot() */
	atomic_store_explicit(&slot->seq, seq + 2, memory_order_release);
}

static bool claim(struct tarn__watch *slot)
{
	uint32_t none = 0;

	/* G7 <- G6 in tarn__guard_remove(); relaxed on failure: nothing is read */
	return atomic_compare_exchange_strong_explicit(&slot->taken, &none, 1, memory_order_acquire,
						       memory_order_relaxed);
}

/* The chunk after @chunk, made if there is none. */
static struct chunk *next_chunk(struct chunk *chunk)
{
	struct chunk *none = NULL;
	/* G5 <- G4 below */
	struct chunk *next = atomic_load_explicit(&chunk->next, memory_order_acquire);

	if (next != NULL)
		return next;
	next = calloc(1, sizeof(*next));
	if (next == NULL)
		return NULL;
	/* G4 -> G5 above and in find(); on failure G5: another thread's chunk is used */
	if (atomic_compare_exchange_strong_explicit(&chunk->next, &none, next, memory_order_acq_rel,
						    memory_order_acquire))
		return next;
	free(next);
	return none;
}

int tarn__guard_add(struct tarn_segment *seg)
{
	for (struct chunk *chunk = &first_chunk; chunk != NULL; chunk = next_chunk(chunk))
		for (size_t i = 0; i < CHUNK_SLOTS; i++)
			if (claim(&chunk->slots[i])) {
				seg->watch = &chunk->slots[i];
				fill(seg->watch, seg);
				return 0;
			}
	return -ENOMEM;
}

void tarn__guard_remove(struct tarn_segment *seg)
{
	if (seg->watch == NULL)
		return;
	fill(seg->watch, NULL);
	/* G6 -> G7 in claim() */
	atomic_store_explicit(&seg->watch->taken, 0, memory_order_release);
	seg->watch = NULL;
}

void tarn__guard_resize(struct tarn_segment *seg)
{
	fill(seg->watch, seg);
}

/* --- the handler: only async-signal-safe calls from here on ---------------------------------- */

struct found {
	uintptr_t base;
	uintptr_t size;
	uintptr_t page_size;
	struct tarn_segment *seg;
};

static bool copy_slot(struct tarn__watch *slot, struct found *ret_found)
{
	/* G3 <- G2 in fill() */
	uint32_t seq = atomic_load_explicit(&slot->seq, memory_order_acquire);

	/* G1 <- G0 in fill(), each of the four */
	ret_found->base = atomic_load_explicit(&slot->base, memory_order_acquire);
	ret_found->size = atomic_load_explicit(&slot->size, memory_order_acquire);
	ret_found->page_size = atomic_load_explicit(&slot->page_size, memory_order_acquire);
	ret_found->seg =
		(struct tarn_segment *)atomic_load_explicit(&slot->seg, memory_order_acquire);
	/* relaxed: the loads above are acquires, so this one comes after them */
	return (seq & 1) == 0 && atomic_load_explicit(&slot->seq, memory_order_relaxed) == seq &&
	       ret_found->base != 0;
}

static bool find(uintptr_t addr, struct found *ret_found)
{
	struct chunk *chunk = &first_chunk;

	while (chunk != NULL) {
		for (size_t i = 0; i < CHUNK_SLOTS; i++)
			if (copy_slot(&chunk->slots[i], ret_found) && addr >= ret_found->base &&
			    addr - ret_found->base < ret_found->size)
				return true;
		/* G5 <- G4 in next_chunk() */
		chunk = atomic_load_explicit(&chunk->next, memory_order_acquire);
	}
	return false;
}

/* A zero page over the fault. */
static bool mend(uintptr_t addr)
{
	struct found found;
	void *page;

	if (!find(addr, &found))
		return false;
	addr &= ~(found.page_size - 1);
	if (tarn__plat_mmap((void *)addr, found.page_size,
			    found.seg->read_only ? PROT_READ : PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0,
			    &page) < 0)
		return false;
	/* relaxed: a count, read by tarn_segment_damaged() at leisure */
	atomic_fetch_add_explicit(&found.seg->fault_count, 1, memory_order_relaxed);
	return true;
}

static struct sigaction before; /* the handler that was there; constant once ours is installed */
static _Atomic bool installed;

/* As if this handler were not there. */
static void chain(int sig, siginfo_t *info, void *context)
{
	struct sigaction act;

	if ((before.sa_flags & SA_SIGINFO) != 0) {
		before.sa_sigaction(sig, info, context);
		return;
	}
	if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(sig);
		return;
	}
	/* somebody sent it, and it is ignored; a fault cannot be */
	if (before.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	memset(&act, 0, sizeof(act));
	act.sa_handler = SIG_DFL;
	(void)tarn__plat_sigaction(sig, &act, NULL);
	/* a fault happens again on return; what was sent has to be sent again */
	if (info->si_code <= 0)
		tarn__plat_raise(sig);
}

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	int err = errno;
	/* G9 <- G8 in tarn_segment_guard() */
	bool ready = atomic_load_explicit(&installed, memory_order_acquire);

	if (info->si_code == BUS_ADRERR && mend((uintptr_t)info->si_addr)) {
		errno = err;
		return;
	}
	errno = err;
	if (ready)
		chain(sig, info, context);
}

/* --- the public side ------------------------------------------------------------------------- */

static bool is_ours(const struct sigaction *act)
{
	return (act->sa_flags & SA_SIGINFO) != 0 && act->sa_sigaction == on_bus_error;
}

int tarn_segment_guard(void)
{
	struct sigaction old, act;
	int r = tarn__plat_sigaction(SIGBUS, NULL, &old);

	if (r < 0 || is_ours(&old))
		return r;
	/* Once installed and no longer on top, it is for the handler above to chain to it: to go on
	 * top again could make a ring of the two. */
	/* relaxed: only whether, and by calls that the program does not make at once */
	if (atomic_load_explicit(&installed, memory_order_relaxed) && old.sa_handler != SIG_DFL &&
	    old.sa_handler != SIG_IGN)
		return 0;
	before = old;
	/* G8 -> G9 in on_bus_error() */
	atomic_store_explicit(&installed, true, memory_order_release);
	memset(&act, 0, sizeof(act));
	act.sa_sigaction = on_bus_error;
	/* the old handler runs inside this one, with what it wanted blocked */
	act.sa_mask = old.sa_mask;
	act.sa_flags = SA_SIGINFO | SA_ONSTACK | (old.sa_flags & SA_RESTART);
	return tarn__plat_sigaction(SIGBUS, &act, NULL);
}

bool tarn_segment_damaged(const struct tarn_segment *seg)
{
	/* relaxed: a count made by this thread's own faults, or another's at leisure */
	return atomic_load_explicit(&((struct tarn_segment *)(uintptr_t)seg)->fault_count,
				    memory_order_relaxed) != 0;
}

int tarn__guard_check(const struct tarn_segment *seg)
{
	return tarn_segment_damaged(seg) ? -EIO : 0;
}
