/* SPDX-License-Identifier: BSD-2-Clause */
/* child.h - run a function in a child. After the other headers and <cmocka.h>. */
#ifndef TESTS_UNIT_CHILD_H
#define TESTS_UNIT_CHILD_H

#include <sys/wait.h>
#include <unistd.h>

/* Its exit status, or 1000 + signal. A child that hangs gets SIGALRM. */
static inline int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(30);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#endif /* TESTS_UNIT_CHILD_H */
