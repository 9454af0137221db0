/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prim.c - every operation on a mutex, on semaphores and on single words (atomic_ops.c), killed at
 * each instruction, and with a living peer asleep on the other side.
 *
 * The mutex guards two words, which are equal whenever nobody is in the middle of changing them. A
 * survivor that gets it with 0 must find them equal; with -EOWNERDEAD it may not, and mends them.
 * Of a semaphore the survivor takes every permit that there is, and counts.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tarn/lock.h>
#include <tarn/mutex.h>
#include <tarn/sem.h>

#include "atomic_ops.h"
#include "plat/plat.h"
#include "survivor.h"
#include "sync/prim.h"

enum {
	OBJECTS = 5, /* keep, pool, mutex, counted, owned */
	PERMITS = 3,
};

struct pool {
	_Atomic uint64_t a, b;
};

/* In the page that all processes of a sweep share. */
struct state {
	_Atomic int32_t peer;      /* its process id */
	_Atomic uint32_t finished; /* it has done its work */
	_Atomic uint32_t ready;    /* it may fall asleep */
	struct survivor_holder holder;
};

static const struct tarn_mutex_opts normal, recursive = { .type = TARN_MUTEX_RECURSIVE };
static const struct tarn_sem_opts two = { .value = 2 };
static const struct tarn_sem_opts three = { .value = PERMITS, .flags = TARN_SEM_OWNED };

static struct tarn_region *region;
static struct tarn_mutex *mutex;
static struct tarn_sem *counted, *owned;
static struct pool *pool;

static struct state *state_of(const struct kill_world *world)
{
	return world->shared;
}

/* --- worlds before ------------------------------------------------------------------------- */

static int without_prims(struct kill_world *world, struct harness_report *report)
{
	void *data;
	int r = survivor_create(world, 0, &region, report);

	if (r == 0)
		r = survivor_keep(region, report);
	if (r == 0)
		r = tarn_object_create(region, "pool", sizeof(*pool), &data, NULL);
	if (r < 0)
		return r;
	pool = data;
	return 0;
}

static int make(struct kill_world *world, const struct tarn_mutex_opts *opts,
		struct harness_report *report)
{
	int r = without_prims(world, report);

	if (r == 0)
		r = tarn_mutex_open(region, "mutex", opts, &mutex);
	if (r == 0)
		r = tarn_sem_open(region, "counted", &two, &counted);
	if (r == 0)
		r = tarn_sem_open(region, "owned", &three, &owned);
	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

static int with_prims(struct kill_world *world, struct harness_report *report)
{
	return make(world, &normal, report);
}

static int with_recursive(struct kill_world *world, struct harness_report *report)
{
	return make(world, &recursive, report);
}

/* Its owner has died in the middle. */
static int left_locked(struct kill_world *world, struct harness_report *report)
{
	int r = make(world, &normal, report);

	if (r == 0)
		r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
	if (r == 0)
		atomic_store(&pool->a, 7);
	return r;
}

static int take_permits(void)
{
	int r = 0;

	for (int i = 0; i < PERMITS && r == 0; i++)
		r = tarn_sem_wait(owned, TARN_FOREVER, NULL);
	return r;
}

static int left_taken(struct kill_world *world, struct harness_report *report)
{
	int r = make(world, &normal, report);

	return r == 0 ? take_permits() : r;
}

static int nothing_posted(struct kill_world *world, struct harness_report *report)
{
	int r = make(world, &normal, report);

	for (int i = 0; i < 2 && r == 0; i++)
		r = tarn_sem_try(counted, NULL);
	return r;
}

/* --- prepare ------------------------------------------------------------------------------- */

static int join(struct kill_world *world, struct harness_report *report)
{
	void *data;

	if (survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	if (tarn_object_open(region, "pool", &data, NULL) < 0)
		return harness_say(report, KILL_VIOLATION, "the pool is gone");
	pool = data;
	return 0;
}

static int ready(struct kill_world *world, struct harness_report *report)
{
	int r = region == NULL ? join(world, report) : 0;

	if (r == 0 && mutex == NULL)
		r = tarn_mutex_open(region, "mutex", NULL, &mutex);
	if (r == 0 && counted == NULL)
		r = tarn_sem_open(region, "counted", NULL, &counted);
	if (r == 0 && owned == NULL)
		r = tarn_sem_open(region, "owned", NULL, &owned);
	return r < 0 ? survivor_say(report, "open", r, NULL) : 0;
}

/* The thread's first call is behind it. */
static int prepared(struct kill_world *world, struct harness_report *report)
{
	int r = ready(world, report);

	return r == 0 ? tarn__thread_begin() : r;
}

static int half_way(struct kill_world *world, struct harness_report *report)
{
	int r = prepared(world, report);

	if (r == 0)
		r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
	if (r == 0)
		atomic_store(&pool->a, 7);
	return r;
}

/* Until the peer sleeps. */
static int beside_sleeper(struct kill_world *world)
{
	struct state *st = state_of(world);

	atomic_store(&st->ready, 1);
	(void)tarn__plat_futex_wake(&st->ready, 1);
	for (int i = 0; i < 20000; i++) {
		struct tarn_lock_stat on_mutex, on_owned;

		if (tarn_lock_stat(region, "mutex", &on_mutex, NULL, 0) < 0 ||
		    tarn_lock_stat(region, "owned", &on_owned, NULL, 0) < 0)
			return -1;
		if (on_mutex.wait_count + on_owned.wait_count > 0)
			return harness_await_futex(atomic_load(&st->peer), 5000) ? 0 : -1;
		harness_sleep_us(100);
	}
	return -1;
}

static int half_way_beside(struct kill_world *world, struct harness_report *report)
{
	int r = half_way(world, report);

	return r == 0 ? beside_sleeper(world) : r;
}

static int permits_beside(struct kill_world *world, struct harness_report *report)
{
	int r = prepared(world, report);

	if (r == 0)
		r = take_permits();
	return r == 0 ? beside_sleeper(world) : r;
}

/* Who is stepped through takes longer to fall asleep than a sleep lasts. */
static int patient(struct kill_world *world, struct harness_report *report)
{
	tarn__section_net_ns = INT64_C(5000000000);
	return prepared(world, report);
}

/* Another process has the mutex, and is in the middle; it puts back what there was. */
static int lock_half(struct kill_world *world, struct harness_report *report)
{
	int r = ready(world, report);

	if (r == 0)
		r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
	if (r == 0)
		atomic_store(&pool->a, 7);
	return r;
}

static int unlock_as_before(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	atomic_store(&pool->a, 0);
	return tarn_mutex_unlock(mutex);
}

static int beside_locker(struct kill_world *world, struct harness_report *report)
{
	struct survivor_holder *holder = &state_of(world)->holder;
	int r = survivor_beside(world, holder, lock_half, unlock_as_before, report);

	return r == 0 ? prepared(world, report) : r;
}

/* --- operations ---------------------------------------------------------------------------- */

#define OP(name) static int name(struct kill_world *world, struct harness_report *report)

OP(make_mutex)
{
	(void)world, (void)report;
	return tarn_mutex_open(region, "mutex", &normal, &mutex);
}

OP(make_sem)
{
	(void)world, (void)report;
	return tarn_sem_open(region, "owned", &three, &owned);
}

static void change(uint64_t to)
{
	atomic_store(&pool->a, to);
	atomic_store(&pool->b, to);
}

OP(lock_change_unlock)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r == 0 && atomic_load(&pool->a) != atomic_load(&pool->b))
		r = -EBADMSG;
	if (r < 0)
		return r;
	change(1);
	return tarn_mutex_unlock(mutex);
}

OP(try_change_unlock)
{
	int r = tarn_mutex_try(mutex, NULL);

	(void)world, (void)report;
	if (r < 0)
		return r;
	change(1);
	return tarn_mutex_unlock(mutex);
}

OP(lock_twice)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	(void)world, (void)report;
	atomic_store(&pool->a, 1);
	if (r == 0)
		r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
	if (r == 0)
		r = tarn_mutex_unlock(mutex);
	atomic_store(&pool->b, 1);
	return r == 0 ? tarn_mutex_unlock(mutex) : r;
}

OP(lock_and_mend)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r != -EOWNERDEAD)
		return -1;
	change(1);
	r = tarn_mutex_consistent(mutex);
	return r == 0 ? tarn_mutex_unlock(mutex) : r;
}

OP(lock_and_leave_it)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r == -EOWNERDEAD ? tarn_mutex_unlock(mutex) : -1;
}

OP(close_locked)
{
	(void)world, (void)report;
	tarn_mutex_close(mutex);
	return 0;
}

OP(change_on_and_unlock)
{
	(void)world, (void)report;
	change(1);
	return tarn_mutex_unlock(mutex);
}

OP(remove_mutex)
{
	(void)world, (void)report;
	return tarn_object_remove(region, "mutex");
}

OP(wait_counted)
{
	(void)world, (void)report;
	return tarn_sem_wait(counted, TARN_FOREVER, NULL);
}

OP(post_counted)
{
	(void)world, (void)report;
	return tarn_sem_post(counted);
}

OP(wait_in_vain)
{
	(void)world, (void)report;
	return tarn_sem_wait(counted, tarn_deadline_after(1000000), NULL);
}

OP(wait_and_post_owned)
{
	int r = tarn_sem_wait(owned, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r == 0 ? tarn_sem_post(owned) : r;
}

OP(post_owned)
{
	(void)world, (void)report;
	return tarn_sem_post(owned);
}

/* While the operation sleeps. */
OP(post_for_it)
{
	int r = ready(world, report);

	return r == 0 ? tarn_sem_post(counted) : r;
}

OP(let_holder_go)
{
	return survivor_let_go(&state_of(world)->holder, report);
}

/* --- peers --------------------------------------------------------------------------------- */

static int fall_asleep(struct kill_world *world, struct harness_report *report)
{
	struct state *st = state_of(world);

	atomic_store(&st->finished, 0);
	atomic_store(&st->ready, 0);
	atomic_store(&st->peer, (int32_t)tarn__plat_pid());
	if (ready(world, report) < 0)
		return KILL_VIOLATION;
	while (atomic_load(&st->ready) == 0)
		(void)tarn__plat_futex_wait(&st->ready, 0, TARN_FOREVER);
	return 0;
}

OP(sleeping_locker)
{
	int r = fall_asleep(world, report);

	if (r == 0)
		r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
	if (r == 0 && atomic_load(&pool->a) != atomic_load(&pool->b))
		return harness_say(report, KILL_VIOLATION, "half changed, and nobody says so");
	if (r == -EOWNERDEAD) {
		change(0);
		r = tarn_mutex_consistent(mutex);
	}
	atomic_store(&state_of(world)->finished, 1);
	return r == 0 ? tarn_mutex_unlock(mutex) : survivor_say(report, "lock", r, NULL);
}

OP(sleeping_waiter)
{
	int r = fall_asleep(world, report);

	if (r == 0)
		r = tarn_sem_wait(owned, TARN_FOREVER, NULL);
	atomic_store(&state_of(world)->finished, 1);
	return r == 0 ? tarn_sem_post(owned) : survivor_say(report, "wait", r, NULL);
}

/* --- survivors ----------------------------------------------------------------------------- */

static int64_t patience(void)
{
	return tarn_deadline_after(INT64_C(5000000000));
}

/* The mutex, with what it guards: 0, 1 as the two words say; 2: mended, nobody knows. */
static int look_at_mutex(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r = tarn_mutex_lock(mutex, patience(), &diag), outcome;

	if (r == 0 && atomic_load(&pool->a) != atomic_load(&pool->b))
		return harness_say(report, KILL_VIOLATION, "half changed, and nobody says so");
	outcome = r == 0 ? (int)atomic_load(&pool->a) : 2;
	if (r == -EOWNERDEAD) {
		change(0);
		r = tarn_mutex_consistent(mutex);
	}
	if (r == 0)
		r = tarn_mutex_unlock(mutex);
	if (r == 0)
		r = tarn_mutex_lock(mutex, patience(), &diag);
	if (r == 0)
		r = tarn_mutex_unlock(mutex);
	return r < 0 ? survivor_say(report, "mutex", r, &diag) : outcome;
}

/* Every permit of the owned one can be had; how many the counted one has. */
static int look_at_sems(struct harness_report *report)
{
	int count = 0, r = 0;

	for (int i = 0; i < PERMITS && r == 0; i++)
		r = tarn_sem_wait(owned, patience(), NULL);
	if (r == 0 && tarn_sem_try(owned, NULL) != -EAGAIN)
		return harness_say(report, KILL_VIOLATION, "there is a permit too many");
	for (int i = 0; i < PERMITS && r == 0; i++)
		r = tarn_sem_post(owned);
	if (r < 0)
		return survivor_say(report, "owned semaphore", r, NULL);
	while (tarn_sem_try(counted, NULL) == 0)
		count++;
	for (int i = 0; i < 2 && r == 0; i++)
		r = tarn_sem_post(counted);
	for (int i = 0; i < 2 && r == 0; i++)
		r = tarn_sem_wait(counted, patience(), NULL);
	return r < 0 ? survivor_say(report, "counted semaphore", r, NULL) : count;
}

static int wind_up(struct kill_world *world, int outcome, struct harness_report *report)
{
	if (survivor_check(region, report) < 0 || survivor_kept(region, report) < 0)
		return KILL_VIOLATION;
	tarn_mutex_close(mutex);
	tarn_sem_close(counted);
	tarn_sem_close(owned);
	tarn_object_close(region, pool);
	if (survivor_whole(world, region, OBJECTS, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	return outcome;
}

static int look(struct kill_world *world, int *ret_mutex, int *ret_count,
		struct harness_report *report)
{
	survivor_await_end(&state_of(world)->holder);
	if (ready(world, report) < 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	*ret_mutex = look_at_mutex(report);
	*ret_count = *ret_mutex < 0 ? *ret_mutex : look_at_sems(report);
	return *ret_count < 0 ? KILL_VIOLATION : 0;
}

/* 0: as before, or in the middle, and it was said; 1: changed. */
OP(check_changed)
{
	int found, count;

	if (look(world, &found, &count, report) < 0)
		return KILL_VIOLATION;
	if (count != 2)
		return harness_say(report, KILL_VIOLATION, "%d permits", count);
	return wind_up(world, found == 1, report);
}

/* Everybody is told until somebody mends it. */
OP(check_told)
{
	int found, count;

	if (look(world, &found, &count, report) < 0)
		return KILL_VIOLATION;
	if (found != 2)
		return harness_say(report, KILL_VIOLATION, "nobody was told of the death");
	return wind_up(world, 0, report);
}

/* Told, or mended. */
OP(check_mended)
{
	int found, count;

	if (look(world, &found, &count, report) < 0)
		return KILL_VIOLATION;
	if (found == 0)
		return harness_say(report, KILL_VIOLATION, "neither mended nor told");
	return wind_up(world, found == 1, report);
}

static int permits(struct kill_world *world, int before, int after, struct harness_report *report)
{
	int found, count;

	if (look(world, &found, &count, report) < 0)
		return KILL_VIOLATION;
	if (found != 0 || (count != before && count != after))
		return harness_say(report, KILL_VIOLATION, "%d permits; the mutex says %d", count,
				   found);
	return wind_up(world, count == after && after != before, report);
}

OP(check_one_less)
{
	return permits(world, 2, 1, report);
}

OP(check_one_more)
{
	return permits(world, 2, 3, report);
}

OP(check_same)
{
	return permits(world, 2, 2, report);
}

OP(check_none)
{
	return permits(world, 0, 0, report);
}

/* It was posted once, and taken or not. */
OP(check_posted)
{
	int r = permits(world, 0, 1, report);

	return r < 0 ? r : 0;
}

OP(check_beside)
{
	int found, count;

	if (atomic_exchange(&state_of(world)->finished, 0) != 1)
		return harness_say(report, KILL_VIOLATION, "the peer did not do its work");
	if (look(world, &found, &count, report) < 0)
		return KILL_VIOLATION;
	if (found == 2 || count != 2)
		return harness_say(report, KILL_VIOLATION, "%d permits; the mutex says %d", count,
				   found);
	return wind_up(world, found == 1, report);
}

/* It is there or not; it can be made, and used. */
static int made(struct kill_world *world, const char *name, struct harness_report *report)
{
	struct tarn_lock_stat stat;
	int found, count, there;

	if (join(world, report) < 0)
		return KILL_VIOLATION;
	there = tarn_lock_stat(region, name, &stat, NULL, 0) == 0;
	if (tarn_mutex_open(region, "mutex", &normal, &mutex) < 0 ||
	    tarn_sem_open(region, "counted", &two, &counted) < 0 ||
	    tarn_sem_open(region, "owned", &three, &owned) < 0)
		return harness_say(report, KILL_VIOLATION, "they cannot be made");
	if (look(world, &found, &count, report) < 0 || found != 0 || count != 2)
		return harness_say(report, KILL_VIOLATION, "%d permits; the mutex says %d", count,
				   found);
	return wind_up(world, there, report);
}

OP(check_mutex_made)
{
	return made(world, "mutex", report);
}

OP(check_sem_made)
{
	return made(world, "owned", report);
}

OP(check_mutex_gone)
{
	int r = made(world, "mutex", report);

	return r < 0 ? r : !r;
}

/* What the next one does. */
OP(lock_again)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r == 0 || r == -EOWNERDEAD ? tarn_mutex_unlock(mutex) : r;
}

OP(wait_again)
{
	int r = tarn_sem_wait(owned, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r == 0 ? tarn_sem_post(owned) : r;
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
#define CHANGES(nm, before, first, what, judge, again) \
	{ .name = nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .ready = ready, .recover = again }
#define SAME(nm, before, first, what, judge, again) \
	{ .name = nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .ready = ready, .recover = again, .flags = KILL_UNCHANGED }
#define BESIDE(nm, first, what, other, more) \
	{ .name = nm, .setup = with_prims, .prepare = first, .op = what, .peer = other, \
	  .check = check_beside, .flags = KILL_NO_IMAGES | (more) }
#define WORDS(nm, what, judge) \
	{ .name = nm, .setup = words_made, .prepare = words_ready, .op = what, .check = judge, \
	  .ready = words_ready, .recover = change_the_rest, .after = ATOMIC_STEPS }
#define AT_GATE(nm, first, what, other, judge) \
	{ .name = nm, .setup = words_made, .prepare = first, .op = what, .peer = other, \
	  .check = judge, .flags = KILL_NO_IMAGES }

static const struct kill_op ops[] = {
	{ .name = "mutex-open-creating", .setup = without_prims, .prepare = join,
	  .op = make_mutex, .check = check_mutex_made },
	{ .name = "mutex-remove", .setup = with_prims, .prepare = join,
	  .op = remove_mutex, .check = check_mutex_gone },
	CHANGES("mutex-first-lock-unlock", with_prims, ready, lock_change_unlock, check_changed,
		lock_again),
	CHANGES("mutex-lock-unlock", with_prims, prepared, lock_change_unlock, check_changed,
		lock_again),
	CHANGES("mutex-try-unlock", with_prims, prepared, try_change_unlock, check_changed,
		lock_again),
	CHANGES("mutex-recursive", with_recursive, prepared, lock_twice, check_changed,
		lock_again),
	{ .name = "mutex-lock-asleep", .setup = with_prims, .prepare = beside_locker,
	  .op = lock_change_unlock, .wake = let_holder_go, .check = check_changed },
	CHANGES("mutex-unlock", with_prims, half_way, change_on_and_unlock, check_mended,
		lock_again),
	CHANGES("mutex-mend-after-death", left_locked, prepared, lock_and_mend, check_mended,
		lock_again),
	SAME("mutex-unlock-unmended", left_locked, prepared, lock_and_leave_it, check_told,
	     lock_again),
	SAME("mutex-close-locked", with_prims, half_way, close_locked, check_told,
	     lock_again),
	BESIDE("mutex-unlock-beside-sleeper", half_way_beside, change_on_and_unlock,
	       sleeping_locker, 0),
	BESIDE("mutex-close-beside-sleeper", half_way_beside, close_locked, sleeping_locker,
	       KILL_UNCHANGED),
	{ .name = "sem-open-creating", .setup = without_prims, .prepare = join,
	  .op = make_sem, .check = check_sem_made },
	CHANGES("sem-wait-counted", with_prims, prepared, wait_counted, check_one_less, wait_again),
	CHANGES("sem-post-counted", with_prims, prepared, post_counted, check_one_more, wait_again),
	SAME("sem-first-wait-post", with_prims, ready, wait_and_post_owned, check_same, wait_again),
	SAME("sem-wait-post", with_prims, prepared, wait_and_post_owned, check_same, wait_again),
	SAME("sem-wait-post-after-death", left_taken, prepared, wait_and_post_owned, check_same,
	     wait_again),
	{ .name = "sem-wait-asleep", .setup = nothing_posted, .prepare = patient,
	  .op = wait_counted, .wake = post_for_it, .check = check_posted,
	  .flags = KILL_UNCHANGED },
	{ .name = "sem-wait-timed-out", .setup = nothing_posted, .prepare = patient,
	  .op = wait_in_vain, .check = check_none, .result = -ETIMEDOUT,
	  .flags = KILL_UNCHANGED | KILL_SLOW },
	BESIDE("sem-post-beside-sleeper", permits_beside, post_owned, sleeping_waiter,
	       KILL_UNCHANGED),
	WORDS("atomic-change-32", change_narrow, check_narrow),
	WORDS("atomic-change-64", change_wide, check_wide),
	{ .name = "atomic-wait-asleep", .setup = words_made, .prepare = words_patient,
	  .op = await_gate, .wake = open_gate, .check = check_gate, .flags = KILL_UNCHANGED },
	{ .name = "atomic-wait-timed-out", .setup = words_made, .prepare = words_patient,
	  .op = await_gate_in_vain, .check = check_gate, .result = -ETIMEDOUT,
	  .flags = KILL_UNCHANGED | KILL_SLOW },
	AT_GATE("atomic-wake-one-beside-sleeper", words_beside, open_for_one, sleeping_at_gate,
		check_gate_beside),
	AT_GATE("atomic-wake-all-beside-sleepers", words_beside_two, open_for_all,
		sleeping_at_gate_twice, check_gate_beside),
	AT_GATE("atomic-add-beside-sleeper", words_beside, add_to_gate, sleeping_unwoken,
		check_gate_beside),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
