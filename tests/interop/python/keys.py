"""eth-account as a keeper of key files and as a signer, JSON on stdin and stdout.

    python keys.py make FOLDER   writes key files for the private keys on stdin: with PBKDF2, and with scrypt
    python keys.py read FOLDER   opens the key files that stdin has passwords for, and prints the private keys
    python keys.py sign          signs the messages and typed data on stdin, and tells who signed the transactions
"""

import json
import pathlib
import sys

from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data


def make(folder, wanted):
    folder.mkdir(parents=True)
    for index, want in enumerate(wanted):
        # The costs that eth-account itself chooses, and a lower one: it is slow at PBKDF2.
        kdf, iterations = [("scrypt", None), ("pbkdf2", 10_000), ("scrypt", 2**12)][index % 3]
        file = Account.encrypt(want["key"], want["password"], kdf=kdf, iterations=iterations)
        (folder / f"UTC--{index}--{file['address']}").write_text(json.dumps(file))


def read(folder, passwords):
    found = {}
    for path in sorted(folder.iterdir()):
        file = json.loads(path.read_text())
        address = "0x" + file["address"].lower()
        found[address] = bytes(Account.decrypt(file, passwords[address])).hex()
    return found


def sign(asked):
    def signed(message):
        return "0x" + bytes(Account.sign_message(message, asked["key"]).signature).hex()

    return {
        "messages": [signed(encode_defunct(hexstr=text)) for text in asked["messages"]],
        "typedData": [signed(encode_typed_data(full_message=data)) for data in asked["typedData"]],
        "senders": [Account.recover_transaction(raw).lower() for raw in asked["transactions"]],
    }


what, *more = sys.argv[1:]
given = json.load(sys.stdin)
if what == "sign":
    print(json.dumps(sign(given)))
else:
    print(json.dumps({"make": make, "read": read}[what](pathlib.Path(more[0]), given)))
