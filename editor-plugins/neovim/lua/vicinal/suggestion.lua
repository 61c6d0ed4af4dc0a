-- What one does with ghost text: take it, a word or a line of it, look at another one, send it away, ask for it.
-- It inserts, and tells the server what was taken. It does not know who draws.
local client_of = require('vicinal.client')
local text = require('vicinal.text')

local M = {}

local api = vim.api

local function insert(piece)
  vim.cmd('let &g:undolevels = &g:undolevels') -- an undo of its own
  local row, column = unpack(api.nvim_win_get_cursor(0))
  local lines = vim.split(piece, '\n', { plain = true })
  api.nvim_buf_set_text(0, row - 1, column, row - 1, column, lines)
  local last = #lines[#lines]
  api.nvim_win_set_cursor(0, { row + #lines - 1, #lines == 1 and column + last or last })
end

local function take(cut)
  local buf = api.nvim_get_current_buf()
  local view = client_of.view()
  local now = view.current(buf)
  if not now then
    return
  end
  local piece = cut(now.rest)
  if piece == now.rest then
    view.dismiss(buf)
    insert(piece)
    if now.item.command then
      client_of.execute(buf, now.item.command.command, now.item.command.arguments)
    end
  else
    insert(piece)
    local whole = now.item.insertText
    client_of.tell_partly(buf, now.client, now.item, whole:sub(1, #whole - #now.rest + #piece))
  end
end

function M.accept()
  take(function(rest)
    return rest
  end)
end

function M.accept_word()
  take(text.next_word)
end

function M.accept_line()
  take(text.next_line)
end

--- Another text for the same place; they are asked for if there are none yet.
local function turn(delta)
  local buf = api.nvim_get_current_buf()
  local view = client_of.view()
  if view.count(buf) > 1 then
    view.select(buf, delta)
  else
    view.ask(buf, delta)
  end
end

function M.next()
  turn(1)
end

function M.previous()
  turn(-1)
end

function M.dismiss()
  client_of.view().dismiss(api.nvim_get_current_buf())
end

--- Ask for a completion here, whatever the settings say of automatic ones.
function M.suggest()
  client_of.view().ask(api.nvim_get_current_buf(), 0)
end

function M.visible()
  return client_of.view().current(api.nvim_get_current_buf()) ~= nil
end

return M
