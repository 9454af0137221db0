/* SPDX-License-Identifier: BSD-2-Clause */
/* survivor.c - see survivor.h. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "plat/plat.h"
#include "survivor.h"
#include "sync/prim.h"

int survivor_say(struct harness_report *report, const char *what, int error,
		 const struct tarn_diag *diag)
{
	bool words = diag != NULL && diag->what[0] != '\0';

	return harness_say(report, KILL_VIOLATION, "%s: %s%s%s", what, strerror(-error),
			   words ? ": " : "", words ? diag->what : "");
}

static struct tarn_region_opts opts_of(const struct kill_world *world, struct tarn_diag *diag)
{
	struct tarn_region_opts opts = {
		.size = world->heap != 0 ? world->heap : SURVIVOR_HEAP,
		.max_size = world->max != 0 ? world->max : SURVIVOR_MAX,
		.member_max = SURVIVOR_MEMBERS,
		.object_max = SURVIVOR_OBJECTS,
		.diag = diag,
	};

	if (strncmp(world->addr, "sysv:", 5) == 0)
		opts.max_size = 0;
	diag->what[0] = '\0';
	return opts;
}

int survivor_create(struct kill_world *world, uint32_t flags, struct tarn_region **ret_region,
		    struct harness_report *report)
{
	struct tarn_diag diag;
	struct tarn_region_opts opts = opts_of(world, &diag);
	int r;

	opts.flags = flags;
	if ((flags & TARN_REGION_CREATE) != 0)
		r = tarn_region_open(world->addr, &opts, ret_region);
	else
		r = tarn_region_create(world->addr, &opts, ret_region);
	return r < 0 ? survivor_say(report, "create", r, &diag) : 0;
}

int survivor_open(struct kill_world *world, struct tarn_region **ret_region,
		  struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_region_opts opts = { .diag = &diag };
	int r = tarn_region_open(world->addr, &opts, ret_region);

	if (r == 0 || r == -ENOENT)
		return r;
	return survivor_say(report, "open", r, &diag);
}

/* --- object "keep" ------------------------------------------------------------------------- */

int survivor_keep(struct tarn_region *region, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	void *data;
	int r = tarn_object_create(region, "keep", SURVIVOR_KEEP, &data, &diag);

	if (r < 0)
		return survivor_say(report, "keep", r, &diag);
	memset(data, 0x5a, SURVIVOR_KEEP);
	tarn_object_close(region, data);
	return 0;
}

int survivor_kept(struct tarn_region *region, struct harness_report *report)
{
	const unsigned char *bytes;
	uint64_t size;
	void *data;
	int r = tarn_object_open(region, "keep", &data, &size);

	if (r < 0 || size != SURVIVOR_KEEP)
		return survivor_say(report, "object keep", r, NULL);
	bytes = data;
	for (uint64_t i = 0; i < size; i++)
		if (bytes[i] != 0x5a)
			return harness_say(report, KILL_VIOLATION, "object keep was written to");
	tarn_object_close(region, data);
	return 0;
}

/* --- the whole region ---------------------------------------------------------------------- */

static void take_finding(const struct tarn_finding *finding, void *arg)
{
	harness_say(arg, KILL_VIOLATION, "check: %s: %s %s, found %llu, expected %llu",
		    finding->where, finding->field, finding->rule,
		    (unsigned long long)finding->found, (unsigned long long)finding->expected);
}

int survivor_check(struct tarn_region *region, struct harness_report *report)
{
	return tarn_region_check(region, take_finding, report) < 0 ? KILL_VIOLATION : 0;
}

/* Every member slot but ours can be taken, and no more than there are. */
static int slots_free(struct kill_world *world, struct harness_report *report)
{
	struct tarn_region *others[SURVIVOR_MEMBERS];
	int taken = 0;
	int r = 0;

	while (r == 0 && taken < SURVIVOR_MEMBERS) {
		r = tarn_region_open(world->addr, NULL, &others[taken]);
		taken += r == 0;
	}
	for (int i = 0; i < taken; i++)
		tarn_region_close(others[i]);
	if (taken != SURVIVOR_MEMBERS - 1 || r != -EUSERS)
		return harness_say(report, KILL_VIOLATION, "%d free slots of %d (%s)", taken,
				   SURVIVOR_MEMBERS - 1, strerror(-r));
	return 0;
}

/* Every free entry can be taken. */
static int entries_free(struct tarn_region *region, uint32_t objects, struct harness_report *report)
{
	void *data[SURVIVOR_OBJECTS];
	char name[16];
	uint32_t made = 0;
	int r = 0;

	while (r == 0 && made < SURVIVOR_OBJECTS) {
		snprintf(name, sizeof(name), "fill-%u", made);
		r = tarn_object_create(region, name, 1, &data[made], NULL);
		made += r == 0;
	}
	for (uint32_t i = 0; i < made; i++) {
		snprintf(name, sizeof(name), "fill-%u", i);
		tarn_object_close(region, data[i]);
		if (tarn_object_remove(region, name) < 0)
			return harness_say(report, KILL_VIOLATION, "%s cannot be removed", name);
	}
	if (made + objects != SURVIVOR_OBJECTS)
		return harness_say(report, KILL_VIOLATION, "%u free entries of %u (%s)", made,
				   SURVIVOR_OBJECTS - objects, strerror(-r));
	return 0;
}

/* All memory that no object owns can be had, in pieces of 64 bytes, and is zero. */
static int bytes_free(struct tarn_region *region, struct harness_report *report)
{
	struct tarn_region_stat st;
	uint64_t left, piece;
	int count = 0;

	if (tarn_region_gc(region, NULL) < 0 || tarn_region_stat(region, &st) < 0)
		return harness_say(report, KILL_VIOLATION, "stat");
	left = st.size - st.used;
	piece = left & ~(uint64_t)63;
	while (piece >= 64 && count < 16) {
		char name[16];
		unsigned char *p;
		void *data;

		snprintf(name, sizeof(name), "big-%d", count);
		if (tarn_object_create(region, name, piece, &data, NULL) < 0) {
			piece = piece / 2 & ~(uint64_t)63;
			continue;
		}
		p = data;
		for (uint64_t i = 0; i < piece; i++)
			if (p[i] != 0)
				return harness_say(report, KILL_VIOLATION, "new memory not zero");
		memset(data, 0xff, piece);
		tarn_object_close(region, data);
		left -= piece;
		count++;
		piece = piece < (left & ~(uint64_t)63) ? piece : left & ~(uint64_t)63;
	}
	for (int i = 0; i < count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "big-%d", i);
		if (tarn_object_remove(region, name) < 0)
			return harness_say(report, KILL_VIOLATION, "%s cannot be removed", name);
	}
	/* each object may waste what rounds it up to 64 */
	if (left >= 64 * (st.object_count + 1))
		return harness_say(report, KILL_VIOLATION, "%llu bytes cannot be had",
				   (unsigned long long)left);
	return 0;
}

int survivor_whole(struct kill_world *world, struct tarn_region *region, uint32_t objects,
		   struct harness_report *report)
{
	struct tarn_region_stat st;
	int r = survivor_check(region, report);

	if (r < 0)
		return r;
	r = tarn_region_gc(region, NULL);
	if (r == 0)
		r = tarn_region_stat(region, &st);
	if (r < 0)
		return survivor_say(report, "gc", r, NULL);
	/* what the dead one's death ends may be just ending */
	for (int i = 0; r == 0 && st.member_count > 1 && i < 500; i++) {
		harness_sleep_us(10000);
		r = tarn_region_stat(region, &st);
	}
	if (r < 0 || st.member_count != 1 || st.object_count != objects)
		return harness_say(report, KILL_VIOLATION,
				   "%u members and %u objects, not 1 and %u", st.member_count,
				   st.object_count, objects);
	r = slots_free(world, report);
	if (r == 0)
		r = entries_free(region, objects, report);
	if (r == 0)
		r = bytes_free(region, report);
	return r == 0 ? survivor_check(region, report) : r;
}

/* --- the end ------------------------------------------------------------------------------- */

static void list_name(const char *name, void *arg)
{
	char *text = arg;
	size_t used = strlen(text);

	snprintf(text + used, 200 - used, " %s", name);
}

int survivor_nothing_left(struct kill_world *world, struct harness_report *report)
{
	char names[200] = "";
	int ids[8];
	int count;

	harness_names(world->dir, list_name, names);
	count = harness_sysv_ids(world->key, ids, 8);
	if (names[0] != '\0' || count != 0)
		return harness_say(report, KILL_VIOLATION, "left behind:%s, %d segments", names,
				   count);
	return 0;
}

int survivor_restart(struct kill_world *world, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_region_opts opts = { .diag = &diag };
	struct tarn_region *region;
	int r = tarn_region_remove(world->addr, &opts);

	if (r < 0 && r != -ENOENT)
		return survivor_say(report, "remove", r, &diag);
	if (survivor_create(world, 0, &region, report) < 0)
		return KILL_VIOLATION;
	if (survivor_whole(world, region, 0, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	r = tarn_region_remove(world->addr, &opts);
	if (r < 0)
		return survivor_say(report, "remove", r, &diag);
	return survivor_nothing_left(world, report);
}

/* --- worlds and recoverers ----------------------------------------------------------------- */

void survivor_world_named(struct kill_world *world, const char *name)
{
	kill_world_init(world, "/dev/shm", 2);
	if (strstr(name, "sysv") != NULL)
		snprintf(world->addr, sizeof(world->addr), "sysv:0x%x", (unsigned)world->key);
	else if (strstr(name, "file") != NULL)
		snprintf(world->addr, sizeof(world->addr), "file:/dev/shm/%sfile",
			 harness_prefix());
	else
		snprintf(world->addr, sizeof(world->addr), "%sposix", harness_prefix());
}

void survivor_world(struct kill_world *world, const struct kill_op *op)
{
	survivor_world_named(world, op->name);
}

int survivor_recover(struct kill_world *world, struct harness_report *report)
{
	struct tarn_region *region;

	(void)report;
	if (tarn_region_open(world->addr, NULL, &region) < 0)
		return 0; /* the third process says whether that is right */
	(void)!tarn_region_gc(region, NULL);
	tarn_region_close(region);
	return 0;
}

int survivor_recover_create(struct kill_world *world, struct harness_report *report)
{
	struct tarn_region *region;

	if (survivor_create(world, TARN_REGION_CREATE, &region, report) < 0)
		return 0;
	tarn_region_close(region);
	return 0;
}

/* --- who has what is waited for ------------------------------------------------------------- */

static void hold(struct kill_world *world, struct survivor_holder *holder, kill_fn *acquire,
		 kill_fn *release, struct harness_report *report)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (acquire(world, report) != 0)
		_exit(1);
	atomic_store(&holder->held, 1);
	while (atomic_load(&holder->go) == 0)
		(void)tarn__plat_futex_wait(&holder->go, 0, TARN_FOREVER);
	if (release(world, report) != 0)
		_exit(1);
	atomic_store(&holder->held, 0);
	for (;;) /* its end wakes a sleeper, too, and only the release is to */
		pause();
}

int survivor_beside(struct kill_world *world, struct survivor_holder *holder, kill_fn *acquire,
		    kill_fn *release, struct harness_report *report)
{
	pid_t pid;

	atomic_store(&holder->held, 0);
	atomic_store(&holder->go, 0);
	atomic_store(&holder->sleeper, (int32_t)getpid());
	tarn__section_net_ns = INT64_C(5000000000);
	pid = fork();
	if (pid == 0)
		hold(world, holder, acquire, release, report);
	atomic_store(&holder->pid, (int32_t)pid);
	for (int i = 0; i < 20000 && atomic_load(&holder->held) == 0; i++)
		harness_sleep_us(200);
	return atomic_load(&holder->held) != 0
		       ? 0
		       : harness_say(report, KILL_VIOLATION, "another could not have it first");
}

/* As ps says; 'Z' if it is gone. */
static char state_of(int pid)
{
	char path[40], state = 'R';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 'Z';
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'R';
	fclose(f);
	return state;
}

/* It is made ready to run before the wake returns, whenever it runs then; or never. */
int survivor_woken(int32_t sleeper, struct harness_report *report)
{
	for (int i = 0; i < 10; i++) {
		if (state_of(sleeper) != 'S')
			return 0;
		harness_sleep_us(100);
	}
	return harness_say(report, KILL_VIOLATION, "what it waits for is there, and it sleeps on");
}

int survivor_let_go(struct survivor_holder *holder, struct harness_report *report)
{
	atomic_store(&holder->go, 1);
	(void)tarn__plat_futex_wake(&holder->go, 1);
	for (int i = 0; i < 20000 && atomic_load(&holder->held) != 0; i++)
		harness_sleep_us(100);
	if (atomic_load(&holder->held) != 0)
		return harness_say(report, KILL_VIOLATION, "it cannot be let go of");
	return survivor_woken(atomic_load(&holder->sleeper), report);
}

void survivor_await_end(struct survivor_holder *holder)
{
	int pid = atomic_exchange(&holder->pid, 0);

	for (int i = 0; i < 20000 && pid > 0 && state_of(pid) != 'Z'; i++)
		harness_sleep_us(200);
}
