#!/bin/sh
# Installs the units. Run it as root in a checkout at /opt/claude-api-server, after `make install` there.
# It is safe to run again: it overwrites only the units.
set -eu
here=$(dirname "$0")
[ "$(id -u)" -eq 0 ] || { echo "run it as root: sudo $0" >&2; exit 1; }
[ -e /opt/claude-api-server/.venv/.copied ] || { echo "put the checkout at /opt/claude-api-server and run \`make install\` there" >&2; exit 1; }

install -m 0644 "$here/sysusers.conf" /etc/sysusers.d/claude-api-server.conf
install -m 0644 "$here/tmpfiles.conf" /etc/tmpfiles.d/claude-api-server.conf
systemd-sysusers claude-api-server.conf
systemd-tmpfiles --create claude-api-server.conf
# Before any start: a unit that can't start would report it in its log only.
for service in claude-api:api.app claude-executor:executor.app tools-executor:executor.app; do
    "$here/starts.sh" "${service%:*}" /opt/claude-api-server/.venv "${service#*:}"
done
install -m 0644 "$here"/*.service "$here"/*.socket /etc/systemd/system/

secrets=/etc/claude-api-server
umask 077
[ -s "$secrets/api-secret-token" ] || openssl rand -hex 32 >"$secrets/api-secret-token"
# Put a credential in one of these two; the other stays empty.
touch "$secrets/claude-code-oauth-token" "$secrets/anthropic-api-key"

systemctl daemon-reload
systemctl enable --now claude-executor@1.socket tools-executor@1.socket claude-api.socket
systemctl enable --now claude-executor@1.service tools-executor@1.service claude-api.service
echo "The clients' key is in $secrets/api-secret-token. Put a credential in $secrets/claude-code-oauth-token or"
echo "$secrets/anthropic-api-key, then: systemctl restart claude-executor@1"
echo "To check the installation: /opt/claude-api-server/.venv/bin/claude-api-server doctor --systemd"
