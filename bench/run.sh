#!/bin/sh
# run.sh - every figure of the sandbox against its peers, in one run, on this machine.
#
#   bench/run.sh [start] [srt] [second] [many] [alive] [proxy] [work] [store]
#
# Without a word, all of them (under eight minutes on two cores). Each line is one figure: name, ours,
# the peer's, the ratio ours/peer, and what is wanted. Ratios carry over to other machines, times do
# not. BUILD names the build directory (build), PEERS where srt is installed (build/peers),
# and BENCH_SHARE divides the numbers of runs (4 makes a quick look).
set -eu

here=$(cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
BUILD=${BUILD:-$root/build}
PEERS=${PEERS:-$BUILD/peers}
BENCH_SHARE=${BENCH_SHARE:-1}
postern=$BUILD/postern
tool=$BUILD/bench
# Where a project could be. Not /tmp: the host has no TMPDIR for the run there, so it is overlaid, and a hidden
# path in it costs a rule for each of its entries, which are others'.
scratch=$(mktemp -d /var/tmp/postern-bench-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
missed=0

# Figures

# figure NAME OURS PEER RATIO WANT(word) LIMIT: WANT is max or min, for the ratio.
figure() {
    if [ -n "$4" ] && awk -v r="$4" -v limit="$6" -v want="$5" 'BEGIN { exit !(want == "max" ? r <= limit : r >= limit) }'; then
        verdict=ok
    else
        verdict=MISSED
        missed=$((missed + 1))
    fi
    printf '%-52s %12s %12s %9s  %-10s %s\n' "$1" "$2" "$3" "$4" "$5 $6" $verdict
}

heading() {
    printf '\n%-52s %12s %12s %9s  %-10s\n' "$1" ours peer ratio want
}

ratio() {
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", (b > 0 ? a / b : 0) }'
}

ms() {
    awk -v us="$1" 'BEGIN { printf "%.2f ms", us / 1000 }'
}

# column FILE NAME NUMBER: a field of bench-start's line for NAME.
column() {
    awk -v name="$2" -v n="$3" '$1 == name { print $n }' "$1"
}

share() {
    n=$(($1 / BENCH_SHARE))
    echo $((n > 3 ? n : 3))
}

# What is measured

# settings NAME TRANSPARENT: the usual rules: three entries allowed, one denied; one path hidden, two
# writable, one kept.
settings() {
    cat >"$scratch/$1.json" <<END
{"network": {"allowedDomains": ["registry.example.org", "*.example.com", "api.example.net:443"],
             "deniedDomains": ["bad.example.com"]},
 "filesystem": {"denyRead": ["$scratch/hidden"], "allowWrite": ["$scratch/ws", "$scratch/ws2"],
                "denyWrite": ["$scratch/ws/keep"]}, "x": {"network": {"transparent": $2}}}
END
}

workspace() {
    # The peer has its own: it makes an empty file for each name that it covers.
    mkdir -p "$scratch/peer/keep" "$scratch/peer/.git/hooks"
    : >"$scratch/peer/.git/config"
    mkdir -p "$scratch/ws/keep" "$scratch/ws/.git/hooks" "$scratch/ws2" "$scratch/hidden" "$scratch/empty" \
        "$scratch/logs" "$scratch/ssh"
    : >"$scratch/ws/.git/config"
    settings on true
    settings off false
}

# The mounts and flags that srt 0.0.83 gives bubblewrap for these settings, and its 27 variables.
srt_bwrap() {
    printf '%s\n' --new-session --die-with-parent --unshare-net
    proxy=http://srt:0123456789abcdef0123456789abcdef@localhost:3128
    for name in HTTP_PROXY HTTPS_PROXY http_proxy https_proxy ALL_PROXY all_proxy GRPC_PROXY grpc_proxy \
        DOCKER_HTTP_PROXY DOCKER_HTTPS_PROXY FTP_PROXY ftp_proxy; do
        printf '%s\n' --setenv $name $proxy
    done
    for name in NO_PROXY no_proxy RSYNC_PROXY SANDBOX_RUNTIME TMPDIR GIT_CONFIG_PARAMETERS GIT_SSH_COMMAND \
        CLOUDSDK_PROXY_TYPE CLOUDSDK_PROXY_ADDRESS CLOUDSDK_PROXY_PORT CLOUDSDK_PROXY_USERNAME \
        CLOUDSDK_PROXY_PASSWORD JAVA_TOOL_OPTIONS CLAUDE_CODE_HOST_HTTP_PROXY_PORT \
        CLAUDE_CODE_HOST_SOCKS_PROXY_PORT; do
        printf '%s\n' --setenv $name localhost,127.0.0.1,169.254.0.0/16,10.0.0.0/8
    done
    printf '%s\n' --ro-bind / / --bind "$scratch/socket" "$scratch/socket" --bind "$scratch/peer" "$scratch/peer" \
        --bind "$scratch/ws2" "$scratch/ws2" --bind "$scratch/logs" "$scratch/logs" --tmpfs "$scratch/hidden" --tmpfs "$scratch/ssh" \
        --ro-bind "$scratch/peer/keep" "$scratch/peer/keep"
    for name in .gitconfig .gitmodules .bashrc .bash_profile .zshrc .zprofile .profile .ripgreprc .mcp.json \
        .vscode .idea; do
        printf '%s\n' --ro-bind /dev/null "$scratch/peer/$name"
    done
    printf '%s\n' --ro-bind "$scratch/peer/.git/hooks" "$scratch/peer/.git/hooks" \
        --ro-bind "$scratch/peer/.git/config" "$scratch/peer/.git/config" --ro-bind "$scratch/empty" "$scratch/peer/.claude" \
        --ro-bind "$scratch/empty" "$scratch/empty" \
        --dev /dev --unshare-pid --unshare-user --cap-drop ALL --cap-add CAP_SETFCAP --proc /proc --
}

# As words for the command line: none of ours holds a blank.
peer_bwrap() {
    : >"$scratch/socket"
    echo bwrap $(srt_bwrap)
}

peer_floor() {
    echo "$tool/bench-floor" --hide "$scratch/hidden" --write "$scratch/ws" --write "$scratch/ws2" \
        --keep "$scratch/ws/keep" --
}

ours() {
    echo "$postern" run --violations=none -s "$scratch/$1.json" --
}

# The figures

bench_start() {
    heading "start: $(share 150) runs of true in turn"
    cd "$scratch/ws"
    # shellcheck disable=SC2046  # words, see peer_bwrap
    "$tool/bench-start" --runs "$(share 150)" --warmup 5 \
        bare true ::: on $(ours on) true ::: off $(ours off) true ::: \
        bwrap $(peer_bwrap) true ::: floor $(peer_floor) true >"$scratch/start"
    for net in on off; do
        for field in 2:p50 3:p95; do
            a=$(column "$scratch/start" $net ${field%:*})
            for peer in bwrap:0.75 floor:1.4; do
                b=$(column "$scratch/start" ${peer%:*} ${field%:*})
                figure "start ${field#*:}, transparent $net, against ${peer%:*}" "$(ms "$a")" "$(ms "$b")" \
                    "$(ratio "$a" "$b")" max ${peer#*:}
            done
        done
    done
    bare=$(column "$scratch/start" bare 2)
    printf '%-52s %12s\n' "(a bare true)" "$(ms "$bare")"
    for field in 2:p50:10000 3:p95:20000; do
        want=${field##*:}
        a=$(column "$scratch/start" on "${field%%:*}")
        b=$(column "$scratch/start" bare "${field%%:*}")
        name=${field#*:}
        over=$(awk -v a="$a" -v b="$b" 'BEGIN { print a - b }')
        figure "start ${name%:*} over a bare true, against its budget" "$(ms "$over")" "$(ms "$want")" \
            "$(ratio "$over" "$want")" max 1
    done
}

bench_srt() {
    need_srt || return 0
    heading "start against srt: $(share 15) runs of true in turn"
    cd "$scratch/ws"
    # shellcheck disable=SC2046
    "$tool/bench-start" --runs "$(share 15)" --warmup 1 on $(ours on) true ::: off $(ours off) true ::: \
        srt "$srt" -s "$scratch/on.json" true >"$scratch/srt"
    for net in on off; do
        for field in 2:p50 3:p95; do
            a=$(column "$scratch/srt" $net ${field%:*})
            b=$(column "$scratch/srt" srt ${field%:*})
            figure "start ${field#*:}, transparent $net, against srt" "$(ms "$a")" "$(ms "$b")" "$(ratio "$a" "$b")" max 0.025
        done
    done
}

need_srt() {
    srt=$PEERS/node_modules/.bin/srt
    [ -x "$srt" ] || "$here/peers.sh" "$PEERS" >/dev/null || {
        echo "srt cannot be installed here: its figures are left out" >&2
        return 1
    }
}

# A second command in a sandbox that runs: what a worker asks of it.
bench_second() {
    heading "a second command in a running sandbox"
    "$tool/bench-second-command" "$(share 200)" >"$scratch/second"
    a=$(column "$scratch/second" second 2)
    b=$(column "$scratch/second" spawn 2)
    over=$(awk -v a="$a" -v b="$b" 'BEGIN { print a - b }')
    figure "second command over posix_spawn, against 1 ms" "$(ms "$over")" "$(ms 1000)" "$(ratio "$over" 1000)" max 1
}

# bench-many's line: 1 median, 2 p95, 3 p99, 4 longest, 5 all, 6 kB each
bench_many() {
    n=$(share 200)
    heading "$n starts at once"
    cd "$scratch/ws"
    # shellcheck disable=SC2046
    {
        "$tool/bench-many" --count "$n" --at-once $(ours on) "$tool/bench-hold" >"$scratch/ours"
        "$tool/bench-many" --count "$n" --at-once $(peer_bwrap) "$tool/bench-hold" >"$scratch/bwrap"
    }
    for field in 5:all 3:p99; do
        a=$(awk -v n=${field%:*} '{ print $n }' "$scratch/ours")
        b=$(awk -v n=${field%:*} '{ print $n }' "$scratch/bwrap")
        figure "$n at once, ${field#*:}, against bwrap" "$(ms "$a")" "$(ms "$b")" "$(ratio "$a" "$b")" max 1
    done
}

bench_alive() {
    n=$(share 500)
    heading "$n alive, started one after the other"
    cd "$scratch/ws"
    # shellcheck disable=SC2046
    {
        "$tool/bench-many" --count "$n" $(ours on) "$tool/bench-hold" >"$scratch/ours"
        "$tool/bench-many" --count "$(share 300)" $(peer_bwrap) "$tool/bench-hold" >"$scratch/bwrap"
    }
    a=$(awk '{ print $3 }' "$scratch/ours")
    b=$(awk '{ print $3 }' "$scratch/bwrap")
    figure "start p99 with $n alive, against bwrap ($(share 300))" "$(ms "$a")" "$(ms "$b")" "$(ratio "$a" "$b")" max 1
    a=$(awk '{ print $5 }' "$scratch/ours")
    figure "$n started, against 10 s" "$(ms "$a")" "$(ms 10000000)" "$(ratio "$a" 10000000)" max 1
    a=$(awk '{ print $6 }' "$scratch/ours")
    b=$(awk '{ print $6 }' "$scratch/bwrap")
    figure "memory of each, against 0.6 MB" "$a kB" "614 kB" "$(ratio "$a" 614)" max 1
    figure "memory of each, against bwrap" "$a kB" "$b kB" "$(ratio "$a" "$b")" max 1
    need_srt || return 0
    "$tool/bench-many" --count 20 "$srt" -s "$scratch/on.json" "$tool/bench-hold" >"$scratch/srt"
    b=$(awk '{ print $6 }' "$scratch/srt")
    figure "memory of each, against srt (20 alive)" "$a kB" "$b kB" "$(ratio "$a" "$b")" max 0.05
}

bench_proxy() {
    squid=$(command -v squid || ls /usr/sbin/squid 2>/dev/null || true)
    heading "the proxy as the command sees it"
    "$tool/bench-proxy" "$BUILD/postern-engine" $squid >"$scratch/proxy"
    if grep failed "$scratch/proxy" >&2; then
        missed=$((missed + 1))
    fi
    for row in "get direct 0.5" "connect direct 0.5" "bulk direct 0.6" "get squid 2" "connect squid 2" "keepalive squid 1"; do
        # shellcheck disable=SC2086
        set -- $row
        a=$(column "$scratch/proxy" "$1" 4)
        b=$(column "$scratch/proxy" "$1" "$([ "$2" = squid ] && echo 6 || echo 2)")
        unit=$(column "$scratch/proxy" "$1" 3)
        [ "$2" = squid ] && [ -z "$squid" ] && continue
        figure "$1, against $2" "$a $unit" "$b $unit" "$(ratio "$a" "$b")" min "$3"
    done
}

median() {
    sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# pairs NAME RUNS DIRECTORY COMMAND...: COMMAND inside and outside in turn, each timed where it runs, so
# that the start of the sandbox does not count (start has its own figures).
pairs() {
    name=$1 runs=$2 directory=$3
    shift 3
    cat >"$scratch/work.json" <<END
{"network": {"allowedDomains": ["*.example.com"], "deniedDomains": []},
 "filesystem": {"denyRead": [], "allowWrite": ["$directory"], "denyWrite": []}}
END
    cd "$directory"
    : >"$scratch/inside"
    : >"$scratch/outside"
    i=0
    while [ $i -le "$runs" ]; do # the first pair warms up
        "$postern" run -s "$scratch/work.json" -- "$tool/bench-start" --runs 1 --warmup 0 x "$@" >"$scratch/in"
        "$tool/bench-start" --runs 1 --warmup 0 x "$@" >"$scratch/out"
        if [ $i -gt 0 ]; then
            column "$scratch/in" x 2 >>"$scratch/inside"
            column "$scratch/out" x 2 >>"$scratch/outside"
        fi
        i=$((i + 1))
    done
    a=$(median "$scratch/inside")
    b=$(median "$scratch/outside")
    figure "$name" "$(ms "$a")" "$(ms "$b")" "$(ratio "$a" "$b")" max 1.03
    cd "$scratch"
}

bench_work() {
    heading "cost of the filter on work: inside against outside"
    "$here/make-project" c "$scratch/c" 60
    pairs "building a C project of 60 files" "$(share 5)" "$scratch/c" sh -c 'make -s clean && make -s -j2'
    rm -rf "$scratch/c"
    "$here/make-project" git "$scratch/git" 60000 >/dev/null
    pairs "git status in a tree of 60,000 files" "$(share 15)" "$scratch/git" git status --porcelain
    rm -rf "$scratch/git"
}

bench_store() {
    heading "the store: durable events per second"
    mkdir "$scratch/store"
    "$tool/bench-store" "$scratch/store" "$(share 25)" >"$scratch/events"
    for row in "one 1 writer" "many 64 writers"; do
        a=$(column "$scratch/events" "${row%% *}" 2)
        b=$(column "$scratch/events" "${row%% *}" 4)
        figure "durable events, ${row#* }, against bare SQLite" "$a /s" "$b /s" "$(ratio "$a" "$b")" min 0.7
    done
    rm -rf "$scratch/store"
}

[ -x "$postern" ] || {
    echo "run.sh: $postern is not built: run 'make' first (or set BUILD)" >&2
    exit 1
}
meson compile -C "$BUILD" bench-floor bench-start bench-many bench-hold bench-proxy \
    bench-second-command bench-store postern-engine >"$scratch/compile" 2>&1 || {
    cat "$scratch/compile" >&2
    exit 1
}
workspace
for what in ${*:-start srt second many alive proxy work store}; do
    case $what in
    start | srt | second | many | alive | proxy | work | store) "bench_$what" ;;
    *)
        echo "run.sh: no figure is called '$what'" >&2
        exit 2
        ;;
    esac
done
printf '\n%s\n' "$missed figures missed what is wanted"
