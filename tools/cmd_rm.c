/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn rm NAME[/OBJECT]... - remove regions and objects; a dry run without --yes. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tarn/host.h>
#include <tarn/region.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "out.h"
#include "segments.h"

static const struct cli_opt rm_opts[] = {
	{ 0, "foreign", NULL, "remove shared memory too that is no region of Tarn's" },
	{ 0 },
};

static const struct out_col rm_cols[] = {
	{ "name", "NAME", OUT_TEXT, "what is named", false },
	{ "kind", "KIND", OUT_TEXT, "region, object, or segment (not Tarn's)", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "memory that it occupies", false },
	{ "users", "USERS", OUT_COUNT,
	  "live members, holders of the object, or processes that have the segment; of System V "
	  "how often it is attached",
	  false },
	{ "action", "ACTION", OUT_TEXT, "removed, or would remove", false },
	{ "proof", "PROOF", OUT_TEXT, "who has it, or how it is known that nobody has", false },
	{ 0 },
};
static const struct out_list rm_list = { "items", rm_cols };
static const struct out_list *const rm_lists[] = { &rm_list, NULL };

struct rm {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
	struct tarn_host *host; /* NULL = no picture could be taken */
	bool yes;
	bool spared; /* a dry run left something */
};

static void put_row(struct rm *rm, const char *name, const char *kind, uint64_t size)
{
	out_row(&rm->out);
	out_text(&rm->out, "name", name);
	out_text(&rm->out, "kind", kind);
	if (size > 0)
		out_number(&rm->out, "size_bytes", size);
	out_text(&rm->out, "action", rm->yes ? "removed" : "would remove");
	rm->spared |= !rm->yes;
}

/* What remove needs of the options that looking needs. */
static struct tarn_region_opts remove_opts(const struct rm *rm)
{
	struct tarn_region_opts opts = rm->opts;

	opts.flags &= ~TARN_REGION_OBSERVE;
	return opts;
}

/* --- what is not Tarn's ---------------------------------------------------------------------- */

static int is_shared(const struct tarn_host_mapping *mapping, void *arg)
{
	(void)arg;
	return (mapping->rights & TARN_HOST_PRIVATE) == 0;
}

static bool is_foreign(const struct tarn_host_segment *segment)
{
	return segment->content == TARN_CONTENT_UNKNOWN ||
	       segment->content == TARN_CONTENT_SEMAPHORE;
}

/* Files on disk are shared memory only while somebody has them mapped as such. */
static bool is_memory(const struct rm *rm, const struct tarn_host_segment *segment)
{
	return segment->kind != TARN_SEGMENT_FILE ||
	       tarn_host_mappings(rm->host, segment, NULL, is_shared, NULL) != 0;
}

static void users_proof(struct rm *rm, const struct tarn_host_segment *segment, char proof[256])
{
	char users[160];

	segments_users(rm->host, segment, users);
	if (users[0] != '\0')
		snprintf(proof, 256, "in use by %s; they keep it until they let go of it", users);
	else if (segment->attach_count > 0)
		snprintf(proof, 256, "attached %llu times, by processes that are not seen",
			 (unsigned long long)segment->attach_count);
	else if (segment->state == TARN_STATE_UNKNOWN)
		snprintf(proof, 256, "nobody was seen to have it, but not all could be looked at");
	else
		snprintf(proof, 256, "%s",
			 segment->proof != NULL ? segment->proof : "no process has it");
}

/* No name leads there, so only the end of those who have it can free it. */
static int rm_nameless(struct rm *rm, const struct tarn_host_segment *segment)
{
	char users[160];

	cli_error(rm->cli, "%s: it has no name to remove, and goes with the last who has it",
		  segment->addr);
	if (segments_users(rm->host, segment, users)[0] != '\0')
		cli_hint("it is freed when these end or let go of it: %s", users);
	return CLI_FAILURE;
}

/* Those of Tarn's files that belong to something. */
static int rm_part(struct rm *rm, const struct tarn_host_segment *segment)
{
	if (segment->content == TARN_CONTENT_CONTROL) {
		cli_error(rm->cli, "%s: it belongs to a System V region", segment->addr);
		cli_hint(
			"remove the region, tarn ls shows it; if it is gone, tarn gc removes this");
	} else {
		cli_error(rm->cli, "%s: it is on its way to its name, or out of it", segment->addr);
		cli_hint("tarn gc removes it if who was at it is dead");
	}
	return CLI_FAILURE;
}

/* By the name that was given: of a file with several, the picture shows but one. */
static int remove_name(const char *name, const struct tarn_segment_opts *opts)
{
	char addr[4200];

	if (name[0] != '/')
		return tarn_segment_remove(name, opts);
	snprintf(addr, sizeof(addr), "file:%s", name);
	return tarn_segment_remove(addr, opts);
}

static int rm_segment(struct rm *rm, const struct tarn_host_segment *segment, const char *name)
{
	const struct tarn_segment_opts opts = {
		.flags = (rm->opts.flags & (TARN_SEGMENT_OWNER | TARN_SEGMENT_ANY_MODE)),
		.mode = rm->opts.mode,
		.owner = rm->opts.owner,
		.diag = &rm->cli->diag,
	};
	char proof[256];
	int r = 0;

	if (segment->removed)
		return rm_nameless(rm, segment);
	if (!is_memory(rm, segment)) {
		cli_error(rm->cli, "%s: it is no shared memory but a file on disk", name);
		return CLI_FAILURE;
	}
	if (segment->elsewhere) {
		cli_error(rm->cli, "%s: it is of another namespace and is removed from there",
			  name);
		return CLI_FAILURE;
	}
	if (rm->yes)
		r = remove_name(name, &opts);
	if (r < 0)
		return cli_fail(rm->cli, name, r);
	put_row(rm, name, "segment",
		segment->touched != TARN_HOST_UNKNOWN && segment->touched > 0 ? segment->touched
									      : segment->size);
	out_number(&rm->out, "users",
		   segment->kind == TARN_SEGMENT_SYSV ? segment->attach_count
						      : segment->process_count);
	users_proof(rm, segment, proof);
	out_text(&rm->out, "proof", proof);
	if (segment->state == TARN_STATE_UNKNOWN)
		out_unreadable(&rm->out);
	return CLI_OK;
}

/* What is at @name is no region, for which opening it gave @error. */
static int rm_foreign(struct rm *rm, const char *name, int error)
{
	const struct tarn_host_segment *segment = NULL;
	struct tarn_diag why = rm->cli->diag;

	if (!cli_given(rm->cli, "foreign")) {
		snprintf(rm->cli->diag.what, sizeof(rm->cli->diag.what), "%.200s is no Tarn region",
			 name);
		snprintf(rm->cli->diag.hint, sizeof(rm->cli->diag.hint),
			 "--foreign removes it all the same");
		return cli_fail(rm->cli, name, error);
	}
	if (rm->host != NULL && tarn_host_find(rm->host, name, &segment, &why) == 0)
		return rm_segment(rm, segment, name);
	return cli_fail(rm->cli, name, error);
}

/* --- regions ------------------------------------------------------------------------------- */

/* A region whose superblock does not pass; the library knows it by its magic. */
static int rm_damaged(struct rm *rm, const char *name, const struct tarn_host_segment *segment)
{
	struct tarn_region_opts opts = remove_opts(rm);
	int r;

	if (segment != NULL && is_foreign(segment))
		return rm_foreign(rm, name, -EUCLEAN);
	r = rm->yes ? tarn_region_remove(name, &opts) : 0;
	if (r == -EUCLEAN)
		return rm_foreign(rm, name, r);
	if (r < 0)
		return cli_fail(rm->cli, name, r);
	put_row(rm, name, "region", 0);
	out_text(&rm->out, "proof", rm->cli->diag.what[0] != '\0' ? rm->cli->diag.what : "damaged");
	rm->cli->diag = (struct tarn_diag){ 0 };
	return CLI_OK;
}

static int rm_region(struct rm *rm, const char *name, const struct tarn_host_segment *segment)
{
	struct tarn_region *region = NULL;
	struct tarn_region_stat stat;
	struct look_members members;
	char proof[400], users[160];
	int r = tarn_region_open(name, &rm->opts, &region);

	if (r == -EUCLEAN || r == -EPROTO)
		return rm_damaged(rm, name, segment);
	if (r == 0)
		r = tarn_region_stat(region, &stat);
	if (r == 0)
		r = look_members(region, &members);
	tarn_region_close(region);
	if (r == 0 && rm->yes) {
		struct tarn_region_opts opts = remove_opts(rm);

		r = tarn_region_remove(name, &opts);
	}
	if (r < 0)
		return look_fail(rm->cli, name, r);
	put_row(rm, name, "region", stat.total_size);
	out_number(&rm->out, "users", members.alive);
	if (members.alive > 0)
		snprintf(proof, sizeof(proof), "in use by %s; they keep it until they leave",
			 members.who);
	else
		look_proof(&stat, proof);
	if (members.alive == 0 && segment != NULL && segment->process_count > 0)
		snprintf(proof + strlen(proof), sizeof(proof) - strlen(proof),
			 "; open, without being members: %s",
			 segments_users(rm->host, segment, users));
	out_text(&rm->out, "proof", proof);
	return CLI_OK;
}

/* --- objects ------------------------------------------------------------------------------- */

struct find {
	const char *name;
	struct tarn_object_stat stat;
};

static int find_object(const struct tarn_object_stat *stat, void *arg)
{
	struct find *find = arg;

	if (stat->removed || strcmp(stat->name, find->name) != 0)
		return 0;
	find->stat = *stat;
	return 1;
}

static int rm_object(struct rm *rm, const struct look_name *name, const char *text)
{
	struct tarn_region *region = NULL;
	struct find find = { .name = name->object };
	struct tarn_region_opts opts = rm->yes ? remove_opts(rm) : rm->opts;
	int r = tarn_region_open(name->region, &opts, &region);

	if (r < 0)
		return look_fail(rm->cli, name->region, r);
	r = tarn_region_objects(region, find_object, &find);
	if (r == 0)
		r = -ENOENT;
	if (r == 1)
		r = rm->yes ? tarn_object_remove(region, name->object) : 0;
	tarn_region_close(region);
	if (r == -ENOENT) {
		cli_error(rm->cli, "%s: there is no such object in the region", text);
		return CLI_ABSENT;
	}
	if (r < 0)
		return cli_fail(rm->cli, text, r);
	put_row(rm, text, "object", find.stat.size);
	out_number(&rm->out, "users", find.stat.holder_count);
	out_text(&rm->out, "proof",
		 find.stat.holder_count > 0 ? "its holders keep it until they close it"
					    : "no live member has it open");
	return CLI_OK;
}

/* --- each name ------------------------------------------------------------------------------- */

static bool is_nameless(const char *text)
{
	return strncmp(text, "memfd:", 6) == 0 || strncmp(text, "map:", 4) == 0 ||
	       strncmp(text, "anon:", 5) == 0;
}

static int rm_named(struct rm *rm, const char *name)
{
	const struct tarn_host_segment *segment = NULL;
	struct tarn_diag unsaid = { 0 };

	if (rm->host == NULL || tarn_host_find(rm->host, name, &segment, &unsaid) < 0)
		return rm_region(rm, name, NULL);
	if (segment->content == TARN_CONTENT_CONTROL || segment->content == TARN_CONTENT_TEMPORARY)
		return rm_part(rm, segment);
	if (is_foreign(segment) && cli_given(rm->cli, "foreign"))
		return rm_segment(rm, segment, name);
	return rm_region(rm, name, segment);
}

static int rm_one(struct rm *rm, const char *text)
{
	const struct tarn_host_segment *segment = NULL;
	struct look_name name;
	int code;

	if (is_nameless(text) && rm->host != NULL) {
		code = segments_find(rm->cli, rm->host, text, &segment);
		return code == CLI_OK ? rm_nameless(rm, segment) : code;
	}
	if (!look_name(text, &name))
		return cli_usage(rm->cli, "the name is too long");
	return name.object != NULL ? rm_object(rm, &name, text) : rm_named(rm, name.region);
}

/* Of files on disk only those that are mapped are in the picture, and that costs time. */
static int rm_all(struct rm *rm)
{
	struct tarn_host_opts opts = { .diag = &rm->cli->diag };
	int r, worst = CLI_OK;

	for (int i = 0; i < rm->cli->argc; i++) {
		if (strncmp(rm->cli->argv[i], "file:", 5) == 0)
			opts.flags |= TARN_HOST_FILES;
	}
	r = tarn_host_scan(&opts, &rm->host);
	/* A region can be removed without a picture. */
	if (r < 0 && cli_given(rm->cli, "foreign"))
		return segments_fail(rm->cli, &opts, r);
	rm->cli->diag = (struct tarn_diag){ 0 };
	for (int i = 0; i < rm->cli->argc; i++)
		worst = cli_worse(worst, rm_one(rm, rm->cli->argv[i]));
	tarn_host_free(rm->host);
	return worst;
}

static int rm_run(struct cli *cli)
{
	struct rm rm = { .cli = cli, .yes = cli_given(cli, "yes") };
	int worst;

	if (!look_opts(cli, &rm.opts))
		return CLI_USAGE;

	int code = out_begin(&rm.out, cli);

	if (code >= 0)
		return code;
	out_list(&rm.out, &rm_list);
	worst = out_end(&rm.out, rm_all(&rm));
	if (rm.spared && !rm.out.as_json)
		cli_hint("this was a dry run; --yes removes");
	return worst;
}

static const struct cli_example rm_examples[] = {
	{ "tarn rm frames", "show what would go, and who uses it" },
	{ "tarn rm frames --yes", "remove the region" },
	{ "tarn rm frames/left --yes", "remove one object of it" },
	{ "tarn rm --foreign sysv:#3 --yes", "remove a System V segment that is not Tarn's" },
	{ 0 },
};

static const struct cli_exit_note rm_exits[] = {
	{ 1, "it has no name to remove, or is no shared memory" },
	{ 3, "there is no such region, object or segment" },
	{ 4, "permission denied, or not every process could be looked at" },
	{ 6, "it is no region, and --foreign was not given" },
	{ 0 },
};

const struct cli_cmd cmd_rm = {
	.name = "rm",
	.args = "NAME[/OBJECT]...",
	.summary = "remove regions and objects; a dry run without --yes",
	.about = "Removes each region NAME, or the OBJECT of it. Those who have it open keep it "
		 "until "
		 "they close it; the name is free at once. Without --yes it only shows what would "
		 "go, how large that is, and who uses it.\n\n"
		 "Shared memory that is no region of Tarn's is left alone unless --foreign is "
		 "given. NAME is then any address that tarn ls shows: of POSIX and System V "
		 "shared memory, by key too, of hugetlbfs, of a file on disk that is mapped to be "
		 "shared. Nothing but shared memory is ever removed. A memfd or anonymous memory "
		 "has no name to remove; who has it is said.\n\n"
		 "Who uses a thing does not keep it from being removed: tarn gc is the one that "
		 "asks.",
	.operand = "region",
	.opts = rm_opts,
	.schema = "tarn.rm/1",
	.lists = rm_lists,
	.examples = rm_examples,
	.exits = rm_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST | CLI_GROUP_YES,
	.arg_min = 1,
	.arg_max = -1,
	.run = rm_run,
};
