/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * man.c - manual pages in mdoc(7), written from the command table: tarn(1), tarn-VERB(1),
 * tarn-errors(7) and tarn-json(5). `tarn help --man PAGE` prints one; the build installs them.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "out.h"

#define MAN_DATE "November 21, 2026" /* of the last change to what the pages say */

/* One word of running text. */
static void put_word(const char *word, size_t length)
{
	if (length > 0 && (*word == '.' || *word == '\''))
		fputs("\\&", stdout);
	for (size_t i = 0; i < length; i++) {
		if (word[i] == '\\')
			fputs("\\e", stdout);
		else if (word[i] == '-')
			fputs("\\-", stdout);
		else
			putchar(word[i]);
	}
}

/* Running text: a new line after each sentence and before column 78, .Pp between paragraphs. */
static void put_text(const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, " \n");
		bool stop = length > 1 && strchr(".:?", text[length - 1]) != NULL;
		size_t width = length;

		for (size_t i = 0; i < length; i++)
			width += text[i] == '-' || text[i] == '\\';
		if (column > 0 && column + 1 + width > 78) {
			putchar('\n');
			column = 0;
		}
		if (column > 0)
			putchar(' ');
		put_word(text, length);
		column += width + 1;
		text += length;
		if (text[0] == '\n' && text[1] == '\n')
			fputs("\n.Pp", stdout);
		if ((stop && *text != '\0') || *text == '\n') {
			putchar('\n');
			column = 0;
		}
		while (*text == ' ' || *text == '\n')
			text++;
	}
	putchar('\n');
}

/* Words as arguments of a macro. */
static void put_args(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"')
			fputs("\\(dq", stdout);
		else
			put_word(text, 1);
	}
	putchar('"');
}

static void put_literal(const char *line)
{
	puts(".Bd -literal -offset indent");
	if (*line == '.' || *line == '\'')
		fputs("\\&", stdout);
	for (; *line != '\0'; line++)
		put_word(line, 1);
	puts("\n.Ed");
}

static void put_top(const char *title, const char *section, const char *name, const char *summary)
{
	printf(".\\\" Written by `tarn help --man %s`.\n"
	       ".Dd " MAN_DATE "\n.Dt %s %s\n.Os\n.Sh NAME\n.Nm %s\n.Nd ",
	       name, title, section, name);
	put_text(summary);
}

static void put_title(char *ret_title, size_t size, const char *verb)
{
	snprintf(ret_title, size, "TARN-%s", verb);
	for (char *p = ret_title; *p != '\0'; p++) {
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	}
}

/* --- tarn-VERB(1) -------------------------------------------------------------------------- */

static void put_options(const struct cli_cmd *cmd)
{
	const struct cli_opt *opts[CLI_OPT_MAX];
	int count = cli_options(cmd, opts);

	puts("The options are:\n.Bl -tag -width Ds");
	for (int i = 0; i < count; i++) {
		const struct cli_opt *opt = opts[i];

		fputs(".It ", stdout);
		if (opt->letter != 0)
			printf("Fl %c , ", opt->letter);
		printf("Fl \\-%s", opt->name);
		if (opt->arg != NULL) {
			fputs(" Ns = Ns Ar ", stdout);
			put_args(opt->arg);
		}
		putchar('\n');
		put_text(opt->help);
	}
	puts(".El");
}

static void put_columns(const struct out_list *list)
{
	static const char *const types[] = {
		[OUT_TEXT] = "text",     [OUT_COUNT] = "number", [OUT_SIZE] = "bytes",
		[OUT_WORD] = "number",   [OUT_TIME] = "time",    [OUT_BOOL] = "boolean",
		[OUT_SIGNED] = "number", [OUT_OFFSET] = "bytes", [OUT_AGE] = "nanoseconds",
		[OUT_LONG] = "text",     [OUT_HEX] = "number",   [OUT_LIST] = "array",
		[OUT_VALUE] = "value",   [OUT_REAL] = "real",    [OUT_NS] = "real",
	};

	puts(".Bl -tag -width created_nsX -compact");
	for (const struct out_col *col = list->cols; col->key != NULL; col++) {
		printf(".It Li %s\n", col->key);
		if (col->head != NULL && col->extra == true)
			printf("(%s; column %s, if asked for)\n", types[col->type], col->head);
		else if (col->head != NULL)
			printf("(%s; column %s)\n", types[col->type], col->head);
		else
			printf("(%s)\n", types[col->type]);
		put_text(col->help);
	}
	puts(".El");
}

static void put_exits(const struct cli_cmd *cmd)
{
	puts(".Sh EXIT STATUS");
	if (cmd->exits != NULL) {
		puts(".Bl -tag -width 143X -compact");
		for (const struct cli_exit_note *e = cmd->exits; e->what != NULL; e++) {
			printf(".It %d\n", e->code);
			put_text(e->what);
		}
		puts(".El\n.Pp");
	}
	puts("All codes are listed in\n.Xr tarn 1 .");
}

static void man_verb(const struct cli_cmd *cmd)
{
	char title[64], name[64];

	put_title(title, sizeof(title), cmd->name);
	snprintf(name, sizeof(name), "tarn-%s", cmd->name);
	put_top(title, "1", name, cmd->summary);
	printf(".Sh SYNOPSIS\n.Nm tarn\n.Cm %s\n.Op Ar option ...\n", cmd->name);
	if (*cmd->args != '\0') {
		fputs(".Ar ", stdout);
		put_args(cmd->args);
		putchar('\n');
	}
	puts(".Sh DESCRIPTION");
	put_text(cmd->about);
	puts(".Pp");
	put_options(cmd);
	for (int i = 0; cmd->lists != NULL && cmd->lists[i] != NULL; i++) {
		puts(i == 0 ? ".Sh OUTPUT" : ".Pp");
		printf("Keys of JSON and columns of the table%s%s:\n", i > 0 ? ", in " : "",
		       i > 0 ? cmd->lists[i]->key : "");
		put_columns(cmd->lists[i]);
	}
	put_exits(cmd);
	for (const struct cli_example *e = cmd->examples; e != NULL && e->line != NULL; e++) {
		puts(e == cmd->examples ? ".Sh EXAMPLES" : ".Pp");
		put_text(e->what);
		put_literal(e->line);
	}
	puts(".Sh SEE ALSO\n.Xr tarn 1 ,\n.Xr tarn-json 5 ,\n.Xr tarn-errors 7");
}

/* --- tarn(1) ------------------------------------------------------------------------------- */

static void put_exit_codes(void)
{
	puts(".Sh EXIT STATUS\n.Bl -tag -width Ds\n"
	     ".It 0\nDone, and nothing found that is wrong.\n"
	     ".It 1\nA failure, or a finding.\n"
	     ".It 2\nThe command line is wrong.\n"
	     ".It 3\nWhat was named is not there.\n"
	     ".It 4\nPermission denied, or an answer that is not complete for want of it.\n"
	     ".It 5\nThe time allowed is over.\n"
	     ".It 6\nDamaged, or of an incompatible version.\n"
	     ".It 128 + n\nEnded by signal n.\n.El\n"
	     "With several operands the highest code counts.");
}

static void put_addresses(void)
{
	puts(".Ss Addresses\n"
	     "A\n.Ar NAME\nis one of these:\n.Bl -tag -width \"map:PID:0xADDRESS\" -compact\n"
	     ".It Li NAME\n.It Li shm:NAME\nPOSIX shared memory, as\n.Xr shm_open 3\nnames it\n"
	     ".It Li sysv:0xKEY\nthe System V segment with that key\n"
	     ".It Li sysv:PATH,ID\nthe System V segment with the key of\n.Xr ftok 3\n"
	     ".It Li sysv:#SHMID\nthe System V segment with that identifier\n"
	     ".It Li file:PATH\na file, which outlives a reboot\n"
	     ".It Li huge:NAME\na file in the host's hugetlbfs\n"
	     ".It Li memfd:PID:FD\ndescriptor FD of process PID, to look on only\n"
	     ".It Li map:PID:0xADDRESS\nwhat process PID has mapped there, to look on only\n"
	     ".El\n.Pp\n"
	     "An object of a region is named\n.Ar REGION/OBJECT .\n"
	     "Addresses that are printed are accepted back.");
}

static int by_name(const void *a, const void *b)
{
	const struct cli_cmd *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void put_verbs_sorted(void)
{
	const struct cli_cmd *sorted[64];
	size_t count = 0;

	for (int i = 0; cli_cmds[i] != NULL && count < 64; i++) {
		if (!cli_cmds[i]->hidden)
			sorted[count++] = cli_cmds[i];
	}
	qsort(sorted, count, sizeof(sorted[0]), by_name);
	for (size_t i = 0; i < count; i++)
		printf(".Xr tarn-%s 1 ,\n", sorted[i]->name);
}

static void man_tarn(void)
{
	put_top("TARN", "1", "tarn", "shared memory that survives its users");
	puts(".Sh SYNOPSIS\n.Nm\n.Op Fl \\-color Ns = Ns Ar \"auto|always|never\"\n"
	     ".Ar verb\n.Op Ar option ...\n.Op Ar operand ...\n"
	     ".Nm\n.Fl V | Fl h | Fl \\-help\n"
	     ".Sh DESCRIPTION\n"
	     "Moves data between processes through shared memory, shows every piece of shared\n"
	     "memory of the host, and looks after what processes leave behind.\n"
	     "The verbs are:\n.Bl -tag -width completionXX");
	for (int i = 0; cli_cmds[i] != NULL; i++) {
		if (cli_cmds[i]->hidden)
			continue;
		printf(".It Xr tarn-%s 1\n", cli_cmds[i]->name);
		put_text(cli_cmds[i]->summary);
	}
	puts(".El\n.Pp\nA program\n.Nm tarn-foo\non\n.Ev PATH\nis run as the verb\n.Cm foo .");
	put_addresses();
	puts(".Ss Removal\n"
	     "What removes something is a dry run without\n.Fl \\-yes .\n"
	     "What is not a region of Tarn's is removed only when it is named and\n"
	     ".Fl \\-foreign\nis given.\n"
	     ".Sh ENVIRONMENT\n.Bl -tag -width NO_COLOR\n"
	     ".It Ev NO_COLOR\nIf set and not empty, no colours.\n"
	     ".It Ev PATH\nWhere plug-ins are looked for.\n"
	     ".It Ev TERM\nIf it is\n.Dq dumb ,\nno colours.\n.El");
	put_exit_codes();
	puts(".Sh EXAMPLES\nMove a directory from one process to another:\n"
	     ".Bd -literal -offset indent\n"
	     "tar \\-c src | tarn send t1\n.Ed\n.Pp\nand, in another terminal,\n"
	     ".Bd -literal -offset indent\ntarn recv t1 | tar \\-x\n.Ed\n"
	     ".Sh SEE ALSO");
	put_verbs_sorted();
	puts(".Xr tarn_region 3 ,\n.Xr tarn_ring 3 ,\n.Xr tarn_segment 3 ,\n"
	     ".Xr tarn-json 5 ,\n.Xr shm_overview 7 ,\n.Xr tarn-errors 7");
}

/* --- tarn-errors(7) ------------------------------------------------------------------------ */

static void man_errors(void)
{
	put_top("TARN-ERRORS", "7", "tarn-errors", "the errors of Tarn and what they mean");
	puts(".Sh DESCRIPTION\n"
	     "Calls of the library return 0 or a negative error number of\n.Xr errno 3 .\n"
	     "Each number has one meaning throughout.\n"
	     "Where a number does not say enough, the call takes a\n.Vt struct tarn_diag\n"
	     "and writes there what was wanted, what was found, and what mends it.\n"
	     "The command prints that as\n"
	     ".Bd -literal -offset indent\n"
	     "tarn VERB: NAME: what was wanted and what was found\nhint: what mends it\n.Ed\n"
	     ".Pp\nThe number after each name is what\n.Xr tarn 1\nexits with.\n"
	     ".Bl -tag -width ENAMETOOLONGXX");
	for (const struct cli_errno *row = cli_errnos; row->number != 0; row++) {
		printf(".It Er %s Pq %d\n", row->name, (int)row->exit);
		put_text(row->meaning);
	}
	puts(".El\n.Pp\nAfter a failure the outputs of a call are as they were, and so is shared "
	     "memory.\n"
	     ".Sh SEE ALSO\n.Xr tarn 1 ,\n.Xr errno 3");
}

/* --- tarn-json(5) -------------------------------------------------------------------------- */

static void json_lists(const struct cli_cmd *cmd)
{
	printf(".Ss %s\nPrinted by\n.Xr tarn-%s 1 .\n", cmd->schema, cmd->name);
	for (int i = 0; cmd->lists[i] != NULL; i++) {
		printf(".Pp\nIn\n.Li %s :\n", cmd->lists[i]->key);
		put_columns(cmd->lists[i]);
	}
}

static void man_json(void)
{
	put_top("TARN-JSON", "5", "tarn-json", "the JSON that tarn prints");
	puts(".Sh DESCRIPTION\nWith\n.Fl \\-json\na verb prints one object with these keys:\n"
	     ".Bl -tag -width unreadableXX\n"
	     ".It Li schema\nThe name and version of what follows, such as\n"
	     ".Dq tarn.check/1 .\n"
	     "Within a version keys are added and never changed or taken away.\n"
	     ".It Li host\nThe host's name.\n"
	     ".It Li boot_id\nOf the host's boot.\n"
	     ".It Li time_ns\nWhen it was printed.\n"
	     ".It Li complete\nFalse if something could not be read.\n"
	     ".It Li unreadable\nHow many things could not.\n"
	     ".It Li items\nThe records.\n.El\n.Pp\n"
	     "Numbers are in base units, and the unit ends the key:\n"
	     ".Li size_bytes ,\n.Li created_ns .\n"
	     "Times are nanoseconds since 1970.\n"
	     "A number may need 64 bits.\n"
	     "What is not known is null.\n"
	     "Bytes of a name that are not UTF\\-8 are replaced by U+FFFD.\n.Pp\n"
	     "Verbs that stream print one object a line, each with its\n.Li schema ,\n"
	     "on standard error where standard output carries data.\n"
	     ".Sh SCHEMAS");
	for (int i = 0; cli_cmds[i] != NULL; i++) {
		if (cli_cmds[i]->schema != NULL && cli_cmds[i]->lists != NULL)
			json_lists(cli_cmds[i]);
	}
	puts(".Sh SEE ALSO\n.Xr tarn 1");
}

int cli_man(const char *page)
{
	const struct cli_cmd *cmd = cli_cmd_find(page);

	if (strcmp(page, "tarn") == 0)
		man_tarn();
	else if (strcmp(page, "tarn-errors") == 0)
		man_errors();
	else if (strcmp(page, "tarn-json") == 0)
		man_json();
	else if (cmd != NULL && !cmd->hidden)
		man_verb(cmd);
	else
		return -ENOENT;
	return 0;
}
