/* SPDX-License-Identifier: BSD-2-Clause */
/* atomic_ops.h - what is done to single words; prim.c has the table. */
#ifndef TESTS_KILL_ATOMIC_OPS_H
#define TESTS_KILL_ATOMIC_OPS_H

#include "engine.h"

enum { ATOMIC_STEPS = 13 }; /* ways to change a word */

/* worlds before, what is prepared, operations, wakers, peers and survivors */
kill_fn words_made, words_ready, words_patient, words_beside, words_beside_two, change_narrow,
	change_wide, await_gate, await_gate_in_vain, open_gate, open_for_one, open_for_all,
	add_to_gate, sleeping_at_gate, sleeping_at_gate_twice, sleeping_unwoken, check_narrow,
	check_wide, check_gate, check_gate_beside, change_the_rest;

#endif /* TESTS_KILL_ATOMIC_OPS_H */
