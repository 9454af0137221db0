/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Others come while tarn_host_reclaim() removes: before each of its system calls, each thing that
 * another process can do. Two books are kept:
 *
 *   who got the object has it whole, and under its name, unless the result (1) says that it lost
 *   that;
 *   the result tells the truth: 0 = gone and nobody has it, less than 0 = there, under its name
 *
 * The fault seam stops the remover before a call; what the others do is then done to the end, or as
 * far as it gets before it waits for the lease. So each order of system calls is tried, and none of
 * two instructions inside the kernel: that is for tests/storm/reclaim.c.
 */
#include "host.h"

#include <sched.h>
#include <sys/prctl.h>

#include "harness.h"

enum { SIZE = 8192, CALLS_MAX = 64, STAMP = 'x' };

/* What the other process did; shared with it. */
struct other {
	_Atomic int begun, done; /* done: the call that may wait has returned */
	int error;               /* of it */
	ino_t inode;             /* what it got */
	int whole;               /* was it all STAMP? */
	int wrong, value;        /* if not: the first byte that was not, and what it was */
};
static struct other *other, *second;
static pid_t other_pid, other_end;

static char path[80], addr[80];
static int id;

/* --- the others ------------------------------------------------------------------------------ */

/* Is the process asleep, and so waiting in open()? */
static bool asleep(pid_t pid)
{
	char file[40], text[300] = "";
	FILE *f;

	snprintf(file, sizeof(file), "/proc/%d/stat", (int)pid);
	f = fopen(file, "re");
	if (f == NULL)
		return true;
	(void)!fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	return strrchr(text, ')') != NULL && strrchr(text, ')')[2] == 'S';
}

static void check_bytes(const char *bytes)
{
	other->whole = 1;
	for (int i = 0; i < SIZE && other->whole; i++) {
		other->wrong = i;
		other->value = bytes[i];
		other->whole = bytes[i] == STAMP;
	}
}

static void got_file(int fd)
{
	char bytes[SIZE];
	struct stat st;

	other->error = fd < 0 ? errno : 0;
	if (fd >= 0 && fstat(fd, &st) == 0 && pread(fd, bytes, SIZE, 0) == SIZE) {
		other->inode = st.st_ino;
		check_bytes(bytes);
	}
	other->done = 1;
}

static void open_wait(void)
{
	got_file(open(path, O_RDWR));
}

static void open_read(void)
{
	got_file(open(path, O_RDONLY));
}

static void open_at_once(void)
{
	got_file(open(path, O_RDWR | O_NONBLOCK));
}

static void create(void)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd >= 0)
		(void)!ftruncate(fd, 17);
	other->error = fd < 0 ? errno : 0;
	other->done = 1;
	close(fd);
}

static void replace(void)
{
	unlink(path);
	create();
}

static void use_and_close(void)
{
	int fd = open(path, O_RDWR | O_NONBLOCK);

	other->error = fd < 0 ? errno : pwrite(fd, "x", 1, 0) == 1 ? 0 : EIO;
	other->done = 1;
	close(fd);
}

static void attach(void)
{
	void *at = shmat(id, NULL, 0);

	other->error = at == (void *)-1 ? errno : 0;
	if (other->error == 0)
		check_bytes(at);
	other->done = 1;
}

static void attach_and_leave(void)
{
	void *at = shmat(id, NULL, 0);

	other->error = at == (void *)-1 ? errno : 0;
	if (other->error == 0)
		shmdt(at);
	other->done = 1;
}

static void remove_key(void)
{
	other->error = shmctl(id, IPC_RMID, NULL) < 0 ? errno : 0;
	other->done = 1;
}

static void start(void (*what)(void))
{
	memset(other, 0, sizeof(*other));
	other_pid = fork();
	if (other_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		other->begun = 1;
		what();
		for (;;)
			pause();
	}
	while (!other->done && !(other->begun && asleep(other_pid)))
		sched_yield();
}

/* What was waiting has the file now. */
static void settle(void)
{
	while (other_pid > 0 && !other->done)
		sched_yield();
}

static void end_others(void)
{
	if (other_pid > 0)
		end(other_pid);
	if (other_end > 0)
		end(other_end);
	other_pid = other_end = 0;
}

/* --- the seam -------------------------------------------------------------------------------- */

static struct {
	int count;           /* calls so far */
	int at, at2;         /* before which the others come; -1 = never */
	void (*what)(void);  /* does the first */
	void (*what2)(void); /* does the second */
} plan;

static int come(enum tarn_plat_call call)
{
	int n = plan.count++;

	(void)call;
	if (n == plan.at)
		start(plan.what);
	if (n == plan.at2) {
		/* The first stays where it is, or goes on by now: it has a book of its own. */
		pid_t first = other_pid;
		struct other *book = other;

		other = second;
		start(plan.what2);
		other_end = other_pid;
		other_pid = first;
		other = book;
	}
	return 0;
}

static struct tarn_diag last;

/* The remover looks at what is at addr, and removes it; the others come as planned. Their result
 * is in their book, and the one that was waiting has what it gets. */
static int meet(int at, void (*what)(void), int at2, void (*what2)(void))
{
	struct tarn_host *host = picture(0);
	const struct tarn_host_segment *seg = found(host, addr);
	int r;

	memset(other, 0, sizeof(*other));
	last = (struct tarn_diag){ 0 };
	plan.at = at;
	plan.what = what;
	plan.at2 = at2;
	plan.what2 = what2;
	plan.count = 0;
	tarn__plat_fault = come;
	r = tarn_host_reclaim(host, seg, 1, 0, &last);
	tarn__plat_fault = NULL;
	settle();
	tarn_host_free(host);
	return r;
}

/* --- files ----------------------------------------------------------------------------------- */

static void make_file(void)
{
	char bytes[SIZE];
	int fd;

	memset(bytes, STAMP, SIZE);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, SIZE), SIZE);
	close(fd);
}

static ino_t inode_at(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 ? st.st_ino : 0;
}

static void no_passing_name(const char *name, void *arg)
{
	(void)arg;
	if (strncmp(name, ".tarn-gc.", 9) == 0)
		fail_msg("%s was left", name);
}

/* Both books, for original @inode and result @r. */
static void settle_file(ino_t inode, int r, const struct tarn_diag *diag)
{
	ino_t now = inode_at(path);

	if (r > 1 || (r < 0 && r != -EBUSY && r != -ESTALE && r != -ENOENT))
		fail_msg("call %d/%d: result %d: %s", plan.at, plan.at2, r, diag->what);
	if (r != 0 && diag->what[0] == '\0')
		fail_msg("call %d/%d: result %d without a word", plan.at, plan.at2, r);
	if (other->inode == inode && (!other->whole || (now != inode && r != 1)))
		fail_msg("call %d/%d: result %d, and who opened it has it %s", plan.at, plan.at2, r,
			 other->whole ? "without a name" : "in part");
	if (other->inode == inode && r == 0)
		fail_msg("call %d/%d: gone, and somebody has it", plan.at, plan.at2);
	if (r >= 0 && now == inode)
		fail_msg("call %d/%d: result %d, and it is there", plan.at, plan.at2, r);
	harness_names("/dev/shm", no_passing_name, NULL);
}

/* One run; returns how many calls it made. */
static int one_file(int at, void (*what)(void), int at2, void (*what2)(void), int *ret_r,
		    bool *ret_lost)
{
	ino_t inode;

	make_file();
	inode = inode_at(path);
	*ret_r = meet(at, what, at2, what2);
	*ret_lost = inode_at(path) != inode;
	settle_file(inode, *ret_r, &last);
	end_others();
	unlink(path);
	return plan.count;
}

/* Before each call @what comes; @check looks at what is there then. */
static void before_each_call(void (*what)(void), void (*check)(int at, int r))
{
	bool lost;
	int r, calls = one_file(-1, NULL, -1, NULL, &r, &lost);

	for (int at = 0; at < calls; at++) {
		make_file();
		check(at, meet(at, what, -1, NULL));
		end_others();
		unlink(path);
	}
}

static void an_opener_has_it_under_its_name_or_not_at_all(void **state)
{
	void (*const ways[])(void) = { open_wait, open_read, open_at_once };
	bool lost;
	int r, calls = one_file(-1, NULL, -1, NULL, &r, &lost);

	(void)state;
	assert_int_equal(r, 0);
	for (int way = 0; way < 3; way++) {
		int spared = 0;

		for (int at = 0; at < calls; at++) {
			one_file(at, ways[way], -1, NULL, &r, &lost);
			if (r != 0 && lost)
				fail_msg("call %d: nobody else came, and it was lost: %s", at,
					 last.what);
			spared += r < 0;
		}
		assert_true(spared > 0 && spared < calls);
	}
}

static void new_one_kept(int at, int r)
{
	if (other->done && other->error == 0 && inode_at(path) == 0)
		fail_msg("call %d: result %d, and the new one is gone", at, r);
	assert_int_equal(r, 0);
}

static void who_makes_a_new_one_keeps_it(void **state)
{
	(void)state;
	before_each_call(create, new_one_kept);
}

static void an_opener_and_a_maker_of_a_new_one_get_both_or_are_told(void **state)
{
	bool lost;
	int r, told = 0, calls = one_file(-1, NULL, -1, NULL, &r, &lost);

	(void)state;
	for (int at = 0; at < calls; at++)
		for (int at2 = at + 1; at2 < calls && at2 <= at + 3; at2++) {
			one_file(at, open_wait, at2, create, &r, &lost);
			told += r == 1;
		}
	assert_true(told > 0); /* the name was taken before it could be given back */
}

static void put_in_place_kept(int at, int r)
{
	assert_true(other->done && other->error == 0);
	if (inode_at(path) == 0)
		fail_msg("call %d: result %d: the new one is gone", at, r);
	harness_names("/dev/shm", no_passing_name, NULL);
}

static void what_was_put_in_its_place_stays(void **state)
{
	(void)state;
	before_each_call(replace, put_in_place_kept);
}

static void used_kept(int at, int r)
{
	/* in the tick in which it was made its times show nothing: then it is as if used before */
	if (r == 0 && other->error == 0 && at > 1)
		fail_msg("call %d: it was written, and is gone", at);
}

static void what_was_used_meanwhile_stays(void **state)
{
	(void)state;
	before_each_call(use_and_close, used_kept);
}

/* --- System V -------------------------------------------------------------------------------- */

static void make_segment(void)
{
	int pair[2], status;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		int n = shmget(harness_sysv_key(7), SIZE, IPC_CREAT | IPC_EXCL | 0600);
		void *at = shmat(n, NULL, 0);

		if (at != (void *)-1)
			memset(at, STAMP, SIZE);
		_exit(at == (void *)-1 || write(pair[1], &n, sizeof(n)) != sizeof(n));
	}
	close(pair[1]);
	assert_int_equal(read(pair[0], &id, sizeof(id)), sizeof(id));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(pair[0]);
	snprintf(addr, sizeof(addr), "sysv:#%d", id);
}

static int one_segment(int at, void (*what)(void), int *ret_r, bool *ret_key)
{
	struct shmid_ds ds;

	make_segment();
	*ret_r = meet(at, what, -1, NULL);
	*ret_key = shmget(harness_sysv_key(7), 0, 0) == id;
	if (*ret_r >= 0 && *ret_key)
		fail_msg("call %d: result %d, and its key leads to it", at, *ret_r);
	if (*ret_r == 0 && shmctl(id, IPC_STAT, &ds) == 0)
		fail_msg("call %d: gone, and it is there", at);
	return plan.count;
}

static void undo_segment(void)
{
	end_others();
	shmctl(id, IPC_RMID, NULL);
}

static void an_attacher_has_it_whole_and_is_told_of(void **state)
{
	bool key;
	int r, told = 0, spared = 0, calls = one_segment(-1, NULL, &r, &key);

	(void)state;
	assert_int_equal(r, 0);
	for (int at = 0; at < calls; at++) {
		one_segment(at, attach, &r, &key);
		if (other->error == 0 && !other->whole)
			fail_msg("call %d: result %d, and byte %d is %d", at, r, other->wrong,
				 other->value);
		if (other->error == 0 && r == 0)
			fail_msg("call %d: gone, and somebody has it attached", at);
		if (r < 0 && !key)
			fail_msg("call %d: result %d, and its key is gone", at, r);
		told += r == 1;
		spared += r < 0;
		undo_segment();
	}
	assert_true(told > 0 && spared > 0);
}

static void one_that_came_and_went_saves_it_and_one_removed_is_gone(void **state)
{
	bool key;
	int r, spared = 0, calls = one_segment(-1, NULL, &r, &key);

	(void)state;
	for (int at = 0; at < calls; at++) {
		one_segment(at, attach_and_leave, &r, &key);
		spared += r == -ESTALE || r == -EBUSY;
		undo_segment();
		one_segment(at, remove_key, &r, &key);
		if (r != -ENOENT && r != 0)
			fail_msg("call %d: result %d of what is gone", at, r);
		undo_segment();
	}
	assert_true(spared > 0);
}

/* What a test that failed has left. */
static int clean(void **state)
{
	(void)state;
	tarn__plat_fault = NULL;
	end_others();
	harness_sweep_away("/dev/shm", harness_sysv_key(7));
	snprintf(addr, sizeof(addr), "shm:%srace", harness_prefix());
	memset(other, 0, sizeof(*other));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_opener_has_it_under_its_name_or_not_at_all, clean),
		cmocka_unit_test_setup(who_makes_a_new_one_keeps_it, clean),
		cmocka_unit_test_setup(an_opener_and_a_maker_of_a_new_one_get_both_or_are_told,
				       clean),
		cmocka_unit_test_setup(what_was_put_in_its_place_stays, clean),
		cmocka_unit_test_setup(what_was_used_meanwhile_stays, clean),
		cmocka_unit_test_setup(an_attacher_has_it_whole_and_is_told_of, clean),
		cmocka_unit_test_setup(one_that_came_and_went_saves_it_and_one_removed_is_gone,
				       clean),
	};

	if (!harness_isolate())
		print_message("# no private /dev/shm here: others may come in between\n");
	snprintf(path, sizeof(path), "/dev/shm/%srace", harness_prefix());
	other = harness_shared(sizeof(*other));
	second = harness_shared(sizeof(*second));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
