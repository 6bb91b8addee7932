// Ask DTrove for a cluster over RabbitMQ and wait until it is active. Plain AMQP: amqplib is all that this needs.
//
//     AMQP_URI=amqp://... DTROVE_TOKEN=... node request_cluster.js NAME [DATASTORE] [FLAVOR]
//
// Prints one line of JSON. Ends with 0 when the cluster is active, with 1 when it failed, and with 2 when no answer came
// within DTROVE_SECONDS (600): a wish that DTrove refused shows, with its reason, in `dtrove parked list`.

import { randomUUID } from 'node:crypto'
import amqp from 'amqplib'

const WISHES = 'external.events'
const ANSWERS = 'datastore_agentless.events'

const [name, datastore = 'pgsql 15', flavor = 'small'] = process.argv.slice(2)
if (!name) {
  console.error('usage: node request_cluster.js NAME [DATASTORE] [FLAVOR]')
  process.exit(64)
}

// The id is ours to choose: every event about the cluster bears it, so the answer is known when it comes.
const clusterId = randomUUID()
const connection = await amqp.connect(process.env.AMQP_URI)
const channel = await connection.createConfirmChannel()
await channel.checkExchange(WISHES)
await channel.checkExchange(ANSWERS)

// Listen before asking, or the answer may be gone before we do. The queue is ours alone and ends with us.
const { queue } = await channel.assertQueue('', { exclusive: true })
await channel.bindQueue(queue, ANSWERS, 'cluster.active')
await channel.bindQueue(queue, ANSWERS, 'cluster.failed')
const answered = new Promise((resolve) => {
  const hear = (message) => {
    const event = JSON.parse(message.content.toString())
    if (event.cluster_id === clusterId) resolve(event)
  }
  channel.consume(queue, hear, { noAck: true })
})

await publish('cluster.requested', {
  event_id: randomUUID(),
  occurred_at: new Date().toISOString(),
  token: process.env.DTROVE_TOKEN,
  cluster_id: clusterId,
  // The same as the body of POST /v1/clusters.
  cluster: { name, datastore, flavor, size: 1 }
})
console.error(`asked for ${name} as ${clusterId}`)

const answer = await Promise.race([answered, silence(Number(process.env.DTROVE_SECONDS ?? 600))])
if (answer === undefined) {
  console.error('no answer; was the wish refused? `dtrove parked list` says so')
  process.exitCode = 2
} else if (answer.problem) {
  console.log(JSON.stringify({ cluster: clusterId, status: 'failed', reason: answer.problem.message }))
  process.exitCode = 1
} else {
  console.log(JSON.stringify({ cluster: clusterId, status: 'active', url: answer.endpoint.url }))
}
await connection.close()

// Send a wish; resolves when the broker has it on disk, and throws where nobody would get it.
async function publish (topic, body) {
  let returned = false
  channel.once('return', () => { returned = true })
  const options = { persistent: true, mandatory: true, contentType: 'application/json', contentEncoding: 'utf-8' }
  channel.publish(WISHES, topic, Buffer.from(JSON.stringify(body)), options)
  await channel.waitForConfirms()
  if (returned) throw new Error('nobody listens on external.events: does DTrove run?')
}

function silence (seconds) {
  return new Promise((resolve) => { setTimeout(resolve, seconds * 1000).unref() })
}
