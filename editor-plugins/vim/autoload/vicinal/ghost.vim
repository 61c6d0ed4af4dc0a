vim9script
# Ghost text: asked for while one types, drawn as virtual text, taken whole, by word or by line.

import autoload './config.vim'
import autoload './server.vim'

const TYPES = ['VicinalGhost', 'VicinalSure', 'VicinalUnsure', 'VicinalGuess']
# What was answered: the items, which of them is shown, where they begin and what stood right of the cursor.
var offer: dict<any> = {}
var asked = 0
var generation = 0
var mapped = false

export def Highlights()
  highlight default link VicinalGhost NonText
  highlight default link VicinalSure MoreMsg
  highlight default link VicinalUnsure WarningMsg
  highlight default link VicinalGuess Comment
  for name in TYPES
    if prop_type_get(name) == {}
      prop_type_add(name, {highlight: name})
    endif
  endfor
enddef

def Hide(buf: number)
  if prop_type_get('VicinalGhost') != {}
    prop_remove({types: TYPES, bufnr: buf, all: true})
  endif
enddef

# What of the item shown is not in the buffer yet; empty if something else has been typed.
def Rest(): string
  if offer == {} || offer.buf != bufnr()
    return ''
  endif
  const [row, column] = [line('.'), col('.') - 1]
  if row < offer.row || (row == offer.row && column < offer.column) || strpart(getline('.'), column) !=# offer.right
    return ''
  endif
  var typed = getline(offer.row, row)
  typed[-1] = strpart(typed[-1], 0, column)
  typed[0] = strpart(typed[0], offer.column)
  const before = join(typed, "\n")
  const text = offer.items[offer.index].insertText
  return stridx(text, before) == 0 ? strpart(text, len(before)) : ''
enddef

export def Visible(): bool
  return Rest() != ''
enddef

def Argument(): dict<any>
  return offer.items[offer.index].command.arguments[0]
enddef

def Draw()
  Hide(bufnr())
  const rest = Rest()
  if rest == ''
    offer = {}
    return
  endif
  Highlights()
  const [first; below] = rest->substitute('\t', repeat(' ', &tabstop), 'g')->split("\n", 1)
  if first != ''
    prop_add(line('.'), col('.'), {type: 'VicinalGhost', text: first})
  endif
  const sure = Argument().confidence
  if config.Get('confidence') != 'off'
    const type = sure >= 0.66 ? 'VicinalSure' : sure >= 0.33 ? 'VicinalUnsure' : 'VicinalGuess'
    prop_add(line('.'), 0, {type: type, text: printf(' %.0f%%', sure * 100), text_align: 'after'})
  endif
  for text in below
    prop_add(line('.'), 0, {type: 'VicinalGhost', text: text ?? ' ', text_align: 'below'})
  endfor
enddef

def CallOff()
  generation += 1
  if asked != 0
    server.Tell('$/cancelRequest', {id: asked})
    asked = 0
  endif
enddef

def Received(buf: number, right: string, delta: number, result: any)
  asked = 0
  if mode()[0] != 'i' || bufnr() != buf || type(result) != v:t_dict
    return
  endif
  const items = result.items
  if empty(items)
    offer = {}
  else
    const start = items[0].range.start
    offer = {buf: buf, items: items, index: delta < 0 ? len(items) - 1 : delta % len(items),
      row: start.line + 1, column: start.character, right: right}
  endif
  Draw()
  if offer != {}
    server.Tell('textDocument/didShowCompletion', {item: items[offer.index]})
  endif
  redraw
enddef

def Request(kind: number, delta: number)
  CallOff()
  const buf = bufnr()
  const [now, right] = [generation, strpart(getline('.'), col('.') - 1)]
  server.Sync(buf)
  asked = server.Ask('textDocument/inlineCompletion', {
    textDocument: {uri: server.UriOf(buf)},
    position: {line: line('.') - 1, character: col('.') - 1},
    context: {triggerKind: kind},
  }, (result) => {
    if generation == now
      Received(buf, right, delta, result)
    endif
  })
enddef

# Something was typed, or the cursor has moved.
export def Typed()
  if server.IsOpen(bufnr())
    Draw()
    Request(2, 0)
  endif
enddef

export def Dismiss()
  if server.IsOpen(bufnr())
    CallOff()
    offer = {}
    Hide(bufnr())
  endif
enddef

export def Suggest()
  if server.IsOpen(bufnr())
    Request(1, 0)
  endif
enddef

# Another text for the same place; they are asked for if there are none yet.
export def Turn(delta: number)
  if len(offer.items) > 1
    offer.index = (offer.index + delta + len(offer.items)) % len(offer.items)
    Draw()
  else
    Request(1, delta)
  endif
enddef

def Insert(piece: string)
  &g:undolevels = &g:undolevels # an undo of its own
  const lines = split(piece, "\n", 1)
  const [left, right] = [strpart(getline('.'), 0, col('.') - 1), strpart(getline('.'), col('.') - 1)]
  var whole = copy(lines)
  whole[0] = left .. whole[0]
  const column = len(whole[-1])
  whole[-1] ..= right
  setline('.', whole[0])
  append('.', whole[1 : ])
  cursor(line('.') + len(lines) - 1, column + 1)
enddef

def Take(Cut: func(string): string)
  const rest = Rest()
  if rest == ''
    return
  endif
  const item = offer.items[offer.index]
  const piece = Cut(rest)
  if piece ==# rest
    Dismiss()
    Insert(piece)
    server.Sync(bufnr())
    server.Execute(item.command.command, item.command.arguments, (_) => {
    })
  else
    Insert(piece)
    const taken = strpart(item.insertText, 0, len(item.insertText) - len(rest) + len(piece))
    # UTF-16: a sign beyond the first plane counts twice.
    const length = strchars(taken) + len(substitute(taken, '[^\U10000-\U10FFFF]', '', 'g')) / 4
    server.Tell('textDocument/didPartiallyAcceptCompletion', {item: item, acceptedLength: length})
    Draw()
  endif
enddef

export def Accept()
  Take((rest: string): string => rest)
enddef

# White space, then a word or a run of signs (as the server cuts it).
export def AcceptWord()
  Take((rest: string): string => matchstr(rest, '^\_s*\%([[:alnum:]_]\|[^\x00-\x7F]\)\+') ?? matchstr(rest, '^\_s*[^[:alnum:]_[:space:]]\+') ?? rest)
enddef

# Up to the end of the first line that is not blank.
export def AcceptLine()
  Take((rest: string): string => matchstr(rest, '^\_s*[^\n]*'))
enddef

var mappings: dict<dict<any>> = {}
const ACTIONS = {accept: 'Accept', accept_word: 'AcceptWord', accept_line: 'AcceptLine', next: 'Next',
  previous: 'Previous', dismiss: 'Dismiss', suggest: 'Suggest'}

# `<Tab>` as the key itself.
def Keycodes(keys: string): string
  return substitute(keys, '<\([^<> ]\+\)>', '\=eval("\"\\<" .. submatch(1) .. ">\"")', 'g')
enddef

# What one action's key stands for now: the action if there is ghost text and no menu wants the key, else what the key
# did before.
export def Key(name: string): string
  if name == 'suggest' || (Visible() && !(name == 'accept' && pumvisible()))
    return $"\<Cmd>call vicinal#{ACTIONS[name]}()\<CR>"
  endif
  const old = mappings[name]
  if old == {}
    return Keycodes(config.Get('keys')[name])
  endif
  return old.expr ? eval(old.rhs) : Keycodes(old.rhs)
enddef

# Map the keys, once, when the first buffer is open: by then the user's own mappings are made.
export def Keys()
  if mapped
    return
  endif
  mapped = true
  for [name, key] in items(config.Get('keys'))
    if type(key) == v:t_string
      const old = maparg(key, 'i', false, true)
      mappings[name] = get(old, 'buffer', 0) ? {} : old
      execute $"inoremap <expr> {key} vicinal#Key('{name}')"
    endif
  endfor
enddef
