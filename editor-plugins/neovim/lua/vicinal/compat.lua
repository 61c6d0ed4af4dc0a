-- What differs between Neovim 0.10, 0.11 and 0.12, and nothing else.
local M = {}

local methods = vim.fn.has('nvim-0.11') == 1 -- a client's functions became methods

local function call(client, name, ...)
  if methods then
    return client[name](client, ...)
  end
  return client[name](...)
end

function M.request(client, method, params, handler, buf)
  return call(client, 'request', method, params, handler, buf)
end

function M.notify(client, method, params)
  return call(client, 'notify', method, params)
end

function M.cancel(client, request)
  return call(client, 'cancel_request', request)
end

--- The byte that a column in the client's units is, in a line.
function M.byte_column(line, character, encoding)
  if encoding == 'utf-8' then
    return math.min(character, #line)
  end
  if methods then
    return vim.str_byteindex(line, encoding, character, false)
  end
  local ok, byte = pcall(vim.str_byteindex, line, character, encoding == 'utf-16')
  return ok and byte or #line
end

--- A text's length as LSP counts where nothing else is said.
function M.utf16_length(text)
  if methods then
    return vim.str_utfindex(text, 'utf-16')
  end
  local _, length = vim.str_utfindex(text)
  return length
end

--- Whether Neovim draws inline completions by itself.
function M.draws_inline()
  return vim.lsp.inline_completion ~= nil
end

return M
