-- The window of `:Vicinal explain`: why this suggestion, how sure, and the code it rests on, a key away.
local M = {}

local api = vim.api

--- Lines of Markdown, and which line stands for which piece of evidence.
local function page(answer)
  local lines = vim.split(answer.markdown, '\n', { plain = true })
  local places = {}
  local from = 1
  for number, line in ipairs(lines) do
    local piece = answer.evidence[from]
    if piece and vim.startswith(line, '- ' .. piece.path .. ':') then
      places[number] = piece
      from = from + 1
    end
  end
  if answer.shown ~= 'yes' then
    table.insert(lines, 'Not shown: ' .. answer.shown)
  end
  return lines, places
end

local function jump(piece, from)
  if api.nvim_win_is_valid(from) then
    api.nvim_set_current_win(from)
  end
  vim.cmd("normal! m'")
  vim.cmd.edit(vim.fn.fnameescape(vim.uri_to_fname(piece.uri)))
  api.nvim_win_set_cursor(0, { math.min(piece.range.start.line + 1, api.nvim_buf_line_count(0)), 0 })
end

--- Show what `vicinal.explain` returned.
function M.open(answer)
  local lines, places = page(answer)
  local from = api.nvim_get_current_win()
  local buf = api.nvim_create_buf(false, true)
  api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].modifiable = false
  vim.cmd.stopinsert()
  vim.cmd(('botright %dsplit'):format(math.min(#lines, math.floor(vim.o.lines / 2))))
  api.nvim_win_set_buf(0, buf)
  vim.bo[buf].filetype = 'markdown'
  vim.wo.statusline = ' Why this suggestion?  <CR> opens the code, q closes'
  vim.wo.number, vim.wo.relativenumber, vim.wo.wrap = false, false, true
  local function map(key, action)
    vim.keymap.set('n', key, action, { buffer = buf, nowait = true })
  end
  map('q', '<Cmd>close<CR>')
  map('<CR>', function()
    local piece = places[api.nvim_win_get_cursor(0)[1]]
    if piece then
      jump(piece, from)
    end
  end)
end

return M
