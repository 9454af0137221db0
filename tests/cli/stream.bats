# send and recv: every size, both orders, deaths, restarts, and what the other side says.
load lib.bash

# Move file in: receiver first if $1 is recv; further words go to both sides.
move()
{
	local first=$1
	shift
	if [ "$first" = recv ]; then
		tarn recv "$P" "$@" >out 3>&- &
		until_true test -e "/dev/shm/$P"
		tarn send "$P" "$@" <in
	else
		tarn send "$P" "$@" <in 3>&- &
		until_true test -e "/dev/shm/$P"
		tarn recv "$P" "$@" >out
	fi
	wait $!
}

@test "files of 0, 1, 4095, 1M and 50M bytes arrive whole, whoever starts first" {
	for size in 0 1 4095 1M 50M; do
		head -c "$size" /dev/urandom >in
		for first in send recv; do
			move "$first"
			cmp in out
			move "$first" --verify
			cmp in out
		done
	done
	shm_unchanged
}

@test "pipes in and out, and a sender whose input trickles" {
	head -c 3000000 /dev/urandom >in
	(for i in 1 2 3; do head -c 1000000; sleep 0.05; done) <in 3>&- | tarn send "$P" 3>&- &
	tarn recv "$P" | cmp - in
	wait $!
	shm_unchanged
}

@test "what is sent arrives at once, not when a buffer is full" {
	mkfifo input output
	tarn send "$P" <input 3>&- &
	tarn recv "$P" >output 3>&- &
	exec 8>input 9<output
	echo one >&8
	read -r -t 5 line <&9
	[ "$line" = one ]
	echo two >&8
	read -r -t 5 line <&9
	[ "$line" = two ]
	exec 8>&-
	wait
	exec 9<&-
	shm_unchanged
}

@test "rings of other sizes" {
	head -c 2000000 /dev/urandom >in
	for size in 4K 64K 16M; do
		move send --ring $size
		cmp in out
		move recv --ring $size --verify
		cmp in out
	done
	shm_unchanged
}

@test "sides that ask for different sizes use the ring that is there" {
	head -c 500000 /dev/urandom >in
	tarn send "$P" --ring 64K <in 3>&- &
	until_true test -e "/dev/shm/$P"
	tarn recv "$P" --ring 1M >out
	wait $!
	cmp in out
	shm_unchanged
}

@test "other kinds of memory: a file, a System V key" {
	head -c 1000000 /dev/urandom >in
	for name in "file:$PWD/r" "sysv:0x7c$(printf %06x $(($$ & 0xffffff)))"; do
		tarn send "$name" --verify <in 3>&- &
		tarn recv "$name" >out
		wait $!
		cmp in out
	done
	[ ! -e r ]
	shm_unchanged
}

@test "many streams one after the other under one name leave nothing" {
	head -c 10000 /dev/urandom >in
	for i in $(seq 100); do
		tarn send "$P" <in 3>&- &
		tarn recv "$P" >out
		wait $!
		cmp in out
	done
	shm_unchanged
}

@test "a lasting region serves stream after stream" {
	tarn create "$P" --size 8M -q
	head -c 100000 /dev/urandom >in
	for first in send recv send recv; do
		if [ $first = recv ]; then
			tarn recv "$P" >out 3>&- &
			sleep 0.05
			tarn send "$P" <in
		else
			tarn send "$P" <in 3>&- &
			sleep 0.05
			tarn recv "$P" >out
		fi
		wait $!
		cmp in out
	done
	run tarn check "$P"
	is 0
	tarn rm "$P" -y
}

@test "--timeout: exit 5 where nobody comes, from either side" {
	run tarn send "$P" --timeout 0.2 </dev/null
	is_error 5 send
	says "no receiver came"
	run tarn recv "$P" -t 0.2
	is_error 5 recv
	says "no sender came"
	shm_unchanged
}

@test "names under which nobody could meet are refused" {
	for name in anon: memfd:x sysv:private; do
		run tarn send $name -t 1 </dev/null
		is_error 2 send
		run tarn recv $name -t 1
		is_error 2 recv
	done
	shm_unchanged
}

@test "a second sender and a second receiver are refused, and the first go on" {
	mkfifo input
	tarn send "$P" <input 3>&- &
	sender=$!
	exec 8>input
	tarn recv "$P" >out 3>&- 8>&- &
	receiver=$!
	until_true sh -c "tarn info $P -J | jq -e '.items[0].objects | length == 2'"
	run tarn send "$P" </dev/null 8>&-
	is_error 1 send
	says "another sender is at work"
	says "hint:"
	until_true sh -c "tarn info $P -J | jq -e '.items[0].member_count == 2'"
	run tarn recv "$P" 8>&-
	is_error 1 recv
	says "another receiver is at work"
	echo data >&8
	exec 8>&-
	wait $sender
	wait $receiver
	[ "$(cat out)" = data ]
	shm_unchanged
}

# --- deaths ------------------------------------------------------------------------------------

# Start both; $sender and $receiver; the stream is under way when this returns.
start_endless()
{
	tarn send "$P" </dev/zero 2>send.err >/dev/null 3>&- &
	sender=$!
	tarn recv "$P" >out 2>recv.err 3>&- &
	receiver=$!
	until_true test -s out
}

# The exit code of job $1, which must end within ten seconds.
code_of()
{
	code=0
	timeout 10 tail --pid="$1" -f /dev/null || { echo "$1 hangs"; return 1; }
	wait "$1" || code=$?
}

@test "the sender is killed: the receiver says so with the bytes, exit 1" {
	start_endless
	kill -9 $sender
	code_of $receiver
	[ $code -eq 1 ]
	grep -Eq "tarn recv: $P: the sender died after [0-9]+ bytes had moved" recv.err
	[ "$(grep -Eo '[0-9]+ bytes' recv.err)" = "$(stat -c %s out) bytes" ]
	rm out
	shm_unchanged
}

@test "the receiver is killed: the sender says so, exit 1" {
	start_endless
	kill -9 $receiver
	code_of $sender
	[ $code -eq 1 ]
	grep -Eq "tarn send: $P: the receiver died after [0-9]+ bytes had moved" send.err
	shm_unchanged
}

@test "the receiver is killed while the sender waits for input: told within seconds" {
	mkfifo input
	tarn send "$P" <input 2>send.err 3>&- &
	sender=$!
	exec 8>input
	echo x >&8
	tarn recv "$P" >out 3>&- 8>&- &
	receiver=$!
	until_true test -s out
	kill -9 $receiver
	code_of $sender
	[ $code -eq 1 ]
	exec 8>&-
	shm_unchanged
}

@test "both are killed: the next pair under that name gets its own bytes" {
	head -c 300000 /dev/urandom >in
	for first in send recv send recv; do
		start_endless
		kill -STOP $sender $receiver # so that neither sees the other's death
		kill -9 $sender $receiver
		wait || true
		[ -e "/dev/shm/$P" ]
		if [ $first = recv ]; then
			tarn recv "$P" >out 3>&- &
			sleep 0.1
			tarn send "$P" --verify <in
		else
			tarn send "$P" --verify <in 3>&- &
			sleep 0.1
			tarn recv "$P" >out
		fi
		wait $!
		cmp in out
		rm out
	done
	shm_unchanged
}

@test "a new receiver in the dead one's place: the sender fails, the receiver waits for a new stream" {
	mkfifo input
	tarn send "$P" <input 2>send.err 3>&- &
	sender=$!
	exec 8>input
	head -c 50000 /dev/zero >&8
	tarn recv "$P" >out 3>&- 8>&- &
	receiver=$!
	until_true test -s out
	kill -STOP $sender
	kill -9 $receiver
	wait $receiver || true
	tarn recv "$P" >out2 3>&- 8>&- &
	receiver=$!
	until_true sh -c "tarn info $P -J | jq -e '.items[0].member_count == 2'"
	kill -CONT $sender
	exec 8>&-
	code_of $sender
	[ $code -eq 1 ]
	echo fresh | tarn send "$P"
	wait $receiver
	[ "$(cat out2)" = fresh ]
	shm_unchanged
}

@test "a new sender in the dead one's place: the receiver fails with the bytes it got" {
	mkfifo input
	tarn send "$P" <input 3>&- &
	sender=$!
	exec 8>input
	echo part >&8
	tarn recv "$P" >out 2>recv.err 3>&- 8>&- &
	receiver=$!
	until_true test -s out
	kill -STOP $receiver
	kill -9 $sender
	wait $sender || true
	exec 8>&-
	echo other | tarn send "$P" -t 3 >/dev/null 2>&1 3>&- &
	sleep 0.3
	kill -CONT $receiver
	code_of $receiver
	[ $code -eq 1 ]
	grep -q "the sender died after 5 bytes had moved" recv.err
	[ "$(cat out)" = part ]
	code_of $!
	shm_unchanged
}

@test "SIGINT and SIGTERM: 130 and 143, and the other side is told why" {
	for pair in TERM:143 INT:130; do
		rm -f out
		tarn send "$P" </dev/zero 2>send.err 3>&- &
		sender=$!
		# bash starts background jobs with SIGINT ignored
		env --default-signal=INT tarn recv "$P" >out 2>recv.err 3>&- &
		receiver=$!
		until_true test -s out
		kill -"${pair%:*}" $receiver
		code_of $receiver
		[ $code -eq "${pair#*:}" ]
		code_of $sender
		[ $code -eq 1 ]
		grep -q "the receiver gave up after [0-9]* bytes: it was interrupted" send.err
	done
	start_endless
	kill -TERM $sender
	code_of $sender
	[ $code -eq 143 ]
	code_of $receiver
	[ $code -eq 1 ]
	grep -q "the sender gave up after [0-9]* bytes: it was interrupted" recv.err
	shm_unchanged
}

@test "output that cannot be written: both fail at once, and say where" {
	tarn send "$P" </dev/zero 2>send.err 3>&- &
	run sh -c "tarn recv $P >/dev/full"
	is_error 1 recv
	says "standard output: No space left on device"
	code_of $!
	[ $code -eq 1 ]
	grep -q "it could not write its standard output" send.err
	shm_unchanged
}

@test "a reader that goes away: recv exits 1, not by a signal" {
	tarn send "$P" </dev/zero 2>/dev/null 3>&- &
	run bash -c "tarn recv $P | head -c 10 >/dev/null; exit \${PIPESTATUS[0]}"
	is 1
	says "Broken pipe"
	code_of $!
	[ $code -eq 1 ]
	shm_unchanged
}

@test "input that cannot be read is told to the receiver" {
	tarn recv "$P" >out 2>recv.err 3>&- &
	until_true test -e "/dev/shm/$P"
	run sh -c "tarn send $P </"
	is_error 1 send
	says "standard input"
	code_of $!
	[ $code -eq 1 ]
	grep -q "it could not read its standard input" recv.err
	shm_unchanged
}

@test "the region is truncated under the stream: an error with exit 6, not a signal" {
	start_endless
	truncate -s 8192 "/dev/shm/$P"
	code_of $sender
	sent=$code
	code_of $receiver
	[ "$sent" -lt 128 ] && [ $code -lt 128 ]
	[ "$sent" -eq 6 ] || [ $code -eq 6 ]
	cat send.err recv.err
	rm -f "/dev/shm/$P"
}

@test "bytes changed on their way are seen by --verify, by both sides" {
	need python3
	mkfifo input
	tarn send "$P" --verify <input 2>send.err 3>&- &
	sender=$!
	exec 8>input
	head -c 50000 /dev/zero >&8
	tarn recv "$P" >out 2>recv.err 3>&- 8>&- &
	receiver=$!
	until_true test -s out
	kill -STOP $receiver
	head -c 50000 /dev/zero | tr '\0' A >&8
	# a peer changes one byte of the record that the receiver has not read yet
	until_true python3 - "/dev/shm/$P" <<-'END'
		import sys
		with open(sys.argv[1], "r+b") as region:
		    at = region.read().find(b"A" * 1000)
		    if at < 0:
		        sys.exit(1)
		    region.seek(at + 500)
		    region.write(b"B")
	END
	kill -CONT $receiver
	exec 8>&-
	code_of $receiver
	[ $code -eq 1 ]
	grep -q "digests differ" recv.err
	code_of $sender
	[ $code -eq 1 ]
	grep -q "digests differ" send.err
	shm_unchanged
}

# --- progress ----------------------------------------------------------------------------------

@test "nothing is printed on a pipe; --progress asks for it; -q wins" {
	head -c 1000000 /dev/urandom >in
	move send 2>err
	[ ! -s err ]
	move send --progress 2>err
	[ "$(wc -l <err)" -ge 2 ]
	grep -q "^sent 977 KiB in" err
	grep -q "^received 977 KiB in" err
	move send --progress -q 2>err
	[ ! -s err ]
	shm_unchanged
}

@test "-J prints one object a line on standard error, the last one finished" {
	head -c 1000000 /dev/urandom >in
	tarn send "$P" -J --verify <in 2>send.json 3>&- &
	tarn recv "$P" -J >out 2>recv.json
	wait $!
	for side in send recv; do
		jq -es --arg s "tarn.$side/1" 'all(.[]; .schema == $s) and .[-1].event == "finished" and .[-1].moved_bytes == 1000000' $side.json
	done
	[ "$(jq -r .xxh3_128 send.json | tail -1)" = "$(jq -r .xxh3_128 recv.json | tail -1)" ]
	[ "$(jq -r .xxh3_128 send.json | tail -1 | wc -c)" -eq 33 ]
	! command -v xxh128sum >/dev/null || [ "$(xxh128sum in | cut -d' ' -f1)" = "$(jq -r .xxh3_128 send.json | tail -1)" ]
	shm_unchanged
}

@test "on a terminal progress is drawn over itself, with percent where the size is known" {
	need script
	head -c 200M /dev/zero >in
	(sleep 0.5; tarn recv "$P" | (sleep 1; cat) >/dev/null) 3>&- &
	TERM=xterm run script -qec "tarn send $P <in" /dev/null
	is 0
	[[ $output == *$'\r'*%*left* ]]
	says "sent 200 MiB in"
	wait
	shm_unchanged
}
