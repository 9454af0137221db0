# ps: processes and the shared memory that they use. That its figures are the kernel's is tested
# with those of ls.
load lib.bash

looks()
{
	run tarn "$@"
	[ "$status" -eq 0 ] || [ "$status" -eq 4 ] || is 0
}

hold()
{
	need python3
	[ -p hold.in ] || mkfifo hold.in
	exec 8<>hold.in
	python3 "$SOURCE_DIR/tests/cli/holder" "$@" <hold.in 8>&- 3>&- >hold.out &
	until_true grep -q ready hold.out
	read -r _ PID CHILD <hold.out
}

@test "a row for each process and segment, with rights, addresses and descriptors" {
	hold "posix=${P}a:8192" "memfd=${P}m:4096" "anon=:16384" "open=${P}o"
	run tarn ps "$PID" -J
	is 0
	json '.schema == "tarn.ps/1" and .complete'
	json '[.items[] | .type] | sort == ["anon", "memfd", "posix", "posix"]'
	json '.items | all(.pid == '"$PID"' and .command == "python3" and .uid == '"$(id -u)"')'
	json '.items[] | select(.name == "shm:'"$P"'a") | .rights == "rw-s" and .mapped_bytes == 8192 and .rss_bytes == 4096 and .pss_bytes == 4096 and (.mappings | length == 1)'
	json '.items[] | select(.name == "shm:'"$P"'o") | .rights == null and .mappings == [] and .fd_count == 1'
	address=$(awk -v name="/dev/shm/${P}a" '$6 == name { sub(/-.*/, ""); print "0x" $1; exit }' "/proc/$PID/maps")
	run tarn ps "$PID"
	is 0
	says "$address"
	run tarn ps "$PID" "$CHILD" -J
	is 0
	json '[.items[].pid] | unique == ['"$PID"', '"$CHILD"']'
	looks ps -J
	json '[.items[] | select(.pid == '"$CHILD"')] | length == 4'
}

@test "what a process touches is found out if it is asked for" {
	hold "posix=${P}a:65536" "memfd=${P}m:4096"
	looks ps -t posix -J
	json '.items[] | select(.pid == '"$PID"') | .rss_bytes == null'
	run tarn ps "$PID" -o name,rss,pss -s -rss -rn
	[[ ${lines[0]} == "shm:${P}a 4\\x20KiB 4\\x20KiB" ]]
	run tarn ps "$PID" -o name,rss -bn -t posix
	[[ $output =~ ^shm:${P}a\ +4096$ ]]
}

@test "-t, -u, -s, -o and --files do as in ls" {
	hold "posix=${P}a:8192" "memfd=${P}m:4096" "file=$PWD/f:12288"
	run tarn ps "$PID" -t memfd -J
	json '[.items[].type] == ["memfd"]'
	run tarn ps "$PID" -s -size --files -J
	json '[.items[] | select(.size_bytes < 16384) | .size_bytes] == [12288, 8192, 4096]'
	run tarn ps "$PID" -t file -J
	json '.items | all(.type == "file") and any(.name == "file:'"$PWD"'/f")'
	looks ps -u 4242
	[[ $output != *"$P"* ]]
	run tarn ps -o help
	is 0
	says "PSS"
}

@test "a process that is not there exits 3, one that cannot be read 4, what is none 2" {
	run tarn ps 4194304
	is_error 3 ps
	says "no process 4194304"
	for bad in x 0 -5 12x 99999999999; do
		run tarn ps -- "$bad"
		is_error 2 ps
	done
	run tarn ps -t shm
	is_error 2 ps
	run tarn ps -o nosuch
	is_error 2 ps
	run tarn ps --root /nonexistent
	is_error 3 ps
	run tarn ps $$ 4194304 -J
	is 3
	[ "$(id -u)" -eq 0 ] || skip "needs root, to be another user"
	as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
	as_nobody test -x "$TARN" || skip "another user cannot reach the build directory"
	run as_nobody tarn ps $$
	is_error 4 ps
	run as_nobody tarn ps $$ -J 2>/dev/null
	is 4
	run as_nobody tarn ps
	is 4
	says "counts are lower bounds"
}

@test "a process that shares nothing has no row, and that is no error" {
	sleep 60 3>&- &
	run tarn ps $!
	is 0
	[ -z "$output" ]
	run tarn ps $! -J
	is 0
	json '.items == [] and .complete'
}

@test "a process may call itself anything" {
	need python3
	cat >odd.py <<-END
		import ctypes, mmap, sys
		ctypes.CDLL(None).prctl(15, b"x\\n\\x1b[31m) R 1", 0, 0, 0)
		area = mmap.mmap(-1, 4096)
		print("ready", flush=True)
		sys.stdin.read()
	END
	mkfifo in
	exec 8<>in
	python3 odd.py <in >out 3>&- 8>&- &
	until_true grep -q ready out
	run tarn ps $!
	is 0
	[[ $output != *$'\e'* ]]
	run tarn ps $! -J
	is 0
	json '.items | length == 1 and (.[0].command | startswith("x?"))'
}

@test "-w with -J to a pipe prints one object a line" {
	looks ps -w -J -c 2 -i 0.01
	[ "${#lines[@]}" -eq 2 ]
	for line in "${lines[@]}"; do jq -e '.schema == "tarn.ps/1"' <<<"$line"; done
}
