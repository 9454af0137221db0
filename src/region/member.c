/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * member.c - who is here, and who is alive.
 *
 * A member owns a slot as long as it holds the kernel's write lock on byte LOCK_BASE + slot, taken
 * on an open file description of its own (region->live_fd). The lock is taken before the slot says
 * anything, and dropped by the kernel when the last descriptor of that description closes: at
 * death, at exec (close-on-exec), at close. A forked child closes its copy in the atfork handler
 * (fork.c), so it does not keep its parent alive.
 *
 * Who writes what: all of a slot, the member that holds its lock; beacons: see beacon.c.
 *
 * Ordering:
 *   M1 -> M2  join() stores the slot's state last   readers see who and beacon complete
 *
 * Invariants:
 *   I1  a slot's state is 0, or this slot's id with any generation
 *   I2  hold bits beyond object_max are 0
 *
 * After a crash: the lock is gone, the slot still says live. It counts as dead from that moment on
 * for everybody who asks. The next joiner, or tarn_region_gc(), takes the lock, clears the holds
 * and goes on to the next generation; killed in between, it leaves a dead slot again.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/trace.h"

static uint64_t lock_byte(uint32_t slot)
{
	return TARN__LOCK_BASE + slot;
}

struct member_shm *tarn__member_at(const struct tarn_region *region, uint32_t slot)
{
	return &region->members[slot / TARN__PAGE_MEMBERS].member[slot % TARN__PAGE_MEMBERS];
}

_Atomic uint32_t *tarn__member_beacon(const struct tarn_region *region, uint32_t slot)
{
	return &region->members[slot / TARN__PAGE_MEMBERS].beacon[slot % TARN__PAGE_MEMBERS];
}

static uint32_t state_of(const struct tarn_region *region, uint32_t slot)
{
	/* M2 <- M1 in occupy() */
	return atomic_load_explicit(&tarn__member_at(region, slot)->state, memory_order_acquire);
}

/* Does somebody else hold the lock of @slot? An error of the kernel's counts as yes: to take a
 * live member for dead would be worse than to wait for a dead one. */
static bool slot_locked(struct tarn_region *region, uint32_t slot)
{
	int fd = region->live_fd;

	if (fd < 0)
		fd = region->lock_fd >= 0 ? region->lock_fd : region->seg->fd;
	return fd < 0 || tarn__plat_locked(fd, lock_byte(slot)) != 0;
}

bool tarn__member_alive(struct tarn_region *region, uint32_t id)
{
	uint32_t slot = tarn__id_slot(id);
	uint32_t live = id | TARN__ID_FLAG;

	if (slot >= region->member_max)
		return false;
	if ((id | TARN__ID_FLAG) == (region->id | TARN__ID_FLAG) && region->id != 0)
		return true;
	if (state_of(region, slot) != live || !slot_locked(region, slot))
		return false;
	return state_of(region, slot) == live; /* the lock may be a successor's */
}

bool tarn__member_others(struct tarn_region *region)
{
	for (uint32_t slot = 0; slot < region->member_max; slot++) {
		if (region->id != 0 && slot == tarn__id_slot(region->id))
			continue;
		/* Not by state: one that holds the lock is about to be a member. */
		if (slot_locked(region, slot))
			return true;
	}
	return false;
}

bool tarn__member_staying(struct tarn_region *region)
{
	enum { LOOKS = 200 };

	for (uint32_t slot = 0; slot < region->member_max; slot++) {
		if (region->id != 0 && slot == tarn__id_slot(region->id))
			continue;
		/* One that holds its lock and is not live is just coming or just going, which takes
		 * two calls; who is stopped in between counts as staying. */
		for (int i = 0; slot_locked(region, slot); i++) {
			if ((state_of(region, slot) & TARN__ID_FLAG) != 0 || i == LOOKS)
				return true;
			tarn__plat_yield();
		}
	}
	return false;
}

static void clear_holds(struct member_shm *member)
{
	/* relaxed: nobody counts the holds of a slot before its state says live */
	for (uint32_t i = 0; i < TARN__OBJECTS_MAX / 32; i++)
		if (atomic_load_explicit(&member->holds[i], memory_order_relaxed) != 0)
			atomic_store_explicit(&member->holds[i], 0, memory_order_relaxed);
}

/* First of all, once the lock of a dead member's slot is held: that lock would make it seem alive.
 * A free slot whose holds are not cleared yet does no harm, since only a live one's count. */
static void unmark(struct tarn_region *region, struct member_shm *member, uint32_t state)
{
	/* release: nothing is read with it, but it is done before what follows */
	atomic_store_explicit(&member->state, state & ~TARN__ID_FLAG, memory_order_release);
	if ((state & TARN__ID_FLAG) != 0)
		tarn__count_also(&region->super->deaths);
}

static void write_who(struct member_shm *member)
{
	struct member_who who = { .joined_ns = tarn__plat_realtime(),
				  .pid = (uint32_t)tarn__plat_pid(),
				  .uid = tarn__plat_euid() };
	uint32_t words[TARN__WHO_WORDS];

	ssize_t n = tarn__plat_read_text("/proc/self/comm", who.comm, sizeof(who.comm));

	if (n > 0 && who.comm[n - 1] == '\n')
		who.comm[n - 1] = '\0';
	memcpy(words, &who, sizeof(words));
	for (uint32_t i = 0; i < TARN__WHO_WORDS; i++) /* relaxed: M1 publishes them */
		atomic_store_explicit(&member->who[i], words[i], memory_order_relaxed);
}

/* The slot of @id, who is dead and was @who, is freed. */
static void say_dead(struct tarn_region *region, uint32_t id, const struct tarn_member_stat *who)
{
	tarn__trace_log(region, TARN_TRACE_DEATH, NULL, id & ~TARN__ID_FLAG, (uint32_t)who->pid,
			who->comm);
}

static void say_joined(struct tarn_region *region)
{
	struct tarn_member_stat who;

	tarn__member_read(region, tarn__id_slot(region->id), &who);
	tarn__trace_log(region, TARN_TRACE_JOIN, NULL, (uint32_t)who.pid, 0, who.comm);
}

/* The lock of @slot is ours: make it this handle's. */
static void occupy(struct tarn_region *region, uint32_t slot)
{
	struct member_shm *member = tarn__member_at(region, slot);
	/* relaxed: only the holder of the lock writes it */
	uint32_t old = atomic_load_explicit(&member->state, memory_order_relaxed);
	bool traced = tarn__trace_is_on(region) && !region->forked;
	struct tarn_member_stat who;

	if (traced)
		tarn__member_read(region, slot, &who);
	unmark(region, member, old);
	clear_holds(member);
	write_who(member);
	region->id = tarn__id_of(slot, tarn__id_generation(old) + 1);
	region->me = member;
	tarn__beacon_arm(region);
	/* M1 -> M2 in state_of() */
	atomic_store_explicit(&member->state, region->id | TARN__ID_FLAG, memory_order_release);
	if (traced && (old & TARN__ID_FLAG) != 0)
		say_dead(region, old, &who);
	if (traced)
		say_joined(region);
}

int tarn__member_join(struct tarn_region *region, struct tarn_diag *diag)
{
	/* relaxed: a hint that spreads joiners, and generations, over the slots */
	uint32_t start =
		atomic_fetch_add_explicit(&region->super->next_slot, 1, memory_order_relaxed);

	/* First those that say they are free, then those that may be dead. */
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < region->member_max; i++) {
			uint32_t slot = (start % region->member_max + i) % region->member_max;
			bool marked = (state_of(region, slot) & TARN__ID_FLAG) != 0;

			if (marked != (pass == 1))
				continue;

			int r = tarn__plat_lock(region->live_fd, lock_byte(slot));

			if (r == -EAGAIN)
				continue;
			if (r < 0)
				return tarn__diag(diag, r, "locking member slot %" PRIu32 ": %s",
						  slot, strerror(-r));
			occupy(region, slot);
			return 0;
		}
	}
	tarn__diag(diag, -EUSERS, "all %" PRIu32 " member slots are held by live processes",
		   region->member_max);
	tarn__diag_hint(diag, "close one, or create the region with a larger member_max");
	return -EUSERS;
}

void tarn__member_leave(struct tarn_region *region)
{
	if (region->id == 0)
		return;
	tarn__trace(region, TARN_TRACE_LEAVE, NULL, 0, 0);
	clear_holds(region->me);
	tarn__beacon_disarm(region);
	/* The generation stays, for the next one to count on.
	 * release: whoever sees the slot free sees its holds gone */
	atomic_store_explicit(&region->me->state, region->id, memory_order_release);
	(void)tarn__plat_unlock(region->live_fd, lock_byte(tarn__id_slot(region->id)));
	region->id = 0;
	region->me = NULL;
}

uint32_t tarn__member_reap(struct tarn_region *region)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < region->member_max; slot++) {
		struct member_shm *member = tarn__member_at(region, slot);
		uint32_t state = state_of(region, slot);

		if ((state & TARN__ID_FLAG) == 0 || slot == tarn__id_slot(region->id) ||
		    tarn__plat_lock(region->live_fd, lock_byte(slot)) < 0)
			continue;
		/* relaxed: ours while we hold its lock */
		state = atomic_load_explicit(&member->state, memory_order_relaxed);
		if ((state & TARN__ID_FLAG) != 0) {
			struct tarn_member_stat who;

			tarn__member_read(region, slot, &who);
			unmark(region, member, state);
			clear_holds(member);
			count++;
			if (tarn__trace_is_on(region))
				say_dead(region, state, &who);
		}
		(void)tarn__plat_unlock(region->live_fd, lock_byte(slot));
	}
	return count;
}

void tarn__member_read(const struct tarn_region *region, uint32_t slot,
		       struct tarn_member_stat *ret_stat)
{
	struct member_shm *member = tarn__member_at(region, slot);
	uint32_t words[TARN__WHO_WORDS];
	struct member_who who;

	for (uint32_t i = 0; i < TARN__WHO_WORDS; i++) /* relaxed: for the eye */
		words[i] = atomic_load_explicit(&member->who[i], memory_order_relaxed);
	memcpy(&who, words, sizeof(who));
	memset(ret_stat, 0, sizeof(*ret_stat));
	ret_stat->slot = slot;
	ret_stat->generation = tarn__id_generation(state_of(region, slot));
	ret_stat->pid = (int32_t)who.pid;
	ret_stat->uid = who.uid;
	ret_stat->joined_ns = who.joined_ns;
	memcpy(ret_stat->comm, who.comm, sizeof(ret_stat->comm) - 1);
	ret_stat->self = region->id != 0 && slot == tarn__id_slot(region->id);
}

int tarn_region_members(struct tarn_region *region,
			int (*fn)(const struct tarn_member_stat *stat, void *arg), void *arg)
{
	int back, r = tarn__region_enter(region);

	if (r < 0)
		return r;
	for (uint32_t slot = 0; slot < region->member_max && r == 0; slot++) {
		struct tarn_member_stat stat;
		uint32_t state = state_of(region, slot);

		if ((state & TARN__ID_FLAG) == 0)
			continue;
		tarn__member_read(region, slot, &stat);
		stat.alive = tarn__member_alive(region, state);
		tarn__region_leave(region);
		r = fn(&stat, arg);
		back = tarn__region_enter(region);
		if (back < 0)
			return r != 0 ? r : back;
	}
	tarn__region_leave(region);
	return r;
}

/* --- calls --------------------------------------------------------------------------------- */

/* A child of fork() has the mapping, not the membership. */
static int rejoin(struct tarn_region *region)
{
	int r;

	tarn__beacon_forget(region);
	r = tarn__region_become_member(region, NULL);
	if (r < 0)
		return r;
	tarn__object_rehold(region);
	region->forked = false;
	if (tarn__trace_is_on(region)) /* not before what is logged to is held */
		say_joined(region);
	return 0;
}

int tarn__region_enter(struct tarn_region *region)
{
	int r = 0;

	pthread_mutex_lock(&region->mutex);
	if (TARN__UNLIKELY(tarn_segment_damaged(region->seg)))
		r = -EIO;
	else if (TARN__UNLIKELY(region->forked))
		r = rejoin(region);
	if (r < 0)
		pthread_mutex_unlock(&region->mutex);
	return r;
}

void tarn__region_enter_to_leave(struct tarn_region *region)
{
	pthread_mutex_lock(&region->mutex);
}

int tarn__region_enter_member(struct tarn_region *region)
{
	return region->observer ? -EPERM : tarn__region_enter(region);
}

void tarn__region_leave(struct tarn_region *region)
{
	pthread_mutex_unlock(&region->mutex);
}
