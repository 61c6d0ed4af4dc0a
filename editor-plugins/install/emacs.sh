#!/usr/bin/env bash
# Emacs 28 or newer with eglot, from Debian. Prints its path; exits 3 if it cannot be had.
source "$(dirname "$0")/common.sh"
has_eglot() { command -v emacs >/dev/null && emacs --batch --eval "(require 'eglot)" >/dev/null 2>&1; }
has_eglot || from_debian emacs-nox elpa-eglot
has_eglot || cannot "Emacs is here, but without eglot"
command -v emacs
