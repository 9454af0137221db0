/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addr.c - addresses taken apart. See <tarn/segment.h> for their forms.
 *
 * What comes out is safe to hand to open(): for shm: and huge: the path is the directory and one
 * name in it. Control characters are refused everywhere, since addresses end up on terminals.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

enum {
	NAME_SIZE_MAX = 255,  /* NAME_MAX of Linux */
	MEMFD_NAME_MAX = 249, /* what memfd_create() takes */
};

static int no_control(const char *text, struct tarn_diag *diag)
{
	for (size_t i = 0; text[i] != '\0'; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			return tarn__diag(
				diag, -EINVAL,
				"the address has the control character 0x%02x at byte %zu", c, i);
	}
	return 0;
}

/* One name in a directory: not a way out of it. */
static int check_name(const char *name, struct tarn_diag *diag)
{
	size_t size = strlen(name);

	if (size == 0)
		return tarn__diag(diag, -EINVAL, "the name is empty");
	if (size > NAME_SIZE_MAX)
		return tarn__diag(diag, -EINVAL, "the name has %zu bytes, at most %d fit", size,
				  NAME_SIZE_MAX);
	if (strchr(name, '/') != NULL) {
		tarn__diag(diag, -EINVAL, "the name '%.100s' has a '/' inside", name);
		tarn__diag_hint(diag, "a file elsewhere is written file:PATH");
		return -EINVAL;
	}
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return tarn__diag(diag, -EINVAL, "'%s' is no name", name);
	return 0;
}

/* A whole number in @text up to @end, 0 .. @max, of @base 10 or 16; false if it is none. */
static bool number(const char *text, const char *end, unsigned base, uint32_t max, uint32_t *ret)
{
	uint64_t n = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		unsigned char c = (unsigned char)*text;
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (c | 0x20) - 'a' + 10u;
		else
			return false;
		if (digit >= base)
			return false;
		n = n * base + digit;
		if (n > max)
			return false;
	}
	*ret = (uint32_t)n;
	return true;
}

/* --- one function a scheme ------------------------------------------------------------------- */

static int parse_shm(const char *rest, struct tarn__addr *addr, struct tarn_diag *diag)
{
	const char *name = rest[0] == '/' ? rest + 1 : rest;
	int r = check_name(name, diag);

	if (r < 0)
		return r;
	addr->kind = TARN_SEGMENT_POSIX;
	snprintf(addr->path, sizeof(addr->path), "%s/%s", TARN__SHM_DIR, name);
	return 0;
}

static int parse_huge(const char *rest, struct tarn__addr *addr, struct tarn_diag *diag)
{
	const char *name = rest[0] == '/' ? rest + 1 : rest;
	int r = check_name(name, diag);

	if (r < 0)
		return r;
	addr->kind = TARN_SEGMENT_HUGE;
	return tarn__huge_path(name, 0, addr->path, sizeof(addr->path), diag);
}

static int copy_path(const char *path, size_t size, struct tarn__addr *addr, struct tarn_diag *diag)
{
	if (size == 0)
		return tarn__diag(diag, -EINVAL, "the path is empty");
	if (size >= sizeof(addr->path))
		return tarn__diag(diag, -EINVAL, "the path has %zu bytes, at most %zu fit", size,
				  sizeof(addr->path) - 1);
	memcpy(addr->path, path, size);
	addr->path[size] = '\0';
	return 0;
}

static int parse_file(const char *rest, struct tarn__addr *addr, struct tarn_diag *diag)
{
	size_t size = strlen(rest);

	addr->kind = TARN_SEGMENT_FILE;
	if (size > 0 && rest[size - 1] == '/')
		return tarn__diag(diag, -EINVAL, "the path '%.100s' names a directory", rest);
	return copy_path(rest, size, addr, diag);
}

/* The key that ftok() makes, which glibc and musl agree on. */
static int ftok_key(struct tarn__addr *addr, uint32_t id, struct tarn_diag *diag)
{
	struct stat st;
	int r = tarn__plat_stat(addr->path, true, &st);

	if (r < 0)
		return tarn__refused(diag, r, "making a System V key from", addr->path);
	addr->key = (int32_t)((uint32_t)(st.st_ino & 0xffff) | (uint32_t)(st.st_dev & 0xff) << 16 |
			      id << 24);
	return 0;
}

/* sysv:PATH,ID; a letter stands for its code, as in ftok(path, 'A'). */
static int parse_ftok(const char *rest, const char *comma, struct tarn__addr *addr,
		      struct tarn_diag *diag)
{
	const char *text = comma + 1;
	const char *end = text + strlen(text);
	bool hex = text[0] == '0' && (text[1] | 0x20) == 'x';
	uint32_t id = 0;
	int r = copy_path(rest, (size_t)(comma - rest), addr, diag);

	if (r < 0)
		return r;
	if (!number(hex ? text + 2 : text, end, hex ? 16 : 10, 255, &id) && end == text + 1)
		id = (unsigned char)text[0];
	if (id == 0)
		return tarn__diag(diag, -EINVAL,
				  "'%.100s' is no project id: 1 to 255 or one letter is needed",
				  text);
	return ftok_key(addr, id, diag);
}

static int parse_sysv(const char *rest, struct tarn__addr *addr, struct tarn_diag *diag)
{
	const char *comma = strrchr(rest, ',');
	const char *end = rest + strlen(rest);
	uint32_t n = 0;

	addr->kind = TARN_SEGMENT_SYSV;
	if (comma != NULL)
		return parse_ftok(rest, comma, addr, diag);
	if (strcmp(rest, "private") == 0)
		return 0;
	if (rest[0] == '#' && number(rest + 1, end, 10, INT32_MAX, &n)) {
		addr->id = (int32_t)n;
		return 0;
	}
	if (rest[0] == '0' && (rest[1] | 0x20) == 'x' &&
	    number(rest + 2, end, 16, UINT32_MAX, &n) && n != 0) {
		addr->key = (int32_t)n;
		return 0;
	}
	tarn__diag(diag, -EINVAL, "'sysv:%.100s' is no System V address", rest);
	tarn__diag_hint(diag,
			"write sysv:0xKEY (not 0), sysv:PATH,ID, sysv:#SHMID or sysv:private");
	return -EINVAL;
}

static int parse_memfd(const char *rest, struct tarn__addr *addr, struct tarn_diag *diag)
{
	const char *colon = strchr(rest, ':');
	uint32_t pid, fd;

	addr->kind = TARN_SEGMENT_MEMFD;
	if (colon != NULL && number(rest, colon, 10, INT32_MAX, &pid) && pid != 0 &&
	    number(colon + 1, rest + strlen(rest), 10, INT32_MAX, &fd)) {
		addr->pid = (int32_t)pid;
		addr->id = (int32_t)fd;
		return 0;
	}
	size_t size = strlen(rest);

	if (size > MEMFD_NAME_MAX)
		return tarn__diag(diag, -EINVAL, "the name has %zu bytes, at most %d fit", size,
				  MEMFD_NAME_MAX);
	if (size == 0)
		return tarn__diag(diag, -EINVAL, "the name is empty");
	memcpy(addr->path, rest, size + 1);
	return 0;
}

static int parse_anon(const char *rest, struct tarn__addr *addr, struct tarn_diag *diag)
{
	addr->kind = TARN_SEGMENT_ANON;
	if (rest[0] != '\0')
		return tarn__diag(diag, -EINVAL, "'anon:' takes no name, '%.100s' was given", rest);
	return 0;
}

static const struct scheme {
	const char *name;
	int (*parse)(const char *rest, struct tarn__addr *addr, struct tarn_diag *diag);
} schemes[] = {
	{ "shm", parse_shm },   { "sysv", parse_sysv },   { "file", parse_file },
	{ "huge", parse_huge }, { "memfd", parse_memfd }, { "anon", parse_anon },
};

static int parse(const char *text, struct tarn__addr *addr, struct tarn_diag *diag)
{
	const char *colon = strchr(text, ':');

	if (colon == NULL)
		return parse_shm(text, addr, diag);

	size_t size = (size_t)(colon - text);

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strlen(schemes[i].name) == size && memcmp(schemes[i].name, text, size) == 0)
			return schemes[i].parse(colon + 1, addr, diag);
	tarn__diag(diag, -EINVAL,
		   "'%.*s:' is no kind of address; known are shm: sysv: file: huge: memfd: anon:",
		   (int)(size < 100 ? size : 100), text);
	tarn__diag_hint(diag, "a shared memory name with a colon in it is written shm:NAME");
	return -EINVAL;
}

int tarn__addr_parse(const char *text, struct tarn__addr *ret_addr, struct tarn_diag *diag)
{
	struct tarn__addr addr;
	int r;

	if (text == NULL)
		return tarn__diag(diag, -EINVAL, "no address was given");
	memset(&addr, 0, sizeof(addr));
	addr.id = -1;
	r = no_control(text, diag);
	if (r == 0)
		r = parse(text, &addr, diag);
	if (r == 0)
		*ret_addr = addr;
	return r;
}

int tarn__addr_parse_there(const char *text, struct tarn__addr *ret_addr, struct tarn_diag *diag)
{
	int r = tarn__addr_parse(text, ret_addr, diag);

	return r == -EOPNOTSUPP ? -ENOENT : r;
}
