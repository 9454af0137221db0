/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top_screen.c - the lines of top_view.c on a terminal, by ncurses, and its keys. See top.h.
 *
 * However it ends the terminal is as it was before: by a key, by a signal that is meant to end it,
 * and by one that is a fault of its own, of which the handler writes what ncurses would, prepared
 * beforehand, and nothing more.
 */

#include "top.h"

#ifdef TARN_NCURSES

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

struct screen {
	struct top *top;
	struct top_view view;
	struct top_canvas canvas;
	char *said; /* the last message of the last look; NULL: none */
	uint64_t shown, count;
	int code;
};

/* --- signals ------------------------------------------------------------------------------- */

static volatile sig_atomic_t ended; /* style: written by a signal handler */

static struct termios as_it_was; /* constant once faults are caught, as the next ones */
static char leave_text[256];
static size_t leave_size;
static struct sigaction guard; /* the library's, of SIGBUS */

static void on_end(int number)
{
	ended = number;
}

static void restore(void)
{
	size_t done = 0;

	while (done < leave_size) {
		ssize_t n = write(STDOUT_FILENO, leave_text + done, leave_size - done);

		if (n <= 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &as_it_was);
}

/* SA_RESETHAND: what was raised here ends the process once it is raised again. */
static void on_fault(int number)
{
	restore();
	raise(number);
}

/* A region that was truncated is the library's to mend. What it leaves to the kernel is a fault
 * of this program. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
	struct sigaction now;

	guard.sa_sigaction(number, info, context);
	if (sigaction(number, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
	    now.sa_handler == SIG_DFL)
		restore();
}

/* Without what asks for a delay, "$<5>". */
static void append(const char *text)
{
	while (*text != '\0' && leave_size < sizeof(leave_text)) {
		if (text[0] == '$' && text[1] == '<' && strchr(text, '>') != NULL)
			text = strchr(text, '>') + 1;
		else
			leave_text[leave_size++] = *text++;
	}
}

static void prepare_leaving(void)
{
	static const char *const names[] = { "sgr0", "rmkx", "cnorm", "rmcup" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *text = tigetstr(names[i]);

		if (text != NULL && text != (char *)-1)
			append(text);
	}
}

static void catch_faults(void)
{
	static const int faults[] = { SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
	struct sigaction fault = { .sa_handler = on_fault, .sa_flags = (int)SA_RESETHAND };
	struct sigaction bus = { .sa_sigaction = on_bus_error,
				 .sa_flags = SA_SIGINFO | SA_ONSTACK };

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigaction(faults[i], &fault, NULL);
	if (sigaction(SIGBUS, NULL, &guard) == 0 && (guard.sa_flags & SA_SIGINFO) != 0)
		sigaction(SIGBUS, &bus, NULL);
}

/* Without SA_RESTART: they end the wait for a key. */
static void catch_ends(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction end = { .sa_handler = on_end };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &end, NULL);
}

/* Until there is a key, a signal, or it is @until_ns. */
static void wait_key(int64_t until_ns)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
	int64_t left = until_ns == TARN_FOREVER ? INT64_MAX : until_ns - tarn_now();
	struct timespec time = { .tv_sec = (time_t)(left / 1000000000),
				 .tv_nsec = (long)(left % 1000000000) };
	sigset_t block, before;

	sigemptyset(&block);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaddset(&block, ends[i]);
	sigprocmask(SIG_BLOCK, &block, &before);
	if (!ended && left > 0 &&
	    ppoll(&fd, 1, until_ns == TARN_FOREVER ? NULL : &time, &before) > 0 &&
	    (fd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
		ended = SIGHUP; /* the terminal is gone */
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* --- lines --------------------------------------------------------------------------------- */

static bool canvas_size(struct top_canvas *canvas, int width, int height)
{
	bool done;

	for (int i = 0; i < canvas->height; i++)
		free(canvas->lines[i].text);
	free(canvas->lines);
	*canvas = (struct top_canvas){ .width = width };
	canvas->lines = calloc((size_t)height, sizeof(*canvas->lines));
	done = canvas->lines != NULL;
	canvas->height = done ? height : 0;
	for (int i = 0; i < canvas->height; i++) {
		canvas->lines[i].text = calloc((size_t)width + 1, sizeof(wchar_t));
		done &= canvas->lines[i].text != NULL;
	}
	return done;
}

static bool draw(struct screen *screen)
{
	static const attr_t styles[] = {
		[TOP_PLAIN] = A_NORMAL, [TOP_BOLD] = A_BOLD, [TOP_REVERSE] = A_REVERSE
	};
	struct top_canvas *canvas = &screen->canvas;

	if ((canvas->width != COLS || canvas->height != LINES) && !canvas_size(canvas, COLS, LINES))
		return false;
	if (!top_view_draw(&screen->view, screen->top, screen->said, canvas))
		return false;
	erase();
	for (int i = 0; i < canvas->height; i++) {
		attrset((int)styles[canvas->lines[i].style]);
		mvaddwstr(i, 0, canvas->lines[i].text);
		attrset(A_NORMAL);
	}
	refresh();
	return true;
}

/* The key as top.h has it; WEOF: none is there. */
static wint_t read_key(void)
{
	static const struct {
		wint_t code, key;
	} keys[] = {
		{ KEY_UP, TOP_KEY_UP },         { KEY_DOWN, TOP_KEY_DOWN },
		{ KEY_LEFT, TOP_KEY_LEFT },     { KEY_RIGHT, TOP_KEY_RIGHT },
		{ KEY_PPAGE, TOP_KEY_PAGE_UP }, { KEY_NPAGE, TOP_KEY_PAGE_DOWN },
		{ KEY_HOME, TOP_KEY_HOME },     { KEY_END, TOP_KEY_END },
		{ KEY_BTAB, TOP_KEY_BACK_TAB }, { KEY_BACKSPACE, TOP_KEY_BACKSPACE },
		{ KEY_ENTER, L'\n' },
	};
	wint_t code;
	int r = get_wch(&code);

	if (r == ERR)
		return WEOF;
	if (r == OK)
		return code == 27                 ? TOP_KEY_ESCAPE
		       : code == 127 || code == 8 ? TOP_KEY_BACKSPACE
						  : code;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].code == code)
			return keys[i].key;
	return 0; /* another size among them: it is drawn again */
}

/* --- the loop ------------------------------------------------------------------------------ */

/* The last line of what was said. */
static void keep_said(struct screen *screen, struct buffer *text)
{
	char *line;

	free(screen->said);
	screen->said = NULL;
	while (text->size > 0 && text->text[text->size - 1] == '\n')
		text->size--;
	if (text->size == 0)
		return;
	screen->said = strndup(text->text, text->size);
	line = screen->said != NULL ? strstr(screen->said, "\nhint:") : NULL;
	if (line != NULL)
		*line = '\0';
	line = screen->said != NULL ? strrchr(screen->said, '\n') : NULL;
	if (line != NULL)
		memmove(screen->said, line + 1, strlen(line));
}

static bool look(struct screen *screen)
{
	struct buffer text = { 0 };
	FILE *to = buffer_open(&text);

	if (to == NULL)
		return false;
	cli_report_to(to);
	screen->code = top_look(screen->top);
	cli_report_to(NULL);
	(void)buffer_close(&text, to);
	keep_said(screen, &text);
	buffer_free(&text);
	screen->shown++;
	return top_view_sort(&screen->view, screen->top);
}

/* What the keys that are there do. False: it is left. */
static bool take_keys(struct screen *screen, bool *ret_look)
{
	wint_t key;

	while ((key = read_key()) != WEOF) {
		enum top_action action = top_view_key(&screen->view, key);

		if (action == TOP_QUIT)
			return false;
		if (action == TOP_SORT && !top_view_sort(&screen->view, screen->top))
			return false;
		*ret_look |= action == TOP_LOOK;
	}
	return true;
}

static int loop(struct screen *screen)
{
	int64_t next = tarn_now();

	for (;;) {
		bool again = false, last;

		if (!screen->view.paused && tarn_now() >= next) {
			if (!look(screen))
				return cli_error(screen->top->cli, "out of memory");
			next = tarn_now() + screen->view.interval_ns;
		}
		if (!draw(screen))
			return cli_error(screen->top->cli, "out of memory");
		last = screen->count != 0 && screen->shown >= screen->count;
		wait_key(screen->view.paused && !last ? TARN_FOREVER : next);
		if (ended || !take_keys(screen, &again) || (last && tarn_now() >= next))
			return CLI_OK;
		if (again)
			next = tarn_now();
		else if (next > tarn_now() + screen->view.interval_ns)
			next = tarn_now() + screen->view.interval_ns;
	}
}

int top_screen_run(struct top *top, enum top_pane pane, int64_t interval_ns, uint64_t count)
{
	struct screen screen = { .top = top, .count = count };
	const char *term = getenv("TERM");
	SCREEN *terminal;
	int code;

	top_view_init(&screen.view, pane, interval_ns, top->filter, cli_value(top->cli, "sort"));
	if (term == NULL || *term == '\0' || tcgetattr(STDIN_FILENO, &as_it_was) != 0 ||
	    (terminal = newterm(NULL, stdout, stdin)) == NULL) {
		cli_error(top->cli, "no screen can be drawn on a terminal of TERM=%s",
			  term != NULL ? term : "");
		cli_hint("set TERM to what the terminal is, or print text with --batch");
		return CLI_FAILURE;
	}
	(void)cli_color_set("never"); /* of messages, which are drawn */
	catch_ends();
	prepare_leaving();
	catch_faults();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	code = loop(&screen);
	endwin();
	delscreen(terminal);
	(void)canvas_size(&screen.canvas, 0, 0);
	free(screen.canvas.lines);
	free(screen.said);
	return code;
}

#else

int top_screen_run(struct top *top, enum top_pane pane, int64_t interval_ns, uint64_t count)
{
	(void)pane;
	(void)interval_ns;
	(void)count;
	cli_error(top->cli, "this tarn was built without ncurses, which the screen needs");
	cli_hint("print text with --batch; or install libncurses-dev, and build Tarn again");
	return CLI_FAILURE;
}

#endif
