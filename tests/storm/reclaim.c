/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reclaim.c - openers and attachers against removers, at full speed, on the same few names.
 *
 * usage: storm-reclaim [--seconds=N] [--mutant=plain]
 *
 * OPENERS processes open what is there or make it, hold it for a moment, write into it and look
 * whether it is still theirs; SWEEPERS take pictures and reclaim all that seems idle or orphaned.
 * The books:
 *
 *   1  what one has open or attached keeps its bytes
 *   2  a file that one has open has its name: a second open by it finds the same file. A segment
 *      that one has attached has its key. Unless the remover of just this one was told (result 1)
 *   3  nothing is left under a passing name
 *
 * The mutant removes files as rm(1) does, when the picture shows nobody who has them open. It has
 * to break book 2. Exit status 0 without violations; with the mutant, if there are some.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/host.h>
#include <tarn/region.h>

#include "harness.h"

enum { OPENERS = 4, SWEEPERS = 2, NAMES = 2, SIZE = 4096, TOLD_MAX = 4096, TELL_MS = 3000 };

struct ledger {
	_Atomic int stop;
	_Atomic uint64_t opened, attached, made;      /* by openers */
	_Atomic uint64_t removed, spared, told_count; /* by sweepers */
	_Atomic uint64_t violations;
	_Atomic uint64_t told[TOLD_MAX]; /* inodes, and identifiers with the highest bit set */
};
static struct ledger *ledger;
static bool plain;

static void violation(const char *what, int name, uint64_t thing)
{
	if (atomic_fetch_add(&ledger->violations, 1) < 5 && !plain)
		printf("# violation: name %d, %llu: %s\n", name, (unsigned long long)thing, what);
}

static void tell(uint64_t thing)
{
	ledger->told[ledger->told_count++ % TOLD_MAX] = thing;
}

/* Was the remover told that @thing lost its name with somebody in it? It says so once back. */
static bool was_told(uint64_t thing)
{
	int64_t until = harness_now() + (plain ? 0 : TELL_MS * INT64_C(1000000));

	do {
		for (int i = 0; i < TOLD_MAX; i++)
			if (ledger->told[i] == thing)
				return true;
		harness_sleep_us(200);
	} while (harness_now() < until);
	return false;
}

static const char *path_of(int n)
{
	static char path[100];

	snprintf(path, sizeof(path), "/dev/shm/%sstorm%d", harness_prefix(), n);
	return path;
}

/* --- openers --------------------------------------------------------------------------------- */

static bool stamp(_Atomic uint64_t *slot, uint64_t value)
{
	*slot = value;
	harness_sleep_us((int64_t)(value % 3) * 20);
	return *slot == value;
}

static void use_file(int self, int n, uint64_t round)
{
	struct stat mine, named;
	uint64_t value = round << 8 | (uint64_t)self, back = 0;
	int fd = open(path_of(n), O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		fd = open(path_of(n), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		ledger->made += fd >= 0;
	}
	if (fd < 0)
		return;
	ledger->opened++;
	if (fstat(fd, &mine) < 0 || pwrite(fd, &value, 8, self * 8) != 8)
		violation("it cannot be used", n, 0);
	for (int look = 0; look < 2; look++) {
		bool same = stat(path_of(n), &named) == 0 && named.st_ino == mine.st_ino;

		if (!same && !was_told(mine.st_ino)) {
			violation("its opener has it without a name", n, mine.st_ino);
			break;
		}
		harness_sleep_us((int64_t)(round % 4) * 10);
	}
	if (pread(fd, &back, 8, self * 8) != 8 || back != value)
		violation("its bytes are lost", n, mine.st_ino);
	close(fd);
}

/* By a process that ends, so that it may become an orphan. */
static void make_segment(int n)
{
	pid_t pid = fork();

	if (pid == 0) {
		int id = shmget(harness_sysv_key((uint32_t)n), SIZE, IPC_CREAT | IPC_EXCL | 0600);

		_exit(id < 0 || shmat(id, NULL, 0) == (void *)-1);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
	ledger->made++;
}

static void use_segment(int self, int n, uint64_t round)
{
	int id = shmget(harness_sysv_key((uint32_t)n), 0, 0);
	uint64_t value = round << 8 | (uint64_t)self;
	_Atomic uint64_t *at;
	struct shmid_ds ds;

	if (id < 0) {
		make_segment(n);
		return;
	}
	at = shmat(id, NULL, 0);
	if (at == (void *)-1)
		return; /* removed in between */
	ledger->attached++;
	if (!stamp(at + self, value))
		violation("its bytes are lost", n, (uint64_t)id);
	if (shmctl(id, IPC_STAT, &ds) < 0)
		violation("it is gone under its attacher", n, (uint64_t)id);
	else if ((ds.shm_perm.mode & SHM_DEST) != 0 && !was_told((uint64_t)id | UINT64_C(1) << 63))
		violation("its key was taken away", n, (uint64_t)id);
	if (at[self] != value)
		violation("its bytes are lost", n, (uint64_t)id);
	shmdt(at);
}

static void opener(int self)
{
	for (uint64_t round = 1; !ledger->stop; round++) {
		int n = (int)((round * 2654435761u + (unsigned)self) >> 7) % NAMES;

		if (round % 16 == 0)
			use_segment(self, n, round);
		else
			use_file(self, n, round);
		if (round % 5 == 0)
			harness_sleep_us(100 + 50 * self); /* let it be idle at times */
	}
}

/* --- sweepers -------------------------------------------------------------------------------- */

/* What rm would do. */
static int unlink_plainly(const struct tarn_host_segment *segment)
{
	struct stat st;
	int n = segment->addr[strlen(segment->addr) - 1] - '0';

	if (segment->process_count != 0 || stat(path_of(n), &st) < 0 || st.st_ino != segment->inode)
		return -EBUSY;
	return unlink(path_of(n)) < 0 ? -errno : 0;
}

static int sweep_one(const struct tarn_host_segment *segment, void *arg)
{
	struct tarn_diag diag = { .what = "" };
	bool file = segment->kind == TARN_SEGMENT_POSIX;
	int r;

	if (segment->removed || segment->elsewhere ||
	    (file ? strstr(segment->addr, "storm") == NULL : segment->kind != TARN_SEGMENT_SYSV))
		return 0;
	r = plain && file ? unlink_plainly(segment) : tarn_host_reclaim(arg, segment, 1, 0, &diag);
	if (r == 1)
		tell(file ? segment->inode : (uint64_t)segment->id | UINT64_C(1) << 63);
	else if (r == 0)
		ledger->removed++;
	else if (r == -EBUSY || r == -ESTALE || r == -ENOENT || r == -EACCES)
		ledger->spared++;
	else
		violation(diag.what, -1, segment->inode);
	return 0;
}

static void sweeper(void)
{
	while (!ledger->stop) {
		struct tarn_host *host;

		if (tarn_host_scan(NULL, &host) < 0) {
			violation("no picture", -1, 0);
			continue;
		}
		(void)tarn_host_segments(host, sweep_one, host);
		tarn_host_free(host);
	}
}

/* --- main ------------------------------------------------------------------------------------ */

static void passing(const char *name, void *arg)
{
	(void)arg;
	if (strncmp(name, ".tarn-gc.", 9) == 0)
		violation(name, -1, 0);
}

static void run(int64_t seconds)
{
	pid_t pids[OPENERS + SWEEPERS];
	int status;

	fflush(stdout);
	for (int i = 0; i < OPENERS + SWEEPERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (i < OPENERS)
				opener(i);
			else
				sweeper();
			fflush(stdout);
			_exit(0);
		}
	}
	harness_sleep_us(seconds * 1000000);
	ledger->stop = 1;
	for (int i = 0; i < OPENERS + SWEEPERS; i++)
		if (harness_reap(pids[i], 20000, &status) < 0 || status != 0) {
			violation("a process hangs or crashed", i, (uint64_t)status);
			kill(pids[i], SIGKILL);
		}
	harness_names("/dev/shm", passing, NULL);
}

int main(int argc, char **argv)
{
	int64_t seconds = 5;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--seconds=", 10) == 0)
			seconds = strtol(argv[i] + 10, NULL, 10);
		else if (strcmp(argv[i], "--mutant=plain") == 0)
			plain = true;
		else
			return 2;
	}
	if (!harness_isolate())
		printf("# no private /dev/shm here: only names of this run count\n");
	ledger = harness_shared(sizeof(*ledger));
	run(seconds);
	printf("storm-reclaim: %llu opened, %llu attached, %llu made, %llu removed, %llu spared, "
	       "%llu told, %llu violations\n",
	       (unsigned long long)ledger->opened, (unsigned long long)ledger->attached,
	       (unsigned long long)ledger->made, (unsigned long long)ledger->removed,
	       (unsigned long long)ledger->spared, (unsigned long long)ledger->told_count,
	       (unsigned long long)ledger->violations);
	for (uint32_t n = 0; n < NAMES; n++)
		harness_sweep_away("/dev/shm", harness_sysv_key(n));
	if (plain)
		return ledger->violations == 0;
	return ledger->violations != 0 || ledger->removed == 0 || ledger->spared == 0;
}
