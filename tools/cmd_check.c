/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn check [NAME...] - test every invariant of regions; changes nothing.
 *
 * What a dead owner left in a section, or with a primitive, breaks no rule: it is noted, with what
 * happens next, and counts for nothing.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/lock.h>
#include <tarn/region.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "out.h"
#include "scan.h"

static const struct cli_opt check_opts[] = {
	{ 'q', "quiet", NULL, "print findings only, not what is sound" },
	{ 0 },
};

static const struct out_col check_cols[] = {
	{ "name", "NAME", OUT_TEXT, "the region", false },
	{ "where", "WHERE", OUT_TEXT, "superblock, a member or an object", false },
	{ "field", "FIELD", OUT_TEXT, "what is wrong there", false },
	{ "found", "FOUND", OUT_WORD, "its value", false },
	{ "expected", "EXPECTED", OUT_WORD, "the value, or the bound, that the rule allows",
	  false },
	{ "repairable", "REPAIRABLE", OUT_BOOL,
	  "the next open, tarn gc or tarn recover --yes puts it right", false },
	{ "rule", "RULE", OUT_TEXT, "what does not hold, in words; of a note what happens next",
	  false },
	{ "unseen", NULL, OUT_BOOL, "it could not be looked at, for what the rule says is not so",
	  false },
	{ "note", NULL, OUT_BOOL,
	  "nothing is wrong: an owner died, and what it left waits for the next one (field owner; "
	  "found is its process), or it is inconsistent: an owner died, and nobody has said since "
	  "that what it guards is consistent",
	  false },
	{ 0 },
};
static const struct out_list check_list = { "items", check_cols };
static const struct out_list *const check_lists[] = { &check_list, NULL };

struct check {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
	const char *name; /* of the region at hand */
	struct tarn_region *region;
	uint32_t finding_count;
	bool damaged; /* a finding that nothing repairs */
	int worst;
};

/* Is all that is found to be a row, and nothing a line of text? */
static bool as_rows(const struct out *out)
{
	return out->as_json || out->cli->take != NULL;
}

/* The finding is of an arena, and says what is with its section; found is the owner's pid. */
static void say_unseen(const struct check *check, const struct tarn_finding *finding)
{
	unsigned long long pid = finding->found;

	printf("%s: %s not looked at: ", check->name, finding->where);
	if (finding->repairable)
		printf("dead owner %llu left its section (tarn recover %s --yes)\n", pid,
		       check->name);
	else if (pid != 0)
		printf("its section is held by pid %llu\n", pid);
	else
		printf("its %s not so that it %s\n", finding->field, finding->rule);
}

static void put_finding(const struct tarn_finding *finding, void *arg)
{
	struct check *check = arg;
	struct out *out = &check->out;

	if (finding->unseen && !as_rows(out)) {
		say_unseen(check, finding);
		return;
	}
	if (!finding->unseen) {
		check->finding_count++;
		check->damaged |= !finding->repairable;
	}
	out_row(out);
	out_text(out, "name", check->name);
	out_text(out, "where", finding->where);
	out_text(out, "field", finding->field);
	out_number(out, "found", finding->found);
	out_number(out, "expected", finding->expected);
	out_bool(out, "repairable", finding->repairable);
	out_text(out, "rule", finding->rule);
	out_bool(out, "unseen", finding->unseen);
	out_bool(out, "note", false);
}

/* What cannot even be opened. */
static int put_refusal(struct check *check, int error)
{
	struct out *out = &check->out;
	struct tarn_diag why = check->cli->diag;

	if (error != -EUCLEAN && error != -EPROTO) {
		if (error == -EACCES || error == -EPERM)
			out_unreadable(out);
		return look_fail(check->cli, check->name, error);
	}
	check->cli->diag = (struct tarn_diag){ 0 };

	uint32_t before = check->finding_count;
	struct tarn_region_opts opts = check->opts;

	opts.flags &= ~TARN_REGION_OBSERVE;
	opts.diag = NULL;
	if (tarn_region_check_super(check->name, &opts, put_finding, check) < 0 &&
	    check->finding_count > before)
		return CLI_CORRUPT;
	/* So small, or so wrong, that there is no field to speak of. */
	out_row(out);
	out_text(out, "name", check->name);
	out_text(out, "where", "region");
	out_bool(out, "repairable", false);
	out_text(out, "rule", why.what);
	out_bool(out, "unseen", false);
	out_bool(out, "note", false);
	return CLI_CORRUPT;
}

/* --- notes --------------------------------------------------------------------------------- */

struct note {
	const char *field;
	int32_t pid; /* of the dead owner; 0: not known */
	const char *next;
	bool by_recover; /* tarn recover does it, too */
};

/* Who has it has died: what does the next one meet? NULL: nothing worth a word. */
static const char *after_death(uint32_t kind)
{
	switch ((enum tarn_object_kind)kind) {
	case TARN_OBJECT_SECTION:
		return "the next to enter undoes what it had changed";
	case TARN_OBJECT_MUTEX:
	case TARN_OBJECT_RWLOCK:
	case TARN_OBJECT_SPIN:
	case TARN_OBJECT_SEQLOCK:
		return "the next to lock it is told -EOWNERDEAD";
	case TARN_OBJECT_ONCE:
		return "the next to come does it from its beginning";
	case TARN_OBJECT_SEM:
		return "its permit is there for the next to want one";
	default:
		return NULL;
	}
}

/* As findings name it. */
static void where_of(const struct tarn_object_stat *object, char buf[TARN_OBJECT_NAME_MAX + 32])
{
	const char *noun = object->kind == TARN_OBJECT_SPIN      ? "spin lock"
			   : object->kind == TARN_OBJECT_SEQLOCK ? "sequence lock"
								 : look_kind(object->kind);

	snprintf(buf, TARN_OBJECT_NAME_MAX + 32, "%s %s", noun, object->name);
}

static bool find_note(struct tarn_region *region, const char *name, struct note *note)
{
	struct tarn_lock_who who[256]; /* holders come first */
	const uint32_t room = sizeof(who) / sizeof(who[0]);
	struct tarn_lock_stat stat;

	/* What is wrong with it is a finding. */
	if (tarn_lock_stat(region, name, &stat, who, room) < 0 || stat.set_aside || stat.damaged)
		return false;
	for (uint32_t i = 0; i < stat.who_count && i < room; i++) {
		if (who[i].role != TARN_LOCK_HOLDS || who[i].alive)
			continue;
		*note = (struct note){ "owner", who[i].pid, after_death(stat.kind), true };
		return note->next != NULL;
	}
	*note = (struct note){ "inconsistent", 0,
			       "who locks it is told -EOWNERDEAD, until one has mended what it "
			       "guards and says that it is consistent",
			       false };
	return stat.owner_died && look_tells_deaths(stat.kind);
}

static void say_note(const struct check *check, const char *where, const struct note *note)
{
	printf("%s: %s: ", check->name, where);
	if (!note->by_recover)
		printf("inconsistent: an owner died; ");
	else if (note->pid != 0)
		printf("dead owner %d has it; ", note->pid);
	else
		printf("a dead owner has it; ");
	printf("%s", note->next);
	if (note->by_recover)
		printf(" (now: tarn recover %s --yes)", check->name);
	putchar('\n');
}

static int each_object(const struct tarn_object_stat *object, void *arg)
{
	struct check *check = arg;
	struct out *out = &check->out;
	char where[TARN_OBJECT_NAME_MAX + 32];
	struct note note;

	if (object->removed || !find_note(check->region, object->name, &note))
		return 0;
	where_of(object, where);
	if (!as_rows(out)) {
		say_note(check, where, &note);
		return 0;
	}
	out_row(out);
	out_text(out, "name", check->name);
	out_text(out, "where", where);
	out_text(out, "field", note.field);
	out_number(out, "found", note.by_recover ? (uint64_t)note.pid : 1);
	out_number(out, "expected", 0);
	out_bool(out, "repairable", note.by_recover);
	out_text(out, "rule", note.next);
	out_bool(out, "unseen", false);
	out_bool(out, "note", true);
	return 0;
}

/* Of a damaged region as far as its directory goes. */
static void put_notes(struct check *check, struct tarn_region *region)
{
	check->region = region;
	if (as_rows(&check->out) || !cli_given(check->cli, "quiet"))
		(void)!tarn_region_objects(region, each_object, check);
	check->region = NULL;
}

/* --- a region ------------------------------------------------------------------------------ */

static int check_open(struct check *check, struct tarn_region *region)
{
	int r = tarn_region_check(region, put_finding, check);

	if (r < 0 && r != -EUCLEAN)
		return cli_fail(check->cli, check->name, r);
	if (r >= 0)
		return r == 0 ? CLI_OK : CLI_DENIED;
	return check->damaged ? CLI_CORRUPT : CLI_FAILURE;
}

static void say_sound(struct check *check, struct tarn_region *region)
{
	struct tarn_region_stat stat;

	if (as_rows(&check->out) || cli_given(check->cli, "quiet") ||
	    tarn_region_stat(region, &stat) < 0)
		return;
	printf("%s: sound (%u members alive, %u objects)\n", check->name, stat.member_count,
	       stat.object_count);
}

static int check_one(const char *name, void *arg)
{
	struct check *check = arg;
	struct tarn_region *region = NULL;
	int code, r = tarn_region_open(name, &check->opts, &region);

	check->name = name;
	check->damaged = false;
	if (r < 0) {
		code = put_refusal(check, r);
	} else {
		code = check_open(check, region);
		put_notes(check, region);
		if (code == CLI_OK)
			say_sound(check, region);
		tarn_region_close(region);
	}
	check->worst = cli_worse(check->worst, code);
	return 0;
}

static int check_run(struct cli *cli)
{
	struct check check = { .cli = cli };
	int r = 0;

	if (!look_opts(cli, &check.opts))
		return CLI_USAGE;

	int code = out_begin(&check.out, cli);

	if (code >= 0)
		return code;
	out_list(&check.out, &check_list);
	for (int i = 0; i < cli->argc; i++)
		(void)check_one(cli->argv[i], &check);
	if (cli->argc == 0)
		r = scan_regions(check_one, &check, NULL);
	if (r < 0)
		check.worst = cli_fail(cli, "/dev/shm", r);
	return out_end(&check.out, check.worst);
}

static const struct cli_example check_examples[] = {
	{ "tarn check frames", "test one region" },
	{ "tarn check", "test all regions in /dev/shm" },
	{ 0 },
};

static const struct cli_exit_note check_exits[] = {
	{ 0, "every rule holds" },
	{ 1, "there are findings, and each of them is put right by the next open, by tarn gc or by "
	     "tarn recover --yes" },
	{ 3, "there is no such region" },
	{ 4, "permission denied, or an arena could not be looked at: its section is held, or was "
	     "left by "
	     "a dead owner (tarn recover)" },
	{ 6,
	  "a region is damaged beyond that, is no region, or was made by an incompatible version" },
	{ 0 },
};

const struct cli_cmd cmd_check = {
	.name = "check",
	.args = "[NAME...]",
	.summary = "test every invariant of regions",
	.about = "Tests superblock, members, directory and objects of each region NAME, or of all "
		 "regions in /dev/shm, and lists each rule that does not hold with what was found "
		 "and "
		 "what was expected. It changes nothing, and does not report what a live member is "
		 "in the middle of changing. An arena that it cannot look at, for somebody is "
		 "inside of its section or has died there, it names.\n\n"
		 "A section or lock whose owner died, and a lock that is inconsistent, are noted "
		 "with what happens next: that is no damage, and the exit code is as without.",
	.operand = "region",
	.opts = check_opts,
	.schema = "tarn.check/1",
	.lists = check_lists,
	.examples = check_examples,
	.exits = check_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST,
	.arg_max = -1,
	.run = check_run,
};
