'use strict';
// The cases under Bun and Deno, with the last lines that Node's runner prints.

const { cases } = require('./cases.cjs');
const { driver, label } = require('./drivers.cjs');

async function main() {
  const tested = driver(process.env.DRIVER);
  console.log(`DRIVER ${await label(tested)}`);
  let passed = 0;
  let failed = 0;
  for (const { name, run } of cases(tested)) {
    try {
      await run();
      passed += 1;
      console.log(`ok - ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`not ok - ${name}\n${error.stack}`);
    }
  }
  console.log(`# pass ${passed}\n# fail ${failed}`);
  process.exitCode = failed > 0 ? 1 : 0;
}

main();
