-- What of an item is not in the buffer yet, and its next word and line. It draws nothing and asks nobody.
local M = {}

local api = vim.api

--- Row and byte of the cursor, from 0.
function M.cursor()
  local row, column = unpack(api.nvim_win_get_cursor(0))
  return row - 1, column
end

function M.line_at(buf, row)
  return api.nvim_buf_get_lines(buf, row, row + 1, false)[1] or ''
end

--- What right of the cursor stands in its line.
function M.right(buf)
  local row, column = M.cursor()
  return M.line_at(buf, row):sub(column + 1)
end

--- What of a text that begins at (row, byte) is not in the buffer yet; nil if something else stands there, or nothing
--- is left of it.
function M.rest(buf, first, begin, text)
  local row, column = M.cursor()
  if row < first or (row == first and column < begin) or type(text) ~= 'string' then
    return
  end
  if begin > #M.line_at(buf, first) then
    return
  end
  local typed = table.concat(api.nvim_buf_get_text(buf, first, begin, row, column, {}), '\n')
  return #typed < #text and vim.startswith(text, typed) and text:sub(#typed + 1) or nil
end

--- The next word of a text: white space, then a word or a run of signs (as the server cuts it).
function M.next_word(text)
  return text:match('^%s*[%w_\128-\255]+') or text:match('^%s*[^%w_%s\128-\255]+') or text
end

--- Its next line: up to the end of the first line that is not blank.
function M.next_line(text)
  return text:match('^%s*[^\r\n]*')
end

return M
