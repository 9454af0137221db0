/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tear - a double buffer that tears, and one that does not.
 *
 *     tear shown          as it is usually shown; until a torn value is seen, 10 s at most
 *     tear sequence       the same, with a sequence number for each buffer
 *
 * prints "shown: 1 torn of 41873 reads" or "sequence: 0 torn of 20000 reads".
 *
 * The writer fills the buffer that is not active, and then makes it the active one. A reader that
 * was told "buffer 0" and reads slowly is lapped: at its second update the writer is in buffer 0
 * again. So the reader has to be able to see that it was lapped. The number of a buffer is odd
 * while it is written, and differs afterwards: a reader that finds it even, and the same after its
 * copy, has one whole value. A reader may have to copy again, a writer never waits. Words are read
 * and written as atomics, so that the race that the numbers find is none in the eyes of C.
 *
 * tarn_section_read() does the same for what a section guards: see ../structs/config.c.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 64, READS = 20000 };
struct value {
	_Atomic uint64_t words[WORDS]; /* all equal */
};
struct shared {
	_Atomic uint32_t active;
	_Atomic uint32_t number[2];
	struct value buffers[2];
};

static void write_buffer(struct shared *s, uint64_t n)
{
	uint32_t other = !atomic_load(&s->active);

	atomic_fetch_add_explicit(&s->number[other], 1, memory_order_relaxed);
	/* release: the odd number before each word; the words before what publishes them */
	for (int i = 0; i < WORDS; i++)
		atomic_store_explicit(&s->buffers[other].words[i], n, memory_order_release);
	atomic_fetch_add_explicit(&s->number[other], 1, memory_order_release);
	atomic_store_explicit(&s->active, other, memory_order_release);
}

static void read_buffer(struct shared *s, bool checked, uint64_t *copy)
{
	for (;;) {
		/* acquire: number, words and number again in this order */
		uint32_t at = atomic_load_explicit(&s->active, memory_order_acquire);
		uint32_t number = atomic_load_explicit(&s->number[at], memory_order_acquire);

		for (int i = 0; i < WORDS; i++)
			copy[i] = atomic_load_explicit(&s->buffers[at].words[i],
						       memory_order_acquire);
		if (!checked || (number % 2 == 0 && atomic_load(&s->number[at]) == number))
			return;
	}
}

int main(int argc, char **argv)
{
	bool shown = argc > 1 && strcmp(argv[1], "shown") == 0;
	time_t until = time(NULL) + 10;
	uint64_t copy[WORDS], torn = 0, reads = 0;
	struct shared *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t reader = getpid(), writer;

	if (argc != 2 || s == MAP_FAILED || (writer = fork()) < 0)
		return fprintf(stderr, "usage: tear shown|sequence\n"), 2;
	if (writer == 0)
		for (uint64_t n = 1; getppid() == reader; n++)
			write_buffer(s, n);
	else
		while (shown ? torn == 0 && time(NULL) < until : reads < READS) {
			read_buffer(s, !shown, copy);
			torn += memcmp(copy, copy + 1, sizeof(copy) - sizeof(copy[0])) != 0;
			reads++;
		}
	if (writer == 0)
		return 1;
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	printf("%s: %d torn of %d reads\n", argv[1], (int)torn, (int)reads);
	return shown != (torn != 0);
}
