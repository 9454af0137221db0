/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Section: the places where waiters are written down, when there are more waiters than places; what
 * observers wait for; and the words for who waited in vain.
 */
#include <sys/resource.h>

#include "section.h"

enum { PLACES = TARN_SECTION_WAITERS, CROWD = 2 * (PLACES + 2) };

static struct tarn_region *other, *third;
static struct tarn_section *near, *after, *far;

static int make_sections(void **state)
{
	const struct tarn_section_opts opts = { .journal_size = 256 };

	(void)state;
	if (make_two("near", &near, "after", &after) < 0 ||
	    tarn_region_create("anon:", NULL, &other) < 0 ||
	    tarn_region_create("anon:", NULL, &third) < 0 ||
	    tarn_section_open(other, "far", &opts, &far) < 0)
		return -1;
	return 0;
}

static int drop_sections(void **state)
{
	(void)state;
	tarn_section_close(far);
	tarn_region_close(other);
	tarn_region_close(third);
	drop_two(near, after);
	return 0;
}

/* Until so many have slept in @section, ever. */
static void await_slept(struct tarn_section *section, uint32_t count)
{
	while (atomic_load(&section->shm->waited) < count)
		usleep(100); /* style: a test, waiting for another thread to be where it should */
}

static uint32_t waiters_of(struct tarn_section *section)
{
	struct tarn_section_stat stat;

	assert_int_equal(tarn_section_stat(section, &stat), 0);
	return stat.waiter_count;
}

/* --- more waiters than places --------------------------------------------------------------- */

struct one {
	pthread_t thread;
	struct tarn_section *inside_of; /* NULL: of nothing */
	struct tarn_section *section;   /* in which it waits */
	int64_t deadline;
	int r;
};

static void *wait_in(void *arg)
{
	struct one *one = arg;
	struct tarn_tx *outer, *mine;

	if (one->inside_of != NULL &&
	    tarn_section_enter(one->inside_of, TARN_FOREVER, &outer, NULL) != 0)
		return NULL;
	one->r = tarn_section_enter(one->section, one->deadline, &mine, NULL);
	if (one->r == 0 && tarn_section_leave(one->section) != 0)
		return NULL;
	if (one->inside_of != NULL && tarn_section_leave(one->inside_of) != 0)
		return NULL;
	return one;
}

static void start(struct one *one, struct tarn_section *section, int64_t deadline,
		  struct tarn_section *inside_of)
{
	*one = (struct one){ .section = section, .deadline = deadline, .inside_of = inside_of };
	assert_int_equal(pthread_create(&one->thread, NULL, wait_in, one), 0);
}

static void end(struct one *one, int r)
{
	void *result = NULL;

	pthread_join(one->thread, &result);
	assert_ptr_equal(result, one);
	assert_int_equal(one->r, r);
}

/* One of the two who wait for each other: inside of its own, it enters the other's once told. */
struct side {
	struct tarn_section *own, *wanted;
	int r;
};

static void *cross(void *arg)
{
	struct side *side = arg;
	struct tarn_tx *a, *b;

	if (tarn_section_enter(side->own, TARN_FOREVER, &a, NULL) != 0)
		return NULL;
	atomic_fetch_add(flag, 1);
	while (atomic_load(flag) < 3)
		usleep(100); /* style: as above */
	side->r = tarn_section_enter(side->wanted, TARN_FOREVER, &b, NULL);
	if (side->r == 0 && tarn_section_leave(side->wanted) != 0)
		return NULL;
	return tarn_section_leave(side->own) == 0 ? side : NULL;
}

static void start_sides(struct side sides[2], pthread_t threads[2])
{
	sides[0] = (struct side){ .own = near, .wanted = far };
	sides[1] = (struct side){ .own = far, .wanted = near };
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, cross, &sides[i]), 0);
	while (atomic_load(flag) < 2)
		usleep(100); /* style: as above */
}

/* One of the two is told, or both are; then everybody comes through. */
static void end_sides(const struct side sides[2], const pthread_t threads[2])
{
	void *result = NULL;

	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &result);
		assert_ptr_equal(result, &sides[i]);
		assert_true(sides[i].r == 0 || sides[i].r == -EDEADLK);
	}
	assert_true(sides[0].r == -EDEADLK || sides[1].r == -EDEADLK);
}

static void a_circle_is_found_behind_a_crowd_that_is_inside_of_nothing(void **state)
{
	struct one crowd[CROWD];
	struct side sides[2];
	pthread_t threads[2];

	(void)state;
	start_sides(sides, threads);
	for (int i = 0; i < CROWD; i++)
		start(&crowd[i], i % 2 == 0 ? near : far, TARN_FOREVER, NULL);
	await_slept(near, CROWD / 2);
	await_slept(far, CROWD / 2);
	assert_int_equal(waiters_of(near), PLACES);
	assert_int_equal(waiters_of(far), PLACES);
	atomic_fetch_add(flag, 1);
	end_sides(sides, threads);
	for (int i = 0; i < CROWD; i++)
		end(&crowd[i], 0);
	assert_int_equal(waiters_of(near), 0);
	assert_int_equal(waiters_of(far), 0);
}

/* Who found no place looks again: here all are inside of something, and some give up. */
static void a_circle_is_found_once_there_is_a_place(void **state)
{
	const struct tarn_section_opts opts = { .journal_size = 64 };
	struct tarn_section *own[2 * PLACES];
	struct one crowd[2 * PLACES];
	struct side sides[2];
	pthread_t threads[2];
	char name[16];

	(void)state;
	start_sides(sides, threads);
	for (int i = 0; i < 2 * PLACES; i++) {
		snprintf(name, sizeof(name), "own%d", i);
		assert_int_equal(tarn_section_open(third, name, &opts, &own[i]), 0);
		start(&crowd[i], i % 2 == 0 ? near : far,
		      i == 0 ? tarn_deadline_after(300000000) : TARN_FOREVER, own[i]);
	}
	await_slept(near, PLACES);
	await_slept(far, PLACES);
	atomic_fetch_add(flag, 1);
	end(&crowd[0], -ETIMEDOUT);
	end_sides(sides, threads);
	for (int i = 1; i < 2 * PLACES; i++)
		end(&crowd[i], 0);
	for (int i = 0; i < 2 * PLACES; i++)
		tarn_section_close(own[i]);
	assert_int_equal(waiters_of(near), 0);
}

/* Entries of a living member, this one, but of no thread. */
static void scribble(struct waiter_shm *place, uint32_t token, uint32_t inside)
{
	atomic_store(&place->id, id_of(near));
	atomic_store(&place->tid, 7);
	atomic_store(&place->inside, inside);
	atomic_store(&place->token, token);
}

static void await_token(const struct waiter_shm *place, uint32_t other_than)
{
	while (atomic_load(&place->token) == 0 || atomic_load(&place->token) == other_than)
		usleep(100); /* style: as above */
}

static void who_lost_its_place_takes_another_and_leaves_that_one_alone(void **state)
{
	struct waiter_shm *places = near->shm->waiters;
	struct one one;

	(void)state;
	assert_int_equal(tarn_section_enter(near, 0, &tx, NULL), 0);
	start(&one, near, TARN_FOREVER, NULL);
	await_token(&places[0], 0);
	scribble(&places[0], 77, 1);
	await_token(&places[1], 0);
	assert_int_equal(tarn_section_leave(near), 0);
	end(&one, 0);
	assert_int_equal(atomic_load(&places[0].token), 77);
	assert_int_equal(atomic_load(&places[0].id), id_of(near));
	assert_int_equal(atomic_load(&places[1].token), 0);
	assert_int_equal(atomic_load(&places[1].id), 0);
}

static void nobody_takes_the_place_of_one_who_is_inside_of_something(void **state)
{
	struct waiter_shm *places = near->shm->waiters;
	struct one outside, inside;

	(void)state;
	assert_int_equal(tarn_section_enter(near, 0, &tx, NULL), 0);
	for (int i = 0; i < PLACES; i++)
		scribble(&places[i], 77, UINT32_MAX - 1);
	start(&outside, near, TARN_FOREVER, NULL);
	start(&inside, near, TARN_FOREVER, far);
	await_slept(near, 2);
	usleep(30000); /* style: a few sleeps; if these are too short, the test sees less */
	for (int i = 0; i < PLACES; i++)
		assert_int_equal(atomic_load(&places[i].token), 77);
	/* inside of nothing: for the one, not for the other */
	atomic_store(&places[5].inside, 0);
	await_token(&places[5], 77);
	assert_int_equal(atomic_load(&places[5].inside), 1);
	assert_int_equal(tarn_section_leave(near), 0);
	end(&outside, 0);
	end(&inside, 0);
	assert_int_equal(atomic_load(&places[5].id), 0);
	assert_int_equal(atomic_load(&places[4].token), 77);
}

/* By one who was killed while it was about to write. */
static void a_place_without_a_token_is_anybodys(void **state)
{
	struct waiter_shm *places = near->shm->waiters;
	struct one one;

	(void)state;
	assert_int_equal(tarn_section_enter(near, 0, &tx, NULL), 0);
	for (int i = 0; i < PLACES; i++)
		scribble(&places[i], i == 6 ? 0 : 77, 1);
	start(&one, near, TARN_FOREVER, NULL);
	await_token(&places[6], 0);
	assert_int_equal(waiters_of(near), PLACES);
	assert_int_equal(tarn_section_leave(near), 0);
	end(&one, 0);
	assert_int_equal(waiters_of(near), PLACES - 1);
}

static uint32_t parents_token;

static int another_token(void)
{
	if (tarn_section_enter(near, TARN_FOREVER, &tx, NULL) != 0)
		return 1;
	return tarn__self.token != parents_token && tarn__self.token != 0 ? 0 : 2;
}

static void a_child_draws_a_token_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(tarn_section_enter(near, 0, &tx, NULL), 0);
	assert_int_equal(tarn_section_leave(near), 0);
	parents_token = tarn__self.token;
	assert_int_equal(in_child(another_token), 0);
}

/* --- observers ----------------------------------------------------------------------------- */

static struct tarn_region *observer;
static struct tarn_section *seen;
static void *data;

static void observe(void)
{
	const struct tarn_region_opts look = { .flags = TARN_REGION_OBSERVE };

	assert_int_equal(
		tarn_region_open_fd(tarn_segment_fd(tarn_region_segment(region)), &look, &observer),
		0);
	assert_int_equal(tarn_section_open(observer, "near", NULL, &seen), 0);
	assert_int_equal(tarn_object_open(observer, "data", &data, NULL), 0);
}

static void observe_no_more(void)
{
	tarn_section_close(seen);
	tarn_region_close(observer);
}

static long sleeps(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw; /* not those of sched_yield() */
}

static void an_observer_sleeps_while_somebody_is_inside(void **state)
{
	uint64_t got;
	long before;

	(void)state;
	observe();
	assert_int_equal(tarn_section_enter(near, 0, &tx, NULL), 0);
	before = sleeps();
	assert_int_equal(tarn_section_read(seen, &got, data, 8, tarn_deadline_after(100000000)),
			 -ETIMEDOUT);
	assert_true(sleeps() - before >= 3);
	assert_int_equal(tarn_section_leave(near), 0);
	assert_int_equal(tarn_section_read(seen, &got, data, 8, TARN_FOREVER), 0);
	observe_no_more();
}

static void *leave_later(void *arg)
{
	struct tarn_tx *mine;

	if (tarn_section_enter(near, TARN_FOREVER, &mine, NULL) != 0)
		return NULL;
	tarn_tx_set64(mine, &words[0], 5);
	atomic_store(flag, 1);
	usleep(20000); /* style: that the other one sleeps by then is likely, and all the same */
	return tarn_section_leave(near) == 0 ? arg : NULL;
}

static void an_observer_reads_when_the_other_has_left(void **state)
{
	pthread_t thread;
	uint64_t got = 0;
	void *result;

	(void)state;
	observe();
	pthread_create(&thread, NULL, leave_later, near);
	while (atomic_load(flag) == 0)
		usleep(100); /* style: as above */
	assert_int_equal(tarn_section_read(seen, &got, data, 8, TARN_FOREVER), 0);
	assert_int_equal(got, 5);
	pthread_join(thread, &result);
	assert_ptr_equal(result, near);
	observe_no_more();
}

static int change_and_die(void)
{
	if (tarn_section_enter(near, TARN_FOREVER, &tx, NULL) != 0)
		return 1;
	tarn_tx_set64(tx, &words[0], 9);
	raise(SIGKILL);
	return 2;
}

static void an_observer_does_not_wait_for_the_dead(void **state)
{
	uint64_t got;

	(void)state;
	observe();
	assert_int_equal(in_child(change_and_die), 1000 + SIGKILL);
	assert_int_equal(tarn_section_read(seen, &got, data, 8, TARN_FOREVER), -EOWNERDEAD);
	near->shm->journal[0].where |= 7; /* no such code */
	assert_int_equal(tarn_section_enter(near, 0, &tx, NULL), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_read(seen, &got, data, 8, TARN_FOREVER), -ENOTRECOVERABLE);
	assert_int_equal(tarn_section_recover(region, "near", TARN_SECTION_FORCE, NULL), 0);
	assert_int_equal(tarn_section_read(seen, &got, data, 8, TARN_FOREVER), 0);
	observe_no_more();
}

/* --- words --------------------------------------------------------------------------------- */

static _Atomic uint32_t *own_pid_word(void)
{
	return &region->me->who[offsetof(struct member_who, pid) / 4];
}

static void *time_out(void *arg)
{
	struct tarn_tx *mine;

	return tarn_section_enter(near, tarn_deadline_after(1000000), &mine, arg) == -ETIMEDOUT
		       ? arg
		       : NULL;
}

static void timed_out_words(struct tarn_diag *diag)
{
	pthread_t thread;
	void *result;

	diag->what[0] = diag->hint[0] = '\0';
	pthread_create(&thread, NULL, time_out, diag);
	pthread_join(thread, &result);
	assert_ptr_equal(result, diag);
}

static void a_living_owner_of_another_pid_namespace_is_not_looked_for_here(void **state)
{
	struct tarn_diag diag;
	char text[48];
	uint32_t pid = atomic_load(own_pid_word());

	(void)state;
	assert_int_equal(tarn_section_enter(near, 0, &tx, NULL), 0);
	timed_out_words(&diag);
	assert_non_null(strstr(diag.what, "which lives"));
	snprintf(text, sizeof(text), "ps -o pid,stat,cmd -p %d (if", (int)getpid());
	assert_non_null(strstr(diag.hint, text));
	atomic_store(own_pid_word(), INT32_MAX); /* beyond pid_max */
	timed_out_words(&diag);
	assert_non_null(strstr(diag.what, "which lives"));
	assert_null(strstr(diag.hint, "ps -o"));
	assert_non_null(strstr(diag.hint, "PID namespace"));
	atomic_store(own_pid_word(), pid);
	assert_int_equal(tarn_section_leave(near), 0);
}

static void a_dead_owner_is_not_said_to_live(void **state)
{
	struct tarn_diag diag = { .what = "" };
	_Atomic uint32_t *beacon;

	(void)state;
	assert_int_equal(in_child(change_and_die), 1000 + SIGKILL);
	/* seems to live, and there is no time to ask the kernel */
	beacon = tarn__member_beacon(region, tarn__id_slot(atomic_load(&near->shm->lock)));
	atomic_store(beacon, 12345);
	assert_int_equal(tarn_section_enter(near, 0, &tx, &diag), -ETIMEDOUT);
	assert_non_null(strstr(diag.what, "has died"));
	assert_null(strstr(diag.what, "lives"));
	assert_int_equal(tarn_section_enter(near, TARN_FOREVER, &tx, NULL), 0);
	assert_int_equal(words[0], 0);
	assert_int_equal(tarn_section_leave(near), 0);
}

static int enter_what_was_removed(void)
{
	struct tarn_diag diag = { .what = "" };

	while (atomic_load(flag) == 0)
		usleep(100); /* style: as above */
	if (tarn_section_enter(near, 0, &tx, &diag) != -EUCLEAN)
		return 1;
	if (strstr(diag.what, "section near was removed") == NULL)
		return 2;
	return tarn_section_enter(after, 0, &tx, NULL) == 0 && tarn_section_leave(after) == 0 ? 0
											      : 3;
}

static void a_child_is_told_that_its_section_was_removed(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		alarm(30);
		_exit(enter_what_was_removed());
	}
	tarn_section_close(near);
	near = NULL;
	assert_int_equal(tarn_section_remove(region, "near", NULL), 0);
	atomic_store(flag, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void closing_what_was_left_early_aborts_the_tx(void **state)
{
	(void)state;
	assert_int_equal(tarn_section_enter(near, 0, &tx, NULL), 0);
	assert_int_equal(tarn_section_enter(after, 0, &tx, NULL), 0);
	tarn_tx_set64(tx, &words[0], 1);
	assert_int_equal(tarn_section_leave(near), 0);
	tarn_section_close(near);
	near = NULL;
	assert_int_equal(words[0], 0);
	assert_int_equal(tarn_section_leave(after), -EPERM);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_sections, drop_sections)
	const struct CMUnitTest tests[] = {
		TEST(a_circle_is_found_behind_a_crowd_that_is_inside_of_nothing),
		TEST(a_circle_is_found_once_there_is_a_place),
		TEST(who_lost_its_place_takes_another_and_leaves_that_one_alone),
		TEST(nobody_takes_the_place_of_one_who_is_inside_of_something),
		TEST(a_place_without_a_token_is_anybodys),
		TEST(a_child_draws_a_token_of_its_own),
		TEST(an_observer_sleeps_while_somebody_is_inside),
		TEST(an_observer_reads_when_the_other_has_left),
		TEST(an_observer_does_not_wait_for_the_dead),
		TEST(a_living_owner_of_another_pid_namespace_is_not_looked_for_here),
		TEST(a_dead_owner_is_not_said_to_live),
		TEST(a_child_is_told_that_its_section_was_removed),
		TEST(closing_what_was_left_early_aborts_the_tx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
