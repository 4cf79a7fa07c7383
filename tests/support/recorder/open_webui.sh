# Open WebUI, started as the manual has it, then asked what its pages ask: a chat, and a title for it.
open-webui() { command open-webui "$@" >webui.log 2>&1 & server=$!; }
export DATA_DIR=$PWD/data WEBUI_AUTH=False WEBUI_SECRET_KEY=any OFFLINE_MODE=True HF_HUB_OFFLINE=1 RAG_EMBEDDING_ENGINE=openai
. ./example.sh
trap 'kill $server; wait $server || true' EXIT
here=http://127.0.0.1:8080
for _ in $(seq 400); do curl -sf $here/health >/dev/null && break; sleep 1; done
curl -sf $here/health >/dev/null || { tail -50 webui.log; exit 1; }
token=$(curl -s $here/api/v1/auths/signin -H "Content-Type: application/json" -d '{"email": "", "password": ""}' |
  python -c "import json, sys; print(json.load(sys.stdin)['token'])")
ask() { curl -sS "$here$1" -H "Authorization: Bearer $token" -H "Content-Type: application/json" "${@:2}"; echo; }
ask /api/models | head -c 300
messages='[{"role": "user", "content": "Hello!"}]'
ask /api/chat/completions -N -d '{"model": "sonnet", "stream": true, "messages": '"$messages"'}'
ask /api/v1/tasks/title/completions -d '{"model": "sonnet", "messages": '"$messages"', "chat_id": "local:any"}'
