/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Region, at its edges: what happens when a fork, another thread, a remover or a death falls into
 * the middle of a call. The moment is not left to chance: the fault seam of plat.h stands in front
 * of each system call, so a test does the other side's part there and lets the call through.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "region/region.h"
#include "child.h"

static char name[64], path[128];
static struct tarn_region *region;

static int make_region(void **state)
{
	const struct tarn_region_opts opts = { .member_max = 4, .max_size = 4 << 20 };

	(void)state;
	snprintf(name, sizeof(name), "tarn-edge-%d", (int)getpid());
	snprintf(path, sizeof(path), "/dev/shm/%s", name);
	return tarn_region_create(name, &opts, &region);
}

static int drop_region(void **state)
{
	(void)state;
	tarn__plat_fault = NULL;
	tarn_region_close(region);
	region = NULL;
	(void)unlink(path);
	return 0;
}

static void pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Until @pid has ended, but not long: it may be waiting for this very process. */
static void wait_a_while_for(pid_t pid)
{
	siginfo_t info = { 0 };

	for (int i = 0; i < 200 && info.si_pid == 0; i++) {
		(void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
		pause_ms(1);
	}
}

/* --- fork ---------------------------------------------------------------------------------- */

static _Atomic pid_t forked;
static pthread_t forker;

static void *fork_a_sleeper(void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		for (;;)
			pause();
	}
	forked = pid;
	return arg;
}

/* The joiner has its lock, and is not yet done. */
static int fork_while_joining(enum tarn_plat_call call)
{
	if (call != TARN_PLAT_OPEN) /* of /proc/self/comm */
		return 0;
	tarn__plat_fault = NULL;
	(void)pthread_create(&forker, NULL, fork_a_sleeper, NULL);
	for (int i = 0; i < 100 && forked == 0; i++)
		pause_ms(2);
	return 0;
}

static int (*in_the_middle)(enum tarn_plat_call call);

static int arm_after_lock(enum tarn_plat_call call)
{
	if (call == TARN_PLAT_LOCK_SET)
		tarn__plat_fault = in_the_middle;
	return 0;
}

static int sleeper_pipe[2];

static int join_fork_and_die(void)
{
	struct tarn_region *r;
	pid_t pid;

	in_the_middle = fork_while_joining;
	tarn__plat_fault = arm_after_lock;
	if (tarn_region_open(name, NULL, &r) != 0 || pthread_join(forker, NULL) != 0)
		return 1;
	pid = forked;
	if (write(sleeper_pipe[1], &pid, sizeof(pid)) != sizeof(pid))
		return 2;
	raise(SIGKILL);
	return 3;
}

static void a_child_forked_while_its_parent_joins_does_not_keep_it_alive(void **state)
{
	struct tarn_region_stat stat;
	pid_t sleeper;

	(void)state;
	assert_int_equal(pipe(sleeper_pipe), 0);
	assert_int_equal(in_child(join_fork_and_die), 1000 + SIGKILL);
	assert_int_equal(read(sleeper_pipe[0], &sleeper, sizeof(sleeper)), sizeof(sleeper));
	/* The child may still be on its way out of fork(), where it lets go. */
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(tarn_region_stat(region, &stat), 0);
		if (stat.member_count == 1)
			break;
		pause_ms(2);
	}
	kill(sleeper, SIGKILL);
	assert_int_equal(stat.member_count, 1);
	close(sleeper_pipe[0]);
	close(sleeper_pipe[1]);
}

static _Atomic int forking;

static void *fork_once(void *arg)
{
	pid_t pid;

	forking = 1;
	pid = fork();
	if (pid == 0)
		_exit(0);
	(void)waitpid(pid, NULL, 0);
	return arg;
}

static int open_in_callback(const struct tarn_member_stat *stat, void *arg)
{
	struct tarn_region *second;

	(void)stat;
	(void)arg;
	if (pthread_create(&forker, NULL, fork_once, NULL) != 0)
		return 1;
	while (forking == 0)
		sched_yield();
	pause_ms(50); /* by now it waits for this thread, if it ever does */
	if (tarn_region_open(name, NULL, &second) != 0)
		return 2;
	tarn_region_close(second);
	return 3;
}

static int call_back_while_forking(void)
{
	int r = tarn_region_members(region, open_in_callback, NULL);

	return r != 3 ? r : pthread_join(forker, NULL);
}

static void a_callback_and_a_fork_do_not_wait_for_each_other(void **state)
{
	(void)state;
	assert_int_equal(in_child(call_back_while_forking), 0);
}

/* Mappings of files in /dev/shm: of the region, which was made without a name. */
static int mapping_count(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int count = 0;

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		count += strstr(line, " /dev/shm/") != NULL;
	if (maps != NULL)
		fclose(maps);
	return count;
}

static int close_and_count(void)
{
	tarn_region_close(region);
	return mapping_count();
}

static void a_child_that_closes_its_handle_keeps_no_mapping(void **state)
{
	(void)state;
	assert_int_equal(in_child(close_and_count), 0);
}

static int go_pipe[2], done_pipe[2];

static int use_late(void)
{
	struct tarn_region_stat stat;
	char c;

	if (read(go_pipe[0], &c, 1) != 1 || tarn_region_stat(region, &stat) != 0)
		return 1;
	if (write(done_pipe[1], &c, 1) != 1 || read(go_pipe[0], &c, 1) != 1)
		return 2;
	return 0;
}

/* What the parent had open when it forked may be gone, and its entry another's. */
static void a_child_holds_no_successor_of_what_its_parent_had(void **state)
{
	struct tarn_region_stat stat;
	void *data;
	char c = 'x';
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(go_pipe), 0);
	assert_int_equal(pipe(done_pipe), 0);
	assert_int_equal(tarn_object_create(region, "old", 64, &data, NULL), 0);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		_exit(use_late());
	}
	assert_int_equal(tarn_object_remove(region, "old"), 0);
	tarn_object_close(region, data);
	assert_int_equal(tarn_region_gc(region, NULL), 0);
	assert_int_equal(tarn_object_create(region, "new", 64, &data, NULL), 0);
	assert_int_equal(write(go_pipe[1], &c, 1), 1);
	assert_int_equal(read(done_pipe[0], &c, 1), 1);
	tarn_object_close(region, data);
	assert_int_equal(tarn_object_remove(region, "new"), 0);
	assert_int_equal(tarn_region_stat(region, &stat), 0);
	assert_int_equal(write(go_pipe[1], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stat.object_count, 0);
	for (int i = 0; i < 2; i++) {
		close(go_pipe[i]);
		close(done_pipe[i]);
	}
}

/* --- slots --------------------------------------------------------------------------------- */

static int join_and_die(void)
{
	struct tarn_region *r;

	if (tarn_region_open(name, NULL, &r) != 0)
		return 1;
	raise(SIGKILL);
	return 2;
}

static uint32_t dead_alive;

static int count_others(const struct tarn_member_stat *stat, void *arg)
{
	(void)arg;
	dead_alive += stat->alive && !stat->self;
	return 0;
}

/* Here the joiner has the dead one's lock and works on its slot. */
static int look_while_occupying(enum tarn_plat_call call)
{
	if (call != TARN_PLAT_OPEN) /* of /proc/self/comm */
		return 0;
	tarn__plat_fault = NULL;
	return tarn_region_members(region, count_others, NULL);
}

static void the_dead_stay_dead_while_their_slot_is_taken_over(void **state)
{
	struct tarn_region *joiner;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(in_child(join_and_die), 1000 + SIGKILL);
	dead_alive = 0;
	in_the_middle = look_while_occupying;
	tarn__plat_fault = arm_after_lock;
	assert_int_equal(tarn_region_open(name, NULL, &joiner), 0);
	tarn_region_close(joiner);
	assert_int_equal(dead_alive, 0);
}

/* --- threads ------------------------------------------------------------------------------- */

static struct tarn_region *of_the_dead_thread;
static int32_t dead_tid;

static void *open_one(void *arg)
{
	dead_tid = tarn__plat_tid();
	return tarn_region_open(name, NULL, &of_the_dead_thread) == 0 ? arg : NULL;
}

static void *close_one(void *arg)
{
	bool same = tarn__plat_tid() == dead_tid;

	if (same)
		tarn_region_close(of_the_dead_thread);
	return same ? arg : NULL;
}

/* The next thread or process gets @tid. */
static bool set_next_tid(int32_t tid)
{
	FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "w");
	bool done = file != NULL && fprintf(file, "%d", tid - 1) > 0;

	return file != NULL && fclose(file) == 0 && done;
}

/* A thread id comes again, the thread that had it does not: nor does the list in its memory. */
static int close_from_a_namesake(void)
{
	enum { STACK = 1 << 20, TRIES = 50 };
	pthread_t thread;
	pthread_attr_t attr;
	void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int mark;
	void *out;

	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack, STACK);
	if (pthread_create(&thread, &attr, open_one, &mark) != 0 ||
	    pthread_join(thread, &out) != 0 || out == NULL)
		return 1;
	munmap(stack, STACK);
	for (int i = 0; i < TRIES; i++) {
		if (!set_next_tid(dead_tid))
			return 77;
		if (pthread_create(&thread, NULL, close_one, &mark) != 0 ||
		    pthread_join(thread, &out) != 0)
			return 2;
		if (out != NULL)
			return 0;
	}
	return 77;
}

static void a_thread_with_a_dead_ones_id_closes_safely(void **state)
{
	int r;

	(void)state;
	r = in_child(close_from_a_namesake);
	if (r == 77) {
		print_message("skipped: /proc/sys/kernel/ns_last_pid cannot be used here\n");
		skip();
	}
	assert_int_equal(r, 0);
}

/* --- names --------------------------------------------------------------------------------- */

static int remake(void)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_CREATE };
	struct tarn_region *r;

	(void)!tarn_region_remove(name, NULL); /* whoever removes it */
	return tarn_region_open(name, &opts, &r) == 0 ? 0 : 1;
}

static pid_t remaker;

/* The first remover has seen that the name is its region's, and is about to unlink it. */
static int remake_before_unlink(enum tarn_plat_call call)
{
	if (call != TARN_PLAT_UNLINK)
		return 0;
	tarn__plat_fault = NULL;
	remaker = fork();
	if (remaker == 0) {
		alarm(20);
		_exit(remake());
	}
	wait_a_while_for(remaker);
	return 0;
}

static void a_remover_takes_only_the_region_that_it_found(void **state)
{
	int status;

	(void)state;
	tarn__plat_fault = remake_before_unlink;
	assert_int_equal(tarn_region_remove(name, NULL), 0);
	assert_int_equal(waitpid(remaker, &status, 0), remaker);
	assert_int_equal(status, 0);
	assert_int_equal(access(path, F_OK), 0); /* the remade one */
}

static int leave_as_nobody(void)
{
	const struct tarn_region_opts opts = { .flags =
						       TARN_SEGMENT_OWNER | TARN_SEGMENT_ANY_MODE };
	struct tarn_region *r;

	if (setuid(65534) != 0 || tarn_region_open(name, &opts, &r) != 0)
		return 1;
	if (kill(getppid(), 0) == 0)
		return 2; /* still root */
	tarn_region_close(r);
	return 0;
}

/* In a sticky directory only the owner may take the name away. */
static void an_ephemeral_region_that_its_last_member_cannot_remove_stays_open(void **state)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_EPHEMERAL, .mode = 0666 };
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root can become another user\n");
		skip();
	}
	tarn_region_close(region);
	region = NULL;
	(void)unlink(path);
	assert_int_equal(tarn_region_create(name, &opts, &region), 0);
	/* it leaves as the last one: this handle's membership ends without a close */
	assert_int_equal(
		tarn__plat_unlock(region->live_fd, TARN__LOCK_BASE + tarn__id_slot(region->id)), 0);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		_exit(leave_as_nobody());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);

	struct tarn_region *again;

	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(
		tarn_region_open(name, &(struct tarn_region_opts){ .flags = TARN_SEGMENT_ANY_MODE },
				 &again),
		0);
	tarn_region_close(again);
}

static uint32_t opens;

static int count_opens(enum tarn_plat_call call)
{
	opens += call == TARN_PLAT_OPEN;
	return 0;
}

static void a_directory_that_is_not_there_is_told_at_once(void **state)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_CREATE };
	struct tarn_region *r = NULL;

	(void)state;
	opens = 0;
	tarn__plat_fault = count_opens;
	assert_int_equal(tarn_region_open("file:/dev/shm/no-such-directory/x", &opts, &r), -ENOENT);
	tarn__plat_fault = NULL;
	assert_null(r);
	assert_true(opens < 20);
}

/* --- options and words --------------------------------------------------------------------- */

static void words_are_for_failures_alone(void **state)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_region_opts opts = { .flags = TARN_REGION_CREATE, .diag = &diag };
	struct tarn_region *r;

	(void)state;
	tarn_region_close(region);
	region = NULL;
	(void)unlink(path);
	assert_int_equal(tarn_region_open(name, &opts, &region), 0);
	assert_string_equal(diag.what, "");
	assert_int_equal(truncate(path, 4096), 0);
	opts.flags = 0;
	assert_int_equal(tarn_region_open(name, &opts, &r), -EUCLEAN);
	assert_string_not_equal(diag.what, "");
	diag.what[0] = '\0';
	assert_int_equal(tarn_region_remove(name, &opts), 0);
	assert_string_equal(diag.what, "");
	/* what is mapped beyond the new end must not be touched any more */
	tarn__plat_close(region->live_fd);
	region->live_fd = -1;
	region->id = 0;
}

/* It is mapped, its superblock is not yet read. */
static int grow_before_it_is_read(enum tarn_plat_call call)
{
	if (call != TARN_PLAT_PREAD)
		return 0;
	tarn__plat_fault = NULL;
	assert_int_equal(tarn_region_grow(region, 2 << 20, NULL), 0);
	return 0;
}

static void a_region_that_grows_while_it_is_opened_is_opened(void **state)
{
	struct tarn_region *other = NULL;

	(void)state;
	tarn__plat_fault = grow_before_it_is_read;
	assert_int_equal(tarn_region_open(name, NULL, &other), 0);
	assert_null(tarn__plat_fault);
	assert_true(tarn__region_size(other) > 2 << 20);
	tarn_region_close(other);
}

static void memory_of_a_region_is_never_lazy(void **state)
{
	const struct tarn_region_opts opts = { .flags = TARN_SEGMENT_LAZY };
	struct tarn_region *r = NULL;

	(void)state;
	assert_int_equal(tarn_region_open(name, &opts, &r), -EINVAL);
	assert_null(r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_region, drop_region)
	const struct CMUnitTest tests[] = {
		TEST(a_child_forked_while_its_parent_joins_does_not_keep_it_alive),
		TEST(a_callback_and_a_fork_do_not_wait_for_each_other),
		TEST(a_child_that_closes_its_handle_keeps_no_mapping),
		TEST(a_child_holds_no_successor_of_what_its_parent_had),
		TEST(the_dead_stay_dead_while_their_slot_is_taken_over),
		TEST(a_thread_with_a_dead_ones_id_closes_safely),
		TEST(a_remover_takes_only_the_region_that_it_found),
		TEST(an_ephemeral_region_that_its_last_member_cannot_remove_stays_open),
		TEST(a_directory_that_is_not_there_is_told_at_once),
		TEST(a_region_that_grows_while_it_is_opened_is_opened),
		TEST(words_are_for_failures_alone),
		TEST(memory_of_a_region_is_never_lazy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
