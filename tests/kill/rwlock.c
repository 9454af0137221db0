/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rwlock.c - every operation on an rwlock, a spin lock, a once and a sequence lock, killed at each
 * instruction, and with a living peer asleep on the other side.
 *
 * Each guards two words, which are equal whenever nobody is in the middle of changing them. A
 * survivor that gets at them with 0 must find them equal; with -EOWNERDEAD it may not, and mends
 * them. The rwlock has room for one reader, so that a seat that is not given back is missed.
 */
#include "rwlock_ops.h"

enum { OBJECTS = 6 }; /* keep, pool, rwlock, spin, once, seqlock */

#define OP(name) static int name(struct kill_world *world, struct harness_report *report)

/* --- survivors ----------------------------------------------------------------------------- */

/* What a survivor found: 0, 1 as the words say; 2: it was told of a death. */
struct found {
	int rwlock, spin, once, value;
};

static int64_t patience(void)
{
	return tarn_deadline_after(INT64_C(5000000000));
}

static int half(struct harness_report *report, const char *what)
{
	return harness_say(report, KILL_VIOLATION, "%s: half changed, and nobody says so", what);
}

/* First as a reader, whom the seat of a dead one must not keep out; then as a writer. */
static int look_at_rwlock(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct pair *pair = &pool->under_rwlock;
	int r = tarn_rwlock_read(rwlock, patience(), &diag), first = r;

	if (r == 0 && !whole(pair))
		return half(report, "rwlock");
	if (r == 0 || r == -EOWNERDEAD)
		r = tarn_rwlock_unlock(rwlock);
	if (r == 0)
		r = tarn_rwlock_write(rwlock, patience(), &diag);
	if (r != first)
		return survivor_say(report, "readers are told one thing, writers another", r,
				    &diag);
	first = r == 0 ? (int)atomic_load(&pair->a) : 2;
	if (r == -EOWNERDEAD) {
		change(pair, 0);
		r = tarn_rwlock_consistent(rwlock);
	}
	if (r == 0)
		r = tarn_rwlock_downgrade(rwlock);
	if (r == 0)
		r = tarn_rwlock_unlock(rwlock);
	return r < 0 ? survivor_say(report, "rwlock", r, &diag) : first;
}

static int look_at_spin(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r = tarn_spin_lock(spin, patience(), &diag), first;

	if (r == 0 && !whole(&pool->under_spin))
		return half(report, "spin lock");
	first = r == 0 ? (int)atomic_load(&pool->under_spin.a) : 2;
	if (r == -EOWNERDEAD) {
		change(&pool->under_spin, 0);
		r = tarn_spin_consistent(spin);
	}
	if (r == 0)
		r = tarn_spin_unlock(spin);
	return r < 0 ? survivor_say(report, "spin lock", r, &diag) : first;
}

static int look_at_once(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r = tarn_once_begin(once, patience(), &diag);

	if (r == TARN_ONCE_DONE && atomic_load(&pool->by_once.a) != 1)
		return harness_say(report, KILL_VIOLATION, "once: done, and it is not");
	if (r == TARN_ONCE_DONE)
		return whole(&pool->by_once) ? 1 : half(report, "once");
	if (r == TARN_ONCE_FIRST && atomic_load(&pool->by_once.a) != 0)
		return half(report, "once");
	if (r < 0)
		return survivor_say(report, "once", r, &diag);
	change(&pool->by_once, 1);
	if (tarn_once_done(once) < 0 || !tarn_once_is_done(once))
		return harness_say(report, KILL_VIOLATION, "it cannot be done");
	return r == TARN_ONCE_AGAIN ? 2 : 0;
}

static int look_at_value(struct harness_report *report)
{
	const uint64_t zero[2] = { 0, 0 };
	uint64_t found[2];
	int r = tarn_seqlock_read(seqlock, found, &pool->by_seqlock, sizeof(found), patience());
	int first = r == 0 ? (int)found[0] : 2;

	if (r == 0 && found[0] != found[1])
		return half(report, "sequence lock");
	if (r != 0 && r != -EOWNERDEAD)
		return survivor_say(report, "sequence lock", r, NULL);
	r = tarn_seqlock_write(seqlock, &pool->by_seqlock, zero, sizeof(zero), patience(), NULL);
	if (r == 0)
		r = tarn_seqlock_read(seqlock, found, &pool->by_seqlock, sizeof(found), patience());
	return r < 0 ? survivor_say(report, "sequence lock", r, NULL) : first;
}

static int look(struct kill_world *world, struct found *ret, struct harness_report *report)
{
	struct tarn_lock_stat stat;

	survivor_await_end(&state_of(world)->holder);
	if (ready(world, report) < 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	ret->rwlock = look_at_rwlock(report);
	ret->spin = ret->rwlock < 0 ? -1 : look_at_spin(report);
	ret->once = ret->spin < 0 ? -1 : look_at_once(report);
	ret->value = ret->once < 0 ? -1 : look_at_value(report);
	if (ret->value < 0)
		return KILL_VIOLATION;
	if (tarn_lock_stat(region, "rwlock", &stat, NULL, 0) < 0 || stat.who_count != 0)
		return harness_say(report, KILL_VIOLATION, "somebody sits there still");
	return 0;
}

static int wind_up(struct kill_world *world, int outcome, struct harness_report *report)
{
	if (survivor_check(region, report) < 0 || survivor_kept(region, report) < 0)
		return KILL_VIOLATION;
	tarn_rwlock_close(rwlock);
	tarn_spin_close(spin);
	tarn_once_close(once);
	tarn_seqlock_close(seqlock);
	tarn_object_close(region, pool);
	if (survivor_whole(world, region, OBJECTS, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	return outcome;
}

/* All but @of as it was before. */
static int judge(struct kill_world *world, int (*of)(const struct found *found),
		 struct harness_report *report)
{
	struct found found;
	int outcome;

	if (look(world, &found, report) < 0)
		return KILL_VIOLATION;
	outcome = of(&found);
	if (outcome < 0)
		return harness_say(report, KILL_VIOLATION, "found %d %d %d %d", found.rwlock,
				   found.spin, found.once, found.value);
	return wind_up(world, outcome, report);
}

#define JUDGE(name, that)                                                                          \
	static int of_##name(const struct found *found)                                            \
	{                                                                                          \
		return that;                                                                       \
	}                                                                                          \
	OP(check_##name)                                                                           \
	{                                                                                          \
		return judge(world, of_##name, report);                                            \
	}

/* nobody has died who is told of */
JUDGE(same, found->rwlock + found->spin + found->once + found->value == 0 ? 0 : -1)
JUDGE(rwlock_changed, found->spin + found->once + found->value == 0 ? found->rwlock == 1 : -1)
/* of the holder's death, or of none */
JUDGE(not_written, found->rwlock == 1 || found->spin + found->once + found->value != 0 ? -1 : 0)
JUDGE(spin_changed, found->rwlock + found->once + found->value == 0 ? found->spin == 1 : -1)
JUDGE(once_run, found->rwlock + found->spin + found->value == 0 ? found->once == 1 : -1)
JUDGE(value_written, found->rwlock + found->spin + found->once == 0 ? found->value == 1 : -1)
/* it must not have been forgotten */
JUDGE(rwlock_mended, found->rwlock == 0 ? -1 : found->rwlock == 1)
JUDGE(rwlock_told, found->rwlock == 2 ? 0 : -1)
JUDGE(spin_mended, found->spin == 0 ? -1 : found->spin == 1)
JUDGE(spin_told, found->spin == 2 ? 0 : -1)
JUDGE(once_again, found->once == 0 ? -1 : found->once == 1)
JUDGE(once_undone, found->once != 1 && found->rwlock + found->spin + found->value == 0 ? 0 : -1)
JUDGE(once_given_up, found->once == 1 ? -1 : found->once == 0)
JUDGE(once_told, found->once == 2 ? 0 : -1)
JUDGE(value_mended, found->value == 0 ? -1 : found->value == 1)
JUDGE(value_told, found->value == 2 ? 0 : -1)

OP(check_beside)
{
	struct found found;

	if (atomic_exchange(&state_of(world)->finished, 0) != 1)
		return harness_say(report, KILL_VIOLATION, "the peer did not do its work");
	if (look(world, &found, report) < 0)
		return KILL_VIOLATION;
	return wind_up(world, found.rwlock == 1, report);
}

/* It is there or not; it can be made, and used. */
OP(check_made)
{
	struct tarn_lock_stat stat;
	struct found found;
	int there;

	if (join(world, report) < 0)
		return KILL_VIOLATION;
	there = tarn_lock_stat(region, "rwlock", &stat, NULL, 0) == 0;
	if (rwlock_make_all() < 0)
		return harness_say(report, KILL_VIOLATION, "they cannot be made");
	if (look(world, &found, report) < 0 || of_same(&found) < 0)
		return harness_say(report, KILL_VIOLATION, "what was made is not new");
	return wind_up(world, there, report);
}

/* What the next one does. Who dies reading is not told of, so where nobody is to be told, no more
 * than that. */
OP(next_reader)
{
	int r = tarn_rwlock_read(rwlock, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r == 0 || r == -EOWNERDEAD ? tarn_rwlock_unlock(rwlock) : r;
}

OP(next_writer)
{
	int r = next_reader(world, report);

	if (r == 0)
		r = tarn_rwlock_write(rwlock, TARN_FOREVER, NULL);
	return r == 0 || r == -EOWNERDEAD ? tarn_rwlock_unlock(rwlock) : r;
}

OP(next_spinner)
{
	int r = tarn_spin_lock(spin, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r == 0 || r == -EOWNERDEAD ? tarn_spin_unlock(spin) : r;
}

OP(next_runner)
{
	int r = tarn_once_begin(once, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r > 0 ? tarn_once_fail(once) : r;
}

OP(next_value)
{
	int r = tarn_seqlock_lock(seqlock, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r == 0 || r == -EOWNERDEAD ? tarn_seqlock_unlock(seqlock) : r;
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
#define CHANGES(nm, before, first, what, judge, next) \
	{ .name = nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .ready = ready, .recover = next }
#define SAME(nm, before, first, what, judge, next) \
	{ .name = nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .ready = ready, .recover = next, .flags = KILL_UNCHANGED }
#define BESIDE(nm, first, what, other, more) \
	{ .name = nm, .setup = with_all, .prepare = first, .op = what, .peer = other, \
	  .check = check_beside, .flags = KILL_NO_IMAGES | (more) }
#define ASLEEP(nm, first, what, judge) \
	{ .name = nm, .setup = with_all, .prepare = first, .op = what, .wake = let_holder_go, \
	  .check = judge }

static const struct kill_op ops[] = {
	{ .name = "rwlock-open-creating", .setup = without, .prepare = join,
	  .op = make_rwlock, .check = check_made, .flags = KILL_LONG },
	SAME("rwlock-first-read-unlock", with_all, ready, read_unlock, check_same, next_reader),
	SAME("rwlock-read-unlock", with_all, seated, read_unlock, check_same, next_reader),
	SAME("rwlock-read-twice", with_all, seated, read_twice, check_same, next_reader),
	SAME("rwlock-read-after-reader", left_read, prepared, read_unlock, check_same,
		next_reader),
	SAME("rwlock-read-after-writer", left_written, prepared, read_told, check_rwlock_told,
		next_writer),
	SAME("rwlock-close-reading", with_all, reads, close_rwlock, check_same, next_reader),
	SAME("rwlock-close-writing", with_all, writes, close_rwlock, check_rwlock_told,
		next_writer),
	CHANGES("rwlock-write-unlock", with_all, prepared, write_unlock, check_rwlock_changed,
		next_writer),
	CHANGES("rwlock-write-after-reader", left_read, prepared, write_unlock,
		check_rwlock_changed, next_writer),
	CHANGES("rwlock-write-after-writer", left_written, prepared, write_and_mend,
		check_rwlock_mended, next_writer),
	CHANGES("rwlock-unlock", with_all, writes, write_on_unlock, check_rwlock_mended,
		next_writer),
	CHANGES("rwlock-downgrade", with_all, writes, write_on_read_on, check_rwlock_mended,
		next_writer),
	ASLEEP("rwlock-write-asleep", beside_reader, write_unlock, check_rwlock_changed),
	{ .name = "rwlock-read-asleep", .setup = with_all, .prepare = beside_writer,
	  .op = read_unlock, .wake = let_holder_go, .check = check_not_written,
	  .flags = KILL_UNCHANGED },
	BESIDE("rwlock-read-unlock-beside-writer", reads_beside, unlock_rwlock, sleeping_writer,
	       KILL_UNCHANGED),
	BESIDE("rwlock-read-unlock-beside-reader", reads_beside, unlock_rwlock, sleeping_reader,
	       KILL_UNCHANGED),
	BESIDE("rwlock-unlock-beside-reader", writes_beside, write_on_unlock, sleeping_reader, 0),
	BESIDE("rwlock-unlock-beside-writer", writes_beside, write_on_unlock, sleeping_writer, 0),
	CHANGES("spin-lock-unlock", with_all, prepared, spin_unlock, check_spin_changed,
		next_spinner),
	CHANGES("spin-lock-after-death", left_spun, prepared, spin_and_mend, check_spin_mended,
		next_spinner),
	{ .name = "spin-lock-contended", .setup = with_all, .prepare = beside_spinner,
	  .op = spin_unlock, .check = check_spin_changed, .flags = KILL_SLOW },
	SAME("spin-recover", left_spun, prepared, recover_spin, check_spin_told, next_spinner),
	SAME("spin-close-locked", with_all, spins, close_spin, check_spin_told, next_spinner),
	CHANGES("once-run", with_all, prepared, run_once, check_once_run, next_runner),
	{ .name = "once-run-after-death", .setup = left_begun, .prepare = prepared,
	  .op = run_again, .check = check_once_again, .ready = ready, .recover = next_runner },
	ASLEEP("once-run-asleep", beside_runner, run_once, check_once_run),
	ASLEEP("once-run-asleep-failed", beside_failing, run_once, check_once_run),
	BESIDE("once-done-beside-sleeper", does_beside, do_and_say, sleeping_runner,
	       KILL_UNCHANGED),
	{ .name = "once-run-failing", .setup = with_all, .prepare = prepared, .op = run_and_fail,
	  .check = check_once_undone, .ready = ready, .recover = next_runner,
	  .result = -ENODATA, .flags = KILL_UNCHANGED },
	{ .name = "once-run-failing-after-death", .setup = left_begun, .prepare = prepared,
	  .op = run_and_fail, .check = check_once_told, .ready = ready, .recover = next_runner,
	  .result = -ENODATA, .flags = KILL_UNCHANGED },
	CHANGES("once-fail", with_all, does, fail_and_say, check_once_given_up, next_runner),
	BESIDE("once-fail-beside-sleeper", does_beside, fail_and_say, sleeping_runner,
	       KILL_UNCHANGED),
	CHANGES("seqlock-lock-unlock", with_all, prepared, store_unlock, check_value_written,
		next_value),
	ASLEEP("seqlock-lock-asleep", beside_storer, store_unlock, check_value_written),
	CHANGES("seqlock-lock-after-death", left_torn, prepared, store_and_mend,
		check_value_mended, next_value),
	SAME("seqlock-unlock-unmended", left_torn, prepared, unlock_unmended, check_value_told,
	     next_value),
	CHANGES("seqlock-write", with_all, prepared, write_value, check_value_written,
		next_value),
	CHANGES("seqlock-write-after-death", left_torn, prepared, write_value,
		check_value_mended, next_value),
	SAME("seqlock-read", with_all, prepared, read_value, check_same, next_reader),
	{ .name = "seqlock-read-after-death", .setup = left_torn, .prepare = prepared,
	  .op = read_value, .check = check_value_told, .ready = ready, .recover = next_value,
	  .result = -EOWNERDEAD, .flags = KILL_UNCHANGED },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
