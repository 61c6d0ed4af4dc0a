-- Ghost text of our own, for Neovim before 0.12: requests while one types, and what is drawn of the answers.
-- It does not insert anything: `suggestion` does.
local client_of = require('vicinal.client')
local compat = require('vicinal.compat')
local mark = require('vicinal.mark')
local text = require('vicinal.text')

local M = { waits_itself = false }

local api = vim.api
local namespace = api.nvim_create_namespace('vicinal.ghost')

---@class vicinal.Offer
---@field client vim.lsp.Client
---@field items table[] as the server sent them
---@field index integer
---@field start integer[] where the items begin: row and byte, from 0
---@field right string what stood right of the cursor

---@type table<integer, { client: vim.lsp.Client, offer: vicinal.Offer?, request: integer?, generation: integer }>
local buffers = {}

--- What of an item is not in the buffer yet; nil if something else has been typed.
local function rest_of(buf, offer, item)
  if text.right(buf) ~= offer.right then
    return
  end
  return text.rest(buf, offer.start[1], offer.start[2], item.insertText)
end

local function hide(buf)
  api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  mark.hide(buf)
end

--- Virtual lines show a tab as one cell.
local function expanded(buf, shown)
  return (shown:gsub('\t', (' '):rep(vim.bo[buf].tabstop)))
end

local function draw(buf, item, rest)
  local row, column = text.cursor()
  local lines = vim.split(expanded(buf, rest), '\n', { plain = true })
  local below = vim.tbl_map(function(line)
    return { { line, 'VicinalGhost' } }
  end, vim.list_slice(lines, 2))
  api.nvim_buf_set_extmark(buf, namespace, row, column, {
    virt_text = { { lines[1], 'VicinalGhost' } },
    virt_text_pos = 'inline',
    virt_lines = #below > 0 and below or nil,
    hl_mode = 'combine',
  })
  mark.show(buf, row, item)
end

--- Draw what still fits; forget what does not.
local function refresh(buf)
  local here = buffers[buf]
  hide(buf)
  local now = M.current(buf)
  if now then
    draw(buf, now.item, now.rest)
  elseif here then
    here.offer = nil
  end
  return now
end

local function call_off(here)
  here.generation = here.generation + 1
  if here.request then
    compat.cancel(here.client, here.request)
    here.request = nil
  end
end

local function received(buf, here, right, result, delta)
  local items = client_of.items(result)
  if #items == 0 then
    here.offer = nil
    return refresh(buf)
  end
  local row, column = text.cursor()
  local start = { row, column }
  if items[1].range then
    local from = items[1].range.start
    start = { from.line, compat.byte_column(text.line_at(buf, from.line), from.character, here.client.offset_encoding) }
  end
  here.offer = { client = here.client, items = items, index = 1, start = start, right = right }
  if delta ~= 0 then
    M.select(buf, delta)
  else
    refresh(buf)
  end
  local now = M.current(buf)
  if now then
    client_of.tell_shown(here.client, now.item)
  end
end

local function request(buf, kind, delta)
  local here = buffers[buf]
  call_off(here)
  local generation = here.generation
  local right = text.right(buf)
  local params = vim.lsp.util.make_position_params(0, here.client.offset_encoding)
  params.context = { triggerKind = kind }
  local sent, id = compat.request(here.client, client_of.INLINE, params, function(problem, result)
    if here.generation ~= generation then
      return
    end
    here.request = nil
    local typing = api.nvim_get_mode().mode:sub(1, 1) == 'i' and api.nvim_get_current_buf() == buf
    if not problem and typing then
      received(buf, here, right, result, delta)
    end
  end, buf)
  here.request = sent and id or nil
end

local function typed(buf)
  refresh(buf)
  request(buf, 2, 0)
end

--- Ask while one types in a buffer.
function M.attach(client, buf)
  buffers[buf] = { client = client, generation = 0 }
  local group = api.nvim_create_augroup('vicinal.ghost.' .. buf, {})
  api.nvim_create_autocmd({ 'InsertEnter', 'CursorMovedI', 'TextChangedP' }, {
    group = group,
    buffer = buf,
    callback = function()
      typed(buf)
    end,
  })
  api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    buffer = buf,
    callback = function()
      M.dismiss(buf)
    end,
  })
  api.nvim_create_autocmd({ 'LspDetach', 'BufWipeout' }, {
    group = group,
    buffer = buf,
    callback = function(event)
      if event.event == 'BufWipeout' or event.data.client_id == client.id then
        hide(buf)
        buffers[buf] = nil
        api.nvim_del_augroup_by_id(group)
      end
    end,
  })
end

--- What stands on the screen: the item, and what of it is not in the buffer yet.
function M.current(buf)
  local here = buffers[buf]
  local offer = here and here.offer
  if not offer or api.nvim_get_current_buf() ~= buf then
    return
  end
  local item = offer.items[offer.index]
  local rest = rest_of(buf, offer, item)
  return rest and { client = here.client, item = item, rest = rest }
end

function M.count(buf)
  local here = buffers[buf]
  return here and here.offer and #here.offer.items or 0
end

--- Show another item: so many further, round and round.
function M.select(buf, delta)
  local offer = buffers[buf].offer
  if offer then
    offer.index = (offer.index + delta - 1) % #offer.items + 1
    refresh(buf)
  end
end

function M.dismiss(buf)
  local here = buffers[buf]
  if here then
    call_off(here)
    here.offer = nil
    hide(buf)
  end
end

--- Ask as one who wants an answer, with alternatives; then go so many items further.
function M.ask(buf, delta)
  if buffers[buf] then
    request(buf, 1, delta)
  end
end

return M
