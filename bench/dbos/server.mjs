// A workflow with one step on DBOS, behind the request that write.lua makes: the key is the
// workflow's id, the answer comes when its result is there. The step is trivial and in process, as
// Trued's target is. Arguments: the database's URL, the name of this executor, connections.
import { DBOS } from '@dbos-inc/dbos-sdk';
import http from 'node:http';

const [url, executor, connections] = process.argv.slice(2);
const content = new Map();

const write = DBOS.registerWorkflow(
  async (artifact) =>
    DBOS.runStep(
      async () => {
        content.set(artifact.path, artifact.content);
        return artifact.path;
      },
      { name: 'put' },
    ),
  { name: 'write' },
);

async function answer(body) {
  const { key, input } = JSON.parse(body);
  const handle = await DBOS.startWorkflow(write, { workflowID: key })(input.artifacts[0]);
  return { key, written: await handle.getResult() };
}

const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    answer(Buffer.concat(parts).toString()).then(
      (done) => {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify(done));
      },
      (error) => {
        response.writeHead(500, { 'Content-Type': 'text/plain' });
        response.end(String(error));
      },
    );
  });
});

DBOS.setConfig({
  name: 'bench',
  systemDatabaseUrl: url,
  systemDatabasePoolSize: Number(connections),
  executorID: executor,
  applicationVersion: '1',
  logLevel: 'error',
});
await DBOS.launch();
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ event: 'listening', address: `127.0.0.1:${server.address().port}` }));
});
