// ethers v6 as a wallet: `node ethers.mjs URL token.json [STEP…]`. One line a step, all of them where none is named;
// what is not as it should be ends it with 1.
import {
  AbiCoder, Contract, ContractFactory, JsonRpcProvider, NonceManager, Transaction, Wallet, ZeroAddress, decodeRlp,
  keccak256, parseEther, toBeHex, zeroPadValue,
} from "ethers";
import { loadKZG } from "kzg-wasm";
import { ABSENT, KEYS, RECIPIENT, TOKEN, blob, checkProof, holds, run, same } from "./checks.mjs";

const provider = new JsonRpcProvider(process.argv[2], undefined, { pollingInterval: 200, cacheTimeout: -1 });
const wallet = new Wallet(KEYS[0], provider);
const other = new Wallet(KEYS[1], provider);
const SUPPLY = 10n ** 24n;
let token, deployed, kzg;

/** Sends, waits, and checks the receipt against the transaction and its block. */
async function sent(request, type) {
  const response = await wallet.sendTransaction(request);
  const receipt = await response.wait(1, 60_000);
  same([receipt.status, receipt.type, receipt.hash], [1, type, response.hash], "the receipt");
  same(receipt.from, wallet.address, "its sender");
  const found = await provider.getTransaction(response.hash);
  same([found.type, found.blockHash, found.from], [type, receipt.blockHash, wallet.address], "the transaction");
  const block = await provider.getBlock(receipt.blockHash);
  same(block.transactions[receipt.index], response.hash, "its place in the block");
  return receipt;
}

const slotOf = (address) => keccak256(AbiCoder.defaultAbiCoder().encode(["address", "uint256"], [address, 1]));

const steps = {
  connects: async () => {
    const { chainId } = await provider.getNetwork();
    same(chainId, 1337n, "the chain id");
  },
  reads: async () => {
    const number = await provider.getBlockNumber();
    const block = await provider.getBlock(number, true);
    same([block.number, (await provider.getBlock(block.hash)).number], [number, number], "the block");
    holds((await provider.getBalance(wallet.address)) > parseEther("9000"), "the balance");
    same(await provider.getBalance(ABSENT), 0n, "the balance of nobody");
    same(await provider.getCode(wallet.address), "0x", "the code of an account");
    return `block ${number}`;
  },
  "sends a legacy transaction": async () => {
    const nonce = await wallet.getNonce();
    const before = await provider.getBalance(RECIPIENT);
    const receipt = await sent({ type: 0, to: RECIPIENT, value: 12345n }, 0);
    same([receipt.gasUsed, await wallet.getNonce()], [21_000n, nonce + 1], "gas and nonce");
    same(await provider.getBalance(RECIPIENT), before + 12345n, "the balance sent to");
  },
  "deploys a contract (1559)": async () => {
    const factory = new ContractFactory(TOKEN.abi, TOKEN.bytecode, wallet);
    token = await factory.deploy(SUPPLY);
    await token.waitForDeployment();
    const receipt = await token.deploymentTransaction().wait();
    deployed = receipt.blockNumber;
    same([receipt.type, receipt.contractAddress], [2, await token.getAddress()], "the receipt");
    same(await provider.getCode(token), TOKEN.deployedBytecode, "the code");
    same([receipt.logs[0].fragment?.name ?? token.interface.parseLog(receipt.logs[0]).name], ["Transfer"], "the event");
  },
  "calls it": async () => {
    same(await token.symbol(), "RUSH", "a string");
    same([await token.totalSupply(), await token.balanceOf(wallet)], [SUPPLY, SUPPLY], "numbers");
    same(await provider.getStorage(token, 0), toBeHex(SUPPLY, 32), "the slot of the supply");
    same(await provider.getStorage(token, slotOf(wallet.address)), toBeHex(SUPPLY, 32), "the slot of the balance");
    // Where the contract was not yet there, an empty answer.
    const data = token.interface.encodeFunctionData("symbol");
    same(await provider.call({ to: token, data, blockTag: deployed - 1 }), "0x", "a block before");
  },
  estimates: async () => {
    same(await provider.estimateGas({ to: RECIPIENT, value: 1n, from: wallet.address }), 21_000n, "a transfer");
    const gas = await token.transfer.estimateGas(other.address, 1n);
    holds(gas > 40_000n && gas < 60_000n, `a token's transfer: ${gas}`);
    const receipt = await sent({ to: token, data: token.interface.encodeFunctionData("transfer", [other.address, 7n]), gasLimit: gas }, 2);
    holds(receipt.gasUsed <= gas, "what it used");
    same(await token.balanceOf(other), 7n, "what came of it");
    const [event] = receipt.logs.map((log) => token.interface.parseLog(log));
    same([...event.args], [wallet.address, other.address, 7n], "the event");
  },
  "gets the reasons of reverts": async () => {
    const refused = async (attempt, check) => {
      const error = await attempt.then(() => null, (error) => error);
      holds(error?.code === "CALL_EXCEPTION", `a revert, not ${error}`);
      check(error);
    };
    await refused(token.transfer.staticCall(ZeroAddress, 1n), (e) => same(e.reason, "transfer to nobody", "the reason"));
    await refused(token.transfer.estimateGas(ZeroAddress, 1n), (e) => same(e.reason, "transfer to nobody", "the reason"));
    await refused(token.connect(other).transfer.staticCall(wallet.address, 100n), (e) => {
      same([e.revert.name, ...e.revert.args], ["InsufficientBalance", other.address, 7n, 100n], "the error");
    });
    await refused(token.transferFrom.staticCall(other.address, wallet.address, 1n), (e) => {
      same([e.revert.name, e.revert.args[0]], ["Panic", 0x11], "the panic");
    });
  },
  "creates an access list and sends it (2930)": async () => {
    const data = token.interface.encodeFunctionData("transfer", [other.address, 1n]);
    const made = await provider.send("eth_createAccessList", [{ from: wallet.address, to: await token.getAddress(), data }, "latest"]);
    holds(made.error === undefined, made.error);
    same(made.accessList.length, 1, "addresses");
    const keys = made.accessList[0].storageKeys;
    same([...keys].sort(), [slotOf(wallet.address), slotOf(other.address)].sort(), "slots");
    await sent({ type: 1, to: token, data, accessList: made.accessList }, 1);
  },
  "reads fees": async () => {
    const fees = await provider.getFeeData();
    holds(fees.gasPrice > 0n && fees.maxFeePerGas > fees.maxPriorityFeePerGas, "the fees");
    const history = await provider.send("eth_feeHistory", ["0x4", "latest", [10, 50, 90]]);
    same([history.baseFeePerGas.length, history.reward.length, history.gasUsedRatio.length], [5, 4, 4], "the history");
    holds(BigInt(await provider.send("eth_blobBaseFee", [])) >= 1n, "the fee of a blob");
    return `${fees.gasPrice} wei`;
  },
  "sends blobs with one proof each (4844, version 0)": async () => {
    kzg = await loadKZG();
    const receipt = await sent({ type: 3, to: RECIPIENT, maxFeePerBlobGas: 10n ** 9n, blobs: [blob(1), blob(2)], kzg }, 3);
    same(receipt.blobGasUsed, 262_144n, "the gas of two blobs");
    holds(receipt.blobGasPrice >= 1n, "its price");
  },
  "sends blobs with cell proofs (4844, version 1)": async () => {
    // ethers takes a blob's proofs as one string.
    const data = `0x${Buffer.from(blob(3)).toString("hex")}`;
    const commitment = kzg.blobToKZGCommitment(data);
    const proof = `0x${kzg.computeCellsAndKZGProofs(data).proofs.map((proof) => proof.slice(2)).join("")}`;
    const receipt = await sent({ type: 3, to: RECIPIENT, maxFeePerBlobGas: 10n ** 9n, blobWrapperVersion: 1, blobs: [{ data, commitment, proof }] }, 3);
    same(receipt.blobGasUsed, 131_072n, "the gas of a blob");
  },
  "delegates an account (7702)": async () => {
    // Another account's delegation, which this one pays for.
    const authorization = await other.authorize({ address: await token.getAddress() });
    await sent({ type: 4, to: other.address, authorizationList: [authorization] }, 4);
    same(await provider.getCode(other), `0xef0100${(await token.getAddress()).slice(2).toLowerCase()}`, "the code");
    const delegated = new Contract(other.address, TOKEN.abi, provider);
    same([...(await delegated.supplyOf())], [other.address, 0n], "the token's code over its own storage");
    const back = await other.authorize({ address: ZeroAddress });
    await sent({ type: 4, to: other.address, authorizationList: [back] }, 4);
    same(await provider.getCode(other), "0x", "no code any more");
  },
  "has several under way at once": async () => {
    const manager = new NonceManager(wallet);
    const responses = [];
    for (let i = 0; i < 5; i++) responses.push(await manager.sendTransaction({ to: RECIPIENT, value: BigInt(i) }));
    const receipts = await Promise.all(responses.map((response) => response.wait(1, 60_000)));
    same(receipts.map((receipt) => receipt.status), [1, 1, 1, 1, 1], "the receipts");
  },
  "is refused with geth's words": async () => {
    const request = { chainId: 1337n, type: 2, to: RECIPIENT, gasLimit: 21_000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n };
    const nonce = await wallet.getNonce();
    const refused = async (change, ...words) => {
      const raw = await wallet.signTransaction(Transaction.from({ ...request, nonce, ...change }));
      const error = await provider.send("eth_sendRawTransaction", [raw]).then(() => null, (error) => error);
      const { code, message } = error?.error ?? error?.info?.error ?? {};
      same(code, -32000, `the code of ${error}`);
      holds(words.some((word) => message.includes(word)), `${message} has none of ${words}`);
    };
    await refused({ nonce: 0 }, "nonce too low");
    await refused({ value: parseEther("1000000") }, "insufficient funds for gas * price + value");
    await refused({ gasLimit: 20_999n }, "intrinsic gas too low");
  },
  "verifies proofs": async () => {
    const library = { keccak256, decode: decodeRlp };
    const block = await provider.send("eth_getBlockByNumber", ["latest", false]);
    const prove = (address, slots) => provider.send("eth_getProof", [address, slots, block.number]);
    const slots = [zeroPadValue("0x00", 32), slotOf(wallet.address), slotOf(ABSENT)];
    const proofs = [await prove(wallet.address, []), await prove(await token.getAddress(), slots)];
    for (const proof of proofs) holds(checkProof(library, block.stateRoot, proof), "an account");
    same(BigInt(proofs[1].storageProof[0].value), SUPPLY, "the supply, proved");
    holds(!checkProof(library, block.stateRoot, await prove(ABSENT, [])), "nobody");
    // A check that takes everything is none.
    const wrong = { ...proofs[0], balance: "0x1" };
    holds(await Promise.resolve().then(() => checkProof(library, block.stateRoot, wrong)).then(() => false, () => true), "a wrong balance is refused");
  },
};

await run(steps);
