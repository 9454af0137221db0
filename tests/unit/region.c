/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Region: identity, members, directory, growth, removal; over POSIX, file and anonymous segments.
 * Every name carries this process's id, and every test leaves the host as it was.
 */
#include <errno.h>
#include <fcntl.h>
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
	(void)state;
	snprintf(name, sizeof(name), "tarn-test-%d", (int)getpid());
	snprintf(path, sizeof(path), "/dev/shm/%s", name);
	return tarn_region_create(name, NULL, &region);
}

static int drop_region(void **state)
{
	(void)state;
	tarn_region_close(region);
	region = NULL;
	(void)unlink(path);
	return 0;
}

static bool exists(void)
{
	return access(path, F_OK) == 0;
}

static uint32_t member_count(struct tarn_region *r)
{
	struct tarn_region_stat stat;

	assert_int_equal(tarn_region_stat(r, &stat), 0);
	return stat.member_count;
}

static void pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 },
			NULL);
}

static void a_created_region_is_found_under_its_name(void **state)
{
	struct tarn_region *second, *third = NULL;
	struct tarn_region_stat a, b;

	(void)state;
	assert_int_equal(tarn_region_create(name, NULL, &third), -EEXIST);
	assert_int_equal(tarn_region_open(name, NULL, &second), 0);
	assert_int_equal(tarn_region_stat(region, &a), 0);
	assert_int_equal(tarn_region_stat(second, &b), 0);
	assert_memory_equal(a.uuid, b.uuid, 16);
	assert_int_equal(a.member_count, 2); /* opened twice: two members */
	assert_int_equal(a.size, 1 << 20);
	tarn_region_close(second);
	assert_int_equal(member_count(region), 1);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

static int join_and_die(void)
{
	struct tarn_region *r;

	if (tarn_region_open(name, NULL, &r) != 0)
		return 1;
	raise(SIGKILL);
	return 2;
}

static int count_dead(const struct tarn_member_stat *stat, void *arg)
{
	*(int *)arg += !stat->alive;
	return 0;
}

static void the_dead_are_seen_and_reclaimed(void **state)
{
	uint32_t reclaimed = 0;
	int dead = 0;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(in_child(join_and_die), 1000 + SIGKILL);
	assert_int_equal(member_count(region), 1);
	assert_int_equal(tarn_region_members(region, count_dead, &dead), 0);
	assert_int_equal(dead, 5);
	assert_int_equal(tarn_region_gc(region, &reclaimed), 0);
	assert_int_equal(reclaimed, 5);
	dead = 0;
	assert_int_equal(tarn_region_members(region, count_dead, &dead), 0);
	assert_int_equal(dead, 0);
}

static int stop_self(void)
{
	struct tarn_region *r;

	if (tarn_region_open(name, NULL, &r) != 0)
		return 1;
	raise(SIGSTOP);
	return 0;
}

static void the_stopped_are_alive_and_zombies_are_dead(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(stop_self());
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(member_count(region), 2);
	assert_int_equal(kill(pid, SIGKILL), 0);

	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(member_count(region), 1); /* nobody has waited for it yet */
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static int use_inherited(void)
{
	void *data;
	uint64_t size;

	if (tarn_object_open(region, "shared", &data, &size) != 0 || size != 100)
		return 1;
	if (strcmp(data, "from the parent") != 0 || member_count(region) != 2)
		return 2;
	memcpy(data, "from the child", 15);
	tarn_object_close(region, data);
	tarn_region_close(region);
	return 0;
}

static void a_forked_child_joins_by_itself(void **state)
{
	void *data;

	(void)state;
	assert_int_equal(tarn_object_create(region, "shared", 100, &data, NULL), 0);
	memcpy(data, "from the parent", 16);
	assert_int_equal(in_child(use_inherited), 0);
	assert_string_equal(data, "from the child");
	assert_int_equal(member_count(region), 1);
	tarn_object_close(region, data);
}

/* A child that never calls on the handle does not keep its parent's membership alive. */
static void a_silent_child_does_not_keep_its_parent_alive(void **state)
{
	int pipe_fds[2], status;
	char byte;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);

	pid_t parent = fork();

	if (parent == 0) {
		struct tarn_region *r;

		if (tarn_region_open(name, NULL, &r) != 0)
			_exit(1);
		child = fork();
		if (child == 0) {
			child = getpid(); /* by now fork() has returned in the child */
			close(pipe_fds[0]);
			if (write(pipe_fds[1], &child, sizeof(child)) != sizeof(child))
				_exit(1);
			pause_ms(60000);
			_exit(0);
		}
		pause_ms(60000);
	}
	assert_int_equal(read(pipe_fds[0], &child, sizeof(child)), sizeof(child));
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(member_count(region), 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 0); /* gone */
	close(pipe_fds[0]);
}

static void exec_ends_membership(void **state)
{
	int fds[2], status;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct tarn_region *r;

		if (tarn_region_open(name, NULL, &r) != 0)
			_exit(1);
		dup2(fds[1], 1);
		execl("/bin/sh", "sh", "-c", "echo; exec sleep 60", (char *)NULL);
		_exit(1);
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(member_count(region), 1);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fds[0]);
	close(fds[1]);
}

static void objects_are_made_found_and_removed(void **state)
{
	struct tarn_diag diag = { "", "" };
	void *a, *b, *again;
	uint64_t size;

	(void)state;
	assert_int_equal(tarn_object_create(region, "a", 1000, &a, &diag), 0);
	assert_int_equal((uintptr_t)a % 64, 0);
	assert_int_equal(tarn_object_create(region, "a", 10, &b, &diag), -EEXIST);
	assert_int_equal(tarn_object_create(region, "b", 2 << 20, &b, &diag), -ENOSPC);
	assert_non_null(strstr(diag.what, "2 MiB"));
	assert_int_equal(tarn_object_create(region, "", 10, &b, &diag), -EINVAL);
	assert_int_equal(tarn_object_create(region, "x/y", 10, &b, &diag), -EINVAL);
	assert_int_equal(tarn_object_create(region, "x\n", 10, &b, &diag), -EINVAL);
	assert_int_equal(tarn_object_create(region, "b", 0, &b, &diag), -EINVAL);
	memset(a, 0xee, 1000);
	assert_int_equal(tarn_object_open(region, "a", &again, &size), 0);
	assert_ptr_equal(a, again);
	assert_int_equal(size, 1000);
	/* Held: the name goes, the memory stays. */
	assert_int_equal(tarn_object_remove(region, "a"), 0);
	assert_int_equal(tarn_object_remove(region, "a"), -ENOENT);
	assert_int_equal(tarn_object_open(region, "a", &again, NULL), -ENOENT);
	assert_int_equal(tarn_object_create(region, "a", 1000, &b, &diag), 0);
	assert_ptr_not_equal(a, b);
	assert_int_equal(((unsigned char *)a)[999], 0xee);
	tarn_object_close(region, a);
	tarn_object_close(region, a); /* opened twice */
	uint32_t count;

	assert_int_equal(tarn_region_gc(region, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(tarn_object_create(region, "c", 1000, &again, &diag), 0);
	assert_ptr_equal(again, a); /* used again, and zero again */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(((unsigned char *)again)[i], 0);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

static int hold_and_die(void)
{
	struct tarn_region *r;
	void *data;

	if (tarn_region_open(name, NULL, &r) != 0 || tarn_object_open(r, "a", &data, NULL) != 0)
		return 1;
	raise(SIGKILL);
	return 2;
}

static void the_dead_hold_nothing(void **state)
{
	void *a, *b;

	(void)state;
	assert_int_equal(tarn_object_create(region, "a", 700 << 10, &a, NULL), 0);
	assert_int_equal(in_child(hold_and_die), 1000 + SIGKILL);
	tarn_object_close(region, a);
	assert_int_equal(tarn_object_remove(region, "a"), 0);
	assert_int_equal(tarn_object_create(region, "b", 700 << 10, &b, NULL), 0);
}

static void a_full_directory_says_so(void **state)
{
	struct tarn_diag diag;
	void *data;
	char object[16];
	int r = 0, made = 0;

	(void)state;
	for (; r == 0; made++) {
		snprintf(object, sizeof(object), "o%d", made);
		r = tarn_object_create(region, object, 1, &data, &diag);
	}
	assert_int_equal(r, -ENFILE);
	assert_int_equal(made, 257);
	assert_non_null(strstr(diag.what, "256"));
	assert_int_equal(tarn_object_remove(region, "o7"), 0);
	assert_int_equal(tarn_object_create(region, "new", 1, &data, &diag), -ENFILE); /* held */
}

static void growth_is_seen_by_others_without_a_call(void **state)
{
	const struct tarn_region_opts opts = { .size = 64 << 10, .max_size = 16 << 20 };
	struct tarn_diag diag;
	struct tarn_region *a, *b;
	struct tarn_region_stat stat;
	void *data, *seen;
	uint64_t size;

	(void)state;
	tarn_region_close(region);
	unlink(path);
	assert_int_equal(tarn_region_create(name, &opts, &region), 0);
	a = region;
	assert_int_equal(tarn_region_open(name, NULL, &b), 0);
	assert_int_equal(tarn_object_create(a, "big", 8 << 20, &data, &diag), -ENOSPC);
	assert_int_equal(tarn_region_grow(a, 32 << 20, &diag), -ENOMEM);
	assert_non_null(strstr(diag.what, "16 MiB"));
	assert_int_equal(tarn_region_grow(a, 12 << 20, &diag), 0);
	assert_int_equal(tarn_region_grow(a, 1 << 20, &diag), 0); /* large enough already */
	assert_int_equal(tarn_object_create(a, "big", 8 << 20, &data, &diag), 0);
	memset(data, 0x5a, 8 << 20);
	assert_int_equal(tarn_object_open(b, "big", &seen, &size), 0);
	assert_int_equal(((unsigned char *)seen)[size - 1], 0x5a);
	assert_int_equal(tarn_region_stat(b, &stat), 0);
	assert_int_equal(stat.size, 12 << 20);
	tarn_region_close(b);
}

static void observers_change_nothing(void **state)
{
	const struct tarn_region_opts look = { .flags = TARN_REGION_OBSERVE };
	struct tarn_region *observer;
	struct tarn_region_stat stat;
	void *data, *seen;
	uint64_t size;

	(void)state;
	assert_int_equal(tarn_object_create(region, "a", 10, &data, NULL), 0);
	memcpy(data, "hello", 6);
	assert_int_equal(tarn_region_open(name, &look, &observer), 0);
	assert_int_equal(tarn_region_stat(observer, &stat), 0);
	assert_true(stat.observer);
	assert_int_equal(stat.member_count, 1);
	assert_int_equal(tarn_object_open(observer, "a", &seen, &size), 0);
	assert_string_equal(seen, "hello");
	assert_int_equal(tarn_object_create(observer, "b", 1, &data, NULL), -EPERM);
	assert_int_equal(tarn_object_remove(observer, "a"), -EPERM);
	assert_int_equal(tarn_region_grow(observer, 1, NULL), -EPERM);
	assert_int_equal(tarn_region_gc(observer, NULL), -EPERM);
	assert_int_equal(tarn_region_check(observer, NULL, NULL), 0);
	tarn_region_close(observer);
}

static void the_last_member_takes_an_ephemeral_region_away(void **state)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_EPHEMERAL };
	struct tarn_region *second;

	(void)state;
	tarn_region_close(region);
	assert_true(exists()); /* the ordinary kind stays */
	assert_int_equal(tarn_region_remove(name, NULL), 0);
	assert_false(exists());
	assert_int_equal(tarn_region_create(name, &opts, &region), 0);
	assert_int_equal(tarn_region_open(name, NULL, &second), 0);
	tarn_region_close(region);
	region = NULL;
	assert_true(exists());
	tarn_region_close(second);
	assert_false(exists());
}

static void remove_if_idle_spares_the_living(void **state)
{
	struct tarn_diag diag;
	const struct tarn_region_opts idle = { .flags = TARN_REGION_EPHEMERAL, .diag = &diag };

	(void)state;
	assert_int_equal(tarn_region_remove(name, &idle), -EBUSY);
	assert_true(exists());
	tarn_region_close(region);
	region = NULL;
	assert_int_equal(tarn_region_remove(name, &idle), 0);
	assert_int_equal(tarn_region_remove(name, &idle), -ENOENT);
	assert_false(exists());
}

/* --- bad input ------------------------------------------------------------------------------ */

static void patch(off_t off, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, size, off), (ssize_t)size);
	close(fd);
}

static void damaged_superblocks_are_refused_by_field(void **state)
{
	static const struct {
		off_t off;
		uint32_t value;
		int error;
		const char *field;
	} cases[] = {
		{ 0, 0, -EUCLEAN, "magic" },          { 8, 0x04030201, -EPROTO, "byte_order" },
		{ 8, 7, -EUCLEAN, "byte_order" },     { 12, 9, -EUCLEAN, "version" },
		{ 16, 9, -EUCLEAN, "layout" },        { 20, 9, -EUCLEAN, "checksum" },
		{ 30, 9, -EUCLEAN, "checksum" },      { 80, 3, -EUCLEAN, "member_max" },
		{ 84, 5000, -EUCLEAN, "object_max" }, { 96, 64, -EUCLEAN, "directory_off" },
		{ 104, 64, -EUCLEAN, "heap_off" },    { 132, 77, -EUCLEAN, "state" },
		{ 136, 1, -EUCLEAN, "size_pages" },   { 136, 0x7fffffff, -EUCLEAN, "size_pages" },
	};
	struct tarn_region *r = NULL;
	unsigned char good[4096], before[4096], after[4096];
	int fd;

	(void)state;
	tarn_region_close(region);
	region = NULL;
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, good, sizeof(good), 0), sizeof(good));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tarn_diag diag = { "", "" };
		const struct tarn_region_opts opts = { .diag = &diag };

		patch(cases[i].off, &cases[i].value, 4);
		assert_int_equal(pread(fd, before, sizeof(before), 0), sizeof(before));
		assert_int_equal(tarn_region_open(name, &opts, &r), cases[i].error);
		assert_non_null(strstr(diag.what, cases[i].field));
		assert_int_equal(pread(fd, after, sizeof(after), 0), sizeof(after));
		assert_memory_equal(before, after, sizeof(before));
		patch(0, good, sizeof(good));
	}
	close(fd);
	assert_int_equal(tarn_region_open(name, NULL, &region), 0);
}

static void truncated_and_foreign_files_are_refused(void **state)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_region_opts opts = { .diag = &diag };
	struct tarn_region *r = NULL;
	struct stat st;

	(void)state;
	tarn_region_close(region);
	region = NULL;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	assert_int_equal(tarn_region_open(name, &opts, &r), -EUCLEAN);
	assert_non_null(strstr(diag.hint, "truncated"));
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(tarn_region_open(name, &opts, &r), -EUCLEAN);
	assert_int_equal(truncate(path, 0), 0);
	assert_true(tarn_region_open(name, &opts, &r) < 0);
	assert_int_equal(tarn_region_remove(name, &opts), -EUCLEAN); /* not known for ours */
	assert_true(exists());
	assert_int_equal(truncate(path, 1 << 20), 0);
	assert_int_equal(tarn_region_open(name, &opts, &r), -EUCLEAN);
	assert_non_null(strstr(diag.what, "magic"));
	assert_null(r);
}

static void a_larger_size_than_exists_is_refused_with_both(void **state)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_region_opts opts = { .size = 8 << 20, .diag = &diag };
	struct tarn_region *r;

	(void)state;
	assert_int_equal(tarn_region_open(name, &opts, &r), -EMSGSIZE);
	assert_non_null(strstr(diag.what, "1 MiB"));
	assert_non_null(strstr(diag.what, "8 MiB"));
}

static int damaged_count;

static void count_finding(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	damaged_count += finding->field != NULL;
}

static void a_damaged_entry_sets_its_object_aside_not_the_region(void **state)
{
	void *a, *b;
	struct entry_shm *entry = &region->directory[0];

	(void)state;
	assert_int_equal(tarn_object_create(region, "a", 100, &a, NULL), 0);
	assert_int_equal(tarn_object_create(region, "b", 100, &b, NULL), 0);
	for (uint32_t word = 0; word < TARN__ENTRY_WORDS; word++) {
		uint32_t old = entry->words[word];

		entry->words[word] = old ^ 0x10;
		damaged_count = 0;
		assert_int_equal(tarn_region_check(region, count_finding, NULL), -EUCLEAN);
		assert_true(damaged_count > 0);
		assert_true(tarn_object_open(region, "a", &a, NULL) < 0);
		assert_int_equal(tarn_object_open(region, "b", &b, NULL), 0);
		entry->words[word] = old;
	}
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	entry->words[2] = 0x7fffffff; /* a size from nowhere */
	assert_int_equal(tarn_object_open(region, "a", &a, NULL), -EUCLEAN);
	assert_int_equal(tarn_object_remove(region, "a"), 0); /* and it can be got rid of */
}

/* --- many at once ---------------------------------------------------------------------------- */

static int race(void)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_CREATE };
	struct tarn_region_stat stat;
	struct tarn_region *r;
	uint32_t *ids;
	uint64_t size;
	int err = tarn_region_open(name, &opts, &r);

	if (err != 0)
		return -err;
	if (tarn_region_stat(r, &stat) != 0)
		return 1;
	/* Each says in the parent's region which identity it saw. */
	if (tarn_object_open(region, "ids", (void **)&ids, &size) != 0)
		return 2;

	uint32_t slot = __atomic_fetch_add(&ids[0], 1, __ATOMIC_SEQ_CST);

	memcpy(&ids[1 + slot], stat.uuid, 4);
	if (stat.creator_pid == getpid())
		__atomic_fetch_add(&ids[300], 1, __ATOMIC_SEQ_CST);
	tarn_region_close(r);
	return 0;
}

static void two_hundred_processes_make_one_region(void **state)
{
	enum { COUNT = 200 };
	uint32_t *ids;
	pid_t pids[COUNT];

	(void)state;
	assert_int_equal(tarn_object_create(region, "ids", 4096, (void **)&ids, NULL), 0);
	snprintf(name, sizeof(name), "tarn-race-%d", (int)getpid());
	for (int i = 0; i < COUNT; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(race());
	}
	for (int i = 0; i < COUNT; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(tarn_region_remove(name, NULL), 0);
	assert_int_equal(ids[0], COUNT);
	assert_int_equal(ids[300], 1); /* one creator */
	for (int i = 2; i <= COUNT; i++)
		assert_int_equal(ids[i], ids[1]);
}

static void full_slots_are_refused_and_dead_ones_are_not_full(void **state)
{
	const struct tarn_region_opts opts = { .member_max = 4 };
	struct tarn_region *r[3], *extra;
	struct tarn_diag diag;
	const struct tarn_region_opts with_diag = { .diag = &diag };

	(void)state;
	tarn_region_close(region);
	unlink(path);
	assert_int_equal(tarn_region_create(name, &opts, &region), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(in_child(join_and_die), 1000 + SIGKILL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tarn_region_open(name, NULL, &r[i]), 0);
	assert_int_equal(tarn_region_open(name, &with_diag, &extra), -EUSERS);
	for (int i = 0; i < 3; i++)
		tarn_region_close(r[i]);
}

/* --- other kinds ------------------------------------------------------------------------------ */

static void a_file_region_outlives_its_members(void **state)
{
	struct tarn_region *r;
	char addr[128];
	void *data;

	(void)state;
	snprintf(addr, sizeof(addr), "file:/tmp/%s", name);
	assert_int_equal(tarn_region_create(addr, NULL, &r), 0);
	assert_int_equal(tarn_object_create(r, "x", 10, &data, NULL), 0);
	memcpy(data, "stays", 6);
	assert_int_equal(tarn_segment_sync(tarn_region_segment(r), 0, 0, TARN_SYNC_WAIT), 0);
	tarn_region_close(r);
	assert_int_equal(tarn_region_open(addr, NULL, &r), 0);
	assert_int_equal(tarn_object_open(r, "x", &data, NULL), 0);
	assert_string_equal(data, "stays");
	tarn_region_close(r);
	assert_int_equal(tarn_region_remove(addr, NULL), 0);
}

static void a_memfd_region_is_joined_by_descriptor(void **state)
{
	struct tarn_region *a, *b;

	(void)state;
	assert_int_equal(tarn_region_create("memfd:test", NULL, &a), 0);
	assert_int_equal(tarn_region_open_fd(tarn_segment_fd(tarn_region_segment(a)), NULL, &b), 0);
	assert_int_equal(member_count(a), 2);
	tarn_region_close(a);
	assert_int_equal(member_count(b), 1);
	tarn_region_close(b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_region, drop_region)
	const struct CMUnitTest tests[] = {
		TEST(a_created_region_is_found_under_its_name),
		TEST(the_dead_are_seen_and_reclaimed),
		TEST(the_stopped_are_alive_and_zombies_are_dead),
		TEST(a_forked_child_joins_by_itself),
		TEST(a_silent_child_does_not_keep_its_parent_alive),
		TEST(exec_ends_membership),
		TEST(objects_are_made_found_and_removed),
		TEST(the_dead_hold_nothing),
		TEST(a_full_directory_says_so),
		TEST(growth_is_seen_by_others_without_a_call),
		TEST(observers_change_nothing),
		TEST(the_last_member_takes_an_ephemeral_region_away),
		TEST(remove_if_idle_spares_the_living),
		TEST(damaged_superblocks_are_refused_by_field),
		TEST(truncated_and_foreign_files_are_refused),
		TEST(a_larger_size_than_exists_is_refused_with_both),
		TEST(a_damaged_entry_sets_its_object_aside_not_the_region),
		TEST(two_hundred_processes_make_one_region),
		TEST(full_slots_are_refused_and_dead_ones_are_not_full),
		TEST(a_file_region_outlives_its_members),
		TEST(a_memfd_region_is_joined_by_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
