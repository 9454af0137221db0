/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shortages: each is an error before a name appears, says what is short, by how much, and the
 * command that raises it, and leaves nothing.
 *
 * Each case runs in a child, with limits of its own; those that need another /dev/shm, in a mount
 * namespace of its own.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/shm.h>

#include "segment.h"

enum { NOT_PERMITTED = 77 };

/* A mount namespace from which nothing gets out. */
static int own_mounts(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return 0;
}

static int own_dev_shm(const char *options)
{
	if (own_mounts() < 0)
		return -1;
	return mount("tmpfs", "/dev/shm", "tmpfs", 0, options);
}

static void runs(int (*body)(void *arg), void *arg)
{
	int r = in_child(body, arg);

	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("this user may not have mounts, cgroups or limits of its own");
	assert_int_equal(r, 0);
}

/* Does creating fail with @error, and what it says hold @word and @hint? */
static bool create_says(const char *addr, struct tarn_segment_opts opts, int error,
			const char *word, const char *hint)
{
	struct tarn_diag diag = { "", "" };
	struct tarn_segment *seg = NULL;
	int r;

	opts.diag = &diag;
	r = tarn_segment_create(addr, &opts, &seg);
	if (r == error && strstr(diag.what, word) != NULL && strstr(diag.hint, hint) != NULL)
		return true;
	fprintf(stderr, "%s: %d, not %d; %s (%s)\n", addr, r, error, diag.what, diag.hint);
	return false;
}

static int count_name(const char *name, void *arg)
{
	(void)name;
	++*(int *)arg;
	return 0;
}

static int files_in_dev_shm(void)
{
	int count = 0;

	return tarn__plat_listdir("/dev/shm", count_name, &count) < 0 ? -1 : count;
}

/* --- /dev/shm -------------------------------------------------------------------------------- */

static int small_dev_shm(void *arg)
{
	struct tarn_segment_opts opts = { .size = 12 * MIB, .max_size = 64 * MIB };
	struct tarn_segment *seg = NULL;
	struct tarn_diag diag;

	(void)arg;
	if (own_dev_shm("size=16m") < 0)
		return NOT_PERMITTED;
	if (!create_says("big", (struct tarn_segment_opts){ .size = 64 * MIB }, -ENOSPC,
			 "64 MiB wanted, the file system has 16 MiB free: 50331648 bytes short",
			 "remount,size=65536k"))
		return 1;
	if (files_in_dev_shm() != 0)
		return 2;
	if (tarn_segment_create("fits", &opts, &seg) < 0)
		return 3;
	if (tarn_segment_grow(seg, 17 * MIB, &diag) != -ENOSPC ||
	    strstr(diag.what, "4 MiB free: 1048576 bytes short") == NULL)
		return 4;
	if (tarn_segment_size(seg) != 12 * MIB || tarn_segment_grow(seg, 16 * MIB, NULL) < 0)
		return 5;
	memset(tarn_segment_data(seg), 1, 16 * MIB);
	/* full now */
	if (!create_says("more", (struct tarn_segment_opts){ .size = 1 }, -ENOSPC, "0 bytes free",
			 "remount"))
		return 6;
	return files_in_dev_shm() == 1 ? 0 : 7;
}

static void a_small_dev_shm_is_named(void **state)
{
	(void)state;
	runs(small_dev_shm, NULL);
}

/* Sparse segments promise nothing; who populates them later is told. */
static int sparse_in_small_dev_shm(void *arg)
{
	struct tarn_segment_opts opts = { .size = 64 * MIB, .flags = TARN_SEGMENT_LAZY };
	struct tarn_segment *seg = NULL;

	(void)arg;
	if (own_dev_shm("size=16m") < 0)
		return NOT_PERMITTED;
	if (tarn_segment_create("sparse", &opts, &seg) < 0)
		return 1;
	if (tarn_segment_advise(seg, 0, 0, TARN_ADVICE_POPULATE_WRITE) != -ENOSPC)
		return 2;
	tarn_segment_close(seg);
	opts = (struct tarn_segment_opts){ .flags = TARN_SEGMENT_POPULATE };
	return tarn_segment_open("sparse", &opts, &seg) == -ENOSPC ? 0 : 3;
}

static void sparse_segments_that_cannot_be_filled_are_told(void **state)
{
	(void)state;
	runs(sparse_in_small_dev_shm, NULL);
}

static int no_inodes(void *arg)
{
	(void)arg;
	if (own_dev_shm("nr_inodes=2") < 0)
		return NOT_PERMITTED;
	close(open("/dev/shm/last", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	return create_says("x", (struct tarn_segment_opts){ .size = 1 }, -ENOSPC, "no space left",
			   "")
		       ? 0
		       : 1;
}

static int read_only_dev_shm(void *arg)
{
	struct tarn_segment *seg = NULL;
	struct tarn_segment_opts look = { .flags = TARN_SEGMENT_READ_ONLY };

	(void)arg;
	if (own_dev_shm("size=16m") < 0)
		return NOT_PERMITTED;
	if (tarn_segment_create("old", &(struct tarn_segment_opts){ .size = 1 }, &seg) < 0)
		return 1;
	tarn_segment_close(seg);
	if (mount(NULL, "/dev/shm", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return 1;
	if (!create_says("new", (struct tarn_segment_opts){ .size = 1 }, -EROFS, "read-only",
			 "remount,rw /dev/shm"))
		return 2;
	if (tarn_segment_remove("old", NULL) != -EROFS ||
	    tarn_segment_open("old", NULL, &seg) != -EROFS)
		return 3;
	return tarn_segment_open("old", &look, &seg) == 0 ? 0 : 4;
}

static int absent_dev_shm(void *arg)
{
	(void)arg;
	if (own_mounts() < 0 || mount("tmpfs", "/dev", "tmpfs", 0, NULL) < 0)
		return NOT_PERMITTED;
	return create_says("x", (struct tarn_segment_opts){ .size = 1 }, -ENOENT, "/dev/shm/x",
			   "mount -t tmpfs")
		       ? 0
		       : 1;
}

static void a_dev_shm_that_takes_nothing_is_named(void **state)
{
	(void)state;
	runs(no_inodes, NULL);
	runs(read_only_dev_shm, NULL);
	runs(absent_dev_shm, NULL);
}

/* --- the host, and limits of the process ----------------------------------------------------- */

/* Should the look fail, the kernel is to kill this child and nobody else. */
static int more_than_the_host(void *arg)
{
	struct tarn_segment_opts opts = { .size = UINT64_C(1) << (sizeof(void *) == 8 ? 46 : 47) };
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	(void)arg;
	if (fd < 0 || write(fd, "1000", 4) != 4)
		return NOT_PERMITTED;
	if (!create_says("anon:", opts, -ENOSPC, "the host has", "") ||
	    !create_says("memfd:host", opts, -ENOSPC, "bytes short", "") ||
	    !create_says("sysv:private", opts, -ENOSPC, "the host has", ""))
		return 1;
	opts.flags = TARN_SEGMENT_LAZY;
	return sizeof(void *) == 8 || create_says("anon:", opts, -ENOMEM, "address space", "") ? 0
											       : 2;
}

static void more_than_the_host_has_is_refused(void **state)
{
	(void)state;
	runs(more_than_the_host, NULL);
}

#define LIMIT(resource, value) setrlimit(resource, &(struct rlimit){ value, value })

static int file_size_limit(void *arg)
{
	struct tarn_segment_opts opts = { .size = 4096, .max_size = 4 * MIB };
	struct tarn_segment_opts lazy = { .size = 4 * MIB, .flags = TARN_SEGMENT_LAZY };
	struct tarn_segment *seg = NULL;
	struct tarn_diag diag;

	(void)arg;
	LIMIT(RLIMIT_FSIZE, 1 * MIB);
	if (!create_says("anon:", (struct tarn_segment_opts){ .size = 4 * MIB }, -EFBIG,
			 "RLIMIT_FSIZE): 3145728 bytes short", "ulimit -f 4096") ||
	    !create_says("anon:", lazy, -EFBIG, "RLIMIT_FSIZE", "ulimit -f"))
		return 1;
	if (tarn_segment_create("anon:", &opts, &seg) < 0)
		return 2;
	if (tarn_segment_grow(seg, 4 * MIB, &diag) != -EFBIG)
		return 3;
	return tarn_segment_size(seg) == 4096 ? 0 : 4;
}

static int address_space_limit(void *arg)
{
	struct tarn_segment_opts opts = { .size = 4096, .max_size = UINT64_C(1) << 40 };

	(void)arg;
	LIMIT(RLIMIT_AS, UINT64_C(1) << 31);
	return create_says("anon:", opts, -ENOMEM, "1 TiB", "") &&
			       (sizeof(void *) == 4 ||
				create_says("anon:", opts, -ENOMEM, "", "ulimit -v"))
		       ? 0
		       : 1;
}

/* No descriptor left, one left, two left: always a clear answer. */
static int descriptor_limit(void *arg)
{
	const char *addrs[] = { "anon:", own_name("shm:", "nofile"), "huge:nofile" };
	int next = dup(0);

	(void)arg;
	close(next);
	for (rlim_t left = 0; left < 2; left++)
		for (size_t i = 0; i < 3; i++) {
			struct rlimit limits = { (rlim_t)next + left, 1000 };
			struct tarn_segment_opts opts = { .size = 4096 };

			if (setrlimit(RLIMIT_NOFILE, &limits) < 0)
				return 1;
			if (!create_says(addrs[i], opts,
					 left == 1 && i == 2 ? -EOPNOTSUPP : -EMFILE, "",
					 left == 1 && i == 2 ? "hugetlbfs" : "ulimit -n"))
				return 2;
		}
	return access(shm_path("nofile"), F_OK) == 0 ? 3 : 0;
}

static int memlock_limit(void *arg)
{
	struct tarn_segment_opts opts = { .size = 1 * MIB, .flags = TARN_SEGMENT_LOCK };
	struct tarn_segment *seg = NULL;
	struct tarn_diag diag;
	const char *addr = own_name("shm:", "memlock");

	(void)arg;
	LIMIT(RLIMIT_MEMLOCK, 64 * KIB);
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return NOT_PERMITTED;
	if (!create_says(addr, opts, -ENOMEM, "may lock 64 KiB (RLIMIT_MEMLOCK)", "ulimit -l 1024"))
		return 1;
	if (access(shm_path("memlock"), F_OK) == 0)
		return 2;
	opts.flags = 0;
	if (tarn_segment_create("anon:", &opts, &seg) < 0)
		return 3;
	if (tarn_segment_lock(seg, 0, 0, &diag) != -ENOMEM ||
	    strstr(diag.hint, "ulimit -l") == NULL)
		return 4;
	return tarn_segment_lock(seg, 0, 32 * KIB, &diag) == 0 ? 0 : 5;
}

static void limits_of_the_process_are_named(void **state)
{
	(void)state;
	runs(file_size_limit, NULL);
	runs(descriptor_limit, NULL);
	if (!UNSANITIZED)
		SKIP_BECAUSE("the address sanitizer maps terabytes and makes mlock() do nothing");
	runs(address_space_limit, NULL);
	runs(memlock_limit, NULL);
}

/* --- memory cgroups -------------------------------------------------------------------------- */

static int write_text(const char *dir, const char *file, const char *text)
{
	char path[4096 + 64];
	int fd, r;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return -1;
	r = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return r;
}

/* Where this process's memory cgroup of version 1 is; false if there is none. */
static bool memory_cgroup(char *dir, size_t size)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096], path[4096];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, "%*d:memory:%4095s", path) == 1;
	if (f != NULL)
		fclose(f);
	snprintf(dir, size, "/sys/fs/cgroup/memory%.4000s", path);
	return found && access(dir, W_OK) == 0;
}

static uint64_t number_in(const char *path)
{
	char text[64];

	return tarn__plat_read_text(path, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

/* What is left of the cgroup's limit, to the page. */
static uint64_t left_in(const char *dir)
{
	char path[4096 + 256];
	uint64_t limit = 0, usage = 0;

	snprintf(path, sizeof(path), "%s/../memory.limit_in_bytes", dir);
	limit = number_in(path);
	snprintf(path, sizeof(path), "%s/../memory.usage_in_bytes", dir);
	usage = number_in(path);
	return (limit - usage) & ~UINT64_C(4095);
}

/* Every size up to the limit is taken or refused; none ends in a kill. */
static int up_to_the_limit(const char *dir)
{
	for (uint64_t less = 0; less < 6 * MIB; less += less < 1 * MIB ? 32 * KIB : 512 * KIB) {
		struct tarn_segment_opts some = { .size = left_in(dir) - less,
						  .flags = TARN_SEGMENT_POPULATE };
		struct tarn_segment *seg = NULL;
		int r = tarn_segment_create("anon:", &some, &seg);

		if (r < 0 && (r != -ENOSPC || less >= 4 * MIB))
			return 1; /* far too careful */
		if (r < 0)
			continue;
		memset(tarn_segment_data(seg), 1, some.size);
		tarn_segment_close(seg);
	}
	return 0;
}

/* In a cgroup with 32 MiB: what is refused is refused, what is taken is really there. */
static int limited(void *arg)
{
	static const char *const addrs[] = { "anon:", "sysv:private", "memfd:x" };
	const char *dir = arg;
	char pid[16];
	struct tarn_segment_opts opts = { .size = 1 * MIB, .max_size = 64 * MIB };
	struct tarn_segment *seg = NULL;
	struct tarn_diag diag = { "", "" };

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (write_text(dir, "cgroup.procs", pid) < 0)
		return NOT_PERMITTED;
	for (size_t i = 0; i < 3; i++)
		if (!create_says(addrs[i], (struct tarn_segment_opts){ .size = 64 * MIB }, -ENOSPC,
				 "memory cgroup's limit of 32 MiB", "memory.limit_in_bytes"))
			return 1;
	if (up_to_the_limit(dir) != 0)
		return 2;
	if (tarn_segment_create("anon:", &opts, &seg) < 0)
		return 4;
	if (tarn_segment_grow(seg, 64 * MIB, &diag) != -ENOSPC ||
	    strstr(diag.what, "cgroup") == NULL)
		return 5;
	return tarn_segment_grow(seg, 20 * MIB, &diag) == 0 ? 0 : 6;
}

static void a_memory_cgroup_is_named_and_never_kills(void **state)
{
	char dir[4096 + 128], inner[4096 + 256];
	int r = NOT_PERMITTED;

	(void)state;
	if (!memory_cgroup(dir, 4096))
		SKIP_BECAUSE("no memory cgroup of version 1 that this user may divide");
	snprintf(dir + strlen(dir), 64, "/tarn-unit-%d", (int)getpid());
	snprintf(inner, sizeof(inner), "%s/inner", dir);
	/* the limit is an ancestor's: the process sits in a cgroup without one */
	if (mkdir(dir, 0700) == 0 && write_text(dir, "memory.limit_in_bytes", "33554432") == 0 &&
	    mkdir(inner, 0700) == 0)
		r = in_child(limited, inner);
	rmdir(inner);
	rmdir(dir);
	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("this user may not make memory cgroups");
	assert_int_equal(r, 0);
}

/* Version 2, where the host has no memory controller in it: files of one's own over its mount. */
static int limited_v2(void *arg)
{
	const char *dir = arg;
	struct tarn_segment_opts opts = { .size = 64 * MIB };
	struct tarn_segment *seg = NULL;

	if (own_mounts() < 0 || mount("tmpfs", dir, "tmpfs", 0, NULL) < 0)
		return NOT_PERMITTED;
	if (write_text(dir, "memory.max", "max\n") < 0 ||
	    write_text(dir, "memory.current", "999999999\n") < 0 ||
	    tarn_segment_create("anon:", &opts, &seg) < 0)
		return 1;
	tarn_segment_close(seg);
	write_text(dir, "memory.max", "100000000\n");
	write_text(dir, "memory.current", "90000000\n");
	if (!create_says("anon:", opts, -ENOSPC, "9.5 MiB left of the memory cgroup's limit",
			 "memory.max"))
		return 2;
	/* page cache that can go does not count */
	write_text(dir, "memory.stat", "anon 1\nfile 80000000\ninactive_file 80000000\n");
	if (tarn_segment_create("anon:", &opts, &seg) < 0)
		return 3;
	return 0;
}

static void a_memory_cgroup_of_version_2_is_named(void **state)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], dir[4096] = "", options[4096];

	(void)state;
	while (f != NULL && dir[0] == '\0' && fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, " - cgroup2 ") != NULL)
			assert_int_equal(
				sscanf(line, "%*d %*d %*s %*s %4095s %4095s", dir, options), 2);
	if (f != NULL)
		fclose(f);
	if (dir[0] == '\0')
		SKIP_BECAUSE("no cgroup file system of version 2 is mounted");
	runs(limited_v2, dir);
}

/* --- what the look did not foresee ----------------------------------------------------------- */

static int refuse_reserving(enum tarn_plat_call call)
{
	return call == TARN_PLAT_FALLOCATE ? ENOSPC : 0;
}

static void memory_taken_after_the_look_is_an_error_too(void **state)
{
	const char *addr = own_name("shm:", "late");
	struct tarn_segment_opts opts = { .size = 1 * MIB };

	(void)state;
	tarn__plat_fault = refuse_reserving;
	create_fails(addr, &opts, -ENOSPC, "reserving 1 MiB");
	tarn__plat_fault = NULL;
	assert_int_equal(access(shm_path("late"), F_OK), -1);
}

static int no_fallocate(enum tarn_plat_call call)
{
	return call == TARN_PLAT_FALLOCATE ? EOPNOTSUPP : 0;
}

static void file_systems_without_fallocate_are_written(void **state)
{
	const char *addr = own_name("file:/tmp/", "nofalloc");
	struct tarn_segment_opts opts = { .size = 200 * KIB + 1 };
	struct tarn_segment_stat stat;
	struct tarn_segment *seg;

	(void)state;
	tarn__plat_fault = no_fallocate;
	seg = created(addr, &opts);
	tarn__plat_fault = NULL;
	assert_int_equal(tarn_segment_stat(seg, &stat), 0);
	assert_int_equal(stat.size, 200 * KIB + 1);
	assert_int_equal(tarn__segment_unname(seg), 0);
	tarn_segment_close(seg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_dev_shm_is_named),
		cmocka_unit_test(sparse_segments_that_cannot_be_filled_are_told),
		cmocka_unit_test(a_dev_shm_that_takes_nothing_is_named),
		cmocka_unit_test(more_than_the_host_has_is_refused),
		cmocka_unit_test(limits_of_the_process_are_named),
		cmocka_unit_test(a_memory_cgroup_is_named_and_never_kills),
		cmocka_unit_test(a_memory_cgroup_of_version_2_is_named),
		cmocka_unit_test(memory_taken_after_the_look_is_an_error_too),
		cmocka_unit_test(file_systems_without_fallocate_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
