-- POST the file that the argument names.
init = function(args)
    local file = io.open(args[1], "rb")
    wrk.method = "POST"
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = "application/octet-stream"
    file:close()
end
