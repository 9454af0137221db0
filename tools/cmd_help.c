/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn help [VERB] - what `tarn VERB --help` prints; with --man, the page's source. */

#include <string.h>

#include "cli.h"
#include "cmds.h"

static const struct cli_opt help_opts[] = {
	{ 0, "man", NULL,
	  "print the source of the manual page, in mdoc: of a verb, tarn, tarn-errors, tarn-json" },
	{ 0 },
};

static int help_unknown(const struct cli *cli, const char *verb)
{
	struct cli_near near = { .word = verb };

	for (int i = 0; cli_cmds[i] != NULL; i++)
		cli_near_offer(&near, cli_cmds[i]->name);
	if (near.best != NULL)
		return cli_usage(cli, "unknown verb '%s': did you mean '%s'?", verb, near.best);
	return cli_usage(cli, "unknown verb '%s'", verb);
}

static int help_run(struct cli *cli)
{
	const char *verb = cli->argc > 0 ? cli->argv[0] : NULL;

	if (cli_given(cli, "man"))
		return cli_man(verb != NULL ? verb : "tarn") == 0 ? CLI_OK
								  : help_unknown(cli, verb);
	if (verb == NULL || strcmp(verb, "tarn") == 0) {
		cli_help_all();
		return CLI_OK;
	}

	const struct cli_cmd *cmd = cli_cmd_find(verb);

	if (cmd == NULL)
		return help_unknown(cli, verb);
	cli_help_long(cmd);
	return CLI_OK;
}

static const struct cli_example help_examples[] = {
	{ "tarn help send", "all there is to know about sending" },
	{ 0 },
};

const struct cli_cmd cmd_help = {
	.name = "help",
	.args = "[VERB]",
	.summary = "list the verbs, or explain one",
	.about = "Without VERB prints the list of verbs, with one its description, options and "
		 "examples.",
	.operand = "verb",
	.opts = help_opts,
	.examples = help_examples,
	.arg_max = 1,
	.run = help_run,
};
