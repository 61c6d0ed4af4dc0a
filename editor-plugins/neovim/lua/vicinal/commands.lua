-- `:Vicinal` and what its words do. It does not know how the server finds what it says.
local client_of = require('vicinal.client')
local state = require('vicinal.state')

local M = {}

local function say(lines)
  vim.api.nvim_echo(lines, true, {})
end

local function show_status(result)
  local daemon = result.daemon
  local lines = { { 'Vicinal: ' .. result.status.message } }
  local function add(text, group)
    lines[#lines + 1] = { '\n' .. text, group }
  end
  if result.status.hint ~= '' then
    add(result.status.hint, 'WarningMsg')
  end
  add(('model %s, %s; %d adapters'):format(daemon.model.name, daemon.model.state, daemon.adapters))
  for _, workspace in ipairs(daemon.workspaces) do
    add(('%s: %s, %d chunks'):format(workspace.root, workspace.state, workspace.chunks))
  end
  if not result.enabled then
    add('completions are off (settings.enabled)')
  elseif not result.automatic then
    add('automatic completions are off; :Vicinal toggle turns them on')
  end
  say(lines)
end

local function show_findings(findings)
  local items = vim.tbl_map(function(finding)
    return {
      filename = vim.fs.joinpath(findings.repository, finding.path),
      lnum = finding.start_line,
      end_lnum = finding.end_line,
      text = ('%.0f%% %s'):format(finding.share * 100, finding.symbol ~= '' and finding.symbol or vim.trim(finding.header)),
    }
  end, findings.findings)
  vim.fn.setqflist({}, ' ', { title = 'Vicinal: ' .. findings.question, items = items })
  if #items == 0 then
    vim.notify('Vicinal: nothing was found', vim.log.levels.INFO)
  else
    vim.cmd.copen()
  end
end

local function query(buf, words)
  local function ask(text)
    if text and vim.trim(text) ~= '' then
      local client = client_of.of(buf)
      client_of.execute(buf, 'vicinal.query', { text, client and client.root_dir or nil }, show_findings)
    end
  end
  if #words > 0 then
    ask(table.concat(words, ' '))
  else
    vim.ui.input({ prompt = 'What are you looking for? ' }, ask)
  end
end

local function toggle(buf, words)
  client_of.execute(buf, 'vicinal.toggle', { words[1] }, function(result)
    local text = result.automatic and 'automatic completions are on' or 'automatic completions are off'
    if words[1] then
      text = ('completions in %s are %s'):format(words[1], result.languages[words[1]] and 'on' or 'off')
    end
    vim.notify('Vicinal: ' .. text, vim.log.levels.INFO)
  end)
end

M.words = {
  status = function(buf)
    if state.problem then
      vim.notify('Vicinal: ' .. state.problem .. '; :checkhealth vicinal says more', vim.log.levels.WARN)
      return
    end
    client_of.execute(buf, 'vicinal.status', nil, show_status)
  end,
  explain = function(buf)
    local last = state.last(buf)
    client_of.execute(buf, 'vicinal.explain', last and last.shown == 'yes' and { { id = last.id } } or nil, function(answer)
      if answer then
        require('vicinal.explain').open(answer)
      end
    end)
  end,
  toggle = toggle,
  query = query,
  exclude = function(buf)
    client_of.execute(buf, 'vicinal.excludeFile', { vim.uri_from_bufnr(buf) }, function(line)
      vim.notify(('Vicinal: %s stands in .vicinalignore now'):format(line), vim.log.levels.INFO)
    end)
  end,
  restart = function(buf)
    client_of.execute(buf, 'vicinal.restartDaemon', nil, function() end)
  end,
}

local function complete(lead, line)
  local known = vim.fn.sort(vim.tbl_keys(M.words))
  if line:match('^%s*%S+%s+%S+%s') then
    known = line:match('%stoggle%s') and { vim.bo.filetype } or {}
  end
  return vim.tbl_filter(function(word)
    return vim.startswith(word, lead)
  end, known)
end

function M.define()
  vim.api.nvim_create_user_command('Vicinal', function(call)
    local word = call.fargs[1] or 'status'
    local action = M.words[word]
    if not action then
      local known = table.concat(vim.fn.sort(vim.tbl_keys(M.words)), ', ')
      vim.notify(('Vicinal: there is no :Vicinal %s; there are %s'):format(word, known), vim.log.levels.ERROR)
      return
    end
    action(vim.api.nvim_get_current_buf(), vim.list_slice(call.fargs, 2))
  end, { nargs = '*', complete = complete, desc = 'Vicinal: status, explain, toggle, query, exclude, restart' })
end

return M
