/* SPDX-License-Identifier: BSD-2-Clause */
/* watch.c - see watch.h. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <tarn/base.h>

#include "buffer.h"
#include "out.h"
#include "watch.h"

#define INTERVAL_NS INT64_C(2000000000)

/* Another screen, without cursor and without wrapping of long lines; and back. */
#define SCREEN_ENTER "\033[?1049h\033[?25l\033[?7l"
#define SCREEN_LEAVE "\033[?7h\033[?25h\033[?1049l"

struct watch {
	struct cli *cli;
	int64_t interval_ns;
	uint64_t count;                    /* 0 = until a signal */
	bool screen;                       /* a terminal is redrawn */
	struct buffer text;                /* of the look at hand, on a screen */
	const struct watch_source *source; /* NULL: look at each interval */
};

static volatile sig_atomic_t ended; /* style: written by a signal handler */

static void on_end(int number)
{
	ended = number;
}

static void on_resize(int number)
{
	(void)number; /* it interrupts the sleep */
}

/* The second signal ends the process as it would have without us. */
static void catch_signals(void)
{
	struct sigaction end = { .sa_handler = on_end,
				 .sa_flags = (int)(SA_RESTART | SA_RESETHAND) };
	struct sigaction resize = { .sa_handler = on_resize, .sa_flags = SA_RESTART };

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	sigaction(SIGWINCH, &resize, NULL);
}

/* Sleep until @until_ns of tarn_now(), a signal, or another size of the terminal. The signals are
 * blocked from the last look at the flag on, so that none is missed. */
static void sleep_until(int64_t until_ns)
{
	sigset_t block, before;

	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGHUP);
	sigaddset(&block, SIGWINCH);
	sigprocmask(SIG_BLOCK, &block, &before);

	int64_t left = until_ns - tarn_now();
	struct timespec time = { .tv_sec = (time_t)(left / 1000000000),
				 .tv_nsec = (long)(left % 1000000000) };

	if (!ended && left > 0)
		(void)ppoll(NULL, 0, &time, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Until there is to be another look. False: there is none. */
static bool wait_next(const struct watch *watch, int64_t began)
{
	enum watch_next next = WATCH_LOOK;

	do {
		sleep_until(began + watch->interval_ns);
		began = tarn_now();
		if (watch->source != NULL && !ended)
			next = watch->source->ready(watch->source->arg);
	} while (next == WATCH_WAIT && !ended);
	return !ended && next == WATCH_LOOK;
}

static bool take_options(struct watch *watch, struct cli *cli, const struct watch_source *source)
{
	const char *term = getenv("TERM");
	bool terminal = isatty(STDOUT_FILENO);

	*watch = (struct watch){
		.cli = cli,
		.interval_ns = source != NULL ? source->interval_ns : INTERVAL_NS,
		.count = terminal || source != NULL ? 0 : 1,
		.source = source,
		.screen = terminal && !cli_given(cli, "json") && cli_value_if(cli, "raw") == NULL &&
			  term != NULL && strcmp(term, "dumb") != 0,
	};
	if (!cli_seconds(cli, "interval", &watch->interval_ns) ||
	    !cli_number(cli, "count", 0, UINT64_MAX, &watch->count))
		return false;
	/* No interval at all would take a whole processor. */
	int64_t least = source != NULL ? 1000000 : 10000000;

	if (watch->interval_ns < least) {
		cli_usage(cli, "'%s' is no value for --interval: at least %g seconds",
			  cli_value(cli, "interval"), (double)least / 1e9);
		return false;
	}
	return true;
}

/* --- screens ------------------------------------------------------------------------------- */

static unsigned screen_height(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0)
		return 24;
	return size.ws_row;
}

static void put_head(const struct watch *watch)
{
	char now[40];
	struct timespec time;
	bool color = cli_color(STDOUT_FILENO);

	clock_gettime(CLOCK_REALTIME, &time);
	printf("\033[H%starn %s%s, every %g s, %s\033[K\n", color ? "\033[1m" : "",
	       watch->cli->cmd->name, color ? "\033[0m" : "", (double)watch->interval_ns / 1e9,
	       text_time((int64_t)time.tv_sec * 1000000000, now));
}

/* As many lines as there is room for. */
static void put_screen(const struct watch *watch)
{
	unsigned room = screen_height() - 1, lines = 0;
	const char *at = watch->text.text, *end = at + watch->text.size;

	for (const char *p = at; p < end; p++)
		lines += *p == '\n';
	put_head(watch);

	bool cut = lines > room;

	for (unsigned i = 0; i + cut < room && at < end; i++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t length = newline != NULL ? (size_t)(newline - at) : (size_t)(end - at);

		/* The last line has no newline: it would scroll the screen. */
		printf("%.*s\033[K%s", (int)length, at, i + 1 < room ? "\n" : "");
		at += length + 1;
	}
	if (cut)
		printf("%u more lines\033[K", lines - (room - 1));
	fputs("\033[J", stdout);
}

static int look_collect(struct watch *watch, int (*look)(struct cli *, void *), void *arg)
{
	struct cli *cli = watch->cli;
	int code;

	buffer_free(&watch->text);
	cli->to = buffer_open(&watch->text);
	if (cli->to == NULL)
		return cli_error(cli, "out of memory");
	cli_report_to(cli->to);
	code = look(cli, arg);
	cli_report_to(NULL);
	if (!buffer_close(&watch->text, cli->to))
		code = cli_error(cli, "out of memory");
	cli->to = NULL;
	return code;
}

static int watch_screen(struct watch *watch, int (*look)(struct cli *, void *), void *arg)
{
	int worst = CLI_OK, code;
	uint64_t looks = 0;
	int64_t began;

	fputs(SCREEN_ENTER, stdout);
	do {
		began = tarn_now();
		code = look_collect(watch, look, arg);
		worst = cli_worse(worst, code);
		put_screen(watch);
		if (!cli_flush() || code == CLI_USAGE || ++looks == watch->count)
			break;
	} while (wait_next(watch, began));
	fputs(SCREEN_LEAVE, stdout);
	if (watch->text.size > 0)
		fwrite(watch->text.text, 1, watch->text.size, stdout);
	buffer_free(&watch->text);
	return worst;
}

/* --- lines --------------------------------------------------------------------------------- */

static int watch_lines(struct watch *watch, int (*look)(struct cli *, void *), void *arg)
{
	int worst = CLI_OK, code;
	uint64_t looks = 0;
	int64_t began;

	watch->cli->lines = true;
	do {
		began = tarn_now();
		if (looks > 0 && watch->source == NULL && !cli_given(watch->cli, "json"))
			putchar('\n');
		code = look(watch->cli, arg);
		worst = cli_worse(worst, code);
		if (!cli_flush() || code == CLI_USAGE || ++looks == watch->count)
			break;
	} while (wait_next(watch, began));
	return worst;
}

int watch_run(struct cli *cli, int (*look)(struct cli *cli, void *arg), void *arg)
{
	struct watch watch;
	int code = out_check(cli);

	if (code >= 0)
		return code;
	if (!cli_given(cli, "watch") && !cli_given(cli, "interval") && !cli_given(cli, "count"))
		return look(cli, arg);
	if (!take_options(&watch, cli, NULL))
		return CLI_USAGE;
	catch_signals();
	code = watch.screen ? watch_screen(&watch, look, arg) : watch_lines(&watch, look, arg);
	return ended ? CLI_OK : code;
}

int watch_events(struct cli *cli, const struct watch_source *source)
{
	struct watch watch;
	int code;

	if (!take_options(&watch, cli, source))
		return CLI_USAGE;
	if (source->once)
		watch.count = 1;
	catch_signals();
	if (source->later && !wait_next(&watch, tarn_now()))
		return CLI_OK;
	code = watch.screen ? watch_screen(&watch, source->look, source->arg)
			    : watch_lines(&watch, source->look, source->arg);
	return ended ? CLI_OK : code;
}
