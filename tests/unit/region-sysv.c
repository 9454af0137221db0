/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions in System V segments: the same contract, and what is particular to them: half-made
 * segments of dead creators, strangers' segments, and the control file that comes and goes.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "region/region.h"
#include "child.h"

static uint32_t member_count(struct tarn_region *r)
{
	struct tarn_region_stat stat;

	assert_int_equal(tarn_region_stat(r, &stat), 0);
	return stat.member_count;
}

static int32_t key;
static char sysv[32];

static int make_sysv(void **state)
{
	(void)state;
	key = 0x54000000 | (int32_t)getpid();
	snprintf(sysv, sizeof(sysv), "sysv:0x%08x", (unsigned)key);
	return 0;
}

static int join_and_die(void)
{
	struct tarn_region *r;

	if (tarn_region_open(sysv, NULL, &r) != 0)
		return 1;
	raise(SIGKILL);
	return 2;
}

static uint32_t control_files(void)
{
	char suffix[16];
	uint32_t count = 0;
	FILE *ls = popen("ls /dev/shm", "r");
	char line[256];

	snprintf(suffix, sizeof(suffix), ".%08x\n", (unsigned)key);
	while (fgets(line, sizeof(line), ls) != NULL)
		count += strncmp(line, "tarn.sysv.", 10) == 0 && strstr(line, suffix) != NULL;
	pclose(ls);
	return count;
}

static void system_v_regions_work_alike(void **state)
{
	struct tarn_region *a, *b, *c;
	void *data, *seen;

	(void)state;
	assert_int_equal(tarn_region_create(sysv, NULL, &a), 0);
	assert_int_equal(tarn_region_create(sysv, NULL, &c), -EEXIST);
	assert_int_equal(tarn_region_open(sysv, NULL, &b), 0);
	assert_int_equal(tarn_object_create(a, "x", 100, &data, NULL), 0);
	memcpy(data, "bytes", 6);
	assert_int_equal(tarn_object_open(b, "x", &seen, NULL), 0);
	assert_string_equal(seen, "bytes");
	assert_int_equal(member_count(a), 2);
	assert_int_equal(in_child(join_and_die), 1000 + SIGKILL);
	assert_int_equal(member_count(a), 2);
	tarn_region_close(b);
	assert_int_equal(control_files(), 1);
	assert_int_equal(tarn_region_remove(sysv, NULL), 0);
	tarn_region_close(a);
	assert_int_equal(control_files(), 0);
	assert_int_equal(shmget(key, 0, 0), -1);
}

static void a_private_system_v_region_is_found_by_its_identifier(void **state)
{
	struct tarn_region *a, *b;
	struct tarn_segment_stat stat;
	char addr[32];

	(void)state;
	assert_int_equal(tarn_region_create("sysv:private", NULL, &a), 0);
	assert_int_equal(tarn_segment_stat(tarn_region_segment(a), &stat), 0);
	snprintf(addr, sizeof(addr), "sysv:#%d", stat.id);
	assert_int_equal(tarn_region_open(addr, NULL, &b), 0);
	assert_int_equal(member_count(b), 2);
	tarn_region_close(b);
	assert_int_equal(tarn_region_remove(addr, NULL), 0);
	tarn_region_close(a);
}

/* Killed between shmget() and the last store of the superblock, at each system call there. */
static int die_at, calls_seen;

static int die_in_shm_calls(enum tarn_plat_call call)
{
	(void)call;
	if (calls_seen++ == die_at)
		raise(SIGKILL);
	return 0;
}

static int create_and_die(void)
{
	struct tarn_region *r;

	calls_seen = 0;
	tarn__plat_fault = die_in_shm_calls;
	return tarn_region_create(sysv, NULL, &r) == 0 ? 0 : 1;
}

static void a_half_made_system_v_region_is_taken_over(void **state)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_CREATE };
	struct tarn_region *r;
	int killed = 0, status;

	(void)state;
	for (die_at = 0;; die_at++) {
		status = in_child(create_and_die);
		if (status == 1000 + SIGKILL)
			killed++;
		assert_true(status == 0 || status == 1000 + SIGKILL);
		assert_int_equal(tarn_region_open(sysv, &opts, &r), 0);
		assert_int_equal(tarn_region_check(r, NULL, NULL), 0);
		assert_int_equal(member_count(r), 1);
		assert_int_equal(tarn_region_remove(sysv, NULL), 0);
		tarn_region_close(r);
		assert_int_equal(control_files(), 0);
		assert_int_equal(shmget(key, 0, 0), -1);
		if (status == 0)
			break;
	}
	assert_true(killed > 20);
}

/* --- leftovers ------------------------------------------------------------------------------- */

static char to_create[32];

static int create_there_and_die(void)
{
	struct tarn_region *r;

	calls_seen = 0;
	tarn__plat_fault = die_in_shm_calls;
	return tarn_region_create(to_create, NULL, &r) == 0 ? 0 : 1;
}

/* The segment that process @pid created, -1 if it left none. */
static int segment_of(pid_t pid)
{
	FILE *table = fopen("/proc/sysvipc/shm", "r");
	char line[512];
	int found = -1;

	assert_non_null(table);
	while (fgets(line, sizeof(line), table) != NULL) {
		int k, id, perms, cpid;
		unsigned long size;

		if (sscanf(line, "%d %d %o %lu %d", &k, &id, (unsigned *)&perms, &size, &cpid) ==
			    5 &&
		    cpid == pid)
			found = id;
	}
	fclose(table);
	return found;
}

static int count_proofs(const struct tarn_leftover *leftover, void *arg)
{
	*(int *)arg += leftover->proof[0] != '\0' && leftover->path[0] == '/';
	return 0;
}

/* The same once it is a region or gone: others on this host may be clearing it away right now. */
static int whole_segment_of(pid_t pid)
{
	char addr[32];
	struct tarn_region *r;
	int id = segment_of(pid);

	for (int i = 0; id >= 0 && i < 200; i++, id = segment_of(pid)) {
		snprintf(addr, sizeof(addr), "sysv:#%d", id);
		if (tarn_region_open(addr, NULL, &r) == 0) {
			tarn_region_close(r);
			return id;
		}
		(void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	assert_int_equal(id, -1);
	return id;
}

/* Whatever instant a creator dies at, what it leaves is found, explained and removed. Returns the
 * identifier of the segment that was whole at last. */
static int leftovers_are_found_and_removed(const char *addr)
{
	int found = 0, removed = 0, status, id = -1;

	snprintf(to_create, sizeof(to_create), "%s", addr);
	for (die_at = 0; id < 0; die_at++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(create_there_and_die());
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(status == 0 || WTERMSIG(status) == SIGKILL);
		assert_int_equal(tarn_leftovers(0, count_proofs, &found), 0);
		assert_int_equal(tarn_leftovers(TARN_LEFTOVER_REMOVE, count_proofs, &removed), 0);
		id = whole_segment_of(pid);
		assert_true(id >= 0 || status != 0);
	}
	assert_true(found > 10);
	assert_true(removed > 10);
	return id;
}

static void leftovers_of_a_keyed_creator_are_removed(void **state)
{
	(void)state;
	(void)leftovers_are_found_and_removed(sysv);
	assert_int_equal(control_files(), 1);
	assert_int_equal(tarn_region_remove(sysv, NULL), 0);
	assert_int_equal(control_files(), 0);
}

static void leftovers_of_a_private_creator_are_removed(void **state)
{
	char addr[32];
	struct tarn_region *r;

	(void)state;
	snprintf(addr, sizeof(addr), "sysv:#%d", leftovers_are_found_and_removed("sysv:private"));
	assert_int_equal(tarn_region_open(addr, NULL, &r), 0);
	assert_int_equal(tarn_region_remove(addr, NULL), 0);
	tarn_region_close(r);
}

static void a_strangers_segment_is_left_alone(void **state)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_CREATE };
	struct tarn_region *r = NULL;
	int id = shmget(key, 1 << 21, IPC_CREAT | IPC_EXCL | 0600);

	(void)state;
	assert_true(id >= 0);
	assert_true(tarn_region_open(sysv, &opts, &r) < 0);
	assert_int_equal(tarn_region_create(sysv, NULL, &r), -EEXIST);
	assert_int_equal(tarn_region_remove(sysv, NULL), -EUCLEAN);
	assert_int_equal(shmget(key, 0, 0), id);
	assert_int_equal(control_files(), 0);
	assert_int_equal(shmctl(id, IPC_RMID, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(system_v_regions_work_alike, make_sysv),
		cmocka_unit_test_setup(a_private_system_v_region_is_found_by_its_identifier,
				       make_sysv),
		cmocka_unit_test_setup(a_half_made_system_v_region_is_taken_over, make_sysv),
		cmocka_unit_test_setup(leftovers_of_a_keyed_creator_are_removed, make_sysv),
		cmocka_unit_test_setup(leftovers_of_a_private_creator_are_removed, make_sysv),
		cmocka_unit_test_setup(a_strangers_segment_is_left_alone, make_sysv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
