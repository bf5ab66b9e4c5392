//! What others may send: every other form of the same thing, cuts, bombs, newer formats.

use super::cases::{golden, small, table};
use super::*;
use crsql::words::changeset::COLUMNS_MAX;

#[test]
fn e2_truncation_at_every_length_is_rejected() {
    let bytes = write(&golden());
    for n in 0..bytes.len() {
        assert!(read(&bytes[..n]).is_err(), "{n} of {}", bytes.len());
        // A hash that fits does not make up for what is missing.
        assert!(read(&hashed(bytes[..n].to_vec())).is_err() || n == bytes.len() - 32);
    }
    let all = sections(&bytes);
    for (at, (_, section)) in all.iter().enumerate().filter(|(_, s)| s.0 != 18) {
        for n in 0..section.len() {
            let mut cut = all.clone();
            cut[at].1.truncate(n);
            rejected_or_canonical(&of_sections(&cut));
        }
    }
}

#[test]
fn e3_no_byte_of_the_golden_changeset_can_be_said_otherwise() {
    let bytes = write(&golden());
    for at in 0..bytes.len() - 32 {
        let mut other = bytes.clone();
        for flip in 1..=255 {
            other[at] = bytes[at] ^ flip;
            rejected_or_canonical(&rehashed(&other));
        }
    }
}

#[test]
fn e3_other_forms_of_an_item_are_rejected() {
    assert!(read(&after_a_row(&[0, 2, 7, 8])).is_ok());
    let cases: &[(&str, &[u8])] = &[
        ("kind 3", &[3, 2]),
        ("a bit that is not used", &[64, 2, 7, 8]),
        ("TABLE without a change", &[4, 0, 2, 7, 8]),
        ("a table that is not there", &[4, 1, 2, 7, 8]),
        ("CL of 1", &[8, 1, 2, 7, 8]),
        ("CL of 0", &[8, 0, 2, 7, 8]),
        ("GAP of 0", &[16, 0, 2, 7, 8]),
        ("GAP to below 0", &[16, 5, 2, 7, 8]),
        ("SPARSE for DENSE", &[1, 2, 2, 0, 7, 2, 1, 8]),
        ("SPARSE for DENSE after a sentinel", &[33, 2, 2, 0, 1, 7, 2, 1, 8]),
        ("neither cell nor sentinel", &[1, 2, 0]),
        ("a column twice", &[1, 2, 2, 0, 7, 0, 1, 8]),
        ("a column that is not there", &[1, 2, 1, 6, 7]),
        ("one place for falling columns", &[1, 2, 2, 2, 7, 0, 0, 8]),
        ("the transaction's stamp as own", &[1, 2, 1, 1, 5, 7]),
        ("a sentinel first among the cells", &[1, 2, 1, 4, 1]),
        ("a sentinel beside a leading one", &[33, 2, 2, 0, 1, 7, 4, 1]),
        ("a sentinel at the first cell's place", &[1, 2, 2, 0, 7, 4, 0]),
        ("a sentinel with a stamp", &[1, 2, 2, 0, 7, 5, 1, 3]),
        ("a dead row that is DENSE", &[40, 2, 2]),
        ("a dead row without sentinel", &[9, 2, 2, 0]),
        ("a dead row with a count", &[41, 2, 2, 0]),
        ("HELD with more bits", &[2 | 8, 1, 0, 0, 0, 0, 0, 1]),
        ("HELD with a key cut short", &[2, 1, b't', 1, 1, 1, b'c', 0, 0, 1]),
        ("HELD with cl 0", &[2, 1, b't', 2, 1, 1, 1, b'c', 0, 0, 0]),
        ("an overlong varint", &[0, 0x82, 0, 7, 8]),
        ("a count of cells too large", &[1, 2, 0xff, 0xff, 3, 0, 7]),
    ];
    for (what, items) in cases {
        assert!(read(&after_a_row(items)).is_err(), "{what}");
    }
    assert!(read(&after_a_row(&[2, 1, b't', 2, 1, 1, 1, b'c', 0, 0, 1])).is_ok());
    assert!(read(&after_a_row(&[41, 2, 2])).is_ok());
    assert!(read(&after_a_row(&[1, 2, 2, 0, 7, 4, 1])).is_ok());
    assert!(read(&with_items(&[0, 2, 7, 8])).is_err(), "a first row without TABLE");
}

#[test]
fn e3_other_forms_of_a_section_are_rejected() {
    let all = sections(&write(&golden()));
    for at in 0..all.len() {
        let mut twice = all.clone();
        twice.insert(at, all[at].clone());
        assert!(read(&of_sections(&twice)).is_err());
        let mut longer = all.clone();
        longer[at].1.push(0);
        assert!(longer[at].0 == 18 || read(&of_sections(&longer)).is_err());
        let mut empty = all.clone();
        empty[at].1 = vec![0];
        assert!(empty[at].0 == 18 || read(&of_sections(&empty)).is_err());
        let mut without = all.clone();
        without.remove(at);
        rejected_or_canonical(&of_sections(&without));
    }
    let mut more = all.clone();
    more.push((20, b"for later".to_vec()));
    assert_eq!(read(&of_sections(&more)).unwrap(), golden());
    more.push((21, vec![]));
    assert!(reason(&of_sections(&more)).contains("21"));
}

#[test]
fn e4_compression_and_seal_that_are_not_known_are_rejected() {
    let bytes = write(&small());
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        reason(&rehashed(&bytes))
    };
    assert!(with(9, 1).contains("compressed by method 1"));
    // The size is one byte here, and then comes the seal.
    assert!(with(11, 1).contains("sealed"));
    assert!(with(10, bytes[10] - 1).contains("bytes follow"));
    assert!(with(7, 4).contains("features 0x4"));
}

#[test]
fn e5_counts_are_bounded_by_the_bytes_that_follow() {
    let mut many = Vec::new();
    put_varint(&mut many, 1 << 40);
    let all = sections(&write(&golden()));
    for at in [1, 2, 3, 4, 5, 6] {
        let mut bomb = all.clone();
        bomb[at].1 = many.clone();
        let why = reason(&of_sections(&bomb));
        assert!(why.contains("larger than the bytes"), "section {}: {why}", all[at].0);
    }
    assert!(read(&after_a_row(&[&[1, 2], &many[..]].concat())).is_err());
    // A table of 32767 columns costs its dictionary entry; rows that are short cost nothing more.
    let mut whole = small();
    whole.header.tables = vec![table("a", KeyKind::Int, COLUMNS_MAX)];
    let cells = (0..COLUMNS_MAX).map(|c| (c, c as u64, None, Value::Null)).collect();
    let (table, key) = ("a".to_owned(), Key::Int(1));
    whole.txns[0].1 = vec![Item::Row { table, key, cl: 1, sentinel: None, cells }];
    assert_eq!(read(&write(&whole)).unwrap(), whole);
    let Item::Row { cells, .. } = &mut whole.txns[0].1[0] else { panic!() };
    cells.reverse();
    cells.iter_mut().zip(3..).for_each(|(cell, place)| cell.1 = place);
    assert_eq!(read(&write(&whole)).unwrap(), whole);
    whole.header.tables = vec![super::table("a", KeyKind::Int, COLUMNS_MAX + 1)];
    assert!(try_write(&whole, &[]).is_err());
}

#[test]
fn e6_keys_that_are_no_key_of_their_table_are_rejected() {
    // A table with a packed key of one column.
    let with_key = |key: &[u8]| {
        let mut whole = small();
        whole.header.tables = vec![table("a", KeyKind::Packed, 2)];
        let mut items = vec![4, 0];
        put_bytes(&mut items, key);
        items.extend_from_slice(&[7, 8]);
        let Item::Row { key, .. } = &mut whole.txns[0].1[0] else { panic!() };
        *key = Key::Packed(vec![1, 1]);
        let mut all = sections(&write(&whole));
        let mut txn = vec![0, 1, 5, 9, 0, 0];
        put_bytes(&mut txn, &items);
        all.last_mut().unwrap().1 = txn;
        read(&of_sections(&all))
    };
    assert!(with_key(&[1, 1]).is_ok());
    assert!(with_key(&[&[0][..], &[7; 16]].concat()).is_ok());
    let mut uuid = vec![1, 0x0b, 36];
    uuid.extend_from_slice(b"0192f0c4-7a3b-7def-8123-456789abcdef");
    let cases: [(&str, &[u8]); 7] = [
        ("empty", &[]),
        ("no columns", &[0]),
        ("a UUID cut short", &[0, 1, 2]),
        ("two columns", &[2, 1, 1]),
        ("cut short", &[1, 9]),
        ("a REAL that is an integer", &[1, 2, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ("a UUID written out", &uuid),
    ];
    for (what, key) in cases {
        assert!(with_key(key).is_err(), "{what}");
    }
}

#[test]
fn e10_magic_hash_and_trailing_bytes() {
    let bytes = write(&golden());
    assert!(reason(&[]).contains("does not begin"));
    assert!(reason(b"crsqx\x01\x01").contains("does not begin"));
    assert!(reason(b"crsql\x01\x01").contains("cut short"));
    for at in 7..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(reason(&damaged).contains("hash"));
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(reason(&longer).contains("hash"));
    longer = bytes[..bytes.len() - 32].to_vec();
    longer.push(0);
    assert!(reason(&hashed(longer)).contains("bytes follow"));
}

#[test]
fn j6_newer_format_is_read_where_it_can_be_and_rejected_by_name() {
    let bytes = write(&golden());
    let with = |format: u8, oldest: u8| {
        let mut bytes = bytes.clone();
        (bytes[5], bytes[6]) = (format, oldest);
        rehashed(&bytes)
    };
    assert_eq!(read(&with(2, 1)).unwrap(), golden());
    let why = reason(&with(7, 2));
    assert!(why.contains("format is 7") && why.contains("reads format 1"), "{why}");
    assert!(read(&with(0, 0)).is_err() && read(&with(1, 0)).is_err());
    // Optional features are for those who know them.
    let mut optional = bytes.clone();
    optional[8] = 1;
    assert_eq!(read(&rehashed(&optional)).unwrap(), golden());
}
