vim9script
# Starts Vicinal in every buffer that holds a file. Settings: `g:vicinal`, see `:help vicinal`.
if exists('g:loaded_vicinal')
  finish
endif
g:loaded_vicinal = 1

if !has('patch-9.0.0185') || !has('channel') || !has('textprop')
  echohl WarningMsg
  echomsg 'Vicinal needs Vim 9.0.185 or newer with +channel and +textprop'
  echohl None
  finish
endif

import autoload 'vicinal.vim'
import autoload 'vicinal/server.vim'
import autoload 'vicinal/ghost.vim'

augroup vicinal
  autocmd!
  autocmd BufReadPost,BufNewFile,FileType * server.Open(str2nr(expand('<abuf>')))
  autocmd BufDelete * server.Closed(str2nr(expand('<abuf>')))
  autocmd BufWritePost * server.Saved(str2nr(expand('<abuf>')))
  autocmd InsertEnter,TextChangedI,TextChangedP,CursorMovedI * ghost.Typed()
  autocmd InsertLeave,BufLeave * ghost.Dismiss()
  autocmd ColorScheme * ghost.Highlights()
  autocmd VimLeavePre * server.Leave()
augroup END

command -nargs=* -complete=custom,vicinal.Words Vicinal vicinal.Do([<f-args>])
