'use strict';
// What this binding promises beyond the conformance script, in one driver.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Replica, getLoadablePath, load, sync } = require('crsql');

function openIn(driver, folder) {
  return async (name, table = 'CREATE TABLE t(k PRIMARY KEY NOT NULL, v)') => {
    const db = driver.open(path.join(folder, `${name}.db`));
    const all = (sql, params) => driver.all(db, sql, params);
    // Where there is a table, the replica loads the library itself.
    if (!table) await load(db);
    const replica = new Replica(db);
    if (table) {
      await all(table);
      await replica.enable('t');
    }
    return { db, all, replica, close: () => driver.close(db) };
  };
}

async function withLibrary(named, run) {
  process.env.CRSQL_LIBRARY = named;
  try {
    return await run();
  } finally {
    delete process.env.CRSQL_LIBRARY;
  }
}

async function loading(driver, folder) {
  const db = driver.open(path.join(folder, 'a.db'));
  await load(db);
  await load(db);
  const [row] = await driver.all(db, 'SELECT crsql_version() AS version');
  assert.equal(row.version, require('crsql/package.json').version);
  const again = `SELECT load_extension('${getLoadablePath()}')`;
  await assert.rejects(async () => driver.all(db, again), /not authorized/);
  if (db.enableLoadExtension) {
    assert.throws(() => db.loadExtension(getLoadablePath()), /extension loading is not allowed/);
  }
  await driver.close(db);
}

async function namedLibrary(driver, folder) {
  const copy = path.join(folder, `crsql-2${path.extname(getLoadablePath())}`);
  fs.copyFileSync(getLoadablePath(), copy);
  await withLibrary(copy, async () => {
    assert.equal(getLoadablePath(), copy);
    const db = driver.open(':memory:');
    await load(db);
    await driver.all(db, 'SELECT crsql_version()');
    await driver.close(db);
  });
  await withLibrary(path.relative('.', copy), () => assert.equal(getLoadablePath(), copy));
  await withLibrary(path.join(folder, 'none.so'), async () => {
    const db = driver.open(':memory:');
    const loading = async () => load(db);
    await assert.rejects(loading, /CRSQL_LIBRARY names .*none\.so, and there is no such file/);
    await driver.close(db);
  });
}

async function noLibrary(driver, folder) {
  const text = path.join(folder, 'crsql.so');
  fs.writeFileSync(text, 'not a library');
  await withLibrary(text, async () => {
    const db = driver.open(':memory:');
    const use = async () => new Replica(db).vector();
    await assert.rejects(use, (error) => error.message.includes(text));
    const again = `SELECT load_extension('${getLoadablePath()}')`;
    await assert.rejects(async () => driver.all(db, again), /not authorized/);
    await driver.close(db);
  });
}

async function wrongObject() {
  for (const wrong of [undefined, null, 'a.db', {}, { db: {} }]) {
    assert.throws(() => new Replica(wrong), /is not a connection of better-sqlite3/);
    assert.throws(() => load(wrong), TypeError);
  }
}

async function shape(driver, folder) {
  const { replica, all, close } = await openIn(driver, folder)('a');
  await all("INSERT INTO t VALUES ('k', 1)");
  const vector = replica.vector();
  assert.equal(vector instanceof Promise, driver.later === true);
  assert.equal(typeof (await vector), 'string');
  const changeset = await replica.pull();
  assert.ok(changeset instanceof Uint8Array);
  assert.equal((await replica.pull(null)).length, changeset.length);
  assert.equal(await replica.pull(await replica.vector()), null);
  const report = await replica.apply(changeset);
  const keys = ['applied', 'cut', 'held', 'new', 'superseded', 'tables', 'vector'];
  assert.deepEqual(Object.keys(report).sort(), keys);
  assert.equal(await replica.enable('t'), undefined);
  await close();
}

const VALUES = [
  ["'integer'", '2', 2n],
  ["'whole real'", '2.0', 2],
  ["'real'", '2.5', 2.5],
  ["'large real'", '1e300', 1e300],
  ["'infinite'", '9e999', Infinity],
  ["'2^53 + 1'", '9007199254740993', 9007199254740993n],
  ["'least'", '-9223372036854775807 - 1', -9223372036854775808n],
  ["'most'", '9223372036854775807', 9223372036854775807n],
  ["'text'", "'é🐘'", 'é🐘'],
  ["'a NUL'", "'a' || char(0) || 'b'", 'a\0b'],
  ["'a mark'", 'char(0xFEFF)', '\uFEFF'],
  ["'no text'", "''", ''],
  ["'blob'", "x'00ff'", new Uint8Array([0, 255])],
  ["'no bytes'", "x''", new Uint8Array(0)],
  ["'null'", 'NULL', null],
  ['7', "'a key of another class'", 'a key of another class'],
];

async function values(driver, folder) {
  const open = openIn(driver, folder);
  const [a, b] = [await open('a'), await open('b')];
  for (const [key, sql] of VALUES) await a.all(`INSERT INTO t VALUES (${key}, ${sql})`);
  const got = [];
  await b.all('BEGIN');
  for await (const change of a.replica.changes()) {
    got.push(change.val);
    for (const key of ['col_version', 'db_version', 'cl', 'seq']) {
      assert.ok(Number.isSafeInteger(change[key]));
    }
    await b.replica.insert(change);
  }
  await b.all('COMMIT');
  const plain = (val) => (val instanceof Uint8Array ? [...val] : val);
  assert.deepEqual(got.map(plain), VALUES.map(([, , val]) => plain(val)));
  const sql = 'SELECT hex(k) AS k, typeof(v) AS type, quote(v) AS v, hex(v) AS h FROM t ORDER BY k';
  assert.deepEqual(await b.all(sql), await a.all(sql));
  const digest = 'SELECT crsql_digest() AS d';
  assert.deepEqual(await b.all(digest), await a.all(digest));
  await a.close();
  await b.close();
}

async function notUtf8(driver, folder) {
  const open = openIn(driver, folder);
  const [a, b] = [await open('a'), await open('b')];
  await a.all("INSERT INTO t VALUES (1, CAST(x'ff41' AS TEXT))");
  const read = async () => {
    for await (const change of a.replica.changes()) assert.fail(change.val);
  };
  await assert.rejects(read, /column v of table t is not valid UTF-8.*pull\(\) and apply\(\)/);
  await sync(a.replica, b.replica);
  const [row] = await b.all('SELECT hex(v) AS v FROM t');
  assert.equal(row.v, 'FF41');
  await a.close();
  await b.close();
}

async function clock(driver, folder) {
  const { replica, all, close } = await openIn(driver, folder)('a');
  await all("INSERT INTO t VALUES ('k', 1)");
  const exact = 'SELECT CAST(col_version AS TEXT) AS stamp FROM crsql_changes';
  for await (const { col_version } of replica.changes()) {
    const [row] = await all(exact);
    assert.equal(String(col_version), row.stamp);
    assert.ok(col_version < 2 ** 52);
  }
  // A peer that makes stamps up is not read as something else.
  await all(
    'INSERT INTO crsql_changes VALUES ' +
      "('t', crsql_pack_columns(1), 'v', 1, 9007199254740993, 7, zeroblob(16), 1, 0)",
  );
  const read = async () => {
    for await (const { col_version } of replica.changes()) assert.ok(col_version < 2 ** 52);
  };
  await assert.rejects(read, /col_version .* is 2\^53 or more|too large to be represented/);
  await close();
}

async function lazily(driver, folder) {
  const { replica, all, close } = await openIn(driver, folder)('a');
  await all(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO t SELECT i, i FROM n`);
  if (!driver.later) {
    let iterated = 0;
    for (const { val } of replica.changes()) assert.equal(val, BigInt((iterated += 1)));
    assert.equal(iterated, 500);
  }
  for await (const { val } of replica.changes()) {
    assert.equal(val, 1n);
    break;
  }
  // Would fail if the statement were still being read.
  await all('DROP TABLE t');
  const since = await replica.vector();
  for await (const change of replica.changes(since)) assert.fail(change.table);
  await close();
}

async function distant(driver, folder) {
  const open = openIn(driver, folder);
  const [a, b] = [await open('a'), await open('b')];
  await a.all("INSERT INTO t VALUES ('a', 1)");
  await b.all("INSERT INTO t VALUES ('b', 2)");
  const peer = {
    vector: async () => b.replica.vector(),
    pull: async (since, maxBytes) => b.replica.pull(since, maxBytes),
    apply: async (changeset) => b.replica.apply(changeset),
  };
  assert.ok(sync(a.replica, peer) instanceof Promise);
  await sync(a.replica, peer);
  for (const { all } of [a, b]) assert.equal((await all('SELECT * FROM t')).length, 2);
  const near = sync(a.replica, b.replica);
  assert.equal(near instanceof Promise, driver.later === true);
  await near;
  const failing = { ...peer, vector: () => Promise.reject(new Error('no network')) };
  await assert.rejects(async () => sync(a.replica, failing), /no network/);
  await a.close();
  await b.close();
}

async function inParts(driver, folder) {
  const open = openIn(driver, folder);
  const [a, b] = [await open('a'), await open('b')];
  for (let key = 0; key < 20; key += 1) await a.all(`INSERT INTO t VALUES (${key}, 'v')`);
  let pulls = 0;
  const peer = {
    vector: () => a.replica.vector(),
    pull: (since) => ((pulls += 1), a.replica.pull(since, 200)),
    apply: (changeset) => a.replica.apply(changeset),
  };
  await sync(peer, b.replica);
  assert.ok(pulls > 2);
  assert.equal((await b.all('SELECT * FROM t')).length, 20);
  // A side that is given the same for ever, as where a clock is ahead.
  const changeset = await a.replica.pull();
  pulls = 0;
  const stuck = { ...peer, pull: () => ((pulls += 1), changeset), apply: () => ({ new: false }) };
  await sync(stuck, b.replica);
  assert.equal(pulls, 1);
  await a.close();
  await b.close();
}

async function bare(driver, folder) {
  const { replica, close } = await openIn(driver, folder)('a', null);
  assert.equal(await replica.pull(), null);
  for await (const change of replica.changes(await replica.vector())) assert.fail(change.table);
  await close();
}

const all = {
  'loads, twice too, and leaves extension loading off': loading,
  'CRSQL_LIBRARY names another library': namedLibrary,
  'a file that is no library is named, and extension loading is off after it': noLibrary,
  'what is no connection is refused': wrongObject,
  'the methods give what they promise': shape,
  'values survive changes() and insert() exactly': values,
  'a text that no string can hold is refused, and travels in changesets': notUtf8,
  'a clock stays below 2^53, and what does not is refused': clock,
  'changes are read lazily, and leaving the loop frees the connection': lazily,
  'sync takes peers that answer later': distant,
  'sync goes on until nothing is new': inParts,
  'a file without replicated tables has nothing to give': bare,
};

function cases(driver) {
  return Object.entries(all).map(([name, test]) => ({
    name,
    run: (folder) => test(driver, folder),
  }));
}

module.exports = { cases, openIn, withLibrary };
