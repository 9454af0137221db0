/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions in System V segments, at their edges: the segment and its control file come and go in
 * two steps, so others are let in between them, by the fault seam in front of each system call.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "region/region.h"

static uint32_t key;
static char sysv[32];
static const struct tarn_region_opts making = { .flags = TARN_REGION_CREATE };

static int name_it(void **state)
{
	(void)state;
	key = 0x55000000u | (uint32_t)getpid();
	snprintf(sysv, sizeof(sysv), "sysv:0x%08x", key);
	return 0;
}

static int take_away(void **state)
{
	(void)state;
	tarn__plat_fault = NULL;

	int id = shmget((key_t)key, 0, 0);

	if (id >= 0) /* by the kernel's means, whatever the library thinks of it */
		(void)shmctl(id, IPC_RMID, NULL);
	return tarn_leftovers(TARN_LEFTOVER_REMOVE, NULL, NULL);
}

static struct stat control_of(const struct tarn_region *r)
{
	struct stat st;

	assert_int_equal(stat(r->control_path, &st), 0);
	return st;
}

/* ipcrm, or a remover that died halfway: the segment goes, the control file stays. */
static void a_new_region_takes_nothing_over_from_an_old_control_file(void **state)
{
	const struct tarn_region_opts opts = { .mode = 0640 };
	struct tarn_region *old, *new;
	struct tarn_region_stat stat;
	struct stat before, after;

	(void)state;
	assert_int_equal(tarn_region_create(sysv, NULL, &old), 0);
	before = control_of(old);
	assert_int_equal(shmctl(old->seg->shmid, IPC_RMID, NULL), 0);
	assert_int_equal(tarn_region_create(sysv, &opts, &new), 0);
	after = control_of(new);
	assert_int_not_equal(before.st_ino, after.st_ino); /* else they'd share their locks */
	assert_int_equal(after.st_mode & 0777, 0640);
	assert_int_equal(tarn_region_stat(new, &stat), 0);
	assert_int_equal(stat.member_count, 1);
	tarn_region_close(new);
	tarn_region_close(old);
}

static pid_t other;

static int remake(void)
{
	struct tarn_region *r;

	return tarn_region_open(sysv, &making, &r) == 0 ? 0 : 1;
}

/* The segment is gone, the control file about to. */
static int remake_before_unlink(enum tarn_plat_call call)
{
	siginfo_t info = { 0 };

	if (call != TARN_PLAT_UNLINK)
		return 0;
	tarn__plat_fault = NULL;
	other = fork();
	if (other == 0) {
		alarm(20);
		_exit(remake());
	}
	/* not long: it may be waiting for this very process */
	for (int i = 0; i < 200 && info.si_pid == 0; i++) {
		(void)waitid(P_PID, (id_t)other, &info, WEXITED | WNOHANG | WNOWAIT);
		(void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return 0;
}

static void a_remover_leaves_the_next_ones_control_file(void **state)
{
	struct tarn_region *r, *again;
	int status;

	(void)state;
	assert_int_equal(tarn_region_create(sysv, NULL, &r), 0);
	tarn__plat_fault = remake_before_unlink;
	assert_int_equal(tarn_region_remove(sysv, NULL), 0);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	tarn_region_close(r);
	assert_int_equal(tarn_region_open(sysv, NULL, &again), 0);
	tarn_region_close(again);
}

static struct tarn_region *successor;

/* The opener has the old segment mapped, and goes for the control file. */
static int replace_before_control(enum tarn_plat_call call)
{
	static bool attached;

	if (call == TARN_PLAT_SHMAT)
		attached = true;
	if (call != TARN_PLAT_STAT || !attached)
		return 0;
	tarn__plat_fault = NULL;
	if (tarn_region_remove(sysv, NULL) != 0 || tarn_region_create(sysv, NULL, &successor) != 0)
		return EIO;
	return 0;
}

static void an_opener_takes_no_control_file_of_another_region(void **state)
{
	struct tarn_region_stat a, b;
	struct tarn_region *old, *r;

	(void)state;
	assert_int_equal(tarn_region_create(sysv, NULL, &old), 0);
	tarn__plat_fault = replace_before_control;
	assert_int_equal(tarn_region_open(sysv, &making, &r), 0);
	assert_int_equal(tarn_region_stat(r, &a), 0);
	assert_int_equal(tarn_region_stat(successor, &b), 0);
	assert_memory_equal(a.uuid, b.uuid, 16);
	assert_int_equal(b.member_count, 2);
	tarn_region_close(r);
	tarn_region_close(successor);
	tarn_region_close(old);
}

/* The opener has the old segment mapped, whose last member leaves. */
static struct tarn_region *leaver;

static int leave_before_control(enum tarn_plat_call call)
{
	static bool attached;

	if (call == TARN_PLAT_SHMAT)
		attached = true;
	if (call != TARN_PLAT_STAT || !attached)
		return 0;
	tarn__plat_fault = NULL;
	tarn_region_close(leaver);
	return 0;
}

static void a_region_that_goes_while_it_is_opened_is_absent(void **state)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_EPHEMERAL };
	struct tarn_region *r = NULL;

	(void)state;
	assert_int_equal(tarn_region_create(sysv, &opts, &leaver), 0);
	tarn__plat_fault = leave_before_control;
	assert_int_equal(tarn_region_open(sysv, NULL, &r), -ENOENT);
	assert_null(r);
}

static int die_at_attach(enum tarn_plat_call call)
{
	if (call == TARN_PLAT_SHMAT)
		raise(SIGKILL);
	return 0;
}

/* The kernel puts the time of its last tick on a segment: after a second has begun, for a moment,
 * that is the second before. */
static void a_half_made_segment_is_known_by_a_clock_that_lags(void **state)
{
	struct stat st;
	char control[128];
	struct tarn_region *r;
	struct shmid_ds ds;
	int64_t time;
	int fd, status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		tarn__plat_fault = die_at_attach;
		_exit(tarn_region_create(sysv, NULL, &r));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(shmctl(shmget((key_t)key, 0, 0), IPC_STAT, &ds), 0);
	assert_int_equal(stat("/proc/self/ns/ipc", &st), 0);
	snprintf(control, sizeof(control), "/dev/shm/tarn.sysv.%ju.%08x", (uintmax_t)st.st_ino,
		 key);
	fd = open(control, O_RDWR);
	assert_true(fd >= 0);
	time = ds.shm_ctime + 1;
	assert_int_equal(pwrite(fd, &time, sizeof(time), 32), sizeof(time));
	close(fd);
	assert_int_equal(tarn_region_open(sysv, &making, &r), 0);
	tarn_region_close(r);
}

static void sizes_and_growth_are_refused_in_the_words_of_the_header(void **state)
{
	const struct tarn_region_opts whole = { .max_size = 1 << 20 }; /* what size 0 means */
	struct tarn_region *r;

	(void)state;
	assert_int_equal(tarn_region_create(sysv, &whole, &r), 0);
	assert_int_equal(tarn_region_grow(r, 1 << 20, NULL), 0);
	assert_int_equal(tarn_region_grow(r, 2 << 20, NULL), -EOPNOTSUPP);
	tarn_region_close(r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, name_it, take_away)
	const struct CMUnitTest tests[] = {
		TEST(a_new_region_takes_nothing_over_from_an_old_control_file),
		TEST(a_remover_leaves_the_next_ones_control_file),
		TEST(an_opener_takes_no_control_file_of_another_region),
		TEST(a_region_that_goes_while_it_is_opened_is_absent),
		TEST(a_half_made_segment_is_known_by_a_clock_that_lags),
		TEST(sizes_and_growth_are_refused_in_the_words_of_the_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
