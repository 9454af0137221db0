/* SPDX-License-Identifier: BSD-2-Clause */
/* progress.c - see progress.h. */

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <tarn/base.h>

#include "cli.h"
#include "out.h"
#include "progress.h"

#define EVERY_TERMINAL_NS INT64_C(200000000)
#define EVERY_LINE_NS     INT64_C(1000000000)

void progress_init(struct progress *progress, const struct cli *cli, const char *done)
{
	bool terminal = isatty(STDERR_FILENO);

	*progress = (struct progress){
		.schema = cli->cmd->schema,
		.done = done,
		.name = cli->argv[0],
		.terminal = terminal,
		.json = cli_given(cli, "json"),
		.shown = !cli_given(cli, "quiet") &&
			 (terminal || cli_given(cli, "progress") || cli_given(cli, "json")),
	};
	progress->terminal &= !progress->json;
	progress_start(progress);
}

void progress_start(struct progress *progress)
{
	progress->began_ns = progress->last_ns = tarn_now();
	progress->next_ns =
		progress->began_ns + (progress->terminal ? EVERY_TERMINAL_NS : EVERY_LINE_NS);
}

static void smooth(struct progress *progress, int64_t now, uint64_t bytes)
{
	double seconds = (double)(now - progress->last_ns) / 1e9;
	double rate = seconds > 0 ? (double)(bytes - progress->last_bytes) / seconds : 0;

	progress->rate = progress->rate > 0 ? 0.7 * progress->rate + 0.3 * rate : rate;
	progress->last_ns = now;
	progress->last_bytes = bytes;
}

static void put_json(const struct progress *progress, const char *event, uint64_t bytes,
		     uint64_t total, const char *digest)
{
	struct json json = out_line_begin(stderr, progress->schema);

	json_text(&json, "event", event);
	json_text(&json, "name", progress->name);
	json_u64(&json, "moved_bytes", bytes);
	if (total != UINT64_MAX)
		json_u64(&json, "total_bytes", total);
	else
		json_null(&json, "total_bytes");
	json_i64(&json, "elapsed_ns", tarn_now() - progress->began_ns);
	json_text(&json, "xxh3_128", digest);
	out_line_end(&json);
}

static void put_line(struct progress *progress, uint64_t bytes, uint64_t total)
{
	char size[24], rate[24], left[24];

	fprintf(stderr, "%s%10s %10s/s", progress->terminal ? "\r" : "", text_size(bytes, size),
		text_size((uint64_t)progress->rate, rate));
	if (total != UINT64_MAX && total >= bytes && progress->rate > 0) {
		double seconds = (double)(total - bytes) / progress->rate;

		fprintf(stderr, " %3.0f%%  %s left",
			total > 0 ? 100.0 * (double)bytes / (double)total : 100.0,
			seconds < 1 ? "<1 s" : text_duration((int64_t)seconds * 1000000000, left));
	}
	/* \033[K: what a longer line before left */
	fputs(progress->terminal ? "\033[K" : "\n", stderr);
	fflush(stderr);
	progress->drawn = progress->terminal;
}

void progress_update(struct progress *progress, uint64_t bytes, uint64_t total)
{
	if (!progress->shown)
		return;

	int64_t now = tarn_now();

	if (now < progress->next_ns)
		return;
	progress->next_ns = now + (progress->terminal ? EVERY_TERMINAL_NS : EVERY_LINE_NS);
	smooth(progress, now, bytes);
	if (progress->json)
		put_json(progress, "progress", bytes, total, NULL);
	else
		put_line(progress, bytes, total);
}

void progress_end(struct progress *progress, uint64_t bytes, bool finished, const char *digest)
{
	int64_t elapsed = tarn_now() - progress->began_ns;
	char size[24], rate[24], time[24];

	if (!progress->shown)
		return;
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
	if (progress->json) {
		put_json(progress, finished ? "finished" : "failed", bytes, UINT64_MAX, digest);
		return;
	}
	if (!finished)
		return;
	double per_second = elapsed > 0 ? (double)bytes * 1e9 / (double)elapsed : 0;

	fprintf(stderr, "%s %s in %s, %s/s", progress->done, text_size(bytes, size),
		text_duration(elapsed, time), text_size((uint64_t)per_second, rate));
	if (digest != NULL)
		fprintf(stderr, ", xxh3-128 %s", digest);
	putc('\n', stderr);
}
