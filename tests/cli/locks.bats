# Who has what, who waits, circles, and what is held for long.
bats_require_minimum_version 1.5.0
load lib.bash

typed() { "$BUILD_DIR/tests/cli/typed" "$P" "$@" 3>&-; }
waits() { [ "$(tarn locks "$P" -J | jq '.items[0].waiters')" = "$1" ]; }

@test "what nobody has is left out, and shown with --all or by its name" {
	typed make
	run --separate-stderr tarn locks "$P"
	is 0
	[ -z "$output" ]
	run tarn locks "$P" --all
	is 0
	says "$P/lock"
	says "free"
	run tarn locks "$P/lock" -J
	is 0
	json '.schema == "tarn.locks/1"'
	json '.items[0] | .kind == "section" and .state == "free" and .pid == null and .threads == []'
	run tarn locks "$P/raw"
	is_error 1 locks
	says "no lock"
	run tarn locks "$P/none"
	is_error 3 locks
	run tarn locks "${P}x"
	is_error 3 locks
	tarn rm "$P" --yes
}

@test "the holder, since when, and who waits are told; then that it is dead" {
	typed make
	"$BUILD_DIR/tests/cli/typed" "$P" hold >pid 3>&- &
	until_true test -s pid
	run tarn locks "$P" -J
	is 0
	json ".items[0] | .state == \"held\" and .pid == $(cat pid) and .command == \"typed\"
	      and .held_ns == null and .waiters == 0"
	"$BUILD_DIR/tests/cli/typed" "$P" step 3>&- &
	until_true waits 1
	run tarn locks "$P" -J
	is 0
	json ".items[0] | .waiters == 1 and .held_ns > 0 and .deadlock == null"
	json ".items[0].threads | [.[].role] == [\"holds\", \"waits\"] and .[1].pid == $! and all(.alive)"
	run tarn locks # all regions of the host
	is 0
	says "$P/lock"
	says "waits"
	says "$!"
	kill -STOP $! # nobody undoes it
	kill -9 "$(cat pid)"
	until_true sh -c "tarn locks $P -J | jq -e '.items[0].state == \"dead\"'"
	kill -9 $!
	wait || true
	tarn rm "$P" --yes
}

@test "--held-over finds what is held for longer, with and without waiters, and nothing else" {
	typed make
	run tarn locks "$P" --held-over 0.1
	is 0
	"$BUILD_DIR/tests/cli/typed" "$P" hold >pid 3>&- &
	until_true test -s pid
	run tarn locks "$P" --held-over 0.2
	is 1
	says "$P/lock"
	"$BUILD_DIR/tests/cli/typed" "$P" step 3>&- &
	until_true waits 1
	# who waits came later than the owner: how long it is held is to be seen
	run --separate-stderr timeout 1 tarn locks "$P" --held-over 1h
	is 124
	[ -z "$output" ]
	kill -9 "$(cat pid)" $!
	wait || true
	tarn recover "$P" --yes
	"$BUILD_DIR/tests/cli/typed" "$P" write 3>&- & # held most of the time, and never for long
	run tarn locks "$P" --held-over 0.3
	is 0
	kill -9 $!
	wait || true
	run tarn locks "$P" --held-over soon
	is_error 2 locks
	tarn rm "$P" --yes
}

both_wait() { [ "$(tarn locks "$P" "${P}b" -J | jq '[.items[].waiters] | add')" = 2 ]; }

@test "a circle over two regions is told as a deadlock, by either region or all" {
	"$BUILD_DIR/tests/cli/cross" "$P" "${P}b" 3>&- &
	one=$!
	"$BUILD_DIR/tests/cli/cross" "${P}b" "$P" 3>&- &
	two=$!
	until_true both_wait
	run --separate-stderr tarn locks "$P" "${P}b" -J
	is 1
	json '[.items[] | .deadlock] == [1, 1]'
	json '[.items[] | .kind] == ["semaphore", "semaphore"]'
	[[ $stderr == *"deadlock 1: process $one (cross), thread $one, has $P/permit and waits for ${P}b/permit"* ]]
	[[ $stderr == *"deadlock 1: process $two"* ]]
	run tarn locks
	is 1
	run --separate-stderr tarn locks "$P" -J # half the picture is no circle
	is 0
	json '.items[0].deadlock == null'
	kill -9 $one $two
	wait || true
	tarn rm "$P" "${P}b" --yes
}

with_circle() { tarn locks "$P" -J >out 2>said; jq -e '[.items[].deadlock] | max == 1' out >/dev/null; }

# Process one does FIRST, then wants the mutex; two has the mutex, then does SECOND.
make_circle()
{
	"$BUILD_DIR/tests/cli/prims" "$P" "$1" go when t lock >one 3>&- &
	"$BUILD_DIR/tests/cli/prims" "$P" lock go when t "$2" >two 3>&- &
	until_true test -s one
	until_true test -s two
	touch t
	until_true with_circle
}

@test "--held-over finds every kind that can be held, says for how long, and not what changes hands" {
	"$BUILD_DIR/tests/cli/prims" "$P" lock write permit permit spin once seq go stay >pid 3>&- &
	until_true test -s pid
	run tarn locks "$P" --held-over 0.4 -J
	is 1
	json '[.items[].name | split("/")[1]] | sort == ["m", "o", "p", "q", "s", "w"]'
	json 'all(.items[]; .held_ns > 400000000 and .waiters == 0)'
	run tarn locks "$P/m" --held-over 0.4
	says "0.4s"
	kill -9 "$(cat pid)"
	wait || true
	tarn rm "$P" --yes
	"$BUILD_DIR/tests/cli/prims" "$P" read read permit spin go stay >pid2 3>&- &
	until_true test -s pid2
	run tarn locks "$P" --held-over 0.2 -J
	is 1
	json '[.items[].name | split("/")[1]] | sort == ["p", "s", "w"]'
	kill -9 "$(cat pid2)"
	wait || true
	tarn rm "$P" --yes
	"$BUILD_DIR/tests/cli/prims" "$P" read permit spin go toggle >pid3 3>&- &
	until_true test -s pid3
	run --separate-stderr tarn locks "$P" --held-over 0.5
	is 0
	[ -z "$output" ]
	kill -9 "$(cat pid3)"
	wait || true
	tarn rm "$P" --yes
}

@test "a writer that waits for a reader is told as waiting, and the circle through it is found" {
	make_circle read write
	jq -e ".items[] | select(.kind == \"rwlock\") | .pid == $(cat one) and .waiters == 1
	       and ([.threads[].role] == [\"shares\", \"waits\"])" out
	grep "process $(cat one) (prims), thread $(cat one), has $P/w and waits for $P/m" said
	kill -9 "$(cat one)" "$(cat two)"
	wait || true
	tarn rm "$P" --yes
}

@test "who spins is told as waiting, the thread that has a spin lock as unknown; a circle is found" {
	make_circle spin spin
	jq -e ".items[] | select(.kind == \"spin\") | .pid == $(cat one) and .tid == null
	       and .waiters == 1 and .threads[1].tid == $(cat two)" out
	run tarn locks "$P/p" --noheadings -o pid,tid
	[[ $output == *"$(cat one)"*"-"* ]]
	kill -9 "$(cat one)" "$(cat two)"
	wait || true
	tarn rm "$P" --yes
}

all_eight() { [ "$(tarn locks "$P/m" -J | jq '.items[0].waiters')" = 8 ]; }
both_there() { [ "$(tarn locks "$P/b" -J | jq '.items[0].waiters')" = 2 ]; }

@test "where the places for waiters are all taken it says so, and the dead are not counted" {
	"$BUILD_DIR/tests/cli/prims" "$P" lock go stay >pid 3>&- &
	until_true test -s pid
	for _ in 1 2 3 4 5 6 7; do "$BUILD_DIR/tests/cli/prims" "$P" lock 3>&- & done
	until_true sh -c "[ \$(tarn locks $P/m -J | jq '.items[0].waiters') = 7 ]"
	run tarn locks "$P/m" -J
	json '.items[0].more_waiters == false'
	for _ in 1 2; do "$BUILD_DIR/tests/cli/prims" "$P" lock 3>&- & done
	until_true all_eight
	run tarn locks "$P/m" -J
	json '.items[0].more_waiters == true'
	run tarn locks "$P/m"
	says "8 or more wait"
	# shellcheck disable=SC2046 # a list
	kill -9 $(jobs -p)
	wait || true
	"$BUILD_DIR/tests/cli/prims" "$P" go barrier >one 3>&- &
	"$BUILD_DIR/tests/cli/prims" "$P" go barrier >two 3>&- &
	until_true both_there
	kill -9 "$(cat one)" "$(cat two)"
	wait || true
	run tarn locks "$P/b" -J
	json '.items[0] | .waiters == 0 and ([.threads[].alive] == [false, false])'
	tarn rm "$P" --yes
}
