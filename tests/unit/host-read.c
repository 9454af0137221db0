/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes of a segment, while its processes do to it what they like; huge pages and secret memory,
 * which take other ways; and the locks on it.
 */
#include "host.h"
#include "look.h"

#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static int64_t read_at(struct tarn_host *host, const char *addr, uint64_t off, void *buf,
		       uint64_t size)
{
	return tarn_host_read(host, found(host, addr), off, buf, size, NULL);
}

static void bytes_are_read_to_the_end(void **state)
{
	int fd = object("a", 3 * PAGE + 7);
	struct tarn_host *host;
	char buf[100];

	(void)state;
	assert_int_equal(pwrite(fd, "tail", 4, 3 * PAGE + 3), 4);
	host = picture(0);
	assert_int_equal(read_at(host, object_addr("a"), 3 * PAGE, buf, sizeof(buf)), 7);
	assert_memory_equal(buf, "\0\0\0tail", 7);
	assert_int_equal(read_at(host, object_addr("a"), PAGE, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(buf[0], 0);
	assert_int_equal(read_at(host, object_addr("a"), 3 * PAGE + 7, buf, sizeof(buf)), 0);
	assert_int_equal(read_at(host, object_addr("a"), UINT64_MAX, buf, sizeof(buf)), 0);
	assert_int_equal(read_at(host, object_addr("a"), 0, buf, 0), 0);
	tarn_host_free(host);
	close_object("a", fd);
}

static void truncate_for_ever(void *arg)
{
	int fd = *(int *)arg;

	die_with_parent();
	if (fork() != 0)
		return;
	die_with_parent();
	for (;;)
		(void)!(ftruncate(fd, PAGE) == 0 && ftruncate(fd, 64 * PAGE) == 0);
}

static void a_truncation_meanwhile_is_a_short_read_and_no_signal(void **state)
{
	int fd = object("a", 64 * PAGE), shorter = 0;
	char *buf = malloc(64 * PAGE);
	struct tarn_host *host;
	pid_t pid;

	(void)state;
	host = picture(0);
	(void)found(host, object_addr("a"));
	pid = holder(truncate_for_ever, &fd);
	for (int i = 0; i < 500; i++) {
		int64_t n = read_at(host, object_addr("a"), PAGE / 2, buf, 64 * PAGE);

		assert_true(n >= PAGE / 2 && n <= 64 * PAGE - PAGE / 2);
		shorter += n < 64 * PAGE - PAGE / 2;
	}
	printf("# %d of 500 reads were short\n", shorter);
	tarn_host_free(host);
	end(pid);
	free(buf);
	close_object("a", fd);
}

/* --- out of a process ------------------------------------------------------------------------ */

static char *mapped;
static int mapped_fd;

static void map_deleted(void *arg)
{
	die_with_parent();
	mapped_fd = object("b", 8 * PAGE);
	mapped = mmap((void *)0x10000000, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		      mapped_fd, 0);
	if (mapped == MAP_FAILED)
		_exit(1);
	memcpy(mapped + PAGE - 3, "across", 7);
	unlink(object_path("b"));
	if (arg == NULL) {
		/* of the second mapping the first stands before */
		munmap(mapped + 4 * PAGE, PAGE);
		(void)!ftruncate(mapped_fd, 6 * PAGE);
	}
	close(mapped_fd);
	become_nobody();
}

static char addr[64];

static bool read_out_of_a_process(void)
{
	struct tarn_host *host = picture(0);
	const struct tarn_host_segment *seg = found(host, addr);
	char buf[8 * PAGE];
	bool right = tarn_host_read(host, seg, PAGE - 3, buf, 6, NULL) == 6 &&
		     memcmp(buf, "across", 6) == 0;

	/* to the hole in the mapping; behind it, to the end that the truncation made */
	right = right && tarn_host_read(host, seg, 0, buf, sizeof(buf), NULL) == 4 * PAGE &&
		tarn_host_read(host, seg, 5 * PAGE, buf, sizeof(buf), NULL) == PAGE &&
		tarn_host_read(host, seg, 6 * PAGE, buf, sizeof(buf), NULL) == 0;
	tarn_host_free(host);
	return right;
}

static void without_a_descriptor_it_is_read_out_of_a_process(void **state)
{
	pid_t pid;

	(void)state;
	NEED_ROOT();
	pid = holder(map_deleted, NULL);
	snprintf(addr, sizeof(addr), "map:%d:0x10000000", (int)pid);
	assert_true(as_nobody(read_out_of_a_process));
	end(pid);
}

static void a_memfd_is_read_by_its_descriptor(void **state)
{
	int fd = memfd_create("look", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct tarn_host *host;
	char buf[8] = "";

	(void)state;
	assert_int_equal(write(fd, "memfd", 5), 5);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
	snprintf(addr, sizeof(addr), "memfd:%d:%d", (int)getpid(), fd);
	host = picture(0);
	assert_int_equal(read_at(host, addr, 0, buf, sizeof(buf)), 5);
	assert_string_equal(buf, "memfd");
	tarn_host_free(host);
	assert_extents(addr, "resident 0-1");
	close(fd);
}

static void secret_memory_is_refused_in_words(void **state)
{
	struct tarn_diag diag = { "", "" };
	struct tarn_host *host;
	char *map, buf[8];
	long fd = syscall(SYS_memfd_secret, 0);

	(void)state;
	if (fd < 0)
		SKIP_BECAUSE("this kernel has no secret memory");
	assert_int_equal(ftruncate((int)fd, 4 * PAGE), 0);
	map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	map[PAGE] = 1;
	snprintf(addr, sizeof(addr), "memfd:%d:%ld", (int)getpid(), fd);
	host = picture(0);
	assert_int_equal(tarn_host_read(host, found(host, addr), 0, buf, 8, &diag), -EACCES);
	assert_non_null(strstr(diag.what, "secret memory"));
	tarn_host_free(host);
	assert_extents(addr, "unknown 0-1 resident 1-2 unknown 2-4");
	munmap(map, 4 * PAGE);
	close((int)fd);
}

/* --- huge pages ------------------------------------------------------------------------------ */

#define HUGE ((size_t)2 << 20)
#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static uint64_t number_in(const char *path)
{
	char text[64];

	return tarn__plat_read_text(path, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

static bool set_pool(uint64_t pages)
{
	char text[24];
	int fd = open(POOL "nr_hugepages", O_WRONLY | O_CLOEXEC);
	int n = snprintf(text, sizeof(text), "%" PRIu64, pages);
	bool done = fd >= 0 && write(fd, text, (size_t)n) == n;

	close(fd);
	return done;
}

static int add_frame(const struct tarn_host_page *page, void *arg)
{
	uint64_t *frames = arg;

	if (page->off / PAGE < 2)
		frames[page->off / PAGE] = page->frame;
	return 0;
}

static void look_at_huge(int fd)
{
	uint64_t frames[2] = { 0 }, free_before, reserved_before;
	struct tarn_host *host;
	char buf[8], *map = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	snprintf(addr, sizeof(addr), "memfd:%d:%d", (int)getpid(), fd);
	assert_extents(addr, "hole 0-1024");
	memcpy(map, "huge", 5);
	free_before = number_in(POOL "free_hugepages");
	reserved_before = number_in(POOL "resv_hugepages");
	assert_extents(addr, "resident 0-512 hole 512-1024");
	host = picture(0);
	assert_int_equal(read_at(host, addr, HUGE - 4, buf, 8), 8);
	assert_int_equal(read_at(host, addr, 0, buf, 8), 8);
	assert_string_equal(buf, "huge");
	assert_int_equal(tarn_host_pages(host, found(host, addr), 0, 0, add_frame, frames, NULL),
			 0);
	if (frames[0] != TARN_HOST_UNKNOWN)
		assert_true(frames[1] == frames[0] + 1);
	tarn_host_free(host);
	assert_int_equal(number_in(POOL "free_hugepages"), free_before);
	assert_int_equal(number_in(POOL "resv_hugepages"), reserved_before);
	map[HUGE] = 1;
	assert_extents(addr, "resident 0-1024");
	munmap(map, 2 * HUGE);
}

static void huge_pages_are_looked_at_without_taking_any(void **state)
{
	/* the lock that segment-huge.c takes: one run at a time changes the pool */
	int lock_fd = open("/sys/kernel/mm/hugepages", O_RDONLY | O_CLOEXEC);
	int fd = -1;
	uint64_t before;

	(void)state;
	(void)!flock(lock_fd, LOCK_EX);
	before = number_in(POOL "nr_hugepages");
	if (set_pool(before + 3) &&
	    number_in(POOL "free_hugepages") >= number_in(POOL "resv_hugepages") + 2)
		fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	if (fd < 0 || ftruncate(fd, 2 * HUGE) < 0) {
		close(fd);
		(void)set_pool(before);
		close(lock_fd);
		SKIP_BECAUSE("3 huge pages cannot be reserved on this host now");
	}
	look_at_huge(fd);
	close(fd);
	(void)set_pool(before);
	close(lock_fd);
}

/* --- locks ----------------------------------------------------------------------------------- */

struct locks {
	unsigned count;
	struct tarn_host_lock at[16];
};

static int add_lock(const struct tarn_host_lock *lock, void *arg)
{
	struct locks *locks = arg;

	assert_true(locks->count < 16);
	locks->at[locks->count++] = *lock;
	return 0;
}

static const struct tarn_host_lock *lock_of(const struct locks *locks, const char *type,
					    bool waiting)
{
	for (unsigned i = 0; i < locks->count; i++)
		if (strcmp(locks->at[i].type, type) == 0 && locks->at[i].waiting == waiting)
			return &locks->at[i];
	fail_msg("no lock %s among %u", type, locks->count);
	return NULL;
}

/* The picture opens and closes the file, which would drop POSIX locks of this process. */
static void hold_and_wait_for_locks(void *arg)
{
	struct flock hold = { .l_type = F_RDLCK, .l_start = 10, .l_len = 20 };
	struct flock want = { .l_type = F_WRLCK, .l_start = 10, .l_len = 1 };
	int fd = *(int *)arg;

	die_with_parent();
	if (fcntl(fd, F_SETLK, &hold) < 0)
		_exit(1);
	if (fork() == 0) {
		die_with_parent();
		(void)!fcntl(fd, F_SETLKW, &want);
		_exit(0);
	}
}

static struct locks locks_of(const char *name)
{
	struct locks locks = { 0 };
	struct tarn_host *host = picture(0);

	assert_int_equal(tarn_host_locks(host, found(host, name), add_lock, &locks), 0);
	tarn_host_free(host);
	return locks;
}

static void locks_are_listed_with_their_owners(void **state)
{
	int fd = object("a", PAGE), other = object("b", PAGE);
	struct flock ofd = { .l_type = F_WRLCK, .l_start = 100 };
	struct locks locks;

	(void)state;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &ofd), 0);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	assert_int_equal(flock(other, LOCK_EX), 0);

	pid_t pid = holder(hold_and_wait_for_locks, &fd);

	for (int i = 0; i < 500; i++) {
		const struct timespec moment = { .tv_nsec = 10000000 };

		locks = locks_of(object_addr("a"));
		if (locks.count == 4)
			break;
		nanosleep(&moment, NULL);
	}
	assert_int_equal(locks.count, 4);
	assert_int_equal(lock_of(&locks, "POSIX", false)->pid, pid);
	assert_string_equal(lock_of(&locks, "POSIX", false)->access, "READ");
	assert_int_equal(lock_of(&locks, "POSIX", false)->start, 10);
	assert_int_equal(lock_of(&locks, "POSIX", false)->end, 29);
	assert_true(lock_of(&locks, "POSIX", true)->pid != pid);
	assert_int_equal(lock_of(&locks, "OFDLCK", false)->pid, 0);
	assert_string_equal(lock_of(&locks, "OFDLCK", false)->access, "WRITE");
	assert_true(lock_of(&locks, "OFDLCK", false)->end == UINT64_MAX);
	assert_int_equal(lock_of(&locks, "FLOCK", false)->pid, getpid());
	end(pid);
	close_object("b", other);
	close_object("a", fd);
}

static void a_lease_is_listed(void **state)
{
	int fd = object("a", PAGE);
	struct locks locks;

	(void)state;
	assert_int_equal(fcntl(fd, F_SETLEASE, F_RDLCK), -1); /* it is open for writing */
	close(fd);
	fd = open(object_path("a"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
	locks = locks_of(object_addr("a"));
	assert_int_equal(locks.count, 1);
	assert_string_equal(lock_of(&locks, "LEASE", false)->access, "READ");
	assert_int_equal(locks.at[0].pid, getpid());
	close_object("a", fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_read_to_the_end),
		cmocka_unit_test(a_truncation_meanwhile_is_a_short_read_and_no_signal),
		cmocka_unit_test(without_a_descriptor_it_is_read_out_of_a_process),
		cmocka_unit_test(a_memfd_is_read_by_its_descriptor),
		cmocka_unit_test(secret_memory_is_refused_in_words),
		cmocka_unit_test(huge_pages_are_looked_at_without_taking_any),
		cmocka_unit_test(locks_are_listed_with_their_owners),
		cmocka_unit_test(a_lease_is_listed),
	};

	if (sysconf(_SC_PAGESIZE) != PAGE) {
		printf("1..0 # skip: pages are not of 4096 bytes here\n");
		return 0;
	}
	return cmocka_run_group_tests_name("host-read", tests, NULL, NULL);
}
