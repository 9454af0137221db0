/* SPDX-License-Identifier: BSD-2-Clause */
/* info.h - what the files of tarn info share. */
#ifndef TARN_TOOLS_INFO_H
#define TARN_TOOLS_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/host.h>
#include <tarn/region.h>

#include "cli.h"
#include "out.h"
#include "target.h"

enum { INFO_NODES = 64, INFO_PAGES = 256 }; /* rows of pages that are shown without --all */

/* How much is in which state, over the range at hand. */
struct info_sums {
	bool known;
	uint64_t bytes[TARN_EXTENT_UNKNOWN + 1]; /* by kind */
	uint64_t stretches;                      /* of data */
	uint64_t node[INFO_NODES];               /* resident, by node ... */
	uint64_t node_unknown;                   /* ... and where that is not known */
};

struct info {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
	struct tarn_host *host; /* NULL: no picture could be taken */
	struct target_range range;
	bool maps, extents, frames, all;
	bool lacking; /* something that was asked about could not be found out */

	/* Of the thing at hand. */
	const char *name; /* as it was given */
	struct target target;
	uint64_t off, end;          /* of the segment: what extents and frames are about */
	struct tarn_region *region; /* NULL = it is none, or it could not be opened */
	struct tarn_region_stat region_stat;
	struct tarn_segment_stat segment_stat;
	struct info_sums sums;
};

/* info_facts.c */
extern const struct out_list info_fact_list;
void info_facts(struct info *info);

/* info_region.c */
extern const struct out_list info_member_list, info_object_list;
int info_region(struct info *info); /* 0 or an error of the library's */

/* info_objects.c */
extern const struct out_list info_section_list, info_arena_list, info_latest_list, info_struct_list;
int info_objects(struct info *info); /* 0 or an error of the library's */
/* "free", "held", "dead" or "set aside" */
struct tarn_section_stat;
const char *info_section_state(const struct tarn_section_stat *stat);

/* info_topics.c: a row for each subscriber that messages stay for */
extern const struct out_list info_holder_list;
int info_topic(struct info *info, const struct tarn_object_stat *object); /* as info_objects() */
/* The program's name of the member in @slot; empty: it is not known. */
#define INFO_COMM sizeof(((struct tarn_member_stat *)NULL)->comm)
void info_comm(struct info *info, uint32_t slot, char ret_comm[INFO_COMM]);

/* info_calls.c: a row for each server and client */
extern const struct out_list info_party_list;
int info_service(struct info *info, const struct tarn_object_stat *object); /* as info_objects() */

/* info_users.c: who has it */
extern const struct out_list info_process_list, info_mapping_list, info_lock_list;
void info_processes(struct info *info);
void info_mappings(struct info *info);
int info_locks(struct info *info);

/* info_memory.c: what of it is where */
extern const struct out_list info_node_list, info_extent_list, info_frame_list;
int info_survey(struct info *info); /* fills info->sums */
void info_nodes(struct info *info);
int info_extents(struct info *info);
int info_frames(struct info *info);

#endif /* TARN_TOOLS_INFO_H */
