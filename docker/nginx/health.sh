#!/bin/sh
# Healthy when a worker answers on the private socket.
exec curl --silent --fail --max-time 2 --output /dev/null --unix-socket /run/nginx/health.sock http://nginx/healthz
