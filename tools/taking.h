/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * taking.h - take the messages of a topic, for the verbs that print or measure them: echo, hz, bw,
 * delay.
 *
 * A region or topic that is not there yet is waited for, and one that was removed ends the verb. No
 * wait is longer than a slice, so that signals are seen.
 */
#ifndef TARN_TOOLS_TAKING_H
#define TARN_TOOLS_TAKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/topic.h>
#include <tarn/type.h>

#include "apart.h"
#include "cli.h"
#include "look.h"

struct taking {
	struct cli *cli;
	const char *name; /* REGION/TOPIC or unix:DIR/TOPIC, as given */
	bool sockets;     /* the latter; region is NULL then */
	struct apart apart;
	struct look_name where;
	struct tarn_region_opts region_opts;
	struct tarn_topic_opts topic_opts;
	int64_t timeout_ns; /* for a message, or for the topic to be there; -1: for ever */
	struct tarn_region *region;
	struct tarn_subscriber *subscriber;
	struct tarn_type *type; /* NULL: bytes */
	unsigned char *bytes;   /* of the message, with room for one more */
	size_t room;
	struct tarn_message message;
	uint64_t off;     /* of the topic in its region */
	int64_t there_ns; /* when it was last seen to be there */
};

/* The name and the options timeout, owner and mode; @look: only look, and be seen by nobody. False,
 * with a message: the command line is wrong. */
bool taking_begin(struct taking *taking, struct cli *cli, bool look);
/* Wait for it, and subscribe by topic_opts. Returns -1 to go on, else the exit code. */
int taking_open(struct taking *taking);
/* The next message into bytes and message, until @deadline; @spin: without ever sleeping. 0,
 * -ETIMEDOUT: none until then, or until a slice was over; -ESTALE: it was removed; else -errno. */
int taking_take(struct taking *taking, int64_t deadline, bool spin);
/* cli_fail() for what taking_take() returned. */
int taking_fail(struct taking *taking, int error);
void taking_end(struct taking *taking);

#endif /* TARN_TOOLS_TAKING_H */
