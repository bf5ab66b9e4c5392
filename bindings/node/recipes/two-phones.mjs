// Two phones that sync over HTTP, with Fastify: npm install crsql fastify
// One of them serves its vector and its changesets, the other one calls sync() with it. A server
// between many phones is no different: it is one more replica.
//
// It prints:
//   first has: written on the first, written on the second
//   second has: written on the first, written on the second
import { DatabaseSync } from 'node:sqlite';
import Fastify from 'fastify';
import { Replica, sync } from 'crsql';

function openPhone() {
  const db = new DatabaseSync(':memory:', { allowExtension: true });
  const replica = new Replica(db);
  db.exec('CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, body TEXT)');
  replica.enable('note');
  const write = (body) => db.prepare('INSERT INTO note VALUES (crsql_uuid7(), ?)').run(body);
  const read = db.prepare('SELECT body FROM note ORDER BY body');
  const notes = () => read.all().map((row) => row.body);
  return { replica, write, notes };
}

const BLOB = 'application/octet-stream';
const LIMIT_BYTES = 64 * 1024 * 1024;

function serve(replica) {
  const app = Fastify({ bodyLimit: LIMIT_BYTES });
  app.addContentTypeParser(BLOB, { parseAs: 'buffer' }, (request, body, done) => done(null, body));
  app.addContentTypeParser('text/plain', { parseAs: 'string' }, (request, body, done) => {
    done(null, body);
  });
  app.get('/vector', () => replica.vector());
  app.post('/changeset', (request, reply) => {
    const changeset = replica.pull(request.body, Number(request.query.max_bytes));
    if (!changeset) return reply.code(204).send();
    return reply.type(BLOB).send(Buffer.from(changeset));
  });
  app.put('/changeset', (request) => replica.apply(request.body));
  return app;
}

// What sync() asks of a side, asked of a distant one.
function distant(url) {
  const ask = async (path, method, type, body) => {
    const headers = type ? { 'content-type': type } : {};
    const answer = await fetch(url + path, { method, headers, body });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  };
  return {
    vector: async () => (await ask('/vector', 'GET')).text(),
    async pull(since, maxBytes) {
      const answer = await ask(`/changeset?max_bytes=${maxBytes}`, 'POST', 'text/plain', since);
      return answer.status === 204 ? null : new Uint8Array(await answer.arrayBuffer());
    },
    apply: async (changeset) => (await ask('/changeset', 'PUT', BLOB, changeset)).json(),
  };
}

const [first, second] = [openPhone(), openPhone()];
first.write('written on the first');
second.write('written on the second');

const app = serve(first.replica);
const url = await app.listen({ port: 0, host: '127.0.0.1' });
await sync(second.replica, distant(url));
await app.close();

console.log(`first has: ${first.notes().join(', ')}`);
console.log(`second has: ${second.notes().join(', ')}`);
