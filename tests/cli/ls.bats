# ls: every kind of shared memory with its users, as the kernel has them; filters, order, columns.
load lib.bash

# Exit code 0, or 4 where some process of the host may not be read, which ls then says.
looks()
{
	run tarn "$@"
	[ "$status" -eq 0 ] || [ "$status" -eq 4 ] || is 0
	[[ " $* " != *" -J "* ]] || json '.complete == ('"$status"' == 0)'
}

# hold KIND=NAME...: a process that has all these; $PID, and $CHILD of an anonymous one.
hold()
{
	need python3
	[ -p hold.in ] || mkfifo hold.in
	exec 8<>hold.in
	python3 "$SOURCE_DIR/tests/cli/holder" "$@" <hold.in 8>&- 3>&- >hold.out &
	HOLDER=$!
	until_true grep -q ready hold.out
	read -r _ PID CHILD <hold.out
}

let_go() { kill -9 "$HOLDER" && wait "$HOLDER" || true; }

names() { jq -r '.items[].name' <<<"$output"; }

# A System V segment that goes with the test; its identifier in $ID.
make_sysv()
{
	need ipcmk
	ID=$(ipcmk -M "$1" | grep -o '[0-9]*$')
	echo "$ID" >>sysv.ids
}

teardown()
{
	local pids id
	pids=$(jobs -p)
	# shellcheck disable=SC2086 # a list
	[ -z "$pids" ] || kill -9 $pids 2>/dev/null
	while read -r id; do ipcrm -m "$id" 2>/dev/null; done < <(cat sysv.ids 2>/dev/null)
	rm -f "/dev/shm/$P"* 2>/dev/null
	true
}

@test "each kind is listed with who uses it, as stat, /proc/sysvipc/shm and /proc/PID/maps have it" {
	make_sysv 100000
	hold "posix=${P}p:65536" "memfd=${P}m:12288" "anon=:1048576" "sysv=$ID" "file=$PWD/f:8192"
	echo x >"/dev/shm/${P}idle"
	tarn ls --files -J >ls.json || [ $? -eq 4 ]
	tarn ps --files -J >ps.json || [ $? -eq 4 ]
	run python3 "$SOURCE_DIR/tests/cli/truth" ls.json ps.json "$PID" "$CHILD"
	is 0
	output=$(cat ls.json)
	# the C library maps a file of its own, too
	by_pid='[.items[] | select(.name | startswith("file:/usr") | not) | select(.processes[] | .pid == '$PID')]'
	json "$by_pid"' | map(.type) | sort == ["anon", "file", "memfd", "posix", "sysv"]'
	json "$by_pid"' | map(select(.processes[] | .pid == '"$CHILD"')) | length == 5'
	json '.items[] | select(.name == "shm:'"$P"'p") | .size_bytes == 65536 and .state == "live" and .touched_bytes == 4096'
	json '.items[] | select(.name == "sysv:#'"$ID"'") | .size_bytes == 100000 and .attach_count == 2 and .id == '"$ID"
	json '.items[] | select(.label == "'"$P"'m") | .type == "memfd" and .seals == "shrink" and (.name | startswith("memfd:"))'
	json '.items[] | select(.name == "file:'"$PWD"'/f") | .type == "file"'
	json '.items[] | select(.name == "shm:'"$P"'idle") | .processes == []'
	json '[.items[] | .size_bytes, .inode, .device, .attach_count | type] | unique == ["number"]'
}

@test "the comparison with the kernel sees what is left out, added or wrong" {
	hold "posix=${P}p:65536"
	tarn ls --files -J >ls.json || true
	tarn ps --files -J >ps.json || true
	truth() { python3 "$SOURCE_DIR/tests/cli/truth" seeded.json "${1:-ps.json}" "$PID"; }
	for fault in 'del(.items[] | select(.name == "shm:'"$P"'p"))' \
		'(.items[] | select(.name == "shm:'"$P"'p") | .size_bytes) = 1' \
		'(.items[] | select(.name == "shm:'"$P"'p") | .processes) = []' \
		'(.items[] | select(.name == "shm:'"$P"'p") | .inode) += 1'; do
		jq "$fault" ls.json >seeded.json
		run truth
		is 1
	done
	cp ls.json seeded.json
	jq '.items[].mappings[].address += 4096' ps.json >ps2.json
	run truth ps2.json
	is 1
	run truth
	is 0
}

@test "an object that is deleted while it is mapped is shown, with the name it had" {
	hold "posix=${P}d"
	rm "/dev/shm/${P}d"
	looks ls -p "$PID" -J
	json '.items | length == 1'
	json '.items[0] | .state == "deleted" and .removed and (.label | contains("'"$P"'d"))'
	run tarn ls "$(names)" -J
	json '.items[0].state == "deleted"'
}

@test "what is only open is listed, without rights and addresses" {
	hold "open=${P}o"
	looks ls "shm:${P}o" -J
	json '.items[0].processes == [{pid: '"$PID"', uid: '"$(id -u)"', command: "python3", mapping_count: 0, fd_count: 1, fd: .items[0].processes[0].fd, rights: null}]'
}

@test "Tarn's regions are known, and a stale one is leaked, with the proof" {
	tarn create "${P}r" -q
	mkfifo input
	exec 9<>input
	tarn send "${P}e" <input >/dev/null 2>&1 3>&- 9>&- &
	until_true sh -c "tarn info ${P}e -J | jq -e '.items[0].member_count == 1'"
	run tarn ls "${P}r" "${P}e" -J
	json '[.items[] | .content] == ["region", "region"]'
	json '[.items[] | .name] == ["'"$P"'r", "'"$P"'e"]'
	json '.items[1].state == "live"'
	kill -9 %%
	wait %% || true
	run tarn ls --leaked -J "${P}r" "${P}e"
	json '[.items[] | .name, .state] == ["'"$P"'e", "stale"] and (.items[0].proof | contains("no member is alive"))'
	run tarn ls --leaked --check "${P}e"
	is 1
	run tarn ls --check "${P}r"
	[ "$status" -ne 1 ]
	exec 9>&-
	tarn gc "${P}e" --yes
	tarn rm "${P}r" -y
}

@test "-t, -u, -p, --min-size and names choose" {
	make_sysv 5000
	hold "posix=${P}a:1048576" "memfd=${P}m:4096"
	echo x >"/dev/shm/${P}b"
	looks ls -t posix -J
	json '.items | length >= 2 and all(.type == "posix")'
	looks ls -t sysv,memfd -J
	json '[.items[].type] | unique == ["memfd", "sysv"]'
	looks ls -p "$PID" -t posix -J
	[ "$(names)" = "shm:${P}a" ]
	looks ls -p "$PID" --min-size 1M -J
	[ "$(names)" = "shm:${P}a" ]
	looks ls -u "$(id -u)" -J
	json '.items | length >= 4 and all(.uid == '"$(id -u)"')'
	looks ls -u 4242 -J
	json '.items == []'
	looks ls "${P}b" "shm:${P}a" "sysv:#$ID" "/dev/shm/${P}a" -J
	[ "$(names | tr '\n' ' ')" = "shm:${P}b shm:${P}a sysv:#$ID shm:${P}a " ]
	looks ls -t region -J
	json '.items | all(.content == "region" or .content == "control" or .content == "temporary")'
}

@test "a name or process that is not there exits 3, and the others are listed" {
	echo x >"/dev/shm/${P}frames"
	run tarn ls "shm:${P}framse"
	is_error 3 ls
	says "did you mean 'shm:${P}frames'?"
	run tarn ls nothing-of-that-name "${P}frames" -o name
	is 3
	says "shm:${P}frames"
	run tarn ls -p 4194304
	is_error 3 ls
	says "no process 4194304"
	run tarn ls --root /nonexistent
	is_error 3 ls
}

@test "bad usage exits 2, with what is possible" {
	for bad in "-t shm" "-t posix,x" "-p 0" "-p x" "-p -1" "--min-size x" "-u nobody-of-that-name" \
		"-o nosuch" "-s nosuch" "-s name,nosuch" "-i 0 -w" "-i x" "-c -1" "-c x" "--type" "--nosuch"; do
		# shellcheck disable=SC2086 # two words
		run tarn ls $bad
		is_error 2 ls
		says "hint:"
	done
}

@test "-s sorts numbers as numbers, unknown last; -o and -n choose what is printed" {
	for pair in 9:9000 10:70000 2:100; do
		head -c "${pair#*:}" /dev/zero >"/dev/shm/${P}${pair%:*}"
	done
	sorted() { tarn ls "shm:${P}9" "shm:${P}10" "shm:${P}2" -rn -o name "$@" 2>/dev/null | tr -d '\n' || true; }
	[ "$(sorted)" = "shm:${P}9shm:${P}10shm:${P}2" ]
	[ "$(sorted -s size)" = "shm:${P}2shm:${P}9shm:${P}10" ]
	[ "$(sorted -s -SIZE_BYTES)" = "shm:${P}10shm:${P}9shm:${P}2" ]
	[ "$(sorted -s name)" = "shm:${P}2shm:${P}9shm:${P}10" ]
	[ "$(sorted -s state,-name)" = "shm:${P}10shm:${P}9shm:${P}2" ]
	make_sysv 1
	looks ls "shm:${P}2" "sysv:#$ID" -J -s id
	json '[.items[].id] == ['"$ID"', null]'
	looks ls "shm:${P}2" "sysv:#$ID" -J -s -id
	json '[.items[].id] == ['"$ID"', null]'
	run tarn ls "shm:${P}9" -n -o name,size -b
	[[ ${lines[0]} =~ ^shm:${P}9\ +9000$ ]]
	run tarn ls -o help
	is 0
	says "PSS"
}

@test "what costs time is found out only if it is asked for" {
	hold "posix=${P}a:65536"
	looks ls "shm:${P}a" -J
	json '.items[0] | .pss_bytes == null and .numa == null and .dirty_bytes == null'
	looks ls "shm:${P}a" -J -o +pss
	json '.items[0] | .pss_bytes == 4096 and .numa == null'
	looks ls "shm:${P}a" -J -s numa
	json '.items[0] | .pss_bytes == null and (.numa | map(.size_bytes) | add == 4096)'
	run tarn ls "shm:${P}a" -n -o numa,pss
	says "4 KiB"
}

@test "-0 prints addresses that other verbs accept, whatever bytes the names hold" {
	odd=("${P} blank" "${P}"$'\n'"newline" "${P}"$'\e'"[31mred" "${P}äö→" "${P}"$'\xff'"raw" "${P}'\"\$x")
	for name in "${odd[@]}"; do echo x >"/dev/shm/$name"; done
	looks ls -t posix
	[[ $output != *$'\e'* ]]
	tarn ls -t posix -0 >names 2>/dev/null || true
	[ "$(tr -dc '\0' <names | wc -c)" -ge ${#odd[@]} ]
	count=0
	while IFS= read -r -d '' name; do
		[[ $name == *"$P"* ]] || continue
		run tarn ls "$name" -J
		json '.items | length == 1'
		count=$((count + 1))
	done <names
	[ "$count" -eq ${#odd[@]} ]
	looks ls -t posix -J
	json '[.items[] | select(.name | contains("'"$P"'"))] | length == '${#odd[@]}
	json '.items[] | select(.name == "shm:'"$P"'äö→")'
}

@test "odd labels of memfds reach neither terminal nor JSON raw" {
	hold "memfd=${P} a"$'\e'"]0;x"$'\n'"\"b" "posix=${P}x"
	looks ls -p "$PID"
	[[ $output != *$'\e'* ]]
	looks ls -p "$PID" -J
	json '[.items[] | select(.type == "memfd") | .label] | length == 1'
}

@test "--tree draws the processes below each segment, with rights and addresses" {
	hold "posix=${P}t:8192" "open=${P}o"
	address=$(awk -v name="/dev/shm/${P}t" '$6 == name { sub(/-.*/, ""); print "0x" $1; exit }' "/proc/$PID/maps")
	run tarn ls --tree "shm:${P}t" "shm:${P}o"
	says "└─$PID python3  rw-s $address"
	says "└─$PID python3  descriptor "
	[[ ${lines[0]} == NAME* ]]
	run tarn ls --tree "shm:${P}t" "shm:${P}o" -o size,name -s -name
	[[ ${lines[1]} == *"shm:${P}t"* && ${lines[2]} == *"$PID python3"* ]]
	looks ls --tree "shm:${P}t" -J
	json '.items | length == 1'
}

@test "an empty host is an empty list" {
	mkdir -p root/proc/self root/dev/shm root/sys
	run tarn ls --root "$PWD/root" -J
	is 0
	json '.items == [] and .complete'
	run tarn ls --root "$PWD/root"
	is 0
	[ -z "$output" ]
	run tarn ls --root "$PWD/root" -0
	[ -z "$output" ]
}

@test "memory that runs out at any moment is a failure in words, never a crash or half an answer" {
	nomem=$BUILD_DIR/tests/cli/libnomem.so
	[ -e "$nomem" ] || skip "the C library has no second names for its allocator"
	# a host that stands still
	mkdir -p root/proc/self root/proc/sysvipc root/dev/shm root/sys
	echo " key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap" >root/proc/sysvipc/shm
	for i in 1 2 3; do
		echo " 0 $i 600 $((i * 4096)) 0 0 0 0 0 0 0 0 0 1795000000 0 0" >>root/proc/sysvipc/shm
		head -c 9000 /dev/zero >"root/dev/shm/a$i"
	done
	for args in "-o name,size,inode,pids -s -size" "-J -o +numa" "--tree -o name,size" "-w -c 1 -o name"; do
		# shellcheck disable=SC2086 # words
		look() { env "$@" tarn ls --root "$PWD/root" $args 2>err | sed '/_ns"/d; /"owner"/d; /"host"/d; /"boot_id"/d'; }
		set -o pipefail
		look LD_PRELOAD="$nomem" >wanted
		grep -q "shm/a3" wanted
		failures=0 step=4
		[[ $args != *-J* ]] || step=1
		for n in $(seq 0 "$step" 190); do
			code=0
			look LD_PRELOAD="$nomem" TARN_NOMEM="$n" >got || code=$?
			if [ "$code" -eq 0 ]; then
				# libsmartcols prints nothing for a text that it has no memory to lay out
				[[ $args != *-J* ]] || cmp got wanted || { echo "$args: allocation $n: exit 0, and another answer"; return 1; }
			else
				failures=$((failures + 1))
				[ "$code" -eq 1 ] || { echo "$args: allocation $n: exit $code"; cat err; return 1; }
				grep -qi "memory" err || { echo "$args: allocation $n is not told"; cat err; return 1; }
			fi
		done
		[ "$failures" -gt 10 ] || { echo "only $failures allocations failed"; return 1; }
	done
}

@test "who may not read all processes is told so, in words and in JSON, and it exits 4" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to be another user"
	need setpriv
	as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
	as_nobody test -x "$TARN" || skip "another user cannot reach the build directory"
	hold "posix=${P}n" "memfd=${P}m"
	run as_nobody tarn ls
	is 4
	says "not readable, processes or files; counts are lower bounds"
	says "shm:${P}n"
	run as_nobody tarn ls -J
	is 4
	json '.complete == false and .unreadable > 0'
	json '.items[] | select(.name == "shm:'"$P"'n") | .processes == [] and .state != "idle"'
	json '[.items[] | select(.label == "'"$P"'m")] == []'
	run as_nobody tarn ls -p "$PID"
	is_error 4 ls
}

# --- terminals and pipes -----------------------------------------------------------------------

on_terminal() { need script; TERM=xterm script -qec "stty cols $1 rows $2; $3" /dev/null; }

@test "a narrow terminal gets fewer columns and shorter names, a pipe and --notruncate all" {
	long=${P}$(printf 'x%.0s' $(seq 60))
	echo x >"/dev/shm/$long"
	run on_terminal 70 24 "tarn ls shm:$long"
	says "STATE"
	[[ $output != *CREATOR* && $output != *"$long"* ]]
	for line in "${lines[@]:0:2}"; do [ ${#line} -le 71 ]; done
	run on_terminal 70 24 "tarn ls shm:$long --notruncate"
	says "CREATOR"
	says "$long"
	run on_terminal 200 24 "tarn ls shm:$long"
	says "CREATOR"
	says "$long"
	run on_terminal 70 24 "tarn ls shm:$long -o creator,name,mode,swap"
	says "CREATOR"
	run tarn ls "shm:$long"
	says "$long"
	says "CREATOR"
}

@test "-w redraws a terminal, and leaves it as it was, with the last look below" {
	echo x >"/dev/shm/${P}w"
	run on_terminal 100 20 "tarn ls shm:${P}w -w -i 0.02 -c 3"
	[ "$status" -eq 0 ] || is 4
	[ "$(grep -o $'\e\[H' <<<"$output" | wc -l)" -eq 3 ]
	says $'\e[?1049h'
	says "every 0.02 s"
	after=${output##*$'\e[?7h\e[?25h\e[?1049l'}
	[[ $after == *"shm:${P}w"* && $after != *$'\e[H'* ]]
}

@test "-w on a terminal of few lines shows what fits and how much does not" {
	for i in $(seq 30); do echo x >"/dev/shm/${P}$i"; done
	run on_terminal 100 10 "tarn ls -t posix -w -i 0.02 -c 1"
	says "more lines"
	screen=${output%%$'\e[?1049l'*}
	[ "$(wc -l <<<"$screen")" -le 11 ]
}

@test "SIGINT ends -w on a terminal well, and the terminal is restored" {
	need script
	TERM=xterm script -qec "sh -c 'echo \$\$ >pid; exec tarn ls -w -i 60'" /dev/null >screen 3>&- </dev/null &
	until_true grep -q "every 60 s" screen
	kill -INT "$(cat pid)"
	wait $!
	grep -q $'\e\[?25h\e\[?1049l' screen
}

@test "SIGINT and SIGTERM end -w to a pipe well" {
	for signal in INT TERM HUP; do
		# a shell lets what runs in the background ignore SIGINT
		python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp("tarn", ["tarn", "ls", "-wJ", "-c", "0", "-i", "60"])' >out 3>&- &
		until_true grep -q schema out
		kill -"$signal" $!
		wait $!
		[ "$(wc -l <out)" -eq 1 ]
	done
}

@test "-w to a pipe: one look, or --count of them; with -J one object a line; no escapes" {
	echo x >"/dev/shm/${P}w"
	run tarn ls "${P}w" -w -n -o name
	[[ $output != *$'\e'* ]]
	[ "$(grep -c "shm:${P}w" <<<"$output")" -eq 1 ]
	run tarn ls "${P}w" -i 0.01 -c 3 -n -o name
	[ "$(grep -c "shm:${P}w" <<<"$output")" -eq 3 ]
	looks ls "${P}w" -c 3 -i 0.01 -J
	[ "${#lines[@]}" -eq 3 ]
	for line in "${lines[@]}"; do
		jq -e '.schema == "tarn.ls/1" and (.items | length == 1)' <<<"$line"
	done
}

@test "-w sees what comes and goes" {
	(tarn ls "shm:${P}w" -J -c 0 -i 0.02 2>/dev/null >out || true) 3>&- &
	until_true grep -q '"items":\[\]' out
	echo x >"/dev/shm/${P}w"
	until_true grep -q "\"name\":\"shm:${P}w\"" out
	kill -TERM "$(pgrep -P $!)"
	wait $!
}

@test "-w ends when nobody reads any more" {
	run bash -c "set -o pipefail; tarn ls -wJ -c 0 -i 0.01 | head -n 1 >/dev/null"
	[ "$status" -ne 0 ] || is 0
}

# --- many ---------------------------------------------------------------------------------------

@test "a thousand segments and a thousand processes: all there, each with its own" {
	need_own_shm
	[ "$(ulimit -u)" = unlimited ] || [ "$(ulimit -u)" -gt 3000 ] || skip "fewer than 3000 processes are allowed"
	mkfifo crowd.in
	exec 7<>crowd.in
	"$BUILD_DIR/tests/cli/crowd" "$P" 1000 1000 <crowd.in >crowd.out 3>&- 7>&- 8>&- &
	crowd=$!
	until_true grep -q ready crowd.out
	[ "$(cat crowd.out)" = "ready 1000" ] || skip "no thousand processes are to be had"
	began=$(date +%s%N)
	tarn ls -J >ls.json || [ $? -eq 4 ]
	took=$((($(date +%s%N) - began) / 1000000))
	echo "# ls of 1000 segments and 1000 processes took $took ms" >&3
	output=$(jq -c '{items: [.items[] | select(.name | startswith("shm:'"$P"'"))]}' ls.json)
	json '.items | length == 1000'
	json '.items | all((.processes | length == 1) and .attach_count == 1 and .state == "live" and .touched_bytes == 4096)'
	json '[.items[].processes[].pid] | unique | length == 1000'
	tarn ps -rn -o pid,name >ps.out 2>/dev/null || [ $? -eq 4 ]
	[ "$(grep -c " shm:$P" ps.out)" -eq 1000 ]
	kill -9 $crowd
	wait $crowd || true
	# the children go with their parent; nobody has them then
	until_true sh -c "tarn ls -t posix -J | jq -e '[.items[] | select(.name | startswith(\"shm:$P\")) | .processes | length] | add == 0'"
}
