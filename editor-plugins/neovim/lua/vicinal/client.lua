-- The language server of a buffer: started, told of the user's settings, heard. It does not know what is drawn.
local config = require('vicinal.config')
local compat = require('vicinal.compat')
local state = require('vicinal.state')

local M = {}

M.INLINE = 'textDocument/inlineCompletion'
local said = {}

--- Tell the user something, once.
local function say_once(message, level)
  if not said[message] then
    said[message] = true
    vim.schedule(function()
      vim.notify('Vicinal: ' .. message, level)
    end)
  end
end

--- Our client in a buffer.
function M.of(buf)
  return vim.lsp.get_clients({ name = 'vicinal', bufnr = buf })[1]
end

--- Who draws the ghost text here.
function M.view()
  if config.get().view == 'auto' and compat.draws_inline() then
    return require('vicinal.native')
  end
  return require('vicinal.ghost')
end

local function wanted(buf)
  if vim.bo[buf].buftype ~= '' or vim.api.nvim_buf_get_name(buf) == '' or not vim.bo[buf].modifiable then
    return false
  end
  local filetypes = config.get().filetypes
  local here = filetypes[vim.bo[buf].filetype]
  if here == nil then
    here = filetypes['*']
  end
  return here ~= false
end

local function capabilities()
  local own = vim.lsp.protocol.make_client_capabilities()
  own.textDocument.inlineCompletion = { dynamicRegistration = false }
  -- The evidence has a window of its own (`:Vicinal explain`): the cursor stays where it is.
  own.window.showDocument = { support = false }
  return own
end

local handlers = {
  ['didChangeStatus'] = function(_, params, context)
    state.status_changed(context.client_id, params)
  end,
  ['vicinal/answer'] = function(_, params)
    state.answered(params)
  end,
}

local function server_settings(view)
  local settings = vim.deepcopy(config.get().settings)
  if settings.debounceMs == nil and view.waits_itself then
    settings.debounceMs = 0
  end
  return next(settings) and settings or vim.empty_dict()
end

local function on_exit(code, _, client_id)
  vim.schedule(function()
    state.gone(client_id)
    if code ~= 0 then
      state.problem = 'the language server has ended'
      say_once(('the language server has ended with status %d; :checkhealth vicinal says more'):format(code), vim.log.levels.ERROR)
    end
  end)
end

--- Start Vicinal in a buffer, if it is for this kind of buffer and nothing keeps it from it.
function M.attach(buf)
  if not wanted(buf) or M.of(buf) then
    return
  end
  local problems = config.problems()
  if #problems > 0 then
    say_once('settings: ' .. table.concat(problems, '; '), vim.log.levels.WARN)
  end
  local settings = config.get()
  local command = settings.cmd[1]
  if vim.fn.executable(command) == 0 then
    state.problem = command .. ' is not found'
    say_once(
      ("the command '%s' is not found. Install it (`uv tool install vicinal`, or pipx), or name it: "):format(command)
        .. "vim.g.vicinal = { cmd = { '/path/to/vicinal', 'lsp' } }",
      vim.log.levels.WARN
    )
    return
  end
  state.problem = nil
  local view = M.view()
  local own = server_settings(view)
  vim.lsp.start({
    name = 'vicinal',
    cmd = settings.cmd,
    root_dir = vim.fs.root(buf, settings.root_markers),
    capabilities = capabilities(),
    init_options = own,
    settings = { vicinal = own },
    handlers = handlers,
    on_exit = on_exit,
    on_attach = function(client, attached)
      view.attach(client, attached)
      require('vicinal.keys').define()
    end,
  }, { bufnr = buf })
end

--- Run a command of the server. The handler is given its result; what went wrong is told.
function M.execute(buf, command, arguments, handler)
  local client = M.of(buf) or vim.lsp.get_clients({ name = 'vicinal' })[1]
  if not client then
    vim.notify('Vicinal: no language server runs; :checkhealth vicinal says why', vim.log.levels.WARN)
    return
  end
  compat.request(client, 'workspace/executeCommand', { command = command, arguments = arguments }, function(problem, result)
    if problem then
      vim.notify('Vicinal: ' .. problem.message, vim.log.levels.WARN)
    elseif handler then
      handler(result ~= vim.NIL and result or nil)
    end
  end, buf)
end

--- Tell the server that an item stands on the screen, or that so much of it was taken.
function M.tell_shown(client, item)
  compat.notify(client, 'textDocument/didShowCompletion', { item = item })
end

function M.tell_partly(buf, client, item, taken)
  if vim.bo[buf].fileformat == 'dos' then
    taken = taken:gsub('\n', '\r\n')
  end
  local length = compat.utf16_length(taken)
  compat.notify(client, 'textDocument/didPartiallyAcceptCompletion', { item = item, acceptedLength = length })
end

--- The items of an answer, with line ends as they are inside of Neovim.
function M.items(result)
  local items = result and (result.items or result) or {}
  for _, item in ipairs(items) do
    if type(item.insertText) == 'string' then
      item.insertText = item.insertText:gsub('\r\n?', '\n')
    end
  end
  return items
end

return M
