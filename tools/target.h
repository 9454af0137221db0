/* SPDX-License-Identifier: BSD-2-Clause */
/* target.h - ADDRESS or REGION/OBJECT as a range of a segment, and a picture to look at it in. */
#ifndef TARN_TOOLS_TARGET_H
#define TARN_TOOLS_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/host.h>
#include <tarn/region.h>

#include "cli.h"
#include "look.h"

struct target {
	const struct tarn_host_segment *segment;
	struct look_name name;          /* ADDRESS, and OBJECT or NULL */
	struct tarn_object_stat object; /* where there is one */
	uint64_t off, size;             /* of the object in the segment; else the whole segment */
};

/* CLI_OK, or an exit code with a message. @opts: how regions are opened. */
int target_find(struct cli *cli, struct tarn_host *host, const char *text,
		const struct tarn_region_opts *opts, struct target *ret_target);

/* A picture that has what @args name; files on disk only where one of them may be one. Returns
 * CLI_OK, or an exit code with a message. */
int target_scan(struct cli *cli, uint32_t flags, struct tarn_host **ret_host);

/* --offset and --length: the part of [0, size) that is asked for. */
struct target_range {
	uint64_t offset, length;
	bool given; /* a length was */
};
/* False, with a message. */
bool target_range(struct cli *cli, struct target_range *ret_range);
/* Within @target, as [*ret_off, *ret_end) of it. False, with a message: it ends before. */
bool target_cut(struct cli *cli, const char *text, const struct target *target,
		const struct target_range *range, uint64_t *ret_off, uint64_t *ret_end);

#endif /* TARN_TOOLS_TARGET_H */
