/* Drives the official client for a test: one request a line on standard input, answers on standard output.
 *
 *   {id, op:"client", options}              a new client; the answer is its number
 *   {id, op:"call", client, path, args}     client.PATH(...args); null arguments are left out
 *   {id, op:"pages", client, path, args}    the same, and every item of every page
 *   {id, op:"stream", client, path, args}   answered once the head of the stream is there; then {stream, event}
 *                                           for each event, and {stream, end, error?} at its end
 *   {id, op:"abort", stream}                ends a stream from our side
 *   {id, op:"accumulate", events}           folds events as the client's own accumulator does
 *   {id, op:"requests", client}             what it put on the wire since the last question
 */
'use strict';
const readline = require('node:readline');
const Anthropic = require('@anthropic-ai/sdk');
const { accumulateManagedAgentsEvent } = require('@anthropic-ai/sdk/lib/sessions/accumulate');
const { recorder } = require('./recorder.cjs');

const clients = [];
const streams = new Map();

const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');

function described(error) {
  const detail = error.error && error.error.error;
  return {
    class: error.constructor.name,
    status: error.status === undefined ? null : error.status,
    type: (detail && detail.type) || null,
    message: (detail && detail.message) || error.message,
    details: (detail && detail.details) || null,
    body: error.error === undefined ? null : error.error,
    request_id: error.requestID || null,
    retry: error.headers ? error.headers.get('x-should-retry') : null,
  };
}

function bound(request) {
  const names = request.path.split('.');
  const last = names.pop();
  const owner = names.reduce((value, name) => value[name], clients[request.client].client);
  return (args) => owner[last](...args.map((value) => (value === null ? undefined : value)));
}

async function follow(id, stream) {
  try {
    for await (const event of stream) say({ stream: id, event });
    say({ stream: id, end: true });
  } catch (error) {
    say({ stream: id, end: true, error: described(error) });
  }
  streams.delete(id);
}

const operations = {
  client(request) {
    const requests = recorder();
    clients.push({ client: new Anthropic.Anthropic({ ...request.options, fetch: requests.fetch }), requests });
    return clients.length - 1;
  },
  async call(request) {
    const result = await bound(request)(request.args);
    return result === undefined ? null : result;
  },
  async pages(request) {
    const items = [];
    for await (const item of bound(request)(request.args)) items.push(item);
    return items;
  },
  async stream(request) {
    const stream = await bound(request)(request.args);
    streams.set(request.id, stream);
    setImmediate(follow, request.id, stream);
    return request.id;
  },
  abort(request) {
    const stream = streams.get(request.stream);
    if (stream) stream.controller.abort();
    return null;
  },
  accumulate(request) {
    return request.events.reduce((snapshot, event) => accumulateManagedAgentsEvent(snapshot, event), undefined);
  },
  requests(request) {
    return clients[request.client].requests.take();
  },
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const request = JSON.parse(line);
  try {
    const result = await operations[request.op](request);
    say({ id: request.id, result: result === undefined ? null : result });
  } catch (error) {
    say({ id: request.id, error: described(error) });
  }
}).on('close', () => process.exit(0));
