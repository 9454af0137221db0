# tarn autopsy: what was going on when processes died, from the region and from copies of its file, whole, cut off and
# scribbled over; and that it changes none of them.
bats_require_minimum_version 1.5.0
load lib.bash

inside() { "$BUILD_DIR/tests/cli/inside" "$P" "$@" 3>&-; }
kinds() { tarn trace "$P" -J | jq -r .kind | tr '\n' ' '; }

# Somebody died inside of section list; then one is inside, and another waits. Both are killed.
die_in_a_section()
{
	inside
	tarn trace "$P" --on >/dev/null
	inside hold >holder &
	until_true test -s holder
	inside hold >second &
	until_true eval '[[ $(kinds) == *wait* ]]'
	waiter=$(tarn trace "$P" -J | jq 'select(.kind == "wait").pid' | tail -1)
}

# Some words of file $1, behind its superblock, become any; the same each time.
scribble()
{
	python3 - "$1" "$((++turn))" <<-'END'
		import random, sys
		rng = random.Random(int(sys.argv[2]))
		with open(sys.argv[1], "r+b") as f:
		    size = f.seek(0, 2)
		    for _ in range(1 << rng.randrange(10)):
		        f.seek(rng.randrange(4096, size - 8) & ~7)
		        f.write(rng.choice([rng.randbytes(8), bytes(8), b"\xff" * 8, rng.randrange(1 << 16).to_bytes(8, "little")]))
	END
}

kill_them() { kill -9 "$(cat holder)" "$waiter"; wait || true; }

@test "an owner that died inside, who waited for it, and their last events are told; the copy stays as it is" {
	die_in_a_section
	cp "/dev/shm/$P" copy
	before=$(sha256sum <copy)
	run tarn autopsy "$P"
	is 1
	says "waits for it, which pid $(cat holder) (inside) has"
	kill_them
	for name in ./copy copy "file:$PWD/copy"; do
		run tarn autopsy "$name"
		is 1
		says "nobody has it open"
		says "its owner, pid $(cat holder), is dead"
		says "the next to enter undoes what it had changed"
		says "died while it waited: pid $waiter (inside) waits for section list, which pid $(cat holder) (inside) has"
		says "not looked at: dead owner $(cat holder) left its section"
		says "undid what a dead one had begun in section list"
	done
	run tarn autopsy "$P"
	is 1
	says "nobody has it open"
	says "tarn recover $P --yes"
	[ "$(sha256sum <copy)" = "$before" ]
	run tarn autopsy -J copy -n 3
	is 1
	json '.schema == "tarn.autopsy/1" and (.items | length) == 1'
	json '.items[0] | .alive == 0 and .missing_bytes == 0 and .other_boot == false and .state == "nobody has it open"'
	json ".items[0].locks | any(.lock == \"list\" and .role == \"holds\" and .pid == $(cat holder) and .alive == false)"
	json ".items[0].members | any(.pid == $waiter and .state == \"dead\" and (.last | startswith(\"waits for\")))"
	json '.items[0].figures | any(.object == "list" and .metric == "recoveries_total" and .value == 1)'
	json '.items[0].events | length == 3'
	json '.items[0].findings | all(.command == null)'
	tarn recover "$P" --yes >/dev/null
	run tarn autopsy -J "$P"
	json '.items[0] | (.findings | all(.where != "section list")) and .locks == []'
	tarn rm "$P" --yes
	tarn create "$P" >/dev/null
	run tarn autopsy "$P"
	is 0
	tarn rm "$P" --yes
}

@test "publishers, subscribers, servers and clients that died are told with what they left" {
	tarn create --size 4M "$P" >/dev/null
	tarn pub --lane 4K "$P/news" first
	tarn echo --lossless "$P/news" >out 3>&- &
	until_true eval 'tarn topics "$P/news" -J | jq -e ".items[0].subscriber_count == 1"'
	kill -STOP $!
	tarn pub --lane 4K -c 0 -r 1000 "$P/news" text >/dev/null 2>&1 3>&- &
	until_true eval 'tarn topics "$P/news" -J | jq -e ".items[0].held_up != null"'
	"$BUILD_DIR/tests/cli/answers" "$P" sums 3>&- &
	until_true sh -c "tarn info $P/sums -J | jq -e '.items[0].service_users | any(.pid == $!)'"
	tarn call "$P/sums" 'sleep 20000 x' 3>&- >/dev/null 2>&1 &
	until_true eval 'tarn info "$P/sums" -J | jq -e ".items[0].service_users | any(.role == \"client\")"'
	run tarn autopsy "$P"
	is 1
	says "has no room, for"
	cp "/dev/shm/$P" copy
	# shellcheck disable=SC2046 # a list
	kill -9 $(jobs -p)
	wait || true
	run tarn autopsy copy
	is 1
	says "publisher pid"
	says "died after message"
	says "messages stay for it"
	says "server pid"
	says "its callers are told -EPIPE"
	says "its servers drop what it asked"
	run tarn autopsy -J copy
	json '.items[0].topics | any(.role == "subscriber" and .state == "dead" and .kept > 0)'
	json '.items[0].service_users | length == 2'
	tarn rm "$P" --yes
}

@test "a copy that was cut off is shown as far as it goes, and one that was scribbled over never ends it" {
	die_in_a_section
	cp "/dev/shm/$P" copy
	kill_them
	tarn rm "$P" --yes
	size=$(stat -c %s copy)
	head -c $((size * 3 / 4)) copy >cut
	run tarn autopsy cut
	is 6
	says "the copy ends $((size - size * 3 / 4)) bytes early"
	says "its owner, pid $(cat holder), is dead"
	run tarn autopsy -J cut
	is 6
	json ".items[0].missing_bytes == $((size - size * 3 / 4))"
	for bytes in 0 100 5000; do
		head -c "$bytes" copy >cut
		run tarn autopsy cut
		is_error 6 autopsy
	done
	for _ in $(seq 25); do
		cp copy scribbled
		scribble scribbled
		run timeout 20 tarn autopsy scribbled
		[ "$status" -le 6 ] || { echo "exit $status: $output"; return 1; }
	done
}

@test "what is not there, and what is no region, is said so" {
	run tarn autopsy nothing
	is_error 3 autopsy
	run tarn autopsy ./nothing
	is_error 2 autopsy
	seq 10000 >text
	run tarn autopsy ./text
	is_error 6 autopsy
	run tarn autopsy
	is_error 2 autopsy
}
