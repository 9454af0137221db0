/* SPDX-License-Identifier: BSD-2-Clause */
/* topics_apart.h - what tarn topics says of directories of sockets: unix:DIR, unix:DIR/TOPIC. */
#ifndef TARN_TOOLS_TOPICS_APART_H
#define TARN_TOOLS_TOPICS_APART_H

#include <stdbool.h>
#include <stdint.h>

#include "apart.h"
#include "out.h"

extern const struct out_list socket_list;

struct topics_apart {
	struct cli *cli;
	struct out *out;
	struct apart apart;
	struct tarn_topic_opts opts;
	bool verbose;            /* of each topic all, in text; else a row of the list at hand */
	uint64_t shown, held_up; /* topics, added up */
};

/* Is @text one of either? Then its directory, and its topic, or NULL: a name that is a directory is
 * that of one. */
bool topics_apart_name(const char *text, struct look_name *ret_name);
/* The options of the verb that are of these alone. False, with a message: the command line is
 * wrong. */
bool topics_apart_opts(struct topics_apart *t);
/* Look at what @text names. The exit code, with a message where it is none that is well. */
int topics_apart_look(struct topics_apart *t, const char *text);

#endif /* TARN_TOOLS_TOPICS_APART_H */
