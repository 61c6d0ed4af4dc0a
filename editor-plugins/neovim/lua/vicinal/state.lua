-- What the servers have told: their status, and the last answers. It shows nothing but the words for a statusline.
local M = {}

local REMEMBERED = 32
local statuses, answers, order, last = {}, {}, {}, {}
M.problem = nil ---@type string? why no server runs

local function tell(pattern)
  vim.api.nvim_exec_autocmds('User', { pattern = pattern, modeline = false })
  vim.cmd.redrawstatus()
end

--- `didChangeStatus`.
function M.status_changed(client_id, params)
  statuses[client_id] = params
  tell('VicinalStatus')
end

--- `vicinal/answer`.
function M.answered(params)
  if not answers[params.id] then
    order[#order + 1] = params.id
  end
  answers[params.id] = params
  last[vim.uri_to_bufnr(params.uri)] = params
  if #order > REMEMBERED then
    answers[table.remove(order, 1)] = nil
  end
  tell('VicinalAnswer')
end

--- The server is gone.
function M.gone(client_id)
  statuses[client_id] = nil
  tell('VicinalStatus')
end

--- An answer that was told, by its id.
function M.answer(id)
  return answers[id]
end

--- The last answer of a buffer, shown or not.
function M.last(buf)
  return last[buf]
end

--- What a server said last of how it is.
function M.status_of(client_id)
  return statuses[client_id]
end

--- One short text: what the server is about, else how sure the last answer was.
function M.statusline(buf)
  if M.problem then
    return 'Vicinal: ' .. M.problem
  end
  local client = vim.lsp.get_clients({ name = 'vicinal', bufnr = buf })[1]
  local status = client and statuses[client.id]
  if not status then
    return ''
  end
  if status.kind ~= 'Normal' or status.message ~= 'ready' then
    return 'Vicinal: ' .. status.message
  end
  return last[buf] and ('Vicinal %.0f%%'):format(last[buf].confidence * 100) or 'Vicinal'
end

return M
