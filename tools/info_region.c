/* SPDX-License-Identifier: BSD-2-Clause */
/* info_region.c - members and objects of a region. See info.h. */

#include "info.h"

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
const struct out_list info_member_list = { "members", member_cols };

static const struct out_col object_cols[] = {
	{ "object", "OBJECT", OUT_TEXT, "its name; REGION/OBJECT is its address", false },
	{ "kind", "KIND", OUT_TEXT, "bytes, ring, section, arena or extent (of an arena)", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "bytes that it occupies", false },
	{ "offset_bytes", "OFFSET", OUT_OFFSET, "from the region's first byte", false },
	{ "holders", "HOLDERS", OUT_COUNT, "live members that have it open", false },
	{ "removed", "REMOVED", OUT_BOOL, "its name is gone; kept for its holders", false },
	{ "created_ns", "CREATED", OUT_TIME, "when it was made", false },
	{ 0 },
};
const struct out_list info_object_list = { "objects", object_cols };

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
	struct info *info = arg;
	struct out *out = &info->out;

	if (info->target.name.object != NULL && stat->off != info->target.object.off)
		return 0; /* one alone was asked for */
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

int info_region(struct info *info)
{
	int r = 0;

	out_list(&info->out, &info_member_list);
	if (info->region != NULL)
		r = tarn_region_members(info->region, put_member, &info->out);
	out_list(&info->out, &info_object_list);
	if (info->region != NULL && r == 0)
		r = tarn_region_objects(info->region, put_object, info);
	return r;
}
