#!/usr/bin/env bash
# Neovim 0.12 from Debian's testing suite.
minor=0.12 suite=forky
source "$(dirname "$0")/debian-neovim.sh"
