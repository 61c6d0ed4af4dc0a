#!/usr/bin/env bash
# Vim 9 with channels and text properties, from Debian. Prints its path; exits 3 if it cannot be had.
source "$(dirname "$0")/common.sh"
command -v vim >/dev/null || from_debian vim
version=$(vim --version | head -1)
vim --version | grep -q '+channel' && vim --version | grep -q '+textprop' \
    && vim --clean -es -u NONE -c 'if !has("patch-9.0.0185") | cquit | endif' -c quit \
    || cannot "Vim is too old or too small: $version; it must be 9.0.185 or newer with +channel and +textprop"
command -v vim
