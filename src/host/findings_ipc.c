/* SPDX-License-Identifier: BSD-2-Clause */
/* findings_ipc.c - checks of /dev/shm, System V and POSIX queues. See findings.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/diag.h"
#include "host/findings.h"

/* --- /dev/shm -------------------------------------------------------------------------------- */

/* What makes /dev/shm larger, here or for the container that this is. */
static void fix_shm_size(struct tarn__judge *judge, const char *size)
{
	if (tarn__says(judge, "host.container", "docker"))
		tarn__fix(judge, "docker run --shm-size=%s (compose: shm_size)", size);
	else if (tarn__says(judge, "host.container", "podman"))
		tarn__fix(judge, "podman run --shm-size=%s", size);
	else if (tarn__says(judge, "host.container", "kubepods"))
		tarn__fix(judge,
			  "mount an emptyDir volume with medium: Memory and sizeLimit: %s "
			  "at /dev/shm",
			  size);
	else
		tarn__fix(judge, "mount -o remount,size=%s /dev/shm", size);
}

static bool shm_mount(struct tarn__judge *judge)
{
	const struct tarn__limit *size = tarn__limit_find(judge->limits, "shm.size");
	const struct tarn__limit *type = tarn__may(judge, "shm.type");

	if (size != NULL && (size->error == -ENOENT || size->error == -ENOTDIR)) {
		tarn__what(judge, "there is no /dev/shm");
		tarn__breaks(judge, TARN_SEVERITY_CRITICAL,
			     "shm_open() and sem_open() fail with ENOENT");
		tarn__fix(judge, "mkdir -p /dev/shm && mount -t tmpfs -o mode=1777 tmpfs /dev/shm");
		return true;
	}
	if (type == NULL) {
		(void)tarn__need(judge, "shm.size");
		return judge->unknown;
	}
	tarn__what(judge, "/dev/shm is %s", type->text);
	if (strstr(type->text, "read-only") != NULL) {
		tarn__breaks(judge, TARN_SEVERITY_CRITICAL,
			     "shm_open() and sem_open() fail with EROFS");
		tarn__fix(judge, "mount -o remount,rw /dev/shm");
	} else if (strcmp(type->text, "tmpfs") != 0) {
		tarn__breaks(judge, TARN_SEVERITY_WARNING, "shared memory is no tmpfs: %s",
			     strcmp(type->text, "ramfs") == 0
				     ? "it has no bound and cannot be swapped"
				     : "it is written to disk, and is there after a restart");
		tarn__fix(judge, "mount -t tmpfs -o mode=1777 tmpfs /dev/shm");
	}
	return true;
}

static bool shm_mode(struct tarn__judge *judge)
{
	const struct tarn__limit *mode = tarn__may(judge, "shm.mode");

	if (mode == NULL)
		return false;
	tarn__what(judge, "/dev/shm has mode %s", mode->text);
	if (strcmp(mode->text, "1777") == 0)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     strcmp(mode->text, "0777") == 0
			     ? "any user can remove and rename the shared memory of any other"
			     : "users who may not write there cannot make POSIX shared memory or "
			       "semaphores (EACCES)");
	tarn__fix(judge, "chmod 1777 /dev/shm");
	return true;
}

static bool shm_size(struct tarn__judge *judge)
{
	const struct tarn__limit *size = tarn__may(judge, "shm.size");
	char a[24];

	/* one that is absent is told by shm_mount() */
	if (size == NULL || size->pub.value == UINT64_MAX)
		return false;
	tarn__what(judge, "/dev/shm holds %s", tarn__value_text(size, size->pub.value, a));
	if (size->pub.value > 64 * TARN__MIB)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "a program that puts more into /dev/shm dies by SIGBUS in the middle of a "
		     "store, or says that there is no space left (PyTorch loaders, Chrome, "
		     "PostgreSQL's parallel queries)");
	fix_shm_size(judge, "1g");
	return true;
}

static bool shm_used(struct tarn__judge *judge)
{
	const struct tarn__limit *size = tarn__may(judge, "shm.size");

	if (size == NULL)
		return false;
	if (!tarn__judge_full(judge, size, 98))
		return true;
	tarn__breaks(judge, judge->severity,
		     "the next store to a new page of a sparse object there is a SIGBUS, the next "
		     "reservation an ENOSPC");
	tarn__fix(judge,
		  "see what takes it: tarn ls -s -size; what is left of the dead: tarn gc; "
		  "else mount -o remount,size=%" PRIu64 "m /dev/shm",
		  size->pub.value / TARN__MIB * 2 + 64);
	return true;
}

static bool shm_inodes(struct tarn__judge *judge)
{
	const struct tarn__limit *inodes = tarn__may(judge, "shm.inodes");

	if (inodes == NULL)
		return false;
	if (!tarn__judge_full(judge, inodes, 99))
		return true;
	tarn__breaks(judge, judge->severity,
		     "shm_open() and sem_open() fail with ENOSPC while df shows free space");
	tarn__fix(judge, "mount -o remount,nr_inodes=%" PRIu64 " /dev/shm", inodes->pub.value * 2);
	return true;
}

/* The smallest bound of memory that applies here. */
static uint64_t memory_bound(const struct tarn__judge *judge, const char **ret_whose)
{
	const struct tarn__limit *total = tarn__may(judge, "memory.total");
	const struct tarn__limit *swap = tarn__may(judge, "memory.swap");
	uint64_t bound = total != NULL ? total->pub.value : UINT64_MAX;

	*ret_whose = "the host's memory and swap";
	if (bound != UINT64_MAX && swap != NULL &&
	    __builtin_add_overflow(bound, swap->pub.value, &bound))
		bound = UINT64_MAX;
	for (unsigned up = 0; up < 64; up++) {
		const struct tarn__limit *cgroup = tarn__may(judge, "cgroup.%u.memory", up);

		if (cgroup != NULL && cgroup->pub.value < bound) {
			bound = cgroup->pub.value;
			*ret_whose = "the memory cgroup's limit";
		}
	}
	return bound;
}

static bool shm_over_memory(struct tarn__judge *judge)
{
	const struct tarn__limit *size = tarn__may(judge, "shm.size");
	const char *whose;
	uint64_t bound = memory_bound(judge, &whose);
	char a[24], b[24];

	if (size == NULL || bound == UINT64_MAX)
		return false;
	tarn__what(judge, "/dev/shm holds %s, %s %s", tarn__value_text(size, size->pub.value, a),
		   whose, tarn__size_text(bound, b));
	/* a file system of just that size could be meant so */
	if (size->pub.value < bound)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "when it fills, the kernel kills processes (OOM) instead of refusing with "
		     "ENOSPC, and killing frees nothing of it");
	snprintf(a, sizeof(a), "%" PRIu64 "m",
		 bound / 2 / TARN__MIB > 0 ? bound / 2 / TARN__MIB : 1);
	fix_shm_size(judge, a);
	return true;
}

/* --- System V -------------------------------------------------------------------------------- */

static bool sysv_shmmax(struct tarn__judge *judge)
{
	const struct tarn__limit *max = tarn__need(judge, "sysv.shmmax");
	char a[24];

	if (max == NULL)
		return judge->unknown;
	tarn__what(judge, "one System V segment may have %s",
		   tarn__value_text(max, max->pub.value, a));
	if (max->pub.value >= 256 * TARN__MIB)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "shmget() of more fails with EINVAL (Oracle, SAP, older PostgreSQL)");
	tarn__fix(judge, "sysctl -w kernel.shmmax=18446744073692774399");
	return true;
}

static bool sysv_shmall(struct tarn__judge *judge)
{
	const struct tarn__limit *all = tarn__need(judge, "sysv.shmall");
	char a[24];

	if (all == NULL)
		return judge->unknown;
	if (tarn__judge_full(judge, all, 99))
		tarn__breaks(judge, judge->severity, "the next shmget() fails with ENOSPC");
	else if (all->pub.value < 256 * TARN__MIB)
		tarn__breaks(judge, TARN_SEVERITY_WARNING,
			     "all System V segments together may have %s: shmget() of more fails "
			     "with ENOSPC",
			     tarn__size_text(all->pub.value, a));
	else
		return true;
	tarn__fix(judge, "sysctl -w kernel.shmall=18446744073692774399; what is left of the dead: "
			 "tarn gc --foreign");
	return true;
}

static bool sysv_shmmni(struct tarn__judge *judge)
{
	const struct tarn__limit *count = tarn__need(judge, "sysv.shmmni");

	if (count == NULL)
		return judge->unknown;
	if (!tarn__judge_full(judge, count, 100))
		return true;
	tarn__breaks(judge, judge->severity,
		     judge->severity == TARN_SEVERITY_CRITICAL
			     ? "shmget() fails with ENOSPC, whatever the size"
			     : "shmget() fails with ENOSPC once they are used up");
	tarn__fix(judge,
		  "tarn gc --foreign shows what is left of the dead; else sysctl -w "
		  "kernel.shmmni=%" PRIu64,
		  count->pub.value < 16384 ? count->pub.value * 2 + 1 : 32768);
	return true;
}

static bool sysv_rmid_forced(struct tarn__judge *judge)
{
	const struct tarn__limit *forced = tarn__need(judge, "sysv.rmid_forced");

	if (forced == NULL)
		return judge->unknown;
	tarn__what(judge, "System V segments %s",
		   forced->pub.value == 0 ? "stay until they are removed"
					  : "go with their last user (kernel.shm_rmid_forced)");
	if (forced->pub.value == 0)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "a segment made for a program that has yet to start is gone when it does");
	tarn__fix(judge, "sysctl -w kernel.shm_rmid_forced=0");
	return true;
}

/* --- counted things -------------------------------------------------------------------------- */

static bool counted(struct tarn__judge *judge, const char *name, const char *breaks,
		    const char *fix)
{
	const struct tarn__limit *limit = tarn__need(judge, name);

	if (limit == NULL || limit->pub.used == TARN_HOST_UNKNOWN)
		return judge->unknown;
	if (!tarn__judge_full(judge, limit, 100))
		return true;
	tarn__breaks(judge, judge->severity, "%s", breaks);
	tarn__fix(judge, "%s", fix);
	return true;
}

static bool sem_sets(struct tarn__judge *judge)
{
	return counted(
		judge, "sem.semmni", "semget() fails with ENOSPC once they are used up",
		"ipcs -s shows them, ipcrm -s removes one; else sysctl -w kernel.sem=\"32000 "
		"1024000000 500 64000\"");
}

static bool sem_count(struct tarn__judge *judge)
{
	return counted(judge, "sem.semmns", "semget() fails with ENOSPC once they are used up",
		       "ipcs -s shows them, ipcrm -s removes a set; else sysctl -w "
		       "kernel.sem=\"32000 1024000000 500 32000\"");
}

static bool msg_queues(struct tarn__judge *judge)
{
	return counted(judge, "msg.msgmni", "msgget() fails with ENOSPC once they are used up",
		       "ipcs -q shows them, ipcrm -q removes one; else sysctl -w "
		       "kernel.msgmni=64000");
}

static bool posix_queues(struct tarn__judge *judge)
{
	return counted(judge, "mqueue.queues_max",
		       "mq_open() fails with ENOSPC once they are used up",
		       "ls /dev/mqueue shows them; else sysctl -w fs.mqueue.queues_max=1024");
}

const struct tarn__check tarn__checks_ipc[] = {
	{ "shm-mount", shm_mount },
	{ "shm-mode", shm_mode },
	{ "shm-size", shm_size },
	{ "shm-used", shm_used },
	{ "shm-inodes", shm_inodes },
	{ "shm-over-memory", shm_over_memory },
	{ "sysv-shmmax", sysv_shmmax },
	{ "sysv-shmall", sysv_shmall },
	{ "sysv-shmmni", sysv_shmmni },
	{ "sysv-rmid-forced", sysv_rmid_forced },
	{ "sem-sets", sem_sets },
	{ "sem-count", sem_count },
	{ "msg-queues", msg_queues },
	{ "mqueue-queues", posix_queues },
	{ NULL, NULL },
};
