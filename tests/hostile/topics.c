/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topics.c - victims that publish, take and hold while a peer spoils topic and lanes. Nobody is
 * promised that a message is what its publisher wrote; but each call comes back with an error that
 * its header names, within its deadline, and what is shown lies in the lane.
 */
#include "victims.h"

enum { LANE = 4096, MOST = 1984 };

static const int topic_open_errors[] = { ENOENT,  EEXIST, EPROTO,    ENOSPC, ENFILE, EINVAL,
					 EUCLEAN, EIO,    ETIMEDOUT, EUSERS, ENOMEM, 0 };
static const int topic_errors[] = { EAGAIN,  EMSGSIZE, EINVAL, EUCLEAN, EIO,    ETIMEDOUT,
				    ENOBUFS, ENOMEM,   ENOENT, EBUSY,   EPROTO, 0 };

static const struct tarn_topic_opts lane = { .lane_size = LANE };

struct topics {
	struct tarn_publisher *publisher;
	struct tarn_subscriber *subscribers[3]; /* lossless, lossy, the latest alone */
};

void victims_make_topics(struct tarn_region *region)
{
	struct tarn_publisher *publisher;

	must("topic", tarn_publisher_open(region, "news", &lane, &publisher));
	for (int i = 0; i < 50; i++)
		must("publish", tarn_publisher_publish(publisher, "a message", (size_t)i % 10));
	tarn_publisher_close(publisher);
}

/* --- what they do ---------------------------------------------------------------------------- */

static void publish(struct victim *v, struct tarn_publisher *publisher, uint64_t random)
{
	int64_t soon = tarn_deadline_after(SLICE_NS);
	static unsigned char bytes[4][MOST];
	struct tarn_topic_blocker blocker;
	struct tarn_publisher_stat stat;
	struct tarn_buf bufs[4];
	size_t size = (random >> 8) % MOST, count = 0;
	void *data;

	switch (random % 8) {
	case 0:
		(void)CALL(v, tarn_publisher_publish_wait(publisher, bytes[0], size, soon),
			   topic_errors);
		break;
	case 1:
		for (size_t i = 0; i < 4; i++)
			bufs[i] = (struct tarn_buf){ bytes[i], size / (i + 1) };
		if (CALL(v, tarn_publisher_publish_batch(publisher, bufs, 4, &count),
			 topic_errors) == 0 &&
		    (count < 1 || count > 4))
			hostile_lie(v->arena, "publish_batch", "so many of four", (int64_t)count);
		break;
	case 2:
		if (CALL(v, tarn_publisher_loan(publisher, size, &data), topic_errors) < 0)
			break;
		memset(data, (int)random, size);
		(void)CALL(v, tarn_publisher_commit(publisher, size / 2), topic_errors);
		break;
	case 3:
		if (CALL(v, tarn_publisher_loan_wait(publisher, size, soon, &data), topic_errors) ==
		    0)
			memset(data, (int)random, size);
		tarn_publisher_abort(publisher);
		break;
	case 4:
		(void)CALL(v, tarn_publisher_wait_subscribers(publisher, 2, soon), topic_errors);
		break;
	case 5:
		if (CALL(v, tarn_publisher_blocker(publisher, &blocker), topic_errors) == 0)
			v->sink += blocker.member;
		if (CALL(v, tarn_publisher_stat(publisher, &stat), topic_errors) == 0)
			v->sink += stat.number;
		break;
	default:
		(void)CALL(v, tarn_publisher_publish(publisher, bytes[0], size % 200),
			   topic_errors);
	}
}

static void take_batch(struct victim *v, struct tarn_subscriber *subscriber, size_t size)
{
	static unsigned char bytes[4 * MOST];
	struct tarn_message messages[4];
	size_t count = 0, end;

	if (CALL(v, tarn_subscriber_take_batch(subscriber, bytes, size, messages, 4, &count),
		 topic_errors) < 0)
		return;
	if (count < 1 || count > 4)
		hostile_lie(v->arena, "take_batch", "so many of four", (int64_t)count);
	for (size_t i = 0; i < count && count <= 4; i++) {
		end = (size_t)((const unsigned char *)messages[i].data - bytes) + messages[i].size;
		if (end > size)
			hostile_lie(v->arena, "take_batch", "past the buffer", (int64_t)end);
		else
			read_all(v, messages[i].data, messages[i].size);
	}
}

static void take(struct victim *v, struct tarn_subscriber *subscriber, uint64_t random)
{
	static unsigned char bytes[MOST];
	int64_t soon = tarn_deadline_after(SLICE_NS);
	struct tarn_subscriber_stat stat;
	struct tarn_message message, second;

	switch (random % 7) {
	case 0:
		if (CALL(v,
			 tarn_subscriber_take_wait(subscriber, bytes, sizeof(bytes), soon,
						   &message),
			 topic_errors) == 0)
			read_all(v, bytes, message.size);
		break;
	case 1:
		if (CALL(v, tarn_subscriber_hold(subscriber, &message), topic_errors) < 0)
			break;
		read_all(v, message.data, message.size);
		if (CALL(v, tarn_subscriber_hold(subscriber, &second), topic_errors) == 0) {
			read_all(v, second.data, second.size);
			(void)CALL(v, tarn_subscriber_release(subscriber, &second), topic_errors);
		}
		(void)CALL(v, tarn_subscriber_release(subscriber, &message), topic_errors);
		break;
	case 2:
		if (CALL(v, tarn_subscriber_hold_wait(subscriber, soon, &message), topic_errors) <
		    0)
			break;
		read_all(v, message.data, message.size);
		(void)CALL(v, tarn_subscriber_release(subscriber, &message), topic_errors);
		break;
	case 3:
		if (CALL(v, tarn_subscriber_stat(subscriber, &stat), topic_errors) == 0)
			v->sink += stat.taken;
		break;
	case 4:
		take_batch(v, subscriber, (size_t)(random >> 8) % (4 * MOST));
		break;
	default:
		if (CALL(v, tarn_subscriber_take(subscriber, bytes, sizeof(bytes), &message),
			 topic_errors) == 0)
			read_all(v, bytes, message.size);
	}
}

/* --- coming and going ------------------------------------------------------------------------ */

static void open_all(struct victim *v, struct topics *t)
{
	static const uint32_t flags[] = { 0, TARN_TOPIC_LOSSY, TARN_TOPIC_LATEST };

	memset(t, 0, sizeof(*t));
	for (int i = 0; i < 3; i++) {
		const struct tarn_topic_opts opts = {
			.flags = flags[i], .history = (uint32_t)hostile_random(&v->random)
		};

		(void)CALL(v, tarn_subscriber_open(v->region, "news", &opts, &t->subscribers[i]),
			   topic_open_errors);
	}
	(void)CALL(v, tarn_publisher_open(v->region, "news", &lane, &t->publisher),
		   topic_open_errors);
}

static int add_user(const struct tarn_topic_user *user, void *arg)
{
	struct victim *v = arg;

	v->sink += user->kept + user->missed;
	return 0;
}

void victim_messenger(struct hostile_arena *arena, unsigned index)
{
	struct victim v = { .arena = arena, .index = index };
	struct tarn_topic_stat stat;
	struct tarn_type *type;
	struct topics t;

	v.random = arena->seed * 59 + index + 1;
	while (!hostile_over(arena)) {
		if (enter_region(&v, 0) < 0)
			continue;
		open_all(&v, &t);
		for (int i = 0; i < ROUND_CALLS / 4 && !hostile_over(arena); i++) {
			uint64_t random = hostile_random(&v.random);
			struct tarn_subscriber *one = t.subscribers[(random >> 40) % 3];

			if (random >> 63 != 0 && t.publisher != NULL)
				publish(&v, t.publisher, random);
			else if (one != NULL)
				take(&v, one, random);
		}
		if (CALL(&v, tarn_topic_describe(v.region, "news", &type), topic_errors) == 0)
			tarn_type_free(type);
		(void)CALL(&v, tarn_topic_users(v.region, "news", add_user, &v), topic_errors);
		if (CALL(&v, tarn_topic_stat(v.region, "news", &stat), topic_errors) == 0)
			v.sink += stat.number;
		(void)CALL(&v, tarn_region_check(v.region, NULL, NULL), look_errors);
		hostile_enter(arena, index, "closing topics");
		tarn_publisher_close(t.publisher);
		for (int i = 0; i < 3; i++)
			tarn_subscriber_close(t.subscribers[i]);
		leave_region(&v);
	}
}

BEHIND_GUARD(messenger)
