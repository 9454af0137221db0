/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <tarn/tarn.h>

struct node {
	uint64_t next, key; /* next is a ref: pointers never stand in shared memory */
};
static void *list; /* its head, a node too, whose key is the books: the count of the others */
static struct tarn_section *lock;
static struct tarn_arena *mem;
static struct node *at(uint64_t ref) { return tarn_arena_at(mem, ref, sizeof(struct node)); }

/* Put random keys in, take them out where they are. Whoever dies has changed nothing or all. */
static int work(pid_t boss)
{
	struct node *head = list, *prev, *node;
	struct tarn_tx *tx;
	while (getppid() == boss && tarn_section_enter(lock, TARN_FOREVER, &tx, NULL) == 0) {
		uint64_t key = (uint64_t)rand() % 500 + 1;
		for (prev = head; (node = at(prev->next)) != NULL && node->key < key;) prev = node;
		uint64_t out = node != NULL && node->key == key, ref = out ? node->next : 0;
		if (!out && tarn_arena_alloc(mem, tx, sizeof(*node), 0, 0, &ref) < 0) return 1;
		if (!out) *at(ref) = (struct node){ prev->next, key }; /* new: needs no log */
		tarn_arena_free(mem, tx, out ? prev->next : 0);        /* 0 is well, and nothing */
		tarn_tx_set64(tx, &prev->next, ref);
		tarn_tx_set64(tx, &head->key, out ? head->key - 1 : head->key + 1);
		if (tarn_section_leave(lock) < 0) break;
	}
	return 1;
}

int main(int argc, char **argv) /* NAME KILLS */
{
	int kills = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0, status;
	pid_t pids[4], boss = getpid();
	struct tarn_region *r;
	struct tarn_section_stat past;
	struct tarn_arena_stat st;
	if (kills < 4 || tarn_region_create(argv[1], NULL, &r) < 0 ||
	    tarn_section_open(r, "lock", &(struct tarn_section_opts){ 0 }, &lock) < 0 ||
	    tarn_arena_open(r, "mem", &(struct tarn_arena_opts){ .section = lock }, &mem) < 0 ||
	    tarn_object_create(r, "list", sizeof(struct node), &list, NULL) < 0)
		return 2;
	for (int n = 0; n < kills + 4; n++) {
		nanosleep(&(struct timespec){ .tv_nsec = rand() % 1000000 }, NULL);
		if (n >= 4 && (kill(pids[n % 4], SIGKILL) < 0 || wait(&status) < 0)) return 1;
		if (n >= 4 && !WIFSIGNALED(status)) return 1;
		if (n < kills && (pids[n % 4] = fork()) <= 0) return work(boss);
	}
	if (tarn_section_recover(r, NULL, 0, NULL) || tarn_section_stat(lock, &past)) return 1;
	struct node *head = list, *node = at(head->next);
	uint64_t count = 0, last = 0;
	for (; node != NULL && node->key > last; node = at(node->next), count++) last = node->key;
	printf("%d kills, %u inside; %d keys\n", kills, past.recover_count, (int)count);
	return tarn_arena_stat(mem, &st) || count != head->key || st.used != count * sizeof(*node);
}
