-- Neovim's own ghost text (`vim.lsp.inline_completion`, 0.12): turned on for our client, and read.
-- Neovim asks and draws; from here come the mark of confidence, the question that the user asks, and what we tell the
-- server of what stands on the screen. What is on the screen is read from it, so that the user's own mappings of
-- `vim.lsp.inline_completion` do not get out of step with us.
local client_of = require('vicinal.client')
local compat = require('vicinal.compat')
local mark = require('vicinal.mark')
local text = require('vicinal.text')

local M = { waits_itself = true }

local api = vim.api
local namespace = api.nvim_create_namespace('nvim.lsp.inline_completion')

---@type table<integer, { client: vim.lsp.Client, items: table[], kind: integer?, delta: integer, told: table? }>
local buffers = {}

--- What Neovim has drawn, and in which line; without its own "(1/3)".
local function drawn(buf)
  local found = api.nvim_buf_get_extmarks(buf, namespace, 0, -1, { details = true, limit = 1 })[1]
  if not found then
    return
  end
  local lines = { found[4].virt_text or {} }
  vim.list_extend(lines, found[4].virt_lines or {})
  local shown = vim.tbl_map(function(chunks)
    return vim.iter(chunks):fold('', function(before, chunk)
      return chunk[2] == 'ComplHintMore' and before or before .. chunk[1]
    end)
  end, lines)
  return table.concat(shown, '\n'), found[2]
end

--- Bring the mark in line with what is drawn, and tell what is shown for the first time.
local function follow(buf)
  local here = buffers[buf]
  local now, row = M.current(buf)
  if not here or not now then
    mark.hide(buf)
    return
  end
  mark.show(buf, row, now.item)
  if here.told ~= now.item then
    here.told = now.item
    client_of.tell_shown(here.client, now.item)
  end
end

--- Neovim asks for itself only; a user who asks wants to hear so, and be given alternatives.
local function wrap(client)
  local original = client.request
  client.request = function(self, method, params, handler, buf)
    local here = method == client_of.INLINE and buffers[buf]
    if not here then
      return original(self, method, params, handler, buf)
    end
    params.context.triggerKind = here.kind or params.context.triggerKind
    local delta = here.delta
    here.kind, here.delta = nil, 0
    return original(self, method, params, function(problem, result, ...)
      local items = client_of.items(result)
      handler(problem, result, ...)
      if not problem and result then
        here.items = items
        if delta ~= 0 and api.nvim_get_current_buf() == buf then
          vim.lsp.inline_completion.select({ bufnr = buf, count = delta })
        end
      end
      follow(buf)
    end, buf)
  end
end

function M.attach(client, buf)
  if not client.vicinal_wrapped then
    client.vicinal_wrapped = true
    wrap(client)
    vim.schedule(function()
      vim.lsp.inline_completion.enable(true, { client_id = client.id })
    end)
  end
  buffers[buf] = { client = client, items = {}, delta = 0 }
  local group = api.nvim_create_augroup('vicinal.native.' .. buf, {})
  api.nvim_create_autocmd({ 'InsertEnter', 'CursorMovedI', 'TextChangedP', 'InsertLeave' }, {
    group = group,
    buffer = buf,
    callback = vim.schedule_wrap(function() -- behind Neovim's own
      if api.nvim_buf_is_valid(buf) then
        follow(buf)
      end
    end),
  })
  api.nvim_create_autocmd('LspDetach', {
    group = group,
    buffer = buf,
    callback = function(event)
      if event.data.client_id == client.id then
        mark.hide(buf)
        buffers[buf] = nil
        api.nvim_del_augroup_by_id(group)
      end
    end,
  })
end

--- Where an item begins.
local function start_of(buf, client, item)
  if not item.range then
    return text.cursor()
  end
  local from = item.range.start
  return from.line, compat.byte_column(text.line_at(buf, from.line), from.character, client.offset_encoding)
end

--- What stands on the screen: the item, what of it is not in the buffer yet, and (second) its line.
function M.current(buf)
  local here = buffers[buf]
  local seen, row = drawn(buf)
  if not here or not seen or seen == '' or api.nvim_get_current_buf() ~= buf then
    return
  end
  for _, item in ipairs(here.items) do
    if type(item.insertText) == 'string' and vim.endswith(item.insertText, seen) then
      -- What is drawn may be a key behind what is typed.
      local first, begin = start_of(buf, here.client, item)
      local rest = text.rest(buf, first, begin, item.insertText)
      return rest and { client = here.client, item = item, rest = rest }, row
    end
  end
end

function M.count(buf)
  return buffers[buf] and #buffers[buf].items or 0
end

function M.select(buf, delta)
  vim.lsp.inline_completion.select({ bufnr = buf, count = delta })
  follow(buf)
end

function M.dismiss(buf)
  mark.hide(buf)
  vim.lsp.inline_completion.get({
    bufnr = buf,
    on_accept = function() end, -- nothing is inserted; what is shown goes
  })
end

function M.ask(buf, delta)
  local here = buffers[buf]
  if here then
    here.kind, here.delta = 1, delta
    -- What makes Neovim ask; it has no function for it.
    api.nvim_exec_autocmds('CursorMovedI', { buffer = buf, modeline = false })
  end
end

return M
