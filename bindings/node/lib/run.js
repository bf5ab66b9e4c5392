'use strict';
// One text for synchronous and asynchronous drivers: a generator yields what a driver gave, and
// gets its value back. Where none of it is a promise, the result is a plain value.

function run(steps) {
  const advance = (how, given) => {
    let step = steps[how](given);
    while (!step.done) {
      if (typeof step.value?.then === 'function') {
        return step.value.then(
          (value) => advance('next', value),
          (error) => advance('throw', error),
        );
      }
      step = steps.next(step.value);
    }
    return step.value;
  };
  return advance('next');
}

module.exports = { run };
