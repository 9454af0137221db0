/* SPDX-License-Identifier: BSD-2-Clause */
/* child.c - run a closure where a crash or a hang of it is contained. See harness.h. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

enum { CHILD_RETURNED = 42 }; /* exit status: the closure came to its end */

void *harness_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("harness: mmap");
		exit(2);
	}
	return p;
}

int harness_say(struct harness_report *report, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(report->text, sizeof(report->text), format, ap);
	va_end(ap);
	return code;
}

static void explain(int status, unsigned seconds, struct harness_report *report)
{
	if (!WIFSIGNALED(status))
		harness_say(report, -1, "ended on its own with status %d", WEXITSTATUS(status));
	else if (WTERMSIG(status) == SIGALRM)
		harness_say(report, -1, "hung: not done after %u s", seconds);
	else
		harness_say(report, -1, "crashed: %s", strsignal(WTERMSIG(status)));
}

int harness_run(harness_fn *fn, void *arg, unsigned seconds, struct harness_report *report)
{
	pid_t parent = getpid();
	int status = 0;

	report->code = -1;
	report->text[0] = '\0';

	pid_t pid = fork();

	if (pid < 0)
		return harness_say(report, -1, "fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		alarm(seconds);
		report->code = fn(arg, report);
		_exit(CHILD_RETURNED);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_RETURNED)
		return 0;
	explain(status, seconds, report);
	return -1;
}

int harness_reap(pid_t pid, int64_t ms, int *ret_status)
{
	int64_t deadline = harness_now() + ms * 1000000;

	for (;;) {
		pid_t r = waitpid(pid, ret_status, WNOHANG);

		if (r == pid)
			return 0;
		if (r < 0 && errno != EINTR)
			return -1;
		if (harness_now() >= deadline)
			return -1;
		harness_sleep_us(200);
	}
}

bool harness_in_futex(pid_t pid)
{
	char path[40];
	char line[64] = "";

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);

	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;

	ssize_t n = read(fd, line, sizeof(line) - 1);

	close(fd);
	if (n <= 0)
		return false;

	char *end;
	long nr = strtol(line, &end, 10); /* "running" while on a CPU */

	return end != line && (nr == SYS_futex || nr == 449 /* futex_waitv */);
}

bool harness_await_futex(pid_t pid, int64_t ms)
{
	int64_t deadline = harness_now() + ms * 1000000;

	while (!harness_in_futex(pid)) {
		if (harness_now() >= deadline)
			return false;
		harness_sleep_us(100);
	}
	return true;
}

void harness_pin(void)
{
	cpu_set_t allowed;
	cpu_set_t one;
	int pick;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return;
	pick = getpid() % CPU_COUNT(&allowed); /* programs that run side by side spread */
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || pick-- != 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

int64_t harness_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void harness_sleep_us(int64_t us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	nanosleep(&t, NULL);
}
