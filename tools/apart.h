/* SPDX-License-Identifier: BSD-2-Clause */
/* apart.h - topics in a directory of sockets, as the command line names them: unix:DIR/TOPIC. */
#ifndef TARN_TOOLS_APART_H
#define TARN_TOOLS_APART_H

#include <stdbool.h>

#include <tarn/topic.h>

#include "cli.h"
#include "look.h"

#define APART_PEERS                                                                                \
	{                                                                                          \
		0, "peers", "WHO,...",                                                             \
			"of unix:DIR/TOPIC: users, @groups or all, whose processes may be at the " \
			"other end, "                                                              \
			"beside this user's"                                                       \
	}

struct apart {
	struct tarn_topic_peers peers;
	uint32_t users[64], groups[64];
};

/* Is it one? Then its directory and its topic. */
bool apart_name(const char *text, struct look_name *ret_name);
/* --peers, into @opts; @apart lives as long as that. False, with a message: the command line is
 * wrong. */
bool apart_peers(struct cli *cli, struct apart *apart, struct tarn_topic_opts *opts);

#endif /* TARN_TOOLS_APART_H */
