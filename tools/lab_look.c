/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab_look.c - the host view before, during and after a run.
 *
 * During the run a process is looked at when it maps something shared, has a child, unmaps, and
 * ends; it stands still then, so what is seen holds together. What is left afterwards is charged to
 * the program only if it was not there before and the program is known to have made or mapped it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"

enum { NAMES_BEFORE = 4096, LOOKS = 400 };

struct lab_before {
	struct tarn_host *host;
	struct lab_id ids[NAMES_BEFORE]; /* of System V */
	int id_count;
};

/* --- System V, which the host view has only in part ----------------------------------------- */

/* Call @fn for each identifier of @kind that is there. */
static void each_id(char kind, void (*fn)(char kind, int id, void *arg), void *arg)
{
	const char *path = kind == 'm'   ? "/proc/sysvipc/shm"
			   : kind == 's' ? "/proc/sysvipc/sem"
					 : "/proc/sysvipc/msg";
	FILE *file = fopen(path, "re");
	char line[512];
	int id;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%*d %d", &id) == 1)
			fn(kind, id, arg);
	}
	if (file != NULL)
		fclose(file);
}

static void keep_id(char kind, int id, void *arg)
{
	struct lab_before *before = arg;

	if (before->id_count < NAMES_BEFORE)
		before->ids[before->id_count++] = (struct lab_id){ kind, id };
}

static bool id_before(const struct lab_before *before, char kind, int id)
{
	for (int i = 0; i < before->id_count; i++) {
		if (before->ids[i].kind == kind && before->ids[i].id == id)
			return true;
	}
	return false;
}

/* --- before -------------------------------------------------------------------------------- */

int lab_before(struct lab_run *run)
{
	struct lab_before *before = calloc(1, sizeof(*before));

	if (before == NULL)
		return -ENOMEM;
	run->before = before;
	each_id('m', keep_id, before);
	each_id('s', keep_id, before);
	each_id('q', keep_id, before);
	return tarn_host_scan(NULL, &before->host);
}

struct same {
	const struct tarn_host_segment *segment;
	bool found;
};

static int compare(const struct tarn_host_segment *segment, void *arg)
{
	struct same *same = arg;

	same->found = segment->kind == same->segment->kind && segment->dev == same->segment->dev &&
		      segment->inode == same->segment->inode &&
		      segment->created_ns <= same->segment->created_ns &&
		      strcmp(segment->addr, same->segment->addr) == 0;
	return same->found;
}

static bool was_before(const struct lab_run *run, const struct tarn_host_segment *segment)
{
	struct same same = { segment, false };

	(void)tarn_host_segments(run->before->host, compare, &same);
	return same.found;
}

/* --- during -------------------------------------------------------------------------------- */

struct look {
	struct lab_run *run;
	struct tarn_host *host;
	bool contents;
};

static struct lab_segment *segment_of(struct lab_run *run, const struct tarn_host_segment *segment)
{
	for (int i = 0; i < run->segment_count; i++) {
		struct lab_segment *known = &run->segments[i];

		if (known->kind == segment->kind && known->dev == segment->dev &&
		    known->inode == segment->inode)
			return known;
	}
	if (run->segment_count == LAB_SEGMENTS)
		return NULL;

	struct lab_segment *known = &run->segments[run->segment_count++];

	*known = (struct lab_segment){ .dev = segment->dev,
				       .inode = segment->inode,
				       .kind = segment->kind };
	return known;
}

static void add_user(struct lab_segment *known, pid_t pid, uint64_t address)
{
	for (int i = 0; i < known->user_count; i++) {
		if (known->users[i] == pid) {
			known->at[i] = address;
			return;
		}
	}
	if (known->user_count < LAB_USERS) {
		known->users[known->user_count] = pid;
		known->at[known->user_count++] = address;
	}
}

static void keep_bytes(const struct look *look, const struct tarn_host_segment *segment,
		       struct lab_segment *known)
{
	uint64_t size = segment->size < LAB_BYTES ? segment->size : LAB_BYTES;
	unsigned char *bytes = size > 0 ? malloc(size) : NULL;
	int64_t got =
		bytes != NULL ? tarn_host_read(look->host, segment, 0, bytes, size, NULL) : -1;

	if (got <= 0) {
		free(bytes);
		return;
	}
	free(known->bytes);
	known->bytes = bytes;
	known->byte_count = (uint64_t)got;
}

static int on_mapping(const struct tarn_host_mapping *mapping, void *arg)
{
	struct look *look = arg;
	const struct tarn_host_segment *segment = mapping->segment;

	if ((mapping->rights & TARN_HOST_PRIVATE) || !(mapping->rights & TARN_HOST_WRITE))
		return 0;

	bool known_before = look->run->segment_count == LAB_SEGMENTS;
	struct lab_segment *known = segment_of(look->run, segment);

	if (known == NULL || known_before)
		return 0;
	if (known->addr[0] == '\0')
		snprintf(known->addr, sizeof(known->addr), "%s", segment->addr);
	known->size = segment->size;
	known->before |= known->user_count == 0 && was_before(look->run, segment);
	known->semaphore |= segment->content == TARN_CONTENT_SEMAPHORE ||
			    (segment->label != NULL && strstr(segment->label, "/sem.") != NULL);
	add_user(known, mapping->process->pid, mapping->address - mapping->off);
	if (look->contents)
		keep_bytes(look, segment, known);
	return 0;
}

void lab_look(struct lab_run *run, const struct lab_task *task, bool contents)
{
	struct look look = { run, NULL, contents };
	struct tarn_host_opts opts = { .flags = TARN_HOST_FILES, .pid = task->pid };

	if (run->looks++ > LOOKS || tarn_host_scan(&opts, &look.host) < 0)
		return;
	(void)tarn_host_mappings(look.host, NULL, NULL, on_mapping, &look);
	tarn_host_free(look.host);
}

/* Does [address, address + size) touch what is shared, at the place where anybody has it? */
bool lab_shared_at(const struct lab_run *run, uint64_t address, uint64_t size)
{
	for (int i = 0; i < run->segment_count; i++) {
		const struct lab_segment *known = &run->segments[i];

		for (int user = 0; user < known->user_count; user++) {
			if (address < known->at[user] + known->size &&
			    known->at[user] < address + size)
				return true;
		}
	}
	return false;
}

/* A child has what its parent had, until it is looked at itself. */
bool lab_counter_at(const struct lab_run *run, const struct lab_task *task, uint64_t *ret_address)
{
	const struct lab_segment *known = &run->segments[run->counter.segment];

	if (run->counter.segment >= run->segment_count || known->user_count == 0)
		return false;
	*ret_address = known->at[0] + run->counter.off;
	for (int i = 0; i < known->user_count; i++) {
		if (known->users[i] == task->pid || known->users[i] == task->parent)
			*ret_address = known->at[i] + run->counter.off;
	}
	return true;
}

/* --- after --------------------------------------------------------------------------------- */

static bool made_by(const struct lab_run *run, const struct tarn_host_segment *segment)
{
	const char *name = strchr(segment->addr, ':');

	for (int i = 0; i < run->name_count && name != NULL; i++) {
		if (segment->kind == TARN_SEGMENT_POSIX && strcmp(run->names[i], name + 1) == 0)
			return true;
	}
	for (int i = 0; i < run->segment_count; i++) {
		const struct lab_segment *known = &run->segments[i];

		if (known->kind == segment->kind && known->dev == segment->dev &&
		    known->inode == segment->inode)
			return true;
	}
	for (int i = 0; i < run->task_count && segment->kind == TARN_SEGMENT_SYSV; i++) {
		if (run->tasks[i].pid == segment->creator_pid)
			return true;
	}
	return false;
}

static struct lab_left *left_add(struct lab_run *run)
{
	return run->left_count < LAB_NAMES ? &run->left[run->left_count++] : NULL;
}

static int on_after(const struct tarn_host_segment *segment, void *arg)
{
	struct lab_run *run = arg;
	bool semaphore = segment->content == TARN_CONTENT_SEMAPHORE;

	if ((segment->kind != TARN_SEGMENT_POSIX && segment->kind != TARN_SEGMENT_SYSV) ||
	    segment->removed || was_before(run, segment) || !made_by(run, segment))
		return 0;

	struct lab_left *left = left_add(run);

	if (left == NULL)
		return 1;
	snprintf(left->what, sizeof(left->what), "%s", semaphore ? "semaphore" : "segment");
	snprintf(left->addr, sizeof(left->addr), "%s", segment->addr);
	snprintf(left->remove, sizeof(left->remove), "tarn rm --foreign --yes '%.270s'",
		 segment->addr);
	left->kind = segment->kind == TARN_SEGMENT_POSIX ? 'p' : 'm';
	left->id = segment->id;
	left->inode = segment->inode;
	return 0;
}

static void on_id(char kind, int id, void *arg)
{
	struct lab_run *run = arg;
	bool made = false;

	for (int i = 0; i < run->id_count; i++)
		made |= run->ids[i].kind == kind && run->ids[i].id == id;
	if (!made || id_before(run->before, kind, id))
		return;

	struct lab_left *left = left_add(run);

	if (left == NULL)
		return;
	snprintf(left->what, sizeof(left->what), "%s",
		 kind == 's' ? "semaphore set" : "message queue");
	snprintf(left->addr, sizeof(left->addr), "System V id %d", id);
	snprintf(left->remove, sizeof(left->remove), "ipcrm -%c %d", kind, id);
	left->kind = kind;
	left->id = id;
}

void lab_after(struct lab_run *run)
{
	struct tarn_host *host = NULL;

	run->error = tarn_host_scan(NULL, &host);
	if (run->error < 0)
		return;
	(void)tarn_host_segments(host, on_after, run);
	tarn_host_free(host);
	each_id('s', on_id, run);
	each_id('q', on_id, run);
}

static bool remove_file(const struct lab_left *left)
{
	char path[320];
	struct stat stat;

	snprintf(path, sizeof(path), "/dev/shm/%s", strchr(left->addr, ':') + 1);
	return lstat(path, &stat) == 0 && stat.st_ino == left->inode && unlink(path) == 0;
}

void lab_clean(struct lab_run *run)
{
	for (int i = 0; i < run->left_count; i++) {
		struct lab_left *left = &run->left[i];

		if (left->kind == 'p')
			left->removed = remove_file(left);
		else if (left->kind == 'm')
			left->removed = shmctl(left->id, IPC_RMID, NULL) == 0;
		else if (left->kind == 's')
			left->removed = semctl(left->id, 0, IPC_RMID) == 0;
		else
			left->removed = msgctl(left->id, IPC_RMID, NULL) == 0;
	}
}

void lab_look_free(struct lab_run *run)
{
	for (int i = 0; i < run->segment_count; i++)
		free(run->segments[i].bytes);
	if (run->before != NULL)
		tarn_host_free(run->before->host);
	free(run->before);
}
