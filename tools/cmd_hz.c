/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn hz, tarn bw, tarn delay REGION/TOPIC - how often messages come, how much that is, and how
 * late they are seen. Three verbs that differ in what they say of the same samples.
 *
 * They look only, as tarn echo --look: who only looks looks once a millisecond, so times are those
 * at which messages were published, where they say that, and not those at which they were seen.
 * What was missed, since it came faster than it could be read, counts for rates and nothing else.
 */

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cmds.h"
#include "out.h"
#include "stream.h"
#include "taking.h"

#define WINDOW_MAX  UINT64_C(10000000)
#define INTERVAL_NS INT64_C(1000000000)

#define COMMON_OPTS                                                                                \
	APART_PEERS, { 'w', "window", "N", "of the last N messages; 10000 if not given" },         \
		{ 'i', "interval", "SECONDS",                                                      \
		  "time from one report to the next; 1 if not given" },                            \
		{ 'c', "count", "N",                                                               \
		  "end after N reports, 0 = never; if not given a terminal goes on until it is "   \
		  "interrupted, a pipe gets one" },                                                \
		{ 't', "timeout", "SECONDS",                                                       \
		  "end with exit code 5 when no message has come for so long" },                   \
	{                                                                                          \
		'J', "json", NULL, "one JSON object a line, see tarn-json(5)"                      \
	}

static const struct cli_opt hz_opts[] = { COMMON_OPTS, { 0 } };
static const struct cli_opt delay_opts[] = {
	COMMON_OPTS,
	{ 0, "spin", NULL,
	  "look all the time, as a subscriber that never sleeps, and take a processor; else it is "
	  "looked once a millisecond, and up to that is in the delay" },
	{ 0 },
};

#define FIRST_COLS                                                                                 \
	{ "schema", NULL, OUT_TEXT, "of this line", false },                                       \
	{                                                                                          \
		"name", NULL, OUT_TEXT, "REGION/TOPIC", false                                      \
	}
#define LAST_COLS                                                                                  \
	{ "window", NULL, OUT_COUNT, "messages of which this is said", false },                    \
		{ "message_count", NULL, OUT_COUNT, "messages that were seen so far", false },     \
	{                                                                                          \
		"missed_count", NULL, OUT_COUNT,                                                   \
			"messages that came and were not seen so far: they came too fast", false   \
	}

static const struct out_col hz_cols[] = {
	FIRST_COLS,
	{ "rate_hz", NULL, OUT_REAL, "messages a second, missed ones too", false },
	{ "min_ns", NULL, OUT_NS, "the shortest time from one message to the next", false },
	{ "max_ns", NULL, OUT_NS, "the longest", false },
	{ "stddev_ns", NULL, OUT_NS, "standard deviation of these times", false },
	{ "stamped", NULL, OUT_BOOL,
	  "by when messages say they were published? Else by when they were seen", false },
	LAST_COLS,
	{ 0 },
};
static const struct out_col bw_cols[] = {
	FIRST_COLS,
	{ "bytes_per_second", NULL, OUT_REAL, "missed messages counted as the mean one", false },
	{ "min_bytes_per_second", NULL, OUT_REAL, "of all reports so far", false },
	{ "max_bytes_per_second", NULL, OUT_REAL, "of all reports so far", false },
	{ "mean_bytes", NULL, OUT_REAL, "of a message", false },
	{ "min_bytes", NULL, OUT_SIZE, "of the smallest", false },
	{ "max_bytes", NULL, OUT_SIZE, "of the largest", false },
	LAST_COLS,
	{ 0 },
};
static const struct out_col delay_cols[] = {
	FIRST_COLS,
	{ "mean_ns", NULL, OUT_NS, "from when it was published to when it was seen", false },
	{ "min_ns", NULL, OUT_NS, "the shortest", false },
	{ "max_ns", NULL, OUT_NS, "the longest", false },
	{ "stddev_ns", NULL, OUT_NS, "standard deviation", false },
	{ "median_ns", NULL, OUT_NS, "half are not longer", false },
	{ "p99_ns", NULL, OUT_NS, "99 of 100 are not longer", false },
	{ "untimed_count", NULL, OUT_COUNT, "messages so far that do not say when", false },
	LAST_COLS,
	{ 0 },
};
static const struct out_list hz_list = { "each line", hz_cols };
static const struct out_list bw_list = { "each line", bw_cols };
static const struct out_list delay_list = { "each line", delay_cols };
static const struct out_list *const hz_lists[] = { &hz_list, NULL };
static const struct out_list *const bw_lists[] = { &bw_list, NULL };
static const struct out_list *const delay_lists[] = { &delay_list, NULL };

/* A message, as far as it matters here. */
struct sample {
	int64_t at_ns; /* when it was published; of delay how long ago that was */
	uint64_t size;
	uint64_t missed; /* before it */
};

/* Of what was looked at: nanoseconds, or bytes. */
struct spread {
	double mean, min, max, stddev;
	uint64_t count;
};

struct meter {
	struct taking t;
	struct cli *cli;
	const struct kind *kind;
	struct sample *samples; /* a ring of window; and room for a sorted copy */
	struct sample *sorted;
	uint64_t window, held; /* so many of them are there */
	uint64_t next;
	uint64_t count; /* reports, 0 = no end */
	int64_t interval_ns;
	uint64_t seen, missed, untimed; /* in all */
	uint64_t reported;              /* seen, at the last report */
	bool told_untimed, told_quiet, told_ahead, spin;
	bool stamped;       /* all in the window are */
	double least, most; /* bytes a second, of all reports */
};

struct kind {
	bool delay;
	/* Report, if there is enough; false: there is not yet. */
	bool (*report)(struct meter *m);
};

/* --- figures ------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
}

static void sort_window(struct meter *m)
{
	memcpy(m->sorted, m->samples, m->held * sizeof(*m->samples));
	qsort(m->sorted, m->held, sizeof(*m->sorted), by_time);
}

static double value_of(const struct meter *m, uint64_t i, bool sizes, bool steps)
{
	if (sizes)
		return (double)m->sorted[i].size;
	return (double)(m->sorted[i].at_ns - (steps ? m->sorted[i - 1].at_ns : 0));
}

/* Of sizes, of times, or of the steps between them, but for those in which some were missed. */
static struct spread spread_of(const struct meter *m, bool sizes, bool steps)
{
	struct spread s = { .min = INFINITY, .max = -INFINITY };
	double squares = 0;

	for (uint64_t i = steps; i < m->held; i++) {
		double value = value_of(m, i, sizes, steps), off = value - s.mean;

		if (steps && m->sorted[i].missed != 0)
			continue;
		s.count++;
		s.mean += off / (double)s.count; /* Welford */
		squares += off * (value - s.mean);
		s.min = fmin(s.min, value);
		s.max = fmax(s.max, value);
	}
	s.stddev = s.count != 0 ? sqrt(squares / (double)s.count) : 0;
	return s;
}

/* Messages a second over the window; those that were missed too. 0: not known. */
static double rate_of(const struct meter *m)
{
	uint64_t count = m->held - 1;
	int64_t span = m->held > 1 ? m->sorted[m->held - 1].at_ns - m->sorted[0].at_ns : 0;

	for (uint64_t i = 1; i < m->held; i++)
		count += m->sorted[i].missed;
	return span > 0 ? (double)count * 1e9 / (double)span : 0;
}

/* --- reports ------------------------------------------------------------------------------- */

static void json_real(struct json *json, const char *key, double number)
{
	char text[40];

	snprintf(text, sizeof(text), "%.10g", number);
	json_verbatim(json, key, text);
}

static struct json json_begin(const struct meter *m)
{
	struct json json = out_line_begin(stdout, m->cli->cmd->schema);

	json_text(&json, "name", m->t.name);
	return json;
}

static void json_end(const struct meter *m, struct json *json)
{
	json_u64(json, "window", m->held);
	json_u64(json, "message_count", m->seen);
	json_u64(json, "missed_count", m->missed);
	out_line_end(json);
}

/* Digits of seconds that tell times of about @ns apart. */
static int digits_of(double ns)
{
	return ns >= 5e7 ? 3 : ns >= 1e4 ? 6 : 9;
}

static void put_end(const struct meter *m)
{
	printf("window: %" PRIu64, m->held);
	if (m->missed != 0)
		printf(" missed: %" PRIu64, m->missed);
	putchar('\n');
}

static void put_times(const struct meter *m, const struct spread *s)
{
	int digits = digits_of(s->mean), finer = digits < 6 ? 6 : digits;

	printf("\tmin: %.*fs max: %.*fs std dev: %.*fs ", digits, s->min / 1e9, digits,
	       s->max / 1e9, finer, s->stddev / 1e9);
	put_end(m);
}

static void json_times(struct json *json, const struct spread *s)
{
	json_real(json, "min_ns", s->min);
	json_real(json, "max_ns", s->max);
	json_real(json, "stddev_ns", s->stddev);
}

static bool report_hz(struct meter *m)
{
	struct spread steps;
	struct json json;
	double rate;

	sort_window(m);
	rate = rate_of(m);
	steps = spread_of(m, false, true);
	if (!(rate > 0))
		return false;
	if (!cli_given(m->cli, "json")) {
		printf("average rate: %.3f\n", rate);
		if (steps.count != 0) {
			put_times(m, &steps);
		} else {
			putchar('\t');
			put_end(m);
		}
		return true;
	}
	json = json_begin(m);
	json_real(&json, "rate_hz", rate);
	if (steps.count != 0) {
		json_times(&json, &steps);
	} else {
		json_null(&json, "min_ns");
		json_null(&json, "max_ns");
		json_null(&json, "stddev_ns");
	}
	json_bool(&json, "stamped", m->stamped);
	json_end(m, &json);
	return true;
}

static const char *size_text(double bytes, char buf[24])
{
	return text_size((uint64_t)(bytes + 0.5), buf);
}

static bool report_bw(struct meter *m)
{
	char rate[24], mean[24], min[24], max[24];
	struct spread sizes;
	struct json json;
	double bytes;

	sort_window(m);
	sizes = spread_of(m, true, false);
	bytes = rate_of(m) * sizes.mean;
	if (!(rate_of(m) > 0))
		return false;
	m->least = fmin(m->least, bytes);
	m->most = fmax(m->most, bytes);
	if (!cli_given(m->cli, "json")) {
		printf("%s/s from %" PRIu64 " messages, min: %s/s max: %s/s\n",
		       size_text(bytes, rate), m->seen, size_text(m->least, min),
		       size_text(m->most, max));
		printf("\tMessage size mean: %s min: %s max: %s ", size_text(sizes.mean, mean),
		       size_text(sizes.min, min), size_text(sizes.max, max));
		put_end(m);
		return true;
	}
	json = json_begin(m);
	json_real(&json, "bytes_per_second", bytes);
	json_real(&json, "min_bytes_per_second", m->least);
	json_real(&json, "max_bytes_per_second", m->most);
	json_real(&json, "mean_bytes", sizes.mean);
	json_u64(&json, "min_bytes", (uint64_t)sizes.min);
	json_u64(&json, "max_bytes", (uint64_t)sizes.max);
	json_end(m, &json);
	return true;
}

/* The smallest that is not below @share of all. */
static double quantile(const struct meter *m, double share)
{
	uint64_t at = (uint64_t)ceil(share * (double)m->held);

	return (double)m->sorted[at > 0 ? at - 1 : 0].at_ns;
}

static bool report_delay(struct meter *m)
{
	struct spread delays;
	struct json json;
	int digits;

	if (m->held == 0)
		return false;
	sort_window(m);
	delays = spread_of(m, false, false);
	if (!cli_given(m->cli, "json")) {
		digits = digits_of(delays.mean);
		printf("average delay: %.*f\n", digits, delays.mean / 1e9);
		put_times(m, &delays);
		printf("\tmedian: %.*fs 99%%: %.*fs\n", digits, quantile(m, 0.5) / 1e9, digits,
		       quantile(m, 0.99) / 1e9);
		return true;
	}
	json = json_begin(m);
	json_real(&json, "mean_ns", delays.mean);
	json_times(&json, &delays);
	json_real(&json, "median_ns", quantile(m, 0.5));
	json_real(&json, "p99_ns", quantile(m, 0.99));
	json_u64(&json, "untimed_count", m->untimed);
	json_end(m, &json);
	return true;
}

static const struct kind kind_hz = { .report = report_hz };
static const struct kind kind_bw = { .report = report_bw };
static const struct kind kind_delay = { .delay = true, .report = report_delay };

/* --- samples ------------------------------------------------------------------------------- */

static void say_untimed(struct meter *m)
{
	const struct tarn_message *message = &m->t.message;

	m->untimed++;
	if (m->told_untimed)
		return;
	m->told_untimed = true;
	if (m->kind->delay) {
		cli_note(m->cli,
			 "%s: messages of publisher %" PRIu32 " do not say when they were "
			 "published, and are left out",
			 m->t.name, message->publisher);
		cli_hint("its program opens it with TARN_TOPIC_NO_TIME: without that flag they do");
	} else {
		cli_note(m->cli,
			 "%s: messages of publisher %" PRIu32 " do not say when they were "
			 "published (TARN_TOPIC_NO_TIME): by when they are seen, to a millisecond",
			 m->t.name, message->publisher);
	}
}

static void add_sample(struct meter *m, int64_t now)
{
	const struct tarn_message *message = &m->t.message;
	struct sample sample = { .at_ns = message->time_ns,
				 .size = message->size,
				 .missed = message->missed };

	m->seen++;
	m->missed += message->missed;
	if (message->time_ns == 0)
		say_untimed(m);
	if (m->kind->delay && message->time_ns == 0)
		return;
	/* Of times that were seen and times that are said there is no order. */
	if (!m->kind->delay && (message->time_ns != 0) != m->stamped) {
		m->held = m->next = 0;
		m->stamped = message->time_ns != 0;
	}
	if (m->kind->delay)
		sample.at_ns = now - message->time_ns;
	else if (message->time_ns == 0)
		sample.at_ns = now;
	if (m->kind->delay && sample.at_ns < 0 && !m->told_ahead) {
		m->told_ahead = true;
		cli_note(m->cli,
			 "%s: publisher %" PRIu32 " is ahead of this clock: it is in another time "
			 "namespace",
			 m->t.name, message->publisher);
	}
	m->samples[m->next] = sample;
	m->next = m->next + 1 < m->window ? m->next + 1 : 0;
	if (m->held < m->window)
		m->held++;
}

/* -1: go on; else the exit code. */
static int report(struct meter *m, uint64_t *reports)
{
	if (m->seen == m->reported) {
		if (!m->told_quiet)
			cli_note(m->cli,
				 m->seen == 0 ? "%s: waiting: no message has come yet"
					      : "%s: no new messages",
				 m->t.name);
		m->told_quiet = true;
		return -1;
	}
	m->told_quiet = false;
	if (m->kind->delay && m->held == 0) {
		cli_error(m->cli, "%s: none of %" PRIu64 " messages says when it was published",
			  m->t.name, m->seen);
		return CLI_FAILURE;
	}
	if (!m->kind->report(m))
		return -1;
	m->reported = m->seen;
	return !cli_flush() || ++*reports == m->count ? CLI_OK : -1;
}

static int meter_all(struct meter *m)
{
	int64_t last = tarn_now(), next = last + m->interval_ns;
	uint64_t reports = 0;
	int code = -1;

	while (code < 0 && stream_signal() == 0) {
		int64_t deadline = m->t.timeout_ns < 0 ? INT64_MAX : last + m->t.timeout_ns;
		int r = taking_take(&m->t, next < deadline ? next : deadline, m->spin);
		int64_t now = tarn_now();

		if (r == 0) {
			add_sample(m, now);
			last = now;
		} else if (r != -ETIMEDOUT) {
			return taking_fail(&m->t, r);
		}
		if (now >= next) {
			code = report(m, &reports);
			next = now + m->interval_ns;
		}
		if (code < 0 && r < 0 && now >= deadline) {
			cli_error(m->cli, "%s: no message has come in the time allowed", m->t.name);
			return CLI_TIMEOUT;
		}
	}
	if (code < 0 && m->seen != m->reported) /* ended by a signal: what there is */
		code = report(m, &reports);
	return code < 0 ? CLI_OK : code;
}

static int meter_run(struct cli *cli, const struct kind *kind)
{
	struct meter m = { .cli = cli,
			   .kind = kind,
			   .window = 10000,
			   .count = isatty(STDOUT_FILENO) ? 0 : 1,
			   .interval_ns = INTERVAL_NS,
			   .stamped = true,
			   .spin = kind->delay && cli_given(cli, "spin"),
			   .least = INFINITY };
	int code = -1;

	if (!taking_begin(&m.t, cli, true) ||
	    !cli_number(cli, "window", 2, WINDOW_MAX, &m.window) ||
	    !cli_number(cli, "count", 0, UINT64_MAX, &m.count) ||
	    !cli_seconds(cli, "interval", &m.interval_ns))
		return CLI_USAGE;
	if (m.interval_ns < 1000000)
		return cli_usage(cli, "'%s' is no value for --interval: at least 0.001 seconds",
				 cli_value(cli, "interval"));
	m.samples = calloc(m.window, sizeof(*m.samples));
	m.sorted = calloc(m.window, sizeof(*m.sorted));
	if (m.samples == NULL || m.sorted == NULL)
		code = cli_error(cli, "out of memory");
	stream_signals_watch();
	if (code < 0)
		code = taking_open(&m.t);
	if (code < 0)
		code = meter_all(&m);
	taking_end(&m.t);
	free(m.samples);
	free(m.sorted);
	return code;
}

static int hz_run(struct cli *cli)
{
	return meter_run(cli, &kind_hz);
}

static int bw_run(struct cli *cli)
{
	return meter_run(cli, &kind_bw);
}

static int delay_run(struct cli *cli)
{
	return meter_run(cli, &kind_delay);
}

/* --- the verbs ----------------------------------------------------------------------------- */

static const struct cli_example hz_examples[] = {
	{ "tarn hz house/news", "each second, until it is interrupted" },
	{ "tarn hz -w 100 -c 5 house/news", "of the last 100 messages; five times" },
	{ "tarn hz -t 10 -J house/news | jq .rate_hz", "once, for a script" },
	{ 0 },
};
static const struct cli_example bw_examples[] = {
	{ "tarn bw house/frames", "each second, until it is interrupted" },
	{ "tarn bw -t 10 -J house/frames | jq .bytes_per_second", "once, for a script" },
	{ 0 },
};
static const struct cli_example delay_examples[] = {
	{ "tarn delay house/news", "each second, to a millisecond" },
	{ "tarn delay --spin house/news", "as exact as can be, for a processor" },
	{ "tarn delay --spin -c 10 -J house/news | jq .p99_ns", "for a script" },
	{ 0 },
};

#define METER_EXITS                                                                                \
	{ 0, "ended by --count or a signal" }, { 3, "the topic was removed meanwhile" },           \
		{ 4, "permission denied" },                                                        \
		{ 5, "no message, or no such topic, in the time allowed" },                        \
	{                                                                                          \
		6, "damaged, or of another version"                                                \
	}

static const struct cli_exit_note hz_exits[] = { METER_EXITS, { 0 } };
static const struct cli_exit_note delay_exits[] = {
	{ 1, "no message says when it was published" },
	METER_EXITS,
	{ 0 },
};

#define ABOUT_LOOK                                                                                 \
	"\n\nIt looks only: nothing is written, no publisher is held up, and nobody sees it as a " \
	"subscriber. If messages come faster than it can read, it says how many it has missed. A " \
	"region or topic that is not there yet is waited for."

const struct cli_cmd cmd_hz = {
	.name = "hz",
	.args = "REGION/TOPIC",
	.summary = "print how often messages of a topic come",
	.about = "Prints messages a second, and the shortest, the longest and the deviation of the "
		 "times between them, as ros2 topic hz does: over the last N messages, of all "
		 "publishers together, by when they were published. What was missed counts for "
		 "the rate, and not for the times." ABOUT_LOOK,
	.operand = "region",
	.opts = hz_opts,
	.schema = "tarn.hz/1",
	.lists = hz_lists,
	.examples = hz_examples,
	.exits = hz_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = 1,
	.run = hz_run,
};

const struct cli_cmd cmd_bw = {
	.name = "bw",
	.args = "REGION/TOPIC",
	.summary = "print how many bytes a second go over a topic",
	.about = "Prints bytes a second over the last N messages, of all publishers together, the "
		 "least and the most that it has printed so far, and how large messages are. What "
		 "was missed is counted as the mean message." ABOUT_LOOK,
	.operand = "region",
	.opts = hz_opts,
	.schema = "tarn.bw/1",
	.lists = bw_lists,
	.examples = bw_examples,
	.exits = hz_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = 1,
	.run = bw_run,
};

const struct cli_cmd cmd_delay = {
	.name = "delay",
	.args = "REGION/TOPIC",
	.summary = "print how long messages of a topic take to be seen",
	.about = "Prints the time from when a message was published, as it says, to when this verb "
		 "saw it: mean, shortest, longest, deviation, median, and what 99 of 100 do not "
		 "exceed. Who only looks is woken by nobody and looks once a millisecond, so up to "
		 "that is in it; with --spin it is what a subscriber sees that never "
		 "sleeps.\n\n"
		 "Messages of a publisher that was opened with TARN_TOPIC_NO_TIME do not say when: "
		 "they are left out, and that is told." ABOUT_LOOK,
	.operand = "region",
	.opts = delay_opts,
	.schema = "tarn.delay/1",
	.lists = delay_lists,
	.examples = delay_examples,
	.exits = delay_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = 1,
	.run = delay_run,
};
