# tarn pub, echo, hz, bw and delay of unix:DIR/TOPIC: topics in a directory of sockets, for peers that need
# not trust each other; other users, namespaces, what is left behind.
bats_require_minimum_version 1.5.0
load lib.bash

names_in() { [ "$(find "$1" -mindepth 1 | wc -l)" -eq "$2" ]; }
any_name() { [ -n "$(ls d)" ]; }
need_root() { [ "$(id -u)" -eq 0 ] || skip "it takes root to be another user"; }

@test "in either order nothing is lost, and nothing is left behind" {
	mkdir d
	tarn echo --lossless -c 3 -t 20 unix:d/news >got 3>&- &
	tarn pub -w 1 -t 20 unix:d/news one 'two words' three
	wait
	[ "$(cat got)" = $'one\ntwo words\nthree' ]
	tarn pub -w 1 -t 20 "unix:$PWD/d/news" one two >/dev/null 3>&- &
	run -0 tarn echo -c 2 -t 20 unix:d/news
	[ "$output" = $'one\ntwo' ]
	wait
	names_in d 0
}

@test "a publisher that is killed is followed by another, and its name is cleared away" {
	mkdir d
	tarn echo -c 4 -t 20 unix:d/news >got 3>&- &
	local echo=$!
	(while :; do echo a; sleep 0.05; done) | tarn pub -w 1 unix:d/news 3>&- &
	local pub=$!
	until_true grep -q a got
	kill -9 "$pub"
	wait "$pub" || true
	names_in d 1
	tarn pub -w 1 -t 20 unix:d/news x y z w
	wait "$echo"
	[ "$(wc -l <got)" -eq 4 ]
	run -5 tarn echo -t 0.1 unix:d/news
	names_in d 0
}


@test "other users are let in and believed as --peers says, and nobody else is" {
	need_root
	mkdir -m 0755 d
	as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
	local bin
	bin=$(command -v tarn)
	as_nobody test -x "$bin" || skip "nobody may not execute it here"
	tarn pub -c 0 -r 50 unix:d/news secret 3>&- &
	local pub=$!
	run -5 as_nobody tarn echo --peers root -1 -t 0.5 unix:d/news
	kill "$pub"
	wait "$pub" || true
	tarn pub --peers nobody -c 0 -r 50 unix:d/news told 3>&- &
	pub=$!
	run -0 as_nobody tarn echo --peers root -1 -t 20 unix:d/news
	[ "$output" = told ]
	run -5 as_nobody tarn echo -1 -t 0.5 unix:d/news # it does not believe root
	kill "$pub"
	wait "$pub" || true
}

@test "across namespaces of processes, users, mounts and IPC, by a directory that both have" {
	unshare --user --map-root-user --pid --ipc --mount --fork true 2>/dev/null ||
		skip "no such namespaces here"
	mkdir d
	tarn echo -c 2 -t 20 unix:d/news >got 2>err 3>&- &
	local echo=$!
	timeout 30 unshare --user --map-root-user --pid --ipc --mount --fork --mount-proc \
		tarn pub -w 1 -t 20 unix:d/news 'from inside' bye
	wait "$echo"
	[ "$(cat got)" = $'from inside\nbye' ]
	tarn pub -c 0 -r 50 unix:d/news 'from outside' 3>&- &
	local pub=$!
	run -0 timeout 30 unshare --user --map-root-user --pid --ipc --mount --fork --mount-proc \
		tarn echo -1 -t 20 unix:d/news
	[ "$output" = 'from outside' ]
	kill "$pub"
	wait "$pub" || true
}

@test "hz, bw and delay measure it" {
	mkdir d
	tarn pub -c 0 -r 200 unix:d/news 12345678 3>&- &
	local pub=$!
	for verb in hz bw delay; do
		run -0 tarn $verb -c 1 -i 0.3 -t 20 unix:d/news
	done
	kill "$pub"
	wait "$pub" || true
}

@test "a slow subscriber is told what it missed; with patience it misses nothing" {
	mkdir d
	tarn echo --lossless -c 2001 -t 20 unix:d/news >got 2>err 3>&- &
	local echo=$!
	tarn pub -w 1 -t 20 --patience 20 -l 4096 unix:d/news a
	tarn pub -w 1 -t 20 --patience 20 -l 4096 -c 2000 unix:d/news b
	wait "$echo"
	[ "$(grep -c b got)" -eq 2000 ]
	[ ! -s err ]
}

@test "what is wrong is said" {
	run -5 tarn echo -t 0.1 unix:nowhere/news
	run -3 tarn pub unix:nowhere/news a
	says "nowhere"
	mkdir d
	run -2 tarn pub --peers 'no such user' unix:d/news a
	says "is no user"
	run -2 tarn echo --peers '@no such group' unix:d/news
	says "is no group"
	run -2 tarn pub --peers all "$P/news" a
	says "unix:DIR/TOPIC"
	run -2 tarn pub --patience 1 "$P/news" a
	says "unix:DIR/TOPIC"
	run -2 tarn pub unix:d/a:b a
	says "':'"
}

# --- tarn topics ------------------------------------------------------------------------------

# A publisher of d/TOPIC that goes on until it is killed, its messages already there: $pub.
publish() # TOPIC [OPTION...]
{
	local topic=$1
	shift
	tarn pub -c 0 -r 100 "$@" "unix:d/$topic" tick 3>&- &
	pub=$!
	# shellcheck disable=SC2016 # of the inner shell
	until_true bash -c 'tarn topics -J unix:d/'"$topic"' | jq -e "[.items[].sockets[]
		| select(.pid == '"$pub"' and .message_count > 3)] | length == 1"'
}

@test "tarn topics tells who publishes in a directory, and what" {
	mkdir d
	publish news
	local first=$pub
	publish news -l 64K
	local second=$pub
	publish olds
	run -0 tarn topics unix:d
	[ "${#lines[@]}" -eq 3 ]
	[[ ${lines[0]} == NAME*PUBS*SUBS*MESSAGES*HELD-UP* ]]
	[[ ${lines[1]} =~ ^unix:d/news\ +-\ +2\ +-\  ]]
	[[ ${lines[2]} =~ ^unix:d/olds\ +-\ +1\ +-\  ]]
	run -0 tarn topics unix:d/news
	says "topic      unix:d/news"
	[[ $output =~ PUBLISHER\ .*PID\ .*USER\ .*COMMAND\ .*STATE ]]
	[[ $output =~ $first\ +$(id -un)\ +tarn\ +alive ]]
	[[ $output =~ $second\ +$(id -un)\ +tarn\ +alive ]]
	run -0 tarn topics -J "unix:$PWD/d/"
	json '.complete and (.items | length) == 2'
	json '.items[0] | .topic == "news" and .publisher_count == 2 and .subscriber_count == null'
	json '.items[0].sockets | map(.lane_bytes) | sort == [65536, 1048576]'
	json '.items[0].sockets | all(.state == "alive" and .kept <= .message_count and .kept > 3
		and .rate_hz > 1 and .rate_hz < 1000 and .last_age_ns < 5e9 and .type == null)'
	json '.items[0] | .message_count == (.sockets | map(.message_count) | add)'
	json '.items[0] | .size_bytes > 65536 + 1048576'
	json '.items[1] | .topic == "olds" and (.sockets | map(.pid) == ['"$pub"'])'
	for name in $(ls d); do
		json ".items[].sockets[] | select(.token == \"${name#*:}\")"
	done
	run -0 tarn topics --csv -s -message_count unix:d
	[[ ${lines[0]} == name,* ]]
	[ "${#lines[@]}" -eq 3 ]
	run -0 tarn topics -o name,publisher_count -n unix:d/news
	[[ $output =~ ^unix:d/news\ +2$ ]]
	run -0 tarn topics -v unix:d
	[ "$(grep -c '^topic ' <<<"$output")" -eq 2 ]
	kill "$first" "$second" "$pub"
	wait
	run -0 tarn topics unix:d
	[ -z "$output" ]
}

@test "tarn topics tells the type of those that have one" {
	mkdir d
	"$BUILD_DIR/tests/cli/typed" "$P" topic 3>&-
	tarn pub -c 0 -r 50 --type "$P/pose" unix:d/prices '{"x": 1}' 3>&- &
	pub=$!
	until_true any_name
	run -0 tarn topics -J unix:d/prices
	json '.items[0].type == "point" and .items[0].sockets[0].type == "point"'
	json '.items[0].type_size_bytes == 16'
	kill "$pub"
	wait "$pub" || true
	tarn rm "$P" --yes
}

@test "tarn topics is seen by no publisher, and takes nothing" {
	mkdir d
	tarn pub -c 0 -r 500 --patience 60 -l 4096 unix:d/news tick 3>&- &
	pub=$!
	until_true any_name
	for _ in $(seq 20); do
		tarn topics unix:d >/dev/null
	done
	local before after
	before=$(tarn topics -J unix:d/news | jq '.items[0].message_count')
	sleep 0.3
	after=$(tarn topics -J unix:d/news | jq '.items[0].message_count')
	[ "$after" -gt "$before" ] # nobody waits for who has looked
	kill "$pub"
	wait "$pub" || true
	tarn pub -w 1 -t 1 unix:d/news x 3>&- & # a look is no subscriber
	pub=$!
	until_true any_name
	for _ in $(seq 20); do
		tarn topics unix:d >/dev/null
	done
	wait "$pub" && return 1
	[ $? -eq 5 ]
}

@test "names of dead publishers are told as such, and stay but for --remove-dead" {
	mkdir d
	publish news
	local dead=$pub
	kill -9 "$dead"
	wait "$dead" || true
	publish news
	for _ in 1 2; do
		run -0 tarn topics -J unix:d
		json '.items[0].sockets | map(.state) | sort == ["alive", "dead"]'
		json '.items[0].publisher_count == 1'
		json '.items[0].sockets[] | select(.state == "dead") | .pid == null and .message_count == null
			and .user == "'"$(id -un)"'"'
		names_in d 2
	done
	run -0 tarn topics --remove-dead unix:d/news
	says " removed "
	names_in d 1
	run -0 tarn topics --remove-dead unix:d/news
	[[ $output != *removed* ]]
	says " alive "
	kill -9 "$pub"
	wait "$pub" || true
	run -0 tarn topics --remove-dead unix:d
	names_in d 0
}

@test "a publisher that is stopped is told as silent, and one that waits is held up" {
	mkdir d
	publish news
	kill -STOP "$pub"
	until_true bash -c 'tarn topics unix:d/news | grep -q " silent "'
	kill -CONT "$pub"
	until_true bash -c 'tarn topics unix:d/news | grep -q " alive "'
	run -0 tarn topics --held-up unix:d
	[ -z "$output" ]
	kill "$pub"
	wait "$pub" || true
	tarn pub -w 1 -c 0 --patience 60 -l 4096 unix:d/news tick 3>&- >/dev/null 2>&1 &
	pub=$!
	tarn echo --lossless unix:d/news 3>&- >got &
	local echo=$!
	until_true test -s got
	kill -STOP "$echo"
	until_true bash -c 'tarn topics --held-up unix:d; [ $? -eq 1 ]'
	run -1 tarn topics --held-up -J unix:d
	json '.items[0].held_up | startswith("'"$pub"' (tarn)")'
	json '.items[0].sockets[0].state == "waits"'
	run -0 tarn topics unix:d/news
	says "held up    $pub (tarn)"
	kill -CONT "$echo"
	kill "$echo" "$pub"
	wait
}

@test "tarn topics looks at other users' publishers as --peers says, and tells who refuses" {
	need_root
	mkdir -m 0755 d
	as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
	as_nobody test -x "$(command -v tarn)" || skip "nobody may not execute it here"
	publish news
	run -4 as_nobody tarn topics -J --peers root unix:d
	json '.complete == false and .items[0].sockets[0].state == "denied"'
	json '.items[0].sockets[0] | .user == "root" and .pid == null and .message_count == null'
	kill "$pub"
	wait "$pub" || true
	publish news --peers nobody
	run -0 as_nobody tarn topics -J unix:d
	json '.items[0].sockets[0] | .state == "stranger" and .pid == '"$pub"' and .message_count == null'
	run -0 as_nobody tarn topics -J --peers root unix:d
	json '.items[0].sockets[0] | .state == "alive" and .message_count > 0'
	run -4 setpriv --reuid 4242 --regid 4242 --clear-groups tarn topics --peers all unix:d/news
	says " refuses "
	kill "$pub"
	wait "$pub" || true
	chmod 0711 d
	run -4 as_nobody tarn topics unix:d
	says "unix:d"
	says "chmod +r"
}

@test "tarn topics says what is wrong with a directory of sockets" {
	run -3 tarn topics unix:nowhere
	says "nowhere"
	says "hint: make it"
	run -3 tarn topics unix:nowhere/news
	says "directory of sockets nowhere"
	mkdir d
	run -0 tarn topics unix:d
	[ -z "$output" ]
	run -3 tarn topics unix:d/news
	says "unix:d/news: there is no socket news:TOKEN"
	says "tarn pub unix:d/news"
	publish news
	run -3 tarn topics unix:d/nwes
	says "did you mean 'unix:d/news'?"
	run -1 tarn topics "unix:d/$(ls d)"
	says "a directory of sockets is wanted"
	touch d/file
	run -1 tarn topics unix:d/file
	says "a directory of sockets is wanted"
	run -2 tarn topics --peers all "$P"
	says "unix:DIR"
	run -2 tarn topics --remove-dead
	says "unix:DIR"
	run -2 tarn topics --peers 'no such user' unix:d
	says "is no user"
	kill "$pub"
	wait "$pub" || true
}
