// Usage: node client.js SOCKET PROJECT. Prints one JSON object with what the daemon answered.
'use strict';

const { connect } = require('net');
const {
  createMessageConnection, ErrorCodes, ResponseError, StreamMessageReader, StreamMessageWriter,
} = require('vscode-jsonrpc/node');

const [socketPath, project] = process.argv.slice(2);
const socket = connect(socketPath);
const daemon = createMessageConnection(new StreamMessageReader(socket), new StreamMessageWriter(socket));
daemon.onError(([error]) => { throw error; });
daemon.listen();

async function denial(method, params) {
  try {
    await daemon.sendRequest(method, params);
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    return { code: error.code, message: error.message, data: error.data };
  }
  throw new Error(`${method} was not denied`);
}

(async () => {
  const early = await denial('task.start', { title: 'Too early', summary: 'Before hello.' });
  const hello = await daemon.sendRequest('hello', {
    protocol: 1, client: 'vscode-jsonrpc', project_root: project, actor: 'node', session: 'sür',
  });
  const task = await daemon.sendRequest('task.start', {
    title: 'From an editor – ünïcode 🚀', summary: 'Written through vscode-jsonrpc.', _meta: { key: 'node-1' },
  });
  const again = await daemon.sendRequest('task.start', {
    title: 'From an editor – ünïcode 🚀', summary: 'Written through vscode-jsonrpc.', _meta: { key: 'node-1' },
  });
  daemon.sendNotification('task.start', { title: 'Told', summary: 'A notification.' });
  // Side by side, answered in any order.
  const parallel = await Promise.all(Array.from({ length: 100 }, (_, number) => daemon.sendRequest(
    'gotcha.add', { title: `Gotcha ${number}`, summary: 'One of many.', body: 'x'.repeat(1000) },
  )));
  const denied = await denial('task.start', { title: 'No summary' });
  const unknown = await denial('no.such.method', {});
  const digest = await daemon.sendRequest('session.digest', { limit: 3 });
  const status = await daemon.sendRequest('status');
  console.log(JSON.stringify({
    early, hello, task, again, parallel: new Set(parallel.map((reply) => reply.id)).size, denied, unknown, digest,
    status, method_not_found: ErrorCodes.MethodNotFound,
  }));
  daemon.dispose();
  socket.end();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
