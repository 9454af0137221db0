/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab_filter.c - only the system calls that matter stop a traced program (seccomp), so that all
 * others cost nothing: what makes, maps, unmaps or names memory, and what prints.
 *
 * It also closes the ways out of tracing: clone() with CLONE_UNTRACED; clone3(), whose flags cannot
 * be looked at from here, and for which C libraries fall back to clone(); calls of another word
 * size. Programs of another word size than this one do not run under it.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "lab.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

#define OTHER_CALLS 0x40000000 /* x32 */

#ifdef ARCH
#define LOAD(field)   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define TRACE         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)
#define ALLOW         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define IF_CALL(nr)   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), TRACE
/* The low half of the argument, on these little-endian machines. */
#define IF_FLAG(nr, arg, flag)                                                                     \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 4), LOAD(args[arg]),                          \
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (flag), 0, 1), TRACE, ALLOW

static struct sock_filter code[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
	REFUSE(ENOSYS),
	LOAD(nr),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, OTHER_CALLS, 0, 1),
	REFUSE(ENOSYS),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
	REFUSE(ENOSYS),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
	LOAD(args[0]),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_UNTRACED, 0, 1),
	REFUSE(EPERM),
	ALLOW,
	IF_FLAG(SYS_mmap, 3, MAP_SHARED),
	IF_FLAG(SYS_openat, 2, O_CREAT),
#ifdef SYS_open
	IF_FLAG(SYS_open, 1, O_CREAT),
	IF_CALL(SYS_creat),
	IF_CALL(SYS_link),
	IF_CALL(SYS_rename),
#endif
	IF_CALL(SYS_munmap),
	IF_CALL(SYS_linkat),
	IF_CALL(SYS_renameat2),
	IF_CALL(SYS_shmat),
	IF_CALL(SYS_shmdt),
	IF_CALL(SYS_shmget),
	IF_CALL(SYS_semget),
	IF_CALL(SYS_msgget),
	IF_CALL(SYS_write),
	IF_CALL(SYS_writev),
	ALLOW,
};

bool lab_filter_there(void)
{
	return prctl(PR_GET_SECCOMP) >= 0;
}

int lab_filter_set(void)
{
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return -errno;
	return 0;
}
#else
bool lab_filter_there(void)
{
	return false;
}

int lab_filter_set(void)
{
	return -ENOSYS;
}
#endif
