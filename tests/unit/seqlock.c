/* SPDX-License-Identifier: BSD-2-Clause */
/* Sequence lock: the contract of seqlock.h line by line; writers that die, end; observers. */
#include <stdio.h>

#include <tarn/seqlock.h>

#include <tarn/section.h>

#include "prim.h"

enum { WORDS = 16 };

struct value {
	uint64_t words[WORDS]; /* all the same, when whole */
};

static struct tarn_seqlock *lock;
static struct value *shared;

static int make_seqlock(void **state)
{
	const struct tarn_seqlock_opts opts = { 0 };
	void *p;

	if (make_region(state) < 0 || tarn_seqlock_open(region, "lock", &opts, &lock) < 0 ||
	    tarn_object_create(region, "value", sizeof(*shared), &p, NULL) < 0)
		return -1;
	shared = p;
	return 0;
}

static int drop_seqlock(void **state)
{
	tarn_seqlock_close(lock);
	return drop_region(state);
}

static struct value all(uint64_t word)
{
	struct value value;

	for (int i = 0; i < WORDS; i++)
		value.words[i] = word;
	return value;
}

static int write_all(uint64_t word)
{
	struct value value = all(word);

	return tarn_seqlock_write(lock, shared, &value, sizeof(value), TARN_FOREVER, NULL);
}

/* The word, or an error. */
static int64_t read_all(int64_t deadline)
{
	struct value value = all(99);
	int r = tarn_seqlock_read(lock, &value, shared, sizeof(value), deadline);

	if (r < 0)
		return r;
	for (int i = 1; i < WORDS; i++)
		assert_int_equal(value.words[i], value.words[0]);
	return (int64_t)value.words[0];
}

static int write_half(void)
{
	struct value value = all(7);
	int r = tarn_seqlock_lock(lock, TARN_FOREVER, NULL);

	return r < 0 ? r : tarn_seqlock_store(lock, shared, &value, sizeof(value) / 2);
}

static int write_half_and_die(void *arg)
{
	(void)arg;
	return write_half();
}

static int write_half_and_stay(void *arg)
{
	int r = write_half();

	(void)arg;
	atomic_store(&flags[0], 1);
	for (;;)
		pause();
	return r;
}

static void readers_see_what_was_written_whole(void **state)
{
	struct value value;
	uint32_t version;

	(void)state;
	assert_int_equal(read_all(TARN_FOREVER), 0);
	assert_int_equal(write_all(5), 0);
	assert_int_equal(read_all(TARN_FOREVER), 5);
	assert_int_equal(tarn_seqlock_begin(lock, &version), 0);
	tarn_seqlock_load(lock, &value, shared, sizeof(value));
	assert_true(tarn_seqlock_valid(lock, version));
	assert_int_equal(value.words[3], 5);
	assert_int_equal(write_all(6), 0);
	assert_false(tarn_seqlock_valid(lock, version));
}

static void while_somebody_writes_readers_wait(void **state)
{
	uint32_t version = 99;
	pid_t pid = start(write_half_and_stay, NULL);
	struct value value = all(1);
	struct tarn_diag diag;

	(void)state;
	await_flag(0);
	assert_int_equal(tarn_seqlock_begin(lock, &version), -EAGAIN);
	assert_int_equal(version, 99);
	assert_int_equal(read_all(tarn_deadline_after(SOON_NS)), -ETIMEDOUT);
	assert_int_equal(tarn_seqlock_try(lock, NULL), -EAGAIN);
	assert_int_equal(tarn_seqlock_lock(lock, tarn_deadline_after(SOON_NS), &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "sequence lock lock is held by process"));
	assert_int_equal(tarn_seqlock_write(lock, shared, &value, sizeof(value),
					    tarn_deadline_after(SOON_NS), &diag),
			 -ETIMEDOUT);
	assert_int_equal(tarn_seqlock_store(lock, shared, &value, sizeof(value)), -EPERM);
	assert_int_equal(tarn_seqlock_unlock(lock), -EPERM);
	assert_int_equal(tarn_seqlock_consistent(lock), -EPERM);
	assert_int_equal(shared->words[0], 7);
	end(pid);
}

static void a_dead_writer_is_told_of_at_once_until_all_is_written_anew(void **state)
{
	struct value value = all(3);
	uint32_t version;

	(void)state;
	assert_int_equal(write_all(5), 0);
	run_dead(write_half_and_die, NULL);
	assert_int_equal(tarn_seqlock_begin(lock, &version), -EOWNERDEAD);
	assert_int_equal(read_all(TARN_FOREVER), -EOWNERDEAD);
	/* a writer that takes over and does not mend it makes no difference */
	assert_int_equal(tarn_seqlock_lock(lock, TARN_FOREVER, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_seqlock_begin(lock, &version), -EAGAIN);
	assert_int_equal(tarn_seqlock_unlock(lock), 0);
	assert_int_equal(tarn_seqlock_begin(lock, &version), -EOWNERDEAD);
	assert_int_equal(read_all(TARN_FOREVER), -EOWNERDEAD);
	/* one that does */
	assert_int_equal(tarn_seqlock_try(lock, NULL), -EOWNERDEAD);
	assert_int_equal(tarn_seqlock_store(lock, shared, &value, sizeof(value)), 0);
	assert_int_equal(tarn_seqlock_consistent(lock), 0);
	assert_int_equal(tarn_seqlock_unlock(lock), 0);
	assert_int_equal(read_all(TARN_FOREVER), 3);
	/* and the whole at once */
	run_dead(write_half_and_die, NULL);
	assert_int_equal(write_all(4), 0);
	assert_int_equal(read_all(TARN_FOREVER), 4);
}

static int read_until_dead(void *arg)
{
	(void)arg;
	atomic_store(&flags[1], 1);
	return read_all(tarn_deadline_after(SURELY_NS)) == -EOWNERDEAD ? 0 : 1;
}

static void who_waits_to_read_is_told_of_the_death(void **state)
{
	pid_t writer = start(write_half_and_stay, NULL), reader;

	(void)state;
	await_flag(0);
	reader = start(read_until_dead, NULL);
	await_flag(1);
	pause_us(3000);
	end(writer);
	await_death(reader);
}

static void recovering_does_not_make_it_whole(void **state)
{
	(void)state;
	run_dead(write_half_and_die, NULL);
	assert_int_equal(tarn_section_recover(region, "lock", 0, NULL), 0);
	assert_int_equal(read_all(TARN_FOREVER), -EOWNERDEAD);
	assert_int_equal(write_all(8), 0);
	assert_int_equal(read_all(TARN_FOREVER), 8);
}

static void *write_half_and_end(void *arg)
{
	(void)arg;
	assert_int_equal(write_half(), 0);
	return NULL;
}

static void a_thread_that_ends_counts_as_dead(void **state)
{
	struct tarn_seqlock *again;

	(void)state;
	run_thread(write_half_and_end, NULL);
	assert_int_equal(read_all(TARN_FOREVER), -EOWNERDEAD);
	assert_int_equal(write_all(2), 0);
	assert_int_equal(tarn_seqlock_open(region, "lock", NULL, &again), 0);
	assert_int_equal(tarn_seqlock_lock(again, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_seqlock_lock(lock, TARN_FOREVER, NULL), -EDEADLK);
	tarn_seqlock_close(again);
	assert_int_equal(read_all(TARN_FOREVER), -EOWNERDEAD);
}

/* Through a mapping that cannot be written to. */
static void who_only_looks_on_can_read(void **state)
{
	const struct tarn_region_opts look = { .flags = TARN_REGION_OBSERVE };
	const struct tarn_seqlock_opts opts = { 0 };
	struct tarn_region *whole, *seen;
	struct tarn_seqlock *mine, *theirs;
	struct value in = all(11), out;
	uint32_t version;
	void *to, *from;

	(void)state;
	/* without a name, so that nothing is left where this fails */
	assert_int_equal(tarn_region_create("memfd:tarn-unit-seqlock", NULL, &whole), 0);
	assert_int_equal(tarn_seqlock_open(whole, "lock", &opts, &mine), 0);
	assert_int_equal(tarn_object_create(whole, "value", sizeof(in), &to, NULL), 0);
	assert_int_equal(tarn_seqlock_write(mine, to, &in, sizeof(in), TARN_FOREVER, NULL), 0);
	assert_int_equal(
		tarn_region_open_fd(tarn_segment_fd(tarn_region_segment(whole)), &look, &seen), 0);
	assert_int_equal(tarn_seqlock_open(seen, "lock", NULL, &theirs), 0);
	assert_int_equal(tarn_object_open(seen, "value", &from, NULL), 0);
	assert_int_equal(tarn_seqlock_read(theirs, &out, from, sizeof(out), TARN_FOREVER), 0);
	assert_int_equal(out.words[WORDS - 1], 11);
	assert_int_equal(tarn_seqlock_lock(theirs, TARN_FOREVER, NULL), -EPERM);
	assert_int_equal(tarn_seqlock_lock(mine, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_seqlock_begin(theirs, &version), -EAGAIN);
	tarn_seqlock_close(mine); /* as if it had died */
	assert_int_equal(tarn_seqlock_read(theirs, &out, from, sizeof(out), TARN_FOREVER),
			 -EOWNERDEAD);
	tarn_seqlock_close(theirs);
	tarn_region_close(seen);
	tarn_region_close(whole);
}

static void options_and_damage(void **state)
{
	struct section_shm *shm = ((struct prim *)lock)->sec.shm;
	struct tarn_diag diag;
	struct tarn_seqlock_opts wrong = { .reserved = { 1, 0 }, .diag = &diag };
	struct tarn_seqlock *l = lock;

	(void)state;
	assert_int_equal(tarn_seqlock_open(region, "new", &wrong, &l), -EINVAL);
	assert_non_null(strstr(diag.what, "reserved"));
	assert_int_equal(tarn_seqlock_open(region, "none", NULL, &l), -ENOENT);
	assert_int_equal(tarn_seqlock_open(region, "flags", NULL, &l), -EPROTO);
	assert_ptr_equal(l, lock);
	tarn_seqlock_close(NULL);
	/* odd and free, odd and nobody's: told, and no endless loop */
	atomic_store(&shm->seq, 7);
	assert_int_equal(read_all(TARN_FOREVER), -EUCLEAN);
	atomic_store(&shm->lock, 999u << 1);
	assert_int_equal(read_all(TARN_FOREVER), -EUCLEAN);
	atomic_store(&shm->lock, LOCK_ASIDE);
	assert_int_equal(read_all(TARN_FOREVER), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_recover(region, "lock", 0, NULL), 0);
	assert_int_equal(read_all(TARN_FOREVER), -EOWNERDEAD);
	assert_int_equal(write_all(1), 0);
	assert_int_equal(read_all(TARN_FOREVER), 1);
}

enum { ROUNDS = 3000 };

static int write_on(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < ROUNDS; i++)
		if (write_all(i) < 0)
			return 1;
	return 0;
}

static void nobody_reads_a_torn_value(void **state)
{
	pid_t one = start(write_on, NULL), two = start(write_on, NULL);

	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		assert_true(read_all(TARN_FOREVER) >= 0);
	await_death(one);
	await_death(two);
	assert_int_equal(read_all(TARN_FOREVER), ROUNDS - 1);
}

#define SEQLOCK_TEST(name) cmocka_unit_test_setup_teardown(name, make_seqlock, drop_seqlock)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SEQLOCK_TEST(readers_see_what_was_written_whole),
		SEQLOCK_TEST(while_somebody_writes_readers_wait),
		SEQLOCK_TEST(a_dead_writer_is_told_of_at_once_until_all_is_written_anew),
		SEQLOCK_TEST(who_waits_to_read_is_told_of_the_death),
		SEQLOCK_TEST(recovering_does_not_make_it_whole),
		SEQLOCK_TEST(a_thread_that_ends_counts_as_dead),
		SEQLOCK_TEST(who_only_looks_on_can_read),
		SEQLOCK_TEST(options_and_damage),
		SEQLOCK_TEST(nobody_reads_a_torn_value),
	};

	return cmocka_run_group_tests_name("seqlock", tests, NULL, NULL);
}
