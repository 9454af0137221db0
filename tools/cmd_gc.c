/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn gc [NAME...] - reclaim what dead processes left behind; a dry run without --yes. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tarn/region.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "out.h"
#include "scan.h"

static const struct out_col gc_cols[] = {
	{ "name", "NAME", OUT_TEXT, "the region or file", false },
	{ "what", "WHAT", OUT_TEXT, "region, slots, objects, file or segment", false },
	{ "count", "COUNT", OUT_COUNT, "how many: slots and objects of a region, else 1", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "memory that is given back", false },
	{ "action", "ACTION", OUT_TEXT, "reclaimed, or would reclaim", false },
	{ "proof", "PROOF", OUT_TEXT, "why nobody alive needs it", false },
	{ 0 },
};
static const struct out_list gc_list = { "items", gc_cols };
static const struct out_list *const gc_lists[] = { &gc_list, NULL };

struct gc {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
	bool yes;
	bool spared;
	bool named; /* by the user: errors are told */
	int worst;
};

static void put_row(struct gc *gc, const char *name, const char *what, uint64_t count,
		    uint64_t size, const char *proof)
{
	out_row(&gc->out);
	out_text(&gc->out, "name", name);
	out_text(&gc->out, "what", what);
	out_number(&gc->out, "count", count);
	out_number(&gc->out, "size_bytes", size);
	out_text(&gc->out, "action", gc->yes ? "reclaimed" : "would reclaim");
	out_text(&gc->out, "proof", proof);
	gc->spared |= !gc->yes;
}

/* An ephemeral region without a live member. -EBUSY: somebody came in the meantime. */
static int gc_region(struct gc *gc, const char *name, const struct tarn_region_stat *stat)
{
	struct tarn_region_opts opts = gc->opts;
	char proof[120];
	int r = 0;

	opts.flags &= ~TARN_REGION_OBSERVE;
	opts.flags |= TARN_REGION_EPHEMERAL; /* only if no member is alive */
	if (gc->yes)
		r = tarn_region_remove(name, &opts);
	if (r == 0)
		put_row(gc, name, "region", 1, stat->total_size, look_proof(stat, proof));
	return r;
}

struct garbage {
	uint32_t objects;
	uint64_t size;
};

static int count_garbage(const struct tarn_object_stat *stat, void *arg)
{
	struct garbage *garbage = arg;

	if (stat->removed && stat->holder_count == 0) {
		garbage->objects++;
		garbage->size += stat->size;
	}
	return 0;
}

/* Slots of the dead, and removed objects that nobody alive has open. */
static int gc_inside(struct gc *gc, const char *name, struct tarn_region *look, uint32_t dead)
{
	struct tarn_region_opts opts = gc->opts;
	struct tarn_region *region = NULL;
	struct garbage garbage = { 0 };
	uint32_t count;
	char proof[120];
	int r = tarn_region_objects(look, count_garbage, &garbage);

	count = dead + garbage.objects;
	if (r < 0 || count == 0)
		return r;
	if (gc->yes) {
		opts.flags &= ~TARN_REGION_OBSERVE;
		r = tarn_region_open(name, &opts, &region);
		if (r == 0)
			r = tarn_region_gc(region, NULL);
		tarn_region_close(region);
	}
	if (r < 0)
		return r;
	snprintf(proof, sizeof(proof), "the kernel holds no lock on %u taken slot%s", dead,
		 dead == 1 ? "" : "s");
	if (dead == 0)
		snprintf(proof, sizeof(proof), "removed, and no live member has it open");
	put_row(gc, name, dead > 0 ? "slots" : "objects", count, garbage.size, proof);
	return 0;
}

static int gc_one(struct gc *gc, const char *name)
{
	struct tarn_region *region = NULL;
	struct tarn_region_stat stat;
	struct look_members members;
	int r = tarn_region_open(name, &gc->opts, &region);

	if (r == 0)
		r = tarn_region_stat(region, &stat);
	if (r == 0)
		r = look_members(region, &members);
	if (r == 0 && stat.ephemeral && stat.member_count == 0 && members.alive == 0)
		r = gc_region(gc, name, &stat);
	else if (r == 0)
		r = gc_inside(gc, name, region, members.dead);
	tarn_region_close(region);
	/* Gone or taken meanwhile: then it is no garbage. */
	if (r == -EBUSY || (r == -ENOENT && !gc->named)) {
		gc->cli->diag = (struct tarn_diag){ 0 };
		return CLI_OK;
	}
	if (r == -EACCES || r == -EPERM)
		out_unreadable(&gc->out);
	return r < 0 ? look_fail(gc->cli, name, r) : CLI_OK;
}

static int put_leftover(const struct tarn_leftover *leftover, void *arg)
{
	struct gc *gc = arg;

	put_row(gc, leftover->path, leftover->id >= 0 ? "segment" : "file", 1, leftover->size,
		leftover->proof);
	return 0;
}

/* Is there a System V region, whole or half, behind the control file at @addr? */
static bool segment_there(struct gc *gc, const char *addr)
{
	struct tarn_region *region = NULL;
	int r = tarn_region_open(addr, &gc->opts, &region);

	tarn_region_close(region);
	gc->cli->diag = (struct tarn_diag){ 0 };
	return r != -ENOENT && r != -EAGAIN;
}

static int gc_found(const struct scan_found *found, void *arg)
{
	struct gc *gc = arg;
	uint32_t owner = gc->opts.flags & TARN_SEGMENT_OWNER ? gc->opts.owner : geteuid();

	if (found->uid != owner)
		return 0;
	if (found->kind == SCAN_CONTROL && !segment_there(gc, found->addr))
		return 0; /* tarn_leftovers() judges it */
	gc->worst = cli_worse(gc->worst, gc_one(gc, found->addr));
	return 0;
}

static int gc_host(struct gc *gc)
{
	int r = scan_shm(gc_found, gc, NULL);

	/* It goes through this user's own; another's are for that user to reclaim. */
	if (r == 0 && (gc->opts.flags & TARN_SEGMENT_OWNER) == 0)
		r = tarn_leftovers(gc->yes ? TARN_LEFTOVER_REMOVE : 0, put_leftover, gc);
	return r < 0 ? cli_fail(gc->cli, "/dev/shm", r) : CLI_OK;
}

static int gc_run(struct cli *cli)
{
	struct gc gc = { .cli = cli, .yes = cli_given(cli, "yes"), .named = cli->argc > 0 };

	if (!look_opts(cli, &gc.opts))
		return CLI_USAGE;

	int code = out_begin(&gc.out, cli);

	if (code >= 0)
		return code;
	out_list(&gc.out, &gc_list);
	for (int i = 0; i < cli->argc; i++)
		gc.worst = cli_worse(gc.worst, gc_one(&gc, cli->argv[i]));
	if (!gc.named)
		gc.worst = cli_worse(gc.worst, gc_host(&gc));

	bool nothing = gc.out.row_count == 0 && gc.worst == CLI_OK && !gc.out.as_json;

	gc.worst = out_end(&gc.out, gc.worst);
	if (nothing && isatty(STDERR_FILENO))
		cli_note(cli, "there is nothing to reclaim");
	if (gc.spared && !gc.out.as_json)
		cli_hint("this was a dry run; --yes reclaims");
	return gc.worst;
}

static const struct cli_example gc_examples[] = {
	{ "tarn gc", "show what dead processes left behind" },
	{ "tarn gc --yes", "reclaim it" },
	{ 0 },
};

static const struct cli_exit_note gc_exits[] = {
	{ 0, "done, or nothing to do" },
	{ 3, "there is no such region" },
	{ 4, "permission denied" },
	{ 6, "a region is damaged; tarn check says where" },
	{ 0 },
};

const struct cli_cmd cmd_gc = {
	.name = "gc",
	.args = "[NAME...]",
	.summary = "reclaim what dead processes left behind; a dry run without --yes",
	.about =
		"Removes ephemeral regions in which nobody is alive, frees the slots of dead "
		"members "
		"and the memory of removed objects in others, and removes what a process left that "
		"was killed while it made a region. Without NAME it goes through the user's own "
		"regions in /dev/shm and System V shared memory; with --owner through that user's."
		"\n\n"
		"Each line says how it is known that nobody alive needs the thing. A process is "
		"taken "
		"for dead only when the kernel has dropped its lock, which it does when the "
		"process "
		"ends, however that came about; one that is stopped or suspended is alive.\n\n"
		"A region that is not ephemeral is never removed; tarn rm does that. Without --yes "
		"nothing is changed.",
	.operand = "region",
	.schema = "tarn.gc/1",
	.lists = gc_lists,
	.examples = gc_examples,
	.exits = gc_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST | CLI_GROUP_YES,
	.arg_max = -1,
	.run = gc_run,
};
