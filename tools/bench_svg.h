/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_svg.h - a result as a picture: latency and bandwidth against the size of a message.
 *
 * Two panels with logarithmic axes, a line a contestant, labelled where the ranking is read: on the
 * left for the latency of small messages, on the right for the bandwidth of large ones. What the
 * machine itself allows is grey. Colours follow the viewer's theme; there is no script, and no font
 * or file from elsewhere. The same result gives the same bytes.
 */
#ifndef TARN_TOOLS_BENCH_SVG_H
#define TARN_TOOLS_BENCH_SVG_H

#include <stdio.h>

#include "bench_json.h"

/* False: there is nothing in it to draw, and nothing was written. */
bool bench_svg(FILE *to, const struct bench_file *file);

/* tarn bench picture RESULT FILE; @to NULL or "-": standard output. */
int bench_picture(struct cli *cli, const char *from, const char *to);
/* The same of a result at hand. */
int bench_picture_of(struct cli *cli, const struct bench_file *file, const char *to);

#endif /* TARN_TOOLS_BENCH_SVG_H */
