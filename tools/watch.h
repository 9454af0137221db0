/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.h - look once, or with --watch, --interval or --count again and again.
 *
 * On a terminal each look replaces the last one, messages included, and the screen is as it was
 * before when it ends, with the last look below. To a pipe nothing but the looks is written: one,
 * unless --count says how many; with --json each is one line. SIGINT, SIGTERM and SIGHUP end it
 * after the look at hand, and that is a good end.
 */
#ifndef TARN_TOOLS_WATCH_H
#define TARN_TOOLS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "cli.h"

/* For verbs with CLI_GROUP_WATCH and CLI_GROUP_LIST. @look prints through out.h and returns the
 * exit code; CLI_USAGE ends the watch. Returns the gravest of the exit codes, CLI_OK where a
 * signal ended it. */
int watch_run(struct cli *cli, int (*look)(struct cli *cli, void *arg), void *arg);

/* The same for verbs that watch in any case, and look again only when there is something to see.
 * Needs the options interval and count. Without --count it ends by a signal, or by @ready. */
enum watch_next { WATCH_WAIT, WATCH_LOOK, WATCH_END };
struct watch_source {
	int64_t interval_ns; /* from one question to the next, if --interval does not say */
	bool later;          /* no first look ... */
	bool once;           /* ... and one only */
	enum watch_next (*ready)(void *arg);
	int (*look)(struct cli *cli, void *arg); /* cli->to is set where it fills a screen */
	void *arg;
};
int watch_events(struct cli *cli, const struct watch_source *source);

#endif /* TARN_TOOLS_WATCH_H */
