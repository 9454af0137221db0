/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn lab - exercises with shared memory, and a check of a learner's own program; see lab.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cmds.h"
#include "lab.h"
#include "out.h"

enum { STEP_RUNS = 2, POLL_RUNS = 2, HOLD_RUNS = 3, DISTURBED_NS = 20 };

static const struct cli_opt lab_opts[] = {
	{ 't', "timeout", "SECONDS", "end a run that takes longer; 20 if not given" },
	{ 0, "clean", NULL, "remove what the program left behind, and nothing else" },
	{ 'v', "verbose", NULL, "also show what the program printed" },
	{ 'J', "json", NULL, "print JSON, see tarn-json(5)" },
	{ 0 },
};

static const struct out_col item_cols[] = {
	{ "exercise", NULL, OUT_COUNT, "its number", false },
	{ "title", NULL, OUT_TEXT, "what it is about", false },
	{ "task", NULL, OUT_TEXT, "what is to be written, in one line", false },
	{ "text", NULL, OUT_TEXT, "the same in full", false },
	{ "sample", NULL, OUT_TEXT, "what a right program prints, or how that begins", false },
	{ "not_judged", NULL, OUT_TEXT, "what is not looked at", false },
	{ "right", NULL, OUT_BOOL, "the program passed every check; null unless checked", false },
	{ "runs", NULL, OUT_COUNT, "how often the program was run; null unless checked", false },
	{ 0 },
};
static const struct out_list item_list = { "items", item_cols };

static const struct out_col rule_cols[] = {
	{ "name", NULL, OUT_TEXT, "of the check", false },
	{ "asks", NULL, OUT_TEXT, "what is asked", false },
	{ 0 },
};
static const struct out_list rule_list = { "rules", rule_cols };

static const struct out_col check_cols[] = {
	{ "name", NULL, OUT_TEXT, "of the check", false },
	{ "verdict", NULL, OUT_TEXT, "right, wrong, or open where nothing can be said", false },
	{ "found", NULL, OUT_TEXT, "what was seen", false },
	{ "why", NULL, OUT_TEXT, "why that happens", false },
	{ "fix", NULL, OUT_TEXT, "what mends it", false },
	{ 0 },
};
static const struct out_list check_list = { "checks", check_cols };

static const struct out_list *const lab_lists[] = { &item_list, &rule_list, &check_list, NULL };

struct lab {
	struct cli *cli;
	const struct lab_exercise *exercise;
	char **argv; /* of the program */
	int64_t limit_ns;
	bool clean, verbose;
	struct lab_report report;
};

/* --- exercises ----------------------------------------------------------------------------- */

static void put_item(struct out *out, const struct lab_exercise *e, const struct lab_report *report)
{
	out_item(out);
	out_fact_number(out, "exercise", NULL, OUT_COUNT, (uint64_t)e->number);
	out_fact_text(out, "title", NULL, e->title);
	out_fact_text(out, "task", NULL, e->task);
	out_fact_text(out, "text", NULL, e->text);
	out_fact_text(out, "sample", NULL, e->sample);
	out_fact_text(out, "not_judged", NULL, e->not_judged);
	if (report != NULL) {
		out_fact_number(out, "right", NULL, OUT_BOOL, report->wrong == 0);
		out_fact_number(out, "runs", NULL, OUT_COUNT, (uint64_t)report->runs);
	} else {
		json_null(&out->json, "right");
		json_null(&out->json, "runs");
	}
	out_list(out, &rule_list);
	for (const struct lab_rule *rule = e->rules; rule->name != NULL; rule++) {
		out_row(out);
		out_text(out, "name", rule->name);
		out_text(out, "asks", rule->asks);
	}
	out_list(out, &check_list);
	for (int i = 0; report != NULL && i < report->count; i++) {
		static const char *const verdicts[] = { "right", "wrong", "open" };
		const struct lab_check *check = &report->checks[i];

		out_row(out);
		out_text(out, "name", check->name);
		out_text(out, "verdict", verdicts[check->verdict]);
		out_text(out, "found", check->found);
		out_text(out, "why", check->why[0] != '\0' ? check->why : NULL);
		out_text(out, "fix", check->fix[0] != '\0' ? check->fix : NULL);
	}
}

/* @number: 0 = all. */
static int put_json(struct cli *cli, int number, const struct lab_report *report, int code)
{
	struct out out;
	int failed = out_begin(&out, cli);

	if (failed >= 0)
		return failed;
	for (const struct lab_exercise *e = lab_exercises; e->number != 0; e++) {
		if (number == 0 || e->number == number)
			put_item(&out, e, report);
	}
	return out_end(&out, code);
}

static void indented(const char *text, int indent)
{
	printf("%*s", indent, "");
	cli_wrap(text, indent, indent);
}

static void put_rules(const struct lab_exercise *e)
{
	for (const struct lab_rule *rule = e->rules; rule->name != NULL; rule++) {
		printf("  %-13s ", rule->name);
		cli_wrap(rule->asks, 16, 16);
	}
}

static int list(struct cli *cli)
{
	if (cli_given(cli, "json"))
		return put_json(cli, 0, NULL, CLI_OK);
	for (const struct lab_exercise *e = lab_exercises; e->number != 0; e++) {
		printf("%d  %s\n", e->number, e->title);
		indented(e->task, 3);
		printf("   checked:");
		for (const struct lab_rule *rule = e->rules; rule->name != NULL; rule++)
			printf("%s %s", rule != e->rules ? "," : "", rule->name);
		printf("\n\n");
	}
	printf("tarn lab show N            the whole task, and the rules\n"
	       "tarn lab check N PROGRAM   is my program right?\n");
	return CLI_OK;
}

static int show(struct cli *cli, const struct lab_exercise *e)
{
	const char *line = e->sample;

	if (cli_given(cli, "json"))
		return put_json(cli, e->number, NULL, CLI_OK);
	printf("Exercise %d: %s\n\n", e->number, e->title);
	cli_wrap(e->text, 0, 0);
	printf("\nIt prints such as\n\n");
	for (size_t size; *line != '\0'; line += size + (line[size] == '\n')) {
		size = strcspn(line, "\n");
		printf("    %.*s\n", (int)size, line);
	}
	printf("\nJudged by what it prints and by the shared memory that it uses, in any "
	       "language:\n\n");
	put_rules(e);
	printf("\nNot judged: ");
	cli_wrap(e->not_judged, 12, 0);
	printf("\nThe program is run several times, its processes under control of this one, with "
	       "a "
	       "terminal\nas its output and no input. Then: tarn lab check %d PROGRAM [ARG...]\n",
	       e->number);
	return CLI_OK;
}

/* --- checking ------------------------------------------------------------------------------ */

static struct lab_run *run_once(struct lab *lab, enum lab_mode mode, struct lab_word counter)
{
	struct lab_run *run = calloc(1, sizeof(*run));

	if (run == NULL)
		return NULL;
	run->argv = lab->argv;
	run->mode = mode;
	run->counter = counter;
	run->limit_ns =
		lab->limit_ns + (mode != LAB_WATCH ? DISTURBED_NS * INT64_C(1000000000) : 0);
	run->seed = 0x9e3779b97f4a7c15u * (uint64_t)(lab->report.runs + 1);
	lab->report.runs++;
	lab_run(run);
	return run;
}

/* Did this run go well enough for another one? It would find what this one left. */
static bool goes_on(struct lab *lab, struct lab_run *run)
{
	bool whole = run->error == 0 && !run->timed_out && !run->bomb && !run->flooded &&
		     run->crashed == NULL;

	if (lab->clean)
		lab_clean(run);
	for (int i = 0; i < run->left_count; i++)
		whole = whole && run->left[i].removed;
	return whole;
}

static bool disturbed_counter(struct lab *lab, struct lab_race *race, enum lab_mode mode,
			      struct lab_word counter)
{
	struct lab_run *run = run_once(lab, mode, counter);
	long long value = -1;
	bool more = run != NULL && goes_on(lab, run);

	race->run = lab->report.runs;
	race->is_stepped = mode == LAB_STEP;
	race->stepped += mode == LAB_STEP;
	race->polled += mode == LAB_POLL;
	if (run != NULL && run->timed_out) {
		snprintf(race->stuck, sizeof(race->stuck), "%s", run->stuck);
	} else if (run != NULL && run->error == 0) {
		race->steps += run->steps;
		race->turns += run->turns;
		race->overlaps += run->overlaps;
		(void)lab_counter_printed(run, &value);
		race->value = value;
		race->lost = value > 0 && value < 2000;
		race->odd = !race->lost && value != 2000;
	}
	lab_run_free(run);
	return more && !race->lost && !race->odd;
}

static void check_counter(struct lab *lab, struct lab_run *first, bool more)
{
	struct lab_race race = { 0 };
	struct lab_word counter = lab_counter_find(first, 2000);

	/* Where the sum is wrong already, or not of shared memory, there is nothing to look for. */
	if (!lab_judge_counter(&lab->report, first))
		return;
	for (int i = 0; i < STEP_RUNS && more; i++)
		more = disturbed_counter(lab, &race, LAB_STEP, counter);
	for (int i = 0; i < POLL_RUNS && more && race.overlaps == 0; i++)
		more = disturbed_counter(lab, &race, LAB_POLL, counter);
	if (race.stepped == 0)
		lab_say(&lab->report, "lost-updates", LAB_OPEN,
			"not looked for: another run would find what this one left; mend that "
			"first, or "
			"use --clean");
	else
		lab_judge_race(&lab->report, &race);
}

static void check_queue(struct lab *lab, struct lab_run *first, bool more)
{
	struct lab_queue queue = { 0 };
	struct lab_check *stuck = NULL;

	lab_queue_look(&queue, first);
	for (int i = 0; i < HOLD_RUNS && more; i++) {
		struct lab_run *run = run_once(lab, LAB_HOLD, (struct lab_word){ 0 });

		more = run != NULL && goes_on(lab, run);
		if (run != NULL && run->timed_out && stuck == NULL)
			stuck = lab_say(&lab->report, "end", LAB_WRONG,
					"never ended in run %d, in which one side was held for a "
					"moment: %s",
					lab->report.runs, run->stuck);
		else if (run != NULL && run->error == 0)
			lab_queue_look(&queue, run);
		lab_run_free(run);
	}
	lab_judge_queue(&lab->report, first, &queue);
}

static void judge(struct lab *lab, struct lab_run *first)
{
	static const int users[] = { 0, 2, 2, 4 };
	bool more = goes_on(lab, first);
	bool whole = lab_judge_end(&lab->report, first);

	if (whole || first->timed_out)
		lab_judge_memory(&lab->report, first, users[lab->exercise->number]);
	if (whole && lab->exercise->number == 1)
		check_counter(lab, first, more);
	else if (whole && lab->exercise->number == 2)
		check_queue(lab, first, more);
	else if (whole)
		lab_judge_matrix(&lab->report, first);
	lab_judge_left(&lab->report, first, lab->clean);
}

static void put_output(const struct lab_run *run)
{
	char line[200];
	int i = 0;

	printf("It printed:\n");
	for (; i < 200 && lab_line(run, i, line) != NULL; i++)
		printf("    %s\n", line);
	if (i < run->line_count)
		printf("    ... and %d lines more\n", run->line_count - i);
	putchar('\n');
}

static void put_report(const struct lab *lab)
{
	static const char *const words[] = { "right", "WRONG", "open" };
	static const char *const colors[] = { "\033[32m", "\033[31m", "\033[33m" };
	const struct lab_report *report = &lab->report;
	bool color = cli_color(STDOUT_FILENO);

	printf("Exercise %d: %s\n\n", lab->exercise->number, lab->exercise->title);
	for (int i = 0; i < report->count; i++) {
		const struct lab_check *check = &report->checks[i];

		printf("  %s%-5s%s  %-12s  ", color ? colors[check->verdict] : "",
		       words[check->verdict], color ? "\033[0m" : "", check->name);
		cli_wrap(check->found, 23, 23);
		if (check->why[0] != '\0') {
			printf("%15s%-8s", "", "why:");
			cli_wrap(check->why, 23, 23);
		}
		if (check->fix[0] != '\0') {
			printf("%15s%-8s", "", "mend:");
			cli_wrap(check->fix, 23, 23);
		}
	}
	if (report->wrong == 0)
		printf("\nRight, in %d run%s.\n", report->runs, report->runs == 1 ? "" : "s");
	else
		printf("\nWrong: %d of %d checks, in %d run%s.\n", report->wrong, report->count,
		       report->runs, report->runs == 1 ? "" : "s");
}

static int tell(struct lab *lab, const struct lab_run *first)
{
	int code = lab->report.wrong == 0 ? CLI_OK : CLI_FAILURE;

	if (cli_given(lab->cli, "json"))
		return put_json(lab->cli, lab->exercise->number, &lab->report, code);
	if (lab->verbose)
		put_output(first);
	put_report(lab);
	return code;
}

static int fail_run(struct lab *lab, const struct lab_run *run)
{
	int error = run != NULL ? run->error : -ENOMEM, code;

	if (run != NULL && run->trace_failed) {
		code = cli_error(lab->cli, "%s: it cannot be traced: %s", lab->argv[0],
				 strerror(-error));
		cli_hint("a container may forbid ptrace(): start it with --cap-add SYS_PTRACE");
		return cli_worse(code, CLI_DENIED);
	}
	if (run != NULL && run->exec_failed && strchr(lab->argv[0], '/') == NULL &&
	    error == -ENOENT) {
		code = cli_fail(lab->cli, lab->argv[0], error);
		cli_hint("a program of this folder is called ./%s", lab->argv[0]);
		return code;
	}
	return cli_fail(lab->cli, lab->argv[0], error);
}

static int check(struct lab *lab)
{
	struct lab_run *first = run_once(lab, LAB_WATCH, (struct lab_word){ 0 });
	int code;

	if (first == NULL || first->error < 0) {
		code = fail_run(lab, first);
		lab_run_free(first);
		return code;
	}
	if (lab->exercise == NULL)
		lab->exercise = lab_exercise(lab_guess(first));
	if (lab->exercise == NULL) {
		code = cli_usage(
			lab->cli,
			"%s: which exercise this is cannot be told by what it prints: say its "
			"number, as in tarn lab check 1 %s",
			lab->argv[0], lab->argv[0]);
		if (lab->clean)
			lab_clean(first);
	} else {
		judge(lab, first);
		code = tell(lab, first);
	}
	lab_run_free(first);
	return code;
}

/* --- the verb ------------------------------------------------------------------------------ */

static const struct lab_exercise *exercise_of(const char *word)
{
	return word[0] >= '0' && word[0] <= '9' && word[strspn(word, "0123456789")] == '\0' &&
			       strlen(word) < 4
		       ? lab_exercise((int)strtol(word, NULL, 10))
		       : NULL;
}

/* Behind PROGRAM come options of its own. */
static bool ends_options(int count, char **operands)
{
	return count > 0 && strcmp(operands[0], "check") == 0 &&
	       (count > 2 || (count == 2 && exercise_of(operands[1]) == NULL));
}

static int lab_check_run(struct cli *cli)
{
	struct lab lab = { .cli = cli,
			   .limit_ns = 20 * INT64_C(1000000000),
			   .clean = cli_given(cli, "clean"),
			   .verbose = cli_given(cli, "verbose") };
	int at = 1;

	if (!cli_seconds(cli, "timeout", &lab.limit_ns))
		return CLI_USAGE;
	if (lab.limit_ns <= 0)
		return cli_usage(cli, "--timeout must be more than nothing");
	if (at < cli->argc && (lab.exercise = exercise_of(cli->argv[at])) != NULL)
		at++;
	if (at >= cli->argc)
		return cli_usage(cli, "PROGRAM is missing");
	lab.argv = cli->argv + at;
	return check(&lab);
}

static int lab_run_verb(struct cli *cli)
{
	const char *word = cli->argc > 0 ? cli->argv[0] : "list";

	if (strcmp(word, "check") == 0)
		return lab_check_run(cli);
	if (strcmp(word, "list") == 0 && cli->argc <= 1)
		return list(cli);
	if (strcmp(word, "show") != 0)
		return cli_usage(cli, "'%s' is none of list, show, check",
				 cli->argc > 1 && strcmp(word, "list") == 0 ? cli->argv[1] : word);
	if (cli->argc != 2)
		return cli_usage(cli, "show takes the number of one exercise");
	if (exercise_of(cli->argv[1]) == NULL) {
		cli_error(cli, "there is no exercise '%s'", cli->argv[1]);
		cli_hint("tarn lab lists them");
		return CLI_ABSENT;
	}
	return show(cli, exercise_of(cli->argv[1]));
}

static const struct cli_example lab_examples[] = {
	{ "tarn lab", "which exercises there are" },
	{ "tarn lab show 1", "what is to be written, and how it is judged" },
	{ "tarn lab check 1 ./counter", "is my program for exercise 1 right?" },
	{ "tarn lab check 2 --clean python3 buffer.py", "in any language; removes what it left" },
	{ 0 },
};

static const struct cli_exit_note lab_exits[] = {
	{ 0, "the program is right, as far as it was looked at" },
	{ 1, "something is wrong with it, which is told" },
	{ 2, "the command line is wrong; also: which exercise this is cannot be told" },
	{ 3, "there is no such exercise, or no such program" },
	{ 4, "the program may not be run, or not be traced" },
	{ 0 },
};

const struct cli_cmd cmd_lab = {
	.name = "lab",
	.args = "[list | show N | check [N] PROGRAM [ARG...]]",
	.summary = "exercises with shared memory, and a check of your own program",
	.about = "Without operands, or with list, it lists the exercises; show N prints the task "
		 "of one "
		 "with the rules by which it is judged.\n\n"
		 "check N PROGRAM runs a learner's own program for exercise N and says what is "
		 "right "
		 "and what is wrong with it, why, and what mends it. The program may be in any "
		 "language: "
		 "it is judged by what it prints and by the shared memory that it uses. Without N "
		 "the "
		 "exercise is told by the output. What follows PROGRAM is for the program.\n\n"
		 "The program is run several times. All of its processes are traced: no system "
		 "call that "
		 "makes, maps or unmaps is missed, and none of them outlives a run. To find lost "
		 "updates "
		 "the processes are moved on by turns, a few instructions each, or held for "
		 "moments; to "
		 "find a buffer that is over-full one side is held until the other one stands "
		 "still. A "
		 "race that was not seen in these runs is not proven to be absent, and that is "
		 "said.\n\n"
		 "A run ends after --timeout; at 64 processes and threads at a time; at 1 MiB of "
		 "output. What the program left behind is named with the command that removes it; "
		 "with "
		 "--clean it is removed, between runs too. Without it the runs end at the first "
		 "that "
		 "leaves something, as the next one would find it.",
	.operand = "list|show|check",
	.opts = lab_opts,
	.schema = "tarn.lab/1",
	.lists = lab_lists,
	.examples = lab_examples,
	.exits = lab_exits,
	.arg_max = -1,
	.ends_options = ends_options,
	.run = lab_run_verb,
};
