/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn recover REGION[/SECTION]... - undo what dead owners left in sections; a dry run without
 * --yes.
 *
 * Whoever enters a section next does the same. This is for regions that nobody enters any more, and
 * for sections that were set aside.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tarn/section.h>

#include "cli.h"
#include "cmds.h"
#include "info.h"
#include "look.h"
#include "out.h"

static const struct cli_opt recover_opts[] = {
	{ 'f', "force", NULL,
	  "of a section that is set aside: undo what of its journal can be undone, drop the rest, "
	  "and free it; what it guards may be inconsistent then" },
	{ 0 },
};

static const struct out_col recover_cols[] = {
	{ "name", "NAME", OUT_TEXT, "REGION/SECTION", false },
	{ "state", "STATE", OUT_TEXT, "held, dead (its owner is), set aside or damaged", false },
	{ "pid", "PID", OUT_SIGNED, "process of its owner, as seen in its own PID namespace",
	  false },
	{ "journal_used_bytes", "JOURNAL", OUT_SIZE, "what is to be undone takes in its journal",
	  false },
	{ "action", "ACTION", OUT_TEXT,
	  "rolled back, would roll back, freed by force, would free by force, mended, would mend, "
	  "none or failed",
	  false },
	{ "reason", "REASON", OUT_TEXT, "why nothing was done, or what failed", false },
	{ 0 },
};
static const struct out_list recover_list = { "items", recover_cols };
static const struct out_list *const recover_lists[] = { &recover_list, NULL };

struct recover {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
	struct look_name name; /* at hand */
	struct tarn_region *look, *region;
	bool yes, force;
	bool found; /* the section that was named */
	bool spared;
	int worst;
};

static const char *action_of(const struct recover *recover, const struct tarn_section_stat *stat)
{
	bool broken = stat->set_aside || stat->damaged;

	if (broken && recover->force)
		return recover->yes ? "freed by force" : "would free by force";
	if (broken)
		return recover->yes ? "mended" : "would mend";
	return recover->yes ? "rolled back" : "would roll back";
}

static void put_row(struct recover *recover, const char *section,
		    const struct tarn_section_stat *stat, const char *action, const char *reason)
{
	struct out *out = &recover->out;
	char name[sizeof(recover->name.region) + TARN_OBJECT_NAME_MAX + 2];

	snprintf(name, sizeof(name), "%s/%s", recover->name.region, section);
	out_row(out);
	out_text(out, "name", name);
	out_text(out, "state", info_section_state(stat));
	out_number_if(out, "pid", (uint64_t)(int64_t)stat->owner.pid, stat->held && !stat->damaged);
	out_number(out, "journal_used_bytes", stat->journal_used);
	out_text(out, "action", action);
	out_text(out, "reason", reason);
}

static int do_it(struct recover *recover, const char *section, const struct tarn_section_stat *stat)
{
	struct tarn_region_opts opts = recover->opts;
	uint32_t flags = recover->force ? TARN_SECTION_FORCE : 0;
	struct tarn_diag diag = { 0 };
	int r = 0;

	opts.flags &= ~TARN_REGION_OBSERVE;
	if (recover->yes && recover->region == NULL)
		r = tarn_region_open(recover->name.region, &opts, &recover->region);
	if (r < 0)
		return r;
	if (recover->yes)
		r = tarn_section_recover(recover->region, section, flags, &diag);
	recover->spared |= !recover->yes;
	if (r == 0) {
		put_row(recover, section, stat, action_of(recover, stat), NULL);
		return CLI_OK;
	}
	put_row(recover, section, stat, "failed", diag.what);
	return r == -ENOTRECOVERABLE ? CLI_CORRUPT : (int)cli_exit_of(r);
}

/* A section whose owner lives is only told of where it was named. */
static int recover_section(struct recover *recover, const char *name)
{
	struct tarn_section_stat stat;
	struct tarn_section *section;
	int r = tarn_section_open(recover->look, name, NULL, &section);

	if (r < 0)
		return r;
	r = tarn_section_stat(section, &stat);
	tarn_section_close(section);
	if (r < 0)
		return r;
	if (stat.set_aside || stat.damaged || (stat.held && !stat.owner.alive))
		return do_it(recover, name, &stat);
	if (recover->name.object == NULL || !stat.held)
		return CLI_OK;
	put_row(recover, name, &stat, "none", "its owner lives; a stopped process does, too");
	return CLI_FAILURE;
}

static int each_object(const struct tarn_object_stat *object, void *arg)
{
	struct recover *recover = arg;
	const char *wanted = recover->name.object;
	int code;

	if (object->removed || (wanted != NULL && strcmp(object->name, wanted) != 0))
		return 0;
	recover->found = true;
	if (object->kind != TARN_OBJECT_SECTION && wanted == NULL)
		return 0;
	code = recover_section(recover, object->name);
	if (code < 0)
		code = cli_fail(recover->cli, object->name, code);
	recover->worst = cli_worse(recover->worst, code);
	return 0;
}

static int recover_one(struct recover *recover, const char *text)
{
	int r;

	if (!look_name(text, &recover->name))
		return cli_fail(recover->cli, text, -ENAMETOOLONG);
	recover->found = false;
	r = tarn_region_open(recover->name.region, &recover->opts, &recover->look);
	if (r < 0) {
		if (r == -EACCES || r == -EPERM)
			out_unreadable(&recover->out);
		return look_fail(recover->cli, recover->name.region, r);
	}
	r = tarn_region_objects(recover->look, each_object, recover);
	tarn_region_close(recover->region);
	tarn_region_close(recover->look);
	recover->region = recover->look = NULL;
	if (r == 0 && recover->name.object != NULL && !recover->found)
		r = -ENOENT;
	return r < 0 ? cli_fail(recover->cli, text, r) : CLI_OK;
}

static int recover_run(struct cli *cli)
{
	struct recover recover = { .cli = cli,
				   .yes = cli_given(cli, "yes"),
				   .force = cli_given(cli, "force") };

	if (!look_opts(cli, &recover.opts))
		return CLI_USAGE;

	int code = out_begin(&recover.out, cli);

	if (code >= 0)
		return code;
	out_list(&recover.out, &recover_list);
	for (int i = 0; i < cli->argc; i++)
		recover.worst = cli_worse(recover.worst, recover_one(&recover, cli->argv[i]));

	bool nothing = recover.out.row_count == 0 && recover.worst == CLI_OK;

	code = out_end(&recover.out, recover.worst);
	if (nothing && !recover.out.as_json && isatty(STDERR_FILENO))
		cli_note(cli, "there is nothing to recover");
	if (recover.spared && !recover.out.as_json)
		cli_hint("this was a dry run; --yes recovers");
	return code;
}

static const struct cli_example recover_examples[] = {
	{ "tarn recover frames", "which sections were left by dead owners, or are set aside" },
	{ "tarn recover frames --yes", "undo what they changed" },
	{ "tarn recover frames/list --force --yes",
	  "free a section whose journal is damaged, and look at what it guards" },
	{ 0 },
};

static const struct cli_exit_note recover_exits[] = {
	{ 0, "done, or nothing to do" },
	{ 1, "the owner of the section that was named lives" },
	{ 3, "there is no such region or section" },
	{ 4, "permission denied" },
	{ 6, "a journal is damaged: --force frees the section; or the region is damaged" },
	{ 0 },
};

const struct cli_cmd cmd_recover = {
	.name = "recover",
	.args = "REGION[/SECTION]...",
	.summary = "undo what dead owners left in sections; a dry run without --yes",
	.about =
		"Lists the sections of each REGION whose owner died inside, and with --yes undoes "
		"what it had changed, from the section's journal. Whoever enters such a section "
		"does the same before anything else, so this is needed only where nobody enters it "
		"any more."
		"\n\n"
		"A section is set aside when its journal is found damaged, so that what a dead "
		"owner "
		"had changed cannot be undone. It is not entered any more, and everything in it "
		"stays "
		"as it is, until it is recovered: with --yes if the journal is in order by now, or "
		"with --force, which undoes what can be undone and drops the rest. See to what the "
		"section guards afterwards; tarn check tests what Tarn itself keeps there."
		"\n\n"
		"An owner is taken for dead only when the kernel has dropped its lock. One that is "
		"stopped is alive.",
	.operand = "region",
	.opts = recover_opts,
	.schema = "tarn.recover/1",
	.lists = recover_lists,
	.examples = recover_examples,
	.exits = recover_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST | CLI_GROUP_YES,
	.arg_min = 1,
	.arg_max = -1,
	.run = recover_run,
};
