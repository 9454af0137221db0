/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harness.h - what the proof programs (kill, fault, storm) share: a private host, a contained
 * run, and an exact account of what a process and the host hold.
 *
 * Nothing here knows what a region is. Everything that may crash or hang runs in a forked
 * child with an alarm, and reports through a page of shared memory.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* --- a private host ------------------------------------------------------------------------ */

/*
 * Give this process and its children an empty /dev/shm and an empty System V namespace of
 * their own, so that what is left behind is counted exactly and nobody else is disturbed.
 * False where the kernel does not allow it, or TARN_TEST_SHARED_HOST is set; then only names
 * with harness_prefix(), and segments and control files of harness_sysv_key(), count.
 */
bool harness_isolate(void);
bool harness_isolated(void);

/* What every name made by this run starts with; holds the process id. */
const char *harness_prefix(void);

/* Call @fn with every name in @dir that counts (all if isolated, else those of this run),
 * sorted, directories left out. */
int harness_names(const char *dir, void (*fn)(const char *name, void *arg), void *arg);

/* Identifiers of the System V segments that count; @key is the one that does when not
 * isolated. Segments already marked for removal are left out. Returns how many. */
int harness_sysv_ids(int32_t key, int *ret_ids, int max);

/* A System V key for number @n of this run. */
int32_t harness_sysv_key(uint32_t n);

/* Remove every name and segment that counts. */
void harness_sweep_away(const char *dir, int32_t key);

/* --- a contained run ----------------------------------------------------------------------- */

enum { HARNESS_TEXT = 480 };

/* What a child has to say; lies in memory shared with it. */
struct harness_report {
	int code;                /* what the closure returned */
	char text[HARNESS_TEXT]; /* why, if it said so */
};

typedef int harness_fn(void *arg, struct harness_report *report);

/* Memory that children share with this process; never fails to return. */
void *harness_shared(size_t size);

/*
 * Run @fn in a child for at most @seconds. Returns 0 with what it returned in @report->code,
 * or -1 if it crashed, hung, or ended on its own; @report->text then says which.
 * @report comes from harness_shared().
 */
int harness_run(harness_fn *fn, void *arg, unsigned seconds, struct harness_report *report);

/* Write the reason into @report and return @code. */
int harness_say(struct harness_report *report, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Wait for @pid, at most @ms; its status in @ret_status. 0, or -1 if it did not end. */
int harness_reap(pid_t pid, int64_t ms, int *ret_status);

/* Is process @pid asleep inside the kernel, waiting for a futex? */
bool harness_in_futex(pid_t pid);
/* Wait until it is, at most @ms. */
bool harness_await_futex(pid_t pid, int64_t ms);

/* Keep this process and its children to one CPU, so that switching between a tracer and the
 * process it traces needs no other CPU to be woken: twice as fast. */
void harness_pin(void);

int64_t harness_now(void); /* CLOCK_MONOTONIC, ns */
void harness_sleep_us(int64_t us);

/* --- what is held -------------------------------------------------------------------------- */

/* What this process and the host hold now. */
struct harness_holdings {
	int fd_count;
	int map_count;  /* mappings of shared memory: files, memfd, System V, shared anonymous */
	int name_count; /* in /dev/shm, that count */
	int sysv_count;
	uint64_t locked_kib; /* VmLck */
	char detail[1024];   /* the shared mappings and names, for the message */
};

/* Is this built with AddressSanitizer? It makes mlock() do nothing. */
bool harness_sanitized(void);

void harness_holdings(int32_t key, struct harness_holdings *ret);
/* Empty string if @after holds no more than @before, else what leaked. */
const char *harness_leaked(const struct harness_holdings *before,
			   const struct harness_holdings *after, char *buf, size_t size);

#endif /* TESTS_HARNESS_H */
