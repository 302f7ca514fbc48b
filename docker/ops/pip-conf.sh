#!/bin/sh
# Print this machine's pip settings as one pip.conf, for a build secret. Where packages come from is the machine's business:
# nothing of it may stand in a file of the repository or in an image.
set -eu

# pip's own order: the machine's file, the user's, the named one, the environment; the last one wins.
{
    for file in /etc/pip.conf "${HOME:-/root}/.pip/pip.conf" "${HOME:-/root}/.config/pip/pip.conf" "${PIP_CONFIG_FILE:-}"; do
        [ ! -f "$file" ] || { cat "$file"; echo; }
    done
    echo "[global]"
    env | sed -n 's/^PIP_\([A-Z_]*\)=/\1 = /p' | while read -r name value; do
        printf '%s %s\n' "$(printf '%s' "$name" | tr 'A-Z_' 'a-z-')" "$value"
    done
} | awk '
    /^[ \t]*([#;]|$)/ { next }
    /^\[/ { in_use = /^\[(global|install|download)\]/; next }
    !in_use { next }
    /^[ \t]/ { value[key] = value[key] "\n" $0; next }
    {
        key = $0; sub(/[ \t]*[=:].*/, "", key)
        rest = $0; sub(/^[^=:]*[=:][ \t]*/, "", rest)
        value[key] = rest
    }
    END {
        print "[global]"
        # Paths of this machine mean nothing inside a build; the certificates come as a secret of their own.
        for (key in value) if (key !~ /^(cert|client-cert|cache-dir|config-file|log|target|prefix|root|user)$/) print key " = " value[key]
    }'
