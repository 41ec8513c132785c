// formats.mjs - what Hugging Face's own modules read in files that dagpt convert has written.
//   node formats.mjs gguf FILE          version, layers, parameters; fails where tensors do not end with the file
//   node formats.mjs ids FOLDER TEXT    the token ids of a text, by the folder's tokenizer.json
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(new URL("../viewer/package.json", import.meta.url));
const [what, path, text] = process.argv.slice(2);

async function gguf() {
    const { gguf } = require("@huggingface/gguf");
    const file = await gguf(path, { allowLocalFile: true, computeParametersCount: true });
    const last = file.tensorInfos.at(-1);
    const bytes = last.shape.reduce((a, b) => a * b, 1n) * (last.dtype === 0 ? 4n : 2n);
    const end = file.tensorDataOffset + last.offset + ((bytes + 31n) / 32n) * 32n;

    if (end !== BigInt(statSync(path).size))
        throw new Error(`the last tensor ends at ${end}`);
    console.log(file.metadata.version, file.metadata["gpt2.block_count"], file.parameterCount);
}

function ids() {
    const { Tokenizer } = require("@huggingface/tokenizers");
    const json = (name) => JSON.parse(readFileSync(`${path}/${name}`, "utf8"));
    const tokenizer = new Tokenizer(json("tokenizer.json"), json("tokenizer_config.json"));

    console.log(tokenizer.encode(text).ids.join(" "));
}

await (what === "gguf" ? gguf() : ids());
