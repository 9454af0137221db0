# tarn pub, echo, hz, bw and delay of unix:DIR/TOPIC: topics in a directory of sockets, for peers that need
# not trust each other; other users, namespaces, what is left behind.
bats_require_minimum_version 1.5.0
load lib.bash

names_in() { [ "$(find "$1" -mindepth 1 | wc -l)" -eq "$2" ]; }
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
