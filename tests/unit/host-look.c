/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One segment, closely: what of it is in memory, and which pages and frames who has.
 *
 * Expectations are the test's own: what it wrote, where, by whom. That looking leaves no trace is
 * tested by the counts and times that others read.
 */
#include "host.h"
#include "look.h"

/* --- extents of files ------------------------------------------------------------------------ */

static void extents_are_what_was_written(void **state)
{
	int fd = object("a", 64 * PAGE);

	(void)state;
	touch_file(fd, 3, 2);
	touch_file(fd, 10, 1);
	assert_extents(object_addr("a"),
		       "hole 0-3 resident 3-5 hole 5-10 resident 10-11 hole 11-64");
	close_object("a", fd);
}

static void a_last_page_in_part_ends_at_the_size(void **state)
{
	int fd = object("a", 2 * PAGE + 100);
	struct tarn_host *host;
	struct survey survey = { 0 };

	(void)state;
	touch_file(fd, 2, 1);
	assert_int_equal(ftruncate(fd, 2 * PAGE + 100), 0);
	host = picture(0);
	assert_int_equal(
		tarn_host_extents(host, found(host, object_addr("a")), add_extent, &survey, NULL),
		0);
	assert_int_equal(survey.end, 2 * PAGE + 100);
	assert_string_equal(survey.text, "hole 0-2 resident 2-3");
	tarn_host_free(host);
	close_object("a", fd);
}

static void memory_set_aside_is_told_from_holes(void **state)
{
	int fd = object("a", 64 * PAGE);

	(void)state;
	assert_int_equal(fallocate(fd, 0, 16 * PAGE, 20 * PAGE), 0);
	touch_file(fd, 20, 4);
	assert_extents(object_addr("a"),
		       "hole 0-16 reserved 16-20 resident 20-24 reserved 24-36 hole 36-64");
	close_object("a", fd);
}

static void what_two_mappings_touch_is_one_extent(void **state)
{
	int fd = object("a", 8 * PAGE);
	char *one = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *two = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * PAGE);

	(void)state;
	assert_ptr_not_equal(one, MAP_FAILED);
	assert_ptr_not_equal(two, MAP_FAILED);
	one[PAGE] = 1;
	two[0] = 1;
	assert_extents(object_addr("a"), "hole 0-1 resident 1-3 hole 3-8");
	munmap(one, 8 * PAGE);
	munmap(two, 4 * PAGE);
	close_object("a", fd);
}

static void an_empty_object_has_no_extent(void **state)
{
	int fd = object("a", 0);

	(void)state;
	assert_extents(object_addr("a"), "");
	close_object("a", fd);
}

static void a_terabyte_with_one_page_is_three_extents(void **state)
{
	uint64_t size = UINT64_C(1) << 40;
	int fd = object("a", (off_t)size);

	(void)state;
	touch_file(fd, (off_t)(size / PAGE / 2), 1);
	assert_extents(object_addr("a"),
		       "hole 0-134217728 resident 134217728-134217729 hole 134217729-268435456");
	close_object("a", fd);
}

static int cut_fd;

static int cut(const struct tarn_host_extent *extent, void *arg)
{
	int r = add_extent(extent, arg);

	return ftruncate(cut_fd, 4 * PAGE) == 0 ? r : -1;
}

static void what_is_truncated_meanwhile_is_a_hole(void **state)
{
	struct survey survey = { 0 };
	struct tarn_host *host;

	(void)state;
	cut_fd = object("a", 64 * PAGE);
	for (int i = 0; i < 64; i += 2)
		touch_file(cut_fd, i, 1);
	host = picture(0);
	assert_int_equal(tarn_host_extents(host, found(host, object_addr("a")), cut, &survey, NULL),
			 0);
	assert_int_equal(survey.end, 64 * PAGE);
	assert_non_null(strstr(survey.text, "hole"));
	assert_null(strstr(survey.text, "62-63"));
	tarn_host_free(host);
	close_object("a", cut_fd);
}

static int stop(const struct tarn_host_extent *extent, void *arg)
{
	(void)extent;
	(*(int *)arg)++;
	return 7;
}

static void what_the_function_returns_ends_it(void **state)
{
	int fd = object("a", 8 * PAGE), calls = 0;
	struct tarn_host *host;

	(void)state;
	touch_file(fd, 2, 1);
	host = picture(0);
	assert_int_equal(tarn_host_extents(host, found(host, object_addr("a")), stop, &calls, NULL),
			 7);
	assert_int_equal(calls, 1);
	tarn_host_free(host);
	close_object("a", fd);
}

static void what_is_gone_since_the_picture_is_told_so(void **state)
{
	int fd = object("a", PAGE);
	const struct tarn_host_segment *seg;
	struct survey survey = { 0 };
	struct tarn_diag diag = { "", "" };
	struct tarn_host *host;
	char byte;

	(void)state;
	close(fd);
	host = picture(0);
	seg = found(host, object_addr("a"));
	unlink(object_path("a"));
	assert_int_equal(tarn_host_extents(host, seg, add_extent, &survey, &diag), -ENOENT);
	assert_non_null(strstr(diag.what, "gone"));
	assert_int_equal(tarn_host_read(host, seg, 0, &byte, 1, NULL), -ENOENT);
	assert_int_equal(tarn_host_pages(host, seg, 0, 0, NULL, NULL, NULL), -ENOENT);
	/* another thing with the same name is not taken for it */
	fd = object("a", PAGE);
	assert_int_equal(tarn_host_read(host, seg, 0, &byte, 1, NULL), -ENOENT);
	tarn_host_free(host);
	close_object("a", fd);
}

/* --- older kernels, and users without rights -------------------------------------------------- */

static enum tarn_plat_call failing;
static int failing_with;

static int fail_one(enum tarn_plat_call call)
{
	return call == failing ? failing_with : 0;
}

static void without_cachestat_it_is_the_same(void **state)
{
	int fd = object("a", 64 * PAGE);

	(void)state;
	touch_file(fd, 3, 2);
	failing = TARN_PLAT_CACHESTAT;
	failing_with = ENOSYS;
	tarn__plat_fault = fail_one;
	assert_extents(object_addr("a"), "hole 0-3 resident 3-5 hole 5-64");
	assert_int_equal(fallocate(fd, 0, 0, 64 * PAGE), 0);
	assert_extents(object_addr("a"), "reserved 0-3 resident 3-5 reserved 5-64");
	assert_int_equal(ftruncate(fd, 128 * PAGE), 0);
	assert_extents(object_addr("a"), "unknown 0-3 resident 3-5 unknown 5-128");
	tarn__plat_fault = NULL;
	close_object("a", fd);
}

/* A file on disk: what was dropped from memory is still there. */
static void contents_that_are_not_in_memory_are_told_so(void **state)
{
	char path[80], addr[96];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/var/tmp/hostlook%d", (int)getpid());
	snprintf(addr, sizeof(addr), "file:%s", path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 64 * PAGE), 0);
	touch_file(fd, 8, 32);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	assert_int_equal(posix_fadvise(fd, 8 * PAGE, 16 * PAGE, POSIX_FADV_DONTNEED), 0);
	if (strcmp(extents_of(addr), "hole 0-8 swapped 8-24 resident 24-40 hole 40-64") != 0) {
		close(fd);
		unlink(path);
		SKIP_BECAUSE("/var/tmp does not keep holes, or drops nothing from memory");
	}
	failing = TARN_PLAT_CACHESTAT;
	failing_with = ENOSYS;
	tarn__plat_fault = fail_one;
	assert_extents(addr, "hole 0-8 swapped 8-24 resident 24-40 hole 40-64");
	tarn__plat_fault = NULL;
	close(fd);
	unlink(path);
}

static const char *shared_addr;

static bool extents_of_another(void)
{
	struct survey survey = { 0 };
	struct tarn_host *host = picture(0);
	int r = tarn_host_extents(host, found(host, shared_addr), add_extent, &survey, NULL);

	tarn_host_free(host);
	/* that nothing is swapped out, if so, tells what cachestat() does not tell a stranger */
	return r == 0 && (expect_text(survey.text, "hole 0-3 resident 3-5 unknown 5-64") ||
			  expect_text(survey.text, "hole 0-3 resident 3-5 hole 5-64") ||
			  expect_text(survey.text, "hole 0-3 touched 3-5 hole 5-64"));
}

static void a_stranger_who_may_only_read_is_not_told_a_lie(void **state)
{
	int fd = object("a", 64 * PAGE);

	(void)state;
	NEED_ROOT();
	shared_addr = object_addr("a");
	touch_file(fd, 3, 2);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_true(as_nobody(extents_of_another));
	close_object("a", fd);
}

static bool is_denied(void)
{
	struct tarn_diag diag = { "", "" };
	struct tarn_host *host = picture(0);
	const struct tarn_host_segment *seg = found(host, shared_addr);
	struct survey survey = { 0 };
	char byte;
	bool right = tarn_host_extents(host, seg, add_extent, &survey, &diag) == -EACCES &&
		     diag.what[0] != '\0' && diag.hint[0] != '\0' &&
		     tarn_host_read(host, seg, 0, &byte, 1, &diag) == -EACCES;

	tarn_host_free(host);
	return right;
}

static void what_may_not_be_read_is_denied(void **state)
{
	int fd = object("a", 64 * PAGE);

	(void)state;
	NEED_ROOT();
	shared_addr = object_addr("a");
	assert_true(as_nobody(is_denied));
	close_object("a", fd);
}

/* --- what has no name ------------------------------------------------------------------------ */

static char *anon;

static void touch_anon(void *arg)
{
	(void)arg;
	anon[2 * PAGE] = 1;
	anon[3 * PAGE] = 1;
	if (geteuid() == 0 && arg != NULL)
		become_nobody();
	die_with_parent();
}

static void anonymous_memory_of_a_child_has_extents(void **state)
{
	char addr[64];
	pid_t pid;

	(void)state;
	NEED_ROOT();
	anon = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(anon, MAP_FAILED);
	pid = holder(touch_anon, NULL);
	snprintf(addr, sizeof(addr), "map:%d:0x%llx", (int)pid,
		 (unsigned long long)(uintptr_t)anon);
	munmap(anon, 16 * PAGE);
	assert_extents(addr, "hole 0-2 resident 2-4 hole 4-16");
	end(pid);
}

static char anon_addr[64];

static bool anon_by_tables(void)
{
	struct tarn_host *host = picture(0);
	const struct tarn_host_segment *seg = found(host, anon_addr);
	struct survey survey = { 0 };
	char text[2] = "";
	bool right = tarn_host_extents(host, seg, add_extent, &survey, NULL) == 0 &&
		     expect_text(survey.text, "unknown 0-2 resident 2-4 unknown 4-16") &&
		     tarn_host_read(host, seg, 2 * PAGE, text, 1, NULL) == 1 && text[0] == 1;

	tarn_host_free(host);
	return right;
}

static void without_rights_page_tables_say_what_is_there(void **state)
{
	pid_t pid;

	(void)state;
	NEED_ROOT();
	anon = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(anon, MAP_FAILED);
	pid = holder(touch_anon, &pid);
	snprintf(anon_addr, sizeof(anon_addr), "map:%d:0x%llx", (int)pid,
		 (unsigned long long)(uintptr_t)anon);
	munmap(anon, 16 * PAGE);
	assert_true(as_nobody(anon_by_tables));
	end(pid);
}

/* --- System V -------------------------------------------------------------------------------- */

static int sysv_id;

static void attach_and_touch(void *arg)
{
	die_with_parent();
	char *at = shmat(sysv_id, NULL, 0);

	(void)arg;
	if (at == (void *)-1)
		_exit(1);
	at[5 * PAGE] = 1;
}

static char sysv_addr[32];

static void make_sysv(size_t size)
{
	sysv_id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
	assert_true(sysv_id >= 0);
	snprintf(sysv_addr, sizeof(sysv_addr), "sysv:#%d", sysv_id);
}

static void system_v_is_looked_at_without_a_trace(void **state)
{
	struct shmid_ds before, after;
	struct tarn_host *host;
	char byte = 0;
	pid_t pid;

	(void)state;
	NEED_ROOT();
	make_sysv(16 * PAGE - 5);
	pid = holder(attach_and_touch, NULL);
	assert_int_equal(shmctl(sysv_id, IPC_STAT, &before), 0);
	assert_extents(sysv_addr, "hole 0-5 resident 5-6 hole 6-16");
	host = picture(0);
	assert_int_equal(tarn_host_read(host, found(host, sysv_addr), 5 * PAGE, &byte, 1, NULL), 1);
	assert_int_equal(byte, 1);
	tarn_host_free(host);
	assert_int_equal(shmctl(sysv_id, IPC_STAT, &after), 0);
	assert_int_equal(after.shm_lpid, pid);
	assert_int_equal(after.shm_nattch, before.shm_nattch);
	assert_int_equal(after.shm_atime, before.shm_atime);
	end(pid);
	assert_int_equal(shmctl(sysv_id, IPC_RMID, NULL), 0);
}

static bool sysv_unattached(void)
{
	struct shmid_ds ds;
	char *at, byte = 0;
	bool right;

	make_sysv(16 * PAGE);
	at = shmat(sysv_id, NULL, 0);
	at[5 * PAGE] = 3;
	shmdt(at);

	struct tarn_host *host = picture(0);
	const struct tarn_host_segment *seg = found(host, sysv_addr);
	struct survey survey = { 0 };

	right = tarn_host_extents(host, seg, add_extent, &survey, NULL) == 0 &&
		expect_text(survey.text, "hole 0-5 resident 5-6 hole 6-16") &&
		tarn_host_read(host, seg, 5 * PAGE, &byte, 1, NULL) == 1 && byte == 3;
	char *all = malloc(32 * PAGE);

	right = right && tarn_host_read(host, seg, 0, all, 32 * PAGE, NULL) == 16 * PAGE &&
		all[0] == 0 && all[5 * PAGE] == 3 &&
		tarn_host_read(host, seg, 16 * PAGE, all, 1, NULL) == 0;
	free(all);
	tarn_host_free(host);
	host = picture(0);
	/* to read it gave no memory to holes */
	right = right && found(host, sysv_addr)->touched == PAGE;
	right = right && shmctl(sysv_id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 0;
	tarn_host_free(host);
	shmctl(sysv_id, IPC_RMID, NULL);
	return right;
}

static void system_v_that_nobody_has_attached_is_attached_for_the_call(void **state)
{
	(void)state;
	assert_true(sysv_unattached());
	if (geteuid() == 0)
		assert_true(as_nobody(sysv_unattached));
}

/* --- nodes ----------------------------------------------------------------------------------- */

static void nodes_are_asked_of_those_who_map_it(void **state)
{
	char dir[] = "/tmp/hostlookXXXXXX", path[128];
	int fd = object("a", 8 * PAGE);
	char *map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const struct tarn_host_segment *seg;
	struct survey survey = { 0 };
	struct tarn_host *host;
	char *root;

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	map[0] = map[PAGE] = 1;
	touch_file(fd, 2, 4); /* in no page table */
	host = picture(0);
	seg = found(host, object_addr("a"));
	/* the same host, had it two nodes with memory */
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/proc", dir);
	assert_int_equal(symlink("/proc", path), 0);
	snprintf(path, sizeof(path),
		 "mkdir -p %s/sys/devices/system/node && "
		 "echo 0-1 >%s/sys/devices/system/node/has_memory",
		 dir, dir);
	assert_int_equal(system(path), 0);
	root = host->root;
	host->root = dir;
	assert_int_equal(tarn_host_extents(host, seg, add_extent, &survey, NULL), 0);
	host->root = root;
	assert_string_equal(survey.text, "resident 0-2 resident 2-6 hole 6-8");
	assert_true(survey.node[0] >= 0);
	assert_int_equal(survey.node[1], -1);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
	tarn_host_free(host);
	munmap(map, 4 * PAGE);
	close_object("a", fd);
}

/* --- no trace -------------------------------------------------------------------------------- */

static void nothing_is_touched_by_looking(void **state)
{
	int fd = object("a", 64 * PAGE);
	char *map = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const struct tarn_host_segment *seg;
	unsigned char there[64];
	struct stat before, after;
	struct tarn_host *host;
	char buf[1000];

	(void)state;
	assert_ptr_not_equal(map, MAP_FAILED);
	touch_file(fd, 3, 2);
	host = picture(0);
	seg = found(host, object_addr("a"));
	assert_int_equal(fstat(fd, &before), 0);
	for (int old = 0; old < 2; old++) {
		struct survey survey = { 0 };

		failing = TARN_PLAT_CACHESTAT;
		failing_with = ENOSYS;
		tarn__plat_fault = old ? fail_one : NULL;
		assert_int_equal(tarn_host_extents(host, seg, add_extent, &survey, NULL), 0);
		for (uint64_t off = 0; off < 64 * PAGE; off += 5000)
			assert_true(tarn_host_read(host, seg, off, buf, sizeof(buf), NULL) >= 0);
		tarn__plat_fault = NULL;
	}
	tarn_host_free(host);
	assert_int_equal(fstat(fd, &after), 0);
	assert_int_equal(after.st_blocks, before.st_blocks);
	assert_memory_equal(&after.st_atim, &before.st_atim, sizeof(after.st_atim));
	assert_memory_equal(&after.st_ctim, &before.st_ctim, sizeof(after.st_ctim));
	assert_int_equal(mincore(map, 64 * PAGE, there), 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(there[i] & 1, i == 3 || i == 4);
	munmap(map, 64 * PAGE);
	close_object("a", fd);
}

/* --- pages ----------------------------------------------------------------------------------- */

struct pages {
	unsigned count;
	struct tarn_host_page at[64];
};

static int add_page(const struct tarn_host_page *page, void *arg)
{
	struct pages *pages = arg;

	assert_true(pages->count < 64);
	pages->at[pages->count++] = *page;
	return 0;
}

static char *elsewhere_at;

static void map_it_too(void *arg)
{
	die_with_parent();
	int fd = *(int *)arg;

	/* the place that the parent has it at is taken: another address, the same memory */
	elsewhere_at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
	if (elsewhere_at == MAP_FAILED)
		_exit(1);
	elsewhere_at[0] = elsewhere_at[PAGE] = 2;
}

static void two_addresses_are_one_memory(void **state)
{
	int fd = object("a", 8 * PAGE);
	char *map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct pages pages = { 0 };
	struct tarn_host *host;
	pid_t pid;

	(void)state;
	NEED_ROOT();
	assert_ptr_not_equal(map, MAP_FAILED);
	map[PAGE] = map[2 * PAGE] = map[3 * PAGE] = 1;
	assert_int_equal(madvise(map, 8 * PAGE, MADV_DONTFORK), 0);
	pid = holder(map_it_too, &fd);
	host = picture(0);
	assert_int_equal(tarn_host_pages(host, found(host, object_addr("a")), 0, 3 * PAGE, add_page,
					 &pages, NULL),
			 0);
	/* page 0 of the one, pages 1 and 2 of both */
	assert_int_equal(pages.count, 5);
	assert_false(pages.at[0].present);
	for (int i = 1; i < 5; i += 2) {
		const struct tarn_host_page *a = &pages.at[i], *b = &pages.at[i + 1];

		assert_int_equal(a->off, (i + 1) / 2 * PAGE);
		assert_int_equal(b->off, a->off);
		assert_int_equal(a->process->pid, getpid());
		assert_int_equal(b->process->pid, pid);
		assert_int_equal(a->address, (uintptr_t)map + a->off);
		assert_true(a->address != b->address);
		assert_true(a->present && b->present);
		if (a->frame == TARN_HOST_UNKNOWN) {
			end(pid);
			SKIP_BECAUSE("frame numbers are not to be seen here");
		}
		assert_int_equal(a->frame, b->frame);
	}
	assert_true(pages.at[1].frame != pages.at[3].frame);
	tarn_host_free(host);
	end(pid);
	munmap(map, 8 * PAGE);
	close_object("a", fd);
}

static void a_private_copy_is_told_from_the_memory(void **state)
{
	int fd = object("a", 2 * PAGE);
	char *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *copy = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	struct pages pages = { 0 };
	struct tarn_host *host;

	(void)state;
	assert_ptr_not_equal(copy, MAP_FAILED);
	map[0] = map[PAGE] = 1;
	copy[0] = 2;
	assert_memory_equal(copy + PAGE, "\1", 1);
	host = picture(0);
	assert_int_equal(
		tarn_host_pages(host, found(host, object_addr("a")), 0, 0, add_page, &pages, NULL),
		0);
	assert_int_equal(pages.count, 4);
	for (int i = 0; i < 4; i++) {
		const struct tarn_host_page *page = &pages.at[i];

		assert_true(page->present);
		assert_int_equal(page->copied, page->off == 0 && page->address == (uintptr_t)copy);
	}
	tarn_host_free(host);
	munmap(map, 2 * PAGE);
	munmap(copy, 2 * PAGE);
	close_object("a", fd);
}

static bool frames_without_rights(void)
{
	struct tarn_diag diag = { "", "" };
	int fd = object("b", 2 * PAGE);
	char *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct pages pages = { 0 };

	map[PAGE] = 1;

	struct tarn_host *host = picture(0);
	bool right = tarn_host_pages(host, found(host, object_addr("b")), 0, 0, add_page, &pages,
				     NULL) == 0 &&
		     pages.count == 2 && !pages.at[0].present && pages.at[1].present &&
		     pages.at[1].frame == TARN_HOST_UNKNOWN;
	/* of root's process nothing is seen, so in the picture nobody has it */
	int r = tarn_host_pages(host, found(host, shared_addr), 0, 0, add_page, &pages, &diag);

	tarn_host_free(host);
	close_object("b", fd);
	return right && (r == -ENOENT || r == -EACCES) && diag.what[0] != '\0';
}

static void without_rights_there_are_pages_but_no_frames(void **state)
{
	int fd = object("a", PAGE);
	char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)state;
	NEED_ROOT();
	shared_addr = object_addr("a");
	map[0] = 1;
	assert_int_equal(madvise(map, PAGE, MADV_DONTFORK), 0);
	assert_true(as_nobody(frames_without_rights));
	munmap(map, PAGE);
	close_object("a", fd);
}

static void ranges_of_pages_are_checked(void **state)
{
	int fd = object("a", 4 * PAGE);
	const struct tarn_host_segment *seg;
	struct pages pages = { 0 };
	struct tarn_host *host = picture(0);

	(void)state;
	seg = found(host, object_addr("a"));
	assert_int_equal(tarn_host_pages(host, seg, 1, 0, add_page, &pages, NULL), -EINVAL);
	assert_int_equal(tarn_host_pages(host, seg, 5 * PAGE, 0, add_page, &pages, NULL), -EINVAL);
	assert_int_equal(tarn_host_pages(host, seg, PAGE, 4 * PAGE, add_page, &pages, NULL),
			 -EINVAL);
	assert_int_equal(tarn_host_pages(host, seg, PAGE, UINT64_MAX, add_page, &pages, NULL),
			 -EINVAL);
	assert_int_equal(tarn_host_pages(host, seg, 0, 0, add_page, &pages, NULL), -ENOENT);
	assert_int_equal(pages.count, 0);
	tarn_host_free(host);
	close_object("a", fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extents_are_what_was_written),
		cmocka_unit_test(a_last_page_in_part_ends_at_the_size),
		cmocka_unit_test(memory_set_aside_is_told_from_holes),
		cmocka_unit_test(what_two_mappings_touch_is_one_extent),
		cmocka_unit_test(an_empty_object_has_no_extent),
		cmocka_unit_test(a_terabyte_with_one_page_is_three_extents),
		cmocka_unit_test(what_is_truncated_meanwhile_is_a_hole),
		cmocka_unit_test(what_the_function_returns_ends_it),
		cmocka_unit_test(what_is_gone_since_the_picture_is_told_so),
		cmocka_unit_test(without_cachestat_it_is_the_same),
		cmocka_unit_test(contents_that_are_not_in_memory_are_told_so),
		cmocka_unit_test(a_stranger_who_may_only_read_is_not_told_a_lie),
		cmocka_unit_test(what_may_not_be_read_is_denied),
		cmocka_unit_test(anonymous_memory_of_a_child_has_extents),
		cmocka_unit_test(without_rights_page_tables_say_what_is_there),
		cmocka_unit_test(system_v_is_looked_at_without_a_trace),
		cmocka_unit_test(system_v_that_nobody_has_attached_is_attached_for_the_call),
		cmocka_unit_test(nodes_are_asked_of_those_who_map_it),
		cmocka_unit_test(nothing_is_touched_by_looking),
		cmocka_unit_test(two_addresses_are_one_memory),
		cmocka_unit_test(a_private_copy_is_told_from_the_memory),
		cmocka_unit_test(without_rights_there_are_pages_but_no_frames),
		cmocka_unit_test(ranges_of_pages_are_checked),
	};

	if (sysconf(_SC_PAGESIZE) != PAGE) {
		printf("1..0 # skip: pages are not of 4096 bytes here\n");
		return 0;
	}
	return cmocka_run_group_tests_name("host-look", tests, NULL, NULL);
}
