'use strict';
// The other process of watching.cjs: one that writes, and one that watches and comes to its end.

const { driver } = require('./drivers.cjs');
const { openIn } = require('./behaviour.cjs');

async function write(a) {
  await a.all("INSERT INTO t VALUES ('from another process', 1)");
}

async function watch(a) {
  const watch = await a.replica.watch({ interval: 5 });
  let told = 'nothing';
  watch.on('change', ({ tables }) => (told = tables));
  await a.all("INSERT INTO t VALUES ('k', 1)");
  await new Promise((resolve) => setTimeout(resolve, 200));
  process.on('exit', () => console.log(`told of ${told}, and at the end`));
}

const [what, name, folder] = process.argv.slice(2);
const open = openIn(driver(name), folder);
if (what === 'write') open('a', null).then(write);
else open('a').then(watch);
