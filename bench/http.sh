#!/bin/sh
# http.sh - src/net against nginx with a body of the same size, in one run, in turn.
#
#   bench/http.sh [BYTES [SECONDS]]
#
# BUILD names the build directory (build). For a server that runs already there is bench-http itself:
#   build/bench/bench-http -p PID -H 'authorization: Bearer KEY' http://127.0.0.1:PORT/v1/sessions/ID
set -eu

here=$(cd -- "$(dirname -- "$0")" && pwd)
BUILD=${BUILD:-$(dirname -- "$here")/build}
bytes=${1:-1500}
seconds=${2:-5}
load=$BUILD/bench/bench-http
ours=
peer=
scratch=$(mktemp -d /var/tmp/postern-bench-XXXXXX)
clean() {
    for pid in $ours $peer; do kill "$pid" || true; done
    rm -rf "$scratch"
}
trap clean EXIT
trap 'exit 130' INT TERM
ninja -C "$BUILD" bench/bench-http bench/bench-http-server >/dev/null

# nginx as it would be tuned for this: one worker, one directory, files kept open, no log.
head -c "$bytes" /dev/zero | tr '\0' x >"$scratch/body"
chmod -R a+rX "$scratch"
cat >"$scratch/nginx.conf" <<END
daemon off;
master_process off;
worker_processes 1;
pid $scratch/pid;
error_log $scratch/error;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=10;
    default_type application/json;
    client_body_temp_path $scratch/t1;
    proxy_temp_path $scratch/t2;
    server { listen 127.0.0.1:${NGINX_PORT:-18089}; root $scratch; }
}
END
/usr/sbin/nginx -p "$scratch" -c "$scratch/nginx.conf" 2>"$scratch/said" &
peer=$!
"$BUILD/bench/bench-http-server" "$bytes" ${BENCH_LOG:+log} >"$scratch/port" 2>"$scratch/log" &
ours=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -s "$scratch/port" ] && [ -s "$scratch/pid" ] && break
    sleep 0.2
done
for connections in 1 8 64; do
    echo "$connections connections, $bytes bytes"
    printf '  postern  '
    "$load" -c $connections -s "$seconds" -p "$ours" "http://127.0.0.1:$(cat "$scratch/port")/body"
    printf '  nginx    '
    "$load" -c $connections -s "$seconds" -p "$peer" "http://127.0.0.1:${NGINX_PORT:-18089}/body"
done
