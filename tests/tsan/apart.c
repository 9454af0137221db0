/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A topic in a directory of sockets, between two threads of one process, each handle with a thread
 * of its own beside it: four, and what they share is handles. Lanes and pages of pairs are mapped
 * once by each side, at addresses that ThreadSanitizer takes for different memory: of these two
 * edges it sees nothing, of what owner and thread hand each other all.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <tarn/waiter.h>

#include "duet.h"

enum { ROUNDS = 8000, LIVES = 40, EACH = 25, WORDS = 16 };

static char dir[] = "apart.XXXXXX"; /* below where it is run, which is swept */
static struct tarn_topic_opts opts = { .socket_dir = dir,
				       .lane_size = 4096,
				       .patience_ns = TARN_FOREVER };
static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static struct tarn_waiter *waiter;
static _Atomic bool over;

static void nap(long us)
{
	const struct timespec time = { .tv_nsec = us * 1000 };

	nanosleep(&time, NULL);
}

static void fill(uint64_t words[WORDS], uint64_t n)
{
	for (int i = 0; i < WORDS; i++)
		words[i] = n;
}

static void check(const uint64_t *words, size_t size, uint64_t n)
{
	expect("its size", size == WORDS * sizeof(*words));
	for (int i = 0; i < WORDS; i++)
		expect("whole, and the next", words[i] == n);
}

static void publish(struct tarn_publisher *by, uint64_t n)
{
	uint64_t words[WORDS];

	fill(words, n);
	must("publish", tarn_publisher_publish_wait(by, words, sizeof(words), TARN_FOREVER));
}

/* --- both stay ----------------------------------------------------------------------------- */

static void *publish_all(void *arg)
{
	struct tarn_publisher_stat stat;
	void *data;

	for (uint64_t n = 0; n < ROUNDS; n++) {
		if (n % 2 == 0) {
			publish(publisher, n);
			continue;
		}
		must("loan", tarn_publisher_loan_wait(publisher, WORDS * sizeof(uint64_t),
						      TARN_FOREVER, &data));
		fill(data, n);
		must("commit", tarn_publisher_commit(publisher, WORDS * sizeof(uint64_t)));
		must("stat", tarn_publisher_stat(publisher, &stat));
	}
	return arg;
}

static void *take_all(void *arg)
{
	struct tarn_subscriber_stat stat;
	struct tarn_message message;
	struct tarn_peer who;
	uint64_t words[WORDS];

	for (uint64_t n = 0; n < ROUNDS; n++) {
		if (n % 3 != 0) {
			must("take", tarn_subscriber_take_wait(subscriber, words, sizeof(words),
							       TARN_FOREVER, &message));
			check(words, message.size, n);
			continue;
		}
		must("hold", tarn_subscriber_hold_wait(subscriber, TARN_FOREVER, &message));
		check(message.data, message.size, n);
		must("release", tarn_subscriber_release(subscriber, &message));
		must("stat", tarn_subscriber_stat(subscriber, &stat));
		must("peer", tarn_subscriber_peer(subscriber, message.publisher, &who));
	}
	return arg;
}

/* A little at a time, so that who waits does wait. */
static void *publish_slowly(void *arg)
{
	for (uint64_t n = 0; n < ROUNDS / 4; n++) {
		publish(publisher, n);
		if (n % 16 == 0)
			nap(300);
	}
	return arg;
}

static void *poll_for_all(void *arg)
{
	struct pollfd poller = { .events = POLLIN };
	struct tarn_message message;
	uint64_t words[WORDS], n = 0;
	size_t count;
	void *tag;

	must("descriptor", tarn_waiter_fd(waiter, &poller.fd));
	while (n < ROUNDS / 4) {
		int r;

		expect("poll", poll(&poller, 1, -1) == 1);
		r = tarn_waiter_wait(waiter, 0, &tag, 1, &count);
		must("wait", r == -ETIMEDOUT ? 0 : r);
		while (tarn_subscriber_take(subscriber, words, sizeof(words), &message) == 0)
			check(words, message.size, n++);
	}
	return arg;
}

/* --- one comes and goes -------------------------------------------------------------------- */

/* Subscribers come and go beside the publisher, by now and then a look. */
static void *subscribe_again_and_again(void *arg)
{
	for (int life = 0; life < LIVES; life++) {
		struct tarn_topic_opts want = opts;
		struct tarn_message message;
		struct tarn_subscriber *own;
		uint64_t words[WORDS], first = 0;

		want.flags = life % 4 == 3 ? TARN_TOPIC_LOSSY : 0;
		must("subscribe", tarn_subscriber_open(NULL, "news", &want, &own));
		for (int i = 0; i < EACH; i++) {
			must("take", tarn_subscriber_take_wait(own, words, sizeof(words),
							       TARN_FOREVER, &message));
			expect("the next", i == 0 || words[0] == first + message.missed);
			first = words[0] + 1;
			check(words, message.size, words[0]);
		}
		if (life % 2 == 0) /* it goes while it holds */
			must("hold", tarn_subscriber_hold_wait(own, TARN_FOREVER, &message));
		tarn_subscriber_close(own);
	}
	atomic_store(&over, true);
	return arg;
}

static void publish_or_ask(uint64_t n)
{
	struct tarn_topic_blocker blocker;
	uint64_t words[WORDS];
	int r;

	fill(words, n);
	while ((r = tarn_publisher_publish(publisher, words, sizeof(words))) == -EAGAIN) {
		r = tarn_publisher_blocker(publisher, &blocker);
		expect("somebody, or nobody any more", r == 0 || r == -ENOENT);
		nap(20);
	}
	must("publish", r);
}

static void *publish_until_over(void *arg)
{
	struct tarn_publisher_stat stat;

	must("wait", tarn_publisher_wait_subscribers(publisher, 1, TARN_FOREVER));
	for (uint64_t n = 0; !atomic_load(&over); n++) {
		if (n % 2 == 0)
			publish(publisher, n);
		else
			publish_or_ask(n);
		must("stat", tarn_publisher_stat(publisher, &stat));
		if (stat.subscribers == 0)
			nap(50);
	}
	return arg;
}

/* Publishers come and go beside a subscriber, which gets all that each of them has published. */
static void *publish_again_and_again(void *arg)
{
	for (uint64_t life = 0; life < LIVES; life++) {
		struct tarn_publisher *own;

		must("publisher", tarn_publisher_open(NULL, "news", &opts, &own));
		must("wait", tarn_publisher_wait_subscribers(own, 1, TARN_FOREVER));
		for (uint64_t n = 0; n < EACH; n++)
			publish(own, life * EACH + n);
		tarn_publisher_close(own);
	}
	return arg;
}

static void *take_of_each(void *arg)
{
	struct tarn_message message;
	uint64_t words[WORDS];
	struct tarn_peer who;

	for (uint64_t n = 0; n < LIVES * EACH; n++) {
		must("take", tarn_subscriber_take_wait(subscriber, words, sizeof(words),
						       TARN_FOREVER, &message));
		check(words, message.size, words[0]);
		expect("nothing is lost",
		       message.missed == 0 && message.number == words[0] % EACH + 1);
		must("peer", tarn_subscriber_peer(subscriber, message.publisher, &who));
	}
	return arg;
}

static int count_publishers(const struct tarn_topic_socket *found, void *arg)
{
	*(int *)arg += found->state == TARN_SOCKET_ANSWERS;
	return 0;
}

static void *look_again_and_again(void *arg)
{
	int answers = 0;

	/* Whose door is slow, since what is suppressed takes its time, does not answer. */
	for (int i = 0; i < 10 * LIVES && answers < LIVES; i++)
		must("look", tarn_topic_sockets(NULL, &opts, 0, count_publishers, &answers));
	expect("it answers", answers == LIVES);
	atomic_store(&over, true);
	return arg;
}

static void *publish_beside_looks(void *arg)
{
	for (uint64_t n = 0; !atomic_load(&over); n++)
		publish(publisher, n);
	return arg;
}

static const struct duet duets[] = {
	{ "messages apart, copied, lent and held", publish_all, take_all },
	{ "messages apart, and a waiter's descriptor", publish_slowly, poll_for_all },
	{ "subscribers that come and go", publish_until_over, subscribe_again_and_again },
	{ "publishers that come and go", publish_again_and_again, take_of_each },
	{ "looks at a directory of sockets", publish_beside_looks, look_again_and_again },
};

int main(int argc, char **argv)
{
	const size_t i = duet_begin(argc, argv, duets, sizeof(duets) / sizeof(duets[0]));
	const struct tarn_waiter_opts asleep = { .flags = TARN_WAITER_NO_SPIN };
	const bool published = i != 3, subscribed = i != 2 && i != 4;

	alarm(120);
	expect("directory", mkdtemp(dir) != NULL);
	if (published)
		must("publisher", tarn_publisher_open(NULL, "news", &opts, &publisher));
	if (subscribed)
		must("subscriber", tarn_subscriber_open(NULL, "news", &opts, &subscriber));
	if (i == 1) {
		must("waiter", tarn_waiter_open(&asleep, &waiter));
		must("add", tarn_waiter_add_subscriber(waiter, subscriber, NULL));
	}
	duet_run(&duets[i]);
	tarn_waiter_close(waiter);
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	expect("nothing is left", rmdir(dir) == 0);
	duet_end();
	return 0;
}
