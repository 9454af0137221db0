/* SPDX-License-Identifier: BSD-2-Clause */
/* info_topics.c - whom messages of topics stay for, and who holds a publisher up. See info.h. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/topic.h>

#include "info.h"

enum { USERS_MAX = TARN_TOPIC_PUBLISHERS_MAX + TARN_TOPIC_SUBSCRIBERS_MAX };

static const struct out_col holder_cols[] = {
	{ "topic", "TOPIC", OUT_TEXT,
	  "whose messages are kept for a subscriber; of topics where none are there is no row",
	  false },
	{ "pid", "PID", OUT_SIGNED, "the subscriber's process, in its own PID namespace", false },
	{ "command", "COMMAND", OUT_TEXT, "the program's name", false },
	{ "state", "STATE", OUT_TEXT,
	  "alive, or dead: then a publisher that needs the room takes it", false },
	{ "policy", "POLICY", OUT_TEXT,
	  "lossless; lossy or latest, for which only stays what it holds in place; or coming: it "
	  "is just opening",
	  false },
	{ "kept", "HELD", OUT_COUNT,
	  "messages that are kept for it: not taken yet, or held in place; counted by "
	  "thirty-seconds of a lane",
	  false },
	{ "holds_up", "HOLDS-UP", OUT_TEXT,
	  "the first publisher that has no room for want of what is kept for it", false },
	{ "holds_up_pid", NULL, OUT_SIGNED, "its process alone", false },
	{ 0 },
};
const struct out_list info_holder_list = { "topic_holders", holder_cols };

/* The users of a topic. */
struct users {
	struct tarn_topic_user all[USERS_MAX];
	uint32_t count;
};

static int remember_user(const struct tarn_topic_user *user, void *arg)
{
	struct users *users = arg;

	if (users->count < USERS_MAX)
		users->all[users->count++] = *user;
	return 0;
}

struct named {
	uint32_t slot;
	char comm[INFO_COMM];
};

static int name_of(const struct tarn_member_stat *member, void *arg)
{
	struct named *named = arg;

	if (member->slot != named->slot)
		return 0;
	memcpy(named->comm, member->comm, sizeof(named->comm));
	return 1;
}

void info_comm(struct info *info, uint32_t slot, char ret_comm[INFO_COMM])
{
	struct named named = { .slot = slot, .comm = "" };

	(void)!tarn_region_members(info->region, name_of, &named);
	memcpy(ret_comm, named.comm, INFO_COMM);
}

/* The first publisher that @subscriber holds up; NULL: none. */
static const struct tarn_topic_user *held_up(const struct users *users,
					     const struct tarn_topic_user *subscriber)
{
	for (uint32_t i = 0; i < users->count; i++)
		if (users->all[i].role == TARN_TOPIC_PUBLISHES &&
		    users->all[i].held_up_by == subscriber->place)
			return &users->all[i];
	return NULL;
}

static void put_holder(struct info *info, const char *topic, const struct tarn_topic_user *user,
		       const struct tarn_topic_user *publisher)
{
	struct out *out = &info->out;
	char comm[INFO_COMM], text[64];

	info_comm(info, user->slot, comm);
	out_row(out);
	out_text(out, "topic", topic);
	out_number(out, "pid", (uint64_t)(int64_t)user->pid);
	out_text(out, "command", comm[0] != '\0' ? comm : NULL);
	out_text(out, "state", user->alive ? "alive" : "dead");
	out_text(out, "policy",
		 user->role == TARN_TOPIC_TAKES_ALL      ? "lossless"
		 : user->role == TARN_TOPIC_TAKES_LOSSY  ? "lossy"
		 : user->role == TARN_TOPIC_TAKES_LATEST ? "latest"
							 : "coming");
	out_number(out, "kept", user->kept);
	if (publisher == NULL)
		return;
	info_comm(info, publisher->slot, comm);
	snprintf(text, sizeof(text), comm[0] != '\0' ? "%" PRId32 " (%s)" : "%" PRId32,
		 publisher->pid, comm);
	out_text(out, "holds_up", text);
	out_number(out, "holds_up_pid", (uint64_t)(int64_t)publisher->pid);
}

int info_topic(struct info *info, const struct tarn_object_stat *object)
{
	struct users *users = calloc(1, sizeof(*users));
	int r = users != NULL ? tarn_topic_users(info->region, object->name, remember_user, users)
			      : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < users->count; i++) {
		const struct tarn_topic_user *user = &users->all[i], *publisher;

		if (user->role == TARN_TOPIC_PUBLISHES)
			continue;
		publisher = held_up(users, user);
		if (user->kept != 0 || publisher != NULL)
			put_holder(info, object->name, user, publisher);
	}
	free(users);
	return r;
}
