#!/usr/bin/env bash
# Installs the clients that the programs in this folder use, as their registries have them, into
# target/clients: the versions and checksums are in requirements.txt and package-lock.json.
# Does nothing when they are there already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
place=$(dirname "$(dirname "$here")")/target/clients
lists=("$here/requirements.txt" "$here/package.json" "$here/package-lock.json")

if [ -f "$place/installed" ] && cat "${lists[@]}" | cmp --silent - "$place/installed"; then
    exit 0
fi

fail() {
    echo "$1" >&2
    exit 1
}
for tool in python3 node npm; do
    command -v "$tool" >/dev/null || fail "The clients need $tool, which is not installed."
done
python3 -m pip --version >/dev/null 2>&1 || fail "The clients need pip, which is not installed."
node --eval 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
    fail "The clients need Node.js 20, and $(node --version) is installed."

rm -rf "$place"
mkdir -p "$place/node"
log=$place/install.log
python3 -m pip install --quiet --require-hashes --no-deps --target "$place/python" \
    --requirement "$here/requirements.txt" >"$log" 2>&1 ||
    fail "The Python clients cannot be had from their registry; $log says why."
cp "$here/package.json" "$here/package-lock.json" "$place/node"
npm ci --prefix "$place/node" --ignore-scripts --no-audit --no-fund --fetch-retries 1 \
    --fetch-retry-mintimeout 1000 >"$log" 2>&1 ||
    fail "The JavaScript clients cannot be had from their registry; $log says why."
cat "${lists[@]}" >"$place/installed"
