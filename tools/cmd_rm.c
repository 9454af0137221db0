/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn rm NAME[/OBJECT]... - remove regions and objects; a dry run without --yes. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tarn/region.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "out.h"

static const struct cli_opt rm_opts[] = {
	{ 0, "foreign", NULL, "remove shared memory too that is no region of Tarn's" },
	{ 0 },
};

static const struct out_col rm_cols[] = {
	{ "name", "NAME", OUT_TEXT, "what is named", false },
	{ "kind", "KIND", OUT_TEXT, "region, object, or segment (not Tarn's)", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "memory that it occupies", false },
	{ "users", "USERS", OUT_COUNT, "live members, or holders of the object", false },
	{ "action", "ACTION", OUT_TEXT, "removed, or would remove", false },
	{ "proof", "PROOF", OUT_TEXT, "what is known of its users", false },
	{ 0 },
};
static const struct out_list rm_list = { "items", rm_cols };
static const struct out_list *const rm_lists[] = { &rm_list, NULL };

struct rm {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
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

/* --- regions ------------------------------------------------------------------------------- */

/* What remove needs of the options that looking needs. */
static struct tarn_region_opts remove_opts(const struct rm *rm)
{
	struct tarn_region_opts opts = rm->opts;

	opts.flags &= ~TARN_REGION_OBSERVE;
	return opts;
}

static int rm_foreign(struct rm *rm, const char *name, int error)
{
	struct tarn_diag why = rm->cli->diag;
	const struct tarn_segment_opts opts = {
		.flags = (rm->opts.flags & (TARN_SEGMENT_OWNER | TARN_SEGMENT_ANY_MODE)),
		.mode = rm->opts.mode,
		.owner = rm->opts.owner,
		.diag = &rm->cli->diag,
	};

	if (!cli_given(rm->cli, "foreign")) {
		rm->cli->diag = why;
		snprintf(rm->cli->diag.hint, sizeof(rm->cli->diag.hint),
			 "--foreign removes it all the same");
		return cli_fail(rm->cli, name, error);
	}
	if (rm->yes) {
		int r = tarn_segment_remove(name, &opts);

		if (r < 0)
			return cli_fail(rm->cli, name, r);
	}
	put_row(rm, name, "segment", 0);
	out_text(&rm->out, "proof", "not looked at: it is not Tarn's");
	return CLI_OK;
}

/* A region whose superblock does not pass; the library knows it by its magic. */
static int rm_damaged(struct rm *rm, const char *name)
{
	struct tarn_region_opts opts = remove_opts(rm);
	int r = rm->yes ? tarn_region_remove(name, &opts) : 0;

	if (r == -EUCLEAN)
		return rm_foreign(rm, name, r);
	if (r < 0)
		return cli_fail(rm->cli, name, r);
	put_row(rm, name, "region", 0);
	out_text(&rm->out, "proof", rm->cli->diag.what[0] != '\0' ? rm->cli->diag.what : "damaged");
	rm->cli->diag = (struct tarn_diag){ 0 };
	return CLI_OK;
}

static int rm_region(struct rm *rm, const char *name)
{
	struct tarn_region *region = NULL;
	struct tarn_region_stat stat;
	struct look_members members;
	char proof[256];
	int r = tarn_region_open(name, &rm->opts, &region);

	if (r == -EUCLEAN || r == -EPROTO)
		return rm_damaged(rm, name);
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

static int rm_one(struct rm *rm, const char *text)
{
	struct look_name name;

	if (!look_name(text, &name))
		return cli_usage(rm->cli, "the name is too long");
	return name.object != NULL ? rm_object(rm, &name, text) : rm_region(rm, name.region);
}

static int rm_run(struct cli *cli)
{
	struct rm rm = { .cli = cli, .yes = cli_given(cli, "yes") };
	int worst = CLI_OK;

	if (!look_opts(cli, &rm.opts))
		return CLI_USAGE;

	int code = out_begin(&rm.out, cli);

	if (code >= 0)
		return code;
	out_list(&rm.out, &rm_list);
	for (int i = 0; i < cli->argc; i++)
		worst = cli_worse(worst, rm_one(&rm, cli->argv[i]));
	worst = out_end(&rm.out, worst);
	if (rm.spared && !rm.out.as_json)
		cli_hint("this was a dry run; --yes removes");
	return worst;
}

static const struct cli_example rm_examples[] = {
	{ "tarn rm frames", "show what would go, and who uses it" },
	{ "tarn rm frames --yes", "remove the region" },
	{ "tarn rm frames/left --yes", "remove one object of it" },
	{ 0 },
};

static const struct cli_exit_note rm_exits[] = {
	{ 3, "there is no such region or object" },
	{ 4, "permission denied" },
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
		 "given. "
		 "Nothing but shared memory is ever removed.",
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
