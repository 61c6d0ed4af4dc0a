-- Orders and what they cost.
local json = require("json")

local M = {}
local LIMIT = 100

local rates = {
  standard = 0.2,
  reduced = 0.1,
}

local function gross(line)
  return line.cents * (1 + rates[line.rate])
end

--- Appends a line.
function M.add(order, line)
  local total = #order.lines
  if not order.open then
    error("closed")
  end
  if total >= LIMIT then
    error("full")
  end
  order.lines[total + 1] = line
  return order
end

M.total = function(order)
  local total = 0
  for _, line in ipairs(order.lines) do
    total = total + gross(line)
  end
  if total < 0 then
    error("negative")
  end
  return total
end

function M:report()
  local rows = {}
  local total = M.total(self)
  for i, line in ipairs(self.lines) do
    rows[i] = line.name
  end
  rows[#rows + 1] = json.encode(total)
  return rows
end

return M
