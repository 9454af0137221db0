/* SPDX-License-Identifier: BSD-2-Clause */
/* figures.h - the counters of a region, and what its objects count of themselves, as stat, metrics
 * and get see them: opened to read, sampled again and again. */
#ifndef TARN_TOOLS_FIGURES_H
#define TARN_TOOLS_FIGURES_H

#include <tarn/figures.h>

#include "cli.h"
#include "look.h"

/* One object. */
struct figures_set {
	char object[TARN_OBJECT_NAME_MAX + 1]; /* "": the region itself */
	uint32_t kind;                         /* enum tarn_object_kind; 0: the region itself */
	bool lost;                             /* it was removed, or is damaged now */
	struct tarn_counters *counters;
	struct tarn_sample *now, *before; /* before: all zero until it was taken twice */
};

struct figures {
	struct cli *cli;
	struct look_name name;
	struct tarn_region *region;
	struct figures_set *sets; /* in the order of the directory */
	int count;
	bool all;  /* not counters alone */
	int worst; /* exit code: what could not be opened was told, and left out */
};

/* @text is REGION or REGION/OBJECT. @all: of a region not its counters alone, but what all of its
 * objects count of themselves, and itself. CLI_OK, or an exit code with a message: there are no
 * counters. */
int figures_open(struct cli *cli, const char *text, const struct tarn_region_opts *opts, bool all,
		 struct figures *ret_figures);
/* The same of object @object of @region, which stays the caller's. */
int figures_open_in(struct cli *cli, struct tarn_region *region, const char *name,
		    const char *object, struct figures *ret_figures);
void figures_close(struct figures *figures);
/* What they are now; what they were the last time is before. Of several, what cannot be read is
 * lost, and told once. CLI_OK, or an exit code with a message. */
int figures_take(struct figures *figures);

/* Has @object of @region a metric that is called @metric? */
bool figures_has(struct tarn_region *region, const char *object, const char *metric);

/* "counter", "gauge", "histogram" */
const char *figures_kind(const struct tarn_metric *metric);

#endif /* TARN_TOOLS_FIGURES_H */
