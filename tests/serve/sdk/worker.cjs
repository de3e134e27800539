/* The official client's own environment worker, as a process of its own: worker.cjs OPTIONS-AS-JSON.
 *
 * ANTHROPIC_BASE_URL, ANTHROPIC_ENVIRONMENT_ID and ANTHROPIC_ENVIRONMENT_KEY say what it serves. Each request that
 * it made is a line of JSON on standard output; its log goes to standard error. SIGTERM asks it to end.
 */
'use strict';
const { Anthropic } = require('@anthropic-ai/sdk');
const { recorder } = require('./recorder.cjs');

const { fetch } = recorder((row) => process.stdout.write(JSON.stringify(row) + '\n'));
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());

// The worker must drop the parent's own key: the recorder would call it "other".
const log = console.error;
const logger = { error: log, warn: log, info: log, debug: log };
const client = new Anthropic({ apiKey: 'not-for-the-wire', logLevel: 'info', logger, fetch });
client.beta.environments.work
  .worker({
    environmentId: process.env.ANTHROPIC_ENVIRONMENT_ID,
    environmentKey: process.env.ANTHROPIC_ENVIRONMENT_KEY,
    ...JSON.parse(process.argv[2] || '{}'),
  })
  .run(stop.signal)
  .then(
    () => process.exit(0),
    (error) => {
      console.error(`worker ended: ${error}`);
      process.exit(stop.signal.aborted ? 0 : 1);
    },
  );
