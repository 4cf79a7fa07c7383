// The AI SDK's other ways: chat completions and Messages, streamed; objects by each of the three.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const at = { baseURL: `${process.env.URL}/v1`, apiKey: process.env.KEY };
const openai = createOpenAI(at);
const models = [
  openai("sonnet"),
  openai.chat("gpt-4o"),
  createOpenAICompatible({ ...at, name: "claude", includeUsage: true, supportsStructuredOutputs: true })("sonnet"),
  createAnthropic(at)("sonnet"),
  createAnthropic(at)("claude-sonnet-4-5"),
];
const weather = tool({
  description: "The weather in a city, now.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Rain in ${city}, 7 °C.`,
});
for (const model of models) {
  const { textStream } = streamText({
    model, tools: { weather }, stopWhen: stepCountIs(5), system: "Be brief.", prompt: "What is the weather in Oslo?",
  });
  for await (const text of textStream) process.stdout.write(text);
  const { object } = await generateObject({ model, schema: z.object({ city: z.string() }), prompt: "Which city?" });
  if (object.city !== "Oslo") throw new Error(JSON.stringify(object));
}
