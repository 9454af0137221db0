/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Section, between PID namespaces: every process here is process 1, thread 1 of a namespace of its
 * own, as in containers. Ids of processes and threads tell nobody apart then, and death must still
 * be seen of the right one.
 *
 * Nothing is timed: who hangs is given up on after LIMIT_MS.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#include "harness.h"
#include "sync/section.h"

enum { LIMIT_MS = 30000, PASSES = 2000 };

/* Beside the region: for orders and reports. */
static struct {
	_Atomic int32_t inner[3]; /* as this namespace sees them */
	_Atomic uint32_t ids[3];  /* pid and tid as they see themselves: 1 and 1 */
	_Atomic uint32_t inside;  /* bit n: child n says it is inside */
	_Atomic uint32_t stop;    /* bit n: child n may go on */
	char name[64];
} * world;

static struct tarn_region *region;
static struct tarn_section *section;
static uint64_t *data;
static pid_t outer[3];

/* --- in a child ---------------------------------------------------------------------------- */

static void must(int r, int line)
{
	if (r >= 0)
		return;
	fprintf(stderr, "# line %d: %s\n", line, strerror(-r));
	_exit(3);
}
#define MUST(call) must((call), __LINE__)

static void open_here(void)
{
	void *at = NULL;

	MUST(tarn_region_open(world->name, NULL, &region));
	MUST(tarn_section_open(region, "section", NULL, &section));
	MUST(tarn_object_open(region, "data", &at, NULL));
	data = at;
}

/* Change one word inside, say so, and stay until told, or killed. */
static void stay_inside(int n)
{
	struct tarn_tx *tx = NULL;

	MUST(tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
	MUST(tarn_tx_set64(tx, &data[0], 77));
	atomic_fetch_or(&world->inside, 1u << n);
	while ((atomic_load(&world->stop) & 1u << n) == 0)
		harness_sleep_us(1000);
	MUST(tarn_tx_set64(tx, &data[0], 0));
	MUST(tarn_section_leave(section));
}

/* Enter; nobody's half of a change is there. */
static void wait_and_look(int n)
{
	struct tarn_tx *tx = NULL;

	tarn__section_net_ns = INT64_C(1000000000); /* it is to be seen asleep */
	MUST(tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
	if (data[0] != 0)
		_exit(4);
	atomic_fetch_or(&world->inside, 1u << n);
	MUST(tarn_tx_set64(tx, &data[1], data[1] + 1));
	MUST(tarn_section_leave(section));
}

/* Not to be had while a namesake is inside. */
static void try_in_vain(int n)
{
	struct tarn_tx *tx = NULL;
	int r = tarn_section_try(section, &tx, NULL);

	(void)n;
	if (r != -EAGAIN)
		_exit(5);
	r = tarn_section_enter(section, tarn_deadline_after(20000000), &tx, NULL);
	if (r != -ETIMEDOUT)
		_exit(6);
}

static void pass_often(int n)
{
	struct tarn_tx *tx = NULL;

	(void)n;
	for (int i = 0; i < PASSES; i++) {
		MUST(tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
		MUST(tarn_tx_set64(tx, &data[2], data[2] + 1));
		MUST(tarn_section_leave(section));
	}
}

/* --- from outside -------------------------------------------------------------------------- */

static int unshare_pids(void)
{
	return unshare(CLONE_NEWPID) == 0 ? 0 : unshare(CLONE_NEWUSER | CLONE_NEWPID);
}

/* Child @n is process 1 of a new namespace; the one between waits for it. */
static void start(int n, void (*what)(int n))
{
	outer[n] = fork();
	assert_true(outer[n] >= 0);
	if (outer[n] != 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare_pids() < 0)
		_exit(9);

	int status = 0;
	pid_t inner = fork();

	if (inner < 0)
		_exit(9);
	if (inner == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (atomic_load(&world->inner[n]) == 0) /* who sees us knows our id */
			harness_sleep_us(100);
		open_here();
		atomic_store(&world->ids[n], (uint32_t)getpid() << 16 | (uint32_t)gettid());
		what(n);
		_exit(0);
	}
	atomic_store(&world->inner[n], inner);
	waitpid(inner, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status));
}

static int end_of(int n)
{
	int status = 0;

	if (harness_reap(outer[n], LIMIT_MS, &status) < 0) {
		kill(atomic_load(&world->inner[n]), SIGKILL);
		(void)harness_reap(outer[n], LIMIT_MS, &status);
		return -1;
	}
	return WEXITSTATUS(status);
}

static bool await(const _Atomic uint32_t *word, uint32_t bits)
{
	for (int64_t until = harness_now() + LIMIT_MS * INT64_C(1000000); harness_now() < until;
	     harness_sleep_us(500))
		if ((atomic_load(word) & bits) == bits)
			return true;
	return false;
}

static void await_asleep(int n)
{
	assert_true(await(&world->ids[n], 1));
	assert_true(harness_await_futex(atomic_load(&world->inner[n]), LIMIT_MS));
}

static bool possible(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare_pids() == 0 ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static int set_up(void **state)
{
	const struct tarn_region_opts opts = { .size = 1 << 16 };
	const struct tarn_section_opts section_opts = { .journal_size = 256 };
	struct tarn_section *made = NULL;
	struct tarn_region *here = NULL;
	void *at = NULL;

	(void)state;
	if (!possible()) {
		printf("# skip: no PID namespace can be made here\n");
		return 0;
	}
	memset(world, 0, sizeof(*world));
	snprintf(world->name, sizeof(world->name), "shm:%s-ns", harness_prefix());
	if (tarn_region_create(world->name, &opts, &here) < 0 ||
	    tarn_section_open(here, "section", &section_opts, &made) < 0 ||
	    tarn_object_create(here, "data", 64, &at, NULL) < 0)
		return -1;
	tarn_section_close(made);
	tarn_object_close(here, at);
	tarn_region_close(here);
	return 0;
}

static int tear_down(void **state)
{
	int r = 0;

	(void)state;
	if (world->name[0] == '\0')
		return 0;
	if (tarn_region_open(world->name, NULL, &region) < 0)
		return -1;
	if (tarn_section_recover(region, NULL, 0, NULL) < 0 ||
	    tarn_region_check(region, NULL, NULL) < 0)
		r = -1;
	tarn_region_close(region);
	return tarn_region_remove(world->name, NULL) < 0 ? -1 : r;
}

#define SKIP_WITHOUT_NAMESPACES                                                                    \
	do {                                                                                       \
		if (world->name[0] == '\0')                                                        \
			skip();                                                                    \
	} while (0)

static void assert_namesakes(int count)
{
	for (int n = 0; n < count; n++)
		assert_int_equal(atomic_load(&world->ids[n]), 1u << 16 | 1u);
}

/* Child 0 is inside, and stays. */
static void start_owner(void)
{
	start(0, stay_inside);
	assert_true(await(&world->inside, 1u << 0));
}

static void let_owner_go(void)
{
	atomic_fetch_or(&world->stop, 1u << 0);
	assert_int_equal(end_of(0), 0);
}

static void start_sleeper(int n)
{
	start(n, wait_and_look);
	await_asleep(n);
}

static void kill_child(int n)
{
	kill(atomic_load(&world->inner[n]), SIGKILL);
	assert_int_equal(end_of(n), 100 + SIGKILL);
}

/* Another one does not get in. */
static void try_as(int n)
{
	start(n, try_in_vain);
	assert_int_equal(end_of(n), 0);
}

static void namesakes_exclude_each_other(void **state)
{
	(void)state;
	SKIP_WITHOUT_NAMESPACES;
	start_owner();
	try_as(1);
	let_owner_go();
	assert_namesakes(2);
}

static void the_death_of_an_owner_is_seen_by_a_namesake_that_sleeps(void **state)
{
	(void)state;
	SKIP_WITHOUT_NAMESPACES;
	start_owner();
	start_sleeper(1);
	kill_child(0);
	assert_int_equal(end_of(1), 0);
	assert_namesakes(2);
}

static void the_death_of_a_sleeper_is_not_taken_for_its_namesakes(void **state)
{
	(void)state;
	SKIP_WITHOUT_NAMESPACES;
	start_owner();
	start_sleeper(1);
	kill_child(1);
	try_as(2);
	assert_int_equal(atomic_load(&world->inside), 1u << 0);
	let_owner_go();
	assert_namesakes(3);
}

static void two_sleepers_both_hear_of_the_death(void **state)
{
	(void)state;
	SKIP_WITHOUT_NAMESPACES;
	start_owner();
	start_sleeper(1);
	start_sleeper(2);
	kill_child(0);
	assert_int_equal(end_of(1), 0);
	assert_int_equal(end_of(2), 0);
	assert_namesakes(3);
}

static void no_pass_of_namesakes_is_lost(void **state)
{
	void *at = NULL;

	(void)state;
	SKIP_WITHOUT_NAMESPACES;
	for (int n = 0; n < 3; n++)
		start(n, pass_often);
	for (int n = 0; n < 3; n++)
		assert_int_equal(end_of(n), 0);
	assert_int_equal(tarn_region_open(world->name, NULL, &region), 0);
	assert_int_equal(tarn_object_open(region, "data", &at, NULL), 0);
	assert_int_equal(((uint64_t *)at)[2], 3 * PASSES);
	tarn_object_close(region, at);
	tarn_region_close(region);
	assert_namesakes(3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(namesakes_exclude_each_other),
		TEST(the_death_of_an_owner_is_seen_by_a_namesake_that_sleeps),
		TEST(the_death_of_a_sleeper_is_not_taken_for_its_namesakes),
		TEST(two_sleepers_both_hear_of_the_death),
		TEST(no_pass_of_namesakes_is_lost),
	};

	world = harness_shared(sizeof(*world));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
