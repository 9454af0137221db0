/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * info_facts.c - what a segment or region is, in lines for the eye and in keys. See info.h.
 *
 * JSON has every key for everything, null where it does not apply or is not known, so that a script
 * need not ask what kind it has. Of a region size_bytes is the room for objects, as it was before
 * there was anything but regions to show; total_bytes is the whole segment of everything.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "info.h"
#include "segments.h"

static const struct out_col fact_cols[] = {
	{ "name", NULL, OUT_TEXT, "as it was given", false },
	{ "address", NULL, OUT_TEXT, "as tarn ls has it", false },
	{ "type", NULL, OUT_TEXT, "posix, sysv, memfd, huge, anon or file", false },
	{ "label", NULL, OUT_TEXT, "the name it has for the eye, where the address has none",
	  false },
	{ "content", NULL, OUT_TEXT,
	  "region, control (of a System V region), temporary or semaphore; null: not known",
	  false },
	{ "state", NULL, OUT_TEXT,
	  "live, idle, orphan, deleted, stale or unknown, as tarn ls has it", false },
	{ "proof", NULL, OUT_TEXT, "why it is known that nobody alive needs it", false },
	{ "size_bytes", NULL, OUT_SIZE, "of a region room for objects, else the whole segment",
	  false },
	{ "total_bytes", NULL, OUT_SIZE, "the whole segment", false },
	{ "touched_bytes", NULL, OUT_SIZE, "how much of it is in memory or swap", false },
	{ "swap_bytes", NULL, OUT_SIZE, "how much of that is in swap", false },
	{ "page_bytes", NULL, OUT_SIZE, "size of its pages", false },
	{ "range_offset_bytes", NULL, OUT_OFFSET,
	  "the part that the following, extents and frames are about: the object, --offset; 0: all",
	  false },
	{ "range_bytes", NULL, OUT_SIZE, "length of that part", false },
	{ "resident_bytes", NULL, OUT_SIZE, "in memory", false },
	{ "swapped_bytes", NULL, OUT_SIZE, "has contents, not in memory", false },
	{ "reserved_bytes", NULL, OUT_SIZE, "set aside, nothing written yet", false },
	{ "hole_bytes", NULL, OUT_SIZE, "takes no memory", false },
	{ "unknown_bytes", NULL, OUT_SIZE, "of which it cannot be told", false },
	{ "owner", NULL, OUT_TEXT, "user who owns it, by name if there is one", false },
	{ "uid", NULL, OUT_COUNT, "by number", false },
	{ "gid", NULL, OUT_COUNT, "group, by number", false },
	{ "mode", NULL, OUT_TEXT, "permission bits, octal", false },
	{ "attach_count", NULL, OUT_COUNT,
	  "System V: attachments, by the kernel's count; else the mappings seen", false },
	{ "process_count", NULL, OUT_COUNT, "processes seen that have it mapped or open", false },
	{ "seals", NULL, OUT_TEXT,
	  "memfd: words apart by commas of seal, shrink, grow, write, future_write and exec",
	  false },
	{ "key", NULL, OUT_COUNT, "System V: the key, 0 if it is private", false },
	{ "id", NULL, OUT_SIGNED, "System V: the identifier", false },
	{ "inode", NULL, OUT_COUNT, "inode; of System V the identifier", false },
	{ "device", NULL, OUT_COUNT, "st_dev", false },
	{ "creator_pid", NULL, OUT_SIGNED,
	  "process that made it, of System V, and of regions in its own PID namespace", false },
	{ "creator", NULL, OUT_TEXT, "the program that made it, if it is alive", false },
	{ "creator_uid", NULL, OUT_COUNT, "user who made it, of System V and regions", false },
	{ "last_pid", NULL, OUT_SIGNED, "System V: process that attached or detached last", false },
	{ "created_ns", NULL, OUT_TIME,
	  "when it was made, or its owner or mode last changed where that is all the kernel keeps",
	  false },
	{ "attached_ns", NULL, OUT_TIME, "System V: last attached", false },
	{ "detached_ns", NULL, OUT_TIME, "System V: last detached", false },
	{ "removed", NULL, OUT_BOOL, "no name leads to it any more", false },
	{ "elsewhere", NULL, OUT_BOOL,
	  "of another IPC or mount namespace: its own name means nothing here", false },
	{ "uuid", NULL, OUT_TEXT, "region: drawn when it was made", false },
	{ "max_size_bytes", NULL, OUT_SIZE, "region: room for objects after all growth", false },
	{ "used_bytes", NULL, OUT_SIZE, "region: what objects occupy", false },
	{ "member_max", NULL, OUT_COUNT, "region: how many members it can have at once", false },
	{ "member_count", NULL, OUT_COUNT, "region: members that are alive", false },
	{ "object_max", NULL, OUT_COUNT, "region: how many objects it can hold", false },
	{ "object_count", NULL, OUT_COUNT, "region: objects that it holds", false },
	{ "created_boot_id", NULL, OUT_TEXT, "region: of the host's boot in which it was made",
	  false },
	{ "layout", NULL, OUT_COUNT, "region: hash of the format's structures", false },
	{ "format", NULL, OUT_COUNT, "region: version of the format", false },
	{ "ephemeral", NULL, OUT_BOOL, "region: the last member to leave removes it", false },
	{ 0 },
};
const struct out_list info_fact_list = { "items", fact_cols };

static const char *uuid_text(const uint8_t id[16], char buf[37])
{
	char *p = buf;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += snprintf(p, 3, "%02x", id[i]);
	}
	return buf;
}

/* --- keys ---------------------------------------------------------------------------------- */

static void key_number(struct out *out, const char *key, enum out_type type, uint64_t value,
		       bool known)
{
	if (known)
		out_fact_number(out, key, NULL, type, value);
	else
		out_fact_text(out, key, NULL, NULL);
}

static void key_size(struct out *out, const char *key, uint64_t size)
{
	key_number(out, key, OUT_SIZE, size, size != TARN_HOST_UNKNOWN);
}

static void keys_of_region(struct info *info)
{
	const struct tarn_region_stat *stat = &info->region_stat;
	struct out *out = &info->out;
	bool is = info->region != NULL;
	char text[37];

	out_fact_text(out, "uuid", NULL, is ? uuid_text(stat->uuid, text) : NULL);
	key_number(out, "max_size_bytes", OUT_SIZE, stat->max_size, is);
	key_number(out, "used_bytes", OUT_SIZE, stat->used, is);
	key_number(out, "member_max", OUT_COUNT, stat->member_max, is);
	key_number(out, "member_count", OUT_COUNT, stat->member_count, is);
	key_number(out, "object_max", OUT_COUNT, stat->object_max, is);
	key_number(out, "object_count", OUT_COUNT, stat->object_count, is);
	out_fact_text(out, "created_boot_id", NULL, is ? uuid_text(stat->boot_id, text) : NULL);
	key_number(out, "layout", OUT_COUNT, stat->layout, is);
	key_number(out, "format", OUT_COUNT, stat->version, is);
	key_number(out, "ephemeral", OUT_BOOL, stat->ephemeral, is);
}

static void keys_of_memory(struct info *info)
{
	const struct info_sums *sums = &info->sums;
	const uint64_t *bytes = sums->bytes;
	struct out *out = &info->out;

	key_number(out, "range_offset_bytes", OUT_OFFSET, info->off, true);
	key_number(out, "range_bytes", OUT_SIZE, info->end - info->off, true);
	key_number(out, "resident_bytes", OUT_SIZE, bytes[TARN_EXTENT_RESIDENT], sums->known);
	key_number(out, "swapped_bytes", OUT_SIZE, bytes[TARN_EXTENT_SWAPPED], sums->known);
	key_number(out, "reserved_bytes", OUT_SIZE, bytes[TARN_EXTENT_RESERVED], sums->known);
	key_number(out, "hole_bytes", OUT_SIZE, bytes[TARN_EXTENT_HOLE], sums->known);
	key_number(out, "unknown_bytes", OUT_SIZE,
		   bytes[TARN_EXTENT_TOUCHED] + bytes[TARN_EXTENT_UNKNOWN], sums->known);
}

static void keys_of_owner(struct info *info, const struct tarn_host_segment *seg)
{
	struct out *out = &info->out;
	bool sysv = seg->kind == TARN_SEGMENT_SYSV, is = info->region != NULL;
	char text[80];

	out_fact_text(out, "owner", NULL, segments_user(seg->uid));
	key_number(out, "uid", OUT_COUNT, seg->uid, seg->uid != UINT32_MAX);
	key_number(out, "gid", OUT_COUNT, seg->gid, seg->gid != UINT32_MAX);
	out_fact_text(out, "mode", NULL, segments_mode(seg->mode, text));
	key_number(out, "attach_count", OUT_COUNT, seg->attach_count, info->host != NULL);
	key_number(out, "process_count", OUT_COUNT, seg->process_count, info->host != NULL);
	out_fact_text(out, "seals", NULL,
		      seg->seals != UINT32_MAX ? segments_seals(seg->seals, text) : NULL);
	key_number(out, "key", OUT_COUNT, (uint32_t)seg->key, sysv && !seg->elsewhere);
	key_number(out, "id", OUT_SIGNED, (uint64_t)(int64_t)seg->id, sysv);
	key_number(out, "inode", OUT_COUNT, seg->inode, true);
	key_number(out, "device", OUT_COUNT, seg->dev, info->host != NULL);
	if (is)
		key_number(out, "creator_pid", OUT_SIGNED,
			   (uint64_t)(int64_t)info->region_stat.creator_pid, true);
	else
		key_number(out, "creator_pid", OUT_SIGNED, (uint64_t)seg->creator_pid,
			   seg->creator_pid != 0);
	out_fact_text(out, "creator", NULL, seg->creator[0] != '\0' ? seg->creator : NULL);
	key_number(out, "creator_uid", OUT_COUNT, is ? info->region_stat.creator_uid : seg->cuid,
		   is || (sysv && seg->cuid != UINT32_MAX));
	key_number(out, "last_pid", OUT_SIGNED, (uint64_t)seg->last_pid, seg->last_pid != 0);
	key_number(out, "created_ns", OUT_TIME,
		   (uint64_t)(is ? info->region_stat.created_ns : seg->created_ns),
		   is || seg->created_ns != 0);
	key_number(out, "attached_ns", OUT_TIME, (uint64_t)seg->attached_ns, seg->attached_ns != 0);
	key_number(out, "detached_ns", OUT_TIME, (uint64_t)seg->detached_ns, seg->detached_ns != 0);
	key_number(out, "removed", OUT_BOOL, is ? info->region_stat.removed : seg->removed, true);
	key_number(out, "elsewhere", OUT_BOOL, seg->elsewhere, true);
}

static void put_keys(struct info *info, const struct tarn_host_segment *seg)
{
	struct out *out = &info->out;

	out_fact_text(out, "name", NULL, info->name);
	out_fact_text(out, "address", NULL, seg->addr);
	out_fact_text(out, "type", NULL, segments_type(seg->kind));
	out_fact_text(out, "label", NULL, seg->label);
	out_fact_text(out, "content", NULL,
		      info->region != NULL ? "region" : segments_content(seg->content));
	out_fact_text(out, "state", NULL, info->host != NULL ? segments_state(seg->state) : NULL);
	out_fact_text(out, "proof", NULL, seg->proof);
	key_size(out, "size_bytes", info->region != NULL ? info->region_stat.size : seg->size);
	key_size(out, "total_bytes", seg->size);
	key_size(out, "touched_bytes", seg->touched);
	key_size(out, "swap_bytes", seg->swap);
	key_number(out, "page_bytes", OUT_SIZE, seg->page_size, seg->page_size != 0);
	keys_of_memory(info);
	keys_of_owner(info, seg);
	keys_of_region(info);
}

/* --- lines --------------------------------------------------------------------------------- */

static const char *size_text(const struct info *info, uint64_t size, char buf[24])
{
	if (!info->out.bytes)
		return text_size(size, buf);
	snprintf(buf, 24, "%" PRIu64, size);
	return buf;
}

static void line_of_size(struct info *info, const struct tarn_host_segment *seg)
{
	const struct tarn_region_stat *stat = &info->region_stat;
	char text[160], a[24], b[24], c[24], d[24];

	if (info->region != NULL)
		snprintf(text, sizeof(text), "%s for objects, %s used, %s at most, %s in all",
			 size_text(info, stat->size, a), size_text(info, stat->used, b),
			 size_text(info, stat->max_size, c), size_text(info, stat->total_size, d));
	else if (seg->touched != TARN_HOST_UNKNOWN)
		snprintf(text, sizeof(text), "%s, %s touched", size_text(info, seg->size, a),
			 size_text(info, seg->touched, b));
	else
		snprintf(text, sizeof(text), "%s", size_text(info, seg->size, a));
	out_fact_text(&info->out, "", "size", text);
	if (seg->page_size != 0)
		out_fact_text(&info->out, "", "page", size_text(info, seg->page_size, a));
}

/* "12 KiB resident in 2 stretches, 4 KiB reserved, 1008 KiB hole" */
static void line_of_memory(struct info *info)
{
	static const char *const words[] = { NULL,       "resident", "swapped",
					     "reserved", "hole",     "touched, in memory or swap",
					     "not known" };
	const struct info_sums *sums = &info->sums;
	char text[256] = "", a[24];
	size_t used = 0;

	for (int kind = 1; kind <= TARN_EXTENT_UNKNOWN; kind++)
		if (sums->bytes[kind] > 0)
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "%s%s %s", used > 0 ? ", " : "",
				size_text(info, sums->bytes[kind], a), words[kind]);
	if (sums->stretches > 1)
		snprintf(text + used, sizeof(text) - used, "; data in %" PRIu64 " stretches",
			 sums->stretches);
	if (sums->known && used > 0)
		out_fact_text(&info->out, "", "memory", text);
	text[0] = '\0';
	used = 0;
	for (unsigned i = 0; i < INFO_NODES && used < sizeof(text); i++)
		if (sums->node[i] > 0)
			used += (size_t)snprintf(text + used, sizeof(text) - used,
						 "%s%s on node %u", used > 0 ? ", " : "",
						 size_text(info, sums->node[i], a), i);
	if (used > 0)
		out_fact_text(&info->out, "", "numa", text);
}

static void line_of_range(struct info *info)
{
	char text[120], a[24];

	if (info->target.name.object == NULL && info->off == 0 && info->end == info->target.size)
		return;
	snprintf(text, sizeof(text),
		 "%s from 0x%" PRIx64 ", which memory, extents and frames are "
		 "about",
		 size_text(info, info->end - info->off, a), info->off);
	out_fact_text(&info->out, "", "part", text);
}

static void line_of_state(struct info *info, const struct tarn_host_segment *seg)
{
	char text[400];

	if (seg->proof != NULL)
		snprintf(text, sizeof(text), "%s: %s", segments_state(seg->state), seg->proof);
	else
		snprintf(text, sizeof(text), "%s: %u process%s, %" PRIu64 " %s%s",
			 segments_state(seg->state), seg->process_count,
			 seg->process_count == 1 ? "" : "es", seg->attach_count,
			 seg->kind == TARN_SEGMENT_SYSV ? "attachment" : "mapping",
			 seg->attach_count == 1 ? "" : "s");
	out_fact_text(&info->out, "", "state", text);
}

static void line_of_owner(struct info *info, const struct tarn_host_segment *seg)
{
	char text[160], mode[8];
	const char *user = segments_user(seg->uid);

	if (user == NULL)
		return;
	snprintf(text, sizeof(text), "%s, uid %u, mode %s", user, seg->uid,
		 seg->mode != UINT32_MAX ? segments_mode(seg->mode, mode) : "not known");
	out_fact_text(&info->out, "", "owner", text);
}

static void lines_of_sysv(struct info *info, const struct tarn_host_segment *seg)
{
	char text[160];

	snprintf(text, sizeof(text), "%d, key 0x%08x%s", seg->id, (uint32_t)seg->key,
		 seg->key == 0 ? " (private)" : "");
	out_fact_text(&info->out, "", "id", text);
	if (seg->creator_pid != 0 && info->region == NULL) {
		snprintf(text, sizeof(text), "pid %d%s%s%s; last used by pid %d", seg->creator_pid,
			 seg->creator[0] != '\0' ? " (" : "", seg->creator,
			 seg->creator[0] != '\0' ? ")" : "", seg->last_pid);
		out_fact_text(&info->out, "", "creator", text);
	}
	if (seg->attached_ns != 0)
		out_fact_number(&info->out, "", "attached", OUT_TIME, (uint64_t)seg->attached_ns);
	if (seg->detached_ns != 0)
		out_fact_number(&info->out, "", "detached", OUT_TIME, (uint64_t)seg->detached_ns);
}

static void lines_of_region(struct info *info)
{
	const struct tarn_region_stat *stat = &info->region_stat;
	struct out *out = &info->out;
	char text[80];

	snprintf(text, sizeof(text), "%u alive, room for %u", stat->member_count, stat->member_max);
	out_fact_text(out, "", "members", text);
	snprintf(text, sizeof(text), "%u, room for %u", stat->object_count, stat->object_max);
	out_fact_text(out, "", "objects", text);
	out_fact_number(out, "", "format", OUT_COUNT, stat->version);
	out_fact_number(out, "", "ephemeral", OUT_BOOL, stat->ephemeral);
}

static void put_lines(struct info *info, const struct tarn_host_segment *seg)
{
	struct out *out = &info->out;
	int64_t created = info->region != NULL ? info->region_stat.created_ns : seg->created_ns;
	char text[160], seals[80];

	out_fact_text(out, "", "name", info->name);
	if (info->host != NULL && strcmp(seg->addr, info->name) != 0)
		out_fact_text(out, "", "address", seg->addr);
	if (seg->label != NULL)
		out_fact_text(out, "", "label", seg->label);
	snprintf(text, sizeof(text), "%s%s%s%s", segments_type(seg->kind),
		 info->region != NULL || seg->content != TARN_CONTENT_UNKNOWN ? ", " : "",
		 info->region != NULL                   ? "region"
		 : seg->content != TARN_CONTENT_UNKNOWN ? segments_content(seg->content)
							: "",
		 seg->elsewhere ? ", of another namespace" : "");
	out_fact_text(out, "", "type", text);
	if (info->region != NULL)
		out_fact_text(out, "", "uuid", uuid_text(info->region_stat.uuid, text));
	line_of_size(info, seg);
	line_of_range(info);
	line_of_memory(info);
	line_of_owner(info, seg);
	if (info->host != NULL)
		line_of_state(info, seg);
	if (info->region != NULL)
		lines_of_region(info);
	if (seg->kind == TARN_SEGMENT_SYSV)
		lines_of_sysv(info, seg);
	if (seg->seals != UINT32_MAX)
		out_fact_text(out, "", "seals",
			      seg->seals != 0 ? segments_seals(seg->seals, seals) : "none");
	if (created != 0)
		out_fact_number(out, "", "created", OUT_TIME, (uint64_t)created);
	snprintf(text, sizeof(text), "%" PRIu64 " on device 0x%" PRIx64, seg->inode, seg->dev);
	if (seg->kind != TARN_SEGMENT_SYSV && info->host != NULL)
		out_fact_text(out, "", "inode", text);
}

/* What a region's own handle knows, where no picture could be taken. */
static struct tarn_host_segment segment_of(const struct info *info)
{
	const struct tarn_segment_stat *stat = &info->segment_stat;

	return (struct tarn_host_segment){
		.kind = stat->kind,
		.addr = info->name,
		.size = stat->size,
		.touched = stat->resident,
		.swap = TARN_HOST_UNKNOWN,
		.page_size = stat->page_size,
		.inode = stat->inode,
		.uid = stat->uid,
		.gid = stat->gid,
		.cuid = stat->cuid,
		.mode = stat->mode,
		.seals = UINT32_MAX,
		.key = stat->key,
		.id = stat->id,
		.removed = stat->removed,
	};
}

void info_facts(struct info *info)
{
	struct tarn_host_segment alone;
	const struct tarn_host_segment *seg = info->target.segment;

	if (seg == NULL) {
		alone = segment_of(info);
		seg = &alone;
	}
	if (info->out.as_json)
		put_keys(info, seg);
	else
		put_lines(info, seg);
}
