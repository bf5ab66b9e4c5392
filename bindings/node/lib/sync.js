'use strict';
// Brings two replicas together.

const { run } = require('./run.js');

const MAX_BYTES = 16 * 1024 * 1024;

// By this name every copy of the package knows the replicas of another.
const IN_TRANSACTION = Symbol.for('crsql.inTransaction');

function* committed(...sides) {
  for (const side of sides) {
    if (yield side[IN_TRANSACTION]?.()) {
      throw new Error(
        'crsql: sync: a transaction is open on one of the two; COMMIT it first, or use pull and ' +
          'apply inside it',
      );
    }
  }
}

function* bring(from, to) {
  for (;;) {
    const changeset = yield from.pull(yield to.vector(), MAX_BYTES);
    if (!changeset) return;
    const report = yield to.apply(changeset);
    // The changes of a site whose clock is ahead come again whenever they are asked for, and those
    // merged in a transaction until it ends.
    if (!report.new) return yield* committed(from, to);
  }
}

function* bothWays(a, b) {
  yield* committed(a, b);
  yield* bring(a, b);
  yield* bring(b, a);
}

function sync(a, b) {
  return run(bothWays(a, b));
}

module.exports = { IN_TRANSACTION, sync };
