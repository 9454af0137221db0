/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Section: what is mended in which order, what is kept for whom, and circles of more than two.
 */
#include "section.h"

static struct tarn_section *low, *high; /* in the order of their offsets, and of the directory */

static int make_sections(void **state)
{
	(void)state;
	if (make_two("low", &low, "high", &high) < 0)
		return -1;
	words[0] = 1;
	return 0;
}

static int drop_sections(void **state)
{
	(void)state;
	drop_two(low, high);
	return 0;
}

static void die_in_child(int (*fn)(void))
{
	assert_int_equal(in_child(fn), 1000 + SIGKILL);
}

static uint32_t recovered(struct tarn_section *section)
{
	struct tarn_section_stat stat;

	assert_int_equal(tarn_section_stat(section, &stat), 0);
	return stat.recover_count;
}

/* --- followers that come before their leader -------------------------------------------------- */

/* high leads, since it was entered first; low follows. */
static void change_under_both(void)
{
	if (tarn_section_enter(high, TARN_FOREVER, &tx, NULL) < 0 ||
	    tarn_section_try(low, &tx, NULL) < 0)
		_exit(2);
	(void)tarn_tx_set64(tx, &words[0], 2);
	(void)tarn_tx_set64(tx, &words[1], 2);
}

static int change_and_die(void)
{
	change_under_both();
	raise(SIGKILL);
	return 1;
}

static int spoil_and_die(void)
{
	change_under_both();
	high->shm->journal[1].where ^= 1u << 4; /* the second entry's tag */
	raise(SIGKILL);
	return 1;
}

static void a_leader_is_recovered_before_what_follows_it(void **state)
{
	(void)state;
	die_in_child(change_and_die);
	assert_int_equal(tarn_section_recover(region, "low", 0, NULL), 0);
	assert_int_equal(words[0], 1);
	assert_int_equal(recovered(low), 1);
	assert_int_equal(recovered(high), 1);
	die_in_child(change_and_die);
	assert_int_equal(tarn_section_recover(region, NULL, 0, NULL), 0);
	assert_int_equal(words[0], 1);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

static void a_follower_is_forced_only_after_its_leader(void **state)
{
	(void)state;
	die_in_child(spoil_and_die);
	assert_int_equal(tarn_section_enter(low, 0, &tx, NULL), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_recover(region, NULL, 0, NULL), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_recover(region, "low", TARN_SECTION_FORCE, NULL), 0);
	assert_int_equal(words[0], 1); /* its entry was sound */
	assert_int_equal(words[1], 2); /* its entry was not */
	assert_int_equal(tarn_section_enter(low, 0, &tx, NULL), 0);
	assert_int_equal(tarn_tx_set64(tx, &words[0], 77), 0);
	assert_int_equal(tarn_section_leave(low), 0);
	assert_int_equal(tarn_section_recover(region, "high", TARN_SECTION_FORCE, NULL), 0);
	assert_int_equal(words[0], 77);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

static int die_inside_low(void)
{
	if (tarn_section_enter(low, TARN_FOREVER, &tx, NULL) == 0) {
		(void)tarn_tx_set64(tx, &words[0], 2);
		raise(SIGKILL);
	}
	return 1;
}

/* As it is for a moment when two recover at once: the fate of a dead one's tx is in the hands of
 * somebody who lives. Here that lasts: low says that it follows high, which is inside of another's
 * tx. Neither is low set aside for it, nor forced beside whoever may be putting words back. */
static void whose_leader_is_being_seen_to_is_left_as_it_is(void **state)
{
	const struct tarn_section_opts opts = { .journal_size = 256 };
	struct tarn_section *top;
	uint32_t lock;

	(void)state;
	assert_int_equal(tarn_section_open(region, "top", &opts, &top), 0);
	die_in_child(die_inside_low);
	assert_int_equal(tarn_section_enter(top, TARN_FOREVER, &tx, NULL), 0);
	assert_int_equal(tarn_section_try(high, &tx, NULL), 0);
	low->shm->leader = place_of(high);
	low->shm->leader_seq = high->shm->seq;
	lock = low->shm->lock;
	assert_int_equal(tarn_section_recover(region, "low", 0, NULL), -EBUSY);
	assert_int_equal(tarn_section_recover(region, "low", TARN_SECTION_FORCE, NULL), -EBUSY);
	assert_int_equal(low->shm->lock, lock);
	assert_int_equal(low->shm->seq & 1, 1);
	assert_int_equal(tarn_section_leave(high), 0);
	assert_int_equal(tarn_section_leave(top), 0);
	assert_int_equal(tarn_section_recover(region, "low", 0, NULL), 0);
	assert_int_equal(recovered(low), 1);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	tarn_section_close(top);
}

static void one_recovery_of_all_is_enough_once_the_journal_is_in_order(void **state)
{
	(void)state;
	die_in_child(spoil_and_die);
	assert_int_equal(tarn_section_recover(region, NULL, 0, NULL), -ENOTRECOVERABLE);
	high->shm->journal[1].where ^= 1u << 4;
	assert_int_equal(tarn_section_recover(region, NULL, 0, NULL), 0);
	assert_int_equal(words[0], 1);
	assert_int_equal(words[1], 0);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

/* --- what is kept --------------------------------------------------------------------------- */

static int commit_the_leader_and_die(void)
{
	change_under_both();
	settle(high->shm, high->shm->seq); /* the first store of leaving; the second never comes */
	raise(SIGKILL);
	return 1;
}

/* That a leader has committed is to be seen by those who follow it. */
static void a_removed_leader_that_has_committed_is_kept_too(void **state)
{
	void *p;

	(void)state;
	die_in_child(commit_the_leader_and_die);
	tarn_section_close(high);
	high = NULL;
	assert_int_equal(tarn_object_remove(region, "high"), 0);
	assert_int_equal(tarn_object_create(region, "next", 512, &p, NULL), 0);
	memset(p, 0xee, 512);
	assert_int_equal(tarn_section_enter(low, 0, &tx, NULL), 0);
	assert_int_equal(words[0], 2);
	assert_int_equal(tarn_section_leave(low), 0);
}

static int go[2], done[2];

static void step(void)
{
	char c = 0;

	if (write(done[1], &c, 1) != 1 || read(go[0], &c, 1) != 1)
		_exit(3);
}

static void next_step(void)
{
	char c = 0;

	assert_int_equal(write(go[1], &c, 1), 1);
	assert_int_equal(read(done[0], &c, 1), 1);
}

/* Its handle of low, which the parent removes meanwhile, lets go of nothing else. */
static void close_what_was_removed(void)
{
	void *p;

	step();
	if (tarn_object_open(region, "mine", &p, NULL) < 0)
		_exit(4);
	tarn_section_close(low);
	step();
	memset(p, 'C', 64);
	step();
	raise(SIGKILL);
}

static void a_stale_handle_lets_go_of_its_own_alone(void **state)
{
	void *mine, *other;
	char c;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(done), 0);
	pid = fork();
	if (pid == 0) {
		alarm(30);
		close_what_was_removed();
	}
	assert_int_equal(read(done[0], &c, 1), 1);
	tarn_section_close(low);
	low = NULL;
	assert_int_equal(tarn_section_remove(region, "low", NULL), 0);
	assert_int_equal(tarn_object_create(region, "mine", 64, &mine, NULL), 0);
	next_step();
	tarn_object_close(region, mine);
	assert_int_equal(tarn_object_remove(region, "mine"), 0);
	assert_int_equal(tarn_object_create(region, "other", 64, &other, NULL), 0);
	assert_ptr_not_equal(other, mine); /* the child has it open */
	next_step();
	assert_int_equal(*(char *)other, 0);
	assert_int_equal(write(go[1], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(done[i]);
	}
}

/* --- words that contradict each other --------------------------------------------------------- */

static bool damaged(struct tarn_section *section)
{
	struct tarn_section_stat stat;

	assert_int_equal(tarn_section_stat(section, &stat), 0);
	return stat.damaged;
}

static void contradictions_are_told_and_mended(void **state)
{
	(void)state;
	assert_false(damaged(low));
	assert_int_equal(tarn_section_enter(low, 0, &tx, NULL), 0);
	assert_false(damaged(low));
	assert_int_equal(tarn_section_leave(low), 0);
	atomic_store(&low->shm->lock, 0x7fau); /* a slot beyond member_max */
	assert_true(damaged(low));
	assert_int_equal(tarn_section_recover(region, "low", 0, NULL), 0);
	assert_false(damaged(low));
	atomic_fetch_add(&low->shm->seq, 1); /* free, and somebody is inside */
	assert_true(damaged(low));
	assert_int_equal(tarn_section_recover(region, "low", 0, NULL), 0);
	assert_false(damaged(low));
	assert_int_equal(tarn_section_enter(low, 0, &tx, NULL), 0);
	assert_int_equal(tarn_section_leave(low), 0);
}

/* --- a circle of three ---------------------------------------------------------------------- */

enum { SIDES = 3 };

static struct tarn_section *around[SIDES];
static _Atomic uint32_t inside;
static int results[SIDES];

static void *one_then_the_next(void *arg)
{
	int n = (int)(intptr_t)arg;
	struct tarn_tx *a, *b;

	assert_int_equal(tarn_section_enter(around[n], TARN_FOREVER, &a, NULL), 0);
	atomic_fetch_add(&inside, 1);
	while (atomic_load(&inside) < SIDES)
		usleep(100); /* style: a test, waiting for other threads to be where they should */
	results[n] = tarn_section_enter(around[(n + 1) % SIDES], TARN_FOREVER, &b, NULL);
	if (results[n] == 0)
		assert_int_equal(tarn_section_leave(around[(n + 1) % SIDES]), 0);
	assert_int_equal(tarn_section_leave(around[n]), 0);
	return NULL;
}

static void a_circle_over_three_regions_is_found(void **state)
{
	const struct tarn_section_opts opts = { .journal_size = 64 };
	struct tarn_region *regions[SIDES];
	pthread_t threads[SIDES];
	int told = 0;

	(void)state;
	atomic_store(&inside, 0);
	for (int i = 0; i < SIDES; i++) {
		assert_int_equal(tarn_region_create("anon:", NULL, &regions[i]), 0);
		assert_int_equal(tarn_section_open(regions[i], "s", &opts, &around[i]), 0);
	}
	for (intptr_t i = 0; i < SIDES; i++)
		pthread_create(&threads[i], NULL, one_then_the_next, (void *)i);
	for (int i = 0; i < SIDES; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SIDES; i++) {
		assert_true(results[i] == 0 || results[i] == -EDEADLK);
		told += results[i] != 0;
		tarn_section_close(around[i]);
		tarn_region_close(regions[i]);
	}
	assert_true(told > 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_sections, drop_sections)
	const struct CMUnitTest tests[] = {
		TEST(a_leader_is_recovered_before_what_follows_it),
		TEST(a_follower_is_forced_only_after_its_leader),
		TEST(whose_leader_is_being_seen_to_is_left_as_it_is),
		TEST(one_recovery_of_all_is_enough_once_the_journal_is_in_order),
		TEST(a_removed_leader_that_has_committed_is_kept_too),
		TEST(a_stale_handle_lets_go_of_its_own_alone),
		TEST(contradictions_are_told_and_mended),
		TEST(a_circle_over_three_regions_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
