/* SPDX-License-Identifier: BSD-2-Clause */
/* help.c - -h, --help and the list of verbs, from the command table. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "plugin.h"

enum { WIDTH = 80 };

static const char *bold(void)
{
	return cli_color(STDOUT_FILENO) ? "\033[1m" : "";
}

static const char *plain(void)
{
	return cli_color(STDOUT_FILENO) ? "\033[0m" : "";
}

/* Print @text from column @at on, broken at blanks, later lines at column @indent. */
void cli_wrap(const char *text, int at, int indent)
{
	int column = at;

	while (*text != '\0') {
		int length = (int)strcspn(text, " \n");

		if (column > indent && column + 1 + length > WIDTH) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		printf("%.*s", length, text);
		column += length;
		text += length;
		if (text[0] == '\n' && text[1] == '\n') {
			printf("\n\n%*s", indent, "");
			column = indent;
		}
		while (*text == ' ' || *text == '\n')
			text++;
	}
	putchar('\n');
}

static void option(const struct cli_opt *opt)
{
	char left[80];
	char letter[8] = "    ";

	if (opt->letter != 0)
		snprintf(letter, sizeof(letter), "-%c, ", opt->letter);
	snprintf(left, sizeof(left), "  %s--%s%s%s", letter, opt->name, opt->arg != NULL ? "=" : "",
		 opt->arg != NULL ? opt->arg : "");

	int width = printf("%s", left);

	if (width > 26) {
		putchar('\n');
		width = 0;
	}
	printf("%*s", 28 - width, "");
	cli_wrap(opt->help, 28, 28);
}

static void options(const struct cli_cmd *cmd)
{
	const struct cli_opt *opts[CLI_OPT_MAX];
	int count = cli_options(cmd, opts);

	printf("%sOptions:%s\n", bold(), plain());
	for (int i = 0; i < count; i++)
		option(opts[i]);
}

static void usage(const struct cli_cmd *cmd)
{
	printf("%sUsage:%s tarn %s [OPTION]...%s%s\n", bold(), plain(), cmd->name,
	       *cmd->args != '\0' ? " " : "", cmd->args);
}

static void examples(const struct cli_cmd *cmd)
{
	for (const struct cli_example *e = cmd->examples; e != NULL && e->line != NULL; e++)
		printf("  %s%s%s\n      %s\n", bold(), e->line, plain(), e->what);
}

void cli_help_short(const struct cli_cmd *cmd)
{
	printf("tarn %s - %s\n\n", cmd->name, cmd->summary);
	if (cmd->examples != NULL) {
		examples(cmd);
		putchar('\n');
	}
	usage(cmd);
	options(cmd);
}

void cli_help_long(const struct cli_cmd *cmd)
{
	printf("tarn %s - %s\n\n", cmd->name, cmd->summary);
	usage(cmd);
	putchar('\n');
	cli_wrap(cmd->about, 0, 0);
	putchar('\n');
	options(cmd);
	if (cmd->exits != NULL) {
		printf("\n%sExit codes:%s\n", bold(), plain());
		for (const struct cli_exit_note *e = cmd->exits; e->what != NULL; e++) {
			printf("  %3d  ", e->code);
			cli_wrap(e->what, 7, 7);
		}
	}
	if (cmd->examples != NULL) {
		printf("\n%sExamples:%s\n", bold(), plain());
		examples(cmd);
	}
}

static void put_plugin(const char *verb, void *arg)
{
	bool *begun = arg;

	if (!*begun)
		printf("\n%sPlug-ins:%s", bold(), plain());
	*begun = true;
	printf(" %s", verb);
}

void cli_help_all(void)
{
	bool begun = false;

	printf("tarn - shared memory that survives its users\n\n"
	       "  %star -c src | tarn send t1%s   and in another terminal:   %starn recv t1 | tar "
	       "-x%s\n"
	       "      move a stream of bytes between two processes\n"
	       "  %starn ls%s\n"
	       "      list all shared memory of the host, and who uses it\n"
	       "  %starn create frames --size 64M%s\n"
	       "      make a region of 64 MiB\n\n"
	       "%sUsage:%s tarn VERB [OPTION]... [OPERAND]...\n\n%sVerbs:%s\n",
	       bold(), plain(), bold(), plain(), bold(), plain(), bold(), plain(), bold(), plain(),
	       bold(), plain());
	for (int i = 0; cli_cmds[i] != NULL; i++) {
		if (!cli_cmds[i]->hidden)
			printf("  %-10s  %s\n", cli_cmds[i]->name, cli_cmds[i]->summary);
	}
	plugin_each(put_plugin, &begun);
	if (begun)
		putchar('\n');
	printf("\nA NAME is an address: NAME or shm:NAME (POSIX shared memory), sysv:0xKEY,\n"
	       "sysv:PATH,ID, sysv:#SHMID, file:PATH, huge:NAME; to look on memfd:PID:FD and\n"
	       "map:PID:0xADDRESS. NAME/OBJECT is an object in it.\n"
	       "\ntarn VERB -h shows examples and options, tarn VERB --help tells more, and so do\n"
	       "man tarn and man tarn-VERB.\n");
}
