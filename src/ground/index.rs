//! The talk with the query planner: which terms it offers, which of them the table uses.

use super::abi::{sqlite3_index_constraint, sqlite3_index_info, sqlite3_index_orderby};
use super::api;
use super::fence::out_of_memory;
use std::ffi::c_int;
use std::ptr::null_mut;
use std::slice::from_raw_parts;

/// The operators of WHERE terms.
pub mod op {
    /// `=`
    pub const EQ: u8 = 2;
    /// `>`
    pub const GT: u8 = 4;
    /// `<=`
    pub const LE: u8 = 8;
    /// `<`
    pub const LT: u8 = 16;
    /// `>=`
    pub const GE: u8 = 32;
    /// `<>`
    pub const NE: u8 = 68;
    /// `IS NOT`
    pub const ISNOT: u8 = 69;
    /// `NOTNULL`
    pub const ISNOTNULL: u8 = 70;
    /// `ISNULL`
    pub const ISNULL: u8 = 71;
    /// `IS`
    pub const IS: u8 = 72;
    /// `LIMIT`
    pub const LIMIT: u8 = 73;
    /// `OFFSET`
    pub const OFFSET: u8 = 74;
}

/// One question of the planner.
pub struct IndexInfo<'a> {
    raw: *mut sqlite3_index_info,
    terms: &'a [sqlite3_index_constraint],
    order: &'a [sqlite3_index_orderby],
}

impl<'a> IndexInfo<'a> {
    /// # Safety
    /// `raw` is what SQLite passed to the xBestIndex that runs.
    pub(super) unsafe fn new(raw: *mut sqlite3_index_info) -> Self {
        // SAFETY: the caller's promise; SQLite does not change its question meanwhile.
        unsafe {
            let terms = list((*raw).aConstraint, (*raw).nConstraint);
            let order = list((*raw).aOrderBy, (*raw).nOrderBy);
            Self { raw, terms, order }
        }
    }

    /// The WHERE terms: index, column (-1 is the rowid), operator, whether it can be used.
    pub fn constraints(&self) -> impl Iterator<Item = (usize, i32, u8, bool)> + use<'a> {
        self.terms.iter().enumerate().map(|(i, t)| (i, t.iColumn, t.op, t.usable != 0))
    }

    /// Term `constraint` is wanted as argument `argv_index` (from 1) of the filter; with `omit`
    /// SQLite need not check it again. An index that is not there does nothing.
    pub fn use_arg(&mut self, constraint: usize, argv_index: i32, omit: bool) {
        if constraint >= self.terms.len() {
            debug_assert!(false, "the planner offered no such term");
            return;
        }
        // SAFETY: there is one usage per term.
        unsafe {
            let usage = (*self.raw).aConstraintUsage.add(constraint);
            (*usage).argvIndex = argv_index;
            (*usage).omit = u8::from(omit);
        }
    }

    /// The ORDER BY terms: column, whether descending.
    pub fn order_by(&self) -> Vec<(i32, bool)> {
        self.order.iter().map(|o| (o.iColumn, o.desc != 0)).collect()
    }

    /// The rows come in the order asked for.
    pub fn set_order_consumed(&mut self) {
        // SAFETY: `new`'s promise; so in all of these.
        unsafe { (*self.raw).orderByConsumed = 1 };
    }

    /// What the filter is told of this plan. A text ends at its first NUL.
    pub fn set_plan(&mut self, idx_num: i32, idx_str: &str) {
        self.clear_text();
        // SAFETY: see `set_order_consumed`; SQLite frees the copy with its own allocator.
        unsafe {
            (*self.raw).idxNum = idx_num;
            if idx_str.is_empty() {
                return;
            }
            let text = api::copy_text(idx_str);
            if text.is_null() {
                out_of_memory();
            }
            (*self.raw).idxStr = text;
            (*self.raw).needToFreeIdxStr = 1;
        }
    }

    /// Takes the text of the plan back, as a plan that is given up must.
    pub(super) fn clear_text(&mut self) {
        // SAFETY: see `set_order_consumed`; only `set_plan` marks a text as to be freed.
        unsafe {
            if (*self.raw).needToFreeIdxStr != 0 {
                api::free((*self.raw).idxStr.cast());
            }
            (*self.raw).idxStr = null_mut();
            (*self.raw).needToFreeIdxStr = 0;
        }
    }

    /// What the plan costs, and how many rows it gives.
    pub fn set_cost(&mut self, cost: f64, rows: i64) {
        // SAFETY: see `set_order_consumed`.
        unsafe {
            (*self.raw).estimatedCost = cost;
            (*self.raw).estimatedRows = rows;
        }
    }
}

/// # Safety
/// `at` points to `len` elements that stay as they are for `'a`, or `len` is 0.
unsafe fn list<'a, T>(at: *const T, len: c_int) -> &'a [T] {
    match usize::try_from(len) {
        // SAFETY: the caller's promise.
        Ok(n) if n > 0 && !at.is_null() => unsafe { from_raw_parts(at, n) },
        _ => &[],
    }
}
