/* SPDX-License-Identifier: BSD-2-Clause */
/* no_more.c - the tool itself has no contestants but those of the table; bench-peers has. */
#include "engine.h"

const struct bench_contestant *const bench_more[] = { NULL };
