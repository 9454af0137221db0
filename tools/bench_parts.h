/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_parts.h - what the files of `tarn bench` share. What is measured, and how, is bench/'s
 * (engine.h); here is what is asked for and what is shown.
 *
 * The document has one item: facts of the machine and of the run, and the list of the sub-verb:
 * "rows", "contestants", "compared", "claims" ...; then "facts" of the machine and "warnings".
 */
#ifndef TARN_TOOLS_BENCH_PARTS_H
#define TARN_TOOLS_BENCH_PARTS_H

#include "cli.h"
#include "out.h"

struct bench_file;
struct bench_machine;
struct bench_run;

/* bench_out.c */
extern const struct out_list bench_items, bench_rows, bench_contestant_list;
void bench_put_rows(struct out *out, const struct bench_run *run, const struct bench_machine *m);
void bench_put_contestants(struct out *out);
/* Begin an item of which no fact is known. */
void bench_put_no_facts(struct out *out);

/* bench_take.c: @run as its result file would have it, for a picture of it; it borrows from both.
 * bench_file_free() it. False: out of memory. */
bool bench_take(const struct bench_run *run, const struct bench_machine *m,
		struct bench_file *ret_file);

/* cmd_bench.c: have signals end the measuring, and the one that did; 0: none. */
void bench_catch_signals(void);
int bench_stopped(void);

/* bench_seeds.c: what texts claim, measured. */
extern const struct out_list bench_claims, bench_claim_figures;
int bench_seeds(struct cli *cli);

#endif /* TARN_TOOLS_BENCH_PARTS_H */
