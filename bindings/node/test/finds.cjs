'use strict';
// What reviews found in this binding, in one driver. Each says what happened.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Replica, getLoadablePath, load } = require('crsql');
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
    const changes = [];
    for await (const change of replica.changes()) changes.push(change);
    assert.deepEqual(changes.map(({ val }) => val), [9007199254740993n]);
    assert.equal(typeof changes[0].col_version, 'number');
    await replica.insert(changes[0]);
    await driver.close(db);
  }
  await close();
}

// A file that is no library was reported as "crsql.so.so: no such file": SQLite tries the name, then
// the name with the ending, and tells of the last. The ending is left to it now, and the error is
// looked at as far as the name and what follows.
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

const all = {
  'a connection may be opened in any mode': modes,
  'a file that is no library is reported with the reason': whyNot,
  'only a file is a library': noFile,
  'what could not be loaded is loaded when it can be': again,
};

function cases(driver) {
  return Object.entries(all).map(([name, test]) => ({
    name,
    run: (folder) => test(driver, folder),
  }));
}

module.exports = { cases };
