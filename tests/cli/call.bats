# tarn call: requests in every form, answers in every form, and what is said of servers that fail, are slow, die,
# leave, or are not there; tarn info of a service.
bats_require_minimum_version 1.5.0
load lib.bash

# A server of $P/sums by now; its process is $!.
serve()
{
	"$BUILD_DIR/tests/cli/answers" "$P" sums "$@" 3>&- &
	until_true sh -c "tarn info $P/sums -J | jq -e '.items[0].service_users | any(.pid == $!)'"
}

@test "texts, lines, a file and hexadecimal digits are asked, and what is answered is printed" {
	serve
	run -0 tarn call "$P/sums" one 'two words' '' $'three\t\x01\n'
	[ "$output" = $'one\ntwo words\n\nthree\t\\x01\\x0a' ]
	printf 'a\n\nc' >lines
	run -0 tarn call "$P/sums" <lines
	[ "$output" = $'a\n\nc' ]
	head -c 3000 /dev/urandom >file
	tarn call --raw --file file "$P/sums" | cmp - file
	tarn call --raw --file - "$P/sums" <file | cmp - file
	run -0 tarn call -X -x "$P/sums" 00ff0A ''
	[ "$output" = 00ff0a ]
	run -2 tarn call -X "$P/sums" 00f
	says "'00f' is no request: pairs of hexadecimal digits"
	run -0 tarn call -x "$P/sums" bytes
	[ "$output" = 00010aff ]
	run -0 tarn call -c 3 "$P/sums" a b
	[ "$output" = $'a\nb\na\nb\na\nb' ]
	tarn rm "$P" --yes
}

@test "a region that was made for less grows, where it may" {
	tarn create --size 64K --max-size 1M "$P" >/dev/null
	serve
	run -0 tarn call -t 20 "$P/sums" x
	[ "$output" = x ]
	tarn rm "$P" --yes
	tarn create --size 64K "$P" >/dev/null
	serve
	run -1 tarn call -t 20 "$P/sums" x
	says "not enough room"
	tarn rm "$P" --yes
}

@test "several responses are printed as they come" {
	serve
	run -0 tarn call -c 2 "$P/sums" 'stream 3' x
	[ "$output" = $'1\n2\n3\nx\n1\n2\n3\nx' ]
	[ "$(tarn call "$P/sums" 'stream 5000' | md5sum)" = "$(seq 5000 | md5sum)" ]
	[ "$(tarn call --raw "$P/sums" 'stream 4')" = 1234 ]
	tarn rm "$P" --yes
}

@test "as JSON each line is an object by its schema" {
	serve
	local server=$!
	run -1 --separate-stderr tarn call -k -J "$P/sums" 'stream 2' bytes 'fail -7 why'
	printf '%s\n' "$output" >lines
	output=$(sed -n 1p lines)
	json ".schema == \"tarn.call/1\" and .call == 1 and .kind == \"more\" and .text == \"1\" and .hex == null and
	      .code == null and .pid == $server and .took_ns > 0 and .size_bytes == 1 and .server == 0"
	output=$(sed -n 2p lines)
	json '.call == 1 and .kind == "last" and .text == "2"'
	output=$(sed -n 3p lines)
	json '.call == 2 and .text == null and .hex == "00010aff"'
	output=$(sed -n 4p lines)
	json '.call == 3 and .kind == "error" and .code == -7 and .text == "why"'
	need python3
	tarn help --man tarn-json | python3 "$SOURCE_DIR/tests/cli/schemas.py" check call lines
	tarn rm "$P" --yes
}

@test "an error of the server ends it, but for --keep-going" {
	serve
	run -1 tarn call "$P/sums" 'fail 7 no such account' never
	[ "$output" = "tarn call: $P/sums: process $! (answers) says that it failed, code 7: no such account" ]
	run -1 tarn call -k "$P/sums" 'fail 8' after
	[ "$output" = "tarn call: $P/sums: process $! (answers) says that it failed, code 8"$'\nafter' ]
	tarn rm "$P" --yes
}

@test "a server that is killed is named at once; the next call goes to another" {
	serve
	local server=$!
	run -1 tarn call -t 20 "$P/sums" die
	says "$P/sums: process $server (answers) has died before it had answered, and may have done it or not"
	serve
	server=$!
	serve
	run -1 tarn call -k -t 20 "$P/sums" die 'left'
	[[ $output == *$'\nleft' ]]
	says "has died before it had answered"
	run -3 tarn call -k -t 20 "$P/sums" die other
	says "$P/sums: there is no server"
	tarn rm "$P" --yes
}

@test "several servers take turns, and each knows who calls" {
	serve
	serve
	run -0 tarn call -c 3 -J "$P/sums" whom
	[ "$(jq -s 'map(.pid) | unique | length' <<<"$output")" = 2 ]
	[ "$(jq -s 'map(.text) | unique | length' <<<"$output")" = 1 ]
	tarn rm "$P" --yes
}

@test "one that is slow is named when the time allowed is over, and told that nobody waits" {
	serve
	run -5 tarn call -t 0.2 "$P/sums" 'sleep 100000 x'
	says "$P/sums: process $! (answers) has not answered in the time allowed"
	kill -9 $!
	serve
	run -5 tarn call -t 0.1 "$P/sums" 'sleep 300 x'
	run -0 tarn call -t 20 "$P/sums" y 'sleep 1 z'
	[ "$output" = $'y\nz' ]
	tarn rm "$P" --yes
}

@test "what is not there is said, or waited for" {
	run -3 tarn call "$P/sums" x
	says "there is no such region"
	run -5 tarn call --wait -t 0.2 "$P/sums" x
	says "$P/sums: there was no such service in the time allowed"
	tarn create "$P" >/dev/null
	run -3 tarn call "$P/sums" x
	says "$P/sums: there is no such service"
	says "tarn info $P lists what there is"
	tarn pub -l 4096 "$P/news" a
	run -6 tarn call "$P/news" x
	tarn rm "$P" --yes
	tarn call --wait -t 20 "$P/sums" late >got 3>&- &
	local call=$!
	serve
	wait "$call"
	[ "$(cat got)" = late ]
	kill -9 $!
	wait $! || true
	run -3 tarn call "$P/sums" x
	[[ $output == "tarn call: $P/sums: there is no server"* ]]
	run -5 tarn call --wait -t 0.2 "$P/sums" x
	says "there was no server, or none with room, in the time allowed"
	tarn call --wait -t 20 "$P/sums" again >got 3>&- &
	call=$!
	serve
	wait "$call"
	[ "$(cat got)" = again ]
	tarn rm "$P" --yes
}

@test "sizes, rates, times, and options that are none" {
	serve small
	head -c 1000 /dev/zero | tr '\0' x >large
	run -1 tarn call --file large "$P/sums"
	[[ $output =~ "a request of 1000 bytes; the largest has "[0-9]+ ]]
	run -0 --separate-stderr tarn call -r 100 -c 3 --time "$P/sums" x
	[ "$output" = $'x\nx\nx' ]
	# shellcheck disable=SC2154 # set by run
	[[ $stderr =~ "$P/sums: 3 answered: min "[0-9.]+.*", median "[0-9.]+.*", max "[0-9.]+ ]]
	run -2 tarn call "$P"
	says "a service is named REGION/SERVICE"
	run -2 tarn call -r 0 "$P/sums" x
	run -2 tarn call -x -J "$P/sums" x
	run -2 tarn call --file large "$P/sums" x
	tarn call -r 10 -c 0 "$P/sums" x >got 3>&- &
	local call=$!
	until_true test -s got
	kill "$call"
	local code=0
	wait "$call" || code=$?
	[ "$code" -eq 143 ]
	tarn rm "$P" --yes
}

@test "info says who serves, who calls, and what is not answered" {
	serve
	local server=$!
	tarn call -t 20 "$P/sums" 'sleep 100000 x' 3>&- &
	local call=$!
	until_true sh -c "tarn info $P/sums -J | jq -e '.items[0].service_users[1].requests == 1'"
	run -0 tarn info "$P" -J
	json ".items[0].service_users | length == 2 and
	      (.[0] | .service == \"sums\" and .role == \"server\" and .pid == $server and .uid == $(id -u) and
	       .command == \"answers\" and .state == \"alive\" and .peers == 1 and .requests == 1 and .responses == 0) and
	      (.[1] | .role == \"client\" and .pid == $call and .command == \"tarn\" and .peers == 1)"
	run -0 tarn info "$P/sums"
	[[ $output =~ sums\ +server\ +0\ +$server\ +$(id -u)\ +answers\ +alive\ +1\ +1\ +0 ]]
	kill -9 "$call"
	wait "$call" || true
	run -0 tarn info "$P/sums" -J
	json '.items[0].service_users | .[1].state == "dead" and .[0].peers == 0 and .[0].requests == 0'
	kill -9 "$server"
	wait "$server" || true
	run -0 tarn info "$P/sums" -J
	json '.items[0].service_users[0].state == "dead"'
	tarn rm "$P" --yes
}
