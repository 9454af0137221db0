/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * toy.h - small shared structures, each right in one variant and wrong in others, by which the
 * sweep is tested: a sweep that finds nothing must have been able to find something.
 */
#ifndef TESTS_KILL_TOY_H
#define TESTS_KILL_TOY_H

#include "engine.h"

struct toy_case {
	struct kill_op op;
	/* by what the sweep is to find it, and by nothing else; none: it is right */
	bool by_image;
	bool by_double;
	bool by_real;
};

extern const struct toy_case toy_cases[];
extern const int toy_case_count;

#endif /* TESTS_KILL_TOY_H */
