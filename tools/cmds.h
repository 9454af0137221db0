/* SPDX-License-Identifier: BSD-2-Clause */
/* cmds.h - one line a verb; table.c lists them in the order of the help. */
#ifndef TARN_TOOLS_CMDS_H
#define TARN_TOOLS_CMDS_H

#include "cli.h"

extern const struct cli_cmd cmd_send;
extern const struct cli_cmd cmd_recv;
extern const struct cli_cmd cmd_create;
extern const struct cli_cmd cmd_ls;
extern const struct cli_cmd cmd_ps;
extern const struct cli_cmd cmd_info;
extern const struct cli_cmd cmd_get;
extern const struct cli_cmd cmd_put;
extern const struct cli_cmd cmd_watch;
extern const struct cli_cmd cmd_pub;
extern const struct cli_cmd cmd_echo;
extern const struct cli_cmd cmd_topics;
extern const struct cli_cmd cmd_call;
extern const struct cli_cmd cmd_hz;
extern const struct cli_cmd cmd_bw;
extern const struct cli_cmd cmd_delay;
extern const struct cli_cmd cmd_top;
extern const struct cli_cmd cmd_stat;
extern const struct cli_cmd cmd_metrics;
extern const struct cli_cmd cmd_trace;
extern const struct cli_cmd cmd_autopsy;
extern const struct cli_cmd cmd_cat;
extern const struct cli_cmd cmd_hexdump;
extern const struct cli_cmd cmd_check;
extern const struct cli_cmd cmd_recover;
extern const struct cli_cmd cmd_locks;
extern const struct cli_cmd cmd_rm;
extern const struct cli_cmd cmd_gc;
extern const struct cli_cmd cmd_doctor;
extern const struct cli_cmd cmd_limits;
extern const struct cli_cmd cmd_lab;
extern const struct cli_cmd cmd_bench;
extern const struct cli_cmd cmd_version;
extern const struct cli_cmd cmd_completion;
extern const struct cli_cmd cmd_help;

#endif /* TARN_TOOLS_CMDS_H */
