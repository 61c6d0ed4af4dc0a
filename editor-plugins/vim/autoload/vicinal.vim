vim9script
# What users and their mappings call, and `:Vicinal`.

import autoload './vicinal/server.vim'
import autoload './vicinal/ghost.vim'

const WORDS = ['explain', 'query', 'status', 'toggle']

export def Words(lead: string, _: string, _: number): string
  return join(WORDS, "\n")
enddef

export def Do(words: list<string>)
  const word = get(words, 0, 'status')
  const more = words[1 : ]
  if word == 'status'
    server.Execute('vicinal.status', [], Status)
  elseif word == 'explain'
    const answer = get(server.answers, server.UriOf(bufnr()), {shown: ''})
    server.Execute('vicinal.explain', answer.shown == 'yes' ? [{id: answer.id}] : [], Explain)
  elseif word == 'toggle'
    server.Execute('vicinal.toggle', more, (now) => {
      const language = get(more, 0, '')
      echomsg 'Vicinal: ' .. (language == '' ? $'automatic completions are {now.automatic ? "on" : "off"}'
        : $'completions in {language} are {now.languages[language] ? "on" : "off"}')
    })
  elseif word == 'query'
    const text = more == [] ? input('What are you looking for? ') : join(more)
    if text != ''
      server.Execute('vicinal.query', [text], Findings)
    endif
  else
    server.Warn($'there is no :Vicinal {word}; there are {join(WORDS, ", ")}')
  endif
enddef

def Status(now: dict<any>)
  var lines = ['Vicinal: ' .. now.status.message]
  if now.status.hint != ''
    add(lines, now.status.hint)
  endif
  add(lines, $'model {now.daemon.model.name}, {now.daemon.model.state}; {now.daemon.adapters} adapters')
  for workspace in now.daemon.workspaces
    add(lines, $'{workspace.root}: {workspace.state}, {workspace.chunks} chunks')
  endfor
  for line in lines
    echomsg line
  endfor
enddef

# The explanation in a window of its own; the code that it rests on in its location list.
def Explain(answer: any)
  if type(answer) != v:t_dict
    return
  endif
  stopinsert
  const lines = split(answer.markdown, "\n")
  execute $'botright :{min([len(lines), &lines / 2])}new'
  setlocal buftype=nofile bufhidden=wipe noswapfile filetype=markdown
  setline(1, lines)
  setlocal nomodifiable
  nnoremap <buffer> <nowait> q <Cmd>close<CR>
  setloclist(0, [], ' ', {title: 'Vicinal: it rests on', items: mapnew(answer.evidence, (_, piece) => ({
    filename: server.Path(piece.uri), lnum: piece.range.start.line + 1,
    text: printf('%.0f%% %s', piece.share * 100, piece.symbol)}))})
enddef

def Findings(found: dict<any>)
  setqflist([], ' ', {title: 'Vicinal: ' .. found.question, items: mapnew(found.findings, (_, finding) => ({
    filename: found.repository .. '/' .. finding.path, lnum: finding.start_line,
    text: printf('%.0f%% %s', finding.share * 100, finding.symbol ?? trim(finding.header))}))})
  copen
enddef

export def Statusline(): string
  return server.Statusline()
enddef

export def Visible(): bool
  return ghost.Visible()
enddef

export def Key(name: string): string
  return ghost.Key(name)
enddef

export def Accept()
  ghost.Accept()
enddef

export def AcceptWord()
  ghost.AcceptWord()
enddef

export def AcceptLine()
  ghost.AcceptLine()
enddef

export def Next()
  ghost.Turn(1)
enddef

export def Previous()
  ghost.Turn(-1)
enddef

export def Dismiss()
  ghost.Dismiss()
enddef

export def Suggest()
  ghost.Suggest()
enddef
