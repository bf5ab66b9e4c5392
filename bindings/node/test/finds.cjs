'use strict';
// What reviews found in this binding, in one driver. Each says what happened.

const assert = require('node:assert/strict');
const { Replica } = require('crsql');
const { openIn } = require('./behaviour.cjs');

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

const all = {
  'a connection may be opened in any mode': modes,
};

function cases(driver) {
  return Object.entries(all).map(([name, test]) => ({
    name,
    run: (folder) => test(driver, folder),
  }));
}

module.exports = { cases };
