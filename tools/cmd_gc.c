/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn gc [NAME...] - reclaim what dead processes left behind; a dry run without --yes.
 *
 * What there is comes from a picture of the host; whether it may go is decided by the library, once
 * more, at the moment of removal.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tarn/host.h>
#include <tarn/region.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "out.h"
#include "segments.h"

static const struct cli_opt gc_opts[] = {
	{ 0, "foreign", NULL, "also shared memory that is not Tarn's and provably an orphan" },
	{ 0, "older", "TIME",
	  "with --foreign also files in /dev/shm and hugetlbfs that nobody has open and that were "
	  "not used for so long: seconds, or with m, h, d or w behind" },
	{ 0 },
};

static const struct out_col gc_cols[] = {
	{ "name", "NAME", OUT_TEXT, "the address of the region or segment, or a file", false },
	{ "what", "WHAT", OUT_TEXT,
	  "region, slots or objects; of what is left: file, semaphore or segment", false },
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
	struct tarn_host *host;
	int64_t now_ns;
	int64_t idle_ns; /* --older; 0 = orphans alone */
	uint32_t owner;  /* whose things */
	bool yes;
	bool foreign;
	bool spared;
	bool named;         /* by the user: errors are told */
	bool foreign_named; /* the one at hand is not Tarn's */
	uint32_t other_count;
	uint64_t other_size; /* bytes: orphans of other users */
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
	if (r < 0 && gc->foreign_named)
		snprintf(gc->cli->diag.hint, sizeof(gc->cli->diag.hint),
			 "--foreign reclaims it if it is of use to nobody");
	gc->foreign_named = false;
	return r < 0 ? look_fail(gc->cli, name, r) : CLI_OK;
}

static int put_leftover(const struct tarn_leftover *leftover, void *arg)
{
	struct gc *gc = arg;

	put_row(gc, leftover->path, leftover->id >= 0 ? "segment" : "file", 1, leftover->size,
		leftover->proof);
	return 0;
}

/* Is there a System V region, whole or half, at @addr? */
static bool segment_there(struct gc *gc, const char *addr)
{
	struct tarn_region *region = NULL;
	int r = tarn_region_open(addr, &gc->opts, &region);

	tarn_region_close(region);
	gc->cli->diag = (struct tarn_diag){ 0 };
	return r != -ENOENT && r != -EAGAIN;
}

/* --- what is not Tarn's ---------------------------------------------------------------------- */

static bool is_foreign(const struct tarn_host_segment *segment)
{
	return segment->content == TARN_CONTENT_UNKNOWN ||
	       segment->content == TARN_CONTENT_SEMAPHORE;
}

/* "pid 17, which made it, is dead, ...; last used 3h ago" */
static void foreign_proof(const struct gc *gc, const struct tarn_host_segment *segment,
			  char proof[320])
{
	char age[24];

	snprintf(proof, 320, "%s; last used %s ago",
		 segment->proof != NULL ? segment->proof
		 : gc->yes              ? "nobody had it open: the kernel granted a write lease"
					: "nobody has it open: the kernel grants a write lease",
		 text_age(gc->now_ns - segment->used_ns, age));
}

static void put_foreign(struct gc *gc, const struct tarn_host_segment *segment, int result)
{
	char proof[320];

	foreign_proof(gc, segment, proof);
	put_row(gc, segment->addr,
		segment->kind == TARN_SEGMENT_SYSV           ? "segment"
		: segment->content == TARN_CONTENT_SEMAPHORE ? "semaphore"
							     : "file",
		1, segment->touched != TARN_HOST_UNKNOWN ? segment->touched : segment->size,
		result > 0 ? gc->cli->diag.what : proof);
	gc->cli->diag = (struct tarn_diag){ 0 };
}

static int gc_foreign(struct gc *gc, const struct tarn_host_segment *segment)
{
	int r = tarn_host_reclaim(gc->host, segment, gc->idle_ns, gc->yes ? 0 : TARN_RECLAIM_DRY,
				  &gc->cli->diag);

	if (r >= 0) {
		put_foreign(gc, segment, r);
		return CLI_OK;
	}
	/* Used, replaced or gone meanwhile: then it is no garbage. */
	if (!gc->named && (r == -EBUSY || r == -ESTALE || r == -ENOENT)) {
		gc->cli->diag = (struct tarn_diag){ 0 };
		return CLI_OK;
	}
	if (r == -EACCES || r == -EPERM)
		out_unreadable(&gc->out);
	return cli_fail(gc->cli, segment->addr, r);
}

/* What a remover that was killed left elsewhere than in /dev/shm itself. */
static int gc_passing(struct gc *gc, const struct tarn_host_segment *segment)
{
	char proof[192];
	int r;

	if (segment->state != TARN_STATE_STALE || strncmp(segment->addr, "shm:", 4) == 0)
		return CLI_OK;
	snprintf(proof, sizeof(proof), "%s", segment->proof);
	r = tarn_host_reclaim(gc->host, segment, 0, gc->yes ? 0 : TARN_RECLAIM_DRY, &gc->cli->diag);
	if (r >= 0)
		put_row(gc, segment->addr, "file", 1, segment->size, proof);
	gc->cli->diag = (struct tarn_diag){ 0 };
	return CLI_OK;
}

/* --- the whole host -------------------------------------------------------------------------- */

static void others(struct gc *gc, const struct tarn_host_segment *segment)
{
	if (segment->state == TARN_STATE_ORPHAN && is_foreign(segment)) {
		gc->other_count++;
		gc->other_size += segment->size;
	}
}

/* May it be garbage, as far as the picture shows? */
static bool may_go(struct gc *gc, const struct tarn_host_segment *segment)
{
	if (segment->state == TARN_STATE_ORPHAN)
		return true;
	if (segment->kind == TARN_SEGMENT_SYSV || gc->idle_ns == 0 ||
	    gc->now_ns - segment->used_ns < gc->idle_ns)
		return false;
	if (segment->state == TARN_STATE_UNKNOWN) {
		out_unreadable(&gc->out); /* nobody can say who has it */
		return false;
	}
	return segment->state == TARN_STATE_IDLE;
}

static int gc_found(const struct tarn_host_segment *segment, void *arg)
{
	struct gc *gc = arg;
	bool named = segment->kind == TARN_SEGMENT_POSIX || segment->kind == TARN_SEGMENT_HUGE ||
		     segment->kind == TARN_SEGMENT_SYSV;
	int code = CLI_OK;

	if (!named || segment->removed || segment->elsewhere)
		return 0;
	if (segment->uid != gc->owner) {
		others(gc, segment);
		return 0;
	}
	if (segment->content == TARN_CONTENT_REGION) {
		/* One made by half is judged by tarn_leftovers(). */
		if (segment->kind != TARN_SEGMENT_SYSV || segment_there(gc, segment->addr))
			code = gc_one(gc, segment->addr);
	} else if (segment->content == TARN_CONTENT_TEMPORARY) {
		code = gc_passing(gc, segment);
	} else if (gc->foreign && is_foreign(segment) && may_go(gc, segment)) {
		code = gc_foreign(gc, segment);
	}
	gc->worst = cli_worse(gc->worst, code);
	return 0;
}

/* What killed creators left. Another user's is for that user to reclaim; root may be anybody. */
static int gc_leftovers(struct gc *gc)
{
	bool other = gc->owner != geteuid();
	int r;

	if (other && (geteuid() != 0 || seteuid(gc->owner) < 0))
		return CLI_OK;
	r = tarn_leftovers(gc->yes ? TARN_LEFTOVER_REMOVE : 0, put_leftover, gc);
	if (other && seteuid(0) < 0)
		return cli_fail(gc->cli, "seteuid", -errno);
	return r < 0 && r != -ENOENT ? cli_fail(gc->cli, "/dev/shm", r) : CLI_OK;
}

static int gc_host(struct gc *gc)
{
	char size[24];

	(void)tarn_host_segments(gc->host, gc_found, gc);
	gc->worst = cli_worse(gc->worst, gc_leftovers(gc));
	if (gc->foreign && gc->other_count > 0 && !gc->out.as_json)
		cli_note(gc->cli, "%u orphan%s of other users, %s; --owner USER reclaims them",
			 gc->other_count, gc->other_count == 1 ? "" : "s",
			 text_size(gc->other_size, size));
	return gc->worst;
}

/* --- by name --------------------------------------------------------------------------------- */

static int gc_named(struct gc *gc, const char *name)
{
	const struct tarn_host_segment *segment = NULL;
	struct tarn_diag unsaid = { 0 };
	bool found = gc->host != NULL && tarn_host_find(gc->host, name, &segment, &unsaid) == 0;

	if (!found || !is_foreign(segment))
		return gc_one(gc, name);
	if (gc->foreign)
		return gc_foreign(gc, segment);
	gc->foreign_named = true;
	return gc_one(gc, name);
}

static int gc_all(struct gc *gc)
{
	const struct tarn_host_opts opts = { .diag = &gc->cli->diag };
	struct tarn_host_stat stat;
	int r = tarn_host_scan(&opts, &gc->host);

	/* A region can be opened without a picture. */
	if (r < 0 && (!gc->named || gc->foreign))
		return segments_fail(gc->cli, &opts, r);
	gc->cli->diag = (struct tarn_diag){ 0 };
	if (r == 0) {
		tarn_host_stat(gc->host, &stat);
		gc->now_ns = stat.taken_ns;
	}
	for (int i = 0; i < gc->cli->argc; i++)
		gc->worst = cli_worse(gc->worst, gc_named(gc, gc->cli->argv[i]));
	if (!gc->named)
		(void)gc_host(gc);
	tarn_host_free(gc->host);
	return gc->worst;
}

static bool gc_options(struct gc *gc)
{
	struct cli *cli = gc->cli;

	if (!look_opts(cli, &gc->opts) || !cli_duration(cli, "older", &gc->idle_ns))
		return false;
	if (cli_given(cli, "older") && !gc->foreign) {
		cli_usage(cli, "--older is about what is not Tarn's: say --foreign too");
		return false;
	}
	if (cli_given(cli, "older") && gc->idle_ns == 0)
		gc->idle_ns = 1;
	gc->owner = gc->opts.flags & TARN_SEGMENT_OWNER ? gc->opts.owner : geteuid();
	return true;
}

static int gc_run(struct cli *cli)
{
	struct gc gc = { .cli = cli,
			 .yes = cli_given(cli, "yes"),
			 .foreign = cli_given(cli, "foreign"),
			 .named = cli->argc > 0 };

	if (!gc_options(&gc))
		return CLI_USAGE;

	int code = out_begin(&gc.out, cli);

	if (code >= 0)
		return code;
	out_list(&gc.out, &gc_list);
	gc.worst = gc_all(&gc);

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
	{ "tarn gc --foreign --yes", "also orphans of programs that know nothing of Tarn" },
	{ "tarn gc --foreign --older 7d", "also files that nobody has used for a week" },
	{ 0 },
};

static const struct cli_exit_note gc_exits[] = {
	{ 0, "done, or nothing to do" },
	{ 1, "what was named is in use, or of use to somebody" },
	{ 3, "there is no such region or segment" },
	{ 4, "permission denied, or for want of it nobody can say who uses a thing" },
	{ 6,
	  "a region is damaged, tarn check says where; or it is no region, and --foreign was not "
	  "given" },
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
		"was killed while it made or removed something. Without NAME it goes through the "
		"user's own regions in /dev/shm, System V and hugetlbfs; with --owner through that "
		"user's."
		"\n\n"
		"Each line says how it is known that nobody alive needs the thing. A member of a "
		"region is taken for dead only when the kernel has dropped its lock, which it does "
		"when the process ends, however that came about; one that is stopped or suspended "
		"is "
		"alive. A region that is not ephemeral is never removed; tarn rm does that."
		"\n\n"
		"With --foreign it also removes System V segments that are not Tarn's if they were "
		"used, nobody has them attached, and the process that made them is dead. Of a file "
		"in /dev/shm or hugetlbfs nothing proves that nobody will come back for it, so "
		"these "
		"go only with --older, when they have not been used for that time by their own "
		"times, "
		"and nobody has them open, which the kernel vouches for by a write lease. A "
		"process "
		"that opens one at that very moment waits for some milliseconds and then has it: "
		"it "
		"is not removed. One that attaches a System V segment at the very moment of its "
		"removal keeps it; the line says so."
		"\n\n"
		"Without --yes nothing is changed.",
	.operand = "region",
	.opts = gc_opts,
	.schema = "tarn.gc/1",
	.lists = gc_lists,
	.examples = gc_examples,
	.exits = gc_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST | CLI_GROUP_YES,
	.arg_max = -1,
	.run = gc_run,
};
