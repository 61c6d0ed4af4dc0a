vim9script
# The language server: one job for all buffers, over Vim's own LSP channel; and what it is told of texts.
# It does not know what is drawn.

import autoload './config.vim'
import autoload './ghost.vim'

var process: any = null
var ready = false
var status: dict<any> = {}
export var problem = ''
# Of each open buffer: the lines as the server has them, and their version.
var texts: dict<list<string>> = {}
var versions: dict<number> = {}
var folders: list<string> = []
# Answers by id, the last one of each buffer.
export var answers: dict<dict<any>> = {}

export def Warn(message: string)
  echohl WarningMsg
  echomsg 'Vicinal: ' .. message
  echohl None
enddef

def Uri(path: string): string
  const full = has('win32') ? '/' .. substitute(path, '\\', '/', 'g') : path
  return 'file://' .. substitute(full, '[ %#?"<>^`{|}\[\]\\]', '\=printf("%%%02X", char2nr(submatch(0)))', 'g')
enddef

export def Path(uri: string): string
  return substitute(uri, '^file://', '', '')->substitute('%\(\x\x\)', '\=eval("\"\\x" .. submatch(1) .. "\"")', 'g')
enddef

# Behind what Vim itself says at its start.
def Later(message: string)
  timer_start(0, (_) => Warn(message))
enddef

export def UriOf(buf: number): string
  return Uri(fnamemodify(bufname(buf), ':p'))
enddef

def Root(buf: number): string
  const folder = fnamemodify(bufname(buf), ':p:h')
  for marker in config.Get('root_markers')
    const found = finddir(marker, folder .. ';') ?? findfile(marker, folder .. ';')
    if found != ''
      return fnamemodify(found, ':p')->substitute('[/\\]$', '', '')->fnamemodify(':h')
    endif
  endfor
  return ''
enddef

def Wanted(buf: number): bool
  if getbufvar(buf, '&buftype') != '' || bufname(buf) == '' || !getbufvar(buf, '&modifiable')
    return false
  endif
  const filetypes = config.Get('filetypes')
  return get(filetypes, getbufvar(buf, '&filetype') ?? ' ', get(filetypes, '*', true)) != false
enddef

def Running(): bool
  return process != null && job_status(process) == 'run'
enddef

def Start(root: string)
  const command = config.Get('cmd')
  if !executable(command[0])
    if problem == ''
      problem = command[0] .. ' is not found'
      Later($'{command[0]} is not found: `uv tool install vicinal`, or set g:vicinal.cmd')
    endif
    return
  endif
  problem = ''
  ready = false
  process = job_start(command, {in_mode: 'lsp', out_mode: 'lsp', err_io: 'null', noblock: 1,
    out_cb: Heard, exit_cb: Ended})
  folders = root == '' ? [] : [root]
  const own = config.Get('settings')
  Ask('initialize', {
    processId: getpid(),
    clientInfo: {name: 'Vim', version: string(v:versionlong)},
    rootUri: root == '' ? null : Uri(root),
    workspaceFolders: mapnew(folders, (_, folder) => ({uri: Uri(folder), name: fnamemodify(folder, ':t')})),
    capabilities: {
      general: {positionEncodings: ['utf-8']},
      textDocument: {inlineCompletion: {}, synchronization: {didSave: true}},
      workspace: {workspaceFolders: true, configuration: true, applyEdit: false},
      window: {showDocument: {support: false}},
    },
    initializationOptions: own,
  }, (_) => {
    Tell('initialized', {})
    ready = true
    for info in getbufinfo({bufloaded: 1})
      Open(info.bufnr)
    endfor
  })
enddef

def Ended(_: job, code: number)
  process = null
  ready = false
  texts = {}
  status = {}
  if code != 0
    problem = 'the language server has ended'
    Warn($'the language server has ended with status {code}; `vicinal doctor` says more')
  endif
enddef

# A request; the result is given to a function, what went wrong is told. Its number, 0 if it could not be sent.
export def Ask(method: string, params: any, Done: func(any)): number
  if !Running()
    Warn(problem ?? 'no language server runs')
    return 0
  endif
  var message: dict<any> = {method: method}
  if params != null
    message.params = params
  endif
  const sent = ch_sendexpr(job_getchannel(process), message, {callback: (_, reply) => {
    if has_key(reply, 'error')
      if reply.error.code != -32800
        Warn(reply.error.message)
      endif
    else
      Done(get(reply, 'result', null))
    endif
  }})
  return type(sent) == v:t_dict ? get(sent, 'id', 0) : 0
enddef

export def Tell(method: string, params: any)
  if Running()
    ch_sendexpr(job_getchannel(process), {method: method, params: params})
  endif
enddef

export def Execute(command: string, arguments: list<any>, Done: func(any))
  Ask('workspace/executeCommand', {command: command, arguments: arguments}, Done)
enddef

def Heard(channel: channel, message: dict<any>)
  if has_key(message, 'id') && has_key(message, 'method')
    ch_sendexpr(channel, {id: message.id, result: Answer(message)})
  elseif message.method == 'didChangeStatus'
    status = message.params
    redrawstatus
  elseif message.method == 'vicinal/answer'
    answers[message.params.uri] = message.params
    redrawstatus
  elseif message.method == 'window/showMessage'
    Warn(message.params.message)
  endif
enddef

# What the server asks of us.
def Answer(message: dict<any>): any
  if message.method == 'workspace/configuration'
    return mapnew(message.params.items, (_, _) => config.Get('settings'))
  elseif message.method == 'window/showMessageRequest'
    const titles = mapnew(message.params.actions, (_, action) => action.title)
    const chosen = confirm('Vicinal: ' .. message.params.message, join(titles, "\n"), 0)
    return chosen > 0 ? message.params.actions[chosen - 1] : null
  endif
  return null
enddef

def AddFolder(root: string)
  if root != '' && index(folders, root) < 0
    add(folders, root)
    Tell('workspace/didChangeWorkspaceFolders',
      {event: {added: [{uri: Uri(root), name: fnamemodify(root, ':t')}], removed: []}})
  endif
enddef

# Tell the server of a buffer, and start it if it does not run.
export def Open(buf: number)
  if !Wanted(buf) || has_key(texts, buf)
    return
  endif
  const root = Root(buf)
  if !Running()
    Start(root)
    return
  elseif !ready
    return
  endif
  AddFolder(root)
  texts[buf] = getbufline(buf, 1, '$')
  versions[buf] = 1
  Tell('textDocument/didOpen', {textDocument: {uri: UriOf(buf), languageId: getbufvar(buf, '&filetype') ?? 'plaintext',
    version: 1, text: join(texts[buf], "\n") .. "\n"}})
  ghost.Keys()
enddef

export def IsOpen(buf: number): bool
  return has_key(texts, buf) && Running()
enddef

# How many of the first signs two lists have in common.
def Common(one: list<string>, other: list<string>): number
  const least = min([len(one), len(other)])
  var count = 0
  while count < least && one[count] ==# other[count]
    count += 1
  endwhile
  return count
enddef

# Where one stands behind a text that begins at a line.
def Behind(text: list<string>, first: number): dict<number>
  const lines = join(text, '')->split("\n", 1)
  return {line: first + len(lines) - 1, character: len(lines[-1])}
enddef

# The change that makes one text of another: all between what they begin and end with. The server takes its end for the
# cursor's place.
def Change(old: list<string>, new: list<string>): dict<any>
  const first = Common(old, new)
  const same = Common(reverse(old[first : ]), reverse(new[first : ]))
  const [was, is] = [slice(old, first, len(old) - same), slice(new, first, len(new) - same)]
    ->mapnew((_, lines) => mapnew(lines, (_, line) => line .. "\n")->join('')->split('\zs'))
  const begin = Common(was, is)
  const rest = Common(reverse(was[begin : ]), reverse(is[begin : ]))
  return {
    range: {start: Behind(slice(was, 0, begin), first), end: Behind(slice(was, 0, len(was) - rest), first)},
    text: join(slice(is, begin, len(is) - rest), ''),
  }
enddef

# Tell the server what has changed since it was last told.
export def Sync(buf: number)
  const new = getbufline(buf, 1, '$')
  if texts[buf] == new
    return
  endif
  const change = Change(texts[buf], new)
  texts[buf] = new
  versions[buf] += 1
  Tell('textDocument/didChange', {
    textDocument: {uri: UriOf(buf), version: versions[buf]}, contentChanges: [change]})
enddef

export def Saved(buf: number)
  if IsOpen(buf)
    Sync(buf)
    Tell('textDocument/didSave', {textDocument: {uri: UriOf(buf)}})
  endif
enddef

export def Closed(buf: number)
  if IsOpen(buf)
    Tell('textDocument/didClose', {textDocument: {uri: UriOf(buf)}})
    remove(texts, buf)
  endif
enddef

export def Leave()
  if Running()
    ch_evalexpr(job_getchannel(process), {method: 'shutdown'}, {timeout: 2000})
    Tell('exit', {})
  endif
enddef

# One short text: what the server is about, else how sure the last answer was.
export def Statusline(): string
  if problem != ''
    return 'Vicinal: ' .. problem
  elseif status == {} || !has_key(texts, bufnr())
    return ''
  elseif status.kind != 'Normal' || status.message != 'ready'
    return 'Vicinal: ' .. status.message
  endif
  const answer = get(answers, UriOf(bufnr()), {})
  return answer == {} ? 'Vicinal' : printf('Vicinal %.0f%%', answer.confidence * 100)
enddef
