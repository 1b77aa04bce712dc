-- Neovim's own language-server client against `satchel lsp --stdio`; what it was told is written to $SATCHEL_TOLD.
local wait_ms = 60000

local function quit(message)
  io.stderr:write(message .. "\n")
  vim.cmd("cquit")
end

local buffer = vim.api.nvim_get_current_buf()
vim.bo[buffer].filetype = "markdown"
local client_id = vim.lsp.start_client({
  name = "satchel",
  cmd = vim.json.decode(vim.env.SATCHEL_COMMAND),
  root_dir = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(buffer), ":h"),
})
if client_id == nil then quit("the client did not start") end
vim.lsp.buf_attach_client(buffer, client_id)

local shown = function() return #vim.diagnostic.get(buffer) > 0 end
if not vim.wait(wait_ms, shown, 20) then quit("no diagnostics came") end

local diagnostics = {}
for _, one in ipairs(vim.diagnostic.get(buffer)) do
  table.insert(diagnostics, { line = one.lnum, column = one.col, code = one.code or one.user_data.lsp.code, source = one.source, message = one.message })
end

local hover = nil
local params = { textDocument = vim.lsp.util.make_text_document_params(), position = { line = 2, character = 6 } }
vim.lsp.buf_request(buffer, "textDocument/hover", params, function(_, result) hover = result and result.contents.value or "none" end)
if not vim.wait(wait_ms, function() return hover ~= nil end, 20) then quit("no hover came") end

vim.lsp.stop_client(client_id)
local stopped = vim.wait(wait_ms, function() return vim.lsp.get_client_by_id(client_id) == nil end, 20)
local file = io.open(vim.env.SATCHEL_TOLD, "w")
file:write(vim.json.encode({ diagnostics = diagnostics, hover = hover, stopped = stopped }))
file:close()
vim.cmd("qall!")
