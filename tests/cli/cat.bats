# cat and hexdump: bytes as they are, of any kind of segment, however they change meanwhile.
load lib.bash

fill() { head -c "$2" /dev/urandom >"/dev/shm/$P$1"; }

@test "cat writes the bytes as they are, and nothing else" {
	fill a 100003
	tarn cat "shm:${P}a" | cmp - "/dev/shm/${P}a"
	printf 'a\0b' >"/dev/shm/${P}b"
	tarn cat "shm:${P}b" "/dev/shm/${P}b" | cmp - <(printf 'a\0ba\0b')
	: >"/dev/shm/${P}b"
	run tarn cat "shm:${P}b"
	is 0 && [ -z "$output" ]
}

@test "cat takes a part by --offset and --length, in bytes, K and hexadecimal" {
	fill a 100003
	tarn cat "shm:${P}a" --offset 0x10 --length 64K | cmp - <(tail -c +17 "/dev/shm/${P}a" | head -c 65536)
	tarn cat "shm:${P}a" --offset 100000 --length 1M | cmp - <(tail -c 3 "/dev/shm/${P}a")
	run tarn cat "shm:${P}a" --offset 100003
	is 0 && [ -z "$output" ]
	run tarn cat "shm:${P}a" --offset 100004
	is_error 1 cat && says "before offset 0x186a4"
	run tarn cat "shm:${P}a" --offset 0x
	is_error 2 cat
}

@test "hexdump prints what hexdump -C prints" {
	need hexdump
	fill a 5003
	dd if=/dev/zero of="/dev/shm/${P}a" bs=1 seek=9000 count=70000 status=none
	for part in "" "-s 17 -n 300" "-s 6000 -n 3000" "-n 16" "-s 5000 -n 8" "-s 9000 -n 60" "-n 0"; do
		# shellcheck disable=SC2086 # several words
		diff <(tarn hexdump "shm:${P}a" $(sed 's/-s/--offset/;s/-n/--length/' <<<"$part")) \
			<(hexdump -C $part "/dev/shm/${P}a")
	done
	diff <(tarn hexdump -v "shm:${P}a") <(hexdump -v -C "/dev/shm/${P}a")
	: >"/dev/shm/${P}a"
	run tarn hexdump "shm:${P}a"
	is 0 && [ -z "$output" ]
}

@test "hexdump of a terabyte with two pages takes no longer than these" {
	truncate -s 1T "/dev/shm/${P}a"
	printf 'here' | dd of="/dev/shm/${P}a" bs=1 seek=500G conv=notrunc status=none
	run timeout 60 tarn hexdump "shm:${P}a"
	is 0
	[ "${lines[2]}" = "7d00000000  68 65 72 65 00 00 00 00  00 00 00 00 00 00 00 00  |here............|" ]
	[ "${lines[5]}" = "10000000000" ]
	[ "$(stat -c %b "/dev/shm/${P}a")" -eq 8 ]
}

@test "an object of a region is read alone, from its first byte" {
	tarn send "$P" --ring 64K </dev/zero 2>/dev/null 3>&- &
	until_true sh -c "tarn info $P -J | jq -e '.items[0].objects | length == 2'"
	sender=$!
	kill -STOP $sender
	size=$(tarn info "$P" -J | jq '.items[0].objects[] | select(.object == "stream").size_bytes')
	off=$(tarn info "$P" -J | jq '.items[0].objects[] | select(.object == "stream").offset_bytes')
	[ "$(tarn cat "$P/stream" | wc -c)" -eq "$size" ]
	cmp <(tarn cat "$P/stream") <(tail -c "+$((off + 1))" "/dev/shm/$P" | head -c "$size")
	cmp <(tarn hexdump "$P/stream" --length 64) \
		<(tail -c "+$((off + 1))" "/dev/shm/$P" | hexdump -C -n 64)
	run tarn cat "$P/strem"
	is_error 3 cat && says "did you mean 'stream'?"
	kill -9 $sender
}

@test "System V, memfd and deleted files are read as well" {
	need ipcmk
	need python3
	id=$(ipcmk -M 10000 | grep -o '[0-9]*$')
	[ "$(tarn cat "sysv:#$id" | wc -c)" -eq 10000 ]
	ipcrm -m "$id"
	python3 -c '
import os, time
fd = os.memfd_create("odd\nname"); os.write(fd, b"in a memfd")
gone = os.open("/dev/shm/'"$P"'gone", os.O_RDWR | os.O_CREAT); os.write(gone, b"no name"); os.unlink("/dev/shm/'"$P"'gone")
print(fd, gone, flush=True); time.sleep(60)' >fds 3>&- &
	until_true test -s fds
	read -r fd gone <fds
	[ "$(tarn cat "memfd:$!:$fd")" = "in a memfd" ]
	[ "$(tarn cat "memfd:$!:$gone")" = "no name" ]
	[ "$(tarn info "memfd:$!:$fd" -J | jq -r '.items[0].label')" = "odd?name" ]
}

@test "names with blanks and control characters are read, and told plainly" {
	name="$P a\$b"$'\033'"[31m"
	printf 'odd' >"/dev/shm/$name"
	# as tarn ls prints it
	[ "$(tarn cat "shm:$P a\$b?[31m")" = odd ]
	run tarn cat "shm:${name}x"
	is 2 && [[ $output != *$'\033'* ]]
	rm "/dev/shm/$name"
}

@test "what is made shorter meanwhile is an error and no signal" {
	fill a 50000000
	# the reader waits for the pipe, and finds less than there was
	{
		tarn cat "shm:${P}a" 2>err || echo $? >code
	} | {
		head -c 1000 >/dev/null
		truncate -s 3M "/dev/shm/${P}a"
		cat >/dev/null
	}
	[ "$(cat code)" -eq 1 ]
	grep -q "made shorter meanwhile" err
}

@test "a reader that has had enough is no news" {
	fill a 5000000
	run bash -c "tarn cat shm:${P}a | head -c 10 >/dev/null; exit \${PIPESTATUS[0]}"
	is 1 && [ -z "$output" ]
	run bash -c "tarn hexdump shm:${P}a | head -n 1 >/dev/null; exit \${PIPESTATUS[0]}"
	is 1 && [ -z "$output" ]
}

@test "a terminal is spared, unless --force" {
	need script
	fill a 100
	run script -qec "tarn cat shm:${P}a" /dev/null
	is 2 && says "terminal"
	run script -qec "tarn cat shm:${P}a --force >/dev/null" /dev/null
	is 0
}

@test "missing names exit 3, missing rights 4, bad usage 2" {
	need setpriv
	fill a 100
	chmod 600 "/dev/shm/${P}a"
	for verb in cat hexdump; do
		run tarn "$verb" "shm:${P}nosuch"
		is_error 3 "$verb"
		run tarn "$verb" map:1x:0x0
		is_error 2 "$verb"
		run tarn "$verb"
		is_error 2 "$verb"
		[ "$(id -u)" -eq 0 ] || continue
		run setpriv --reuid=65534 --regid=65534 --clear-groups -- "$TARN" "$verb" "shm:${P}a"
		is_error 4 "$verb"
	done
}
