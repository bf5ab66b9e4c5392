//! What a case begins with. Making tables and enabling them takes longer than most cases, so it is
//! done once for a world, and every case of it runs in a copy of the process (`fork.rs`): with its
//! files, and with connections that have prepared what most cases need.

use crate::case::Case;
use crate::disk;
use crate::exchange::{APPLY, CHANGESET, answer, any_held, insert_rows, own_version};
use crate::host::{self, Answer, ask};
use crate::model::Model;
use crate::replica::{Mail, Replica, Shape, dump, feed, shapes};
use crate::shape::quoted;
use crate::world::BEGIN;

/// The machine of a replica that is not of the world: what the others take from it warms them.
const DONOR: usize = 7;

/// How all replicas begin.
pub struct Template {
    /// What it was made from.
    key: (usize, Vec<String>, Vec<String>),
    shapes: Vec<Shape>,
    pub replicas: Vec<Replica>,
    pub model: Model,
}

impl Template {
    pub fn new(case: &Case) -> Result<Template, String> {
        let text = |e: host::Failed| format!("the schema: {}", e.text);
        let (key, model) = (key(case), Model::default());
        let mut template = Template { key, shapes: Vec::new(), replicas: Vec::new(), model };
        let donor = template.begin(case, DONOR).map_err(text)?;
        for n in 0..case.replicas {
            let begun = template.begin(case, n).map_err(text)?;
            template.replicas.push(begun);
        }
        let gifts = template.gifts(&donor).map_err(text)?;
        for n in 0..case.replicas {
            template.warm(n, &gifts).map_err(text)?;
        }
        Ok(template)
    }

    /// Whether the case begins so.
    pub fn fits(&self, case: &Case) -> bool {
        self.key == key(case)
    }

    /// Makes a replica's schema.
    fn begin(&mut self, case: &Case, n: usize) -> Answer<Replica> {
        disk::seed(n as u64 + 1);
        let mut replica = Replica::new(n);
        replica.machine().borrow_mut().reset();
        replica.machine().borrow_mut().now = BEGIN - 1_000_000;
        let db = replica.conn(0, &case.pragmas)?;
        for sql in &case.setup {
            host::run(db, sql)?;
        }
        self.shapes = shapes(db)?;
        host::run(db, "PRAGMA wal_checkpoint(TRUNCATE)")?;
        let site = ask(db, "SELECT crsql_site_id()", [])?;
        let version = own_version(db)?;
        let tables = dump(db, &self.shapes)?;
        if n != DONOR {
            for (version, changes) in feed(db, &site, 0, version)? {
                self.model.log.insert((site.clone(), version), changes);
            }
        }
        (replica.site, replica.version, replica.tables) = (site, version, tables);
        replica.shapes.clone_from(&self.shapes);
        Ok(replica)
    }

    /// Something of every table, as others would send it.
    fn gifts(&self, donor: &Replica) -> Answer<Vec<Mail>> {
        let db = donor.main()?;
        let mut gifts = Vec::new();
        for write in [writes(&self.shapes), deletes(&self.shapes)] {
            write.iter().for_each(|sql| drop(host::run(db, sql)));
            for rows in [false, true] {
                gifts.extend(answer(db, r#"{"v":1,"seen":{}}"#, rows, 0)?);
            }
        }
        Ok(gifts)
    }

    /// Has a replica do what most cases do, and takes it back. It is no part of any case, so that
    /// what fails here does not matter: a world may not allow it.
    fn warm(&mut self, n: usize, gifts: &[Mail]) -> Answer<()> {
        let r = &mut self.replicas[n];
        let db = r.main()?;
        host::run(db, "BEGIN")?;
        for list in [writes(&self.shapes), deletes(&self.shapes)] {
            list.iter().for_each(|sql| drop(host::run(db, sql)));
            drop(feed(db, &r.site, 0, 9));
            for gift in gifts {
                let _ = match gift {
                    Mail::Changeset(bytes) => ask::<String>(db, APPLY, [bytes]),
                    Mail::Rows { rows, vector } => {
                        let order: Vec<usize> = (0..rows.len()).collect();
                        insert_rows(db, rows, &order, vector)
                    }
                };
            }
        }
        host::run(db, "ROLLBACK")?;
        drop(ask::<Option<Vec<u8>>>(db, CHANGESET, (r#"{"v":1,"seen":{}}"#, 0)));
        own_version(db)?;
        dump(db, &self.shapes)?;
        any_held(db)?;
        r.writes = db.total_changes();
        Ok(())
    }
}

fn key(case: &Case) -> (usize, Vec<String>, Vec<String>) {
    (case.replicas, case.pragmas.clone(), case.setup.clone())
}

/// A row for every table, and a value for every column.
fn writes(shapes: &[Shape]) -> Vec<String> {
    let mut out = Vec::new();
    for shape in shapes {
        let of = |key: bool| shape.columns.iter().filter(move |c| c.1 == key);
        let keys: Vec<String> = of(true).map(|(name, _)| quoted(name)).collect();
        let (name, ones) = (quoted(&shape.name), vec!["1"; keys.len()].join(", "));
        out.push(format!("INSERT OR REPLACE INTO {name}({}) VALUES({ones})", keys.join(", ")));
        let set = of(false).map(|(column, _)| format!("UPDATE {name} SET {} = 1", quoted(column)));
        out.extend(set);
    }
    out
}

fn deletes(shapes: &[Shape]) -> Vec<String> {
    shapes.iter().map(|shape| format!("DELETE FROM {} WHERE true", quoted(&shape.name))).collect()
}
