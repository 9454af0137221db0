/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cond.c - condition variable, barrier and event: every operation killed at each instruction, and
 * with a living peer asleep on the other side.
 *
 * "single" has room for one waiter and "solo" is a barrier for one, so a survivor that cannot use
 * what the dead have left finds that there is no room. Beside a sleeper the operation has the
 * mutex, and lets go of it last: a thread of the peer learns from that how it ended, and where it
 * died does the work in its place, so that the peer must wake in any case, and without that
 * thread's help where the operation came to its end.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <tarn/barrier.h>
#include <tarn/cond.h>
#include <tarn/event.h>
#include <tarn/lock.h>

#include "plat/plat.h"
#include "survivor.h"
#include "sync/prim.h"

enum { OBJECTS = 9 }; /* keep, mutex, cond, single, two, solo, event, automatic, section */

/* In the page that all processes of a sweep share. */
struct state {
	_Atomic int32_t peer;      /* its process id */
	_Atomic uint32_t finished; /* it has done its work */
	_Atomic uint32_t ready;    /* it may fall asleep */
	_Atomic uint32_t locked;   /* the operation has the mutex */
	_Atomic uint32_t died;     /* with it */
	_Atomic int32_t sleeper;   /* the operation, where it sleeps */
};

static const struct tarn_mutex_opts normal;
static const struct tarn_cond_opts three = { .waiters = 3 }, single_one = { .waiters = 1 };
static const struct tarn_barrier_opts of_two = { .count = 2 }, of_one = { .count = 1 };
static const struct tarn_section_opts small = { .journal_size = 64 };
static const struct tarn_event_opts manual, automatic_one = { .flags = TARN_EVENT_AUTO };

static struct tarn_region *region;
static struct tarn_mutex *mutex;
static struct tarn_cond *cond, *single;
static struct tarn_barrier *two, *solo;
static struct tarn_event *event, *automatic;
static struct tarn_section *section;

static struct state *state_of(const struct kill_world *world)
{
	return world->shared;
}

/* --- worlds before ------------------------------------------------------------------------- */

static int open_all(bool make)
{
	int r = 0;

	if (mutex == NULL)
		r = tarn_mutex_open(region, "mutex", make ? &normal : NULL, &mutex);
	if (r == 0 && cond == NULL)
		r = tarn_cond_open(region, "cond", make ? &three : NULL, &cond);
	if (r == 0 && single == NULL)
		r = tarn_cond_open(region, "single", make ? &single_one : NULL, &single);
	if (r == 0 && two == NULL)
		r = tarn_barrier_open(region, "two", make ? &of_two : NULL, &two);
	if (r == 0 && solo == NULL)
		r = tarn_barrier_open(region, "solo", make ? &of_one : NULL, &solo);
	if (r == 0 && event == NULL)
		r = tarn_event_open(region, "event", make ? &manual : NULL, &event);
	if (r == 0 && automatic == NULL)
		r = tarn_event_open(region, "automatic", make ? &automatic_one : NULL, &automatic);
	if (r == 0 && section == NULL)
		r = tarn_section_open(region, "section", make ? &small : NULL, &section);
	return r;
}

static int with_all(struct kill_world *world, struct harness_report *report)
{
	int r = survivor_create(world, 0, &region, report);

	if (r == 0)
		r = survivor_keep(region, report);
	if (r == 0)
		r = open_all(true);
	return r == 0 ? tarn__thread_begin() : harness_say(report, -1, "setup: %s", strerror(-r));
}

/* A waiter of "single" died; @value is what its seat says. */
static int left(struct kill_world *world, uint32_t value, struct harness_report *report)
{
	int r = with_all(world, report);
	struct prim *prim = (struct prim *)single;

	if (r < 0)
		return r;
	atomic_store(&prim->sec.shm->state, 1);
	atomic_store(&prim->sec.shm->sleep, 3);
	return tarn__seat_take(prim, 0, value) ? 0 : -1;
}

static int left_waiting(struct kill_world *world, struct harness_report *report)
{
	return left(world, 0 << 2 | 1, report);
}

static int left_signalled(struct kill_world *world, struct harness_report *report)
{
	return left(world, 1 << 2 | 2, report);
}

static int left_seated(struct kill_world *world, struct harness_report *report)
{
	int r = with_all(world, report);

	return r == 0 ? tarn_barrier_join(solo, NULL) : r;
}

static int left_set(struct kill_world *world, struct harness_report *report)
{
	int r = with_all(world, report);

	return r == 0 ? tarn_event_set(automatic) : r;
}

static int left_both_set(struct kill_world *world, struct harness_report *report)
{
	int r = left_set(world, report);

	return r == 0 ? tarn_event_set(event) : r;
}

/* --- prepare ------------------------------------------------------------------------------- */

#define OP(name) static int name(struct kill_world *world, struct harness_report *report)

OP(ready)
{
	int r = 0;

	if (region == NULL && survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	r = open_all(false);
	return r < 0 ? survivor_say(report, "open", r, NULL) : 0;
}

OP(prepared)
{
	int r = ready(world, report);

	return r == 0 ? tarn__thread_begin() : r;
}

/* Who is stepped through takes longer to fall asleep than a sleep lasts. */
OP(patient)
{
	atomic_store(&state_of(world)->sleeper, (int32_t)tarn__plat_pid());
	tarn__section_net_ns = INT64_C(5000000000);
	return prepared(world, report);
}

OP(seated)
{
	int r = prepared(world, report);

	return r == 0 ? tarn_barrier_join(solo, NULL) : r;
}

/* Until the peer waits for @name, and sleeps; then the mutex is ours. */
static int beside(struct kill_world *world, const char *name, struct harness_report *report)
{
	struct state *st = state_of(world);
	int r = prepared(world, report);

	if (r == 0 && strcmp(name, "two") == 0)
		r = tarn_barrier_join(two, NULL);
	atomic_store(&st->ready, 1);
	(void)tarn__plat_futex_wake(&st->ready, 1);
	for (int i = 0; i < 20000 && r == 0; i++) {
		struct tarn_lock_stat stat;

		if (tarn_lock_stat(region, name, &stat, NULL, 0) < 0)
			return -1;
		if (stat.wait_count > 0 && harness_await_futex(atomic_load(&st->peer), 5000)) {
			r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
			atomic_store(&st->locked, 1);
			(void)tarn__plat_futex_wake(&st->locked, 1);
			return r;
		}
		harness_sleep_us(100);
	}
	return -1;
}

OP(beside_cond)
{
	return beside(world, "cond", report);
}

OP(beside_two)
{
	return beside(world, "two", report);
}

OP(beside_event)
{
	return beside(world, "event", report);
}

/* --- operations ---------------------------------------------------------------------------- */

OP(wait_in_vain)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = tarn_cond_wait(single, mutex, INT64_MIN, NULL);
	return r == -ETIMEDOUT ? tarn_mutex_unlock(mutex) : -1;
}

OP(wait_till_late)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = tarn_cond_wait(single, mutex, tarn_deadline_after(1000000), NULL);
	return r == -ETIMEDOUT ? tarn_mutex_unlock(mutex) : -1;
}

OP(wait_asleep)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = tarn_cond_wait(single, mutex, TARN_FOREVER, NULL);
	return r == 0 ? tarn_mutex_unlock(mutex) : r;
}

OP(wait_inside)
{
	struct tarn_tx *tx;
	int r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = tarn_cond_wait_in(single, section, INT64_MIN, &tx, NULL);
	return r == -ETIMEDOUT ? tarn_section_leave(section) : -1;
}

OP(signal_single)
{
	(void)world, (void)report;
	return tarn_cond_signal(single);
}

/* While the operation sleeps. */
OP(signal_for_it)
{
	int r = ready(world, report);

	if (r == 0)
		r = tarn_cond_signal(single);
	return r == 0 ? survivor_woken(atomic_load(&state_of(world)->sleeper), report) : r;
}

OP(signal_and_unlock)
{
	int r = tarn_cond_signal(cond);

	(void)world, (void)report;
	return r == 0 ? tarn_mutex_unlock(mutex) : r;
}

OP(broadcast_and_unlock)
{
	int r = tarn_cond_broadcast(cond);

	(void)world, (void)report;
	return r == 0 ? tarn_mutex_unlock(mutex) : r;
}

OP(pass_solo)
{
	(void)world, (void)report;
	return tarn_barrier_wait(solo, TARN_FOREVER, NULL);
}

OP(pass_solo_told)
{
	int r = tarn_barrier_wait(solo, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r >= 0 ? 0 : r;
}

OP(leave_solo)
{
	(void)world, (void)report;
	return tarn_barrier_leave(solo);
}

OP(join_solo)
{
	(void)world, (void)report;
	return tarn_barrier_join(solo, NULL);
}

OP(join_and_leave_solo)
{
	int r = tarn_barrier_join(solo, NULL);

	(void)world, (void)report;
	return r == 0 ? tarn_barrier_leave(solo) : r;
}

OP(arrive_and_unlock)
{
	int r = tarn_barrier_wait(two, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r >= 0 ? tarn_mutex_unlock(mutex) : r;
}

OP(wait_at_two)
{
	(void)world, (void)report;
	return tarn_barrier_wait(two, TARN_FOREVER, NULL);
}

/* While the operation sleeps. */
OP(arrive_for_it)
{
	int r = ready(world, report);

	if (r == 0)
		r = tarn_barrier_wait(two, TARN_FOREVER, NULL);
	if (r >= 0)
		r = tarn_barrier_leave(two);
	return r == 0 ? survivor_woken(atomic_load(&state_of(world)->sleeper), report) : r;
}

OP(set_automatic)
{
	(void)world, (void)report;
	return tarn_event_set(automatic);
}

OP(take_automatic)
{
	(void)world, (void)report;
	return tarn_event_wait(automatic, TARN_FOREVER, NULL);
}

OP(reset_both)
{
	int r = tarn_event_reset(event);

	(void)world, (void)report;
	return r == 0 ? tarn_event_reset(automatic) : r;
}

/* While the operation sleeps. */
OP(set_for_it)
{
	int r = ready(world, report);

	if (r == 0)
		r = tarn_event_set(automatic);
	return r == 0 ? survivor_woken(atomic_load(&state_of(world)->sleeper), report) : r;
}

OP(set_and_unlock)
{
	int r = tarn_event_set(event);

	(void)world, (void)report;
	if (r == 0)
		r = tarn_event_reset(event);
	return r == 0 ? tarn_mutex_unlock(mutex) : r;
}

/* --- peers --------------------------------------------------------------------------------- */

static struct kill_world *nursed;

/* If the operation dies: what it was to do. */
static void *nurse(void *arg)
{
	struct state *st = state_of(nursed);
	int r;

	while (atomic_load(&st->locked) == 0)
		(void)tarn__plat_futex_wait(&st->locked, 0, TARN_FOREVER);
	r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
	if (r == -EOWNERDEAD) {
		atomic_store(&st->died, 1);
		(void)tarn_mutex_consistent(mutex);
		(void)tarn_cond_broadcast(cond);
		(void)tarn_event_set(event);
		(void)tarn_event_reset(event);
	}
	(void)tarn_mutex_unlock(mutex);
	return arg;
}

static int with_nurse(struct kill_world *world, int (*work)(void), struct harness_report *report)
{
	struct state *st = state_of(world);
	pthread_t thread;
	int r;

	memset(st, 0, sizeof(*st));
	atomic_store(&st->peer, (int32_t)tarn__plat_pid());
	nursed = world;
	if (ready(world, report) < 0 || pthread_create(&thread, NULL, nurse, NULL) != 0)
		return KILL_VIOLATION;
	while (atomic_load(&st->ready) == 0)
		(void)tarn__plat_futex_wait(&st->ready, 0, TARN_FOREVER);
	r = work();
	(void)pthread_join(thread, NULL);
	atomic_store(&st->finished, 1);
	return r < 0 ? survivor_say(report, "peer", r, NULL) : 0;
}

static int64_t patience(void)
{
	return tarn_deadline_after(INT64_C(4000000000));
}

static int sleep_on_cond(void)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	if (r == 0)
		r = tarn_cond_wait(cond, mutex, patience(), NULL);
	if (r == -EOWNERDEAD) {
		atomic_store(&state_of(nursed)->died, 1);
		r = tarn_mutex_consistent(mutex);
	}
	return r == 0 ? tarn_mutex_unlock(mutex) : r;
}

static int sleep_at_two(void)
{
	int r = tarn_barrier_wait(two, patience(), NULL);

	return r == -EOWNERDEAD ? 0 : r;
}

static int sleep_for_event(void)
{
	return tarn_event_wait(event, patience(), NULL);
}

OP(cond_sleeper)
{
	return with_nurse(world, sleep_on_cond, report);
}

OP(two_sleeper)
{
	return with_nurse(world, sleep_at_two, report);
}

OP(event_sleeper)
{
	return with_nurse(world, sleep_for_event, report);
}

/* --- survivors ----------------------------------------------------------------------------- */

static int look_at_cond(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r = tarn_mutex_lock(mutex, patience(), &diag);
	struct tarn_tx *tx;

	if (r == -EOWNERDEAD)
		r = tarn_mutex_consistent(mutex);
	if (r == 0)
		r = tarn_cond_wait(single, mutex, tarn_deadline_after(1000000), &diag);
	if (r == 0)
		return harness_say(report, KILL_VIOLATION, "a signal that was not for it");
	if (r == -ETIMEDOUT)
		r = tarn_mutex_unlock(mutex);
	if (r == 0)
		r = tarn_cond_signal(single);
	if (r == 0)
		r = tarn_section_enter(section, patience(), &tx, &diag);
	if (r == 0)
		r = tarn_section_leave(section);
	return r < 0 ? survivor_say(report, "cond", r, &diag) : 0;
}

static int look_at_barrier(struct harness_report *report)
{
	int r = tarn_barrier_wait(solo, patience(), NULL);

	if (r >= 0 || r == -EOWNERDEAD)
		r = tarn_barrier_wait(solo, patience(), NULL);
	if (r != 1)
		return survivor_say(report, "barrier", r, NULL);
	r = tarn_barrier_leave(solo);
	return r < 0 ? survivor_say(report, "barrier", r, NULL) : 0;
}

static int wind_up(struct kill_world *world, int outcome, struct harness_report *report)
{
	if (survivor_check(region, report) < 0 || survivor_kept(region, report) < 0)
		return KILL_VIOLATION;
	tarn_mutex_close(mutex);
	tarn_cond_close(cond);
	tarn_cond_close(single);
	tarn_barrier_close(two);
	tarn_barrier_close(solo);
	tarn_event_close(event);
	tarn_event_close(automatic);
	tarn_section_close(section);
	if (survivor_whole(world, region, OBJECTS, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	return outcome;
}

static int look(struct kill_world *world, struct harness_report *report)
{
	if (ready(world, report) < 0 || survivor_check(region, report) < 0 ||
	    look_at_cond(report) < 0 || look_at_barrier(report) < 0)
		return KILL_VIOLATION;
	return 0;
}

OP(check_same)
{
	return look(world, report) < 0 ? KILL_VIOLATION : wind_up(world, 0, report);
}

/* Told once of a party that sat there, after the round that it had arrived for; then alone. */
OP(check_party)
{
	int r, told = 0, whole = 0;

	if (look(world, report) < 0)
		return KILL_VIOLATION;
	do {
		r = tarn_barrier_wait(two, tarn_deadline_after(20000000), NULL);
		whole += r >= 0;
		told += r == -EOWNERDEAD;
	} while ((r >= 0 || r == -EOWNERDEAD) && whole + told < 4);
	if (r != -ETIMEDOUT || whole > told || told > 1)
		return harness_say(report, KILL_VIOLATION,
				   "%d rounds whole, told %d times, then %s", whole, told,
				   r < 0 ? strerror(-r) : "whole");
	return wind_up(world, told, report);
}

static int was_set(struct kill_world *world, bool if_so, struct harness_report *report)
{
	bool set;

	if (look(world, report) < 0)
		return KILL_VIOLATION;
	set = tarn_event_try(automatic) == 0;
	if (tarn_event_try(automatic) != -EAGAIN || tarn_event_set(automatic) < 0 ||
	    tarn_event_wait(automatic, patience(), NULL) < 0)
		return harness_say(report, KILL_VIOLATION, "the event cannot be used");
	return wind_up(world, set == if_so, report);
}

OP(check_set)
{
	return was_set(world, true, report);
}

OP(check_taken)
{
	return was_set(world, false, report);
}

/* It was set once, and taken or not. */
OP(check_set_for_it)
{
	int r = was_set(world, true, report);

	return r < 0 ? r : 0;
}

/* Neither, the manual one, or both; then they are set and reset once more. */
OP(check_reset)
{
	bool first, second;

	if (look(world, report) < 0)
		return KILL_VIOLATION;
	first = !tarn_event_is_set(event);
	second = !tarn_event_is_set(automatic);
	if (second && !first)
		return harness_say(report, KILL_VIOLATION, "what was reset first is set");
	for (int i = 0; i < 2; i++) {
		struct tarn_event *which = i == 0 ? event : automatic;

		if (tarn_event_set(which) < 0 || tarn_event_wait(which, patience(), NULL) < 0 ||
		    tarn_event_reset(which) < 0 || tarn_event_try(which) != -EAGAIN)
			return harness_say(report, KILL_VIOLATION, "an event cannot be used");
	}
	return wind_up(world, first + second, report);
}

OP(check_beside)
{
	struct state *st = state_of(world);

	if (atomic_exchange(&st->finished, 0) != 1)
		return harness_say(report, KILL_VIOLATION, "the peer did not do its work");
	if (look(world, report) < 0)
		return KILL_VIOLATION;
	return wind_up(world, atomic_load(&st->died) == 0, report);
}

/* What the next one does. */
OP(recover)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r == -EOWNERDEAD)
		r = tarn_mutex_consistent(mutex);
	if (r == 0)
		r = tarn_cond_wait(single, mutex, INT64_MIN, NULL);
	if (r == -ETIMEDOUT)
		r = tarn_mutex_unlock(mutex);
	if (r == 0)
		r = tarn_barrier_wait(solo, TARN_FOREVER, NULL);
	return r >= 0 || r == -EOWNERDEAD ? 0 : r;
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
#define SAME(nm, before, first, what, value) \
	{ .name = nm, .setup = before, .prepare = first, .op = what, .check = check_same, \
	  .ready = prepared, .recover = recover, .result = value, .flags = KILL_UNCHANGED }
#define BESIDE(nm, first, what, other) \
	{ .name = nm, .setup = with_all, .prepare = first, .op = what, .peer = other, \
	  .check = check_beside, .flags = KILL_NO_IMAGES }

static const struct kill_op ops[] = {
	SAME("cond-wait", with_all, prepared, wait_in_vain, 0),
	SAME("cond-wait-after-death", left_waiting, prepared, wait_in_vain, 0),
	SAME("cond-wait-after-signalled-death", left_signalled, prepared, wait_in_vain, 0),
	SAME("cond-wait-in-section", with_all, prepared, wait_inside, 0),
	{ .name = "cond-wait-asleep", .setup = with_all, .prepare = patient, .op = wait_asleep,
	  .wake = signal_for_it, .check = check_same, .flags = KILL_UNCHANGED },
	{ .name = "cond-wait-timed-out", .setup = with_all, .prepare = patient,
	  .op = wait_till_late, .check = check_same, .flags = KILL_UNCHANGED | KILL_SLOW },
	SAME("cond-signal-for-the-dead", left_waiting, prepared, signal_single, 0),
	BESIDE("cond-signal-beside-sleeper", beside_cond, signal_and_unlock, cond_sleeper),
	BESIDE("cond-broadcast-beside-sleeper", beside_cond, broadcast_and_unlock, cond_sleeper),
	SAME("barrier-first-wait", with_all, prepared, pass_solo, 1),
	SAME("barrier-wait", with_all, seated, pass_solo, 1),
	SAME("barrier-wait-after-death", left_seated, prepared, pass_solo_told, 0),
	SAME("barrier-join", with_all, prepared, join_solo, 0),
	SAME("barrier-join-after-death", left_seated, prepared, join_solo, 0),
	SAME("barrier-join-leave", with_all, prepared, join_and_leave_solo, 0),
	SAME("barrier-leave", with_all, seated, leave_solo, 0),
	{ .name = "barrier-wait-asleep", .setup = with_all, .prepare = patient,
	  .op = wait_at_two, .wake = arrive_for_it, .check = check_party },
	BESIDE("barrier-wait-beside-sleeper", beside_two, arrive_and_unlock, two_sleeper),
	{ .name = "event-set", .setup = with_all, .prepare = prepared, .op = set_automatic,
	  .check = check_set, .ready = prepared, .recover = recover },
	{ .name = "event-wait", .setup = left_set, .prepare = prepared, .op = take_automatic,
	  .check = check_taken, .ready = prepared, .recover = recover },
	{ .name = "event-wait-asleep", .setup = with_all, .prepare = patient,
	  .op = take_automatic, .wake = set_for_it, .check = check_set_for_it,
	  .flags = KILL_UNCHANGED },
	{ .name = "event-reset", .setup = left_both_set, .prepare = prepared, .op = reset_both,
	  .check = check_reset, .ready = prepared, .recover = recover, .after = 2 },
	BESIDE("event-set-beside-sleeper", beside_event, set_and_unlock, event_sleeper),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
