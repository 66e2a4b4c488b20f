// viem as a wallet: `node viem.mjs URL token.json [STEP…]`. One line a step, all of them where none is named;
// what is not as it should be ends it with 1.
import {
  BaseError, ContractFunctionRevertedError, createPublicClient, createWalletClient, defineChain, encodeAbiParameters,
  encodeFunctionData, fromRlp, http, keccak256, numberToHex, parseEther, parseEventLogs, zeroAddress,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { loadKZG } from "kzg-wasm";
import { ABSENT, KEYS, RECIPIENT, TOKEN, blob, checkProof, holds, run, same } from "./checks.mjs";

const transport = http(process.argv[2], { retryCount: 0 });
const chain = defineChain({
  id: 1337, name: "dev", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [process.argv[2]] } },
});
// The other way round than ethers.mjs: each library has a sender of its own.
const [other, account] = KEYS.map((key) => privateKeyToAccount(key));
const client = createPublicClient({ chain, transport, pollingInterval: 200, cacheTime: 0 });
const wallet = createWalletClient({ account, chain, transport, pollingInterval: 200 });
const { abi, bytecode, deployedBytecode } = TOKEN;
const SUPPLY = 10n ** 24n;
const TYPES = ["legacy", "eip2930", "eip1559", "eip4844", "eip7702"];
let token;

/** Waits for a transaction and checks its receipt against it and its block. */
async function included(hash, type) {
  const receipt = await client.waitForTransactionReceipt({ hash, timeout: 60_000 });
  same([receipt.status, receipt.type, receipt.transactionHash], ["success", TYPES[type], hash], "the receipt");
  same(receipt.from, account.address.toLowerCase(), "its sender");
  const found = await client.getTransaction({ hash });
  same([found.type, found.blockHash], [TYPES[type], receipt.blockHash], "the transaction");
  const block = await client.getBlock({ blockHash: receipt.blockHash });
  same(block.transactions[receipt.transactionIndex], hash, "its place in the block");
  return receipt;
}
const sent = async (request, type) => included(await wallet.sendTransaction(request), type);
const read = (functionName, args = []) => client.readContract({ address: token, abi, functionName, args });
const slotOf = (address) => keccak256(encodeAbiParameters([{ type: "address" }, { type: "uint256" }], [address, 1n]));

const steps = {
  connects: async () => {
    same(await client.getChainId(), 1337, "the chain id");
  },
  reads: async () => {
    const block = await client.getBlock({ includeTransactions: true });
    same((await client.getBlock({ blockHash: block.hash })).number, block.number, "the block");
    holds((await client.getBalance({ address: account.address })) > parseEther("9000"), "the balance");
    same(await client.getBalance({ address: ABSENT }), 0n, "the balance of nobody");
    same(await client.getCode({ address: account.address }), undefined, "the code of an account");
    return `block ${block.number}`;
  },
  "sends a legacy transaction": async () => {
    const nonce = await client.getTransactionCount({ address: account.address });
    const before = await client.getBalance({ address: RECIPIENT });
    const receipt = await sent({ type: "legacy", to: RECIPIENT, value: 12345n }, 0);
    same(receipt.gasUsed, 21_000n, "gas");
    same(await client.getTransactionCount({ address: account.address }), nonce + 1, "the nonce");
    same(await client.getBalance({ address: RECIPIENT }), before + 12345n, "the balance sent to");
  },
  "deploys a contract (1559)": async () => {
    const receipt = await included(await wallet.deployContract({ abi, bytecode, args: [SUPPLY] }), 2);
    token = receipt.contractAddress;
    same(await client.getCode({ address: token }), deployedBytecode, "the code");
    const [event] = parseEventLogs({ abi, logs: receipt.logs });
    same([event.eventName, event.args.value], ["Transfer", SUPPLY], "the event");
  },
  "calls it": async () => {
    same(await read("symbol"), "RUSH", "a string");
    same([await read("totalSupply"), await read("balanceOf", [account.address])], [SUPPLY, SUPPLY], "numbers");
    same(await client.getStorageAt({ address: token, slot: "0x0" }), numberToHex(SUPPLY, { size: 32 }), "a slot");
    // Overrides: a balance that the account does not have in any block.
    const stateOverride = [{ address: token, stateDiff: [{ slot: slotOf(ABSENT), value: numberToHex(9n, { size: 32 }) }] }];
    const held = await client.readContract({ address: token, abi, functionName: "balanceOf", args: [ABSENT], stateOverride });
    same(held, 9n, "an overridden slot");
  },
  estimates: async () => {
    same(await client.estimateGas({ account, to: RECIPIENT, value: 1n }), 21_000n, "a transfer");
    const call = { address: token, abi, functionName: "transfer", args: [other.address, 7n], account };
    const gas = await client.estimateContractGas(call);
    holds(gas > 40_000n && gas < 60_000n, `a token's transfer: ${gas}`);
    const { request, result } = await client.simulateContract({ ...call, gas });
    same(result, true, "what it would return");
    const receipt = await included(await wallet.writeContract(request), 2);
    holds(receipt.gasUsed <= gas, "what it used");
    same(await read("balanceOf", [other.address]), 7n, "what came of it");
  },
  "gets the reasons of reverts": async () => {
    const reason = async (attempt) => {
      const error = await attempt.then(() => null, (error) => error);
      const reverted = error instanceof BaseError && error.walk((e) => e instanceof ContractFunctionRevertedError);
      if (!reverted) throw error ?? new Error("no revert");
      return reverted;
    };
    const call = (functionName, args, from = account) => client.simulateContract({ address: token, abi, functionName, args, account: from });
    same((await reason(call("transfer", [zeroAddress, 1n]))).reason, "transfer to nobody", "the reason");
    const { data } = await reason(call("transfer", [account.address, 100n], other));
    same([data.errorName, ...data.args], ["InsufficientBalance", other.address, 7n, 100n], "the error");
    same((await reason(call("transferFrom", [other.address, account.address, 1n]))).data.args, [0x11n], "the panic");
    const gas = client.estimateContractGas({ address: token, abi, functionName: "transfer", args: [zeroAddress, 1n], account });
    same((await reason(gas)).reason, "transfer to nobody", "the reason of an estimate");
  },
  "creates an access list and sends it (2930)": async () => {
    const data = encodeFunctionData({ abi, functionName: "transfer", args: [other.address, 1n] });
    const { accessList, gasUsed } = await client.createAccessList({ account, to: token, data });
    same(accessList.map(({ address }) => address), [token.toLowerCase()], "addresses");
    same([...accessList[0].storageKeys].sort(), [slotOf(account.address), slotOf(other.address)].sort(), "slots");
    const receipt = await sent({ type: "eip2930", to: token, data, accessList }, 1);
    holds(receipt.gasUsed <= gasUsed, `gas: ${receipt.gasUsed} of ${gasUsed}`);
  },
  "reads fees": async () => {
    const { maxFeePerGas, maxPriorityFeePerGas } = await client.estimateFeesPerGas();
    holds(maxFeePerGas > maxPriorityFeePerGas, "the fees");
    holds((await client.getGasPrice()) > 0n && (await client.getBlobBaseFee()) >= 1n, "the prices");
    const history = await client.getFeeHistory({ blockCount: 4, rewardPercentiles: [10, 50, 90] });
    same([history.baseFeePerGas.length, history.reward.length], [5, 4], "the history");
  },
  "simulates blocks": async () => {
    const transfer = (value) => ({ to: token, data: encodeFunctionData({ abi, functionName: "transfer", args: [ABSENT, value] }), from: account.address });
    const held = { to: token, data: encodeFunctionData({ abi, functionName: "balanceOf", args: [ABSENT] }) };
    const blocks = await client.simulateBlocks({ blocks: [{ calls: [transfer(3n)] }, { calls: [transfer(4n), held] }] });
    same(blocks.map(({ calls }) => calls.map(({ status }) => status)), [["success"], ["success", "success"]], "the calls");
    same(blocks[1].calls[1].data, numberToHex(7n, { size: 32 }), "what both came to");
    same(blocks[1].number, blocks[0].number + 1n, "the blocks' numbers");
  },
  "sends blobs (4844)": async () => {
    const kzg = await loadKZG();
    const hex = (bytes) => `0x${Buffer.from(bytes).toString("hex")}`;
    const bytes = (hex) => new Uint8Array(Buffer.from(hex.slice(2), "hex"));
    const receipt = await sent({
      to: RECIPIENT, maxFeePerBlobGas: 10n ** 9n, blobs: [hex(blob(1)), hex(blob(2))],
      kzg: {
        blobToKzgCommitment: (blob) => bytes(kzg.blobToKZGCommitment(hex(blob))),
        computeBlobKzgProof: (blob, commitment) => bytes(kzg.computeBlobKZGProof(hex(blob), hex(commitment))),
      },
    }, 3);
    same(receipt.blobGasUsed, 262_144n, "the gas of two blobs");
  },
  "delegates its account (7702)": async () => {
    const authorization = await wallet.signAuthorization({ contractAddress: token, executor: "self" });
    await sent({ to: account.address, authorizationList: [authorization] }, 4);
    same((await client.getDelegation({ address: account.address })).toLowerCase(), token.toLowerCase(), "the delegation");
    const [self] = await client.readContract({ address: account.address, abi, functionName: "supplyOf" });
    same(self, account.address, "the token's code over its own storage");
    const back = await wallet.signAuthorization({ contractAddress: zeroAddress, executor: "self" });
    await sent({ to: RECIPIENT, authorizationList: [back] }, 4);
    same(await client.getCode({ address: account.address }), undefined, "no code any more");
  },
  "verifies proofs": async () => {
    const library = { keccak256, decode: (data) => fromRlp(data, "hex") };
    const block = await client.getBlock();
    const hex = ({ balance, nonce, storageProof, ...rest }) => ({
      ...rest, balance: numberToHex(balance), nonce: numberToHex(nonce),
      storageProof: storageProof.map(({ value, ...rest }) => ({ ...rest, value: numberToHex(value) })),
    });
    const prove = async (address, storageKeys) => hex(await client.getProof({ address, storageKeys, blockNumber: block.number }));
    const slots = [numberToHex(0n, { size: 32 }), slotOf(account.address), slotOf(ABSENT)];
    const proofs = [await prove(account.address, []), await prove(token, slots)];
    for (const proof of proofs) holds(checkProof(library, block.stateRoot, proof), "an account");
    same(BigInt(proofs[1].storageProof[0].value), SUPPLY, "the supply, proved");
    holds(!checkProof(library, block.stateRoot, await prove(ABSENT, [])), "nobody");
  },
};

await run(steps);
