// A foreign peer for eth version 28 (PoC-6) on ethereumjs' devp2p.
//
//   node peer.mjs dial ENODE    dials a node, exchanges Hello and Status, reads its best header, says goodbye
//   node peer.mjs listen        the same with the first that dials; prints its own enode URL before
//
// The last line of stdout is JSON: what the other side said. Exit code 1 where a step fails or takes 20 seconds.

import { randomBytes } from 'node:crypto'
import { RLPx, pk2id } from '@ethereumjs/devp2p'
import { RLP } from '@ethereumjs/rlp'
import { bytesToBigInt, bytesToHex, bytesToInt, equalsBytes, hexToBytes, intToBytes, utf8ToBytes } from '@ethereumjs/util'
import { keccak256 } from 'ethereum-cryptography/keccak.js'
import { secp256k1 } from 'ethereum-cryptography/secp256k1.js'
import snappy from 'snappyjs'

const STATUS = 0x00
const GET_BLOCK_HASHES = 0x03
const BLOCK_HASHES = 0x04
const GET_BLOCK_HEADERS = 0x08
const BLOCK_HEADERS = 0x09

// What the library makes once the capability has been agreed on.
class Eth28 {
  constructor(version, peer, send) {
    this._peer = peer
    this._send = send
  }

  say(code, message) {
    this._send(code, snappy.compress(RLP.encode(message)))
  }

  // Called by the library with each message of the capability, decompressed.
  _handleMessage(code, payload) {
    const message = RLP.decode(payload)
    switch (code) {
      case STATUS: {
        const [version, network, td, best, genesis] = message
        if (bytesToInt(version) !== 28) fail(`protocol version ${bytesToHex(version)}`)
        this.report = { network: bytesToInt(network), td: bytesToBigInt(td).toString(), best: bytesToHex(best), genesis: bytesToHex(genesis) }
        this.best = best
        // The other's chain with nothing on it: a claim that nobody follows.
        this.say(STATUS, [version, network, intToBytes(1), genesis, genesis])
        this.say(GET_BLOCK_HEADERS, [best])
        this.say(GET_BLOCK_HASHES, [best, intToBytes(7)])
        break
      }
      case BLOCK_HEADERS: {
        if (message.length !== 1 || !equalsBytes(keccak256(RLP.encode(message[0])), this.best)) fail('another header than asked for')
        this.report.number = message[0][8].length === 0 ? 0 : bytesToInt(message[0][8])
        break
      }
      case BLOCK_HASHES:
        this.report.hashes = message.length
        done({ ...describe(this._peer.getHelloMessage()), ...this.report })
        this._peer.disconnect(8)
        break
      case GET_BLOCK_HASHES:
        this.say(BLOCK_HASHES, [])
        break
      case GET_BLOCK_HEADERS:
        this.say(BLOCK_HEADERS, [])
        break
    }
  }
}

const describe = (hello) => ({
  devp2p: hello.protocolVersion,
  client: hello.clientId,
  capabilities: hello.capabilities.map(({ name, version }) => `${name}/${version}`),
  id: bytesToHex(hello.id),
})

function fail(why) {
  console.error(`peer.mjs: ${why}`)
  process.exit(1)
}

function done(report) {
  console.log(JSON.stringify(report))
  // The goodbye goes out first.
  setTimeout(() => process.exit(0), 500)
}

const key = new Uint8Array(randomBytes(32))
const rlpx = new RLPx(key, {
  timeout: 10_000,
  maxPeers: 5,
  clientId: utf8ToBytes('ethereumjs-devp2p/interop'),
  capabilities: [{ name: 'eth', version: 28, length: 18, constructor: Eth28 }],
})
rlpx.events.on('error', (error) => fail(error))
rlpx.events.on('peer:error', (_, error) => fail(error))
setTimeout(() => fail('20 seconds are over'), 20_000)

const [command, enode] = process.argv.slice(2)
if (command === 'dial') {
  const url = new URL(enode)
  rlpx.connect({ id: hexToBytes(`0x${url.username}`), address: url.hostname, tcpPort: Number(url.port) }).catch(fail)
} else if (command === 'listen') {
  rlpx.events.once('listening', () => {
    const id = bytesToHex(pk2id(secp256k1.getPublicKey(key, false))).slice(2)
    console.log(`enode://${id}@127.0.0.1:${rlpx._server.address().port}`)
  })
  rlpx.listen(0, '127.0.0.1')
} else {
  fail('usage: node peer.mjs dial ENODE | listen')
}
