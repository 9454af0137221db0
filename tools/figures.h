/* SPDX-License-Identifier: BSD-2-Clause */
/* figures.h - the counters of a region, as stat, metrics and get see them: opened to read, sampled
 * again and again. */
#ifndef TARN_TOOLS_FIGURES_H
#define TARN_TOOLS_FIGURES_H

#include <tarn/counters.h>

#include "cli.h"
#include "look.h"

/* One object with counters. */
struct figures_set {
	char object[TARN_OBJECT_NAME_MAX + 1];
	struct tarn_counters *counters;
	struct tarn_sample *now, *before; /* before: all zero until it was taken twice */
};

struct figures {
	struct cli *cli;
	struct look_name name;
	struct tarn_region *region;
	struct figures_set *sets; /* in the order of the directory */
	int count;
	int error; /* while they are opened */
};

/* @text is REGION or REGION/OBJECT. CLI_OK, or an exit code with a message: there are no
 * counters. */
int figures_open(struct cli *cli, const char *text, const struct tarn_region_opts *opts,
		 struct figures *ret_figures);
/* The same of object @object of @region, which stays the caller's. */
int figures_open_in(struct cli *cli, struct tarn_region *region, const char *name,
		    const char *object, struct figures *ret_figures);
void figures_close(struct figures *figures);
/* What they are now; what they were the last time is before. CLI_OK, or an exit code with a
 * message. */
int figures_take(struct figures *figures);

/* "counter", "gauge", "histogram" */
const char *figures_kind(const struct tarn_metric *metric);

#endif /* TARN_TOOLS_FIGURES_H */
