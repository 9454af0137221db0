/* SPDX-License-Identifier: BSD-2-Clause */
/* apart.c - where peers that do not trust each other meet, and who is let in. See apart_meet.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/apart_meet.h"

#define QUIET_NS INT64_C(10000000) /* a sleeper looks so often by itself */

enum {
	PARTING_MAX = 16,
	VAIN_MAX = 64, /* wakes in a row that nobody slept for */
};

/* --- who ----------------------------------------------------------------------------------- */

static int copy_ids(const uint32_t *from, uint32_t count, uint32_t **ret_to)
{
	*ret_to = count == 0 ? NULL : malloc(count * sizeof(*from));
	if (count == 0)
		return 0;
	if (*ret_to == NULL)
		return -ENOMEM;
	memcpy(*ret_to, from, count * sizeof(*from));
	return 0;
}

static int copy_peers(const struct tarn_topic_peers *peers, struct apart_peers *ret_peers)
{
	const struct tarn_topic_peers nobody = { .user_count = 0 };
	const struct tarn_topic_peers *from = peers != NULL ? peers : &nobody;

	*ret_peers = (struct apart_peers){ .anybody = from->anybody };
	if (copy_ids(from->users, from->user_count, &ret_peers->users) < 0 ||
	    copy_ids(from->groups, from->group_count, &ret_peers->groups) < 0) {
		tarn__apart_forget(ret_peers);
		return -ENOMEM;
	}
	ret_peers->user_count = from->user_count;
	ret_peers->group_count = from->group_count;
	return 0;
}

void tarn__apart_forget(struct apart_peers *peers)
{
	free(peers->users);
	free(peers->groups);
	*peers = (struct apart_peers){ .users = NULL };
}

static bool among(const uint32_t *ids, uint32_t count, uint32_t id)
{
	uint32_t i = 0;

	while (i < count && ids[i] != id)
		i++;
	return i < count;
}

/* Is @id what all have here whom this user namespace does not know? @map: uid_map or gid_map. */
static bool is_unknown(uint32_t id, const char *overflow, const char *map)
{
	char text[64];
	unsigned inside, outside, count;
	bool told = tarn__plat_read_text(overflow, text, sizeof(text)) > 0;

	if (id != (told ? strtoul(text, NULL, 10) : 65534))
		return false;
	/* where all are known it is one as any other */
	return tarn__plat_read_text(map, text, sizeof(text)) <= 0 ||
	       sscanf(text, "%u %u %u", &inside, &outside, &count) != 3 || count != UINT32_MAX;
}

static bool is_unknown_user(uint32_t uid)
{
	return is_unknown(uid, "/proc/sys/kernel/overflowuid", "/proc/self/uid_map");
}

static bool is_unknown_group(uint32_t gid)
{
	return is_unknown(gid, "/proc/sys/kernel/overflowgid", "/proc/self/gid_map");
}

static bool is_in_group(const struct apart_peers *peers, int sock, const struct tarn_peer *who)
{
	for (uint32_t i = 0; i < peers->group_count; i++) {
		uint32_t gid = peers->groups[i];

		if ((gid == who->gid || tarn__plat_in_group(sock, gid) > 0) &&
		    !is_unknown_group(gid))
			return true;
	}
	return false;
}

bool tarn__apart_lets_in(const struct apart_peers *peers, int sock, struct tarn_peer *ret_who)
{
	if (tarn__plat_peercred(sock, &ret_who->pid, &ret_who->uid, &ret_who->gid) < 0 ||
	    ret_who->uid == UINT32_MAX) /* the kernel does not know */
		return false;
	if (peers->anybody || is_in_group(peers, sock, ret_who))
		return true;
	return (ret_who->uid == tarn__plat_euid() ||
		among(peers->users, peers->user_count, ret_who->uid)) &&
	       !is_unknown_user(ret_who->uid);
}

/* --- where --------------------------------------------------------------------------------- */

void tarn__apart_path(char path[APART_PATH_MAX], int dir, const char *name, uint64_t token,
		      bool hidden)
{
	snprintf(path, APART_PATH_MAX, "/proc/self/fd/%d/%s%s:%016" PRIx64, dir, hidden ? "." : "",
		 name, token);
}

bool tarn__apart_token(const char *entry, const char *name, uint64_t *ret_token)
{
	size_t size = strlen(name);
	uint64_t token = 0;

	if (strncmp(entry, name, size) != 0 || entry[size] != ':' ||
	    strlen(entry + size + 1) != APART_TOKEN_DIGITS)
		return false;
	for (const char *p = entry + size + 1; *p != '\0'; p++) {
		static const char digits[] = "0123456789abcdef";
		const char *at = strchr(digits, *p);

		if (at == NULL)
			return false;
		token = token << 4 | (uint64_t)(at - digits);
	}
	*ret_token = token;
	return true;
}

static int open_dir(const char *name, const struct apart_where *where)
{
	struct tarn_diag *diag = where->diag;
	int r = tarn__plat_open(where->dir, O_PATH | O_DIRECTORY, 0);

	if (r >= 0)
		return r;
	tarn__diag(diag, r, "%s%s%s%sthe directory of sockets %s: %s",
		   name != NULL ? where->what : "", name != NULL ? " " : "",
		   name != NULL ? name : "", name != NULL ? ": " : "", where->dir, strerror(-r));
	if (r == -ENOENT)
		tarn__diag_hint(diag, "make it, writable for those that have sockets there");
	else if (r == -ENOTDIR)
		tarn__diag_hint(diag, "name the directory in which those that serve have their "
				      "sockets");
	else if (r == -EACCES)
		tarn__diag_hint(diag, "who comes by it has to be let into each directory on "
				      "the way to it (chmod +x)");
	return r;
}

int tarn__apart_begin(const char *name, const struct apart_where *where,
		      struct apart_peers *ret_peers)
{
	if (name == NULL || name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
		return tarn__diag(where->diag, -EINVAL,
				  "a %s's name in a directory of sockets has no '/', does not "
				  "begin with '.', and is not empty",
				  where->what);
	return tarn__apart_open(name, where, ret_peers);
}

int tarn__apart_open(const char *name, const struct apart_where *where,
		     struct apart_peers *ret_peers)
{
	int dir = open_dir(name, where), r;

	if (dir < 0)
		return dir;
	r = copy_peers(where->peers, ret_peers);
	if (r == 0)
		return dir;
	tarn__plat_close(dir);
	return tarn__diag(where->diag, r, "%s %s: no memory for its peers", where->what,
			  name != NULL ? name : "*");
}

/* --- what a peer may have sent --------------------------------------------------------------- */

static _Atomic uint32_t parting; /* threads that close something */

static void *part(void *arg)
{
	tarn__plat_close((int)(intptr_t)arg);
	/* relaxed: it is counted, and nothing else */
	atomic_fetch_sub_explicit(&parting, 1, memory_order_relaxed);
	return NULL;
}

/* To close the last descriptor of a file may wait for as long as who made it likes: a TCP socket
 * that lingers, a file system that its user serves. So what a peer may have sent along is dropped
 * where nobody waits; and past some such peers it stays. */
static void close_aside(int sock)
{
	/* relaxed, both: as above */
	if (atomic_fetch_add_explicit(&parting, 1, memory_order_relaxed) < PARTING_MAX &&
	    tarn__plat_thread_leave(part, (void *)(intptr_t)sock) == 0)
		return;
	atomic_fetch_sub_explicit(&parting, 1, memory_order_relaxed);
}

void tarn__apart_hang_up(int *sock)
{
	int closed = *sock;

	*sock = -1; /* before another file can have its number, for a child of fork() */
	if (closed < 0)
		return;
	/* Shut, so that no more can come; what lies there unread may be descriptors. */
	if (tarn__plat_shut(closed, true) < 0 || tarn__plat_unread(closed) > 0)
		close_aside(closed);
	else
		tarn__plat_close(closed);
}

/* --- who sleeps ---------------------------------------------------------------------------- */

void tarn__ringer_ring(struct ringer *ringer, _Atomic uint32_t *bell, uint32_t sleep)
{
	if ((sleep & SLEEPS) == 0 || ringer->rung == sleep ||
	    (ringer->quiet_until != 0 && tarn__plat_now() < ringer->quiet_until))
		return;
	ringer->rung = sleep;
	ringer->quiet_until = 0;
	/* seq_cst: whoever sleeps on the new value has looked after what was published */
	atomic_fetch_add_explicit(bell, 1, memory_order_seq_cst);
	/* One sleeps there, if it is honest; others may have put thousands there. */
	if (tarn__plat_futex_wake(bell, 1) > 0)
		ringer->vain = 0;
	else if (++ringer->vain == VAIN_MAX) { /* it says that it sleeps, and does not */
		ringer->vain = 0;
		ringer->quiet_until = tarn__plat_now() + QUIET_NS;
	}
}
