#!/bin/sh
# Creates what compose.yaml needs: the secrets and the folder of files. It is safe to run again.
set -eu
cd "$(dirname "$0")"
umask 022
mkdir -p workspace secrets
# The user of a container has no account here and reads its secret from this file, so every user may read the files; only
# you may enter their folder.
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
