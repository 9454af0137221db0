/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn completion SHELL - the completion script of a shell. */

#include <string.h>

#include "cli.h"
#include "cmds.h"

static int completion_run(struct cli *cli)
{
	static const char *const words[] = { "bash", "zsh", "fish", "regions" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(cli->argv[0], words[i]) == 0)
			return cli_completion(words[i]);
	}
	return cli_usage(cli, "there are completions for bash, zsh and fish, not for '%s'",
			 cli->argv[0]);
}

static const struct cli_example completion_examples[] = {
	{ ". <(tarn completion bash)", "complete in this shell, without an installation" },
	{ 0 },
};

const struct cli_cmd cmd_completion = {
	.name = "completion",
	.args = "bash|zsh|fish",
	.summary = "print the completion script of a shell",
	.about = "The installed package brings these scripts along; this is for a shell where it "
		 "does not.\n\n"
		 "With the word regions instead of a shell it prints the names of the regions that "
		 "are there, one a line, which is what the scripts ask for.",
	.operand = "bash|zsh|fish",
	.examples = completion_examples,
	.arg_min = 1,
	.arg_max = 1,
	.run = completion_run,
};
