/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * robust.c - do to an image what the kernel does to memory when a thread with a robust list
 * dies: see kill_image_robust() in world.h.
 *
 * The list lies in the stopped process's memory: a head of three words (first node, offset
 * from node to futex word, node of an operation that is pending), and nodes that may lie
 * anywhere, in the world's files too. The kernel follows at most 2048 of them.
 */
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "view.h"

enum { LIST_LIMIT = 2048 };

static bool peek(pid_t pid, uintptr_t addr, void *buf, size_t size)
{
	struct iovec local = { .iov_base = buf, .iov_len = size };
	struct iovec remote = { .iov_base = (void *)addr, .iov_len = size };

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* Where in which file of the world @addr of process @pid lies. */
static bool locate(const struct kill_view *view, pid_t pid, uintptr_t addr, int *ret_item,
		   uint64_t *ret_off)
{
	char path[40];
	char line[512];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);

	FILE *f = fopen(path, "re");

	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		unsigned long from, to, off, inode;
		char perms[8];

		if (sscanf(line, "%lx-%lx %7s %lx %*s %lu", &from, &to, perms, &off, &inode) != 5)
			continue;
		if (addr < from || addr >= to || perms[3] != 's')
			continue;
		for (int i = 0; i < view->count && !found; i++) {
			if (view->items[i].inode != inode)
				continue;
			*ret_item = i;
			*ret_off = addr - from + off;
			found = true;
		}
	}
	fclose(f);
	return found;
}

static void mark_dead(struct kill_image *image, const struct kill_view *view, pid_t pid,
		      uintptr_t word_addr)
{
	uint32_t word;
	uint64_t off;
	int i;

	if (!locate(view, pid, word_addr, &i, &off) || i >= image->count)
		return;

	struct kill_item *item = &image->items[i];

	if (off > item->size || item->size - off < sizeof(word))
		return;
	memcpy(&word, item->data + off, sizeof(word));
	if ((word & FUTEX_TID_MASK) != (uint32_t)pid)
		return;
	word = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
	memcpy(item->data + off, &word, sizeof(word));
}

void kill_image_robust(struct kill_image *image, const struct kill_view *view, pid_t pid)
{
	uintptr_t head_addr = 0;
	size_t size = 0;
	uintptr_t head[3];

	if (syscall(SYS_get_robust_list, pid, &head_addr, &size) < 0 || head_addr == 0 ||
	    !peek(pid, head_addr, head, sizeof(head)))
		return;

	uintptr_t pending = head[2] & ~(uintptr_t)1;
	uintptr_t node = head[0] & ~(uintptr_t)1;

	for (int i = 0; i < LIST_LIMIT && node != head_addr && node != 0; i++) {
		uintptr_t next;

		/* the kernel reads the next node before it marks this one */
		bool more = peek(pid, node, &next, sizeof(next));

		if (node != pending)
			mark_dead(image, view, pid, node + head[1]);
		if (!more)
			break;
		node = next & ~(uintptr_t)1;
	}
	if (pending != 0)
		mark_dead(image, view, pid, pending + head[1]);
	kill_image_hash(image);
}
