/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tarn_host_reclaim() removes, what it leaves, and what it says.
 *
 * What happens when others come in the middle of it is in host-race.c.
 */
#include "host.h"

#include <time.h>

#include <tarn/region.h>

#include "harness.h"
#include "plat/plat.h"

static struct tarn_diag diag;
static char path_buf[80], addr_buf[80];

/* A file of 8 KiB, all 'x', that nobody has open; its name in path_buf, its address in addr_buf. */
static void make(const char *tail)
{
	char bytes[8192];
	int fd;

	snprintf(path_buf, sizeof(path_buf), "/dev/shm/reclaim%d%s", (int)getpid(), tail);
	snprintf(addr_buf, sizeof(addr_buf), "shm:%s", path_buf + strlen("/dev/shm/"));
	memset(bytes, 'x', sizeof(bytes));
	fd = open(path_buf, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
}

/* The kernel's times are those of the last tick: wait for the next. */
static void next_tick(void)
{
	struct timespec from, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &from);
	do {
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (now.tv_sec == from.tv_sec && now.tv_nsec == from.tv_nsec);
}

static bool there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Take a picture and reclaim what is at @addr. */
static int reclaim(const char *addr, int64_t idle_ns)
{
	struct tarn_host *host = picture(0);
	int r;

	diag = (struct tarn_diag){ 0 };
	r = tarn_host_reclaim(host, found(host, addr), idle_ns, 0, &diag);
	tarn_host_free(host);
	return r;
}

/* Who looks at /proc/PID/fd just when a file is closed keeps it open for a moment. */
static int reclaim_soon(const char *addr, int64_t idle_ns)
{
	int r = reclaim(addr, idle_ns);

	for (int i = 0; i < 200 && r == -EBUSY; i++)
		r = reclaim(addr, idle_ns);
	return r;
}

static void says(const char *word)
{
	if (strstr(diag.what, word) == NULL && strstr(diag.hint, word) == NULL)
		fail_msg("'%s' is not in: %s (%s)", word, diag.what, diag.hint);
}

/* --- files ----------------------------------------------------------------------------------- */

static void an_idle_file_goes_only_if_a_time_is_given_and_over(void **state)
{
	(void)state;
	make("a");
	assert_int_equal(reclaim(addr_buf, 0), -ESTALE);
	says("nothing proves");
	assert_int_equal(reclaim(addr_buf, INT64_C(3600) * 1000000000), -ESTALE);
	says("used 0 s ago");
	assert_int_equal(reclaim(addr_buf, -1), -EINVAL);
	assert_true(there(path_buf));
	assert_int_equal(reclaim_soon(addr_buf, 1), 0);
	assert_string_equal(diag.what, "");
	assert_false(there(path_buf));
}

static void a_name_of_any_length_goes(void **state)
{
	(void)state;
	for (size_t length = 236; length <= 255; length += length < 239 ? 1 : 8) {
		char path[300], addr[300];
		int n = snprintf(path, sizeof(path), "/dev/shm/reclaim%d-", (int)getpid());

		memset(path + n, 'l', sizeof(path) - (size_t)n);
		path[strlen("/dev/shm/") + length] = '\0';
		snprintf(addr, sizeof(addr), "shm:%s", path + strlen("/dev/shm/"));
		close(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
		assert_int_equal(reclaim_soon(addr, 1), 0);
		assert_false(there(path));
	}
}

static void open_it(void *arg)
{
	if (open(arg, O_RDONLY) < 0)
		_exit(1);
}

static void map_it(void *arg)
{
	int fd = open(arg, O_RDWR);

	if (fd < 0 || mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		_exit(1);
	close(fd);
}

static void what_is_open_or_mapped_stays_and_its_users_are_named(void **state)
{
	void (*const ways[])(void *) = { open_it, map_it };
	char who[40];

	(void)state;
	make("b");
	for (int i = 0; i < 2; i++) {
		pid_t pid = holder(ways[i], path_buf);

		assert_int_equal(reclaim(addr_buf, 1), -EBUSY);
		snprintf(who, sizeof(who), "pid %d (unit-host-recla)", (int)pid);
		says(who);
		end(pid);
	}
	assert_true(there(path_buf));
	assert_int_equal(reclaim_soon(addr_buf, 1), 0);
}

static void what_was_opened_since_the_picture_stays(void **state)
{
	void (*const ways[])(void *) = { open_it, map_it };

	(void)state;
	make("c");
	for (int i = 0; i < 2; i++) {
		struct tarn_host *host = picture(0);
		const struct tarn_host_segment *seg = found(host, addr_buf);
		pid_t pid = holder(ways[i], path_buf);

		assert_int_equal(tarn_host_reclaim(host, seg, 1, 0, &diag), -EBUSY);
		says("open");
		end(pid);
		tarn_host_free(host);
	}
	assert_true(there(path_buf));
	unlink(path_buf);
}

static void what_was_used_or_replaced_since_the_picture_stays(void **state)
{
	struct tarn_host *host;
	int fd;

	(void)state;
	make("d");
	host = picture(0);
	next_tick();
	fd = open(path_buf, O_WRONLY);
	assert_int_equal(pwrite(fd, "y", 1, 0), 1);
	close(fd);
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 1, 0, &diag), -ESTALE);
	says("used or replaced");
	tarn_host_free(host);
	host = picture(0);
	unlink(path_buf);
	make("d");
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 1, 0, &diag), -ESTALE);
	assert_true(there(path_buf));
	unlink(path_buf);
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 1, 0, &diag), -ENOENT);
	assert_int_equal(symlink("/dev/null", path_buf), 0);
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 1, 0, &diag), -ESTALE);
	unlink(path_buf);
	tarn_host_free(host);
}

static void to_look_is_not_to_use(void **state)
{
	struct stat before, after;

	(void)state;
	make("e");
	assert_int_equal(stat(path_buf, &before), 0);
	next_tick();
	tarn_host_free(picture(0));
	assert_int_equal(reclaim(addr_buf, INT64_C(3600) * 1000000000), -ESTALE);
	assert_int_equal(stat(path_buf, &after), 0);
	assert_memory_equal(&before.st_atim, &after.st_atim, sizeof(before.st_atim));
	assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
	unlink(path_buf);
}

static void a_file_in_a_folder_of_dev_shm_goes(void **state)
{
	char dir[60], path[80], addr[100];

	(void)state;
	snprintf(dir, sizeof(dir), "/dev/shm/reclaim%d-dir", (int)getpid());
	snprintf(path, sizeof(path), "%s/file", dir);
	snprintf(addr, sizeof(addr), "file:%s", path);
	assert_int_equal(mkdir(dir, 0700), 0);
	close(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
	assert_int_equal(reclaim_soon(addr, 1), 0);
	assert_false(there(path));
	assert_int_equal(rmdir(dir), 0);
}

static void a_semaphore_goes_as_other_files_do(void **state)
{
	char path[80], addr[80];

	(void)state;
	snprintf(path, sizeof(path), "/dev/shm/sem.reclaim%d", (int)getpid());
	snprintf(addr, sizeof(addr), "shm:sem.reclaim%d", (int)getpid());
	assert_int_equal(ftruncate(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), 32), 0);
	assert_int_equal(reclaim(addr, 1), -EBUSY); /* this process has it open */
	assert_int_equal(close_range(3, 1023, 0), 0);
	assert_int_equal(reclaim(addr, 0), -ESTALE);
	assert_int_equal(reclaim_soon(addr, 1), 0);
	assert_false(there(path));
}

static void a_dry_run_finds_out_the_same_and_removes_nothing(void **state)
{
	struct tarn_host *host;
	pid_t pid;

	(void)state;
	make("n");
	host = picture(0);
	pid = holder(open_it, path_buf);
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 1, TARN_RECLAIM_DRY, &diag),
			 -EBUSY);
	end(pid);
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 1, TARN_RECLAIM_DRY, NULL),
			 0);
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 1, 6, NULL), -EINVAL);
	assert_true(there(path_buf));
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 1, 0, NULL), 0);
	assert_false(there(path_buf));
	tarn_host_free(host);
}

/* --- what it is not for ---------------------------------------------------------------------- */

static void tarns_own_is_refused(void **state)
{
	const struct tarn_region_opts opts = { .size = 65536, .flags = TARN_REGION_CREATE };
	struct tarn_region *region;
	char name[40], addr[40];

	(void)state;
	snprintf(name, sizeof(name), "reclaim%d-region", (int)getpid());
	assert_int_equal(tarn_region_open(name, &opts, &region), 0);
	tarn_region_close(region);
	assert_int_equal(reclaim(name, 1), -EINVAL);
	says("Tarn's own");
	assert_int_equal(tarn_region_remove(name, NULL), 0);

	snprintf(addr, sizeof(addr), "sysv:0x%x", 0x7c000000 | (getpid() & 0xffffff));
	assert_int_equal(tarn_region_open(addr, &opts, &region), 0);
	tarn_region_close(region);
	assert_int_equal(reclaim(addr, 1), -EINVAL);
	assert_int_equal(tarn_region_remove(addr, NULL), 0);
}

static void what_has_no_name_or_is_on_disk_is_refused(void **state)
{
	char addr[200], path[120];
	struct tarn_host *host;
	int fd = memfd_create("reclaim", MFD_CLOEXEC);

	(void)state;
	snprintf(addr, sizeof(addr), "memfd:%d:%d", (int)getpid(), fd);
	assert_int_equal(reclaim(addr, 1), -EINVAL);
	says("goes with the last process");
	close(fd);

	snprintf(path, sizeof(path), "/tmp/reclaim%d", (int)getpid());
	close(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
	snprintf(addr, sizeof(addr), "file:%s", path);
	assert_int_equal(reclaim(addr, 1), -EINVAL);
	says("on disk");
	assert_true(there(path));
	unlink(path);

	const struct tarn_host_opts opts = { .root = "/proc/self/root" };

	make("f");
	assert_int_equal(tarn_host_scan(&opts, &host), 0);
	snprintf(addr, sizeof(addr), "file:/proc/self/root%s", path_buf);
	assert_int_equal(tarn_host_reclaim(host, found(host, addr), 1, 0, &diag), -EINVAL);
	says("another root");
	assert_true(there(path_buf));
	unlink(path_buf);
	tarn_host_free(host);
}

static int as_nobody(void *arg)
{
	struct tarn_host *host;
	const struct tarn_host_segment *seg;
	int r;

	if (setgid(65534) < 0 || setuid(65534) < 0 || tarn_host_scan(NULL, &host) < 0 ||
	    tarn_host_find(host, arg, &seg, NULL) < 0)
		return 100;
	r = tarn_host_reclaim(host, seg, 1, 0, &diag);
	tarn_host_free(host);
	return -r;
}

static void another_users_is_refused(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("# skip: needs root, to be two users\n");
		skip();
	}
	make("g");
	chmod(path_buf, 0666);
	pid = fork();
	if (pid == 0)
		_exit(as_nobody(addr_buf));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), EACCES);
	assert_true(there(path_buf));
	unlink(path_buf);
}

static char trap_path[60], trap_moved[70], trap_other[70];
static unsigned trap_renames;

/* Whoever owns the folder puts a link in its place before the first rename, and takes it away. */
static int swap_folder(enum tarn_plat_call call)
{
	if (call != TARN_PLAT_RENAME)
		return 0;
	trap_renames++;
	if (trap_renames == 1 &&
	    (rename(trap_path, trap_moved) != 0 || symlink(trap_other, trap_path) != 0))
		return EIO;
	if (trap_renames == 2 && (unlink(trap_path) != 0 || rename(trap_moved, trap_path) != 0))
		return EIO;
	return 0;
}

static void a_link_in_the_place_of_a_folder_leads_to_no_file_of_others(void **state)
{
	struct tarn_host *host;
	char precious[80];
	int r;

	(void)state;
	snprintf(trap_path, sizeof(trap_path), "/dev/shm/reclaim%dd", (int)getpid());
	snprintf(trap_moved, sizeof(trap_moved), "%s-moved", trap_path);
	snprintf(trap_other, sizeof(trap_other), "%s-other", trap_path);
	snprintf(precious, sizeof(precious), "%s/x", trap_other);
	assert_int_equal(mkdir(trap_path, 0700), 0);
	assert_int_equal(mkdir(trap_other, 0700), 0);
	close(open(precious, O_RDWR | O_CREAT | O_EXCL, 0600));
	snprintf(path_buf, sizeof(path_buf), "%.60s/x", trap_path);
	snprintf(addr_buf, sizeof(addr_buf), "file:%.70s", path_buf);
	close(open(path_buf, O_RDWR | O_CREAT | O_EXCL, 0600));
	host = picture(0);
	trap_renames = 0;
	tarn__plat_fault = swap_folder;
	r = tarn_host_reclaim(host, found(host, addr_buf), 1, 0, &diag);
	tarn__plat_fault = NULL;
	tarn_host_free(host);
	assert_int_equal(r, 0); /* the file went, by the folder it was in */
	assert_int_equal(trap_renames, 1);
	assert_true(there(precious));
	(void)unlink(trap_path); /* the link, if it still is one */
	(void)rename(trap_moved, trap_path);
	(void)unlink(path_buf);
	assert_int_equal(rmdir(trap_path), 0);
	assert_int_equal(unlink(precious), 0);
	assert_int_equal(rmdir(trap_other), 0);
}

static void of_a_file_with_two_names_neither_goes(void **state)
{
	char second[96];

	(void)state;
	make("two");
	snprintf(second, sizeof(second), "%.80s-too", path_buf);
	assert_int_equal(link(path_buf, second), 0);
	/* the picture knows it by one of them, and either leads to it */
	assert_int_equal(reclaim(addr_buf, 1), -ESTALE);
	says("2 names");
	assert_true(there(path_buf) && there(second));
	assert_int_equal(unlink(second), 0);
	assert_int_equal(unlink(path_buf), 0);
}

/* --- System V -------------------------------------------------------------------------------- */

static int segment_id;

/* By a child that ends; with @used it attaches. */
static void make_segment(key_t key, bool used)
{
	int pipefd[2], status;
	pid_t pid;

	assert_int_equal(pipe(pipefd), 0);
	pid = fork();
	if (pid == 0) {
		int id = shmget(key, 8192, IPC_CREAT | IPC_EXCL | 0600);
		void *at = used ? shmat(id, NULL, 0) : NULL;

		if (used && at != (void *)-1)
			memset(at, 'x', 8192);
		_exit(write(pipefd[1], &id, sizeof(id)) != sizeof(id));
	}
	assert_int_equal(read(pipefd[0], &segment_id, sizeof(segment_id)), sizeof(segment_id));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(segment_id >= 0);
	close(pipefd[0]);
	close(pipefd[1]);
	snprintf(addr_buf, sizeof(addr_buf), "sysv:#%d", segment_id);
}

static bool segment_there(void)
{
	struct shmid_ds ds;

	return shmctl(segment_id, IPC_STAT, &ds) == 0;
}

static void an_orphan_of_system_v_goes_without_a_time(void **state)
{
	(void)state;
	make_segment(IPC_PRIVATE, true);
	assert_int_equal(reclaim_soon(addr_buf, 0), 0);
	assert_false(segment_there());
}

static void one_that_nobody_ever_attached_or_whose_creator_lives_stays(void **state)
{
	void *at;

	(void)state;
	make_segment(IPC_PRIVATE, false);
	assert_int_equal(reclaim(addr_buf, 1), -ESTALE);
	assert_int_equal(shmctl(segment_id, IPC_RMID, NULL), 0);

	segment_id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
	at = shmat(segment_id, NULL, 0);
	assert_int_equal(shmdt(at), 0);
	snprintf(addr_buf, sizeof(addr_buf), "sysv:#%d", segment_id);
	assert_int_equal(reclaim(addr_buf, 1), -ESTALE);
	assert_int_equal(shmctl(segment_id, IPC_RMID, NULL), 0);
}

static void one_attached_since_the_picture_stays(void **state)
{
	struct tarn_host *host;
	void *at;

	(void)state;
	make_segment(IPC_PRIVATE, true);
	host = picture(0);
	at = shmat(segment_id, NULL, 0);
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 0, 0, &diag), -EBUSY);
	says("attached");
	assert_int_equal(shmdt(at), 0);
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 0, 0, &diag), -ESTALE);
	tarn_host_free(host);
	assert_true(segment_there());
	assert_int_equal(reclaim_soon(addr_buf, 0), 0);
}

/* Its control file gone, nothing but its bytes says what it is. */
static void a_region_that_has_lost_its_control_file_stays(void **state)
{
	void *at;

	(void)state;
	make_segment(IPC_PRIVATE, true);
	at = shmat(segment_id, NULL, 0);
	memcpy(at, "TARN\r\n\x1a\n", 8);
	assert_int_equal(shmdt(at), 0);
	assert_int_equal(reclaim(addr_buf, 0), -EINVAL);
	says("Tarn's own");
	assert_true(segment_there());
	assert_int_equal(shmctl(segment_id, IPC_RMID, NULL), 0);
}

static void what_is_gone_is_said_to_be_gone(void **state)
{
	struct tarn_host *host;

	(void)state;
	make_segment(IPC_PRIVATE, true);
	host = picture(0);
	assert_int_equal(shmctl(segment_id, IPC_RMID, NULL), 0);
	assert_int_equal(tarn_host_reclaim(host, found(host, addr_buf), 0, 0, &diag), -ENOENT);
	tarn_host_free(host);
}

/* --- what a dead remover leaves -------------------------------------------------------------- */

static char passing[120];

/* As one killed in the middle leaves it. */
static void leave_passing(const char *tail)
{
	make(tail);
	next_tick();
	snprintf(passing, sizeof(passing), "/dev/shm/.tarn-gc.00000000.%s",
		 path_buf + strlen("/dev/shm/"));
	assert_int_equal(rename(path_buf, passing), 0);
}

static int count_ours(const struct tarn_leftover *leftover, void *arg)
{
	if (strcmp(leftover->path, passing) == 0)
		++*(int *)arg;
	return 0;
}

static int leftovers(uint32_t flags)
{
	int count = 0;

	assert_int_equal(tarn_leftovers(flags, count_ours, &count), 0);
	return count;
}

/* One is found, and then it is there or not. Others on the host may be at it, too: who looks at all
 * of it has it open for a moment, by way of /proc, and a remover that comes just then gives it its
 * name back; or removes it. So it is tried again. */
static bool finds_one(const char *tail, uint32_t flags, bool stays)
{
	for (int tries = 0; tries < 1000; tries++) { /* some seconds */
		if (!there(passing) && rename(path_buf, passing) != 0)
			leave_passing(tail);
		next_tick();
		if (leftovers(flags) == 1 && there(passing) == stays && !there(path_buf))
			return true;
	}
	return false;
}

static void what_a_dead_remover_left_is_removed(void **state)
{
	(void)state;
	leave_passing("h");
	assert_true(finds_one("h", 0, true));
	assert_true(finds_one("h", TARN_LEFTOVER_REMOVE, false));
}

static void what_somebody_opened_gets_its_name_back(void **state)
{
	pid_t pid;

	(void)state;
	leave_passing("i");
	pid = holder(open_it, passing);
	assert_int_equal(leftovers(0), 0);
	assert_true(there(passing));
	assert_int_equal(leftovers(TARN_LEFTOVER_REMOVE), 0);
	assert_false(there(passing));
	assert_true(there(path_buf));
	end(pid);
	unlink(path_buf);
}

static void what_was_used_and_closed_gets_its_name_back(void **state)
{
	(void)state;
	leave_passing("j");
	next_tick();
	end(holder(map_it, passing));
	assert_int_equal(leftovers(0), 0);
	assert_int_equal(leftovers(TARN_LEFTOVER_REMOVE), 0);
	assert_true(there(path_buf));
	unlink(path_buf);
}

static void a_name_that_is_taken_is_not_given_back(void **state)
{
	struct stat st, again;
	pid_t pid;

	(void)state;
	leave_passing("k");
	pid = holder(open_it, passing);
	make("k");
	assert_int_equal(stat(path_buf, &st), 0);
	assert_int_equal(leftovers(TARN_LEFTOVER_REMOVE), 0);
	assert_true(there(passing));
	end(pid);
	for (int tries = 0; tries < 200 && there(passing); tries++) {
		next_tick();
		(void)leftovers(TARN_LEFTOVER_REMOVE);
	}
	assert_false(there(passing));
	assert_int_equal(stat(path_buf, &again), 0);
	assert_int_equal(st.st_ino, again.st_ino);
	unlink(path_buf);
}

static void what_a_live_remover_holds_is_left_to_it(void **state)
{
	int fd;

	(void)state;
	leave_passing("l");
	fd = open(passing, O_RDONLY);
	assert_int_equal(tarn__plat_lease(fd), 0);
	assert_int_equal(leftovers(TARN_LEFTOVER_REMOVE), 0);
	assert_false(tarn__plat_lease_wanted(fd));
	tarn__plat_unlease(fd);
	close(fd);
	assert_true(finds_one("l", TARN_LEFTOVER_REMOVE, false));
}

static void in_a_folder_too_a_dead_removers_is_reclaimed(void **state)
{
	char dir[60], old[80], path[120], addr[140];
	int r = -EBUSY;

	(void)state;
	snprintf(dir, sizeof(dir), "/dev/shm/reclaim%d-dir", (int)getpid());
	snprintf(path, sizeof(path), "%s/.tarn-gc.00000000.file", dir);
	snprintf(addr, sizeof(addr), "file:%s", path);
	assert_int_equal(mkdir(dir, 0700), 0);
	close(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
	next_tick();
	snprintf(old, sizeof(old), "%s/file", dir);
	assert_int_equal(chmod(path, 0600), 0); /* a later ctime, as of a renaming */
	for (int i = 0; i < 200 && r == -EBUSY; i++) {
		/* Whoever looked at /proc/PID/fd just then had it open: it got its name again. */
		(void)rename(old, path);
		r = reclaim(addr, 0);
	}
	assert_int_equal(r, 0);
	assert_int_equal(rmdir(dir), 0);
}

/* --- signals --------------------------------------------------------------------------------- */

/* Whoever wants a leased file makes the kernel send SIGIO to who has it, which is death. */
static void no_signal_comes_of_a_lease(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	make("m");
	pid = fork();
	if (pid == 0) {
		int fd = open(path_buf, O_RDONLY);
		bool wanted;

		signal(SIGIO, SIG_DFL);
		if (tarn__plat_lease(fd) < 0 || tarn__plat_lease_wanted(fd))
			_exit(2);
		if (open(path_buf, O_RDWR | O_NONBLOCK) >= 0 || errno != EAGAIN)
			_exit(3);
		wanted = tarn__plat_lease_wanted(fd);
		_exit(wanted ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unlink(path_buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_file_goes_only_if_a_time_is_given_and_over),
		cmocka_unit_test(a_name_of_any_length_goes),
		cmocka_unit_test(what_is_open_or_mapped_stays_and_its_users_are_named),
		cmocka_unit_test(what_was_opened_since_the_picture_stays),
		cmocka_unit_test(what_was_used_or_replaced_since_the_picture_stays),
		cmocka_unit_test(to_look_is_not_to_use),
		cmocka_unit_test(a_file_in_a_folder_of_dev_shm_goes),
		cmocka_unit_test(a_semaphore_goes_as_other_files_do),
		cmocka_unit_test(a_dry_run_finds_out_the_same_and_removes_nothing),
		cmocka_unit_test(tarns_own_is_refused),
		cmocka_unit_test(what_has_no_name_or_is_on_disk_is_refused),
		cmocka_unit_test(another_users_is_refused),
		cmocka_unit_test(a_link_in_the_place_of_a_folder_leads_to_no_file_of_others),
		cmocka_unit_test(of_a_file_with_two_names_neither_goes),
		cmocka_unit_test(an_orphan_of_system_v_goes_without_a_time),
		cmocka_unit_test(one_that_nobody_ever_attached_or_whose_creator_lives_stays),
		cmocka_unit_test(one_attached_since_the_picture_stays),
		cmocka_unit_test(a_region_that_has_lost_its_control_file_stays),
		cmocka_unit_test(what_is_gone_is_said_to_be_gone),
		cmocka_unit_test(what_a_dead_remover_left_is_removed),
		cmocka_unit_test(what_somebody_opened_gets_its_name_back),
		cmocka_unit_test(what_was_used_and_closed_gets_its_name_back),
		cmocka_unit_test(a_name_that_is_taken_is_not_given_back),
		cmocka_unit_test(what_a_live_remover_holds_is_left_to_it),
		cmocka_unit_test(in_a_folder_too_a_dead_removers_is_reclaimed),
		cmocka_unit_test(no_signal_comes_of_a_lease),
	};

	if (!harness_isolate())
		print_message("# no private /dev/shm here: others may see what is left there\n");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
