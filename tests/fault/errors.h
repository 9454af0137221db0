/* SPDX-License-Identifier: BSD-2-Clause */
/* errors.h - see errors.c. */
#ifndef TESTS_FAULT_ERRORS_H
#define TESTS_FAULT_ERRORS_H

#include "plat/plat.h"

enum { FAULT_ERRORS_MAX = 7 };

/* The errors that @call can have, ended by 0; none for those that cannot fail. */
const int *fault_errors(enum tarn_plat_call call);

#endif /* TESTS_FAULT_ERRORS_H */
