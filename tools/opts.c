/* SPDX-License-Identifier: BSD-2-Clause */
/* opts.c - options: the shared ones, parsing with getopt_long(), and their values. */

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/region.h>

#include "cli.h"

static const struct cli_opt opts_list[] = {
	{ 'J', "json", NULL, "print JSON, see tarn-json(5)" },
	{ 'b', "bytes", NULL, "print sizes in bytes" },
	{ 'o', "output", "COLUMNS",
	  "print these columns, apart by commas; +COLUMN adds one, help lists them" },
	{ 'n', "noheadings", NULL, "leave the headings out" },
	{ 's', "sort", "COLUMNS",
	  "sort by these columns, apart by commas; -COLUMN the largest first; what is not known "
	  "comes last" },
	{ 'r', "raw", NULL, "print values apart by single blanks, for scripts" },
	{ 0, "notruncate", NULL, "cut nothing, even if the terminal is too narrow" },
	{ 0 },
};

static const struct cli_opt opts_watch[] = {
	{ 'w', "watch", NULL,
	  "look again and again: redraws a terminal, and with -J prints one object a line" },
	{ 'i', "interval", "SECONDS", "time from one look to the next; 2 if not given" },
	{ 'c', "count", "N",
	  "end after N looks, 0 = never; if not given a terminal goes on until it is "
	  "interrupted, a pipe gets one" },
	{ 0 },
};

static const struct cli_opt opts_open[] = {
	{ 0, "owner", "USER", "accept what this user owns, instead of only one's own" },
	{ 0, "mode", "MODE",
	  "permission bits in octal: the widest accepted, and those of what is "
	  "created; 0600 if not given" },
	{ 0 },
};

static const struct cli_opt opts_stream[] = {
	{ 't', "timeout", "SECONDS", "how long to wait for the other side; for ever if not given" },
	{ 0, "verify", NULL, "compare a digest (XXH3-128) of all bytes on both sides" },
	{ 0, "ring", "SIZE",
	  "size of the ring if this side makes it, a power of two; 4M if not "
	  "given" },
	{ 'p', "progress", NULL, "show progress, even if standard error is no terminal" },
	{ 'q', "quiet", NULL, "show no progress" },
	{ 'J', "json", NULL, "progress and result as one JSON object a line on standard error" },
	{ 0 },
};

static const struct cli_opt opts_yes[] = {
	{ 'y', "yes", NULL, "do it; without this only show what would be done" },
	{ 0 },
};

static const struct cli_opt opts_common[] = {
	{ 0, "color", "auto|always|never",
	  "colour the output; NO_COLOR in the environment turns "
	  "it off" },
	{ 'h', "help", NULL, "show help: -h the short form, --help the long one" },
	{ 0 },
};

static int append(const struct cli_opt *from, const struct cli_opt *ret_opts[CLI_OPT_MAX],
		  int count)
{
	for (; from != NULL && from->name != NULL; from++) {
		assert(count < CLI_OPT_MAX);
		ret_opts[count++] = from;
	}
	return count;
}

int cli_options(const struct cli_cmd *cmd, const struct cli_opt *ret_opts[CLI_OPT_MAX])
{
	int count = append(cmd->opts, ret_opts, 0);

	if (cmd->groups & CLI_GROUP_STREAM)
		count = append(opts_stream, ret_opts, count);
	if (cmd->groups & CLI_GROUP_YES)
		count = append(opts_yes, ret_opts, count);
	if (cmd->groups & CLI_GROUP_OPEN)
		count = append(opts_open, ret_opts, count);
	if (cmd->groups & CLI_GROUP_WATCH)
		count = append(opts_watch, ret_opts, count);
	if (cmd->groups & CLI_GROUP_LIST)
		count = append(opts_list, ret_opts, count);
	return append(opts_common, ret_opts, count);
}

static int option_index(const struct cli *cli, const char *name)
{
	for (int i = 0; i < cli->opt_count; i++) {
		if (strcmp(cli->opts[i]->name, name) == 0)
			return i;
	}
	return -1;
}

const char *cli_value(const struct cli *cli, const char *name)
{
	int i = option_index(cli, name);

	assert(i >= 0);
	return cli->values[i];
}

const char *cli_value_if(const struct cli *cli, const char *name)
{
	int i = option_index(cli, name);

	return i >= 0 ? cli->values[i] : NULL;
}

bool cli_given(const struct cli *cli, const char *name)
{
	return cli_value(cli, name) != NULL;
}

void cli_give(struct cli *cli, const char *name, const char *value)
{
	int i = option_index(cli, name);

	assert(i >= 0);
	cli->values[i] = value;
}

void cli_borrow(struct cli *cli, const struct cli_cmd *cmd, const struct cli *from)
{
	*cli = (struct cli){ .cmd = cmd };
	cli->opt_count = cli_options(cmd, cli->opts);
	for (const struct cli_opt *opt = opts_open; opt->name != NULL; opt++)
		cli_give(cli, opt->name, cli_value_if(from, opt->name));
}

/* --- parsing ------------------------------------------------------------------------------- */

#define LONG_BASE 256 /* getopt_long's value for the option with index i is LONG_BASE + i */

static void build_tables(const struct cli *cli, struct option longs[CLI_OPT_MAX + 1],
			 char shorts[2 * CLI_OPT_MAX + 3])
{
	char *s = shorts;

	if (cli->cmd->ends_options != NULL)
		*s++ = '+'; /* stop at each operand */
	*s++ = ':';         /* tell a missing argument from an unknown option */
	for (int i = 0; i < cli->opt_count; i++) {
		const struct cli_opt *opt = cli->opts[i];

		longs[i] = (struct option){ opt->name,
					    opt->arg != NULL ? required_argument : no_argument,
					    NULL, LONG_BASE + i };
		if (opt->letter != 0)
			*s++ = (char)opt->letter;
		if (opt->letter != 0 && opt->arg != NULL)
			*s++ = ':';
	}
	longs[cli->opt_count] = (struct option){ 0 };
	*s = '\0';
}

static int index_of(const struct cli *cli, int value)
{
	if (value >= LONG_BASE)
		return value - LONG_BASE;
	for (int i = 0; i < cli->opt_count; i++) {
		if (cli->opts[i]->letter == value)
			return i;
	}
	return -1;
}

/* An unknown long option, as it was written: "--jsn=1" gives "jsn". */
static int unknown_long(const struct cli *cli, const char *written)
{
	char word[64];
	int matches = 0;

	snprintf(word, sizeof(word), "%s", written + 2);
	word[strcspn(word, "=")] = '\0';

	struct cli_near near = { .word = word };

	for (int i = 0; i < cli->opt_count; i++) {
		matches += strncmp(cli->opts[i]->name, word, strlen(word)) == 0;
		cli_near_offer(&near, cli->opts[i]->name);
	}
	if (matches > 1)
		return cli_usage(cli, "option '--%s' is ambiguous", word);
	if (near.best != NULL)
		return cli_usage(cli, "unknown option '--%s': did you mean '--%s'?", word,
				 near.best);
	return cli_usage(cli, "unknown option '--%s'", word);
}

static int refuse(const struct cli *cli, int got, char **argv)
{
	int i = optopt != 0 ? index_of(cli, optopt) : -1;
	const char *written = argv[optind - 1];

	if (got == ':')
		return cli_usage(cli, "option '--%s' needs a value: %s", cli->opts[i]->name,
				 cli->opts[i]->arg);
	if (optopt >= LONG_BASE)
		return cli_usage(cli, "option '--%s' takes no value", cli->opts[i]->name);
	if (optopt != 0)
		return cli_usage(cli, "unknown option '-%c'", optopt);
	return unknown_long(cli, written);
}

/* "a|b|c": is @value one of these words? */
static bool one_of(const char *words, const char *value)
{
	size_t length = strlen(value);

	for (const char *w = words; w != NULL; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL) {
		if (length > 0 && strcspn(w, "|") == length && strncmp(w, value, length) == 0)
			return true;
	}
	return false;
}

static int take(struct cli *cli, int got)
{
	int i = index_of(cli, got);
	const struct cli_opt *opt = cli->opts[i];
	const char *value = opt->arg != NULL ? optarg : "";

	if (opt->arg != NULL && strchr(opt->arg, '|') != NULL && !one_of(opt->arg, value))
		return cli_usage(cli, "'%s' is no value of --%s: it takes %s", value, opt->name,
				 opt->arg);
	if (strcmp(opt->name, "help") == 0) {
		/* The letter is asked for in passing, the word by those who want to read. */
		if (got == 'h')
			cli_help_short(cli->cmd);
		else
			cli_help_long(cli->cmd);
		return CLI_OK;
	}
	if (strcmp(opt->name, "color") == 0)
		cli_color_set(value);
	cli->values[i] = value;
	return -1;
}

static int count_operands(const struct cli *cli)
{
	const struct cli_cmd *cmd = cli->cmd;

	if (cli->argc < cmd->arg_min)
		return cli_usage(cli, "%s is missing", cmd->args);
	if (cmd->arg_max == 0 && cli->argc > 0)
		return cli_usage(cli, "takes no operands, but was given '%s'", cli->argv[0]);
	if (cmd->arg_max >= 0 && cli->argc > cmd->arg_max)
		return cli_usage(cli, "one operand too many: '%s'", cli->argv[cmd->arg_max]);
	return -1;
}

/* getopt_long() stopped at argv[optind]. Take it for an operand, into the beginning of @argv, which
 * is done with. False: the rest are operands. */
static bool take_operand(const struct cli *cli, int argc, char **argv, int *count)
{
	bool all = cli->cmd->ends_options == NULL || optind >= argc ||
		   (optind > *count + 1 && strcmp(argv[optind - 1], "--") == 0);

	if (all)
		return false;
	argv[++*count] = argv[optind++];
	return !cli->cmd->ends_options(*count, argv + 1);
}

int cli_parse(struct cli *cli, const struct cli_cmd *cmd, int argc, char **argv)
{
	struct option longs[CLI_OPT_MAX + 1];
	char shorts[2 * CLI_OPT_MAX + 3];
	int got, count = 0;

	cli->cmd = cmd;
	cli->opt_count = cli_options(cmd, cli->opts);
	build_tables(cli, longs, shorts);
	opterr = 0;
	optind = 0; /* glibc and musl: start afresh, argv[0] is the verb */
	for (;;) {
		got = getopt_long(argc, argv, shorts, longs, NULL);
		if (got == -1 && take_operand(cli, argc, argv, &count))
			continue;
		if (got == -1)
			break;

		int code = got == '?' || got == ':' ? refuse(cli, got, argv) : take(cli, got);

		if (code >= 0)
			return code;
	}
	memmove(argv + 1 + count, argv + optind, (size_t)(argc - optind) * sizeof(*argv));
	cli->argc = count + argc - optind;
	cli->argv = argv + 1;
	argv[1 + cli->argc] = NULL;
	return count_operands(cli);
}

/* --- values -------------------------------------------------------------------------------- */

bool cli_size(struct cli *cli, const char *name, uint64_t *ret_size)
{
	const char *text = cli_value(cli, name);

	if (text == NULL || text_size_parse(text, ret_size))
		return true;
	cli_usage(cli, "'%s' is no size for --%s: a number with K, M, G or T, such as 64M", text,
		  name);
	return false;
}

bool cli_number(struct cli *cli, const char *name, uint64_t min, uint64_t max, uint64_t *ret_num)
{
	const char *text = cli_value(cli, name);

	if (text == NULL)
		return true;

	char *end;

	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && number >= min &&
	    number <= max) {
		*ret_num = number;
		return true;
	}
	cli_usage(cli, "'%s' is no value for --%s: a number from %llu to %llu", text, name,
		  (unsigned long long)min, (unsigned long long)max);
	return false;
}

bool cli_mode(struct cli *cli, const char *name, uint32_t *ret_mode)
{
	const char *text = cli_value(cli, name);

	if (text == NULL)
		return true;

	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	/* 0 would mean "the default" to the library, and nobody could use it. */
	if (text[0] >= '0' && text[0] <= '7' && *end == '\0' && mode >= 1 && mode <= 0777) {
		*ret_mode = (uint32_t)mode;
		return true;
	}
	cli_usage(cli, "'%s' is no value for --%s: permission bits in octal, such as 0660", text,
		  name);
	return false;
}

bool cli_seconds(struct cli *cli, const char *name, int64_t *ret_ns)
{
	const char *text = cli_value(cli, name);

	if (text == NULL)
		return true;

	char *end;
	double seconds = strtod(text, &end);

	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && seconds < 9e9) {
		*ret_ns = (int64_t)(seconds * 1e9);
		return true;
	}
	cli_usage(cli, "'%s' is no value for --%s: seconds, such as 2 or 0.5", text, name);
	return false;
}

bool cli_duration(struct cli *cli, const char *name, int64_t *ret_ns)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = { { "", 1 },     { "s", 1 },     { "m", 60 },
		      { "h", 3600 }, { "d", 86400 }, { "w", 604800 } };
	const char *text = cli_value(cli, name);

	if (text == NULL)
		return true;

	char *end;
	double number = strtod(text, &end);

	for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (text[0] >= '0' && text[0] <= '9' && strcmp(end, units[i].unit) == 0 &&
		    number * units[i].seconds < 9e9) {
			*ret_ns = (int64_t)(number * units[i].seconds * 1e9);
			return true;
		}
	}
	cli_usage(cli,
		  "'%s' is no value for --%s: a time, such as 90 or 1.5s (seconds), 30m, 12h or 7d",
		  text, name);
	return false;
}

bool cli_user(struct cli *cli, const char *name, uint32_t *ret_uid)
{
	const char *text = cli_value(cli, name);

	if (text == NULL)
		return true;

	const struct passwd *user = getpwnam(text);
	char *end;

	if (user != NULL) {
		*ret_uid = user->pw_uid;
		return true;
	}

	unsigned long uid = strtoul(text, &end, 10);

	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && uid < UINT32_MAX) {
		*ret_uid = (uint32_t)uid;
		return true;
	}
	cli_usage(cli, "there is no user '%s'", text);
	return false;
}

bool cli_open_opts(struct cli *cli, struct tarn_region_opts *ret_opts)
{
	if (!cli_mode(cli, "mode", &ret_opts->mode))
		return false;
	if (!cli_user(cli, "owner", &ret_opts->owner))
		return false;
	if (cli_given(cli, "owner"))
		ret_opts->flags |= TARN_SEGMENT_OWNER;
	ret_opts->diag = &cli->diag;
	return true;
}
