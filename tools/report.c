/* SPDX-License-Identifier: BSD-2-Clause */
/* report.c - errors, notes and hints on standard error, and the exit codes that go with them. */

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static enum cli_color color_mode = CLI_COLOR_AUTO;

bool cli_color_set(const char *word)
{
	static const char *const words[] = { "auto", "always", "never" };

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(word, words[i]) == 0) {
			color_mode = (enum cli_color)i;
			return true;
		}
	}
	return false;
}

bool cli_color(int fd)
{
	const char *no_color = getenv("NO_COLOR"); /* no-color.org: set and not empty */
	const char *term = getenv("TERM");

	if (color_mode != CLI_COLOR_AUTO)
		return color_mode == CLI_COLOR_ALWAYS;
	if (no_color != NULL && *no_color != '\0')
		return false;
	return isatty(fd) && term != NULL && strcmp(term, "dumb") != 0;
}

/* The fixed vocabulary of the library, in the order of tarn-errors(7). */
const struct cli_errno cli_errnos[] = {
	{ EAGAIN, CLI_FAILURE, "EAGAIN", "not now: full, empty, or being made by another" },
	{ ETIMEDOUT, CLI_TIMEOUT, "ETIMEDOUT", "the time allowed is over" },
	{ ENOENT, CLI_ABSENT, "ENOENT", "there is no such thing" },
	{ ESRCH, CLI_ABSENT, "ESRCH", "there is no such process" },
	{ ERANGE, CLI_ABSENT, "ERANGE", "beyond the end of an array" },
	{ ENOTUNIQ, CLI_USAGE, "ENOTUNIQ", "several things have that name" },
	{ ESTALE, CLI_FAILURE, "ESTALE", "not what it was when it was looked at" },
	{ EEXIST, CLI_FAILURE, "EEXIST", "it exists already" },
	{ EBUSY, CLI_FAILURE, "EBUSY", "another live process has it" },
	{ EDEADLK, CLI_FAILURE, "EDEADLK", "it would be waited for for ever" },
	{ EOWNERDEAD, CLI_FAILURE, "EOWNERDEAD", "whoever was inside has died" },
	{ EPIPE, CLI_FAILURE, "EPIPE", "the other side is gone" },
	{ ENOTCONN, CLI_ABSENT, "ENOTCONN", "there is nobody on the other side" },
	{ EREMOTEIO, CLI_FAILURE, "EREMOTEIO", "the other side says that it failed" },
	{ ECANCELED, CLI_FAILURE, "ECANCELED", "nobody waits for it any more" },
	{ ENODATA, CLI_FAILURE, "ENODATA", "finished: no more will come" },
	{ EINVAL, CLI_USAGE, "EINVAL", "a name or a value that cannot be used" },
	{ ENAMETOOLONG, CLI_USAGE, "ENAMETOOLONG", "the name is too long" },
	{ EMSGSIZE, CLI_FAILURE, "EMSGSIZE", "not of the size asked for" },
	{ ENOBUFS, CLI_FAILURE, "ENOBUFS", "larger than the buffer given" },
	{ ENOMEM, CLI_FAILURE, "ENOMEM", "not enough memory or address space" },
	{ ENOSPC, CLI_FAILURE, "ENOSPC", "not enough room" },
	{ EFBIG, CLI_FAILURE, "EFBIG", "larger than files may be here" },
	{ ENFILE, CLI_FAILURE, "ENFILE", "the table is full" },
	{ EMFILE, CLI_FAILURE, "EMFILE", "too many open files" },
	{ EUSERS, CLI_FAILURE, "EUSERS", "every member slot is held by a live process" },
	{ EOPNOTSUPP, CLI_FAILURE, "EOPNOTSUPP", "not possible with this kind of memory" },
	{ EPERM, CLI_DENIED, "EPERM", "not permitted" },
	{ EACCES, CLI_DENIED, "EACCES", "permission denied" },
	{ EROFS, CLI_DENIED, "EROFS", "the file system is read-only" },
	{ EPROTO, CLI_CORRUPT, "EPROTO", "of an incompatible version, kind or layout" },
	{ EUCLEAN, CLI_CORRUPT, "EUCLEAN", "damaged: its bytes contradict each other" },
	{ ENOTRECOVERABLE, CLI_CORRUPT, "ENOTRECOVERABLE",
	  "set aside: what a dead owner changed could not be undone" },
	{ EIO, CLI_CORRUPT, "EIO", "part of it is gone: another process truncated it" },
	{ 0, CLI_FAILURE, NULL, NULL },
};

static const struct cli_errno *errno_row(int error)
{
	for (const struct cli_errno *row = cli_errnos; row->number != 0; row++) {
		if (row->number == -error)
			return row;
	}
	return NULL;
}

enum cli_exit cli_exit_of(int error)
{
	const struct cli_errno *row = errno_row(error);

	return row != NULL ? row->exit : CLI_FAILURE;
}

int cli_worse(int a, int b)
{
	return a > b ? a : b;
}

static int lost_error; /* of the first write to standard output that failed; 0 = none */

bool cli_flush(void)
{
	if (fflush(stdout) != 0 && lost_error == 0)
		lost_error = errno;
	return lost_error == 0 && ferror(stdout) == 0;
}

static FILE *report_to; /* NULL = standard error */

void cli_report_to(FILE *to)
{
	report_to = to;
}

static FILE *report(void)
{
	return report_to != NULL ? report_to : stderr;
}

static void put_prefix(const struct cli *cli)
{
	const char *verb = cli != NULL && cli->cmd != NULL ? cli->cmd->name : NULL;
	bool color = cli_color(STDERR_FILENO);

	cli_flush();
	fprintf(report(), "%starn%s%s:%s ", color ? "\033[1m" : "", verb != NULL ? " " : "",
		verb != NULL ? verb : "", color ? "\033[0m" : "");
}

/* Control characters of names that are none of ours must not reach the terminal. */
static void put_plain(const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			fprintf(report(), "\\x%02x", c);
		else
			putc(c, report());
	}
}

static void put_message(const struct cli *cli, const char *format, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, ap);
	put_prefix(cli);
	put_plain(text);
	putc('\n', report());
}

void cli_hint(const char *format, ...)
{
	char text[512];
	va_list ap;
	bool color = cli_color(STDERR_FILENO);

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	cli_flush();
	fprintf(report(), "%shint:%s ", color ? "\033[36m" : "", color ? "\033[0m" : "");
	put_plain(text);
	putc('\n', report());
}

int cli_fail(struct cli *cli, const char *subject, int error)
{
	const struct cli_errno *row = errno_row(error);
	const char *why = cli->diag.what[0] != '\0' ? cli->diag.what
			  : row != NULL             ? row->meaning
						    : strerror(-error);
	size_t length = subject != NULL ? strlen(subject) : 0;

	put_prefix(cli);
	/* A diag that begins with the subject says it already. */
	if (length > 0 && strncmp(why, subject, length) != 0) {
		put_plain(subject);
		fputs(": ", report());
	}
	put_plain(why);
	putc('\n', report());
	if (cli->diag.hint[0] != '\0')
		cli_hint("%s", cli->diag.hint);
	else if (error == -EMFILE)
		cli_hint("raise the limit with ulimit -n");
	cli->diag = (struct tarn_diag){ 0 };
	return (int)cli_exit_of(error);
}

int cli_error(const struct cli *cli, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_message(cli, format, ap);
	va_end(ap);
	return CLI_FAILURE;
}

void cli_note(const struct cli *cli, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_message(cli, format, ap);
	va_end(ap);
}

int cli_usage(const struct cli *cli, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_message(cli, format, ap);
	va_end(ap);
	if (cli != NULL && cli->cmd != NULL)
		cli_hint("tarn %s -h shows how it is used", cli->cmd->name);
	else
		cli_hint("tarn -h lists the verbs");
	return CLI_USAGE;
}

/* stdio does not keep the error of a write that it made by itself. */
static bool reader_gone(void)
{
	struct pollfd fd = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR) != 0;
}

int cli_finish(const struct cli *cli, int code)
{
	cli_flush();
	if (ferror(stdout) != 0 && lost_error == 0)
		lost_error = reader_gone() ? EPIPE : EIO;
	if (lost_error == 0)
		return code;
	/* Whoever read has had enough, as in `tarn ls | head`: no news. */
	if (lost_error == EPIPE)
		return cli_worse(code, CLI_FAILURE);
	cli_error(cli, "standard output: %s", strerror(lost_error));
	return cli_worse(code, CLI_FAILURE);
}
