'use strict';
// All cases of a driver; each gets a folder of its own, which is gone afterwards.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const files = [
  require('./conformance.cjs'),
  require('./behaviour.cjs'),
  require('./watching.cjs'),
  require('./finds.cjs'),
];

function cases(driver) {
  return files.flatMap((file) => file.cases(driver)).map(({ name, run }) => ({
    name,
    async run() {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crsql-'));
      try {
        await run(folder);
      } finally {
        fs.rmSync(folder, { recursive: true, force: true });
      }
    },
  }));
}

module.exports = { cases };
