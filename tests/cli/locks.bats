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
	run --separate-stderr tarn locks "$P" --held-over 1h
	is 0
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
