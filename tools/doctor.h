/* SPDX-License-Identifier: BSD-2-Clause */
/* doctor.h - findings kept in memory, and the formats in which they are told. */
#ifndef TARN_TOOLS_DOCTOR_H
#define TARN_TOOLS_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/host.h>

#include "cli.h"

struct doctor_finding {
	char *check, *what, *breaks, *fix; /* breaks, fix: NULL = none */
	uint32_t severity;
	uint64_t bytes;
};

/* A row of tarn_host_limits(), for what measures. */
struct doctor_limit {
	char *name, *text;
	uint32_t unit;
	uint64_t value, used;
};

struct doctor {
	struct cli *cli;
	const char *root;
	struct doctor_finding *findings;
	size_t finding_count, finding_room;
	struct doctor_limit *limits;
	size_t limit_count, limit_room;
	uint64_t unreadable; /* processes and limits */
	bool fitting;        /* asked with --for: the first finding is the answer */
	bool failed;         /* out of memory */
};

/* The word for it: "ok", "warning", "critical", "unknown". */
const char *doctor_severity(uint32_t severity);
/* The gravest: critical, then warning, then unknown, then ok. */
uint32_t doctor_worst(const struct doctor *doctor);
size_t doctor_count(const struct doctor *doctor, uint32_t severity);

/* Print it. */
void doctor_text(const struct doctor *doctor, bool all);
void doctor_nagios(const struct doctor *doctor);
void doctor_prometheus(const struct doctor *doctor);

#endif /* TARN_TOOLS_DOCTOR_H */
