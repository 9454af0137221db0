/* SPDX-License-Identifier: BSD-2-Clause */
/* Rwlock: the contract of rwlock.h line by line; who dies, ends, forks; damage. */
#include <tarn/rwlock.h>

#include <tarn/mutex.h>

#include "prim.h"

static struct tarn_rwlock *lock, *narrow;

static int make_locks(void **state)
{
	const struct tarn_rwlock_opts all = { .readers = 0 }, two = { .readers = 2 };

	if (make_region(state) < 0 || tarn_rwlock_open(region, "lock", &all, &lock) < 0 ||
	    tarn_rwlock_open(region, "narrow", &two, &narrow) < 0)
		return -1;
	return 0;
}

static int drop_locks(void **state)
{
	tarn_rwlock_close(lock);
	tarn_rwlock_close(narrow);
	return drop_region(state);
}

static void read_it(struct tarn_rwlock *l)
{
	assert_int_equal(tarn_rwlock_read(l, TARN_FOREVER, NULL), 0);
}

static void write_it(struct tarn_rwlock *l)
{
	assert_int_equal(tarn_rwlock_write(l, TARN_FOREVER, NULL), 0);
}

static void unlock_it(struct tarn_rwlock *l)
{
	assert_int_equal(tarn_rwlock_unlock(l), 0);
}

/* --- others -------------------------------------------------------------------------------- */

static int read_and_die(void *arg)
{
	return tarn_rwlock_read(arg, TARN_FOREVER, NULL);
}

static int write_and_die(void *arg)
{
	return tarn_rwlock_write(arg, TARN_FOREVER, NULL);
}

/* Flag 0: it has it; flag 1: it is to unlock, which flag 2 says. */
static int has_it(struct tarn_rwlock *l, int r)
{
	if (r < 0 && r != -EOWNERDEAD) /* it has that of one that was killed */
		return r;
	atomic_fetch_add(&flags[0], 1);
	await_flag(1);
	r = tarn_rwlock_unlock(l);
	atomic_fetch_add(&flags[2], 1);
	return r;
}

static int read_for_a_while(void *arg)
{
	return has_it(arg, tarn_rwlock_read(arg, tarn_deadline_after(SURELY_NS), NULL));
}

static int write_for_a_while(void *arg)
{
	return has_it(arg, tarn_rwlock_write(arg, tarn_deadline_after(SURELY_NS), NULL));
}

/* Flag 3: it has begun; flag 4: it has had it. */
static int read_once(void *arg)
{
	int r;

	atomic_fetch_add(&flags[3], 1);
	r = tarn_rwlock_read(arg, tarn_deadline_after(SURELY_NS), NULL);
	if (r == 0 || r == -EOWNERDEAD) {
		atomic_fetch_add(&flags[4], 1);
		r = tarn_rwlock_unlock(arg);
	}
	return r;
}

static int write_once(void *arg)
{
	int r;

	atomic_fetch_add(&flags[3], 1);
	r = tarn_rwlock_write(arg, tarn_deadline_after(SURELY_NS), NULL);
	if (r == 0 || r == -EOWNERDEAD) {
		atomic_fetch_add(&flags[4], 1);
		r = tarn_rwlock_unlock(arg);
	}
	return r;
}

/* A writer has the lock word, and waits for readers. */
static void await_writer(struct tarn_rwlock *l)
{
	while (atomic_load(&((struct prim *)l)->sec.shm->lock) == 0)
		pause_us(200);
}

/* --- the contract -------------------------------------------------------------------------- */

static void many_read_or_one_writes(void **state)
{
	struct tarn_diag diag;
	pid_t one, two;

	(void)state;
	one = start(read_for_a_while, lock);
	two = start(read_for_a_while, lock);
	while (atomic_load(&flags[0]) < 2)
		pause_us(200);
	read_it(lock);
	assert_int_equal(count_role("lock", TARN_LOCK_SHARES), 3);
	unlock_it(lock);
	assert_int_equal(tarn_rwlock_try_write(lock, &diag), -EAGAIN);
	assert_non_null(strstr(diag.what, "reads"));
	assert_int_equal(tarn_rwlock_write(lock, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "rwlock lock: process"));
	assert_int_equal(tarn_rwlock_unlock(lock), -EPERM);
	atomic_store(&flags[1], 1);
	await_death(one);
	await_death(two);
	write_it(lock);
	unlock_it(lock);
	read_it(lock);
	unlock_it(lock);
}

static void a_writer_keeps_all_others_out(void **state)
{
	struct tarn_diag diag;
	pid_t pid = start(write_for_a_while, lock);

	(void)state;
	await_flag(0);
	assert_int_equal(tarn_rwlock_try_read(lock, &diag), -EAGAIN);
	assert_non_null(strstr(diag.what, "writes"));
	assert_int_equal(tarn_rwlock_read(lock, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "writes"));
	assert_int_equal(tarn_rwlock_try_write(lock, NULL), -EAGAIN);
	assert_int_equal(tarn_rwlock_write(lock, tarn_deadline_after(SOON_NS), NULL), -ETIMEDOUT);
	assert_int_equal(count_role("lock", TARN_LOCK_HOLDS), 1);
	assert_int_equal(count_role("lock", TARN_LOCK_SHARES), 0);
	assert_int_equal(tarn_rwlock_unlock(lock), -EPERM);
	assert_int_equal(tarn_rwlock_consistent(lock), -EPERM);
	assert_int_equal(tarn_rwlock_downgrade(lock), -EPERM);
	atomic_store(&flags[1], 1);
	await_death(pid);
	read_it(lock);
	unlock_it(lock);
}

static void a_waiting_writer_keeps_new_readers_back(void **state)
{
	pid_t writer;

	(void)state;
	read_it(lock);
	writer = start(write_for_a_while, lock);
	await_writer(lock);
	/* a thread that reads may read again */
	read_it(lock);
	run_dead(read_once, narrow); /* another lock is none of its business */
	pid_t pid = fork();
	if (pid == 0)
		_exit(tarn_rwlock_try_read(lock, NULL) == -EAGAIN ? 0 : 1);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unlock_it(lock);
	assert_int_equal(atomic_load(&flags[0]), 0);
	unlock_it(lock);
	assert_int_equal(tarn_rwlock_unlock(lock), -EPERM);
	await_flag(0);
	atomic_store(&flags[1], 1);
	await_death(writer);
}

static void the_last_reader_wakes_the_writer_and_it_all_readers(void **state)
{
	pid_t writer, readers[3];

	(void)state;
	read_it(lock);
	writer = start(write_for_a_while, lock);
	await_writer(lock);
	for (int i = 0; i < 3; i++)
		readers[i] = start(read_once, lock);
	await_waiters("lock", 3);
	unlock_it(lock);
	await_flag(0);
	assert_int_equal(atomic_load(&flags[4]), 0);
	atomic_store(&flags[1], 1);
	for (int i = 0; i < 3; i++)
		await_death(readers[i]);
	assert_int_equal(atomic_load(&flags[4]), 3);
	await_death(writer);
}

static void a_writer_is_told_as_waiting_no_longer_than_it_does(void **state)
{
	pid_t writer, reader;

	(void)state;
	read_it(lock);
	writer = start(write_for_a_while, lock);
	await_waiters("lock", 1);
	assert_int_equal(atomic_load(&flags[0]), 0);
	unlock_it(lock);
	await_flag(0);
	assert_int_equal(count_role("lock", TARN_LOCK_WAITS), 0); /* it has it */
	assert_int_equal(count_role("lock", TARN_LOCK_HOLDS), 1);
	atomic_store(&flags[1], 1);
	await_death(writer);
	atomic_store(&flags[1], 0);
	reader = start(read_for_a_while, lock);
	while (atomic_load(&flags[0]) < 2)
		pause_us(200);
	assert_int_equal(tarn_rwlock_write(lock, tarn_deadline_after(SOON_NS), NULL), -ETIMEDOUT);
	assert_int_equal(count_role("lock", TARN_LOCK_WAITS), 0); /* it has given up */
	atomic_store(&flags[1], 1);
	await_death(reader);
}

static void there_is_room_for_so_many_readers(void **state)
{
	struct tarn_diag diag;
	pid_t one = start(read_for_a_while, narrow), two = start(read_for_a_while, narrow), three;

	(void)state;
	while (atomic_load(&flags[0]) < 2)
		pause_us(200);
	assert_int_equal(tarn_rwlock_try_read(narrow, &diag), -EAGAIN);
	assert_non_null(strstr(diag.what, "all of its 2 seats"));
	assert_int_equal(tarn_rwlock_read(narrow, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	three = start(read_once, narrow);
	await_waiters("narrow", 1);
	atomic_store(&flags[1], 1);
	await_death(three);
	await_death(one);
	await_death(two);
}

static void to_lock_twice_is_refused_but_for_readers(void **state)
{
	struct tarn_rwlock *again;
	struct tarn_diag diag;

	(void)state;
	assert_int_equal(tarn_rwlock_open(region, "lock", NULL, &again), 0);
	read_it(lock);
	read_it(again);
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, &diag), -EDEADLK);
	assert_non_null(strstr(diag.what, "reads under rwlock lock"));
	assert_int_equal(tarn_rwlock_try_write(again, NULL), -EDEADLK);
	unlock_it(lock);
	unlock_it(lock); /* by whichever handle */
	write_it(lock);
	assert_int_equal(tarn_rwlock_read(lock, TARN_FOREVER, &diag), -EDEADLK);
	assert_non_null(strstr(diag.what, "writes under rwlock lock"));
	assert_int_equal(tarn_rwlock_read(again, TARN_FOREVER, NULL), -EDEADLK);
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, NULL), -EDEADLK);
	assert_int_equal(tarn_rwlock_write(again, TARN_FOREVER, NULL), -EDEADLK);
	assert_int_equal(tarn_rwlock_unlock(again), -EPERM);
	unlock_it(lock);
	tarn_rwlock_close(again);
}

static void two_who_want_to_write_what_they_read_are_told(void **state)
{
	pid_t pid = start(read_for_a_while, lock);

	(void)state;
	await_flag(0);
	read_it(lock);
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, NULL), -EDEADLK);
	end(pid);
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, NULL), -EDEADLK);
	unlock_it(lock);
	write_it(lock);
	unlock_it(lock);
}

static struct tarn_mutex *mutex;

static int write_then_mutex(void *arg)
{
	int r = tarn_rwlock_write(arg, TARN_FOREVER, NULL);

	atomic_store(&flags[0], 1);
	await_flag(1);
	r = r == 0 ? tarn_mutex_lock(mutex, tarn_deadline_after(SURELY_NS), NULL) : r;
	return r == 0 || r == -EDEADLK ? 0 : 1;
}

static void a_circle_of_readers_and_writers_is_told(void **state)
{
	const struct tarn_mutex_opts opts = { 0 };
	struct tarn_diag diag = { .what = "" };
	pid_t pid;
	int r;

	(void)state;
	assert_int_equal(tarn_mutex_open(region, "mutex", &opts, &mutex), 0);
	pid = start(write_then_mutex, lock);
	await_flag(0);
	assert_int_equal(tarn_mutex_lock(mutex, TARN_FOREVER, NULL), 0);
	atomic_store(&flags[1], 1);
	r = tarn_rwlock_read(lock, tarn_deadline_after(SURELY_NS), &diag);
	/* one of the two was told, and dies or lets go; then the other one has both */
	if (r == -EDEADLK)
		assert_non_null(strstr(diag.what, "which waits in mutex for this one"));
	else
		assert_int_equal(r, -EOWNERDEAD);
	assert_int_equal(tarn_mutex_unlock(mutex), 0);
	await_death(pid);
	if (r == -EOWNERDEAD)
		unlock_it(lock);
	tarn_mutex_close(mutex);
}

static void who_writes_can_go_on_reading(void **state)
{
	pid_t pid;

	(void)state;
	write_it(lock);
	pid = start(read_once, lock);
	await_waiters("lock", 1);
	assert_int_equal(tarn_rwlock_downgrade(lock), 0);
	await_death(pid); /* it reads beside us */
	assert_int_equal(tarn_rwlock_consistent(lock), -EPERM);
	pid = fork();
	if (pid == 0)
		_exit(tarn_rwlock_try_write(lock, NULL) == -EAGAIN ? 0 : 1);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unlock_it(lock);
	assert_int_equal(tarn_rwlock_unlock(lock), -EPERM);
}

/* --- deaths -------------------------------------------------------------------------------- */

/* A pthread rwlock whose reader was killed can never be written under again. */
static void a_dead_reader_is_dropped_and_nobody_is_told(void **state)
{
	struct tarn_lock_stat stat;

	(void)state;
	for (int i = 0; i < 3; i++)
		run_dead(read_and_die, lock);
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, NULL), 0);
	unlock_it(lock);
	run_dead(read_and_die, lock);
	assert_int_equal(tarn_rwlock_try_write(lock, NULL), 0);
	unlock_it(lock);
	assert_int_equal(tarn_lock_stat(region, "lock", &stat, NULL, 0), 0);
	assert_false(stat.owner_died);
	assert_true(stat.recover_count >= 2);
	/* readers get the seats of dead ones, too */
	run_dead(read_and_die, narrow);
	run_dead(read_and_die, narrow);
	read_it(narrow);
	assert_int_equal(tarn_rwlock_try_read(narrow, NULL), 0);
	unlock_it(narrow);
	unlock_it(narrow);
}

static void a_writer_wakes_when_the_last_reader_dies(void **state)
{
	pid_t reader = start(read_for_a_while, lock), writer;

	(void)state;
	await_flag(0);
	writer = start(write_once, lock);
	await_writer(lock);
	end(reader);
	await_death(writer);
	assert_int_equal(atomic_load(&flags[4]), 1);
}

static void a_dead_writer_is_told_of_until_it_is_mended(void **state)
{
	struct tarn_diag diag;

	(void)state;
	run_dead(write_and_die, lock);
	assert_int_equal(tarn_rwlock_try_read(lock, &diag), -EOWNERDEAD);
	assert_non_null(strstr(diag.what, "a writer of it has died"));
	assert_int_equal(count_role("lock", TARN_LOCK_SHARES), 1);
	assert_int_equal(tarn_rwlock_read(lock, TARN_FOREVER, NULL), -EOWNERDEAD); /* again */
	unlock_it(lock);
	unlock_it(lock);
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, NULL), -EOWNERDEAD);
	unlock_it(lock);
	assert_int_equal(tarn_rwlock_read(lock, TARN_FOREVER, NULL), -EOWNERDEAD);
	unlock_it(lock);
	assert_int_equal(tarn_rwlock_try_write(lock, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_rwlock_consistent(lock), 0);
	unlock_it(lock);
	read_it(lock);
	unlock_it(lock);
}

static void sleepers_wake_when_the_writer_dies(void **state)
{
	pid_t writer = start(write_for_a_while, lock), reader, other;

	(void)state;
	await_flag(0);
	reader = start(read_once, lock);
	other = start(write_once, lock);
	await_waiters("lock", 2);
	end(writer);
	await_death(reader);
	await_death(other);
	assert_int_equal(atomic_load(&flags[4]), 2);
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_rwlock_consistent(lock), 0);
	unlock_it(lock);
}

static void a_writer_that_dies_waiting_leaves_readers_be(void **state)
{
	pid_t writer;
	int r;

	(void)state;
	read_it(lock);
	writer = start(write_once, lock);
	await_writer(lock);
	end(writer);
	r = tarn_rwlock_read(lock, TARN_FOREVER, NULL);
	assert_true(r == 0 || r == -EOWNERDEAD);
	unlock_it(lock);
	unlock_it(lock);
	run_dead(read_once, lock);
	assert_int_equal(atomic_load(&flags[4]), 1);
}

/* --- threads, processes -------------------------------------------------------------------- */

static void *read_and_end(void *arg)
{
	assert_int_equal(tarn_rwlock_read(arg, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_rwlock_read(arg, TARN_FOREVER, NULL), 0);
	return NULL;
}

static void *write_and_end(void *arg)
{
	assert_int_equal(tarn_rwlock_write(arg, TARN_FOREVER, NULL), 0);
	return NULL;
}

static void a_thread_that_ends_reads_no_more(void **state)
{
	struct tarn_rwlock *again;

	(void)state;
	assert_int_equal(tarn_rwlock_open(region, "lock", NULL, &again), 0);
	read_it(narrow);
	run_thread(read_and_end, again);
	assert_int_equal(tarn_rwlock_try_write(lock, NULL), 0);
	unlock_it(lock);
	assert_int_equal(count_role("narrow", TARN_LOCK_SHARES), 1); /* this thread's */
	unlock_it(narrow);
	tarn_rwlock_close(again);
	run_thread(write_and_end, lock);
	assert_int_equal(tarn_rwlock_read(lock, TARN_FOREVER, NULL), -EOWNERDEAD);
	unlock_it(lock);
}

static void *unlock_anothers(void *arg)
{
	assert_int_equal(tarn_rwlock_unlock(arg), -EPERM);
	assert_int_equal(tarn_rwlock_try_write(arg, NULL), -EAGAIN);
	read_it(arg);
	unlock_it(arg);
	assert_int_equal(tarn_rwlock_unlock(arg), -EPERM);
	return NULL;
}

static void a_thread_unlocks_only_what_it_has(void **state)
{
	(void)state;
	read_it(lock);
	run_thread(unlock_anothers, lock);
	assert_int_equal(count_role("lock", TARN_LOCK_SHARES), 1);
	unlock_it(lock);
}

static int child_has_nothing(void *arg)
{
	return tarn_rwlock_unlock(arg) == -EPERM && tarn_rwlock_try_write(arg, NULL) == -EAGAIN &&
			       tarn_rwlock_read(arg, TARN_FOREVER, NULL) == 0 &&
			       tarn_rwlock_unlock(arg) == 0 && tarn_rwlock_unlock(arg) == -EPERM
		       ? 0
		       : 1;
}

static void a_child_has_nothing_of_its_parent(void **state)
{
	(void)state;
	read_it(lock);
	run_dead(child_has_nothing, lock);
	assert_int_equal(count_role("lock", TARN_LOCK_SHARES), 1);
	unlock_it(lock);
}

static void closing_unlocks(void **state)
{
	struct tarn_rwlock *again;

	(void)state;
	assert_int_equal(tarn_rwlock_open(region, "lock", NULL, &again), 0);
	read_it(again);
	tarn_rwlock_close(again);
	write_it(lock);
	unlock_it(lock);
	assert_int_equal(tarn_rwlock_open(region, "lock", NULL, &again), 0);
	write_it(again);
	tarn_rwlock_close(again);
	assert_int_equal(tarn_rwlock_read(lock, TARN_FOREVER, NULL), -EOWNERDEAD);
	unlock_it(lock);
	tarn_rwlock_close(NULL);
}

/* --- options, damage, many at once --------------------------------------------------------- */

static void options_and_names_are_checked(void **state)
{
	struct tarn_diag diag;
	struct tarn_rwlock_opts opts = { .readers = 4097, .diag = &diag };
	struct tarn_rwlock *l = lock;

	(void)state;
	assert_int_equal(tarn_rwlock_open(region, "new", &opts, &l), -EINVAL);
	assert_non_null(strstr(diag.what, "4097 readers"));
	opts.readers = 3;
	assert_int_equal(tarn_rwlock_open(region, "lock", &opts, &l), -EEXIST);
	assert_non_null(strstr(diag.what, "64"));
	assert_int_equal(tarn_rwlock_open(region, "none", NULL, &l), -ENOENT);
	assert_int_equal(tarn_rwlock_open(region, "flags", NULL, &l), -EPROTO);
	assert_ptr_equal(l, lock);
	opts.readers = 4096;
	assert_int_equal(tarn_rwlock_open(region, "wide", &opts, &l), 0);
	read_it(l);
	unlock_it(l);
	tarn_rwlock_close(l);
}

static void damage_is_told_and_mended(void **state)
{
	struct prim *prim = (struct prim *)lock;
	struct section_shm *shm = prim->sec.shm;
	struct tarn_diag diag;

	(void)state;
	atomic_store(&shm->lock, 999u << 1);
	assert_int_equal(tarn_rwlock_read(lock, TARN_FOREVER, &diag), -EUCLEAN);
	assert_non_null(strstr(diag.what, "names nobody"));
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, NULL), -EUCLEAN);
	assert_int_equal(tarn_section_recover(region, "lock", 0, NULL), 0);
	atomic_store(&shm->seq, 7);
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, NULL), -EUCLEAN);
	assert_int_equal(tarn_rwlock_read(lock, TARN_FOREVER, NULL), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_recover(region, "lock", 0, NULL), 0);
	assert_int_equal(tarn_rwlock_write(lock, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_rwlock_consistent(lock), 0);
	unlock_it(lock);
	/* a seat that names nobody is nobody's */
	atomic_store(&shm->state, 9);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	atomic_store(&prim->seats[8].id, 999u << 1);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	write_it(lock);
	unlock_it(lock);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	/* more seats than there are: looked at no further than that */
	atomic_store(&shm->state, UINT32_MAX);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	write_it(lock);
	unlock_it(lock);
	read_it(lock);
	unlock_it(lock);
	atomic_store(&shm->state, 9);
}

/* One at a time, whatever is on the others. */
static void a_writer_looks_at_every_seat(void **state)
{
	struct prim *prim = (struct prim *)lock;
	struct section_shm *shm = prim->sec.shm;

	(void)state;
	for (uint32_t used = 1; used <= 11; used++)
		for (uint32_t at = 0; at < used; at++) {
			atomic_store(&shm->state, used);
			atomic_store(&prim->seats[at].id, region->id);
			assert_int_equal(tarn_rwlock_try_write(lock, NULL), -EAGAIN);
			atomic_store(&prim->seats[at].id, 0);
			assert_int_equal(tarn_rwlock_try_write(lock, NULL), 0);
			unlock_it(lock);
		}
}

/* A writer looks at the first seat without asking whether there is one. */
static void a_header_without_a_seat_is_refused(void **state)
{
	struct section_shm *shm = ((struct prim *)narrow)->sec.shm;
	struct tarn_rwlock_opts opts = { .readers = 2 };
	struct tarn_rwlock *again;
	struct tarn_diag diag;
	uint32_t units = shm->units;

	(void)state;
	opts.diag = &diag;
	shm->units = 0;
	shm->check = tarn__section_header_check(shm);
	assert_int_equal(tarn_rwlock_open(region, "narrow", &opts, &again), -EUCLEAN);
	assert_non_null(strstr(diag.what, "rwlock narrow: its header is damaged (units)"));
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	shm->units = units;
	shm->check = tarn__section_header_check(shm);
	assert_int_equal(tarn_rwlock_open(region, "narrow", &opts, &again), 0);
	tarn_rwlock_close(again);
}

enum { ROUNDS = 400 };

/* Flags 8 and 9 are changed together, under the lock. */
static int in_turns(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		bool writes = i % 4 == 0;
		int r = writes ? tarn_rwlock_write(arg, TARN_FOREVER, NULL)
			       : tarn_rwlock_read(arg, TARN_FOREVER, NULL);
		uint32_t eight = atomic_load_explicit(&flags[8], memory_order_relaxed);

		if (r < 0)
			return 1;
		if (writes)
			atomic_store_explicit(&flags[8], eight + 1, memory_order_relaxed);
		if (i % 16 == 0)
			pause_us(50);
		if (atomic_load_explicit(&flags[9], memory_order_relaxed) != eight)
			return 2;
		if (writes)
			atomic_store_explicit(&flags[9], eight + 1, memory_order_relaxed);
		if (tarn_rwlock_unlock(arg) < 0)
			return 3;
	}
	return 0;
}

static void *in_turns_too(void *arg)
{
	assert_int_equal(in_turns(arg), 0);
	return NULL;
}

static void many_at_once_see_no_write_half_done(void **state)
{
	pthread_t threads[2];
	pid_t pids[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		pids[i] = start(in_turns, narrow);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, in_turns_too, narrow), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		await_death(pids[i]);
	}
	assert_int_equal(atomic_load(&flags[8]), 4 * (ROUNDS / 4));
}

static void a_writer_that_waits_for_readers_is_told_as_waiting(void **state)
{
	pid_t writer, other;

	(void)state;
	read_it(lock);
	other = start(write_for_a_while, lock);
	await_waiters("lock", 1);
	assert_int_equal(count_role("lock", TARN_LOCK_HOLDS), 0);
	end(other); /* dead, it has the lock */
	assert_int_equal(count_role("lock", TARN_LOCK_WAITS), 0);
	writer = start(write_for_a_while, lock);
	await_waiters("lock", 1);
	assert_int_equal(count_role("lock", TARN_LOCK_HOLDS), 0);
	assert_int_equal(count_role("lock", TARN_LOCK_SHARES), 1);
	unlock_it(lock);
	end(writer);
}

#define RWLOCK_TEST(name) cmocka_unit_test_setup_teardown(name, make_locks, drop_locks)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RWLOCK_TEST(a_writer_that_waits_for_readers_is_told_as_waiting),
		RWLOCK_TEST(many_read_or_one_writes),
		RWLOCK_TEST(a_writer_keeps_all_others_out),
		RWLOCK_TEST(a_waiting_writer_keeps_new_readers_back),
		RWLOCK_TEST(the_last_reader_wakes_the_writer_and_it_all_readers),
		RWLOCK_TEST(a_writer_is_told_as_waiting_no_longer_than_it_does),
		RWLOCK_TEST(there_is_room_for_so_many_readers),
		RWLOCK_TEST(to_lock_twice_is_refused_but_for_readers),
		RWLOCK_TEST(two_who_want_to_write_what_they_read_are_told),
		RWLOCK_TEST(a_circle_of_readers_and_writers_is_told),
		RWLOCK_TEST(who_writes_can_go_on_reading),
		RWLOCK_TEST(a_dead_reader_is_dropped_and_nobody_is_told),
		RWLOCK_TEST(a_writer_wakes_when_the_last_reader_dies),
		RWLOCK_TEST(a_dead_writer_is_told_of_until_it_is_mended),
		RWLOCK_TEST(sleepers_wake_when_the_writer_dies),
		RWLOCK_TEST(a_writer_that_dies_waiting_leaves_readers_be),
		RWLOCK_TEST(a_thread_that_ends_reads_no_more),
		RWLOCK_TEST(a_thread_unlocks_only_what_it_has),
		RWLOCK_TEST(a_child_has_nothing_of_its_parent),
		RWLOCK_TEST(closing_unlocks),
		RWLOCK_TEST(options_and_names_are_checked),
		RWLOCK_TEST(damage_is_told_and_mended),
		RWLOCK_TEST(a_writer_looks_at_every_seat),
		RWLOCK_TEST(a_header_without_a_seat_is_refused),
		RWLOCK_TEST(many_at_once_see_no_write_half_done),
	};

	return cmocka_run_group_tests_name("rwlock", tests, NULL, NULL);
}
