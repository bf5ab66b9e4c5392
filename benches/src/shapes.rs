//! The shapes that tables are measured in: around the usual one, one axis at a time, or all.

use crate::data::{Key, Shape};

const KEYS: [(&str, Key); 3] =
    [("integer key", Key::Int), ("UUID text key", Key::Uuid), ("16-byte blob key", Key::Blob)];
const WIDTHS: [(&str, usize); 3] = [("3 columns", 3), ("7 columns", 7), ("30 columns", 30)];
const VALUES: [(&str, Option<usize>); 4] = [
    ("usual values", None),
    ("values of 10 bytes", Some(10)),
    ("values of 1 KB", Some(1_000)),
    ("values of 10 KB", Some(10_000)),
];

/// A tenth, as many and ten times as many rows.
fn sizes(rows: usize) -> [usize; 3] {
    [(rows / 10).max(2000), rows, rows * 10]
}

/// A shape and what it is called.
pub type Named = (String, Shape);

fn named(what: &str, shape: Shape) -> Named {
    let shape = shape.fitting();
    (format!("{what}, {} rows", shape.rows), shape)
}

/// Each axis varied alone.
pub fn around(usual: Shape) -> Vec<Named> {
    let keys = KEYS.iter().map(|(name, key)| named(name, Shape { key: *key, ..usual }));
    let sizes = sizes(usual.rows).map(|rows| named("integer key", Shape { rows, ..usual }));
    let widths =
        WIDTHS.iter().map(|(name, columns)| named(name, Shape { columns: *columns, ..usual }));
    let values =
        VALUES.iter().map(|(name, bytes)| named(name, Shape { value_bytes: *bytes, ..usual }));
    let all = keys.chain(sizes).chain(widths).chain(values);
    all.filter(|(_, shape)| *shape != usual.fitting()).collect()
}

/// Every combination.
pub fn all(usual: Shape) -> Vec<Named> {
    let mut shapes: Vec<Named> = Vec::new();
    for (key_name, key) in KEYS {
        for (width, columns) in WIDTHS {
            for (values, value_bytes) in VALUES {
                for rows in sizes(usual.rows) {
                    let shape = Shape { key, columns, value_bytes, rows };
                    let named = named(&format!("{key_name}, {width}, {values}"), shape);
                    // Where the rows are cut to fit, two sizes may be one.
                    if shapes.last() != Some(&named) {
                        shapes.push(named);
                    }
                }
            }
        }
    }
    shapes
}
