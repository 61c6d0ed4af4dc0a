-- Starts Vicinal in every buffer that holds a file. Settings: `vim.g.vicinal`, see `:help vicinal`.
if vim.g.loaded_vicinal then
  return
end
vim.g.loaded_vicinal = true

if vim.fn.has('nvim-0.10') == 0 then
  vim.notify('Vicinal needs Neovim 0.10 or newer', vim.log.levels.ERROR)
  return
end
require('vicinal').begin()
