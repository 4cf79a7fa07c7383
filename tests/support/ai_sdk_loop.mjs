// The AI SDK's own loop, by the provider and the way that the arguments name.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [name, way] = process.argv.slice(2);
const conversations = [];
const at = {
  baseURL: `${process.env.URL}/v1`,
  apiKey: process.env.KEY,
  fetch: async (...request) => {
    const response = await fetch(...request);
    conversations.push(response.headers.get("x-conversation"));
    return response;
  },
};
const model = {
  responses: () => createOpenAI(at)("sonnet"),
  chat: () => createOpenAI(at).chat("sonnet"),
  compatible: () => createOpenAICompatible({ ...at, name: "claude" })("sonnet"),
  messages: () => createAnthropic(at)("sonnet"),
}[name]();
const get_weather = tool({
  description: "Tells the weather of a city.",
  inputSchema: z.object({ city: z.string(), days: z.number().int() }),
  execute: async ({ city, days }) => `${city}: sunny for ${days} days`,
});
const options = {
  model, tools: { get_weather }, stopWhen: stepCountIs(10), system: "You know the weather.", prompt: "What is the weather?",
};
const text = way === "stream" ? await streamText(options).text : (await generateText(options)).text;
console.log(JSON.stringify({ text, conversations }));
