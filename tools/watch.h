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

#include "cli.h"

/* For verbs with CLI_GROUP_WATCH and CLI_GROUP_LIST. @look prints through out.h and returns the
 * exit code; CLI_USAGE ends the watch. Returns the gravest of the exit codes, CLI_OK where a
 * signal ended it. */
int watch_run(struct cli *cli, int (*look)(struct cli *cli, void *arg), void *arg);

#endif /* TARN_TOOLS_WATCH_H */
