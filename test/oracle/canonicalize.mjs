// Another implementation of RFC 8785: one document a line in, its canonical form a line out.
import canonicalize from "../../tools/npm/node_modules/canonicalize/lib/canonicalize.js";
import { readFileSync } from "node:fs";

const lines = readFileSync(0, "utf8").split("\n").filter((line) => line !== "");
process.stdout.write(lines.map((line) => canonicalize(JSON.parse(line)) + "\n").join(""));
