# The fields of structs, by name: what is printed, and that it is whole while a writer runs.
bats_require_minimum_version 1.5.0
load lib.bash

typed() { "$BUILD_DIR/tests/cli/typed" "$P" "$@" 3>&-; }
field() { jq -r ".items[0].fields[] | select(.field == \"$1\") | $2" <<<"$output"; }

@test "a field alone is its value alone, of every kind" {
	typed make
	local row name want got
	while read -r name want; do
		got=$(tarn get "$P/kitchen.$name")
		[ "$got" = "$want" ] || { echo "$name: $got, not $want"; return 1; }
	done <<-'END'
		temperature 21.5
		time 18446744073709551615
		state on
		alarms hot|old
		samples[3] 0.1
		place by the "sea"
		corners[1].x -7
		corners[1].y 0
		next 0x2000
		trim -128
		samples 0 0 0 0.1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
	END
	run tarn get "$P/kitchen.state" "$P/kitchen.trim"
	is 0
	[ "$output" = $'on\n-128' ]
	run tarn get "$P/loose.x"
	[ "$output" = 0 ]
	run tarn get "$P/lost.and.found.x" # names of objects may have dots
	is 0
	says "section nowhere, which guards it, cannot be opened"
	tarn rm "$P" --yes
}

@test "a struct is a table with units and help, and what is asked for besides" {
	typed make
	run tarn get "$P/kitchen"
	is 0
	[[ ${lines[0]} =~ ^FIELD\ +VALUE\ +UNIT\ +HELP ]]
	[[ ${lines[1]} =~ ^temperature\ +21.5\ +degC\ +of\ the\ air ]]
	says "0.1 0 0 0 0 0 0 0 0 0 0 0 0 ... 20 in all"
	says "corners[1].y"
	run tarn get "$P/kitchen" --all -o field,kind,offset
	is 0
	[[ $output =~ samples\[19\]\ +float\ +0x60 ]]
	[[ $output =~ state\ +enum\ uint8_t\ +0x10 ]]
	run tarn get "$P/kitchen.corners[1]" -n -r -o field,value
	[ "$output" = $'corners[1].x -7\ncorners[1].y 0' ]
	run script -qec "tarn get $P/kitchen.temperature" /dev/null
	says "degC" # on a terminal
	tarn rm "$P" --yes
}

@test "as JSON numbers are numbers, names are names, and both are there" {
	typed make
	run tarn get "$P/kitchen" -J
	is 0
	json '.schema == "tarn.get/1" and (.items | length) == 1'
	json ".items[0] | .name == \"$P/kitchen\" and .type == \"sensor\" and .version == 3
	      and .section == \"lock\" and .guarded and .size_bytes == 160"
	json '.items[0].fields | length == 31'
	json '.items[0].type_hash == "554b131313ba89f2"' # of every machine and build
	tarn info "$P" -J | jq -e '.items[0].structs | map([.struct, .type, .type_hash, .section]) |
		any(. == ["kitchen", "sensor", "554b131313ba89f2", "lock"])'
	[ "$(field temperature .value)" = 21.5 ]
	[[ $output == *'"value": 18446744073709551615'* ]]
	[ "$(field state '[.value, .number] | @csv')" = '"on",1' ]
	[ "$(field alarms '[.value, .number] | @csv')" = '"hot|old",9' ]
	[ "$(field next '.value | type')" = number ]
	[ "$(field 'samples[3]' .unit)" = V ]
	run tarn get "$P/loose" -J
	json '.items[0] | .guarded == false and .section == null'
	run --separate-stderr tarn get "$P/lost.and.found" -J
	json '.items[0] | .guarded == false and .section == "nowhere"'
	tarn rm "$P" --yes
}

@test "a region alone is its structs, or its only one" {
	typed make
	run tarn get "$P"
	is 0
	[[ $output =~ $P/kitchen\ +sensor\ +3\ +[0-9]+\ B\ +lock ]]
	says "$P/loose"
	[[ $output != *raw* ]]
	run --separate-stderr tarn get "$P" -J
	json '[.items[].name | split("/")[1]] | sort == ["kitchen", "loose", "lost.and.found"]'
	run tarn get "$P.temperature"
	is_error 2 get
	says "region $P has 3 structs"
	says "say which: $P/"
	tarn rm "$P/loose" "$P/lost.and.found" --yes
	run tarn get "$P"
	is 0
	says degC
	run tarn get "$P.temperature" "$P.samples[3]"
	is 0
	[ "$output" = $'21.5\n0.1' ]
	tarn rm "$P" --yes
}

@test "what is not there is told with what there is" {
	typed make
	run tarn get "$P/kitchen.temprature"
	is_error 3 get
	says "type sensor has no field temprature"
	says "it has temperature, time, state"
	run tarn get "$P/kitchn"
	is_error 3 get
	says "did you mean 'kitchen'?"
	run tarn get "$P/raw"
	is_error 1 get
	says "it has no type: it is of kind bytes"
	says "tarn hexdump $P/raw"
	run tarn get "${P}x"
	is_error 3 get
	run tarn get
	is_error 2 get
	tarn rm "$P/kitchen" "$P/loose" "$P/lost.and.found" --yes
	run tarn get "$P"
	is_error 1 get
	says "no object with a type"
	tarn rm "$P" --yes
}

@test "a dot where a slash is wanted, and the reverse, is told with the right spelling" {
	typed make
	local given want
	while read -r given want; do
		run tarn get "$given"
		[ "$status" -eq 2 ] || [ "$status" -eq 3 ]
		[[ $output == *"did you mean '$want'?"* ]] || { echo "$given: $output"; return 1; }
	done <<-END
		$P.kitchen $P/kitchen
		$P.kitchen.temperature $P/kitchen.temperature
		$P/kitchen/temperature $P/kitchen.temperature
		$P/kitchen/corners[1]/x $P/kitchen.corners[1].x
		$P/lost.and.found/x $P/lost.and.found.x
		$P/temperature $P/kitchen.temperature
		$P/corners[1].x $P/kitchen.corners[1].x
	END
	run tarn put "$P/kitchen/trim=3"
	is_error 3 put
	says "did you mean '$P/kitchen.trim'?"
	run tarn get "$P/kitchen/none" # no such field: nothing to mean
	is_error 3 get
	[[ $output != *"kitchen.none"* ]]
	tarn rm "$P/loose" "$P/lost.and.found" --yes
	run tarn get "$P.kitchen.time" # of the only struct a field kitchen is looked for
	is_error 3 get
	says "did you mean '$P/kitchen.time'?"
	run tarn get "$P.raw" # an object, if not a struct
	is_error 3 get
	says "did you mean '$P/raw'?"
	[ "$(tarn get "$P.trim")" = -128 ]
	tarn rm "$P" --yes
}

@test "a damaged description is told, with the verb that says what of it" {
	typed make
	local at
	at=$(tarn info "$P" -J | jq '.items[0].objects[] | select(.object == "loose").offset_bytes')
	poke "$P" $((at + 128 + 64 + 40)) '\377' # behind the header and the struct itself
	run tarn get "$P/loose"
	is_error 6 get
	says "description is damaged"
	says "tarn check $P"
	run tarn check "$P"
	is 6
	says "struct loose"
	tarn rm "$P" --yes
}

# Every state that the writer leaves has one number in 22 places.
@test "while a writer runs, what is read is whole, each time" {
	typed make
	"$BUILD_DIR/tests/cli/typed" "$P" write 3>&- &
	until_true sh -c "[ \$(tarn get $P/kitchen.trim) = -128 ] && [ \$(tarn get $P/kitchen.time) != 18446744073709551615 ]"
	local seen=""
	for _ in $(seq 60); do
		run tarn get "$P/kitchen" -J
		is 0
		json '[.items[0].fields[] | select(.field | test("^(time|temperature|samples.*)$")).value]
		      | length == 22 and (unique | length) == 1'
		seen+="$(field time .value) "
	done
	[ "$(tr ' ' '\n' <<<"$seen" | sort -u | wc -l)" -gt 20 ]
	kill -9 $!
	wait || true
	tarn recover "$P" --yes
	tarn rm "$P" --yes
}

@test "half a change is not shown, unless it is asked for; nor is that of the dead" {
	typed make
	"$BUILD_DIR/tests/cli/typed" "$P" hold >pid 3>&- &
	until_true test -s pid
	run tarn get "$P/kitchen.time" --timeout 0.1
	is 5
	says "section lock is held by process $(cat pid)"
	says "tarn locks $P"
	says "--unguarded"
	run tarn get "$P/kitchen.time" --unguarded
	is 0
	[ "$output" = 500 ]
	run tarn get "$P/kitchen" --unguarded -J
	json '.items[0].guarded == false'
	kill -9 "$(cat pid)"
	wait || true
	run tarn get "$P/kitchen.time"
	is_error 1 get
	says "was killed inside of section lock"
	says "tarn recover $P --yes"
	run --separate-stderr tarn get "$P/kitchen" -J
	is 1
	json '.items == []'
	run tarn watch "$P/kitchen" -1 --timeout 5
	is_error 1 watch
	for verb in get watch; do # and their lists of exit codes have it
		tarn help "$verb" | tr -s ' \n' ' ' | grep -q " 1 the object has no type; or.*died inside of its section"
	done
	tarn recover "$P" --yes
	run tarn get "$P/kitchen.time"
	is 0
	[ "$output" = 18446744073709551615 ]
	tarn rm "$P" --yes
}

@test "it looks on: nothing is changed, and a user who may only read gets an answer" {
	typed make
	local before
	before=$(md5sum "/dev/shm/$P")
	tarn get "$P" "$P/kitchen" "$P/kitchen.time" >/dev/null
	[ "$(md5sum "/dev/shm/$P")" = "$before" ]
	need_own_shm
	need setpriv
	chmod 444 "/dev/shm/$P"
	run setpriv --reuid=65534 --clear-groups tarn get "$P/kitchen.temperature" --owner 0
	is 0
	[ "$output" = 21.5 ]
	chmod 600 "/dev/shm/$P"
	run setpriv --reuid=65534 --clear-groups tarn get "$P/kitchen.temperature" --owner 0
	is_error 4 get
	tarn rm "$P" --yes
}

@test "an index beyond the end is told with the bounds, and exits with 3" {
	typed make
	run tarn get "$P/kitchen.samples[20]"
	is_error 3 get
	says "field samples has [0] to [19]; found [20]"
	run tarn get "$P/kitchen.corners[2].y"
	is_error 3 get
	says "field corners has [0] to [1]; found [2]"
	run tarn get "$P/kitchen.samples[x]"
	is_error 2 get
	run tarn put "$P/kitchen.samples[20]=1"
	is_error 3 put
	tarn rm "$P" --yes
}

gone() { ! grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null; }

@test "a program that helps a test ends with whoever started it" {
	typed make
	sh -c '"$0" "$1" write & echo $! >pid; wait' "$BUILD_DIR/tests/cli/typed" "$P" 3>&- &
	until_true test -s pid
	! gone "$(cat pid)"
	kill -9 $!
	until_true gone "$(cat pid)"
	tarn recover "$P" --yes
	tarn rm "$P" --yes
}
