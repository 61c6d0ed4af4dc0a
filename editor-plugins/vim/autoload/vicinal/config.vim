vim9script
# The plugin's settings: defaults under the user's `g:vicinal`. It does not know what they do.

const DEFAULTS = {
  # How the language server is started.
  cmd: ['vicinal', 'lsp'],
  # What marks the root of a repository.
  root_markers: ['.git', '.hg', '.jj'],
  # File types without Vicinal: {'markdown': v:false}; '*' stands for all that are not named.
  filetypes: {},
  # The mark behind the ghost text: 'off' or 'subtle' (how sure).
  confidence: 'subtle',
  # Keys in insert mode; v:false for none. A key that finds no ghost text does what it did before.
  keys: {
    accept: '<Tab>',
    accept_word: '<C-Right>',
    accept_line: '<C-Down>',
    next: '<C-X>n',
    previous: '<C-X>p',
    dismiss: '<C-]>',
    suggest: '<C-X><C-X>',
  },
  # What the server is told: the settings of docs/lsp.md.
  settings: {},
}

export def Get(name: string): any
  const given: dict<any> = get(g:, 'vicinal', {})
  if name == 'keys'
    return extendnew(DEFAULTS.keys, get(given, 'keys', {}))
  endif
  return get(given, name, DEFAULTS[name])
enddef
