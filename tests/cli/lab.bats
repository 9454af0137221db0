# lab: right programs for each exercise pass, in two languages; wrong ones are told what is wrong. Whoever
# runs away, hangs, crashes, floods or leaves something is ended and named.
bats_require_minimum_version 1.5.0
load lib.bash

counter() { run tarn lab check 1 --clean "${flags[@]}" "$BUILD_DIR/tests/lab/lab-counter" "$1" "$P"; }
buffer() { run tarn lab check 2 "$BUILD_DIR/tests/lab/lab-buffer" "$1"; }
matrix() { run tarn lab check 3 "$BUILD_DIR/tests/lab/lab-matrix" "$1"; }

# Lines are wrapped for the eye.
says_words()
{
	local text
	text=$(tr -s ' \n' ' ' <<<"$output")
	[[ $text == *"$1"* ]] && return
	echo "does not say: $1"
	echo "says: $output"
	return 1
}

nothing_left()
{
	shm_unchanged
	run pgrep -f "lab-counter [a-z-]* $P"
	[ -z "$output" ]
}

@test "the exercises are listed and shown, with the rules by which they are judged" {
	run tarn lab
	is 0
	says "1  a counter"
	says "2  a buffer"
	says "3  a product"
	list=$output
	run tarn lab list
	[ "$output" = "$list" ]
	for n in 1 2 3; do
		run tarn lab show $n
		is 0
		says "Exercise $n:"
		says "leftovers"
		says "Not judged:"
	done
	run tarn lab show 4
	is_error 3 lab
	run tarn lab list -J
	json '[.items[] | .exercise] == [1, 2, 3] and all(.items[]; .right == null and .checks == [])'
	run tarn lab show 2 -J
	json '.items[0] | .exercise == 2 and ([.rules[].name] | index("bound"))'
}

@test "a command line that is wrong is bad usage, a program that is not there exits 3" {
	for words in "sho" "show" "show 1 2" "list 1" "check" "check 1" "check 1 -t 0 true" "check 1 -t x true"; do
		# shellcheck disable=SC2086 # words
		run tarn lab $words
		is_error 2 lab
	done
	run tarn lab check 1 "./$P.none"
	is_error 3 lab
	run tarn lab check 1 "$P.none"
	is_error 3 lab
	says "./$P.none"
	: >"$P.file"
	run tarn lab check 1 "./$P.file"
	is_error 4 lab
	run tarn lab check true
	is_error 2 lab
	says "cannot be told"
}

@test "what follows the program is for the program" {
	printf '#!/bin/sh\necho "Final counter: $*"\n' >prog
	chmod +x prog
	run tarn lab check 1 -v ./prog -t 1 --clean -J 2
	is 1
	says "Final counter: -t 1 --clean -J 2"
	run tarn lab -v check 1 -- ./prog --json
	says "Final counter: --json"
}

@test "exercise 1: a counter with a semaphore is right, so are atomics and System V" {
	for how in right atomic sysv; do
		counter $how
		is 0
		says "right  lost-updates"
		says_words "that is no proof"
		says "Right, in 5 runs."
	done
	nothing_left
}

@test "exercise 1: updates that are lost without a lock are found, however short the loop is" {
	for _ in 1 2 3; do
		counter unlocked
		is 1
		says "WRONG  lost-updates"
		says_words "of 2000 updates were lost"
		says_words "read the same value"
	done
	nothing_left
}

@test "exercise 1: an addition of one instruction is no lock" {
	[ "$(uname -m)" = x86_64 ] || skip "what is atomic is told by its instruction, of x86-64 alone"
	counter single
	is 1
	says_words "WRONG lost-updates"
	says_words "lost" # in a run, or as an overlap
}

@test "exercise 1: what is left behind is named with the command that removes it, and removed by --clean" {
	run tarn lab check 1 "$BUILD_DIR/tests/lab/lab-counter" leak "$P"
	is 1
	says "WRONG  leftovers"
	says_words "segment shm:$P, semaphore shm:sem.${P}_lock"
	says_words "tarn rm --foreign --yes 'shm:$P'"
	says_words "another run would find what this one left"
	[ -e "/dev/shm/$P" ]
	# the next finds it
	run tarn lab check 1 "$BUILD_DIR/tests/lab/lab-counter" stale "$P"
	is 1
	says_words "printed 4000 instead of 2000"
	says_words "shm:$P was there before"
	tarn rm --foreign --yes "shm:$P" "shm:sem.${P}_lock"
	counter leak
	is 1
	says "WRONG  leftovers"
	says "(now removed)"
	nothing_left
	sets=$(wc -l </proc/sysvipc/sem)
	counter sysv-leak
	is 1
	says "semaphore set"
	says "segment sysv:#"
	[ "$(wc -l </proc/sysvipc/sem)" -eq "$sets" ]
}

@test "exercise 1: only what the program made is charged to it and removed" {
	head -c 4096 /dev/zero >"/dev/shm/$P.mine"
	(sleep 0.3; head -c 4096 /dev/zero >"/dev/shm/$P.later") 3>&- &
	counter leak
	is 1
	wait
	[[ $output != *mine* && $output != *later* ]]
	[ -e "/dev/shm/$P.mine" ] && [ -e "/dev/shm/$P.later" ]
	rm "/dev/shm/$P.mine" "/dev/shm/$P.later"
	shm_unchanged
}

@test "exercise 1: a lock that is never let go of, and a loop for ever, are ended in time" {
	flags=(-t 2)
	counter hang
	is 1
	says_words "never ended: after 2.0 s"
	says_words "waits for a semaphore"
	says_words "a lock that its holder never let go of"
	counter spin
	is 1
	says_words "computes, or turns in a loop"
	nothing_left
}

@test "exercise 1: a crash is told by its signal and likely cause" {
	counter crash
	is 1
	says_words "a child, was killed by signal 11"
	says_words "touched address 0x8"
	counter unsized
	is 1
	says_words "killed by signal 7"
	says_words "ftruncate()"
	nothing_left
}

@test "exercise 1: a program that shares no memory is told so, whatever it prints" {
	for how in private pipe; do
		counter $how
		is 1
		says "WRONG  memory"
		says_words "no shared memory: 3 processes"
	done
	counter threads
	is 1
	says_words "no shared memory: one process with 2 threads"
	counter silent
	is 1
	says_words 'no line "Final counter: 2000"'
	says_words "printed nothing at all"
}

@test "exercise 1: children that are not waited for are told, and ended" {
	counter run-on
	is 1
	says_words "2 of its processes ran on and were killed"
	counter unwaited
	is 1
	says_words "ended without having waited for"
	nothing_left
}

processes()
{
	set -- /proc/[0-9]*
	echo $#
}

@test "a fork bomb does not grow while it is ended" {
	before=$(processes)
	most=$before
	tarn lab check 1 "$BUILD_DIR/tests/lab/lab-counter" bomb >/dev/null 2>&1 3>&- &
	while kill -0 $! 2>/dev/null; do
		now=$(processes)
		[ "$now" -le "$most" ] || most=$now
	done
	[ $((most - before)) -lt 700 ]
}

@test "a fork bomb and endless output are ended" {
	counter bomb
	is 1
	says_words "more than 64 processes and threads at a time"
	counter escape
	is 1
	says_words "no shared memory, and one process only"
	nothing_left
	counter flood
	is 1
	says_words "printed more than"
	nothing_left
}

@test "exercise 2: three semaphores are right" {
	buffer right
	is 0
	says "Right, in 4 runs."
	says_words "right order"
	says_words "right bound"
}

@test "exercise 2: an over-full buffer, wrong order and items too few are told" {
	buffer unbounded
	is 1
	says_words "the buffer was over-full"
	buffer eager
	is 1
	says_words "were consumed that had not been produced"
	for how in order no-wrap; do
		buffer $how
		is 1
		says_words 'items are lost: 50 lines "Consumed", never'
		says_words "counted differently on both sides"
		says_words "right bound"
	done
	buffer short
	is 1
	says_words 'items are missing: 49 lines "Consumed" instead of 50, never 49 why:'
	buffer one-process
	is 1
	says_words "printed for the producer and for the consumer"
}

@test "exercise 2: one item too many in the buffer is over-full, whatever the order is by then" {
	buffer eleven
	is 1
	says_words "the buffer was over-full: item 1"
	says_words "and both have the same place in a ring of 10"
	says_words 'items are lost: 50 lines "Consumed", never'
	says_words "see bound"
	[[ $output != *"wrong order"* ]]
	[[ $output == *bound*order* ]] # what is wrong comes first
}

@test "exercise 2: items that are missing or too many are told before their order is" {
	buffer skip
	is 1
	says_words 'items are missing: 49 lines "Produced" instead of 50, never 25; line'
	buffer repeat
	is 1
	says_words 'too many items: 51 lines "Produced" instead of 50, more than once 24; line'
	buffer more
	is 1
	says_words 'too many items: 51 lines "Produced" instead of 50'
	[[ $output != *"wrong order"* ]]
	buffer swap # only this is wrong order
	is 1
	says_words 'wrong order: each item once; line'
	says_words 'says "Produced: 26" where item 25 was due'
}

@test "exercise 2: waiting for room while holding the lock is a deadlock" {
	run tarn lab check 2 -t 3 "$BUILD_DIR/tests/lab/lab-buffer" deadlock
	is 1
	says_words "never ended"
	says_words "never wait for room or items while holding the mutex"
}

@test "exercise 3: the product is computed again, wherever the matrices lie" {
	for how in right three; do
		matrix $how
		is 0
		says_words "all 200 rows of C are A times B (double"
	done
	matrix short-rows
	is 1
	says_words "4 of 200 rows of C are not A times B; the first is row 49"
	matrix three-workers
	is 1
	says_words 'no line "Process 3: rows 150-199 done"'
	says_words "50 of 200 rows"
	matrix private
	is 1
	says_words "no shared memory: 5 processes"
	matrix zero
	is 1
	says_words "no product of two 200 x 200 matrices was found"
}

@test "programs in Python are judged in the same way, and the exercise is told by the output" {
	need python3
	python3 -c 'import multiprocessing.shared_memory' || skip "this Python has no shared memory"
	local lab=$SOURCE_DIR/tests/lab
	run tarn lab check --clean python3 "$lab/counter.py" right
	is 0
	says "Exercise 1"
	run tarn lab check --clean python3 "$lab/counter.py" leak
	is 1
	says_words "left behind: segment shm:psm_"
	run tarn lab check --clean python3 "$lab/counter.py" copy
	is 1
	says_words "printed 0 instead of 2000"
	run tarn lab check python3 "$lab/buffer.py" right
	is 0
	says "Exercise 2"
	run tarn lab check python3 "$lab/buffer.py" unbounded
	is 1
	says "over-full"
	run tarn lab check python3 "$lab/matrix.py"
	is 0
	says_words "A times B (long"
	shm_unchanged
}

@test "-J gives verdicts for scripts" {
	run tarn lab check 2 -J "$BUILD_DIR/tests/lab/lab-buffer" unbounded
	is 1
	json '.schema == "tarn.lab/1" and .items[0].right == false and .items[0].runs == 4'
	json '.items[0].checks[] | select(.name == "bound") | .verdict == "wrong" and (.fix | test("begins with 10"))'
	run tarn lab check 2 -J "$BUILD_DIR/tests/lab/lab-buffer" right
	is 0
	json '.items[0].right and all(.items[0].checks[]; .verdict == "right")'
}
