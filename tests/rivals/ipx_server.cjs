// Serves a folder with ipx, under /_ipx/. Arguments: the folder and the port. NODE_PATH names where ipx is.
const { createServer } = require('node:http')
const { createIPX, createIPXNodeServer, ipxFSStorage } = require('ipx')

const [folder, port] = process.argv.slice(2)
const answer = createIPXNodeServer(createIPX({ storage: ipxFSStorage({ dir: folder }) }))
createServer((request, response) => {
  request.url = request.url.replace(/^\/_ipx(?=\/)/, '')
  answer(request, response)
}).listen(Number(port), '127.0.0.1')
