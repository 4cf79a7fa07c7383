#!/bin/sh
# Makes what compose.yaml needs beside it: the secrets and the folder of files. Twice is as good as once.
set -eu
cd "$(dirname "$0")"
umask 022
mkdir -p workspace secrets
# A container's user is nobody here, and its secret is this very file: so each may be read, and the folder entered by you alone.
chmod 700 secrets
for name in api-secret-token grafana-admin-password; do
    [ -s "secrets/$name" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$name"
done
touch secrets/claude-code-oauth-token secrets/anthropic-api-key
chmod 444 secrets/api-secret-token secrets/grafana-admin-password
chmod 644 secrets/claude-code-oauth-token secrets/anthropic-api-key
echo "The clients' key is in $(pwd)/secrets/api-secret-token."
echo "Put a credential in secrets/claude-code-oauth-token or secrets/anthropic-api-key; without one the offline model answers."
echo "Then: docker compose up"
