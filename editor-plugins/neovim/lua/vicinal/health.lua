-- `:checkhealth vicinal`: is everything here that is needed, and what to do about what is not.
local M = {}

local DOCTOR_MS = 120000

local function editor(health)
  health.start('Neovim')
  if vim.fn.has('nvim-0.10') == 0 then
    health.error('Neovim is older than 0.10', 'Install a newer one.')
    return
  end
  local own = require('vicinal.client').view() == require('vicinal.ghost')
  health.ok(('Neovim %s; ghost text is drawn by %s'):format(tostring(vim.version()), own and 'this plugin' or 'Neovim itself'))
  local problems = require('vicinal.config').problems()
  for _, problem in ipairs(problems) do
    health.error('settings: ' .. problem, ':help vicinal-settings')
  end
  for name, key in pairs(require('vicinal.config').get().keys) do
    local mapping = key and vim.fn.maparg(key, 'i', false, true) or {}
    if key and next(mapping) and not vim.startswith(mapping.desc or '', 'Vicinal: ') and next(vim.lsp.get_clients({ name = 'vicinal' })) then
      health.warn(
        ('keys.%s: %s is mapped by something else (%s)'):format(name, key, mapping.desc or mapping.rhs or 'a function'),
        ("Choose another key, or call require('vicinal').%s() in that mapping."):format(name)
      )
    end
  end
end

local function command(health)
  health.start('The command')
  local cmd = require('vicinal.config').get().cmd[1]
  if vim.fn.executable(cmd) == 0 then
    health.error(("'%s' is not found"):format(cmd), {
      'Install it: `uv tool install vicinal`, or `pipx install vicinal`.',
      "Or say where it is: vim.g.vicinal = { cmd = { '/path/to/vicinal', 'lsp' } }",
    })
    return
  end
  health.ok(vim.fn.exepath(cmd))
  if vim.fs.basename(cmd):gsub('%.exe$', '') ~= 'vicinal' then
    health.info('it is not called vicinal: `vicinal doctor` was not asked')
    return
  end
  local ran, done = pcall(function()
    return vim.system({ cmd, 'doctor', '--json' }, { text = true, timeout = DOCTOR_MS }):wait()
  end)
  local read, checks = pcall(vim.json.decode, ran and done.stdout or '')
  if not read or type(checks) ~= 'table' then
    health.error('`vicinal doctor` does not answer', ran and vim.split(vim.trim(done.stderr or ''), '\n') or { tostring(done) })
    return
  end
  local tell = { ok = health.ok, warn = health.warn, fail = health.error }
  for _, check in ipairs(checks) do
    local advice = check.remedy ~= '' and { check.remedy } or nil;
    (tell[check.status] or health.info)(('%s: %s'):format(check.name, check.detail), advice)
  end
end

local function server(health)
  health.start('The language server')
  local clients = vim.lsp.get_clients({ name = 'vicinal' })
  if #clients == 0 then
    health.info('none runs; one is started with the first file')
  end
  for _, client in ipairs(clients) do
    local status = require('vicinal.state').status_of(client.id) or { kind = 'InProgress', message = 'it has said nothing yet', hint = '' }
    local tell = status.kind == 'Error' and health.error or status.kind == 'Warning' and health.warn or health.ok
    local hint = status.hint ~= '' and { status.hint } or nil
    tell(('%s: %s'):format(client.root_dir or 'no repository', status.message), status.kind ~= 'Normal' and hint or nil)
  end
end

function M.check()
  editor(vim.health)
  command(vim.health)
  server(vim.health)
end

return M
