/* SPDX-License-Identifier: BSD-2-Clause */
/* progress.h - bytes, rate, percent and time left, on standard error. */
#ifndef TARN_TOOLS_PROGRESS_H
#define TARN_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *schema; /* of the JSON lines */
	const char *done;   /* "sent" */
	const char *name;
	bool shown, terminal, json;
	bool drawn; /* a line stands on the terminal that the next one replaces */
	int64_t began_ns, next_ns;
	int64_t last_ns;
	uint64_t last_bytes;
	double rate; /* bytes a second, smoothed */
};

struct cli;
/* @done: what the sum at the end says was done, "sent" or "received" */
void progress_init(struct progress *progress, const struct cli *cli, const char *done);
/* The first byte is about to move. */
void progress_start(struct progress *progress);
/* @total: UINT64_MAX where it is not known. */
void progress_update(struct progress *progress, uint64_t bytes, uint64_t total);
/* Clear the line; tell the sum if the stream was finished. @digest: text or NULL. */
void progress_end(struct progress *progress, uint64_t bytes, bool finished, const char *digest);

#endif /* TARN_TOOLS_PROGRESS_H */
