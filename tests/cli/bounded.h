/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bounded.h - helper programs end by themselves: with whoever started them, and after two minutes
 * at the latest. So none is left running where a test is cut off, or kills the shell around it
 * alone.
 */
#ifndef TESTS_CLI_BOUNDED_H
#define TESTS_CLI_BOUNDED_H

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { LIFE_S = 120 };

/* First thing in main(). The alarm is also for the case that whoever started it was gone before. */
static inline void be_bounded(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIFE_S);
}

#endif /* TESTS_CLI_BOUNDED_H */
