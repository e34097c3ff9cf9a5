// Has a picture made, follows it by websocket, and writes what it heard and got to stdout, for one person.
// Arguments: host and port, an API token, the workflow as JSON.
const { Client } = require('@stable-canvas/comfyui-client')
const WebSocket = require('ws')

const [host, token, workflow] = process.argv.slice(2)

async function main() {
  const authorization = { Authorization: `Bearer ${token}` }
  const client = new Client({
    api_host: host,
    fetch: async (url, more) => {
      const answer = await fetch(url, { ...more, headers: { ...more?.headers, ...authorization } })
      // The client takes the JSON of a refusal for whatever it asked for.
      if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
      return answer
    },
    WebSocket: class extends WebSocket {
      constructor(url) {
        super(url, { headers: authorization })
      }
    },
  })
  const heard = new Set()
  client.on('message', ({ data }) => heard.add(JSON.parse(data).data?.prompt_id))
  await client.connect()
  const { prompt_id, images } = await client.enqueue(JSON.parse(workflow))
  const picture = await fetch(images[0].data, { headers: authorization })
  const content = Buffer.from(await picture.arrayBuffer()).toString('base64')
  const { Running, Pending } = await client.getQueue()
  const { History } = await client.getHistory()
  client.close()
  const known = [...Running, ...Pending, ...History].map(({ prompt }) => prompt[1])
  console.log(JSON.stringify({ prompt_id, content, images: images.length, heard: [...heard].filter(Boolean), known }))
}

main()
