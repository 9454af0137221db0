/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deadlock - two processes take two locks in opposite orders, and nobody hangs.
 *
 *     deadlock
 *
 * prints, with other process ids:
 *
 *     child: inside of accounts
 *     parent: accounts after 50 ms: Connection timed out (...)
 *     parent: inside of orders
 *     parent: accounts, while inside of orders: Resource deadlock avoided
 *     child: inside of accounts and orders
 *
 * Sections have an order, by the offsets they have in their region: whoever would enter against it
 * is told -EDEADLK at once, before anything can lock up. And each wait has a deadline; what comes
 * back with -ETIMEDOUT says who is inside. With mutexes or semaphores both processes would wait
 * for ever.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

static struct tarn_section *accounts, *orders;

static int child(int told, int tells)
{
	struct tarn_tx *tx;
	char byte = 0;

	if (tarn_section_enter(accounts, TARN_FOREVER, &tx, NULL) < 0)
		return 1;
	puts("child: inside of accounts");
	fflush(stdout);
	if (write(tells, &byte, 1) != 1 || read(told, &byte, 1) != 1 ||
	    tarn_section_enter(orders, TARN_FOREVER, &tx, NULL) < 0)
		return 1;
	puts("child: inside of accounts and orders");
	fflush(stdout);
	return tarn_section_leave(orders) < 0 || tarn_section_leave(accounts) < 0;
}

static int parent(int told, int tells)
{
	struct tarn_diag diag = { "", "" };
	struct tarn_tx *tx;
	char byte = 0;

	if (read(told, &byte, 1) != 1)
		return 1;
	int late = tarn_section_enter(accounts, tarn_deadline_after(50000000), &tx, &diag);

	printf("parent: accounts after 50 ms: %s (%s)\n", strerror(-late), diag.what);
	if (tarn_section_enter(orders, TARN_FOREVER, &tx, NULL) < 0)
		return 1;
	puts("parent: inside of orders");
	int crossed = tarn_section_enter(accounts, TARN_FOREVER, &tx, &diag);

	printf("parent: accounts, while inside of orders: %s\n", strerror(-crossed));
	fflush(stdout);
	if (tarn_section_leave(orders) < 0 || write(tells, &byte, 1) != 1)
		return 1;
	return late >= 0 || crossed >= 0;
}

int main(void)
{
	const struct tarn_section_opts opts = { 0 };
	struct tarn_region *region = NULL;
	int up[2], down[2], status = 1;

	if (tarn_region_create("anon:", NULL, &region) < 0 ||
	    tarn_section_open(region, "accounts", &opts, &accounts) < 0 ||
	    tarn_section_open(region, "orders", &opts, &orders) < 0 || pipe(up) < 0 ||
	    pipe(down) < 0)
		return 1;
	pid_t pid = fork();

	if (pid == 0)
		return child(down[0], up[1]);
	close(up[1]);
	int r = pid < 0 || parent(up[0], down[1]);

	close(down[1]);
	return r || wait(&status) < 0 || status != 0;
}
