/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn recover REGION[/OBJECT]... - undo what dead owners left in sections, free what they have of
 * primitives; a dry run without --yes.
 *
 * Whoever enters a section or locks a primitive next does the same. This is for regions that nobody
 * enters any more, and for what was set aside.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tarn/lock.h>
#include <tarn/section.h>

#include "cli.h"
#include "cmds.h"
#include "info.h"
#include "look.h"
#include "out.h"

static const struct cli_opt recover_opts[] = {
	{ 'f', "force", NULL,
	  "of a section or primitive that is set aside: undo what of its journal can be undone, "
	  "drop the rest, "
	  "and free it; what it guards may be inconsistent then" },
	{ 0 },
};

static const struct out_col recover_cols[] = {
	{ "name", "NAME", OUT_TEXT, "REGION/OBJECT", false },
	{ "kind", "KIND", OUT_TEXT, "what it is: section, mutex, semaphore ...", false },
	{ "state", "STATE", OUT_TEXT,
	  "held, dead (its owner, a reader or who has a permit is), inconsistent (one has died, "
	  "and nobody has mended what it guards), set aside or damaged",
	  false },
	{ "pid", "PID", OUT_SIGNED, "process of its owner, as seen in its own PID namespace",
	  false },
	{ "journal_used_bytes", "JOURNAL", OUT_SIZE, "what is to be undone takes in its journal",
	  false },
	{ "action", "ACTION", OUT_TEXT,
	  "rolled back, would roll back, freed, would free (of a primitive), freed by force, would "
	  "free by force, mended, would mend, none or failed",
	  false },
	{ "reason", "REASON", OUT_TEXT, "why nothing was done, or what failed", false },
	{ 0 },
};
static const struct out_list recover_list = { "items", recover_cols };
static const struct out_list *const recover_lists[] = { &recover_list, NULL };

/* A section or a primitive as it was found. */
struct found {
	const char *name, *kind, *state;
	bool primitive, held, dead, broken, inconsistent;
	int32_t pid; /* of its owner, or of who died; 0: not known */
	uint64_t journal_used;
};

struct recover {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
	struct look_name name; /* at hand */
	struct tarn_region *look, *region;
	bool yes, force;
	bool found; /* the object that was named */
	bool spared;
	int worst;
};

static const char *action_of(const struct recover *recover, const struct found *found)
{
	if (found->broken && recover->force)
		return recover->yes ? "freed by force" : "would free by force";
	if (found->broken)
		return recover->yes ? "mended" : "would mend";
	if (found->primitive)
		return recover->yes ? "freed" : "would free";
	return recover->yes ? "rolled back" : "would roll back";
}

static void put_row(struct recover *recover, const struct found *found, const char *action,
		    const char *reason)
{
	struct out *out = &recover->out;
	char name[sizeof(recover->name.region) + TARN_OBJECT_NAME_MAX + 2];

	snprintf(name, sizeof(name), "%s/%s", recover->name.region, found->name);
	out_row(out);
	out_text(out, "name", name);
	out_text(out, "kind", found->kind);
	out_text(out, "state", found->state);
	out_number_if(out, "pid", (uint64_t)(int64_t)found->pid, found->pid != 0);
	out_number_if(out, "journal_used_bytes", found->journal_used, !found->primitive);
	out_text(out, "action", action);
	out_text(out, "reason", reason);
}

static int do_it(struct recover *recover, const struct found *found)
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
		r = tarn_section_recover(recover->region, found->name, flags, &diag);
	/* A live owner has it, and what the dead had of it was given back. */
	if (r == -EBUSY && found->primitive && found->dead)
		r = 0;
	recover->spared |= !recover->yes;
	if (r == 0) {
		put_row(recover, found, action_of(recover, found), NULL);
		return CLI_OK;
	}
	put_row(recover, found, "failed", diag.what);
	return r == -ENOTRECOVERABLE ? CLI_CORRUPT : (int)cli_exit_of(r);
}

/* What is held is only told of where it was named. */
static int treat(struct recover *recover, const struct found *found)
{
	if (found->broken || found->dead)
		return do_it(recover, found);
	if (recover->name.object == NULL)
		return CLI_OK;
	if (found->held) {
		put_row(recover, found, "none", "its owner lives; a stopped process does, too");
		return CLI_FAILURE;
	}
	if (found->inconsistent)
		put_row(recover, found, "none",
			"who locks it next is told -EOWNERDEAD, mends what it guards, and says "
			"that it is consistent");
	return CLI_OK;
}

static int find_section(struct recover *recover, struct found *found)
{
	struct tarn_section_stat stat;
	struct tarn_section *section;
	int r = tarn_section_open(recover->look, found->name, NULL, &section);

	if (r < 0)
		return r;
	r = tarn_section_stat(section, &stat);
	tarn_section_close(section);
	if (r < 0)
		return r;
	found->state = info_section_state(&stat);
	found->broken = stat.set_aside || stat.damaged;
	found->held = stat.held;
	found->dead = stat.held && !stat.owner.alive;
	found->pid = stat.held && !stat.damaged ? stat.owner.pid : 0;
	found->journal_used = stat.journal_used;
	return 0;
}

static bool has_it(const struct tarn_lock_stat *stat, const struct tarn_lock_who *who)
{
	/* What a reader of a latest value holds keeps nobody else from anything. */
	return who->role == TARN_LOCK_HOLDS ||
	       (who->role == TARN_LOCK_SHARES && stat->kind == TARN_OBJECT_RWLOCK);
}

static int find_primitive(struct recover *recover, struct found *found)
{
	enum { WHO_MAX = 4200 }; /* all seats, the owner, and who waits */
	struct tarn_lock_who *who = calloc(WHO_MAX, sizeof(*who));
	struct tarn_lock_stat stat;
	int r = who == NULL ? -ENOMEM
			    : tarn_lock_stat(recover->look, found->name, &stat, who, WHO_MAX);

	for (uint32_t i = 0; r == 0 && i < stat.who_count && i < WHO_MAX; i++) {
		if (!has_it(&stat, &who[i]) || (found->dead && who[i].alive))
			continue;
		if (!found->held || (!who[i].alive && !found->dead))
			found->pid = who[i].pid;
		found->held = true;
		found->dead |= !who[i].alive;
	}
	free(who);
	if (r < 0)
		return r;
	found->primitive = true;
	found->broken = stat.set_aside || stat.damaged;
	found->inconsistent = stat.owner_died && look_tells_deaths(stat.kind);
	if (found->broken)
		found->pid = 0;
	found->state = stat.set_aside        ? "set aside"
		       : stat.damaged        ? "damaged"
		       : found->dead         ? "dead"
		       : found->held         ? "held"
		       : found->inconsistent ? "inconsistent"
					     : "free";
	return 0;
}

static int recover_object(struct recover *recover, const struct tarn_object_stat *object)
{
	struct found found = { .name = object->name, .kind = look_kind(object->kind) };
	int r = object->kind == TARN_OBJECT_SECTION ? find_section(recover, &found)
						    : find_primitive(recover, &found);

	if (r == -EPROTO && recover->name.object == NULL)
		return CLI_OK; /* nothing that can be held; or of another version */
	if (r == -EPROTO) {
		cli_error(recover->cli, "%s/%s: it is of kind %s, and nothing that can be held",
			  recover->name.region, found.name, found.kind);
		return CLI_FAILURE;
	}
	return r < 0 ? r : treat(recover, &found);
}

static int each_object(const struct tarn_object_stat *object, void *arg)
{
	struct recover *recover = arg;
	const char *wanted = recover->name.object;
	int code;

	if (object->removed || (wanted != NULL && strcmp(object->name, wanted) != 0))
		return 0;
	recover->found = true;
	code = recover_object(recover, object);
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
	{ "tarn recover frames", "what was left by dead owners, or is set aside" },
	{ "tarn recover frames --yes", "undo what they changed, and free what they had" },
	{ "tarn recover frames/list --force --yes",
	  "free a section whose journal is damaged, and look at what it guards" },
	{ 0 },
};

static const struct cli_exit_note recover_exits[] = {
	{ 0, "done, or nothing to do" },
	{ 1, "the owner of what was named lives; or it is nothing that can be held" },
	{ 3, "there is no such region or object" },
	{ 4, "permission denied" },
	{ 6, "a journal is damaged: --force frees the section; or the region is damaged" },
	{ 0 },
};

const struct cli_cmd cmd_recover = {
	.name = "recover",
	.args = "REGION[/OBJECT]...",
	.summary = "undo what dead owners left in locks; a dry run without --yes",
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
		"Of primitives (mutex, rwlock, semaphore, spin lock and so on) it lists those "
		"whose "
		"owner died, whose readers or permits the dead still have, and whose words "
		"contradict each other. With --yes they are free again, as they would be for "
		"whoever "
		"comes next. Nothing was logged that could be undone: so who locks one that an "
		"owner died in is told -EOWNERDEAD, until a program mends what it guards and says "
		"that it is consistent. That this tool cannot do."
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
