#!/bin/sh
# peers.sh - put the programs that we measure against where run.sh finds them.
#
#   bench/peers.sh DIRECTORY
#
# srt (npm) goes into DIRECTORY; bwrap, socat and rg come from Debian. Nothing is installed
# system-wide from npm. Prints the versions.
set -eu

directory=${1:?usage: peers.sh DIRECTORY}
version=0.0.83
here=$(dirname -- "$0")

"$here/../tools/install-packages" bench

srt=$directory/node_modules/.bin/srt
if ! [ -x "$srt" ]; then
    mkdir -p "$directory"
    npm install --prefix "$directory" --no-audit --no-fund --no-save --loglevel=error \
        "@anthropic-ai/sandbox-runtime@$version" >/dev/null
fi

echo "srt $(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$directory/node_modules/@anthropic-ai/sandbox-runtime/package.json")"
bwrap --version
echo "node $(node --version)"
