-- The plugin's settings: defaults, and what is wrong with the user's. It does not know what they do.
local M = {}

M.defaults = {
  -- How the language server is started.
  cmd = { 'vicinal', 'lsp' },
  -- What marks the root of a repository.
  root_markers = { '.git', '.hg', '.jj' },
  -- File types without Vicinal: { markdown = false }; ['*'] = false turns off all that are not named.
  filetypes = {},
  -- Who draws the ghost text: 'auto' is Neovim itself where it can (0.12 and newer), 'own' this plugin.
  view = 'auto',
  -- The mark behind the ghost text: 'off', 'subtle' (how sure), 'full' (and how it came about).
  confidence = 'subtle',
  -- Keys in insert mode; false for none. A key that finds no ghost text does what it did before.
  keys = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-C-Right>',
    next = '<M-]>',
    previous = '<M-[>',
    dismiss = '<C-]>',
    suggest = '<M-Bslash>',
  },
  -- What the server is told: the settings of docs/lsp.md (minConfidence, maxLines, languages, ...).
  settings = {},
}

local choices = { view = { 'auto', 'own' }, confidence = { 'off', 'subtle', 'full' } }
local given

--- Settings from `setup`, which come before `vim.g.vicinal`.
function M.set(settings)
  given = settings
end

--- What the user set.
local function chosen()
  return given or vim.g.vicinal or {}
end

--- What is wrong with the settings, one line each.
---@return string[]
function M.problems()
  local found = {}
  local function look(values, defaults, prefix)
    if type(values) ~= 'table' then
      found[#found + 1] = ('%s must be a table'):format(prefix == '' and 'vim.g.vicinal' or prefix:sub(1, -2))
      return
    end
    for key, value in pairs(values) do
      local default = defaults[key]
      local name = prefix .. key
      if default == nil then
        found[#found + 1] = ('%s is unknown'):format(name)
      elseif choices[name] and not vim.tbl_contains(choices[name], value) then
        found[#found + 1] = ('%s must be one of %s'):format(name, table.concat(choices[name], ', '))
      elseif type(value) ~= type(default) and not (prefix == 'keys.' and value == false) then
        found[#found + 1] = ('%s must be a %s'):format(name, type(default))
      elseif name == 'keys' then
        look(value, default, 'keys.')
      end
    end
  end
  look(chosen(), M.defaults, '')
  return found
end

--- The settings as they hold: a bad one is left out.
function M.get()
  local values = chosen()
  if type(values) ~= 'table' then
    return M.defaults
  end
  values = vim.deepcopy(values)
  for _, name in ipairs({ 'view', 'confidence' }) do
    if not vim.tbl_contains(choices[name], values[name]) then
      values[name] = nil
    end
  end
  for key, default in pairs(M.defaults) do
    if type(values[key]) ~= type(default) then
      values[key] = nil
    end
  end
  return vim.tbl_deep_extend('force', M.defaults, values)
end

return M
