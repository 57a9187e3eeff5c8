// What every provider of the AI SDK does in the tests: `provider` is what its guide made.
// node MODULE text|stream|object QUESTION NAME [chat]

import { Output, generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";

const [kind, question, name, door] = process.argv.slice(2);
const model = door === "chat" ? provider.chat(name) : provider(name);
const city = z.object({ city: z.string() });
const weather = { Paris: "18 °C", Lyon: "21 °C" };
const tools = {
  weather: tool({
    description: "The weather.",
    inputSchema: city,
    execute: async ({ city }) => weather[city],
  }),
  time: tool({ description: "The time.", inputSchema: city, execute: async () => "noon" }),
};
const loop = { model, tools, prompt: question, stopWhen: isStepCount(5), maxRetries: 0 };

if (kind === "object") {
  const schema = z.object({ name: z.string(), age: z.number() });
  const asked = { model, prompt: question, maxRetries: 0, output: Output.object({ schema }) };
  const { output } = await generateText(asked);
  console.log(JSON.stringify(output));
} else if (kind === "text") {
  const { text, steps } = await generateText(loop);
  console.log(JSON.stringify({ text, steps: steps.length }));
} else {
  const failures = [];
  const said = streamText({ ...loop, onError: ({ error }) => failures.push(error) });
  let text = "";
  let parts = 0;
  for await (const part of said.fullStream) {
    if (part.type === "text-delta") text += part.text;
    if (part.type === "error") throw part.error;
    parts += 1;
  }
  if (failures.length) throw failures[0];
  console.log(JSON.stringify({ text, steps: (await said.steps).length, parts }));
}
