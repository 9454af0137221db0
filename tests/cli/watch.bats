# A struct each time that it changes: lines, JSON, ends.
bats_require_minimum_version 1.5.0
load lib.bash

typed() { "$BUILD_DIR/tests/cli/typed" "$P" "$@" 3>&-; }
lines_in() { [ "$(wc -l <"$1")" -ge "$2" ]; }

@test "each change is a line with what has changed, and a field alone is its value" {
	typed make
	tarn watch "$P/kitchen" -i 0.01 -c 3 >all 3>&- &
	tarn watch "$P/kitchen.state" -i 0.01 -c 2 >state 3>&- &
	until_true lines_in all 1
	until_true lines_in state 1
	tarn put "$P/kitchen.trim=5" "$P/kitchen.place=a \"b\"" --write
	until_true lines_in all 2
	tarn put "$P/kitchen.state=off" --write
	wait
	[[ $(sed -n 1p all) == "temperature=21.5 time=18446744073709551615 state=on "* ]]
	[ "$(sed -n 2p all)" = 'place="a \"b\"" trim=5' ]
	[ "$(sed -n 3p all)" = "state=off" ]
	[ "$(cat state)" = $'on\noff' ]
	tarn rm "$P" --yes
}

@test "as JSON each line is an object by its schema" {
	typed make
	tarn watch "$P/kitchen" -i 0.01 -c 2 -J >lines 3>&- &
	until_true lines_in lines 1
	tarn put "$P/kitchen.temperature=3" "$P/kitchen.samples[2]=4" --write
	wait
	output=$(sed -n 1p lines)
	json '.schema == "tarn.watch/1" and .event == "first" and .guarded and (.fields | length) == 31'
	output=$(sed -n 2p lines)
	json '.event == "changed" and .fields == [{"field": "temperature", "value": 3, "unit": "degC"},
	      {"field": "samples[2]", "value": 4, "unit": "V"}]'
	need python3
	tarn help --man tarn-json | python3 "$SOURCE_DIR/tests/cli/schemas.py" check watch lines
	tarn rm "$P" --yes
}

@test "--once waits for a change, --timeout ends the wait, and so does removal" {
	typed make
	run tarn watch "$P/kitchen.trim" -1 -i 0.01 --timeout 0.1
	is_error 5 watch
	tarn watch "$P/kitchen.trim" -1 -i 0.01 --timeout 20 >once 3>&- &
	# it may begin after a change, and then waits for the next one
	until_true sh -c "tarn put $P/kitchen.trim=\$((\$(tarn get $P/kitchen.trim) % 100 + 1)) --write && [ -s once ]"
	wait $!
	lines_in once 1 && [ "$(wc -l <once)" -eq 1 ]
	tarn watch "$P/loose" -i 0.01 >loose 2>err 3>&- &
	watcher=$!
	until_true lines_in loose 1
	tarn put "$P/loose.x=9" --write --unguarded # what nothing guards is compared
	until_true lines_in loose 2
	[ "$(sed -n 2p loose)" = "x=9" ]
	tarn rm "$P" --yes
	code=0
	wait $watcher || code=$?
	[ $code -eq 3 ]
	grep -q "it was removed" err
}

@test "what is half changed is not shown, and what a writer does is whole" {
	typed make
	tarn watch "$P/kitchen" -i 0.005 -c 30 -J >lines 3>&- &
	watcher=$!
	until_true lines_in lines 1
	"$BUILD_DIR/tests/cli/typed" "$P" write 3>&- &
	wait $watcher
	kill -9 $!
	wait || true
	# after the first one all of 22 fields change, to one number
	[ "$(sed 1d lines | jq -c '[.fields[] | select(.field | test("^(time|temperature|samples.*)$")).value] | unique | length' | sort -u)" = 1 ]
	tarn recover "$P" --yes
	tarn rm "$P" --yes
}

@test "a terminal is drawn anew" {
	need script
	typed make
	script -qec "TERM=xterm timeout -s INT 1 tarn watch $P/kitchen -i 0.05" /dev/null >screen 3>&- </dev/null &
	until_true grep -q kitchen screen || true
	wait || true
	grep -q "tarn watch" screen
	grep -q degC screen
	run tarn watch "$P"
	is_error 2 watch
	run tarn watch "$P/raw"
	is_error 1 watch
	tarn rm "$P" --yes
}
