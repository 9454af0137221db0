/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_parts.h - what the files of `tarn bench` share. What is measured, and how, is bench/'s
 * (engine.h); here is what is asked for and what is shown.
 *
 * The document has one item: facts of the machine and of the run, and the lists "rows" (or, of
 * `tarn bench list`, "contestants") and "warnings".
 */
#ifndef TARN_TOOLS_BENCH_PARTS_H
#define TARN_TOOLS_BENCH_PARTS_H

#include "cli.h"
#include "out.h"

struct bench_run;

/* bench_out.c */
extern const struct out_list bench_items, bench_rows, bench_contestant_list;
void bench_put_rows(struct out *out, const struct bench_run *run);
void bench_put_contestants(struct out *out);

/* bench_machine.c: facts of the item, the same for every sub-verb; @run is NULL where nothing was
 * measured. Then what spoils the figures here, as a list, and on standard error. */
extern const struct out_list bench_warnings;
void bench_put_machine(struct out *out, const struct bench_run *run);
void bench_put_warnings(struct out *out, const struct bench_run *run);

#endif /* TARN_TOOLS_BENCH_PARTS_H */
