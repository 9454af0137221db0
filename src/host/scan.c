/* SPDX-License-Identifier: BSD-2-Clause */
/* scan.c - take a picture: what is known of the host first, then the steps in order. See host.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

/* PROC_PID_INIT_INO of the kernel: the inode of the first PID namespace. */
#define FIRST_PID_NS UINT64_C(0xeffffffc)

static int check(const struct tarn_host_opts *opts)
{
	const uint32_t known = TARN_HOST_FILES | TARN_HOST_USAGE | TARN_HOST_NODES;

	if ((opts->flags & ~known) != 0)
		return tarn__diag(opts->diag, -EINVAL, "unknown flags 0x%x", opts->flags & ~known);
	if (opts->pid < 0)
		return tarn__diag(opts->diag, -EINVAL, "%d is no process id", opts->pid);
	for (size_t i = 0; i < 4; i++)
		if (opts->reserved[i] != 0)
			return tarn__diag(opts->diag, -EINVAL, "a reserved field is not zero");
	return 0;
}

/* "/host/" -> "/host", "/" -> "" */
static char *root_of(const char *root)
{
	size_t size = root != NULL ? strlen(root) : 0;
	char *copy;

	while (size > 0 && root[size - 1] == '/')
		size--;
	copy = malloc(size + 1);
	if (copy != NULL) {
		if (size > 0)
			memcpy(copy, root, size);
		copy[size] = '\0';
	}
	return copy;
}

static int hidden_line(char *line, void *arg)
{
	struct tarn_host *host = arg;
	const char *option = strstr(line, "hidepid=");
	char dir[256];

	if (strstr(line, " - proc ") == NULL || option == NULL ||
	    tarn__line_field(line, 4, dir, sizeof(dir)) < 0 || strcmp(dir, "/proc") != 0)
		return 0;
	option += strlen("hidepid=");
	host->stat.hidden = *option != '0' && strncmp(option, "off", 3) != 0;
	return 0;
}

static void know_namespaces(struct tarn_host *host)
{
	char self[16], text[32];
	struct stat st;

	if (tarn__plat_stat("/proc/self/ns/ipc", true, &st) == 0)
		host->ipc = (uint64_t)st.st_ino;
	host->pids_foreign = true;
	if (host->root[0] != '\0')
		return;
	if (tarn__plat_stat("/proc/self/ns/pid", true, &st) == 0)
		host->stat.enclosed = (uint64_t)st.st_ino != FIRST_PID_NS;
	snprintf(self, sizeof(self), "%d", tarn__plat_pid());
	if (tarn__plat_readlink("/proc/self", text, sizeof(text)) >= 0)
		host->pids_foreign = strcmp(self, text) != 0;
	if (tarn__plat_euid() != 0)
		(void)tarn__each_line("/proc/self/mountinfo", hidden_line, host);
}

static void know_memory(struct tarn_host *host)
{
	uint64_t total, left;

	host->no_swap = tarn__host_path(host, "/proc/meminfo") == 0 &&
			tarn__read_field(host->path, "SwapTotal:", &total) == 0 &&
			tarn__read_field(host->path, "SwapFree:", &left) == 0 && total == left;
	host->boot_ns = host->stat.taken_ns - tarn__plat_since_boot();
}

static int check_proc(struct tarn_host *host, struct tarn_diag *diag)
{
	struct stat st;
	int r = tarn__host_path(host, "/proc/self");

	if (r == 0)
		r = tarn__plat_stat(host->path, false, &st);
	if (r < 0) {
		tarn__diag(diag, -ENOENT, "there is no proc file system at %.200s/proc",
			   host->root);
		tarn__diag_hint(diag, "mount -t proc proc %.200s/proc", host->root);
		return r == -ENAMETOOLONG ? r : -ENOENT;
	}
	if (host->only_pid == 0)
		return 0;
	r = tarn__host_path(host, "/proc/%d", host->only_pid);
	if (r == 0 && tarn__plat_stat(host->path, true, &st) < 0)
		return tarn__diag(diag, -ESRCH, "there is no process %d", host->only_pid);
	return r;
}

/* Of one process alone: what it does not use is not in the picture. */
static void keep_used(struct tarn_host *host)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < host->seg_count; i++) {
		struct tarn__seg *seg = host->segs[i];

		if (seg->use_count > 0) {
			host->segs[kept++] = seg;
		} else {
			free(seg->path);
			free(seg->name);
			free(seg);
		}
	}
	host->seg_count = kept;
	memset(host->chains, 0, host->chain_count * sizeof(struct tarn__seg *));
	for (uint32_t i = 0; i < kept; i++)
		tarn__seg_chain(host, host->segs[i]);
}

static int scan(struct tarn_host *host, struct tarn_diag *diag)
{
	int64_t began = tarn__plat_now();
	int r;

	host->stat.taken_ns = tarn__plat_realtime();
	know_namespaces(host);
	know_memory(host);
	r = check_proc(host, diag);
	if (r == 0)
		r = tarn__host_names(host);
	if (r == 0)
		r = tarn__host_procs(host);
	if (r == 0 && host->only_pid != 0) {
		if (host->stat.unreadable_count > 0 && host->proc_count == 0)
			return tarn__diag(diag, -EACCES, "process %d may not be looked into",
					  host->only_pid);
		if (host->chain_count > 0)
			keep_used(host);
	}
	if (r == 0)
		r = tarn__host_usage(host);
	if (r == 0)
		r = tarn__host_judge(host);
	host->stat.took_ns = tarn__plat_now() - began;
	if (r == -ENOMEM)
		tarn__diag(diag, r, "out of memory while looking at the host");
	if (r == -EMFILE) {
		tarn__diag(diag, r, "this process has no file descriptors left");
		tarn__diag_hint(diag, "raise the limit with ulimit -n");
	}
	return r;
}

int tarn_host_scan(const struct tarn_host_opts *opts, struct tarn_host **ret_host)
{
	static const struct tarn_host_opts defaults;
	const struct tarn_host_opts *want = opts != NULL ? opts : &defaults;
	struct tarn_host *host;
	int r = check(want);

	if (r < 0)
		return r;
	host = calloc(1, sizeof(*host));
	if (host == NULL)
		return tarn__diag(want->diag, -ENOMEM, "out of memory");
	host->flags = want->flags;
	host->only_pid = want->pid;
	host->root = root_of(want->root);
	r = host->root != NULL ? scan(host, want->diag) : -ENOMEM;
	if (r < 0) {
		tarn_host_free(host);
		return r;
	}
	*ret_host = host;
	return 0;
}
