-- The quiet mark behind the ghost text: how sure the model is. It does not know who draws the text itself.
local config = require('vicinal.config')
local highlights = require('vicinal.highlights')
local state = require('vicinal.state')

local M = {}

local namespace = vim.api.nvim_create_namespace('vicinal.mark')

--- What the item's command says of it.
local function argument(item)
  return item.command and item.command.arguments and item.command.arguments[1] or {}
end

local function words(item)
  local said = argument(item)
  local text = ('%.0f%%'):format(said.confidence * 100)
  local answer = config.get().confidence == 'full' and state.answer(said.id)
  if not answer then
    return text
  end
  local steps = answer.adaptation.steps
  text = text .. ' · ' .. answer.adaptation.kind .. (steps > 0 and (' after %d steps'):format(steps) or '')
  local first = answer.evidence[1]
  return first and text .. ' · ' .. first.path or text
end

function M.hide(buf)
  if vim.api.nvim_buf_is_valid(buf) then
    vim.api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  end
end

--- Show how sure the model is of an item, at the end of a line (0-based).
function M.show(buf, row, item)
  M.hide(buf)
  local confidence = argument(item).confidence
  if config.get().confidence == 'off' or not confidence then
    return
  end
  vim.api.nvim_buf_set_extmark(buf, namespace, row, 0, {
    virt_text = { { words(item), highlights.of(confidence) } },
    virt_text_pos = 'eol',
    hl_mode = 'combine',
  })
end

return M
