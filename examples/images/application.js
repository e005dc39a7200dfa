const server = require('node:http').createServer((_, response) => response.end('notes\n'))
server.listen(8000, () => console.log('listening on 8000'))
process.on('SIGTERM', () => server.close())
