/* SPDX-License-Identifier: BSD-2-Clause */
/* mpi.c - Open MPI and MPICH, each by ranks that its mpirun starts: the sides' end of relay.h. */
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay.h"
#include "peers.h"
#include "threads.h"

enum { ARGS_MAX = 24, PATH_ROOM = 256 };

static struct threads threads;
static struct relay *relay;
static int relay_fd = -1;
static pid_t mpirun;

/* Its files are to lie there, so that they can be removed whatever becomes of it. */
static void folder_name(pid_t leader, char path[64])
{
	snprintf(path, 64, "/dev/shm/tarn-bench-mpi-%d", (int)leader);
}

static void relay_open(struct bench *b)
{
	char folder[64];

	folder_name(getpid(), folder);
	b->shm->keep[0] = (uint64_t)getpid();
	if (mkdir(folder, 0700) != 0)
		bench_fail(b, folder, errno);
	threads_look(b, &threads);
	relay_fd = memfd_create("tarn-bench-relay", MFD_CLOEXEC);
	if (relay_fd < 0 || ftruncate(relay_fd, sizeof(*relay)) != 0)
		bench_fail(b, "memfd_create", errno);
	relay = mmap(NULL, sizeof(*relay), PROT_READ | PROT_WRITE, MAP_SHARED, relay_fd, 0);
	if (relay == MAP_FAILED)
		bench_fail(b, "mmap", errno);
	relay->cell = *b->cell;
	relay->sides = b->sides;
	relay->yield = b->yield;
	relay->count = b->count;
	relay->warm = b->warm;
	relay->shm.tick_ns = b->shm->tick_ns;
	relay->shm.leader = getpid();
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	(void)remove(path);
	return 0;
}

static void relay_clean(struct bench *b)
{
	char folder[64];

	if (b->shm->keep[0] == 0)
		return;
	folder_name((pid_t)b->shm->keep[0], folder);
	(void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- starting, and ending -------------------------------------------------------------------- */

/* The program of the ranks, beside this one. */
static void rank_path(const char *name, char path[PATH_ROOM])
{
	char self[PATH_ROOM];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 32);
	char *slash;

	self[n < 0 ? 0 : n] = '\0';
	slash = strrchr(self, '/');
	snprintf(slash != NULL ? slash + 1 : self, 32, "%s", name);
	memcpy(path, self, sizeof(self));
}

static void start(struct bench *b, const char *const *command, const char *rank)
{
	char program[PATH_ROOM], name[64], folder[64], ranks[16], log[96];
	const char *args[ARGS_MAX];
	pid_t side = getpid();
	unsigned n = 0;

	rank_path(rank, program);
	folder_name(b->shm->leader, folder);
	snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)b->shm->leader, relay_fd);
	snprintf(ranks, sizeof(ranks), "%u", b->sides);
	snprintf(log, sizeof(log), "%s/log", folder);
	for (; command[n] != NULL; n++)
		args[n] = command[n];
	args[n++] = "-np";
	args[n++] = ranks;
	args[n++] = program;
	args[n++] = name;
	args[n] = NULL;
	mpirun = fork();
	if (mpirun != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* it ends its ranks first */
	if (getppid() != side || freopen("/dev/null", "r", stdin) == NULL ||
	    freopen(log, "w", stdout) == NULL || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
		_exit(1);
	setenv("TMPDIR", folder, 1);
	setenv("OMPI_MCA_orte_tmpdir_base", folder, 1);
	setenv("OMPI_MCA_btl_vader_backing_directory", folder, 1);
	setenv("OMPI_MCA_mpi_yield_when_idle", b->yield ? "1" : "0", 1);
	setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
	setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
	execv(args[0], (char *const *)(uintptr_t)args);
	_exit(127);
}

/* What a rank has found wrong, or else the first line that mpirun has printed. */
static void say_why(struct bench *b)
{
	char folder[64], log[96], line[160] = "";
	FILE *file;

	if (relay->shm.has_failed)
		bench_fail(b, relay->shm.why, 0);
	folder_name(b->shm->leader, folder);
	snprintf(log, sizeof(log), "%s/log", folder);
	file = fopen(log, "re");
	while (file != NULL && (line[0] == '\0' || line[0] == '-' || line[0] == '\n'))
		if (fgets(line, sizeof(line), file) == NULL)
			break;
	line[strcspn(line, "\n")] = '\0';
	bench_fail(b, line[0] != '\0' ? line : "mpirun has ended early", 0);
}

static void await(struct bench *b, uint32_t state)
{
	while (!relay_await(relay, state, 10000000)) {
		int status;

		if (waitpid(mpirun, &status, WNOHANG) == mpirun)
			say_why(b);
	}
}

/* Each side says where it is; side 0 starts the ranks and waits for all of them to be there. */
static void attach(struct bench *b, const char *const *command, const char *rank)
{
	threads_begin(b, &threads);
	relay->where[b->side] = threads.own;
	bench_meet(b);
	if (b->side == 0)
		start(b, command, rank);
	threads_end(b, &threads);
	if (b->side == 0)
		await(b, RELAY_READY);
}

static void relay_run(struct bench *b)
{
	const struct bench_shm *from = &relay->shm;

	if (b->side != 0)
		return;
	relay_advance(relay, RELAY_GO);
	await(b, RELAY_DONE);
	memcpy(b->shm->t_start, from->t_start, sizeof(from->t_start));
	memcpy(b->shm->t_end, from->t_end, sizeof(from->t_end));
	memcpy(b->shm->samples, from->samples, sizeof(from->samples));
	memcpy(b->shm->blocks, from->blocks, sizeof(from->blocks));
	b->shm->per_sample = from->per_sample;
	b->shm->sample_count = from->sample_count;
	b->shm->block_count = from->block_count;
}

static void relay_detach(struct bench *b)
{
	int status;

	if (b->side != 0)
		return;
	relay_advance(relay, RELAY_LEAVE);
	while (waitpid(mpirun, &status, 0) < 0)
		if (errno != EINTR)
			bench_fail(b, "waitpid", errno);
	if (status != 0)
		say_why(b);
}

/* --- the two of them ------------------------------------------------------------------------- */

static const char *missing(const char *run, const char *rank)
{
	char program[PATH_ROOM];

	if (run == NULL)
		return "it was built without its packages: dev/setup peers";
	rank_path(rank, program);
	if (access(run, X_OK) != 0 || access(program, X_OK) != 0)
		return "its mpirun, or the program of its ranks beside this one, is not there";
	return NULL;
}

#ifndef PEERS_OMPI_RUN
#define PEERS_OMPI_RUN NULL
#endif
#ifndef PEERS_MPICH_RUN
#define PEERS_MPICH_RUN NULL
#endif

static void ompi_attach(struct bench *b)
{
	static const char *const command[] = { PEERS_OMPI_RUN, "--bind-to", "none",
					       "--oversubscribe", NULL };

	attach(b, command, "bench-peer-ompi");
}

static void mpich_attach(struct bench *b)
{
	static const char *const command[] = { PEERS_MPICH_RUN, "-bind-to", "none", NULL };

	attach(b, command, "bench-peer-mpich");
}

static const char *ompi_missing(void)
{
	return missing(PEERS_OMPI_RUN, "bench-peer-ompi");
}

static const char *mpich_missing(void)
{
	return missing(PEERS_MPICH_RUN, "bench-peer-mpich");
}

#define OF_TWO (BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_ONE_WAY))

static const struct bench_variant ompi_variants[] = {
	{ BENCH_BUSY, OF_TWO | BENCH_BIT(BENCH_FAN_OUT), 0, PEERS_SIZE_MAX, relay_run },
	{ 0 },
};

/* With more ranks than processors it does not yield: a fan-out takes 0.2 ms a message. */
static const struct bench_variant mpich_variants[] = {
	{ BENCH_BUSY, OF_TWO, 0, PEERS_SIZE_MAX, relay_run },
	{ 0 },
};

const struct bench_contestant bench_ompi = {
	.name = "Open MPI",
	.group = BENCH_PEER,
	.what = "Open MPI, MPI_Send and MPI_Recv; MPI_Bcast in a fan-out",
	.variants = ompi_variants,
	.open = relay_open,
	.attach = ompi_attach,
	.detach = relay_detach,
	.clean = relay_clean,
	.missing = ompi_missing,
};

const struct bench_contestant bench_mpich = {
	.name = "MPICH",
	.group = BENCH_PEER,
	.what = "MPICH, MPI_Send and MPI_Recv",
	.variants = mpich_variants,
	.open = relay_open,
	.attach = mpich_attach,
	.detach = relay_detach,
	.clean = relay_clean,
	.missing = mpich_missing,
};
