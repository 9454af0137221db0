/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Section, at its edges: owners that die, are stopped, fork or end as threads; waiters; circles
 * over two regions; observers; and words that a peer has damaged.
 */
#include "section.h"

static struct tarn_section *first, *second;

static int make_sections(void **state)
{
	(void)state;
	return make_two("first", &first, "second", &second);
}

static int drop_sections(void **state)
{
	(void)state;
	drop_two(first, second);
	return 0;
}

static void no_findings(void)
{
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

/* --- the dead ------------------------------------------------------------------------------ */

static int change_and_die(void)
{
	if (tarn_section_enter(first, TARN_FOREVER, &tx, NULL) != 0)
		return 1;
	for (uint64_t i = 0; i < 10; i++)
		tarn_tx_set64(tx, &words[i], 100 + i);
	if (tarn_tx_write(tx, &words[3], "0123456789", 10) != 0)
		return 2;
	raise(SIGKILL);
	return 3;
}

static void what_the_dead_have_changed_is_undone(void **state)
{
	struct tarn_section_stat stat;
	uint32_t version = 0;

	(void)state;
	words[9] = 9;
	assert_int_equal(in_child(change_and_die), 1000 + SIGKILL);
	assert_int_equal(words[9], 109);
	assert_int_equal(tarn_section_read_begin(first, &version), -EOWNERDEAD);
	no_findings(); /* what the dead left is in order */
	assert_int_equal(tarn_section_stat(first, &stat), 0);
	assert_true(stat.held);
	assert_false(stat.owner.alive);
	assert_int_equal(tarn_section_enter(first, 0, &tx, NULL), 0);
	for (int i = 0; i < 9; i++)
		assert_int_equal(words[i], 0);
	assert_int_equal(words[9], 9);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(tarn_section_stat(first, &stat), 0);
	assert_int_equal(stat.recover_count, 1);
	assert_int_equal(tarn_section_read_begin(first, &version), 0);
	no_findings();
}

static void try_and_recover_undo_it_too(void **state)
{
	(void)state;
	assert_int_equal(in_child(change_and_die), 1000 + SIGKILL);
	assert_int_equal(tarn_section_try(first, &tx, NULL), 0);
	assert_int_equal(words[0], 0);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(in_child(change_and_die), 1000 + SIGKILL);
	assert_int_equal(tarn_section_recover(region, "first", 0, NULL), 0);
	assert_int_equal(words[0], 0);
	assert_int_equal(in_child(change_and_die), 1000 + SIGKILL);
	assert_int_equal(tarn_section_recover(region, NULL, 0, NULL), 0);
	assert_int_equal(words[0], 0);
	assert_int_equal(in_child(change_and_die), 1000 + SIGKILL);
	assert_int_equal(tarn_section_remove(region, "first", NULL), 0);
	assert_int_equal(words[0], 0);
	no_findings();
}

static int change_two_and_die(void)
{
	if (tarn_section_enter(first, TARN_FOREVER, &tx, NULL) != 0 ||
	    tarn_section_enter(second, TARN_FOREVER, &tx, NULL) != 0)
		return 1;
	tarn_tx_set64(tx, &words[0], 1);
	tarn_tx_set64(tx, &words[1], 2);
	raise(SIGKILL);
	return 3;
}

/* Whichever is entered first afterwards, the journal of the leader is undone before. */
static void a_dead_tx_over_two_sections_is_undone_from_either(void **state)
{
	struct tarn_section *order[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		order[0] = i == 0 ? first : second;
		order[1] = i == 0 ? second : first;
		assert_int_equal(in_child(change_two_and_die), 1000 + SIGKILL);
		no_findings();
		for (int k = 0; k < 2; k++) {
			assert_int_equal(tarn_section_enter(order[k], 0, &tx, NULL), 0);
			assert_int_equal(words[0], 0);
			assert_int_equal(words[1], 0);
			assert_int_equal(tarn_section_leave(order[k]), 0);
		}
		no_findings();
	}
	/* removing the leader may not take the journal away under the follower */
	assert_int_equal(in_child(change_two_and_die), 1000 + SIGKILL);
	assert_int_equal(tarn_section_remove(region, "first", NULL), 0);
	assert_int_equal(tarn_section_enter(second, 0, &tx, NULL), 0);
	assert_int_equal(words[1], 0);
	assert_int_equal(tarn_section_leave(second), 0);
}

/* Nobody holds it any more, but the follower needs its journal. */
static void a_removed_leader_is_kept_for_its_follower(void **state)
{
	void *p;

	(void)state;
	assert_int_equal(in_child(change_two_and_die), 1000 + SIGKILL);
	tarn_section_close(first);
	first = NULL;
	assert_int_equal(tarn_object_remove(region, "first"), 0);
	assert_int_equal(tarn_object_create(region, "next", 512, &p, NULL), 0);
	memset(p, 0xee, 512);
	assert_int_equal(tarn_section_enter(second, 0, &tx, NULL), 0);
	assert_int_equal(words[0], 0);
	assert_int_equal(words[1], 0);
	assert_int_equal(tarn_section_leave(second), 0);
	no_findings();
}

/* A leader that is none: what was changed under the follower cannot be known. */
static void a_follower_without_its_leader_is_not_handed_out(void **state)
{
	struct tarn_diag diag = { .what = "" };

	(void)state;
	assert_int_equal(in_child(change_two_and_die), 1000 + SIGKILL);
	atomic_store(&second->shm->leader, 1);
	assert_int_equal(tarn_section_enter(second, 0, &tx, &diag), -ENOTRECOVERABLE);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	assert_int_equal(tarn_section_recover(region, "second", 0, &diag), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_recover(region, "second", TARN_SECTION_FORCE, &diag), 0);
	assert_int_equal(tarn_section_enter(second, 0, &tx, &diag), 0);
	assert_int_equal(tarn_section_leave(second), 0);
	no_findings();
}

static int change_an_object_and_die(void)
{
	void *p;

	if (tarn_object_open(region, "short-lived", &p, NULL) != 0 ||
	    tarn_section_enter(first, TARN_FOREVER, &tx, NULL) != 0)
		return 1;
	if (tarn_tx_set64(tx, p, 1) != 0)
		return 2;
	raise(SIGKILL);
	return 3;
}

/* What is undone late goes where it belongs, and not over another object's bytes. */
static void removed_memory_is_not_reused_while_it_may_be_rolled_back(void **state)
{
	void *p, *next, *last;

	(void)state;
	assert_int_equal(tarn_object_create(region, "short-lived", 4096, &p, NULL), 0);
	assert_int_equal(in_child(change_an_object_and_die), 1000 + SIGKILL);
	tarn_object_close(region, p);
	assert_int_equal(tarn_object_remove(region, "short-lived"), 0);
	assert_int_equal(tarn_object_create(region, "next", 4096, &next, NULL), 0);
	assert_ptr_not_equal(next, p);
	assert_int_equal(tarn_section_enter(first, 0, &tx, NULL), 0);
	assert_int_equal(*(uint64_t *)p, 0);
	assert_int_equal(tarn_section_leave(first), 0);
	/* now nothing is owed */
	assert_int_equal(tarn_region_gc(region, NULL), 0);
	assert_int_equal(tarn_object_create(region, "last", 4096, &last, NULL), 0);
	assert_ptr_equal(last, p);
	no_findings();
}

static int hold_until_killed(void)
{
	if (tarn_section_enter(first, TARN_FOREVER, &tx, NULL) != 0)
		return 1;
	tarn_tx_set64(tx, &words[0], 7);
	atomic_store(flag, 1);
	for (;;)
		pause();
}

static pid_t holder(void)
{
	pid_t pid;

	atomic_store(flag, 0);
	pid = fork();
	if (pid == 0)
		_exit(hold_until_killed());
	while (atomic_load(flag) == 0)
		usleep(100); /* style: a test, waiting for another process to be where it should */
	return pid;
}

static void *enter_and_leave(void *arg)
{
	struct tarn_tx *mine;
	uint64_t seen;

	(void)arg;
	if (tarn_section_enter(first, TARN_FOREVER, &mine, NULL) != 0)
		return NULL;
	seen = words[0];
	tarn_tx_set64(mine, &words[1], words[1] + 1);
	return tarn_section_leave(first) == 0 && seen == 0 ? first : NULL;
}

static bool one_waits(uint32_t count)
{
	struct tarn_section_stat stat;

	assert_int_equal(tarn_section_stat(first, &stat), 0);
	return stat.waiter_count == count;
}

static void sleepers_are_woken_by_a_death(void **state)
{
	enum { SLEEPERS = 3 };
	pthread_t threads[SLEEPERS];
	pid_t pid = holder();
	void *result;

	(void)state;
	for (int i = 0; i < SLEEPERS; i++)
		pthread_create(&threads[i], NULL, enter_and_leave, NULL);
	while (!one_waits(SLEEPERS))
		usleep(100); /* style: as above */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < SLEEPERS; i++) {
		pthread_join(threads[i], &result);
		assert_ptr_equal(result, first);
	}
	assert_int_equal(words[1], SLEEPERS);
	assert_true(one_waits(0));
	no_findings();
}

static void a_stopped_owner_is_waited_for_and_named(void **state)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_section_stat stat;
	pid_t pid = holder();
	char text[32];
	int status;

	(void)state;
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	assert_int_equal(tarn_section_enter(first, tarn_deadline_after(50000000), &tx, &diag),
			 -ETIMEDOUT);
	snprintf(text, sizeof(text), "process %d,", (int)pid);
	assert_non_null(strstr(diag.what, text));
	assert_non_null(strstr(diag.what, "ms"));
	assert_int_equal(tarn_section_try(first, &tx, &diag), -EAGAIN);
	assert_int_equal(tarn_section_recover(region, "first", 0, NULL), -EBUSY);
	assert_int_equal(tarn_section_stat(first, &stat), 0);
	assert_true(stat.owner.alive);
	assert_int_equal(stat.owner.pid, pid);
	assert_true(stat.since_ns > 0 && stat.since_ns <= tarn_now());
	assert_int_equal(words[0], 7);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(tarn_section_enter(first, TARN_FOREVER, &tx, NULL), 0);
	assert_int_equal(words[0], 0);
	assert_int_equal(tarn_section_leave(first), 0);
}

/* --- threads and forks --------------------------------------------------------------------- */

static void *end_inside(void *arg)
{
	struct tarn_tx *mine;

	(void)arg;
	if (tarn_section_enter(first, TARN_FOREVER, &mine, NULL) != 0 ||
	    tarn_section_enter(second, TARN_FOREVER, &mine, NULL) != 0)
		return NULL;
	tarn_tx_set64(mine, &words[0], 1);
	return first;
}

static void a_thread_that_ends_inside_aborts(void **state)
{
	pthread_t thread;
	void *result;

	(void)state;
	pthread_create(&thread, NULL, end_inside, NULL);
	pthread_join(thread, &result);
	assert_ptr_equal(result, first);
	assert_int_equal(words[0], 0);
	assert_int_equal(tarn_section_enter(first, 0, &tx, NULL), 0);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(tarn_section_enter(second, 0, &tx, NULL), 0);
	assert_int_equal(tarn_section_leave(second), 0);
	no_findings();
}

static void *stranger(void *arg)
{
	struct tarn_tx *mine = NULL;
	bool good;

	good = tarn_section_leave(first) == -EPERM && tarn_section_abort(first) == -EPERM &&
	       tarn_section_try(first, &mine, NULL) == -EAGAIN &&
	       tarn_section_enter(first, 0, &mine, NULL) == -ETIMEDOUT && mine == NULL &&
	       tarn_tx_store(tx, words, 1, 8) == -EPERM;
	return good ? arg : NULL;
}

static void threads_of_a_process_exclude_each_other(void **state)
{
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(tarn_section_enter(first, 0, &tx, NULL), 0);
	pthread_create(&thread, NULL, stranger, first);
	pthread_join(thread, &result);
	assert_ptr_equal(result, first);
	assert_int_equal(tarn_section_leave(first), 0);
}

enum { ROUNDS = 20000 };

static void *count_up(void *arg)
{
	struct tarn_tx *mine;

	for (int i = 0; i < ROUNDS; i++) {
		if (tarn_section_enter(first, TARN_FOREVER, &mine, NULL) != 0)
			return NULL;
		tarn_tx_set64(mine, &words[0], words[0] + 1);
		tarn_tx_set64(mine, &words[1], words[1] - 1);
		if (tarn_section_leave(first) != 0)
			return NULL;
	}
	return arg;
}

static void nothing_is_lost_between_threads_and_readers_see_it_whole(void **state)
{
	pthread_t threads[3];
	uint64_t pair[2];
	void *result;

	(void)state;
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, count_up, first);
	for (int i = 0; i < ROUNDS; i++) {
		assert_int_equal(tarn_section_read(first, pair, words, 16, TARN_FOREVER), 0);
		assert_int_equal(pair[0] + pair[1], 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &result);
		assert_ptr_equal(result, first);
	}
	assert_int_equal(words[0], 3 * ROUNDS);
	no_findings();
}

static int not_inside(void)
{
	struct tarn_tx *mine = NULL;

	if (tarn_section_leave(first) != -EPERM || tarn_section_abort(first) != -EPERM)
		return 1;
	if (tarn_tx_store(tx, words, 5, 8) != -EPERM || tarn_tx_set64(tx, words, 5) != -EPERM)
		return 2;
	if (tarn_section_enter(first, 0, &mine, NULL) != -ETIMEDOUT)
		return 3;
	if (tarn_section_enter(second, 0, &mine, NULL) != 0 || tarn_section_leave(second) != 0)
		return 4;
	tarn_section_close(first);
	return 0;
}

static void a_child_is_inside_of_nothing(void **state)
{
	(void)state;
	assert_int_equal(tarn_section_enter(first, 0, &tx, NULL), 0);
	tarn_tx_set64(tx, &words[0], 1);
	assert_int_equal(in_child(not_inside), 0);
	assert_int_equal(words[0], 1);
	tarn_tx_set64(tx, &words[1], 1);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(words[1], 1);
	no_findings();
}

/* --- a circle over two regions -------------------------------------------------------------- */

static struct tarn_section *far_section;

struct side {
	int r; /* of the second enter */
	struct tarn_diag diag;
};

/* Enter one, then the other; give way if told so. */
static void both(struct side *side, struct tarn_section *one, struct tarn_section *two)
{
	struct tarn_tx *a, *b;

	assert_int_equal(tarn_section_enter(one, TARN_FOREVER, &a, NULL), 0);
	atomic_fetch_add(flag, 1);
	while (atomic_load(flag) < 2)
		usleep(100); /* style: as above */
	side->diag.what[0] = '\0';
	side->r = tarn_section_enter(two, TARN_FOREVER, &b, &side->diag);
	if (side->r == 0)
		assert_int_equal(tarn_section_leave(two), 0);
	assert_int_equal(tarn_section_leave(one), 0);
}

static void *other_way_round(void *arg)
{
	both(arg, far_section, first);
	return NULL;
}

static void a_circle_over_two_regions_is_found(void **state)
{
	const struct tarn_section_opts opts = { .journal_size = 64 };
	struct side near_side, far_side, *told;
	struct tarn_region *other;
	pthread_t thread;

	(void)state;
	assert_int_equal(tarn_region_create("anon:", NULL, &other), 0);
	assert_int_equal(tarn_section_open(other, "far", &opts, &far_section), 0);
	pthread_create(&thread, NULL, other_way_round, &far_side);
	both(&near_side, first, far_section);
	pthread_join(thread, NULL);
	/* one of the two is told, or both are */
	told = near_side.r != 0 ? &near_side : &far_side;
	assert_int_equal(told->r, -EDEADLK);
	assert_non_null(strstr(told->diag.what, "waits in far"));
	assert_non_null(strstr(told->diag.what, "waits in first"));
	assert_true(near_side.r == 0 || near_side.r == -EDEADLK);
	assert_true(far_side.r == 0 || far_side.r == -EDEADLK);
	tarn_section_close(far_section);
	tarn_region_close(other);
}

/* --- observers ----------------------------------------------------------------------------- */

static void observers_read_and_cannot_enter(void **state)
{
	const struct tarn_region_opts look = { .flags = TARN_REGION_OBSERVE };
	const struct tarn_section_opts opts = { .journal_size = 256 };
	struct tarn_region *observer;
	struct tarn_section *seen, *none = NULL;
	uint64_t got = 77;
	void *p;

	(void)state;
	words[0] = 5;
	assert_int_equal(
		tarn_region_open_fd(tarn_segment_fd(tarn_region_segment(region)), &look, &observer),
		0);
	assert_int_equal(tarn_section_open(observer, "first", &opts, &seen), 0);
	assert_int_equal(tarn_section_open(observer, "none", &opts, &none), -ENOENT);
	assert_int_equal(tarn_object_open(observer, "data", &p, NULL), 0);
	assert_int_equal(tarn_section_enter(seen, 0, &tx, NULL), -EPERM);
	assert_int_equal(tarn_section_try(seen, &tx, NULL), -EPERM);
	assert_int_equal(tarn_section_recover(observer, "first", 0, NULL), -EPERM);
	assert_int_equal(tarn_section_remove(observer, "first", NULL), -EPERM);
	assert_int_equal(tarn_section_read(seen, &got, p, 8, 0), 0);
	assert_int_equal(got, 5);
	assert_int_equal(tarn_section_enter(first, 0, &tx, NULL), 0);
	assert_int_equal(tarn_section_read(seen, &got, p, 8, 0), -ETIMEDOUT);
	assert_int_equal(tarn_section_leave(first), 0);
	assert_int_equal(in_child(change_and_die), 1000 + SIGKILL);
	assert_int_equal(tarn_section_read(seen, &got, p, 8, 0), -EOWNERDEAD);
	assert_int_equal(tarn_section_recover(region, "first", 0, NULL), 0);
	assert_int_equal(tarn_section_read(seen, &got, p, 8, 0), 0);
	assert_int_equal(got, 5);
	tarn_section_close(seen);
	tarn_region_close(observer);
}

/* --- damage -------------------------------------------------------------------------------- */

/* A dead owner's journal with one thing wrong in it. */
static void set_aside_by(void (*damage)(struct section_shm *shm))
{
	struct tarn_diag diag = { .what = "" };
	uint32_t version;

	memset(words, 0, 512);
	assert_int_equal(in_child(change_and_die), 1000 + SIGKILL);
	damage(first->shm);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	assert_int_equal(tarn_section_enter(first, 0, &tx, &diag), -ENOTRECOVERABLE);
	assert_string_not_equal(diag.what, "");
	assert_int_equal(words[8], 108); /* not a byte was changed */
	assert_int_equal(tarn_section_try(first, &tx, NULL), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_read_begin(first, &version), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_remove(region, "first", NULL), -ENOTRECOVERABLE);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	/* others go on */
	assert_int_equal(tarn_section_enter(second, 0, &tx, NULL), 0);
	assert_int_equal(tarn_section_leave(second), 0);
	assert_int_equal(tarn_section_recover(region, "first", 0, &diag), -ENOTRECOVERABLE);
	assert_non_null(strstr(diag.what, "cannot be rolled back"));
	assert_int_equal(tarn_section_recover(region, "first", TARN_SECTION_FORCE, &diag), 0);
	assert_int_equal(tarn_section_enter(first, 0, &tx, NULL), 0);
	assert_int_equal(tarn_section_leave(first), 0);
	no_findings();
}

static void wild_offset(struct section_shm *shm)
{
	shm->journal[2].where |= UINT64_C(0xffff) << 48;
}

static void wild_count(struct section_shm *shm)
{
	atomic_store(&shm->count, 17);
}

static void wild_code(struct section_shm *shm)
{
	shm->journal[5].where |= 7;
}

static void wild_range(struct section_shm *shm)
{
	shm->journal[11].old = UINT64_MAX;
}

static void stale_tag(struct section_shm *shm)
{
	shm->journal[4].where ^= 1u << 4;
}

static void odd_offset(struct section_shm *shm)
{
	shm->journal[4].where += UINT64_C(4) << 16;
}

static void own_bytes(struct section_shm *shm)
{
	uint64_t off = (uint64_t)((unsigned char *)shm - region->base) + 64;

	shm->journal[4].where = off << 16 | (shm->journal[4].where & 0xffff);
}

static void a_damaged_journal_sets_the_section_aside(void **state)
{
	(void)state;
	set_aside_by(wild_offset);
	set_aside_by(wild_count);
	set_aside_by(wild_code);
	set_aside_by(wild_range);
	set_aside_by(stale_tag);
	set_aside_by(odd_offset);
	set_aside_by(own_bytes);
}

static void set_aside_by_its_owner(void **state)
{
	(void)state;
	assert_int_equal(tarn_section_enter(first, 0, &tx, NULL), 0);
	tarn_tx_set64(tx, &words[0], 1);
	wild_code(first->shm); /* not one of the entries */
	first->shm->journal[0].where |= 6;
	assert_int_equal(tarn_section_abort(first), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_leave(first), -EPERM);
	assert_int_equal(tarn_section_enter(first, 0, &tx, NULL), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_recover(region, "first", TARN_SECTION_FORCE, NULL), 0);
	no_findings();
}

static void a_damaged_lock_word_is_told(void **state)
{
	struct tarn_diag diag = { .what = "" };
	uint32_t version;

	(void)state;
	atomic_store(&first->shm->lock, 0x7fau); /* a slot beyond member_max */
	assert_int_equal(tarn_section_enter(first, TARN_FOREVER, &tx, &diag), -EUCLEAN);
	assert_string_not_equal(diag.what, "");
	assert_int_equal(tarn_section_try(first, &tx, NULL), -EUCLEAN);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	assert_int_equal(tarn_section_recover(region, "first", 0, NULL), 0);
	no_findings();
	/* free, and seq says that somebody is inside */
	atomic_fetch_add(&first->shm->seq, 1);
	assert_int_equal(tarn_section_enter(first, TARN_FOREVER, &tx, &diag), -EUCLEAN);
	assert_int_equal(tarn_section_enter(second, 0, &tx, NULL), 0);
	assert_int_equal(tarn_section_try(first, &tx, &diag), -EUCLEAN);
	assert_int_equal(tarn_section_leave(second), 0);
	assert_int_equal(tarn_section_read_begin(first, &version), -EAGAIN);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	assert_int_equal(tarn_section_recover(region, "first", 0, NULL), 0);
	assert_int_equal(tarn_section_enter(first, 0, &tx, &diag), 0);
	assert_int_equal(tarn_section_leave(first), 0);
	no_findings();
}

static void a_damaged_header_is_told(void **state)
{
	struct tarn_section *other = NULL;

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		unsigned char *byte = (unsigned char *)first->shm + i;

		*byte ^= 0x55;
		assert_int_equal(tarn_section_open(region, "first", NULL, &other), -EUCLEAN);
		assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
		assert_int_equal(tarn_section_recover(region, "first", 0, NULL), -EUCLEAN);
		*byte ^= 0x55;
	}
	first->shm->version = 2;
	first->shm->check = tarn__section_header_check(first->shm);
	assert_int_equal(tarn_section_open(region, "first", NULL, &other), -EPROTO);
	assert_null(other);
}

/* A scribbled count cannot lead outside the journal. */
static void a_scribbled_count_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(tarn_section_enter(first, 0, &tx, NULL), 0);
	tarn_tx_set64(tx, &words[0], 1);
	atomic_store(&first->shm->count, 0x7fffffff);
	assert_int_equal(tarn_tx_set64(tx, &words[1], 1), -EUCLEAN);
	assert_int_equal(words[1], 0);
	assert_int_equal(tarn_section_leave(first), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_recover(region, "first", TARN_SECTION_FORCE, NULL), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_sections, drop_sections)
	const struct CMUnitTest tests[] = {
		TEST(what_the_dead_have_changed_is_undone),
		TEST(try_and_recover_undo_it_too),
		TEST(a_dead_tx_over_two_sections_is_undone_from_either),
		TEST(a_removed_leader_is_kept_for_its_follower),
		TEST(a_follower_without_its_leader_is_not_handed_out),
		TEST(removed_memory_is_not_reused_while_it_may_be_rolled_back),
		TEST(sleepers_are_woken_by_a_death),
		TEST(a_stopped_owner_is_waited_for_and_named),
		TEST(a_thread_that_ends_inside_aborts),
		TEST(threads_of_a_process_exclude_each_other),
		TEST(nothing_is_lost_between_threads_and_readers_see_it_whole),
		TEST(a_child_is_inside_of_nothing),
		TEST(a_circle_over_two_regions_is_found),
		TEST(observers_read_and_cannot_enter),
		TEST(a_damaged_journal_sets_the_section_aside),
		TEST(set_aside_by_its_owner),
		TEST(a_damaged_lock_word_is_told),
		TEST(a_damaged_header_is_told),
		TEST(a_scribbled_count_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
