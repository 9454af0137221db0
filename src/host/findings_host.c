/* SPDX-License-Identifier: BSD-2-Clause */
/* findings_host.c - checks of logind, namespaces, and settings of the kernel. See findings.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/findings.h"

/* What takes a container out of its isolation, by what runs it. */
static void fix_container(struct tarn__judge *judge, const char *option, const char *field)
{
	if (tarn__says(judge, "host.container", "kubepods"))
		tarn__fix(judge, "%s: true in the pod's spec", field);
	else if (tarn__says(judge, "host.container", "podman"))
		tarn__fix(judge, "podman run %s", option);
	else
		tarn__fix(judge, "docker run %s", option);
}

static bool remove_ipc(struct tarn__judge *judge)
{
	const struct tarn__limit *remove = tarn__need(judge, "logind.remove_ipc");
	const struct tarn__limit *linger = tarn__may(judge, "logind.linger");
	const char *stays = linger != NULL ? linger->text : "no";

	if (remove == NULL)
		return judge->unknown;
	tarn__what(judge, "RemoveIPC=%s (%s), this user lingers: %s", remove->text, remove->source,
		   stays);
	if (strcmp(remove->text, "yes") != 0 || strcmp(stays, "no") != 0)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "when this user's last session ends, systemd-logind removes all System V "
		     "objects, /dev/shm files and message queues of the user, also from under "
		     "services and jobs that run on (PostgreSQL: \"could not open shared memory "
		     "segment\")");
	tarn__fix(judge, "%s, or RemoveIPC=no in /etc/systemd/logind.conf",
		  linger != NULL ? linger->raise : "loginctl enable-linger USER");
	return true;
}

static bool protected_files(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "fs.protected_regular");

	if (limit == NULL)
		return judge->unknown;
	tarn__what(judge, "fs.protected_regular is %" PRIu64, limit->pub.value);
	if (limit->pub.value != 0) {
		tarn__breaks(judge, TARN_SEVERITY_OK,
			     "opening another user's object in /dev/shm with O_CREAT fails with "
			     "EACCES, for root too: open what is there without O_CREAT");
		return true;
	}
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "another user can put a file into /dev/shm under the name that a program is "
		     "about to create, and read or change what it writes");
	tarn__fix(judge, "sysctl -w fs.protected_regular=1");
	return true;
}

static bool ptrace_scope(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "yama.ptrace_scope");

	if (limit == NULL)
		return judge->unknown;
	tarn__what(judge, "kernel.yama.ptrace_scope is %" PRIu64, limit->pub.value);
	if (limit->pub.value < 3)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "nobody, not even root, can read another process's memory or take its "
		     "descriptors: memory without a name cannot be looked into, no debugger "
		     "attaches");
	tarn__fix(judge, "set kernel.yama.ptrace_scope=1 in /etc/sysctl.d and restart the host: 3 "
			 "cannot be taken back");
	return true;
}

static bool hidepid(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__may(judge, "proc.hidepid");
	bool hidden;

	if (limit == NULL)
		return false;
	hidden = strcmp(limit->text, "0") != 0 && strcmp(limit->text, "off") != 0;
	tarn__what(judge, "/proc is mounted with hidepid=%s", limit->text);
	if (!hidden || tarn__capable(judge->limits, TARN__CAP_SYS_PTRACE))
		return true;
	tarn__breaks(
		judge, TARN_SEVERITY_WARNING,
		"processes of other users are not seen: what they use looks unused, and counts "
		"are too low");
	tarn__fix(judge, "run it as root, or %s", limit->raise);
	return true;
}

static bool proc_mount(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__may(judge, "proc.mount");

	if (limit == NULL)
		return false;
	tarn__what(judge, "/proc is %s", limit->text);
	if (strcmp(limit->text, "writable") != 0)
		tarn__breaks(judge, TARN_SEVERITY_OK,
			     "sysctl -w does nothing here: what it mends is mended outside");
	return true;
}

static bool ipc_namespace(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "ns.ipc");

	if (limit == NULL)
		return judge->unknown;
	tarn__what(judge, "the IPC namespace is %s", limit->text);
	if (strcmp(limit->text, "private") != 0)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "System V segments, semaphores and POSIX queues made here are not seen "
		     "outside, nor theirs here: shmget() of the same key gives two segments");
	fix_container(judge, "--ipc=host, or --ipc=container:NAME to share with one", "hostIPC");
	return true;
}

static bool pid_namespace(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "ns.pid");

	if (limit == NULL)
		return judge->unknown;
	tarn__what(judge, "the PID namespace is %s", limit->text);
	if (strcmp(limit->text, "private") != 0)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "processes outside are not seen, so what they use looks unused from here; a "
		     "process id in shared memory means another process there");
	fix_container(judge, "--pid=host", "hostPID");
	return true;
}

static bool user_namespace(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "ns.user");

	if (limit == NULL)
		return judge->unknown;
	tarn__what(judge, "the user namespace is %s", limit->text);
	if (strcmp(limit->text, "private") == 0)
		tarn__breaks(judge, TARN_SEVERITY_OK,
			     "root here is another user outside: limits of the host cannot be "
			     "raised from here");
	return true;
}

static bool shm_namespace(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__may(judge, "ns.shm");

	if (limit == NULL)
		return false;
	tarn__what(judge, "/dev/shm is %s", limit->text);
	if (strcmp(limit->text, "private") != 0)
		return true;
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "process 1 and what it starts have another /dev/shm: a name opened there is "
		     "another object");
	tarn__fix(judge, "run both sides in one mount namespace: nsenter -t 1 -m, or without "
			 "unshare -m");
	return true;
}

static bool container(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__may(judge, "host.container");

	if (limit == NULL)
		return false;
	if (strcmp(limit->text, "no") == 0)
		tarn__what(judge, "this is no container");
	else
		tarn__what(judge, "this is a container (%s)", limit->text);
	return true;
}

static bool realtime(struct tarn__judge *judge)
{
	const struct tarn__limit *limit = tarn__need(judge, "kernel.sched_rt_runtime_us");

	if (limit == NULL)
		return judge->unknown;
	if (limit->pub.value != UINT64_MAX) {
		tarn__what(judge, "real-time tasks have %" PRIu64 " us of each second",
			   limit->pub.value);
		return true;
	}
	tarn__what(judge, "real-time tasks are not throttled (kernel.sched_rt_runtime_us=-1)");
	tarn__breaks(
		judge, TARN_SEVERITY_WARNING,
		"one that spins on shared memory takes its processor from everything else, the "
		"process it waits for included");
	tarn__fix(judge, "sysctl -w kernel.sched_rt_runtime_us=950000");
	return true;
}

static bool features(struct tarn__judge *judge)
{
	static const struct {
		const char *row, *breaks;
	} wanted[] = {
		{ "kernel.memfd_create", "memfd: and anon: segments cannot be made" },
		{ "kernel.membarrier", "waiting costs the other side a barrier at each message" },
		{ "kernel.futex_waitv",
		  "a peer's death is seen at the end of a slice, not at once" },
	};

	tarn__what(judge, "the kernel has memfd_create(), membarrier() and futex_waitv()");
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!tarn__says(judge, wanted[i].row, "no"))
			continue;
		tarn__what(judge, "%s() is not there, or is forbidden (seccomp)",
			   strchr(wanted[i].row, '.') + 1);
		tarn__breaks(judge, TARN_SEVERITY_WARNING, "%s", wanted[i].breaks);
		tarn__fix(judge, "allow it in the seccomp profile, or take Linux 5.16 or later");
		return true;
	}
	return true;
}

const struct tarn__check tarn__checks_host[] = {
	{ "remove-ipc", remove_ipc },
	{ "protected-files", protected_files },
	{ "ptrace-scope", ptrace_scope },
	{ "hidepid", hidepid },
	{ "proc-mount", proc_mount },
	{ "ipc-namespace", ipc_namespace },
	{ "pid-namespace", pid_namespace },
	{ "user-namespace", user_namespace },
	{ "shm-namespace", shm_namespace },
	{ "container", container },
	{ "realtime", realtime },
	{ "kernel", features },
	{ NULL, NULL },
};
