'use strict';
// The cases under Node's own runner; the environment variable DRIVER names the driver.

const { test } = require('node:test');
const { cases } = require('./cases.cjs');
const { driver, label } = require('./drivers.cjs');

const tested = driver(process.env.DRIVER);
label(tested).then((text) => console.log(`DRIVER ${text}`));
for (const { name, run } of cases(tested)) test(name, run);
