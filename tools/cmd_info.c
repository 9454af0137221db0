/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn info NAME... - what a region is, who is in it, and what it holds. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tarn/region.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "out.h"

static const struct out_col member_cols[] = {
	{ "slot", "SLOT", OUT_COUNT, "its slot in the region", false },
	{ "pid", "PID", OUT_SIGNED, "process, as seen in its own PID namespace", false },
	{ "uid", "UID", OUT_COUNT, "user", false },
	{ "command", "COMMAND", OUT_TEXT, "name of the program", false },
	{ "state", "STATE", OUT_TEXT, "alive or dead, by the kernel's lock", false },
	{ "joined_ns", "JOINED", OUT_TIME, "when it opened the region", false },
	{ "generation", "GENERATION", OUT_COUNT, "how many members the slot has had", true },
	{ 0 },
};
static const struct out_list member_list = { "members", member_cols };

static const struct out_col object_cols[] = {
	{ "object", "OBJECT", OUT_TEXT, "its name; REGION/OBJECT is its address", false },
	{ "kind", "KIND", OUT_TEXT, "bytes or ring", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "bytes that it occupies", false },
	{ "offset_bytes", "OFFSET", OUT_OFFSET, "from the region's first byte", false },
	{ "holders", "HOLDERS", OUT_COUNT, "live members that have it open", false },
	{ "removed", "REMOVED", OUT_BOOL, "its name is gone; kept for its holders", false },
	{ "created_ns", "CREATED", OUT_TIME, "when it was made", false },
	{ 0 },
};
static const struct out_list object_list = { "objects", object_cols };

static const struct out_col fact_cols[] = {
	{ "name", NULL, OUT_TEXT, "the region", false },
	{ "uuid", NULL, OUT_TEXT, "drawn when it was made", false },
	{ "size_bytes", NULL, OUT_SIZE, "room for objects", false },
	{ "max_size_bytes", NULL, OUT_SIZE, "room for objects after all growth", false },
	{ "used_bytes", NULL, OUT_SIZE, "what objects occupy", false },
	{ "total_bytes", NULL, OUT_SIZE, "the whole segment", false },
	{ "page_bytes", NULL, OUT_SIZE, "size of its pages", false },
	{ "uid", NULL, OUT_COUNT, "owner", false },
	{ "mode", NULL, OUT_TEXT, "permission bits, octal", false },
	{ "member_max", NULL, OUT_COUNT, "how many members it can have at once", false },
	{ "member_count", NULL, OUT_COUNT, "members that are alive", false },
	{ "object_max", NULL, OUT_COUNT, "how many objects it can hold", false },
	{ "object_count", NULL, OUT_COUNT, "objects that it holds", false },
	{ "creator_pid", NULL, OUT_SIGNED, "who made it, in its own PID namespace", false },
	{ "creator_uid", NULL, OUT_COUNT, "user who made it", false },
	{ "created_boot_id", NULL, OUT_TEXT, "of the host's boot in which it was made", false },
	{ "layout", NULL, OUT_COUNT, "hash of the format's structures", false },
	{ "removed", NULL, OUT_BOOL, "no name leads to it any more", false },
	{ "format", NULL, OUT_COUNT, "version of the format", false },
	{ "created_ns", NULL, OUT_TIME, "when it was made", false },
	{ "ephemeral", NULL, OUT_BOOL, "the last member to leave removes it", false },
	{ 0 },
};
static const struct out_list fact_list = { "items", fact_cols };

static const struct out_list *const info_lists[] = { &fact_list, &member_list, &object_list, NULL };

static int put_member(const struct tarn_member_stat *stat, void *arg)
{
	struct out *out = arg;

	out_row(out);
	out_number(out, "slot", stat->slot);
	out_number(out, "pid", (uint64_t)(int64_t)stat->pid);
	out_number(out, "uid", stat->uid);
	out_text(out, "command", stat->comm);
	out_text(out, "state", stat->alive ? "alive" : "dead");
	out_number(out, "joined_ns", (uint64_t)stat->joined_ns);
	out_number(out, "generation", stat->generation);
	return 0;
}

static int put_object(const struct tarn_object_stat *stat, void *arg)
{
	struct out *out = arg;

	out_row(out);
	out_text(out, "object", stat->name);
	out_text(out, "kind", look_kind(stat->kind));
	out_number(out, "size_bytes", stat->size);
	out_number(out, "offset_bytes", stat->off);
	out_number(out, "holders", stat->holder_count);
	out_bool(out, "removed", stat->removed);
	out_number(out, "created_ns", (uint64_t)stat->created_ns);
	return 0;
}

static void put_uuid(struct out *out, const char *key, const char *label, const uint8_t id[16])
{
	char text[37];
	char *p = text;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += snprintf(p, 3, "%02x", id[i]);
	}
	out_fact_text(out, key, label, text);
}

static void put_sizes(struct out *out, const struct tarn_region_stat *stat)
{
	char text[128], a[24], b[24], c[24], d[24];

	if (out->as_json) {
		out_fact_number(out, "size_bytes", NULL, OUT_SIZE, stat->size);
		out_fact_number(out, "max_size_bytes", NULL, OUT_SIZE, stat->max_size);
		out_fact_number(out, "used_bytes", NULL, OUT_SIZE, stat->used);
		out_fact_number(out, "total_bytes", NULL, OUT_SIZE, stat->total_size);
		return;
	}
	if (out->bytes)
		snprintf(text, sizeof(text),
			 "%llu for objects, %llu used, %llu at most, %llu in all",
			 (unsigned long long)stat->size, (unsigned long long)stat->used,
			 (unsigned long long)stat->max_size, (unsigned long long)stat->total_size);
	else
		snprintf(text, sizeof(text), "%s for objects, %s used, %s at most, %s in all",
			 text_size(stat->size, a), text_size(stat->used, b),
			 text_size(stat->max_size, c), text_size(stat->total_size, d));
	out_fact_text(out, "", "size", text);
}

static void put_facts(struct out *out, const char *name, const struct tarn_region_stat *stat,
		      const struct tarn_segment_stat *seg)
{
	char text[80];

	out_fact_text(out, "name", "name", name);
	put_uuid(out, "uuid", "uuid", stat->uuid);
	put_sizes(out, stat);
	out_fact_number(out, "page_bytes", "page", OUT_SIZE, seg->page_size);
	snprintf(text, sizeof(text), "%04o", seg->mode);
	if (out->as_json) {
		out_fact_number(out, "uid", NULL, OUT_COUNT, seg->uid);
		out_fact_text(out, "mode", NULL, text);
		out_fact_number(out, "member_max", NULL, OUT_COUNT, stat->member_max);
		out_fact_number(out, "member_count", NULL, OUT_COUNT, stat->member_count);
		out_fact_number(out, "object_max", NULL, OUT_COUNT, stat->object_max);
		out_fact_number(out, "object_count", NULL, OUT_COUNT, stat->object_count);
		out_fact_number(out, "creator_pid", NULL, OUT_SIGNED,
				(uint64_t)(int64_t)stat->creator_pid);
		out_fact_number(out, "creator_uid", NULL, OUT_COUNT, stat->creator_uid);
		put_uuid(out, "created_boot_id", NULL, stat->boot_id);
		out_fact_number(out, "layout", NULL, OUT_COUNT, stat->layout);
		out_fact_number(out, "removed", NULL, OUT_BOOL, stat->removed);
	} else {
		snprintf(text, sizeof(text), "uid %u, mode %04o", seg->uid, seg->mode);
		out_fact_text(out, "", "owner", text);
		snprintf(text, sizeof(text), "%u alive, room for %u", stat->member_count,
			 stat->member_max);
		out_fact_text(out, "", "members", text);
		snprintf(text, sizeof(text), "%u, room for %u", stat->object_count,
			 stat->object_max);
		out_fact_text(out, "", "objects", text);
	}
	out_fact_number(out, "format", "format", OUT_COUNT, stat->version);
	out_fact_number(out, "created_ns", "created", OUT_TIME, (uint64_t)stat->created_ns);
	out_fact_number(out, "ephemeral", "ephemeral", OUT_BOOL, stat->ephemeral);
}

static int info_one(struct cli *cli, struct out *out, const char *name,
		    const struct tarn_region_opts *opts)
{
	struct tarn_region *region = NULL;
	struct tarn_region_stat stat;
	struct tarn_segment_stat seg;
	int r = tarn_region_open(name, opts, &region);

	if (r == 0)
		r = tarn_region_stat(region, &stat);
	if (r == 0)
		r = tarn_segment_stat(tarn_region_segment(region), &seg);
	if (r == 0) {
		out_item(out);
		put_facts(out, name, &stat, &seg);
		out_list(out, &member_list);
		r = tarn_region_members(region, put_member, out);
		out_list(out, &object_list);
		if (r == 0)
			r = tarn_region_objects(region, put_object, out);
		out_item_end(out);
	}
	tarn_region_close(region);
	if (r == -EACCES || r == -EPERM)
		out_unreadable(out);
	return r < 0 ? look_fail(cli, name, r) : CLI_OK;
}

static int info_run(struct cli *cli)
{
	struct tarn_region_opts opts;
	struct out out;
	int worst = CLI_OK;

	if (!look_opts(cli, &opts))
		return CLI_USAGE;

	int code = out_begin(&out, cli);

	if (code >= 0)
		return code;
	for (int i = 0; i < cli->argc; i++)
		worst = cli_worse(worst, info_one(cli, &out, cli->argv[i], &opts));
	return out_end(&out, worst);
}

static const struct cli_example info_examples[] = {
	{ "tarn info frames", "sizes, members and objects" },
	{ "tarn info frames -J | jq '.items[0].members[].pid'", "the processes, for a script" },
	{ 0 },
};

static const struct cli_exit_note info_exits[] = {
	{ 3, "there is no such region" },
	{ 4, "permission denied" },
	{ 6, "it is damaged" },
	{ 0 },
};

const struct cli_cmd cmd_info = {
	.name = "info",
	.args = "NAME...",
	.summary = "show what a region is, who is in it, and what it holds",
	.about =
		"Shows sizes, members and objects of each region NAME. It looks on, read-only, and "
		"does not become a member. Whether a member is alive is the kernel's word: it "
		"drops "
		"the member's lock when the process ends.",
	.operand = "region",
	.schema = "tarn.info/1",
	.lists = info_lists,
	.examples = info_examples,
	.exits = info_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST,
	.arg_min = 1,
	.arg_max = -1,
	.run = info_run,
};
