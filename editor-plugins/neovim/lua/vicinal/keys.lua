-- The keys in insert mode. Each gives way: to the completion menu, to a snippet that is being filled in, and, where no
-- ghost text stands, to what the key did before.
local config = require('vicinal.config')

local M = { before = {} }

local actions = {
  accept = 'Accept the suggestion',
  accept_word = 'Accept the next word of the suggestion',
  accept_line = 'Accept the next line of the suggestion',
  next = 'Next suggestion',
  previous = 'Previous suggestion',
  dismiss = 'Dismiss the suggestion',
  suggest = 'Ask for a suggestion',
}
local defined = false

--- What a mapping that was there before does, as keys to be typed.
local function before(old, key, name)
  if vim.tbl_isempty(old) then
    return key
  end
  if old.expr == 1 then
    return old.callback and (old.callback() or '') or vim.api.nvim_eval(old.rhs)
  end
  if old.callback then
    return ("<Cmd>lua require('vicinal.keys').before.%s()<CR>"):format(name)
  end
  if old.noremap == 1 then
    return old.rhs
  end
  vim.api.nvim_feedkeys(vim.keycode(old.rhs), 'im', false) -- what is returned is not mapped again
  return ''
end

local function gives_way(name)
  if name == 'accept' and vim.fn.pumvisible() == 1 then
    return true
  end
  return name == 'accept' and vim.snippet ~= nil and vim.snippet.active({ direction = 1 })
end

--- Map the keys, once, when the first server is there: by then the user's own mappings are made, and come first.
function M.define()
  if defined then
    return
  end
  defined = true
  for name, description in pairs(actions) do
    local key = config.get().keys[name]
    if key then
      local old = vim.fn.maparg(key, 'i', false, true)
      if old.buffer == 1 then -- it stands before ours anyway
        old = {}
      end
      old.rhs = old.rhs and old.rhs:gsub('<SID>', ('<SNR>%d_'):format(old.sid))
      M.before[name] = old.callback
      vim.keymap.set('i', key, function()
        local suggestion = require('vicinal.suggestion')
        if gives_way(name) or (name ~= 'suggest' and not suggestion.visible()) then
          return before(old, key, name)
        end
        -- In its turn, before whatever is typed behind it.
        return ("<Cmd>lua require('vicinal.suggestion').%s()<CR>"):format(name)
      end, { expr = true, replace_keycodes = true, desc = 'Vicinal: ' .. description })
    end
  end
end

return M
