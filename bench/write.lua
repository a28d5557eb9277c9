-- One write a request, each under a key of its own. Arguments: "whole" waits for the verdict,
-- "accept" does not, "repeat" sends the same key again and again. NODES ("host:port host:port") gives
-- each thread a server of its own, in turn, instead of the URL's.
local thread_count = 0
local addresses = {}
for host, port in string.gmatch(os.getenv("NODES") or "", "(%S+):(%d+)") do
  table.insert(addresses, { name = host .. ":" .. port, at = wrk.lookup(host, port)[1] })
end

function setup(thread)
  thread:set("number", thread_count)
  if #addresses > 0 then
    local address = addresses[thread_count % #addresses + 1]
    thread.addr = address.at
    thread:set("host", address.name)  -- a server answers to its own name alone
  end
  thread_count = thread_count + 1
end

function init(args)
  mode = args[1]
  count = 0
  stamp = args[2]
end

function request()
  count = count + 1
  local key = mode == "repeat" and ("repeat-" .. number .. "-" .. (count % 16))
    or (stamp .. "-" .. number .. "-" .. count)
  local artifact = mode == "repeat" and key or (number .. "/" .. (count % 4096))
  local content = mode == "repeat" and "same" or (key .. string.rep("x", 200))
  local body = '{"type":"write","key":"' .. key .. '","input":{"target":"bench","artifacts":[{"path":"'
    .. artifact .. '","content":"' .. content .. '"}]}}'
  local headers = { ["Content-Type"] = "application/json" }
  if host then headers["Host"] = host end
  if mode ~= "accept" then headers["Prefer"] = "wait=30" end
  return wrk.format("POST", "/v1/operations", headers, body)
end

failed = 0
function response(status)
  if status >= 300 then failed = failed + 1 end
end
