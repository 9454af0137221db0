/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn version - the versions of the command and of the library. */

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cmds.h"
#include "out.h"

static const struct out_col version_cols[] = {
	{ "command", "COMMAND", OUT_TEXT, "version of the command", false },
	{ "library", "LIBRARY", OUT_TEXT, "version of the library that it runs with", false },
	{ 0 },
};
static const struct out_list version_list = { "items", version_cols };
static const struct out_list *const version_lists[] = { &version_list, NULL };

static const struct cli_opt version_opts[] = {
	{ 'J', "json", NULL, "print JSON, see tarn-json(5)" },
	{ 0 },
};

static int version_run(struct cli *cli)
{
	if (!cli_given(cli, "json")) {
		printf("tarn %s", TARN_VERSION);
		if (strcmp(TARN_VERSION, tarn_version()) != 0)
			printf(" (library %s)", tarn_version());
		putchar('\n');
		return CLI_OK;
	}

	struct out out;
	int code = out_begin(&out, cli);

	if (code >= 0)
		return code;
	out_list(&out, &version_list);
	out_row(&out);
	out_text(&out, "command", TARN_VERSION);
	out_text(&out, "library", tarn_version());
	return out_end(&out, CLI_OK);
}

static const struct cli_example version_examples[] = {
	{ "tarn version", "print the version" },
	{ 0 },
};

const struct cli_cmd cmd_version = {
	.name = "version",
	.args = "",
	.summary = "print the version",
	.about = "Prints the version of the command, and that of the library where it is another.",
	.opts = version_opts,
	.schema = "tarn.version/1",
	.lists = version_lists,
	.examples = version_examples,
	.run = version_run,
};
