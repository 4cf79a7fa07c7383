"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const KEY = "claude-api-server-key";
  document.documentElement.classList.add("scripted");
  for (const place of all(".origin")) place.textContent = location.origin;

  // A browser gives the clipboard to pages it holds for secure only; the old way works for the others.
  const copied = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  for (const button of all("button.copy")) {
    button.addEventListener("click", async () => {
      await copied(button.parentElement.querySelector("code").textContent.trimEnd());
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  }

  // What is linked to may be inside something shut.
  const reveal = () => {
    let place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();

  const links = new Map(all("nav a[href^='#']").map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-10% 0px -80% 0px" },
  );
  for (const section of all("section[id]")) seen.observe(section);

  const keys = all("input[data-key]");
  for (const input of keys) {
    input.value = sessionStorage.getItem(KEY) ?? "";
    input.addEventListener("input", () => {
      sessionStorage.setItem(KEY, input.value);
      for (const other of keys) if (other !== input) other.value = input.value;
    });
  }

  const made = (name, className, parent) => {
    const element = document.createElement(name);
    element.className = className;
    parent.append(element);
    return element;
  };

  // What a stream says, as it says it: thoughts, words and calls of each choice.
  class Said {
    constructor(root) {
      this.root = root;
      this.parts = new Map();
    }
    add(choice, kind, text) {
      const name = `${choice} ${kind}`;
      if (!this.parts.has(name)) this.parts.set(name, made("div", kind.split(" ")[0], this.root));
      this.parts.get(name).append(text);
    }
    chunk(chunk) {
      if (chunk.error) return this.add(0, "failed", chunk.error.message);
      for (const { index, delta, message, finish_reason: finish } of chunk.choices ?? []) {
        const said = delta ?? message;
        if (said.reasoning_content) this.add(index, "thought", said.reasoning_content);
        if (said.content) this.add(index, "text", said.content);
        if (said.refusal) this.add(index, "failed", said.refusal);
        for (const [number, call] of (said.tool_calls ?? []).entries()) {
          const what = call.function ?? call.custom ?? {};
          const kind = `call ${call.index ?? number}`;
          if (what.name) this.add(index, kind, `${what.name} `);
          this.add(index, kind, what.arguments ?? what.input ?? "");
        }
        if (finish && finish !== "stop") this.add(index, "ended", finish);
      }
    }
  }

  const events = async (response, on) => {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const pieces = (rest + value).split("\n\n");
      rest = pieces.pop();
      for (const piece of pieces) on(piece);
    }
  };

  const show = async (form, response, raw, said) => {
    if ((response.headers.get("content-type") ?? "").startsWith("text/event-stream")) {
      await events(response, (event) => {
        raw.append(event + "\n\n");
        if (event.startsWith("data: {")) said.chunk(JSON.parse(event.slice(6)));
      });
      return;
    }
    const text = await response.text();
    try {
      const value = JSON.parse(text);
      said.chunk(value);
      raw.textContent = JSON.stringify(value, null, 2);
    } catch {
      raw.textContent = text;
    }
    if (!said.parts.size) form.querySelector(".got").open = true;
  };

  const send = async (form) => {
    const find = (selector) => form.querySelector(selector);
    const [state, stop, button, raw] = [find(".state"), find(".stop"), find(".send"), find(".got pre")];
    const abort = new AbortController();
    stop.onclick = () => abort.abort();
    find(".result").hidden = false;
    find(".said").replaceChildren();
    find(".heads pre").textContent = raw.textContent = "";
    [state.textContent, state.className, button.disabled, stop.hidden] = ["Waiting …", "state", true, false];
    let url = form.dataset.url;
    for (const input of all("[data-path]", form)) {
      url = url.replace(`{${input.dataset.path}}`, input.value.split("/").map(encodeURIComponent).join("/"));
    }
    const began = performance.now();
    const told = (response) => `${response.status} · ${((performance.now() - began) / 1000).toFixed(2)} s`;
    try {
      const key = find("[data-key]")?.value;
      const body = find("textarea[data-body]")?.value;
      const response = await fetch(url, {
        method: form.dataset.method,
        headers: {
          ...(key ? { Authorization: `Bearer ${key}` } : {}),
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        body,
        signal: abort.signal,
        cache: "no-store",
        credentials: "omit",
      });
      state.classList.add(response.ok ? "good" : "bad");
      state.textContent = told(response);
      find(".heads pre").textContent = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      await show(form, response, raw, new Said(find(".said")));
      state.textContent = told(response);
    } catch (error) {
      state.classList.add("bad");
      state.textContent = abort.signal.aborted ? "Stopped" : `No answer: ${error.message}`;
    } finally {
      [button.disabled, stop.hidden] = [false, true];
    }
  };

  for (const form of all("form[data-url]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
    const [choice, body] = [form.querySelector("[data-examples]"), form.querySelector("textarea")];
    choice?.addEventListener("change", () => (body.value = choice.selectedOptions[0].dataset.body));
  }
})();
