/* SPDX-License-Identifier: BSD-2-Clause */
/* target.c - see target.h. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "segments.h"
#include "target.h"

struct search {
	const char *name;
	struct tarn_object_stat *ret_stat;
	struct cli_near near;
	char best[TARN_OBJECT_NAME_MAX + 1];
};

static int match(const struct tarn_object_stat *stat, void *arg)
{
	struct search *search = arg;
	const char *best = search->near.best;

	if (!stat->removed && strcmp(stat->name, search->name) == 0) {
		*search->ret_stat = *stat;
		return 1;
	}
	cli_near_offer(&search->near, stat->name);
	if (search->near.best != best) {
		snprintf(search->best, sizeof(search->best), "%s", stat->name);
		search->near.best = search->best;
	}
	return 0;
}

static int find_object(struct cli *cli, const char *text, const struct tarn_region_opts *opts,
		       struct target *target)
{
	struct search search = { .name = target->name.object,
				 .ret_stat = &target->object,
				 .near = { .word = target->name.object } };
	struct tarn_region *region = NULL;
	int r = tarn_region_open(target->name.region, opts, &region);

	if (r < 0)
		return look_fail(cli, target->name.region, r);
	r = tarn_region_objects(region, match, &search);
	tarn_region_close(region);
	if (r < 0)
		return cli_fail(cli, text, r);
	if (r > 0) {
		target->off = target->object.off;
		target->size = target->object.size;
		return CLI_OK;
	}
	snprintf(cli->diag.what, sizeof(cli->diag.what), "there is no such object");
	if (search.near.best != NULL)
		snprintf(cli->diag.hint, sizeof(cli->diag.hint), "did you mean '%.100s'?",
			 search.best);
	else
		snprintf(cli->diag.hint, sizeof(cli->diag.hint), "tarn info %.200s lists them",
			 target->name.region);
	return cli_fail(cli, text, -ENOENT);
}

int target_find(struct cli *cli, struct tarn_host *host, const char *text,
		const struct tarn_region_opts *opts, struct target *ret_target)
{
	struct target target = { 0 };
	int code;

	if (!look_name(text, &target.name))
		return cli_fail(cli, text, -ENAMETOOLONG);
	code = segments_find(cli, host, target.name.region, &target.segment);
	if (code != CLI_OK)
		return code;
	target.size = target.segment->size;
	if (target.name.object != NULL)
		code = find_object(cli, text, opts, &target);
	*ret_target = target;
	if (target.name.object != NULL) /* points into the copy */
		ret_target->name.object =
			ret_target->name.region + (target.name.object - target.name.region);
	return code;
}

int target_scan(struct cli *cli, uint32_t flags, struct tarn_host **ret_host)
{
	struct tarn_host_opts opts = { .flags = flags, .diag = &cli->diag };
	int r;

	for (int i = 0; i < cli->argc; i++) {
		const char *text = cli->argv[i];

		if (strncmp(text, "file:", 5) == 0 || strncmp(text, "map:", 4) == 0 ||
		    text[0] == '/')
			opts.flags |= TARN_HOST_FILES;
	}
	r = tarn_host_scan(&opts, ret_host);
	return r < 0 ? segments_fail(cli, &opts, r) : CLI_OK;
}

bool target_range(struct cli *cli, struct target_range *ret_range)
{
	*ret_range = (struct target_range){ .given = cli_given(cli, "length") };
	return cli_size(cli, "offset", &ret_range->offset) &&
	       cli_size(cli, "length", &ret_range->length);
}

bool target_cut(struct cli *cli, const char *text, const struct target *target,
		const struct target_range *range, uint64_t *ret_off, uint64_t *ret_end)
{
	uint64_t left;

	if (range->offset > target->size) {
		cli_error(cli, "%s: it ends at 0x%" PRIx64 ", before offset 0x%" PRIx64, text,
			  target->size, range->offset);
		return false;
	}
	left = target->size - range->offset;
	*ret_off = range->offset;
	*ret_end = range->offset + (range->given && range->length < left ? range->length : left);
	return true;
}
