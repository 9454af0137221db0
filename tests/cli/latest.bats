# Latest values by get, watch, put and info: the newest, whole, and nobody is held up.
bats_require_minimum_version 1.5.0
load lib.bash

typed() { "$BUILD_DIR/tests/cli/typed" "$P" "$@" 3>&-; }
lines_in() { [ "$(wc -l <"$1")" -ge "$2" ]; }

@test "the newest value is got by its fields, or as bytes, and the region stays as it was" {
	typed latest
	local before
	before=$(md5sum <"/dev/shm/$P")
	run tarn get "$P/pose.x" "$P/pose.y"
	is 0
	[ "$output" = $'3\n-4' ]
	run tarn get "$P/pose" -a
	is 0
	[[ $output =~ number\ +1 ]]
	[[ $output =~ x\ +3\ +mm\ +to\ the\ right ]]
	run tarn get "$P/blob"
	[ "$output" = "hello, world" ]
	run tarn get "$P/blob" -a
	says "68 65 6c 6c 6f 2c 20 77 6f 72 6c 64"
	run tarn get "$P/frame"
	[ "$output" = frame ]
	run tarn get "$P/pose" -J
	json '.items[0] | .type == "point" and .number == 1 and .size_bytes == 16 and .guarded
	      and .fields[1].value == -4'
	run tarn get "$P/blob" -J
	json '.items[0] | .hex == "68656c6c6f2c20776f726c64" and .size_bytes == 12 and .fields == []'
	run tarn get "$P" -J
	json '[.items[].name | split("/")[1]] | sort == ["blob", "frame", "none", "pose"]'
	json '.items[] | select(.type == "point" and .number == 0) | .fields == []'
	[ "$(md5sum <"/dev/shm/$P")" = "$before" ]
	tarn rm "$P" --yes
}

@test "what there is not is told" {
	typed latest
	run tarn get "$P/none"
	is_error 3 get
	says "nothing was written yet"
	run tarn get "$P/blob.x"
	is_error 1 get
	says "without a type"
	run tarn get "$P/pose.z"
	is_error 3 get
	says "it has x, y"
	run tarn put "$P/blob.x=1" --write
	is_error 1 put
	run tarn put "$P/pose.x=1" "$P/none.x=1" --write
	is_error 2 put
	says "written by itself"
	run tarn watch "$P/blob.x"
	is_error 1 watch
	tarn rm "$P" --yes
}

@test "while a writer runs, what is got is whole, each time, in place or not" {
	typed latest
	"$BUILD_DIR/tests/cli/typed" "$P" rewrite 3>&- & # not by the function: $! is its pid
	local writer=$! got
	until_true sh -c "[ \"\$(tarn get $P/pose -J | jq '.items[0].number')\" -gt 5 ]"
	for _ in {1..25}; do
		got=$(tarn get "$P/pose.x" "$P/pose.y" -J |
			jq '.items[0].number > 1 and ([.items[].fields[].value] | length == 2)')
		[ "$got" = true ]
		got=$(tarn get "$P/pose" -J | jq '[.items[0].fields[].value] | unique | length')
		[ "$got" = 1 ]
		got=$(tarn get "$P/frame" | od -An -v -tx1 -w1 | sort -u | wc -l)
		[ "$got" = 1 ]
	done
	run tarn info "$P" -J
	json '.items[0].latests[0] | .latest == "pose" and .number > 25 and .type == "point"'
	kill -9 "$writer"
	wait "$writer" || true
	tarn rm "$P" --yes
}

@test "a put changes its fields, keeps the others, and loses no other writer's value" {
	typed latest
	run tarn put "$P/pose.x=9"
	is 0
	says "would set"
	[ "$(tarn get "$P/pose.x")" = 3 ]
	run tarn put "$P/pose.x=9" --write
	is 0
	[ "$(tarn get "$P/pose.x" "$P/pose.y")" = $'9\n-4' ]
	run tarn put "$P/none.y=5" --write
	is 0
	[ "$(tarn get "$P/none.x" "$P/none.y")" = $'0\n5' ]
	run tarn put "$P/pose.x=x" --write
	is_error 2 put
	# every value adds one to y, but for the two puts above and the ones that follow
	"$BUILD_DIR/tests/cli/typed" "$P" count 3>&- &
	local writer=$!
	for i in {1..40}; do
		tarn put "$P/pose.x=$i" --write >/dev/null
	done
	kill -9 "$writer"
	wait "$writer" || true
	run tarn get "$P/pose" -J
	json '.items[0] | .fields[0].value == 40 and .number == .fields[1].value + 4 + 2 + 40'
	tarn rm "$P" --yes
}

@test "each change is a line, and the first value where there was none" {
	typed latest
	tarn watch "$P/pose" -i 0.01 -c 3 >pose 3>&- &
	tarn watch "$P/none" -i 0.01 -c 1 -J >none 3>&- &
	tarn watch "$P/blob" -i 0.01 -c 1 >blob 3>&- &
	until_true lines_in pose 1
	tarn put "$P/pose.y=7" --write
	until_true lines_in pose 2
	tarn put "$P/pose.x=8" "$P/pose.y=9" --write
	sleep 0.1
	[ ! -s none ]
	tarn put "$P/none.x=5" --write
	wait
	[ "$(cat pose)" = $'x=3 y=-4\ny=7\nx=8 y=9' ]
	[ "$(cat blob)" = 68656c6c6f2c20776f726c64 ]
	output=$(cat none)
	json '.event == "first" and .number == 1 and .guarded and .fields[0].value == 5'
	need python3
	tarn help --man tarn-json | python3 "$SOURCE_DIR/tests/cli/schemas.py" check watch none
	run tarn watch "$P/pose.x" -1 -i 0.01 --timeout 0.1
	is_error 5 watch
	tarn rm "$P" --yes
}

@test "info says what there is, and who holds it" {
	typed latest
	"$BUILD_DIR/tests/cli/typed" "$P" keep >pid 3>&- &
	until_true test -s pid
	run tarn info "$P"
	[[ $output =~ pose\ +point\ +1\ +16\ B\ +16\ B\ +-\ +1\ +8\ +$(cat pid) ]]
	tarn put "$P/pose.x=1" --write # and nobody waits for who holds
	run tarn info "$P" -J
	json ".items[0].latests[0] | .holders == 1 and .holder_pids == \"$(cat pid)\" and .number == 2"
	json '.items[0].latests[] | select(.latest == "frame") | .in_place and .type == null'
	kill -9 "$(cat pid)"
	tarn rm "$P" --yes
}
