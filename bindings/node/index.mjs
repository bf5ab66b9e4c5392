// The same objects for `import`: however it is loaded, a process has one copy of the package.
import crsql from './index.js';

export const { getLoadablePath, load, Replica, sync } = crsql;
