/* SPDX-License-Identifier: BSD-2-Clause */
/* A look at a directory of sockets: who is there, and that nobody is in its way. */
#include "apart-bare.h"

enum { SEEN_MAX = 80, STRANGER = 4242, NOBODY = 65534 };

/* What was called for each, the pointers copied. */
static struct seen {
	struct tarn_topic_socket said;
	char name[64], type[64];
} seen[SEEN_MAX];
static int seen_count;

static int see(const struct tarn_topic_socket *found, void *arg)
{
	struct seen *to = &seen[seen_count];

	assert_in_range(seen_count, 0, SEEN_MAX - 1);
	seen_count++;
	*to = (struct seen){ .said = *found };
	snprintf(to->name, sizeof(to->name), "%s", found->name);
	if (found->type != NULL)
		snprintf(to->type, sizeof(to->type), "%s", found->type->name);
	return arg != NULL ? *(int *)arg : 0;
}

static const struct seen *look_at_all(const char *name, uint32_t flags, int count)
{
	seen_count = 0;
	assert_int_equal(tarn_topic_sockets(name, &opts, flags, see, NULL), 0);
	assert_int_equal(seen_count, count);
	return seen;
}

/* The one that is there; what it is. */
static const struct tarn_topic_socket *look(void)
{
	return &look_at_all("news", 0, 1)->said;
}

/* --- what is seen -------------------------------------------------------------------------- */

static void a_publisher_is_seen(void **state)
{
	const struct tarn_topic_socket *said;
	int64_t before = tarn_now();
	char path[160];

	(void)state;
	(void)look_at_all("news", 0, 0);
	open_publisher();
	said = look();
	assert_string_equal(seen[0].name, "news");
	assert_int_equal(said->state, TARN_SOCKET_ANSWERS);
	assert_int_equal(said->who.pid, getpid());
	assert_int_equal(said->who.uid, geteuid());
	assert_int_equal(said->lane_size, 4096);
	assert_int_equal(said->size, sizeof(struct lane_shm) + 4096);
	assert_int_equal(said->number, 0);
	assert_int_equal(said->kept, 0);
	assert_int_equal(said->newest_ns, 0);
	assert_false(said->waits);
	assert_false(said->removed);
	assert_string_equal(seen[0].type, "");
	snprintf(path, sizeof(path), "%s/news:%016llx", dir, (unsigned long long)said->token);
	assert_int_equal(access(path, F_OK), 0);
	for (uint64_t n = 0; n < 5; n++)
		assert_int_equal(publish(n), 0);
	said = look();
	assert_int_equal(said->number, 5);
	assert_int_equal(said->kept, 5);
	assert_in_range(said->oldest_ns, before, said->newest_ns);
	assert_in_range(said->newest_ns, said->oldest_ns, tarn_now());
	for (uint64_t n = 5; n < 1000; n++)
		assert_int_equal(publish(n), 0);
	said = look();
	assert_int_equal(said->number, 1000);
	assert_in_range(said->kept, 20, 64);
}

static void of_one_topic_or_of_all(void **state)
{
	struct tarn_publisher *others[40];
	int stop_at = 7;

	(void)state;
	open_publisher();
	for (int i = 0; i < 40; i++) /* more than are asked at once */
		assert_int_equal(
			tarn_publisher_open(NULL, i % 2 == 0 ? "olds" : "new", &opts, &others[i]),
			0);
	(void)look_at_all("news", 0, 1);
	(void)look_at_all("olds", 0, 20);
	(void)look_at_all(NULL, 0, 41);
	for (int i = 0; i < seen_count; i++)
		assert_int_equal(seen[i].said.state, TARN_SOCKET_ANSWERS);
	seen_count = 0;
	assert_int_equal(tarn_topic_sockets(NULL, &opts, 0, see, &stop_at), 7);
	assert_int_equal(seen_count, 1);
	for (int i = 0; i < 40; i++)
		tarn_publisher_close(others[i]);
}

#define QUOTE(ROW) ROW(VALUE, int64_t, price, "ct", "")
TARN_TYPE(quote, 1, QUOTE);

static void its_type_is_told(void **state)
{
	(void)state;
	opts.type = quote_type();
	open_publisher();
	opts.type = NULL;
	(void)look();
	assert_string_equal(seen[0].type, "quote");
}

static void *publish_all_the_while(void *arg)
{
	uint64_t n = 0;

	while (!atomic_load(&stop)) {
		int r = tarn_publisher_publish_wait(publisher, &n, sizeof(n),
						    tarn_deadline_after(50000000));

		if (r != 0 && r != -ETIMEDOUT)
			return &stop;
	}
	return arg;
}

static void who_sleeps_for_want_of_room_is_told(void **state)
{
	int64_t deadline = tarn_deadline_after(SOON_NS);
	pthread_t thread;
	void *result;

	(void)state;
	opts.patience_ns = TARN_FOREVER;
	open_publisher();
	open_subscriber(0, 0); /* it takes nothing */
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, publish_all_the_while, NULL), 0);
	while (!look()->waits && tarn_now() < deadline)
		;
	assert_true(tarn_now() < deadline);
	assert_in_range(seen[0].said.kept, 20, 64);
	atomic_store(&stop, true);
	pthread_join(thread, &result);
	assert_null(result);
}

/* --- what is left, and who does not answer --------------------------------------------------- */

static int publish_and_die(void)
{
	struct tarn_publisher *own;

	if (tarn_publisher_open(NULL, "news", &opts, &own) < 0)
		return 1;
	kill(getpid(), SIGKILL);
	return 2;
}

static void names_of_the_dead_stay_unless_asked(void **state)
{
	const struct tarn_topic_socket *said;

	(void)state;
	open_publisher();
	assert_int_equal(in_child(publish_and_die), 1000 + SIGKILL);
	for (int i = 0; i < 2; i++) {
		(void)look_at_all("news", 0, 2);
		said = &seen[seen[0].said.state == TARN_SOCKET_DEAD ? 0 : 1].said;
		assert_int_equal(said->state, TARN_SOCKET_DEAD);
		assert_int_equal(said->who.pid, 0);
		assert_int_equal(said->who.uid, geteuid());
		assert_false(said->removed);
		assert_int_equal(names(), 2);
	}
	(void)look_at_all(NULL, TARN_SOCKETS_REMOVE_DEAD, 2);
	assert_true(seen[0].said.removed || seen[1].said.removed);
	assert_false(seen[0].said.removed && seen[1].said.removed);
	assert_int_equal(names(), 1);
	(void)look_at_all(NULL, TARN_SOCKETS_REMOVE_DEAD, 1);
	assert_int_equal(seen[0].said.state, TARN_SOCKET_ANSWERS);
}

/* A socket at @path whose listener is no more. */
static void leave_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(listener);
}

/* Killed between two calls, a minute ago. */
static void names_that_nobody_was_to_see_yet_are_left_alone_for_a_minute(void **state)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/.news:00000000deadbeef", dir);
	leave_socket(path);
	(void)look_at_all(NULL, TARN_SOCKETS_REMOVE_DEAD, 0);
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &times[1]), 0);
	times[1].tv_sec -= 61;
	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
	(void)look_at_all("olds", TARN_SOCKETS_REMOVE_DEAD, 0);
	assert_int_equal(look()->state, TARN_SOCKET_DEAD);
	assert_int_equal(access(path, F_OK), 0);
	(void)look_at_all("news", TARN_SOCKETS_REMOVE_DEAD, 1);
	assert_true(seen[0].said.removed);
	assert_int_equal(access(path, F_OK), -1);
}

/* A child that publishes, until it is killed. */
static pid_t publish_in_child(void)
{
	int fds[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct tarn_publisher *own;

		alarm(30);
		if (tarn_publisher_open(NULL, "news", &opts, &own) == 0 &&
		    write(fds[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	return pid;
}

static void one_that_is_stopped_is_silent(void **state)
{
	pid_t pid = publish_in_child();
	int status;

	(void)state;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_int_equal(look()->state, TARN_SOCKET_SILENT);
	assert_int_equal(look()->who.pid, pid);
	assert_int_equal(kill(pid, SIGCONT), 0);
	while (look()->state != TARN_SOCKET_ANSWERS)
		;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)look_at_all(NULL, TARN_SOCKETS_REMOVE_DEAD, 1);
}

/* As another user, whom @peers concern. */
static int look_as(uint32_t uid, const struct tarn_topic_peers *peers)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(30);
		opts.peers = peers;
		seen_count = 0;
		if (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0 ||
		    tarn_topic_sockets("news", &opts, 0, see, NULL) < 0 || seen_count != 1)
			_exit(99);
		_exit((int)seen[0].said.state);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void who_lets_whom_in_is_told(void **state)
{
	const uint32_t nobody = NOBODY, root = 0;
	const struct tarn_topic_peers believed = { .users = &root, .user_count = 1 };
	const struct tarn_topic_peers one = { .users = &nobody, .user_count = 1 };
	const struct tarn_topic_peers all = { .anybody = true };

	(void)state;
	if (geteuid() != 0)
		skip(); /* it takes other users */
	open_publisher();
	assert_int_equal(look_as(NOBODY, &believed), TARN_SOCKET_DENIED);
	tarn_publisher_close(publisher);
	opts.peers = &one;
	open_publisher();
	opts.peers = NULL;
	assert_int_equal(look_as(NOBODY, &believed), TARN_SOCKET_ANSWERS);
	assert_int_equal(look_as(NOBODY, &all), TARN_SOCKET_ANSWERS);
	assert_int_equal(look_as(NOBODY, NULL), TARN_SOCKET_STRANGER);
	assert_int_equal(look_as(STRANGER, &believed), TARN_SOCKET_REFUSES);
}

/* A socket that says what is none of a publisher's. */
static void one_that_is_no_publisher_is_damaged(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), sock;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/news:00000000deadbeef", dir);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(look()->state, TARN_SOCKET_SILENT);
	sock = accept(listener, NULL, NULL);
	close(sock);
	close(listener);
	assert_int_equal(look()->state, TARN_SOCKET_DEAD);
	unlink(path);
	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(look()->state, TARN_SOCKET_DAMAGED);
	(void)look_at_all(NULL, TARN_SOCKETS_REMOVE_DEAD, 1);
	assert_int_equal(names(), 1); /* it is nobody's to remove */
	close(listener);
	unlink(path);
	/* a file is none of a publisher's, nor what has another name */
	assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	(void)look_at_all(NULL, TARN_SOCKETS_REMOVE_DEAD, 0);
	assert_int_equal(names(), 1);
	unlink(path);
}

/* --- it is in nobody's way ------------------------------------------------------------------- */

static _Atomic uint32_t looks;

static int count_looks(const struct tarn_topic_socket *found, void *arg)
{
	(void)arg;
	atomic_fetch_add(&looks, 1);
	return found->state == TARN_SOCKET_ANSWERS ? 0 : 1;
}

static void *look_again_and_again(void *arg)
{
	while (!atomic_load(&stop))
		if (tarn_topic_sockets("news", &opts, 0, count_looks, NULL) != 0) {
			atomic_fetch_add(&looks, 200); /* that is all */
			return &looks;
		}
	return arg;
}

/* With all patience for those that subscribe, a publisher goes on beside those who look. */
static void who_looks_holds_nobody_up(void **state)
{
	struct tarn_publisher_stat stat;
	pthread_t threads[2];
	void *result;
	uint64_t n = 0;

	(void)state;
	opts.patience_ns = TARN_FOREVER;
	open_publisher();
	atomic_store(&stop, false);
	atomic_store(&looks, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_again_and_again, NULL), 0);
	while (atomic_load(&looks) < 200) {
		assert_int_equal(tarn_publisher_publish_wait(publisher, &n, sizeof(n),
							     tarn_deadline_after(SOON_NS)),
				 0);
		n++;
		assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
		assert_int_equal(stat.subscribers, 0);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &result);
		assert_null(result);
	}
	assert_true(n > 200);
	/* and its places are those of subscribers again */
	open_subscriber(0, 0);
	all_is_well(n, 10);
}

/* --- bad input ----------------------------------------------------------------------------- */

static int fails(const char *name, uint32_t flags, const char *words)
{
	struct tarn_diag diag = { .what = "" };
	int r;

	opts.diag = &diag;
	r = tarn_topic_sockets(name, &opts, flags, see, NULL);
	opts.diag = NULL;
	assert_true(r < 0);
	assert_non_null(strstr(diag.what, words));
	return r;
}

static void what_is_wrong_is_told(void **state)
{
	char missing[80];

	(void)state;
	assert_int_equal(tarn_topic_sockets(NULL, NULL, 0, see, NULL), -EINVAL);
	assert_int_equal(fails("a/b", 0, "'/'"), -EINVAL);
	assert_int_equal(fails("", 0, "empty"), -EINVAL);
	assert_int_equal(fails(NULL, 2, "0x2"), -EINVAL);
	snprintf(missing, sizeof(missing), "%s/missing", dir);
	opts.socket_dir = missing;
	assert_int_equal(fails(NULL, 0, "missing"), -ENOENT);
	assert_int_equal(fails("news", 0, "topic news"), -ENOENT);
	opts.socket_dir = "/dev/null";
	assert_int_equal(fails(NULL, 0, "/dev/null"), -ENOTDIR);
	opts.socket_dir = NULL;
	assert_int_equal(fails(NULL, 0, "no directory"), -EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		TEST(a_publisher_is_seen),
		TEST(of_one_topic_or_of_all),
		TEST(its_type_is_told),
		TEST(who_sleeps_for_want_of_room_is_told),
		TEST(names_of_the_dead_stay_unless_asked),
		TEST(names_that_nobody_was_to_see_yet_are_left_alone_for_a_minute),
		TEST(one_that_is_stopped_is_silent),
		TEST(who_lets_whom_in_is_told),
		TEST(one_that_is_no_publisher_is_damaged),
		TEST(who_looks_holds_nobody_up),
		TEST(what_is_wrong_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
