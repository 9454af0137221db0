/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A topic in a directory of sockets in a storm: four processes publish, seven subscribe, each in
 * its own way; any of them is killed at random, some leave and come back by themselves, and every
 * message is accounted for.
 *
 *   publisher    0, 1 wait for subscribers for as long as it takes; 2 for 20 ms; 3 for nobody. By
 *                copies, loans and batches
 *   subscriber   0, 1 lossless and copying; 2 lossless, several held in place, let go of in any
 *                order; 3 lossless, by a waiter; 4 lossy and copying; 5 lossy, in place; 6 of the
 *                newest alone
 *
 * Each time that a publisher comes is a life with a number, which its messages say, and with a
 * ledger: what it has begun to publish, and what is done. What is copied is whole; what is held is,
 * if letting go of it says so. Of each life the number that comes is the last one, and what was
 * missed, and one; and of a life that began behind the subscriber the first is 1, and what was
 * missed. Who is lossless misses nothing of who waits, once it has the first one. When a life is
 * over, all that have seen anything of it have seen the same last number, which is not less than
 * was done, nor more than was begun: the rest was the victim's own. No call of a publisher takes
 * longer than PATIENCE_S, and nothing is left in the directory but names of the killed.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tarn/topic.h>
#include <tarn/waiter.h>

#include "crowd.h"

enum {
	PUBLISHERS = 4,
	SUBSCRIBERS = 7,
	PLACES = TARN_TOPIC_PUBLISHERS_MAX,
	LIVES = 1 << 16, /* that are remembered */
	LANE_SIZE = 65536,
	PARCEL_MAX = 1600,
	BATCH = 3,
	HELD = 4,
	PATIENCE_S = 30,
};

enum mutant { NO_MUTANT, LOST, TORN, LET_GO, PASSED_OVER, NAME_LEFT };
static const char *const mutant_names[] = { "none",        "lost",      "torn", "let-go",
					    "passed-over", "name-left", NULL };

struct parcel {
	uint32_t publisher;
	uint32_t size;
	uint64_t life;
	uint64_t count; /* of its life, what its ledger says that it had begun */
	uint64_t check; /* of all before it */
	unsigned char filling[PARCEL_MAX];
};

struct life {
	_Atomic uint64_t id; /* another: it is forgotten */
	_Atomic uint64_t begun, done;
	_Atomic uint64_t
		end; /* the last number that somebody has seen when it was over; 0: nobody */
};

/* Outside of all that is shared otherwise. */
static struct board {
	char dir[96];
	_Atomic uint32_t left;  /* publishers that have left for good */
	_Atomic uint64_t lives; /* that have begun */
	_Atomic uint64_t over;  /* that were seen to their end */
	_Atomic uint64_t missed;
	struct life life[LIVES];
} * board;

static struct tarn_publisher *publisher;
static uint64_t my_life; /* the publisher's */

static struct tarn_subscriber *subscriber;
static struct tarn_waiter *waiter;
static uint64_t born; /* lives that had begun when it had come */

/* What has been seen at each place. */
static struct seen {
	uint64_t life; /* 0: nothing */
	uint64_t number;
	bool unsure; /* what was held was written over before it could be read */
} seen[PLACES];

static struct {
	struct tarn_message message;
	bool waited_for; /* by its publisher */
	bool sure;
} held[HELD];
static int held_count;

static int64_t patience(void)
{
	return tarn_deadline_after(PATIENCE_S * INT64_C(1000000000));
}

static struct life *life_of(uint64_t id)
{
	struct life *life = &board->life[id % LIVES];

	return atomic_load(&life->id) == id ? life : NULL;
}

static void make(void)
{
	board = harness_shared(sizeof(*board));
	/* a place that is gone with this program, if there is one */
	snprintf(board->dir, sizeof(board->dir), "%s/%sstorm",
		 harness_isolated() ? "/dev/shm" : "/tmp", harness_prefix());
	crowd_must("directory", mkdir(board->dir, 0700));
}

static void join(void)
{
}

/* --- publishers ------------------------------------------------------------------------------ */

static bool waits_for_ever(uint32_t n)
{
	return n < 2;
}

static uint64_t sum_of(const struct parcel *parcel)
{
	return (parcel->life * 31 + parcel->count) * 1000003 + parcel->publisher * 77 +
	       parcel->size;
}

static size_t wrap(struct parcel *parcel, int n, uint64_t count)
{
	uint32_t size =
		(uint32_t)offsetof(struct parcel, filling) + (uint32_t)(count * 7919 % PARCEL_MAX);

	*parcel = (struct parcel){
		.publisher = (uint32_t)n, .size = size, .life = my_life, .count = count
	};
	parcel->check = sum_of(parcel);
	for (size_t i = offsetof(struct parcel, filling); i < size; i++)
		((unsigned char *)parcel)[i] = (unsigned char)(count + i);
	return size;
}

/* One more is begun: which. */
static uint64_t begin(int n)
{
	crowd_begun(n);
	return atomic_fetch_add(&life_of(my_life)->begun, 1) + 1;
}

static void is_done(int n)
{
	crowd_final(n);
	atomic_fetch_add(&life_of(my_life)->done, 1);
}

static void publish_loan(const struct parcel *parcel, size_t size)
{
	void *data;

	crowd_must("loan", tarn_publisher_loan_wait(publisher, size, patience(), &data));
	memcpy(data, parcel, crowd->mutant == TORN ? size / 2 : size);
	crowd_must("commit", tarn_publisher_commit(publisher, size));
	if (crowd->mutant == TORN)
		memcpy(data, parcel, size);
}

static void publish_batch(int n)
{
	static struct parcel parcels[BATCH];
	struct tarn_buf bufs[BATCH];
	int64_t deadline = patience();

	for (int i = 0; i < BATCH; i++) {
		bufs[i].data = &parcels[i];
		bufs[i].size = wrap(&parcels[i], n, begin(n));
	}
	for (size_t all = 0; all < BATCH;) {
		size_t done = 0;
		int r = tarn_publisher_publish_batch(publisher, bufs + all, BATCH - all, &done);

		if (r == -EAGAIN && tarn_now() < deadline) {
			harness_sleep_us(50);
			continue;
		}
		crowd_must("batch", r);
		all += done;
		while (done-- > 0)
			is_done(n);
	}
}

static void come(int n)
{
	static const int64_t patiences[PUBLISHERS] = { TARN_FOREVER, TARN_FOREVER, 20000000, 0 };
	const struct tarn_topic_opts opts = { .socket_dir = board->dir,
					      .lane_size = LANE_SIZE,
					      .patience_ns = patiences[n] };
	struct life *life;

	my_life = atomic_fetch_add(&board->lives, 1) + 1;
	life = &board->life[my_life % LIVES];
	atomic_store(&life->id, 0);
	atomic_store(&life->begun, 0);
	atomic_store(&life->done, 0);
	atomic_store(&life->end, 0);
	atomic_store(&life->id, my_life);
	crowd_must("publisher", tarn_publisher_open(NULL, "news", &opts, &publisher));
}

struct own_name {
	uint64_t token;
	int count;
};

static int find_own(const struct tarn_topic_socket *found, void *arg)
{
	struct own_name *own = arg;

	if (found->who.pid == getpid() && found->state == TARN_SOCKET_ANSWERS) {
		own->token = found->token;
		own->count++;
	}
	return 0;
}

/* Who leaves takes its name along. */
static void go(void)
{
	const struct tarn_topic_opts opts = { .socket_dir = board->dir };
	struct own_name own = { .count = 0 };
	char path[160];

	if (publisher == NULL)
		return;
	crowd_must("look", tarn_topic_sockets("news", &opts, 0, find_own, &own));
	if (crowd->mutant != NAME_LEFT)
		tarn_publisher_close(publisher);
	publisher = NULL;
	/* in 100 ms on a busy host it may not have answered itself */
	if (own.count > 1)
		crowd_violation("a publisher has several names", own.count, 0);
	snprintf(path, sizeof(path), "%s/news:%016llx", board->dir, (unsigned long long)own.token);
	if (own.count == 1 && access(path, F_OK) == 0)
		crowd_violation("who has left has left its name", 0, 0);
}

static void publish(int n, uint64_t *seed)
{
	static struct parcel parcel;
	uint64_t how = storm_random(seed) % 64;
	size_t size;
	void *data;

	if (publisher == NULL)
		come(n);
	if (how == 0) {
		harness_sleep_us(200);
		if (storm_random(seed) % 64 == 0)
			go();
		return;
	}
	if (how == 1) { /* nobody ever knows */
		crowd_must("loan", tarn_publisher_loan_wait(publisher, 100, patience(), &data));
		memset(data, 0xee, 100);
		tarn_publisher_abort(publisher);
		return;
	}
	if (how < 12) {
		publish_batch(n);
		return;
	}
	size = wrap(&parcel, n, begin(n));
	if (how < 24)
		publish_loan(&parcel, size);
	else if (crowd->mutant != LOST || how != 63)
		crowd_must("publish",
			   tarn_publisher_publish_wait(publisher, &parcel, size, patience()));
	is_done(n);
}

/* --- subscribers ----------------------------------------------------------------------------- */

static bool is_lossless(int n)
{
	return n - PUBLISHERS < 4;
}

/* Is what lies at @data a parcel, and all of it? */
static bool is_whole(const void *data, size_t size)
{
	const struct parcel *parcel = data;

	if (size < offsetof(struct parcel, filling) || size != parcel->size ||
	    parcel->publisher >= PUBLISHERS || parcel->check != sum_of(parcel))
		return false;
	for (size_t i = offsetof(struct parcel, filling); i < size; i++)
		if (((const unsigned char *)data)[i] != (unsigned char)(parcel->count + i))
			return false;
	return true;
}

/* A life is over, and this subscriber has all that there was. */
static void is_over(const struct seen *it)
{
	struct life *life = it->life != 0 ? life_of(it->life) : NULL;
	uint64_t none = 0;

	if (life == NULL || it->unsure)
		return;
	if (it->number < life->done || it->number > life->begun)
		crowd_violation("messages were lost, or are too many", (int64_t)it->number,
				(int64_t)life->done);
	if (!atomic_compare_exchange_strong(&life->end, &none, it->number) && none != it->number)
		crowd_violation("one has seen less than another", (int64_t)it->number,
				(int64_t)none);
	atomic_fetch_add(&board->over, 1);
}

/* Is it the next of its life? */
static void count_in(int n, const struct tarn_message *message, const struct parcel *parcel)
{
	struct seen *it = &seen[message->publisher];
	bool first = it->life != parcel->life;

	if (first)
		is_over(it);
	if (message->number != parcel->count)
		crowd_violation("a message is lost, or twice", (int64_t)message->number,
				(int64_t)parcel->count);
	if (!first && !it->unsure && message->number != it->number + 1 + message->missed)
		crowd_violation("a gap", (int64_t)message->number, (int64_t)it->number);
	if (first && !it->unsure && parcel->life > born && message->number != 1 + message->missed)
		crowd_violation("a gap at the beginning", (int64_t)message->number,
				(int64_t)message->missed);
	if (!first && is_lossless(n) && waits_for_ever(parcel->publisher) && message->missed != 0)
		crowd_violation("a lossless one misses", (int64_t)message->missed, n);
	*it = (struct seen){ .life = parcel->life, .number = message->number };
	atomic_fetch_add(&board->missed, message->missed);
	atomic_fetch_add(&crowd->counted, 1);
}

static void let_go(int n, uint64_t which)
{
	size_t i = (size_t)(which % (uint64_t)held_count);
	const struct tarn_message *message = &held[i].message;
	bool whole = is_whole(message->data, message->size);
	int r = tarn_subscriber_release(subscriber, message);

	if (crowd->mutant == LET_GO) {
		harness_sleep_us(100);
		whole = is_whole(message->data, message->size);
	}
	if (r != -ESTALE)
		crowd_must("release", r);
	if (r == 0 && !(whole && held[i].sure))
		crowd_violation("a held message is torn", (int64_t)message->number, whole);
	/* To who is lossy this may be said where it was about to be written over, and was not. */
	if (r == -ESTALE && held[i].waited_for && (is_lossless(n) || !whole))
		crowd_violation("a held message was written over", (int64_t)message->number, whole);
	held[i] = held[--held_count];
}

static int take_copy(int n)
{
	static struct parcel parcel;
	struct tarn_message message;
	int r = tarn_subscriber_take(subscriber, &parcel, sizeof(parcel), &message);

	if (r == 0 && !is_whole(&parcel, message.size))
		crowd_violation("a torn message", (int64_t)message.number, (int64_t)message.size);
	else if (r == 0)
		count_in(n, &message, &parcel);
	return r;
}

/* Whose it is, is read at once; whether that is so, is known when it is let go of. */
static int take_hold(int n, uint64_t *seed)
{
	struct parcel head;
	int r;

	if (held_count == HELD)
		let_go(n, storm_random(seed));
	r = tarn_subscriber_hold(subscriber, &held[held_count].message);
	if (r == 0) {
		const struct tarn_message *message = &held[held_count].message;

		memcpy(&head, message->data, offsetof(struct parcel, filling));
		held[held_count].sure = head.check == sum_of(&head) && head.size == message->size;
		held[held_count].waited_for =
			held[held_count].sure && waits_for_ever(head.publisher);
		if (held[held_count].sure)
			count_in(n, message, &head);
		else
			seen[message->publisher].unsure = true;
		held_count++;
	} else if (held_count > 0) {
		let_go(n, storm_random(seed));
	}
	return r;
}

static int take(int n, uint64_t *seed)
{
	int kind = n - PUBLISHERS;

	return kind == 2 || kind == 5 ? take_hold(n, seed) : take_copy(n);
}

static void subscribe(int n)
{
	const struct tarn_topic_opts opts = { .socket_dir = board->dir,
					      .flags = is_lossless(n) ? 0
						       : n - PUBLISHERS < SUBSCRIBERS - 1
							       ? TARN_TOPIC_LOSSY
							       : TARN_TOPIC_LATEST };

	memset(seen, 0, sizeof(seen));
	crowd_must("subscriber", tarn_subscriber_open(NULL, "news", &opts, &subscriber));
	born = atomic_load(&board->lives);
	if (n - PUBLISHERS != 3)
		return;
	crowd_must("waiter", tarn_waiter_open(NULL, &waiter));
	crowd_must("add", tarn_waiter_add_subscriber(waiter, subscriber, NULL));
}

static void unsubscribe(int n)
{
	while (held_count > 0)
		let_go(n, 0);
	tarn_waiter_close(waiter);
	tarn_subscriber_close(subscriber);
	waiter = NULL;
	subscriber = NULL;
}

/* Nothing is there: until something is, or it is time to look whether to stop. */
static void rest(uint64_t *seed)
{
	int64_t deadline = tarn_deadline_after(10000000);
	struct pollfd poller = { .events = POLLIN };
	size_t count;
	void *tag;
	int r;

	if (waiter == NULL) {
		harness_sleep_us((int64_t)(storm_random(seed) % 200));
		return;
	}
	if (storm_random(seed) % 2 == 0) {
		r = tarn_waiter_wait(waiter, deadline, &tag, 1, &count);
	} else {
		crowd_must("descriptor", tarn_waiter_fd(waiter, &poller.fd));
		r = tarn_waiter_wait(waiter, 0, &tag, 1, &count);
		if (r == -ETIMEDOUT)
			(void)poll(&poller, 1, 10);
	}
	crowd_must("wait", r == -ETIMEDOUT ? 0 : r);
}

static void consume(int n, uint64_t *seed)
{
	int r;

	if (subscriber == NULL)
		subscribe(n);
	if (n - PUBLISHERS >= 4 && storm_random(seed) % 256 == 0)
		harness_sleep_us(2000); /* slower than the lane is long */
	r = take(n, seed);
	if (r == 0 && crowd->mutant == PASSED_OVER && storm_random(seed) % 100 == 0)
		seen[0].number += seen[0].life != 0;
	if (r == -EAGAIN)
		rest(seed);
	else
		crowd_must("take", r);
	if (storm_random(seed) % 8192 == 0)
		unsubscribe(n);
}

static void act(int n, uint64_t *seed)
{
	if (n < PUBLISHERS)
		publish(n, seed);
	else
		consume(n, seed);
}

/* Have all publishers left, and does it know that? */
static bool nobody_publishes(void)
{
	struct tarn_subscriber_stat stat;

	crowd_must("stat", tarn_subscriber_stat(subscriber, &stat));
	return atomic_load(&board->left) == PUBLISHERS && stat.publishers == 0;
}

static void leave(int n)
{
	int64_t deadline = patience();
	uint64_t seed = (uint64_t)n;

	if (n < PUBLISHERS) {
		go();
		atomic_fetch_add(&board->left, 1);
		return;
	}
	if (subscriber == NULL)
		return;
	for (bool done = false; !done;) {
		bool last_look = nobody_publishes();
		int r;

		while ((r = take(n, &seed)) == 0)
			;
		crowd_must("take", r == -EAGAIN ? 0 : r);
		done = last_look;
		if (tarn_now() > deadline) {
			crowd_violation("publishers have left, and a subscriber does not know", n,
					0);
			return;
		}
		harness_sleep_us(100);
	}
	for (int place = 0; place < PLACES; place++)
		is_over(&seen[place]);
	unsubscribe(n);
}

/* --- account --------------------------------------------------------------------------------- */

static int is_dead(const struct tarn_topic_socket *found, void *arg)
{
	(*(int *)arg)++;
	if (found->state != TARN_SOCKET_DEAD || !found->removed)
		crowd_violation("a name that is not of the dead", found->state, found->who.pid);
	return 0;
}

/* Those that a publisher has before others are to see it; nobody removes them. */
static int hidden_names(void)
{
	DIR *dir = opendir(board->dir);
	const struct dirent *entry;
	char path[400];
	int count = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, ".news:", 6) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", board->dir, entry->d_name);
		count += unlink(path) == 0;
	}
	if (dir != NULL)
		closedir(dir);
	return count;
}

static uint64_t settle(void)
{
	const struct tarn_topic_opts opts = { .socket_dir = board->dir };
	uint64_t begun = 0, final = 0, in_doubt;
	int dead = 0, hidden;

	for (int n = 0; n < PUBLISHERS; n++) {
		begun += crowd->ledgers[n].begun;
		final += crowd->ledgers[n].final;
	}
	in_doubt = begun - final;
	if (in_doubt > BATCH * board->lives)
		crowd_violation("more is in doubt than one call of each victim", (int64_t)in_doubt,
				(int64_t)board->lives);
	crowd_must("look",
		   tarn_topic_sockets(NULL, &opts, TARN_SOCKETS_REMOVE_DEAD, is_dead, &dead));
	hidden = hidden_names();
	if (rmdir(board->dir) < 0)
		crowd_violation("something is left in the directory", -errno, 0);
	printf("# %llu messages begun, %llu done, %llu missed by who was slow; %llu lives, seen to "
	       "their end %llu times; %d names of the dead, %d that nobody had seen yet\n",
	       (unsigned long long)begun, (unsigned long long) final,
	       (unsigned long long)board->missed, (unsigned long long)board->lives,
	       (unsigned long long)board->over, dead, hidden);
	if (board->over == 0)
		crowd_violation("no life was seen to its end", 0, 0);
	return final;
}

static const struct crowd_plan the_plan = {
	.name = "apart",
	.mutants = mutant_names,
	.processes = PUBLISHERS + SUBSCRIBERS,
	.pause_us = 12000, /* to come takes a thread, a socket and some pages */
	.counts = "takes",
	.make = make,
	.join = join,
	.act = act,
	.leave = leave,
	.settle = settle,
};

int main(int argc, char **argv)
{
	return crowd_main(argc, argv, &the_plan);
}
