/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cond - a condition variable between processes, some of which are killed while they wait.
 *
 *     cond [COUNT [KILLS]]    numbers handed over; 1000 and 5
 *
 * prints
 *
 *     5 waiters killed, asleep; then 1000 numbers handed over, their sum 500500
 *
 * ready says whose turn it is; whoever has to wait sleeps until it was told, and looks again. With
 * a process-shared condition variable of glibc two killed waiters are enough to make a later signal
 * hang for ever, robust mutex or not. Here each waiter has a seat that bears its name, and the
 * dead are passed over. What ready and data guard is a section, so a process that is killed in
 * the middle of a turn has not begun it. With a mutex: tarn_cond_wait().
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

struct state {
	uint64_t data, ready, sum;
};

static struct tarn_section *section;
static struct tarn_cond *filled, *emptied;
static struct state *state;

/* One turn: wait until ready is @mine, and leave it !@mine for the other side, with @data. */
static int turn(uint64_t mine, uint64_t data)
{
	struct tarn_cond *wait_on = mine ? filled : emptied, *tell = mine ? emptied : filled;
	struct tarn_tx *tx;
	int r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);

	while (r == 0 && state->ready != mine)
		r = tarn_cond_wait_in(wait_on, section, TARN_FOREVER, &tx, NULL);
	if (r < 0)
		return r;
	TARN_SET(tx, &state->sum, state->sum + (mine ? state->data : 0));
	TARN_SET(tx, &state->data, data);
	TARN_SET(tx, &state->ready, !mine);
	r = tarn_section_leave(section);
	return r < 0 ? r : tarn_cond_signal(tell);
}

/* A process that takes @count turns as a consumer. */
static pid_t consumer(uint64_t count)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (uint64_t i = 0; i < count; i++)
		if (turn(1, 0) < 0)
			_exit(1);
	_exit(0);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	uint64_t kills = argc > 2 ? strtoull(argv[2], NULL, 10) : 5;
	struct tarn_region *region = NULL;
	struct tarn_lock_stat stat;
	int status = 1, failed = 0;
	void *at = NULL;

	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_section_open(region, NULL, &(struct tarn_section_opts){ 0 }, &section) < 0 ||
	    tarn_cond_open(region, "filled", &(struct tarn_cond_opts){ 0 }, &filled) < 0 ||
	    tarn_cond_open(region, "emptied", &(struct tarn_cond_opts){ 0 }, &emptied) < 0 ||
	    tarn_object_create(region, "state", sizeof(*state), &at, NULL) < 0)
		return 1;
	state = at;
	for (uint64_t n = 0; n < kills; n++) {
		pid_t victim = consumer(1);

		do /* until it is asleep */
			sched_yield();
		while (tarn_lock_stat(region, "filled", &stat, NULL, 0) == 0 &&
		       stat.who_count == 0);
		if (victim < 0 || kill(victim, SIGKILL) < 0 || waitpid(victim, &status, 0) < 0)
			return 1;
	}
	pid_t pid = consumer(count);

	for (uint64_t i = 1; i <= count && !failed; i++)
		failed = turn(0, i) < 0;
	failed |= pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
	printf("%d waiters killed, asleep; then %d numbers handed over, their sum %d\n", (int)kills,
	       (int)count, (int)state->sum);
	return failed || state->sum != count * (count + 1) / 2;
}
