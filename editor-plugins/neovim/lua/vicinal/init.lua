-- What users and their mappings call. Owns no state: each function belongs to the room that it names.
local M = {}

--- Optional: settings instead of `vim.g.vicinal`, as plugin managers pass them (`opts`). May be called before or after
--- the plugin has begun; what runs already takes them with its next start.
---@param settings? table see `:help vicinal-settings`
function M.setup(settings)
  require('vicinal.config').set(settings or {})
  vim.cmd.runtime('plugin/vicinal.lua')
end

--- Called once by `plugin/vicinal.lua`.
function M.begin()
  require('vicinal.highlights').define()
  require('vicinal.commands').define()
  local group = vim.api.nvim_create_augroup('vicinal', {})
  vim.api.nvim_create_autocmd('ColorScheme', {
    group = group,
    callback = function()
      require('vicinal.highlights').define()
    end,
  })
  vim.api.nvim_create_autocmd({ 'BufReadPost', 'BufNewFile', 'FileType' }, {
    group = group,
    callback = function(event)
      require('vicinal.client').attach(event.buf)
    end,
  })
  vim.schedule(function() -- a plugin manager may have loaded us behind the first file
    for _, buf in ipairs(vim.api.nvim_list_bufs()) do
      if vim.api.nvim_buf_is_loaded(buf) then
        require('vicinal.client').attach(buf)
      end
    end
  end)
end

--- Functions for mappings of one's own. Each returns whether there was something to do; they change the text a moment
--- later, so that `<expr>` mappings may call them.
for _, name in ipairs({ 'accept', 'accept_word', 'accept_line', 'next', 'previous', 'dismiss', 'suggest' }) do
  M[name] = function()
    local suggestion = require('vicinal.suggestion')
    if name ~= 'suggest' and not suggestion.visible() then
      return false
    end
    vim.schedule(suggestion[name])
    return true
  end
end

--- Whether ghost text stands at the cursor.
function M.visible()
  return require('vicinal.suggestion').visible()
end

--- For a statusline: `%{v:lua.require'vicinal'.statusline()}`. Empty where Vicinal is not at work.
function M.statusline()
  return require('vicinal.state').statusline(vim.api.nvim_get_current_buf())
end

return M
