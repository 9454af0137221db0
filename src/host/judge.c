/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * judge.c - the order of the picture, the address of each segment, and its state with the proof.
 *
 * That nobody uses a thing is claimed only where it is known:
 *
 *     System V   the kernel counts who has it attached, wherever they are
 *     files      every process was read, and none can be hidden; else, for what this user may
 *                lease: the kernel grants a write lease only while nobody else has it open
 *     regions    the kernel holds no lock on any slot
 *
 * An orphan is more: something nobody will come back for. Of System V: it was used, nobody has it
 * attached, and who made it is dead. One that nobody ever attached waits for its first user. One
 * with a key can be found again: PostgreSQL keeps segments that nobody has attached at the moment,
 * made by processes that ended. But whoever does that has another, also with a key, attached; as
 * long as there is such a one of the same owner and mode, it is idle. A file's creator is not on
 * record, so a file is idle, however old.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "region/region.h"

/* System V times are whole seconds, and what a process began is rounded to ticks. */
#define REUSE_SLACK_NS INT64_C(2000000000)

/* --- processes ------------------------------------------------------------------------------- */

static bool stat_of(struct tarn_host *host, int32_t pid, struct tarn__stat_line *ret_line)
{
	char text[1024];

	return tarn__host_path(host, "/proc/%d/stat", pid) == 0 &&
	       tarn__plat_read_text(host->path, text, sizeof(text)) > 0 &&
	       tarn__parse_stat(text, ret_line);
}

static int64_t start_of(const struct tarn_host *host, const struct tarn__stat_line *line)
{
	uint64_t tick = UINT64_C(1000000000) / (uint64_t)tarn__plat_ticks_per_second();

	return host->boot_ns + (int64_t)(line->start * tick);
}

/* A process that has the number now is taken for the one that had it before, though it may seem to
 * have begun later: that compares the clock of the wall with time since boot, and is no proof once
 * somebody has set the clock. */
bool tarn__pid_dead(struct tarn_host *host, int32_t pid)
{
	struct tarn__stat_line line;

	if (pid <= 0)
		return false;
	if (tarn__plat_pid_there(pid) == 0)
		return true;
	return !host->pids_foreign && stat_of(host, pid, &line) && tarn__stat_ended(&line);
}

static void creator_name(struct tarn_host *host, struct tarn_host_segment *pub)
{
	struct tarn__stat_line line;

	if (pub->creator_pid <= 0 || host->pids_foreign || tarn__pid_dead(host, pub->creator_pid) ||
	    !stat_of(host, pub->creator_pid, &line) ||
	    (pub->created_ns != 0 && start_of(host, &line) > pub->created_ns + REUSE_SLACK_NS))
		return; /* none, or by its times another with the same number */
	memcpy(pub->creator, line.comm, sizeof(pub->creator));
}

/* --- order ----------------------------------------------------------------------------------- */

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_kind_and_addr(const void *a, const void *b)
{
	const struct tarn__seg *x = *(struct tarn__seg *const *)a;
	const struct tarn__seg *y = *(struct tarn__seg *const *)b;
	int r = compare(x->pub.kind, y->pub.kind);

	if (r == 0)
		r = compare((uint64_t)(x->pub.id + 1), (uint64_t)(y->pub.id + 1));
	if (r == 0 && x->path == NULL && y->path == NULL) {
		r = compare((uint64_t)(x->open_pid != 0 ? x->open_pid : x->map_pid),
			    (uint64_t)(y->open_pid != 0 ? y->open_pid : y->map_pid));
		if (r == 0)
			r = compare((uint64_t)(x->open_fd + 1), (uint64_t)(y->open_fd + 1));
		if (r == 0)
			r = compare(x->map_start, y->map_start);
	}
	return r != 0 ? r : strcmp(x->pub.addr, y->pub.addr);
}

static int by_pid(const void *a, const void *b)
{
	return compare((uint64_t)(*(struct tarn__proc *const *)a)->pub.pid,
		       (uint64_t)(*(struct tarn__proc *const *)b)->pub.pid);
}

static int by_process_and_address(const void *a, const void *b)
{
	const struct tarn_host_mapping *x = a, *y = b;
	int r = compare((uint64_t)x->process->pid, (uint64_t)y->process->pid);

	return r != 0 ? r : compare(x->address, y->address);
}

static int by_segment_and_process(const void *a, const void *b)
{
	const struct tarn_host_use *x = a, *y = b;
	int r = compare(x->segment->index, y->segment->index);

	return r != 0 ? r : compare((uint64_t)x->process->pid, (uint64_t)y->process->pid);
}

/* qsort() takes no NULL. */
static void sort(void *base, uint32_t count, size_t size, int (*order)(const void *, const void *))
{
	if (count > 1)
		qsort(base, count, size, order);
}

static void put_in_order(struct tarn_host *host)
{
	uint32_t first = 0;

	sort(host->segs, host->seg_count, sizeof(struct tarn__seg *), by_kind_and_addr);
	sort(host->procs, host->proc_count, sizeof(struct tarn__proc *), by_pid);
	for (uint32_t i = 0; i < host->seg_count; i++)
		host->segs[i]->pub.index = i;
	for (uint32_t i = 0; i < host->proc_count; i++)
		host->procs[i]->pub.index = i;
	sort(host->maps, host->map_count, sizeof(*host->maps), by_process_and_address);
	sort(host->uses, host->use_count, sizeof(*host->uses), by_segment_and_process);
	for (uint32_t i = 0; i < host->seg_count; i++) {
		host->segs[i]->use_first = first;
		first += host->segs[i]->use_count;
	}
}

/* --- addresses ------------------------------------------------------------------------------- */

static void named_addr(const struct tarn_host *host, const struct tarn__seg *seg, char *buf,
		       size_t size)
{
	bool plain = host->root[0] == '\0' && !seg->stray;

	if (plain && seg->pub.kind == TARN_SEGMENT_HUGE)
		snprintf(buf, size, "huge:%s", seg->name);
	else if (plain && seg->pub.kind == TARN_SEGMENT_POSIX)
		snprintf(buf, size, "%s%s",
			 seg->pub.content == TARN_CONTENT_REGION && strchr(seg->name, ':') == NULL
				 ? ""
				 : "shm:",
			 seg->name);
	else
		snprintf(buf, size, "file:%s", seg->path);
}

int tarn__seg_dress(struct tarn_host *host, struct tarn__seg *seg)
{
	char buf[TARN__HOST_PATH + 16];
	bool told = seg->name != NULL && seg->path == NULL && seg->pub.kind != TARN_SEGMENT_SYSV &&
		    strcmp(seg->name, "/dev/zero") != 0 && strcmp(seg->name, "/anon_hugepage") != 0;

	if (seg->pub.kind == TARN_SEGMENT_SYSV && !seg->pub.elsewhere)
		snprintf(buf, sizeof(buf), "sysv:#%d", seg->pub.id);
	else if (seg->path != NULL)
		named_addr(host, seg, buf, sizeof(buf));
	else if (seg->open_pid != 0)
		snprintf(buf, sizeof(buf), "memfd:%d:%d", seg->open_pid, seg->open_fd);
	else
		snprintf(buf, sizeof(buf), "map:%d:0x%" PRIx64, seg->map_pid, seg->map_start);
	seg->pub.addr = tarn__copy(buf, true);
	if (told)
		seg->pub.label = tarn__copy(seg->name, true);
	if (seg->pub.addr == NULL || (told && seg->pub.label == NULL))
		return -ENOMEM;
	if (seg->pub.kind == TARN_SEGMENT_SYSV && !seg->listed)
		return 0; /* its books are in its own namespace */
	if (seg->pub.kind != TARN_SEGMENT_SYSV)
		seg->pub.attach_count = 0;
	return 0;
}

/* --- states ---------------------------------------------------------------------------------- */

/* Is it certain that nobody has the file open? */
static bool surely_unused(const struct tarn_host *host, const struct tarn__seg *seg)
{
	bool unused;
	int fd;

	if (host->stat.unreadable_count == 0 && !host->stat.hidden && !host->stat.enclosed &&
	    host->only_pid == 0)
		return true;
	if (host->root[0] != '\0' || seg->path == NULL)
		return false;
	fd = tarn__seg_open(seg, O_RDWR);
	if (fd < 0)
		return false;
	unused = tarn__plat_leased(fd);
	tarn__plat_close(fd);
	return unused;
}

static int proof(struct tarn__seg *seg, const char *text)
{
	seg->pub.proof = tarn__copy(text, true);
	return seg->pub.proof != NULL ? 0 : -ENOMEM;
}

/* Has anybody another segment with a key, of the same owner and mode, attached? */
static bool has_sibling(const struct tarn_host *host, const struct tarn_host_segment *pub)
{
	for (uint32_t i = 0; i < host->seg_count; i++) {
		const struct tarn_host_segment *other = &host->segs[i]->pub;

		if (other->kind == TARN_SEGMENT_SYSV && !other->elsewhere && other->key != 0 &&
		    other->attach_count > 0 && other->content != TARN_CONTENT_REGION &&
		    other->uid == pub->uid && other->gid == pub->gid && other->mode == pub->mode)
			return true;
	}
	return false;
}

static int judge_sysv(struct tarn_host *host, struct tarn__seg *seg)
{
	struct tarn_host_segment *pub = &seg->pub;
	char text[200];

	pub->state = TARN_STATE_IDLE;
	if (pub->content == TARN_CONTENT_REGION || pub->detached_ns == 0 ||
	    !tarn__pid_dead(host, pub->creator_pid) || (pub->key != 0 && has_sibling(host, pub)))
		return 0;
	pub->state = TARN_STATE_ORPHAN;
	snprintf(text, sizeof(text),
		 "pid %d, which made it, is dead, and nobody has it attached (by the kernel's "
		 "count)%s",
		 pub->creator_pid,
		 pub->key != 0 ? ", nor another with a key of the same owner and mode" : "");
	return proof(seg, text);
}

/* On its way out, in a folder too that tarn_leftovers() does not look through. */
static int judge_passing(struct tarn__seg *seg)
{
	struct tarn_leftover leftover;

	seg->pub.state = TARN_STATE_UNKNOWN; /* its remover, if alive, is not to be disturbed */
	if (tarn__passing_reclaim(seg->path, false, &leftover) < 0)
		return 0;
	seg->pub.state = TARN_STATE_STALE;
	return proof(seg, leftover.proof);
}

static int judge(struct tarn_host *host, struct tarn__seg *seg)
{
	struct tarn_host_segment *pub = &seg->pub;
	bool sysv = pub->kind == TARN_SEGMENT_SYSV;

	if (pub->state != 0)
		return 0; /* a leftover */
	if (pub->removed)
		pub->state = TARN_STATE_DELETED;
	else if (pub->process_count > 0 || seg->member_count > 0 || (sysv && pub->attach_count > 0))
		pub->state = TARN_STATE_LIVE;
	else if (seg->member_count == 0 && seg->ephemeral) {
		pub->state = TARN_STATE_STALE;
		return proof(seg, "no member is alive: the kernel holds no lock on any slot");
	} else if (sysv)
		return judge_sysv(host, seg);
	else if (seg->path != NULL && host->root[0] == '\0' && tarn__passing(seg->path))
		return judge_passing(seg);
	else
		pub->state = surely_unused(host, seg) ? TARN_STATE_IDLE : TARN_STATE_UNKNOWN;
	return 0;
}

static int mark_leftover(const struct tarn_leftover *leftover, void *arg)
{
	struct tarn_host *host = arg;
	int r = 0;

	for (uint32_t i = 0; i < host->seg_count && r == 0; i++) {
		struct tarn__seg *seg = host->segs[i];
		bool same = seg->path != NULL ? strcmp(seg->path, leftover->path) == 0
					      : leftover->id >= 0 && seg->pub.id == leftover->id &&
							!seg->pub.elsewhere;

		if (same && seg->pub.proof == NULL) {
			seg->pub.state = TARN_STATE_STALE;
			r = proof(seg, leftover->proof);
		}
	}
	return r;
}

static void count_mappings(struct tarn_host *host)
{
	for (uint32_t i = 0; i < host->map_count; i++) {
		struct tarn__seg *seg = tarn__seg_of(host->maps[i].segment);

		if (!seg->listed)
			seg->pub.attach_count++;
	}
}

int tarn__host_judge(struct tarn_host *host)
{
	int r = 0;

	for (uint32_t i = 0; i < host->seg_count && r == 0; i++)
		r = tarn__seg_dress(host, host->segs[i]);
	if (r < 0)
		return r;
	put_in_order(host);
	r = tarn__host_index(host);
	if (r < 0)
		return r;
	count_mappings(host);
	if (host->root[0] == '\0' && host->only_pid == 0)
		r = tarn_leftovers(0, mark_leftover, host);
	if (r == -ENOMEM)
		return r;
	r = 0;
	for (uint32_t i = 0; i < host->seg_count && r == 0; i++) {
		r = judge(host, host->segs[i]);
		creator_name(host, &host->segs[i]->pub);
	}
	return r;
}
