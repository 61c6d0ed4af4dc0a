# What the install scripts share; sourced by them. They put editors into one folder of the user's cache, for tests:
# users install their editor as they always do.
set -euo pipefail
EDITORS="${VICINAL_EDITORS:-${XDG_CACHE_HOME:-$HOME/.cache}/vicinal-editors}"
mkdir -p "$EDITORS"

# cannot REASON: this editor cannot be had here. Tests are skipped with the reason.
cannot() {
    echo "$1"
    exit 3
}

# quietly COMMAND...: its output only if it fails.
quietly() {
    local said
    said=$("$@" 2>&1) || { echo "$said" >&2; return 1; }
}

# from_debian PACKAGE...: install what is missing, which needs root.
from_debian() {
    command -v apt-get >/dev/null || cannot "$* cannot be installed: this is no Debian"
    [ "$(id -u)" = 0 ] || cannot "$* cannot be installed: that needs root (apt-get install $*)"
    if ! quietly apt-get install -y --no-install-recommends "$@" 2>/dev/null; then
        quietly apt-get update || cannot "no package lists: apt-get update fails"
        quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" \
            || cannot "apt-get install $* fails"
    fi
}
