'use strict';
// Replica.watch() in one driver.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { sync } = require('crsql');
const { openIn } = require('./behaviour.cjs');

const INTERVAL_MS = 5;
const PAUSE_MS = 100;

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
// Timers of a watch keep no process alive, so a test that waits for one has its own.
const soon = (promise) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('nothing was told within 5 seconds')), 5000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};
// What is told from the beginning of a write until `tables` have been. Once or more often each.
async function told(watch, tables, write) {
  const seen = new Set();
  let note;
  const all = new Promise((resolve) => {
    note = (event) => {
      event.tables.forEach((table) => seen.add(table));
      if (tables.every((table) => seen.has(table))) resolve();
    };
  });
  watch.on('change', note);
  await write();
  await soon(all);
  // What was in flight is told before the next write.
  await pause();
  watch.off('change', note);
  assert.deepEqual([...seen].sort(), tables);
}

async function byWhomever(driver, folder) {
  const open = openIn(driver, folder);
  const [a, b] = [await open('a'), await open('b')];
  for (const { all, replica } of [a, b]) {
    await all('CREATE TABLE "other one"(k PRIMARY KEY NOT NULL)');
    await replica.enable('other one');
  }
  await a.all("INSERT INTO t VALUES ('old', 1)");
  const watch = await a.replica.watch({ interval: INTERVAL_MS });
  await told(watch, ['t'], () => a.all("INSERT INTO t VALUES ('own', 1)"));

  const other = await open('a', null);
  const insert = "INSERT INTO \"other one\" VALUES ('from another connection')";
  await told(watch, ['other one'], () => other.all(insert));
  await other.close();

  await b.all("INSERT INTO t VALUES ('remote', 1)");
  await b.all("INSERT INTO \"other one\" VALUES ('remote')");
  const changeset = await b.replica.pull(await a.replica.vector());
  await told(watch, ['other one', 't'], () => a.replica.apply(changeset));
  watch.stop();
  await a.close();
  await b.close();
}

// README.md said that nothing is ever not told. What insert() puts in is told when the file counts
// it as seen.
async function rowByRow(driver, folder) {
  const open = openIn(driver, folder);
  const [a, b] = [await open('a'), await open('b')];
  await b.all('CREATE TABLE own(k PRIMARY KEY NOT NULL)');
  await b.replica.enable('own');
  const events = [];
  const watch = await b.replica.watch({ interval: INTERVAL_MS });
  const insert = async (key) => {
    await a.all('INSERT INTO t VALUES (?, 1)', [key]);
    const changes = [];
    for await (const change of a.replica.changes(await b.replica.vector())) changes.push(change);
    for (const change of changes) await b.replica.insert(change);
  };
  watch.on('change', (event) => events.push(event));
  await insert('k');
  await pause();
  assert.deepEqual(events, []);
  assert.equal((await b.all('SELECT * FROM t')).length, 1);
  await told(watch, ['own'], () => b.all("INSERT INTO own VALUES ('k')"));
  const seen = [await a.replica.vector()];
  await told(watch, ['t'], () => b.all('SELECT crsql_seen(?)', seen));
  await insert('l');
  await told(watch, ['t'], () => sync(a.replica, b.replica));
  watch.stop();
  await a.close();
  await b.close();
}

async function byAnotherProcess(driver, folder) {
  const { replica, close } = await openIn(driver, folder)('a');
  const watch = await replica.watch({ interval: INTERVAL_MS });
  await told(watch, ['t'], async () => {
    assert.equal((await start('write', driver, folder)).code, 0);
  });
  watch.stop();
  await close();
}

async function quiet(driver, folder) {
  const { replica, all, close } = await openIn(driver, folder)('a');
  await all('CREATE TABLE plain(v)');
  const watch = await replica.watch({ interval: INTERVAL_MS });
  const events = [];
  watch.on('change', (event) => events.push(event));
  await all('INSERT INTO plain VALUES (1)');
  await all('BEGIN');
  await all("INSERT INTO t VALUES ('not kept', 1)");
  await pause();
  await all('ROLLBACK');
  await pause();
  assert.deepEqual(events, []);
  await told(watch, ['t'], () => all("INSERT INTO t VALUES ('kept', 1)"));
  watch.stop();
  const before = events.length;
  assert.equal(watch.stopped, true);
  watch.stop();
  await all("INSERT INTO t VALUES ('after', 1)");
  await pause();
  assert.equal(events.length, before);
  await close();
}

async function loops(driver, folder) {
  const { replica, all, close } = await openIn(driver, folder)('a');
  const watch = await replica.watch({ interval: INTERVAL_MS });
  const first = watch[Symbol.asyncIterator]();
  const next = first.next();
  await all("INSERT INTO t VALUES ('one', 1)");
  assert.deepEqual(await soon(next), { value: { tables: ['t'] }, done: false });
  // What comes while nobody waits is told as one.
  await all("INSERT INTO t VALUES ('two', 2)");
  await pause();
  await all("INSERT INTO t VALUES ('three', 3)");
  await pause();
  assert.deepEqual((await soon(first.next())).value, { tables: ['t'] });
  const last = first.next();
  watch.stop();
  assert.equal((await soon(last)).done, true);

  const left = await replica.watch({ interval: INTERVAL_MS });
  setTimeout(() => all("INSERT INTO t VALUES ('four', 4)"), INTERVAL_MS);
  const loop = async () => {
    for await (const { tables } of left) return tables;
  };
  assert.deepEqual(await soon(loop()), ['t']);
  assert.equal(left.stopped, true);
  await close();
}

async function inTheWay(driver, folder) {
  const open = openIn(driver, folder);
  const a = await open('a');
  await a.all("INSERT INTO t VALUES ('k', 1)");
  await a.all('PRAGMA busy_timeout = 0');
  const watch = await a.replica.watch({ interval: INTERVAL_MS });
  const events = [];
  watch.on('change', (event) => events.push(event));
  watch.on('error', (error) => assert.fail(error));
  await a.all('BEGIN');
  await a.all('UPDATE t SET v = 2');
  await pause();
  assert.deepEqual(events, []);
  await told(watch, ['t'], () => a.all('COMMIT'));

  const other = await open('a', null);
  await other.all('PRAGMA busy_timeout = 10000');
  await other.all('BEGIN EXCLUSIVE');
  await other.all("INSERT INTO t VALUES ('l', 1)");
  const before = events.length;
  await pause();
  assert.equal(events.length, before);
  await told(watch, ['t'], () => other.all('COMMIT'));
  watch.stop();
  await other.close();
  await a.close();
}

async function closed(driver, folder) {
  const { replica, close } = await openIn(driver, folder)('a');
  const watch = await replica.watch({ interval: INTERVAL_MS });
  const errors = [];
  watch.on('error', (error) => errors.push(error));
  const ended = once(watch, 'close');
  await close();
  await soon(ended);
  assert.equal(watch.stopped, true);
  assert.deepEqual(errors, []);
}

async function cheaply(driver, folder) {
  const { db, replica, all, close } = await openIn(driver, folder)('a');
  const watch = await replica.watch({ interval: INTERVAL_MS });
  let asked = 0;
  for (const method of ['prepare', 'all'].filter((name) => name in db)) {
    const own = db[method].bind(db);
    db[method] = (sql, ...rest) => {
      if (sql.includes('crsql_vector')) asked += 1;
      return own(sql, ...rest);
    };
  }
  await pause();
  assert.equal(asked, 0);
  await all("INSERT INTO t VALUES ('k', 1)");
  await pause();
  assert.ok(asked > 0);
  watch.stop();
  await close();
}

async function failing(driver, folder) {
  const open = openIn(driver, folder);
  const { replica, close } = await open('a');
  const watch = await replica.watch({ interval: INTERVAL_MS });
  const failed = new Promise((resolve) => watch.once('error', resolve));
  const loop = assert.rejects(async () => {
    for await (const event of watch) assert.fail(JSON.stringify(event));
  }, /crsql_log/);
  const other = await open('a', null);
  await other.all('DROP TABLE crsql_log');
  await other.close();
  assert.match((await soon(failed)).message, /crsql_log/);
  await soon(loop);
  assert.equal(watch.stopped, true);
  await close();
}

async function listener(driver, folder) {
  const { replica, all, close } = await openIn(driver, folder)('a');
  const watch = await replica.watch({ interval: INTERVAL_MS });
  let calls = 0;
  watch.on('change', () => {
    calls += 1;
    watch.stop();
  });
  await all("INSERT INTO t VALUES ('one', 1)");
  await pause();
  await all("INSERT INTO t VALUES ('two', 2)");
  await pause();
  assert.equal(calls, 1);
  await close();
}

function start(what, driver, folder) {
  const child = spawn(
    process.execPath,
    [path.join(__dirname, 'child.cjs'), what, driver.name, folder],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let out = '';
  child.stdout.on('data', (data) => (out += data));
  const late = setTimeout(() => child.kill(), 20_000);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(late);
      resolve({ code, out });
    });
  });
}

async function ends(driver, folder) {
  const { code, out } = await start('watch', driver, folder);
  assert.deepEqual({ code, out: out.trim() }, { code: 0, out: 'told of t, and at the end' });
}

const all = {
  'watch tells own, other and remote writes': byWhomever,
  'watch tells what insert() put in when it is seen': rowByRow,
  'watch tells the writes of another process': byAnotherProcess,
  'watch tells nothing of other tables, of what is rolled back, and after stop': quiet,
  'watch is an async iterable': loops,
  'watch waits while a transaction or another connection is in the way': inTheWay,
  'watch ends with its connection': closed,
  'watch asks for no vector while nothing is written': cheaply,
  'watch says what failed': failing,
  'watch can be stopped by its listener': listener,
  'watch keeps no process alive': ends,
};

function cases(driver) {
  return Object.entries(all).map(([name, test]) => ({
    name,
    run: (folder) => test(driver, folder),
  }));
}

module.exports = { cases };
