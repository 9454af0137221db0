/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn locks [REGION...] - who has which section or lock, since when, and who waits for whom.
 *
 * Whatever tarn_lock_stat() speaks of is shown: a new kind of lock needs nothing here. Threads are
 * told apart by process and thread id; so over regions a circle of waits can be followed.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <tarn/lock.h>
#include <tarn/section.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "out.h"
#include "scan.h"

enum { WHO_MAX = 256, LOCKS_MAX = 4096, MEMBERS_MAX = 1024, LOOKS = 20, NAP_MORE_NS = 100000 };

static const struct cli_opt locks_opts[] = {
	{ 'a', "all", NULL, "also those that nobody has and nobody waits for" },
	{ 0, "held-over", "DURATION",
	  "only what one owner has had for longer, as 5, 1.5s or 2m; exit 1 if there is any" },
	{ 0 },
};

static const struct out_col locks_cols[] = {
	{ "name", "NAME", OUT_TEXT, "REGION/OBJECT", false },
	{ "kind", "KIND", OUT_TEXT, "what it is: section, mutex, sem ...", false },
	{ "state", "STATE", OUT_TEXT,
	  "free, held, dead (its owner is; the next one undoes what that one changed, or is told), "
	  "inconsistent (an owner died, and nobody has said since that what it guards is "
	  "consistent), set aside, or damaged",
	  false },
	{ "pid", "PID", OUT_SIGNED, "process of its first holder, in its own PID namespace",
	  false },
	{ "tid", "TID", OUT_SIGNED, "its thread; null where it is not known: of a spin lock",
	  false },
	{ "command", "COMMAND", OUT_TEXT, "the name of its program", false },
	{ "held_ns", "HELD", OUT_AGE,
	  "for how long at least; null where nobody has waited, so that nobody wrote it down, and "
	  "it was not looked at twice either",
	  false },
	{ "waiters", "WAITERS", OUT_COUNT,
	  "living threads that wait, of those that there was room to write down", false },
	{ "more_waiters", NULL, OUT_BOOL,
	  "all 8 places to write that down are taken: others may wait, too", false },
	{ "deadlock", "DEADLOCK", OUT_COUNT, "number of the circle of waits that it is part of",
	  OUT_IF_ROOM },
	{ "threads", NULL, OUT_LIST, "who has it, and who waits", false },
	{ "free_permits", NULL, OUT_COUNT, "of a semaphore", false },
	{ "recovered", NULL, OUT_COUNT, "deaths of owners that were noticed", false },
	{ 0 },
};
static const struct out_list locks_list = { "items", locks_cols };

static const struct out_col thread_cols[] = {
	{ "role", NULL, OUT_TEXT, "holds, shares, waits or sits", false },
	{ "pid", NULL, OUT_SIGNED, "its process, in its own PID namespace", false },
	{ "tid", NULL, OUT_SIGNED, "its thread id; null where it is not known", false },
	{ "command", NULL, OUT_TEXT, "the name of its program", false },
	{ "alive", NULL, OUT_BOOL, "by the kernel's lock", false },
	{ 0 },
};
static const struct out_list thread_list = { "threads", thread_cols };
static const struct out_list *const locks_lists[] = { &locks_list, &thread_list, NULL };

/* One lock as it was found. */
struct lock {
	char name[4300];
	const char *kind;
	struct tarn_lock_stat stat;
	int64_t held_ns;        /* at least; -1: not known */
	int64_t seen_ns;        /* when it was looked at */
	int64_t since[WHO_MAX]; /* who was met at each look since */
	uint32_t who_count;
	struct tarn_lock_who *who;
	char (*comms)[16];
	int circle; /* 0 = in none */
	bool known; /* to be shown */
};

struct locks {
	struct cli *cli;
	struct out out;
	struct tarn_region_opts opts;
	bool all;
	int64_t over_ns; /* -1: not asked */
	struct lock *locks;
	int count, circles;
	int worst;
	/* of the region at hand */
	struct look_name name;
	struct tarn_region *region;
	char (*comms)[16]; /* by slot */
};

/* --- collect ------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
	return tarn_now();
}

static bool is_there(const struct lock *lock, uint32_t role)
{
	for (uint32_t i = 0; i < lock->who_count; i++)
		if (lock->who[i].role == role)
			return true;
	return false;
}

static bool is_held(const struct lock *lock)
{
	return is_there(lock, TARN_LOCK_HOLDS) || is_there(lock, TARN_LOCK_SHARES);
}

static const struct tarn_lock_who *first_holder(const struct lock *lock)
{
	for (uint32_t i = 0; i < lock->who_count; i++)
		if (lock->who[i].role == TARN_LOCK_HOLDS || lock->who[i].role == TARN_LOCK_SHARES)
			return &lock->who[i];
	return NULL;
}

static int remember_comm(const struct tarn_member_stat *stat, void *arg)
{
	struct locks *locks = arg;

	if (stat->slot < MEMBERS_MAX)
		memcpy(locks->comms[stat->slot], stat->comm, sizeof(stat->comm));
	return 0;
}

static int take_lock(struct locks *locks, const struct tarn_object_stat *object, struct lock *lock)
{
	int r;

	*lock = (struct lock){ .kind = look_kind(object->kind), .held_ns = -1 };
	snprintf(lock->name, sizeof(lock->name), "%s/%s", locks->name.region, object->name);
	lock->who = calloc(WHO_MAX, sizeof(*lock->who));
	lock->comms = calloc(WHO_MAX, sizeof(*lock->comms));
	if (lock->who == NULL || lock->comms == NULL)
		return -ENOMEM;
	lock->seen_ns = now_ns();
	r = tarn_lock_stat(locks->region, object->name, &lock->stat, lock->who, WHO_MAX);
	if (r < 0)
		return r;

	int64_t after = now_ns();

	for (int i = 0; i < WHO_MAX; i++)
		lock->since[i] = after;
	lock->who_count = lock->stat.who_count < WHO_MAX ? lock->stat.who_count : WHO_MAX;
	for (uint32_t i = 0; i < lock->who_count; i++)
		if (lock->who[i].slot < MEMBERS_MAX)
			memcpy(lock->comms[i], locks->comms[lock->who[i].slot],
			       sizeof(lock->comms[i]));
	if (lock->stat.since_ns != 0 && is_held(lock))
		lock->held_ns = now_ns() - lock->stat.since_ns;
	return 0;
}

static void drop_lock(struct lock *lock)
{
	free(lock->who);
	free(lock->comms);
	*lock = (struct lock){ .kind = "" };
}

static int each_object(const struct tarn_object_stat *object, void *arg)
{
	struct locks *locks = arg;
	struct lock *lock = &locks->locks[locks->count];
	int r;

	if (object->removed || locks->count == LOCKS_MAX ||
	    (locks->name.object != NULL && strcmp(object->name, locks->name.object) != 0))
		return 0;
	r = take_lock(locks, object, lock);
	if (r == 0) {
		locks->count++;
		return 0;
	}
	if (r == -EPROTO && locks->name.object != NULL) {
		cli_error(locks->cli, "%s: it is of kind %s, and no lock", lock->name, lock->kind);
		locks->worst = cli_worse(locks->worst, CLI_FAILURE);
	} else if (r != -EPROTO && r != -ENOENT) {
		locks->worst = cli_worse(locks->worst, cli_fail(locks->cli, lock->name, r));
	}
	drop_lock(lock);
	return r == -ENOMEM ? r : 0;
}

static int look_in(struct locks *locks, const char *text)
{
	int before = locks->count, worst = locks->worst;
	int r;

	if (!look_name(text, &locks->name))
		return cli_fail(locks->cli, text, -ENAMETOOLONG);
	r = tarn_region_open(locks->name.region, &locks->opts, &locks->region);
	if (r < 0) {
		if (r == -EACCES || r == -EPERM)
			out_unreadable(&locks->out);
		return look_fail(locks->cli, locks->name.region, r);
	}
	memset(locks->comms, 0, MEMBERS_MAX * sizeof(*locks->comms));
	r = tarn_region_members(locks->region, remember_comm, locks);
	if (r == 0)
		r = tarn_region_objects(locks->region, each_object, locks);
	tarn_region_close(locks->region);
	if (r == 0 && locks->name.object != NULL && locks->count == before && locks->worst == worst)
		r = -ENOENT;
	return r < 0 ? cli_fail(locks->cli, text, r) : CLI_OK;
}

/* One that vanished since it was found is no failure; nor is one that may not be read, which is
 * counted. */
static int each_region(const char *addr, void *arg)
{
	struct locks *locks = arg;
	int r;

	if (!look_name(addr, &locks->name))
		return 0;
	r = tarn_region_open(locks->name.region, &locks->opts, &locks->region);
	locks->cli->diag = (struct tarn_diag){ 0 };
	if (r == -EACCES || r == -EPERM)
		out_unreadable(&locks->out);
	if (r < 0)
		return 0;
	memset(locks->comms, 0, MEMBERS_MAX * sizeof(*locks->comms));
	if (tarn_region_members(locks->region, remember_comm, locks) == 0)
		(void)!tarn_region_objects(locks->region, each_object, locks);
	tarn_region_close(locks->region);
	return 0;
}

static int collect(struct locks *locks)
{
	struct cli *cli = locks->cli;
	uint64_t unreadable = 0;
	int code = CLI_OK;

	for (int i = 0; i < cli->argc; i++)
		code = cli_worse(code, look_in(locks, cli->argv[i]));
	if (cli->argc == 0)
		(void)scan_regions(each_region, locks, &unreadable);
	if (unreadable != 0)
		out_partial(&locks->out, unreadable, NULL);
	return cli_worse(code, locks->worst);
}

/* --- circles ------------------------------------------------------------------------------- */

/* Which of a process's threads has a spin lock is not known, but where there is only one. */
static bool has_one_thread(int32_t pid)
{
	char path[40];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return stat(path, &st) == 0 && st.st_nlink == 3;
}

static bool same(const struct tarn_lock_who *a, const struct tarn_lock_who *b)
{
	if (a->pid != b->pid || b->tid == 0)
		return false;
	return a->tid == b->tid || (a->tid == 0 && has_one_thread(a->pid));
}

/* Whoever has one of several permits may give it back: that somebody waits for another is no
 * circle yet. So a semaphore counts where one thread has all that is taken of it. */
static bool has_one_holder(const struct lock *lock)
{
	const struct tarn_lock_who *first = first_holder(lock);

	for (uint32_t i = 0; i < lock->who_count; i++)
		if (lock->who[i].role == TARN_LOCK_HOLDS && !same(first, &lock->who[i]))
			return false;
	return true;
}

/* Is @to reached from a holder of @at, each waiting for the next lock? @seen: locks on the way. */
static bool leads_to(struct locks *locks, int at, int to, char *seen)
{
	const struct lock *lock = &locks->locks[at];

	if (lock->stat.kind == TARN_OBJECT_SEM && !has_one_holder(lock))
		return false;
	for (uint32_t h = 0; h < lock->who_count; h++) {
		const struct tarn_lock_who *holder = &lock->who[h];

		if (!holder->alive ||
		    (holder->role != TARN_LOCK_HOLDS && holder->role != TARN_LOCK_SHARES))
			continue;
		for (int next = 0; next < locks->count; next++) {
			struct lock *other = &locks->locks[next];

			for (uint32_t w = 0; w < other->who_count; w++) {
				if (other->who[w].role != TARN_LOCK_WAITS ||
				    !same(holder, &other->who[w]))
					continue;
				if (next == to)
					return true;
				if (seen[next])
					continue;
				seen[next] = 1;
				if (leads_to(locks, next, to, seen))
					return true;
			}
		}
	}
	return false;
}

/* Locks that lead to themselves and to each other are one circle. */
static int find_circles(struct locks *locks)
{
	char *seen = calloc((size_t)locks->count + 1, 1);

	if (seen == NULL)
		return cli_error(locks->cli, "out of memory");
	for (int i = 0; i < locks->count; i++) {
		memset(seen, 0, (size_t)locks->count);
		if (locks->locks[i].circle != 0 || !leads_to(locks, i, i, seen))
			continue;
		locks->locks[i].circle = ++locks->circles;
		for (int other = i + 1; other < locks->count; other++) {
			if (!seen[other])
				continue;
			memset(seen, 0, (size_t)locks->count);
			if (leads_to(locks, other, i, seen))
				locks->locks[other].circle = locks->circles;
			memset(seen, 0, (size_t)locks->count);
			(void)leads_to(locks, i, i, seen);
		}
	}
	free(seen);
	return CLI_OK;
}

/* --- how long ------------------------------------------------------------------------------ */

static void nap(int64_t ns)
{
	const struct timespec time = { .tv_sec = (time_t)(ns / 1000000000),
				       .tv_nsec = (long)(ns % 1000000000) };

	nanosleep(&time, NULL);
}

/* How often to look again; 0: nothing is to be found. A version says by itself whether an owner has
 * given it back meanwhile; spin locks, permits and readers have none. */
static int looks_needed(const struct locks *locks)
{
	int looks = 0;

	for (int i = 0; i < locks->count; i++) {
		const struct lock *lock = &locks->locks[i];

		if (!is_held(lock) || lock->held_ns > locks->over_ns)
			continue;
		if (lock->stat.version == 0)
			return LOOKS;
		looks = 1;
	}
	return looks;
}

/* Who has @lock at this look had it at those before, too: since then. */
static void keep_since(struct lock *lock, const struct lock *before)
{
	if (lock->stat.version != before->stat.version)
		return;
	for (uint32_t i = 0; i < lock->who_count; i++)
		for (uint32_t k = 0; k < before->who_count; k++)
			if (lock->who[i].role == before->who[k].role &&
			    lock->who[i].slot == before->who[k].slot &&
			    lock->who[i].pid == before->who[k].pid &&
			    lock->who[i].tid == before->who[k].tid)
				lock->since[i] = before->since[k];
}

static int look_again(struct locks *locks)
{
	struct lock *before = locks->locks;
	int count = locks->count, code;

	locks->locks = calloc(LOCKS_MAX + 1, sizeof(struct lock));
	if (locks->locks == NULL) {
		locks->locks = before;
		return cli_error(locks->cli, "out of memory");
	}
	locks->count = 0;
	code = collect(locks);
	for (int i = 0; i < locks->count; i++)
		for (int k = 0; k < count; k++)
			if (strcmp(locks->locks[i].name, before[k].name) == 0)
				keep_since(&locks->locks[i], &before[k]);
	for (int k = 0; k < count; k++)
		drop_lock(&before[k]);
	free(before);
	return code;
}

/* At least so long somebody had it: by the looks, or by what who waits has written down. */
static void set_held(struct lock *lock)
{
	for (uint32_t i = 0; i < lock->who_count; i++) {
		int64_t ns = lock->seen_ns - lock->since[i];

		if ((lock->who[i].role == TARN_LOCK_HOLDS ||
		     lock->who[i].role == TARN_LOCK_SHARES) &&
		    ns > 0 && ns > lock->held_ns)
			lock->held_ns = ns;
	}
}

/* Over the time that is asked about; at uneven intervals, so that who takes and gives in turn is
 * not always met as having it. */
static int look_on(struct locks *locks)
{
	int looks = locks->over_ns >= 0 ? looks_needed(locks) : 0, code = CLI_OK;
	uint64_t unreadable = locks->out.unreadable;

	for (int i = 1; i <= looks && code == CLI_OK; i++) {
		nap(locks->over_ns / (looks * (looks + 1) / 2) * i + NAP_MORE_NS);
		code = look_again(locks);
		locks->out.unreadable = unreadable; /* and not as often as looked */
	}
	for (int i = 0; i < locks->count; i++)
		set_held(&locks->locks[i]);
	return code;
}

/* --- show ---------------------------------------------------------------------------------- */

static const char *state_of(const struct lock *lock)
{
	const struct tarn_lock_who *holder = first_holder(lock);

	return lock->stat.set_aside                                          ? "set aside"
	       : lock->stat.damaged                                          ? "damaged"
	       : holder != NULL && !holder->alive                            ? "dead"
	       : holder != NULL                                              ? "held"
	       : lock->stat.owner_died && look_tells_deaths(lock->stat.kind) ? "inconsistent"
									     : "free";
}

static bool is_shown(const struct locks *locks, const struct lock *lock)
{
	if (locks->over_ns >= 0)
		return lock->held_ns > locks->over_ns;
	return locks->all || locks->name.object != NULL || lock->who_count != 0 ||
	       strcmp(state_of(lock), "free") != 0;
}

static const char *role_name(uint32_t role)
{
	switch ((enum tarn_lock_role)role) {
	case TARN_LOCK_HOLDS:
		return "holds";
	case TARN_LOCK_SHARES:
		return "shares";
	case TARN_LOCK_WAITS:
		return "waits";
	case TARN_LOCK_SITS:
		return "sits";
	}
	return "unknown";
}

static void put_threads(struct out *out, const struct lock *lock)
{
	out_inner(out, "threads");
	for (uint32_t i = 0; i < lock->who_count; i++) {
		out_row(out);
		out_text(out, "role", role_name(lock->who[i].role));
		out_number(out, "pid", (uint64_t)(int64_t)lock->who[i].pid);
		out_number_if(out, "tid", (uint64_t)(int64_t)lock->who[i].tid,
			      lock->who[i].tid != 0);
		out_text(out, "command", lock->comms[i]);
		out_bool(out, "alive", lock->who[i].alive);
	}
	out_inner_end(out, NULL);
}

/* In tables whoever else has it or waits stands below. */
static void put_children(struct out *out, const struct lock *lock)
{
	const struct tarn_lock_who *first = first_holder(lock);

	for (uint32_t i = 0; i < lock->who_count; i++) {
		if (&lock->who[i] == first)
			continue;
		out_child(out);
		out_text(out, "name", role_name(lock->who[i].role));
		out_text(out, "state", lock->who[i].alive ? NULL : "dead");
		out_number(out, "pid", (uint64_t)(int64_t)lock->who[i].pid);
		out_number_if(out, "tid", (uint64_t)(int64_t)lock->who[i].tid,
			      lock->who[i].tid != 0);
		out_text(out, "command", lock->comms[i]);
	}
	if (lock->stat.more_waiters) {
		out_child(out);
		out_text(out, "name", "8 or more wait");
	}
}

static void put_lock(struct out *out, const struct lock *lock)
{
	const struct tarn_lock_who *holder = first_holder(lock);
	uint32_t waiters = 0;

	for (uint32_t i = 0; i < lock->who_count; i++)
		waiters += lock->who[i].role == TARN_LOCK_WAITS && lock->who[i].alive;
	out_row(out);
	out_text(out, "name", lock->name);
	out_text(out, "kind", lock->kind);
	out_text(out, "state", state_of(lock));
	if (holder != NULL) {
		out_number(out, "pid", (uint64_t)(int64_t)holder->pid);
		out_number_if(out, "tid", (uint64_t)(int64_t)holder->tid, holder->tid != 0);
		out_text(out, "command", lock->comms[holder - lock->who]);
	}
	out_number_if(out, "held_ns", (uint64_t)lock->held_ns, lock->held_ns >= 0);
	out_number(out, "waiters", waiters);
	out_bool(out, "more_waiters", lock->stat.more_waiters);
	out_number_if(out, "deadlock", (uint64_t)lock->circle, lock->circle != 0);
	put_threads(out, lock);
	out_number_if(out, "free_permits", lock->stat.value, lock->stat.kind == TARN_OBJECT_SEM);
	out_number(out, "recovered", lock->stat.recover_count);
	if (!out->as_json)
		put_children(out, lock);
}

/* "process 7 (a) has x/one and waits for y/two, which process 8 (b) has" */
static void tell_circle(const struct locks *locks, int circle)
{
	for (int i = 0; i < locks->count; i++) {
		const struct lock *lock = &locks->locks[i];
		const struct tarn_lock_who *holder = first_holder(lock);

		if (lock->circle != circle || holder == NULL)
			continue;
		for (int k = 0; k < locks->count; k++)
			for (uint32_t w = 0; w < locks->locks[k].who_count; w++)
				if (locks->locks[k].circle == circle &&
				    locks->locks[k].who[w].role == TARN_LOCK_WAITS &&
				    same(holder, &locks->locks[k].who[w]))
					cli_note(locks->cli,
						 "deadlock %d: process %d (%s), thread %d, has %s "
						 "and waits for %s",
						 circle, holder->pid,
						 lock->comms[holder - lock->who],
						 locks->locks[k].who[w].tid, lock->name,
						 locks->locks[k].name);
	}
}

static int show(struct locks *locks)
{
	struct out *out = &locks->out;
	int code = CLI_OK;
	bool any = false;

	out_list(out, &locks_list);
	out_tree(out, "name");
	for (int i = 0; i < locks->count; i++) {
		if (!is_shown(locks, &locks->locks[i]))
			continue;
		put_lock(out, &locks->locks[i]);
		any = true;
	}
	out_list_end(out);
	for (int c = 1; c <= locks->circles; c++)
		tell_circle(locks, c);
	if (locks->circles > 0 || (any && locks->over_ns >= 0))
		code = CLI_FAILURE;
	if (!any && !out->as_json && locks->cli->take == NULL && isatty(STDERR_FILENO))
		cli_note(locks->cli, locks->over_ns >= 0 ? "nothing is held for so long"
							 : "nothing is held, and nobody waits");
	return code;
}

static int locks_run(struct cli *cli)
{
	struct locks locks = { .cli = cli, .all = cli_given(cli, "all"), .over_ns = -1 };

	if (!look_opts(cli, &locks.opts) || !cli_duration(cli, "held-over", &locks.over_ns))
		return CLI_USAGE;
	if (cli->argc == 0) /* looking at others' is not to be refused for that */
		locks.opts.flags |= TARN_SEGMENT_ANY_MODE;

	int code = out_begin(&locks.out, cli);

	if (code >= 0)
		return code;
	code = CLI_OK;
	locks.locks = calloc(LOCKS_MAX + 1, sizeof(struct lock));
	locks.comms = calloc(MEMBERS_MAX, sizeof(*locks.comms));
	if (locks.locks == NULL || locks.comms == NULL)
		code = cli_error(cli, "out of memory");
	else
		code = collect(&locks);
	if (code == CLI_OK)
		code = look_on(&locks);
	if (locks.locks != NULL)
		code = cli_worse(code, find_circles(&locks));
	if (locks.locks != NULL)
		code = cli_worse(code, show(&locks));
	for (int i = 0; i < locks.count; i++)
		drop_lock(&locks.locks[i]);
	free(locks.locks);
	free(locks.comms);
	return out_end(&locks.out, code);
}

static const struct cli_example locks_examples[] = {
	{ "tarn locks", "what is held or waited for, in all regions of the host" },
	{ "tarn locks sensors --all", "all locks of a region" },
	{ "tarn locks --held-over 5s || alert", "for a script: exit 1 if one is held for longer" },
	{ "tarn locks -J | jq '.items[] | select(.deadlock != null)'", "circles of waits" },
	{ 0 },
};

static const struct cli_exit_note locks_exits[] = {
	{ 0, "no deadlock, and with --held-over nothing held for so long" },
	{ 1, "a deadlock; or with --held-over something is held for longer" },
	{ 3, "there is no such region or object" },
	{ 4, "permission denied, or not all regions could be read for want of it" },
	{ 6, "damaged" },
	{ 0 },
};

const struct cli_cmd cmd_locks = {
	.name = "locks",
	.args = "[REGION[/OBJECT]...]",
	.summary = "show who has which section or lock, who waits, and deadlocks",
	.about =
		"Shows sections, mutexes, semaphores and whatever else of a region can be held: by "
		"which process and thread, for how long, and below it who waits. Without operands "
		"all regions of the host are looked at, and what nobody has is left out.\n\n"
		"Since when an owner has something is known once somebody has waited for it. With "
		"--held-over it is looked at again over that time; so the answer may take that "
		"long, and HELD is what was seen. Sections, mutexes, writers of an rwlock, once "
		"and "
		"sequence locks have a version that tells whether they were given back meanwhile. "
		"Readers, permits with an owner and spin locks have none: they are looked at 20 "
		"times, and a thread (of a spin lock, a process: it does not say which thread) "
		"that "
		"has given back and taken again between each two of these looks cannot be told "
		"from "
		"one that kept it. Who has a permit of a semaphore without owners is not known.\n\n"
		"Up to 8 threads that wait for one lock are written down: where all these places "
		"are "
		"taken, 8 or more wait. Who spins for a spin lock is written down after 10 ms. A "
		"writer that waits for readers to leave is shown as one who waits.\n\n"
		"Threads that wait for each other in a circle, over several regions too, are a "
		"deadlock: each is told on standard error, and the exit code is 1. Whether a "
		"holder "
		"lives is the kernel's word. It looks on, and changes nothing.",
	.operand = "region",
	.opts = locks_opts,
	.schema = "tarn.locks/1",
	.lists = locks_lists,
	.examples = locks_examples,
	.exits = locks_exits,
	.groups = CLI_GROUP_OPEN | CLI_GROUP_LIST,
	.arg_min = 0,
	.arg_max = -1,
	.run = locks_run,
};
