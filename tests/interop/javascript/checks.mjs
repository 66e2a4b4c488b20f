// What both programs share: what is checked, the accounts of the development chain, and a walk down a trie by a
// library's own primitives.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

/** Accounts of `rushlight dev`; their keys are public knowledge. The first one seals the chain, so it is left alone. */
export const KEYS = [
  "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
  "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];

/** Nobody has this address. */
export const ABSENT = `0x${"5a".repeat(20)}`;

/** Whom ether is sent to; nobody has its key. */
export const RECIPIENT = "0x00000000000000000000000000000000ab5e4711";

/** The contract, compiled ahead. */
export const TOKEN = JSON.parse(readFileSync(process.argv[3], "utf8"));

const text = (value) => JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}n` : part));

/** Fails unless both are the same. */
export function same(got, want, what) {
  if (!isDeepStrictEqual(got, want)) throw new Error(`${what}: expected ${text(want)}, got ${text(got)}`);
}

export function holds(condition, what) {
  if (!condition) throw new Error(what);
}

/** Runs the steps one after the other, or those that the command line names, and says which it is at. */
export async function run(steps) {
  const named = process.argv.slice(4);
  for (const [name, step] of Object.entries(steps)) {
    if (named.length !== 0 && !named.includes(name)) continue;
    try {
      const said = await step();
      console.log(`${name}: ok${said === undefined ? "" : ` (${said})`}`);
    } catch (error) {
      console.error(`${name}: ${error.stack ?? error}`);
      process.exit(1);
    }
  }
  process.exit(0);
}

/** A blob with something in it: 4,096 field elements, each below the modulus. */
export function blob(seed) {
  const bytes = new Uint8Array(131_072);
  for (let i = 0; i < 4096; i++) bytes[32 * i + 31] = (seed + i) % 251;
  return bytes;
}

const nibbles = (hex) => [...hex.slice(2)].map((digit) => parseInt(digit, 16));

/**
 * The value under `key`, undecoded, or null where the proof shows that there is none. Fails where the proof shows
 * nothing. `keccak256` and `decode` (RLP) are the library's, on hex strings.
 */
export function provenValue({ keccak256, decode }, root, key, proof) {
  const path = nibbles(keccak256(key));
  const left = [...proof];
  let reference = root;
  const next = () => {
    if (left.length === 0) throw new Error(`the proof ends before its trie does, at ${reference}`);
    const node = left.shift();
    if (keccak256(node) !== reference) throw new Error(`a node hashes to ${keccak256(node)}, not to ${reference}`);
    return decode(node);
  };
  const ended = (value) => {
    if (left.length !== 0) throw new Error(`${left.length} nodes of the proof are not on the path`);
    return value === "0x" ? null : value;
  };
  if (proof.length === 0 && root === keccak256("0x80")) return null;
  let node = next();
  for (;;) {
    if (node.length === 17) {
      if (path.length === 0) return ended(node[16]);
      reference = node[path.shift()];
    } else {
      const [flag, ...rest] = nibbles(node[0]);
      const part = flag & 1 ? rest : rest.slice(1);
      if (path.length < part.length || part.some((nibble, i) => nibble !== path[i])) return ended("0x");
      path.splice(0, part.length);
      if (flag & 2) return ended(node[1]);
      reference = node[1];
    }
    if (reference === "0x") return ended("0x");
    // A node of fewer than 32 bytes stands where its hash would.
    node = Array.isArray(reference) ? reference : next();
  }
}

/** Checks an `eth_getProof` answer against a state root, quantities as hex strings. */
export function checkProof(library, root, answer) {
  const trimmed = (hex) => (BigInt(hex) === 0n ? "0x" : `0x${BigInt(hex).toString(16).replace(/^(.(..)*)$/, "0$1")}`);
  const account = provenValue(library, root, answer.address, answer.accountProof);
  if (account === null) {
    same([BigInt(answer.balance), BigInt(answer.nonce)], [0n, 0n], "an absent account");
  } else {
    const want = [trimmed(answer.nonce), trimmed(answer.balance), answer.storageHash, answer.codeHash];
    same(library.decode(account), want, `the account ${answer.address}`);
  }
  for (const { key, value, proof } of answer.storageProof) {
    const slot = `0x${BigInt(key).toString(16).padStart(64, "0")}`;
    const found = provenValue(library, answer.storageHash, slot, proof);
    same(found === null ? "0x" : library.decode(found), trimmed(value), `slot ${key} of ${answer.address}`);
  }
  return account !== null;
}
