/* SPDX-License-Identifier: BSD-2-Clause */
/* table.c - the verbs, in the order in which help lists them. */

#include "cmds.h"

const struct cli_cmd *const cli_cmds[] = {
	&cmd_send,    &cmd_recv,  &cmd_create,  &cmd_ls,      &cmd_ps,         &cmd_info,
	&cmd_get,     &cmd_put,   &cmd_watch,   &cmd_pub,     &cmd_echo,       &cmd_topics,
	&cmd_call,    &cmd_hz,    &cmd_bw,      &cmd_delay,   &cmd_top,        &cmd_stat,
	&cmd_metrics, &cmd_trace, &cmd_autopsy, &cmd_cat,     &cmd_hexdump,    &cmd_check,
	&cmd_recover, &cmd_locks, &cmd_rm,      &cmd_gc,      &cmd_doctor,     &cmd_limits,
	&cmd_lab,     &cmd_bench, &cmd_help,    &cmd_version, &cmd_completion, NULL,
};
