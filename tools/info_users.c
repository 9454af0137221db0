/* SPDX-License-Identifier: BSD-2-Clause */
/* info_users.c - who has a segment mapped, open or locked. See info.h. */

#include <stdio.h>

#include "info.h"
#include "segments.h"

static const struct out_col process_cols[] = {
	{ "pid", "PID", OUT_SIGNED, "process", false },
	{ "user", "USER", OUT_TEXT, "its effective user, by name if there is one", false },
	{ "uid", "UID", OUT_COUNT, "by number", true },
	{ "command", "COMMAND", OUT_TEXT, "name of its program", false },
	{ "rights", "RIGHTS", OUT_TEXT,
	  "of its mappings together, as /proc/PID/maps has them, such as rw-s; null if it has none "
	  "mapped",
	  false },
	{ "address", "ADDRESS", OUT_HEX,
	  "virtual address at which it has it, the lowest if there "
	  "are several",
	  false },
	{ "mapping_count", "MAPS", OUT_COUNT, "how many times it has it mapped", false },
	{ "fd_count", "FDS", OUT_COUNT, "how many of its descriptors lead to it", false },
	{ "fd", "FD", OUT_SIGNED, "the lowest of these", true },
	{ "started_ns", "STARTED", OUT_TIME, "when the process was started", true },
	{ 0 },
};
const struct out_list info_process_list = { "processes", process_cols };

static const struct out_col mapping_cols[] = {
	{ "pid", "PID", OUT_SIGNED, "process", false },
	{ "command", "COMMAND", OUT_TEXT, "name of its program", false },
	{ "address", "ADDRESS", OUT_HEX, "of its first byte, in the process", false },
	{ "end_address", "END", OUT_HEX, "behind its last", false },
	{ "offset_bytes", "OFFSET", OUT_OFFSET, "of its first byte, in the segment", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "its length", false },
	{ "rights", "RIGHTS", OUT_TEXT,
	  "as /proc/PID/maps has them: rw-s, r--s; p at the end is a "
	  "copy-on-write view",
	  false },
	{ "rss_bytes", "RSS", OUT_SIZE, "what the process has touched of it and is in memory",
	  false },
	{ "pss_bytes", "PSS", OUT_SIZE, "the process's share of that", false },
	{ "dirty_bytes", "DIRTY", OUT_SIZE, "changed since it was last written out", true },
	{ "locked_bytes", "LOCKED", OUT_SIZE, "locked into memory", true },
	{ "swap_bytes", "SWAP", OUT_SIZE, "in swap", true },
	{ 0 },
};
const struct out_list info_mapping_list = { "mappings", mapping_cols };

static const struct out_col lock_cols[] = {
	{ "lock", "LOCK", OUT_TEXT, "POSIX, OFDLCK, FLOCK or LEASE", false },
	{ "access", "ACCESS", OUT_TEXT, "READ or WRITE", false },
	{ "pid", "PID", OUT_SIGNED, "who holds it; null where the kernel does not say", false },
	{ "start_bytes", "FROM", OUT_OFFSET, "its first byte", false },
	{ "end_bytes", "TO", OUT_OFFSET, "its last byte; null: to the end", false },
	{ "waiting", "WAITING", OUT_BOOL, "not held: blocked behind another", false },
	{ 0 },
};
const struct out_list info_lock_list = { "locks", lock_cols };

static int lowest(const struct tarn_host_mapping *mapping, void *arg)
{
	*(uint64_t *)arg = mapping->address;
	return 1; /* they come by rising address */
}

static int put_use(const struct tarn_host_use *use, void *arg)
{
	struct info *info = arg;
	struct out *out = &info->out;
	uint64_t address = 0;
	char rights[8];

	out_row(out);
	out_number(out, "pid", (uint64_t)use->process->pid);
	out_text(out, "user", segments_user(use->process->uid));
	out_number_if(out, "uid", use->process->uid, use->process->uid != UINT32_MAX);
	out_text(out, "command", use->process->command);
	out_text(out, "rights",
		 use->mapping_count > 0 ? segments_rights(use->rights, rights) : NULL);
	(void)tarn_host_mappings(info->host, use->segment, use->process, lowest, &address);
	out_number_if(out, "address", address, use->mapping_count > 0);
	out_number(out, "mapping_count", use->mapping_count);
	out_number(out, "fd_count", use->fd_count);
	out_number_if(out, "fd", (uint64_t)(int64_t)use->fd, use->fd >= 0);
	out_number_if(out, "started_ns", (uint64_t)use->process->started_ns,
		      use->process->started_ns != 0);
	return 0;
}

void info_processes(struct info *info)
{
	out_list(&info->out, &info_process_list);
	if (info->target.segment != NULL)
		(void)tarn_host_uses(info->host, info->target.segment, NULL, put_use, info);
}

static void put_size(struct out *out, const char *key, uint64_t size)
{
	out_number_if(out, key, size, size != TARN_HOST_UNKNOWN);
}

static int put_mapping(const struct tarn_host_mapping *mapping, void *arg)
{
	struct info *info = arg;
	struct out *out = &info->out;
	char rights[8];

	out_row(out);
	out_number(out, "pid", (uint64_t)mapping->process->pid);
	out_text(out, "command", mapping->process->command);
	out_number(out, "address", mapping->address);
	out_number(out, "end_address", mapping->address + mapping->size);
	out_number(out, "offset_bytes", mapping->off);
	out_number(out, "size_bytes", mapping->size);
	out_text(out, "rights", segments_rights(mapping->rights, rights));
	put_size(out, "rss_bytes", mapping->rss);
	put_size(out, "pss_bytes", mapping->pss);
	put_size(out, "dirty_bytes", mapping->dirty);
	put_size(out, "locked_bytes", mapping->locked);
	put_size(out, "swap_bytes", mapping->swap);
	return 0;
}

void info_mappings(struct info *info)
{
	out_list(&info->out, &info_mapping_list);
	if (info->target.segment != NULL)
		(void)tarn_host_mappings(info->host, info->target.segment, NULL, put_mapping, info);
}

static int put_lock(const struct tarn_host_lock *lock, void *arg)
{
	struct out *out = arg;

	out_row(out);
	out_text(out, "lock", lock->type);
	out_text(out, "access", lock->access);
	out_number_if(out, "pid", (uint64_t)lock->pid, lock->pid != 0);
	out_number(out, "start_bytes", lock->start);
	out_number_if(out, "end_bytes", lock->end, lock->end != UINT64_MAX);
	out_bool(out, "waiting", lock->waiting);
	return 0;
}

int info_locks(struct info *info)
{
	out_list(&info->out, &info_lock_list);
	return info->target.segment != NULL
		       ? tarn_host_locks(info->host, info->target.segment, put_lock, &info->out)
		       : 0;
}
