-- What one does with ghost text: take it, a word or a line of it, look at another one, send it away, ask for it.
-- It inserts, and tells the server what was taken. It does not know who draws.
local client_of = require('vicinal.client')

local M = {}

local api = vim.api

--- What the next word of a text is: white space, then a word or a run of signs (as the server cuts it).
function M.next_word(text)
  return text:match('^%s*[%w_\128-\255]+') or text:match('^%s*[^%w_%s\128-\255]+') or text
end

--- What its next line is: up to the end of the first line that is not blank.
function M.next_line(text)
  return text:match('^%s*[^\r\n]*')
end

local function insert(text)
  vim.cmd('let &g:undolevels = &g:undolevels') -- an undo of its own
  local row, column = unpack(api.nvim_win_get_cursor(0))
  local lines = vim.split(text, '\n', { plain = true })
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
    local text = now.item.insertText
    client_of.tell_partly(buf, now.client, now.item, text:sub(1, #text - #now.rest + #piece))
  end
end

function M.accept()
  take(function(rest)
    return rest
  end)
end

function M.accept_word()
  take(M.next_word)
end

function M.accept_line()
  take(M.next_line)
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
