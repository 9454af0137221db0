/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * market - a feed of order-book updates as a topic, the top of the book as a latest value, and four
 * readers, of which one is slow and one is killed.
 *
 *     market [UPDATES]        200000 if not said
 *
 * prints, with other numbers in the lines of those who miss some:
 *
 *     feed: 200000 updates
 *     recorder: took 200000, missed 0, together 200000; its book has the top that was published
 *     trader: took 199313, missed 687, together 200000; 81263 tops, none older than the one before
 *     slow: took 10840, missed 189160, together 200000
 *     victim: killed after 1000 updates
 *
 * The recorder is lossless: the feed waits for it where it must. Nobody waits for the others: a
 * lossy reader knows exactly how many it has missed, and who is dead needs nothing. The trader
 * waits for both, updates and top, by one waiter.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { LEVELS = 64, READERS = 4, VICTIM_TAKES = 1000 };

enum side { BID, ASK };

/* So much is offered at this level now. */
struct update {
	uint64_t number;
	uint32_t side;
	uint32_t level; /* 0: the best price that there may be */
	uint32_t size;  /* 0: none any more */
	uint32_t last;  /* 1: nothing follows */
};

struct book {
	uint32_t sizes[2][LEVELS];
};

/* The best level of each side; LEVELS: there is none. */
struct top {
	uint64_t number; /* of the update that made it so */
	uint32_t level[2];
	uint32_t size[2];
};

static struct tarn_region *region;
static uint64_t updates = 200000;

static void must(const char *what, int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "market: %s: %s\n", what, strerror(-r));
	_exit(1);
}

static struct top apply(struct book *book, const struct update *update)
{
	struct top top = { .number = update->number, .level = { LEVELS, LEVELS } };

	book->sizes[update->side][update->level] = update->size;
	for (int side = BID; side <= ASK; side++)
		for (uint32_t level = 0; level < LEVELS; level++) {
			if (book->sizes[side][level] == 0)
				continue;
			top.level[side] = level;
			top.size[side] = book->sizes[side][level];
			break;
		}
	return top;
}

static int feed(void)
{
	const struct tarn_topic_opts opts = { .lane_size = 1 << 16 };
	const struct tarn_latest_opts top_opts = { .size = sizeof(struct top) };
	struct tarn_publisher *publisher;
	struct tarn_latest *latest;
	struct book book = { 0 };
	uint32_t random = 1;

	must("publisher", tarn_publisher_open(region, "book", &opts, &publisher));
	must("top", tarn_latest_open(region, "top", &top_opts, &latest));
	must("readers", tarn_publisher_wait_subscribers(publisher, READERS, TARN_FOREVER));
	for (uint64_t n = 1; n <= updates; n++) {
		random = random * 1664525u + 1013904223u;

		struct update update = { .number = n,
					 .side = random >> 31,
					 .level = random >> 20 & (LEVELS - 1),
					 .size = random >> 8 & 0x7f,
					 .last = n == updates };
		struct top top = apply(&book, &update);

		must("publish",
		     tarn_publisher_publish_wait(publisher, &update, sizeof(update), TARN_FOREVER));
		must("write", tarn_latest_write(latest, &top, sizeof(top), TARN_FOREVER, NULL));
	}
	tarn_publisher_close(publisher);
	tarn_latest_close(latest);
	printf("feed: %llu updates\n", (unsigned long long)updates);
	return 0;
}

/* --- readers ---------------------------------------------------------------------------------- */

struct account {
	uint64_t taken, missed;
};

static struct tarn_subscriber *subscribe(uint32_t flags)
{
	const struct tarn_topic_opts opts = { .flags = flags };
	struct tarn_subscriber *subscriber;

	must("subscriber", tarn_subscriber_open(region, "book", &opts, &subscriber));
	return subscriber;
}

/* The numbers are its own, not the library's: what was missed must be what did not come. */
static void count(struct account *account, const struct update *update,
		  const struct tarn_message *message)
{
	account->taken++;
	account->missed += message->missed;
	if (message->size != sizeof(*update) || account->taken + account->missed != update->number)
		must("a number that is not the next one", -EBADMSG);
}

static void tell(const char *name, const struct account *account, const char *more)
{
	printf("%s: took %llu, missed %llu, together %llu%s\n", name,
	       (unsigned long long)account->taken, (unsigned long long)account->missed,
	       (unsigned long long)(account->taken + account->missed), more);
}

static int record(void)
{
	struct tarn_subscriber *subscriber = subscribe(0);
	const struct tarn_latest_opts top_opts = { .size = sizeof(struct top) };
	struct account account = { 0, 0 };
	struct book book = { 0 };
	struct top mine = { 0 }, published = { 0 };
	struct tarn_latest *latest;
	struct tarn_message message;
	struct update update;
	uint64_t number = 0;
	size_t size;

	must("top", tarn_latest_open(region, "top", &top_opts, &latest));
	do {
		must("take", tarn_subscriber_take_wait(subscriber, &update, sizeof(update),
						       TARN_FOREVER, &message));
		count(&account, &update, &message);
		mine = apply(&book, &update);
	} while (update.last == 0);
	while (published.number < updates) {
		must("wait", tarn_latest_wait(latest, number, TARN_FOREVER, &number));
		must("read",
		     tarn_latest_read(latest, &published, sizeof(published), &size, &number));
	}
	tell("recorder", &account,
	     memcmp(&mine, &published, sizeof(mine)) == 0
		     ? "; its book has the top that was published"
		     : "; its book has ANOTHER top");
	return 0;
}

static int trade(void)
{
	struct tarn_subscriber *subscriber = subscribe(TARN_TOPIC_LOSSY);
	const struct tarn_latest_opts top_opts = { .size = sizeof(struct top) };
	uint64_t tops = 0, number = 0, before = 0;
	struct account account = { 0, 0 };
	struct tarn_waiter *waiter;
	struct tarn_message message;
	struct tarn_latest *latest;
	struct update update = { 0 };
	struct top top;
	char more[80];

	must("top", tarn_latest_open(region, "top", &top_opts, &latest));
	must("waiter", tarn_waiter_open(NULL, &waiter));
	must("add", tarn_waiter_add_subscriber(waiter, subscriber, NULL));
	must("add", tarn_waiter_add_latest(waiter, latest, &number, NULL));
	while (update.last == 0) {
		void *tags[2];
		size_t ready, size;

		must("wait", tarn_waiter_wait(waiter, TARN_FOREVER, tags, 2, &ready));
		for (size_t i = 0; i < ready; i++) {
			if (tags[i] == latest) {
				must("read",
				     tarn_latest_read(latest, &top, sizeof(top), &size, &number));
				if (top.number < before)
					must("a top from before", -EBADMSG);
				before = top.number;
				tops++;
			} else if (tarn_subscriber_take(subscriber, &update, sizeof(update),
							&message) == 0) {
				count(&account, &update, &message);
			}
		}
	}
	snprintf(more, sizeof(more), "; %llu tops, none older than the one before",
		 (unsigned long long)tops);
	tell("trader", &account, more);
	return 0;
}

static int be_slow(void)
{
	struct tarn_subscriber *subscriber = subscribe(TARN_TOPIC_LOSSY);
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct account account = { 0, 0 };
	struct tarn_message message;
	struct update update;

	do {
		must("take", tarn_subscriber_take_wait(subscriber, &update, sizeof(update),
						       TARN_FOREVER, &message));
		count(&account, &update, &message);
		if (account.taken % 100 == 0)
			nanosleep(&nap, NULL);
	} while (update.last == 0);
	tell("slow", &account, "");
	return 0;
}

/* Lossless, and so in the way of the feed for as long as it lives. */
static int be_killed(void)
{
	struct tarn_subscriber *subscriber = subscribe(0);
	struct tarn_message message;
	struct update update;

	for (int i = 0; i < VICTIM_TAKES; i++)
		must("take", tarn_subscriber_take_wait(subscriber, &update, sizeof(update),
						       TARN_FOREVER, &message));
	printf("victim: killed after %d updates\n", VICTIM_TAKES);
	fflush(stdout);
	raise(SIGKILL);
	return 1;
}

static pid_t start(int (*work)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		int status;

		alarm(100); /* whoever is left alone does not wait for ever */
		status = work();
		fflush(stdout);
		_exit(status);
	}
	return pid;
}

int main(int argc, char **argv)
{
	int (*const works[])(void) = { feed, record, trade, be_slow, be_killed };
	const struct tarn_region_opts opts = { .size = 1 << 20 };
	int failed = 0;

	if (argc > 1)
		updates = strtoull(argv[1], NULL, 10);
	if (updates < 2 * VICTIM_TAKES) {
		fprintf(stderr, "usage: market [UPDATES], %d at least\n", 2 * VICTIM_TAKES);
		return 2;
	}
	must("region", tarn_region_create("anon:", &opts, &region));
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		if (start(works[i]) < 0)
			must("fork", -errno);
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		int status;

		if (wait(&status) < 0 || (status != 0 && status != SIGKILL))
			failed = 1;
	}
	tarn_region_close(region);
	return failed;
}
