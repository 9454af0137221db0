# tarn top: on a screen, seen through a small terminal, and as text; sorted, filtered, resized, ended.
bats_require_minimum_version 1.5.0
load lib.bash

counting() { "$BUILD_DIR/tests/cli/counting" "$P" "$@" 3>&-; }
prims() { "$BUILD_DIR/tests/cli/prims" "$P" "$@" 3>&-; }

# screen ROWSxCOLUMNS ARGUMENT... <STEPS: tarn top on a terminal of that size, ten looks a second
screen()
{
	local size=$1
	shift
	[[ " $* " == *" -d "* ]] || set -- -d 0.1 "$@"
	need python3
	cat >steps
	run timeout 60 python3 "$SOURCE_DIR/tests/cli/terminal.py" "$size" steps -- tarn top "$@"
	is 0
}

# The column NUMBER of all lines of screen FILE that have TEXT.
column() { grep -F -- "$3" "$1" | awk -v n="$2" '{ print $n }' | paste -sd' '; }

furnish()
{
	counting make
	tarn pub --lane 4K "$P/news" one two three
	tarn pub --lane 4K "$P/weather" rain
}

@test "as text it is what there is, once, and nothing is written" {
	furnish
	local before
	before=$(md5sum <"/dev/shm/$P")
	run tarn top -1 "$P"
	is 0
	says "1 region, 2 members (2 dead), 2 topics (0 held up), 0 locks waited for"
	[[ $output =~ $'\n'$P\ +ok\ +0\ +2\ +7\  ]]
	[[ $output =~ $'\n'$P/news\ +0\ +0\ +-\ +-\ +3\ +0\ +0\ +- ]]
	[[ $output =~ $'\n'$P/web\ +requests_total\ +counter\ +42\  ]]
	[[ $output =~ $'\n'$P/web\ +took_ns\ +histogram\ +42\ +ns\ +-\ +999424 ]]
	run tarn top -1 -p topics,counters -f WEATH "$P"
	says "$P/weather"
	[[ $output != *"$P/news"* && $output != *requests* && $output != *MEMBERS* ]]
	run tarn top -1 -p T -s -message_count "$P"
	[ "$(grep -o "$P/[a-z]*" <<<"$output" | paste -sd' ')" = "$P/news $P/weather" ]
	run tarn top -1 -p T -s message_count "$P"
	[ "$(grep -o "$P/[a-z]*" <<<"$output" | paste -sd' ')" = "$P/weather $P/news" ]
	[ "$(md5sum <"/dev/shm/$P")" = "$before" ]
	tarn rm "$P" --yes
}

@test "rates are against the look before, of messages, counters, regions" {
	furnish
	counting run &
	tarn pub -c 0 -r 200 "$P/news" tick 3>&- &
	until_true eval 'tarn top -b -d 0.3 -J "$P" | jq -e ".items[0] | .interval_ns >= 300000000 and
		(.topics[] | select(.name == \"$P/news\") | .rate_hz > 20 and .publisher_count == 1 and
			.bytes_per_second > .rate_hz * 4) and
		(.counters[] | select(.metric == \"requests_total\") | .rate_hz > 50) and
		(.regions[0] | .rate_hz > 20 and .member_count == 2)"'
	run tarn top -J -d 0.05 -n 3 "$P" # an object a line
	is 0
	[ "${#lines[@]}" -eq 3 ]
	output=${lines[2]}
	json '.items[0].topics[] | select(.rate_hz == 0) | .message_count == 1'
	json '.items[0].counters[] | select(.kind == "gauge") | .rate_hz == null'
	# a rate is a second's, whatever the interval
	for _ in $(seq 20); do
		tarn top -J -d 0.2 -n 2 "$P" >two
		jq -s -e "[.[].items[0] | {ns: .interval_ns, news: (.topics[] | select(.name == \"$P/news\"))}] |
			(.[1].news.message_count - .[0].news.message_count) as \$more |
			(.[1].news.rate_hz * .[1].ns / 1e9) as \$said |
			\$more > 4 and \$said > \$more / 2 and \$said < \$more * 2" two && break
	done
	[ "$?" -eq 0 ]
	kill -9 $(jobs -p)
	wait || true
	tarn rm "$P" --yes
}

@test "what was made anew has no rate against what was there before" {
	tarn pub --lane 4K "$P/news" one two three
	tarn top -J -d 0.02 -n 0 "$P" >looks 2>/dev/null 3>&- &
	until_true grep -q . looks
	for i in 1 2 3; do
		tarn rm "$P" --yes >/dev/null
		tarn pub --lane 4K "$P/news" one
		until_true eval 'tail -n 2 looks | head -n 1 | grep -q "message_count\":1,"'
		tarn pub --lane 4K "$P/news" two three
		until_true eval 'tail -n 2 looks | head -n 1 | grep -q "message_count\":3,"'
	done
	kill $!
	wait || true
	head -n -1 looks | jq -s -e '[.[].items[0].topics[].rate_hz] | map(select(. != null)) | length > 5 and max < 1e6'
	tarn rm "$P" --yes
}

@test "panes, order, filter and help on a screen, by keys" {
	furnish
	screen 24x100 "$P" <<-END
		wait 1 region, 2 members .2 dead., 2 topics .0 held up., 0 locks waited for
		wait \[R regions 1\]
		wait ^$P +ok +0 +2 +7
		keys T
		wait \[T topics 2\]
		wait ^TOPIC +PUBS SUBS v MSG/S
		keys ss
		wait v MESSAGES
		wait ^$P/news
		show by-messages
		keys r
		wait \^ MESSAGES
		show by-messages-up
		keys \t\t
		wait \[L locks
		wait LOCK +KIND
		keys C
		wait requests_total +counter +42
		show counters
		keys /SENT\n
		gone requests_total
		wait ^/SENT  every
		show filtered
		keys \e
		wait requests_total
		keys ?
		wait by the next column
		gone requests_total
		keys x
		wait requests_total
		keys M
		wait ^ *[0-9]+ counting dead +$P
		keys \e[Z
		wait \[R regions 1\]
		keys q
		end 0
	END
	[ "$(column by-messages 1 "$P/")" = "$P/news $P/weather" ]
	[ "$(column by-messages 6 "$P/")" = "3 1" ]
	[ "$(column by-messages-up 1 "$P/")" = "$P/weather $P/news" ]
	[ "$(column counters 2 "$P/" | wc -w)" -eq 5 ]
	[ "$(column filtered 2 "$P/")" = "sent_total" ]
	[ "$(wc -l <counters)" -eq 24 ]
	tarn rm "$P" --yes
}

@test "all of a row, the row that is marked, and columns to the left" {
	furnish
	screen 12x60 -p counters "$P" <<-END
		wait OBJECT +METRIC
		keys s\eOB\eOB\n
		wait ^metric|^METRIC
		show row
		keys \n\eOC\eOC
		wait ^OBJECT +VALUE
		show left
		keys q
		end 0
	END
	[[ $(sed -n 3,9p row | paste -sd' ') =~ ^OBJECT\ +$P/web\ METRIC\ +[a-z_]+\ KIND\ +[a-z]+\ VALUE\ +[0-9]+\ UNIT ]]
	[[ $(grep "$P/web" left | head -1) =~ ^$P/web\ +[0-9]+\  ]]
	tarn rm "$P" --yes
}

@test "who has a lock and who waits for it, on the screen and in text" {
	prims lock go stay >holder 3>&- &
	until_true grep -q . holder
	prims lock go stay >waiter 3>&- &
	until_true eval 'tarn locks -J "$P" | jq -e ".items[] | select(.waiters == 1)"'
	waiter=$(tarn locks -J "$P" | jq '.items[].threads[] | select(.role == "waits") | .pid')
	screen 24x120 "$P" <<-END
		wait 1 lock waited for
		keys L
		wait ^$P/m +mutex +held +$(cat holder) prims .* 1 $waiter
		keys M
		wait ^ *$(cat holder) prims +alive .* m +-
		wait ^ *$waiter prims +alive .* - +m
		keys R
		wait ^$P +ok +2 +0
		run kill -9 $(cat holder)
		keys L
		wait ^$P/m +mutex +dead +$waiter prims .* 0 - .* 1$
		keys q
		end 0
	END
	run tarn top -1 -p locks -f mutex "$P" # who waited was told, and left it so
	is 0
	[[ $output =~ $'\n'$P/m\ +mutex\ +dead\ +$waiter\  ]]
	wait || true
	tarn rm "$P" --yes
}

@test "subscribers with how far they are behind, and what they have missed" {
	tarn create "$P" -q --size 8M
	tarn pub --lane 64K "$P/news" first
	tarn echo --lossless "$P/news" >got 3>&- &
	until_true eval 'tarn topics "$P" -J | jq -e ".items[0].subscriber_count == 1"'
	screen 24x100 -p S "$P" <<-END
		wait ^$P/news +[0-9]+ tarn +alive +lossless +0
		keys q
		end 0
	END
	kill $(jobs -p)
	wait || true
	tarn rm "$P" --yes
}

@test "services with who serves, who calls, and what is not answered" {
	tarn create "$P" -q
	"$BUILD_DIR/tests/cli/answers" "$P" echo 3>&- &
	until_true tarn call -t 5 "$P/echo" hello
	tarn call -t 100 "$P/echo" "sleep 100000 late" >late 3>&- &
	screen 24x100 -p calls "$P" <<-END
		wait SERVICE +SERVERS CLIENTS DEAD v OUTSTANDING
		wait ^$P/echo +1 +1 +0 +1 +0 [0-9]
		keys q
		end 0
	END
	run tarn top -1 -J "$P"
	is 0
	json '.items[0].calls[0] | .server_count == 1 and .client_count == 1 and .requests == 1 and .dead_count == 0'
	kill -9 $(jobs -p)
	wait || true
	run tarn top -1 -p calls "$P"
	[[ $output =~ $'\n'$P/echo\ +0\ +0\ +[12]\  ]]
	tarn rm "$P" --yes
}

@test "what every object counts of itself is there with --all" {
	furnish
	run tarn top -1 -a -p C "$P"
	is 0
	[[ $output =~ $'\n'$P/news\ +messages_total\ +counter\ +3\  ]]
	[[ $output =~ $'\n'$P/web\ +requests_total\ +counter\ +42\  ]]
	[[ $output =~ $'\n'$P/raw\ +size_bytes\ +gauge\ +64\  ]]
	tarn rm "$P" --yes
}

@test "a terminal as small as 20x5, 10x2 and 1x1, and a large one, while it runs" {
	furnish
	screen 5x20 "$P" <<-END
		wait ^tarn top  1 region,$
		wait \[R regions 1\]
		wait ^$P +ok
		show small
		resize 2x10
		wait ^${P:0:10}
		gone STATE
		gone tarn top
		resize 1x1
		gone ${P:0:2}
		resize 50x200
		wait 2 topics .0 held up., 0 locks waited for
		wait ^$P +ok +0 +2 +7
		wait A calls 0
		resize 5x20
		wait ^tarn top  1 region,$
		keys T\eOB
		wait ^$P/
		keys q
		end 0
	END
	[ "$(wc -l <small)" -eq 5 ]
	[ "$(wc -L <small)" -le 20 ]
	tarn rm "$P" --yes
}

@test "regions come, go, are damaged and truncated while it runs" {
	need_own_shm
	tarn create "$P" -q
	screen 24x100 -d 0.1 <<-END
		wait ^$P +ok
		run tarn create ${P}b -q && tarn pub --lane 4K ${P}b/news hello
		wait ^${P}b +ok
		keys T
		wait ^${P}b/news
		keys R
		run printf 'XXXX' | dd of=/dev/shm/${P}b bs=1 seek=80 conv=notrunc status=none
		wait ^${P}b +(damaged|version)
		run truncate -s 4096 /dev/shm/${P}b
		wait ^${P}b +damaged
		run rm /dev/shm/${P}b
		gone ${P}b
		run tarn rm $P --yes >/dev/null
		wait ^tarn top  0 regions
		run tarn create $P -q
		wait ^$P +ok
		keys q
		end 0
	END
	tarn rm "$P" --yes
}

@test "one that was named and is gone is shown as absent, until it is there again" {
	tarn create "$P" -q
	screen 24x100 -d 0.1 "$P" "${P}c" <<-END
		wait ^$P +ok
		wait ^${P}c +absent
		wait ^tarn top: ${P}c: there is no such region
		run tarn create ${P}c -q
		wait ^${P}c +ok
		gone no such region
		run tarn rm ${P}c --yes >/dev/null
		wait ^${P}c +absent
		keys q
		end 0
	END
	tarn rm "$P" --yes
}

@test "pause, and how often it looks" {
	furnish
	screen 24x100 -d 1 -p counters "$P" <<-END
		wait every 1 s
		keys -
		wait every 2 s
		keys +++
		wait every 0.2 s
		keys +
		wait every 0.1 s
		wait requests_total +counter +42 +- +0.00
		keys \x20
		wait paused
		run tarn rm $P --yes >/dev/null
		keys s
		wait requests_total +counter +42
		keys \x20
		wait absent|no such region
		gone requests_total
		keys q
		end 0
	END
}

@test "the terminal is as it was after each signal, a fault of its own too" {
	tarn create "$P" -q
	for how in "TERM 0" "INT 0" "HUP 0" "QUIT 0" "SEGV -11" "ABRT -6" "BUS -7"; do
		screen 10x60 "$P" <<-END
			wait ^$P +ok
			signal ${how% *}
			end ${how#* }
		END
	done
	screen 10x60 -n 2 -d 0.1 "$P" <<-END
		wait ^$P +ok
		end 0
	END
	tarn rm "$P" --yes
}

@test "names in UTF-8, wide ones too, stand in their columns" {
	counting make
	mv "/dev/shm/$P" "/dev/shm/${P}größe"
	cp "/dev/shm/${P}größe" "/dev/shm/${P}共有"
	run tarn top -1 -p R "${P}größe" "${P}共有"
	is 0
	says "${P}größe"
	screen 10x60 "${P}größe" "${P}共有" <<-END
		wait ^${P}größe ok
		wait ^${P}共有  ok
		keys /SSE
		wait ^/SSE_
		gone größe
		keys \x7f\x7f\x7fö
		wait ^/ö_
		wait ^${P}größe
		keys \nq
		end 0
	END
}

@test "hundreds of regions, and rows behind the end of the screen" {
	need_own_shm
	counting make
	for i in $(seq 100 300); do
		cp "/dev/shm/$P" "/dev/shm/$P.$i"
	done
	screen 12x80 -d 0.5 <<-END
		wait 202 regions
		wait ^$P\.100
		keys \e[6~
		wait ^$P\.107
		gone ^$P +ok
		keys \eOF
		wait ^$P\.300
		keys C
		wait counters 1010
		keys \eOF
		wait ^$P\.300/
		keys R\e[5~
		wait ^$P\.294
		keys \eOH
		wait ^$P +ok
		keys q
		end 0
	END
	rm "/dev/shm/$P".*
	tarn rm "$P" --yes
}

@test "where there is no screen to draw on it says so, or prints text" {
	tarn create "$P" -q
	run tarn top "$P" # to a pipe: text, once
	is 0
	says "regions"
	for term in "" no-such-terminal; do
		TERM_TOP=$term screen 24x80 "$P" <<-END
			wait tarn top: no screen can be drawn on a terminal of TERM=$term
			wait hint: .*--batch
			end 1
		END
		TERM_TOP=$term screen 24x80 -b -n 1 -d 0.1 "$P" <<-END
			wait ^$P +ok
			end 0
		END
	done
	screen 24x80 "$P.none" <<-END
		wait tarn top: $P.none: there is no such region
		end 3
	END
	tarn rm "$P" --yes
}

@test "what is wrong is told" {
	run tarn top -p nothing
	is_error 2 top
	says "'nothing' is no pane"
	run tarn top -s nothing
	is_error 2 top
	says "there is no column 'nothing'"
	run tarn top -d 0
	is_error 2 top
	run tarn top -1 "$P.none"
	is_error 3 top
	says "there is no such region"
	tarn create "$P" -q
	run --separate-stderr tarn top -1 "$P.none" "$P"
	is_error 3 top || true
	[[ $output =~ $P\ +ok ]]
	[[ $output =~ $P.none\ +absent ]]
	[ "$(grep -c "no such region" <<<"$stderr")" -eq 1 ]
	tarn rm "$P" --yes
}

@test "the small terminal refuses what it does not know, and a terminal that is left as it was not" {
	need python3
	cat >steps <<-'END'
		wait one
		end 0
	END
	run python3 "$SOURCE_DIR/tests/cli/terminal.py" 5x20 steps -- printf 'one\033[5!p'
	[ "$status" -ne 0 ]
	for left in '\033[?1049hone' 'one\033[?25l' '\033[7mone'; do
		run python3 "$SOURCE_DIR/tests/cli/terminal.py" 5x20 steps -- printf "$left"
		is 1
		says "another screen, no cursor, or a style"
	done
	run python3 "$SOURCE_DIR/tests/cli/terminal.py" 5x20 steps -- sh -c 'stty -echo; echo one'
	is 1
	says "modes of the terminal"
	run python3 "$SOURCE_DIR/tests/cli/terminal.py" 5x20 steps -- sh -c 'echo one; exit 3'
	is 1
	says "ended with 3"
}
