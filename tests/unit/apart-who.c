/* SPDX-License-Identifier: BSD-2-Clause */
/* Topics in a directory of sockets: who is let in and believed, types, and bad input. */
#include "apart.h"

enum { NOBODY = 65534, STRANGER = 4242 };

/* --- who is let in ------------------------------------------------------------------------- */

/* As another user: does the topic have the parent as its publisher? 0 or 1, else what failed. */
static int publishers_seen_by(uint32_t uid, uint32_t gid, const gid_t *groups, size_t count)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		const uint32_t root = 0;
		const struct tarn_topic_peers believed = { .users = &root, .user_count = 1 };
		struct tarn_topic_opts want = opts;
		struct tarn_subscriber_stat stat;
		struct tarn_subscriber *own;

		alarm(30);
		want.peers = &believed;
		if (setgroups(count, groups) < 0 || setgid(gid) < 0 || setuid(uid) < 0)
			_exit(9);
		if (tarn_subscriber_open(NULL, "news", &want, &own) < 0 ||
		    tarn_subscriber_stat(own, &stat) < 0)
			_exit(8);
		_exit((int)stat.publishers);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void only_those_named_are_let_in(void **state)
{
	const uint32_t users[] = { 12345, NOBODY }, groups[] = { 777 };
	const gid_t others[] = { 1, 2, 777 };
	struct tarn_topic_peers peers = { .users = users, .user_count = 2 };

	(void)state;
	if (geteuid() != 0)
		skip(); /* it takes other users */
	open_publisher();
	assert_int_equal(publishers_seen_by(NOBODY, NOBODY, NULL, 0), 0);
	tarn_publisher_close(publisher);
	opts.peers = &peers;
	open_publisher();
	assert_int_equal(publishers_seen_by(NOBODY, NOBODY, NULL, 0), 1);
	assert_int_equal(publishers_seen_by(STRANGER, STRANGER, NULL, 0), 0);
	assert_int_equal(publishers_seen_by(STRANGER, STRANGER, others, 3), 0);
	tarn_publisher_close(publisher);
	peers = (struct tarn_topic_peers){ .groups = groups, .group_count = 1 };
	open_publisher();
	assert_int_equal(publishers_seen_by(STRANGER, STRANGER, others, 3), 1);
	assert_int_equal(publishers_seen_by(STRANGER, 777, NULL, 0), 1);
	assert_int_equal(publishers_seen_by(STRANGER, STRANGER, others, 2), 0);
	tarn_publisher_close(publisher);
	peers = (struct tarn_topic_peers){ .anybody = true };
	open_publisher();
	assert_int_equal(publishers_seen_by(STRANGER, STRANGER, NULL, 0), 1);
}

static int publish_as_stranger(void)
{
	const struct tarn_topic_peers peers = { .anybody = true };
	struct tarn_topic_opts want = opts;
	struct tarn_publisher *own;
	uint64_t n = 666;

	want.peers = &peers;
	if (setgroups(0, NULL) < 0 || setgid(STRANGER) < 0 || setuid(STRANGER) < 0 ||
	    tarn_publisher_open(NULL, "news", &want, &own) < 0 ||
	    tarn_publisher_wait_subscribers(own, 1, tarn_deadline_after(300000000)) != -ETIMEDOUT)
		return 1;
	if (tarn_publisher_publish(own, &n, sizeof(n)) < 0)
		return 2;
	tarn_publisher_close(own);
	return 0;
}

static void only_those_named_are_believed(void **state)
{
	const uint32_t users[] = { STRANGER };
	const struct tarn_topic_peers peers = { .users = users, .user_count = 1 };
	int status;

	(void)state;
	if (geteuid() != 0)
		skip(); /* it takes other users */
	open_subscriber(0, 0);
	assert_int_equal(in_child(publish_as_stranger), 0);
	expect_none();
	tarn_subscriber_close(subscriber);
	opts.peers = &peers;
	open_subscriber(0, 0);
	opts.peers = NULL;
	status = fork();
	assert_true(status >= 0);
	if (status == 0) {
		const struct tarn_topic_peers all = { .anybody = true };
		struct tarn_publisher *own;
		uint64_t n = 7;

		opts.peers = &all;
		alarm(30);
		_exit(setgroups(0, NULL) < 0 || setgid(STRANGER) < 0 || setuid(STRANGER) < 0 ||
		      tarn_publisher_open(NULL, "news", &opts, &own) < 0 ||
		      tarn_publisher_wait_subscribers(own, 1, tarn_deadline_after(SOON_NS)) < 0 ||
		      tarn_publisher_publish(own, &n, sizeof(n)) < 0);
	}
	expect(7, 1, 0);
	assert_int_equal(waitpid(status, &status, 0) > 0 && status == 0, 1);
	/* what it left, since it was killed or just ended, is another user's: we are root */
	tarn_subscriber_close(subscriber);
	open_subscriber(0, 0);
}

/* --- types --------------------------------------------------------------------------------- */

#define QUOTE(ROW)                                                                                 \
	ROW(VALUE, int64_t, price, "ct", "")                                                       \
	ROW(VALUE, uint64_t, amount, "", "")
TARN_TYPE(quote, 1, QUOTE);
#define OFFER(ROW)                                                                                 \
	ROW(VALUE, int64_t, cost, "ct", "")                                                        \
	ROW(VALUE, uint64_t, amount, "", "")
TARN_TYPE(offer, 1, OFFER);

static void types_are_compared(void **state)
{
	const struct quote quote = { .price = 1, .amount = 2 };
	struct tarn_type *seen;

	(void)state;
	opts.type = quote_type();
	open_publisher();
	assert_int_equal(publish(1), -EMSGSIZE);
	open_subscriber(0, 0);
	wait_publishers(1);
	assert_int_equal(tarn_publisher_publish(publisher, &quote, sizeof(quote)), 0);
	assert_int_equal(tarn_subscriber_describe(subscriber, 0, &seen), 0);
	assert_int_equal(tarn_type_compare(quote_type(), seen, NULL), 0);
	tarn_type_free(seen);
	assert_int_equal(tarn_subscriber_describe(subscriber, 1, &seen), -ENOENT);
	tarn_subscriber_close(subscriber);
	opts.type = offer_type(); /* it has nothing to say to this one */
	open_subscriber(0, 0);
	wait_publishers(0);
	tarn_subscriber_close(subscriber);
	opts.type = NULL;
	open_subscriber(0, 0);
	wait_publishers(1);
}

/* --- bad input ----------------------------------------------------------------------------- */

static void refused(int error, const char *name, const char *words)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_topic_opts want = opts;
	struct tarn_subscriber *no_subscriber = NULL;
	struct tarn_publisher *none = NULL;

	want.diag = &diag;
	assert_int_equal(tarn_publisher_open(NULL, name, &want, &none), error);
	assert_null(none);
	if (strstr(diag.what, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, diag.what);
	diag.what[0] = '\0';
	assert_int_equal(tarn_subscriber_open(NULL, name, &want, &no_subscriber), error);
	assert_null(no_subscriber);
	if (strstr(diag.what, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, diag.what);
}

static void bad_input_says_what(void **state)
{
	char longest[TARN_TOPIC_NAME_MAX + 2];

	(void)state;
	refused(-EINVAL, "", "a topic's name");
	refused(-EINVAL, NULL, "a topic's name");
	refused(-EINVAL, "a/b", "'/'");
	refused(-EINVAL, ".hidden", "'.'");
	refused(-EINVAL, "a:b", "':'");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	refused(-EINVAL, longest, "58");
	opts.patience_ns = -1;
	refused(-EINVAL, "news", "patience");
	opts.patience_ns = 0;
	opts.lane_size = 5000;
	refused(-EINVAL, "news", "5000");
	opts.lane_size = 0;
	opts.socket_dir = "/nonexistent/dir";
	refused(-ENOENT, "news", "/nonexistent/dir");
	opts.socket_dir = "/dev/null";
	refused(-ENOTDIR, "news", "/dev/null");
	opts.socket_dir = NULL;
	refused(-EINVAL, "news", "neither");
}

static void the_longest_name_does(void **state)
{
	char longest[TARN_TOPIC_NAME_MAX + 1];
	struct tarn_message message;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(tarn_publisher_open(NULL, longest, &opts, &publisher), 0);
	assert_int_equal(tarn_subscriber_open(NULL, longest, &opts, &subscriber), 0);
	assert_int_equal(tarn_publisher_publish(publisher, "a", 1), 0);
	assert_int_equal(tarn_subscriber_take(subscriber, &(char){ 0 }, 1, &message), 0);
}

static void other_topics_and_names_are_none_of_ours(void **state)
{
	struct tarn_publisher *other;
	char path[200];

	(void)state;
	snprintf(path, sizeof(path), "%s/news:0123456789abcdef", dir);
	close(open(path, O_CREAT | O_WRONLY, 0600)); /* no socket at all */
	assert_int_equal(tarn_publisher_open(NULL, "newspaper", &opts, &other), 0);
	open_publisher();
	open_subscriber(0, 0);
	wait_publishers(1);
	assert_int_equal(publish(1), 0);
	expect(1, 1, 0);
	tarn_publisher_close(other);
	assert_int_equal(unlink(path), 0); /* it is left alone */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		TEST(only_those_named_are_let_in), TEST(only_those_named_are_believed),
		TEST(types_are_compared),          TEST(bad_input_says_what),
		TEST(the_longest_name_does),       TEST(other_topics_and_names_are_none_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
