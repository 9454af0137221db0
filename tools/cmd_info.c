/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn info ADDRESS... - one piece of shared memory whole: what it is, who has it and where, what
 * of it is in memory; of a region its members and objects too.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cmds.h"
#include "info.h"
#include "segments.h"

static const struct cli_opt info_opts[] = {
	{ 'm', "maps", NULL,
	  "every mapping: process, addresses, offset, rights, and how much of it is in memory" },
	{ 'e', "extents", NULL, "which parts are in memory, in swap, set aside, or holes" },
	{ 'f', "frames", NULL,
	  "page by page, who has it at which address, and with rights in which frame of memory" },
	{ 'a', "all", NULL, "with --frames: all pages, not the first 256 touched ones" },
	{ 0, "offset", "OFFSET", "extents and frames from there on, as 4096, 64K or 0x1000" },
	{ 0, "length", "LENGTH", "extents and frames of so many bytes at most" },
	{ 0 },
};

static const struct out_list *const info_lists[] = {
	&info_fact_list,  &info_member_list,  &info_object_list,  &info_section_list,
	&info_arena_list, &info_latest_list,  &info_struct_list,  &info_holder_list,
	&info_party_list, &info_process_list, &info_mapping_list, &info_lock_list,
	&info_node_list,  &info_extent_list,  &info_frame_list,   NULL,
};

/* Is what it says here a region by its name alone, whatever is found there? */
static bool is_bare(const char *name)
{
	return strchr(name, ':') == NULL && name[0] != '/';
}

/* Does it begin as a region does? */
static bool looks_like_region(struct info *info)
{
	static const char magic[8] = { 'T', 'A', 'R', 'N', '\r', '\n', 0x1a, '\n' };
	char found[sizeof(magic)];

	return info->target.segment->kind != TARN_SEGMENT_SYSV &&
	       tarn_host_read(info->host, info->target.segment, 0, found, sizeof(found), NULL) ==
		       (int64_t)sizeof(found) &&
	       memcmp(found, magic, sizeof(magic)) == 0;
}

static int open_region(struct info *info)
{
	int r = tarn_region_open(info->target.name.region, &info->opts, &info->region);

	if (r == 0)
		r = tarn_region_stat(info->region, &info->region_stat);
	if (r == 0)
		r = tarn_segment_stat(tarn_region_segment(info->region), &info->segment_stat);
	if (r < 0) {
		tarn_region_close(info->region);
		info->region = NULL;
	}
	return r;
}

/* What is named as a region and is not there, is told in the words for regions. */
static int find_region(struct info *info)
{
	const struct tarn_host_segment *segment;
	int r = 0;

	if (!look_name(info->name, &info->target.name))
		return -ENAMETOOLONG;
	if (tarn_host_find(info->host, info->target.name.region, &segment, NULL) < 0) {
		r = open_region(info);
		tarn_region_close(info->region);
		info->region = NULL;
	}
	return r;
}

static int worse(struct info *info, int code, int r)
{
	if (r == -EACCES || r == -EPERM)
		out_unreadable(&info->out);
	info->lacking |= r < 0;
	return r < 0 ? cli_worse(code, cli_fail(info->cli, info->name, r)) : code;
}

static int put_lists(struct info *info)
{
	bool seen = info->target.segment != NULL;
	int code = worse(info, CLI_OK, info_region(info));

	code = worse(info, code, info_objects(info));
	info_processes(info);
	if (info->maps)
		info_mappings(info);
	code = worse(info, code, info_locks(info));
	if (info->out.as_json)
		info_nodes(info);
	if (info->extents && seen)
		code = worse(info, code, info_extents(info));
	if (info->frames && seen)
		code = worse(info, code, info_frames(info));
	return code;
}

static int info_one(struct info *info, const char *name)
{
	bool wanted; /* as a region */
	int code = CLI_OK, r = 0;

	info->name = name;
	info->sums = (struct info_sums){ 0 };
	info->target = (struct target){ 0 };
	if (is_bare(name) && info->host != NULL) {
		r = find_region(info);
		if (r < 0)
			return look_fail(info->cli, info->target.name.region, r);
	}
	if (info->host != NULL)
		code = target_find(info->cli, info->host, name, &info->opts, &info->target);
	else if (!look_name(name, &info->target.name))
		return cli_fail(info->cli, name, -ENAMETOOLONG);
	if (code != CLI_OK)
		return code;
	wanted = info->host == NULL || is_bare(name) ||
		 info->target.segment->content == TARN_CONTENT_REGION;
	if (wanted || looks_like_region(info))
		r = open_region(info);
	if (r < 0 && wanted) {
		if (r == -EACCES || r == -EPERM)
			out_unreadable(&info->out);
		info->lacking = true;
		code = look_fail(info->cli, name, r);
		if (info->host == NULL)
			return code;
	}
	info->cli->diag = (struct tarn_diag){ 0 };
	if (!target_cut(info->cli, name, &info->target, &info->range, &info->off, &info->end)) {
		tarn_region_close(info->region);
		info->region = NULL;
		return cli_worse(code, CLI_FAILURE);
	}
	info->off += info->target.off;
	info->end += info->target.off;
	out_item(&info->out);
	r = info->host != NULL ? info_survey(info) : 0;
	info_facts(info);
	if (r == -EACCES || r == -ENOENT || r == -EAGAIN)
		info->cli->diag = (struct tarn_diag){ 0 }; /* then it is not known: null */
	else
		code = worse(info, code, r);
	info->lacking |= r < 0 || (info->region == NULL && info->target.segment != NULL &&
				   info->target.segment->state == TARN_STATE_UNKNOWN);
	code = cli_worse(code, put_lists(info));
	out_item_end(&info->out);
	tarn_region_close(info->region);
	info->region = NULL;
	return code;
}

static int info_run(struct cli *cli)
{
	struct info info = {
		.cli = cli,
		.maps = cli_given(cli, "maps"),
		.extents = cli_given(cli, "extents"),
		.frames = cli_given(cli, "frames"),
		.all = cli_given(cli, "all"),
	};
	char note[160];
	int worst = CLI_OK;

	if (!look_opts(cli, &info.opts) || !target_range(cli, &info.range))
		return CLI_USAGE;

	int code = out_begin(&info.out, cli);

	if (code >= 0)
		return code;
	worst = target_scan(cli, info.maps ? TARN_HOST_USAGE : 0, &info.host);
	if (worst == CLI_OK)
		segments_partial(&info.out, info.host, note);
	for (int i = 0; i < cli->argc; i++)
		worst = cli_worse(worst, info_one(&info, cli->argv[i]));
	/* That some process of the host could not be read is told, and no failure to show this. */
	code = out_end(&info.out, worst);
	tarn_host_free(info.host);
	return code == CLI_DENIED && !info.lacking ? worst : code;
}

static const struct cli_example info_examples[] = {
	{ "tarn info frames", "a region: sizes, members, objects, processes" },
	{ "tarn info house/sums", "a service: its servers, its clients, what is not answered" },
	{ "tarn info sysv:#5 --maps", "who has it attached, at which addresses, how much of it" },
	{ "tarn info shm:frames --frames --length 64K",
	  "that two processes' addresses are one memory" },
	{ "tarn info memfd:4711:5 --extents", "what of it is in memory" },
	{ "tarn info frames -J | jq '.items[0].members[].pid'", "the processes, for a script" },
	{ 0 },
};

static const struct cli_exit_note info_exits[] = {
	{ 1, "it ends before --offset" },
	{ 3, "there is no such segment or object" },
	{ 4, "permission denied, or not all could be found out for want of rights" },
	{ 6, "it is a region, or was named as one, and is damaged" },
	{ 0 },
};

const struct cli_cmd cmd_info = {
	.name = "info",
	.args = "ADDRESS[/OBJECT]...",
	.summary = "show what a piece of shared memory is, and who has it where",
	.about =
		"Shows all that is known of each segment, of any kind and whoever made it: sizes, "
		"owner, state, times, the processes that have it with their addresses and rights, "
		"locks, and how much of it is in memory and on which NUMA nodes. Of a region also "
		"members and objects, and of its topics for which process how many messages stay, "
		"and "
		"which publisher has no room for that, and of its services who serves, who calls, "
		"and how much is not answered; whether a member is alive is the kernel's "
		"word, which drops the member's lock when the process ends. A name without a kind "
		"is a region's.\n\n"
		"It looks on, and does not become a member; nothing is faulted in. A System V "
		"segment that no process has attached which this user may look into is attached "
		"for a moment by --extents, and by nothing else: its last-attach time and last pid "
		"show that.\n\n"
		"With --frames each page is shown with each process that has touched it: rows with "
		"one offset and one frame are one memory, whatever their addresses. Frame numbers "
		"need CAP_SYS_ADMIN. JSON has mappings, extents and frames where the option asks "
		"for them.",
	.operand = "region",
	.opts = info_opts,
	.schema = "tarn.info/1",
	.lists = info_lists,
	.examples = info_examples,
	.exits = info_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST,
	.arg_min = 1,
	.arg_max = -1,
	.run = info_run,
};
