/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn bench --seeds - what texts on shared memory claim, held against this machine.
 *
 * Claims, figures and verdicts are bench/seeds.h's. In a table each claim is a row, and below it
 * stand its heading, its figures and the reason, for the eye; whoever asks for columns, for JSON
 * or for CSV gets one row a claim, with everything in it.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <tarn/base.h>

#include "seeds.h"

#include "bench_machine.h"
#include "bench_parts.h"

enum { CLAIM_MAX = 96, WIDTH = 66, TEXT_MAX = 2048 };

static const struct out_col claim_cols[] = {
	{ "name", "NAME", OUT_LONG, "its name, which stays; what --only takes", false },
	{ "guide", "GUIDE", OUT_LONG, "the title of the text", true },
	{ "heading", "HEADING", OUT_LONG, "under which the text says it", true },
	{ "claim", "CLAIMED", OUT_LONG, "what it says", true },
	{ "measured", "MEASURED", OUT_LONG,
	  "each figure: the median of its rounds and, in brackets, the least and the most", false },
	{ "verdict", "VERDICT", OUT_TEXT,
	  "holds, holds partly, does not hold, or cannot be measured here", false },
	{ "why", "WHY", OUT_LONG,
	  "why not, or not all of it, or how else it was measured; null: it holds as it stands",
	  true },
	{ "figures", NULL, OUT_LIST, "the figures that the verdict is made of", false },
	{ 0 },
};
const struct out_list bench_claims = { "claims", claim_cols };

static const struct out_col figure_cols[] = {
	{ "what", "WHAT", OUT_TEXT, "what was measured", false },
	{ "unit", "UNIT", OUT_TEXT,
	  "bytes_per_ns, ns, ratio, bytes, count, or part: of all figures here", false },
	{ "claimed_min", "FROM", OUT_REAL, "the claim's range; null: it has no lower bound",
	  false },
	{ "claimed_max", "TO", OUT_REAL, "null: it has no upper bound; both: it says nothing of it",
	  false },
	{ "about", "ABOUT", OUT_BOOL, "the text says ~: a factor of 1.5 is allowed", false },
	{ "median", "MEDIAN", OUT_REAL, "of the rounds; null: it could not be measured", false },
	{ "min", "MIN", OUT_REAL, "the least of the rounds", false },
	{ "max", "MAX", OUT_REAL, "the most of the rounds", false },
	{ "rounds", "ROUNDS", OUT_COUNT, "that were measured", false },
	{ "place", "PLACE", OUT_TEXT,
	  "met; touched: only some rounds are in the range; below, above; beside: the claim gives "
	  "no range; lacking: it could not be measured",
	  false },
	{ 0 },
};
const struct out_list bench_claim_figures = { "figures", figure_cols };

static const char *const places[] = {
	[SEEDS_MET] = "met",     [SEEDS_TOUCHED] = "touched", [SEEDS_BELOW] = "below",
	[SEEDS_ABOVE] = "above", [SEEDS_BESIDE] = "beside",   [SEEDS_LACKING] = "lacking",
};

/* --- words ------------------------------------------------------------------------------------ */

/* "12.3 GB/s (10.1 GB/s..14.2 GB/s)" */
static void value_words(const struct seeds_bound *bound, const struct seeds_stat *stat,
			char text[112])
{
	enum seeds_unit unit = seeds_fig_unit(bound->fig);
	char median[32], min[32], max[32];

	if (stat->count == 0) {
		snprintf(text, 112, "not measured");
		return;
	}
	seeds_value_text(unit, stat->median, median);
	seeds_value_text(unit, stat->min, min);
	seeds_value_text(unit, stat->max, max);
	if (strcmp(min, max) == 0)
		snprintf(text, 112, "%s", median);
	else
		snprintf(text, 112, "%s (%s..%s)", median, min, max);
}

/* "~20 GB/s", "2 ms..5 ms", "at least 1x"; empty where the claim gives no range. */
static void range_words(const struct seeds_bound *bound, char text[80])
{
	enum seeds_unit unit = seeds_fig_unit(bound->fig);
	const char *about = bound->about ? "~" : "";
	char least[32], most[32];

	seeds_value_text(unit, bound->least, least);
	seeds_value_text(unit, bound->most, most);
	if (bound->least < 0 && bound->most < 0)
		text[0] = '\0';
	else if (bound->least < 0)
		snprintf(text, 80, "at most %s%s", about, most);
	else if (bound->most < 0)
		snprintf(text, 80, "at least %s%s", about, least);
	else if (strcmp(least, most) == 0)
		snprintf(text, 80, "%s%s", about, least);
	else
		snprintf(text, 80, "%s%s..%s", about, least, most);
}

/* All figures of a claim in one line. */
static void measured_words(const struct seeds_claim *claim, const struct seeds_figure *figures,
			   char text[TEXT_MAX])
{
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < SEEDS_BOUND_MAX && claim->bounds[i].what != NULL; i++) {
		struct seeds_stat stat = seeds_stat(&figures[claim->bounds[i].fig]);
		char value[112];

		value_words(&claim->bounds[i], &stat, value);
		used += (size_t)snprintf(text + used, TEXT_MAX - used, "%s%s: %s",
					 used > 0 ? "; " : "", claim->bounds[i].what, value);
	}
}

/* --- rows for programs ------------------------------------------------------------------------ */

static void put_figures(struct out *out, const struct seeds_claim *claim,
			const struct seeds_figure *figures,
			const enum seeds_place found[SEEDS_BOUND_MAX])
{
	out_inner(out, "figures");
	for (int i = 0; i < SEEDS_BOUND_MAX && claim->bounds[i].what != NULL; i++) {
		const struct seeds_bound *bound = &claim->bounds[i];
		struct seeds_stat stat = seeds_stat(&figures[bound->fig]);

		out_row(out);
		out_text(out, "what", bound->what);
		out_text(out, "unit", seeds_unit_text(seeds_fig_unit(bound->fig)));
		if (bound->least >= 0)
			out_real(out, "claimed_min", bound->least);
		if (bound->most >= 0)
			out_real(out, "claimed_max", bound->most);
		out_bool(out, "about", bound->about);
		out_number(out, "rounds", stat.count);
		out_text(out, "place", places[found[i]]);
		if (stat.count == 0)
			continue;
		out_real(out, "median", stat.median);
		out_real(out, "min", stat.min);
		out_real(out, "max", stat.max);
	}
	out_inner_end(out, NULL);
}

static void put_flat(struct out *out, const struct seeds_claim *claim,
		     const struct seeds_figure *figures)
{
	enum seeds_place found[SEEDS_BOUND_MAX];
	char measured[TEXT_MAX], why[SEEDS_WHY];
	enum seeds_verdict verdict = seeds_judge(claim, figures, found);

	measured_words(claim, figures, measured);
	seeds_why(claim, figures, why);
	out_row(out);
	out_text(out, "name", claim->name);
	out_text(out, "guide", claim->guide);
	out_text(out, "heading", claim->heading);
	out_text(out, "claim", claim->claim);
	out_text(out, "measured", measured[0] != '\0' ? measured : NULL);
	out_text(out, "verdict", seeds_verdict_text(verdict));
	out_text(out, "why", why[0] != '\0' ? why : NULL);
	put_figures(out, claim, figures, found);
}

/* --- rows for the eye ------------------------------------------------------------------------- */

/* Columns for words, beside those of figures and verdicts; a terminal may have room for fewer. */
static size_t words_width(void)
{
	enum { BESIDE = 66, LEAST = 36 };
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
	    size.ws_col == 0 || size.ws_col >= WIDTH + BESIDE)
		return WIDTH;
	return size.ws_col >= LEAST + BESIDE ? size.ws_col - (size_t)BESIDE : LEAST;
}

/* @text in lines that fit, each a row below the claim's; @measured and @verdict, which may be
 * NULL, stand beside the first. */
static void put_wrapped(struct out *out, const char *lead, const char *text, const char *measured,
			const char *verdict)
{
	size_t first = strlen(lead), width = words_width();

	while (*text != '\0') {
		size_t room = width - first, length = strlen(text);
		char line[WIDTH + 8];

		if (length > room) {
			length = room;
			while (length > room / 2 && text[length] != ' ')
				length--;
		}
		snprintf(line, sizeof(line), "%s%.*s", lead, (int)length, text);
		out_child(out);
		out_text(out, "name", line);
		if (measured != NULL)
			out_text(out, "measured", measured);
		if (verdict != NULL)
			out_text(out, "verdict", verdict);
		text += length + strspn(text + length, " ");
		measured = verdict = NULL;
		lead = "   ";
		first = 3;
	}
}

static void put_figure_line(struct out *out, const struct seeds_bound *bound,
			    const struct seeds_figure *figures, enum seeds_place place)
{
	struct seeds_stat stat = seeds_stat(&figures[bound->fig]);
	bool judged = place != SEEDS_BESIDE && place != SEEDS_LACKING;
	char line[WIDTH + 112], value[112], range[80];

	value_words(bound, &stat, value);
	range_words(bound, range);
	snprintf(line, sizeof(line), "%.90s%s%s", bound->what, range[0] != '\0' ? ", " : "", range);
	put_wrapped(out, "", line, value, judged ? places[place] : NULL);
}

/* How many of the figures that have a range lie in it; NULL: the claim has none. */
static const char *met_words(const struct seeds_claim *claim,
			     const enum seeds_place found[SEEDS_BOUND_MAX], char text[32])
{
	unsigned met = 0, all = 0;

	for (int i = 0; i < SEEDS_BOUND_MAX && claim->bounds[i].what != NULL; i++) {
		all += claim->bounds[i].least >= 0 || claim->bounds[i].most >= 0;
		met += found[i] == SEEDS_MET;
	}
	snprintf(text, 32, "%u of %u met", met, all);
	return all > 0 ? text : NULL;
}

static void put_tree(struct out *out, const struct seeds_claim *claim,
		     const struct seeds_figure *figures)
{
	enum seeds_place found[SEEDS_BOUND_MAX];
	char heading[160], why[SEEDS_WHY], met[32];
	enum seeds_verdict verdict = seeds_judge(claim, figures, found);

	seeds_why(claim, figures, why);
	out_row(out);
	out_text(out, "name", claim->name);
	out_text(out, "measured", met_words(claim, found, met));
	out_text(out, "verdict", seeds_verdict_text(verdict));
	snprintf(heading, sizeof(heading), "%s: %s", claim->guide, claim->heading);
	put_wrapped(out, "", heading, NULL, NULL);
	put_wrapped(out, "claimed: ", claim->claim, NULL, NULL);
	for (int i = 0; i < SEEDS_BOUND_MAX && claim->bounds[i].what != NULL; i++)
		put_figure_line(out, &claim->bounds[i], figures, found[i]);
	put_wrapped(out, verdict == SEEDS_HOLDS ? "note: " : "why: ", why, NULL, NULL);
}

/* --- choosing --------------------------------------------------------------------------------- */

/* Is @name one of those in @only, apart by commas, or does it hold one of them? */
static bool is_chosen(const char *name, const char *only)
{
	if (only == NULL)
		return true;
	for (;;) {
		size_t length = strcspn(only, ",");
		char word[64];

		snprintf(word, sizeof(word), "%.*s", (int)length, only);
		if (length > 0 && length < sizeof(word) && strstr(name, word) != NULL)
			return true;
		if (only[length] == '\0')
			return false;
		only += length + 1;
	}
}

static uint32_t choose(const struct cli *cli, const struct seeds_claim *chosen[CLAIM_MAX])
{
	const char *only = cli_value(cli, "only");
	uint32_t count = 0;

	for (const struct seeds_claim *c = seeds_claims; c->name != NULL; c++)
		if (is_chosen(c->name, only) && count < CLAIM_MAX - 1)
			chosen[count++] = c;
	chosen[count] = NULL;
	return count;
}

/* Options that say something of cells say nothing of claims. */
static bool options_fit(struct cli *cli)
{
	static const char *const others[] = { "size", "pages", "heat", "pin", "subscribers",
					      "rate", "time",  "svg",  "root" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (!cli_given(cli, others[i]))
			continue;
		cli_usage(cli, "--%s says nothing of --seeds", others[i]);
		cli_hint("--seeds takes --only, --rounds and --quick");
		return false;
	}
	if (cli->argc > 0 && (cli->argc > 1 || strcmp(cli->argv[0], "run") != 0)) {
		cli_usage(cli, "--seeds takes no '%s'", cli->argv[cli->argc - 1]);
		cli_hint("`tarn bench --seeds` measures all claims, --only NAME some of them");
		return false;
	}
	return true;
}

/* --- the run ---------------------------------------------------------------------------------- */

struct shown {
	bool terminal, drawn;
	int64_t began_ns;
};

static void progress(uint32_t done, uint32_t total, const char *what, void *arg)
{
	struct shown *shown = arg;
	int64_t gone = tarn_now() - shown->began_ns;
	char left[24] = "?";

	if (!shown->terminal)
		return;
	if (what == NULL) {
		fputs("\r\033[K", stderr);
		return;
	}
	if (done > 0)
		text_duration(gone / done * (total - done), left);
	fprintf(stderr, "\r%3u%%, %s left: %s\033[K", total > 0 ? 100 * done / total : 0, left,
		what);
	fflush(stderr);
	shown->drawn = true;
}

static bool is_stopped(void)
{
	return bench_stopped() != 0;
}

static int put_claims(struct out *out, const struct seeds_claim *const *claims,
		      const struct seeds_figure *figures, struct bench_machine *machine)
{
	bool flat = out->as_json || out->as_csv || cli_given(out->cli, "output");
	enum seeds_place found[SEEDS_BOUND_MAX];
	bool any = false;

	bench_put_no_facts(out);
	out_list(out, &bench_claims);
	if (!flat)
		out_tree(out, "name");
	for (; *claims != NULL; claims++) {
		any |= seeds_judge(*claims, figures, found) != SEEDS_UNKNOWN;
		if (flat)
			put_flat(out, *claims, figures);
		else
			put_tree(out, *claims, figures);
	}
	bench_machine_after(machine);
	for (int i = 0; i < machine->warning_count && !out->as_json; i++)
		cli_note(out->cli, "%s", machine->warnings[i].what);
	if (out->as_json) {
		bench_put_facts(out, machine);
		bench_put_warnings(out, machine);
	}
	return any ? CLI_OK : CLI_FAILURE;
}

static int measure(struct cli *cli, struct out *out, const struct seeds_opts *opts)
{
	const struct seeds_claim *chosen[CLAIM_MAX];
	struct seeds_figure *figures = NULL;
	struct bench_machine machine;

	if (choose(cli, chosen) == 0) {
		cli_error(cli, "no claim is named '%s'", cli_value(cli, "only"));
		cli_hint("`tarn bench --seeds --quick -o name,claim` lists them all");
		return CLI_ABSENT;
	}
	bench_machine_look(&machine, NULL);
	bench_catch_signals();
	int r = seeds_measure(chosen, opts, &figures);

	if (((struct shown *)opts->arg)->drawn)
		fputs("\r\033[K", stderr);
	if (r == -EINTR) {
		out->complete = !out->as_json; /* a document without claims is no answer */
		return CLI_SIGNAL + bench_stopped();
	}
	if (r < 0)
		return cli_fail(cli, NULL, r);
	r = put_claims(out, chosen, figures, &machine);
	seeds_free(figures);
	return r;
}

int bench_seeds(struct cli *cli)
{
	struct shown shown = { .terminal = isatty(STDERR_FILENO), .began_ns = tarn_now() };
	uint64_t rounds = cli_given(cli, "quick") ? 3 : 5;
	struct seeds_opts opts = {
		.quick = cli_given(cli, "quick"),
		.stopped = is_stopped,
		.progress = progress,
		.arg = &shown,
	};
	struct out out;
	int code;

	if (!options_fit(cli) || !cli_number(cli, "rounds", 1, SEEDS_ROUND_MAX, &rounds))
		return CLI_USAGE;
	opts.rounds = (uint32_t)rounds;
	code = out_begin(&out, cli);
	if (code >= 0)
		return code;
	return out_end(&out, measure(cli, &out, &opts));
}
