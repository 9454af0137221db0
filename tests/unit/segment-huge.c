/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Huge pages: had where they can be, named where they cannot, never passed over in silence.
 *
 * The group takes 2 MiB pages from the host by vm.nr_hugepages and gives them back at its end.
 * Where the host does not let it, what needs them is skipped. A lock keeps two runs apart.
 * hugetlbfs is mounted in a mount namespace of a child's own.
 */
#include <inttypes.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/shm.h>

#include "segment.h"

#define PAGE_2M       (2 * MIB)
#define POOL          "/proc/sys/vm/nr_hugepages"
#define FREE          "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
#define RESERVED      "/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages"
#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

enum { NOT_PERMITTED = 77, TAKEN = 8 };

static uint64_t pool_before;
static bool have_pool;
static int lock_fd = -1;

static uint64_t number_in(const char *path)
{
	char text[64];

	return tarn__plat_read_text(path, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

static uint64_t free_pages(void)
{
	return number_in(FREE) - number_in(RESERVED);
}

static int take_pool(void **state)
{
	char text[24];

	(void)state;
	lock_fd = open("/sys/kernel/mm/hugepages", O_RDONLY | O_CLOEXEC);
	(void)!flock(lock_fd, LOCK_EX);
	pool_before = number_in(POOL);
	snprintf(text, sizeof(text), "%" PRIu64, pool_before + TAKEN);
	have_pool = put(POOL, text) && free_pages() >= TAKEN;
	return 0;
}

static int give_pool_back(void **state)
{
	char text[24];

	(void)state;
	snprintf(text, sizeof(text), "%" PRIu64, pool_before);
	if (number_in(POOL) != pool_before)
		(void)put(POOL, text);
	close(lock_fd);
	return 0;
}

#define NEED_POOL()                                                                                \
	do {                                                                                       \
		if (!have_pool)                                                                    \
			SKIP_BECAUSE("8 huge pages cannot be reserved on this host now");          \
	} while (0)

/* --- memfd and System V ---------------------------------------------------------------------- */

static const struct tarn_segment_opts must = { .size = 3 * MIB,
					       .pages = TARN_PAGES_2M,
					       .flags = TARN_SEGMENT_PAGES_MUST };

static void memfds_and_system_v_take_huge_pages(void **state)
{
	const char *addrs[] = { own_name("memfd:", "huge"), "anon:", "sysv:private" };

	(void)state;
	NEED_POOL();
	for (size_t i = 0; i < 3; i++) {
		uint64_t before = free_pages();
		struct tarn_segment *seg = created(addrs[i], &must);
		struct tarn_segment_stat stat;

		assert_int_equal(tarn_segment_stat(seg, &stat), 0);
		assert_int_equal(stat.page_size, PAGE_2M);
		assert_int_equal(stat.size, 2 * PAGE_2M);
		assert_int_equal(stat.resident, 2 * PAGE_2M);
		assert_int_equal(free_pages(), before - 2);
		memset(tarn_segment_data(seg), 1, 2 * PAGE_2M);
		(void)!tarn__segment_unname(seg);
		tarn_segment_close(seg);
		assert_int_equal(free_pages(), before);
	}
}

static void opened_system_v_segments_tell_their_pages(void **state)
{
	struct tarn_segment *seg, *view;
	struct tarn_segment_stat stat;
	char addr[32];

	(void)state;
	NEED_POOL();
	seg = created("sysv:private", &must);
	snprintf(addr, sizeof(addr), "sysv:#%d", seg->shmid);
	view = opened(addr, &must);
	assert_int_equal(tarn_segment_stat(view, &stat), 0);
	assert_int_equal(stat.page_size, PAGE_2M);
	assert_int_equal(stat.max_size, 2 * PAGE_2M);
	tarn_segment_close(view);
	assert_int_equal(tarn__segment_unname(seg), 0);
	tarn_segment_close(seg);
}

static void growth_takes_pages_only_as_it_goes(void **state)
{
	struct tarn_segment_opts opts = must;
	struct tarn_segment *seg, *view = NULL;
	uint64_t before;
	char *data;

	(void)state;
	NEED_POOL();
	opts.max_size = 1024 * MIB;
	before = free_pages();
	seg = created("anon:", &opts);
	data = tarn_segment_data(seg);
	assert_int_equal(tarn_segment_size(seg), 2 * PAGE_2M);
	assert_int_equal(free_pages(), before - 2);
	assert_int_equal(tarn_segment_open_fd(tarn_segment_fd(seg), &opts, &view), 0);
	assert_int_equal(tarn_segment_grow(seg, 5 * MIB, NULL), 0);
	assert_int_equal(tarn_segment_size(view), 3 * PAGE_2M);
	assert_int_equal(free_pages(), before - 3);
	data[3 * PAGE_2M - 1] = 'x';
	assert_int_equal(((char *)tarn_segment_data(view))[3 * PAGE_2M - 1], 'x');
	assert_int_equal(tarn_segment_grow(seg, 1024 * MIB, NULL), -ENOSPC);
	assert_int_equal(tarn_segment_size(seg), 3 * PAGE_2M);
	tarn_segment_close(view);
	tarn_segment_close(seg);
	assert_int_equal(free_pages(), before);
}

static void a_shortage_is_named_or_told(void **state)
{
	const char *addrs[] = { own_name("memfd:", "short"), "sysv:private" };
	struct tarn_segment_opts opts = { .size = (free_pages() + 5) * PAGE_2M,
					  .pages = TARN_PAGES_2M,
					  .flags = TARN_SEGMENT_PAGES_MUST };
	char raise[64];

	(void)state;
	if (number_in("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages") != 0)
		SKIP_BECAUSE("the host lets huge pages be had beyond its pool");
	snprintf(raise, sizeof(raise), "vm.nr_hugepages=%" PRIu64, number_in(POOL) + 5);
	for (size_t i = 0; i < 2; i++) {
		struct tarn_segment_stat stat;
		struct tarn_segment *seg;

		opts.flags = TARN_SEGMENT_PAGES_MUST;
		create_fails(addrs[i], &opts, -ENOSPC, "HugePages_Free");
		create_fails(addrs[i], &opts, -ENOSPC, "5 short");
		create_fails(addrs[i], &opts, -ENOSPC, raise);
		opts.flags = 0;
		seg = created(addrs[i], &opts);
		assert_int_equal(tarn_segment_stat(seg, &stat), 0);
		assert_int_equal(stat.page_size, 4096);
		(void)!tarn__segment_unname(seg);
		tarn_segment_close(seg);
	}
}

static void kinds_without_huge_pages_say_so(void **state)
{
	struct tarn_segment_opts opts = must;
	const char *addr = own_name("shm:", "small");
	struct tarn_segment_stat stat;
	struct tarn_segment *seg;

	(void)state;
	create_fails(addr, &opts, -EOPNOTSUPP, "explicit huge pages");
	opts.flags = 0;
	seg = created(addr, &opts);
	assert_int_equal(tarn_segment_stat(seg, &stat), 0);
	assert_int_equal(stat.page_size, 4096);
	open_fails(addr, &must, -EOPNOTSUPP, "pages of 4 KiB, pages of 2 MiB");
	assert_int_equal(tarn__segment_unname(seg), 0);
	tarn_segment_close(seg);
}

/* --- hugetlbfs ------------------------------------------------------------------------------- */

/* hugetlbfs at a directory with a blank in its name; the path, or NULL. */
static const char *own_hugetlbfs(const char *options)
{
	static char dir[128];

	snprintf(dir, sizeof(dir), "/tmp/tarn unit %d", (int)getpid());
	if (mkdir(dir, 0700) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "hugetlbfs", 0, options) < 0) {
		rmdir(dir);
		return NULL;
	}
	return dir;
}

static int files_in_hugetlbfs(void *arg)
{
	const char *dir = own_hugetlbfs("pagesize=2M");
	struct tarn_segment_opts opts = { .size = 1, .max_size = 8 * MIB };
	struct tarn_segment *seg = NULL, *view = NULL, *cow = NULL;
	struct tarn_segment_stat stat;
	struct tarn_diag diag;
	char path[256];
	int r = 0;

	(void)arg;
	if (dir == NULL)
		return NOT_PERMITTED;
	snprintf(path, sizeof(path), "%s/pages", dir);
	if (tarn_segment_create("huge:pages", &opts, &seg) < 0 || access(path, F_OK) < 0)
		r = 1;
	else if (tarn_segment_create("huge:pages", &opts, &view) != -EEXIST)
		r = 2;
	else if (tarn_segment_open("huge:/pages", &opts, &view) < 0)
		r = 3;
	else if (tarn_segment_stat(view, &stat) < 0 || stat.page_size != PAGE_2M ||
		 stat.size != PAGE_2M || stat.kind != TARN_SEGMENT_HUGE || stat.mode != 0600)
		r = 4;
	opts.flags = TARN_SEGMENT_PRIVATE;
	if (r == 0 && tarn_segment_open("huge:pages", &opts, &cow) < 0)
		r = 9;
	/* a view that maps more than there is makes the file no larger */
	else if (r == 0 && tarn_segment_size(seg) != PAGE_2M)
		r = 10;
	else if (r == 0 && (*(char *)tarn_segment_data(cow) = 'c') != 'c')
		r = 11;
	else if (r == 0 && *(char *)tarn_segment_data(seg) != 0)
		r = 12;
	else if (r == 0 && tarn_segment_grow(view, 3 * MIB, NULL) < 0)
		r = 13;
	else if (r == 0 && tarn_segment_size(seg) != 4 * MIB)
		r = 5;
	if (r == 0) {
		((char *)tarn_segment_data(seg))[4 * MIB - 1] = 'h';
		if (((char *)tarn_segment_data(view))[4 * MIB - 1] != 'h')
			r = 6;
	}
	if (r == 0 && tarn_segment_remove("huge:pages", NULL) < 0)
		r = 7;
	opts = (struct tarn_segment_opts){ .size = 1, .pages = TARN_PAGES_1G, .diag = &diag };
	opts.flags = TARN_SEGMENT_PAGES_MUST;
	if (r == 0 && (tarn_segment_create("huge:big", &opts, &seg) != -EOPNOTSUPP ||
		       strstr(diag.hint, "pagesize=1024M") == NULL))
		r = 8;
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	return r;
}

static void files_in_hugetlbfs_are_like_any(void **state)
{
	int r;

	(void)state;
	NEED_POOL();
	r = in_child(files_in_hugetlbfs, NULL);
	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("this user may not mount hugetlbfs");
	assert_int_equal(r, 0);
}

static int full_hugetlbfs(void *arg)
{
	const char *dir = own_hugetlbfs("pagesize=2M");
	struct tarn_diag diag;
	struct tarn_segment_opts opts = { .size = (free_pages() + 3) * PAGE_2M, .diag = &diag };
	struct tarn_segment *seg = NULL;
	char path[256];
	int r;

	(void)arg;
	if (dir == NULL)
		return NOT_PERMITTED;
	snprintf(path, sizeof(path), "%s/x", dir);
	r = tarn_segment_create("huge:x", &opts, &seg) == -ENOSPC &&
			    strstr(diag.what, "3 short") != NULL && access(path, F_OK) < 0
		    ? 0
		    : 1;
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	return r;
}

static void a_shortage_in_hugetlbfs_is_named(void **state)
{
	int r = in_child(full_hugetlbfs, NULL);

	(void)state;
	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("this user may not mount hugetlbfs");
	assert_int_equal(r, 0);
}

static int no_hugetlbfs(void *arg)
{
	char line[4096], dir[4096];
	FILE *f;

	(void)arg;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return NOT_PERMITTED;
	f = fopen("/proc/self/mountinfo", "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, " - hugetlbfs ") != NULL &&
		    sscanf(line, "%*s %*s %*s %*s %4095s", dir) == 1)
			umount2(dir, MNT_DETACH);
	if (f != NULL)
		fclose(f);
	create_fails("huge:x", &(struct tarn_segment_opts){ .size = 1 }, -EOPNOTSUPP,
		     "mount -t hugetlbfs");
	open_fails("huge:x", NULL, -ENOENT, "no hugetlbfs is mounted");
	return 0;
}

static void an_absent_hugetlbfs_is_named(void **state)
{
	int r = in_child(no_hugetlbfs, NULL);

	(void)state;
	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("this user may not have mounts of its own");
	assert_int_equal(r, 0);
}

static int guarded_huge(void *arg)
{
	struct tarn_segment *seg = arg;
	const _Atomic unsigned char *data = tarn_segment_data(seg);

	if (tarn_segment_guard() < 0 || ftruncate(tarn_segment_fd(seg), PAGE_2M) < 0)
		return 1;
	if (data[PAGE_2M + 12345] != 0 || data[2 * PAGE_2M - 1] != 0 || seg->fault_count != 1)
		return 2;
	return 0;
}

static void the_guard_covers_huge_pages(void **state)
{
	struct tarn_segment *seg;

	(void)state;
	NEED_POOL();
	seg = created("anon:", &must);
	assert_int_equal(in_child(guarded_huge, seg), 0);
	tarn_segment_close(seg);
}

/* --- transparent ones ------------------------------------------------------------------------ */

static uint64_t pmd_mapped(const void *base)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	unsigned long start, end;
	uint64_t kib, found = 0;
	bool inside = false;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start == (uintptr_t)base;
		else if (inside && sscanf(line, "ShmemPmdMapped: %" SCNu64, &kib) == 1)
			found = kib * KIB;
	if (f != NULL)
		fclose(f);
	return found;
}

static void transparent_pages_are_had_where_the_host_allows(void **state)
{
	struct tarn_segment_opts opts = { .size = 8 * MIB, .pages = TARN_PAGES_THP };
	static const char *const addrs[] = { "anon:", "sysv:private" };
	char before[128], *choice = NULL, *end = NULL;
	struct tarn_segment_stat stat;
	struct tarn_segment *seg;

	(void)state;
	if (tarn__plat_read_text(SHMEM_ENABLED, before, sizeof(before)) <= 0 ||
	    (choice = strchr(before, '[')) == NULL || (end = strchr(choice, ']')) == NULL)
		SKIP_BECAUSE("this kernel has no transparent huge pages in shared memory");
	*end = '\0';
	if (!put(SHMEM_ENABLED, "never"))
		SKIP_BECAUSE("this user may not choose for the host");
	for (size_t i = 0; i < 2; i++) {
		seg = created(addrs[i], &opts);
		assert_int_equal(tarn_segment_stat(seg, &stat), 0);
		assert_false(stat.thp);
		(void)!tarn__segment_unname(seg);
		tarn_segment_close(seg);
		opts.flags = TARN_SEGMENT_PAGES_MUST;
		create_fails(addrs[i], &opts, -EOPNOTSUPP, SHMEM_ENABLED " is never");
		create_fails(addrs[i], &opts, -EOPNOTSUPP, "echo advise > " SHMEM_ENABLED);
		assert_true(put(SHMEM_ENABLED, "advise"));
		seg = created(addrs[i], &opts);
		assert_true(put(SHMEM_ENABLED, "never"));
		assert_int_equal(tarn_segment_stat(seg, &stat), 0);
		assert_true(stat.thp);
		assert_int_equal(stat.size, 8 * MIB);
		assert_true(pmd_mapped(tarn_segment_data(seg)) >= 4 * MIB);
		(void)!tarn__segment_unname(seg);
		tarn_segment_close(seg);
		opts.flags = 0;
	}
	assert_true(put(SHMEM_ENABLED, choice + 1));
	opts.flags = TARN_SEGMENT_PAGES_MUST;
	create_fails(own_name("file:/tmp/", "thp"), &opts, -EOPNOTSUPP, "transparent");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memfds_and_system_v_take_huge_pages),
		cmocka_unit_test(opened_system_v_segments_tell_their_pages),
		cmocka_unit_test(growth_takes_pages_only_as_it_goes),
		cmocka_unit_test(a_shortage_is_named_or_told),
		cmocka_unit_test(kinds_without_huge_pages_say_so),
		cmocka_unit_test(files_in_hugetlbfs_are_like_any),
		cmocka_unit_test(a_shortage_in_hugetlbfs_is_named),
		cmocka_unit_test(an_absent_hugetlbfs_is_named),
		cmocka_unit_test(the_guard_covers_huge_pages),
		cmocka_unit_test(transparent_pages_are_had_where_the_host_allows),
	};

	return cmocka_run_group_tests(tests, take_pool, give_pool_back);
}
