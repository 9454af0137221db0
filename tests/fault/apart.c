/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart.c - topics between peers that do not trust each other, with each call of plat failing in
 * turn: also those of the threads that let others in, and find them.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "topics.h"

enum { SOON_NS = 2000000000 };

static char dir[] = "/tmp/tarn-fault.XXXXXX";

/* --- before and after ---------------------------------------------------------------------- */

static void *meet_others(void *barrier)
{
	(void)pthread_barrier_wait(barrier);
	return NULL;
}

/* The stacks of threads that have ended are kept for others: have as many as ever will be. */
static void keep_stacks(void)
{
	pthread_t threads[4];
	pthread_barrier_t barrier;

	(void)pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, meet_others, &barrier) != 0)
			abort();
	for (int i = 0; i < 4; i++)
		(void)pthread_join(threads[i], NULL);
	(void)pthread_barrier_destroy(&barrier);
}

static int made(struct harness_report *report)
{
	keep_stacks();
	publisher = NULL;
	subscriber = NULL;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	return mkdtemp(dir) != NULL ? 0 : harness_say(report, -1, "setup: no directory");
}

/* How many names are there? */
static unsigned names_left(bool removing)
{
	DIR *names = opendir(dir);
	unsigned count = 0;

	if (names == NULL)
		abort();
	for (struct dirent *entry; (entry = readdir(names)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (removing)
			(void)unlinkat(dirfd(names), entry->d_name, 0);
	}
	closedir(names);
	return count;
}

static int open_publisher(struct tarn_publisher **ret_publisher, struct tarn_diag *diag)
{
	const struct tarn_topic_opts opts = { .lane_size = 4096, .socket_dir = dir, .diag = diag };

	return tarn_publisher_open(NULL, "news", &opts, ret_publisher);
}

static int open_subscriber(struct tarn_subscriber **ret_subscriber, struct tarn_diag *diag)
{
	const struct tarn_topic_opts opts = { .history = UINT32_MAX,
					      .socket_dir = dir,
					      .diag = diag };

	return tarn_subscriber_open(NULL, "news", &opts, ret_subscriber);
}

static int published(struct harness_report *report)
{
	if (made(report) < 0 || open_publisher(&publisher, NULL) < 0 ||
	    tarn_publisher_publish(publisher, "before", 6) < 0)
		return harness_say(report, -1, "setup: no publisher");
	return 0;
}

static int met(struct harness_report *report)
{
	if (made(report) < 0 || open_publisher(&publisher, NULL) < 0 ||
	    open_subscriber(&subscriber, NULL) < 0 ||
	    tarn_publisher_wait_subscribers(publisher, 1, tarn_deadline_after(SOON_NS)) < 0)
		return harness_say(report, -1, "setup: they have not met");
	return 0;
}

static void close_publisher(void)
{
	tarn_publisher_close(publisher);
	publisher = NULL;
}

static void close_subscriber(void)
{
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
}

/* While something fails it is not waited for long. */
static int64_t soon(void)
{
	return tarn_deadline_after(tarn__plat_fault != NULL ? 60000000 : SOON_NS);
}

/* The other end is another process, which nothing is disturbed of. */
static pid_t other;

static void other_publishes(void)
{
	struct tarn_publisher *its;

	if (open_publisher(&its, NULL) < 0 || tarn_publisher_publish(its, "before", 6) < 0)
		_exit(1);
}

static void other_subscribes(void)
{
	struct tarn_subscriber *its;

	if (open_subscriber(&its, NULL) < 0)
		_exit(1);
}

static int start_other(void (*does)(void), struct harness_report *report)
{
	int ready[2];
	char byte;

	if (pipe(ready) < 0)
		return harness_say(report, -1, "setup: no pipe");
	other = fork();
	if (other == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		does();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (other < 0 || read(ready[0], &byte, 1) != 1)
		return harness_say(report, -1, "setup: there is nobody at the other end");
	close(ready[0]);
	return 0;
}

static void end_other(void)
{
	int status;

	if (other <= 0)
		return;
	(void)kill(other, SIGKILL);
	(void)harness_reap(other, 5000, &status);
	other = 0;
}

static int publisher_elsewhere(struct harness_report *report)
{
	return made(report) < 0 ? -1 : start_other(other_publishes, report);
}

static int subscriber_elsewhere(struct harness_report *report)
{
	return made(report) < 0 ? -1 : start_other(other_subscribes, report);
}

static int no_name_is_left(struct harness_report *report)
{
	unsigned left = publisher != NULL ? 1 : 0, found = names_left(false);

	return found <= left ? 0
			     : harness_say(report, FAULT_BROKEN, "%u names are left", found - left);
}

/* One at which nobody listens, as connect() was made to say, is taken for dead. */
static int may_be_taken_for_dead(struct harness_report *report)
{
	if (names_left(false) != 0)
		return 0;
	end_other();
	return start_other(other_publishes, report) == 0 ? 0 : FAULT_BROKEN;
}

static void remove_dir(void)
{
	end_other();
	close_publisher();
	close_subscriber();
	(void)names_left(true);
	(void)rmdir(dir);
}

/* --- run ----------------------------------------------------------------------------------- */

static int publisher_open(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_publisher *opened = no_publisher;
	int r = open_publisher(&opened, &diag);

	if (r == 0)
		publisher = opened;
	return fault_told(r, opened != no_publisher, &diag, report);
}

static int subscriber_open(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_subscriber *opened = no_subscriber;
	int r = open_subscriber(&opened, &diag);

	if (r == 0)
		subscriber = opened;
	return fault_told(r, opened != no_subscriber, &diag, report);
}

/* They meet, if not now then later, and what was there before comes whole. */
static int find(struct harness_report *report)
{
	struct tarn_message message;
	char buf[16] = "";
	int r = subscriber_open(report);

	if (r != 0)
		return r;
	r = tarn_subscriber_take_wait(subscriber, buf, sizeof(buf), soon(), &message);
	if (r == 0 && (message.size != 6 || memcmp(buf, "before", 6) != 0))
		r = harness_say(report, FAULT_BROKEN, "another message came");
	if (r != 0)
		close_subscriber();
	return r;
}

/* It comes, and whoever waits for it is let in. */
static int let_in(struct harness_report *report)
{
	int r = publisher_open(report);

	if (r != 0)
		return r;
	r = tarn_publisher_wait_subscribers(publisher, 1, soon());
	if (r != 0)
		close_publisher();
	return r;
}

/* It grows, and goes on; or does not, and goes on where it was. */
static int grow(struct harness_report *report)
{
	static unsigned char much[9000];
	struct tarn_diag diag = { .what = "" };
	int r, grown = tarn_publisher_grow(publisher, sizeof(much), &diag);

	if (grown < 0 && diag.what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", grown);
	r = tarn_publisher_publish(publisher, much, grown == 0 ? sizeof(much) : 10);
	if (r < 0)
		return harness_say(report, FAULT_BROKEN, "it does not publish then: %d", r);
	return grown;
}

/* As large as it was. */
static void shrink(void)
{
	close_publisher();
	if (open_publisher(&publisher, NULL) < 0)
		abort();
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
static const struct fault_case cases[] = {
	{ .name = "publisher_open", .setup = made, .run = publisher_open,
	  .undo = close_publisher, .sound = no_name_is_left, .teardown = remove_dir },
	{ .name = "subscriber_open", .setup = made, .run = subscriber_open,
	  .undo = close_subscriber, .sound = no_name_is_left, .teardown = remove_dir },
	{ .name = "find", .setup = publisher_elsewhere, .run = find, .undo = close_subscriber,
	  .sound = may_be_taken_for_dead, .teardown = remove_dir },
	{ .name = "let_in", .setup = subscriber_elsewhere, .run = let_in, .undo = close_publisher,
	  .sound = no_name_is_left, .teardown = remove_dir },
	{ .name = "publish_and_take", .setup = met, .run = publish_and_take,
	  .teardown = remove_dir, .no_calls = true },
	{ .name = "take_wait", .setup = met, .run = take_wait, .teardown = remove_dir },
	/* a name that cannot be removed stays, and is known as a dead one's */
	{ .name = "grow", .setup = published, .run = grow, .undo = shrink,
	  .teardown = remove_dir },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return fault_main(argc, argv, cases, (int)(sizeof(cases) / sizeof(cases[0])));
}
