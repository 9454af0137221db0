/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn bench [run | list] - how fast, of every means of communication side by side.
 *
 * What is measured is bench/'s; see bench/engine.h and bench/README.md. Sub-verbs are rows of a
 * table below.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

#include "bench_compare.h"
#include "bench_machine.h"
#include "bench_parts.h"
#include "bench_svg.h"
#include "cmds.h"

#define QUICK_NS INT64_C(20000000000)

static const struct cli_opt bench_opts[] = {
	{ 'q', "quick", NULL, "20 seconds in all: fewer cells, three rounds, short loops" },
	{ 0, "only", "TEXT",
	  "only cells whose MEASURE/CONTESTANT/MODE/SIZE holds TEXT, or one of several apart by "
	  "commas" },
	{ 'S', "size", "SIZES", "messages of these sizes, apart by commas, such as 8,4K,1M" },
	{ 0, "rounds", "N", "rounds, 1 to 64; 5 if not given" },
	{ 0, "pages", "4k|thp|2m|all",
	  "pages that shared memory lies on, of contestants that make it; 4k if not given" },
	{ 0, "heat", "hot|cold|both",
	  "cold: each message comes from and goes to memory that is in no cache; hot if not "
	  "given" },
	{ 0, "pin", "yes|no|both",
	  "pin each process to a processor of its own, so that the limits are of the same two; "
	  "yes if not given" },
	{ 0, "subscribers", "N", "of a fan-out, 1 to 8; 4 if not given" },
	{ 0, "rate", "N", "messages a second of the open loop; 100000 if not given" },
	{ 0, "time", "SECONDS",
	  "begin nothing more after this time, and try rounds again until then in which the host "
	  "had the processors far from one another" },
	{ 0, "svg", "FILE", "also draw the result into FILE" },
	{ 0, "root", "DIR",
	  "machine: of the host whose proc and sys are below DIR, as a container has them "
	  "mounted" },
	{ 0, "seeds", NULL,
	  "measure what texts on shared memory claim, and say which claims hold; with --quick, "
	  "--rounds, and --only NAMES" },
	{ 0, "csv", NULL, "print the rows as comma-separated values" },
	{ 0 },
};

static const struct out_list *const bench_lists[] = {
	&bench_rows,
	&bench_items,
	&bench_contestant_list,
	&bench_facts,
	&bench_warnings,
	&bench_compared_list,
	&bench_differences_list,
	&bench_claims,
	&bench_claim_figures,
	NULL,
};

static volatile sig_atomic_t stopped; /* style: written by a signal handler */

static void stop(int number)
{
	stopped = number;
}

int bench_stopped(void)
{
	return stopped;
}

void bench_catch_signals(void)
{
	struct sigaction action = { .sa_handler = stop, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* --- progress --------------------------------------------------------------------------------- */

struct watch {
	bool shown, drawn;
	int64_t next_ns;
};

static void draw(struct watch *watch, const struct bench_run *run)
{
	const struct bench_cell *cell = &run->now->cell;
	char left[24], size[24];

	if (run->again > 0)
		fprintf(stderr, "\ragain, %u rows: ", run->again);
	else
		fprintf(stderr, "\rround %u of %u, %3u%%: ", run->done / run->row_count + 1,
			run->settings.rounds, run->done * 100 / run->in_all);
	fprintf(stderr, "%s %s %s, %s left", bench_measure_name(cell->measure),
		cell->contestant->name, text_size(cell->size, size),
		run->left_ns < 1000000000 ? "<1 s" : text_duration(run->left_ns, left));
	if (run->discarded > 0)
		fprintf(stderr, ", %u discarded", run->discarded);
	fputs("\033[K", stderr);
	fflush(stderr);
	watch->drawn = true;
}

static bool progress(const struct bench_run *run, void *arg)
{
	struct watch *watch = arg;
	int64_t now = tarn_now();

	if (watch->shown && run->now != NULL && now >= watch->next_ns) {
		draw(watch, run);
		watch->next_ns = now + 100000000;
	}
	return stopped != 0;
}

/* --- settings --------------------------------------------------------------------------------- */

enum { SIZES_MAX = 16 };

static bool parse_sizes(struct cli *cli, size_t sizes[SIZES_MAX], struct bench_settings *s)
{
	const char *text = cli_value(cli, "size");

	while (text != NULL && *text != '\0') {
		size_t length = strcspn(text, ",");
		uint64_t size;
		char word[32];

		snprintf(word, sizeof(word), "%.*s", (int)length, text);
		if (length >= sizeof(word) || !text_size_parse(word, &size) ||
		    size > BENCH_SIZE_MAX || s->size_count == SIZES_MAX) {
			cli_usage(cli, "'%s' is no size of a message: 0 to 64M, %d of them at most",
				  word, SIZES_MAX);
			cli_hint("such as --size 8,4K,1M");
			return false;
		}
		sizes[s->size_count++] = (size_t)size;
		text += length + (text[length] == ',');
	}
	s->sizes = sizes;
	return true;
}

/* The bits that the word of option @name stands for; 0: not given. Words are checked already. */
static unsigned bits_of(const struct cli *cli, const char *name, const char *const words[3])
{
	const char *word = cli_value(cli, name);
	unsigned bit = 0;

	if (word == NULL)
		return 0;
	while (bit < 3 && words[bit] != NULL && strcmp(words[bit], word) != 0)
		bit++;
	return bit < 3 && words[bit] != NULL ? 1u << bit : 7;
}

static bool parse_settings(struct cli *cli, size_t sizes[SIZES_MAX], struct bench_settings *s)
{
	static const char *const pages[3] = { "4k", "thp", "2m" },
				 *const heats[3] = { "hot", "cold" },
				 *const pins[3] = { "yes", "no" };
	uint64_t rounds = 0, subscribers = 0;

	*s = (struct bench_settings){
		.quick = cli_given(cli, "quick"),
		.only = cli_value(cli, "only"),
		.pages = bits_of(cli, "pages", pages),
		.heats = bits_of(cli, "heat", heats) & 3,
		.pins = bits_of(cli, "pin", pins) & 3,
	};
	if (s->quick)
		s->budget_ns = QUICK_NS;
	if (!cli_number(cli, "rounds", 1, BENCH_ROUND_MAX, &rounds) ||
	    !cli_number(cli, "subscribers", 1, BENCH_SIDES_MAX - 1, &subscribers) ||
	    !cli_number(cli, "rate", 1, 100000000, &s->rate) ||
	    !cli_seconds(cli, "time", &s->budget_ns) || !parse_sizes(cli, sizes, s))
		return false;
	s->rounds = (unsigned)rounds;
	s->subscribers = (unsigned)subscribers;
	return true;
}

/* --- sub-verbs -------------------------------------------------------------------------------- */

static int fail_to_plan(struct cli *cli, int r)
{
	if (r != -ENOENT)
		return cli_fail(cli, NULL, r);
	cli_error(cli, "nothing is measured by that");
	cli_hint("`tarn bench list` has the contestants, with their modes and measures");
	return CLI_ABSENT;
}

/* Is there a row, and did none fail that was asked for by name? */
static int judge(const struct bench_run *run)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < run->row_count; i++)
		failed += run->rows[i].failed[0] != '\0';
	if (stopped != 0)
		return CLI_SIGNAL + stopped;
	return failed == run->row_count ? CLI_FAILURE : CLI_OK;
}

/* Both were seen: the processors near one another, and not. */
static void warn_of_places(const struct bench_run *run, struct bench_machine *m)
{
	double least = run->bounces[0], most = run->bounces[run->bounce_count - 1];

	bench_machine_warn(m, "places", "--time SECONDS gives it longer to try again",
			   "the host had the processors near and far (a cache line took %.0f to "
			   "%.0f ns, near %.0f): %u rounds were set aside",
			   least, most, run->near, run->set_aside);
	if (run->other_rows > 0)
		bench_machine_warn(m, "far-rows", "--time SECONDS gives it longer to try again",
				   "%u of %u rows have too few rounds with the processors near: "
				   "they are of others (PLACE), and not to be held against the "
				   "rest",
				   run->other_rows, run->row_count);
}

/* What spoils the figures; told on standard error but where it is part of the JSON. */
static void warn(struct cli *cli, const struct bench_run *run, struct bench_machine *m)
{
	bench_machine_after(m);
	if (run->discarded > 0)
		bench_machine_warn(m, "discarded", NULL,
				   "%u of %u measurements were discarded: the host moved the "
				   "processors meanwhile",
				   run->discarded, run->done + run->discarded);
	if (run->set_aside + run->other_rows > 0)
		warn_of_places(run, m);
	for (int i = 0; i < m->warning_count && !cli_given(cli, "json"); i++)
		cli_note(cli, "%s", m->warnings[i].what);
}

static int draw_picture(struct cli *cli, const struct bench_run *run, const struct bench_machine *m)
{
	struct bench_file file;
	int code;

	if (!bench_take(run, m, &file))
		return cli_error(cli, "out of memory");
	code = bench_picture_of(cli, &file, cli_value(cli, "svg"));
	bench_file_free(&file);
	return code;
}

static int run_verb(struct cli *cli)
{
	const struct bench_contestant *const *lists[] = { bench_contestants, bench_more, NULL };
	struct watch watch = { .shown = isatty(STDERR_FILENO) };
	struct bench_settings settings;
	struct bench_machine machine;
	struct bench_run *run;
	size_t sizes[SIZES_MAX];
	struct out out;
	int r, code;

	if (!parse_settings(cli, sizes, &settings))
		return CLI_USAGE;
	code = out_begin(&out, cli);
	if (code >= 0)
		return code;
	settings.progress = progress;
	settings.arg = &watch;
	r = bench_plan(&settings, lists, &run);
	if (r < 0)
		return out_end(&out, fail_to_plan(cli, r));
	bench_catch_signals();
	bench_machine_look(&machine, NULL);
	bench_go(run);
	if (watch.drawn)
		fputs("\r\033[K", stderr);
	warn(cli, run, &machine);
	bench_put_rows(&out, run, &machine);
	if (out.as_json) {
		bench_put_facts(&out, &machine);
		bench_put_warnings(&out, &machine);
	}
	code = out_end(&out, judge(run));
	if (cli_given(cli, "svg"))
		code = cli_worse(code, draw_picture(cli, run, &machine));
	bench_run_free(run);
	return code;
}

static int list_verb(struct cli *cli)
{
	struct out out;
	int code = out_begin(&out, cli);

	if (code >= 0)
		return code;
	bench_put_contestants(&out);
	return out_end(&out, CLI_OK);
}

static int compare_verb(struct cli *cli)
{
	return bench_compare(cli, cli->argv[1], cli->argv[2]);
}

static int picture_verb(struct cli *cli)
{
	return bench_picture(cli, cli->argv[1], cli->argc > 2 ? cli->argv[2] : NULL);
}

static const struct {
	const char *name;
	int least, most; /* operands behind it */
	int (*run)(struct cli *cli);
} verbs[] = {
	{ "run", 0, 0, run_verb },
	{ "list", 0, 0, list_verb },
	{ "compare", 2, 2, compare_verb },
	{ "picture", 1, 2, picture_verb },
	{ "machine", 0, 0, bench_machine_verb },
};

static int bench_main(struct cli *cli)
{
	const char *word = cli->argc > 0 ? cli->argv[0] : "run";

	if (cli_given(cli, "seeds"))
		return bench_seeds(cli);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(word, verbs[i].name) != 0)
			continue;
		if (cli->argc > 0 &&
		    (cli->argc - 1 < verbs[i].least || cli->argc - 1 > verbs[i].most))
			return cli_usage(cli, "%s takes %d operands, not %d", word, verbs[i].most,
					 cli->argc - 1);
		return verbs[i].run(cli);
	}
	cli_usage(cli, "there is no '%s' in bench", word);
	cli_hint("`tarn bench run` measures, `tarn bench list` says what there is to measure; the "
		 "others are compare, picture and machine");
	return CLI_USAGE;
}

static const struct cli_example bench_examples[] = {
	{ "tarn bench --quick", "a first impression, in 20 seconds" },
	{ "tarn bench run", "everything, some minutes" },
	{ "tarn bench run --only one-way/ --size 4K,1M -s -bytes_per_ns",
	  "who moves the most bytes, the fastest first" },
	{ "tarn bench run -J --svg before.svg > before.json",
	  "to be compared with another run, and a picture of it" },
	{ "tarn bench compare before.json after.json", "did anything get slower?" },
	{ "tarn bench picture before.json before.svg", "a picture of a result that was kept" },
	{ "tarn bench --seeds", "what is claimed of shared memory, and what of it holds here" },
	{ "tarn bench machine", "what spoils figures here" },
	{ "tarn bench run --only round-trip/ring --pages all --heat both --csv",
	  "a ring on pages of each kind, for a spreadsheet" },
	{ 0 },
};

static const struct cli_exit_note bench_exits[] = {
	{ 1, "none of the cells, or of the claims, could be measured; the column FAILED, or "
	     "WHY, says why. compare: something got "
	     "slower. picture: there is nothing to draw" },
	{ 3, "there is nothing to measure by these options, or no such file" },
	{ 6, "a file is no result, or was cut off, or is of another version" },
	{ 0 },
};

const struct cli_cmd cmd_bench = {
	.name = "bench",
	.args = "[run|list|compare A B|picture A [FILE]|machine]",
	.summary = "how fast shared memory is here, beside all that the kernel offers",
	.about =
		"Measures every means of communication side by side: what the kernel has, and "
		"every "
		"structure of Tarn in each of its modes. list says what there is; run, or no "
		"operand, "
		"measures it.\n\n"
		"Each row is one contestant in one mode, by one measure, with messages of one "
		"size: "
		"round-trip, there and back; one-way, as many as go through; fan-out, the same to "
		"several subscribers; wake-up, of a receiver that has been idle for 1 ms; "
		"open-loop, "
		"at a given rate, each latency from the time at which the message was to be sent; "
		"write, what it costs the sender; hand-over, of a lock to who waits for it.\n\n"
		"In each round each row has fresh processes, pinned to processors of their own. "
		"They "
		"also take the limit that the machine sets, before and after: the round trip of a "
		"cache line, memcpy(3), a bare futex. Ratios are to the limit of the same round. A "
		"round in which the host moved the processors meanwhile is discarded and counted. "
		"A row is of rounds that had the processors equally far from one another, as the "
		"cache line tells: near, if there are enough. The others are set aside, counted, "
		"and tried again at the end: for as long as the rounds took and 2 seconds, or "
		"until the time of --time or --quick is over. A row that has too few near ones "
		"even so is of the others, and its PLACE says so. "
		"Every message is checked when it comes: its number, its end, a word of each "
		"line.\n\n"
		"Figures are medians of the rounds. What cannot be measured here has a row that "
		"says "
		"why. As root the limits of message queues are raised, in an IPC namespace of its "
		"own.\n\n"
		"compare holds two results (of run -J) against each other. It calls a row slower "
		"or "
		"faster only if the rounds of the two do not overlap, their medians are further "
		"apart than the limits of the two and than 5 %, and apart by 8.5, 3.4, 2.1, 1.5, "
		"1.15 or 0.75 times the width of their spreads where there are but 3 to 8 rounds; "
		"all else is no difference that can be told. Rows are unlike, and not compared, if "
		"the host had the processors near one another in the one and far in the other. Of "
		"different machines, or of a "
		"host that moved meanwhile, it compares the ratios to the limit. What only one has "
		"is named, and is not slower.\n\n"
		"--seeds measures what five texts that are much read claim: every figure, and "
		"every "
		"claim about speed or memory, by the heading it stands under. It prints what is "
		"claimed, what was measured with its spread, whether that holds, and where not, "
		"why. "
		"A figure is met when its median lies in the range that the text gives, or, where "
		"the "
		"text says \"~\", within a factor of 1.5 of it. What a text does with 1 GB is done "
		"with less where less is free, and the row says so. Where other work had the "
		"processors for half of the time or more, times are not taken.\n\n"
		"picture draws a result: latency and bandwidth by size. machine tells what figures "
		"of this machine are of, and what spoils them here.",
	.operand = "run|list|compare|picture|machine",
	.opts = bench_opts,
	.schema = "tarn.bench/2",
	.lists = bench_lists,
	.examples = bench_examples,
	.exits = bench_exits,
	.groups = CLI_GROUP_LIST,
	.arg_max = 3,
	.run = bench_main,
};
