# What every verb keeps to: JSON as tarn-json(5) has it, and exit codes: 2 bad usage, 3 what is not
# there, 4 what this user may not.
bats_require_minimum_version 1.5.0
load lib.bash

verbs() { tarn help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }
schemas() { tarn help --man tarn-json | python3 "$SOURCE_DIR/tests/cli/schemas.py" "$@"; }

# What there is to look at: a region with data and people in it, segments of each kind.
furnish()
{
	tarn create "$P" -q --size 8M
	tarn send "$P" </dev/zero 2>/dev/null 3>&- &
	head -c 20000 /dev/urandom >"/dev/shm/$P.file"
	python3 - "$P" >pid 3>&- <<-'END' &
		import mmap, os, sys, time
		fd = os.memfd_create("schema", os.MFD_ALLOW_SEALING)
		os.ftruncate(fd, 8192)
		views = [mmap.mmap(fd, 8192), mmap.mmap(-1, 4096)]
		for view in views:
		    view[0] = 1
		print(os.getpid(), fd, flush=True)
		time.sleep(1000)
	END
	until_true grep -q . pid
	read -r holder fd <pid
	id=$(ipcmk -M 9000 | grep -o '[0-9]*$')
	until_true sh -c "tarn info $P -J | jq -e '.items[0].members != [] and .items[0].objects != []'"
}

unfurnish() { ipcrm -m "$id"; }

# said VERB ARGUMENT...: keeps the JSON of one call in VERB.N.json
said()
{
	local verb=$1 file code=0
	file=$verb.$(find . -name "$verb.*.json" | wc -l).json
	tarn "$@" >"$file" 2>err </dev/null || code=$?
	[ $code -eq 0 ] || [ $code -eq 4 ] || [[ $verb = @(doctor|autopsy) ]] || {
		echo "tarn $*: exit $code: $(cat err)"
		return 1
	}
}

speak()
{
	said ls -J
	said ls -J --files -o +pss,dirty,locked,numa
	said ls -J "$P" "shm:$P.file" "sysv:#$id"
	said ls -J --leaked
	said ps -J
	said ps -J "$holder"
	said info -J "$P"
	said info -J --maps --extents --frames "$P" "shm:$P.file" "sysv:#$id" "memfd:$holder:$fd"
	said info -J --maps --frames "map:$holder:0x$(awk '/zero/ { print $1 }' "/proc/$holder/maps" |
		cut -d- -f1)"
	"$BUILD_DIR/tests/cli/inside" "${P}d" 3>&-
	said info -J "${P}d"
	said locks -J --all "${P}d"
	said autopsy -J "${P}d"
	said recover -J "${P}d"
	said recover -J --yes "${P}d"
	said info -J "${P}d"
	tarn rm "${P}d" --yes >/dev/null
	"$BUILD_DIR/tests/cli/typed" "${P}t" make 3>&-
	said get -J "${P}t"
	said get -J "${P}t/kitchen.corners" "${P}t/loose.x"
	said watch -J -c 1 "${P}t/kitchen"
	said put -J "${P}t/kitchen.state=off" "${P}t/kitchen.samples=$(seq -s, 20)"
	said put -J --write "${P}t/kitchen.state=off" "${P}t/kitchen.time=3"
	tarn rm "${P}t" --yes >/dev/null
	"$BUILD_DIR/tests/cli/counting" "${P}w" make 3>&-
	said get -J "${P}w/web"
	said stat -J -1 "${P}w"
	said stat -J -i 0.05 -c 2 "${P}w/web"
	said top -J -1 "${P}w"
	tarn rm "${P}w" --yes >/dev/null
	tarn create "${P}v" -q
	tarn trace "${P}v" --on
	tarn pub --lane 4K "${P}v/news" text
	said trace -J "${P}v"
	said autopsy -J "${P}v"
	tarn rm "${P}v" --yes >/dev/null
	tarn pub "${P}m/news" text $'\x01'
	said echo -J -H all -c 2 -t 20 "${P}m/news"
	said topics -J
	said topics -J "${P}m/news"
	tarn pub -c 0 -r 100 "${P}m/news" text 3>&- &
	said top -J -d 0.05 -n 1 "${P}m"
	said hz -J -i 0.2 -t 20 "${P}m/news"
	said bw -J -i 0.2 -t 20 "${P}m/news"
	said delay -J -i 0.2 -t 20 "${P}m/news"
	kill $!
	wait $! || true
	"$BUILD_DIR/tests/cli/answers" "${P}m" sums 3>&- &
	said call -J --wait -t 20 "${P}m/sums" bytes 'stream 2'
	said info -J "${P}m/sums"
	said autopsy -J "${P}m"
	kill -9 $!
	wait $! || true
	tarn rm "${P}m" --yes >/dev/null
	said check -J "$P"
	said gc -J
	said gc -J "$P"
	said gc -J --foreign
	said rm -J --foreign "shm:$P.file" "sysv:#$id"
	said rm -J "$P" "$P/stream"
	said doctor -J --all
	said doctor -J --for 1M
	said limits -J
	said version -J
	said bench -J list
	said lab -J
	said lab -J show 2
	said lab -J check 3 "$BUILD_DIR/tests/lab/lab-matrix"
	said create -J "${P}b"
	said rm -J --yes "${P}b"
	tarn send -J "${P}c" <"/dev/shm/$P.file" 2>send.0.json &
	tarn recv -J "${P}c" 2>recv.0.json >/dev/null
	wait $!
	tarn rm "${P}c" --yes >/dev/null 2>&1 || true
}

@test "every verb that prints JSON keeps to its schema: every key, of its type, and no other" {
	need python3
	furnish
	speak
	unfurnish
	local verb
	for verb in $(schemas list); do
		run schemas check "$verb" "$verb".*.json
		is 0
	done
	# and there was something to see
	jq -e '.items | length >= 4' ls.0.json
	jq -e '.items[0] | .members != [] and .objects != []' info.0.json
	jq -e '[.items[].mappings[]] | length >= 2' ps.1.json
	jq -e '.items | length == 4 and all(has("mappings") and has("extents") and has("frames"))' \
		info.1.json
	jq -e '.items[0] | .mappings != [] and .frames != []' info.2.json
}

# fault VERB JQ WORDS
fault()
{
	jq "$2" "$1.0.json" >fault
	run schemas check "$1" fault
	is 1
	says "$3"
}

@test "the check of schemas sees a key too few, one too many, a number as text, half a document" {
	need python3
	tarn version -J >version.0.json
	fault version 'del(.items[0].library)' "no key library"
	fault version '.items[0].extra = 1' "extra is not documented"
	fault version '.items[0].library = 1' "library is 1"
	fault version '.time_ns |= tostring' "time_ns is '"
	fault version 'del(.complete)' "no key complete"
	fault version '.unreadable = 2' "complete, and yet"
	fault version '.schema = "tarn.ls/1"' "schema is"
	fault version 'del(.items)' "no items"
	fault version '.items = [3]' "no object"
	head -c 40 version.0.json >fault
	run schemas check version fault
	is 1
	says "no JSON"
	tarn limits -J >limits.0.json || [ $? -eq 4 ]
	fault limits '.items[0].value |= tostring' "value is '"
	fault limits '.items[0].source = []' "source is []"
}

@test "a wrong option is bad usage, of every verb" {
	for verb in $(verbs); do
		run tarn "$verb" --no-such-option
		is_error 2 "$verb"
		says "hint:"
	done
}

@test "a missing operand, or one too many, is bad usage" {
	for verb in $(verbs); do
		usage=$(tarn "$verb" -h | sed -n 's/^Usage: tarn [a-z]* \[OPTION\]...//p')
		case $usage in
		*...*) ;;
		"" | *[A-Za-z]*)
			run tarn "$verb" one two three
			is_error 2 "$verb"
			;;
		esac
		case $usage in " "[A-Z]*)
			run tarn "$verb"
			is_error 2 "$verb"
			;;
		esac
	done
}

# What each verb is called with, NAME being what it is about; "-" = it takes none.
while read -r verb words; do
	NAMING[${#NAMING[@]}]="$verb $words"
done <<'END'
ls NAME
ls -J NAME
ls --tree NAME
top -1 NAME
topics NAME
topics -J NAME/topic
info NAME
info -J NAME
get NAME
get -J NAME
cat NAME
hexdump NAME
check NAME
gc NAME
rm NAME
rm NAME --yes
END

@test "a name that is not there exits 3, of every kind of name" {
	for call in "${NAMING[@]}"; do
		for name in "$P.none" "shm:$P.none" sysv:0x7abcdef1 "sysv:#2147483000" "huge:$P.none" \
			"file:/tmp/$P.none"; do
			# shellcheck disable=SC2086 # words
			run --separate-stderr tarn ${call/NAME/$name}
			is 3 || { echo "tarn ${call/NAME/$name}"; return 1; }
			[[ $stderr == "tarn ${call%% *}: "* ]]
		done
	done
	for name in memfd:4194304:3 map:4194304:0x1000 memfd:no-such-name; do
		for verb in ls cat hexdump; do
			run tarn $verb $name
			is_error 3 $verb
		done
	done
	run tarn ps 4194304
	is_error 3 ps
	run tarn ls -p 4194304
	is_error 3 ls
	run tarn rm "$P.none/object"
	is 3
}

@test "of several names the missing one counts, and the others are answered" {
	tarn create "$P" -q
	for verb in ls info check gc rm; do
		run tarn $verb "$P.none" "$P"
		is 3
		says "$P.none"
	done
	run tarn ls -J "$P.none" "$P"
	run --separate-stderr tarn ls -J "$P.none" "$P"
	is 3
	json '[.items[].name] == [env.P]' || json '.items | length == 1'
	tarn rm "$P" --yes >/dev/null
}

@test "a name that is none is bad usage" {
	for call in "${NAMING[@]}"; do
		for name in "" "sysv:x" "memfd:1:x" "shm:a/b" "nokind:x:y"; do
			[ -n "$name" ] || [ "${call%% *}" != gc ] || continue
			words=()
			for word in $call; do
				[ "$word" = NAME ] && word=$name
				words+=("$word")
			done
			run tarn "${words[@]}"
			[ "$status" -eq 2 ] || [ "$status" -eq 3 ] || { echo "tarn ${words[*]}: $status: $output"; return 1; }
		done
	done
	for bad in x -1 0 99999999999999 1.5 "" "12 "; do
		run tarn ps "$bad"
		is_error 2 ps
		run tarn ls -p "$bad"
		is_error 2 ls
	done
}

# As a user who has no rights to what root made. The program lies where that user can reach it.
as_nobody()
{
	setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all -- \
		env LD_LIBRARY_PATH="$reach" "$reach/tarn" "$@"
}

@test "what this user may not exits 4, and says what is in the way" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to have rights to go without"
	need setpriv
	reach=$(mktemp -d /tmp/tarn-verbs-XXXXXX)
	chmod 755 "$reach"
	cp "$TARN" "$reach"
	cp "$BUILD_DIR"/src/libtarn.so* "$reach" 2>/dev/null || true
	tarn create "$P" -q --mode 0600
	head -c 4096 /dev/zero >"/dev/shm/$P.file"
	chmod 600 "/dev/shm/$P.file"
	id=$(ipcmk -M 4096 -p 0600 | grep -o '[0-9]*$')
	sleep 1000 9<"/dev/shm/$P.file" 3>&- &
	local bad=0
	for call in "check $P" "gc $P" "rm $P" "rm $P --yes" "send $P" "recv $P" "info $P" "ls $P" \
		"ps $!" "ls -p $!" "ls memfd:$!:9" "ls map:$!:0x1000" "ps" "ls" \
		"cat $P" "cat shm:$P.file" "cat sysv:#$id" "cat memfd:$!:9" "cat map:$!:0x1000" \
		"topics $P" "topics" "top -1 $P" "top -1" "locks" "hz -t 9 $P/x" "echo --look -t 9 $P/x" "pub $P/x y" \
		"hexdump $P" "hexdump shm:$P.file" "rm shm:$P.file --foreign --yes" \
		"rm sysv:#$id --foreign --yes"; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr as_nobody $call </dev/null
		[ "$status" -eq 4 ] && [[ $stderr == "tarn ${call%% *}: "* ]] ||
			{ echo "tarn $call: exit $status: $stderr"; bad=1; }
	done
	rm -r "$reach"
	ipcrm -m "$id" # it is still there
	[ -e "/dev/shm/$P.file" ] && [ -e "/dev/shm/$P" ]
	tarn rm "$P" --yes
	return $bad
}
