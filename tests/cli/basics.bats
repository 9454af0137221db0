# The parser, help, versions, plug-ins, completions: what every verb shares.
load lib.bash

verbs() { tarn help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }

@test "without a verb it says so and exits 2" {
	run tarn
	is 2
	says "a verb is missing"
	says "hint:"
}

@test "a misspelt verb is answered with the one that was meant" {
	run tarn sned x
	is 2
	says "unknown verb 'sned': did you mean 'send'?"
}

@test "a word like no verb gets no guess" {
	run tarn frobnicate
	is 2
	says "unknown verb 'frobnicate'"
	[[ $output != *"did you mean"* ]]
}

@test "a misspelt option is answered with the one that was meant" {
	run tarn gc --jsn
	is_error 2 gc
	says "did you mean '--json'?"
}

@test "an unknown letter, a missing value, a value too many and an ambiguous option are named" {
	run tarn gc -Z
	is_error 2 gc
	says "unknown option '-Z'"
	run tarn create x --size
	is_error 2 create
	says "option '--size' needs a value: SIZE"
	run tarn gc --json=1
	is_error 2 gc
	says "option '--json' takes no value"
	run tarn create x --m 4
	is_error 2 create
	says "option '--m' is ambiguous"
}

@test "short options are bundled, long ones abbreviated, and -- ends them" {
	tarn create "$P" -q
	run tarn info -Jb "$P"
	is 0
	json '.items | length == 1'
	run tarn info --js "$P"
	is 0
	run tarn info -- --nothing-of-that-name
	is 3
	tarn rm "$P" -y
}

@test "options may stand behind operands" {
	tarn create "$P" -q --size 64K
	run tarn rm "$P" --yes
	is 0
	shm_unchanged
}

@test "too few and too many operands are refused" {
	run tarn send
	is_error 2 send
	says "NAME is missing"
	run tarn send a b
	is_error 2 send
	says "one operand too many: 'b'"
	run tarn version x
	is_error 2 version
	says "takes no operands"
}

@test "values out of range are refused, with what is possible" {
	for bad in "--size x" "--size 10Q" "--size -1" "--size 0" "--size 99999999999999999999" \
		"--mode 999" "--mode 0" "--mode 1777" "--members 0" "--members 1001" "--members 4x"; do
		# shellcheck disable=SC2086 # two words
		run tarn create "$P" $bad
		is_error 2 create
		shm_unchanged
	done
	run tarn create "$P" --size 2M --max-size 1M
	is_error 2 create
	run tarn send "$P" --timeout x </dev/null
	is_error 2 send
	run tarn send "$P" --ring 5000 </dev/null
	is_error 2 send
	run tarn info "$P" --owner no-such-user
	is_error 2 info
}

@test "sizes are read as util-linux reads them" {
	for pair in 100000=100000 64K=65536 64KiB=65536 64kb=64000 1M=1048576 1.5M=1572864; do
		run tarn create "$P" --size "${pair%=*}" -J
		is 0
		[ "$(jq '.items[0].size_bytes' <<<"$output")" -ge "${pair#*=}" ]
		[ "$(jq '.items[0].size_bytes' <<<"$output")" -lt $((${pair#*=} + 8192)) ]
		tarn rm "$P" -y >/dev/null
	done
}

@test "every verb has -h with an example, --help, help VERB and a page" {
	for verb in $(verbs); do
		run tarn "$verb" -h
		is 0
		says "Usage: tarn $verb"
		says "  tarn $verb" || says "(tarn $verb"
		run tarn "$verb" --help
		is 0
		says "Options:"
		long=$output
		run tarn help "$verb"
		is 0
		[ "$output" = "$long" ]
		run tarn help --man "$verb"
		is 0
		says ".Nm tarn-$verb"
	done
}

@test "help fits 80 columns and has no blank at the end of a line" {
	for verb in $(verbs); do
		tarn "$verb" --help | awk 'length > 80 || / $/ { print FILENAME ": " $0; bad = 1 } END { exit bad }'
	done
	tarn -h | awk 'length > 80 || / $/ { print; bad = 1 } END { exit bad }'
}

@test "-V, --version and version agree; version -J is JSON" {
	run tarn -V
	is 0
	[[ $output =~ ^tarn\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	line=$output
	[ "$(tarn --version)" = "$line" ]
	[ "$(tarn version)" = "$line" ]
	run tarn version -J
	is 0
	json '.schema == "tarn.version/1" and .complete == true and .unreadable == 0'
	json '.items[0].command == .items[0].library'
}

@test "an unknown verb of help is refused" {
	run tarn help chekc
	is 2
	says "did you mean 'check'?"
	run tarn help --man chekc
	is 2
}

@test "a program tarn-foo on PATH is the verb foo, with its arguments and exit code" {
	mkdir bin
	printf '#!/bin/sh\necho "plug-in: $*"\nexit 42\n' >bin/tarn-foo
	chmod +x bin/tarn-foo
	PATH=$PWD/bin:$PATH run tarn foo --bar 'a b'
	is 42
	says "plug-in: --bar a b"
	PATH=$PWD/bin:$PATH run tarn -h
	says "Plug-ins: foo"
}

@test "a plug-in is found by name only, never by path" {
	mkdir -p bin/tarn-x
	printf '#!/bin/sh\necho ran\n' >bin/tarn-x/y
	chmod +x bin/tarn-x/y
	PATH=$PWD/bin:$PATH run tarn x/y
	is 2
	run tarn ../../bin/sh
	is 2
}

@test "colours: none on a pipe, none with NO_COLOR, asked for by --color=always" {
	run tarn sned
	[[ $output != *$'\e'* ]]
	run tarn --color=always sned
	[[ $output == *$'\e'* ]]
	NO_COLOR=1 run tarn --color=always sned
	[[ $output == *$'\e'* ]]
	run tarn --color=purple gc
	is 2
	run tarn gc --color=purple
	is_error 2 gc
	says "it takes auto|always|never"
	if command -v script >/dev/null; then
		TERM=xterm run script -qec "tarn gc -h" /dev/null
		[[ $output == *$'\e'* ]]
		NO_COLOR=1 TERM=xterm run script -qec "tarn gc -h" /dev/null
		[[ $output != *$'\e'* ]]
		TERM=dumb run script -qec "tarn gc -h" /dev/null
		[[ $output != *$'\e'* ]]
	fi
}

@test "output that cannot be written is a failure, never silent" {
	tarn create "$P" -q
	for command in "tarn -h" "tarn help" "tarn version" "tarn version -J" "tarn info $P" \
		"tarn info $P -J" "tarn check $P" "tarn rm $P" "tarn help --man tarn" \
		"tarn completion bash" "tarn gc -h"; do
		run sh -c "$command >/dev/full"
		is 1
		says "standard output: No space left on device"
	done
	run bash -c "set -o pipefail; tarn help --man tarn-json | true; echo \${PIPESTATUS[0]}"
	# a reader that is gone may or may not be noticed by then; it is never a signal
	[[ $output == *0 || $output == *1 ]]
	tarn rm "$P" -y
}

@test "closed standard descriptors do no harm" {
	run sh -c "tarn create $P --size 64K >&-"
	is 1
	says "standard output"
	tarn info "$P" >/dev/null
	sh -c "tarn info $P <&- 2>&-" >/dev/null
	# the region's file would have become descriptor 0, 1 or 2, and messages gone into it
	sh -c "tarn check $P <&- >&- 2>&-" || true
	run tarn check "$P"
	is 0
	run sh -c "tarn send $P <&-"
	is_error 1 send
	says "standard input"
	run sh -c "tarn recv $P >&-"
	is_error 1 recv
	says "standard output"
	tarn rm "$P" -y
}

@test "few file descriptors give a clear error" {
	tarn create "$P" -q
	# the dynamic linker needs one, a region two
	run bash -c "exec 3>&- 4>&-; ulimit -n 4; tarn create ${P}b"
	is_error 1 create
	says "ulimit -n"
	[ ! -e "/dev/shm/${P}b" ]
	run bash -c "exec 3>&- 4>&-; ulimit -n 4; tarn gc $P --yes"
	is_error 1 gc || is 0
	run bash -c "exec 3>&- 4>&-; ulimit -n 4; tarn send $P -t 1 </dev/null"
	is_error 1 send
	says "ulimit -n"
	run tarn check "$P"
	is 0
	tarn rm "$P" -y
}

@test "bash, zsh and fish take their completions" {
	tarn completion bash >c.bash
	bash -n c.bash
	tarn completion zsh >c.zsh
	tarn completion fish >c.fish
	[ -s c.zsh ] && [ -s c.fish ]
	run tarn completion tcsh
	is_error 2 completion
}

complete_words() {
	bash -c '. ./c.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tarn; echo "${COMPREPLY[*]}"' x "$@"
}

@test "bash completes verbs, options, values and regions" {
	tarn completion bash >c.bash
	tarn create "$P" -q
	run complete_words tarn se
	[ "$output" = send ]
	run complete_words tarn gc --y
	[ "$output" = --yes ]
	run complete_words tarn gc --color a
	[ "$output" = "auto always" ]
	run complete_words tarn info "$P"
	[ "$output" = "$P" ]
	run complete_words tarn completion z
	[ "$output" = zsh ]
	tarn rm "$P" -y
}

@test "bash completes addresses, which it takes apart at their colons" {
	tarn completion bash >c.bash
	echo x >"/dev/shm/${P}frames"
	run bash -c '. ./c.bash; COMP_WORDS=(tarn ls shm : '"$P"'fr); COMP_CWORD=4
		COMP_LINE="tarn ls shm:'"$P"'fr"; COMP_POINT=${#COMP_LINE}; _tarn; echo "${COMPREPLY[*]}"'
	[ "$output" = "${P}frames" ]
	run complete_words tarn ls shm
	[[ $output == *"shm:${P}frames"* ]]
}

@test "zsh parses its completions" {
	need zsh
	tarn completion zsh >c.zsh
	zsh -n c.zsh
}

@test "fish parses its completions" {
	need fish
	tarn completion fish >c.fish
	fish --no-execute c.fish
}

@test "a reader that has had enough is no news; a full disk is" {
	run bash -c 'for i in 1 2 3 4 5 6 7 8; do tarn limits; done | head -c1 >/dev/null'
	is 0
	[ -z "$output" ]
	run bash -c 'tarn limits >/dev/full'
	is 1
	says "standard output: No space left on device"
}
