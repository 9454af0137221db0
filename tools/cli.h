/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cli.h - the command table, and what a command sees of its command line.
 *
 * Each verb is one cmd_*.c with one struct cli_cmd, listed once in table.c. From that struct
 * come the parser, -h and --help, the manual page, the shell completions and, through its
 * lists, the documentation of its JSON. Nothing outside tools/ reads arguments or the environment.
 */
#ifndef TARN_TOOLS_CLI_H
#define TARN_TOOLS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <tarn/base.h>

/* What `tarn` exits with; documented in tarn(1). */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILURE = 1, /* a finding, or a failure without a code of its own */
	CLI_USAGE = 2,   /* the command line is wrong */
	CLI_ABSENT = 3,  /* what was named is not there */
	CLI_DENIED = 4,  /* permission denied, or the answer is incomplete for want of it */
	CLI_TIMEOUT = 5,
	CLI_CORRUPT = 6,  /* damaged, or of an incompatible version */
	CLI_SIGNAL = 128, /* plus the number of the signal that ended it */
};

struct cli_opt {
	int letter;       /* 0 = long form only */
	const char *name; /* NULL ends the table */
	const char *arg;  /* NULL = takes none; "a|b|c" = one of these words */
	const char *help;
};

struct cli_example {
	const char *line; /* NULL ends the table */
	const char *what;
};

/* What an exit code means for a verb, beyond tarn(1). */
struct cli_exit_note {
	int code;
	const char *what; /* NULL ends the table */
};

/* Groups of options that several verbs share; see opts.c. */
#define CLI_GROUP_LIST   (1u << 0) /* prints records: --json, --output, --sort ... */
#define CLI_GROUP_OPEN   (1u << 1) /* opens what others may have made: --owner, --mode */
#define CLI_GROUP_YES    (1u << 2) /* removes: a dry run without --yes */
#define CLI_GROUP_STREAM (1u << 3) /* moves a stream: --timeout, --verify ... */
#define CLI_GROUP_WATCH  (1u << 4) /* looks again and again: --watch ...; see watch.h */

struct cli;
struct out_list;
struct rows;

struct cli_cmd {
	const char *name;
	const char *args;    /* for the usage line: "NAME..." */
	const char *summary; /* one line, no full stop */
	const char *about;   /* paragraphs, apart by an empty line */
	const char *operand; /* completes to: "region", "segment", "verb", "a|b|c", or NULL */
	const struct cli_opt *opts;
	const struct cli_example *examples;
	const struct cli_exit_note *exits;   /* may be NULL */
	const char *schema;                  /* of its JSON: "tarn.check/1"; NULL = prints none */
	const struct out_list *const *lists; /* what its JSON holds, NULL-terminated */
	unsigned groups;
	int arg_min;
	int arg_max; /* -1 = any number */
	bool hidden;
	/* Are the options behind the last of these operands for a program? NULL = never. */
	bool (*ends_options)(int count, char **operands);
	int (*run)(struct cli *cli);
};

extern const struct cli_cmd *const cli_cmds[]; /* table.c, NULL-terminated */
const struct cli_cmd *cli_cmd_find(const char *name);

#define CLI_OPT_MAX 32 /* options a verb may have, shared ones included */

struct cli {
	const struct cli_cmd *cmd;
	int argc; /* operands */
	char **argv;
	const struct cli_opt *opts[CLI_OPT_MAX];
	const char *values[CLI_OPT_MAX]; /* NULL = not given; "" for one that takes no argument */
	int opt_count;
	FILE *to;   /* where out.h prints: watch.h collects a screen; NULL = standard output */
	bool lines; /* --watch: each JSON object in one line */
	/* NULL, or where lists go in place of being printed, for who runs the verb to look through
	 * its eyes: @rows are the taker's then. Notes that there is nothing are left out. */
	void (*take)(struct rows *rows, void *arg);
	void *take_arg;
	struct tarn_diag diag; /* for calls to the library; cli_fail() prints and clears it */
};

/* The value of option @name, NULL where it was not given. @name must be in the table. */
const char *cli_value(const struct cli *cli, const char *name);
bool cli_given(const struct cli *cli, const char *name);
/* The same, NULL too where the verb has no such option. */
const char *cli_value_if(const struct cli *cli, const char *name);

/* Parse what follows the verb. Returns -1 to go on, else the exit code. */
int cli_parse(struct cli *cli, const struct cli_cmd *cmd, int argc, char **argv);
/* Every option of @cmd, shared ones last; returns how many. */
int cli_options(const struct cli_cmd *cmd, const struct cli_opt *ret_opts[CLI_OPT_MAX]);
/* @cli is to run @cmd with no option given, but for those of CLI_GROUP_OPEN, which are @from's. */
void cli_borrow(struct cli *cli, const struct cli_cmd *cmd, const struct cli *from);
/* As if option @name, which must be in the table, was given. */
void cli_give(struct cli *cli, const char *name, const char *value);

/* Option values. Each returns true, or prints what is wrong with it and returns false; the result
 * is untouched where the option was not given. */
bool cli_size(struct cli *cli, const char *name, uint64_t *ret_size);
bool cli_number(struct cli *cli, const char *name, uint64_t min, uint64_t max, uint64_t *ret_num);
bool cli_mode(struct cli *cli, const char *name, uint32_t *ret_mode);
bool cli_user(struct cli *cli, const char *name, uint32_t *ret_uid); /* by name or number */
bool cli_seconds(struct cli *cli, const char *name, int64_t *ret_ns);
bool cli_duration(struct cli *cli, const char *name, int64_t *ret_ns); /* "90", "1.5h", "2d" */

/* The opts of CLI_GROUP_OPEN, and the diag, into a struct tarn_region_opts. */
struct tarn_region_opts;
bool cli_open_opts(struct cli *cli, struct tarn_region_opts *ret_opts);

/* --- telling the user: report.c ---------------------------------------------------------- */

enum cli_color { CLI_COLOR_AUTO, CLI_COLOR_ALWAYS, CLI_COLOR_NEVER };
bool cli_color_set(const char *word); /* false: no such word */
bool cli_color(int fd);               /* is this output to be coloured? */

/* One row an error number: its meaning, and what `tarn` exits with. */
struct cli_errno {
	int number;
	enum cli_exit exit;
	const char *name;
	const char *meaning;
};
extern const struct cli_errno cli_errnos[]; /* ends with number 0 */
enum cli_exit cli_exit_of(int error);       /* @error: negative errno */

/* "tarn VERB: @subject: why", and the hint; @subject may be NULL. Returns the exit code. */
int cli_fail(struct cli *cli, const char *subject, int error);
/* "tarn VERB: ..." without an error number; returns CLI_FAILURE or CLI_USAGE. */
int cli_error(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Messages go to @to from now on; NULL = standard error again. */
void cli_report_to(FILE *to);
/* Write out what standard output holds; what goes wrong is kept for cli_finish(). False: it cannot
 * be written. */
bool cli_flush(void);
/* The same at the end; what it lost is a failure. Returns @code, or CLI_FAILURE. */
int cli_finish(const struct cli *cli, int code);
/* The graver of two exit codes, for verbs that go through several names. */
int cli_worse(int a, int b);

/* --- words -------------------------------------------------------------------------------- */

/* Print @text from column @at on, its other lines at @indent; an empty line parts paragraphs. */
void cli_wrap(const char *text, int at, int indent);
void cli_help_short(const struct cli_cmd *cmd);
void cli_help_long(const struct cli_cmd *cmd);
void cli_help_all(void);
int cli_man(const char *page); /* 0, or -ENOENT */
int cli_completion(const char *shell);

/* The word of @words nearest to @word, if near enough to be what was meant; else NULL. */
struct cli_near {
	const char *word;
	const char *best;
	unsigned distance;
};
void cli_near_offer(struct cli_near *near, const char *candidate);

bool text_size_parse(const char *text, uint64_t *ret_size);
const char *text_size(uint64_t size, char buf[24]);
const char *text_duration(int64_t ns, char buf[24]);
const char *text_age(int64_t ns, char buf[24]);           /* "40s", "3m", "5h", "2d" */
const char *text_time(int64_t realtime_ns, char buf[40]); /* local, ISO 8601 */

#endif /* TARN_TOOLS_CLI_H */
