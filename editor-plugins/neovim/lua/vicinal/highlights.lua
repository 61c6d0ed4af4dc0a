-- Highlight groups, each with a link that a colour scheme may replace.
local M = {}

M.links = {
  VicinalGhost = 'NonText',
  VicinalSure = 'DiagnosticOk',
  VicinalUnsure = 'DiagnosticWarn',
  VicinalGuess = 'DiagnosticError',
}

function M.define()
  for name, link in pairs(M.links) do
    vim.api.nvim_set_hl(0, name, { default = true, link = link })
  end
end

--- The group for a probability.
function M.of(confidence)
  return confidence >= 0.66 and 'VicinalSure' or confidence >= 0.33 and 'VicinalUnsure' or 'VicinalGuess'
end

return M
