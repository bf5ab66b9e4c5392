'use strict';
// Brings two replicas together.

const { run } = require('./run.js');

const MAX_BYTES = 16 * 1024 * 1024;

function* bring(from, to) {
  for (;;) {
    const changeset = yield from.pull(yield to.vector(), MAX_BYTES);
    if (!changeset) return;
    const report = yield to.apply(changeset);
    // The changes of a site whose clock is ahead come again whenever they are asked for.
    if (!report.new) return;
  }
}

function* bothWays(a, b) {
  yield* bring(a, b);
  yield* bring(b, a);
}

function sync(a, b) {
  return run(bothWays(a, b));
}

module.exports = { sync };
