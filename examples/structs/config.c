/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config - a configuration that many read all the time and one changes now and then.
 *
 *     config [CHANGES]        500 if not said, while four processes read and one of them is killed
 *
 * prints, with other numbers:
 *
 *     500 changes, 1034718 reads, all whole; 1 of 4 readers killed
 *
 * Readers do not enter the section, take no lock and write nothing: they copy, and look whether the
 * version is the same as before; else they copy again. So a reader costs the others nothing, and
 * one that is killed leaves no read lock behind, for which a pthread_rwlock_t would make the
 * writer wait for ever. A writer that is killed is undone (../counting/section.c).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { READERS = 4 };

#define CONFIG(ROW)                                                                                \
	ROW(VALUE, uint64_t, revision, "", "changes so far")                                       \
	ROW(VALUE, uint64_t, timeout, "ms", "twice the revision, here")                            \
	ROW(VALUE, uint64_t, limit, "", "three times the revision, here")
TARN_TYPE(config, 1, CONFIG);

/* Read until all is changed. @reads: this reader's own, which no other one writes. */
static int read_on(struct tarn_section *section, const struct config *config, uint64_t last,
		   uint64_t *reads)
{
	struct config c = { 0 };

	while (c.revision < last) {
		if (tarn_section_read(section, &c, config, sizeof(c), TARN_FOREVER) < 0 ||
		    c.timeout != 2 * c.revision || c.limit != 3 * c.revision)
			return 1;
		++*reads;
	}
	return 0;
}

static int change(struct tarn_section *section, struct config *config)
{
	struct tarn_tx *tx;

	if (tarn_section_enter(section, TARN_FOREVER, &tx, NULL) < 0)
		return -1;
	uint64_t revision = config->revision + 1;

	TARN_SET(tx, &config->revision, revision);
	TARN_SET(tx, &config->timeout, 2 * revision);
	TARN_SET(tx, &config->limit, 3 * revision);
	return tarn_section_leave(section);
}

int main(int argc, char **argv)
{
	uint64_t changes = argc > 1 ? strtoull(argv[1], NULL, 10) : 500, total = 0;
	const struct tarn_struct_opts opts = { .section = TARN_SECTION_REGION };
	struct tarn_region *region;
	struct tarn_section *section;
	void *config, *reads;
	int status, killed = 0, failed = 0;
	pid_t pids[READERS];

	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_section_open(region, NULL, &(struct tarn_section_opts){ 0 }, &section) < 0 ||
	    tarn_struct_open(region, "config", config_type(), &opts, &config) < 0 ||
	    tarn_object_create(region, "reads", READERS * sizeof(uint64_t), &reads, NULL) < 0)
		return 1;
	for (int i = 0; i < READERS; i++)
		if ((pids[i] = fork()) == 0)
			return read_on(section, config, changes, (uint64_t *)reads + i);
	for (uint64_t n = 0; n < changes && !failed; n++) {
		if (n == changes / 2 && pids[0] > 0)
			kill(pids[0], SIGKILL);
		failed = change(section, config) < 0;
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	for (int i = 0; i < READERS && failed; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	while (wait(&status) > 0) {
		killed += WIFSIGNALED(status);
		failed |= WIFEXITED(status) && WEXITSTATUS(status) != 0;
	}
	for (int i = 0; i < READERS; i++)
		total += ((uint64_t *)reads)[i];
	printf("%d changes, %d reads, %s; %d of %d readers killed\n", (int)changes, (int)total,
	       failed ? "not all whole" : "all whole", killed, READERS);
	return failed || killed != 1;
}
