// A WebSocket client on npm's ws: node ws.mjs URL [ORIGIN]
// One request, one batch and one answer that is an error, over one connection. The last line of stdout is JSON.

import WebSocket from 'ws'

const [url, origin] = process.argv.slice(2)
const socket = new WebSocket(url, origin ? { origin } : {})

function fail(why) {
  console.error(`ws.mjs: ${why}`)
  process.exit(1)
}
setTimeout(() => fail('20 seconds are over'), 20_000)
socket.on('error', (error) => fail(error.message))

const next = () =>
  new Promise((resolve) => socket.once('message', (data) => resolve(JSON.parse(data.toString()))))
const ask = (message) => {
  const answer = next()
  socket.send(JSON.stringify(message))
  return answer
}
const request = (id, method, ...params) => ({ jsonrpc: '2.0', id, method, params })

socket.on('open', async () => {
  const chain = await ask(request(1, 'eth_chainId'))
  const batch = await ask([request(2, 'eth_blockNumber'), request(3, 'eth_getBlockByNumber', 'latest', true)])
  const error = await ask(request('four', 'eth_noSuchMethod'))
  if (chain.id !== 1 || batch.length !== 2 || error.id !== 'four' || error.error.code !== -32601) {
    fail(JSON.stringify([chain, batch, error]))
  }
  const ponged = new Promise((resolve) => socket.once('pong', resolve))
  socket.ping()
  await ponged
  const byId = Object.fromEntries(batch.map((answer) => [answer.id, answer.result]))
  console.log(JSON.stringify({ chainId: chain.result, number: byId[2], hash: byId[3].hash }))
  socket.close()
})
socket.on('close', () => process.exit(0))
