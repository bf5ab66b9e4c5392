//! The files that a case begins with. Making tables and enabling them takes longer than most cases,
//! so it is done once for a world, and every case of it begins with copies.

use crate::case::Case;
use crate::disk;
use crate::exchange::own_version;
use crate::host::{self, Answer, ask};
use crate::model::{Change, Site, Tables};
use crate::replica::{Replica, Shape, dump, feed, shapes};
use crate::world::BEGIN;
use std::collections::BTreeMap;

/// How one replica begins.
pub struct Begun {
    pub files: BTreeMap<String, Vec<u8>>,
    pub site: Site,
    pub version: u64,
    pub tables: Tables,
    pub log: BTreeMap<u64, Vec<Change>>,
}

/// How all of them do.
pub struct Template {
    /// What it was made from.
    key: (usize, Vec<String>, Vec<String>),
    pub shapes: Vec<Shape>,
    pub replicas: Vec<Begun>,
}

impl Template {
    pub fn new(case: &Case) -> Result<Template, String> {
        let mut template = Template { key: key(case), shapes: Vec::new(), replicas: Vec::new() };
        for n in 0..case.replicas {
            disk::seed(n as u64 + 1);
            let begun = template.begin(case, n).map_err(|e| format!("the schema: {}", e.text))?;
            template.replicas.push(begun);
        }
        Ok(template)
    }

    /// Whether the case begins so.
    pub fn fits(&self, case: &Case) -> bool {
        self.key == key(case)
    }

    fn begin(&mut self, case: &Case, n: usize) -> Answer<Begun> {
        let mut replica = Replica::new(n);
        replica.machine().borrow_mut().reset();
        replica.machine().borrow_mut().now = BEGIN - 1_000_000;
        let db = replica.conn(0, &case.pragmas)?;
        for sql in &case.setup {
            host::run(db, sql)?;
        }
        self.shapes = shapes(db)?;
        let site: Site = ask(db, "SELECT crsql_site_id()", [])?;
        let version = own_version(db)?;
        let tables = dump(db, &self.shapes)?;
        let log = feed(db, &site, 0, version)?;
        replica.close();
        let files = replica.machine().borrow().copy();
        Ok(Begun { files, site, version, tables, log })
    }
}

fn key(case: &Case) -> (usize, Vec<String>, Vec<String>) {
    (case.replicas, case.pragmas.clone(), case.setup.clone())
}
