'use strict';
// What reviews found in this binding, in one driver. Each says what happened.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Replica, getLoadablePath, load, sync } = require('crsql');
const { openIn, withLibrary } = require('./behaviour.cjs');

// node:sqlite opened with returnArrays gave undefined for every answer, and sync() merged nothing,
// without an error. Every statement of ours is now told to give objects, and every method is used
// here on connections that were opened in the modes that their driver has.
async function modes(driver, folder) {
  const { replica: from, all, close } = await openIn(driver, folder)('from');
  await all("INSERT INTO t VALUES ('k', 9007199254740993)");
  for (const db of driver.modes()) {
    const replica = new Replica(db);
    await driver.all(db, 'CREATE TABLE t(k PRIMARY KEY NOT NULL, v)');
    await replica.enable('t');
    assert.equal(typeof (await replica.vector()), 'string');
    const watch = await replica.watch({ interval: 5 });
    const told = new Promise((resolve) => watch.once('change', resolve));
    const report = await replica.apply(await from.pull(await replica.vector()));
    assert.equal(report.applied, 1);
    const waiting = setTimeout(() => {}, 5000);
    assert.deepEqual(await told, { tables: ['t'] });
    clearTimeout(waiting);
    watch.stop();
    assert.ok((await replica.pull()) instanceof Uint8Array);
    const changes = await read(replica);
    assert.deepEqual(changes.map(({ val }) => val), [9007199254740993n]);
    assert.equal(typeof changes[0].col_version, 'number');
    await replica.insert(changes[0]);
    await driver.close(db);
  }
  await close();
}

// A file that is no library was reported as "crsql.so.so: no such file": SQLite tries the name,
// then the name with the ending, and tells of the last. The ending is left to it now.
async function whyNot(driver, folder) {
  const garbage = path.join(folder, path.basename(getLoadablePath()));
  fs.writeFileSync(garbage, 'not a library');
  // Beside it, what the name without the ending would find.
  fs.mkdirSync(path.join(folder, 'crsql'));
  await withLibrary(garbage, async () => {
    const db = driver.open(':memory:');
    const ending = path.extname(garbage);
    await assert.rejects(async () => load(db), ({ message }) => {
      assert.ok(message.includes(`${garbage}: `), message);
      assert.ok(!message.includes(ending + ending), message);
      return true;
    });
    await driver.close(db);
  });
}

// A folder, and /dev/null, passed for the library and failed in the system's words. Only a file
// passes now.
async function noFile(driver, folder) {
  for (const other of [folder, '/dev/null']) {
    await withLibrary(other, () => assert.throws(getLoadablePath, /and there is no such file/));
  }
}

// With the package sqlite3 a replica whose first load failed said so for ever: it kept the promise.
// The next call now loads anew.
async function again(driver, folder) {
  const db = driver.open(':memory:');
  let replica;
  await withLibrary(path.join(folder, 'none.so'), async () => {
    const use = async () => (replica = new Replica(db)).vector();
    await assert.rejects(use, /and there is no such file/);
    if (replica) await assert.rejects(replica.vector(), /and there is no such file/);
  });
  assert.equal(replica !== undefined, driver.later === true);
  replica ??= new Replica(db);
  assert.equal(typeof (await replica.vector()), 'string');
  for await (const change of replica.changes()) assert.fail(change.table);
  await driver.close(db);
}

const PROMISE = /and was given a promise; await it first$/;

// Drivers took an object for named parameters and bound NULL for what they do not know: apply() of
// a promise gave null, pull() of one gave everything, and a NaN was no limit, without an error.
// Nothing gets to a driver now before its type was looked at.
async function wrongTypes(driver, folder) {
  const { replica, all, close } = await openIn(driver, folder)('a');
  await all("INSERT INTO t VALUES ('k', 1)");
  const refused = async (use, text, kind = TypeError) => {
    await assert.rejects(async () => use(), (error) => {
      assert.ok(error instanceof kind, error.stack);
      assert.match(error.message, /^crsql: /);
      assert.match(error.message, text);
      return true;
    });
  };
  const later = async () => replica.vector();
  const vector = await replica.vector();

  await refused(() => replica.enable(later()), PROMISE);
  for (const wrong of [undefined, null, {}, ['t'], 7]) {
    await refused(() => replica.enable(wrong), /enable\(\) takes the name of a table, a string/);
  }
  const reads = {
    pull: (since) => replica.pull(since),
    changes: async (since) => {
      for await (const change of replica.changes(since)) assert.fail(change.table);
    },
  };
  for (const [name, read] of Object.entries(reads)) {
    await refused(() => read(later()), PROMISE);
    for (const wrong of [{}, [], [vector], new Uint8Array(2), 0, 0n, false, () => vector]) {
      await refused(() => read(wrong), new RegExp(`${name}\\(\\) takes a vector`));
    }
    await assert.rejects(async () => read('{}'), /this is not a vector that crsql_vector\(\) made/);
  }
  for (const wrong of [5n, '5', {}, false]) {
    await refused(() => replica.pull(vector, wrong), /takes as maxBytes a whole number/);
  }
  for (const wrong of [NaN, 0, -1, 1.5, Infinity, 2 ** 53]) {
    await refused(() => replica.pull(null, wrong), /maxBytes.* given (NaN|-?\d|Inf)/, RangeError);
  }
  await refused(() => replica.apply(later()), PROMISE);
  for (const wrong of [undefined, {}, [], [1, 2], 'changes', new ArrayBuffer(2), 0n]) {
    await refused(() => replica.apply(wrong), /apply\(\) takes a changeset/);
  }
  const [change] = await read(replica);
  await refused(() => replica.insert(Promise.resolve(change)), PROMISE);
  for (const wrong of [undefined, null, 'change']) {
    await refused(() => replica.insert(wrong), /insert\(\) takes a change as changes\(\) gives it/);
  }
  for (const [key, wrong] of Object.entries(WRONG)) {
    for (const one of wrong) {
      await refused(() => replica.insert({ ...change, [key]: one }), new RegExp(`whose ${key} is`));
    }
  }
  await close();
}

const WRONG = {
  table: [undefined, null, {}, 1],
  pk: [undefined, null, 'pk', {}],
  cid: [undefined, null, {}, -1],
  val: [undefined, NaN, true, new Date(), {}, [1], Promise.resolve(1)],
  col_version: [undefined, null, '1', 1n, NaN, 1.5],
  db_version: [undefined, {}],
  site_id: [undefined, null, 'site'],
  cl: [undefined, {}],
  seq: [undefined, {}],
};

async function read(replica) {
  const changes = [];
  for await (const change of replica.changes()) changes.push(change);
  return changes;
}

// What was refused as an object, or gave everything, though it is the natural thing to pass: the
// vector of a report, and null, which is what pull() gives when there is nothing.
async function natural(driver, folder) {
  const open = openIn(driver, folder);
  const [a, b] = [await open('a'), await open('b')];
  await a.all("INSERT INTO t VALUES ('k', 1)");
  const { vector } = await b.replica.apply(await a.replica.pull());
  assert.equal(typeof vector, 'object');
  assert.equal(await a.replica.pull(vector), null);
  for await (const change of a.replica.changes(vector)) assert.fail(change.table);
  await a.all("INSERT INTO t VALUES ('l', 1)");
  const report = await b.replica.apply(await a.replica.pull(vector, null));
  assert.equal(report.applied, 1);
  assert.equal(await b.replica.apply(await a.replica.pull(report.vector)), null);
  assert.ok((await a.replica.pull(undefined, undefined)) instanceof Uint8Array);
  await a.close();
  await b.close();
}

// A BigInt beyond 64 bits was put in as the greatest integer there is. It is refused now.
async function wide(driver, folder) {
  const { replica, all, close } = await openIn(driver, folder)('a');
  await all("INSERT INTO t VALUES ('k', 1)");
  const [change] = await read(replica);
  for (const val of [2n ** 63n, -(2n ** 63n) - 1n, 10n ** 30n]) {
    await assert.rejects(async () => replica.insert({ ...change, val }), (error) => {
      assert.ok(error instanceof RangeError, error.stack);
      assert.match(error.message, /^crsql: .* 64 bits/);
      return true;
    });
  }
  await close();
}

// An interval that is no time made a watch that looked all the time, or once in a blue moon, and
// said nothing. It is refused now.
async function intervals(driver, folder) {
  const { replica, close } = await openIn(driver, folder)('a');
  for (const interval of [NaN, 0, -1, Infinity, 2 ** 31, null, 'x', '5', 5n, {}]) {
    const kind = typeof interval === 'number' ? RangeError : TypeError;
    await assert.rejects(async () => replica.watch({ interval }), (error) => {
      assert.ok(error instanceof kind, error.stack);
      assert.match(error.message, /^crsql: watch\(\) takes as interval a number of milliseconds/);
      return true;
    });
  }
  for (const interval of [0.5, 2 ** 31 - 1, undefined]) {
    (await replica.watch({ interval })).stop();
  }
  await close();
}

const OPEN = /crsql: sync: a transaction is open on one of the two; COMMIT it first, or use pull/;

// sync() in an open transaction stopped after the first part, 16 MiB, and said nothing; where the
// other side had one, it failed when one way was done. It does nothing now while one is open.
async function openTransaction(driver, folder) {
  const open = openIn(driver, folder);
  const sides = [await open('a'), await open('b')];
  const [a, b] = sides;
  const peer = {
    vector: async () => b.replica.vector(),
    pull: async (since, maxBytes) => b.replica.pull(since, maxBytes),
    apply: async (changeset) => b.replica.apply(changeset),
  };
  for (const [index, { all }] of sides.entries()) await all('INSERT INTO t VALUES (?, 1)', [index]);
  for (const [index, { all }] of sides.entries()) {
    for (const write of ['SELECT 1', `INSERT INTO t VALUES ('${index}', 1)`]) {
      await all('BEGIN');
      await all(write);
      const others = [[a.replica, b.replica], [b.replica, a.replica]];
      if (index === 0) others.push([a.replica, peer], [peer, a.replica]);
      for (const [one, other] of others) {
        await assert.rejects(async () => sync(one, other), OPEN);
      }
      await all('ROLLBACK');
    }
  }
  for (const { all } of sides) {
    assert.equal((await all('SELECT * FROM t')).length, 1);
    await all('BEGIN');
    await all('COMMIT');
  }
  await sync(a.replica, b.replica);
  for (const { all, close } of sides) {
    assert.equal((await all('SELECT * FROM t')).length, 2);
    // None was left open.
    await all('BEGIN');
    await close();
  }
}

// The same when the transaction was begun while sync() was at work: it stopped, as if all were
// done. It looks for one now before it believes that.
async function openedMeanwhile(driver, folder) {
  const open = openIn(driver, folder);
  const [a, b] = [await open('a'), await open('b')];
  for (let key = 0; key < 20; key += 1) await a.all(`INSERT INTO t VALUES (${key}, 'v')`);
  let pulls = 0;
  const peer = {
    vector: async () => a.replica.vector(),
    pull: async (since) => {
      if ((pulls += 1) === 2) await b.all('BEGIN');
      return a.replica.pull(since, 200);
    },
    apply: async (changeset) => a.replica.apply(changeset),
  };
  await assert.rejects(async () => sync(peer, b.replica), OPEN);
  await b.all('COMMIT');
  await sync(peer, b.replica);
  assert.equal((await b.all('SELECT * FROM t')).length, 20);
  await a.close();
  await b.close();
}

const all = {
  'a connection may be opened in any mode': modes,
  'a file that is no library is reported with the reason': whyNot,
  'only a file is a library': noFile,
  'what could not be loaded is loaded when it can be': again,
  'an argument of a wrong type is refused': wrongTypes,
  'the vector of a report, and null for nothing new, are taken': natural,
  'an integer beyond 64 bits is refused': wide,
  'an interval that is no time is refused': intervals,
  'sync does nothing while a transaction is open on either side': openTransaction,
  'sync says so where a transaction was begun meanwhile': openedMeanwhile,
};

function cases(driver) {
  return Object.entries(all).map(([name, test]) => ({
    name,
    run: (folder) => test(driver, folder),
  }));
}

module.exports = { cases };
