# Setting fields of structs by name: what is refused, that it is one change, and that it is guarded.
bats_require_minimum_version 1.5.0
load lib.bash

typed() { "$BUILD_DIR/tests/cli/typed" "$P" "$@" 3>&-; }

@test "what is put is got, of every kind, and nothing is set without --write" {
	typed make
	local before field value want
	before=$(md5sum <"/dev/shm/$P")
	run tarn put "$P/kitchen.state=off"
	is 0
	says "would set"
	says "dry run"
	[ "$(md5sum <"/dev/shm/$P")" = "$before" ]
	while IFS='~' read -r field value want; do
		run tarn put "$P/kitchen.$field=$value" --write
		is 0
		run tarn get "$P/kitchen.$field"
		[ "$output" = "${want:-$value}" ] || { echo "$field=$value: $output"; return 1; }
	done <<-'END'
		temperature~-2.5e-300
		temperature~nan
		time~18446744073709551615
		time~0x10~16
		state~broken
		state~0~off
		alarms~hot|wet
		alarms~0
		alarms~9~hot|old
		samples[19]~0.1
		place~twelve bytes
		place~a=b/c~a=b/c
		place~
		corners[1].y~-9223372036854775808
		next~0x1000
		trim~127
		samples~1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20.5~1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20.5
	END
	run tarn check "$P"
	is 0
	tarn rm "$P" --yes
}

@test "a value that does not fit is refused with what would, and nothing is set" {
	typed make
	local before field value words
	before=$(md5sum <"/dev/shm/$P")
	while IFS='~' read -r field value words; do
		run tarn put "$P/kitchen.trim=5" "$P/kitchen.$field=$value" --write
		is_error 2 put
		says "$words"
	done <<-'END'
		trim~128~holds, -128 to 127
		trim~-129~holds, -128 to 127
		trim~x~no whole number
		trim~1.5~no whole number
		trim~~no whole number
		trim~010~begins with 0
		trim~-07~begins with 0
		state~01~begins with 0
		alarms~00~begins with 0
		time~-1~holds, 0 to 18446744073709551615
		time~18446744073709551616~holds, 0 to
		samples[0]~1e39~beyond what a float holds
		temperature~1e309~beyond what a double holds
		temperature~warm~no number
		state~onn~one of these: off=0 on=1 broken=2
		state~3~none of its values
		alarms~hot|dry~apart by |
		alarms~4~none of its flags
		place~thirteen chars~room for 12
		samples~1,2~it has 20 elements
		corners~1~consists of fields
	END
	[ "$(md5sum <"/dev/shm/$P")" = "$before" ]
	run tarn put "$P/kitchen.none=1" --write
	is_error 3 put
	run tarn put "$P/kitchen=1" --write
	is_error 2 put
	run tarn put "$P/kitchen.state" --write
	is_error 2 put
	tarn rm "$P" --yes
}

@test "several fields are one change, of several structs, and JSON has before and after" {
	typed make
	run tarn put "$P/kitchen.state=off" "$P/kitchen.temperature=3" --write -J
	is 0
	json '[.items[] | [.before, .after, .action, .section]] ==
	      [["on", "off", "set", "lock"], [21.5, 3, "set", "lock"]]'
	run tarn info "$P" -J
	json '.items[0].sections[0].version == 4' # one pass to make, one to set
	run tarn put "$P/kitchen.state=on" "${P}x/kitchen.state=on" --write
	is_error 3 put
	run tarn get "$P/kitchen.state"
	[ "$output" = off ]
	tarn rm "$P" --yes
}

@test "a field that is set twice is refused, and one region may be called by two names" {
	typed make
	run tarn put "$P/kitchen.trim=1" "$P/kitchen.trim=2" --write
	is_error 2 put
	says "is set twice"
	run tarn put "$P/kitchen.corners[1].x=1" "shm:$P/kitchen.corners[1].x=2" --write
	is_error 2 put
	says "is set twice"
	run tarn put "$P/kitchen.samples[3]=1" "$P/kitchen.samples=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20"
	is_error 2 put
	says "is set twice"
	run tarn get "$P/kitchen.trim" "$P/kitchen.corners[1].x"
	[ "$output" = $'-128\n-7' ]
	cp "/dev/shm/$P" copy # of one uuid with it
	run tarn put "$P/kitchen.trim=1" "file:$PWD/copy/kitchen.time=2"
	is_error 2 put
	says "another region"
	run tarn put "$P/kitchen.trim=3" "shm:$P/kitchen.samples[0]=4" "$P/kitchen.samples[1]=5" --write
	is 0
	run tarn get "$P/kitchen.trim" "$P/kitchen.samples[0]"
	[ "$output" = $'3\n4' ]
	tarn rm "$P" --yes
}

@test "what no section guards is refused without --unguarded" {
	typed make
	run tarn put "$P/loose.x=3" --write
	is_error 1 put
	says "no section guards it"
	run tarn put "$P/lost.and.found.x=3" --write
	is_error 1 put
	says "section nowhere"
	run tarn put "$P/loose.x=3" "$P/loose.y=-4" --write --unguarded
	is 0
	run tarn get "$P/loose.x" "$P/loose.y"
	[ "$output" = $'3\n-4' ]
	tarn rm "$P" --yes
}

@test "it waits for who is inside until --timeout, and undoes what a dead one left" {
	typed make
	"$BUILD_DIR/tests/cli/typed" "$P" hold >pid 3>&- &
	until_true test -s pid
	run tarn put "$P/kitchen.trim=1" --write --timeout 0.2
	is_error 5 put
	says "is held by process $(cat pid)"
	says "tarn locks $P"
	run --separate-stderr tarn put "$P/kitchen.trim=1" --write --timeout 0.1 -J
	is 5
	json '.items[0] | .action == "failed" and .before == null and .after == 1'
	kill -9 "$(cat pid)"
	wait || true
	run --separate-stderr tarn put "$P/kitchen.time=1" -J
	is 0
	json '.items[0] | .action == "would set" and .before == null and .after == 1'
	run tarn put "$P/kitchen.trim=1" --write
	is 0
	run tarn get "$P/kitchen.trim" "$P/kitchen.time"
	[ "$output" = $'1\n18446744073709551615' ]
	tarn rm "$P" --yes
}

waits() { [ "$(tarn locks "$P/$1" -J | jq '.items[0].waiters')" = 1 ]; }

@test "who waits is seen by tarn locks, and what it was before is what was replaced" {
	typed make
	"$BUILD_DIR/tests/cli/typed" "$P" hold >pid 3>&- &
	until_true test -s pid
	tarn put "$P/kitchen.time=1" "$P/kitchen.temperature=2" --write --timeout 60 -J >put 3>&- &
	local put=$!
	until_true waits lock
	run tarn locks "$P" -J
	json ".items[0].threads | .[0].pid == $(cat pid) and .[1].role == \"waits\" and .[1].pid == $put"
	kill -USR1 "$(cat pid)"
	wait "$put"
	output=$(cat put)
	json '[.items[] | [.before, .after, .action]] == [[500, 1, "set"], [500, 2, "set"]]'
	tarn rm "$P" --yes
	typed latest
	"$BUILD_DIR/tests/cli/typed" "$P" lend >lent 3>&- &
	until_true test -s lent
	run tarn put "$P/lent.x=1" --write --timeout 0.2
	is_error 5 put
	says "is held by process $(cat lent)"
	tarn put "$P/lent.x=1" "$P/lent.y=2" --write --timeout 60 -J >put 3>&- &
	put=$!
	until_true waits lent
	kill -USR1 "$(cat lent)"
	wait "$put"
	output=$(cat put)
	json '[.items[] | [.before, .after, .action]] == [[7, 1, "set"], [8, 2, "set"]]'
	tarn rm "$P" --yes
}

@test "a user who may only read sets nothing" {
	need_own_shm
	need setpriv
	typed make
	chmod 444 "/dev/shm/$P"
	run setpriv --reuid=65534 --clear-groups tarn put "$P/kitchen.trim=1" --owner 0 --write
	is_error 4 put
	chmod 600 "/dev/shm/$P"
	tarn rm "$P" --yes
}
