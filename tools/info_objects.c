/* SPDX-License-Identifier: BSD-2-Clause */
/* info_objects.c - what objects say of themselves: sections, arenas, latest values. See info.h, and
 * info_topics.c for topics, info_calls.c for services. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <tarn/arena.h>
#include <tarn/latest.h>
#include <tarn/lock.h>
#include <tarn/section.h>
#include <tarn/type.h>

#include "info.h"

static const struct out_col section_cols[] = {
	{ "section", "SECTION", OUT_TEXT, "its name", false },
	{ "state", "STATE", OUT_TEXT,
	  "free, held, dead (its owner is; the next to enter undoes what that one changed), "
	  "set aside (that could not be undone: tarn recover) or damaged (its words contradict "
	  "each "
	  "other: the same)",
	  false },
	{ "pid", "PID", OUT_SIGNED, "process of its owner, as seen in its own PID namespace",
	  false },
	{ "tid", "TID", OUT_SIGNED, "its thread", false },
	{ "held_ns", "HELD", OUT_AGE, "since when at least, once somebody waits", false },
	{ "waiters", "WAITERS", OUT_COUNT, "threads that wait, as far as there was room to note",
	  false },
	{ "waiter_pids", NULL, OUT_TEXT, "their processes, apart by commas", false },
	{ "journal_bytes", "JOURNAL", OUT_SIZE, "size of its journal", false },
	{ "journal_used_bytes", "USED", OUT_SIZE, "of it, by the tx under way", false },
	{ "version", "VERSION", OUT_COUNT, "two more a pass; odd while somebody is inside", false },
	{ "waited", "WAITED", OUT_COUNT, "how often somebody slept for it", true },
	{ "aborted", "ABORTED", OUT_COUNT, "how often its changes were given up", true },
	{ "recovered", "RECOVERED", OUT_COUNT, "how often a dead owner's were undone", false },
	{ 0 },
};
const struct out_list info_section_list = { "sections", section_cols };

static const struct out_col arena_cols[] = {
	{ "arena", "ARENA", OUT_TEXT, "its name", false },
	{ "section", "SECTION", OUT_TEXT,
	  "whose tx changes it; while that section is dead, set aside or always held, this and "
	  "what "
	  "follows are not known",
	  false },
	{ "size_bytes", "SIZE", OUT_SIZE, "room for blocks", false },
	{ "max_size_bytes", "MAX", OUT_SIZE, "by growth", false },
	{ "used_bytes", "USED", OUT_SIZE, "what blocks have", false },
	{ "blocks", "BLOCKS", OUT_COUNT, "how many", false },
	{ "free_bytes", "FREE", OUT_SIZE, "what blocks can have without growth", false },
	{ "largest_bytes", "LARGEST", OUT_SIZE, "the largest of them", false },
	{ "overhead_bytes", "OVERHEAD", OUT_SIZE, "tables, and what aligning takes", true },
	{ "fragmentation", "FRAG", OUT_COUNT,
	  "thousandths of the free pages that are outside of the largest run", false },
	{ "extents", "EXTENTS", OUT_COUNT, "pieces that it consists of", false },
	{ 0 },
};
const struct out_list info_arena_list = { "arenas", arena_cols };

static const struct out_col latest_cols[] = {
	{ "latest", "LATEST", OUT_TEXT, "its name", false },
	{ "type", "TYPE", OUT_TEXT, "of its values; none: they are bytes", false },
	{ "number", "NUMBER", OUT_COUNT, "of the newest value: so many were written", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "of the newest value", false },
	{ "max_size_bytes", "MAX", OUT_SIZE, "of the largest that there is room for", false },
	{ "in_place", "IN-PLACE", OUT_BOOL, "may writers fill them in place?", true },
	{ "writer", "WRITER", OUT_SIGNED, "process that writes one now", false },
	{ "holders", "HOLDERS", OUT_COUNT, "handles that hold a value now, or died with one",
	  false },
	{ "max_holders", "ROOM", OUT_COUNT, "how many may", false },
	{ "holder_pids", "PIDS", OUT_TEXT, "their processes, apart by commas", false },
	{ 0 },
};
const struct out_list info_latest_list = { "latests", latest_cols };

static const struct out_col struct_cols[] = {
	{ "struct", "STRUCT", OUT_TEXT, "its name", false },
	{ "type", "TYPE", OUT_TEXT, "name of its type", false },
	{ "version", "VERSION", OUT_COUNT, "of the type", false },
	{ "type_hash", "HASH", OUT_TEXT,
	  "of the type, hexadecimal: programs with the same one have the same struct", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "of the struct", false },
	{ "section", "SECTION", OUT_TEXT, "name of the section that guards it, if one does",
	  false },
	{ 0 },
};
const struct out_list info_struct_list = { "structs", struct_cols };

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

const char *info_section_state(const struct tarn_section_stat *stat)
{
	return stat->set_aside     ? "set aside"
	       : stat->damaged     ? "damaged"
	       : !stat->held       ? "free"
	       : stat->owner.alive ? "held"
				   : "dead";
}

static void put_waiters(struct out *out, const struct tarn_section_stat *stat)
{
	char pids[TARN_SECTION_WAITERS * 12] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < stat->waiter_count && used < sizeof(pids); i++)
		used += (size_t)snprintf(pids + used, sizeof(pids) - used, "%s%d", i > 0 ? "," : "",
					 stat->waiters[i].pid);
	out_number(out, "waiters", stat->waiter_count);
	out_text(out, "waiter_pids", stat->waiter_count > 0 ? pids : NULL);
}

static int put_section(struct info *info, const struct tarn_object_stat *object)
{
	struct tarn_section_stat stat;
	struct tarn_section *section;
	struct out *out = &info->out;
	int r = tarn_section_open(info->region, object->name, NULL, &section);

	if (r < 0)
		return r;
	r = tarn_section_stat(section, &stat);
	tarn_section_close(section);
	if (r < 0)
		return r;
	out_row(out);
	out_text(out, "section", object->name);
	out_text(out, "state", info_section_state(&stat));
	out_number_if(out, "pid", (uint64_t)(int64_t)stat.owner.pid, stat.held && !stat.damaged);
	out_number_if(out, "tid", (uint64_t)(int64_t)stat.owner.tid, stat.held && !stat.damaged);
	out_number_if(out, "held_ns", (uint64_t)(now_ns() - stat.since_ns), stat.since_ns != 0);
	put_waiters(out, &stat);
	out_number(out, "journal_bytes", stat.journal_size);
	out_number(out, "journal_used_bytes", stat.journal_used);
	out_number(out, "version", stat.version);
	out_number(out, "waited", stat.wait_count);
	out_number(out, "aborted", stat.abort_count);
	out_number(out, "recovered", stat.recover_count);
	return 0;
}

struct named {
	uint64_t off;
	char name[TARN_OBJECT_NAME_MAX + 1];
};

static int name_of(const struct tarn_object_stat *object, void *arg)
{
	struct named *named = arg;

	if (object->off != named->off || object->removed)
		return 0;
	memcpy(named->name, object->name, sizeof(named->name));
	return 1;
}

/* Not to be counted without entering: it changes all the time, or a dead one's changes stand
 * there. */
static bool is_unsettled(int error)
{
	return error == -EAGAIN || error == -EOWNERDEAD || error == -ENOTRECOVERABLE;
}

static int put_arena(struct info *info, const struct tarn_object_stat *object)
{
	struct out *out = &info->out;
	struct tarn_arena_stat stat;
	struct tarn_arena *arena;
	struct named section = { .off = 0 };
	int r = tarn_arena_open(info->region, object->name, NULL, &arena);

	if (r < 0)
		return r;
	r = tarn_arena_stat(arena, &stat);
	tarn_arena_close(arena);
	if (r < 0 && !is_unsettled(r))
		return r;
	out_row(out);
	out_text(out, "arena", object->name);
	if (r < 0)
		return 0;
	section.off = stat.section;
	(void)!tarn_region_objects(info->region, name_of, &section);
	out_text(out, "section", section.name[0] != '\0' ? section.name : NULL);
	out_number(out, "size_bytes", stat.size);
	out_number(out, "max_size_bytes", stat.max_size);
	out_number(out, "used_bytes", stat.used);
	out_number(out, "blocks", stat.used_count);
	out_number(out, "free_bytes", stat.free);
	out_number(out, "largest_bytes", stat.largest);
	out_number(out, "overhead_bytes", stat.overhead);
	out_number(out, "fragmentation", stat.fragmentation);
	out_number(out, "extents", stat.extents);
	return 0;
}

/* Who writes, and who holds a value. */
static void put_latest_users(struct info *info, const char *name)
{
	struct tarn_lock_who who[TARN_LATEST_HOLDERS_MAX + 1];
	const uint32_t room = sizeof(who) / sizeof(who[0]);
	struct tarn_lock_stat stat;
	char pids[sizeof(who) / sizeof(who[0]) * 12] = "";
	size_t used = 0;

	if (tarn_lock_stat(info->region, name, &stat, who, room) < 0)
		return;
	for (uint32_t i = 0; i < stat.who_count && i < room; i++) {
		if (who[i].role == TARN_LOCK_HOLDS)
			out_number(&info->out, "writer", (uint64_t)(int64_t)who[i].pid);
		if (who[i].role == TARN_LOCK_SHARES)
			used += (size_t)snprintf(pids + used, sizeof(pids) - used, "%s%d",
						 used > 0 ? "," : "", who[i].pid);
	}
	out_text(&info->out, "holder_pids", used > 0 ? pids : NULL);
}

static int put_latest(struct info *info, const struct tarn_object_stat *object)
{
	struct out *out = &info->out;
	struct tarn_latest_stat stat;
	struct tarn_latest *latest;
	struct tarn_type *type = NULL;
	int r = tarn_latest_open(info->region, object->name, NULL, &latest);

	if (r < 0)
		return r;
	r = tarn_latest_stat(latest, &stat);
	if (r == 0 && tarn_latest_describe(latest, &type) == -EUCLEAN)
		r = -EUCLEAN;
	tarn_latest_close(latest);
	if (r < 0)
		return r;
	out_row(out);
	out_text(out, "latest", object->name);
	out_text(out, "type", type != NULL ? type->name : NULL);
	out_number(out, "number", stat.number);
	out_number_if(out, "size_bytes", stat.size, stat.number != 0);
	out_number(out, "max_size_bytes", stat.size_max);
	out_bool(out, "in_place", (stat.flags & TARN_LATEST_IN_PLACE) != 0);
	out_number(out, "holders", stat.holders);
	out_number(out, "max_holders", stat.holders_max);
	put_latest_users(info, object->name);
	tarn_type_free(type);
	return 0;
}

static int put_struct(struct info *info, const struct tarn_object_stat *object)
{
	struct out *out = &info->out;
	struct tarn_struct_stat stat;
	struct tarn_type *type;
	char hash[24];
	int r = tarn_struct_describe(info->region, object->name, &type, &stat, NULL);

	if (r < 0)
		return r;
	snprintf(hash, sizeof(hash), "%016" PRIx64, tarn_type_hash(type));
	out_row(out);
	out_text(out, "struct", object->name);
	out_text(out, "type", stat.type);
	out_number(out, "version", stat.version);
	out_text(out, "type_hash", hash);
	out_number(out, "size_bytes", stat.size);
	out_text(out, "section", stat.section[0] != '\0' ? stat.section : NULL);
	tarn_type_free(type);
	return 0;
}

struct each {
	struct info *info;
	uint32_t kind;
	int (*put)(struct info *info, const struct tarn_object_stat *object);
	int error; /* the first; the others are shown all the same */
};

static int put_one(const struct tarn_object_stat *object, void *arg)
{
	struct each *each = arg;
	struct info *info = each->info;
	int r;

	if (object->kind != each->kind || object->removed ||
	    (info->target.name.object != NULL && object->off != info->target.object.off))
		return 0;
	r = each->put(info, object);
	if (r < 0 && r != -ENOENT && each->error == 0)
		each->error = r;
	return 0;
}

static int put_kind(struct info *info, const struct out_list *list, struct each *each)
{
	int r = 0;

	out_list(&info->out, list);
	if (info->region != NULL)
		r = tarn_region_objects(info->region, put_one, each);
	return r < 0 ? r : each->error;
}

int info_objects(struct info *info)
{
	struct {
		const struct out_list *list;
		struct each each;
	} kinds[] = {
		{ &info_section_list, { info, TARN_OBJECT_SECTION, put_section, 0 } },
		{ &info_arena_list, { info, TARN_OBJECT_ARENA, put_arena, 0 } },
		{ &info_latest_list, { info, TARN_OBJECT_LATEST, put_latest, 0 } },
		{ &info_struct_list, { info, TARN_OBJECT_STRUCT, put_struct, 0 } },
		{ &info_holder_list, { info, TARN_OBJECT_TOPIC, info_topic, 0 } },
		{ &info_party_list, { info, TARN_OBJECT_SERVICE, info_service, 0 } },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int of_kind = put_kind(info, kinds[i].list, &kinds[i].each);

		r = r < 0 ? r : of_kind;
	}
	return r;
}
