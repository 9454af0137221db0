/* SPDX-License-Identifier: BSD-2-Clause */
/* rwlock_ops.c - see rwlock_ops.h. */
#include "plat/plat.h"
#include "rwlock_ops.h"
#include "sync/prim.h"

static const struct tarn_rwlock_opts one_reader = { .readers = 1 };
static const struct tarn_spin_opts spin_opts;
static const struct tarn_once_opts once_opts;
static const struct tarn_seqlock_opts seqlock_opts;

struct tarn_region *region;
struct tarn_rwlock *rwlock;
struct tarn_spin *spin;
struct tarn_once *once;
struct tarn_seqlock *seqlock;
struct pool *pool;

#define OP(name) int name(struct kill_world *world, struct harness_report *report)

/* --- worlds before ------------------------------------------------------------------------- */

OP(without)
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

int rwlock_make_all(void)
{
	int r = tarn_rwlock_open(region, "rwlock", &one_reader, &rwlock);

	if (r == 0)
		r = tarn_spin_open(region, "spin", &spin_opts, &spin);
	if (r == 0)
		r = tarn_once_open(region, "once", &once_opts, &once);
	if (r == 0)
		r = tarn_seqlock_open(region, "seqlock", &seqlock_opts, &seqlock);
	return r;
}

OP(with_all)
{
	int r = without(world, report);

	if (r == 0)
		r = rwlock_make_all();
	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

/* Who did that has died. */
OP(left_read)
{
	int r = with_all(world, report);

	return r == 0 ? tarn_rwlock_read(rwlock, TARN_FOREVER, NULL) : r;
}

OP(left_written)
{
	int r = with_all(world, report);

	if (r == 0)
		r = tarn_rwlock_write(rwlock, TARN_FOREVER, NULL);
	if (r == 0)
		atomic_store(&pool->under_rwlock.a, 7);
	return r;
}

OP(left_spun)
{
	int r = with_all(world, report);

	if (r == 0)
		r = tarn_spin_lock(spin, TARN_FOREVER, NULL);
	if (r == 0)
		atomic_store(&pool->under_spin.a, 7);
	return r;
}

OP(left_begun)
{
	int r = with_all(world, report);

	if (r == 0)
		r = tarn_once_begin(once, TARN_FOREVER, NULL);
	atomic_store(&pool->by_once.a, 7);
	return r == TARN_ONCE_FIRST ? 0 : -1;
}

OP(left_torn)
{
	int r = with_all(world, report);
	uint64_t seven = 7;

	if (r == 0)
		r = tarn_seqlock_lock(seqlock, TARN_FOREVER, NULL);
	return r == 0 ? tarn_seqlock_store(seqlock, &pool->by_seqlock.a, &seven, sizeof(seven)) : r;
}

/* --- prepare ------------------------------------------------------------------------------- */

OP(join)
{
	void *data;

	if (survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	if (tarn_object_open(region, "pool", &data, NULL) < 0)
		return harness_say(report, KILL_VIOLATION, "the pool is gone");
	pool = data;
	return 0;
}

OP(ready)
{
	int r = region == NULL ? join(world, report) : 0;

	if (r == 0 && rwlock == NULL)
		r = tarn_rwlock_open(region, "rwlock", NULL, &rwlock);
	if (r == 0 && spin == NULL)
		r = tarn_spin_open(region, "spin", NULL, &spin);
	if (r == 0 && once == NULL)
		r = tarn_once_open(region, "once", NULL, &once);
	if (r == 0 && seqlock == NULL)
		r = tarn_seqlock_open(region, "seqlock", NULL, &seqlock);
	return r < 0 ? survivor_say(report, "open", r, NULL) : 0;
}

/* The thread's first call, and its first seat, are behind it. */
OP(prepared)
{
	int r = ready(world, report);

	return r == 0 ? tarn__thread_begin() : r;
}

OP(reads)
{
	int r = prepared(world, report);

	return r == 0 ? tarn_rwlock_read(rwlock, TARN_FOREVER, NULL) : r;
}

/* It has read before. */
OP(seated)
{
	int r = reads(world, report);

	return r == 0 ? tarn_rwlock_unlock(rwlock) : r;
}

OP(writes)
{
	int r = prepared(world, report);

	if (r == 0)
		r = tarn_rwlock_write(rwlock, TARN_FOREVER, NULL);
	if (r == 0)
		atomic_store(&pool->under_rwlock.a, 7);
	return r;
}

OP(spins)
{
	int r = prepared(world, report);

	if (r == 0)
		r = tarn_spin_lock(spin, TARN_FOREVER, NULL);
	if (r == 0)
		atomic_store(&pool->under_spin.a, 7);
	return r;
}

OP(does)
{
	int r = prepared(world, report);

	if (r == 0)
		r = tarn_once_begin(once, TARN_FOREVER, NULL);
	return r == TARN_ONCE_FIRST ? 0 : -1;
}

/* Until the peer sleeps. */
static int beside_sleeper(struct kill_world *world)
{
	static const char *const names[] = { "rwlock", "once" };
	struct state *st = state_of(world);

	atomic_store(&st->ready, 1);
	(void)tarn__plat_futex_wake(&st->ready, 1);
	for (int i = 0; i < 20000; i++) {
		struct prim *prim = (struct prim *)rwlock;
		struct tarn_lock_stat stat;
		bool sleeps = atomic_load(&prim->sec.shm->lock) != 0; /* a writer that drains */

		for (int n = 0; n < 2; n++) {
			if (tarn_lock_stat(region, names[n], &stat, NULL, 0) < 0)
				return -1;
			sleeps |= stat.wait_count > 0;
		}
		if (sleeps && harness_await_futex(atomic_load(&st->peer), 5000))
			return 0;
		harness_sleep_us(100);
	}
	return -1;
}

OP(reads_beside)
{
	int r = reads(world, report);

	return r == 0 ? beside_sleeper(world) : r;
}

OP(writes_beside)
{
	int r = writes(world, report);

	return r == 0 ? beside_sleeper(world) : r;
}

OP(does_beside)
{
	int r = does(world, report);

	return r == 0 ? beside_sleeper(world) : r;
}

/* Another process has it, and is in the middle of a change; it puts back what there was. */
static OP(write_half)
{
	int r = ready(world, report);

	if (r == 0)
		r = tarn_rwlock_write(rwlock, TARN_FOREVER, NULL);
	if (r == 0)
		atomic_store(&pool->under_rwlock.a, 7);
	return r;
}

static OP(write_rest)
{
	(void)world, (void)report;
	change(&pool->under_rwlock, 0);
	return tarn_rwlock_unlock(rwlock);
}

static OP(run_half)
{
	int r = ready(world, report);

	if (r == 0)
		r = tarn_once_begin(once, TARN_FOREVER, NULL);
	atomic_store(&pool->by_once.a, 7);
	return r == TARN_ONCE_FIRST ? 0 : -1;
}

static OP(run_rest)
{
	(void)world, (void)report;
	change(&pool->by_once, 1);
	return tarn_once_done(once);
}

static OP(run_back)
{
	(void)world, (void)report;
	change(&pool->by_once, 0);
	return tarn_once_fail(once);
}

static OP(store_half)
{
	const uint64_t seven = 7;
	int r = ready(world, report);

	if (r == 0)
		r = tarn_seqlock_lock(seqlock, TARN_FOREVER, NULL);
	if (r == 0)
		r = tarn_seqlock_store(seqlock, &pool->by_seqlock.a, &seven, sizeof(seven));
	return r;
}

static OP(store_rest)
{
	const uint64_t zero[2] = { 0, 0 };
	int r = tarn_seqlock_store(seqlock, &pool->by_seqlock, zero, sizeof(zero));

	(void)world, (void)report;
	return r == 0 ? tarn_seqlock_unlock(seqlock) : r;
}

static OP(spin_half)
{
	int r = ready(world, report);

	if (r == 0)
		r = tarn_spin_lock(spin, TARN_FOREVER, NULL);
	if (r == 0)
		atomic_store(&pool->under_spin.a, 7);
	return r;
}

/* Who spins does not sleep, and so cannot be waited for. */
static OP(spin_rest)
{
	(void)world, (void)report;
	harness_sleep_us(600000);
	change(&pool->under_spin, 0);
	return tarn_spin_unlock(spin);
}

static OP(read_it)
{
	int r = ready(world, report);

	return r == 0 ? tarn_rwlock_read(rwlock, TARN_FOREVER, NULL) : r;
}

static OP(read_no_more)
{
	(void)world, (void)report;
	return tarn_rwlock_unlock(rwlock);
}

static int beside(struct kill_world *world, kill_fn *acquire, kill_fn *release,
		  struct harness_report *report)
{
	int r = survivor_beside(world, &state_of(world)->holder, acquire, release, report);

	return r == 0 ? prepared(world, report) : r;
}

OP(beside_reader)
{
	return beside(world, read_it, read_no_more, report);
}

OP(beside_writer)
{
	return beside(world, write_half, write_rest, report);
}

OP(beside_runner)
{
	return beside(world, run_half, run_rest, report);
}

OP(beside_failing)
{
	return beside(world, run_half, run_back, report);
}

OP(beside_storer)
{
	return beside(world, store_half, store_rest, report);
}

/* It spins for so long that it writes itself down among the waiters. */
OP(beside_spinner)
{
	struct survivor_holder *holder = &state_of(world)->holder;
	int r = beside(world, spin_half, spin_rest, report);

	tarn__section_net_ns = 1000000;
	atomic_store(&holder->go, 1);
	(void)tarn__plat_futex_wake(&holder->go, 1);
	return r;
}

OP(let_holder_go)
{
	return survivor_let_go(&state_of(world)->holder, report);
}

/* --- operations ---------------------------------------------------------------------------- */

OP(make_rwlock)
{
	(void)world, (void)report;
	return tarn_rwlock_open(region, "rwlock", &one_reader, &rwlock);
}

OP(read_unlock)
{
	int r = tarn_rwlock_read(rwlock, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r == 0 && !whole(&pool->under_rwlock))
		return -EBADMSG;
	return r == 0 ? tarn_rwlock_unlock(rwlock) : r;
}

OP(read_twice)
{
	int r = tarn_rwlock_read(rwlock, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = tarn_rwlock_read(rwlock, TARN_FOREVER, NULL);
	if (r == 0)
		r = tarn_rwlock_unlock(rwlock);
	return r == 0 ? tarn_rwlock_unlock(rwlock) : r;
}

OP(read_told)
{
	int r = tarn_rwlock_read(rwlock, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r == -EOWNERDEAD ? tarn_rwlock_unlock(rwlock) : -1;
}

OP(write_unlock)
{
	int r = tarn_rwlock_write(rwlock, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r < 0)
		return r;
	change(&pool->under_rwlock, 1);
	return tarn_rwlock_unlock(rwlock);
}

OP(write_and_mend)
{
	int r = tarn_rwlock_write(rwlock, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r != -EOWNERDEAD)
		return -1;
	change(&pool->under_rwlock, 1);
	r = tarn_rwlock_consistent(rwlock);
	return r == 0 ? tarn_rwlock_unlock(rwlock) : r;
}

OP(write_on_unlock)
{
	(void)world, (void)report;
	change(&pool->under_rwlock, 1);
	return tarn_rwlock_unlock(rwlock);
}

OP(write_on_read_on)
{
	int r;

	(void)world, (void)report;
	change(&pool->under_rwlock, 1);
	r = tarn_rwlock_downgrade(rwlock);
	return r == 0 ? tarn_rwlock_unlock(rwlock) : r;
}

OP(unlock_rwlock)
{
	(void)world, (void)report;
	return tarn_rwlock_unlock(rwlock);
}

OP(close_rwlock)
{
	(void)world, (void)report;
	tarn_rwlock_close(rwlock);
	return 0;
}

OP(spin_unlock)
{
	int r = tarn_spin_lock(spin, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r == 0 && !whole(&pool->under_spin))
		r = -EBADMSG;
	if (r < 0)
		return r;
	change(&pool->under_spin, 1);
	return tarn_spin_unlock(spin);
}

OP(spin_and_mend)
{
	int r = tarn_spin_lock(spin, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r != -EOWNERDEAD)
		return -1;
	change(&pool->under_spin, 1);
	r = tarn_spin_consistent(spin);
	return r == 0 ? tarn_spin_unlock(spin) : r;
}

OP(recover_spin)
{
	(void)world, (void)report;
	return tarn_section_recover(region, "spin", 0, NULL);
}

OP(close_spin)
{
	(void)world, (void)report;
	tarn_spin_close(spin);
	return 0;
}

/* @arg: must one have died? A nonzero answer is the wrong one. */
static int do_it(void *arg, bool again)
{
	if (arg != NULL && *(const bool *)arg != again)
		return -EBADMSG;
	change(&pool->by_once, 1);
	return 0;
}

OP(run_once)
{
	(void)world, (void)report;
	return tarn_once_run(once, TARN_FOREVER, do_it, NULL, NULL);
}

OP(run_again)
{
	bool again = true;

	(void)world, (void)report;
	return tarn_once_run(once, TARN_FOREVER, do_it, &again, NULL);
}

OP(do_and_say)
{
	(void)world, (void)report;
	change(&pool->by_once, 1);
	return tarn_once_done(once);
}

/* It is given up, and put back as it was. */
static int fail_it(void *arg, bool again)
{
	(void)arg, (void)again;
	atomic_store(&pool->by_once.a, 1);
	change(&pool->by_once, 0);
	return -ENODATA;
}

OP(run_and_fail)
{
	(void)world, (void)report;
	return tarn_once_run(once, TARN_FOREVER, fail_it, NULL, NULL);
}

OP(fail_and_say)
{
	(void)world, (void)report;
	return tarn_once_fail(once);
}

/* Both words, of a value whose lock is ours. */
static int store_value(void)
{
	const uint64_t ones[2] = { 1, 1 };

	return tarn_seqlock_store(seqlock, &pool->by_seqlock, ones, sizeof(ones));
}

OP(store_unlock)
{
	int r = tarn_seqlock_lock(seqlock, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r == 0)
		r = store_value();
	return r == 0 ? tarn_seqlock_unlock(seqlock) : r;
}

OP(store_and_mend)
{
	int r = tarn_seqlock_lock(seqlock, TARN_FOREVER, NULL);

	(void)world, (void)report;
	if (r != -EOWNERDEAD)
		return -1;
	r = store_value();
	if (r == 0)
		r = tarn_seqlock_consistent(seqlock);
	return r == 0 ? tarn_seqlock_unlock(seqlock) : r;
}

OP(unlock_unmended)
{
	int r = tarn_seqlock_lock(seqlock, TARN_FOREVER, NULL);

	(void)world, (void)report;
	return r == -EOWNERDEAD ? tarn_seqlock_unlock(seqlock) : -1;
}

OP(write_value)
{
	const uint64_t ones[2] = { 1, 1 };

	(void)world, (void)report;
	return tarn_seqlock_write(seqlock, &pool->by_seqlock, ones, sizeof(ones), TARN_FOREVER,
				  NULL);
}

OP(read_value)
{
	uint64_t found[2];

	(void)world, (void)report;
	return tarn_seqlock_read(seqlock, found, &pool->by_seqlock, sizeof(found), TARN_FOREVER);
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

OP(sleeping_reader)
{
	int r = fall_asleep(world, report);

	if (r == 0)
		r = tarn_rwlock_read(rwlock, TARN_FOREVER, NULL);
	if (r == 0 && !whole(&pool->under_rwlock))
		return harness_say(report, KILL_VIOLATION, "half changed, and nobody says so");
	atomic_store(&state_of(world)->finished, 1);
	return r == 0 || r == -EOWNERDEAD ? tarn_rwlock_unlock(rwlock)
					  : survivor_say(report, "read", r, NULL);
}

OP(sleeping_writer)
{
	int r = fall_asleep(world, report);

	if (r == 0)
		r = tarn_rwlock_write(rwlock, TARN_FOREVER, NULL);
	if (r == 0 && !whole(&pool->under_rwlock))
		return harness_say(report, KILL_VIOLATION, "half changed, and nobody says so");
	atomic_store(&state_of(world)->finished, 1);
	return r == 0 || r == -EOWNERDEAD ? tarn_rwlock_unlock(rwlock)
					  : survivor_say(report, "write", r, NULL);
}

OP(sleeping_runner)
{
	int r = fall_asleep(world, report);

	if (r == 0)
		r = tarn_once_run(once, TARN_FOREVER, do_it, NULL, NULL);
	if (r == 0 && atomic_load(&pool->by_once.b) != 1)
		return harness_say(report, KILL_VIOLATION, "done, and it is not");
	atomic_store(&state_of(world)->finished, 1);
	return r == 0 ? 0 : survivor_say(report, "run", r, NULL);
}
