//! Two replicas in one program: `cargo run --features register --example two_phones`.
//!
//! Each phone is a database of its own. They edit the same rows while they are apart, exchange
//! what the other has not seen, and are equal.

// It has nothing else to show it with.
#![allow(clippy::print_stdout)]

use rusqlite::{Connection, Result};

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    crsql::register()?;
    let (mine, yours) = (phone()?, phone()?);

    mine.execute("INSERT INTO todo VALUES ('milk', 'two bottles', 0)", [])?;
    sync(&mine, &yours)?;

    // Apart: two columns of one row, and a new row.
    mine.execute("UPDATE todo SET done = 1 WHERE id = 'milk'", [])?;
    yours.execute("UPDATE todo SET note = 'three bottles' WHERE id = 'milk'", [])?;
    yours.execute("INSERT INTO todo VALUES ('bread', 'rye', 0)", [])?;
    sync(&mine, &yours)?;

    for (name, phone) in [("mine", &mine), ("yours", &yours)] {
        println!("{name}: {}", list(phone)?);
    }
    assert_eq!(list(&mine)?, list(&yours)?);
    Ok(())
}

fn phone() -> Result<Connection> {
    let db = Connection::open_in_memory()?;
    db.execute_batch("CREATE TABLE todo(id TEXT PRIMARY KEY NOT NULL, note TEXT, done INTEGER)")?;
    db.query_row("SELECT crsql_as_crr('todo')", [], |_| Ok(()))?;
    Ok(db)
}

/// Both ways. A changeset is a blob: here it goes from variable to variable, elsewhere through
/// whatever carries bytes.
fn sync(a: &Connection, b: &Connection) -> Result<()> {
    pull(a, b)?;
    pull(b, a)
}

fn pull(to: &Connection, from: &Connection) -> Result<()> {
    let seen: String = to.query_row("SELECT crsql_vector()", [], |row| row.get(0))?;
    let changes: Option<Vec<u8>> =
        from.query_row("SELECT crsql_changeset(?1)", [seen], |row| row.get(0))?;
    changes.map_or(Ok(()), |changes| to.query_row("SELECT crsql_apply(?1)", [changes], |_| Ok(())))
}

fn list(phone: &Connection) -> Result<String> {
    let sql = "SELECT group_concat(id || ': ' || note || ', ' || done, '; ')
               FROM (SELECT * FROM todo ORDER BY id)";
    phone.query_row(sql, [], |row| row.get(0))
}
