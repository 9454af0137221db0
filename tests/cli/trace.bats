# What happened last, in words: the switch, who waits and dies, what is asked for, JSON, damage.
bats_require_minimum_version 1.5.0
load lib.bash

inside() { "$BUILD_DIR/tests/cli/inside" "$P" "$@" 3>&-; }
kinds() { tarn trace "$P" -J | jq -r .kind | tr '\n' ' '; }

@test "without a trace it says how to switch it on; on and off are said, and what there is stays" {
	tarn create "$P"
	run tarn trace "$P"
	is_error 3 trace
	says "tarn trace $P --on"
	run tarn trace "$P" --on
	is 0
	says "the last 128 events of 16 rings, 129 KiB"
	[ "$(kinds)" = "join on leave " ]
	run tarn trace "$P" --on --events 64
	is_error 1 trace
	says "16 rings of 128 events"
	run tarn trace "$P" --off
	is 0
	[ "$(kinds)" = "join on leave join leave join off " ]
	run tarn trace "$P"
	is 0
	says "switched the trace off"
	says "the trace is off"
	run tarn check "$P"
	is 0
	run tarn rm "$P/.trace" --yes
	is 0
	run tarn trace "$P" --on -e 8 -r 1
	is 0
	says "the last 8 events of 1 rings"
	run tarn trace "$P" --on --off
	is_error 2 trace
	run tarn trace "$P" --events 8
	is_error 2 trace
	tarn rm "$P" --yes
}

@test "a holder that dies, who waited for it, and what was undone are told, with process and time" {
	inside
	tarn trace "$P" --on
	inside hold >pid &
	until_true test -s pid
	inside hold >pid2 &
	until_true eval '[[ $(kinds) == *wait* ]]'
	run tarn trace "$P" -o list
	is 0
	says "waits for section list, which pid $(cat pid) (inside) has"
	kill -9 "$(cat pid)"
	until_true test -s pid2
	run tarn trace "$P"
	is 0
	says "found that pid $(cat pid) (inside), who had section list, is dead"
	says "undid what a dead one had begun in section list"
	says "has section list after"
	[[ $output =~ [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\ pid\ $(cat pid2)\ \(inside\),\ thread\ $(cat pid2):\ joined ]]
	run tarn trace "$P" -n 1 -J -m "$(cat pid)"
	is 0
	json ".schema == \"tarn.trace/1\" and .name == \"$P\" and .whom_pid == $(cat pid) and .object == \"list\"
	      and .object_kind == \"section\" and .time_ns > 1e18"
	run tarn trace "$P" -J -s 1h
	is 0
	[ "${#lines[@]}" -gt 5 ]
	run tarn trace "$P" -J -s 0.000001
	is 0
	[ -z "$output" ]
	kill -9 "$(cat pid2)"
	until_true tarn recover "$P" --yes
	tarn rm "$P" --yes
}

@test "it follows, ends after as many as were asked for, and changes nothing" {
	tarn create "$P"
	tarn trace "$P" --on
	tarn trace "$P" -f -n 0 -c 3 -J >followed 3>&- &
	sleep 0.3
	tarn trace "$P" --off
	tarn trace "$P" --on
	wait $!
	[ "$(jq -r .kind followed | tr '\n' ' ')" = "join off join " ]
	local before
	before=$(md5sum <"/dev/shm/$P")
	run tarn trace "$P"
	is 0
	[ "$(md5sum <"/dev/shm/$P")" = "$before" ]
	tarn rm "$P" --yes
}

@test "a trace that was written over is told of, and no reason to stop" {
	tarn create "$P"
	tarn trace "$P" --on
	local off
	off=$(tarn info "$P" -J | jq '.items[0].objects[] | select(.object == ".trace") | .offset_bytes')
	poke "$P" $((off + 200)) '\377\377\377\377\377\377\377\377'
	run tarn trace "$P"
	is 0
	poke "$P" $((off + 8)) '\377'
	run tarn trace "$P"
	is_error 6 trace
	says "header is damaged (check)"
	run tarn check "$P"
	is 6
	says "trace .trace"
	tarn rm "$P" --yes
}
