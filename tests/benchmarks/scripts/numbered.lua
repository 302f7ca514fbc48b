-- Another target for each request.
local number = 0
request = function()
    number = number + 1
    return wrk.format("GET", "/number999/" .. number)
end
