# Counters by stat, metrics and get: by name and unit, the dead included, and nobody is held up.
bats_require_minimum_version 1.5.0
load lib.bash

counting() { "$BUILD_DIR/tests/cli/counting" "$P" "$@" 3>&-; }
pid_of_run() { "$BUILD_DIR/tests/cli/counting" "$P" run 3>&- & run_pid=$!; }

@test "sums so far are printed by name, what the dead have added included, and the region stays as it was" {
	counting make
	local before
	before=$(md5sum <"/dev/shm/$P")
	run tarn stat -1 "$P"
	is 0
	[ "${#lines[@]}" -eq 2 ]
	[ "$(echo ${lines[0]})" = "requests_total busy sent_total took_ns took_ns.p99 hits_total" ]
	[ "$(echo ${lines[1]})" = "42 0 42000 42 999424 0" ]
	run tarn stat -1 -J "$P"
	json '.schema == "tarn.stat/1" and .interval_ns == null and (.metrics | length) == 5'
	json '.metrics[] | select(.metric == "requests_total") | .value == 42 and .object == "web" and .rate_hz == null'
	json '.metrics[] | select(.metric == "took_ns") | .value == 42 and .unit == "ns" and .mean == 1000000 and .p99 == 999424'
	json '.metrics[] | select(.metric == "hits_total") | .value == 0 and .p50 == null'
	run tarn stat -1 --csv -m sent_total,took_ns "$P/web"
	is 0
	[ "${lines[0]}" = time_s,web/sent_total,web/took_ns,web/took_ns.mean,web/took_ns.p50,web/took_ns.p99,web/took_ns.p999 ]
	[[ ${lines[1]} =~ ^[0-9.]+,42000,42,1000000,999424,999424,999424$ ]]
	[ "$(md5sum <"/dev/shm/$P")" = "$before" ]
	tarn rm "$P" --yes
}

@test "a line an interval says how fast they go up, and as many lines as were asked for" {
	counting make
	pid_of_run
	until_true eval '[ "$(tarn get "$P/web.requests_total")" -gt 60 ]'
	run tarn stat -i 0.1 -c 3 -J "$P"
	is 0
	[ "${#lines[@]}" -eq 3 ]
	output=${lines[2]}
	json '.interval_ns > 0 and (.metrics[0] | .metric == "requests_total" and .rate_hz >= 0 and .value > 60)'
	json '.metrics[] | select(.metric == "busy") | .value == 2 and .rate_hz == null'
	# it is counted on, whenever the processor has time for that
	until_true eval 'tarn stat -i 0.1 -J "$P" | jq -e ".metrics[0].rate_hz > 0"'
	run tarn stat -i 0.1 "$P" # to a pipe one line
	is 0
	[ "${#lines[@]}" -eq 2 ]
	run tarn stat --csv -i 0.05 -c 4 "$P"
	[ "${#lines[@]}" -eq 5 ]
	kill -9 "$run_pid"
	until_true eval '[ "$(tarn get "$P/web.busy")" = 0 ]'
	tarn rm "$P" --yes
}

@test "get prints metrics by name, with units" {
	counting make
	run tarn get "$P/web.requests_total" "$P/web.took_ns.count"
	is 0
	[ "$output" = $'42\n42' ]
	run tarn get "$P/web" -a
	is 0
	[[ $output =~ sent_total\ +42000\ +bytes\ +of\ answers ]]
	[[ $output =~ took_ns.p99\ +999424\ +ns ]]
	run tarn get "$P/web" -J
	json '.items[0] | .type == "counters" and (.fields | length) == 10'
	json '.items[0].fields[] | select(.field == "took_ns.sum") | .value == 42000000 and .unit == "ns" and .kind == "histogram"'
	run tarn get "$P/web.nothing"
	is_error 3 get
	says "there is no metric nothing"
	tarn rm "$P" --yes
}

@test "metrics are as Prometheus wants them" {
	counting make
	run tarn metrics "$P"
	is 0
	says "# HELP requests_total requests answered"
	says "# TYPE requests_total counter"
	says "requests_total{region=\"$P\",object=\"web\"} 42"
	says "sent_bytes_total{region=\"$P\",object=\"web\"} 42000"
	says "# TYPE took_seconds histogram"
	says "took_seconds_bucket{region=\"$P\",object=\"web\",le=\"0.000524287\"} 0"
	says "took_seconds_bucket{region=\"$P\",object=\"web\",le=\"0.001048575\"} 42"
	says "took_seconds_bucket{region=\"$P\",object=\"web\",le=\"+Inf\"} 42"
	says "took_seconds_count{region=\"$P\",object=\"web\"} 42"
	[[ $output =~ took_seconds_sum\{region=\"$P\",object=\"web\"\}\ 0.04[12] ]]
	[[ $output != *UNIT* ]]
	run tarn metrics --openmetrics -p shop "$P/web"
	is 0
	says "# TYPE shop_requests counter"
	says "shop_requests_total{"
	says "# UNIT shop_took_seconds seconds"
	says "# HELP shop_busy being answered now: \\\"one\\\" a worker"
	[ "${lines[-1]}" = "# EOF" ]
	tarn rm "$P" --yes
}

@test "promtool finds nothing wrong" {
	need promtool
	counting make
	tarn metrics "$P" >text
	promtool check metrics <text
	tarn rm "$P" --yes
}

@test "of one name and two kinds one is left out, and that is told" {
	counting make
	counting clash
	run tarn metrics "$P"
	is_error 1 metrics
	says "requests_total"
	says "left out"
	tarn rm "$P" --yes
}

@test "what there is not is told" {
	counting make
	run tarn stat "$P-none"
	is_error 3 stat
	run tarn stat "$P/none"
	is_error 3 stat
	run tarn stat -m nothing "$P"
	is_error 3 stat
	says "it has no metric that is called nothing"
	run tarn stat --csv -J "$P"
	is_error 2 stat
	run tarn stat -i 0 "$P"
	is_error 2 stat
	run tarn metrics -p 2nd "$P"
	is_error 2 metrics
	tarn rm "$P" --yes
	tarn create "$P"
	run tarn stat "$P"
	is_error 3 stat
	says "it has no counters"
	run tarn metrics -c "$P"
	is_error 3 metrics
	says "it has no counters"
	tarn rm "$P" --yes
}

@test "what every object counts of itself is shown by stat, metrics and get" {
	counting make
	counting objects
	run tarn stat -1 "$P/frames"
	is 0
	[[ ${lines[0]} =~ written_bytes_total ]]
	run tarn stat -1 -a -m written_bytes_total,waits_total "$P"
	is 0
	[ "$(echo ${lines[0]})" = "frames/written_bytes_total lock/waits_total" ]
	[ "$(echo ${lines[1]})" = "96 0" ]
	run tarn stat -1 -a --csv -m written_bytes_total,members "$P"
	[ "${lines[0]}" = time_s,/members,frames/written_bytes_total ]
	[[ ${lines[1]} =~ ^[0-9.]+,0,96$ ]]
	run tarn stat -1 -a -J "$P"
	json '.metrics[] | select(.object == "lock" and .metric == "locks_total") | .value == 3 and .object_kind == "mutex"'
	json '.metrics[] | select(.object == null and .metric == "joins_total") | .value > 0 and .object_kind == "region"'
	json '.metrics[] | select(.object == "web" and .metric == "requests_total") | .value == 42 and .object_kind == "counters"'
	run tarn metrics "$P"
	is 0
	says "# TYPE tarn_mutex_locks_total counter"
	says "tarn_mutex_locks_total{region=\"$P\",object=\"lock\"} 3"
	says "tarn_mutex_recoveries_total{region=\"$P\",object=\"lock\"} 1"
	says "tarn_ring_written_bytes_total{region=\"$P\",object=\"frames\"} 96"
	says "tarn_region_members{region=\"$P\"} 0"
	says "requests_total{region=\"$P\",object=\"web\"} 42"
	run tarn metrics -c "$P"
	[[ $output != *tarn_* ]]
	run tarn get "$P/frames.written_bytes_total" "$P/lock.recoveries_total" "$P/raw.size_bytes"
	is 0
	[ "$output" = $'96\n1\n64' ]
	run tarn get "$P/lock" -J
	json '.items[0] | .type == "mutex" and (.fields[] | select(.field == "locks_total") | .value == 3)'
	run tarn get "$P/frames.nothing"
	is_error 3 get
	says "there is no metric nothing"
	run tarn get "$P"
	is 0
	says "$P/web"
	tarn rm "$P" --yes
}

@test "an object that is damaged is told, and the others are shown" {
	counting make
	counting objects
	counting spoil
	run tarn metrics "$P"
	[ "$status" -eq 6 ]
	says "ring frames: its header is damaged"
	says "tarn_mutex_locks_total{region=\"$P\",object=\"lock\"} 3"
	run tarn stat -1 -a "$P"
	[ "$status" -eq 6 ]
	says "lock/locks_total"
	run tarn get "$P/frames.written_bytes_total"
	is_error 6 get
	tarn rm "$P" --yes
}
