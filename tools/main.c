/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - `tarn VERB ...`: find the verb, or a plug-in `tarn-VERB` on PATH, and run it.
 */

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tarn/segment.h>

#include "cli.h"
#include "plugin.h"

const struct cli_cmd *cli_cmd_find(const char *name)
{
	for (int i = 0; cli_cmds[i] != NULL; i++) {
		if (strcmp(cli_cmds[i]->name, name) == 0)
			return cli_cmds[i];
	}
	return NULL;
}

/* A closed standard descriptor would be given to the next file opened, and messages would then
 * be written into it. Fill the hole with what fails as the closed one would have: 0 cannot be
 * read, 1 cannot be written. */
static void fill_standard_fds(void)
{
	static const int access[3] = { O_WRONLY, O_RDONLY, O_RDWR };

	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest free number is @fd, those below being taken. */
		if (open("/dev/null", access[fd]) != fd)
			_exit(CLI_FAILURE);
	}
}

static int unknown_verb(const char *verb)
{
	struct cli_near near = { .word = verb };

	for (int i = 0; cli_cmds[i] != NULL; i++) {
		if (!cli_cmds[i]->hidden)
			cli_near_offer(&near, cli_cmds[i]->name);
	}
	if (near.best != NULL)
		return cli_usage(NULL, "unknown verb '%s': did you mean '%s'?", verb, near.best);
	return cli_usage(NULL, "unknown verb '%s'", verb);
}

static int run_cmd(const struct cli_cmd *cmd, int argc, char **argv)
{
	struct cli cli = { 0 };
	int code = cli_parse(&cli, cmd, argc, argv);

	if (code >= 0)
		return cli_finish(&cli, code);

	/* A peer that truncates what is mapped gives an error from the call, not a signal. */
	int r = tarn_segment_guard();

	if (r < 0)
		return cli_fail(&cli, "the handler of SIGBUS", r);
	return cli_finish(&cli, cmd->run(&cli));
}

static int run_word(const char *name, const char *operand)
{
	char *argv[] = { (char *)name, (char *)operand, NULL };

	return run_cmd(cli_cmd_find(name), operand != NULL ? 2 : 1, argv);
}

/* Options before the verb. Returns -1 to go on with argv[*ret_at], else the exit code. */
static int global_options(int argc, char **argv, int *ret_at)
{
	int at = 1;

	for (; at < argc && argv[at][0] == '-'; at++) {
		const char *word = argv[at];

		if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0)
			return run_word("version", NULL);
		if (strcmp(word, "-h") == 0)
			return run_word("help", NULL);
		if (strcmp(word, "--help") == 0)
			return run_word("help", "tarn");
		if (strcmp(word, "--color") == 0 && at + 1 < argc && cli_color_set(argv[at + 1]))
			at++;
		else if (strncmp(word, "--color=", 8) != 0 || !cli_color_set(word + 8))
			return cli_usage(NULL, "unknown option '%s' before the verb", word);
	}
	*ret_at = at;
	return -1;
}

int main(int argc, char **argv)
{
	int at = 1;

	fill_standard_fds();
	setlocale(LC_CTYPE, "");  /* widths of names in tables; numbers stay as they are */
	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write(), said in words */

	int code = global_options(argc, argv, &at);

	if (code >= 0)
		return code;
	if (at >= argc) {
		cli_usage(NULL, "a verb is missing");
		return CLI_USAGE;
	}

	const struct cli_cmd *cmd = cli_cmd_find(argv[at]);

	if (cmd != NULL)
		return run_cmd(cmd, argc - at, argv + at);
	plugin_run(argv[at], argv + at); /* returns where there is none */
	return unknown_verb(argv[at]);
}
