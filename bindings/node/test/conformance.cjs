'use strict';
// The cases of bindings/conformance/script.json in one driver.

const assert = require('node:assert/strict');
const path = require('node:path');
const { Replica, load, sync } = require('crsql');
const script = require('./script.json');

const KNOWN = 1;

class Conformance {
  constructor(driver, folder) {
    this.driver = driver;
    this.folder = folder;
    this.replicas = {};
  }

  async open(name) {
    const db = this.driver.open(path.join(this.folder, `${name}.db`));
    await load(db);
    this.replicas[name] = { db, replica: new Replica(db) };
  }

  async run({ replicas, setup = [], steps }) {
    for (const name of replicas) {
      await this.open(name);
      for (const step of setup) await this.step({ on: name, ...step });
    }
    for (const step of steps) await this.step(step);
    for (const { db } of Object.values(this.replicas)) await this.driver.close(db);
  }

  async step(step) {
    if (step.error === undefined) return this.done(step);
    await assert.rejects(this.done(step), (error) => {
      assert.ok(this.driver.isOwn(error), `of the driver's own kind: ${error.stack}`);
      assert.ok(error.message.includes(step.error), error.message);
      return true;
    });
  }

  async done(step) {
    const what = Object.keys(step).find((key) => key in this && key !== 'on');
    assert.ok(what, `a step that this runner knows: ${JSON.stringify(step)}`);
    await this[what](step, this.replicas[step.on]);
  }

  async exec({ exec }, { db }) {
    await this.driver.all(db, exec);
  }

  async query({ query, rows }, { db }) {
    const got = await this.driver.all(db, query);
    const values = got.map((row) => Object.values(row).map(plain));
    assert.deepEqual(values, rows.map((row) => row.map(plain)));
  }

  async enable({ enable }, { replica }) {
    await replica.enable(enable);
  }

  async apply({ apply }, { replica }) {
    await replica.apply(Buffer.from(apply.blob, 'hex'));
  }

  async pull(step, { replica }) {
    const report = await this.pulled(step.pull, replica, step.max_bytes);
    if (step.report === null) return assert.equal(report, null);
    for (const [key, value] of Object.entries(step.report ?? {})) {
      assert.deepEqual(report[key], value, `${key} of ${JSON.stringify(report)}`);
    }
  }

  async pull_all(step, { replica }) {
    while ((await this.pulled(step.pull_all, replica, step.max_bytes))?.new);
  }

  async pulled(from, replica, maxBytes) {
    const changeset = await this.replicas[from].replica.pull(await replica.vector(), maxBytes);
    return changeset && replica.apply(changeset);
  }

  async sync({ sync: [a, b] }) {
    await sync(this.replicas[a].replica, this.replicas[b].replica);
  }

  async copy({ copy, count }, { db, replica }) {
    const from = this.replicas[copy].replica;
    const [seen, since] = [await from.vector(), await replica.vector()];
    await this.driver.all(db, 'BEGIN');
    let copied = 0;
    for await (const change of from.changes(since)) {
      await replica.insert(change);
      copied += 1;
    }
    await this.driver.all(db, 'SELECT crsql_seen(?)', [seen]);
    await this.driver.all(db, 'COMMIT');
    assert.equal(copied, count);
  }

  async equal({ equal }) {
    const digests = new Set();
    for (const name of equal) {
      const { db } = this.replicas[name];
      const [row] = await this.driver.all(db, 'SELECT crsql_digest() AS digest');
      digests.add(row.digest);
    }
    assert.equal(digests.size, 1);
  }

  async reopen({ on }, { db }) {
    await this.driver.close(db);
    await this.open(on);
  }

  async exact({ exact }, { db }) {
    const rows = await this.driver.all(db, exact);
    assert.ok(rows.length > 0);
    for (const row of rows) {
      const [number, text] = Object.values(row);
      assert.ok(Number.isSafeInteger(number), `${number} is a whole number below 2^53`);
      assert.equal(String(number), text);
    }
  }
}

// A value of the script, or of a driver, as what both can be compared by.
function plain(value) {
  if (value instanceof Uint8Array) return { blob: Buffer.from(value).toString('hex') };
  if (value !== null && typeof value === 'object' && 'real' in value) return value.real;
  return value;
}

function cases(driver) {
  assert.equal(script.version, KNOWN, 'a script of the version that this runner knows');
  assert.ok(script.cases.length > 0);
  return script.cases.map((one) => ({
    name: `conformance: ${one.name}`,
    run: (folder) => new Conformance(driver, folder).run(one),
  }));
}

module.exports = { cases };
