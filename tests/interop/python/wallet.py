"""web3.py as a wallet: `python wallet.py URL token.json [STEP…]`.

One line a step, all of them where none is named; what is not as it should be ends it with 1.
"""

import json
import sys

from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils import keccak
import rlp
from trie import HexaryTrie
from web3 import Web3
from web3.middleware import ExtraDataToPOAMiddleware
from web3.exceptions import ContractCustomError, ContractLogicError, ContractPanicError, Web3RPCError

# The accounts of `rushlight dev`, whose keys are public knowledge. The first one seals the chain, so it is left alone.
KEYS = [
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
]
ABSENT = Web3.to_checksum_address("0x" + "5a" * 20)  # nobody has this address
RECIPIENT = Web3.to_checksum_address("0x00000000000000000000000000000000ab5e4711")
ZERO = "0x" + "00" * 20
SUPPLY = 10**24
GWEI = 10**9

url, compiled, *named = sys.argv[1:]
with open(compiled) as file:
    TOKEN = json.load(file)
w3 = Web3(Web3.HTTPProvider(url, request_kwargs={"timeout": 60}))
# Clique's headers hold more than 32 bytes of extra data, which web3.py takes for a mistake unless told.
w3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
account, other = (Account.from_key(key) for key in KEYS)
steps = []


def step(name):
    """Registers a function as the next step."""

    def register(function):
        steps.append((name, function))
        return function

    return register


def same(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: expected {want!r}, got {got!r}")


def holds(condition, what):
    if not condition:
        raise AssertionError(what)


def refused(kind, attempt):
    """The error of that kind that the attempt must end with."""
    try:
        result = attempt()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, got {result!r}")


def call(method, *params):
    """A method that web3.py does not know by name."""
    answer = w3.provider.make_request(method, list(params))
    if "error" in answer:
        raise AssertionError(f"{method}: {answer['error']}")
    return answer["result"]


def signed(transaction, **more):
    """The transaction with what a wallet fills in, signed."""
    filled = {"chainId": 1337, "nonce": w3.eth.get_transaction_count(account.address), "value": 0, **transaction}
    if "gasPrice" not in filled:
        tip = w3.eth.max_priority_fee
        filled.setdefault("maxPriorityFeePerGas", tip)
        filled.setdefault("maxFeePerGas", 2 * w3.eth.get_block("latest")["baseFeePerGas"] + tip)
    if "gas" not in filled:
        asked = {**filled, "from": account.address}
        for field in ("blobVersionedHashes", "authorizationList", "type"):
            asked.pop(field, None)
        filled["gas"] = w3.eth.estimate_gas(asked)
    return account.sign_transaction(filled, **more)


def included(sent, kind):
    """Sends it, waits, and checks its receipt against it and its block."""
    digest = w3.eth.send_raw_transaction(sent.raw_transaction)
    raw = bytes(sent.raw_transaction)
    # A sidecar is no part of the transaction; eth-account hashes it all the same.
    named = raw if kind != 3 else raw[:1] + rlp.encode(rlp.decode(raw[1:])[0])
    same(digest, keccak(named), "the hash")
    receipt = w3.eth.wait_for_transaction_receipt(digest, timeout=60, poll_latency=0.2)
    same((receipt["status"], receipt["type"], receipt["transactionHash"]), (1, kind, digest), "the receipt")
    same(receipt["from"], account.address, "its sender")
    found = w3.eth.get_transaction(digest)
    same((found["type"], found["blockHash"]), (kind, receipt["blockHash"]), "the transaction")
    block = w3.eth.get_block(receipt["blockHash"])
    same(block["transactions"][receipt["transactionIndex"]], digest, "its place in the block")
    return receipt


def word(value):
    return (int(value, 16) if isinstance(value, str) else value).to_bytes(32, "big")


def slot_of(address):
    return keccak(word(address) + word(1))


def blob(seed):
    """4,096 field elements, each below the modulus."""
    return b"".join(word((seed + i) % 251) for i in range(4096))


@step("connects")
def _():
    holds(w3.is_connected(), "connected")
    same(w3.eth.chain_id, 1337, "the chain id")


@step("reads")
def _():
    block = w3.eth.get_block("latest", full_transactions=True)
    same(w3.eth.get_block(block["hash"])["number"], block["number"], "the block")
    holds(w3.eth.get_balance(account.address) > Web3.to_wei(9000, "ether"), "the balance")
    same(w3.eth.get_balance(ABSENT), 0, "the balance of nobody")
    same(w3.eth.get_code(account.address), b"", "the code of an account")


@step("sends a legacy transaction")
def _():
    nonce, before = w3.eth.get_transaction_count(account.address), w3.eth.get_balance(RECIPIENT)
    receipt = included(signed({"to": RECIPIENT, "value": 12345, "gasPrice": w3.eth.gas_price}), 0)
    same((receipt["gasUsed"], w3.eth.get_transaction_count(account.address)), (21_000, nonce + 1), "gas and nonce")
    same(w3.eth.get_balance(RECIPIENT), before + 12345, "the balance sent to")


@step("deploys a contract (1559)")
def _():
    global token
    factory = w3.eth.contract(abi=TOKEN["abi"], bytecode=TOKEN["bytecode"])
    data = factory.constructor(SUPPLY).data_in_transaction
    receipt = included(signed({"data": data}), 2)
    token = w3.eth.contract(address=receipt["contractAddress"], abi=TOKEN["abi"])
    same(w3.eth.get_code(token.address).to_0x_hex(), TOKEN["deployedBytecode"], "the code")
    (event,) = token.events.Transfer().process_receipt(receipt)
    same((event["args"]["to"], event["args"]["value"]), (account.address, SUPPLY), "the event")


@step("calls it")
def _():
    same(token.functions.symbol().call(), "RUSH", "a string")
    same(token.functions.balanceOf(account.address).call(), SUPPLY, "a number")
    same(w3.eth.get_storage_at(token.address, 0), word(SUPPLY), "the slot of the supply")
    overrides = {token.address: {"stateDiff": {Web3.to_hex(slot_of(ABSENT)): Web3.to_hex(word(9))}}}
    same(token.functions.balanceOf(ABSENT).call(state_override=overrides), 9, "an overridden slot")


@step("estimates")
def _():
    same(w3.eth.estimate_gas({"from": account.address, "to": RECIPIENT, "value": 1}), 21_000, "a transfer")
    transfer = token.functions.transfer(other.address, 7)
    gas = transfer.estimate_gas({"from": account.address})
    holds(40_000 < gas < 60_000, f"a token's transfer: {gas}")
    built = transfer.build_transaction({"from": account.address, "gas": gas, "nonce": w3.eth.get_transaction_count(account.address)})
    built.pop("from", None)
    receipt = included(signed(built), 2)
    holds(receipt["gasUsed"] <= gas, "what it used")
    same(token.functions.balanceOf(other.address).call(), 7, "what came of it")


@step("gets the reasons of reverts")
def _():
    transfer, mine = token.functions.transfer, {"from": account.address}
    same(refused(ContractLogicError, lambda: transfer(ZERO, 1).call(mine)).message, "execution reverted: transfer to nobody", "the reason")
    same(refused(ContractLogicError, lambda: transfer(ZERO, 1).estimate_gas(mine)).message, "execution reverted: transfer to nobody", "the reason")
    error = refused(ContractCustomError, lambda: transfer(account.address, 100).call({"from": other.address}))
    want = Web3.keccak(text="InsufficientBalance(address,uint256,uint256)")[:4] + word(other.address) + word(7) + word(100)
    same(error.data, Web3.to_hex(want), "the error")
    panic = refused(ContractPanicError, lambda: token.functions.transferFrom(other.address, account.address, 1).call(mine))
    holds("Panic error 0x11" in str(panic), f"the panic: {panic}")


@step("creates an access list and sends it (2930)")
def _():
    data = token.functions.transfer(other.address, 1).build_transaction({"from": account.address, "gas": 10**6})["data"]
    made = w3.eth.create_access_list({"from": account.address, "to": token.address, "data": data})
    (entry,) = made["accessList"]
    slots = [Web3.to_hex(slot_of(owner.address)) for owner in (account, other)]
    same(sorted(entry["storageKeys"]), sorted(slots), "slots")
    sent = signed({"type": 1, "to": token.address, "data": data, "gasPrice": w3.eth.gas_price, "gas": 100_000, "accessList": [dict(entry)]})
    included(sent, 1)


@step("reads fees")
def _():
    holds(w3.eth.gas_price > 0 and w3.eth.max_priority_fee >= 0, "the prices")
    history = w3.eth.fee_history(4, "latest", [10, 50, 90])
    same((len(history["baseFeePerGas"]), len(history["reward"])), (5, 4), "the history")
    holds(int(call("eth_blobBaseFee"), 16) >= 1, "the fee of a blob")


@step("simulates blocks")
def _():
    data = token.functions.transfer(ABSENT, 3).build_transaction({"from": account.address, "gas": 10**6})["data"]
    read = token.functions.balanceOf(ABSENT)._encode_transaction_data()
    calls = [{"from": account.address, "to": token.address, "data": data}, {"to": token.address, "data": read}]
    (block,) = call("eth_simulateV1", {"blockStateCalls": [{"calls": calls}]}, "latest")
    same([made["status"] for made in block["calls"]], ["0x1", "0x1"], "the calls")
    same(int(block["calls"][1]["returnData"], 16), 3, "what came of it")


@step("sends blobs with one proof each (4844, version 0)")
def _():
    blobs("version0", 2)


@step("sends blobs with cell proofs (4844, version 1)")
def _():
    blobs("version1", 1)


def blobs(version, count):
    fields = {"type": 3, "to": RECIPIENT, "gas": 21_000, "maxFeePerBlobGas": GWEI}
    made = signed(fields, blobs=[blob(7 * (i + 1)) for i in range(count)])
    if version == "version0":
        made = with_blob_proofs(made)
    same(included(made, 3)["blobGasUsed"], 131_072 * count, "the gas of the blobs")


def with_blob_proofs(made):
    """eth-account makes sidecars of version 1 only: the same transaction with one proof a blob."""
    payload, version, sidecar, commitments, _ = rlp.decode(made.raw_transaction[1:])
    same(version, b"\x01", "the sidecar's version")
    typed = TypedTransaction.from_bytes(made.raw_transaction)
    proofs = [bytes(proof.data) for proof in typed.transaction.blob_data.proofs]
    raw = b"\x03" + rlp.encode([payload, sidecar, commitments, proofs])
    return made._replace(raw_transaction=type(made.raw_transaction)(raw))


@step("delegates its account (7702)")
def _():
    nonce = w3.eth.get_transaction_count(account.address)

    def delegate(address, nonce):
        given = account.sign_authorization({"chainId": 1337, "address": address, "nonce": nonce + 1})
        fields = {"type": 4, "to": RECIPIENT, "gas": 100_000, "nonce": nonce, "authorizationList": [given]}
        included(signed(fields), 4)

    delegate(token.address, nonce)
    same(w3.eth.get_code(account.address), bytes.fromhex("ef0100" + token.address[2:]), "the code")
    delegated = w3.eth.contract(address=account.address, abi=TOKEN["abi"])
    same(delegated.functions.supplyOf().call(), [account.address, 0], "the token's code over its own storage")
    delegate(ZERO, nonce + 2)
    same(w3.eth.get_code(account.address), b"", "no code any more")


@step("is refused with geth's words")
def _():
    nonce = w3.eth.get_transaction_count(account.address)
    fields = {"to": RECIPIENT, "gas": 21_000, "maxFeePerGas": 10 * GWEI, "maxPriorityFeePerGas": 1, "nonce": nonce}
    for change, words in [
        ({"nonce": 0}, "nonce too low"),
        ({"value": Web3.to_wei(10**6, "ether")}, "insufficient funds for gas * price + value"),
        ({"gas": 20_999}, "intrinsic gas too low"),
    ]:
        made = signed({**fields, **change})
        error = refused(Web3RPCError, lambda: w3.eth.send_raw_transaction(made.raw_transaction)).rpc_response["error"]
        holds(error["code"] == -32000 and words in error["message"], f"{error} of {change}")


def proven(root, key, proof):
    """What py-trie finds under the key in the nodes of the proof: nothing that they do not show."""
    trie = HexaryTrie({keccak(node): bytes(node) for node in proof}, root)
    return trie[keccak(key)]


@step("verifies proofs")
def _():
    block = w3.eth.get_block("latest")
    slots = [word(0), slot_of(account.address), slot_of(ABSENT)]
    for address, keys in [(account.address, []), (token.address, slots), (ABSENT, slots)]:
        answer = w3.eth.get_proof(address, [Web3.to_hex(key) for key in keys], block["number"])
        found = proven(block["stateRoot"], bytes.fromhex(address[2:]), answer["accountProof"])
        same(found == b"", address == ABSENT, "whether it is there")
        if found:
            nonce, balance, storage, code = rlp.decode(found)
            same(int.from_bytes(nonce, "big"), answer["nonce"], "its nonce")
            same(int.from_bytes(balance, "big"), answer["balance"], "its balance")
            same((storage, code), (bytes(answer["storageHash"]), bytes(answer["codeHash"])), "its storage and code")
        for entry in answer["storageProof"]:
            value = proven(answer["storageHash"], word(int.from_bytes(entry["key"], "big")), entry["proof"]) if found else b""
            same(int.from_bytes(rlp.decode(value) if value else b"", "big"), int.from_bytes(entry["value"], "big"), "a slot")
    supply = w3.eth.get_proof(token.address, [Web3.to_hex(word(0))], block["number"])["storageProof"][0]["value"]
    same(int.from_bytes(supply, "big"), SUPPLY, "the supply, proved")


for name, function in steps:
    if named and name not in named:
        continue
    try:
        function()
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        raise
    print(f"{name}: ok", flush=True)
