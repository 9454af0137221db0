/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * findings.h - checks: each looks at rows of the table of limits and says what it found.
 *
 * A check fills the verdict of the judge and returns true, or returns false where it does not
 * concern this host. What it needs and cannot be read makes it UNKNOWN.
 */
#ifndef TARN_HOST_FINDINGS_H
#define TARN_HOST_FINDINGS_H

#include "host/host.h"
#include "host/limits.h"

#define TARN__MIB (UINT64_C(1) << 20)
#define TARN__GIB (UINT64_C(1) << 30)

struct tarn__judge {
	const struct tarn__limits *limits;
	const struct tarn_host *host; /* NULL = no picture */
	int (*fn)(const struct tarn_host_finding *finding, void *arg);
	void *arg;
	int stopped; /* what fn returned */
	bool unknown;
	/* the verdict */
	char check[48];
	uint32_t severity;
	uint64_t bytes;
	char what[480], breaks[400], fix[560];
};

typedef bool tarn__check_fn(struct tarn__judge *judge);
struct tarn__check {
	const char *name;
	tarn__check_fn *fn;
};

/* Tables that end with a NULL name. */
extern const struct tarn__check tarn__checks_ipc[];
extern const struct tarn__check tarn__checks_memory[];
extern const struct tarn__check tarn__checks_host[];

/* The row, if there is one with a value. If it is there and could not be read, the verdict is
 * UNKNOWN: `return judge->unknown` then. */
const struct tarn__limit *tarn__need(struct tarn__judge *judge, const char *name);
/* The same for what is not needed. */
const struct tarn__limit *tarn__may(const struct tarn__judge *judge, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Does the row say @word? False where there is none. */
bool tarn__says(const struct tarn__judge *judge, const char *name, const char *word);

void tarn__what(struct tarn__judge *judge, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Makes it at least @severity. */
void tarn__breaks(struct tarn__judge *judge, uint32_t severity, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void tarn__fix(struct tarn__judge *judge, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Hand the verdict over and begin the next, called printf(@name). */
void tarn__verdict_end(struct tarn__judge *judge);
void tarn__verdict_begin(struct tarn__judge *judge, const char *name, ...)
	__attribute__((format(printf, 2, 3)));

/* Percent of @limit that @used is; 0 where either is not known. */
unsigned tarn__percent(const struct tarn__limit *limit);
/* "63 of 64 MiB" and severity by fullness: WARNING from 90 percent, CRITICAL from @critical. */
bool tarn__judge_full(struct tarn__judge *judge, const struct tarn__limit *limit,
		      unsigned critical);
/* "no limit", "64 MiB", "4096" */
const char *tarn__value_text(const struct tarn__limit *limit, uint64_t value, char buf[24]);

/* Leftovers of the dead; called by findings.c at the end. */
void tarn__judge_leftovers(struct tarn__judge *judge);

#endif /* TARN_HOST_FINDINGS_H */
