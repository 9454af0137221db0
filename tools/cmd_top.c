/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn top [REGION...] - regions, members, topics, locks, counters and calls while it all happens:
 * on a terminal as a screen, else as text. It looks only. See top.h.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmds.h"
#include "look.h"
#include "stream.h"
#include "top.h"

#define INTERVAL_NS INT64_C(1000000000)
#define LEAST_NS    INT64_C(10000000)

static const struct cli_opt top_opts[] = {
	{ 'd', "interval", "SECONDS", "time from one look to the next; 1 if not given" },
	{ 'n', "count", "N",
	  "end after N looks, 0 = never; if not given a terminal goes on, a pipe gets one" },
	{ 'b', "batch", NULL,
	  "print text, and draw no screen: what is also done where the output is no terminal. Each "
	  "look is an interval after the one before, so that rates are known" },
	{ '1', "once", NULL, "the same, one look at once: without rates" },
	{ 'p', "pane", "NAMES",
	  "the pane to begin with; of text these alone, apart by commas: regions, members, topics, "
	  "subscribers, locks, counters, calls, or their first letters as the screen has them" },
	{ 's', "sort", "COLUMN",
	  "sort panes that have this column by it; -COLUMN the largest first" },
	{ 'f', "filter", "TEXT", "only rows with TEXT in a column, in any case" },
	{ 'a', "all", NULL,
	  "among the counters also what every object counts of itself, as tarn stat --all has it" },
	{ 'J', "json", NULL, "print JSON, one object a look, see tarn-json(5)" },
	{ 0 },
};

static const struct out_col fact_cols[] = {
	{ "interval_ns", NULL, OUT_COUNT, "since the look before; null: there was none", false },
	{ 0 },
};
static const struct out_list fact_list = { "items", fact_cols };
static const struct out_list *const all_lists[] = {
	&fact_list,        &top_region_list,     &top_member_list,
	&top_topic_list,   &top_subscriber_list, &top_lock_list,
	&top_counter_list, &top_call_list,       NULL
};

struct batch {
	struct top top;
	struct top_view view; /* for its order */
	bool panes[TOP_PANES];
	wchar_t filter[TOP_FILTER_MAX + 1];
	uint64_t count;
	int64_t interval_ns;
	bool once;
};

/* --- text ---------------------------------------------------------------------------------- */

/* Leave the rows that the filter does not let pass. */
static bool filter_rows(const struct batch *batch, struct rows *rows)
{
	size_t count, *places = top_filter(rows, batch->filter, &count);

	if (places == NULL)
		return false;
	rows_keep(rows, places, count);
	free(places);
	return true;
}

static void put_pane(struct batch *batch, struct out *out, enum top_pane pane)
{
	struct rows *rows = batch->top.panes[pane];

	batch->top.panes[pane] = NULL;
	if (rows == NULL || !filter_rows(batch, rows)) {
		out->failed = true;
		rows_free(rows);
		return;
	}
	if (!out->as_json && rows->count > 0)
		printf("\n%s\n", rows->list->key);
	out->said = false; /* the heading belongs to the table */
	out_rows(out, rows);
}

static int put_look(struct batch *batch, int code)
{
	struct cli *cli = batch->top.cli;
	struct timespec now;
	char text[200], when[40];
	struct out out;

	if (out_begin(&out, cli) >= 0)
		return CLI_FAILURE;
	clock_gettime(CLOCK_REALTIME, &now);
	top_headline(&batch->top, text, sizeof(text));
	out_item(&out);
	if (!out.as_json)
		printf("tarn top, %s: %s\n",
		       text_time((int64_t)now.tv_sec * 1000000000 + now.tv_nsec, when), text);
	else if (batch->top.interval_ns > 0)
		json_i64(&out.json, "interval_ns", batch->top.interval_ns);
	else
		json_null(&out.json, "interval_ns");
	if (!top_view_sort(&batch->view, &batch->top))
		out.failed = true;
	for (int i = 0; i < TOP_PANES; i++)
		if (batch->panes[i] || out.as_json)
			put_pane(batch, &out, (enum top_pane)i);
	if (batch->top.unreadable > 0)
		out_partial(&out, batch->top.unreadable, NULL);
	return out_end(&out, code);
}

static void nap_until(int64_t until)
{
	for (;;) {
		int64_t left = until - tarn_now();
		struct timespec nap = { .tv_nsec = left < 50000000 ? left : 50000000 };

		if (left <= 0 || stream_signal() != 0)
			return;
		nanosleep(&nap, NULL);
	}
}

/* The look that rates are against; what it would complain of, the next one tells. */
static void look_quietly(struct top *top)
{
	struct buffer text = { 0 };
	FILE *to = buffer_open(&text);

	if (to == NULL)
		return;
	cli_report_to(to);
	(void)top_look(top);
	cli_report_to(NULL);
	(void)buffer_close(&text, to);
	buffer_free(&text);
}

static int batch_run(struct batch *batch)
{
	int64_t next = tarn_now();
	uint64_t shown = 0;
	int code = CLI_OK;

	stream_signals_watch();
	batch->top.cli->lines = batch->count != 1;
	if (!batch->once) {
		look_quietly(&batch->top);
		next += batch->interval_ns;
	}
	for (;;) {
		if (!batch->once)
			nap_until(next);
		if (stream_signal() != 0)
			return CLI_OK;
		if (shown > 0 && !cli_given(batch->top.cli, "json"))
			putchar('\n');
		code = cli_worse(code, put_look(batch, top_look(&batch->top)));
		if (!cli_flush() || ++shown == batch->count || batch->once)
			return code;
		next += batch->interval_ns;
	}
}

/* --- the verb ------------------------------------------------------------------------------ */

static bool take_panes(struct batch *batch, enum top_pane *ret_first)
{
	const char *names = cli_value(batch->top.cli, "pane");
	char *copy = strdup(names != NULL ? names : ""), *rest = copy, *name;
	bool any = false, done = copy != NULL;

	while (done && (name = strsep(&rest, ",")) != NULL && names != NULL) {
		enum top_pane pane = top_pane_find(name);

		done = pane != TOP_PANES;
		if (!done) {
			cli_usage(batch->top.cli, "'%s' is no pane", name);
			break;
		}
		batch->panes[pane] = true;
		*ret_first = any ? *ret_first : pane;
		any = true;
	}
	free(copy);
	for (int i = 0; i < TOP_PANES && names == NULL; i++)
		batch->panes[i] = true;
	return done;
}

static bool take_options(struct batch *batch, enum top_pane *ret_first)
{
	struct cli *cli = batch->top.cli;

	*ret_first = TOP_REGIONS;
	if (!look_opts(cli, &batch->top.opts) ||
	    !cli_number(cli, "count", 0, UINT64_MAX, &batch->count) ||
	    !cli_seconds(cli, "interval", &batch->interval_ns) || !take_panes(batch, ret_first))
		return false;
	if (cli->argc == 0) /* looking at others' is not to be refused for that */
		batch->top.opts.flags |= TARN_SEGMENT_ANY_MODE;
	if (batch->interval_ns >= LEAST_NS)
		return true;
	cli_usage(cli, "'%s' is no value for --interval: at least 0.01 seconds",
		  cli_value(cli, "interval"));
	return false;
}

/* A screen of nothing but regions that are not there would be a riddle. */
static int open_any(struct top *top)
{
	struct cli *cli = top->cli;
	int code = CLI_OK;

	for (int i = 0; i < cli->argc; i++) {
		struct tarn_region *region = NULL;
		int r = tarn_region_open(cli->argv[i], &top->opts, &region);

		tarn_region_close(region);
		if (r == 0)
			return CLI_OK;
		code = cli_worse(code, look_fail(cli, cli->argv[i], r));
	}
	return code;
}

static int top_run(struct cli *cli)
{
	bool terminal = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
	bool once = cli_given(cli, "once");
	bool text = once || cli_given(cli, "batch") || cli_given(cli, "json") || !terminal;
	struct batch batch = { .top = { .cli = cli,
					.filter = cli_value(cli, "filter"),
					.all = cli_given(cli, "all") },
			       .count = isatty(STDOUT_FILENO) ? 0 : 1,
			       .interval_ns = INTERVAL_NS,
			       .once = once };
	enum top_pane first;
	int code = out_check(cli);

	if (code >= 0)
		return code;
	if (!take_options(&batch, &first))
		return CLI_USAGE;
	top_view_init(&batch.view, first, batch.interval_ns, batch.top.filter,
		      cli_value(cli, "sort"));
	wcscpy(batch.filter, batch.view.filter);
	code = text ? CLI_OK : open_any(&batch.top);
	if (code == CLI_OK)
		code = text ? batch_run(&batch)
			    : top_screen_run(&batch.top, first, batch.interval_ns, batch.count);
	top_free(&batch.top);
	return code;
}

static const struct cli_example top_examples[] = {
	{ "tarn top", "all regions of the host" },
	{ "tarn top house -p topics", "one region, its topics first" },
	{ "tarn top -b -d 5 -n 12 >minute.txt", "as text, for a log" },
	{ "tarn top -b -p locks -f dead", "which locks the dead have" },
	{ "tarn top -J house | jq '.items[0].topics[] | {name, rate_hz}'", "for a script" },
	{ 0 },
};

static const struct cli_exit_note top_exits[] = {
	{ 0, "left by a key, --count or a signal" },
	{ 1, "of text: there is a deadlock; or no screen can be drawn on this terminal" },
	{ 3, "there is no such region" },
	{ 4, "permission denied, or not all regions could be read for want of it" },
	{ 6, "damaged, or of another version" },
	{ 0 },
};

const struct cli_cmd cmd_top = {
	.name = "top",
	.args = "[REGION...]",
	.summary = "watch regions, members, topics, locks and counters on a screen",
	.about = "Shows what happens in all regions of the host, or in those that are named, again "
		 "and again: which regions there are, who is in them and what they hold, topics "
		 "with rates, subscribers with how far they are behind and what they have missed, "
		 "locks with holders and waiters, counters with rates, and services. Each is a "
		 "pane, a list that can be sorted and filtered.\n\n"
		 "Keys: R M T S L C A, 1 to 7 or Tab choose the pane; arrows, PageUp, PageDown, "
		 "Home and End the row, Enter shows all of it; left and right move over columns; s "
		 "sorts by the next column, r the other way round; / keeps the rows with a text; "
		 "space pauses; + and - look more or less often; ? lists the keys, q leaves.\n\n"
		 "It looks on, as an observer: no region is written to, and nobody waits for it. A "
		 "rate is of the time since the look before. Regions may come, go and be damaged "
		 "meanwhile; one that was named is shown as absent until it is there.",
	.operand = "region",
	.opts = top_opts,
	.schema = "tarn.top/1",
	.lists = all_lists,
	.examples = top_examples,
	.exits = top_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 0,
	.arg_max = -1,
	.run = top_run,
};
