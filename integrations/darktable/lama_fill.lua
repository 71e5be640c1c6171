--[[
darktable: "remove with lama-server" as a target of the export module.

Export a photo and a mask of it together, as TIFF of 16 or 32 bits. The mask is a duplicate of the photo that carries the
tag lama-server|mask and shows white where something is to go, black elsewhere; as a duplicate it has the photo's crop,
rotation and lens correction. What comes back is saved beside the photo, imported, and grouped with it.

Install: this file goes into the folder lua of darktable's configuration, and the line  require "lama_fill"  into its
luarc. It needs curl, which Linux, macOS and Windows have.
]]

local dt = require "darktable"

local MASK_TAG = "lama-server|mask"
local MODULE = "lama_server"

local function setting(name)
  return dt.preferences.read(MODULE, name, "string")
end

-- A value in a file of options for curl; paths and words never pass through a shell.
local function quoted(value)
  return '"' .. value:gsub("\\", "\\\\"):gsub('"', '\\"') .. '"'
end

local function is_mask(image)
  for _, tag in ipairs(image:get_tags()) do
    if tag.name == MASK_TAG then return true end
  end
  return false
end

-- What duplicates of one photo have in common.
local function original(image)
  return image.path .. "/" .. image.filename
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- A name beside the photo that no file has yet.
local function free_name(image)
  local start = image.path .. "/" .. image.filename:gsub("%.[^.]*$", "") .. "_lama"
  local path, number = start .. ".tif", 1
  while exists(path) do
    path = string.format("%s_%d.tif", start, number)
    number = number + 1
  end
  return path
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read("a")
  file:close()
  return text
end

-- The part of a form that sends a file. curl reads the name between the quotes with backslashes of its own.
local function form_file(name, path)
  return "form = " .. quoted(name .. '=@"' .. path:gsub("\\", "\\\\"):gsub('"', '\\"') .. '"')
end

-- Sends both files; returns nil, or why there is no result.
local function request(photo, mask, result)
  local lines = {
    "url = " .. quoted(setting("server"):gsub("/+$", "") .. "/api/v1/inpaint?format=tiff"),
    form_file("image", photo),
    form_file("mask", mask),
    "output = " .. quoted(result),
    "silent", "show-error", "fail-with-body",
  }
  if setting("model") ~= "" then
    lines[#lines + 1] = "form-string = " .. quoted('params={"model": ' .. quoted(setting("model")) .. "}")
  end
  if setting("token") ~= "" then
    lines[#lines + 1] = "header = " .. quoted("Authorization: Bearer " .. setting("token"))
  end
  local options = os.tmpname()
  write(options, table.concat(lines, "\n") .. "\n")
  local failed = dt.control.execute('curl --config "' .. options .. '"') ~= 0
  os.remove(options)
  if not failed then return nil end
  local told = read(result):match('"detail": ?"(.-[^\\])"')
  return told and told:gsub('\\"', '"') or ("there is no lama-server at " .. setting("server"))
end

-- Fills one photo and imports the result; returns why not, if not.
local function fill(image, photo, mask)
  local answer = photo .. ".lama.tif"
  local problem = request(photo, mask, answer)
  if problem then
    os.remove(answer)
    return problem
  end
  local target = free_name(image)
  write(target, read(answer))
  os.remove(answer)
  local made = dt.database.import(target)
  made:group_with(image)
  made.rating = image.rating
  return nil
end

-- darktable calls this for each exported file; all are needed before the first can be sent.
local function store(storage, image, format, filename, number, total, high_quality, extra)
  dt.print(string.format("exported %d of %d for lama-server", number, total))
end

local function finalize(storage, exported, extra)
  local masks, done, problems = {}, 0, {}
  for image, path in pairs(exported) do
    if is_mask(image) then masks[original(image)] = path end
  end
  for image, path in pairs(exported) do
    if not is_mask(image) then
      local mask = masks[original(image)]
      local problem = mask and fill(image, path, mask)
        or not mask and "no duplicate with the tag " .. MASK_TAG .. " was exported with it"
      if problem then
        problems[#problems + 1] = image.filename .. ": " .. problem
      else
        done = done + 1
      end
    end
  end
  for _, path in pairs(exported) do os.remove(path) end
  dt.print(string.format("lama-server: %d photos filled. %s", done, table.concat(problems, "; ")))
  for _, problem in ipairs(problems) do dt.print_error("lama-server: " .. problem) end
end

local function supported(storage, format)
  return format.extension == "tif" or format.extension == "tiff"
end

local function asked(name, label, help, usual)
  dt.preferences.register(MODULE, name, "string", "lama-server: " .. label, help, usual)
end

asked("server", "address", "Where the server listens", "http://127.0.0.1:8080")
asked("token", "token", "Where the server asks for one", "")
asked("model", "model", "Empty: the server's own choice", "")

dt.register_storage(MODULE, "remove with lama-server", store, finalize, supported)

return { destroy = function() dt.destroy_storage(MODULE) end }
