/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_machine.h - what a measurement ran on, and what of that spoils it.
 *
 * Facts are rows of name and value, kept in every result file: figures of two files are compared
 * with the facts of both in view. Warnings are for the eye and for the file: each says what is in
 * the way and what mends it. All is read from proc and sys, below a root, so that a container or a
 * test can show another one.
 */
#ifndef TARN_TOOLS_BENCH_MACHINE_H
#define TARN_TOOLS_BENCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "out.h"

enum { BENCH_FACT_MAX = 48, BENCH_WARNING_MAX = 24 };

struct bench_fact {
	const char *name;
	char value[96];
	bool is_number;
};

struct bench_warning {
	const char *name; /* one word, for scripts */
	char what[224];
	const char *hint; /* NULL: nothing mends it */
};

struct bench_machine {
	const char *root; /* "" = this host */
	unsigned cpus[2]; /* the processors measured on; the same twice if there is but one */
	struct bench_fact facts[BENCH_FACT_MAX];
	int fact_count;
	struct bench_warning warnings[BENCH_WARNING_MAX];
	int warning_count;
	uint64_t stolen, ticks; /* of /proc/stat when it was looked at */
};

/* Before measuring. @root NULL: this host, of which the first two processors are measured on that
 * this process may run on. */
void bench_machine_look(struct bench_machine *m, const char *root);
/* After measuring: what the host took away meanwhile. */
void bench_machine_after(struct bench_machine *m);
/* What the measurement itself found. */
void bench_machine_warn(struct bench_machine *m, const char *name, const char *hint,
			const char *format, ...) __attribute__((format(printf, 4, 5)));
const char *bench_machine_fact(const struct bench_machine *m, const char *name); /* or NULL */

/* The verb names both among its lists. */
extern const struct out_list bench_facts, bench_warnings;
void bench_put_facts(struct out *out, const struct bench_machine *m);
void bench_put_warnings(struct out *out, const struct bench_machine *m);

/* tarn bench machine */
int bench_machine_verb(struct cli *cli);

#endif /* TARN_TOOLS_BENCH_MACHINE_H */
