/* SPDX-License-Identifier: BSD-2-Clause */
/* completion.c - shell completions, written from the command table. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "scan.h"

/* The shells ask `tarn completion regions` for the names that are there. */

static void put_words(const char *bars, char apart)
{
	for (; *bars != '\0'; bars++)
		putchar(*bars == '|' ? apart : *bars);
}

static void put_verbs(void)
{
	for (int i = 0; cli_cmds[i] != NULL; i++) {
		if (!cli_cmds[i]->hidden)
			printf("%s%s", i > 0 ? " " : "", cli_cmds[i]->name);
	}
}

/* What prints the words that an operand may be, one a line; NULL = @operand lists them itself. */
static const char *operand_command(const char *operand)
{
	if (strcmp(operand, "region") == 0)
		return "tarn completion regions";
	if (strcmp(operand, "segment") == 0)
		return "tarn ls -rn -o name";
	return NULL;
}

/* --- bash ---------------------------------------------------------------------------------- */

static void bash_values(const struct cli_opt *opt)
{
	if (opt->arg == NULL)
		return;
	printf("\t\t--%s", opt->name);
	if (opt->letter != 0)
		printf("|-%c", opt->letter);
	if (strchr(opt->arg, '|') != NULL) {
		fputs(") words=\"", stdout);
		put_words(opt->arg, ' ');
		puts("\" ;;");
	} else if (strcmp(opt->arg, "USER") == 0) {
		puts(") COMPREPLY=( $(compgen -u -- \"$cur\") ); return ;;");
	} else {
		puts(") return ;;");
	}
}

static void bash_operand(const char *operand)
{
	if (operand == NULL)
		return;
	fputs("\t\t\twords=\"", stdout);
	if (operand_command(operand) != NULL)
		printf("$(%s 2>/dev/null)", operand_command(operand));
	else if (strcmp(operand, "verb") == 0)
		put_verbs();
	else
		put_words(operand, ' ');
	puts("\"");
}

static void bash_cmd(const struct cli_cmd *cmd)
{
	const struct cli_opt *opts[CLI_OPT_MAX];
	int count = cli_options(cmd, opts);

	printf("\t%s)\n\t\tcase \"$prev\" in\n", cmd->name);
	for (int i = 0; i < count; i++)
		bash_values(opts[i]);
	fputs("\t\t*) if [[ \"$cur\" == -* ]]; then\n\t\t\twords=\"", stdout);
	for (int i = 0; i < count; i++)
		printf("%s--%s", i > 0 ? " " : "", opts[i]->name);
	puts("\"\n\t\telse");
	if (cmd->operand != NULL)
		bash_operand(cmd->operand);
	else
		puts("\t\t\t:");
	puts("\t\tfi ;;\n\t\tesac ;;");
}

static void completion_bash(void)
{
	puts("# bash completion for tarn; written by `tarn completion bash`\n"
	     "_tarn()\n{\n"
	     "\tlocal cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"\" verb=\"\" words=\"\" i\n"
	     "\tCOMPREPLY=()\n"
	     "\t# bash takes a word apart at the colons of an address\n"
	     "\tlocal full=\"${COMP_LINE:0:${COMP_POINT:-0}}\"\n"
	     "\tfull=\"${full##* }\"\n"
	     "\t[[ \"$full\" == *:* ]] || full=\"$cur\"\n"
	     "\t[ \"$COMP_CWORD\" -gt 0 ] && prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
	     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tcase \"${COMP_WORDS[i]}\" in\n"
	     "\t\t-*) ;;\n"
	     "\t\t*) verb=\"${COMP_WORDS[i]}\"; break ;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase \"$verb\" in");
	fputs("\t\"\") words=\"--help --version --color ", stdout);
	put_verbs();
	puts("\" ;;");
	for (int i = 0; cli_cmds[i] != NULL; i++) {
		if (!cli_cmds[i]->hidden)
			bash_cmd(cli_cmds[i]);
	}
	puts("\tesac\n"
	     "\t[ -n \"$words\" ] && COMPREPLY=( $(compgen -W \"$words\" -- \"$full\") )\n"
	     "\t[[ \"$full\" == *:* ]] && COMPREPLY=( "
	     "\"${COMPREPLY[@]#\"${full%\"${full##*:}\"}\"}\" )\n"
	     "\treturn 0\n}\n"
	     "complete -F _tarn tarn");
}

/* --- zsh ----------------------------------------------------------------------------------- */

/* Inside '...' and before a ':' or ']' of _arguments. */
static void zsh_quoted(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (strchr("[]:\\", *text) != NULL)
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

static void zsh_option(const struct cli_opt *opt)
{
	if (opt->letter != 0)
		printf("\t\t\t'(-%c --%s)'{-%c,--%s%s}'[", opt->letter, opt->name, opt->letter,
		       opt->name, opt->arg != NULL ? "=" : "");
	else
		printf("\t\t\t'--%s%s[", opt->name, opt->arg != NULL ? "=" : "");
	zsh_quoted(opt->help);
	putchar(']');
	if (opt->arg != NULL && strchr(opt->arg, '|') != NULL) {
		printf(":%s:(", opt->name);
		put_words(opt->arg, ' ');
		putchar(')');
	} else if (opt->arg != NULL) {
		printf(":%s:%s", opt->arg, strcmp(opt->arg, "USER") == 0 ? "_users" : "");
	}
	puts("' \\");
}

static void zsh_cmd(const struct cli_cmd *cmd)
{
	const struct cli_opt *opts[CLI_OPT_MAX];
	int count = cli_options(cmd, opts);

	printf("\t\t%s)\n\t\t\t_arguments \\\n", cmd->name);
	for (int i = 0; i < count; i++)
		zsh_option(opts[i]);
	if (cmd->operand == NULL) {
		puts("\t\t\t&& return ;;");
		return;
	}
	fputs("\t\t\t'*:operand:", stdout);
	if (operand_command(cmd->operand) != NULL) {
		printf("_tarn_%ss", cmd->operand);
	} else {
		putchar('(');
		if (strcmp(cmd->operand, "verb") == 0)
			put_verbs();
		else
			put_words(cmd->operand, ' ');
		putchar(')');
	}
	puts("' && return ;;");
}

static void completion_zsh(void)
{
	puts("#compdef tarn\n# zsh completion for tarn; written by `tarn completion zsh`\n"
	     "_tarn_regions() {\n"
	     "\tlocal -a names\n"
	     "\tnames=(${(f)\"$(tarn completion regions 2>/dev/null)\"})\n"
	     "\tcompadd -a names\n"
	     "}\n"
	     "_tarn_segments() {\n"
	     "\tlocal -a names\n"
	     "\tnames=(${(f)\"$(tarn ls -rn -o name 2>/dev/null)\"})\n"
	     "\tcompadd -a names\n"
	     "}\n"
	     "_tarn() {\n"
	     "\tlocal -a verbs\n"
	     "\tverbs=(");
	for (int i = 0; cli_cmds[i] != NULL; i++) {
		if (cli_cmds[i]->hidden)
			continue;
		printf("\t\t'%s:", cli_cmds[i]->name);
		zsh_quoted(cli_cmds[i]->summary);
		puts("'");
	}
	puts("\t)\n"
	     "\tif (( CURRENT == 2 )); then\n"
	     "\t\t_describe verb verbs\n"
	     "\t\treturn\n"
	     "\tfi\n"
	     "\tlocal verb=$words[2]\n"
	     "\tshift words\n"
	     "\t(( CURRENT-- ))\n"
	     "\tcase $verb in");
	for (int i = 0; cli_cmds[i] != NULL; i++) {
		if (!cli_cmds[i]->hidden)
			zsh_cmd(cli_cmds[i]);
	}
	puts("\tesac\n}\n_tarn \"$@\"");
}

/* --- fish ---------------------------------------------------------------------------------- */

static void fish_quoted(const char *text)
{
	putchar('\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

static void fish_option(const struct cli_cmd *cmd, const struct cli_opt *opt)
{
	printf("complete -c tarn -n '__fish_seen_subcommand_from %s' -l %s", cmd->name, opt->name);
	if (opt->letter != 0)
		printf(" -s %c", opt->letter);
	if (opt->arg != NULL)
		fputs(" -x", stdout);
	if (opt->arg != NULL && strchr(opt->arg, '|') != NULL) {
		fputs(" -a '", stdout);
		put_words(opt->arg, ' ');
		putchar('\'');
	} else if (opt->arg != NULL && strcmp(opt->arg, "USER") == 0) {
		fputs(" -a '(__fish_complete_users)'", stdout);
	}
	fputs(" -d ", stdout);
	fish_quoted(opt->help);
	putchar('\n');
}

static void fish_cmd(const struct cli_cmd *cmd)
{
	const struct cli_opt *opts[CLI_OPT_MAX];
	int count = cli_options(cmd, opts);

	printf("complete -c tarn -n __fish_use_subcommand -a %s -d ", cmd->name);
	fish_quoted(cmd->summary);
	putchar('\n');
	for (int i = 0; i < count; i++)
		fish_option(cmd, opts[i]);
	if (cmd->operand == NULL)
		return;
	printf("complete -c tarn -n '__fish_seen_subcommand_from %s' -a '", cmd->name);
	if (operand_command(cmd->operand) != NULL)
		printf("(%s 2>/dev/null)", operand_command(cmd->operand));
	else if (strcmp(cmd->operand, "verb") == 0)
		put_verbs();
	else
		put_words(cmd->operand, ' ');
	puts("'");
}

static void completion_fish(void)
{
	puts("# fish completion for tarn; written by `tarn completion fish`\n"
	     "complete -c tarn -f");
	for (int i = 0; cli_cmds[i] != NULL; i++) {
		if (!cli_cmds[i]->hidden)
			fish_cmd(cli_cmds[i]);
	}
}

static int put_region(const char *addr, void *arg)
{
	(void)arg;
	puts(addr);
	return 0;
}

int cli_completion(const char *shell)
{
	if (strcmp(shell, "bash") == 0)
		completion_bash();
	else if (strcmp(shell, "zsh") == 0)
		completion_zsh();
	else if (strcmp(shell, "fish") == 0)
		completion_fish();
	else
		scan_regions(put_region, NULL, NULL);
	return CLI_OK;
}
