/* SPDX-License-Identifier: BSD-2-Clause */
/* autopsy.h - what the files of tarn autopsy share. */
#ifndef TARN_TOOLS_AUTOPSY_H
#define TARN_TOOLS_AUTOPSY_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/region.h>

#include "cli.h"
#include "out.h"
#include "rows.h"
#include "told.h"

struct autopsy {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
	const char *name;           /* as it was given */
	char addr[4300];            /* as the library and other verbs are to have it */
	int copy;                   /* what was cut off of a file is zero in this memfd; -1: none */
	uint64_t found, missing;    /* bytes of the file; that it lacks */
	struct tarn_region *region; /* NULL: it cannot be opened */
	struct tarn_region_stat stat;
	struct told told;
	uint64_t events;    /* the last so many are shown */
	struct rows *check; /* what tarn check, tarn locks, tarn topics and tarn info say of it */
	struct rows *locks;
	struct rows *topics;
	struct rows *objects, *parties;
	uint64_t finding_count;
	int worst;
};

extern const struct out_list autopsy_finding_list, autopsy_member_list, autopsy_lock_list,
	autopsy_topic_list, autopsy_figure_list, autopsy_event_list;

/* Open what was named, as a region or as a file that is a copy of one. CLI_OK, or an exit code with
 * a message. */
int autopsy_open(struct autopsy *a);
void autopsy_close(struct autopsy *a);

/* Have the other verbs look. */
void autopsy_look(struct autopsy *a);
/* The last event of the trace that a member has logged, and its words; false: there is none. */
struct autopsy_last {
	uint32_t slot, generation;
	struct tarn_trace_event event;
};
bool autopsy_last(struct autopsy *a, const struct tarn_member_stat *stat, char words[TOLD_SIZE],
		  struct autopsy_last *ret_last);
/* The lists, in this order. */
void autopsy_put_findings(struct autopsy *a);
void autopsy_put_members(struct autopsy *a);
void autopsy_put_locks(struct autopsy *a);
void autopsy_put_topics(struct autopsy *a);
void autopsy_put_figures(struct autopsy *a);
void autopsy_put_events(struct autopsy *a);

#endif /* TARN_TOOLS_AUTOPSY_H */
