// Usage: node client.js SOCKET PROJECT. Prints one JSON object with what the daemon answered.
'use strict';

const { connect } = require('net');
const { PassThrough } = require('stream');
const {
  CancellationTokenSource, createMessageConnection, ErrorCodes, ResponseError, StreamMessageReader,
  StreamMessageWriter,
} = require('vscode-jsonrpc/node');

const [socketPath, project] = process.argv.slice(2);
const socket = connect(socketPath);
// What is written can be held back, so that several messages arrive in one piece.
let held;
const output = new PassThrough();
output.on('data', (chunk) => (held ? held.push(chunk) : socket.write(chunk)));
const daemon = createMessageConnection(new StreamMessageReader(socket), new StreamMessageWriter(output));
daemon.onError(([error]) => { throw error; });
daemon.listen();

async function denial(method, params, ...token) {
  try {
    await daemon.sendRequest(method, params, ...token);
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

  const subscribed = await daemon.sendRequest('journal.subscribe', {});
  const told = new Promise((resolve) => daemon.onNotification('journal.changed', resolve));
  await daemon.sendRequest('task.start', { title: 'Told', summary: 'Heard by the subscription.' });
  const changed = await told;
  const page = await daemon.sendRequest('journal.read', { since: subscribed.cursor });
  const unsubscribed = await daemon.sendRequest('journal.unsubscribe', { subscription: subscribed.subscription });

  held = [];
  const source = new CancellationTokenSource();
  const cancelled = denial('session.digest', {}, source.token);
  await new Promise(setImmediate);
  source.cancel();
  // Messages are written one after the other, so once this one is, the others are.
  await daemon.sendNotification('$/setTrace', { value: 'off' });
  socket.write(Buffer.concat(held));
  held = undefined;

  console.log(JSON.stringify({
    early, hello, task, again, parallel: new Set(parallel.map((reply) => reply.id)).size, denied, unknown, digest,
    status, method_not_found: ErrorCodes.MethodNotFound, subscribed, changed, page, unsubscribed,
    cancelled: await cancelled,
  }));
  daemon.dispose();
  socket.end();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
